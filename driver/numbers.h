/* SPDX-License-Identifier: MIT */
/* numbers.h - the numbers of disks; see numbers.c. */
#ifndef COREMNT_NUMBERS_H
#define COREMNT_NUMBERS_H

#include "nt.h"

VOID NumbersLoad(VOID);  /* DriverEntry. IRQL: PASSIVE */
ULONG NumbersTake(VOID); /* IRQL: <= DISPATCH, no lock held */
VOID NumbersSave(VOID);  /* DriverUnload. IRQL: PASSIVE */

#endif
