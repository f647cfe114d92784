/* SPDX-License-Identifier: MIT */
/*
 * create.c - a new VHDX image: where its parts lie, and their first content. Called by vhdx.c for CM_OPEN_CREATE. One
 * thread.
 *
 * Everything that is zeros stays the hole that it is, so that an image of 64 TiB takes a few KiB and milliseconds. The
 * identifier is written last: a file whose making was cut short is no VHDX image.
 */
#include "images/vhdx/vhdx.h"

#include <stdlib.h>
#include <string.h>

#include <coremnt/coremnt.h>

#include "images/vhdx/parts.h"
#include "lib/core/bytes.h"
#include "lib/core/error_internal.h"

/* As Windows does: the usual size of blocks, and the smaller one of images that keep changes. */
#define BLOCK_SIZE_USUAL (32u << 20)
#define BLOCK_SIZE_OF_CHANGES (2u << 20)
#define PHYSICAL_SECTOR_SIZE 4096u
#define LOG_SIZE (1u << 20)

#define BAT_PART 65536u /* bytes that are written at once */

#define CREATOR "CoreMnt " CM_VERSION_STRING

struct layout {
    struct vhdx_header header;
    struct vhdx_regions regions;
    struct vhdx_metadata metadata;
    uint64_t payload_at; /* byte of the file where the regions end */
    uint64_t blocks;     /* of the disk */
    uint64_t file_size;  /* bytes */
};

static int check_options(struct cm_store *store, const struct cm_image_options *options)
{
    uint32_t block = options->block_size, sector = options->sector_size;

    if (block != 0 && (block < VHDX_BLOCK_MIN || block > VHDX_BLOCK_MAX || (block & (block - 1))))
        return cm_fail(CM_EINVAL,
                       "%s cannot have blocks of %lu bytes: VHDX has 1M, 2M, 4M and so on up to "
                       "256M.",
                       cm_store_path(store), (unsigned long)block);
    if (sector != 0 && sector != 512 && sector != 4096)
        return cm_fail(CM_EINVAL, "%s cannot have sectors of %lu bytes: VHDX has 512 and 4096.",
                       cm_store_path(store), (unsigned long)sector);
    sector = sector != 0 ? sector : 512;
    if (options->size == 0 || options->size > VHDX_DISK_MAX || options->size % sector != 0)
        return cm_fail(CM_EINVAL,
                       "%s cannot have a disk of %llu bytes: VHDX has whole sectors up to 64T.",
                       cm_store_path(store), (unsigned long long)options->size);
    if ((options->flags & CM_OPEN_FIXED) != 0 && options->parent != NULL)
        return cm_fail(CM_EINVAL,
                       "%s cannot be of fixed size and keep the changes to %s: choose one.",
                       cm_store_path(store), options->parent);
    if (cm_store_size(store) != 0)
        return cm_fail(CM_EEXIST, "%s is not empty.", cm_store_path(store));
    return 0;
}

static uint64_t whole_mib(uint64_t bytes)
{
    return (bytes + VHDX_MIB - 1) / VHDX_MIB * VHDX_MIB;
}

/* Log, metadata, BAT, blocks: the BAT last of what has a fixed place, as Windows lays them out. */
static void lay_out(struct layout *l, const struct cm_image_options *options)
{
    struct vhdx_metadata *m = &l->metadata;

    m->has_parent = options->parent != NULL;
    m->is_fixed = (options->flags & CM_OPEN_FIXED) != 0;
    m->block_size = options->block_size != 0 ? options->block_size
                    : m->has_parent          ? BLOCK_SIZE_OF_CHANGES
                                             : BLOCK_SIZE_USUAL;
    m->sector_size = options->sector_size != 0 ? options->sector_size : 512;
    m->physical_sector_size = PHYSICAL_SECTOR_SIZE;
    m->disk_size = options->size;

    l->header.slot = 1; /* so that the first is the first to be written */
    l->header.log_at = VHDX_MIB;
    l->header.log_size = LOG_SIZE;
    l->regions.metadata.at = l->header.log_at + LOG_SIZE;
    l->regions.metadata.size = (uint32_t)VHDX_MIB;
    l->regions.bat.at = l->regions.metadata.at + l->regions.metadata.size;
    l->regions.bat.size = (uint32_t)whole_mib(vhdx_bat_entries(m) * 8);
    l->payload_at = l->regions.bat.at + l->regions.bat.size;
    l->blocks = (m->disk_size + m->block_size - 1) / m->block_size;
    l->file_size = l->payload_at + (m->is_fixed ? l->blocks * m->block_size : 0);
}

static int make_identities(struct layout *l)
{
    int error = vhdx_guid_make(&l->header.file_write);

    if (error == 0)
        error = vhdx_guid_make(&l->header.data_write);
    if (error == 0)
        error = vhdx_guid_make(&l->metadata.disk_id);
    return error;
}

/* The entry of a fixed image, in which the blocks lie one behind the other and those of bitmaps are not there. */
static uint64_t fixed_entry(const struct layout *l, uint64_t index)
{
    uint64_t chunk = VHDX_CHUNK_SECTORS * l->metadata.sector_size / l->metadata.block_size;
    uint64_t block = index - index / (chunk + 1);

    if (index % (chunk + 1) == chunk)
        return 0;
    return (l->payload_at + block * l->metadata.block_size) | VHDX_PRESENT;
}

static int write_fixed_bat(struct cm_store *store, const struct layout *l)
{
    uint64_t entries = vhdx_bat_entries(&l->metadata), done = 0;
    unsigned char *part = malloc(BAT_PART);
    int error = 0;

    if (part == NULL)
        return CM_ENOMEM;
    while (done < entries && error == 0) {
        uint64_t left = entries - done;
        uint32_t count = left < BAT_PART / 8 ? (uint32_t)left : BAT_PART / 8;

        for (uint32_t i = 0; i < count; i++)
            cm_put_le64(part + (size_t)8 * i, fixed_entry(l, done + i));
        error = cm_store_write(store, part, count * 8, l->regions.bat.at + done * 8);
        done += count;
    }
    free(part);
    return error;
}

static int write_identifier(struct cm_store *store)
{
    static const char creator[] = CREATOR;
    unsigned char bytes[8 + 2 * VHDX_CREATOR_UNITS] = VHDX_IDENTIFIER;

    for (size_t i = 0; creator[i] != '\0'; i++)
        cm_put_le16(bytes + 8 + 2 * i, (unsigned char)creator[i]);
    return cm_store_write(store, bytes, sizeof(bytes), 0);
}

static int failed(struct cm_store *store, int error)
{
    return cm_fail(error, "cannot make %s: %s.", cm_store_path(store), cm_error_name(error));
}

int cm_vhdx_format(struct cm_store *store, const struct cm_image_options *options)
{
    struct layout l = {0};
    int error = check_options(store, options);

    if (error != 0)
        return error;
    lay_out(&l, options);
    error = make_identities(&l);
    if (error != 0)
        return error;
    error = cm_store_resize(store, l.file_size);
    if (error != 0)
        return cm_fail(error, "cannot make %s: its file would have %llu bytes: %s.",
                       cm_store_path(store), (unsigned long long)l.file_size, cm_error_name(error));
    if (l.metadata.is_fixed)
        error = cm_store_reserve(store, 0, l.file_size);
    if (error == 0 && l.metadata.is_fixed)
        error = write_fixed_bat(store, &l);
    if (error != 0)
        return failed(store, error);
    error = vhdx_metadata_write(store, &l.regions.metadata, &l.metadata);
    if (error == 0)
        error = vhdx_regions_write(store, &l.regions);
    if (error == 0)
        error = vhdx_header_write(store, &l.header); /* flushes, what was before it too */
    if (error != 0)
        return error;
    error = write_identifier(store);
    if (error == 0)
        error = cm_store_flush(store);
    return error != 0 ? failed(store, error) : 0;
}
