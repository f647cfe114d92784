/* SPDX-License-Identifier: MIT */
/*
 * compact.c - a VHDX file as small as its content allows: cm_container.compact. Called by container.c, on the thread of the
 * program that asked, for a file that nobody else has open.
 *
 *      1. blocks that hold zeros are given up; so are those of a differencing image of which no sector is here
 *      2. that is durable, so their room is free
 *      3. the smallest end is found such that all blocks behind it have room before it
 *      4. those are copied there, one by one: the copy is durable before the entry that names it (data_first)
 *      5. the file is cut behind what is still in use
 *
 * A place that a block has left is used by no other, because it is behind the new end; so a power cut leaves either place
 * valid. The log, the metadata and the BAT stay where they are: a file cannot get shorter than they let it.
 *
 * Memory: three bits for each MiB of the file. A parent is not needed and not opened.
 */
#include <stdlib.h>
#include <string.h>

#include "images/vhdx/alone.h"
#include "images/vhdx/vhdx.h"
#include "lib/core/error_internal.h"
#include "lib/core/zeros.h"

#define PIECE ((uint32_t)VHDX_MIB)           /* bytes that are read at once */
#define FILE_MAX_MIB (UINT64_C(1) << 27)     /* twice the largest disk */
#define TELL_EVERY 4096u                     /* blocks without room, which take no time */
#define BITMAP_MIB (VHDX_BITMAP_BLOCK >> 20) /* 1 */

/* A bit for each MiB of the file. */
struct rooms {
    unsigned char *used;   /* something is there */
    unsigned char *block;  /* a payload block begins there */
    unsigned char *bitmap; /* a bitmap block does */
};

struct compact {
    struct vhdx *v;
    struct cm_store *file;
    cm_progress *progress;
    void *context;
    unsigned char *piece;
    unsigned char *partly; /* a bit for each chunk: it has a block that needs its bitmap */

    uint64_t count; /* MiB of the file */
    uint64_t fixed; /* MiB: behind it, everything can move */
    uint64_t end;   /* MiB: behind it, everything is to move */
    uint32_t block; /* MiB of a payload block */
    struct rooms rooms;
};

static int get_bit(const unsigned char *bits, uint64_t i)
{
    return bits[i / 8] >> i % 8 & 1;
}

static void set_bit(unsigned char *bits, uint64_t i)
{
    bits[i / 8] = (unsigned char)(bits[i / 8] | 1u << i % 8);
}

/* Of the two passes over the disk this is one. */
static int tell(const struct compact *c, unsigned pass, uint64_t block)
{
    uint64_t all = c->v->metadata.disk_size;
    uint64_t done = block << c->v->block_shift;

    done = pass * (all / 2) + (done < all ? done : all) / 2;
    if (c->progress == NULL || c->progress(c->context, done, all) == 0)
        return 0;
    return cm_fail(CM_ECANCELED, "the work on %s was given up; what was done stays done.",
                   cm_store_path(c->file));
}

static int failed(const struct compact *c, int error)
{
    return cm_fail(error,
                   error == CM_EDAMAGED
                       ? "%s is damaged: %s. \"coremnt check\" tells how."
                       : "cannot make %s smaller: %s. The image is whole; try again.",
                   cm_store_path(c->file), cm_error_name(error));
}

/* -- zeros ------------------------------------------------------------------------------------- */

static int block_is_zeros(const struct compact *c, uint64_t at, int *is_zeros)
{
    uint32_t size = c->v->metadata.block_size;
    int error = 0;

    *is_zeros = 1;
    for (uint32_t into = 0; into < size && *is_zeros && error == 0; into += PIECE) {
        error = cm_store_read(c->file, c->piece, PIECE, at + into);
        *is_zeros = error == 0 && cm_is_zeros(c->piece, PIECE);
    }
    return error;
}

/* Whether some sectors of the block are here, and whether some are not. */
static int look_at_bits(struct compact *c, uint64_t block, int *some, int *others)
{
    uint32_t sector_size = c->v->metadata.sector_size;
    uint64_t sector = (block << c->v->block_shift) / sector_size;
    uint32_t left = c->v->metadata.block_size / sector_size, alike;
    int is_here, error = 0;

    *some = *others = 0;
    for (; left > 0 && !(*some && *others) && error == 0; left -= alike, sector += alike) {
        alike = left;
        error = vhdx_alone_sectors(c->v, sector, left, &is_here, &alike);
        *some |= error == 0 && is_here;
        *others |= error == 0 && !is_here;
    }
    return error;
}

/* What the block can be instead, if it need not have room: VHDX_PRESENT means that it must. */
static int choose_state(struct compact *c, uint64_t block, const struct vhdx_where *where,
                        enum vhdx_state *state)
{
    int some = 1, others = 0, is_zeros = 0, error = 0;

    *state = VHDX_PRESENT;
    if (where->state == VHDX_PARTLY_PRESENT)
        error = look_at_bits(c, block, &some, &others);
    if (error == 0 && !some)
        *state = VHDX_NOT_PRESENT;
    if (error != 0 || !some || others)
        return error;
    error = block_is_zeros(c, where->at, &is_zeros);
    if (is_zeros)
        *state = c->v->metadata.has_parent ? VHDX_ZERO : VHDX_UNMAPPED;
    return error;
}

static int give_up_block(struct compact *c, uint64_t block, int *had_room)
{
    struct vhdx_where where;
    enum vhdx_state state;
    int error = vhdx_alone_get(c->v, block, &where);

    *had_room = error == 0 && where.at != 0;
    if (!*had_room)
        return error;
    error = choose_state(c, block, &where, &state);
    if (error != 0 || state == VHDX_PRESENT)
        return error;
    return vhdx_alone_set(c->v, block, state, 0, 0);
}

static int give_up(struct compact *c)
{
    uint64_t blocks = vhdx_map_blocks(c->v);

    for (uint64_t block = 0; block < blocks; block++) {
        int had_room;
        int error = give_up_block(c, block, &had_room);

        if (error != 0)
            return failed(c, error);
        if (had_room || block % TELL_EVERY == 0)
            error = tell(c, 0, block);
        if (error != 0)
            return error;
    }
    return 0;
}

/* -- what is where ----------------------------------------------------------------------------- */

/* Nothing may be there already. */
static int mark(const struct compact *c, uint64_t at, uint64_t size)
{
    uint64_t end = (at + size + VHDX_MIB - 1) / VHDX_MIB;

    if (end > c->count)
        return CM_EDAMAGED;
    for (uint64_t i = at / VHDX_MIB; i < end; i++) {
        if (get_bit(c->rooms.used, i))
            return CM_EDAMAGED;
        set_bit(c->rooms.used, i);
    }
    return 0;
}

static int mark_structures(struct compact *c)
{
    struct vhdx_region places[VHDX_STRUCTURES_MAX];
    unsigned count = vhdx_alone_structures(c->v, places);
    int error = 0;

    c->fixed = 0;
    for (unsigned i = 0; i < count && error == 0; i++) {
        uint64_t end = (places[i].at + places[i].size + VHDX_MIB - 1) / VHDX_MIB;

        error = mark(c, places[i].at, places[i].size);
        c->fixed = end > c->fixed ? end : c->fixed;
    }
    return error;
}

static int mark_blocks(struct compact *c)
{
    uint64_t blocks = vhdx_map_blocks(c->v);
    int error = 0;

    for (uint64_t block = 0; block < blocks && error == 0; block++) {
        struct vhdx_where where;

        error = vhdx_alone_get(c->v, block, &where);
        if (error != 0 || where.at == 0)
            continue;
        if (where.state == VHDX_PARTLY_PRESENT)
            set_bit(c->partly, block >> c->v->chunk_shift);
        error = mark(c, where.at, c->v->metadata.block_size);
        if (error == 0)
            set_bit(c->rooms.block, where.at / VHDX_MIB);
    }
    return error;
}

/* Bitmaps that no block needs are given up on the way. */
static int mark_bitmaps(struct compact *c)
{
    uint64_t chunks = c->v->metadata.has_parent ? vhdx_alone_chunks(c->v) : 0;
    int error = 0;

    for (uint64_t chunk = 0; chunk < chunks && error == 0; chunk++) {
        uint64_t at;

        error = vhdx_alone_get_bitmap(c->v, chunk, &at);
        if (error != 0 || at == 0)
            continue;
        if (get_bit(c->partly, chunk)) {
            error = mark(c, at, VHDX_BITMAP_BLOCK);
            if (error == 0)
                set_bit(c->rooms.bitmap, at / VHDX_MIB);
        } else {
            error = vhdx_alone_set_bitmap(c->v, chunk, 0);
        }
    }
    return error;
}

/* What is in use is in `rooms` afterwards, and what was given up before is free, durably. */
static int survey(struct compact *c)
{
    size_t size = (size_t)c->count / 8 + 1;
    int error;

    memset(c->rooms.used, 0, size);
    memset(c->rooms.block, 0, size);
    memset(c->rooms.bitmap, 0, size);
    memset(c->partly, 0, (size_t)vhdx_alone_chunks(c->v) / 8 + 1);
    error = mark_structures(c);
    if (error == 0)
        error = mark_blocks(c);
    if (error == 0)
        error = mark_bitmaps(c);
    if (error == 0)
        error = vhdx_alone_settle(c->v);
    return error != 0 ? failed(c, error) : 0;
}

static uint64_t used_end(const struct compact *c)
{
    uint64_t end = c->count;

    while (end > c->fixed && !get_bit(c->rooms.used, end - 1))
        end--;
    return end;
}

/* -- the smallest end -------------------------------------------------------------------------- */

/* Whether all that is not wholly before `end` has room there. Blocks are placed first; what they leave is the bitmaps'. */
static int fits(const struct compact *c, uint64_t end)
{
    uint64_t blocks = 0, bitmaps = 0, block_rooms = 0, rest = 0, run = 0;

    for (uint64_t i = 0; i < c->count; i++) {
        blocks += get_bit(c->rooms.block, i) && i + c->block > end;
        bitmaps += get_bit(c->rooms.bitmap, i) && i >= end;
    }
    for (uint64_t i = 0; i < end; i++) {
        run = get_bit(c->rooms.used, i) ? 0 : run + 1;
        rest += run != 0;
        block_rooms += run != 0 && run % c->block == 0;
    }
    return blocks <= block_rooms && bitmaps <= rest - blocks * c->block;
}

static uint64_t smallest_end(const struct compact *c)
{
    uint64_t low = c->fixed, high = used_end(c);

    while (low < high) {
        uint64_t middle = low + (high - low) / 2;

        if (fits(c, middle))
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

/* -- moving ------------------------------------------------------------------------------------ */

/* The next `size` MiB that are free, before the end; they are used then. 0: none, which cannot be. */
static uint64_t find_hole(struct compact *c, uint64_t from, uint32_t size)
{
    uint64_t run = 0;

    for (uint64_t i = from; i < c->end; i++) {
        run = get_bit(c->rooms.used, i) ? 0 : run + 1;
        if (run < size)
            continue;
        for (uint64_t j = i + 1 - size; j <= i; j++)
            set_bit(c->rooms.used, j);
        return i + 1 - size;
    }
    return 0;
}

static int copy(struct compact *c, uint64_t from, uint64_t to, uint32_t size)
{
    int error = cm_store_zero(c->file, to, size);

    for (uint32_t done = 0; done < size && error == 0; done += PIECE) {
        error = cm_store_read(c->file, c->piece, PIECE, from + done);
        if (error == 0 && !cm_is_zeros(c->piece, PIECE))
            error = cm_store_write(c->file, c->piece, PIECE, to + done);
    }
    return error;
}

static int move_block(struct compact *c, uint64_t block, uint64_t *hole, int *is_moved)
{
    struct vhdx_where where;
    int error = vhdx_alone_get(c->v, block, &where);

    *is_moved =
        error == 0 && where.at != 0 && where.at + c->v->metadata.block_size > c->end * VHDX_MIB;
    if (!*is_moved)
        return error;
    *hole = find_hole(c, *hole, c->block);
    if (*hole == 0)
        return CM_EDAMAGED;
    error = copy(c, where.at, *hole * VHDX_MIB, c->v->metadata.block_size);
    if (error == 0)
        error = vhdx_alone_set(c->v, block, where.state, *hole * VHDX_MIB, 1);
    return error;
}

static int move_blocks(struct compact *c)
{
    uint64_t blocks = vhdx_map_blocks(c->v);
    uint64_t hole = 0;

    for (uint64_t block = 0; block < blocks; block++) {
        int is_moved;
        int error = move_block(c, block, &hole, &is_moved);

        if (error != 0)
            return failed(c, error);
        if (is_moved || block % TELL_EVERY == 0)
            error = tell(c, 1, block);
        if (error != 0)
            return error;
    }
    return 0;
}

/* All bits are in their place in the file: nobody has changed any since survey(). */
static int move_bitmaps(struct compact *c)
{
    uint64_t chunks = c->v->metadata.has_parent ? vhdx_alone_chunks(c->v) : 0;
    uint64_t hole = 0;
    int error = 0;

    for (uint64_t chunk = 0; chunk < chunks && error == 0; chunk++) {
        uint64_t at;

        error = vhdx_alone_get_bitmap(c->v, chunk, &at);
        if (error != 0 || at < c->end * VHDX_MIB)
            continue;
        hole = find_hole(c, hole, BITMAP_MIB);
        error = hole != 0 ? copy(c, at, hole * VHDX_MIB, VHDX_BITMAP_BLOCK) : CM_EDAMAGED;
        if (error == 0)
            error = vhdx_alone_set_bitmap(c->v, chunk, hole * VHDX_MIB);
    }
    return error != 0 ? failed(c, error) : 0;
}

static int move(struct compact *c)
{
    int error = 0;

    c->end = smallest_end(c);
    if (c->end < used_end(c)) {
        error = vhdx_alone_begin(c->v);
        if (error != 0)
            return failed(c, error);
        vhdx_alone_own_room(c->v);
        error = move_blocks(c);
        if (error == 0)
            error = move_bitmaps(c);
    }
    return error;
}

/* Also when it was given up, for what was done until then. */
static int cut(struct compact *c)
{
    int error = survey(c);

    if (error == 0 && used_end(c) * VHDX_MIB < cm_store_size(c->file)) {
        error = vhdx_alone_begin(c->v);
        if (error != 0)
            return failed(c, error);
        vhdx_alone_cut(c->v, used_end(c) * VHDX_MIB);
    }
    return error;
}

/* -- the whole --------------------------------------------------------------------------------- */

static int take_memory(struct compact *c)
{
    size_t size;

    c->count = c->v->space.end / VHDX_MIB;
    c->block = c->v->metadata.block_size >> 20;
    if (c->count > FILE_MAX_MIB)
        return cm_fail(CM_ENOTSUP,
                       "the file %s is longer than any disk of this format. Convert the image to a "
                       "new one.",
                       cm_store_path(c->file));
    size = (size_t)c->count / 8 + 1;
    c->rooms.used = malloc(size);
    c->rooms.block = malloc(size);
    c->rooms.bitmap = malloc(size);
    c->partly = malloc((size_t)vhdx_alone_chunks(c->v) / 8 + 1);
    c->piece = malloc(PIECE);
    if (c->rooms.used == NULL || c->rooms.block == NULL || c->rooms.bitmap == NULL ||
        c->partly == NULL || c->piece == NULL)
        return cm_fail(CM_ENOMEM, "no memory to make %s smaller.", cm_store_path(c->file));
    return 0;
}

static void free_memory(struct compact *c)
{
    free(c->rooms.used);
    free(c->rooms.block);
    free(c->rooms.bitmap);
    free(c->partly);
    free(c->piece);
}

static int run(struct compact *c)
{
    int error = take_memory(c), cut_error;

    if (error != 0)
        return error;
    error = give_up(c);
    if (error == 0)
        error = survey(c);
    if (error == 0)
        error = move(c);
    if (error != 0 && error != CM_ECANCELED)
        return error;
    cut_error = cut(c);
    return cut_error != 0 ? cut_error : error;
}

int cm_vhdx_compact(struct cm_store *store, cm_progress *progress, void *context)
{
    struct compact c = {.file = store, .progress = progress, .context = context};
    struct cm_image *image;
    int error = vhdx_alone_open(store, CM_OPEN_ALONE, &image, &c.v);

    if (error != 0)
        return error;
    if (c.v->metadata.is_fixed)
        error = cm_fail(CM_ENOTSUP,
                        "%s is of fixed size: it keeps all of its space. Convert it to a new image "
                        "that does not.",
                        cm_store_path(store));
    if (error == 0)
        error = run(&c);
    free_memory(&c);
    return vhdx_alone_close(image, error);
}
