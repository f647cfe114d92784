/* SPDX-License-Identifier: MIT */
/*
 * container.c - see container.h: makes the templates once, then for each input a changed copy, on which the steps are
 * done. One thread.
 *
 * What must be so: no write where none may be, none at all when it is opened read-only; an image that was not changed
 * opens, works and has no errors; and whatever was changed, it ends, in the memory that libFuzzer was told to allow.
 */
#include "container.h"

#include <string.h>
#include <unistd.h>

#include "lib/core/error_internal.h"

#define CHANGE 12u /* bytes of the input */
#define STEP 4u    /* bytes of the input */
#define STEPS_MAX 24u
#define FILE_MAX (UINT64_C(64) << 20)  /* bytes; then the storage is full */
#define DISK_SIZE (UINT64_C(24) << 20) /* bytes, of the templates */

#define CHOICE_NO_SEAL 1u
#define CHOICE_READ_ONLY 2u
#define CHOICE_CHECK_FIRST 4u
#define CHOICE_REPAIR 8u
#define CHOICE_NO_PUNCH 16u
#define CHOICE_CHECK_LAST 64u
#define CHOICE_CUT_END 32u /* the file is shorter, by the last step */

static const struct fuzz_format *format;
static const char *target;
static struct fuzz_template templates[2 * FUZZ_TEMPLATES]; /* closed, and as they are while open */
static unsigned template_count;
static char folder[64];
static char path[128]; /* of the store */
static unsigned char buffer[1u << 17];

/* -- the store --------------------------------------------------------------------------------- */

struct medium {
    struct sparse *file;
    int read_only, cannot_punch;
    int is_new; /* it is being made: everything may be written */
};

static int medium_read(void *context, void *data, uint32_t length, uint64_t offset)
{
    struct medium *medium = context;

    sparse_read(medium->file, data, length, offset);
    return 0;
}

static int medium_write(void *context, const void *data, uint32_t length, uint64_t offset)
{
    struct medium *medium = context;

    MUST(!medium->read_only);
    MUST(medium->is_new || !format->is_forbidden(data, length, offset));
    sparse_write(medium->file, data, length, offset);
    return 0;
}

static int medium_flush(void *context)
{
    (void)context;
    return 0;
}

static int medium_punch(void *context, uint64_t offset, uint64_t length)
{
    struct medium *medium = context;

    MUST(!medium->read_only);
    MUST(medium->is_new ||
         !format->is_forbidden(NULL, length < UINT32_MAX ? (uint32_t)length : UINT32_MAX, offset));
    if (medium->cannot_punch)
        return CM_ENOTSUP;
    sparse_zero(medium->file, offset, length);
    return 0;
}

static int medium_resize(void *context, uint64_t size)
{
    struct medium *medium = context;

    MUST(!medium->read_only);
    return size > FILE_MAX ? CM_ENOSPC : sparse_resize(medium->file, size);
}

static int medium_allocated(void *context, uint64_t *bytes)
{
    struct medium *medium = context;

    *bytes = sparse_size(medium->file);
    return 0;
}

static void medium_close(void *context)
{
    (void)context;
}

static struct cm_store *open_medium(struct medium *medium)
{
    static const struct cm_store_ops ops = {
        .read = medium_read,
        .write = medium_write,
        .flush = medium_flush,
        .punch = medium_punch,
        .resize = medium_resize,
        .allocated = medium_allocated,
        .close = medium_close,
    };
    struct cm_store *store;

    MUST(cm_store_new(&ops, medium, sparse_size(medium->file), medium->read_only, path, &store) ==
         0);
    return store;
}

/* -- templates --------------------------------------------------------------------------------- */

static struct cm_image *open_image(struct cm_store *store, const struct cm_image_options *options)
{
    struct cm_image *image;

    if (format->open(store, options, &image) == 0)
        return image;
    cm_store_close(store);
    return NULL;
}

/* Some blocks with data, two that were trimmed, parts of others. */
static void fill_template(struct cm_image *image, uint32_t block_size)
{
    memset(buffer, 0x5A, sizeof(buffer));
    for (unsigned i = 0; i < 5; i++)
        MUST(cm_image_write(image, buffer, 8192, (uint64_t)i * block_size + 4096 * i,
                            CM_IMAGE_FUA) == 0);
    (void)cm_image_trim(image, block_size, block_size);
    (void)cm_image_trim(image, (uint64_t)2 * block_size + 8192, 4096);
    MUST(cm_image_write(image, buffer, 4096, DISK_SIZE - 4096, CM_IMAGE_FUA) == 0);
}

static void add_template(struct sparse *file, unsigned row)
{
    struct fuzz_template *template = &templates[template_count++];

    template->file = file;
    template->block_size = format->block_sizes[row];
    template->sector_size = format->sector_sizes[row];
    format->find_places(template, target);
    MUST(template->place_count != 0);
}

static void make_template(unsigned row, const char *parent)
{
    struct medium medium = {.file = sparse_new(), .is_new = 1};
    struct cm_image_options options = {
        .struct_size = sizeof(options),
        .flags = CM_OPEN_CREATE | format->flags[row],
        .size = DISK_SIZE,
        .sector_size = format->sector_sizes[row],
        .block_size = (format->flags[row] & CM_OPEN_FIXED) != 0 ? 0 : format->block_sizes[row],
        .parent = parent,
    };
    struct cm_image *image = open_image(open_medium(&medium), &options);

    if (image == NULL)
        fprintf(stderr, "%s\n", cm_last_error());
    MUST(image != NULL);
    MUST(cm_image_close(image) == 0);
    medium.is_new = 0;
    options = (struct cm_image_options){.struct_size = sizeof(options)};
    image = open_image(open_medium(&medium), &options);
    MUST(image != NULL);
    fill_template(image, format->block_sizes[row]);
    add_template(sparse_copy(medium.file), row); /* its log is not empty, if it has one */
    MUST(cm_image_close(image) == 0);
    add_template(medium.file, row);
}

/* The parent is a file; the one that is upon it is beside it too, so that it can be made its own parent. */
static void make_templates(void)
{
    const char *base = getenv("TMPDIR");
    char parent[128];

    snprintf(folder, sizeof(folder), "%.40s/coremnt-fuzz-XXXXXX", base != NULL ? base : P_tmpdir);
    MUST(mkdtemp(folder) != NULL);
    snprintf(path, sizeof(path), "%s/child.%s", folder, format->extension);
    snprintf(parent, sizeof(parent), "%s/%s.%s", folder, FUZZ_PARENT, format->extension);
    for (unsigned row = 0; row < FUZZ_TEMPLATES && format->block_sizes[row] != 0; row++) {
        make_template(row, row == format->template_with_parent ? parent : NULL);
        if (row == 0)
            sparse_save(templates[1].file, parent);
        if (row == format->template_with_parent)
            sparse_save(templates[template_count - 1].file, path);
    }
}

static void remove_folder(void)
{
    char parent[128];

    snprintf(parent, sizeof(parent), "%s/%s.%s", folder, FUZZ_PARENT, format->extension);
    (void)remove(parent);
    (void)remove(path);
    (void)rmdir(folder);
}

/* -- changes ----------------------------------------------------------------------------------- */

/* Names of parents, as they are in locators: little-endian UTF-16, big-endian where that is read. */
static void put_name(struct sparse *file, uint64_t at, uint64_t which, int is_big)
{
    static const char *const names[] = {"child", "parent", "..\\child", ".\\parent",
                                        "\\",    "..",     "C:\\child", "\\\\?\\"};
    const char *name = names[which % 8];
    char text[64];
    unsigned char wide[128];
    int length = snprintf(text, sizeof(text), "%s.%s", name, format->extension);

    for (int i = 0; i < length; i++) {
        wide[2 * i + !is_big] = 0;
        wide[2 * i + is_big] = (unsigned char)text[i];
    }
    if (at < sparse_size(file) && sparse_size(file) - at > (uint64_t)length * 2)
        sparse_write(file, wide, (uint64_t)length * 2, at);
}

/* `how`: its low 2 bits: 1, 2, 4 or 8 bytes; then: set, add, multiply by 2 to the power, a name; big-endian. */
static void change(struct sparse *file, const struct fuzz_template *template, const uint8_t *input)
{
    const struct fuzz_place *place = &template->places[input[0] % template->place_count];
    unsigned size = 1u << (input[1] & 3);
    unsigned what = input[1] >> 2 & 3;
    int is_big = input[1] >> 4 & 1;
    uint64_t at = (uint64_t)input[2] | (uint64_t)input[3] << 8;
    unsigned char bytes[8];
    uint64_t value = 0, old = 0;

    at = place->at + (place->length > 65536 ? at * 8 : at) % place->length;
    for (unsigned i = 0; i < 8; i++)
        value |= (uint64_t)input[4 + i] << 8 * i;
    if (at >= sparse_size(file) || sparse_size(file) - at < 8)
        return;
    if (what == 3) {
        put_name(file, at, value, is_big);
        return;
    }
    sparse_read(file, bytes, size, at);
    for (unsigned i = 0; i < size; i++)
        old |= (uint64_t)bytes[is_big ? size - 1 - i : i] << 8 * i;
    if (what == 1)
        value += old;
    else if (what == 2)
        value = old << (value % 64);
    for (unsigned i = 0; i < size; i++)
        bytes[is_big ? size - 1 - i : i] = (unsigned char)(value >> 8 * i);
    sparse_write(file, bytes, size, at);
}

/* -- steps ------------------------------------------------------------------------------------- */

static void walk_extents(struct cm_image *image, uint64_t at, uint64_t size)
{
    for (unsigned i = 0; i < 32 && at < size; i++) {
        struct cm_extent extent;

        if (cm_image_extent(image, at, size - at, &extent) != 0)
            return;
        MUST(extent.length != 0 && extent.length <= size - at);
        at += extent.length;
    }
}

static void step(struct cm_image *image, const struct fuzz_template *template, const uint8_t *input)
{
    struct cm_image_info info;
    uint32_t length;
    uint64_t at;

    MUST(cm_image_get_info(image, &info) == 0);
    MUST(info.size != 0 && info.size % info.sector_size == 0);
    at =
        (uint64_t)input[1] * template->block_size + (uint64_t)input[2] * template->block_size / 256;
    if (input[1] >= 0xF0) /* the end, wherever it is */
        at = info.size - (info.size < 65536 ? info.size : 65536);
    at -= at % info.sector_size;
    length = info.sector_size * (1 + input[3] % 16);
    switch (input[0] % 8) {
    case 0:
    case 1:
        (void)cm_image_read(image, buffer, length, at);
        break;
    case 2:
    case 3:
        (void)cm_image_write(image, buffer, length, at, input[0] & 8 ? CM_IMAGE_FUA : 0);
        break;
    case 4:
        (void)cm_image_trim(image, at, input[0] & 8 ? template->block_size : length);
        break;
    case 5:
        (void)cm_image_flush(image);
        break;
    case 6:
        walk_extents(image, at, info.size);
        break;
    default:
        (void)cm_image_resize(image, (uint64_t)(1 + input[1]) * template->block_size);
    }
}

static int run_steps(struct medium *medium, const struct fuzz_template *template,
                     const uint8_t *input, size_t size)
{
    struct cm_image_options options = {.struct_size = sizeof(options),
                                       .flags = medium->read_only ? CM_OPEN_READ_ONLY : 0};
    struct cm_image *image = open_image(open_medium(medium), &options);

    if (image == NULL)
        return 0;
    memset(buffer, 0xA5, sizeof(buffer));
    for (unsigned i = 0; i < STEPS_MAX && size >= STEP; i++, size -= STEP, input += STEP)
        step(image, template, input);
    (void)cm_image_close(image);
    return 1;
}

static uint64_t check(struct medium *medium, int repair)
{
    struct cm_check_options options = {.struct_size = sizeof(options),
                                       .flags = repair ? CM_CHECK_REPAIR : 0};
    struct cm_check_result result = {0};
    struct medium as = {medium->file, !repair, medium->cannot_punch, 0};
    struct cm_store *store = open_medium(&as);
    int error = format->container->check(store, &options, &result);

    cm_store_close(store);
    return error != 0 ? UINT64_MAX : result.errors;
}

static void run(struct medium *medium, const struct fuzz_template *template, uint8_t choices,
                unsigned changes, const uint8_t *input, size_t size)
{
    int ok;

    if ((choices & CHOICE_CHECK_FIRST) != 0)
        (void)check(medium, (choices & CHOICE_REPAIR) != 0 && !medium->read_only);
    ok = run_steps(medium, template, input, size);
    if (changes == 0 && (choices & CHOICE_CUT_END) == 0) {
        MUST(ok);
        MUST(check(medium, 0) == 0);
        return;
    }
    if ((choices & CHOICE_CHECK_LAST) != 0)
        (void)check(medium, 0);
    if (ok && !medium->read_only) {
        medium->read_only = 1;
        (void)run_steps(medium, template, input, size);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct fuzz_template *template;
    struct medium medium;
    unsigned changes = 0;
    uint8_t choices;

    if (size < 3)
        return 0;
    template = &templates[data[0] % template_count];
    choices = data[1];
    sparse_push(template->file);
    medium = (struct medium){template->file,
                             (choices & CHOICE_READ_ONLY) != 0 || strcmp(target, "vhdx_parts") == 0,
                             (choices & CHOICE_NO_PUNCH) != 0, 0};
    data += 3;
    size -= 3;
    for (unsigned count = data[-1] % 32; changes < count && size >= CHANGE; changes++) {
        change(medium.file, template, data);
        data += CHANGE;
        size -= CHANGE;
    }
    if ((choices & CHOICE_CUT_END) != 0 && size >= 2)
        (void)sparse_resize(medium.file, sparse_size(medium.file) * data[size - 1] / 256);
    if ((choices & CHOICE_NO_SEAL) == 0)
        format->seal(medium.file);
    run(&medium, template, choices, changes, data, size);
    sparse_drop(template->file);
    return 0;
}

/* -- seeds ------------------------------------------------------------------------------------- */

static void write_seed(const char *where, const char *name, const uint8_t *bytes, size_t size)
{
    char file_name[1024];
    FILE *file;

    snprintf(file_name, sizeof(file_name), "%s/seed-%s", where, name);
    file = fopen(file_name, "wb");
    if (file == NULL || fwrite(bytes, 1, size, file) != size || fclose(file) != 0) {
        perror(file_name);
        exit(1);
    }
}

/* Of each template: as it is, and with one number of each place near its limits. */
static void write_seeds(const char *where)
{
    static const uint8_t steps[] = {0, 0, 0, 1, 2, 1, 1,  3, 4,   0, 0, 4,  12, 3, 0, 0,  5, 0,
                                    0, 0, 6, 0, 0, 0, 10, 7, 255, 0, 7, 30, 0,  0, 3, 28, 0, 9};
    uint8_t seed[3 + CHANGE + sizeof(steps)] = {0};
    char name[64];

    for (unsigned i = 0; i < template_count; i++) {
        seed[0] = (uint8_t)i;
        seed[2] = 0;
        memcpy(seed + 3, steps, sizeof(steps));
        snprintf(name, sizeof(name), "whole-%u", i);
        write_seed(where, name, seed, 3 + sizeof(steps));
        seed[2] = 1;
        memcpy(seed + 3 + CHANGE, steps, sizeof(steps));
        for (unsigned place = 0; place < templates[i].place_count; place++) {
            static const uint8_t changes[][CHANGE - 1] = {
                {3, 16, 0, 0, 0, 0, 0, 0, 0, 0, 0x7F},
                {6, 8, 0, 1, 0, 0, 0, 0, 0, 0, 0},
                {12, 24, 0, 1, 0, 0, 0, 0, 0, 0, 0},
            };

            for (unsigned c = 0; c < 3; c++) {
                seed[3] = (uint8_t)place;
                memcpy(seed + 4, changes[c], CHANGE - 1);
                snprintf(name, sizeof(name), "change-%u-%u-%u", i, place, c);
                write_seed(where, name, seed, sizeof(seed));
            }
        }
    }
    exit(0);
}

int LLVMFuzzerInitialize(int *count, char ***arguments)
{
    static const char option[] = "--write-seeds=";
    const char *name = strrchr((*arguments)[0], '/');

    target = name != NULL ? name + 1 : (*arguments)[0];
    format = strncmp(target, "vhdx", 4) == 0 ? &fuzz_vhdx : &fuzz_vhd;
    make_templates();
    atexit(remove_folder);
    for (int i = 1; i < *count; i++)
        if (strncmp((*arguments)[i], option, sizeof(option) - 1) == 0)
            write_seeds((*arguments)[i] + sizeof(option) - 1);
    return 0;
}
