/* SPDX-License-Identifier: MIT */
/*
 * cmd_map.c - `coremnt map`: which parts of an image's disk have data, and where.
 *
 * Printed as it is found: the map of a large image can be long.
 */
#include <stdio.h>

#include "cli/cli.h"
#include "cli/out.h"
#include "lib/core/error_internal.h"

#include <coremnt/image.h>

struct printer {
    int as_json;
    struct out_json json;
};

static void print_json(struct out_json *json, uint64_t start, const struct cm_extent *extent)
{
    out_json_begin(json, NULL, '{');
    json->compact = 1; /* a line for each */
    out_json_number(json, "start", start);
    out_json_number(json, "length", extent->length);
    out_json_number(json, "depth", extent->depth);
    out_json_bool(json, "zero", (extent->flags & CM_EXTENT_ZERO) != 0);
    out_json_bool(json, "allocated", (extent->flags & CM_EXTENT_ALLOCATED) != 0);
    if (extent->place != CM_EXTENT_NO_PLACE)
        out_json_number(json, "place", extent->place);
    out_json_end(json, '}');
    json->compact = 0;
}

static void print_text(uint64_t start, const struct cm_extent *extent)
{
    static const char *const words[] = {"data", "data", "zeros", "zeros, allocated"};
    unsigned what = ((extent->flags & CM_EXTENT_ZERO) != 0 ? 2u : 0u) +
                    ((extent->flags & CM_EXTENT_ALLOCATED) != 0 ? 1u : 0u);

    printf("%16llu  %16llu  %5u  %-16s", (unsigned long long)start,
           (unsigned long long)extent->length, (unsigned)extent->depth, words[what]);
    if (extent->place != CM_EXTENT_NO_PLACE)
        printf("  %16llu", (unsigned long long)extent->place);
    printf("\n");
}

static void print(struct printer *printer, uint64_t start, const struct cm_extent *extent)
{
    if (extent->length == 0)
        return;
    if (printer->as_json)
        print_json(&printer->json, start, extent);
    else
        print_text(start, extent);
}

/* Whether the second goes on where the first ends. */
static int is_one(const struct cm_extent *first, const struct cm_extent *second)
{
    if (first->flags != second->flags || first->depth != second->depth)
        return 0;
    if (first->place == CM_EXTENT_NO_PLACE || second->place == CM_EXTENT_NO_PLACE)
        return first->place == second->place;
    return second->place == first->place + first->length;
}

static int print_map(struct cm_image *image, uint64_t size, struct printer *printer)
{
    struct cm_extent whole = {0, 0, 0, CM_EXTENT_NO_PLACE};
    uint64_t start = 0;
    int error = 0;

    while (start + whole.length < size && error == 0) {
        uint64_t offset = start + whole.length;
        struct cm_extent extent;

        error = cm_image_extent(image, offset, size - offset, &extent);
        if (error != 0) {
            cm_fail(error, "what lies at byte %llu cannot be told: %s.", (unsigned long long)offset,
                    cm_error_name(error));
        } else if (whole.length != 0 && is_one(&whole, &extent)) {
            whole.length += extent.length;
        } else {
            print(printer, start, &whole);
            start = offset;
            whole = extent;
        }
    }
    print(printer, start, &whole);
    return error;
}

static int map(struct cm_image *image, int as_json)
{
    struct printer printer = {.as_json = as_json};
    struct cm_image_info info;
    int error = cm_image_get_info(image, &info);

    if (error != 0)
        return cm_fail(error, "the image cannot tell what it is: %s.", cm_error_name(error));
    if (as_json)
        out_json_begin(&printer.json, NULL, '[');
    else
        printf("%16s  %16s  %5s  %-16s  %16s\n", "start", "length", "depth", "what", "place");
    error = print_map(image, info.size, &printer);
    if (as_json)
        out_json_end(&printer.json, ']');
    return error;
}

static int run(const struct cli_verb *verb, int argc, char **argv)
{
    static const struct option options[] = {
        CLI_HELP,
        {"json", no_argument, NULL, 'j'},
        {NULL, 0, NULL, 0},
    };
    struct cm_image_options open = {.struct_size = sizeof(open), .flags = CM_OPEN_READ_ONLY};
    struct cm_image *image;
    char **arguments;
    int json = 0;
    int count;
    int option;
    int result = CLI_OK;

    while ((option = cli_next_option(verb, argc, argv, ":h", options, &result)) >= 0)
        json = 1;
    if (option == CLI_OPTION_EXIT)
        return result;
    result = cli_arguments(verb, argc, argv, 1, 1, &arguments, &count);
    if (result != CLI_OK)
        return result;
    result = cm_image_open(arguments[0], &open, &image);
    if (result != 0)
        return cli_fail(result);
    result = map(image, json);
    if (result != 0)
        result = cli_fail(result);
    (void)cm_image_close(image); /* read-only: there is nothing to flush */
    return result;
}

const struct cli_verb cmd_map = {
    .name = "map",
    .arguments = "IMAGE [--json]",
    .summary = "list which parts of an image have data, and where",
    .details =
        "\nAll numbers are bytes. \"depth\" is 0 for what this image has itself, 1 for its parent, "
        "and so on;\n\"place\" is where it begins in the file of that one. Zeros that are not "
        "\"allocated\" take no space.\n\n"
        "  --json  for programs: an array of objects; \"place\" is left out where there is none\n",
    .run = run,
};
