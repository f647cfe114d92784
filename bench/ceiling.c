/* SPDX-License-Identifier: MIT */
/*
 * ceiling.c - CoreMntCeiling.sys: a device that completes every READ and WRITE at once, touching no
 * data.
 *
 * What a read costs here is what the system itself takes for it. No driver can be faster, so this
 * is the ceiling that scripts/bench compares CoreMnt with. For measuring only: it stores nothing.
 *
 * Dispatch is called in any thread at up to DISPATCH_LEVEL, the rest at PASSIVE_LEVEL.
 */
#include "driver/nt.h"

#define CEILING_NAME L"\\Device\\CoreMntCeiling"
#define CEILING_LINK L"\\DosDevices\\CoreMntCeiling"

NTSTATUS NTAPI DriverEntry(PDRIVER_OBJECT Object, PUNICODE_STRING RegistryPath);

static NTSTATUS NTAPI Dispatch(PDEVICE_OBJECT Device, PIRP Irp)
{
    PIO_STACK_LOCATION Stack = IoGetCurrentIrpStackLocation(Irp);
    NTSTATUS Status = STATUS_SUCCESS;

    UNREFERENCED_PARAMETER(Device);
    Irp->IoStatus.Information = 0;
    switch (Stack->MajorFunction) {
    case IRP_MJ_READ:
    case IRP_MJ_WRITE:
        Irp->IoStatus.Information = Stack->Parameters.Read.Length; /* at the same place in Write */
        break;
    case IRP_MJ_CREATE:
    case IRP_MJ_CLEANUP:
    case IRP_MJ_CLOSE:
    case IRP_MJ_FLUSH_BUFFERS:
        break;
    default:
        Status = STATUS_INVALID_DEVICE_REQUEST;
        break;
    }
    Irp->IoStatus.Status = Status;
    IoCompleteRequest(Irp, IO_NO_INCREMENT);
    return Status;
}

static VOID NTAPI Unload(PDRIVER_OBJECT Object)
{
    UNICODE_STRING Link;

    RtlInitUnicodeString(&Link, CEILING_LINK);
    IoDeleteSymbolicLink(&Link);
    IoDeleteDevice(Object->DeviceObject);
}

NTSTATUS NTAPI DriverEntry(PDRIVER_OBJECT Object, PUNICODE_STRING RegistryPath)
{
    UNICODE_STRING Name, Link;
    PDEVICE_OBJECT Device;
    NTSTATUS Status;
    ULONG Major;

    UNREFERENCED_PARAMETER(RegistryPath);
    for (Major = 0; Major <= IRP_MJ_MAXIMUM_FUNCTION; Major++)
        Object->MajorFunction[Major] = Dispatch;
    Object->DriverUnload = Unload;
    RtlInitUnicodeString(&Name, CEILING_NAME);
    RtlInitUnicodeString(&Link, CEILING_LINK);
    /* The kind is not a disk's: nothing must try to mount a file system on it. */
    Status = IoCreateDevice(Object, 0, &Name, FILE_DEVICE_UNKNOWN, FILE_DEVICE_SECURE_OPEN, FALSE,
                            &Device);
    if (!NT_SUCCESS(Status))
        return Status;
    /* The transfer method of CoreMnt's disks. */
    Device->Flags |= DO_DIRECT_IO;
    IoDeleteSymbolicLink(&Link); /* Wine keeps the one of a driver that crashed */
    Status = IoCreateSymbolicLink(&Link, &Name);
    if (!NT_SUCCESS(Status)) {
        IoDeleteDevice(Device);
        return Status;
    }
    Device->Flags &= ~DO_DEVICE_INITIALIZING;
    return STATUS_SUCCESS;
}
