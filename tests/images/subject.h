/* SPDX-License-Identifier: MIT */
/*
 * subject.h - what is put to the crash test: a format with the shape of its images. A table in subject.c for those of
 * images/; toy.c has one that can do things wrong.
 */
#ifndef CM_TESTS_SUBJECT_H
#define CM_TESTS_SUBJECT_H

#include <stdint.h>

#include "lib/core/image_internal.h"
#include "lib/core/store.h"

#define SUBJECT_SIZES 5u

struct subject {
    const char *name;
    const char *extension; /* of files that are written out */
    const char *qemu_name; /* of the format, to qemu-img */
    /* Over a store, also with CM_OPEN_CREATE: as in images/vhdx/vhdx.h. */
    int (*open)(struct cm_store *store, const struct cm_image_options *options,
                struct cm_image **image);
    const struct cm_container *container; /* NULL: there is no check */
    uint32_t sector_size, block_size;     /* bytes */
    uint64_t disk_sizes[SUBJECT_SIZES];   /* bytes; one is chosen; 0 ends them */
    int has_parent;
    int can_resize;
};

extern const struct subject subjects[];
extern const unsigned subject_count;

/* Of a whole run, into a folder of its own, which is the current one: the parent of images that have one. Its content
 * is that of stamp PARENT_STAMP, except every third 64 KiB, which are zeros. */
#define PARENT_STAMP 7u
#define PARENT_ZEROS(offset) ((offset) / 65536 % 3 == 2)
int subject_make_parent(const struct subject *subject, uint64_t disk_size, char *path,
                        uint32_t path_size);

#endif
