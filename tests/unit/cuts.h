/* SPDX-License-Identifier: MIT */
/*
 * cuts.h - what power cuts leave of work on one or two files: every change of some memory stores is recorded, in the order
 * in which they come; then any number of them can be done again on copies of what was there before.
 *
 * tests/images/ does that for random programs of one image; this is for work on whole files, which ends by itself.
 */
#ifndef CM_TESTS_CUTS_H
#define CM_TESTS_CUTS_H

#include "tests/unit/check.h"
#include "tests/unit/memory_store.h"

#define CUT_STORES 2u

/* What is there of what was not flushed. */
enum cut_kind {
    CUT_ALL,  /* everything, in order */
    CUT_NONE, /* nothing */
    CUT_SOME, /* some of the writes, and of some of them some sectors of 512 bytes */
};

struct cut_event {
    unsigned store;
    enum memory_store_call call;
    uint64_t offset, length;
    unsigned char *bytes; /* of a write */
};

struct cut_record {
    struct cut_event *events;
    unsigned count, room;
    struct memory_store before[CUT_STORES];
    struct cut_watch {
        struct cut_record *record;
        unsigned store;
    } watches[CUT_STORES];
};

static inline void cut_note(void *context, enum memory_store_call call, const void *buffer,
                            uint64_t offset, uint64_t length)
{
    struct cut_watch *watch = context;
    struct cut_record *record = watch->record;
    struct cut_event *event;

    if (call == MEMORY_STORE_READ)
        return;
    if (record->count == record->room) {
        record->room = record->room == 0 ? 256 : record->room * 2;
        record->events = realloc(record->events, record->room * sizeof(*record->events));
    }
    event = &record->events[record->count++];
    *event = (struct cut_event){watch->store, call, offset, length, NULL};
    if (call == MEMORY_STORE_WRITE) {
        event->bytes = malloc(length);
        memcpy(event->bytes, buffer, length);
    }
}

/* Zero-initialise the record, then this for each store. */
static inline void cut_watch(struct cut_record *record, unsigned store, struct memory_store *memory)
{
    memory_store_copy(memory, &record->before[store]);
    record->watches[store] = (struct cut_watch){record, store};
    memory->watch = cut_note;
    memory->watch_context = &record->watches[store];
}

static inline void cut_free(struct cut_record *record)
{
    for (unsigned i = 0; i < record->count; i++)
        free(record->events[i].bytes);
    free(record->events);
    for (unsigned i = 0; i < CUT_STORES; i++)
        if (record->before[i].is_ready)
            memory_store_free(&record->before[i]);
}

static inline void cut_write_some(struct memory_store *memory, const struct cut_event *event,
                                  uint64_t *random)
{
    for (uint64_t at = 0; at < event->length; at += 512)
        if (check_random(random) % 2 != 0)
            memory_store_poke(memory, event->bytes + at,
                              event->length - at < 512 ? event->length - at : 512,
                              event->offset + at);
}

static inline void cut_redo(struct memory_store *memory, const struct cut_event *event, int is_torn,
                            uint64_t *random)
{
    switch (event->call) {
    case MEMORY_STORE_WRITE:
        if (is_torn)
            cut_write_some(memory, event, random);
        else
            memory_store_poke(memory, event->bytes, event->length, event->offset);
        break;
    case MEMORY_STORE_PUNCH:
        memory_store_clear(memory, event->offset, event->length);
        break;
    case MEMORY_STORE_RESIZE:
        memory_store_set_size(memory, event->length);
        break;
    case MEMORY_STORE_FLUSH:
    case MEMORY_STORE_READ:
        break;
    }
}

/* What a cut behind the first `count` events leaves of a store; `memory` is new. */
static inline void cut_leave(const struct cut_record *record, unsigned store, unsigned count,
                             enum cut_kind kind, uint64_t *random, struct memory_store *memory)
{
    unsigned flushed = 0;

    memory_store_copy(&record->before[store], memory);
    for (unsigned i = 0; i < count; i++)
        if (record->events[i].store == store && record->events[i].call == MEMORY_STORE_FLUSH)
            flushed = i + 1;
    for (unsigned i = 0; i < count; i++) {
        int is_sure = i < flushed || kind == CUT_ALL;

        if (record->events[i].store != store || (!is_sure && kind == CUT_NONE))
            continue;
        if (is_sure || check_random(random) % 4 != 0)
            cut_redo(memory, &record->events[i], !is_sure && check_random(random) % 4 == 0, random);
    }
}

/* -- files ------------------------------------------------------------------------------------- */

static inline void cut_load(struct memory_store *memory, const char *path)
{
    static unsigned char buffer[MEMORY_STORE_PAGE];
    FILE *file = fopen(path, "rb");
    size_t count;

    memset(memory, 0, sizeof(*memory));
    memory_store_init(memory);
    memory->path = path;
    if (file == NULL)
        abort();
    for (uint64_t at = 0; (count = fread(buffer, 1, sizeof(buffer), file)) > 0; at += count)
        memory_store_poke(memory, buffer, count, at);
    fclose(file);
}

static inline void cut_save(struct memory_store *memory, const char *path)
{
    static unsigned char buffer[MEMORY_STORE_PAGE];
    FILE *file = fopen(path, "wb");

    if (file == NULL)
        abort();
    for (uint64_t at = 0; at < memory->size; at += sizeof(buffer)) {
        uint64_t left = memory->size - at;
        size_t part = left < sizeof(buffer) ? (size_t)left : sizeof(buffer);

        memory_store_peek(memory, buffer, part, at);
        CHECK_EQ(fwrite(buffer, 1, part, file), part);
    }
    CHECK_EQ(fclose(file), 0);
}

#endif
