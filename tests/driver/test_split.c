/* SPDX-License-Identifier: MIT */
/*
 * test_split.c - requests that are many times larger than a slot, several at once, answered in any order, failing
 * and cancelled in the middle: what is handed out when, and what is kept back. A model says after every step
 * what must be handed out next: the oldest request first, in turns with the others, and nothing that overlaps
 * what the server may still do of a WRITE or TRIM that was given up.
 */
#include <stdlib.h>
#include <string.h>

#include "rig.h"

#define DISK_SIZE (256 * KIB)
#define MAX_DEPTH 8
#define SLOT (4 * KIB)
#define MAX_LENGTH (60 * KIB) /* 15 slots */
#define MAX_PARTS 16
#define LIVE 8 /* requests at once */

typedef struct PART {
    ULONG64 Offset, Length;
} PART;

typedef struct REQUEST {
    SIM_IO *Io; /* NULL: not used */
    ULONG Op, Id, Length;
    ULONG Count, Next, Out; /* parts, those handed out so far, those with the server */
    PART Parts[MAX_PARTS];
    BOOLEAN Over, Failed;
    NTSTATUS Status;
    ULONG64 Turn; /* the one with the smallest is next */
} REQUEST;

/* What the server has. */
typedef struct HELD {
    struct cm_request Request;
    REQUEST *Of; /* NULL: given up */
    ULONG Part;
} HELD;

typedef struct SCENE {
    RIG_SERVER Server;
    SIM_PROCESS *Client;
    SIM_FILE *File;
    SIM_MEMORY *Memory;
    RIG_DISK Disk;
    REQUEST Requests[LIVE];
    HELD Held[MAX_DEPTH];
    ULONG HeldCount, NextId;
    ULONG64 NextTurn;
    ULONG64 Sent, Done, Failed, Cancelled, HandedOut;
} SCENE;

/* The table of the contract. */
static const NTSTATUS Statuses[CM_STATUS_COUNT] = {
    [CM_STATUS_OK] = STATUS_SUCCESS,
    [CM_STATUS_IO_ERROR] = STATUS_IO_DEVICE_ERROR,
    [CM_STATUS_MEDIA_ERROR] = STATUS_DEVICE_DATA_ERROR,
    [CM_STATUS_NO_SPACE] = STATUS_DISK_FULL,
    [CM_STATUS_READ_ONLY] = STATUS_MEDIA_WRITE_PROTECTED,
    [CM_STATUS_OUT_OF_RANGE] = STATUS_NONEXISTENT_SECTOR,
    [CM_STATUS_NOT_SUPPORTED] = STATUS_NOT_SUPPORTED,
    [CM_STATUS_NO_MEMORY] = STATUS_INSUFFICIENT_RESOURCES,
    [CM_STATUS_TIMEOUT] = STATUS_IO_TIMEOUT,
    [CM_STATUS_ACCESS] = STATUS_ACCESS_DENIED,
};

static VOID Begin(SCENE *Scene, ULONG Depth)
{
    struct cm_mount Mount;

    memset(Scene, 0, sizeof(*Scene));
    Scene->Server = RigStartServer();
    Scene->Client = SimCreateProcess(TRUE);
    Scene->Memory = SimAllocate(LIVE * MAX_LENGTH);
    RigMountDefaults(&Mount, DISK_SIZE);
    Mount.queue_depth = Depth;
    CHECK_EQ(RigMountOnly(Scene->Server.Control, &Mount, &Scene->Disk), STATUS_SUCCESS);
    CHECK_EQ(RigGiveArena(&Scene->Disk), STATUS_SUCCESS);
    Scene->File = RigOpenDisk(Scene->Client, &Scene->Disk);
}

static VOID End(SCENE *Scene)
{
    RigForget(&Scene->Disk);
    SimClose(Scene->File);
    SimEndProcess(Scene->Client);
    RigStopServer(&Scene->Server);
    SimFree(Scene->Memory);
}

/* -- the model --------------------------------------------------------------------------------- */

static BOOLEAN IsKeptBack(const SCENE *Scene, const PART *Part)
{
    ULONG Index;

    for (Index = 0; Index < Scene->HeldCount; Index++) {
        const HELD *Held = &Scene->Held[Index];
        if (Held->Of == NULL &&
            (Held->Request.op == CM_OP_WRITE || Held->Request.op == CM_OP_TRIM) &&
            Part->Offset < Held->Request.offset + Held->Request.length &&
            Held->Request.offset < Part->Offset + Part->Length)
            return TRUE;
    }
    return FALSE;
}

/* Of which request the next part must be handed out; NULL: none. */
static REQUEST *Next(SCENE *Scene)
{
    REQUEST *Found = NULL;
    ULONG Index;

    for (Index = 0; Index < LIVE && Scene->HeldCount < Scene->Disk.Depth; Index++) {
        REQUEST *Request = &Scene->Requests[Index];
        if (Request->Io != NULL && !Request->Over && !Request->Failed &&
            Request->Next < Request->Count && !IsKeptBack(Scene, &Request->Parts[Request->Next]) &&
            (Found == NULL || Request->Turn < Found->Turn))
            Found = Request;
    }
    return Found;
}

static VOID Finish(SCENE *Scene, REQUEST *Request, NTSTATUS Status)
{
    Request->Over = TRUE;
    Request->Status = Status;
    Scene->Done += NT_SUCCESS(Status);
    Scene->Cancelled += Status == STATUS_CANCELLED;
    Scene->Failed += !NT_SUCCESS(Status) && Status != STATUS_CANCELLED;
}

/* -- the client -------------------------------------------------------------------------------- */

static ULONG MemoryAt(const SCENE *Scene, const REQUEST *Request)
{
    return (ULONG)(Request - Scene->Requests) * MAX_LENGTH;
}

static ULONG64 SeedOf(const REQUEST *Request, ULONG Part)
{
    return ((ULONG64)Request->Id << 8) + Part;
}

static VOID CutUp(REQUEST *Request, ULONG64 Offset)
{
    ULONG At;

    for (At = 0; At < Request->Length; At += SLOT)
        Request->Parts[Request->Count++] = (PART){Offset + At, min(SLOT, Request->Length - At)};
}

static SIM_IO *StartTrim(SCENE *Scene, REQUEST *Request)
{
    DEVICE_DATA_SET_RANGE Ranges[3];
    ULONG Index;

    Request->Count = 1 + SimRandomBelow(3);
    Request->Length = 0;
    for (Index = 0; Index < Request->Count; Index++) {
        ULONG64 Length = 512 * (1 + SimRandomBelow(40));
        PART Part = {512 * SimRandomBelow((DISK_SIZE - (ULONG)Length) / 512), Length};
        Request->Parts[Index] = Part;
        Ranges[Index] = (DEVICE_DATA_SET_RANGE){(LONGLONG)Part.Offset, Part.Length};
    }
    return RigTrim(Scene->File, Ranges, Request->Count);
}

static SIM_IO *StartReadOrWrite(SCENE *Scene, REQUEST *Request, ULONG64 Offset)
{
    ULONG At = MemoryAt(Scene, Request), Index;

    CutUp(Request, Offset);
    if (Request->Op == CM_OP_READ)
        return SimRead(Scene->File, (LONGLONG)Offset, Scene->Memory, At, Request->Length);
    for (Index = 0; Index < Request->Count; Index++)
        RigFill(Scene->Memory->Address + At + Index * SLOT, Request->Parts[Index].Length,
                SeedOf(Request, Index));
    return SimWrite(Scene->File, (LONGLONG)Offset, Scene->Memory, At, Request->Length);
}

static REQUEST *Start(SCENE *Scene, ULONG Op, ULONG64 Offset, ULONG Length)
{
    REQUEST *Request = Scene->Requests;

    while (Request->Io != NULL)
        if (++Request == Scene->Requests + LIVE)
            return NULL;
    *Request = (REQUEST){.Op = Op, .Length = Length, .Id = ++Scene->NextId};
    Request->Turn = Scene->NextTurn++;
    Scene->Sent++;
    if (Op == CM_OP_TRIM) {
        Request->Io = StartTrim(Scene, Request);
    } else if (Op == CM_OP_FLUSH) {
        Request->Count = 1;
        Request->Length = 0;
        Request->Io = SimFlush(Scene->File);
    } else {
        Request->Io = StartReadOrWrite(Scene, Request, Offset);
    }
    return Request;
}

static VOID CheckResult(const SCENE *Scene, const REQUEST *Request)
{
    ULONG At = MemoryAt(Scene, Request), Index;

    for (Index = 0; Index < Request->Count; Index++)
        CHECK(RigIsFilled(Scene->Memory->Address + At + Index * SLOT, Request->Parts[Index].Length,
                          SeedOf(Request, Index)));
}

/* The requests that are over are those that must be, in the way they must be. */
static VOID CheckRequests(SCENE *Scene)
{
    ULONG_PTR Done;
    ULONG Index;

    RigCheckSums(Scene->Server.Control, Scene->Disk.Id); /* on Wine, all has been taken in by now */
    for (Index = 0; Index < LIVE; Index++) {
        REQUEST *Request = &Scene->Requests[Index];
        if (Request->Io == NULL)
            continue;
        CHECK_EQ(SimIsDone(Request->Io), Request->Over);
        if (!Request->Over)
            continue;
        CHECK_EQ(SimFinish(Request->Io, &Done), Request->Status);
        CHECK_EQ(Done, NT_SUCCESS(Request->Status) ? Request->Length : 0);
        if (Request->Op == CM_OP_READ && NT_SUCCESS(Request->Status))
            CheckResult(Scene, Request);
        Request->Io = NULL;
    }
}

static VOID Cancel(SCENE *Scene, REQUEST *Request)
{
    ULONG Index;

    SimCancel(Request->Io);
    if (!Request->Over)
        Finish(Scene, Request, STATUS_CANCELLED);
    for (Index = 0; Index < Scene->HeldCount; Index++)
        if (Scene->Held[Index].Of == Request)
            Scene->Held[Index].Of = NULL;
}

/* -- the server -------------------------------------------------------------------------------- */

static VOID Take(SCENE *Scene, const struct cm_request *Got)
{
    REQUEST *Request = Next(Scene);
    HELD *Held;
    ULONG Index;

    CHECK(Request != NULL);
    CHECK_EQ(Got->op, Request->Op);
    CHECK_EQ(Got->offset, Request->Parts[Request->Next].Offset);
    CHECK_EQ(Got->length, Request->Parts[Request->Next].Length);
    for (Index = 0; Index < Scene->HeldCount; Index++)
        CHECK(CM_TAG_SLOT(Scene->Held[Index].Request.tag) != CM_TAG_SLOT(Got->tag));
    if (Got->op == CM_OP_WRITE)
        CHECK(RigIsFilled(RigSlot(&Scene->Disk, Got->tag), Got->length,
                          SeedOf(Request, Request->Next)));
    Held = &Scene->Held[Scene->HeldCount++];
    *Held = (HELD){.Request = *Got, .Of = Request, .Part = Request->Next++};
    Request->Out++;
    Request->Turn = Scene->NextTurn++; /* the others first */
    Scene->HandedOut++;
}

static VOID Fetch(SCENE *Scene, ULONG Room)
{
    struct cm_request Got[RIG_BATCH];
    ULONG Count = RigFetch(&Scene->Disk, Got, Room), Index;

    for (Index = 0; Index < Count; Index++)
        Take(Scene, &Got[Index]);
    CHECK(Count == Room || Next(Scene) == NULL);
}

static VOID Reply(SCENE *Scene, ULONG Index, ULONG Status)
{
    HELD Held = Scene->Held[Index];
    ULONG64 Tag = Held.Request.tag;
    BOOLEAN HasData = Held.Request.op == CM_OP_READ || Held.Request.op == CM_OP_WRITE;
    REQUEST *Request = Held.Of;

    if (Request != NULL && Held.Request.op == CM_OP_READ)
        RigFill(RigSlot(&Scene->Disk, Tag), Held.Request.length, SeedOf(Request, Held.Part));
    CHECK_EQ(RigReply(&Scene->Disk, Tag, Status,
                      HasData && Status == CM_STATUS_OK ? (ULONG)Held.Request.length : 0),
             STATUS_SUCCESS);
    Scene->Held[Index] = Scene->Held[--Scene->HeldCount];
    if (Request == NULL)
        return;
    Request->Out--;
    if (Status != CM_STATUS_OK && !Request->Failed) {
        Request->Failed = TRUE;
        Request->Status = Statuses[Status];
    }
    if (Request->Out == 0 && (Request->Failed || Request->Next == Request->Count))
        Finish(Scene, Request, Request->Failed ? Request->Status : STATUS_SUCCESS);
}

static VOID CheckNumbers(const SCENE *Scene)
{
    struct cm_stats Stats;

    CHECK_EQ(RigStats(Scene->Server.Control, Scene->Disk.Id, &Stats), STATUS_SUCCESS);
    CHECK_EQ(Stats.requests, Scene->Sent);
    CHECK_EQ(Stats.completed, Scene->Done);
    CHECK_EQ(Stats.failed, Scene->Failed);
    CHECK_EQ(Stats.cancelled, Scene->Cancelled);
    CHECK_EQ(Stats.handed_out, Scene->HandedOut);
    CHECK_EQ(Stats.bad_replies, 0);
}

/* Everything is answered, well. */
static VOID Drain(SCENE *Scene)
{
    do {
        while (Scene->HeldCount != 0)
            Reply(Scene, SimRandomBelow(Scene->HeldCount), CM_STATUS_OK);
        Fetch(Scene, RIG_BATCH);
    } while (Scene->HeldCount != 0);
    CheckRequests(Scene);
    CheckNumbers(Scene);
}

/* -- tests ------------------------------------------------------------------------------------- */

static VOID Step(SCENE *Scene, ULONG FailRate, ULONG Clustering)
{
    static const UCHAR Ops[] = {CM_OP_READ, CM_OP_WRITE, CM_OP_WRITE, CM_OP_TRIM, CM_OP_FLUSH};
    ULONG Length = 512 * (1 + SimRandomBelow(MAX_LENGTH / 512));
    ULONG64 Offset = 512 * SimRandomBelow((DISK_SIZE - Length) / 512 / Clustering);
    REQUEST *Request = &Scene->Requests[SimRandomBelow(LIVE)];
    ULONG Dice = SimRandomBelow(16);

    if (Dice < 4)
        Start(Scene, Ops[SimRandomBelow(sizeof(Ops))], Offset, Length);
    else if (Dice < 9)
        Fetch(Scene, 1 + SimRandomBelow(4));
    else if (Dice == 15 && Request->Io != NULL)
        Cancel(Scene, Request);
    else if (Scene->HeldCount != 0)
        Reply(Scene, SimRandomBelow(Scene->HeldCount),
              SimRandomBelow(1000) < FailRate ? 1 + SimRandomBelow(CM_STATUS_COUNT - 1)
                                              : CM_STATUS_OK);
    CheckRequests(Scene);
}

static VOID LargeRequestsInAnyOrder(VOID)
{
    ULONG Steps = 300;
    SCENE Scene;

    Begin(&Scene, 1 + SimRandomBelow(MAX_DEPTH));
    while (Steps-- != 0)
        Step(&Scene, 60, 1);
    Drain(&Scene);
    CHECK_EQ(RigUnmount(Scene.Server.Control, Scene.Disk.Id, CM_UNMOUNT_FORCE), STATUS_SUCCESS);
    End(&Scene);
}

/* Most of them overlap, so that much is kept back. */
static VOID WhatOverlapsAnAbandonedWriteWaitsAndTheRestPasses(VOID)
{
    ULONG Steps = 0, KeptBack = 0, Index;
    SCENE Scene;

    Begin(&Scene, MAX_DEPTH);
    while (++Steps < 300 || KeptBack == 0) {
        CHECK(Steps < 100 * 1000);
        Step(&Scene, 0, 8);
        for (Index = 0; Index < LIVE; Index++) {
            const REQUEST *Request = &Scene.Requests[Index];
            if (Request->Io != NULL && !Request->Over && Request->Next < Request->Count)
                KeptBack += IsKeptBack(&Scene, &Request->Parts[Request->Next]);
        }
    }
    Drain(&Scene);
    CHECK_EQ(RigUnmount(Scene.Server.Control, Scene.Disk.Id, CM_UNMOUNT_FORCE), STATUS_SUCCESS);
    End(&Scene);
}

static VOID AllOfItEndsWithTheDisk(VOID)
{
    ULONG Steps = 20 + SimRandomBelow(60), Index;
    SCENE Scene;

    Begin(&Scene, 4);
    while (Steps-- != 0)
        Step(&Scene, 60, 1);
    CHECK_EQ(RigUnmount(Scene.Server.Control, Scene.Disk.Id, CM_UNMOUNT_FORCE), STATUS_SUCCESS);
    for (Index = 0; Index < LIVE; Index++)
        if (Scene.Requests[Index].Io != NULL)
            CHECK_EQ(SimFinish(Scene.Requests[Index].Io, NULL), STATUS_NO_SUCH_DEVICE);
    End(&Scene);
}

/* Of three large ones none waits for another's end, and a small one that comes later hardly at all. */
static VOID LargeRequestsTakeTurns(VOID)
{
    ULONG Index, Part;
    SCENE Scene;

    Begin(&Scene, 3);
    for (Index = 0; Index < 3; Index++)
        Start(&Scene, Index == 1 ? CM_OP_WRITE : CM_OP_READ, Index * MAX_LENGTH, MAX_LENGTH);
    for (Part = 0; Part < 10; Part++) {
        Fetch(&Scene, 3);
        for (Index = 0; Index < 3; Index++)
            CHECK_EQ(Scene.Requests[Index].Next, Part + 1);
        while (Scene.HeldCount != 0)
            Reply(&Scene, 0, CM_STATUS_OK);
    }
    Start(&Scene, CM_OP_READ, 200 * KIB, 512);
    Fetch(&Scene, 3);
    Reply(&Scene, 0, CM_STATUS_OK);
    Fetch(&Scene, 1);
    CHECK_EQ(Scene.Requests[3].Next, 1);
    Drain(&Scene);
    CHECK_EQ(RigUnmount(Scene.Server.Control, Scene.Disk.Id, CM_UNMOUNT_FORCE), STATUS_SUCCESS);
    End(&Scene);
}

static VOID TheFirstFailureIsTheRequests(VOID)
{
    static const ULONG Ops[] = {CM_OP_READ, CM_OP_WRITE};
    ULONG First, Op;
    SCENE Scene;

    Begin(&Scene, 4);
    for (First = 1; First < CM_STATUS_COUNT; First++)
        for (Op = 0; Op < 2; Op++) {
            REQUEST *Request = Start(&Scene, Ops[Op], 0, MAX_LENGTH);
            Fetch(&Scene, 4);
            CHECK_EQ(Scene.HeldCount, 4);
            Reply(&Scene, 2, CM_STATUS_OK);
            Reply(&Scene, 1, First);
            CHECK(!SimIsDone(Request->Io)); /* the server still has some of it */
            Fetch(&Scene, 4);               /* and gets no more */
            CHECK_EQ(Scene.HeldCount, 2);
            Reply(&Scene, 1, First % (CM_STATUS_COUNT - 1) + 1);
            Reply(&Scene, 0, CM_STATUS_OK);
            CHECK_EQ(Request->Status, Statuses[First]);
            CheckRequests(&Scene);
        }
    CheckNumbers(&Scene);
    CHECK_EQ(RigUnmount(Scene.Server.Control, Scene.Disk.Id, 0), STATUS_DEVICE_BUSY);
    CHECK_EQ(RigUnmount(Scene.Server.Control, Scene.Disk.Id, CM_UNMOUNT_FORCE), STATUS_SUCCESS);
    End(&Scene);
}

/* Replies in a call that has no room for requests: what becomes free by them is another one's that waits. */
static VOID AReplyWakesAnExchangeThatWaits(VOID)
{
    RIG_EXCHANGE *Parked = calloc(1, sizeof(*Parked));
    REQUEST *Write, *Read;
    SCENE Scene;
    SIM_IO *Io;

    Begin(&Scene, 1); /* no slot is free */
    Start(&Scene, CM_OP_READ, 0, 2 * SLOT);
    Fetch(&Scene, 1);
    Io = RigStartExchange(&Scene.Disk, Parked, 0, 0, 1);
    CheckRequests(&Scene);
    CHECK(!SimIsDone(Io));
    Reply(&Scene, 0, CM_STATUS_OK);
    CHECK_EQ(SimFinish(Io, NULL), STATUS_SUCCESS);
    Take(&Scene, &Parked->Out.Requests[0]);
    Drain(&Scene);
    CHECK_EQ(RigUnmount(Scene.Server.Control, Scene.Disk.Id, CM_UNMOUNT_FORCE), STATUS_SUCCESS);
    End(&Scene);

    Begin(&Scene, 4); /* all that waits is kept back */
    Write = Start(&Scene, CM_OP_WRITE, 0, SLOT);
    Fetch(&Scene, 1);
    Cancel(&Scene, Write);
    CheckRequests(&Scene);
    Read = Start(&Scene, CM_OP_READ, 512, 512);
    Io = RigStartExchange(&Scene.Disk, Parked, 0, 0, 1);
    CheckRequests(&Scene);
    CHECK(!SimIsDone(Io) && !SimIsDone(Read->Io));
    Reply(&Scene, 0, CM_STATUS_OK);
    CHECK_EQ(SimFinish(Io, NULL), STATUS_SUCCESS);
    Take(&Scene, &Parked->Out.Requests[0]);
    Drain(&Scene);
    CHECK_EQ(RigUnmount(Scene.Server.Control, Scene.Disk.Id, CM_UNMOUNT_FORCE), STATUS_SUCCESS);
    End(&Scene);
    free(Parked);
}

static const RIG_TEST Tests[] = {
    RIG_TEST(LargeRequestsInAnyOrder, 10),
    RIG_TEST(WhatOverlapsAnAbandonedWriteWaitsAndTheRestPasses, 10),
    RIG_TEST(AllOfItEndsWithTheDisk, 20),
    RIG_TEST(LargeRequestsTakeTurns, 1),
    RIG_TEST(TheFirstFailureIsTheRequests, 1),
    RIG_TEST(AReplyWakesAnExchangeThatWaits, 2),
};

int main(int Count, char **Arguments)
{
    return RigMain(Count, Arguments, Tests, RTL_NUMBER_OF(Tests));
}
