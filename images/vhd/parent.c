/* SPDX-License-Identifier: MIT */
/*
 * parent.c - the parent of a differencing VHD: found, checked and opened read-only, with its own parents; and named in the
 * header of a child that is made.
 *
 * Called when an image is opened, checked or made. It is the parent if it has the identity that the child names; a file of
 * the right name with another one was put there later, and what the child has would be laid over the wrong disk.
 *
 * That a parent was written to since, nobody can tell: its identity stays. The child has a time of it too, which is written
 * and not looked at: in some programs' images it is when the parent's file was last written to, which changes when the file is
 * copied, and in others, ours among them, when the parent was made, which never changes.
 */
#include <stdlib.h>
#include <string.h>

#include "images/vhd/map.h"
#include "lib/core/error_internal.h"
#include "lib/core/image_internal.h"
#include "lib/core/parent_find.h"
#include "lib/core/parent_path.h"

#define PATH_SIZE 4096u /* bytes */

/* -- opening ----------------------------------------------------------------------------------- */

static uint32_t flags_below(uint32_t flags)
{
    return CM_OPEN_READ_ONLY | (flags & (CM_OPEN_CACHED | CM_OPEN_UNCACHED));
}

struct wanted {
    const struct vhd *child;
    struct vhd_footer footer; /* of the file that was judged last */
};

static int judge(void *context, struct cm_store *file)
{
    struct wanted *wanted = context;
    struct vhd_found found;
    int error = vhd_footer_find(file, &wanted->footer, &found);

    if (error != 0 || memcmp(wanted->footer.id, wanted->child->header.parent_id, VHD_ID_SIZE) == 0)
        return error;
    return cm_fail(
        CM_EDAMAGED,
        "%s is not the parent that %s was made upon: it has another identity. Put the right one "
        "there; or, if both have the same content, \"coremnt rebase --trust\" the child.",
        cm_store_path(file), cm_store_path(wanted->child->store));
}

static int check_size(const struct wanted *wanted, const struct cm_store *parent)
{
    if (wanted->footer.size == wanted->child->size)
        return 0;
    return cm_fail(CM_EDAMAGED,
                   "%s, the parent of %s, is a disk of %llu bytes, and the child of %llu: one of "
                   "them was resized. Give the parent the child's size again.",
                   cm_store_path(parent), cm_store_path(wanted->child->store),
                   (unsigned long long)wanted->footer.size,
                   (unsigned long long)wanted->child->size);
}

int vhd_parent_find(const struct vhd *child, const struct cm_image_options *options, unsigned depth,
                    struct cm_store **parent)
{
    struct wanted wanted = {.child = child};
    struct cm_parent_search search = {.judge = judge, .context = &wanted};
    struct vhd_parent_names names;
    int error;

    *parent = NULL;
    search.child = cm_store_path(child->store);
    if (depth + 1 >= VHD_DEPTH_MAX)
        return cm_fail(CM_EDAMAGED,
                       "%s has more than %u parents below each other, or is its own parent.",
                       search.child, VHD_DEPTH_MAX - 1);
    error = vhd_names_read(child->store, &child->header, &names);
    if (error != 0)
        return error;
    search.relative = names.relative;
    search.absolute = names.absolute != NULL ? names.absolute : names.name;
    error = cm_parent_find(&search, options, parent);
    vhd_names_free(&names);
    if (error == 0)
        error = check_size(&wanted, *parent);
    if (error != 0) {
        cm_store_close(*parent);
        *parent = NULL;
    }
    return error;
}

int vhd_parent_open(const struct vhd *child, const struct cm_image_options *options, unsigned depth,
                    struct cm_image **parent)
{
    struct cm_image_options own = {.struct_size = sizeof(own),
                                   .flags = flags_below(options->flags)};
    struct cm_store *store;
    int error = vhd_parent_find(child, &own, depth, &store);

    *parent = NULL;
    if (error != 0)
        return error;
    error = vhd_open_at_depth(store, &own, depth + 1, parent);
    if (error != 0)
        cm_store_close(store);
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
