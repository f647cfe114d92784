/* SPDX-License-Identifier: MIT */
/*
 * alone.h - a VHDX image that one thread changes, and whose content stays what it is: blocks move, or are given up because
 * a parent has the same. What compact.c and relink.c share.
 *
 * As the content stays, so does the identifier by which children know their parent: theirs are still valid afterwards.
 * Room in the file is not managed by space.c then, but by whoever is alone: what is given up is used again by nobody, and
 * in the end the file is cut behind what is still in use.
 */
#ifndef CM_VHDX_ALONE_H
#define CM_VHDX_ALONE_H

#include <stdint.h>

#include "images/vhdx/disk.h"

/* Functions return 0 or a negative CM_E...; those with a sentence say so. None is called with the lock held. */

/* The store stays the caller's. `flags` as in cm_image_open(), and CM_OPEN_ALONE. Sets the sentence. */
int vhdx_alone_open(struct cm_store *store, uint32_t flags, struct cm_image **image,
                    struct vhdx **vhdx);
/* Whatever the image still has to write is written, and the image closed. @return `error`, whose sentence stays, or what
 * the last flush said, with its sentence. */
int vhdx_alone_close(struct cm_image *image, int error);

/* The session begins, so the file may be changed. */
int vhdx_alone_begin(struct vhdx *v);
/* After it has begun: room in the file is the caller's matter from here on; nobody else takes any or makes zeros of it. */
void vhdx_alone_own_room(struct vhdx *v);
/* All that was changed is durable and in its place. */
int vhdx_alone_settle(struct vhdx *v);

int vhdx_alone_get(struct vhdx *v, uint64_t block, struct vhdx_where *where);
/* `data_first`: what was written to the file before must be durable before this is. */
int vhdx_alone_set(struct vhdx *v, uint64_t block, enum vhdx_state state, uint64_t at,
                   int data_first);
/* The bitmap block of a chunk. Nobody changes bits before vhdx_alone_settle() after it was set. */
uint64_t vhdx_alone_chunks(const struct vhdx *v);
int vhdx_alone_get_bitmap(struct vhdx *v, uint64_t chunk, uint64_t *at);
int vhdx_alone_set_bitmap(struct vhdx *v, uint64_t chunk, uint64_t at);

/* From a sector of a block that is partly here on: whether it is here, and how many of `count` are alike. */
int vhdx_alone_sectors(struct vhdx *v, uint64_t sector, uint32_t count, int *is_here,
                       uint32_t *alike);

/* Where the structures of the file are, those of which there is one. @return their number. */
#define VHDX_STRUCTURES_MAX (4u + VHDX_REGIONS_UNKNOWN_MAX)
unsigned vhdx_alone_structures(const struct vhdx *v,
                               struct vhdx_region places[VHDX_STRUCTURES_MAX]);

/* Behind `end` there is nothing that is in use, durably: when the image is closed the file ends there. */
void vhdx_alone_cut(struct vhdx *v, uint64_t end);

#endif
