/* SPDX-License-Identifier: MIT */
/*
 * queue_resize.c - a disk of another size. The server resizes the image (CM_OP_RESIZE), by way of the queue
 * like any other request, except that its IRP is one of the control device.
 *
 *                         the server has done it      it refuses, or never got it     it was lost with it
 *      larger:  old size  -> new size                 -> old size                     -> old size
 *      smaller: new size  -> new size                 -> old size                     -> new size
 *
 * So nobody is ever let to where the image may not be. One server may also have done it and been lost before it
 * said so, and the next refuse: then, too, it is the smaller size. As long as it is not known which one the image
 * has, a server may come with either. Called by the control device and by the other files of
 * the queue, at up to DISPATCH_LEVEL; not on the hot path.
 */
#include "queue_internal.h"

/* METHOD_BUFFERED leaves this field of the stack location unused, and it is ours while the IRP is. */
#define DISK_OF(Stack) ((Stack)->Parameters.DeviceIoControl.Type3InputBuffer)

struct DISK *QueueDiskOfResize(PIRP Irp)
{
    return DISK_OF(IoGetCurrentIrpStackLocation(Irp));
}

ULONG64 QueueSizeOfResize(PIRP Irp)
{
    const struct cm_resize *Resize = Irp->AssociatedIrp.SystemBuffer;

    return Resize->size;
}

static BOOLEAN MayBeginLocked(const QUEUE *Queue, BOOLEAN Shrinks, ULONG OwnHandles)
{
    if (Queue->Resizing)
        return FALSE;
    return !Shrinks || (Queue->Stats.waiting == 0 && Queue->Stats.in_flight == 0 &&
                        (ULONG)Queue->OpenHandles <= OwnHandles);
}

NTSTATUS QueueBeginResize(struct DISK *Disk, PIRP Irp, ULONG64 Size, ULONG OwnHandles)
{
    QUEUE *Queue = &Disk->Queue;
    NTSTATUS Status = STATUS_DEVICE_BUSY;
    BOOLEAN Shrinks;
    KIRQL Irql;

    KeAcquireSpinLock(&Queue->Lock, &Irql);
    Shrinks = Size < DiskSize(Disk);
    if (MayBeginLocked(Queue, Shrinks, OwnHandles)) {
        Queue->Resizing = TRUE;
        Queue->SizeBefore = DiskSize(Disk);
        Queue->OtherBefore = Queue->OtherSize;
        Queue->OtherSize = max(Size, Queue->SizeBefore);
        if (Shrinks)
            DiskSetSize(Disk, Size);
        Status = STATUS_SUCCESS;
    }
    KeReleaseSpinLock(&Queue->Lock, Irql);
    DISK_OF(IoGetCurrentIrpStackLocation(Irp)) = Disk;
    return Status;
}

VOID QueueEndResizeLocked(QUEUE *Queue, ULONG64 Size, RESIZE_END End)
{
    struct DISK *Disk = CONTAINING_RECORD(Queue, DISK, Queue);

    Queue->Resizing = FALSE;
    if (End == RESIZE_DONE) {
        DiskSetSize(Disk, Size);
        Queue->OtherSize = 0;
    } else if (End == RESIZE_FAILED) {
        DiskSetSize(Disk, Queue->SizeBefore);
        Queue->OtherSize = Queue->OtherBefore;
    }
}

BOOLEAN QueueImageMayHaveSize(struct DISK *Disk, ULONG64 Size)
{
    QUEUE *Queue = &Disk->Queue;
    BOOLEAN May;
    KIRQL Irql;

    KeAcquireSpinLock(&Queue->Lock, &Irql);
    May = Size == DiskSize(Disk) || Size == Queue->OtherSize ||
          (Queue->Resizing && Size == Queue->OtherBefore);
    KeReleaseSpinLock(&Queue->Lock, Irql);
    return May && Size != 0;
}
