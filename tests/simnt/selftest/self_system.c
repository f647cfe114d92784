/* SPDX-License-Identifier: MIT */
/*
 * self_system.c - that the two systems are what they are said to be: when which IRP comes, on which thread, at
 * which IRQL, whose memory a driver sees, and when it goes.
 */
#include "selftest.h"

/* -- a driver that notes what it gets, and keeps ioctls until another one comes ---------------- */

static char Log[64];         /* C create, U cleanup, X close, I ioctl, D unload; P: ToyLock */
static LONG volatile Logged; /* how many of them there are; atomic */
static PIRP Kept;            /* P: ToyLock */

static VOID Note(char What)
{
    KIRQL Irql;

    KeAcquireSpinLock(&ToyLock, &Irql);
    CHECK((ULONG)Logged < sizeof(Log) - 1);
    Log[Logged] = What;
    InterlockedIncrement(&Logged);
    KeReleaseSpinLock(&ToyLock, Irql);
}

static VOID NoteUnload(VOID)
{
    Note('D');
}

static NTSTATUS NoteCreate(PDEVICE_OBJECT Device, PIRP Irp)
{
    Note('C');
    return ToySucceed(Device, Irp);
}

static NTSTATUS NoteCleanup(PDEVICE_OBJECT Device, PIRP Irp)
{
    Note('U');
    return ToySucceed(Device, Irp);
}

static NTSTATUS NoteClose(PDEVICE_OBJECT Device, PIRP Irp)
{
    Note('X');
    return ToySucceed(Device, Irp);
}

static PIRP Exchange(PIRP Irp)
{
    PIRP Before;
    KIRQL Irql;

    KeAcquireSpinLock(&ToyLock, &Irql);
    Before = Kept;
    Kept = Irp;
    KeReleaseSpinLock(&ToyLock, Irql);
    return Before;
}

/* The first is kept, the second completes both. */
static NTSTATUS KeepFirst(PDEVICE_OBJECT Device, PIRP Irp)
{
    PIRP First = Exchange(NULL);

    Note('I');
    if (First == NULL) {
        IoMarkIrpPending(Irp);
        Exchange(Irp);
        return STATUS_PENDING;
    }
    ToyComplete(First, STATUS_SUCCESS, 0);
    return ToySucceed(Device, Irp);
}

#define NOTES                                                                                      \
    {                                                                                              \
        .Create = NoteCreate, .Cleanup = NoteCleanup, .Close = NoteClose, .Io = KeepFirst,         \
        .Unload = NoteUnload                                                                       \
    }

/* -- files ------------------------------------------------------------------------------------- */

static VOID CloseWithAnIrpPended(VOID)
{
    SIM_PROCESS *Process, *Other;
    SIM_FILE *File = SelfOpen(&Process), *Second = SelfOpen(&Other);
    SIM_IO *Io = SelfIoctl(File);

    while (InterlockedCompareExchange(&Logged, 0, 0) < 3) /* Wine: it is on its way */
        SimSleepMs(1);
    SimClose(File);
    CHECK(!SimIsDone(Io));
    CHECK(strcmp(Log, SimIsWine() ? "CCIX" : "CCIU") == 0);
    SimFinish(SelfIoctl(Second), NULL);
    CHECK_EQ(SimFinish(Io, NULL), STATUS_SUCCESS);
    SimEndProcess(Process); /* its last CLOSE has come */
    CHECK(strcmp(Log, SimIsWine() ? "CCIXI" : "CCIUIX") == 0);
    SelfClose(Second, Other);
    CHECK(strcmp(Log, SimIsWine() ? "CCIXIX" : "CCIUIXUX") == 0);
}

static NTSTATUS Refuse(PDEVICE_OBJECT Device, PIRP Irp)
{
    UNREFERENCED_PARAMETER(Device);
    Note('C');
    return ToyComplete(Irp, STATUS_ACCESS_DENIED, 0);
}

static VOID OpenRefused(VOID)
{
    SIM_PROCESS *Process = SimCreateProcess(TRUE);
    NTSTATUS Status;
    SIM_FILE *File = SimOpen(Process, TOY_NAME, GENERIC_READ, &Status);

    CHECK_EQ(Status, STATUS_ACCESS_DENIED);
    if (SimIsWine()) {
        SimClose(File);
        CHECK(strcmp(Log, "CX") == 0);
    } else {
        CHECK(File == NULL);
        CHECK(strcmp(Log, "C") == 0);
    }
    SimEndProcess(Process);
}

static VOID IoctlWithoutTheRight(VOID)
{
    ULONG Code = CTL_CODE(FILE_DEVICE_UNKNOWN, 0x802u, METHOD_BUFFERED, FILE_WRITE_ACCESS);
    SIM_PROCESS *Process = SimCreateProcess(TRUE);
    NTSTATUS Status;
    SIM_FILE *File = SimOpen(Process, TOY_NAME, GENERIC_READ, &Status);

    CHECK_EQ(SimFinish(SimIoctl(File, Code, NULL, 0, NULL, 0), NULL), STATUS_ACCESS_DENIED);
    CHECK(strchr(Log, 'I') == NULL);
    SelfClose(File, Process);
}

/* -- unloading --------------------------------------------------------------------------------- */

static VOID StopWithAFileOpen(VOID)
{
    SIM_PROCESS *Process;
    SIM_FILE *File = SelfOpen(&Process);
    NTSTATUS Status;

    CHECK_EQ(SimStopDriver(), SimIsWine());
    CHECK_EQ(SimDriverIsLoaded(), !SimIsWine());
    CHECK(SimOpen(Process, TOY_NAME, GENERIC_READ, &Status) == NULL);
    CHECK(strcmp(Log, SimIsWine() ? "CD" : "C") == 0);
    SelfClose(File, Process);
    CHECK(!SimDriverIsLoaded());
    CHECK(strcmp(Log, SimIsWine() ? "CD" : "CUXD") == 0);
}

static PDEVICE_OBJECT Disk;

static NTSTATUS MakeDisk(VOID)
{
    return ToyMakeDevice(L"\\Device\\ToyDisk", FILE_DEVICE_DISK, &Disk);
}

static VOID DeleteDisk(VOID)
{
    Note('D');
    IoDeleteDevice(Disk);
}

static VOID StopWithAFileSystem(VOID)
{
    CHECK_EQ(SimMountFileSystem("\\Device\\ToyDisk"), STATUS_SUCCESS);
    CHECK(!SimStopDriver());
    CHECK_EQ(Logged, 0);
    SimUnmountFileSystem("\\Device\\ToyDisk");
    CHECK(!SimDriverIsLoaded());
    CHECK_EQ(Logged, 1);
}

/* A dispatch routine may still have to return when nothing refers to the driver any more. */
static NTSTATUS ReturnLate(PDEVICE_OBJECT Device, PIRP Irp)
{
    PIRP First = Exchange(NULL);
    ULONG Index;

    if (First != NULL) {
        ToyComplete(First, STATUS_SUCCESS, 0);
        return ToySucceed(Device, Irp);
    }
    IoMarkIrpPending(Irp);
    Exchange(Irp);
    for (Index = 0; Index < 300; Index++)
        InterlockedIncrement(&ToyCount);
    return STATUS_PENDING;
}

static VOID SendOne(PVOID File)
{
    SimFreeIo(SelfIoctl(File));
}

static BOOLEAN IsKept(PVOID Context)
{
    UNREFERENCED_PARAMETER(Context);
    return *(PIRP volatile *)&Kept != NULL;
}

static VOID StopWhileADispatchRoutineReturns(VOID)
{
    SIM_PROCESS *Process, *Other;
    SIM_FILE *File = SelfOpen(&Process), *Second = SelfOpen(&Other);
    SIM_THREAD *Thread = SimSpawn("late", SendOne, File);

    SimWaitUntil(IsKept, NULL);
    SimFinish(SelfIoctl(Second), NULL);
    SelfClose(File, Process);
    SelfClose(Second, Other);
    CHECK(SimStopDriver());
    SimJoin(Thread);
}

static VOID LoadAgain(VOID)
{
    CHECK_EQ(ToyCount, 0);
    ToyCount = 5;
    CHECK(SimStopDriver());
    CHECK_EQ(SimLoadDriver(), STATUS_SUCCESS);
    CHECK_EQ(ToyCount, 0);
}

/* -- devices ----------------------------------------------------------------------------------- */

static NTSTATUS DeleteAndMakeAgain(PDEVICE_OBJECT Device, PIRP Irp)
{
    IoDeleteDevice(Device);
    CHECK_EQ(ToyMakeDevice(L"\\Device\\Toy", FILE_DEVICE_UNKNOWN, &ToyDevice), STATUS_SUCCESS);
    return ToySucceed(Device, Irp);
}

static VOID OpenTheNewOne(VOID)
{
    SIM_PROCESS *Process, *Other;
    SIM_FILE *File = SelfOpen(&Process), *Second;

    CHECK_EQ(SimFinish(SelfIoctl(File), NULL), STATUS_SUCCESS);
    Second = SelfOpen(&Other);
    SelfClose(Second, Other);
    SelfClose(File, Process);
}

static NTSTATUS MakeUnfinished(VOID)
{
    NTSTATUS Status = MakeDisk();

    Disk->Flags |= DO_DEVICE_INITIALIZING;
    return Status;
}

static VOID OpenUnfinished(VOID)
{
    SIM_PROCESS *Process = SimCreateProcess(TRUE);
    NTSTATUS Status;
    SIM_FILE *File = SimOpen(Process, "\\Device\\ToyDisk", GENERIC_READ, &Status);

    CHECK_EQ(NT_SUCCESS(Status), SimIsWine());
    if (File != NULL)
        SimClose(File);
    SimEndProcess(Process);
}

/* -- threads ----------------------------------------------------------------------------------- */

/* Each waits for the other: that ends well only if both are in the driver at once. */
static NTSTATUS MeetAnother(PDEVICE_OBJECT Device, PIRP Irp)
{
    ULONG Tries = 0;

    InterlockedIncrement(&ToyCount);
    while (InterlockedCompareExchange(&ToyCount, 0, 0) < 2 && Tries++ < 1000000)
        ;
    return ToyCount == 2 ? ToySucceed(Device, Irp) : ToyComplete(Irp, STATUS_TIMEOUT, 0);
}

static VOID SendAndExpectSuccess(PVOID File)
{
    CHECK_EQ(SimFinish(SelfIoctl(File), NULL), STATUS_SUCCESS);
}

static VOID TwoAtOnce(VOID)
{
    SIM_PROCESS *Process;
    SIM_FILE *File = SelfOpen(&Process);
    SIM_THREAD *Thread = SimSpawn("other", SendAndExpectSuccess, File);

    SendAndExpectSuccess(File);
    SimJoin(Thread);
    SelfClose(File, Process);
}

/* The first waits for what the second would do, in vain: there is one thread for both. */
static NTSTATUS WaitForTheNext(PDEVICE_OBJECT Device, PIRP Irp)
{
    LARGE_INTEGER Second = {.QuadPart = -10 * 1000 * 1000};
    NTSTATUS Status;

    if (InterlockedIncrement(&ToyCount) == 2) {
        KeSetEvent(&ToyEvent, IO_NO_INCREMENT, FALSE);
        return ToySucceed(Device, Irp);
    }
    Status = KeWaitForSingleObject(&ToyEvent, Executive, KernelMode, FALSE, &Second);
    CHECK_EQ(ToyCount, 1);
    return ToyComplete(Irp, Status, 0);
}

static VOID TwoInTurn(VOID)
{
    SIM_PROCESS *Process;
    SIM_FILE *File = SelfOpen(&Process);
    SIM_IO *First = SelfIoctl(File), *Second = SelfIoctl(File);

    CHECK_EQ(SimFinish(First, NULL), STATUS_TIMEOUT);
    CHECK_EQ(SimFinish(Second, NULL), STATUS_SUCCESS);
    SelfClose(File, Process);
}

static NTSTATUS TellIrql(PDEVICE_OBJECT Device, PIRP Irp)
{
    UNREFERENCED_PARAMETER(Device);
    InterlockedCompareExchange(&ToyCount, 0, 0);
    ToyCount |= 1 << KeGetCurrentIrql();
    return ToyComplete(Irp, STATUS_SUCCESS, 0);
}

static VOID ReadAtAnyIrql(VOID)
{
    SIM_PROCESS *Process = SimCreateProcess(TRUE);
    SIM_MEMORY *Memory = SimAllocate(512);
    ULONG Index;
    NTSTATUS Status;
    SIM_FILE *File = SimOpen(Process, "\\Device\\ToyDisk", GENERIC_READ, &Status);

    for (Index = 0; Index < 100; Index++)
        SimFinish(SimRead(File, 0, Memory, 0, 512), NULL);
    CHECK_EQ(ToyCount, SimIsWine() ? 1 : 7);
    SelfClose(File, Process);
    SimFree(Memory);
}

/* -- memory ------------------------------------------------------------------------------------ */

/* The first read is kept with its buffer mapped; the second returns what is in that one's first byte. */
static NTSTATUS LookIntoTheFirst(PDEVICE_OBJECT Device, PIRP Irp)
{
    PIRP First = Exchange(NULL);
    UCHAR Byte;

    if (First == NULL) {
        IoMarkIrpPending(Irp);
        MmGetSystemAddressForMdlSafe(Irp->MdlAddress, NormalPagePriority);
        Exchange(Irp);
        return STATUS_PENDING;
    }
    Byte = *(PUCHAR)MmGetSystemAddressForMdlSafe(First->MdlAddress, NormalPagePriority);
    *(PUCHAR)MmGetSystemAddressForMdlSafe(First->MdlAddress, NormalPagePriority) = 9;
    ToyComplete(First, STATUS_SUCCESS, 512);
    UNREFERENCED_PARAMETER(Device);
    return ToyComplete(Irp, STATUS_SUCCESS, Byte);
}

static VOID ChangeBufferMeanwhile(VOID)
{
    SIM_MEMORY *Memory = SimAllocate(1024);
    SIM_PROCESS *Process;
    SIM_FILE *File = SelfOpen(&Process);
    ULONG_PTR Seen;
    SIM_IO *Io;

    Memory->Address[0] = 5;
    Io = SimRead(File, 0, Memory, 0, 512);
    SimWaitUntil(IsKept, NULL);
    Memory->Address[0] = 7;
    SimFinish(SimRead(File, 0, Memory, 512, 512), &Seen);
    CHECK_EQ(Seen, SimIsWine() ? 5 : 7);
    CHECK_EQ(SimFinish(Io, NULL), STATUS_SUCCESS);
    CHECK_EQ(Memory->Address[0], 9);
    SelfClose(File, Process);
    SimFree(Memory);
}

/* -- the end of a process ---------------------------------------------------------------------- */

static LONG Cancelled; /* P: ToyLock: the ioctls' input, in the order of cancelling */

static VOID CancelAndNote(PDEVICE_OBJECT Device, PIRP Irp)
{
    KIRQL Irql = Irp->CancelIrql;

    UNREFERENCED_PARAMETER(Device);
    IoReleaseCancelSpinLock(Irql);
    CHECK_EQ(Irql, SimIsWine() ? PASSIVE_LEVEL : APC_LEVEL);
    KeAcquireSpinLock(&ToyLock, &Irql);
    Cancelled = Cancelled * 10 + *(PUCHAR)Irp->AssociatedIrp.SystemBuffer;
    KeReleaseSpinLock(&ToyLock, Irql);
    ToyComplete(Irp, STATUS_CANCELLED, 0);
}

static NTSTATUS PendAndNote(PDEVICE_OBJECT Device, PIRP Irp)
{
    UNREFERENCED_PARAMETER(Device);
    ToyPend(Irp, CancelAndNote);
    InterlockedIncrement(&ToyCount);
    return STATUS_PENDING;
}

static LONG KillWithThree(VOID)
{
    SIM_PROCESS *Process;
    SIM_FILE *File = SelfOpen(&Process);
    SIM_IO *Ios[3];
    UCHAR Index;

    Cancelled = 0;
    ToyCount = 0;
    for (Index = 1; Index <= 3; Index++)
        Ios[Index - 1] = SimIoctl(File, IOCTL_TOY, &Index, 1, NULL, 0);
    while (InterlockedCompareExchange(&ToyCount, 0, 0) < 3)
        SimSleepMs(1);
    SimKill(Process);
    for (Index = 0; Index < 3; Index++)
        CHECK_EQ(SimFinish(Ios[Index], NULL), STATUS_CANCELLED);
    CHECK_EQ(SimFinish(SelfIoctl(File), NULL), STATUS_PROCESS_IS_TERMINATING);
    return Cancelled;
}

static VOID KillsCancelInAnyOrder(VOID)
{
    ULONG Different = 0, Index;
    LONG First = KillWithThree();

    for (Index = 0; Index < 20; Index++)
        Different += KillWithThree() != First;
    CHECK(Different != 0);
}

static NTSTATUS TellWhetherCancelled(PDEVICE_OBJECT Device, PIRP Irp)
{
    UNREFERENCED_PARAMETER(Device);
    return ToyComplete(Irp, Irp->Cancel ? STATUS_CANCELLED : STATUS_SUCCESS, 0);
}

static VOID SendCancelled(VOID)
{
    SIM_REQUEST Request = {.Major = IRP_MJ_DEVICE_CONTROL, .Code = IOCTL_TOY, .CancelFirst = TRUE};
    SIM_PROCESS *Process;
    SIM_FILE *File = SelfOpen(&Process);

    CHECK_EQ(SimFinish(SimSend(File, &Request), NULL), STATUS_CANCELLED);
    CHECK_EQ(SimFinish(SelfIoctl(File), NULL), STATUS_SUCCESS);
    SelfClose(File, Process);
}

static const SELF_CASE Cases[] = {
    {.Name = "CloseWithAnIrpPended",
     .On = ON_BOTH,
     .Toy = NOTES,
     .Story = CloseWithAnIrpPended,
     .Seeds = 5},
    {.Name = "OpenRefused",
     .On = ON_BOTH,
     .Toy = {.Create = Refuse, .Cleanup = NoteCleanup, .Close = NoteClose},
     .Story = OpenRefused},
    {.Name = "IoctlWithoutTheRight", .On = ON_BOTH, .Toy = NOTES, .Story = IoctlWithoutTheRight},
    {.Name = "StopWithAFileOpen", .On = ON_BOTH, .Toy = NOTES, .Story = StopWithAFileOpen},
    {.Name = "StopWithAFileSystem",
     .On = ON_NT,
     .Toy = {.Load = MakeDisk, .Unload = DeleteDisk},
     .Story = StopWithAFileSystem},
    {.Name = "StopWhileADispatchRoutineReturns",
     .On = ON_BOTH,
     .Toy = {.Io = ReturnLate},
     .Story = StopWhileADispatchRoutineReturns,
     .Seeds = 10},
    {.Name = "LoadAgain", .On = ON_BOTH, .Story = LoadAgain},
    {.Name = "OpenTheNewOne",
     .On = ON_BOTH,
     .Toy = {.Io = DeleteAndMakeAgain},
     .Story = OpenTheNewOne},
    {.Name = "OpenUnfinished",
     .On = ON_BOTH,
     .Toy = {.Load = MakeUnfinished, .Unload = DeleteDisk},
     .Story = OpenUnfinished},
    {.Name = "TwoAtOnce", .On = ON_NT, .Toy = {.Io = MeetAnother}, .Story = TwoAtOnce},
    {.Name = "TwoInTurn", .On = ON_WINE, .Toy = {.Io = WaitForTheNext}, .Story = TwoInTurn},
    {.Name = "ReadAtAnyIrql",
     .On = ON_BOTH,
     .Toy = {.Load = MakeDisk, .Unload = DeleteDisk, .Io = TellIrql},
     .Story = ReadAtAnyIrql},
    {.Name = "ChangeBufferMeanwhile",
     .On = ON_BOTH,
     .Toy = {.Io = LookIntoTheFirst},
     .Story = ChangeBufferMeanwhile},
    {.Name = "KillsCancelInAnyOrder",
     .On = ON_BOTH,
     .Toy = {.Io = PendAndNote},
     .Story = KillsCancelInAnyOrder},
    {.Name = "SendCancelled",
     .On = ON_BOTH,
     .Toy = {.Io = TellWhetherCancelled},
     .Story = SendCancelled},
};

int main(int Count, char **Arguments)
{
    return SelfMain(Count, Arguments, Cases, RTL_NUMBER_OF(Cases));
}
