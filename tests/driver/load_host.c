/* SPDX-License-Identifier: MIT */
/*
 * load_host.c - the servers of load.h.
 *
 * A process that is killed stops where it is: none of its threads does anything after that. On the simulated
 * machine the threads go on; so each says when it is at work (Enter, Leave), and who kills waits until all of
 * them wait for the driver, from where none comes back to work.
 */
#include <stdlib.h>
#include <string.h>

#include "load.h"
#include "load_host.h"

/* -- threads that may be ended ----------------------------------------------------------------- */

static BOOLEAN Enter(LOAD_HOST *Host)
{
    __atomic_add_fetch(&Host->Inside, 1, __ATOMIC_SEQ_CST);
    if (!__atomic_load_n(&Host->Dying, __ATOMIC_SEQ_CST))
        return TRUE;
    __atomic_sub_fetch(&Host->Inside, 1, __ATOMIC_SEQ_CST);
    return FALSE;
}

static VOID Leave(LOAD_HOST *Host)
{
    __atomic_sub_fetch(&Host->Inside, 1, __ATOMIC_SEQ_CST);
}

static VOID StopAtWork(LOAD_HOST *Host)
{
    __atomic_store_n(&Host->Dying, 1, __ATOMIC_SEQ_CST);
    while (__atomic_load_n(&Host->Inside, __ATOMIC_SEQ_CST) != 0)
        SimSleepMs(1);
}

/* -- serving ----------------------------------------------------------------------------------- */

typedef struct SERVICE {
    LOAD_HOST *Host;
    RIG_DISK *Disk;
    PUCHAR Image;
    RIG_EXCHANGE Exchange;
    struct cm_request Held[RIG_BATCH]; /* not answered yet */
    ULONG HeldCount;
    BOOLEAN Nonsense; /* among the replies that were sent */
} SERVICE;

static struct cm_reply Answer(SERVICE *Service, const struct cm_request *Request)
{
    LOAD *Load = Service->Host->Load;
    struct cm_reply Reply = {.tag = Request->tag};

    if (SimRandomBelow(1000) < Load->FailRate) {
        Reply.status = SimRandomBelow(2) != 0 ? CM_STATUS_IO_ERROR : CM_STATUS_NO_SPACE;
        if (SimRandomBelow(2) != 0)
            return Reply;
    }
    pthread_mutex_lock(&Load->ImageLock);
    if (Reply.status == CM_STATUS_OK)
        Reply = RigPerform(Service->Disk, Request, Service->Image);
    else
        (void)RigPerform(Service->Disk, Request, Service->Image); /* done, and denied */
    pthread_mutex_unlock(&Load->ImageLock);
    return Reply;
}

/* Answer some of what is held, in any order. @return how many replies there are. */
static ULONG AnswerSome(SERVICE *Service)
{
    const LOAD *Load = Service->Host->Load;
    ULONG Keep = SimRandomBelow(2) != 0 ? 0 : SimRandomBelow(Service->HeldCount + 1);
    ULONG Count = 0;

    while (Service->HeldCount > Keep) {
        ULONG Index = SimRandomBelow(Service->HeldCount);
        Service->Exchange.In.Replies[Count++] = Answer(Service, &Service->Held[Index]);
        Service->Held[Index] = Service->Held[--Service->HeldCount];
    }
    Service->Nonsense = SimRandomBelow(1000) < Load->NonsenseRate;
    if (Service->Nonsense)
        Service->Exchange.In.Replies[Count++] = (struct cm_reply){.tag = SimRandom()};
    return Count;
}

static SIM_IO *StartExchange(SERVICE *Service, BOOLEAN *Cancelled)
{
    ULONG Replies = AnswerSome(Service);
    ULONG Flags = Service->HeldCount != 0 ? CM_EXCHANGE_NO_WAIT : 0;
    ULONG Room = RIG_BATCH / 2 - Service->HeldCount;
    SIM_IO *Io;

    if (SimRandomBelow(1000) < Service->Host->Load->HangRate)
        SimSleepMs(1000 * Service->Host->Load->Mount.timeout_seconds + SimRandomBelow(1000));
    Room = min(Room, 1 + SimRandomBelow(8));
    Io = RigStartExchange(Service->Disk, &Service->Exchange, Replies, Flags, Room);
    *Cancelled = SimRandomBelow(8) == 0;
    if (*Cancelled)
        SimCancel(Io);
    return Io;
}

/* @return FALSE: nothing more is to be done. */
static BOOLEAN TakeIn(SERVICE *Service, NTSTATUS Status, BOOLEAN Cancelled)
{
    const struct cm_exchanged *Head = &Service->Exchange.Out.Head;

    if (Status == STATUS_REQUEST_ABORTED) {
        CHECK(Service->Nonsense);
        return TRUE;
    }
    if (Status == STATUS_CANCELLED && Cancelled)
        return TRUE;
    if (!NT_SUCCESS(Status)) {
        CHECK(Status == STATUS_NOT_FOUND || Status == STATUS_DEVICE_REMOVED ||
              (SimIsWine() && (Status == STATUS_DELETE_PENDING || Status == STATUS_FILE_DELETED)));
        return FALSE;
    }
    CHECK(!Service->Nonsense);
    CHECK(Service->HeldCount + Head->request_count <= RIG_BATCH);
    memcpy(&Service->Held[Service->HeldCount], Service->Exchange.Out.Requests,
           Head->request_count * sizeof(struct cm_request));
    Service->HeldCount += Head->request_count;
    return TRUE;
}

static VOID Serve(PVOID Context)
{
    LOAD_HOST *Host = Context;
    ULONG Index = __atomic_fetch_add(&Host->NextThread, 1, __ATOMIC_SEQ_CST) % Host->Load->Disks;
    SERVICE *Service = calloc(1, sizeof(*Service));
    BOOLEAN Goes = TRUE, Cancelled;

    Service->Host = Host;
    Service->Disk = &Host->Disks[Index];
    Service->Image = Host->Load->Images[Index];
    while (Goes && Enter(Host)) {
        SIM_IO *Io = StartExchange(Service, &Cancelled);
        NTSTATUS Status;
        Leave(Host);
        Status = SimFinish(Io, NULL);
        if (!Enter(Host))
            break;
        Goes = TakeIn(Service, Status, Cancelled);
        Leave(Host);
        if (Service->HeldCount != 0 && SimRandomBelow(4) == 0)
            SimSleepMs(SimRandomBelow(3));
    }
    free(Service);
}

/* -- hosts ------------------------------------------------------------------------------------- */

static LOAD_HOST *NewHost(LOAD *Load)
{
    LOAD_HOST *Host = calloc(1, sizeof(*Host));

    Host->Load = Load;
    Host->Server = RigStartServer();
    return Host;
}

static VOID StartThreads(LOAD_HOST *Host)
{
    ULONG Index;

    Host->ThreadCount = Host->Load->Disks * Host->Load->ThreadsPerDisk;
    for (Index = 0; Index < Host->ThreadCount; Index++)
        Host->Threads[Index] = SimSpawn("host", Serve, Host);
    Host->Load->Host = Host;
}

VOID LoadMountHost(LOAD *Load)
{
    LOAD_HOST *Host = NewHost(Load);
    ULONG Index;

    for (Index = 0; Index < Load->Disks; Index++) {
        RIG_DISK *Disk = &Host->Disks[Index];
        CHECK_EQ(RigMountOnly(Host->Server.Control, &Load->Mount, Disk), STATUS_SUCCESS);
        CHECK_EQ(RigGiveArena(Disk), STATUS_SUCCESS);
        Load->Ids[Index] = Disk->Id;
        memcpy(Load->Names[Index], Disk->Name, sizeof(Disk->Name));
    }
    StartThreads(Host);
}

LOAD_HOST *LoadNewHost(LOAD *Load)
{
    LOAD_HOST *Host = NewHost(Load);
    ULONG Index;

    for (Index = 0; Index < Load->Disks; Index++)
        CHECK_EQ(RigAttach(Host->Server.Control, Load->Ids[Index], Load->Mount.size,
                           &Host->Disks[Index]),
                 STATUS_SUCCESS);
    StartThreads(Host);
    return Host;
}

static VOID FreeHost(LOAD *Load)
{
    LOAD_HOST *Host = Load->Host;
    ULONG Index;

    for (Index = 0; Index < Host->ThreadCount; Index++)
        SimJoin(Host->Threads[Index]);
    for (Index = 0; Index < Load->Disks; Index++)
        RigForget(&Host->Disks[Index]);
    Load->Host = NULL;
    free(Host);
}

VOID LoadKillHost(LOAD *Load)
{
    StopAtWork(Load->Host);
    SimKill(Load->Host->Server.Process);
    FreeHost(Load);
}

VOID LoadCloseHost(LOAD *Load)
{
    SIM_PROCESS *Process = Load->Host->Server.Process;

    StopAtWork(Load->Host);
    SimClose(Load->Host->Server.Control);
    FreeHost(Load);
    SimEndProcess(Process);
}
