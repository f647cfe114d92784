/* SPDX-License-Identifier: MIT */
/*
 * vhdx.h - VHDX images, as the rest of the project sees them; the files of images/vhdx/ are behind it.
 */
#ifndef CM_VHDX_H
#define CM_VHDX_H

#include <stdint.h>

#include "lib/core/image_internal.h"
#include "lib/core/store.h"

/* The opener of registry.c: cm_image_opener cm_vhdx_open (image_internal.h). */

/*
 * The same over any store: for tests. The store is the image's if it succeeds, and stays the caller's if not. Of the
 * options: CM_OPEN_CREATE makes an image in the store, which must be empty; `size`, `sector_size`, `block_size`,
 * `parent` and CM_OPEN_FIXED as in cm_image_open().
 */
int cm_vhdx_open_store(struct cm_store *store, const struct cm_image_options *options,
                       struct cm_image **image);

/* What cm_vhdx_open_store() does first when it creates: everything of a new, empty image but its parent. Flushes. */
int cm_vhdx_format(struct cm_store *store, const struct cm_image_options *options);

/* compact, commit and rebase of cm_container; also for tests. */
int cm_vhdx_compact(struct cm_store *store, cm_progress *progress, void *context);
int cm_vhdx_commit(struct cm_store *store, cm_progress *progress, void *context);
int cm_vhdx_rebase(struct cm_store *store, const char *parent, uint32_t flags,
                   cm_progress *progress, void *context);

/* cm_vhdx_commit() into a parent that is in a store, too: for tests. Both are open for writing and stay the caller's.
 * `parent` NULL: where the child says. */
int cm_vhdx_merge(struct cm_store *child, struct cm_store *parent, cm_progress *progress,
                  void *context);

#endif
