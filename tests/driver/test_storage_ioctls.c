/* SPDX-License-Identifier: MIT */
/*
 * test_storage_ioctls.c - the questions that Windows asks a disk: each row of storage_rows.h with every length
 * from nothing to far too much, by handles without the right to ask; every code near them; and each field of each
 * answer, for disks of many sizes, both kinds of sectors, read-only and not, with TRIM and without. What TRIM
 * itself does is test_trim.c's, what the mount manager asks is test_mountdev.c's.
 */
#include <stddef.h>
#include <stdlib.h>

#include "rig.h"

#include <ntdddisk.h>
#include <ntddstor.h>

#include "tests/storage_rows.h"

/* -- a disk of some kind, without a server: none of these questions is for it -------------------- */

typedef struct SCENE {
    RIG_SERVER Server;
    RIG_DISK Disk;
    SIM_FILE *File;
    struct cm_mount Mount;
    struct storage_disk Kind;
    ULONG Requests; /* that the server has seen */
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
    Scene->Kind = (struct storage_disk){
        .read_only = (Flags & CM_MOUNT_READ_ONLY) != 0,
        .name_bytes = (uint32_t)strlen(Scene->Disk.Name) * sizeof(WCHAR),
    };
    Scene->Requests = 0;
}

/* What a disk is to the mount manager; Letter 0: it wants none. */
static VOID Identify(SCENE *Scene, USHORT Letter)
{
    struct cm_identify In = {.disk_id = Scene->Disk.Id, .letter = Letter};

    memset(In.unique_id, 0x11, sizeof(In.unique_id));
    CHECK_EQ(RigIoctl(Scene->Server.Control, CM_IOCTL_IDENTIFY, &In, sizeof(In), NULL, 0, NULL),
             STATUS_SUCCESS);
    Scene->Kind.identified = TRUE;
    Scene->Kind.letter = Letter != 0;
}

static VOID End(SCENE *Scene)
{
    struct cm_stats Stats;

    CHECK_EQ(RigStats(Scene->Server.Control, Scene->Disk.Id, &Stats), STATUS_SUCCESS);
    CHECK_EQ(Stats.requests, Scene->Requests);
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

static const UCHAR Zeros[4096];

static VOID TryLengths(SCENE *Scene, const struct storage_row *Row, ULONG In, ULONG Out)
{
    struct storage_answer Expected = storage_expect(Row, &Scene->Kind, In, Out);
    UCHAR Room[4096];
    NTSTATUS Status;
    ULONG_PTR Done;
    ULONG Index;

    memset(Room, 0x5A, sizeof(Room));
    Status = RigIoctl(Scene->File, Row->code, Zeros, In, Room, Out, &Done);
    if (Status != (NTSTATUS)Expected.status || Done != Expected.bytes)
        SimStop("%s, %u bytes in, %u out: 0x%x, %zu bytes; expected 0x%x, %u bytes", Row->name, In,
                Out, (ULONG)Status, (size_t)Done, Expected.status, Expected.bytes);
    for (Index = (ULONG)Done; Index < sizeof(Room); Index++)
        CHECK_EQ(Room[Index], 0x5A);
    for (Index = 0; Index < Done; Index++)
        CHECK(Room[Index] != 0xA5); /* what the I/O manager left there */
}

static VOID TryAllLengths(SCENE *Scene)
{
    ULONG Index, Length, Whole;

    for (Index = 0; Index < STORAGE_ROW_COUNT; Index++) {
        const struct storage_row *Row = &storage_rows[Index];
        Whole = storage_answer_size(Row, &Scene->Kind);
        for (Length = 0; Length <= Whole + 9; Length++) {
            TryLengths(Scene, Row, Row->in, Length);
            TryLengths(Scene, Row, Row->in + 200, Length);
        }
        for (Length = 0; Length <= Row->in + 9; Length++) {
            TryLengths(Scene, Row, Length, Whole);
            TryLengths(Scene, Row, Length, 0);
        }
        TryLengths(Scene, Row, 4096, 4096);
        TryLengths(Scene, Row, 4096, 0);
        TryLengths(Scene, Row, 0, 0);
        TryLengths(Scene, Row, 0, 4096);
    }
}

static VOID EachIoctlKeepsToItsLengths(VOID)
{
    SCENE Scene;

    Begin(&Scene, MIB, 512, CM_MOUNT_TRIM);
    TryAllLengths(&Scene);
    Identify(&Scene, 'Q');
    TryAllLengths(&Scene);
    Identify(&Scene, 0);
    TryAllLengths(&Scene);
    End(&Scene);
    Begin(&Scene, MIB, 4096, CM_MOUNT_READ_ONLY);
    Identify(&Scene, 'Q');
    TryAllLengths(&Scene);
    End(&Scene);
}

static VOID TryAccess(SCENE *Scene, const struct storage_row *Row, ACCESS_MASK Access)
{
    struct storage_answer Expected = storage_expect(Row, &Scene->Kind, Row->in, 256);
    BOOLEAN Denied = ((Row->access & STORAGE_READ) != 0 && (Access & GENERIC_READ) == 0) ||
                     ((Row->access & STORAGE_WRITE) != 0 && (Access & GENERIC_WRITE) == 0);
    NTSTATUS Status;
    UCHAR Room[256];
    SIM_FILE *File = SimOpen(Scene->Server.Process, Scene->Disk.Name, Access, &Status);

    CHECK_EQ(Status, STATUS_SUCCESS);
    CHECK_EQ(Row->access, Row->code >> 14 & 3);
    CHECK_EQ(RigIoctl(File, Row->code, Zeros, Row->in, Room, sizeof(Room), NULL),
             Denied ? STATUS_ACCESS_DENIED : (NTSTATUS)Expected.status);
    SimClose(File);
}

/* It is the I/O manager that refuses, by what the codes say; so this is about the codes. */
static VOID EachIoctlAsksForItsAccess(VOID)
{
    SCENE Scene;
    ULONG Index;

    Begin(&Scene, MIB, 512, CM_MOUNT_TRIM);
    for (Index = 0; Index < STORAGE_ROW_COUNT; Index++) {
        TryAccess(&Scene, &storage_rows[Index], FILE_READ_ATTRIBUTES);
        TryAccess(&Scene, &storage_rows[Index], GENERIC_READ);
        TryAccess(&Scene, &storage_rows[Index], GENERIC_WRITE);
        TryAccess(&Scene, &storage_rows[Index], GENERIC_READ | GENERIC_WRITE);
    }
    End(&Scene);
}

/* Nothing is written, and nothing is said. */
static VOID TryUnknown(SCENE *Scene, ULONG Code)
{
    UCHAR Room[64];
    NTSTATUS Status;
    ULONG_PTR Done;
    ULONG Index;

    memset(Room, 0x5A, sizeof(Room));
    Status = RigIoctl(Scene->File, Code, Zeros, sizeof(Room), Room, sizeof(Room), &Done);
    if (Status != STATUS_INVALID_DEVICE_REQUEST || Done != 0)
        SimStop("the unknown code 0x%x is answered with 0x%x", Code, (ULONG)Status);
    for (Index = 0; Index < sizeof(Room); Index++)
        CHECK_EQ(Room[Index], 0x5A);
}

/* All functions below 0x200 of these devices, with every method and access, but for the rows themselves. */
static VOID EveryOtherCodeNearIsRefused(VOID)
{
    static const ULONG Types[] = {FILE_DEVICE_DISK, FILE_DEVICE_MASS_STORAGE, 'V', 'M'};
    ULONG Type, Rest, Code, Tried = 0;
    SCENE Scene;

    Begin(&Scene, MIB, 512, CM_MOUNT_TRIM);
    Identify(&Scene, 'Q');
    for (Type = 0; Type < RTL_NUMBER_OF(Types); Type++) {
        for (Rest = 0; Rest < 0x200 * 16; Rest++) {
            Code = CTL_CODE(Types[Type], Rest >> 4, Rest & 3, Rest >> 2 & 3);
            if (!storage_is_known(Code)) {
                TryUnknown(&Scene, Code);
                Tried++;
            }
        }
    }
    CHECK(Tried > 4 * 0x200 * 16 - STORAGE_ROW_COUNT);
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
    STORAGE_READ_CAPACITY Capacity;
    DISK_GEOMETRY_EX Extended;
    DISK_GEOMETRY Geometry;

    Ask(Scene, IOCTL_DISK_GET_LENGTH_INFO, &Length, sizeof(Length));
    CHECK_EQ(Length.Length.QuadPart, Scene->Mount.size);
    Ask(Scene, IOCTL_DISK_GET_DRIVE_GEOMETRY, &Geometry, sizeof(Geometry));
    CheckGeometry(Scene, &Geometry);
    Ask(Scene, IOCTL_DISK_GET_DRIVE_GEOMETRY_EX, &Extended, 32);
    CheckGeometry(Scene, &Extended.Geometry);
    CHECK_EQ(Extended.DiskSize.QuadPart, Scene->Mount.size);
    Ask(Scene, IOCTL_STORAGE_READ_CAPACITY, &Capacity, sizeof(Capacity));
    CHECK_EQ(Capacity.Version, 32);
    CHECK_EQ(Capacity.Size, 32);
    CHECK_EQ(Capacity.BlockLength, Scene->Mount.sector_size);
    CHECK_EQ(Capacity.NumberOfBlocks.QuadPart, Scene->Mount.size / Scene->Mount.sector_size);
    CHECK_EQ(Capacity.DiskLength.QuadPart, Scene->Mount.size);
}

/* What follows the geometry: each part only where there is room for all of it. */
static VOID CheckGeometryExtensions(SCENE *Scene)
{
    struct {
        DISK_GEOMETRY Geometry;
        LARGE_INTEGER DiskSize;
        DISK_PARTITION_INFO Partition;
        DISK_DETECTION_INFO Detection;
    } More;
    static const DISK_PARTITION_INFO NoPartition;
    static const DISK_DETECTION_INFO NoDetection;

    memset(&More, 0, sizeof(More));
    Ask(Scene, IOCTL_DISK_GET_DRIVE_GEOMETRY_EX, &More, 55);
    CHECK(memcmp(&More.Partition, &NoPartition, 23) == 0);
    Ask(Scene, IOCTL_DISK_GET_DRIVE_GEOMETRY_EX, &More, 111);
    CHECK_EQ(More.Partition.SizeOfPartitionInfo, 24);
    CHECK_EQ(More.Partition.PartitionStyle, PARTITION_STYLE_MBR);
    CHECK_EQ(More.Partition.Mbr.Signature, 0);
    CHECK(memcmp(&More.Detection, &NoDetection, 55) == 0);
    Ask(Scene, IOCTL_DISK_GET_DRIVE_GEOMETRY_EX, &More, 112);
    CheckGeometry(Scene, &More.Geometry);
    CHECK_EQ(More.DiskSize.QuadPart, Scene->Mount.size);
    CHECK_EQ(More.Detection.SizeOfDetectInfo, 56);
    CHECK_EQ(More.Detection.DetectionType, DetectNone);
}

static VOID CheckMediaTypes(SCENE *Scene)
{
    ULONG Writes =
        (Scene->Mount.flags & CM_MOUNT_READ_ONLY) != 0 ? MEDIA_READ_ONLY : MEDIA_READ_WRITE;
    GET_MEDIA_TYPES Types;
    DISK_GEOMETRY Geometry;

    Ask(Scene, IOCTL_DISK_GET_MEDIA_TYPES, &Geometry, sizeof(Geometry));
    CheckGeometry(Scene, &Geometry);
    Ask(Scene, IOCTL_STORAGE_GET_MEDIA_TYPES, &Geometry, sizeof(Geometry));
    CheckGeometry(Scene, &Geometry);
    Ask(Scene, IOCTL_STORAGE_GET_MEDIA_TYPES_EX, &Types, sizeof(Types));
    CHECK_EQ(Types.DeviceType, FILE_DEVICE_DISK);
    CHECK_EQ(Types.MediaInfoCount, 1);
    memcpy(&Geometry, &Types.MediaInfo[0], sizeof(Geometry)); /* they begin in the same way */
    CheckGeometry(Scene, &Geometry);
    CHECK_EQ(Types.MediaInfo[0].DeviceSpecific.DiskInfo.NumberMediaSides, 1);
    CHECK_EQ(Types.MediaInfo[0].DeviceSpecific.DiskInfo.MediaCharacteristics,
             MEDIA_CURRENTLY_MOUNTED | Writes);
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
    DRIVE_LAYOUT_INFORMATION_EX LayoutEx, OtherLayoutEx;
    DRIVE_LAYOUT_INFORMATION Layout, OtherLayout;

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
    memset(&OtherLayout, 0, sizeof(OtherLayout));
    OtherLayout.PartitionCount = 1;
    OtherLayout.PartitionEntry[0] = Expected;
    Ask(Scene, IOCTL_DISK_GET_DRIVE_LAYOUT, &Layout, sizeof(Layout));
    CHECK(memcmp(&Layout, &OtherLayout, sizeof(Layout)) == 0);
    memset(&OtherLayoutEx, 0, sizeof(OtherLayoutEx));
    OtherLayoutEx.PartitionStyle = PARTITION_STYLE_MBR;
    OtherLayoutEx.PartitionCount = 1;
    memcpy(&OtherLayoutEx.PartitionEntry[0], &Other, sizeof(Other));
    Ask(Scene, IOCTL_DISK_GET_DRIVE_LAYOUT_EX, &LayoutEx, sizeof(LayoutEx));
    CHECK(memcmp(&LayoutEx, &OtherLayoutEx, sizeof(LayoutEx)) == 0);
}

static VOID CheckTheRest(SCENE *Scene)
{
    static const ULONG Verifies[] = {IOCTL_DISK_CHECK_VERIFY, IOCTL_STORAGE_CHECK_VERIFY,
                                     IOCTL_STORAGE_CHECK_VERIFY2};
    STORAGE_HOTPLUG_INFO Info, Fixed = {.Size = sizeof(Fixed)};
    DISK_CACHE_INFORMATION Cache;
    ULONG Index, Counter;
    BOOLEAN Clustered;
    ULONG_PTR Done;

    CHECK_EQ(RigIoctl(Scene->File, IOCTL_DISK_IS_WRITABLE, NULL, 0, NULL, 0, NULL),
             (Scene->Mount.flags & CM_MOUNT_READ_ONLY) != 0 ? STATUS_MEDIA_WRITE_PROTECTED
                                                            : STATUS_SUCCESS);
    Ask(Scene, IOCTL_STORAGE_GET_HOTPLUG_INFO, &Info, sizeof(Info));
    CHECK(memcmp(&Info, &Fixed, sizeof(Info)) == 0);
    Ask(Scene, IOCTL_DISK_GET_CACHE_INFORMATION, &Cache, sizeof(Cache));
    CHECK(memcmp(&Cache, Zeros, sizeof(Cache)) == 0);
    Ask(Scene, 0x700F8, &Clustered, 1); /* IS_CLUSTERED */
    CHECK_EQ(Clustered, FALSE);
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

static VOID CheckAll(SCENE *Scene)
{
    CheckSizes(Scene);
    CheckGeometryExtensions(Scene);
    CheckMediaTypes(Scene);
    CheckPartition(Scene);
    CheckTheRest(Scene);
    CheckVerify(Scene);
}

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
                CheckAll(&Scene);
                CheckDeviceProperty(&Scene);
                CheckOtherProperties(&Scene);
                End(&Scene);
            }
        }
    }
}

static VOID Resize(SCENE *Scene, ULONG64 Size)
{
    struct cm_resize In = {.disk_id = Scene->Disk.Id, .size = Size, .own_handles = 1};
    SIM_IO *Io = SimIoctl(Scene->Server.Control, CM_IOCTL_RESIZE, &In, sizeof(In), NULL, 0);
    struct cm_request Request;

    CHECK_EQ(RigFetch(&Scene->Disk, &Request, 1), 1);
    CHECK_EQ(Request.op, CM_OP_RESIZE);
    CHECK_EQ(RigReply(&Scene->Disk, Request.tag, CM_STATUS_OK, 0), STATUS_SUCCESS);
    CHECK_EQ(SimFinish(Io, NULL), STATUS_SUCCESS);
    Scene->Requests++;
    Scene->Mount.size = Size;
}

static VOID AnswersAreTheDisksAfterItsSizeHasChanged(VOID)
{
    SCENE Scene;

    Begin(&Scene, 10 * MIB, 512, CM_MOUNT_TRIM | CM_MOUNT_RESIZE);
    CheckAll(&Scene);
    Resize(&Scene, 5000ull * MIB + 512);
    CheckAll(&Scene);
    Resize(&Scene, 512);
    CheckAll(&Scene);
    End(&Scene);
}

/* What is taken and has no effect has none. */
static VOID WhatIsTakenForGrantedChangesNothing(VOID)
{
    UCHAR In[256];
    SCENE Scene;
    ULONG Index;

    Begin(&Scene, MIB, 512, CM_MOUNT_TRIM);
    memset(In, 0xFF, sizeof(In));
    for (Index = 0; Index < STORAGE_ROW_COUNT; Index++) {
        const struct storage_row *Row = &storage_rows[Index];
        if (Row->in == 0 || Row->answer != 0 || Row->code == IOCTL_DISK_VERIFY ||
            (Row->flags & STORAGE_ODD_INPUT) != 0)
            continue;
        CHECK_EQ(RigIoctl(Scene.File, Row->code, In, Row->in, NULL, 0, NULL), STATUS_SUCCESS);
    }
    CheckAll(&Scene);
    End(&Scene);
}

static const RIG_TEST Tests[] = {
    RIG_TEST(EachIoctlKeepsToItsLengths, 1),
    RIG_TEST(EachIoctlAsksForItsAccess, 1),
    RIG_TEST(EveryOtherCodeNearIsRefused, 1),
    RIG_TEST(EachPropertyKeepsToItsLengths, 1),
    RIG_TEST(PropertiesThatThereAreNotAreRefused, 1),
    RIG_TEST(AnswersAreTheDisks, 1),
    RIG_TEST(AnswersAreTheDisksAfterItsSizeHasChanged, 1),
    RIG_TEST(WhatIsTakenForGrantedChangesNothing, 1),
};

int main(int Count, char **Arguments)
{
    return RigMain(Count, Arguments, Tests, RTL_NUMBER_OF(Tests));
}
