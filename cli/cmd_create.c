/* SPDX-License-Identifier: MIT */
/*
 * cmd_create.c - `coremnt create`: a new, empty image.
 */
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/out.h"

#include <coremnt/image.h>

static int run(const struct cli_verb *verb, int argc, char **argv)
{
    static const struct option options[] = {
        CLI_HELP,
        {"size", required_argument, NULL, 's'},
        {"sector-size", required_argument, NULL, 'S'},
        {NULL, 0, NULL, 0},
    };
    struct cm_image_options open = {.struct_size = sizeof(open), .flags = CM_OPEN_CREATE};
    struct cm_image *image;
    char size[OUT_SIZE_TEXT];
    char **arguments;
    int count;
    int option;
    int result = CLI_OK;

    while ((option = cli_next_option(verb, argc, argv, ":hs:", options, &result)) >= 0) {
        if (option == 's')
            result = cli_size(verb, "--size", optarg, &open.size);
        else
            result = cli_sector_size(verb, optarg, &open.sector_size);
        if (result != CLI_OK)
            return result;
    }
    if (option == CLI_OPTION_EXIT)
        return result;
    result = cli_arguments(verb, argc, argv, 1, 1, &arguments, &count);
    if (result != CLI_OK)
        return result;
    if (open.size == 0)
        return cli_usage(verb, "--size is missing: how large shall the image be");
    if (strncmp(arguments[0], "memory:", 7) == 0)
        return cli_usage(verb,
                         "\"%s\" is memory of the program that mounts it: there is nothing to "
                         "create",
                         arguments[0]);
    result = cm_image_open(arguments[0], &open, &image);
    if (result == 0)
        result = cm_image_close(image);
    if (result != 0)
        return cli_fail(result);
    printf("%s was created: %s.\n", arguments[0], out_size(open.size, size));
    return CLI_OK;
}

const struct cli_verb cmd_create = {
    .name = "create",
    .arguments = "IMAGE --size SIZE [--sector-size BYTES]",
    .summary = "make a new, empty image",
    .details = "\nThe image is sparse: it takes space only for what is written to it. One that is "
               "there\nalready is left alone.\n\n"
               "  --size SIZE          of the disk: 64M, 1.5G, 67108864\n"
               "  --sector-size BYTES  512 (the default) or 4096; a raw file does not keep it, so "
               "give it to\n"
               "                       mount as well\n\n"
               "Example: coremnt create disk.img --size 64M\n",
    .run = run,
};
