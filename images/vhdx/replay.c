/* SPDX-License-Identifier: MIT */
/*
 * replay.c - the log of a VHDX file that was not closed, replayed: shown over the file as it is (vhdx_replay_view), or
 * written into it (vhdx_replay_apply). Called when an image is opened, on one thread; the view's reads come from any.
 *
 * The changes of all entries are first laid over each other, the newer over the older, so that what is left are ranges in
 * the order of the file that do not overlap. The view finds them by bisection; applying writes each byte once.
 */
#include <stdlib.h>
#include <string.h>

#include <coremnt/error.h>

#include "images/vhdx/found_log.h"
#include "lib/core/bytes.h"
#include "lib/core/error_internal.h"

/* Where the log may write: not the identifier and the headers, which are not logged. */
#define LOGGED_AT VHDX_REGIONS_AT(0)
#define FILE_MAX (UINT64_C(128) << 40)  /* bytes: twice the largest disk */
#define CHANGES_MAX (UINT32_C(1) << 18) /* of which a log of LOG_MAX can have more, and none has */
#define ZEROS UINT32_MAX

/* A range of the file and what it is to hold. */
struct change {
    uint64_t at, length;
    uint32_t data;       /* position in the log of a sector; ZEROS: none */
    uint32_t descriptor; /* position; has what the sector's signatures took the place of */
};

struct changes {
    struct change *items; /* sorted, no overlaps */
    size_t count;
};

struct replay {
    struct cm_store *below;
    struct vhdx_found_log log;
    struct changes changes;
    uint64_t size; /* bytes of the file when it is replayed */
};

/* -- layers ------------------------------------------------------------------------------------ */

static uint64_t end_of(const struct change *change)
{
    return change->at + change->length;
}

/* Of the old what the new leaves uncovered, and the new. `out` has room for the old, and twice for the new: each of the
 * new may part one of the old. */
static size_t lay_over(const struct changes *old, const struct changes *new, struct change *out)
{
    size_t i = 0, j = 0, count = 0;
    uint64_t done = 0; /* nothing is missing before */

    for (;;) {
        struct change next;

        while (i < old->count && end_of(&old->items[i]) <= done)
            i++;
        if (i == old->count)
            break;
        next = old->items[i];
        if (next.at < done) {
            next.length -= done - next.at;
            next.at = done;
        }
        if (j < new->count &&new->items[j].at <= next.at)
            next = new->items[j++];
        else if (j < new->count &&new->items[j].at < end_of(&next))
            next.length = new->items[j].at - next.at;
        done = end_of(&next);
        out[count++] = next;
    }
    while (j < new->count)
        out[count++] = new->items[j++];
    return count;
}

/* Changes in the order of time, the newest last, to `result`, which is for free(). By halves: as deep as the logarithm of
 * their number. 0 or CM_ENOMEM. */
static int flatten(const struct change *items, size_t count, struct changes *result)
{
    struct changes old = {NULL, 0}, new = {NULL, 0};
    int error;

    result->count = 0;
    result->items = malloc(2 * count * sizeof(*items));
    if (result->items == NULL)
        return CM_ENOMEM;
    if (count == 1) {
        result->items[0] = items[0];
        result->count = 1;
        return 0;
    }
    error = flatten(items, count / 2, &old);
    if (error == 0)
        error = flatten(items + count / 2, count - count / 2, &new);
    if (error == 0)
        result->count = lay_over(&old, &new, result->items);
    free(old.items);
    free(new.items);
    return error;
}

/* -- from the log ------------------------------------------------------------------------------ */

static int check_change(const struct replay *replay, const struct vhdx_header *header,
                        const struct change *c)
{
    if (c->at % VHDX_SECTOR == 0 && c->length % VHDX_SECTOR == 0 && c->at >= LOGGED_AT &&
        c->length <= replay->size && c->at <= replay->size - c->length &&
        (c->at >= header->log_at + header->log_size || end_of(c) <= header->log_at))
        return 0;
    return cm_fail(CM_EDAMAGED,
                   "%s is damaged: its log would write %llu bytes at %llu, where it has nothing to "
                   "write. Restore the file from a copy.",
                   cm_store_path(replay->below), (unsigned long long)c->length,
                   (unsigned long long)c->at);
}

/* The changes of one entry, behind `count`. An empty one is none. */
static int take_entry(const struct replay *replay, const struct vhdx_header *header,
                      const struct vhdx_log_entry *entry, struct change *all, size_t *count)
{
    const struct vhdx_found_log *log = &replay->log;
    uint32_t data = 0;

    for (uint32_t i = 0; i < entry->descriptors; i++) {
        uint32_t at = vhdx_log_descriptor_at(log, entry, i);
        const unsigned char *d = log->bytes + at;
        struct change change = {cm_get_le64(d + 16), VHDX_SECTOR, ZEROS, at};
        int error;

        if (memcmp(d, VHDX_ZERO_SIGNATURE, 4) == 0)
            change.length = cm_get_le64(d + 8);
        else
            change.data = vhdx_log_data_at(log, entry, data++);
        error = check_change(replay, header, &change);
        if (error != 0)
            return error;
        if (change.length != 0)
            all[(*count)++] = change;
    }
    return 0;
}

/* How many changes there are, and how long the file is to be, which bounds them. */
static int measure(struct replay *replay, size_t *count)
{
    struct vhdx_log_entry entry;
    uint32_t at = replay->log.first;

    *count = 0;
    replay->size = cm_store_size(replay->below);
    for (uint32_t i = 0; i < replay->log.entries; i++) {
        vhdx_log_entry_at(&replay->log, at, &entry);
        *count += entry.descriptors;
        if (entry.last_size > replay->size)
            replay->size = entry.last_size;
        at = vhdx_log_position(&replay->log, at, entry.length);
    }
    if (replay->size > FILE_MAX || *count > CHANGES_MAX)
        return cm_fail(CM_EDAMAGED,
                       "%s is damaged: its log says that the file has %llu bytes and %llu changes, "
                       "which no VHDX image has. Restore it from a copy.",
                       cm_store_path(replay->below), (unsigned long long)replay->size,
                       (unsigned long long)*count);
    return 0;
}

static int take_changes(struct replay *replay, const struct vhdx_header *header, size_t most)
{
    struct change *all = malloc((most + 1) * sizeof(*all));
    struct vhdx_log_entry entry;
    uint32_t at = replay->log.first;
    size_t count = 0;
    int error = 0;

    if (all == NULL)
        return cm_fail(CM_ENOMEM, "no memory to replay the log of %s.",
                       cm_store_path(replay->below));
    for (uint32_t i = 0; i < replay->log.entries && error == 0; i++) {
        vhdx_log_entry_at(&replay->log, at, &entry);
        error = take_entry(replay, header, &entry, all, &count);
        at = vhdx_log_position(&replay->log, at, entry.length);
    }
    if (error == 0 && count != 0) {
        error = flatten(all, count, &replay->changes);
        if (error != 0)
            cm_fail(error, "no memory to replay the log of %s.", cm_store_path(replay->below));
    }
    free(all);
    return error;
}

static void forget(struct replay *replay)
{
    free(replay->changes.items);
    vhdx_log_forget(&replay->log);
    free(replay);
}

/* *replay is NULL if there is nothing to do. */
static int prepare(struct cm_store *store, const struct vhdx_header *header, struct replay **replay)
{
    struct replay *r = calloc(1, sizeof(*r));
    size_t count;
    int error;

    *replay = NULL;
    if (r == NULL)
        return cm_fail(CM_ENOMEM, "no memory to open %s.", cm_store_path(store));
    r->below = store;
    error = vhdx_log_find(store, header, &r->log);
    if (error == 0 && r->log.bytes != NULL) {
        error = measure(r, &count);
        if (error == 0)
            error = take_changes(r, header, count);
        if (error == 0) {
            *replay = r;
            return 0;
        }
    }
    forget(r);
    return error;
}

/* The page of the file that a sector of data stands for: its first 8 and last 4 bytes are in the descriptor. */
static void page_of(const struct replay *replay, const struct change *change,
                    unsigned char page[VHDX_SECTOR])
{
    const unsigned char *data = replay->log.bytes + change->data;
    const unsigned char *descriptor = replay->log.bytes + change->descriptor;

    memcpy(page, descriptor + 8, 8);
    memcpy(page + 8, data + 8, VHDX_SECTOR - 12);
    memcpy(page + VHDX_SECTOR - 4, descriptor + 4, 4);
}

/* -- the view ---------------------------------------------------------------------------------- */

/* The first change that ends behind an offset; count: none. */
static size_t find(const struct changes *changes, uint64_t offset)
{
    size_t low = 0, high = changes->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (end_of(&changes->items[middle]) <= offset)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static void read_change(const struct replay *replay, const struct change *change,
                        unsigned char *buffer, uint32_t length, uint64_t offset)
{
    unsigned char page[VHDX_SECTOR];

    if (change->data == ZEROS) {
        memset(buffer, 0, length);
        return;
    }
    page_of(replay, change, page);
    memcpy(buffer, page + (offset - change->at), length);
}

static int view_read(void *context, void *buffer, uint32_t length, uint64_t offset)
{
    const struct replay *replay = context;
    const struct changes *changes = &replay->changes;
    unsigned char *to = buffer;
    int error = 0;

    for (size_t i = find(changes, offset); length > 0 && error == 0;) {
        int is_changed = i < changes->count && changes->items[i].at <= offset;
        uint64_t there = is_changed           ? end_of(&changes->items[i]) - offset
                         : i < changes->count ? changes->items[i].at - offset
                                              : length;
        uint32_t part = there < length ? (uint32_t)there : length;

        if (is_changed)
            read_change(replay, &changes->items[i++], to, part, offset);
        else
            error = cm_store_read(replay->below, to, part, offset);
        to += part;
        offset += part;
        length -= part;
    }
    return error;
}

static int view_allocated(void *context, uint64_t *bytes)
{
    const struct replay *replay = context;

    return cm_store_allocated(replay->below, bytes);
}

static void view_close(void *context)
{
    forget(context);
}

/* It is read-only: store.c asks for nothing else. */
static const struct cm_store_ops view_ops = {
    .read = view_read,
    .allocated = view_allocated,
    .close = view_close,
};

int vhdx_replay_view(struct cm_store *store, const struct vhdx_header *header,
                     struct cm_store **replayed)
{
    struct replay *replay;
    int error = prepare(store, header, &replay);

    *replayed = NULL;
    if (error != 0 || replay == NULL)
        return error;
    error = cm_store_new(&view_ops, replay, replay->size, 1, cm_store_path(store), replayed);
    if (error != 0)
        forget(replay);
    return error;
}

/* -- into the file ----------------------------------------------------------------------------- */

/* `was`: how long the file was; what is behind is zeros already. */
static int apply_change(struct cm_store *store, const struct replay *replay,
                        const struct change *change, uint64_t was)
{
    unsigned char page[VHDX_SECTOR];
    uint64_t length = change->length;

    if (change->data != ZEROS) {
        page_of(replay, change, page);
        return cm_store_write(store, page, sizeof(page), change->at);
    }
    if (change->at >= was)
        return 0;
    return cm_store_zero(store, change->at, length < was - change->at ? length : was - change->at);
}

static int apply(struct cm_store *store, const struct replay *replay)
{
    uint64_t was = cm_store_size(store);
    int error = replay->size > was ? cm_store_resize(store, replay->size) : 0;

    for (size_t i = 0; i < replay->changes.count && error == 0; i++)
        error = apply_change(store, replay, &replay->changes.items[i], was);
    if (error == 0)
        error = cm_store_flush(store);
    if (error != 0)
        return cm_fail(error,
                       "cannot replay the log of %s: %s. It is as it was; open it again when that "
                       "is mended.",
                       cm_store_path(store), cm_error_name(error));
    return 0;
}

int vhdx_replay_apply(struct cm_store *store, struct vhdx_header *header)
{
    struct replay *replay;
    int error = prepare(store, header, &replay);

    if (error == 0 && replay != NULL) {
        error = apply(store, replay);
        forget(replay);
    }
    if (error != 0 || vhdx_guid_is_zero(&header->log))
        return error;
    memset(&header->log, 0, sizeof(header->log));
    error = vhdx_guid_make(&header->file_write);
    return error == 0 ? vhdx_header_write(store, header) : error;
}
