/* SPDX-License-Identifier: MIT */
/*
 * disk.h - the disk object.
 *
 * A DISK is the device extension of its device object. That memory lives for as long as anything in
 * the system points to the device, so a dispatch routine may always look at it; what it may do
 * beyond looking is decided by DiskTryReference.
 */
#ifndef COREMNT_DISK_H
#define COREMNT_DISK_H

#include "arena.h"
#include "driver.h"
#include "queue.h"

struct SERVER;

typedef struct DISK {
    DEVICE_EXTENSION Extension; /* must be first */
    PDEVICE_OBJECT Device;      /* const */
    PIO_WORKITEM ReapItem;      /* const: see reaper.c */
    LIST_ENTRY Link;            /* P: Driver.Lock: Driver.Disks, while it is mounted */
    struct SERVER *Server;      /* P: Driver.Lock: who mounted it; NULL once removed */

    /* const after DiskCreate */
    ULONG64 Id; /* Driver.Generation << 32 | Number */
    ULONG Number;
    ULONG OwnerPid;
    ULONG64 Size;     /* bytes */
    ULONG SectorSize; /* bytes */
    BOOLEAN ReadOnly;
    BOOLEAN CanTrim;
    UINT16 ImageName[CM_IMAGE_NAME_UNITS]; /* zero-terminated */

    /*
     * atomic. One for being mounted, one for each request, exchange and ioctl of the control device
     * that works on it; a disk that has reached 0 stays there and is the reaper's. The disk's own
     * ioctls and opens hold none: the extension outlives the file objects through which they come.
     */
    LONG volatile References;

    ARENA Arena;
    QUEUE Queue;
} DISK;

/*
 * Make a disk for a server. It refuses all I/O until DiskStart. On success it is mounted and
 * belongs to the lists; DiskRemove takes it away. IRQL: PASSIVE.
 */
NTSTATUS DiskCreate(struct SERVER *Server, const struct cm_mount *Mount,
                    struct cm_mounted *Mounted) MUST_CHECK;

/* The device name of a disk's number, into a string that has a buffer. IRQL: PASSIVE. */
#define DISK_NAME_UNITS 32
NTSTATUS DiskMakeName(PUNICODE_STRING Name, ULONG Number) MUST_CHECK;

/* The arena is in place: the device answers from now on. IRQL: PASSIVE. */
VOID DiskStart(DISK *Disk);

/*
 * Take the disk away: what waits or is handed out fails with STATUS_NO_SUCH_DEVICE, exchanges end,
 * the device goes when the last reference does. Idempotent. IRQL: <= DISPATCH, no lock held.
 */
VOID DiskRemove(DISK *Disk);

/* A mounted disk by its id, referenced; of one server only, or of any (NULL). NULL: none such.
 * IRQL: <= DISPATCH. */
DISK *DiskFind(ULONG64 Id, const struct SERVER *Server) MUST_CHECK;

/* A disk of this server, referenced; NULL when it has none left. IRQL: <= DISPATCH. */
DISK *DiskFindAnyOf(const struct SERVER *Server) MUST_CHECK;

/* FALSE: the disk is on its way out; leave it alone. IRQL: any. */
BOOLEAN DiskTryReference(DISK *Disk) MUST_CHECK;
VOID DiskDereference(DISK *Disk); /* IRQL: <= DISPATCH, no lock held */

/* The reaper's part: give back all that a disk has besides its device. IRQL: PASSIVE. */
VOID DiskEmpty(DISK *Disk);

#endif
