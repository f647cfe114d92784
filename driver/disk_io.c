/* SPDX-License-Identifier: MIT */
/*
 * disk_io.c - READ, WRITE, FLUSH, and the opening and closing of a disk device.
 *
 * Called for applications that open the device itself and for file systems on top of it, in any
 * thread, at up to DISPATCH_LEVEL for READ and WRITE. Everything is checked here, once; behind this
 * the request is known to be good. The hot path begins here.
 */
#include "disk_io.h"

#include "exchange.h"

BOOLEAN DiskIoRangeIsValid(const DISK *Disk, LONGLONG Offset, ULONG64 Length)
{
    ULONG64 Mask = Disk->SectorSize - 1, Size = DiskSize(Disk);

    if (Offset < 0 || Length == 0 || (((ULONG64)Offset | Length) & Mask) != 0)
        return FALSE;
    return Length <= Size && (ULONG64)Offset <= Size - Length;
}

NTSTATUS DiskIoSubmit(DISK *Disk, PIRP Irp)
{
    if (!DiskTryReference(Disk)) /* the request's; goes with its completion */
        return STATUS_NO_SUCH_DEVICE;
    if (!DiskTryReference(Disk)) { /* ours, for the time after it */
        DiskDereference(Disk);
        return STATUS_NO_SUCH_DEVICE;
    }
    QueueInsert(Disk, Irp);
    ExchangeKick(Disk);
    DiskDereference(Disk);
    return STATUS_PENDING;
}

/*
 * The order of the checks is that of the disk class driver, on which file system recognisers
 * depend. A read beyond the end must be an error: to a recogniser success without data means
 * "mine".
 */
NTSTATUS DiskIoReadWrite(PDEVICE_OBJECT Device, PIRP Irp, PIO_STACK_LOCATION Stack)
{
    DISK *Disk = Device->DeviceExtension;
    ULONG Length = Stack->Parameters.Read.Length; /* at the same place in Write */

    if (!Disk->Queue.Open)
        return STATUS_NO_SUCH_DEVICE;
    if (Length == 0)
        return STATUS_SUCCESS;
    if (!DiskIoRangeIsValid(Disk, Stack->Parameters.Read.ByteOffset.QuadPart, Length))
        return STATUS_INVALID_PARAMETER;
    if (Stack->MajorFunction == IRP_MJ_WRITE && Disk->ReadOnly)
        return STATUS_MEDIA_WRITE_PROTECTED;
    /* Filters above us may forget the MDL. */
    if (Irp->MdlAddress == NULL || MmGetMdlByteCount(Irp->MdlAddress) < Length)
        return STATUS_INVALID_PARAMETER;
    /* Done now so that copying, later and in another process, cannot fail. */
    if (MmGetSystemAddressForMdlSafe(Irp->MdlAddress, MappingPriority) == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    return DiskIoSubmit(Disk, Irp);
}

/* FLUSH_BUFFERS. Refusing would be taken for "nothing to flush" and lose data
 * silently. */
NTSTATUS DiskIoFlush(PDEVICE_OBJECT Device, PIRP Irp, PIO_STACK_LOCATION Stack)
{
    DISK *Disk = Device->DeviceExtension;

    UNREFERENCED_PARAMETER(Stack);
    if (!Disk->Queue.Open)
        return STATUS_NO_SUCH_DEVICE;
    if (Disk->ReadOnly)
        return STATUS_SUCCESS;
    return DiskIoSubmit(Disk, Irp);
}

/* The machine is being switched off: from the system, as we have asked it to tell us, and from the file system
 * on the disk, which has written everything by then. The last chance to flush. */
NTSTATUS DiskIoShutdown(PDEVICE_OBJECT Device, PIRP Irp, PIO_STACK_LOCATION Stack)
{
    DISK *Disk = Device->DeviceExtension;
    NTSTATUS Status;

    if (!DiskTryReference(Disk)) /* what DiskPowerOff looks at may be gone */
        return STATUS_NO_SUCH_DEVICE;
    DiskPowerOff(Disk);
    Status = DiskIoFlush(Device, Irp, Stack);
    DiskDereference(Disk);
    return Status;
}

/* Whether an open is for data. Others, for attributes only, come at any time from the shell and the
 * mount manager and must not count as use. On Wine there is no security context: every open counts.
 */
static BOOLEAN OpensForData(const IO_STACK_LOCATION *Stack)
{
    PIO_SECURITY_CONTEXT Context = Stack->Parameters.Create.SecurityContext;

    return Context == NULL ||
           (Context->DesiredAccess & (FILE_READ_DATA | FILE_WRITE_DATA | FILE_APPEND_DATA)) != 0;
}

/*
 * On NT these come for the bare device only; files of a file system on the disk are the file
 * system's, and it is the volume lock that tells whether there are any.
 */
NTSTATUS DiskIoCreate(PDEVICE_OBJECT Device, PIRP Irp, PIO_STACK_LOCATION Stack)
{
    DISK *Disk = Device->DeviceExtension;
    PFILE_OBJECT File = Stack->FileObject;

    if (!Disk->Queue.Open)
        return STATUS_NO_SUCH_DEVICE;
    if (File != NULL && File->FileName.Length != 0)
        return STATUS_OBJECT_NAME_NOT_FOUND; /* there is nothing below a disk */
    if (File != NULL && OpensForData(Stack)) {
        if (!QueueAddHandle(Disk))
            return STATUS_NO_SUCH_DEVICE;
        File->FsContext = Disk; /* marks that it is counted */
    }
    Irp->IoStatus.Information = FILE_OPENED;
    return STATUS_SUCCESS;
}

/* At CLEANUP on NT; at CLOSE on Wine, which has no CLEANUP. */
static VOID Uncount(DISK *Disk, PFILE_OBJECT File)
{
    if (File != NULL && InterlockedExchangePointer(&File->FsContext, NULL) == Disk)
        QueueRemoveHandle(Disk);
}

NTSTATUS DiskIoCleanup(PDEVICE_OBJECT Device, PIRP Irp, PIO_STACK_LOCATION Stack)
{
    UNREFERENCED_PARAMETER(Irp);
    Uncount(Device->DeviceExtension, Stack->FileObject);
    return STATUS_SUCCESS;
}

NTSTATUS DiskIoClose(PDEVICE_OBJECT Device, PIRP Irp, PIO_STACK_LOCATION Stack)
{
    return DiskIoCleanup(Device, Irp, Stack);
}
