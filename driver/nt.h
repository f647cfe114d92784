/* SPDX-License-Identifier: MIT */
/*
 * nt.h - the driver's only gateway to the NT headers.
 *
 * Every file of driver/ includes this and no header of the DDK, so that there is one place to look
 * for what the driver may use: the functions that Windows XP to 11, ReactOS and Wine 8 all have.
 * Not among them, and so not to be used: SEH, IoCsq*, rundown protection, ExInterlocked*List, DPC
 * queueing, KeReadStateSemaphore, ExQueueWorkItem, memcmp (missing on x86), %wZ in debug output.
 */
#ifndef COREMNT_NT_H
#define COREMNT_NT_H

#include <ntifs.h>

#include <ntdddisk.h>
#include <ntddstor.h>
#include <ntddvol.h>

#include <mountdev.h>

#include "abi/coremnt_abi.h"

#include "nt_storage.h"

/* Result must be looked at; GCC checks it, SAL is a stub in mingw-w64. */
#define MUST_CHECK __attribute__((warn_unused_result))

#define POOL_TAG 0x746E4D43u /* "CMnt" in a debugger */

#define ALWAYS_INLINE static inline __attribute__((always_inline))

/* Nonpaged, and not executable where the system has such a pool and such mappings (Windows 8); set by
 * DriverEntry. */
extern POOL_TYPE PoolType;
extern ULONG MappingPriority; /* for MmGetSystemAddressForMdlSafe */

/* InterlockedCompareExchange64, which the headers do not have for x86; its processors have since the Pentium. */
ALWAYS_INLINE LONG64 CompareExchange64(LONG64 volatile *Target, LONG64 New, LONG64 Expected)
{
    return __sync_val_compare_and_swap(Target, Expected, New);
}

/* Nonpaged, zeroed; NULL when there is none. ExAllocatePool2 is too new for us. */
ALWAYS_INLINE PVOID PoolAllocate(SIZE_T Size)
{
    PVOID Memory = ExAllocatePoolWithTag(PoolType, Size, POOL_TAG);
    if (Memory != NULL)
        RtlZeroMemory(Memory, Size);
    return Memory;
}

ALWAYS_INLINE VOID PoolFree(PVOID Memory)
{
    if (Memory != NULL)
        ExFreePoolWithTag(Memory, POOL_TAG);
}

#endif
