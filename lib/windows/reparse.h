/* SPDX-License-Identifier: MIT */
/*
 * reparse.h - the reparse points by which a folder of NTFS leads to a volume: mount points.
 */
#ifndef CM_REPARSE_H
#define CM_REPARSE_H

#include <windows.h>

/*
 * All return a Win32 error. The folder itself is opened, not what it leads to: so none waits for a disk that it
 * leads to. Paths in the long form, \\?\...
 */

/* Where it leads, in the words of the kernel, such as \??\Volume{...}\ or \Device\CoreMntDisk3\.
 * ERROR_NOT_A_REPARSE_POINT: nowhere. */
DWORD cm_reparse_read(const wchar_t *path, wchar_t *target, size_t units);

/* Make an empty folder lead there. */
DWORD cm_reparse_set(const wchar_t *path, const wchar_t *target);

/* Make it an ordinary folder again. */
DWORD cm_reparse_remove(const wchar_t *path);

#endif
