/* SPDX-License-Identifier: MIT */
/*
 * relink.c - differencing VHDs merged into their parent, put upon another one, or made whole. Called by
 * lib/core/differencing.c with a file that nobody else has open.
 *
 * Data first, durably, and names last. The header is two sectors, of which a power cut could leave one: so a new one is
 * written behind the end, with its names, and the footers, one sector each, say where it is. A merge that was cut short
 * leaves the child as it was, over a parent that has some of it already, which is the same content: it is done again.
 */
#include <stdlib.h>
#include <string.h>

#include "images/vhd/map.h"
#include "lib/core/bytes.h"
#include "lib/core/differencing.h"
#include "lib/core/error_internal.h"
#include "lib/core/image_internal.h"

#define PAGE UINT64_C(4096)

static int cannot(struct cm_store *store, int error)
{
    return error == 0 ? 0
                      : cm_fail(error, "cannot write to %s: %s.", cm_store_path(store),
                                cm_error_name(error));
}

/* -- merging ----------------------------------------------------------------------------------- */

/* The parent, which is opened read-only first to be sure that it is the one. */
static int open_parent(struct vhd *vhd, struct cm_image **parent)
{
    struct cm_image_options options = {.struct_size = sizeof(options)};
    struct cm_image_info info;
    char *path = NULL;
    int error = vhd_parent_open(vhd, &options, 0, parent);

    if (error != 0)
        return error;
    if (cm_image_get_info(*parent, &info) == 0 && info.path != NULL) {
        path = malloc(strlen(info.path) + 1);
        if (path != NULL)
            strcpy(path, info.path);
    }
    (void)cm_image_close(*parent);
    *parent = NULL;
    if (path == NULL)
        return cm_fail(CM_ENOMEM, "no memory to open the parent of %s.", cm_store_path(vhd->store));
    error = cm_vhd_open(path, &options, parent);
    free(path);
    return error;
}

static int drop_all(struct vhd *vhd)
{
    int error = 0;

    cm_os_mutex_lock(&vhd->lock);
    for (uint32_t i = 0; i < vhd->header.needed && error == 0; i++)
        if (vhd->bat[i] != VHD_ABSENT)
            error = vhd_space_give(vhd, i, 0);
    cm_os_mutex_unlock(&vhd->lock);
    if (error == 0)
        error = vhd_commit(vhd);
    for (size_t i = 0; i < vhd->stale.count && error == 0; i++) /* what cannot be cut off */
        (void)cm_store_punch(vhd->store, vhd->stale.items[i].from,
                             vhd->stale.items[i].to - vhd->stale.items[i].from);
    return error;
}

int vhd_merge(struct cm_store *store, cm_progress *progress, void *context)
{
    struct cm_image *child, *parent = NULL;
    struct vhd *vhd;
    int error = vhd_open_lent(store, 0, &child, &vhd), close_error;

    if (error != 0)
        return error;
    error = open_parent(vhd, &parent);
    if (error == 0)
        error = cm_differencing_push(child, parent, progress, context);
    if (parent != NULL) {
        if (error != 0)
            cm_image_discard(parent);
        else
            error = cm_image_close(parent); /* with a flush */
    }
    if (error == 0)
        error = cannot(store, drop_all(vhd));
    if (error != 0) {
        cm_image_discard(child);
        return error;
    }
    close_error = cm_image_close(child);
    return close_error;
}

/* -- another header ---------------------------------------------------------------------------- */

static int write_new_header(struct vhd *vhd, const struct vhd_locator_bytes *names)
{
    int error = cm_store_resize(vhd->store, vhd->header.at + VHD_HEADER_SIZE + VHD_FOOTER_SIZE);

    for (unsigned i = 0; i < vhd->header.locator_count && error == 0; i++)
        error = cm_store_write(vhd->store, names->bytes[i], vhd->header.locators[i].space,
                               vhd->header.locators[i].at);
    vhd_header_make(&vhd->header);
    if (error == 0)
        error = cm_store_write(vhd->store, vhd->header.bytes, VHD_HEADER_SIZE, vhd->header.at);
    if (error == 0)
        error = vhd_footer_write_end(vhd); /* the old one */
    return error == 0 ? cm_store_flush(vhd->store) : error;
}

static int switch_header(struct vhd *vhd, const struct vhd_locator_bytes *names, enum vhd_type type)
{
    int error = write_new_header(vhd, names);

    if (error == 0) {
        vhd_footer_set_header(&vhd->footer, type, vhd->header.at);
        error = vhd_footers_write(vhd);
    }
    return cannot(vhd->store, error);
}

/* Where in the file something new can be, behind all. */
static uint64_t behind(struct cm_store *store)
{
    return (cm_store_size(store) + PAGE - 1) / PAGE * PAGE;
}

static int name_parent(struct cm_store *store, const char *parent)
{
    struct vhd_locator_bytes names;
    struct vhd_footer footer;
    struct vhd *vhd;
    uint64_t at;
    int error = vhd_open_map(store, &vhd);

    if (error != 0)
        return error;
    if (vhd->footer.type != VHD_DIFFERENCING)
        error = cm_fail(CM_EINVAL, "%s has no parent, so it cannot get another one.",
                        cm_store_path(store));
    if (error == 0)
        error = vhd_prepare_writer(vhd);
    at = behind(store);
    if (error == 0)
        error = vhd_parent_fill(&vhd->header, cm_store_path(store), parent, at, &names, &footer);
    if (error == 0) {
        vhd->header.at = at + vhd->header.locators[0].space + vhd->header.locators[1].space;
        error = footer.size == vhd->size
                    ? switch_header(vhd, &names, VHD_DIFFERENCING)
                    : cm_fail(CM_EINVAL, "%s is a disk of another size than %s.", parent,
                              cm_store_path(store));
        free(names.bytes[0]);
        free(names.bytes[1]);
    }
    vhd_close_map(vhd);
    return error;
}

static int name_nobody(struct cm_store *store)
{
    static const struct vhd_locator_bytes none;
    struct vhd *vhd;
    int error = vhd_open_map(store, &vhd);

    if (error != 0)
        return error;
    memset(vhd->header.parent_id, 0, VHD_ID_SIZE);
    memset(vhd->header.bytes + VHD_HEADER_PARENT_NAME, 0, VHD_HEADER_SIZE - VHD_HEADER_PARENT_NAME);
    vhd->header.parent_time = 0;
    vhd->header.locator_count = 0;
    error = vhd_prepare_writer(vhd);
    vhd->header.at = behind(store);
    if (error == 0)
        error = switch_header(vhd, &none, VHD_DYNAMIC);
    vhd_close_map(vhd);
    return error;
}

/* -- another parent ---------------------------------------------------------------------------- */

/* What is not here becomes zeros that are here: in a dynamic image some programs do not look at bitmaps. */
static int fill_block(struct vhd *vhd, uint32_t block)
{
    uint64_t data = vhd_place(vhd, block) + vhd->header.bitmap_size;
    uint32_t all = vhd->header.block_size / VHD_SECTOR;
    struct vhd_bitmap *bitmap;
    int error = vhd_bitmap_get(vhd, block, 0, &bitmap);

    if (error != 0 || bitmap == NULL)
        return error;
    for (uint32_t s = 0; s < all && error == 0;) {
        uint32_t alike = vhd_bits_alike(bitmap->bits, s, all - s);

        if (!vhd_bit(bitmap->bits, s)) {
            error = cm_store_zero(vhd->store, data + (uint64_t)s * VHD_SECTOR,
                                  (uint64_t)alike * VHD_SECTOR);
            if (error == 0)
                vhd_bitmap_set(vhd, bitmap, s, alike);
        }
        s += alike;
    }
    vhd_bitmap_put(bitmap);
    return error;
}

static int fill_blocks(struct vhd *vhd)
{
    int error = 0;

    for (uint32_t i = 0; i < vhd->header.needed && error == 0; i++) {
        int is_much;

        if (vhd->bat[i] == VHD_ABSENT)
            continue;
        cm_os_mutex_lock(&vhd->lock);
        error = fill_block(vhd, i);
        is_much = vhd->dirty_bitmaps >= VHD_DIRTY_MAX;
        cm_os_mutex_unlock(&vhd->lock);
        if (error == 0 && is_much)
            error = vhd_commit(vhd);
    }
    return cannot(vhd->store, error);
}

/* The content becomes such that it is the same upon another parent, NULL: upon none. */
static int pull(struct cm_store *store, const char *parent, cm_progress *progress, void *context)
{
    struct cm_image_options options = {.struct_size = sizeof(options), .flags = CM_OPEN_READ_ONLY};
    struct cm_image *child, *below = NULL;
    struct vhd *vhd;
    int error = vhd_open_lent(store, 1, &child, &vhd);

    if (error != 0)
        return error;
    vhd->keeps_zeros = 1;
    if (parent != NULL)
        error = cm_vhd_open(parent, &options, &below);
    if (error == 0 && below != NULL)
        error = cm_differencing_fit(child, below);
    if (error == 0)
        error = cm_differencing_pull(child, below, progress, context);
    if (error == 0 && parent == NULL)
        error = fill_blocks(vhd);
    if (below != NULL)
        cm_image_discard(below);
    if (error == 0)
        return cm_image_close(child);
    cm_image_discard(child);
    return error;
}

int vhd_rebase(struct cm_store *store, const char *parent, uint32_t flags, cm_progress *progress,
               void *context)
{
    int error = 0;

    if ((flags & CM_REBASE_TRUST) == 0)
        error = pull(store, parent, progress, context);
    if (error != 0)
        return error;
    return parent != NULL ? name_parent(store, parent) : name_nobody(store);
}
