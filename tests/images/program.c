/* SPDX-License-Identifier: MIT */
/* program.c - see program.h. */
#include "program.h"

#include <stdio.h>
#include <string.h>

#include "lib/core/error_internal.h"
#include "tests/unit/check.h"
#include "workload.h"

#define DEPTH 1u

struct round {
    const struct program *program;
    struct cut_result *result;
    uint64_t random;
    uint64_t disk_size;
    char path[128];
    char parent[128]; /* empty: none */
    struct sparse *file;
};

static int fail(struct round *round, const char *when, const char *what)
{
    if (round->result->why[0] == '\0')
        snprintf(round->result->why, sizeof(round->result->why), "%s: %s", when, what);
    return 0;
}

static int create(struct round *round)
{
    struct cm_image_options options = {
        .struct_size = sizeof(options),
        .flags = CM_OPEN_CREATE,
        .size = round->disk_size,
        .sector_size = round->program->subject->sector_size,
        .block_size = round->program->subject->block_size,
        .parent = round->parent[0] != '\0' ? round->parent : NULL,
    };
    struct cm_store *store = sparse_store(round->file, 0, round->path);
    struct cm_image *image;
    int error = round->program->subject->open(store, &options, &image);

    if (error != 0)
        cm_store_close(store);
    else
        error = cm_image_close(image);
    return error == 0 || fail(round, "an image cannot be made", cm_last_error());
}

static void choose_storage(struct round *round, struct recorder_options *storage)
{
    *storage = round->program->storage;
    if (check_random(&round->random) % 5 == 0)
        storage->cannot_punch = 1;
    if (check_random(&round->random) % 8 == 0)
        storage->size_limit =
            sparse_size(round->file) +
            (uint64_t)round->program->subject->block_size * (1 + check_random(&round->random) % 8);
}

static void print_trace(const struct recorder *recorder, uint64_t cut, unsigned count)
{
    static const char *const names[] = {"write", "punch", "resize", "flush"};
    size_t end = 0;

    while (end < recorder->count && recorder->ops[end].begin < cut)
        end++;
    for (size_t i = end > count ? end - count : 0; i < end; i++) {
        const struct record_op *op = &recorder->ops[i];

        printf("  event %6llu to %6lld: %-6s %10llu", (unsigned long long)op->begin,
               (long long)op->done, names[op->kind], (unsigned long long)op->offset);
        if (op->kind == RECORD_WRITE || op->kind == RECORD_PUNCH)
            printf(" + %llu", (unsigned long long)op->length);
        if (op->kind == RECORD_WRITE)
            printf(" (%02x%02x%02x%02x)", op->data[0], op->data[1], op->data[2], op->data[3]);
        printf("\n");
    }
}

static int cut(struct round *round, struct recorder *recorder, struct model *model,
               struct sparse *before)
{
    struct cut_job job = {
        .subject = round->program->subject,
        .path = round->path,
        .recorder = recorder,
        .before = before,
        .model = model,
        .random = check_random(&round->random),
        .files = round->program->files,
        .depth = DEPTH,
        .sample_folder = round->program->sample_folder,
        .sample_every = round->program->sample_every,
    };
    int ok = cut_all(&job, round->result);

    if (!ok && round->program->trace != 0)
        print_trace(recorder, round->result->failed_at, round->program->trace);
    return ok;
}

static int run(struct round *round)
{
    struct sparse *before = sparse_copy(round->file);
    struct recorder_options storage;
    struct recorder recorder;
    struct model model;
    struct workload workload = {.subject = round->program->subject, .path = round->path};
    int ok;

    choose_storage(round, &storage);
    workload.random = check_random(&round->random);
    workload.threads = round->program->threads;
    if (workload.threads == 0)
        workload.threads = check_random(&round->random) % 3 != 0
                               ? 1
                               : 2 + (unsigned)(check_random(&round->random) % 3);
    workload.phases = 1 + (unsigned)(check_random(&round->random) % 3);
    workload.steps = 20 + (unsigned)(check_random(&round->random) % 200) / workload.threads;
    if (check_random(&round->random) % 6 == 0)
        workload.steps *= 5; /* so that rings go round */
    storage.slow_flush_ms = workload.threads > 1 && check_random(&round->random) % 2 == 0;
    recorder_init(&recorder, round->file, &storage);
    model_init(&model, round->disk_size, PARENT_STAMP + 1);
    workload_choose_areas(workload.subject, round->disk_size, &round->random, &model);
    workload.recorder = &recorder;
    workload.model = &model;
    ok = workload_run(&workload) || fail(round, "the program itself", workload.why);
    ok = ok && cut(round, &recorder, &model, before);
    model_destroy(&model);
    recorder_destroy(&recorder);
    sparse_free(before);
    return ok;
}

int program_run(const struct program *program, struct cut_result *result)
{
    const struct subject *subject = program->subject;
    struct round round = {.program = program, .result = result, .random = program->seed};
    unsigned sizes = 0;
    int ok = 1;

    for (unsigned i = 0; i < 4; i++) /* neighbouring seeds have nothing in common */
        (void)check_random(&round.random);
    while (sizes < SUBJECT_SIZES && subject->disk_sizes[sizes] != 0)
        sizes++;
    round.disk_size = subject->disk_sizes[check_random(&round.random) % sizes];
    snprintf(round.path, sizeof(round.path), "crash-%s.%s", subject->name, subject->extension);
    if (subject->has_parent)
        ok = subject_make_parent(subject, round.disk_size, round.parent, sizeof(round.parent)) ||
             fail(&round, "a parent cannot be made", cm_last_error());
    round.file = sparse_new();
    ok = ok && create(&round) && run(&round);
    sparse_free(round.file);
    return ok;
}
