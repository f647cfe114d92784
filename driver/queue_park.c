/* SPDX-License-Identifier: MIT */
/*
 * queue_park.c - exchanges that found nothing to fetch, waiting for requests.
 *
 * A parked exchange is a pended, cancellable IRP on QUEUE.Idle that carries a reference to the disk. Called by
 * exchange.c, and by the system to cancel, at up to DISPATCH_LEVEL in any thread; hot.
 */
#include "queue_internal.h"

VOID QueueCompleteExchange(struct DISK *Disk, PIRP Irp, NTSTATUS Status)
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
    QueueCompleteExchange(Disk, Irp, STATUS_CANCELLED);
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
    } else if (QueueNextLocked(Queue) != NULL) {
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
        QueueCompleteExchange(Disk, Irp, STATUS_CANCELLED);
    return Status;
}

PIRP QueueUnpark(struct DISK *Disk)
{
    QUEUE *Queue = &Disk->Queue;
    PIRP Irp = NULL;
    KIRQL Irql;

    KeAcquireSpinLock(&Queue->Lock, &Irql);
    if (!IsListEmpty(&Queue->Idle) && QueueNextLocked(Queue) != NULL)
        Irp = QueueTakeIdleLocked(Queue);
    KeReleaseSpinLock(&Queue->Lock, Irql);
    return Irp;
}

/* The latest parked exchange that is not being cancelled, off the list. */
PIRP QueueTakeIdleLocked(QUEUE *Queue)
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
