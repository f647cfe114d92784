/* SPDX-License-Identifier: MIT */
/*
 * recorder.h - a store that notes what a container does to its file: every write, punch, resize and flush, with when it
 * began and when it returned. cut.h makes of that the files that a power cut could have left.
 *
 * Time is counted in events: the beginning and the end of each of these calls is one, and of each call of the program.
 * Reads are none.
 */
#ifndef CM_TESTS_RECORDER_H
#define CM_TESTS_RECORDER_H

#include <stddef.h>
#include <stdint.h>

#include "lib/core/os.h"
#include "sparse.h"

#define RECORD_NEVER UINT64_MAX

enum record_kind { RECORD_WRITE, RECORD_PUNCH, RECORD_RESIZE, RECORD_FLUSH };

struct record_op {
    enum record_kind kind;
    uint64_t offset; /* bytes; of a resize: the new size */
    uint64_t length; /* bytes; of a write or punch */
    unsigned char *data;
    uint64_t begin, done; /* events; done is RECORD_NEVER as long as it has not returned */
};

/* What a storage can do wrong, for the tests of the tests; and what it can lack. */
struct recorder_options {
    unsigned lose_flushes;  /* every n-th flush returns without having done anything; 0: none */
    int cannot_punch;       /* CM_ENOTSUP */
    uint64_t size_limit;    /* bytes; a larger file is CM_ENOSPC; 0: none */
    unsigned slow_flush_ms; /* so that others get a chance meanwhile */
};

struct recorder {
    struct sparse *file; /* the caller's: as the container sees it */
    struct recorder_options options;
    struct cm_os_mutex lock;
    _Atomic uint64_t events;
    struct record_op *ops; /* in the order of their beginnings */
    size_t count, room;
    uint64_t flushes; /* calls, those that were lost included */
    int is_recording;
};

void recorder_init(struct recorder *recorder, struct sparse *file,
                   const struct recorder_options *options);
void recorder_destroy(struct recorder *recorder);

/* How many events there were until now. */
uint64_t recorder_now(const struct recorder *recorder);
/* An event of the program itself, which tells what was before a call of it from what was meanwhile. @return its number. */
uint64_t recorder_tick(struct recorder *recorder);

/* A store that records; the recorder must outlive it. */
struct cm_store *recorder_store(struct recorder *recorder, const char *path);

#endif
