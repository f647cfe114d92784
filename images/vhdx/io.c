/* SPDX-License-Identifier: MIT */
/*
 * io.c - reads, writes and trims of a VHDX image.
 *
 * The callbacks of the image: hot, on many threads at once. A request is cut where blocks end. For each part its place is
 * looked up under the lock; then the payload is read or written without it, and `vhdx_space_use` keeps the place from
 * being given to another block meanwhile.
 *
 *      a block that is here               its place is read or written
 *      one that reads as zeros            a write takes room for it, which reads as zeros: zeros are not written at all
 *      one that is in the parent          a write takes room and a bitmap; its sectors are here once they are written
 */
#include <string.h>

#include "images/vhdx/disk.h"
#include "lib/core/zeros.h"

#include <coremnt/error.h>

enum source { IN_FILE, IN_PARENT, NOWHERE };

/* A part of a request, within a block. */
struct part {
    uint64_t block;
    uint64_t offset; /* of the disk */
    uint32_t into;   /* bytes of the block before it */
    uint32_t length;
    enum source source;
    uint64_t at;      /* of the file, if it is there */
    unsigned slot;    /* of vhdx_space_use() */
    int mark_here;    /* written sectors are to be marked as here */
    int is_zeros;     /* what is written */
    int is_all_below; /* nothing of the block is here */
    int must_log;     /* the map must be logged before the write is answered */
};

static struct part part_at(const struct vhdx *v, uint64_t offset, uint64_t length)
{
    struct part part = {.offset = offset, .source = NOWHERE};
    uint32_t left;

    part.block = offset >> v->block_shift;
    part.into = (uint32_t)(offset & (v->metadata.block_size - 1));
    left = v->metadata.block_size - part.into;
    part.length = length < left ? (uint32_t)length : left;
    return part;
}

static int reads_parent(const struct vhdx *v, const struct vhdx_where *where)
{
    return v->parent != NULL && where->state == VHDX_NOT_PRESENT;
}

/* -- reading ----------------------------------------------------------------------------------- */

static int find_sectors(struct vhdx *v, struct part *part, uint64_t block_at)
{
    uint32_t sector_size = v->metadata.sector_size;
    uint32_t alike = 0;
    int is_here = 0;
    int error = vhdx_map_sectors(v, part->offset / sector_size, part->length / sector_size,
                                 &is_here, &alike);

    part->length = error == 0 ? alike * sector_size : part->length;
    part->source = is_here ? IN_FILE : IN_PARENT;
    part->at = block_at + part->into;
    return error;
}

/* A step: where the beginning of the part is; it is cut where that ends. */
static int find(struct vhdx *v, struct part *part)
{
    struct vhdx_where where;
    int error = vhdx_map_get(v, part->block, &where);

    if (error != 0)
        return error;
    if (where.state == VHDX_PARTLY_PRESENT)
        return find_sectors(v, part, where.at);
    part->source = reads_parent(v, &where) ? IN_PARENT : NOWHERE;
    if (where.state == VHDX_PRESENT) {
        part->source = IN_FILE;
        part->at = where.at + part->into;
    }
    return 0;
}

static int look_up(struct vhdx *v, struct part *part)
{
    int error;

    cm_os_mutex_lock(&v->lock);
    do
        error = find(v, part);
    while (error == VHDX_AGAIN);
    if (error == 0 && part->source == IN_FILE)
        part->slot = vhdx_space_use(v);
    cm_os_mutex_unlock(&v->lock);
    return error;
}

/* A parent may be smaller than its child: beyond its end it is zeros. */
static int read_parent(struct vhdx *v, unsigned char *buffer, uint32_t length, uint64_t offset)
{
    uint32_t there = length;

    if (offset >= v->parent_size)
        there = 0;
    else if (length > v->parent_size - offset)
        there = (uint32_t)(v->parent_size - offset);
    memset(buffer + there, 0, length - there);
    return there > 0 ? cm_image_read(v->parent, buffer, there, offset) : 0;
}

static int read_part(struct vhdx *v, unsigned char *buffer, struct part *part)
{
    int error = look_up(v, part);

    if (error != 0)
        return error;
    if (part->source == IN_PARENT)
        return read_parent(v, buffer, part->length, part->offset);
    if (part->source == NOWHERE) {
        memset(buffer, 0, part->length);
        return 0;
    }
    error = cm_store_read(v->view, buffer, part->length, part->at);
    vhdx_space_unuse(v, part->slot);
    return error;
}

int vhdx_io_read(void *context, void *buffer, uint32_t length, uint64_t offset)
{
    struct vhdx *v = context;
    unsigned char *to = buffer;
    int error = 0;

    while (length > 0 && error == 0) {
        struct part part = part_at(v, offset, length);

        error = read_part(v, to, &part);
        to += part.length;
        offset += part.length;
        length -= part.length;
    }
    return error;
}

/* -- writing ----------------------------------------------------------------------------------- */

/* A block that is not here gets room. In a differencing image its bitmap says that none of its sectors is here. */
static int take_room(struct vhdx *v, struct part *part, const struct vhdx_where *where)
{
    int from_parent = reads_parent(v, where);
    uint64_t at;
    int error = vhdx_change_begin(v);

    if (error == 0 && from_parent)
        error = vhdx_map_make_bitmap(v, part->block);
    if (error == 0)
        error = vhdx_space_take(v, v->metadata.block_size, &at);
    if (error == 0)
        error = vhdx_map_set(v, part->block, from_parent ? VHDX_PARTLY_PRESENT : VHDX_PRESENT, at);
    if (error != 0)
        return error;
    part->source = IN_FILE;
    part->at = at + part->into;
    part->mark_here = from_parent;
    part->must_log = 1;
    return 0;
}

/* A step: where the part is to be written. */
static int prepare(struct vhdx *v, struct part *part)
{
    struct vhdx_where where;
    int error = vhdx_map_get(v, part->block, &where);

    if (error != 0)
        return error;
    if (where.state != VHDX_PRESENT && where.state != VHDX_PARTLY_PRESENT) {
        part->source = NOWHERE;
        part->must_log = where.is_dirty; /* it may be zeros since a moment ago */
        if (part->is_zeros && !reads_parent(v, &where))
            return 0;
        return take_room(v, part, &where);
    }
    part->source = IN_FILE;
    part->at = where.at + part->into;
    part->mark_here = where.state == VHDX_PARTLY_PRESENT;
    part->must_log = where.is_dirty;
    return vhdx_session_begin(v);
}

/* Those that were written before: most of them, in a block that is in use. */
static int are_marked(struct vhdx *v, const struct part *part, int *are_here)
{
    uint32_t sector_size = v->metadata.sector_size;
    uint64_t sector = part->offset / sector_size;
    uint64_t end = sector + part->length / sector_size;
    uint32_t alike = 0;
    int error = 0;

    *are_here = 1;
    for (; sector < end && *are_here && error == 0; sector += alike)
        error = vhdx_map_sectors(v, sector, (uint32_t)(end - sector), are_here, &alike);
    return error;
}

/* Sectors that have been written are here; a block that was written at once is here as a whole. If the block was trimmed
 * meanwhile, the trim came last. */
static int mark_step(struct vhdx *v, const struct part *part)
{
    uint32_t sector_size = v->metadata.sector_size;
    struct vhdx_where where;
    int are_here = 0;
    int error = vhdx_map_get(v, part->block, &where);

    if (error != 0)
        return error;
    if (where.state != VHDX_PARTLY_PRESENT || where.at + part->into != part->at)
        return 0;
    if (part->length < v->metadata.block_size)
        error = are_marked(v, part, &are_here);
    if (error != 0 || are_here)
        return error;
    error = vhdx_change_begin(v);
    if (error == 0 && part->length == v->metadata.block_size)
        error = vhdx_map_set(v, part->block, VHDX_PRESENT, where.at);
    else if (error == 0)
        error = vhdx_map_set_sectors(v, part->offset / sector_size, part->length / sector_size, 1);
    if (error == 0)
        v->commit.data_first = 1;
    return error;
}

static int mark_here(struct vhdx *v, const struct part *part)
{
    int error;

    cm_os_mutex_lock(&v->lock);
    do
        error = mark_step(v, part);
    while (error == VHDX_AGAIN);
    cm_os_mutex_unlock(&v->lock);
    return error;
}

static int find_place(struct vhdx *v, struct part *part)
{
    int error;

    cm_os_mutex_lock(&v->lock);
    do
        error = prepare(v, part);
    while (error == VHDX_AGAIN);
    if (error == 0 && part->source == IN_FILE)
        part->slot = vhdx_space_use(v);
    cm_os_mutex_unlock(&v->lock);
    return error;
}

/* The place of a part that is marked stays in use until it is marked: or its block could be trimmed, and another be in the
 * same place. */
static int write_part(struct vhdx *v, const unsigned char *from, struct part *part)
{
    int error;

    part->is_zeros = cm_is_zeros(from, part->length);
    error = find_place(v, part);
    if (error != 0 || part->source == NOWHERE)
        return error;
    error = cm_store_write(v->file, from, part->length, part->at);
    if (error == 0 && part->mark_here)
        error = mark_here(v, part);
    vhdx_space_unuse(v, part->slot);
    return error;
}

/* What changed the map outlives this process before it is answered; see commit.c. */
static int finish(struct vhdx *v, int must_log)
{
    return must_log && !v->is_volatile ? vhdx_commit(v, VHDX_LOGGED) : 0;
}

int vhdx_io_write(void *context, const void *buffer, uint32_t length, uint64_t offset,
                  uint32_t flags)
{
    struct vhdx *v = context;
    const unsigned char *from = buffer;
    int must_log = 0;
    int error = 0;

    while (length > 0 && error == 0) {
        struct part part = part_at(v, offset, length);

        error = write_part(v, from, &part);
        must_log |= part.must_log;
        from += part.length;
        offset += part.length;
        length -= part.length;
    }
    if (error == 0 && (flags & CM_IMAGE_FUA) != 0)
        return vhdx_commit(v, VHDX_DURABLE);
    return error == 0 ? finish(v, must_log) : error;
}

/* -- trimming ---------------------------------------------------------------------------------- */

#define ZEROS_SIZE 65536u

/* Through the map, because what is in the parent has to be covered. */
static int write_zeros(struct vhdx *v, struct part *part)
{
    static const unsigned char zeros[ZEROS_SIZE];
    uint64_t end = part->offset + part->length;
    uint64_t offset = part->offset;
    int error = 0;

    while (offset < end && error == 0) {
        struct part piece =
            part_at(v, offset, end - offset < ZEROS_SIZE ? end - offset : ZEROS_SIZE);

        error = write_part(v, zeros, &piece);
        part->must_log |= piece.must_log;
        offset += piece.length;
    }
    return error;
}

/* Whether the parent has only zeros there: then nothing has to be covered. */
static int is_zeros_below(struct vhdx *v, const struct part *part)
{
    uint64_t end = part->offset + part->length;
    uint64_t offset = part->offset;

    end = end < v->parent_size ? end : v->parent_size;
    while (offset < end) {
        struct cm_extent extent;

        if (cm_image_extent(v->parent, offset, end - offset, &extent) != 0 ||
            (extent.flags & CM_EXTENT_ZERO) == 0)
            return 0;
        offset += extent.length;
    }
    return 1;
}

/* A step: whether the part lies in the file as a whole, in part, or nowhere. */
static int find_covered(struct vhdx *v, struct part *part)
{
    struct vhdx_where where;
    int error = vhdx_map_get(v, part->block, &where);

    if (error != 0)
        return error;
    part->source = NOWHERE;
    part->must_log = where.is_dirty;
    if (where.state == VHDX_PARTLY_PRESENT || reads_parent(v, &where))
        part->source = IN_PARENT;
    part->is_all_below = reads_parent(v, &where);
    if (where.state != VHDX_PRESENT)
        return 0;
    part->source = IN_FILE;
    part->at = where.at + part->into;
    error = vhdx_session_begin(v);
    if (error == 0)
        part->slot = vhdx_space_use(v);
    return error;
}

/* A part of a block. */
static int zero_part(struct vhdx *v, struct part *part)
{
    int error;

    cm_os_mutex_lock(&v->lock);
    do
        error = find_covered(v, part);
    while (error == VHDX_AGAIN);
    cm_os_mutex_unlock(&v->lock);
    if (error != 0 || part->source == NOWHERE)
        return error;
    if (part->source == IN_PARENT)
        return part->is_all_below && is_zeros_below(v, part) ? 0 : write_zeros(v, part);
    error = cm_store_zero(v->file, part->at, part->length);
    vhdx_space_unuse(v, part->slot);
    return error;
}

/* What a block is that has no room and reads as zeros. ZERO and not UNMAPPED where there is a parent: of that, readers
 * agree that it hides the parent. Behind the end of the disk an entry says nothing. */
static enum vhdx_state zeros_state(const struct vhdx *v, uint64_t block)
{
    if (block >= vhdx_map_blocks(v))
        return VHDX_NOT_PRESENT;
    return v->parent != NULL ? VHDX_ZERO : VHDX_UNMAPPED;
}

/* A step: the block has no room any more and reads as zeros. */
static int unmap(struct vhdx *v, struct part *part)
{
    struct vhdx_where where;
    int error = vhdx_map_get(v, part->block, &where);

    if (error != 0)
        return error;
    if (where.at == 0 && !reads_parent(v, &where)) {
        part->must_log = where.is_dirty;
        return 0;
    }
    error = vhdx_change_begin(v);
    if (error == 0)
        error = vhdx_map_set(v, part->block, zeros_state(v, part->block), 0);
    if (error != 0)
        return error;
    if (where.at != 0)
        vhdx_space_free(v, where.at, v->metadata.block_size);
    part->must_log = 1;
    return 0;
}

static int unmap_part(struct vhdx *v, struct part *part)
{
    int error;

    cm_os_mutex_lock(&v->lock);
    do
        error = unmap(v, part);
    while (error == VHDX_AGAIN);
    cm_os_mutex_unlock(&v->lock);
    return error;
}

static uint64_t disk_size(struct vhdx *v)
{
    uint64_t size;

    cm_os_mutex_lock(&v->lock);
    size = v->metadata.disk_size;
    cm_os_mutex_unlock(&v->lock);
    return size;
}

int vhdx_io_trim(void *context, uint64_t offset, uint64_t length)
{
    struct vhdx *v = context;
    uint64_t size = disk_size(v);
    int must_log = 0;
    int error = 0;

    while (length > 0 && error == 0) {
        struct part part = part_at(v, offset, length);
        int is_whole = part.into == 0 &&
                       (part.length == v->metadata.block_size || part.offset + part.length == size);

        error = is_whole ? unmap_part(v, &part) : zero_part(v, &part);
        must_log |= part.must_log;
        offset += part.length;
        length -= part.length;
    }
    return error == 0 ? finish(v, must_log) : error;
}

/* -- behind the end ---------------------------------------------------------------------------- */

int vhdx_io_give_up(struct vhdx *v, uint64_t block, uint64_t end)
{
    int error = 0;

    for (; block < end && error == 0; block++) {
        struct part part = {.block = block};

        error = unmap_part(v, &part);
    }
    return error;
}

int vhdx_io_zero_tail(struct vhdx *v, uint64_t from, uint64_t to)
{
    struct part part = part_at(v, from, to - from);

    return from < to ? zero_part(v, &part) : 0;
}

/* -- extents ----------------------------------------------------------------------------------- */

static int same_extent(const struct part *first, const struct part *next)
{
    return next->source == first->source &&
           (first->source != IN_FILE || next->at - first->at == next->offset - first->offset);
}

/* Parts that are alike, up to so many: the caller asks again from there. */
#define EXTENT_PARTS 4096u

static int find_extent(struct vhdx *v, uint64_t offset, uint64_t length, struct part *first,
                       uint64_t *alike)
{
    int error;

    *first = part_at(v, offset, length);
    cm_os_mutex_lock(&v->lock);
    do
        error = find(v, first);
    while (error == VHDX_AGAIN);
    *alike = first->length;
    for (unsigned i = 0; i < EXTENT_PARTS && error == 0 && *alike < length; i++) {
        struct part next = part_at(v, offset + *alike, length - *alike);

        do
            error = find(v, &next);
        while (error == VHDX_AGAIN);
        if (error != 0 || !same_extent(first, &next)) {
            error = 0; /* of the next part: that is said to who asks for it */
            break;
        }
        *alike += next.length;
    }
    cm_os_mutex_unlock(&v->lock);
    return error;
}

static int parent_extent(struct vhdx *v, uint64_t offset, uint64_t length, struct cm_extent *extent)
{
    uint64_t left = offset < v->parent_size ? v->parent_size - offset : 0;
    int error = 0;

    *extent = (struct cm_extent){length, CM_EXTENT_ZERO, 0, CM_EXTENT_NO_PLACE};
    if (left > 0)
        error = cm_image_extent(v->parent, offset, length < left ? length : left, extent);
    extent->depth++;
    return error;
}

int vhdx_io_extent(void *context, uint64_t offset, uint64_t length, struct cm_extent *extent)
{
    struct vhdx *v = context;
    struct part first;
    uint64_t alike;
    int error = find_extent(v, offset, length, &first, &alike);

    if (error != 0)
        return error;
    if (first.source == IN_PARENT)
        return parent_extent(v, offset, alike, extent);
    *extent = (struct cm_extent){alike, CM_EXTENT_ZERO, 0, CM_EXTENT_NO_PLACE};
    if (first.source == IN_FILE) {
        extent->flags = CM_EXTENT_ALLOCATED;
        extent->place = first.at;
    }
    return 0;
}
