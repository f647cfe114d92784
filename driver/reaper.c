/* SPDX-License-Identifier: MIT */
/*
 * reaper.c - the thread that deletes disks.
 *
 * The last reference to a disk may go anywhere, at DISPATCH_LEVEL or in a dispatch routine that
 * must not wait; deleting a device and unmapping an arena need PASSIVE_LEVEL and may wait. A thread
 * of our own rather than work items: DriverUnload can wait for a thread to have left the driver's
 * code, which for a work item it cannot. Not on the hot path.
 */
#include "reaper.h"

#include "disk.h"
#include "driver.h"

/* @return the next disk to delete, or NULL; *Finished when the driver stops and no disk is left. */
static DISK *ReaperNext(BOOLEAN *Finished)
{
    DISK *Disk = NULL;
    KIRQL Irql;

    KeAcquireSpinLock(&Driver.Lock, &Irql);
    if (!IsListEmpty(&Driver.DeadList))
        Disk = CONTAINING_RECORD(RemoveHeadList(&Driver.DeadList), DISK, Link);
    *Finished = Disk == NULL && Driver.Stopping && Driver.DiskDevices == 0;
    KeReleaseSpinLock(&Driver.Lock, Irql);
    return Disk;
}

static VOID NTAPI ReaperRun(PVOID Context)
{
    BOOLEAN Finished = FALSE;
    DISK *Disk;
    KIRQL Irql;

    UNREFERENCED_PARAMETER(Context);
    while (!Finished) {
        KeWaitForSingleObject(&Driver.ReaperWake, Executive, KernelMode, FALSE, NULL);
        while ((Disk = ReaperNext(&Finished)) != NULL) {
            DiskDestroy(Disk);
            KeAcquireSpinLock(&Driver.Lock, &Irql);
            Driver.DiskDevices--;
            KeReleaseSpinLock(&Driver.Lock, Irql);
        }
    }
    PsTerminateSystemThread(STATUS_SUCCESS);
}

VOID ReaperTake(DISK *Disk)
{
    KIRQL Irql;

    KeAcquireSpinLock(&Driver.Lock, &Irql);
    InsertTailList(&Driver.DeadList, &Disk->Link);
    KeReleaseSpinLock(&Driver.Lock, Irql);
    KeSetEvent(&Driver.ReaperWake, IO_NO_INCREMENT, FALSE);
}

NTSTATUS ReaperStart(VOID)
{
    HANDLE Thread;
    NTSTATUS Status;

    KeInitializeEvent(&Driver.ReaperWake, SynchronizationEvent, FALSE);
    Status = PsCreateSystemThread(&Thread, THREAD_ALL_ACCESS, NULL, NULL, NULL, ReaperRun, NULL);
    if (!NT_SUCCESS(Status))
        return Status;
    Status = ObReferenceObjectByHandle(Thread, SYNCHRONIZE, NULL, KernelMode, &Driver.ReaperThread,
                                       NULL);
    if (!NT_SUCCESS(Status)) {
        /* Without a pointer to wait on, at least wait on the handle before the code goes away. */
        Driver.Stopping = TRUE;
        KeSetEvent(&Driver.ReaperWake, IO_NO_INCREMENT, FALSE);
        ZwWaitForSingleObject(Thread, FALSE, NULL);
    }
    ZwClose(Thread);
    return Status;
}

VOID ReaperStop(VOID)
{
    KIRQL Irql;

    KeAcquireSpinLock(&Driver.Lock, &Irql);
    Driver.Stopping = TRUE;
    KeReleaseSpinLock(&Driver.Lock, Irql);
    KeSetEvent(&Driver.ReaperWake, IO_NO_INCREMENT, FALSE);
    KeWaitForSingleObject(Driver.ReaperThread, Executive, KernelMode, FALSE, NULL);
    ObDereferenceObject(Driver.ReaperThread);
}
