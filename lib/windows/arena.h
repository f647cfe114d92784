/* SPDX-License-Identifier: MIT */
/*
 * arena.h - the memory that the server and CoreMnt.sys share, in whichever way the driver offers.
 */
#ifndef CM_ARENA_H
#define CM_ARENA_H

#include <stdint.h>
#include <windows.h>

struct cm_arena_share;

/*
 * The arena of a disk just made. With ARENA_MAP the driver has it from here on; with ARENA_LEND
 * from cm_arena_lend() on.
 * @return 0, CM_ENOMEM, CM_EVERSION (the driver offers no way that we know), or of the call.
 */
int cm_arena_make(HANDLE control, uint64_t features, uint64_t disk_id, uint64_t size,
                  struct cm_arena_share **arena);

unsigned char *cm_arena_address(const struct cm_arena_share *arena);

/* Send ARENA_LEND; nothing with ARENA_MAP. 0, or why the driver refused. */
int cm_arena_lend(struct cm_arena_share *arena);

/*
 * After the disk has gone, or with `disk_stays` while it is there, to be held from then on. The
 * control handle must still be open. NULL is allowed.
 */
void cm_arena_free(struct cm_arena_share *arena, int disk_stays);

#endif
