/* SPDX-License-Identifier: MIT */
/*
 * cmd_unmount.c - `coremnt unmount`: unmount a disk, whoever serves it.
 */
#include <stdio.h>

#include "cli/cli.h"

#include <coremnt/disk.h>

#define DEFAULT_TIMEOUT_S 10u
#define MAX_TIMEOUT_S 3600u

static int run(const struct cli_verb *verb, int argc, char **argv)
{
    static const struct option options[] = {
        CLI_HELP,
        {"force", no_argument, NULL, 'f'},
        {"timeout", required_argument, NULL, 't'},
        {NULL, 0, NULL, 0},
    };
    uint32_t timeout_s = DEFAULT_TIMEOUT_S;
    uint32_t flags = 0;
    char **arguments;
    int count;
    int option;
    int result = CLI_OK;

    while ((option = cli_next_option(verb, argc, argv, ":hft:", options, &result)) >= 0) {
        if (option == 'f')
            flags = CM_UNMOUNT_FORCED;
        else
            result = cli_number(verb, "--timeout", optarg, 0, MAX_TIMEOUT_S, &timeout_s);
        if (result != CLI_OK)
            return result;
    }
    if (option == CLI_OPTION_EXIT)
        return result;
    result = cli_arguments(verb, argc, argv, 1, 1, &arguments, &count);
    if (result != CLI_OK)
        return result;
    result = cm_unmount(arguments[0], flags, timeout_s * 1000u);
    if (result != 0)
        return cli_fail(result);
    printf("%s was unmounted.\n", arguments[0]);
    return CLI_OK;
}

const struct cli_verb cmd_unmount = {
    .name = "unmount",
    .arguments = "WHICH [--force] [--timeout SECONDS]",
    .summary = "unmount a disk: WHICH is its letter, folder or id",
    .details =
        "\nWrites back what the file system holds, takes the letter away and removes the disk. "
        "A disk\nin use is left as it is, and one that is held without a server.\n\n"
        "  --force            also when it is in use, held, or its server hangs: programs lose "
        "their\n                     open files, and what is not written within 3 seconds is lost\n"
        "  --timeout SECONDS  how long to wait until it is no longer in use (10); not with "
        "--force\n\n"
        "Example: coremnt unmount Z:\n",
    .run = run,
    .windows_only = 1,
};
