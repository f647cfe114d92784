/* SPDX-License-Identifier: MIT */
/*
 * test_random.c - many clients and a server of many threads, at random, with one or two disks: what is written
 * is read, whatever is cancelled, fails or is killed meanwhile, and the numbers add up. CM_SCALE for long runs.
 */
#include <stdlib.h>
#include <string.h>

#include "load.h"

static VOID RunToTheEnd(LOAD *Load)
{
    LoadBegin(Load);
    LoadStartClients(Load);
    LoadJoinClients(Load);
    LoadCheckStats(Load);
    LoadEnd(Load);
}

static VOID EightClientsOnOneDisk(VOID)
{
    LOAD Load;

    LoadDefaults(&Load, 8, 1, 2);
    RunToTheEnd(&Load);
}

static VOID TwoDisksOfOneServer(VOID)
{
    LOAD Load;

    LoadDefaults(&Load, 6, 2, 2);
    RunToTheEnd(&Load);
}

static VOID ClientsCancel(VOID)
{
    LOAD Load;

    LoadDefaults(&Load, 5, 1, 3);
    Load.CancelRate = 300;
    RunToTheEnd(&Load);
}

static VOID ClientsAreKilled(VOID)
{
    LOAD Load;

    LoadDefaults(&Load, 5, 1, 2);
    Load.KillRate = 300;
    RunToTheEnd(&Load);
}

static VOID ServersFailAndTalkNonsense(VOID)
{
    LOAD Load;

    LoadDefaults(&Load, 4, 2, 2);
    Load.CancelRate = 100;
    Load.FailRate = 150;
    Load.NonsenseRate = 100;
    RunToTheEnd(&Load);
}

static VOID OneSlotForAll(VOID)
{
    LOAD Load;

    LoadDefaults(&Load, 4, 1, 2);
    Load.Mount.queue_depth = 1;
    Load.CancelRate = 200;
    RunToTheEnd(&Load);
}

/* -- the end comes in the middle --------------------------------------------------------------- */

static VOID BeginToEndInTheMiddle(LOAD *Load, ULONG Disks)
{
    LoadDefaults(Load, 4, Disks, 2);
    Load->Batches = 100000; /* until it ends */
    Load->MayVanish = TRUE;
    Load->CancelRate = 100;
    LoadBegin(Load);
    LoadStartClients(Load);
    LoadWaitForRequests(Load, SimRandomBelow(100));
}

static VOID ServerIsKilledInTheMiddle(VOID)
{
    LOAD Load;

    BeginToEndInTheMiddle(&Load, 2);
    LoadKillHost(&Load);
    LoadJoinClients(&Load);
    LoadEnd(&Load);
}

static VOID ServerClosesItsHandleInTheMiddle(VOID)
{
    LOAD Load;

    BeginToEndInTheMiddle(&Load, 1);
    LoadCloseHost(&Load);
    LoadJoinClients(&Load);
    LoadEnd(&Load);
}

static VOID DiskIsUnmountedInTheMiddle(VOID)
{
    ULONG Index;
    LOAD Load;

    BeginToEndInTheMiddle(&Load, 2);
    for (Index = 0; Index < 2; Index++) {
        CHECK_EQ(RigUnmount(Load.Tool.Control, Load.Ids[Index], 0), STATUS_DEVICE_BUSY);
        CHECK_EQ(RigUnmount(Load.Tool.Control, Load.Ids[Index], CM_UNMOUNT_FORCE), STATUS_SUCCESS);
    }
    LoadJoinClients(&Load);
    LoadEnd(&Load);
}

/* On NT a stop waits for the last handle, and all goes on; on Wine all ends at once. */
static VOID DriverIsStoppedInTheMiddle(VOID)
{
    LOAD Load;

    BeginToEndInTheMiddle(&Load, 2);
    CHECK_EQ(SimStopDriver(), SimIsWine());
    SimSleepMs(1);
    if (!SimIsWine())
        LoadKillHost(&Load);
    LoadJoinClients(&Load);
    LoadEnd(&Load);
    RigWaitUntilUnloaded();
}

static const RIG_TEST Tests[] = {
    RIG_TEST(EightClientsOnOneDisk, 3),
    RIG_TEST(TwoDisksOfOneServer, 3),
    RIG_TEST(ClientsCancel, 6),
    RIG_TEST(ClientsAreKilled, 4),
    RIG_TEST(ServersFailAndTalkNonsense, 4),
    RIG_TEST(OneSlotForAll, 4),
    RIG_TEST(ServerIsKilledInTheMiddle, 6),
    RIG_TEST(ServerClosesItsHandleInTheMiddle, 6),
    RIG_TEST(DiskIsUnmountedInTheMiddle, 6),
    RIG_TEST(DriverIsStoppedInTheMiddle, 6),
};

int main(int Count, char **Arguments)
{
    return RigMain(Count, Arguments, Tests, RTL_NUMBER_OF(Tests));
}
