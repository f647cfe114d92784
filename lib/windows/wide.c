/* SPDX-License-Identifier: MIT */
/*
 * wide.c - UTF-8 to UTF-16 and back. Any thread; not on the hot path.
 */
#include "lib/windows/wide.h"

#include <string.h>
#include <windows.h>

#include "lib/core/error_internal.h"

#include <coremnt/error.h>

int cm_wide_from_utf8(const char *text, wchar_t *wide, size_t units)
{
    if (MultiByteToWideChar(CP_UTF8, MB_ERR_INVALID_CHARS, text, -1, wide, (int)units) > 0)
        return 0;
    wide[0] = L'\0';
    return cm_fail(CM_EINVAL, "\"%.200s\" is too long, or not UTF-8.", text);
}

void cm_wide_from_utf8_cut(const char *text, wchar_t *wide, size_t units)
{
    size_t length = strlen(text);

    /* UTF-16 never needs more units than UTF-8 needs bytes, so this ends at the latest there. */
    while (MultiByteToWideChar(CP_UTF8, 0, text, (int)length, wide, (int)units - 1) == 0) {
        if (length == 0)
            break;
        do
            length--;
        while (length > 0 && ((unsigned char)text[length] & 0xC0u) == 0x80u);
    }
    wide[MultiByteToWideChar(CP_UTF8, 0, text, (int)length, wide, (int)units - 1)] = L'\0';
}

void cm_wide_to_utf8(const wchar_t *wide, char *text, size_t size)
{
    if (WideCharToMultiByte(CP_UTF8, 0, wide, -1, text, (int)size, NULL, NULL) == 0)
        text[0] = '\0';
}
