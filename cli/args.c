/* SPDX-License-Identifier: MIT */
/*
 * args.c - reading a verb's command line with getopt_long, and saying what is wrong with it.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"

#include <coremnt/image.h>

static void print_help(const struct cli_verb *verb)
{
    printf("coremnt %s %s\n\n%s%s\n%s", verb->name, verb->arguments, verb->summary,
           verb->windows_only ? " (Windows only)." : ".", verb->details);
}

/* getopt tells an unknown option from a value that an option does not take by optopt alone, and
 * steps over long options but not over a letter with more letters behind it. */
static int bad_option(const struct cli_verb *verb, const char *argument, int stepped_over)
{
    if (stepped_over && strncmp(argument, "--", 2) == 0) {
        if (optopt != 0)
            return cli_usage(verb, "the option takes no value: %s", argument);
        return cli_usage(verb, "there is no option %s", argument);
    }
    return cli_usage(verb, "there is no option -%c", optopt);
}

int cli_next_option(const struct cli_verb *verb, int argc, char **argv, const char *letters,
                    const struct option *options, int *result)
{
    int before = optind;
    int option;

    opterr = 0; /* the sentences are ours: getopt's differ between the systems */
    option = getopt_long(argc, argv, letters, options, NULL);
    switch (option) {
    case 'h':
        print_help(verb);
        *result = CLI_OK;
        return CLI_OPTION_EXIT;
    case ':':
        /* mingw's getopt says this of a value too many as well */
        if (strchr(argv[optind - 1], '=') != NULL)
            *result = cli_usage(verb, "the option takes no value: %s", argv[optind - 1]);
        else
            *result = cli_usage(verb, "the option %s needs a value", argv[optind - 1]);
        return CLI_OPTION_EXIT;
    case '?':
        *result = bad_option(verb, argv[optind - 1], optind != before);
        return CLI_OPTION_EXIT;
    default:
        return option;
    }
}

int cli_arguments(const struct cli_verb *verb, int argc, char **argv, int least, int most,
                  char ***arguments, int *count)
{
    *arguments = argv + optind;
    *count = argc - optind;
    if (*count < least)
        return cli_usage(verb, "something is missing: coremnt %s %s", verb->name, verb->arguments);
    if (*count > most)
        return cli_usage(verb, "\"%s\" is one argument too many", (*arguments)[most]);
    return 0;
}

int cli_number(const struct cli_verb *verb, const char *option, const char *text, uint32_t least,
               uint32_t most, uint32_t *number)
{
    unsigned long long value;
    char *end;

    errno = 0;
    value = strtoull(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || *end != '\0' || errno != 0 || value < least ||
        value > most)
        return cli_usage(verb, "%s must be a number from %u to %u, not \"%s\"", option,
                         (unsigned)least, (unsigned)most, text);
    *number = (uint32_t)value;
    return 0;
}

int cli_size(const struct cli_verb *verb, const char *option, const char *text, uint64_t *size)
{
    if (cm_parse_size(text, size) == 0 && *size > 0)
        return 0;
    return cli_usage(verb,
                     "%s must be a size in whole bytes, such as 64M, 1.5G or 67108864, not \"%s\"",
                     option, text);
}

int cli_sector_size(const struct cli_verb *verb, const char *text, uint32_t *size)
{
    *size = strcmp(text, "512") == 0 ? 512 : strcmp(text, "4096") == 0 ? 4096 : 0;
    if (*size == 0)
        return cli_usage(verb, "--sector-size must be 512 or 4096, not \"%s\"", text);
    return CLI_OK;
}
