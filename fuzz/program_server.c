/* SPDX-License-Identifier: MIT */
/*
 * program_server.c - the operations of a program that are a server's; see program.h. A server here is honest
 * about data - what it answers to a READ is what it has stored, and a WRITE is stored before it is answered -
 * and else does what it likes: it answers late, twice, with errors, with nonsense, for others.
 */
#include <stdlib.h>

#include "program.h"

ATTACHMENT *ServerAttach(DISK_MODEL *Disk, PROCESS *Server)
{
    ATTACHMENT *Attachment = &Program.Attachments[Program.AttachmentCount++];

    Attachment->Disk = Disk;
    Attachment->Server = Server;
    Attachment->Process = Server->Process;
    Disk->Attachment = Attachment;
    Disk->Lost = FALSE;
    return Attachment;
}

static BOOLEAN MayBeLost(const ATTACHMENT *Attachment)
{
    return Attachment->MayBeLost || ModelMayBeGone(Attachment->Disk);
}

/* The server's handle, if it is still the one that attached. */
static SIM_FILE *ControlOf(const ATTACHMENT *Attachment)
{
    return Attachment->Server->Process == Attachment->Process ? Attachment->Server->Control : NULL;
}

/* -- arenas ------------------------------------------------------------------------------------ */

#define REGION_SIZE (MAX_DEPTH * MAX_SLOT_SIZE)
#define FIRST_REGION (MAX_CLIENT_IOS * MAX_IO_UNITS * UNIT)
#define REGIONS ((FUZZ_MEMORY - FIRST_REGION) / REGION_SIZE)

C_ASSERT(FIRST_REGION % PAGE_SIZE == 0);

/* Each attempt gets memory of its own: what has been refused is unmapped, also under another's feet. */
static VOID Lend(ATTACHMENT *Attachment, const struct cm_arena *Arena, ULONG Code, ULONG Flags)
{
    IO *Io = Program.Regions < REGIONS
                 ? ProgramNewIo(IO_LEND, Attachment->Process, Attachment->Disk)
                 : NULL;
    ULONG At, Length = (ULONG)Attachment->Disk->ArenaSize;
    BOOLEAN HadOne = Attachment->Arena != NULL || Attachment->MayBeLost;
    SIM_IO *Sent;

    if (Io == NULL)
        return;
    At = FIRST_REGION + Program.Regions++ * REGION_SIZE;
    if ((Flags & ARENA_UNALIGNED) != 0) {
        At += 512;
        Length -= 512;
    }
    Io->Attachment = Attachment;
    if (!HadOne)
        Attachment->Arena = FuzzMemory()->Address + At;
    Sent = SimIoctlDirect(ControlOf(Attachment), Code, Arena, sizeof(*Arena), FuzzMemory(), At,
                          Length);
    if (SimIsWine())
        SimWaitFor(Sent); /* which always refuses it */
    if (SimIsDone(Sent) && !NT_SUCCESS(SimWaitFor(Sent))) {
        if (!HadOne)
            Attachment->Arena = NULL;
        CHECK_EQ(SimInformation(Sent), 0);
        SimFreeIo(Sent);
        memset(Io, 0, sizeof(*Io));
        return;
    }
    CHECK((Flags & (ARENA_WRONG_SIZE | ARENA_WRONG_WAY | ARENA_UNALIGNED)) == 0);
    /* Lost: it has become the arena of the next epoch of the same server. */
    CHECK(!HadOne || Attachment->MayBeLost);
    Attachment->Disk->Served = TRUE;
    Io->Io = Sent;
}

static VOID Map(ATTACHMENT *Attachment, const struct cm_arena *Arena, ULONG Code, ULONG Flags)
{
    PROCESS *Server = Attachment->Server;
    struct cm_arena_mapped Mapped;
    NTSTATUS Status = SimFinish(
        SimIoctl(ControlOf(Attachment), Code, Arena, sizeof(*Arena), &Mapped, sizeof(Mapped)),
        NULL);

    if (!NT_SUCCESS(Status))
        return;
    CHECK((Flags & (ARENA_WRONG_SIZE | ARENA_WRONG_WAY)) == 0);
    CHECK_EQ(Mapped.size, Attachment->Disk->ArenaSize);
    Attachment->Disk->Served = TRUE;
    if (Server->Process == Attachment->Process && !Attachment->MayBeLost)
        Attachment->Arena = (PUCHAR)(uintptr_t)Mapped.address;
}

VOID ServerGiveArena(DISK_MODEL *Disk, ULONG Flags)
{
    ATTACHMENT *Attachment = Disk->Attachment;
    struct cm_arena Arena;
    BOOLEAN Maps = SimIsWine();

    if (Attachment == NULL || ControlOf(Attachment) == NULL || Attachment->IsTrying)
        return;
    if ((Flags & ARENA_WRONG_WAY) != 0)
        Maps = !Maps;
    Arena.disk_id = Disk->Id;
    Arena.size = Disk->ArenaSize + ((Flags & ARENA_WRONG_SIZE) != 0 ? 4096 : 0);
    Attachment->IsTrying = TRUE;
    if (Maps)
        Map(Attachment, &Arena, CM_IOCTL_ARENA_MAP, Flags);
    else
        Lend(Attachment, &Arena, CM_IOCTL_ARENA_LEND, Flags);
    Attachment->IsTrying = FALSE;
}

VOID OpArena(const OP *Op)
{
    DISK_MODEL *Disk = ProgramDisk(Op->A);

    if (Disk != NULL)
        ServerGiveArena(Disk, Op->B);
}

/* -- replies ----------------------------------------------------------------------------------- */

static VOID AddReply(EXCHANGE *Exchange, ULONG64 Tag, ULONG Status, ULONG Length)
{
    if (Exchange->In.Head.reply_count < MAX_BATCH)
        Exchange->In.Replies[Exchange->In.Head.reply_count++] =
            (struct cm_reply){.tag = Tag, .status = Status, .length = Length};
}

static ULONG DataLength(const struct cm_request *Request)
{
    return Request->op == CM_OP_READ || Request->op == CM_OP_WRITE ? (ULONG)Request->length : 0;
}

/* A reply that counts, so that the server has the fragment no more. */
static VOID Answer(EXCHANGE *Exchange, HELD *Held, ULONG Status)
{
    ATTACHMENT *Attachment = Exchange->Attachment;

    if (Exchange->In.Head.reply_count == MAX_BATCH)
        return;
    if (Status == CM_STATUS_OK)
        ModelPerform(Attachment, Held);
    else
        Attachment->Disk->ErrorsSent |= 1u << Status;
    Exchange->MayHaveBad |= Held->Unsure;
    AddReply(Exchange, Held->Request.tag, Status,
             Status == CM_STATUS_OK ? DataLength(&Held->Request) : 0);
    Exchange->Answered[Exchange->AnsweredCount++] = Held->Request.tag;
    Held->Used = FALSE;
}

/* A reply that is refused, unless its request has been cancelled: then nothing of it matters. */
static VOID AnswerOddly(EXCHANGE *Exchange, HELD *Held, ULONG Status, ULONG Length)
{
    AddReply(Exchange, Held->Request.tag, Status, Length);
    Exchange->HasOdd = TRUE;
    Held->Unsure = TRUE;
}

static VOID AnswerAs(EXCHANGE *Exchange, HELD *Held, REPLY_KIND Kind)
{
    ULONG64 Tag = Held->Request.tag;
    ULONG Length = DataLength(&Held->Request);

    switch (Kind) {
    case REPLY_ERROR:
        Answer(Exchange, Held, 1 + (ULONG)Tag % (CM_STATUS_COUNT - 1));
        break;
    case REPLY_LENGTH:
        AnswerOddly(Exchange, Held, CM_STATUS_OK, Length != 0 ? Length - 1 : 512);
        break;
    case REPLY_STATUS:
        AnswerOddly(Exchange, Held, CM_STATUS_COUNT + (ULONG)(Tag >> 16) * 77, 0);
        break;
    case REPLY_TWICE:
        if (Exchange->In.Head.reply_count + 2 > MAX_BATCH)
            break;
        Answer(Exchange, Held, CM_STATUS_OK);
        AddReply(Exchange, Tag, CM_STATUS_OK, Length);
        Exchange->HasBad = TRUE;
        break;
    default:
        Answer(Exchange, Held, CM_STATUS_OK);
        break;
    }
}

/* A reply that would be good if its tag were: one of those that have been answered, or of a use of a slot that
 * will never come, or of a slot that there is not. */
static VOID AddBadTag(EXCHANGE *Exchange, ULONG Count, REPLY_KIND Kind)
{
    const ATTACHMENT *Attachment = Exchange->Attachment;
    ULONG64 Tag = (Count & 1) != 0 ? 0xFFFF : Count / 2 % Attachment->Disk->Depth;
    const HELD *Held;

    Tag |= (Count & 8) != 0 ? 0 : UINT64_C(1) << 40;
    if (Kind == REPLY_OLD && Attachment->OldCount == 0)
        return;
    if (Kind == REPLY_OLD)
        Tag = Attachment->Old[Count % min(Attachment->OldCount, 8)];
    Held = CM_TAG_SLOT(Tag) < MAX_DEPTH ? &Attachment->Held[CM_TAG_SLOT(Tag)] : NULL;
    if ((Count & 4) != 0 && Held != NULL && Held->Used)
        AddReply(Exchange, Tag, CM_STATUS_OK, DataLength(&Held->Request));
    else
        AddReply(Exchange, Tag, CM_STATUS_IO_ERROR, 0);
    Exchange->HasBad = TRUE;
}

static VOID AddReplies(EXCHANGE *Exchange, ULONG Count, REPLY_KIND Kind)
{
    ATTACHMENT *Attachment = Exchange->Attachment;
    ULONG Depth = Attachment->Disk->Depth, Index;

    if (Kind == REPLY_GARBAGE || Kind == REPLY_OLD)
        AddBadTag(Exchange, Count, Kind);
    for (Index = 0; Index < Depth && Count != 0; Index++) {
        HELD *Held =
            &Attachment
                 ->Held[Kind == REPLY_GOOD_LAST || Kind == REPLY_ERROR ? Depth - 1 - Index : Index];
        /* Without the arena there is nothing to be honest with. */
        if (!Held->Used || Attachment->Arena == NULL)
            continue;
        AnswerAs(Exchange, Held, Kind);
        Count--;
    }
}

/* -- what comes of an exchange ----------------------------------------------------------------- */

static VOID Fetched(EXCHANGE *Exchange, const struct cm_request *Request)
{
    ATTACHMENT *Attachment = Exchange->Attachment;
    DISK_MODEL *Disk = Attachment->Disk;
    ULONG Slot = CM_TAG_SLOT(Request->tag), Stamp = 0;
    HELD *Held;

    CHECK(Slot < Disk->Depth);
    if (Disk->Attachment != Attachment || Attachment->MayBeLost) {
        /* Perhaps it is of the next epoch of the same server, whose slots these are then. */
        if (ControlOf(Attachment) != NULL)
            Disk->Muddled = TRUE;
        return;
    }
    Held = &Attachment->Held[Slot];
    if (Request->op == CM_OP_WRITE && Attachment->Arena != NULL)
        Stamp = ModelCheckWrite(Disk, Request, Attachment->Arena + (SIZE_T)Slot * Disk->SlotSize);
    ModelCheckFetched(Attachment, Request, Stamp);
    *Held = (HELD){.Used = TRUE, .Request = *Request, .Stamp = Stamp};
}

static VOID Succeeded(EXCHANGE *Exchange)
{
    const DISK_MODEL *Disk = Exchange->Attachment->Disk;
    ULONG Count = Exchange->Out.Head.request_count, Index;

    CHECK(!Exchange->HasBad && !Exchange->Malformed && !Exchange->Foreign);
    CHECK(!Exchange->HasOdd || Disk->AnyCancelled || Disk->TimeoutSeconds != 0 ||
          Disk->PoweringOff);
    CHECK(Count <= Exchange->Room);
    CHECK_EQ(Exchange->Out.Head.reserved, 0);
    for (Index = 0; Index < Count; Index++)
        Fetched(Exchange, &Exchange->Out.Requests[Index]);
}

static VOID Ended(EXCHANGE *Exchange, NTSTATUS Status, BOOLEAN CancelAsked)
{
    ATTACHMENT *Attachment = Exchange->Attachment;
    ULONG Index;

    for (Index = 0; Index < Exchange->AnsweredCount; Index++)
        Attachment->Old[Attachment->OldCount++ % 8] = Exchange->Answered[Index];
    switch (Status) {
    case STATUS_SUCCESS:
        Succeeded(Exchange);
        break;
    case STATUS_REQUEST_ABORTED:
        /* Lost: its tags may have been sent to the next epoch of the same server. */
        CHECK(Exchange->HasBad || Exchange->HasOdd || Exchange->MayHaveBad ||
              MayBeLost(Attachment));
        break;
    case STATUS_NOT_FOUND:
        CHECK(Exchange->Foreign || MayBeLost(Attachment));
        break;
    case STATUS_DEVICE_REMOVED:
        CHECK(MayBeLost(Attachment));
        break;
    case STATUS_CANCELLED:
        CHECK(CancelAsked || MayBeLost(Attachment));
        break;
    case STATUS_INVALID_PARAMETER:
        CHECK(Exchange->Malformed);
        break;
    case STATUS_DELETE_PENDING:
    case STATUS_INVALID_HANDLE:
    case STATUS_FILE_DELETED:
        CHECK(SimIsWine() && (Exchange->Foreign || MayBeLost(Attachment)));
        break;
    default:
        SimStop("an exchange ends with 0x%x", (ULONG)Status);
    }
}

VOID ServerExchangeEnded(IO *Io, NTSTATUS Status)
{
    Ended(Io->Exchange, Status, Io->CancelAsked);
}

/* -- exchanges --------------------------------------------------------------------------------- */

static SIM_IO *SendExchange(SIM_FILE *Control, EXCHANGE *Exchange)
{
    ULONG Count = min(Exchange->In.Head.reply_count, MAX_BATCH);

    Exchange->In.Head.disk_id ^= Exchange->Attachment->Disk->Id;
    return SimIoctl(
        Control, CM_IOCTL_EXCHANGE, &Exchange->In,
        (ULONG)(sizeof(Exchange->In.Head) + Count * sizeof(struct cm_reply)), &Exchange->Out,
        (ULONG)(sizeof(Exchange->Out.Head) + Exchange->Room * sizeof(struct cm_request)));
}

static VOID ExchangeNow(SIM_FILE *Control, EXCHANGE *Exchange)
{
    Exchange->In.Head.flags |= CM_EXCHANGE_NO_WAIT;
    Ended(Exchange, SimFinish(SendExchange(Control, Exchange), NULL), FALSE);
}

/* Another server than the one that is attached. */
static SIM_FILE *ForeignControl(const ATTACHMENT *Attachment)
{
    ULONG Index;

    for (Index = 0; Index < MAX_SERVERS; Index++)
        if (&Program.Servers[Index] != Attachment->Server && Program.Servers[Index].Control != NULL)
            return Program.Servers[Index].Control;
    return NULL;
}

VOID OpExchange(const OP *Op)
{
    DISK_MODEL *Disk = ProgramDisk(Op->A);
    ATTACHMENT *Attachment = Disk != NULL ? Disk->Attachment : NULL;
    EXCHANGE *Exchange;
    SIM_FILE *Control;
    IO *Io = NULL;

    if (Attachment == NULL)
        return;
    Control = (Op->C & EXCHANGE_FOREIGN) != 0 ? ForeignControl(Attachment) : ControlOf(Attachment);
    if (Control == NULL)
        return;
    if ((Op->C & EXCHANGE_WAIT) != 0)
        Io = ProgramNewIo(IO_EXCHANGE, Attachment->Process, Disk);
    Exchange = calloc(1, sizeof(*Exchange));
    Exchange->Attachment = Attachment;
    Exchange->Room = Op->C >> 1 & 7;
    Exchange->Malformed = (Op->C & EXCHANGE_BAD_FRAME) != 0;
    Exchange->Foreign = (Op->C & (EXCHANGE_FOREIGN | EXCHANGE_NOT_MINE)) != 0;
    if (Exchange->Malformed)
        Exchange->In.Head.reply_count = CM_MAX_QUEUE_DEPTH + (Op->B & 1) - (Op->B & 2);
    else if (!Exchange->Foreign)
        AddReplies(Exchange, Op->B & 15, Op->B >> 4 & 7);
    if ((Op->C & EXCHANGE_NOT_MINE) != 0)
        Exchange->In.Head.disk_id = UINT64_C(1) << 40; /* differs by so much */
    if (Io != NULL) {
        Io->Exchange = Exchange;
        Io->Io = SendExchange(Control, Exchange);
        return;
    }
    ExchangeNow(Control, Exchange);
    free(Exchange);
}

static BOOLEAN HasAny(const ATTACHMENT *Attachment)
{
    ULONG Index;

    for (Index = 0; Index < MAX_DEPTH; Index++)
        if (Attachment->Held[Index].Used)
            return TRUE;
    return FALSE;
}

static BOOLEAN HasParked(const ATTACHMENT *Attachment)
{
    ULONG Index;

    for (Index = 0; Index < MAX_IOS; Index++) {
        const IO *Io = &Program.Ios[Index];
        if (Io->Kind == IO_EXCHANGE && Io->Exchange->Attachment == Attachment &&
            !Io->Exchange->Foreign && Io->Exchange->Room != 0 && !Io->CancelAsked)
            return TRUE;
    }
    return FALSE;
}

VOID ServerCheckParked(const DISK_MODEL *Disk)
{
    const ATTACHMENT *Attachment = Disk->Attachment;
    struct cm_stats Stats;

    if (Attachment == NULL || MayBeLost(Attachment) || Attachment->Arena == NULL ||
        ControlOf(Attachment) == NULL || !HasParked(Attachment) || HasAny(Attachment) ||
        Disk->Muddled)
        return;
    if (NT_SUCCESS(RigStats(ControlOf(Attachment), Disk->Id, &Stats)) && Stats.waiting != 0)
        SimStop("%llu requests wait, and so does an exchange", (unsigned long long)Stats.waiting);
}

BOOLEAN ServerServe(DISK_MODEL *Disk)
{
    ATTACHMENT *Attachment = Disk->Attachment;
    EXCHANGE *Exchange;
    BOOLEAN More;

    if (Attachment == NULL || ControlOf(Attachment) == NULL || Attachment->Arena == NULL)
        return FALSE;
    Exchange = calloc(1, sizeof(*Exchange));
    Exchange->Attachment = Attachment;
    Exchange->Room = MAX_DEPTH;
    AddReplies(Exchange, MAX_DEPTH, REPLY_GOOD);
    ExchangeNow(ControlOf(Attachment), Exchange);
    More = Exchange->AnsweredCount != 0 || HasAny(Attachment);
    free(Exchange);
    return More;
}

VOID OpServe(const OP *Op)
{
    DISK_MODEL *Disk = ProgramDisk(Op->A);
    ULONG Rounds = 1 + Op->B % 8;

    while (Disk != NULL && Rounds-- != 0 && ServerServe(Disk))
        ;
}
