/* SPDX-License-Identifier: MIT */
/*
 * relink.c - a differencing VHDX into its parent, and onto another one: cm_container.commit and .rebase. Called by
 * differencing.c, on the thread of the program that asked, with a file that nobody else has open.
 *
 * A child knows its parent by data_write, an identifier in the parent's header that changes when the parent is written to.
 * So that a merge may write to the parent and be interrupted, the child names two that are right:
 *
 *      the child names        the parent says
 *      old                    old                 as it was
 *      old or new             old                 durable before the parent is opened for writing
 *      old or new             new                 in its header before anything else: then the child's data, durable
 *      old or new             new                 the child is emptied: what it had is in the parent
 *      new                    new                 done
 *
 * At every line the child's content is the same, read through the parent; doing it again goes on at the line where it was
 * interrupted. Other children of the parent know only the old identifier and are refused: they do not fit any more.
 *
 * A rebase takes into the child whatever is not the same in the new parent. That changes nothing as long as the old one is
 * named; when it is durable the name is changed, in one write of a sector.
 */
#include <stdlib.h>
#include <string.h>

#include "images/vhdx/alone.h"
#include "images/vhdx/vhdx.h"
#include "lib/core/differencing.h"
#include "lib/core/error_internal.h"

static int failed(const struct vhdx *v, int error)
{
    return cm_fail(error, "cannot write to %s: %s. Its content is what it was; try again.",
                   cm_store_path(v->file), cm_error_name(error));
}

static int need_parent(const struct vhdx *v)
{
    return v->metadata.has_parent ? 0
                                  : cm_fail(CM_EINVAL, "%s has no parent: it has all of its disk.",
                                            cm_store_path(v->file));
}

/* -- the locator ------------------------------------------------------------------------------- */

/* Past the log, which has no page of the metadata. The session has begun, so the header tells that the file was changed. */
static int write_locator(struct vhdx *v, const struct vhdx_locator *locator)
{
    unsigned char *bytes = calloc(1, VHDX_LOCATOR_ROOM);
    uint32_t size = 0;
    int error;

    if (bytes == NULL)
        return cm_fail(CM_ENOMEM, "no memory for the names of a parent.");
    error = vhdx_alone_begin(v);
    if (error != 0)
        error = failed(v, error);
    if (error == 0)
        error = vhdx_locator_make(locator, bytes, VHDX_LOCATOR_ROOM, &size);
    if (error == 0)
        error = vhdx_metadata_set_locator(v->file, &v->regions.metadata, &v->metadata, bytes, size);
    free(bytes);
    return error;
}

/* -- blocks ------------------------------------------------------------------------------------ */

static int drop_bitmap(struct vhdx *v, uint64_t chunk)
{
    uint64_t at;
    int error = vhdx_alone_get_bitmap(v, chunk, &at);

    if (error != 0 || at == 0)
        return error;
    error = vhdx_alone_set_bitmap(v, chunk, 0);
    cm_os_mutex_lock(&v->lock);
    if (error == 0)
        vhdx_space_free(v, at, VHDX_BITMAP_BLOCK);
    cm_os_mutex_unlock(&v->lock);
    return error;
}

/* No block needs a bitmap any more, and all that was changed of them is in its place. */
static int drop_bitmaps(struct vhdx *v)
{
    uint64_t chunks = vhdx_alone_chunks(v);
    int error = 0;

    for (uint64_t chunk = 0; chunk < chunks && error == 0; chunk++)
        error = drop_bitmap(v, chunk);
    return error == 0 ? vhdx_alone_settle(v) : error;
}

static uint64_t structures_end(const struct vhdx *v)
{
    struct vhdx_region places[VHDX_STRUCTURES_MAX];
    unsigned count = vhdx_alone_structures(v, places);
    uint64_t end = 0;

    for (unsigned i = 0; i < count; i++)
        if (places[i].at + places[i].size > end)
            end = places[i].at + places[i].size;
    return (end + VHDX_MIB - 1) & VHDX_PLACE_MASK;
}

/* Everything is in the parent. */
static int empty(struct vhdx *v)
{
    uint64_t blocks = vhdx_map_blocks(v);
    int error = vhdx_alone_begin(v);

    if (error == 0)
        vhdx_alone_own_room(v);
    for (uint64_t block = 0; block < blocks && error == 0; block++) {
        struct vhdx_where where;

        error = vhdx_alone_get(v, block, &where);
        if (error == 0 && where.state != VHDX_NOT_PRESENT)
            error = vhdx_alone_set(v, block, VHDX_NOT_PRESENT, 0, 0);
    }
    if (error == 0)
        error = vhdx_alone_settle(v);
    if (error == 0)
        error = drop_bitmaps(v);
    if (error == 0)
        vhdx_alone_cut(v, structures_end(v));
    return error != 0 ? failed(v, error) : 0;
}

/* Of a block that is partly here the rest becomes zeros, which it is in all parents, and the block a whole one. */
static int complete_block(struct vhdx *v, uint64_t block, uint64_t at)
{
    uint32_t sector_size = v->metadata.sector_size;
    uint64_t sector = (block << v->block_shift) / sector_size;
    uint32_t count = v->metadata.block_size / sector_size, done = 0, alike = 0;
    int error = 0;

    for (; done < count && error == 0; done += alike) {
        int is_here;

        error = vhdx_alone_sectors(v, sector + done, count - done, &is_here, &alike);
        if (error == 0 && !is_here)
            error = cm_store_zero(v->file, at + (uint64_t)done * sector_size,
                                  (uint64_t)alike * sector_size);
    }
    return error == 0 ? vhdx_alone_set(v, block, VHDX_PRESENT, at, 1) : error;
}

/* All that is not zeros is here. */
static int complete(struct vhdx *v)
{
    uint64_t blocks = vhdx_map_blocks(v);
    int error = vhdx_alone_begin(v);

    for (uint64_t block = 0; block < blocks && error == 0; block++) {
        struct vhdx_where where;

        error = vhdx_alone_get(v, block, &where);
        if (error == 0 && where.state == VHDX_PARTLY_PRESENT)
            error = complete_block(v, block, where.at);
    }
    if (error == 0)
        error = vhdx_alone_settle(v);
    if (error == 0)
        error = drop_bitmaps(v);
    return error != 0 ? failed(v, error) : 0;
}

/* -- commit ------------------------------------------------------------------------------------ */

struct merge {
    struct cm_image *child_image, *parent_image;
    struct vhdx *child, *parent;
    struct vhdx_locator locator;
    struct vhdx_guid identity; /* what the parent says of itself in the end */
    cm_progress *progress;
    void *context;
};

/* The identifiers: of a merge that was interrupted behind it, the parent's new one is known already. */
static int choose_identity(struct merge *m)
{
    const struct vhdx_guid *now = &m->parent->header.data_write;
    int error = 0;

    if (!vhdx_guid_equal(now, &m->locator.linkage)) {
        m->identity = *now;
        return 0;
    }
    error = vhdx_guid_make(&m->identity);
    m->locator.linkage2 = m->identity;
    return error == 0 ? write_locator(m->child, &m->locator) : error;
}

/* A child may be larger than its parent: beyond that it is zeros. */
static int grow(struct merge *m)
{
    uint64_t size = m->child->metadata.disk_size;
    int error = 0;

    if (m->parent->metadata.disk_size < size)
        error = cm_image_resize(m->parent_image, size);
    return error != 0 ? cm_fail(error, "%s cannot become as large as %s: %s.",
                                cm_store_path(m->parent->file), cm_store_path(m->child->file),
                                cm_error_name(error))
                      : 0;
}

/* From the identifiers to the parent that has it all, durably. The parent is closed then, or not: it is clean only if so. */
static int fill_parent(struct merge *m)
{
    int error = choose_identity(m);

    m->parent->next_data_write = m->identity;
    if (error == 0) {
        error = vhdx_alone_begin(m->parent);
        error = error != 0 ? failed(m->parent, error) : 0;
    }
    if (error == 0)
        error = grow(m);
    if (error == 0)
        error = cm_differencing_push(m->child_image, m->parent_image, m->progress, m->context);
    return vhdx_alone_close(m->parent_image, error);
}

static int finish(struct merge *m)
{
    int error = empty(m->child);

    m->locator.linkage = m->identity;
    memset(&m->locator.linkage2, 0, sizeof(m->locator.linkage2));
    return error == 0 ? write_locator(m->child, &m->locator) : error;
}

static int fit(const struct merge *m)
{
    if (m->parent->metadata.sector_size == m->child->metadata.sector_size)
        return 0;
    return cm_fail(CM_EDAMAGED, "%s has sectors of %u bytes, and its parent %s of %u.",
                   cm_store_path(m->child->file), (unsigned)m->child->metadata.sector_size,
                   cm_store_path(m->parent->file), (unsigned)m->parent->metadata.sector_size);
}

/* The child is open, without its parent. */
static int merge_into(struct merge *m, struct cm_store *store)
{
    int error = vhdx_alone_open(store, 0, &m->parent_image, &m->parent);

    if (error != 0)
        return error;
    error = fit(m);
    if (error != 0)
        return vhdx_alone_close(m->parent_image, error);
    error = fill_parent(m);
    return error == 0 ? finish(m) : error;
}

/* `parent` NULL: where the child says. */
static int merge(struct merge *m, struct cm_store *parent)
{
    struct cm_image_options options = {.struct_size = sizeof(options)};
    struct cm_store *found = NULL;
    int error = need_parent(m->child);

    if (error == 0)
        error = vhdx_locator_read(m->child->view, &m->child->metadata, &m->locator);
    if (error != 0)
        return error;
    if (parent != NULL)
        error = vhdx_parent_check(cm_store_path(m->child->file), &m->locator, parent);
    else
        error = vhdx_parent_find(cm_store_path(m->child->file), &m->locator, &options, &found);
    if (error == 0)
        error = merge_into(m, parent != NULL ? parent : found);
    cm_store_close(found);
    vhdx_locator_free(&m->locator);
    return error;
}

int cm_vhdx_merge(struct cm_store *child, struct cm_store *parent, cm_progress *progress,
                  void *context)
{
    struct merge m = {.progress = progress, .context = context};
    int error = vhdx_alone_open(child, CM_OPEN_ALONE, &m.child_image, &m.child);

    if (error != 0)
        return error;
    return vhdx_alone_close(m.child_image, merge(&m, parent));
}

int cm_vhdx_commit(struct cm_store *store, cm_progress *progress, void *context)
{
    return cm_vhdx_merge(store, NULL, progress, context);
}

/* -- rebase ------------------------------------------------------------------------------------ */

struct rebase {
    struct cm_image *image, *parent_image;
    struct vhdx *v, *parent; /* NULL: there is to be none */
    uint32_t flags;
    cm_progress *progress;
    void *context;
};

static int name_parent(const struct rebase *r)
{
    struct vhdx_locator locator;
    int error = vhdx_parent_locate(cm_store_path(r->v->file), r->parent, &locator);

    if (error != 0)
        return error;
    error = write_locator(r->v, &locator);
    vhdx_locator_free(&locator);
    return error;
}

/* What the new parent has otherwise is in this image, durably. */
static int take_content(const struct rebase *r)
{
    int error = cm_differencing_pull(r->image, r->parent_image, r->progress, r->context);

    if (error != 0)
        return error;
    if (r->parent == NULL)
        return complete(r->v);
    error = vhdx_alone_settle(r->v);
    return error != 0 ? failed(r->v, error) : 0;
}

static int change_parent(const struct rebase *r)
{
    int error = need_parent(r->v);

    if (error == 0 && r->parent != NULL)
        error = cm_differencing_fit(r->image, r->parent_image);
    if (error == 0 && (r->flags & CM_REBASE_TRUST) == 0)
        error = take_content(r);
    if (error != 0)
        return error;
    if (r->parent != NULL)
        return name_parent(r);
    return vhdx_metadata_set_locator(r->v->file, &r->v->regions.metadata, &r->v->metadata, NULL, 0);
}

int cm_vhdx_rebase(struct cm_store *store, const char *parent, uint32_t flags,
                   cm_progress *progress, void *context)
{
    struct cm_image_options options = {.struct_size = sizeof(options)};
    struct rebase r = {.flags = flags, .progress = progress, .context = context};
    uint32_t open_flags = (flags & CM_REBASE_TRUST) != 0 ? CM_OPEN_ALONE : 0;
    int error = vhdx_alone_open(store, open_flags, &r.image, &r.v);

    if (error != 0)
        return error;
    if (parent != NULL)
        error = vhdx_open_path(parent, &options, 1, &r.parent_image, &r.parent);
    if (error == 0)
        error = change_parent(&r);
    if (r.parent_image != NULL)
        cm_image_discard(r.parent_image);
    return vhdx_alone_close(r.image, error);
}
