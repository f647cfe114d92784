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
#include "lib/core/bytes.h"

#include <coremnt/error.h>

/* -- lists ------------------------------------------------------------------------------------- */

#define EXTENTS_MAX 4096u /* in a list, so that a look through it stays short */

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

int vhdx_space_take(struct vhdx *v, uint64_t size, uint64_t *at)
{
    int error;

    if (take_ready(v, size, at))
        return 0;
    if (size > INT64_MAX - v->space.end)
        return CM_ENOSPC;
    error = cm_store_resize(v->file, v->space.end + size);
    if (error != 0)
        return error;
    *at = v->space.end;
    v->space.end += size;
    return 0;
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

unsigned vhdx_space_before_flush(struct vhdx *v)
{
    struct vhdx_extents *limbo = &v->space.limbo;
    unsigned kept = 0;

    if (limbo->count == 0)
        return 0;
    end_epochs(&v->space);
    for (unsigned i = 0; i < limbo->count; i++) {
        if (limbo->items[i].epoch + 2 <= v->space.epoch)
            push(&v->space.zeroed, limbo->items[i]);
        else
            limbo->items[kept++] = limbo->items[i];
    }
    limbo->count = kept;
    return v->space.zeroed.count;
}

void vhdx_space_when_durable(struct vhdx *v)
{
    move_all(&v->space.zeroed, &v->space.ready);
    move_all(&v->space.logged, &v->space.limbo);
}

/* -- what earlier sessions left ---------------------------------------------------------------- */

/* A file is looked through only within these bounds: more would take too long for the first write. */
#define SCAN_TABLE_MAX (8u << 20)         /* bytes of the BAT */
#define SCAN_FILE_MAX (UINT64_C(1) << 24) /* MiB of the file: a bit for each */

static void mark(unsigned char *used, uint64_t count, uint64_t at, uint64_t size)
{
    uint64_t first = at / VHDX_MIB;
    uint64_t end = first + (size + VHDX_MIB - 1) / VHDX_MIB;

    for (; first < end && first < count; first++)
        used[first / 8] = (unsigned char)(used[first / 8] | 1u << first % 8);
}

static int mark_table(const struct vhdx *v, unsigned char *used, uint64_t count)
{
    unsigned char table[16 * VHDX_SECTOR];
    uint64_t entries = vhdx_bat_entries(&v->metadata);

    for (uint64_t i = 0; i < entries; i++) {
        uint32_t into = (uint32_t)(i * 8 % sizeof(table));
        uint64_t at;

        if (into == 0 &&
            cm_store_read(v->file, table, sizeof(table), v->regions.bat.at + i * 8) != 0)
            return 0;
        at = cm_get_le64(table + into) & VHDX_PLACE_MASK;
        if (at != 0) /* also what is a bitmap's: that is no more than a block's */
            mark(used, count, at, v->metadata.block_size);
    }
    return 1;
}

static void mark_structures(const struct vhdx *v, unsigned char *used, uint64_t count)
{
    mark(used, count, 0, VHDX_MIB);
    mark(used, count, v->header.log_at, v->header.log_size);
    mark(used, count, v->regions.bat.at, v->regions.bat.size);
    mark(used, count, v->regions.metadata.at, v->regions.metadata.size);
    for (unsigned i = 0; i < v->regions.unknown_count; i++)
        mark(used, count, v->regions.unknown[i].at, v->regions.unknown[i].size);
}

/* What is in that room nobody knows, so it goes the way of room that was just given up. */
static void take_gaps(struct vhdx *v, const unsigned char *used, uint64_t count)
{
    for (uint64_t i = 0; i < count; i++)
        if ((used[i / 8] >> i % 8 & 1) == 0)
            push(&v->space.limbo, (struct vhdx_extent){i * VHDX_MIB, VHDX_MIB, v->space.epoch});
}

void vhdx_space_scan(struct vhdx *v)
{
    uint64_t count = v->space.end / VHDX_MIB;
    unsigned char *used;

    if (v->regions.bat.size > SCAN_TABLE_MAX || count > SCAN_FILE_MAX || v->space.limbo.count > 0)
        return;
    used = calloc(1, (size_t)count / 8 + 1);
    if (used == NULL)
        return;
    mark_structures(v, used, count);
    if (mark_table(v, used, count))
        take_gaps(v, used, count);
    free(used);
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
