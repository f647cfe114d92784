/* SPDX-License-Identifier: MIT */
/* workload.c - see workload.h. Called by crash.c and, after a power cut, by cut.c; its threads by lib/core/os.h. */
#include "workload.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/core/error_internal.h"
#include "tests/unit/check.h"

#define AREA_CELLS_MAX 96u

struct thread {
    struct workload *workload;
    struct cm_os_thread *thread;
    uint64_t random;
    unsigned char data[AREA_CELLS_MAX * CELL];
    char why[512];
};

static uint64_t below(uint64_t *random, uint64_t limit)
{
    return check_random(random) % limit;
}

/* -- what is followed -------------------------------------------------------------------------- */

static uint64_t choose_block(uint64_t *random, uint64_t blocks)
{
    switch (below(random, 6)) {
    case 0:
        return below(random, blocks);
    case 1:
        return blocks - 1;
    case 2: /* around the end of a page of map entries */
        return blocks > 520 ? 508 + below(random, 8) : below(random, blocks);
    case 3: /* around the end of a chunk of VHDX */
        return blocks > 4100 ? 4092 + below(random, 8) : below(random, blocks);
    default:
        return below(random, blocks < 12 ? blocks : 12);
    }
}

static int compare_numbers(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return x < y ? -1 : x > y;
}

static void add_area(const struct subject *subject, struct model *model, uint64_t offset,
                     uint32_t cells)
{
    unsigned char initial[AREA_CELLS_MAX * CELL];

    for (uint32_t i = 0; i < cells; i++) {
        uint64_t at = offset + (uint64_t)i * CELL;

        memset(initial + i * CELL, 0, CELL);
        if (subject->has_parent && !PARENT_ZEROS(at))
            model_fill(initial + i * CELL, at / CELL, PARENT_STAMP);
    }
    model_add_area(model, offset, cells, initial);
}

void workload_choose_areas(const struct subject *subject, uint64_t disk_size, uint64_t *random,
                           struct model *model)
{
    uint64_t offsets[40];
    unsigned count = 8 + (unsigned)below(random, 32);
    uint64_t end = 0;

    for (unsigned i = 0; i < count; i++) {
        uint64_t blocks = disk_size / subject->block_size;
        uint64_t at = choose_block(random, blocks != 0 ? blocks : 1) * subject->block_size;

        at += below(random, 4) == 0 ? (uint64_t)subject->block_size - 8192
                                    : below(random, subject->block_size / 4096) * 4096;
        offsets[i] = at;
    }
    qsort(offsets, count, sizeof(offsets[0]), compare_numbers);
    for (unsigned i = 0; i < count; i++) {
        uint32_t cells = 8 * (1 + (uint32_t)below(random, AREA_CELLS_MAX / 8));
        uint64_t next = i + 1 < count ? offsets[i + 1] : disk_size;

        next = next < disk_size ? next : disk_size;
        if (offsets[i] < end || offsets[i] >= next)
            continue;
        if (cells > (next - offsets[i]) / CELL)
            cells = (uint32_t)((next - offsets[i]) / CELL);
        add_area(subject, model, offsets[i], cells);
        end = offsets[i] + (uint64_t)cells * CELL;
    }
}

/* -- locks: each cell has one writer at a time ------------------------------------------------- */

static int touches(const struct model_area *area, uint64_t offset, uint64_t length)
{
    uint64_t end = area->offset + (uint64_t)area->cells * CELL;

    return area->offset < offset + length && end > offset;
}

static void lock_range(struct workload *w, uint64_t offset, uint64_t length)
{
    for (unsigned i = 0; i < w->model->area_count; i++)
        if (touches(&w->model->areas[i], offset, length))
            cm_os_mutex_lock(&w->model->areas[i].lock);
}

static void unlock_range(struct workload *w, uint64_t offset, uint64_t length)
{
    for (unsigned i = 0; i < w->model->area_count; i++)
        if (touches(&w->model->areas[i], offset, length))
            cm_os_mutex_unlock(&w->model->areas[i].lock);
}

/* -- operations -------------------------------------------------------------------------------- */

/* How often each is done, in 100; the rest are reads. Where flushes are rare and blocks come and go, a log fills up. */
static const struct mood {
    uint64_t writes, zeros, part_trims, block_trims, flushes;
    uint64_t fua; /* of the writes, one in so many */
} moods[] = {
    {55, 5, 6, 8, 12, 4},
    {55, 5, 6, 8, 12, 4},
    {60, 2, 2, 30, 1, 100},
    {40, 5, 10, 15, 25, 2},
};

struct range {
    uint64_t offset;
    uint32_t length;
};

/* Whole sectors of an area; 0: the area is beyond the end of the disk. */
static int choose_range(struct thread *t, struct range *range)
{
    struct workload *w = t->workload;
    const struct model_area *area = &w->model->areas[below(&t->random, w->model->area_count)];
    uint32_t sector = w->subject->sector_size / CELL; /* in cells */
    uint32_t sectors = area->cells / sector;
    uint32_t first, count;

    if (sectors == 0 || area->offset + (uint64_t)area->cells * CELL > w->size)
        return 0;
    first = (uint32_t)below(&t->random, sectors);
    count = 1 + (uint32_t)below(&t->random, below(&t->random, 3) == 0 ? sectors : 4);
    if (count > sectors - first)
        count = sectors - first;
    range->offset = area->offset + (uint64_t)first * sector * CELL;
    range->length = count * sector * CELL;
    return 1;
}

/* The end of a step: an error that the program did not provoke is a find. */
static void expect(struct thread *t, int error, const char *what, const struct range *range)
{
    if (error == 0 || (error == CM_ENOSPC && t->workload->recorder->options.size_limit != 0))
        return;
    snprintf(t->why, sizeof(t->why), "%s of %u bytes at %llu ended with %s (%s)", what,
             range->length, (unsigned long long)range->offset, cm_error_name(error),
             cm_last_error());
}

static void step_write(struct thread *t, int is_zeros)
{
    struct workload *w = t->workload;
    uint32_t flags = below(&t->random, w->mood->fua) == 0 ? CM_IMAGE_FUA : 0;
    struct range range;
    uint32_t stamp;
    uint64_t now;
    int error;

    if (!choose_range(t, &range))
        return;
    lock_range(w, range.offset, range.length);
    memset(t->data, 0, range.length);
    stamp = model_begin(w->model, range.offset, range.length, is_zeros ? NULL : t->data,
                        recorder_tick(w->recorder));
    error = cm_image_write(w->image, t->data, range.length, range.offset, flags);
    if (error == 0) {
        now = recorder_tick(w->recorder);
        model_done(w->model, stamp, now);
        if (flags != 0)
            model_durable(w->model, stamp, now);
    }
    unlock_range(w, range.offset, range.length);
    expect(t, error, "a write", &range);
}

static void trim(struct thread *t, const struct range *range)
{
    struct workload *w = t->workload;
    uint32_t stamp;
    int error;

    lock_range(w, range->offset, range->length);
    stamp = model_begin(w->model, range->offset, range->length, NULL, recorder_tick(w->recorder));
    error = cm_image_trim(w->image, range->offset, range->length);
    if (error == 0)
        model_done(w->model, stamp, recorder_tick(w->recorder));
    unlock_range(w, range->offset, range->length);
    if (error != CM_ENOTSUP)
        expect(t, error, "a trim", range);
}

static void step_trim_part(struct thread *t)
{
    struct range range;

    if (choose_range(t, &range))
        trim(t, &range);
}

/* A block, sometimes several, sometimes with a part of the next. */
static void step_trim_blocks(struct thread *t)
{
    struct workload *w = t->workload;
    uint64_t block = w->subject->block_size;
    struct range range;

    if (!choose_range(t, &range))
        return;
    range.offset -= range.offset % block;
    range.length = (uint32_t)(block * (1 + below(&t->random, 2)));
    if (below(&t->random, 4) == 0)
        range.length += (uint32_t)(below(&t->random, block / 4096) * 4096);
    if (range.length > w->size - range.offset)
        range.length = (uint32_t)(w->size - range.offset);
    trim(t, &range);
}

static void step_read(struct thread *t)
{
    struct workload *w = t->workload;
    struct range range;
    int error;

    if (!choose_range(t, &range))
        return;
    lock_range(w, range.offset, range.length);
    error = cm_image_read(w->image, t->data, range.length, range.offset);
    cm_os_mutex_lock(&w->model->lock);
    if (error == 0)
        (void)model_check(w->model, t->data, range.offset, range.length, RECORD_NEVER, t->why,
                          sizeof(t->why));
    cm_os_mutex_unlock(&w->model->lock);
    unlock_range(w, range.offset, range.length);
    if (error != 0)
        expect(t, error, "a read", &range);
}

static void step_flush(struct thread *t)
{
    struct workload *w = t->workload;
    struct range none = {0, 0};
    uint64_t began = recorder_tick(w->recorder);
    int error = cm_image_flush(w->image);

    if (error == 0)
        model_flushed(w->model, began, recorder_tick(w->recorder));
    expect(t, error, "a flush", &none);
}

static void step(struct thread *t)
{
    const struct mood *mood = t->workload->mood;
    uint64_t what = below(&t->random, 100);

    if (what < mood->writes)
        step_write(t, 0);
    else if ((what -= mood->writes) < mood->zeros)
        step_write(t, 1);
    else if ((what -= mood->zeros) < mood->part_trims)
        step_trim_part(t);
    else if ((what -= mood->part_trims) < mood->block_trims)
        step_trim_blocks(t);
    else if (what - mood->block_trims < mood->flushes)
        step_flush(t);
    else
        step_read(t);
}

static void run_thread(void *argument)
{
    struct thread *t = argument;

    for (unsigned i = 0; i < t->workload->steps && t->why[0] == '\0'; i++)
        step(t);
}

/* -- phases ------------------------------------------------------------------------------------ */

static void run_threads(struct workload *w)
{
    struct thread *threads = calloc(w->threads, sizeof(*threads));

    if (threads == NULL) {
        snprintf(w->why, sizeof(w->why), "no memory");
        return;
    }
    for (unsigned i = 0; i < w->threads; i++) {
        threads[i].workload = w;
        threads[i].random = check_random(&w->random) | 1;
        if (w->threads == 1)
            run_thread(&threads[i]);
        else if (cm_os_thread_start(run_thread, &threads[i], &threads[i].thread) != 0)
            snprintf(threads[i].why, sizeof(threads[i].why), "no thread");
    }
    for (unsigned i = 0; i < w->threads; i++) {
        if (threads[i].thread != NULL)
            cm_os_thread_join(threads[i].thread);
        if (w->why[0] == '\0')
            snprintf(w->why, sizeof(w->why), "%s", threads[i].why);
    }
    free(threads);
}

static void resize(struct workload *w)
{
    uint64_t size = w->size / 2 + below(&w->random, w->size);
    uint64_t now = recorder_tick(w->recorder);
    uint32_t stamp = 0;
    int error;

    size -= size % w->subject->block_size;
    if (below(&w->random, 4) == 0)
        size += (uint64_t)w->subject->sector_size * (1 + below(&w->random, 64));
    if (w->subject->has_parent && size < w->size)
        return; /* not allowed */
    if (size < w->subject->block_size || size == w->size || w->model->size_count == MODEL_SIZES)
        return;
    if (size < w->size)
        stamp = model_begin(w->model, size, w->size - size, NULL, now);
    model_resize_begin(w->model, size, now);
    error = cm_image_resize(w->image, size);
    now = recorder_tick(w->recorder);
    if (error != 0) {
        if (error != CM_ENOTSUP && error != CM_ENOSPC)
            snprintf(w->why, sizeof(w->why), "a resize to %llu ended with %s (%s)",
                     (unsigned long long)size, cm_error_name(error), cm_last_error());
        return;
    }
    model_resize_done(w->model, now);
    if (size < w->size) {
        model_done(w->model, stamp, now);
        model_durable(w->model, stamp, now);
    }
    w->size = size;
}

static void run_phase(struct workload *w)
{
    struct cm_image_options options = {.struct_size = sizeof(options)};
    struct cm_store *store = recorder_store(w->recorder, w->path);
    uint64_t began;
    int error = w->subject->open(store, &options, &w->image);

    if (error != 0) {
        cm_store_close(store);
        snprintf(w->why, sizeof(w->why), "it cannot be opened: %s (%s)", cm_error_name(error),
                 cm_last_error());
        return;
    }
    w->mood = &moods[below(&w->random, sizeof(moods) / sizeof(moods[0]))];
    run_threads(w);
    if (w->why[0] == '\0' && w->subject->can_resize && below(&w->random, 2) == 0) {
        resize(w);
        run_threads(w);
    }
    began = recorder_tick(w->recorder);
    error = cm_image_close(w->image);
    if (error == 0)
        model_flushed(w->model, began, recorder_tick(w->recorder));
    else if (w->why[0] == '\0' && w->recorder->options.size_limit == 0)
        snprintf(w->why, sizeof(w->why), "closing ended with %s", cm_error_name(error));
}

/* Blocks move to the front, the file becomes shorter; what the disk holds stays as it is. */
static void compact(struct workload *w)
{
    const struct cm_container *container = w->subject->container;
    struct cm_store *store;
    int error;

    if (container == NULL || container->compact == NULL)
        return;
    store = recorder_store(w->recorder, w->path);
    error = container->compact(store, NULL, NULL);
    cm_store_close(store);
    if (error != 0 && error != CM_ENOTSUP && w->recorder->options.size_limit == 0)
        snprintf(w->why, sizeof(w->why), "compact ended with %s (%s)", cm_error_name(error),
                 cm_last_error());
}

int workload_run(struct workload *w)
{
    w->size = w->model->sizes[w->model->size_count - 1].size;
    for (unsigned i = 0; i < w->phases && w->why[0] == '\0'; i++) {
        run_phase(w);
        if (w->why[0] == '\0' && below(&w->random, 4) == 0)
            compact(w);
    }
    return w->why[0] == '\0';
}
