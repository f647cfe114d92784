/* SPDX-License-Identifier: MIT */
/*
 * bitmaps.c - which sectors of a block are here: the bitmaps in front of blocks, those that were looked at last in memory.
 *
 * Asked for requests to blocks that are not known to be full: those of differencing images, and of dynamic ones that
 * somebody else wrote. A sector without its bit is the parent's, or zeros. A bit is set when its sector has been
 * written; commit.c brings it to the file.
 */
#include <stdlib.h>
#include <string.h>

#include "images/vhd/map.h"

#define KEEP_BYTES (4u << 20) /* of bitmaps that nobody uses */

static struct vhd_bitmap **row_of(struct vhd *vhd, uint32_t block)
{
    return &vhd->bitmaps[block * 2654435761u >> 22];
}

static struct vhd_bitmap *find(struct vhd *vhd, uint32_t block)
{
    struct vhd_bitmap *b = *row_of(vhd, block);

    while (b != NULL && b->block != block)
        b = b->next;
    return b;
}

static void remove_from(struct vhd *vhd, struct vhd_bitmap **link)
{
    struct vhd_bitmap *b = *link;

    *link = b->next;
    vhd->bitmap_count--;
    vhd->dirty_bitmaps -= (uint32_t)b->is_dirty;
    free(b);
}

/* Away with some that nobody needs, a row after the other. */
static void make_room(struct vhd *vhd)
{
    for (uint32_t i = 0; i < VHD_BITMAP_ROWS; i++) {
        struct vhd_bitmap **link = &vhd->bitmaps[vhd->bitmap_hand++ % VHD_BITMAP_ROWS];

        if ((uint64_t)vhd->bitmap_count * vhd->header.bitmap_size <= KEEP_BYTES)
            return;
        while (*link != NULL) {
            if ((*link)->users == 0 && !(*link)->is_dirty && !(*link)->is_being_written)
                remove_from(vhd, link);
            else
                link = &(*link)->next;
        }
    }
}

/* All bits of the data; what is behind them in the last byte of a small block does not count. */
static int is_full(const struct vhd *vhd, const unsigned char *bits)
{
    uint32_t bytes = vhd->header.block_size / VHD_SECTOR / 8;

    return bits[0] == 0xff && memcmp(bits, bits + 1, bytes - 1) == 0;
}

/* Into memory, with the lock given up meanwhile. Others that want it wait. */
static int load(struct vhd *vhd, uint32_t block, int is_new, struct vhd_bitmap **bitmap)
{
    struct vhd_bitmap *b;
    struct vhd_bitmap **row = row_of(vhd, block);
    uint64_t at = vhd_place(vhd, block);
    int error = 0;

    make_room(vhd);
    b = calloc(1, sizeof(*b) + vhd->header.bitmap_size);
    if (b == NULL)
        return CM_ENOMEM;
    b->block = block;
    b->users = 1;
    b->is_loading = 1;
    b->next = *row;
    *row = b;
    vhd->bitmap_count++;
    if (!is_new) {
        cm_os_mutex_unlock(&vhd->lock);
        error = cm_store_read(vhd->store, b->bits, vhd->header.bitmap_size, at);
        cm_os_mutex_lock(&vhd->lock);
    }
    b->is_loading = 0;
    cm_os_cond_broadcast(&vhd->changed);
    if (error == 0) {
        *bitmap = b;
        return 0;
    }
    while (*row != b)
        row = &(*row)->next;
    remove_from(vhd, row); /* those who waited look for it again */
    return error;
}

int vhd_bitmap_get(struct vhd *vhd, uint32_t block, int is_new, struct vhd_bitmap **bitmap)
{
    struct vhd_bitmap *b = NULL;
    int error = 0;

    *bitmap = NULL;
    while (vhd->state[block] != VHD_FULL) {
        b = find(vhd, block);
        if (b == NULL || !b->is_loading)
            break;
        cm_os_cond_wait(&vhd->changed, &vhd->lock);
    }
    if (vhd->state[block] == VHD_FULL)
        return 0;
    if (b != NULL)
        b->users++;
    else
        error = load(vhd, block, is_new, &b);
    if (error != 0)
        return error;
    if (is_full(vhd, b->bits)) {
        vhd->state[block] = VHD_FULL;
        vhd_bitmap_put(b);
        return 0;
    }
    vhd->state[block] = VHD_PARTLY;
    *bitmap = b;
    return 0;
}

void vhd_bitmap_put(struct vhd_bitmap *bitmap)
{
    bitmap->users--;
}

void vhd_bitmap_set(struct vhd *vhd, struct vhd_bitmap *bitmap, uint32_t sector, uint32_t count)
{
    int has_changed = 0;

    for (uint32_t i = sector; i < sector + count; i++) {
        unsigned char bit = (unsigned char)(0x80u >> i % 8);

        has_changed |= (bitmap->bits[i / 8] & bit) == 0;
        bitmap->bits[i / 8] |= bit;
    }
    if (!has_changed)
        return;
    vhd->needs_barrier = 1; /* the data first */
    vhd->dirty_bitmaps += (uint32_t)!bitmap->is_dirty;
    bitmap->is_dirty = 1;
    if (is_full(vhd, bitmap->bits))
        vhd->state[bitmap->block] = VHD_FULL;
}

void vhd_bitmap_drop(struct vhd *vhd, uint32_t block)
{
    struct vhd_bitmap **link = row_of(vhd, block);

    while (*link != NULL && (*link)->block != block)
        link = &(*link)->next;
    if (*link != NULL)
        remove_from(vhd, link);
}

void vhd_bitmaps_free(struct vhd *vhd)
{
    for (uint32_t i = 0; i < VHD_BITMAP_ROWS; i++)
        while (vhd->bitmaps[i] != NULL)
            remove_from(vhd, &vhd->bitmaps[i]);
}

uint32_t vhd_bits_alike(const unsigned char *bits, uint32_t sector, uint32_t count)
{
    int first = vhd_bit(bits, sector);
    unsigned char whole = first ? 0xff : 0;
    uint32_t n = 1;

    while (n < count) {
        if ((sector + n) % 8 == 0 && count - n >= 8 && bits[(sector + n) / 8] == whole)
            n += 8;
        else if (vhd_bit(bits, sector + n) == first)
            n++;
        else
            break;
    }
    return n;
}
