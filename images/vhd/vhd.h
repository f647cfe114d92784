/* SPDX-License-Identifier: MIT */
/*
 * vhd.h - VHD images, as the rest of the project sees them; the files of images/vhd/ are behind it.
 */
#ifndef CM_VHD_H
#define CM_VHD_H

#include <stdint.h>

#include "lib/core/image_internal.h"
#include "lib/core/store.h"

/* The opener of registry.c: cm_image_opener cm_vhd_open (image_internal.h). */

/*
 * The same over any store: for tests. The store is the image's if it succeeds, and stays the caller's if not. Of the
 * options: CM_OPEN_CREATE makes an image in the store, which must be empty; `size`, `block_size`, `parent` and
 * CM_OPEN_FIXED as in cm_image_open(); `sector_size` is 512 or 0.
 */
int cm_vhd_open_store(struct cm_store *store, const struct cm_image_options *options,
                      struct cm_image **image);

/* What cm_vhd_open_store() does first when it creates: everything of a new, empty image. Flushes. */
int cm_vhd_format(struct cm_store *store, const struct cm_image_options *options);

#endif
