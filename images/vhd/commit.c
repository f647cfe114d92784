/* SPDX-License-Identifier: MIT */
/*
 * commit.c - how the changes of a VHD's map reach the storage. Called by flushes and FUA writes, on any thread.
 *
 * The format has no log. What makes it crash-proof is the order:
 *
 *   1. the footer at the file's new end, if it has grown;
 *   2. a flush, if needed: the file's new length, zeros of places that are taken again, holes of places that were
 *      dropped, and data whose bit in a bitmap is new, before anything names them;
 *   3. bitmaps, and the pages of the table;
 *   4. a flush.
 *
 * In step 3 any part may reach the storage without the rest. A new block whose place is zeros reads as zeros until its
 * data or bitmap is there, as it did before, because a sector without its bit is not here: a table that is ahead of a
 * bitmap, or a bitmap ahead of its table, changes nothing. The entries of the table do not depend on each other: a place
 * is given to another block only when a commit has ended that took it from the first. So for a new block in a file that
 * has grown earlier, which it does by some blocks at once, step 2 is not needed: one flush is for data, bitmap and table.
 *
 * Changes stay in memory until somebody wants them durable, so that an image is CM_IMAGE_VOLATILE: a process that ends
 * without a flush is to it what a power cut is. Then one commit is for all who wait: who comes while it runs
 * waits for the next one. A flush that fails ends the image's life for writing, because no later flush can tell what the
 * system has thrown away.
 */
#include <stdlib.h>
#include <string.h>

#include "images/vhd/map.h"
#include "lib/core/bytes.h"

/* A commit's own copy of what it writes; changes go on meanwhile. */
struct batch {
    int has_footer, has_barrier;
    uint32_t *units; /* of the table */
    size_t unit_count;
    unsigned char *table; /* VHD_UNIT bytes for each */
    struct vhd_fresh *fresh;
    size_t fresh_count;
    struct vhd_fresh *dirty; /* bitmaps, with `bits` */
    size_t dirty_count;
    unsigned char *bits;
    struct vhd_ranges clean, stale;
};

int vhd_fresh_add(struct vhd *vhd, uint32_t block)
{
    if (vhd->fresh_count == vhd->fresh_room) {
        size_t room = vhd->fresh_room != 0 ? 2 * vhd->fresh_room : 64;
        struct vhd_fresh *fresh = realloc(vhd->fresh, room * sizeof(*fresh));

        if (fresh == NULL)
            return vhd->flush_error = CM_ENOMEM; /* the block would have a place and no bits */
        vhd->fresh = fresh;
        vhd->fresh_room = room;
    }
    vhd->fresh[vhd->fresh_count++] = (struct vhd_fresh){block, vhd->bat[block]};
    return 0;
}

/* -- what is to be written --------------------------------------------------------------------- */

static uint32_t unit_count(const struct vhd *vhd)
{
    return (vhd->header.needed + VHD_UNIT_ENTRIES - 1) / VHD_UNIT_ENTRIES;
}

static uint32_t entries_in(const struct vhd *vhd, uint32_t unit)
{
    uint32_t rest = vhd->header.needed - unit * VHD_UNIT_ENTRIES;

    return rest < VHD_UNIT_ENTRIES ? rest : VHD_UNIT_ENTRIES;
}

static int copy_table(struct vhd *vhd, struct batch *batch)
{
    size_t count = 0;

    for (uint32_t i = 0; i < unit_count(vhd); i++)
        count += vhd->dirty[i];
    batch->units = malloc((count + 1) * sizeof(*batch->units));
    batch->table = malloc(count * VHD_UNIT + 1);
    if (batch->units == NULL || batch->table == NULL)
        return CM_ENOMEM;
    for (uint32_t i = 0; i < unit_count(vhd); i++) {
        unsigned char *page = batch->table + batch->unit_count * VHD_UNIT;

        if (!vhd->dirty[i])
            continue;
        batch->units[batch->unit_count++] = i;
        for (uint32_t e = 0; e < entries_in(vhd, i); e++)
            cm_put_be32(page + 4 * (size_t)e, vhd->bat[i * VHD_UNIT_ENTRIES + e]);
    }
    return 0;
}

static int copy_bitmaps(struct vhd *vhd, struct batch *batch)
{
    size_t size = vhd->header.bitmap_size;

    if (vhd->dirty_bitmaps == 0)
        return 0;
    batch->dirty = malloc(vhd->dirty_bitmaps * sizeof(*batch->dirty));
    batch->bits = malloc(vhd->dirty_bitmaps * size);
    if (batch->dirty == NULL || batch->bits == NULL)
        return CM_ENOMEM;
    for (uint32_t row = 0; row < VHD_BITMAP_ROWS; row++) {
        for (struct vhd_bitmap *b = vhd->bitmaps[row]; b != NULL; b = b->next) {
            if (!b->is_dirty)
                continue;
            memcpy(batch->bits + batch->dirty_count * size, b->bits, size);
            batch->dirty[batch->dirty_count++] = (struct vhd_fresh){b->block, vhd->bat[b->block]};
        }
    }
    return 0;
}

/* Those that are dirty as being written; or, when that has ended, none. */
static void mark_bitmaps(struct vhd *vhd, int is_begin)
{
    for (uint32_t row = 0; row < VHD_BITMAP_ROWS; row++) {
        for (struct vhd_bitmap *b = vhd->bitmaps[row]; b != NULL; b = b->next) {
            if (is_begin && b->is_dirty)
                b->is_being_written = 1;
            if (is_begin)
                b->is_dirty = 0;
            else
                b->is_being_written = 0;
        }
    }
    if (is_begin)
        vhd->dirty_bitmaps = 0;
}

static void make_dirty_again(struct vhd *vhd)
{
    for (uint32_t row = 0; row < VHD_BITMAP_ROWS; row++) {
        for (struct vhd_bitmap *b = vhd->bitmaps[row]; b != NULL; b = b->next) {
            vhd->dirty_bitmaps += (uint32_t)(b->is_being_written && !b->is_dirty);
            b->is_dirty |= b->is_being_written;
        }
    }
}

/* From here on the changes are the batch's; nothing of that can fail. */
static void take_over(struct vhd *vhd, struct batch *batch)
{
    memset(vhd->dirty, 0, unit_count(vhd));
    if (batch->dirty_count != 0)
        mark_bitmaps(vhd, 1);
    batch->fresh = vhd->fresh;
    vhd->fresh = NULL;
    vhd->fresh_room = 0;
    for (size_t i = 0; i < vhd->fresh_count;
         i++) /* those that were dropped again are not written */
        if (vhd->bat[batch->fresh[i].block] == batch->fresh[i].sector)
            batch->fresh[batch->fresh_count++] = batch->fresh[i];
    vhd->fresh_count = 0;
    batch->clean = vhd->freed_clean;
    batch->stale = vhd->freed_stale;
    memset(&vhd->freed_clean, 0, sizeof(vhd->freed_clean));
    memset(&vhd->freed_stale, 0, sizeof(vhd->freed_stale));
    batch->has_footer = vhd->has_changed_end;
    batch->has_barrier = vhd->needs_barrier;
    vhd->has_changed_end = 0;
    vhd->needs_barrier = 0;
}

/* Locked: it has failed, and its changes are still to be made. What finds no memory for its place stays taken until the
 * image is opened again. */
static void give_back(struct vhd *vhd, struct batch *batch)
{
    for (size_t i = 0; i < batch->unit_count; i++)
        vhd->dirty[batch->units[i]] = 1;
    for (size_t i = 0; i < batch->fresh_count; i++)
        if (vhd->bat[batch->fresh[i].block] == batch->fresh[i].sector)
            (void)vhd_fresh_add(vhd, batch->fresh[i].block);
    make_dirty_again(vhd);
    for (size_t i = 0; i < batch->clean.count; i++)
        (void)vhd_ranges_add(&vhd->freed_clean, batch->clean.items[i].from,
                             batch->clean.items[i].to);
    for (size_t i = 0; i < batch->stale.count; i++)
        (void)vhd_ranges_add(&vhd->freed_stale, batch->stale.items[i].from,
                             batch->stale.items[i].to);
    vhd->has_changed_end |= batch->has_footer;
    vhd->needs_barrier = 1;
}

static void free_batch(struct batch *batch)
{
    free(batch->units);
    free(batch->table);
    free(batch->fresh);
    free(batch->dirty);
    free(batch->bits);
    free(batch->clean.items);
    free(batch->stale.items);
}

/* -- writing it -------------------------------------------------------------------------------- */

int vhd_footer_write_end(struct vhd *vhd)
{
    return cm_store_write(vhd->store, vhd->footer.bytes, VHD_FOOTER_SIZE,
                          cm_store_size(vhd->store) - VHD_FOOTER_SIZE);
}

/* The one at the beginning first: of two that differ, the one at the end counts, which is then the older. */
int vhd_footers_write(struct vhd *vhd)
{
    int error = 0;

    if (vhd->footer.type != VHD_FIXED)
        error = cm_store_write(vhd->store, vhd->footer.bytes, VHD_FOOTER_SIZE, 0);
    if (error == 0)
        error = cm_store_flush(vhd->store);
    if (error == 0)
        error = vhd_footer_write_end(vhd);
    return error == 0 ? cm_store_flush(vhd->store) : error;
}

static int write_ones(struct vhd *vhd, const struct batch *batch)
{
    size_t size = vhd->header.bitmap_size;
    unsigned char *ones;
    int error = 0;

    if (batch->fresh_count == 0)
        return 0;
    ones = malloc(size);
    if (ones == NULL)
        return CM_ENOMEM;
    memset(ones, 0xff, size);
    for (size_t i = 0; i < batch->fresh_count && error == 0; i++)
        error = cm_store_write(vhd->store, ones, (uint32_t)size,
                               (uint64_t)batch->fresh[i].sector * VHD_SECTOR);
    free(ones);
    return error;
}

static int write_bitmaps_and_table(struct vhd *vhd, const struct batch *batch)
{
    uint32_t size = vhd->header.bitmap_size;
    int error = write_ones(vhd, batch);

    for (size_t i = 0; i < batch->dirty_count && error == 0; i++)
        error = cm_store_write(vhd->store, batch->bits + i * size, size,
                               (uint64_t)batch->dirty[i].sector * VHD_SECTOR);
    for (size_t i = 0; i < batch->unit_count && error == 0; i++)
        error = cm_store_write(vhd->store, batch->table + i * VHD_UNIT,
                               entries_in(vhd, batch->units[i]) * 4,
                               vhd->header.table_at + (uint64_t)batch->units[i] * VHD_UNIT);
    return error;
}

static int flush(struct vhd *vhd, int *flush_error)
{
    *flush_error = cm_store_flush(vhd->store);
    return *flush_error;
}

/* Not locked. */
static int write_batch(struct vhd *vhd, const struct batch *batch, int *flush_error)
{
    int has_table = batch->unit_count + batch->fresh_count + batch->dirty_count != 0;
    int error = batch->has_footer ? vhd_footer_write_end(vhd) : 0;

    if (error == 0 && batch->has_barrier && has_table)
        error = flush(vhd, flush_error);
    if (error == 0)
        error = write_bitmaps_and_table(vhd, batch);
    return error == 0 ? flush(vhd, flush_error) : error;
}

/* Locked; not while it writes. */
static int run(struct vhd *vhd)
{
    struct batch batch = {0};
    int error, flush_error = 0;

    if (vhd->flush_error != 0)
        return vhd->flush_error;
    error = copy_table(vhd, &batch);
    if (error == 0)
        error = copy_bitmaps(vhd, &batch);
    if (error == 0) {
        take_over(vhd, &batch);
        cm_os_mutex_unlock(&vhd->lock);
        error = write_batch(vhd, &batch, &flush_error);
        cm_os_mutex_lock(&vhd->lock);
        if (flush_error != 0)
            vhd->flush_error = flush_error;
        if (error != 0)
            give_back(vhd, &batch);
        else
            vhd_space_settle(vhd, &batch.clean, &batch.stale);
        vhd->left_over = error != 0 ? vhd->fresh_count + vhd->dirty_bitmaps : 0;
        if (batch.dirty_count != 0)
            mark_bitmaps(vhd, 0);
    }
    free_batch(&batch);
    return error;
}

/* -- one for all who wait ---------------------------------------------------------------------- */

void vhd_commit_hold(struct vhd *vhd)
{
    while (vhd->is_committing)
        cm_os_cond_wait(&vhd->changed, &vhd->lock);
    vhd->is_committing = 1;
}

void vhd_commit_release(struct vhd *vhd)
{
    vhd->is_committing = 0;
    cm_os_cond_broadcast(&vhd->changed);
}

int vhd_commit(struct vhd *vhd)
{
    uint64_t wanted;
    int error;

    cm_os_mutex_lock(&vhd->lock);
    wanted = vhd->commits_begun + 1; /* one that runs already may have missed what we want */
    while (vhd->commits_ended < wanted) {
        uint64_t mine;

        if (vhd->is_committing) {
            cm_os_cond_wait(&vhd->changed, &vhd->lock);
            continue;
        }
        vhd_commit_hold(vhd);
        mine = ++vhd->commits_begun;
        error = run(vhd);
        vhd->commits_ended = mine;
        if (error != 0) {
            vhd->commit_failed = mine;
            vhd->commit_error = error;
        }
        vhd_commit_release(vhd);
    }
    error = vhd->commit_failed >= wanted ? vhd->commit_error : 0;
    cm_os_mutex_unlock(&vhd->lock);
    return error;
}
