/* SPDX-License-Identifier: MIT */
/*
 * driver.h - what the modules of the driver share: its one global, and the kinds of devices.
 *
 * The modules, in the order in which a read passes through them:
 *
 *      driver.c         DriverEntry, DriverUnload, the one entry point of all IRPs
 *      disk_io.c        READ, WRITE, FLUSH of a disk device: checks, then into the queue
 *      disk_ioctl.c     the storage ioctls that a disk answers by itself; TRIM goes into the queue
 *      disk_property.c  one of them: what kind of disk it is
 *      queue.c          a request's life: waiting, handed out, answered, cancelled; and its steps:
 *                       queue_fetch.c, queue_reply.c, queue_park.c, queue_server.c, queue_resize.c
 *      exchange.c       the server's call that brings replies and fetches requests
 *      status.c         what a server's error becomes
 *      arena.c          the memory in which the data of handed-out requests lies; one for each server
 *      control.c        the control device and its table of ioctls
 *      control_ioctl.c  those that make, take over, remove, list and count disks
 *      server.c         an open handle of the control device, and its end
 *      disk.c           the disk object: made, found, referenced, held, removed
 *      numbers.c        what disks are called
 *      reaper.c         deletes what nobody refers to any more
 *      watchdog.c       what happens because time passes
 *      clock.c          the time that passes
 *      volume.c         takes file systems off disks that have gone
 *      security.c       who may open what
 *
 * Locks. There are two kinds, both spin locks: Driver.Lock (the lists of servers and disks) and
 * QUEUE.Lock (one per disk). No two locks are ever held at once, and none while an IRP is
 * completed: Wine runs cancel routines under a lock that IoCompleteRequest takes too, so completing
 * under a lock of ours that a cancel routine takes hangs there, and is as wrong on NT.
 */
#ifndef COREMNT_DRIVER_H
#define COREMNT_DRIVER_H

#include "nt.h"

typedef struct DRIVER {
    PDRIVER_OBJECT Object;        /* const after DriverEntry */
    PDEVICE_OBJECT ControlDevice; /* const after DriverEntry */
    ULONG Generation;             /* const: upper half of disk ids, differs from start to start */
    BOOLEAN IsWine;               /* const: see driver.c */

    LONG volatile Active; /* atomic: entry points that are running; see DriverUnload */

    KSPIN_LOCK Lock;
    LIST_ENTRY Servers; /* P: Lock; SERVER.Link */
    LIST_ENTRY Disks;   /* P: Lock; DISK.Link: the mounted ones */
    ULONG DiskDevices;  /* P: Lock: disks from creation until the reaper is done with them */
    ULONG NextNumber;   /* P: Lock: see numbers.c */
    BOOLEAN volatile Stopping; /* P: Lock: no more servers, no more disks; control.c also looks without it */
} DRIVER;

extern DRIVER Driver;

/* What a device object is; the first field of every device extension. */
typedef enum DEVICE_KIND { DEVICE_KIND_CONTROL = 1, DEVICE_KIND_DISK = 2 } DEVICE_KIND;

typedef struct DEVICE_EXTENSION {
    DEVICE_KIND Kind; /* const */
} DEVICE_EXTENSION;

/*
 * Handles an IRP: returns its status with Irp->IoStatus.Information set, and driver.c completes it;
 * or returns STATUS_PENDING having marked it, and the IRP is no longer the dispatcher's.
 */
typedef NTSTATUS IRP_HANDLER(PDEVICE_OBJECT Device, PIRP Irp, PIO_STACK_LOCATION Stack);

/* Every function that the system calls runs between these two; see DriverUnload. */
ALWAYS_INLINE VOID DriverEnter(VOID)
{
    InterlockedIncrement(&Driver.Active);
}

ALWAYS_INLINE VOID DriverLeave(VOID)
{
    InterlockedDecrement(&Driver.Active);
}

/* IoCreateDevice and IoDeleteDevice, one at a time where the system does not see to that. IRQL:
 * PASSIVE. */
NTSTATUS DriverCreateDevice(ULONG ExtensionSize, PUNICODE_STRING Name, DEVICE_TYPE Type,
                            ULONG Characteristics, PDEVICE_OBJECT *Device) MUST_CHECK;
VOID DriverDeleteDevice(PDEVICE_OBJECT Device);

#endif
