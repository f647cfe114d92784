/* SPDX-License-Identifier: MIT */
/*
 * loopback.h - serve an image inside one process, without any driver.
 *
 * Requests go the same way as the driver's: queue, exchange, thread pool, image. For tests of your
 * image, and of ours, on any system.
 */
#ifndef COREMNT_LOOPBACK_H
#define COREMNT_LOOPBACK_H

#include <stdint.h>

#include "disk.h"

#ifdef __cplusplus
extern "C" {
#endif

struct cm_loopback;

/**
 * Serve an image to this process. Does not block.
 *
 * @param image     Stays the caller's; must live until cm_loopback_close() has returned.
 * @param options   threads, queue_depth, slot_size; the rest is ignored. NULL for defaults.
 * @param loopback  Out: release with cm_loopback_close(). NULL on failure.
 * @return 0, CM_EINVAL or CM_ENOMEM. Threads: any. Since 0.1.
 */
CM_API int cm_loopback_open(struct cm_image *image, const struct cm_disk_options *options,
                            struct cm_loopback **loopback);

/**
 * Do what an application's ReadFile, WriteFile, FlushFileBuffers or trim would. Each blocks until
 * it is answered; large ones are split into slots that are served in parallel. Any number may be
 * under way at once. `flags`: CM_IMAGE_FUA.
 *
 * @return 0; CM_ERANGE or CM_EINVAL (outside the disk, not whole sectors), CM_EROFS; what the image
 *         returned; CM_EGONE when the loopback has been shut down.
 * Threads: any, not an image's callback. Since 0.1.
 */
CM_API int cm_loopback_read(struct cm_loopback *loopback, void *buffer, uint32_t length,
                            uint64_t offset);
CM_API int cm_loopback_write(struct cm_loopback *loopback, const void *buffer, uint32_t length,
                             uint64_t offset, uint32_t flags);
CM_API int cm_loopback_flush(struct cm_loopback *loopback);
CM_API int cm_loopback_trim(struct cm_loopback *loopback, uint64_t offset, uint64_t length);

/** The counters, as the driver would give them. Does not block. Threads: any. Since 0.1. */
CM_API int cm_loopback_stats(struct cm_loopback *loopback, struct cm_stats *stats);

/**
 * Fail what is under way with CM_EGONE, end the threads, free it. NULL is allowed.
 * Blocks until the image's callbacks have returned. Threads: any one. Since 0.1.
 */
CM_API void cm_loopback_close(struct cm_loopback *loopback);

#ifdef __cplusplus
}
#endif
#endif
