/* SPDX-License-Identifier: MIT */
/*
 * tsan.c - for the thread sanitizer: what the compiler calls for volatile accesses when it is told to set them
 * apart. They do nothing: such an access is the driver's word that another thread may change the value.
 */
#include "internal.h"

#ifdef __SANITIZE_THREAD__

#define VOLATILE(bytes)                                                                            \
    void __tsan_volatile_read##bytes(void *address);                                               \
    void __tsan_volatile_read##bytes(void *address)                                                \
    {                                                                                              \
        UNREFERENCED_PARAMETER(address);                                                           \
    }                                                                                              \
    void __tsan_volatile_write##bytes(void *address);                                              \
    void __tsan_volatile_write##bytes(void *address)                                               \
    {                                                                                              \
        UNREFERENCED_PARAMETER(address);                                                           \
    }

VOLATILE(1)
VOLATILE(2)
VOLATILE(4)
VOLATILE(8)
VOLATILE(16)

#endif
