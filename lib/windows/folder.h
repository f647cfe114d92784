/* SPDX-License-Identifier: MIT */
/*
 * folder.h - disks in folders: an empty folder of NTFS that leads to the disk.
 *
 * Paths are UTF-8; a device is its NT path, "\Device\CoreMntDisk0".
 */
#ifndef CM_FOLDER_H
#define CM_FOLDER_H

#include <stdint.h>
#include <wchar.h>

#define CM_FOLDER_SIZE 1040u
#define CM_FOLDER_TARGET_UNITS 520u

/*
 * Whether a disk can be mounted there: an empty folder, of a file system that has mount points, on no CoreMnt disk.
 * One that leads to a CoreMnt disk that is no longer there is made empty again.
 *
 * @param full  Out: the path, independent of the current folder.
 * @return 0, CM_EINVAL, CM_ENOENT, CM_EBUSY, CM_ENOTSUP, CM_EACCES, CM_EIO, with a sentence.
 */
int cm_folder_check(const char *path, char full[CM_FOLDER_SIZE]);

/* Make it lead to a disk: by its volume name, if the mount manager has given it one.
 * @param target  Out: where it leads now. @return as above. */
int cm_folder_mount(const char *full, const char *device, wchar_t target[CM_FOLDER_TARGET_UNITS]);

/* Make it an ordinary folder again, if it still leads there; 0 also when it does not. */
int cm_folder_unmount(const char *full, const wchar_t *target);

/* The number of the CoreMnt disk that it leads to; CM_ENOENT with a sentence: none. */
int cm_folder_disk_number(const char *path, uint32_t *number);

#endif
