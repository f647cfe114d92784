/* SPDX-License-Identifier: MIT */
/*
 * disk_options.c - reads the options that a disk is made with.
 *
 * Called when a disk or a loopback is opened, on the caller's thread; not on the hot path.
 */
#include "lib/core/disk_options.h"

#include <string.h>

#include "abi/coremnt_abi.h"
#include "lib/core/error_internal.h"

static void fill_in(struct cm_disk_options *options)
{
    if (options->threads == 0)
        options->threads = CM_DEFAULT_THREADS;
    if (options->queue_depth == 0)
        options->queue_depth = CM_DEFAULT_QUEUE_DEPTH;
    if (options->slot_size == 0)
        options->slot_size = CM_DEFAULT_SLOT_SIZE;
}

static int check(const struct cm_disk_options *options)
{
    uint32_t slot_size = options->slot_size;

    if ((options->flags & ~CM_DISK_NO_MOUNT_MANAGER) != 0)
        return cm_fail(CM_EINVAL, "unknown flags for a disk: 0x%x.", (unsigned)options->flags);
    if (options->reserved != 0)
        return cm_fail(CM_EINVAL, "cm_disk_options.reserved is not 0.");
    if (options->threads > CM_MAX_THREADS)
        return cm_fail(CM_EINVAL, "%u threads are too many: at most %u.",
                       (unsigned)options->threads, CM_MAX_THREADS);
    if (options->queue_depth > CM_MAX_QUEUE_DEPTH)
        return cm_fail(CM_EINVAL, "a queue depth of %u is too much: at most %u.",
                       (unsigned)options->queue_depth, CM_MAX_QUEUE_DEPTH);
    if (slot_size < CM_MIN_SLOT_SIZE || slot_size > CM_MAX_SLOT_SIZE ||
        (slot_size & (slot_size - 1)) != 0)
        return cm_fail(CM_EINVAL, "a slot size of %u is not a power of two from %u to %u.",
                       (unsigned)slot_size, CM_MIN_SLOT_SIZE, CM_MAX_SLOT_SIZE);
    if ((uint64_t)options->queue_depth * slot_size > CM_MAX_ARENA_SIZE)
        return cm_fail(CM_EINVAL, "queue depth times slot size is over %u MiB.",
                       CM_MAX_ARENA_SIZE / 1048576u);
    if (options->hold_seconds > CM_MAX_HOLD_SECONDS)
        return cm_fail(CM_EINVAL, "a disk cannot be held for %u seconds: at most %u.",
                       (unsigned)options->hold_seconds, CM_MAX_HOLD_SECONDS);
    if (options->request_timeout_seconds > CM_MAX_TIMEOUT_SECONDS)
        return cm_fail(CM_EINVAL,
                       "a request cannot be given %u seconds: at most %u, or 0 for ever.",
                       (unsigned)options->request_timeout_seconds, CM_MAX_TIMEOUT_SECONDS);
    return 0;
}

int cm_disk_options_read(const struct cm_disk_options *given, struct cm_disk_options *options)
{
    memset(options, 0, sizeof(*options));
    if (given != NULL) {
        if (given->struct_size < sizeof(given->struct_size) ||
            given->struct_size > sizeof(*options))
            return cm_fail(CM_EINVAL, "cm_disk_options.struct_size is %u.",
                           (unsigned)given->struct_size);
        /* A caller built with an older library has a shorter structure: what it lacks is 0. */
        memcpy(options, given, given->struct_size);
    }
    fill_in(options);
    return check(options);
}
