/* SPDX-License-Identifier: MIT */
/*
 * toy.c - the driver of the self-tests: one device \Device\Toy that does nothing and nothing wrong, until the
 * case replaces some of its routines by sinful ones. It is linked in place of the real one.
 */
#include "selftest.h"

PDRIVER_OBJECT ToyDriver;
PDEVICE_OBJECT ToyDevice;
KSPIN_LOCK ToyLock, ToyOtherLock;
KEVENT ToyEvent;
LONG volatile ToyCount;

static UNICODE_STRING Link;

NTSTATUS DriverEntry(PDRIVER_OBJECT Object, PUNICODE_STRING RegistryPath);

/* -- helpers ----------------------------------------------------------------------------------- */

NTSTATUS ToyComplete(PIRP Irp, NTSTATUS Status, ULONG_PTR Information)
{
    Irp->IoStatus.Status = Status;
    Irp->IoStatus.Information = Information;
    IoCompleteRequest(Irp, IO_NO_INCREMENT);
    return Status;
}

NTSTATUS ToySucceed(PDEVICE_OBJECT Device, PIRP Irp)
{
    UNREFERENCED_PARAMETER(Device);
    return ToyComplete(Irp, STATUS_SUCCESS, 0);
}

NTSTATUS ToyPend(PIRP Irp, PDRIVER_CANCEL Cancel)
{
    IoMarkIrpPending(Irp);
    if (Cancel != NULL)
        IoSetCancelRoutine(Irp, Cancel);
    return STATUS_PENDING;
}

NTSTATUS ToyStartThread(KSTART_ROUTINE *Routine, PVOID *Thread)
{
    HANDLE Handle;
    NTSTATUS Status =
        PsCreateSystemThread(&Handle, THREAD_ALL_ACCESS, NULL, NULL, NULL, Routine, NULL);

    if (!NT_SUCCESS(Status))
        return Status;
    Status = ObReferenceObjectByHandle(Handle, SYNCHRONIZE, NULL, KernelMode, Thread, NULL);
    ZwClose(Handle);
    return Status;
}

VOID ToyEndThread(PVOID Thread)
{
    KeWaitForSingleObject(Thread, Executive, KernelMode, FALSE, NULL);
    ObDereferenceObject(Thread);
}

NTSTATUS ToyMakeDevice(PCWSTR Name, DEVICE_TYPE Type, PDEVICE_OBJECT *Device)
{
    UNICODE_STRING String;
    NTSTATUS Status;

    RtlInitUnicodeString(&String, Name);
    Status = IoCreateDevice(ToyDriver, TOY_EXTENSION, &String, Type, FILE_DEVICE_SECURE_OPEN, FALSE,
                            Device);
    if (NT_SUCCESS(Status))
        (*Device)->Flags = ((*Device)->Flags | DO_DIRECT_IO) & ~DO_DEVICE_INITIALIZING;
    return Status;
}

/* -- the driver -------------------------------------------------------------------------------- */

static DRIVER_DISPATCH *RoutineOf(UCHAR Major)
{
    switch (Major) {
    case IRP_MJ_CREATE:
        return Toy.Create;
    case IRP_MJ_CLEANUP:
        return Toy.Cleanup;
    case IRP_MJ_CLOSE:
        return Toy.Close;
    default:
        return Toy.Io;
    }
}

static NTSTATUS Dispatch(PDEVICE_OBJECT Device, PIRP Irp)
{
    DRIVER_DISPATCH *Routine = RoutineOf(IoGetCurrentIrpStackLocation(Irp)->MajorFunction);

    return Routine != NULL ? Routine(Device, Irp) : ToySucceed(Device, Irp);
}

static VOID Unload(PDRIVER_OBJECT Object)
{
    UNREFERENCED_PARAMETER(Object);
    if (Toy.Unload != NULL)
        Toy.Unload();
    if (!Toy.KeepsLink)
        IoDeleteSymbolicLink(&Link);
    if (!Toy.KeepsDevice)
        IoDeleteDevice(ToyDevice);
}

NTSTATUS DriverEntry(PDRIVER_OBJECT Object, PUNICODE_STRING RegistryPath)
{
    UNICODE_STRING Target;
    NTSTATUS Status;
    ULONG Index;

    UNREFERENCED_PARAMETER(RegistryPath);
    for (Index = 0; Index <= IRP_MJ_MAXIMUM_FUNCTION; Index++)
        Object->MajorFunction[Index] = Dispatch;
    Object->DriverUnload = Unload;
    ToyDriver = Object;
    KeInitializeSpinLock(&ToyLock);
    KeInitializeSpinLock(&ToyOtherLock);
    KeInitializeEvent(&ToyEvent, NotificationEvent, FALSE);
    Status = ToyMakeDevice(L"\\Device\\Toy", FILE_DEVICE_UNKNOWN, &ToyDevice);
    if (!NT_SUCCESS(Status))
        return Status;
    RtlInitUnicodeString(&Target, L"\\Device\\Toy");
    RtlInitUnicodeString(&Link, L"\\DosDevices\\Toy");
    Status = IoCreateSymbolicLink(&Link, &Target);
    if (!NT_SUCCESS(Status)) {
        IoDeleteDevice(ToyDevice);
        return Status;
    }
    return Toy.Load != NULL ? Toy.Load() : STATUS_SUCCESS;
}
