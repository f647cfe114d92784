/* SPDX-License-Identifier: MIT */
/*
 * test_trim.c - TRIM, from the ioctl of a file system to the server's requests: which inputs are refused, and
 * that exactly the ranges of a good one reach the server.
 */
#include <stdlib.h>
#include <string.h>

#include "rig.h"

#define SIZE_OF_DISK (64ull * KIB)
#define RANGE sizeof(DEVICE_DATA_SET_RANGE)

typedef struct SCENE {
    RIG_SERVER Server;
    RIG_DISK Disk;
    SIM_FILE *File;
} SCENE;

static VOID Begin(SCENE *Scene, ULONG Flags)
{
    struct cm_mount Mount;

    Scene->Server = RigStartServer();
    RigMountDefaults(&Mount, SIZE_OF_DISK);
    Mount.flags = Flags;
    CHECK_EQ(RigMountOnly(Scene->Server.Control, &Mount, &Scene->Disk), STATUS_SUCCESS);
    CHECK_EQ(RigGiveArena(&Scene->Disk), STATUS_SUCCESS);
    Scene->File = RigOpenDisk(Scene->Server.Process, &Scene->Disk);
}

static VOID End(SCENE *Scene)
{
    RigCheckSums(Scene->Server.Control, Scene->Disk.Id);
    SimClose(Scene->File);
    CHECK_EQ(RigUnmount(Scene->Server.Control, Scene->Disk.Id, 0), STATUS_SUCCESS);
    RigForget(&Scene->Disk);
    RigStopServer(&Scene->Server);
}

/* An input that is right; each test makes something of it wrong. */
typedef struct INPUT {
    DEVICE_MANAGE_DATA_SET_ATTRIBUTES Set;
    ULONG Unused; /* the ranges of file systems are aligned */
    DEVICE_DATA_SET_RANGE Ranges[4];
} INPUT;

static const INPUT Good = {
    .Set = {.Size = sizeof(Good.Set),
            .Action = DeviceDsmAction_Trim,
            .DataSetRangesOffset = FIELD_OFFSET(INPUT, Ranges),
            .DataSetRangesLength = 2 * RANGE},
    .Ranges = {{0, 4096}, {8192, 512}, {16384, 1024}, {32768, 4096}},
};

static SIM_IO *Start(SCENE *Scene, const VOID *In, ULONG Length)
{
    return SimIoctl(Scene->File, IOCTL_STORAGE_MANAGE_DATA_SET_ATTRIBUTES, In, Length, NULL, 0);
}

/* It ends at once, as there is nobody to answer, and nothing is there to be fetched. */
static VOID Refuse(SCENE *Scene, const VOID *In, ULONG Length, NTSTATUS Expected)
{
    struct cm_request Request;

    CHECK_EQ(SimFinish(Start(Scene, In, Length), NULL), Expected);
    CHECK_EQ(RigFetch(&Scene->Disk, &Request, 1), 0);
}

static VOID AnInputThatIsTooShortIsRefused(VOID)
{
    PUCHAR Part;
    ULONG Length;
    SCENE Scene;

    Begin(&Scene, CM_MOUNT_TRIM);
    for (Length = 0; Length < FIELD_OFFSET(INPUT, Ranges) + 2 * RANGE; Length++) {
        Part = malloc(Length + 1); /* of its own, so that a byte too many is seen */
        memcpy(Part, &Good, Length);
        Refuse(&Scene, Length != 0 ? Part : NULL, Length, STATUS_INVALID_PARAMETER);
        free(Part);
    }
    End(&Scene);
}

static VOID RangesThatLieElsewhereAreRefused(VOID)
{
    static const struct {
        ULONG Offset, Length;
    } Bad[] = {
        {0, RANGE},
        {sizeof(Good.Set) - 1, RANGE},
        {sizeof(Good) - RANGE + 1, RANGE},
        {sizeof(Good), RANGE},
        {UINT32_MAX, RANGE},
        {UINT32_MAX - RANGE + 1, RANGE},
        {FIELD_OFFSET(INPUT, Ranges), 0},
        {FIELD_OFFSET(INPUT, Ranges), 1},
        {FIELD_OFFSET(INPUT, Ranges), RANGE - 1},
        {FIELD_OFFSET(INPUT, Ranges), RANGE + 1},
        {FIELD_OFFSET(INPUT, Ranges), 5 * RANGE},
        {FIELD_OFFSET(INPUT, Ranges), UINT32_MAX - RANGE + 1},
        {FIELD_OFFSET(INPUT, Ranges), UINT32_MAX},
    };
    INPUT Input;
    SCENE Scene;
    ULONG Index;

    Begin(&Scene, CM_MOUNT_TRIM);
    for (Index = 0; Index < RTL_NUMBER_OF(Bad); Index++) {
        Input = Good;
        Input.Set.DataSetRangesOffset = Bad[Index].Offset;
        Input.Set.DataSetRangesLength = Bad[Index].Length;
        Refuse(&Scene, &Input, sizeof(Input), STATUS_INVALID_PARAMETER);
    }
    End(&Scene);
}

static VOID ARangeThatIsNotOnTheDiskRefusesAll(VOID)
{
    static const DEVICE_DATA_SET_RANGE Bad[] = {
        {-512, 512},
        {1, 512},
        {0, 511},
        {0, 513},
        {SIZE_OF_DISK, 512},
        {SIZE_OF_DISK - 512, 1024},
        {0, SIZE_OF_DISK + 512},
        {512, SIZE_OF_DISK},
        {0, UINT64_MAX - 511},
        {512, UINT64_MAX - 511},
        {INT64_MAX - 511, 512},
        {INT64_MIN, 512},
    };
    INPUT Input;
    SCENE Scene;
    ULONG Index, At;

    Begin(&Scene, CM_MOUNT_TRIM);
    for (Index = 0; Index < RTL_NUMBER_OF(Bad); Index++)
        for (At = 0; At < 2; At++) {
            Input = Good;
            Input.Ranges[At] = Bad[Index];
            Refuse(&Scene, &Input, sizeof(Input), STATUS_INVALID_PARAMETER);
        }
    End(&Scene);
}

static VOID OtherActionsAndTheWholeDiskAreRefused(VOID)
{
    INPUT Input = Good;
    ULONG Action;
    SCENE Scene;

    Begin(&Scene, CM_MOUNT_TRIM);
    for (Action = 0; Action < 32; Action++) {
        Input.Set.Action = Action;
        if (Action != DeviceDsmAction_Trim)
            Refuse(&Scene, &Input, sizeof(Input), STATUS_NOT_SUPPORTED);
    }
    Input = Good;
    Input.Set.Flags = DEVICE_DSM_FLAG_ENTIRE_DATA_SET_RANGE;
    Refuse(&Scene, &Input, sizeof(Input), STATUS_INVALID_PARAMETER);
    End(&Scene);
}

static VOID ADiskThatCannotTrimRefuses(VOID)
{
    SCENE Scene;

    Begin(&Scene, 0);
    Refuse(&Scene, &Good, sizeof(Good), STATUS_NOT_SUPPORTED);
    End(&Scene);
    Begin(&Scene, CM_MOUNT_TRIM | CM_MOUNT_READ_ONLY);
    Refuse(&Scene, &Good, sizeof(Good), STATUS_MEDIA_WRITE_PROTECTED);
    End(&Scene);
}

/* Ranges of no length are left out; of nothing else nothing is left, and nobody is asked. */
static VOID EmptyRangesDoNotCount(VOID)
{
    struct cm_request Requests[4];
    INPUT Input = Good;
    SCENE Scene;
    SIM_IO *Io;

    Begin(&Scene, CM_MOUNT_TRIM);
    Input.Ranges[0].LengthInBytes = Input.Ranges[1].LengthInBytes = 0;
    Refuse(&Scene, &Input, sizeof(Input), STATUS_SUCCESS);

    Input.Set.DataSetRangesLength = 4 * RANGE;
    Input.Ranges[0].StartingOffset = -1; /* is no more looked at than its length */
    Input.Ranges[2].LengthInBytes = 0;
    Io = Start(&Scene, &Input, sizeof(Input));
    CHECK_EQ(RigFetch(&Scene.Disk, Requests, 4), 1);
    CHECK_EQ(Requests[0].op, CM_OP_TRIM);
    CHECK_EQ(Requests[0].offset, Good.Ranges[3].StartingOffset);
    CHECK_EQ(Requests[0].length, Good.Ranges[3].LengthInBytes);
    CHECK_EQ(RigReply(&Scene.Disk, Requests[0].tag, CM_STATUS_OK, 0), STATUS_SUCCESS);
    CHECK_EQ(SimFinish(Io, NULL), STATUS_SUCCESS);
    End(&Scene);
}

/* Some callers put the ranges right behind the 28 bytes of the head, where they are not aligned. */
static VOID EachRangeReachesTheServerWhole(VOID)
{
    ULONG Offset, Index, Count = RTL_NUMBER_OF(Good.Ranges);
    UCHAR Raw[sizeof(Good.Set) + 16 + sizeof(Good.Ranges)];
    struct cm_request Requests[8];
    INPUT Input = Good;
    SCENE Scene;
    SIM_IO *Io;

    Begin(&Scene, CM_MOUNT_TRIM);
    for (Offset = sizeof(Good.Set); Offset <= sizeof(Good.Set) + 16; Offset++) {
        Input.Set.DataSetRangesOffset = Offset;
        Input.Set.DataSetRangesLength = Count * RANGE;
        memset(Raw, 0xEE, sizeof(Raw));
        memcpy(Raw, &Input.Set, sizeof(Input.Set));
        memcpy(Raw + Offset, Good.Ranges, sizeof(Good.Ranges));
        Io = Start(&Scene, Raw, Offset + sizeof(Good.Ranges));
        CHECK_EQ(RigFetch(&Scene.Disk, Requests, 8), Count);
        for (Index = 0; Index < Count; Index++) {
            CHECK_EQ(Requests[Index].op, CM_OP_TRIM);
            CHECK_EQ(Requests[Index].offset, Good.Ranges[Index].StartingOffset);
            CHECK_EQ(Requests[Index].length, Good.Ranges[Index].LengthInBytes);
            CHECK(!SimIsDone(Io));
            CHECK_EQ(RigReply(&Scene.Disk, Requests[Index].tag, CM_STATUS_OK, 0), STATUS_SUCCESS);
        }
        CHECK_EQ(SimFinish(Io, NULL), STATUS_SUCCESS);
    }
    End(&Scene);
}

/* A range may be larger than a slot: it has no data. */
static VOID TheWholeDiskInOneRangeIsOneRequest(VOID)
{
    DEVICE_DATA_SET_RANGE Whole = {0, SIZE_OF_DISK};
    struct cm_request Requests[2];
    SCENE Scene;
    SIM_IO *Io;

    Begin(&Scene, CM_MOUNT_TRIM);
    Io = RigTrim(Scene.File, &Whole, 1);
    CHECK_EQ(RigFetch(&Scene.Disk, Requests, 2), 1);
    CHECK_EQ(Requests[0].length, SIZE_OF_DISK);
    CHECK_EQ(RigReply(&Scene.Disk, Requests[0].tag, CM_STATUS_NOT_SUPPORTED, 0), STATUS_SUCCESS);
    CHECK_EQ(SimFinish(Io, NULL), STATUS_NOT_SUPPORTED);
    End(&Scene);
}

static const RIG_TEST Tests[] = {
    RIG_TEST(AnInputThatIsTooShortIsRefused, 1),
    RIG_TEST(RangesThatLieElsewhereAreRefused, 1),
    RIG_TEST(ARangeThatIsNotOnTheDiskRefusesAll, 1),
    RIG_TEST(OtherActionsAndTheWholeDiskAreRefused, 1),
    RIG_TEST(ADiskThatCannotTrimRefuses, 1),
    RIG_TEST(EmptyRangesDoNotCount, 1),
    RIG_TEST(EachRangeReachesTheServerWhole, 3),
    RIG_TEST(TheWholeDiskInOneRangeIsOneRequest, 3),
};

int main(int Count, char **Arguments)
{
    return RigMain(Count, Arguments, Tests, RTL_NUMBER_OF(Tests));
}
