/* SPDX-License-Identifier: MIT */
/*
 * memory_store.h - a store (lib/core/store.h) in memory, for the tests of containers: sparse, counts what is asked of
 * it, fails when it is told, and shows each change to who wants to record it.
 *
 * The test owns the bytes, struct memory_store: they stay when an image closes its store, so that they can be looked
 * at, changed and opened again. Zero-initialise it, or memory_store_init(); at the end memory_store_free(). Its
 * functions may be called from several threads at once; the fields that a test sets are set while nobody calls.
 */
#ifndef CM_TESTS_MEMORY_STORE_H
#define CM_TESTS_MEMORY_STORE_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/core/os.h"
#include "lib/core/store.h"

#include <coremnt/error.h>

#define MEMORY_STORE_PAGE 65536u /* bytes that are taken at once */
#define MEMORY_STORE_ROWS 4096u  /* of the table of pages */

enum memory_store_call {
    MEMORY_STORE_READ,
    MEMORY_STORE_WRITE,
    MEMORY_STORE_FLUSH,
    MEMORY_STORE_PUNCH,
    MEMORY_STORE_RESIZE, /* `length` is the new size */
};

struct memory_store_page {
    struct memory_store_page *next; /* in its row */
    uint64_t number;
    unsigned char bytes[MEMORY_STORE_PAGE];
};

struct memory_store {
    /* What the test may set. */
    const char *path;   /* for sentences, and to find parents; NULL: "memory.img" */
    int read_only;      /* of stores that are made from now on */
    int cannot_punch;   /* CM_ENOTSUP */
    uint64_t size_max;  /* bytes; a resize beyond is CM_ENOSPC; 0: none */
    uint64_t pages_max; /* to take; a write for which more would be is CM_ENOSPC; 0: no bound */
    int fail; /* not 0: this error is returned by changes, once fail_after of them are done */
    uint64_t fail_after;
    /* Called with the lock held, before each call is done. */
    void (*watch)(void *context, enum memory_store_call call, const void *buffer, uint64_t offset,
                  uint64_t length);
    void *watch_context;

    /* What it may read. */
    uint64_t size;
    uint64_t reads, writes, flushes, punches, resizes;
    uint64_t written; /* bytes */
    uint64_t pages_taken;

    int is_ready;
    struct cm_os_mutex lock;
    struct memory_store_page *rows[MEMORY_STORE_ROWS];
};

static inline void memory_store_init(struct memory_store *m)
{
    if (m->is_ready)
        return;
    m->is_ready = 1;
    cm_os_mutex_init(&m->lock);
}

/* -- pages ------------------------------------------------------------------------------------- */

static inline struct memory_store_page *memory_store_page_of(struct memory_store *m, uint64_t at,
                                                             int make)
{
    uint64_t number = at / MEMORY_STORE_PAGE;
    struct memory_store_page **row = &m->rows[number % MEMORY_STORE_ROWS];
    struct memory_store_page *page = *row;

    while (page != NULL && page->number != number)
        page = page->next;
    if (page != NULL || !make)
        return page;
    page = calloc(1, sizeof(*page));
    if (page == NULL) {
        fprintf(stderr, "no memory for the test's image\n");
        abort();
    }
    page->number = number;
    page->next = *row;
    *row = page;
    m->pages_taken++;
    return page;
}

static inline uint32_t memory_store_part(uint64_t offset, uint64_t length)
{
    uint64_t rest = MEMORY_STORE_PAGE - offset % MEMORY_STORE_PAGE;

    return (uint32_t)(length < rest ? length : rest);
}

/* The bytes themselves, past counters and failures: to look at, or to spoil, what an image has left. */
static inline void memory_store_peek(struct memory_store *m, void *buffer, uint64_t length,
                                     uint64_t offset)
{
    for (unsigned char *to = buffer; length > 0;) {
        uint32_t part = memory_store_part(offset, length);
        struct memory_store_page *page = memory_store_page_of(m, offset, 0);

        if (page != NULL)
            memcpy(to, page->bytes + offset % MEMORY_STORE_PAGE, part);
        else
            memset(to, 0, part);
        to += part;
        offset += part;
        length -= part;
    }
}

static inline void memory_store_poke(struct memory_store *m, const void *buffer, uint64_t length,
                                     uint64_t offset)
{
    if (length > 0 && m->size < offset + length)
        m->size = offset + length;
    for (const unsigned char *from = buffer; length > 0;) {
        uint32_t part = memory_store_part(offset, length);
        struct memory_store_page *page = memory_store_page_of(m, offset, 1);

        memcpy(page->bytes + offset % MEMORY_STORE_PAGE, from, part);
        from += part;
        offset += part;
        length -= part;
    }
}

static inline void memory_store_clear(struct memory_store *m, uint64_t offset, uint64_t length)
{
    while (length > 0) {
        uint32_t part = memory_store_part(offset, length);
        struct memory_store_page *page = memory_store_page_of(m, offset, 0);

        if (page != NULL)
            memset(page->bytes + offset % MEMORY_STORE_PAGE, 0, part);
        offset += part;
        length -= part;
    }
}

/* What is beyond a new size is gone: it reads as zeros if the size grows again. */
static inline void memory_store_set_size(struct memory_store *m, uint64_t size)
{
    for (uint32_t i = 0; size < m->size && i < MEMORY_STORE_ROWS; i++) {
        for (struct memory_store_page *page = m->rows[i]; page != NULL; page = page->next) {
            uint64_t at = page->number * MEMORY_STORE_PAGE;
            uint32_t keep = at >= size                       ? 0
                            : size - at >= MEMORY_STORE_PAGE ? MEMORY_STORE_PAGE
                                                             : (uint32_t)(size - at);

            memset(page->bytes + keep, 0, MEMORY_STORE_PAGE - keep);
        }
    }
    m->size = size;
}

/* A copy of the bytes, with nothing else set; `to` is new. */
static inline void memory_store_copy(const struct memory_store *from, struct memory_store *to)
{
    memset(to, 0, sizeof(*to));
    memory_store_init(to);
    to->path = from->path;
    for (uint32_t i = 0; i < MEMORY_STORE_ROWS; i++)
        for (struct memory_store_page *page = from->rows[i]; page != NULL; page = page->next)
            memory_store_poke(to, page->bytes, MEMORY_STORE_PAGE, page->number * MEMORY_STORE_PAGE);
    to->size = from->size;
}

static inline void memory_store_free(struct memory_store *m)
{
    for (uint32_t i = 0; i < MEMORY_STORE_ROWS; i++) {
        while (m->rows[i] != NULL) {
            struct memory_store_page *page = m->rows[i];

            m->rows[i] = page->next;
            free(page);
        }
    }
    if (m->is_ready)
        cm_os_mutex_destroy(&m->lock);
    m->is_ready = 0;
    m->size = m->pages_taken = 0;
}

/* -- the store --------------------------------------------------------------------------------- */

/* With the lock held. A change that is to fail does nothing. */
static inline int memory_store_enter(struct memory_store *m, enum memory_store_call call,
                                     const void *buffer, uint64_t offset, uint64_t length)
{
    if (call != MEMORY_STORE_READ && m->fail != 0) {
        if (m->fail_after == 0)
            return m->fail;
        m->fail_after--;
    }
    if (m->watch != NULL)
        m->watch(m->watch_context, call, buffer, offset, length);
    return 0;
}

/* Whether the storage has room for what a range does not have yet. */
static inline int memory_store_fits(struct memory_store *m, uint64_t offset, uint64_t length)
{
    uint64_t pages = m->pages_taken;

    for (; m->pages_max != 0 && length > 0;) {
        uint32_t part = memory_store_part(offset, length);

        pages += memory_store_page_of(m, offset, 0) == NULL;
        offset += part;
        length -= part;
    }
    return m->pages_max == 0 || pages <= m->pages_max;
}

static inline int memory_store_read(void *context, void *buffer, uint32_t length, uint64_t offset)
{
    struct memory_store *m = context;
    int error;

    cm_os_mutex_lock(&m->lock);
    m->reads++;
    error = memory_store_enter(m, MEMORY_STORE_READ, NULL, offset, length);
    if (error == 0)
        memory_store_peek(m, buffer, length, offset);
    cm_os_mutex_unlock(&m->lock);
    return error;
}

static inline int memory_store_write(void *context, const void *buffer, uint32_t length,
                                     uint64_t offset)
{
    struct memory_store *m = context;
    int error;

    cm_os_mutex_lock(&m->lock);
    m->writes++;
    error = memory_store_enter(m, MEMORY_STORE_WRITE, buffer, offset, length);
    if (error == 0 && !memory_store_fits(m, offset, length))
        error = CM_ENOSPC;
    if (error == 0) {
        m->written += length;
        memory_store_poke(m, buffer, length, offset);
    }
    cm_os_mutex_unlock(&m->lock);
    return error;
}

static inline int memory_store_flush(void *context)
{
    struct memory_store *m = context;
    int error;

    cm_os_mutex_lock(&m->lock);
    m->flushes++;
    error = memory_store_enter(m, MEMORY_STORE_FLUSH, NULL, 0, 0);
    cm_os_mutex_unlock(&m->lock);
    return error;
}

static inline int memory_store_punch(void *context, uint64_t offset, uint64_t length)
{
    struct memory_store *m = context;
    int error = CM_ENOTSUP;

    cm_os_mutex_lock(&m->lock);
    if (!m->cannot_punch) {
        m->punches++;
        error = memory_store_enter(m, MEMORY_STORE_PUNCH, NULL, offset, length);
    }
    if (error == 0)
        memory_store_clear(m, offset, length);
    cm_os_mutex_unlock(&m->lock);
    return error;
}

static inline int memory_store_resize(void *context, uint64_t size)
{
    struct memory_store *m = context;
    int error = CM_ENOSPC;

    cm_os_mutex_lock(&m->lock);
    if (m->size_max == 0 || size <= m->size_max) {
        m->resizes++;
        error = memory_store_enter(m, MEMORY_STORE_RESIZE, NULL, 0, size);
    }
    if (error == 0)
        memory_store_set_size(m, size);
    cm_os_mutex_unlock(&m->lock);
    return error;
}

static inline int memory_store_reserve(void *context, uint64_t offset, uint64_t length)
{
    struct memory_store *m = context;
    int error = 0;

    cm_os_mutex_lock(&m->lock);
    if (!memory_store_fits(m, offset, length))
        error = CM_ENOSPC;
    for (; error == 0 && length > 0;) {
        uint32_t part = memory_store_part(offset, length);

        (void)memory_store_page_of(m, offset, 1);
        offset += part;
        length -= part;
    }
    cm_os_mutex_unlock(&m->lock);
    return error;
}

static inline int memory_store_allocated(void *context, uint64_t *bytes)
{
    struct memory_store *m = context;

    *bytes = m->pages_taken * MEMORY_STORE_PAGE;
    return 0;
}

static inline void memory_store_close(void *context)
{
    (void)context; /* the bytes are the test's */
}

static const struct cm_store_ops memory_store_ops = {
    .read = memory_store_read,
    .write = memory_store_write,
    .flush = memory_store_flush,
    .punch = memory_store_punch,
    .resize = memory_store_resize,
    .allocated = memory_store_allocated,
    .close = memory_store_close,
    .reserve = memory_store_reserve,
};

/* A store over the bytes; closing it leaves them. NULL: no memory. One at a time may write. */
static inline struct cm_store *memory_store_new(struct memory_store *m)
{
    struct cm_store *store;

    memory_store_init(m);
    if (cm_store_new(&memory_store_ops, m, m->size, m->read_only,
                     m->path != NULL ? m->path : "memory.img", &store) != 0)
        return NULL;
    return store;
}

#endif
