/* SPDX-License-Identifier: MIT */
/*
 * convert.c - the content of an image into a new one: cm_image_convert() of <coremnt/container.h>.
 *
 * Called by programs, on any thread. A few threads of its own each take the next piece, read it and write it, so that
 * reads and writes of several pieces are under way at once; the caller's thread waits, and tells how far it is. What the
 * source says reads as zeros is not read, and what turns out to be zeros is not written: a new image is zeros.
 *
 * The new file is made beside its place as NAME.partial and gets its name when it is complete and durable. One that is
 * left over (the program was killed) is not replaced: nobody can know that it is not somebody's.
 */
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/core/error_internal.h"
#include "lib/core/image_internal.h"
#include "lib/core/os.h"
#include "lib/core/zeros.h"

#define WORKERS 4u
#define PIECE (1u << 20)  /* bytes that are read at once */
#define GRAIN (64u << 10) /* bytes: zeros of this length are not written */
#define ALIGNMENT 4096u   /* of pieces: every sector size divides it */
#define TELL_MS 100u
#define SUFFIX ".partial"

struct copy {
    struct cm_image *from;
    struct cm_image *to;
    uint64_t size;         /* bytes of `from` */
    _Atomic uint64_t done; /* bytes dealt with, for the progress */

    struct cm_os_mutex mutex; /* over all that follows */
    struct cm_os_cond ended;  /* a worker has */
    unsigned running;
    int stop;
    uint64_t next;      /* where the next piece begins */
    uint64_t data_end;  /* up to here the source has data, as far as is known */
    int error;          /* the first one */
    const char *action; /* "read" or "write": what failed */
    uint64_t failed_at;
};

/* -- pieces ------------------------------------------------------------------------------------ */

static void note_error(struct copy *copy, int error, const char *action, uint64_t offset)
{
    if (copy->error == 0) {
        copy->error = error;
        copy->action = action;
        copy->failed_at = offset;
    }
    copy->stop = 1;
}

static uint64_t smaller(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* Asks once what comes next, and steps over it if it reads as zeros. Pieces begin and end at whole ALIGNMENTs, or the
 * image's end. */
static void look_ahead(struct copy *copy)
{
    struct cm_extent extent;
    int error = cm_image_extent(copy->from, copy->next, copy->size - copy->next, &extent);
    uint64_t end = copy->next + extent.length;
    int is_zeros = (extent.flags & CM_EXTENT_ZERO) != 0;

    if (error != 0) {
        note_error(copy, error, "read", copy->next);
        return;
    }
    if (is_zeros && end < copy->size)
        end -= end % ALIGNMENT;
    if (is_zeros && end > copy->next) {
        copy->done += end - copy->next;
        copy->next = end;
    } else { /* zeros that are too few are data */
        end = end > copy->next ? end : copy->next + 1;
        copy->data_end = smaller(copy->size, (end + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT);
    }
}

/* The lock is let go of at each step, for the caller's thread may want to end it all. @return the length, or 0: there is
 * nothing more to do. */
static uint32_t take_piece(struct copy *copy, uint64_t *offset)
{
    uint32_t length = 0;
    int is_over = 0;

    while (length == 0 && !is_over) {
        cm_os_mutex_lock(&copy->mutex);
        is_over = copy->stop || copy->next >= copy->size;
        if (!is_over && copy->next >= copy->data_end) {
            look_ahead(copy);
        } else if (!is_over) {
            *offset = copy->next;
            length = (uint32_t)smaller(PIECE - copy->next % PIECE, copy->data_end - copy->next);
            copy->next += length;
        }
        cm_os_mutex_unlock(&copy->mutex);
    }
    return length;
}

/* Bytes from `at` on until there is something else: zeros or data, whichever it begins with. */
static uint32_t run_length(const unsigned char *piece, uint32_t at, uint32_t length, int *is_zeros)
{
    uint32_t end = at;
    int is_same = 1;

    *is_zeros = cm_is_zeros(piece + at, length - at < GRAIN ? length - at : GRAIN);
    while (is_same && end < length) {
        uint32_t grain = length - end < GRAIN ? length - end : GRAIN;

        is_same = end == at || cm_is_zeros(piece + end, grain) == *is_zeros;
        end += is_same ? grain : 0;
    }
    return end - at;
}

static int write_piece(struct copy *copy, const unsigned char *piece, uint32_t length,
                       uint64_t offset)
{
    int error = 0;

    for (uint32_t at = 0; at < length && error == 0;) {
        int is_zeros;
        uint32_t run = run_length(piece, at, length, &is_zeros);

        if (!is_zeros)
            error = cm_image_write(copy->to, piece + at, run, offset + at, 0);
        at += run;
    }
    return error;
}

/* -- threads ----------------------------------------------------------------------------------- */

static void work(void *argument)
{
    struct copy *copy = argument;
    unsigned char *piece = cm_os_pages_alloc(PIECE);
    const char *action = "read";
    int error = piece == NULL ? CM_ENOMEM : 0;
    uint64_t offset = 0;
    uint32_t length;

    while (error == 0 && (length = take_piece(copy, &offset)) > 0) {
        action = "read";
        error = cm_image_read(copy->from, piece, length, offset);
        if (error == 0) {
            action = "write";
            error = write_piece(copy, piece, length, offset);
        }
        copy->done += length;
    }
    cm_os_pages_free(piece, PIECE);
    cm_os_mutex_lock(&copy->mutex);
    if (error != 0)
        note_error(copy, error, action, offset);
    copy->running--;
    cm_os_cond_signal(&copy->ended);
    cm_os_mutex_unlock(&copy->mutex);
}

/* Until all workers have ended; the caller's word that it shall end is passed on to them. It is asked at least once. */
static int wait_for_workers(struct copy *copy, cm_progress *progress, void *context)
{
    int canceled = 0;
    int is_over = 0;

    cm_os_mutex_lock(&copy->mutex);
    while (!is_over) {
        is_over = copy->running == 0;
        cm_os_mutex_unlock(&copy->mutex);
        if (progress != NULL && !canceled)
            canceled = progress(context, copy->done, copy->size) != 0;
        cm_os_mutex_lock(&copy->mutex);
        copy->stop |= canceled;
        if (copy->running > 0)
            (void)cm_os_cond_wait_ms(&copy->ended, &copy->mutex, TELL_MS);
    }
    cm_os_mutex_unlock(&copy->mutex);
    return canceled;
}

static int run_workers(struct copy *copy, cm_progress *progress, void *context)
{
    struct cm_os_thread *threads[WORKERS];
    unsigned count = 0;
    int canceled;
    int error = 0;

    while (count < WORKERS && error == 0) {
        cm_os_mutex_lock(&copy->mutex);
        copy->running++;
        cm_os_mutex_unlock(&copy->mutex);
        error = cm_os_thread_start(work, copy, &threads[count]);
        if (error == 0) {
            count++;
            continue;
        }
        cm_os_mutex_lock(&copy->mutex);
        copy->running--;
        cm_os_mutex_unlock(&copy->mutex);
    }
    if (count == 0)
        return cm_fail(error, "no thread to copy with could be started: %s.", cm_error_name(error));
    canceled = wait_for_workers(copy, progress, context);
    while (count > 0)
        cm_os_thread_join(threads[--count]);
    return canceled ? CM_ECANCELED : 0;
}

static int copy_content(struct copy *copy, const char *from, const char *to, cm_progress *progress,
                        void *context)
{
    int error;

    cm_os_mutex_init(&copy->mutex);
    cm_os_cond_init(&copy->ended);
    error = run_workers(copy, progress, context);
    cm_os_cond_destroy(&copy->ended);
    cm_os_mutex_destroy(&copy->mutex);
    if (error == CM_ECANCELED)
        return cm_fail(error, "the copy was given up, and %s was not made.", to);
    if (error == 0 && copy->error != 0)
        return cm_fail(copy->error, "cannot %s %s at byte %llu: %s.", copy->action,
                       copy->action[0] == 'r' ? from : to, (unsigned long long)copy->failed_at,
                       cm_error_name(copy->error));
    return error;
}

/* -- the new image ----------------------------------------------------------------------------- */

/* The name that is to be must be free. That it is taken while the copy is made, the last step sees. */
static int refuse_existing(const char *path)
{
    struct cm_os_file *file;
    int error = cm_os_file_open(path, CM_OS_READ_ONLY, &file);

    if (error == CM_ENOENT)
        return 0;
    if (error == 0)
        cm_os_file_close(file);
    if (error == 0 || error == CM_EBUSY)
        return cm_fail(CM_EEXIST, "%s exists already. Choose another name, or remove it first.",
                       path);
    return error;
}

/* Of what a copy is to be like the caller says what it wants, and the rest is as in the source. */
static int plan(const struct cm_image_options *given, const struct cm_image_info *from,
                const char *name, struct cm_image_options *options)
{
    *options = (struct cm_image_options){.struct_size = sizeof(*options)};
    if (given != NULL) {
        if (given->struct_size < sizeof(given->struct_size) ||
            given->struct_size > sizeof(*options))
            return cm_fail(CM_EINVAL, "cm_image_options.struct_size is %u.",
                           (unsigned)given->struct_size);
        memcpy(options, given, given->struct_size);
        options->struct_size = sizeof(*options);
    }
    if (options->parent != NULL)
        return cm_fail(CM_EINVAL, "a copy has all of the content itself, and so no parent.");
    if (options->size == 0)
        options->size = from->size;
    if (options->size < from->size)
        return cm_fail(CM_EINVAL,
                       "%s has %llu bytes, and a copy of %llu would lose what lies beyond. Resize "
                       "it first, or the copy afterwards.",
                       name, (unsigned long long)from->size, (unsigned long long)options->size);
    if (options->sector_size == 0)
        options->sector_size = from->sector_size;
    options->flags |= CM_OPEN_CREATE;
    return 0;
}

/* The file that is being made. @return `error`, whose sentence stays. */
static int remove_partial(const char *path, int error)
{
    char sentence[1024];
    int removed;

    snprintf(sentence, sizeof(sentence), "%s", cm_last_error());
    removed = cm_os_file_remove(path);
    if (removed == 0 ||
        removed == CM_ENOENT) /* it has its name already, and only that could not be flushed */
        return cm_fail(error, "%s", sentence);
    return cm_fail(error, "%s %s is left over and could not be removed.", sentence, path);
}

/* A copy under way holds its file, one that was killed does not. */
static int refuse_partial(const char *path, const char *to)
{
    struct cm_os_file *file;
    int error = cm_os_file_open(path, CM_OS_EXCLUSIVE, &file);

    if (error == CM_EBUSY)
        return cm_fail(CM_EBUSY, "another copy to %s is under way.", to);
    if (error == 0)
        cm_os_file_close(file);
    return cm_fail(CM_EEXIST,
                   "%s is there, left over perhaps from a copy that was killed. Remove it first.",
                   path);
}

struct target {
    const char *path; /* that it is to have */
    char *spec;       /* of what is made, with its kind */
    char *partial;    /* the path in that */
};

/* The sentence names the file that could not be made; the caller knows it by the name that it was to have. @return `error`. */
static int name_as_wanted(const struct target *target, int error)
{
    char sentence[1024];
    char *name;

    snprintf(sentence, sizeof(sentence), "%s", cm_last_error());
    name = strstr(sentence, target->partial);
    if (name == NULL)
        return error;
    *name = '\0';
    return cm_fail(error, "%s%s%s", sentence, target->path, name + strlen(target->partial));
}

/* From a source that is open on; it stays the caller's. */
static int make(struct copy *copy, const char *from, const struct target *target,
                const struct cm_image_options *options, cm_progress *progress, void *context)
{
    int error = cm_image_open_inner(target->spec, options, &copy->to);

    if (error == CM_EEXIST)
        return refuse_partial(target->partial, target->path);
    if (error != 0)
        return name_as_wanted(target, error);
    error = copy_content(copy, from, target->path, progress, context);
    if (error != 0)
        cm_image_discard(copy->to);
    else
        error = cm_image_close(copy->to);
    if (error == 0)
        error = cm_os_file_rename_new(target->partial, target->path);
    return error != 0 ? remove_partial(target->partial, error) : 0;
}

static int name_target(const char *to, struct target *target)
{
    struct cm_image_place place;
    size_t size;
    int error = cm_image_place(to, &place);

    if (error != 0)
        return error;
    if (place.path == NULL)
        return cm_fail(CM_EINVAL, "%s is no file: a copy there would be gone at once.", to);
    size = strlen(place.kind) + 1 + strlen(place.path) + sizeof(SUFFIX);
    target->path = place.path;
    target->spec = malloc(size);
    if (target->spec == NULL)
        return cm_fail(CM_ENOMEM, "no memory to make %s.", to);
    snprintf(target->spec, size, "%s:%s" SUFFIX, place.kind, place.path);
    target->partial = target->spec + strlen(place.kind) + 1;
    return refuse_existing(target->path);
}

int cm_image_convert(const char *from, const char *to, const struct cm_image_options *given,
                     cm_progress *progress, void *context)
{
    struct cm_image_options source = {.struct_size = sizeof(source)};
    struct cm_image_options options;
    struct target target = {NULL, NULL, NULL};
    struct cm_image_info info;
    struct copy copy = {0};
    int error = name_target(to, &target);

    source.flags = CM_OPEN_READ_ONLY | CM_OPEN_STILL;
    if (given != NULL && given->struct_size >= 2 * sizeof(uint32_t))
        source.flags |= given->flags & CM_OPEN_CACHED;
    if (error == 0)
        error = cm_image_open_inner(from, &source, &copy.from);
    if (error == 0) {
        error = cm_image_get_info(copy.from, &info);
        copy.size = info.size;
        if (error == 0)
            error = plan(given, &info, from, &options);
        if (error == 0)
            error = make(&copy, from, &target, &options, progress, context);
        cm_image_discard(copy.from);
    }
    free(target.spec);
    return error;
}
