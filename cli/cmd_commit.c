/* SPDX-License-Identifier: MIT */
/*
 * cmd_commit.c - `coremnt commit`: what a differencing image holds goes into its parent.
 */
#include <stdio.h>

#include "cli/cli.h"
#include "cli/progress.h"

#include <coremnt/container.h>

static int commit(const char *name, int is_quiet)
{
    struct progress progress;
    int error;

    progress_begin(&progress, is_quiet);
    error = cm_image_commit(name, progress_tell, &progress);
    progress_end(&progress);
    if (error != 0)
        return cli_fail(error);
    if (!is_quiet)
        printf("What %s held is in its parent now, and %s is empty.\n", name, name);
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
    return result != CLI_OK ? result : commit(arguments[0], quiet);
}

const struct cli_verb cmd_commit = {
    .name = "commit",
    .arguments = "IMAGE [--quiet]",
    .summary = "write what a differencing image holds into its parent, and empty it",
    .details = "\nOther images upon the same parent are of no use afterwards: its content has "
               "changed under them.\nAt Ctrl-C, or when the power fails, nothing is lost: do it "
               "again.\n\n"
               "  -q, --quiet  say nothing but what goes wrong\n",
    .run = run,
};
