/* SPDX-License-Identifier: MIT */
/*
 * tsan.c - for the thread sanitizer: what the compiler calls for volatile accesses when it is told to set them
 * apart. Such an access is the driver's word that another thread may change the value, and no race.
 *
 * A read comes after what was done before the interlocked operation that wrote the value, as the processors
 * that the driver is for have it. A write orders nothing; but for one: a driver that clears
 * DO_DEVICE_INITIALIZING thereby lets others open its device, who see what it has done before.
 */
#include "internal.h"

#ifdef __SANITIZE_THREAD__

#define VOLATILE(bytes)                                                                            \
    void __tsan_volatile_read##bytes(void *address);                                               \
    void __tsan_volatile_read##bytes(void *address)                                                \
    {                                                                                              \
        SIM_ACQUIRE(address);                                                                      \
    }                                                                                              \
    void __tsan_volatile_write##bytes(void *address);                                              \
    void __tsan_volatile_write##bytes(void *address)                                               \
    {                                                                                              \
        if (SimSelf != NULL && SimSelf->Published == address)                                      \
            SIM_RELEASE(address);                                                                  \
    }

VOLATILE(1)
VOLATILE(2)
VOLATILE(4)
VOLATILE(8)
VOLATILE(16)

#endif
