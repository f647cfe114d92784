/* SPDX-License-Identifier: MIT */
/*
 * chain.h - images in files of the test's own folder, each upon another: made anew, filled, and looked at. For the tests
 * of differencing images. A check that fails is the test's own; who cannot go on ends the program.
 */
#ifndef CM_TESTS_CHAIN_H
#define CM_TESTS_CHAIN_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/core/os.h"
#include "tests/unit/check.h"

#include <coremnt/container.h>
#include <coremnt/image.h>

#define MIB (1u << 20)

/* Opens an image that must open. */
static inline struct cm_image *chain_open_with(const char *path,
                                               const struct cm_image_options *options)
{
    struct cm_image *image = NULL;

    if (!CHECK_EQ(cm_image_open(path, options, &image), 0)) {
        printf("%s\n", cm_last_error());
        exit(1);
    }
    return image;
}

static inline struct cm_image *chain_open(const char *path, uint32_t flags)
{
    struct cm_image_options options = {.struct_size = sizeof(options), .flags = flags};

    return chain_open_with(path, &options);
}

/* The error of opening one that must not. */
static inline int chain_open_error(const char *path, uint32_t flags)
{
    struct cm_image_options options = {.struct_size = sizeof(options), .flags = flags};
    struct cm_image *image;
    int error = cm_image_open(path, &options, &image);

    if (error == 0)
        (void)cm_image_close(image);
    return error;
}

static inline struct cm_image *chain_make_with(const char *path, struct cm_image_options options)
{
    (void)cm_os_file_remove(path);
    options.struct_size = sizeof(options);
    options.flags |= CM_OPEN_CREATE;
    return chain_open_with(path, &options);
}

/* `parent` NULL: none; `size` 0: the parent's. */
static inline struct cm_image *chain_make(const char *path, const char *parent, uint64_t size,
                                          uint32_t block_size)
{
    struct cm_image_options options = {.size = size, .block_size = block_size, .parent = parent};

    return chain_make_with(path, options);
}

static inline void chain_close(struct cm_image *image)
{
    CHECK_EQ(cm_image_close(image), 0);
}

/* In pieces, so that it may be long. */
static inline void chain_put(struct cm_image *image, uint64_t offset, uint64_t length,
                             unsigned char value)
{
    unsigned char *buffer = malloc(MIB);

    memset(buffer, value, MIB);
    for (uint32_t part; length > 0; offset += part, length -= part) {
        part = length < MIB ? (uint32_t)length : MIB;
        CHECK_EQ(cm_image_write(image, buffer, part, offset, 0), 0);
    }
    free(buffer);
}

static inline int chain_is(struct cm_image *image, uint64_t offset, uint64_t length,
                           unsigned char value)
{
    unsigned char *buffer = malloc(MIB);
    int same = 1;

    for (uint32_t part; length > 0 && same; offset += part, length -= part) {
        part = length < MIB ? (uint32_t)length : MIB;
        memset(buffer, ~value, part);
        same = cm_image_read(image, buffer, part, offset) == 0 && buffer[0] == value &&
               memcmp(buffer, buffer + 1, part - 1) == 0;
    }
    free(buffer);
    return same;
}

/* The whole of a disk, at most `size` bytes, in memory that the caller frees. */
static inline unsigned char *chain_read_all(const char *path, uint64_t size)
{
    struct cm_image *image = chain_open(path, CM_OPEN_READ_ONLY);
    unsigned char *bytes = calloc(1, size);
    struct cm_image_info info = {0};

    CHECK_EQ(cm_image_get_info(image, &info), 0);
    for (uint64_t at = 0; at < size && at < info.size;) {
        uint64_t left = (info.size < size ? info.size : size) - at;
        uint32_t part = left < MIB ? (uint32_t)left : MIB;

        CHECK_EQ(cm_image_read(image, bytes + at, part, at), 0);
        at += part;
    }
    chain_close(image);
    return bytes;
}

static inline int chain_has(const char *path, const unsigned char *bytes, uint64_t size)
{
    unsigned char *there = chain_read_all(path, size);
    int same = memcmp(there, bytes, size) == 0;

    free(there);
    return same;
}

/* Errors that `check` finds, printed. */
static inline void chain_print_finding(void *context, enum cm_check_severity severity,
                                       int is_repaired, const char *text)
{
    (void)is_repaired;
    if (severity == CM_CHECK_ERROR)
        printf("%s: %s\n", (const char *)context, text);
}

static inline int chain_is_sound(const char *path)
{
    struct cm_check_options options = {.struct_size = sizeof(options),
                                       .report = chain_print_finding};
    struct cm_check_result result;
    char name[64];

    snprintf(name, sizeof(name), "%s", path);
    options.context = name;
    return CHECK_EQ(cm_image_check(path, &options, &result), 0) && CHECK_EQ(result.errors, 0);
}

static inline void chain_copy_file(const char *from, const char *to)
{
    FILE *in = fopen(from, "rb"), *out = fopen(to, "wb");
    unsigned char *buffer = malloc(MIB);
    size_t count;

    if (in == NULL || out == NULL || buffer == NULL)
        abort();
    while ((count = fread(buffer, 1, MIB, in)) > 0)
        CHECK_EQ(fwrite(buffer, 1, count, out), count);
    free(buffer);
    fclose(in);
    CHECK_EQ(fclose(out), 0);
}

#endif
