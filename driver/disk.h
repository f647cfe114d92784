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

/* What the mount manager is told; see CM_IOCTL_IDENTIFY. */
typedef struct DISK_IDENTITY {
    BOOLEAN Known; /* otherwise there is nothing else */
    UCHAR UniqueId[16];
    WCHAR Letter; /* 0: none is wanted */
} DISK_IDENTITY;

typedef struct DISK {
    DEVICE_EXTENSION Extension; /* must be first */
    PDEVICE_OBJECT Device;      /* const */
    PIO_WORKITEM ReapItem;      /* const: see reaper.c */

    /* P: Driver.Lock. Who serves it; disk.c has the diagram. */
    LIST_ENTRY Link;   /* Driver.Disks, while it is mounted */
    BOOLEAN Mounted;   /* from DiskCreate to DiskRemove */
    BOOLEAN WasServed; /* it has had an arena, so it is worth holding */
    ULONG Epoch;       /* odd: a server is attached; even: the disk is held. Only ever grows */
    struct SERVER
        *Server;         /* whose it is; held: NULL, or one that has lost the arena but not ended */
    ULONG OwnerPid;      /* of the server that is attached, or was */
    ULONG64 HeldSince;   /* ClockNow; meaningless unless held */
    BOOLEAN PoweringOff; /* it is not held any more */
    DISK_IDENTITY Identity;

    /* const after DiskCreate */
    ULONG64 Id; /* Driver.Generation << 32 | Number */
    ULONG Number;
    ULONG SectorSize; /* bytes */
    BOOLEAN ReadOnly;
    BOOLEAN CanTrim;
    BOOLEAN CanResize;
    USHORT HoldSeconds, TimeoutSeconds;
    UINT16 ImageName[CM_IMAGE_NAME_UNITS]; /* zero-terminated */

    LONG64 volatile SizeNow; /* bytes; P for change: Queue.Lock. Read by DiskSize */

    /*
     * atomic. One for being mounted, one for each arena, request, exchange and ioctl of the control
     * device that works on it; a disk that has reached 0 stays there and is the reaper's. The disk's own
     * ioctls and opens hold none: the extension outlives the file objects through which they come.
     */
    LONG volatile References;

    QUEUE Queue;
} DISK;

/*
 * In bytes. It changes while the disk is mounted, so who looks twice may see two. QueueInsert looks at it once
 * more. Whole also on x86, whose loads are halves. Hot.
 */
ALWAYS_INLINE ULONG64 DiskSize(const DISK *Disk)
{
    if (sizeof(PVOID) == sizeof(ULONG64))
        return (ULONG64)Disk->SizeNow;
    return (ULONG64)CompareExchange64((LONG64 volatile *)&Disk->SizeNow, 0, 0);
}

/* Under Queue.Lock, or before anybody knows the disk. */
ALWAYS_INLINE VOID DiskSetSize(DISK *Disk, ULONG64 Size)
{
    /* x86 has no exchange of 64 bits but this one. Nobody else changes it meanwhile. */
    CompareExchange64(&Disk->SizeNow, (LONG64)Size, Disk->SizeNow);
}

/* Under Driver.Lock. */
ALWAYS_INLINE BOOLEAN DiskIsHeldLocked(const DISK *Disk)
{
    return (Disk->Epoch & 1) == 0;
}

/* CM_MOUNT_*, as it was mounted. */
ALWAYS_INLINE ULONG DiskMountFlags(const DISK *Disk)
{
    return (Disk->ReadOnly ? CM_MOUNT_READ_ONLY : 0) | (Disk->CanTrim ? CM_MOUNT_TRIM : 0) |
           (Disk->CanResize ? CM_MOUNT_RESIZE : 0);
}

/* Whether a disk can have this size. */
BOOLEAN DiskSizeIsValid(ULONG64 Size, ULONG SectorSize);

/* Of the arena that it has, or waits for. */
ALWAYS_INLINE SIZE_T DiskArenaSize(const DISK *Disk)
{
    return (SIZE_T)Disk->Queue.Depth * Disk->Queue.SlotSize;
}

/*
 * Make a disk for a server. It refuses all I/O until DiskStart. On success it is mounted and
 * belongs to the lists; DiskRemove takes it away. IRQL: PASSIVE.
 */
NTSTATUS DiskCreate(struct SERVER *Server, const struct cm_mount *Mount,
                    struct cm_mounted *Mounted) MUST_CHECK;

/* The device name of a disk's number, into a string that has a buffer. IRQL: PASSIVE. */
#define DISK_NAME_UNITS 48
NTSTATUS DiskMakeName(PUNICODE_STRING Name, ULONG Number) MUST_CHECK;

/* The arena is in place: the device answers from now on. STATUS_NOT_FOUND, STATUS_INVALID_DEVICE_STATE,
 * STATUS_CANCELLED: see QueueAttach. IRQL: PASSIVE. */
NTSTATUS DiskStart(DISK *Disk, ARENA *Arena) MUST_CHECK;

/* CM_IOCTL_ATTACH: another server takes it over. IRQL: PASSIVE, in the server's process. */
NTSTATUS DiskAttach(struct SERVER *Server, const struct cm_attach *Attach,
                    struct cm_attached *Attached) MUST_CHECK;

/* CM_IOCTL_IDENTIFY: STATUS_SUCCESS or STATUS_OBJECT_NAME_COLLISION. IRQL: <= DISPATCH, no lock held. */
NTSTATUS DiskSetIdentity(DISK *Disk, const DISK_IDENTITY *Identity) MUST_CHECK;
VOID DiskGetIdentity(DISK *Disk, DISK_IDENTITY *Identity);

/* The machine is being switched off: whoever waits for this disk must not wait for long. Referenced. IRQL: <= DISPATCH,
 * no lock held. */
VOID DiskPowerOff(DISK *Disk);

/* The server has ended, or the arena of this epoch has been taken back: the disk is held for another
 * server, or removed. Idempotent. IRQL: <= DISPATCH, no lock held. */
VOID DiskLoseServer(DISK *Disk, const struct SERVER *Server);
VOID DiskLoseArena(DISK *Disk, ULONG Epoch);

/*
 * Take the disk away: what waits or is handed out fails with STATUS_NO_SUCH_DEVICE, exchanges end,
 * the device goes when the last reference does. Idempotent. IRQL: <= DISPATCH, no lock held.
 */
VOID DiskRemove(DISK *Disk);

/* A mounted disk by its id, referenced; NULL: none such. IRQL: <= DISPATCH. */
DISK *DiskFind(ULONG64 Id) MUST_CHECK;

/* The same, if this server is attached to it; and in which epoch. Hot. */
DISK *DiskFindServed(ULONG64 Id, const struct SERVER *Server, ULONG *Epoch) MUST_CHECK;

/* A disk of this server, or of any or none (NULL), referenced; NULL when there is none left. IRQL: <=
 * DISPATCH. */
DISK *DiskFindAnyOf(const struct SERVER *Server) MUST_CHECK;

/* The mounted disk with the smallest id from this one on, referenced; NULL: none. IRQL: <= DISPATCH. */
DISK *DiskFindNext(ULONG64 From) MUST_CHECK;

/* The watchdog's look at a disk: whether it has been held, or a request been under way, for too long.
 * @return whether there is a reason to look again soon. IRQL: <= DISPATCH, no lock held. */
BOOLEAN DiskWatch(DISK *Disk);

VOID DiskGetHealth(DISK *Disk, struct cm_health *Health); /* IRQL: <= DISPATCH, no lock held */

/* FALSE: the disk is on its way out; leave it alone. IRQL: any. */
BOOLEAN DiskTryReference(DISK *Disk) MUST_CHECK;
VOID DiskDereference(DISK *Disk); /* IRQL: <= DISPATCH, no lock held */

/* The reaper's part: give back all that a disk has besides its device. IRQL: PASSIVE. */
VOID DiskEmpty(DISK *Disk);

#endif
