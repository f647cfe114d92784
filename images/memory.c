/* SPDX-License-Identifier: MIT */
/*
 * memory.c - a disk in the memory of this process, and gone with it. What was never written takes
 * none.
 *
 * Opened by registry.c. Its callbacks are the hot path: called by the pool, on many threads at
 * once.
 *
 * The disk is a table of chunks; a chunk that is not there reads as zeros. A write makes the chunks
 * that it needs, a trim frees those that it covers and zeroes the rest of its range. No lock is
 * taken: threads copy side by side, and only trim may have to wait.
 *
 * Why no chunk is freed under a copy. Whoever copies counts itself in `users` of the entry BEFORE
 * it loads the pointer, and out after the copy. Trim takes the pointer out of the entry first and
 * THEN waits until `users` is 0. All four are sequentially consistent, so one that trim did not see
 * in `users` counts itself in later than trim's exchange and finds the entry empty or with a newer
 * chunk. Trim waits for one copy of at most a chunk's length, seldom.
 *
 * Two requests that overlap are in no order, as on any disk: a write that loses its chunk to a trim
 * under way counts as having come before it.
 */
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lib/core/error_internal.h"
#include "lib/core/image_internal.h"
#include "lib/core/os.h"

#define CHUNK_SIZE (64u * 1024u) /* bytes */

struct entry {
    _Atomic(unsigned char *) data; /* CHUNK_SIZE bytes, or NULL */
    _Atomic uint32_t users;        /* see above */
};

struct memory {
    uint64_t size;     /* bytes of the disk */
    size_t table_size; /* bytes of entries, which come straight from the system: zeroed, and taken
                        * only where they are touched */
    _Atomic uint64_t chunks; /* there now */
    struct entry *entries;
};

/* A piece of a request: the part of one chunk. */
struct piece {
    struct entry *entry;
    uint32_t start;  /* in the chunk, bytes */
    uint32_t length; /* bytes */
};

static struct piece first_piece(const struct memory *memory, uint64_t offset, uint64_t length)
{
    struct piece piece;

    piece.entry = &memory->entries[offset / CHUNK_SIZE];
    piece.start = (uint32_t)(offset % CHUNK_SIZE);
    piece.length = CHUNK_SIZE - piece.start;
    if (piece.length > length)
        piece.length = (uint32_t)length;
    return piece;
}

/* -- callbacks --------------------------------------------------------------------------------- */

static int memory_read(void *context, void *buffer, uint32_t length, uint64_t offset)
{
    unsigned char *to = buffer;

    while (length > 0) {
        struct piece piece = first_piece(context, offset, length);
        const unsigned char *data;

        atomic_fetch_add(&piece.entry->users, 1);
        data = atomic_load(&piece.entry->data);
        if (data != NULL)
            memcpy(to, data + piece.start, piece.length);
        else
            memset(to, 0, piece.length);
        atomic_fetch_sub(&piece.entry->users, 1);
        to += piece.length;
        offset += piece.length;
        length -= piece.length;
    }
    return 0;
}

/* The entry's chunk, made if it is not there. The caller is one of its users. */
static unsigned char *chunk_for_write(struct memory *memory, struct entry *entry)
{
    unsigned char *data = atomic_load(&entry->data);
    unsigned char *fresh;

    if (data != NULL)
        return data;
    fresh = calloc(1, CHUNK_SIZE);
    if (fresh == NULL)
        return NULL;
    if (atomic_compare_exchange_strong(&entry->data, &data, fresh)) {
        atomic_fetch_add(&memory->chunks, 1);
        return fresh;
    }
    free(fresh); /* another writer was quicker; `data` is its chunk now */
    return data;
}

static int memory_write(void *context, const void *buffer, uint32_t length, uint64_t offset,
                        uint32_t flags)
{
    const unsigned char *from = buffer;
    int error = 0;

    (void)flags; /* it is as durable as it will ever be */
    while (length > 0 && error == 0) {
        struct piece piece = first_piece(context, offset, length);
        unsigned char *data;

        atomic_fetch_add(&piece.entry->users, 1);
        data = chunk_for_write(context, piece.entry);
        if (data != NULL)
            memcpy(data + piece.start, from, piece.length);
        else
            error = CM_ENOMEM;
        atomic_fetch_sub(&piece.entry->users, 1);
        from += piece.length;
        offset += piece.length;
        length -= piece.length;
    }
    return error;
}

static void free_chunk(struct memory *memory, struct entry *entry)
{
    unsigned char *data = atomic_exchange(&entry->data, NULL);

    if (data == NULL)
        return;
    for (unsigned tries = 0; atomic_load(&entry->users) != 0; tries++)
        if (tries > 1000)
            cm_os_sleep_ms(0); /* a thread that copies has lost its processor */
    free(data);
    atomic_fetch_sub(&memory->chunks, 1);
}

static void zero_piece(struct piece piece)
{
    unsigned char *data;

    atomic_fetch_add(&piece.entry->users, 1);
    data = atomic_load(&piece.entry->data);
    if (data != NULL)
        memset(data + piece.start, 0, piece.length);
    atomic_fetch_sub(&piece.entry->users, 1);
}

static int memory_trim(void *context, uint64_t offset, uint64_t length)
{
    struct memory *memory = context;

    while (length > 0) {
        struct piece piece = first_piece(memory, offset, length);

        /* The disk's last chunk is whole when the trim reaches the disk's end. */
        if (piece.start == 0 &&
            (piece.length == CHUNK_SIZE || offset + piece.length == memory->size))
            free_chunk(memory, piece.entry);
        else
            zero_piece(piece);
        offset += piece.length;
        length -= piece.length;
    }
    return 0;
}

static int memory_info(void *context, struct cm_image_info *info)
{
    struct memory *memory = context;

    info->format = "memory";
    info->allocated = atomic_load(&memory->chunks) * CHUNK_SIZE;
    return 0;
}

static int memory_extent(void *context, uint64_t offset, uint64_t length, struct cm_extent *extent)
{
    const struct memory *memory = context;
    int is_there = atomic_load(&memory->entries[offset / CHUNK_SIZE].data) != NULL;

    extent->flags = is_there ? CM_EXTENT_ALLOCATED : CM_EXTENT_ZERO;
    extent->length = 0;
    while (extent->length < length) {
        struct piece piece = first_piece(memory, offset + extent->length, length - extent->length);

        if ((atomic_load(&piece.entry->data) != NULL) != is_there && extent->length > 0)
            break;
        extent->length += piece.length;
    }
    return 0;
}

static void memory_close(void *context)
{
    struct memory *memory = context;

    /* An untouched part of the table would be read in for nothing; the count says when all is
     * found. */
    for (size_t i = 0; atomic_load(&memory->chunks) != 0; i++)
        free_chunk(memory, &memory->entries[i]);
    cm_os_pages_free(memory->entries, memory->table_size);
    free(memory);
}

static const struct cm_image_ops memory_ops = {
    .size = sizeof(struct cm_image_ops),
    .flags = CM_IMAGE_PARALLEL | CM_IMAGE_VOLATILE,
    .read = memory_read,
    .close = memory_close,
    .write = memory_write,
    .trim = memory_trim,
    .info = memory_info,
    .extent = memory_extent,
};

/* -- opening ----------------------------------------------------------------------------------- */

static struct memory *make(uint64_t size)
{
    uint64_t chunks = size / CHUNK_SIZE + (size % CHUNK_SIZE != 0);
    struct memory *memory;

    if (chunks > SIZE_MAX / sizeof(struct entry))
        return NULL;
    memory = calloc(1, sizeof(*memory));
    if (memory == NULL)
        return NULL;
    memory->size = size;
    memory->table_size = (size_t)chunks * sizeof(struct entry);
    memory->entries = cm_os_pages_alloc(memory->table_size);
    if (memory->entries != NULL)
        return memory;
    free(memory);
    return NULL;
}

static const struct cm_image_ops *ops_for(const struct cm_image_options *options,
                                          struct cm_image_ops *space)
{
    if ((options->flags & CM_OPEN_READ_ONLY) == 0)
        return &memory_ops;
    *space = memory_ops;
    space->write = NULL;
    return space;
}

/* CM_OPEN_CREATE says nothing new here: a memory disk is always made, empty. */
int cm_memory_open(const char *rest, const struct cm_image_options *options,
                   struct cm_image **image)
{
    struct cm_image_ops space;
    uint32_t sector_size = options->sector_size != 0 ? options->sector_size : CM_SECTOR_SIZE_SMALL;
    struct memory *memory;
    uint64_t size;
    int error = cm_parse_size(rest, &size);

    if (error != 0)
        return error;
    if (options->size != 0 && options->size != size)
        return cm_fail(CM_EINVAL, "memory:%s names a size already, and %llu is another.", rest,
                       (unsigned long long)options->size);
    if (size == 0 || size % sector_size != 0)
        return cm_fail(CM_EINVAL, "memory:%s is not whole sectors of %u bytes.", rest,
                       (unsigned)sector_size);
    memory = make(size);
    if (memory == NULL)
        return cm_fail(CM_ENOMEM, "no memory for the table of a memory disk of %llu bytes.",
                       (unsigned long long)size);
    error = cm_image_new(ops_for(options, &space), memory, size, sector_size, image);
    if (error != 0)
        memory_close(memory);
    return error;
}
