/* SPDX-License-Identifier: MIT */
/*
 * format.h - where things are in a VHDX file: the numbers of [MS-VHDX], for all files of images/vhdx/.
 *
 *      0        file identifier
 *      64 KiB   header 1, header 2: the valid one with the higher sequence number counts
 *      192 KiB  region table 1, region table 2: the same
 *      1 MiB    log, block allocation table (BAT), metadata, payload blocks, bitmap blocks: each begins at a
 *               whole MiB, in any order
 *
 * All numbers are little-endian. Offsets without another word are bytes from the beginning of what they are in.
 */
#ifndef CM_VHDX_FORMAT_H
#define CM_VHDX_FORMAT_H

#include <stdint.h>

#define VHDX_KIB UINT64_C(1024)
#define VHDX_MIB UINT64_C(1048576)

#define VHDX_SECTOR 4096u /* bytes: what the log works in */

/* -- the first MiB ----------------------------------------------------------------------------- */

#define VHDX_IDENTIFIER "vhdxfile"
#define VHDX_IDENTIFIER_SIZE 65536u
#define VHDX_CREATOR_UNITS 256u /* UTF-16, behind the identifier */

#define VHDX_HEADER_AT(slot) (65536u * (1u + (slot)))
#define VHDX_HEADER_SIZE 4096u
#define VHDX_HEADER_SIGNATURE "head"
#define VHDX_VERSION 1u

#define VHDX_REGIONS_AT(slot) (65536u * (3u + (slot)))
#define VHDX_REGIONS_SIZE 65536u
#define VHDX_REGIONS_SIGNATURE "regi"
#define VHDX_REGIONS_MAX 2047u
#define VHDX_REGION_REQUIRED 1u

/* -- metadata ---------------------------------------------------------------------------------- */

#define VHDX_METADATA_SIGNATURE "metadata"
#define VHDX_METADATA_TABLE_SIZE 65536u
#define VHDX_METADATA_MAX 2047u /* items */
#define VHDX_ITEM_USER 1u
#define VHDX_ITEM_DISK 2u
#define VHDX_ITEM_REQUIRED 4u

#define VHDX_LEAVE_ALLOCATED 1u /* of the file parameters */
#define VHDX_HAS_PARENT 2u

#define VHDX_BLOCK_MIN (1u << 20) /* bytes */
#define VHDX_BLOCK_MAX (256u << 20)
#define VHDX_DISK_MAX (UINT64_C(64) << 40)

/* -- the BAT ----------------------------------------------------------------------------------- */

/* An entry is a state in the low 3 bits, 17 reserved ones, and the place in the file in MiB. */
#define VHDX_STATE_MASK UINT64_C(7)
#define VHDX_PLACE_SHIFT 20u
#define VHDX_PLACE_MASK (~(VHDX_MIB - 1)) /* what is left is the place in bytes */

enum vhdx_state {
    VHDX_NOT_PRESENT = 0, /* in the parent if there is one, else zeros */
    VHDX_UNDEFINED = 1,   /* zeros, to us */
    VHDX_ZERO = 2,
    VHDX_UNMAPPED = 3,       /* zeros, to us */
    VHDX_UNMAPPED_095 = 5,   /* the same, in files of version 0.95 */
    VHDX_PRESENT = 6,        /* of a payload or bitmap block: it has a place */
    VHDX_PARTLY_PRESENT = 7, /* what the bitmap says is here, the rest is in the parent */
};

#define VHDX_BITMAP_BLOCK (1u << 20)           /* bytes: a bit for each sector of a chunk */
#define VHDX_CHUNK_SECTORS (UINT64_C(1) << 23) /* payload that one bitmap block is for */

/* -- the log ----------------------------------------------------------------------------------- */

#define VHDX_ENTRY_SIGNATURE "loge"
#define VHDX_ENTRY_HEADER 64u /* bytes, before the first descriptor */
#define VHDX_DESCRIPTOR 32u   /* bytes */
#define VHDX_DESC_SIGNATURE "desc"
#define VHDX_ZERO_SIGNATURE "zero"
#define VHDX_DATA_SIGNATURE "data"

#endif
