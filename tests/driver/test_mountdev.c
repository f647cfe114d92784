/* SPDX-License-Identifier: MIT */
/*
 * test_mountdev.c - what the mount manager and file systems ask of a disk when it arrives: the answers, byte for
 * byte; and their sequences of questions as a whole, with a server that never answers anything. The mount manager
 * asks with its lock held, and a file system with that of all file systems of its kind: whatever waits there
 * waits for the server, which may be waiting for them.
 */
#include <stdlib.h>

#include "rig.h"

#include <mountdev.h>
#include <ntdddisk.h>
#include <ntddstor.h>
#include <ntddvol.h>

#include "tests/storage_rows.h"

#define SIZE_OF_DISK (4ull * MIB)

typedef struct SCENE {
    RIG_SERVER Server;
    RIG_DISK Disk;
    SIM_FILE *File;
    SIM_MEMORY *Memory;
    struct storage_disk Kind;
} SCENE;

static VOID Begin(SCENE *Scene, ULONG Flags)
{
    struct cm_mount Mount;

    Scene->Server = RigStartServer();
    RigMountDefaults(&Mount, SIZE_OF_DISK);
    Mount.flags = Flags;
    Mount.hold_seconds = 60;
    CHECK_EQ(RigMountOnly(Scene->Server.Control, &Mount, &Scene->Disk), STATUS_SUCCESS);
    CHECK_EQ(RigGiveArena(&Scene->Disk), STATUS_SUCCESS);
    Scene->File = RigOpenDisk(Scene->Server.Process, &Scene->Disk);
    Scene->Memory = SimAllocate(16 * KIB);
    Scene->Kind = (struct storage_disk){
        .read_only = (Flags & CM_MOUNT_READ_ONLY) != 0,
        .name_bytes = (uint32_t)strlen(Scene->Disk.Name) * sizeof(WCHAR),
    };
}

static VOID Identify(SCENE *Scene, USHORT Letter)
{
    struct cm_identify In = {.disk_id = Scene->Disk.Id, .letter = Letter};
    ULONG Index;

    for (Index = 0; Index < sizeof(In.unique_id); Index++)
        In.unique_id[Index] = (uint8_t)(Index + 1);
    CHECK_EQ(RigIoctl(Scene->Server.Control, CM_IOCTL_IDENTIFY, &In, sizeof(In), NULL, 0, NULL),
             STATUS_SUCCESS);
    Scene->Kind.identified = TRUE;
    Scene->Kind.letter = Letter != 0;
}

static VOID End(SCENE *Scene)
{
    SimClose(Scene->File);
    CHECK_EQ(RigUnmount(Scene->Server.Control, Scene->Disk.Id, CM_UNMOUNT_FORCE), STATUS_SUCCESS);
    RigForget(&Scene->Disk);
    RigStopServer(&Scene->Server);
    SimFree(Scene->Memory);
}

/* -- answers ----------------------------------------------------------------------------------- */

/* The answer must be these bytes and no more, and the call end so. */
static VOID CheckAnswer(SCENE *Scene, ULONG Code, ULONG Room, NTSTATUS Expected, const VOID *Bytes,
                        ULONG Length)
{
    UCHAR Out[128];
    ULONG_PTR Done;

    memset(Out, 0x5A, sizeof(Out));
    CHECK_EQ(RigIoctl(Scene->File, Code, NULL, 0, Out, Room, &Done), Expected);
    CHECK_EQ(Done, Length);
    CHECK(memcmp(Out, Bytes, Length) == 0);
    CHECK_EQ(Out[Length], 0x5A);
}

/* The name by which it can be opened, as long as it is, without a zero at its end. */
static VOID TheNameIsTheDevices(VOID)
{
    UCHAR Whole[128], Head[4] = {0};
    USHORT Length, Index;
    SCENE Scene;

    Begin(&Scene, 0);
    Length = (USHORT)(strlen(Scene.Disk.Name) * sizeof(WCHAR));
    memset(Whole, 0, sizeof(Whole));
    memcpy(Whole, &Length, 2);
    for (Index = 0; Scene.Disk.Name[Index] != '\0'; Index++)
        Whole[2 + 2 * Index] = (UCHAR)Scene.Disk.Name[Index];
    memcpy(Head, &Length, 2);
    CheckAnswer(&Scene, IOCTL_MOUNTDEV_QUERY_DEVICE_NAME, sizeof(MOUNTDEV_NAME),
                STATUS_BUFFER_OVERFLOW, Head, 4);
    CheckAnswer(&Scene, IOCTL_MOUNTDEV_QUERY_DEVICE_NAME, 2u + Length - 1, STATUS_BUFFER_OVERFLOW,
                Head, 4);
    CheckAnswer(&Scene, IOCTL_MOUNTDEV_QUERY_DEVICE_NAME, 2u + Length, STATUS_SUCCESS, Whole,
                2u + Length);
    End(&Scene);
}

static VOID TheUniqueIdIsTheOneThatTheServerGave(VOID)
{
    static const UCHAR Whole[] = {16, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};
    static const UCHAR Head[] = {16, 0, 0, 0};
    SCENE Scene;

    Begin(&Scene, 0);
    CheckAnswer(&Scene, IOCTL_MOUNTDEV_QUERY_UNIQUE_ID, 128, STATUS_INVALID_DEVICE_REQUEST, Whole,
                0);
    Identify(&Scene, 0);
    CheckAnswer(&Scene, IOCTL_MOUNTDEV_QUERY_UNIQUE_ID, 3, STATUS_BUFFER_TOO_SMALL, Head, 0);
    CheckAnswer(&Scene, IOCTL_MOUNTDEV_QUERY_UNIQUE_ID, 4, STATUS_BUFFER_OVERFLOW, Head, 4);
    CheckAnswer(&Scene, IOCTL_MOUNTDEV_QUERY_UNIQUE_ID, 17, STATUS_BUFFER_OVERFLOW, Head, 4);
    CheckAnswer(&Scene, IOCTL_MOUNTDEV_QUERY_UNIQUE_ID, 18, STATUS_SUCCESS, Whole, 18);
    End(&Scene);
}

static VOID TheSuggestedLinkIsTheLetter(VOID)
{
    static const char Text[] = "\\DosDevices\\Q:";
    UCHAR Whole[32] = {FALSE, 0, 28, 0}, Head[6] = {FALSE, 0, 28, 0};
    SCENE Scene;
    ULONG Index;

    for (Index = 0; Text[Index] != '\0'; Index++)
        Whole[4 + 2 * Index] = (UCHAR)Text[Index];
    Begin(&Scene, 0);
    CheckAnswer(&Scene, IOCTL_MOUNTDEV_QUERY_SUGGESTED_LINK_NAME, 128,
                STATUS_INVALID_DEVICE_REQUEST, Whole, 0);
    Identify(&Scene, 0);
    CheckAnswer(&Scene, IOCTL_MOUNTDEV_QUERY_SUGGESTED_LINK_NAME, 128, STATUS_NOT_FOUND, Whole, 0);
    Identify(&Scene, 'Q');
    CheckAnswer(&Scene, IOCTL_MOUNTDEV_QUERY_SUGGESTED_LINK_NAME, 5, STATUS_BUFFER_TOO_SMALL, Head,
                0);
    CheckAnswer(&Scene, IOCTL_MOUNTDEV_QUERY_SUGGESTED_LINK_NAME, 6, STATUS_BUFFER_OVERFLOW, Head,
                6);
    CheckAnswer(&Scene, IOCTL_MOUNTDEV_QUERY_SUGGESTED_LINK_NAME, 31, STATUS_BUFFER_OVERFLOW, Head,
                6);
    CheckAnswer(&Scene, IOCTL_MOUNTDEV_QUERY_SUGGESTED_LINK_NAME, 32, STATUS_SUCCESS, Whole, 32);
    Identify(&Scene, 'Z');
    Whole[4 + 2 * 12] = 'Z';
    CheckAnswer(&Scene, IOCTL_MOUNTDEV_QUERY_SUGGESTED_LINK_NAME, 128, STATUS_SUCCESS, Whole, 32);
    End(&Scene);
}

static VOID LinksThatAreNoNamesAreRefused(VOID)
{
    static const ULONG Codes[] = {0x4D0010, 0x4DC010, 0x4D0014, 0x4DC014};
    static const struct {
        ULONG Said, Given; /* bytes of a name */
        BOOLEAN Good;
    } Names[] = {{0, 0, TRUE},        {28, 28, TRUE},      {28, 27, FALSE},   {28, 0, FALSE},
                 {28, 4000, TRUE},    {1, 28, FALSE},      {27, 28, FALSE},   {4094, 4094, TRUE},
                 {4096, 4094, FALSE}, {0xFFFE, 28, FALSE}, {0xFFFF, 0, FALSE}};
    ULONG Code, Index;
    PUCHAR In;
    SCENE Scene;

    Begin(&Scene, 0);
    for (Code = 0; Code < RTL_NUMBER_OF(Codes); Code++) {
        for (Index = 0; Index < RTL_NUMBER_OF(Names); Index++) {
            USHORT Said = (USHORT)Names[Index].Said;
            In =
                calloc(1, 2 + Names[Index].Given); /* of its own, so that a byte too many is seen */
            memcpy(In, &Said, 2);
            CHECK_EQ(RigIoctl(Scene.File, Codes[Code], In, 2 + Names[Index].Given, NULL, 0, NULL),
                     Names[Index].Good ? STATUS_SUCCESS : STATUS_INVALID_PARAMETER);
            free(In);
        }
    }
    End(&Scene);
}

static VOID AttributesTellReadOnlyVolumes(VOID)
{
    ULONG64 Writable = 0, ReadOnly = 0x1000000000000000;
    static const UCHAR No = FALSE;
    SCENE Scene;

    Begin(&Scene, 0);
    CheckAnswer(&Scene, IOCTL_VOLUME_GET_GPT_ATTRIBUTES, 8, STATUS_SUCCESS, &Writable, 8);
    CheckAnswer(&Scene, 0x560048, 1, STATUS_SUCCESS, &No, 1); /* IS_DYNAMIC */
    End(&Scene);
    Begin(&Scene, CM_MOUNT_READ_ONLY);
    CheckAnswer(&Scene, IOCTL_VOLUME_GET_GPT_ATTRIBUTES, 8, STATUS_SUCCESS, &ReadOnly, 8);
    End(&Scene);
}

/* -- with no server, with a silent one, and after the end --------------------------------------- */

/* The whole table, by whoever. */
static VOID TryRows(SCENE *Scene, SIM_FILE *File)
{
    static const UCHAR Zeros[256];
    ULONG Index;

    for (Index = 0; Index < STORAGE_ROW_COUNT; Index++) {
        const struct storage_row *Row = &storage_rows[Index];
        struct storage_answer Expected = storage_expect(Row, &Scene->Kind, Row->in, 256);
        ULONG_PTR Done;
        UCHAR Out[256];

        RigNote(Row->name);
        CHECK_EQ(RigIoctl(File, Row->code, Zeros, Row->in, Out, sizeof(Out), &Done),
                 (NTSTATUS)Expected.status);
        CHECK_EQ(Done, Expected.bytes);
    }
    RigNote(NULL);
}

static VOID AHeldDiskAnswersEverything(VOID)
{
    SIM_PROCESS *Client = SimCreateProcess(TRUE);
    RIG_SERVER Other = RigStartServer();
    SCENE Scene;

    Begin(&Scene, 0);
    Identify(&Scene, 'Q');
    SimClose(Scene.File);
    Scene.File = RigOpenDisk(Client, &Scene.Disk);
    RigKillServer(&Scene.Server);
    TryRows(&Scene, Scene.File);
    Scene.Server = Other;
    End(&Scene);
    SimEndProcess(Client);
}

/* Its name is what remains: who still holds it may have to tell which it was. */
static VOID ADiskThatHasGoneHasANameAndNothingElse(VOID)
{
    static const UCHAR Zeros[256];
    RIG_SERVER Other = RigStartServer();
    ULONG_PTR Done;
    UCHAR Out[256];
    SCENE Scene;
    ULONG Index;

    Begin(&Scene, 0);
    Identify(&Scene, 'Q');
    CHECK_EQ(RigUnmount(Other.Control, Scene.Disk.Id, CM_UNMOUNT_FORCE), STATUS_SUCCESS);
    for (Index = 0; Index < STORAGE_ROW_COUNT; Index++) {
        const struct storage_row *Row = &storage_rows[Index];
        BOOLEAN IsName = Row->code == IOCTL_MOUNTDEV_QUERY_DEVICE_NAME;
        CHECK_EQ(RigIoctl(Scene.File, Row->code, Zeros, Row->in, Out, sizeof(Out), &Done),
                 IsName ? STATUS_SUCCESS : STATUS_NO_SUCH_DEVICE);
        CHECK_EQ(Done, IsName ? storage_answer_size(Row, &Scene.Kind) : 0);
    }
    SimClose(Scene.File);
    RigForget(&Scene.Disk);
    RigStopServer(&Scene.Server);
    RigStopServer(&Other);
    SimFree(Scene.Memory);
}

/* -- the sequences ----------------------------------------------------------------------------- */

/* A question of the system's; its answer is there when the call comes back, or on Wine soon after. */
static VOID Ask(SCENE *Scene, SIM_FILE *File, ULONG Code, ULONG Room, NTSTATUS Expected,
                ULONG Bytes)
{
    UCHAR Out[256];
    SIM_REQUEST Request = {.Major = IRP_MJ_DEVICE_CONTROL,
                           .Flags = 2, /* SL_OVERRIDE_VERIFY_VOLUME */
                           .Code = Code,
                           .Out = Out,
                           .OutLength = Room};
    struct cm_stats Before, After;
    ULONG_PTR Done;
    SIM_IO *Io;

    CHECK_EQ(RigStats(Scene->Server.Control, Scene->Disk.Id, &Before), STATUS_SUCCESS);
    Io = SimSend(File, &Request);
    CHECK(SimIsWine() || SimIsDone(Io));
    CHECK_EQ(SimFinish(Io, &Done), Expected);
    CHECK_EQ(Done, Bytes);
    CHECK_EQ(RigStats(Scene->Server.Control, Scene->Disk.Id, &After), STATUS_SUCCESS);
    CHECK_EQ(After.requests, Before.requests);
}

static VOID Tell(SIM_FILE *File, ULONG Code, const char *Name)
{
    UCHAR In[2 + 96 * sizeof(WCHAR)] = {0};
    USHORT Length = (USHORT)(strlen(Name) * sizeof(WCHAR));
    ULONG Index;

    memcpy(In, &Length, 2);
    for (Index = 0; Name[Index] != '\0'; Index++)
        In[2 + 2 * Index] = (UCHAR)Name[Index];
    CHECK_EQ(RigIoctl(File, Code, In, 2u + Length, NULL, 0, NULL), STATUS_SUCCESS);
}

/* What the server gets and never answers. Reads pend behind it, as its depth allows, and others wait. */
static SIM_IO *StartReading(SCENE *Scene, LONGLONG Offset, ULONG Length)
{
    struct cm_request Request;
    SIM_IO *Io = SimRead(Scene->File, Offset, Scene->Memory, 0, Length);

    while (RigFetch(&Scene->Disk, &Request, 1) == 0)
        SimSleepMs(1);
    CHECK(!SimIsDone(Io));
    return Io;
}

static VOID GiveUp(SIM_IO *Io)
{
    SimCancel(Io);
    CHECK_EQ(SimFinish(Io, NULL), STATUS_CANCELLED);
}

/* Opened for attributes, cleaned up at once, and asked all the while. */
static VOID PlayArrival(SCENE *Scene)
{
    ULONG Name = 2 + Scene->Kind.name_bytes;
    NTSTATUS Status;
    SIM_FILE *File =
        SimOpen(Scene->Server.Process, Scene->Disk.Name, FILE_READ_ATTRIBUTES, &Status);

    CHECK_EQ(Status, STATUS_SUCCESS);
    CHECK_EQ(SimFinish(SimSend(File, &(SIM_REQUEST){.Major = IRP_MJ_CLEANUP}), NULL),
             STATUS_SUCCESS);
    Ask(Scene, File, IOCTL_VOLUME_GET_GPT_ATTRIBUTES, 8, STATUS_SUCCESS, 8);
    Ask(Scene, File, IOCTL_DISK_GET_PARTITION_INFO_EX, 144, STATUS_SUCCESS, 144);
    Ask(Scene, File, IOCTL_STORAGE_GET_DEVICE_NUMBER, 12, STATUS_INVALID_DEVICE_REQUEST, 0);
    Ask(Scene, File, IOCTL_MOUNTDEV_QUERY_DEVICE_NAME, 4, STATUS_BUFFER_OVERFLOW, 4);
    Ask(Scene, File, IOCTL_MOUNTDEV_QUERY_DEVICE_NAME, Name, STATUS_SUCCESS, Name);
    Ask(Scene, File, IOCTL_MOUNTDEV_QUERY_UNIQUE_ID, 4, STATUS_BUFFER_OVERFLOW, 4);
    Ask(Scene, File, IOCTL_MOUNTDEV_QUERY_UNIQUE_ID, 18, STATUS_SUCCESS, 18);
    Ask(Scene, File, IOCTL_MOUNTDEV_QUERY_STABLE_GUID, 16, STATUS_INVALID_DEVICE_REQUEST, 0);
    SimClose(File);
}

/* The second handle: the letter, the links, and that it is there now. */
static VOID PlayLinks(SCENE *Scene)
{
    NTSTATUS Status;
    SIM_FILE *File = SimOpen(Scene->Server.Process, Scene->Disk.Name,
                             FILE_READ_ATTRIBUTES | GENERIC_READ | GENERIC_WRITE, &Status);

    CHECK_EQ(Status, STATUS_SUCCESS);
    Ask(Scene, File, IOCTL_MOUNTDEV_QUERY_SUGGESTED_LINK_NAME, 6, STATUS_BUFFER_OVERFLOW, 6);
    Ask(Scene, File, IOCTL_MOUNTDEV_QUERY_SUGGESTED_LINK_NAME, 32, STATUS_SUCCESS, 32);
    Tell(File, 0x4DC010, "\\??\\Volume{01234567-89ab-cdef-0123-456789abcdef}");
    Tell(File, 0x4D0010, "\\??\\Volume{01234567-89ab-cdef-0123-456789abcdef}");
    Tell(File, 0x4DC010, "\\DosDevices\\Q:");
    Ask(Scene, File, IOCTL_VOLUME_ONLINE, 0, STATUS_SUCCESS, 0);
    Ask(Scene, File, IOCTL_MOUNTDEV_UNIQUE_ID_CHANGE_NOTIFY, 256, STATUS_INVALID_DEVICE_REQUEST, 0);
    Ask(Scene, File, 0x4DC004, 256, STATUS_INVALID_DEVICE_REQUEST, 0);
    Tell(File, 0x4DC014, "\\DosDevices\\Q:");
    SimClose(File);
}

static VOID TheMountManagerNeverWaitsForTheServer(VOID)
{
    SCENE Scene;
    SIM_IO *Io;

    Begin(&Scene, 0);
    Identify(&Scene, 'Q');
    PlayArrival(&Scene); /* with nothing under way */
    PlayLinks(&Scene);
    Io = StartReading(&Scene, 0, 512);
    PlayArrival(&Scene);
    PlayLinks(&Scene);
    GiveUp(Io);
    End(&Scene);
}

/* The recognisers of the system, then the FAT file system. Only their reads wait. */
static VOID FileSystemsWaitForTheirReadsOnly(VOID)
{
    SIM_IO *Ios[4];
    ULONG Index;
    SCENE Scene;

    Begin(&Scene, 0);
    Ask(&Scene, Scene.File, IOCTL_DISK_GET_DRIVE_GEOMETRY, 24, STATUS_SUCCESS, 24);
    Ios[0] = StartReading(&Scene, 512, 512);
    Ios[1] = StartReading(&Scene, 64 * KIB, 4096);
    Ask(&Scene, Scene.File, IOCTL_DISK_GET_DRIVE_GEOMETRY, 24, STATUS_SUCCESS, 24);
    Ask(&Scene, Scene.File, IOCTL_DISK_GET_PARTITION_INFO, 32, STATUS_SUCCESS, 32);
    Ios[2] = StartReading(&Scene, 0, 512);

    Ask(&Scene, Scene.File, IOCTL_DISK_CHECK_VERIFY, 4, STATUS_SUCCESS, 4);
    Ask(&Scene, Scene.File, IOCTL_DISK_GET_PARTITION_INFO_EX, 144, STATUS_SUCCESS, 144);
    Ask(&Scene, Scene.File, IOCTL_DISK_GET_DRIVE_GEOMETRY, 24, STATUS_SUCCESS, 24);
    Ask(&Scene, Scene.File, IOCTL_STORAGE_GET_HOTPLUG_INFO, 8, STATUS_SUCCESS, 8);
    Ask(&Scene, Scene.File, IOCTL_STORAGE_GET_DEVICE_NUMBER, 12, STATUS_INVALID_DEVICE_REQUEST, 0);
    Ios[3] = StartReading(&Scene, 0, 4096);
    Ask(&Scene, Scene.File, IOCTL_DISK_IS_WRITABLE, 0, STATUS_SUCCESS, 0);
    Ask(&Scene, Scene.File, IOCTL_MOUNTDEV_QUERY_DEVICE_NAME, 4, STATUS_BUFFER_OVERFLOW, 4);
    /* TargetDeviceRelation: a success without an answer would bring the system down. */
    CHECK_EQ(SimFinish(SimSend(Scene.File, &(SIM_REQUEST){.Major = IRP_MJ_PNP}), NULL),
             STATUS_INVALID_DEVICE_REQUEST);
    for (Index = 0; Index < RTL_NUMBER_OF(Ios); Index++)
        GiveUp(Ios[Index]);
    End(&Scene);
}

/* A volume that is being asked while it is being named, by everybody at once. */
static VOID RunAsker(PVOID Context)
{
    SCENE *Scene = Context;
    ULONG Round;

    for (Round = 0; Round < 20; Round++) {
        UCHAR Out[64];
        ULONG_PTR Done;
        NTSTATUS Status =
            RigIoctl(Scene->File, IOCTL_MOUNTDEV_QUERY_UNIQUE_ID, NULL, 0, Out, sizeof(Out), &Done);
        CHECK(Status == STATUS_INVALID_DEVICE_REQUEST || Status == STATUS_SUCCESS);
        if (Status == STATUS_SUCCESS)
            CHECK(Done == 18 && (Out[2] == 1 || Out[2] == 0x77) && Out[17] == Out[2] + 15);
    }
}

static VOID AnIdentityIsReadWhole(VOID)
{
    struct cm_identify In = {.letter = 'Q'};
    SIM_THREAD *Threads[2];
    ULONG Round, Index;
    SCENE Scene;

    Begin(&Scene, 0);
    In.disk_id = Scene.Disk.Id;
    for (Index = 0; Index < RTL_NUMBER_OF(Threads); Index++)
        Threads[Index] = SimSpawn("asker", RunAsker, &Scene);
    for (Round = 0; Round < 20; Round++) {
        for (Index = 0; Index < sizeof(In.unique_id); Index++)
            In.unique_id[Index] = (uint8_t)((Round % 2 == 0 ? 1 : 0x77) + Index);
        CHECK_EQ(RigIoctl(Scene.Server.Control, CM_IOCTL_IDENTIFY, &In, sizeof(In), NULL, 0, NULL),
                 STATUS_SUCCESS);
    }
    for (Index = 0; Index < RTL_NUMBER_OF(Threads); Index++)
        SimJoin(Threads[Index]);
    End(&Scene);
}

static const RIG_TEST Tests[] = {
    RIG_TEST(TheNameIsTheDevices, 1),
    RIG_TEST(TheUniqueIdIsTheOneThatTheServerGave, 1),
    RIG_TEST(TheSuggestedLinkIsTheLetter, 1),
    RIG_TEST(LinksThatAreNoNamesAreRefused, 1),
    RIG_TEST(AttributesTellReadOnlyVolumes, 1),
    RIG_TEST(AHeldDiskAnswersEverything, 1),
    /* On Wine it is the system that answers for a device that has gone. */
    RIG_TEST_ON("nt", 0, ADiskThatHasGoneHasANameAndNothingElse, 1),
    RIG_TEST(TheMountManagerNeverWaitsForTheServer, 1),
    RIG_TEST(FileSystemsWaitForTheirReadsOnly, 1),
    RIG_TEST(AnIdentityIsReadWhole, 10),
};

int main(int Count, char **Arguments)
{
    return RigMain(Count, Arguments, Tests, RTL_NUMBER_OF(Tests));
}
