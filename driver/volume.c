/* SPDX-License-Identifier: MIT */
/*
 * volume.c - taking a file system off a disk that has gone.
 *
 * A file system refers to the device of its disk for as long as it is mounted, and nobody tells one on a disk
 * without PnP to let go: after the death of a server with its volume in use, the device would stay and keep
 * the driver from being stopped until the next boot. Called by the reaper at PASSIVE_LEVEL, once per disk,
 * not on the hot path. Wine has no file systems on devices.
 */
#include "volume.h"

#include "disk.h"

/*
 * Mounted, and not locked: who unmounts a disk in good order has locked and dismounted the volume, and holds it
 * until the disk has gone. The file system goes with that handle. Opening the volume once more would make the
 * system look for a file system again, and what it finds then stays, and keeps the driver.
 */
BOOLEAN VolumeIsMounted(PDEVICE_OBJECT Device)
{
    BOOLEAN Mounted;
    KIRQL Irql;

    if (Driver.IsWine) /* it has no such lock either */
        return FALSE;
    /* A file system that lets go gives the device another VPB and frees this one. */
    IoAcquireVpbSpinLock(&Irql);
    Mounted =
        Device->Vpb != NULL && (Device->Vpb->Flags & (VPB_MOUNTED | VPB_LOCKED)) == VPB_MOUNTED;
    IoReleaseVpbSpinLock(Irql);
    return Mounted;
}

static NTSTATUS MUST_CHECK OpenVolume(const DISK *Disk, PHANDLE Volume)
{
    WCHAR Buffer[DISK_NAME_UNITS];
    UNICODE_STRING Name = {.Buffer = Buffer, .MaximumLength = sizeof(Buffer)};
    OBJECT_ATTRIBUTES Attributes;
    IO_STATUS_BLOCK IoStatus;
    NTSTATUS Status = DiskMakeName(&Name, Disk->Number);

    if (!NT_SUCCESS(Status))
        return Status;
    InitializeObjectAttributes(&Attributes, &Name, OBJ_KERNEL_HANDLE, NULL, NULL);
    return ZwOpenFile(Volume, FILE_READ_DATA | SYNCHRONIZE, &Attributes, &IoStatus,
                      FILE_SHARE_READ | FILE_SHARE_WRITE, FILE_SYNCHRONOUS_IO_NONALERT);
}

/*
 * The volume is not locked first: nobody can lose more than the death of the disk has cost already. Every
 * request that the file system still sends fails at once, so this ends. When it cannot be done, as while
 * the driver is being stopped, the device stays until the file system lets go by itself.
 */
VOID VolumeDismount(DISK *Disk)
{
    IO_STATUS_BLOCK IoStatus;
    HANDLE Volume;

    if (!VolumeIsMounted(Disk->Device) || !NT_SUCCESS(OpenVolume(Disk, &Volume)))
        return;
    ZwFsControlFile(Volume, NULL, NULL, NULL, &IoStatus, FSCTL_DISMOUNT_VOLUME, NULL, 0, NULL, 0);
    ZwClose(Volume);
}
