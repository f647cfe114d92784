/* SPDX-License-Identifier: MIT */
/*
 * partition.c - see partition.h: choosing a partition, and printing what a table says.
 */
#include "cli/partition.h"

#include <stdio.h>

#include "cli/cli.h"
#include "cli/out.h"

#include <coremnt/disk.h>

#define FLAG_TEXT 128u

static const char *const kinds[] = {"none", "MBR", "GPT"}; /* by enum cm_table_kind */
static const char *const kind_keys[] = {"none", "mbr", "gpt"};

/* -- choosing ---------------------------------------------------------------------------------- */

/* Whether it can be read or not, the image can be served. */
static void print_hint(const char *spec, struct cm_image *image)
{
    struct cm_partition_table *table;

    if (cm_partition_table_read(image, &table) != 0)
        return;
    if (table->kind != CM_TABLE_NONE && table->count != 0) {
        fprintf(
            stderr,
            "coremnt: %s is a partitioned disk (%s), on which Windows will find no file system. "
            "Mount one partition of it with --partition N; \"coremnt info %s\" lists them.\n",
            spec, kinds[table->kind], spec);
        fflush(stderr);
    }
    cm_free(table);
}

int partition_choose(const char *spec, uint32_t number, struct cm_image **image)
{
    struct cm_image *partition;
    int error;

    if (number == 0) {
        print_hint(spec, *image);
        return 0;
    }
    error = cm_partition_open(*image, number, &partition);
    if (error != 0)
        cm_image_close(*image); /* nothing was written, so there is nothing to lose or to tell */
    *image = partition;
    return error;
}

/* -- printing ---------------------------------------------------------------------------------- */

static const struct {
    uint32_t flag;
    const char *key;  /* in JSON */
    const char *text; /* for people */
} flags[] = {
    {CM_PARTITION_BOOTABLE, "bootable", "bootable"},
    {CM_PARTITION_LOGICAL, "logical", "logical"},
    {CM_PARTITION_CONTAINER, "container", "holds the logical ones"},
    {CM_PARTITION_BEYOND_END, "beyond_end", "NOT ALL IN THE IMAGE"},
    {CM_PARTITION_OVERLAPS, "overlaps", "OVERLAPS ANOTHER"},
};

static const struct {
    uint32_t flag;
    const char *key;
    const char *sentence;
} warnings[] = {
    {CM_TABLE_PRIMARY_DAMAGED, "primary_damaged", "the table at the beginning is damaged"},
    {CM_TABLE_BACKUP_DAMAGED, "backup_damaged", "the backup table is damaged or not there"},
    {CM_TABLE_HYBRID, "hybrid", "the MBR beside the GPT has partitions too, which are not listed"},
    {CM_TABLE_BAD_ENTRIES, "bad_entries", "some entries make no sense and are not listed"},
    {CM_TABLE_BAD_CHAIN, "bad_chain", "the list of logical drives is damaged: some may be missing"},
    {CM_TABLE_INCOMPLETE, "incomplete", "there are more partitions than are listed"},
};

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

static void print_partition_json(struct out_json *json, const struct cm_partition *partition)
{
    out_json_begin(json, NULL, '{');
    out_json_number(json, "number", partition->number);
    out_json_number(json, "offset", partition->offset);
    out_json_number(json, "size", partition->size);
    out_json_string(json, "type", partition->type);
    out_json_string(json, "type_id", partition->type_id);
    out_json_string(json, "name", partition->name);
    out_json_string(json, "file_system", partition->file_system);
    for (size_t i = 0; i < COUNT_OF(flags); i++)
        out_json_bool(json, flags[i].key, (partition->flags & flags[i].flag) != 0);
    out_json_end(json, '}');
}

void partition_print_json(struct out_json *json, const struct cm_partition_table *table)
{
    out_json_begin(json, "partition_table", '{');
    out_json_string(json, "kind", kind_keys[table->kind]);
    out_json_string(json, "file_system", table->file_system);
    out_json_number(json, "sector_size", table->sector_size);
    for (size_t i = 0; i < COUNT_OF(warnings); i++)
        out_json_bool(json, warnings[i].key, (table->flags & warnings[i].flag) != 0);
    out_json_begin(json, "partitions", '[');
    for (uint32_t i = 0; i < table->count; i++)
        print_partition_json(json, &table->partitions[i]);
    out_json_end(json, ']');
    out_json_end(json, '}');
}

static const char *flag_text(const struct cm_partition *partition, char text[FLAG_TEXT])
{
    size_t used = 0;

    text[0] = '\0';
    for (size_t i = 0; i < COUNT_OF(flags); i++)
        if ((partition->flags & flags[i].flag) != 0 && used < FLAG_TEXT)
            used += (size_t)snprintf(text + used, FLAG_TEXT - used, "%s%s", used == 0 ? "" : ", ",
                                     flags[i].text);
    return text;
}

static int print_table(const struct cm_partition_table *table)
{
    static const char *const headings[] = {">NO",         ">OFFSET", ">SIZE", "TYPE",
                                           "FILE SYSTEM", "NAME",    "",      NULL};
    struct out_table *out = out_table_new(headings);

    for (uint32_t i = 0; i < table->count; i++) {
        const struct cm_partition *partition = &table->partitions[i];
        char size[OUT_SIZE_TEXT];
        char text[FLAG_TEXT];

        out_table_number(out, partition->number);
        out_table_number(out, partition->offset);
        out_table_cell(out, out_size(partition->size, size));
        out_table_cell(out, partition->type);
        out_table_cell(out, partition->file_system);
        out_table_cell(out, partition->name);
        out_table_cell(out, flag_text(partition, text));
    }
    return out_table_end(out);
}

int partition_print_text(const struct cm_partition_table *table)
{
    if (table->kind == CM_TABLE_NONE) {
        printf("partitions:   none%s%s\n", table->file_system[0] != '\0' ? "; looks like " : "",
               table->file_system);
        return 0;
    }
    printf("partitions:   %u (%s, counts in sectors of %u bytes)\n", (unsigned)table->count,
           kinds[table->kind], (unsigned)table->sector_size);
    for (size_t i = 0; i < COUNT_OF(warnings); i++)
        if ((table->flags & warnings[i].flag) != 0)
            printf("warning:      %s\n", warnings[i].sentence);
    if (table->count == 0)
        return 0;
    printf("\n");
    return print_table(table);
}
