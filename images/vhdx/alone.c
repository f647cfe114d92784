/* SPDX-License-Identifier: MIT */
/*
 * alone.c - a VHDX image that one thread changes, and whose content stays what it is; see alone.h.
 *
 * Called by compact.c and relink.c on the thread of the program that asked. Every function is a step of disk.h, with the
 * lock around it and begun anew until it has the pages it needs.
 */
#include "images/vhdx/alone.h"

#include "lib/core/error_internal.h"
#include "lib/core/image_internal.h"

int vhdx_alone_open(struct cm_store *store, uint32_t flags, struct cm_image **image,
                    struct vhdx **vhdx)
{
    struct cm_image_options options = {.struct_size = sizeof(options), .flags = flags};
    int error = vhdx_open_over(store, &options, 0, image, vhdx);

    if (error != 0)
        return error;
    (*vhdx)->file_is_lent = 1;
    (*vhdx)->next_data_write = (*vhdx)->header.data_write;
    return 0;
}

int vhdx_alone_close(struct cm_image *image, int error)
{
    if (error == 0)
        return cm_image_close(image);
    cm_image_discard(image);
    return error;
}

/* -- sessions ---------------------------------------------------------------------------------- */

/* What the session found in the file to be free is forgotten, or it would make zeros of it, and cut it off. */
static void forget_room(struct vhdx_space *space)
{
    space->freed.count = 0;
    space->logging.count = 0;
    space->logged.count = 0;
    space->limbo.count = 0;
    space->zeroed.count = 0;
    space->ready.count = 0;
}

int vhdx_alone_begin(struct vhdx *v)
{
    int error;

    cm_os_mutex_lock(&v->lock);
    do
        error = vhdx_session_begin(v);
    while (error == VHDX_AGAIN);
    cm_os_mutex_unlock(&v->lock);
    return error;
}

void vhdx_alone_own_room(struct vhdx *v)
{
    cm_os_mutex_lock(&v->lock);
    forget_room(&v->space);
    cm_os_mutex_unlock(&v->lock);
}

int vhdx_alone_settle(struct vhdx *v)
{
    int error = 0;

    cm_os_mutex_lock(&v->lock);
    vhdx_commit_enter(v);
    if (v->is_started)
        error = vhdx_commit_all(v);
    vhdx_commit_leave(v);
    cm_os_mutex_unlock(&v->lock);
    return error;
}

void vhdx_alone_cut(struct vhdx *v, uint64_t end)
{
    cm_os_mutex_lock(&v->lock);
    forget_room(&v->space);
    v->space.end = end;
    cm_os_mutex_unlock(&v->lock);
}

/* -- blocks ------------------------------------------------------------------------------------ */

int vhdx_alone_get(struct vhdx *v, uint64_t block, struct vhdx_where *where)
{
    int error;

    cm_os_mutex_lock(&v->lock);
    do
        error = vhdx_map_get(v, block, where);
    while (error == VHDX_AGAIN);
    cm_os_mutex_unlock(&v->lock);
    return error;
}

static int set(struct vhdx *v, uint64_t block, enum vhdx_state state, uint64_t at)
{
    struct vhdx_where where;
    int error = vhdx_map_get(v, block, &where);

    if (error == 0)
        error = vhdx_change_begin(v);
    return error == 0 ? vhdx_map_set(v, block, state, at) : error;
}

int vhdx_alone_set(struct vhdx *v, uint64_t block, enum vhdx_state state, uint64_t at,
                   int data_first)
{
    int error;

    cm_os_mutex_lock(&v->lock);
    do
        error = set(v, block, state, at);
    while (error == VHDX_AGAIN);
    if (error == 0)
        v->commit.data_first |= data_first;
    cm_os_mutex_unlock(&v->lock);
    return error;
}

/* -- bitmaps ----------------------------------------------------------------------------------- */

uint64_t vhdx_alone_chunks(const struct vhdx *v)
{
    return ((vhdx_map_blocks(v) - 1) >> v->chunk_shift) + 1;
}

int vhdx_alone_get_bitmap(struct vhdx *v, uint64_t chunk, uint64_t *at)
{
    int error;

    cm_os_mutex_lock(&v->lock);
    do
        error = vhdx_map_get_bitmap(v, chunk << v->chunk_shift, at);
    while (error == VHDX_AGAIN);
    cm_os_mutex_unlock(&v->lock);
    return error;
}

static int set_bitmap(struct vhdx *v, uint64_t block, uint64_t at)
{
    uint64_t before;
    int error = vhdx_map_get_bitmap(v, block, &before);

    if (error == 0)
        error = vhdx_change_begin(v);
    if (error == 0)
        error = vhdx_map_set_bitmap(v, block, at);
    if (error == 0 && before != 0)
        vhdx_pages_forget(v, before, VHDX_BITMAP_BLOCK);
    return error;
}

int vhdx_alone_set_bitmap(struct vhdx *v, uint64_t chunk, uint64_t at)
{
    int error;

    cm_os_mutex_lock(&v->lock);
    do
        error = set_bitmap(v, chunk << v->chunk_shift, at);
    while (error == VHDX_AGAIN);
    if (error == 0)
        v->commit.data_first = 1;
    cm_os_mutex_unlock(&v->lock);
    return error;
}

int vhdx_alone_sectors(struct vhdx *v, uint64_t sector, uint32_t count, int *is_here,
                       uint32_t *alike)
{
    int error;

    cm_os_mutex_lock(&v->lock);
    do
        error = vhdx_map_sectors(v, sector, count, is_here, alike);
    while (error == VHDX_AGAIN);
    cm_os_mutex_unlock(&v->lock);
    return error;
}

/* -- the file ---------------------------------------------------------------------------------- */

unsigned vhdx_alone_structures(const struct vhdx *v, struct vhdx_region places[VHDX_STRUCTURES_MAX])
{
    unsigned count = 0;

    places[count++] = (struct vhdx_region){0, (uint32_t)VHDX_MIB};
    places[count++] = (struct vhdx_region){v->header.log_at, v->header.log_size};
    places[count++] = v->regions.bat;
    places[count++] = v->regions.metadata;
    for (unsigned i = 0; i < v->regions.unknown_count; i++)
        places[count++] = v->regions.unknown[i];
    return count;
}
