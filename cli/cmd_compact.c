/* SPDX-License-Identifier: MIT */
/*
 * cmd_compact.c - `coremnt compact`: the file of an image as small as its content allows.
 */
#include <stdio.h>

#include "cli/cli.h"
#include "cli/out.h"
#include "cli/progress.h"

#include <coremnt/container.h>

static int compact(const char *name, int is_quiet)
{
    struct progress progress;
    char size[OUT_SIZE_TEXT];
    uint64_t freed;
    int error;

    progress_begin(&progress, is_quiet);
    error = cm_image_compact(name, progress_tell, &progress, &freed);
    progress_end(&progress);
    if (error != 0)
        return cli_fail(error);
    if (is_quiet)
        return CLI_OK;
    if (freed == 0)
        printf("%s has nothing to give back.\n", name);
    else
        printf("%s is %s smaller now.\n", name, out_size(freed, size));
    return CLI_OK;
}

static int run(const struct cli_verb *verb, int argc, char **argv)
{
    static const struct option options[] = {
        CLI_HELP,
        {"quiet", no_argument, NULL, 'q'},
        {NULL, 0, NULL, 0},
    };
    char **arguments;
    int quiet = 0;
    int count;
    int option;
    int result = CLI_OK;

    while ((option = cli_next_option(verb, argc, argv, ":hq", options, &result)) >= 0)
        quiet = 1;
    if (option == CLI_OPTION_EXIT)
        return result;
    result = cli_arguments(verb, argc, argv, 1, 1, &arguments, &count);
    return result != CLI_OK ? result : compact(arguments[0], quiet);
}

const struct cli_verb cmd_compact = {
    .name = "compact",
    .arguments = "IMAGE [--quiet]",
    .summary = "make a dynamic vhdx or vhd file smaller",
    .details =
        "\nBlocks that hold only zeros, or nothing that counts, are given back, and those at "
        "the end of the\nfile move to the front. At Ctrl-C, or when the power fails, what "
        "was done until then stays done\nand the image is whole.\n\n"
        "  -q, --quiet  say nothing but what goes wrong\n",
    .run = run,
};
