/* SPDX-License-Identifier: MIT */
/*
 * io.c - reads, writes, trims and extents of a VHD with blocks. The hot path: called by the pool, on many threads at once.
 *
 * A request is cut at the ends of blocks. For each piece the lock is taken to look where the block is, and again to say
 * that the piece is done; never over the I/O of data. A write to a block that has no place gives it one in memory;
 * commit.c makes that durable when somebody asks for it.
 */
#include <string.h>

#include "images/vhd/map.h"
#include "lib/core/zeros.h"

#define PIECE_MAX (4u << 20) /* bytes, so that the bits of a piece fit on the stack */
#define PIECE_BITS (PIECE_MAX / VHD_SECTOR / 8 + 1)

struct piece {
    uint32_t block;
    uint32_t at;     /* bytes in the block's data */
    uint32_t length; /* bytes */
};

static struct piece cut(const struct vhd *vhd, uint64_t offset, uint64_t length)
{
    uint32_t size = vhd->header.block_size;
    struct piece piece = {(uint32_t)(offset / size), (uint32_t)(offset % size), 0};
    uint32_t rest = size - piece.at;

    rest = rest < PIECE_MAX ? rest : PIECE_MAX;
    piece.length = length < rest ? (uint32_t)length : rest;
    return piece;
}

static uint64_t data_place(const struct vhd *vhd, const struct piece *piece)
{
    return vhd_place(vhd, piece->block) + vhd->header.bitmap_size + piece->at;
}

static uint64_t disk_offset(const struct vhd *vhd, const struct piece *piece)
{
    return (uint64_t)piece->block * vhd->header.block_size + piece->at;
}

/* -- reading ----------------------------------------------------------------------------------- */

static int read_below(struct vhd *vhd, void *buffer, uint32_t length, uint64_t offset)
{
    if (vhd->parent != NULL)
        return cm_image_read(vhd->parent, buffer, length, offset);
    memset(buffer, 0, length);
    return 0;
}

/* Not locked. `bits` are those of the piece, from its first sector's byte on. */
static int read_partly(struct vhd *vhd, const struct piece *piece, char *buffer, uint64_t place,
                       const unsigned char *bits)
{
    uint32_t first = piece->at / VHD_SECTOR % 8, all = piece->length / VHD_SECTOR;
    int error = 0;

    for (uint32_t s = 0; s < all && error == 0;) {
        uint32_t alike = vhd_bits_alike(bits, first + s, all - s);
        uint32_t bytes = alike * VHD_SECTOR, at = s * VHD_SECTOR;

        if (vhd_bit(bits, first + s))
            error = cm_store_read(vhd->store, buffer + at, bytes, place + at);
        else
            error = read_below(vhd, buffer + at, bytes, disk_offset(vhd, piece) + at);
        s += alike;
    }
    return error;
}

/* Locked, with a use. Unlocks for the I/O. */
static int read_here(struct vhd *vhd, const struct piece *piece, char *buffer)
{
    unsigned char bits[PIECE_BITS];
    uint32_t first = piece->at / VHD_SECTOR / 8;
    uint32_t last = (piece->at + piece->length - 1) / VHD_SECTOR / 8;
    struct vhd_bitmap *bitmap = NULL;
    uint64_t place = data_place(vhd, piece);
    int error = vhd->state[piece->block] == VHD_BAD ? CM_EDAMAGED : 0;

    if (error == 0)
        error = vhd_bitmap_get(vhd, piece->block, 0, &bitmap);
    if (error != 0)
        return error;
    if (bitmap != NULL) {
        memcpy(bits, bitmap->bits + first, last - first + 1);
        vhd_bitmap_put(bitmap);
    }
    cm_os_mutex_unlock(&vhd->lock);
    error = bitmap != NULL ? read_partly(vhd, piece, buffer, place, bits)
                           : cm_store_read(vhd->store, buffer, piece->length, place);
    cm_os_mutex_lock(&vhd->lock);
    return error;
}

static int read_piece(struct vhd *vhd, const struct piece *piece, char *buffer)
{
    struct vhd_use use;
    int error, is_absent;

    cm_os_mutex_lock(&vhd->lock);
    is_absent = vhd->bat[piece->block] == VHD_ABSENT;
    if (!is_absent) {
        vhd_use_begin(vhd, &use, piece->block, 0);
        is_absent = vhd->bat[piece->block] == VHD_ABSENT; /* dropped meanwhile */
        error = is_absent ? 0 : read_here(vhd, piece, buffer);
        vhd_use_end(vhd, &use);
    }
    cm_os_mutex_unlock(&vhd->lock);
    return is_absent ? read_below(vhd, buffer, piece->length, disk_offset(vhd, piece)) : error;
}

int vhd_read(void *context, void *buffer, uint32_t length, uint64_t offset)
{
    struct vhd *vhd = context;
    char *to = buffer;

    while (length > 0) {
        struct piece piece = cut(vhd, offset, length);
        int error = read_piece(vhd, &piece, to);

        if (error != 0)
            return error;
        to += piece.length;
        offset += piece.length;
        length -= piece.length;
    }
    return 0;
}

/* -- writing ----------------------------------------------------------------------------------- */

/* Locked, with a use. Give the block a place if it has none. A dynamic image's block is full from the beginning: what is
 * not written in it is zeros. */
static int have_place(struct vhd *vhd, struct vhd_use *use, uint32_t block, int *is_new)
{
    int error = 0;

    *is_new = 0;
    if (vhd->bat[block] != VHD_ABSENT)
        return vhd->state[block] == VHD_BAD ? CM_EDAMAGED : 0;
    vhd_use_end(vhd, use);
    vhd_use_begin(vhd, use, block, 1);
    if (vhd->bat[block] == VHD_ABSENT) {
        error = vhd_space_take(vhd, block);
        *is_new = error == 0;
        if (error == 0)
            vhd->state[block] = vhd->parent != NULL ? VHD_PARTLY : VHD_FULL;
        if (error == 0 && vhd->parent == NULL)
            error = vhd_fresh_add(vhd, block);
    }
    vhd_use_share(vhd, use);
    return error;
}

/* Locked, with a use. `buffer` NULL: zeros, for which a new place needs nothing. Unlocks for the I/O. */
static int write_here(struct vhd *vhd, const struct piece *piece, const char *buffer, int is_new)
{
    struct vhd_bitmap *bitmap;
    uint64_t place = data_place(vhd, piece);
    int error = vhd_bitmap_get(vhd, piece->block, is_new, &bitmap);

    if (error != 0)
        return error;
    cm_os_mutex_unlock(&vhd->lock);
    if (buffer != NULL)
        error = cm_store_write(vhd->store, buffer, piece->length, place);
    else if (!is_new)
        error = cm_store_zero(vhd->store, place, piece->length);
    cm_os_mutex_lock(&vhd->lock);
    if (bitmap == NULL)
        return error;
    if (error == 0 && (buffer != NULL || vhd->parent != NULL))
        vhd_bitmap_set(vhd, bitmap, piece->at / VHD_SECTOR, piece->length / VHD_SECTOR);
    vhd_bitmap_put(bitmap);
    return error;
}

/* Whether zeros can stay where there is nothing. */
static int is_nothing_to_write(struct vhd *vhd, const struct piece *piece, const char *buffer)
{
    int is_absent;

    cm_os_mutex_lock(&vhd->lock);
    is_absent = vhd->bat[piece->block] == VHD_ABSENT;
    cm_os_mutex_unlock(&vhd->lock);
    return is_absent && vhd->parent == NULL && cm_is_zeros(buffer, piece->length);
}

static int write_piece(struct vhd *vhd, const struct piece *piece, const char *buffer)
{
    struct vhd_use use;
    int error, is_new;

    cm_os_mutex_lock(&vhd->lock);
    vhd_use_begin(vhd, &use, piece->block, 0);
    error = have_place(vhd, &use, piece->block, &is_new);
    if (error == 0)
        error = write_here(vhd, piece, buffer, is_new);
    vhd_use_end(vhd, &use);
    cm_os_mutex_unlock(&vhd->lock);
    return error;
}

/* So that what waits for a flush does not take memory without end. An error is the next flush's, if that fails too; here it is
 * tried again when as much has come as was there the first time. */
static void commit_if_much(struct vhd *vhd)
{
    int is_much;

    cm_os_mutex_lock(&vhd->lock);
    is_much = vhd->fresh_count + vhd->dirty_bitmaps >= vhd->left_over + VHD_DIRTY_MAX;
    cm_os_mutex_unlock(&vhd->lock);
    if (is_much)
        (void)vhd_commit(vhd);
}

int vhd_write(void *context, const void *buffer, uint32_t length, uint64_t offset, uint32_t flags)
{
    struct vhd *vhd = context;
    const char *from = buffer;

    while (length > 0) {
        struct piece piece = cut(vhd, offset, length);
        int error = is_nothing_to_write(vhd, &piece, from) ? 0 : write_piece(vhd, &piece, from);

        if (error != 0)
            return error;
        from += piece.length;
        offset += piece.length;
        length -= piece.length;
    }
    if ((flags & CM_IMAGE_FUA) != 0)
        return vhd_commit(vhd);
    commit_if_much(vhd);
    return 0;
}

int vhd_flush(void *context)
{
    return vhd_commit(context);
}

/* -- trimming ---------------------------------------------------------------------------------- */

/* All of a block of a dynamic image: it is dropped, and its place made a hole if the storage can. */
static int drop_block(struct vhd *vhd, uint32_t block)
{
    struct vhd_use use;
    int error = 0, is_hole;

    cm_os_mutex_lock(&vhd->lock);
    vhd_use_begin(vhd, &use, block, 1);
    if (vhd->bat[block] != VHD_ABSENT && vhd->state[block] == VHD_BAD) {
        error = CM_EDAMAGED;
    } else if (vhd->bat[block] != VHD_ABSENT) {
        uint64_t place = vhd_place(vhd, block);

        cm_os_mutex_unlock(&vhd->lock);
        error = cm_store_punch(vhd->store, place, vhd_block_span(vhd));
        is_hole = error == 0;
        cm_os_mutex_lock(&vhd->lock);
        if (is_hole || error == CM_ENOTSUP)
            error = vhd_space_give(vhd, block, is_hole);
        if (is_hole && error != 0) { /* it keeps its place, and its bitmap there is zeros now */
            vhd_bitmap_drop(vhd, block);
            vhd->state[block] = VHD_UNKNOWN;
        }
    }
    vhd_use_end(vhd, &use);
    cm_os_mutex_unlock(&vhd->lock);
    return error;
}

/* In a differencing image zeros must hide what the parent has, unless it has zeros itself. */
static int is_zeros_below(struct vhd *vhd, const struct piece *piece)
{
    struct cm_extent extent;

    if (vhd->parent == NULL)
        return 1;
    if (vhd->keeps_zeros)
        return 0;
    return cm_image_extent(vhd->parent, disk_offset(vhd, piece), piece->length, &extent) == 0 &&
           extent.length == piece->length && (extent.flags & CM_EXTENT_ZERO) != 0;
}

static int trim_piece(struct vhd *vhd, const struct piece *piece, int is_whole)
{
    int is_absent;

    cm_os_mutex_lock(&vhd->lock);
    is_absent = vhd->bat[piece->block] == VHD_ABSENT;
    cm_os_mutex_unlock(&vhd->lock);
    if (is_absent && is_zeros_below(vhd, piece))
        return 0;
    if (is_whole && vhd->parent == NULL)
        return drop_block(vhd, piece->block);
    return write_piece(vhd, piece, NULL);
}

int vhd_trim(void *context, uint64_t offset, uint64_t length)
{
    struct vhd *vhd = context;
    uint32_t size = vhd->header.block_size;

    while (length > 0) {
        struct piece piece = cut(vhd, offset, length);
        int is_whole = offset % size == 0 && (length >= size || length == vhd->size - offset);
        int error;

        if (is_whole)
            piece.length = length < size ? (uint32_t)length : size;
        error = trim_piece(vhd, &piece, is_whole);
        if (error != 0)
            return error;
        offset += piece.length;
        length -= piece.length;
    }
    commit_if_much(vhd);
    return 0;
}

/* -- extents ----------------------------------------------------------------------------------- */

/* How far the blocks from this one on have no place. */
static uint64_t absent_length(const struct vhd *vhd, uint32_t block, uint32_t at, uint64_t length)
{
    uint64_t alike = vhd->header.block_size - at;

    while (alike < length && vhd->bat[++block] == VHD_ABSENT)
        alike += vhd->header.block_size;
    return alike < length ? alike : length;
}

/* Locked, with a use. @return whether the range, of which extent->length is made right, is here. */
static int extent_here(struct vhd *vhd, const struct piece *piece, struct cm_extent *extent,
                       int *is_here)
{
    uint32_t first = piece->at / VHD_SECTOR, count = piece->length / VHD_SECTOR;
    struct vhd_bitmap *bitmap = NULL;
    int error = vhd->state[piece->block] == VHD_BAD ? CM_EDAMAGED : 0;

    if (error == 0)
        error = vhd_bitmap_get(vhd, piece->block, 0, &bitmap);
    if (error != 0)
        return error;
    *is_here = bitmap == NULL || vhd_bit(bitmap->bits, first);
    extent->length = piece->length;
    if (bitmap != NULL) {
        extent->length = (uint64_t)vhd_bits_alike(bitmap->bits, first, count) * VHD_SECTOR;
        vhd_bitmap_put(bitmap);
    }
    extent->flags = CM_EXTENT_ALLOCATED;
    extent->depth = 0;
    extent->place = data_place(vhd, piece);
    return 0;
}

static int extent_below(struct vhd *vhd, uint64_t offset, uint64_t length, struct cm_extent *extent)
{
    int error = 0;

    *extent = (struct cm_extent){length, CM_EXTENT_ZERO, 0, CM_EXTENT_NO_PLACE};
    if (vhd->parent != NULL)
        error = cm_image_extent(vhd->parent, offset, length, extent);
    extent->depth++;
    return error;
}

int vhd_extent(void *context, uint64_t offset, uint64_t length, struct cm_extent *extent)
{
    struct vhd *vhd = context;
    struct piece piece = cut(vhd, offset, length);
    struct vhd_use use;
    int error = 0, is_here = 0;

    cm_os_mutex_lock(&vhd->lock);
    vhd_use_begin(vhd, &use, piece.block, 0);
    if (vhd->bat[piece.block] == VHD_ABSENT)
        extent->length = absent_length(vhd, piece.block, piece.at, length);
    else
        error = extent_here(vhd, &piece, extent, &is_here);
    vhd_use_end(vhd, &use);
    cm_os_mutex_unlock(&vhd->lock);
    if (error != 0 || is_here)
        return error;
    return extent_below(vhd, offset, extent->length, extent);
}
