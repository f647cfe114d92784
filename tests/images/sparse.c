/* SPDX-License-Identifier: MIT */
/* sparse.c - see sparse.h. Pages in a table; a second table is the layer. */
#include "sparse.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/core/os.h"

#include <coremnt/error.h>

#define PAGE 4096u

struct sparse {
    uint64_t size, size_below;
    size_t pages; /* in the tables */
    unsigned char **below;
    unsigned char **layer; /* NULL: see below */
    size_t *changed;       /* numbers of the pages in the layer */
    size_t changed_count, changed_room;
    int has_layer;
    unsigned char **spare; /* pages that can be used again */
    size_t spare_count, spare_room;
};

static unsigned char zero_page[PAGE]; /* in a layer: zeros whatever is below */

static void *must(void *memory)
{
    if (memory == NULL) {
        fprintf(stderr, "no memory for a test\n");
        exit(2);
    }
    return memory;
}

/* An array that is full, with more room. */
static void *grow(void *items, size_t *room, size_t item_size)
{
    *room = *room != 0 ? 2 * *room : 64;
    return must(realloc(items, *room * item_size));
}

struct sparse *sparse_new(void)
{
    return must(calloc(1, sizeof(struct sparse)));
}

static void free_page(struct sparse *s, unsigned char *page)
{
    if (page == NULL || page == zero_page)
        return;
    if (s->spare_count == s->spare_room)
        s->spare = grow(s->spare, &s->spare_room, sizeof(*s->spare));
    s->spare[s->spare_count++] = page;
}

static unsigned char *new_page(struct sparse *s)
{
    return s->spare_count > 0 ? s->spare[--s->spare_count] : must(malloc(PAGE));
}

void sparse_free(struct sparse *s)
{
    if (s == NULL)
        return;
    if (s->has_layer)
        sparse_drop(s);
    for (size_t i = 0; i < s->pages; i++)
        free(s->below[i]);
    while (s->spare_count > 0)
        free(s->spare[--s->spare_count]);
    free(s->spare);
    free(s->below);
    free(s->layer);
    free(s->changed);
    free(s);
}

uint64_t sparse_size(const struct sparse *s)
{
    return s->size;
}

/* NULL: zeros. */
static const unsigned char *page_at(const struct sparse *s, size_t index)
{
    const unsigned char *page = index < s->pages ? s->layer[index] : NULL;

    if (page == zero_page)
        return NULL;
    return page != NULL || index >= s->pages ? page : s->below[index];
}

void sparse_read(const struct sparse *s, void *buffer, uint64_t length, uint64_t offset)
{
    unsigned char *to = buffer;

    while (length > 0) {
        size_t at = offset % PAGE;
        size_t part = length < PAGE - at ? (size_t)length : PAGE - at;
        const unsigned char *page = page_at(s, (size_t)(offset / PAGE));

        if (page != NULL)
            memcpy(to, page + at, part);
        else
            memset(to, 0, part);
        to += part;
        offset += part;
        length -= part;
    }
}

static void set_layer(struct sparse *s, size_t index, unsigned char *page)
{
    if (s->layer[index] == NULL) {
        if (s->changed_count == s->changed_room)
            s->changed = grow(s->changed, &s->changed_room, sizeof(*s->changed));
        s->changed[s->changed_count++] = index;
    }
    s->layer[index] = page;
}

/* The page, to be written to. */
static unsigned char *own_page(struct sparse *s, size_t index)
{
    const unsigned char *old = page_at(s, index);
    unsigned char *page;

    if (s->has_layer ? s->layer[index] != NULL && s->layer[index] != zero_page : old != NULL)
        return s->has_layer ? s->layer[index] : s->below[index];
    page = new_page(s);
    if (old != NULL)
        memcpy(page, old, PAGE);
    else
        memset(page, 0, PAGE);
    if (s->has_layer)
        set_layer(s, index, page);
    else
        s->below[index] = page;
    return page;
}

void sparse_write(struct sparse *s, const void *buffer, uint64_t length, uint64_t offset)
{
    const unsigned char *from = buffer;

    while (length > 0) {
        size_t at = offset % PAGE;
        size_t part = length < PAGE - at ? (size_t)length : PAGE - at;

        memcpy(own_page(s, (size_t)(offset / PAGE)) + at, from, part);
        from += part;
        offset += part;
        length -= part;
    }
}

static void drop_page(struct sparse *s, size_t index)
{
    if (page_at(s, index) == NULL)
        return;
    if (s->has_layer) {
        free_page(s, s->layer[index]);
        set_layer(s, index, zero_page);
    } else {
        free_page(s, s->below[index]);
        s->below[index] = NULL;
    }
}

void sparse_zero(struct sparse *s, uint64_t offset, uint64_t length)
{
    while (length > 0) {
        size_t at = offset % PAGE;
        size_t part = length < PAGE - at ? (size_t)length : PAGE - at;
        size_t index = (size_t)(offset / PAGE);

        if (part == PAGE)
            drop_page(s, index);
        else if (page_at(s, index) != NULL)
            memset(own_page(s, index) + at, 0, part);
        offset += part;
        length -= part;
    }
}

int sparse_resize(struct sparse *s, uint64_t size)
{
    size_t pages = (size_t)((size + PAGE - 1) / PAGE);

    if (size > SPARSE_MAX)
        return CM_ENOSPC;
    if (size < s->size) /* with the last page as a whole: there is no page behind the end */
        sparse_zero(s, size, (s->size + PAGE - 1) / PAGE * PAGE - size);
    if (pages > s->pages) {
        pages += pages / 2;
        s->below = must(realloc(s->below, pages * sizeof(*s->below)));
        s->layer = must(realloc(s->layer, pages * sizeof(*s->layer)));
        memset(s->below + s->pages, 0, (pages - s->pages) * sizeof(*s->below));
        memset(s->layer + s->pages, 0, (pages - s->pages) * sizeof(*s->layer));
        s->pages = pages;
    }
    s->size = size;
    return 0;
}

struct sparse *sparse_copy(const struct sparse *from)
{
    struct sparse *copy = sparse_new();

    (void)sparse_resize(copy, from->size);
    for (size_t i = 0; i < from->pages; i++) {
        const unsigned char *page = page_at(from, i);

        if (page != NULL)
            copy->below[i] = memcpy(must(malloc(PAGE)), page, PAGE);
    }
    return copy;
}

void sparse_push(struct sparse *s)
{
    s->has_layer = 1;
    s->size_below = s->size;
}

void sparse_drop(struct sparse *s)
{
    while (s->changed_count > 0) {
        size_t index = s->changed[--s->changed_count];

        free_page(s, s->layer[index]);
        s->layer[index] = NULL;
    }
    s->size = s->size_below;
    s->has_layer = 0;
}

void sparse_save(const struct sparse *s, const char *path)
{
    FILE *file = fopen(path, "wb");
    int ok = file != NULL;

    for (size_t i = 0; ok && i < s->pages; i++) {
        const unsigned char *page = page_at(s, i);
        uint64_t at = (uint64_t)i * PAGE;
        size_t length = s->size > at && s->size - at < PAGE ? (size_t)(s->size - at) : PAGE;

        if (page != NULL && at < s->size)
            ok = fseeko(file, (off_t)at, SEEK_SET) == 0 && fwrite(page, 1, length, file) == length;
    }
    ok = ok && fflush(file) == 0 && ftruncate(fileno(file), (off_t)s->size) == 0;
    if (!ok || fclose(file) != 0) {
        perror(path);
        exit(2);
    }
}

/* -- a store ----------------------------------------------------------------------------------- */

struct view {
    struct sparse *sparse;
    struct cm_os_mutex lock;
};

static int view_read(void *context, void *buffer, uint32_t length, uint64_t offset)
{
    struct view *view = context;

    cm_os_mutex_lock(&view->lock);
    sparse_read(view->sparse, buffer, length, offset);
    cm_os_mutex_unlock(&view->lock);
    return 0;
}

static int view_write(void *context, const void *buffer, uint32_t length, uint64_t offset)
{
    struct view *view = context;

    cm_os_mutex_lock(&view->lock);
    sparse_write(view->sparse, buffer, length, offset);
    cm_os_mutex_unlock(&view->lock);
    return 0;
}

static int view_flush(void *context)
{
    (void)context;
    return 0;
}

static int view_punch(void *context, uint64_t offset, uint64_t length)
{
    struct view *view = context;

    cm_os_mutex_lock(&view->lock);
    sparse_zero(view->sparse, offset, length);
    cm_os_mutex_unlock(&view->lock);
    return 0;
}

static int view_resize(void *context, uint64_t size)
{
    struct view *view = context;
    int error;

    cm_os_mutex_lock(&view->lock);
    error = sparse_resize(view->sparse, size);
    cm_os_mutex_unlock(&view->lock);
    return error;
}

static int view_allocated(void *context, uint64_t *bytes)
{
    struct view *view = context;

    *bytes = view->sparse->size;
    return 0;
}

static void view_close(void *context)
{
    struct view *view = context;

    cm_os_mutex_destroy(&view->lock);
    free(view);
}

struct cm_store *sparse_store(struct sparse *sparse, int read_only, const char *path)
{
    static const struct cm_store_ops ops = {
        .read = view_read,
        .write = view_write,
        .flush = view_flush,
        .punch = view_punch,
        .resize = view_resize,
        .allocated = view_allocated,
        .close = view_close,
    };
    struct view *view = must(calloc(1, sizeof(*view)));
    struct cm_store *store;

    view->sparse = sparse;
    cm_os_mutex_init(&view->lock);
    must(cm_store_new(&ops, view, sparse->size, read_only, path, &store) == 0 ? view : NULL);
    return store;
}
