/* SPDX-License-Identifier: MIT */
/*
 * test_volume.c - file systems on a disk that goes: they are taken off it, so that the driver can be stopped.
 * Wine has none.
 *
 * While a disk goes, a test may ask about its file system only where one thread runs at a time; elsewhere it
 * gives it time.
 */
#include <stdlib.h>

#include "rig.h"

#define SIZE_OF_DISK (64ull * KIB)

/* That the device goes too, the rig sees: it could not stop the driver otherwise. */
static VOID ExpectDismount(const char *Name)
{
    ULONG Ms = 0;

    if (!RigIsSerial()) { /* far more than it takes */
        SimSleepMs(30 * 1000);
        return;
    }
    while (SimFileSystemIsMounted(Name)) {
        CHECK(Ms++ < 60 * 1000);
        SimSleepMs(1);
    }
}

static VOID ADiskWhoseServerDiesLosesItsFileSystem(VOID)
{
    RIG_SERVER Server = RigStartServer();
    RIG_DISK Disk, Was;

    RigMount(&Server, SIZE_OF_DISK, &Disk);
    Was = Disk;
    CHECK_EQ(SimMountFileSystem(Disk.Name), STATUS_SUCCESS);
    RigKillServer(&Server);
    RigForget(&Disk);
    ExpectDismount(Was.Name);
}

static VOID ADiskUnmountedByForceLosesItsFileSystem(VOID)
{
    RIG_SERVER Server = RigStartServer();
    RIG_DISK Disk, Was;

    RigMount(&Server, SIZE_OF_DISK, &Disk);
    Was = Disk;
    CHECK_EQ(SimMountFileSystem(Disk.Name), STATUS_SUCCESS);
    CHECK_EQ(RigUnmount(Server.Control, Disk.Id, CM_UNMOUNT_FORCE), STATUS_SUCCESS);
    RigForget(&Disk);
    ExpectDismount(Was.Name);
    RigStopServer(&Server);
}

/* Files that are open on it keep the device, but not the file system. */
static VOID AFileSystemGoesBeforeTheLastFile(VOID)
{
    RIG_SERVER Server = RigStartServer();
    SIM_PROCESS *Client = SimCreateProcess(TRUE);
    RIG_DISK Disk, Was;
    SIM_FILE *File;

    RigMount(&Server, SIZE_OF_DISK, &Disk);
    Was = Disk;
    File = RigOpenDisk(Client, &Disk);
    CHECK_EQ(SimMountFileSystem(Disk.Name), STATUS_SUCCESS);
    RigKillServer(&Server);
    RigForget(&Disk);
    ExpectDismount(Was.Name);
    SimClose(File);
    SimEndProcess(Client);
}

/* While it is held, nothing has happened as far as the file system knows. */
static VOID AHeldDiskKeepsItsFileSystem(VOID)
{
    RIG_SERVER Server = RigStartServer(), Next = RigStartServer();
    struct cm_mount Mount;
    RIG_DISK Disk, Was;

    RigMountDefaults(&Mount, SIZE_OF_DISK);
    Mount.hold_seconds = 600;
    CHECK_EQ(RigMountOnly(Server.Control, &Mount, &Disk), STATUS_SUCCESS);
    CHECK_EQ(RigGiveArena(&Disk), STATUS_SUCCESS);
    Was = Disk;
    CHECK_EQ(SimMountFileSystem(Disk.Name), STATUS_SUCCESS);
    RigKillServer(&Server);
    RigForget(&Disk);
    CHECK_EQ(RigAttach(Next.Control, Was.Id, SIZE_OF_DISK, &Disk), STATUS_SUCCESS);
    SimSleepMs(50);
    CHECK(SimFileSystemIsMounted(Was.Name));
    CHECK_EQ(RigUnmount(Next.Control, Disk.Id, CM_UNMOUNT_FORCE), STATUS_SUCCESS);
    RigForget(&Disk);
    ExpectDismount(Was.Name);
    RigStopServer(&Next);
}

/* One that lets go by itself, as it does for an unmount in order, is not asked again. */
static VOID AFileSystemThatHasLetGoIsLeftAlone(VOID)
{
    RIG_SERVER Server = RigStartServer();
    RIG_DISK Disk;

    RigMount(&Server, SIZE_OF_DISK, &Disk);
    CHECK_EQ(SimMountFileSystem(Disk.Name), STATUS_SUCCESS);
    SimUnmountFileSystem(Disk.Name);
    CHECK_EQ(RigUnmount(Server.Control, Disk.Id, 0), STATUS_SUCCESS);
    RigForget(&Disk);
    RigStopServer(&Server);
}

/* Who unmounts a disk in good order has its volume locked until the disk has gone, and then lets go of it. */
static VOID ALockedVolumeIsLeftToWhoHoldsIt(VOID)
{
    RIG_SERVER Server = RigStartServer();
    RIG_DISK Disk, Was;

    RigMount(&Server, SIZE_OF_DISK, &Disk);
    Was = Disk;
    CHECK_EQ(SimMountFileSystem(Disk.Name), STATUS_SUCCESS);
    SimLockFileSystem(Disk.Name);
    CHECK_EQ(RigUnmount(Server.Control, Disk.Id, 0), STATUS_SUCCESS);
    RigForget(&Disk);
    SimSleepMs(30 * 1000); /* the reaper has been there */
    CHECK(SimFileSystemIsMounted(Was.Name));
    SimUnmountFileSystem(Was.Name);
    RigStopServer(&Server);
}

static const RIG_TEST Tests[] = {
    RIG_TEST_ON("nt", 0, ADiskWhoseServerDiesLosesItsFileSystem, 2),
    RIG_TEST_ON("nt", 0, ADiskUnmountedByForceLosesItsFileSystem, 2),
    RIG_TEST_ON("nt", 0, AFileSystemGoesBeforeTheLastFile, 2),
    RIG_TEST_ON("nt", 0, AHeldDiskKeepsItsFileSystem, 2),
    RIG_TEST_ON("nt", 0, AFileSystemThatHasLetGoIsLeftAlone, 2),
    RIG_TEST_ON("nt", 0, ALockedVolumeIsLeftToWhoHoldsIt, 2),
};

int main(int Count, char **Arguments)
{
    return RigMain(Count, Arguments, Tests, RTL_NUMBER_OF(Tests));
}
