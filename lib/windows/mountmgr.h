/* SPDX-License-Identifier: MIT */
/*
 * mountmgr.h - the mount manager of Windows, which keeps the names of volumes: letters, volume GUID paths, and
 * which of them was whose. Programs that ask for the name of a volume (installers, UAC, backup) ask it.
 *
 * All of it may wait for the disk that it is about: the manager has file systems look at it. So never on
 * a thread that serves disks, and only for a disk that is served. Sets no sentences: a disk can do without.
 */
#ifndef CM_MOUNTMGR_H
#define CM_MOUNTMGR_H

#include <stddef.h>
#include <stdint.h>
#include <wchar.h>

/* Whether there is one that this process may use. Wine has one by name only. */
int cm_mountmgr_is_there(void);

/* Tell it of a new disk, which has been identified (CM_IOCTL_IDENTIFY). It gives it a volume name, and perhaps a
 * letter. @return 0, CM_ENOTSUP (there is none), CM_EACCES, CM_EIO. */
int cm_mountmgr_arrive(const char *device);

/* Give a disk that has arrived a letter, which is free or already its own. @return 0 or as above. */
int cm_mountmgr_link(const char *device, char letter);

/* Take the letters away that the disk was given unasked; `keep` stays, '\0': none does. */
void cm_mountmgr_drop_letters(const char *device, char keep);

/* Whether all that a MOUNTMGR_MOUNT_POINTS tells lies within its buffer. */
int cm_mountmgr_answer_fits(const void *answer, size_t size);

/* Its volume name as programs use it, \\?\Volume{...}\; 0, or CM_ENOENT: it has none. */
#define CM_VOLUME_NAME_UNITS 64u
int cm_mountmgr_volume_name(const char *device, wchar_t name[CM_VOLUME_NAME_UNITS]);

/* All its names go, whether the disk is still there or not. Returns when they have, or after timeout_ms. */
void cm_mountmgr_forget(const char *device, uint32_t timeout_ms);

#endif
