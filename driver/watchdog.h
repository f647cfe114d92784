/* SPDX-License-Identifier: MIT */
/* watchdog.h - what happens to disks because time passes; see watchdog.c. */
#ifndef COREMNT_WATCHDOG_H
#define COREMNT_WATCHDOG_H

#include "nt.h"

NTSTATUS WatchdogStart(VOID) MUST_CHECK; /* once, before any disk. IRQL: PASSIVE */
VOID WatchdogStop(VOID);                 /* none of it runs any more. IRQL: PASSIVE */

/* There may be a disk to look after that was none before. IRQL: <= DISPATCH. */
VOID WatchdogWake(VOID);

#endif
