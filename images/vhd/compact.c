/* SPDX-License-Identifier: MIT */
/*
 * compact.c - a VHD's file made as short as its blocks allow. Called with a file that nobody else has open.
 *
 * Blocks that hold nothing are dropped; those at the end move to free places before them. A block is copied, the copy is
 * flushed, then the table names it, durably, and only then is its old place free: a power cut finds the one or the other.
 * The table and the header stay where they are.
 */
#include <stdlib.h>
#include <string.h>

#include "images/vhd/map.h"
#include "lib/core/error_internal.h"
#include "lib/core/zeros.h"

#define PART 65536u /* bytes that are copied at once */
#define AT_ONCE 32u /* blocks that move with one commit */

struct compact {
    struct vhd *vhd;
    unsigned char *buffer; /* PART bytes */
    cm_progress *progress;
    void *context;
    uint64_t done, all; /* blocks, twice */
};

static int failed(const struct compact *c, int error)
{
    const char *path = cm_store_path(c->vhd->store);

    if (error == CM_ECANCELED)
        return cm_fail(error, "given up; %s is whole.", path);
    return error == 0 ? 0 : cm_fail(error, "cannot compact %s: %s.", path, cm_error_name(error));
}

static int step(struct compact *c)
{
    c->done++;
    if (c->progress == NULL || c->done % 16 != 0)
        return 0;
    return c->progress(c->context, c->done, c->all) != 0 ? CM_ECANCELED : 0;
}

/* -- what holds nothing ------------------------------------------------------------------------ */

static int is_zeros(struct compact *c, uint64_t at, uint64_t length, int *zeros)
{
    int error = 0;

    *zeros = 1;
    while (length > 0 && *zeros && error == 0) {
        uint32_t part = length < PART ? (uint32_t)length : PART;

        error = cm_store_read(c->vhd->store, c->buffer, part, at);
        *zeros = error == 0 && cm_is_zeros(c->buffer, part);
        at += part;
        length -= part;
    }
    return error;
}

/* No bit is set; or, where there is no parent, all that is here is zeros. */
static int holds_nothing(struct compact *c, uint32_t block, int *nothing)
{
    struct vhd *vhd = c->vhd;
    uint64_t at = vhd_place(vhd, block);
    int error = is_zeros(c, at, vhd->header.bitmap_size, nothing);

    if (error == 0 && !*nothing && vhd->footer.type == VHD_DYNAMIC)
        error = is_zeros(c, at + vhd->header.bitmap_size, vhd->header.block_size, nothing);
    return error;
}

static int drop_empty(struct compact *c)
{
    struct vhd *vhd = c->vhd;
    int error = 0;

    for (uint32_t i = 0; i < vhd->header.needed && error == 0; i++) {
        int nothing = 0;

        if (vhd->bat[i] != VHD_ABSENT)
            error = holds_nothing(c, i, &nothing);
        if (error == 0 && nothing) {
            cm_os_mutex_lock(&vhd->lock);
            error = vhd_space_give(vhd, i, 0);
            cm_os_mutex_unlock(&vhd->lock);
        }
        if (error == 0)
            error = step(c);
    }
    return error == 0 ? vhd_commit(vhd) : error;
}

/* -- to the front ------------------------------------------------------------------------------ */

/* What is zeros becomes a hole there too. */
static int copy_block(struct compact *c, uint64_t from, uint64_t to)
{
    struct cm_store *store = c->vhd->store;
    uint64_t length = vhd_block_span(c->vhd);
    int error = 0;

    while (length > 0 && error == 0) {
        uint32_t part = length < PART ? (uint32_t)length : PART;

        error = cm_store_read(store, c->buffer, part, from);
        if (error == 0)
            error = cm_is_zeros(c->buffer, part) ? cm_store_zero(store, to, part)
                                                 : cm_store_write(store, c->buffer, part, to);
        from += part;
        to += part;
        length -= part;
    }
    return error;
}

/* Gaps are in the order of the file, blocks too; the last block goes into the first gap as long as that is before it. */
static int move_to_front(struct compact *c, const uint64_t *sorted, size_t count)
{
    struct vhd *vhd = c->vhd;
    struct vhd_ranges gaps = vhd->stale;
    size_t gap = 0, moved = 0;
    int error = 0;

    while (count > 0 && gap < gaps.count && error == 0) {
        uint64_t last = (sorted[count - 1] >> 32) * VHD_SECTOR;
        uint64_t place = vhd_place_in(vhd, &gaps.items[gap]);

        if (place == 0) {
            gap++;
            continue;
        }
        if (place >= last)
            break;
        error = copy_block(c, last, place);
        if (error != 0)
            break;
        gaps.items[gap].from = place + vhd_block_span(vhd);
        cm_os_mutex_lock(&vhd->lock);
        vhd_map_set(vhd, (uint32_t)sorted[count - 1], (uint32_t)(place / VHD_SECTOR));
        vhd->needs_barrier = 1;
        cm_os_mutex_unlock(&vhd->lock);
        count--;
        if (++moved % AT_ONCE == 0)
            error = vhd_commit(vhd);
        if (error == 0)
            error = step(c);
    }
    if (error == 0 || error == CM_ECANCELED) {
        int commit_error = vhd_commit(vhd);

        error = commit_error != 0 ? commit_error : error;
    }
    return error;
}

static int drop_and_move(struct compact *c)
{
    uint64_t *sorted;
    size_t count;
    int error = drop_empty(c);

    if (error != 0)
        return error;
    c->vhd->stale.count = 0; /* the gaps, as they are now */
    error = vhd_map_find_gaps(c->vhd);
    sorted = error == 0 ? vhd_map_sorted(c->vhd, &count) : NULL;
    if (sorted == NULL)
        return CM_ENOMEM;
    error = move_to_front(c, sorted, count);
    free(sorted);
    if (error == 0 || error == CM_ECANCELED) {
        int cut_error = vhd_space_cut(c->vhd);

        error = error == 0 ? cut_error : error;
    }
    return error;
}

int vhd_compact(struct cm_store *store, cm_progress *progress, void *context)
{
    struct compact c = {.progress = progress, .context = context};
    int error = vhd_open_map(store, &c.vhd);

    if (error != 0)
        return error;
    c.all = 2 * (uint64_t)c.vhd->header.needed;
    error = vhd_prepare_writer(c.vhd);
    if (error == 0) {
        c.buffer = malloc(PART);
        error = failed(&c, c.buffer != NULL ? drop_and_move(&c) : CM_ENOMEM);
    }
    free(c.buffer);
    vhd_close_map(c.vhd);
    return error;
}
