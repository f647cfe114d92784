/* SPDX-License-Identifier: MIT */
/*
 * analyse-sample.c - mistakes of the kinds that scripts/analyse is there to find, each at a line that says by
 * which of its tools. It analyses this too and fails if one has overlooked one of its own, so that "no findings" says
 * something. Never built.
 */
#include "driver/nt.h"

typedef struct SAMPLE {
    KSPIN_LOCK Lock; /* P: Count */
    ULONG Count;
    PUCHAR Memory;
} SAMPLE;

ULONG ForgetsToUnlock(SAMPLE *Sample)
{
    KIRQL Irql;

    KeAcquireSpinLock(&Sample->Lock, &Irql);
    if (Sample->Count == 0)
        return 0;
    KeReleaseSpinLock(&Sample->Lock, Irql);
    return 1;
} /* FOUND BY locks */

VOID LocksTwice(SAMPLE *Sample)
{
    KIRQL Irql;

    KeAcquireSpinLock(&Sample->Lock, &Irql);
    KeAcquireSpinLock(&Sample->Lock, &Irql); /* FOUND BY locks */
    KeReleaseSpinLock(&Sample->Lock, Irql);
}

static VOID CountLocked(SAMPLE *Sample)
{
    Sample->Count++;
}

VOID CountsWithoutLock(SAMPLE *Sample)
{
    CountLocked(Sample); /* FOUND BY locks */
}

VOID CompletesUnderLock(SAMPLE *Sample, PIRP Irp)
{
    KIRQL Irql;

    KeAcquireSpinLock(&Sample->Lock, &Irql);
    CountLocked(Sample);
    IoCompleteRequest(Irp, IO_NO_INCREMENT); /* FOUND BY locks */
    KeReleaseSpinLock(&Sample->Lock, Irql);
}

VOID LosesMemory(ULONG Size)
{
    PUCHAR Memory = PoolAllocate(Size);

    if (Memory != NULL)
        Memory[0] = 1;
} /* FOUND BY clang gcc gcc-windows */

VOID UsesWhatIsFreed(SAMPLE *Sample)
{
    PoolFree(Sample->Memory);
    Sample->Memory[0] = 1; /* FOUND BY clang gcc gcc-windows */
}

VOID DoesNotCheckAllocation(SAMPLE *Sample, ULONG Size)
{
    Sample->Memory = PoolAllocate(Size);
    Sample->Memory[0] = 1; /* FOUND BY gcc gcc-windows */
}

ULONG UsesNothing(const SAMPLE *Sample)
{
    if (Sample == NULL)
        return Sample->Count; /* FOUND BY clang cppcheck */
    return 0;
}

ULONG UsesNoValue(ULONG Way)
{
    ULONG Value;

    if (Way == 1)
        Value = 2;
    return Value; /* FOUND BY clang gcc */
}

ULONG64 Multiplies(ULONG A, ULONG B)
{
    return A * B; /* FOUND BY clang */
}
