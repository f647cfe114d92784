/* SPDX-License-Identifier: MIT */
/*
 * exchange.c - the server's call that brings replies and fetches requests (CM_IOCTL_EXCHANGE).
 *
 *      server's thread: ExchangeIoctl -> replies applied -> requests fetched -> completed at once
 *                                                       \-> none: parked (pended)
 *      any thread that brings a request: ExchangeKick -> unparked -> requests fetched -> completed
 *
 * Nothing here waits: an exchange with nothing to fetch is a pended IRP. The buffer is
 * METHOD_BUFFERED, so what is validated here is a copy that the server cannot change any more;
 * replies are read from it before requests are written over them. A server can be lost at any moment
 * (disk.c): every step names the epoch that the call came in, and the queue refuses it afterwards. Hot path; ExchangeIoctl at
 * PASSIVE_LEVEL, the rest at <= DISPATCH_LEVEL.
 */
#include "exchange.h"

#include "disk.h"
#include "server.h"

static ULONG RoomForRequests(ULONG OutLength)
{
    return (OutLength - sizeof(struct cm_exchanged)) / sizeof(struct cm_request);
}

static BOOLEAN FrameIsValid(const struct cm_exchange *Exchange, ULONG InLength)
{
    if ((Exchange->flags & ~CM_EXCHANGE_ALL_FLAGS) != 0)
        return FALSE;
    /* No more can be handed out, and they are gone through under a lock. */
    if (Exchange->reply_count > CM_MAX_QUEUE_DEPTH)
        return FALSE;
    return Exchange->reply_count <= (InLength - sizeof(*Exchange)) / sizeof(struct cm_reply);
}

/* Fetch into the IRP's buffer, which is free for it by now. @return how many requests. */
static ULONG Fetch(DISK *Disk, ULONG Epoch, PIRP Irp)
{
    PIO_STACK_LOCATION Stack = IoGetCurrentIrpStackLocation(Irp);
    ULONG Room = RoomForRequests(Stack->Parameters.DeviceIoControl.OutputBufferLength);
    struct cm_exchanged *Exchanged = Irp->AssociatedIrp.SystemBuffer;
    ULONG Count = QueueFetch(Disk, Epoch, (struct cm_request *)(Exchanged + 1), Room);

    Exchanged->request_count = Count;
    Exchanged->reserved = 0;
    Irp->IoStatus.Information = sizeof(*Exchanged) + Count * sizeof(struct cm_request);
    return Count;
}

/* Fetch, or park the IRP. @return STATUS_PENDING: it is not ours any more, nor its reference to the
 * disk; otherwise its final status. */
static NTSTATUS MUST_CHECK FetchOrPark(DISK *Disk, ULONG Epoch, PIRP Irp)
{
    NTSTATUS Status;

    do {
        if (Fetch(Disk, Epoch, Irp) != 0)
            return STATUS_SUCCESS;
        Status = QueuePark(Disk, Epoch, Irp);
    } while (Status == STATUS_RETRY);
    return Status;
}

VOID ExchangeKick(DISK *Disk)
{
    ULONG Epoch;
    PIRP Irp;

    while ((Irp = QueueUnpark(Disk, &Epoch)) != NULL) {
        NTSTATUS Status = FetchOrPark(Disk, Epoch, Irp);
        if (Status == STATUS_PENDING)
            continue; /* somebody was quicker; it waits again */
        Irp->IoStatus.Status = Status;
        if (!NT_SUCCESS(Status))
            Irp->IoStatus.Information = 0;
        IoCompleteRequest(Irp, IO_DISK_INCREMENT);
        DiskDereference(Disk);
    }
}

static NTSTATUS MUST_CHECK Exchange(DISK *Disk, ULONG Epoch, PIRP Irp, PIO_STACK_LOCATION Stack)
{
    struct cm_exchange *In = Irp->AssociatedIrp.SystemBuffer;
    ULONG Flags = In->flags;
    ULONG Room = RoomForRequests(Stack->Parameters.DeviceIoControl.OutputBufferLength);
    NTSTATUS Status = QueueReply(Disk, Epoch, (struct cm_reply *)(In + 1), In->reply_count);

    if (!NT_SUCCESS(Status))
        return Status;
    if (Room == 0 || (Flags & CM_EXCHANGE_NO_WAIT) != 0) {
        Fetch(Disk, Epoch, Irp);
        return STATUS_SUCCESS;
    }
    return FetchOrPark(Disk, Epoch, Irp);
}

NTSTATUS ExchangeIoctl(SERVER *Server, PIRP Irp, PIO_STACK_LOCATION Stack)
{
    const struct cm_exchange *In = Irp->AssociatedIrp.SystemBuffer;
    NTSTATUS Status;
    ULONG Epoch;
    DISK *Disk;

    if (!FrameIsValid(In, Stack->Parameters.DeviceIoControl.InputBufferLength))
        return STATUS_INVALID_PARAMETER;
    Disk = DiskFindServed(In->disk_id, Server, &Epoch);
    if (Disk == NULL)
        return STATUS_NOT_FOUND;
    if (!DiskTryReference(
            Disk)) /* one for the IRP, should it be parked; ours stays until the end */
        NT_ASSERT(FALSE);
    Status = Exchange(Disk, Epoch, Irp, Stack);
    if (Status != STATUS_PENDING)
        DiskDereference(Disk);
    /* Replies may have freed slots that this call left to the parked ones. */
    ExchangeKick(Disk);
    DiskDereference(Disk);
    return Status;
}
