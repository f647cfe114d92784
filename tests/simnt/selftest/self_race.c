/* SPDX-License-Identifier: MIT */
/*
 * self_race.c - that the thread sanitizer sees what a driver does not order, also when calls into the simulated
 * kernel lie in between; and is silent where the driver or a real kernel does order it.
 */
#include "selftest.h"

static LONG Plain; /* what two threads of the driver write */
static LONG volatile Volatile;

/* -- counters ---------------------------------------------------------------------------------- */

static NTSTATUS CountsPlainly(PDEVICE_OBJECT Device, PIRP Irp)
{
    Plain++;
    return ToySucceed(Device, Irp);
}

static NTSTATUS CountsByVolatile(PDEVICE_OBJECT Device, PIRP Irp)
{
    Volatile++;
    return ToySucceed(Device, Irp);
}

static NTSTATUS CountsInterlocked(PDEVICE_OBJECT Device, PIRP Irp)
{
    InterlockedIncrement(&ToyCount);
    return ToySucceed(Device, Irp);
}

static NTSTATUS CountsUnderLock(PDEVICE_OBJECT Device, PIRP Irp)
{
    KIRQL Irql;

    KeAcquireSpinLock(&ToyLock, &Irql);
    Plain++;
    KeReleaseSpinLock(&ToyLock, Irql);
    return ToySucceed(Device, Irp);
}

static NTSTATUS CountsUnderTwoLocks(PDEVICE_OBJECT Device, PIRP Irp)
{
    PKSPIN_LOCK Lock = (InterlockedIncrement(&ToyCount) & 1) != 0 ? &ToyLock : &ToyOtherLock;
    KIRQL Irql;

    KeAcquireSpinLock(Lock, &Irql);
    Plain++;
    KeReleaseSpinLock(Lock, Irql);
    return ToySucceed(Device, Irp);
}

/* -- what orders nothing ----------------------------------------------------------------------- */

static VOID CallTheKernel(PDEVICE_OBJECT Device)
{
    PVOID Memory = ExAllocatePoolWithTag(NonPagedPool, 16, TOY_TAG);
    PIO_WORKITEM Item = IoAllocateWorkItem(Device);

    KeQueryPerformanceCounter(NULL);
    IoFreeWorkItem(Item);
    ExFreePoolWithTag(Memory, TOY_TAG);
}

static NTSTATUS CountsBetweenCalls(PDEVICE_OBJECT Device, PIRP Irp)
{
    CallTheKernel(Device);
    Plain++;
    CallTheKernel(Device);
    return ToySucceed(Device, Irp);
}

static NTSTATUS CountsAndReturns(PDEVICE_OBJECT Device, PIRP Irp)
{
    ToySucceed(Device, Irp);
    Plain++;
    return STATUS_SUCCESS;
}

/* An IRP that another thread may have completed already. */
static PIRP Kept; /* P: ToyLock */

static NTSTATUS TouchesAfterQueueing(PDEVICE_OBJECT Device, PIRP Irp)
{
    PIRP Before;
    KIRQL Irql;

    IoMarkIrpPending(Irp);
    KeAcquireSpinLock(&ToyLock, &Irql);
    Before = Kept;
    Kept = Before == NULL ? Irp : NULL;
    KeReleaseSpinLock(&ToyLock, Irql);
    if (Before == NULL) {
        Irp->IoStatus.Information = 1; /* too late: it is in the queue */
        return STATUS_PENDING;
    }
    ToyComplete(Before, STATUS_SUCCESS, 0);
    ToySucceed(Device, Irp);
    return STATUS_PENDING;
}

/* -- what does order --------------------------------------------------------------------------- */

static NTSTATUS SetsOrWaits(PDEVICE_OBJECT Device, PIRP Irp)
{
    if (IoGetCurrentIrpStackLocation(Irp)->Parameters.DeviceIoControl.InputBufferLength == 0) {
        Plain = 1;
        KeSetEvent(&ToyEvent, IO_NO_INCREMENT, FALSE);
    }
    return ToySucceed(Device, Irp);
}

static PVOID Waiter;

static VOID WaitAndRead(PVOID Context)
{
    UNREFERENCED_PARAMETER(Context);
    KeWaitForSingleObject(&ToyEvent, Executive, KernelMode, FALSE, NULL);
    Plain++;
}

static NTSTATUS StartWaiter(VOID)
{
    return ToyStartThread(WaitAndRead, &Waiter);
}

static VOID EndWaiter(VOID)
{
    ToyEndThread(Waiter);
    Plain++; /* after its end */
}

static VOID Work(PDEVICE_OBJECT Device, PVOID Context)
{
    UNREFERENCED_PARAMETER(Device);
    Plain++;
    IoFreeWorkItem(Context);
}

static NTSTATUS HandsToWorkItem(PDEVICE_OBJECT Device, PIRP Irp)
{
    PIO_WORKITEM Item = IoAllocateWorkItem(Device);

    Plain++;
    IoQueueWorkItem(Item, Work, DelayedWorkQueue, Item);
    return ToySucceed(Device, Irp);
}

static NTSTATUS HandsToNextOne(PDEVICE_OBJECT Device, PIRP Irp)
{
    PIRP Before;
    KIRQL Irql;

    IoMarkIrpPending(Irp);
    Irp->Tail.Overlay.DriverContext[0] = Irp;
    KeAcquireSpinLock(&ToyLock, &Irql);
    Before = Kept;
    Kept = Before == NULL ? Irp : NULL;
    KeReleaseSpinLock(&ToyLock, Irql);
    if (Before == NULL)
        return STATUS_PENDING;
    CHECK(Before->Tail.Overlay.DriverContext[0] == Before);
    ToyComplete(Before, STATUS_SUCCESS, 0);
    ToySucceed(Device, Irp);
    return STATUS_PENDING;
}

static VOID Cancel(PDEVICE_OBJECT Device, PIRP Irp)
{
    UNREFERENCED_PARAMETER(Device);
    IoReleaseCancelSpinLock(Irp->CancelIrql);
    CHECK(Irp->Tail.Overlay.DriverContext[0] == Irp);
    ToyComplete(Irp, STATUS_CANCELLED, 0);
}

static NTSTATUS PendsCancellable(PDEVICE_OBJECT Device, PIRP Irp)
{
    UNREFERENCED_PARAMETER(Device);
    Irp->Tail.Overlay.DriverContext[0] = Irp;
    return ToyPend(Irp, Cancel);
}

static PDEVICE_OBJECT Disk;

/* What it writes before it clears the flag is for who opens it. */
static NTSTATUS MakesADisk(PDEVICE_OBJECT Device, PIRP Irp)
{
    UNICODE_STRING Name;

    if (Device != ToyDevice || Disk != NULL) {
        CHECK_EQ(*(PLONG)Device->DeviceExtension, Device == ToyDevice ? 0 : 7);
        return ToySucceed(Device, Irp);
    }
    RtlInitUnicodeString(&Name, L"\\Device\\ToyDisk");
    CHECK_EQ(IoCreateDevice(ToyDriver, TOY_EXTENSION, &Name, FILE_DEVICE_DISK, 0, FALSE, &Disk),
             STATUS_SUCCESS);
    *(PLONG)Disk->DeviceExtension = 7;
    Disk->Flags &= ~DO_DEVICE_INITIALIZING;
    return ToySucceed(Device, Irp);
}

static VOID DeleteDisk(VOID)
{
    CHECK_EQ(*(PLONG)Disk->DeviceExtension, 7);
    IoDeleteDevice(Disk);
}

static NTSTATUS WritesExtension(PDEVICE_OBJECT Device, PIRP Irp)
{
    *(PLONG)Device->DeviceExtension = 1;
    return ToySucceed(Device, Irp);
}

static VOID ReadExtension(VOID)
{
    CHECK_EQ(*(PLONG)ToyDevice->DeviceExtension, 1);
}

/* -- stories ----------------------------------------------------------------------------------- */

typedef struct SENDER {
    SIM_FILE *File;
    ULONG Delay, Count;
} SENDER;

static VOID Send(PVOID Context)
{
    SENDER *Sender = Context;
    ULONG Index;

    SimSleepMs(Sender->Delay); /* which orders nothing */
    for (Index = 0; Index < Sender->Count; Index++)
        SimFinish(SelfIoctl(Sender->File), NULL);
}

static VOID TwoSenders(ULONG Delay, ULONG Count)
{
    SIM_PROCESS *Process, *Other;
    SENDER First = {SelfOpen(&Process), 0, Count}, Second = {SelfOpen(&Other), Delay, Count};
    SIM_THREAD *One = SimSpawn("one", Send, &First), *Two = SimSpawn("two", Send, &Second);

    SimJoin(One);
    SimJoin(Two);
    SelfClose(First.File, Process);
    SelfClose(Second.File, Other);
}

static VOID AtOnce(VOID)
{
    TwoSenders(0, 20);
}

static VOID OneAfterTheOther(VOID)
{
    TwoSenders(400, 1);
}

static VOID CancelByAnother(PVOID Io)
{
    SimCancel(Io);
}

static VOID Cancelled(VOID)
{
    SIM_PROCESS *Process;
    SIM_FILE *File = SelfOpen(&Process);
    SIM_IO *Io = SelfIoctl(File);

    SimJoin(SimSpawn("canceller", CancelByAnother, Io));
    CHECK_EQ(SimFinish(Io, NULL), STATUS_CANCELLED);
    SelfClose(File, Process);
}

static VOID SendOne(PVOID File)
{
    SimFinish(SelfIoctl(File), NULL);
}

static VOID OpenWhatAppears(VOID)
{
    SIM_PROCESS *Process, *Other = SimCreateProcess(TRUE);
    SIM_FILE *File = SelfOpen(&Process), *Opened;
    SIM_THREAD *Maker = SimSpawn("maker", SendOne, File);
    NTSTATUS Status;

    while ((Opened = SimOpen(Other, "\\Device\\ToyDisk", GENERIC_READ, &Status)) == NULL)
        SimSleepMs(1);
    SimFinish(SelfIoctl(Opened), NULL);
    SimClose(Opened);
    SimEndProcess(Other);
    SimJoin(Maker);
    SelfClose(File, Process);
}

#define SEES(routine, story) SELF_SIN(routine, ON_NT | ONLY_TSAN, story, "data race", #routine)
#define SILENT(routine, story) SELF_WELL(routine, ON_BOTH | ONLY_TSAN, story)

static const SELF_CASE Cases[] = {
    SEES(CountsPlainly, AtOnce),
    SEES(CountsPlainly, OneAfterTheOther),
    SEES(CountsUnderTwoLocks, OneAfterTheOther),
    SEES(CountsBetweenCalls, OneAfterTheOther),
    SEES(CountsAndReturns, OneAfterTheOther),
    SEES(TouchesAfterQueueing, OneAfterTheOther),
    SILENT(CountsByVolatile, AtOnce),
    SILENT(CountsInterlocked, AtOnce),
    SILENT(CountsUnderLock, AtOnce),
    SELF_WELL(CountsPlainly, ON_WINE | ONLY_TSAN, AtOnce), /* by one thread */
    SILENT(HandsToNextOne, AtOnce),
    SILENT(PendsCancellable, Cancelled),
    {.Name = "HandsToWorkItem",
     .On = ON_NT | ONLY_TSAN,
     .Toy = {.Io = HandsToWorkItem},
     .Seeds = 3},
    {.Name = "SetsOrWaits",
     .On = ON_BOTH | ONLY_TSAN,
     .Toy = {.Load = StartWaiter, .Unload = EndWaiter, .Io = SetsOrWaits},
     .Seeds = 3},
    {.Name = "MakesADisk",
     .On = ON_BOTH | ONLY_TSAN,
     .Toy = {.Create = ToySucceed, .Io = MakesADisk, .Unload = DeleteDisk},
     .Story = OpenWhatAppears,
     .Seeds = 20},
    {.Name = "WritesExtension",
     .On = ON_BOTH | ONLY_TSAN,
     .Toy = {.Io = WritesExtension, .Unload = ReadExtension}},
};

int main(int Count, char **Arguments)
{
    return SelfMain(Count, Arguments, Cases, RTL_NUMBER_OF(Cases));
}
