/* SPDX-License-Identifier: MIT */
/*
 * queue_internal.h - what the files of the queue share: queue.c (a request's life, with the diagram),
 * queue_fetch.c (handing out), queue_reply.c (answers), queue_park.c (exchanges that wait), queue_server.c
 * (servers that come, go and hang), queue_resize.c (a disk of another size). Included by them alone. Functions that end in ...Locked want QUEUE.Lock held.
 */
#ifndef COREMNT_QUEUE_INTERNAL_H
#define COREMNT_QUEUE_INTERNAL_H

#include "clock.h"
#include "disk.h"
#include "queue.h"

typedef enum SLOT_STATE {
    SLOT_FREE = 0,
    SLOT_FILLING,
    SLOT_HANDED_OUT,
    SLOT_DRAINING,
    SLOT_ORPHAN,
    SLOT_AGAIN,
} SLOT_STATE;

/* What we know of a request; lies in the IRP. All P: QUEUE.Lock. 16 bytes: all there is on x86. */
typedef struct REQUEST {
    ULONG Next;    /* handed out so far: bytes of READ, WRITE; ranges of TRIM; others count as 1 */
    ULONG Arrived; /* clock units, wraps */
    NTSTATUS Status;    /* the first failure */
    ULONG Open : 12;    /* fragments that have a slot */
    ULONG Copying : 12; /* of those, being copied at this moment */
    ULONG Flags : 8;    /* REQUEST_* */
} REQUEST;

C_ASSERT(sizeof(REQUEST) <= sizeof(((PIRP)NULL)->Tail.Overlay.DriverContext));
C_ASSERT(CM_MAX_QUEUE_DEPTH < 1 << 12);

#define REQUEST_WAITING 1u    /* on QUEUE.Waiting */
#define REQUEST_ABORTED 2u    /* see the diagram */
#define REQUEST_CANCEL_RAN 4u /* the cancel routine has been here: no need to get it off */
#define REQUEST_RETIRED 8u    /* finished; completing is left to the cancel routine */

ALWAYS_INLINE REQUEST *RequestOf(PIRP Irp)
{
    return (REQUEST *)Irp->Tail.Overlay.DriverContext;
}

ALWAYS_INLINE PIRP IrpOfEntry(PLIST_ENTRY Entry)
{
    return CONTAINING_RECORD(Entry, IRP, Tail.Overlay.ListEntry);
}

ALWAYS_INLINE ULONG64 TagOf(const QUEUE *Queue, const SLOT *Slot)
{
    return Slot->Uses << 16 | (ULONG64)(Slot - Queue->Slots);
}

/* Whether the slot, once orphaned, keeps others off its range. */
ALWAYS_INLINE BOOLEAN SlotIsFence(const SLOT *Slot)
{
    return Slot->Op == CM_OP_WRITE || Slot->Op == CM_OP_TRIM || Slot->Op == CM_OP_RESIZE;
}

ALWAYS_INLINE ULONG OpOf(const IO_STACK_LOCATION *Stack)
{
    switch (Stack->MajorFunction) {
    case IRP_MJ_READ:
        return CM_OP_READ;
    case IRP_MJ_WRITE:
        return CM_OP_WRITE;
    case IRP_MJ_DEVICE_CONTROL:
        return Stack->Parameters.DeviceIoControl.IoControlCode == CM_IOCTL_RESIZE ? CM_OP_RESIZE
                                                                                  : CM_OP_TRIM;
    default: /* FLUSH_BUFFERS, SHUTDOWN */
        return CM_OP_FLUSH;
    }
}

/* How much there is to hand out, in the unit of REQUEST.Next. */
ALWAYS_INLINE ULONG TotalOf(PIRP Irp, const IO_STACK_LOCATION *Stack)
{
    const DEVICE_MANAGE_DATA_SET_ATTRIBUTES *Set;

    switch (OpOf(Stack)) {
    case CM_OP_READ:
    case CM_OP_WRITE:
        return Stack->Parameters.Read.Length; /* at the same place in Write */
    case CM_OP_TRIM:
        Set = Irp->AssociatedIrp.SystemBuffer;
        return Set->DataSetRangesLength / sizeof(DEVICE_DATA_SET_RANGE);
    default:
        return 1;
    }
}

ALWAYS_INLINE VOID UnlinkLocked(REQUEST *Request, PIRP Irp)
{
    if ((Request->Flags & REQUEST_WAITING) != 0) {
        RemoveEntryList(&Irp->Tail.Overlay.ListEntry);
        Request->Flags &= ~REQUEST_WAITING;
    }
}

/* -- queue.c ----------------------------------------------------------------------------------- */

VOID QueueFreeSlotLocked(QUEUE *Queue, SLOT *Slot);

/* A request's wait for being handed out ends now; or its part of it until now. Hot. */
ALWAYS_INLINE VOID QueueNoteWaitLocked(QUEUE *Queue, const REQUEST *Request, ULONG Now)
{
    ULONG Waited = Now - Request->Arrived;

    /* The clocks of processors may differ by a little, and then it is "negative". */
    if ((LONG)Waited > 0 && Waited > Queue->Stats.largest_wait_us)
        Queue->Stats.largest_wait_us = Waited;
}

/* Between the IRP's pages and the slot: the one copy of a request's data. The IRP cannot go: its
 * request's Copying count is up. Nor can the arena: the batch uses it. Without the lock. */
VOID QueueCopySlot(const ARENA *Arena, const SLOT *Slot);

/* The request is over and none of its fragments is open or being copied: onto Done with it, unless
 * its cancel routine has been called and waits for the lock; then that completes it. */
VOID QueueRetireLocked(QUEUE *Queue, PIRP Irp, PLIST_ENTRY Done);

/* Complete what was put on a list under the lock. The last thing done with each disk reference. */
VOID QueueCompleteAll(struct DISK *Disk, PLIST_ENTRY Done);

/* End a request now, whatever the server does: fragments that it has become orphans. Those that no
 * server has any more leave nothing behind. */
VOID QueueAbortLocked(QUEUE *Queue, PIRP Irp, NTSTATUS Status, PLIST_ENTRY Done);

/* Whether there is a slot whose reply is still to come. */
ALWAYS_INLINE BOOLEAN QueueServerHasAnyLocked(const QUEUE *Queue)
{
    return Queue->FreeCount + Queue->Again != Queue->Depth;
}

/* -- queue_server.c ---------------------------------------------------------------------------- */

/* The disk's arena is the disk's no longer. @return it, if it is to be given back: it was there, and
 * nobody uses it. */
ARENA *QueueDetachLocked(QUEUE *Queue);

/* -- queue_fetch.c ----------------------------------------------------------------------------- */

/* Whether there is something that can be handed out now. */
BOOLEAN QueueHasWorkLocked(const QUEUE *Queue);

/* -- queue_resize.c ---------------------------------------------------------------------------- */

typedef enum RESIZE_END {
    RESIZE_DONE,    /* by the server */
    RESIZE_FAILED,  /* nothing has changed */
    RESIZE_UNKNOWN, /* a server that may have done it was lost */
} RESIZE_END;

VOID QueueEndResizeLocked(QUEUE *Queue, ULONG64 Size, RESIZE_END End);

/* The disk of a RESIZE, whose IRP is the control device's; and the size it asks for. */
struct DISK *QueueDiskOfResize(PIRP Irp);
ULONG64 QueueSizeOfResize(PIRP Irp);

/* -- queue_park.c ------------------------------------------------------------------------------ */

/* Off the list with all of them; and, after the lock, their end, with STATUS_DEVICE_REMOVED. */
VOID QueueTakeAllIdleLocked(QUEUE *Queue, PLIST_ENTRY Exchanges);
VOID QueueEndExchanges(struct DISK *Disk, PLIST_ENTRY Exchanges);

#endif
