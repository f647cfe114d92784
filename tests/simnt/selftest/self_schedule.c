/* SPDX-License-Identifier: MIT */
/*
 * self_schedule.c - that a seed gives the same run again, that deadlocks are seen, what time costs, and that
 * everything fails once when resources are low.
 */
#include <time.h>

#include "selftest.h"

/* -- traces ------------------------------------------------------------------------------------ */

#define EVENTS 512
#define THREADS 3
#define IOCTLS 5

/* Who came to which place, in the order in which they came. */
static ULONG Trace[EVENTS];
static LONG volatile Traced;

static VOID Event(ULONG What)
{
    LONG At = InterlockedIncrement(&Traced) - 1;

    CHECK(At < EVENTS);
    Trace[At] = What;
}

static VOID TraceWork(PDEVICE_OBJECT Device, PVOID Context)
{
    UNREFERENCED_PARAMETER(Device);
    Event(1000);
    IoFreeWorkItem(Context);
}

static NTSTATUS TraceIoctl(PDEVICE_OBJECT Device, PIRP Irp)
{
    ULONG Thread = *(PUCHAR)Irp->AssociatedIrp.SystemBuffer;
    PIO_WORKITEM Item;
    KIRQL Irql;

    Event(Thread);
    KeAcquireSpinLock(&ToyLock, &Irql);
    Event(100 + Thread);
    KeReleaseSpinLock(&ToyLock, Irql);
    Item = IoAllocateWorkItem(Device);
    IoQueueWorkItem(Item, TraceWork, DelayedWorkQueue, Item);
    Event(200 + Thread);
    return ToySucceed(Device, Irp);
}

typedef struct TRACER {
    SIM_FILE *File;
    UCHAR Index;
} TRACER;

static VOID SendTraced(PVOID Context)
{
    TRACER *Tracer = Context;
    ULONG Index;

    for (Index = 0; Index < IOCTLS; Index++) {
        SimFinish(SimIoctl(Tracer->File, IOCTL_TOY, &Tracer->Index, 1, NULL, 0), NULL);
        SimSleepMs(SimRandomBelow(3));
    }
}

static UINT64 HashOfTrace(VOID)
{
    UINT64 Hash = 0xCBF29CE484222325u;
    LONG Index;

    for (Index = 0; Index < Traced; Index++)
        Hash = (Hash ^ Trace[Index]) * 0x100000001B3u;
    return Hash;
}

/* One life of a machine with this seed. */
static UINT64 Live(SIM_SYSTEM System, UINT64 Seed)
{
    SIM_OPTIONS Options = {.System = System, .Serial = TRUE, .Seed = Seed};
    SIM_THREAD *Threads[THREADS];
    TRACER Tracers[THREADS];
    SIM_PROCESS *Process;
    SIM_FILE *File;
    UCHAR Index;

    Traced = 0;
    SimBoot(&Options);
    CHECK_EQ(SimLoadDriver(), STATUS_SUCCESS);
    File = SelfOpen(&Process);
    for (Index = 0; Index < THREADS; Index++) {
        Tracers[Index] = (TRACER){File, Index};
        Threads[Index] = SimSpawn("tracer", SendTraced, &Tracers[Index]);
    }
    for (Index = 0; Index < THREADS; Index++)
        SimJoin(Threads[Index]);
    SelfClose(File, Process);
    while (InterlockedCompareExchange(&Traced, 0, 0) < THREADS * IOCTLS * 4)
        SimSleepMs(1);
    CHECK(SimStopDriver());
    SimShutDown();
    CHECK_EQ(Traced, THREADS * IOCTLS * 4);
    return HashOfTrace();
}

static VOID TheSameSeedTheSameRun(VOID)
{
    UINT64 Seed;

    for (Seed = 1; Seed <= 10; Seed++) {
        CHECK_EQ(Live(SIM_NT, Seed), Live(SIM_NT, Seed));
        CHECK_EQ(Live(SIM_WINE, Seed), Live(SIM_WINE, Seed));
    }
}

static VOID AnotherSeedAnotherRun(VOID)
{
    ULONG Same = 0;
    UINT64 Seed;

    for (Seed = 1; Seed <= 20; Seed++)
        Same += Live(SIM_NT, Seed) == Live(SIM_NT, Seed + 1);
    CHECK_EQ(Same, 0);
}

/* -- deadlocks --------------------------------------------------------------------------------- */

static KEVENT First, Second;

static VOID WaitThenSet(PKEVENT Wait, PKEVENT Set)
{
    KeWaitForSingleObject(Wait, Executive, KernelMode, FALSE, NULL);
    KeSetEvent(Set, IO_NO_INCREMENT, FALSE);
}

static VOID WaitForFirst(PVOID Context)
{
    UNREFERENCED_PARAMETER(Context);
    WaitThenSet(&First, &Second);
}

static VOID WaitForSecond(PVOID Context)
{
    UNREFERENCED_PARAMETER(Context);
    WaitThenSet(&Second, &First);
}

static PVOID Ends[2];

static NTSTATUS StartBoth(VOID)
{
    KeInitializeEvent(&First, NotificationEvent, FALSE);
    KeInitializeEvent(&Second, NotificationEvent, FALSE);
    CHECK_EQ(ToyStartThread(WaitForFirst, &Ends[0]), STATUS_SUCCESS);
    return ToyStartThread(WaitForSecond, &Ends[1]);
}

static VOID EndBoth(VOID)
{
    ToyEndThread(Ends[0]);
    ToyEndThread(Ends[1]);
}

/* -- time -------------------------------------------------------------------------------------- */

static LONG64 HostMs(VOID)
{
    struct timespec Now;

    clock_gettime(CLOCK_MONOTONIC, &Now);
    return (LONG64)Now.tv_sec * 1000 + Now.tv_nsec / 1000000;
}

static VOID SleepForAnHour(VOID)
{
    LONGLONG Before = KeQueryPerformanceCounter(NULL).QuadPart, Took;
    LONG64 Start = HostMs();

    SimSleepMs(60 * 60 * 1000);
    Took = KeQueryPerformanceCounter(NULL).QuadPart - Before;
    CHECK(Took >= 36000000000 && Took < 36001000000);
    CHECK(HostMs() - Start < 5000);
}

static NTSTATUS WaitForHundredMs(PDEVICE_OBJECT Device, PIRP Irp)
{
    LARGE_INTEGER Frequency, Timeout = {.QuadPart = -100 * 1000 * 10};
    LONGLONG Before = KeQueryPerformanceCounter(&Frequency).QuadPart, Took;

    CHECK_EQ(KeWaitForSingleObject(&ToyEvent, Executive, KernelMode, FALSE, &Timeout),
             STATUS_TIMEOUT);
    Took = (KeQueryPerformanceCounter(NULL).QuadPart - Before) * 1000 / Frequency.QuadPart;
    CHECK(Took >= 100 && Took < 5000);
    return ToySucceed(Device, Irp);
}

static VOID Hang(VOID)
{
    for (;;)
        SimSleepMs(1000 * 1000);
}

/* -- low resources ----------------------------------------------------------------------------- */

static ULONG Failures;

static BOOLEAN TryPool(VOID)
{
    PVOID Memory = ExAllocatePoolWithTag(NonPagedPool, 16, TOY_TAG);

    if (Memory == NULL) {
        Failures++;
        return FALSE;
    }
    ExFreePoolWithTag(Memory, TOY_TAG);
    return TRUE;
}

/* Four paths to two places: TryPool from three, and the work item; none is looked at after a failure. */
static NTSTATUS AllocateOnFourPaths(PDEVICE_OBJECT Device, PIRP Irp)
{
    PIO_WORKITEM Item;
    ULONG Index;

    if (!TryPool())
        return ToyComplete(Irp, STATUS_INSUFFICIENT_RESOURCES, 0);
    for (Index = 0; Index < 3; Index++)
        if (!TryPool())
            return ToyComplete(Irp, STATUS_INSUFFICIENT_RESOURCES, 0);
    Item = IoAllocateWorkItem(Device);
    if (Item == NULL) {
        Failures++;
        return ToyComplete(Irp, STATUS_INSUFFICIENT_RESOURCES, 0);
    }
    IoFreeWorkItem(Item);
    return TryPool() ? ToySucceed(Device, Irp) : ToyComplete(Irp, STATUS_INSUFFICIENT_RESOURCES, 0);
}

static VOID EveryPathFailsOnce(VOID)
{
    ULONG Rounds = 0, Count, Round;
    SIM_PROCESS *Process;
    SIM_FILE *File = SelfOpen(&Process);

    for (Round = 1; Round <= 2; Round++) {
        SimForgetFailures();
        do {
            SimBeginFailures();
            SimFinish(SelfIoctl(File), NULL);
            Count = SimEndFailures();
            CHECK(Count <= 1); /* the first one ends the ioctl */
            Rounds++;
        } while (Count != 0);
        CHECK_EQ(Failures, 4 * Round);
        CHECK_EQ(Rounds, 5 * Round);
    }
    SelfClose(File, Process);
}

static const SELF_CASE Cases[] = {
    {.Name = "TheSameSeedTheSameRun",
     .On = ON_NT | ONLY_SERIAL,
     .Toy = {.Io = TraceIoctl},
     .Story = TheSameSeedTheSameRun,
     .OnNoMachine = TRUE},
    {.Name = "AnotherSeedAnotherRun",
     .On = ON_NT | ONLY_SERIAL,
     .Toy = {.Io = TraceIoctl},
     .Story = AnotherSeedAnotherRun,
     .OnNoMachine = TRUE},
    {.Name = "DeadlockInTurn",
     .On = ON_BOTH | ONLY_SERIAL,
     .Toy = {.Load = StartBoth, .Unload = EndBoth},
     .Hears = {"STOP: deadlock: every thread waits", "WaitForFirst", "WaitForSecond"}},
    {.Name = "DeadlockAtOnce",
     .On = ON_BOTH | ONLY_FREE,
     .Toy = {.Load = StartBoth, .Unload = EndBoth},
     .Hears = {"STOP: deadlock: every thread waits", "WaitForFirst", "WaitForSecond"}},
    {.Name = "SleepForAnHour", .On = ON_BOTH | ONLY_SERIAL, .Story = SleepForAnHour},
    {.Name = "Hang",
     .On = ON_BOTH | ONLY_SERIAL,
     .Story = Hang,
     .Hears = {"STOP: hang: only timers have run for 10 hours"}},
    {.Name = "WaitForHundredMs", .On = ON_WINE, .Toy = {.Io = WaitForHundredMs}},
    {.Name = "EveryPathFailsOnce",
     .On = ON_BOTH,
     .Toy = {.Io = AllocateOnFourPaths},
     .Story = EveryPathFailsOnce},
};

int main(int Count, char **Arguments)
{
    return SelfMain(Count, Arguments, Cases, RTL_NUMBER_OF(Cases));
}
