/* SPDX-License-Identifier: MIT */
/*
 * test_disk_ioctls.c - what Windows asks a disk: every row of the driver's table with every length about those
 * that it knows, and what the answers say. No server answers anything here: a question that went to it
 * would hang, and the rig would see it.
 */
#include <stdlib.h>
#include <string.h>

#include <ntdddisk.h>

#include "rig.h"

#define SIZE_OF_DISK (64ull * MIB)
#define SIZE_OF_LARGE (5ull << 40)
#define FILLER 0x5A

typedef struct DISKS {
    RIG_SERVER Server;
    SIM_PROCESS *Client;
    RIG_DISK Disk, Large; /* Large: read-only, sectors of 4 KiB, no TRIM */
    SIM_FILE *DiskFile, *LargeFile;
} DISKS;

static VOID Begin(DISKS *Disks)
{
    struct cm_mount Mount;

    Disks->Server = RigStartServer();
    Disks->Client = SimCreateProcess(TRUE);
    RigMount(&Disks->Server, SIZE_OF_DISK, &Disks->Disk);
    RigMountDefaults(&Mount, SIZE_OF_LARGE);
    Mount.flags = CM_MOUNT_READ_ONLY;
    Mount.sector_size = CM_SECTOR_SIZE_LARGE;
    CHECK_EQ(RigMountOnly(Disks->Server.Control, &Mount, &Disks->Large), STATUS_SUCCESS);
    CHECK_EQ(RigGiveArena(&Disks->Large), STATUS_SUCCESS);
    Disks->DiskFile = RigOpenDisk(Disks->Client, &Disks->Disk);
    Disks->LargeFile = RigOpenDisk(Disks->Client, &Disks->Large);
}

static VOID End(DISKS *Disks)
{
    SimClose(Disks->DiskFile);
    SimClose(Disks->LargeFile);
    CHECK_EQ(RigUnmount(Disks->Server.Control, Disks->Disk.Id, 0), STATUS_SUCCESS);
    CHECK_EQ(RigUnmount(Disks->Server.Control, Disks->Large.Id, 0), STATUS_SUCCESS);
    RigForget(&Disks->Disk);
    RigForget(&Disks->Large);
    RigStopServer(&Disks->Server);
    SimEndProcess(Disks->Client);
}

static NTSTATUS Ask(SIM_FILE *File, ULONG Code, PVOID Out, ULONG OutLength)
{
    return RigIoctl(File, Code, NULL, 0, Out, OutLength, NULL);
}

/* -- lengths ----------------------------------------------------------------------------------- */

typedef struct ROW {
    ULONG Code, In, Out; /* the least lengths */
    ULONG Most;          /* the longest answer, if that is not Out */
} ROW;

static const ROW Rows[] = {
    {IOCTL_DISK_GET_LENGTH_INFO, 0, 8, 0},
    {IOCTL_DISK_GET_DRIVE_GEOMETRY, 0, 24, 0},
    {IOCTL_DISK_GET_DRIVE_GEOMETRY_EX, 0, 32, 40},
    {IOCTL_DISK_GET_MEDIA_TYPES, 0, 24, 0},
    {IOCTL_STORAGE_GET_MEDIA_TYPES, 0, 24, 0},
    {IOCTL_DISK_GET_PARTITION_INFO, 0, 32, 0},
    {IOCTL_DISK_GET_PARTITION_INFO_EX, 0, 144, 0},
    {IOCTL_DISK_SET_PARTITION_INFO, 1, 0, 0},
    {IOCTL_DISK_SET_PARTITION_INFO_EX, 120, 0, 0},
    {IOCTL_DISK_IS_WRITABLE, 0, 0, 0},
    {IOCTL_DISK_VERIFY, 16, 0, 0},
    {IOCTL_DISK_MEDIA_REMOVAL, 1, 0, 0},
    {IOCTL_STORAGE_MEDIA_REMOVAL, 1, 0, 0},
    {IOCTL_STORAGE_EJECTION_CONTROL, 1, 0, 0},
    {IOCTL_STORAGE_GET_HOTPLUG_INFO, 0, 8, 0},
};

static VOID TryLengths(SIM_FILE *File, const ROW *Row, ULONG InLength, ULONG OutLength)
{
    /* Of exactly these lengths, so that a byte too many is seen. */
    PUCHAR In = calloc(1, InLength + 1), Out = malloc(OutLength + 1);
    ULONG Most = Row->Most != 0 ? Row->Most : Row->Out, Index;
    NTSTATUS Status, Expected = STATUS_SUCCESS;
    ULONG_PTR Done;

    memset(Out, FILLER, OutLength + 1);
    Status = RigIoctl(File, Row->Code, InLength != 0 ? In : NULL, InLength,
                      OutLength != 0 ? Out : NULL, OutLength, &Done);
    if (InLength < Row->In)
        Expected = STATUS_INFO_LENGTH_MISMATCH;
    else if (OutLength < Row->Out)
        Expected = STATUS_BUFFER_TOO_SMALL;
    CHECK_EQ(Status, Expected);
    CHECK_EQ(Done, NT_SUCCESS(Expected) ? min(Most, OutLength) : 0);
    for (Index = (ULONG)Done; Index <= OutLength; Index++)
        CHECK_EQ(Out[Index], FILLER);
    free(In);
    free(Out);
}

static VOID EachQuestionIsAnsweredAtEachLength(VOID)
{
    ULONG Index, InLength, OutLength;
    DISKS Disks;

    Begin(&Disks);
    for (Index = 0; Index < RTL_NUMBER_OF(Rows); Index++) {
        const ROW *Row = &Rows[Index];
        for (InLength = 0; InLength <= Row->In + 2; InLength++)
            TryLengths(Disks.DiskFile, Row, InLength, Row->Out);
        for (OutLength = 0; OutLength <= Row->Out + 12; OutLength++)
            TryLengths(Disks.DiskFile, Row, Row->In, OutLength);
        TryLengths(Disks.DiskFile, Row, 5000, 5000);
    }
    End(&Disks);
}

static VOID ACodeThatIsNotKnownFillsNothing(VOID)
{
    static const ULONG Codes[] = {
        CTL_CODE(FILE_DEVICE_DISK, 0x7FF, METHOD_BUFFERED, FILE_ANY_ACCESS),
        CTL_CODE(FILE_DEVICE_MASS_STORAGE, 0x420, METHOD_BUFFERED, FILE_ANY_ACCESS),
        CM_IOCTL_VERSION,
        CM_IOCTL_EXCHANGE,
        CM_IOCTL_UNMOUNT,
    };
    UCHAR Out[256];
    ULONG Index, At;
    ULONG_PTR Done;
    DISKS Disks;

    Begin(&Disks);
    for (Index = 0; Index < RTL_NUMBER_OF(Codes); Index++) {
        memset(Out, FILLER, sizeof(Out));
        CHECK_EQ(RigIoctl(Disks.DiskFile, Codes[Index], NULL, 0, Out, sizeof(Out), &Done),
                 STATUS_INVALID_DEVICE_REQUEST);
        CHECK_EQ(Done, 0);
        for (At = 0; At < sizeof(Out); At++)
            CHECK_EQ(Out[At], FILLER);
    }
    End(&Disks);
}

/* -- answers ----------------------------------------------------------------------------------- */

static VOID CheckGeometry(SIM_FILE *File, ULONG64 Size, ULONG SectorSize)
{
    GET_LENGTH_INFORMATION Length;
    DISK_GEOMETRY_EX Extended;
    DISK_GEOMETRY Geometry;
    ULONG64 Cylinder;

    CHECK_EQ(Ask(File, IOCTL_DISK_GET_LENGTH_INFO, &Length, sizeof(Length)), STATUS_SUCCESS);
    CHECK_EQ(Length.Length.QuadPart, Size);
    CHECK_EQ(Ask(File, IOCTL_DISK_GET_DRIVE_GEOMETRY, &Geometry, sizeof(Geometry)), STATUS_SUCCESS);
    CHECK_EQ(Geometry.BytesPerSector, SectorSize);
    CHECK_EQ(Geometry.MediaType, FixedMedia);
    Cylinder = (ULONG64)Geometry.TracksPerCylinder * Geometry.SectorsPerTrack * SectorSize;
    CHECK(Geometry.Cylinders.QuadPart >= 1);
    CHECK((ULONG64)Geometry.Cylinders.QuadPart * Cylinder <= Size);
    CHECK(Size - (ULONG64)Geometry.Cylinders.QuadPart * Cylinder < Cylinder);
    CHECK_EQ(Ask(File, IOCTL_DISK_GET_DRIVE_GEOMETRY_EX, &Extended, sizeof(Extended)),
             STATUS_SUCCESS);
    CHECK_EQ(Extended.DiskSize.QuadPart, Size);
    CHECK(memcmp(&Extended.Geometry, &Geometry, sizeof(Geometry)) == 0);
}

static VOID CheckPartition(SIM_FILE *File, ULONG64 Size)
{
    PARTITION_INFORMATION_EX Extended;
    PARTITION_INFORMATION Partition;

    CHECK_EQ(Ask(File, IOCTL_DISK_GET_PARTITION_INFO, &Partition, sizeof(Partition)),
             STATUS_SUCCESS);
    CHECK_EQ(Partition.StartingOffset.QuadPart, 0);
    CHECK_EQ(Partition.PartitionLength.QuadPart, Size);
    CHECK_EQ(Partition.PartitionType, PARTITION_IFS);
    CHECK_EQ(Partition.PartitionNumber, 1);
    CHECK(Partition.RecognizedPartition);
    CHECK_EQ(Ask(File, IOCTL_DISK_GET_PARTITION_INFO_EX, &Extended, sizeof(Extended)),
             STATUS_SUCCESS);
    CHECK_EQ(Extended.PartitionStyle, PARTITION_STYLE_MBR);
    CHECK_EQ(Extended.StartingOffset.QuadPart, 0);
    CHECK_EQ(Extended.PartitionLength.QuadPart, Size);
    CHECK_EQ(Extended.Mbr.PartitionType, PARTITION_IFS);
    CHECK(Extended.Mbr.RecognizedPartition);
}

static VOID SizesAreTheDisks(VOID)
{
    STORAGE_HOTPLUG_INFO Info;
    DISKS Disks;

    Begin(&Disks);
    CheckGeometry(Disks.DiskFile, SIZE_OF_DISK, 512);
    CheckGeometry(Disks.LargeFile, SIZE_OF_LARGE, 4096);
    CheckPartition(Disks.DiskFile, SIZE_OF_DISK);
    CheckPartition(Disks.LargeFile, SIZE_OF_LARGE);
    CHECK_EQ(Ask(Disks.DiskFile, IOCTL_STORAGE_GET_HOTPLUG_INFO, &Info, sizeof(Info)),
             STATUS_SUCCESS);
    CHECK_EQ(Info.Size, sizeof(Info));
    CHECK(!Info.MediaRemovable && !Info.MediaHotplug && !Info.DeviceHotplug);
    End(&Disks);
}

/* Less than a cylinder is one all the same: programs divide by what they compute of it. */
static VOID TheSmallestDiskHasACylinder(VOID)
{
    RIG_SERVER Server = RigStartServer();
    SIM_PROCESS *Client = SimCreateProcess(TRUE);
    DISK_GEOMETRY Geometry;
    SIM_FILE *File;
    RIG_DISK Disk;

    RigMount(&Server, 512, &Disk);
    File = RigOpenDisk(Client, &Disk);
    CHECK_EQ(Ask(File, IOCTL_DISK_GET_DRIVE_GEOMETRY, &Geometry, sizeof(Geometry)), STATUS_SUCCESS);
    CHECK_EQ(Geometry.Cylinders.QuadPart, 1);
    SimClose(File);
    CHECK_EQ(RigUnmount(Server.Control, Disk.Id, 0), STATUS_SUCCESS);
    RigForget(&Disk);
    RigStopServer(&Server);
    SimEndProcess(Client);
}

static VOID WhetherItCanBeWrittenIsTold(VOID)
{
    DISKS Disks;

    Begin(&Disks);
    CHECK_EQ(Ask(Disks.DiskFile, IOCTL_DISK_IS_WRITABLE, NULL, 0), STATUS_SUCCESS);
    CHECK_EQ(Ask(Disks.LargeFile, IOCTL_DISK_IS_WRITABLE, NULL, 0), STATUS_MEDIA_WRITE_PROTECTED);
    End(&Disks);
}

static VOID TheMediumIsAlwaysTheSame(VOID)
{
    static const ULONG Codes[] = {IOCTL_DISK_CHECK_VERIFY, IOCTL_STORAGE_CHECK_VERIFY,
                                  IOCTL_STORAGE_CHECK_VERIFY2};
    ULONG Index, Length, Changes[2];
    ULONG_PTR Done;
    DISKS Disks;

    Begin(&Disks);
    for (Index = 0; Index < RTL_NUMBER_OF(Codes); Index++)
        for (Length = 0; Length <= sizeof(Changes); Length++) {
            NTSTATUS Expected =
                Length == 0 || Length >= 4 ? STATUS_SUCCESS : STATUS_BUFFER_TOO_SMALL;
            Changes[0] = Changes[1] = 77;
            CHECK_EQ(RigIoctl(Disks.DiskFile, Codes[Index], NULL, 0, Length != 0 ? Changes : NULL,
                              Length, &Done),
                     Expected);
            CHECK_EQ(Done, Length >= 4 ? 4 : 0);
            CHECK_EQ(Changes[0], Length >= 4 ? 0 : 77);
            CHECK_EQ(Changes[1], 77);
        }
    End(&Disks);
}

static VOID VerifyKnowsWhereTheDiskEnds(VOID)
{
    static const struct {
        LONGLONG Offset;
        ULONG Length;
        BOOLEAN IsGood;
    } Ranges[] = {
        {0, 512, TRUE},
        {SIZE_OF_DISK - 512, 512, TRUE},
        {SIZE_OF_DISK, 0, TRUE},
        {0, 0, TRUE},
        {SIZE_OF_DISK - 512, 1024, FALSE},
        {SIZE_OF_DISK, 512, FALSE},
        {SIZE_OF_DISK + 1, 0, FALSE},
        {-1, 0, FALSE},
        {-512, 512, FALSE},
        {INT64_MAX - 511, 512, FALSE},
        {100, 512, FALSE},
        {512, 100, FALSE},
        {0, UINT32_MAX - 511, FALSE},
    };
    VERIFY_INFORMATION Range;
    DISKS Disks;
    ULONG Index;

    Begin(&Disks);
    memset(&Range, 0, sizeof(Range));
    for (Index = 0; Index < RTL_NUMBER_OF(Ranges); Index++) {
        Range.StartingOffset.QuadPart = Ranges[Index].Offset;
        Range.Length = Ranges[Index].Length;
        CHECK_EQ(RigIoctl(Disks.DiskFile, IOCTL_DISK_VERIFY, &Range, sizeof(Range), NULL, 0, NULL),
                 Ranges[Index].IsGood ? STATUS_SUCCESS : STATUS_NONEXISTENT_SECTOR);
    }
    End(&Disks);
}

static const RIG_TEST Tests[] = {
    RIG_TEST(EachQuestionIsAnsweredAtEachLength, 1),
    RIG_TEST(ACodeThatIsNotKnownFillsNothing, 1),
    RIG_TEST(SizesAreTheDisks, 1),
    RIG_TEST(TheSmallestDiskHasACylinder, 1),
    RIG_TEST(WhetherItCanBeWrittenIsTold, 1),
    RIG_TEST(TheMediumIsAlwaysTheSame, 1),
    RIG_TEST(VerifyKnowsWhereTheDiskEnds, 1),
};

int main(int Count, char **Arguments)
{
    return RigMain(Count, Arguments, Tests, RTL_NUMBER_OF(Tests));
}
