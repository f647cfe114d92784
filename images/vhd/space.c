/* SPDX-License-Identifier: MIT */
/*
 * space.c - where new blocks go in a VHD's file, and what becomes of the place of a block that is dropped. Called with
 * the lock held, by writes, trims and commits.
 *
 * A place that is given to a block must read as zeros, even after a power cut, before the table in the file may say so:
 * else what another block, or another image, left there would be seen.
 *
 *   The end of the file. What a file grows by is zeros. It grows by some blocks at once, and the footer's next place is
 *   behind them. The old footer is never overwritten: the first new block begins behind it. So the footer that counts,
 *   at the end or the copy at the beginning, is there at every instant.
 *
 *   A block that was dropped is made a hole at once, while the table in the file may still name it: what it gives then,
 *   zeros, is what a trim asks for. When a commit has made the new table durable, and with it the hole, it is clean.
 *
 *   A gap that was there when the image was opened is stale, and so is a dropped block where the storage cannot make
 *   holes. It is made zeros when it is taken, and the commit that names it waits for these zeros first.
 *
 * The footer's place and a block's bitmap have their space before the block gets its entry, so that a commit never finds
 * the storage full.
 *
 * The data of a block begins at whole 4 KiB of the file; in VHDs of others it mostly does not.
 */
#include <stdlib.h>

#include "images/vhd/map.h"

#define DATA_ALIGNMENT 4096u
#define GROW_BYTES (16u << 20) /* by that much the file grows, if not one block is more */

/* The first place for a block from a byte on. */
static uint64_t aligned_place(const struct vhd *vhd, uint64_t from)
{
    uint64_t data = from + vhd->header.bitmap_size + DATA_ALIGNMENT - 1;

    return data / DATA_ALIGNMENT * DATA_ALIGNMENT - vhd->header.bitmap_size;
}

static int is_nameable(uint64_t place)
{
    return place / VHD_SECTOR < VHD_ABSENT;
}

uint64_t vhd_place_in(const struct vhd *vhd, const struct vhd_range *range)
{
    uint64_t span = vhd_block_span(vhd);
    uint64_t place = aligned_place(vhd, range->from);

    if (place > range->to || range->to - place < span)
        place = (range->from + VHD_SECTOR - 1) / VHD_SECTOR * VHD_SECTOR;
    if (place > range->to || range->to - place < span || !is_nameable(place))
        return 0;
    return place;
}

/* Of the last range that has room. @return 0: none has. */
static uint64_t carve(const struct vhd *vhd, struct vhd_ranges *ranges)
{
    for (; ranges->count > 0; ranges->count--) {
        struct vhd_range *range = &ranges->items[ranges->count - 1];
        uint64_t place = vhd_place_in(vhd, range);

        if (place != 0) {
            range->from = place + vhd_block_span(vhd);
            return place;
        }
    }
    return 0;
}

/* Footer and all: the file with room for `blocks` from a place on. */
static uint64_t size_for(const struct vhd *vhd, uint64_t place, uint64_t blocks)
{
    uint64_t step = aligned_place(vhd, place + vhd_block_span(vhd)) - place;
    uint64_t end = place + (blocks - 1) * step + vhd_block_span(vhd);

    return (end + VHD_SECTOR - 1) / VHD_SECTOR * VHD_SECTOR + VHD_FOOTER_SIZE;
}

/* What a commit writes besides the table has its space before it is needed: when the storage is full, the write that wants a
 * new block fails, and not the commit, which is everybody's. The table has no holes: it is made of ones and of places. What
 * else fails here will be told by who writes there. */
static int reserve(struct vhd *vhd, uint64_t at, uint32_t length)
{
    return cm_store_reserve(vhd->store, at, length) == CM_ENOSPC ? CM_ENOSPC : 0;
}

static int grow(struct vhd *vhd, uint64_t *place)
{
    uint64_t blocks = GROW_BYTES / vhd_block_span(vhd) + 1, before = cm_store_size(vhd->store);
    int error;

    *place = aligned_place(vhd, before);
    if (!is_nameable(*place))
        return CM_ENOSPC;
    error = cm_store_resize(vhd->store, size_for(vhd, *place, blocks));
    if (error != 0 && blocks > 1)
        error = cm_store_resize(vhd->store, size_for(vhd, *place, 1));
    if (error == 0)
        error = reserve(vhd, cm_store_size(vhd->store) - VHD_FOOTER_SIZE, VHD_FOOTER_SIZE);
    if (error != 0 && cm_store_size(vhd->store) != before)
        (void)cm_store_resize(vhd->store, before);
    if (cm_store_size(vhd->store) == before)
        return error;
    vhd->has_changed_end = 1;
    vhd->needs_barrier = 1;
    vhd->has_moved = 1;
    return error;
}

static int take_at_end(struct vhd *vhd, uint64_t *place)
{
    uint64_t end = cm_store_size(vhd->store) - VHD_FOOTER_SIZE, span = vhd_block_span(vhd);
    int error = 0;

    *place = aligned_place(vhd, vhd->end);
    if (*place > end || span > end - *place || !is_nameable(*place))
        error = grow(vhd, place);
    if (error == 0)
        vhd->end = *place + span;
    return error;
}

/* With the lock given up while zeros are made. */
static int take_stale(struct vhd *vhd, uint64_t place)
{
    uint64_t span = vhd_block_span(vhd);
    int error;

    cm_os_mutex_unlock(&vhd->lock);
    error = cm_store_zero(vhd->store, place, span);
    cm_os_mutex_lock(&vhd->lock);
    if (error != 0)
        (void)vhd_ranges_add(&vhd->stale, place, place + span); /* else until the next opening */
    vhd->needs_barrier = 1;
    return error;
}

int vhd_space_take(struct vhd *vhd, uint32_t block)
{
    uint64_t place;
    int error = 0;

    if (vhd->bad != 0)
        return CM_EDAMAGED; /* a wrong entry may name what would be taken */
    if (vhd->flush_error != 0)
        return vhd->flush_error;
    place = carve(vhd, &vhd->clean);
    if (place == 0) {
        place = carve(vhd, &vhd->stale);
        error = place != 0 ? take_stale(vhd, place) : take_at_end(vhd, &place);
    }
    if (error != 0)
        return error;
    error = reserve(vhd, place, vhd->header.bitmap_size);
    if (error == 0)
        vhd_map_set(vhd, block, (uint32_t)(place / VHD_SECTOR));
    else /* for the next one; if there is no memory, until the next opening */
        (void)vhd_ranges_add(&vhd->clean, place, place + vhd_block_span(vhd));
    return error;
}

int vhd_space_give(struct vhd *vhd, uint32_t block, int is_clean)
{
    struct vhd_ranges *to = is_clean ? &vhd->freed_clean : &vhd->freed_stale;
    uint64_t place = vhd_place(vhd, block);
    int error = vhd_ranges_add(to, place, place + vhd_block_span(vhd));

    if (error != 0)
        return error;
    vhd_bitmap_drop(vhd, block);
    vhd->state[block] = VHD_UNKNOWN;
    vhd_map_set(vhd, block, VHD_ABSENT);
    vhd->has_moved = 1;
    return 0;
}

/* What finds no memory is free when the image is opened again. */
void vhd_space_settle(struct vhd *vhd, struct vhd_ranges *clean, struct vhd_ranges *stale)
{
    for (size_t i = 0; i < clean->count; i++)
        (void)vhd_ranges_add(&vhd->clean, clean->items[i].from, clean->items[i].to);
    for (size_t i = 0; i < stale->count; i++)
        (void)vhd_ranges_add(&vhd->stale, stale->items[i].from, stale->items[i].to);
}

uint64_t vhd_used_end(const struct vhd *vhd)
{
    struct vhd_range structures[VHD_STRUCTURES_MAX];
    unsigned count = vhd_structures(vhd, structures);
    uint64_t end = 0;

    for (unsigned i = 0; i < count; i++)
        end = structures[i].to > end ? structures[i].to : end;
    for (uint32_t i = 0; i < vhd->header.needed; i++) {
        uint64_t to = vhd_place(vhd, i) + vhd_block_span(vhd);

        if (vhd->bat[i] != VHD_ABSENT && to > end)
            end = to;
    }
    return (end + VHD_SECTOR - 1) / VHD_SECTOR * VHD_SECTOR;
}

/* Whether the file's table is the one in memory. After a merge that was given up it may be another one: what was dropped in
 * memory is still named there. */
static int is_all_committed(const struct vhd *vhd)
{
    for (uint32_t unit = 0; unit <= (vhd->header.needed - 1) / VHD_UNIT_ENTRIES; unit++)
        if (vhd->dirty[unit])
            return 0;
    return vhd->flush_error == 0 && vhd->fresh_count == 0 && vhd->dirty_bitmaps == 0 &&
           vhd->freed_clean.count == 0 && vhd->freed_stale.count == 0 && !vhd->has_changed_end;
}

/* The footer is there, durably, before the file is cut behind it. */
int vhd_space_cut(struct vhd *vhd)
{
    uint64_t size = vhd_used_end(vhd) + VHD_FOOTER_SIZE;
    int error;

    if (vhd->bad != 0 || vhd->must_not_cut || !is_all_committed(vhd) ||
        size + VHD_FOOTER_SIZE > cm_store_size(vhd->store))
        return 0;
    error = cm_store_write(vhd->store, vhd->footer.bytes, VHD_FOOTER_SIZE, size - VHD_FOOTER_SIZE);
    if (error == 0)
        error = cm_store_flush(vhd->store);
    if (error == 0)
        error = cm_store_resize(vhd->store, size);
    return error == 0 ? cm_store_flush(vhd->store) : error;
}
