/* SPDX-License-Identifier: MIT */
/*
 * image.h - what the verbs that make images have in common: which options there are, and the format.
 */
#ifndef CLI_IMAGE_H
#define CLI_IMAGE_H

#include "cli/cli.h"

#include <coremnt/image.h>

struct image_wish {
    const char *format; /* NULL: as the name says */
    struct cm_image_options open;
};

/* Rows for getopt_long(), and their help. */
#define IMAGE_OPTIONS                                                                              \
    {"format", required_argument, NULL, 'f'}, {"size", required_argument, NULL, 's'},              \
        {"block-size", required_argument, NULL, 'b'},                                              \
        {"sector-size", required_argument, NULL, 'S'},                                             \
    {                                                                                              \
        "fixed", no_argument, NULL, 'F'                                                            \
    }
#define IMAGE_OPTIONS_HELP                                                                         \
    "  --format NAME        raw, vhdx or vhd; without it, the name's extension says it: .vhdx, "   \
    ".vhd,\n                       and raw for all others\n"                                       \
    "  --block-size SIZE    what a dynamic image takes at once: 1M to 256M for vhdx (32M), 512K\n" \
    "                       or more for vhd (2M)\n"                                                \
    "  --sector-size BYTES  512 or 4096; a raw file does not keep it, so give it to mount as\n"    \
    "                       well\n"                                                                \
    "  --fixed              vhdx, vhd: no blocks that are taken as data comes, but all at once\n"

/* One of these options, from getopt's optarg. @return 0 or CLI_USAGE, having said why. */
int image_option(const struct cli_verb *verb, int option, struct image_wish *wish);

/* For who made an image whose name does not say its format: how to open it. On stdout. */
void image_print_hint(const char *name, const char *format);

/* "FORMAT:NAME", or the name as it is. @return 0 or CLI_USAGE; *spec is to be freed. */
int image_spec(const struct cli_verb *verb, const struct image_wish *wish, const char *name,
               char **spec);

#endif
