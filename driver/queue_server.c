/* SPDX-License-Identifier: MIT */
/*
 * queue_server.c - servers come and go under a queue, and do not answer: the change of epochs, arenas
 * that come and go with them, requests that take too long. queue.c has the diagrams of requests and slots.
 *
 * Called by disk.c and arena.c at up to DISPATCH_LEVEL. Not on the hot path.
 */
#include "queue_internal.h"

/* -- a server goes ----------------------------------------------------------------------------- */

ARENA *QueueDetachLocked(QUEUE *Queue)
{
    ARENA *Arena = Queue->Arena;

    Queue->Arena = NULL;
    return Arena != NULL && ArenaDetachLocked(Arena) ? Arena : NULL;
}

/* What the server has is to be handed out again; what it still has of aborted requests is nothing to
 * wait for any more. Copies that run are left to those who make them. */
static VOID TakeBackLocked(QUEUE *Queue)
{
    ULONG Index;

    for (Index = 0; Index < Queue->Depth; Index++) {
        SLOT *Slot = &Queue->Slots[Index];
        if (Slot->State == SLOT_HANDED_OUT) {
            Slot->State = SLOT_AGAIN;
            Slot->HadServer = TRUE;
            Queue->Again++;
        } else if (Slot->State == SLOT_ORPHAN) {
            Queue->Fences -= SlotIsFence(Slot);
            if (Slot->Op == CM_OP_RESIZE)
                QueueEndResizeLocked(Queue, 0, RESIZE_UNKNOWN);
            QueueFreeSlotLocked(Queue, Slot);
        }
    }
}

VOID QueueBeginEpoch(struct DISK *Disk, ULONG Epoch)
{
    QUEUE *Queue = &Disk->Queue;
    ARENA *Arena = NULL;
    LIST_ENTRY Exchanges;
    KIRQL Irql;

    InitializeListHead(&Exchanges);
    KeAcquireSpinLock(&Queue->Lock, &Irql);
    if (!Queue->Closed && (LONG)(Epoch - Queue->Epoch) > 0) {
        Queue->Epoch = Epoch;
        Arena = QueueDetachLocked(Queue);
        TakeBackLocked(Queue);
        QueueTakeAllIdleLocked(Queue, &Exchanges);
    }
    KeReleaseSpinLock(&Queue->Lock, Irql);
    if (Arena != NULL)
        ArenaGiveBack(Arena);
    QueueEndExchanges(Disk, &Exchanges);
}

/* -- time-outs --------------------------------------------------------------------------------- */

/*
 * As if all requests had just arrived: a server that comes gets the whole time for what waited for it.
 * And a request's short clock never has to span more than the longest time-out.
 */
static VOID RestartLocked(QUEUE *Queue, ULONG64 Now)
{
    PLIST_ENTRY Entry;
    ULONG Index;

    Queue->LastLook = Now;
    if (Queue->Timeout == 0)
        return;
    for (Entry = Queue->Waiting.Flink; Entry != &Queue->Waiting; Entry = Entry->Flink) {
        REQUEST *Request = RequestOf(IrpOfEntry(Entry));
        if (Request->Next == 0)
            QueueNoteWaitLocked(Queue, Request, (ULONG)Now);
        Request->Arrived = (ULONG)Now;
    }
    for (Index = 0; Index < Queue->Depth; Index++)
        if (Queue->Slots[Index].Irp != NULL)
            RequestOf(Queue->Slots[Index].Irp)->Arrived = (ULONG)Now;
}

VOID QueueLimitTimeout(struct DISK *Disk, ULONG Seconds)
{
    QUEUE *Queue = &Disk->Queue;
    ULONG Limit = (ULONG)(Seconds * ClockFrequency);
    KIRQL Irql;

    KeAcquireSpinLock(&Queue->Lock, &Irql);
    if (Queue->Timeout == 0 || Queue->Timeout > Limit) {
        Queue->Timeout = Limit;
        RestartLocked(Queue, ClockNow());
    }
    KeReleaseSpinLock(&Queue->Lock, Irql);
}

static VOID ExpireLocked(QUEUE *Queue, PIRP Irp, ULONG Now, PLIST_ENTRY Done)
{
    const REQUEST *Request = RequestOf(Irp);

    if ((Request->Flags & (REQUEST_ABORTED | REQUEST_RETIRED)) != 0 ||
        (LONG)(Now - Request->Arrived - Queue->Timeout) < 0)
        return;
    Queue->TimedOut++;
    QueueAbortLocked(Queue, Irp, STATUS_IO_TIMEOUT, Done);
}

static VOID ExpireAllLocked(QUEUE *Queue, ULONG Now, PLIST_ENTRY Done)
{
    PLIST_ENTRY Entry, Next;
    ULONG Index;

    for (Entry = Queue->Waiting.Flink; Entry != &Queue->Waiting; Entry = Next) {
        Next = Entry->Flink; /* only the request itself leaves the list */
        ExpireLocked(Queue, IrpOfEntry(Entry), Now, Done);
    }
    for (Index = 0; Index < Queue->Depth; Index++)
        if (Queue->Slots[Index].Irp != NULL)
            ExpireLocked(Queue, Queue->Slots[Index].Irp, Now, Done);
}

/* When nobody has looked for so long, the machine has been asleep, and the server too. */
#define SLEPT_SECONDS 60

VOID QueueExpire(struct DISK *Disk)
{
    QUEUE *Queue = &Disk->Queue;
    LIST_ENTRY Done;
    ULONG64 Now;
    KIRQL Irql;

    InitializeListHead(&Done);
    KeAcquireSpinLock(&Queue->Lock, &Irql);
    Now = ClockNow();
    if (Queue->Arena != NULL && (LONG64)(Now - Queue->LastLook) > 0) {
        if (Now - Queue->LastLook > SLEPT_SECONDS * ClockFrequency)
            RestartLocked(Queue, Now);
        else
            ExpireAllLocked(Queue, (ULONG)Now, &Done);
        Queue->LastLook = Now;
    }
    KeReleaseSpinLock(&Queue->Lock, Irql);
    QueueCompleteAll(Disk, &Done);
}

/* -- a server comes ---------------------------------------------------------------------------- */

static NTSTATUS MUST_CHECK WantsArenaLocked(const QUEUE *Queue, ULONG Epoch)
{
    if (Queue->Closed || Queue->Epoch != Epoch)
        return STATUS_NOT_FOUND;
    return Queue->Arena != NULL ? STATUS_INVALID_DEVICE_STATE : STATUS_SUCCESS;
}

NTSTATUS QueueWantsArena(struct DISK *Disk, ULONG Epoch)
{
    NTSTATUS Status;
    KIRQL Irql;

    KeAcquireSpinLock(&Disk->Queue.Lock, &Irql);
    Status = WantsArenaLocked(&Disk->Queue, Epoch);
    KeReleaseSpinLock(&Disk->Queue.Lock, Irql);
    return Status;
}

NTSTATUS QueueAttach(struct DISK *Disk, ARENA *Arena)
{
    QUEUE *Queue = &Disk->Queue;
    NTSTATUS Status;
    KIRQL Irql;

    KeAcquireSpinLock(&Queue->Lock, &Irql);
    Status = WantsArenaLocked(Queue, Arena->Epoch);
    if (NT_SUCCESS(Status) && !ArenaAttachLocked(Arena))
        Status = STATUS_CANCELLED;
    if (NT_SUCCESS(Status)) {
        Queue->Arena = Arena;
        Queue->LastAnswer = ClockNow();
        RestartLocked(Queue, Queue->LastAnswer);
        /* Not later: an unmount that found the disk idle may have closed it meanwhile. */
        if (Arena->Epoch == QUEUE_FIRST_EPOCH)
            Queue->Open = TRUE;
    }
    KeReleaseSpinLock(&Queue->Lock, Irql);
    return Status;
}

VOID QueueUnuseArena(ARENA *Arena)
{
    QUEUE *Queue = &Arena->Disk->Queue;
    BOOLEAN Last;
    KIRQL Irql;

    KeAcquireSpinLock(&Queue->Lock, &Irql);
    Last = ArenaUnuseLocked(Arena);
    KeReleaseSpinLock(&Queue->Lock, Irql);
    if (Last)
        ArenaGiveBack(Arena);
}

/* -- health ------------------------------------------------------------------------------------ */

VOID QueueGetHealth(struct DISK *Disk, struct cm_health *Health)
{
    QUEUE *Queue = &Disk->Queue;
    KIRQL Irql;

    KeAcquireSpinLock(&Queue->Lock, &Irql);
    Health->state = Queue->Arena != NULL ? CM_HEALTH_SERVED : CM_HEALTH_STARTING;
    if (Queue->Arena != NULL && QueueServerHasAnyLocked(Queue))
        Health->unanswered_ms = ClockMilliseconds(ClockNow() - Queue->LastAnswer);
    Health->timed_out = Queue->TimedOut;
    Health->handed_out_again = Queue->HandedOutAgain;
    KeReleaseSpinLock(&Queue->Lock, Irql);
}
