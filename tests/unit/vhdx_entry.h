/* SPDX-License-Identifier: MIT */
/*
 * vhdx_entry.h - entries for the log of a VHDX image in memory, right in every byte or wrong in one that a test chooses;
 * written from the specification, not by the code that is tested.
 */
#ifndef CM_TESTS_VHDX_ENTRY_H
#define CM_TESTS_VHDX_ENTRY_H

#include "tests/unit/check.h"
#include "tests/unit/memory_store.h"

#include "images/vhdx/parts.h"
#include "lib/core/bytes.h"
#include "lib/core/crc32c.h"

#define ENTRY_LOG_AT VHDX_MIB /* of images that cm_vhdx_format() makes */
#define ENTRY_LOG_SIZE 1048576u

struct vhdx_change {
    uint64_t at;
    uint64_t zeros;            /* bytes; 0: data */
    const unsigned char *data; /* 4 KiB */
};

struct vhdx_test_entry {
    uint64_t sequence;
    uint32_t at, tail; /* in the log */
    uint64_t flushed, last;
    const struct vhdx_change *changes;
    unsigned count;
    unsigned more; /* sectors that the entry is longer than it need be */
};

/* A log that counts: the headers name it. */
static inline struct vhdx_guid vhdx_test_log(struct memory_store *m)
{
    struct cm_store *store = memory_store_new(m);
    struct vhdx_header header;
    struct vhdx_guid log = {{1, 2, 3}};

    CHECK_EQ(vhdx_header_read(store, &header), 0);
    header.log = log;
    CHECK_EQ(vhdx_header_write(store, &header), 0);
    cm_store_close(store);
    return log;
}

/* Over the end of the ring if need be. @return the position behind it. */
static inline uint32_t vhdx_test_put(struct memory_store *m, const unsigned char *bytes,
                                     uint32_t length, uint32_t at)
{
    for (uint32_t i = 0; i < length; i += VHDX_SECTOR)
        memory_store_poke(m, bytes + i, VHDX_SECTOR, ENTRY_LOG_AT + (at + i) % ENTRY_LOG_SIZE);
    return (at + length) % ENTRY_LOG_SIZE;
}

static inline uint32_t vhdx_test_write(struct memory_store *m, const struct vhdx_guid *log,
                                       const struct vhdx_test_entry *entry)
{
    uint32_t head = (64 + 32 * entry->count + VHDX_SECTOR - 1) / VHDX_SECTOR, data = head;
    unsigned char *bytes = calloc(head + entry->count + entry->more + 1, VHDX_SECTOR);
    uint32_t length, end;

    for (unsigned i = 0; i < entry->count; i++) {
        const struct vhdx_change *change = &entry->changes[i];
        unsigned char *d = bytes + 64 + 32 * i, *sector = bytes + (size_t)data * VHDX_SECTOR;

        memcpy(d, change->zeros != 0 ? "zero" : "desc", 4);
        cm_put_le64(d + 16, change->at);
        cm_put_le64(d + 24, entry->sequence);
        cm_put_le64(d + 8, change->zeros);
        if (change->zeros != 0)
            continue;
        memcpy(d + 8, change->data, 8);
        memcpy(d + 4, change->data + 4092, 4);
        memcpy(sector, change->data, VHDX_SECTOR);
        memcpy(sector, "data", 4);
        cm_put_le32(sector + 4, (uint32_t)(entry->sequence >> 32));
        cm_put_le32(sector + 4092, (uint32_t)entry->sequence);
        data++;
    }
    length = (data + entry->more) * VHDX_SECTOR;
    memcpy(bytes, "loge", 4);
    cm_put_le32(bytes + 8, length);
    cm_put_le32(bytes + 12, entry->tail);
    cm_put_le64(bytes + 16, entry->sequence);
    cm_put_le32(bytes + 24, entry->count);
    memcpy(bytes + 32, log->bytes, 16);
    cm_put_le64(bytes + 48, entry->flushed);
    cm_put_le64(bytes + 56, entry->last);
    cm_put_le32(bytes + 4, cm_crc32c(0, bytes, length));
    end = vhdx_test_put(m, bytes, length, entry->at);
    free(bytes);
    return end;
}

#endif
