/* SPDX-License-Identifier: MIT */
/* disk_ioctl.h - the storage ioctls of a disk device; see disk_ioctl.c. */
#ifndef COREMNT_DISK_IOCTL_H
#define COREMNT_DISK_IOCTL_H

#include "disk.h"

/* One of them, as its handler sees it: lengths are at least those of its row in disk_ioctl.c. */
typedef struct DISK_CALL {
    DISK *Disk;
    PIRP Irp;
    PVOID Buffer; /* input, and output over it; NULL if both lengths are 0 */
    ULONG InLength;
    ULONG OutLength;
    ULONG_PTR *Information; /* 0 on entry: bytes of output */
} DISK_CALL;

/* Answers it for good, or returns STATUS_PENDING from the queue. IRQL: PASSIVE, but for MEDIA_REMOVAL. */
typedef NTSTATUS DISK_CALL_HANDLER(const DISK_CALL *Call);

/* IRP_MJ_DEVICE_CONTROL of a disk. IRQL: PASSIVE, but file systems send MEDIA_REMOVAL at APC. */
IRP_HANDLER DiskIoctl;

#endif
