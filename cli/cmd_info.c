/* SPDX-License-Identifier: MIT */
/*
 * cmd_info.c - `coremnt info`: what an image is.
 */
#include <stdio.h>

#include "cli/cli.h"
#include "cli/out.h"

#include <coremnt/image.h>

static void print_json(const char *name, const struct cm_image_info *info)
{
    struct out_json json = {0};

    out_json_begin(&json, NULL, '{');
    out_json_string(&json, "image", name);
    out_json_string(&json, "format", info->format);
    out_json_number(&json, "size", info->size);
    out_json_number(&json, "allocated", info->allocated);
    out_json_number(&json, "sector_size", info->sector_size);
    out_json_end(&json, '}');
}

static void print_text(const char *name, const struct cm_image_info *info)
{
    char size[OUT_SIZE_TEXT];

    printf("image:        %s\n", name);
    printf("format:       %s\n", info->format);
    printf("size:         %s (%llu bytes)\n", out_size(info->size, size),
           (unsigned long long)info->size);
    printf("allocated:    %s (%llu bytes)\n", out_size(info->allocated, size),
           (unsigned long long)info->allocated);
    printf("sector size:  %u bytes\n", (unsigned)info->sector_size);
}

static int run(const struct cli_verb *verb, int argc, char **argv)
{
    static const struct option options[] = {
        CLI_HELP,
        {"json", no_argument, NULL, 'j'},
        {NULL, 0, NULL, 0},
    };
    struct cm_image_options open = {.struct_size = sizeof(open), .flags = CM_OPEN_READ_ONLY};
    struct cm_image_info info;
    struct cm_image *image;
    char **arguments;
    int json = 0;
    int count;
    int option;
    int closed;
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
    result = cm_image_get_info(image, &info);
    if (result == 0 && json)
        print_json(arguments[0], &info);
    else if (result == 0)
        print_text(arguments[0], &info);
    closed = cm_image_close(image);
    return result != 0 || closed != 0 ? cli_fail(result != 0 ? result : closed) : CLI_OK;
}

const struct cli_verb cmd_info = {
    .name = "info",
    .arguments = "IMAGE [--json]",
    .summary = "tell what an image is: format, sizes, space taken",
    .details = "\n  --json  for programs; sizes are in bytes\n",
    .run = run,
};
