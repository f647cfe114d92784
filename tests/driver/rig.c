/* SPDX-License-Identifier: MIT */
/* rig.c - runs the tests of a program on every kind of system; and the server of rig.h. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "rig.h"

/* -- running ----------------------------------------------------------------------------------- */

typedef struct SYSTEM {
    const char *Name, *Threads;
    SIM_OPTIONS Options;
} SYSTEM;

/* A thread sanitizer sees no races where one thread runs at a time. */
static const SYSTEM Systems[] = {
#ifndef __SANITIZE_THREAD__
    {"nt", "serial", {.System = SIM_NT, .Serial = TRUE}},
    {"wine", "serial", {.System = SIM_WINE, .Serial = TRUE}},
#endif
    {"nt", "free", {.System = SIM_NT, .DelayRate = 20}},
    {"wine", "free", {.System = SIM_WINE, .DelayRate = 20}},
};

static BOOLEAN Serial;

BOOLEAN RigIsSerial(VOID)
{
    return Serial;
}

ULONG RigScale(VOID)
{
    const char *Text = getenv("CM_SCALE");
    ULONG Scale = Text != NULL ? (ULONG)strtoul(Text, NULL, 0) : 1;

    return max(Scale, 1);
}

/* What has been closed by all that a test can see may take a moment longer to let go of its device. */
static VOID StopDriver(VOID)
{
    ULONG Tries = 0;

    if (SimStopDriver())
        return;
    while (SimDriverIsLoaded() && Tries++ < 2000)
        SimSleepMs(100);
    CHECK(!SimDriverIsLoaded());
}

static VOID RunOnce(const RIG_TEST *Test, const SIM_OPTIONS *Options)
{
    Serial = Options->Serial;
    SimBoot(Options);
    CHECK_EQ(SimLoadDriver(), STATUS_SUCCESS);
    Test->Run();
    if (SimDriverIsLoaded())
        StopDriver();
    SimShutDown();
}

static UINT64 FirstSeed(BOOLEAN *Given)
{
    const char *Text = getenv("CM_SEED");
    struct timespec Now;

    *Given = Text != NULL;
    if (Text != NULL)
        return strtoull(Text, NULL, 0);
    clock_gettime(CLOCK_REALTIME, &Now);
    return (UINT64)Now.tv_sec * 1000003u + (UINT64)Now.tv_nsec;
}

static BOOLEAN IsOneOf(const char *Name, const char *const *Names, ULONG Count)
{
    ULONG Index;

    for (Index = 0; Index < Count; Index++)
        if (strcmp(Names[Index], Name) == 0)
            return TRUE;
    return FALSE;
}

/* Whether one of these words is among the arguments, or none of the kind is. */
static BOOLEAN IsWanted(int Count, char **Arguments, const char *Name, const char *const *Kind,
                        ULONG KindCount)
{
    BOOLEAN Any = FALSE;
    int Index;

    for (Index = 1; Index < Count; Index++) {
        if (strcmp(Arguments[Index], Name) == 0)
            return TRUE;
        Any |= IsOneOf(Arguments[Index], Kind, KindCount);
    }
    return !Any;
}

static BOOLEAN IsFor(const RIG_TEST *Test, const SYSTEM *System)
{
    return Test->Only == NULL || strcmp(Test->Only, System->Name) == 0 ||
           strcmp(Test->Only, System->Threads) == 0;
}

static ULONG RunOn(const SYSTEM *System, const RIG_TEST *Test)
{
    SIM_OPTIONS Options = System->Options;
    ULONG Round, Rounds;
    BOOLEAN Given;

    Options.Seed = FirstSeed(&Given);
    Rounds = Given || Test->Rounds == 1 ? 1 : Test->Rounds * RigScale();
    Options.WindowsVersion = Test->WindowsVersion;
    for (Round = 0; Round < Rounds; Round++) {
        RunOnce(Test, &Options);
        Options.Seed++;
    }
    return Round;
}

int RigMain(int Count, char **Arguments, const RIG_TEST *Tests, ULONG TestCount)
{
    static const char *const Kinds[] = {"nt", "wine"}, *const Threads[] = {"serial", "free"};
    const char *Names[256];
    ULONG Index, System, Runs = 0;

    for (Index = 0; Index < TestCount; Index++)
        Names[Index] = Tests[Index].Name;
    for (Index = 0; Index < TestCount; Index++) {
        if (!IsWanted(Count, Arguments, Tests[Index].Name, Names, TestCount))
            continue;
        for (System = 0; System < RTL_NUMBER_OF(Systems); System++) {
            if (!IsFor(&Tests[Index], &Systems[System]) ||
                !IsWanted(Count, Arguments, Systems[System].Name, Kinds, 2) ||
                !IsWanted(Count, Arguments, Systems[System].Threads, Threads, 2))
                continue;
            printf("%s on %s, %s\n", Tests[Index].Name, Systems[System].Name,
                   Systems[System].Threads);
            fflush(stdout);
            Runs += RunOn(&Systems[System], &Tests[Index]);
        }
    }
    printf("%u runs, all passed\n", Runs);
    return Runs == 0;
}

static const char *Note;

__attribute__((weak)) void __sanitizer_set_death_callback(void (*Callback)(void));

static void PrintNote(void)
{
    if (Note != NULL)
        fprintf(stderr, "  it was: %s\n", Note);
    Note = NULL;
}

static void OnAbort(int Signal)
{
    (void)Signal;
    PrintNote();
}

VOID RigNote(const char *Text)
{
    Note = Text;
    signal(SIGABRT, OnAbort);
    if (__sanitizer_set_death_callback != NULL)
        __sanitizer_set_death_callback(PrintNote);
}

VOID RigCheck(BOOLEAN IsSo, const char *Text, const char *File, int Line)
{
    if (!IsSo)
        SimStop("%s:%d: not so: %s", File, Line, Text);
}

VOID RigCheckEqual(LONG64 Actual, LONG64 Expected, const char *Text, const char *File, int Line)
{
    if (Actual != Expected)
        SimStop("%s:%d: %s: %lld (0x%x), expected %lld (0x%x)", File, Line, Text, (long long)Actual,
                (ULONG)Actual, (long long)Expected, (ULONG)Expected);
}

VOID RigUnloadNow(VOID)
{
    StopDriver();
}

VOID RigReload(VOID)
{
    RigUnloadNow();
    CHECK_EQ(SimLoadDriver(), STATUS_SUCCESS);
}

VOID RigWaitUntilUnloaded(VOID)
{
    ULONG Ms = 0;

    while (SimDriverIsLoaded()) {
        CHECK(Ms++ < 60 * 1000);
        SimSleepMs(1);
    }
}

/* -- a server ---------------------------------------------------------------------------------- */

RIG_SERVER RigStartServer(VOID)
{
    RIG_SERVER Server = {.Process = SimCreateProcess(TRUE)};
    NTSTATUS Status;

    Server.Control = SimOpen(Server.Process, SIM_CONTROL, GENERIC_READ | GENERIC_WRITE, &Status);
    CHECK_EQ(Status, STATUS_SUCCESS);
    return Server;
}

VOID RigStopServer(RIG_SERVER *Server)
{
    SimClose(Server->Control);
    SimEndProcess(Server->Process);
}

VOID RigKillServer(RIG_SERVER *Server)
{
    SimKill(Server->Process);
}

VOID RigMountDefaults(struct cm_mount *Mount, ULONG64 Size)
{
    memset(Mount, 0, sizeof(*Mount));
    Mount->abi_version = CM_ABI_VERSION;
    Mount->flags = CM_MOUNT_TRIM;
    Mount->size = Size;
    Mount->sector_size = 512;
    Mount->queue_depth = 8;
    Mount->slot_size = 4 * KIB;
}

NTSTATUS RigMountOnly(SIM_FILE *Control, const struct cm_mount *Mount, RIG_DISK *Disk)
{
    struct cm_mounted Mounted;
    NTSTATUS Status = SimFinish(
        SimIoctl(Control, CM_IOCTL_MOUNT, Mount, sizeof(*Mount), &Mounted, sizeof(Mounted)), NULL);

    memset(Disk, 0, sizeof(*Disk));
    if (!NT_SUCCESS(Status))
        return Status;
    Disk->Control = Control;
    Disk->Id = Mounted.disk_id;
    Disk->Depth = Mount->queue_depth;
    Disk->SlotSize = Mount->slot_size;
    Disk->ArenaSize = Mounted.arena_size;
    snprintf(Disk->Name, sizeof(Disk->Name), "%s%u", CM_DISK_DEVICE_PREFIX, Mounted.number);
    return STATUS_SUCCESS;
}

static NTSTATUS MapArena(RIG_DISK *Disk, const struct cm_arena *Arena)
{
    struct cm_arena_mapped Mapped;
    NTSTATUS Status = SimFinish(
        SimIoctl(Disk->Control, CM_IOCTL_ARENA_MAP, Arena, sizeof(*Arena), &Mapped, sizeof(Mapped)),
        NULL);

    if (NT_SUCCESS(Status))
        Disk->Arena = (PUCHAR)(uintptr_t)Mapped.address;
    return Status;
}

static NTSTATUS LendArena(RIG_DISK *Disk, const struct cm_arena *Arena)
{
    NTSTATUS Status;

    Disk->Lent = SimAllocate(Disk->ArenaSize);
    Disk->Lend = SimIoctlDirect(Disk->Control, CM_IOCTL_ARENA_LEND, Arena, sizeof(*Arena),
                                Disk->Lent, 0, (ULONG)Disk->ArenaSize);
    Disk->Arena = Disk->Lent->Address;
    if (!SimIsDone(Disk->Lend))
        return STATUS_SUCCESS;
    Status = SimFinish(Disk->Lend, NULL);
    SimFree(Disk->Lent);
    Disk->Lend = NULL;
    Disk->Lent = NULL;
    return Status;
}

NTSTATUS RigGiveArena(RIG_DISK *Disk)
{
    struct cm_arena Arena = {.disk_id = Disk->Id, .size = Disk->ArenaSize};

    return SimIsWine() ? MapArena(Disk, &Arena) : LendArena(Disk, &Arena);
}

VOID RigMount(RIG_SERVER *Server, ULONG64 Size, RIG_DISK *Disk)
{
    struct cm_mount Mount;

    RigMountDefaults(&Mount, Size);
    CHECK_EQ(RigMountOnly(Server->Control, &Mount, Disk), STATUS_SUCCESS);
    CHECK_EQ(RigGiveArena(Disk), STATUS_SUCCESS);
}

NTSTATUS RigAttachOnly(SIM_FILE *Control, ULONG64 Id, ULONG64 Size, RIG_DISK *Disk)
{
    struct cm_attach Attach = {.abi_version = CM_ABI_VERSION, .disk_id = Id, .size = Size};
    struct cm_attached Attached;
    NTSTATUS Status = SimFinish(
        SimIoctl(Control, CM_IOCTL_ATTACH, &Attach, sizeof(Attach), &Attached, sizeof(Attached)),
        NULL);

    memset(Disk, 0, sizeof(*Disk));
    if (!NT_SUCCESS(Status))
        return Status;
    Disk->Control = Control;
    Disk->Id = Attached.disk_id;
    Disk->Depth = Attached.queue_depth;
    Disk->SlotSize = Attached.slot_size;
    Disk->ArenaSize = Attached.arena_size;
    snprintf(Disk->Name, sizeof(Disk->Name), "%s%u", CM_DISK_DEVICE_PREFIX, Attached.number);
    return STATUS_SUCCESS;
}

NTSTATUS RigAttach(SIM_FILE *Control, ULONG64 Id, ULONG64 Size, RIG_DISK *Disk)
{
    NTSTATUS Status = RigAttachOnly(Control, Id, Size, Disk);

    return NT_SUCCESS(Status) ? RigGiveArena(Disk) : Status;
}

VOID RigForget(RIG_DISK *Disk)
{
    if (Disk->Lend != NULL) {
        CHECK_EQ(SimFinish(Disk->Lend, NULL), STATUS_SUCCESS);
        SimFree(Disk->Lent);
    }
    memset(Disk, 0, sizeof(*Disk));
}

NTSTATUS RigIoctl(SIM_FILE *File, ULONG Code, const VOID *In, ULONG InLength, PVOID Out,
                  ULONG OutLength, ULONG_PTR *Done)
{
    return SimFinish(SimIoctl(File, Code, In, InLength, Out, OutLength), Done);
}

NTSTATUS RigUnmount(SIM_FILE *Control, ULONG64 Id, ULONG Flags)
{
    struct cm_unmount Unmount = {.disk_id = Id, .flags = Flags};

    return SimFinish(SimIoctl(Control, CM_IOCTL_UNMOUNT, &Unmount, sizeof(Unmount), NULL, 0), NULL);
}

NTSTATUS RigStats(SIM_FILE *Control, ULONG64 Id, struct cm_stats *Stats)
{
    struct cm_stats_of Of = {.disk_id = Id};

    return SimFinish(SimIoctl(Control, CM_IOCTL_STATS, &Of, sizeof(Of), Stats, sizeof(*Stats)),
                     NULL);
}

NTSTATUS RigHealth(SIM_FILE *Control, ULONG64 Id, struct cm_health *Health)
{
    struct cm_health_of Of = {.disk_id = Id};

    return SimFinish(SimIoctl(Control, CM_IOCTL_HEALTH, &Of, sizeof(Of), Health, sizeof(*Health)),
                     NULL);
}

VOID RigCheckSums(SIM_FILE *Control, ULONG64 Id)
{
    struct cm_stats S;

    CHECK_EQ(RigStats(Control, Id, &S), STATUS_SUCCESS);
    CHECK_EQ(S.requests, S.completed + S.failed + S.cancelled + S.waiting + S.in_flight);
    CHECK_EQ(S.completed, S.reads + S.writes + S.flushes + S.trims);
}

/* -- exchanges --------------------------------------------------------------------------------- */

SIM_IO *RigStartExchange(RIG_DISK *Disk, RIG_EXCHANGE *Exchange, ULONG ReplyCount, ULONG Flags,
                         ULONG Room)
{
    Exchange->In.Head.disk_id = Disk->Id;
    Exchange->In.Head.reply_count = ReplyCount;
    Exchange->In.Head.flags = Flags;
    return SimIoctl(
        Disk->Control, CM_IOCTL_EXCHANGE, &Exchange->In,
        (ULONG)(sizeof(Exchange->In.Head) + ReplyCount * sizeof(Exchange->In.Replies[0])),
        &Exchange->Out,
        (ULONG)(sizeof(Exchange->Out.Head) + Room * sizeof(Exchange->Out.Requests[0])));
}

NTSTATUS RigExchange(RIG_DISK *Disk, RIG_EXCHANGE *Exchange, ULONG ReplyCount, ULONG Flags,
                     ULONG Room)
{
    return SimFinish(RigStartExchange(Disk, Exchange, ReplyCount, Flags, Room), NULL);
}

ULONG RigFetch(RIG_DISK *Disk, struct cm_request *Requests, ULONG Max)
{
    RIG_EXCHANGE Exchange;

    CHECK_EQ(RigExchange(Disk, &Exchange, 0, CM_EXCHANGE_NO_WAIT, Max), STATUS_SUCCESS);
    memcpy(Requests, Exchange.Out.Requests,
           Exchange.Out.Head.request_count * sizeof(struct cm_request));
    return Exchange.Out.Head.request_count;
}

NTSTATUS RigReply(RIG_DISK *Disk, ULONG64 Tag, ULONG Status, ULONG Length)
{
    RIG_EXCHANGE Exchange;

    Exchange.In.Replies[0] = (struct cm_reply){.tag = Tag, .status = Status, .length = Length};
    return RigExchange(Disk, &Exchange, 1, CM_EXCHANGE_NO_WAIT, 0);
}

PUCHAR RigSlot(const RIG_DISK *Disk, ULONG64 Tag)
{
    return Disk->Arena + (SIZE_T)CM_TAG_SLOT(Tag) * Disk->SlotSize;
}

/* Do what a request asks for; the reply to it. */
struct cm_reply RigPerform(RIG_DISK *Disk, const struct cm_request *Request, PUCHAR Image)
{
    struct cm_reply Reply = {.tag = Request->tag, .status = CM_STATUS_OK};

    if (Request->op == CM_OP_READ)
        memcpy(RigSlot(Disk, Request->tag), Image + Request->offset, Request->length);
    if (Request->op == CM_OP_WRITE)
        memcpy(Image + Request->offset, RigSlot(Disk, Request->tag), Request->length);
    if (Request->op == CM_OP_TRIM)
        memset(Image + Request->offset, 0, Request->length);
    if (Request->op == CM_OP_READ || Request->op == CM_OP_WRITE)
        Reply.length = (ULONG)Request->length;
    return Reply;
}

NTSTATUS RigAnswer(RIG_DISK *Disk, const struct cm_request *Request, PUCHAR Image)
{
    struct cm_reply Reply = RigPerform(Disk, Request, Image);

    return RigReply(Disk, Reply.tag, Reply.status, Reply.length);
}

VOID RigServe(PVOID Context)
{
    RIG_SERVICE *Service = Context;
    RIG_EXCHANGE *Exchange = calloc(1, sizeof(*Exchange));
    ULONG Index, Replies = 0;

    for (;;) {
        Service->Ended = RigExchange(Service->Disk, Exchange, Replies, 0,
                                     min(max(Service->Batch, 1), RIG_BATCH));
        if (!NT_SUCCESS(Service->Ended))
            break;
        Replies = Exchange->Out.Head.request_count;
        for (Index = 0; Index < Replies; Index++)
            Exchange->In.Replies[Index] =
                RigPerform(Service->Disk, &Exchange->Out.Requests[Index], Service->Image);
        Service->Served += Replies;
    }
    free(Exchange);
}

/* -- clients ----------------------------------------------------------------------------------- */

SIM_FILE *RigOpenDisk(SIM_PROCESS *Process, const RIG_DISK *Disk)
{
    NTSTATUS Status;
    SIM_FILE *File = SimOpen(Process, Disk->Name, GENERIC_READ | GENERIC_WRITE, &Status);

    CHECK_EQ(Status, STATUS_SUCCESS);
    return File;
}

SIM_IO *RigTrim(SIM_FILE *File, const DEVICE_DATA_SET_RANGE *Ranges, ULONG Count)
{
    struct {
        DEVICE_MANAGE_DATA_SET_ATTRIBUTES Set;
        DEVICE_DATA_SET_RANGE Ranges[RIG_RANGES];
    } In = {.Set = {.Size = sizeof(In.Set), .Action = DeviceDsmAction_Trim}};

    CHECK(Count <= RIG_RANGES);
    In.Set.DataSetRangesOffset = (ULONG)((PUCHAR)In.Ranges - (PUCHAR)&In);
    In.Set.DataSetRangesLength = (ULONG)(Count * sizeof(*Ranges));
    memcpy(In.Ranges, Ranges, Count * sizeof(*Ranges));
    return SimIoctl(File, IOCTL_STORAGE_MANAGE_DATA_SET_ATTRIBUTES, &In,
                    In.Set.DataSetRangesOffset + In.Set.DataSetRangesLength, NULL, 0);
}

static ULONG64 FillWord(SIZE_T At, ULONG64 Seed)
{
    ULONG64 Word = (Seed * 131 + At + 1) * 0x9E3779B97F4A7C15u;

    return Word ^ Word >> 29;
}

VOID RigFill(PUCHAR Data, SIZE_T Length, ULONG64 Seed)
{
    SIZE_T At;

    for (At = 0; At < Length; At += sizeof(ULONG64)) {
        ULONG64 Word = FillWord(At, Seed);
        memcpy(Data + At, &Word, min(Length - At, sizeof(Word)));
    }
}

BOOLEAN RigIsFilled(const UCHAR *Data, SIZE_T Length, ULONG64 Seed)
{
    SIZE_T At;

    for (At = 0; At < Length; At += sizeof(ULONG64)) {
        ULONG64 Word = FillWord(At, Seed);
        if (memcmp(Data + At, &Word, min(Length - At, sizeof(Word))) != 0)
            return FALSE;
    }
    return TRUE;
}
