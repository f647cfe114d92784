/* SPDX-License-Identifier: MIT */
/*
 * format.h - where things are in a VHD file: the numbers of the "Virtual Hard Disk Image Format Specification" of
 * 2006, for all files of images/vhd/.
 *
 *      fixed:    data, footer
 *      dynamic:  copy of the footer, dynamic header, block allocation table (BAT) and blocks in any order, footer
 *
 * A block is a bitmap, one bit for each of its sectors (the highest bit of a byte first), and its data. All numbers
 * are big-endian. The file is made of sectors of 512 bytes.
 */
#ifndef CM_VHD_FORMAT_H
#define CM_VHD_FORMAT_H

#include <stdint.h>

#define VHD_SECTOR 512u

/* -- the footer -------------------------------------------------------------------------------- */

#define VHD_FOOTER_SIZE 512u
#define VHD_FOOTER_COOKIE "conectix"
#define VHD_COOKIE_SIZE 8u
#define VHD_VERSION 0x00010000u

enum vhd_footer_field { /* bytes from its beginning */
                        VHD_FOOTER_FEATURES = 8,
                        VHD_FOOTER_VERSION = 12,
                        VHD_FOOTER_HEADER_AT = 16,
                        VHD_FOOTER_TIME = 24,
                        VHD_FOOTER_CREATOR = 28,
                        VHD_FOOTER_CREATOR_VERSION = 32,
                        VHD_FOOTER_CREATOR_SYSTEM = 36,
                        VHD_FOOTER_ORIGINAL_SIZE = 40,
                        VHD_FOOTER_CURRENT_SIZE = 48,
                        VHD_FOOTER_CYLINDERS = 56,
                        VHD_FOOTER_HEADS = 58,
                        VHD_FOOTER_SECTORS = 59,
                        VHD_FOOTER_TYPE = 60,
                        VHD_FOOTER_CHECKSUM = 64,
                        VHD_FOOTER_ID = 68,
};

#define VHD_FEATURE_RESERVED 2u /* a bit that is always set */

enum vhd_type { VHD_FIXED = 2, VHD_DYNAMIC = 3, VHD_DIFFERENCING = 4 };

#define VHD_ID_SIZE 16u /* bytes */

/* What storage with sectors of 4 KiB may have made of the file's end. */
#define VHD_PADDING_MAX (4096u - VHD_SECTOR)

/* -- the dynamic header ------------------------------------------------------------------------ */

#define VHD_HEADER_SIZE 1024u
#define VHD_HEADER_COOKIE "cxsparse"

enum vhd_header_field {
    VHD_HEADER_NEXT = 8,
    VHD_HEADER_TABLE_AT = 16,
    VHD_HEADER_VERSION = 24,
    VHD_HEADER_ENTRIES = 28,
    VHD_HEADER_BLOCK_SIZE = 32,
    VHD_HEADER_CHECKSUM = 36,
    VHD_HEADER_PARENT_ID = 40,
    VHD_HEADER_PARENT_TIME = 56,
    VHD_HEADER_PARENT_NAME = 64, /* UTF-16, big-endian */
    VHD_HEADER_LOCATORS = 576,
};

#define VHD_PARENT_NAME_UNITS 256u
#define VHD_LOCATORS 8u
#define VHD_LOCATOR_SIZE 24u              /* bytes: platform, space, length, 0, place */
#define VHD_PLATFORM_RELATIVE 0x57327275u /* "W2ru": UTF-16, little-endian */
#define VHD_PLATFORM_ABSOLUTE 0x57326B75u /* "W2ku" */

/* -- blocks ------------------------------------------------------------------------------------ */

#define VHD_ABSENT 0xffffffffu /* in the BAT; what is there else is a sector of the file */

/* Windows takes 512 KiB and 2 MiB only; others made others. With fewer than 8 sectors a byte of the bitmap is not full;
 * beyond, one bitmap would be larger than 64 KiB. */
#define VHD_BLOCK_MIN 4096u
#define VHD_BLOCK_MAX (256u << 20)
#define VHD_BLOCK_USUAL (2u << 20)

/* Of a disk: 2040 GiB, as other programs have it; sector numbers of 32 bits do not go much further. */
#define VHD_DISK_MAX (UINT64_C(2040) << 30)

/* The BAT is held whole: for the largest disk with the smallest blocks that Windows makes that is 16 MiB. */
#define VHD_ENTRIES_MAX (4u << 20)

#endif
