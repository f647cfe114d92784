/* SPDX-License-Identifier: MIT */
/*
 * test_low_resources.c - every allocation, mapping and creation fails, once for each path of calls that leads to
 * it: from DriverEntry over all that a server and its clients do to the unload. The same story is told again and
 * again until no path has been met that was not before. Each time something fails it does so with a status that
 * says so; what is over is cleaned up (the simulation checks that when the driver goes, each time); and in the
 * end the whole story works.
 */
#include <stdio.h>
#include <stdlib.h>

#include "rig.h"

#include <ntdddisk.h>

#define MOST_ROUNDS 400
#define MEMORY (64 * KIB)

/*
 * Where in the story things begin to fail. Paths are told apart by what is near the allocation, not by the part of
 * the story: what the second server brings with it is on the same ones as the first one's.
 */
typedef enum PHASE { FROM_LOAD, FROM_ATTACH } PHASE;

/* How far the story got; what failed on the way. */
typedef struct STORY {
    PHASE Phase;
    ULONG Hold;   /* seconds; 0: there is no second server */
    BOOLEAN Kill; /* how it ends */
    RIG_SERVER Server;
    RIG_DISK Disk;
    SIM_PROCESS *Client;
    SIM_FILE *File;
    SIM_MEMORY *Memory;
    PUCHAR Image;
    ULONG Failures; /* steps that did not succeed */
    char Name[40];  /* of the disk, also when it is gone */
} STORY;

/* A step is done, or has failed for want of resources and for no other reason. */
static BOOLEAN Went(STORY *Story, NTSTATUS Status, const char *What)
{
    if (NT_SUCCESS(Status))
        return TRUE;
    if (Status != STATUS_INSUFFICIENT_RESOURCES)
        SimStop("%s fails with 0x%x", What, (ULONG)Status);
    Story->Failures++;
    return FALSE;
}

/* -- the steps --------------------------------------------------------------------------------- */

static BOOLEAN OpenControl(STORY *Story, RIG_SERVER *Server)
{
    NTSTATUS Status;

    Server->Process = SimCreateProcess(TRUE);
    Server->Control = SimOpen(Server->Process, SIM_CONTROL, GENERIC_READ | GENERIC_WRITE, &Status);
    if (Went(Story, Status, "opening the control device"))
        return TRUE;
    if (Server->Control != NULL) { /* Wine: a handle that is none */
        UCHAR Out[16];
        CHECK_EQ(RigIoctl(Server->Control, CM_IOCTL_VERSION, NULL, 0, Out, 16, NULL),
                 STATUS_INVALID_HANDLE);
        SimClose(Server->Control);
    }
    SimEndProcess(Server->Process);
    return FALSE;
}

static BOOLEAN MountDisk(STORY *Story)
{
    struct cm_mount Mount;

    RigMountDefaults(&Mount, MIB);
    Mount.hold_seconds = (UINT16)Story->Hold;
    Mount.timeout_seconds = 600;
    return Went(Story, RigMountOnly(Story->Server.Control, &Mount, &Story->Disk), "mounting");
}

/* It may be tried again: a failure has left nothing behind. */
static BOOLEAN GiveArena(STORY *Story, RIG_DISK *Disk)
{
    ULONG Try;

    for (Try = 0; Try < 20; Try++) {
        if (Went(Story, RigGiveArena(Disk), "giving an arena"))
            return TRUE;
    }
    return FALSE;
}

/* Requests that are served at once, by this thread. */
static VOID ServeUntilDone(STORY *Story, SIM_IO *Io)
{
    struct cm_request Requests[4];
    ULONG Index, Count;

    while (!SimIsDone(Io)) {
        Count = RigFetch(&Story->Disk, Requests, 4);
        for (Index = 0; Index < Count; Index++)
            CHECK_EQ(RigAnswer(&Story->Disk, &Requests[Index], Story->Image), STATUS_SUCCESS);
        if (Count == 0)
            SimSleepMs(1);
    }
}

static VOID Trim(STORY *Story)
{
    DEVICE_DATA_SET_RANGE Ranges[] = {{0, 4096}, {8192, 8192}};
    SIM_IO *Io = RigTrim(Story->File, Ranges, 2);

    ServeUntilDone(Story, Io);
    Went(Story, SimFinish(Io, NULL), "TRIM");
}

static VOID DoIo(STORY *Story)
{
    PUCHAR Data = Story->Memory->Address;
    SIM_IO *Io;

    RigFill(Data, 20 * KIB, 3);
    Io = SimWrite(Story->File, 32 * KIB, Story->Memory, 0, 20 * KIB);
    ServeUntilDone(Story, Io);
    if (!Went(Story, SimFinish(Io, NULL), "writing"))
        return;
    Io = SimRead(Story->File, 32 * KIB, Story->Memory, 32 * KIB, 20 * KIB);
    ServeUntilDone(Story, Io);
    if (Went(Story, SimFinish(Io, NULL), "reading"))
        CHECK(RigIsFilled(Data + 32 * KIB, 20 * KIB, 3));
    Io = SimFlush(Story->File);
    ServeUntilDone(Story, Io);
    Went(Story, SimFinish(Io, NULL), "flushing");
    Trim(Story);
}

static VOID AskAll(STORY *Story)
{
    SIM_FILE *Control = Story->Server.Control;
    UCHAR Out[2048];
    ULONG64 Id = Story->Disk.Id;

    Went(Story, RigIoctl(Control, CM_IOCTL_VERSION, NULL, 0, Out, 16, NULL), "VERSION");
    Went(Story, RigIoctl(Control, CM_IOCTL_LIST, NULL, 0, Out, sizeof(Out), NULL), "LIST");
    Went(Story, RigIoctl(Control, CM_IOCTL_STATS, &Id, 8, Out, sizeof(Out), NULL), "STATS");
    Went(Story, RigIoctl(Control, CM_IOCTL_HEALTH, &Id, 8, Out, sizeof(Out), NULL), "HEALTH");
    Went(Story, RigIoctl(Story->File, IOCTL_DISK_GET_LENGTH_INFO, NULL, 0, Out, 8, NULL), "length");
}

/* The server dies; the disk is held, with a request that waits; another server comes. */
static VOID Reattach(STORY *Story)
{
    struct cm_attach Attach = {
        .abi_version = CM_ABI_VERSION, .disk_id = Story->Disk.Id, .size = MIB};
    RIG_DISK Old = Story->Disk;
    struct cm_attached Attached;
    RIG_SERVER Next;
    SIM_IO *Io;

    if (Story->Phase == FROM_ATTACH)
        SimBeginFailures();
    if (!OpenControl(Story, &Next))
        return;
    Io = SimRead(Story->File, 0, Story->Memory, 0, 12 * KIB);
    RigKillServer(&Story->Server);
    RigForget(&Old);
    Story->Server = Next;
    Story->Disk.Control = Next.Control;
    Story->Disk.Lend = NULL;
    Story->Disk.Lent = NULL;
    if (Went(Story,
             RigIoctl(Next.Control, CM_IOCTL_ATTACH, &Attach, sizeof(Attach), &Attached,
                      sizeof(Attached), NULL),
             "attaching") &&
        GiveArena(Story, &Story->Disk))
        ServeUntilDone(Story, Io);
    else
        CHECK_EQ(RigUnmount(Next.Control, Story->Disk.Id, CM_UNMOUNT_FORCE), STATUS_SUCCESS);
    if (SimWaitFor(Io) != STATUS_NO_SUCH_DEVICE)
        Went(Story, SimWaitFor(Io), "a read that waits for a server");
    SimFreeIo(Io);
}

/* A disk that is held keeps its file system, and that the driver; and only where one thread runs at a time can the
 * simulation say whether one is mounted. */
static BOOLEAN HasFileSystem(const STORY *Story)
{
    return !SimIsWine() && RigIsSerial() && !(Story->Kill && Story->Hold != 0);
}

/* -- the story --------------------------------------------------------------------------------- */

static VOID UseDisk(STORY *Story)
{
    NTSTATUS Status;

    Story->File = SimOpen(Story->Client, Story->Disk.Name, GENERIC_READ | GENERIC_WRITE, &Status);
    if (!Went(Story, Status, "opening a disk"))
        return;
    DoIo(Story);
    AskAll(Story);
    if (Story->Hold != 0)
        Reattach(Story);
    SimClose(Story->File);
    if (HasFileSystem(Story)) /* it stays mounted when the disk goes, and the driver takes it off */
        CHECK_EQ(SimMountFileSystem(Story->Disk.Name), STATUS_SUCCESS);
}

/* When the driver could not do that, the file system lets go in its own time. */
static VOID LetGoOfVolume(const STORY *Story)
{
    if (!HasFileSystem(Story))
        return;
    SimSleepMs(1000); /* until nobody has anything to do any more */
    if (SimFileSystemIsMounted(Story->Name))
        SimUnmountFileSystem(Story->Name);
}

static VOID EndDisk(STORY *Story)
{
    NTSTATUS Status;

    if (Story->Kill) {
        RigKillServer(&Story->Server);
        RigForget(&Story->Disk);
        return;
    }
    Status = RigUnmount(Story->Server.Control, Story->Disk.Id, 0);
    CHECK(Status == STATUS_SUCCESS || Status == STATUS_NOT_FOUND);
    RigForget(&Story->Disk);
    RigStopServer(&Story->Server);
}

static VOID Tell(STORY *Story)
{
    if (Story->Phase == FROM_LOAD)
        SimBeginFailures();
    if (!Went(Story, SimLoadDriver(), "loading the driver"))
        return;
    Story->Client = SimCreateProcess(TRUE);
    Story->Memory = SimAllocate(MEMORY);
    Story->Image = calloc(1, MIB);
    if (OpenControl(Story, &Story->Server)) {
        if (!MountDisk(Story)) {
            RigStopServer(&Story->Server);
        } else if (GiveArena(Story, &Story->Disk)) {
            memcpy(Story->Name, Story->Disk.Name, sizeof(Story->Name));
            UseDisk(Story);
            EndDisk(Story);
            LetGoOfVolume(Story);
        } else {
            SimStop("an arena cannot be had after 20 tries");
        }
    }
    SimEndProcess(Story->Client);
    SimFree(Story->Memory);
    free(Story->Image);
    RigUnloadNow(); /* a disk that is still held goes with it */
}

/* Until a whole story has met nothing new. */
static VOID TellUntilNothingFails(PHASE Phase, ULONG Hold, BOOLEAN Kill, ULONG LeastPaths)
{
    ULONG Rounds = 0, Failed, Paths = 0, Failures = 0;
    STORY Story;

    RigUnloadNow();
    SimForgetFailures();
    do {
        Story = (STORY){.Phase = Phase, .Hold = Hold, .Kill = Kill};
        Tell(&Story);
        Failed = SimEndFailures();
        Paths += Failed;
        Failures += Story.Failures;
        CHECK(Rounds++ < MOST_ROUNDS);
    } while (Failed != 0);
    CHECK_EQ(Story.Failures, 0);
    CHECK(Paths >= LeastPaths); /* or nothing was made to fail */
    printf("  %u paths failed in %u rounds; %u steps of the story with them\n", Paths, Rounds,
           Failures);
}

static VOID FromLoadToUnmountEverythingFailsOnce(VOID)
{
    TellUntilNothingFails(FROM_LOAD, 0, FALSE, 15);
}

static VOID FromLoadToKillEverythingFailsOnce(VOID)
{
    TellUntilNothingFails(FROM_LOAD, 0, TRUE, 15);
}

static VOID FromLoadToAHeldDiskEverythingFailsOnce(VOID)
{
    TellUntilNothingFails(FROM_LOAD, 60, TRUE, 15);
}

static VOID WithAnotherServerEverythingFailsOnce(VOID)
{
    TellUntilNothingFails(FROM_ATTACH, 60, FALSE, 4);
}

static const RIG_TEST Tests[] = {
    RIG_TEST(FromLoadToUnmountEverythingFailsOnce, 3),
    RIG_TEST(FromLoadToKillEverythingFailsOnce, 3),
    RIG_TEST(FromLoadToAHeldDiskEverythingFailsOnce, 3),
    RIG_TEST(WithAnotherServerEverythingFailsOnce, 3),
};

int main(int Count, char **Arguments)
{
    return RigMain(Count, Arguments, Tests, RTL_NUMBER_OF(Tests));
}
