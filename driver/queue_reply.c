/* SPDX-License-Identifier: MIT */
/*
 * queue_reply.c - answers: each is held against the slot that its tag names, the data of READs is copied to
 * their callers, and requests are completed with their last fragment.
 *
 * Called by exchange.c at up to DISPATCH_LEVEL, in the server's thread; all of it hot. queue.c has the
 * diagrams of requests and slots. Replies come from user mode: nothing of one is believed but what its slot
 * says too.
 */
#include "queue_internal.h"
#include "status.h"

/* The slot that a server's tag names, or NULL: never a slot's earlier use, never beyond the table.
 */
static SLOT *FindSlotLocked(QUEUE *Queue, ULONG64 Tag)
{
    ULONG Index = CM_TAG_SLOT(Tag);
    SLOT *Slot;

    if (Index >= Queue->Depth)
        return NULL;
    Slot = &Queue->Slots[Index];
    return TagOf(Queue, Slot) == Tag ? Slot : NULL;
}

/* A fragment has been answered and copied: close it, and the request with its last one. */
static VOID CloseFragmentLocked(QUEUE *Queue, SLOT *Slot, NTSTATUS Status, PLIST_ENTRY Done)
{
    PIRP Irp = Slot->Irp;
    REQUEST *Request = RequestOf(Irp);
    ULONG Total = TotalOf(Irp, IoGetCurrentIrpStackLocation(Irp));

    QueueFreeSlotLocked(Queue, Slot);
    Request->Open--;
    if (!NT_SUCCESS(Status) && (Request->Flags & REQUEST_ABORTED) == 0) {
        if (NT_SUCCESS(Request->Status))
            Request->Status = Status;
        /* The rest would be of no use: the caller gets an error for the whole. */
        UnlinkLocked(Request, Irp);
        Request->Next = Total;
    }
    if (Request->Open == 0 && (Request->Next == Total || (Request->Flags & REQUEST_ABORTED) != 0))
        QueueRetireLocked(Queue, Irp, Done);
}

static BOOLEAN ReplyFits(const SLOT *Slot, const struct cm_reply *Reply)
{
    if (Reply->status >= CM_STATUS_COUNT)
        return FALSE;
    return Reply->length == (Reply->status == CM_STATUS_OK ? Slot->Length : 0);
}

/* Of a server that refuses; what one before it has done nobody knows. */
static RESIZE_END EndOfResize(const SLOT *Slot, const struct cm_reply *Reply)
{
    if (Reply->status == CM_STATUS_OK)
        return RESIZE_DONE;
    return Slot->HadServer ? RESIZE_UNKNOWN : RESIZE_FAILED;
}

/*
 * Take a reply in. @return FALSE if it is refused. Otherwise Reply->tag becomes the index of a slot
 * whose data is to be copied, or NOTHING_TO_COPY.
 */
#define NOTHING_TO_COPY MAXULONG64

static BOOLEAN AcceptLocked(QUEUE *Queue, struct cm_reply *Reply, PLIST_ENTRY Done)
{
    SLOT *Slot = FindSlotLocked(Queue, Reply->tag);

    Reply->tag = NOTHING_TO_COPY;
    if (Slot == NULL)
        return FALSE;
    if (Slot->Op == CM_OP_RESIZE &&
        (Slot->State == SLOT_ORPHAN || (Slot->State == SLOT_HANDED_OUT && ReplyFits(Slot, Reply))))
        QueueEndResizeLocked(Queue, Slot->DiskOffset, EndOfResize(Slot, Reply));
    if (Slot->State == SLOT_ORPHAN) {
        Queue->Fences -= SlotIsFence(Slot);
        QueueFreeSlotLocked(Queue, Slot); /* nobody else waits for what it says */
        return TRUE;
    }
    if (Slot->State != SLOT_HANDED_OUT || !ReplyFits(Slot, Reply))
        return FALSE;
    if (Slot->Op == CM_OP_READ && Reply->status == CM_STATUS_OK) {
        Slot->State = SLOT_DRAINING;
        RequestOf(Slot->Irp)->Copying++;
        Reply->tag = (ULONG64)(Slot - Queue->Slots);
        return TRUE;
    }
    CloseFragmentLocked(Queue, Slot, StatusFromServer(Reply->status), Done);
    return TRUE;
}

/* Copy the data of answered READs to their callers and close the fragments. The arena is the one that
 * the data is in, also if it is not the disk's any more. */
static VOID DrainSlots(ARENA *Arena, const struct cm_reply *Replies, ULONG Count, PLIST_ENTRY Done)
{
    QUEUE *Queue = &Arena->Disk->Queue;
    BOOLEAN Last;
    ULONG Index;
    KIRQL Irql;

    for (Index = 0; Index < Count; Index++)
        if (Replies[Index].tag != NOTHING_TO_COPY)
            QueueCopySlot(Arena, &Queue->Slots[Replies[Index].tag]);

    KeAcquireSpinLock(&Queue->Lock, &Irql);
    for (Index = 0; Index < Count; Index++) {
        if (Replies[Index].tag != NOTHING_TO_COPY) {
            SLOT *Slot = &Queue->Slots[Replies[Index].tag];
            RequestOf(Slot->Irp)->Copying--;
            CloseFragmentLocked(Queue, Slot, STATUS_SUCCESS, Done);
        }
    }
    Last = ArenaUnuseLocked(Arena);
    KeReleaseSpinLock(&Queue->Lock, Irql);
    if (Last)
        ArenaGiveBack(Arena);
}

/* @return how many are refused. *Reads: data of some is to be copied. */
static ULONG AcceptAllLocked(QUEUE *Queue, struct cm_reply *Replies, ULONG Count, BOOLEAN *Reads,
                             PLIST_ENTRY Done)
{
    ULONG Index, Refused = 0;

    for (Index = 0; Index < Count; Index++) {
        if (!AcceptLocked(Queue, &Replies[Index], Done))
            Refused++;
        *Reads |= Replies[Index].tag != NOTHING_TO_COPY;
    }
    return Refused;
}

NTSTATUS QueueReply(struct DISK *Disk, ULONG Epoch, struct cm_reply *Replies, ULONG Count)
{
    QUEUE *Queue = &Disk->Queue;
    BOOLEAN Reads = FALSE, Over;
    ULONG Refused = 0;
    ARENA *Arena;
    LIST_ENTRY Done;
    KIRQL Irql;

    InitializeListHead(&Done);
    KeAcquireSpinLock(&Queue->Lock, &Irql);
    Arena = Queue->Arena;
    Over = Queue->Epoch != Epoch;
    if (!Over) {
        Queue->Stats.exchanges++;
        Refused = AcceptAllLocked(Queue, Replies, Count, &Reads, &Done);
        Queue->Stats.bad_replies += Refused;
        if (Count > Refused)
            Queue->LastAnswer = ClockNow();
        if (Reads)
            ArenaUseLocked(Arena); /* it is there, as something was handed out */
    }
    KeReleaseSpinLock(&Queue->Lock, Irql);
    if (Reads)
        DrainSlots(Arena, Replies, Count, &Done);
    QueueCompleteAll(Disk, &Done);
    if (Over)
        return STATUS_NOT_FOUND;
    return Refused != 0 ? STATUS_REQUEST_ABORTED : STATUS_SUCCESS;
}
