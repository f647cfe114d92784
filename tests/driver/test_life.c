/* SPDX-License-Identifier: MIT */
/*
 * test_life.c - one request, and every order of what can happen to it: a program walks all permutations of
 * all subsets of the events of life_model.h that make sense, has each happen on the machine, and holds the
 * driver against the model after every event. Where two things happen at the same time: test_race.c.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "life_stage.h"

#define MAX_EVENTS 16

typedef struct WALK {
    LIFE_EVENT Path[MAX_EVENTS];
    ULONG Length;
    ULONG Fragments, Op;
    ULONG Every; /* of so many orders one is run */
    ULONG64 Seen, Orders, Steps;
} WALK;

/* -- one order --------------------------------------------------------------------------------- */

static VOID CheckStats(const STAGE *Stage, const LIFE *Life)
{
    struct cm_stats Stats;
    NTSTATUS Status = RigStats(Stage->Tool.Control, Stage->Disk.Id, &Stats);

    if (Life->DiskGone) {
        CHECK_EQ(Status, Life->DriverGone ? STATUS_FILE_DELETED : STATUS_NOT_FOUND);
        return;
    }
    CHECK_EQ(Status, STATUS_SUCCESS);
    Stats.largest_wait_us = 0;
    CHECK(memcmp(&Stats, &Life->Stats, sizeof(Stats)) == 0);
}

static VOID CheckRequest(const STAGE *Stage, const LIFE *Life, const LIFE_RESULT *Result,
                         LIFE_EVENT Event)
{
    NTSTATUS Status;

    if (Stage->Io == NULL)
        return;
    CHECK_EQ(SimIsDone(Stage->Io), Life->Over);
    if (!Life->Over)
        return;
    Status = SimWaitFor(Stage->Io);
    CHECK(Status == Life->Status || (Event == LIFE_QUEUE && Status == Result->OrStatus));
    StageCheckData(Stage, Life, Status);
}

static VOID CheckParked(STAGE *Stage, const LIFE_RESULT *Result)
{
    NTSTATUS Status;
    LONG Given;

    if (Stage->Parked == NULL)
        return;
    CHECK_EQ(SimIsDone(Stage->Parked), Result->ParkedEnds);
    if (!Result->ParkedEnds)
        return;
    Given = StageTakeParked(Stage, &Status);
    CHECK(Status == Result->ParkedStatus || Status == Result->ParkedOrStatus);
    CHECK_EQ(Given, Result->GivenToParked);
}

static VOID Step(STAGE *Stage, LIFE *Life, LIFE_EVENT Event)
{
    LIFE_RESULT Result;
    NTSTATUS Status;
    LONG Given;

    LifeDo(Life, Event, &Result);
    Status = StageDo(Stage, Event, &Given);
    StageSettle(Stage);
    if (Status != STATUS_PENDING)
        CHECK_EQ(Status, Result.Status);
    CHECK_EQ(Given, Result.Given);
    CheckParked(Stage, &Result);
    CheckRequest(Stage, Life, &Result, Event);
    if (Event == LIFE_QUEUE && Life->Over)
        Life->Status = SimWaitFor(Stage->Io);
    CheckStats(Stage, Life);
}

static char Doing[200]; /* for whoever looks at a failure */

static VOID RunOrder(WALK *Walk)
{
    STAGE Stage;
    LIFE Life;
    ULONG Index;

    snprintf(Doing, sizeof(Doing), "op %u, %u fragments:", Walk->Op, Walk->Fragments);
    for (Index = 0; Index < Walk->Length; Index++)
        snprintf(Doing + strlen(Doing), sizeof(Doing) - strlen(Doing), " %s",
                 LifeName(Walk->Path[Index]));
    RigNote(Doing);
    StageBegin(&Stage, Walk->Op, Walk->Fragments);
    LifeBegin(&Life, Walk->Op, Walk->Fragments, Stage.Length);
    for (Index = 0; Index < Walk->Length; Index++)
        Step(&Stage, &Life, Walk->Path[Index]);
    StageEnd(&Stage, &Life);
    Walk->Orders++;
    Walk->Steps += Walk->Length;
}

/* -- all orders -------------------------------------------------------------------------------- */

/* Of the requests of two fragments, which have 14 times as many orders. With CM_SCALE=32 it is all of both. */
#define SAMPLE 32

/*
 * What is left out, as it says nothing new: more than one event after the request is over (whichever it is
 * meets all that is left), more than one before it comes (two of each beyond that scale), both
 * kinds of unmount in one order, and on NT a stop, which waits for the last handle, where it comes too late to
 * meet the request.
 */
static BOOLEAN IsWorthIt(const LIFE *Life, LIFE_EVENT Event, ULONG Early, ULONG Late)
{
    ULONG Unmounts = 1u << LIFE_UNMOUNT | 1u << LIFE_SOFT_UNMOUNT;
    ULONG Limit = RigScale() > SAMPLE ? 2 : 1;

    if (!LifeCan(Life, Event) || (Life->Over && Late >= Limit))
        return FALSE;
    if (!Life->Asked && Event != LIFE_QUEUE && Early >= Limit)
        return FALSE;
    if (Event == LIFE_STOP && Life->Over && !SimIsWine())
        return FALSE;
    return (Unmounts & 1u << Event) == 0 || (Life->Used & Unmounts) == 0;
}

static VOID WalkFrom(WALK *Walk, const LIFE *Life, ULONG Late)
{
    BOOLEAN Leaf = TRUE;
    LIFE_EVENT Event;

    for (Event = 0; Event < LIFE_EVENTS; Event++) {
        LIFE_RESULT Result;
        LIFE Next = *Life;
        if (Walk->Length == MAX_EVENTS || !IsWorthIt(Life, Event, Walk->Length, Late))
            continue;
        Leaf = FALSE;
        LifeDo(&Next, Event, &Result);
        Walk->Path[Walk->Length++] = Event;
        WalkFrom(Walk, &Next, Late + Life->Over);
        Walk->Length--;
    }
    if (Leaf && Life->Asked && Walk->Seen++ % Walk->Every == 0)
        RunOrder(Walk);
}

static VOID WalkAll(ULONG Op, ULONG Fragments, const char *Name)
{
    WALK Walk = {.Op = Op, .Fragments = Fragments};
    LIFE Life;

    Walk.Every = Fragments > 1 && RigScale() < SAMPLE ? SAMPLE / RigScale() : 1;
    if (!RigIsSerial()) /* nothing happens at the same time: little to see */
        Walk.Every = 4 * SAMPLE;
    Walk.Seen = SimRandomBelow(Walk.Every);
    LifeBegin(&Life, Op, Fragments, 0);
    WalkFrom(&Walk, &Life, 0);
    printf("    %s, %u fragment(s): %llu orders, one in %u of all, of %llu events\n", Name,
           Fragments, (unsigned long long)Walk.Orders, Walk.Every, (unsigned long long)Walk.Steps);
}

static VOID EveryOrderOfOneRead(VOID)
{
    WalkAll(CM_OP_READ, 1, "READ");
    WalkAll(CM_OP_READ, 2, "READ");
}

static VOID EveryOrderOfOneWrite(VOID)
{
    WalkAll(CM_OP_WRITE, 1, "WRITE");
    WalkAll(CM_OP_WRITE, 2, "WRITE");
}

static VOID EveryOrderOfOneFlush(VOID)
{
    WalkAll(CM_OP_FLUSH, 1, "FLUSH");
}

static VOID EveryOrderOfOneTrim(VOID)
{
    WalkAll(CM_OP_TRIM, 1, "TRIM");
    WalkAll(CM_OP_TRIM, 2, "TRIM");
}

static const RIG_TEST Tests[] = {
    RIG_TEST(EveryOrderOfOneRead, 1),
    RIG_TEST(EveryOrderOfOneWrite, 1),
    RIG_TEST(EveryOrderOfOneFlush, 1),
    RIG_TEST(EveryOrderOfOneTrim, 1),
};

int main(int Count, char **Arguments)
{
    return RigMain(Count, Arguments, Tests, RTL_NUMBER_OF(Tests));
}
