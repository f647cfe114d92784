/* SPDX-License-Identifier: MIT */
/*
 * path.h - paths as Windows is to be asked for them. For file.c.
 */
#ifndef CM_PATH_H
#define CM_PATH_H

#include <wchar.h>

/* The path with its drive and all folders, whether or not there is such a file.
 * @return to be freed with free(); NULL on failure, and GetLastError() knows why. */
wchar_t *cm_path_full(const wchar_t *path);

/*
 * The long form of a path, \\?\..., in which it may have 32767 characters and not just 259. That
 * form is taken literally, so the path is made full first. This also finds the names of devices
 * (C:\NUL becomes
 * \\.\NUL); they are refused unopened, with ERROR_BAD_DEV_TYPE, because opening some does something
 * to them.
 *
 * @return to be freed with free(); NULL on failure, and GetLastError() knows why.
 */
wchar_t *cm_path_long(const wchar_t *path);

#endif
