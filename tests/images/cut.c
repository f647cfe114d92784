/* SPDX-License-Identifier: MIT */
/*
 * cut.c - see cut.h. Called by crash.c and the tests, on one thread.
 *
 * The events are gone through once, forwards. What has become durable is applied to the file from before; at each event
 * where the power goes, some of the rest is applied to a layer on top of that, and verify.c looks at it.
 */
#include "cut.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/check.h"
#include "verify.h"

#define RESIZES_MAX 40u

/* What of the operations that were not durable is there. */
enum choice { NOTHING, EVERYTHING, SOME };

struct cutter {
    struct cut_job *job;
    struct cut_result *result;
    struct sparse *file;
    size_t *pending; /* operations that have begun and are not durable */
    size_t pending_count;
    size_t next;      /* operation that has not begun */
    unsigned resizes; /* events that were tried because of one */
    uint64_t covered; /* what was done before this event is durable */
};

static void *must(void *memory)
{
    if (memory == NULL) {
        fprintf(stderr, "no memory for a test\n");
        exit(2);
    }
    return memory;
}

/* -- applying ---------------------------------------------------------------------------------- */

static void apply_part(struct sparse *file, const struct record_op *op, uint64_t from,
                       uint64_t length)
{
    uint64_t size = sparse_size(file);
    uint64_t at = op->offset + from;

    if (at >= size)
        return;
    length = length < size - at ? length : size - at;
    if (op->kind == RECORD_WRITE)
        sparse_write(file, op->data + from, length, at);
    else
        sparse_zero(file, at, length);
}

static void apply(struct sparse *file, const struct record_op *op)
{
    if (op->kind == RECORD_RESIZE)
        (void)sparse_resize(file, op->offset);
    else if (op->kind != RECORD_FLUSH)
        apply_part(file, op, 0, op->length);
}

/* Some of its pieces, which end at multiples of `piece`; each with a chance of `chance` in 8. */
static void apply_torn(struct sparse *file, const struct record_op *op, uint32_t piece,
                       unsigned chance, uint64_t *random)
{
    uint64_t from = 0;

    while (from < op->length) {
        uint64_t part = piece - (op->offset + from) % piece;

        part = part < op->length - from ? part : op->length - from;
        if (check_random(random) % 8 < chance)
            apply_part(file, op, from, part);
        from += part;
    }
}

static void apply_some(struct cutter *c)
{
    static const uint32_t pieces[] = {0, 0, 4096, 512}; /* bytes; 0: a write is there or not */
    uint64_t *random = &c->job->random;
    uint32_t piece = pieces[check_random(random) % 4];
    unsigned chance = 1 + (unsigned)(check_random(random) % 7);
    int is_size_old = 0;

    for (size_t i = 0; i < c->pending_count; i++) {
        const struct record_op *op = &c->job->recorder->ops[c->pending[i]];

        if (op->kind == RECORD_RESIZE) {
            is_size_old = is_size_old || check_random(random) % 8 >= chance;
            if (!is_size_old)
                apply(c->file, op);
        } else if (piece != 0) {
            apply_torn(c->file, op, piece, chance, random);
        } else if (check_random(random) % 8 < chance) {
            apply(c->file, op);
        }
    }
}

static void leave(struct cutter *c, enum choice choice)
{
    if (choice == SOME)
        apply_some(c);
    for (size_t i = 0; choice == EVERYTHING && i < c->pending_count; i++)
        apply(c->file, &c->job->recorder->ops[c->pending[i]]);
}

/* -- time -------------------------------------------------------------------------------------- */

/* Before the event `cut`: what has begun is pending, what a flush covered is in the file. */
static void advance(struct cutter *c, uint64_t cut)
{
    const struct recorder *r = c->job->recorder;
    size_t kept = 0;
    uint64_t covered = c->covered;

    while (c->next < r->count && r->ops[c->next].begin < cut)
        c->pending[c->pending_count++] = c->next++;
    for (size_t i = 0; i < c->pending_count; i++) {
        const struct record_op *op = &r->ops[c->pending[i]];

        if (op->kind == RECORD_FLUSH && op->done < cut && op->begin > covered)
            covered = op->begin;
    }
    if (covered == c->covered)
        return;
    c->covered = covered;
    for (size_t i = 0; i < c->pending_count; i++) {
        const struct record_op *op = &r->ops[c->pending[i]];

        if (op->done < covered)
            apply(c->file, op);
        else if (op->kind != RECORD_FLUSH || op->done >= cut)
            c->pending[kept++] = c->pending[i];
    }
    c->pending_count = kept;
}

/* The file as the cut left it, for people to look at. */
static void keep(struct cutter *c, uint64_t cut, enum choice choice, uint64_t random)
{
    c->job->random = random;
    sparse_drop(c->file);
    sparse_push(c->file);
    leave(c, choice);
    snprintf(c->result->kept, sizeof(c->result->kept), "failed-%s-%llu.%s", c->job->subject->name,
             (unsigned long long)cut, c->job->subject->extension);
    sparse_save(c->file, c->result->kept);
}

static int try_file(struct cutter *c, uint64_t cut, enum choice choice)
{
    uint64_t random = c->job->random;
    struct verify_result seen;
    int ok;

    sparse_push(c->file);
    leave(c, choice);
    ok = verify_file(c->job, c->file, cut, c->result, &seen);
    c->result->files++;
    c->result->dirty += seen.was_dirty != 0;
    c->result->wastes += seen.wastes;
    if (!ok && c->result->kept[0] == '\0') {
        c->result->failed_at = cut;
        keep(c, cut, choice, random);
    }
    sparse_drop(c->file);
    return ok;
}

static int try_event(struct cutter *c, uint64_t cut, int is_thorough)
{
    uint64_t *random = &c->job->random;
    unsigned some = is_thorough ? 5 : 0;
    int ok = 1;

    c->result->events++;
    if (is_thorough)
        ok = try_file(c, cut, NOTHING) && try_file(c, cut, EVERYTHING);
    else
        ok = try_file(
            c, cut, check_random(random) % 4 != 0 ? SOME : (enum choice)(check_random(random) % 2));
    while (ok && some-- > 0)
        ok = try_file(c, cut, SOME);
    return ok;
}

/* Few events are a resize: of those, some more. */
static int is_chosen_for_resize(struct cutter *c, uint64_t cut)
{
    return model_is_resizing(c->job->model, cut) && c->resizes < RESIZES_MAX &&
           check_random(&c->job->random) % 3 == 0 && ++c->resizes != 0;
}

int cut_all(struct cut_job *job, struct cut_result *result)
{
    struct cutter c = {.job = job, .result = result, .file = job->before};
    uint64_t events = recorder_now(job->recorder);
    int is_thorough = job->files == 0;
    int ok = 1;

    job->random |= 1;
    c.pending = must(calloc(job->recorder->count + 1, sizeof(*c.pending)));
    for (uint64_t cut = 0; cut <= events && ok; cut++) {
        if (!is_thorough && check_random(&job->random) % (events + 1) >= job->files &&
            !is_chosen_for_resize(&c, cut))
            continue;
        advance(&c, cut);
        ok = try_event(&c, cut, is_thorough);
        for (uint64_t more = events + 1; ok && more < job->files; more += events + 1)
            ok = try_file(&c, cut, SOME);
    }
    free(c.pending);
    return ok;
}
