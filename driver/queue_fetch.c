/* SPDX-License-Identifier: MIT */
/*
 * queue_fetch.c - handing out: waiting requests are cut into fragments, each gets a slot and a tag, and the
 * data of WRITEs is copied into the slots. What an abandoned WRITE or TRIM fences off is passed by. Fragments
 * that a server before this one has left unanswered come first; they have kept their slots.
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
    Slot->HadServer = FALSE;
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
    case CM_OP_RESIZE:
        *Offset = QueueSizeOfResize(Irp);
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

/* Whether an abandoned WRITE, TRIM or RESIZE that the server may yet perform is in the way of a request's
 * next fragment: by overlapping it; a RESIZE, either of them, is in everybody's. */
static BOOLEAN IsFencedLocked(const QUEUE *Queue, PIRP Irp)
{
    BOOLEAN Resize = OpOf(IoGetCurrentIrpStackLocation(Irp)) == CM_OP_RESIZE;
    ULONG64 Offset, Length;
    ULONG Index;

    NextRangeLocked(Queue, Irp, &Offset, &Length);
    for (Index = 0; Index < Queue->Depth; Index++) {
        const SLOT *Slot = &Queue->Slots[Index];
        if (Slot->State != SLOT_ORPHAN || !SlotIsFence(Slot))
            continue;
        if (Resize || Slot->Op == CM_OP_RESIZE ||
            (Offset < Slot->DiskOffset + Slot->DiskLength && Slot->DiskOffset < Offset + Length))
            return TRUE;
    }
    return FALSE;
}

/* The oldest request of which a fragment can be handed out now; NULL: none. */
static PIRP NextLocked(const QUEUE *Queue)
{
    PLIST_ENTRY Entry;

    if (Queue->FreeCount == 0)
        return NULL;
    for (Entry = Queue->Waiting.Flink; Entry != &Queue->Waiting; Entry = Entry->Flink)
        if (Queue->Fences == 0 || !IsFencedLocked(Queue, IrpOfEntry(Entry)))
            return IrpOfEntry(Entry);
    return NULL;
}

BOOLEAN QueueHasWorkLocked(const QUEUE *Queue)
{
    return Queue->Arena != NULL && (Queue->Again != 0 || NextLocked(Queue) != NULL);
}

/* Describe the next fragment of a request, and move on beyond it. */
static VOID CutFragmentLocked(QUEUE *Queue, PIRP Irp, SLOT *Slot)
{
    BOOLEAN HasData = Slot->Op == CM_OP_READ || Slot->Op == CM_OP_WRITE;
    REQUEST *Request = RequestOf(Irp);

    NextRangeLocked(Queue, Irp, &Slot->DiskOffset, &Slot->DiskLength);
    Slot->Offset = Request->Next;
    Slot->Length = HasData ? (ULONG)Slot->DiskLength : 0;
    Request->Next += HasData ? Slot->Length : 1;
}

/* The server may have it: from here on a reply to it counts. */
static VOID HandedOutLocked(QUEUE *Queue, SLOT *Slot)
{
    Slot->State = SLOT_HANDED_OUT;
    Queue->Stats.handed_out++;
    Queue->HandedOutAgain += Slot->HadServer;
}

/* Describe a slot's fragment for the server. Of a WRITE the data is to be copied first. */
static VOID OfferLocked(QUEUE *Queue, SLOT *Slot, struct cm_request *Out)
{
    const IO_STACK_LOCATION *Stack = IoGetCurrentIrpStackLocation(Slot->Irp);

    RtlZeroMemory(Out, sizeof(*Out));
    Out->tag = TagOf(Queue, Slot);
    Out->offset = Slot->DiskOffset;
    Out->length = Slot->DiskLength;
    Out->op = Slot->Op;
    if (Slot->Op != CM_OP_WRITE) {
        HandedOutLocked(Queue, Slot);
        return;
    }
    if ((Stack->Flags & SL_WRITE_THROUGH) != 0)
        Out->flags = CM_REQUEST_FUA;
    RequestOf(Slot->Irp)->Copying++;
    Slot->State = SLOT_FILLING;
}

static VOID HandOutLocked(QUEUE *Queue, PIRP Irp, ULONG Now, struct cm_request *Out)
{
    PIO_STACK_LOCATION Stack = IoGetCurrentIrpStackLocation(Irp);
    REQUEST *Request = RequestOf(Irp);
    SLOT *Slot = TakeSlotLocked(Queue);

    if (Request->Next == 0) {
        QueueNoteWaitLocked(Queue, Request, Now);
        Queue->Stats.waiting--;
        Queue->Stats.in_flight++;
    }
    Slot->Irp = Irp;
    Slot->Op = (UCHAR)OpOf(Stack);
    CutFragmentLocked(Queue, Irp, Slot);
    Request->Open++;
    OfferLocked(Queue, Slot, Out);
    if (Request->Next == TotalOf(Irp, Stack)) {
        UnlinkLocked(Request, Irp);
    } else {
        /* Others get their turn between the fragments of a large request. */
        RemoveEntryList(&Irp->Tail.Overlay.ListEntry);
        InsertTailList(&Queue->Waiting, &Irp->Tail.Overlay.ListEntry);
    }
}

/* What a server before this one has had comes first, whatever waits. @return how many. */
static ULONG HandOutAgainLocked(QUEUE *Queue, struct cm_request *Requests, ULONG Max)
{
    ULONG Index, Count = 0;

    for (Index = 0; Queue->Again != 0 && Count < Max && Index < Queue->Depth; Index++) {
        SLOT *Slot = &Queue->Slots[Index];
        if (Slot->State == SLOT_AGAIN) {
            Queue->Again--;
            Slot->Uses++;
            OfferLocked(Queue, Slot, &Requests[Count++]);
        }
    }
    return Count;
}

/*
 * The data of a WRITE is in its slot: the server may have it, unless the request was aborted or the
 * server lost meanwhile.
 */
static BOOLEAN EndFillLocked(QUEUE *Queue, SLOT *Slot, BOOLEAN Over, PLIST_ENTRY Done)
{
    PIRP Irp = Slot->Irp;
    REQUEST *Request = RequestOf(Irp);

    Request->Copying--;
    if ((Request->Flags & REQUEST_ABORTED) != 0) {
        QueueFreeSlotLocked(Queue, Slot);
        if (--Request->Open == 0)
            QueueRetireLocked(Queue, Irp, Done);
        return FALSE;
    }
    if (Over) {
        Slot->State = SLOT_AGAIN;
        Queue->Again++;
        return FALSE;
    }
    HandedOutLocked(Queue, Slot);
    return TRUE;
}

/* Copy the data of WRITEs into their slots. @return how many requests are still worth handing out.
 */
static ULONG FillSlots(ARENA *Arena, struct cm_request *Requests, ULONG Count)
{
    struct DISK *Disk = Arena->Disk;
    QUEUE *Queue = &Disk->Queue;
    ULONG Index, Kept = 0;
    BOOLEAN Over, Last;
    LIST_ENTRY Done;
    KIRQL Irql;

    for (Index = 0; Index < Count; Index++)
        if (Requests[Index].op == CM_OP_WRITE)
            QueueCopySlot(Arena, &Queue->Slots[CM_TAG_SLOT(Requests[Index].tag)]);

    InitializeListHead(&Done);
    KeAcquireSpinLock(&Queue->Lock, &Irql);
    Over =
        Queue->Epoch != Arena->Epoch; /* then QueueBeginEpoch has taken back all but the WRITEs */
    for (Index = 0; Index < Count; Index++) {
        SLOT *Slot = &Queue->Slots[CM_TAG_SLOT(Requests[Index].tag)];
        if (Requests[Index].op == CM_OP_WRITE && !EndFillLocked(Queue, Slot, Over, &Done))
            continue;
        if (Kept != Index)
            Requests[Kept] = Requests[Index];
        Kept++;
    }
    Last = ArenaUnuseLocked(Arena);
    KeReleaseSpinLock(&Queue->Lock, Irql);
    if (Last)
        ArenaGiveBack(Arena);
    QueueCompleteAll(Disk, &Done);
    return Over ? 0 : Kept;
}

ULONG QueueFetch(struct DISK *Disk, ULONG Epoch, struct cm_request *Requests, ULONG Max)
{
    QUEUE *Queue = &Disk->Queue;
    ULONG Count = 0, Index;
    ULONG64 Now;
    ARENA *Filling = NULL;
    KIRQL Irql;
    PIRP Irp;

    KeAcquireSpinLock(&Queue->Lock, &Irql);
    if (Queue->Epoch == Epoch && Queue->Arena != NULL) {
        Now = ClockNow();
        if (!QueueServerHasAnyLocked(Queue))
            Queue->LastAnswer = Now;
        Count = HandOutAgainLocked(Queue, Requests, Max);
        while (Count < Max && (Irp = NextLocked(Queue)) != NULL)
            HandOutLocked(Queue, Irp, (ULONG)Now, &Requests[Count++]);
        for (Index = 0; Index < Count && Filling == NULL; Index++)
            if (Requests[Index].op == CM_OP_WRITE)
                Filling = Queue->Arena;
        if (Filling != NULL)
            ArenaUseLocked(Filling);
    }
    KeReleaseSpinLock(&Queue->Lock, Irql);
    return Filling != NULL ? FillSlots(Filling, Requests, Count) : Count;
}
