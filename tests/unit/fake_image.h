/* SPDX-License-Identifier: MIT */
/*
 * fake_image.h - an image for tests: counts its calls, takes as long as it is told, fails and gets
 * stuck when it is told. Its bytes are all equal to the number of their sector, as far as a byte
 * goes.
 */
#ifndef CM_TESTS_FAKE_IMAGE_H
#define CM_TESTS_FAKE_IMAGE_H

#include <stdatomic.h>
#include <stdint.h>
#include <string.h>

#include "lib/core/os.h"

#include <coremnt/image.h>

#define FAKE_SIZE (1u << 20) /* bytes */

struct fake {
    atomic_int reads, writes, flushes, trims, closes;
    atomic_int inside;      /* callbacks that run now */
    atomic_int most_inside; /* ever */
    atomic_uint last_flags; /* of a write */
    atomic_int error;       /* returned by every callback */
    atomic_uint delay_ms;   /* slept in reads and writes */
    _Atomic uint64_t
        stuck_from; /* reads that begin here or later, up to stuck_to, hang until it is 0 */
    _Atomic uint64_t stuck_to;
};

static inline void fake_enter(struct fake *fake)
{
    int inside = atomic_fetch_add(&fake->inside, 1) + 1;
    int most = atomic_load(&fake->most_inside);

    while (inside > most && !atomic_compare_exchange_weak(&fake->most_inside, &most, inside))
        continue;
    if (atomic_load(&fake->delay_ms) != 0)
        cm_os_sleep_ms(atomic_load(&fake->delay_ms));
}

static inline int fake_leave(struct fake *fake)
{
    atomic_fetch_sub(&fake->inside, 1);
    return atomic_load(&fake->error);
}

static inline int fake_read(void *context, void *buffer, uint32_t length, uint64_t offset)
{
    struct fake *fake = context;

    atomic_fetch_add(&fake->reads, 1);
    fake_enter(fake);
    while (offset >= atomic_load(&fake->stuck_from) && offset < atomic_load(&fake->stuck_to))
        cm_os_sleep_ms(1);
    for (uint32_t done = 0; done < length; done += 512)
        memset((unsigned char *)buffer + done, (int)((offset + done) / 512 & 0xff), 512);
    return fake_leave(fake);
}

static inline int fake_write(void *context, const void *buffer, uint32_t length, uint64_t offset,
                             uint32_t flags)
{
    struct fake *fake = context;

    (void)buffer;
    (void)length;
    (void)offset;
    atomic_fetch_add(&fake->writes, 1);
    atomic_store(&fake->last_flags, flags);
    fake_enter(fake);
    return fake_leave(fake);
}

static inline int fake_flush(void *context)
{
    struct fake *fake = context;

    atomic_fetch_add(&fake->flushes, 1);
    fake_enter(fake);
    return fake_leave(fake);
}

static inline int fake_trim(void *context, uint64_t offset, uint64_t length)
{
    struct fake *fake = context;

    (void)offset;
    (void)length;
    atomic_fetch_add(&fake->trims, 1);
    fake_enter(fake);
    return fake_leave(fake);
}

static inline void fake_close(void *context)
{
    struct fake *fake = context;

    atomic_fetch_add(&fake->closes, 1);
}

static const struct cm_image_ops fake_ops = {
    .size = sizeof(struct cm_image_ops),
    .flags = CM_IMAGE_PARALLEL,
    .read = fake_read,
    .close = fake_close,
    .write = fake_write,
    .flush = fake_flush,
    .trim = fake_trim,
};

#endif
