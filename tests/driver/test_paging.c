/* SPDX-License-Identifier: MIT */
/*
 * test_paging.c - the disks take no paging file, no hibernation file and no crash dump: what the
 * system asks a device before it puts one there is refused, as all of IRP_MJ_PNP is. An answer of
 * success with nothing in it would be worse than any other: the system looks at what it points to.
 * docs/deadlocks.md has the reasons.
 */
#include "rig.h"

typedef struct SCENE {
    RIG_SERVER Server;
    RIG_DISK Disk;
    SIM_FILE *File;
} SCENE;

static VOID Begin(SCENE *Scene)
{
    Scene->Server = RigStartServer();
    RigMount(&Scene->Server, MIB, &Scene->Disk);
    Scene->File = RigOpenDisk(Scene->Server.Process, &Scene->Disk);
}

static VOID End(SCENE *Scene)
{
    SimClose(Scene->File);
    RigStopServer(&Scene->Server);
    RigForget(&Scene->Disk);
}

/* Minor functions of IRP_MJ_PNP. */
#define PNP_DEVICE_USAGE_NOTIFICATION 0x16
#define PNP_LAST 0x1A

static NTSTATUS Ask(SIM_FILE *File, UCHAR Minor, KIRQL Irql, ULONG_PTR *Information)
{
    SIM_REQUEST Request = {.Major = IRP_MJ_PNP, .Minor = Minor, .Irql = Irql};

    return SimFinish(SimSend(File, &Request), Information);
}

/* DEVICE_USAGE_NOTIFICATION: where a paging file, a hibernation file or a dump is to come; one answer
 * for the three, as the driver does not even look which. */
static VOID NoPagingFileComesHere(VOID)
{
    ULONG_PTR Information = 1;
    SCENE Scene;

    Begin(&Scene);
    CHECK_EQ(Ask(Scene.File, PNP_DEVICE_USAGE_NOTIFICATION, PASSIVE_LEVEL, &Information),
             STATUS_INVALID_DEVICE_REQUEST);
    CHECK_EQ(Information, 0);
    End(&Scene);
}

/* QUERY_DEVICE_RELATIONS above all: file systems ask for the target device, and would follow the pointer
 * that a success promises. */
static VOID NoQuestionOfPnpIsAnsweredWithSuccess(VOID)
{
    ULONG_PTR Information;
    SCENE Scene;
    ULONG Minor;

    Begin(&Scene);
    for (Minor = 0; Minor <= PNP_LAST; Minor++) {
        Information = 1;
        CHECK_EQ(Ask(Scene.File, (UCHAR)Minor, PASSIVE_LEVEL, &Information),
                 STATUS_INVALID_DEVICE_REQUEST);
        CHECK_EQ(Information, 0);
        Information = 1;
        CHECK_EQ(Ask(Scene.Server.Control, (UCHAR)Minor, PASSIVE_LEVEL, &Information),
                 STATUS_INVALID_DEVICE_REQUEST);
        CHECK_EQ(Information, 0);
    }
    End(&Scene);
}

/* Such a question neither reaches the server nor changes the disk. */
static VOID TheDiskIsServedAsBefore(VOID)
{
    struct cm_stats Stats;
    SCENE Scene;

    Begin(&Scene);
    CHECK_EQ(Ask(Scene.File, PNP_DEVICE_USAGE_NOTIFICATION, PASSIVE_LEVEL, NULL),
             STATUS_INVALID_DEVICE_REQUEST);
    CHECK_EQ(RigStats(Scene.Server.Control, Scene.Disk.Id, &Stats), STATUS_SUCCESS);
    CHECK_EQ(Stats.requests, 0);
    CHECK_EQ(RigUnmount(Scene.Server.Control, Scene.Disk.Id, CM_UNMOUNT_FORCE), STATUS_SUCCESS);
    End(&Scene);
}

static const RIG_TEST Tests[] = {
    RIG_TEST(NoPagingFileComesHere, 1),
    RIG_TEST(NoQuestionOfPnpIsAnsweredWithSuccess, 1),
    RIG_TEST(TheDiskIsServedAsBefore, 1),
};

int main(int Count, char **Arguments)
{
    return RigMain(Count, Arguments, Tests, RTL_NUMBER_OF(Tests));
}
