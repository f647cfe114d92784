/* SPDX-License-Identifier: MIT */
/* disk_ioctl.h - the storage ioctls of a disk device; see disk_ioctl.c. */
#ifndef COREMNT_DISK_IOCTL_H
#define COREMNT_DISK_IOCTL_H

#include "disk.h"

/* IRP_MJ_DEVICE_CONTROL of a disk. IRQL: PASSIVE, but file systems send MEDIA_REMOVAL at APC. */
IRP_HANDLER DiskIoctl;

#endif
