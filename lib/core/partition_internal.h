/* SPDX-License-Identifier: MIT */
/*
 * partition_internal.h - what the readers of partition tables share: partition.c, which is called, and
 * mbr.c, gpt.c, file_system.c and partition_types.c below it.
 *
 * All that is read is hostile. Numbers of sectors become bytes in one place, cm_table_add(), which also
 * sees what lies beyond the end; loops are bounded by constants, never by what the image says.
 */
#ifndef CM_PARTITION_INTERNAL_H
#define CM_PARTITION_INTERNAL_H

#include <stdint.h>

#include <coremnt/partition.h>

/* -- reading (partition.c) --------------------------------------------------------------------- */

#define CM_TABLE_READ_MAX 4096u /* bytes */

/* A table on its way; `table` has room for CM_MAX_PARTITIONS. */
struct cm_table_reader {
    struct cm_image *image;
    uint64_t size;        /* bytes of the image */
    uint32_t sector_size; /* bytes; of the image */
    struct cm_partition_table *table;
};

/* Bytes of the image: `offset` is a multiple of 512, `length` at most CM_TABLE_READ_MAX; neither need be
 * whole sectors of the image. CM_ERANGE beyond the end. No sentence. */
int cm_table_read_bytes(const struct cm_table_reader *reader, void *to, uint32_t length,
                        uint64_t offset);

/*
 * The next partition of the table, all zeros but number, place and flags, for the caller to complete.
 * `first` and `count` are in sectors of table->sector_size. NULL when it makes no sense (no sectors, or
 * beyond 64 bits of bytes) or the table is full, which the table's flags then say.
 */
struct cm_partition *cm_table_add(struct cm_table_reader *reader, uint32_t number, uint64_t first,
                                  uint64_t count);

/* Little-endian numbers at any address. */
uint32_t cm_table_get16(const unsigned char *bytes);
uint32_t cm_table_get32(const unsigned char *bytes);
uint64_t cm_table_get64(const unsigned char *bytes);

/* -- tables ------------------------------------------------------------------------------------ */

#define CM_MBR_SIZE 512u /* bytes of it that have a meaning */
#define CM_MBR_PROTECTIVE 0xEEu

/* mbr.c. What the first sector is: an enum cm_table_kind. A boot sector of a file system looks much
 * like an MBR; `file_system` is what cm_file_system_at() says of it. */
int cm_mbr_kind(const struct cm_table_reader *reader, const unsigned char *mbr,
                const char *file_system);
/* The primary partitions and the logical ones. */
void cm_mbr_list(struct cm_table_reader *reader, const unsigned char *mbr);
/* Whether it has partitions beside the protective one. */
int cm_mbr_is_hybrid(const unsigned char *mbr);

/* gpt.c. Finds the table that is whole, sets sector_size and flags, and lists it. */
void cm_gpt_list(struct cm_table_reader *reader);

/* file_system.c. What the sectors at `offset` look like: "FAT32", "NTFS"...; "" where not known or not
 * readable. A constant. */
const char *cm_file_system_at(const struct cm_table_reader *reader, uint64_t offset);

/* partition_types.c. "unknown" for those that are not in its tables. Constants. */
const char *cm_mbr_type_name(unsigned char type);
const char *cm_gpt_type_name(const char *guid); /* in capitals */

#endif
