/* SPDX-License-Identifier: MIT */
/*
 * map.c - from a block of the disk to its place in the file: entries of the BAT and, in a differencing image, the bitmap
 * that says which sectors of a block are here.
 *
 * Called by io.c and resize.c with the lock held; hot. The BAT has an entry for each block, and behind those of
 * a chunk one for the bitmap block of the chunk, so neither needs a search. Entries come from a file that anybody may
 * have written: a place is believed only when it lies in the file and not over the file's own structures.
 */
#include <string.h>

#include <string.h>

#include "images/vhdx/disk.h"
#include "lib/core/bytes.h"
#include "lib/core/zeros.h"

#include <coremnt/error.h>

#define ENTRY 8u /* bytes */

/* -- the BAT ----------------------------------------------------------------------------------- */

uint64_t vhdx_map_blocks(const struct vhdx *v)
{
    return (v->metadata.disk_size + v->metadata.block_size - 1) >> v->block_shift;
}

static uint64_t block_index(const struct vhdx *v, uint64_t block)
{
    return block + (block >> v->chunk_shift);
}

static uint64_t bitmap_index(const struct vhdx *v, uint64_t block)
{
    uint64_t chunk = block >> v->chunk_shift;

    return ((chunk + 1) << v->chunk_shift) + chunk;
}

static int get_entry(struct vhdx *v, uint64_t index, struct vhdx_page **page, unsigned char **entry)
{
    uint64_t byte = index * ENTRY;
    int error;

    if (byte >= v->regions.bat.size)
        return CM_EDAMAGED;
    error = vhdx_page_get(v, v->regions.bat.at + (byte & ~(uint64_t)(VHDX_SECTOR - 1)), page);
    if (error == 0)
        *entry = (*page)->bytes + byte % VHDX_SECTOR;
    return error;
}

static int touches(uint64_t at, uint64_t size, uint64_t other_at, uint64_t other_size)
{
    return at < other_at + other_size && other_at < at + size;
}

/* A block that begins in the file but does not end there was cut off: what is missing reads as zeros. Such a file is not
 * written to (scan.c). */
static int is_place(const struct vhdx *v, uint64_t at, uint64_t size)
{
    uint64_t end = cm_store_size(v->view);

    return at >= VHDX_MIB && at < end && !touches(at, size, v->header.log_at, v->header.log_size) &&
           !touches(at, size, v->regions.bat.at, v->regions.bat.size) &&
           !touches(at, size, v->regions.metadata.at, v->regions.metadata.size);
}

int vhdx_map_get(struct vhdx *v, uint64_t block, struct vhdx_where *where)
{
    struct vhdx_page *page;
    unsigned char *entry;
    uint64_t value;
    int error = get_entry(v, block_index(v, block), &page, &entry);

    if (error != 0)
        return error;
    value = cm_get_le64(entry);
    where->state = (enum vhdx_state)(value & VHDX_STATE_MASK);
    where->at = 0;
    where->is_dirty = page->is_dirty || page->is_being_logged;
    switch (where->state) {
    case VHDX_PARTLY_PRESENT:
        if (v->parent == NULL)
            return CM_EDAMAGED;
        /* fall through */
    case VHDX_PRESENT:
        where->at = value & VHDX_PLACE_MASK;
        return is_place(v, where->at, v->metadata.block_size) ? 0 : CM_EDAMAGED;
    case VHDX_UNMAPPED_095:
        where->state = VHDX_UNMAPPED;
        return 0;
    case VHDX_NOT_PRESENT:
    case VHDX_UNDEFINED:
    case VHDX_ZERO:
    case VHDX_UNMAPPED:
        return 0;
    default:
        return CM_EDAMAGED;
    }
}

int vhdx_map_set(struct vhdx *v, uint64_t block, enum vhdx_state state, uint64_t at)
{
    struct vhdx_page *page;
    unsigned char *entry;
    int error = get_entry(v, block_index(v, block), &page, &entry);

    if (error == 0)
        error = vhdx_page_reserve(v, page);
    if (error != 0)
        return error;
    cm_put_le64(entry, at | (uint64_t)state);
    vhdx_page_dirty(v, page);
    return 0;
}

/* -- sector bitmaps ---------------------------------------------------------------------------- */

int vhdx_map_get_bitmap(struct vhdx *v, uint64_t block, uint64_t *at)
{
    struct vhdx_page *page;
    unsigned char *entry;
    uint64_t value;
    int error = get_entry(v, bitmap_index(v, block), &page, &entry);

    if (error != 0)
        return error;
    value = cm_get_le64(entry);
    *at = (value & VHDX_STATE_MASK) == VHDX_PRESENT ? value & VHDX_PLACE_MASK : 0;
    return *at == 0 || is_place(v, *at, VHDX_BITMAP_BLOCK) ? 0 : CM_EDAMAGED;
}

int vhdx_map_set_bitmap(struct vhdx *v, uint64_t block, uint64_t at)
{
    struct vhdx_page *page;
    unsigned char *entry;
    int error = get_entry(v, bitmap_index(v, block), &page, &entry);

    if (error != 0)
        return error;
    cm_put_le64(entry, at != 0 ? at | VHDX_PRESENT : VHDX_NOT_PRESENT);
    vhdx_page_dirty(v, page);
    return 0;
}

/* The page with the bit of a sector of the disk, and the number of the bit in it. */
static int get_bits(struct vhdx *v, uint64_t sector, struct vhdx_page **page, uint32_t *bit)
{
    uint64_t block = sector * v->metadata.sector_size >> v->block_shift;
    uint64_t byte = sector % VHDX_CHUNK_SECTORS / 8;
    unsigned char *entry;
    uint64_t value;
    int error = get_entry(v, bitmap_index(v, block), page, &entry);

    if (error != 0)
        return error;
    value = cm_get_le64(entry);
    if ((value & VHDX_STATE_MASK) != VHDX_PRESENT ||
        !is_place(v, value & VHDX_PLACE_MASK, VHDX_BITMAP_BLOCK))
        return CM_EDAMAGED;
    *bit = (uint32_t)(sector % (VHDX_SECTOR * 8));
    return vhdx_page_get(v, (value & VHDX_PLACE_MASK) + (byte & ~(uint64_t)(VHDX_SECTOR - 1)),
                         page);
}

static int is_set(const struct vhdx_page *page, uint32_t bit)
{
    return page->bytes[bit / 8] >> bit % 8 & 1;
}

/* Of one page: it is asked again where that ends. */
int vhdx_map_sectors(struct vhdx *v, uint64_t sector, uint32_t count, int *is_here, uint32_t *alike)
{
    struct vhdx_page *page;
    uint32_t bit, n;
    int error = get_bits(v, sector, &page, &bit);

    if (error != 0)
        return error;
    *is_here = is_set(page, bit);
    for (n = 1; n < count && bit + n < VHDX_SECTOR * 8 && is_set(page, bit + n) == *is_here; n++)
        ;
    *alike = n;
    return 0;
}

/* All pages are fetched, and have their space, before the first is changed. */
static int fetch_bits(struct vhdx *v, uint64_t sector, uint64_t count)
{
    uint64_t end = sector + count;
    struct vhdx_page *page;
    uint32_t bit;
    int error = 0;

    for (; sector < end && error == 0; sector += VHDX_SECTOR * 8 - bit) {
        error = get_bits(v, sector, &page, &bit);
        if (error == 0)
            error = vhdx_page_reserve(v, page);
    }
    return error;
}

static void set_bit(struct vhdx_page *page, uint32_t bit, int value)
{
    unsigned char mask = (unsigned char)(1u << bit % 8);

    page->bytes[bit / 8] =
        (unsigned char)(value ? page->bytes[bit / 8] | mask : page->bytes[bit / 8] & ~mask);
}

int vhdx_map_set_sectors(struct vhdx *v, uint64_t sector, uint64_t count, int is_here)
{
    int error = fetch_bits(v, sector, count);

    while (count > 0 && error == 0) {
        struct vhdx_page *page;
        uint32_t bit;

        error = get_bits(v, sector, &page, &bit);
        for (; error == 0 && count > 0 && bit < VHDX_SECTOR * 8; bit++, sector++, count--)
            set_bit(page, bit, is_here);
        if (error == 0)
            vhdx_page_dirty(v, page);
    }
    return error;
}

/* The bits of a block that was here before, and was given up, are still there. */
static int clear_bits(struct vhdx *v, uint64_t block)
{
    uint64_t sectors = v->metadata.block_size / v->metadata.sector_size;

    return vhdx_map_set_sectors(v, block * sectors, sectors, 0);
}

int vhdx_map_make_bitmap(struct vhdx *v, uint64_t block)
{
    struct vhdx_page *page;
    unsigned char *entry;
    uint64_t at;
    int error = get_entry(v, bitmap_index(v, block), &page, &entry);

    if (error != 0)
        return error;
    if ((cm_get_le64(entry) & VHDX_STATE_MASK) == VHDX_PRESENT)
        return clear_bits(v, block);
    error = vhdx_page_reserve(v, page);
    if (error == 0)
        error = vhdx_space_take(v, VHDX_BITMAP_BLOCK, &at);
    if (error != 0)
        return error;
    cm_put_le64(entry, at | VHDX_PRESENT);
    vhdx_page_dirty(v, page);
    return 0;
}

int vhdx_map_fill(struct vhdx *v, uint64_t block, uint64_t *at)
{
    struct vhdx_page *page;
    unsigned char *entry;
    int error = get_entry(v, block_index(v, block), &page, &entry);

    if (error == 0)
        error = vhdx_space_take(v, v->metadata.block_size, at);
    return error == 0 ? vhdx_map_set(v, block, VHDX_PRESENT, *at) : error;
}

int vhdx_map_clear(struct vhdx *v, uint64_t index, uint64_t end, uint64_t *next)
{
    uint64_t page_end = (index / (VHDX_SECTOR / ENTRY) + 1) * (VHDX_SECTOR / ENTRY);
    struct vhdx_page *page;
    unsigned char *entry;
    size_t size;
    int error = get_entry(v, index, &page, &entry);

    if (error != 0)
        return error;
    *next = end < page_end ? end : page_end;
    size = (size_t)(*next - index) * ENTRY;
    if (!cm_is_zeros(entry, size)) {
        memset(entry, 0, size);
        vhdx_page_dirty(v, page);
    }
    return 0;
}
