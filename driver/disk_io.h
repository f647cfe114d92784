/* SPDX-License-Identifier: MIT */
/* disk_io.h - what a disk device does with IRPs that are not ioctls; see disk_io.c. */
#ifndef COREMNT_DISK_IO_H
#define COREMNT_DISK_IO_H

#include "disk.h"

IRP_HANDLER DiskIoCreate, DiskIoCleanup, DiskIoClose; /* IRQL: PASSIVE */
IRP_HANDLER DiskIoReadWrite, DiskIoFlush;             /* IRQL: <= DISPATCH. Hot */
IRP_HANDLER DiskIoShutdown;                           /* IRQL: <= DISPATCH */

/* TRUE: [Offset, Offset + Length) lies on the disk and is whole sectors; Length is not 0. IRQL:
 * any. */
BOOLEAN DiskIoRangeIsValid(const DISK *Disk, LONGLONG Offset, ULONG64 Length);

/* Into the queue with a validated request. Returns STATUS_PENDING, or why not. IRQL: <= DISPATCH.
 */
NTSTATUS DiskIoSubmit(DISK *Disk, PIRP Irp);

#endif
