/* SPDX-License-Identifier: MIT */
/*
 * driver_file.h - the file of a driver: is it one, and of this system; and how services name it.
 *
 * For service.c.
 */
#ifndef CM_WINDOWS_DRIVER_FILE_H
#define CM_WINDOWS_DRIVER_FILE_H

#include <wchar.h>
#include <windows.h>

#define CM_DRIVER_PATH_UNITS 520u

/*
 * Could the kernel load it? Looked at are its place and its headers, not its signature. Blocks for
 * the file's disk.
 * @return 0, CM_ENOENT, CM_EACCES, CM_EINVAL (no driver, for another processor, on another
 *         computer) or CM_EIO, with a sentence.
 */
int cm_driver_file_check(const wchar_t *path);

/* The path that a service has of its file, \SystemRoot\..., \??\C:\... or system32\..., as people
 * and GetFileAttributes() know it; cut to nothing if it is too long. */
void cm_driver_file_path(const wchar_t *image, wchar_t path[CM_DRIVER_PATH_UNITS]);

#endif
