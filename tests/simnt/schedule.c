/* SPDX-License-Identifier: MIT */
/*
 * schedule.c - which thread runs, waiting, and time.
 *
 * Free: threads run as the host lets them; at a point a random one in so many yields or sleeps. Time is the
 * host's, SPEED times as fast. Serial: the thread that is Running runs, all others wait for their Turn; at a
 * point the next one is drawn from those that can run. When none can, time jumps to the earliest deadline;
 * when there is none either, it is a deadlock and the machine stops.
 *
 * One lock for all of it, which is also the lock of the simulation's lists. Every thread of the simulation.
 */
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "internal.h"

#define SPEED 20                /* simulated time for real time, free */
#define HANG_SECONDS 60         /* real; free */
#define HANG_SIMULATED_HOURS 10 /* serial */
#define SWITCH_RATE 300         /* serial: of 1000 points so many are switches */

__thread SIM_THREAD *SimSelf;

static pthread_mutex_t Lock = PTHREAD_MUTEX_INITIALIZER;
static LIST_ENTRY Waiting = {&Waiting, &Waiting}; /* free: threads; P: Lock */
static int volatile Waiters;                      /* free: how many; atomic */
static SIM_THREAD *Running;                       /* serial; P: Lock */
static UINT64 Virtual;                            /* serial: us; P: by running */
static UINT64 Draw;                               /* serial: random state */
static UINT64 BootedAt;                           /* free: host's us */
static ULONG NextId;                              /* P: Lock */

#ifdef __SANITIZE_THREAD__
void AnnotateIgnoreSyncBegin(const char *File, int Line);
void AnnotateIgnoreSyncEnd(const char *File, int Line);
void AnnotateIgnoreReadsBegin(const char *File, int Line);
void AnnotateIgnoreReadsEnd(const char *File, int Line);
void AnnotateIgnoreWritesBegin(const char *File, int Line);
void AnnotateIgnoreWritesEnd(const char *File, int Line);
#define HIDE(what) Annotate##what(__FILE__, __LINE__)
#else
#define HIDE(what) ((void)0)
#endif

VOID SimLockMutex(pthread_mutex_t *Mutex)
{
    HIDE(IgnoreSyncBegin);
    HIDE(IgnoreReadsBegin);
    HIDE(IgnoreWritesBegin);
    pthread_mutex_lock(Mutex);
}

VOID SimUnlockMutex(pthread_mutex_t *Mutex)
{
    pthread_mutex_unlock(Mutex);
    HIDE(IgnoreWritesEnd);
    HIDE(IgnoreReadsEnd);
    HIDE(IgnoreSyncEnd);
}

VOID SimFillUnderLock(PVOID Memory, UCHAR Byte, SIZE_T Length)
{
    HIDE(IgnoreWritesEnd);
    memset(Memory, Byte, Length);
    HIDE(IgnoreWritesBegin);
}

static __thread BOOLEAN HasLock; /* predicates run with it, and may ask for counters */

VOID SimLock(VOID)
{
    SimLockMutex(&Lock);
    HasLock = TRUE;
}

VOID SimUnlock(VOID)
{
    HasLock = FALSE;
    SimUnlockMutex(&Lock);
}

/* -- random numbers and time ------------------------------------------------------------------- */

static UINT64 Next(UINT64 *State) /* splitmix64 */
{
    UINT64 Z = *State += 0x9E3779B97F4A7C15u;

    Z = (Z ^ (Z >> 30)) * 0xBF58476D1CE4E5B9u;
    Z = (Z ^ (Z >> 27)) * 0x94D049BB133111EBu;
    return Z ^ (Z >> 31);
}

UINT64 SimRandom(void)
{
    return Next(&SimSelf->Random);
}

ULONG SimRandomBelow(ULONG Limit)
{
    return (ULONG)(SimRandom() % Limit);
}

static UINT64 HostUs(VOID)
{
    struct timespec Now;

    clock_gettime(CLOCK_MONOTONIC, &Now);
    return (UINT64)Now.tv_sec * 1000000u + (UINT64)Now.tv_nsec / 1000u;
}

UINT64 ScheduleNow(VOID)
{
    if (Machine.Options.Serial)
        return __atomic_add_fetch(&Virtual, 1, __ATOMIC_RELAXED); /* it never stands still */
    return (HostUs() - BootedAt) * SPEED;
}

/* -- serial ------------------------------------------------------------------------------------ */

static BOOLEAN CanRun(const SIM_THREAD *Thread)
{
    if (Thread->Exited)
        return FALSE;
    return Thread->Ready == NULL || Thread->Ready(Thread->ReadyContext) ||
           (Thread->Deadline != 0 && Thread->Deadline <= Virtual);
}

/* The n-th thread that can run; NULL if there are not so many, and then how many there are. */
static SIM_THREAD *Runnable(ULONG N, ULONG *Count)
{
    PLIST_ENTRY Entry;

    *Count = 0;
    for (Entry = Machine.Threads.Flink; Entry != &Machine.Threads; Entry = Entry->Flink) {
        SIM_THREAD *Thread = CONTAINING_RECORD(Entry, SIM_THREAD, Link);
        if (CanRun(Thread) && (*Count)++ == N)
            return Thread;
    }
    return NULL;
}

static SIM_THREAD *Earliest(VOID)
{
    SIM_THREAD *Found = NULL;
    PLIST_ENTRY Entry;

    for (Entry = Machine.Threads.Flink; Entry != &Machine.Threads; Entry = Entry->Flink) {
        SIM_THREAD *Thread = CONTAINING_RECORD(Entry, SIM_THREAD, Link);
        if (!Thread->Exited && Thread->Deadline != 0 &&
            (Found == NULL || Thread->Deadline < Found->Deadline))
            Found = Thread;
    }
    return Found;
}

static VOID PrintThreads(VOID)
{
    PLIST_ENTRY Entry;

    for (Entry = Machine.Threads.Flink; Entry != &Machine.Threads; Entry = Entry->Flink) {
        SIM_THREAD *Thread = CONTAINING_RECORD(Entry, SIM_THREAD, Link);
        if (!Thread->Exited) {
            fprintf(stderr, "thread %u \"%s\" ", Thread->Id, Thread->Name);
            StackPrint("waits at:", &Thread->Waits);
        }
    }
    IrpPrintPending();
}

static VOID Deadlock(VOID)
{
    PrintThreads();
    SimStop("deadlock: every thread waits, and none for a time");
}

static SIM_THREAD *PickLocked(VOID)
{
    SIM_THREAD *Thread;
    ULONG Count;

    Runnable(UINT32_MAX, &Count);
    if (Count == 0) {
        Thread = Earliest();
        if (Thread == NULL)
            Deadlock();
        Virtual = max(Virtual, Thread->Deadline);
        if (Virtual > HANG_SIMULATED_HOURS * UINT64_C(3600000000))
            SimStop("hang: only timers have run for %d hours", HANG_SIMULATED_HOURS);
        return Thread;
    }
    return Runnable((ULONG)(Next(&Draw) % Count), &Count);
}

static VOID SwitchLocked(VOID)
{
    Running = PickLocked();
    if (Running == SimSelf)
        return;
    pthread_cond_signal(&Running->Turn);
    while (Running != SimSelf)
        pthread_cond_wait(&SimSelf->Turn, &Lock);
}

static VOID SerialPoint(VOID)
{
    SimLock();
    if (Next(&Draw) % 1000 < SWITCH_RATE)
        SwitchLocked();
    SimUnlock();
}

/* -- free -------------------------------------------------------------------------------------- */

static VOID FreePoint(VOID)
{
    UINT64 Roll = SimRandom();
    struct timespec Nap = {.tv_nsec = (long)((Roll >> 40) % 50000)};

    if (Roll % 1000 >= Machine.Options.DelayRate)
        return;
    if ((Roll >> 20) % 4 != 0)
        sched_yield();
    else
        nanosleep(&Nap, NULL);
}

VOID SimPoint(void)
{
    if (SimSelf == NULL)
        return;
    if (Machine.Options.Serial)
        SerialPoint();
    else if (Machine.Options.DelayRate != 0)
        FreePoint();
}

/* Whoever changes something looks who can go on by it, so that nobody is woken in vain. */
VOID SimChangedLocked(VOID)
{
    PLIST_ENTRY Entry;

    if (Machine.Options.Serial)
        return;
    for (Entry = Waiting.Flink; Entry != &Waiting; Entry = Entry->Flink) {
        SIM_THREAD *Thread = CONTAINING_RECORD(Entry, SIM_THREAD, WaitLink);
        if (Thread->Ready(Thread->ReadyContext))
            pthread_cond_signal(&Thread->Turn);
    }
}

VOID SimChanged(VOID)
{
    /* Sequentially consistent on both sides: either the waiter sees the change or we see the waiter. */
    if (Machine.Options.Serial || __atomic_load_n(&Waiters, __ATOMIC_SEQ_CST) == 0)
        return;
    SimLock();
    SimChangedLocked();
    SimUnlock();
}

static struct timespec HostDeadline(UINT64 Us)
{
    struct timespec Until;

    clock_gettime(CLOCK_REALTIME, &Until);
    Until.tv_sec += (time_t)(Us / 1000000u);
    Until.tv_nsec += (long)(Us % 1000000u) * 1000;
    if (Until.tv_nsec >= 1000000000) {
        Until.tv_sec++;
        Until.tv_nsec -= 1000000000;
    }
    return Until;
}

/* All threads, this one among them, wait for what only another thread could bring. */
static BOOLEAN IsDeadlock(VOID)
{
    PLIST_ENTRY Entry;

    for (Entry = Machine.Threads.Flink; Entry != &Machine.Threads; Entry = Entry->Flink) {
        SIM_THREAD *Thread = CONTAINING_RECORD(Entry, SIM_THREAD, Link);
        if (!Thread->Exited &&
            (Thread->Ready == NULL || Thread->Deadline != 0 || Thread->Ready(Thread->ReadyContext)))
            return FALSE;
    }
    return TRUE;
}

static VOID Hang(VOID)
{
    PrintThreads();
    SimStop("hang: nothing has come in %d seconds", HANG_SECONDS);
}

static VOID BeginWait(BOOLEAN (*Ready)(PVOID Context), PVOID Context, UINT64 Deadline)
{
    SimSelf->Ready = Ready;
    SimSelf->ReadyContext = Context;
    SimSelf->Deadline = Deadline;
    StackCapture(&SimSelf->Waits);
}

static VOID EndWait(VOID)
{
    SimSelf->Ready = NULL;
    SimSelf->Deadline = 0;
}

static BOOLEAN BlockFreeLocked(BOOLEAN (*Ready)(PVOID Context), PVOID Context, UINT64 Timeout)
{
    UINT64 Start, Limit = Timeout == MAXULONG64 ? MAXULONG64 : Timeout / SPEED;
    BOOLEAN Done;

    if (Ready(Context))
        return TRUE;
    Start = HostUs();
    BeginWait(Ready, Context, Limit == MAXULONG64 ? 0 : Start + Limit);
    InsertTailList(&Waiting, &SimSelf->WaitLink);
    __atomic_add_fetch(&Waiters, 1, __ATOMIC_SEQ_CST);
    while (!(Done = Ready(Context))) {
        UINT64 Waited = HostUs() - Start;
        struct timespec Until;
        if (Waited >= Limit)
            break;
        if (Limit == MAXULONG64 && IsDeadlock())
            Deadlock();
        if (Limit == MAXULONG64 && Waited > HANG_SECONDS * 1000000u && !SimSelf->IsSystem)
            Hang();
        Until = HostDeadline(min(Limit - Waited, 100000u));
        pthread_cond_timedwait(&SimSelf->Turn, &Lock, &Until);
    }
    __atomic_sub_fetch(&Waiters, 1, __ATOMIC_SEQ_CST);
    RemoveEntryList(&SimSelf->WaitLink);
    EndWait();
    return Done;
}

/* -- waiting ----------------------------------------------------------------------------------- */

static BOOLEAN BlockSerialLocked(BOOLEAN (*Ready)(PVOID Context), PVOID Context, UINT64 Timeout)
{
    BOOLEAN Done;

    BeginWait(Ready, Context, Timeout == MAXULONG64 ? 0 : Virtual + max(Timeout, 1));
    SwitchLocked();
    Done = Ready(Context);
    EndWait();
    return Done;
}

BOOLEAN SimBlock(BOOLEAN (*Ready)(PVOID Context), PVOID Context, UINT64 Timeout)
{
    BOOLEAN Done;

    SimLock();
    Done = Machine.Options.Serial ? BlockSerialLocked(Ready, Context, Timeout)
                                  : BlockFreeLocked(Ready, Context, Timeout);
    SimUnlock();
    return Done;
}

VOID SimWaitUntil(BOOLEAN (*Ready)(PVOID Context), PVOID Context)
{
    SimBlock(Ready, Context, MAXULONG64);
}

static BOOLEAN Never(PVOID Context)
{
    UNREFERENCED_PARAMETER(Context);
    return FALSE;
}

VOID SimSleepMs(ULONG Ms)
{
    SimBlock(Never, NULL, (UINT64)Ms * 1000);
}

/* -- threads ----------------------------------------------------------------------------------- */

static SIM_THREAD *NewThread(const char *Name)
{
    SIM_THREAD *Thread = calloc(1, sizeof(*Thread));

    snprintf(Thread->Name, sizeof(Thread->Name), "%s", Name);
    pthread_cond_init(&Thread->Turn, NULL);
    SimLock();
    Thread->Id = NextId++;
    Thread->Random = Machine.Options.Seed * 0x100000001B3u + Thread->Id;
    InsertTailList(&Machine.Threads, &Thread->Link);
    SimUnlock();
    return Thread;
}

static VOID Leave(VOID)
{
    SimLock();
    SimSelf->Exited = TRUE;
    if (Machine.Options.Serial) {
        Running = PickLocked();
        pthread_cond_signal(&Running->Turn);
    }
    SimUnlock();
    SimChanged();
}

/* For StackCapture: from now on to the frame of the caller, or to the end. */
static VOID FindStack(SIM_THREAD *Thread, const VOID *LastFrame)
{
    pthread_attr_t Attributes;
    void *Begin;
    size_t Size;

    if (pthread_getattr_np(pthread_self(), &Attributes) != 0)
        return;
    if (pthread_attr_getstack(&Attributes, &Begin, &Size) == 0) {
        Thread->StackBegin = (uintptr_t)Begin;
        Thread->StackEnd = LastFrame != NULL ? (uintptr_t)LastFrame : (uintptr_t)Begin + Size;
    }
    pthread_attr_destroy(&Attributes);
}

static void *Trampoline(void *Argument)
{
    SimSelf = Argument;
    FindStack(SimSelf, __builtin_frame_address(0)); /* what lies above keeps no frame pointers */
    if (Machine.Options.Serial) {
        SimLock();
        while (Running != SimSelf)
            pthread_cond_wait(&SimSelf->Turn, &Lock);
        SimUnlock();
    }
    SimSelf->Run(SimSelf->Context);
    if (SimSelf->Irql != PASSIVE_LEVEL)
        SimStop("a thread ends at IRQL %u", SimSelf->Irql);
    Leave();
    return NULL;
}

SIM_THREAD *SimSpawn(const char *Name, VOID (*Run)(PVOID Context), PVOID Context)
{
    SIM_THREAD *Thread = NewThread(Name);

    Thread->Run = Run;
    Thread->Context = Context;
    if (pthread_create(&Thread->Native, NULL, Trampoline, Thread) != 0)
        SimStop("no thread can be made");
    return Thread;
}

/* -- sums over threads ------------------------------------------------------------------------- */

BOOLEAN NobodyIsInDriver(PVOID Unused)
{
    PLIST_ENTRY Entry;

    UNREFERENCED_PARAMETER(Unused);
    for (Entry = Machine.Threads.Flink; Entry != &Machine.Threads; Entry = Entry->Flink)
        if (__atomic_load_n(&CONTAINING_RECORD(Entry, SIM_THREAD, Link)->InDriver,
                            __ATOMIC_SEQ_CST) != 0)
            return FALSE;
    return TRUE;
}

static VOID AddCounters(SIM_COUNTERS *To, const SIM_COUNTERS *More)
{
    To->Allocations += __atomic_load_n(&More->Allocations, __ATOMIC_RELAXED);
    To->LiveAllocations += __atomic_load_n(&More->LiveAllocations, __ATOMIC_RELAXED);
    To->Locks += __atomic_load_n(&More->Locks, __ATOMIC_RELAXED);
    To->Completions += __atomic_load_n(&More->Completions, __ATOMIC_RELAXED);
    To->Copies += __atomic_load_n(&More->Copies, __ATOMIC_RELAXED);
    To->Mappings += __atomic_load_n(&More->Mappings, __ATOMIC_RELAXED);
}

VOID SimGetCounters(SIM_COUNTERS *Counters)
{
    BOOLEAN Locked = HasLock;
    PLIST_ENTRY Entry;

    if (!Locked)
        SimLock();
    *Counters = Machine.Counters;
    for (Entry = Machine.Threads.Flink; Entry != &Machine.Threads; Entry = Entry->Flink)
        AddCounters(Counters, &CONTAINING_RECORD(Entry, SIM_THREAD, Link)->Counters);
    if (!Locked)
        SimUnlock();
}

/* -- the end of a thread ----------------------------------------------------------------------- */

static BOOLEAN HasExited(PVOID Context)
{
    return ((SIM_THREAD *)Context)->Exited;
}

VOID SimJoin(SIM_THREAD *Thread)
{
    SimBlock(HasExited, Thread, MAXULONG64);
    pthread_join(Thread->Native, NULL);
    SimLock();
    RemoveEntryList(&Thread->Link);
    AddCounters(&Machine.Counters, &Thread->Counters);
    SimUnlock();
    pthread_cond_destroy(&Thread->Turn);
    free(Thread);
}

VOID ScheduleBoot(VOID)
{
    NextId = 0;
    Virtual = 1000;
    Draw = Machine.Options.Seed;
    BootedAt = HostUs() - 1000;
    InitializeListHead(&Machine.Threads);
    SimSelf = NewThread("main");
    FindStack(SimSelf, NULL);
    Running = SimSelf;
}

VOID ScheduleShutDown(VOID)
{
    SimLock();
    if (Machine.Threads.Flink->Flink != &Machine.Threads)
        SimStop("a thread is left over: \"%s\"",
                CONTAINING_RECORD(Machine.Threads.Blink, SIM_THREAD, Link)->Name);
    SimUnlock();
    pthread_cond_destroy(&SimSelf->Turn);
    free(SimSelf);
    SimSelf = NULL;
}
