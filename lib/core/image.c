/* SPDX-License-Identifier: MIT */
/*
 * image.c - the handle around an image's callbacks: what every image needs and none should repeat.
 *
 * Called by the pool (serve.c) for every request, on its threads, and by programs, on theirs.
 * Reads, writes, flushes and trims are the hot path: they return numbers only and, for an image
 * that is CM_IMAGE_PARALLEL, take no lock.
 */
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "abi/coremnt_abi.h"
#include "lib/core/error_internal.h"
#include "lib/core/image_internal.h"
#include "lib/core/os.h"

#include <coremnt/image.h>

struct cm_image {
    struct cm_image_ops ops; /* what the caller's table did not have is NULL */
    void *context;
    _Atomic uint64_t size; /* changed by cm_image_resize() alone */
    uint32_t sector_size;
    struct cm_os_mutex serial; /* held around every callback, unless CM_IMAGE_PARALLEL */
};

#define ALL_OPS_FLAGS (CM_IMAGE_PARALLEL | CM_IMAGE_OWN_FUA | CM_IMAGE_VOLATILE)

/* -- making and closing ------------------------------------------------------------------------ */

/* Whole fields only: a size that cuts a pointer in two leaves that one NULL. */
static int copy_ops(const struct cm_image_ops *from, struct cm_image_ops *to)
{
    size_t size;

    if (from == NULL || from->size < offsetof(struct cm_image_ops, write))
        return cm_fail(CM_EINVAL, "cm_image_ops.size is too small: set it to sizeof(struct "
                                  "cm_image_ops).");
    size = from->size < sizeof(*to) ? from->size - from->size % sizeof(void *) : sizeof(*to);
    memset(to, 0, sizeof(*to));
    memcpy(to, from, size);
    if ((to->flags & ~ALL_OPS_FLAGS) != 0)
        return cm_fail(CM_EINVAL, "unknown flags for an image: 0x%x.", (unsigned)to->flags);
    if (to->read == NULL || to->close == NULL)
        return cm_fail(CM_EINVAL, "an image needs the callbacks read and close.");
    return 0;
}

static int check_geometry(uint64_t size, uint32_t sector_size)
{
    if (sector_size != CM_SECTOR_SIZE_SMALL && sector_size != CM_SECTOR_SIZE_LARGE)
        return cm_fail(CM_EINVAL, "a sector size of %u is not possible: 512 or 4096.",
                       (unsigned)sector_size);
    if (!cm_size_is_possible(size, sector_size))
        return cm_fail(CM_EINVAL,
                       "a disk of %llu bytes is not possible: whole sectors of %u bytes, "
                       "at least one.",
                       (unsigned long long)size, (unsigned)sector_size);
    return 0;
}

int cm_image_new(const struct cm_image_ops *ops, void *context, uint64_t size, uint32_t sector_size,
                 struct cm_image **image)
{
    struct cm_image_ops all;
    struct cm_image *i;
    int error;

    *image = NULL;
    if (sector_size == 0)
        sector_size = CM_SECTOR_SIZE_SMALL;
    error = copy_ops(ops, &all);
    if (error == 0)
        error = check_geometry(size, sector_size);
    if (error != 0)
        return error;
    i = calloc(1, sizeof(*i));
    if (i == NULL)
        return cm_fail(CM_ENOMEM, "no memory for an image.");
    i->ops = all;
    i->context = context;
    i->size = size;
    i->sector_size = sector_size;
    cm_os_mutex_init(&i->serial);
    *image = i;
    return 0;
}

static void release(struct cm_image *image)
{
    image->ops.close(image->context);
    cm_os_mutex_destroy(&image->serial);
    free(image);
}

int cm_image_close(struct cm_image *image)
{
    int error;

    if (image == NULL)
        return 0;
    error = cm_image_flush(image);
    release(image);
    if (error != 0)
        cm_fail(error, "the image could not be flushed: %s. What was written last may be lost.",
                cm_error_name(error));
    return error;
}

void cm_image_discard(struct cm_image *image)
{
    char sentence[1024];

    snprintf(sentence, sizeof(sentence), "%s", cm_last_error());
    release(image);
    cm_fail(CM_OK, "%s", sentence);
}

/* -- I/O --------------------------------------------------------------------------------------- */

static void enter(struct cm_image *image)
{
    if ((image->ops.flags & CM_IMAGE_PARALLEL) == 0)
        cm_os_mutex_lock(&image->serial);
}

static void leave(struct cm_image *image)
{
    if ((image->ops.flags & CM_IMAGE_PARALLEL) == 0)
        cm_os_mutex_unlock(&image->serial);
}

/* offset + length may be over 64 bits, so nothing is added. */
static int check_range(const struct cm_image *image, uint64_t offset, uint64_t length)
{
    uint64_t size = image->size;

    if (length > size || offset > size - length)
        return CM_ERANGE;
    return (offset | length) % image->sector_size == 0 ? 0 : CM_EINVAL;
}

/* Callbacks are the user's: what is no number of ours would mislead who looks for one. */
static int own_error(int result)
{
    return result == 0 || (result < 0 && result >= CM_EDAMAGED) ? result : CM_EIO;
}

int cm_image_read(struct cm_image *image, void *buffer, uint32_t length, uint64_t offset)
{
    int error = check_range(image, offset, length);

    if (error != 0 || length == 0)
        return error;
    enter(image);
    error = own_error(image->ops.read(image->context, buffer, length, offset));
    leave(image);
    return error;
}

/* Between the write and its flush others may come in: a flush that makes more durable is no harm.
 */
int cm_image_write(struct cm_image *image, const void *buffer, uint32_t length, uint64_t offset,
                   uint32_t flags)
{
    uint32_t own = (image->ops.flags & CM_IMAGE_OWN_FUA) != 0 ? CM_IMAGE_FUA : 0;
    int error = check_range(image, offset, length);

    if ((flags & ~CM_IMAGE_FUA) != 0)
        return CM_EINVAL;
    if (image->ops.write == NULL)
        return CM_EROFS;
    if (error != 0 || length == 0)
        return error;
    enter(image);
    error = own_error(image->ops.write(image->context, buffer, length, offset, flags & own));
    leave(image);
    if (error == 0 && (flags & ~own) != 0)
        error = cm_image_flush(image);
    return error;
}

int cm_image_flush(struct cm_image *image)
{
    int error;

    if (image->ops.flush == NULL || image->ops.write == NULL)
        return 0;
    enter(image);
    error = own_error(image->ops.flush(image->context));
    leave(image);
    return error;
}

int cm_image_trim(struct cm_image *image, uint64_t offset, uint64_t length)
{
    int error = check_range(image, offset, length);

    if (image->ops.write == NULL)
        return CM_EROFS;
    if (image->ops.trim == NULL)
        return CM_ENOTSUP;
    if (error != 0 || length == 0)
        return error;
    enter(image);
    error = own_error(image->ops.trim(image->context, offset, length));
    leave(image);
    return error;
}

/* A smaller size counts before the image is cut, a larger one when there is something: nobody is let to
 * where there is nothing. */
int cm_image_resize(struct cm_image *image, uint64_t size)
{
    uint64_t before = image->size;
    int error;

    if (!cm_size_is_possible(size, image->sector_size))
        return CM_EINVAL;
    if (image->ops.write == NULL)
        return CM_EROFS;
    if (image->ops.resize == NULL)
        return CM_ENOTSUP;
    if (size < before)
        image->size = size;
    enter(image);
    error = own_error(image->ops.resize(image->context, size));
    leave(image);
    image->size = error == 0 ? size : before;
    return error;
}

/* What is known without the image; of its own answer only what it may decide is taken. */
int cm_image_get_info(struct cm_image *image, struct cm_image_info *info)
{
    struct cm_image_info told;
    int error = 0;

    memset(info, 0, sizeof(*info));
    info->format = "custom";
    info->size = image->size;
    info->allocated = image->size;
    info->sector_size = image->sector_size;
    info->read_only = image->ops.write == NULL;
    info->can_trim = image->ops.trim != NULL && image->ops.write != NULL;
    info->can_resize = image->ops.resize != NULL && image->ops.write != NULL;
    if (image->ops.info == NULL)
        return 0;
    told = *info;
    enter(image);
    error = own_error(image->ops.info(image->context, &told));
    leave(image);
    if (told.format != NULL)
        info->format = told.format;
    info->allocated = told.allocated;
    info->layout = told.layout;
    info->block_size = told.block_size;
    info->was_dirty = told.was_dirty;
    info->path = told.path;
    return error;
}

/* Whoever asks counts in sectors, and storage below need not. One that is partly this and partly that is data. */
static void to_sectors(struct cm_extent *extent, uint32_t sector_size)
{
    uint64_t whole = extent->length - extent->length % sector_size;

    if (whole == 0)
        extent->flags = CM_EXTENT_ALLOCATED;
    extent->length = whole == 0 ? sector_size : whole;
}

/* The callback's answer is held to what was asked: a loop over an image must come to its end. */
int cm_image_extent(struct cm_image *image, uint64_t offset, uint64_t length,
                    struct cm_extent *extent)
{
    int error = check_range(image, offset, length);

    *extent = (struct cm_extent){length, CM_EXTENT_ALLOCATED, 0, CM_EXTENT_NO_PLACE};
    if (error != 0 || image->ops.extent == NULL || length == 0)
        return error;
    enter(image);
    error = own_error(image->ops.extent(image->context, offset, length, extent));
    leave(image);
    if (error == 0 && (extent->length == 0 || extent->length > length))
        error = CM_EIO;
    if (error == 0)
        to_sectors(extent, image->sector_size);
    return error;
}

struct cm_image *cm_image_parent(const struct cm_image *image)
{
    return image->ops.parent != NULL ? image->ops.parent(image->context) : NULL;
}

int cm_image_is_volatile(const struct cm_image *image)
{
    return (image->ops.flags & CM_IMAGE_VOLATILE) != 0;
}
