/* SPDX-License-Identifier: MIT */
/*
 * test_reattach.c - servers that come and go under many clients: nobody sees an error or a wrong byte while the
 * disk is held, what a server before did is refused whenever it comes, and the numbers add up over all of them.
 * The single steps, one after the other: test_hold.c.
 */
#include <stdlib.h>
#include <string.h>

#include "load.h"

/* -- under load -------------------------------------------------------------------------------- */

static VOID CheckState(LOAD *Load, ULONG State, ULONG64 Attaches)
{
    struct cm_health Health;
    ULONG Index;

    for (Index = 0; Index < Load->Disks; Index++) {
        CHECK_EQ(RigHealth(Load->Tool.Control, Load->Ids[Index], &Health), STATUS_SUCCESS);
        CHECK_EQ(Health.state, State);
        CHECK_EQ(Health.attaches, Attaches);
        CHECK_EQ(Health.hold_seconds, Load->Mount.hold_seconds);
        CHECK(Health.hold_left_ms <= 1000u * Load->Mount.hold_seconds);
        CHECK_EQ(Health.hold_left_ms != 0, State == CM_HEALTH_HELD);
    }
}

/* One that takes the disks over and dies before it serves. */
static VOID StillbornHost(LOAD *Load)
{
    RIG_SERVER Server = RigStartServer();
    RIG_DISK Disk;
    ULONG Index;

    for (Index = 0; Index < Load->Disks; Index++)
        CHECK_EQ(RigAttachOnly(Server.Control, Load->Ids[Index], Load->Mount.size, &Disk),
                 STATUS_SUCCESS);
    RigKillServer(&Server);
}

static VOID ServersComeAndGo(LOAD *Load)
{
    ULONG64 Attaches = 0;

    Load->Mount.hold_seconds = 3600;
    LoadBegin(Load);
    LoadStartClients(Load);
    do {
        LoadWaitForRequests(Load, SimRandomBelow(20));
        if (SimRandomBelow(2) != 0)
            LoadKillHost(Load);
        else
            LoadCloseHost(Load);
        CheckState(Load, CM_HEALTH_HELD, Attaches);
        if (SimRandomBelow(2) != 0)
            SimSleepMs(SimRandomBelow(5));
        if (SimRandomBelow(4) == 0) {
            StillbornHost(Load);
            CheckState(Load, CM_HEALTH_HELD, ++Attaches);
        }
        LoadNewHost(Load);
        CheckState(Load, CM_HEALTH_SERVED, ++Attaches);
    } while (!LoadIsFinished(Load));
    LoadJoinClients(Load);
    LoadCheckStats(Load);
    LoadEnd(Load);
}

static VOID NobodySeesThatServersComeAndGo(VOID)
{
    LOAD Load;

    LoadDefaults(&Load, 5, 1, 2);
    ServersComeAndGo(&Load);
}

static VOID NobodySeesThatServersOfTwoDisksComeAndGo(VOID)
{
    LOAD Load;

    LoadDefaults(&Load, 4, 2, 2);
    Load.NonsenseRate = 50;
    ServersComeAndGo(&Load);
}

static VOID RequestsAreCancelledWhileServersComeAndGo(VOID)
{
    LOAD Load;

    LoadDefaults(&Load, 5, 1, 2);
    Load.CancelRate = 300;
    Load.KillRate = 100;
    ServersComeAndGo(&Load);
}

static VOID HungServersCostOnlyTheirRequests(VOID)
{
    LOAD Load;

    LoadDefaults(&Load, 5, 1, 3);
    Load.Mount.timeout_seconds = 1;
    Load.HangRate = 100;
    LoadBegin(&Load);
    LoadStartClients(&Load);
    LoadJoinClients(&Load);
    LoadCheckStats(&Load);
    LoadEnd(&Load);
}

/* -- the end of a held disk, under load -------------------------------------------------------- */

static VOID BeginToHold(LOAD *Load, ULONG Seconds)
{
    LoadDefaults(Load, 4, 2, 2);
    Load->Batches = 100000; /* until it ends */
    Load->MayVanish = TRUE;
    Load->CancelRate = 100;
    Load->Mount.hold_seconds = (UINT16)Seconds;
    LoadBegin(Load);
    LoadStartClients(Load);
    LoadWaitForRequests(Load, SimRandomBelow(50));
    LoadKillHost(Load);
}

static VOID AllEndsWhenTheTimeToHoldIsOver(VOID)
{
    struct cm_health Health;
    ULONG Index;
    LOAD Load;

    BeginToHold(&Load, 1);
    LoadJoinClients(&Load); /* no earlier than by the end of the disks */
    for (Index = 0; Index < 2; Index++)
        CHECK_EQ(RigHealth(Load.Tool.Control, Load.Ids[Index], &Health), STATUS_NOT_FOUND);
    LoadEnd(&Load);
}

static VOID HeldDisksAreUnmounted(VOID)
{
    ULONG Index;
    LOAD Load;

    BeginToHold(&Load, 3600);
    SimSleepMs(SimRandomBelow(5));
    for (Index = 0; Index < 2; Index++)
        CHECK_EQ(RigUnmount(Load.Tool.Control, Load.Ids[Index], CM_UNMOUNT_FORCE), STATUS_SUCCESS);
    LoadJoinClients(&Load);
    LoadEnd(&Load);
}

/* NT: when the last handle is closed; the clients' requests can only be cancelled, with their processes. */
static VOID DriverIsStoppedWhileDisksAreHeld(VOID)
{
    ULONG Index;
    LOAD Load;

    BeginToHold(&Load, 3600);
    SimSleepMs(SimRandomBelow(5));
    CHECK_EQ(SimStopDriver(), SimIsWine());
    for (Index = 0; Index < 2 && !SimIsWine(); Index++)
        CHECK_EQ(RigUnmount(Load.Tool.Control, Load.Ids[Index], CM_UNMOUNT_FORCE), STATUS_SUCCESS);
    LoadJoinClients(&Load);
    LoadEnd(&Load);
    RigWaitUntilUnloaded();
}

static VOID HeldDisksThatNobodyUsesDoNotKeepTheDriver(VOID)
{
    struct cm_mount Mount;
    RIG_SERVER Server = RigStartServer();
    RIG_DISK Disk;

    RigMountDefaults(&Mount, MIB);
    Mount.hold_seconds = 3600;
    CHECK_EQ(RigMountOnly(Server.Control, &Mount, &Disk), STATUS_SUCCESS);
    CHECK_EQ(RigGiveArena(&Disk), STATUS_SUCCESS);
    RigKillServer(&Server);
    RigForget(&Disk);
    CHECK(SimStopDriver());
    CHECK(!SimDriverIsLoaded());
}

/* -- late calls of a server that was lost ------------------------------------------------------ */

#define LATE_PARTS 40u /* of the WRITE that waits: the more copies, the more may come in between */
#define LATE_WRITE (LATE_PARTS * 4 * KIB)

typedef struct LATE {
    RIG_SERVER Server, Other;
    SIM_PROCESS *Client;
    SIM_FILE *File;
    SIM_MEMORY *Memory;
    RIG_DISK Disk;
    struct cm_request Request; /* that the server has */
    SIM_IO *Ios[2];            /* the one that it has, and one that waits */
    NTSTATUS Status;           /* of its late call */
    RIG_EXCHANGE Call;
    BOOLEAN Replies, Waits;
    BOOLEAN volatile Sending; /* atomic */
} LATE;

static VOID BeginLate(LATE *Late)
{
    struct cm_mount Mount;

    memset(Late, 0, sizeof(*Late));
    Late->Server = RigStartServer();
    Late->Other = RigStartServer();
    Late->Client = SimCreateProcess(TRUE);
    Late->Memory = SimAllocate(512 + LATE_WRITE);
    RigMountDefaults(&Mount, MIB);
    Mount.hold_seconds = 3600;
    Mount.queue_depth = RIG_BATCH;
    CHECK_EQ(RigMountOnly(Late->Server.Control, &Mount, &Late->Disk), STATUS_SUCCESS);
    CHECK_EQ(RigGiveArena(&Late->Disk), STATUS_SUCCESS);
    Late->File = RigOpenDisk(Late->Client, &Late->Disk);
    Late->Replies = SimRandomBelow(2) != 0;
    Late->Waits = SimRandomBelow(2) != 0;
    if (Late->Replies) {
        Late->Ios[0] = SimRead(Late->File, 0, Late->Memory, 0, 512);
        CHECK_EQ(RigFetch(&Late->Disk, &Late->Request, 1), 1);
        RigFill(RigSlot(&Late->Disk, Late->Request.tag), 512, 1);
        Late->Call.In.Replies[0] = (struct cm_reply){.tag = Late->Request.tag, .length = 512};
    }
    if (SimRandomBelow(2) != 0) {
        RigFill(Late->Memory->Address + 512, LATE_WRITE, 2);
        Late->Ios[1] = SimWrite(Late->File, 512, Late->Memory, 512, LATE_WRITE);
    }
}

static VOID CallLate(PVOID Context)
{
    LATE *Late = Context;
    SIM_IO *Io;

    __atomic_store_n(&Late->Sending, TRUE, __ATOMIC_SEQ_CST);
    Io = RigStartExchange(&Late->Disk, &Late->Call, Late->Replies,
                          Late->Waits ? 0 : CM_EXCHANGE_NO_WAIT, RIG_BATCH);
    Late->Status = SimFinish(Io, NULL);
}

/* The late call's requests are either of the epoch before, and refused, or as good as any. @return how many
 * are good. */
static ULONG AnswerTheLateCalls(LATE *Late, RIG_DISK *Next, PUCHAR Image)
{
    ULONG Good = 0, Index;

    if (!NT_SUCCESS(Late->Status))
        return 0;
    for (Index = 0; Index < Late->Call.Out.Head.request_count; Index++) {
        NTSTATUS Status = RigAnswer(Next, &Late->Call.Out.Requests[Index], Image);
        CHECK(Status == STATUS_SUCCESS || Status == STATUS_REQUEST_ABORTED);
        Good += Status == STATUS_SUCCESS;
    }
    return Good;
}

/* What of the two is not done, the next server gets, each part once; the first one's reply counts or does not. */
static VOID EndLate(LATE *Late, RIG_DISK *Next)
{
    BOOLEAN Answered = Late->Ios[0] != NULL && SimIsDone(Late->Ios[0]);
    ULONG Expected = (Late->Ios[0] != NULL && !Answered) + (Late->Ios[1] != NULL ? LATE_PARTS : 0);
    static UCHAR Image[MIB];
    struct cm_request Requests[RIG_BATCH];
    ULONG Count, Index;
    struct cm_stats Stats;

    if (Late->Replies) /* not: refused, and done all the same; nor the other way round */
        CHECK_EQ(Answered, NT_SUCCESS(Late->Status) || Late->Status == STATUS_DEVICE_REMOVED);
    RigFill(Image, 512, 1);
    Expected -= AnswerTheLateCalls(Late, Next, Image);
    Count = RigFetch(Next, Requests, RTL_NUMBER_OF(Requests));
    CHECK_EQ(Count, Expected);
    for (Index = 0; Index < Count; Index++) {
        CHECK(Requests[Index].tag != Late->Request.tag);
        CHECK_EQ(RigAnswer(Next, &Requests[Index], Image), STATUS_SUCCESS);
    }
    for (Index = 0; Index < 2; Index++)
        if (Late->Ios[Index] != NULL)
            CHECK_EQ(SimFinish(Late->Ios[Index], NULL), STATUS_SUCCESS);
    CHECK(Late->Ios[0] == NULL || RigIsFilled(Late->Memory->Address, 512, 1));
    CHECK(Late->Ios[1] == NULL || RigIsFilled(Image + 512, LATE_WRITE, 2));
    CHECK_EQ(RigStats(Late->Other.Control, Next->Id, &Stats), STATUS_SUCCESS);
    CHECK_EQ(Stats.completed, (Late->Ios[0] != NULL) + (Late->Ios[1] != NULL));
    RigCheckSums(Late->Other.Control, Next->Id);
    SimClose(Late->File);
    SimEndProcess(Late->Client);
    SimFree(Late->Memory);
}

/* The lent memory is taken back and the process lives, as when the thread that lent it ends (NT). */
static VOID CallsThatMeetTheLossOfTheArenaCountOrDoNot(VOID)
{
    RIG_DISK Again, Busy;
    SIM_THREAD *Thread;
    BOOLEAN Early; /* the next server is there before the late call is over */
    ULONG64 Id;
    LATE Late;

    BeginLate(&Late);
    Id = Late.Disk.Id;
    Early = !Late.Waits && SimRandomBelow(2) != 0;
    Thread = SimSpawn("late", CallLate, &Late);
    if (SimRandomBelow(4) != 0)
        SimSleepMs(0);
    SimCancel(Late.Disk.Lend);
    CHECK_EQ(RigAttachOnly(Late.Other.Control, Id, MIB, &Busy), STATUS_DEVICE_BUSY);
    if (Early)
        CHECK_EQ(RigAttach(Late.Server.Control, Id, MIB, &Again), STATUS_SUCCESS);
    SimJoin(Thread);
    CHECK(Late.Status == STATUS_SUCCESS || Late.Status == STATUS_NOT_FOUND ||
          (Late.Waits && Late.Status == STATUS_DEVICE_REMOVED) ||
          (Early && Late.Replies && Late.Status == STATUS_REQUEST_ABORTED));
    if (Early || SimRandomBelow(2) != 0) { /* it takes the disk back itself */
        if (!Early)
            CHECK_EQ(RigAttach(Late.Server.Control, Id, MIB, &Again), STATUS_SUCCESS);
        if (Late.Replies)
            CHECK_EQ(RigReply(&Again, Late.Request.tag, CM_STATUS_OK, 512), STATUS_REQUEST_ABORTED);
        EndLate(&Late, &Again);
        RigForget(&Late.Disk);
        RigStopServer(&Late.Server);
    } else { /* it goes, and the other one may */
        CHECK_EQ(RigReply(&Late.Disk, Late.Request.tag, CM_STATUS_OK, 512), STATUS_NOT_FOUND);
        SimClose(Late.Server.Control);
        CHECK_EQ(RigAttach(Late.Other.Control, Id, MIB, &Again), STATUS_SUCCESS);
        EndLate(&Late, &Again);
        RigForget(&Late.Disk);
        SimEndProcess(Late.Server.Process);
    }
    CHECK_EQ(RigUnmount(Late.Other.Control, Id, CM_UNMOUNT_FORCE), STATUS_SUCCESS);
    RigForget(&Again);
    RigStopServer(&Late.Other);
}

static BOOLEAN IsSending(PVOID Context)
{
    return __atomic_load_n(&((LATE *)Context)->Sending, __ATOMIC_SEQ_CST);
}

/*
 * The handle is closed while another thread is in a call on it. Only serial: there, nothing comes between
 * the note that it is sending and the system's reference to the file.
 */
static VOID CallsThatMeetTheEndOfTheHandleCountOrDoNot(VOID)
{
    SIM_THREAD *Thread;
    RIG_DISK Next;
    ULONG64 Id;
    LATE Late;

    BeginLate(&Late);
    Id = Late.Disk.Id;
    Thread = SimSpawn("late", CallLate, &Late);
    SimWaitUntil(IsSending, &Late);
    SimClose(Late.Server.Control);
    SimJoin(Thread);
    CHECK(Late.Status == STATUS_SUCCESS || Late.Status == STATUS_NOT_FOUND ||
          (Late.Waits && Late.Status == STATUS_DEVICE_REMOVED));
    CHECK_EQ(RigAttach(Late.Other.Control, Id, MIB, &Next), STATUS_SUCCESS);
    EndLate(&Late, &Next);
    RigForget(&Late.Disk);
    SimEndProcess(Late.Server.Process);
    CHECK_EQ(RigUnmount(Late.Other.Control, Id, CM_UNMOUNT_FORCE), STATUS_SUCCESS);
    RigForget(&Next);
    RigStopServer(&Late.Other);
}

static const RIG_TEST Tests[] = {
    RIG_TEST(NobodySeesThatServersComeAndGo, 6),
    RIG_TEST(NobodySeesThatServersOfTwoDisksComeAndGo, 4),
    RIG_TEST(RequestsAreCancelledWhileServersComeAndGo, 6),
    RIG_TEST(HungServersCostOnlyTheirRequests, 2),
    RIG_TEST(AllEndsWhenTheTimeToHoldIsOver, 4),
    RIG_TEST(HeldDisksAreUnmounted, 4),
    RIG_TEST(DriverIsStoppedWhileDisksAreHeld, 4),
    RIG_TEST(HeldDisksThatNobodyUsesDoNotKeepTheDriver, 1),
    RIG_TEST_ON("nt", 0, CallsThatMeetTheLossOfTheArenaCountOrDoNot, 500),
    RIG_TEST_ON("serial", 0, CallsThatMeetTheEndOfTheHandleCountOrDoNot, 500),
};

int main(int Count, char **Arguments)
{
    return RigMain(Count, Arguments, Tests, RTL_NUMBER_OF(Tests));
}
