/* SPDX-License-Identifier: MIT */
/*
 * watchdog.c - what happens to disks because time passes: those that have been held for long enough are
 * removed, requests that take too long are ended (DiskWatch has both).
 *
 * A thread of our own, at PASSIVE_LEVEL: the clock's interrupts come at DISPATCH_LEVEL, and Wine runs no
 * DPCs. It sleeps for good while there is nothing to look after, and is woken by the disks that there
 * begins to be. Not on the hot path.
 *
 * It never waits for anybody, and deletes nothing: a last reference that it drops goes to the reaper. So
 * DriverUnload may wait for its end, also when that is called from within IoDeleteDevice (reaper.c).
 */
#include "watchdog.h"

#include "disk.h"

#define TICK_MS 200

static KEVENT Wake;               /* synchronization event */
static BOOLEAN volatile Stopping; /* set before the last Wake */
static PVOID Thread;              /* const while it runs: referenced */

/* The disks in the order of their ids, so that none is left out or looked at for ever, however many
 * come and go meanwhile. @return whether one must be looked at again. */
static BOOLEAN LookAtAll(VOID)
{
    BOOLEAN Again = FALSE;
    ULONG64 From = 0;
    DISK *Disk;

    while ((Disk = DiskFindNext(From)) != NULL) {
        From = Disk->Id + 1;
        Again |= DiskWatch(Disk);
        DiskDereference(Disk);
    }
    return Again;
}

static VOID NTAPI Run(PVOID Context)
{
    LARGE_INTEGER Tick = {.QuadPart = -10 * 1000 * TICK_MS};
    BOOLEAN Ticking = FALSE;

    UNREFERENCED_PARAMETER(Context);
    for (;;) {
        KeWaitForSingleObject(&Wake, Executive, KernelMode, FALSE, Ticking ? &Tick : NULL);
        if (Stopping)
            break;
        Ticking = LookAtAll();
    }
    PsTerminateSystemThread(STATUS_SUCCESS);
}

NTSTATUS WatchdogStart(VOID)
{
    OBJECT_ATTRIBUTES Attributes;
    NTSTATUS Status;
    HANDLE Handle;

    Stopping = FALSE;
    KeInitializeEvent(&Wake, SynchronizationEvent, FALSE);
    InitializeObjectAttributes(&Attributes, NULL, OBJ_KERNEL_HANDLE, NULL, NULL);
    Status = PsCreateSystemThread(&Handle, THREAD_ALL_ACCESS, &Attributes, NULL, NULL, Run, NULL);
    if (!NT_SUCCESS(Status))
        return Status;
    Status = ObReferenceObjectByHandle(Handle, SYNCHRONIZE, NULL, KernelMode, &Thread, NULL);
    if (!NT_SUCCESS(Status)) {
        /* We are about to be unloaded, so it must have ended. */
        Stopping = TRUE;
        KeSetEvent(&Wake, IO_NO_INCREMENT, FALSE);
        ZwWaitForSingleObject(Handle, FALSE, NULL);
    }
    ZwClose(Handle);
    return Status;
}

VOID WatchdogStop(VOID)
{
    Stopping = TRUE;
    KeSetEvent(&Wake, IO_NO_INCREMENT, FALSE);
    KeWaitForSingleObject(Thread, Executive, KernelMode, FALSE, NULL);
    ObDereferenceObject(Thread);
}

VOID WatchdogWake(VOID)
{
    KeSetEvent(&Wake, IO_NO_INCREMENT, FALSE);
}
