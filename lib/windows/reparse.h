/* SPDX-License-Identifier: MIT */
/*
 * reparse.h - the reparse points by which a folder of NTFS leads elsewhere: mount points, links.
 */
#ifndef CM_REPARSE_H
#define CM_REPARSE_H

#include <stdint.h>
#include <windows.h>

/*
 * All return a Win32 error. The folder itself is opened, not what it leads to: so none waits for a disk that it
 * leads to. Paths in the long form, \\?\...
 */

#define CM_REPARSE_LINKS (1u << 0) /* also of a symbolic link, unless that is relative */

/* Where it leads, in the words of the kernel, such as \??\Volume{...}\ or \Device\CoreMntDisk3\.
 * ERROR_NOT_A_REPARSE_POINT: nowhere; ERROR_REPARSE_TAG_MISMATCH: somewhere else. */
DWORD cm_reparse_read(const wchar_t *path, uint32_t flags, wchar_t *target, size_t units);

/* Make an empty folder lead there. */
DWORD cm_reparse_set(const wchar_t *path, const wchar_t *target);

/* Make it an ordinary folder again. */
DWORD cm_reparse_remove(const wchar_t *path);

#endif
