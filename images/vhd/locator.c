/* SPDX-License-Identifier: MIT */
/*
 * locator.c - how a differencing VHD calls its parent: a relative and an absolute path in locators, and a name in the
 * header. Called when an image is opened or made.
 *
 * Only their bytes: where they lead is for lib/core/parent_path.c. MacX locators and others are left alone.
 */
#include <stdlib.h>
#include <string.h>

#include "images/vhd/parts.h"
#include "lib/core/bytes.h"
#include "lib/core/error_internal.h"
#include "lib/core/utf16.h"

#include <coremnt/error.h>

/* -- reading ----------------------------------------------------------------------------------- */

static int read_path(struct cm_store *store, const struct vhd_locator_place *place, char **path)
{
    uint32_t length = place->length < VHD_LOCATOR_MAX ? place->length : VHD_LOCATOR_MAX;
    unsigned char *bytes = malloc(length + 1u);
    int error;

    if (bytes == NULL)
        return cm_fail(CM_ENOMEM, "no memory to open %s.", cm_store_path(store));
    error = cm_store_read(store, bytes, length, place->at);
    if (error == 0)
        *path = cm_utf16_to_utf8(bytes, length / 2, CM_UTF16_LITTLE);
    free(bytes);
    if (error != 0)
        return cm_fail(error, "cannot read the parent's name in %s.", cm_store_path(store));
    return *path != NULL ? 0 : cm_fail(CM_ENOMEM, "no memory to open %s.", cm_store_path(store));
}

int vhd_names_read(struct cm_store *store, const struct vhd_header *header,
                   struct vhd_parent_names *names)
{
    int error = 0;

    memset(names, 0, sizeof(*names));
    for (unsigned i = 0; i < header->locator_count && error == 0; i++) {
        const struct vhd_locator_place *place = &header->locators[i];

        if (place->platform == VHD_PLATFORM_RELATIVE && names->relative == NULL)
            error = read_path(store, place, &names->relative);
        else if (place->platform == VHD_PLATFORM_ABSOLUTE && names->absolute == NULL)
            error = read_path(store, place, &names->absolute);
    }
    if (error == 0) {
        names->name = cm_utf16_to_utf8(header->bytes + VHD_HEADER_PARENT_NAME,
                                       VHD_PARENT_NAME_UNITS, CM_UTF16_BIG);
        if (names->name == NULL)
            error = cm_fail(CM_ENOMEM, "no memory to open %s.", cm_store_path(store));
    }
    if (error != 0)
        vhd_names_free(names);
    return error;
}

void vhd_names_free(struct vhd_parent_names *names)
{
    free(names->relative);
    free(names->absolute);
    free(names->name);
    memset(names, 0, sizeof(*names));
}

/* -- making ------------------------------------------------------------------------------------ */

static int make_one(struct vhd_header *header, unsigned slot, uint32_t platform, const char *path,
                    uint64_t at, unsigned char **bytes)
{
    unsigned char *entry = header->bytes + VHD_HEADER_LOCATORS + slot * VHD_LOCATOR_SIZE;
    size_t units = cm_utf8_to_utf16(path, NULL, 0, CM_UTF16_LITTLE);
    uint32_t space = VHD_LOCATOR_ROOM;

    if (units > VHD_LOCATOR_MAX / 2)
        return cm_fail(CM_EINVAL, "the path of the parent is too long, or no UTF-8: %.80s...",
                       path);
    while (space < units * 2)
        space += VHD_LOCATOR_ROOM;
    *bytes = calloc(1, space);
    if (*bytes == NULL)
        return cm_fail(CM_ENOMEM, "no memory for the parent's name.");
    cm_utf8_to_utf16(path, *bytes, units, CM_UTF16_LITTLE);
    header->locators[slot] = (struct vhd_locator_place){platform, at, space, (uint32_t)(units * 2)};
    cm_put_be32(entry, platform);
    cm_put_be32(entry + 4, space);
    cm_put_be32(entry + 8, (uint32_t)(units * 2));
    cm_put_be32(entry + 12, 0);
    cm_put_be64(entry + 16, at);
    return 0;
}

static const char *last_part(const char *path)
{
    const char *part = path;

    for (; *path != '\0'; path++)
        if (*path == '/' || *path == '\\')
            part = path + 1;
    return part;
}

int vhd_names_make(struct vhd_header *header, const char *relative, const char *absolute,
                   uint64_t at, struct vhd_locator_bytes *bytes)
{
    int error;

    memset(bytes, 0, sizeof(*bytes));
    memset(header->bytes + VHD_HEADER_PARENT_NAME, 0,
           2 * VHD_PARENT_NAME_UNITS + VHD_LOCATORS * VHD_LOCATOR_SIZE);
    memset(header->locators, 0, sizeof(header->locators));
    cm_utf8_to_utf16(last_part(absolute), header->bytes + VHD_HEADER_PARENT_NAME,
                     VHD_PARENT_NAME_UNITS - 1, CM_UTF16_BIG);
    error = make_one(header, 0, VHD_PLATFORM_RELATIVE, relative, at, &bytes->bytes[0]);
    if (error == 0)
        error = make_one(header, 1, VHD_PLATFORM_ABSOLUTE, absolute, at + header->locators[0].space,
                         &bytes->bytes[1]);
    header->locator_count = error == 0 ? 2 : 0;
    if (error != 0) {
        free(bytes->bytes[0]);
        free(bytes->bytes[1]);
        memset(bytes, 0, sizeof(*bytes));
    }
    return error;
}
