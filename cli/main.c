/* SPDX-License-Identifier: MIT */
/*
 * main.c - `coremnt`: the table of verbs, the overall help, and what failures are called.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/console.h"

#include <coremnt/coremnt.h>

static const struct cli_verb *const verbs[] = {
    &cmd_driver,  &cmd_create, &cmd_mount, &cmd_attach,  &cmd_unmount,
    &cmd_list,    &cmd_stats,  &cmd_info,  &cmd_convert, &cmd_check,
    &cmd_compact, &cmd_resize, &cmd_map,   &cmd_commit,  &cmd_rebase,
};

#define VERB_COUNT (sizeof(verbs) / sizeof(verbs[0]))

#ifdef _WIN32
#define ON_WINDOWS 1
#else
#define ON_WINDOWS 0
#endif

/* -- failures ---------------------------------------------------------------------------------- */

static const struct {
    int error;
    enum cli_exit code;
} exit_codes[] = {
    {CM_EINVAL, CLI_USAGE},       {CM_EFORMAT, CLI_USAGE},      {CM_ENOENT, CLI_NOT_FOUND},
    {CM_EBUSY, CLI_IN_USE},       {CM_EACCES, CLI_NO_RIGHTS},   {CM_ENODRIVER, CLI_NO_DRIVER},
    {CM_ESTOPPED, CLI_NO_DRIVER}, {CM_EVERSION, CLI_NO_DRIVER}, {CM_EDAMAGED, CLI_DAMAGED},
};

/* For a CM_E... */
static int exit_code_of(int error)
{
    size_t i;

    if (error == 0)
        return CLI_OK;
    for (i = 0; i < sizeof(exit_codes) / sizeof(exit_codes[0]); i++) {
        if (exit_codes[i].error == error)
            return exit_codes[i].code;
    }
    return CLI_FAILED;
}

int cli_fail(int error)
{
    const char *sentence = cm_last_error();

    fflush(stdout);
    fprintf(stderr, "coremnt: %s\n", sentence[0] != '\0' ? sentence : cm_error_name(error));
    return exit_code_of(error);
}

int cli_usage(const struct cli_verb *verb, const char *format, ...)
{
    va_list arguments;

    fflush(stdout);
    fprintf(stderr, "coremnt: ");
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fprintf(stderr, ". See \"coremnt %s%s--help\".\n", verb != NULL ? verb->name : "",
            verb != NULL ? " " : "");
    return CLI_USAGE;
}

/* -- help -------------------------------------------------------------------------------------- */

static int print_help(void)
{
    const struct cm_image_kind *kind;
    size_t i;

    printf("coremnt - disks of Windows whose content comes from an image\n\n"
           "Usage: coremnt VERB [ARGUMENTS]\n\nVerbs:\n");
    for (i = 0; i < VERB_COUNT; i++)
        printf("  %-9s %s%s\n", verbs[i]->name, verbs[i]->summary,
               verbs[i]->windows_only && !ON_WINDOWS ? " (Windows only)" : "");
    printf(
        "\n\"coremnt VERB --help\" tells more. \"coremnt --version\" tells the version.\n"
        "\nAn IMAGE is a path, whose extension tells its kind (none of them: raw), or one of:\n");
    for (kind = cm_image_kinds(); kind->name != NULL; kind++)
        printf("  %-14s %s\n", kind->syntax, kind->summary);
    printf("\nExit codes: 0 done; 1 failed; 2 wrong usage; 3 no such image, disk or letter;\n"
           "4 in use; 5 no rights; 6 driver not installed, not started or of another version;\n"
           "7 the image is damaged.\n");
    return CLI_OK;
}

static int asks_for_help(int argc, char **argv)
{
    for (int i = 2; i < argc; i++)
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)
            return 1;
    return 0;
}

static const struct cli_verb *find_verb(const char *name)
{
    for (size_t i = 0; i < VERB_COUNT; i++)
        if (strcmp(name, verbs[i]->name) == 0)
            return verbs[i];
    return NULL;
}

static int run_verb(const struct cli_verb *verb, int argc, char **argv)
{
    if (verb->windows_only && !ON_WINDOWS && !asks_for_help(argc, argv)) {
        fprintf(stderr, "coremnt: \"coremnt %s\" works on Windows only.\n", verb->name);
        return CLI_FAILED;
    }
    return verb->run(verb, argc - 1, argv + 1);
}

/* "coremnt help VERB" is "coremnt VERB --help". */
static int run_help(int argc, char **argv)
{
    char option[] = "--help";
    char *arguments[] = {argv[0], argc > 2 ? argv[2] : NULL, option, NULL};
    const struct cli_verb *verb;

    if (argc < 3)
        return print_help();
    verb = find_verb(argv[2]);
    if (verb == NULL)
        return cli_usage(NULL, "there is no verb \"%s\"", argv[2]);
    return run_verb(verb, 3, arguments);
}

static int run(int argc, char **argv)
{
    const struct cli_verb *verb;

    if (argc < 2)
        return cli_usage(NULL, "a verb is missing");
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 ||
        strcmp(argv[1], "help") == 0)
        return run_help(argc, argv);
    if (strcmp(argv[1], "--version") == 0) {
        printf("coremnt %s\n", CM_VERSION_STRING);
        return CLI_OK;
    }
    verb = find_verb(argv[1]);
    if (verb == NULL)
        return cli_usage(NULL, "there is no verb \"%s\"", argv[1]);
    return run_verb(verb, argc, argv);
}

int main(int argc, char **argv)
{
    int result;

    if (console_open(&argc, &argv) != 0)
        return CLI_FAILED;
    result = run(argc, argv);
    if (fflush(stdout) != 0 && result == CLI_OK) {
        fprintf(stderr, "coremnt: the output could not be written.\n");
        result = CLI_FAILED;
    }
    console_close();
    return result;
}
