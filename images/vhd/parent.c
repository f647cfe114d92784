/* SPDX-License-Identifier: MIT */
/*
 * parent.c - the parent of a differencing VHD: found, checked and opened read-only, with its own parents; and named in the
 * header of a child that is made.
 *
 * Called when an image is opened or made. It is the parent if it has the identity that the child names; a file of the
 * right name with another one was put there later, and what the child has would be laid over the wrong disk. The
 * parent's time is in the child too, but programs disagree on which time: it is for check alone.
 */
#include <stdlib.h>
#include <string.h>

#include "images/vhd/map.h"
#include "lib/core/error_internal.h"
#include "lib/core/image_internal.h"
#include "lib/core/parent_path.h"

#define PATH_SIZE 4096u /* bytes */

/* -- opening ----------------------------------------------------------------------------------- */

static uint32_t flags_below(uint32_t flags)
{
    return CM_OPEN_READ_ONLY | (flags & (CM_OPEN_CACHED | CM_OPEN_UNCACHED));
}

static int check_size(const struct vhd *child, const char *path, struct cm_image *parent)
{
    struct cm_image_info info;
    int error = cm_image_get_info(parent, &info);

    if (error != 0)
        return cm_fail(error, "cannot read %s, the parent of %s.", path,
                       cm_store_path(child->store));
    if (info.size != child->size)
        return cm_fail(
            CM_EDAMAGED,
            "%s, the parent of %s, is a disk of %llu bytes, and the child of %llu: one of "
            "them was resized. Give the parent the child's size again.",
            path, cm_store_path(child->store), (unsigned long long)info.size,
            (unsigned long long)child->size);
    return 0;
}

/* @return 0; CM_ENOENT: not this one, and *is_other if it is there; another error. Sets the sentence. */
static int try_path(const struct vhd *child, const char *path,
                    const struct cm_image_options *options, unsigned depth, int *is_other,
                    struct cm_image **parent)
{
    struct cm_image_options own = {.struct_size = sizeof(own),
                                   .flags = flags_below(options->flags)};
    struct vhd_footer footer;
    struct vhd_found found;
    struct cm_store *store;
    int error = cm_store_open(path, &own, &store);

    if (error != 0)
        return error;
    error = vhd_footer_find(store, &footer, &found);
    if (error == 0 && memcmp(footer.id, child->header.parent_id, VHD_ID_SIZE) != 0) {
        *is_other = 1;
        error = CM_ENOENT;
    }
    if (error == 0)
        error = vhd_open_at_depth(store, &own, depth + 1, parent);
    if (error != 0) {
        cm_store_close(store);
        return error;
    }
    error = check_size(child, path, *parent);
    if (error != 0) {
        (void)cm_image_close(*parent);
        *parent = NULL;
    }
    return error;
}

static int missing(const struct vhd *child, const char *first, int is_other)
{
    const char *path = cm_store_path(child->store);

    if (first == NULL)
        return cm_fail(CM_ENOENT,
                       "%s is a differencing image and does not say where its parent is, or says a "
                       "place that is not followed. Put the parent beside it, or rebase it.",
                       path);
    if (is_other)
        return cm_fail(
            CM_EDAMAGED,
            "%s is not the parent that %s was made upon: it has another identity. Put the "
            "right one there; or, if both have the same content, rebase the child.",
            first, path);
    return cm_fail(CM_ENOENT,
                   "the parent of %s is missing: %s. Put it there or beside the child, or rebase "
                   "the child to where it is.",
                   path, first);
}

int vhd_parent_open(const struct vhd *child, const struct cm_image_options *options, unsigned depth,
                    struct cm_image **parent)
{
    char *paths[CM_PARENT_PATHS];
    struct vhd_parent_names names;
    unsigned count;
    int is_other = 0, error;

    *parent = NULL;
    if (depth + 1 >= VHD_DEPTH_MAX)
        return cm_fail(CM_EDAMAGED,
                       "%s has more than %u parents below each other, or is its own parent.",
                       cm_store_path(child->store), VHD_DEPTH_MAX - 1);
    error = vhd_names_read(child->store, &child->header, &names);
    if (error != 0)
        return error;
    count = cm_parent_paths(cm_store_path(child->store), names.relative,
                            names.absolute != NULL ? names.absolute : names.name, paths);
    error = CM_ENOENT;
    for (unsigned i = 0; i < count && error == CM_ENOENT && *parent == NULL; i++)
        error = try_path(child, paths[i], options, depth, &is_other, parent);
    if (error == CM_ENOENT)
        error = missing(child, count > 0 ? paths[0] : NULL, is_other);
    for (unsigned i = 0; i < count; i++)
        free(paths[i]);
    vhd_names_free(&names);
    return error;
}

/* -- naming ------------------------------------------------------------------------------------ */

/* The footer of the file that is to be the parent. */
static int read_parent(const char *path, struct vhd_footer *footer)
{
    struct cm_image_options options = {.struct_size = sizeof(options), .flags = CM_OPEN_READ_ONLY};
    struct vhd_found found;
    struct cm_store *store;
    int error = cm_store_open(path, &options, &store);

    if (error != 0)
        return error;
    error = vhd_footer_find(store, footer, &found);
    cm_store_close(store);
    return error;
}

static int names_of(struct vhd_header *header, const char *child, const char *parent, uint64_t at,
                    struct vhd_locator_bytes *bytes)
{
    char full_child[PATH_SIZE], full_parent[PATH_SIZE];
    char *relative;
    int error = cm_os_full_path(child, full_child, sizeof(full_child));

    if (error == 0)
        error = cm_os_full_path(parent, full_parent, sizeof(full_parent));
    if (error != 0)
        return cm_fail(error, "the path of %s or of %s is too long.", child, parent);
    relative = cm_parent_relative(full_child, full_parent);
    error = vhd_names_make(header, relative != NULL ? relative : "", full_parent, at, bytes);
    free(relative);
    return error;
}

int vhd_parent_fill(struct vhd_header *header, const char *child, const char *parent, uint64_t at,
                    struct vhd_locator_bytes *bytes, struct vhd_footer *footer)
{
    int error = read_parent(parent, footer);

    memset(bytes, 0, sizeof(*bytes));
    if (error != 0)
        return error;
    memcpy(header->parent_id, footer->id, VHD_ID_SIZE);
    header->parent_time = footer->time;
    return names_of(header, child, parent, at, bytes);
}
