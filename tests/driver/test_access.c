/* SPDX-License-Identifier: MIT */
/*
 * test_access.c - who may open what, on NT (Wine keeps the descriptors and does not look at them): the control
 * device is for administrators; a disk is theirs too, but anybody may open it for attributes, as any disk; what
 * an open for attributes may then do; and nobody may open a disk before it is served.
 */
#include "rig.h"

#include <ntdddisk.h>

static NTSTATUS TryOpen(SIM_PROCESS *Process, const char *Name, ACCESS_MASK Access)
{
    NTSTATUS Status;
    SIM_FILE *File = SimOpen(Process, Name, Access, &Status);

    CHECK_EQ(File != NULL, NT_SUCCESS(Status));
    if (File != NULL)
        SimClose(File);
    return Status;
}

/* The rights that there are, one by one and in the bundles that programs ask for. */
static const struct {
    ACCESS_MASK Access;
    BOOLEAN AnybodyOnDisks;
} Rights[] = {
    {SYNCHRONIZE, TRUE},
    {FILE_READ_ATTRIBUTES, TRUE},
    {FILE_TRAVERSE, TRUE},
    {READ_CONTROL, TRUE},
    {FILE_READ_ATTRIBUTES | SYNCHRONIZE | READ_CONTROL | FILE_TRAVERSE, TRUE},
    {FILE_READ_DATA, FALSE},
    {FILE_WRITE_DATA, FALSE},
    {FILE_APPEND_DATA, FALSE},
    {0x8, FALSE},     /* FILE_READ_EA */
    {0x10, FALSE},    /* FILE_WRITE_EA */
    {0x40, FALSE},    /* FILE_DELETE_CHILD */
    {0x100, FALSE},   /* FILE_WRITE_ATTRIBUTES */
    {0x10000, FALSE}, /* DELETE */
    {WRITE_DAC, FALSE},
    {0x80000, FALSE}, /* WRITE_OWNER */
    {GENERIC_READ, FALSE},
    {GENERIC_WRITE, FALSE},
    {GENERIC_READ | GENERIC_WRITE, FALSE},
    {FILE_READ_ATTRIBUTES | FILE_READ_DATA, FALSE},
    {FILE_ALL_ACCESS, FALSE},
};

static VOID OnlyAdministratorsOpenTheControlDevice(VOID)
{
    SIM_PROCESS *Administrator = SimCreateProcess(TRUE), *Anybody = SimCreateProcess(FALSE);
    ULONG Index;

    for (Index = 0; Index < RTL_NUMBER_OF(Rights); Index++) {
        CHECK_EQ(TryOpen(Administrator, SIM_CONTROL, Rights[Index].Access), STATUS_SUCCESS);
        CHECK_EQ(TryOpen(Anybody, SIM_CONTROL, Rights[Index].Access), STATUS_ACCESS_DENIED);
        CHECK_EQ(TryOpen(Anybody, "\\Device\\CoreMnt", Rights[Index].Access), STATUS_ACCESS_DENIED);
    }
    SimEndProcess(Administrator);
    SimEndProcess(Anybody);
}

static VOID OnlyAdministratorsOpenADiskForData(VOID)
{
    RIG_SERVER Server = RigStartServer();
    SIM_PROCESS *Anybody = SimCreateProcess(FALSE);
    RIG_DISK Disk;
    ULONG Index;

    RigMount(&Server, MIB, &Disk);
    for (Index = 0; Index < RTL_NUMBER_OF(Rights); Index++) {
        CHECK_EQ(TryOpen(Server.Process, Disk.Name, Rights[Index].Access), STATUS_SUCCESS);
        CHECK_EQ(TryOpen(Anybody, Disk.Name, Rights[Index].Access),
                 Rights[Index].AnybodyOnDisks ? STATUS_SUCCESS : STATUS_ACCESS_DENIED);
    }
    SimEndProcess(Anybody);
    RigStopServer(&Server);
    RigForget(&Disk);
}

/* Neither as a name nor as a way around the descriptor. */
static VOID ThereIsNothingBelowADevice(VOID)
{
    RIG_SERVER Server = RigStartServer();
    RIG_DISK Disk;

    RigMount(&Server, MIB, &Disk);
    CHECK_EQ(TryOpen(Server.Process, "\\Device\\CoreMntDisk0\\file", FILE_READ_ATTRIBUTES),
             STATUS_OBJECT_NAME_NOT_FOUND);
    CHECK_EQ(TryOpen(Server.Process, "\\Device\\CoreMntDisk0\\", GENERIC_READ),
             STATUS_OBJECT_NAME_NOT_FOUND);
    CHECK_EQ(TryOpen(Server.Process, SIM_CONTROL "\\file", GENERIC_READ | GENERIC_WRITE),
             STATUS_OBJECT_NAME_NOT_FOUND);
    RigStopServer(&Server);
    RigForget(&Disk);
}

static VOID AnOpenForAttributesMayAskAndNoMore(VOID)
{
    RIG_SERVER Server = RigStartServer();
    SIM_PROCESS *Anybody = SimCreateProcess(FALSE);
    SIM_MEMORY *Memory = SimAllocate(4096);
    DISK_GEOMETRY Geometry;
    NTSTATUS Status;
    SIM_FILE *File;
    RIG_DISK Disk;
    UCHAR Out[64];

    RigMount(&Server, MIB, &Disk);
    File = SimOpen(Anybody, Disk.Name, FILE_READ_ATTRIBUTES | SYNCHRONIZE, &Status);
    CHECK_EQ(Status, STATUS_SUCCESS);
    CHECK_EQ(SimFinish(SimRead(File, 0, Memory, 0, 512), NULL), STATUS_ACCESS_DENIED);
    CHECK_EQ(SimFinish(SimWrite(File, 0, Memory, 0, 512), NULL), STATUS_ACCESS_DENIED);
    CHECK_EQ(
        RigIoctl(File, IOCTL_STORAGE_MANAGE_DATA_SET_ATTRIBUTES, Out, sizeof(Out), NULL, 0, NULL),
        STATUS_ACCESS_DENIED);
    CHECK_EQ(RigIoctl(File, IOCTL_DISK_GET_LENGTH_INFO, NULL, 0, Out, 8, NULL),
             STATUS_ACCESS_DENIED);
    CHECK_EQ(
        RigIoctl(File, IOCTL_DISK_GET_DRIVE_GEOMETRY, NULL, 0, &Geometry, sizeof(Geometry), NULL),
        STATUS_SUCCESS);
    /* It does not count as use: the shell and the mount manager look at disks all the time. */
    CHECK_EQ(RigUnmount(Server.Control, Disk.Id, 0), STATUS_SUCCESS);
    CHECK_EQ(
        RigIoctl(File, IOCTL_DISK_GET_DRIVE_GEOMETRY, NULL, 0, &Geometry, sizeof(Geometry), NULL),
        STATUS_NO_SUCH_DEVICE);
    SimClose(File);
    RigForget(&Disk);
    SimEndProcess(Anybody);
    RigStopServer(&Server);
    SimFree(Memory);
}

/* Each open for data is counted until it is closed, each way of them. */
static VOID OpensForDataAreUse(VOID)
{
    static const ACCESS_MASK Data[] = {FILE_READ_DATA, FILE_WRITE_DATA, FILE_APPEND_DATA};
    RIG_SERVER Server = RigStartServer();
    SIM_FILE *Files[3];
    NTSTATUS Status;
    RIG_DISK Disk;
    ULONG Index;

    RigMount(&Server, MIB, &Disk);
    for (Index = 0; Index < 3; Index++) {
        Files[Index] = SimOpen(Server.Process, Disk.Name, Data[Index], &Status);
        CHECK_EQ(Status, STATUS_SUCCESS);
        CHECK_EQ(RigUnmount(Server.Control, Disk.Id, 0), STATUS_DEVICE_BUSY);
    }
    for (Index = 0; Index < 3; Index++) {
        struct cm_unmount Unmount = {.disk_id = Disk.Id, .own_handles = 2 - Index};
        CHECK_EQ(
            RigIoctl(Server.Control, CM_IOCTL_UNMOUNT, &Unmount, sizeof(Unmount), NULL, 0, NULL),
            STATUS_DEVICE_BUSY);
        SimClose(Files[Index]);
    }
    CHECK_EQ(RigUnmount(Server.Control, Disk.Id, 0), STATUS_SUCCESS);
    RigForget(&Disk);
    RigStopServer(&Server);
}

/* DO_DEVICE_INITIALIZING stays until there is an arena: NT itself refuses the open. */
static VOID ADiskIsNotOpenedBeforeItIsServedNorAfter(VOID)
{
    RIG_SERVER Server = RigStartServer();
    struct cm_mount Mount;
    RIG_DISK Disk;
    ULONG Index;

    RigMountDefaults(&Mount, MIB);
    CHECK_EQ(RigMountOnly(Server.Control, &Mount, &Disk), STATUS_SUCCESS);
    for (Index = 0; Index < RTL_NUMBER_OF(Rights); Index++)
        CHECK_EQ(TryOpen(Server.Process, Disk.Name, Rights[Index].Access), STATUS_NO_SUCH_DEVICE);
    CHECK_EQ(RigGiveArena(&Disk), STATUS_SUCCESS);
    CHECK_EQ(TryOpen(Server.Process, Disk.Name, GENERIC_READ), STATUS_SUCCESS);
    CHECK_EQ(RigUnmount(Server.Control, Disk.Id, 0), STATUS_SUCCESS);
    CHECK(!NT_SUCCESS(TryOpen(Server.Process, Disk.Name, GENERIC_READ)));
    CHECK(!NT_SUCCESS(TryOpen(Server.Process, Disk.Name, FILE_READ_ATTRIBUTES)));
    RigForget(&Disk);
    RigStopServer(&Server);
}

static const RIG_TEST Tests[] = {
    RIG_TEST_ON("nt", 0, OnlyAdministratorsOpenTheControlDevice, 1),
    RIG_TEST_ON("nt", 0, OnlyAdministratorsOpenADiskForData, 1),
    RIG_TEST_ON("nt", 0, ThereIsNothingBelowADevice, 1),
    RIG_TEST_ON("nt", 0, AnOpenForAttributesMayAskAndNoMore, 3),
    RIG_TEST_ON("nt", 0, OpensForDataAreUse, 3),
    RIG_TEST_ON("nt", 0, ADiskIsNotOpenedBeforeItIsServedNorAfter, 3),
};

int main(int Count, char **Arguments)
{
    return RigMain(Count, Arguments, Tests, RTL_NUMBER_OF(Tests));
}
