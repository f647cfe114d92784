/* SPDX-License-Identifier: MIT */
/*
 * fixed.c - VHDs of fixed size: the disk's bytes as they are, and the footer behind them. The callbacks are the hot path;
 * they take no lock.
 *
 * A resize is the one thing that could cut such a file off from its footer, of which it has no copy. So it grows in steps
 * whose sizes are powers of two: until a step's footer has reached the storage, the one before it lies a power of two
 * before the end, where footer.c looks for it. A smaller disk gets its footer first, and then the file is cut behind it;
 * a power cut in between leaves the larger disk, with that footer in what was to be cut off.
 */
#include <stdlib.h>

#include "images/vhd/map.h"
#include "lib/core/error_internal.h"

struct fixed {
    struct cm_store *store;
    struct vhd_footer footer;
    int was_dirty;
};

/* -- callbacks --------------------------------------------------------------------------------- */

static int fixed_read(void *context, void *buffer, uint32_t length, uint64_t offset)
{
    struct fixed *fixed = context;

    return cm_store_read(fixed->store, buffer, length, offset);
}

static int fixed_write(void *context, const void *buffer, uint32_t length, uint64_t offset,
                       uint32_t flags)
{
    struct fixed *fixed = context;

    (void)flags;
    return cm_store_write(fixed->store, buffer, length, offset);
}

static int fixed_flush(void *context)
{
    struct fixed *fixed = context;

    return cm_store_flush(fixed->store);
}

static int fixed_info(void *context, struct cm_image_info *info)
{
    struct fixed *fixed = context;

    info->format = "vhd";
    info->layout = CM_LAYOUT_FLAT;
    info->path = cm_store_path(fixed->store);
    info->was_dirty = fixed->was_dirty;
    return cm_store_allocated(fixed->store, &info->allocated);
}

static int fixed_extent(void *context, uint64_t offset, uint64_t length, struct cm_extent *extent)
{
    (void)context;
    *extent = (struct cm_extent){length, CM_EXTENT_ALLOCATED, 0, offset};
    return 0;
}

static void fixed_close(void *context)
{
    struct fixed *fixed = context;

    cm_store_close(fixed->store);
    free(fixed);
}

/* -- another size ------------------------------------------------------------------------------ */

/* The footer for a size, durably at its place. */
static int put_footer(struct fixed *fixed, struct vhd_footer *footer, uint64_t size)
{
    int error;

    vhd_footer_set_size(footer, size);
    error = cm_store_write(fixed->store, footer->bytes, VHD_FOOTER_SIZE, size);
    return error == 0 ? cm_store_flush(fixed->store) : error;
}

static int grow_step(struct fixed *fixed, struct vhd_footer *footer, uint64_t size)
{
    uint64_t before = footer->size;
    int error = cm_store_resize(fixed->store, size + VHD_FOOTER_SIZE);

    if (error == 0)
        error = put_footer(fixed, footer, size);
    return error == 0 ? cm_store_zero(fixed->store, before, VHD_FOOTER_SIZE) : error;
}

/* Each step but the last may be seen by a power cut only; the file is then longer than what was asked, not damaged. */
static int grow(struct fixed *fixed, struct vhd_footer *footer, uint64_t size)
{
    int error = 0;

    for (unsigned step = 41; step >= 9 && error == 0; step--)
        if (size - footer->size >= UINT64_C(1) << step)
            error = grow_step(fixed, footer, footer->size + (UINT64_C(1) << step));
    return error;
}

/* What the footer overwrites belongs to the disk as long as that is the larger one. */
static int shrink(struct fixed *fixed, struct vhd_footer *footer, uint64_t size)
{
    unsigned char data[VHD_FOOTER_SIZE];
    int error = cm_store_read(fixed->store, data, sizeof(data), size);

    if (error != 0)
        return error;
    error = put_footer(fixed, footer, size);
    if (error == 0)
        error = cm_store_resize(fixed->store, size + VHD_FOOTER_SIZE);
    if (error != 0)
        (void)cm_store_write(fixed->store, data, sizeof(data), size);
    return error;
}

/* Back to where it was: the old footer first. */
static void undo(struct fixed *fixed)
{
    uint64_t size = fixed->footer.size;

    if (cm_store_size(fixed->store) < size + VHD_FOOTER_SIZE)
        (void)cm_store_resize(fixed->store, size + VHD_FOOTER_SIZE);
    if (cm_store_write(fixed->store, fixed->footer.bytes, VHD_FOOTER_SIZE, size) == 0 &&
        cm_store_flush(fixed->store) == 0)
        (void)cm_store_resize(fixed->store, size + VHD_FOOTER_SIZE);
}

/* What lies between the disk and the footer, in files of some, is no part of the disk and not known to be zeros; and the
 * footer of a growth is found by its size. */
static int make_even(struct fixed *fixed)
{
    uint64_t size = fixed->footer.size, end = cm_store_size(fixed->store) - VHD_FOOTER_SIZE;
    struct vhd_footer footer = fixed->footer;
    int error;

    if (end == size && fixed->footer.current_size == size)
        return 0;
    error = put_footer(fixed, &footer, size);
    if (error == 0)
        error = cm_store_resize(fixed->store, size + VHD_FOOTER_SIZE);
    if (error == 0)
        fixed->footer = footer;
    return error;
}

static int fixed_resize(void *context, uint64_t size)
{
    struct fixed *fixed = context;
    struct vhd_footer footer;
    int error = size > VHD_DISK_MAX ? CM_ENOTSUP : make_even(fixed);

    if (error != 0)
        return error;
    footer = fixed->footer;
    error = size > footer.size ? grow(fixed, &footer, size) : shrink(fixed, &footer, size);
    if (error == 0)
        error = cm_store_flush(fixed->store);
    if (error == 0)
        fixed->footer = footer;
    else
        undo(fixed);
    return error;
}

/* No trim: the image has all of its space, and keeps it. */
static const struct cm_image_ops fixed_ops = {
    .size = sizeof(struct cm_image_ops),
    .flags = CM_IMAGE_PARALLEL,
    .read = fixed_read,
    .close = fixed_close,
    .write = fixed_write,
    .flush = fixed_flush,
    .info = fixed_info,
    .resize = fixed_resize,
    .extent = fixed_extent,
};

/* -- opening ----------------------------------------------------------------------------------- */

/* Its own place is before the end, by what footer.c has looked at. Padding is cut off; behind a growth that was cut short it
 * is written where others look for it. */
int vhd_fixed_restore_end(struct cm_store *store, const struct vhd_footer *footer)
{
    uint64_t end = cm_store_size(store) - VHD_FOOTER_SIZE, own = footer->current_size;
    int error = CM_EDAMAGED;

    if (end > own && end - own <= VHD_PADDING_MAX && footer->size <= own)
        error = cm_store_resize(store, own + VHD_FOOTER_SIZE);
    else if (end > footer->size)
        error = cm_store_write(store, footer->bytes, VHD_FOOTER_SIZE, end);
    if (error == 0)
        error = cm_store_flush(store);
    return error == 0
               ? 0
               : cm_fail(error, "cannot write the missing footer of %s.", cm_store_path(store));
}

int vhd_fixed_open(struct cm_store *store, const struct vhd_footer *footer,
                   const struct vhd_found *found, struct cm_image **image)
{
    struct cm_image_ops own = fixed_ops;
    struct fixed *fixed;
    int error = 0;

    *image = NULL;
    if (footer->size > cm_store_size(store) - VHD_FOOTER_SIZE)
        return cm_fail(CM_EDAMAGED,
                       "%s is damaged: its footer says that the disk has %llu bytes, and the file "
                       "has %llu. It was cut off.",
                       cm_store_path(store), (unsigned long long)footer->size,
                       (unsigned long long)cm_store_size(store));
    fixed = calloc(1, sizeof(*fixed));
    if (fixed == NULL)
        return cm_fail(CM_ENOMEM, "no memory to open %s.", cm_store_path(store));
    fixed->store = store;
    fixed->footer = *footer;
    fixed->was_dirty = found->end_is_missing;
    if (cm_store_is_read_only(store))
        own.write = NULL;
    else if (found->end_is_missing)
        error = vhd_fixed_restore_end(store, footer);
    if (error == 0)
        error = cm_image_new(&own, fixed, footer->size, VHD_SECTOR, image);
    if (error != 0)
        free(fixed);
    return error;
}
