/* SPDX-License-Identifier: MIT */
/*
 * queue.h - the requests of a disk: waiting, handed out, answered, cancelled; see queue.c.
 *
 * A request is an IRP. A fragment is the part of it that fits a slot of the arena; what a server
 * sees is fragments. A slot carries one fragment at a time.
 */
#ifndef COREMNT_QUEUE_H
#define COREMNT_QUEUE_H

#include "nt.h"

struct ARENA;
struct DISK;

/* DEVICE_DATA_SET_RANGE as TRIM brings it: at any address. */
typedef struct __attribute__((packed)) TRIM_RANGE {
    LONG64 StartingOffset; /* bytes */
    ULONG64 LengthInBytes;
} TRIM_RANGE;

C_ASSERT(sizeof(TRIM_RANGE) == sizeof(DEVICE_DATA_SET_RANGE));

/* All P: QUEUE.Lock. */
typedef struct SLOT {
    ULONG64 DiskOffset;  /* of the fragment on the disk */
    ULONG64 DiskLength;  /* bytes; 0 for FLUSH */
    PIRP Irp;            /* whose fragment it carries; NULL when free or orphaned */
    ULONG64 Uses;        /* how often it has been handed out: the generation in its tags */
    ULONG Offset;        /* of the fragment within the IRP's buffer */
    ULONG Length;        /* bytes of data in the slot; 0 for FLUSH and TRIM */
    UCHAR State;         /* SLOT_STATE */
    UCHAR Op : 7;        /* enum cm_op */
    UCHAR HadServer : 1; /* a server before this one has been given the fragment */
    USHORT NextFree;     /* the free slots are a stack */
} SLOT;

/* P: QUEUE.Lock, all but Lock. */
typedef struct QUEUE {
    KSPIN_LOCK Lock;
    BOOLEAN volatile Open; /* I/O is accepted: from the first DiskStart to DiskRemove. Also looked at without the
                            * lock, to refuse early; QueueInsert decides */
    BOOLEAN Closed;     /* DiskRemove: exchanges end */
    LONG OpenHandles;   /* on the device itself, for data; not of a file system on it */
    LIST_ENTRY Waiting; /* IRPs with something left to hand out, oldest first */
    LIST_ENTRY Idle;    /* parked exchanges, the latest first: its thread is the warmest */

    ULONG Epoch;         /* of the server whose exchanges count: see disk.c */
    struct ARENA *Arena; /* NULL: nothing is handed out */

    ULONG Fences; /* slots that are ORPHAN of a WRITE or TRIM: see queue.c */
    ULONG Again;  /* slots that are AGAIN */

    SLOT *Slots;     /* const */
    ULONG Depth;     /* const: how many */
    ULONG SlotSize;  /* const: bytes */
    ULONG FreeCount; /* slots on the stack */
    USHORT FreeHead; /* its top; meaningless when FreeCount is 0 */

    /* requests = completed + failed + cancelled + waiting + in_flight, at every moment.
     * largest_wait_us is kept in clock units; QueueGetStats converts. */
    struct cm_stats Stats;

    /* For HEALTH and for time-outs. */
    ULONG64 HandedOutAgain;
    ULONG64 TimedOut;
    ULONG64
    LastAnswer; /* ClockNow: of a reply, or of when the server got something, having nothing */
    ULONG64 LastLook; /* ClockNow: of QueueExpire; while there is an arena */
    ULONG volatile Timeout; /* clock units; 0: none. Also looked at without the lock, to see if there is one */

    /* At most one RESIZE at a time: see queue_resize.c. */
    BOOLEAN Resizing;
    ULONG64 SizeBefore; /* bytes; meaningless unless Resizing */
    ULONG64
    OtherSize; /* bytes; what the image may have instead of the disk's size. 0: nothing else */
    ULONG64 OtherBefore; /* the same as SizeBefore, of OtherSize */
} QUEUE;

#define QUEUE_FIRST_EPOCH 1u

/* IRQL: PASSIVE. */
NTSTATUS QueueInitialize(QUEUE *Queue, ULONG Depth, ULONG SlotSize,
                         ULONG TimeoutSeconds) MUST_CHECK;
VOID QueueDelete(QUEUE *Queue); /* no IRP is left */

/*
 * A server has gone, or another one comes. If the epoch is later than the queue's: exchanges of the one
 * before end with STATUS_DEVICE_REMOVED and bring and fetch nothing any more, the arena goes, and what
 * had been handed out will be once more. IRQL: <= DISPATCH.
 */
VOID QueueBeginEpoch(struct DISK *Disk, ULONG Epoch);

/* Whether QueueAttach would take an arena: STATUS_SUCCESS, STATUS_NOT_FOUND (the epoch is over),
 * STATUS_INVALID_DEVICE_STATE (there is one). IRQL: <= DISPATCH. */
NTSTATUS QueueWantsArena(struct DISK *Disk, ULONG Epoch) MUST_CHECK;

/* Hand out by way of this arena from now on, if it is of the present epoch; accept I/O, if it is the
 * first. It may be given back before this returns. STATUS_CANCELLED, or as above. IRQL: <= DISPATCH. */
NTSTATUS QueueAttach(struct DISK *Disk, struct ARENA *Arena) MUST_CHECK;

/* Drop one of an arena's uses. IRQL: <= DISPATCH. */
VOID QueueUnuseArena(struct ARENA *Arena);

/* Refuse I/O for ever and end what there is: requests with STATUS_NO_SUCH_DEVICE, parked exchanges
 * with STATUS_DEVICE_REMOVED. IRQL: <= DISPATCH. */
VOID QueueClose(struct DISK *Disk);

/*
 * Take in a request: READ, WRITE or FLUSH_BUFFERS, or DEVICE_CONTROL for TRIM or RESIZE, validated. Marks the
 * IRP pending and takes over the caller's reference to the disk; the IRP is not the caller's any
 * more. IRQL: <= DISPATCH. Hot.
 */
VOID QueueInsert(struct DISK *Disk, PIRP Irp);

/* The following three are a server's, and do nothing when its epoch is over. */

/* Hand out as many fragments as are waiting, fit and have a slot. @return how many. IRQL: <=
 * DISPATCH, any process. Hot. */
ULONG QueueFetch(struct DISK *Disk, ULONG Epoch, struct cm_request *Requests, ULONG Max);

/* An exchange has come: apply its replies, completing what they finish. `Replies` is scratch space
 * afterwards. STATUS_REQUEST_ABORTED: some were refused; STATUS_NOT_FOUND: all, as the epoch is over.
 * IRQL: <= DISPATCH, any process. Hot. */
NTSTATUS QueueReply(struct DISK *Disk, ULONG Epoch, struct cm_reply *Replies,
                    ULONG Count) MUST_CHECK;

/*
 * Park an exchange until there is a request for it. The IRP carries a reference to the disk of its
 * own, which the caller gives up with it.
 *
 * @return STATUS_PENDING: parked, or ended already; not the caller's any more.
 *         STATUS_RETRY: requests came meanwhile. STATUS_DEVICE_REMOVED: the queue is closed, or the
 *         epoch over.
 */
NTSTATUS QueuePark(struct DISK *Disk, ULONG Epoch, PIRP Irp) MUST_CHECK;

/* A parked exchange for which there is something to fetch; the caller's, with its reference. NULL:
 * none. IRQL: <= DISPATCH. Hot. */
PIRP QueueUnpark(struct DISK *Disk, ULONG *Epoch) MUST_CHECK;

/* Whether an image of this size can be the disk's: also where nobody knows how a resize has ended. IRQL: <=
 * DISPATCH. */
BOOLEAN QueueImageMayHaveSize(struct DISK *Disk, ULONG64 Size) MUST_CHECK;

/* A handle for data on the device comes, unless the disk accepts no I/O; and goes. IRQL: PASSIVE. */
BOOLEAN QueueAddHandle(struct DISK *Disk) MUST_CHECK;
VOID QueueRemoveHandle(struct DISK *Disk);

/* Refuse I/O from now on, but only if there is no request and no handle besides so many. @return
 * whether it is so. IRQL: <= DISPATCH. */
BOOLEAN QueueRefuseIfIdle(struct DISK *Disk, ULONG OwnHandles) MUST_CHECK;

/* A RESIZE begins: of its IRP, which is not inserted yet. STATUS_DEVICE_BUSY: there is one already; or the
 * disk is to shrink, and is in use. IRQL: <= DISPATCH. */
NTSTATUS QueueBeginResize(struct DISK *Disk, PIRP Irp, ULONG64 Size, ULONG OwnHandles) MUST_CHECK;

/* From now on no request takes longer than this. IRQL: <= DISPATCH. */
VOID QueueLimitTimeout(struct DISK *Disk, ULONG Seconds);

/* End what has been under way for too long with STATUS_IO_TIMEOUT. Time without an arena does not
 * count. IRQL: <= DISPATCH. */
VOID QueueExpire(struct DISK *Disk);

VOID QueueGetStats(struct DISK *Disk, struct cm_stats *Stats);

/* The fields that are the queue's to fill. IRQL: <= DISPATCH. */
VOID QueueGetHealth(struct DISK *Disk, struct cm_health *Health);

#endif
