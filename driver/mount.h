/* SPDX-License-Identifier: MIT */
/* mount.h - the ioctls that make, remove, list and count disks; see mount.c. */
#ifndef COREMNT_MOUNT_H
#define COREMNT_MOUNT_H

#include "driver.h"

struct SERVER;

/* Rows of control.c's table: the least sizes are checked. A final status, or STATUS_PENDING (lend).
 * IRQL: PASSIVE, in the caller's process. */
typedef NTSTATUS MOUNT_HANDLER(struct SERVER *Server, PIRP Irp, PIO_STACK_LOCATION Stack);

MOUNT_HANDLER MountVersionIoctl, MountIoctl, MountUnmountIoctl, MountArenaMapIoctl,
    MountArenaLendIoctl, MountListIoctl, MountStatsIoctl;

#endif
