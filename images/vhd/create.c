/* SPDX-License-Identifier: MIT */
/*
 * create.c - a new VHD in an empty store: fixed, dynamic or differencing.
 *
 *      dynamic: copy of the footer, header, at 4 KiB the names of the parent, the table, footer
 *
 * Called when an image is made. The table begins at whole 4 KiB, as the data of blocks does, so that a commit writes
 * whole pages of it.
 */
#include <stdlib.h>
#include <string.h>

#include "images/vhd/map.h"
#include "images/vhd/vhd.h"
#include "lib/core/bytes.h"
#include "lib/core/error_internal.h"

#define PAGE 4096u
#define TABLE_AT_ONCE 65536u /* bytes that are written at once */

/* -- what is asked ----------------------------------------------------------------------------- */

static int check_size(const char *path, uint64_t size)
{
    if (size == 0)
        return cm_fail(CM_EINVAL, "cannot create %s without a size.", path);
    if (size % VHD_SECTOR != 0)
        return cm_fail(CM_EINVAL, "%s cannot have %llu bytes: whole sectors of 512.", path,
                       (unsigned long long)size);
    if (size > VHD_DISK_MAX)
        return cm_fail(CM_EINVAL,
                       "%s cannot have %llu bytes: a VHD has at most 2040 GiB. Use a VHDX.", path,
                       (unsigned long long)size);
    return 0;
}

static int check_blocks(const char *path, uint32_t block_size, uint64_t size)
{
    if (block_size < VHD_BLOCK_MIN || block_size > VHD_BLOCK_MAX ||
        (block_size & (block_size - 1)) != 0)
        return cm_fail(CM_EINVAL,
                       "%s cannot have blocks of %u bytes: a power of two from 4 KiB to 256 MiB "
                       "(Windows opens those with 512 KiB or 2 MiB only).",
                       path, (unsigned)block_size);
    if ((size - 1) / block_size >= VHD_ENTRIES_MAX)
        return cm_fail(CM_EINVAL, "%s would have too many blocks of %u bytes: take larger ones.",
                       path, (unsigned)block_size);
    return 0;
}

static int check_given(struct cm_store *store, const struct cm_image_options *options)
{
    const char *path = cm_store_path(store);

    if (options->sector_size != 0 && options->sector_size != VHD_SECTOR)
        return cm_fail(CM_EINVAL,
                       "%s cannot have sectors of %u bytes: those of a VHD have 512. Use a VHDX.",
                       path, (unsigned)options->sector_size);
    if ((options->flags & CM_OPEN_FIXED) != 0 &&
        (options->parent != NULL || options->block_size != 0))
        return cm_fail(CM_EINVAL, "%s is to be fixed: it has no blocks and no parent.", path);
    return 0;
}

/* -- making ------------------------------------------------------------------------------------ */

static int could_not(struct cm_store *store, int error)
{
    return error == 0 ? 0
                      : cm_fail(error, "cannot create %s: %s.", cm_store_path(store),
                                cm_error_name(error));
}

static int make_fixed(struct cm_store *store, uint64_t size)
{
    struct vhd_footer footer;
    int error = vhd_footer_make(&footer, VHD_FIXED, size);

    if (error != 0)
        return error;
    error = cm_store_resize(store, size + VHD_FOOTER_SIZE);
    if (error == 0)
        error = cm_store_reserve(store, 0, size + VHD_FOOTER_SIZE);
    if (error == 0)
        error = cm_store_write(store, footer.bytes, VHD_FOOTER_SIZE, size);
    if (error == 0)
        error = cm_store_flush(store);
    return could_not(store, error);
}

int vhd_table_write(struct cm_store *store, const uint32_t *entries, uint64_t at, uint64_t length,
                    uint64_t count)
{
    unsigned char *part = malloc(TABLE_AT_ONCE);
    int error = part != NULL ? 0 : CM_ENOMEM;

    for (uint64_t done = 0; done < length && error == 0;) {
        uint32_t bytes = length - done < TABLE_AT_ONCE ? (uint32_t)(length - done) : TABLE_AT_ONCE;

        memset(part, 0xff, bytes);
        for (uint32_t i = 0; entries != NULL && i < bytes / 4 && done / 4 + i < count; i++)
            cm_put_be32(part + 4 * (size_t)i, entries[done / 4 + i]);
        error = cm_store_write(store, part, bytes, at + done);
        done += bytes;
    }
    free(part);
    return error;
}

/* The store grows to what is needed; everything is durable in the end. */
static int write_all(struct cm_store *store, struct vhd_footer *footer, struct vhd_header *header,
                     const struct vhd_locator_bytes *names)
{
    uint64_t table = ((uint64_t)header->needed * 4 + VHD_SECTOR - 1) / VHD_SECTOR * VHD_SECTOR;
    uint64_t end = header->table_at + table;
    int error = cm_store_resize(store, end + VHD_FOOTER_SIZE);

    vhd_header_make(header);
    if (error == 0)
        error = cm_store_write(store, header->bytes, VHD_HEADER_SIZE, header->at);
    for (unsigned i = 0; i < header->locator_count && error == 0; i++)
        error = cm_store_write(store, names->bytes[i], header->locators[i].space,
                               header->locators[i].at);
    if (error == 0)
        error = vhd_table_write(store, NULL, header->table_at, table, 0);
    if (error == 0)
        error = cm_store_write(store, footer->bytes, VHD_FOOTER_SIZE, end);
    if (error == 0)
        error = cm_store_write(store, footer->bytes, VHD_FOOTER_SIZE, 0);
    if (error == 0)
        error = cm_store_flush(store);
    return could_not(store, error);
}

static int make_blocks(struct cm_store *store, const struct cm_image_options *options,
                       uint64_t size, struct vhd_header *header,
                       const struct vhd_locator_bytes *names)
{
    struct vhd_footer footer;
    int error;

    header->block_size = options->block_size != 0 ? options->block_size : VHD_BLOCK_USUAL;
    error = check_size(cm_store_path(store), size);
    if (error == 0)
        error = check_blocks(cm_store_path(store), header->block_size, size);
    if (error == 0)
        error = vhd_footer_make(&footer, options->parent != NULL ? VHD_DIFFERENCING : VHD_DYNAMIC,
                                size);
    if (error != 0)
        return error;
    vhd_header_derive(header, size);
    header->at = VHD_FOOTER_SIZE;
    header->entries = header->needed;
    header->table_at = PAGE;
    for (unsigned i = 0; i < header->locator_count; i++)
        header->table_at += header->locators[i].space;
    return write_all(store, &footer, header, names);
}

static int make_differencing(struct cm_store *store, const struct cm_image_options *options)
{
    struct vhd_header header = {0};
    struct vhd_locator_bytes names;
    struct vhd_footer parent;
    int error =
        vhd_parent_fill(&header, cm_store_path(store), options->parent, PAGE, &names, &parent);

    if (error != 0)
        return error;
    if (options->size != 0 && options->size != parent.size)
        error = cm_fail(CM_EINVAL,
                        "%s cannot have %llu bytes: its parent %s has %llu, and it has the same.",
                        cm_store_path(store), (unsigned long long)options->size, options->parent,
                        (unsigned long long)parent.size);
    if (error == 0)
        error = make_blocks(store, options, parent.size, &header, &names);
    free(names.bytes[0]);
    free(names.bytes[1]);
    return error;
}

int cm_vhd_format(struct cm_store *store, const struct cm_image_options *options)
{
    struct vhd_header header = {0};
    int error = check_given(store, options);

    if (error != 0)
        return error;
    if (options->parent != NULL)
        return make_differencing(store, options);
    error = check_size(cm_store_path(store), options->size);
    if (error != 0)
        return error;
    return (options->flags & CM_OPEN_FIXED) != 0
               ? make_fixed(store, options->size)
               : make_blocks(store, options, options->size, &header, NULL);
}
