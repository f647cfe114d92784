/* SPDX-License-Identifier: MIT */
/*
 * found_log.h - the log of a VHDX file as it is found when the file is opened: the newest run of entries that follow each
 * other. found_log.c finds it, replay.c replays it, check.c tells of it.
 */
#ifndef CM_VHDX_FOUND_LOG_H
#define CM_VHDX_FOUND_LOG_H

#include <stdint.h>

#include "images/vhdx/parts.h"

/* What a header of an entry says; checked. Positions are bytes of the log, whole sectors. */
struct vhdx_log_entry {
    uint32_t at;
    uint32_t length; /* bytes; at most the log */
    uint32_t tail;   /* position of the oldest entry that is still needed */
    uint32_t descriptors;
    uint64_t sequence;
    uint64_t flushed_size; /* the file was so long, durably, when the entry was written */
    uint64_t last_size;    /* and so long all its parts need it to be */
};

struct vhdx_found_log {
    unsigned char *bytes; /* all of the log; NULL: there is nothing to replay */
    uint32_t size;
    uint32_t entries;           /* to replay, from first on */
    uint32_t first;             /* position */
    struct vhdx_log_entry head; /* the newest */
};

/*
 * Find what is to be replayed. Nothing is (bytes NULL, 0 returned) when the header names no log, or names one of which
 * no entry is whole: that is what a power cut during the first one leaves. CM_EDAMAGED: there are entries, but the
 * newest run lacks its beginning, or the log is larger or stranger than any that is made. Reads the log once and sums no
 * more than a few times its length.
 */
int vhdx_log_find(struct cm_store *store, const struct vhdx_header *header,
                  struct vhdx_found_log *found);
void vhdx_log_forget(struct vhdx_found_log *found);

/* The entry at a position of the run, which is known to be whole. */
void vhdx_log_entry_at(const struct vhdx_found_log *found, uint32_t at,
                       struct vhdx_log_entry *entry);

/* Positions of parts of an entry, which may go over the end of the ring. */
uint32_t vhdx_log_position(const struct vhdx_found_log *found, uint32_t at, uint64_t offset);
uint32_t vhdx_log_descriptor_at(const struct vhdx_found_log *found,
                                const struct vhdx_log_entry *entry, uint32_t index);
/* Of the index-th sector of data. */
uint32_t vhdx_log_data_at(const struct vhdx_found_log *found, const struct vhdx_log_entry *entry,
                          uint32_t index);

#endif
