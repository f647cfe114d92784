/* SPDX-License-Identifier: MIT */
/* reaper.h - deleting disks that nobody refers to any more; see reaper.c. */
#ifndef COREMNT_REAPER_H
#define COREMNT_REAPER_H

#include "nt.h"

struct DISK;

NTSTATUS ReaperStart(VOID) MUST_CHECK; /* IRQL: PASSIVE */

/* Take over a disk whose last reference has gone. IRQL: <= DISPATCH. */
VOID ReaperTake(struct DISK *Disk);

/* End the thread once the last disk has been deleted, and wait for that. IRQL: PASSIVE. */
VOID ReaperStop(VOID);

#endif
