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
 *         \___________ READ, FLUSH, TRIM ________/  |  |   \___________ all others ___________/
 *              ^ the next server                    |  |
 *              |                                    |  |
 *            AGAIN <-- the server was lost ---------+  |
 *                      (or is, while it is FILLING)    v
 *                     ORPHAN: its IRP was aborted while the server has it. The server may
 *                     write to the slot until it replies, so it is not used again before;
 *                     what the reply says is dropped, and the slot is FREE
 *
 * An orphan of a WRITE or TRIM is also a fence: the server may yet perform it, and must not do so
 * after a later WRITE to the same place. What overlaps it waits until its reply has come, or the server
 * has gone. A RESIZE overlaps everything. Orphans do not outlive their server.
 *
 * Servers come and go (disk.c has that diagram); QUEUE.Epoch tells which is meant. It changes together
 * with the slots, and every exchange names its own under the lock: so one of a lost server, wherever it
 * was at that moment, can neither answer nor fetch, and nothing is handed out into a dead process.
 * Whatever had been is AGAIN; copies that run go on in the arena that they began with.
 *
 * All of it changes under QUEUE.Lock; data is copied without it. A copy is guarded by the request's
 * Copying count: a request is not completed while a copy of its data runs, so its pages stay. One
 * lock rather than an atomic word per request: an exchange of N replies and M requests takes it two
 * to four times in all, not N+M times, and every transition that cancelling, the server's end and
 * several fragments of one IRP make possible is decided in one place at one time.
 *
 * Cancelling. Every request has its cancel routine set from insertion until it is retired. Who
 * retires it (QueueRetireLocked) must get the routine off first; if it has been called already,
 * completing is left to it: it finds RETIRED when it gets the lock. The other way round, the
 * routine leaves a request that is being copied to the last copy. So every IRP is completed exactly
 * once, by the one who holds it last.
 *
 * Nothing is allocated: what we know of a request is in its IRP (Tail.Overlay.DriverContext, which
 * is ours while we own the IRP), slots are made with the disk. IRPs are completed after the lock is
 * released, by way of a list on the stack.
 */
#include "queue_internal.h"

/* -- setting up -------------------------------------------------------------------------------- */

NTSTATUS QueueInitialize(QUEUE *Queue, ULONG Depth, ULONG SlotSize, ULONG TimeoutSeconds)
{
    ULONG Index;

    KeInitializeSpinLock(&Queue->Lock);
    InitializeListHead(&Queue->Waiting);
    InitializeListHead(&Queue->Idle);
    Queue->Depth = Depth;
    Queue->SlotSize = SlotSize;
    Queue->Epoch = QUEUE_FIRST_EPOCH;
    Queue->Timeout = (ULONG)(TimeoutSeconds * ClockFrequency);
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

/* -- slots ------------------------------------------------------------------------------------- */

VOID QueueFreeSlotLocked(QUEUE *Queue, SLOT *Slot)
{
    Slot->Irp = NULL;
    Slot->State = SLOT_FREE;
    Slot->NextFree = Queue->FreeHead;
    Queue->FreeHead = (USHORT)(Slot - Queue->Slots);
    Queue->FreeCount++;
}

VOID QueueCopySlot(const ARENA *Arena, const SLOT *Slot)
{
    const QUEUE *Queue = &Arena->Disk->Queue;
    PUCHAR Shared = Arena->Base + (SIZE_T)(Slot - Queue->Slots) * Queue->SlotSize;
    /* Mapped by DiskIoReadWrite; from then on this only reads the address from the MDL. */
    PUCHAR Callers =
        (PUCHAR)MmGetSystemAddressForMdlSafe(Slot->Irp->MdlAddress, MappingPriority) + Slot->Offset;

    if (Slot->Op == CM_OP_WRITE)
        RtlCopyMemory(Shared, Callers, Slot->Length);
    else
        RtlCopyMemory(Callers, Shared, Slot->Length);
}

/* -- requests ---------------------------------------------------------------------------------- */

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
VOID QueueRetireLocked(QUEUE *Queue, PIRP Irp, PLIST_ENTRY Done)
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

VOID QueueAbortLocked(QUEUE *Queue, PIRP Irp, NTSTATUS Status, PLIST_ENTRY Done)
{
    REQUEST *Request = RequestOf(Irp);
    BOOLEAN Resize = OpOf(IoGetCurrentIrpStackLocation(Irp)) == CM_OP_RESIZE;
    ULONG Index;

    if ((Request->Flags & (REQUEST_ABORTED | REQUEST_RETIRED)) != 0)
        return;
    if (Resize && Request->Next == 0)
        QueueEndResizeLocked(Queue, 0, RESIZE_FAILED);
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
        } else if (Slot->Irp == Irp && Slot->State == SLOT_AGAIN) {
            Queue->Again--;
            QueueFreeSlotLocked(Queue, Slot);
            Request->Open--;
            if (Resize)
                QueueEndResizeLocked(Queue, 0, RESIZE_UNKNOWN);
        }
    }
    if (Request->Open == 0)
        QueueRetireLocked(Queue, Irp, Done);
}

/* Complete what was put on a list under the lock. The last thing done with each disk reference. */
VOID QueueCompleteAll(struct DISK *Disk, PLIST_ENTRY Done)
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
    struct DISK *Disk =
        Device == Driver.ControlDevice ? QueueDiskOfResize(Irp) : Device->DeviceExtension;
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
        QueueAbortLocked(Queue, Irp, STATUS_CANCELLED, &Done);
    KeReleaseSpinLock(&Queue->Lock, Irql);
    QueueCompleteAll(Disk, &Done);
    DriverLeave();
}

/* A disk that was made smaller since the request was checked, by who has it open himself. */
static BOOLEAN StillFitsLocked(const struct DISK *Disk, PIRP Irp)
{
    PIO_STACK_LOCATION Stack = IoGetCurrentIrpStackLocation(Irp);
    ULONG Op = OpOf(Stack);

    return (Op != CM_OP_READ && Op != CM_OP_WRITE) ||
           (ULONG64)Stack->Parameters.Read.ByteOffset.QuadPart + Stack->Parameters.Read.Length <=
               DiskSize(Disk);
}

VOID QueueInsert(struct DISK *Disk, PIRP Irp)
{
    QUEUE *Queue = &Disk->Queue;
    REQUEST *Request = RequestOf(Irp);
    LIST_ENTRY Done;
    KIRQL Irql;

    InitializeListHead(&Done);
    RtlZeroMemory(Request, sizeof(*Request));
    Request->Arrived = (ULONG)ClockNow();
    IoMarkIrpPending(Irp);
    KeAcquireSpinLock(&Queue->Lock, &Irql);
    Queue->Stats.requests++;
    Queue->Stats.waiting++;
    Request->Flags = REQUEST_WAITING;
    InsertTailList(&Queue->Waiting, &Irp->Tail.Overlay.ListEntry);
    IoSetCancelRoutine(Irp, CancelRequest);
    if (!Queue->Open) {
        QueueAbortLocked(Queue, Irp, STATUS_NO_SUCH_DEVICE, &Done);
    } else if (!StillFitsLocked(Disk, Irp)) {
        QueueAbortLocked(Queue, Irp, STATUS_INVALID_PARAMETER, &Done);
    } else if (Irp->Cancel && IoSetCancelRoutine(Irp, NULL) != NULL) {
        /* Cancelled before the routine was set: nobody will call it. */
        Request->Flags |= REQUEST_CANCEL_RAN;
        QueueAbortLocked(Queue, Irp, STATUS_CANCELLED, &Done);
    }
    KeReleaseSpinLock(&Queue->Lock, Irql);
    QueueCompleteAll(Disk, &Done);
}

/* -- the end ----------------------------------------------------------------------------------- */

static VOID AbortAllLocked(QUEUE *Queue, PLIST_ENTRY Done)
{
    ULONG Index;

    while (!IsListEmpty(&Queue->Waiting))
        QueueAbortLocked(Queue, IrpOfEntry(Queue->Waiting.Flink), STATUS_NO_SUCH_DEVICE, Done);
    for (Index = 0; Index < Queue->Depth; Index++)
        if (Queue->Slots[Index].Irp != NULL)
            QueueAbortLocked(Queue, Queue->Slots[Index].Irp, STATUS_NO_SUCH_DEVICE, Done);
}

VOID QueueClose(struct DISK *Disk)
{
    QUEUE *Queue = &Disk->Queue;
    LIST_ENTRY Done, Exchanges;
    ARENA *Arena;
    KIRQL Irql;

    InitializeListHead(&Done);
    InitializeListHead(&Exchanges);
    KeAcquireSpinLock(&Queue->Lock, &Irql);
    Queue->Open = FALSE;
    Queue->Closed = TRUE;
    AbortAllLocked(Queue, &Done);
    Arena = QueueDetachLocked(Queue);
    QueueTakeAllIdleLocked(Queue, &Exchanges);
    KeReleaseSpinLock(&Queue->Lock, Irql);

    if (Arena != NULL)
        ArenaGiveBack(Arena);
    QueueCompleteAll(Disk, &Done);
    QueueEndExchanges(Disk, &Exchanges);
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
