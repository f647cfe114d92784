/* SPDX-License-Identifier: MIT */
/* verify.c - see verify.h. Called by cut.c. */
#include "verify.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/core/error_internal.h"
#include "tests/unit/check.h"
#include "workload.h"

#define AFTER_WRITES 4u
#define SAMPLE_MAX (UINT64_C(1) << 30) /* bytes of a disk; other programs read all of it */

struct verifier {
    const struct cut_job *job;
    struct sparse *file;
    uint64_t cut;
    struct cut_result *total;
    struct verify_result *result;
    unsigned char *seen[MODEL_AREAS]; /* content of each area when it was opened read-only */
    uint64_t size;                    /* bytes of the disk */
};

static int wrong(struct verifier *v, const char *when, const char *what)
{
    if (v->total->why[0] == '\0')
        snprintf(v->total->why, sizeof(v->total->why), "%s: %s", when, what);
    return 0;
}

static int wrong_error(struct verifier *v, const char *when, int error)
{
    char text[600];

    snprintf(text, sizeof(text), "%s (%s)", cm_error_name(error), cm_last_error());
    return wrong(v, when, text);
}

/* -- the check --------------------------------------------------------------------------------- */

static void note_finding(void *context, enum cm_check_severity severity, int is_repaired,
                         const char *text)
{
    char *first = context;

    (void)is_repaired;
    if (severity == CM_CHECK_ERROR && first[0] == '\0')
        snprintf(first, 500, "%s", text);
}

static int check_file(struct verifier *v, const char *when)
{
    char first[512] = "";
    struct cm_check_options options = {
        .struct_size = sizeof(options), .report = note_finding, .context = first};
    struct cm_check_result found = {0};
    const struct cm_container *container = v->job->subject->container;
    struct cm_store *store;
    int error;

    if (container == NULL || container->check == NULL)
        return 1;
    store = sparse_store(v->file, 1, v->job->path);
    error = container->check(store, &options, &found);
    cm_store_close(store);
    v->result->wastes += found.wastes;
    if (error != 0)
        return wrong_error(v, when, error);
    return found.errors == 0 || wrong(v, when, first);
}

/* -- opening and reading ----------------------------------------------------------------------- */

static struct cm_image *open_store(struct verifier *v, struct cm_store *store, uint32_t flags,
                                   const char *when)
{
    struct cm_image_options options = {.struct_size = sizeof(options), .flags = flags};
    struct cm_image *image;
    int error = v->job->subject->open(store, &options, &image);

    if (error == 0)
        return image;
    cm_store_close(store);
    wrong_error(v, when, error);
    return NULL;
}

static struct cm_image *open_file(struct verifier *v, uint32_t flags, const char *when)
{
    int read_only = (flags & CM_OPEN_READ_ONLY) != 0;

    return open_store(v, sparse_store(v->file, read_only, v->job->path), flags, when);
}

/* Bytes of an area that lie on the disk. */
static uint32_t area_length(const struct verifier *v, const struct model_area *area)
{
    uint64_t length = (uint64_t)area->cells * CELL;

    if (area->offset >= v->size)
        return 0;
    return (uint32_t)(length < v->size - area->offset ? length : v->size - area->offset);
}

static int read_first(struct verifier *v, struct cm_image *image, const char *when)
{
    const struct model *model = v->job->model;
    struct cm_image_info info;
    char why[900];

    if (cm_image_get_info(image, &info) != 0)
        return wrong(v, when, "no information");
    v->size = info.size;
    v->result->was_dirty = info.was_dirty;
    if (!model_check_size(model, info.size, v->cut)) {
        snprintf(why, sizeof(why), "a size that it cannot have, %llu; the last one was %llu",
                 (unsigned long long)info.size,
                 (unsigned long long)model->sizes[model->size_count - 1].size);
        return wrong(v, when, why);
    }
    for (unsigned i = 0; i < model->area_count; i++) {
        uint32_t length = area_length(v, &model->areas[i]);
        int error =
            length == 0 ? 0 : cm_image_read(image, v->seen[i], length, model->areas[i].offset);

        if (error != 0)
            return wrong_error(v, when, error);
        if (!model_check(model, v->seen[i], model->areas[i].offset, length, v->cut, why,
                         sizeof(why)))
            return wrong(v, when, why);
    }
    return 1;
}

static int read_again(struct verifier *v, struct cm_image *image, const char *when)
{
    const struct model *model = v->job->model;
    unsigned char *data = NULL;
    int ok = 1;

    for (unsigned i = 0; i < model->area_count && ok; i++) {
        uint32_t length = area_length(v, &model->areas[i]);
        int error;

        if (length == 0)
            continue;
        data = realloc(data, length);
        error =
            data != NULL ? cm_image_read(image, data, length, model->areas[i].offset) : CM_ENOMEM;
        if (error != 0)
            ok = wrong_error(v, when, error);
        else if (memcmp(data, v->seen[i], length) != 0)
            ok = wrong(v, when, "other content than when it was read before");
    }
    free(data);
    return ok;
}

static int look(struct verifier *v, const char *when)
{
    struct cm_image *image = open_file(v, CM_OPEN_READ_ONLY, when);
    int ok = image != NULL && read_first(v, image, when);

    if (image != NULL)
        cm_image_close(image);
    return ok;
}

/* -- going on ---------------------------------------------------------------------------------- */

static int write_some(struct verifier *v, struct cm_image *image, uint64_t *random)
{
    const struct model *model = v->job->model;
    uint32_t sector = v->job->subject->sector_size;
    int error = 0;

    for (unsigned i = 0; i < AFTER_WRITES && error == 0; i++) {
        unsigned number = (unsigned)(check_random(random) % model->area_count);
        const struct model_area *area = &model->areas[number];
        uint32_t length = area_length(v, area) / sector * sector;

        if (length == 0)
            continue;
        length = length < 8192 ? length : 8192;
        memset(v->seen[number], (int)(0x80 + i), length);
        error = cm_image_write(image, v->seen[number], length, area->offset, 0);
    }
    if (error == 0)
        error = cm_image_flush(image);
    return error == 0 || wrong_error(v, "writing after the cut", error);
}

static int go_on(struct verifier *v, uint64_t *random)
{
    struct cm_image *image = open_file(v, 0, "opened for writing after the cut");
    int ok = image != NULL && read_again(v, image, "opened for writing after the cut") &&
             write_some(v, image, random) && read_again(v, image, "written after the cut");

    if (image != NULL && cm_image_close(image) != 0 && ok)
        ok = wrong(v, "closed after the cut", "an error");
    if (ok)
        ok = check_file(v, "checked after it was written and closed");
    image = ok ? open_file(v, CM_OPEN_READ_ONLY, "opened after it was written and closed") : NULL;
    ok = image != NULL && read_again(v, image, "opened after it was written and closed");
    if (image != NULL)
        cm_image_close(image);
    return ok;
}

/* The power goes once more, while it recovers or soon after: what was seen is the content from before. */
static int cut_again(struct verifier *v, uint64_t *random)
{
    struct cut_job job = *v->job;
    struct recorder recorder;
    struct model model;
    struct workload workload = {.subject = job.subject, .path = job.path, .phases = 1};
    uint64_t files = v->total->files;
    int ok;

    job.before = sparse_copy(v->file);
    recorder_init(&recorder, v->file, NULL);
    recorder.options.cannot_punch = v->job->recorder->options.cannot_punch;
    recorder.options.lose_flushes = v->job->recorder->options.lose_flushes;
    model_init(&model, v->size, v->job->model->next_stamp);
    for (unsigned i = 0; i < v->job->model->area_count; i++) {
        const struct model_area *area = &v->job->model->areas[i];
        uint32_t cells = area_length(v, area) / CELL;

        if (cells != 0)
            model_add_area(&model, area->offset, cells, v->seen[i]);
    }
    workload.recorder = &recorder;
    workload.model = &model;
    workload.random = check_random(random);
    workload.threads = 1;
    workload.steps = 1 + (unsigned)(check_random(random) % 12);
    ok = model.area_count == 0 || workload_run(&workload);
    if (!ok)
        wrong(v, "a program after the cut", workload.why);
    job.recorder = &recorder;
    job.model = &model;
    job.random = check_random(random);
    job.files = 12;
    job.depth = v->job->depth - 1;
    job.sample_every = 0;
    if (ok && model.area_count != 0)
        ok = cut_all(&job, v->total);
    v->total->second_cuts += v->total->files - files;
    model_destroy(&model);
    recorder_destroy(&recorder);
    sparse_free(job.before);
    return ok;
}

/* -- samples for other programs, and what is kept of a find -------------------------------------- */

static void save(struct verifier *v, const char *folder, const char *name, uint64_t number,
                 char *path, size_t size)
{
    snprintf(path, size, "%s/%s-%llu-%s.%s", folder, v->job->subject->name,
             (unsigned long long)number, name, v->job->subject->extension);
    sparse_save(v->file, path);
}

/* The whole disk, as it reads: a raw file, with holes where there is nothing. */
static int save_content(struct verifier *v, struct cm_image *image, const char *path)
{
    static unsigned char data[1u << 20];
    struct sparse *content = sparse_new();
    int error = sparse_resize(content, v->size);

    for (uint64_t at = 0; at < v->size && error == 0;) {
        struct cm_extent extent;
        uint32_t part = (uint32_t)(v->size - at < sizeof(data) ? v->size - at : sizeof(data));

        error = cm_image_extent(image, at, part, &extent);
        part = error == 0 && extent.length < part ? (uint32_t)extent.length : part;
        if (error == 0 && (extent.flags & CM_EXTENT_ZERO) == 0)
            error = cm_image_read(image, data, part, at);
        if (error == 0 && (extent.flags & CM_EXTENT_ZERO) == 0)
            sparse_write(content, data, part, at);
        at += part;
    }
    if (error == 0)
        sparse_save(content, path);
    sparse_free(content);
    return error == 0 || wrong_error(v, "read for a sample", error);
}

/* As the cut left it, what it holds, and the same once it has been opened for writing. */
static int save_sample(struct verifier *v)
{
    char path[300];
    uint64_t number = v->total->samples++;
    struct cm_image *image;
    int ok;

    save(v, v->job->sample_folder, "cut", number, path, sizeof(path));
    image = open_file(v, 0, "opened for a sample");
    snprintf(path, sizeof(path), "%s/%s-%llu.raw", v->job->sample_folder, v->job->subject->name,
             (unsigned long long)number);
    ok = image != NULL && save_content(v, image, path);
    if (image != NULL)
        cm_image_close(image);
    save(v, v->job->sample_folder, "recovered", number, path, sizeof(path));
    return ok;
}

/* -- all of it --------------------------------------------------------------------------------- */

static int run(struct verifier *v)
{
    uint64_t random = v->cut * 2654435761u + v->total->files + 1;
    const struct cut_job *job = v->job;

    if (!check_file(v, "checked as the cut left it") || !look(v, "opened read-only after the cut"))
        return 0;
    if (job->sample_every != 0 && v->size <= SAMPLE_MAX &&
        v->total->files >= (v->total->samples + 1) * job->sample_every)
        return save_sample(v);
    if (job->depth > 0 &&
        check_random(&random) % (model_is_resizing(job->model, v->cut) ? 12 : 24) == 0)
        return cut_again(v, &random);
    return go_on(v, &random);
}

int verify_file(const struct cut_job *job, struct sparse *file, uint64_t cut,
                struct cut_result *total, struct verify_result *result)
{
    struct verifier v = {.job = job, .file = file, .cut = cut, .total = total, .result = result};
    int ok = 1;

    memset(result, 0, sizeof(*result));
    for (unsigned i = 0; i < job->model->area_count; i++) {
        v.seen[i] = malloc((size_t)job->model->areas[i].cells * CELL);
        ok = ok && v.seen[i] != NULL;
    }
    ok = ok ? run(&v) : wrong(&v, "before the start", "no memory");
    for (unsigned i = 0; i < job->model->area_count; i++)
        free(v.seen[i]);
    return ok;
}
