/* SPDX-License-Identifier: MIT */
/*
 * vhdx.c - VHDX images: opening, making and closing them.
 *
 * Opened by registry.c, on any thread; the callbacks that serve are in io.c. What is in the file is read once, by the
 * readers of parts.h; after that only the BAT and the bitmaps are looked at, page by page, so that opening takes as long
 * for 64 TiB as for 64 MiB. A file whose log is not empty is replayed: into the file if it is opened for writing, in
 * memory if not. A file that is opened for writing and not written to is left as it is.
 */
#include "images/vhdx/vhdx.h"

#include <stdlib.h>
#include <string.h>

#include "images/vhdx/check.h"
#include "images/vhdx/disk.h"
#include "lib/core/error_internal.h"

static void close_all(struct vhdx *v)
{
    vhdx_pages_free(v);
    vhdx_space_free_lists(v);
    free(v->log.entry);
    (void)cm_image_close(v->parent); /* read-only: nothing to flush */
    if (v->view != v->file)
        cm_store_close(v->view);
    cm_os_cond_destroy(&v->changed);
    cm_os_mutex_destroy(&v->lock);
    free(v);
}

/* -- callbacks --------------------------------------------------------------------------------- */

static int flush(void *context)
{
    return vhdx_commit(context, VHDX_DURABLE);
}

static int info(void *context, struct cm_image_info *info)
{
    struct vhdx *v = context;

    info->format = "vhdx";
    info->layout = v->metadata.has_parent ? CM_LAYOUT_CHANGES
                   : v->metadata.is_fixed ? CM_LAYOUT_FLAT
                                          : CM_LAYOUT_DYNAMIC;
    info->block_size = v->metadata.block_size;
    info->was_dirty = v->was_dirty;
    info->path = cm_store_path(v->file);
    return cm_store_allocated(v->file, &info->allocated);
}

static struct cm_image *parent(void *context)
{
    const struct vhdx *v = context;

    return v->parent;
}

/* All is in its place, and the header says so. If that fails the log has it: the file is valid, but not clean. Then room at
 * the end that nobody has is cut off. */
static void end_session(struct vhdx *v)
{
    uint64_t end;

    cm_os_mutex_lock(&v->lock);
    vhdx_commit_enter(v);
    if (vhdx_commit_all(v) == 0 && vhdx_log_end(v) == 0) {
        end = vhdx_space_cut(v);
        if (end != cm_store_size(v->file))
            (void)cm_store_resize(v->file, end);
    }
    vhdx_commit_leave(v);
    cm_os_mutex_unlock(&v->lock);
}

static void close_image(void *context)
{
    struct vhdx *v = context;
    struct cm_store *file = v->file_is_lent ? NULL : v->file;

    if (v->is_started)
        end_session(v);
    close_all(v);
    cm_store_close(file);
}

static const struct cm_image_ops ops = {
    .size = sizeof(struct cm_image_ops),
    .flags = CM_IMAGE_PARALLEL | CM_IMAGE_OWN_FUA,
    .read = vhdx_io_read,
    .close = close_image,
    .write = vhdx_io_write,
    .flush = flush,
    .trim = vhdx_io_trim,
    .info = info,
    .resize = vhdx_resize,
    .extent = vhdx_io_extent,
    .parent = parent,
};

static struct cm_image_ops ops_of(const struct vhdx *v)
{
    struct cm_image_ops of = ops;

    if (v->is_volatile)
        of.flags |= CM_IMAGE_VOLATILE;
    if (v->read_only)
        of.write = NULL;
    if (v->metadata.is_fixed) /* its room is what it is fixed for */
        of.trim = NULL;
    return of;
}

/* -- opening ----------------------------------------------------------------------------------- */

static unsigned log2_of(uint64_t power)
{
    unsigned shift = 0;

    while (power >> shift > 1)
        shift++;
    return shift;
}

static int replay(struct vhdx *v)
{
    struct cm_store *replayed = NULL;
    int error;

    v->was_dirty = !vhdx_guid_is_zero(&v->header.log);
    if (!v->was_dirty)
        return 0;
    if (!v->read_only)
        return vhdx_replay_apply(v->file, &v->header);
    error = vhdx_replay_view(v->file, &v->header, &replayed);
    if (error == 0 && replayed != NULL)
        v->view = replayed;
    return error;
}

static int check_options(const struct vhdx *v, const struct cm_image_options *options)
{
    const struct vhdx_metadata *metadata = &v->metadata;

    if (options->sector_size != 0 && options->sector_size != metadata->sector_size)
        return cm_fail(CM_EINVAL, "%s has sectors of %u bytes, not %u: leave the sector size out.",
                       cm_store_path(v->file), (unsigned)metadata->sector_size,
                       (unsigned)options->sector_size);
    if (options->size != 0 && options->size != metadata->disk_size)
        return cm_fail(
            CM_EINVAL,
            "%s is a disk of %llu bytes, not %llu. Leave the size out, or change it with "
            "\"coremnt resize\".",
            cm_store_path(v->file), (unsigned long long)metadata->disk_size,
            (unsigned long long)options->size);
    return 0;
}

static int read_parts(struct vhdx *v)
{
    int error = vhdx_header_read(v->file, &v->header);

    if (error == 0)
        error = replay(v);
    if (error == 0)
        error = vhdx_regions_read(v->view, &v->header, &v->regions);
    if (error == 0)
        error = vhdx_metadata_read(v->view, &v->regions.metadata, &v->metadata);
    if (error != 0)
        return error;
    if (vhdx_bat_entries(&v->metadata) > v->regions.bat.size / 8)
        return cm_fail(
            CM_EDAMAGED,
            "%s is damaged: its block allocation table is too short for the disk. Restore "
            "it from a backup.",
            cm_store_path(v->file));
    v->block_shift = log2_of(v->metadata.block_size);
    v->chunk_shift = log2_of(VHDX_CHUNK_SECTORS * v->metadata.sector_size / v->metadata.block_size);
    v->space.end = (cm_store_size(v->file) + VHDX_MIB - 1) & VHDX_PLACE_MASK;
    return 0;
}

static int open_parts(struct vhdx *v, const struct cm_image_options *options)
{
    int error = read_parts(v);

    if (error == 0)
        error = check_options(v, options);
    if (error == 0 && v->metadata.has_parent)
        error = (options->flags & CM_OPEN_ALONE) != 0 ? vhdx_parent_stand_in(v)
                                                      : vhdx_parent_open(v, options);
    v->is_volatile = v->parent != NULL && !v->read_only;
    return error;
}

int vhdx_open_over(struct cm_store *store, const struct cm_image_options *options, unsigned depth,
                   struct cm_image **image, struct vhdx **vhdx)
{
    struct vhdx *v = calloc(1, sizeof(*v));
    struct cm_image_ops of;
    int error;

    *image = NULL;
    if (v == NULL)
        return cm_fail(CM_ENOMEM, "no memory to open %s.", cm_store_path(store));
    cm_os_mutex_init(&v->lock);
    cm_os_cond_init(&v->changed);
    v->file = v->view = store;
    v->read_only = cm_store_is_read_only(store);
    v->depth = depth;
    error = open_parts(v, options);
    if (error == 0) {
        of = ops_of(v);
        error = cm_image_new(&of, v, v->metadata.disk_size, v->metadata.sector_size, image);
    }
    if (error != 0)
        close_all(v);
    else if (vhdx != NULL)
        *vhdx = v;
    return error;
}

int cm_vhdx_open_store(struct cm_store *store, const struct cm_image_options *options,
                       struct cm_image **image)
{
    struct cm_image_options open = *options;
    int error = 0;

    *image = NULL;
    if ((options->flags & CM_OPEN_CREATE) != 0) {
        error = vhdx_create(store, options);
        open.size = 0;
        open.sector_size = 0;
    }
    return error == 0 ? vhdx_open_over(store, &open, 0, image, NULL) : error;
}

int cm_vhdx_open(const char *path, const struct cm_image_options *options, struct cm_image **image)
{
    struct cm_image_options open = *options;
    struct cm_store *store;
    int error = cm_store_open(path, &open, &store);

    *image = NULL;
    if (error == CM_EEXIST && (options->flags & CM_OPEN_OR_CREATE) != 0) {
        open.flags &= ~(CM_OPEN_CREATE | CM_OPEN_OR_CREATE | CM_OPEN_FIXED);
        error = cm_store_open(path, &open, &store);
    }
    if (error != 0)
        return error;
    error = cm_vhdx_open_store(store, &open, image);
    if (error != 0 && (open.flags & CM_OPEN_CREATE) != 0)
        return cm_store_discard(store, error);
    if (error != 0)
        cm_store_close(store);
    return error;
}

const struct cm_container cm_vhdx_container = {
    .extensions = "vhdx avhdx",
    .size_max = VHDX_DISK_MAX,
    .check = cm_vhdx_check,
    .compact = cm_vhdx_compact,
    .commit = cm_vhdx_commit,
    .rebase = cm_vhdx_rebase,
};
