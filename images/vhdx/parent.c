/* SPDX-License-Identifier: MIT */
/*
 * parent.c - the image that a differencing one is upon: found, checked and opened; or named, when a new one is made.
 *
 * Called when an image is opened or made. The parent is one of our images, read-only, and may have a parent itself; a
 * chain that goes on too long, as one that leads back to itself does, is refused. It is the right one if it has not
 * been written to since: then its header has the identifier that the child's locator names.
 */
#include <stdlib.h>
#include <string.h>

#include "images/vhdx/disk.h"
#include "images/vhdx/vhdx.h"
#include "lib/core/error_internal.h"
#include "lib/core/parent_find.h"
#include "lib/core/parent_path.h"

#define PATH_SIZE 4096u /* bytes */

/* -- opening ----------------------------------------------------------------------------------- */

static int is_linked(const struct vhdx_locator *locator, const struct vhdx_guid *data_write)
{
    return vhdx_guid_equal(&locator->linkage, data_write) ||
           (!vhdx_guid_is_zero(&locator->linkage2) &&
            vhdx_guid_equal(&locator->linkage2, data_write));
}

static struct cm_image_options parent_options(const struct cm_image_options *options)
{
    struct cm_image_options open = {.struct_size = sizeof(open)};

    open.flags = (options->flags & (CM_OPEN_CACHED | CM_OPEN_UNCACHED)) | CM_OPEN_READ_ONLY;
    return open;
}

/* An image of the right name is not the parent if it was written to since, or never was. */
int vhdx_parent_check(const char *child, const struct vhdx_locator *locator,
                      struct cm_store *parent)
{
    struct vhdx_header header;
    int error = vhdx_header_read(parent, &header);

    if (error != 0 || is_linked(locator, &header.data_write))
        return error;
    return cm_fail(
        CM_EDAMAGED,
        "%s was changed after %s was made upon it: what is in %s does not fit it any "
        "more. Use the parent as it was, or \"coremnt rebase\" if you know that it fits.",
        cm_store_path(parent), child, child);
}

struct wanted {
    const char *child;
    const struct vhdx_locator *locator;
};

static int judge(void *context, struct cm_store *file)
{
    const struct wanted *wanted = context;

    return vhdx_parent_check(wanted->child, wanted->locator, file);
}

int vhdx_parent_find(const char *child, const struct vhdx_locator *locator,
                     const struct cm_image_options *options, struct cm_store **store)
{
    struct wanted wanted = {child, locator};
    struct cm_parent_search search = {child, locator->relative_path, locator->absolute_path, judge,
                                      &wanted};

    return cm_parent_find(&search, options, store);
}

static int check_parent(struct vhdx *v, const struct vhdx *parent)
{
    if (parent->metadata.sector_size != v->metadata.sector_size)
        return cm_fail(CM_EDAMAGED, "%s has sectors of %u bytes, and its parent %s of %u.",
                       cm_store_path(v->file), (unsigned)v->metadata.sector_size,
                       cm_store_path(parent->file), (unsigned)parent->metadata.sector_size);
    /* what a larger parent has behind the end of this disk is none of its content */
    v->parent_size = parent->metadata.disk_size < v->metadata.disk_size ? parent->metadata.disk_size
                                                                        : v->metadata.disk_size;
    return 0;
}

/* The one that the locator means, with its own parents. On failure v->parent may be open, and is closed with v. */
static int open_found(struct vhdx *v, const struct cm_image_options *options,
                      struct cm_store *store)
{
    struct vhdx *parent;
    int error = vhdx_open_over(store, options, v->depth + 1, &v->parent, &parent);

    if (error != 0)
        cm_store_close(store);
    return error != 0 ? error : check_parent(v, parent);
}

static int open_located(struct vhdx *v, const struct cm_image_options *options,
                        const struct vhdx_locator *locator)
{
    struct cm_image_options open = parent_options(options);
    struct cm_store *found;
    int error = vhdx_parent_find(cm_store_path(v->file), locator, &open, &found);

    return error == 0 ? open_found(v, &open, found) : error;
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

int vhdx_open_path(const char *path, const struct cm_image_options *options, unsigned depth,
                   struct cm_image **image, struct vhdx **vhdx)
{
    struct cm_image_options open = parent_options(options);
    struct cm_store *store;
    int error = cm_store_open(path, &open, &store);

    if (error != 0)
        return error;
    error = vhdx_open_over(store, &open, depth, image, vhdx);
    if (error != 0)
        cm_store_close(store);
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

/* In the form that [MS-VHDX] 2.6.2.6.3 shows. */
static char *absolute_path(const char *full)
{
    static const char prefix[] = "\\\\?\\";
    char *path = malloc(sizeof(prefix) + strlen(full));

    if (path == NULL)
        return NULL;
    strcpy(path, full[0] != '\0' && full[1] == ':' ? prefix : "");
    strcat(path, full);
    return path;
}

/* Both names, so that the two may be moved together, or the child alone. The absolute one is by definition one of Windows; it
 * is written also where paths have no drives, because libvhdi knows no other. */
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
    locator->absolute_path = absolute_path(parent_full);
    if (locator->absolute_path != NULL)
        return 0;
    vhdx_locator_free(locator);
    return cm_fail(CM_ENOMEM, "no memory for the names of a parent.");
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
