/* SPDX-License-Identifier: MIT */
/*
 * test_vhd_full.c - VHD images on a storage that has no room left: what still works, and that nothing else is lost.
 */
#include "images/vhd/vhd.h"
#include "tests/unit/check.h"
#include "tests/unit/filled.h"
#include "tests/unit/memory_store.h"

#include <coremnt/image.h>

#define KIB UINT64_C(1024)
#define MIB UINT64_C(1048576)

static struct memory_store disk; /* each test begins with none */

static struct cm_image_options options_for(uint32_t flags, uint64_t size)
{
    return (struct cm_image_options){
        .struct_size = sizeof(struct cm_image_options), .flags = flags, .size = size};
}

static struct cm_image *open_with(const struct cm_image_options *options, int expected)
{
    struct cm_store *store = memory_store_new(&disk);
    struct cm_image *image = NULL;

    CHECK_EQ(cm_vhd_open_store(store, options, &image), expected);
    if (image == NULL)
        cm_store_close(store);
    return image;
}

static struct cm_image *create(uint32_t flags, uint64_t size, uint32_t block_size)
{
    struct cm_image_options options = options_for(CM_OPEN_CREATE | flags, size);

    memory_store_free(&disk);
    memset(&disk, 0, sizeof(disk));
    options.block_size = block_size;
    return open_with(&options, 0);
}

static struct cm_image *reopen(void)
{
    struct cm_image_options options = options_for(0, 0);

    return open_with(&options, 0);
}

static struct cm_image *close_and_reopen(struct cm_image *image)
{
    CHECK_EQ(cm_image_close(image), 0);
    return reopen();
}

static uint64_t errors_found(void)
{
    struct cm_check_options options = {.struct_size = sizeof(options)};
    struct cm_check_result result = {0};
    struct cm_store *store;

    disk.read_only = 1;
    store = memory_store_new(&disk);
    disk.read_only = 0;
    CHECK_EQ(cm_vhd_container.check(store, &options, &result), 0);
    cm_store_close(store);
    return result.errors;
}

/* @return the blocks that were written before one found no room. */
static unsigned write_until_full(struct cm_image *image, unsigned from)
{
    unsigned char data[4096];
    int error = 0;

    memset(data, 7, sizeof(data));
    for (unsigned i = from; i < 1000; i++) {
        error = cm_image_write(image, data, sizeof(data), i * 64 * KIB, 0);
        if (error != 0) {
            CHECK_EQ(error, CM_ENOSPC);
            return i;
        }
    }
    CHECK(0);
    return 0;
}

static void all_but_new_blocks_works(struct cm_image *image)
{
    unsigned char data[4096];

    memset(data, 7, sizeof(data));
    CHECK_EQ(cm_image_flush(image), 0);
    CHECK_EQ(cm_image_write(image, data, sizeof(data), 0, CM_IMAGE_FUA), 0);
    CHECK_EQ(cm_image_trim(image, 64 * KIB, 64 * KIB), 0);
    CHECK_EQ(cm_image_flush(image), 0);
}

static void holds_blocks(struct cm_image *image, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        CHECK(range_is(image, i * 64 * KIB, 4096, i != 1 ? 7 : 0));
}

/* Wherever the last of the room ends: in data, in a bitmap, in the footer's place. */
static void full_storage_costs_only_what_found_no_room(void)
{
    for (unsigned room = 8; room < 60 + 2 * 256; room += room < 60 ? 1 : 64) {
        struct cm_image *image = create(0, 64 * MIB, 64 * 1024);
        unsigned flushed, full;

        disk.pages_max = disk.pages_taken + room;
        for (flushed = 0; flushed < 4; flushed++)
            fill(image, flushed * 64 * KIB, 4096, 7);
        CHECK_EQ(cm_image_flush(image), 0);
        full = write_until_full(image, flushed);
        all_but_new_blocks_works(image);
        image = close_and_reopen(image);
        holds_blocks(image, full);
        all_but_new_blocks_works(image);
        CHECK_EQ(cm_image_close(image), 0);
        CHECK_EQ(errors_found(), 0);
    }
}

/* It has no footer at its end then. */
static void an_image_killed_on_full_storage_is_opened_for_writing(void)
{
    for (unsigned room = 2; room < 40; room++) {
        struct cm_image *image = create(0, 64 * MIB, 64 * 1024);

        disk.pages_max = disk.pages_taken + room;
        (void)write_until_full(image, 0);
        cm_image_discard(image);
        CHECK_EQ(cm_image_close(reopen()), 0);
        CHECK_EQ(errors_found(), 0);
    }
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        CHECK_TEST(full_storage_costs_only_what_found_no_room),
        CHECK_TEST(an_image_killed_on_full_storage_is_opened_for_writing),
    };
    int result = check_main(argc, argv, tests, sizeof(tests) / sizeof(tests[0]));

    memory_store_free(&disk);
    return result;
}
