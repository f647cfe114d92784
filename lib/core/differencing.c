/* SPDX-License-Identifier: MIT */
/*
 * differencing.c - differencing images into their parents, and onto other ones: cm_image_commit() and cm_image_rebase() of
 * <coremnt/container.h>, and the copying that every format needs for them (differencing.h).
 *
 * Called by programs, on any thread, never while the image serves a disk. The file is opened here, so that nobody else
 * has it, and handed to the functions of its kind, which change names and identifiers in an order that a power cut may
 * interrupt anywhere.
 */
#include "lib/core/differencing.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/core/error_internal.h"
#include "lib/core/image_internal.h"
#include "lib/core/store.h"
#include "lib/core/zeros.h"

#define PIECE (1u << 20) /* bytes that are read at once */

struct copy {
    struct cm_image *child, *parent;
    uint64_t size;        /* bytes of the child */
    uint64_t parent_size; /* bytes; 0: there is none */
    uint32_t block_size;  /* bytes of the child's */
    uint32_t sector_size; /* bytes */
    const char *child_path, *parent_path;
    unsigned char *piece, *other;
    cm_progress *progress;
    void *context;
};

/* -- pieces ------------------------------------------------------------------------------------ */

static uint64_t smaller(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static int failed(int error, const char *action, const char *path, uint64_t offset)
{
    return cm_fail(error, "cannot %s %s at byte %llu: %s.", action, path,
                   (unsigned long long)offset, cm_error_name(error));
}

static int tell(const struct copy *c, uint64_t offset)
{
    if (c->progress == NULL || c->progress(c->context, offset, c->size) == 0)
        return 0;
    return cm_fail(CM_ECANCELED, "the work on %s was given up. Its content is what it was.",
                   c->child_path);
}

static int begin(struct copy *c)
{
    struct cm_image_info child = {0}, parent = {0};
    int error = cm_image_get_info(c->child, &child);

    if (error == 0 && c->parent != NULL)
        error = cm_image_get_info(c->parent, &parent);
    if (error != 0)
        return cm_fail(error, "the images cannot tell what they are: %s.", cm_error_name(error));
    c->size = child.size;
    c->parent_size = parent.size;
    c->block_size = child.block_size != 0 ? child.block_size : PIECE;
    c->sector_size = child.sector_size;
    c->child_path = child.path != NULL ? child.path : "the image";
    c->parent_path = parent.path != NULL ? parent.path : "its parent";
    c->piece = malloc(PIECE);
    c->other = malloc(PIECE);
    if (c->piece == NULL || c->other == NULL)
        return cm_fail(CM_ENOMEM, "no memory to copy from %s.", c->child_path);
    return 0;
}

static void end(struct copy *c)
{
    free(c->piece);
    free(c->other);
}

static int child_extent(const struct copy *c, uint64_t offset, struct cm_extent *extent)
{
    int error = cm_image_extent(c->child, offset, c->size - offset, extent);

    return error != 0 ? failed(error, "read", c->child_path, offset) : 0;
}

/* A piece of zeros is written where the image takes no trims, as one of fixed size does not. */
static int write_zeros(const struct copy *c, struct cm_image *image, uint64_t offset,
                       uint64_t length)
{
    int error = 0;

    memset(c->other, 0, PIECE);
    for (uint32_t part; length > 0 && error == 0; offset += part, length -= part) {
        part = (uint32_t)smaller(length, PIECE);
        error = cm_image_write(image, c->other, part, offset, 0);
    }
    return error;
}

static int make_zeros(const struct copy *c, struct cm_image *image, uint64_t offset,
                      uint64_t length)
{
    int error = cm_image_trim(image, offset, length);

    return error == CM_ENOTSUP ? write_zeros(c, image, offset, length) : error;
}

/* -- into the parent --------------------------------------------------------------------------- */

static int push_zeros(const struct copy *c, uint64_t offset, uint64_t length)
{
    int error = make_zeros(c, c->parent, offset, length);

    return error != 0 ? failed(error, "write", c->parent_path, offset) : 0;
}

static int push_piece(const struct copy *c, uint64_t offset, uint32_t length)
{
    int error = cm_image_read(c->child, c->piece, length, offset);

    if (error != 0)
        return failed(error, "read", c->child_path, offset);
    if (cm_is_zeros(c->piece, length))
        return push_zeros(c, offset, length);
    error = cm_image_write(c->parent, c->piece, length, offset, 0);
    return error != 0 ? failed(error, "write", c->parent_path, offset) : 0;
}

/* What the child has at `offset`; *length is how much was dealt with. */
static int push_next(const struct copy *c, uint64_t offset, uint64_t *length)
{
    struct cm_extent extent;
    int error = child_extent(c, offset, &extent);

    if (error != 0)
        return error;
    *length = extent.length;
    if (extent.depth > 0)
        return 0;
    if ((extent.flags & CM_EXTENT_ZERO) != 0)
        return push_zeros(c, offset, extent.length);
    *length = smaller(extent.length, PIECE - offset % PIECE);
    return push_piece(c, offset, (uint32_t)*length);
}

int cm_differencing_push(struct cm_image *child, struct cm_image *parent, cm_progress *progress,
                         void *context)
{
    struct copy c = {.child = child, .parent = parent, .progress = progress, .context = context};
    uint64_t offset = 0, length = 0;
    int error = begin(&c);

    while (error == 0 && offset < c.size) {
        error = push_next(&c, offset, &length);
        offset += length;
        if (error == 0)
            error = tell(&c, offset);
    }
    end(&c);
    return error;
}

/* -- from other parents ------------------------------------------------------------------------ */

static int parent_extent(const struct copy *c, uint64_t offset, uint64_t length,
                         struct cm_extent *extent)
{
    uint64_t left = offset < c->parent_size ? c->parent_size - offset : 0;
    int error = 0;

    *extent = (struct cm_extent){length, CM_EXTENT_ZERO, 0, CM_EXTENT_NO_PLACE};
    if (left > 0)
        error = cm_image_extent(c->parent, offset, smaller(length, left), extent);
    return error != 0 ? failed(error, "read", c->parent_path, offset) : 0;
}

static int read_both(const struct copy *c, uint64_t offset, uint32_t length)
{
    uint64_t left = offset < c->parent_size ? c->parent_size - offset : 0;
    uint32_t there = (uint32_t)smaller(left, length);
    int error = cm_image_read(c->child, c->piece, length, offset);

    if (error != 0)
        return failed(error, "read", c->child_path, offset);
    memset(c->other + there, 0, length - there);
    if (there > 0)
        error = cm_image_read(c->parent, c->other, there, offset);
    return error != 0 ? failed(error, "read", c->parent_path, offset) : 0;
}

/* Sectors from `at` on that are different, or that are the same. */
static uint32_t run_length(const struct copy *c, uint32_t at, uint32_t length, int *differ)
{
    uint32_t end = at;
    int now;

    *differ = memcmp(c->piece + at, c->other + at, c->sector_size) != 0;
    do {
        end += c->sector_size;
        now = end < length && memcmp(c->piece + end, c->other + end, c->sector_size) != 0;
    } while (end < length && now == *differ);
    return end - at;
}

static int pull_piece(const struct copy *c, uint64_t offset, uint32_t length)
{
    int error = read_both(c, offset, length);

    for (uint32_t at = 0; at < length && error == 0;) {
        int differ;
        uint32_t run = run_length(c, at, length, &differ);

        if (differ) {
            error = cm_image_write(c->child, c->piece + at, run, offset + at, 0);
            error = error != 0 ? failed(error, "write", c->child_path, offset + at) : 0;
        }
        at += run;
    }
    return error;
}

/* What reads as zeros, and perhaps not in the new parent. Whole blocks become zeros that take no space. */
static int pull_zeros(const struct copy *c, uint64_t offset, uint64_t *length)
{
    uint64_t into = offset % c->block_size;
    uint64_t whole = *length - *length % c->block_size;
    int error;

    if (into == 0 && *length == c->size - offset)
        whole = *length;
    if (into != 0 || whole == 0) {
        *length = smaller(smaller(*length, c->block_size - into), PIECE);
        return pull_piece(c, offset, (uint32_t)*length);
    }
    *length = whole;
    error = make_zeros(c, c->child, offset, whole);
    return error != 0 ? failed(error, "write", c->child_path, offset) : 0;
}

static int pull_next(const struct copy *c, uint64_t offset, uint64_t *length)
{
    struct cm_extent old, new = {0};
    int error = child_extent(c, offset, &old);

    *length = old.length;
    if (error != 0 || old.depth == 0)
        return error;
    if ((old.flags & CM_EXTENT_ZERO) == 0) {
        *length = smaller(old.length, PIECE - offset % PIECE);
        return pull_piece(c, offset, (uint32_t)*length);
    }
    error = parent_extent(c, offset, old.length, &new);
    *length = new.length;
    if (error != 0 || (new.flags &CM_EXTENT_ZERO) != 0)
        return error;
    return pull_zeros(c, offset, length);
}

int cm_differencing_pull(struct cm_image *child, struct cm_image *parent, cm_progress *progress,
                         void *context)
{
    struct copy c = {.child = child, .parent = parent, .progress = progress, .context = context};
    uint64_t offset = 0, length = 0;
    int error = begin(&c);

    while (error == 0 && offset < c.size) {
        error = pull_next(&c, offset, &length);
        offset += length;
        if (error == 0)
            error = tell(&c, offset);
    }
    end(&c);
    return error;
}

int cm_differencing_fit(struct cm_image *child, struct cm_image *parent)
{
    struct cm_image_info of_child, of_parent;
    int error = cm_image_get_info(child, &of_child);

    if (error == 0)
        error = cm_image_get_info(parent, &of_parent);
    if (error != 0)
        return cm_fail(error, "the images cannot tell what they are: %s.", cm_error_name(error));
    if (of_parent.sector_size != of_child.sector_size)
        return cm_fail(CM_EINVAL,
                       "%s has sectors of %u bytes and %s of %u: only an image with the same can "
                       "be its parent.",
                       of_child.path, (unsigned)of_child.sector_size, of_parent.path,
                       (unsigned)of_parent.sector_size);
    if (of_parent.size > of_child.size)
        return cm_fail(CM_EINVAL,
                       "%s is a disk of %llu bytes and %s of %llu: a parent cannot be larger than "
                       "its child.",
                       of_child.path, (unsigned long long)of_child.size, of_parent.path,
                       (unsigned long long)of_parent.size);
    return 0;
}

/* -- the calls --------------------------------------------------------------------------------- */

static int open_container(const char *spec, struct cm_image_place *place, struct cm_store **store)
{
    struct cm_image_options open = {.struct_size = sizeof(open)};
    int error = cm_image_place(spec, place);

    if (error != 0)
        return error;
    if (place->container == NULL)
        return cm_fail(CM_EINVAL, "%s is an image of the kind %s, which has no parent.", spec,
                       place->kind);
    if (place->container->commit == NULL || place->container->rebase == NULL)
        return cm_fail(CM_ENOTSUP, "the parents of images of the kind %s cannot be changed yet.",
                       place->kind);
    return cm_store_open(place->path, &open, store);
}

int cm_image_commit(const char *spec, cm_progress *progress, void *context)
{
    struct cm_image_place place;
    struct cm_store *store;
    int error = open_container(spec, &place, &store);

    if (error != 0)
        return error;
    error = place.container->commit(store, progress, context);
    cm_store_close(store);
    return error;
}

static int try_parent(const char *kind, const char *parent)
{
    struct cm_image_options open = {.struct_size = sizeof(open), .flags = CM_OPEN_READ_ONLY};
    size_t size = strlen(kind) + 1 + strlen(parent) + 1;
    char *spec = malloc(size);
    struct cm_image *image;
    int error;

    if (spec == NULL)
        return cm_fail(CM_ENOMEM, "no memory to open %s.", parent);
    snprintf(spec, size, "%s:%s", kind, parent);
    error = cm_image_open_inner(spec, &open, &image);
    free(spec);
    if (error == 0)
        cm_image_discard(image);
    return error;
}

/* While this image is held for writing its parent-to-be opens, unless it is this image, or has it among its parents: then
 * it opens only when this one is let go. *store is NULL after that. */
static int refuse_circle(const struct cm_image_place *place, const char *parent,
                         struct cm_store **store)
{
    char reason[1024];
    int error = try_parent(place->kind, parent);

    if (error != CM_EBUSY)
        return error;
    snprintf(reason, sizeof(reason), "%s", cm_last_error());
    cm_store_close(*store);
    *store = NULL;
    if (try_parent(place->kind, parent) != 0)
        return cm_fail(CM_EBUSY, "%s", reason);
    return cm_fail(CM_EINVAL,
                   "%s cannot be the parent of %s: it is that image, or has it among its parents.",
                   parent, place->path);
}

int cm_image_rebase(const char *spec, const char *parent, uint32_t flags, cm_progress *progress,
                    void *context)
{
    struct cm_image_place place;
    struct cm_store *store = NULL;
    int error;

    if ((flags & ~CM_REBASE_TRUST) != 0)
        return cm_fail(CM_EINVAL, "unknown flags to rebase an image: 0x%x.", (unsigned)flags);
    if (parent == NULL && flags != 0)
        return cm_fail(CM_EINVAL, "an image can do without a parent only when it has taken what it "
                                  "had from its parents.");
    error = open_container(spec, &place, &store);
    if (error == 0 && parent != NULL)
        error = cm_image_parent_path(place.container, parent, &parent);
    if (error == 0 && parent != NULL)
        error = refuse_circle(&place, parent, &store);
    if (error == 0)
        error = place.container->rebase(store, parent, flags, progress, context);
    cm_store_close(store);
    return error;
}
