/* SPDX-License-Identifier: MIT */
/*
 * resize.c - another size for the disk of a VHDX image.
 *
 * A callback of the image, one at a time, while requests within both sizes go on. The size is a number in the metadata,
 * which one entry of the log changes, so a power cut leaves the old size or the new one. All that the new size needs is
 * done before that: behind the end of the disk nobody sees it. What the old size needed is given up after it.
 *
 *      grow      entries of the BAT behind the end say nothing, the rest of the last block is zeros, the BAT has room
 *                (or moves to where there is, which is a change of its own), in a fixed image blocks have theirs; the size
 *      shrink    the size; blocks behind it give up their room
 */
#include <stdlib.h>
#include <string.h>

#include "images/vhdx/disk.h"
#include "lib/core/bytes.h"
#include "lib/core/error_internal.h"

#include <coremnt/error.h>

/* -- pages of the file, as the leader, while nobody else changes the map ----------------------- */

/* A step. */
static int set_size(struct vhdx *v, uint64_t size)
{
    uint64_t at = v->metadata.disk_size_at;
    struct vhdx_page *page;
    int error = vhdx_page_get(v, at & ~(uint64_t)(VHDX_SECTOR - 1), &page);

    if (error != 0)
        return error;
    cm_put_le64(page->bytes + at % VHDX_SECTOR, size);
    vhdx_page_dirty(v, page);
    return 0;
}

/* A step: both region tables. All pages are fetched before the first is changed. */
static int set_regions(struct vhdx *v, const unsigned char *table)
{
    struct vhdx_page *page;
    int error = 0;

    for (uint32_t at = 0; at < 2 * VHDX_REGIONS_SIZE && error == 0; at += VHDX_SECTOR)
        error = vhdx_page_get(v, VHDX_REGIONS_AT(0) + at, &page);
    for (uint32_t at = 0; at < 2 * VHDX_REGIONS_SIZE && error == 0; at += VHDX_SECTOR) {
        const unsigned char *bytes = table + at % VHDX_REGIONS_SIZE;

        error = vhdx_page_get(v, VHDX_REGIONS_AT(0) + at, &page);
        if (error == 0 && memcmp(page->bytes, bytes, VHDX_SECTOR) != 0) {
            memcpy(page->bytes, bytes, VHDX_SECTOR);
            vhdx_page_dirty(v, page);
        }
    }
    return error;
}

/* If it cannot be logged, the pages are as they were, and the next commit logs that. */
static int publish_size(struct vhdx *v, uint64_t size)
{
    uint64_t before = v->metadata.disk_size;
    int error;

    while ((error = set_size(v, size)) == VHDX_AGAIN)
        ;
    if (error == 0)
        error = vhdx_commit_now(v);
    if (error == 0)
        v->metadata.disk_size = size;
    else
        (void)set_size(v, before);
    return error;
}

static int publish_regions(struct vhdx *v, const struct vhdx_regions *regions,
                           unsigned char tables[2][VHDX_REGIONS_SIZE])
{
    int error = vhdx_regions_make(v->file, regions, tables[0]);

    if (error == 0)
        error = vhdx_regions_make(v->file, &v->regions, tables[1]);
    while (error == 0 && (error = set_regions(v, tables[0])) == VHDX_AGAIN)
        error = 0;
    if (error != 0)
        return error;
    error = vhdx_commit_now(v);
    if (error == 0)
        v->regions = *regions;
    else
        (void)set_regions(v, tables[1]);
    return error;
}

/* -- a larger BAT ------------------------------------------------------------------------------ */

static int copy_table(struct vhdx *v, const struct vhdx_region *from, const struct vhdx_region *to)
{
    unsigned char *buffer = malloc(VHDX_MIB);
    int error = buffer == NULL ? CM_ENOMEM : 0;

    for (uint32_t done = 0; done < from->size && error == 0; done += VHDX_MIB) {
        error = cm_store_read(v->file, buffer, VHDX_MIB, from->at + done);
        if (error == 0)
            error = cm_store_write(v->file, buffer, VHDX_MIB, to->at + done);
    }
    free(buffer);
    return error;
}

/* With nothing dirty and all in its place, so that the file has the whole table. The lock is let go for the copy: the table
 * does not change. */
static int move_table(struct vhdx *v, uint64_t entries)
{
    struct vhdx_regions regions = v->regions;
    struct vhdx_region old = v->regions.bat;
    uint64_t size = (entries * 8 + VHDX_MIB - 1) & VHDX_PLACE_MASK;
    unsigned char(*tables)[VHDX_REGIONS_SIZE] = malloc(2 * sizeof(*tables));
    int error = tables == NULL ? CM_ENOMEM : vhdx_space_take(v, size, &regions.bat.at);

    regions.bat.size = (uint32_t)size; /* of 64 TiB: 514 MiB */
    if (error == 0) {
        cm_os_mutex_unlock(&v->lock);
        error = copy_table(v, &old, &regions.bat);
        cm_os_mutex_lock(&v->lock);
    }
    if (error == 0)
        error = vhdx_commit_flush(v);
    if (error == 0)
        error = publish_regions(v, &regions, tables);
    free(tables);
    if (error != 0)
        return error;
    vhdx_pages_forget(v, old.at, old.size);
    vhdx_space_free(v, old.at, old.size);
    return 0;
}

/* -- growing ----------------------------------------------------------------------------------- */

/* What is there of the entries that the disk gets: another program, or a larger disk before, may have left anything. */
static int clear_entries(struct vhdx *v, uint64_t from, uint64_t to)
{
    uint64_t room = v->regions.bat.size / 8;
    int error = 0;

    to = to < room ? to : room;
    while (from < to && error == 0) {
        error = vhdx_map_clear(v, from, to, &from);
        if (error == 0 && v->pages.dirty_count + VHDX_STEP_MAX > VHDX_DIRTY_MAX)
            error = vhdx_commit_now(v);
        if (error == VHDX_AGAIN)
            error = 0;
    }
    return error;
}

static int fill_block(struct vhdx *v, uint64_t block)
{
    uint64_t at;
    int error;

    while ((error = vhdx_map_fill(v, block, &at)) == VHDX_AGAIN)
        ;
    if (error == 0 && v->pages.dirty_count + VHDX_STEP_MAX > VHDX_DIRTY_MAX)
        error = vhdx_commit_now(v);
    if (error != 0)
        return error;
    cm_os_mutex_unlock(&v->lock);
    error = cm_store_reserve(v->file, at, v->metadata.block_size);
    cm_os_mutex_lock(&v->lock);
    return error;
}

static int grow(struct vhdx *v, uint64_t size)
{
    struct vhdx_metadata metadata = v->metadata;
    uint64_t block = vhdx_map_blocks(v);
    int error = clear_entries(v, vhdx_bat_entries(&v->metadata), UINT64_MAX);

    metadata.disk_size = size;
    if (error == 0)
        error = vhdx_commit_all(v);
    if (error == 0 && vhdx_bat_entries(&metadata) > v->regions.bat.size / 8)
        error = move_table(v, vhdx_bat_entries(&metadata));
    for (; error == 0 && v->metadata.is_fixed && block < (size - 1) / metadata.block_size + 1;
         block++)
        error = fill_block(v, block);
    return error == 0 ? publish_size(v, size) : error;
}

/* -- both -------------------------------------------------------------------------------------- */

static int check(const struct vhdx *v, uint64_t size)
{
    if (size > VHDX_DISK_MAX)
        return cm_fail(CM_EINVAL, "%s cannot be larger: a VHDX has at most 64 TiB.",
                       cm_store_path(v->file));
    /* what is beyond the end would be the parent's when it grows again */
    if (size < v->metadata.disk_size && v->parent != NULL)
        return cm_fail(CM_ENOTSUP, "%s cannot become smaller: it has a parent.",
                       cm_store_path(v->file));
    /* ours never do */
    if (v->metadata.disk_size_at % VHDX_SECTOR > VHDX_SECTOR - 8)
        return cm_fail(
            CM_ENOTSUP,
            "the size of %s lies across two pages of its metadata. Convert it to a new image.",
            cm_store_path(v->file));
    return 0;
}

static int change(struct vhdx *v, uint64_t size)
{
    int error;

    cm_os_mutex_lock(&v->lock);
    while ((error = vhdx_session_begin(v)) == VHDX_AGAIN)
        ;
    vhdx_commit_enter(v);
    v->commit.is_frozen = 1;
    if (error == 0)
        error = size > v->metadata.disk_size ? grow(v, size) : publish_size(v, size);
    v->commit.is_frozen = 0;
    vhdx_commit_leave(v);
    cm_os_mutex_unlock(&v->lock);
    return error;
}

int vhdx_resize(void *context, uint64_t size)
{
    struct vhdx *v = context;
    uint64_t before = v->metadata.disk_size;
    uint64_t blocks = vhdx_map_blocks(v);
    uint64_t tail = blocks * v->metadata.block_size;
    int error = size == before ? 0 : check(v, size);

    if (error != 0 || size == before)
        return error;
    if (size > before)
        error = vhdx_io_zero_tail(v, before, tail < size ? tail : size);
    if (error == 0)
        error = change(v, size);
    if (error == 0 && size < before) /* what fails is waste, until the image is compacted */
        (void)vhdx_io_give_up(v, vhdx_map_blocks(v), blocks);
    return error;
}
