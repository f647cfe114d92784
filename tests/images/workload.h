/* SPDX-License-Identifier: MIT */
/*
 * workload.h - a random program on an image: writes of all sizes, some with FUA, flushes, trims of blocks and of parts,
 * zeros, reads, resizes, compacting, closing and opening again; by one thread or several. With one thread the same seed does the
 * same. Every read is compared with the model.
 */
#ifndef CM_TESTS_WORKLOAD_H
#define CM_TESTS_WORKLOAD_H

#include <stdint.h>

#include "model.h"
#include "recorder.h"
#include "subject.h"

struct workload {
    const struct subject *subject;
    struct recorder *recorder;
    struct model *model;
    const char *path; /* of the store */
    uint64_t random;
    unsigned threads;
    unsigned steps;  /* of each thread, between an open and its close */
    unsigned phases; /* opens */
    char why[1024];  /* what was wrong; empty: nothing */

    struct cm_image *image;
    uint64_t size; /* bytes of the disk now */
    const struct mood *mood;
};

/* Areas of a disk of this size, some of them over the border of two blocks; with the content of the parent if the subject
 * has one. */
void workload_choose_areas(const struct subject *subject, uint64_t disk_size, uint64_t *random,
                           struct model *model);

/* Run it; at the end the image is closed. @return 1, or 0 and workload->why. */
int workload_run(struct workload *workload);

#endif
