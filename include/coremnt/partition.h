/* SPDX-License-Identifier: MIT */
/*
 * partition.h - partitioned images: what their tables say, and one partition as an image of its own.
 *
 * Tables are MBR, with logical drives, and GPT. Whatever the image holds, reading a table ends, takes
 * little memory and changes nothing; what is wrong with it is told by flags. docs/partitions.md has
 * the rules.
 */
#ifndef COREMNT_PARTITION_H
#define COREMNT_PARTITION_H

#include <stdint.h>

#include "image.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Partitions of one image that are listed; those behind are left out (CM_TABLE_INCOMPLETE). */
#define CM_MAX_PARTITIONS 256u

/* cm_partition.flags */
#define CM_PARTITION_BOOTABLE (1u << 0)   /* MBR: the active one; GPT: for legacy BIOSes */
#define CM_PARTITION_LOGICAL (1u << 1)    /* lies in an extended partition */
#define CM_PARTITION_CONTAINER (1u << 2)  /* an extended partition: holds others, no file system */
#define CM_PARTITION_BEYOND_END (1u << 3) /* not all of it is in the image */
#define CM_PARTITION_OVERLAPS (1u << 4)   /* shares bytes with another one */

struct cm_partition {
    uint64_t offset;  /* bytes from the beginning of the image */
    uint64_t size;    /* bytes */
    uint32_t number;  /* MBR: 1 to 4, logical ones from 5; GPT: the place in the table, from 1 */
    uint32_t flags;   /* CM_PARTITION_* */
    char type[48];    /* "Microsoft basic data"; "unknown" */
    char type_id[40]; /* "0x07", or a GUID in capitals */
    char name[112];   /* GPT: UTF-8, without control characters; MBR: "" */
    char file_system[16]; /* what its first sectors look like: "NTFS"; "" where not known */
};

enum cm_table_kind {
    CM_TABLE_NONE = 0, /* the image is no partitioned disk: a file system, or nothing known */
    CM_TABLE_MBR = 1,
    CM_TABLE_GPT = 2,
};

/* cm_partition_table.flags */
#define CM_TABLE_PRIMARY_DAMAGED (1u << 0) /* GPT: wrong at the beginning of the image... */
#define CM_TABLE_BACKUP_DAMAGED (1u << 1)  /* ...at its end; with both nothing is listed */
#define CM_TABLE_HYBRID (1u << 2)          /* GPT: the MBR has partitions too, not listed */
#define CM_TABLE_BAD_ENTRIES (1u << 3)     /* entries that make no sense, not listed */
#define CM_TABLE_BAD_CHAIN (1u << 4)       /* logical drives: their list breaks off or loops */
#define CM_TABLE_INCOMPLETE (1u << 5)      /* there are more than CM_MAX_PARTITIONS */

struct cm_partition_table {
    uint32_t kind;                   /* enum cm_table_kind */
    uint32_t flags;                  /* CM_TABLE_* */
    uint32_t sector_size;            /* bytes; what the table counts in; 0: there is none */
    uint32_t count;                  /* of partitions */
    struct cm_partition *partitions; /* part of this memory */
    char file_system[16]; /* CM_TABLE_NONE: what the image looks like; "" where not known */
};

/**
 * Read the partition table of an image. Blocks for some small reads.
 *
 * The sectors that a GPT counts in are found out; an MBR counts in those of the image.
 * @param table  Out: free with cm_free(). NULL on failure.
 * @return 0, also when there is no table or it is damaged; CM_ENOMEM, or what reading the first
 *         sector returned, with a sentence.
 * Threads: any. Since 0.1.
 */
CM_API int cm_partition_table_read(struct cm_image *image, struct cm_partition_table **table);

/**
 * Make an image of one partition of another. Blocks like cm_partition_table_read().
 *
 * It has the sectors of the table, if those of the image are smaller.
 * @param image      From success on it belongs to the partition, which closes it; else it stays the
 *                   caller's. Only one partition can thus be open at a time; cm_image_window() has
 *                   the same rule.
 * @param number     cm_partition.number
 * @param partition  Out: release with cm_image_close(). NULL on failure.
 * @return 0, or CM_ENOENT (no such partition), CM_EFORMAT (the image has no table, or the partition
 *         is not all in the image), CM_EINVAL (an extended partition; one that does not fit the
 *         image's sectors), CM_ENOMEM, or what reading returned; cm_last_error() says which there are.
 * Threads: any. Since 0.1.
 */
CM_API int cm_partition_open(struct cm_image *image, uint32_t number, struct cm_image **partition);

/**
 * Make an image of a part of another. Does not block.
 *
 * Everything is passed on: requests in parallel, FUA, flush, trim, volatile or not, read-only or not.
 * Nothing is copied and no lock is taken.
 * @param image   From success on it belongs to the window, which closes it; else it stays the caller's.
 * @param offset, size  Bytes; whole sectors of both images, inside `image`; not 0 bytes.
 * @param sector_size   Of the window: that of the image or more; 0: that of the image.
 * @param window  Out: release with cm_image_close(). NULL on failure.
 * @return 0, CM_EINVAL, CM_ERANGE (not inside the image), CM_EIO (the image cannot tell what it is),
 *         CM_ENOMEM. Threads: any. Since 0.1.
 */
CM_API int cm_image_window(struct cm_image *image, uint64_t offset, uint64_t size,
                           uint32_t sector_size, struct cm_image **window);

#ifdef __cplusplus
}
#endif
#endif
