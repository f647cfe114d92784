/* SPDX-License-Identifier: MIT */
/*
 * map.c - the table of a VHD's blocks in memory, and who uses which block.
 *
 * Loaded when an image is opened, then asked for every request, with the lock held. The table is held whole: for the
 * largest disk with the usual blocks it is 4 MiB, and VHD_ENTRIES_MAX bounds it for all others. An entry that puts its
 * block outside the file, over a structure or over another block makes that block VHD_BAD: it is refused, the rest of
 * the image can be read.
 */
#include "images/vhd/map.h"

#include <stdlib.h>
#include <string.h>

#include "lib/core/bytes.h"
#include "lib/core/error_internal.h"

#define READ_AT_ONCE 65536u /* bytes of the table */

/* -- ranges ------------------------------------------------------------------------------------ */

int vhd_ranges_add(struct vhd_ranges *ranges, uint64_t from, uint64_t to)
{
    if (ranges->count == ranges->room) {
        size_t room = ranges->room != 0 ? 2 * ranges->room : 16;
        struct vhd_range *items = realloc(ranges->items, room * sizeof(*items));

        if (items == NULL)
            return CM_ENOMEM;
        ranges->items = items;
        ranges->room = room;
    }
    ranges->items[ranges->count++] = (struct vhd_range){from, to};
    return 0;
}

/* -- the structures ---------------------------------------------------------------------------- */

static void put_range(struct vhd_range *ranges, unsigned *count, uint64_t from, uint64_t to)
{
    unsigned i = (*count)++;

    for (; i > 0 && ranges[i - 1].from > from; i--)
        ranges[i] = ranges[i - 1];
    ranges[i] = (struct vhd_range){from, to};
}

unsigned vhd_structures(const struct vhd *vhd, struct vhd_range ranges[VHD_STRUCTURES_MAX])
{
    const struct vhd_header *h = &vhd->header;
    uint64_t table = ((uint64_t)h->needed * 4 + VHD_SECTOR - 1) / VHD_SECTOR * VHD_SECTOR;
    unsigned count = 0;

    put_range(ranges, &count, 0, VHD_FOOTER_SIZE);
    put_range(ranges, &count, h->at, h->at + VHD_HEADER_SIZE);
    put_range(ranges, &count, h->table_at, h->table_at + table);
    for (unsigned i = 0; i < h->locator_count; i++)
        put_range(ranges, &count, h->locators[i].at, h->locators[i].at + h->locators[i].space);
    return count;
}

uint64_t vhd_blocks_end(const struct vhd *vhd)
{
    return vhd->found.end_is_missing ? cm_store_size(vhd->store)
                                     : cm_store_size(vhd->store) - VHD_FOOTER_SIZE;
}

/* -- loading ----------------------------------------------------------------------------------- */

static int read_table(struct vhd *vhd)
{
    uint64_t bytes = (uint64_t)vhd->header.needed * 4;

    for (uint64_t done = 0; done < bytes;) {
        uint32_t part = bytes - done < READ_AT_ONCE ? (uint32_t)(bytes - done) : READ_AT_ONCE;
        int error =
            cm_store_read(vhd->store, (char *)vhd->bat + done, part, vhd->header.table_at + done);

        if (error != 0)
            return cm_fail(error, "cannot read the table of blocks of %s.",
                           cm_store_path(vhd->store));
        done += part;
    }
    for (uint32_t i = 0; i < vhd->header.needed; i++)
        vhd->bat[i] = cm_get_be32(&vhd->bat[i]);
    return 0;
}

/* Entries that need no comparison with others. */
static void check_places(struct vhd *vhd)
{
    struct vhd_range structures[VHD_STRUCTURES_MAX];
    unsigned count = vhd_structures(vhd, structures);
    uint64_t end = vhd_blocks_end(vhd), span = vhd_block_span(vhd);

    for (uint32_t i = 0; i < vhd->header.needed; i++) {
        uint64_t at = vhd_place(vhd, i);
        int is_bad = at > end || span > end - at;

        if (vhd->bat[i] == VHD_ABSENT)
            continue;
        for (unsigned s = 0; s < count && !is_bad; s++)
            is_bad = at < structures[s].to && structures[s].from < at + span;
        vhd->state[i] = is_bad ? VHD_BAD : VHD_UNKNOWN;
        vhd->bad += (uint32_t)is_bad;
    }
}

/* One pass of a radix sort, by 11 bits of the sector. */
static void sort_by(const uint64_t *from, uint64_t *to, size_t count, unsigned shift)
{
    size_t starts[2048] = {0};
    size_t sum = 0;

    for (size_t i = 0; i < count; i++)
        starts[from[i] >> shift & 2047]++;
    for (size_t i = 0; i < 2048; i++) {
        size_t here = starts[i];

        starts[i] = sum;
        sum += here;
    }
    for (size_t i = 0; i < count; i++)
        to[starts[from[i] >> shift & 2047]++] = from[i];
}

uint64_t *vhd_map_sorted(struct vhd *vhd, size_t *count)
{
    uint64_t *all, *other, *swap;
    size_t n = 0, at = 0;

    for (uint32_t i = 0; i < vhd->header.needed; i++)
        n += vhd->bat[i] != VHD_ABSENT && vhd->state[i] != VHD_BAD;
    all = malloc((n + 1) * sizeof(*all));
    other = malloc((n + 1) * sizeof(*other));
    if (all == NULL || other == NULL) {
        free(all);
        free(other);
        return NULL;
    }
    for (uint32_t i = 0; i < vhd->header.needed; i++)
        if (vhd->bat[i] != VHD_ABSENT && vhd->state[i] != VHD_BAD)
            all[at++] = (uint64_t)vhd->bat[i] << 32 | i;
    for (unsigned shift = 32; shift < 64; shift += 11) {
        sort_by(all, other, n, shift);
        swap = all;
        all = other;
        other = swap;
    }
    free(other);
    *count = n;
    return all;
}

/* Two blocks at one place are bad both: nobody knows whose data is there. */
static void find_overlaps(struct vhd *vhd, const uint64_t *sorted, size_t count)
{
    uint64_t span = vhd_block_span(vhd);

    for (size_t i = 1; i < count; i++) {
        uint32_t pair[2] = {(uint32_t)sorted[i - 1], (uint32_t)sorted[i]};

        if (vhd_place(vhd, pair[1]) - vhd_place(vhd, pair[0]) >= span)
            continue;
        for (unsigned j = 0; j < 2; j++) {
            vhd->bad += vhd->state[pair[j]] != VHD_BAD;
            vhd->state[pair[j]] = VHD_BAD;
        }
    }
}

/* What lies between blocks and structures, where a block could be. */
static int find_gaps(struct vhd *vhd, const uint64_t *sorted, size_t count)
{
    struct vhd_range structures[VHD_STRUCTURES_MAX];
    unsigned all = vhd_structures(vhd, structures), s = 0;
    uint64_t span = vhd_block_span(vhd), at = 0, end = vhd_blocks_end(vhd);
    int error = 0;

    for (size_t i = 0; i < count || s < all;) {
        uint64_t block = i < count ? (sorted[i] >> 32) * VHD_SECTOR : UINT64_MAX;
        int is_block = s == all || block < structures[s].from;
        uint64_t from = is_block ? block : structures[s].from;
        uint64_t to = is_block ? block + span : structures[s].to;

        if (from > at && from - at >= span && error == 0)
            error = vhd_ranges_add(&vhd->stale, at, from);
        at = to > at ? to : at;
        i += (size_t)is_block;
        s += (unsigned)!is_block;
    }
    if (error == 0 && end > at && end - at >= span)
        error = vhd_ranges_add(&vhd->stale, at, end);
    return error;
}

int vhd_map_find_gaps(struct vhd *vhd)
{
    size_t count;
    uint64_t *sorted = vhd_map_sorted(vhd, &count);
    int error = sorted != NULL ? find_gaps(vhd, sorted, count) : CM_ENOMEM;

    free(sorted);
    return error;
}

int vhd_map_load(struct vhd *vhd)
{
    uint32_t needed = vhd->header.needed;
    uint64_t *sorted;
    size_t count;
    int error;

    vhd->bat = malloc((size_t)needed * 4);
    vhd->state = calloc(1, needed);
    vhd->dirty = calloc(1, needed / VHD_UNIT_ENTRIES + 1);
    if (vhd->bat == NULL || vhd->state == NULL || vhd->dirty == NULL)
        return cm_fail(CM_ENOMEM, "no memory for the table of %s.", cm_store_path(vhd->store));
    error = read_table(vhd);
    if (error != 0)
        return error;
    check_places(vhd);
    sorted = vhd_map_sorted(vhd, &count);
    if (sorted == NULL)
        return cm_fail(CM_ENOMEM, "no memory for the table of %s.", cm_store_path(vhd->store));
    find_overlaps(vhd, sorted, count);
    if (!cm_store_is_read_only(vhd->store) && vhd->bad == 0)
        error = find_gaps(vhd, sorted, count);
    free(sorted);
    vhd->end = cm_store_size(vhd->store);
    if (error != 0)
        return cm_fail(error, "no memory for the free space of %s.", cm_store_path(vhd->store));
    return 0;
}

void vhd_map_free(struct vhd *vhd)
{
    free(vhd->bat);
    free(vhd->state);
    free(vhd->dirty);
    free(vhd->fresh);
    free(vhd->clean.items);
    free(vhd->stale.items);
    free(vhd->freed_clean.items);
    free(vhd->freed_stale.items);
}

void vhd_map_set(struct vhd *vhd, uint32_t block, uint32_t sector)
{
    vhd->bat[block] = sector;
    vhd->dirty[block / VHD_UNIT_ENTRIES] = 1;
}

/* -- uses -------------------------------------------------------------------------------------- */

static int must_wait(const struct vhd *vhd, const struct vhd_use *use)
{
    for (const struct vhd_use *u = use->before; u != &vhd->uses; u = u->before)
        if (u->block == use->block && (u->is_alone || use->is_alone))
            return 1;
    return 0;
}

void vhd_use_begin(struct vhd *vhd, struct vhd_use *use, uint32_t block, int is_alone)
{
    use->block = block;
    use->is_alone = is_alone;
    use->after = &vhd->uses;
    use->before = vhd->uses.before;
    use->before->after = use;
    vhd->uses.before = use;
    while (must_wait(vhd, use))
        cm_os_cond_wait(&vhd->changed, &vhd->lock);
}

void vhd_use_share(struct vhd *vhd, struct vhd_use *use)
{
    use->is_alone = 0;
    cm_os_cond_broadcast(&vhd->changed);
}

/* Who waits is behind; so the last one of the list wakes nobody. */
void vhd_use_end(struct vhd *vhd, struct vhd_use *use)
{
    if (use->after != &vhd->uses)
        cm_os_cond_broadcast(&vhd->changed);
    use->before->after = use->after;
    use->after->before = use->before;
}
