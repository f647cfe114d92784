/* SPDX-License-Identifier: MIT */
/*
 * test_identity.c - what disks are called: CM_IOCTL_IDENTIFY, who may name a disk, and what is no name; and the numbers
 * in the names of devices. What the mount manager is then told is in test_mountdev.c.
 */
#include <stdio.h>
#include <string.h>

#include "rig.h"

#define SIZE_OF_DISK (64ull * KIB)

static struct cm_identify IdentityOf(const RIG_DISK *Disk, UCHAR Seed)
{
    struct cm_identify Identify = {.disk_id = Disk->Id, .letter = 'Z'};

    memset(Identify.unique_id, Seed, sizeof(Identify.unique_id));
    return Identify;
}

static NTSTATUS Identify(SIM_FILE *Control, const struct cm_identify *In)
{
    return RigIoctl(Control, CM_IOCTL_IDENTIFY, In, sizeof(*In), NULL, 0, NULL);
}

static VOID Finish(RIG_SERVER *Server, RIG_DISK *Disk)
{
    CHECK_EQ(RigUnmount(Server->Control, Disk->Id, 0), STATUS_SUCCESS);
    RigForget(Disk);
}

static VOID WhatIsNoIdentityIsRefused(VOID)
{
    RIG_SERVER Server = RigStartServer();
    struct cm_identify In;
    RIG_DISK Disk;
    ULONG Index;

    RigMount(&Server, SIZE_OF_DISK, &Disk);
    In = IdentityOf(&Disk, 0);
    CHECK_EQ(Identify(Server.Control, &In), STATUS_INVALID_PARAMETER);
    In.unique_id[15] = 1;
    CHECK_EQ(Identify(Server.Control, &In), STATUS_SUCCESS);
    for (Index = 0; Index < 0x10000; Index++) {
        BOOLEAN Good = Index == 0 || (Index >= 'A' && Index <= 'Z');
        In.letter = (UINT16)Index;
        CHECK_EQ(Identify(Server.Control, &In), Good ? STATUS_SUCCESS : STATUS_INVALID_PARAMETER);
        Index += Index > 0x100 ? 0xFF : 0;
    }
    In = IdentityOf(&Disk, 1);
    for (Index = 0; Index < 3; Index++) {
        In.reserved[Index] = 0x100;
        CHECK_EQ(Identify(Server.Control, &In), STATUS_INVALID_PARAMETER);
        In.reserved[Index] = 0;
    }
    In.disk_id++;
    CHECK_EQ(Identify(Server.Control, &In), STATUS_NOT_FOUND);
    Finish(&Server, &Disk);
    RigStopServer(&Server);
}

static VOID OnlyTheServerOfADiskNamesIt(VOID)
{
    RIG_SERVER Server = RigStartServer(), Other = RigStartServer();
    struct cm_identify In;
    RIG_DISK Disk;

    RigMount(&Server, SIZE_OF_DISK, &Disk);
    In = IdentityOf(&Disk, 1);
    CHECK_EQ(Identify(Other.Control, &In), STATUS_NOT_FOUND);
    CHECK_EQ(Identify(Server.Control, &In), STATUS_SUCCESS);
    Finish(&Server, &Disk);
    CHECK_EQ(Identify(Server.Control, &In), STATUS_NOT_FOUND);
    RigStopServer(&Server);
    RigStopServer(&Other);
}

static VOID NoTwoDisksHaveOneIdentity(VOID)
{
    RIG_SERVER Server = RigStartServer();
    struct cm_identify First, Second;
    RIG_DISK Disks[2];

    RigMount(&Server, SIZE_OF_DISK, &Disks[0]);
    RigMount(&Server, SIZE_OF_DISK, &Disks[1]);
    First = IdentityOf(&Disks[0], 7);
    Second = IdentityOf(&Disks[1], 7);
    CHECK_EQ(Identify(Server.Control, &First), STATUS_SUCCESS);
    CHECK_EQ(Identify(Server.Control, &First), STATUS_SUCCESS); /* its own */
    CHECK_EQ(Identify(Server.Control, &Second), STATUS_OBJECT_NAME_COLLISION);
    Second.unique_id[0]++;
    CHECK_EQ(Identify(Server.Control, &Second), STATUS_SUCCESS);
    Finish(&Server, &Disks[0]);
    Second.unique_id[0]--; /* free again */
    CHECK_EQ(Identify(Server.Control, &Second), STATUS_SUCCESS);
    Finish(&Server, &Disks[1]);
    RigStopServer(&Server);
}

/* -- without a letter -------------------------------------------------------------------------- */

static VOID ADiskCanBeOpenedByItsNumber(VOID)
{
    RIG_SERVER Server = RigStartServer();
    char Link[64];
    NTSTATUS Status;
    SIM_FILE *File;
    RIG_DISK Disk;

    RigMount(&Server, SIZE_OF_DISK, &Disk);
    CHECK(strncmp(Disk.Name, CM_DISK_DEVICE_PREFIX, strlen(CM_DISK_DEVICE_PREFIX)) == 0);
    snprintf(Link, sizeof(Link), "%s%s", CM_DISK_LINK_PREFIX,
             Disk.Name + strlen(CM_DISK_DEVICE_PREFIX));
    File = SimOpen(Server.Process, Link, GENERIC_READ, &Status);
    CHECK_EQ(Status, STATUS_SUCCESS);
    SimClose(File);
    Finish(&Server, &Disk);
    SimWaitForAll();
    SimSleepMs(50); /* the reaper */
    CHECK(SimOpen(Server.Process, Link, GENERIC_READ, &Status) == NULL);
    RigStopServer(&Server);
}

/* -- numbers ----------------------------------------------------------------------------------- */

static VOID ExpectName(const char *Name)
{
    RIG_SERVER Server = RigStartServer();
    RIG_DISK Disk;

    RigMount(&Server, SIZE_OF_DISK, &Disk);
    if (strcmp(Disk.Name, Name) != 0)
        SimStop("the disk is called %s instead of %s", Disk.Name, Name);
    Finish(&Server, &Disk);
    RigStopServer(&Server);
}

/* The mount manager remembers them for as long as the system runs. */
static VOID NoNameComesTwiceWhileTheSystemRuns(VOID)
{
    ExpectName("\\Device\\CoreMntDisk0");
    ExpectName("\\Device\\CoreMntDisk1");
    RigReload();
    ExpectName("\\Device\\CoreMntDisk2");
    RigReload();
    RigReload();
    ExpectName("\\Device\\CoreMntDisk3");
}

static VOID WhatIsNoNumberInTheRegistryIsNone(VOID)
{
    static const struct {
        ULONG Type, Length;
    } Bad[] = {{1, 4}, {REG_DWORD, 0}, {REG_DWORD, 3}, {REG_DWORD, 8}, {3, 64}};
    ULONG Index;

    for (Index = 0; Index < RTL_NUMBER_OF(Bad); Index++) {
        ExpectName("\\Device\\CoreMntDisk0");
        RigUnloadNow();
        SimSpoilRegistry(Bad[Index].Type, Bad[Index].Length);
        CHECK_EQ(SimLoadDriver(), STATUS_SUCCESS);
    }
    RigUnloadNow();
    SimSpoilRegistry(REG_DWORD, 4); /* the largest number there is */
    CHECK_EQ(SimLoadDriver(), STATUS_SUCCESS);
    ExpectName("\\Device\\CoreMntDisk4294967295");
    ExpectName("\\Device\\CoreMntDisk0");
}

static const RIG_TEST Tests[] = {
    RIG_TEST(WhatIsNoIdentityIsRefused, 1),          RIG_TEST(OnlyTheServerOfADiskNamesIt, 1),
    RIG_TEST(NoTwoDisksHaveOneIdentity, 1),          RIG_TEST(ADiskCanBeOpenedByItsNumber, 2),
    RIG_TEST(NoNameComesTwiceWhileTheSystemRuns, 1), RIG_TEST(WhatIsNoNumberInTheRegistryIsNone, 1),
};

int main(int Count, char **Arguments)
{
    return RigMain(Count, Arguments, Tests, RTL_NUMBER_OF(Tests));
}
