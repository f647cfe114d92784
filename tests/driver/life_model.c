/* SPDX-License-Identifier: MIT */
/* life_model.c - see life_model.h. It asks the machine for nothing but which system it is. */
#include <string.h>

#include "life_model.h"

/* Where the driver has gone from under an open file (Wine). */
#define STATUS_OF_NOBODY STATUS_FILE_DELETED

VOID LifeBegin(LIFE *Life, ULONG Op, ULONG Fragments, ULONG Length)
{
    memset(Life, 0, sizeof(*Life));
    Life->Op = Op;
    Life->Fragments = Fragments;
    Life->Length = Length;
}

static BOOLEAN Has(const LIFE *Life, LIFE_EVENT Event)
{
    return (Life->Used & 1u << Event) != 0;
}

static BOOLEAN CanReply(const LIFE *Life, ULONG Index)
{
    return !Life->ServerGone && Index < Life->Fragments &&
           (Life->Fragment[Index] == FRAGMENT_OUT || Life->Fragment[Index] == FRAGMENT_ORPHAN);
}

BOOLEAN LifeCan(const LIFE *Life, LIFE_EVENT Event)
{
    switch (Event) {
    case LIFE_QUEUE:
        return !Life->Asked;
    case LIFE_PARK:
        return !Life->ServerGone && !Has(Life, LIFE_PARK);
    case LIFE_FETCH:
        return !Life->ServerGone && Life->Fetches < Life->Fragments;
    case LIFE_REPLY_1:
    case LIFE_FAIL_1:
        return CanReply(Life, 0) && !Has(Life, LIFE_REPLY_1) && !Has(Life, LIFE_FAIL_1);
    case LIFE_REPLY_2:
        return CanReply(Life, 1) && !Has(Life, LIFE_REPLY_2);
    case LIFE_CANCEL:
        return Life->Asked && !Has(Life, LIFE_CANCEL);
    case LIFE_UNMOUNT:
    case LIFE_SOFT_UNMOUNT:
        return !Has(Life, Event) && !Life->DriverGone;
    case LIFE_KILL:
    case LIFE_CLOSE:
        return !Life->ServerGone;
    default:
        return !Has(Life, Event);
    }
}

/* -- the request ------------------------------------------------------------------------------- */

static VOID End(LIFE *Life, NTSTATUS Status)
{
    struct cm_stats *Stats = &Life->Stats;
    BOOLEAN Waits = Life->Fragment[0] == FRAGMENT_MADE;

    Life->Over = TRUE;
    Life->Status = Status;
    Stats->waiting -= Waits;
    Stats->in_flight -= !Waits;
    if (Status == STATUS_CANCELLED) {
        Stats->cancelled++;
    } else if (!NT_SUCCESS(Status)) {
        Stats->failed++;
    } else {
        Stats->completed++;
        Stats->reads += Life->Op == CM_OP_READ;
        Stats->writes += Life->Op == CM_OP_WRITE;
        Stats->flushes += Life->Op == CM_OP_FLUSH;
        Stats->trims += Life->Op == CM_OP_TRIM;
        Stats->read_bytes += Life->Op == CM_OP_READ ? Life->Length : 0;
        Stats->written_bytes += Life->Op == CM_OP_WRITE ? Life->Length : 0;
    }
}

/* Ended by other than its replies. */
static VOID Abort(LIFE *Life, NTSTATUS Status)
{
    ULONG Index;

    if (!Life->Asked || Life->Over)
        return;
    End(Life, Status);
    for (Index = 0; Index < Life->Fragments; Index++)
        if (Life->Fragment[Index] == FRAGMENT_OUT)
            Life->Fragment[Index] = FRAGMENT_ORPHAN;
}

/* The fragment that can be handed out; -1: none. */
static LONG Next(const LIFE *Life)
{
    ULONG Index;

    if (!Life->Asked || Life->Over || Life->Failed)
        return -1;
    for (Index = 0; Index < Life->Fragments; Index++)
        if (Life->Fragment[Index] == FRAGMENT_MADE)
            return (LONG)Index;
    return -1;
}

static LONG HandOut(LIFE *Life)
{
    LONG Index = Next(Life);

    if (Index < 0)
        return Index;
    if (Index == 0) {
        Life->Stats.waiting--;
        Life->Stats.in_flight++;
    }
    Life->Stats.handed_out++;
    Life->Fragment[Index] = FRAGMENT_OUT;
    return Index;
}

static VOID Reply(LIFE *Life, ULONG Index, NTSTATUS Status)
{
    BOOLEAN Orphan = Life->Fragment[Index] == FRAGMENT_ORPHAN;
    ULONG Other;

    Life->Fragment[Index] = FRAGMENT_DONE;
    if (Orphan)
        return;
    Life->Copied[Index] = NT_SUCCESS(Status);
    if (!NT_SUCCESS(Status) && !Life->Failed) {
        Life->Failed = TRUE;
        Life->Failure = Status;
    }
    for (Other = 0; Other < Life->Fragments; Other++)
        if (Life->Fragment[Other] == FRAGMENT_OUT ||
            (Life->Fragment[Other] == FRAGMENT_MADE && !Life->Failed))
            return;
    End(Life, Life->Failed ? Life->Failure : STATUS_SUCCESS);
}

/* -- events ------------------------------------------------------------------------------------ */

static VOID EndParked(LIFE *Life, LIFE_RESULT *Result, NTSTATUS Status, NTSTATUS OrStatus)
{
    if (!Life->Parked)
        return;
    Life->Parked = FALSE;
    Result->ParkedEnds = TRUE;
    Result->ParkedStatus = Status;
    Result->ParkedOrStatus = OrStatus;
}

static VOID Remove(LIFE *Life, LIFE_RESULT *Result)
{
    if (Life->DiskGone)
        return;
    Life->DiskGone = TRUE;
    Abort(Life, STATUS_NO_SUCH_DEVICE);
    EndParked(Life, Result, STATUS_DEVICE_REMOVED, STATUS_DEVICE_REMOVED);
}

static VOID Ask(LIFE *Life, LIFE_RESULT *Result)
{
    Life->Asked = TRUE;
    if (Life->DiskGone) {
        Life->Over = TRUE;
        Life->Status = STATUS_NO_SUCH_DEVICE; /* or, of a device that is not there any more: */
        Result->OrStatus = STATUS_OF_NOBODY;
        return;
    }
    Life->Stats.requests++;
    Life->Stats.waiting++;
    if (Life->Parked) {
        EndParked(Life, Result, STATUS_SUCCESS, STATUS_SUCCESS);
        Result->GivenToParked = HandOut(Life);
    }
}

/* @return whether the server is one that still may exchange; Result says why not. */
static BOOLEAN Exchanges(LIFE *Life, LIFE_RESULT *Result)
{
    Result->Status = Life->DriverGone ? STATUS_OF_NOBODY : STATUS_NOT_FOUND;
    if (Life->DiskGone)
        return FALSE;
    Life->Stats.exchanges++;
    Result->Status = STATUS_SUCCESS;
    return TRUE;
}

static VOID Fetch(LIFE *Life, LIFE_RESULT *Result, BOOLEAN Waits)
{
    if (!Exchanges(Life, Result))
        return;
    if (Waits && Next(Life) < 0)
        Life->Parked = TRUE;
    else
        Result->Given = HandOut(Life);
}

static VOID ReplyTo(LIFE *Life, LIFE_RESULT *Result, ULONG Index, NTSTATUS Status)
{
    if (Exchanges(Life, Result))
        Reply(Life, Index, Status);
    else
        Life->Fragment[Index] = FRAGMENT_DONE;
}

static VOID LoseServer(LIFE *Life, LIFE_RESULT *Result, BOOLEAN Killed)
{
    Life->ServerGone = TRUE;
    if (Killed) /* the system cancels what it has under way, in any order with the disk's end */
        EndParked(Life, Result, STATUS_CANCELLED, STATUS_DEVICE_REMOVED);
    Remove(Life, Result);
}

static VOID Stop(LIFE *Life, LIFE_RESULT *Result)
{
    if (!SimIsWine()) {
        Life->StopPending = TRUE;
        return;
    }
    Remove(Life, Result);
    Life->DriverGone = TRUE;
}

static VOID Unmount(LIFE *Life, LIFE_RESULT *Result, BOOLEAN Force)
{
    if (Life->DiskGone)
        Result->Status = STATUS_NOT_FOUND;
    else if (!Force && Life->Asked && !Life->Over)
        Result->Status = STATUS_DEVICE_BUSY;
    else
        Remove(Life, Result);
}

VOID LifeDo(LIFE *Life, LIFE_EVENT Event, LIFE_RESULT *Result)
{
    *Result = (LIFE_RESULT){.Given = -1, .GivenToParked = -1};
    Life->Used |= 1u << Event;
    Life->Fetches += Event == LIFE_FETCH;
    switch (Event) {
    case LIFE_QUEUE:
        Ask(Life, Result);
        break;
    case LIFE_PARK:
    case LIFE_FETCH:
        Fetch(Life, Result, Event == LIFE_PARK);
        break;
    case LIFE_REPLY_1:
    case LIFE_REPLY_2:
        ReplyTo(Life, Result, Event - LIFE_REPLY_1, STATUS_SUCCESS);
        break;
    case LIFE_FAIL_1:
        ReplyTo(Life, Result, 0, STATUS_DEVICE_DATA_ERROR);
        break;
    case LIFE_CANCEL:
        Abort(Life, STATUS_CANCELLED);
        break;
    case LIFE_UNMOUNT:
    case LIFE_SOFT_UNMOUNT:
        Unmount(Life, Result, Event == LIFE_UNMOUNT);
        break;
    case LIFE_KILL:
    case LIFE_CLOSE:
        LoseServer(Life, Result, Event == LIFE_KILL);
        break;
    default:
        Stop(Life, Result);
    }
}

const char *LifeName(LIFE_EVENT Event)
{
    static const char *const Names[LIFE_EVENTS] = {"queue",        "park",   "fetch",  "reply-1",
                                                   "reply-2",      "fail-1", "cancel", "unmount",
                                                   "soft-unmount", "kill",   "close",  "stop"};

    return Names[Event];
}
