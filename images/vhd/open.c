/* SPDX-License-Identifier: MIT */
/*
 * open.c - opening a VHD: from a path, or from any store, with its parents. Also what an image tells of itself, and
 * closing it.
 *
 * Called by registry.c and, for parents, by parent.c; tests and fuzzers put their own store underneath.
 */
#include <stdlib.h>
#include <string.h>

#include "images/vhd/map.h"
#include "images/vhd/vhd.h"
#include "lib/core/bytes.h"
#include "lib/core/error_internal.h"

/* -- the map ----------------------------------------------------------------------------------- */

static struct vhd *new_map(struct cm_store *store, const struct vhd_footer *footer,
                           const struct vhd_found *found)
{
    struct vhd *vhd = calloc(1, sizeof(*vhd));

    if (vhd == NULL)
        return NULL;
    vhd->store = store;
    vhd->footer = *footer;
    vhd->found = *found;
    vhd->size = footer->size;
    vhd->uses.before = vhd->uses.after = &vhd->uses;
    cm_os_mutex_init(&vhd->lock);
    cm_os_cond_init(&vhd->changed);
    return vhd;
}

/* Everything but the store, which is the caller's. */
void vhd_close_map(struct vhd *vhd)
{
    if (vhd == NULL)
        return;
    if (vhd->parent != NULL)
        (void)cm_image_close(vhd->parent);
    vhd_bitmaps_free(vhd);
    vhd_map_free(vhd);
    cm_os_cond_destroy(&vhd->changed);
    cm_os_mutex_destroy(&vhd->lock);
    free(vhd);
}

/* Where the footer can be: in the last sector, which a growth has kept space for, if that belongs to nothing. */
static uint64_t footer_place(const struct vhd *vhd)
{
    uint64_t file = cm_store_size(vhd->store), end = (file + VHD_SECTOR - 1) / VHD_SECTOR;

    if (file % VHD_SECTOR == 0 && !vhd->must_not_cut && vhd_used_end(vhd) <= file - VHD_FOOTER_SIZE)
        return file - VHD_FOOTER_SIZE;
    return end * VHD_SECTOR;
}

/* A growth that was cut short has left no footer at the end: a writer begins with putting one there. */
static int restore_end(struct vhd *vhd)
{
    uint64_t size = footer_place(vhd);
    struct vhd_range *last = vhd->stale.count != 0 ? &vhd->stale.items[vhd->stale.count - 1] : NULL;
    int error = 0;

    if (size + VHD_FOOTER_SIZE != cm_store_size(vhd->store))
        error = cm_store_resize(vhd->store, size + VHD_FOOTER_SIZE);
    if (last != NULL && last->to > size)
        last->to = size;
    if (error == 0)
        error = vhd_footer_write_end(vhd);
    if (error == 0)
        error = cm_store_flush(vhd->store);
    if (error != 0)
        return cm_fail(error, "cannot write the missing footer of %s.", cm_store_path(vhd->store));
    vhd->found.end_is_missing = 0;
    vhd->found.end_at = size;
    vhd->end = cm_store_size(vhd->store);
    vhd->has_moved = 1;
    return 0;
}

/* A resize that was cut short has left a copy that says another size: with the next growth that is cut short, which has only
 * the copy, that size would come back. */
static int restore_copy(struct vhd *vhd)
{
    int error = cm_store_write(vhd->store, vhd->footer.bytes, VHD_FOOTER_SIZE, 0);

    if (error == 0)
        error = cm_store_flush(vhd->store);
    if (error != 0)
        return cm_fail(error, "cannot write the copy of the footer of %s.",
                       cm_store_path(vhd->store));
    vhd->found.copy_is_missing = 0;
    vhd->found.copy_is_different = 0;
    return 0;
}

/* Entries behind those of the disk's blocks: a resize that was cut short leaves them, and some programs look at them. */
static int look_behind(struct vhd *vhd)
{
    uint64_t file = cm_store_size(vhd->store);
    uint64_t at = vhd->header.table_at + (uint64_t)vhd->header.needed * 4;
    uint64_t count = vhd->header.entries - vhd->header.needed;
    unsigned char entries[4096];
    int error = 0;

    if (count > VHD_ENTRIES_MAX || at > file || count * 4 > file - at) {
        vhd->must_not_cut = 1; /* nobody knows */
        return 0;
    }
    while (count > 0 && error == 0 && !vhd->must_not_cut) {
        uint32_t part = count < sizeof(entries) / 4 ? (uint32_t)count : sizeof(entries) / 4;

        error = cm_store_read(vhd->store, entries, part * 4, at);
        for (uint32_t i = 0; i < part && error == 0; i++)
            vhd->must_not_cut |= cm_get_be32(entries + 4 * (size_t)i) != VHD_ABSENT;
        at += part * 4u;
        count -= part;
    }
    return error == 0 ? 0
                      : cm_fail(error, "cannot read the table of %s.", cm_store_path(vhd->store));
}

/* A wrong entry may name what a writer would take; and a footer behind a block that was cut off would make it seem whole,
 * with zeros where data was. */
static int refuse_damaged(const struct vhd *vhd)
{
    return cm_fail(CM_EDAMAGED,
                   "%s is damaged%s: %u of its blocks cannot be where its table says. It can only "
                   "be read; copy it again from where it came, or convert what is left.",
                   cm_store_path(vhd->store), vhd->found.end_is_missing ? ", or was cut off" : "",
                   (unsigned)vhd->bad);
}

int vhd_prepare_writer(struct vhd *vhd)
{
    int error = vhd->bad != 0 ? refuse_damaged(vhd) : look_behind(vhd);

    if (error == 0 && vhd->found.end_is_missing)
        return restore_end(vhd);
    return error == 0 && (vhd->found.copy_is_missing || vhd->found.copy_is_different)
               ? restore_copy(vhd)
               : error;
}

/* From a footer on; for all but fixed images. */
static int load_map(struct cm_store *store, const struct vhd_footer *footer,
                    const struct vhd_found *found, struct vhd **map)
{
    struct vhd *vhd = new_map(store, footer, found);
    int error;

    *map = NULL;
    if (vhd == NULL)
        return cm_fail(CM_ENOMEM, "no memory to open %s.", cm_store_path(store));
    error = vhd_header_read(store, footer, &vhd->header);
    if (error == 0)
        error = vhd_map_load(vhd);
    if (error != 0)
        vhd_close_map(vhd);
    else
        *map = vhd;
    return error;
}

int vhd_open_map(struct cm_store *store, struct vhd **vhd)
{
    struct vhd_footer footer;
    struct vhd_found found;
    int error = vhd_footer_find(store, &footer, &found);

    *vhd = NULL;
    if (error == 0 && footer.type == VHD_FIXED)
        error = cm_fail(CM_ENOTSUP, "%s is a fixed VHD: it has no blocks.", cm_store_path(store));
    return error == 0 ? load_map(store, &footer, &found, vhd) : error;
}

/* -- callbacks --------------------------------------------------------------------------------- */

static int info(void *context, struct cm_image_info *info)
{
    struct vhd *vhd = context;

    info->format = "vhd";
    info->layout = vhd->footer.type == VHD_DIFFERENCING ? CM_LAYOUT_CHANGES : CM_LAYOUT_DYNAMIC;
    info->block_size = vhd->header.block_size;
    info->path = cm_store_path(vhd->store);
    info->was_dirty = vhd->was_dirty;
    return cm_store_allocated(vhd->store, &info->allocated);
}

static struct cm_image *parent_of(void *context)
{
    struct vhd *vhd = context;

    return vhd->parent;
}

/* All has been flushed before, as far as it could be. */
static void close_image(void *context)
{
    struct vhd *vhd = context;
    struct cm_store *store = vhd->store;

    if (vhd->has_moved)
        (void)vhd_space_cut(vhd);
    if (vhd->store_is_lent)
        store = NULL;
    vhd_close_map(vhd);
    cm_store_close(store);
}

static const struct cm_image_ops ops = {
    .size = sizeof(struct cm_image_ops),
    .flags = CM_IMAGE_PARALLEL | CM_IMAGE_OWN_FUA | CM_IMAGE_VOLATILE,
    .read = vhd_read,
    .close = close_image,
    .write = vhd_write,
    .flush = vhd_flush,
    .trim = vhd_trim,
    .info = info,
    .resize = vhd_resize,
    .extent = vhd_extent,
    .parent = parent_of,
};

/* -- opening ----------------------------------------------------------------------------------- */

/* What has been asked for besides the file; 0: whatever it is. */
static int check_options(struct cm_store *store, const struct cm_image_options *options,
                         uint64_t size)
{
    if (options->sector_size != 0 && options->sector_size != VHD_SECTOR)
        return cm_fail(CM_EINVAL, "%s cannot have sectors of %u bytes: those of a VHD have 512.",
                       cm_store_path(store), (unsigned)options->sector_size);
    if (options->size != 0 && options->size != size)
        return cm_fail(
            CM_EINVAL, "%s is a disk of %llu bytes, not of %llu. To change that, resize it.",
            cm_store_path(store), (unsigned long long)size, (unsigned long long)options->size);
    return 0;
}

static int open_blocks(struct cm_store *store, const struct cm_image_options *options,
                       const struct vhd_footer *footer, const struct vhd_found *found,
                       unsigned depth, struct cm_image **image)
{
    struct cm_image_ops own = ops;
    struct vhd *vhd;
    int error = load_map(store, footer, found, &vhd);

    if (error != 0)
        return error;
    vhd->was_dirty = found->end_is_missing;
    if (footer->type == VHD_DIFFERENCING) {
        own.resize = NULL; /* a child is as large as its parent */
        error = vhd_parent_open(vhd, options, depth, &vhd->parent);
    }
    if (cm_store_is_read_only(store))
        own.write = NULL;
    else if (error == 0)
        error = vhd_prepare_writer(vhd);
    if (error == 0)
        error = cm_image_new(&own, vhd, vhd->size, VHD_SECTOR, image);
    if (error != 0)
        vhd_close_map(vhd);
    return error;
}

int vhd_open_lent(struct cm_store *store, int with_parent, struct cm_image **image,
                  struct vhd **vhd)
{
    struct cm_image_options none = {.struct_size = sizeof(none)};
    int error = vhd_open_map(store, vhd);

    *image = NULL;
    if (error != 0)
        return error;
    (*vhd)->store_is_lent = 1;
    if ((*vhd)->footer.type != VHD_DIFFERENCING)
        error = cm_fail(CM_EINVAL, "%s has no parent.", cm_store_path(store));
    if (error == 0)
        error = vhd_prepare_writer(*vhd);
    if (error == 0 && with_parent)
        error = vhd_parent_open(*vhd, &none, 0, &(*vhd)->parent);
    if (error == 0)
        error = cm_image_new(&ops, *vhd, (*vhd)->size, VHD_SECTOR, image);
    if (error != 0)
        vhd_close_map(*vhd);
    return error;
}

int vhd_open_at_depth(struct cm_store *store, const struct cm_image_options *options,
                      unsigned depth, struct cm_image **image)
{
    struct vhd_footer footer;
    struct vhd_found found;
    int error = vhd_footer_find(store, &footer, &found);

    *image = NULL;
    if (error == 0)
        error = check_options(store, options, footer.size);
    if (error != 0)
        return error;
    return footer.type == VHD_FIXED ? vhd_fixed_open(store, &footer, &found, image)
                                    : open_blocks(store, options, &footer, &found, depth, image);
}

int cm_vhd_open_store(struct cm_store *store, const struct cm_image_options *options,
                      struct cm_image **image)
{
    struct cm_image_options own = *options;

    *image = NULL;
    if ((options->flags & CM_OPEN_CREATE) != 0) {
        int error = cm_vhd_format(store, options);

        if (error != 0)
            return error;
        own.size = 0; /* it has been obeyed, or the parent's was taken */
    }
    return vhd_open_at_depth(store, &own, 0, image);
}

int cm_vhd_open(const char *path, const struct cm_image_options *options, struct cm_image **image)
{
    struct cm_store *store;
    int error = cm_store_open(path, options, &store);

    *image = NULL;
    if (error != 0)
        return error;
    error = cm_vhd_open_store(store, options, image);
    if (error == 0)
        return 0;
    if ((options->flags & CM_OPEN_CREATE) != 0)
        return cm_store_discard(store, error);
    cm_store_close(store);
    return error;
}

const struct cm_container cm_vhd_container = {
    .extensions = "vhd avhd",
    .size_max = VHD_DISK_MAX,
    .check = vhd_check,
    .compact = vhd_compact,
    .commit = vhd_merge,
    .rebase = vhd_rebase,
};
