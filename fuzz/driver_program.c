/* SPDX-License-Identifier: MIT */
/*
 * driver_program.c - a fuzz target: the input is a program of opens, mounts, I/O, replies good and bad, kills
 * and so on, which runs on a machine of its own. program.h has what an operation is.
 *
 * The main thread takes the operations in turn; some it gives to one of two other threads, which do them while it
 * goes on. At the end all is closed, and the machine is shut down, which checks that nothing is left.
 */
#include <stdio.h>
#include <stdlib.h>

#include "program.h"

PROGRAM Program;

/* -- the other threads ------------------------------------------------------------------------- */

typedef struct ACTOR {
    SIM_THREAD *Thread;
    BOOLEAN HasOp, Ending;
    OP Op;
} ACTOR;

static ACTOR Actors[2];

static BOOLEAN HasOp(PVOID Context)
{
    const ACTOR *Actor = Context;

    return Actor->HasOp || Actor->Ending;
}

static BOOLEAN HasNoOp(PVOID Context)
{
    return !((const ACTOR *)Context)->HasOp;
}

static VOID Act(PVOID Context)
{
    ACTOR *Actor = Context;

    for (;;) {
        SimWaitUntil(HasOp, Actor);
        if (!Actor->HasOp)
            return;
        ProgramDo(&Actor->Op);
        Actor->HasOp = FALSE;
    }
}

static VOID Give(ACTOR *Actor, const OP *Op)
{
    if (Actor->Thread == NULL)
        Actor->Thread = SimSpawn("actor", Act, Actor);
    SimWaitUntil(HasNoOp, Actor);
    Actor->Op = *Op;
    Actor->HasOp = TRUE;
    SimPoint();
}

static VOID WaitForActors(VOID)
{
    ULONG Index;

    for (Index = 0; Index < RTL_NUMBER_OF(Actors); Index++)
        SimWaitUntil(HasNoOp, &Actors[Index]);
}

static VOID EndActors(VOID)
{
    ULONG Index;

    for (Index = 0; Index < RTL_NUMBER_OF(Actors); Index++) {
        Actors[Index].Ending = TRUE;
        if (Actors[Index].Thread != NULL)
            SimJoin(Actors[Index].Thread);
    }
    memset(Actors, 0, sizeof(Actors));
}

/* -- doing ------------------------------------------------------------------------------------- */

static VOID (*const Operations[OP_COUNT])(const OP *Op) = {
    [OP_START_SERVER] = OpStartServer,
    [OP_MOUNT] = OpMount,
    [OP_ARENA] = OpArena,
    [OP_OPEN] = OpOpen,
    [OP_READ] = OpReadWrite,
    [OP_WRITE] = OpReadWrite,
    [OP_FLUSH] = OpFlush,
    [OP_TRIM] = OpTrim,
    [OP_EXCHANGE] = OpExchange,
    [OP_SERVE] = OpServe,
    [OP_CANCEL] = OpCancel,
    [OP_KILL] = OpKill,
    [OP_CLOSE] = OpClose,
    [OP_UNMOUNT] = OpUnmount,
    [OP_ATTACH] = OpAttach,
    [OP_ASK] = OpAsk,
    [OP_SLEEP] = OpSleep,
    [OP_STOP] = OpStop,
    [OP_START] = OpStart,
    [OP_FILE_SYSTEM] = OpFileSystem,
    [OP_IOCTL] = OpIoctl,
    [OP_WAIT] = NULL, /* the main thread's */
};

static const char *const Names[OP_COUNT] = {
    "start-server", "mount", "arena",  "open",        "read",  "write",   "flush",  "trim",
    "exchange",     "serve", "cancel", "kill",        "close", "unmount", "attach", "ask",
    "sleep",        "stop",  "start",  "file-system", "ioctl", "wait",
};

/* What an input means, for people: with CM_FUZZ_TRACE in the environment. */
static VOID Trace(const OP *Op, ULONG Actor)
{
    if (getenv("CM_FUZZ_TRACE") != NULL)
        fprintf(stderr, "%s%u: %s %u 0x%x 0x%x\n", Actor == 0 ? "" : "    ", Actor, Names[Op->Kind],
                Op->A, Op->B, Op->C);
}

VOID ProgramDo(const OP *Op)
{
    if (Operations[Op->Kind] != NULL)
        Operations[Op->Kind](Op);
}

/* What the others must not be in the middle of, as it would be no fault of the driver's. */
static BOOLEAN IsForAll(UCHAR Kind)
{
    return Kind == OP_STOP || Kind == OP_START || Kind == OP_FILE_SYSTEM || Kind == OP_WAIT;
}

static VOID LookWhenQuiet(VOID);

static VOID RunOps(const UCHAR *Data, SIZE_T Size)
{
    ULONG Count;

    for (Count = 0; Count < MAX_OPS && Size >= OP_SIZE; Count++) {
        OP Op = {(UCHAR)((Data[0] & 63) % OP_COUNT), Data[1], Data[2], Data[3]};
        ULONG Actor = Data[0] >> 6;
        Trace(&Op, Actor % 3);
        if (IsForAll(Op.Kind))
            WaitForActors();
        if ((Actor == 1 || Actor == 2) && !IsForAll(Op.Kind) && Op.Kind != OP_SLEEP)
            Give(&Actors[Actor - 1], &Op);
        else
            ProgramDo(&Op);
        if (Op.Kind == OP_WAIT)
            LookWhenQuiet();
        ProgramReap(FALSE);
        Data += OP_SIZE;
        Size -= OP_SIZE;
    }
}

/* -- I/O that has ended ------------------------------------------------------------------------ */

static VOID Ended(IO *Io)
{
    SIM_IO *Done = Io->Io;
    ULONG_PTR Information;
    NTSTATUS Status;

    Io->Io = NULL; /* from here on nobody else touches it */
    Status = SimFinish(Done, &Information);
    if (Io->Kind == IO_CLIENT)
        ModelEnd(Io, Status, Information);
    if (Io->Kind == IO_EXCHANGE)
        ServerExchangeEnded(Io, Status);
    if (Io->Kind == IO_LEND) {
        CHECK_EQ(Status, STATUS_SUCCESS);
        CHECK(Io->Attachment->MayBeLost || ModelMayBeGone(Io->Disk));
        Io->Attachment->Arena = NULL;
    }
    free(Io->Exchange);
    memset(Io, 0, sizeof(*Io));
}

VOID ProgramReap(BOOLEAN All)
{
    ULONG Index;

    for (Index = 0; Index < MAX_IOS; Index++) {
        IO *Io = &Program.Ios[Index];
        if (Io->Kind == IO_NONE || Io->Io == NULL || Io->IsBeingCancelled)
            continue;
        if (All)
            SimWaitFor(Io->Io);
        if (SimIsDone(Io->Io))
            Ended(Io);
    }
}

/* The main thread; the others do nothing. */
static VOID LookWhenQuiet(VOID)
{
    ULONG Index;

    SimSleepMs(1); /* until the system's threads have nothing to do either */
    ProgramReap(FALSE);
    for (Index = 0; Index < Program.DiskCount; Index++)
        if (!Program.Disks[Index].Dead)
            ServerCheckParked(&Program.Disks[Index]);
}

/* -- the end of a program ---------------------------------------------------------------------- */

/* Serve a disk until nothing is left to do: then everything that was asked of it must be done. */
static VOID ServeAll(DISK_MODEL *Disk)
{
    ULONG Rounds = 0, Index;

    if (Disk->Dead || ModelMayBeGone(Disk))
        return;
    if (Disk->Lost && Disk->HoldSeconds != 0 && Program.Rescuer.Control != NULL)
        ProgramAttach(&Program.Rescuer, Disk, 0);
    if (Disk->Attachment == NULL || Disk->Attachment->MayBeLost)
        return;
    if (Disk->Attachment->Arena == NULL)
        ServerGiveArena(Disk, 0);
    do {
        SimSleepMs(1); /* until nobody else has anything to do */
        ProgramReap(FALSE);
        CHECK(Rounds++ < 1000);
    } while (ServerServe(Disk));
    SimSleepMs(1);
    ProgramReap(FALSE);
    if (Disk->Attachment->Arena == NULL || Disk->Attachment->MayBeLost || Disk->Muddled ||
        ModelMayBeGone(Disk))
        return;
    for (Index = 0; Index < MAX_IOS; Index++)
        if (Program.Ios[Index].Kind == IO_CLIENT && Program.Ios[Index].Disk == Disk)
            SimStop("an I/O (op %u) is never served", Program.Ios[Index].Client.Op);
}

static VOID CancelClients(VOID)
{
    ULONG Index;

    for (Index = 0; Index < MAX_IOS; Index++) {
        IO *Io = &Program.Ios[Index];
        if (Io->Kind == IO_CLIENT) {
            Io->CancelAsked = TRUE;
            SimCancel(Io->Io);
        }
    }
}

/* What has not been unmounted by the end of its server is held. */
static VOID UnmountAll(SIM_FILE *Control)
{
    ULONG Index;

    for (Index = 0; Index < Program.DiskCount; Index++) {
        NTSTATUS Status;
        Program.Disks[Index].Gone = TRUE;
        Status = RigUnmount(Control, Program.Disks[Index].Id, CM_UNMOUNT_FORCE);
        CHECK(Status == STATUS_SUCCESS || Status == STATUS_NOT_FOUND);
    }
}

/* Nothing is under way any more: the sums must be those of the model. */
static VOID CheckAllStats(SIM_FILE *Control)
{
    struct cm_stats Stats;
    ULONG Index;

    for (Index = 0; Index < Program.DiskCount; Index++)
        if (NT_SUCCESS(RigStats(Control, Program.Disks[Index].Id, &Stats)))
            ModelCheckStats(&Program.Disks[Index], &Stats, TRUE);
}

static VOID EndProcesses(UCHAR Options)
{
    ULONG Index;

    for (Index = 0; Index < MAX_SERVERS; Index++) {
        PROCESS *Server = &Program.Servers[Index];
        if (Server->Process != NULL && (Options & PROGRAM_KILL) != 0) {
            ProgramKill(Server);
        } else if (Server->Process != NULL) {
            SIM_PROCESS *Process = Server->Process;
            ProgramCloseControl(Server);
            Server->Process = NULL;
            SimEndProcess(Process);
        }
    }
}

static VOID EndClients(VOID)
{
    ULONG Index;

    for (Index = 0; Index < MAX_FILES; Index++)
        if (Program.Files[Index].File != NULL)
            SimClose(Program.Files[Index].File);
    for (Index = 0; Index < MAX_CLIENTS; Index++)
        if (Program.Clients[Index].Process != NULL)
            SimEndProcess(Program.Clients[Index].Process);
}

static VOID StopDriver(VOID)
{
    ULONG Tries;

    if (SimDriverIsLoaded() && !Program.Stopping)
        SimStopDriver();
    for (Tries = 0; SimDriverIsLoaded(); Tries++) {
        CHECK(Tries < 1000);
        SimSleepMs(1);
    }
}

/* Everything under way ends; but first, or instead, it is served. */
static VOID EndIos(UCHAR Options)
{
    ULONG Index;

    LookWhenQuiet();
    for (Index = 0; Index < Program.DiskCount && (Options & PROGRAM_SERVE) != 0; Index++)
        ServeAll(&Program.Disks[Index]);
    CancelClients();
    for (Index = 0; Index < MAX_IOS; Index++)
        if (Program.Ios[Index].Kind == IO_CLIENT)
            SimWaitFor(Program.Ios[Index].Io);
    ProgramReap(FALSE);
}

static VOID End(UCHAR Options)
{
    PROCESS *Last = &Program.Rescuer;
    NTSTATUS Status;
    ULONG Index;

    EndActors();
    Last->Process = SimCreateProcess(TRUE);
    Last->Control = SimOpen(Last->Process, SIM_CONTROL, GENERIC_READ | GENERIC_WRITE, &Status);
    if (Last->Control != NULL && !NT_SUCCESS(Status)) {
        SimClose(Last->Control); /* Wine lets a refused open through */
        Last->Control = NULL;
    }
    EndIos(Options);
    if (Last->Control != NULL)
        CheckAllStats(Last->Control);
    EndProcesses(Options);
    if (Last->Control != NULL)
        UnmountAll(Last->Control);
    ProgramReap(TRUE);
    EndClients();
    for (Index = 0; Index < Program.DiskCount; Index++)
        SimUnmountFileSystem(Program.Disks[Index].Name);
    ProgramCloseControl(Last);
    SimEndProcess(Last->Process);
    StopDriver();
}

int LLVMFuzzerTestOneInput(const uint8_t *Data, size_t Size)
{
    SIM_OPTIONS Options = {.Serial = TRUE};

    if (Size < 2 + OP_SIZE)
        return -1; /* not for the corpus */
    Options.System = (Data[0] & PROGRAM_WINE) != 0 ? SIM_WINE : SIM_NT;
    Options.Seed = Data[1];
    Options.WindowsVersion = (Data[0] & PROGRAM_OLD_WINDOWS) != 0 ? 0x501 : 0xA00;
    memset(&Program, 0, sizeof(Program));
    Program.PastCount = 1; /* stamp 0: never written */
    SimBoot(&Options);
    CHECK_EQ(SimLoadDriver(), STATUS_SUCCESS);
    RunOps(Data + 2, Size - 2);
    End(Data[0]);
    SimShutDown();
    return 0;
}
