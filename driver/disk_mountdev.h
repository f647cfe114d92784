/* SPDX-License-Identifier: MIT */
/* disk_mountdev.h - what the mount manager asks of a volume; see disk_mountdev.c. */
#ifndef COREMNT_DISK_MOUNTDEV_H
#define COREMNT_DISK_MOUNTDEV_H

#include "disk_ioctl.h"

DISK_CALL_HANDLER DiskMountdevQueryName;
DISK_CALL_HANDLER DiskMountdevQueryUniqueId, DiskMountdevQueryLink;
DISK_CALL_HANDLER DiskMountdevNoteLink;
DISK_CALL_HANDLER DiskMountdevGetAttributes;

#endif
