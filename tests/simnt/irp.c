/* SPDX-License-Identifier: MIT */
/*
 * irp.c - I/O requests: made, handed to the driver, completed, cancelled.
 *
 *      SimSend -> (Wine: dispatch thread) -> driver's dispatch routine -> IofCompleteRequest -> done
 *
 * An IRP and its stack location are inaccessible from their completion on. What we and the test need of a
 * request lies behind them in the same block, which lives until it is completed, its dispatch routine has
 * returned, and the test has freed it.
 */
#include <stdlib.h>

#include "internal.h"

#define IO_MAGIC 0x4F494D53u

struct SIM_IO {
    /* the driver's, until it is completed */
    IRP Irp;
    IO_STACK_LOCATION Stack;
    IO_SECURITY_CONTEXT Security;
    UINT64 Edge;

    /* ours */
    ULONG Magic;
    pthread_mutex_t Mutex;
    LIST_ENTRY Link; /* P: SimLock: Machine.Ios, until it is completed; Over */
    SIM_FILE *File;
    SIM_DEVICE *Device;
    SIM_PROCESS *Process;
    SIM_REQUEST Request;
    MDL Mdl;
    PVOID SystemBuffer;
    int volatile References; /* atomic: the test's, the kernel's, a canceller's */
    BOOLEAN IsOpenOrClose;
    BOOLEAN ByDead;        /* by a process that has been killed */
    BOOLEAN Given;         /* P: SimLock: the driver has got it */
    BOOLEAN Dispatched;    /* P: Mutex: its dispatch routine has returned STATUS_PENDING */
    int volatile Done;     /* atomic */
    BOOLEAN MarkedPending; /* P: Mutex: at completion */
    NTSTATUS Status;       /* from Done on */
    ULONG_PTR Information;
    STACK Sent, CompletedAt;
};

#define IRP_MEMORY offsetof(SIM_IO, Magic)

C_ASSERT(offsetof(SIM_IO, Magic) % 8 == 0);

/* -- life -------------------------------------------------------------------------------------- */

#ifdef SIM_ASAN
static LIST_ENTRY Over = {&Over, &Over}; /* completed and not yet freed; P: SimLock */

static VOID KeepLocked(SIM_IO *Io)
{
    InsertTailList(&Over, &Io->Link);
}

static VOID Forget(SIM_IO *Io)
{
    SimLock();
    if (!Io->ByDead)
        RemoveEntryList(&Io->Link);
    SimUnlock();
}

VOID IrpPrintCompletionOf(const VOID *Address)
{
    PLIST_ENTRY Entry;

    for (Entry = Over.Flink; Entry != &Over; Entry = Entry->Flink) {
        SIM_IO *Io = CONTAINING_RECORD(Entry, SIM_IO, Link);
        if ((PUCHAR)Address >= (PUCHAR)Io && (PUCHAR)Address < (PUCHAR)Io + IRP_MEMORY)
            StackPrint("the IRP was completed at:", &Io->CompletedAt);
    }
}
#else
static VOID KeepLocked(SIM_IO *Io)
{
    UNREFERENCED_PARAMETER(Io);
}

static VOID Forget(SIM_IO *Io)
{
    UNREFERENCED_PARAMETER(Io);
}
#endif

static VOID Reference(SIM_IO *Io)
{
    __atomic_add_fetch(&Io->References, 1, __ATOMIC_SEQ_CST);
}

static VOID Dereference(SIM_IO *Io)
{
    if (__atomic_sub_fetch(&Io->References, 1, __ATOMIC_SEQ_CST) != 0)
        return;
    SimLockMutex(&Io->Mutex); /* who let go of it before us has left it */
    SimUnlockMutex(&Io->Mutex);
    SIM_ACQUIRE(&Io->Done);
    pthread_mutex_destroy(&Io->Mutex);
    Forget(Io);
    Io->Magic = 0;
    SIM_UNPOISON(Io, IRP_MEMORY);
    free(Io);
}

static VOID BuildBuffers(SIM_IO *Io)
{
    const SIM_REQUEST *R = &Io->Request;
    BOOLEAN IsDirect = R->Major != IRP_MJ_DEVICE_CONTROL || (R->Code & 3) != METHOD_BUFFERED;
    ULONG Size = IsDirect ? R->InLength : max(R->InLength, R->OutLength);

    if (Size != 0) {
        Io->SystemBuffer = malloc(Size);
        memset(Io->SystemBuffer, 0xA5, Size);
        if (R->InLength != 0)
            memcpy(Io->SystemBuffer, R->In, R->InLength);
    }
    Io->Irp.AssociatedIrp.SystemBuffer = Io->SystemBuffer;
    if (R->Memory != NULL) {
        MmBuildMdl(&Io->Mdl, R->Memory, R->At, R->MdlLength);
        Io->Irp.MdlAddress = &Io->Mdl;
    }
}

static VOID BuildStack(SIM_IO *Io)
{
    const SIM_REQUEST *R = &Io->Request;
    PIO_STACK_LOCATION Stack = &Io->Stack;

    Io->Irp.Tail.Overlay.CurrentStackLocation = Stack;
    Stack->MajorFunction = R->Major;
    Stack->MinorFunction = R->Minor;
    Stack->Flags = R->Flags;
    Stack->DeviceObject = &Io->Device->Object;
    Stack->FileObject = R->NoFile ? NULL : &Io->File->Object;
    if (R->Major == IRP_MJ_READ || R->Major == IRP_MJ_WRITE) {
        Stack->Parameters.Read.Length = R->Length;
        Stack->Parameters.Read.ByteOffset.QuadPart = R->Offset;
    } else if (R->Major == IRP_MJ_DEVICE_CONTROL) {
        Stack->Parameters.DeviceIoControl.IoControlCode = R->Code;
        Stack->Parameters.DeviceIoControl.Type3InputBuffer = (PVOID)(uintptr_t)0x41414141;
        Stack->Parameters.DeviceIoControl.InputBufferLength = R->InLength;
        Stack->Parameters.DeviceIoControl.OutputBufferLength = R->OutLength;
    } else if (R->Major == IRP_MJ_CREATE) {
        Io->Security.DesiredAccess = Io->File->Access;
        Stack->Parameters.Create.SecurityContext = SimIsWine() ? NULL : &Io->Security;
    }
    Io->Irp.Cancel = R->CancelFirst;
}

/* CREATE, CLEANUP and CLOSE do not keep their file or process. @return what FileIoEndedLocked says. */
static FILE_END CountIoLocked(const SIM_IO *Io, int By)
{
    if (Io->IsOpenOrClose)
        return FILE_GOES_ON;
    if (Io->Process != NULL)
        Io->Process->Outstanding += (ULONG)By;
    Io->File->Outstanding += (ULONG)By;
    return By < 0 ? FileIoEndedLocked(Io->File) : FILE_GOES_ON;
}

static SIM_IO *NewIo(SIM_FILE *File, const SIM_REQUEST *Request)
{
    SIM_IO *Io = calloc(1, sizeof(*Io));

    Io->Magic = IO_MAGIC;
    pthread_mutex_init(&Io->Mutex, NULL);
    Io->File = File;
    Io->Device = File->Device;
    Io->Process = File->Process;
    Io->Request = *Request;
    Io->References = 2;
    Io->IsOpenOrClose = Request->Major == IRP_MJ_CREATE || Request->Major == IRP_MJ_CLEANUP ||
                        Request->Major == IRP_MJ_CLOSE;
    if (SIM_STACKS)
        StackCapture(&Io->Sent);
    BuildBuffers(Io);
    BuildStack(Io);
    if (SimIsWine())
        Io->Request.Irql = PASSIVE_LEVEL;
    SIM_RELEASE(Io); /* to who kills the process */
    SimLock();
    Io->ByDead = Io->Process != NULL && Io->Process->Killed && !Io->IsOpenOrClose;
    Io->Given = !SimIsWine();
    if (!Io->ByDead) {
        InsertTailList(&Machine.Ios, &Io->Link);
        CountIoLocked(Io, 1);
    }
    SimUnlock();
    return Io;
}

/* -- the end of a request ---------------------------------------------------------------------- */

static BOOLEAN IsOutput(const SIM_REQUEST *Request)
{
    return Request->Major == IRP_MJ_READ || (Request->Code & 3) == METHOD_OUT_DIRECT;
}

/* What the I/O manager does with results: in the requesting thread, on NT. */
static VOID HandBack(SIM_IO *Io)
{
    const SIM_REQUEST *R = &Io->Request;

    if (R->Memory != NULL)
        MmReleaseMdl(&Io->Mdl, R->Memory, R->At, IsOutput(R));
    if (R->Major == IRP_MJ_DEVICE_CONTROL && (R->Code & 3) == METHOD_BUFFERED &&
        !NT_ERROR(Io->Status) && Io->Information != 0) {
        if (Io->Information > R->OutLength)
            SimStop("an ioctl (0x%x) returns %zu bytes into a buffer of %u", R->Code,
                    (size_t)Io->Information, R->OutLength);
        memcpy(R->Out, Io->SystemBuffer, Io->Information);
    }
    free(Io->SystemBuffer);
    Io->SystemBuffer = NULL;
}

/* Who waits for it, or closes the file after it, comes after what was done until now. */
static VOID ReleaseBeforeEnd(SIM_IO *Io)
{
    SIM_RELEASE(Io->File);
    SIM_RELEASE(&Io->Done); /* last: from here on it may be freed */
}

/* Io->Mutex is held. From Done on the test may free it; the caller has a reference. */
static VOID EndIo(SIM_IO *Io, NTSTATUS Status, ULONG_PTR Information)
{
    SIM_FILE *File = Io->File;
    FILE_END End = FILE_GOES_ON;

    Io->Status = Status;
    Io->Information = Information;
    HandBack(Io);
    SimLock();
    if (!Io->ByDead) {
        RemoveEntryList(&Io->Link);
        KeepLocked(Io);
        End = CountIoLocked(Io, -1);
    }
    __atomic_store_n(&Io->Done, 1, __ATOMIC_SEQ_CST);
    SimChangedLocked();
    SimUnlock();
    FileEnd(File, End);
}

static VOID CheckCompletion(const SIM_IO *Io)
{
    if (SimSelf->Lock != NULL)
        SimStopWith("acquired at:", (const STACK *)SimSelf->Lock->Where,
                    "an IRP is completed with a spin lock held");
    if (SimSelf->CancelLockHeld)
        SimStop("an IRP is completed with the cancel lock held");
    if (Io->Irp.CancelRoutine != NULL)
        SimStop("an IRP is completed with its cancel routine set");
    if (Io->Irp.IoStatus.Status == STATUS_PENDING)
        SimStop("an IRP is completed with STATUS_PENDING");
    if (Io->Request.Major == IRP_MJ_READ && NT_SUCCESS(Io->Irp.IoStatus.Status) &&
        Io->Irp.IoStatus.Information > Io->Request.Length)
        SimStop("a read returns more than was asked for");
}

/* Whether the driver may still use it. */
static SIM_IO *CheckIrp(PIRP Irp, const char *Function)
{
    SIM_IO *Io = CONTAINING_RECORD(Irp, SIM_IO, Irp);

    if (Io->Magic != IO_MAGIC)
        SimStop("%s is called for what is no IRP, or one that is long over", Function);
    if (__atomic_load_n(&Io->Done, __ATOMIC_SEQ_CST))
        SimStopWith("completed at:", &Io->CompletedAt,
                    "%s is called for an IRP that has been completed", Function);
    return Io;
}

VOID IofCompleteRequest(PIRP Irp, CCHAR Boost)
{
    SIM_IO *Io = CONTAINING_RECORD(Irp, SIM_IO, Irp);
    IO_STATUS_BLOCK Result;
    BOOLEAN Dispatched;

    UNREFERENCED_PARAMETER(Boost);
    SIM_CALL(DISPATCH_LEVEL);
    SimPoint();
    if (Io->Magic != IO_MAGIC)
        SimStop("an IRP is completed that is none, or is long over");
    ReleaseBeforeEnd(Io);
    SimLockMutex(&Io->Mutex);
    if (Io->Done)
        SimStopWith("completed first at:", &Io->CompletedAt, "an IRP is completed twice");
    CheckCompletion(Io);
    if (SIM_STACKS)
        StackCapture(&Io->CompletedAt);
    Result = Irp->IoStatus;
    Io->MarkedPending = (Io->Stack.Control & SL_PENDING_RETURNED) != 0;
    Dispatched = Io->Dispatched;
    SimFillUnderLock(Io, 0xDD, IRP_MEMORY); /* who still uses it, races with this */
    SIM_POISON(Io, IRP_MEMORY);
    EndIo(Io, Result.Status, Result.Information);
    SimUnlockMutex(&Io->Mutex);
    COUNT(Completions);
    if (Dispatched)
        Dereference(Io);
    SimPoint(); /* who waited for it may do anything now */
}

PEPROCESS IoGetRequestorProcess(PIRP Irp)
{
    SIM_CALL(DISPATCH_LEVEL);
    return CheckIrp(Irp, __func__)->Process;
}

/* -- dispatch ---------------------------------------------------------------------------------- */

static VOID CheckReturn(SIM_IO *Io, NTSTATUS Status)
{
    BOOLEAN Marked = Io->Done ? Io->MarkedPending : (Io->Stack.Control & SL_PENDING_RETURNED) != 0;

    if (SimSelf->Irql != Io->Request.Irql || SimSelf->Lock != NULL)
        SimStopWith("sent at:", &Io->Sent, "a dispatch routine returns at another IRQL");
    if (Status == STATUS_PENDING && !Marked)
        SimStopWith("sent at:", &Io->Sent,
                    "STATUS_PENDING is returned for an IRP that was not marked pending");
    if (Status == STATUS_PENDING)
        return;
    if (Marked)
        SimStopWith("sent at:", &Io->Sent, "an IRP was marked pending, and 0x%x is returned for it",
                    (ULONG)Status);
    if (!Io->Done)
        SimStopWith("sent at:", &Io->Sent,
                    "a dispatch routine returns 0x%x and has not completed its IRP", (ULONG)Status);
    if (Io->Status != Status)
        SimStopWith("sent at:", &Io->Sent,
                    "an IRP was completed with 0x%x; 0x%x is returned for it", (ULONG)Io->Status,
                    (ULONG)Status);
}

/* On NT the thread that asks; on Wine the dispatch thread. */
static VOID CallDriver(SIM_IO *Io)
{
    SIM_PROCESS *Process = SimSelf->Process;
    CONTEXT Before = SimEnterDriver(IN_DISPATCH);
    NTSTATUS Status;
    BOOLEAN Done;

    SimSelf->Process = Io->Process;
    SimSelf->Irql = Io->Request.Irql;
    Status = Machine.Driver.MajorFunction[Io->Request.Major](&Io->Device->Object, &Io->Irp);
    SimLockMutex(&Io->Mutex);
    CheckReturn(Io, Status);
    Done = Io->Done != 0;
    Io->Dispatched = TRUE;
    SimUnlockMutex(&Io->Mutex);
    SimSelf->Irql = PASSIVE_LEVEL;
    SimSelf->Process = Process;
    SimLeaveDriver(Before);
    if (Done)
        Dereference(Io);
}

/* It does not reach the driver. */
static VOID Refuse(SIM_IO *Io, NTSTATUS Status)
{
    ReleaseBeforeEnd(Io);
    SimLockMutex(&Io->Mutex);
    EndIo(Io, Status, 0);
    SimUnlockMutex(&Io->Mutex);
    Dereference(Io);
}

static NTSTATUS CheckAccess(const SIM_IO *Io)
{
    ACCESS_MASK Access = Io->File->Access;
    ULONG Asked = Io->Request.Major == IRP_MJ_DEVICE_CONTROL ? Io->Request.Code >> 14 & 3 : 0;

    if (Io->Request.Major == IRP_MJ_READ)
        Asked = FILE_READ_ACCESS;
    if (Io->Request.Major == IRP_MJ_WRITE)
        Asked = FILE_WRITE_ACCESS;
    if (((Asked & FILE_READ_ACCESS) != 0 && (Access & FILE_READ_DATA) == 0) ||
        ((Asked & FILE_WRITE_ACCESS) != 0 && (Access & FILE_WRITE_DATA) == 0))
        return STATUS_ACCESS_DENIED;
    return STATUS_SUCCESS;
}

/* -- Wine's dispatch thread -------------------------------------------------------------------- */

typedef struct DISPATCH {
    LIST_ENTRY Link;
    SIM_IO *Io;
    BOOLEAN IsCancel;
} DISPATCH;

static LIST_ENTRY Dispatches = {&Dispatches, &Dispatches}; /* P: SimLock */
static BOOLEAN Ending;                                     /* P: SimLock */
static SIM_THREAD *Dispatcher;

static VOID CancelNow(SIM_IO *Io);

static VOID Push(SIM_IO *Io, BOOLEAN IsCancel)
{
    DISPATCH *Dispatch = calloc(1, sizeof(*Dispatch));

    Dispatch->Io = Io;
    Dispatch->IsCancel = IsCancel;
    SIM_RELEASE(Dispatch);
    SimLock();
    InsertTailList(&Dispatches, &Dispatch->Link);
    SimUnlock();
    SimChanged();
}

static BOOLEAN HasDispatch(PVOID Context)
{
    UNREFERENCED_PARAMETER(Context);
    return Ending || !IsListEmpty(&Dispatches);
}

/* FALSE: its device has gone. */
static BOOLEAN Give(SIM_IO *Io)
{
    BOOLEAN Given;

    SimLock();
    Given = Io->Given = !Io->Device->Deleted;
    SimUnlock();
    return Given;
}

static VOID Do(const DISPATCH *Dispatch)
{
    SIM_IO *Io = Dispatch->Io;
    CONTEXT Before;

    if (!MachineEnterIfLoaded(IN_DISPATCH, &Before)) {
        if (Dispatch->IsCancel)
            Dereference(Io);
        else
            Refuse(Io, STATUS_FILE_DELETED);
        return;
    }
    if (Dispatch->IsCancel) {
        CancelNow(Io);
        Dereference(Io);
    } else if (Give(Io)) {
        CallDriver(Io);
    } else {
        Refuse(Io, STATUS_FILE_DELETED);
    }
    SimLeaveDriver(Before);
}

static VOID Dispatch(PVOID Context)
{
    DISPATCH *Next;

    UNREFERENCED_PARAMETER(Context);
    SimSelf->IsSystem = TRUE;
    for (;;) {
        SimBlock(HasDispatch, NULL, MAXULONG64);
        SimLock();
        Next = IsListEmpty(&Dispatches)
                   ? NULL
                   : CONTAINING_RECORD(RemoveHeadList(&Dispatches), DISPATCH, Link);
        SimUnlock();
        if (Next == NULL)
            return;
        SIM_ACQUIRE(Next);
        Do(Next);
        free(Next);
    }
}

VOID IrpBoot(VOID)
{
    Ending = FALSE;
    Dispatcher = SimIsWine() ? SimSpawn("dispatcher", Dispatch, NULL) : NULL;
}

VOID IrpShutDown(VOID)
{
    if (Dispatcher == NULL)
        return;
    SimLock();
    Ending = TRUE;
    SimUnlock();
    SimChanged();
    SimJoin(Dispatcher);
}

/* -- sending ----------------------------------------------------------------------------------- */

static VOID Submit(SIM_IO *Io)
{
    NTSTATUS Status = CheckAccess(Io);

    if (Io->ByDead)
        Refuse(Io, STATUS_PROCESS_IS_TERMINATING);
    else if (!NT_SUCCESS(Status) && !Io->IsOpenOrClose)
        Refuse(Io, Status);
    else if (SimIsWine())
        Push(Io, FALSE);
    else
        CallDriver(Io);
}

SIM_IO *SimSend(SIM_FILE *File, const SIM_REQUEST *Request)
{
    SIM_IO *Io;

    Io = NewIo(File, Request);
    if (File->HandleClosed && !Io->ByDead)
        SimStop("a test uses a file that it has closed");
    Submit(Io);
    return Io;
}

NTSTATUS IrpSendAndWait(SIM_FILE *File, UCHAR Major)
{
    SIM_REQUEST Request = {.Major = Major};
    SIM_IO *Io = NewIo(File, &Request);

    Submit(Io);
    return SimFinish(Io, NULL);
}

/* File systems send requests for pages at APC_LEVEL, and drivers above a disk those that they had to put off
 * at DISPATCH_LEVEL. */
static KIRQL AnyIrql(const SIM_FILE *File)
{
    static const KIRQL Levels[] = {PASSIVE_LEVEL, PASSIVE_LEVEL, APC_LEVEL, DISPATCH_LEVEL};

    return File->Device->Object.DeviceType == FILE_DEVICE_DISK ? Levels[SimRandomBelow(4)]
                                                               : PASSIVE_LEVEL;
}

static SIM_IO *ReadWrite(SIM_FILE *File, UCHAR Major, LONGLONG Offset, SIM_MEMORY *Memory, ULONG At,
                         ULONG Length)
{
    SIM_REQUEST Request = {
        .Major = Major,
        .Offset = Offset,
        .Length = Length,
        .Memory = Length != 0 ? Memory : NULL,
        .At = At,
        .MdlLength = Length,
        .Irql = AnyIrql(File),
    };

    return SimSend(File, &Request);
}

SIM_IO *SimRead(SIM_FILE *File, LONGLONG Offset, SIM_MEMORY *Memory, ULONG At, ULONG Length)
{
    return ReadWrite(File, IRP_MJ_READ, Offset, Memory, At, Length);
}

SIM_IO *SimWrite(SIM_FILE *File, LONGLONG Offset, SIM_MEMORY *Memory, ULONG At, ULONG Length)
{
    return ReadWrite(File, IRP_MJ_WRITE, Offset, Memory, At, Length);
}

SIM_IO *SimFlush(SIM_FILE *File)
{
    SIM_REQUEST Request = {.Major = IRP_MJ_FLUSH_BUFFERS};

    return SimSend(File, &Request);
}

SIM_IO *SimSwitchOff(SIM_FILE *File)
{
    SIM_REQUEST Request = {.Major = IRP_MJ_SHUTDOWN, .NoFile = TRUE};
    BOOLEAN Wanted;

    SimLock();
    Wanted = File->Device->WantsShutdown && !SimIsWine();
    SimUnlock();
    return Wanted ? SimSend(File, &Request) : NULL;
}

SIM_IO *SimIoctl(SIM_FILE *File, ULONG Code, const VOID *In, ULONG InLength, PVOID Out,
                 ULONG OutLength)
{
    SIM_REQUEST Request = {
        .Major = IRP_MJ_DEVICE_CONTROL,
        .Code = Code,
        .In = In,
        .InLength = InLength,
        .Out = Out,
        .OutLength = OutLength,
    };

    return SimSend(File, &Request);
}

SIM_IO *SimIoctlDirect(SIM_FILE *File, ULONG Code, const VOID *In, ULONG InLength,
                       SIM_MEMORY *Memory, ULONG At, ULONG Length)
{
    SIM_REQUEST Request = {
        .Major = IRP_MJ_DEVICE_CONTROL,
        .Code = Code,
        .In = In,
        .InLength = InLength,
        .OutLength = Length,
        .Memory = Length != 0 ? Memory : NULL,
        .At = At,
        .MdlLength = Length,
    };

    return SimSend(File, &Request);
}

/* -- cancelling -------------------------------------------------------------------------------- */

static KSPIN_LOCK CancelLock; /* the system's one */

PDRIVER_CANCEL IoSetCancelRoutine(PIRP Irp, PDRIVER_CANCEL Routine)
{
    SIM_CALL(DISPATCH_LEVEL);
    SimPoint();
    CheckIrp(Irp, __func__);
    return __atomic_exchange_n(&Irp->CancelRoutine, Routine, __ATOMIC_SEQ_CST);
}

static BOOLEAN CancelLockIsFree(PVOID Context)
{
    UNREFERENCED_PARAMETER(Context);
    return __atomic_load_n(&CancelLock.Held, __ATOMIC_SEQ_CST) == 0;
}

static KIRQL AcquireCancelLock(VOID)
{
    KIRQL Before = SimSelf->Irql;

    while (__atomic_exchange_n(&CancelLock.Held, 1, __ATOMIC_ACQUIRE) != 0)
        SimBlock(CancelLockIsFree, NULL, MAXULONG64);
    SimSelf->Irql = DISPATCH_LEVEL;
    SimSelf->CancelLockHeld = TRUE;
    SimSelf->CancelIrql = Before;
    return Before;
}

VOID IoReleaseCancelSpinLock(KIRQL Irql)
{
    SIM_CALL(DISPATCH_LEVEL);
    if (!SimSelf->CancelLockHeld)
        SimStop("the cancel lock is released by a thread that does not hold it");
    if (Irql != SimSelf->CancelIrql)
        SimStop("the cancel lock is released to IRQL %u; it was acquired at %u", Irql,
                SimSelf->CancelIrql);
    SimSelf->CancelLockHeld = FALSE;
    __atomic_store_n(&CancelLock.Held, 0, __ATOMIC_RELEASE);
    SimSelf->Irql = Irql;
    SimChanged();
    SimPoint();
}

/* IoCancelIrp. The IRP cannot go between its two looks at it: on NT it belongs to the thread that cancels. */
static VOID CancelNow(SIM_IO *Io)
{
    KIRQL Irql = AcquireCancelLock();
    PDRIVER_CANCEL Routine = NULL;

    SimLockMutex(&Io->Mutex);
    if (!Io->Done) {
        Io->Irp.Cancel = TRUE;
        Routine = __atomic_exchange_n(&Io->Irp.CancelRoutine, NULL, __ATOMIC_SEQ_CST);
        if (Routine != NULL)
            Io->Irp.CancelIrql = Irql;
    }
    SimUnlockMutex(&Io->Mutex);
    SIM_ACQUIRE(&Io->Irp.CancelRoutine); /* what was done before the routine was set is seen */
    if (Routine == NULL) {
        IoReleaseCancelSpinLock(Irql);
        return;
    }
    Routine(&Io->Device->Object, &Io->Irp);
    if (SimSelf->CancelLockHeld || SimSelf->Irql != Irql)
        SimStopWith("sent at:", &Io->Sent, "a cancel routine has not released the cancel lock");
}

/* At the IRQL of the canceller; not on Wine, where a thread of its own does it. */
static VOID Cancel(SIM_IO *Io, KIRQL Irql)
{
    CONTEXT Before;

    if (SimIsWine()) {
        Reference(Io);
        Push(Io, TRUE);
        return;
    }
    if (!MachineEnterIfLoaded(IN_CANCEL, &Before))
        return;
    SimPoint();
    SimSelf->Irql = Irql;
    CancelNow(Io);
    SimSelf->Irql = PASSIVE_LEVEL;
    SimLeaveDriver(Before);
}

VOID SimCancel(SIM_IO *Io)
{
    Cancel(Io, PASSIVE_LEVEL);
}

static BOOLEAN IsOf(const SIM_IO *Io, const SIM_PROCESS *Process)
{
    return Io->Process == Process && !Io->IsOpenOrClose;
}

/* Those of a process, referenced, in the order in which they were sent. */
static SIM_IO **AllOf(const SIM_PROCESS *Process, ULONG *Count)
{
    PLIST_ENTRY Entry;
    SIM_IO **All;

    *Count = 0;
    SimLock();
    All = calloc(Process->Outstanding + 1, sizeof(SIM_IO *));
    for (Entry = Machine.Ios.Flink; Entry != &Machine.Ios; Entry = Entry->Flink) {
        SIM_IO *Io = CONTAINING_RECORD(Entry, SIM_IO, Link);
        if (IsOf(Io, Process)) {
            Reference(Io);
            All[(*Count)++] = Io;
        }
    }
    SimUnlock();
    return All;
}

/* In any order: NT ends threads in any order, each of which cancels its own, at APC_LEVEL. What has ended
 * meanwhile is cancelled in vain. */
VOID IrpCancelAllOf(SIM_PROCESS *Process)
{
    ULONG Count;
    SIM_IO **All = AllOf(Process, &Count);

    while (Count != 0) {
        ULONG Index = SimRandomBelow(Count);

        SIM_ACQUIRE(All[Index]);
        Cancel(All[Index], APC_LEVEL);
        Dereference(All[Index]);
        All[Index] = All[--Count];
    }
    free(All);
}

/* -- what a test asks -------------------------------------------------------------------------- */

static BOOLEAN IsDone(PVOID Context)
{
    return __atomic_load_n(&((SIM_IO *)Context)->Done, __ATOMIC_SEQ_CST) != 0;
}

BOOLEAN SimIsDone(SIM_IO *Io)
{
    BOOLEAN Done = IsDone(Io);

    SIM_ACQUIRE(&Io->Done);
    return Done;
}

NTSTATUS SimWaitFor(SIM_IO *Io)
{
    SimBlock(IsDone, Io, MAXULONG64);
    SIM_ACQUIRE(&Io->Done);
    return Io->Status;
}

ULONG_PTR SimInformation(SIM_IO *Io)
{
    return Io->Information;
}

VOID SimFreeIo(SIM_IO *Io)
{
    Dereference(Io);
}

NTSTATUS SimFinish(SIM_IO *Io, ULONG_PTR *Information)
{
    NTSTATUS Status = SimWaitFor(Io);

    if (Information != NULL)
        *Information = Io->Information;
    SimFreeIo(Io);
    return Status;
}

static BOOLEAN NoneLeft(PVOID Context)
{
    UNREFERENCED_PARAMETER(Context);
    return IsListEmpty(&Machine.Ios);
}

VOID SimWaitForAll(VOID)
{
    SimBlock(NoneLeft, NULL, MAXULONG64);
}

/* Whatever the reason is that nothing goes on, these may be it. */
VOID IrpPrintPending(VOID)
{
    PLIST_ENTRY Entry;
    ULONG Count = 0;

    for (Entry = Machine.Ios.Flink; Entry != &Machine.Ios && Count < 8;
         Entry = Entry->Flink, Count++)
        StackPrint("an IRP that is not completed was sent at:",
                   &CONTAINING_RECORD(Entry, SIM_IO, Link)->Sent);
}

/* Those that the driver has got; on Wine others may be on their way to the dispatch thread. */
VOID IrpCheckNoneLeft(VOID)
{
    PLIST_ENTRY Entry;

    SimLock();
    for (Entry = Machine.Ios.Flink; Entry != &Machine.Ios; Entry = Entry->Flink) {
        SIM_IO *Io = CONTAINING_RECORD(Entry, SIM_IO, Link);
        if (Io->Given)
            SimStopWith("sent at:", &Io->Sent, "an IRP is never completed");
    }
    SimUnlock();
}

VOID IrpCheckNonePendedOn(const SIM_DEVICE *Device)
{
    PLIST_ENTRY Entry;

    SimLock();
    for (Entry = Machine.Ios.Flink; Entry != &Machine.Ios; Entry = Entry->Flink) {
        SIM_IO *Io = CONTAINING_RECORD(Entry, SIM_IO, Link);
        if (Io->Device == Device && Io->Dispatched)
            SimStopWith("sent at:", &Io->Sent, "a device is deleted that has an IRP pended");
    }
    SimUnlock();
}
