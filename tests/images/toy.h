/* SPDX-License-Identifier: MIT */
/*
 * toy.h - a container as small as can be, crash-safe unless it is told to be wrong: by it the tests show that the crash
 * test finds what it is there to find.
 */
#ifndef CM_TESTS_TOY_H
#define CM_TESTS_TOY_H

#include "subject.h"

enum toy_fault {
    TOY_RIGHT,
    TOY_FLUSHES_NOTHING, /* the map is written, but nothing is made durable */
    TOY_MAP_FIRST,       /* the map is written without a flush of the data that it leads to */
    TOY_REUSES_EARLY,    /* a block is taken again before it is durable that nobody has it */
    TOY_SHOWS_OLD_DATA,  /* a block that is taken again is not made zeros */
};

extern enum toy_fault toy_fault; /* of all toys */
extern const struct subject toy_subject;

#endif
