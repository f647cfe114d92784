/* SPDX-License-Identifier: MIT */
/*
 * loopback.c - cm_loopback_*: an image served to the same process, by the same pool that serves a
 * disk.
 *
 * Called by programs and tests, on their threads. Checks what the driver would check of a request
 * before it takes it in; the rest is loopback_queue.c's.
 */
#include <stdlib.h>

#include "abi/coremnt_abi.h"
#include "lib/core/disk_options.h"
#include "lib/core/error_internal.h"
#include "lib/core/loopback_queue.h"
#include "lib/core/serve.h"
#include "lib/core/transport.h"

#include <coremnt/loopback.h>

struct cm_loopback {
    struct cm_transport *transport;
    struct cm_server *server;
    struct cm_image_info info;
};

int cm_loopback_open(struct cm_image *image, const struct cm_disk_options *given,
                     struct cm_loopback **loopback)
{
    struct cm_disk_options options;
    struct cm_loopback *l;
    int error;

    *loopback = NULL;
    if (image == NULL)
        return cm_fail(CM_EINVAL, "no image is given.");
    error = cm_disk_options_read(given, &options);
    if (error != 0)
        return error;
    l = calloc(1, sizeof(*l));
    if (l == NULL)
        return cm_fail(CM_ENOMEM, "no memory for a loopback.");
    error = cm_image_get_info(image, &l->info);
    if (error == 0)
        error = cm_loopback_queue_open(options.queue_depth, options.slot_size, &l->transport);
    if (error == 0)
        error = cm_server_start(l->transport, image, options.threads, &l->server);
    if (error == 0) {
        *loopback = l;
        return 0;
    }
    cm_loopback_close(l);
    return error;
}

void cm_loopback_close(struct cm_loopback *loopback)
{
    if (loopback == NULL)
        return;
    cm_server_stop(loopback->server);
    if (loopback->transport != NULL)
        loopback->transport->ops->close(loopback->transport);
    free(loopback);
}

/* The driver's order: the range first, then whether it may be written at all. */
static int check(const struct cm_loopback *loopback, uint64_t offset, uint64_t length, int writes)
{
    const struct cm_image_info *info = &loopback->info;

    if (length > info->size || offset > info->size - length)
        return CM_ERANGE;
    if ((offset | length) % info->sector_size != 0)
        return CM_EINVAL;
    return writes && info->read_only ? CM_EROFS : 0;
}

int cm_loopback_read(struct cm_loopback *loopback, void *buffer, uint32_t length, uint64_t offset)
{
    int error = check(loopback, offset, length, 0);

    if (error != 0 || length == 0)
        return error;
    return cm_loopback_queue_do(loopback->transport, CM_OP_READ, 0, buffer, length, offset);
}

int cm_loopback_write(struct cm_loopback *loopback, const void *buffer, uint32_t length,
                      uint64_t offset, uint32_t flags)
{
    int error = check(loopback, offset, length, 1);
    uint16_t request_flags = (flags & CM_IMAGE_FUA) != 0 ? CM_REQUEST_FUA : 0;

    if ((flags & ~CM_IMAGE_FUA) != 0)
        return CM_EINVAL;
    if (error != 0 || length == 0)
        return error;
    /* A WRITE only reads its buffer. */
    return cm_loopback_queue_do(loopback->transport, CM_OP_WRITE, request_flags, (void *)buffer,
                                length, offset);
}

int cm_loopback_flush(struct cm_loopback *loopback)
{
    return cm_loopback_queue_do(loopback->transport, CM_OP_FLUSH, 0, NULL, 0, 0);
}

int cm_loopback_trim(struct cm_loopback *loopback, uint64_t offset, uint64_t length)
{
    int error = check(loopback, offset, length, 1);

    if (error != 0)
        return error;
    if (!loopback->info.can_trim)
        return CM_ENOTSUP;
    if (length == 0)
        return 0;
    return cm_loopback_queue_do(loopback->transport, CM_OP_TRIM, 0, NULL, length, offset);
}

int cm_loopback_stats(struct cm_loopback *loopback, struct cm_stats *stats)
{
    cm_loopback_queue_stats(loopback->transport, stats);
    return 0;
}
