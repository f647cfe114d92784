/* SPDX-License-Identifier: MIT */
/*
 * toy.c - see toy.h. A page that says what it is, a page with the map of blocks, blocks. Called under the library's
 * lock: it does not say that it is parallel.
 *
 * A commit is: flush the data, write the map, flush. A block that was unmapped is free after the commit.
 */
#include "toy.h"

#include <stdlib.h>
#include <string.h>

#include "lib/core/error_internal.h"

#define BLOCK 65536u /* bytes */
#define BLOCKS 512u  /* of the disk, at most */
#define IN_FILE 2048u
#define MAP_AT 4096u

enum use { FREE, TAKEN, LEFT };

struct toy {
    struct cm_store *store;
    uint64_t size;
    uint32_t map[BLOCKS]; /* place in the file, in blocks; 0: none */
    unsigned char use[IN_FILE];
    uint32_t end; /* of the file, in blocks */
    int is_changed;
};

enum toy_fault toy_fault;

static int find_place(struct toy *toy, uint32_t *place)
{
    int error;

    for (uint32_t i = 1; i < toy->end; i++)
        if (toy->use[i] == FREE) {
            *place = i;
            toy->use[i] = TAKEN;
            return toy_fault == TOY_SHOWS_OLD_DATA
                       ? 0
                       : cm_store_zero(toy->store, (uint64_t)i * BLOCK, BLOCK);
        }
    if (toy->end == IN_FILE)
        return CM_ENOSPC;
    error = cm_store_resize(toy->store, (uint64_t)(toy->end + 1) * BLOCK);
    if (error == 0) {
        *place = toy->end++;
        toy->use[*place] = TAKEN;
    }
    return error;
}

static int toy_read(void *context, void *buffer, uint32_t length, uint64_t offset)
{
    struct toy *toy = context;
    int error = 0;

    while (length > 0 && error == 0) {
        uint32_t at = (uint32_t)(offset % BLOCK);
        uint32_t part = length < BLOCK - at ? length : BLOCK - at;
        uint32_t place = toy->map[offset / BLOCK];

        if (place != 0)
            error = cm_store_read(toy->store, buffer, part, (uint64_t)place * BLOCK + at);
        else
            memset(buffer, 0, part);
        buffer = (char *)buffer + part;
        offset += part;
        length -= part;
    }
    return error;
}

static int toy_write(void *context, const void *buffer, uint32_t length, uint64_t offset,
                     uint32_t flags)
{
    struct toy *toy = context;
    int error = 0;

    (void)flags;
    while (length > 0 && error == 0) {
        uint32_t at = (uint32_t)(offset % BLOCK);
        uint32_t part = length < BLOCK - at ? length : BLOCK - at;
        uint32_t *place = &toy->map[offset / BLOCK];

        if (*place == 0) {
            error = find_place(toy, place);
            toy->is_changed = 1;
        }
        if (error == 0)
            error = cm_store_write(toy->store, buffer, part, (uint64_t)*place * BLOCK + at);
        buffer = (const char *)buffer + part;
        offset += part;
        length -= part;
    }
    return error;
}

static int toy_flush(void *context)
{
    struct toy *toy = context;
    int error = 0;

    if (toy->is_changed) {
        if (toy_fault != TOY_MAP_FIRST && toy_fault != TOY_FLUSHES_NOTHING)
            error = cm_store_flush(toy->store);
        if (error == 0)
            error = cm_store_write(toy->store, toy->map, sizeof(toy->map), MAP_AT);
    }
    if (error == 0 && toy_fault != TOY_FLUSHES_NOTHING)
        error = cm_store_flush(toy->store);
    for (uint32_t i = 0; i < toy->end; i++)
        if (error == 0 && toy->use[i] == LEFT)
            toy->use[i] = FREE;
    toy->is_changed = error == 0 ? 0 : toy->is_changed;
    return error;
}

static int toy_trim(void *context, uint64_t offset, uint64_t length)
{
    static const unsigned char zeros[BLOCK];
    struct toy *toy = context;
    int error = 0;

    while (length > 0 && error == 0) {
        uint32_t at = (uint32_t)(offset % BLOCK);
        uint32_t part = length < BLOCK - at ? (uint32_t)length : BLOCK - at;
        uint32_t *place = &toy->map[offset / BLOCK];

        if (*place != 0 && part == BLOCK) {
            toy->use[*place] = toy_fault == TOY_REUSES_EARLY ? FREE : LEFT;
            *place = 0;
            toy->is_changed = 1;
        } else if (*place != 0) {
            error = cm_store_write(toy->store, zeros, part, (uint64_t)*place * BLOCK + at);
        }
        offset += part;
        length -= part;
    }
    return error;
}

static void toy_close(void *context)
{
    struct toy *toy = context;

    cm_store_close(toy->store);
    free(toy);
}

static int load(struct toy *toy)
{
    char page[512];
    int error = cm_store_read(toy->store, page, sizeof(page), 0);

    if (error == 0 && memcmp(page, "toy!", 4) != 0)
        return cm_fail(CM_EFORMAT, "not a toy.");
    memcpy(&toy->size, page + 8, sizeof(toy->size));
    if (error == 0)
        error = cm_store_read(toy->store, toy->map, sizeof(toy->map), MAP_AT);
    toy->end = (uint32_t)(cm_store_size(toy->store) / BLOCK);
    for (uint32_t i = 0; i < BLOCKS && error == 0; i++) {
        if (toy->map[i] == 0)
            continue;
        if (toy->map[i] >= toy->end || toy->use[toy->map[i]] != FREE)
            return cm_fail(CM_EDAMAGED, "block %u is beyond the end or taken twice.", i);
        toy->use[toy->map[i]] = TAKEN;
    }
    return error;
}

static int create(struct cm_store *store, uint64_t size)
{
    char page[512] = "toy!";
    int error = cm_store_resize(store, BLOCK);

    memcpy(page + 8, &size, sizeof(size));
    if (error == 0)
        error = cm_store_write(store, page, sizeof(page), 0);
    return error == 0 ? cm_store_flush(store) : error;
}

static int open_toy(struct cm_store *store, const struct cm_image_options *options,
                    struct cm_image **image)
{
    struct cm_image_ops ops = {
        .size = sizeof(ops),
        .read = toy_read,
        .close = toy_close,
        .write = toy_write,
        .flush = toy_flush,
        .trim = toy_trim,
    };
    struct toy *toy = calloc(1, sizeof(*toy));
    int error = toy == NULL ? CM_ENOMEM : 0;

    if (error == 0 && (options->flags & CM_OPEN_CREATE) != 0)
        error = create(store, options->size);
    if (error == 0) {
        toy->store = store;
        error = load(toy);
    }
    if ((options->flags & CM_OPEN_READ_ONLY) != 0)
        ops.write = NULL;
    if (error == 0)
        error = cm_image_new(&ops, toy, toy->size, 512, image);
    if (error != 0)
        free(toy);
    return error;
}

static int check(struct cm_store *store, const struct cm_check_options *options,
                 struct cm_check_result *result)
{
    struct toy *toy = calloc(1, sizeof(*toy));
    int error = toy == NULL ? CM_ENOMEM : 0;

    (void)options;
    if (error == 0) {
        toy->store = store;
        error = load(toy);
    }
    free(toy);
    result->errors = error == CM_EDAMAGED;
    return error == CM_EDAMAGED ? 0 : error;
}

static const struct cm_container container = {.extensions = "toy", .check = check};

const struct subject toy_subject = {
    .name = "toy",
    .extension = "toy",
    .open = open_toy,
    .container = &container,
    .sector_size = 512,
    .block_size = BLOCK,
    .disk_sizes = {BLOCK * 16u, BLOCK *BLOCKS},
};
