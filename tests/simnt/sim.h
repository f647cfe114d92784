/* SPDX-License-Identifier: MIT */
/*
 * sim.h - the simulated NT kernel, as a test sees it: a machine that boots, loads the driver's own sources,
 * has processes that open devices and do I/O on them, and is stricter than any real kernel.
 *
 *      SimBoot -> SimLoadDriver -> processes, files, I/O ... -> SimStopDriver -> SimShutDown
 *
 * The rules of NT are checked all the time; a breach stops the program with what happened, the stacks that
 * had a part in it, and the seed: see SimStop. SimShutDown checks that nothing is left over.
 *
 * Two kinds of system: NT, and Wine (one dispatch thread, no CLEANUP, CLOSE with IRPs pended, immediate
 * unload, direct buffers are snapshots). Two ways to run threads: free, all at once with random delays, which
 * a thread sanitizer can watch; and serial, where one thread runs at a time and a random one goes on at every
 * lock, atomic word, wait and copy, so that a seed gives the same run again, a deadlock is seen at once, and
 * time is simulated.
 *
 * Everything here is called by tests, on threads of SimSpawn or the one that booted, at PASSIVE_LEVEL.
 */
#ifndef SIMNT_SIM_H
#define SIMNT_SIM_H

#include <ntifs.h>

typedef enum SIM_SYSTEM { SIM_NT, SIM_WINE } SIM_SYSTEM;

typedef struct SIM_OPTIONS {
    SIM_SYSTEM System;
    BOOLEAN Serial;
    UINT64 Seed;
    ULONG DelayRate;      /* free: about so many of 1000 points are delays; 0: none */
    ULONG WindowsVersion; /* major << 8 | minor; 0: 10.0 */
} SIM_OPTIONS;

/* -- the machine ------------------------------------------------------------------------------- */

VOID SimBoot(const SIM_OPTIONS *Options);
VOID SimShutDown(VOID); /* no driver, no file, no thread, no memory is left, or it stops */

NTSTATUS SimLoadDriver(VOID); /* `sc start` */

/* `sc stop`. @return TRUE: it is gone. FALSE: NT waits until the last handle is closed. */
BOOLEAN SimStopDriver(VOID);
BOOLEAN SimDriverIsLoaded(VOID);

BOOLEAN SimIsWine(VOID);
UINT64 SimRandom(void); /* of the thread; by the seed */
ULONG SimRandomBelow(ULONG Limit);

/* Let time go by: at once when serial, faster than real time when free. */
VOID SimSleepMs(ULONG Ms);

/* Wait until something becomes true, which must not have side effects; SimIsDone and SimGetCounters may be
 * asked there. A test that waits for a minute has hung, and stops. */
VOID SimWaitUntil(BOOLEAN (*Ready)(PVOID Context), PVOID Context);

/* The rule that was broken, in the manner of printf; prints stacks and seed, and aborts. */
VOID SimStop(const char *Format, ...) __attribute__((noreturn, format(printf, 1, 2)));

/* -- low resources ----------------------------------------------------------------------------- */

/*
 * Between the two every allocation, mapping and creation fails once per distinct call path. Run the same
 * thing until SimEndFailures says that no new path has been met. In `serial` runs only the paths of one
 * schedule are seen.
 */
VOID SimForgetFailures(VOID);
VOID SimBeginFailures(VOID);
ULONG SimEndFailures(VOID); /* @return how many have been made to fail since the last begin */

/* -- threads ----------------------------------------------------------------------------------- */

typedef struct SIM_THREAD SIM_THREAD;

SIM_THREAD *SimSpawn(const char *Name, VOID (*Run)(PVOID Context), PVOID Context);
VOID SimJoin(SIM_THREAD *Thread);

/* -- processes and files ----------------------------------------------------------------------- */

typedef struct EPROCESS SIM_PROCESS;
typedef struct SIM_FILE SIM_FILE;

SIM_PROCESS *SimCreateProcess(BOOLEAN IsAdministrator);
ULONG SimProcessId(const SIM_PROCESS *Process);

/* TerminateProcess: cancels its I/O, closes its files, frees its views. On NT returns when its I/O is
 * over, as a process there cannot end before. The SIM_PROCESS, its files and I/O are not usable any
 * more, except that I/O that was started can still be waited for and must be freed. */
VOID SimKill(SIM_PROCESS *Process);
VOID SimEndProcess(SIM_PROCESS *Process); /* has no files and no I/O; frees it */

#define SIM_CONTROL "\\\\.\\CoreMnt"

/* CreateFile. @return NULL, and why. A disk is "\\Device\\CoreMntDisk0". On Wine a refusal by the driver is
 * ignored: there is a file, and *Status has what the driver said. */
SIM_FILE *SimOpen(SIM_PROCESS *Process, const char *Name, ACCESS_MASK Access, NTSTATUS *Status);
VOID SimClose(SIM_FILE *File); /* CloseHandle; does not cancel I/O, which stays usable */

/* The file below the device, as a file system's opens have one: "\\Device\\X\\name" has FileName "\\name" */

/* -- memory of a process, as the target of direct I/O ------------------------------------------ */

typedef struct SIM_MEMORY {
    PUCHAR Address; /* what the process sees; page-aligned */
    SIZE_T Size;
    PUCHAR System; /* what drivers see, if it is mapped for them */
} SIM_MEMORY;

SIM_MEMORY *SimAllocate(SIZE_T Size);
VOID SimFree(SIM_MEMORY *Memory); /* no I/O is under way on it */

/* -- I/O --------------------------------------------------------------------------------------- */

typedef struct SIM_IO SIM_IO;

/* All start and do not wait. SimFinish waits, and frees. `Memory` and buffers must live until then. */
SIM_IO *SimRead(SIM_FILE *File, LONGLONG Offset, SIM_MEMORY *Memory, ULONG At, ULONG Length);
SIM_IO *SimWrite(SIM_FILE *File, LONGLONG Offset, SIM_MEMORY *Memory, ULONG At, ULONG Length);
SIM_IO *SimFlush(SIM_FILE *File);
SIM_IO *SimIoctl(SIM_FILE *File, ULONG Code, const VOID *In, ULONG InLength, PVOID Out,
                 ULONG OutLength);
SIM_IO *SimIoctlDirect(SIM_FILE *File, ULONG Code, const VOID *In, ULONG InLength,
                       SIM_MEMORY *Memory, ULONG At, ULONG Length);

/* Anything else, and what no I/O manager but a careless filter would send. */
typedef struct SIM_REQUEST {
    UCHAR Major, Minor, Flags;
    LONGLONG Offset;
    ULONG Length; /* as the stack location says */
    ULONG Code, InLength, OutLength;
    const VOID *In;
    PVOID Out;
    SIM_MEMORY *Memory; /* described by an MDL; NULL: no MDL */
    ULONG At, MdlLength;
    KIRQL Irql;          /* at which the driver is called; not on Wine */
    BOOLEAN CancelFirst; /* Irp->Cancel is set already when the driver gets it */
    BOOLEAN NoFile;      /* Stack->FileObject is NULL */
} SIM_REQUEST;

SIM_IO *SimSend(SIM_FILE *File, const SIM_REQUEST *Request);

VOID SimCancel(SIM_IO *Io); /* CancelIoEx */
BOOLEAN SimIsDone(SIM_IO *Io);
NTSTATUS SimWaitFor(SIM_IO *Io);      /* its final status */
ULONG_PTR SimInformation(SIM_IO *Io); /* of one that is done */
VOID SimFreeIo(SIM_IO *Io);           /* one that is not done is freed when it is */
NTSTATUS SimFinish(SIM_IO *Io, ULONG_PTR *Information); /* wait, free; Information may be NULL */

/* Every I/O that has been started is done. */
VOID SimWaitForAll(VOID);

/* -- the registry ------------------------------------------------------------------------------ */

/* Somebody puts something under the driver's key of the device map: of this type, and so many bytes of 0xFF. */
VOID SimSpoilRegistry(ULONG Type, ULONG Length);

/* -- what lies above a disk -------------------------------------------------------------------- */

/* A file system mounts itself on a device (NT), and lets go of it when it is told to dismount. While
 * mounted it keeps the device from being deleted, as all do. */
NTSTATUS SimMountFileSystem(const char *DeviceName);
VOID SimLockFileSystem(const char *DeviceName); /* FSCTL_LOCK_VOLUME, by who unmounts it */
BOOLEAN SimFileSystemIsMounted(const char *DeviceName);
VOID SimUnmountFileSystem(const char *DeviceName); /* it lets go by itself, if it is mounted */

/* The machine is switched off: if the device has asked to be told, it gets IRP_MJ_SHUTDOWN, as on NT; Wine
 * tells nobody. NULL: it has not asked. Waits not; as SimSend. */
SIM_IO *SimSwitchOff(SIM_FILE *File);

/* -- counters ---------------------------------------------------------------------------------- */

typedef struct SIM_COUNTERS {
    ULONG64 Allocations; /* of pool */
    ULONG64 LiveAllocations;
    ULONG64 Locks; /* spin locks taken */
    ULONG64 Completions;
    ULONG64 Copies;   /* RtlCopyMemory */
    ULONG64 Mappings; /* of MDLs */
    ULONG Devices;    /* that there are */
} SIM_COUNTERS;

VOID SimGetCounters(SIM_COUNTERS *Counters);

#endif
