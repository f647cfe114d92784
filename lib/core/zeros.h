/* SPDX-License-Identifier: MIT */
/*
 * zeros.h - whether bytes are all zeros: what need not take space. Hot where an image that has blocks is filled; data
 * that is not zeros is told by its first bytes.
 */
#ifndef CM_ZEROS_H
#define CM_ZEROS_H

#include <stddef.h>
#include <string.h>

/* memcmp() of the bytes with themselves, moved by one: the C library's is as quick as the memory. */
static inline int cm_is_zeros(const void *bytes, size_t size)
{
    const unsigned char *b = bytes;

    return size == 0 || (b[0] == 0 && b[size - 1] == 0 && memcmp(b, b + 1, size - 1) == 0);
}

#endif
