/* SPDX-License-Identifier: MIT */
/*
 * ke.c - spin locks, IRQL, events, waiting, time. IRQL is a thread's; a spin lock raises it. One spin lock at
 * a time: the driver's rule is that its locks are never nested, so no order of them can be wrong.
 */
#include <sched.h>

#include "internal.h"

#define LOCK_MAGIC 0x4B434F4Cu
#define EVENT_MAGIC 0x544E5645u
#define SPIN_LIMIT 20000000u /* yields, free: far more than any holder takes */

KIRQL KeGetCurrentIrql(VOID)
{
    return SimSelf->Irql;
}

/* -- spin locks -------------------------------------------------------------------------------- */

VOID KeInitializeSpinLock(PKSPIN_LOCK Lock)
{
    SIM_CALL(DISPATCH_LEVEL);
    if (SimSelf->Lock == Lock)
        SimStopWith("acquired at:", (const STACK *)Lock->Where,
                    "a spin lock is initialized that is held");
    *Lock = (KSPIN_LOCK){.Initialized = LOCK_MAGIC};
}

static BOOLEAN IsFree(PVOID Context)
{
    return __atomic_load_n(&((PKSPIN_LOCK)Context)->Held, __ATOMIC_SEQ_CST) == 0;
}

static VOID Take(PKSPIN_LOCK Lock)
{
    ULONG Tries = 0;

    while (__atomic_exchange_n(&Lock->Held, 1, __ATOMIC_ACQUIRE) != 0) {
        if (Machine.Options.Serial)
            SimBlock(IsFree, Lock, MAXULONG64);
        else if (++Tries > SPIN_LIMIT)
            SimStopWith("held since:", (const STACK *)Lock->Where, "a spin lock is never released");
        else
            sched_yield();
    }
}

VOID KeAcquireSpinLock(PKSPIN_LOCK Lock, PKIRQL OldIrql)
{
    SIM_CALL(DISPATCH_LEVEL);
    if (Lock->Initialized != LOCK_MAGIC)
        SimStop("a spin lock is used that has not been initialized");
    if (SimSelf->Lock == Lock)
        SimStopWith("acquired at:", (const STACK *)Lock->Where,
                    "a spin lock is acquired by the thread that holds it");
    if (SimSelf->Lock != NULL)
        SimStopWith("the other was acquired at:", (const STACK *)SimSelf->Lock->Where,
                    "lock order: a second spin lock is acquired while one is held");
    if (SimSelf->CancelLockHeld)
        SimStop("lock order: a spin lock is acquired while the cancel lock is held");
    SimPoint();
    *OldIrql = SimSelf->Irql;
    SimSelf->Irql = DISPATCH_LEVEL;
    Take(Lock);
    SimSelf->Lock = Lock;
    SimSelf->LockIrql = *OldIrql;
    Lock->Holder = SimSelf;
    if (SIM_STACKS)
        StackCapture((STACK *)Lock->Where);
    COUNT(Locks);
}

VOID KeReleaseSpinLock(PKSPIN_LOCK Lock, KIRQL OldIrql)
{
    SIM_CALL(DISPATCH_LEVEL);
    if (SimSelf->Lock != Lock || Lock->Holder != SimSelf)
        SimStop("a spin lock is released by a thread that does not hold it");
    if (OldIrql != SimSelf->LockIrql)
        SimStop("a spin lock is released to IRQL %u; it was acquired at %u", OldIrql,
                SimSelf->LockIrql);
    SimSelf->Lock = NULL;
    Lock->Holder = NULL;
    __atomic_store_n(&Lock->Held, 0, __ATOMIC_RELEASE);
    SimSelf->Irql = OldIrql;
    SimPoint();
}

/* The system's one, under which it changes and replaces the VPBs of devices. */
static KSPIN_LOCK VpbLock = {.Initialized = LOCK_MAGIC};

VOID IoAcquireVpbSpinLock(PKIRQL Irql)
{
    if (SimIsWine())
        SimStop("Wine 8 has no more than the name of IoAcquireVpbSpinLock");
    KeAcquireSpinLock(&VpbLock, Irql);
}

VOID IoReleaseVpbSpinLock(KIRQL Irql)
{
    KeReleaseSpinLock(&VpbLock, Irql);
}

/* -- events ------------------------------------------------------------------------------------ */

VOID KeInitializeEvent(PKEVENT Event, EVENT_TYPE Type, BOOLEAN State)
{
    SIM_CALL(DISPATCH_LEVEL);
    *Event = (KEVENT){.Initialized = EVENT_MAGIC, .Type = Type, .Signalled = State};
}

static VOID CheckEvent(const KEVENT *Event)
{
    if (Event->Initialized != EVENT_MAGIC)
        SimStop("an event is used that has not been initialized");
}

LONG KeSetEvent(PKEVENT Event, KPRIORITY Increment, BOOLEAN Wait)
{
    LONG Before;

    UNREFERENCED_PARAMETER(Increment);
    SIM_CALL(DISPATCH_LEVEL);
    CheckEvent(Event);
    if (Wait)
        SimStop("KeSetEvent with Wait: the caller must wait next, which nobody checks");
    SimPoint();
    SIM_RELEASE(Event);
    Before = __atomic_exchange_n(&Event->Signalled, 1, __ATOMIC_SEQ_CST);
    SimChanged();
    SimPoint(); /* who waited for it may do anything now */
    return Before;
}

LONG KeResetEvent(PKEVENT Event)
{
    SIM_CALL(DISPATCH_LEVEL);
    CheckEvent(Event);
    SimPoint();
    return __atomic_exchange_n(&Event->Signalled, 0, __ATOMIC_SEQ_CST);
}

VOID KeClearEvent(PKEVENT Event)
{
    KeResetEvent(Event);
}

/* -- waiting ----------------------------------------------------------------------------------- */

/* Relative: negative, in 100 ns. We know no absolute time. */
static UINT64 TimeoutUs(const LARGE_INTEGER *Timeout)
{
    if (Timeout == NULL)
        return MAXULONG64;
    if (Timeout->QuadPart > 0)
        SimStop("an absolute timeout");
    return (UINT64)-Timeout->QuadPart / 10;
}

static VOID CheckMayWait(const char *What)
{
    if (SimSelf->Lock != NULL || SimSelf->CancelLockHeld)
        SimStop("%s waits while it holds a spin lock", What);
    if (SimSelf->Irql > APC_LEVEL)
        SimStop("%s waits at IRQL %u", What, SimSelf->Irql);
    /* On Wine the list of devices is guarded by a wait. */
    if (!SimIsWine() && (SimSelf->Doing == IN_DISPATCH || SimSelf->Doing == IN_CANCEL))
        SimStop("%s waits in a dispatch or cancel routine", What);
}

static BOOLEAN IsSignalled(PVOID Context)
{
    return __atomic_load_n(&((PKEVENT)Context)->Signalled, __ATOMIC_SEQ_CST) != 0;
}

/* Threads are waited for by the event that is their object's beginning. */
NTSTATUS KeWaitForSingleObject(PVOID Object, KWAIT_REASON Reason, KPROCESSOR_MODE Mode,
                               BOOLEAN Alertable, PLARGE_INTEGER Timeout)
{
    PKEVENT Event = Object;
    UINT64 Us = TimeoutUs(Timeout);

    UNREFERENCED_PARAMETER(Reason);
    UNREFERENCED_PARAMETER(Alertable);
    SIM_CALL(DISPATCH_LEVEL);
    if (Us != 0)
        CheckMayWait(__func__);
    if (Mode != KernelMode)
        SimStop("a wait in user mode can end too early and page the stack out");
    CheckEvent(Event);
    SimPoint();
    for (;;) {
        if (!SimBlock(IsSignalled, Event, Us))
            return STATUS_TIMEOUT;
        SIM_ACQUIRE(Event);
        if (Event->Type == NotificationEvent ||
            __atomic_exchange_n(&Event->Signalled, 0, __ATOMIC_SEQ_CST) != 0)
            return STATUS_SUCCESS;
    }
}

static BOOLEAN Never(PVOID Context)
{
    UNREFERENCED_PARAMETER(Context);
    return FALSE;
}

NTSTATUS KeDelayExecutionThread(KPROCESSOR_MODE Mode, BOOLEAN Alertable, PLARGE_INTEGER Interval)
{
    UNREFERENCED_PARAMETER(Mode);
    UNREFERENCED_PARAMETER(Alertable);
    SIM_CALL(APC_LEVEL);
    CheckMayWait(__func__);
    SimBlock(Never, NULL, TimeoutUs(Interval));
    return STATUS_SUCCESS;
}

/* -- time -------------------------------------------------------------------------------------- */

/* 10 MHz, as on Windows 10. */
LARGE_INTEGER KeQueryPerformanceCounter(PLARGE_INTEGER Frequency)
{
    if (Frequency != NULL)
        Frequency->QuadPart = 10 * 1000 * 1000;
    return (LARGE_INTEGER){.QuadPart = (LONGLONG)(ScheduleNow() * 10)};
}

VOID KeQuerySystemTime(PLARGE_INTEGER Time)
{
    Time->QuadPart = (LONGLONG)(UINT64_C(0x01D0000000000000) + ScheduleNow() * 10);
}
