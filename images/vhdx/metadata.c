/* SPDX-License-Identifier: MIT */
/*
 * metadata.c - the metadata of a VHDX file: the size of the disk, of its blocks and sectors, and where the parent
 * locator is. Called when an image is opened, created, or gets another parent; never hot. One thread at a time for one
 * file.
 *
 * The region is a table of 64 KiB that says where in the region each item is, and the items behind it.
 */
#include "images/vhdx/parts.h"

#include <stdlib.h>
#include <string.h>

#include <coremnt/error.h>

#include "lib/core/bytes.h"
#include "lib/core/error_internal.h"

#define COUNT_AT 10u
#define ENTRIES_AT 32u
#define ENTRY_SIZE 32u
#define ENTRY_OFFSET_AT 16u
#define ENTRY_LENGTH_AT 20u
#define ENTRY_FLAGS_AT 24u

#define ITEM_ALIGNMENT 64u /* bytes: so that an item of ours never crosses a sector */

enum item {
    FILE_PARAMETERS,
    DISK_SIZE,
    DISK_ID,
    SECTOR_SIZE,
    PHYSICAL_SECTOR_SIZE,
    PARENT_LOCATOR,
    ITEMS,
};

/* What there is to know of the items that we know. `size` 0: any. */
static const struct {
    const char *name;
    struct vhdx_guid guid;
    uint32_t size;
    uint32_t flags; /* when we write it */
} items[ITEMS] = {
    /* CAA16737-FA36-4D43-B3B6-33F0AA44E76B */
    [FILE_PARAMETERS] = {"file parameters",
                         {{0x37, 0x67, 0xA1, 0xCA, 0x36, 0xFA, 0x43, 0x4D, 0xB3, 0xB6, 0x33, 0xF0,
                           0xAA, 0x44, 0xE7, 0x6B}},
                         8,
                         VHDX_ITEM_REQUIRED},
    /* 2FA54224-CD1B-4876-B211-5DBED83BF4B8 */
    [DISK_SIZE] = {"size of the disk",
                   {{0x24, 0x42, 0xA5, 0x2F, 0x1B, 0xCD, 0x76, 0x48, 0xB2, 0x11, 0x5D, 0xBE, 0xD8,
                     0x3B, 0xF4, 0xB8}},
                   8,
                   VHDX_ITEM_REQUIRED | VHDX_ITEM_DISK},
    /* BECA12AB-B2E6-4523-93EF-C309E000C746 */
    [DISK_ID] = {"identity of the disk",
                 {{0xAB, 0x12, 0xCA, 0xBE, 0xE6, 0xB2, 0x23, 0x45, 0x93, 0xEF, 0xC3, 0x09, 0xE0,
                   0x00, 0xC7, 0x46}},
                 16,
                 VHDX_ITEM_REQUIRED | VHDX_ITEM_DISK},
    /* 8141BF1D-A96F-4709-BA47-F233A8FAAB5F */
    [SECTOR_SIZE] = {"sector size",
                     {{0x1D, 0xBF, 0x41, 0x81, 0x6F, 0xA9, 0x09, 0x47, 0xBA, 0x47, 0xF2, 0x33, 0xA8,
                       0xFA, 0xAB, 0x5F}},
                     4,
                     VHDX_ITEM_REQUIRED | VHDX_ITEM_DISK},
    /* CDA348C7-445D-4471-9CC9-E9885251C556 */
    [PHYSICAL_SECTOR_SIZE] = {"physical sector size",
                              {{0xC7, 0x48, 0xA3, 0xCD, 0x5D, 0x44, 0x71, 0x44, 0x9C, 0xC9, 0xE9,
                                0x88, 0x52, 0x51, 0xC5, 0x56}},
                              4,
                              VHDX_ITEM_REQUIRED | VHDX_ITEM_DISK},
    /* A8D35F2D-B30B-454D-ABF7-D3D84834AB0C */
    [PARENT_LOCATOR] = {"parent locator",
                        {{0x2D, 0x5F, 0xD3, 0xA8, 0x0B, 0xB3, 0x4D, 0x45, 0xAB, 0xF7, 0xD3, 0xD8,
                          0x48, 0x34, 0xAB, 0x0C}},
                        0,
                        VHDX_ITEM_REQUIRED},
};

/* -- the table --------------------------------------------------------------------------------- */

/* Offsets are of the region. Those with an entry lie in it behind the table. */
struct place {
    uint32_t at, size; /* size 0: no such item, or nothing in it */
    uint32_t entry;    /* 0: none; else the offset of its entry in the table */
};

static int damaged(struct cm_store *store, const char *what)
{
    return cm_fail(CM_EDAMAGED, "%s is damaged: %s. Restore it from a copy.", cm_store_path(store),
                   what);
}

static int read_table(struct cm_store *store, const struct vhdx_region *region,
                      unsigned char **table)
{
    int error;

    *table = malloc(VHDX_METADATA_TABLE_SIZE);
    if (*table == NULL)
        return cm_fail(CM_ENOMEM, "no memory to open %s.", cm_store_path(store));
    error = cm_store_read(store, *table, VHDX_METADATA_TABLE_SIZE, region->at);
    if (error != 0)
        return cm_fail(error, "cannot read the metadata of %s: %s.", cm_store_path(store),
                       cm_error_name(error));
    if (memcmp(*table, VHDX_METADATA_SIGNATURE, 8) != 0)
        return damaged(store, "where its metadata should be is something else");
    if (cm_get_le16(*table + COUNT_AT) > VHDX_METADATA_MAX)
        return damaged(store, "its metadata has too many items");
    return 0;
}

static enum item which(const struct vhdx_guid *guid)
{
    unsigned item = 0;

    while (item < ITEMS && !vhdx_guid_equal(guid, &items[item].guid))
        item++;
    return (enum item)item;
}

static int take_entry(struct cm_store *store, const struct vhdx_region *region,
                      const unsigned char *entry, uint32_t entry_at, struct place *places)
{
    struct place place = {cm_get_le32(entry + ENTRY_OFFSET_AT),
                          cm_get_le32(entry + ENTRY_LENGTH_AT), entry_at};
    uint32_t flags = cm_get_le32(entry + ENTRY_FLAGS_AT);
    struct vhdx_guid guid;
    char text[VHDX_GUID_TEXT];
    enum item item;

    memcpy(guid.bytes, entry, sizeof(guid.bytes));
    item = which(&guid);
    if (item == ITEMS || (flags & VHDX_ITEM_USER) != 0) {
        if ((flags & VHDX_ITEM_REQUIRED) == 0)
            return 0;
        vhdx_guid_print(&guid, text);
        return cm_fail(CM_ENOTSUP,
                       "%s has metadata %s that this program does not know and must. A newer one "
                       "may open it.",
                       cm_store_path(store), text);
    }
    if (places[item].entry != 0)
        return damaged(store, "its metadata has an item twice");
    if (place.size != 0 && (place.size > VHDX_MIB || place.at < VHDX_METADATA_TABLE_SIZE ||
                            place.size > region->size || place.at > region->size - place.size))
        return damaged(store, "an item of its metadata is not where metadata is");
    if (items[item].size != 0 && place.size != items[item].size)
        return damaged(store, "an item of its metadata has a wrong size");
    places[item] = place;
    return 0;
}

static int find_items(struct cm_store *store, const struct vhdx_region *region,
                      const unsigned char *table, struct place places[ITEMS])
{
    uint32_t count = cm_get_le16(table + COUNT_AT);
    int error = 0;

    memset(places, 0, ITEMS * sizeof(places[0]));
    for (uint32_t i = 0; i < count && error == 0; i++) {
        uint32_t at = ENTRIES_AT + i * ENTRY_SIZE;

        error = take_entry(store, region, table + at, at, places);
    }
    return error;
}

/* -- reading ----------------------------------------------------------------------------------- */

static int read_items(struct cm_store *store, const struct vhdx_region *region,
                      const struct place places[ITEMS], unsigned char values[ITEMS][16])
{
    for (unsigned item = 0; item < PARENT_LOCATOR; item++) {
        int error;

        if (places[item].entry == 0)
            return cm_fail(CM_EDAMAGED,
                           "%s is damaged: its metadata lacks the %s. Restore it from a copy.",
                           cm_store_path(store), items[item].name);
        error = cm_store_read(store, values[item], items[item].size, region->at + places[item].at);
        if (error != 0)
            return cm_fail(error, "cannot read the metadata of %s: %s.", cm_store_path(store),
                           cm_error_name(error));
    }
    return 0;
}

static int check_values(struct cm_store *store, const struct vhdx_metadata *m)
{
    if (m->block_size < VHDX_BLOCK_MIN || m->block_size > VHDX_BLOCK_MAX ||
        (m->block_size & (m->block_size - 1)) != 0)
        return damaged(store, "its block size is no power of two from 1 to 256 MiB");
    if ((m->sector_size != 512 && m->sector_size != 4096) ||
        (m->physical_sector_size != 512 && m->physical_sector_size != 4096))
        return damaged(store, "its sector size is neither 512 nor 4096 bytes");
    if (m->disk_size == 0 || m->disk_size > VHDX_DISK_MAX || m->disk_size % m->sector_size != 0)
        return damaged(store, "the size of its disk is not whole sectors up to 64 TiB");
    if (m->has_parent && m->locator_size == 0)
        return damaged(store, "it has a parent, and nothing says which");
    return 0;
}

int vhdx_metadata_read(struct cm_store *store, const struct vhdx_region *region,
                       struct vhdx_metadata *metadata)
{
    unsigned char *table = NULL, values[ITEMS][16];
    struct place places[ITEMS];
    uint32_t parameters;
    int error = read_table(store, region, &table);

    memset(metadata, 0, sizeof(*metadata));
    if (error == 0)
        error = find_items(store, region, table, places);
    free(table);
    if (error == 0)
        error = read_items(store, region, places, values);
    if (error != 0)
        return error;
    parameters = cm_get_le32(values[FILE_PARAMETERS] + 4);
    metadata->block_size = cm_get_le32(values[FILE_PARAMETERS]);
    metadata->is_fixed =
        (parameters & (VHDX_LEAVE_ALLOCATED | VHDX_HAS_PARENT)) == VHDX_LEAVE_ALLOCATED;
    metadata->has_parent = (parameters & VHDX_HAS_PARENT) != 0;
    metadata->disk_size = cm_get_le64(values[DISK_SIZE]);
    metadata->disk_size_at = region->at + places[DISK_SIZE].at;
    metadata->sector_size = cm_get_le32(values[SECTOR_SIZE]);
    metadata->physical_sector_size = cm_get_le32(values[PHYSICAL_SECTOR_SIZE]);
    memcpy(metadata->disk_id.bytes, values[DISK_ID], 16);
    if (metadata->has_parent && places[PARENT_LOCATOR].size != 0) {
        metadata->locator_at = region->at + places[PARENT_LOCATOR].at;
        metadata->locator_size = places[PARENT_LOCATOR].size;
    }
    return check_values(store, metadata);
}

uint64_t vhdx_bat_entries(const struct vhdx_metadata *metadata)
{
    uint64_t blocks = (metadata->disk_size + metadata->block_size - 1) / metadata->block_size;
    uint64_t chunk = VHDX_CHUNK_SECTORS * metadata->sector_size / metadata->block_size;

    /* A bitmap block's entry follows those of each chunk, of the last one only when there is a parent. */
    if (metadata->has_parent)
        return (blocks + chunk - 1) / chunk * (chunk + 1);
    return blocks + (blocks - 1) / chunk;
}

/* -- writing ----------------------------------------------------------------------------------- */

static int failed_to_write(struct cm_store *store, int error)
{
    return cm_fail(error, "cannot write the metadata of %s: %s.", cm_store_path(store),
                   cm_error_name(error));
}

static void put_entry(unsigned char *table, enum item item, uint32_t at, uint32_t size)
{
    uint16_t count = cm_get_le16(table + COUNT_AT);
    unsigned char *entry = table + ENTRIES_AT + count * ENTRY_SIZE;

    memcpy(entry, items[item].guid.bytes, 16);
    cm_put_le32(entry + ENTRY_OFFSET_AT, at);
    cm_put_le32(entry + ENTRY_LENGTH_AT, size);
    cm_put_le32(entry + ENTRY_FLAGS_AT, items[item].flags);
    cm_put_le16(table + COUNT_AT, count + 1);
}

static void put_parameters(unsigned char *bytes, const struct vhdx_metadata *metadata)
{
    cm_put_le32(bytes, metadata->block_size);
    cm_put_le32(bytes + 4, (metadata->is_fixed ? VHDX_LEAVE_ALLOCATED : 0) |
                               (metadata->has_parent ? VHDX_HAS_PARENT : 0));
}

/* One write: the table's first page, and a page with the small items behind the table. What is between is zeros. */
int vhdx_metadata_write(struct cm_store *store, const struct vhdx_region *region,
                        struct vhdx_metadata *metadata)
{
    unsigned char table[VHDX_SECTOR] = VHDX_METADATA_SIGNATURE, values[VHDX_SECTOR] = {0};
    int error;

    put_parameters(values, metadata);
    cm_put_le64(values + DISK_SIZE * ITEM_ALIGNMENT, metadata->disk_size);
    memcpy(values + DISK_ID * ITEM_ALIGNMENT, metadata->disk_id.bytes, 16);
    cm_put_le32(values + SECTOR_SIZE * ITEM_ALIGNMENT, metadata->sector_size);
    cm_put_le32(values + PHYSICAL_SECTOR_SIZE * ITEM_ALIGNMENT, metadata->physical_sector_size);
    for (unsigned item = 0; item < PARENT_LOCATOR; item++)
        put_entry(table, (enum item)item, VHDX_METADATA_TABLE_SIZE + item * ITEM_ALIGNMENT,
                  items[item].size);
    metadata->disk_size_at = region->at + VHDX_METADATA_TABLE_SIZE + DISK_SIZE * ITEM_ALIGNMENT;
    metadata->locator_at = 0;
    metadata->locator_size = 0;
    if (metadata->has_parent) {
        put_entry(table, PARENT_LOCATOR, 2 * VHDX_METADATA_TABLE_SIZE, VHDX_LOCATOR_ROOM);
        metadata->locator_at = region->at + 2 * (uint64_t)VHDX_METADATA_TABLE_SIZE;
        metadata->locator_size = VHDX_LOCATOR_ROOM;
    }
    error = cm_store_write(store, values, sizeof(values), region->at + VHDX_METADATA_TABLE_SIZE);
    if (error == 0)
        error = cm_store_write(store, table, sizeof(table), region->at);
    return error != 0 ? failed_to_write(store, error) : 0;
}

/* -- another parent ---------------------------------------------------------------------------- */

/* The first byte behind the items that [at, at + size) touches; 0: none. */
static uint64_t in_the_way(const unsigned char *table, uint64_t at, uint32_t size)
{
    uint32_t count = cm_get_le16(table + COUNT_AT);

    for (uint32_t i = 0; i < count; i++) {
        const unsigned char *entry = table + ENTRIES_AT + i * ENTRY_SIZE;
        uint64_t start = cm_get_le32(entry + ENTRY_OFFSET_AT);
        uint64_t end = start + cm_get_le32(entry + ENTRY_LENGTH_AT);

        if (start < at + size && at < end)
            return end;
    }
    return 0;
}

/* Room in the region that no item has; 0: none. Every step goes behind an item, so there are no more than items. */
static uint32_t find_room(const unsigned char *table, const struct vhdx_region *region,
                          uint32_t size)
{
    uint64_t at = 2 * (uint64_t)VHDX_METADATA_TABLE_SIZE, end;

    while (at < region->size && size <= region->size - at) {
        end = in_the_way(table, at, size);
        if (end == 0)
            return (uint32_t)at;
        at = (end + VHDX_SECTOR - 1) / VHDX_SECTOR * VHDX_SECTOR;
    }
    return 0;
}

/* The page of the table in which an entry is: whole, for an entry of 32 bytes crosses no sector. */
static int write_entry_page(struct cm_store *store, const struct vhdx_region *region,
                            const unsigned char *table, uint32_t entry)
{
    uint32_t page = entry / VHDX_SECTOR * VHDX_SECTOR;

    return cm_store_write(store, table + page, VHDX_SECTOR, region->at + page);
}

/* QEMU takes a disk with a locator for one with a parent. The last entry takes the place of the locator's, if one write of
 * a sector can do that: else it stays, for it counts for nothing any more. */
static int drop_entry(struct cm_store *store, const struct vhdx_region *region,
                      unsigned char *table, uint32_t entry)
{
    uint32_t count = cm_get_le16(table + COUNT_AT);
    uint32_t last = ENTRIES_AT + (count - 1) * ENTRY_SIZE;
    int error;

    if (last + ENTRY_SIZE > 512)
        return 0;
    memmove(table + entry, table + last, ENTRY_SIZE);
    memset(table + last, 0, ENTRY_SIZE);
    cm_put_le16(table + COUNT_AT, (uint16_t)(count - 1));
    error = cm_store_write(store, table, 512, region->at);
    return error == 0 ? cm_store_flush(store) : error;
}

/* The bit first: with it gone, the locator counts for nothing. */
static int drop_parent(struct cm_store *store, const struct vhdx_region *region,
                       unsigned char *table, const struct place places[ITEMS],
                       struct vhdx_metadata *metadata)
{
    unsigned char bytes[8];
    int error;

    metadata->has_parent = 0;
    put_parameters(bytes, metadata);
    error = cm_store_write(store, bytes, sizeof(bytes), region->at + places[FILE_PARAMETERS].at);
    if (error == 0)
        error = cm_store_flush(store);
    if (error != 0) {
        metadata->has_parent = 1;
        return failed_to_write(store, error);
    }
    metadata->locator_at = 0;
    metadata->locator_size = 0;
    error = drop_entry(store, region, table, places[PARENT_LOCATOR].entry);
    return error != 0 ? failed_to_write(store, error) : 0;
}

static int write_locator(struct cm_store *store, const struct vhdx_region *region,
                         unsigned char *table, const struct place *place,
                         const unsigned char *bytes, uint32_t size, uint32_t *at)
{
    int error;

    *at = find_room(table, region, size);
    if (*at == 0)
        return cm_fail(CM_ENOSPC,
                       "%s has no room in its metadata for the name of another parent. Convert "
                       "the image to a new one.",
                       cm_store_path(store));
    error = cm_store_write(store, bytes, size, region->at + *at);
    if (error == 0)
        error = cm_store_flush(store);
    cm_put_le32(table + place->entry + ENTRY_OFFSET_AT, *at);
    cm_put_le32(table + place->entry + ENTRY_LENGTH_AT, size);
    if (error == 0)
        error = write_entry_page(store, region, table, place->entry);
    if (error == 0)
        error = cm_store_flush(store);
    return error != 0 ? failed_to_write(store, error) : 0;
}

int vhdx_metadata_set_locator(struct cm_store *store, const struct vhdx_region *region,
                              struct vhdx_metadata *metadata, const unsigned char *bytes,
                              uint32_t size)
{
    struct place places[ITEMS];
    unsigned char *table = NULL;
    uint32_t at;
    int error = read_table(store, region, &table);

    if (error == 0)
        error = find_items(store, region, table, places);
    if (error == 0 && (places[PARENT_LOCATOR].entry == 0 || places[FILE_PARAMETERS].entry == 0 ||
                       !metadata->has_parent))
        error = cm_fail(CM_EINVAL, "%s was made without a parent and cannot get one.",
                        cm_store_path(store));
    if (error == 0 && size == 0) {
        error = drop_parent(store, region, table, places, metadata);
    } else if (error == 0) {
        error = write_locator(store, region, table, &places[PARENT_LOCATOR], bytes, size, &at);
        if (error == 0) {
            metadata->locator_at = region->at + at;
            metadata->locator_size = size;
        }
    }
    free(table);
    return error;
}
