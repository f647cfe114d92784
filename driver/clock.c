/* SPDX-License-Identifier: MIT */
/* clock.c - see clock.h. ClockInitialize at PASSIVE_LEVEL, the rest at any; not on the hot path. */
#include "clock.h"

ULONG ClockShift;
ULONG64 ClockFrequency;

VOID ClockInitialize(VOID)
{
    LARGE_INTEGER Frequency;

    KeQueryPerformanceCounter(&Frequency);
    ClockShift = 0;
    ClockFrequency = (ULONG64)Frequency.QuadPart;
    while (ClockFrequency > 2000 * 1000) {
        ClockShift++;
        ClockFrequency >>= 1;
    }
    if (ClockFrequency == 0)
        ClockFrequency = 1;
}

ULONG64 ClockMilliseconds(ULONG64 Units)
{
    return (LONG64)Units > 0 ? Units * 1000 / ClockFrequency : 0;
}
