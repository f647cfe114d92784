/* SPDX-License-Identifier: MIT */
/* life_stage.c - see life_stage.h. */
#include <string.h>

#include "life_stage.h"

#define DISK_SIZE (256 * KIB)
#define BASE (3 * 512)   /* of the request on the disk */
#define SLOT (4 * KIB)   /* see RigMountDefaults */
#define LAST_LENGTH 1536 /* of the second fragment */
#define TRIM_STEP (16 * KIB)
#define UNTOUCHED 0xEE

static ULONG PartLength(const STAGE *Stage, ULONG Index)
{
    return Index + 1 == Stage->Fragments ? LAST_LENGTH : SLOT;
}

VOID StageBegin(STAGE *Stage, ULONG Op, ULONG Fragments)
{
    ULONG Index;

    memset(Stage, 0, sizeof(*Stage));
    if (RigIsSerial())
        SimGetCounters(&Stage->Before);
    Stage->Op = Op;
    Stage->Fragments = Fragments;
    Stage->Length = (Fragments - 1) * SLOT + LAST_LENGTH;
    Stage->Server = RigStartServer();
    Stage->Tool = RigStartServer();
    Stage->Client = SimCreateProcess(TRUE);
    RigMount(&Stage->Server, DISK_SIZE, &Stage->Disk);
    Stage->File = RigOpenDisk(Stage->Client, &Stage->Disk);
    Stage->Memory = SimAllocate(2 * SLOT);
    memset(Stage->Memory->Address, UNTOUCHED, 2 * SLOT);
    for (Index = 0; Index < Fragments && Op == CM_OP_WRITE; Index++)
        RigFill(Stage->Memory->Address + Index * SLOT, PartLength(Stage, Index), Index + 1);
}

/* -- what is handed out ------------------------------------------------------------------------ */

/* The range of a fragment, as the server must see it. */
static VOID ExpectedRange(const STAGE *Stage, ULONG Index, ULONG64 *Offset, ULONG64 *Length)
{
    *Offset = BASE + Index * SLOT;
    *Length = PartLength(Stage, Index);
    if (Stage->Op == CM_OP_TRIM) {
        *Offset = Index * TRIM_STEP;
        *Length = (Index + 1) * 512;
    }
    if (Stage->Op == CM_OP_FLUSH)
        *Offset = *Length = 0;
}

static LONG TakeRequest(STAGE *Stage, const struct cm_request *Request)
{
    ULONG Index, Other;
    ULONG64 Offset = 0, Length = 0;

    for (Index = 0; Index < Stage->Fragments; Index++) {
        ExpectedRange(Stage, Index, &Offset, &Length);
        if (Request->offset == Offset)
            break;
    }
    CHECK(Index < Stage->Fragments);
    CHECK_EQ(Request->length, Length);
    CHECK_EQ(Request->op, Stage->Op);
    CHECK_EQ(Request->flags, 0);
    CHECK_EQ(Request->reserved, 0);
    CHECK_EQ(Stage->Got[Index].tag, 0); /* never twice to one server */
    for (Other = 0; Other < 2 && !Stage->Racing; Other++)
        CHECK(Stage->Got[Other].tag == 0 || Stage->Answered[Other] ||
              CM_TAG_SLOT(Stage->Got[Other].tag) != CM_TAG_SLOT(Request->tag));
    Stage->Got[Index] = *Request;
    return (LONG)Index;
}

/* A WRITE's data is in the slot when it is handed out. Not after the server has gone: so is its memory. */
static VOID CheckSlot(const STAGE *Stage, LONG Index)
{
    if (Index >= 0 && Stage->Op == CM_OP_WRITE)
        CHECK(RigIsFilled(RigSlot(&Stage->Disk, Stage->Got[Index].tag),
                          PartLength(Stage, (ULONG)Index), (ULONG)Index + 1));
}

LONG StageTakeParked(STAGE *Stage, NTSTATUS *Status)
{
    LONG Index = -1;

    *Status = SimFinish(Stage->Parked, NULL);
    Stage->Parked = NULL;
    if (NT_SUCCESS(*Status) && Stage->ParkedCall.Out.Head.request_count != 0) {
        CHECK_EQ(Stage->ParkedCall.Out.Head.request_count, 1);
        Index = TakeRequest(Stage, &Stage->ParkedCall.Out.Requests[0]);
        if (!Stage->Racing)
            CheckSlot(Stage, Index);
    }
    return Index;
}

/* -- events ------------------------------------------------------------------------------------ */

static SIM_IO *Ask(STAGE *Stage)
{
    DEVICE_DATA_SET_RANGE Ranges[2];
    ULONG64 Offset, Length;
    ULONG Index;

    switch (Stage->Op) {
    case CM_OP_READ:
        return SimRead(Stage->File, BASE, Stage->Memory, 0, Stage->Length);
    case CM_OP_WRITE:
        return SimWrite(Stage->File, BASE, Stage->Memory, 0, Stage->Length);
    case CM_OP_FLUSH:
        return SimFlush(Stage->File);
    default:
        for (Index = 0; Index < Stage->Fragments; Index++) {
            ExpectedRange(Stage, Index, &Offset, &Length);
            Ranges[Index] = (DEVICE_DATA_SET_RANGE){(LONGLONG)Offset, Length};
        }
        return RigTrim(Stage->File, Ranges, Stage->Fragments);
    }
}

static NTSTATUS Fetch(STAGE *Stage, LONG *Given)
{
    NTSTATUS Status = RigExchange(&Stage->Disk, &Stage->Call, 0, CM_EXCHANGE_NO_WAIT, 1);

    if (NT_SUCCESS(Status) && Stage->Call.Out.Head.request_count != 0) {
        *Given = TakeRequest(Stage, &Stage->Call.Out.Requests[0]);
        CheckSlot(Stage, *Given);
    }
    return Status;
}

static NTSTATUS Park(STAGE *Stage, LONG *Given)
{
    NTSTATUS Status;

    Stage->Parked = RigStartExchange(&Stage->Disk, &Stage->ParkedCall, 0, 0, 1);
    StageSettle(Stage);
    if (Stage->Racing || !SimIsDone(Stage->Parked))
        return STATUS_PENDING;
    *Given = StageTakeParked(Stage, &Status);
    return Status;
}

static NTSTATUS Reply(STAGE *Stage, ULONG Index, BOOLEAN Good)
{
    ULONG64 Tag = Stage->Got[Index].tag;
    ULONG Length = PartLength(Stage, Index);

    CHECK(Tag != 0);
    Stage->Answered[Index] = TRUE;
    if (Good && Stage->Op == CM_OP_READ)
        RigFill(RigSlot(&Stage->Disk, Tag), Length, Index + 1);
    if (!Good || (Stage->Op != CM_OP_READ && Stage->Op != CM_OP_WRITE))
        Length = 0;
    return RigReply(&Stage->Disk, Tag, Good ? CM_STATUS_OK : CM_STATUS_MEDIA_ERROR, Length);
}

static NTSTATUS SoftUnmount(const STAGE *Stage)
{
    struct cm_unmount Unmount = {.disk_id = Stage->Disk.Id, .own_handles = 1};

    return SimFinish(
        SimIoctl(Stage->Tool.Control, CM_IOCTL_UNMOUNT, &Unmount, sizeof(Unmount), NULL, 0), NULL);
}

NTSTATUS StageDo(STAGE *Stage, LIFE_EVENT Event, LONG *Given)
{
    *Given = -1;
    switch (Event) {
    case LIFE_QUEUE:
        Stage->Io = Ask(Stage);
        return STATUS_PENDING;
    case LIFE_PARK:
        return Park(Stage, Given);
    case LIFE_FETCH:
        return Fetch(Stage, Given);
    case LIFE_REPLY_1:
    case LIFE_REPLY_2:
        return Reply(Stage, Event - LIFE_REPLY_1, TRUE);
    case LIFE_FAIL_1:
        return Reply(Stage, 0, FALSE);
    case LIFE_CANCEL:
        SimCancel(Stage->Io);
        return STATUS_PENDING;
    case LIFE_UNMOUNT:
        return RigUnmount(Stage->Tool.Control, Stage->Disk.Id, CM_UNMOUNT_FORCE);
    case LIFE_SOFT_UNMOUNT:
        return SoftUnmount(Stage);
    case LIFE_KILL:
        RigKillServer(&Stage->Server);
        return STATUS_PENDING;
    case LIFE_CLOSE:
        SimClose(Stage->Server.Control);
        return STATUS_PENDING;
    default:
        CHECK_EQ(SimStopDriver(), SimIsWine());
        return STATUS_PENDING;
    }
}

/* On Wine one thread takes in all that is asked for, in order: what is answered now came last. */
VOID StageSettle(const STAGE *Stage)
{
    struct cm_version Version;

    SimFinish(SimIoctl(Stage->Tool.Control, CM_IOCTL_VERSION, NULL, 0, &Version, sizeof(Version)),
              NULL);
}

/* -- the end ----------------------------------------------------------------------------------- */

static VOID CheckReadPart(const STAGE *Stage, ULONG Index, BOOLEAN MustBe, BOOLEAN MayBe)
{
    const UCHAR *Part = Stage->Memory->Address + Index * SLOT;
    ULONG At = 0;

    if (MustBe || (MayBe && Part[0] != UNTOUCHED)) {
        CHECK(RigIsFilled(Part, PartLength(Stage, Index), Index + 1));
        At = PartLength(Stage, Index);
    }
    while (At < SLOT)
        CHECK_EQ(Part[At++], UNTOUCHED);
}

VOID StageCheckData(const STAGE *Stage, const LIFE *Life, NTSTATUS Status)
{
    ULONG_PTR Expected = NT_SUCCESS(Status) && (Stage->Op == CM_OP_READ || Stage->Op == CM_OP_WRITE)
                             ? Stage->Length
                             : 0;
    ULONG Index;

    CHECK_EQ(SimInformation(Stage->Io), Expected);
    for (Index = 0; Index < 2 && Stage->Op == CM_OP_READ; Index++)
        CheckReadPart(Stage, Index, NT_SUCCESS(Status) && Index < Stage->Fragments,
                      Life->Copied[Index]);
}

static BOOLEAN IsAsBefore(PVOID Context)
{
    const SIM_COUNTERS *Before = Context;
    SIM_COUNTERS Now;

    SimGetCounters(&Now);
    return Now.Devices == Before->Devices && Now.LiveAllocations == Before->LiveAllocations;
}

VOID StageEnd(STAGE *Stage, const LIFE *Life)
{
    NTSTATUS Status;

    if (!Life->DiskGone)
        CHECK_EQ(RigUnmount(Stage->Tool.Control, Stage->Disk.Id, CM_UNMOUNT_FORCE), STATUS_SUCCESS);
    if (Stage->Io != NULL) {
        Status = SimWaitFor(Stage->Io);
        CHECK_EQ(Status, Life->Over ? Life->Status : STATUS_NO_SUCH_DEVICE);
        SimFreeIo(Stage->Io);
    }
    if (Stage->Parked != NULL)
        CHECK_EQ(SimFinish(Stage->Parked, NULL), STATUS_DEVICE_REMOVED);
    RigForget(&Stage->Disk);
    if (Stage->File != NULL) {
        SimClose(Stage->File);
        SimEndProcess(Stage->Client);
    }
    if (!Life->ServerGone)
        RigStopServer(&Stage->Server);
    else if ((Life->Used & 1u << LIFE_CLOSE) != 0)
        SimEndProcess(Stage->Server.Process);
    RigStopServer(&Stage->Tool);
    SimFree(Stage->Memory);
    if (Life->StopPending || Life->DriverGone) {
        RigWaitUntilUnloaded();
        CHECK_EQ(SimLoadDriver(), STATUS_SUCCESS);
    }
    if (RigIsSerial()) /* otherwise SimShutDown looks */
        SimWaitUntil(IsAsBefore, &Stage->Before);
}
