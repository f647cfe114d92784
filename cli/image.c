/* SPDX-License-Identifier: MIT */
/*
 * image.c - the options of the verbs that make images: create and convert.
 */
#include "cli/image.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/core/image_internal.h"

static int read_block_size(const struct cli_verb *verb, struct image_wish *wish)
{
    uint64_t size;
    int result = cli_size(verb, "--block-size", optarg, &size);

    if (result != CLI_OK)
        return result;
    if (size > UINT32_MAX)
        return cli_usage(verb, "--block-size can be at most 256M, not \"%s\"", optarg);
    wish->open.block_size = (uint32_t)size;
    return CLI_OK;
}

/* Of the kinds of images those that are files. */
static int read_format(const struct cli_verb *verb, struct image_wish *wish)
{
    char known[128] = "";
    size_t used = 0;

    for (const struct cm_image_kind *kind = cm_image_kinds(); kind->name != NULL; kind++) {
        if (strstr(kind->syntax, ":PATH") == NULL)
            continue;
        wish->format = kind->name;
        if (strcmp(kind->name, optarg) == 0)
            return CLI_OK;
        if (used < sizeof(known))
            used += (size_t)snprintf(known + used, sizeof(known) - used, "%s%s",
                                     used == 0 ? "" : ", ", kind->name);
    }
    return cli_usage(verb, "there is no format \"%s\"; there are: %s", optarg, known);
}

int image_option(const struct cli_verb *verb, int option, struct image_wish *wish)
{
    switch (option) {
    case 'f':
        return read_format(verb, wish);
    case 's':
        return cli_size(verb, "--size", optarg, &wish->open.size);
    case 'b':
        return read_block_size(verb, wish);
    case 'F':
        wish->open.flags |= CM_OPEN_FIXED;
        return CLI_OK;
    default:
        return cli_sector_size(verb, optarg, &wish->open.sector_size);
    }
}

void image_print_hint(const char *name, const char *format)
{
    struct cm_image_place place;

    if (cm_image_place(name, &place) == 0 && strcmp(place.kind, format) != 0)
        printf("Its name says %s: open it as \"%s:%s\".\n", place.kind, format, name);
}

int image_spec(const struct cli_verb *verb, const struct image_wish *wish, const char *name,
               char **spec)
{
    const char *format = wish->format != NULL ? wish->format : "";
    size_t size = strlen(format) + 1 + strlen(name) + 1;
    struct cm_image_place place;

    *spec = NULL;
    if (wish->format != NULL && cm_image_place(name, &place) == 0 && place.path != name)
        return cli_usage(verb, "\"%s\" says its kind already: --format is too much", name);
    *spec = malloc(size);
    if (*spec == NULL) {
        fprintf(stderr, "coremnt: no memory.\n");
        return CLI_FAILED;
    }
    snprintf(*spec, size, "%s%s%s", format, format[0] != '\0' ? ":" : "", name);
    return CLI_OK;
}
