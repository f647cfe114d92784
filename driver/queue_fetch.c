/* SPDX-License-Identifier: MIT */
/*
 * queue_fetch.c - handing out: waiting requests are cut into fragments, each gets a slot and a tag, and the
 * data of WRITEs is copied into the slots. What an abandoned WRITE or TRIM fences off is passed by.
 *
 * Called by exchange.c at up to DISPATCH_LEVEL, in any thread and any process; all of it hot. queue.c has
 * the diagrams of requests and slots.
 */
#include "queue_internal.h"

static SLOT *TakeSlotLocked(QUEUE *Queue)
{
    SLOT *Slot = &Queue->Slots[Queue->FreeHead];

    Queue->FreeHead = Slot->NextFree;
    Queue->FreeCount--;
    Slot->Uses++;
    return Slot;
}

/* Where on the disk the next fragment of a request lies. */
static VOID NextRangeLocked(const QUEUE *Queue, PIRP Irp, ULONG64 *Offset, ULONG64 *Length)
{
    const IO_STACK_LOCATION *Stack = IoGetCurrentIrpStackLocation(Irp);
    ULONG Next = RequestOf(Irp)->Next;
    const DEVICE_MANAGE_DATA_SET_ATTRIBUTES *Set;
    const TRIM_RANGE *Range;

    *Offset = 0;
    *Length = 0;
    switch (OpOf(Stack)) {
    case CM_OP_READ:
    case CM_OP_WRITE:
        *Offset = (ULONG64)Stack->Parameters.Read.ByteOffset.QuadPart + Next;
        *Length = min(Queue->SlotSize, Stack->Parameters.Read.Length - Next);
        break;
    case CM_OP_TRIM:
        Set = Irp->AssociatedIrp.SystemBuffer;
        Range = (const TRIM_RANGE *)((const UCHAR *)Set + Set->DataSetRangesOffset) + Next;
        *Offset = (ULONG64)Range->StartingOffset;
        *Length = Range->LengthInBytes;
        break;
    default:
        break;
    }
}

/* Whether an abandoned WRITE or TRIM that the server may yet perform overlaps a request's next
 * fragment. */
static BOOLEAN IsFencedLocked(const QUEUE *Queue, PIRP Irp)
{
    ULONG64 Offset, Length;
    ULONG Index;

    NextRangeLocked(Queue, Irp, &Offset, &Length);
    for (Index = 0; Index < Queue->Depth; Index++) {
        const SLOT *Slot = &Queue->Slots[Index];
        if (Slot->State == SLOT_ORPHAN && SlotIsFence(Slot) &&
            Offset < Slot->DiskOffset + Slot->DiskLength && Slot->DiskOffset < Offset + Length)
            return TRUE;
    }
    return FALSE;
}

/* The oldest request of which a fragment can be handed out now; NULL: none. */
PIRP QueueNextLocked(const QUEUE *Queue)
{
    PLIST_ENTRY Entry;

    if (Queue->FreeCount == 0)
        return NULL;
    for (Entry = Queue->Waiting.Flink; Entry != &Queue->Waiting; Entry = Entry->Flink)
        if (Queue->Fences == 0 || !IsFencedLocked(Queue, IrpOfEntry(Entry)))
            return IrpOfEntry(Entry);
    return NULL;
}

/* Describe the next fragment of a request, for us and for the server, and move on beyond it. */
static VOID CutFragmentLocked(QUEUE *Queue, PIRP Irp, SLOT *Slot, struct cm_request *Out)
{
    const IO_STACK_LOCATION *Stack = IoGetCurrentIrpStackLocation(Irp);
    BOOLEAN HasData = Slot->Op == CM_OP_READ || Slot->Op == CM_OP_WRITE;
    REQUEST *Request = RequestOf(Irp);

    NextRangeLocked(Queue, Irp, &Slot->DiskOffset, &Slot->DiskLength);
    Slot->Offset = Request->Next;
    Slot->Length = HasData ? (ULONG)Slot->DiskLength : 0;
    RtlZeroMemory(Out, sizeof(*Out));
    Out->tag = TagOf(Queue, Slot);
    Out->offset = Slot->DiskOffset;
    Out->length = Slot->DiskLength;
    Out->op = Slot->Op;
    if (Slot->Op == CM_OP_WRITE && (Stack->Flags & SL_WRITE_THROUGH) != 0)
        Out->flags = CM_REQUEST_FUA;
    Request->Next += HasData ? Slot->Length : 1;
}

static VOID HandOutLocked(QUEUE *Queue, PIRP Irp, ULONG Now, struct cm_request *Out)
{
    PIO_STACK_LOCATION Stack = IoGetCurrentIrpStackLocation(Irp);
    REQUEST *Request = RequestOf(Irp);
    SLOT *Slot = TakeSlotLocked(Queue);

    if (Request->Next == 0) {
        ULONG Waited = Now - Request->Arrived;
        /* The clocks of processors may differ by a little, and then it is "negative". */
        if ((LONG)Waited > 0 && Waited > Queue->Stats.largest_wait_us)
            Queue->Stats.largest_wait_us = Waited;
        Queue->Stats.waiting--;
        Queue->Stats.in_flight++;
    }
    Queue->Stats.handed_out++;
    Slot->Irp = Irp;
    Slot->Op = (UCHAR)OpOf(Stack);
    CutFragmentLocked(Queue, Irp, Slot, Out);
    Request->Open++;
    if (Slot->Op == CM_OP_WRITE) {
        Request->Copying++;
        Slot->State = SLOT_FILLING;
    } else {
        Slot->State = SLOT_HANDED_OUT;
    }
    if (Request->Next == TotalOf(Irp, Stack)) {
        UnlinkLocked(Request, Irp);
    } else {
        /* Others get their turn between the fragments of a large request. */
        RemoveEntryList(&Irp->Tail.Overlay.ListEntry);
        InsertTailList(&Queue->Waiting, &Irp->Tail.Overlay.ListEntry);
    }
}

/* The data of a WRITE is in its slot: the server may have it, unless the request was aborted
 * meanwhile. */
static BOOLEAN EndFillLocked(QUEUE *Queue, SLOT *Slot, PLIST_ENTRY Done)
{
    PIRP Irp = Slot->Irp;
    REQUEST *Request = RequestOf(Irp);

    Request->Copying--;
    if ((Request->Flags & REQUEST_ABORTED) == 0) {
        Slot->State = SLOT_HANDED_OUT;
        return TRUE;
    }
    Queue->Stats.handed_out--;
    QueueFreeSlotLocked(Queue, Slot);
    if (--Request->Open == 0)
        QueueRetireLocked(Queue, Irp, Done);
    return FALSE;
}

/* Copy the data of WRITEs into their slots. @return how many requests are still worth handing out.
 */
static ULONG FillSlots(struct DISK *Disk, struct cm_request *Requests, ULONG Count)
{
    QUEUE *Queue = &Disk->Queue;
    ULONG Index, Kept = 0;
    LIST_ENTRY Done;
    KIRQL Irql;

    for (Index = 0; Index < Count; Index++)
        if (Requests[Index].op == CM_OP_WRITE)
            QueueCopySlot(Disk, &Queue->Slots[CM_TAG_SLOT(Requests[Index].tag)]);

    InitializeListHead(&Done);
    KeAcquireSpinLock(&Queue->Lock, &Irql);
    for (Index = 0; Index < Count; Index++) {
        SLOT *Slot = &Queue->Slots[CM_TAG_SLOT(Requests[Index].tag)];
        if (Requests[Index].op == CM_OP_WRITE && !EndFillLocked(Queue, Slot, &Done))
            continue;
        if (Kept != Index)
            Requests[Kept] = Requests[Index];
        Kept++;
    }
    KeReleaseSpinLock(&Queue->Lock, Irql);
    QueueCompleteAll(Disk, &Done);
    return Kept;
}

ULONG QueueFetch(struct DISK *Disk, struct cm_request *Requests, ULONG Max)
{
    QUEUE *Queue = &Disk->Queue;
    ULONG Count = 0, Now;
    BOOLEAN Writes = FALSE;
    KIRQL Irql;
    PIRP Irp;

    KeAcquireSpinLock(&Queue->Lock, &Irql);
    Now = ClockNow();
    while (Count < Max && (Irp = QueueNextLocked(Queue)) != NULL) {
        HandOutLocked(Queue, Irp, Now, &Requests[Count]);
        Writes |= Requests[Count].op == CM_OP_WRITE;
        Count++;
    }
    KeReleaseSpinLock(&Queue->Lock, Irql);
    return Writes ? FillSlots(Disk, Requests, Count) : Count;
}
