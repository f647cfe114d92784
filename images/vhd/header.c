/* SPDX-License-Identifier: MIT */
/*
 * header.c - the dynamic header of a VHD: where the table of blocks is, how large blocks are, who the parent is. Called
 * when an image is opened, made or resized.
 */
#include <string.h>

#include "images/vhd/parts.h"
#include "lib/core/bytes.h"
#include "lib/core/error_internal.h"

#include <coremnt/error.h>

void vhd_header_derive(struct vhd_header *header, uint64_t size)
{
    uint32_t bits = header->block_size / VHD_SECTOR;

    header->needed = (uint32_t)((size - 1) / header->block_size + 1);
    header->bitmap_size = (bits / 8 + VHD_SECTOR - 1) / VHD_SECTOR * VHD_SECTOR;
}

/* What locators say; those outside the file are counted and left out. The space is in bytes, or in sectors, as some
 * programs took it. */
static void read_locators(struct vhd_header *header, uint64_t file_size)
{
    for (unsigned i = 0; i < VHD_LOCATORS; i++) {
        const unsigned char *bytes = header->bytes + VHD_HEADER_LOCATORS + i * VHD_LOCATOR_SIZE;
        struct vhd_locator_place place;

        place.platform = cm_get_be32(bytes);
        place.space = cm_get_be32(bytes + 4);
        place.length = cm_get_be32(bytes + 8);
        place.at = cm_get_be64(bytes + 16);
        if (place.platform == 0)
            continue;
        if (place.space < place.length && place.space != 0 &&
            place.length <= (uint64_t)place.space * VHD_SECTOR)
            place.space = (place.length + VHD_SECTOR - 1) / VHD_SECTOR * VHD_SECTOR;
        if (place.space < place.length || place.at < VHD_FOOTER_SIZE || place.at > file_size ||
            place.space > file_size - place.at)
            header->bad_locators++;
        else
            header->locators[header->locator_count++] = place;
    }
}

static int damaged(struct cm_store *store, const char *what)
{
    return cm_fail(CM_EDAMAGED, "%s is damaged: %s.", cm_store_path(store), what);
}

static int check_fields(struct cm_store *store, const struct vhd_header *header, uint64_t size)
{
    uint64_t file_size = cm_store_size(store);
    uint64_t blocks;

    if ((header->block_size & (header->block_size - 1)) != 0 ||
        header->block_size < VHD_BLOCK_MIN || header->block_size > VHD_BLOCK_MAX)
        return cm_fail(CM_ENOTSUP,
                       "%s has blocks of %u bytes: not a power of two from 4 KiB to 256 MiB.",
                       cm_store_path(store), (unsigned)header->block_size);
    blocks = (size - 1) / header->block_size + 1;
    if (blocks > VHD_ENTRIES_MAX)
        return cm_fail(CM_ENOTSUP,
                       "%s has %llu blocks, more than the %u that are supported: its blocks of %u "
                       "bytes are too small for its size.",
                       cm_store_path(store), (unsigned long long)blocks, VHD_ENTRIES_MAX,
                       (unsigned)header->block_size);
    if (blocks > header->entries)
        return damaged(store, "its table has fewer blocks than the disk");
    if (header->table_at % VHD_SECTOR != 0 || header->table_at < VHD_FOOTER_SIZE ||
        header->table_at > file_size || blocks * 4 > file_size - header->table_at)
        return damaged(store, "its table of blocks lies outside the file");
    if (header->table_at < header->at + VHD_HEADER_SIZE &&
        header->at < header->table_at + blocks * 4)
        return damaged(store, "its table of blocks and its header overlap");
    return 0;
}

int vhd_header_read(struct cm_store *store, const struct vhd_footer *footer,
                    struct vhd_header *header)
{
    unsigned char *bytes = header->bytes;
    uint64_t file_size = cm_store_size(store);
    int error;

    memset(header, 0, sizeof(*header));
    header->at = footer->header_at;
    if (header->at % VHD_SECTOR != 0 || header->at < VHD_FOOTER_SIZE || header->at > file_size ||
        VHD_HEADER_SIZE > file_size - header->at)
        return damaged(store, "its header lies outside the file");
    error = cm_store_read(store, bytes, VHD_HEADER_SIZE, header->at);
    if (error != 0)
        return cm_fail(error, "cannot read the header of %s.", cm_store_path(store));
    if (memcmp(bytes, VHD_HEADER_COOKIE, VHD_COOKIE_SIZE) != 0)
        return damaged(store, "it has no header");
    if (cm_get_be32(bytes + VHD_HEADER_CHECKSUM) !=
        vhd_checksum(bytes, VHD_HEADER_SIZE, VHD_HEADER_CHECKSUM))
        return damaged(store, "the checksum of its header is wrong");
    if (cm_get_be32(bytes + VHD_HEADER_VERSION) >> 16 != VHD_VERSION >> 16)
        return cm_fail(CM_ENOTSUP, "%s is a VHD of a newer version.", cm_store_path(store));
    header->table_at = cm_get_be64(bytes + VHD_HEADER_TABLE_AT);
    header->entries = cm_get_be32(bytes + VHD_HEADER_ENTRIES);
    header->block_size = cm_get_be32(bytes + VHD_HEADER_BLOCK_SIZE);
    error = check_fields(store, header, footer->size);
    if (error != 0)
        return error;
    vhd_header_derive(header, footer->size);
    memcpy(header->parent_id, bytes + VHD_HEADER_PARENT_ID, VHD_ID_SIZE);
    header->parent_time = cm_get_be32(bytes + VHD_HEADER_PARENT_TIME);
    read_locators(header, file_size);
    return 0;
}

void vhd_header_make(struct vhd_header *header)
{
    unsigned char *bytes = header->bytes;

    memcpy(bytes, VHD_HEADER_COOKIE, VHD_COOKIE_SIZE);
    cm_put_be64(bytes + VHD_HEADER_NEXT, UINT64_MAX);
    cm_put_be64(bytes + VHD_HEADER_TABLE_AT, header->table_at);
    cm_put_be32(bytes + VHD_HEADER_VERSION, VHD_VERSION);
    cm_put_be32(bytes + VHD_HEADER_ENTRIES, header->entries);
    cm_put_be32(bytes + VHD_HEADER_BLOCK_SIZE, header->block_size);
    memcpy(bytes + VHD_HEADER_PARENT_ID, header->parent_id, VHD_ID_SIZE);
    cm_put_be32(bytes + VHD_HEADER_PARENT_TIME, header->parent_time);
    cm_put_be32(bytes + VHD_HEADER_CHECKSUM,
                vhd_checksum(bytes, VHD_HEADER_SIZE, VHD_HEADER_CHECKSUM));
}
