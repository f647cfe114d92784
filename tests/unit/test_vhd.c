/* SPDX-License-Identifier: MIT */
/*
 * test_vhd.c - VHD images over a store in memory: what is written is read again, what is taken and given back, in what
 * order changes reach the storage, and damaged files.
 */
#include "images/vhd/format.h"
#include "images/vhd/vhd.h"
#include "lib/core/bytes.h"
#include "tests/unit/check.h"
#include "tests/unit/filled.h"
#include "tests/unit/memory_store.h"

#include <coremnt/image.h>

#define KIB UINT64_C(1024)
#define MIB UINT64_C(1048576)
#define GIB (1024 * MIB)
#define BLOCK (2 * MIB)

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

static uint64_t size_of(struct cm_image *image)
{
    struct cm_image_info info;

    CHECK_EQ(cm_image_get_info(image, &info), 0);
    return info.size;
}

static int is_quiet;

static void report(void *context, enum cm_check_severity severity, int is_repaired,
                   const char *text)
{
    (void)context;
    if (is_quiet)
        return;
    printf("  check: %d%s %s\n", (int)severity, is_repaired ? " repaired" : "", text);
}

static struct cm_check_result check_image(uint32_t flags)
{
    struct cm_check_options options = {
        .struct_size = sizeof(options), .flags = flags, .report = report};
    struct cm_check_result result = {0};
    struct cm_store *store;

    disk.read_only = (flags & CM_CHECK_REPAIR) == 0;
    store = memory_store_new(&disk);
    disk.read_only = 0;
    CHECK_EQ(cm_vhd_container.check(store, &options, &result), 0);
    cm_store_close(store);
    return result;
}

static void is_sound(void)
{
    CHECK_EQ(check_image(0).errors, 0);
}

static void is_fine(void)
{
    struct cm_check_result result = check_image(0);

    CHECK_EQ(result.errors, 0);
    CHECK_EQ(result.wastes, 0);
}

/* -- what is kept ------------------------------------------------------------------------------ */

static void write_some_and_look(uint32_t flags, uint32_t block_size)
{
    struct cm_image *image = create(flags, 40 * MIB, block_size);

    if (image == NULL)
        return;
    CHECK(range_is(image, 0, 65536, 0));
    fill(image, 0, 512, 1);
    fill(image, BLOCK - 65536, 2 * 65536, 2);
    fill(image, 40 * MIB - 512, 512, 3);
    for (unsigned turn = 0; turn < 2; turn++) {
        CHECK(range_is(image, 0, 512, 1));
        CHECK(range_is(image, 512, 65536, 0));
        CHECK(range_is(image, BLOCK - 65536, 2 * 65536, 2));
        CHECK(range_is(image, 40 * MIB - 512, 512, 3));
        CHECK(range_is(image, 20 * MIB, 65536, 0));
        image = close_and_reopen(image);
    }
    CHECK_EQ(size_of(image), 40 * MIB);
    CHECK_EQ(cm_image_close(image), 0);
    is_fine();
}

static void a_fixed_image_keeps_what_is_written(void)
{
    write_some_and_look(CM_OPEN_FIXED, 0);
    CHECK_EQ(disk.size, 40 * MIB + 512);
}

static void a_dynamic_image_keeps_what_is_written(void)
{
    write_some_and_look(0, 0);
    CHECK(disk.size < 9 * MIB);
    write_some_and_look(0, 4096);
    write_some_and_look(0, 512 * 1024);
    write_some_and_look(0, 256u << 20);
}

static void random_writes_and_trims_are_as_in_memory(void)
{
    uint64_t seed = check_seed();
    uint32_t size = 4 * MIB;
    unsigned char *model = calloc(1, size);
    unsigned char *buffer = malloc(size);
    struct cm_image *image = create(0, size, 32768);

    for (unsigned i = 0; i < 3000 && image != NULL; i++) {
        uint32_t length = (uint32_t)(check_random(&seed) % 128 + 1) * 512;
        uint32_t offset = (uint32_t)(check_random(&seed) % ((size - length) / 512)) * 512;
        unsigned what = (unsigned)(check_random(&seed) % 16);
        unsigned char value = (unsigned char)(check_random(&seed) % 4 * 60);

        memset(buffer, value, length);
        if (what < 8) {
            CHECK_EQ(cm_image_write(image, buffer, length, offset, what == 0 ? CM_IMAGE_FUA : 0),
                     0);
            memset(model + offset, value, length);
        } else if (what < 13) {
            CHECK_EQ(cm_image_trim(image, offset, length), 0);
            memset(model + offset, 0, length);
        } else if (what == 13) {
            CHECK_EQ(cm_image_flush(image), 0);
        } else if (what == 14 && i % 8 == 0) {
            image = close_and_reopen(image);
        }
        CHECK_EQ(cm_image_read(image, buffer, length, offset), 0);
        if (!CHECK(memcmp(buffer, model + offset, length) == 0))
            break;
    }
    image = close_and_reopen(image);
    CHECK_EQ(cm_image_read(image, buffer, size, 0), 0);
    CHECK(memcmp(buffer, model, size) == 0);
    CHECK_EQ(cm_image_close(image), 0);
    CHECK_EQ(check_image(0).errors, 0);
    free(model);
    free(buffer);
}

/* -- space ------------------------------------------------------------------------------------- */

static void zeros_take_no_space(void)
{
    struct cm_image *image = create(0, GIB, 0);
    uint64_t before = disk.size;

    fill(image, 0, 65536, 0);
    CHECK_EQ(cm_image_close(image), 0);
    CHECK_EQ(disk.size, before);
}

static void a_fixed_image_keeps_its_space(void)
{
    struct cm_image *image = create(CM_OPEN_FIXED, 4 * MIB, 0);
    struct cm_image_info info;
    uint64_t taken;

    CHECK_EQ(cm_image_get_info(image, &info), 0);
    taken = info.allocated;
    CHECK(taken >= 4 * MIB);
    CHECK(!info.can_trim);
    CHECK_EQ(cm_image_trim(image, 0, 4 * MIB), CM_ENOTSUP);
    CHECK_EQ(disk.punches, 0);
    CHECK_EQ(cm_image_get_info(image, &info), 0);
    CHECK_EQ(info.allocated, taken);
    CHECK_EQ(cm_image_close(image), 0);
}

static void a_trimmed_block_is_taken_again(void)
{
    struct cm_image *image = create(0, GIB, 0);
    uint64_t before;

    for (unsigned i = 0; i < 8; i++)
        fill(image, i * BLOCK, 512, 7);
    CHECK_EQ(cm_image_flush(image), 0);
    before = disk.size;
    for (unsigned turn = 0; turn < 20; turn++) {
        CHECK_EQ(cm_image_trim(image, 0, 8 * BLOCK), 0);
        CHECK_EQ(cm_image_flush(image), 0);
        for (unsigned i = 0; i < 8; i++) {
            fill(image, (i + turn) * BLOCK, 512, 8);
            CHECK(range_is(image, (i + turn) * BLOCK + 512, 4096, 0));
        }
        CHECK_EQ(cm_image_trim(image, 8 * BLOCK, 200 * BLOCK), 0);
        CHECK_EQ(cm_image_flush(image), 0);
    }
    CHECK(disk.size <= before + 16 * MIB + BLOCK);
    CHECK_EQ(cm_image_trim(image, 0, GIB), 0);
    CHECK_EQ(cm_image_close(image), 0);
    CHECK(disk.size < 64 * KIB);
    is_fine();
}

static void a_trim_without_holes_gives_zeros(void)
{
    struct cm_image *image = create(0, 64 * MIB, 0);

    disk.cannot_punch = 1;
    fill(image, 0, 65536, 7);
    fill(image, BLOCK, 65536, 7);
    CHECK_EQ(cm_image_flush(image), 0);
    CHECK_EQ(cm_image_trim(image, 4096, 4096), 0);
    CHECK_EQ(cm_image_trim(image, BLOCK, BLOCK), 0);
    CHECK(range_is(image, 4096, 4096, 0));
    CHECK(range_is(image, BLOCK, 65536, 0));
    CHECK_EQ(cm_image_flush(image), 0);
    fill(image, 3 * BLOCK, 512, 9); /* where the dropped block was */
    CHECK(range_is(image, 3 * BLOCK + 512, 65536, 0));
    image = close_and_reopen(image);
    CHECK(range_is(image, 3 * BLOCK + 512, 65536, 0));
    CHECK(range_is(image, 0, 4096, 7));
    CHECK_EQ(cm_image_close(image), 0);
}

static int compact(void)
{
    struct cm_store *store = memory_store_new(&disk);
    int error = cm_vhd_container.compact(store, NULL, NULL);

    cm_store_close(store);
    return error;
}

static void compacting_moves_blocks_to_the_front(void)
{
    struct cm_image *image = create(0, GIB, 0);

    for (unsigned i = 0; i < 40; i++)
        fill(image, i * BLOCK, 512, (unsigned char)(i + 1));
    CHECK_EQ(cm_image_close(image), 0);
    image = reopen();
    for (unsigned i = 0; i < 38; i++) {
        if (i % 2 == 0)
            CHECK_EQ(cm_image_trim(image, i * BLOCK, BLOCK), 0);
        else if (i % 5 == 0)
            fill(image, i * BLOCK, 512, 0); /* holds nothing but zeros now */
    }
    CHECK_EQ(cm_image_close(image), 0);
    CHECK(disk.size > 80 * MIB);
    CHECK_EQ(compact(), 0);
    CHECK(disk.size < 17 * (BLOCK + 4096) + 16384 + 4096);
    is_fine();
    image = reopen();
    for (unsigned i = 0; i < 40; i++) {
        int has_data = i >= 38 || (i % 2 != 0 && i % 5 != 0);

        CHECK(range_is(image, i * BLOCK, 512, (unsigned char)(has_data ? i + 1 : 0)));
    }
    CHECK_EQ(cm_image_close(image), 0);
    CHECK_EQ(compact(), 0);
}

/* -- flushes ----------------------------------------------------------------------------------- */

static void a_new_block_costs_one_flush(void)
{
    struct cm_image *image = create(0, GIB, 0);
    unsigned char data[4096] = {1};

    CHECK_EQ(cm_image_write(image, data, sizeof(data), 0, CM_IMAGE_FUA), 0); /* the file grows */
    disk.flushes = disk.writes = 0;
    CHECK_EQ(cm_image_write(image, data, sizeof(data), 2 * BLOCK, CM_IMAGE_FUA), 0);
    CHECK_EQ(disk.flushes, 1);
    CHECK_EQ(disk.writes, 3);
    disk.flushes = disk.writes = 0;
    CHECK_EQ(cm_image_write(image, data, sizeof(data), 2 * BLOCK, CM_IMAGE_FUA), 0);
    CHECK_EQ(disk.flushes, 1);
    CHECK_EQ(disk.writes, 1);
    disk.flushes = disk.writes = 0;
    for (unsigned i = 16; i < 32; i++)
        CHECK_EQ(cm_image_write(image, data, sizeof(data), i * BLOCK, 0), 0);
    CHECK_EQ(disk.flushes, 0);
    CHECK_EQ(cm_image_flush(image), 0);
    CHECK(disk.flushes <= 2);
    CHECK(disk.writes <= 16 * 2 + 1 + 2);
    CHECK_EQ(cm_image_close(image), 0);
}

static void a_failed_flush_is_not_forgotten(void)
{
    struct cm_image *image = create(0, 64 * MIB, 0);

    fill(image, 0, 512, 1);
    disk.fail = CM_EIO;
    CHECK_EQ(cm_image_flush(image), CM_EIO);
    disk.fail = 0;
    CHECK_EQ(cm_image_flush(image), 0); /* a write failed: that can be done again */
    image = close_and_reopen(image);
    CHECK(range_is(image, 0, 512, 1));
    CHECK_EQ(cm_image_close(image), 0);
}

/* What waits for a flush takes memory: after so many blocks it is written without one. */
static void after_a_failed_flush_changes_are_still_written_by_themselves(void)
{
    struct cm_image *image = create(0, 64 * MIB, 4096);
    uint64_t flushes;

    fill(image, 0, 4096, 1);
    disk.fail = CM_ENOSPC;
    CHECK_EQ(cm_image_flush(image), CM_ENOSPC);
    disk.fail = 0;
    flushes = disk.flushes;
    for (unsigned i = 1; i < 3000; i++)
        fill(image, i * 4 * KIB, 4096, 1);
    CHECK(disk.flushes >= flushes + 2);
    CHECK_EQ(cm_image_close(image), 0);
    is_fine();
}

static void no_space_leaves_a_valid_image(void)
{
    struct cm_image *image = create(0, GIB, 0);
    unsigned char data[4096] = {1};
    int error = 0;

    disk.size_max = 20 * MIB;
    for (unsigned i = 0; i < 100 && error == 0; i++)
        error = cm_image_write(image, data, sizeof(data), i * BLOCK, 0);
    CHECK_EQ(error, CM_ENOSPC);
    CHECK_EQ(cm_image_write(image, data, sizeof(data), 0, CM_IMAGE_FUA), 0);
    CHECK_EQ(cm_image_close(image), 0);
    is_fine();
}

/* As a merge that is given up leaves it: the table in the file names blocks that are dropped in memory only. */
static void a_discarded_image_is_not_cut_by_what_it_did_not_commit(void)
{
    struct cm_image *image = create(0, 8 * MIB, 4096);

    for (unsigned i = 0; i < 1400; i++)
        fill(image, i * 4 * KIB, 4096, 1);
    CHECK_EQ(cm_image_flush(image), 0);
    CHECK_EQ(cm_image_trim(image, 1200 * 4 * KIB, 200 * 4 * KIB), 0);
    cm_image_discard(image);
    is_sound();
    image = reopen();
    CHECK(range_is(image, 1199 * 4 * KIB, 4096, 1));
    CHECK(range_is(image, 1399 * 4 * KIB, 4096, 0));
    CHECK_EQ(cm_image_trim(image, 1200 * 4 * KIB, 200 * 4 * KIB), 0);
    CHECK_EQ(cm_image_close(image), 0);
    CHECK(disk.size < 1201 * 8 * KIB + 16 * KIB); /* now it is */
    is_fine();
}

/* -- sizes ------------------------------------------------------------------------------------- */

static void resize_through(uint32_t flags, uint32_t block_size)
{
    struct cm_image *image = create(flags, 10 * MIB + 512, block_size);

    fill(image, 0, 65536, 1);
    fill(image, 10 * MIB - 65536, 65536 + 512, 2);
    CHECK_EQ(cm_image_resize(image, 100 * MIB + 1024), 0);
    CHECK(range_is(image, 10 * MIB - 65536, 65536 + 512, 2));
    CHECK(range_is(image, 10 * MIB + 512, 65536, 0));
    fill(image, 100 * MIB - 512, 1024, 3);
    image = close_and_reopen(image);
    CHECK_EQ(size_of(image), 100 * MIB + 1024);
    CHECK(range_is(image, 100 * MIB - 512, 1024, 3));
    CHECK(range_is(image, 10 * MIB - 65536, 65536 + 512, 2));
    CHECK(range_is(image, 10 * MIB + 512, 65536, 0));
    CHECK_EQ(cm_image_resize(image, 10 * MIB - 512), 0);
    CHECK(range_is(image, 10 * MIB - 65536, 65536 - 512, 2));
    CHECK_EQ(cm_image_resize(image, 2 * GIB), 0);
    CHECK(range_is(image, 10 * MIB - 512, 65536, 0)); /* what was cut off does not come back */
    CHECK(range_is(image, 100 * MIB - 512, 1024, 0));
    image = close_and_reopen(image);
    CHECK_EQ(size_of(image), 2 * GIB);
    CHECK(range_is(image, 0, 65536, 1));
    CHECK(range_is(image, 10 * MIB - 512, 65536, 0));
    CHECK_EQ(cm_image_resize(image, 2041 * GIB), CM_ENOTSUP);
    CHECK_EQ(cm_image_close(image), 0);
    CHECK_EQ(check_image(0).errors, 0);
}

static void both_kinds_grow_and_shrink(void)
{
    resize_through(CM_OPEN_FIXED, 0);
    resize_through(0, 0);
    resize_through(0, 16384);
}

static void the_largest_disk_is_made_and_opened(void)
{
    struct cm_image *image = create(0, 2040 * GIB, 0);

    fill(image, 2040 * GIB - 512, 512, 5);
    image = close_and_reopen(image);
    CHECK(range_is(image, 2040 * GIB - 512, 512, 5));
    CHECK_EQ(cm_image_close(image), 0);
    CHECK(disk.size < 16 * MIB);
}

static void impossible_wishes_are_refused(void)
{
    struct cm_image_options options = options_for(CM_OPEN_CREATE, 2040 * GIB + 512);

    memory_store_free(&disk);
    memset(&disk, 0, sizeof(disk));
    open_with(&options, CM_EINVAL);
    CHECK(strstr(cm_last_error(), "VHDX") != NULL);
    options.size = 1 * MIB;
    options.sector_size = 4096;
    open_with(&options, CM_EINVAL);
    options.sector_size = 0;
    options.block_size = 12345;
    open_with(&options, CM_EINVAL);
    options.block_size = 2048;
    open_with(&options, CM_EINVAL);
    options.block_size = 4096;
    options.size = 100 * GIB;
    open_with(&options, CM_EINVAL);
    CHECK_EQ(disk.size, 0);
}

/* -- cut short --------------------------------------------------------------------------------- */

#define MARKS 12u /* blocks with data; the first sectors of those that hold something */

static struct memory_store whole; /* what each try begins with */

static void make_with_gaps(uint32_t flags)
{
    struct cm_image *image = create(flags, 40 * MIB + 512, 0);

    for (unsigned i = 0; i < MARKS; i++)
        fill(image, i * BLOCK, 512, (unsigned char)(i + 1));
    CHECK_EQ(cm_image_flush(image), 0);
    for (unsigned i = 0; i < MARKS; i += 3) {
        if ((flags & CM_OPEN_FIXED) != 0)
            fill(image, i * BLOCK, 512, 0);
        else
            CHECK_EQ(cm_image_trim(image, i * BLOCK, BLOCK), 0);
    }
    CHECK_EQ(cm_image_close(image), 0);
    memory_store_copy(&disk, &whole);
}

static int grow_it(void)
{
    struct cm_image_options options = options_for(0, 0);
    struct cm_store *store = memory_store_new(&disk);
    struct cm_image *image;
    int error = cm_vhd_open_store(store, &options, &image);

    if (error != 0) {
        cm_store_close(store);
        return error;
    }
    error = cm_image_resize(image, 3 * GIB);
    (void)cm_image_close(image);
    return error;
}

static int shrink_it(void)
{
    struct cm_image_options options = options_for(0, 0);
    struct cm_store *store = memory_store_new(&disk);
    struct cm_image *image;
    int error = cm_vhd_open_store(store, &options, &image);

    if (error != 0) {
        cm_store_close(store);
        return error;
    }
    error = cm_image_resize(image, 30 * MIB);
    if (cm_image_close(image) != 0)
        error = CM_EIO;
    return error;
}

/* The storage takes the first `changes` changes and nothing more: the file must be whole, with all that it had. A cut
 * between two flushes can also lose some of what was before; tests/images/ tries that, but not for all of these. */
static int survives(int (*work)(void), uint64_t changes)
{
    struct cm_image *image;
    int error;

    memory_store_free(&disk);
    memory_store_copy(&whole, &disk);
    disk.fail = CM_EIO;
    disk.fail_after = changes;
    error = work();
    disk.fail = 0;
    image = reopen();
    if (image == NULL)
        return 0;
    for (unsigned i = 0; i < MARKS; i++)
        CHECK(range_is(image, i * BLOCK, 512, (unsigned char)(i % 3 == 0 ? 0 : i + 1)));
    CHECK_EQ(cm_image_close(image), 0);
    CHECK_EQ(check_image(0).errors, 0);
    return error != 0;
}

static void survives_everywhere(int (*work)(void), uint32_t flags)
{
    uint64_t changes = 0;
    int before = check_failures;

    is_quiet = 1;
    make_with_gaps(flags);
    while (survives(work, changes) && changes < 1000 && check_failures == before)
        changes++;
    printf("  %llu cuts\n", (unsigned long long)changes);
    CHECK(changes > 2 && changes < 1000);
    memory_store_free(&whole);
    is_quiet = 0;
}

static void compacting_may_be_cut_anywhere(void)
{
    survives_everywhere(compact, 0);
}

static void a_resize_may_be_cut_anywhere(void)
{
    survives_everywhere(grow_it, 0);
    survives_everywhere(shrink_it, 0);
    survives_everywhere(grow_it, CM_OPEN_FIXED);
    survives_everywhere(shrink_it, CM_OPEN_FIXED);
}

/* A killed program, or a power cut, on storage with sectors of 4 KiB. */
static void a_padded_fixed_image_is_found_and_made_right(void)
{
    struct cm_image *image = create(CM_OPEN_FIXED, MIB + 512, 0);
    struct cm_image_info info;

    fill(image, MIB, 512, 5);
    CHECK_EQ(cm_image_close(image), 0);
    memory_store_copy(&disk, &whole);
    for (unsigned sectors = 1; sectors < 8; sectors++) {
        memory_store_set_size(&disk, whole.size + sectors * 512);
        disk.read_only = 1;
        image = reopen();
        disk.read_only = 0;
        CHECK_EQ(cm_image_get_info(image, &info), 0);
        CHECK_EQ(info.size, MIB + 512);
        CHECK(info.was_dirty);
        CHECK_EQ(cm_image_close(image), 0);
        if (sectors % 2 == 0)
            CHECK_EQ(check_image(CM_CHECK_REPAIR).repaired, 1);
        else
            CHECK_EQ(cm_image_close(reopen()), 0);
        CHECK_EQ(disk.size, whole.size);
        is_fine();
    }
    image = reopen();
    CHECK(range_is(image, MIB, 512, 5));
    CHECK_EQ(cm_image_close(image), 0);
    memory_store_free(&whole);
}

static void a_failed_shrink_of_a_fixed_image_changes_nothing(void)
{
    struct cm_image *image = create(CM_OPEN_FIXED, 2 * MIB, 0);

    fill(image, MIB, 65536, 5);
    disk.size_max = 512; /* it cannot be made shorter either */
    CHECK_EQ(cm_image_resize(image, MIB + 512), CM_ENOSPC);
    disk.size_max = 0;
    image = close_and_reopen(image);
    CHECK_EQ(size_of(image), 2 * MIB);
    CHECK(range_is(image, MIB, 65536, 5));
    CHECK_EQ(cm_image_close(image), 0);
    is_fine();
}

/* -- what others see --------------------------------------------------------------------------- */

static void extents_tell_what_is_taken(void)
{
    struct cm_image *image = create(0, 64 * MIB, 0);
    struct cm_extent extent;

    fill(image, 3 * BLOCK, 512, 1);
    CHECK_EQ(cm_image_extent(image, 512, 60 * MIB, &extent), 0);
    CHECK_EQ(extent.length, 3 * BLOCK - 512);
    CHECK_EQ(extent.flags, CM_EXTENT_ZERO);
    CHECK_EQ(cm_image_extent(image, 3 * BLOCK, 60 * MIB - 3 * BLOCK, &extent), 0);
    CHECK_EQ(extent.length, BLOCK);
    CHECK_EQ(extent.flags, CM_EXTENT_ALLOCATED);
    CHECK_EQ(extent.place % 4096, 0);
    CHECK_EQ(cm_image_extent(image, 4 * BLOCK, 60 * MIB - 4 * BLOCK, &extent), 0);
    CHECK_EQ(extent.length, 60 * MIB - 4 * BLOCK);
    CHECK_EQ(cm_image_close(image), 0);
}

/* -- damaged files ----------------------------------------------------------------------------- */

static void put32(uint64_t at, uint32_t value)
{
    unsigned char bytes[4];

    cm_put_be32(bytes, value);
    memory_store_poke(&disk, bytes, 4, at);
}

static uint32_t get32(uint64_t at)
{
    unsigned char bytes[4];

    memory_store_peek(&disk, bytes, 4, at);
    return cm_get_be32(bytes);
}

static void a_lost_footer_is_found_at_the_beginning(void)
{
    struct cm_image *image = create(0, 64 * MIB, 0);
    struct cm_image_info info;
    struct cm_check_result result;

    fill(image, 0, 512, 1);
    CHECK_EQ(cm_image_close(image), 0);
    memory_store_clear(&disk, disk.size - 512, 512);
    disk.read_only = 1;
    image = reopen();
    disk.read_only = 0;
    CHECK_EQ(cm_image_get_info(image, &info), 0);
    CHECK(info.was_dirty);
    CHECK(range_is(image, 0, 512, 1));
    CHECK_EQ(cm_image_close(image), 0);
    result = check_image(0);
    CHECK_EQ(result.wastes, 1);
    CHECK_EQ(result.repaired, 0);
    result = check_image(CM_CHECK_REPAIR);
    CHECK_EQ(result.repaired, 1);
    is_fine();
    memory_store_clear(&disk, disk.size - 512, 512);
    image = reopen(); /* a writer puts it there */
    CHECK_EQ(cm_image_get_info(image, &info), 0);
    CHECK(info.was_dirty);
    CHECK_EQ(cm_image_close(image), 0);
    is_fine();
}

static void a_damaged_copy_is_repaired(void)
{
    CHECK_EQ(cm_image_close(create(0, 64 * MIB, 0)), 0);
    put32(20, 0x12345678);
    CHECK_EQ(check_image(0).wastes, 1);
    CHECK_EQ(check_image(CM_CHECK_REPAIR).repaired, 1);
    is_fine();
}

static void blocks_of_wrong_entries_are_refused_and_so_are_writers(void)
{
    struct cm_image *image = create(0, 64 * MIB, 0);
    struct cm_image_options writing = options_for(0, 0),
                            reading = options_for(CM_OPEN_READ_ONLY, 0);
    unsigned char data[512] = {1};

    for (unsigned i = 0; i < 6; i++)
        fill(image, i * BLOCK, 512, (unsigned char)(i + 1));
    CHECK_EQ(cm_image_close(image), 0);
    put32(4096 + 4 * 1, 0xfffffffe);          /* beyond the end */
    put32(4096 + 4 * 2, 1);                   /* over the header */
    put32(4096 + 4 * 3, get32(4096 + 4 * 4)); /* over another */
    open_with(&writing, CM_EDAMAGED);
    disk.read_only = 1;
    image = open_with(&reading, 0);
    disk.read_only = 0;
    CHECK(range_is(image, 0, 512, 1));
    CHECK(range_is(image, 5 * BLOCK, 512, 6));
    for (unsigned i = 1; i < 5; i++)
        CHECK_EQ(cm_image_read(image, data, 512, i * BLOCK), CM_EDAMAGED);
    CHECK_EQ(cm_image_close(image), 0);
    CHECK_EQ(check_image(0).errors, 4);
}

/* What is missing does not become zeros of a file that seems whole. */
static void a_file_that_was_cut_off_is_never_written_to(void)
{
    static const unsigned cuts[] = {513, 600, 1023, 1024, 2000, 3000, 4000, 65536};
    struct cm_image_options writing = options_for(0, 0);
    struct cm_store *store;
    struct cm_image *image = create(0, 64 * MIB, 0);

    fill(image, 0, 512, 1);
    fill(image, 2 * BLOCK - 65536, 65536, 2);
    CHECK_EQ(cm_image_close(image), 0);
    memory_store_copy(&disk, &whole);
    for (unsigned i = 0; i < sizeof(cuts) / sizeof(cuts[0]); i++) {
        memory_store_free(&disk);
        memory_store_copy(&whole, &disk);
        memory_store_set_size(&disk, whole.size - cuts[i]);
        CHECK_EQ(check_image(0).errors, 1);
        CHECK_EQ(check_image(CM_CHECK_REPAIR).repaired, 0);
        open_with(&writing, CM_EDAMAGED);
        CHECK(strstr(cm_last_error(), "cut off") != NULL);
        CHECK_EQ(compact(), CM_EDAMAGED);
        store = memory_store_new(&disk);
        CHECK_EQ(cm_vhd_container.rebase(store, NULL, CM_REBASE_TRUST, NULL, NULL), CM_EDAMAGED);
        cm_store_close(store);
        CHECK_EQ(disk.size, whole.size - cuts[i]);
        CHECK_EQ(disk.writes, 0);
    }
    memory_store_free(&whole);
}

static void bits_of_a_dynamic_image_are_obeyed(void)
{
    struct cm_image *image = create(0, 64 * MIB, 0);
    uint64_t bitmap;

    fill(image, 0, 65536, 7);
    CHECK_EQ(cm_image_close(image), 0);
    bitmap = get32(4096) * UINT64_C(512);
    put32(bitmap, 0xf0ffffff); /* without sectors 4 to 7 */
    image = reopen();
    CHECK(range_is(image, 0, 2048, 7));
    CHECK(range_is(image, 2048, 2048, 0));
    CHECK(range_is(image, 4096, 4096, 7));
    fill(image, 2048, 512, 8);
    CHECK(range_is(image, 2560, 1536, 0));
    image = close_and_reopen(image);
    CHECK(range_is(image, 2048, 512, 8));
    CHECK(range_is(image, 2560, 1536, 0));
    CHECK_EQ(get32(bitmap), 0xf8ffffff);
    CHECK_EQ(cm_image_close(image), 0);
}

static void any_byte_of_the_structures_may_be_wrong(void)
{
    uint64_t seed = check_seed();
    unsigned char saved[8192], data[512];
    struct cm_image *image = create(0, 64 * MIB, 0);
    uint64_t size;

    fill(image, 0, 512, 1);
    CHECK_EQ(cm_image_close(image), 0);
    size = disk.size;
    memory_store_peek(&disk, saved, sizeof(saved), 0);
    for (unsigned i = 0; i < 2000; i++) {
        struct cm_image_options options = options_for(CM_OPEN_READ_ONLY, 0);
        unsigned char byte = (unsigned char)check_random(&seed);
        struct cm_store *store;

        memory_store_poke(&disk, &byte, 1, check_random(&seed) % 4300);
        disk.read_only = 1;
        store = memory_store_new(&disk);
        disk.read_only = 0;
        if (cm_vhd_open_store(store, &options, &image) == 0) {
            (void)cm_image_read(image, data, 512, 0);
            (void)cm_image_close(image);
        } else {
            cm_store_close(store);
        }
        if (i % 10 == 0)
            memory_store_poke(&disk, saved, sizeof(saved), 0);
    }
    CHECK_EQ(disk.size, size);
}

static void what_is_no_vhd_is_refused(void)
{
    struct cm_image_options options = options_for(0, 0);
    unsigned char junk[2048];

    memory_store_free(&disk);
    memset(&disk, 0, sizeof(disk));
    open_with(&options, CM_EFORMAT);
    memset(junk, 0xa5, sizeof(junk));
    memory_store_poke(&disk, junk, sizeof(junk), 0);
    open_with(&options, CM_EFORMAT);
    CHECK(strstr(cm_last_error(), "raw:memory.img") != NULL);
    CHECK_EQ(cm_image_close(create(0, 64 * MIB, 0)), 0);
    disk.size = 4160; /* cut off: the copy is there, the table is not all */
    open_with(&options, CM_EDAMAGED);
    CHECK_EQ(cm_image_close(create(CM_OPEN_FIXED, 1 * MIB, 0)), 0);
    disk.size -= 512;
    open_with(&options, CM_EFORMAT);
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        CHECK_TEST(a_fixed_image_keeps_what_is_written),
        CHECK_TEST(a_dynamic_image_keeps_what_is_written),
        CHECK_TEST(random_writes_and_trims_are_as_in_memory),
        CHECK_TEST(zeros_take_no_space),
        CHECK_TEST(a_fixed_image_keeps_its_space),
        CHECK_TEST(a_trimmed_block_is_taken_again),
        CHECK_TEST(a_trim_without_holes_gives_zeros),
        CHECK_TEST(compacting_moves_blocks_to_the_front),
        CHECK_TEST(a_new_block_costs_one_flush),
        CHECK_TEST(a_failed_flush_is_not_forgotten),
        CHECK_TEST(after_a_failed_flush_changes_are_still_written_by_themselves),
        CHECK_TEST(no_space_leaves_a_valid_image),
        CHECK_TEST(a_discarded_image_is_not_cut_by_what_it_did_not_commit),
        CHECK_TEST(both_kinds_grow_and_shrink),
        CHECK_TEST(compacting_may_be_cut_anywhere),
        CHECK_TEST(a_resize_may_be_cut_anywhere),
        CHECK_TEST(a_padded_fixed_image_is_found_and_made_right),
        CHECK_TEST(a_failed_shrink_of_a_fixed_image_changes_nothing),
        CHECK_TEST(the_largest_disk_is_made_and_opened),
        CHECK_TEST(impossible_wishes_are_refused),
        CHECK_TEST(extents_tell_what_is_taken),
        CHECK_TEST(a_lost_footer_is_found_at_the_beginning),
        CHECK_TEST(a_damaged_copy_is_repaired),
        CHECK_TEST(blocks_of_wrong_entries_are_refused_and_so_are_writers),
        CHECK_TEST(a_file_that_was_cut_off_is_never_written_to),
        CHECK_TEST(bits_of_a_dynamic_image_are_obeyed),
        CHECK_TEST(any_byte_of_the_structures_may_be_wrong),
        CHECK_TEST(what_is_no_vhd_is_refused),
    };
    int result = check_main(argc, argv, tests, sizeof(tests) / sizeof(tests[0]));

    memory_store_free(&disk);
    return result;
}
