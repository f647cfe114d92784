/* SPDX-License-Identifier: MIT */
/*
 * arena.h - the memory that driver and server share.
 *
 * The server can write to it at any moment. What is read from it is data for the caller of a READ
 * and nothing else; no length, offset or status is ever taken from it.
 */
#ifndef COREMNT_ARENA_H
#define COREMNT_ARENA_H

#include "nt.h"

struct DISK;

typedef struct ARENA {
    PUCHAR Base;      /* const from attach until destroy; valid at any IRQL, in any process */
    SIZE_T Size;      /* const */
    BOOLEAN Attached; /* P: DISK.Queue.Lock: one of the two ways has been taken */

    /* ARENA_LEND: the pended IRP whose MDL is the arena; see arena.c for who completes it. */
    PIRP LendIrp;           /* const from attach until destroy */
    KEVENT LendCancelEnded; /* set at the end of its cancel routine */

    /* ARENA_MAP: our view of the section. */
    PVOID View;
} ARENA;

/* CM_FEATURE_*: the one way that this system has. IRQL: PASSIVE. */
ULONG64 ArenaFeature(VOID);

VOID ArenaInitialize(ARENA *Arena, SIZE_T Size);

/* The two ioctls. Lend returns STATUS_PENDING and keeps the IRP. On success the disk has been
 * started. IRQL: PASSIVE, in the server's process. */
NTSTATUS ArenaMap(struct DISK *Disk, PIRP Irp, struct cm_arena_mapped *Mapped) MUST_CHECK;
NTSTATUS ArenaLend(struct DISK *Disk, PIRP Irp) MUST_CHECK;

/* Give everything back; no reference to the disk is left. IRQL: PASSIVE. */
VOID ArenaDestroy(ARENA *Arena);

#endif
