/* SPDX-License-Identifier: MIT */
/*
 * cmd_convert.c - `coremnt convert`: a copy of an image in another format.
 */
#include <stdio.h>
#include <stdlib.h>

#include "cli/cli.h"
#include "cli/image.h"
#include "cli/out.h"
#include "cli/progress.h"

#include <coremnt/container.h>

static void print_done(const char *name, const char *spec)
{
    struct cm_image_options open = {.struct_size = sizeof(open), .flags = CM_OPEN_READ_ONLY};
    struct cm_image_info info;
    struct cm_image *image;
    char size[OUT_SIZE_TEXT];
    char taken[OUT_SIZE_TEXT];

    if (cm_image_open(spec, &open, &image) != 0)
        return; /* it was made, and somebody has it already */
    if (cm_image_get_info(image, &info) == 0) {
        printf("%s was made: %s, %s, of which %s are taken.\n", name, info.format,
               out_size(info.size, size), out_size(info.allocated, taken));
        image_print_hint(name, info.format);
    }
    (void)cm_image_close(image);
}

static int convert(char **names, const char *spec, const struct cm_image_options *options,
                   int is_quiet)
{
    struct progress progress;
    int error;

    progress_begin(&progress, is_quiet);
    error = cm_image_convert(names[0], spec, options, progress_tell, &progress);
    progress_end(&progress);
    if (error != 0)
        return cli_fail(error);
    if (!is_quiet)
        print_done(names[1], spec);
    return CLI_OK;
}

static int run(const struct cli_verb *verb, int argc, char **argv)
{
    static const struct option options[] = {
        CLI_HELP,
        IMAGE_OPTIONS,
        {"cached", no_argument, NULL, 'c'},
        {"quiet", no_argument, NULL, 'q'},
        {NULL, 0, NULL, 0},
    };
    struct image_wish wish = {.open = {.struct_size = sizeof(wish.open), .flags = CM_OPEN_CREATE}};
    char **arguments;
    char *spec;
    int quiet = 0;
    int count;
    int option;
    int result = CLI_OK;

    while ((option = cli_next_option(verb, argc, argv, ":hs:q", options, &result)) >= 0) {
        if (option == 'q')
            quiet = 1;
        else if (option == 'c')
            wish.open.flags |= CM_OPEN_CACHED;
        else
            result = image_option(verb, option, &wish);
        if (result != CLI_OK)
            return result;
    }
    if (option == CLI_OPTION_EXIT)
        return result;
    result = cli_arguments(verb, argc, argv, 2, 2, &arguments, &count);
    if (result == CLI_OK)
        result = image_spec(verb, &wish, arguments[1], &spec);
    if (result != CLI_OK)
        return result;
    result = convert(arguments, spec, &wish.open, quiet);
    free(spec);
    return result;
}

const struct cli_verb cmd_convert = {
    .name = "convert",
    .arguments = "FROM TO [OPTIONS]",
    .summary = "copy an image into a new one, of any format",
    .details =
        "\nOf a differencing image the copy is the whole disk. What is zeros takes no space in "
        "it. While\nthe copy is made it is called TO.partial; it is removed when something fails, "
        "or "
        "at Ctrl-C,\nand gets its name when it is complete and on the disk.\n\n"
        "  --size SIZE          of the copy, if it is to be larger\n" IMAGE_OPTIONS_HELP
        "  --cached             let Windows cache the files\n"
        "  -q, --quiet          say nothing but what goes wrong\n\n"
        "Example: coremnt convert disk.img disk.vhdx\n",
    .run = run,
};
