/* SPDX-License-Identifier: MIT */
/*
 * test_vhdx_compact.c - a VHDX file made smaller: how small, that its content stays, and what is there when the work is
 * interrupted.
 */
#include "images/vhdx/vhdx.h"
#include "tests/unit/chain.h"
#include "tests/unit/cuts.h"
#include "tests/unit/memory_store.h"

#define DISK (32u * MIB)
#define STRUCTURES (4u * MIB) /* of a small image: the first MiB, log, metadata, BAT */

/* -- images in memory -------------------------------------------------------------------------- */

static struct cm_image *open_memory(struct memory_store *memory,
                                    const struct cm_image_options *options)
{
    struct cm_store *store = memory_store_new(memory);
    struct cm_image *image = NULL;

    if (!CHECK_EQ(cm_vhdx_open_store(store, options, &image), 0)) {
        printf("%s\n", cm_last_error());
        exit(1);
    }
    return image;
}

static struct cm_image *make(struct memory_store *memory, uint64_t size, uint32_t block_size)
{
    struct cm_image_options options = {.struct_size = sizeof(options),
                                       .flags = CM_OPEN_CREATE,
                                       .size = size,
                                       .block_size = block_size};

    memset(memory, 0, sizeof(*memory));
    return open_memory(memory, &options);
}

static struct cm_image *open_again(struct memory_store *memory, int read_only)
{
    struct cm_image_options options = {.struct_size = sizeof(options)};
    struct cm_image *image;

    options.flags = read_only ? CM_OPEN_READ_ONLY : 0;
    memory->read_only = read_only;
    image = open_memory(memory, &options);
    memory->read_only = 0;
    return image;
}

static int compact(struct memory_store *memory, cm_progress *progress, void *context)
{
    struct cm_store *store = memory_store_new(memory);
    int error = cm_vhdx_compact(store, progress, context);

    cm_store_close(store);
    return error;
}

/* No errors; *wastes as it was found. */
static int is_sound(struct memory_store *memory, uint64_t *wastes)
{
    char name[] = "found";
    struct cm_check_options options = {
        .struct_size = sizeof(options), .report = chain_print_finding, .context = name};
    struct cm_check_result result = {0};
    struct cm_store *store;
    int error;

    memory->read_only = 1;
    store = memory_store_new(memory);
    error = cm_vhdx_container.check(store, &options, &result);
    cm_store_close(store);
    memory->read_only = 0;
    *wastes = result.wastes;
    return CHECK_EQ(error, 0) && CHECK_EQ(result.errors, 0);
}

/* Every MiB of the disk has a value of its own, or is zeros. */
static void put_values(struct cm_image *image, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        chain_put(image, i * (uint64_t)MIB, MIB, (unsigned char)(i + 1));
}

/* -- how small --------------------------------------------------------------------------------- */

static void a_file_of_which_half_was_trimmed_is_half_as_large(void)
{
    struct memory_store memory;
    struct cm_image *image = make(&memory, DISK, MIB);
    uint64_t wastes;

    put_values(image, 32);
    CHECK_EQ(cm_image_trim(image, 0, 16 * MIB), 0);
    chain_close(image);
    CHECK(memory.size > STRUCTURES + 16 * MIB);
    CHECK_EQ(compact(&memory, NULL, NULL), 0);
    CHECK_EQ(memory.size, STRUCTURES + 16 * MIB);
    CHECK(is_sound(&memory, &wastes));
    CHECK_EQ(wastes, 0);
    image = open_again(&memory, 1);
    CHECK(chain_is(image, 0, 16 * MIB, 0));
    for (unsigned i = 16; i < 32; i++)
        CHECK(chain_is(image, i * (uint64_t)MIB, MIB, (unsigned char)(i + 1)));
    chain_close(image);
    memory_store_free(&memory);
}

static void blocks_of_zeros_are_given_up(void)
{
    struct memory_store memory;
    struct cm_image *image = make(&memory, DISK, 4 * MIB);

    put_values(image, 32);
    chain_put(image, 4 * MIB, 8 * MIB, 0);
    chain_put(image, 16 * MIB, 4 * MIB - 512, 0); /* all but the last sector */
    chain_close(image);
    CHECK_EQ(compact(&memory, NULL, NULL), 0);
    CHECK_EQ(memory.size, STRUCTURES + 24 * MIB);
    image = open_again(&memory, 0);
    CHECK(chain_is(image, 4 * MIB, 8 * MIB, 0));
    CHECK(chain_is(image, 16 * MIB, 4 * MIB - 512, 0));
    CHECK(chain_is(image, 20 * MIB - 512, 512, 20));
    CHECK(chain_is(image, 20 * MIB, MIB, 21));
    put_values(image, 32); /* it goes on growing as it should */
    chain_close(image);
    image = open_again(&memory, 1);
    for (unsigned i = 0; i < 32; i++)
        CHECK(chain_is(image, i * (uint64_t)MIB, MIB, (unsigned char)(i + 1)));
    chain_close(image);
    memory_store_free(&memory);
}

static void what_cannot_get_smaller_is_left_as_it_is(void)
{
    struct memory_store memory;
    struct cm_image *image = make(&memory, DISK, MIB);
    uint64_t writes;

    put_values(image, 8);
    chain_close(image);
    writes = memory.writes;
    CHECK_EQ(compact(&memory, NULL, NULL), 0);
    CHECK_EQ(memory.writes, writes);
    memory_store_free(&memory);
}

/* An image of 1 GiB blocks' worth of nothing: all of it goes. */
static void an_image_of_zeros_has_its_structures_alone(void)
{
    struct memory_store memory;
    struct cm_image *image = make(&memory, 1024 * (uint64_t)MIB, 32 * MIB);

    put_values(image, 64);
    chain_put(image, 0, 64 * MIB, 0);
    chain_close(image);
    CHECK_EQ(compact(&memory, NULL, NULL), 0);
    CHECK_EQ(memory.size, STRUCTURES);
    memory_store_free(&memory);
}

static void a_fixed_image_is_refused(void)
{
    struct cm_image_options options = {.struct_size = sizeof(options),
                                       .flags = CM_OPEN_CREATE | CM_OPEN_FIXED,
                                       .size = 8 * MIB,
                                       .block_size = MIB};
    struct memory_store memory = {0};
    uint64_t size;

    chain_close(open_memory(&memory, &options));
    size = memory.size;
    CHECK_EQ(compact(&memory, NULL, NULL), CM_ENOTSUP);
    CHECK_EQ(memory.size, size);
    memory_store_free(&memory);
}

/* The entry of the second block says what that of the first one says. */
static void blocks_in_one_place_are_refused(void)
{
    struct memory_store memory;
    struct cm_image *image = make(&memory, DISK, MIB);
    unsigned char entry[8];

    put_values(image, 8);
    CHECK_EQ(cm_image_trim(image, 2 * MIB, MIB), 0);
    chain_close(image);
    memory_store_peek(&memory, entry, sizeof(entry), 3 * MIB);
    memory_store_poke(&memory, entry, sizeof(entry), 3 * MIB + 8);
    CHECK_EQ(compact(&memory, NULL, NULL), CM_EDAMAGED);
    memory_store_free(&memory);
}

/* -- differencing ------------------------------------------------------------------------------ */

static void make_family(void)
{
    struct cm_image *image = chain_make("base.vhdx", NULL, DISK, MIB);

    chain_put(image, 0, DISK, 1);
    chain_close(image);
    image = chain_make("child.vhdx", "base.vhdx", 0, MIB);
    chain_put(image, 0, 8 * MIB, 2);
    chain_put(image, 10 * MIB + 512, 4096, 3);
    chain_put(image, 20 * MIB, 4 * MIB, 4);
    CHECK_EQ(cm_image_trim(image, 2 * MIB, 4 * MIB), 0);
    chain_put(image, 20 * MIB, 2 * MIB, 0);
    chain_close(image);
    chain_close(chain_make("grandchild.vhdx", "child.vhdx", 0, MIB));
}

/* A block of zeros hides the parent, a part of one cannot be given up; and who is upon the image need not care. */
static void a_child_keeps_what_it_hides_and_its_own_children(void)
{
    unsigned char *before;
    uint64_t freed;

    make_family();
    before = chain_read_all("child.vhdx", DISK);
    CHECK_EQ(cm_image_compact("child.vhdx", NULL, NULL, &freed), 0);
    CHECK_EQ(freed, 6 * (uint64_t)MIB); /* four were trimmed, and two are zeros */
    CHECK(chain_has("child.vhdx", before, DISK));
    CHECK(chain_has("grandchild.vhdx", before, DISK));
    CHECK(chain_is_sound("grandchild.vhdx"));
    CHECK_EQ(cm_os_file_remove("base.vhdx"), 0);
    CHECK_EQ(cm_image_compact("child.vhdx", NULL, NULL, &freed), 0); /* nor the parent be there */
    CHECK_EQ(freed, 0);
    free(before);
}

/* The bitmap of the second chunk, of 4 GiB, is the last thing in the file, and moves. */
static void bitmaps_move_too(void)
{
    uint64_t far = UINT64_C(5) << 30;
    struct cm_image *image = chain_make("base.vhdx", NULL, far + DISK, MIB);
    uint64_t freed;

    chain_put(image, far, MIB, 1);
    chain_close(image);
    image = chain_make("child.vhdx", "base.vhdx", 0, MIB);
    chain_put(image, 0, 8 * MIB, 2);
    chain_put(image, 9 * MIB, 512, 3);
    chain_put(image, far + 512, 512, 4);
    CHECK_EQ(cm_image_trim(image, 0, 8 * MIB), 0);
    chain_close(image);
    CHECK_EQ(cm_image_compact("child.vhdx", NULL, NULL, &freed), 0);
    CHECK_EQ(freed, 8 * (uint64_t)MIB);
    image = chain_open("child.vhdx", 0);
    CHECK(chain_is(image, 0, 9 * MIB, 0));
    CHECK(chain_is(image, 9 * MIB, 512, 3));
    CHECK(chain_is(image, far, 512, 1));
    CHECK(chain_is(image, far + 512, 512, 4));
    CHECK(chain_is(image, far + 1024, MIB - 1024, 1));
    chain_close(image);
    CHECK(chain_is_sound("child.vhdx"));
}

/* -- interrupted ------------------------------------------------------------------------------- */

static int stop_after(void *context, uint64_t done, uint64_t all)
{
    unsigned *left = context;

    CHECK(done <= all);
    return (*left)-- == 0;
}

static void who_gives_up_keeps_what_was_done(void)
{
    struct memory_store memory;

    for (unsigned calls = 0; calls < 60; calls += 3) {
        struct cm_image *image = make(&memory, DISK, MIB);
        unsigned left = calls;
        uint64_t wastes, size;
        int error;

        put_values(image, 32);
        for (unsigned i = 0; i < 32; i += 2)
            CHECK_EQ(cm_image_trim(image, i * (uint64_t)MIB, MIB), 0);
        chain_close(image);
        size = memory.size;
        error = compact(&memory, stop_after, &left);
        CHECK(error == 0 || error == CM_ECANCELED);
        CHECK(memory.size <= size);
        CHECK(is_sound(&memory, &wastes));
        CHECK_EQ(compact(&memory, NULL, NULL), 0);
        CHECK_EQ(memory.size, STRUCTURES + 16 * MIB);
        image = open_again(&memory, 1);
        for (unsigned i = 0; i < 32; i++)
            CHECK(chain_is(image, i * (uint64_t)MIB, MIB, i % 2 ? (unsigned char)(i + 1) : 0));
        chain_close(image);
        memory_store_free(&memory);
    }
}

static int has_values(struct memory_store *memory, int read_only)
{
    struct cm_image *image = open_again(memory, read_only);
    int same = 1;

    for (unsigned i = 0; i < 16 && same; i++)
        same = chain_is(image, i * (uint64_t)MIB, MIB, i % 3 ? (unsigned char)(i + 1) : 0);
    chain_close(image);
    return same;
}

static void try_cut(const struct cut_record *record, unsigned at, enum cut_kind kind,
                    uint64_t *random)
{
    struct memory_store memory;
    uint64_t wastes;

    cut_leave(record, 0, at, kind, random, &memory);
    if (!CHECK(has_values(&memory, 1)) || !CHECK(is_sound(&memory, &wastes)))
        printf("cut behind event %u of %u, kind %d\n", at, record->count, (int)kind);
    CHECK_EQ(compact(&memory, NULL, NULL), 0);
    CHECK(has_values(&memory, 0));
    CHECK_EQ(memory.size, STRUCTURES + 10 * MIB);
    memory_store_free(&memory);
}

static void a_power_cut_anywhere_leaves_the_content(void)
{
    uint64_t random = check_seed();
    struct cut_record record = {0};
    struct memory_store memory;
    struct cm_image *image = make(&memory, 16 * MIB, MIB);

    put_values(image, 16);
    for (unsigned i = 0; i < 16; i += 3)
        chain_put(image, i * (uint64_t)MIB, MIB, 0);
    chain_close(image);
    cut_watch(&record, 0, &memory);
    CHECK_EQ(compact(&memory, NULL, NULL), 0);
    memory.watch = NULL;
    for (unsigned at = 0; at <= record.count; at++) {
        try_cut(&record, at, CUT_ALL, &random);
        try_cut(&record, at, CUT_NONE, &random);
        for (unsigned i = 0; i < 3; i++)
            try_cut(&record, at, CUT_SOME, &random);
    }
    CHECK(record.count > 20);
    cut_free(&record);
    memory_store_free(&memory);
}

static void a_storage_that_fails_anywhere_leaves_the_content(void)
{
    struct memory_store before, memory;
    struct cm_image *image = make(&before, 16 * MIB, MIB);
    int error = CM_EIO;

    put_values(image, 16);
    for (unsigned i = 0; i < 16; i += 3)
        chain_put(image, i * (uint64_t)MIB, MIB, 0);
    chain_close(image);
    for (unsigned changes = 0; error != 0 && changes < 1000; changes += 2) {
        memory_store_copy(&before, &memory);
        memory.fail = CM_EIO;
        memory.fail_after = changes;
        error = compact(&memory, NULL, NULL);
        memory.fail = 0;
        CHECK(has_values(&memory, 1));
        CHECK(has_values(&memory, 0));
        memory_store_free(&memory);
    }
    CHECK_EQ(error, 0);
    memory_store_free(&before);
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        CHECK_TEST(a_file_of_which_half_was_trimmed_is_half_as_large),
        CHECK_TEST(blocks_of_zeros_are_given_up),
        CHECK_TEST(what_cannot_get_smaller_is_left_as_it_is),
        CHECK_TEST(an_image_of_zeros_has_its_structures_alone),
        CHECK_TEST(a_fixed_image_is_refused),
        CHECK_TEST(blocks_in_one_place_are_refused),
        CHECK_TEST(a_child_keeps_what_it_hides_and_its_own_children),
        CHECK_TEST(bitmaps_move_too),
        CHECK_TEST(who_gives_up_keeps_what_was_done),
        CHECK_TEST(a_power_cut_anywhere_leaves_the_content),
        CHECK_TEST(a_storage_that_fails_anywhere_leaves_the_content),
    };

    return check_main(argc, argv, tests, sizeof(tests) / sizeof(tests[0]));
}
