/* SPDX-License-Identifier: MIT */
/* load.c - the clients of load.h, and the frame. load_host.c has the servers. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "load.h"
#include "load_host.h"

#define BATCH 3u /* requests under way at once, each in its part of the region */
#define PART (LOAD_REGION / BATCH)
#define UNKNOWN 0xFFFFFFFFu /* LOAD_CLIENT.Or: there is no other */

/* -- content ----------------------------------------------------------------------------------- */

static ULONG64 SeedOf(const LOAD_CLIENT *Client, ULONG Sector, ULONG Version)
{
    return ((ULONG64)Client->Index << 48) + ((ULONG64)Sector << 32) + Version;
}

static VOID FillSector(const LOAD_CLIENT *Client, PUCHAR Data, ULONG Sector, ULONG Version)
{
    if (Version == 0)
        memset(Data, 0, LOAD_SECTOR);
    else
        RigFill(Data, LOAD_SECTOR, SeedOf(Client, Sector, Version));
}

static BOOLEAN SectorIs(const LOAD_CLIENT *Client, const UCHAR *Data, ULONG Sector, ULONG Version)
{
    static const UCHAR Zeros[LOAD_SECTOR];

    if (Version == 0)
        return memcmp(Data, Zeros, LOAD_SECTOR) == 0;
    return RigIsFilled(Data, LOAD_SECTOR, SeedOf(Client, Sector, Version));
}

/* -- requests ---------------------------------------------------------------------------------- */

typedef struct REQUEST {
    SIM_IO *Io;
    ULONG Op, First, Count; /* sectors of the region */
    ULONG Version;
    BOOLEAN Cancelled; /* somebody has tried */
} REQUEST;

static LONGLONG OffsetOf(const LOAD_CLIENT *Client, ULONG Sector)
{
    ULONG Region = Client->Index / Client->Load->Disks;

    return (LONGLONG)(Region * LOAD_REGION + Sector) * LOAD_SECTOR;
}

/* As a file system does, now and then at DISPATCH_LEVEL; or taken back before the driver gets it. */
static SIM_IO *ReadOrWrite(LOAD_CLIENT *Client, REQUEST *Request, UCHAR Major)
{
    SIM_REQUEST Send = {
        .Major = Major,
        .Offset = OffsetOf(Client, Request->First),
        .Length = Request->Count * LOAD_SECTOR,
        .Memory = Client->Memory,
        .At = Request->First * LOAD_SECTOR,
        .MdlLength = Request->Count * LOAD_SECTOR,
        .Irql = SimRandomBelow(3) == 0 ? DISPATCH_LEVEL : PASSIVE_LEVEL,
        .CancelFirst = SimRandomBelow(4000) < Client->Load->CancelRate,
    };

    Request->Cancelled = Send.CancelFirst;
    return SimSend(Client->File, &Send);
}

static SIM_IO *Start(LOAD_CLIENT *Client, REQUEST *Request)
{
    LONGLONG Offset = OffsetOf(Client, Request->First);
    ULONG At = Request->First * LOAD_SECTOR, Length = Request->Count * LOAD_SECTOR, Index;
    DEVICE_DATA_SET_RANGE Ranges[2];

    switch (Request->Op) {
    case CM_OP_READ:
        return ReadOrWrite(Client, Request, IRP_MJ_READ);
    case CM_OP_WRITE:
        Request->Version = ++Client->Version;
        for (Index = 0; Index < Request->Count; Index++)
            FillSector(Client, Client->Memory->Address + At + Index * LOAD_SECTOR,
                       Request->First + Index, Request->Version);
        return ReadOrWrite(Client, Request, IRP_MJ_WRITE);
    case CM_OP_TRIM:
        Request->Version = 0;
        Ranges[0] = (DEVICE_DATA_SET_RANGE){Offset, LOAD_SECTOR};
        Ranges[1] = (DEVICE_DATA_SET_RANGE){Offset + LOAD_SECTOR, Length - LOAD_SECTOR};
        return RigTrim(Client->File, Ranges, Length > LOAD_SECTOR ? 2 : 1);
    default:
        return SimFlush(Client->File);
    }
}

static VOID CheckRead(LOAD_CLIENT *Client, const REQUEST *Request)
{
    ULONG Sector;

    for (Sector = Request->First; Sector < Request->First + Request->Count; Sector++) {
        const UCHAR *Data = Client->Memory->Address + Sector * LOAD_SECTOR;
        ULONG Or = Client->Or[Sector];
        if (Or != UNKNOWN && !SectorIs(Client, Data, Sector, Client->Is[Sector]))
            Client->Is[Sector] = Or; /* so it was done; and it stays so */
        Client->Or[Sector] = UNKNOWN;
        CHECK(SectorIs(Client, Data, Sector, Client->Is[Sector]));
    }
}

static VOID NoteWrite(LOAD_CLIENT *Client, const REQUEST *Request, BOOLEAN Done)
{
    ULONG Sector;

    for (Sector = Request->First; Sector < Request->First + Request->Count; Sector++) {
        if (Done)
            Client->Is[Sector] = Request->Version;
        Client->Or[Sector] = Done ? UNKNOWN : Request->Version;
    }
}

static VOID Count(LOAD_CLIENT *Client, const REQUEST *Request, NTSTATUS Status)
{
    LOAD_COUNTS *Counts = &Client->Counts;
    ULONG64 Bytes = Request->Count * LOAD_SECTOR;

    Counts->Sent++;
    if (Status == STATUS_CANCELLED) {
        Counts->Cancelled++;
    } else if (!NT_SUCCESS(Status)) {
        Counts->Failed++;
        Counts->TimedOut += Status == STATUS_IO_TIMEOUT;
    } else {
        Counts->Completed++;
        Counts->Reads += Request->Op == CM_OP_READ;
        Counts->Writes += Request->Op == CM_OP_WRITE;
        Counts->Flushes += Request->Op == CM_OP_FLUSH;
        Counts->Trims += Request->Op == CM_OP_TRIM;
        Counts->ReadBytes += Request->Op == CM_OP_READ ? Bytes : 0;
        Counts->WrittenBytes += Request->Op == CM_OP_WRITE ? Bytes : 0;
    }
}

/* Nothing may end in a way for which there was no reason. */
static VOID CheckStatus(LOAD_CLIENT *Client, const REQUEST *Request, NTSTATUS Status)
{
    const LOAD *Load = Client->Load;

    if (NT_SUCCESS(Status) || (Status == STATUS_CANCELLED && Request->Cancelled))
        return;
    if (Status == STATUS_IO_TIMEOUT && Load->HangRate != 0)
        return;
    if (Load->FailRate != 0 && (Status == STATUS_IO_DEVICE_ERROR || Status == STATUS_DISK_FULL))
        return;
    CHECK(Load->MayVanish);
    CHECK(Status == STATUS_NO_SUCH_DEVICE || (Status == STATUS_FILE_DELETED && SimIsWine()));
    Client->Lost = TRUE;
}

static VOID Finish(LOAD_CLIENT *Client, REQUEST *Request)
{
    ULONG_PTR Bytes = Request->Count * LOAD_SECTOR, Done;
    NTSTATUS Status = SimFinish(Request->Io, &Done);

    CheckStatus(Client, Request, Status);
    Count(Client, Request, Status);
    if (Request->Op == CM_OP_FLUSH || Request->Op == CM_OP_TRIM || !NT_SUCCESS(Status))
        Bytes = 0;
    CHECK_EQ(Done, Bytes);
    if (Request->Op == CM_OP_READ && NT_SUCCESS(Status))
        CheckRead(Client, Request);
    if (Request->Op == CM_OP_WRITE || Request->Op == CM_OP_TRIM)
        NoteWrite(Client, Request, NT_SUCCESS(Status));
}

/* -- a client ---------------------------------------------------------------------------------- */

static BOOLEAN OpenDisk(LOAD_CLIENT *Client)
{
    NTSTATUS Status;

    Client->Process = SimCreateProcess(TRUE);
    Client->File = SimOpen(Client->Process, Client->Load->Names[Client->Disk],
                           GENERIC_READ | GENERIC_WRITE, &Status);
    if (Client->File == NULL || !NT_SUCCESS(Status)) {
        CHECK(Client->Load->MayVanish);
        Client->Lost = TRUE;
    }
    return Client->File != NULL;
}

/* Until nothing is uncertain: what is not known cannot be checked. */
static VOID LookWhatIsThere(LOAD_CLIENT *Client)
{
    REQUEST Request = {.Op = CM_OP_READ, .Count = 1};

    while (Request.First < LOAD_REGION && !Client->Lost) {
        if (Client->Or[Request.First] == UNKNOWN) {
            Request.First++;
        } else {
            Request.Io = Start(Client, &Request);
            Finish(Client, &Request);
        }
    }
}

static VOID ChooseRequest(REQUEST *Request, ULONG Part)
{
    static const UCHAR Ops[] = {CM_OP_READ,  CM_OP_READ,  CM_OP_READ, CM_OP_WRITE,
                                CM_OP_WRITE, CM_OP_WRITE, CM_OP_TRIM, CM_OP_FLUSH};
    ULONG At = SimRandomBelow(PART);

    *Request = (REQUEST){.Op = Ops[SimRandomBelow(sizeof(Ops))]};
    if (Request->Op == CM_OP_FLUSH)
        return;
    Request->First = Part * PART + At;
    Request->Count = 1 + SimRandomBelow(SimRandomBelow(2) != 0 ? 4 : PART);
    Request->Count = min(Request->Count, PART - At);
}

static VOID KillClient(LOAD_CLIENT *Client, REQUEST *Requests, ULONG Count)
{
    ULONG Index;

    for (Index = 0; Index < Count; Index++)
        Requests[Index].Cancelled = TRUE;
    SimKill(Client->Process);
    Client->File = NULL;
    Client->Process = NULL;
}

static VOID RunBatch(LOAD_CLIENT *Client)
{
    const LOAD *Load = Client->Load;
    ULONG Count = 1 + SimRandomBelow(BATCH), Index;
    BOOLEAN Kill = SimRandomBelow(1000) < Load->KillRate;
    REQUEST Requests[BATCH];

    for (Index = 0; Index < Count; Index++) {
        ChooseRequest(&Requests[Index], Index);
        Requests[Index].Io = Start(Client, &Requests[Index]);
    }
    if (SimRandomBelow(4) == 0)
        SimSleepMs(SimRandomBelow(3));
    for (Index = 0; Index < Count; Index++)
        if (SimRandomBelow(1000) < Load->CancelRate) {
            Requests[Index].Cancelled = TRUE;
            SimCancel(Requests[Index].Io);
        }
    if (Kill)
        KillClient(Client, Requests, Count);
    for (Index = 0; Index < Count; Index++)
        Finish(Client, &Requests[Index]);
    if (Kill && !Client->Lost)
        OpenDisk(Client);
    LookWhatIsThere(Client);
}

static VOID Run(PVOID Context)
{
    LOAD_CLIENT *Client = Context;
    ULONG Batch;

    for (Batch = 0; Batch < Client->Load->Batches && !Client->Lost; Batch++)
        RunBatch(Client);
    __atomic_add_fetch(&Client->Load->Finished, 1, __ATOMIC_SEQ_CST);
}

/* -- the frame --------------------------------------------------------------------------------- */

VOID LoadDefaults(LOAD *Load, ULONG Clients, ULONG Disks, ULONG ThreadsPerDisk)
{
    memset(Load, 0, sizeof(*Load));
    Load->Clients = Clients;
    Load->Disks = Disks;
    Load->ThreadsPerDisk = ThreadsPerDisk;
    Load->Batches = 12;
    RigMountDefaults(&Load->Mount, 0);
    Load->Mount.queue_depth = 5; /* fewer than there are fragments */
    CHECK(Clients <= LOAD_MAX_CLIENTS && Disks <= LOAD_MAX_DISKS);
    CHECK(Disks * ThreadsPerDisk <= LOAD_MAX_THREADS);
}

VOID LoadBegin(LOAD *Load)
{
    ULONG Index, Sector;

    pthread_mutex_init(&Load->ImageLock, NULL);
    Load->Mount.size = LOAD_MAX_CLIENTS * LOAD_REGION * LOAD_SECTOR;
    Load->Tool = RigStartServer();
    for (Index = 0; Index < Load->Disks; Index++)
        Load->Images[Index] = calloc(1, Load->Mount.size);
    LoadMountHost(Load);
    for (Index = 0; Index < Load->Clients; Index++) {
        LOAD_CLIENT *Client = &Load->Client[Index];
        Client->Load = Load;
        Client->Index = Index;
        Client->Disk = Index % Load->Disks;
        Client->Memory = SimAllocate(LOAD_REGION * LOAD_SECTOR);
        for (Sector = 0; Sector < LOAD_REGION; Sector++)
            Client->Or[Sector] = UNKNOWN;
        CHECK(OpenDisk(Client));
    }
}

VOID LoadStartClients(LOAD *Load)
{
    ULONG Index;
    char Name[24];

    for (Index = 0; Index < Load->Clients; Index++) {
        snprintf(Name, sizeof(Name), "client %u", Index);
        Load->Client[Index].Thread = SimSpawn(Name, Run, &Load->Client[Index]);
    }
}

BOOLEAN LoadIsFinished(LOAD *Load)
{
    return __atomic_load_n(&Load->Finished, __ATOMIC_SEQ_CST) == Load->Clients;
}

static ULONG64 Requests(LOAD *Load)
{
    struct cm_stats Stats;

    CHECK_EQ(RigStats(Load->Tool.Control, Load->Ids[0], &Stats), STATUS_SUCCESS);
    return Stats.requests;
}

VOID LoadWaitForRequests(LOAD *Load, ULONG64 More)
{
    ULONG64 Enough = Requests(Load) + More;

    while (Requests(Load) < Enough && !LoadIsFinished(Load))
        SimSleepMs(1);
}

VOID LoadJoinClients(LOAD *Load)
{
    ULONG Index;

    for (Index = 0; Index < Load->Clients; Index++)
        SimJoin(Load->Client[Index].Thread);
}

static VOID Add(LOAD_COUNTS *Sum, const LOAD_COUNTS *Counts)
{
    ULONG64 *To = (ULONG64 *)Sum;
    const ULONG64 *From = (const ULONG64 *)Counts;
    ULONG Index;

    for (Index = 0; Index < sizeof(*Sum) / sizeof(*To); Index++)
        To[Index] += From[Index];
}

VOID LoadCheckStats(LOAD *Load)
{
    ULONG Disk, Index;

    for (Disk = 0; Disk < Load->Disks; Disk++) {
        LOAD_COUNTS Sum = {0};
        struct cm_health Health;
        struct cm_stats Stats;
        for (Index = 0; Index < Load->Clients; Index++)
            if (Load->Client[Index].Disk == Disk)
                Add(&Sum, &Load->Client[Index].Counts);
        CHECK_EQ(RigStats(Load->Tool.Control, Load->Ids[Disk], &Stats), STATUS_SUCCESS);
        CHECK_EQ(Stats.waiting, 0);
        CHECK_EQ(Stats.in_flight, 0);
        CHECK_EQ(Stats.requests, Sum.Sent);
        CHECK_EQ(Stats.completed, Sum.Completed);
        CHECK_EQ(Stats.failed, Sum.Failed);
        CHECK_EQ(Stats.cancelled, Sum.Cancelled);
        CHECK_EQ(Stats.reads, Sum.Reads);
        CHECK_EQ(Stats.writes, Sum.Writes);
        CHECK_EQ(Stats.flushes, Sum.Flushes);
        CHECK_EQ(Stats.trims, Sum.Trims);
        CHECK_EQ(Stats.read_bytes, Sum.ReadBytes);
        CHECK_EQ(Stats.written_bytes, Sum.WrittenBytes);
        CHECK_EQ(RigHealth(Load->Tool.Control, Load->Ids[Disk], &Health), STATUS_SUCCESS);
        CHECK_EQ(Health.timed_out, Sum.TimedOut);
    }
}

VOID LoadEnd(LOAD *Load)
{
    ULONG Index;

    for (Index = 0; Index < Load->Clients; Index++) {
        LOAD_CLIENT *Client = &Load->Client[Index];
        if (Client->File != NULL)
            SimClose(Client->File);
        if (Client->Process != NULL)
            SimEndProcess(Client->Process);
        SimFree(Client->Memory);
    }
    if (Load->Host != NULL)
        LoadCloseHost(Load);
    for (Index = 0; Index < Load->Disks && Load->Mount.hold_seconds != 0; Index++)
        if (!Load->MayVanish)
            CHECK_EQ(RigUnmount(Load->Tool.Control, Load->Ids[Index], CM_UNMOUNT_FORCE),
                     STATUS_SUCCESS);
    RigStopServer(&Load->Tool);
    for (Index = 0; Index < Load->Disks; Index++)
        free(Load->Images[Index]);
    pthread_mutex_destroy(&Load->ImageLock);
}
