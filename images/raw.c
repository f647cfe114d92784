/* SPDX-License-Identifier: MIT */
/*
 * raw.c - a file that holds the disk's bytes as they are. Byte n of the disk is byte n of the file.
 *
 * Opened by registry.c. Its callbacks are the hot path: called by the pool, on many threads at
 * once; they take no lock, because the system's file calls carry their own offset. What a file that
 * is not cached cannot take as it is, lib/core/aligned.c makes fit.
 *
 * The file has the disk's length from the beginning, because nothing else in it tells the size, and
 * is sparse: storage is taken as data comes. When the storage is full, the write that needs more
 * fails with CM_ENOSPC, its range holds old data, new data or both, and everything else goes on. A
 * trim makes a hole.
 *
 * A writer opens the file exclusively, so nobody should cut it while it serves. Where locks bind
 * only those who ask for them (Linux), somebody can: what is cut off then reads as zeros, like the
 * hole that it now is, and a write makes the file longer again. Asking the file's size before every
 * read would cost more than the read.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "abi/coremnt_abi.h"
#include "lib/core/aligned.h"
#include "lib/core/error_internal.h"
#include "lib/core/image_internal.h"
#include "lib/core/os.h"

struct raw {
    struct cm_os_file *file;
    struct cm_aligned *aligned; /* in front of it */
    char path[];                /* as it was opened, for whoever asks */
};

/* -- the file, as aligned.c sees it ------------------------------------------------------------ */

static int file_read(void *context, void *buffer, uint32_t length, uint64_t offset)
{
    return cm_os_file_read(context, buffer, length, offset);
}

static int file_write(void *context, const void *buffer, uint32_t length, uint64_t offset)
{
    return cm_os_file_write(context, buffer, length, offset);
}

static int file_resize(void *context, uint64_t size)
{
    return cm_os_file_resize(context, size);
}

static int file_punch(void *context, uint64_t offset, uint64_t length)
{
    return cm_os_file_punch(context, offset, length);
}

/* -- callbacks --------------------------------------------------------------------------------- */

static int raw_read(void *context, void *buffer, uint32_t length, uint64_t offset)
{
    struct raw *raw = context;

    return cm_aligned_read(raw->aligned, buffer, length, offset);
}

/* CM_IMAGE_FUA does not come here: image.c calls raw_flush() after the write, and a file has no
 * better way. */
static int raw_write(void *context, const void *buffer, uint32_t length, uint64_t offset,
                     uint32_t flags)
{
    struct raw *raw = context;

    (void)flags;
    return cm_aligned_write(raw->aligned, buffer, length, offset);
}

static int raw_flush(void *context)
{
    struct raw *raw = context;

    return cm_os_file_flush(raw->file);
}

static int raw_trim(void *context, uint64_t offset, uint64_t length)
{
    struct raw *raw = context;

    return cm_aligned_alone(raw->aligned, offset, length, file_punch, raw->file);
}

/* As long as it has not reached the storage, a power cut could bring the shorter file back. */
static int raw_resize(void *context, uint64_t size)
{
    struct raw *raw = context;
    uint64_t before;
    int error = cm_os_file_size(raw->file, &before);

    if (error == 0)
        error = cm_aligned_resize(raw->aligned, size);
    if (error != 0)
        return error;
    error = cm_os_file_flush(raw->file);
    if (error != 0)
        (void)cm_aligned_resize(raw->aligned, before); /* what was cut off is zeros now */
    return error;
}

static int raw_info(void *context, struct cm_image_info *info)
{
    struct raw *raw = context;

    info->format = "raw";
    info->path = raw->path;
    return cm_os_file_allocated(raw->file, &info->allocated);
}

static int raw_extent(void *context, uint64_t offset, uint64_t length, struct cm_extent *extent)
{
    struct raw *raw = context;
    int is_hole;
    int error = cm_os_file_extent(raw->file, offset, length, &extent->length, &is_hole);

    if (error != 0)
        return error;
    extent->flags = is_hole ? CM_EXTENT_ZERO : CM_EXTENT_ALLOCATED;
    extent->place = is_hole ? CM_EXTENT_NO_PLACE : offset;
    return 0;
}

static void raw_close(void *context)
{
    struct raw *raw = context;

    cm_aligned_free(raw->aligned);
    cm_os_file_close(raw->file);
    free(raw);
}

static const struct cm_image_ops raw_ops = {
    .size = sizeof(struct cm_image_ops),
    .flags = CM_IMAGE_PARALLEL,
    .read = raw_read,
    .close = raw_close,
    .write = raw_write,
    .flush = raw_flush,
    .trim = raw_trim,
    .info = raw_info,
    .resize = raw_resize,
    .extent = raw_extent,
};

static const struct cm_image_ops raw_read_only_ops = {
    .size = sizeof(struct cm_image_ops),
    .flags = CM_IMAGE_PARALLEL,
    .read = raw_read,
    .close = raw_close,
    .info = raw_info,
    .extent = raw_extent,
};

/* -- opening ----------------------------------------------------------------------------------- */

/* Where the file system has no sparse files, CM_ENOTSUP, the file is a disk all the same: it takes
 * its whole size, of which a resize says if there is room. */
static int set_sparse(struct cm_os_file *file)
{
    int error = cm_os_file_set_sparse(file);

    return error == CM_ENOTSUP ? 0 : error;
}

/* The size of the disk in a file that was there before; a smaller one is grown to the size wanted. A file that ends within
 * a sector can be read, as though zeros followed; who wants to write says first how long the file is to be. */
static int fit(struct cm_os_file *file, const char *path, const struct cm_image_options *options,
               uint64_t *size)
{
    unsigned sector_size = options->sector_size;
    int error = cm_os_file_size(file, size);

    if (error != 0)
        return error;
    if (options->size != 0 && *size > options->size)
        return cm_fail(CM_EINVAL,
                       "%s has %llu bytes already and is not cut to %llu: data would be lost.",
                       path, (unsigned long long)*size, (unsigned long long)options->size);
    if (options->size != 0 && *size < options->size) {
        if ((options->flags & CM_OPEN_READ_ONLY) != 0)
            return cm_fail(CM_EINVAL,
                           "%s has %llu bytes and cannot grow to %llu: it is opened read-only.",
                           path, (unsigned long long)*size, (unsigned long long)options->size);
        *size = options->size;
        return cm_os_file_resize(file, *size);
    }
    if (*size == 0)
        return cm_fail(CM_EINVAL,
                       "%s is empty. Give it the size that the disk is to have: with \"coremnt "
                       "resize\", or with --size when it is mounted.",
                       path);
    if (*size % sector_size == 0)
        return 0;
    if (*size % CM_SECTOR_SIZE_SMALL == 0)
        return cm_fail(CM_EINVAL,
                       "%s has %llu bytes, not whole sectors of %u. Open it with sectors of %u.",
                       path, (unsigned long long)*size, sector_size, CM_SECTOR_SIZE_SMALL);
    if ((options->flags & CM_OPEN_READ_ONLY) != 0) { /* beyond the end of a file, zeros are read */
        *size += sector_size - *size % sector_size;
        return 0;
    }
    return cm_fail(CM_EINVAL,
                   "%s has %llu bytes, not whole sectors of %u. Make it longer with \"coremnt "
                   "resize\", or with --size when it is mounted.",
                   path, (unsigned long long)*size, sector_size);
}

/* How its file is opened, besides for reading or writing. */
static uint32_t file_flags(const struct cm_image_options *options)
{
    return CM_OS_IMAGE | ((options->flags & CM_OPEN_CACHED) != 0 ? CM_OS_CACHED : 0) |
           ((options->flags & CM_OPEN_UNCACHED) != 0 ? CM_OS_UNCACHED : 0) |
           ((options->flags & CM_OPEN_STILL) != 0 ? CM_OS_EXCLUSIVE : 0);
}

static int open_existing(const char *path, const struct cm_image_options *options,
                         struct cm_os_file **file, uint64_t *size)
{
    int read_only = (options->flags & CM_OPEN_READ_ONLY) != 0;
    uint32_t access = read_only ? CM_OS_READ_ONLY : CM_OS_EXCLUSIVE;
    int error = cm_os_file_open(path, access | file_flags(options), file);

    if (error != 0)
        return error;
    if (!read_only)
        error = set_sparse(*file); /* it may come from a system where that was not said */
    if (error == 0)
        error = fit(*file, path, options, size);
    if (error != 0)
        cm_os_file_close(*file);
    return error;
}

/* A file that was made here and is of no use goes again, so that the next try does not find
 * CM_EEXIST.
 * @return `error`, whose sentence stays. */
static int take_back(struct cm_os_file *file, const char *path, int error)
{
    char reason[1024];
    int remove_error;

    snprintf(reason, sizeof(reason), "%s", cm_last_error());
    cm_os_file_close(file);
    remove_error = cm_os_file_remove(path);
    if (remove_error != 0)
        return cm_fail(error, "%s %s is left over and could not be removed: %s.", reason, path,
                       cm_error_name(remove_error));
    return error;
}

static int create(const char *path, const struct cm_image_options *options,
                  struct cm_os_file **file, uint64_t *size)
{
    int error;

    if (options->size == 0)
        return cm_fail(CM_EINVAL, "cannot create %s without a size.", path);
    error = cm_os_file_open(path, CM_OS_CREATE | CM_OS_EXCLUSIVE | file_flags(options), file);
    if (error != 0)
        return error;
    *size = options->size;
    error = set_sparse(*file);
    if (error == 0)
        error = cm_os_file_resize(*file, *size);
    return error != 0 ? take_back(*file, path, error) : 0;
}

/* Whether the file system can give space back, asked beyond the end of the file where there is nothing to lose:
 * a disk must not offer what will fail. */
static int can_punch(struct cm_os_file *file, uint64_t size)
{
    return cm_os_file_punch(file, size, CM_SECTOR_SIZE_LARGE) != CM_ENOTSUP;
}

/* From an open file on; the file is the image's if it succeeds, and stays the caller's if not. */
static int make_image(struct cm_os_file *file, const char *path, uint64_t size,
                      const struct cm_image_options *options, struct cm_image **image)
{
    struct cm_aligned_below below = {file, file_read, file_write, file_resize};
    struct cm_aligned_shape shape = {cm_os_file_alignment(file), options->sector_size, size};
    int read_only = (options->flags & CM_OPEN_READ_ONLY) != 0;
    struct cm_image_ops ops = read_only ? raw_read_only_ops : raw_ops;
    size_t path_size = strlen(path) + 1;
    struct raw *raw = calloc(1, sizeof(*raw) + path_size);
    int error;

    if (raw == NULL)
        return cm_fail(CM_ENOMEM, "no memory for an image.");
    memcpy(raw->path, path, path_size);
    if (!read_only && !can_punch(file, size))
        ops.trim = NULL;
    raw->file = file;
    error = cm_aligned_new(&below, &shape, &raw->aligned);
    if (error == 0)
        error = cm_image_new(&ops, raw, size, options->sector_size, image);
    if (error != 0) {
        cm_aligned_free(raw->aligned);
        free(raw);
    }
    return error;
}

int cm_raw_open(const char *path, const struct cm_image_options *given, struct cm_image **image)
{
    struct cm_image_options options = *given;
    int created = (options.flags & CM_OPEN_CREATE) != 0;
    struct cm_os_file *file;
    uint64_t size;
    int error;

    if (options.sector_size == 0) /* nothing in the file tells it */
        options.sector_size = CM_SECTOR_SIZE_SMALL;
    error = created ? create(path, &options, &file, &size) : CM_EEXIST;
    if (!created || (error == CM_EEXIST && (options.flags & CM_OPEN_OR_CREATE) != 0)) {
        created = 0;
        error = open_existing(path, &options, &file, &size);
    }
    if (error != 0)
        return error;
    error = make_image(file, path, size, &options, image);
    if (error != 0 && created)
        return take_back(file, path, error);
    if (error != 0)
        cm_os_file_close(file);
    return error;
}
