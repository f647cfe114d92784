/* SPDX-License-Identifier: MIT */
/*
 * container.h - what is done with the file of an image that nobody uses: look it over, give its space back, copy it into
 * another format, merge it with its parent.
 *
 * Each opens the file itself, and refuses one that another program has open (CM_EBUSY). Blocks for as long as it takes;
 * where that can be long, a callback tells how far it is and can end it.
 */
#ifndef COREMNT_CONTAINER_H
#define COREMNT_CONTAINER_H

#include <stdint.h>

#include "error.h"
#include "image.h"

#ifdef __cplusplus
extern "C" {
#endif

/* How far a long work is: `done` of `all` bytes. Called now and then on the caller's thread. Not 0: give up, which ends
 * it with CM_ECANCELED. */
typedef int cm_progress(void *context, uint64_t done, uint64_t all);

/* -- check ------------------------------------------------------------------------------------- */

enum cm_check_severity {
    CM_CHECK_NOTE = 0, /* worth knowing; nothing is wrong */
    CM_CHECK_WASTE =
        1, /* space that is taken for nothing, or a copy that is gone: nothing is lost */
    CM_CHECK_ERROR = 2, /* the image is damaged */
};

struct cm_check_options {
    uint32_t struct_size; /* sizeof(struct cm_check_options) */
    uint32_t flags;       /* CM_CHECK_REPAIR */
    /* Called for each finding with a sentence without a final period; NULL: only the numbers are wanted. */
    void (*report)(void *context, enum cm_check_severity severity, int is_repaired,
                   const char *text);
    void *context;
    cm_progress *progress; /* NULL: none */
    void *progress_context;
};

/* Mend what can be mended without guessing at data. */
#define CM_CHECK_REPAIR (1u << 0)

struct cm_check_result {
    uint64_t errors;
    uint64_t errors_left; /* of those, not repaired: 0 says that the image is sound now */
    uint64_t wastes;
    uint64_t repaired;    /* of both */
    uint64_t blocks;      /* of the disk */
    uint64_t blocks_here; /* of those that have space in the file */
};

/**
 * Look over all structures of an image's file, and those of its parents.
 *
 * @param result  Out; also when there are errors in the image, which is no failure of this call.
 * @return 0; CM_ENOTSUP: the format has nothing to check; CM_EFORMAT: not of that format at all; CM_ECANCELED; another
 *         negative CM_E... with its sentence.
 * Threads: any. Since 0.1.
 */
CM_API int cm_image_check(const char *spec, const struct cm_check_options *options,
                          struct cm_check_result *result);

/* -- copies ------------------------------------------------------------------------------------ */

/**
 * Copy the content of an image into a new one. What reads as zeros takes no space there. The new file has its name only
 * when it is complete and durable: before, it is beside it under another name, and is removed on failure.
 *
 * @param from     A specification; opened read-only.
 * @param to       A specification of a path; must not exist (CM_EEXIST).
 * @param options  How to make it: `size` 0 is the size of `from`, and must not be smaller; CM_OPEN_CREATE is implied.
 * @param progress NULL: none.
 * @return 0, or a negative CM_E... with its sentence. Threads: any. Since 0.1.
 */
CM_API int cm_image_convert(const char *from, const char *to,
                            const struct cm_image_options *options, cm_progress *progress,
                            void *context);

/* -- space ------------------------------------------------------------------------------------- */

/**
 * Make the file smaller: blocks that hold zeros, or nothing, are given back, and those at the end move to the front. At
 * every instant the file is valid.
 *
 * @param freed  Out: bytes by which the file became smaller.
 * @return 0; CM_ENOTSUP: the format has no blocks; CM_ECANCELED: what was done until then stays done; another negative
 *         CM_E... with its sentence. Threads: any. Since 0.1.
 */
CM_API int cm_image_compact(const char *spec, cm_progress *progress, void *context,
                            uint64_t *freed);

/* -- differencing ------------------------------------------------------------------------------ */

/**
 * Write what a differencing image holds into its parent, and empty it. A power cut in between, or a callback that ends
 * it, loses nothing: do it again. A parent that is smaller gets the image's size. Other images upon that parent do not
 * fit it any more; those upon this image do.
 *
 * @param progress NULL: none.
 * @return 0; CM_EINVAL: it has no parent; CM_ENOENT: the parent is not there; CM_EDAMAGED: it is not the one that it
 *         was; CM_EBUSY; CM_ECANCELED; another negative CM_E... with its sentence. Threads: any. Since 0.1.
 */
CM_API int cm_image_commit(const char *spec, cm_progress *progress, void *context);

/* The new parent is taken to have the same content as the old one, which need not exist: only the name is changed. */
#define CM_REBASE_TRUST (1u << 0)

/**
 * Give a differencing image another parent; its content stays what it is. A power cut in between leaves the old one or
 * the new one.
 *
 * @param parent  A path of an image of the same kind, "KIND:" in front of it or not; NULL: none, the image takes all
 *                that it had from its parents into itself.
 * @param flags   CM_REBASE_TRUST; not with NULL.
 * @param progress NULL: none.
 * @return 0; CM_EINVAL: it has no parent, the new one does not fit, or is that image or one upon it; CM_ENOENT; CM_EBUSY;
 *         CM_ECANCELED; another negative CM_E... with its sentence. Threads: any. Since 0.1.
 */
CM_API int cm_image_rebase(const char *spec, const char *parent, uint32_t flags,
                           cm_progress *progress, void *context);

#ifdef __cplusplus
}
#endif
#endif
