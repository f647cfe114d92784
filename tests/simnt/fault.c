/* SPDX-License-Identifier: MIT */
/*
 * fault.c - low resources: each function that can fail asks here, and is made to fail once for every distinct
 * path of calls that leads to it. Any thread.
 */
#include <stdlib.h>

#include "internal.h"

#define MAX_PATHS 16384

static UINT64 Paths[MAX_PATHS]; /* P: SimLock: hashes of stacks that have failed */
static ULONG PathCount;         /* P: SimLock */
static ULONG Failed;            /* P: SimLock: since SimBeginFailures */
static int volatile On;         /* atomic */

VOID SimForgetFailures(VOID)
{
    SimLock();
    PathCount = 0;
    SimUnlock();
}

VOID SimBeginFailures(VOID)
{
    SimLock();
    Failed = 0;
    SimUnlock();
    __atomic_store_n(&On, 1, __ATOMIC_SEQ_CST);
}

ULONG SimEndFailures(VOID)
{
    ULONG Count;

    __atomic_store_n(&On, 0, __ATOMIC_SEQ_CST);
    SimLock();
    Count = Failed;
    SimUnlock();
    return Count;
}

static UINT64 HashStack(const char *What)
{
    UINT64 Hash = 0xCBF29CE484222325u;
    STACK Stack;
    ULONG Index;

    StackCapture(&Stack);
    for (Index = 0; Index < STACK_DEPTH; Index++)
        Hash = (Hash ^ (UINT64)(uintptr_t)Stack.Frames[Index]) * 0x100000001B3u;
    return Hash ^ (UINT64)(uintptr_t)What;
}

static BOOLEAN IsKnownLocked(UINT64 Path)
{
    ULONG Index;

    for (Index = 0; Index < PathCount; Index++)
        if (Paths[Index] == Path)
            return TRUE;
    return FALSE;
}

BOOLEAN SimShouldFail(const char *What)
{
    BOOLEAN Fails;
    UINT64 Path;

    if (!__atomic_load_n(&On, __ATOMIC_SEQ_CST))
        return FALSE;
    Path = HashStack(What);
    SimLock();
    Fails = !IsKnownLocked(Path);
    if (Fails && PathCount == MAX_PATHS)
        SimStop("more than %d paths to allocations: does one end?", MAX_PATHS);
    if (Fails) {
        Paths[PathCount++] = Path;
        Failed++;
    }
    SimUnlock();
    return Fails;
}
