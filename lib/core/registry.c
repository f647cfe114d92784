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
#include "lib/core/parent_path.h"

#include <coremnt/image.h>

/* What follows the colon. */
enum rest { REST_IS_NO_PATH, REST_IS_PATH };

/* name, syntax, summary, opener, rest, container; sorted */
#define KINDS(KIND)                                                                                \
    KIND("memory", "memory:SIZE", "memory of this process, taken as it is written",                \
         cm_memory_open, REST_IS_NO_PATH, NULL)                                                    \
    KIND("raw", "raw:PATH", "a file that holds the disk's bytes as they are; sparse", cm_raw_open, \
         REST_IS_PATH, NULL)                                                                       \
    KIND("vhd", "vhd:PATH", "the container before VHDX, for old programs: at most 2040 GiB",       \
         cm_vhd_open, REST_IS_PATH, &cm_vhd_container)                                             \
    KIND("vhdx", "vhdx:PATH", "a VHDX container: grows as data comes; Hyper-V's and QEMU's too",   \
         cm_vhdx_open, REST_IS_PATH, &cm_vhdx_container)

#define PUBLIC_ROW(name, syntax, summary, opener, rest, container) {name, syntax, summary},
#define INNER_ROW(name, syntax, summary, opener, rest, container) {name, opener, rest, container},

struct inner {
    const char *name;
    cm_image_opener *opener;
    enum rest rest;
    const struct cm_container *container; /* NULL: its files have no structure */
};

static const struct cm_image_kind kinds[] = {KINDS(PUBLIC_ROW){NULL, NULL, NULL}};
static const struct inner inners[] = {KINDS(INNER_ROW)};

#define KIND_COUNT (sizeof(inners) / sizeof(inners[0]))

/* What a specification was found to say. */
struct named {
    const struct inner *inner;
    const char *rest;
};

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

/* Whether `word`, of `length` bytes, is one of the words of a list, in any case. */
static int is_listed(const char *list, const char *word, size_t length)
{
    size_t same = 0;

    for (;; list++) {
        if (*list == ' ' || *list == '\0') {
            if (same == length)
                return 1;
            if (*list == '\0')
                return 0;
            same = 0;
        } else if (same < length && *list == (word[same] | (is_letter(word[same]) ? 0x20 : 0))) {
            same++;
        } else {
            same = SIZE_MAX; /* until the next word */
        }
    }
}

/*
 * A path without a kind is what its extension says, and never what the file begins with: whoever can write to a raw disk
 * could make it begin like a container whose parent is any file of this machine, and would read that at the next open.
 * "x.vhdx.", "x.vhdx " and "x.vhdx::$DATA" are names of x.vhdx to Windows: they must not make a raw disk of it.
 */
static const struct inner *find_by_extension(const char *path)
{
    const struct inner *raw = NULL;
    const char *extension = NULL;
    const char *end = path + strlen(path);

    while (end > path && (end[-1] == '.' || end[-1] == ' '))
        end--;
    for (const char *c = path; c < end; c++)
        if (*c == '.')
            extension = c + 1;
        else if (*c == '/' || *c == '\\')
            extension = NULL;
    if (extension != NULL && memchr(extension, ':', (size_t)(end - extension)) != NULL)
        end = strchr(extension, ':');
    for (size_t i = 0; i < KIND_COUNT; i++) {
        const struct cm_container *container = inners[i].container;

        if (inners[i].opener == cm_raw_open)
            raw = &inners[i];
        if (container != NULL && extension != NULL && extension < end &&
            is_listed(container->extensions, extension, (size_t)(end - extension)))
            return &inners[i];
    }
    return raw;
}

static int find_kind(const char *spec, struct named *named)
{
    size_t length;

    if (spec == NULL || *spec == '\0')
        return cm_fail(CM_EINVAL, "no image is named.");
    length = kind_length(spec);
    if (length == 0) {
        *named = (struct named){find_by_extension(spec), spec};
        return 0;
    }
    for (size_t i = 0; i < KIND_COUNT; i++) {
        if (strlen(kinds[i].name) == length && memcmp(kinds[i].name, spec, length) == 0) {
            *named = (struct named){&inners[i], spec + length + 1};
            if (*named->rest == '\0')
                return cm_fail(CM_EINVAL, "\"%s\" is not complete: %s.", spec, kinds[i].syntax);
            return 0;
        }
    }
    return unknown_kind(spec, length);
}

int cm_image_place(const char *spec, struct cm_image_place *place)
{
    struct named named;
    int error = find_kind(spec, &named);

    if (error != 0)
        return error;
    place->kind = named.inner->name;
    place->container = named.inner->container;
    place->path = named.inner->rest == REST_IS_PATH ? named.rest : NULL;
    return 0;
}

int cm_image_parent_path(const struct cm_container *container, const char *parent,
                         const char **path)
{
    struct named named;
    int error = find_kind(parent, &named);

    if (error != 0)
        return error;
    if (named.rest != parent && named.inner->container != container)
        return cm_fail(CM_EINVAL,
                       "%s cannot be the parent: an image and its parent are of the same kind. "
                       "Convert it first with \"coremnt convert\".",
                       parent);
    if (cm_parent_has_controls(named.rest))
        return cm_fail(CM_EINVAL,
                       "%s cannot be the parent: there are control characters in its name. Give it "
                       "another one.",
                       parent);
    *path = named.rest;
    return 0;
}

/* -- options ----------------------------------------------------------------------------------- */

#define ALL_OPEN_FLAGS                                                                             \
    (CM_OPEN_READ_ONLY | CM_OPEN_CREATE | CM_OPEN_OR_CREATE | CM_OPEN_CACHED | CM_OPEN_FIXED)

static int check_flags(uint32_t flags, uint32_t known)
{
    if ((flags & ~known) != 0)
        return cm_fail(CM_EINVAL, "unknown flags to open an image: 0x%x.", (unsigned)flags);
    if ((flags & CM_OPEN_OR_CREATE) != 0 && (flags & CM_OPEN_CREATE) == 0)
        return cm_fail(CM_EINVAL, "CM_OPEN_OR_CREATE goes only with CM_OPEN_CREATE.");
    if ((flags & CM_OPEN_CREATE) != 0 && (flags & CM_OPEN_READ_ONLY) != 0)
        return cm_fail(CM_EINVAL, "an image cannot be created read-only: it would stay empty.");
    return 0;
}

/* What is chosen when an image is made: which of these, and with what, its kind knows. */
static int check_making(const struct cm_image_options *options, const struct named *named)
{
    int is_special = options->block_size != 0 || options->parent != NULL ||
                     (options->flags & CM_OPEN_FIXED) != 0;
    const struct cm_container *container = named->inner->container;

    if ((options->flags & CM_OPEN_CREATE) == 0)
        return !is_special ? 0
                           : cm_fail(CM_EINVAL, "blocks, a parent and a fixed size are chosen when "
                                                "an image is made: they go only with "
                                                "CM_OPEN_CREATE.");
    if (container == NULL)
        return !is_special ? 0
                           : cm_fail(CM_EINVAL,
                                     "%s: an image of the kind %s has no blocks, no parent and no "
                                     "fixed size. Name it .vhdx, or say another kind.",
                                     named->rest, named->inner->name);
    if (options->parent != NULL && (options->flags & CM_OPEN_FIXED) != 0)
        return cm_fail(CM_EINVAL, "%s cannot have a parent and all of its space at once.",
                       named->rest);
    if (options->size == 0 && options->parent == NULL)
        return cm_fail(CM_EINVAL, "cannot create %s without a size.", named->rest);
    if (options->size > container->size_max)
        return cm_fail(CM_EINVAL,
                       "%s cannot have %llu bytes: a disk of the kind %s has at most "
                       "%llu GiB.",
                       named->rest, (unsigned long long)options->size, named->inner->name,
                       (unsigned long long)(container->size_max >> 30));
    return 0;
}

static int check_sectors(const struct cm_image_options *options)
{
    uint32_t size = options->sector_size != 0 ? options->sector_size : CM_SECTOR_SIZE_SMALL;

    if (size != CM_SECTOR_SIZE_SMALL && size != CM_SECTOR_SIZE_LARGE)
        return cm_fail(CM_EINVAL, "a sector size of %u is not possible: 512 or 4096.",
                       (unsigned)size);
    if (options->size % size != 0 || options->size > CM_MAX_DISK_SIZE)
        return cm_fail(CM_EINVAL,
                       "a size of %llu bytes is not possible: whole sectors of %u bytes, at most "
                       "4 EiB.",
                       (unsigned long long)options->size, (unsigned)size);
    return 0;
}

/* The caller's options, complete. One built with an older library has a shorter structure: what it
 * does not know is 0. */
static int read_options(const struct cm_image_options *given, const struct named *named,
                        uint32_t known_flags, struct cm_image_options *options)
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
    error = check_flags(options->flags, known_flags);
    if (error == 0)
        error = check_sectors(options);
    if (error == 0)
        error = check_making(options, named);
    if (error == 0 && options->parent != NULL)
        error = cm_image_parent_path(named->inner->container, options->parent, &options->parent);
    return error;
}

/* -- opening ----------------------------------------------------------------------------------- */

/* A container says its sizes itself; whoever gives others means another image. */
static int check_sizes(const struct cm_image_options *options, const char *path,
                       struct cm_image *image)
{
    struct cm_image_info info;
    int error = cm_image_get_info(image, &info);

    if (error != 0)
        return cm_fail(error, "%s cannot tell what it is: %s.", path, cm_error_name(error));
    if (options->size != 0 && options->size != info.size)
        return cm_fail(CM_EINVAL,
                       "%s is a disk of %llu bytes, not of %llu. Give it another size with "
                       "\"coremnt resize\".",
                       path, (unsigned long long)info.size, (unsigned long long)options->size);
    if (options->sector_size != 0 && options->sector_size != info.sector_size)
        return cm_fail(CM_EINVAL, "%s has sectors of %u bytes, not of %u.", path,
                       (unsigned)info.sector_size, (unsigned)options->sector_size);
    return 0;
}

static int open_there(const struct named *named, struct cm_image_options *options,
                      struct cm_image **image)
{
    int error;

    options->flags &= ~(uint32_t)(CM_OPEN_CREATE | CM_OPEN_FIXED);
    options->block_size = 0;
    options->parent = NULL;
    error = named->inner->opener(named->rest, options, image);
    if (error != 0)
        return error;
    error = check_sizes(options, named->rest, *image);
    if (error != 0) {
        cm_image_discard(*image);
        *image = NULL;
    }
    return error;
}

static int open_container(const struct named *named, struct cm_image_options *options,
                          struct cm_image **image)
{
    int may_be_there = (options->flags & CM_OPEN_OR_CREATE) != 0;
    int error;

    options->flags &= ~(uint32_t)CM_OPEN_OR_CREATE;
    if ((options->flags & CM_OPEN_CREATE) == 0)
        return open_there(named, options, image);
    error = named->inner->opener(named->rest, options, image);
    return error == CM_EEXIST && may_be_there ? open_there(named, options, image) : error;
}

static int open_known(const char *spec, const struct cm_image_options *given, uint32_t known_flags,
                      struct cm_image **image)
{
    struct cm_image_options options;
    struct named named;
    int error = find_kind(spec, &named);

    *image = NULL;
    if (error == 0)
        error = read_options(given, &named, known_flags, &options);
    if (error != 0)
        return error;
    if (named.inner->container != NULL)
        return open_container(&named, &options, image);
    return named.inner->opener(named.rest, &options, image);
}

int cm_image_open(const char *spec, const struct cm_image_options *given, struct cm_image **image)
{
    return open_known(spec, given, ALL_OPEN_FLAGS, image);
}

int cm_image_open_inner(const char *spec, const struct cm_image_options *given,
                        struct cm_image **image)
{
    return open_known(spec, given, ALL_OPEN_FLAGS | CM_OPEN_STILL | CM_OPEN_ALONE, image);
}

/* -- full specifications ----------------------------------------------------------------------- */

int cm_image_full_spec(const char *spec, char *full, size_t size)
{
    struct named named;
    size_t head;
    int error = find_kind(spec, &named);

    if (error != 0)
        return error;
    head = (size_t)(named.rest - spec);
    if (named.inner->rest == REST_IS_PATH && head < size) {
        memcpy(full, spec, head);
        return cm_os_full_path(named.rest, full + head, size - head);
    }
    if (strlen(spec) >= size)
        return cm_fail(CM_EINVAL, "\"%.40s...\" is too long.", spec);
    strcpy(full, spec);
    return 0;
}
