/* SPDX-License-Identifier: MIT */
/*
 * mbr.c - the partition table of the first sector, and the chain of logical drives in an extended
 * partition. Called by partition.c, on any thread.
 *
 * Each logical drive has a sector of its own in front, with a table of the same form: the drive, from
 * this sector on, and a link to the next such sector, from the beginning of the extended partition on.
 */
#include <stdio.h>

#include "lib/core/partition_internal.h"

#define ENTRIES 4u
#define ENTRY_AT 446u
#define ENTRY_SIZE 16u
#define FIRST_LOGICAL 5u
#define MAX_LINKS CM_MAX_PARTITIONS

struct entry {
    unsigned char boot; /* 0x80: active; else 0 */
    unsigned char type; /* 0: unused */
    uint32_t first;     /* sectors */
    uint32_t count;     /* sectors */
};

static struct entry entry_of(const unsigned char *sector, unsigned index)
{
    const unsigned char *bytes = sector + ENTRY_AT + (size_t)index * ENTRY_SIZE;

    return (struct entry){bytes[0], bytes[4], cm_table_get32(bytes + 8),
                          cm_table_get32(bytes + 12)};
}

static int is_extended(const struct entry *entry)
{
    return entry->type == 0x05 || entry->type == 0x0F || entry->type == 0x85;
}

static int is_signed(const unsigned char *sector)
{
    return sector[510] == 0x55 && sector[511] == 0xAA;
}

/* -- is it one? -------------------------------------------------------------------------------- */

int cm_mbr_is_hybrid(const unsigned char *mbr)
{
    for (unsigned i = 0; i < ENTRIES; i++) {
        unsigned char type = entry_of(mbr, i).type;

        if (type != 0 && type != CM_MBR_PROTECTIVE)
            return 1;
    }
    return 0;
}

static int is_inside(const struct cm_table_reader *reader, const struct entry *entry)
{
    uint64_t sectors = reader->size / reader->sector_size;

    return entry->first != 0 && entry->count != 0 && entry->count <= sectors &&
           entry->first <= sectors - entry->count;
}

/* A boot sector that holds a file system is taken for a table only if there is nothing wrong with the
 * table, and something in it: boot code that happens to be zeros is none. */
int cm_mbr_kind(const struct cm_table_reader *reader, const unsigned char *mbr,
                const char *file_system)
{
    unsigned used = 0;
    unsigned inside = 0;
    int kind = CM_TABLE_MBR;

    if (!is_signed(mbr))
        return CM_TABLE_NONE;
    for (unsigned i = 0; i < ENTRIES; i++) {
        struct entry entry = entry_of(mbr, i);

        if ((entry.boot & 0x7F) != 0)
            return CM_TABLE_NONE;
        if (entry.type == 0)
            continue;
        used++;
        inside += (unsigned)is_inside(reader, &entry);
        if (entry.type == CM_MBR_PROTECTIVE)
            kind = CM_TABLE_GPT;
    }
    if (*file_system != '\0' && (used == 0 || inside < used))
        return CM_TABLE_NONE;
    return kind;
}

/* -- listing ----------------------------------------------------------------------------------- */

static void list_entry(struct cm_table_reader *reader, const struct entry *entry, uint32_t number,
                       uint64_t base, uint32_t flags)
{
    static const char digits[] = "0123456789ABCDEF";
    struct cm_partition *partition =
        cm_table_add(reader, number, base + entry->first, entry->count);

    if (partition == NULL)
        return;
    partition->flags |= flags;
    if ((entry->boot & 0x80) != 0)
        partition->flags |= CM_PARTITION_BOOTABLE;
    if (is_extended(entry))
        partition->flags |= CM_PARTITION_CONTAINER;
    snprintf(partition->type_id, sizeof(partition->type_id), "0x%c%c", digits[entry->type >> 4],
             digits[entry->type & 15]);
    snprintf(partition->type, sizeof(partition->type), "%s", cm_mbr_type_name(entry->type));
}

/* One link of the chain: its drives, and where the next one is; 0: there is none. */
static uint64_t list_link(struct cm_table_reader *reader, const unsigned char *sector,
                          uint64_t container, uint64_t link, uint32_t *number)
{
    uint64_t next = 0;

    for (unsigned i = 0; i < ENTRIES; i++) {
        struct entry entry = entry_of(sector, i);

        if (entry.type == 0 || entry.count == 0)
            continue;
        if (!is_extended(&entry))
            list_entry(reader, &entry, (*number)++, link, CM_PARTITION_LOGICAL);
        else if (next == 0)
            next = container + entry.first;
    }
    return next;
}

static int was_before(const uint64_t *links, unsigned count, uint64_t link)
{
    for (unsigned i = 0; i < count; i++)
        if (links[i] == link)
            return 1;
    return 0;
}

/* Links may go back and forth, but none is followed twice, so this ends. The sums have 33 bits. */
static void list_chain(struct cm_table_reader *reader, uint64_t container, uint32_t *number)
{
    struct cm_partition_table *table = reader->table;
    unsigned char sector[CM_MBR_SIZE];
    uint64_t links[MAX_LINKS];
    uint64_t link = container;
    unsigned count = 0;

    while (link != 0) {
        if (count == MAX_LINKS || was_before(links, count, link) ||
            cm_table_read_bytes(reader, sector, sizeof(sector), link * table->sector_size) != 0 ||
            !is_signed(sector)) {
            table->flags |= CM_TABLE_BAD_CHAIN;
            return;
        }
        links[count++] = link;
        link = list_link(reader, sector, container, link, number);
    }
}

void cm_mbr_list(struct cm_table_reader *reader, const unsigned char *mbr)
{
    uint32_t number = FIRST_LOGICAL;

    reader->table->sector_size = reader->sector_size;
    for (unsigned i = 0; i < ENTRIES; i++) {
        struct entry entry = entry_of(mbr, i);

        if (entry.type != 0)
            list_entry(reader, &entry, i + 1, 0, 0);
    }
    for (unsigned i = 0; i < ENTRIES; i++) {
        struct entry entry = entry_of(mbr, i);

        if (is_extended(&entry) && entry.first != 0 && entry.count != 0)
            list_chain(reader, entry.first, &number);
    }
}
