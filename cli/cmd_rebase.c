/* SPDX-License-Identifier: MIT */
/*
 * cmd_rebase.c - `coremnt rebase`: another parent for a differencing image, or none.
 */
#include <stdio.h>

#include "cli/cli.h"
#include "cli/progress.h"

#include <coremnt/container.h>

struct request {
    const char *name;
    const char *parent; /* NULL: none */
    int is_alone;       /* --no-parent was given */
    uint32_t flags;
    int is_quiet;
};

static int rebase(const struct request *request)
{
    struct progress progress;
    int error;

    progress_begin(&progress, request->is_quiet);
    error =
        cm_image_rebase(request->name, request->parent, request->flags, progress_tell, &progress);
    progress_end(&progress);
    if (error != 0)
        return cli_fail(error);
    if (request->is_quiet)
        return CLI_OK;
    if (request->parent != NULL)
        printf("The parent of %s is %s now.\n", request->name, request->parent);
    else
        printf("%s has no parent any more.\n", request->name);
    return CLI_OK;
}

static int run(const struct cli_verb *verb, int argc, char **argv)
{
    static const struct option options[] = {
        CLI_HELP,
        {"parent", required_argument, NULL, 'p'},
        {"no-parent", no_argument, NULL, 'n'},
        {"trust", no_argument, NULL, 't'},
        {"quiet", no_argument, NULL, 'q'},
        {NULL, 0, NULL, 0},
    };
    struct request request = {0};
    char **arguments;
    int count;
    int option;
    int result = CLI_OK;

    while ((option = cli_next_option(verb, argc, argv, ":hq", options, &result)) >= 0) {
        if (option == 'p')
            request.parent = optarg;
        else if (option == 'n')
            request.is_alone = 1;
        else if (option == 't')
            request.flags |= CM_REBASE_TRUST;
        else
            request.is_quiet = 1;
    }
    if (option == CLI_OPTION_EXIT)
        return result;
    result = cli_arguments(verb, argc, argv, 1, 1, &arguments, &count);
    if (result != CLI_OK)
        return result;
    if ((request.parent != NULL) == request.is_alone)
        return cli_usage(verb, "say either --parent FILE or --no-parent");
    if (request.is_alone && request.flags != 0)
        return cli_usage(verb, "--trust goes only with --parent");
    request.name = arguments[0];
    return rebase(&request);
}

const struct cli_verb cmd_rebase = {
    .name = "rebase",
    .arguments = "IMAGE --parent FILE | --no-parent [OPTIONS]",
    .summary = "give a differencing image another parent, or none",
    .details =
        "\nIts content stays what it is: what the new parent has otherwise is copied into it "
        "first.\n\n"
        "  --parent FILE  the new one\n"
        "  --no-parent    the image takes all that it had from its parents into itself\n"
        "  --trust        the new parent has the content of the old one, which was moved or has "
        "gone:\n                 change only the name\n"
        "  -q, --quiet    say nothing but what goes wrong\n",
    .run = run,
};
