/* SPDX-License-Identifier: MIT */
/*
 * test_unload.c - the driver is stopped while it is in use, and files are closed with requests under way. On NT
 * the driver goes when the last handle does, wherever that is and whatever else ends at that moment; on Wine at
 * once. Stops under load: test_random.c, test_reattach.c.
 */
#include <stdlib.h>
#include <string.h>

#include "rig.h"

typedef struct SCENE {
    RIG_SERVER Server;
    RIG_DISK Disk;
    SIM_PROCESS *Client;
    SIM_FILE *File;
    SIM_MEMORY *Memory;
    UCHAR Image[64 * KIB];
} SCENE;

static VOID Begin(SCENE *Scene, ULONG HoldSeconds)
{
    struct cm_mount Mount;

    Scene->Server = RigStartServer();
    Scene->Client = SimCreateProcess(TRUE);
    Scene->Memory = SimAllocate(64 * KIB);
    RigMountDefaults(&Mount, sizeof(Scene->Image));
    Mount.hold_seconds = (UINT16)HoldSeconds;
    CHECK_EQ(RigMountOnly(Scene->Server.Control, &Mount, &Scene->Disk), STATUS_SUCCESS);
    CHECK_EQ(RigGiveArena(&Scene->Disk), STATUS_SUCCESS);
    Scene->File = RigOpenDisk(Scene->Client, &Scene->Disk);
    RigFill(Scene->Image, sizeof(Scene->Image), 7);
}

static VOID CloseServer(SCENE *Scene)
{
    SimClose(Scene->Server.Control);
    RigForget(&Scene->Disk);
    SimEndProcess(Scene->Server.Process);
}

static VOID CloseClient(SCENE *Scene)
{
    SimClose(Scene->File);
    SimEndProcess(Scene->Client);
    SimFree(Scene->Memory);
}

static VOID ServeOne(SCENE *Scene)
{
    struct cm_request Request;

    CHECK_EQ(RigFetch(&Scene->Disk, &Request, 1), 1);
    CHECK_EQ(RigAnswer(&Scene->Disk, &Request, Scene->Image), STATUS_SUCCESS);
}

/* -- stopping (NT) ----------------------------------------------------------------------------- */

static VOID NobodyMayOpen(const char *Name)
{
    SIM_PROCESS *Process = SimCreateProcess(TRUE);
    NTSTATUS Status;

    CHECK(SimOpen(Process, Name, GENERIC_READ | GENERIC_WRITE, &Status) == NULL);
    CHECK_EQ(Status, STATUS_NO_SUCH_DEVICE);
    SimEndProcess(Process);
}

/* All goes on for those who are there, and nobody else comes in. */
static VOID AStopWaitsForTheLastHandle(VOID)
{
    BOOLEAN ServerFirst = SimRandomBelow(2) != 0, Kill = SimRandomBelow(2) != 0;
    SCENE *Scene = calloc(1, sizeof(*Scene));
    SIM_IO *Io;

    Begin(Scene, SimRandomBelow(2) * 3600);
    Io = SimRead(Scene->File, 0, Scene->Memory, 0, 4 * KIB);
    CHECK(!SimStopDriver());
    NobodyMayOpen(SIM_CONTROL);
    NobodyMayOpen(Scene->Disk.Name);
    ServeOne(Scene);
    CHECK_EQ(SimFinish(Io, NULL), STATUS_SUCCESS);
    CHECK(RigIsFilled(Scene->Memory->Address, 4 * KIB, 7));
    Io = SimRead(Scene->File, 0, Scene->Memory, 0, 4 * KIB);
    CHECK(SimDriverIsLoaded());
    if (ServerFirst) {
        CloseServer(Scene);
        CHECK(SimDriverIsLoaded());
        SimCancel(Io); /* a held disk would keep it waiting */
        CHECK(!NT_SUCCESS(SimFinish(Io, NULL)));
    }
    if (Kill) {
        SimKill(Scene->Client);
        if (!ServerFirst)
            CHECK_EQ(SimFinish(Io, NULL), STATUS_CANCELLED);
        SimFree(Scene->Memory);
    } else {
        if (!ServerFirst) {
            ServeOne(Scene);
            CHECK_EQ(SimFinish(Io, NULL), STATUS_SUCCESS);
        }
        CloseClient(Scene);
    }
    if (!ServerFirst) {
        CHECK(SimDriverIsLoaded());
        CloseServer(Scene);
    }
    RigWaitUntilUnloaded();
    free(Scene);
}

/* The last handles go, disks are deleted, and the stop comes, all at once: whoever is last unloads it. */

static VOID RunCloseServer(PVOID Scene)
{
    CloseServer(Scene);
}

static VOID RunCloseClient(PVOID Scene)
{
    CloseClient(Scene);
}

static VOID RunStop(PVOID Context)
{
    UNREFERENCED_PARAMETER(Context);
    SimStopDriver();
}

static VOID WhoeverIsLastUnloadsTheDriver(VOID)
{
    SCENE *Scene = calloc(1, sizeof(*Scene));
    SIM_THREAD *Threads[3];
    ULONG Index;

    Begin(Scene, SimRandomBelow(2) * 3600);
    Threads[0] = SimSpawn("server", RunCloseServer, Scene);
    Threads[1] = SimSpawn("client", RunCloseClient, Scene);
    Threads[2] = SimSpawn("stop", RunStop, NULL);
    for (Index = 0; Index < 3; Index++)
        SimJoin(Threads[Index]);
    RigWaitUntilUnloaded();
    free(Scene);
}

/* The disk goes by itself at that moment, as the time for which it is held is over. */
static VOID ADiskThatEndsWhileTheDriverStops(VOID)
{
    SCENE *Scene = calloc(1, sizeof(*Scene));

    Begin(Scene, 1);
    CloseServer(Scene);
    SimSleepMs(900 + SimRandomBelow(400)); /* the watchdog looks five times a second */
    if (SimRandomBelow(2) != 0) {
        CHECK_EQ(SimStopDriver(), SimIsWine());
        CloseClient(Scene);
    } else {
        CloseClient(Scene);
        CHECK(SimStopDriver());
    }
    RigWaitUntilUnloaded();
    free(Scene);
}

/* -- closing with requests under way ----------------------------------------------------------- */

/* Closing takes nothing back: the request is answered, and the handle does not count any more. */
static VOID AFileIsClosedWithARequestUnderWay(VOID)
{
    BOOLEAN Out = SimRandomBelow(2) != 0;
    SCENE *Scene = calloc(1, sizeof(*Scene));
    struct cm_request Request;
    ULONG64 Id;
    SIM_IO *Io;

    Begin(Scene, 0);
    Id = Scene->Disk.Id;
    Io = SimRead(Scene->File, 512, Scene->Memory, 0, 512);
    if (Out)
        CHECK_EQ(RigFetch(&Scene->Disk, &Request, 1), 1);
    SimClose(Scene->File);
    CHECK(!SimIsDone(Io));
    CHECK_EQ(RigUnmount(Scene->Server.Control, Id, 0), STATUS_DEVICE_BUSY);
    if (!Out)
        CHECK_EQ(RigFetch(&Scene->Disk, &Request, 1), 1);
    CHECK_EQ(RigAnswer(&Scene->Disk, &Request, Scene->Image), STATUS_SUCCESS);
    CHECK_EQ(SimFinish(Io, NULL), STATUS_SUCCESS);
    CHECK(memcmp(Scene->Memory->Address, Scene->Image + 512, 512) == 0);
    CHECK_EQ(RigUnmount(Scene->Server.Control, Id, 0), STATUS_SUCCESS);
    RigForget(&Scene->Disk);
    RigStopServer(&Scene->Server);
    SimEndProcess(Scene->Client);
    SimFree(Scene->Memory);
    free(Scene);
}

static NTSTATUS SoftUnmount(const SCENE *Scene, ULONG OwnHandles)
{
    struct cm_unmount Unmount = {.disk_id = Scene->Disk.Id, .own_handles = OwnHandles};

    return SimFinish(
        SimIoctl(Scene->Server.Control, CM_IOCTL_UNMOUNT, &Unmount, sizeof(Unmount), NULL, 0),
        NULL);
}

static VOID HandlesThatAreTheCallersOwnDoNotKeepADisk(VOID)
{
    SCENE *Scene = calloc(1, sizeof(*Scene));
    SIM_FILE *Second;
    NTSTATUS Status;

    Begin(Scene, 0);
    Second = RigOpenDisk(Scene->Server.Process, &Scene->Disk);
    CHECK_EQ(SoftUnmount(Scene, 0), STATUS_DEVICE_BUSY);
    CHECK_EQ(SoftUnmount(Scene, 1), STATUS_DEVICE_BUSY);
    SimClose(Scene->File);
    CHECK_EQ(SoftUnmount(Scene, 0), STATUS_DEVICE_BUSY);
    /* Refusing has changed nothing. */
    Scene->File = RigOpenDisk(Scene->Client, &Scene->Disk);
    SimClose(Scene->File);
    CHECK_EQ(SoftUnmount(Scene, 1), STATUS_SUCCESS);
    CHECK_EQ(SimFinish(SimRead(Second, 0, Scene->Memory, 0, 512), NULL) == STATUS_SUCCESS, FALSE);
    SimClose(Second);
    Scene->File = SimOpen(Scene->Client, Scene->Disk.Name, GENERIC_READ, &Status);
    CHECK(!NT_SUCCESS(Status));
    if (Scene->File != NULL) /* Wine lets a refused open through */
        SimClose(Scene->File);
    RigForget(&Scene->Disk);
    RigStopServer(&Scene->Server);
    SimEndProcess(Scene->Client);
    SimFree(Scene->Memory);
    free(Scene);
}

static const RIG_TEST Tests[] = {
    RIG_TEST_ON("nt", 0, AStopWaitsForTheLastHandle, 50),
    RIG_TEST_ON("nt", 0, WhoeverIsLastUnloadsTheDriver, 200),
    RIG_TEST(ADiskThatEndsWhileTheDriverStops, 50),
    RIG_TEST(AFileIsClosedWithARequestUnderWay, 20),
    RIG_TEST(HandlesThatAreTheCallersOwnDoNotKeepADisk, 5),
};

int main(int Count, char **Arguments)
{
    return RigMain(Count, Arguments, Tests, RTL_NUMBER_OF(Tests));
}
