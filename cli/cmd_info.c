/* SPDX-License-Identifier: MIT */
/*
 * cmd_info.c - `coremnt info`: what an image is, and which partitions it has.
 */
#include <stdio.h>

#include "cli/cli.h"
#include "cli/out.h"
#include "cli/partition.h"

#include <coremnt/disk.h>

static void print_json(const char *name, const struct cm_image_info *info,
                       const struct cm_partition_table *table)
{
    struct out_json json = {0};

    out_json_begin(&json, NULL, '{');
    out_json_string(&json, "image", name);
    out_json_string(&json, "format", info->format);
    out_json_number(&json, "size", info->size);
    out_json_number(&json, "allocated", info->allocated);
    out_json_number(&json, "sector_size", info->sector_size);
    partition_print_json(&json, table);
    out_json_end(&json, '}');
}

static void print_size(const char *label, uint64_t bytes)
{
    char size[OUT_SIZE_TEXT];

    printf("%-13s %s", label, out_size(bytes, size));
    if (bytes >= 1024)
        printf(" (%llu bytes)", (unsigned long long)bytes);
    printf("\n");
}

static void print_text(const char *name, const struct cm_image_info *info)
{
    printf("image:        %s\n", name);
    printf("format:       %s\n", info->format);
    print_size("size:", info->size);
    print_size("allocated:", info->allocated);
    printf("sector size:  %u bytes\n", (unsigned)info->sector_size);
}

static int describe(const char *name, struct cm_image *image, int as_json)
{
    struct cm_partition_table *table;
    struct cm_image_info info;
    int error = cm_image_get_info(image, &info);

    if (error == 0)
        error = cm_partition_table_read(image, &table);
    if (error != 0)
        return error;
    if (as_json) {
        print_json(name, &info, table);
    } else {
        print_text(name, &info);
        error = partition_print_text(table);
    }
    cm_free(table);
    return error;
}

static int run(const struct cli_verb *verb, int argc, char **argv)
{
    static const struct option options[] = {
        CLI_HELP,
        {"json", no_argument, NULL, 'j'},
        {"sector-size", required_argument, NULL, 'S'},
        {NULL, 0, NULL, 0},
    };
    struct cm_image_options open = {.struct_size = sizeof(open), .flags = CM_OPEN_READ_ONLY};
    struct cm_image *image;
    char **arguments;
    int json = 0;
    int count;
    int option;
    int closed;
    int result = CLI_OK;

    while ((option = cli_next_option(verb, argc, argv, ":h", options, &result)) >= 0) {
        if (option == 'j')
            json = 1;
        else
            result = cli_sector_size(verb, optarg, &open.sector_size);
        if (result != CLI_OK)
            return result;
    }
    if (option == CLI_OPTION_EXIT)
        return result;
    result = cli_arguments(verb, argc, argv, 1, 1, &arguments, &count);
    if (result != CLI_OK)
        return result;
    result = cm_image_open(arguments[0], &open, &image);
    if (result != 0)
        return cli_fail(result);
    result = describe(arguments[0], image, json);
    closed = cm_image_close(image);
    return result != 0 || closed != 0 ? cli_fail(result != 0 ? result : closed) : CLI_OK;
}

const struct cli_verb cmd_info = {
    .name = "info",
    .arguments = "IMAGE [OPTIONS]",
    .summary = "tell what an image is: format, sizes, space taken, partitions",
    .details = "\n  --json               for programs; sizes are in bytes\n"
               "  --sector-size BYTES  512 (the default) or 4096: what an MBR counts in\n",
    .run = run,
};
