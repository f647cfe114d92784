/* SPDX-License-Identifier: MIT */
/*
 * cmd_resize.c - `coremnt resize`: another size for a disk that is mounted, whoever serves it, or for an image that is not.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/out.h"
#include "lib/core/error_internal.h"
#include "lib/core/image_internal.h"
#include "lib/core/zeros.h"

#include <coremnt/disk.h>

#define LOOK_SIZE (1u << 20) /* bytes that are read at once */

static void print_done(const char *which, uint64_t before, uint64_t size, int extended)
{
    char text[OUT_SIZE_TEXT];

    if (size == before) {
        printf("%s has %s (%llu bytes) already.\n", which, out_size(size, text),
               (unsigned long long)size);
        return;
    }
    printf("%s has %s (%llu bytes) now.", which, out_size(size, text), (unsigned long long)size);
    if (extended)
        printf(" So has the file system on it.");
    else if (size > before)
        printf(" The file system on it, if there is one, has the size that it had.");
    printf("\n");
}

/* -- a disk ------------------------------------------------------------------------------------- */

static int resize_disk(const char *which, uint64_t size, int may_shrink)
{
    struct cm_disk_info before;
    int extended;
    int error = cm_get_disk_info(which, &before);

    if (error == 0)
        error = cm_resize(which, size, may_shrink ? CM_RESIZE_SHRINK : 0, &extended);
    if (error != 0)
        return cli_fail(error);
    print_done(which, before.size, size, extended);
    return CLI_OK;
}

/* A letter or an id is a disk whatever files there are. A folder can be one, and a file can not. */
static int is_disk(const char *which)
{
    struct cm_disk_info info;
    struct cm_image_place place;

    if (which[0] != '\0' &&
        (strcmp(which + 1, ":") == 0 || strspn(which, "0123456789") == strlen(which)))
        return 1;
    if (cm_image_place(which, &place) != 0 || place.path != which)
        return 0;
    return cm_get_disk_info(which, &info) == 0;
}

/* -- an image ----------------------------------------------------------------------------------- */

/* Whether there is anything but zeros in a range. */
static int range_has_data(struct cm_image *image, void *buffer, uint64_t from, uint64_t to,
                          int *has_data)
{
    int error = 0;

    while (from < to && error == 0 && !*has_data) {
        uint32_t part = to - from < LOOK_SIZE ? (uint32_t)(to - from) : LOOK_SIZE;

        error = cm_image_read(image, buffer, part, from);
        *has_data = error == 0 && !cm_is_zeros(buffer, part);
        from += part;
    }
    return error;
}

static int has_data_beyond(struct cm_image *image, uint64_t from, uint64_t size, int *has_data)
{
    void *buffer = malloc(LOOK_SIZE);
    int error = buffer != NULL ? 0 : CM_ENOMEM;

    *has_data = 0;
    while (from < size && error == 0 && !*has_data) {
        struct cm_extent extent;

        error = cm_image_extent(image, from, size - from, &extent);
        if (error == 0 && (extent.flags & CM_EXTENT_ZERO) == 0)
            error = range_has_data(image, buffer, from, from + extent.length, has_data);
        from += extent.length;
    }
    free(buffer);
    return error;
}

static int refuse_loss(const char *name, struct cm_image *image, uint64_t size, uint64_t before)
{
    char text[OUT_SIZE_TEXT];
    int has_data;
    int error = has_data_beyond(image, size, before, &has_data);

    if (error != 0)
        return cm_fail(error, "what %s holds beyond the new end cannot be read: %s.", name,
                       cm_error_name(error));
    if (has_data)
        return cm_fail(
            CM_EINVAL,
            "%s holds data beyond %s, which would be lost. Shrink the file system first; "
            "then, or if the data may go, say --shrink.",
            name, out_size(size, text));
    return 0;
}

static int refuse_size(const char *name, uint64_t size, const struct cm_image_info *info)
{
    struct cm_image_place place;

    if (size % info->sector_size != 0)
        return cm_fail(CM_EINVAL, "%s cannot have %llu bytes: they are not whole sectors of %u.",
                       name, (unsigned long long)size, (unsigned)info->sector_size);
    if (!info->can_resize)
        return cm_fail(CM_ENOTSUP, "%s cannot be given another size%s.", name,
                       info->layout == CM_LAYOUT_CHANGES ? ": it has that of its parent" : "");
    if (cm_image_place(name, &place) == 0 && place.container != NULL &&
        size > place.container->size_max)
        return cm_fail(CM_EINVAL,
                       "%s cannot have %llu bytes: a disk of the kind %s has at most %llu GiB.",
                       name, (unsigned long long)size, place.kind,
                       (unsigned long long)(place.container->size_max >> 30));
    return 0;
}

static int resize_open(const char *name, struct cm_image *image, uint64_t size, int may_shrink,
                       uint64_t *before)
{
    struct cm_image_info info;
    int error = cm_image_get_info(image, &info);

    if (error != 0)
        return cm_fail(error, "%s cannot tell what it is: %s.", name, cm_error_name(error));
    *before = info.size;
    if (size == info.size)
        return 0;
    error = refuse_size(name, size, &info);
    if (error == 0 && size < info.size && !may_shrink)
        error = refuse_loss(name, image, size, info.size);
    if (error != 0)
        return error;
    cm_fail(CM_OK, "%s", "");
    error = cm_image_resize(image, size);
    return error == 0 || cm_last_error()[0] != '\0'
               ? error
               : cm_fail(error, "%s could not be given another size: %s.", name,
                         cm_error_name(error));
}

/* A raw file that is no disk yet, being empty or no whole sectors, grows when it is opened with a size. */
static int open_to_resize(const char *name, uint64_t size, struct cm_image **image, int *has_grown)
{
    struct cm_image_options open = {.struct_size = sizeof(open)};
    struct cm_image_place place;
    int error = cm_image_open(name, &open, image);

    *has_grown = 0;
    if (error != CM_EINVAL || cm_image_place(name, &place) != 0 || place.container != NULL ||
        place.path == NULL)
        return error;
    open.size = size;
    error = cm_image_open(name, &open, image);
    *has_grown = error == 0;
    return error;
}

static int resize_image(const char *name, uint64_t size, int may_shrink)
{
    struct cm_image *image;
    uint64_t before = 0;
    int has_grown;
    int closed;
    int error = open_to_resize(name, size, &image, &has_grown);

    if (error != 0)
        return cli_fail(error);
    error = resize_open(name, image, size, may_shrink, &before);
    if (error != 0) {
        cm_image_discard(image);
        return cli_fail(error);
    }
    closed = cm_image_close(image);
    if (closed != 0)
        return cli_fail(closed);
    print_done(name, has_grown ? 0 : before, size, 0);
    return CLI_OK;
}

/* -- the command line ---------------------------------------------------------------------------- */

static int run(const struct cli_verb *verb, int argc, char **argv)
{
    static const struct option options[] = {
        CLI_HELP,
        {"shrink", no_argument, NULL, 's'},
        {NULL, 0, NULL, 0},
    };
    int shrink = 0;
    uint64_t size;
    char **arguments;
    int count;
    int option;
    int result = CLI_OK;

    while ((option = cli_next_option(verb, argc, argv, ":h", options, &result)) >= 0)
        shrink = 1;
    if (option == CLI_OPTION_EXIT)
        return result;
    result = cli_arguments(verb, argc, argv, 2, 2, &arguments, &count);
    if (result == CLI_OK)
        result = cli_size(verb, "SIZE", arguments[1], &size);
    if (result != CLI_OK)
        return result;
    return is_disk(arguments[0]) ? resize_disk(arguments[0], size, shrink)
                                 : resize_image(arguments[0], size, shrink);
}

const struct cli_verb cmd_resize = {
    .name = "resize",
    .arguments = "WHICH SIZE [--shrink]",
    .summary = "give a mounted disk and its image, or an image, another size",
    .details =
        "\nWHICH is the letter, folder or id of a disk, which may be in use while it grows; NTFS "
        "takes the\nnew space at once, FAT keeps the size that it was formatted with. Or it is an "
        "image that is not\nmounted; that is made smaller if it holds nothing beyond its new "
        "end.\n\n"
        "  --shrink  a smaller size is meant: what lies beyond it is lost. Shrink the file system\n"
        "            first; a disk must not be in use\n\n"
        "Examples: coremnt resize Z: 2G\n"
        "          coremnt resize disk.vhdx 2G\n",
    .run = run,
};
