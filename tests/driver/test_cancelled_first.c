/* SPDX-License-Identifier: MIT */
/*
 * test_cancelled_first.c - requests that have been taken back before the driver gets them: no cancel routine
 * will run for them, and they must not wait for anything.
 */
#include <stdlib.h>

#include "rig.h"

#define SIZE_OF_DISK (64ull * KIB)

typedef struct SCENE {
    RIG_SERVER Server;
    RIG_DISK Disk;
    SIM_FILE *File;
    SIM_MEMORY *Memory;
} SCENE;

static VOID Begin(SCENE *Scene)
{
    Scene->Server = RigStartServer();
    Scene->Memory = SimAllocate(16 * KIB);
    RigMount(&Scene->Server, SIZE_OF_DISK, &Scene->Disk);
    Scene->File = RigOpenDisk(Scene->Server.Process, &Scene->Disk);
}

static VOID End(SCENE *Scene)
{
    RigCheckSums(Scene->Server.Control, Scene->Disk.Id);
    SimClose(Scene->File);
    CHECK_EQ(RigUnmount(Scene->Server.Control, Scene->Disk.Id, 0), STATUS_SUCCESS);
    RigForget(&Scene->Disk);
    RigStopServer(&Scene->Server);
    SimFree(Scene->Memory);
}

static VOID TryOnDisk(SCENE *Scene, UCHAR Major, ULONG Length)
{
    struct cm_request Unwanted;
    SIM_REQUEST Request = {
        .Major = Major,
        .Length = Length,
        .Memory = Length != 0 ? Scene->Memory : NULL,
        .MdlLength = Length,
        .CancelFirst = TRUE,
    };

    CHECK_EQ(SimFinish(SimSend(Scene->File, &Request), NULL), STATUS_CANCELLED);
    CHECK_EQ(RigFetch(&Scene->Disk, &Unwanted, 1), 0);
}

static VOID NothingOfThemReachesTheServer(VOID)
{
    struct {
        DEVICE_MANAGE_DATA_SET_ATTRIBUTES Set;
        DEVICE_DATA_SET_RANGE Range;
    } Trim = {.Set = {.Size = sizeof(Trim.Set), .Action = DeviceDsmAction_Trim}, .Range = {0, 512}};
    SIM_REQUEST Request = {
        .Major = IRP_MJ_DEVICE_CONTROL,
        .Code = IOCTL_STORAGE_MANAGE_DATA_SET_ATTRIBUTES,
        .In = &Trim,
        .InLength = sizeof(Trim),
        .CancelFirst = TRUE,
    };
    struct cm_request Unwanted;
    struct cm_stats Stats;
    SCENE Scene;

    Begin(&Scene);
    TryOnDisk(&Scene, IRP_MJ_READ, 16 * KIB);
    TryOnDisk(&Scene, IRP_MJ_WRITE, 16 * KIB);
    TryOnDisk(&Scene, IRP_MJ_WRITE, 512);
    TryOnDisk(&Scene, IRP_MJ_FLUSH_BUFFERS, 0);
    Trim.Set.DataSetRangesOffset = (ULONG)((PUCHAR)&Trim.Range - (PUCHAR)&Trim);
    Trim.Set.DataSetRangesLength = sizeof(Trim.Range);
    CHECK_EQ(SimFinish(SimSend(Scene.File, &Request), NULL), STATUS_CANCELLED);
    CHECK_EQ(RigFetch(&Scene.Disk, &Unwanted, 1), 0);
    CHECK_EQ(RigStats(Scene.Server.Control, Scene.Disk.Id, &Stats), STATUS_SUCCESS);
    CHECK_EQ(Stats.requests, 5);
    CHECK_EQ(Stats.cancelled, 5);
    CHECK_EQ(Stats.handed_out, 0);
    End(&Scene);
}

/* A server that waits for requests is not woken by one that was taken back. */
static VOID AParkedExchangeSleepsOn(VOID)
{
    RIG_EXCHANGE Exchange;
    SCENE Scene;
    SIM_IO *Io;

    Begin(&Scene);
    Io = RigStartExchange(&Scene.Disk, &Exchange, 0, 0, 4);
    TryOnDisk(&Scene, IRP_MJ_READ, 512);
    CHECK(!SimIsDone(Io));
    SimCancel(Io);
    CHECK_EQ(SimFinish(Io, NULL), STATUS_CANCELLED);
    End(&Scene);
}

/* Its replies count all the same: the contract has it so for one that is cancelled while it waits. */
static VOID AnExchangeDoesNotWaitButItsRepliesCount(VOID)
{
    struct {
        struct cm_exchange Head;
        struct cm_reply Reply;
    } In = {.Head = {.reply_count = 1}, .Reply = {.length = 512}};
    UCHAR Out[sizeof(struct cm_exchanged) + sizeof(struct cm_request)];
    SIM_REQUEST Request = {
        .Major = IRP_MJ_DEVICE_CONTROL,
        .Code = CM_IOCTL_EXCHANGE,
        .In = &In,
        .InLength = sizeof(In),
        .Out = Out,
        .OutLength = sizeof(Out),
        .CancelFirst = TRUE,
    };
    struct cm_request Read;
    SCENE Scene;
    SIM_IO *Io;

    Begin(&Scene);
    Io = SimRead(Scene.File, 0, Scene.Memory, 0, 512);
    CHECK_EQ(RigFetch(&Scene.Disk, &Read, 1), 1);
    In.Head.disk_id = Scene.Disk.Id;
    In.Reply.tag = Read.tag;
    In.Reply.status = CM_STATUS_OK;
    RigFill(RigSlot(&Scene.Disk, Read.tag), 512, 9);
    CHECK_EQ(SimFinish(SimSend(Scene.Disk.Control, &Request), NULL), STATUS_CANCELLED);
    CHECK_EQ(SimFinish(Io, NULL), STATUS_SUCCESS);
    CHECK(RigIsFilled(Scene.Memory->Address, 512, 9));
    End(&Scene);
}

static const RIG_TEST Tests[] = {
    RIG_TEST(NothingOfThemReachesTheServer, 1),
    RIG_TEST(AParkedExchangeSleepsOn, 3),
    RIG_TEST(AnExchangeDoesNotWaitButItsRepliesCount, 3),
};

int main(int Count, char **Arguments)
{
    return RigMain(Count, Arguments, Tests, RTL_NUMBER_OF(Tests));
}
