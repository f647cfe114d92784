/* SPDX-License-Identifier: MIT */
/*
 * commit.c - how changes of the map (the BAT, sector bitmaps, the size) become durable, for many writers at once.
 *
 * Called on the threads that serve the disk: by flushes, by writes with FUA, and by writes and trims that have changed the
 * map. Who comes while a commit is under way waits for the next one, which one of those who wait then leads, for all. So
 * eight writers that each take a block share one entry of the log and one flush.
 *
 *      payload written         file, without the lock; the block's place in the map is in a page in memory
 *      entry written           the log holds all pages that are dirty        -> it outlives this process
 *      flush                   payload and entry are durable together        -> it outlives the power
 *      pages in their place    now and then, without a flush: the next one, whenever it comes, makes them durable; until
 *                              then each entry has them again (log.c)
 *
 * What a power cut leaves is valid at every instant. Before the flush, any of the writes may be missing. An entry that
 * is not whole does not count, nor do those behind it. One that counts although the payload did not get there shows
 * zeros, which is what the block held before: new room reads as zeros (space.c). Where the block held something else,
 * in a differencing image, payload is flushed before the entry is written: `data_first`.
 *
 * A write or trim that has changed the map waits until the entry is written, so that what has been answered outlives the
 * server's process as it does for a raw file, whose data is then in the system's hands. In a differencing image that
 * would cost a flush for each, so there the changes stay in memory until somebody flushes: such an image is volatile
 * (CM_IMAGE_VOLATILE), and its disk cannot be held for a next server.
 */
#include <stdlib.h>
#include <string.h>

#include "images/vhdx/disk.h"
#include "lib/core/error_internal.h"

/* -- one at a time ----------------------------------------------------------------------------- */

void vhdx_commit_enter(struct vhdx *v)
{
    while (v->commit.is_led)
        cm_os_cond_wait(&v->changed, &v->lock);
    v->commit.is_led = 1;
}

void vhdx_commit_leave(struct vhdx *v)
{
    v->commit.is_led = 0;
    cm_os_cond_broadcast(&v->changed);
}

/* -- as the leader, with the lock, which is let go over I/O ------------------------------------ */

int vhdx_commit_flush(struct vhdx *v)
{
    int error = v->commit.flush_error;

    if (error != 0)
        return error;
    cm_os_mutex_unlock(&v->lock);
    error = cm_store_flush(v->file);
    cm_os_mutex_lock(&v->lock);
    v->commit.flush_error = error;
    return error;
}

static int zero(struct vhdx *v, const struct vhdx_extent *extent, enum vhdx_holes *holes)
{
    int error = cm_store_punch(v->file, extent->at, extent->size);

    *holes = error == CM_ENOTSUP ? VHDX_HOLES_NO : VHDX_HOLES_YES;
    return error == CM_ENOTSUP ? cm_store_zero(v->file, extent->at, extent->size) : error;
}

/* Room that was given up and that nobody uses any more. If the zeros cannot be written it is forgotten. */
static void zero_room(struct vhdx *v)
{
    unsigned count = vhdx_space_before_flush(v);
    struct vhdx_extents *zeroed = &v->space.zeroed;
    enum vhdx_holes holes = v->space.holes;
    int error = 0;

    if (count == 0)
        return;
    cm_os_mutex_unlock(&v->lock);
    for (unsigned i = 0; i < count && error == 0; i++)
        error = zero(v, &zeroed->items[i], &holes);
    cm_os_mutex_lock(&v->lock);
    v->space.holes = holes;
    if (error != 0)
        zeroed->count = 0;
}

/* What was in its place before a flush is there durably: the log need not have it any more. */
static void forget_applied(struct vhdx_pages *pages)
{
    unsigned kept = 0;

    for (unsigned i = 0; i < pages->logged_count; i++) {
        struct vhdx_page *page = pages->logged[i];

        if (!page->is_applied) {
            pages->logged[kept++] = page;
            continue;
        }
        free(page->logged);
        page->logged = NULL;
        page->is_applied = 0;
    }
    pages->logged_count = kept;
}

/* All that was written before is durable afterwards. */
static int make_durable(struct vhdx *v)
{
    uint64_t end = v->space.end;
    int error;

    zero_room(v);
    error = vhdx_commit_flush(v);
    if (error != 0)
        return error;
    vhdx_log_is_durable(v);
    v->log.size_flushed = end;
    forget_applied(&v->pages);
    vhdx_space_when_durable(v);
    return 0;
}

/* Neighbours are written together. The pages' `logged` is the leader's, so the lock is not needed. */
static int write_logged(struct vhdx *v)
{
    static const unsigned together = 16;
    unsigned char *buffer = malloc((size_t)together * VHDX_SECTOR);
    struct vhdx_pages *pages = &v->pages;
    int error = buffer == NULL ? CM_ENOMEM : 0;

    for (unsigned i = 0; i < pages->logged_count && error == 0;) {
        uint64_t at = pages->logged[i]->at;
        unsigned count = 0;

        for (; count < together && i < pages->logged_count && !pages->logged[i]->is_applied &&
               pages->logged[i]->at == at + (uint64_t)count * VHDX_SECTOR;
             count++, i++)
            memcpy(buffer + (size_t)count * VHDX_SECTOR, pages->logged[i]->logged, VHDX_SECTOR);
        if (count > 0)
            error = cm_store_write(v->file, buffer, count * VHDX_SECTOR, at);
        else
            i++;
    }
    free(buffer);
    return error;
}

static int compare_places(const void *a, const void *b)
{
    const struct vhdx_page *const *one = a;
    const struct vhdx_page *const *other = b;

    return (*one)->at < (*other)->at ? -1 : (*one)->at > (*other)->at;
}

static unsigned count_unapplied(const struct vhdx_pages *pages)
{
    unsigned count = 0;

    for (unsigned i = 0; i < pages->logged_count; i++)
        count += !pages->logged[i]->is_applied;
    return count;
}

/* What is durably in the log goes to its place. If that fails the log keeps it, and it is tried again next time. */
static int apply(struct vhdx *v)
{
    struct vhdx_pages *pages = &v->pages;
    int error;

    if (count_unapplied(pages) == 0)
        return 0;
    qsort(pages->logged, pages->logged_count, sizeof(pages->logged[0]), compare_places);
    cm_os_mutex_unlock(&v->lock);
    error = write_logged(v);
    cm_os_mutex_lock(&v->lock);
    for (unsigned i = 0; i < pages->logged_count && error == 0; i++)
        pages->logged[i]->is_applied = 1;
    return error;
}

/* All that the log has is durably in its place. */
static int settle(struct vhdx *v)
{
    int error = make_durable(v);

    if (error == 0)
        error = apply(v);
    return error == 0 && v->pages.logged_count > 0 ? make_durable(v) : error;
}

/* Memory for what the log will have of pages, where they have none from an earlier entry. */
static int make_copies(struct vhdx_page *const *pages, unsigned count, unsigned char **copies)
{
    for (unsigned i = 0; i < count; i++) {
        copies[i] = pages[i]->logged == NULL ? malloc(VHDX_SECTOR) : NULL;
        if (pages[i]->logged == NULL && copies[i] == NULL) {
            while (i-- > 0)
                free(copies[i]);
            return CM_ENOMEM;
        }
    }
    return 0;
}

/* From here on to end_logging() the pages may get dirty again. */
static void begin_logging(struct vhdx *v, struct vhdx_page *const *pages, unsigned dirty,
                          unsigned count)
{
    for (unsigned i = 0; i < dirty; i++) {
        pages[i]->is_dirty = 0;
        pages[i]->is_being_logged = 1;
    }
    v->pages.dirty_count = 0;
    v->pages.being_logged_count = dirty;
    vhdx_space_logging(v);
    vhdx_log_build(v, pages, count);
}

/* If the entry could not be written its pages are dirty as before. */
static void end_logging(struct vhdx *v, struct vhdx_page *const *pages, unsigned count,
                        unsigned char *const *copies, int error)
{
    v->pages.being_logged_count = 0;
    vhdx_space_logged(v, error);
    for (unsigned i = 0; i < count; i++) {
        pages[i]->is_being_logged = 0;
        if (error != 0) {
            vhdx_page_dirty(v, pages[i]);
            free(copies[i]);
            continue;
        }
        if (copies[i] != NULL) {
            pages[i]->logged = copies[i];
            v->pages.logged[v->pages.logged_count++] = pages[i];
        }
        vhdx_log_get_page(v, i, pages[i]->logged);
        pages[i]->is_applied = 0;
    }
}

/* What is to be in the next entry: all that is dirty, and behind that what the log has and must go on to have. */
static unsigned collect(const struct vhdx_pages *pages, struct vhdx_page **entry)
{
    unsigned count = pages->dirty_count;

    memcpy(entry, pages->dirty, count * sizeof(entry[0]));
    for (unsigned i = 0; i < pages->logged_count; i++)
        if (!pages->logged[i]->is_dirty)
            entry[count++] = pages->logged[i];
    return count;
}

/* One entry with all that is dirty. It is made before payload is flushed: what comes in meanwhile says of payload that
 * is there which that flush may have missed, and goes into the next one. */
static int log_dirty(struct vhdx *v)
{
    struct vhdx_page *pages[VHDX_ENTRY_MAX];
    unsigned char *copies[VHDX_DIRTY_MAX];
    unsigned dirty = v->pages.dirty_count;
    unsigned count = collect(&v->pages, pages);
    int data_first = v->commit.data_first;
    int error = make_copies(pages, dirty, copies);

    if (error != 0)
        return error;
    begin_logging(v, pages, dirty, count);
    v->commit.data_first = 0;
    if (data_first)
        error = vhdx_commit_flush(v);
    if (error == 0) {
        cm_os_mutex_unlock(&v->lock);
        error = vhdx_log_write(v);
        cm_os_mutex_lock(&v->lock);
    }
    if (error != 0)
        v->commit.data_first |= data_first;
    end_logging(v, pages, dirty, copies, error);
    return error;
}

/* Pages that every entry has to have again are few. */
#define UNAPPLIED_MAX 16u

static int write_dirty(struct vhdx *v)
{
    struct vhdx_pages *pages = &v->pages;
    int error = v->commit.flush_error;

    if (pages->dirty_count == 0 || error != 0)
        return error;
    if (count_unapplied(pages) > UNAPPLIED_MAX ||
        pages->dirty_count + pages->logged_count > VHDX_ENTRY_MAX)
        error = settle(v);
    return error == 0 ? log_dirty(v) : error;
}

/* -- for many ---------------------------------------------------------------------------------- */

/* Those who want no more than this. @return those who are left. */
static struct vhdx_waiter *answer(struct vhdx *v, struct vhdx_waiter *waiters, enum vhdx_want want,
                                  int error)
{
    struct vhdx_waiter *left = NULL;

    while (waiters != NULL) {
        struct vhdx_waiter *next = waiters->next; /* its memory goes with its thread */

        if (waiters->want <= want) {
            waiters->error = error;
            waiters->is_done = 1;
        } else {
            waiters->next = left;
            left = waiters;
        }
        waiters = next;
    }
    cm_os_cond_broadcast(&v->changed);
    return left;
}

/* Commit for all who wait now. If bringing the pages to their places fails, the log has them. */
static void lead(struct vhdx *v)
{
    struct vhdx_waiter *waiters = v->commit.waiting;
    int error;

    v->commit.waiting = NULL;
    v->commit.is_led = 1;
    error = write_dirty(v);
    waiters = answer(v, waiters, error == 0 ? VHDX_LOGGED : VHDX_DURABLE, error);
    if (waiters != NULL) {
        error = make_durable(v);
        (void)answer(v, waiters, VHDX_DURABLE, error);
        if (error == 0 && count_unapplied(&v->pages) > UNAPPLIED_MAX / 2)
            (void)apply(v);
    }
    vhdx_commit_leave(v);
}

int vhdx_commit(struct vhdx *v, enum vhdx_want want)
{
    struct vhdx_waiter me = {.want = want};

    cm_os_mutex_lock(&v->lock);
    me.next = v->commit.waiting;
    v->commit.waiting = &me;
    while (!me.is_done) {
        if (v->commit.is_led)
            cm_os_cond_wait(&v->changed, &v->lock);
        else
            lead(v);
    }
    cm_os_mutex_unlock(&v->lock);
    return me.error;
}

int vhdx_commit_now(struct vhdx *v)
{
    int error = write_dirty(v);

    return error == 0 ? make_durable(v) : error;
}

int vhdx_commit_all(struct vhdx *v)
{
    int error = write_dirty(v);

    return error == 0 ? settle(v) : error;
}

/* -- before a change --------------------------------------------------------------------------- */

/* The first change of a session says in the header that there is one, and begins a log. */
static int start(struct vhdx *v)
{
    struct vhdx_header header;
    int error;

    if (v->commit.is_led) {
        cm_os_cond_wait(&v->changed, &v->lock);
        return VHDX_AGAIN;
    }
    vhdx_commit_enter(v);
    cm_os_mutex_unlock(&v->lock);
    error = vhdx_scan(v);
    if (error == 0)
        error = vhdx_log_start(v, &header);
    cm_os_mutex_lock(&v->lock);
    v->is_started = error == 0;
    if (error == 0)
        v->header = header;
    vhdx_commit_leave(v);
    return error != 0 ? error : VHDX_AGAIN;
}

int vhdx_session_begin(struct vhdx *v)
{
    return v->is_started ? 0 : start(v);
}

int vhdx_change_begin(struct vhdx *v)
{
    int error;

    if (!v->is_started)
        return start(v);
    if (v->commit.is_frozen) {
        cm_os_cond_wait(&v->changed, &v->lock);
        return VHDX_AGAIN;
    }
    if (v->pages.dirty_count + v->pages.being_logged_count + VHDX_STEP_MAX <= VHDX_DIRTY_MAX)
        return 0;
    cm_os_mutex_unlock(&v->lock);
    error = vhdx_commit(v, VHDX_LOGGED);
    cm_os_mutex_lock(&v->lock);
    return error != 0 ? error : VHDX_AGAIN;
}
