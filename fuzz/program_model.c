/* SPDX-License-Identifier: MIT */
/*
 * program_model.c - what may come of an I/O in the target driver_program.
 *
 * Every write carries a stamp of its own, and every unit of 512 bytes tells its stamp and its place. So a server
 * sees whether what it is to write is what somebody wrote to that place, whole; and a reader whether what it
 * gets is what the server had there at some moment between the read's beginning and its end.
 */
#include "program.h"

ULONG64 ModelNowUs(VOID)
{
    LARGE_INTEGER Now;

    KeQuerySystemTime(&Now);
    return (ULONG64)Now.QuadPart / 10;
}

/* -- data -------------------------------------------------------------------------------------- */

#define WORDS (UNIT / sizeof(ULONG64))

static VOID FillUnit(PUCHAR Data, ULONG Stamp, ULONG64 Unit)
{
    ULONG64 Word = (ULONG64)Stamp << 48 | (Unit & UINT64_C(0xFFFFFFFFFFFF)), Index;

    for (Index = 0; Index < WORDS; Index++, Data += sizeof(Word)) {
        memcpy(Data, &Word, sizeof(Word));
        Word += 0x0001000100010001u;
    }
}

/* @return the stamp of a unit, which must be whole and at its place. */
static ULONG StampOf(const UCHAR *Data, ULONG64 Unit)
{
    UCHAR Expected[UNIT];
    ULONG64 Word;

    memcpy(&Word, Data, sizeof(Word));
    FillUnit(Expected, (ULONG)(Word >> 48), Unit);
    if (memcmp(Data, Expected, UNIT) != 0)
        SimStop("a unit is torn, or not at its place: %llx instead of unit %llx",
                (unsigned long long)Word, (unsigned long long)Unit);
    return (ULONG)(Word >> 48);
}

PUCHAR ModelMemory(const IO *Io)
{
    return FuzzMemory()->Address + (SIZE_T)Io->Client.Slot * MAX_IO_UNITS * UNIT;
}

static ULONG ImageStamp(const DISK_MODEL *Disk, ULONG64 Unit)
{
    return Unit < MODELLED_UNITS ? Disk->Image[Unit] : 0;
}

/* -- a client's I/O begins --------------------------------------------------------------------- */

VOID ModelBegin(IO *Io)
{
    CLIENT_IO *Client = &Io->Client;
    ULONG64 Unit = (ULONG64)Client->Offset / UNIT;
    ULONG Index;
    PAST *Past;

    CHECK(Program.PastCount < MAX_PAST);
    Client->Stamp = Program.PastCount++;
    Client->Since = ++Program.When;
    Client->SinceUs = ModelNowUs();
    Client->HadArena = Io->Disk->Served;
    Past = &Program.Past[Client->Stamp];
    Past->Op = Client->Op;
    Past->Disk = Io->Disk;
    Past->Offset = Client->Offset;
    Past->Length = Client->Length;
    Past->Since = Client->Since;
    Past->Stamp = Client->Stamp;
    Io->Disk->Counts.UnderWay++;
    for (Index = 0; Index < Client->Length / UNIT; Index++) {
        if (Client->Op == CM_OP_READ)
            Client->Before[Index] = ImageStamp(Io->Disk, Unit + Index);
        if (Client->Op == CM_OP_WRITE)
            FillUnit(ModelMemory(Io) + Index * UNIT, Client->Stamp, Unit + Index);
    }
}

/* -- and ends ---------------------------------------------------------------------------------- */

static BOOLEAN WasThere(const IO *Io, ULONG Index, ULONG64 Unit, ULONG Stamp)
{
    ULONG Change;

    if (Io->Client.Before[Index] == Stamp)
        return TRUE;
    for (Change = 0; Change < Program.ChangeCount; Change++) {
        const CHANGE *C = &Program.Changes[Change];
        if (C->Disk == Io->Disk && C->Unit == Unit && C->Stamp == Stamp &&
            C->When > Io->Client.Since)
            return TRUE;
    }
    return FALSE;
}

static VOID CheckRead(const IO *Io)
{
    ULONG64 Unit = (ULONG64)Io->Client.Offset / UNIT;
    ULONG Index;

    for (Index = 0; Index < Io->Client.Length / UNIT; Index++) {
        ULONG Stamp = StampOf(ModelMemory(Io) + Index * UNIT, Unit + Index);
        if (!WasThere(Io, Index, Unit + Index, Stamp))
            SimStop("a read of unit %llu returns what was not there: stamp %u, before it %u",
                    (unsigned long long)Unit + Index, Stamp, Io->Client.Before[Index]);
    }
}

static VOID CountEnd(const IO *Io, NTSTATUS Status)
{
    COUNTS *Counts = &Io->Disk->Counts;
    ULONG Op = Io->Client.Op;

    Counts->UnderWay--;
    if (Status == STATUS_CANCELLED) {
        Counts->Cancelled++;
    } else if (!NT_SUCCESS(Status)) {
        Counts->Failed++; /* some of them were refused, and are not counted by the driver */
    } else if (Op == CM_OP_READ || Op == CM_OP_WRITE) {
        Counts->Reads += Op == CM_OP_READ && Io->Client.Length != 0;
        Counts->Writes += Op == CM_OP_WRITE && Io->Client.Length != 0;
        Counts->ReadBytes += Op == CM_OP_READ ? Io->Client.Length : 0;
        Counts->WrittenBytes += Op == CM_OP_WRITE ? Io->Client.Length : 0;
    } else {
        Counts->Flushes += Op == CM_OP_FLUSH && !Io->Disk->ReadOnly;
        Counts->Trims += Op == CM_OP_TRIM && Io->Client.Length != 0;
    }
}

/* The server's error that becomes a status; CM_STATUS_COUNT: none. */
static ULONG ErrorOf(NTSTATUS Status)
{
    static const NTSTATUS Table[CM_STATUS_COUNT] = {
        STATUS_SUCCESS,       STATUS_IO_DEVICE_ERROR,        STATUS_DEVICE_DATA_ERROR,
        STATUS_DISK_FULL,     STATUS_MEDIA_WRITE_PROTECTED,  STATUS_NONEXISTENT_SECTOR,
        STATUS_NOT_SUPPORTED, STATUS_INSUFFICIENT_RESOURCES, STATUS_IO_TIMEOUT,
        STATUS_ACCESS_DENIED,
    };
    ULONG Index;

    for (Index = 1; Index < CM_STATUS_COUNT && Table[Index] != Status; Index++)
        ;
    return Index;
}

static BOOLEAN HoldIsOver(const DISK_MODEL *Disk)
{
    if (Disk->Lost && Disk->PoweringOff)
        return TRUE;
    return Disk->Lost && ModelNowUs() - Disk->LostAtUs >= (ULONG64)Disk->HoldSeconds * 1000 * 1000;
}

BOOLEAN ModelMayBeGone(const DISK_MODEL *Disk)
{
    return Disk->Gone || Disk->Unmounting != 0 || Program.Stopping || HoldIsOver(Disk);
}

/* Seconds; 0: none. */
static ULONG TimeLimit(const DISK_MODEL *Disk)
{
    const ULONG PowerOff = 10;

    if (Disk->PoweringOff && (Disk->TimeoutSeconds == 0 || Disk->TimeoutSeconds > PowerOff))
        return PowerOff;
    return Disk->TimeoutSeconds;
}

static BOOLEAN MayFail(const IO *Io, NTSTATUS Status)
{
    const DISK_MODEL *Disk = Io->Disk;
    const CLIENT_IO *Client = &Io->Client;
    ULONG Error = ErrorOf(Status);

    if (Error < CM_STATUS_COUNT && (Disk->ErrorsSent & 1u << Error) != 0)
        return TRUE;
    switch (Status) {
    case STATUS_CANCELLED:
        return Io->CancelAsked;
    case STATUS_IO_TIMEOUT:
        return TimeLimit(Disk) != 0 &&
               ModelNowUs() - Client->SinceUs >= (ULONG64)TimeLimit(Disk) * 1000 * 1000;
    case STATUS_NO_SUCH_DEVICE:
        return !Client->HadArena || ModelMayBeGone(Disk);
    case STATUS_FILE_DELETED:
        return SimIsWine() && ModelMayBeGone(Disk);
    case STATUS_MEDIA_WRITE_PROTECTED:
        return Disk->ReadOnly && Client->Op != CM_OP_READ;
    case STATUS_NOT_SUPPORTED:
        return Client->Op == CM_OP_TRIM && !Disk->CanTrim;
    case STATUS_INVALID_PARAMETER:
    case STATUS_ACCESS_DENIED:
        return !Client->MayWork;
    default:
        return FALSE;
    }
}

VOID ModelEnd(IO *Io, NTSTATUS Status, ULONG_PTR Information)
{
    Program.Past[Io->Client.Stamp].Ended = ++Program.When;
    CountEnd(Io, Status);
    if (!NT_SUCCESS(Status)) {
        CHECK_EQ(Information, 0);
        if (!MayFail(Io, Status))
            SimStop("an I/O (op %u) ends with 0x%x, for which there was no reason", Io->Client.Op,
                    (ULONG)Status);
        return;
    }
    CHECK(Io->Client.MayWork);
    CHECK_EQ(Information,
             Io->Client.Op == CM_OP_READ || Io->Client.Op == CM_OP_WRITE ? Io->Client.Length : 0);
    if (Io->Client.Op == CM_OP_WRITE && Io->Client.Length != 0)
        CHECK(!Io->Disk->ReadOnly);
    if (Io->Client.Op == CM_OP_READ)
        CheckRead(Io);
}

/* -- what a server gets ------------------------------------------------------------------------ */

static BOOLEAN Contains(const PAST *Past, const struct cm_request *Request)
{
    if (Past->Op != Request->op)
        return FALSE;
    return Request->op == CM_OP_FLUSH ||
           ((ULONG64)Past->Offset <= Request->offset &&
            Request->offset + Request->length <= (ULONG64)Past->Offset + Past->Length);
}

/* The earliest beginning of an I/O that a fragment may be of; 0: of none. */
static ULONG64 EarliestSource(const DISK_MODEL *Disk, const struct cm_request *Request, ULONG Stamp)
{
    ULONG Index;

    if (Stamp != 0)
        return Program.Past[Stamp].Since;
    for (Index = 1; Index < Program.PastCount; Index++)
        if (Program.Past[Index].Disk == Disk && Contains(&Program.Past[Index], Request))
            return Program.Past[Index].Since;
    return 0;
}

/* A WRITE that was abandoned and is not answered yet must not be followed by what overlaps it. */
static VOID CheckFence(const HELD *Held, const struct cm_request *Request, ULONG64 Since)
{
    ULONG64 Ended = Program.Past[Held->Stamp].Ended;

    if (!Held->Used || Held->Unsure || Held->Request.op != CM_OP_WRITE || Ended == 0 ||
        Since < Ended || Request->op == CM_OP_FLUSH)
        return;
    if (Request->offset < Held->Request.offset + Held->Request.length &&
        Held->Request.offset < Request->offset + Request->length)
        SimStop("a request overtakes a WRITE that was abandoned and is not answered yet");
}

VOID ModelCheckFetched(const ATTACHMENT *Attachment, const struct cm_request *Request, ULONG Stamp)
{
    const DISK_MODEL *Disk = Attachment->Disk;
    ULONG Slot = CM_TAG_SLOT(Request->tag), Index;
    ULONG64 Since = EarliestSource(Disk, Request, Stamp);

    CHECK(Slot < Disk->Depth);
    CHECK(Request->op >= CM_OP_READ && Request->op <= CM_OP_TRIM);
    CHECK_EQ(Request->reserved, 0);
    CHECK((Request->flags & ~CM_REQUEST_FUA) == 0);
    CHECK(Request->flags == 0 || Request->op == CM_OP_WRITE);
    CHECK(Request->offset % Disk->SectorSize == 0 && Request->length % Disk->SectorSize == 0);
    CHECK(Request->length <= Disk->Size && Request->offset <= Disk->Size - Request->length);
    if (Request->op == CM_OP_READ || Request->op == CM_OP_WRITE)
        CHECK(Request->length != 0 && Request->length <= Disk->SlotSize);
    CHECK((Request->op == CM_OP_FLUSH) == (Request->length == 0));
    CHECK(!Disk->ReadOnly || Request->op == CM_OP_READ);
    CHECK(Disk->CanTrim || Request->op != CM_OP_TRIM);
    if (Since == 0)
        SimStop("a request (op %u) is handed out that nobody has made", Request->op);
    if (Attachment->Held[Slot].Used && !Attachment->Held[Slot].Unsure)
        SimStop("slot %u is handed out twice", Slot);
    for (Index = 0; Index < Disk->Depth; Index++)
        CheckFence(&Attachment->Held[Index], Request, Since);
}

ULONG ModelCheckWrite(const DISK_MODEL *Disk, const struct cm_request *Request, const UCHAR *Data)
{
    ULONG Stamp = StampOf(Data, Request->offset / UNIT);
    const PAST *Past = &Program.Past[Stamp];
    ULONG64 Index;

    CHECK(Stamp != 0 && Stamp < Program.PastCount);
    CHECK(Past->Disk == Disk && Contains(Past, Request));
    for (Index = 1; Index < Request->length / UNIT; Index++)
        CHECK_EQ(StampOf(Data + Index * UNIT, Request->offset / UNIT + Index), Stamp);
    return Stamp;
}

static VOID Change(DISK_MODEL *Disk, ULONG64 Unit, ULONG Stamp)
{
    if (Unit >= MODELLED_UNITS)
        return;
    CHECK(Program.ChangeCount < MAX_CHANGES);
    Program.Changes[Program.ChangeCount++] =
        (CHANGE){.Disk = Disk, .Unit = (ULONG)Unit, .Stamp = Stamp, .When = ++Program.When};
    Disk->Image[Unit] = Stamp;
}

VOID ModelPerform(ATTACHMENT *Attachment, const HELD *Held)
{
    const struct cm_request *Request = &Held->Request;
    DISK_MODEL *Disk = Attachment->Disk;
    PUCHAR Slot = Attachment->Arena + (SIZE_T)CM_TAG_SLOT(Request->tag) * Disk->SlotSize;
    ULONG64 First = Request->offset / UNIT, Index;
    ULONG Stamp = 0;

    if (Request->op == CM_OP_WRITE)
        Stamp = ModelCheckWrite(Disk, Request, Slot); /* nobody else has written to the slot */
    CHECK(Held->Stamp == 0 || Held->Stamp == Stamp);
    for (Index = 0; Index < Request->length / UNIT && Index < MODELLED_UNITS; Index++) {
        if (Request->op == CM_OP_READ)
            FillUnit(Slot + Index * UNIT, ImageStamp(Disk, First + Index), First + Index);
        else if (Request->op == CM_OP_WRITE || ImageStamp(Disk, First + Index) != 0)
            Change(Disk, First + Index, Stamp);
    }
}

/* -- statistics -------------------------------------------------------------------------------- */

VOID ModelCheckStats(const DISK_MODEL *Disk, const struct cm_stats *S, BOOLEAN IsQuiet)
{
    const COUNTS *C = &Disk->Counts;

    CHECK_EQ(S->requests, S->completed + S->failed + S->cancelled + S->waiting + S->in_flight);
    CHECK_EQ(S->completed, S->reads + S->writes + S->flushes + S->trims);
    if (!IsQuiet)
        return;
    CHECK_EQ(C->UnderWay, 0);
    CHECK_EQ(S->waiting, 0);
    CHECK_EQ(S->in_flight, 0);
    CHECK_EQ(S->reads, C->Reads);
    CHECK_EQ(S->writes, C->Writes);
    CHECK_EQ(S->flushes, C->Flushes);
    CHECK_EQ(S->trims, C->Trims);
    CHECK_EQ(S->read_bytes, C->ReadBytes);
    CHECK_EQ(S->written_bytes, C->WrittenBytes);
    CHECK_EQ(S->cancelled, C->Cancelled);
    CHECK(S->failed <= C->Failed);
}
