/* SPDX-License-Identifier: MIT */
/* reaper.h - deleting disks that nobody refers to any more; see reaper.c. */
#ifndef COREMNT_REAPER_H
#define COREMNT_REAPER_H

#include "nt.h"

struct DISK;

VOID ReaperInitialize(VOID); /* once, before any disk */

/* A disk comes into being: its deletion is prepared, so that it cannot fail. IRQL: PASSIVE. */
NTSTATUS ReaperPrepare(struct DISK *Disk) MUST_CHECK;
VOID ReaperUnprepare(struct DISK *Disk); /* it has not been made after all */

/* Take over a disk whose last reference has gone. IRQL: <= DISPATCH. */
VOID ReaperTake(struct DISK *Disk);

/* Wait until every disk has been handed back to the system; no new one may come. IRQL: PASSIVE. */
VOID ReaperDrain(VOID);

#endif
