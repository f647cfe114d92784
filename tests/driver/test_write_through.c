/* SPDX-License-Identifier: MIT */
/* test_write_through.c - writes that must be durable: the server is told so, for each part and each time. */
#include <stdlib.h>

#include "rig.h"

#define SIZE_OF_DISK (64ull * KIB)

typedef struct SCENE {
    RIG_SERVER Server;
    RIG_DISK Disk;
    SIM_PROCESS *Client;
    SIM_FILE *File;
    SIM_MEMORY *Memory;
} SCENE;

static VOID Begin(SCENE *Scene)
{
    struct cm_mount Mount;

    Scene->Server = RigStartServer();
    Scene->Client = SimCreateProcess(TRUE);
    Scene->Memory = SimAllocate(16 * KIB);
    RigMountDefaults(&Mount, SIZE_OF_DISK);
    Mount.hold_seconds = 600;
    CHECK_EQ(RigMountOnly(Scene->Server.Control, &Mount, &Scene->Disk), STATUS_SUCCESS);
    CHECK_EQ(RigGiveArena(&Scene->Disk), STATUS_SUCCESS);
    Scene->File = RigOpenDisk(Scene->Client, &Scene->Disk);
}

static VOID End(SCENE *Scene)
{
    RigCheckSums(Scene->Server.Control, Scene->Disk.Id);
    SimClose(Scene->File);
    CHECK_EQ(RigUnmount(Scene->Server.Control, Scene->Disk.Id, 0), STATUS_SUCCESS);
    RigForget(&Scene->Disk);
    RigStopServer(&Scene->Server);
    SimEndProcess(Scene->Client);
    SimFree(Scene->Memory);
}

static SIM_IO *Start(SCENE *Scene, UCHAR Major, UCHAR Flags)
{
    SIM_REQUEST Request = {
        .Major = Major,
        .Flags = Flags,
        .Length = 10 * KIB, /* three parts */
        .Memory = Scene->Memory,
        .MdlLength = 10 * KIB,
    };

    return SimSend(Scene->File, &Request);
}

static VOID FetchThree(SCENE *Scene, struct cm_request Requests[4], ULONG Op, ULONG Flags)
{
    ULONG Index;

    CHECK_EQ(RigFetch(&Scene->Disk, Requests, 4), 3);
    for (Index = 0; Index < 3; Index++) {
        CHECK_EQ(Requests[Index].op, Op);
        CHECK_EQ(Requests[Index].flags, Flags);
    }
}

static VOID Try(SCENE *Scene, UCHAR Major, UCHAR Flags, ULONG Op, ULONG Expected)
{
    SIM_IO *Io = Start(Scene, Major, Flags);
    struct cm_request Requests[4];
    ULONG Index;

    FetchThree(Scene, Requests, Op, Expected);
    for (Index = 0; Index < 3; Index++)
        CHECK_EQ(RigReply(&Scene->Disk, Requests[Index].tag, CM_STATUS_OK,
                          (ULONG)Requests[Index].length),
                 STATUS_SUCCESS);
    CHECK_EQ(SimFinish(Io, NULL), STATUS_SUCCESS);
}

static VOID EachPartOfSuchAWriteSaysSo(VOID)
{
    SCENE Scene;

    Begin(&Scene);
    Try(&Scene, IRP_MJ_WRITE, SL_WRITE_THROUGH, CM_OP_WRITE, CM_REQUEST_FUA);
    Try(&Scene, IRP_MJ_WRITE, 0, CM_OP_WRITE, 0); /* the slots are the same: nothing stays */
    Try(&Scene, IRP_MJ_WRITE, (UCHAR)~SL_WRITE_THROUGH & 0x1F, CM_OP_WRITE, 0);
    Try(&Scene, IRP_MJ_READ, SL_WRITE_THROUGH, CM_OP_READ, 0);
    End(&Scene);
}

/* A server that follows knows nothing of what the one before was told. */
static VOID TheNextServerIsToldToo(VOID)
{
    struct cm_request Requests[4];
    struct cm_health Health;
    RIG_SERVER Next;
    ULONG64 Id;
    SCENE Scene;
    SIM_IO *Io;
    ULONG Index;

    Begin(&Scene);
    Id = Scene.Disk.Id;
    Io = Start(&Scene, IRP_MJ_WRITE, SL_WRITE_THROUGH);
    FetchThree(&Scene, Requests, CM_OP_WRITE, CM_REQUEST_FUA);
    Next = RigStartServer();
    RigKillServer(&Scene.Server);
    do {
        SimSleepMs(1);
        CHECK_EQ(RigHealth(Next.Control, Id, &Health), STATUS_SUCCESS);
    } while (Health.state != CM_HEALTH_HELD);
    RigForget(&Scene.Disk);
    Scene.Server = Next;
    CHECK_EQ(RigAttach(Next.Control, Id, SIZE_OF_DISK, &Scene.Disk), STATUS_SUCCESS);
    FetchThree(&Scene, Requests, CM_OP_WRITE, CM_REQUEST_FUA);
    for (Index = 0; Index < 3; Index++)
        CHECK_EQ(
            RigReply(&Scene.Disk, Requests[Index].tag, CM_STATUS_OK, (ULONG)Requests[Index].length),
            STATUS_SUCCESS);
    CHECK_EQ(SimFinish(Io, NULL), STATUS_SUCCESS);
    End(&Scene);
}

static const RIG_TEST Tests[] = {
    RIG_TEST(EachPartOfSuchAWriteSaysSo, 1),
    RIG_TEST(TheNextServerIsToldToo, 3),
};

int main(int Count, char **Arguments)
{
    return RigMain(Count, Arguments, Tests, RTL_NUMBER_OF(Tests));
}
