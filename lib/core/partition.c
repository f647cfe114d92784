/* SPDX-License-Identifier: MIT */
/*
 * partition.c - reads the partition table of an image, and opens one of its partitions.
 *
 * Called by programs, on any thread, never on the hot path. mbr.c and gpt.c know the tables; here is what
 * they have in common: reading, adding a partition, and what a partition is to the others and to the
 * image.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/core/error_internal.h"
#include "lib/core/partition_internal.h"

#include <coremnt/disk.h>

/* -- for the readers of tables ----------------------------------------------------------------- */

uint32_t cm_table_get16(const unsigned char *bytes)
{
    return (uint32_t)bytes[0] | (uint32_t)bytes[1] << 8;
}

uint32_t cm_table_get32(const unsigned char *bytes)
{
    return cm_table_get16(bytes) | cm_table_get16(bytes + 2) << 16;
}

uint64_t cm_table_get64(const unsigned char *bytes)
{
    return cm_table_get32(bytes) | (uint64_t)cm_table_get32(bytes + 4) << 32;
}

/* Reads the whole sectors around it. */
int cm_table_read_bytes(const struct cm_table_reader *reader, void *to, uint32_t length,
                        uint64_t offset)
{
    unsigned char sectors[2 * CM_TABLE_READ_MAX];
    uint32_t before = (uint32_t)(offset % reader->sector_size);
    uint32_t rest = (before + length) % reader->sector_size;
    uint32_t all = before + length + (rest != 0 ? reader->sector_size - rest : 0);
    int error;

    if (length > CM_TABLE_READ_MAX || all > sizeof(sectors))
        return CM_EINVAL;
    error = cm_image_read(reader->image, sectors, all, offset - before);
    if (error == 0)
        memcpy(to, sectors + before, length);
    return error;
}

struct cm_partition *cm_table_add(struct cm_table_reader *reader, uint32_t number, uint64_t first,
                                  uint64_t count)
{
    struct cm_partition_table *table = reader->table;
    uint64_t most = UINT64_MAX / table->sector_size;
    struct cm_partition *partition;

    if (count == 0 || count > most || first > most - count) {
        table->flags |= CM_TABLE_BAD_ENTRIES;
        return NULL;
    }
    if (table->count == CM_MAX_PARTITIONS) {
        table->flags |= CM_TABLE_INCOMPLETE;
        return NULL;
    }
    partition = &table->partitions[table->count++];
    partition->number = number;
    partition->offset = first * table->sector_size;
    partition->size = count * table->sector_size;
    if (partition->size > reader->size || partition->offset > reader->size - partition->size)
        partition->flags |= CM_PARTITION_BEYOND_END;
    return partition;
}

/* -- reading a table --------------------------------------------------------------------------- */

static int share_bytes(const struct cm_partition *a, const struct cm_partition *b)
{
    return ((a->flags | b->flags) & CM_PARTITION_CONTAINER) == 0 &&
           a->offset < b->offset + b->size && b->offset < a->offset + a->size;
}

/* What a partition's own entry does not say. */
static void complete(const struct cm_table_reader *reader)
{
    struct cm_partition_table *table = reader->table;

    for (uint32_t i = 0; i < table->count; i++) {
        struct cm_partition *partition = &table->partitions[i];

        for (uint32_t j = 0; j < i; j++) {
            if (share_bytes(partition, &table->partitions[j])) {
                partition->flags |= CM_PARTITION_OVERLAPS;
                table->partitions[j].flags |= CM_PARTITION_OVERLAPS;
            }
        }
        if ((partition->flags & CM_PARTITION_CONTAINER) == 0 && partition->offset < reader->size)
            snprintf(partition->file_system, sizeof(partition->file_system), "%s",
                     cm_file_system_at(reader, partition->offset));
    }
}

static void read_table(struct cm_table_reader *reader, const unsigned char *first_sector)
{
    struct cm_partition_table *table = reader->table;
    const char *file_system = cm_file_system_at(reader, 0);

    table->kind = (uint32_t)cm_mbr_kind(reader, first_sector, file_system);
    if (table->kind == CM_TABLE_NONE)
        snprintf(table->file_system, sizeof(table->file_system), "%s", file_system);
    else if (table->kind == CM_TABLE_MBR)
        cm_mbr_list(reader, first_sector);
    else
        cm_gpt_list(reader);
    if (table->kind == CM_TABLE_GPT && cm_mbr_is_hybrid(first_sector))
        table->flags |= CM_TABLE_HYBRID;
    complete(reader);
}

int cm_partition_table_read(struct cm_image *image, struct cm_partition_table **table)
{
    struct cm_table_reader reader = {.image = image};
    unsigned char first_sector[CM_MBR_SIZE];
    struct cm_image_info info;
    int error = cm_image_get_info(image, &info);

    *table = NULL;
    reader.size = info.size;
    reader.sector_size = info.sector_size;
    if (error == 0)
        error = cm_table_read_bytes(&reader, first_sector, sizeof(first_sector), 0);
    if (error != 0)
        return cm_fail(error, "the partition table cannot be read: %s.", cm_error_name(error));
    reader.table =
        calloc(1, sizeof(*reader.table) + CM_MAX_PARTITIONS * sizeof(reader.table->partitions[0]));
    if (reader.table == NULL)
        return cm_fail(CM_ENOMEM, "no memory for a partition table.");
    reader.table->partitions = (struct cm_partition *)(void *)(reader.table + 1);
    read_table(&reader, first_sector);
    *table = reader.table;
    return 0;
}

/* -- opening one ------------------------------------------------------------------------------- */

/* "1 (EFI system), 2 (Linux)": those that can be opened, as many as fit. */
static void list_usable(const struct cm_partition_table *table, char *text, size_t size)
{
    size_t used = 0;

    snprintf(text, size, "none");
    for (uint32_t i = 0; i < table->count; i++) {
        const struct cm_partition *partition = &table->partitions[i];
        char one[80];

        if ((partition->flags & (CM_PARTITION_CONTAINER | CM_PARTITION_BEYOND_END)) != 0)
            continue;
        snprintf(one, sizeof(one), "%s%u (%s)", used == 0 ? "" : ", ", (unsigned)partition->number,
                 partition->type);
        if (used + strlen(one) + sizeof(", ...") > size) {
            snprintf(text + used, size - used, ", ...");
            return;
        }
        used += (size_t)snprintf(text + used, size - used, "%s", one);
    }
}

static int no_table(const struct cm_partition_table *table, uint32_t number)
{
    return cm_fail(CM_EFORMAT,
                   "the image has no partition table, so there is no partition %u. It %s%s; use it "
                   "whole.",
                   (unsigned)number,
                   table->file_system[0] != '\0' ? "looks like a file system: "
                                                 : "may hold a file system",
                   table->file_system);
}

static int damaged_table(uint32_t number)
{
    return cm_fail(
        CM_EFORMAT,
        "both copies of the partition table (GPT) are damaged, so partition %u cannot be "
        "found. Mend the table with a partitioning program.",
        (unsigned)number);
}

/* The partition of that number, if it can be used. */
static int find_partition(const struct cm_partition_table *table, uint32_t number,
                          const struct cm_partition **partition)
{
    const uint32_t both = CM_TABLE_PRIMARY_DAMAGED | CM_TABLE_BACKUP_DAMAGED;
    char usable[512];

    if (table->kind == CM_TABLE_NONE)
        return no_table(table, number);
    if ((table->flags & both) == both)
        return damaged_table(number);
    *partition = NULL;
    for (uint32_t i = 0; i < table->count && *partition == NULL; i++)
        if (table->partitions[i].number == number)
            *partition = &table->partitions[i];
    list_usable(table, usable, sizeof(usable));
    if (*partition == NULL)
        return cm_fail(CM_ENOENT, "the image has no partition %u. There are: %s.", (unsigned)number,
                       usable);
    if (((*partition)->flags & CM_PARTITION_CONTAINER) != 0)
        return cm_fail(CM_EINVAL,
                       "partition %u is an extended one: it only holds others. There are: %s.",
                       (unsigned)number, usable);
    if (((*partition)->flags & CM_PARTITION_BEYOND_END) != 0)
        return cm_fail(CM_EFORMAT,
                       "partition %u is not all in the image: the image is cut or the table is "
                       "damaged. There are: %s.",
                       (unsigned)number, usable);
    return 0;
}

int cm_partition_open(struct cm_image *image, uint32_t number, struct cm_image **partition)
{
    const struct cm_partition *found = NULL;
    struct cm_partition_table *table;
    int error = cm_partition_table_read(image, &table);

    *partition = NULL;
    if (error != 0)
        return error;
    error = find_partition(table, number, &found);
    if (error == 0) {
        struct cm_image_info info;
        uint32_t sector_size = 0;

        error = cm_image_get_info(image, &info);
        if (error == 0 && table->sector_size > info.sector_size)
            sector_size = table->sector_size;
        if (error == 0)
            error = cm_image_window(image, found->offset, found->size, sector_size, partition);
    }
    cm_free(table);
    return error;
}
