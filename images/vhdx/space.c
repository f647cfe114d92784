/* SPDX-License-Identifier: MIT */
/*
 * space.c - room in the file: at its end, or where blocks were that have been given up.
 *
 * Called with the lock held, by whoever takes a block or gives one up, and by the leader of a commit, which moves what was
 * given up through the lists of struct vhdx_space. New room must read as zeros also after a power cut, or another block's
 * old data would show in it. At the end of the file the file system sees to that; room that is used again is made
 * zeros, and that is durable, before anybody gets it. Nor may it be used again as long as somebody who has looked its
 * place up before still reads or writes there: I/O to payload is counted by epochs. An epoch ends when no I/O of the one
 * before it is left, so what was let go in epoch e is nobody's in epoch e + 2.
 */
#include <stdlib.h>
#include <string.h>

#include "images/vhdx/disk.h"

#include <coremnt/error.h>

/* -- lists ------------------------------------------------------------------------------------- */

#define GROW_BYTES (16u * VHDX_MIB)
#define ZEROS_STORE (64u * VHDX_MIB) /* or a block, if that is more */
#define EXTENTS_MAX 4096u            /* in a list, so that a look through it stays short */

/* What finds no room in a list is forgotten: it is waste until the image is compacted. */
static void push(struct vhdx_extents *list, struct vhdx_extent extent)
{
    struct vhdx_extent *last = list->count > 0 ? &list->items[list->count - 1] : NULL;

    if (last != NULL && last->at + last->size == extent.at && last->epoch == extent.epoch) {
        last->size += extent.size;
        return;
    }
    if (list->count == list->room) {
        unsigned room = list->room == 0 ? 16 : list->room * 2;
        struct vhdx_extent *items =
            room <= EXTENTS_MAX ? realloc(list->items, room * sizeof(*items)) : NULL;

        if (items == NULL)
            return;
        list->items = items;
        list->room = room;
    }
    list->items[list->count++] = extent;
}

static void move_all(struct vhdx_extents *from, struct vhdx_extents *to)
{
    for (unsigned i = 0; i < from->count; i++)
        push(to, from->items[i]);
    from->count = 0;
}

static int overlaps(const struct vhdx_extents *list, uint64_t at, uint64_t size)
{
    for (unsigned i = 0; i < list->count; i++)
        if (at < list->items[i].at + list->items[i].size && list->items[i].at < at + size)
            return 1;
    return 0;
}

/* -- taking ------------------------------------------------------------------------------------ */

static int take_ready(struct vhdx *v, uint64_t size, uint64_t *at)
{
    struct vhdx_extents *ready = &v->space.ready;

    for (unsigned i = 0; i < ready->count; i++) {
        if (ready->items[i].size < size)
            continue;
        *at = ready->items[i].at;
        ready->items[i].at += size;
        ready->items[i].size -= size;
        if (ready->items[i].size == 0)
            ready->items[i] = ready->items[--ready->count];
        return 1;
    }
    return 0;
}

/* More than is asked for, so that the file does not grow for each block; or only that, if there is no more. What is too
 * much is cut off again when the image is closed. A fixed image has exactly its blocks. */
static int grow(struct vhdx *v, uint64_t size)
{
    uint64_t more = size < GROW_BYTES && !v->metadata.is_fixed ? GROW_BYTES : size;
    int error;

    if (more > INT64_MAX - v->space.end)
        return CM_ENOSPC;
    error = cm_store_resize(v->file, v->space.end + more);
    if (error != 0 && more > size) {
        more = size;
        error = cm_store_resize(v->file, v->space.end + more);
    }
    if (error != 0)
        return error;
    push(&v->space.ready, (struct vhdx_extent){v->space.end, more, 0});
    v->space.end += more;
    return 0;
}

int vhdx_space_take(struct vhdx *v, uint64_t size, uint64_t *at)
{
    int error;

    if (take_ready(v, size, at))
        return 0;
    error = grow(v, size);
    if (error != 0)
        return error;
    return take_ready(v, size, at) ? 0 : CM_ENOMEM;
}

/* -- giving up --------------------------------------------------------------------------------- */

/* A damaged file may name a place twice: that is not given up twice. */
void vhdx_space_free(struct vhdx *v, uint64_t at, uint64_t size)
{
    struct vhdx_space *space = &v->space;

    if (overlaps(&space->freed, at, size) || overlaps(&space->logging, at, size) ||
        overlaps(&space->logged, at, size) || overlaps(&space->limbo, at, size) ||
        overlaps(&space->zeroed, at, size) || overlaps(&space->ready, at, size))
        return;
    push(&space->freed, (struct vhdx_extent){at, size, space->epoch});
}

unsigned vhdx_space_use(struct vhdx *v)
{
    unsigned slot = v->space.epoch & 1;

    atomic_fetch_add(&v->space.users[slot], 1);
    return slot;
}

void vhdx_space_unuse(struct vhdx *v, unsigned slot)
{
    atomic_fetch_sub(&v->space.users[slot], 1);
}

void vhdx_space_logging(struct vhdx *v)
{
    move_all(&v->space.freed, &v->space.logging);
}

void vhdx_space_logged(struct vhdx *v, int error)
{
    move_all(&v->space.logging, error == 0 ? &v->space.logged : &v->space.freed);
}

static void end_epochs(struct vhdx_space *space)
{
    for (int i = 0; i < 2; i++)
        if (atomic_load(&space->users[(space->epoch + 1) & 1]) == 0)
            space->epoch++;
}

static uint64_t total(const struct vhdx_extents *list)
{
    uint64_t sum = 0;

    for (unsigned i = 0; i < list->count; i++)
        sum += list->items[i].size;
    return sum;
}

/* What may be made zeros before this flush. A hole costs nothing. Where zeros have to be written, which a trim of a large
 * file must not wait for, there is only a store of them, and more when that is used up. Which it is the first one shows. */
static uint64_t zeros_wanted(const struct vhdx *v)
{
    uint64_t store = v->metadata.block_size > ZEROS_STORE ? v->metadata.block_size : ZEROS_STORE;
    uint64_t there = total(&v->space.ready) + total(&v->space.zeroed);

    if (v->space.holes == VHDX_HOLES_YES)
        return UINT64_MAX;
    if (v->space.holes == VHDX_HOLES_UNKNOWN)
        return VHDX_MIB;
    return there < store ? store - there : 0;
}

unsigned vhdx_space_before_flush(struct vhdx *v)
{
    struct vhdx_extents *limbo = &v->space.limbo;
    uint64_t wanted = limbo->count > 0 ? zeros_wanted(v) : 0;
    unsigned kept = 0;

    if (limbo->count > 0)
        end_epochs(&v->space);
    for (unsigned i = 0; i < limbo->count; i++) {
        struct vhdx_extent extent = limbo->items[i];
        uint64_t size = extent.size < wanted ? extent.size : wanted;

        if (extent.epoch + 2 > v->space.epoch)
            size = 0;
        if (size > 0)
            push(&v->space.zeroed, (struct vhdx_extent){extent.at, size, 0});
        wanted -= size;
        extent.at += size;
        extent.size -= size;
        if (extent.size > 0)
            limbo->items[kept++] = extent;
    }
    limbo->count = kept;
    return v->space.zeroed.count;
}

void vhdx_space_when_durable(struct vhdx *v)
{
    move_all(&v->space.zeroed, &v->space.ready);
    move_all(&v->space.logged, &v->space.limbo);
}

/* What is in it nobody knows, so it goes the way of room that was just given up. */
void vhdx_space_add_gap(struct vhdx *v, uint64_t at, uint64_t size)
{
    push(&v->space.limbo, (struct vhdx_extent){at, size, v->space.epoch});
}

/* -- at the end -------------------------------------------------------------------------------- */

static int cut_list(struct vhdx_extents *list, uint64_t *end)
{
    for (unsigned i = 0; i < list->count; i++) {
        if (list->items[i].at + list->items[i].size == *end) {
            *end = list->items[i].at;
            list->items[i] = list->items[--list->count];
            return 1;
        }
    }
    return 0;
}

uint64_t vhdx_space_cut(struct vhdx *v)
{
    struct vhdx_space *space = &v->space;

    while (cut_list(&space->limbo, &space->end) || cut_list(&space->zeroed, &space->end) ||
           cut_list(&space->ready, &space->end))
        ;
    return space->end;
}

void vhdx_space_free_lists(struct vhdx *v)
{
    free(v->space.freed.items);
    free(v->space.logging.items);
    free(v->space.logged.items);
    free(v->space.limbo.items);
    free(v->space.zeroed.items);
    free(v->space.ready.items);
}
