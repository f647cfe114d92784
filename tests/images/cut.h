/* SPDX-License-Identifier: MIT */
/*
 * cut.h - the power goes, at any event of a recorded program: the files that this could have left are made, opened,
 * checked and compared with the model.
 *
 * Of the storage is assumed: what a flush covered is there, that is, all calls that had returned when it began. Of all
 * others any may be there and any not; a write or a punch may be there in parts, of 512 or 4096 bytes, each whole. A
 * file has its new size with all resizes before it, and space that it grew by holds zeros until it is written; what
 * was written beyond the size that it has is lost.
 */
#ifndef CM_TESTS_CUT_H
#define CM_TESTS_CUT_H

#include <stdint.h>

#include "model.h"
#include "recorder.h"
#include "subject.h"

struct cut_job {
    const struct subject *subject;
    const char *path; /* of the store */
    const struct recorder *recorder;
    struct sparse *before; /* the file when recording began; changed */
    const struct model *model;
    uint64_t random;
    uint64_t files; /* about so many are made; 0: seven for each event */
    unsigned depth; /* power cuts while it recovers from a cut: so often in a row, of some files */
    /* Of one file in so many, what it is and what it holds are written into this folder, for other programs to look at;
     * 0: of none. */
    const char *sample_folder;
    unsigned sample_every;
};

struct cut_result {
    uint64_t events;      /* at which the power went */
    uint64_t files;       /* that were made, opened, checked, compared */
    uint64_t dirty;       /* of those: with something to recover */
    uint64_t second_cuts; /* of those: made by a cut while recovering */
    uint64_t wastes;      /* findings of the check that are no errors */
    uint64_t samples;     /* files written out */
    uint64_t failed_at;   /* event; if something was wrong */
    char why[1200];       /* empty: nothing was wrong */
    char kept[256];       /* the file that shows it */
};

/* Adds to the result. @return 1, or 0 and result->why: the end at the first find. */
int cut_all(struct cut_job *job, struct cut_result *result);

#endif
