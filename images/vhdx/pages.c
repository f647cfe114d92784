/* SPDX-License-Identifier: MIT */
/*
 * pages.c - a cache of the file's metadata: the BAT and the sector bitmaps, 4 KiB at a time, which is what the log works
 * in. So a BAT of 512 MiB takes no more memory than one of 4 KiB that is used as much.
 *
 * Called by map.c on every thread that serves the disk, with the lock held; a page that is there costs a look into a hash
 * table. A page that is dirty, or logged but not in its place, stays; of the others the one goes that was not used since
 * a hand passed it last.
 */
#include <stdlib.h>
#include <string.h>

#include "images/vhdx/disk.h"
#include "lib/core/zeros.h"

#include <coremnt/error.h>

static struct vhdx_page **bucket_of(struct vhdx *v, uint64_t at)
{
    uint64_t number = at / VHDX_SECTOR;

    return &v->pages.buckets[(number ^ number >> 10) % VHDX_PAGES];
}

static struct vhdx_page *find(struct vhdx *v, uint64_t at)
{
    struct vhdx_page *page = *bucket_of(v, at);

    while (page != NULL && page->at != at)
        page = page->next;
    return page;
}

static void unlink_page(struct vhdx *v, struct vhdx_page *page)
{
    struct vhdx_page **link = bucket_of(v, page->at);

    while (*link != page)
        link = &(*link)->next;
    *link = page->next;
}

static int may_go(const struct vhdx_page *page)
{
    return page->is_loaded && !page->is_dirty && !page->is_being_logged && page->logged == NULL;
}

/* A slot without a page, or with one that may go. NULL: all are held. */
static struct vhdx_page **find_slot(struct vhdx *v)
{
    struct vhdx_pages *pages = &v->pages;

    for (unsigned i = 0; i < 2 * VHDX_PAGES; i++) {
        struct vhdx_page **slot = &pages->slots[pages->hand];

        pages->hand = (pages->hand + 1) % VHDX_PAGES;
        if (*slot == NULL)
            return slot;
        if ((*slot)->was_used)
            (*slot)->was_used = 0;
        else if (may_go(*slot))
            return slot;
    }
    return NULL;
}

/* A page that nobody has, for a place: in the table, not loaded. */
static struct vhdx_page *add(struct vhdx *v, uint64_t at)
{
    struct vhdx_page **slot = find_slot(v);

    if (slot == NULL)
        return NULL;
    if (*slot != NULL)
        unlink_page(v, *slot);
    else
        *slot = malloc(sizeof(**slot));
    if (*slot == NULL)
        return NULL;
    (*slot)->at = at;
    (*slot)->logged = NULL;
    (*slot)->is_loaded = 0;
    (*slot)->is_dirty = 0;
    (*slot)->is_being_logged = 0;
    (*slot)->is_applied = 0;
    (*slot)->was_used = 1;
    (*slot)->next = *bucket_of(v, at);
    *bucket_of(v, at) = *slot;
    return *slot;
}

static void drop(struct vhdx *v, struct vhdx_page *page)
{
    unlink_page(v, page);
    for (unsigned i = 0; i < VHDX_PAGES; i++)
        if (v->pages.slots[i] == page)
            v->pages.slots[i] = NULL;
    free(page);
}

/* Without the lock while the file is read: a page that is not loaded nobody touches. */
static int load(struct vhdx *v, struct vhdx_page *page)
{
    int error;

    cm_os_mutex_unlock(&v->lock);
    error = cm_store_read(v->view, page->bytes, VHDX_SECTOR, page->at);
    cm_os_mutex_lock(&v->lock);
    page->is_loaded = 1;
    if (error != 0)
        drop(v, page);
    cm_os_cond_broadcast(&v->changed);
    return error != 0 ? error : VHDX_AGAIN;
}

int vhdx_page_get(struct vhdx *v, uint64_t at, struct vhdx_page **page)
{
    struct vhdx_page *found = find(v, at);

    if (found == NULL) {
        found = add(v, at);
        return found != NULL ? load(v, found) : CM_ENOMEM;
    }
    if (!found->is_loaded) {
        cm_os_cond_wait(&v->changed, &v->lock);
        return VHDX_AGAIN;
    }
    found->was_used = 1;
    *page = found;
    return 0;
}

/* When the storage is full it is too late to find that what the log holds has no room. A page that holds something has its
 * space; and one that is on its way to the file must not be touched there by anybody else. */
int vhdx_page_reserve(struct vhdx *v, const struct vhdx_page *page)
{
    if (page->is_dirty || page->is_being_logged || page->logged != NULL ||
        !cm_is_zeros(page->bytes, VHDX_SECTOR))
        return 0;
    return cm_store_reserve(v->file, page->at, VHDX_SECTOR);
}

/* There is room: vhdx_change_begin() has seen to it. */
void vhdx_page_dirty(struct vhdx *v, struct vhdx_page *page)
{
    if (page->is_dirty)
        return;
    page->is_dirty = 1;
    v->pages.dirty[v->pages.dirty_count++] = page;
}

/* One that is being read now would come in behind us. */
static int is_loading(const struct vhdx *v, uint64_t at, uint64_t size)
{
    for (unsigned i = 0; i < VHDX_PAGES; i++) {
        const struct vhdx_page *page = v->pages.slots[i];

        if (page != NULL && page->at >= at && page->at - at < size && !page->is_loaded)
            return 1;
    }
    return 0;
}

void vhdx_pages_forget(struct vhdx *v, uint64_t at, uint64_t size)
{
    while (is_loading(v, at, size))
        cm_os_cond_wait(&v->changed, &v->lock);
    for (unsigned i = 0; i < VHDX_PAGES; i++) {
        struct vhdx_page *page = v->pages.slots[i];

        if (page != NULL && page->at >= at && page->at - at < size && may_go(page))
            drop(v, page);
    }
}

void vhdx_pages_free(struct vhdx *v)
{
    for (unsigned i = 0; i < VHDX_PAGES; i++) {
        if (v->pages.slots[i] != NULL)
            free(v->pages.slots[i]->logged);
        free(v->pages.slots[i]);
    }
}
