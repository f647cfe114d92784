/* SPDX-License-Identifier: MIT */
/*
 * cmd_info.c - `coremnt info`: what an image is, and which partitions it has.
 */
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/out.h"
#include "cli/partition.h"
#include "lib/core/error_internal.h"
#include "lib/core/image_internal.h"

#include <coremnt/disk.h>

#define BEGINNING 4096u /* bytes that are looked at */

/* -- raw files that look like something else ---------------------------------------------------- */

static const struct mark {
    uint32_t at; /* byte of the beginning, or of the last sector */
    int is_at_end;
    const char *bytes;
    const char *format;
    int is_ours; /* it can be opened as "FORMAT:PATH" */
} marks[] = {
    {0, 0, "vhdxfile", "vhdx", 1},         {0, 0, "conectix", "vhd", 1},
    {0, 1, "conectix", "vhd", 1}, /* a fixed one */
    {0, 0, "QFI\xfb", "qcow2", 0},         {0, 0, "KDMV", "vmdk", 0},
    {64, 0, "\x7f\x10\xda\xbe", "vdi", 0},
};

#define MARK_COUNT (sizeof(marks) / sizeof(marks[0]))

/* NULL: like nothing that we know. Only told, never believed: registry.c says why. */
static const struct mark *find_mark(struct cm_image *image, const struct cm_image_info *info)
{
    unsigned char start[BEGINNING];
    unsigned char end[BEGINNING];

    if (strcmp(info->format, "raw") != 0 || info->size < BEGINNING ||
        cm_image_read(image, start, BEGINNING, 0) != 0 ||
        cm_image_read(image, end, info->sector_size, info->size - info->sector_size) != 0)
        return NULL;
    for (size_t i = 0; i < MARK_COUNT; i++) {
        const unsigned char *bytes = marks[i].is_at_end ? end : start;

        if (memcmp(bytes + marks[i].at, marks[i].bytes, strlen(marks[i].bytes)) == 0)
            return &marks[i];
    }
    return NULL;
}

static void print_mark(const struct mark *mark, const struct cm_image_info *info)
{
    if (mark == NULL)
        return;
    printf("note:         its bytes are like those of a %s image, and are a disk all the same",
           mark->format);
    if (mark->is_ours && info->path != NULL)
        printf(";\n              to open what is in them: %s:%s", mark->format, info->path);
    printf("\n");
}

/* -- what it is --------------------------------------------------------------------------------- */

static const char *const layouts[] = {
    [CM_LAYOUT_FLAT] = "flat",
    [CM_LAYOUT_DYNAMIC] = "dynamic",
    [CM_LAYOUT_CHANGES] = "differencing",
};

static const char *path_of(const struct cm_image_info *info)
{
    return info->path != NULL ? info->path : "";
}

static void print_parents_json(struct out_json *json, struct cm_image *image)
{
    struct cm_image_info of_parent;

    out_json_begin(json, "parents", '[');
    for (struct cm_image *parent = cm_image_parent(image);
         parent != NULL && cm_image_get_info(parent, &of_parent) == 0;
         parent = cm_image_parent(parent)) {
        out_json_begin(json, NULL, '{');
        out_json_string(json, "path", path_of(&of_parent));
        out_json_string(json, "format", of_parent.format);
        out_json_end(json, '}');
    }
    out_json_end(json, ']');
}

/* `table` is NULL for an image without its parents: what partitions there are is not known. */
static void print_json(const char *name, struct cm_image *image, const struct cm_image_info *info,
                       const struct cm_partition_table *table)
{
    struct out_json json = {0};
    const struct mark *mark = find_mark(image, info);

    out_json_begin(&json, NULL, '{');
    out_json_string(&json, "image", name);
    out_json_string(&json, "format", info->format);
    out_json_string(&json, "layout", layouts[info->layout]);
    out_json_number(&json, "size", info->size);
    out_json_number(&json, "allocated", info->allocated);
    out_json_number(&json, "sector_size", info->sector_size);
    out_json_number(&json, "block_size", info->block_size);
    out_json_bool(&json, "dirty", info->was_dirty);
    if (mark != NULL)
        out_json_string(&json, "looks_like", mark->format);
    if (table != NULL) {
        print_parents_json(&json, image);
        partition_print_json(&json, table);
    } else {
        out_json_string(&json, "parent_error", cm_last_error());
    }
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

static void print_layout(const struct cm_image_info *info)
{
    char size[OUT_SIZE_TEXT];

    printf("layout:       %s", layouts[info->layout]);
    if (info->block_size != 0)
        printf(", blocks of %s", out_size(info->block_size, size));
    printf("\n");
}

static void print_parents(struct cm_image *image)
{
    struct cm_image_info of_parent;

    for (struct cm_image *parent = cm_image_parent(image);
         parent != NULL && cm_image_get_info(parent, &of_parent) == 0;
         parent = cm_image_parent(parent))
        printf("parent:       %s (%s)\n", path_of(&of_parent), of_parent.format);
}

/* The sentence, on stderr, has the rest. */
static const char *what_of_parent(int error)
{
    switch (error) {
    case CM_ENOENT:
        return "it is missing";
    case CM_EBUSY:
        return "it is in use";
    case CM_EDAMAGED:
        return "it was changed, or is damaged";
    default:
        return cm_error_name(error);
    }
}

static void print_text(const char *name, struct cm_image *image, const struct cm_image_info *info,
                       int parent_error)
{
    printf("image:        %s\n", name);
    printf("format:       %s\n", info->format);
    print_layout(info);
    print_size("size:", info->size);
    print_size("allocated:", info->allocated);
    printf("sector size:  %u bytes\n", (unsigned)info->sector_size);
    if (parent_error == 0)
        print_parents(image);
    else
        printf("parent:       cannot be used: %s\n", what_of_parent(parent_error));
    if (info->was_dirty)
        printf("state:        was not closed by its last writer; it is%s\n              made whole "
               "when it is next opened for writing\n",
               strcmp(info->format, "vhdx") == 0 ? " read with what its log holds, and" : "");
    print_mark(find_mark(image, info), info);
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
        print_json(name, image, &info, table);
    } else {
        print_text(name, image, &info, 0);
        error = partition_print_text(table);
    }
    cm_free(table);
    return error;
}

/*
 * An image that could not be opened, for `reason`: if it can be without its parents, what it is itself is told, but not
 * what is on the disk. What could not be remains the verb's result. The sentence stays.
 */
static void describe_alone(const char *name, const struct cm_image_options *given, int as_json,
                           int reason)
{
    struct cm_image_options open = *given;
    struct cm_image *image;
    struct cm_image_info info;
    char sentence[1024];

    snprintf(sentence, sizeof(sentence), "%s", cm_last_error());
    open.flags |= CM_OPEN_ALONE;
    if (cm_image_open_inner(name, &open, &image) == 0) {
        int error = cm_image_get_info(image, &info);

        cm_fail(reason, "%s", sentence);
        if (error == 0 && as_json)
            print_json(name, image, &info, NULL);
        else if (error == 0)
            print_text(name, image, &info, reason);
        cm_image_discard(image);
    }
    cm_fail(reason, "%s", sentence);
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
    if (result != 0) {
        describe_alone(arguments[0], &open, json, result);
        return cli_fail(result);
    }
    result = describe(arguments[0], image, json);
    closed = cm_image_close(image);
    return result != 0 || closed != 0 ? cli_fail(result != 0 ? result : closed) : CLI_OK;
}

const struct cli_verb cmd_info = {
    .name = "info",
    .arguments = "IMAGE [OPTIONS]",
    .summary = "tell what an image is: format, sizes, space taken, parents, partitions",
    .details =
        "\nOf an image whose parent is missing, was changed or is in use, all but parents and "
        "partitions is\ntold; the exit code says what is wrong.\n\n"
        "  --json               for programs; sizes are in bytes\n"
        "  --sector-size BYTES  512 or 4096: what an MBR counts in. Of a raw file, which "
        "does not keep\n"
        "                       it, 512 if it is not given\n",
    .run = run,
};
