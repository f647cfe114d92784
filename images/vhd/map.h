/* SPDX-License-Identifier: MIT */
/*
 * map.h - an open VHD with blocks, as the files of images/vhd/ share it: where each block is, what of the map has not
 * reached the storage yet, and who uses which block.
 *
 * One mutex, `lock`, is around the map; it is never held over the I/O of data. Whoever does I/O on a block holds a use
 * of it, so that the block's place is not given to another meanwhile. Functions that say "locked" want the lock held.
 */
#ifndef CM_VHD_MAP_H
#define CM_VHD_MAP_H

#include <stddef.h>
#include <stdint.h>

#include "images/vhd/parts.h"
#include "lib/core/os.h"
#include "lib/core/store.h"

#include <coremnt/container.h>
#include <coremnt/image.h>

/* What is known of a block that has a place. */
enum vhd_state {
    VHD_UNKNOWN, /* nobody has looked at its bitmap yet */
    VHD_FULL,    /* all of it is here */
    VHD_PARTLY,  /* its bitmap says what is here */
    VHD_BAD,     /* the table puts it where it cannot be */
};

struct vhd_range { /* bytes of the file */
    uint64_t from, to;
};

struct vhd_ranges {
    struct vhd_range *items;
    size_t count, room;
};

int vhd_ranges_add(struct vhd_ranges *ranges, uint64_t from, uint64_t to); /* 0 or CM_ENOMEM */

/* A bitmap in memory. */
struct vhd_bitmap {
    struct vhd_bitmap *next; /* in its row */
    uint32_t block;
    uint32_t users;       /* while there are some it stays */
    int is_loading;       /* nobody may look at it yet */
    int is_dirty;         /* differs from the file's */
    int is_being_written; /* by a commit: until then the file has the older one */
    unsigned char bits[];
};

#define VHD_BITMAP_ROWS 1024u

/* Somebody's use of a block; on the stack of who does. */
struct vhd_use {
    struct vhd_use *before, *after;
    uint32_t block;
    int is_alone; /* nobody else may use it */
};

/* A block whose place is new: its bitmap in the file is to become all ones. */
struct vhd_fresh {
    uint32_t block, sector;
};

struct vhd {
    struct cm_store *store;
    struct vhd_footer footer;
    struct vhd_header header;
    struct vhd_found found;
    _Atomic uint64_t size;   /* bytes of the disk */
    int was_dirty;           /* it had no footer at its end when it was opened */
    struct cm_image *parent; /* NULL: none */

    struct cm_os_mutex lock;
    struct cm_os_cond changed; /* a use or a commit has ended, a bitmap is loaded */
    struct vhd_use uses;       /* the list's head */

    /* map.c */
    uint32_t *bat;  /* sectors of the file; header.needed of them, as they are to be */
    uint8_t *state; /* enum vhd_state, of each block */
    uint8_t *dirty; /* of each VHD_UNIT bytes of the table: it differs from the file's */
    uint32_t bad;   /* blocks that are VHD_BAD */
    struct vhd_bitmap *bitmaps[VHD_BITMAP_ROWS];
    uint32_t bitmap_count, dirty_bitmaps, bitmap_hand;

    /* space.c */
    struct vhd_ranges clean;                    /* free, and zeros even after a power cut */
    struct vhd_ranges stale;                    /* free, and anything may be there */
    struct vhd_ranges freed_clean, freed_stale; /* free when the table without them is durable */
    uint64_t end;        /* behind the last block; from here to the footer is zeros */
    int has_changed_end; /* the footer is to be written there */
    int store_is_lent;   /* it is not closed with the image */
    int keeps_zeros;  /* a trim hides the parent even where that is zeros: another one is to come */
    int must_not_cut; /* the table has entries behind those of the disk; others look at them */
    int has_moved;    /* the file may be longer than it needs to be */

    /* commit.c */
    struct vhd_fresh *fresh;
    size_t fresh_count, fresh_room;
    int needs_barrier; /* the table must not get ahead of what was done before */
    int is_committing;
    uint64_t commits_begun, commits_ended, commit_failed;
    size_t left_over; /* fresh blocks and bitmaps that the last one could not write */
    int commit_error; /* of commit_failed */
    int flush_error; /* a flush failed: what it was for may be lost, and the next one would not tell */
};

#define VHD_UNIT 4096u /* bytes of the table that are written at once */
#define VHD_UNIT_ENTRIES (VHD_UNIT / 4)
#define VHD_DIRTY_MAX 1024u /* blocks of which a commit does not wait for a flush */

static inline uint64_t vhd_block_span(const struct vhd *vhd)
{
    return (uint64_t)vhd->header.bitmap_size + vhd->header.block_size;
}

static inline uint64_t vhd_place(const struct vhd *vhd, uint32_t block)
{
    return (uint64_t)vhd->bat[block] * VHD_SECTOR;
}

/* -- map.c: the table, and uses ---------------------------------------------------------------- */

int vhd_map_load(struct vhd *vhd); /* sets the sentence; also finds the free space */
void vhd_map_free(struct vhd *vhd);
void vhd_map_set(struct vhd *vhd, uint32_t block, uint32_t sector); /* locked */

/* Where blocks are, by their place: pairs of sector (high half) and block, of those that are inside the file and not
 * over its structures. NULL: no memory. free(). */
uint64_t *vhd_map_sorted(struct vhd *vhd, size_t *count);

int vhd_map_find_gaps(struct vhd *vhd); /* into `stale`, in the order of the file; 0 or CM_ENOMEM */

/* The structures, sorted by their place. @return their number. */
#define VHD_STRUCTURES_MAX (4u + VHD_LOCATORS)
unsigned vhd_structures(const struct vhd *vhd, struct vhd_range ranges[VHD_STRUCTURES_MAX]);

/* The end of what blocks may take: of the file without its footer. */
uint64_t vhd_blocks_end(const struct vhd *vhd);

/* Locked; may wait. First come, first served. */
void vhd_use_begin(struct vhd *vhd, struct vhd_use *use, uint32_t block, int is_alone);
void vhd_use_share(struct vhd *vhd, struct vhd_use *use); /* no longer alone */
void vhd_use_end(struct vhd *vhd, struct vhd_use *use);

/* -- bitmaps.c --------------------------------------------------------------------------------- */

/* Locked, with a use of the block; may unlock meanwhile. Sets the block's state if it was unknown; *bitmap is NULL if it
 * is VHD_FULL, and else stays until vhd_bitmap_put(). `is_new`: in the file it is zeros. CM_EIO... without a sentence. */
int vhd_bitmap_get(struct vhd *vhd, uint32_t block, int is_new, struct vhd_bitmap **bitmap);
void vhd_bitmap_put(struct vhd_bitmap *bitmap); /* locked */
void vhd_bitmap_set(struct vhd *vhd, struct vhd_bitmap *bitmap, uint32_t sector, uint32_t count);
void vhd_bitmap_drop(struct vhd *vhd, uint32_t block); /* locked; nobody uses it */
void vhd_bitmaps_free(struct vhd *vhd);

static inline int vhd_bit(const unsigned char *bits, uint32_t sector)
{
    return bits[sector / 8] >> (7 - sector % 8) & 1;
}

/* How many sectors from one on are alike, at most `count`. */
uint32_t vhd_bits_alike(const unsigned char *bits, uint32_t sector, uint32_t count);

/* -- space.c ----------------------------------------------------------------------------------- */

/* Locked, with the block used alone; may unlock meanwhile. Give the block a place that reads as zeros. */
int vhd_space_take(struct vhd *vhd, uint32_t block);
/* Locked: the block has no place any more. `is_clean`: what was there has been made zeros. */
int vhd_space_give(struct vhd *vhd, uint32_t block, int is_clean);
/* Where in a range a block can be, its data at whole 4 KiB if possible; 0: nowhere. */
uint64_t vhd_place_in(const struct vhd *vhd, const struct vhd_range *range);
/* Locked: a commit has made durable that these are free. */
void vhd_space_settle(struct vhd *vhd, struct vhd_ranges *clean, struct vhd_ranges *stale);
/* Make the file as short as it can be. Nobody else uses the image, and all is committed. */
int vhd_space_cut(struct vhd *vhd);
uint64_t vhd_used_end(const struct vhd *vhd); /* byte of the file behind all that is needed */

/* -- commit.c ---------------------------------------------------------------------------------- */

int vhd_commit(struct vhd *vhd);                    /* not locked; no sentence */
int vhd_fresh_add(struct vhd *vhd, uint32_t block); /* locked */
void vhd_commit_hold(struct vhd *vhd);              /* locked: no commit runs until... */
void vhd_commit_release(struct vhd *vhd);           /* locked */
int vhd_footer_write_end(struct vhd *vhd);          /* at the end of the file; no flush */
int vhd_footers_write(struct vhd *vhd);             /* both, durably */

/* -- the others -------------------------------------------------------------------------------- */

/* open.c: with as many parents below as the depth allows. */
int vhd_open_at_depth(struct cm_store *store, const struct cm_image_options *options,
                      unsigned depth, struct cm_image **image);

#define VHD_DEPTH_MAX 32u

/* What a writer does first: see to what a cut has left. Sets the sentence. */
int vhd_prepare_writer(struct vhd *vhd);

/* An image over a store that stays the caller's; without its parent, of which nothing may be read then, or with it. *vhd is
 * what is behind *image. */
int vhd_open_lent(struct cm_store *store, int with_parent, struct cm_image **image,
                  struct vhd **vhd);

/* relink.c: see struct cm_container */
int vhd_merge(struct cm_store *store, cm_progress *progress, void *context);
int vhd_rebase(struct cm_store *store, const char *parent, uint32_t flags, cm_progress *progress,
               void *context);

/* The map of a file, for check and compact. free with vhd_close_map(). */
int vhd_open_map(struct cm_store *store, struct vhd **vhd);
void vhd_close_map(struct vhd *vhd);

/* parent.c: the file of the parent, judged by its identity and its disk's size; opened as `options` say. `depth`: images
 * upon the child. */
int vhd_parent_find(const struct vhd *child, const struct cm_image_options *options, unsigned depth,
                    struct cm_store **parent);
/* The image that has what this one does not, read-only, with its own parents. */
int vhd_parent_open(const struct vhd *child, const struct cm_image_options *options, unsigned depth,
                    struct cm_image **parent);
int vhd_parent_fill(struct vhd_header *header, const char *child, const char *parent, uint64_t at,
                    struct vhd_locator_bytes *bytes, struct vhd_footer *footer);

/* io.c */
int vhd_read(void *context, void *buffer, uint32_t length, uint64_t offset);
int vhd_write(void *context, const void *buffer, uint32_t length, uint64_t offset, uint32_t flags);
int vhd_flush(void *context);
int vhd_trim(void *context, uint64_t offset, uint64_t length);
int vhd_extent(void *context, uint64_t offset, uint64_t length, struct cm_extent *extent);

int vhd_resize(void *context, uint64_t size); /* resize.c */

/* fixed.c */
int vhd_fixed_open(struct cm_store *store, const struct vhd_footer *footer,
                   const struct vhd_found *found, struct cm_image **image);
/* The footer was not found at the end: put it there. Sets the sentence. */
int vhd_fixed_restore_end(struct cm_store *store, const struct vhd_footer *footer);

/* create.c: `count` entries, NULL: none, and what says that there is no block, up to `length` bytes. No sentence. */
int vhd_table_write(struct cm_store *store, const uint32_t *entries, uint64_t at, uint64_t length,
                    uint64_t count);

/* check.c, compact.c */
int vhd_check(struct cm_store *store, const struct cm_check_options *options,
              struct cm_check_result *result);
int vhd_compact(struct cm_store *store, cm_progress *progress, void *context);

#endif
