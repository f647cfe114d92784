/* SPDX-License-Identifier: MIT */
/*
 * guid.c - the identifiers in a VHDX file: made, compared, and as text. Any thread.
 *
 * In the file, as everywhere in Windows, the first three parts of what a GUID is in text are little-endian numbers.
 */
#include "images/vhdx/parts.h"

#include <stdio.h>
#include <string.h>

#include <coremnt/error.h>

#include "lib/core/error_internal.h"
#include "lib/core/os.h"

/* Which byte of the file the pairs of digits are, in the order of the text. */
static const unsigned char order[16] = {3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15};

int vhdx_guid_make(struct vhdx_guid *guid)
{
    int error = cm_os_random(guid->bytes, sizeof(guid->bytes));

    if (error != 0)
        return cm_fail(error,
                       "the system gives no random numbers, of which images are identified.");
    guid->bytes[7] = (guid->bytes[7] & 0x0F) | 0x40; /* version 4: random */
    guid->bytes[8] = (guid->bytes[8] & 0x3F) | 0x80;
    return 0;
}

int vhdx_guid_is_zero(const struct vhdx_guid *guid)
{
    static const struct vhdx_guid zero;

    return vhdx_guid_equal(guid, &zero);
}

int vhdx_guid_equal(const struct vhdx_guid *a, const struct vhdx_guid *b)
{
    return memcmp(a->bytes, b->bytes, sizeof(a->bytes)) == 0;
}

/* A hyphen stands before these pairs. */
static int is_after_hyphen(unsigned pair)
{
    return pair == 4 || pair == 6 || pair == 8 || pair == 10;
}

void vhdx_guid_print(const struct vhdx_guid *guid, char text[VHDX_GUID_TEXT])
{
    char *next = text;

    *next++ = '{';
    for (unsigned i = 0; i < 16; i++) {
        if (is_after_hyphen(i))
            *next++ = '-';
        next += snprintf(next, 3, "%02x", guid->bytes[order[i]]);
    }
    *next++ = '}';
    *next = '\0';
}

static int digit(char c)
{
    static const char digits[] = "0123456789abcdef0123456789ABCDEF";
    const char *at = c != '\0' ? strchr(digits, c) : NULL;

    return at != NULL ? (int)((at - digits) & 15) : -1;
}

int vhdx_guid_parse(const char *text, struct vhdx_guid *guid)
{
    const char *next = text;
    int has_braces = *next == '{';

    next += has_braces;
    for (unsigned i = 0; i < 16; i++) {
        int high, low;

        if (is_after_hyphen(i) && *next++ != '-')
            return CM_EINVAL;
        high = digit(next[0]);
        low = high >= 0 ? digit(next[1]) : -1;
        if (low < 0)
            return CM_EINVAL;
        guid->bytes[order[i]] = (uint8_t)(high << 4 | low);
        next += 2;
    }
    if (has_braces && *next++ != '}')
        return CM_EINVAL;
    return *next == '\0' ? 0 : CM_EINVAL;
}
