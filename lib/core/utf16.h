/* SPDX-License-Identifier: MIT */
/*
 * utf16.h - names in files of Windows' formats: UTF-16 of either byte order to UTF-8 and back, on every system. For
 * metadata, not for hot paths. Any thread.
 */
#ifndef CM_UTF16_H
#define CM_UTF16_H

#include <stddef.h>
#include <stdint.h>

enum cm_utf16_order {
    CM_UTF16_LITTLE,
    CM_UTF16_BIG,
};

/*
 * A new string, for free(), of `count` units, up to the first that is 0; half of a pair becomes U+FFFD, as what Windows
 * shows for it. NULL: no memory.
 */
char *cm_utf16_to_utf8(const void *units, size_t count, enum cm_utf16_order order);

/*
 * The units of a string, without an end: at most `room` of them are written.
 * @return how many there are, also when there was no room for all; SIZE_MAX: it is not UTF-8.
 */
size_t cm_utf8_to_utf16(const char *text, void *units, size_t room, enum cm_utf16_order order);

#endif
