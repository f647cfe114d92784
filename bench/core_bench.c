/* SPDX-License-Identifier: MIT */
/*
 * core_bench.c - what a request costs in the driver itself: queue, fetch, reply, completion, on the simulated
 * kernel, without Wine, sanitizers or delays. `./dev bench core` runs it; docs/performance.md says how to read it.
 *
 *      core_bench [--quick] [--check]
 *
 * For each batch size and number of client threads, 4 KiB reads of a disk whose server answers at once. What
 * the simulation itself costs is measured beside it, by reads of length 0, which the driver completes without
 * queueing, and taken off. Times are the median of rounds; counts are exact, and what --check holds to.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tests/driver/rig.h"

#define MAX_CLIENTS 4
#define MAX_ROUNDS 15
#define BLOCK (4 * KIB)

typedef struct CASE {
    ULONG Batch, Clients;
} CASE;

static const CASE Cases[] = {{1, 1}, {8, 1}, {32, 1}, {1, 4}, {8, 4}, {32, 4}};

static ULONG Rounds = 9, Requests = 40000;

/* Of one round of one case. */
typedef struct SAMPLE {
    double Ns, SimulationNs;
    double Locks, Allocations, Copies, Mappings, Exchanges;
} SAMPLE;

typedef struct CLIENT {
    RIG_DISK *Disk;
    SIM_FILE *File;
    SIM_MEMORY *Memory;
    ULONG Count;  /* requests to send */
    ULONG Window; /* at once */
} CLIENT;

static double NowNs(VOID)
{
    struct timespec Now;

    clock_gettime(CLOCK_MONOTONIC, &Now);
    return (double)Now.tv_sec * 1e9 + (double)Now.tv_nsec;
}

/* -- one client, which is also the server: no thread ever waits -------------------------------- */

static VOID AnswerAll(RIG_DISK *Disk, RIG_EXCHANGE *Exchange, ULONG Batch)
{
    ULONG Index, Count;

    CHECK_EQ(RigExchange(Disk, Exchange, 0, CM_EXCHANGE_NO_WAIT, Batch), STATUS_SUCCESS);
    Count = Exchange->Out.Head.request_count;
    CHECK_EQ(Count, Batch);
    for (Index = 0; Index < Count; Index++)
        Exchange->In.Replies[Index] = (struct cm_reply){
            .tag = Exchange->Out.Requests[Index].tag,
            .length = (ULONG)Exchange->Out.Requests[Index].length,
        };
    CHECK_EQ(RigExchange(Disk, Exchange, Count, CM_EXCHANGE_NO_WAIT, 0), STATUS_SUCCESS);
}

static VOID RunAlone(const CLIENT *Client, ULONG Batch)
{
    static RIG_EXCHANGE Exchange;
    SIM_IO *Ios[RIG_BATCH];
    ULONG Sent, Index;

    for (Sent = 0; Sent < Client->Count; Sent += Batch) {
        for (Index = 0; Index < Batch; Index++)
            Ios[Index] = SimRead(Client->File, Index * BLOCK, Client->Memory, Index * BLOCK, BLOCK);
        AnswerAll(Client->Disk, &Exchange, Batch);
        for (Index = 0; Index < Batch; Index++)
            CHECK_EQ(SimFinish(Ios[Index], NULL), STATUS_SUCCESS);
    }
}

/* -- several clients, and a server on a thread of its own -------------------------------------- */

static VOID RunClient(PVOID Context)
{
    const CLIENT *Client = Context;
    SIM_IO *Ios[RIG_BATCH];
    ULONG Sent, Index;

    for (Sent = 0; Sent < Client->Count; Sent++) {
        Index = Sent % Client->Window;
        if (Sent >= Client->Window)
            CHECK_EQ(SimFinish(Ios[Index], NULL), STATUS_SUCCESS);
        Ios[Index] = SimRead(Client->File, Index * BLOCK, Client->Memory, Index * BLOCK, BLOCK);
    }
    for (Index = 0; Index < min(Client->Window, Client->Count); Index++)
        CHECK_EQ(SimFinish(Ios[Index], NULL), STATUS_SUCCESS);
}

static VOID RunTogether(CLIENT *Clients, ULONG Count)
{
    SIM_THREAD *Threads[MAX_CLIENTS];
    ULONG Index;

    for (Index = 0; Index < Count; Index++)
        Threads[Index] = SimSpawn("client", RunClient, &Clients[Index]);
    for (Index = 0; Index < Count; Index++)
        SimJoin(Threads[Index]);
}

/* -- a round ----------------------------------------------------------------------------------- */

/* What the simulation takes for one I/O that the driver does not queue. */
static double MeasureSimulation(const CLIENT *Client)
{
    double Start = NowNs();
    ULONG Index;

    for (Index = 0; Index < Requests; Index++)
        CHECK_EQ(SimFinish(SimRead(Client->File, 0, Client->Memory, 0, 0), NULL), STATUS_SUCCESS);
    return (NowNs() - Start) / Requests;
}

static SAMPLE Difference(double Ns, const SIM_COUNTERS *Before, const SIM_COUNTERS *After,
                         ULONG64 Exchanges)
{
    return (SAMPLE){
        .Ns = Ns / Requests,
        .Locks = (double)(After->Locks - Before->Locks) / Requests,
        .Allocations = (double)(After->Allocations - Before->Allocations) / Requests,
        .Copies = (double)(After->Copies - Before->Copies) / Requests,
        .Mappings = (double)(After->Mappings - Before->Mappings) / Requests,
        .Exchanges = (double)Exchanges / Requests,
    };
}

static SAMPLE Measure(RIG_SERVER *Server, RIG_DISK *Disk, CLIENT *Clients, const CASE *Case,
                      PUCHAR Image)
{
    RIG_SERVICE Service = {.Disk = Disk, .Image = Image, .Batch = Case->Batch};
    struct cm_stats StatsBefore, StatsAfter;
    SIM_COUNTERS Before, After;
    SIM_THREAD *Thread = NULL;
    SAMPLE Sample;
    double Start;

    CHECK_EQ(RigStats(Server->Control, Disk->Id, &StatsBefore), STATUS_SUCCESS);
    if (Case->Clients > 1)
        Thread = SimSpawn("server", RigServe, &Service);
    SimGetCounters(&Before);
    Start = NowNs();
    if (Case->Clients == 1)
        RunAlone(&Clients[0], Case->Batch);
    else
        RunTogether(Clients, Case->Clients);
    Start = NowNs() - Start;
    SimGetCounters(&After);
    CHECK_EQ(RigStats(Server->Control, Disk->Id, &StatsAfter), STATUS_SUCCESS);
    Sample = Difference(Start, &Before, &After, StatsAfter.exchanges - StatsBefore.exchanges);
    Sample.SimulationNs = MeasureSimulation(&Clients[0]);
    CHECK_EQ(RigUnmount(Server->Control, Disk->Id, CM_UNMOUNT_FORCE), STATUS_SUCCESS);
    if (Thread != NULL)
        SimJoin(Thread);
    return Sample;
}

static SAMPLE RunRound(const CASE *Case)
{
    SIM_OPTIONS Options = {.System = SIM_NT};
    CLIENT Clients[MAX_CLIENTS];
    PUCHAR Image = calloc(1, MIB);
    struct cm_mount Mount;
    RIG_SERVER Server;
    RIG_DISK Disk;
    SAMPLE Sample;
    ULONG Index;

    SimBoot(&Options);
    CHECK_EQ(SimLoadDriver(), STATUS_SUCCESS);
    Server = RigStartServer();
    RigMountDefaults(&Mount, MIB);
    Mount.queue_depth = RIG_BATCH;
    CHECK_EQ(RigMountOnly(Server.Control, &Mount, &Disk), STATUS_SUCCESS);
    CHECK_EQ(RigGiveArena(&Disk), STATUS_SUCCESS);
    for (Index = 0; Index < Case->Clients; Index++)
        Clients[Index] = (CLIENT){
            .Disk = &Disk,
            .File = RigOpenDisk(Server.Process, &Disk),
            .Memory = SimAllocate(RIG_BATCH * BLOCK),
            .Count = Requests / Case->Clients,
            .Window = max(Case->Batch * 2 / Case->Clients, 1),
        };
    Sample = Measure(&Server, &Disk, Clients, Case, Image);
    for (Index = 0; Index < Case->Clients; Index++) {
        SimClose(Clients[Index].File);
        SimFree(Clients[Index].Memory);
    }
    RigForget(&Disk);
    RigStopServer(&Server);
    CHECK(SimStopDriver());
    SimShutDown();
    free(Image);
    return Sample;
}

/* -- the table --------------------------------------------------------------------------------- */

static int Compare(const void *A, const void *B)
{
    double Left = *(const double *)A, Right = *(const double *)B;

    return (Left > Right) - (Left < Right);
}

static double Median(double *Values, ULONG Count)
{
    qsort(Values, Count, sizeof(*Values), Compare);
    return Values[Count / 2];
}

static int RunCase(const CASE *Case, BOOLEAN Check)
{
    double Ns[MAX_ROUNDS], Simulation[MAX_ROUNDS];
    SAMPLE Sample = {0};
    ULONG Round;
    double Total, Own;

    for (Round = 0; Round < Rounds; Round++) {
        Sample = RunRound(Case);
        Ns[Round] = Sample.Ns;
        Simulation[Round] = Sample.SimulationNs;
    }
    Total = Median(Ns, Rounds);
    Own = Median(Simulation, Rounds);
    printf("%5u %7u %9.0f %11.0f %7.2f %7.3f %7.2f %7.2f %10.3f\n", Case->Batch, Case->Clients,
           Total - Own, Own, Sample.Locks, Sample.Allocations, Sample.Copies, Sample.Mappings,
           Sample.Exchanges);
    fflush(stdout);
    if (Check && (Sample.Allocations != 0 || Sample.Copies > 1 || Sample.Mappings > 1)) {
        printf("FAILED: a request costs no allocation, one copy and one mapping at most\n");
        return 1;
    }
    return 0;
}

int main(int Count, char **Arguments)
{
    BOOLEAN Check = FALSE;
    int Index, Failed = 0;

    for (Index = 1; Index < Count; Index++) {
        if (strcmp(Arguments[Index], "--quick") == 0) {
            Rounds = 3;
            Requests = 8000;
        } else if (strcmp(Arguments[Index], "--check") == 0) {
            Check = TRUE;
        } else {
            fprintf(stderr, "core_bench: unknown argument %s; known: --quick, --check\n",
                    Arguments[Index]);
            return 2;
        }
    }
    printf("4 KiB reads; per request; medians of %u rounds of %u requests\n\n", Rounds, Requests);
    printf("batch clients driver ns simulation ns locks  allocs  copies mapped exchanges\n");
    for (Index = 0; Index < (int)RTL_NUMBER_OF(Cases); Index++)
        Failed |= RunCase(&Cases[Index], Check);
    return Failed;
}
