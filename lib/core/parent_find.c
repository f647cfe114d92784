/* SPDX-License-Identifier: MIT */
/*
 * parent_find.c - the file of the parent of a differencing image. Called by the formats that have parents when an image is
 * opened, checked or merged, on any thread.
 */
#include "lib/core/parent_find.h"

#include <stdio.h>
#include <stdlib.h>

#include "lib/core/error_internal.h"
#include "lib/core/parent_path.h"
#include "lib/core/store.h"

#include <coremnt/error.h>

/* On failure *file is NULL. */
static int try_path(const struct cm_parent_search *search, const char *path,
                    const struct cm_image_options *options, struct cm_store **file)
{
    int error = cm_store_open(path, options, file);

    if (error == 0) {
        error = search->judge(search->context, *file);
        if (error == 0)
            return 0;
        cm_store_close(*file);
    }
    *file = NULL;
    return error;
}

static int refuse_missing(const struct cm_parent_search *search, char *const *paths, unsigned count)
{
    if (count == 0)
        return cm_fail(CM_ENOENT,
                       "%s does not say where its parent is, or names a place that is not "
                       "followed. Name the parent with \"coremnt rebase --trust\".",
                       search->child);
    return cm_fail(CM_ENOENT,
                   "the parent of %s is missing: %s. Put it there or beside the child, or name its "
                   "place with \"coremnt rebase --trust\".",
                   search->child, paths[0]);
}

static int find(const struct cm_parent_search *search, const struct cm_image_options *options,
                char *const *paths, unsigned count, struct cm_store **file)
{
    char reason[1024] = "";
    int told = CM_ENOENT;

    for (unsigned i = 0; i < count; i++) {
        int error = try_path(search, paths[i], options, file);

        if (error == 0 || error == CM_EBUSY)
            return error;
        if (error != CM_ENOENT && told == CM_ENOENT) {
            told = error;
            snprintf(reason, sizeof(reason), "%s", cm_last_error());
        }
    }
    return told == CM_ENOENT ? refuse_missing(search, paths, count) : cm_fail(told, "%s", reason);
}

int cm_parent_find(const struct cm_parent_search *search, const struct cm_image_options *options,
                   struct cm_store **file)
{
    char *paths[CM_PARENT_PATHS];
    unsigned count = cm_parent_paths(search->child, search->relative, search->absolute, paths);
    int error;

    *file = NULL;
    error = find(search, options, paths, count, file);
    for (unsigned i = 0; i < count; i++)
        free(paths[i]);
    return error;
}
