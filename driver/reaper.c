/* SPDX-License-Identifier: MIT */
/*
 * reaper.c - deletes disks, in a worker thread of the system.
 *
 * The last reference to a disk may go anywhere, at DISPATCH_LEVEL or in a dispatch routine that must
 * not wait; deleting a device and giving back an arena need PASSIVE_LEVEL and may wait.
 *
 * A work item rather than a thread of our own, because on NT IoDeleteDevice may itself be what ends the
 * driver: when `sc stop` has been waiting for the last device to be let go of, it calls DriverUnload, and
 * waits for that. DriverUnload can therefore not wait for whoever calls IoDeleteDevice; and the code that
 * IoDeleteDevice returns to must still be there, which the work item's reference to the control device
 * sees to. So a disk is counted out before its device is deleted, and nothing follows that. On Wine
 * nothing keeps the code, but the work item counts among the entry points that DriverUnload waits for.
 *
 * Not on the hot path.
 */
#include "reaper.h"

#include "disk.h"
#include "driver.h"
#include "volume.h"

static KEVENT Drained; /* set while there is no disk */

VOID ReaperInitialize(VOID)
{
    KeInitializeEvent(&Drained, NotificationEvent, TRUE);
}

static VOID CountOut(VOID)
{
    KIRQL Irql;

    KeAcquireSpinLock(&Driver.Lock, &Irql);
    if (--Driver.DiskDevices == 0)
        KeSetEvent(&Drained, IO_NO_INCREMENT, FALSE);
    KeReleaseSpinLock(&Driver.Lock, Irql);
}

NTSTATUS ReaperPrepare(DISK *Disk)
{
    NTSTATUS Status = STATUS_DELETE_PENDING;
    KIRQL Irql;

    Disk->ReapItem = IoAllocateWorkItem(Driver.ControlDevice);
    if (Disk->ReapItem == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    KeAcquireSpinLock(&Driver.Lock, &Irql);
    if (!Driver.Stopping) {
        Driver.DiskDevices++;
        KeClearEvent(&Drained);
        Status = STATUS_SUCCESS;
    }
    KeReleaseSpinLock(&Driver.Lock, Irql);
    if (!NT_SUCCESS(Status))
        IoFreeWorkItem(Disk->ReapItem);
    return Status;
}

VOID ReaperUnprepare(DISK *Disk)
{
    IoFreeWorkItem(Disk->ReapItem);
    CountOut();
}

static VOID NTAPI Reap(PDEVICE_OBJECT ControlDevice, PVOID Context)
{
    DISK *Disk = Context;
    PDEVICE_OBJECT Device = Disk->Device;

    UNREFERENCED_PARAMETER(ControlDevice);
    DriverEnter();
    IoFreeWorkItem(Disk->ReapItem);
    DiskEmpty(Disk); /* first: a dying server's process waits for its memory */
    VolumeDismount(Disk);
    CountOut();
    DriverDeleteDevice(Device); /* the DISK with it; on NT perhaps the driver too */
    DriverLeave();
}

VOID ReaperTake(DISK *Disk)
{
    IoQueueWorkItem(Disk->ReapItem, Reap, DelayedWorkQueue, Disk);
}

VOID ReaperDrain(VOID)
{
    KeWaitForSingleObject(&Drained, Executive, KernelMode, FALSE, NULL);
}
