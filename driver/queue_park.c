/* SPDX-License-Identifier: MIT */
/*
 * queue_park.c - exchanges that found nothing to fetch, waiting for requests.
 *
 * A parked exchange is a pended, cancellable IRP on QUEUE.Idle that carries a reference to the disk. Called by
 * exchange.c, and by the system to cancel, at up to DISPATCH_LEVEL in any thread; hot.
 */
#include "queue_internal.h"

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

NTSTATUS QueuePark(struct DISK *Disk, ULONG Epoch, PIRP Irp)
{
    QUEUE *Queue = &Disk->Queue;
    NTSTATUS Status = STATUS_PENDING;
    BOOLEAN Cancelled = FALSE;
    KIRQL Irql;

    KeAcquireSpinLock(&Queue->Lock, &Irql);
    if (Queue->Closed || Queue->Epoch != Epoch) {
        Status = STATUS_DEVICE_REMOVED;
    } else if (QueueHasWorkLocked(Queue)) {
        Status = STATUS_RETRY;
    } else {
        Irp->Tail.Overlay.DriverContext[0] = Disk;
        /* Once: it may have been parked before, and then the I/O manager has looked at this mark. */
        if ((IoGetCurrentIrpStackLocation(Irp)->Control & SL_PENDING_RETURNED) == 0)
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

/* The latest parked exchange that is not being cancelled, off the list; NULL: none. */
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

PIRP QueueUnpark(struct DISK *Disk, ULONG *Epoch)
{
    QUEUE *Queue = &Disk->Queue;
    PIRP Irp = NULL;
    KIRQL Irql;

    KeAcquireSpinLock(&Queue->Lock, &Irql);
    *Epoch = Queue->Epoch; /* no other's are parked: QueueBeginEpoch takes them all */
    if (!IsListEmpty(&Queue->Idle) && QueueHasWorkLocked(Queue))
        Irp = TakeIdleLocked(Queue);
    KeReleaseSpinLock(&Queue->Lock, Irql);
    return Irp;
}

VOID QueueTakeAllIdleLocked(QUEUE *Queue, PLIST_ENTRY Exchanges)
{
    PIRP Irp;

    while ((Irp = TakeIdleLocked(Queue)) != NULL)
        InsertTailList(Exchanges, &Irp->Tail.Overlay.ListEntry);
}

VOID QueueEndExchanges(struct DISK *Disk, PLIST_ENTRY Exchanges)
{
    while (!IsListEmpty(Exchanges))
        CompleteExchange(Disk, IrpOfEntry(RemoveHeadList(Exchanges)), STATUS_DEVICE_REMOVED);
}
