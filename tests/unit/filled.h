/* SPDX-License-Identifier: MIT */
/*
 * filled.h - ranges of an image that are filled with one byte: written and looked for. For the tests of
 * images; checks are made as the test's own.
 */
#ifndef CM_TESTS_FILLED_H
#define CM_TESTS_FILLED_H

#include "tests/unit/check.h"

#include <coremnt/image.h>

static unsigned char filled_buffer[4 * 65536];

static inline void fill(struct cm_image *image, uint64_t offset, uint32_t length,
                        unsigned char value)
{
    memset(filled_buffer, value, length);
    CHECK_EQ(cm_image_write(image, filled_buffer, length, offset, 0), 0);
}

static inline int range_is(struct cm_image *image, uint64_t offset, uint32_t length,
                           unsigned char value)
{
    memset(filled_buffer, ~value, length);
    if (!CHECK_EQ(cm_image_read(image, filled_buffer, length, offset), 0))
        return 0;
    for (uint32_t i = 0; i < length; i++)
        if (filled_buffer[i] != value)
            return 0;
    return 1;
}

#endif
