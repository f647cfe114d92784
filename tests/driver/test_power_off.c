/* SPDX-License-Identifier: MIT */
/*
 * test_power_off.c - the machine is switched off (IRP_MJ_SHUTDOWN): what is written reaches the image if there
 * is a server, and nobody waits for long if there is none, or a bad one. Wine tells no driver of it.
 */
#include "rig.h"

#define SIZE_OF_DISK (64ull * KIB)

static VOID MountServed(const RIG_SERVER *Server, const struct cm_mount *Mount, RIG_DISK *Disk)
{
    CHECK_EQ(RigMountOnly(Server->Control, Mount, Disk), STATUS_SUCCESS);
    CHECK_EQ(RigGiveArena(Disk), STATUS_SUCCESS);
}

/* The server is asked to flush, and answers so; the system hears this. */
static VOID SwitchOffWith(ULONG Answer, NTSTATUS Expected)
{
    RIG_SERVER Server = RigStartServer();
    struct cm_request Request;
    RIG_DISK Disk;
    SIM_FILE *File;
    SIM_IO *Io;

    RigMount(&Server, SIZE_OF_DISK, &Disk);
    File = RigOpenDisk(Server.Process, &Disk);
    Io = SimSwitchOff(File);
    CHECK(Io != NULL);
    CHECK_EQ(RigFetch(&Disk, &Request, 1), 1);
    CHECK_EQ(Request.op, CM_OP_FLUSH);
    CHECK_EQ(RigReply(&Disk, Request.tag, Answer, 0), STATUS_SUCCESS);
    CHECK_EQ(SimFinish(Io, NULL), Expected);
    SimClose(File);
    CHECK_EQ(RigUnmount(Server.Control, Disk.Id, 0), STATUS_SUCCESS);
    RigForget(&Disk);
    RigStopServer(&Server);
}

static VOID TheImageIsFlushed(VOID)
{
    SwitchOffWith(CM_STATUS_OK, STATUS_SUCCESS);
}

static VOID AFailedFlushIsTold(VOID)
{
    SwitchOffWith(CM_STATUS_NO_SPACE, STATUS_DISK_FULL);
}

/* Serial only: time is simulated there, and this takes much of it. */
static VOID AServerThatHangsIsNotWaitedForLong(VOID)
{
    RIG_SERVER Server = RigStartServer();
    SIM_MEMORY *Memory = SimAllocate(4096);
    struct cm_request Request;
    SIM_IO *Off, *Write;
    SIM_FILE *File;
    RIG_DISK Disk;

    RigMount(&Server, SIZE_OF_DISK, &Disk);
    File = RigOpenDisk(Server.Process, &Disk);
    Write = SimWrite(File, 0, Memory, 0, 512);
    CHECK_EQ(RigFetch(&Disk, &Request, 1), 1); /* and never answered */
    SimSleepMs(60 * 1000);
    CHECK(!SimIsDone(Write)); /* there is no time-out yet */
    Off = SimSwitchOff(File);
    SimSleepMs(9 * 1000);
    CHECK(!SimIsDone(Off) && !SimIsDone(Write));
    SimSleepMs(2 * 1000);
    CHECK(SimIsDone(Off) && SimIsDone(Write));
    CHECK_EQ(SimFinish(Off, NULL), STATUS_IO_TIMEOUT);
    CHECK_EQ(SimFinish(Write, NULL), STATUS_IO_TIMEOUT);
    SimClose(File);
    SimFree(Memory);
    CHECK_EQ(RigUnmount(Server.Control, Disk.Id, CM_UNMOUNT_FORCE), STATUS_SUCCESS);
    RigForget(&Disk);
    RigStopServer(&Server);
}

static VOID AShorterTimeOutStays(VOID)
{
    RIG_SERVER Server = RigStartServer();
    struct cm_mount Mount;
    SIM_FILE *File;
    RIG_DISK Disk;
    SIM_IO *Off;

    RigMountDefaults(&Mount, SIZE_OF_DISK);
    Mount.timeout_seconds = 2;
    MountServed(&Server, &Mount, &Disk);
    File = RigOpenDisk(Server.Process, &Disk);
    Off = SimSwitchOff(File);
    SimSleepMs(3 * 1000);
    CHECK(SimIsDone(Off));
    CHECK_EQ(SimFinish(Off, NULL), STATUS_IO_TIMEOUT);
    SimClose(File);
    CHECK_EQ(RigUnmount(Server.Control, Disk.Id, CM_UNMOUNT_FORCE), STATUS_SUCCESS);
    RigForget(&Disk);
    RigStopServer(&Server);
}

/* Nobody will come to take it over. */
static VOID AHeldDiskGoesAtOnce(VOID)
{
    RIG_SERVER Server = RigStartServer();
    SIM_PROCESS *System = SimCreateProcess(TRUE);
    struct cm_mount Mount;
    SIM_FILE *File;
    RIG_DISK Disk;
    SIM_IO *Off;

    RigMountDefaults(&Mount, SIZE_OF_DISK);
    Mount.hold_seconds = 3600;
    MountServed(&Server, &Mount, &Disk);
    File = RigOpenDisk(System, &Disk);
    RigKillServer(&Server);
    RigForget(&Disk);
    Off = SimSwitchOff(File);
    CHECK_EQ(SimFinish(Off, NULL), STATUS_NO_SUCH_DEVICE);
    SimClose(File);
    SimEndProcess(System);
}

/* A server that is ended after the system has begun to switch off: the same. */
static VOID ADiskThatLosesItsServerNowIsNotHeld(VOID)
{
    RIG_SERVER Server = RigStartServer(), Other = RigStartServer();
    SIM_PROCESS *System = SimCreateProcess(TRUE);
    struct cm_request Request;
    struct cm_health Health;
    struct cm_mount Mount;
    SIM_FILE *File;
    RIG_DISK Disk;
    ULONG64 Id;
    SIM_IO *Off;

    RigMountDefaults(&Mount, SIZE_OF_DISK);
    Mount.hold_seconds = 3600;
    MountServed(&Server, &Mount, &Disk);
    Id = Disk.Id;
    File = RigOpenDisk(System, &Disk);
    Off = SimSwitchOff(File);
    CHECK_EQ(RigFetch(&Disk, &Request, 1), 1);
    RigKillServer(&Server);
    RigForget(&Disk);
    CHECK_EQ(SimFinish(Off, NULL), STATUS_NO_SUCH_DEVICE);
    CHECK_EQ(RigHealth(Other.Control, Id, &Health), STATUS_NOT_FOUND);
    SimClose(File);
    SimEndProcess(System);
    RigStopServer(&Other);
}

/* A file keeps the device of a disk that has gone; of the rest nothing is left. */
static VOID ADiskThatHasGoneIsNotTouched(VOID)
{
    RIG_SERVER Server = RigStartServer();
    SIM_PROCESS *System = SimCreateProcess(TRUE);
    SIM_REQUEST Request = {.Major = IRP_MJ_SHUTDOWN, .NoFile = TRUE};
    SIM_FILE *File;
    RIG_DISK Disk;

    RigMount(&Server, SIZE_OF_DISK, &Disk);
    File = RigOpenDisk(System, &Disk);
    CHECK_EQ(RigUnmount(Server.Control, Disk.Id, CM_UNMOUNT_FORCE), STATUS_SUCCESS);
    RigForget(&Disk);
    SimSleepMs(1000); /* the reaper has been there */
    CHECK_EQ(SimFinish(SimSend(File, &Request), NULL), STATUS_NO_SUCH_DEVICE);
    SimClose(File);
    SimEndProcess(System);
    RigStopServer(&Server);
}

static VOID AReadOnlyDiskHasNothingToFlush(VOID)
{
    RIG_SERVER Server = RigStartServer();
    struct cm_mount Mount;
    SIM_FILE *File;
    RIG_DISK Disk;

    RigMountDefaults(&Mount, SIZE_OF_DISK);
    Mount.flags |= CM_MOUNT_READ_ONLY;
    MountServed(&Server, &Mount, &Disk);
    File = RigOpenDisk(Server.Process, &Disk);
    CHECK_EQ(SimFinish(SimSwitchOff(File), NULL), STATUS_SUCCESS);
    SimClose(File);
    CHECK_EQ(RigUnmount(Server.Control, Disk.Id, 0), STATUS_SUCCESS);
    RigForget(&Disk);
    RigStopServer(&Server);
}

static const RIG_TEST Tests[] = {
    RIG_TEST_ON("nt", 0, TheImageIsFlushed, 1),
    RIG_TEST_ON("nt", 0, AFailedFlushIsTold, 1),
    RIG_TEST_ON("nt", 0, AServerThatHangsIsNotWaitedForLong, 1),
    RIG_TEST_ON("nt", 0, AShorterTimeOutStays, 1),
    RIG_TEST_ON("nt", 0, AHeldDiskGoesAtOnce, 2),
    RIG_TEST_ON("nt", 0, ADiskThatLosesItsServerNowIsNotHeld, 2),
    RIG_TEST_ON("nt", 0, ADiskThatHasGoneIsNotTouched, 2),
    RIG_TEST_ON("nt", 0, AReadOnlyDiskHasNothingToFlush, 1),
};

int main(int Count, char **Arguments)
{
    return RigMain(Count, Arguments, Tests, RTL_NUMBER_OF(Tests));
}
