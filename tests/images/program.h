/* SPDX-License-Identifier: MIT */
/*
 * program.h - one round of the crash test, all of it from one seed: an image is made, a random program runs on it and is
 * recorded, the power goes. Called by crash.c and test_crash.c.
 */
#ifndef CM_TESTS_PROGRAM_H
#define CM_TESTS_PROGRAM_H

#include "cut.h"
#include "recorder.h"
#include "subject.h"

struct program {
    const struct subject *subject;
    uint64_t seed;
    uint64_t files;                  /* as in struct cut_job */
    unsigned threads;                /* 0: chosen by the seed */
    struct recorder_options storage; /* what else it is to be; the seed adds to it */
    const char *sample_folder;
    unsigned sample_every;
    unsigned trace; /* print so many of the last operations before a find */
};

/* Adds to the result. @return 1, or 0 and result->why. */
int program_run(const struct program *program, struct cut_result *result);

#endif
