/* SPDX-License-Identifier: MIT */
/*
 * store.c - the file of a container: an operating system's file behind aligned.c, or whatever a test puts there.
 *
 * Opened by the formats of images/, whose hot path its reads and writes are: they take no lock here.
 */
#include "lib/core/store.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "abi/coremnt_abi.h"
#include "lib/core/aligned.h"
#include "lib/core/error_internal.h"
#include "lib/core/image_internal.h"
#include "lib/core/os.h"

#define ZEROS_SIZE 65536u /* bytes that are written at once where there are no holes */

struct cm_store {
    struct cm_store_ops ops;
    void *context;
    _Atomic uint64_t size; /* set by cm_store_resize() alone */
    int read_only;
    char path[]; /* for sentences */
};

/* -- a file ------------------------------------------------------------------------------------ */

struct file {
    struct cm_os_file *os;
    struct cm_aligned *aligned; /* in front of it */
};

static int below_read(void *context, void *buffer, uint32_t length, uint64_t offset)
{
    return cm_os_file_read(context, buffer, length, offset);
}

static int below_write(void *context, const void *buffer, uint32_t length, uint64_t offset)
{
    return cm_os_file_write(context, buffer, length, offset);
}

static int below_resize(void *context, uint64_t size)
{
    return cm_os_file_resize(context, size);
}

static int below_punch(void *context, uint64_t offset, uint64_t length)
{
    return cm_os_file_punch(context, offset, length);
}

static int file_read(void *context, void *buffer, uint32_t length, uint64_t offset)
{
    struct file *file = context;

    return cm_aligned_read(file->aligned, buffer, length, offset);
}

static int file_write(void *context, const void *buffer, uint32_t length, uint64_t offset)
{
    struct file *file = context;

    return cm_aligned_write(file->aligned, buffer, length, offset);
}

static int file_flush(void *context)
{
    struct file *file = context;

    return cm_os_file_flush(file->os);
}

static int file_punch(void *context, uint64_t offset, uint64_t length)
{
    struct file *file = context;

    return cm_aligned_alone(file->aligned, offset, length, below_punch, file->os);
}

static int file_resize(void *context, uint64_t size)
{
    struct file *file = context;

    return cm_aligned_resize(file->aligned, size);
}

static int file_allocated(void *context, uint64_t *bytes)
{
    struct file *file = context;

    return cm_os_file_allocated(file->os, bytes);
}

static int file_reserve(void *context, uint64_t offset, uint64_t length)
{
    struct file *file = context;

    return cm_os_file_reserve(file->os, offset, length);
}

static void file_close(void *context)
{
    struct file *file = context;

    cm_aligned_free(file->aligned);
    cm_os_file_close(file->os);
    free(file);
}

static const struct cm_store_ops file_ops = {
    .read = file_read,
    .write = file_write,
    .flush = file_flush,
    .punch = file_punch,
    .resize = file_resize,
    .allocated = file_allocated,
    .close = file_close,
    .reserve = file_reserve,
};

/* -- opening ----------------------------------------------------------------------------------- */

int cm_store_new(const struct cm_store_ops *ops, void *context, uint64_t size, int read_only,
                 const char *path, struct cm_store **store)
{
    size_t length = strlen(path) + 1;
    struct cm_store *s = malloc(sizeof(*s) + length);

    *store = NULL;
    if (s == NULL)
        return cm_fail(CM_ENOMEM, "no memory to open %s.", path);
    s->ops = *ops;
    s->context = context;
    s->size = size;
    s->read_only = read_only;
    memcpy(s->path, path, length);
    *store = s;
    return 0;
}

static uint32_t os_flags(const struct cm_image_options *options)
{
    uint32_t flags = CM_OS_IMAGE | CM_OS_EXCLUSIVE;

    if ((options->flags & CM_OPEN_READ_ONLY) != 0)
        flags |= CM_OS_READ_ONLY;
    if ((options->flags & CM_OPEN_CREATE) != 0)
        flags |= CM_OS_CREATE;
    if ((options->flags & CM_OPEN_CACHED) != 0)
        flags |= CM_OS_CACHED;
    if ((options->flags & CM_OPEN_UNCACHED) != 0)
        flags |= CM_OS_UNCACHED;
    return flags;
}

/*
 * All that lies around an open file. On Windows it does not become sparse: Hyper-V and diskpart refuse containers that are
 * (0xC03A001A, "must be uncompressed and unencrypted and must not be sparse"). One that is already stays so.
 */
static int wrap(struct cm_os_file *os, const char *path, const struct cm_image_options *options,
                struct cm_store **store)
{
    struct cm_aligned_below below = {os, below_read, below_write, below_resize};
    struct cm_aligned_shape shape = {cm_os_file_alignment(os), CM_SECTOR_SIZE_SMALL, 0};
    int read_only = (options->flags & CM_OPEN_READ_ONLY) != 0;
    struct file *file = calloc(1, sizeof(*file));
    int error = cm_os_file_size(os, &shape.size);

    if (file == NULL)
        return cm_fail(CM_ENOMEM, "no memory to open %s.", path);
    file->os = os;
    if (error == 0)
        error = cm_aligned_new(&below, &shape, &file->aligned);
    if (error == 0)
        error = cm_store_new(&file_ops, file, shape.size, read_only, path, store);
    if (error != 0) {
        cm_aligned_free(file->aligned);
        free(file);
    }
    return error;
}

int cm_store_open(const char *path, const struct cm_image_options *options, struct cm_store **store)
{
    struct cm_os_file *os;
    char reason[512];
    int error = cm_os_file_open(path, os_flags(options), &os);

    *store = NULL;
    if (error != 0)
        return error;
    error = wrap(os, path, options, store);
    if (error == 0)
        return 0;
    cm_os_file_close(os);
    if ((options->flags & CM_OPEN_CREATE) != 0) {
        snprintf(reason, sizeof(reason), "%s", cm_last_error());
        (void)cm_os_file_remove(path); /* empty, and ours */
        cm_fail(error, "%s", reason);
    }
    return error;
}

void cm_store_close(struct cm_store *store)
{
    if (store == NULL)
        return;
    store->ops.close(store->context);
    free(store);
}

int cm_store_discard(struct cm_store *store, int error)
{
    char reason[512];

    snprintf(reason, sizeof(reason), "%s", cm_last_error());
    store->ops.close(store->context);
    if (cm_os_file_remove(store->path) == 0)
        cm_fail(error, "%s", reason);
    else
        cm_fail(error, "%s %s is left over and could not be removed.", reason, store->path);
    free(store);
    return error;
}

/* -- what it is -------------------------------------------------------------------------------- */

const char *cm_store_path(const struct cm_store *store)
{
    return store->path;
}

int cm_store_is_read_only(const struct cm_store *store)
{
    return store->read_only;
}

uint64_t cm_store_size(const struct cm_store *store)
{
    return store->size;
}

/* -- input and output -------------------------------------------------------------------------- */

/* What lies beyond the end reads as zeros, whatever the number: it may come from the file. */
int cm_store_read(struct cm_store *store, void *buffer, uint32_t length, uint64_t offset)
{
    uint64_t size = store->size;
    uint32_t there = length;

    if (offset >= size)
        there = 0;
    else if (length > size - offset)
        there = (uint32_t)(size - offset);
    memset((char *)buffer + there, 0, length - there);
    return there > 0 ? store->ops.read(store->context, buffer, there, offset) : 0;
}

static int check_change(const struct cm_store *store, uint64_t offset, uint64_t length)
{
    uint64_t size = store->size;

    if (store->read_only)
        return CM_EROFS;
    return length > size || offset > size - length ? CM_ERANGE : 0;
}

int cm_store_write(struct cm_store *store, const void *buffer, uint32_t length, uint64_t offset)
{
    int error = check_change(store, offset, length);

    return error != 0 || length == 0 ? error
                                     : store->ops.write(store->context, buffer, length, offset);
}

int cm_store_flush(struct cm_store *store)
{
    return store->read_only ? 0 : store->ops.flush(store->context);
}

int cm_store_punch(struct cm_store *store, uint64_t offset, uint64_t length)
{
    int error = check_change(store, offset, length);

    return error != 0 || length == 0 ? error : store->ops.punch(store->context, offset, length);
}

int cm_store_resize(struct cm_store *store, uint64_t size)
{
    uint64_t before = store->size;
    int error;

    if (store->read_only)
        return CM_EROFS;
    if (size < before)
        store->size = size;
    error = store->ops.resize(store->context, size);
    store->size = error == 0 ? size : before;
    return error;
}

int cm_store_allocated(struct cm_store *store, uint64_t *bytes)
{
    return store->ops.allocated(store->context, bytes);
}

int cm_store_reserve(struct cm_store *store, uint64_t offset, uint64_t length)
{
    int error = check_change(store, offset, length);

    return error != 0 || length == 0 || store->ops.reserve == NULL
               ? error
               : store->ops.reserve(store->context, offset, length);
}

int cm_store_zero(struct cm_store *store, uint64_t offset, uint64_t length)
{
    static const unsigned char zeros[ZEROS_SIZE];
    int error = cm_store_punch(store, offset, length);

    if (error != CM_ENOTSUP)
        return error;
    for (error = 0; length > 0 && error == 0;) {
        uint32_t part = length < ZEROS_SIZE ? (uint32_t)length : ZEROS_SIZE;

        error = cm_store_write(store, zeros, part, offset);
        offset += part;
        length -= part;
    }
    return error;
}
