/* SPDX-License-Identifier: MIT */
/*
 * cli.h - what the verbs of `coremnt` share: the verb table's rows, exit codes, arguments.
 *
 * The tool has one thread; what a console does beside it is in console.h.
 */
#ifndef CLI_H
#define CLI_H

#include <getopt.h>
#include <stdint.h>

#include "lib/core/error_internal.h" /* CM_PRINTF */

/* What `coremnt` exits with. Documented by `coremnt --help`; never renumbered. */
enum cli_exit {
    CLI_OK = 0,
    CLI_FAILED = 1,    /* it did not work: I/O error, no memory, no space, exists already... */
    CLI_USAGE = 2,     /* the command line makes no sense: verb, option, number, kind of image */
    CLI_NOT_FOUND = 3, /* no such image, disk or letter */
    CLI_IN_USE = 4,    /* the disk, letter or image is in use */
    CLI_NO_RIGHTS = 5, /* needs an administrator, or rights on a file */
    CLI_NO_DRIVER = 6, /* the driver is not installed, not started, or of another version */
    CLI_DAMAGED = 7,   /* the image's own structures are damaged */
};

struct cli_verb {
    const char *name;
    const char *arguments; /* "IMAGE [LETTER]" */
    const char *summary;   /* one line */
    const char *details;   /* options and examples, for --help */
    int (*run)(const struct cli_verb *verb, int argc, char **argv); /* argv[0]: the verb */
    int windows_only;
};

/* One per file cmd_<verb>.c; main.c lists them. */
extern const struct cli_verb cmd_driver, cmd_create, cmd_mount, cmd_attach, cmd_unmount, cmd_resize,
    cmd_list, cmd_stats, cmd_info, cmd_map, cmd_check, cmd_convert, cmd_compact, cmd_commit,
    cmd_rebase;

/* -- failures (main.c) ------------------------------------------------------------------------- */

/* Print the library's sentence about `error`, and return the exit code. */
int cli_fail(int error);

/* Print a sentence and where to read more; CLI_USAGE. */
int cli_usage(const struct cli_verb *verb, const char *format, ...) CM_PRINTF(2, 3);

/* -- arguments (args.c) ------------------------------------------------------------------------ */

#define CLI_OPTION_END (-1)
#define CLI_OPTION_EXIT (-2)
#define CLI_HELP                                                                                   \
    {                                                                                              \
        "help", no_argument, NULL, 'h'                                                             \
    }

/*
 * The next option as getopt_long() returns it, CLI_OPTION_END, or CLI_OPTION_EXIT when --help or a
 * mistake has been dealt with: then *result is what to exit with.
 */
int cli_next_option(const struct cli_verb *verb, int argc, char **argv, const char *letters,
                    const struct option *options, int *result);

/* After the options: the arguments left, or CLI_USAGE if there are not from `least` to `most`. */
int cli_arguments(const struct cli_verb *verb, int argc, char **argv, int least, int most,
                  char ***arguments, int *count);

/* The value of an option; 0 or CLI_USAGE, having said why. */
int cli_number(const struct cli_verb *verb, const char *option, const char *text, uint32_t least,
               uint32_t most, uint32_t *number);
int cli_size(const struct cli_verb *verb, const char *option, const char *text, uint64_t *size);
int cli_sector_size(const struct cli_verb *verb, const char *text, uint32_t *size);

#endif
