/* SPDX-License-Identifier: MIT */
/*
 * test_hostile_fuzz.c - a server that sends good and bad replies at random, in any mixture and order, for requests
 * some of which are cancelled meanwhile; and beside it a model that says of each reply whether it is good, of each
 * request how it ends, and of each byte of the arena and of the callers' memory what it is. One thread: what
 * happens at the same time is test_hostile_race.c's.
 */
#include <stdlib.h>

#include "rig.h"

#define STEPS 250
#define IOS 12
#define REGION (16 * KIB) /* of memory and of the disk, for each request */
#define ARENA (32 * KIB)
#define SLOT 4096u
#define MOST_TAGS 4096

/* A request of a caller. */
typedef struct CALL {
    SIM_IO *Io; /* NULL: none */
    ULONG Op, Serial, Length;
    NTSTATUS Status; /* how it will end: the first failure */
    UCHAR Fragments; /* answered READs: bits */
} CALL;

/* A fragment that the server has. */
typedef struct HANDED {
    struct cm_request Request;
    CALL *Call; /* NULL: nobody waits for it */
} HANDED;

typedef struct MODEL {
    RIG_SERVER Server;
    SIM_PROCESS *Client;
    SIM_FILE *File;
    SIM_MEMORY *Memory;
    RIG_DISK Disk;
    CALL Calls[IOS];
    HANDED Handed[64];
    ULONG HandedCount, Serial;
    ULONG64 BadReplies, Tags[MOST_TAGS]; /* all that there have ever been */
    ULONG TagCount;
    UCHAR Arena[ARENA];
} MODEL;

static const NTSTATUS Statuses[CM_STATUS_COUNT] = {
    STATUS_SUCCESS,       STATUS_IO_DEVICE_ERROR,        STATUS_DEVICE_DATA_ERROR,
    STATUS_DISK_FULL,     STATUS_MEDIA_WRITE_PROTECTED,  STATUS_NONEXISTENT_SECTOR,
    STATUS_NOT_SUPPORTED, STATUS_INSUFFICIENT_RESOURCES, STATUS_IO_TIMEOUT,
    STATUS_ACCESS_DENIED,
};

/* -- callers ----------------------------------------------------------------------------------- */

static ULONG SeedOf(const CALL *Call, ULONG Fragment)
{
    return Call->Serial * 8 + Fragment;
}

/* Its memory as it must be: nothing but the answered fragments of a READ has changed. */
static VOID FillExpected(const CALL *Call, PUCHAR Data)
{
    ULONG Fragment;

    RigFill(Data, REGION, SeedOf(Call, 7));
    for (Fragment = 0; Fragment * SLOT < Call->Length; Fragment++)
        if ((Call->Fragments >> Fragment & 1) != 0)
            RigFill(Data + Fragment * SLOT, min(SLOT, Call->Length - Fragment * SLOT),
                    SeedOf(Call, Fragment));
}

static VOID CheckEnded(MODEL *Model, CALL *Call)
{
    UCHAR Expected[REGION];
    ULONG_PTR Done;
    NTSTATUS Status = SimFinish(Call->Io, &Done);

    CHECK_EQ(Status, Call->Status);
    CHECK_EQ(Done, NT_SUCCESS(Status) ? Call->Length : 0);
    FillExpected(Call, Expected);
    CHECK(memcmp(Model->Memory->Address + (Call - Model->Calls) * REGION, Expected, REGION) == 0);
    Call->Io = NULL;
}

/* At most one flush at a time: its fragments cannot be told apart. */
static BOOLEAN IsFlushing(const MODEL *Model)
{
    ULONG Index;

    for (Index = 0; Index < IOS; Index++)
        if (Model->Calls[Index].Io != NULL && Model->Calls[Index].Op == CM_OP_FLUSH)
            return TRUE;
    return FALSE;
}

static VOID StartCall(MODEL *Model)
{
    ULONG Index = SimRandomBelow(IOS), At = Index * REGION;
    CALL *Call = &Model->Calls[Index];
    LONGLONG Offset;

    if (Call->Io != NULL)
        return;
    *Call = (CALL){.Serial = ++Model->Serial, .Op = CM_OP_READ + SimRandomBelow(3)};
    if (Call->Op == CM_OP_FLUSH && IsFlushing(Model))
        Call->Op = CM_OP_READ;
    if (Call->Op != CM_OP_FLUSH)
        Call->Length = 512 * (1 + SimRandomBelow(20));
    RigFill(Model->Memory->Address + At, REGION, SeedOf(Call, 7));
    Offset = (LONGLONG)Call->Serial * REGION;
    if (Call->Op == CM_OP_FLUSH)
        Call->Io = SimFlush(Model->File);
    else if (Call->Op == CM_OP_READ)
        Call->Io = SimRead(Model->File, Offset, Model->Memory, At, Call->Length);
    else
        Call->Io = SimWrite(Model->File, Offset, Model->Memory, At, Call->Length);
}

static VOID CancelCall(MODEL *Model)
{
    CALL *Call = &Model->Calls[SimRandomBelow(IOS)];
    ULONG Index;

    if (Call->Io == NULL)
        return;
    SimCancel(Call->Io);
    Call->Status = STATUS_CANCELLED;
    for (Index = 0; Index < Model->HandedCount; Index++)
        if (Model->Handed[Index].Call == Call)
            Model->Handed[Index].Call = NULL;
}

/* -- the server -------------------------------------------------------------------------------- */

static CALL *CallOf(MODEL *Model, const struct cm_request *Request)
{
    ULONG Index;

    for (Index = 0; Index < IOS; Index++) {
        CALL *Call = &Model->Calls[Index];
        if (Call->Io != NULL && Call->Op == Request->op &&
            (Call->Op == CM_OP_FLUSH || Call->Serial == Request->offset / REGION))
            return Call;
    }
    SimStop("a request comes that nobody has sent");
}

static VOID TakeOver(MODEL *Model, const struct cm_request *Request)
{
    CALL *Call = CallOf(Model, Request);
    ULONG At = (ULONG)(Request->offset % REGION), Slot = CM_TAG_SLOT(Request->tag);
    UCHAR Expected[REGION];
    ULONG Index;

    CHECK(Slot < 8);
    for (Index = 0; Index < Model->TagCount; Index++)
        CHECK(Model->Tags[Index] != Request->tag);
    for (Index = 0; Index < Model->HandedCount; Index++)
        CHECK(CM_TAG_SLOT(Model->Handed[Index].Request.tag) != Slot);
    CHECK(Model->TagCount < MOST_TAGS);
    Model->Tags[Model->TagCount++] = Request->tag;
    Model->Handed[Model->HandedCount++] = (HANDED){.Request = *Request, .Call = Call};
    if (Call->Op == CM_OP_WRITE) {
        FillExpected(Call, Expected);
        memcpy(Model->Arena + Slot * SLOT, Expected + At, Request->length);
    } else if (Call->Op == CM_OP_READ) {
        RigFill(Model->Arena + Slot * SLOT, Request->length, SeedOf(Call, At / SLOT));
        RigFill(Model->Disk.Arena + Slot * SLOT, Request->length, SeedOf(Call, At / SLOT));
    }
}

static VOID Fetch(MODEL *Model)
{
    struct cm_request Requests[8];
    ULONG Index, Count = RigFetch(&Model->Disk, Requests, SimRandomBelow(9));

    for (Index = 0; Index < Count; Index++)
        TakeOver(Model, &Requests[Index]);
}

static ULONG RightLength(const struct cm_request *Request)
{
    return Request->op == CM_OP_FLUSH ? 0 : (ULONG)Request->length;
}

/* Often good, or nearly. */
static struct cm_reply MakeReply(MODEL *Model)
{
    struct cm_reply Reply = {.tag = SimRandom(), .status = (ULONG)SimRandom()};
    ULONG Kind = SimRandomBelow(16);

    if (Model->HandedCount != 0 && Kind < 13) {
        const HANDED *Handed = &Model->Handed[SimRandomBelow(Model->HandedCount)];
        Reply = (struct cm_reply){.tag = Handed->Request.tag, .status = CM_STATUS_OK};
        Reply.length = RightLength(&Handed->Request);
        if (Kind == 5)
            Reply.length ^= 1u << SimRandomBelow(32);
        if (Kind == 6)
            Reply.status = SimRandomBelow(CM_STATUS_COUNT + 2);
        if (Kind == 7)
            Reply = (struct cm_reply){.tag = Reply.tag, .status = SimRandomBelow(CM_STATUS_COUNT)};
        if (Kind == 8)
            Reply.tag ^= UINT64_C(1) << SimRandomBelow(64);
    } else if (Model->TagCount != 0 && Kind < 15) {
        Reply.tag = Model->Tags[SimRandomBelow(Model->TagCount)];
        Reply.length = 512 * SimRandomBelow(9);
        Reply.status = 0;
    }
    return Reply;
}

static HANDED *FindHanded(MODEL *Model, ULONG64 Tag)
{
    ULONG Index;

    for (Index = 0; Index < Model->HandedCount; Index++)
        if (Model->Handed[Index].Request.tag == Tag)
            return &Model->Handed[Index];
    return NULL;
}

/* @return whether the driver must take it. */
static BOOLEAN Apply(MODEL *Model, const struct cm_reply *Reply)
{
    HANDED *Handed = FindHanded(Model, Reply->tag);
    CALL *Call;

    if (Handed == NULL)
        return FALSE;
    Call = Handed->Call;
    if (Call != NULL) {
        ULONG Right = Reply->status == CM_STATUS_OK ? RightLength(&Handed->Request) : 0;
        if (Reply->status >= CM_STATUS_COUNT || Reply->length != Right)
            return FALSE;
        if (Reply->status != CM_STATUS_OK && NT_SUCCESS(Call->Status))
            Call->Status = Statuses[Reply->status];
        if (Reply->status == CM_STATUS_OK && Call->Op == CM_OP_READ)
            Call->Fragments |= (UCHAR)(1u << Handed->Request.offset % REGION / SLOT);
    }
    *Handed = Model->Handed[--Model->HandedCount];
    return TRUE;
}

static VOID SendReplies(MODEL *Model)
{
    ULONG Index, Count = 1 + SimRandomBelow(8), Bad = 0;
    RIG_EXCHANGE Exchange;

    for (Index = 0; Index < Count; Index++)
        Exchange.In.Replies[Index] = MakeReply(Model);
    for (Index = 0; Index < Count; Index++)
        Bad += !Apply(Model, &Exchange.In.Replies[Index]);
    Model->BadReplies += Bad;
    CHECK_EQ(RigExchange(&Model->Disk, &Exchange, Count, CM_EXCHANGE_NO_WAIT, 0),
             Bad != 0 ? STATUS_REQUEST_ABORTED : STATUS_SUCCESS);
}

/* -- all together ------------------------------------------------------------------------------ */

/* On Wine this also waits for the dispatch thread to be done with all that was sent. */
static VOID CheckAll(MODEL *Model)
{
    struct cm_stats Stats;
    ULONG Index;

    CHECK_EQ(RigStats(Model->Server.Control, Model->Disk.Id, &Stats), STATUS_SUCCESS);
    CHECK_EQ(Stats.bad_replies, Model->BadReplies);
    CHECK(memcmp(Model->Disk.Arena, Model->Arena, ARENA) == 0);
    for (Index = 0; Index < IOS; Index++)
        if (Model->Calls[Index].Io != NULL && SimIsDone(Model->Calls[Index].Io))
            CheckEnded(Model, &Model->Calls[Index]);
}

static VOID BeginModel(MODEL *Model)
{
    memset(Model, 0, sizeof(*Model));
    Model->Server = RigStartServer();
    Model->Client = SimCreateProcess(TRUE);
    Model->Memory = SimAllocate(IOS * REGION);
    RigMount(&Model->Server, UINT64_C(1) << 40, &Model->Disk);
    Model->File = RigOpenDisk(Model->Client, &Model->Disk);
    RigFill(Model->Arena, ARENA, 99);
    memcpy(Model->Disk.Arena, Model->Arena, ARENA);
}

static VOID EndModel(MODEL *Model)
{
    ULONG Index;

    RigCheckSums(Model->Server.Control, Model->Disk.Id);
    CHECK_EQ(RigUnmount(Model->Server.Control, Model->Disk.Id, CM_UNMOUNT_FORCE), STATUS_SUCCESS);
    for (Index = 0; Index < IOS; Index++) {
        if (Model->Calls[Index].Io == NULL)
            continue;
        Model->Calls[Index].Status = STATUS_NO_SUCH_DEVICE;
        CheckEnded(Model, &Model->Calls[Index]);
    }
    SimClose(Model->File);
    SimEndProcess(Model->Client);
    RigForget(&Model->Disk);
    RigStopServer(&Model->Server);
    SimFree(Model->Memory);
}

static VOID GoodAndBadRepliesAreToldApart(VOID)
{
    MODEL *Model = malloc(sizeof(*Model));
    ULONG Step, Most = STEPS * min(RigScale(), 10);

    BeginModel(Model);
    for (Step = 0; Step < Most; Step++) {
        switch (SimRandomBelow(8)) {
        case 0:
            CancelCall(Model);
            break;
        case 1:
        case 2:
            Fetch(Model);
            break;
        case 3:
        case 4:
            SendReplies(Model);
            break;
        default:
            StartCall(Model);
        }
        CheckAll(Model);
    }
    EndModel(Model);
    free(Model);
}

static const RIG_TEST Tests[] = {
    RIG_TEST(GoodAndBadRepliesAreToldApart, 25),
};

int main(int Count, char **Arguments)
{
    return RigMain(Count, Arguments, Tests, RTL_NUMBER_OF(Tests));
}
