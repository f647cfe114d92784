/* SPDX-License-Identifier: MIT */
/*
 * test_race.c - one request, and two things that happen to it at the same time: from each of some states,
 * every pair of events that makes sense, on two threads. Whatever comes out must be what one of the two orders
 * gives, by the model of life_model.h. test_life.c has the orders themselves.
 */
#include <stdio.h>
#include <string.h>

#include "life_stage.h"

#define MAX_SETUP 3

typedef struct SETUP {
    ULONG Count;
    LIFE_EVENT Events[MAX_SETUP];
} SETUP;

static const SETUP Setups[] = {
    {0, {0}},
    {1, {LIFE_PARK}},
    {1, {LIFE_QUEUE}},
    {2, {LIFE_QUEUE, LIFE_FETCH}},
    {2, {LIFE_QUEUE, LIFE_PARK}},
    {3, {LIFE_QUEUE, LIFE_FETCH, LIFE_FETCH}},
    {3, {LIFE_QUEUE, LIFE_FETCH, LIFE_REPLY_1}},
    {3, {LIFE_QUEUE, LIFE_FETCH, LIFE_CANCEL}},
    {3, {LIFE_QUEUE, LIFE_FETCH, LIFE_PARK}},
};

typedef struct ACTOR {
    STAGE *Stage;
    LIFE_EVENT Event;
    NTSTATUS Status;
    LONG Given;
} ACTOR;

static VOID Act(PVOID Context)
{
    ACTOR *Actor = Context;

    Actor->Status = StageDo(Actor->Stage, Actor->Event, &Actor->Given);
}

/* -- which pairs ------------------------------------------------------------------------------- */

static BOOLEAN IsServers(LIFE_EVENT Event)
{
    return Event == LIFE_PARK || Event == LIFE_FETCH || Event == LIFE_REPLY_1 ||
           Event == LIFE_REPLY_2 || Event == LIFE_FAIL_1;
}

/* A process that ends does nothing more; and only what is there can be cancelled. On NT a stop only waits. */
static BOOLEAN MakeAPair(const LIFE *Life, LIFE_EVENT A, LIFE_EVENT B)
{
    if (!LifeCan(Life, A) || !LifeCan(Life, B))
        return FALSE;
    if ((A == LIFE_STOP || B == LIFE_STOP) && !SimIsWine())
        return FALSE;
    if (A == LIFE_REPLY_1 && B == LIFE_FAIL_1)
        return FALSE;
    if (B == LIFE_KILL || B == LIFE_CLOSE)
        return !IsServers(A) && A != LIFE_KILL;
    return TRUE;
}

/* -- what came out ----------------------------------------------------------------------------- */

typedef struct OUTCOME {
    BOOLEAN Over, Gone;
    NTSTATUS Status; /* of the request */
    struct cm_stats Stats;
    ACTOR Actors[2];
} OUTCOME;

static VOID LookAt(STAGE *Stage, OUTCOME *Outcome)
{
    NTSTATUS Status;

    StageSettle(Stage);
    if (Stage->Parked != NULL && SimIsDone(Stage->Parked))
        StageTakeParked(Stage, &Status);
    Outcome->Over = Stage->Io != NULL && SimIsDone(Stage->Io);
    if (Outcome->Over)
        Outcome->Status = SimWaitFor(Stage->Io);
    Status = RigStats(Stage->Tool.Control, Stage->Disk.Id, &Outcome->Stats);
    Outcome->Gone = !NT_SUCCESS(Status);
    Outcome->Stats.largest_wait_us = 0;
}

static BOOLEAN RequestIsAs(const OUTCOME *Outcome, const LIFE *Life)
{
    if (Outcome->Over != Life->Over)
        return FALSE;
    return !Life->Over || Outcome->Status == Life->Status ||
           (Life->Status == STATUS_NO_SUCH_DEVICE && Outcome->Status == STATUS_FILE_DELETED);
}

/* A server's call that meets the end of the disk may be told so, or find nothing; to the others the order
 * that is to explain all of it must give what they got. Which of two exchanges gets a request is open. */
static BOOLEAN CallIsAs(const ACTOR *Actor, const LIFE_RESULT *Result, const LIFE *Life)
{
    if (Actor->Status == STATUS_PENDING)
        return TRUE;
    if (Life->DiskGone && (IsServers(Actor->Event) || SimIsWine()))
        return TRUE;
    if (Life->DiskGone && (Actor->Status == STATUS_SUCCESS || Actor->Status == STATUS_NOT_FOUND))
        return TRUE; /* two that take it away at once have both done it */
    return Actor->Status == Result->Status;
}

/* What the server must have been given, it has: no exchange sleeps while there is something to fetch. */
static BOOLEAN FragmentsAreAs(const STAGE *Stage, const LIFE *Life)
{
    ULONG Index;

    for (Index = 0; Index < Life->Fragments && !Life->DiskGone; Index++)
        if ((Stage->Got[Index].tag != 0) != (Life->Fragment[Index] != FRAGMENT_MADE))
            return FALSE;
    return TRUE;
}

static BOOLEAN Explains(const STAGE *Stage, const OUTCOME *Outcome, LIFE *Life, ULONG First)
{
    const ACTOR *A = &Outcome->Actors[First], *B = &Outcome->Actors[!First];
    LIFE_RESULT ResultA, ResultB;

    if (!LifeCan(Life, A->Event))
        return FALSE;
    LifeDo(Life, A->Event, &ResultA);
    /* It was there when the two began, although this order has no sense for it. */
    LifeDo(Life, B->Event, &ResultB);
    return RequestIsAs(Outcome, Life) && CallIsAs(A, &ResultA, Life) &&
           CallIsAs(B, &ResultB, Life) && FragmentsAreAs(Stage, Life) &&
           Outcome->Gone == Life->DiskGone &&
           (Life->DiskGone || memcmp(&Outcome->Stats, &Life->Stats, sizeof(Outcome->Stats)) == 0);
}

/* -- one pair ---------------------------------------------------------------------------------- */

static char Doing[200]; /* for whoever looks at a failure */

static VOID Describe(const STAGE *Stage, const SETUP *Setup, LIFE_EVENT A, LIFE_EVENT B)
{
    ULONG Index;
    int At = snprintf(Doing, sizeof(Doing), "op %u, %u fragments:", Stage->Op, Stage->Fragments);

    for (Index = 0; Index < Setup->Count; Index++)
        At +=
            snprintf(Doing + At, sizeof(Doing) - (size_t)At, " %s", LifeName(Setup->Events[Index]));
    snprintf(Doing + At, sizeof(Doing) - (size_t)At, " | %s, %s", LifeName(A), LifeName(B));
    RigNote(Doing);
}

static VOID SetUp(STAGE *Stage, const SETUP *Setup)
{
    NTSTATUS Status;
    ULONG Index;
    LONG Given;

    for (Index = 0; Index < Setup->Count; Index++)
        StageDo(Stage, Setup->Events[Index], &Given);
    StageSettle(Stage);
    if (Stage->Parked != NULL && SimIsDone(Stage->Parked))
        StageTakeParked(Stage, &Status);
}

static VOID RunPair(ULONG Op, ULONG Fragments, const SETUP *Setup, const LIFE *Before, LIFE_EVENT A,
                    LIFE_EVENT B)
{
    OUTCOME Outcome = {0};
    SIM_THREAD *Thread;
    BOOLEAN Explained;
    STAGE Stage;
    LIFE Life;

    StageBegin(&Stage, Op, Fragments);
    Describe(&Stage, Setup, A, B);
    SetUp(&Stage, Setup);
    Stage.Racing = TRUE;
    Outcome.Actors[0] = (ACTOR){&Stage, A, 0, -1};
    Outcome.Actors[1] = (ACTOR){&Stage, B, 0, -1};
    Thread = SimSpawn("second", Act, &Outcome.Actors[1]);
    Act(&Outcome.Actors[0]);
    SimJoin(Thread);
    LookAt(&Stage, &Outcome);
    Life = *Before;
    Explained = Explains(&Stage, &Outcome, &Life, 0);
    if (!Explained) {
        Life = *Before;
        Explained = Explains(&Stage, &Outcome, &Life, 1);
    }
    CHECK(Explained);
    Life.Copied[0] = Life.Copied[1] = TRUE; /* a copy may have run while it was aborted */
    if (Outcome.Over) {
        Life.Status = Outcome.Status;
        StageCheckData(&Stage, &Life, Outcome.Status);
    }
    StageEnd(&Stage, &Life);
}

static ULONG RunPairsFrom(ULONG Op, ULONG Fragments, const SETUP *Setup)
{
    ULONG Pairs = 0, Index;
    LIFE_EVENT A, B;
    LIFE Life;

    LifeBegin(&Life, Op, Fragments, (Fragments - 1) * 4 * KIB + 1536);
    for (Index = 0; Index < Setup->Count; Index++) {
        LIFE_RESULT Result;
        if (!LifeCan(&Life, Setup->Events[Index]))
            return 0;
        LifeDo(&Life, Setup->Events[Index], &Result);
    }
    for (A = 0; A < LIFE_EVENTS; A++)
        for (B = A + 1; B < LIFE_EVENTS; B++)
            if (MakeAPair(&Life, A, B)) {
                RunPair(Op, Fragments, Setup, &Life, A, B);
                Pairs++;
            }
    return Pairs;
}

static VOID RunAll(ULONG Op, ULONG MaxFragments)
{
    ULONG Fragments, Index, Pairs = 0;

    for (Fragments = 1; Fragments <= MaxFragments; Fragments++)
        for (Index = 0; Index < RTL_NUMBER_OF(Setups); Index++)
            Pairs += RunPairsFrom(Op, Fragments, &Setups[Index]);
    printf("    %u pairs\n", Pairs);
}

static VOID TwoThingsHappenToARead(VOID)
{
    RunAll(CM_OP_READ, 2);
}

static VOID TwoThingsHappenToAWrite(VOID)
{
    RunAll(CM_OP_WRITE, 2);
}

static VOID TwoThingsHappenToAFlush(VOID)
{
    RunAll(CM_OP_FLUSH, 1);
}

static VOID TwoThingsHappenToATrim(VOID)
{
    RunAll(CM_OP_TRIM, 2);
}

/* A window of a few instructions, so many times: an exchange finds nothing, a request comes and finds nobody
 * who waits, the exchange waits. */
static VOID NoExchangeParksWhileThereIsWork(VOID)
{
    static const SETUP Nothing = {0, {0}};
    LIFE Life;

    LifeBegin(&Life, CM_OP_READ, 1, 1536);
    RunPair(CM_OP_READ, 1, &Nothing, &Life, LIFE_QUEUE, LIFE_PARK);
}

/* -- a request that is taken back while it comes ------------------------------------------------ */

static int volatile Asking; /* atomic */

static VOID Ask(PVOID Context)
{
    STAGE *Stage = Context;
    LONG Given;

    __atomic_store_n(&Asking, 1, __ATOMIC_SEQ_CST);
    StageDo(Stage, LIFE_QUEUE, &Given);
}

static BOOLEAN IsAsking(PVOID Context)
{
    UNREFERENCED_PARAMETER(Context);
    return __atomic_load_n(&Asking, __ATOMIC_SEQ_CST) != 0;
}

/* The process ends while its thread is on its way to the driver. Only serial: there, nothing comes between the
 * note that it asks and the system's list of what is to be cancelled. */
static VOID ARequestIsCancelledWhileItComes(VOID)
{
    static const ULONG Ops[] = {CM_OP_READ, CM_OP_WRITE, CM_OP_FLUSH, CM_OP_TRIM};
    ULONG Op = Ops[SimRandomBelow(4)];
    struct cm_stats Stats;
    SIM_THREAD *Thread;
    OUTCOME Outcome;
    LONG Given;
    STAGE Stage;
    LIFE Life;

    StageBegin(&Stage, Op, Op == CM_OP_FLUSH ? 1 : 1 + SimRandomBelow(2));
    Stage.Racing = TRUE;
    if (SimRandomBelow(2) != 0)
        StageDo(&Stage, LIFE_PARK, &Given);
    Asking = 0;
    Thread = SimSpawn("client", Ask, &Stage);
    SimWaitUntil(IsAsking, NULL);
    SimKill(Stage.Client);
    Stage.File = NULL;
    SimJoin(Thread);
    LookAt(&Stage, &Outcome);
    CHECK(Outcome.Over);
    CHECK_EQ(Outcome.Status, STATUS_CANCELLED);
    CHECK_EQ(RigStats(Stage.Tool.Control, Stage.Disk.Id, &Stats), STATUS_SUCCESS);
    CHECK_EQ(Stats.requests, 1);
    CHECK_EQ(Stats.cancelled, 1);
    CHECK_EQ(Stats.handed_out, (Stage.Got[0].tag != 0) + (Stage.Got[1].tag != 0));
    LifeBegin(&Life, Op, 1, 0);
    Life.Over = TRUE;
    Life.Status = STATUS_CANCELLED;
    StageEnd(&Stage, &Life);
}

static const RIG_TEST Tests[] = {
    RIG_TEST(TwoThingsHappenToARead, 2),
    RIG_TEST(TwoThingsHappenToAWrite, 2),
    RIG_TEST(TwoThingsHappenToAFlush, 2),
    RIG_TEST(TwoThingsHappenToATrim, 2),
    RIG_TEST_ON("serial", 0, NoExchangeParksWhileThereIsWork, 300),
    RIG_TEST_ON("serial", 0, ARequestIsCancelledWhileItComes, 300),
};

int main(int Count, char **Arguments)
{
    return RigMain(Count, Arguments, Tests, RTL_NUMBER_OF(Tests));
}
