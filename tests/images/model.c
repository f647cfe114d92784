/* SPDX-License-Identifier: MIT */
/* model.c - see model.h. Called by workload.c while a program runs, and by cut.c for every file of a power cut. */
#include "model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "recorder.h"

#define MAGIC UINT64_C(0x6C6C65636D6E7472) /* of a written cell */

/* The stamps of all writes to a cell, oldest first. */
struct history {
    uint32_t *stamps;
    uint32_t count, room;
};

struct model_write {
    uint64_t begin, done, durable; /* events; RECORD_NEVER: not yet */
    int is_zeros;
};

static void *must(void *memory)
{
    if (memory == NULL) {
        fprintf(stderr, "no memory for a model\n");
        exit(2);
    }
    return memory;
}

void model_init(struct model *m, uint64_t disk_size, uint32_t first_stamp)
{
    memset(m, 0, sizeof(*m));
    m->sizes[m->size_count++] = (struct model_size){disk_size, 0, 0};
    m->first_stamp = m->next_stamp = first_stamp;
    cm_os_mutex_init(&m->lock);
}

void model_destroy(struct model *m)
{
    for (unsigned i = 0; i < m->area_count; i++) {
        struct model_area *area = &m->areas[i];

        for (uint32_t cell = 0; cell < area->cells; cell++)
            free(area->histories[cell].stamps);
        free(area->histories);
        free(area->initial);
        cm_os_mutex_destroy(&area->lock);
    }
    free(m->writes);
    cm_os_mutex_destroy(&m->lock);
}

void model_add_area(struct model *m, uint64_t offset, uint32_t cells, const unsigned char *initial)
{
    struct model_area *area = &m->areas[m->area_count++];
    size_t length = (size_t)cells * CELL;

    area->offset = offset;
    area->cells = cells;
    area->initial = must(calloc(1, length));
    if (initial != NULL)
        memcpy(area->initial, initial, length);
    area->histories = must(calloc(cells, sizeof(*area->histories)));
    cm_os_mutex_init(&area->lock);
}

/* -- what is written --------------------------------------------------------------------------- */

static uint64_t mix(uint64_t number)
{
    number = (number ^ (number >> 31)) * UINT64_C(0x9E3779B97F4A7C15);
    return number ^ (number >> 29);
}

void model_fill(unsigned char *cell, uint64_t number, uint32_t stamp)
{
    uint64_t words[CELL / 8];
    uint64_t salt = mix(number * UINT64_C(0x100000001) + stamp);

    words[0] = MAGIC;
    words[1] = number;
    words[2] = stamp;
    for (unsigned i = 3; i < CELL / 8; i++)
        words[i] = salt + i * UINT64_C(0x0101010101010101);
    memcpy(cell, words, CELL);
}

static uint32_t new_write(struct model *m, int is_zeros, uint64_t now)
{
    uint32_t stamp;

    cm_os_mutex_lock(&m->lock);
    if (m->write_count == m->write_room) {
        m->write_room = m->write_room != 0 ? 2 * m->write_room : 256;
        m->writes = must(realloc(m->writes, m->write_room * sizeof(*m->writes)));
    }
    m->writes[m->write_count++] = (struct model_write){now, RECORD_NEVER, RECORD_NEVER, is_zeros};
    stamp = m->next_stamp++;
    cm_os_mutex_unlock(&m->lock);
    return stamp;
}

static void note(struct history *history, uint32_t stamp)
{
    if (history->count == history->room) {
        history->room = history->room != 0 ? 2 * history->room : 4;
        history->stamps = must(realloc(history->stamps, history->room * sizeof(*history->stamps)));
    }
    history->stamps[history->count++] = stamp;
}

/* Whether a cell lies in the range. */
static int is_in(const struct model_area *area, uint32_t cell, uint64_t offset, uint64_t length)
{
    uint64_t at = area->offset + (uint64_t)cell * CELL;

    return at >= offset && at - offset < length;
}

uint32_t model_begin(struct model *m, uint64_t offset, uint64_t length, unsigned char *data,
                     uint64_t now)
{
    uint32_t stamp = new_write(m, data == NULL, now);

    for (unsigned i = 0; i < m->area_count; i++)
        for (uint32_t cell = 0; cell < m->areas[i].cells; cell++)
            if (is_in(&m->areas[i], cell, offset, length))
                note(&m->areas[i].histories[cell], stamp);
    for (uint64_t at = 0; data != NULL && at < length; at += CELL)
        model_fill(data + at, (offset + at) / CELL, stamp);
    return stamp;
}

void model_done(struct model *m, uint32_t stamp, uint64_t now)
{
    cm_os_mutex_lock(&m->lock);
    m->writes[stamp - m->first_stamp].done = now;
    cm_os_mutex_unlock(&m->lock);
}

void model_durable(struct model *m, uint32_t stamp, uint64_t now)
{
    cm_os_mutex_lock(&m->lock);
    m->writes[stamp - m->first_stamp].durable = now;
    cm_os_mutex_unlock(&m->lock);
}

void model_flushed(struct model *m, uint64_t began, uint64_t now)
{
    cm_os_mutex_lock(&m->lock);
    for (size_t i = 0; i < m->write_count; i++)
        if (m->writes[i].done <= began && m->writes[i].durable == RECORD_NEVER)
            m->writes[i].durable = now;
    cm_os_mutex_unlock(&m->lock);
}

void model_resize_begin(struct model *m, uint64_t size, uint64_t now)
{
    if (m->size_count < MODEL_SIZES)
        m->sizes[m->size_count++] = (struct model_size){size, now, RECORD_NEVER};
}

void model_resize_done(struct model *m, uint64_t now)
{
    m->sizes[m->size_count - 1].done = now;
}

/* -- what is found ----------------------------------------------------------------------------- */

/* Whether what this write left must still be there, unless a later one is. */
static int is_sure(const struct model_write *write, uint64_t cut)
{
    return cut == RECORD_NEVER ? write->done != RECORD_NEVER : write->durable <= cut;
}

static int has_begun(const struct model_write *write, uint64_t cut)
{
    return write->begin < cut;
}

static int is_zero(const unsigned char *cell)
{
    return cell[0] == 0 && memcmp(cell, cell + 1, CELL - 1) == 0;
}

/* The stamp of a whole cell; UINT32_MAX: it is none, or not that cell. */
static uint32_t stamp_of(const unsigned char *cell, uint64_t number)
{
    unsigned char expected[CELL];
    uint64_t words[3];

    memcpy(words, cell, sizeof(words));
    if (words[0] != MAGIC || words[1] != number || words[2] >= UINT32_MAX)
        return UINT32_MAX;
    model_fill(expected, number, (uint32_t)words[2]);
    return memcmp(cell, expected, CELL) == 0 ? (uint32_t)words[2] : UINT32_MAX;
}

static int check_cell(const struct model *m, const struct model_area *area, uint32_t cell,
                      const unsigned char *data, uint64_t cut)
{
    const struct history *history = &area->histories[cell];
    uint64_t number = area->offset / CELL + cell;
    int zero = is_zero(data);
    uint32_t stamp = zero ? UINT32_MAX : stamp_of(data, number);

    for (uint32_t i = history->count; i-- > 0;) {
        const struct model_write *write = &m->writes[history->stamps[i] - m->first_stamp];

        if (has_begun(write, cut) && (write->is_zeros ? zero : history->stamps[i] == stamp))
            return 1;
        if (is_sure(write, cut))
            return 0;
    }
    return memcmp(data, area->initial + (size_t)cell * CELL, CELL) == 0;
}

static void describe(const struct model *m, const struct model_area *area, uint32_t cell,
                     const unsigned char *data, uint64_t cut, char *why, size_t size)
{
    const struct history *history = &area->histories[cell];
    uint64_t number = area->offset / CELL + cell;
    uint32_t first = history->count; /* of those that are told of: about the last durable one */
    uint64_t words[3];
    size_t used;

    memcpy(words, data, sizeof(words));
    used = (size_t)snprintf(why, size, "byte %llu of the disk holds ",
                            (unsigned long long)number * CELL);
    if (is_zero(data))
        used += (size_t)snprintf(why + used, size - used, "zeros");
    else if (words[0] != MAGIC)
        used += (size_t)snprintf(why + used, size - used, "bytes that nobody wrote");
    else
        used += (size_t)snprintf(why + used, size - used, "write %llu of byte %llu%s",
                                 (unsigned long long)words[2], (unsigned long long)words[1] * CELL,
                                 stamp_of(data, number) != UINT32_MAX ? "" : ", or a part of it");
    used +=
        (size_t)snprintf(why + used, size - used,
                         "; cut at %llu; written (begun, done, durable):", (unsigned long long)cut);
    while (first > 0 && !is_sure(&m->writes[history->stamps[first - 1] - m->first_stamp], cut))
        first--;
    first -= first > 0;
    for (uint32_t i = first; i < history->count && i < first + 6; i++) {
        const struct model_write *write = &m->writes[history->stamps[i] - m->first_stamp];

        if (used + 100 < size)
            used += (size_t)snprintf(why + used, size - used, " %u%s (%lld, %lld, %lld)",
                                     history->stamps[i], write->is_zeros ? " zeros" : "",
                                     (long long)write->begin, (long long)write->done,
                                     (long long)write->durable);
    }
}

int model_check(const struct model *m, const unsigned char *data, uint64_t offset, uint64_t length,
                uint64_t cut, char *why, size_t why_size)
{
    for (unsigned i = 0; i < m->area_count; i++)
        for (uint32_t cell = 0; cell < m->areas[i].cells; cell++) {
            const unsigned char *here =
                data + (m->areas[i].offset + (uint64_t)cell * CELL - offset);

            if (!is_in(&m->areas[i], cell, offset, length) ||
                check_cell(m, &m->areas[i], cell, here, cut))
                continue;
            describe(m, &m->areas[i], cell, here, cut, why, why_size);
            return 0;
        }
    return 1;
}

int model_check_size(const struct model *m, uint64_t size, uint64_t cut)
{
    for (unsigned i = m->size_count; i-- > 0;) {
        if (m->sizes[i].begin <= cut && m->sizes[i].size == size)
            return 1;
        if (m->sizes[i].done <= cut)
            return 0;
    }
    return 0;
}

int model_is_resizing(const struct model *m, uint64_t cut)
{
    for (unsigned i = 1; i < m->size_count; i++)
        if (m->sizes[i].begin < cut && cut <= m->sizes[i].done)
            return m->sizes[i].done != RECORD_NEVER;
    return 0;
}
