/* SPDX-License-Identifier: MIT */
/*
 * differencing.h - the content of differencing images, between an image and its parents: what the formats' commit and
 * rebase do with data. The order in which names and identifiers change is theirs.
 */
#ifndef CM_DIFFERENCING_H
#define CM_DIFFERENCING_H

#include <coremnt/container.h>
#include <coremnt/image.h>

/*
 * Write into `parent` what `child` itself has, zeros among it. Only extents of depth 0 are read, so the child may be open
 * without its parents. The parent is at least as large. No flush. Sets the sentence; CM_ECANCELED: `progress` said so.
 */
int cm_differencing_push(struct cm_image *child, struct cm_image *parent, cm_progress *progress,
                         void *context);

/*
 * Write into `child` what it has from its parents and would not have, or would have otherwise, from `parent` (NULL: one
 * of zeros): its content stays what it is. `parent` may be smaller: beyond its end it is zeros. No flush. Sets the
 * sentence; CM_ECANCELED.
 */
int cm_differencing_pull(struct cm_image *child, struct cm_image *parent, cm_progress *progress,
                         void *context);

/* Whether an image may get this parent: the same sectors, and not larger. Sets the sentence: CM_EINVAL. */
int cm_differencing_fit(struct cm_image *child, struct cm_image *parent);

#endif
