/* SPDX-License-Identifier: MIT */
/*
 * clock.h - the time that passes: the performance counter, shifted right until a signed 32-bit
 * difference spans a quarter of an hour and more. A request has only room for the lower half.
 */
#ifndef COREMNT_CLOCK_H
#define COREMNT_CLOCK_H

#include "nt.h"

VOID ClockInitialize(VOID); /* once, before all else here */

extern ULONG ClockShift;       /* const after ClockInitialize */
extern ULONG64 ClockFrequency; /* const after ClockInitialize: units per second, 1 to 2 million */

/* IRQL: any. Hot. */
ALWAYS_INLINE ULONG64 ClockNow(VOID)
{
    return (ULONG64)KeQueryPerformanceCounter(NULL).QuadPart >> ClockShift;
}

/* Units, as milliseconds; what is "negative" is 0: the clocks of processors may differ by a little. */
ULONG64 ClockMilliseconds(ULONG64 Units);

#endif
