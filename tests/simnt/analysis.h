/* SPDX-License-Identifier: MIT */
/*
 * analysis.h - what static analysers cannot see of the kernel's functions: which ones give memory that must be
 * given back, and by which it is; which take and release a lock, and which must not be called with one held.
 * scripts/analyse puts it before each file of the driver; no build includes it.
 */
#ifndef SIMNT_ANALYSIS_H
#define SIMNT_ANALYSIS_H

#include <ntifs.h>

#ifdef __clang__
/* Or it warns of attributes for locks whose type is not marked as one. */
#pragma clang system_header
#endif

#ifndef NTKERNELAPI /* how the DDK marks what is imported; redeclaring must repeat it */
#define NTKERNELAPI
#endif

#ifdef __clang__

/* Every lock of the driver is this one too: who holds any must not call what is NOT_LOCKED. */
struct __attribute__((capability("lock"))) ANY_LOCK {
    int Unused;
};
extern struct ANY_LOCK AnyLock;

/* Before each function "...Locked" of the driver. */
#define NEEDS_LOCK __attribute__((requires_capability(AnyLock)))

VOID KeAcquireSpinLock(PKSPIN_LOCK Lock, PKIRQL Irql)
    __attribute__((acquire_capability(*Lock, AnyLock)));
VOID KeReleaseSpinLock(PKSPIN_LOCK Lock, KIRQL Irql)
    __attribute__((release_capability(*Lock, AnyLock)));

/* What completes requests, waits, or is for PASSIVE_LEVEL. */
#define NOT_LOCKED(function)                                                                       \
    extern __typeof__(function) function __attribute__((locks_excluded(AnyLock)))
NOT_LOCKED(IofCompleteRequest);
NOT_LOCKED(IoDeleteDevice);
NOT_LOCKED(KeDelayExecutionThread);
NOT_LOCKED(KeWaitForSingleObject);
NOT_LOCKED(ZwClose);
NOT_LOCKED(ZwCreateSection);
NOT_LOCKED(ZwMapViewOfSection);
NOT_LOCKED(ZwUnmapViewOfSection);
NOT_LOCKED(ZwWaitForSingleObject);

PVOID __attribute__((ownership_returns(malloc, 2)))
ExAllocatePoolWithTag(POOL_TYPE Type, SIZE_T Size, ULONG Tag);
VOID __attribute__((ownership_takes(malloc, 1))) ExFreePoolWithTag(PVOID Memory, ULONG Tag);

#else

NTKERNELAPI PVOID NTAPI ExAllocatePoolWithTag(POOL_TYPE Type, SIZE_T Size, ULONG Tag)
    __attribute__((malloc(ExFreePoolWithTag, 1)));
NTKERNELAPI PIO_WORKITEM NTAPI IoAllocateWorkItem(PDEVICE_OBJECT Device)
    __attribute__((malloc(IoFreeWorkItem, 1)));

#endif
#endif
