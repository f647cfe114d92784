/* SPDX-License-Identifier: MIT */
/*
 * cmd_resize.c - `coremnt resize`: another size for a disk that is mounted, whoever serves it.
 */
#include <stdio.h>

#include "cli/cli.h"
#include "cli/out.h"

#include <coremnt/disk.h>

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

static int run(const struct cli_verb *verb, int argc, char **argv)
{
    static const struct option options[] = {
        CLI_HELP,
        {"shrink", no_argument, NULL, 's'},
        {NULL, 0, NULL, 0},
    };
    struct cm_disk_info before;
    uint32_t flags = 0;
    uint64_t size;
    char **arguments;
    int extended;
    int count;
    int option;
    int result = CLI_OK;

    while ((option = cli_next_option(verb, argc, argv, ":h", options, &result)) >= 0)
        flags = CM_RESIZE_SHRINK;
    if (option == CLI_OPTION_EXIT)
        return result;
    result = cli_arguments(verb, argc, argv, 2, 2, &arguments, &count);
    if (result == CLI_OK)
        result = cli_size(verb, "SIZE", arguments[1], &size);
    if (result != CLI_OK)
        return result;
    result = cm_get_disk_info(arguments[0], &before);
    if (result == 0)
        result = cm_resize(arguments[0], size, flags, &extended);
    if (result != 0)
        return cli_fail(result);
    print_done(arguments[0], before.size, size, extended);
    return CLI_OK;
}

const struct cli_verb cmd_resize = {
    .name = "resize",
    .arguments = "WHICH SIZE [--shrink]",
    .summary = "give a mounted disk, and its image, another size",
    .details =
        "\nWHICH is the disk's letter, folder or id. It may be in use while it grows. NTFS "
        "takes the\nnew space at once; FAT keeps the size that it was formatted with.\n\n"
        "  --shrink  a smaller size is meant: what lies beyond it is lost. Shrink the file system\n"
        "            first; the disk must not be in use\n\n"
        "Example: coremnt resize Z: 2G\n",
    .run = run,
    .windows_only = 1,
};
