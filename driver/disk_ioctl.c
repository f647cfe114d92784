/* SPDX-License-Identifier: MIT */
/*
 * disk_ioctl.c - the storage ioctls of a disk device.
 *
 * Called by the dispatcher for applications, file systems and the mount manager, at PASSIVE_LEVEL
 * (MEDIA_REMOVAL also at APC). All are answered here and in the files of the table without the server, so
 * that no question about the disk can hang with it; only TRIM goes into the queue. A code that is not in the
 * table gets STATUS_INVALID_DEVICE_REQUEST, its buffers untouched: success with a buffer left as it was
 * crashes the FAT file system. Sizes and meanings as file systems and tools of Windows rely on them; access
 * is part of the codes and checked by the I/O manager.
 *
 * Not in the table on purpose: GET_DEVICE_NUMBER and VOLUME_GET_VOLUME_DISK_EXTENTS, since there is no
 * physical disk whose number could be told, and who has one looks for it; everything that ejects, formats or
 * partitions; MOUNTDEV_UNIQUE_ID_CHANGE_NOTIFY, which a success would have the mount manager send for ever.
 */
#include "disk_ioctl.h"

#include "disk_geometry.h"
#include "disk_mountdev.h"
#include "disk_property.h"
#include "disk_trim.h"

static NTSTATUS Succeed(const DISK_CALL *Call)
{
    UNREFERENCED_PARAMETER(Call);
    return STATUS_SUCCESS;
}

static NTSTATUS Refuse(const DISK_CALL *Call)
{
    UNREFERENCED_PARAMETER(Call);
    return STATUS_NOT_SUPPORTED;
}

static NTSTATUS AnswerFalse(const DISK_CALL *Call)
{
    *(BOOLEAN *)Call->Buffer = FALSE;
    *Call->Information = sizeof(BOOLEAN);
    return STATUS_SUCCESS;
}

static NTSTATUS IsWritable(const DISK_CALL *Call)
{
    return Call->Disk->ReadOnly ? STATUS_MEDIA_WRITE_PROTECTED : STATUS_SUCCESS;
}

/* The medium is never changed, so its change count is constant. Asking for it is optional. */
static NTSTATUS CheckVerify(const DISK_CALL *Call)
{
    if (Call->OutLength == 0)
        return STATUS_SUCCESS;
    if (Call->OutLength < sizeof(ULONG))
        return STATUS_BUFFER_TOO_SMALL;
    *(ULONG *)Call->Buffer = 0;
    *Call->Information = sizeof(ULONG);
    return STATUS_SUCCESS;
}

static NTSTATUS GetHotplugInfo(const DISK_CALL *Call)
{
    STORAGE_HOTPLUG_INFO *Info = Call->Buffer;

    RtlZeroMemory(Info, sizeof(*Info)); /* a fixed disk */
    Info->Size = sizeof(*Info);
    *Call->Information = sizeof(*Info);
    return STATUS_SUCCESS;
}

/* A disk has no cache of its own: what is written has been given to the server. */
static NTSTATUS GetCacheInformation(const DISK_CALL *Call)
{
    RtlZeroMemory(Call->Buffer, sizeof(DISK_CACHE_INFORMATION));
    *Call->Information = sizeof(DISK_CACHE_INFORMATION);
    return STATUS_SUCCESS;
}

/* Sizes are the least that a caller must give; shorter input is STATUS_INFO_LENGTH_MISMATCH,
 * shorter output STATUS_BUFFER_TOO_SMALL. Those of 0 are looked at by the handler. Function numbers are
 * shared by the DISK and STORAGE types of a code. */
typedef struct IOCTL_ROW {
    ULONG Code;
    ULONG InSize;
    ULONG OutSize;
    DISK_CALL_HANDLER *Handler;
} IOCTL_ROW;

static const IOCTL_ROW Rows[] = {
    {IOCTL_DISK_GET_LENGTH_INFO, 0, sizeof(GET_LENGTH_INFORMATION), DiskGeometryAnswerLength},
    {IOCTL_DISK_GET_DRIVE_GEOMETRY, 0, sizeof(DISK_GEOMETRY), DiskGeometryAnswer},
    {IOCTL_DISK_GET_DRIVE_GEOMETRY_EX, 0, FIELD_OFFSET(DISK_GEOMETRY_EX, Data),
     DiskGeometryAnswerEx},
    {IOCTL_DISK_GET_MEDIA_TYPES, 0, sizeof(DISK_GEOMETRY), DiskGeometryAnswer},
    {IOCTL_DISK_GET_PARTITION_INFO, 0, sizeof(PARTITION_INFORMATION), DiskGeometryAnswerPartition},
    {IOCTL_DISK_GET_PARTITION_INFO_EX, 0, sizeof(PARTITION_INFORMATION_EX),
     DiskGeometryAnswerPartitionEx},
    {IOCTL_DISK_GET_DRIVE_LAYOUT, 0, sizeof(DRIVE_LAYOUT_INFORMATION), DiskGeometryAnswerLayout},
    {IOCTL_DISK_GET_DRIVE_LAYOUT_EX, 0, sizeof(DRIVE_LAYOUT_INFORMATION_EX),
     DiskGeometryAnswerLayoutEx},
    /* format sets the type of what it takes for a partition; there is none to keep it in */
    {IOCTL_DISK_SET_PARTITION_INFO, sizeof(SET_PARTITION_INFORMATION), 0, Succeed},
    {IOCTL_DISK_SET_PARTITION_INFO_EX, sizeof(SET_PARTITION_INFORMATION_EX), 0, Succeed},
    {IOCTL_DISK_UPDATE_PROPERTIES, 0, 0, Succeed}, /* every answer is up to date */
    {IOCTL_DISK_IS_WRITABLE, 0, 0, IsWritable},
    {IOCTL_DISK_IS_CLUSTERED, 0, sizeof(BOOLEAN), AnswerFalse},
    {IOCTL_DISK_GET_CLUSTER_INFO, 0, 0, Refuse},
    {IOCTL_DISK_GET_CLUSTER_INFO_READ, 0, 0, Refuse},
    {IOCTL_DISK_GET_CACHE_INFORMATION, 0, sizeof(DISK_CACHE_INFORMATION), GetCacheInformation},
    {IOCTL_DISK_VERIFY, sizeof(VERIFY_INFORMATION), 0, DiskGeometryVerify},
    {IOCTL_DISK_CHECK_VERIFY, 0, 0, CheckVerify},
    {IOCTL_DISK_MEDIA_REMOVAL, sizeof(PREVENT_MEDIA_REMOVAL), 0, Succeed},

    {IOCTL_STORAGE_CHECK_VERIFY, 0, 0, CheckVerify},
    {IOCTL_STORAGE_CHECK_VERIFY2, 0, 0, CheckVerify},
    {IOCTL_STORAGE_MEDIA_REMOVAL, sizeof(PREVENT_MEDIA_REMOVAL), 0, Succeed},
    {IOCTL_STORAGE_EJECTION_CONTROL, sizeof(PREVENT_MEDIA_REMOVAL), 0, Succeed},
    {IOCTL_STORAGE_GET_MEDIA_TYPES, 0, sizeof(DISK_GEOMETRY), DiskGeometryAnswer},
    {IOCTL_STORAGE_GET_MEDIA_TYPES_EX, 0, sizeof(GET_MEDIA_TYPES), DiskGeometryAnswerMediaTypesEx},
    {IOCTL_STORAGE_GET_HOTPLUG_INFO, 0, sizeof(STORAGE_HOTPLUG_INFO), GetHotplugInfo},
    {IOCTL_STORAGE_READ_CAPACITY, 0, sizeof(STORAGE_READ_CAPACITY), DiskGeometryAnswerCapacity},
    {IOCTL_STORAGE_QUERY_PROPERTY, 0, 0, DiskPropertyQuery},
    {IOCTL_STORAGE_MANAGE_DATA_SET_ATTRIBUTES, 0, 0, DiskTrim},

    {IOCTL_VOLUME_ONLINE, 0, 0, Succeed},
    {IOCTL_VOLUME_POST_ONLINE, 0, 0, Succeed},
    {IOCTL_VOLUME_IS_IO_CAPABLE, 0, 0, Succeed},
    {IOCTL_VOLUME_IS_DYNAMIC, 0, sizeof(BOOLEAN), AnswerFalse},
    {IOCTL_VOLUME_GET_GPT_ATTRIBUTES, 0, sizeof(VOLUME_GET_GPT_ATTRIBUTES_INFORMATION),
     DiskMountdevGetAttributes},
    {IOCTL_EFS_QUERY, 0, 0, Succeed},

    {IOCTL_MOUNTDEV_QUERY_DEVICE_NAME, 0, 0, DiskMountdevQueryName},
    {IOCTL_MOUNTDEV_QUERY_UNIQUE_ID, 0, 0, DiskMountdevQueryUniqueId},
    {IOCTL_MOUNTDEV_QUERY_SUGGESTED_LINK_NAME, 0, 0, DiskMountdevQueryLink},
    {IOCTL_MOUNTDEV_LINK_CREATED, 0, 0, DiskMountdevNoteLink},
    {IOCTL_MOUNTDEV_LINK_CREATED_RW, 0, 0, DiskMountdevNoteLink},
    {IOCTL_MOUNTDEV_LINK_DELETED, 0, 0, DiskMountdevNoteLink},
    {IOCTL_MOUNTDEV_LINK_DELETED_RW, 0, 0, DiskMountdevNoteLink},
};

static NTSTATUS CallRow(const IOCTL_ROW *Row, const DISK_CALL *Call)
{
    if (Call->InLength < Row->InSize)
        return STATUS_INFO_LENGTH_MISMATCH;
    if (Call->OutLength < Row->OutSize)
        return STATUS_BUFFER_TOO_SMALL;
    return Row->Handler(Call);
}

/* A disk that is not served yet, or has gone, answers nothing but its name: who still holds it, such as a file
 * system that lets go of it, tells the mount manager which one it is. */
static BOOLEAN IsAnswered(const DISK *Disk, ULONG Code)
{
    return Disk->Queue.Open || Code == IOCTL_MOUNTDEV_QUERY_DEVICE_NAME;
}

NTSTATUS DiskIoctl(PDEVICE_OBJECT Device, PIRP Irp, PIO_STACK_LOCATION Stack)
{
    ULONG Code = Stack->Parameters.DeviceIoControl.IoControlCode;
    DISK_CALL Call = {
        .Disk = Device->DeviceExtension,
        .Irp = Irp,
        .Buffer = Irp->AssociatedIrp.SystemBuffer,
        .InLength = Stack->Parameters.DeviceIoControl.InputBufferLength,
        .OutLength = Stack->Parameters.DeviceIoControl.OutputBufferLength,
        .Information = &Irp->IoStatus.Information,
    };
    ULONG Index;

    if (!IsAnswered(Call.Disk, Code))
        return STATUS_NO_SUCH_DEVICE;
    for (Index = 0; Index < RTL_NUMBER_OF(Rows); Index++)
        if (Rows[Index].Code == Code)
            return CallRow(&Rows[Index], &Call);
    return STATUS_INVALID_DEVICE_REQUEST;
}
