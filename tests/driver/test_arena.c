/* SPDX-License-Identifier: MIT */
/*
 * test_arena.c - how a disk gets its arena, by callers who do it wrong: in the wrong order, twice, at once, by
 * another's handle, of the wrong size, with memory that does not lie well or is not there at all, by the other
 * system's way; and servers that take their memory away while it is in use.
 */
#include <stdlib.h>
#include <sys/mman.h>

#include <ntdddisk.h>

#include "rig.h"

#define ARENA (32 * KIB) /* of the rig's disks */

static NTSTATUS Map(SIM_FILE *Control, ULONG64 Id, ULONG64 Size)
{
    struct cm_arena Arena = {.disk_id = Id, .size = Size};
    struct cm_arena_mapped Mapped;
    ULONG_PTR Done;
    NTSTATUS Status = RigIoctl(Control, CM_IOCTL_ARENA_MAP, &Arena, sizeof(Arena), &Mapped,
                               sizeof(Mapped), &Done);

    CHECK_EQ(Done, NT_SUCCESS(Status) ? sizeof(Mapped) : 0);
    return Status;
}

/* One that is to be refused; whatever is lent and how. */
static NTSTATUS Lend(SIM_FILE *Control, ULONG64 Id, ULONG64 Size, SIM_MEMORY *Memory, ULONG At,
                     ULONG MdlLength, ULONG OutLength)
{
    struct cm_arena Arena = {.disk_id = Id, .size = Size};
    SIM_REQUEST Request = {
        .Major = IRP_MJ_DEVICE_CONTROL,
        .Code = CM_IOCTL_ARENA_LEND,
        .In = &Arena,
        .InLength = sizeof(Arena),
        .OutLength = OutLength,
        .Memory = Memory,
        .At = At,
        .MdlLength = MdlLength,
    };
    ULONG_PTR Done;
    NTSTATUS Status = SimFinish(SimSend(Control, &Request), &Done);

    CHECK_EQ(Done, 0);
    return Status;
}

static VOID MountWithoutArena(SIM_FILE *Control, RIG_DISK *Disk)
{
    struct cm_mount Mount;

    RigMountDefaults(&Mount, MIB);
    CHECK_EQ(RigMountOnly(Control, &Mount, Disk), STATUS_SUCCESS);
    CHECK_EQ(Disk->ArenaSize, ARENA);
}

static VOID CheckHealth(SIM_FILE *Control, ULONG64 Id, ULONG State)
{
    struct cm_health Health;

    CHECK_EQ(RigIoctl(Control, CM_IOCTL_HEALTH, &Id, sizeof(Id), &Health, sizeof(Health), NULL),
             STATUS_SUCCESS);
    CHECK_EQ(Health.state, State);
}

/* The disk works: a request comes and is answered. */
static VOID CheckServes(RIG_SERVER *Server, RIG_DISK *Disk)
{
    SIM_FILE *File = RigOpenDisk(Server->Process, Disk);
    SIM_MEMORY *Memory = SimAllocate(4 * KIB);
    SIM_IO *Io = SimRead(File, 0, Memory, 0, 4 * KIB);
    struct cm_request Request;

    while (RigFetch(Disk, &Request, 1) == 0) /* on Wine it comes a little later */
        SimSleepMs(1);
    RigFill(RigSlot(Disk, Request.tag), 4 * KIB, 7);
    CHECK_EQ(RigReply(Disk, Request.tag, CM_STATUS_OK, 4 * KIB), STATUS_SUCCESS);
    CHECK_EQ(SimFinish(Io, NULL), STATUS_SUCCESS);
    CHECK(RigIsFilled(Memory->Address, 4 * KIB, 7));
    SimClose(File);
    SimFree(Memory);
}

/* -- refusals, and that they do no harm -------------------------------------------------------- */

static VOID TheOtherSystemsWayIsRefused(VOID)
{
    RIG_SERVER Server = RigStartServer();
    SIM_MEMORY *Memory = SimAllocate(ARENA);
    struct cm_version Version;
    RIG_DISK Disk;

    CHECK_EQ(RigIoctl(Server.Control, CM_IOCTL_VERSION, NULL, 0, &Version, sizeof(Version), NULL),
             STATUS_SUCCESS);
    CHECK_EQ(Version.features & (CM_FEATURE_ARENA_MAP | CM_FEATURE_ARENA_LEND),
             SimIsWine() ? CM_FEATURE_ARENA_MAP : CM_FEATURE_ARENA_LEND);
    MountWithoutArena(Server.Control, &Disk);
    if (SimIsWine())
        CHECK_EQ(Lend(Server.Control, Disk.Id, ARENA, Memory, 0, ARENA, ARENA),
                 STATUS_NOT_SUPPORTED);
    else
        CHECK_EQ(Map(Server.Control, Disk.Id, ARENA), STATUS_NOT_SUPPORTED);
    CHECK_EQ(RigGiveArena(&Disk), STATUS_SUCCESS);
    CheckServes(&Server, &Disk);
    RigStopServer(&Server);
    RigForget(&Disk);
    SimFree(Memory);
}

static const ULONG64 WrongSizes[] = {
    0, 1, ARENA - 1, ARENA + 1, ARENA / 2, 2 * ARENA, UINT64_C(1) << 32 | ARENA, UINT64_MAX,
};

static NTSTATUS Try(SIM_FILE *Control, ULONG64 Id, ULONG64 Size, SIM_MEMORY *Memory)
{
    return SimIsWine() ? Map(Control, Id, Size) : Lend(Control, Id, Size, Memory, 0, ARENA, ARENA);
}

static VOID WrongSizesHandlesAndIdsAreRefused(VOID)
{
    RIG_SERVER Server = RigStartServer(), Other = RigStartServer();
    SIM_MEMORY *Memory = SimAllocate(ARENA);
    RIG_DISK Disk;
    ULONG Index;

    MountWithoutArena(Server.Control, &Disk);
    for (Index = 0; Index < RTL_NUMBER_OF(WrongSizes); Index++)
        CHECK_EQ(Try(Server.Control, Disk.Id, WrongSizes[Index], Memory), STATUS_INVALID_PARAMETER);
    CHECK_EQ(Try(Other.Control, Disk.Id, ARENA, Memory), STATUS_NOT_FOUND);
    CHECK_EQ(Try(Server.Control, Disk.Id + 1, ARENA, Memory), STATUS_NOT_FOUND);
    CheckHealth(Other.Control, Disk.Id, CM_HEALTH_STARTING);
    CHECK_EQ(RigGiveArena(&Disk), STATUS_SUCCESS);
    CheckHealth(Other.Control, Disk.Id, CM_HEALTH_SERVED);
    CHECK_EQ(Try(Server.Control, Disk.Id, ARENA, Memory), STATUS_INVALID_DEVICE_STATE);
    CHECK_EQ(Try(Other.Control, Disk.Id, ARENA, Memory), STATUS_NOT_FOUND);
    CheckServes(&Server, &Disk);
    CHECK_EQ(RigUnmount(Other.Control, Disk.Id, 0), STATUS_SUCCESS);
    CHECK_EQ(Try(Server.Control, Disk.Id, ARENA, Memory), STATUS_NOT_FOUND);
    RigForget(&Disk);
    RigStopServer(&Other);
    RigStopServer(&Server);
    SimFree(Memory);
}

/* A server can do the first three; the rest is what only a filter above us could send. */
static VOID MemoryThatDoesNotFitIsNotTaken(VOID)
{
    RIG_SERVER Server = RigStartServer();
    SIM_MEMORY *Memory = SimAllocate(3 * ARENA);
    ULONG64 Id;
    RIG_DISK Disk;
    ULONG At;

    MountWithoutArena(Server.Control, &Disk);
    Id = Disk.Id;
    CHECK_EQ(Lend(Server.Control, Id, ARENA, NULL, 0, 0, 0), STATUS_BUFFER_TOO_SMALL);
    for (At = 1; At < 4096; At = At * 2 + 1)
        CHECK_EQ(Lend(Server.Control, Id, ARENA, Memory, At, ARENA, ARENA),
                 STATUS_INVALID_PARAMETER);
    CHECK_EQ(Lend(Server.Control, Id, ARENA, Memory, 0, ARENA - 1, ARENA - 1),
             STATUS_INVALID_PARAMETER);
    CHECK_EQ(Lend(Server.Control, Id, ARENA, Memory, 0, 2 * ARENA, 2 * ARENA),
             STATUS_INVALID_PARAMETER);
    CHECK_EQ(Lend(Server.Control, Id, ARENA, Memory, 0, 1, 1), STATUS_INVALID_PARAMETER);

    CHECK_EQ(Lend(Server.Control, Id, ARENA, NULL, 0, 0, ARENA), STATUS_INVALID_PARAMETER);
    CHECK_EQ(Lend(Server.Control, Id, ARENA, Memory, 0, ARENA - 1, ARENA),
             STATUS_INVALID_PARAMETER);
    CHECK_EQ(Lend(Server.Control, Id, ARENA, Memory, 0, 4096, ARENA), STATUS_INVALID_PARAMETER);
    CHECK_EQ(Lend(Server.Control, Id, ARENA, Memory, 0, ARENA + 1, ARENA),
             STATUS_INVALID_PARAMETER);
    CheckHealth(Server.Control, Id, CM_HEALTH_STARTING);
    CHECK_EQ(RigGiveArena(&Disk), STATUS_SUCCESS);
    CheckServes(&Server, &Disk);
    RigStopServer(&Server);
    RigForget(&Disk);
    SimFree(Memory);
}

/* Nothing is handed out before there is an arena; an exchange may wait for it, though. */
static VOID ADiskWithoutArenaAnswersNothing(VOID)
{
    RIG_SERVER Server = RigStartServer();
    RIG_EXCHANGE Exchange;
    RIG_DISK Disk;
    NTSTATUS Status;
    SIM_FILE *File;
    SIM_IO *Parked;

    MountWithoutArena(Server.Control, &Disk);
    File = SimOpen(Server.Process, Disk.Name, GENERIC_READ, &Status);
    CHECK_EQ(Status, STATUS_NO_SUCH_DEVICE);
    if (File != NULL) { /* Wine ignores the refusal; the driver goes on refusing */
        SIM_MEMORY *Memory = SimAllocate(4096);
        CHECK_EQ(SimFinish(SimRead(File, 0, Memory, 0, 512), NULL), STATUS_NO_SUCH_DEVICE);
        CHECK_EQ(SimFinish(SimFlush(File), NULL), STATUS_NO_SUCH_DEVICE);
        CHECK_EQ(RigIoctl(File, IOCTL_DISK_IS_WRITABLE, NULL, 0, NULL, 0, NULL),
                 STATUS_NO_SUCH_DEVICE);
        SimClose(File);
        SimFree(Memory);
    }
    CHECK_EQ(RigExchange(&Disk, &Exchange, 0, CM_EXCHANGE_NO_WAIT, 4), STATUS_SUCCESS);
    CHECK_EQ(Exchange.Out.Head.request_count, 0);
    CHECK_EQ(RigReply(&Disk, 0, CM_STATUS_OK, 0), STATUS_REQUEST_ABORTED);
    CHECK_EQ(RigReply(&Disk, 0x10000, CM_STATUS_OK, 0), STATUS_REQUEST_ABORTED);
    Parked = RigStartExchange(&Disk, &Exchange, 0, 0, 4);
    CHECK_EQ(RigUnmount(Server.Control, Disk.Id, 0), STATUS_SUCCESS);
    CHECK_EQ(SimFinish(Parked, NULL), STATUS_DEVICE_REMOVED);
    RigStopServer(&Server);
}

/* -- at once ----------------------------------------------------------------------------------- */

typedef struct GIVER {
    RIG_DISK Disk; /* a copy each, as each gives memory of its own */
    NTSTATUS Status;
} GIVER;

static VOID Give(PVOID Context)
{
    GIVER *Giver = Context;

    Giver->Status = RigGiveArena(&Giver->Disk);
    if (Giver->Status == STATUS_SUCCESS && Giver->Disk.Lend != NULL && SimIsDone(Giver->Disk.Lend))
        Giver->Status = SimWaitFor(Giver->Disk.Lend);
}

static VOID OneOfTwoArenasThatComeAtOnceIsTaken(VOID)
{
    RIG_SERVER Server = RigStartServer();
    GIVER Givers[2] = {{.Status = 0}};
    SIM_THREAD *Threads[2];
    ULONG Index;

    MountWithoutArena(Server.Control, &Givers[0].Disk);
    Givers[1].Disk = Givers[0].Disk;
    for (Index = 0; Index < 2; Index++)
        Threads[Index] = SimSpawn("giver", Give, &Givers[Index]);
    for (Index = 0; Index < 2; Index++)
        SimJoin(Threads[Index]);
    CHECK((Givers[0].Status == STATUS_SUCCESS) != (Givers[1].Status == STATUS_SUCCESS));
    Index = Givers[0].Status == STATUS_SUCCESS ? 0 : 1;
    CHECK_EQ(Givers[1 - Index].Status, STATUS_INVALID_DEVICE_STATE);
    CheckServes(&Server, &Givers[Index].Disk);
    RigStopServer(&Server);
    RigForget(&Givers[Index].Disk);
}

static VOID AnArenaThatComesWhileTheDiskGoesIsRefusedOrGivenBack(VOID)
{
    RIG_SERVER Server = RigStartServer();
    GIVER Giver = {.Status = 0};
    SIM_THREAD *Thread;
    ULONG64 Id;

    MountWithoutArena(Server.Control, &Giver.Disk);
    Id = Giver.Disk.Id;
    Thread = SimSpawn("giver", Give, &Giver);
    CHECK_EQ(RigUnmount(Server.Control, Id, SimRandomBelow(2)), STATUS_SUCCESS);
    SimJoin(Thread);
    CHECK(Giver.Status == STATUS_SUCCESS || Giver.Status == STATUS_NOT_FOUND);
    CHECK_EQ(RigUnmount(Server.Control, Id, 0), STATUS_NOT_FOUND);
    RigForget(&Giver.Disk);
    RigStopServer(&Server);
}

/* -- memory that is taken away ----------------------------------------------------------------- */

typedef struct LOAD {
    SIM_FILE *File;
    LONGLONG From; /* each has a part of the disk: the rig's servers do not lock the image */
    ULONG volatile Done;
} LOAD;

/* Reads and writes until the disk is gone. */
static VOID Load(PVOID Context)
{
    LOAD *Load = Context;
    SIM_MEMORY *Memory = SimAllocate(16 * KIB);
    NTSTATUS Status;

    do {
        LONGLONG Offset = Load->From + 4 * KIB * (LONGLONG)SimRandomBelow(100);
        SIM_IO *Io = SimRandomBelow(2) == 0 ? SimRead(Load->File, Offset, Memory, 0, 16 * KIB)
                                            : SimWrite(Load->File, Offset, Memory, 0, 16 * KIB);
        Status = SimFinish(Io, NULL);
        Load->Done++;
    } while (NT_SUCCESS(Status));
    CHECK_EQ(Status, STATUS_NO_SUCH_DEVICE);
    SimClose(Load->File);
    SimFree(Memory);
}

static BOOLEAN HasBegun(PVOID Context)
{
    return ((LOAD *)Context)->Done >= 2;
}

/* The thread that lent it ends, say. Whatever runs at that moment: copies go on in memory that stays locked. */
static VOID ALendTakenBackEndsTheDiskAtAnyMoment(VOID)
{
    RIG_SERVER Server = RigStartServer();
    SIM_PROCESS *Client = SimCreateProcess(TRUE);
    PUCHAR Image = calloc(1, MIB);
    RIG_SERVICE Services[2];
    LOAD Loads[2] = {{.Done = 0}};
    SIM_THREAD *Threads[4];
    RIG_DISK Disk;
    ULONG Index;

    RigMount(&Server, MIB, &Disk);
    for (Index = 0; Index < 2; Index++) {
        Services[Index] = (RIG_SERVICE){.Disk = &Disk, .Image = Image, .Batch = 1 + 3 * Index};
        Loads[Index] = (LOAD){.File = RigOpenDisk(Client, &Disk), .From = Index * MIB / 2};
        Threads[Index] = SimSpawn("server", RigServe, &Services[Index]);
        Threads[2 + Index] = SimSpawn("client", Load, &Loads[Index]);
    }
    SimWaitUntil(HasBegun, &Loads[SimRandomBelow(2)]);
    SimCancel(Disk.Lend);
    for (Index = 0; Index < 4; Index++)
        SimJoin(Threads[Index]);
    for (Index = 0; Index < 2; Index++)
        CHECK(Services[Index].Ended == STATUS_DEVICE_REMOVED ||
              Services[Index].Ended == STATUS_NOT_FOUND);
    CHECK_EQ(RigUnmount(Server.Control, Disk.Id, 0), STATUS_NOT_FOUND);
    RigForget(&Disk);
    RigStopServer(&Server);
    SimEndProcess(Client);
    free(Image);
}

typedef struct CANCELLER {
    SIM_IO *Io;
} CANCELLER;

static VOID Cancel(PVOID Context)
{
    SimCancel(((CANCELLER *)Context)->Io);
}

/* Two that end a disk at once, by cancelling and by unmounting it: the memory comes back once. */
static VOID ALendTakenBackWhileTheDiskGoesEndsOnce(VOID)
{
    RIG_SERVER Server = RigStartServer();
    CANCELLER Canceller;
    SIM_THREAD *Thread;
    NTSTATUS Status;
    RIG_DISK Disk;

    RigMount(&Server, MIB, &Disk);
    Canceller.Io = Disk.Lend;
    Thread = SimSpawn("canceller", Cancel, &Canceller);
    Status = RigUnmount(Server.Control, Disk.Id, CM_UNMOUNT_FORCE);
    CHECK(Status == STATUS_SUCCESS || Status == STATUS_NOT_FOUND);
    SimJoin(Thread);
    RigForget(&Disk);
    RigStopServer(&Server);
}

/* Cancelled before the driver sees it: nothing is taken, and the disk still waits for its arena. */
static VOID ALendThatComesCancelledChangesNothing(VOID)
{
    RIG_SERVER Server = RigStartServer();
    SIM_MEMORY *Memory = SimAllocate(ARENA);
    struct cm_arena Arena = {.size = ARENA};
    RIG_DISK Disk;
    SIM_REQUEST Request = {
        .Major = IRP_MJ_DEVICE_CONTROL,
        .Code = CM_IOCTL_ARENA_LEND,
        .In = &Arena,
        .InLength = sizeof(Arena),
        .OutLength = ARENA,
        .Memory = Memory,
        .MdlLength = ARENA,
        .CancelFirst = TRUE,
    };

    MountWithoutArena(Server.Control, &Disk);
    Arena.disk_id = Disk.Id;
    CHECK_EQ(SimFinish(SimSend(Server.Control, &Request), NULL), STATUS_CANCELLED);
    CheckHealth(Server.Control, Disk.Id, CM_HEALTH_STARTING);
    CHECK_EQ(RigGiveArena(&Disk), STATUS_SUCCESS);
    CheckServes(&Server, &Disk);
    RigStopServer(&Server);
    RigForget(&Disk);
    SimFree(Memory);
}

/* VirtualFree, UnmapViewOfFile: the driver has a mapping of its own. What it hands back is what is there. */
static VOID AServerThatUnmapsItsSideHarmsNobody(VOID)
{
    RIG_SERVER Server = RigStartServer();
    SIM_MEMORY *Memory = SimAllocate(8 * KIB);
    SIM_IO *Read, *Write;
    struct cm_request Requests[4];
    SIM_FILE *File;
    RIG_DISK Disk;
    ULONG Index;

    RigMount(&Server, MIB, &Disk);
    File = RigOpenDisk(Server.Process, &Disk);
    RigFill(Disk.Arena, ARENA, 9);
    CHECK_EQ(mprotect(Disk.Arena, ARENA, PROT_NONE), 0);
    Read = SimRead(File, 0, Memory, 0, 4 * KIB);
    Write = SimWrite(File, 4 * KIB, Memory, 4 * KIB, 4 * KIB);
    while (RigFetch(&Disk, Requests, 4) != 2 && SimIsWine())
        SimSleepMs(1);
    for (Index = 0; Index < 2; Index++)
        CHECK_EQ(RigReply(&Disk, Requests[Index].tag, CM_STATUS_OK, 4 * KIB), STATUS_SUCCESS);
    CHECK_EQ(SimFinish(Read, NULL), STATUS_SUCCESS);
    CHECK_EQ(SimFinish(Write, NULL), STATUS_SUCCESS);
    CHECK_EQ(mprotect(Disk.Arena, ARENA, PROT_READ | PROT_WRITE), 0);
    CHECK(memcmp(Memory->Address, RigSlot(&Disk, Requests[0].tag), 4 * KIB) == 0);
    SimClose(File);
    RigStopServer(&Server);
    RigForget(&Disk);
    SimFree(Memory);
}

static const RIG_TEST Tests[] = {
    RIG_TEST(TheOtherSystemsWayIsRefused, 1),
    RIG_TEST(WrongSizesHandlesAndIdsAreRefused, 3),
    RIG_TEST_ON("nt", 0, MemoryThatDoesNotFitIsNotTaken, 1),
    RIG_TEST(ADiskWithoutArenaAnswersNothing, 3),
    RIG_TEST(OneOfTwoArenasThatComeAtOnceIsTaken, 100),
    RIG_TEST(AnArenaThatComesWhileTheDiskGoesIsRefusedOrGivenBack, 100),
    RIG_TEST_ON("nt", 0, ALendTakenBackEndsTheDiskAtAnyMoment, 100),
    RIG_TEST_ON("nt", 0, ALendTakenBackWhileTheDiskGoesEndsOnce, 100),
    RIG_TEST_ON("nt", 0, ALendThatComesCancelledChangesNothing, 1),
    RIG_TEST(AServerThatUnmapsItsSideHarmsNobody, 5),
};

int main(int Count, char **Arguments)
{
    return RigMain(Count, Arguments, Tests, RTL_NUMBER_OF(Tests));
}
