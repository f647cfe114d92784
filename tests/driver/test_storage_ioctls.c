/* SPDX-License-Identifier: MIT */
/*
 * test_storage_ioctls.c - the questions that Windows asks a disk: each code with every length from nothing to far
 * too much, by handles without the right to ask; and each field of each answer, for disks of many sizes, both
 * kinds of sectors, read-only and not, with TRIM and without. What TRIM itself does is test_trim.c's.
 */
#include <stddef.h>
#include <stdlib.h>

#include "rig.h"

#include <ntdddisk.h>
#include <ntddstor.h>

/* -- a disk of some kind, without a server: none of these questions is for it -------------------- */

typedef struct SCENE {
    RIG_SERVER Server;
    RIG_DISK Disk;
    SIM_FILE *File;
    struct cm_mount Mount;
} SCENE;

static VOID Begin(SCENE *Scene, ULONG64 Size, ULONG Sector, ULONG Flags)
{
    Scene->Server = RigStartServer();
    RigMountDefaults(&Scene->Mount, Size);
    Scene->Mount.sector_size = Sector;
    Scene->Mount.flags = Flags;
    CHECK_EQ(RigMountOnly(Scene->Server.Control, &Scene->Mount, &Scene->Disk), STATUS_SUCCESS);
    CHECK_EQ(RigGiveArena(&Scene->Disk), STATUS_SUCCESS);
    Scene->File = RigOpenDisk(Scene->Server.Process, &Scene->Disk);
}

static VOID End(SCENE *Scene)
{
    struct cm_stats Stats;

    CHECK_EQ(RigStats(Scene->Server.Control, Scene->Disk.Id, &Stats), STATUS_SUCCESS);
    CHECK_EQ(Stats.requests, 0);
    SimClose(Scene->File);
    RigStopServer(&Scene->Server);
    RigForget(&Scene->Disk);
}

/* With room for exactly so much; nothing behind what is returned is touched. */
static VOID Ask(SCENE *Scene, ULONG Code, PVOID Out, ULONG Size)
{
    UCHAR Room[512];
    ULONG_PTR Done;
    ULONG Index;

    memset(Room, 0x5A, sizeof(Room));
    CHECK_EQ(RigIoctl(Scene->File, Code, NULL, 0, Room, Size, &Done), STATUS_SUCCESS);
    CHECK_EQ(Done, Size);
    for (Index = Size; Index < sizeof(Room); Index++)
        CHECK_EQ(Room[Index], 0x5A);
    memcpy(Out, Room, Size);
}

/* -- lengths and access ------------------------------------------------------------------------ */

typedef struct ROW {
    ULONG Code, In, Out; /* least lengths */
    ULONG Most;          /* that is returned; where it is more than Out */
    BOOLEAN Reads;       /* what the code asks of its handle */
    BOOLEAN Writes;
} ROW;

static const ROW Rows[] = {
    {IOCTL_DISK_GET_LENGTH_INFO, 0, 8, 0, TRUE, FALSE},
    {IOCTL_DISK_GET_DRIVE_GEOMETRY, 0, 24, 0, FALSE, FALSE},
    {IOCTL_DISK_GET_DRIVE_GEOMETRY_EX, 0, 32, 112, FALSE, FALSE},
    {IOCTL_DISK_GET_MEDIA_TYPES, 0, 24, 0, FALSE, FALSE},
    {IOCTL_STORAGE_GET_MEDIA_TYPES, 0, 24, 0, FALSE, FALSE},
    {IOCTL_DISK_GET_PARTITION_INFO, 0, 32, 0, TRUE, FALSE},
    {IOCTL_DISK_GET_PARTITION_INFO_EX, 0, 144, 0, FALSE, FALSE},
    {IOCTL_DISK_SET_PARTITION_INFO, 1, 0, 0, TRUE, TRUE},
    {IOCTL_DISK_SET_PARTITION_INFO_EX, 120, 0, 0, TRUE, TRUE},
    {IOCTL_DISK_IS_WRITABLE, 0, 0, 0, FALSE, FALSE},
    {IOCTL_DISK_VERIFY, 16, 0, 0, FALSE, FALSE},
    {IOCTL_DISK_MEDIA_REMOVAL, 1, 0, 0, TRUE, FALSE},
    {IOCTL_STORAGE_MEDIA_REMOVAL, 1, 0, 0, TRUE, FALSE},
    {IOCTL_STORAGE_EJECTION_CONTROL, 1, 0, 0, FALSE, FALSE},
    {IOCTL_STORAGE_GET_HOTPLUG_INFO, 0, 8, 0, FALSE, FALSE},
};

static VOID TryLengths(SCENE *Scene, const ROW *Row, ULONG In, ULONG Out)
{
    static const UCHAR Zeros[4096];
    NTSTATUS Expected = STATUS_SUCCESS, Status;
    ULONG_PTR Done, Least = 0, Most = 0;
    UCHAR Room[4096];
    ULONG Index;

    if (In < Row->In)
        Expected = STATUS_INFO_LENGTH_MISMATCH;
    else if (Out < Row->Out)
        Expected = STATUS_BUFFER_TOO_SMALL;
    else
        Least = Row->Out, Most = max(Row->Out, Row->Most);
    memset(Room, 0x5A, sizeof(Room));
    Status = RigIoctl(Scene->File, Row->Code, Zeros, In, Room, Out, &Done);
    if (Status != Expected || Done < Least || Done > Most)
        SimStop("code 0x%x, %u bytes in, %u out: 0x%x, %zu bytes", Row->Code, In, Out,
                (ULONG)Status, (size_t)Done);
    for (Index = (ULONG)Done; Index < sizeof(Room); Index++)
        CHECK_EQ(Room[Index], 0x5A);
    for (Index = 0; Index < Done; Index++)
        CHECK(Room[Index] != 0xA5); /* what the I/O manager left there */
}

static VOID EachIoctlKeepsToItsLengths(VOID)
{
    SCENE Scene;
    ULONG Index, Length;

    Begin(&Scene, MIB, 512, CM_MOUNT_TRIM);
    for (Index = 0; Index < RTL_NUMBER_OF(Rows); Index++) {
        const ROW *Row = &Rows[Index];
        for (Length = 0; Length <= max(Row->Out, Row->Most) + 9; Length++) {
            TryLengths(&Scene, Row, Row->In, Length);
            TryLengths(&Scene, Row, Row->In + 200, Length);
        }
        for (Length = 0; Length <= Row->In + 9; Length++) {
            TryLengths(&Scene, Row, Length, Row->Out);
            TryLengths(&Scene, Row, Length, 0);
        }
        TryLengths(&Scene, Row, 4096, 4096);
    }
    End(&Scene);
}

static VOID TryAccess(SCENE *Scene, const ROW *Row, ACCESS_MASK Access)
{
    static const UCHAR Zeros[256];
    BOOLEAN Denied = (Row->Reads && (Access & GENERIC_READ) == 0) ||
                     (Row->Writes && (Access & GENERIC_WRITE) == 0);
    NTSTATUS Status;
    UCHAR Room[256];
    SIM_FILE *File = SimOpen(Scene->Server.Process, Scene->Disk.Name, Access, &Status);

    CHECK_EQ(Status, STATUS_SUCCESS);
    CHECK_EQ(RigIoctl(File, Row->Code, Zeros, Row->In, Room, Row->Out, NULL),
             Denied ? STATUS_ACCESS_DENIED : STATUS_SUCCESS);
    SimClose(File);
}

static VOID EachIoctlAsksForItsAccess(VOID)
{
    SCENE Scene;
    ULONG Index;

    Begin(&Scene, MIB, 512, CM_MOUNT_TRIM);
    for (Index = 0; Index < RTL_NUMBER_OF(Rows); Index++) {
        TryAccess(&Scene, &Rows[Index], FILE_READ_ATTRIBUTES);
        TryAccess(&Scene, &Rows[Index], GENERIC_READ);
        TryAccess(&Scene, &Rows[Index], GENERIC_WRITE);
        TryAccess(&Scene, &Rows[Index], GENERIC_READ | GENERIC_WRITE);
    }
    End(&Scene);
}

/* -- answers ----------------------------------------------------------------------------------- */

static VOID CheckGeometry(const SCENE *Scene, const DISK_GEOMETRY *Geometry)
{
    ULONG64 Cylinder = 255 * 63 * (ULONG64)Scene->Mount.sector_size;

    CHECK_EQ(Geometry->BytesPerSector, Scene->Mount.sector_size);
    CHECK_EQ(Geometry->TracksPerCylinder, 255);
    CHECK_EQ(Geometry->SectorsPerTrack, 63);
    CHECK_EQ(Geometry->MediaType, FixedMedia);
    CHECK_EQ(Geometry->Cylinders.QuadPart,
             Scene->Mount.size < Cylinder ? 1 : Scene->Mount.size / Cylinder);
}

static VOID CheckSizes(SCENE *Scene)
{
    GET_LENGTH_INFORMATION Length;
    DISK_GEOMETRY_EX Extended;
    DISK_GEOMETRY Geometry;

    Ask(Scene, IOCTL_DISK_GET_LENGTH_INFO, &Length, sizeof(Length));
    CHECK_EQ(Length.Length.QuadPart, Scene->Mount.size);
    Ask(Scene, IOCTL_DISK_GET_DRIVE_GEOMETRY, &Geometry, sizeof(Geometry));
    CheckGeometry(Scene, &Geometry);
    Ask(Scene, IOCTL_DISK_GET_MEDIA_TYPES, &Geometry, sizeof(Geometry));
    CheckGeometry(Scene, &Geometry);
    Ask(Scene, IOCTL_STORAGE_GET_MEDIA_TYPES, &Geometry, sizeof(Geometry));
    CheckGeometry(Scene, &Geometry);
    Ask(Scene, IOCTL_DISK_GET_DRIVE_GEOMETRY_EX, &Extended, 32);
    CheckGeometry(Scene, &Extended.Geometry);
    CHECK_EQ(Extended.DiskSize.QuadPart, Scene->Mount.size);
}

static VOID CheckPartition(SCENE *Scene)
{
    PARTITION_INFORMATION Expected = {
        .PartitionLength.QuadPart = (LONGLONG)Scene->Mount.size,
        .PartitionNumber = 1,
        .PartitionType = PARTITION_IFS,
        .RecognizedPartition = TRUE,
    };
    PARTITION_INFORMATION Partition;
    PARTITION_INFORMATION_EX Extended, Other;

    Ask(Scene, IOCTL_DISK_GET_PARTITION_INFO, &Partition, sizeof(Partition));
    CHECK(memcmp(&Partition, &Expected, sizeof(Expected)) == 0);
    memset(&Other, 0, sizeof(Other));
    Other.PartitionStyle = PARTITION_STYLE_MBR;
    Other.PartitionLength.QuadPart = (LONGLONG)Scene->Mount.size;
    Other.PartitionNumber = 1;
    Other.Mbr.PartitionType = PARTITION_IFS;
    Other.Mbr.RecognizedPartition = TRUE;
    Ask(Scene, IOCTL_DISK_GET_PARTITION_INFO_EX, &Extended, sizeof(Extended));
    CHECK(memcmp(&Extended, &Other, sizeof(Other)) == 0);
}

static VOID CheckTheRest(SCENE *Scene)
{
    static const ULONG Verifies[] = {IOCTL_DISK_CHECK_VERIFY, IOCTL_STORAGE_CHECK_VERIFY,
                                     IOCTL_STORAGE_CHECK_VERIFY2};
    STORAGE_HOTPLUG_INFO Info, Fixed = {.Size = sizeof(Fixed)};
    ULONG Index, Counter;
    ULONG_PTR Done;

    CHECK_EQ(RigIoctl(Scene->File, IOCTL_DISK_IS_WRITABLE, NULL, 0, NULL, 0, NULL),
             (Scene->Mount.flags & CM_MOUNT_READ_ONLY) != 0 ? STATUS_MEDIA_WRITE_PROTECTED
                                                            : STATUS_SUCCESS);
    Ask(Scene, IOCTL_STORAGE_GET_HOTPLUG_INFO, &Info, sizeof(Info));
    CHECK(memcmp(&Info, &Fixed, sizeof(Info)) == 0);
    for (Index = 0; Index < RTL_NUMBER_OF(Verifies); Index++) {
        Ask(Scene, Verifies[Index], &Counter, 0);
        Ask(Scene, Verifies[Index], &Counter, 4);
        CHECK_EQ(Counter, 0);
        for (Counter = 1; Counter < 4; Counter++)
            CHECK_EQ(RigIoctl(Scene->File, Verifies[Index], NULL, 0, &Info, Counter, &Done),
                     STATUS_BUFFER_TOO_SMALL);
        CHECK_EQ(Done, 0);
    }
}

static NTSTATUS TryVerify(SCENE *Scene, LONGLONG Offset, ULONG Length)
{
    VERIFY_INFORMATION Range = {.StartingOffset.QuadPart = Offset, .Length = Length};

    return RigIoctl(Scene->File, IOCTL_DISK_VERIFY, &Range, sizeof(Range), NULL, 0, NULL);
}

static VOID CheckVerify(SCENE *Scene)
{
    LONGLONG Size = (LONGLONG)Scene->Mount.size;
    ULONG Sector = Scene->Mount.sector_size;

    CHECK_EQ(TryVerify(Scene, 0, Sector), STATUS_SUCCESS);
    CHECK_EQ(TryVerify(Scene, Size - Sector, Sector), STATUS_SUCCESS);
    CHECK_EQ(TryVerify(Scene, 0, 0), STATUS_SUCCESS);
    CHECK_EQ(TryVerify(Scene, Size, 0), STATUS_SUCCESS);
    CHECK_EQ(TryVerify(Scene, Size + 1, 0), STATUS_NONEXISTENT_SECTOR);
    CHECK_EQ(TryVerify(Scene, Size, Sector), STATUS_NONEXISTENT_SECTOR);
    CHECK_EQ(TryVerify(Scene, Size - Sector, 2 * Sector), STATUS_NONEXISTENT_SECTOR);
    CHECK_EQ(TryVerify(Scene, 1, Sector), STATUS_NONEXISTENT_SECTOR);
    CHECK_EQ(TryVerify(Scene, 0, Sector - 1), STATUS_NONEXISTENT_SECTOR);
    CHECK_EQ(TryVerify(Scene, -1, 0), STATUS_NONEXISTENT_SECTOR);
    CHECK_EQ(TryVerify(Scene, -(LONGLONG)Sector, Sector), STATUS_NONEXISTENT_SECTOR);
    CHECK_EQ(TryVerify(Scene, INT64_MIN, 0), STATUS_NONEXISTENT_SECTOR);
    CHECK_EQ(TryVerify(Scene, INT64_MAX, 0), STATUS_NONEXISTENT_SECTOR);
    CHECK_EQ(TryVerify(Scene, INT64_MAX - Sector + 1, Sector), STATUS_NONEXISTENT_SECTOR);
    CHECK_EQ(TryVerify(Scene, INT64_MAX - Sector + 1, 0x80000000u), STATUS_NONEXISTENT_SECTOR);
    CHECK_EQ(TryVerify(Scene, 0, UINT32_MAX), STATUS_NONEXISTENT_SECTOR);
}

/* -- properties -------------------------------------------------------------------------------- */

static NTSTATUS Query(SCENE *Scene, ULONG Id, ULONG Type, PVOID Out, ULONG OutLength,
                      ULONG_PTR *Done)
{
    STORAGE_PROPERTY_QUERY In = {.PropertyId = (STORAGE_PROPERTY_ID)Id,
                                 .QueryType = (STORAGE_QUERY_TYPE)Type};

    return RigIoctl(Scene->File, IOCTL_STORAGE_QUERY_PROPERTY, &In, sizeof(In), Out, OutLength,
                    Done);
}

static VOID CheckDeviceProperty(SCENE *Scene)
{
    UCHAR Out[256];
    const STORAGE_DEVICE_DESCRIPTOR *Device = (const STORAGE_DEVICE_DESCRIPTOR *)Out;
    ULONG_PTR Done;

    CHECK_EQ(Query(Scene, StorageDeviceProperty, 0, Out, sizeof(Out), &Done), STATUS_SUCCESS);
    CHECK_EQ(Device->Version, sizeof(*Device));
    CHECK_EQ(Device->Size, Done);
    CHECK_EQ(Device->DeviceType, 0);
    CHECK_EQ(Device->DeviceTypeModifier, 0);
    CHECK_EQ(Device->RemovableMedia, FALSE);
    CHECK_EQ(Device->CommandQueueing, TRUE);
    CHECK_EQ(Device->BusType, BusTypeVirtual);
    CHECK_EQ(Device->SerialNumberOffset, 0);
    CHECK_EQ(Device->RawPropertiesLength, 0);
    CHECK(Done < sizeof(Out));
    Out[Done] = 'x'; /* the strings end by themselves */
    CHECK(strcmp((char *)Out + Device->VendorIdOffset, "CoreMnt") == 0);
    CHECK(strcmp((char *)Out + Device->ProductIdOffset, "Virtual Disk") == 0);
    CHECK(Device->ProductRevisionOffset + strlen((char *)Out + Device->ProductRevisionOffset) <
          Done);
}

static VOID CheckOtherProperties(SCENE *Scene)
{
    BOOLEAN Trims =
        (Scene->Mount.flags & CM_MOUNT_TRIM) != 0 && (Scene->Mount.flags & CM_MOUNT_READ_ONLY) == 0;
    STORAGE_ACCESS_ALIGNMENT_DESCRIPTOR Alignment;
    DEVICE_SEEK_PENALTY_DESCRIPTOR Seek;
    STORAGE_ADAPTER_DESCRIPTOR Adapter;
    DEVICE_TRIM_DESCRIPTOR Trim;

    CHECK_EQ(Query(Scene, StorageAdapterProperty, 0, &Adapter, sizeof(Adapter), NULL), 0);
    CHECK_EQ(Adapter.AlignmentMask, 0);
    CHECK(Adapter.MaximumTransferLength >= MIB);
    CHECK_EQ(Adapter.MaximumPhysicalPages, Adapter.MaximumTransferLength / 4096);
    CHECK_EQ(Adapter.BusType, BusTypeVirtual);
    CHECK_EQ(Query(Scene, StorageAccessAlignmentProperty, 0, &Alignment, sizeof(Alignment), NULL),
             0);
    CHECK_EQ(Alignment.BytesPerLogicalSector, Scene->Mount.sector_size);
    CHECK_EQ(Alignment.BytesPerPhysicalSector, 4096);
    CHECK_EQ(Alignment.BytesOffsetForSectorAlignment, 0);
    CHECK_EQ(Alignment.BytesPerCacheLine, 0);
    CHECK_EQ(Query(Scene, StorageDeviceSeekPenaltyProperty, 0, &Seek, sizeof(Seek), NULL), 0);
    CHECK_EQ(Seek.IncursSeekPenalty, FALSE);
    CHECK_EQ(Query(Scene, StorageDeviceTrimProperty, 0, &Trim, sizeof(Trim), NULL), 0);
    CHECK_EQ(Trim.TrimEnabled, Trims);
}

/* A header alone where there is no room for all; nothing where there is not even that. */
static VOID EachPropertyKeepsToItsLengths(VOID)
{
    static const struct {
        ULONG Id, Size;
    } Properties[] = {{0, 0}, {1, 32}, {6, 28}, {7, 12}, {8, 12}};
    STORAGE_DESCRIPTOR_HEADER *Header;
    UCHAR Out[256], In[4096] = {0};
    ULONG Index, Length, Size;
    ULONG_PTR Done;
    SCENE Scene;

    Begin(&Scene, MIB, 512, CM_MOUNT_TRIM);
    Header = (STORAGE_DESCRIPTOR_HEADER *)Out;
    for (Index = 0; Index < RTL_NUMBER_OF(Properties); Index++) {
        CHECK_EQ(Query(&Scene, Properties[Index].Id, PropertyExistsQuery, NULL, 0, &Done), 0);
        CHECK_EQ(Done, 0);
        CHECK_EQ(Query(&Scene, Properties[Index].Id, 0, Out, sizeof(Out), &Done), 0);
        Size = Header->Size;
        CHECK_EQ(Done, Size);
        CHECK(Properties[Index].Size == 0 || Properties[Index].Size == Size);
        for (Length = 0; Length < sizeof(Out); Length++) {
            memset(Out, 0x5A, sizeof(Out));
            CHECK_EQ(Query(&Scene, Properties[Index].Id, 0, Out, Length, &Done),
                     Length < 8 ? STATUS_BUFFER_TOO_SMALL : STATUS_SUCCESS);
            CHECK_EQ(Done, Length < 8 ? 0 : Length < Size ? 8 : Size);
            CHECK(Length < 8 || Header->Size == Size);
            CHECK_EQ(Out[Done], 0x5A);
            CHECK(memchr(Out, 0xA5, sizeof(Out)) == NULL);
        }
    }
    for (Length = 0; Length < 8; Length++)
        CHECK_EQ(RigIoctl(Scene.File, IOCTL_STORAGE_QUERY_PROPERTY, In, Length, Out, 256, NULL),
                 STATUS_INFO_LENGTH_MISMATCH);
    CHECK_EQ(RigIoctl(Scene.File, IOCTL_STORAGE_QUERY_PROPERTY, In, 8, Out, 256, NULL), 0);
    CHECK_EQ(RigIoctl(Scene.File, IOCTL_STORAGE_QUERY_PROPERTY, In, 4096, Out, 256, NULL), 0);
    End(&Scene);
}

static VOID PropertiesThatThereAreNotAreRefused(VOID)
{
    static const ULONG Types[] = {2, 3, 0x80000000u, UINT32_MAX};
    UCHAR Out[256];
    ULONG Id, Type;
    ULONG_PTR Done;
    SCENE Scene;

    Begin(&Scene, MIB, 512, CM_MOUNT_TRIM);
    for (Id = 0; Id < 64; Id++) {
        if (Id <= 1 || (Id >= 6 && Id <= 8))
            continue;
        for (Type = 0; Type < 4; Type++)
            CHECK_EQ(Query(&Scene, Id, Type, Out, sizeof(Out), &Done), STATUS_NOT_SUPPORTED);
        CHECK_EQ(Done, 0);
    }
    CHECK_EQ(Query(&Scene, UINT32_MAX, 0, Out, sizeof(Out), NULL), STATUS_NOT_SUPPORTED);
    CHECK_EQ(Query(&Scene, 0x80000000u, 1, Out, sizeof(Out), NULL), STATUS_NOT_SUPPORTED);
    for (Type = 0; Type < RTL_NUMBER_OF(Types); Type++)
        CHECK_EQ(Query(&Scene, 0, Types[Type], Out, sizeof(Out), NULL), STATUS_NOT_SUPPORTED);
    End(&Scene);
}

/* -- all of it, for many disks ----------------------------------------------------------------- */

static VOID AnswersAreTheDisks(VOID)
{
    static const ULONG64 Sectors[] = {1,
                                      2,
                                      255 * 63 - 1,
                                      255 * 63,
                                      255 * 63 + 1,
                                      2 * 255 * 63 - 1,
                                      UINT64_C(0xFFFFFFFF),
                                      UINT64_C(0x100000000),
                                      CM_MAX_DISK_SIZE / 4096};
    SCENE Scene;
    ULONG Index, Sector, Flags;

    for (Index = 0; Index < RTL_NUMBER_OF(Sectors); Index++) {
        for (Sector = 512; Sector <= 4096; Sector *= 8) {
            for (Flags = 0; Flags <= CM_MOUNT_ALL_FLAGS; Flags++) {
                Begin(&Scene, Sectors[Index] * Sector, Sector, Flags);
                CheckSizes(&Scene);
                CheckPartition(&Scene);
                CheckTheRest(&Scene);
                CheckVerify(&Scene);
                CheckDeviceProperty(&Scene);
                CheckOtherProperties(&Scene);
                End(&Scene);
            }
        }
    }
}

/* What is taken and has no effect has none. */
static VOID WhatIsTakenForGrantedChangesNothing(VOID)
{
    UCHAR In[256];
    SCENE Scene;
    ULONG Index;

    Begin(&Scene, MIB, 512, CM_MOUNT_TRIM);
    memset(In, 0xFF, sizeof(In));
    for (Index = 0; Index < RTL_NUMBER_OF(Rows); Index++)
        if (Rows[Index].In != 0 && Rows[Index].Code != IOCTL_DISK_VERIFY)
            CHECK_EQ(RigIoctl(Scene.File, Rows[Index].Code, In, Rows[Index].In, NULL, 0, NULL),
                     STATUS_SUCCESS);
    CheckPartition(&Scene);
    CheckTheRest(&Scene);
    End(&Scene);
}

static const RIG_TEST Tests[] = {
    RIG_TEST(EachIoctlKeepsToItsLengths, 1),
    RIG_TEST(EachIoctlAsksForItsAccess, 1),
    RIG_TEST(EachPropertyKeepsToItsLengths, 1),
    RIG_TEST(PropertiesThatThereAreNotAreRefused, 1),
    RIG_TEST(AnswersAreTheDisks, 1),
    RIG_TEST(WhatIsTakenForGrantedChangesNothing, 1),
};

int main(int Count, char **Arguments)
{
    return RigMain(Count, Arguments, Tests, RTL_NUMBER_OF(Tests));
}
