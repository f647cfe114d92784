/* SPDX-License-Identifier: MIT */
/*
 * disk.h - an open VHDX image: what the files of images/vhdx/ that serve it share.
 *
 *      vhdx.c      opens and closes; the table of callbacks
 *      io.c        reads, writes and trims
 *      map.c       blocks and sectors to places: the BAT and the sector bitmaps, on pages
 *      pages.c     a cache of metadata, 4 KiB at a time
 *      commit.c    pages that were changed become durable, for many writers at once
 *      log.c       the entries that this takes
 *      space.c     room in the file
 *      scan.c      which of it is used, when a session begins
 *      parent.c    the image that a differencing one is upon
 *      alone.c     images that one thread changes whose content stays what it is: for compact.c and relink.c
 *
 * How a change becomes durable, and what a power cut leaves, is told in commit.c.
 *
 * One lock, `lock`, protects all that is not said to be otherwise. It is held over the reading of no page and the I/O of
 * no payload: who has to wait lets go of it, and then begins its step anew (VHDX_AGAIN), because everything may have
 * changed. A step therefore changes nothing before it has all the pages that it needs. No other lock is taken under it
 * but those of the store and of the parent, which are leaves.
 */
#ifndef CM_VHDX_DISK_H
#define CM_VHDX_DISK_H

#include <stdatomic.h>
#include <stdint.h>

#include "images/vhdx/parts.h"
#include "lib/core/os.h"

#include <coremnt/image.h>

/* A step could not go on and has changed nothing: do it again. Never seen outside of images/vhdx/. */
#define VHDX_AGAIN 1

/* -- pages.c ----------------------------------------------------------------------------------- */

#define VHDX_PAGES 1024u   /* in memory: 4 MiB */
#define VHDX_DIRTY_MAX 80u /* pages that are changed and not logged */
#define VHDX_ENTRY_MAX 83u /* pages in an entry: less than a third of the smallest log */
#define VHDX_STEP_MAX 40u  /* pages that a step may make dirty */

struct vhdx_page {
    uint64_t at;            /* byte of the file; whole pages */
    struct vhdx_page *next; /* of the bucket */
    /* What the log has of it and its place in the file does not have durably: set by the leader of a commit, under the lock. */
    unsigned char *logged;
    uint8_t is_loaded; /* 0: somebody is reading it */
    uint8_t is_dirty;  /* changed since it was logged last */
    uint8_t is_being_logged;
    uint8_t is_applied; /* `logged` is in its place, but perhaps not durably */
    uint8_t was_used;   /* since the hand passed */
    unsigned char bytes[VHDX_SECTOR];
};

struct vhdx_pages {
    struct vhdx_page *slots[VHDX_PAGES];
    struct vhdx_page *buckets[VHDX_PAGES];
    unsigned hand; /* where the search for a slot goes on */
    struct vhdx_page *dirty[VHDX_DIRTY_MAX];
    unsigned dirty_count;
    unsigned being_logged_count; /* they may all come back to `dirty` */
    struct vhdx_page *logged[VHDX_ENTRY_MAX];
    unsigned logged_count;
};

/* -- log.c ------------------------------------------------------------------------------------- */

/* Of the leader of a commit alone. */
struct vhdx_log {
    unsigned last;         /* the slot of the last entry */
    unsigned durable;      /* the slot of the last durable one */
    uint64_t sequence;     /* of the next entry */
    uint64_t size_flushed; /* bytes of the file that a power cut cannot take away; whole MiB */
    unsigned char *entry;  /* the one that is being made */
    uint32_t entry_size;   /* bytes */
};

/* -- space.c ----------------------------------------------------------------------------------- */

struct vhdx_extent {
    uint64_t at, size; /* bytes of the file; whole MiB */
    uint64_t epoch;    /* when it was let go */
};

struct vhdx_extents {
    struct vhdx_extent *items;
    unsigned count, room;
};

/*
 * Room that was given up comes back in steps, each a list:
 *
 *      freed --(its unmapping is in an entry)--> logging --(which is written)--> logged --(is durable)--> limbo
 *            --(nobody uses it any more; it is made zeros)--> zeroed --(is durable)--> ready
 */
enum vhdx_holes { VHDX_HOLES_UNKNOWN, VHDX_HOLES_YES, VHDX_HOLES_NO };

struct vhdx_space {
    uint64_t end; /* of the file; what lies behind is zeros once the file is longer */
    struct vhdx_extents freed, logging, logged, limbo, zeroed, ready;
    enum vhdx_holes holes; /* whether the storage makes them */
    uint64_t epoch;
    atomic_uint users[2]; /* I/O to payload that began in an even, an odd epoch */
};

/* -- commit.c ---------------------------------------------------------------------------------- */

enum vhdx_want {
    VHDX_LOGGED,  /* outlives this process */
    VHDX_DURABLE, /* outlives the power */
};

struct vhdx_waiter {
    struct vhdx_waiter *next;
    enum vhdx_want want;
    int is_done;
    int error;
};

struct vhdx_commit {
    struct vhdx_waiter *waiting;
    int is_led;      /* somebody commits, or is alone with the file for another reason */
    int data_first;  /* a page says that data is there: that must be durable before the page is */
    int is_frozen;   /* nobody may begin to change the map */
    int flush_error; /* once a flush has failed nobody knows what the storage has: it stays so */
};

/* -- the whole --------------------------------------------------------------------------------- */

struct vhdx {
    /* Constant while it is open. */
    struct cm_store *file;
    struct cm_store *view;   /* what is read: the file, or the file with its log replayed over it */
    struct cm_image *parent; /* NULL: none */
    uint64_t parent_size;    /* bytes */
    unsigned block_shift, chunk_shift; /* bytes in a block, blocks in a chunk: powers of two */
    int read_only;
    int is_volatile; /* changes of the map are kept in memory until a flush: see commit.c */
    int was_dirty;
    unsigned depth;   /* how many images are above this one */
    int file_is_lent; /* it is not closed with the image */
    /* The header gets it when the session begins, instead of a new one; zeros: none. Set before that. */
    struct vhdx_guid next_data_write;

    struct cm_os_mutex lock;
    struct cm_os_cond changed; /* a page was loaded, a commit has ended */

    struct vhdx_header header; /* the leader's */
    struct vhdx_regions regions;
    struct vhdx_metadata metadata;
    int is_started; /* this session has changed the file */
    struct vhdx_pages pages;
    struct vhdx_space space;
    struct vhdx_log log;
    struct vhdx_commit commit;
};

/* What is not static; all but vhdx_commit(), vhdx_io_*() and vhdx_parent_open() with the lock held. */

/* The page at a byte of the file. 0, VHDX_AGAIN, or an error. Valid until the lock is let go. */
int vhdx_page_get(struct vhdx *v, uint64_t at, struct vhdx_page **page);
void vhdx_page_dirty(struct vhdx *v, struct vhdx_page *page);
/* Before a page is changed for the first time: its place in the file, which may be a hole, gets its space. CM_ENOSPC. */
int vhdx_page_reserve(struct vhdx *v, const struct vhdx_page *page);
/* Pages that are not dirty are forgotten: the range is used for something else. Waits for those that are being read. */
void vhdx_pages_forget(struct vhdx *v, uint64_t at, uint64_t size);
void vhdx_pages_free(struct vhdx *v);

/* Before the first page of a step is changed: 0, or VHDX_AGAIN after the session was begun or pages were committed. */
int vhdx_change_begin(struct vhdx *v);
/* Before payload is written, which changes the disk's content: the same, without room for pages. */
int vhdx_session_begin(struct vhdx *v);
/* All changes of the map that were made before the call. Blocks. Without the lock. */
int vhdx_commit(struct vhdx *v, enum vhdx_want want);
/* Alone with the file: no commit runs. vhdx_commit_leave() ends it. */
void vhdx_commit_enter(struct vhdx *v);
void vhdx_commit_leave(struct vhdx *v);
/* As the leader, with the lock: all that is dirty, durable; and in its place too. */
int vhdx_commit_now(struct vhdx *v);
int vhdx_commit_all(struct vhdx *v);
/* As the leader, with the lock, which is let go meanwhile: the file's flush, whose failure is never forgotten. */
int vhdx_commit_flush(struct vhdx *v);

/* The leader's; the lock is not needed but for vhdx_log_build(). */
/* A new log and the header that names it, which is the image's from then on; no commit runs. Without the lock. */
int vhdx_log_start(struct vhdx *v, struct vhdx_header *header);
int vhdx_log_end(struct vhdx *v); /* all is in its place: the file is clean */
void vhdx_log_build(struct vhdx *v, struct vhdx_page *const *pages, unsigned count);
/* The bytes of a page as the entry that was built last has them. */
void vhdx_log_get_page(const struct vhdx *v, unsigned number, unsigned char *bytes);
int vhdx_log_write(struct vhdx *v);
/* After a flush: the last entry stays until another one is. */
void vhdx_log_is_durable(struct vhdx *v);

/* Room of whole MiB that reads as zeros. */
int vhdx_space_take(struct vhdx *v, uint64_t size, uint64_t *at);
void vhdx_space_free(struct vhdx *v, uint64_t at, uint64_t size);
/* Somebody does I/O to payload: its place is not reused meanwhile. The slot is for vhdx_space_unuse(), which needs no
 * lock. */
unsigned vhdx_space_use(struct vhdx *v);
void vhdx_space_unuse(struct vhdx *v, unsigned slot);
void vhdx_space_logging(struct vhdx *v);
void vhdx_space_logged(struct vhdx *v, int error);
/* What can be made zeros now is moved to `zeroed`; @return how many items are there. */
unsigned vhdx_space_before_flush(struct vhdx *v);
void vhdx_space_when_durable(struct vhdx *v);
/* The gaps between what is used of the file: room that earlier sessions left. */
void vhdx_space_add_gap(struct vhdx *v, uint64_t at, uint64_t size);
/* When all is in its place: the end of the file without the room there that nobody has. */
uint64_t vhdx_space_cut(struct vhdx *v);
void vhdx_space_free_lists(struct vhdx *v);

/* -- scan.c ------------------------------------------------------------------------------------ */

/* All of the BAT, once, when a session begins: without the lock, before anything is changed. CM_EDAMAGED: the file ends
 * before its blocks do. */
int vhdx_scan(struct vhdx *v);

/* -- map.c ------------------------------------------------------------------------------------- */

/* Where a piece of a block is. */
struct vhdx_where {
    enum vhdx_state state; /* as in the BAT; VHDX_UNMAPPED_095 is VHDX_UNMAPPED */
    uint64_t at;           /* byte of the file of the block's beginning; 0: none */
    int is_dirty;          /* the log does not have it yet */
};

int vhdx_map_get(struct vhdx *v, uint64_t block, struct vhdx_where *where);
/* After vhdx_map_get() of the same block in the same step. */
int vhdx_map_set(struct vhdx *v, uint64_t block, enum vhdx_state state, uint64_t at);
/* From a sector of the disk on, within a block: whether it is here, and how many of `count` are the same. */
int vhdx_map_sectors(struct vhdx *v, uint64_t sector, uint32_t count, int *is_here,
                     uint32_t *alike);
/* Mark sectors as here or not; the bitmap block exists. */
int vhdx_map_set_sectors(struct vhdx *v, uint64_t sector, uint64_t count, int is_here);
/* There is a bitmap block for this block's chunk, and its bits are all 0. */
int vhdx_map_make_bitmap(struct vhdx *v, uint64_t block);
uint64_t vhdx_map_blocks(const struct vhdx *v); /* of the disk */
/* The bitmap block of this block's chunk: its place, 0: there is none. To set it, after a get in the same step. */
int vhdx_map_get_bitmap(struct vhdx *v, uint64_t block, uint64_t *at);
int vhdx_map_set_bitmap(struct vhdx *v, uint64_t block, uint64_t at);
/* A step: a block behind the end of the disk has room, at *at. */
int vhdx_map_fill(struct vhdx *v, uint64_t block, uint64_t *at);
/* A step: no entry on the page of entry `index` says anything, from that one up to `end`. *next: where to go on. */
int vhdx_map_clear(struct vhdx *v, uint64_t index, uint64_t end, uint64_t *next);

/* -- io.c -------------------------------------------------------------------------------------- */

int vhdx_io_read(void *context, void *buffer, uint32_t length, uint64_t offset);
int vhdx_io_write(void *context, const void *buffer, uint32_t length, uint64_t offset,
                  uint32_t flags);
int vhdx_io_trim(void *context, uint64_t offset, uint64_t length);
int vhdx_io_extent(void *context, uint64_t offset, uint64_t length, struct cm_extent *extent);
/* Blocks from this one on, behind the end of the disk, give up their room. Bytes of a block behind the end are zeros. */
int vhdx_io_give_up(struct vhdx *v, uint64_t block, uint64_t end);
int vhdx_io_zero_tail(struct vhdx *v, uint64_t from, uint64_t to);

/* -- resize.c ---------------------------------------------------------------------------------- */

int vhdx_resize(void *context, uint64_t size);

/* -- parent.c ---------------------------------------------------------------------------------- */

#define VHDX_DEPTH_MAX 32u

/* Open the parent that the locator names. Sets the sentence. */
int vhdx_parent_open(struct vhdx *v, const struct cm_image_options *options);
/* For CM_OPEN_ALONE: zeros in the parent's place. */
int vhdx_parent_stand_in(struct vhdx *v);
/* The file of the parent that the locator of `child`, a path, means, opened as `options` say and not read but for its
 * header; and whether a file is that. Set the sentence. */
int vhdx_parent_find(const char *child, const struct vhdx_locator *locator,
                     const struct cm_image_options *options, struct cm_store **store);
int vhdx_parent_check(const char *child, const struct vhdx_locator *locator,
                      struct cm_store *parent);
/* An image by its path, to be a parent: read-only. *vhdx is what is behind *image. */
int vhdx_open_path(const char *path, const struct cm_image_options *options, unsigned depth,
                   struct cm_image **image, struct vhdx **vhdx);
/* What a child in this place is to say of its parent. Sets the sentence; vhdx_locator_free() the locator. */
int vhdx_parent_locate(const char *child, const struct vhdx *parent, struct vhdx_locator *locator);
/* A new image in an empty store. */
int vhdx_create(struct cm_store *store, const struct cm_image_options *options);

/* -- vhdx.c ------------------------------------------------------------------------------------ */

/* An image over a store that becomes the image's if it succeeds. `depth`: how many are above it. *vhdx (NULL: not wanted)
 * is what is behind *image. */
int vhdx_open_over(struct cm_store *store, const struct cm_image_options *options, unsigned depth,
                   struct cm_image **image, struct vhdx **vhdx);

#endif
