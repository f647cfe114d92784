/* SPDX-License-Identifier: MIT */
/*
 * crc32c.h - the checksum of VHDX (and of iSCSI, ext4, btrfs): the polynomial of Castagnoli.
 *
 * Over each page that a VHDX log takes, thus quick: by the processor's own instruction where it has one.
 */
#ifndef CM_CRC32C_H
#define CM_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/* Of the bytes before, whose checksum is `crc` (0: there are none), and these. Any thread. */
uint32_t cm_crc32c(uint32_t crc, const void *bytes, size_t length);

/* The same as on a processor without the instruction: for tests. */
uint32_t cm_crc32c_plain(uint32_t crc, const void *bytes, size_t length);

#endif
