/* SPDX-License-Identifier: MIT */
/* test_basic.c - the shortest stories: a disk is mounted, read, written, flushed, unmounted. */
#include <stdlib.h>

#include "rig.h"

static VOID DriverStartsAndStops(VOID)
{
    ULONG Index;

    for (Index = 0; Index < 3; Index++)
        RigReload();
}

static VOID WhatIsWrittenIsReadBack(VOID)
{
    RIG_SERVER Server = RigStartServer();
    SIM_PROCESS *Client = SimCreateProcess(TRUE);
    SIM_MEMORY *Memory = SimAllocate(64 * KIB);
    PUCHAR Image = calloc(1, MIB);
    RIG_SERVICE Service = {.Image = Image, .Batch = 4};
    SIM_THREAD *Thread;
    ULONG_PTR Done;
    SIM_FILE *File;
    RIG_DISK Disk;

    RigMount(&Server, MIB, &Disk);
    Service.Disk = &Disk;
    Thread = SimSpawn("server", RigServe, &Service);
    File = RigOpenDisk(Client, &Disk);

    RigFill(Memory->Address, 20 * KIB, 1);
    CHECK_EQ(SimFinish(SimWrite(File, 8 * KIB, Memory, 0, 20 * KIB), &Done), STATUS_SUCCESS);
    CHECK_EQ(Done, 20 * KIB);
    CHECK(RigIsFilled(Image + 8 * KIB, 20 * KIB, 1));
    CHECK_EQ(SimFinish(SimRead(File, 8 * KIB, Memory, 32 * KIB, 20 * KIB), &Done), STATUS_SUCCESS);
    CHECK(RigIsFilled(Memory->Address + 32 * KIB, 20 * KIB, 1));
    CHECK_EQ(SimFinish(SimFlush(File), NULL), STATUS_SUCCESS);
    RigCheckSums(Server.Control, Disk.Id);

    SimClose(File);
    CHECK_EQ(RigUnmount(Server.Control, Disk.Id, 0), STATUS_SUCCESS);
    SimJoin(Thread);
    CHECK(Service.Ended == STATUS_DEVICE_REMOVED || Service.Ended == STATUS_NOT_FOUND);
    RigForget(&Disk);
    RigStopServer(&Server);
    SimEndProcess(Client);
    SimFree(Memory);
    free(Image);
}

static const RIG_TEST Tests[] = {
    RIG_TEST(DriverStartsAndStops, 1),
    RIG_TEST(WhatIsWrittenIsReadBack, 20),
};

int main(int Count, char **Arguments)
{
    return RigMain(Count, Arguments, Tests, RTL_NUMBER_OF(Tests));
}
