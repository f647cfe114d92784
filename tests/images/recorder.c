/* SPDX-License-Identifier: MIT */
/* recorder.c - see recorder.h. Called by containers, on any threads. */
#include "recorder.h"

#include <stdlib.h>
#include <string.h>

#include <coremnt/error.h>

void recorder_init(struct recorder *r, struct sparse *file, const struct recorder_options *options)
{
    memset(r, 0, sizeof(*r));
    r->file = file;
    if (options != NULL)
        r->options = *options;
    r->is_recording = 1;
    cm_os_mutex_init(&r->lock);
}

void recorder_destroy(struct recorder *r)
{
    for (size_t i = 0; i < r->count; i++)
        free(r->ops[i].data);
    free(r->ops);
    cm_os_mutex_destroy(&r->lock);
}

uint64_t recorder_now(const struct recorder *r)
{
    return r->events;
}

uint64_t recorder_tick(struct recorder *r)
{
    return r->events++;
}

/* With the lock held. @return the number of the operation. */
static size_t begin(struct recorder *r, enum record_kind kind, const void *data, uint64_t offset,
                    uint64_t length)
{
    struct record_op *op;

    if (r->count == r->room) {
        r->room = r->room != 0 ? 2 * r->room : 256;
        r->ops = realloc(r->ops, r->room * sizeof(*r->ops));
    }
    op = r->ops != NULL ? &r->ops[r->count] : NULL;
    if (op != NULL) {
        *op = (struct record_op){.kind = kind, .offset = offset, .length = length};
        op->data = data != NULL ? malloc((size_t)length) : NULL;
    }
    if (op == NULL || (data != NULL && op->data == NULL)) {
        fprintf(stderr, "no memory to record\n");
        exit(2);
    }
    if (data != NULL)
        memcpy(op->data, data, (size_t)length);
    op->begin = r->events++;
    op->done = RECORD_NEVER;
    return r->count++;
}

/* What has been begun returns now. Between the two the lock was free: a flush that began there does not cover it. */
static void end(struct recorder *r, size_t number)
{
    cm_os_mutex_lock(&r->lock);
    r->ops[number].done = r->events++;
    cm_os_mutex_unlock(&r->lock);
}

static int recorder_read(void *context, void *buffer, uint32_t length, uint64_t offset)
{
    struct recorder *r = context;

    cm_os_mutex_lock(&r->lock);
    sparse_read(r->file, buffer, length, offset);
    cm_os_mutex_unlock(&r->lock);
    return 0;
}

static int recorder_write(void *context, const void *buffer, uint32_t length, uint64_t offset)
{
    struct recorder *r = context;
    size_t number = 0;

    cm_os_mutex_lock(&r->lock);
    if (r->is_recording)
        number = begin(r, RECORD_WRITE, buffer, offset, length);
    sparse_write(r->file, buffer, length, offset);
    cm_os_mutex_unlock(&r->lock);
    if (r->is_recording)
        end(r, number);
    return 0;
}

static int recorder_punch(void *context, uint64_t offset, uint64_t length)
{
    struct recorder *r = context;
    size_t number = 0;

    if (r->options.cannot_punch)
        return CM_ENOTSUP;
    cm_os_mutex_lock(&r->lock);
    if (r->is_recording)
        number = begin(r, RECORD_PUNCH, NULL, offset, length);
    sparse_zero(r->file, offset, length);
    cm_os_mutex_unlock(&r->lock);
    if (r->is_recording)
        end(r, number);
    return 0;
}

static int recorder_resize(void *context, uint64_t size)
{
    struct recorder *r = context;
    size_t number = 0;
    int error;

    if (r->options.size_limit != 0 && size > r->options.size_limit)
        return CM_ENOSPC;
    cm_os_mutex_lock(&r->lock);
    error = sparse_resize(r->file, size);
    if (error == 0 && r->is_recording)
        number = begin(r, RECORD_RESIZE, NULL, size, 0);
    cm_os_mutex_unlock(&r->lock);
    if (error == 0 && r->is_recording)
        end(r, number);
    return error;
}

/* What is written while it runs is not made durable by it. */
static int recorder_flush(void *context)
{
    struct recorder *r = context;
    size_t number = 0;
    int is_lost;

    cm_os_mutex_lock(&r->lock);
    r->flushes++;
    is_lost = r->options.lose_flushes != 0 && r->flushes % r->options.lose_flushes == 0;
    if (r->is_recording && !is_lost)
        number = begin(r, RECORD_FLUSH, NULL, 0, 0);
    cm_os_mutex_unlock(&r->lock);
    if (r->options.slow_flush_ms != 0)
        cm_os_sleep_ms(r->options.slow_flush_ms);
    if (r->is_recording && !is_lost)
        end(r, number);
    return 0;
}

static int recorder_allocated(void *context, uint64_t *bytes)
{
    struct recorder *r = context;

    *bytes = sparse_size(r->file);
    return 0;
}

static void recorder_close(void *context)
{
    (void)context;
}

struct cm_store *recorder_store(struct recorder *r, const char *path)
{
    static const struct cm_store_ops ops = {
        .read = recorder_read,
        .write = recorder_write,
        .flush = recorder_flush,
        .punch = recorder_punch,
        .resize = recorder_resize,
        .allocated = recorder_allocated,
        .close = recorder_close,
    };
    struct cm_store *store;

    if (cm_store_new(&ops, r, sparse_size(r->file), 0, path, &store) != 0) {
        fprintf(stderr, "no memory for a store\n");
        exit(2);
    }
    return store;
}
