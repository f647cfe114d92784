/* SPDX-License-Identifier: MIT */
/*
 * window.c - a part of an image as an image of its own: a partition.
 *
 * Made by programs and by lib/core/partition.c, on any thread. Its callbacks are the hot path: each
 * adds the offset and calls the image below, which has its own lock if it wants one; so none is needed
 * here, and nothing is copied. The range was checked by image.c against the size of the window, and
 * the window lies inside the image below, so no sum overflows.
 */
#include <stdlib.h>

#include "lib/core/error_internal.h"

#include <coremnt/partition.h>

struct window {
    struct cm_image *below; /* ours */
    uint64_t offset;        /* in it, bytes */
};

/* -- callbacks --------------------------------------------------------------------------------- */

static int window_read(void *context, void *buffer, uint32_t length, uint64_t offset)
{
    const struct window *window = context;

    return cm_image_read(window->below, buffer, length, window->offset + offset);
}

static int window_write(void *context, const void *buffer, uint32_t length, uint64_t offset,
                        uint32_t flags)
{
    const struct window *window = context;

    return cm_image_write(window->below, buffer, length, window->offset + offset, flags);
}

static int window_flush(void *context)
{
    const struct window *window = context;

    return cm_image_flush(window->below);
}

static int window_trim(void *context, uint64_t offset, uint64_t length)
{
    const struct window *window = context;

    return cm_image_trim(window->below, window->offset + offset, length);
}

static int window_extent(void *context, uint64_t offset, uint64_t length, struct cm_extent *extent)
{
    const struct window *window = context;

    return cm_image_extent(window->below, window->offset + offset, length, extent);
}

/* How much of the storage is the window's nobody knows, so `allocated` stays the size. */
static int window_info(void *context, struct cm_image_info *info)
{
    const struct window *window = context;
    struct cm_image_info below;
    int error = cm_image_get_info(window->below, &below);

    info->format = below.format;
    return error;
}

/* What could not be flushed was told by the window's own flush, which comes before. */
static void window_close(void *context)
{
    struct window *window = context;

    cm_image_close(window->below);
    free(window);
}

/* -- making one -------------------------------------------------------------------------------- */

static struct cm_image_ops ops_over(const struct cm_image *below, const struct cm_image_info *info)
{
    struct cm_image_ops ops = {
        .size = sizeof(ops),
        .flags = CM_IMAGE_PARALLEL | CM_IMAGE_OWN_FUA,
        .read = window_read,
        .close = window_close,
        .info = window_info,
        .extent = window_extent,
    };

    if (cm_image_is_volatile(below))
        ops.flags |= CM_IMAGE_VOLATILE;
    if (!info->read_only) {
        ops.write = window_write;
        ops.flush = window_flush;
    }
    if (info->can_trim)
        ops.trim = window_trim;
    return ops;
}

/* The rest cm_image_new() checks: a possible sector size, and whole sectors of it. */
static int check_place(const struct cm_image_info *below, uint64_t offset, uint64_t size,
                       uint32_t sector_size)
{
    if (size > below->size || offset > below->size - size)
        return cm_fail(
            CM_ERANGE,
            "%llu bytes from %llu on are not all inside the image, which has %llu bytes.",
            (unsigned long long)size, (unsigned long long)offset, (unsigned long long)below->size);
    if (sector_size < below->sector_size || offset % sector_size != 0)
        return cm_fail(CM_EINVAL,
                       "%llu bytes from %llu on are not whole sectors of %u bytes. Open the image "
                       "with smaller sectors.",
                       (unsigned long long)size, (unsigned long long)offset,
                       (unsigned)below->sector_size);
    return 0;
}

int cm_image_window(struct cm_image *image, uint64_t offset, uint64_t size, uint32_t sector_size,
                    struct cm_image **window)
{
    struct cm_image_info info;
    struct cm_image_ops ops;
    struct window *context;
    int error = cm_image_get_info(image, &info);

    *window = NULL;
    if (error != 0)
        return cm_fail(error, "the image cannot tell what it is: %s.", cm_error_name(error));
    if (sector_size == 0)
        sector_size = info.sector_size;
    error = check_place(&info, offset, size, sector_size);
    if (error != 0)
        return error;
    context = malloc(sizeof(*context));
    if (context == NULL)
        return cm_fail(CM_ENOMEM, "no memory for an image.");
    *context = (struct window){.below = image, .offset = offset};
    ops = ops_over(image, &info);
    error = cm_image_new(&ops, context, size, sector_size, window);
    if (error != 0)
        free(context);
    return error;
}
