/* SPDX-License-Identifier: MIT */
/* subject.c - see subject.h: the formats of images/ that are put to the crash test. Called by crash.c and program.c. */
#include "subject.h"

#include <stdio.h>
#include <stdlib.h>

#include "images/vhd/vhd.h"
#include "images/vhdx/vhdx.h"
#include "lib/core/error_internal.h"
#include "model.h"

#define MIB UINT64_C(1048576)
#define GIB (1024 * MIB)
#define PIECE 65536u /* bytes */

/* Sizes with few map entries; with several pages of them; with a second chunk of VHDX; with a BAT of almost 1 MiB, which
 * has to move when the disk grows. */
const struct subject subjects[] = {
    {
        .name = "vhdx",
        .extension = "vhdx",
        .qemu_name = "vhdx",
        .open = cm_vhdx_open_store,
        .container = &cm_vhdx_container,
        .sector_size = 512,
        .block_size = (uint32_t)MIB,
        .disk_sizes = {16 * MIB, 64 * MIB, 700 * MIB, 5 * GIB, 120 * GIB},
        .can_resize = 1,
    },
    {
        .name = "vhdx-4096",
        .extension = "vhdx",
        .qemu_name = "vhdx",
        .open = cm_vhdx_open_store,
        .container = &cm_vhdx_container,
        .sector_size = 4096,
        .block_size = (uint32_t)(2 * MIB),
        .disk_sizes = {32 * MIB, 2 * GIB},
        .can_resize = 1,
    },
    {
        .name = "vhdx-differencing",
        .extension = "vhdx",
        .open = cm_vhdx_open_store,
        .container = &cm_vhdx_container,
        .sector_size = 512,
        .block_size = (uint32_t)MIB,
        .disk_sizes = {16 * MIB, 40 * MIB},
        .has_parent = 1,
        .can_resize = 1,
    },
    {
        .name = "vhd",
        .extension = "vhd",
        .qemu_name = "vpc",
        .open = cm_vhd_open_store,
        .container = &cm_vhd_container,
        .sector_size = 512,
        .block_size = (uint32_t)(2 * MIB),
        .disk_sizes = {16 * MIB, 64 * MIB, 700 * MIB, 5 * GIB},
        .can_resize = 1,
    },
    {
        .name = "vhd-differencing",
        .extension = "vhd",
        .open = cm_vhd_open_store,
        .container = &cm_vhd_container,
        .sector_size = 512,
        .block_size = (uint32_t)(2 * MIB),
        .disk_sizes = {16 * MIB, 40 * MIB},
        .has_parent = 1,
    },
};
const unsigned subject_count = sizeof(subjects) / sizeof(subjects[0]);

static int fill(struct cm_image *image, uint64_t disk_size)
{
    unsigned char *data = malloc(PIECE);
    int error = data == NULL ? CM_ENOMEM : 0;

    for (uint64_t at = 0; at < disk_size && error == 0; at += PIECE) {
        if (PARENT_ZEROS(at))
            continue;
        for (uint32_t i = 0; i < PIECE; i += CELL)
            model_fill(data + i, (at + i) / CELL, PARENT_STAMP);
        error = cm_image_write(image, data, PIECE, at, 0);
    }
    free(data);
    return error;
}

int subject_make_parent(const struct subject *subject, uint64_t disk_size, char *path,
                        uint32_t path_size)
{
    struct cm_image_options options = {
        .struct_size = sizeof(options),
        .flags = CM_OPEN_CREATE,
        .size = disk_size,
        .sector_size = subject->sector_size,
        .block_size = subject->block_size,
    };
    struct cm_store *store;
    struct cm_image *image;
    int error;

    snprintf(path, path_size, "parent-%s-%llu.%s", subject->name,
             (unsigned long long)(disk_size / MIB), subject->extension);
    error = cm_store_open(path, &options, &store);
    if (error == CM_EEXIST)
        return 1; /* of a program before */
    if (error != 0)
        return 0;
    error = subject->open(store, &options, &image);
    if (error != 0) {
        cm_store_discard(store, error);
        return 0;
    }
    error = fill(image, disk_size);
    return cm_image_close(image) == 0 && error == 0;
}
