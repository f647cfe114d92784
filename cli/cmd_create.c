/* SPDX-License-Identifier: MIT */
/*
 * cmd_create.c - `coremnt create`: a new, empty image.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/image.h"
#include "cli/out.h"

#include <coremnt/image.h>

static int create(const char *name, const char *spec, const struct cm_image_options *options)
{
    struct cm_image_info info;
    struct cm_image *image;
    char size[OUT_SIZE_TEXT];
    int error = cm_image_open(spec, options, &image);
    int closed;

    if (error != 0)
        return cli_fail(error);
    error = cm_image_get_info(image, &info);
    closed = cm_image_close(image);
    if (error != 0 || closed != 0)
        return cli_fail(error != 0 ? error : closed);
    printf("%s was created: %s, %s.\n", name, info.format, out_size(info.size, size));
    image_print_hint(name, info.format);
    return CLI_OK;
}

static int run(const struct cli_verb *verb, int argc, char **argv)
{
    static const struct option options[] = {
        CLI_HELP,
        IMAGE_OPTIONS,
        {"parent", required_argument, NULL, 'p'},
        {NULL, 0, NULL, 0},
    };
    struct image_wish wish = {.open = {.struct_size = sizeof(wish.open), .flags = CM_OPEN_CREATE}};
    char **arguments;
    char *spec;
    int count;
    int option;
    int result = CLI_OK;

    while ((option = cli_next_option(verb, argc, argv, ":hs:", options, &result)) >= 0) {
        if (option == 'p')
            wish.open.parent = optarg;
        else
            result = image_option(verb, option, &wish);
        if (result != CLI_OK)
            return result;
    }
    if (option == CLI_OPTION_EXIT)
        return result;
    result = cli_arguments(verb, argc, argv, 1, 1, &arguments, &count);
    if (result != CLI_OK)
        return result;
    if (wish.open.size == 0 && wish.open.parent == NULL)
        return cli_usage(verb, "--size is missing: how large shall the image be");
    if (strncmp(arguments[0], "memory:", 7) == 0)
        return cli_usage(verb,
                         "\"%s\" is memory of the program that mounts it: there is nothing to "
                         "create",
                         arguments[0]);
    result = image_spec(verb, &wish, arguments[0], &spec);
    if (result != CLI_OK)
        return result;
    result = create(arguments[0], spec, &wish.open);
    free(spec);
    return result;
}

const struct cli_verb cmd_create = {
    .name = "create",
    .arguments = "IMAGE --size SIZE [OPTIONS]",
    .summary = "make a new, empty image",
    .details =
        "\nThe image takes space only for what is written to it. One that is there already is "
        "left alone.\n\n"
        "  --size SIZE          of the disk: 64M, 1.5G, 67108864\n" IMAGE_OPTIONS_HELP
        "  --parent FILE        keep only what differs from this image, which must not change "
        "any\n"
        "                       more; --size is the parent's if it is not given\n\n"
        "Examples: coremnt create disk.img --size 64M\n"
        "          coremnt create disk.vhdx --size 2T\n"
        "          coremnt create child.vhdx --parent disk.vhdx\n",
    .run = run,
};
