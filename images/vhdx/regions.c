/* SPDX-License-Identifier: MIT */
/*
 * regions.c - the two region tables of a VHDX file, which say where the BAT and the metadata are. Called when an image
 * is opened, created, or its BAT moves; never hot. One thread at a time for one file.
 */
#include "images/vhdx/parts.h"

#include <stdlib.h>
#include <string.h>

#include <coremnt/error.h>

#include "lib/core/bytes.h"
#include "lib/core/crc32c.h"
#include "lib/core/error_internal.h"

#define CHECKSUM_AT 4u
#define COUNT_AT 8u
#define ENTRIES_AT 16u
#define ENTRY_SIZE 32u
#define ENTRY_OFFSET_AT 16u
#define ENTRY_LENGTH_AT 24u
#define ENTRY_FLAGS_AT 28u

/* 2DC27766-F623-4200-9D64-115E9BFD4A08 */
static const struct vhdx_guid bat_guid = {{0x66, 0x77, 0xC2, 0x2D, 0x23, 0xF6, 0x00, 0x42, 0x9D,
                                           0x64, 0x11, 0x5E, 0x9B, 0xFD, 0x4A, 0x08}};
/* 8B7CA206-4790-4B9A-B8FE-575F050F886E */
static const struct vhdx_guid metadata_guid = {{0x06, 0xA2, 0x7C, 0x8B, 0x90, 0x47, 0x9A, 0x4B,
                                                0xB8, 0xFE, 0x57, 0x5F, 0x05, 0x0F, 0x88, 0x6E}};

/* The checksum is over all of the table, with zeros where itself is. */
static uint32_t checksum(unsigned char *table)
{
    uint32_t there = cm_get_le32(table + CHECKSUM_AT), crc;

    cm_put_le32(table + CHECKSUM_AT, 0);
    crc = cm_crc32c(0, table, VHDX_REGIONS_SIZE);
    cm_put_le32(table + CHECKSUM_AT, there);
    return crc;
}

int vhdx_regions_read_table(struct cm_store *store, unsigned slot, unsigned char *table,
                            int *is_whole)
{
    int error = cm_store_read(store, table, VHDX_REGIONS_SIZE, VHDX_REGIONS_AT(slot));

    if (error != 0)
        return cm_fail(error, "cannot read the region table of %s: %s.", cm_store_path(store),
                       cm_error_name(error));
    *is_whole = memcmp(table, VHDX_REGIONS_SIGNATURE, 4) == 0 &&
                cm_get_le32(table + CHECKSUM_AT) == checksum(table) &&
                cm_get_le32(table + COUNT_AT) <= VHDX_REGIONS_MAX;
    return 0;
}

/* -- what a table says ------------------------------------------------------------------------- */

static int overlap(const struct vhdx_region *a, const struct vhdx_region *b)
{
    return a->at < b->at ? b->at - a->at < a->size : a->at - b->at < b->size;
}

static int check_place(struct cm_store *store, const struct vhdx_region *region)
{
    uint64_t file_size = cm_store_size(store);

    if (region->at < VHDX_MIB || region->at % VHDX_MIB != 0 || region->size == 0 ||
        region->size % VHDX_MIB != 0)
        return cm_fail(CM_EDAMAGED,
                       "%s is damaged: a region of %lu bytes at %llu is not whole MiB behind the "
                       "first. Restore it from a copy.",
                       cm_store_path(store), (unsigned long)region->size,
                       (unsigned long long)region->at);
    if (region->size > file_size || region->at > file_size - region->size)
        return cm_fail(CM_EDAMAGED,
                       "%s is cut off: it has %llu bytes, and the region at %llu would have %lu. "
                       "Copy it again from where it came.",
                       cm_store_path(store), (unsigned long long)file_size,
                       (unsigned long long)region->at, (unsigned long)region->size);
    return 0;
}

static int take_entry(struct cm_store *store, const unsigned char *entry,
                      struct vhdx_regions *regions)
{
    struct vhdx_region region = {cm_get_le64(entry + ENTRY_OFFSET_AT),
                                 cm_get_le32(entry + ENTRY_LENGTH_AT)};
    struct vhdx_region *to = NULL;
    struct vhdx_guid guid;
    char text[VHDX_GUID_TEXT];

    memcpy(guid.bytes, entry, sizeof(guid.bytes));
    if (vhdx_guid_equal(&guid, &bat_guid))
        to = &regions->bat;
    else if (vhdx_guid_equal(&guid, &metadata_guid))
        to = &regions->metadata;
    else if (regions->unknown_count < VHDX_REGIONS_UNKNOWN_MAX)
        to = &regions->unknown[regions->unknown_count];

    if (to == NULL || (to == &regions->unknown[regions->unknown_count] &&
                       (cm_get_le32(entry + ENTRY_FLAGS_AT) & VHDX_REGION_REQUIRED) != 0)) {
        vhdx_guid_print(&guid, text);
        return cm_fail(CM_ENOTSUP,
                       "%s has a region %s that this program does not know and must. A newer one "
                       "may open it.",
                       cm_store_path(store), text);
    }
    if (to->size != 0)
        return cm_fail(CM_EDAMAGED,
                       "%s is damaged: its region table names a region twice. Restore it from a "
                       "copy.",
                       cm_store_path(store));
    *to = region;
    if (to == &regions->unknown[regions->unknown_count])
        regions->unknown_count++;
    return check_place(store, to);
}

/* Each against each; the log is one of them here. */
static int check_overlaps(struct cm_store *store, const struct vhdx_header *header,
                          const struct vhdx_regions *regions)
{
    struct vhdx_region all[3 + VHDX_REGIONS_UNKNOWN_MAX] = {
        {header->log_at, header->log_size}, regions->bat, regions->metadata};
    unsigned count = 3 + regions->unknown_count;

    memcpy(&all[3], regions->unknown, regions->unknown_count * sizeof(all[0]));
    for (unsigned i = 0; i < count; i++)
        for (unsigned j = 0; j < i; j++)
            if (overlap(&all[i], &all[j]))
                return cm_fail(CM_EDAMAGED,
                               "%s is damaged: the regions at %llu and %llu overlap. Restore it "
                               "from a copy.",
                               cm_store_path(store), (unsigned long long)all[j].at,
                               (unsigned long long)all[i].at);
    return 0;
}

static int take_table(struct cm_store *store, const unsigned char *table,
                      const struct vhdx_header *header, struct vhdx_regions *regions)
{
    uint32_t count = cm_get_le32(table + COUNT_AT);
    int error = 0;

    for (uint32_t i = 0; i < count && error == 0; i++)
        error = take_entry(store, table + ENTRIES_AT + i * ENTRY_SIZE, regions);
    if (error != 0)
        return error;
    if (regions->bat.size == 0 || regions->metadata.size == 0)
        return cm_fail(CM_EDAMAGED,
                       "%s is damaged: its region table does not name the %s. Restore it from a "
                       "copy.",
                       cm_store_path(store),
                       regions->bat.size == 0 ? "block allocation table" : "metadata");
    return check_overlaps(store, header, regions);
}

int vhdx_regions_read(struct cm_store *store, const struct vhdx_header *header,
                      struct vhdx_regions *regions)
{
    unsigned char *tables = malloc(2 * (size_t)VHDX_REGIONS_SIZE);
    unsigned char *second = tables != NULL ? tables + VHDX_REGIONS_SIZE : NULL;
    int is_whole[2] = {0, 0}, error;

    memset(regions, 0, sizeof(*regions));
    if (tables == NULL)
        return cm_fail(CM_ENOMEM, "no memory to open %s.", cm_store_path(store));
    error = vhdx_regions_read_table(store, 0, tables, &is_whole[0]);
    if (error == 0)
        error = vhdx_regions_read_table(store, 1, second, &is_whole[1]);
    if (error == 0 && !is_whole[0] && !is_whole[1])
        error = cm_fail(CM_EDAMAGED,
                        "%s is damaged: neither of its two region tables is whole, so nothing says "
                        "where its blocks are. Restore it from a copy.",
                        cm_store_path(store));
    if (error == 0) {
        regions->one_is_damaged =
            !is_whole[0] || !is_whole[1] || memcmp(tables, second, VHDX_REGIONS_SIZE) != 0;
        error = take_table(store, is_whole[0] ? tables : second, header, regions);
    }
    free(tables);
    return error;
}

/* -- writing ----------------------------------------------------------------------------------- */

static void put_entry(unsigned char *table, unsigned index, const struct vhdx_guid *guid,
                      const struct vhdx_region *region, uint32_t flags)
{
    unsigned char *entry = table + ENTRIES_AT + index * ENTRY_SIZE;

    memcpy(entry, guid->bytes, sizeof(guid->bytes));
    cm_put_le64(entry + ENTRY_OFFSET_AT, region->at);
    cm_put_le32(entry + ENTRY_LENGTH_AT, region->size);
    cm_put_le32(entry + ENTRY_FLAGS_AT, flags);
    cm_put_le32(table + COUNT_AT, index + 1);
}

int vhdx_regions_make(struct cm_store *store, const struct vhdx_regions *regions,
                      unsigned char *table)
{
    if (regions->unknown_count != 0)
        return cm_fail(CM_ENOTSUP,
                       "%s has regions that this program does not know; its region table is not "
                       "written again. Convert the image to a new one.",
                       cm_store_path(store));
    memset(table, 0, VHDX_REGIONS_SIZE);
    memcpy(table, VHDX_REGIONS_SIGNATURE, 4);
    put_entry(table, 0, &bat_guid, &regions->bat, VHDX_REGION_REQUIRED);
    put_entry(table, 1, &metadata_guid, &regions->metadata, VHDX_REGION_REQUIRED);
    cm_put_le32(table + CHECKSUM_AT, checksum(table));
    return 0;
}

int vhdx_regions_write(struct cm_store *store, const struct vhdx_regions *regions)
{
    unsigned char *table = malloc(VHDX_REGIONS_SIZE);
    int error;

    if (table == NULL)
        return cm_fail(CM_ENOMEM, "no memory for %s.", cm_store_path(store));
    error = vhdx_regions_make(store, regions, table);
    if (error != 0) {
        free(table);
        return error;
    }
    error = cm_store_write(store, table, VHDX_REGIONS_SIZE, VHDX_REGIONS_AT(0));
    if (error == 0)
        error = cm_store_flush(store); /* a power cut finds one of the two whole */
    if (error == 0)
        error = cm_store_write(store, table, VHDX_REGIONS_SIZE, VHDX_REGIONS_AT(1));
    if (error != 0)
        cm_fail(error, "cannot write the region table of %s: %s.", cm_store_path(store),
                cm_error_name(error));
    free(table);
    return error;
}
