/* SPDX-License-Identifier: MIT */
/*
 * container.c - what is done with the file of a container that nobody uses: check and compact of <coremnt/container.h>.
 *
 * Called by programs, on any thread, never while the image serves a disk: the file is opened here, so that a writer
 * elsewhere keeps it out, and handed to the functions of its kind, which know its structures.
 */
#include <string.h>

#include "lib/core/error_internal.h"
#include "lib/core/image_internal.h"
#include "lib/core/os.h"
#include "lib/core/store.h"

/* A file that is not there is not one that has nothing to check. */
static int refuse_missing(const char *path)
{
    struct cm_os_file *file;
    int error = cm_os_file_open(path, CM_OS_READ_ONLY | CM_OS_IMAGE, &file);

    if (error == 0)
        cm_os_file_close(file);
    return error;
}

/* The place of a container; `what` is what its kind must be able to do, for the sentence. */
static int find_container(const char *spec, const char *what, struct cm_image_place *place)
{
    int error = cm_image_place(spec, place);

    if (error == 0 && place->container == NULL && place->path != NULL)
        error = refuse_missing(place->path);
    if (error != 0)
        return error;
    if (place->container == NULL)
        return cm_fail(CM_ENOTSUP, "%s is an image of the kind %s, which has nothing to %s.", spec,
                       place->kind, what);
    return 0;
}

/* Where writes were made they are durable in the end, unless that failed anyway. @return `error`, or what the flush said. */
static int finish(struct cm_store *store, int error)
{
    int flushed = cm_store_flush(store);

    if (error == 0 && flushed != 0)
        error = cm_fail(flushed, "%s could not be flushed: %s. What was changed last may be lost.",
                        cm_store_path(store), cm_error_name(flushed));
    cm_store_close(store);
    return error;
}

/* -- check ------------------------------------------------------------------------------------- */

static int read_check_options(const struct cm_check_options *given,
                              struct cm_check_options *options)
{
    memset(options, 0, sizeof(*options));
    if (given == NULL)
        return 0;
    if (given->struct_size < sizeof(given->struct_size) || given->struct_size > sizeof(*options))
        return cm_fail(CM_EINVAL, "cm_check_options.struct_size is %u.",
                       (unsigned)given->struct_size);
    memcpy(options, given, given->struct_size);
    if ((options->flags & ~CM_CHECK_REPAIR) != 0)
        return cm_fail(CM_EINVAL, "unknown flags to check an image: 0x%x.",
                       (unsigned)options->flags);
    return 0;
}

int cm_image_check(const char *spec, const struct cm_check_options *given,
                   struct cm_check_result *result)
{
    struct cm_image_options open = {.struct_size = sizeof(open)};
    struct cm_check_options options;
    struct cm_image_place place;
    struct cm_store *store;
    int error = find_container(spec, "check", &place);

    memset(result, 0, sizeof(*result));
    if (error == 0)
        error = read_check_options(given, &options);
    if (error != 0)
        return error;
    if ((options.flags & CM_CHECK_REPAIR) == 0)
        open.flags = CM_OPEN_READ_ONLY;
    if (place.container->check == NULL)
        return cm_fail(CM_ENOTSUP, "images of the kind %s cannot be checked yet.", place.kind);
    error = cm_store_open(place.path, &open, &store);
    return error != 0 ? error : finish(store, place.container->check(store, &options, result));
}

/* -- space ------------------------------------------------------------------------------------- */

int cm_image_compact(const char *spec, cm_progress *progress, void *context, uint64_t *freed)
{
    struct cm_image_options open = {.struct_size = sizeof(open)};
    struct cm_image_place place;
    struct cm_store *store;
    uint64_t before;
    uint64_t after;
    int error = find_container(spec, "compact", &place);

    *freed = 0;
    if (error == 0 && place.container->compact == NULL)
        error = cm_fail(CM_ENOTSUP, "images of the kind %s cannot be compacted yet.", place.kind);
    if (error == 0)
        error = cm_store_open(place.path, &open, &store);
    if (error != 0)
        return error;
    before = cm_store_size(store);
    error = place.container->compact(store, progress, context);
    after = cm_store_size(store);
    if (after < before)
        *freed = before - after;
    return finish(store, error);
}
