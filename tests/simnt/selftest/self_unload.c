/* SPDX-License-Identifier: MIT */
/* self_unload.c - sins that show when the driver goes: what it leaves behind, and what still runs. */
#include "selftest.h"

/* -- what is left ------------------------------------------------------------------------------ */

static VOID LeakPool(VOID)
{
    ExAllocatePoolWithTag(NonPagedPool, 48, TOY_TAG);
}

static VOID LeakDevice(VOID)
{
    PDEVICE_OBJECT Other;

    CHECK_EQ(ToyMakeDevice(L"\\Device\\Other", FILE_DEVICE_UNKNOWN, &Other), STATUS_SUCCESS);
}

static NTSTATUS LeakOnLoad(VOID)
{
    LeakDevice();
    return STATUS_UNSUCCESSFUL;
}

static VOID LeakWorkItem(VOID)
{
    IoAllocateWorkItem(ToyDevice);
}

static HANDLE NewSection(VOID)
{
    LARGE_INTEGER Size = {.QuadPart = 4096};
    OBJECT_ATTRIBUTES Attributes;
    HANDLE Section;

    InitializeObjectAttributes(&Attributes, NULL, OBJ_KERNEL_HANDLE, NULL, NULL);
    CHECK_EQ(ZwCreateSection(&Section, SECTION_ALL_ACCESS, &Attributes, &Size, PAGE_READWRITE,
                             SEC_COMMIT, NULL),
             STATUS_SUCCESS);
    return Section;
}

static VOID LeakHandle(VOID)
{
    NewSection();
}

static VOID LeakView(VOID)
{
    HANDLE Section = NewSection();
    PVOID Address = NULL;
    SIZE_T Size = 4096;

    CHECK_EQ(ZwMapViewOfSection(Section, NtCurrentProcess(), &Address, 0, 0, NULL, &Size, ViewUnmap,
                                0, PAGE_READWRITE),
             STATUS_SUCCESS);
    ZwClose(Section);
}

static VOID UseHandleAsAnother(VOID)
{
    PVOID Thread;

    ObReferenceObjectByHandle(NewSection(), SYNCHRONIZE, NULL, KernelMode, &Thread, NULL);
}

static VOID CloseTwice(VOID)
{
    HANDLE Section = NewSection();

    ZwClose(Section);
    ZwClose(Section);
}

/* -- threads ----------------------------------------------------------------------------------- */

static PVOID Thread;

static VOID WaitForEvent(PVOID Context)
{
    UNREFERENCED_PARAMETER(Context);
    KeWaitForSingleObject(&ToyEvent, Executive, KernelMode, FALSE, NULL);
    PsTerminateSystemThread(STATUS_SUCCESS);
}

static NTSTATUS StartThread(VOID)
{
    return ToyStartThread(WaitForEvent, &Thread);
}

static VOID EndThread(VOID)
{
    KeSetEvent(&ToyEvent, IO_NO_INCREMENT, FALSE);
    ToyEndThread(Thread);
}

static VOID ForgetThread(VOID)
{
    ObDereferenceObject(Thread);
}

static VOID KeepReference(VOID)
{
    KeSetEvent(&ToyEvent, IO_NO_INCREMENT, FALSE);
    KeWaitForSingleObject(Thread, Executive, KernelMode, FALSE, NULL);
}

static VOID DereferenceTwice(VOID)
{
    EndThread();
    ObDereferenceObject(Thread);
}

static NTSTATUS StartThreadAndKeepHandle(VOID)
{
    NTSTATUS Status;
    HANDLE Handle;

    Status = PsCreateSystemThread(&Handle, THREAD_ALL_ACCESS, NULL, NULL, NULL, WaitForEvent, NULL);
    if (NT_SUCCESS(Status))
        Status = ObReferenceObjectByHandle(Handle, SYNCHRONIZE, NULL, KernelMode, &Thread, NULL);
    return Status;
}

/* The end of the thread is waited for by what it says, not by its object: it may not be over. */
static KEVENT SaysItsEnd;

static VOID SayEndAndGoOn(PVOID Context)
{
    ULONG Index;

    UNREFERENCED_PARAMETER(Context);
    KeWaitForSingleObject(&ToyEvent, Executive, KernelMode, FALSE, NULL);
    KeSetEvent(&SaysItsEnd, IO_NO_INCREMENT, FALSE);
    for (Index = 0; Index < 20; Index++)
        InterlockedIncrement(&ToyCount);
}

static NTSTATUS StartThreadThatSaysItsEnd(VOID)
{
    NTSTATUS Status;

    KeInitializeEvent(&SaysItsEnd, NotificationEvent, FALSE);
    Status = ToyStartThread(SayEndAndGoOn, &Thread);
    ObDereferenceObject(Thread);
    return Status;
}

static VOID BelieveThread(VOID)
{
    KeSetEvent(&ToyEvent, IO_NO_INCREMENT, FALSE);
    KeWaitForSingleObject(&SaysItsEnd, Executive, KernelMode, FALSE, NULL);
}

static NTSTATUS TerminatesItself(PDEVICE_OBJECT Device, PIRP Irp)
{
    ToySucceed(Device, Irp);
    return PsTerminateSystemThread(STATUS_SUCCESS);
}

/* -- work items -------------------------------------------------------------------------------- */

static VOID Work(PDEVICE_OBJECT Device, PVOID Context)
{
    UNREFERENCED_PARAMETER(Device);
    InterlockedIncrement(&ToyCount);
    if (Context != NULL)
        IoFreeWorkItem(Context);
    KeSetEvent(&ToyEvent, IO_NO_INCREMENT, FALSE);
}

static NTSTATUS QueuesTwice(PDEVICE_OBJECT Device, PIRP Irp)
{
    PIO_WORKITEM Item = IoAllocateWorkItem(Device);
    ULONG Index;

    for (Index = 0; Index < 100; Index++) /* a worker may have begun on it */
        IoQueueWorkItem(Item, Work, DelayedWorkQueue, NULL);
    return ToySucceed(Device, Irp);
}

static NTSTATUS FreesQueued(PDEVICE_OBJECT Device, PIRP Irp)
{
    PIO_WORKITEM Item = IoAllocateWorkItem(Device);

    IoQueueWorkItem(Item, Work, DelayedWorkQueue, NULL);
    IoFreeWorkItem(Item);
    return ToySucceed(Device, Irp);
}

static NTSTATUS QueuesOne(PDEVICE_OBJECT Device, PIRP Irp)
{
    PIO_WORKITEM Item = IoAllocateWorkItem(Device);

    IoQueueWorkItem(Item, Work, DelayedWorkQueue, Item);
    return ToySucceed(Device, Irp);
}

static PIO_WORKITEM Again;

static VOID WorkAgain(PDEVICE_OBJECT Device, PVOID Context)
{
    UNREFERENCED_PARAMETER(Device);
    if (InterlockedIncrement(&ToyCount) < 3)
        IoQueueWorkItem(Again, WorkAgain, DelayedWorkQueue, Context);
    else
        IoFreeWorkItem(Again);
}

static NTSTATUS QueuesOneThatQueuesItself(PDEVICE_OBJECT Device, PIRP Irp)
{
    Again = IoAllocateWorkItem(Device);
    IoQueueWorkItem(Again, WorkAgain, DelayedWorkQueue, NULL);
    return ToySucceed(Device, Irp);
}

/* Wine: DriverUnload must itself see to it that nothing of the driver runs any more. */
static VOID WaitForWork(VOID)
{
    KeWaitForSingleObject(&ToyEvent, Executive, KernelMode, FALSE, NULL);
}

/* -- the device -------------------------------------------------------------------------------- */

static PDEVICE_OBJECT Second;

static NTSTATUS MakeSecond(VOID)
{
    return ToyMakeDevice(L"\\Device\\Second", FILE_DEVICE_UNKNOWN, &Second);
}

static VOID WorkThatDeletes(PDEVICE_OBJECT Device, PVOID Context)
{
    UNREFERENCED_PARAMETER(Device);
    IoFreeWorkItem(Context);
    IoDeleteDevice(Second);
}

/* As CoreMnt does: DriverUnload is over, and a work item deletes what is left. */
static VOID HaveSecondDeleted(VOID)
{
    PIO_WORKITEM Item = IoAllocateWorkItem(ToyDevice);

    IoQueueWorkItem(Item, WorkThatDeletes, DelayedWorkQueue, Item);
}

static VOID QueueAndGo(VOID)
{
    PIO_WORKITEM Item = IoAllocateWorkItem(ToyDevice);

    IoQueueWorkItem(Item, Work, DelayedWorkQueue, Item);
}

#define LEAK(toy_unload, on, ...)                                                                  \
    {                                                                                              \
        .Name = #toy_unload, .On = on, .Toy = {.Unload = toy_unload}, .Hears = { __VA_ARGS__ }     \
    }
#define THREAD(load, unload, on, ...)                                                              \
    {                                                                                              \
        .Name = #load "-" #unload, .On = on, .Toy = {.Load = load, .Unload = unload}, .Hears = {   \
            __VA_ARGS__                                                                            \
        }                                                                                          \
    }

static const SELF_CASE Cases[] = {
    LEAK(LeakPool, ON_BOTH, "leak: 48 bytes of pool", "allocated at:", "LeakPool"),
    LEAK(LeakDevice, ON_BOTH, "leak: a device", "created at:", "LeakDevice"),
    {.Name = "KeepsDevice",
     .On = ON_BOTH,
     .Toy = {.KeepsDevice = TRUE},
     .Hears = {"leak: a device"}},
    {.Name = "KeepsLink",
     .On = ON_BOTH,
     .Toy = {.KeepsLink = TRUE},
     .Hears = {"leak: a symbolic link", "created at:"}},
    {.Name = "LeakOnLoad", .On = ON_BOTH, .Toy = {.Load = LeakOnLoad}, .Hears = {"leak: a device"}},
    LEAK(LeakWorkItem, ON_BOTH, "leak: a work item", "allocated at:", "LeakWorkItem"),
    LEAK(LeakHandle, ON_BOTH, "leak: a handle", "opened at:", "LeakHandle"),
    LEAK(LeakView, ON_BOTH, "leak: a view of 4096 bytes", "mapped at:", "LeakView"),
    LEAK(UseHandleAsAnother, ON_BOTH, "a handle is used for what it is not", "opened at:"),
    LEAK(CloseTwice, ON_BOTH, "a handle is used that is not open"),
    THREAD(StartThread, EndThread, ON_BOTH, NULL),
    THREAD(StartThread, ForgetThread, ON_BOTH, "leak: a thread runs after the unload",
           "created at:"),
    THREAD(StartThread, KeepReference, ON_BOTH, "leak: a reference to a thread", "created at:"),
    THREAD(StartThread, DereferenceTwice, ON_BOTH, "a thread is dereferenced too often",
           "created at:"),
    THREAD(StartThreadAndKeepHandle, EndThread, ON_BOTH, "leak: a handle", "opened at:"),
    {.Name = "BelieveThread",
     .On = ON_BOTH | ONLY_SERIAL,
     .Toy = {.Load = StartThreadThatSaysItsEnd, .Unload = BelieveThread},
     .Hears = {"unload"},
     .Seeds = 50},
    SELF_SIN(TerminatesItself, ON_BOTH, NULL,
             "PsTerminateSystemThread is called by a thread that is not the driver's"),
    {.Name = "QueuesTwice",
     .On = ON_BOTH,
     .Toy = {.Io = QueuesTwice},
     .Hears = {"a work item is queued twice", "allocated at:"},
     .Seeds = 10},
    {.Name = "FreesQueued",
     .On = ON_BOTH | ONLY_SERIAL,
     .Toy = {.Io = FreesQueued},
     .Hears = {"a work item is freed that is queued"},
     .Seeds = 20},
    {.Name = "QueuesOne", .On = ON_NT, .Toy = {.Io = QueuesOne}, .Seeds = 3},
    {.Name = "QueuesOne-WaitForWork",
     .On = ON_WINE,
     .Toy = {.Io = QueuesOne, .Unload = WaitForWork},
     .Seeds = 3},
    {.Name = "QueuesOneThatQueuesItself",
     .On = ON_NT,
     .Toy = {.Io = QueuesOneThatQueuesItself},
     .Seeds = 3},
    {.Name = "HaveSecondDeleted",
     .On = ON_NT,
     .Toy = {.Load = MakeSecond, .Unload = HaveSecondDeleted},
     .Seeds = 10},
    {.Name = "QueueAndGo",
     .On = ON_WINE | ONLY_SERIAL,
     .Toy = {.Unload = QueueAndGo},
     .Hears = {"by a driver that has been unloaded"},
     .Seeds = 20},
};

int main(int Count, char **Arguments)
{
    return SelfMain(Count, Arguments, Cases, RTL_NUMBER_OF(Cases));
}
