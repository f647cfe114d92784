/* SPDX-License-Identifier: MIT */
/*
 * machine.c - booting, loading and unloading the driver, shutting down.
 *
 *      GONE -> LOADING -> LOADED -> (NT: UnloadPending, until no device is used) -> STOPPING -> GOING -> GONE
 *
 * The driver's variables get their first values back at each load, as a new image has them: the linker
 * collects them between two symbols (driver.ld).
 */
#include <stdlib.h>

#include "internal.h"

MACHINE Machine;

NTSTATUS NTAPI DriverEntry(PDRIVER_OBJECT Object, PUNICODE_STRING RegistryPath);

/* -- the driver's variables -------------------------------------------------------------------- */

extern UCHAR simnt_driver_begin[], simnt_driver_end[];

static PUCHAR Image; /* as they were when the program began */

/* By words, past the sanitizers: between the variables lie their red zones. */
__attribute__((no_sanitize("address", "thread", "undefined"), noinline)) static VOID
CopyWords(UINT64 volatile *To, const UINT64 volatile *From, SIZE_T Count)
{
    SIZE_T Index;

    for (Index = 0; Index < Count; Index++)
        To[Index] = From[Index];
}

static SIZE_T Words(VOID)
{
    return (SIZE_T)(simnt_driver_end - simnt_driver_begin) / sizeof(UINT64);
}

static VOID LoadImage(VOID)
{
    if (Image == NULL) {
        Image = malloc(Words() * sizeof(UINT64));
        CopyWords((PVOID)Image, (PVOID)simnt_driver_begin, Words());
    }
    CopyWords((PVOID)simnt_driver_begin, (PVOID)Image, Words());
}

/* -- booting ----------------------------------------------------------------------------------- */

BOOLEAN SimIsWine(VOID)
{
    return Machine.Options.System == SIM_WINE;
}

VOID SimBoot(const SIM_OPTIONS *Options)
{
    PLIST_ENTRY Lists[] = {&Machine.Devices,   &Machine.Links, &Machine.Ios,  &Machine.Handles,
                           &Machine.Processes, &Machine.Files, &Machine.Pool, &Machine.Views};
    ULONG Index;

    if (Machine.On)
        SimStop("a test boots a machine that is on");
    memset(&Machine, 0, sizeof(Machine));
    Machine.On = TRUE;
    Machine.Options = *Options;
    if (Machine.Options.WindowsVersion == 0)
        Machine.Options.WindowsVersion = 0xA00;
    for (Index = 0; Index < RTL_NUMBER_OF(Lists); Index++)
        InitializeListHead(Lists[Index]);
    StopBoot();
    ScheduleBoot();
    CmBoot();
    IoBoot();
    IrpBoot();
}

static VOID CheckNothingLeft(VOID)
{
    ObCheckNoneLeft(); /* first: handles keep other things */
    PsCheckNoneLeft();
    IrpCheckNoneLeft();
    IoCheckNoneLeft();
    MmCheckNoneLeft();
    ExCheckNoneLeft();
}

VOID SimShutDown(VOID)
{
    if (Machine.State != DRIVER_GONE)
        IrpCheckNoneLeft();
    if (Machine.State != DRIVER_GONE)
        SimStop("the test has left the driver loaded");
    IrpShutDown();
    IoShutDown();
    FileCheckNoneLeft();
    CheckNothingLeft();
    ScheduleShutDown();
    Machine.On = FALSE;
}

static VOID SetState(DRIVER_STATE State)
{
    SIM_RELEASE(&Machine.State);
    SimLock();
    Machine.State = State;
    SimUnlock();
    SimChanged();
}

/* NT: the image goes when DriverUnload has returned and no device is left to refer to the driver. When nothing
 * is under way that could delete one that is left, it has been forgotten. */
static VOID GoIfNothingLeft(VOID)
{
    BOOLEAN Gone;

    if (SimIsWine())
        return;
    SimLock();
    Gone = Machine.UnloadCalled && Machine.State == DRIVER_STOPPING && NobodyIsInDriver(NULL) &&
           IoNobodyLetsGoLocked();
    if (Gone)
        Machine.State = DRIVER_GOING; /* nobody else comes here */
    SimUnlock();
    if (!Gone)
        return;
    CheckNothingLeft();
    SetState(DRIVER_GONE);
}

/* -- in and out of the driver ------------------------------------------------------------------ */

CONTEXT SimEnterDriver(CONTEXT Doing)
{
    CONTEXT Before = SimSelf->Doing;

    SimSelf->Doing = Doing;
    if (Doing != IN_THREAD) /* nothing waits for the driver's own threads but itself */
        __atomic_store_n(&SimSelf->InDriver, SimSelf->InDriver + 1, __ATOMIC_SEQ_CST);
    return Before;
}

VOID SimLeaveDriver(CONTEXT Before)
{
    CONTEXT Doing = SimSelf->Doing;

    SimSelf->Doing = Before;
    SIM_RELEASE(&Machine.Driver);
    if (Doing == IN_THREAD)
        return;
    __atomic_store_n(&SimSelf->InDriver, SimSelf->InDriver - 1, __ATOMIC_SEQ_CST);
    if (Machine.State != DRIVER_LOADED) {
        SimChanged();
        GoIfNothingLeft();
    }
}

BOOLEAN MachineEnterIfLoaded(CONTEXT Doing, CONTEXT *Before)
{
    BOOLEAN Loaded;

    SimLock();
    Loaded = Machine.State == DRIVER_LOADED || Machine.State == DRIVER_STOPPING;
    if (Loaded)
        *Before = SimEnterDriver(Doing);
    SimUnlock();
    return Loaded;
}

/* -- loading ----------------------------------------------------------------------------------- */

NTSTATUS SimLoadDriver(VOID)
{
    WCHAR Path[] = L"\\Registry\\Machine\\System\\CurrentControlSet\\Services\\CoreMnt";
    UNICODE_STRING RegistryPath;
    CONTEXT Before;
    NTSTATUS Status;

    if (Machine.State != DRIVER_GONE)
        SimStop("a test loads the driver twice");
    SIM_ACQUIRE(&Machine.Driver); /* what the one before has done is over */
    LoadImage();
    memset(&Machine.Driver, 0, sizeof(Machine.Driver));
    Machine.UnloadPending = Machine.UnloadCalled = FALSE;
    SetState(DRIVER_LOADING);
    Before = SimEnterDriver(IN_LOAD);
    RtlInitUnicodeString(&RegistryPath, Path);
    Status = DriverEntry(&Machine.Driver, &RegistryPath);
    SimLeaveDriver(Before);
    if (NT_SUCCESS(Status)) {
        SetState(DRIVER_LOADED);
        return Status;
    }
    SetState(DRIVER_GONE);
    CheckNothingLeft();
    return Status;
}

BOOLEAN SimDriverIsLoaded(VOID)
{
    BOOLEAN Loaded;

    SimLock();
    Loaded = Machine.State != DRIVER_GONE;
    SimUnlock();
    return Loaded;
}

BOOLEAN MachineAcceptsOpensLocked(VOID)
{
    return Machine.State == DRIVER_LOADED && !Machine.UnloadPending;
}

/* -- unloading --------------------------------------------------------------------------------- */

static VOID CallUnload(VOID)
{
    CONTEXT Before = SimEnterDriver(IN_LOAD);

    SIM_ACQUIRE(&Machine.UnloadPending); /* every file has been closed */
    Machine.Driver.DriverUnload(&Machine.Driver);
    if (SimSelf->Irql != PASSIVE_LEVEL || SimSelf->Lock != NULL)
        SimStop("DriverUnload returns at IRQL %u", SimSelf->Irql);
    SimLeaveDriver(Before);
}

/*
 * Wine: on the caller's thread, while the dispatch thread goes on; the image goes as soon as DriverUnload has
 * returned. A thread that still runs in it may only return: whatever else it calls stops the machine.
 */
static VOID UnloadOnWine(VOID)
{
    SimLock();
    Machine.State = DRIVER_STOPPING;
    SimUnlock();
    CallUnload();
    SetState(DRIVER_GONE);
    SimBlock(NobodyIsInDriver, NULL, MAXULONG64);
    CheckNothingLeft();
}

static VOID UnloadThread(PVOID Context)
{
    UNREFERENCED_PARAMETER(Context);
    CallUnload();
}

/* As in NT, where the I/O manager has a system thread call DriverUnload and waits for it, whoever it was that
 * let go of the last device. */
VOID MachineLetGo(VOID)
{
    BOOLEAN Now;

    if (SimIsWine())
        return;
    SimLock();
    Now = Machine.UnloadPending && !Machine.UnloadCalled && IoNobodyUsesDevices();
    if (Now)
        Machine.UnloadCalled = TRUE;
    SimUnlock();
    if (Now) {
        SimJoin(SimSpawn("unload", UnloadThread, NULL));
        SetState(DRIVER_STOPPING);
    }
    GoIfNothingLeft();
}

static BOOLEAN IsGone(PVOID Context)
{
    UNREFERENCED_PARAMETER(Context);
    return Machine.State == DRIVER_GONE;
}

BOOLEAN SimStopDriver(VOID)
{
    BOOLEAN Called;

    if (SimIsWine()) {
        UnloadOnWine();
        return TRUE;
    }
    SimLock();
    Machine.UnloadPending = TRUE;
    SimUnlock();
    MachineLetGo();
    SimLock();
    Called = Machine.UnloadCalled;
    SimUnlock();
    if (Called)
        SimBlock(IsGone, NULL, MAXULONG64);
    return Called;
}
