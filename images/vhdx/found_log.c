/* SPDX-License-Identifier: MIT */
/*
 * found_log.c - which entries of a VHDX log count. Called by replay.c and check.c before anything else of the file is
 * trusted. Any thread.
 *
 * The log is a ring of sectors in which old entries lie until they are overwritten. An entry counts by itself if its
 * checksum is right and it carries the log's GUID; a run of them, each with the number after that of the one before, counts
 * if the entry where its newest one says that the log begins (the tail) is one of them. Of several runs the newest counts.
 *
 * All that is read here may have been made to do harm. Who makes a log of entries that lie in each other would have them
 * summed again and again; in one that was honestly written they do not lie so, because only the newest entry overwrites
 * others, and what looks like a header there stands at no beginning of a sector. So there is a budget.
 */
#include "images/vhdx/found_log.h"

#include <stdlib.h>
#include <string.h>

#include <coremnt/error.h>

#include "lib/core/bytes.h"
#include "lib/core/crc32c.h"
#include "lib/core/error_internal.h"

#define LOG_MAX (64u << 20)  /* bytes; Windows and QEMU make 1 MiB */
#define READ_PART (1u << 20) /* bytes */
#define BUDGET_LOGS 8u       /* so many times the log is summed at most */

#define CHECKSUM_AT 4u
#define LENGTH_AT 8u
#define TAIL_AT 12u
#define SEQUENCE_AT 16u
#define DESCRIPTORS_AT 24u
#define GUID_AT 32u
#define FLUSHED_AT 48u
#define LAST_AT 56u

struct search {
    struct vhdx_found_log *found;
    const struct vhdx_guid *guid;
    uint64_t budget; /* bytes that may still be summed */
    uint32_t whole;  /* entries that were, in all */
};

/* -- the ring ---------------------------------------------------------------------------------- */

uint32_t vhdx_log_position(const struct vhdx_found_log *found, uint32_t at, uint64_t offset)
{
    return (uint32_t)((at + offset) % found->size);
}

uint32_t vhdx_log_descriptor_at(const struct vhdx_found_log *found,
                                const struct vhdx_log_entry *entry, uint32_t index)
{
    return vhdx_log_position(found, entry->at,
                             VHDX_ENTRY_HEADER + (uint64_t)index * VHDX_DESCRIPTOR);
}

/* Of header and descriptors: data begins with the next one. */
static uint32_t descriptor_sectors(const struct vhdx_log_entry *entry)
{
    uint64_t bytes = VHDX_ENTRY_HEADER + (uint64_t)entry->descriptors * VHDX_DESCRIPTOR;

    return (uint32_t)((bytes + VHDX_SECTOR - 1) / VHDX_SECTOR);
}

uint32_t vhdx_log_data_at(const struct vhdx_found_log *found, const struct vhdx_log_entry *entry,
                          uint32_t index)
{
    return vhdx_log_position(found, entry->at,
                             ((uint64_t)descriptor_sectors(entry) + index) * VHDX_SECTOR);
}

void vhdx_log_entry_at(const struct vhdx_found_log *found, uint32_t at,
                       struct vhdx_log_entry *entry)
{
    const unsigned char *bytes = found->bytes + at;

    entry->at = at;
    entry->length = cm_get_le32(bytes + LENGTH_AT);
    entry->tail = cm_get_le32(bytes + TAIL_AT);
    entry->descriptors = cm_get_le32(bytes + DESCRIPTORS_AT);
    entry->sequence = cm_get_le64(bytes + SEQUENCE_AT);
    entry->flushed_size = cm_get_le64(bytes + FLUSHED_AT);
    entry->last_size = cm_get_le64(bytes + LAST_AT);
}

/* -- one entry --------------------------------------------------------------------------------- */

/* What can be said without the sum. */
static int looks_like_an_entry(const struct search *search, uint32_t at,
                               struct vhdx_log_entry *entry)
{
    const unsigned char *bytes = search->found->bytes + at;
    uint32_t size = search->found->size;

    if (memcmp(bytes, VHDX_ENTRY_SIGNATURE, 4) != 0 ||
        memcmp(bytes + GUID_AT, search->guid->bytes, 16) != 0)
        return 0;
    vhdx_log_entry_at(search->found, at, entry);
    return entry->length != 0 && entry->length % VHDX_SECTOR == 0 && entry->length <= size &&
           entry->tail % VHDX_SECTOR == 0 && entry->tail < size && entry->sequence != 0 &&
           entry->descriptors <= (entry->length - VHDX_ENTRY_HEADER) / VHDX_DESCRIPTOR;
}

/* With zeros where the sum itself is; in two parts if the entry goes over the end of the ring. */
static uint32_t checksum(const struct vhdx_found_log *found, const struct vhdx_log_entry *entry)
{
    static const unsigned char zeros[4];
    const unsigned char *bytes = found->bytes + entry->at;
    uint32_t there = found->size - entry->at;
    uint32_t part = entry->length < there ? entry->length : there;
    uint32_t crc = cm_crc32c(0, bytes, CHECKSUM_AT);

    crc = cm_crc32c(crc, zeros, sizeof(zeros));
    crc = cm_crc32c(crc, bytes + CHECKSUM_AT + 4, part - CHECKSUM_AT - 4);
    return cm_crc32c(crc, found->bytes, entry->length - part);
}

static int is_data_of(const unsigned char *sector, uint64_t sequence)
{
    return memcmp(sector, VHDX_DATA_SIGNATURE, 4) == 0 &&
           cm_get_le32(sector + 4) == (uint32_t)(sequence >> 32) &&
           cm_get_le32(sector + VHDX_SECTOR - 4) == (uint32_t)sequence;
}

/* Each descriptor is of this entry, and each that needs one has its sector of data. */
static int descriptors_are_right(const struct vhdx_found_log *found,
                                 const struct vhdx_log_entry *entry)
{
    uint32_t room = entry->length / VHDX_SECTOR - descriptor_sectors(entry), data = 0;

    for (uint32_t i = 0; i < entry->descriptors; i++) {
        const unsigned char *d = found->bytes + vhdx_log_descriptor_at(found, entry, i);

        if (cm_get_le64(d + 24) != entry->sequence)
            return 0;
        if (memcmp(d, VHDX_ZERO_SIGNATURE, 4) == 0)
            continue;
        if (memcmp(d, VHDX_DESC_SIGNATURE, 4) != 0 || data == room ||
            !is_data_of(found->bytes + vhdx_log_data_at(found, entry, data), entry->sequence))
            return 0;
        data++;
    }
    return 1;
}

/* 1: an entry; 0: none, or none any more; negative: the budget is spent. */
static int is_entry(struct search *search, uint32_t at, struct vhdx_log_entry *entry)
{
    if (!looks_like_an_entry(search, at, entry))
        return 0;
    if (search->budget < entry->length)
        return CM_EDAMAGED;
    search->budget -= entry->length;
    return cm_get_le32(search->found->bytes + at + CHECKSUM_AT) == checksum(search->found, entry) &&
           descriptors_are_right(search->found, entry);
}

/* -- runs -------------------------------------------------------------------------------------- */

struct run {
    uint32_t start, count;
    uint64_t length; /* bytes; at most the log */
    struct vhdx_log_entry head;
};

/* From an entry on, as far as the numbers go up by one. Negative: the budget is spent. */
static int follow(struct search *search, const struct vhdx_log_entry *first, struct run *run)
{
    uint32_t size = search->found->size;

    run->start = first->at;
    run->count = 1;
    run->length = first->length;
    run->head = *first;
    while (run->length < size) {
        uint32_t at = vhdx_log_position(search->found, run->start, run->length);
        struct vhdx_log_entry next;
        int is;

        /* The number before the sum, which is dear: the entry behind the newest is the oldest. */
        if (!looks_like_an_entry(search, at, &next) || next.sequence != run->head.sequence + 1 ||
            next.length > size - run->length)
            return 0;
        is = is_entry(search, at, &next);
        if (is <= 0)
            return is;
        run->count++;
        run->length += next.length;
        run->head = next;
    }
    return 0;
}

/* How many entries lie before that at the tail; all of them: none is there. */
static uint32_t entries_before_tail(const struct vhdx_found_log *found, const struct run *run)
{
    uint32_t at = run->start, before = 0;
    struct vhdx_log_entry entry;

    while (before < run->count && at != run->head.tail) {
        vhdx_log_entry_at(found, at, &entry);
        at = vhdx_log_position(found, at, entry.length);
        before++;
    }
    return before;
}

/* Begin at each entry that is in no run yet. A run that goes over the end of the ring is the last. */
static int find_newest(struct search *search)
{
    struct vhdx_found_log *found = search->found;

    for (uint64_t at = 0; at < found->size;) {
        struct run run = {0};
        struct vhdx_log_entry first;
        uint32_t before;
        int is = is_entry(search, (uint32_t)at, &first);

        if (is > 0)
            is = follow(search, &first, &run);
        if (is < 0)
            return is;
        at += run.count != 0 ? run.length : VHDX_SECTOR;
        if (run.count == 0)
            continue;
        search->whole += run.count;
        before = entries_before_tail(found, &run);
        if (before < run.count &&
            (found->entries == 0 || run.head.sequence > found->head.sequence)) {
            found->entries = run.count - before;
            found->first = run.head.tail;
            found->head = run.head;
        }
    }
    return 0;
}

/* -- the whole --------------------------------------------------------------------------------- */

static int read_ring(struct cm_store *store, const struct vhdx_header *header,
                     struct vhdx_found_log *found)
{
    int error = 0;

    if (header->log_size > LOG_MAX)
        return cm_fail(CM_ENOTSUP,
                       "%s was not closed, and its log of %lu MiB is larger than the %u MiB that "
                       "this program replays. Open and close it with the program that made it.",
                       cm_store_path(store), (unsigned long)(header->log_size / VHDX_MIB),
                       (unsigned)(LOG_MAX / VHDX_MIB));
    found->size = header->log_size;
    found->bytes = malloc(found->size);
    if (found->bytes == NULL)
        return cm_fail(CM_ENOMEM, "no memory to open %s.", cm_store_path(store));
    for (uint32_t done = 0; done < found->size && error == 0; done += READ_PART)
        error = cm_store_read(store, found->bytes + done, READ_PART, header->log_at + done);
    if (error != 0)
        return cm_fail(error, "cannot read the log of %s: %s.", cm_store_path(store),
                       cm_error_name(error));
    return 0;
}

static int judge(struct cm_store *store, const struct search *search)
{
    const struct vhdx_found_log *found = search->found;

    if (found->entries == 0 && search->whole != 0)
        return cm_fail(CM_EDAMAGED,
                       "%s is damaged: it was not closed, and the beginning of its log is gone, so "
                       "that the rest cannot be replayed. Restore it from a copy.",
                       cm_store_path(store));
    if (found->entries != 0 && found->head.flushed_size > cm_store_size(store))
        return cm_fail(CM_EDAMAGED,
                       "%s is cut off: it has %llu bytes, and its log says that it had %llu. Copy "
                       "it again from where it came.",
                       cm_store_path(store), (unsigned long long)cm_store_size(store),
                       (unsigned long long)found->head.flushed_size);
    return 0;
}

int vhdx_log_find(struct cm_store *store, const struct vhdx_header *header,
                  struct vhdx_found_log *found)
{
    struct search search = {found, &header->log, (uint64_t)BUDGET_LOGS * header->log_size, 0};
    int error;

    memset(found, 0, sizeof(*found));
    if (vhdx_guid_is_zero(&header->log))
        return 0;
    error = read_ring(store, header, found);
    if (error == 0) {
        error = find_newest(&search);
        if (error != 0)
            cm_fail(error,
                    "%s is damaged: the entries of its log lie in each other. Restore it from a "
                    "copy.",
                    cm_store_path(store));
    }
    if (error == 0)
        error = judge(store, &search);
    if (error != 0 || found->entries == 0)
        vhdx_log_forget(found);
    return error;
}

void vhdx_log_forget(struct vhdx_found_log *found)
{
    free(found->bytes);
    memset(found, 0, sizeof(*found));
}
