/* SPDX-License-Identifier: MIT */
/*
 * internal.h - what the files of the simulated kernel share. A function of the kernel begins with SIM_CALL,
 * which checks that the driver may call it now.
 */
#ifndef SIMNT_INTERNAL_H
#define SIMNT_INTERNAL_H

#include <pthread.h>
#include <setjmp.h>

#include "sim.h"

#define STACK_DEPTH 12

typedef struct STACK {
    PVOID Frames[STACK_DEPTH];
} STACK;

/* What the thread is doing for the driver. */
typedef enum CONTEXT { IN_TEST, IN_LOAD, IN_DISPATCH, IN_CANCEL, IN_WORK_ITEM, IN_THREAD } CONTEXT;

struct SIM_THREAD {
    LIST_ENTRY Link;     /* P: SimLock: Machine.Threads */
    LIST_ENTRY WaitLink; /* P: SimLock: free: of those that wait, while Ready */
    pthread_t Native;
    char Name[24];
    ULONG Id; /* by order of creation */
    UINT64 Random;
    VOID (*Run)(PVOID Context);
    PVOID Context;
    BOOLEAN Exited;   /* P: SimLock */
    BOOLEAN IsSystem; /* made by PsCreateSystemThread */
    uintptr_t StackBegin, StackEnd;

    /* the thread's own */
    ULONG volatile InDriver; /* how often it is in code of the driver; atomic: others look at it */
    SIM_COUNTERS Counters;   /* the same */
    KIRQL Irql;
    CONTEXT Doing;
    KSPIN_LOCK *Lock; /* the one that is held */
    BOOLEAN CancelLockHeld;
    KIRQL CancelIrql;      /* at which the cancel lock was taken */
    KIRQL LockIrql;        /* and the spin lock */
    const VOID *Published; /* Flags of the device it made last, see tsan.c */
    SIM_PROCESS *Process;  /* current process; NULL: the system's */
    jmp_buf *Exit;         /* where PsTerminateSystemThread goes */

    /* P: SimLock: what it waits for; NULL: it can run */
    BOOLEAN (*Ready)(PVOID Context);
    PVOID ReadyContext;
    UINT64 Deadline; /* us; 0: none */
    STACK Waits;
    pthread_cond_t Turn; /* it goes on */
};

extern __thread SIM_THREAD *SimSelf;

typedef enum DRIVER_STATE {
    DRIVER_GONE,
    DRIVER_LOADING,
    DRIVER_LOADED,
    DRIVER_STOPPING,
    DRIVER_GOING
} DRIVER_STATE;

typedef struct MACHINE {
    SIM_OPTIONS Options; /* const while it runs */
    BOOLEAN On;
    DRIVER_OBJECT Driver;

    /* P: SimLock */
    DRIVER_STATE volatile State; /* P: SimLock; SimCheckCall looks at it without */
    BOOLEAN UnloadPending;
    BOOLEAN UnloadCalled;
    ULONG NextProcess;
    LIST_ENTRY Threads, Devices, Links, Ios, Handles, Processes, Files, Pool, Views;

    SIM_COUNTERS Counters; /* of threads that have ended, and of devices */
} MACHINE;

extern MACHINE Machine;

/*
 * The one lock of the simulation itself, for its lists and for waiting. Never held while code of the driver
 * runs or a predicate of another lock is taken.
 *
 * The thread sanitizer sees neither the lock nor what happens under it: else every call into the simulated
 * kernel would order the threads that make one, and hide what the driver itself does not order. Where the
 * kernel does order two things, that is said by SIM_RELEASE before the first one's end and SIM_ACQUIRE at the
 * second one's beginning, both outside the lock.
 */
VOID SimLock(VOID);
VOID SimUnlock(VOID);

/* Other locks that are ours alone, in the same way; and a write under one that is to be seen. */
VOID SimLockMutex(pthread_mutex_t *Mutex);
VOID SimUnlockMutex(pthread_mutex_t *Mutex);
VOID SimFillUnderLock(PVOID Memory, UCHAR Byte, SIZE_T Length);

/* -- schedule.c -------------------------------------------------------------------------------- */

VOID ScheduleBoot(VOID); /* the calling thread becomes the machine's first */
VOID ScheduleShutDown(VOID);
UINT64 ScheduleNow(VOID); /* us of simulated time */
VOID SimChanged(VOID);    /* something that somebody may wait for has happened */
VOID SimChangedLocked(VOID);
BOOLEAN NobodyIsInDriver(PVOID Unused); /* SimLock held: for SimBlock */

/* Wait, with SimLock NOT held, until Ready, which is called with SimLock held. FALSE: the time is over.
 * Timeout in us; MAXULONG64: none. */
BOOLEAN SimBlock(BOOLEAN (*Ready)(PVOID Context), PVOID Context, UINT64 Timeout);

/* -- stop.c ------------------------------------------------------------------------------------ */

VOID StopBoot(VOID);
VOID StackCapture(STACK *Stack);
VOID StackPrint(const char *Title, const STACK *Stack);

/* Both stacks: of this thread, and of the one that had a part in it. */
VOID SimStopWith(const char *Title, const STACK *Other, const char *Format, ...)
    __attribute__((noreturn, format(printf, 3, 4)));

/* The driver calls the kernel: is it there, and is IRQL low enough? */
VOID SimCheckCall(const char *Function, KIRQL Highest);
#define SIM_CALL(highest) SimCheckCall(__func__, highest)

/* -- fault.c ----------------------------------------------------------------------------------- */

BOOLEAN SimShouldFail(const char *What);

/* -- ob.c -------------------------------------------------------------------------------------- */

typedef enum HANDLE_KIND {
    HANDLE_DEVICE,
    HANDLE_PROCESS,
    HANDLE_SECTION,
    HANDLE_FILE,
    HANDLE_VOLUME, /* a file system's */
    HANDLE_THREAD
} HANDLE_KIND;

HANDLE ObCreateHandle(HANDLE_KIND Kind, PVOID Object, ACCESS_MASK Access);
PVOID ObLookUp(HANDLE Handle, HANDLE_KIND Kind); /* stops if it is not one */
VOID ObCheckNoneLeft(VOID);

/* -- io.c: devices ----------------------------------------------------------------------------- */

typedef struct SIM_DEVICE {
    DEVICE_OBJECT Object; /* must be first */
    LIST_ENTRY Link;
    WCHAR Name[64];
    ULONG Magic;
    ULONG Handles;         /* P: SimLock: files on it, and a file system */
    ULONG Pointers;        /* P: SimLock: handles, work items, I/O, being there */
    BOOLEAN Deleted;       /* P: SimLock */
    BOOLEAN FileSystem;    /* mounted on it; P: SimLock */
    BOOLEAN WantsShutdown; /* P: SimLock */
    BOOLEAN HasDacl;       /* P: SimLock */
    ULONG Dacl[64];        /* an ACL; P: SimLock */
    STACK Created;
} SIM_DEVICE;

/* By device name or link; referenced, not as by a handle. Deleted: also one that has lost its name by that. */
SIM_DEVICE *IoFindDevice(const char *Name, BOOLEAN Deleted);
NTSTATUS
IoOpenDevice(SIM_DEVICE *Device); /* reference it as by a handle, unless it or the driver goes */
VOID IoReferenceDevice(SIM_DEVICE *Device, BOOLEAN IsHandle);
VOID IoDereferenceDevice(SIM_DEVICE *Device, BOOLEAN IsHandle); /* may delete it, and unload */
BOOLEAN IoNobodyLetsGoLocked(VOID); /* no work item, no file will give a device back */
VOID IoCheckNoneLeft(VOID);
BOOLEAN IoNobodyUsesDevices(VOID); /* SimLock held */
VOID CmBoot(VOID);                 /* the registry */
VOID IoBoot(VOID);                 /* worker threads */
VOID IoShutDown(VOID);
VOID IoDrain(VOID); /* wait until the workers have nothing to do */
VOID IoDefer(VOID (*Routine)(PVOID Context), PVOID Context); /* by a worker, at PASSIVE_LEVEL */

/* -- irp.c ------------------------------------------------------------------------------------- */

VOID IrpBoot(VOID);
VOID IrpShutDown(VOID);
VOID IrpCheckNoneLeft(VOID);
VOID IrpPrintPending(VOID); /* for messages; whatever is locked */
VOID IrpPrintCompletionOf(
    const VOID *Address); /* the same: if it lies in an IRP that is over; ASan */
VOID IrpCheckNonePendedOn(const SIM_DEVICE *Device);  /* it is being deleted */
NTSTATUS IrpSendAndWait(SIM_FILE *File, UCHAR Major); /* CREATE, CLEANUP, CLOSE */
VOID IrpCancelAllOf(SIM_PROCESS *Process);

/* -- file.c ------------------------------------------------------------------------------------ */

struct EPROCESS {
    LIST_ENTRY Link;
    ULONG Id;
    BOOLEAN IsAdministrator;
    BOOLEAN Killed;    /* P: SimLock: its threads do nothing any more */
    ULONG Outstanding; /* P: SimLock: I/O under way */
};

struct SIM_FILE {
    FILE_OBJECT Object; /* must be first */
    LIST_ENTRY Link;
    SIM_DEVICE *Device;
    SIM_PROCESS *Process;
    ACCESS_MASK Access;
    ULONG Outstanding;    /* P: SimLock: I/O under way on it */
    BOOLEAN HandleClosed; /* P: SimLock */
    BOOLEAN CloseSent;    /* P: SimLock */
    BOOLEAN Closed;       /* P: SimLock: CLOSE is over */
    WCHAR NameBuffer[64];
};

typedef enum FILE_END { FILE_GOES_ON, FILE_SEND_CLOSE, FILE_FREE } FILE_END;

FILE_END
FileIoEndedLocked(SIM_FILE *File); /* there is one I/O less; what FileEnd is to do by that */
VOID FileEnd(SIM_FILE *File, FILE_END End); /* SimLock not held */
VOID FileCheckNoneLeft(VOID);

/* -- se.c, mm.c, ex.c, machine.c --------------------------------------------------------------- */

BOOLEAN SeMayOpen(const SIM_DEVICE *Device, BOOLEAN IsAdministrator, ACCESS_MASK Access);

VOID MmBuildMdl(PMDL Mdl, SIM_MEMORY *Memory, ULONG At, ULONG Length);
VOID MmReleaseMdl(PMDL Mdl, SIM_MEMORY *Memory, ULONG At, BOOLEAN IsOutput); /* I/O is over */
VOID MmUnmapViewsOf(SIM_PROCESS *Process);
VOID MmCheckNoneLeft(VOID);
VOID MmReferenceSection(PVOID Section);
VOID MmDereferenceSection(PVOID Section);

VOID ExCheckNoneLeft(VOID);

VOID PsDereferenceThread(PVOID Thread);
VOID PsCheckNoneLeft(VOID);

/* Around every call into the driver. */
CONTEXT SimEnterDriver(CONTEXT Doing);
VOID SimLeaveDriver(CONTEXT Before);

/* A handle or a device has gone: an unload that waits may go on, or be over. SimLock not held; waits. */
VOID MachineLetGo(VOID);

BOOLEAN MachineAcceptsOpensLocked(VOID);

/* The driver is there, and cannot be unloaded before SimLeaveDriver: counts it in. */
BOOLEAN MachineEnterIfLoaded(CONTEXT Doing, CONTEXT *Before);

/* Whether every lock notes who has it, which is slow; the benchmark does without. */
#ifndef SIM_STACKS
#define SIM_STACKS 1
#endif

/* By the thread, so that counting costs nothing; SimGetCounters adds up. */
#define COUNT_BY(field, n)                                                                         \
    __atomic_store_n(&SimSelf->Counters.field, SimSelf->Counters.field + (n), __ATOMIC_RELAXED)
#define COUNT(field) COUNT_BY(field, 1u)
#define UNCOUNT(field) COUNT_BY(field, -UINT64_C(1))

/* Memory that must not be touched, for the address sanitizer. */
#if defined(__SANITIZE_ADDRESS__)
#define SIM_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SIM_ASAN 1
#endif
#endif
#ifdef __SANITIZE_THREAD__
#include <sanitizer/tsan_interface.h>
#define SIM_RELEASE(p) __tsan_release((PVOID)(p))
#define SIM_ACQUIRE(p) __tsan_acquire((PVOID)(p))
#else
#define SIM_RELEASE(p) ((void)(p))
#define SIM_ACQUIRE(p) ((void)(p))
#endif
#ifdef SIM_ASAN
#include <sanitizer/asan_interface.h>
#define SIM_POISON(p, n) __asan_poison_memory_region(p, n)
#define SIM_UNPOISON(p, n) __asan_unpoison_memory_region(p, n)
#else
#define SIM_POISON(p, n) ((void)0)
#define SIM_UNPOISON(p, n) ((void)0)
#endif

#endif
