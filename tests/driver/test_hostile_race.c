/* SPDX-License-Identifier: MIT */
/*
 * test_hostile_race.c - hostility at the same moment: shared memory that others write to while the driver copies;
 * two servers that attack each other's disks; requests and replies while a server is killed. The simulation stops
 * on whatever breaks; what is checked here is that those who do no wrong notice nothing.
 */
#include <stdlib.h>

#include "rig.h"

#define DISK_SIZE MIB
#define ARENA (32 * KIB)

/* -- memory that changes under the driver ------------------------------------------------------ */

#define GUARD (8 * KIB) /* around the part that is read and written */
#define PART (16 * KIB)

typedef struct SCRIBBLER {
    PUCHAR Data;
    ULONG Length;
    int volatile Stop; /* atomic */
} SCRIBBLER;

static VOID Scribble(PVOID Context)
{
    SCRIBBLER *Scribbler = Context;

    while (!__atomic_load_n(&Scribbler->Stop, __ATOMIC_SEQ_CST)) {
        ULONG At = SimRandomBelow(Scribbler->Length - 64);
        memset(Scribbler->Data + At, (int)SimRandom(), 64);
        SimPoint(); /* in serial runs: somebody else's turn, perhaps */
    }
}

/* Answers everything, and leaves the data to the scribblers. */
static VOID AnswerBlindly(PVOID Context)
{
    RIG_DISK *Disk = Context;
    RIG_EXCHANGE *Exchange = calloc(1, sizeof(*Exchange));
    ULONG Index, Replies = 0;

    while (NT_SUCCESS(RigExchange(Disk, Exchange, Replies, 0, 4))) {
        Replies = Exchange->Out.Head.request_count;
        for (Index = 0; Index < Replies; Index++) {
            const struct cm_request *Request = &Exchange->Out.Requests[Index];
            Exchange->In.Replies[Index] =
                (struct cm_reply){.tag = Request->tag, .length = (ULONG)Request->length};
        }
    }
    free(Exchange);
}

static VOID CheckGuards(const SIM_MEMORY *Memory)
{
    PUCHAR Expected = malloc(Memory->Size);

    RigFill(Expected, Memory->Size, 5);
    CHECK(memcmp(Memory->Address, Expected, GUARD) == 0);
    CHECK(memcmp(Memory->Address + GUARD + PART, Expected + GUARD + PART, GUARD) == 0);
    free(Expected);
}

static VOID MemoryMayChangeWhileItIsCopied(VOID)
{
    RIG_SERVER Server = RigStartServer();
    SIM_MEMORY *Memory = SimAllocate(PART + 2 * GUARD);
    SCRIBBLER Scribblers[2] = {{.Stop = 0}};
    SIM_THREAD *Threads[4];
    ULONG Index, Count = 2;
    ULONG_PTR Done;
    RIG_DISK Disk;
    SIM_FILE *File;

    RigFill(Memory->Address, Memory->Size, 5);
    RigMount(&Server, DISK_SIZE, &Disk);
    File = RigOpenDisk(Server.Process, &Disk);
    Scribblers[0].Data = Disk.Arena;
    Scribblers[0].Length = ARENA;
    Scribblers[1].Data = Memory->Address + GUARD;
    Scribblers[1].Length = PART;
    Threads[0] = SimSpawn("server", AnswerBlindly, &Disk);
    Threads[1] = SimSpawn("scribbler", Scribble, &Scribblers[0]);
    if (!SimIsWine()) /* there the driver has a copy of a caller's memory */
        Threads[Count++] = SimSpawn("scribbler", Scribble, &Scribblers[1]);
    for (Index = 0; Index < 12; Index++) {
        LONGLONG Offset = (LONGLONG)SimRandomBelow(100) * 512;
        ULONG Length = 512 * (1 + SimRandomBelow(PART / 512));
        SIM_IO *Io = Index % 2 == 0 ? SimRead(File, Offset, Memory, GUARD, Length)
                                    : SimWrite(File, Offset, Memory, GUARD, Length);
        CHECK_EQ(SimFinish(Io, &Done), STATUS_SUCCESS);
        CHECK_EQ(Done, Length);
    }
    for (Index = 0; Index < 2; Index++)
        __atomic_store_n(&Scribblers[Index].Stop, 1, __ATOMIC_SEQ_CST);
    for (Index = 1; Index < Count; Index++)
        SimJoin(Threads[Index]);
    RigCheckSums(Server.Control, Disk.Id);
    SimClose(File);
    CHECK_EQ(RigUnmount(Server.Control, Disk.Id, 0), STATUS_SUCCESS);
    SimJoin(Threads[0]);
    RigForget(&Disk);
    RigStopServer(&Server);
    CheckGuards(Memory);
    SimFree(Memory);
}

/* -- two servers that attack each other -------------------------------------------------------- */

/* A good disk with a good client, and an evil thread of the same server. */
typedef struct SIDE {
    RIG_SERVER Server;
    RIG_DISK Disk;
    PUCHAR Image;
    RIG_SERVICE Service;
    SIM_MEMORY *Memory;
    SIM_FILE *File;
    struct SIDE *Other;
    ULONG BadReplies; /* that it sent to its own disk */
    int volatile Stop;
} SIDE;

/* The other's disk, in each way in which a disk can be named. */
static VOID AttackOther(const SIDE *Side, ULONG64 Tag)
{
    struct cm_attach Attach = {.abi_version = CM_ABI_VERSION, .size = DISK_SIZE};
    struct cm_arena Arena = {.disk_id = Side->Other->Disk.Id, .size = ARENA};
    RIG_DISK Theirs = Side->Other->Disk;
    RIG_EXCHANGE Exchange;
    UCHAR Out[64];

    Theirs.Control = Side->Server.Control;
    Attach.disk_id = Theirs.Id;
    Exchange.In.Replies[0] = (struct cm_reply){.tag = Tag, .length = 4096};
    switch (SimRandomBelow(4)) {
    case 0:
        CHECK_EQ(RigExchange(&Theirs, &Exchange, 1, 0, 8), STATUS_NOT_FOUND);
        break;
    case 1:
        CHECK_EQ(RigIoctl(Theirs.Control, CM_IOCTL_ATTACH, &Attach, sizeof(Attach), Out,
                          sizeof(Out), NULL),
                 STATUS_DEVICE_BUSY);
        break;
    case 2:
        CHECK_EQ(RigIoctl(Theirs.Control, CM_IOCTL_ARENA_MAP, &Arena, sizeof(Arena), Out,
                          sizeof(Out), NULL),
                 STATUS_NOT_FOUND);
        break;
    default:
        CHECK_EQ(RigUnmount(Theirs.Control, Theirs.Id, 0), STATUS_DEVICE_BUSY);
    }
}

static VOID Attack(PVOID Context)
{
    SIDE *Side = Context;
    ULONG64 Tag;

    while (!__atomic_load_n(&Side->Stop, __ATOMIC_SEQ_CST)) {
        Tag = SimRandomBelow(64) << 16 | SimRandomBelow(9); /* like those that there are */
        if (SimRandomBelow(2) == 0) {
            AttackOther(Side, Tag);
        } else { /* its own disk, by tags that no slot will live to have */
            CHECK_EQ(RigReply(&Side->Disk, Tag | UINT64_C(1) << 63, CM_STATUS_OK, 4096),
                     STATUS_REQUEST_ABORTED);
            Side->BadReplies++;
        }
    }
}

static VOID UseDisk(PVOID Context)
{
    SIDE *Side = Context;
    ULONG Index;

    for (Index = 0; Index < 8; Index++) {
        LONGLONG Offset = (LONGLONG)SimRandomBelow(100) * 4096;
        ULONG Length = 512 * (1 + SimRandomBelow(32));
        RigFill(Side->Memory->Address, Length, Index);
        CHECK_EQ(SimFinish(SimWrite(Side->File, Offset, Side->Memory, 0, Length), NULL),
                 STATUS_SUCCESS);
        CHECK_EQ(SimFinish(SimRead(Side->File, Offset, Side->Memory, 16 * KIB, Length), NULL),
                 STATUS_SUCCESS);
        CHECK(RigIsFilled(Side->Memory->Address + 16 * KIB, Length, Index));
    }
}

static VOID BeginSide(SIDE *Side, SIDE *Other)
{
    memset(Side, 0, sizeof(*Side));
    Side->Other = Other;
    Side->Server = RigStartServer();
    Side->Memory = SimAllocate(32 * KIB);
    Side->Image = calloc(1, DISK_SIZE);
    RigMount(&Side->Server, DISK_SIZE, &Side->Disk);
    Side->Service = (RIG_SERVICE){.Disk = &Side->Disk, .Image = Side->Image, .Batch = 4};
    Side->File = RigOpenDisk(Side->Server.Process, &Side->Disk);
}

static VOID EndSide(SIDE *Side, SIM_THREAD *Service)
{
    struct cm_stats Stats;

    CHECK_EQ(RigStats(Side->Server.Control, Side->Disk.Id, &Stats), STATUS_SUCCESS);
    CHECK_EQ(Stats.bad_replies, Side->BadReplies);
    CHECK_EQ(Stats.failed + Stats.cancelled, 0);
    CHECK_EQ(Stats.completed, 16);
    SimClose(Side->File);
    CHECK_EQ(RigUnmount(Side->Server.Control, Side->Disk.Id, 0), STATUS_SUCCESS);
    SimJoin(Service);
    RigForget(&Side->Disk);
    RigStopServer(&Side->Server);
    SimFree(Side->Memory);
    free(Side->Image);
}

static VOID ServersCannotReachEachOthersDisks(VOID)
{
    SIDE Sides[2];
    SIM_THREAD *Services[2], *Clients[2], *Attackers[2];
    ULONG Index;

    for (Index = 0; Index < 2; Index++)
        BeginSide(&Sides[Index], &Sides[1 - Index]);
    for (Index = 0; Index < 2; Index++) {
        Services[Index] = SimSpawn("server", RigServe, &Sides[Index].Service);
        Clients[Index] = SimSpawn("client", UseDisk, &Sides[Index]);
        Attackers[Index] = SimSpawn("attacker", Attack, &Sides[Index]);
    }
    for (Index = 0; Index < 2; Index++)
        SimJoin(Clients[Index]);
    for (Index = 0; Index < 2; Index++)
        __atomic_store_n(&Sides[Index].Stop, 1, __ATOMIC_SEQ_CST);
    for (Index = 0; Index < 2; Index++)
        SimJoin(Attackers[Index]);
    for (Index = 0; Index < 2; Index++)
        EndSide(&Sides[Index], Services[Index]);
}

/* -- everything at once, and then the end ------------------------------------------------------ */

typedef struct BRAWL {
    RIG_DISK *Disk;
    SIM_FILE *File;
    ULONG Enough;             /* exchanges */
    ULONG volatile Exchanges; /* atomic: so far */
} BRAWL;

static BOOLEAN HadEnough(PVOID Context)
{
    BRAWL *Brawl = Context;

    return __atomic_load_n(&Brawl->Exchanges, __ATOMIC_SEQ_CST) >= Brawl->Enough;
}

/* Replies to its own disk with tags that may be right, with and without data, until the disk is gone. */
static VOID ReplyAtRandom(PVOID Context)
{
    BRAWL *Brawl = Context;
    RIG_EXCHANGE *Exchange = calloc(1, sizeof(*Exchange));
    NTSTATUS Status = STATUS_SUCCESS;
    ULONG Index, Count;

    while (Status == STATUS_SUCCESS || Status == STATUS_REQUEST_ABORTED) {
        Count = SimRandomBelow(6);
        for (Index = 0; Index < Count; Index++)
            Exchange->In.Replies[Index] = (struct cm_reply){
                .tag = (1 + SimRandomBelow(16)) << 16 | SimRandomBelow(8),
                .status = SimRandomBelow(4) == 0 ? SimRandomBelow(CM_STATUS_COUNT) : 0,
                .length = SimRandomBelow(3) == 0 ? 0 : 4096,
            };
        Status = RigExchange(Brawl->Disk, Exchange, Count, CM_EXCHANGE_NO_WAIT, SimRandomBelow(4));
        __atomic_add_fetch(&Brawl->Exchanges, 1, __ATOMIC_SEQ_CST);
    }
    /* On Wine the server's handle may be gone already. */
    CHECK(Status == STATUS_NOT_FOUND || Status == STATUS_DEVICE_REMOVED);
    free(Exchange);
}

static VOID SendAtRandom(PVOID Context)
{
    const BRAWL *Brawl = Context;
    SIM_MEMORY *Memory = SimAllocate(24 * 16 * KIB);
    ULONG Index, Length;
    SIM_IO *Ios[24];

    for (Index = 0; Index < RTL_NUMBER_OF(Ios); Index++) {
        LONGLONG Offset = (LONGLONG)SimRandomBelow(20) * 4096;
        Length = 4096 * (1 + SimRandomBelow(4));
        switch (SimRandomBelow(3)) {
        case 0:
            Ios[Index] = SimRead(Brawl->File, Offset, Memory, Index * 16 * KIB, Length);
            break;
        case 1:
            Ios[Index] = SimWrite(Brawl->File, Offset, Memory, Index * 16 * KIB, Length);
            break;
        default:
            Ios[Index] = SimFlush(Brawl->File);
        }
        if (SimRandomBelow(2) == 0)
            SimCancel(Ios[SimRandomBelow(Index + 1)]);
    }
    for (Index = 0; Index < RTL_NUMBER_OF(Ios); Index++)
        SimFinish(Ios[Index], NULL); /* it ends; how is the replies' affair */
    SimFree(Memory);
}

static VOID ABrawlEndsWithTheDisk(VOID)
{
    RIG_SERVER Server = RigStartServer();
    SIM_PROCESS *Client = SimCreateProcess(TRUE);
    BRAWL Brawl = {.Enough = SimRandomBelow(100)};
    SIM_THREAD *Threads[4];
    RIG_DISK Disk;
    ULONG Index;

    RigMount(&Server, DISK_SIZE, &Disk);
    Brawl.Disk = &Disk;
    Brawl.File = RigOpenDisk(Client, &Disk);
    for (Index = 0; Index < 4; Index++)
        Threads[Index] = SimSpawn("brawler", Index < 2 ? ReplyAtRandom : SendAtRandom, &Brawl);
    SimWaitUntil(HadEnough, &Brawl);
    RigCheckSums(Server.Control, Disk.Id);
    CHECK_EQ(RigUnmount(Server.Control, Disk.Id, CM_UNMOUNT_FORCE), STATUS_SUCCESS);
    for (Index = 0; Index < 4; Index++)
        SimJoin(Threads[Index]);
    SimClose(Brawl.File);
    SimEndProcess(Client);
    RigForget(&Disk);
    RigStopServer(&Server);
}

static const RIG_TEST Tests[] = {
    RIG_TEST(MemoryMayChangeWhileItIsCopied, 30),
    RIG_TEST(ServersCannotReachEachOthersDisks, 20),
    RIG_TEST(ABrawlEndsWithTheDisk, 50),
};

int main(int Count, char **Arguments)
{
    return RigMain(Count, Arguments, Tests, RTL_NUMBER_OF(Tests));
}
