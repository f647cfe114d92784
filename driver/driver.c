/* SPDX-License-Identifier: MIT */
/*
 * driver.c - DriverEntry, DriverUnload, and the one entry point of all IRPs.
 *
 * Called by the system. DriverEntry and DriverUnload at PASSIVE_LEVEL; Dispatch at up to
 * DISPATCH_LEVEL, from any number of threads on NT, from a single one on Wine. Dispatch is on the
 * hot path.
 */
#include "driver.h"

#include "clock.h"
#include "control.h"
#include "disk.h"
#include "disk_io.h"
#include "disk_ioctl.h"
#include "numbers.h"
#include "reaper.h"
#include "security.h"
#include "server.h"
#include "watchdog.h"

DRIVER Driver;
POOL_TYPE PoolType = NonPagedPool;
ULONG MappingPriority = NormalPagePriority;

#define CONTROL_NAME L"\\Device\\CoreMnt"
#define CONTROL_LINK L"\\DosDevices\\CoreMnt"

/*
 * What a major function does on each kind of device; what is not here is refused. Absent on
 * purpose: IRP_MJ_PNP on disks. File systems ask for TargetDeviceRelation on mount and dismount,
 * and success without a relation crashes them; a refusal is what they expect of a device without
 * PnP.
 */
static IRP_HANDLER *const ControlHandlers[IRP_MJ_MAXIMUM_FUNCTION + 1] = {
    [IRP_MJ_CREATE] = ControlCreate,
    [IRP_MJ_CLEANUP] = ControlClose,
    [IRP_MJ_CLOSE] = ControlClose,
    [IRP_MJ_DEVICE_CONTROL] = ControlIoctl,
};

static IRP_HANDLER *const DiskHandlers[IRP_MJ_MAXIMUM_FUNCTION + 1] = {
    [IRP_MJ_CREATE] = DiskIoCreate,     [IRP_MJ_CLEANUP] = DiskIoCleanup,
    [IRP_MJ_CLOSE] = DiskIoClose,       [IRP_MJ_READ] = DiskIoReadWrite,
    [IRP_MJ_WRITE] = DiskIoReadWrite,   [IRP_MJ_FLUSH_BUFFERS] = DiskIoFlush,
    [IRP_MJ_SHUTDOWN] = DiskIoShutdown, [IRP_MJ_DEVICE_CONTROL] = DiskIoctl,
};

static NTSTATUS Dispatch(PDEVICE_OBJECT Device, PIRP Irp)
{
    PIO_STACK_LOCATION Stack = IoGetCurrentIrpStackLocation(Irp);
    const DEVICE_EXTENSION *Extension = Device->DeviceExtension;
    IRP_HANDLER *Handler = Extension->Kind == DEVICE_KIND_CONTROL
                               ? ControlHandlers[Stack->MajorFunction]
                               : DiskHandlers[Stack->MajorFunction];
    NTSTATUS Status = STATUS_INVALID_DEVICE_REQUEST;

    Irp->IoStatus.Information = 0;
    if (Handler != NULL)
        Status = Handler(Device, Irp, Stack);
    if (Status == STATUS_PENDING)
        return STATUS_PENDING; /* the IRP may be gone already */
    if (NT_ERROR(Status))
        Irp->IoStatus.Information = 0;
    Irp->IoStatus.Status = Status;
    IoCompleteRequest(Irp, IO_NO_INCREMENT);
    return Status;
}

static NTSTATUS NTAPI DriverDispatch(PDEVICE_OBJECT Device, PIRP Irp)
{
    NTSTATUS Status;

    DriverEnter();
    Status = Dispatch(Device, Irp);
    DriverLeave();
    return Status;
}

/* What is NX there is something else, or refused, on older systems; the names are too new for us. */
#define NON_PAGED_POOL_NX ((POOL_TYPE)512)
#define MDL_MAPPING_NO_EXECUTE 0x40000000u

static VOID ChooseMemory(VOID)
{
    RTL_OSVERSIONINFOW Version = {.dwOSVersionInfoSize = sizeof(Version)};

    if (NT_SUCCESS(RtlGetVersion(&Version)) &&
        (Version.dwMajorVersion > 6 ||
         (Version.dwMajorVersion == 6 && Version.dwMinorVersion >= 2))) {
        PoolType = NON_PAGED_POOL_NX;
        MappingPriority |= MDL_MAPPING_NO_EXECUTE;
    }
}

/* By a function that Wine's kernel exports and no other does. */
static BOOLEAN IsWine(VOID)
{
    UNICODE_STRING Name;

    RtlInitUnicodeString(&Name, L"wine_ntoskrnl_main_loop");
    return MmGetSystemRoutineAddress(&Name) != NULL;
}

/*
 * Wine keeps a driver's list of devices without a lock, and we create and delete them on different
 * threads. On NT nothing must be held here: IoDeleteDevice may wait for DriverUnload (see reaper.c).
 */
static KEVENT DeviceListFree;

static VOID LockDeviceList(VOID)
{
    if (Driver.IsWine)
        KeWaitForSingleObject(&DeviceListFree, Executive, KernelMode, FALSE, NULL);
}

static VOID UnlockDeviceList(VOID)
{
    if (Driver.IsWine)
        KeSetEvent(&DeviceListFree, IO_NO_INCREMENT, FALSE);
}

NTSTATUS DriverCreateDevice(ULONG ExtensionSize, PUNICODE_STRING Name, DEVICE_TYPE Type,
                            ULONG Characteristics, PDEVICE_OBJECT *Device)
{
    NTSTATUS Status;

    LockDeviceList();
    Status =
        IoCreateDevice(Driver.Object, ExtensionSize, Name, Type, Characteristics, FALSE, Device);
    UnlockDeviceList();
    return Status;
}

VOID DriverDeleteDevice(PDEVICE_OBJECT Device)
{
    LockDeviceList();
    IoDeleteDevice(Device);
    UnlockDeviceList();
}

/*
 * Wine cancels by the address of an IRP, which by then may belong to another one: when a server is killed
 * whose exchange is just being completed, the cancelling hits whatever IRP has its memory next. IRPs of the
 * control device are made much larger than those of disks, so that this is another exchange, whose server
 * tries again, and not an application's read. (server/device.c: cancel_irp_call queues the address;
 * ntoskrnl.c: dispatch_cancel uses it unchecked.) 120 is about as large as it can be: of 16 the heap still
 * gave pieces to other IRPs at times (9 times in 300 kills of a busy server; with 120 never in 440).
 */
#define WINE_CONTROL_STACK_SIZE 120

static NTSTATUS MUST_CHECK CreateControlDevice(VOID)
{
    UNICODE_STRING Name, Link;
    DEVICE_EXTENSION *Extension;
    NTSTATUS Status;

    RtlInitUnicodeString(&Name, CONTROL_NAME);
    RtlInitUnicodeString(&Link, CONTROL_LINK);
    /* The device kind is not a disk's: nothing must ever try to mount a file system on it. */
    Status = DriverCreateDevice(sizeof(DEVICE_EXTENSION), &Name, FILE_DEVICE_UNKNOWN,
                                FILE_DEVICE_SECURE_OPEN, &Driver.ControlDevice);
    if (!NT_SUCCESS(Status))
        return Status;
    Extension = Driver.ControlDevice->DeviceExtension;
    Extension->Kind = DEVICE_KIND_CONTROL;
    if (Driver.IsWine)
        Driver.ControlDevice->StackSize = WINE_CONTROL_STACK_SIZE;
    Status = SecurityProtectControl(Driver.ControlDevice);
    if (!NT_SUCCESS(Status))
        goto DeleteDevice;
    /* Links are permanent on Wine: one left behind by a driver that crashed would stand in the way.
     */
    IoDeleteSymbolicLink(&Link);
    Status = IoCreateSymbolicLink(&Link, &Name);
    if (!NT_SUCCESS(Status))
        goto DeleteDevice;
    return STATUS_SUCCESS;

DeleteDevice:
    DriverDeleteDevice(Driver.ControlDevice);
    return Status;
}

/*
 * Wine unmaps the driver as soon as DriverUnload has returned, whatever runs in it. An entry point that
 * has not yet counted itself in, or has counted itself out and has a few instructions left, cannot be
 * seen; each is given far more time than it needs.
 */
static VOID WaitForEntryPoints(VOID)
{
    LARGE_INTEGER Pause = {.QuadPart = -10 * 1000 * 10}; /* 10 ms */
    ULONG Quiet = 0;

    while (Quiet < 5) {
        KeDelayExecutionThread(KernelMode, FALSE, &Pause);
        Quiet = Driver.Active == 0 ? Quiet + 1 : 0;
    }
}

/*
 * Stop. NT calls this when the last handle of every device is closed, so there are no servers left and
 * no IRPs; disks may be held without one, or with the reaper. Wine calls it at once, with handles open, IRPs pended and the
 * dispatch thread running. So: refuse what is new, remove every disk (which completes every IRP), and
 * wait for the reaper.
 */
static VOID NTAPI DriverUnload(PDRIVER_OBJECT Object)
{
    UNICODE_STRING Link;

    UNREFERENCED_PARAMETER(Object);
    RtlInitUnicodeString(&Link, CONTROL_LINK);
    IoDeleteSymbolicLink(&Link);
    ServerStopAll();
    WatchdogStop(); /* before the reaper: it may be holding the last reference to a disk */
    ReaperDrain();
    NumbersSave();
    DriverDeleteDevice(Driver.ControlDevice);
    if (Driver.IsWine)
        WaitForEntryPoints();
    ServerFreeAll();
}

NTSTATUS NTAPI DriverEntry(PDRIVER_OBJECT Object, PUNICODE_STRING RegistryPath);

NTSTATUS NTAPI DriverEntry(PDRIVER_OBJECT Object, PUNICODE_STRING RegistryPath)
{
    LARGE_INTEGER Now;
    NTSTATUS Status;
    ULONG Major;

    UNREFERENCED_PARAMETER(RegistryPath);
    KeQuerySystemTime(&Now);
    Driver.Object = Object;
    Driver.IsWine = IsWine();
    KeInitializeEvent(&DeviceListFree, SynchronizationEvent, TRUE);
    /* Steps of 1.6 ms, in which nobody stops and starts a driver; never 0, so that no id is. */
    Driver.Generation = max((ULONG)(Now.QuadPart >> 14), 1);
    KeInitializeSpinLock(&Driver.Lock);
    InitializeListHead(&Driver.Servers);
    InitializeListHead(&Driver.Disks);
    ChooseMemory();
    ClockInitialize();
    ReaperInitialize();
    NumbersLoad();

    for (Major = 0; Major <= IRP_MJ_MAXIMUM_FUNCTION; Major++)
        Object->MajorFunction[Major] = DriverDispatch;
    Object->DriverUnload = DriverUnload;

    Status = WatchdogStart();
    if (!NT_SUCCESS(Status))
        return Status;
    Status = CreateControlDevice();
    if (!NT_SUCCESS(Status)) {
        WatchdogStop();
        return Status;
    }
    Driver.ControlDevice->Flags &= ~DO_DEVICE_INITIALIZING;
    return STATUS_SUCCESS;
}
