/* SPDX-License-Identifier: MIT */
/* test_disk_properties.c - IOCTL_STORAGE_QUERY_PROPERTY: which there are, what they say, and at which length. */
#include <stdlib.h>
#include <string.h>

#include "rig.h"

#define FILLER 0x5A
#define HEAD FIELD_OFFSET(STORAGE_PROPERTY_QUERY, AdditionalParameters)

typedef struct SCENE {
    RIG_SERVER Server;
    RIG_DISK Disk;
    SIM_FILE *File;
} SCENE;

static VOID Begin(SCENE *Scene, ULONG Flags, ULONG SectorSize)
{
    struct cm_mount Mount;

    Scene->Server = RigStartServer();
    RigMountDefaults(&Mount, MIB);
    Mount.flags = Flags;
    Mount.sector_size = SectorSize;
    CHECK_EQ(RigMountOnly(Scene->Server.Control, &Mount, &Scene->Disk), STATUS_SUCCESS);
    CHECK_EQ(RigGiveArena(&Scene->Disk), STATUS_SUCCESS);
    Scene->File = RigOpenDisk(Scene->Server.Process, &Scene->Disk);
}

static VOID End(SCENE *Scene)
{
    SimClose(Scene->File);
    CHECK_EQ(RigUnmount(Scene->Server.Control, Scene->Disk.Id, 0), STATUS_SUCCESS);
    RigForget(&Scene->Disk);
    RigStopServer(&Scene->Server);
}

static NTSTATUS Query(SCENE *Scene, ULONG Property, ULONG Type, PVOID Out, ULONG OutLength,
                      ULONG_PTR *Done)
{
    STORAGE_PROPERTY_QUERY In = {.PropertyId = (STORAGE_PROPERTY_ID)Property,
                                 .QueryType = (STORAGE_QUERY_TYPE)Type};

    return RigIoctl(Scene->File, IOCTL_STORAGE_QUERY_PROPERTY, &In, sizeof(In), Out, OutLength,
                    Done);
}

/* The properties that there are, and how long the fixed part of each is. */
static const struct {
    STORAGE_PROPERTY_ID Id;
    ULONG Version;
} Known[] = {
    {StorageDeviceProperty, sizeof(STORAGE_DEVICE_DESCRIPTOR)},
    {StorageAdapterProperty, sizeof(STORAGE_ADAPTER_DESCRIPTOR)},
    {StorageAccessAlignmentProperty, sizeof(STORAGE_ACCESS_ALIGNMENT_DESCRIPTOR)},
    {StorageDeviceSeekPenaltyProperty, sizeof(DEVICE_SEEK_PENALTY_DESCRIPTOR)},
    {StorageDeviceTrimProperty, sizeof(DEVICE_TRIM_DESCRIPTOR)},
};

static BOOLEAN IsKnown(ULONG Id)
{
    ULONG Index;

    for (Index = 0; Index < RTL_NUMBER_OF(Known); Index++)
        if ((ULONG)Known[Index].Id == Id)
            return TRUE;
    return FALSE;
}

static VOID ThereAreTheseAndNoOthers(VOID)
{
    static const ULONG Odd[] = {64, 1000, INT32_MAX, UINT32_MAX, 0x80000000u};
    ULONG_PTR Done;
    UCHAR Out[256];
    SCENE Scene;
    ULONG Id;

    Begin(&Scene, CM_MOUNT_TRIM, CM_SECTOR_SIZE_SMALL);
    for (Id = 0; Id < 64; Id++) {
        NTSTATUS Expected = IsKnown(Id) ? STATUS_SUCCESS : STATUS_NOT_SUPPORTED;
        CHECK_EQ(Query(&Scene, Id, PropertyExistsQuery, NULL, 0, &Done), Expected);
        CHECK_EQ(Done, 0);
        CHECK_EQ(Query(&Scene, Id, PropertyStandardQuery, Out, sizeof(Out), &Done), Expected);
        CHECK((Done != 0) == NT_SUCCESS(Expected));
    }
    for (Id = 0; Id < RTL_NUMBER_OF(Odd); Id++)
        CHECK_EQ(Query(&Scene, Odd[Id], PropertyStandardQuery, Out, sizeof(Out), &Done),
                 STATUS_NOT_SUPPORTED);
    End(&Scene);
}

static VOID OnlyTwoKindsOfQueriesAreAnswered(VOID)
{
    static const ULONG Types[] = {PropertyMaskQuery, 3, 100, UINT32_MAX};
    UCHAR Out[256];
    ULONG_PTR Done;
    ULONG Index;
    SCENE Scene;

    Begin(&Scene, CM_MOUNT_TRIM, CM_SECTOR_SIZE_SMALL);
    for (Index = 0; Index < RTL_NUMBER_OF(Types); Index++) {
        CHECK_EQ(Query(&Scene, StorageDeviceProperty, Types[Index], Out, sizeof(Out), &Done),
                 STATUS_NOT_SUPPORTED);
        CHECK_EQ(Done, 0);
    }
    End(&Scene);
}

static VOID AQuestionThatIsTooShortIsRefused(VOID)
{
    STORAGE_PROPERTY_QUERY In = {.PropertyId = StorageDeviceTrimProperty};
    UCHAR Out[256];
    ULONG_PTR Done;
    ULONG Length;
    SCENE Scene;

    Begin(&Scene, CM_MOUNT_TRIM, CM_SECTOR_SIZE_SMALL);
    for (Length = 0; Length <= sizeof(In); Length++) {
        NTSTATUS Expected = Length < HEAD ? STATUS_INFO_LENGTH_MISMATCH : STATUS_SUCCESS;
        CHECK_EQ(RigIoctl(Scene.File, IOCTL_STORAGE_QUERY_PROPERTY, Length != 0 ? &In : NULL,
                          Length, Out, sizeof(Out), &Done),
                 Expected);
        CHECK((Done != 0) == NT_SUCCESS(Expected));
    }
    End(&Scene);
}

/* With too little room the head alone, which tells how much there is; and never half of an answer. */
static VOID TryLength(SCENE *Scene, ULONG Index, ULONG Size, ULONG Length)
{
    const STORAGE_DESCRIPTOR_HEADER *Header;
    PUCHAR Out = malloc(Length + 1);
    ULONG Expected = 0, At;
    NTSTATUS Status;
    ULONG_PTR Done;

    memset(Out, FILLER, Length + 1);
    Status = Query(Scene, Known[Index].Id, PropertyStandardQuery, Length != 0 ? Out : NULL, Length,
                   &Done);
    CHECK_EQ(Status, Length < sizeof(*Header) ? STATUS_BUFFER_TOO_SMALL : STATUS_SUCCESS);
    if (Length >= sizeof(*Header)) {
        Header = (PVOID)Out;
        Expected = Length < Size ? (ULONG)sizeof(*Header) : Size;
        CHECK_EQ(Header->Version, Known[Index].Version);
        CHECK_EQ(Header->Size, Size);
    }
    CHECK_EQ(Done, Expected);
    for (At = Expected; At <= Length; At++)
        CHECK_EQ(Out[At], FILLER);
    free(Out);
}

static VOID EachIsAnsweredAtEachLength(VOID)
{
    STORAGE_DESCRIPTOR_HEADER Header;
    ULONG Index, Length;
    SCENE Scene;

    Begin(&Scene, CM_MOUNT_TRIM, CM_SECTOR_SIZE_SMALL);
    for (Index = 0; Index < RTL_NUMBER_OF(Known); Index++) {
        CHECK_EQ(
            Query(&Scene, Known[Index].Id, PropertyStandardQuery, &Header, sizeof(Header), NULL),
            STATUS_SUCCESS);
        CHECK(Header.Size >= Known[Index].Version);
        CHECK(Header.Size <= 256);
        for (Length = 0; Length <= Header.Size + 8; Length++)
            TryLength(&Scene, Index, Header.Size, Length);
    }
    End(&Scene);
}

/* The string at an offset of a descriptor lies in it, and ends in it. */
static VOID CheckString(const UCHAR *Out, ULONG Size, ULONG Offset, const char *Expected)
{
    CHECK(Offset >= FIELD_OFFSET(STORAGE_DEVICE_DESCRIPTOR, RawDeviceProperties));
    CHECK(Offset < Size && memchr(Out + Offset, 0, Size - Offset) != NULL);
    CHECK(strcmp((const char *)Out + Offset, Expected) == 0);
}

static VOID TheDeviceIsAVirtualDiskThatStays(VOID)
{
    union {
        STORAGE_DEVICE_DESCRIPTOR Device;
        STORAGE_ADAPTER_DESCRIPTOR Adapter;
        DEVICE_SEEK_PENALTY_DESCRIPTOR SeekPenalty;
        UCHAR Bytes[256];
    } Out;
    SCENE Scene;

    Begin(&Scene, CM_MOUNT_TRIM, CM_SECTOR_SIZE_SMALL);
    CHECK_EQ(Query(&Scene, StorageDeviceProperty, 0, &Out, sizeof(Out), NULL), STATUS_SUCCESS);
    CHECK_EQ(Out.Device.DeviceType, 0);
    CHECK(!Out.Device.RemovableMedia);
    CHECK_EQ(Out.Device.BusType, BusTypeVirtual);
    CheckString(Out.Bytes, Out.Device.Size, Out.Device.VendorIdOffset, "CoreMnt");
    CheckString(Out.Bytes, Out.Device.Size, Out.Device.ProductIdOffset, "Virtual Disk");
    CheckString(Out.Bytes, Out.Device.Size, Out.Device.ProductRevisionOffset, "0.1");
    CHECK_EQ(Out.Device.SerialNumberOffset, 0);
    CHECK_EQ(Query(&Scene, StorageAdapterProperty, 0, &Out, sizeof(Out), NULL), STATUS_SUCCESS);
    CHECK(Out.Adapter.MaximumTransferLength >= MIB);
    CHECK_EQ(Out.Adapter.MaximumPhysicalPages, Out.Adapter.MaximumTransferLength / PAGE_SIZE);
    CHECK_EQ(Out.Adapter.AlignmentMask, 0);
    CHECK_EQ(Query(&Scene, StorageDeviceSeekPenaltyProperty, 0, &Out, sizeof(Out), NULL),
             STATUS_SUCCESS);
    CHECK(!Out.SeekPenalty.IncursSeekPenalty);
    End(&Scene);
}

static VOID CheckSectors(ULONG SectorSize, ULONG Flags, BOOLEAN Trims)
{
    STORAGE_ACCESS_ALIGNMENT_DESCRIPTOR Alignment;
    DEVICE_TRIM_DESCRIPTOR Trim;
    SCENE Scene;

    Begin(&Scene, Flags, SectorSize);
    CHECK_EQ(Query(&Scene, StorageAccessAlignmentProperty, 0, &Alignment, sizeof(Alignment), NULL),
             STATUS_SUCCESS);
    CHECK_EQ(Alignment.BytesPerLogicalSector, SectorSize);
    CHECK_EQ(Alignment.BytesPerPhysicalSector, 4096);
    CHECK_EQ(Alignment.BytesOffsetForSectorAlignment, 0);
    CHECK_EQ(Query(&Scene, StorageDeviceTrimProperty, 0, &Trim, sizeof(Trim), NULL),
             STATUS_SUCCESS);
    CHECK_EQ(Trim.TrimEnabled, Trims);
    End(&Scene);
}

static VOID SectorsAndTrimAreAsMounted(VOID)
{
    CheckSectors(CM_SECTOR_SIZE_SMALL, CM_MOUNT_TRIM, TRUE);
    CheckSectors(CM_SECTOR_SIZE_LARGE, CM_MOUNT_TRIM, TRUE);
    CheckSectors(CM_SECTOR_SIZE_SMALL, 0, FALSE);
    CheckSectors(CM_SECTOR_SIZE_LARGE, CM_MOUNT_TRIM | CM_MOUNT_READ_ONLY, FALSE);
}

static const RIG_TEST Tests[] = {
    RIG_TEST(ThereAreTheseAndNoOthers, 1),         RIG_TEST(OnlyTwoKindsOfQueriesAreAnswered, 1),
    RIG_TEST(AQuestionThatIsTooShortIsRefused, 1), RIG_TEST(EachIsAnsweredAtEachLength, 1),
    RIG_TEST(TheDeviceIsAVirtualDiskThatStays, 1), RIG_TEST(SectorsAndTrimAreAsMounted, 1),
};

int main(int Count, char **Arguments)
{
    return RigMain(Count, Arguments, Tests, RTL_NUMBER_OF(Tests));
}
