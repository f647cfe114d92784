/* SPDX-License-Identifier: MIT */
/*
 * crc32.h - the checksum of GPT (and of Ethernet, zip, PNG).
 *
 * Ours, so that programs with the static library need no second one: it is for kilobytes when an image
 * is opened, not for data.
 */
#ifndef CM_CRC32_H
#define CM_CRC32_H

#include <stddef.h>
#include <stdint.h>

/* Of the bytes before, whose checksum is `crc` (0: there are none), and these. */
uint32_t cm_crc32(uint32_t crc, const void *bytes, size_t length);

#endif
