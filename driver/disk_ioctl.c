/* SPDX-License-Identifier: MIT */
/*
 * disk_ioctl.c - the storage ioctls of a disk device.
 *
 * Called by the dispatcher for applications and file systems, at PASSIVE_LEVEL (MEDIA_REMOVAL also
 * at APC). All are answered here without the server, so that no question about the disk can hang
 * with it; only TRIM goes into the queue. A code that is not in the table gets
 * STATUS_INVALID_DEVICE_REQUEST: success with a buffer left as it was crashes the FAT file system.
 * Sizes and meanings as file systems and tools of Windows rely on them; access is part of the codes
 * and checked by the I/O manager.
 */
#include "disk_ioctl.h"

#include "disk_io.h"
#include "disk_property.h"

typedef struct IOCTL_CALL {
    DISK *Disk;
    PIRP Irp;
    PVOID Buffer; /* input, and output over it */
    ULONG InLength;
    ULONG OutLength;
    ULONG_PTR *Information; /* 0 on entry: bytes of output */
} IOCTL_CALL;

typedef NTSTATUS IOCTL_HANDLER(const IOCTL_CALL *Call);

/* Whatever the image is, some tools still want cylinders. */
#define TRACKS_PER_CYLINDER 255
#define SECTORS_PER_TRACK 63

/* The type under which format and file systems accept a volume of any size: "installable file
 * system". */
#define PARTITION_TYPE_OF_DISK PARTITION_IFS

static NTSTATUS Succeed(const IOCTL_CALL *Call)
{
    UNREFERENCED_PARAMETER(Call);
    return STATUS_SUCCESS;
}

static VOID FillGeometry(const DISK *Disk, DISK_GEOMETRY *Geometry)
{
    ULONG64 Cylinder = (ULONG64)Disk->SectorSize * TRACKS_PER_CYLINDER * SECTORS_PER_TRACK;

    Geometry->Cylinders.QuadPart = (LONGLONG)max(DiskSize(Disk) / Cylinder, 1);
    Geometry->MediaType = FixedMedia;
    Geometry->TracksPerCylinder = TRACKS_PER_CYLINDER;
    Geometry->SectorsPerTrack = SECTORS_PER_TRACK;
    Geometry->BytesPerSector = Disk->SectorSize;
}

static NTSTATUS GetGeometry(const IOCTL_CALL *Call)
{
    FillGeometry(Call->Disk, Call->Buffer);
    *Call->Information = sizeof(DISK_GEOMETRY);
    return STATUS_SUCCESS;
}

static NTSTATUS GetGeometryEx(const IOCTL_CALL *Call)
{
    DISK_GEOMETRY_EX *Geometry = Call->Buffer;
    ULONG Fixed = FIELD_OFFSET(DISK_GEOMETRY_EX, Data);

    /* Partition and detection data may follow where there is room; none of it applies to us: zeros.
     */
    RtlZeroMemory(Geometry, min(Call->OutLength, sizeof(*Geometry)));
    FillGeometry(Call->Disk, &Geometry->Geometry);
    Geometry->DiskSize.QuadPart = (LONGLONG)DiskSize(Call->Disk);
    *Call->Information = max(Fixed, min(Call->OutLength, sizeof(*Geometry)));
    return STATUS_SUCCESS;
}

static NTSTATUS GetLength(const IOCTL_CALL *Call)
{
    GET_LENGTH_INFORMATION *Length = Call->Buffer;

    Length->Length.QuadPart = (LONGLONG)DiskSize(Call->Disk);
    *Call->Information = sizeof(*Length);
    return STATUS_SUCCESS;
}

static NTSTATUS GetPartition(const IOCTL_CALL *Call)
{
    PARTITION_INFORMATION *Partition = Call->Buffer;

    RtlZeroMemory(Partition, sizeof(*Partition));
    Partition->PartitionLength.QuadPart = (LONGLONG)DiskSize(Call->Disk);
    Partition->PartitionNumber = 1;
    Partition->PartitionType = PARTITION_TYPE_OF_DISK;
    Partition->RecognizedPartition = TRUE;
    *Call->Information = sizeof(*Partition);
    return STATUS_SUCCESS;
}

static NTSTATUS GetPartitionEx(const IOCTL_CALL *Call)
{
    PARTITION_INFORMATION_EX *Partition = Call->Buffer;

    RtlZeroMemory(Partition, sizeof(*Partition));
    Partition->PartitionStyle = PARTITION_STYLE_MBR;
    Partition->PartitionLength.QuadPart = (LONGLONG)DiskSize(Call->Disk);
    Partition->PartitionNumber = 1;
    Partition->Mbr.PartitionType = PARTITION_TYPE_OF_DISK;
    Partition->Mbr.RecognizedPartition = TRUE;
    *Call->Information = sizeof(*Partition);
    return STATUS_SUCCESS;
}

static NTSTATUS IsWritable(const IOCTL_CALL *Call)
{
    return Call->Disk->ReadOnly ? STATUS_MEDIA_WRITE_PROTECTED : STATUS_SUCCESS;
}

/* The medium is never changed, so its change count is constant. Asking for it is optional. */
static NTSTATUS CheckVerify(const IOCTL_CALL *Call)
{
    if (Call->OutLength == 0)
        return STATUS_SUCCESS;
    if (Call->OutLength < sizeof(ULONG))
        return STATUS_BUFFER_TOO_SMALL;
    *(ULONG *)Call->Buffer = 0;
    *Call->Information = sizeof(ULONG);
    return STATUS_SUCCESS;
}

/* Whether the range is on the disk; that it can be read shows when it is read. */
static NTSTATUS Verify(const IOCTL_CALL *Call)
{
    const VERIFY_INFORMATION *Range = Call->Buffer;

    if (Range->Length == 0)
        return Range->StartingOffset.QuadPart >= 0 &&
                       (ULONG64)Range->StartingOffset.QuadPart <= DiskSize(Call->Disk)
                   ? STATUS_SUCCESS
                   : STATUS_NONEXISTENT_SECTOR;
    return DiskIoRangeIsValid(Call->Disk, Range->StartingOffset.QuadPart, Range->Length)
               ? STATUS_SUCCESS
               : STATUS_NONEXISTENT_SECTOR;
}

static NTSTATUS GetHotplugInfo(const IOCTL_CALL *Call)
{
    STORAGE_HOTPLUG_INFO *Info = Call->Buffer;

    RtlZeroMemory(Info, sizeof(*Info)); /* a fixed disk */
    Info->Size = sizeof(*Info);
    *Call->Information = sizeof(*Info);
    return STATUS_SUCCESS;
}

static NTSTATUS QueryProperty(const IOCTL_CALL *Call)
{
    return DiskPropertyQuery(Call->Disk, Call->Buffer, Call->InLength, Call->OutLength,
                             Call->Information);
}

/*
 * Move the ranges that are not empty to the front. @return how many, or -1 if one is not on the disk.
 * The ranges need not be aligned: some callers put them right behind the 28 bytes of the head.
 */
static LONG PackRanges(const DISK *Disk, TRIM_RANGE *Ranges, ULONG Count)
{
    ULONG Index;
    LONG Kept = 0;

    for (Index = 0; Index < Count; Index++) {
        TRIM_RANGE Range = Ranges[Index];
        if (Range.LengthInBytes == 0)
            continue;
        if (!DiskIoRangeIsValid(Disk, Range.StartingOffset, Range.LengthInBytes))
            return -1;
        Ranges[Kept++] = Range;
    }
    return Kept;
}

/* The ranges of a TRIM lie within the input and are whole ranges. */
static BOOLEAN RangesLieInInput(const DEVICE_MANAGE_DATA_SET_ATTRIBUTES *Set, ULONG InLength)
{
    ULONG Length = Set->DataSetRangesLength;

    if (Length == 0 || Length % sizeof(DEVICE_DATA_SET_RANGE) != 0 || Length > InLength)
        return FALSE;
    return Set->DataSetRangesOffset >= sizeof(*Set) &&
           Set->DataSetRangesOffset <= InLength - Length;
}

/*
 * TRIM. The queue hands out the ranges from this IRP's own buffer, in which only good ones are
 * left. The flag that means the whole disk is refused: it is no file system's, and there is no way
 * back.
 */
static NTSTATUS ManageDataSet(const IOCTL_CALL *Call)
{
    DEVICE_MANAGE_DATA_SET_ATTRIBUTES *Set = Call->Buffer;
    LONG Count;

    if (Call->InLength < sizeof(*Set))
        return STATUS_INVALID_PARAMETER;
    if (Set->Action != DeviceDsmAction_Trim || !Call->Disk->CanTrim)
        return STATUS_NOT_SUPPORTED;
    if (Call->Disk->ReadOnly)
        return STATUS_MEDIA_WRITE_PROTECTED;
    if ((Set->Flags & DEVICE_DSM_FLAG_ENTIRE_DATA_SET_RANGE) != 0 ||
        !RangesLieInInput(Set, Call->InLength))
        return STATUS_INVALID_PARAMETER;
    Count = PackRanges(Call->Disk, (TRIM_RANGE *)((PUCHAR)Set + Set->DataSetRangesOffset),
                       Set->DataSetRangesLength / sizeof(DEVICE_DATA_SET_RANGE));
    if (Count < 0)
        return STATUS_INVALID_PARAMETER;
    if (Count == 0)
        return STATUS_SUCCESS;
    Set->DataSetRangesLength = (ULONG)Count * sizeof(DEVICE_DATA_SET_RANGE);
    return DiskIoSubmit(Call->Disk, Call->Irp);
}

/* Sizes are the least that a caller must give; shorter input is STATUS_INFO_LENGTH_MISMATCH,
 * shorter output STATUS_BUFFER_TOO_SMALL. Function numbers are shared by the DISK and STORAGE types
 * of a code. */
typedef struct IOCTL_ROW {
    ULONG Code;
    ULONG InSize;
    ULONG OutSize;
    IOCTL_HANDLER *Handler;
} IOCTL_ROW;

static const IOCTL_ROW Rows[] = {
    {IOCTL_DISK_GET_LENGTH_INFO, 0, sizeof(GET_LENGTH_INFORMATION), GetLength},
    {IOCTL_DISK_GET_DRIVE_GEOMETRY, 0, sizeof(DISK_GEOMETRY), GetGeometry},
    {IOCTL_DISK_GET_DRIVE_GEOMETRY_EX, 0, FIELD_OFFSET(DISK_GEOMETRY_EX, Data), GetGeometryEx},
    {IOCTL_DISK_GET_MEDIA_TYPES, 0, sizeof(DISK_GEOMETRY), GetGeometry},
    {IOCTL_STORAGE_GET_MEDIA_TYPES, 0, sizeof(DISK_GEOMETRY), GetGeometry},
    {IOCTL_DISK_GET_PARTITION_INFO, 0, sizeof(PARTITION_INFORMATION), GetPartition},
    {IOCTL_DISK_GET_PARTITION_INFO_EX, 0, sizeof(PARTITION_INFORMATION_EX), GetPartitionEx},
    /* format sets the type of what it takes for a partition; there is none to keep it in */
    {IOCTL_DISK_SET_PARTITION_INFO, sizeof(SET_PARTITION_INFORMATION), 0, Succeed},
    {IOCTL_DISK_SET_PARTITION_INFO_EX, sizeof(SET_PARTITION_INFORMATION_EX), 0, Succeed},
    {IOCTL_DISK_IS_WRITABLE, 0, 0, IsWritable},
    {IOCTL_DISK_VERIFY, sizeof(VERIFY_INFORMATION), 0, Verify},
    {IOCTL_DISK_CHECK_VERIFY, 0, 0, CheckVerify},
    {IOCTL_STORAGE_CHECK_VERIFY, 0, 0, CheckVerify},
    {IOCTL_STORAGE_CHECK_VERIFY2, 0, 0, CheckVerify},
    {IOCTL_DISK_MEDIA_REMOVAL, sizeof(PREVENT_MEDIA_REMOVAL), 0, Succeed},
    {IOCTL_STORAGE_MEDIA_REMOVAL, sizeof(PREVENT_MEDIA_REMOVAL), 0, Succeed},
    {IOCTL_STORAGE_EJECTION_CONTROL, sizeof(PREVENT_MEDIA_REMOVAL), 0, Succeed},
    {IOCTL_STORAGE_GET_HOTPLUG_INFO, 0, sizeof(STORAGE_HOTPLUG_INFO), GetHotplugInfo},
    {IOCTL_STORAGE_QUERY_PROPERTY, 0, 0, QueryProperty},
    {IOCTL_STORAGE_MANAGE_DATA_SET_ATTRIBUTES, 0, 0, ManageDataSet},
};

static NTSTATUS CallRow(const IOCTL_ROW *Row, const IOCTL_CALL *Call)
{
    if (Call->InLength < Row->InSize)
        return STATUS_INFO_LENGTH_MISMATCH;
    if (Call->OutLength < Row->OutSize)
        return STATUS_BUFFER_TOO_SMALL;
    return Row->Handler(Call);
}

NTSTATUS DiskIoctl(PDEVICE_OBJECT Device, PIRP Irp, PIO_STACK_LOCATION Stack)
{
    ULONG Code = Stack->Parameters.DeviceIoControl.IoControlCode;
    IOCTL_CALL Call = {
        .Disk = Device->DeviceExtension,
        .Irp = Irp,
        .Buffer = Irp->AssociatedIrp.SystemBuffer,
        .InLength = Stack->Parameters.DeviceIoControl.InputBufferLength,
        .OutLength = Stack->Parameters.DeviceIoControl.OutputBufferLength,
        .Information = &Irp->IoStatus.Information,
    };
    ULONG Index;

    if (!Call.Disk->Queue.Open)
        return STATUS_NO_SUCH_DEVICE;
    for (Index = 0; Index < RTL_NUMBER_OF(Rows); Index++)
        if (Rows[Index].Code == Code)
            return CallRow(&Rows[Index], &Call);
    return STATUS_INVALID_DEVICE_REQUEST;
}
