/* SPDX-License-Identifier: MIT */
/*
 * registry.c - the kinds of images, and from a specification to an image.
 *
 * Called by programs when they open an image, on any thread, never on the hot path. A new kind is
 * one line of KINDS and one of image_internal.h; help texts and errors take it from here.
 */
#include <stdio.h>
#include <string.h>

#include "abi/coremnt_abi.h"
#include "lib/core/error_internal.h"
#include "lib/core/image_internal.h"
#include "lib/core/os.h"

#include <coremnt/image.h>

/* What follows the colon. */
enum rest { REST_IS_NO_PATH, REST_IS_PATH };

/* name, syntax, summary, opener, rest; sorted */
#define KINDS(KIND)                                                                                \
    KIND("memory", "memory:SIZE", "memory of this process, taken as it is written",                \
         cm_memory_open, REST_IS_NO_PATH)                                                          \
    KIND("raw", "raw:PATH", "a file that holds the disk's bytes as they are; sparse", cm_raw_open, \
         REST_IS_PATH)

#define PUBLIC_ROW(name, syntax, summary, opener, rest) {name, syntax, summary},
#define INNER_ROW(name, syntax, summary, opener, rest) {opener, rest},

struct inner {
    cm_image_opener *opener;
    enum rest rest;
};

static const struct cm_image_kind kinds[] = {KINDS(PUBLIC_ROW){NULL, NULL, NULL}};
static const struct inner inners[] = {KINDS(INNER_ROW)};

static const struct inner no_kind = {cm_raw_open,
                                     REST_IS_PATH}; /* no word before a colon: a path */

const struct cm_image_kind *cm_image_kinds(void)
{
    return kinds;
}

/* -- specifications ---------------------------------------------------------------------------- */

static int is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/*
 * The length of the word that stands before a colon at the beginning, or 0. One letter is a drive
 * ("C:\x.img"), and a word with anything else in it than letters and digits is a path ("./a:b").
 */
static size_t kind_length(const char *spec)
{
    size_t length = 0;

    while (is_letter(spec[length]) || (length > 0 && spec[length] >= '0' && spec[length] <= '9'))
        length++;
    return length > 1 && spec[length] == ':' ? length : 0;
}

static int unknown_kind(const char *spec, size_t length)
{
    char known[256] = "";
    size_t used = 0;

    for (const struct cm_image_kind *kind = kinds; kind->name != NULL && used < sizeof(known);
         kind++)
        used += (size_t)snprintf(known + used, sizeof(known) - used, "%s%s", used == 0 ? "" : ", ",
                                 kind->name);
    return cm_fail(CM_EFORMAT,
                   "there is no kind of image \"%.*s\". The kinds are: %s. A file of that name is "
                   "\"raw:%s\".",
                   (int)length, spec, known, spec);
}

static int find_kind(const char *spec, const struct inner **inner, const char **rest)
{
    size_t length = kind_length(spec);

    *inner = &no_kind;
    *rest = spec;
    if (length == 0)
        return 0;
    for (size_t i = 0; kinds[i].name != NULL; i++) {
        if (strlen(kinds[i].name) == length && memcmp(kinds[i].name, spec, length) == 0) {
            *inner = &inners[i];
            *rest = spec + length + 1;
            if (**rest == '\0')
                return cm_fail(CM_EINVAL, "\"%s\" is not complete: %s.", spec, kinds[i].syntax);
            return 0;
        }
    }
    return unknown_kind(spec, length);
}

/* -- options ----------------------------------------------------------------------------------- */

#define ALL_OPEN_FLAGS                                                                             \
    (CM_OPEN_READ_ONLY | CM_OPEN_CREATE | CM_OPEN_OR_CREATE | CM_OPEN_CACHED | CM_OPEN_FIXED)

static int check_flags(uint32_t flags)
{
    if ((flags & ~ALL_OPEN_FLAGS) != 0)
        return cm_fail(CM_EINVAL, "unknown flags to open an image: 0x%x.", (unsigned)flags);
    if ((flags & CM_OPEN_OR_CREATE) != 0 && (flags & CM_OPEN_CREATE) == 0)
        return cm_fail(CM_EINVAL, "CM_OPEN_OR_CREATE goes only with CM_OPEN_CREATE.");
    if ((flags & CM_OPEN_CREATE) != 0 && (flags & CM_OPEN_READ_ONLY) != 0)
        return cm_fail(CM_EINVAL, "an image cannot be created read-only: it would stay empty.");
    return 0;
}

/* The caller's options, complete. One built with an older library has a shorter structure: what it
 * does not know is 0. */
static int read_options(const struct cm_image_options *given, struct cm_image_options *options)
{
    int error;

    memset(options, 0, sizeof(*options));
    if (given != NULL) {
        if (given->struct_size < sizeof(given->struct_size) ||
            given->struct_size > sizeof(*options))
            return cm_fail(CM_EINVAL, "cm_image_options.struct_size is %u.",
                           (unsigned)given->struct_size);
        memcpy(options, given, given->struct_size);
    }
    error = check_flags(options->flags);
    if (error != 0)
        return error;
    if ((options->flags & CM_OPEN_CREATE) == 0 &&
        (options->block_size != 0 || options->parent != NULL ||
         (options->flags & CM_OPEN_FIXED) != 0))
        return cm_fail(
            CM_EINVAL,
            "blocks, a parent and a fixed size are chosen when an image is made: they go "
            "only with CM_OPEN_CREATE.");
    if (options->sector_size == 0)
        options->sector_size = CM_SECTOR_SIZE_SMALL;
    if (options->sector_size != CM_SECTOR_SIZE_SMALL &&
        options->sector_size != CM_SECTOR_SIZE_LARGE)
        return cm_fail(CM_EINVAL, "a sector size of %u is not possible: 512 or 4096.",
                       (unsigned)options->sector_size);
    if (options->size % options->sector_size != 0 || options->size > CM_MAX_DISK_SIZE)
        return cm_fail(CM_EINVAL,
                       "a size of %llu bytes is not possible: whole sectors of %u bytes, at most "
                       "4 EiB.",
                       (unsigned long long)options->size, (unsigned)options->sector_size);
    return 0;
}

int cm_image_open(const char *spec, const struct cm_image_options *given, struct cm_image **image)
{
    struct cm_image_options options;
    const struct inner *inner;
    const char *rest;
    int error;

    *image = NULL;
    if (spec == NULL || *spec == '\0')
        return cm_fail(CM_EINVAL, "no image is named.");
    error = read_options(given, &options);
    if (error == 0)
        error = find_kind(spec, &inner, &rest);
    return error != 0 ? error : inner->opener(rest, &options, image);
}

/* -- full specifications ----------------------------------------------------------------------- */

int cm_image_full_spec(const char *spec, char *full, size_t size)
{
    const struct inner *inner;
    const char *rest;
    size_t head;
    int error = find_kind(spec, &inner, &rest);

    if (error != 0)
        return error;
    head = (size_t)(rest - spec);
    if (inner->rest == REST_IS_PATH && head < size) {
        memcpy(full, spec, head);
        return cm_os_full_path(rest, full + head, size - head);
    }
    if (strlen(spec) >= size)
        return cm_fail(CM_EINVAL, "\"%.40s...\" is too long.", spec);
    strcpy(full, spec);
    return 0;
}
