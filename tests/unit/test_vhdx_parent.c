/* SPDX-License-Identifier: MIT */
/*
 * test_vhdx_parent.c - differencing VHDX: what is read where both have something, what hides a parent, and which parents
 * are refused. Over files, because parents are found by their names.
 */
#include "images/vhdx/parts.h"
#include "tests/unit/chain.h"

#define GIB (UINT64_C(1) << 30)

/* -- what is read ------------------------------------------------------------------------------ */

static void what_a_child_does_not_have_its_parents_have(void)
{
    struct cm_image *image = chain_make("base.vhdx", NULL, 16 * MIB, MIB);

    chain_put(image, 0, 16 * MIB, 1);
    chain_close(image);
    image = chain_make("middle.vhdx", "base.vhdx", 0, MIB);
    chain_put(image, 4 * MIB, 8 * MIB, 2);
    chain_close(image);
    image = chain_make("child.vhdx", "middle.vhdx", 0, 2 * MIB);
    chain_put(image, 6 * MIB, 2 * MIB, 3);
    chain_close(image);

    image = chain_open("child.vhdx", CM_OPEN_READ_ONLY);
    CHECK(chain_is(image, 0, 4 * MIB, 1));
    CHECK(chain_is(image, 4 * MIB, 2 * MIB, 2));
    CHECK(chain_is(image, 6 * MIB, 2 * MIB, 3));
    CHECK(chain_is(image, 8 * MIB, 4 * MIB, 2));
    CHECK(chain_is(image, 12 * MIB, 4 * MIB, 1));
    chain_close(image);
    image = chain_open("middle.vhdx", CM_OPEN_READ_ONLY);
    CHECK(chain_is(image, 4 * MIB, 8 * MIB, 2));
    chain_close(image);
    CHECK(chain_is_sound("child.vhdx"));
}

/* One write into a child of blocks of 1 MiB: all around it is the parent's, before and after a reopen. */
static void write_one(uint64_t offset, uint32_t length, uint32_t sector)
{
    struct cm_image *image = chain_make("child.vhdx", "base.vhdx", 0, MIB);
    uint64_t before = offset >= 4 * sector ? 4 * sector : offset;
    uint64_t after = 4 * sector;

    chain_put(image, offset, length, 2);
    for (unsigned round = 0; round < 2; round++) {
        CHECK(chain_is(image, offset - before, before, 1));
        CHECK(chain_is(image, offset, length, 2));
        CHECK(chain_is(image, offset + length, after, 1));
        chain_close(image);
        image = chain_open("child.vhdx", round == 0 ? 0 : CM_OPEN_READ_ONLY);
    }
    chain_close(image);
    CHECK(chain_is_sound("child.vhdx"));
}

/* Of a bitmap: of bits, of bytes, of blocks, of pages of 4 KiB, and of the blocks that hold bitmaps. */
static void try_edges(uint32_t sector)
{
    const uint64_t edges[] = {
        0, 8 * sector, MIB, 2 * MIB, 32768 * (uint64_t)sector, 8388608 * (uint64_t)sector,
    };
    struct cm_image_options options = {
        .size = 40 * GIB, .block_size = 16 * MIB, .sector_size = sector};
    struct cm_image *base = chain_make_with("base.vhdx", options);

    for (unsigned i = 0; i < sizeof(edges) / sizeof(edges[0]); i++)
        chain_put(base, edges[i] >= MIB ? edges[i] - MIB : 0, 2 * MIB + 16 * (uint64_t)sector, 1);
    chain_close(base);
    for (unsigned i = 0; i < sizeof(edges) / sizeof(edges[0]); i++) {
        write_one(edges[i], sector, sector);
        write_one(edges[i] + sector, 8 * sector, sector);
        if (edges[i] > 0) {
            write_one(edges[i] - sector, sector, sector);
            write_one(edges[i] - sector, 2 * sector, sector);
            write_one(edges[i] - 7 * sector, 9 * sector, sector);
        }
    }
    write_one(MIB, MIB, sector);
    write_one(MIB - sector, MIB + 2 * sector, sector);
}

static void a_block_that_is_partly_here_has_both_at_every_edge(void)
{
    try_edges(512);
}

static void and_so_with_sectors_of_4096(void)
{
    try_edges(4096);
}

static void a_child_may_be_larger_than_its_parent(void)
{
    struct cm_image *image = chain_make("base.vhdx", NULL, 5 * MIB + 4096, MIB);

    chain_put(image, 0, 5 * MIB + 4096, 1);
    chain_close(image);
    image = chain_make("child.vhdx", "base.vhdx", 16 * MIB, MIB);
    CHECK(chain_is(image, 4 * MIB, MIB + 4096, 1));
    CHECK(chain_is(image, 5 * MIB + 4096, 11 * MIB - 4096, 0));
    chain_put(image, 5 * MIB + 2048, 4096, 2);
    chain_close(image);
    image = chain_open("child.vhdx", 0);
    CHECK(chain_is(image, 5 * MIB, 2048, 1));
    CHECK(chain_is(image, 5 * MIB + 2048, 4096, 2));
    CHECK(chain_is(image, 5 * MIB + 6144, 11 * MIB - 6144, 0));
    CHECK_EQ(cm_image_resize(image, 32 * MIB), 0);
    CHECK(chain_is(image, 16 * MIB, 16 * MIB, 0));
    CHECK(chain_is(image, 0, 5 * MIB, 1));
    chain_close(image);
    CHECK(chain_is_sound("child.vhdx"));
}

static void extents_tell_who_has_what(void)
{
    struct cm_image *image = chain_make("base.vhdx", NULL, 16 * MIB, MIB);
    struct cm_extent extent;

    chain_put(image, 0, 4 * MIB, 1);
    chain_close(image);
    image = chain_make("child.vhdx", "base.vhdx", 0, MIB);
    chain_put(image, MIB, MIB, 2);
    chain_put(image, 2 * MIB, 4096, 2);
    CHECK_EQ(cm_image_trim(image, 3 * MIB, MIB), 0);
    CHECK_EQ(cm_image_extent(image, 0, 16 * MIB, &extent), 0);
    CHECK(extent.depth == 1 && extent.flags == CM_EXTENT_ALLOCATED && extent.length == MIB);
    CHECK_EQ(cm_image_extent(image, MIB, MIB, &extent), 0);
    CHECK(extent.depth == 0 && extent.flags == CM_EXTENT_ALLOCATED);
    CHECK_EQ(cm_image_extent(image, 2 * MIB, MIB, &extent), 0);
    CHECK(extent.depth == 0 && extent.length == 4096);
    CHECK_EQ(cm_image_extent(image, 2 * MIB + 4096, 14 * MIB - 4096, &extent), 0);
    CHECK(extent.depth == 1 && extent.length == MIB - 4096);
    CHECK_EQ(cm_image_extent(image, 3 * MIB, 13 * MIB, &extent), 0);
    CHECK(extent.depth == 0 && extent.flags == CM_EXTENT_ZERO && extent.length == MIB);
    CHECK_EQ(cm_image_extent(image, 4 * MIB, 12 * MIB, &extent), 0);
    CHECK(extent.depth >= 1 && extent.flags == CM_EXTENT_ZERO);
    chain_close(image);
}

/* -- what hides a parent ----------------------------------------------------------------------- */

static void trims_hide_the_parent(void)
{
    struct cm_image *image = chain_make("base.vhdx", NULL, 16 * MIB, MIB);

    chain_put(image, 0, 16 * MIB, 1);
    chain_close(image);
    image = chain_make("child.vhdx", "base.vhdx", 0, MIB);
    chain_put(image, 5 * MIB, 4096, 2);
    CHECK_EQ(cm_image_trim(image, 2 * MIB + 512, 4 * MIB), 0);
    CHECK_EQ(cm_image_trim(image, 12 * MIB - 512, 1024), 0);
    for (unsigned round = 0; round < 2; round++) {
        CHECK(chain_is(image, 2 * MIB, 512, 1));
        CHECK(chain_is(image, 2 * MIB + 512, 4 * MIB, 0));
        CHECK(chain_is(image, 6 * MIB + 512, MIB - 512, 1));
        CHECK(chain_is(image, 12 * MIB - 512, 1024, 0));
        CHECK(chain_is(image, 12 * MIB + 512, 512, 1));
        chain_close(image);
        image = chain_open("child.vhdx", 0);
    }
    chain_put(image, 4 * MIB + 8192, 512,
              3); /* in a block that was trimmed: its rest stays zeros */
    CHECK(chain_is(image, 4 * MIB, 8192, 0));
    CHECK(chain_is(image, 4 * MIB + 8192, 512, 3));
    CHECK(chain_is(image, 4 * MIB + 8704, MIB - 8704, 0));
    chain_close(image);
    CHECK(chain_is_sound("child.vhdx"));
}

static void zeros_that_are_written_hide_the_parent(void)
{
    struct cm_image *image = chain_make("base.vhdx", NULL, 16 * MIB, MIB);

    chain_put(image, 0, 16 * MIB, 1);
    chain_close(image);
    image = chain_make("child.vhdx", "base.vhdx", 0, MIB);
    chain_put(image, 0, 2 * MIB, 0);
    chain_put(image, 8 * MIB - 512, 1024, 0);
    for (unsigned round = 0; round < 2; round++) {
        CHECK(chain_is(image, 0, 2 * MIB, 0));
        CHECK(chain_is(image, 2 * MIB, 6 * MIB - 512, 1));
        CHECK(chain_is(image, 8 * MIB - 512, 1024, 0));
        CHECK(chain_is(image, 8 * MIB + 512, MIB, 1));
        chain_close(image);
        image = chain_open("child.vhdx", 0);
    }
    chain_close(image);
    CHECK(chain_is_sound("child.vhdx"));
}

/* -- at random --------------------------------------------------------------------------------- */

#define DISK (8u * MIB)
#define LEVELS 4u

static void one_step(struct cm_image *image, unsigned char *model, uint64_t *random)
{
    uint32_t length = (uint32_t)(check_random(random) % (check_random(random) % 4 ? 40 : 5000) + 1);
    uint32_t offset;
    unsigned char value = (unsigned char)check_random(random);

    length *= 512;
    offset = (uint32_t)(check_random(random) % ((DISK - length) / 512)) * 512;
    if (check_random(random) % 4 == 0) {
        CHECK_EQ(cm_image_trim(image, offset, length), 0);
        memset(model + offset, 0, length);
    } else {
        value = check_random(random) % 8 == 0 ? 0 : value;
        chain_put(image, offset, length, value);
        memset(model + offset, value, length);
    }
}

/* Each level is upon the one before; all are what they were when the next one was made. */
static void chains_agree_with_models_at_random(void)
{
    static const char *const names[LEVELS] = {"r0.vhdx", "r1.vhdx", "r2.vhdx", "r3.vhdx"};
    static unsigned char models[LEVELS][DISK];
    uint64_t random = check_seed();

    memset(models, 0, sizeof(models));
    for (unsigned level = 0; level < LEVELS; level++) {
        struct cm_image *image = chain_make(names[level], level > 0 ? names[level - 1] : NULL, DISK,
                                            MIB << check_random(&random) % 3);

        if (level > 0)
            memcpy(models[level], models[level - 1], DISK);
        for (unsigned i = 0; i < 60; i++) {
            one_step(image, models[level], &random);
            if (check_random(&random) % 16 != 0)
                continue;
            chain_close(image);
            image = chain_open(names[level], 0);
        }
        chain_close(image);
    }
    for (unsigned level = 0; level < LEVELS; level++)
        CHECK(chain_has(names[level], models[level], DISK));
    CHECK(chain_is_sound(names[LEVELS - 1]));
}

/* -- which parents are refused ----------------------------------------------------------------- */

static void make_pair(void)
{
    struct cm_image *image = chain_make("base.vhdx", NULL, 16 * MIB, MIB);

    chain_put(image, 0, MIB, 1);
    chain_close(image);
    chain_close(chain_make("child.vhdx", "base.vhdx", 0, MIB));
}

static void a_missing_parent_is_named(void)
{
    make_pair();
    CHECK_EQ(cm_os_file_remove("base.vhdx"), 0);
    CHECK_EQ(chain_open_error("child.vhdx", 0), CM_ENOENT);
    CHECK(strstr(cm_last_error(), "base.vhdx") != NULL);
    CHECK(strstr(cm_last_error(), "child.vhdx") != NULL);
}

static void a_parent_that_was_changed_is_refused(void)
{
    struct cm_image *image;

    make_pair();
    image = chain_open("base.vhdx", 0);
    chain_put(image, 0, 512, 2);
    chain_close(image);
    CHECK_EQ(chain_open_error("child.vhdx", 0), CM_EDAMAGED);
    CHECK(strstr(cm_last_error(), "base.vhdx was changed") != NULL);
    CHECK_EQ(chain_open_error("child.vhdx", CM_OPEN_READ_ONLY), CM_EDAMAGED);
}

static void a_parent_that_was_only_opened_is_not(void)
{
    make_pair();
    chain_close(chain_open("base.vhdx", 0));
    CHECK_EQ(chain_open_error("child.vhdx", 0), 0);
}

static void nobody_writes_to_a_parent_that_is_in_use(void)
{
    struct cm_image *child;

    make_pair();
    child = chain_open("child.vhdx", 0);
    CHECK_EQ(chain_open_error("base.vhdx", 0), CM_EBUSY);
    CHECK_EQ(chain_open_error("base.vhdx", CM_OPEN_READ_ONLY), 0);
    chain_close(child);
}

/* Two files of one image: the child is upon the one, the other is put upon the child, and then takes the place of the one.
 * So everyone's identifier is the one that is asked for. */
static void parents_that_go_round_are_refused(void)
{
    make_pair();
    chain_close(chain_make("one.vhdx", "base.vhdx", 0, MIB));
    chain_copy_file("one.vhdx", "other.vhdx");
    chain_close(chain_make("child.vhdx", "one.vhdx", 0, MIB));
    CHECK_EQ(cm_image_rebase("other.vhdx", "child.vhdx", CM_REBASE_TRUST, NULL, NULL), 0);
    chain_copy_file("other.vhdx", "one.vhdx");
    CHECK_EQ(chain_open_error("child.vhdx", CM_OPEN_READ_ONLY), CM_EDAMAGED);
    CHECK(strstr(cm_last_error(), "circle") != NULL);
}

static void an_image_may_have_32_parents_and_not_more(void)
{
    struct cm_image_options options = {.struct_size = sizeof(options), .flags = CM_OPEN_CREATE};
    char name[32], parent[32] = "d0.vhdx";
    struct cm_image *image = chain_make(parent, NULL, 4 * MIB, MIB);
    int error = 0;

    chain_put(image, 0, MIB, 7);
    chain_close(image);
    for (unsigned depth = 1; depth <= 33 && error == 0; depth++) {
        snprintf(name, sizeof(name), "d%u.vhdx", depth);
        (void)cm_os_file_remove(name);
        options.parent = parent;
        error = cm_image_open(name, &options, &image);
        if (error == 0 && depth == 32)
            CHECK(chain_is(image, 0, MIB, 7));
        CHECK_EQ(error, depth <= 32 ? 0 : CM_EDAMAGED);
        if (error == 0)
            chain_close(image);
        strcpy(parent, name);
    }
}

static void a_child_that_does_not_fit_is_not_made(void)
{
    struct cm_image_options options = {.struct_size = sizeof(options),
                                       .flags = CM_OPEN_CREATE,
                                       .size = 8 * MIB,
                                       .parent = "base.vhdx"};
    struct cm_image *image;

    make_pair();
    (void)cm_os_file_remove("other.vhdx");
    CHECK_EQ(cm_image_open("other.vhdx", &options, &image), CM_EINVAL);
    options.size = 0;
    options.sector_size = 4096;
    CHECK_EQ(cm_image_open("other.vhdx", &options, &image), CM_EINVAL);
    CHECK_EQ(chain_open_error("other.vhdx", 0), CM_ENOENT);
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        CHECK_TEST(what_a_child_does_not_have_its_parents_have),
        CHECK_TEST(a_block_that_is_partly_here_has_both_at_every_edge),
        CHECK_TEST(and_so_with_sectors_of_4096),
        CHECK_TEST(a_child_may_be_larger_than_its_parent),
        CHECK_TEST(extents_tell_who_has_what),
        CHECK_TEST(trims_hide_the_parent),
        CHECK_TEST(zeros_that_are_written_hide_the_parent),
        CHECK_TEST(chains_agree_with_models_at_random),
        CHECK_TEST(a_missing_parent_is_named),
        CHECK_TEST(a_parent_that_was_changed_is_refused),
        CHECK_TEST(a_parent_that_was_only_opened_is_not),
        CHECK_TEST(nobody_writes_to_a_parent_that_is_in_use),
        CHECK_TEST(parents_that_go_round_are_refused),
        CHECK_TEST(an_image_may_have_32_parents_and_not_more),
        CHECK_TEST(a_child_that_does_not_fit_is_not_made),
    };

    return check_main(argc, argv, tests, sizeof(tests) / sizeof(tests[0]));
}
