/* SPDX-License-Identifier: MIT */
/*
 * resize.c - another size for a dynamic VHD. Called by programs, seldom; other requests wait while the table moves.
 *
 * A larger disk: what it gets is made zeros first (the rest of the last block, entries of the table); a table for which
 * there is no room is written anew behind the end, and one sector, the first of the header, says where it is. Then the
 * footers say the size. A smaller disk: the footers first, then its blocks are dropped. Between two of these steps the
 * file is one of the old or of the new size, and nothing that was in the smaller of both is touched.
 */
#include <stdlib.h>
#include <string.h>

#include "images/vhd/map.h"

/* The sector of the header that holds all that changes, and the checksum. */
static int write_header(struct vhd *vhd)
{
    int error;

    vhd_header_make(&vhd->header);
    error = cm_store_flush(vhd->store);
    if (error == 0)
        error = cm_store_write(vhd->store, vhd->header.bytes, VHD_SECTOR, vhd->header.at);
    return error == 0 ? cm_store_flush(vhd->store) : error;
}

/* On failure the footers may be of either size: nothing more is written. */
static int write_size(struct vhd *vhd, uint64_t size)
{
    struct vhd_footer before = vhd->footer;
    int error;

    vhd_footer_set_size(&vhd->footer, size);
    error = vhd_footers_write(vhd);
    if (error != 0) {
        vhd->footer = before;
        (void)vhd_footers_write(vhd);
        vhd->flush_error = error;
    }
    return error;
}

/* -- larger ------------------------------------------------------------------------------------ */

/* Room in memory for more blocks, none of which has a place. */
static int more_memory(struct vhd *vhd, uint32_t needed)
{
    uint32_t *bat = realloc(vhd->bat, (size_t)needed * 4);
    uint8_t *state, *dirty;
    size_t units = vhd->header.needed / VHD_UNIT_ENTRIES + 1;
    size_t more = needed / VHD_UNIT_ENTRIES + 1 - units;

    if (bat != NULL)
        vhd->bat = bat;
    state = bat != NULL ? realloc(vhd->state, needed) : NULL;
    if (state != NULL)
        vhd->state = state;
    dirty = state != NULL ? realloc(vhd->dirty, units + more) : NULL;
    if (dirty == NULL)
        return CM_ENOMEM;
    vhd->dirty = dirty;
    memset(vhd->bat + vhd->header.needed, 0xff, (size_t)(needed - vhd->header.needed) * 4);
    memset(vhd->state + vhd->header.needed, 0, needed - vhd->header.needed);
    memset(vhd->dirty + units, 0, more);
    return 0;
}

static int clear_tail(struct vhd *vhd, uint64_t size)
{
    uint32_t used = (uint32_t)(size % vhd->header.block_size);
    uint32_t block = (uint32_t)(size / vhd->header.block_size);

    if (used == 0 || vhd->bat[block] == VHD_ABSENT)
        return 0;
    if (vhd->state[block] == VHD_BAD)
        return CM_EDAMAGED;
    return cm_store_zero(vhd->store, vhd_place(vhd, block) + vhd->header.bitmap_size + used,
                         vhd->header.block_size - used);
}

static uint64_t table_size(uint32_t entries)
{
    return ((uint64_t)entries * 4 + VHD_SECTOR - 1) / VHD_SECTOR * VHD_SECTOR;
}

/* To a new place, with a footer of the old size behind it. What has no commit yet may be in it: a flush is before the
 * header that names it. */
static int move_table(struct vhd *vhd, uint32_t needed)
{
    struct vhd_header before = vhd->header;
    uint64_t at = (cm_store_size(vhd->store) + VHD_UNIT - 1) / VHD_UNIT * VHD_UNIT;
    uint64_t end = at + table_size(needed);
    int error = cm_store_resize(vhd->store, end + VHD_FOOTER_SIZE);

    if (error != 0)
        return error;
    vhd->end = end + VHD_FOOTER_SIZE;
    vhd->has_moved = 1;
    error = vhd_table_write(vhd->store, vhd->bat, at, table_size(needed), needed);
    if (error == 0)
        error = vhd_footer_write_end(vhd);
    vhd->has_changed_end = error != 0;
    if (error != 0)
        return error;
    vhd->header.table_at = at;
    vhd->header.entries = needed;
    error = write_header(vhd);
    if (error != 0) {
        vhd->header = before;
        vhd->flush_error = error; /* which of both counts is not known */
    }
    return error;
}

/* In the sector that the table ends in there may be room. */
static int extend_table(struct vhd *vhd, uint32_t needed)
{
    struct vhd_header before = vhd->header;
    uint64_t at = vhd->header.table_at + (uint64_t)vhd->header.needed * 4;
    int error =
        vhd_table_write(vhd->store, NULL, at, (uint64_t)(needed - vhd->header.needed) * 4, 0);

    if (error != 0)
        return error;
    vhd->header.entries = needed;
    error = write_header(vhd);
    if (error != 0) {
        vhd->header = before;
        vhd->flush_error = error;
    }
    return error;
}

static int grow(struct vhd *vhd, uint64_t size)
{
    uint64_t blocks = (size - 1) / vhd->header.block_size + 1;
    uint32_t needed = (uint32_t)blocks;
    int error;

    if (size > VHD_DISK_MAX || blocks > VHD_ENTRIES_MAX)
        return CM_ENOTSUP;
    error = more_memory(vhd, needed);
    if (error == 0)
        error = clear_tail(vhd, vhd->size);
    if (error == 0 && needed > vhd->header.needed)
        error = table_size(needed) == table_size(vhd->header.needed) ? extend_table(vhd, needed)
                                                                     : move_table(vhd, needed);
    if (error == 0)
        error = cm_store_flush(vhd->store);
    if (error == 0)
        error = write_size(vhd, size);
    if (error != 0)
        return error;
    vhd->header.needed = needed;
    vhd->size = size;
    return 0;
}

/* -- smaller ----------------------------------------------------------------------------------- */

/* Not locked. The size is the new one already, whatever becomes of this; what fails leaves entries that nobody may
 * find again, so that nothing more is written. */
static void drop_rest(struct vhd *vhd, uint64_t from, uint64_t to)
{
    int error = vhd_trim(vhd, from, to - from);

    if (error == 0)
        error = vhd_commit(vhd);
    cm_os_mutex_lock(&vhd->lock);
    vhd_commit_hold(vhd);
    if (error == 0) {
        vhd->header.needed = (uint32_t)((from - 1) / vhd->header.block_size + 1);
        vhd->header.entries = vhd->header.needed;
        error = write_header(vhd);
    }
    if (error != 0)
        vhd->flush_error = error;
    vhd_commit_release(vhd);
    cm_os_mutex_unlock(&vhd->lock);
}

int vhd_resize(void *context, uint64_t size)
{
    struct vhd *vhd = context;
    uint64_t before = vhd->size;
    int error;

    if (size == before)
        return 0;
    cm_os_mutex_lock(&vhd->lock);
    vhd_commit_hold(vhd);
    error = vhd->bad != 0 ? CM_EDAMAGED : vhd->flush_error;
    if (error == 0)
        error = size > before ? grow(vhd, size) : write_size(vhd, size);
    vhd_commit_release(vhd);
    cm_os_mutex_unlock(&vhd->lock);
    if (error == 0 && size < before) {
        drop_rest(vhd, size, before);
        vhd->size = size;
    }
    return error;
}
