/* SPDX-License-Identifier: MIT */
/* self_lock.c - sins with spin locks, IRQL, events and waiting. */
#include "selftest.h"

/* -- spin locks -------------------------------------------------------------------------------- */

static NTSTATUS TakesASecondLock(PDEVICE_OBJECT Device, PIRP Irp)
{
    KIRQL Irql, Other;

    KeAcquireSpinLock(&ToyLock, &Irql);
    KeAcquireSpinLock(&ToyOtherLock, &Other);
    KeReleaseSpinLock(&ToyOtherLock, Other);
    KeReleaseSpinLock(&ToyLock, Irql);
    return ToySucceed(Device, Irp);
}

static NTSTATUS TakesALockTwice(PDEVICE_OBJECT Device, PIRP Irp)
{
    KIRQL Irql;

    KeAcquireSpinLock(&ToyLock, &Irql);
    KeAcquireSpinLock(&ToyLock, &Irql);
    return ToySucceed(Device, Irp);
}

static NTSTATUS TakesAnUninitializedLock(PDEVICE_OBJECT Device, PIRP Irp)
{
    static KSPIN_LOCK Lock;
    KIRQL Irql;

    KeAcquireSpinLock(&Lock, &Irql);
    KeReleaseSpinLock(&Lock, Irql);
    return ToySucceed(Device, Irp);
}

static NTSTATUS InitializesAHeldLock(PDEVICE_OBJECT Device, PIRP Irp)
{
    KIRQL Irql;

    KeAcquireSpinLock(&ToyLock, &Irql);
    KeInitializeSpinLock(&ToyLock);
    KeReleaseSpinLock(&ToyLock, Irql);
    return ToySucceed(Device, Irp);
}

static NTSTATUS ReleasesAFreeLock(PDEVICE_OBJECT Device, PIRP Irp)
{
    KeReleaseSpinLock(&ToyLock, PASSIVE_LEVEL);
    return ToySucceed(Device, Irp);
}

static NTSTATUS ReleasesToAnotherIrql(PDEVICE_OBJECT Device, PIRP Irp)
{
    KIRQL Irql;

    KeAcquireSpinLock(&ToyLock, &Irql);
    KeReleaseSpinLock(&ToyLock, APC_LEVEL);
    return ToySucceed(Device, Irp);
}

static NTSTATUS FreesAHeldLock(PDEVICE_OBJECT Device, PIRP Irp)
{
    PKSPIN_LOCK Lock = ExAllocatePoolWithTag(NonPagedPool, sizeof(*Lock), TOY_TAG);
    KIRQL Irql;

    KeInitializeSpinLock(Lock);
    KeAcquireSpinLock(Lock, &Irql);
    ExFreePoolWithTag(Lock, TOY_TAG);
    return ToySucceed(Device, Irp);
}

static VOID ReleaseForeignLock(PVOID Context)
{
    UNREFERENCED_PARAMETER(Context);
    KeWaitForSingleObject(&ToyEvent, Executive, KernelMode, FALSE, NULL);
    KeReleaseSpinLock(&ToyLock, PASSIVE_LEVEL);
}

static NTSTATUS StartReleaser(VOID)
{
    PVOID Releaser;

    return ToyStartThread(ReleaseForeignLock, &Releaser);
}

static NTSTATUS HoldsALockForEver(PDEVICE_OBJECT Device, PIRP Irp)
{
    KIRQL Irql;

    UNREFERENCED_PARAMETER(Device);
    UNREFERENCED_PARAMETER(Irp);
    KeAcquireSpinLock(&ToyLock, &Irql);
    KeSetEvent(&ToyEvent, IO_NO_INCREMENT, FALSE);
    while (InterlockedIncrement(&ToyCount) != 0)
        ;
    return STATUS_SUCCESS;
}

/* -- where a thread of the driver may end ------------------------------------------------------ */

static VOID EndWithLock(PVOID Context)
{
    KIRQL Irql;

    UNREFERENCED_PARAMETER(Context);
    KeAcquireSpinLock(&ToyLock, &Irql);
}

static PVOID Thread;

static NTSTATUS StartThreadThatEndsWithLock(VOID)
{
    return ToyStartThread(EndWithLock, &Thread);
}

static VOID EndThread(VOID)
{
    ToyEndThread(Thread);
}

static VOID WorkAndKeepLock(PDEVICE_OBJECT Device, PVOID Context)
{
    KIRQL Irql;

    UNREFERENCED_PARAMETER(Device);
    IoFreeWorkItem(Context);
    KeAcquireSpinLock(&ToyLock, &Irql);
}

static NTSTATUS QueuesWorkThatKeepsALock(PDEVICE_OBJECT Device, PIRP Irp)
{
    PIO_WORKITEM Item = IoAllocateWorkItem(Device);

    IoQueueWorkItem(Item, WorkAndKeepLock, DelayedWorkQueue, Item);
    return ToySucceed(Device, Irp);
}

static VOID UnloadAndKeepLock(VOID)
{
    static KSPIN_LOCK Lock;
    KIRQL Irql;

    KeInitializeSpinLock(&Lock);
    KeAcquireSpinLock(&Lock, &Irql);
}

/* -- IRQL -------------------------------------------------------------------------------------- */

static NTSTATUS CreatesADeviceUnderLock(PDEVICE_OBJECT Device, PIRP Irp)
{
    PDEVICE_OBJECT Other;
    KIRQL Irql;

    KeAcquireSpinLock(&ToyLock, &Irql);
    ToyMakeDevice(L"\\Device\\Other", FILE_DEVICE_UNKNOWN, &Other);
    KeReleaseSpinLock(&ToyLock, Irql);
    return ToySucceed(Device, Irp);
}

static NTSTATUS DeletesItsDevice(PDEVICE_OBJECT Device, PIRP Irp)
{
    IoDeleteDevice(Device);
    return ToySucceed(Device, Irp);
}

static VOID AtDispatchLevel(VOID)
{
    SIM_REQUEST Request = {
        .Major = IRP_MJ_DEVICE_CONTROL, .Code = IOCTL_TOY, .Irql = DISPATCH_LEVEL};
    SIM_PROCESS *Process;
    SIM_FILE *File = SelfOpen(&Process);

    SimFinish(SimSend(File, &Request), NULL);
    SelfClose(File, Process);
}

/* -- events and waiting ------------------------------------------------------------------------ */

static NTSTATUS SetsAnUninitializedEvent(PDEVICE_OBJECT Device, PIRP Irp)
{
    static KEVENT Event;

    KeSetEvent(&Event, IO_NO_INCREMENT, FALSE);
    return ToySucceed(Device, Irp);
}

static NTSTATUS WaitsForAnUninitializedEvent(PDEVICE_OBJECT Device, PIRP Irp)
{
    static KEVENT Event;
    LARGE_INTEGER Now = {.QuadPart = 0};

    KeWaitForSingleObject(&Event, Executive, KernelMode, FALSE, &Now);
    return ToySucceed(Device, Irp);
}

static NTSTATUS SetsAnEventAndPromisesToWait(PDEVICE_OBJECT Device, PIRP Irp)
{
    KeSetEvent(&ToyEvent, IO_NO_INCREMENT, TRUE);
    return ToySucceed(Device, Irp);
}

static NTSTATUS SetsAFreedEvent(PDEVICE_OBJECT Device, PIRP Irp)
{
    PKEVENT Event = ExAllocatePoolWithTag(NonPagedPool, sizeof(*Event), TOY_TAG);

    KeInitializeEvent(Event, NotificationEvent, FALSE);
    ExFreePoolWithTag(Event, TOY_TAG);
    KeSetEvent(Event, IO_NO_INCREMENT, FALSE);
    return ToySucceed(Device, Irp);
}

static PKEVENT volatile Left;

static __attribute__((noinline)) VOID LeaveEventOnStack(VOID)
{
    KEVENT Event;

    KeInitializeEvent(&Event, NotificationEvent, FALSE);
    Left = &Event;
}

static NTSTATUS SetsAnEventOnALeftStack(PDEVICE_OBJECT Device, PIRP Irp)
{
    LeaveEventOnStack();
    KeSetEvent(Left, IO_NO_INCREMENT, FALSE);
    return ToySucceed(Device, Irp);
}

static VOID WaitFor(LONGLONG Timeout, KPROCESSOR_MODE Mode)
{
    LARGE_INTEGER Limit = {.QuadPart = Timeout};

    KeWaitForSingleObject(&ToyEvent, Executive, Mode, FALSE, &Limit);
}

static NTSTATUS WaitsForATime(PDEVICE_OBJECT Device, PIRP Irp)
{
    WaitFor(-10000, KernelMode);
    return ToySucceed(Device, Irp);
}

static NTSTATUS Polls(PDEVICE_OBJECT Device, PIRP Irp)
{
    KIRQL Irql;

    KeAcquireSpinLock(&ToyLock, &Irql);
    WaitFor(0, KernelMode); /* no wait: allowed anywhere */
    KeReleaseSpinLock(&ToyLock, Irql);
    return ToySucceed(Device, Irp);
}

static NTSTATUS WaitsUnderLock(PDEVICE_OBJECT Device, PIRP Irp)
{
    KIRQL Irql;

    KeAcquireSpinLock(&ToyLock, &Irql);
    WaitFor(-10000, KernelMode);
    KeReleaseSpinLock(&ToyLock, Irql);
    return ToySucceed(Device, Irp);
}

static NTSTATUS WaitsInUserMode(PDEVICE_OBJECT Device, PIRP Irp)
{
    WaitFor(0, UserMode);
    return ToySucceed(Device, Irp);
}

static NTSTATUS Sleeps(PDEVICE_OBJECT Device, PIRP Irp)
{
    LARGE_INTEGER Time = {.QuadPart = -10000};

    KeDelayExecutionThread(KernelMode, FALSE, &Time);
    return ToySucceed(Device, Irp);
}

static const SELF_CASE Cases[] = {
    SELF_SIN(TakesASecondLock, ON_BOTH, NULL,
             "lock order: a second spin lock is acquired while one is held",
             "the other was acquired at:", "TakesASecondLock"),
    SELF_SIN(TakesALockTwice, ON_BOTH, NULL, "a spin lock is acquired by the thread that holds it",
             "acquired at:"),
    SELF_SIN(TakesAnUninitializedLock, ON_BOTH, NULL,
             "a spin lock is used that has not been initialized"),
    SELF_SIN(InitializesAHeldLock, ON_BOTH, NULL, "a spin lock is initialized that is held"),
    SELF_SIN(ReleasesAFreeLock, ON_BOTH, NULL,
             "a spin lock is released by a thread that does not hold it"),
    SELF_SIN(ReleasesToAnotherIrql, ON_BOTH, NULL,
             "a spin lock is released to IRQL 1; it was acquired at 0"),
    SELF_SIN(FreesAHeldLock, ON_BOTH, NULL,
             "memory is freed that has a spin lock in it that is held", "acquired at:"),
    {.Name = "HoldsALockForEver",
     .On = ON_BOTH,
     .Toy = {.Load = StartReleaser, .Io = HoldsALockForEver},
     .Hears = {"a spin lock is released by a thread that does not hold it", "system thread"}},
    {.Name = "EndWithLock",
     .On = ON_BOTH,
     .Toy = {.Load = StartThreadThatEndsWithLock, .Unload = EndThread},
     .Hears = {"a thread of the driver ends at IRQL 2"}},
    SELF_SIN(QueuesWorkThatKeepsALock, ON_NT, NULL, "a work item returns at IRQL 2"),
    {.Name = "UnloadAndKeepLock",
     .On = ON_BOTH,
     .Toy = {.Unload = UnloadAndKeepLock, .KeepsDevice = TRUE, .KeepsLink = TRUE},
     .Hears = {"DriverUnload returns at IRQL 2"}},
    SELF_SIN(CreatesADeviceUnderLock, ON_BOTH, NULL,
             "IoCreateDevice is called at IRQL 2; 1 is the highest allowed"),
    SELF_SIN(DeletesItsDevice, ON_NT, AtDispatchLevel, "IoDeleteDevice is called at IRQL 2"),
    SELF_SIN(SetsAnUninitializedEvent, ON_BOTH, NULL,
             "an event is used that has not been initialized"),
    SELF_SIN(WaitsForAnUninitializedEvent, ON_BOTH, NULL,
             "an event is used that has not been initialized"),
    SELF_SIN(SetsAnEventAndPromisesToWait, ON_BOTH, NULL, "KeSetEvent with Wait"),
    SELF_SIN(SetsAFreedEvent, ON_BOTH | ONLY_ASAN, NULL, "AddressSanitizer: heap-use-after-free",
             "KeSetEvent"),
    SELF_SIN(SetsAnEventOnALeftStack, ON_BOTH | ONLY_ASAN, NULL,
             "AddressSanitizer: stack-use-after-return", "SetsAnEventOnALeftStack"),
    SELF_SIN(WaitsForATime, ON_NT, NULL,
             "KeWaitForSingleObject waits in a dispatch or cancel routine"),
    SELF_SIN(WaitsForATime, ON_NT, AtDispatchLevel, "KeWaitForSingleObject waits at IRQL 2"),
    SELF_WELL(WaitsForATime, ON_WINE, NULL),
    SELF_WELL(Polls, ON_BOTH, NULL),
    SELF_SIN(WaitsUnderLock, ON_BOTH, NULL,
             "KeWaitForSingleObject waits while it holds a spin lock"),
    SELF_SIN(WaitsInUserMode, ON_BOTH, NULL, "a wait in user mode"),
    SELF_SIN(Sleeps, ON_NT, NULL, "KeDelayExecutionThread waits in a dispatch or cancel routine"),
    SELF_SIN(Sleeps, ON_NT, AtDispatchLevel, "KeDelayExecutionThread is called at IRQL 2"),
};

int main(int Count, char **Arguments)
{
    return SelfMain(Count, Arguments, Cases, RTL_NUMBER_OF(Cases));
}
