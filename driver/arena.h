/* SPDX-License-Identifier: MIT */
/*
 * arena.h - the memory that driver and server share.
 *
 * The server can write to it at any moment. What is read from it is data for the caller of a READ
 * and nothing else; no length, offset or status is ever taken from it.
 *
 * A disk has at most one at a time, QUEUE.Arena, and in the course of its life one for each server
 * that it has had.
 */
#ifndef COREMNT_ARENA_H
#define COREMNT_ARENA_H

#include "nt.h"

struct DISK;

typedef struct ARENA {
    struct DISK *Disk; /* const: holds a reference */
    ULONG Epoch;       /* const: of the server that it is shared with; see disk.c */
    PUCHAR Base;       /* const from attach on; valid at any IRQL, in any process */
    PIO_WORKITEM Item; /* const: gives it back */

    /*
     * P: DISK.Queue.Lock. One for being the disk's, one for the cancel routine of the lend IRP, for
     * as long as it is set or runs, and one for each batch of requests whose data is being copied.
     * Who drops the last has it given back.
     */
    ULONG Users;

    PIRP LendIrp; /* const from attach on; ARENA_LEND: the pended IRP whose MDL is the arena */
    PVOID View;   /* const from attach on; ARENA_MAP: our view of the section */
} ARENA;

/* CM_FEATURE_*: the one way that this system has. IRQL: PASSIVE. */
ULONG64 ArenaFeature(VOID);

/* The two ioctls. Lend returns STATUS_PENDING and keeps the IRP. On success the disk answers.
 * IRQL: PASSIVE, in the server's process. */
NTSTATUS ArenaMap(struct DISK *Disk, ULONG Epoch, PIRP Irp,
                  struct cm_arena_mapped *Mapped) MUST_CHECK;
NTSTATUS ArenaLend(struct DISK *Disk, ULONG Epoch, PIRP Irp) MUST_CHECK;

/*
 * QueueAttach's part, under QUEUE.Lock: it becomes the disk's. FALSE: the lent memory has been taken
 * back already, and nothing has been done. IRQL: DISPATCH.
 */
BOOLEAN ArenaAttachLocked(ARENA *Arena) MUST_CHECK;

/* It is the disk's no longer. @return whether its last user has gone with that. */
BOOLEAN ArenaDetachLocked(ARENA *Arena) MUST_CHECK;

/* A batch of copies begins, and has ended. @return whether it was the last user. Hot. */
ALWAYS_INLINE VOID ArenaUseLocked(ARENA *Arena)
{
    Arena->Users++;
}

ALWAYS_INLINE BOOLEAN ArenaUnuseLocked(ARENA *Arena)
{
    return --Arena->Users == 0;
}

/* The last user has gone: give the memory back, soon. IRQL: <= DISPATCH, no lock held. */
VOID ArenaGiveBack(ARENA *Arena);

#endif
