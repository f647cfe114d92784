/* SPDX-License-Identifier: MIT */
/*
 * queue.c - the life of a disk's requests. The heart of the driver, all of it on the hot path:
 * called from dispatch and cancel routines at up to DISPATCH_LEVEL, in any thread and any process.
 *
 * A request (IRP):
 *
 *                    first fragment               last reply
 *      (new) -> WAITING ---------> IN FLIGHT -------------------> retired -> completed
 *                  |                  |                              ^
 *                  |   cancel, disk   |  cancel, disk removed        |
 *                  |   removed        v                              |
 *                  |               ABORTED: nothing more is handed   |
 *                  |               out or copied; waits only for the |
 *                  |               copies that run at this moment ---+
 *                  +-------------------------------------------------+
 *
 * A slot, which carries one fragment:
 *
 *      FREE -> FILLING (WRITE: data copied in) -> HANDED OUT -> DRAINING (READ: copied out) -> FREE
 *         \___________ READ, FLUSH, TRIM ________/     |   \___________ all others ___________/
 *                                                      v
 *                     ORPHAN: its IRP was aborted while the server has it. The server may
 *                     write to the slot until it replies, so it is not used again before;
 *                     what the reply says is dropped, and the slot is FREE
 *
 * An orphan of a WRITE or TRIM is also a fence: the server may yet perform it, and must not do so
 * after a later WRITE to the same place. What overlaps it waits until its reply has come.
 *
 * All of it changes under QUEUE.Lock; data is copied without it. A copy is guarded by the request's
 * Copying count: a request is not completed while a copy of its data runs, so its pages stay. One
 * lock rather than an atomic word per request: an exchange of N replies and M requests takes it two
 * to four times in all, not N+M times, and every transition that cancelling, the server's end and
 * several fragments of one IRP make possible is decided in one place at one time.
 *
 * Cancelling. Every request has its cancel routine set from insertion until it is retired. Who
 * retires it (RetireLocked) must get the routine off first; if it has been called already,
 * completing is left to it: it finds RETIRED when it gets the lock. The other way round, the
 * routine leaves a request that is being copied to the last copy. So every IRP is completed exactly
 * once, by the one who holds it last.
 *
 * Nothing is allocated: what we know of a request is in its IRP (Tail.Overlay.DriverContext, which
 * is ours while we own the IRP), slots are made with the disk. IRPs are completed after the lock is
 * released, by way of a list on the stack.
 */
#include "queue.h"

#include "disk.h"
#include "status.h"

typedef enum SLOT_STATE {
    SLOT_FREE = 0,
    SLOT_FILLING,
    SLOT_HANDED_OUT,
    SLOT_DRAINING,
    SLOT_ORPHAN,
} SLOT_STATE;

/* What we know of a request; lies in the IRP. All P: QUEUE.Lock. 16 bytes: all there is on x86. */
typedef struct REQUEST {
    ULONG Next;    /* handed out so far: bytes of READ, WRITE; ranges of TRIM; FLUSH counts as 1 */
    ULONG Arrived; /* clock units, wraps */
    NTSTATUS Status;    /* the first failure */
    ULONG Open : 12;    /* fragments with the server or being copied */
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

/* -- clock ------------------------------------------------------------------------------------- */

/* The performance counter, shifted right until a signed 32-bit difference spans a quarter of an hour
 * and more. */
static ULONG ClockShift;
static ULONG64 ClockFrequency; /* units per second, after the shift */

VOID QueueInitializeClock(VOID)
{
    LARGE_INTEGER Frequency;

    KeQueryPerformanceCounter(&Frequency);
    ClockShift = 0;
    ClockFrequency = (ULONG64)Frequency.QuadPart;
    while (ClockFrequency > 2000 * 1000) {
        ClockShift++;
        ClockFrequency >>= 1;
    }
    if (ClockFrequency == 0)
        ClockFrequency = 1;
}

ALWAYS_INLINE ULONG ClockNow(VOID)
{
    return (ULONG)((ULONG64)KeQueryPerformanceCounter(NULL).QuadPart >> ClockShift);
}

/* -- setting up -------------------------------------------------------------------------------- */

NTSTATUS QueueInitialize(QUEUE *Queue, ULONG Depth, ULONG SlotSize)
{
    ULONG Index;

    KeInitializeSpinLock(&Queue->Lock);
    InitializeListHead(&Queue->Waiting);
    InitializeListHead(&Queue->Idle);
    Queue->Depth = Depth;
    Queue->SlotSize = SlotSize;
    Queue->Slots = PoolAllocate(Depth * sizeof(SLOT));
    if (Queue->Slots == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    for (Index = 0; Index < Depth; Index++)
        Queue->Slots[Index].NextFree = (USHORT)(Index + 1);
    Queue->FreeHead = 0;
    Queue->FreeCount = Depth;
    return STATUS_SUCCESS;
}

VOID QueueDelete(QUEUE *Queue)
{
    PoolFree(Queue->Slots);
    Queue->Slots = NULL;
}

VOID QueueOpen(QUEUE *Queue)
{
    KIRQL Irql;

    KeAcquireSpinLock(&Queue->Lock, &Irql);
    Queue->Open = !Queue->Closed;
    KeReleaseSpinLock(&Queue->Lock, Irql);
}

/* -- slots ------------------------------------------------------------------------------------- */

static SLOT *TakeSlotLocked(QUEUE *Queue)
{
    SLOT *Slot = &Queue->Slots[Queue->FreeHead];

    Queue->FreeHead = Slot->NextFree;
    Queue->FreeCount--;
    Slot->Uses++;
    return Slot;
}

static VOID FreeSlotLocked(QUEUE *Queue, SLOT *Slot)
{
    Slot->Irp = NULL;
    Slot->State = SLOT_FREE;
    Slot->NextFree = Queue->FreeHead;
    Queue->FreeHead = (USHORT)(Slot - Queue->Slots);
    Queue->FreeCount++;
}

ALWAYS_INLINE ULONG64 TagOf(const QUEUE *Queue, const SLOT *Slot)
{
    return Slot->Uses << 16 | (ULONG64)(Slot - Queue->Slots);
}

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

/* Whether the slot, once orphaned, keeps others off its range. */
ALWAYS_INLINE BOOLEAN SlotIsFence(const SLOT *Slot)
{
    return Slot->Op == CM_OP_WRITE || Slot->Op == CM_OP_TRIM;
}

/* Between the IRP's pages and the slot. The IRP cannot go: its request's Copying count is up. */
static VOID CopySlot(struct DISK *Disk, const SLOT *Slot)
{
    PUCHAR Shared = Disk->Arena.Base + (SIZE_T)(Slot - Disk->Queue.Slots) * Disk->Queue.SlotSize;
    /* Mapped by DiskIoReadWrite; from then on this only reads the address from the MDL. */
    PUCHAR Callers =
        (PUCHAR)MmGetSystemAddressForMdlSafe(Slot->Irp->MdlAddress, MappingPriority) + Slot->Offset;

    if (Slot->Op == CM_OP_WRITE)
        RtlCopyMemory(Shared, Callers, Slot->Length);
    else
        RtlCopyMemory(Callers, Shared, Slot->Length);
}

/* -- requests ---------------------------------------------------------------------------------- */

static ULONG OpOf(const IO_STACK_LOCATION *Stack)
{
    switch (Stack->MajorFunction) {
    case IRP_MJ_READ:
        return CM_OP_READ;
    case IRP_MJ_WRITE:
        return CM_OP_WRITE;
    case IRP_MJ_DEVICE_CONTROL:
        return CM_OP_TRIM;
    default: /* FLUSH_BUFFERS, SHUTDOWN */
        return CM_OP_FLUSH;
    }
}

/* How much there is to hand out, in the unit of REQUEST.Next. */
static ULONG TotalOf(PIRP Irp, const IO_STACK_LOCATION *Stack)
{
    const DEVICE_MANAGE_DATA_SET_ATTRIBUTES *Set;

    switch (Stack->MajorFunction) {
    case IRP_MJ_READ:
    case IRP_MJ_WRITE:
        return Stack->Parameters.Read.Length; /* at the same place in Write */
    case IRP_MJ_DEVICE_CONTROL:
        Set = Irp->AssociatedIrp.SystemBuffer;
        return Set->DataSetRangesLength / sizeof(DEVICE_DATA_SET_RANGE);
    default:
        return 1;
    }
}

static VOID UnlinkLocked(REQUEST *Request, PIRP Irp)
{
    if ((Request->Flags & REQUEST_WAITING) != 0) {
        RemoveEntryList(&Irp->Tail.Overlay.ListEntry);
        Request->Flags &= ~REQUEST_WAITING;
    }
}

static VOID CountRetiredLocked(QUEUE *Queue, const REQUEST *Request, ULONG Op, ULONG Length)
{
    struct cm_stats *Stats = &Queue->Stats;

    if (Request->Next == 0)
        Stats->waiting--;
    else
        Stats->in_flight--;
    if (Request->Status == STATUS_CANCELLED) {
        Stats->cancelled++;
        return;
    }
    if (!NT_SUCCESS(Request->Status)) {
        Stats->failed++;
        return;
    }
    Stats->completed++;
    Stats->reads += Op == CM_OP_READ;
    Stats->writes += Op == CM_OP_WRITE;
    Stats->flushes += Op == CM_OP_FLUSH;
    Stats->trims += Op == CM_OP_TRIM;
    Stats->read_bytes += Op == CM_OP_READ ? Length : 0;
    Stats->written_bytes += Op == CM_OP_WRITE ? Length : 0;
}

/* The request is over and none of its fragments is open or being copied: onto Done with it, unless
 * its cancel routine has been called and waits for the lock; then that completes it. */
static VOID RetireLocked(QUEUE *Queue, PIRP Irp, PLIST_ENTRY Done)
{
    PIO_STACK_LOCATION Stack = IoGetCurrentIrpStackLocation(Irp);
    REQUEST *Request = RequestOf(Irp);
    ULONG Op = OpOf(Stack);
    ULONG Length = Op == CM_OP_READ || Op == CM_OP_WRITE ? Stack->Parameters.Read.Length : 0;

    UnlinkLocked(Request, Irp);
    CountRetiredLocked(Queue, Request, Op, Length);
    Irp->IoStatus.Status = Request->Status;
    Irp->IoStatus.Information = NT_SUCCESS(Request->Status) ? Length : 0;
    if ((Request->Flags & REQUEST_CANCEL_RAN) != 0 || IoSetCancelRoutine(Irp, NULL) != NULL)
        InsertTailList(Done, &Irp->Tail.Overlay.ListEntry);
    else
        Request->Flags |= REQUEST_RETIRED;
}

/* End a request now, whatever the server does: fragments that it has become orphans. */
static VOID AbortLocked(QUEUE *Queue, PIRP Irp, NTSTATUS Status, PLIST_ENTRY Done)
{
    REQUEST *Request = RequestOf(Irp);
    ULONG Index;

    if ((Request->Flags & (REQUEST_ABORTED | REQUEST_RETIRED)) != 0)
        return;
    Request->Flags |= REQUEST_ABORTED;
    Request->Status = Status;
    UnlinkLocked(Request, Irp);
    for (Index = 0; Index < Queue->Depth && Request->Open > Request->Copying; Index++) {
        SLOT *Slot = &Queue->Slots[Index];
        if (Slot->Irp == Irp && Slot->State == SLOT_HANDED_OUT) {
            Slot->State = SLOT_ORPHAN;
            Slot->Irp = NULL;
            Queue->Fences += SlotIsFence(Slot);
            Request->Open--;
        }
    }
    if (Request->Open == 0)
        RetireLocked(Queue, Irp, Done);
}

/* Complete what was put on a list under the lock. The last thing done with each disk reference. */
static VOID CompleteAll(struct DISK *Disk, PLIST_ENTRY Done)
{
    while (!IsListEmpty(Done)) {
        PIRP Irp = IrpOfEntry(RemoveHeadList(Done));
        IoCompleteRequest(Irp,
                          NT_SUCCESS(Irp->IoStatus.Status) ? IO_DISK_INCREMENT : IO_NO_INCREMENT);
        DiskDereference(Disk);
    }
}

static VOID NTAPI CancelRequest(PDEVICE_OBJECT Device, PIRP Irp)
{
    struct DISK *Disk = Device->DeviceExtension;
    QUEUE *Queue = &Disk->Queue;
    REQUEST *Request = RequestOf(Irp);
    LIST_ENTRY Done;
    KIRQL Irql;

    DriverEnter();
    IoReleaseCancelSpinLock(Irp->CancelIrql);
    InitializeListHead(&Done);
    KeAcquireSpinLock(&Queue->Lock, &Irql);
    Request->Flags |= REQUEST_CANCEL_RAN;
    if ((Request->Flags & REQUEST_RETIRED) != 0)
        InsertTailList(&Done, &Irp->Tail.Overlay.ListEntry);
    else
        AbortLocked(Queue, Irp, STATUS_CANCELLED, &Done);
    KeReleaseSpinLock(&Queue->Lock, Irql);
    CompleteAll(Disk, &Done);
    DriverLeave();
}

VOID QueueInsert(struct DISK *Disk, PIRP Irp)
{
    QUEUE *Queue = &Disk->Queue;
    REQUEST *Request = RequestOf(Irp);
    LIST_ENTRY Done;
    KIRQL Irql;

    InitializeListHead(&Done);
    RtlZeroMemory(Request, sizeof(*Request));
    Request->Arrived = ClockNow();
    IoMarkIrpPending(Irp);
    KeAcquireSpinLock(&Queue->Lock, &Irql);
    Queue->Stats.requests++;
    Queue->Stats.waiting++;
    Request->Flags = REQUEST_WAITING;
    InsertTailList(&Queue->Waiting, &Irp->Tail.Overlay.ListEntry);
    IoSetCancelRoutine(Irp, CancelRequest);
    if (!Queue->Open) {
        AbortLocked(Queue, Irp, STATUS_NO_SUCH_DEVICE, &Done);
    } else if (Irp->Cancel && IoSetCancelRoutine(Irp, NULL) != NULL) {
        /* Cancelled before the routine was set: nobody will call it. */
        Request->Flags |= REQUEST_CANCEL_RAN;
        AbortLocked(Queue, Irp, STATUS_CANCELLED, &Done);
    }
    KeReleaseSpinLock(&Queue->Lock, Irql);
    CompleteAll(Disk, &Done);
}

/* -- handing out ------------------------------------------------------------------------------- */

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
static PIRP NextToHandOutLocked(const QUEUE *Queue)
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
    FreeSlotLocked(Queue, Slot);
    if (--Request->Open == 0)
        RetireLocked(Queue, Irp, Done);
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
            CopySlot(Disk, &Queue->Slots[CM_TAG_SLOT(Requests[Index].tag)]);

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
    CompleteAll(Disk, &Done);
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
    while (Count < Max && (Irp = NextToHandOutLocked(Queue)) != NULL) {
        HandOutLocked(Queue, Irp, Now, &Requests[Count]);
        Writes |= Requests[Count].op == CM_OP_WRITE;
        Count++;
    }
    KeReleaseSpinLock(&Queue->Lock, Irql);
    return Writes ? FillSlots(Disk, Requests, Count) : Count;
}

/* -- replies ----------------------------------------------------------------------------------- */

/* A fragment has been answered and copied: close it, and the request with its last one. */
static VOID CloseFragmentLocked(QUEUE *Queue, SLOT *Slot, NTSTATUS Status, PLIST_ENTRY Done)
{
    PIRP Irp = Slot->Irp;
    REQUEST *Request = RequestOf(Irp);
    ULONG Total = TotalOf(Irp, IoGetCurrentIrpStackLocation(Irp));

    FreeSlotLocked(Queue, Slot);
    Request->Open--;
    if (!NT_SUCCESS(Status) && (Request->Flags & REQUEST_ABORTED) == 0) {
        if (NT_SUCCESS(Request->Status))
            Request->Status = Status;
        /* The rest would be of no use: the caller gets an error for the whole. */
        UnlinkLocked(Request, Irp);
        Request->Next = Total;
    }
    if (Request->Open == 0 && (Request->Next == Total || (Request->Flags & REQUEST_ABORTED) != 0))
        RetireLocked(Queue, Irp, Done);
}

static BOOLEAN ReplyFits(const SLOT *Slot, const struct cm_reply *Reply)
{
    if (Reply->status >= CM_STATUS_COUNT)
        return FALSE;
    return Reply->length == (Reply->status == CM_STATUS_OK ? Slot->Length : 0);
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
    if (Slot->State == SLOT_ORPHAN) {
        Queue->Fences -= SlotIsFence(Slot);
        FreeSlotLocked(Queue, Slot); /* nobody waits for what it says */
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

/* Copy the data of answered READs to their callers and close the fragments. */
static VOID DrainSlots(struct DISK *Disk, const struct cm_reply *Replies, ULONG Count,
                       PLIST_ENTRY Done)
{
    QUEUE *Queue = &Disk->Queue;
    ULONG Index;
    KIRQL Irql;

    for (Index = 0; Index < Count; Index++)
        if (Replies[Index].tag != NOTHING_TO_COPY)
            CopySlot(Disk, &Queue->Slots[Replies[Index].tag]);

    KeAcquireSpinLock(&Queue->Lock, &Irql);
    for (Index = 0; Index < Count; Index++) {
        if (Replies[Index].tag != NOTHING_TO_COPY) {
            SLOT *Slot = &Queue->Slots[Replies[Index].tag];
            RequestOf(Slot->Irp)->Copying--;
            CloseFragmentLocked(Queue, Slot, STATUS_SUCCESS, Done);
        }
    }
    KeReleaseSpinLock(&Queue->Lock, Irql);
}

ULONG QueueReply(struct DISK *Disk, struct cm_reply *Replies, ULONG Count)
{
    QUEUE *Queue = &Disk->Queue;
    ULONG Index, Refused = 0;
    BOOLEAN Reads = FALSE;
    LIST_ENTRY Done;
    KIRQL Irql;

    InitializeListHead(&Done);
    KeAcquireSpinLock(&Queue->Lock, &Irql);
    Queue->Stats.exchanges++;
    for (Index = 0; Index < Count; Index++) {
        if (!AcceptLocked(Queue, &Replies[Index], &Done))
            Refused++;
        Reads |= Replies[Index].tag != NOTHING_TO_COPY;
    }
    Queue->Stats.bad_replies += Refused;
    KeReleaseSpinLock(&Queue->Lock, Irql);
    if (Reads)
        DrainSlots(Disk, Replies, Count, &Done);
    CompleteAll(Disk, &Done);
    return Refused;
}

/* -- exchanges that wait ----------------------------------------------------------------------- */

static VOID CompleteExchange(struct DISK *Disk, PIRP Irp, NTSTATUS Status)
{
    Irp->IoStatus.Status = Status;
    Irp->IoStatus.Information = 0;
    IoCompleteRequest(Irp, IO_NO_INCREMENT);
    DiskDereference(Disk);
}

/* Only ever called for an exchange that is on QUEUE.Idle; its IRP carries a reference to the disk.
 */
static VOID NTAPI CancelExchange(PDEVICE_OBJECT Device, PIRP Irp)
{
    struct DISK *Disk = Irp->Tail.Overlay.DriverContext[0];
    KIRQL Irql;

    UNREFERENCED_PARAMETER(Device);
    DriverEnter();
    IoReleaseCancelSpinLock(Irp->CancelIrql);
    KeAcquireSpinLock(&Disk->Queue.Lock, &Irql);
    RemoveEntryList(&Irp->Tail.Overlay.ListEntry);
    KeReleaseSpinLock(&Disk->Queue.Lock, Irql);
    CompleteExchange(Disk, Irp, STATUS_CANCELLED);
    DriverLeave();
}

NTSTATUS QueuePark(struct DISK *Disk, PIRP Irp)
{
    QUEUE *Queue = &Disk->Queue;
    NTSTATUS Status = STATUS_PENDING;
    BOOLEAN Cancelled = FALSE;
    KIRQL Irql;

    KeAcquireSpinLock(&Queue->Lock, &Irql);
    if (Queue->Closed) {
        Status = STATUS_DEVICE_REMOVED;
    } else if (NextToHandOutLocked(Queue) != NULL) {
        Status = STATUS_RETRY;
    } else {
        Irp->Tail.Overlay.DriverContext[0] = Disk;
        IoMarkIrpPending(Irp);
        IoSetCancelRoutine(Irp, CancelExchange);
        Cancelled = Irp->Cancel && IoSetCancelRoutine(Irp, NULL) != NULL;
        if (!Cancelled)
            InsertHeadList(&Queue->Idle, &Irp->Tail.Overlay.ListEntry);
    }
    KeReleaseSpinLock(&Queue->Lock, Irql);
    if (Cancelled)
        CompleteExchange(Disk, Irp, STATUS_CANCELLED);
    return Status;
}

/* The latest parked exchange that is not being cancelled, off the list. */
static PIRP TakeIdleLocked(QUEUE *Queue)
{
    PLIST_ENTRY Entry;

    for (Entry = Queue->Idle.Flink; Entry != &Queue->Idle; Entry = Entry->Flink) {
        PIRP Irp = IrpOfEntry(Entry);
        if (IoSetCancelRoutine(Irp, NULL) != NULL) {
            RemoveEntryList(Entry);
            return Irp;
        }
    }
    return NULL;
}

PIRP QueueUnpark(struct DISK *Disk)
{
    QUEUE *Queue = &Disk->Queue;
    PIRP Irp = NULL;
    KIRQL Irql;

    KeAcquireSpinLock(&Queue->Lock, &Irql);
    if (!IsListEmpty(&Queue->Idle) && NextToHandOutLocked(Queue) != NULL)
        Irp = TakeIdleLocked(Queue);
    KeReleaseSpinLock(&Queue->Lock, Irql);
    return Irp;
}

/* -- the end ----------------------------------------------------------------------------------- */

static VOID AbortAllLocked(QUEUE *Queue, PLIST_ENTRY Done)
{
    ULONG Index;

    while (!IsListEmpty(&Queue->Waiting))
        AbortLocked(Queue, IrpOfEntry(Queue->Waiting.Flink), STATUS_NO_SUCH_DEVICE, Done);
    for (Index = 0; Index < Queue->Depth; Index++)
        if (Queue->Slots[Index].Irp != NULL)
            AbortLocked(Queue, Queue->Slots[Index].Irp, STATUS_NO_SUCH_DEVICE, Done);
}

VOID QueueClose(struct DISK *Disk)
{
    QUEUE *Queue = &Disk->Queue;
    LIST_ENTRY Done, Exchanges;
    KIRQL Irql;
    PIRP Irp;

    InitializeListHead(&Done);
    InitializeListHead(&Exchanges);
    KeAcquireSpinLock(&Queue->Lock, &Irql);
    Queue->Open = FALSE;
    Queue->Closed = TRUE;
    AbortAllLocked(Queue, &Done);
    while ((Irp = TakeIdleLocked(Queue)) != NULL)
        InsertTailList(&Exchanges, &Irp->Tail.Overlay.ListEntry);
    KeReleaseSpinLock(&Queue->Lock, Irql);

    CompleteAll(Disk, &Done);
    while (!IsListEmpty(&Exchanges))
        CompleteExchange(Disk, IrpOfEntry(RemoveHeadList(&Exchanges)), STATUS_DEVICE_REMOVED);
}

/* -- counting ---------------------------------------------------------------------------------- */

VOID QueueGetStats(struct DISK *Disk, struct cm_stats *Stats)
{
    KIRQL Irql;

    KeAcquireSpinLock(&Disk->Queue.Lock, &Irql);
    *Stats = Disk->Queue.Stats;
    KeReleaseSpinLock(&Disk->Queue.Lock, Irql);
    Stats->largest_wait_us = Stats->largest_wait_us * 1000000 / ClockFrequency;
}

/* -- handles ----------------------------------------------------------------------------------- */

BOOLEAN QueueAddHandle(struct DISK *Disk)
{
    BOOLEAN Open;
    KIRQL Irql;

    KeAcquireSpinLock(&Disk->Queue.Lock, &Irql);
    Open = Disk->Queue.Open;
    if (Open)
        Disk->Queue.OpenHandles++;
    KeReleaseSpinLock(&Disk->Queue.Lock, Irql);
    return Open;
}

VOID QueueRemoveHandle(struct DISK *Disk)
{
    KIRQL Irql;

    KeAcquireSpinLock(&Disk->Queue.Lock, &Irql);
    Disk->Queue.OpenHandles--;
    KeReleaseSpinLock(&Disk->Queue.Lock, Irql);
}

BOOLEAN QueueRefuseIfIdle(struct DISK *Disk, ULONG OwnHandles)
{
    QUEUE *Queue = &Disk->Queue;
    BOOLEAN Idle;
    KIRQL Irql;

    KeAcquireSpinLock(&Queue->Lock, &Irql);
    Idle = Queue->Stats.waiting == 0 && Queue->Stats.in_flight == 0 &&
           (ULONG)Queue->OpenHandles <= OwnHandles;
    if (Idle)
        Queue->Open = FALSE;
    KeReleaseSpinLock(&Queue->Lock, Irql);
    return Idle;
}
