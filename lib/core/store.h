/* SPDX-License-Identifier: MIT */
/*
 * store.h - the file of a container, as the formats of images/ see it: bytes that can be read, written, made durable
 * and made a hole.
 *
 * The formats know nothing of files, caches and alignment; and a test can put something else underneath: memory, or a
 * recorder of all writes and flushes.
 */
#ifndef CM_STORE_H
#define CM_STORE_H

#include <stdint.h>

struct cm_store;
struct cm_image_options;

/* What a store is made of. Return 0 or a negative CM_E...; hot: no sentence. Any threads at once; ranges lie inside the
 * size, except that reads may go beyond the end and get zeros there. */
struct cm_store_ops {
    int (*read)(void *context, void *buffer, uint32_t length, uint64_t offset);
    int (*write)(void *context, const void *buffer, uint32_t length, uint64_t offset);
    /* All writes, punches and resizes that returned before are durable. */
    int (*flush)(void *context);
    /* The range reads as zeros. CM_ENOTSUP: the storage cannot; nothing has changed. */
    int (*punch)(void *context, uint64_t offset, uint64_t length);
    int (*resize)(void *context, uint64_t size); /* what is new reads as zeros */
    int (*allocated)(void *context, uint64_t *bytes);
    void (*close)(void *context); /* without a flush */
    /* NULL: there is nothing to do. Holes in the range take space from now on, and still read as zeros. */
    int (*reserve)(void *context, uint64_t offset, uint64_t length);
};

/**
 * Open or make the file of a container. The flags of the options are obeyed: CM_OPEN_READ_ONLY, CM_OPEN_CREATE (the file
 * must not exist and is empty), CM_OPEN_CACHED. A writer is alone; readers share, and keep writers out (CM_EBUSY).
 * Sets the sentence. Blocks.
 */
int cm_store_open(const char *path, const struct cm_image_options *options,
                  struct cm_store **store);

/* A store of one's own; `path` is for sentences, and is copied. On failure the context stays the caller's. */
int cm_store_new(const struct cm_store_ops *ops, void *context, uint64_t size, int read_only,
                 const char *path, struct cm_store **store);

void cm_store_close(struct cm_store *store); /* NULL is allowed */

/* Close, and remove the file: of a container that could not be made. @return `error`, whose sentence stays. */
int cm_store_discard(struct cm_store *store, int error);

const char *cm_store_path(const struct cm_store *store);
int cm_store_is_read_only(const struct cm_store *store);
uint64_t cm_store_size(const struct cm_store *store);

/* As in cm_store_ops. A write beyond the end is CM_ERANGE; a change of one that is read-only CM_EROFS. */
int cm_store_read(struct cm_store *store, void *buffer, uint32_t length, uint64_t offset);
int cm_store_write(struct cm_store *store, const void *buffer, uint32_t length, uint64_t offset);
int cm_store_flush(struct cm_store *store);
int cm_store_punch(struct cm_store *store, uint64_t offset, uint64_t length);
/* One at a time; reads and writes within both sizes may go on. */
int cm_store_resize(struct cm_store *store, uint64_t size);
int cm_store_allocated(struct cm_store *store, uint64_t *bytes);
/* A write into the range will not fail for want of space. CM_ENOSPC. May take long. */
int cm_store_reserve(struct cm_store *store, uint64_t offset, uint64_t length);

/* Make a range zeros by whatever the store has: a hole, or zeros written. */
int cm_store_zero(struct cm_store *store, uint64_t offset, uint64_t length);

#endif
