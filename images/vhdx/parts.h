/* SPDX-License-Identifier: MIT */
/*
 * parts.h - the parts of a VHDX file that say what and where the rest is: headers, region tables, metadata, the parent
 * locator, and the log as it is found. Read when an image is opened, made when it is created; never hot.
 *
 * What comes from the file is checked here and nowhere else: whoever gets one of these structures may trust its
 * numbers as far as its comments go. Functions return 0 or a negative CM_E... with its sentence, which names the file.
 */
#ifndef CM_VHDX_PARTS_H
#define CM_VHDX_PARTS_H

#include <stddef.h>
#include <stdint.h>

#include "images/vhdx/format.h"
#include "lib/core/store.h"

struct vhdx_guid {
    uint8_t bytes[16]; /* as they are in the file */
};

int vhdx_guid_make(struct vhdx_guid *guid); /* a new one, random (version 4) */
int vhdx_guid_is_zero(const struct vhdx_guid *guid);
int vhdx_guid_equal(const struct vhdx_guid *a, const struct vhdx_guid *b);
#define VHDX_GUID_TEXT 39 /* bytes: "{xxxxxxxx-xxxx-...}" and its end */
void vhdx_guid_print(const struct vhdx_guid *guid, char text[VHDX_GUID_TEXT]);
int vhdx_guid_parse(const char *text,
                    struct vhdx_guid *guid); /* 0, or CM_EINVAL without a sentence */

/* -- headers (header.c) ------------------------------------------------------------------------ */

struct vhdx_header {
    uint64_t sequence;
    struct vhdx_guid file_write; /* changed when the file is opened for writing */
    struct vhdx_guid data_write; /* changed before the disk's content is: what children ask for */
    struct vhdx_guid log;        /* of the entries that count; zeros: the log is empty */
    uint64_t log_at;             /* byte of the file; whole MiB, the log is inside the file */
    uint32_t log_size;           /* bytes; whole MiB, not 0 */
    unsigned slot;               /* 0 or 1: where it was found, or written last */
    int other_is_damaged;        /* the other slot holds no valid header: for check */
};

/* The identifier and the header that counts. CM_EFORMAT: no VHDX; CM_EDAMAGED: no header is whole, or the log not in the
 * file; CM_ENOTSUP: a newer version. */
int vhdx_header_read(struct cm_store *store, struct vhdx_header *header);

/* Make the change durable: the slot that does not count is written with the next sequence number and flushed, then the
 * other. A power cut leaves one of the two. */
int vhdx_header_write(struct cm_store *store, struct vhdx_header *header);

/* -- region tables (regions.c) ----------------------------------------------------------------- */

struct vhdx_region {
    uint64_t at; /* byte of the file; whole MiB, at least 1 */
    uint32_t size;
};

#define VHDX_REGIONS_UNKNOWN_MAX 8u

/* They are inside the file and overlap neither each other nor the log. */
struct vhdx_regions {
    struct vhdx_region bat;
    struct vhdx_region metadata;
    struct vhdx_region unknown[VHDX_REGIONS_UNKNOWN_MAX]; /* of others, not required: left alone */
    unsigned unknown_count;
    int one_is_damaged; /* one of the two tables, or they differ; the first counts. For check */
};

/* `store` shows the file with its log replayed. CM_ENOTSUP: a required region that we do not know, or too many others;
 * CM_EDAMAGED. */
int vhdx_regions_read(struct cm_store *store, const struct vhdx_header *header,
                      struct vhdx_regions *regions);
/* Both tables, with a flush between them so that one is always whole; no flush at the end. CM_ENOTSUP: there are unknown
 * regions. */
int vhdx_regions_write(struct cm_store *store, const struct vhdx_regions *regions);
/* The VHDX_REGIONS_SIZE bytes of either. CM_ENOTSUP as above. */
int vhdx_regions_make(struct cm_store *store, const struct vhdx_regions *regions,
                      unsigned char *table);
/* One table's VHDX_REGIONS_SIZE bytes, and whether they are one: for check. */
int vhdx_regions_read_table(struct cm_store *store, unsigned slot, unsigned char *table,
                            int *is_whole);

/* -- metadata (metadata.c) --------------------------------------------------------------------- */

struct vhdx_metadata {
    uint32_t block_size;           /* bytes; a power of two from VHDX_BLOCK_MIN to VHDX_BLOCK_MAX */
    uint32_t sector_size;          /* 512 or 4096 */
    uint32_t physical_sector_size; /* 512 or 4096 */
    uint64_t disk_size;            /* bytes; whole sectors, at most VHDX_DISK_MAX, not 0 */
    uint64_t disk_size_at;         /* byte of the file where that number is */
    struct vhdx_guid disk_id;
    int is_fixed; /* blocks are never given back */
    int has_parent;
    uint64_t locator_at;   /* byte of the file; 0 without parent */
    uint32_t locator_size; /* bytes of the item */
};

/* The items that count lie inside the region. CM_ENOTSUP: a required item that we do not know; CM_EDAMAGED. */
int vhdx_metadata_read(struct cm_store *store, const struct vhdx_region *region,
                       struct vhdx_metadata *metadata);
/* All that the region of a new file is to hold; with a parent, an item of VHDX_LOCATOR_ROOM zeros for its locator. The
 * region was zeros before. No flush. Fills disk_size_at, locator_at and locator_size. */
#define VHDX_LOCATOR_ROOM 65536u
int vhdx_metadata_write(struct cm_store *store, const struct vhdx_region *region,
                        struct vhdx_metadata *metadata);

/*
 * Give the image another parent locator, what vhdx_locator_make() made; `size` 0: it has no parent any more. Written
 * beside the old one and then taken in its place, so that a power cut leaves one of the two. Flushes. CM_ENOSPC: no room
 * for it in the region. The log must be empty, or not hold pages of the metadata.
 */
int vhdx_metadata_set_locator(struct cm_store *store, const struct vhdx_region *region,
                              struct vhdx_metadata *metadata, const unsigned char *bytes,
                              uint32_t size);

/* BAT entries that a disk needs, those of bitmap blocks included. */
uint64_t vhdx_bat_entries(const struct vhdx_metadata *metadata);

/* -- the parent locator (locator.c) ------------------------------------------------------------ */

/* Paths are UTF-8 with the separators of Windows; NULL: not there. */
struct vhdx_locator {
    struct vhdx_guid linkage; /* data_write of the parent */
    struct vhdx_guid
        linkage2; /* another that is right too, while a merge is under way; zeros: none */
    char *relative_path;
    char *absolute_path;
    char *volume_path;
};

int vhdx_locator_read(struct cm_store *store, const struct vhdx_metadata *metadata,
                      struct vhdx_locator *locator);
/* The item's bytes, at most `room`. CM_EINVAL: the paths are too long. */
int vhdx_locator_make(const struct vhdx_locator *locator, unsigned char *bytes, size_t room,
                      uint32_t *size);
void vhdx_locator_free(struct vhdx_locator *locator); /* what it points to */

/* -- the log as it is found (replay.c) --------------------------------------------------------- */

/*
 * A store that shows the file as it is when the log has been replayed, without changing it: what is below stays the
 * caller's and must outlive it. With an empty log *replayed is NULL. CM_EDAMAGED: the log is damaged, or the file
 * shorter than it says. Time and memory are bounded whatever the log says.
 */
int vhdx_replay_view(struct cm_store *store, const struct vhdx_header *header,
                     struct cm_store **replayed);

/* Replay into the file: apply, flush, and write a header that says that the log is empty. */
int vhdx_replay_apply(struct cm_store *store, struct vhdx_header *header);

#endif
