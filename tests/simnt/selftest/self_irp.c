/* SPDX-License-Identifier: MIT */
/* self_irp.c - sins with IRPs: completion, STATUS_PENDING, cancelling, and use after completion. */
#include "selftest.h"

/* -- completion -------------------------------------------------------------------------------- */

static NTSTATUS CompletesTwice(PDEVICE_OBJECT Device, PIRP Irp)
{
    ToySucceed(Device, Irp);
    IoCompleteRequest(Irp, IO_NO_INCREMENT);
    return STATUS_SUCCESS;
}

static NTSTATUS CompletesTwiceInFull(PDEVICE_OBJECT Device, PIRP Irp)
{
    ToySucceed(Device, Irp);
    return ToySucceed(Device, Irp);
}

static PIRP Kept; /* the toy's, without a lock: as sinful as the rest */

static NTSTATUS Keeps(PDEVICE_OBJECT Device, PIRP Irp)
{
    UNREFERENCED_PARAMETER(Device);
    Kept = Irp;
    return ToyPend(Irp, NULL);
}

static NTSTATUS CompletesTheOneBefore(PDEVICE_OBJECT Device, PIRP Irp)
{
    PIRP Before = Kept;

    Kept = Irp;
    if (Before != NULL)
        IoCompleteRequest(Before, IO_NO_INCREMENT);
    return ToySucceed(Device, Irp);
}

static VOID TwoIoctls(VOID)
{
    SIM_PROCESS *Process;
    SIM_FILE *File = SelfOpen(&Process);

    SimFinish(SelfIoctl(File), NULL);
    SimFinish(SelfIoctl(File), NULL);
    SelfClose(File, Process);
}

static VOID IoctlsThatNobodyWaitsFor(VOID)
{
    SIM_PROCESS *Process;
    SIM_FILE *File = SelfOpen(&Process);

    SimFreeIo(SelfIoctl(File));
    SimFreeIo(SelfIoctl(File));
    SelfClose(File, Process);
}

static VOID IoctlThatNobodyWaitsFor(VOID)
{
    SIM_PROCESS *Process;
    SIM_FILE *File = SelfOpen(&Process);

    SimFreeIo(SelfIoctl(File));
    SimClose(File);
    SimStopDriver();
    SimShutDown();
}

static VOID KillWithAnIoctl(VOID)
{
    SIM_PROCESS *Process;
    SIM_FILE *File = SelfOpen(&Process);

    SimFreeIo(SelfIoctl(File));
    SimKill(Process);
}

static NTSTATUS CompletesUnderLock(PDEVICE_OBJECT Device, PIRP Irp)
{
    KIRQL Irql;

    KeAcquireSpinLock(&ToyLock, &Irql);
    ToySucceed(Device, Irp);
    KeReleaseSpinLock(&ToyLock, Irql);
    return STATUS_SUCCESS;
}

static VOID AtIrqlThree(VOID)
{
    SIM_REQUEST Request = {.Major = IRP_MJ_DEVICE_CONTROL, .Code = IOCTL_TOY, .Irql = 3};
    SIM_PROCESS *Process;
    SIM_FILE *File = SelfOpen(&Process);

    SimFinish(SimSend(File, &Request), NULL);
    SelfClose(File, Process);
}

static NTSTATUS CompletesAsPending(PDEVICE_OBJECT Device, PIRP Irp)
{
    UNREFERENCED_PARAMETER(Device);
    return ToyComplete(Irp, STATUS_PENDING, 0);
}

static NTSTATUS CompletesWhatIsNone(PDEVICE_OBJECT Device, PIRP Irp)
{
    PUCHAR Memory = ExAllocatePoolWithTag(NonPagedPool, 2048, TOY_TAG);

    memset(Memory, 0, 2048);
    ToySucceed(Device, (PIRP)Memory);
    return ToySucceed(Device, Irp);
}

/* -- what a dispatch routine returns ----------------------------------------------------------- */

static NTSTATUS PendsUnmarked(PDEVICE_OBJECT Device, PIRP Irp)
{
    UNREFERENCED_PARAMETER(Device);
    Kept = Irp;
    return STATUS_PENDING;
}

static NTSTATUS PendsUnmarkedAndCompletes(PDEVICE_OBJECT Device, PIRP Irp)
{
    ToySucceed(Device, Irp);
    return STATUS_PENDING;
}

static NTSTATUS MarksAndReturnsSuccess(PDEVICE_OBJECT Device, PIRP Irp)
{
    ToyPend(Irp, NULL);
    return ToySucceed(Device, Irp);
}

static NTSTATUS ReturnsAnother(PDEVICE_OBJECT Device, PIRP Irp)
{
    UNREFERENCED_PARAMETER(Device);
    ToyComplete(Irp, STATUS_DISK_FULL, 0);
    return STATUS_SUCCESS;
}

static NTSTATUS DoesNotComplete(PDEVICE_OBJECT Device, PIRP Irp)
{
    UNREFERENCED_PARAMETER(Device);
    UNREFERENCED_PARAMETER(Irp);
    return STATUS_SUCCESS;
}

static NTSTATUS ReturnsWithLock(PDEVICE_OBJECT Device, PIRP Irp)
{
    KIRQL Irql;

    ToySucceed(Device, Irp);
    KeAcquireSpinLock(&ToyLock, &Irql);
    return STATUS_SUCCESS;
}

/* -- cancelling -------------------------------------------------------------------------------- */

static VOID CancelsWell(PDEVICE_OBJECT Device, PIRP Irp)
{
    UNREFERENCED_PARAMETER(Device);
    IoReleaseCancelSpinLock(Irp->CancelIrql);
    ToyComplete(Irp, STATUS_CANCELLED, 0);
}

static VOID CompletesUnderCancelLock(PDEVICE_OBJECT Device, PIRP Irp)
{
    UNREFERENCED_PARAMETER(Device);
    ToyComplete(Irp, STATUS_CANCELLED, 0);
    IoReleaseCancelSpinLock(Irp->CancelIrql);
}

static VOID KeepsCancelLock(PDEVICE_OBJECT Device, PIRP Irp)
{
    UNREFERENCED_PARAMETER(Device);
    UNREFERENCED_PARAMETER(Irp);
}

static VOID ReleasesToAnotherIrql(PDEVICE_OBJECT Device, PIRP Irp)
{
    UNREFERENCED_PARAMETER(Device);
    IoReleaseCancelSpinLock(DISPATCH_LEVEL);
    ToyComplete(Irp, STATUS_CANCELLED, 0);
}

static VOID TakesLockUnderCancelLock(PDEVICE_OBJECT Device, PIRP Irp)
{
    KIRQL Irql;

    KeAcquireSpinLock(&ToyLock, &Irql);
    KeReleaseSpinLock(&ToyLock, Irql);
    CancelsWell(Device, Irp);
}

static VOID WaitsInCancelRoutine(PDEVICE_OBJECT Device, PIRP Irp)
{
    LARGE_INTEGER Timeout = {.QuadPart = -10000};

    IoReleaseCancelSpinLock(Irp->CancelIrql);
    KeWaitForSingleObject(&ToyEvent, Executive, KernelMode, FALSE, &Timeout);
    UNREFERENCED_PARAMETER(Device);
    ToyComplete(Irp, STATUS_CANCELLED, 0);
}

#define PENDS_WITH(routine)                                                                        \
    static NTSTATUS Pends_##routine(PDEVICE_OBJECT Device, PIRP Irp)                               \
    {                                                                                              \
        UNREFERENCED_PARAMETER(Device);                                                            \
        return ToyPend(Irp, routine);                                                              \
    }

PENDS_WITH(CancelsWell)
PENDS_WITH(CompletesUnderCancelLock)
PENDS_WITH(KeepsCancelLock)
PENDS_WITH(ReleasesToAnotherIrql)
PENDS_WITH(TakesLockUnderCancelLock)
PENDS_WITH(WaitsInCancelRoutine)

static NTSTATUS LeavesRoutineSet(PDEVICE_OBJECT Device, PIRP Irp)
{
    ToyPend(Irp, CancelsWell);
    ToySucceed(Device, Irp);
    return STATUS_PENDING;
}

static VOID CancelledIoctl(VOID)
{
    SIM_PROCESS *Process;
    SIM_FILE *File = SelfOpen(&Process);
    SIM_IO *Io = SelfIoctl(File);

    SimCancel(Io);
    CHECK_EQ(SimFinish(Io, NULL), STATUS_CANCELLED);
    SelfClose(File, Process);
}

static NTSTATUS SetsRoutineAfterwards(PDEVICE_OBJECT Device, PIRP Irp)
{
    ToySucceed(Device, Irp);
    IoSetCancelRoutine(Irp, CancelsWell);
    return STATUS_SUCCESS;
}

/* -- after completion -------------------------------------------------------------------------- */

static NTSTATUS MarksAfterwards(PDEVICE_OBJECT Device, PIRP Irp)
{
    ToySucceed(Device, Irp);
    IoMarkIrpPending(Irp);
    return STATUS_PENDING;
}

static NTSTATUS ReadsIrpAfterwards(PDEVICE_OBJECT Device, PIRP Irp)
{
    ToySucceed(Device, Irp);
    return Irp->IoStatus.Status;
}

static NTSTATUS ReadsStackAfterwards(PDEVICE_OBJECT Device, PIRP Irp)
{
    PIO_STACK_LOCATION Stack = IoGetCurrentIrpStackLocation(Irp);

    ToySucceed(Device, Irp);
    return Stack->MajorFunction == IRP_MJ_CREATE ? STATUS_PENDING : STATUS_SUCCESS;
}

static NTSTATUS AsksForProcessAfterwards(PDEVICE_OBJECT Device, PIRP Irp)
{
    ToySucceed(Device, Irp);
    return IoGetRequestorProcess(Irp) == NULL ? STATUS_PENDING : STATUS_SUCCESS;
}

static NTSTATUS ReadsBufferAfterwards(PDEVICE_OBJECT Device, PIRP Irp)
{
    PUCHAR Buffer = Irp->AssociatedIrp.SystemBuffer;

    ToySucceed(Device, Irp);
    return Buffer[0] == 1 ? STATUS_PENDING : STATUS_SUCCESS;
}

static NTSTATUS TouchesFileAfterClose(PDEVICE_OBJECT Device, PIRP Irp)
{
    static PFILE_OBJECT File;
    PFILE_OBJECT Now = IoGetCurrentIrpStackLocation(Irp)->FileObject;

    if (File != NULL && File->FsContext != NULL)
        Now->FsContext = File->FsContext;
    File = Now;
    return ToySucceed(Device, Irp);
}

static VOID TwoOpens(VOID)
{
    SelfOneIoctl();
    SelfOneIoctl();
}

static VOID BufferedIoctl(VOID)
{
    SIM_PROCESS *Process;
    SIM_FILE *File = SelfOpen(&Process);
    UCHAR Data[16] = {0};

    SimFinish(SimIoctl(File, IOCTL_TOY, Data, sizeof(Data), Data, sizeof(Data)), NULL);
    SelfClose(File, Process);
}

/* -- results ----------------------------------------------------------------------------------- */

static NTSTATUS ReturnsTooMuch(PDEVICE_OBJECT Device, PIRP Irp)
{
    UNREFERENCED_PARAMETER(Device);
    return ToyComplete(Irp, STATUS_SUCCESS, 17);
}

static VOID ShortRead(VOID)
{
    SIM_MEMORY *Memory = SimAllocate(4096);
    SIM_PROCESS *Process;
    SIM_FILE *File = SelfOpen(&Process);

    SimFinish(SimRead(File, 0, Memory, 0, 16), NULL);
    SelfClose(File, Process);
    SimFree(Memory);
}

/* -- devices with requests --------------------------------------------------------------------- */

static NTSTATUS DeletesItsDevice(PDEVICE_OBJECT Device, PIRP Irp)
{
    static LONG Count;

    if (Count++ == 0)
        return Keeps(Device, Irp);
    IoDeleteDevice(Device);
    return ToySucceed(Device, Irp);
}

static NTSTATUS DeletesTwice(PDEVICE_OBJECT Device, PIRP Irp)
{
    IoDeleteDevice(Device);
    IoDeleteDevice(Device);
    return ToySucceed(Device, Irp);
}

static const SELF_CASE Cases[] = {
    SELF_SIN(CompletesTwice, ON_BOTH, NULL, "STOP: an IRP is completed twice",
             "completed first at:"),
    SELF_SIN(CompletesTwiceInFull, ON_BOTH | ONLY_ASAN, NULL, "AddressSanitizer: use-after-poison",
             "the IRP was completed at:", "seed"),
    SELF_SIN(CompletesTheOneBefore, ON_BOTH | ONLY_ASAN, TwoIoctls,
             "AddressSanitizer: heap-use-after-free", "IofCompleteRequest"),
    SELF_SIN(CompletesWhatIsNone, ON_BOTH, NULL, "an IRP is completed that is none"),
    SELF_SIN(Keeps, ON_BOTH | ONLY_SERIAL, NULL, "STOP: deadlock",
             "an IRP that is not completed was sent at:", "SelfIoctl"),
    SELF_SIN(Keeps, ON_NT, IoctlThatNobodyWaitsFor, "STOP: an IRP is never completed",
             "sent at:", "SelfIoctl"),
    SELF_SIN(Keeps, ON_BOTH | ONLY_SERIAL, KillWithAnIoctl, "STOP: deadlock",
             "an IRP that is not completed was sent at:"),
    SELF_SIN(CompletesUnderLock, ON_BOTH, NULL, "an IRP is completed with a spin lock held",
             "acquired at:", "CompletesUnderLock"),
    SELF_SIN(Pends_CompletesUnderCancelLock, ON_BOTH, CancelledIoctl,
             "an IRP is completed with the cancel lock held"),
    SELF_SIN(ToySucceed, ON_NT, AtIrqlThree, "IofCompleteRequest is called at IRQL 3"),
    SELF_SIN(CompletesAsPending, ON_BOTH, NULL, "an IRP is completed with STATUS_PENDING"),
    SELF_SIN(PendsUnmarked, ON_BOTH, NULL,
             "STATUS_PENDING is returned for an IRP that was not marked pending"),
    SELF_SIN(PendsUnmarkedAndCompletes, ON_BOTH, NULL,
             "STATUS_PENDING is returned for an IRP that was not marked pending"),
    SELF_SIN(MarksAndReturnsSuccess, ON_BOTH, NULL,
             "an IRP was marked pending, and 0x0 is returned for it"),
    SELF_SIN(ReturnsAnother, ON_BOTH, NULL,
             "an IRP was completed with 0xc000007f; 0x0 is returned for it"),
    SELF_SIN(DoesNotComplete, ON_BOTH, NULL,
             "a dispatch routine returns 0x0 and has not completed its IRP", "sent at:"),
    SELF_SIN(ReturnsWithLock, ON_BOTH, NULL, "a dispatch routine returns at another IRQL"),
    SELF_SIN(Pends_KeepsCancelLock, ON_BOTH, CancelledIoctl,
             "a cancel routine has not released the cancel lock"),
    SELF_SIN(Pends_ReleasesToAnotherIrql, ON_BOTH, CancelledIoctl,
             "the cancel lock is released to IRQL 2"),
    SELF_SIN(Pends_TakesLockUnderCancelLock, ON_BOTH, CancelledIoctl,
             "lock order: a spin lock is acquired while the cancel lock is held"),
    SELF_SIN(Pends_WaitsInCancelRoutine, ON_NT, CancelledIoctl,
             "KeWaitForSingleObject waits in a dispatch or cancel routine"),
    SELF_SIN(LeavesRoutineSet, ON_BOTH, NULL, "an IRP is completed with its cancel routine set"),
    SELF_SIN(SetsRoutineAfterwards, ON_BOTH, NULL,
             "IoSetCancelRoutine is called for an IRP that has been completed", "completed at:"),
    SELF_SIN(AsksForProcessAfterwards, ON_BOTH, NULL,
             "IoGetRequestorProcess is called for an IRP that has been completed"),
    SELF_SIN(MarksAfterwards, ON_BOTH | ONLY_ASAN, NULL, "AddressSanitizer: use-after-poison",
             "MarksAfterwards"),
    SELF_SIN(ReadsIrpAfterwards, ON_BOTH | ONLY_ASAN, NULL, "AddressSanitizer: use-after-poison",
             "ReadsIrpAfterwards"),
    SELF_SIN(ReadsStackAfterwards, ON_BOTH | ONLY_ASAN, NULL, "AddressSanitizer: use-after-poison",
             "ReadsStackAfterwards"),
    SELF_SIN(ReadsBufferAfterwards, ON_BOTH | ONLY_ASAN, BufferedIoctl,
             "AddressSanitizer: heap-use-after-free", "ReadsBufferAfterwards"),
    {.Name = "TouchesFileAfterClose",
     .On = ON_BOTH | ONLY_ASAN,
     .Toy = {.Create = TouchesFileAfterClose},
     .Story = TwoOpens,
     .Hears = {"AddressSanitizer: heap-use-after-free", "TouchesFileAfterClose"}},
    SELF_SIN(ReturnsTooMuch, ON_BOTH, BufferedIoctl,
             "an ioctl (0x222000) returns 17 bytes into a buffer of 16"),
    SELF_SIN(ReturnsTooMuch, ON_BOTH, ShortRead, "a read returns more than was asked for"),
    SELF_SIN(Keeps, ON_WINE, IoctlThatNobodyWaitsFor,
             "STOP: a device is deleted that has an IRP pended"),
    SELF_SIN(DeletesItsDevice, ON_BOTH, IoctlsThatNobodyWaitsFor,
             "a device is deleted that has an IRP pended", "sent at:"),
    SELF_SIN(DeletesTwice, ON_BOTH, NULL, "a device is deleted twice"),
    SELF_WELL(Pends_CancelsWell, ON_BOTH, CancelledIoctl),
    SELF_WELL(ToySucceed, ON_BOTH, BufferedIoctl),
};

int main(int Count, char **Arguments)
{
    return SelfMain(Count, Arguments, Cases, RTL_NUMBER_OF(Cases));
}
