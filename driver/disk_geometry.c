/* SPDX-License-Identifier: MIT */
/*
 * disk_geometry.c - how large a disk is: cylinders, bytes, blocks; one partition that is all of it; the table
 * that has this partition; and whether a range lies on it.
 *
 * Called from disk_ioctl.c's table, at PASSIVE_LEVEL. The size may change at any moment, so each answer looks at
 * it once: what is within one answer fits together. Not on the hot path.
 */
#include "disk_geometry.h"

#include "disk_io.h"

/* Whatever the image is, some tools still want cylinders. */
#define TRACKS_PER_CYLINDER 255
#define SECTORS_PER_TRACK 63

/* The type under which format and file systems accept a volume of any size: "installable file
 * system". */
#define PARTITION_TYPE_OF_DISK PARTITION_IFS

/* -- geometry ---------------------------------------------------------------------------------- */

static VOID FillGeometry(const DISK *Disk, ULONG64 Size, DISK_GEOMETRY *Geometry)
{
    ULONG64 Cylinder = (ULONG64)Disk->SectorSize * TRACKS_PER_CYLINDER * SECTORS_PER_TRACK;

    Geometry->Cylinders.QuadPart = (LONGLONG)max(Size / Cylinder, 1);
    Geometry->MediaType = FixedMedia;
    Geometry->TracksPerCylinder = TRACKS_PER_CYLINDER;
    Geometry->SectorsPerTrack = SECTORS_PER_TRACK;
    Geometry->BytesPerSector = Disk->SectorSize;
}

NTSTATUS DiskGeometryAnswer(const DISK_CALL *Call)
{
    FillGeometry(Call->Disk, DiskSize(Call->Disk), Call->Buffer);
    *Call->Information = sizeof(DISK_GEOMETRY);
    return STATUS_SUCCESS;
}

/*
 * What follows the size is there where there is room for the whole of it, and zeros otherwise, as from the disk
 * class driver. The table of partitions has no signature: it is not on the disk.
 */
NTSTATUS DiskGeometryAnswerEx(const DISK_CALL *Call)
{
    ULONG64 Size = DiskSize(Call->Disk);
    DISK_GEOMETRY_AND_MORE Answer;
    ULONG Length = min(Call->OutLength, sizeof(Answer));

    RtlZeroMemory(&Answer, sizeof(Answer));
    FillGeometry(Call->Disk, Size, &Answer.Geometry);
    Answer.DiskSize.QuadPart = (LONGLONG)Size;
    if (Length >= (ULONG)FIELD_OFFSET(DISK_GEOMETRY_AND_MORE, Detection)) {
        Answer.Partition.SizeOfPartitionInfo = sizeof(Answer.Partition);
        Answer.Partition.PartitionStyle = PARTITION_STYLE_MBR;
    }
    if (Length >= sizeof(Answer)) {
        Answer.Detection.SizeOfDetectInfo = sizeof(Answer.Detection);
        Answer.Detection.DetectionType = DetectNone;
    }
    RtlCopyMemory(Call->Buffer, &Answer, Length);
    *Call->Information = Length;
    return STATUS_SUCCESS;
}

NTSTATUS DiskGeometryAnswerMediaTypesEx(const DISK_CALL *Call)
{
    GET_MEDIA_TYPES *Types = Call->Buffer;
    DISK_GEOMETRY Geometry;

    FillGeometry(Call->Disk, DiskSize(Call->Disk), &Geometry);
    RtlZeroMemory(Types, sizeof(*Types));
    Types->DeviceType = FILE_DEVICE_DISK;
    Types->MediaInfoCount = 1;
    Types->MediaInfo[0].DeviceSpecific.DiskInfo.Cylinders = Geometry.Cylinders;
    Types->MediaInfo[0].DeviceSpecific.DiskInfo.MediaType = (STORAGE_MEDIA_TYPE)Geometry.MediaType;
    Types->MediaInfo[0].DeviceSpecific.DiskInfo.TracksPerCylinder = Geometry.TracksPerCylinder;
    Types->MediaInfo[0].DeviceSpecific.DiskInfo.SectorsPerTrack = Geometry.SectorsPerTrack;
    Types->MediaInfo[0].DeviceSpecific.DiskInfo.BytesPerSector = Geometry.BytesPerSector;
    Types->MediaInfo[0].DeviceSpecific.DiskInfo.NumberMediaSides = 1;
    Types->MediaInfo[0].DeviceSpecific.DiskInfo.MediaCharacteristics =
        MEDIA_CURRENTLY_MOUNTED | (Call->Disk->ReadOnly ? MEDIA_READ_ONLY : MEDIA_READ_WRITE);
    *Call->Information = sizeof(*Types);
    return STATUS_SUCCESS;
}

/* -- length ------------------------------------------------------------------------------------ */

NTSTATUS DiskGeometryAnswerLength(const DISK_CALL *Call)
{
    GET_LENGTH_INFORMATION *Length = Call->Buffer;

    Length->Length.QuadPart = (LONGLONG)DiskSize(Call->Disk);
    *Call->Information = sizeof(*Length);
    return STATUS_SUCCESS;
}

NTSTATUS DiskGeometryAnswerCapacity(const DISK_CALL *Call)
{
    STORAGE_READ_CAPACITY *Capacity = Call->Buffer;
    ULONG64 Size = DiskSize(Call->Disk);

    RtlZeroMemory(Capacity, sizeof(*Capacity));
    Capacity->Version = sizeof(*Capacity);
    Capacity->Size = sizeof(*Capacity);
    Capacity->BlockLength = Call->Disk->SectorSize;
    Capacity->NumberOfBlocks.QuadPart = (LONGLONG)(Size / Call->Disk->SectorSize);
    Capacity->DiskLength.QuadPart = (LONGLONG)Size;
    *Call->Information = sizeof(*Capacity);
    return STATUS_SUCCESS;
}

/* -- the partition that is all of the disk ----------------------------------------------------- */

static VOID FillPartition(ULONG64 Size, PARTITION_INFORMATION *Partition)
{
    Partition->PartitionLength.QuadPart = (LONGLONG)Size;
    Partition->PartitionNumber = 1;
    Partition->PartitionType = PARTITION_TYPE_OF_DISK;
    Partition->RecognizedPartition = TRUE;
}

static VOID FillPartitionEx(ULONG64 Size, PARTITION_INFORMATION_EX *Partition)
{
    Partition->PartitionStyle = PARTITION_STYLE_MBR;
    Partition->PartitionLength.QuadPart = (LONGLONG)Size;
    Partition->PartitionNumber = 1;
    Partition->Mbr.PartitionType = PARTITION_TYPE_OF_DISK;
    Partition->Mbr.RecognizedPartition = TRUE;
}

NTSTATUS DiskGeometryAnswerPartition(const DISK_CALL *Call)
{
    PARTITION_INFORMATION *Partition = Call->Buffer;

    RtlZeroMemory(Partition, sizeof(*Partition));
    FillPartition(DiskSize(Call->Disk), Partition);
    *Call->Information = sizeof(*Partition);
    return STATUS_SUCCESS;
}

NTSTATUS DiskGeometryAnswerPartitionEx(const DISK_CALL *Call)
{
    PARTITION_INFORMATION_EX *Partition = Call->Buffer;

    RtlZeroMemory(Partition, sizeof(*Partition));
    FillPartitionEx(DiskSize(Call->Disk), Partition);
    *Call->Information = sizeof(*Partition);
    return STATUS_SUCCESS;
}

NTSTATUS DiskGeometryAnswerLayout(const DISK_CALL *Call)
{
    DRIVE_LAYOUT_INFORMATION *Layout = Call->Buffer;

    RtlZeroMemory(Layout, sizeof(*Layout));
    Layout->PartitionCount = 1;
    FillPartition(DiskSize(Call->Disk), &Layout->PartitionEntry[0]);
    *Call->Information = sizeof(*Layout);
    return STATUS_SUCCESS;
}

NTSTATUS DiskGeometryAnswerLayoutEx(const DISK_CALL *Call)
{
    DRIVE_LAYOUT_INFORMATION_EX *Layout = Call->Buffer;

    RtlZeroMemory(Layout, sizeof(*Layout));
    Layout->PartitionStyle = PARTITION_STYLE_MBR;
    Layout->PartitionCount = 1;
    FillPartitionEx(DiskSize(Call->Disk), &Layout->PartitionEntry[0]);
    *Call->Information = sizeof(*Layout);
    return STATUS_SUCCESS;
}

/* -- ranges ------------------------------------------------------------------------------------ */

/* Whether the range is on the disk; that it can be read shows when it is read. */
NTSTATUS DiskGeometryVerify(const DISK_CALL *Call)
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
