/* SPDX-License-Identifier: MIT */
/*
 * test_hold.c - a disk without its server: it waits, another server gets what the one before had, and when the
 * time is over it goes; and requests that a server does not answer in time.
 */
#include <stdlib.h>
#include <string.h>

#include "rig.h"

#define SIZE_OF_DISK (64ull * KIB)

typedef struct SCENE {
    RIG_SERVER Watcher; /* of no disk: to ask with */
    RIG_SERVER Server;
    RIG_DISK Disk; /* as the server has it */
    ULONG64 Id;
    SIM_PROCESS *Client;
    SIM_FILE *File;
    SIM_MEMORY *Memory;
    PUCHAR Image;
} SCENE;

static VOID Begin(SCENE *Scene, ULONG HoldSeconds, ULONG TimeoutSeconds)
{
    struct cm_mount Mount;

    Scene->Watcher = RigStartServer();
    Scene->Server = RigStartServer();
    Scene->Client = SimCreateProcess(TRUE);
    Scene->Memory = SimAllocate(SIZE_OF_DISK);
    Scene->Image = calloc(1, SIZE_OF_DISK);
    RigMountDefaults(&Mount, SIZE_OF_DISK);
    Mount.hold_seconds = (UINT16)HoldSeconds;
    Mount.timeout_seconds = (UINT16)TimeoutSeconds;
    CHECK_EQ(RigMountOnly(Scene->Server.Control, &Mount, &Scene->Disk), STATUS_SUCCESS);
    CHECK_EQ(RigGiveArena(&Scene->Disk), STATUS_SUCCESS);
    Scene->Id = Scene->Disk.Id;
    Scene->File = RigOpenDisk(Scene->Client, &Scene->Disk);
}

/* The disk has gone. */
static VOID End(SCENE *Scene)
{
    struct cm_stats Stats;

    CHECK_EQ(RigStats(Scene->Watcher.Control, Scene->Id, &Stats), STATUS_NOT_FOUND);
    SimClose(Scene->File);
    SimEndProcess(Scene->Client);
    RigStopServer(&Scene->Watcher);
    SimFree(Scene->Memory);
    free(Scene->Image);
}

static VOID Unmount(SCENE *Scene)
{
    RigCheckSums(Scene->Watcher.Control, Scene->Id);
    CHECK_EQ(RigUnmount(Scene->Watcher.Control, Scene->Id, CM_UNMOUNT_FORCE), STATUS_SUCCESS);
    RigForget(&Scene->Disk);
    RigStopServer(&Scene->Server);
}

static struct cm_health Health(const SCENE *Scene)
{
    struct cm_health Answer;

    CHECK_EQ(RigHealth(Scene->Watcher.Control, Scene->Id, &Answer), STATUS_SUCCESS);
    return Answer;
}

/* On Wine nobody waits for the end of a process. */
static VOID KillServer(SCENE *Scene)
{
    ULONG Ms = 0;

    RigKillServer(&Scene->Server);
    while (Health(Scene).state != CM_HEALTH_HELD) {
        CHECK(Ms++ < 60 * 1000);
        SimSleepMs(1);
    }
    RigForget(&Scene->Disk);
}

static VOID Follow(SCENE *Scene)
{
    Scene->Server = RigStartServer();
    CHECK_EQ(RigAttach(Scene->Server.Control, Scene->Id, SIZE_OF_DISK, &Scene->Disk),
             STATUS_SUCCESS);
    CHECK_EQ(Scene->Disk.Id, Scene->Id);
}

/* Fetches all that there is, and answers it. @return how many. */
static ULONG AnswerAll(SCENE *Scene)
{
    struct cm_request Requests[8];
    ULONG Index, Count, All = 0;

    while ((Count = RigFetch(&Scene->Disk, Requests, 8)) != 0)
        for (Index = 0; Index < Count; Index++, All++)
            CHECK_EQ(RigAnswer(&Scene->Disk, &Requests[Index], Scene->Image), STATUS_SUCCESS);
    return All;
}

/* -- the next server --------------------------------------------------------------------------- */

typedef struct FOUR {
    SIM_IO *Read, *Write, *Flush, *Trim;
} FOUR;

/* One of each kind; the READ and the WRITE have two fragments each. */
static FOUR StartFour(SCENE *Scene)
{
    static const DEVICE_DATA_SET_RANGE Range = {48 * KIB, 1024};
    FOUR Four;

    RigFill(Scene->Image, 8 * KIB, 3);
    RigFill(Scene->Memory->Address + 8 * KIB, 8 * KIB, 4);
    Four.Read = SimRead(Scene->File, 0, Scene->Memory, 0, 8 * KIB);
    Four.Write = SimWrite(Scene->File, 16 * KIB, Scene->Memory, 8 * KIB, 8 * KIB);
    Four.Flush = SimFlush(Scene->File);
    Four.Trim = RigTrim(Scene->File, &Range, 1);
    return Four;
}

static VOID FinishFour(SCENE *Scene, const FOUR *Four)
{
    ULONG_PTR Done;

    CHECK_EQ(SimFinish(Four->Read, &Done), STATUS_SUCCESS);
    CHECK_EQ(Done, 8 * KIB);
    CHECK(RigIsFilled(Scene->Memory->Address, 8 * KIB, 3));
    CHECK_EQ(SimFinish(Four->Write, &Done), STATUS_SUCCESS);
    CHECK_EQ(Done, 8 * KIB);
    CHECK(RigIsFilled(Scene->Image + 16 * KIB, 8 * KIB, 4));
    CHECK_EQ(SimFinish(Four->Flush, NULL), STATUS_SUCCESS);
    CHECK_EQ(SimFinish(Four->Trim, NULL), STATUS_SUCCESS);
}

/* Taken: how many of the six requests the first server has when it dies; it has answered none. */
static VOID TryTaken(ULONG Taken)
{
    struct cm_request Requests[8];
    struct cm_health Now;
    SCENE Scene;
    FOUR Four;

    Begin(&Scene, 600, 0);
    Four = StartFour(&Scene);
    CHECK_EQ(Taken == 0 ? 0 : RigFetch(&Scene.Disk, Requests, Taken), Taken);
    KillServer(&Scene);
    SimSleepMs(50);
    CHECK(!SimIsDone(Four.Read) && !SimIsDone(Four.Write));
    CHECK(!SimIsDone(Four.Flush) && !SimIsDone(Four.Trim));
    CHECK_EQ(Health(&Scene).hold_seconds, 600);
    CHECK(Health(&Scene).hold_left_ms > 0 && Health(&Scene).hold_left_ms <= 600 * 1000);

    Follow(&Scene);
    CHECK_EQ(AnswerAll(&Scene), 6);
    FinishFour(&Scene, &Four);
    Now = Health(&Scene);
    CHECK_EQ(Now.state, CM_HEALTH_SERVED);
    CHECK_EQ(Now.attaches, 1);
    CHECK_EQ(Now.handed_out_again, Taken);
    CHECK_EQ(Now.hold_left_ms, 0);
    Unmount(&Scene);
    End(&Scene);
}

static VOID TheNextServerGetsWhatTheOneBeforeDidNotAnswer(VOID)
{
    ULONG Taken;

    for (Taken = 0; Taken <= 6; Taken++)
        TryTaken(Taken);
}

static VOID TagsOfTheServerBeforeNameNothing(VOID)
{
    struct cm_request Before, After;
    struct cm_stats Stats;
    SCENE Scene;
    SIM_IO *Io;

    Begin(&Scene, 600, 0);
    Io = SimRead(Scene.File, 0, Scene.Memory, 0, 512);
    CHECK_EQ(RigFetch(&Scene.Disk, &Before, 1), 1);
    KillServer(&Scene);
    Follow(&Scene);
    CHECK_EQ(RigReply(&Scene.Disk, Before.tag, CM_STATUS_OK, 512), STATUS_REQUEST_ABORTED);
    CHECK_EQ(RigFetch(&Scene.Disk, &After, 1), 1);
    CHECK(After.tag != Before.tag);
    CHECK_EQ(RigReply(&Scene.Disk, Before.tag, CM_STATUS_OK, 512), STATUS_REQUEST_ABORTED);
    CHECK(!SimIsDone(Io));
    CHECK_EQ(RigReply(&Scene.Disk, After.tag, CM_STATUS_OK, 512), STATUS_SUCCESS);
    CHECK_EQ(SimFinish(Io, NULL), STATUS_SUCCESS);
    CHECK_EQ(RigStats(Scene.Watcher.Control, Scene.Id, &Stats), STATUS_SUCCESS);
    CHECK_EQ(Stats.bad_replies, 2);
    Unmount(&Scene);
    End(&Scene);
}

/* What a dead server still had of it holds up nobody: it can no longer write. */
static VOID ACancelledWriteEndsWithItsServer(VOID)
{
    struct cm_request Request;
    SIM_IO *First, *Second;
    SCENE Scene;

    Begin(&Scene, 600, 0);
    First = SimWrite(Scene.File, 0, Scene.Memory, 0, 4 * KIB);
    CHECK_EQ(RigFetch(&Scene.Disk, &Request, 1), 1);
    SimCancel(First);
    CHECK_EQ(SimFinish(First, NULL), STATUS_CANCELLED);
    Second = SimWrite(Scene.File, 2 * KIB, Scene.Memory, 0, 4 * KIB);
    CHECK_EQ(RigFetch(&Scene.Disk, &Request, 1), 0); /* it might be overtaken */
    KillServer(&Scene);
    Follow(&Scene);
    CHECK_EQ(AnswerAll(&Scene), 1);
    CHECK_EQ(SimFinish(Second, NULL), STATUS_SUCCESS);
    CHECK_EQ(Health(&Scene).handed_out_again, 0);
    Unmount(&Scene);
    End(&Scene);
}

/* While nobody serves it, a request can be taken back, wherever it was. */
static VOID RequestsOfAHeldDiskCanBeCancelled(VOID)
{
    struct cm_request Request;
    SIM_IO *Taken, *Waiting;
    SCENE Scene;

    Begin(&Scene, 600, 0);
    Taken = SimWrite(Scene.File, 0, Scene.Memory, 0, 8 * KIB);
    Waiting = SimRead(Scene.File, 0, Scene.Memory, 16 * KIB, 4 * KIB);
    CHECK_EQ(RigFetch(&Scene.Disk, &Request, 1), 1); /* half of the WRITE */
    KillServer(&Scene);
    SimCancel(Taken);
    SimCancel(Waiting);
    CHECK_EQ(SimFinish(Taken, NULL), STATUS_CANCELLED);
    CHECK_EQ(SimFinish(Waiting, NULL), STATUS_CANCELLED);
    Follow(&Scene);
    CHECK_EQ(AnswerAll(&Scene), 0);
    Unmount(&Scene);
    End(&Scene);
}

/* -- who may take it over ---------------------------------------------------------------------- */

static VOID OnlyAHeldDiskIsTakenOver(VOID)
{
    SIM_FILE *Control;
    RIG_DISK Other;
    ULONG64 Id;
    SCENE Scene;

    Begin(&Scene, 600, 0);
    Control = Scene.Watcher.Control;
    Id = Scene.Id;
    CHECK_EQ(RigAttachOnly(Control, Id, SIZE_OF_DISK, &Other), STATUS_DEVICE_BUSY);
    CHECK_EQ(RigAttachOnly(Scene.Server.Control, Id, SIZE_OF_DISK, &Other), STATUS_DEVICE_BUSY);
    KillServer(&Scene);
    CHECK_EQ(RigAttachOnly(Control, Id, SIZE_OF_DISK - 512, &Other), STATUS_INVALID_PARAMETER);
    CHECK_EQ(RigAttachOnly(Control, Id + 1, SIZE_OF_DISK, &Other), STATUS_NOT_FOUND);
    CHECK_EQ(Health(&Scene).state, CM_HEALTH_HELD);
    Follow(&Scene);
    CHECK_EQ(RigAttachOnly(Control, Id, SIZE_OF_DISK, &Other), STATUS_DEVICE_BUSY);
    Unmount(&Scene);
    CHECK_EQ(RigAttachOnly(Control, Id, SIZE_OF_DISK, &Other), STATUS_NOT_FOUND);
    End(&Scene);
}

static VOID AnAttachIsCheckedFirst(VOID)
{
    struct cm_attach Good, Bad;
    struct cm_attached Attached;
    SIM_FILE *Control;
    ULONG Bit;
    SCENE Scene;

    Begin(&Scene, 600, 0);
    KillServer(&Scene);
    Control = Scene.Watcher.Control;
    memset(&Good, 0, sizeof(Good));
    Good.abi_version = CM_ABI_VERSION;
    Good.disk_id = Scene.Id;
    Good.size = SIZE_OF_DISK;
    for (Bit = 0; Bit < 32; Bit++) {
        Bad = Good;
        Bad.flags = 1u << Bit;
        CHECK_EQ(RigIoctl(Control, CM_IOCTL_ATTACH, &Bad, sizeof(Bad), &Attached, sizeof(Attached),
                          NULL),
                 STATUS_INVALID_PARAMETER);
        Bad = Good;
        Bad.abi_version ^= 1u << Bit;
        CHECK_EQ(RigIoctl(Control, CM_IOCTL_ATTACH, &Bad, sizeof(Bad), &Attached, sizeof(Attached),
                          NULL),
                 STATUS_REVISION_MISMATCH);
    }
    CHECK_EQ(Health(&Scene).state, CM_HEALTH_HELD);
    Follow(&Scene);
    Unmount(&Scene);
    End(&Scene);
}

/* A server that has attached and dies before it gives an arena leaves the disk held, as it was. */
static VOID ServersMayFailToFollow(VOID)
{
    RIG_SERVER Server;
    RIG_DISK Other;
    ULONG Round;
    SCENE Scene;
    SIM_IO *Io;

    Begin(&Scene, 600, 0);
    Io = SimRead(Scene.File, 0, Scene.Memory, 0, 512);
    KillServer(&Scene);
    for (Round = 0; Round < 3; Round++) {
        Server = RigStartServer();
        CHECK_EQ(RigAttachOnly(Server.Control, Scene.Id, SIZE_OF_DISK, &Other), STATUS_SUCCESS);
        CHECK_EQ(Health(&Scene).state, CM_HEALTH_STARTING);
        Scene.Server = Server;
        Scene.Disk = Other;
        KillServer(&Scene);
    }
    Follow(&Scene);
    CHECK_EQ(AnswerAll(&Scene), 1);
    CHECK_EQ(SimFinish(Io, NULL), STATUS_SUCCESS);
    CHECK_EQ(Health(&Scene).attaches, 4);
    Unmount(&Scene);
    End(&Scene);
}

/* -- the time is over -------------------------------------------------------------------------- */

static VOID WhenTheTimeIsOverTheDiskGoes(VOID)
{
    struct cm_request Request;
    SIM_IO *Taken, *Waiting;
    SCENE Scene;

    Begin(&Scene, 40, 0);
    Taken = SimWrite(Scene.File, 0, Scene.Memory, 0, 4 * KIB);
    CHECK_EQ(RigFetch(&Scene.Disk, &Request, 1), 1);
    Waiting = SimRead(Scene.File, 0, Scene.Memory, 16 * KIB, 4 * KIB);
    KillServer(&Scene);
    CHECK(!SimIsDone(Taken) && !SimIsDone(Waiting));
    CHECK_EQ(SimFinish(Taken, NULL), STATUS_NO_SUCH_DEVICE);
    CHECK_EQ(SimFinish(Waiting, NULL), STATUS_NO_SUCH_DEVICE);
    End(&Scene);
}

static VOID ADiskThatIsHeldIsUnmountedByForceOnly(VOID)
{
    SCENE Scene;
    SIM_IO *Io;

    Begin(&Scene, 600, 0);
    Io = SimFlush(Scene.File);
    KillServer(&Scene);
    CHECK_EQ(RigUnmount(Scene.Watcher.Control, Scene.Id, 0), STATUS_DEVICE_BUSY);
    CHECK(!SimIsDone(Io));
    CHECK_EQ(RigUnmount(Scene.Watcher.Control, Scene.Id, CM_UNMOUNT_FORCE), STATUS_SUCCESS);
    CHECK_EQ(SimFinish(Io, NULL), STATUS_NO_SUCH_DEVICE);
    End(&Scene);
}

/* -- time-outs --------------------------------------------------------------------------------- */

static VOID RequestsThatTakeTooLongFail(VOID)
{
    struct cm_request Request;
    SIM_IO *Taken, *Waiting;
    struct cm_health Now;
    SCENE Scene;

    Begin(&Scene, 0, 3);
    Taken = SimRead(Scene.File, 0, Scene.Memory, 0, 512);
    CHECK_EQ(RigFetch(&Scene.Disk, &Request, 1), 1);
    Waiting = SimRead(Scene.File, 512, Scene.Memory, 16 * KIB, 512);
    SimSleepMs(1000);
    if (RigIsSerial()) { /* or who knows how long a second takes */
        CHECK(!SimIsDone(Taken) && !SimIsDone(Waiting));
        CHECK(Health(&Scene).unanswered_ms >= 1000 && Health(&Scene).unanswered_ms <= 1100);
    }
    CHECK_EQ(SimFinish(Taken, NULL), STATUS_IO_TIMEOUT);
    CHECK_EQ(SimFinish(Waiting, NULL), STATUS_IO_TIMEOUT);
    Now = Health(&Scene);
    CHECK_EQ(Now.timed_out, 2);
    CHECK_EQ(Now.timeout_seconds, 3);
    CHECK_EQ(RigReply(&Scene.Disk, Request.tag, CM_STATUS_OK, 512), STATUS_SUCCESS); /* too late */
    CHECK_EQ(Health(&Scene).unanswered_ms, 0);
    Unmount(&Scene);
    End(&Scene);
}

/* The time for an answer does not run while there is nobody to give it, and begins anew with the next server. */
static VOID TheNextServerHasTheWholeTime(VOID)
{
    struct cm_request Request;
    SIM_IO *Taken, *Waiting;
    SCENE Scene;

    Begin(&Scene, 600, 5);
    Taken = SimWrite(Scene.File, 0, Scene.Memory, 0, 4 * KIB);
    CHECK_EQ(RigFetch(&Scene.Disk, &Request, 1), 1);
    Waiting = SimRead(Scene.File, 0, Scene.Memory, 16 * KIB, 512);
    SimSleepMs(3000);
    KillServer(&Scene);
    SimSleepMs(20 * 1000);
    CHECK(!SimIsDone(Taken) && !SimIsDone(Waiting));
    Follow(&Scene);
    SimSleepMs(3000);
    CHECK(!SimIsDone(Taken) && !SimIsDone(Waiting));
    CHECK_EQ(AnswerAll(&Scene), 2);
    CHECK_EQ(SimFinish(Taken, NULL), STATUS_SUCCESS);
    CHECK_EQ(SimFinish(Waiting, NULL), STATUS_SUCCESS);
    CHECK_EQ(Health(&Scene).timed_out, 0);
    Unmount(&Scene);
    End(&Scene);
}

static const RIG_TEST Tests[] = {
    RIG_TEST(TheNextServerGetsWhatTheOneBeforeDidNotAnswer, 3),
    RIG_TEST(TagsOfTheServerBeforeNameNothing, 3),
    RIG_TEST(ACancelledWriteEndsWithItsServer, 3),
    RIG_TEST(RequestsOfAHeldDiskCanBeCancelled, 3),
    RIG_TEST(OnlyAHeldDiskIsTakenOver, 1),
    RIG_TEST(AnAttachIsCheckedFirst, 1),
    RIG_TEST(ServersMayFailToFollow, 3),
    RIG_TEST(WhenTheTimeIsOverTheDiskGoes, 1),
    RIG_TEST(ADiskThatIsHeldIsUnmountedByForceOnly, 1),
    RIG_TEST(RequestsThatTakeTooLongFail, 1),
    RIG_TEST_ON("serial", 0, TheNextServerHasTheWholeTime, 3),
};

int main(int Count, char **Arguments)
{
    return RigMain(Count, Arguments, Tests, RTL_NUMBER_OF(Tests));
}
