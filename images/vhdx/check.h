/* SPDX-License-Identifier: MIT */
/*
 * check.h - a check of a VHDX file under way: what check.c and check_blocks.c share.
 */
#ifndef CM_VHDX_CHECK_H
#define CM_VHDX_CHECK_H

#include "images/vhdx/parts.h"
#include "lib/core/error_internal.h"
#include "lib/core/image_internal.h"

struct vhdx_check {
    struct cm_store *file;
    struct cm_store *view; /* the file, or the file with its log replayed: what is checked */
    const struct cm_check_options *options;
    struct cm_check_result *result;
    int repairs;    /* what can be mended is to be */
    int is_changed; /* something was: the headers say so since */
    unsigned depth; /* how many images are upon this one */
    uint64_t
        told[3]; /* findings of each severity; of very many, only the first are told one by one */

    struct vhdx_header header;
    struct vhdx_regions regions;
    struct vhdx_metadata metadata;
};

/* A finding: told and counted. `is_repaired` is of this one. */
void vhdx_check_tell(struct vhdx_check *check, enum cm_check_severity severity, int is_repaired,
                     const char *format, ...) CM_PRINTF(4, 5);

/* Before the file is changed for the first time. 0, or an error with its sentence. */
int vhdx_check_change(struct vhdx_check *check);

/* -- check_blocks.c ---------------------------------------------------------------------------- */

/* Every entry of the BAT, the sector bitmaps, and the room in the file. 0 also when something was found. */
int vhdx_check_blocks(struct vhdx_check *check);

/* -- check.c ----------------------------------------------------------------------------------- */

/* cm_container.check; also for those who know that it is VHDX. */
int cm_vhdx_check(struct cm_store *store, const struct cm_check_options *options,
                  struct cm_check_result *result);

#endif
