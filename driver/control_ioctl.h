/* SPDX-License-Identifier: MIT */
/* control_ioctl.h - the ioctls that make, take over, remove, name, resize, list and count disks; see control_ioctl.c. */
#ifndef COREMNT_CONTROL_IOCTL_H
#define COREMNT_CONTROL_IOCTL_H

#include "driver.h"

struct SERVER;

/* Rows of control.c's table: the least sizes are checked. A final status, or STATUS_PENDING (lend, resize).
 * IRQL: PASSIVE, in the caller's process. */
typedef NTSTATUS CONTROL_HANDLER(struct SERVER *Server, PIRP Irp, PIO_STACK_LOCATION Stack);

CONTROL_HANDLER ControlVersion, ControlMount, ControlUnmount, ControlAttach, ControlArenaMap,
    ControlArenaLend, ControlList, ControlStats, ControlHealth, ControlIdentify, ControlResize;

#endif
