/* SPDX-License-Identifier: MIT */
/*
 * container.h - what the fuzz targets of VHDX and VHD share; container.c is their program, which goes by its name:
 *
 *   vhdx_parts     the structures, read only
 *   vhdx_replay    the log of an image that was not closed
 *   vhdx_program   anything of the file, and then reads, writes, trims, resizes
 *   vhd_program    the same for VHD
 *
 * An input changes a valid image and then says what is done with it:
 *
 *   u8 template, u8 choices, u8 number of changes
 *   changes: u8 place, u8 how, u16 offset in the place, u64 value    (little-endian)
 *   steps:   u8 kind, u8 block, u8 place in the block, u8 length
 *
 * so that a few bytes reach any field, and the rest of the file is what it has to be to get so far.
 */
#ifndef COREMNT_FUZZ_CONTAINER_H
#define COREMNT_FUZZ_CONTAINER_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/core/image_internal.h"
#include "lib/core/store.h"
#include "tests/images/sparse.h"

#define FUZZ_PLACES 16u
#define FUZZ_TEMPLATES 6u
#define FUZZ_PARENT                                                                                \
    "parent" /* name, without its extension, of the file that differencing templates lie upon */

/* A check that fails is a crash, as the fuzzer sees it. */
#define MUST(condition)                                                                            \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "STOP: %s:%d: not so: %s\n", __FILE__, __LINE__, #condition);          \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

/* A part of the file that changes are made in. */
struct fuzz_place {
    uint64_t at, length; /* bytes */
};

struct fuzz_template {
    struct sparse *file;
    uint32_t block_size, sector_size; /* bytes */
    struct fuzz_place places[FUZZ_PLACES];
    unsigned place_count;
};

struct fuzz_format {
    const char *extension;
    int (*open)(struct cm_store *store, const struct cm_image_options *options,
                struct cm_image **image);
    const struct cm_container *container;
    /* The places of a template; what a target has of them. */
    void (*find_places)(struct fuzz_template *template, const char *target);
    /* Make the checksums right. */
    void (*seal)(struct sparse *file);
    /* No write may go there, whatever the file says. */
    int (*is_forbidden)(const void *data, uint32_t length, uint64_t offset);
    uint32_t block_sizes[FUZZ_TEMPLATES],
        sector_sizes[FUZZ_TEMPLATES]; /* of the templates; 0: no more */
    uint32_t flags[FUZZ_TEMPLATES];
    unsigned template_with_parent;
};

extern const struct fuzz_format fuzz_vhdx;
extern const struct fuzz_format fuzz_vhd;

int LLVMFuzzerInitialize(int *count, char ***arguments);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif
