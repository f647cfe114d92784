/* SPDX-License-Identifier: MIT */
/*
 * aligned.c - cuts a request into pieces that go straight through and pieces that go through a
 * buffer.
 *
 * Called by images/raw.c on the threads that serve a disk; all of it but making and freeing is hot.
 *
 *      request           |--------------------------------|
 *      blocks       |........|........|........|........|........|
 *      pieces            edge    straight through         edge
 *
 * An edge is a part of a block: to write it, the block is read, changed and written, and nobody
 * else may write to that block meanwhile, or one of the two writes would be undone. So writers hold
 * the blocks of their piece: whole blocks together with others who write whole blocks, edges alone.
 * They are served in the order in which they came, so nobody waits for ever.
 *
 * Where no request can have an edge, because the units of the disk are whole blocks and the file
 * ends with one, nothing is held and no lock is taken. Reads never hold anything: a block that is
 * written back has its other bytes as they were.
 *
 * The block in which the file ends may be there in part only. To write it makes the file longer;
 * it is cut again before anybody else may write there. A process that is killed in between leaves a
 * file that is longer by less than a block.
 *
 * No deadlock: blocks are held first, a buffer is taken after that, and who has a buffer waits only
 * for the file.
 *
 * Locks: holds_lock, buffers_lock; both are leaves, and never held over a call of the file.
 */
#include "lib/core/aligned.h"

#include <stdlib.h>
#include <string.h>

#include "lib/core/error_internal.h"
#include "lib/core/os.h"

#include <coremnt/error.h>

#define BUFFERS 4u         /* pieces under way at once; more wait */
#define BUFFER_SIZE 65536u /* bytes: at most so much of a request is one piece */

/* Blocks first..last, in the memory of who holds them. In the order of arrival. */
struct hold {
    struct hold *next;
    uint64_t first, last;
    uint64_t file_size; /* bytes, while it is held */
    int alone;
};

struct cm_aligned {
    struct cm_aligned_below below;
    uint32_t alignment;
    uint32_t unit;
    uint64_t mask;      /* alignment - 1 */
    int may_have_edges; /* atomic; once it is set it stays */
    struct cm_os_mutex holds_lock;
    struct cm_os_cond released; /* somebody has let go of blocks that another waits for */
    struct hold *holds;         /* holds_lock */
    uint64_t size;              /* holds_lock: bytes of the file */
    unsigned waiting;           /* holds_lock */
    struct cm_os_mutex buffers_lock;
    struct cm_os_cond returned;
    unsigned char *pages;                 /* of all buffers; NULL: none is ever needed */
    unsigned char *free_buffers[BUFFERS]; /* buffers_lock */
    unsigned free_count;                  /* buffers_lock */
};

/* A part of a request. */
struct piece {
    uint64_t offset;
    uint32_t length;
    int straight;
};

/* -- making ------------------------------------------------------------------------------------ */

static int make_buffers(struct cm_aligned *aligned)
{
    aligned->pages = cm_os_pages_alloc((size_t)BUFFERS * BUFFER_SIZE);
    if (aligned->pages == NULL)
        return cm_fail(CM_ENOMEM, "no memory for an image's buffers.");
    for (unsigned i = 0; i < BUFFERS; i++)
        aligned->free_buffers[i] = aligned->pages + (size_t)i * BUFFER_SIZE;
    aligned->free_count = BUFFERS;
    return 0;
}

static int has_edges(const struct cm_aligned *aligned, uint64_t size)
{
    return aligned->unit % aligned->alignment != 0 || size % aligned->alignment != 0;
}

int cm_aligned_new(const struct cm_aligned_below *below, const struct cm_aligned_shape *shape,
                   struct cm_aligned **aligned)
{
    uint32_t alignment = shape->alignment;
    struct cm_aligned *a;

    *aligned = NULL;
    if (alignment == 0 || (alignment & (alignment - 1)) != 0 || alignment > CM_ALIGNED_MAX)
        return cm_fail(CM_EINVAL,
                       "an image on a disk with sectors of %u bytes can be opened only with "
                       "--cached.",
                       (unsigned)alignment);
    a = calloc(1, sizeof(*a));
    if (a == NULL)
        return cm_fail(CM_ENOMEM, "no memory for an image.");
    a->below = *below;
    a->alignment = alignment;
    a->unit = shape->unit;
    a->size = shape->size;
    a->may_have_edges = has_edges(a, a->size);
    a->mask = alignment - 1;
    if (alignment > 1 && make_buffers(a) != 0) {
        free(a);
        return CM_ENOMEM;
    }
    cm_os_mutex_init(&a->holds_lock);
    cm_os_mutex_init(&a->buffers_lock);
    cm_os_cond_init(&a->released);
    cm_os_cond_init(&a->returned);
    *aligned = a;
    return 0;
}

void cm_aligned_free(struct cm_aligned *aligned)
{
    if (aligned == NULL)
        return;
    cm_os_cond_destroy(&aligned->released);
    cm_os_cond_destroy(&aligned->returned);
    cm_os_mutex_destroy(&aligned->holds_lock);
    cm_os_mutex_destroy(&aligned->buffers_lock);
    cm_os_pages_free(aligned->pages, (size_t)BUFFERS * BUFFER_SIZE);
    free(aligned);
}

/* -- buffers ----------------------------------------------------------------------------------- */

static unsigned char *take_buffer(struct cm_aligned *aligned)
{
    unsigned char *buffer;

    cm_os_mutex_lock(&aligned->buffers_lock);
    while (aligned->free_count == 0)
        cm_os_cond_wait(&aligned->returned, &aligned->buffers_lock);
    buffer = aligned->free_buffers[--aligned->free_count];
    cm_os_mutex_unlock(&aligned->buffers_lock);
    return buffer;
}

static void give_buffer(struct cm_aligned *aligned, unsigned char *buffer)
{
    cm_os_mutex_lock(&aligned->buffers_lock);
    aligned->free_buffers[aligned->free_count++] = buffer;
    cm_os_cond_signal(&aligned->returned);
    cm_os_mutex_unlock(&aligned->buffers_lock);
}

/* -- holding blocks ---------------------------------------------------------------------------- */

/* Whether somebody who came earlier keeps us from our blocks. Under the lock. */
static int is_kept_out(const struct cm_aligned *aligned, const struct hold *hold)
{
    for (const struct hold *at = aligned->holds; at != hold; at = at->next)
        if (at->first <= hold->last && hold->first <= at->last && (at->alone || hold->alone))
            return 1;
    return 0;
}

static int holding_is_needed(const struct cm_aligned *aligned)
{
    return __atomic_load_n(&aligned->may_have_edges, __ATOMIC_RELAXED);
}

/* Bytes, at least one. */
static void take_hold(struct cm_aligned *aligned, struct hold *hold, uint64_t offset,
                      uint64_t length, int alone)
{
    struct hold **end;

    hold->next = NULL;
    hold->first = offset / aligned->alignment;
    hold->last = (offset + (length - 1)) / aligned->alignment;
    hold->alone = alone;
    cm_os_mutex_lock(&aligned->holds_lock);
    for (end = &aligned->holds; *end != NULL; end = &(*end)->next)
        ;
    *end = hold;
    while (is_kept_out(aligned, hold)) {
        aligned->waiting++;
        cm_os_cond_wait(&aligned->released, &aligned->holds_lock);
        aligned->waiting--;
    }
    hold->file_size = aligned->size;
    cm_os_mutex_unlock(&aligned->holds_lock);
}

static void let_go(struct cm_aligned *aligned, struct hold *hold)
{
    struct hold **at;

    cm_os_mutex_lock(&aligned->holds_lock);
    for (at = &aligned->holds; *at != hold; at = &(*at)->next)
        ;
    *at = hold->next;
    if (aligned->waiting > 0)
        cm_os_cond_broadcast(&aligned->released);
    cm_os_mutex_unlock(&aligned->holds_lock);
}

/* -- pieces ------------------------------------------------------------------------------------ */

static uint64_t round_down(const struct cm_aligned *aligned, uint64_t offset)
{
    return offset & ~aligned->mask;
}

/* The first piece of what is left of a request. One that is not straight fits into a buffer
 * together with the rest of the blocks that it touches. */
static struct piece next_piece(const struct cm_aligned *aligned, const void *buffer,
                               uint32_t length, uint64_t offset)
{
    struct piece piece = {.offset = offset, .length = length};
    uint32_t into_block = (uint32_t)(offset & aligned->mask);
    int memory_fits = ((uintptr_t)buffer & aligned->mask) == 0;

    if (memory_fits && into_block == 0 && length >= aligned->alignment) {
        piece.straight = 1;
        piece.length = length & ~(uint32_t)aligned->mask;
    } else if (memory_fits && into_block == 0) {
        piece.length = length; /* the last edge */
    } else if (length > BUFFER_SIZE - into_block) {
        piece.length = BUFFER_SIZE - into_block;
    }
    return piece;
}

/* All of a request that nothing has to be done for: the case that is to be fast. */
static int is_straight(const struct cm_aligned *aligned, const void *buffer, uint32_t length,
                       uint64_t offset)
{
    return (((uintptr_t)buffer | length | offset) & aligned->mask) == 0;
}

/* -- reading ----------------------------------------------------------------------------------- */

static int read_piece(struct cm_aligned *aligned, void *to, const struct piece *piece)
{
    uint64_t start = round_down(aligned, piece->offset);
    uint64_t end = round_down(aligned, piece->offset + piece->length + aligned->mask);
    unsigned char *buffer;
    int error;

    if (piece->straight)
        return aligned->below.read(aligned->below.context, to, piece->length, piece->offset);
    buffer = take_buffer(aligned);
    error = aligned->below.read(aligned->below.context, buffer, (uint32_t)(end - start), start);
    if (error == 0)
        memcpy(to, buffer + (piece->offset - start), piece->length);
    give_buffer(aligned, buffer);
    return error;
}

int cm_aligned_read(struct cm_aligned *aligned, void *buffer, uint32_t length, uint64_t offset)
{
    unsigned char *to = buffer;
    int error = 0;

    if (is_straight(aligned, buffer, length, offset))
        return aligned->below.read(aligned->below.context, buffer, length, offset);
    while (length > 0 && error == 0) {
        struct piece piece = next_piece(aligned, to, length, offset);

        error = read_piece(aligned, to, &piece);
        to += piece.length;
        offset += piece.length;
        length -= piece.length;
    }
    return error;
}

/* -- writing ----------------------------------------------------------------------------------- */

/* What is in the blocks besides the piece: only the first and the last can have any of it. */
static int read_edges(struct cm_aligned *aligned, unsigned char *buffer, const struct piece *piece,
                      uint64_t start, uint64_t end)
{
    uint64_t piece_end = piece->offset + piece->length;
    uint32_t block = aligned->alignment;
    int read_first = piece->offset != start;
    int error = 0;

    if (read_first)
        error = aligned->below.read(aligned->below.context, buffer, block, start);
    if (error == 0 && piece_end != end && !(read_first && end - start == block))
        error = aligned->below.read(aligned->below.context, buffer + (end - start - block), block,
                                    end - block);
    return error;
}

/* Through a buffer; the blocks are held. */
static int write_blocks(struct cm_aligned *aligned, const void *from, const struct piece *piece,
                        uint64_t file_size)
{
    uint64_t start = round_down(aligned, piece->offset);
    uint64_t end = round_down(aligned, piece->offset + piece->length + aligned->mask);
    unsigned char *buffer = take_buffer(aligned);
    int error = read_edges(aligned, buffer, piece, start, end);

    if (error == 0) {
        memcpy(buffer + (piece->offset - start), from, piece->length);
        error =
            aligned->below.write(aligned->below.context, buffer, (uint32_t)(end - start), start);
    }
    give_buffer(aligned, buffer);
    if (error == 0 && end > file_size)
        error = aligned->below.resize(aligned->below.context, file_size);
    return error;
}

static int write_held(struct cm_aligned *aligned, const void *from, const struct piece *piece)
{
    int has_edge = ((piece->offset | piece->length) & aligned->mask) != 0;
    struct hold hold;
    int error;

    take_hold(aligned, &hold, piece->offset, piece->length, has_edge);
    if (piece->straight)
        error = aligned->below.write(aligned->below.context, from, piece->length, piece->offset);
    else
        error = write_blocks(aligned, from, piece, hold.file_size);
    let_go(aligned, &hold);
    return error;
}

/* Without edges all blocks are within the file. */
static int write_piece(struct cm_aligned *aligned, const void *from, const struct piece *piece)
{
    if (holding_is_needed(aligned))
        return write_held(aligned, from, piece);
    if (piece->straight)
        return aligned->below.write(aligned->below.context, from, piece->length, piece->offset);
    return write_blocks(aligned, from, piece, UINT64_MAX);
}

int cm_aligned_write(struct cm_aligned *aligned, const void *buffer, uint32_t length,
                     uint64_t offset)
{
    const unsigned char *from = buffer;
    int error = 0;

    if (!holding_is_needed(aligned) && is_straight(aligned, buffer, length, offset))
        return aligned->below.write(aligned->below.context, buffer, length, offset);
    while (length > 0 && error == 0) {
        struct piece piece = next_piece(aligned, from, length, offset);

        error = write_piece(aligned, from, &piece);
        from += piece.length;
        offset += piece.length;
        length -= piece.length;
    }
    return error;
}

int cm_aligned_alone(struct cm_aligned *aligned, uint64_t offset, uint64_t length,
                     int (*act)(void *context, uint64_t offset, uint64_t length), void *context)
{
    struct hold hold;
    int error;

    if (!holding_is_needed(aligned) || length == 0)
        return act(context, offset, length);
    take_hold(aligned, &hold, offset, length, 1);
    error = act(context, offset, length);
    let_go(aligned, &hold);
    return error;
}

/* Whoever holds blocks has seen the old size. Who needs none is not in the way: whole blocks, within
 * both sizes. */
int cm_aligned_resize(struct cm_aligned *aligned, uint64_t size)
{
    struct hold all;
    int error;

    if (has_edges(aligned, size))
        __atomic_store_n(&aligned->may_have_edges, 1, __ATOMIC_RELAXED);
    take_hold(aligned, &all, 0, UINT64_MAX, 1);
    error = aligned->below.resize(aligned->below.context, size);
    if (error == 0) {
        cm_os_mutex_lock(&aligned->holds_lock);
        aligned->size = size;
        cm_os_mutex_unlock(&aligned->holds_lock);
    }
    let_go(aligned, &all);
    return error;
}
