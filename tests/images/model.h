/* SPDX-License-Identifier: MIT */
/*
 * model.h - what a disk may hold after a power cut. Some areas of it are followed, in cells of 512 bytes, and with each
 * cell all that was ever written to it and when: begun, answered, made durable. Every written cell says in its bytes
 * which cell it is and which write it is from, so whatever is found is known exactly.
 *
 * A cell may hold the last write that was durable when the power went, or any later one that had begun; never anything
 * else. A trim is a write of zeros.
 *
 * Any threads at once, but one at a time for an area: the caller locks it.
 */
#ifndef CM_TESTS_MODEL_H
#define CM_TESTS_MODEL_H

#include <stddef.h>
#include <stdint.h>

#include "lib/core/os.h"

#include <coremnt/image.h>

#define CELL 512u /* bytes */
#define MODEL_AREAS 64u

#define MODEL_SIZES 32u

/* A size that the disk has had, and when it got it: events. */
struct model_size {
    uint64_t size, begin, done;
};

struct model_area {
    uint64_t offset; /* bytes of the disk */
    uint32_t cells;
    unsigned char *initial;    /* content at the beginning */
    struct history *histories; /* one for each cell */
    struct cm_os_mutex lock;
};

struct model {
    struct model_area areas[MODEL_AREAS];
    unsigned area_count;
    uint32_t next_stamp;
    uint32_t first_stamp; /* stamps below are from before the beginning */
    struct model_write *writes;
    size_t write_count, write_room;
    struct model_size sizes[MODEL_SIZES];
    unsigned size_count;
    struct cm_os_mutex lock;
};

void model_init(struct model *model, uint64_t disk_size, uint32_t first_stamp);
void model_destroy(struct model *model);

/* An area to follow; areas do not overlap and are added in the order of their offsets. `initial` is copied; NULL: zeros. */
void model_add_area(struct model *model, uint64_t offset, uint32_t cells,
                    const unsigned char *initial);

/*
 * A write begins, at this event: of new content, put into `data`, or of zeros when `data` is NULL. Whatever areas
 * the range has are changed.
 * @return its stamp.
 */
uint32_t model_begin(struct model *model, uint64_t offset, uint64_t length, unsigned char *data,
                     uint64_t now);

/* It has returned without an error: what is read from now on has it. A write that failed is never told. */
void model_done(struct model *model, uint32_t stamp, uint64_t now);
/* It is durable: it was written so. */
void model_durable(struct model *model, uint32_t stamp, uint64_t now);
/* A flush that began and returned at these events has made durable what was done before. */
void model_flushed(struct model *model, uint64_t began, uint64_t now);

/* Of the disk; a resize that failed is never done. It is durable when it is done. */
void model_resize_begin(struct model *model, uint64_t size, uint64_t now);
void model_resize_done(struct model *model, uint64_t now);

/*
 * Whether the content that was read may be there; at `cut`, an event, the power went. RECORD_NEVER (recorder.h): it did
 * not, what was done must be there.
 * @return 1, or 0 and a sentence.
 */
int model_check(const struct model *model, const unsigned char *data, uint64_t offset,
                uint64_t length, uint64_t cut, char *why, size_t why_size);

int model_check_size(const struct model *model, uint64_t size, uint64_t cut);

/* Whether the size was being changed then. */
int model_is_resizing(const struct model *model, uint64_t cut);

/* The content that a cell has after a write with this stamp. */
void model_fill(unsigned char *cell, uint64_t number, uint32_t stamp);

#endif
