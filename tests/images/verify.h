/* SPDX-License-Identifier: MIT */
/*
 * verify.h - what is asked of one file that a power cut left; see cut.h.
 *
 *   - the check finds no error in it, as it is;
 *   - opened read-only, every cell holds what the model allows;
 *   - opened for writing, it holds the same; it takes writes, a flush makes them durable;
 *   - after that it is closed, checked and read once more;
 *   - of some files: the power goes again meanwhile.
 */
#ifndef CM_TESTS_VERIFY_H
#define CM_TESTS_VERIFY_H

#include "cut.h"

struct verify_result {
    int was_dirty; /* it had to be recovered */
    uint64_t wastes;
};

/* The file is changed. @return 1, or 0 and total->why; the second cuts are counted in `total`. */
int verify_file(const struct cut_job *job, struct sparse *file, uint64_t cut,
                struct cut_result *total, struct verify_result *result);

#endif
