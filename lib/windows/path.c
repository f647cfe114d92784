/* SPDX-License-Identifier: MIT */
/*
 * path.c - the long form of paths, and which of them are devices. Called when a file is opened or
 * removed, on the caller's thread.
 */
#include "lib/windows/path.h"

#include <stdlib.h>
#include <string.h>
#include <windows.h>

#define PREFIX_UNITS 4u
static const wchar_t long_prefix[] = L"\\\\?\\";
static const wchar_t device_prefix[] = L"\\\\.\\";

static int has_prefix(const wchar_t *path, const wchar_t *prefix)
{
    return wcsncmp(path, prefix, PREFIX_UNITS) == 0;
}

/* A path in the long form names a file if it has a folder and a name: \\?\C:\x, not \\?\C:, which
 * is the whole volume, nor \\?\PhysicalDrive0. */
static int names_a_file(const wchar_t *path)
{
    const wchar_t *separator = wcschr(path + PREFIX_UNITS, L'\\');

    return separator != NULL && separator[1] != L'\0';
}

wchar_t *cm_path_full(const wchar_t *path)
{
    DWORD units = GetFullPathNameW(path, 0, NULL, NULL);
    wchar_t *full = units == 0 ? NULL : malloc(units * sizeof(*full));

    if (full == NULL) { /* for an empty path Windows says nothing */
        SetLastError(units == 0 ? ERROR_PATH_NOT_FOUND : ERROR_NOT_ENOUGH_MEMORY);
        return NULL;
    }
    /* Longer the second time: another thread has changed the current folder in between. */
    if (GetFullPathNameW(path, units, full, NULL) >= units) {
        free(full);
        SetLastError(ERROR_PATH_NOT_FOUND);
        return NULL;
    }
    return full;
}

static wchar_t *joined(const wchar_t *prefix, const wchar_t *rest)
{
    size_t prefix_units = wcslen(prefix), rest_units = wcslen(rest) + 1;
    wchar_t *path = malloc((prefix_units + rest_units) * sizeof(*path));

    if (path == NULL) {
        SetLastError(ERROR_NOT_ENOUGH_MEMORY);
        return NULL;
    }
    memcpy(path, prefix, prefix_units * sizeof(*path));
    memcpy(path + prefix_units, rest, rest_units * sizeof(*path));
    return path;
}

wchar_t *cm_path_long(const wchar_t *path)
{
    wchar_t *full = has_prefix(path, long_prefix) ? joined(L"", path) : cm_path_full(path);
    wchar_t *result = NULL;

    if (full == NULL)
        return NULL;
    if (has_prefix(full, device_prefix) || (has_prefix(full, long_prefix) && !names_a_file(full))) {
        free(full);
        SetLastError(ERROR_BAD_DEV_TYPE);
        return NULL;
    }
    if (has_prefix(full, long_prefix))
        return full;
    if (full[0] == L'\\' && full[1] == L'\\')
        result = joined(L"\\\\?\\UNC\\", full + 2);
    else
        result = joined(long_prefix, full);
    free(full);
    return result;
}
