/* SPDX-License-Identifier: MIT */
/*
 * resize.c - another size for the disk of a VHDX image.
 *
 * A callback of the image, one at a time, while requests within both sizes go on. The size is a number in the metadata; if
 * the BAT is too short for the new one it moves to the end of the file, and the region tables say so. All of that is one
 * entry of the log, so a power cut leaves the old size or the new one.
 */
#include <stdlib.h>
#include <string.h>

#include "images/vhdx/disk.h"
#include "lib/core/bytes.h"
#include "lib/core/error_internal.h"

#include <coremnt/error.h>

/* -- shrinking --------------------------------------------------------------------------------- */

/* What lies beyond the new end is given up: if the disk grows again it is zeros. */
static int cut(struct vhdx *v, uint64_t size)
{
    if (v->parent != NULL)
        return CM_ENOTSUP; /* what is beyond the end would be the parent's when it grows again */
    return vhdx_io_trim(v, size, v->metadata.disk_size - size);
}

/* -- growing ----------------------------------------------------------------------------------- */

static int copy_table(struct vhdx *v, const struct vhdx_region *from, const struct vhdx_region *to)
{
    unsigned char buffer[16 * VHDX_SECTOR];
    int error = 0;

    for (uint32_t done = 0; done < from->size && error == 0; done += sizeof(buffer)) {
        error = cm_store_read(v->file, buffer, sizeof(buffer), from->at + done);
        if (error == 0)
            error = cm_store_write(v->file, buffer, sizeof(buffer), to->at + done);
    }
    return error;
}

/* As the leader, with nothing dirty: a larger BAT elsewhere, whose place the region tables do not say yet. */
static int make_table(struct vhdx *v, uint64_t entries, struct vhdx_region *table)
{
    uint64_t size = (entries * 8 + VHDX_MIB - 1) & VHDX_PLACE_MASK;
    int error;

    if (size > UINT32_MAX)
        return CM_EINVAL;
    table->size = (uint32_t)size;
    error = vhdx_space_take(v, size, &table->at);
    if (error == 0)
        error = copy_table(v, &v->regions.bat, table);
    if (error == 0)
        error = cm_store_flush(v->file);
    return error;
}

/* A step: both region tables as pages. They are all fetched before the first is changed. */
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

/* A step. The number does not lie across two pages: metadata items of ours do not, and others' are checked. */
static int set_size(struct vhdx *v, uint64_t size)
{
    struct vhdx_page *page;
    uint64_t at = v->metadata.disk_size_at;
    int error;

    if (at % VHDX_SECTOR > VHDX_SECTOR - 8)
        return CM_ENOTSUP;
    error = vhdx_page_get(v, at & ~(uint64_t)(VHDX_SECTOR - 1), &page);
    if (error != 0)
        return error;
    cm_put_le64(page->bytes + at % VHDX_SECTOR, size);
    vhdx_page_dirty(v, page);
    return 0;
}

/* As the leader. What is there of the two changes goes into the log together, or not at all: if it cannot, nothing goes
 * there any more. */
static int publish(struct vhdx *v, const unsigned char *table, uint64_t size)
{
    int error = 0;

    do
        error = table != NULL ? set_regions(v, table) : 0;
    while (error == VHDX_AGAIN);
    while (error == 0 && (error = set_size(v, size)) == VHDX_AGAIN)
        error = 0;
    if (error == 0)
        error = vhdx_commit_all(v);
    if (error != 0)
        v->commit.flush_error = error;
    return error;
}

/* As the leader, while nobody else changes the map: the new table, the new size, durable. */
static int change(struct vhdx *v, uint64_t size)
{
    struct vhdx_metadata metadata = v->metadata;
    struct vhdx_regions regions = v->regions;
    unsigned char *table = NULL;
    int error = vhdx_commit_all(v);

    metadata.disk_size = size;
    if (error == 0 && vhdx_bat_entries(&metadata) > regions.bat.size / 8) {
        table = malloc(VHDX_REGIONS_SIZE);
        error =
            table == NULL ? CM_ENOMEM : make_table(v, vhdx_bat_entries(&metadata), &regions.bat);
        if (error == 0)
            error = vhdx_regions_make(v->file, &regions, table);
    }
    if (error == 0)
        error = publish(v, table, size);
    if (error == 0 && table != NULL) {
        vhdx_pages_forget(v, v->regions.bat.at, v->regions.bat.size);
        vhdx_space_free(v, v->regions.bat.at, v->regions.bat.size);
    }
    free(table);
    if (error != 0)
        return error;
    v->regions = regions;
    v->metadata.disk_size = size;
    return 0;
}

/* In a fixed image every block has room. */
static int fill(struct vhdx *v, uint64_t first, uint64_t end)
{
    int error = 0;

    for (uint64_t block = first; block < end && error == 0; block++) {
        cm_os_mutex_lock(&v->lock);
        do
            error = vhdx_map_fill(v, block);
        while (error == VHDX_AGAIN);
        cm_os_mutex_unlock(&v->lock);
    }
    return error == 0 ? vhdx_commit(v, VHDX_DURABLE) : error;
}

int vhdx_resize(void *context, uint64_t size)
{
    struct vhdx *v = context;
    uint64_t blocks = vhdx_map_blocks(v);
    int error = 0;

    if (size == v->metadata.disk_size)
        return 0;
    if (size > VHDX_DISK_MAX)
        return cm_fail(CM_EINVAL, "a VHDX image has at most 64 TiB.");
    if (size < v->metadata.disk_size)
        error = cut(v, size);
    cm_os_mutex_lock(&v->lock);
    while (error == 0 && (error = vhdx_session_begin(v)) == VHDX_AGAIN)
        error = 0;
    vhdx_commit_enter(v);
    v->commit.is_frozen = 1;
    if (error == 0)
        error = change(v, size);
    v->commit.is_frozen = 0;
    vhdx_commit_leave(v);
    cm_os_mutex_unlock(&v->lock);
    if (error == 0 && v->metadata.is_fixed && vhdx_map_blocks(v) > blocks)
        error = fill(v, blocks, vhdx_map_blocks(v));
    return error;
}
