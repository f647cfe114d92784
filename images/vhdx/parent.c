/* SPDX-License-Identifier: MIT */
/*
 * parent.c - the image that a differencing one is upon: found, checked and opened; or named, when a new one is made.
 *
 * Called when an image is opened or made. The parent is one of our images, read-only, and may have a parent itself; a
 * chain that goes on too long, as one that leads back to itself does, is refused. It is the right one if it has not
 * been written to since: then its header has the identifier that the child's locator names.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "images/vhdx/disk.h"
#include "images/vhdx/vhdx.h"
#include "lib/core/error_internal.h"
#include "lib/core/parent_path.h"

#define PATH_SIZE 4096u /* bytes */

/* -- opening ----------------------------------------------------------------------------------- */

int vhdx_parent_is_linked(const struct vhdx_locator *locator, const struct vhdx_guid *data_write)
{
    return vhdx_guid_equal(&locator->linkage, data_write) ||
           (!vhdx_guid_is_zero(&locator->linkage2) &&
            vhdx_guid_equal(&locator->linkage2, data_write));
}

static int check_parent(struct vhdx *v, const struct vhdx_locator *locator,
                        const struct vhdx *parent)
{
    if (!vhdx_parent_is_linked(locator, &parent->header.data_write))
        return cm_fail(
            CM_EDAMAGED,
            "%s was changed after %s was made upon it: what is in %s does not fit it any "
            "more. Use the parent as it was, or \"coremnt rebase\" if you know that it fits.",
            cm_store_path(parent->file), cm_store_path(v->file), cm_store_path(v->file));
    if (parent->metadata.sector_size != v->metadata.sector_size)
        return cm_fail(CM_EDAMAGED, "%s has sectors of %u bytes, and its parent %s of %u.",
                       cm_store_path(v->file), (unsigned)v->metadata.sector_size,
                       cm_store_path(parent->file), (unsigned)parent->metadata.sector_size);
    return 0;
}

/* Until one of the paths is there; what is wrong with that one is told. */
static int open_first(struct vhdx *v, const struct cm_image_options *options, char *const *paths,
                      unsigned count, struct vhdx **parent)
{
    int error = CM_ENOENT;

    for (unsigned i = 0; i < count && error == CM_ENOENT; i++)
        error = vhdx_open_path(paths[i], options, v->depth + 1, &v->parent, parent);
    if (error != CM_ENOENT || count == 0)
        return error;
    return cm_fail(
        CM_ENOENT,
        "the parent of %s is missing: %s. Put it there, or name its place with \"coremnt "
        "rebase --trust\".",
        cm_store_path(v->file), paths[0]);
}

static int open_located(struct vhdx *v, const struct cm_image_options *options,
                        const struct vhdx_locator *locator)
{
    char *paths[CM_PARENT_PATHS];
    struct cm_image_info info;
    struct vhdx *parent = NULL;
    unsigned count = cm_parent_paths(cm_store_path(v->file), locator->relative_path,
                                     locator->absolute_path, paths);
    int error = open_first(v, options, paths, count, &parent);

    if (count == 0)
        cm_fail(error,
                "%s does not say what its parent is. Name it with \"coremnt rebase --trust\".",
                cm_store_path(v->file));
    for (unsigned i = 0; i < count; i++)
        free(paths[i]);
    if (error == 0)
        error = check_parent(v, locator, parent);
    if (error == 0)
        error = cm_image_get_info(v->parent, &info);
    if (error == 0)
        v->parent_size = info.size;
    return error;
}

int vhdx_parent_open(struct vhdx *v, const struct cm_image_options *options)
{
    struct vhdx_locator locator;
    int error;

    if (v->depth >= VHDX_DEPTH_MAX)
        return cm_fail(
            CM_EDAMAGED,
            "%s: its parents go round in a circle, or there are more than %u. Merge some "
            "with \"coremnt commit\".",
            cm_store_path(v->file), VHDX_DEPTH_MAX);
    error = vhdx_locator_read(v->view, &v->metadata, &locator);
    if (error != 0)
        return error;
    error = open_located(v, options, &locator);
    vhdx_locator_free(&locator);
    return error;
}

/* -- without it -------------------------------------------------------------------------------- */

static int read_zeros(void *context, void *buffer, uint32_t length, uint64_t offset)
{
    (void)context;
    (void)offset;
    memset(buffer, 0, length);
    return 0;
}

static int extent_of_zeros(void *context, uint64_t offset, uint64_t length,
                           struct cm_extent *extent)
{
    (void)context;
    (void)offset;
    *extent = (struct cm_extent){length, CM_EXTENT_ZERO, 0, CM_EXTENT_NO_PLACE};
    return 0;
}

static void close_nothing(void *context)
{
    (void)context;
}

int vhdx_parent_stand_in(struct vhdx *v)
{
    static const struct cm_image_ops ops = {
        .size = sizeof(struct cm_image_ops),
        .flags = CM_IMAGE_PARALLEL,
        .read = read_zeros,
        .close = close_nothing,
        .extent = extent_of_zeros,
    };

    v->parent_size = v->metadata.disk_size;
    return cm_image_new(&ops, v, v->parent_size, v->metadata.sector_size, &v->parent);
}

/* -- making ------------------------------------------------------------------------------------ */

/* Both names, so that the two may be moved together, or the child alone. */
int vhdx_parent_locate(const char *child, const struct vhdx *parent, struct vhdx_locator *locator)
{
    char child_full[PATH_SIZE], parent_full[PATH_SIZE];
    int error = cm_os_full_path(child, child_full, sizeof(child_full));

    memset(locator, 0, sizeof(*locator));
    if (error == 0)
        error = cm_os_full_path(cm_store_path(parent->file), parent_full, sizeof(parent_full));
    if (error != 0)
        return error;
    locator->linkage = parent->header.data_write;
    locator->relative_path = cm_parent_relative(child_full, parent_full);
    locator->absolute_path = malloc(strlen(parent_full) + 1);
    if (locator->absolute_path == NULL) {
        vhdx_locator_free(locator);
        return cm_fail(CM_ENOMEM, "no memory for the names of a parent.");
    }
    strcpy(locator->absolute_path, parent_full);
    return 0;
}

static int write_locator(struct cm_store *store, const struct vhdx *parent)
{
    static const uint32_t room = 65536;
    struct vhdx_locator locator;
    struct vhdx_header header;
    struct vhdx_regions regions;
    struct vhdx_metadata metadata;
    unsigned char *bytes = calloc(1, room);
    uint32_t size;
    int error = vhdx_parent_locate(cm_store_path(store), parent, &locator);

    if (bytes == NULL && error == 0)
        error = cm_fail(CM_ENOMEM, "no memory for the names of a parent.");
    if (error == 0)
        error = vhdx_header_read(store, &header);
    if (error == 0)
        error = vhdx_regions_read(store, &header, &regions);
    if (error == 0)
        error = vhdx_metadata_read(store, &regions.metadata, &metadata);
    if (error == 0)
        error = vhdx_locator_make(&locator, bytes, room, &size);
    if (error == 0)
        error = vhdx_metadata_set_locator(store, &regions.metadata, &metadata, bytes, size);
    if (error == 0)
        error = cm_store_flush(store);
    free(bytes);
    vhdx_locator_free(&locator);
    return error;
}

/* A new image takes its size and sectors from its parent; it may be larger. */
static int fit_parent(const struct vhdx *parent, struct cm_image_options *options)
{
    const struct vhdx_metadata *metadata = &parent->metadata;

    if (options->sector_size != 0 && options->sector_size != metadata->sector_size)
        return cm_fail(CM_EINVAL,
                       "the parent has sectors of %u bytes; its child must have the same.",
                       (unsigned)metadata->sector_size);
    if (options->size != 0 && options->size < metadata->disk_size)
        return cm_fail(CM_EINVAL,
                       "the parent is a disk of %llu bytes; its child cannot be smaller. Leave the "
                       "size out.",
                       (unsigned long long)metadata->disk_size);
    if ((options->flags & CM_OPEN_FIXED) != 0)
        return cm_fail(CM_EINVAL,
                       "an image with a parent grows as data comes: it cannot be fixed.");
    options->sector_size = metadata->sector_size;
    if (options->size == 0)
        options->size = metadata->disk_size;
    return 0;
}

static int create_child(struct cm_store *store, struct cm_image_options *options)
{
    struct cm_image *image;
    struct vhdx *parent;
    int error = vhdx_open_path(options->parent, options, 1, &image, &parent);

    if (error != 0)
        return error;
    error = fit_parent(parent, options);
    if (error == 0)
        error = cm_vhdx_format(store, options);
    if (error == 0)
        error = write_locator(store, parent);
    (void)cm_image_close(image);
    return error;
}

int vhdx_create(struct cm_store *store, const struct cm_image_options *options)
{
    struct cm_image_options create = *options;

    return create.parent != NULL ? create_child(store, &create) : cm_vhdx_format(store, &create);
}
