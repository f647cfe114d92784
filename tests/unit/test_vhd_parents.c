/* SPDX-License-Identifier: MIT */
/*
 * test_vhd_parents.c - differencing VHDs in files: what is in the child hides the parent, parents of parents, and parents
 * that are missing, replaced, of another size, or the child itself.
 */
#include "images/vhd/format.h"
#include "images/vhd/vhd.h"
#include "lib/core/bytes.h"
#include "lib/core/os.h"
#include "lib/core/utf16.h"
#include "tests/unit/check.h"
#include "tests/unit/filled.h"

#include <coremnt/image.h>

#define MIB UINT64_C(1048576)
#define SIZE (16 * MIB)
#define BLOCK (2 * MIB)

static void forget(const char *path)
{
    (void)cm_os_file_remove(path);
}

static struct cm_image *try_open(const char *path, uint32_t flags, const char *parent, int expected)
{
    struct cm_image_options options = {.struct_size = sizeof(options), .flags = flags};
    struct cm_image *image = NULL;

    options.parent = parent;
    if ((flags & CM_OPEN_CREATE) != 0 && parent == NULL)
        options.size = SIZE;
    if (!CHECK_EQ(cm_vhd_open(path, &options, &image), expected))
        printf("  %s\n", cm_last_error());
    return image;
}

/* A parent with a byte in its first two blocks, and an empty child. */
static void make_two(void)
{
    struct cm_image *parent;

    forget("parent.vhd");
    forget("child.vhd");
    parent = try_open("parent.vhd", CM_OPEN_CREATE, NULL, 0);
    fill(parent, 0, 65536, 1);
    fill(parent, BLOCK, 65536, 2);
    CHECK_EQ(cm_image_close(parent), 0);
    CHECK_EQ(cm_image_close(try_open("child.vhd", CM_OPEN_CREATE, "parent.vhd", 0)), 0);
}

static uint64_t check_errors(const char *path)
{
    struct cm_check_options options = {.struct_size = sizeof(options)};
    struct cm_image_options how = {.struct_size = sizeof(how), .flags = CM_OPEN_READ_ONLY};
    struct cm_check_result result = {0};
    struct cm_store *store;

    if (!CHECK_EQ(cm_store_open(path, &how, &store), 0))
        return 0;
    CHECK_EQ(cm_vhd_container.check(store, &options, &result), 0);
    cm_store_close(store);
    return result.errors;
}

/* -- content ----------------------------------------------------------------------------------- */

static void a_child_keeps_changes_to_itself(void)
{
    struct cm_image *child, *parent;
    struct cm_image_info info;

    make_two();
    child = try_open("child.vhd", 0, NULL, 0);
    CHECK(cm_image_parent(child) != NULL);
    CHECK(range_is(child, 0, 65536, 1));
    fill(child, 512, 512, 9);
    fill(child, 4 * BLOCK, 512, 8);
    for (unsigned turn = 0; turn < 2; turn++) {
        CHECK(range_is(child, 0, 512, 1));
        CHECK(range_is(child, 512, 512, 9));
        CHECK(range_is(child, 1024, 32768, 1));
        CHECK(range_is(child, BLOCK, 65536, 2));
        CHECK(range_is(child, 4 * BLOCK, 512, 8));
        CHECK(range_is(child, 4 * BLOCK + 512, 65536, 0));
        CHECK_EQ(cm_image_close(child), 0);
        child = try_open("child.vhd", 0, NULL, 0);
    }
    CHECK_EQ(cm_image_get_info(child, &info), 0);
    CHECK_EQ(info.layout, CM_LAYOUT_CHANGES);
    CHECK(!info.can_resize);
    CHECK_EQ(cm_image_close(child), 0);
    parent = try_open("parent.vhd", CM_OPEN_READ_ONLY, NULL, 0);
    CHECK(range_is(parent, 0, 65536, 1));
    CHECK_EQ(cm_image_close(parent), 0);
    CHECK_EQ(check_errors("child.vhd"), 0);
}

static void a_trim_hides_the_parent(void)
{
    struct cm_image *child;

    make_two();
    child = try_open("child.vhd", 0, NULL, 0);
    CHECK_EQ(cm_image_trim(child, 0, BLOCK), 0);
    CHECK_EQ(cm_image_trim(child, BLOCK + 4096, 4096), 0);
    for (unsigned turn = 0; turn < 2; turn++) {
        CHECK(range_is(child, 0, 65536, 0));
        CHECK(range_is(child, BLOCK, 4096, 2));
        CHECK(range_is(child, BLOCK + 4096, 4096, 0));
        CHECK(range_is(child, BLOCK + 8192, 4096, 2));
        CHECK_EQ(cm_image_close(child), 0);
        child = try_open("child.vhd", 0, NULL, 0);
    }
    CHECK_EQ(cm_image_close(child), 0);
}

static void extents_tell_whose_data_it_is(void)
{
    struct cm_extent extent;
    struct cm_image *child;

    make_two();
    child = try_open("child.vhd", 0, NULL, 0);
    fill(child, 512, 1024, 9);
    CHECK_EQ(cm_image_extent(child, 0, SIZE, &extent), 0);
    CHECK_EQ(extent.length, 512);
    CHECK_EQ(extent.depth, 1);
    CHECK_EQ(cm_image_extent(child, 512, SIZE - 512, &extent), 0);
    CHECK_EQ(extent.length, 1024);
    CHECK_EQ(extent.depth, 0);
    CHECK_EQ(cm_image_extent(child, 4 * BLOCK, SIZE - 4 * BLOCK, &extent), 0);
    CHECK_EQ(extent.length, SIZE - 4 * BLOCK);
    CHECK_EQ(extent.flags, CM_EXTENT_ZERO);
    CHECK_EQ(extent.depth, 2);
    CHECK_EQ(cm_image_close(child), 0);
}

static void random_changes_are_as_in_memory(void)
{
    uint64_t seed = check_seed();
    unsigned char *model = calloc(1, SIZE), *buffer = malloc(SIZE);
    struct cm_image *child;

    make_two();
    memset(model, 1, 65536);
    memset(model + BLOCK, 2, 65536);
    child = try_open("child.vhd", 0, NULL, 0);
    for (unsigned i = 0; i < 600 && child != NULL; i++) {
        uint32_t length = (uint32_t)(check_random(&seed) % 64 + 1) * 512;
        uint32_t offset = (uint32_t)(check_random(&seed) % (2 * BLOCK / 512)) * 512;
        unsigned char value = (unsigned char)check_random(&seed);

        if (i % 4 == 0) {
            CHECK_EQ(cm_image_trim(child, offset, length), 0);
            memset(model + offset, 0, length);
        } else {
            memset(buffer, value, length);
            memset(model + offset, value, length);
            CHECK_EQ(cm_image_write(child, buffer, length, offset, i % 9 == 0 ? CM_IMAGE_FUA : 0),
                     0);
        }
        if (i % 100 == 99) {
            CHECK_EQ(cm_image_close(child), 0);
            child = try_open("child.vhd", 0, NULL, 0);
        }
    }
    CHECK_EQ(cm_image_read(child, buffer, SIZE, 0), 0);
    CHECK(memcmp(buffer, model, SIZE) == 0);
    CHECK_EQ(cm_image_close(child), 0);
    CHECK_EQ(check_errors("child.vhd"), 0);
    free(model);
    free(buffer);
}

/* -- parents ----------------------------------------------------------------------------------- */

static void a_chain_is_read_through(void)
{
    char name[32], below[48];
    struct cm_image *image;

    make_two();
    strcpy(below, "child.vhd");
    for (unsigned i = 0; i < 31; i++) {
        snprintf(name, sizeof(name), "chain%u.vhd", i);
        forget(name);
        image = try_open(name, CM_OPEN_CREATE, below, i < 30 ? 0 : CM_EDAMAGED);
        if (image != NULL) {
            fill(image, 3 * BLOCK + i * 512, 512, (unsigned char)(i + 1));
            CHECK(range_is(image, 0, 65536, 1));
            CHECK(range_is(image, 3 * BLOCK, 512, 1));
            CHECK_EQ(cm_image_close(image), 0);
        }
        strcpy(below, name);
    }
    CHECK(strstr(cm_last_error(), "its own parent") != NULL);
    for (unsigned i = 0; i < 31; i++) {
        snprintf(name, sizeof(name), "chain%u.vhd", i);
        forget(name);
    }
}

/* In the bytes of child.vhd: its relative locator says wrong_.vhd, which is as long as what was there. */
static void name_relatively_wrong(void)
{
    static const char name[] = ".\\wrong_.vhd";
    struct cm_image_options how = {.struct_size = sizeof(how)};
    unsigned char entry[VHD_LOCATOR_SIZE], path[2 * sizeof(name)];
    size_t units = cm_utf8_to_utf16(name, path, sizeof(name), CM_UTF16_LITTLE);
    struct cm_store *store;

    CHECK_EQ(cm_store_open("child.vhd", &how, &store), 0);
    CHECK_EQ(cm_store_read(store, entry, sizeof(entry), VHD_FOOTER_SIZE + VHD_HEADER_LOCATORS), 0);
    CHECK_EQ(cm_get_be32(entry + 8), 2 * units);
    CHECK_EQ(cm_store_write(store, path, (uint32_t)(2 * units), cm_get_be64(entry + 16)), 0);
    cm_store_close(store);
}

static void a_missing_parent_is_named(void)
{
    make_two();
    forget("parent.vhd");
    try_open("child.vhd", 0, NULL, CM_ENOENT);
    CHECK(strstr(cm_last_error(), "parent.vhd") != NULL);
    CHECK_EQ(check_errors("child.vhd"), 1);
}

static void a_replaced_parent_is_refused(void)
{
    make_two();
    forget("parent.vhd");
    CHECK_EQ(cm_image_close(try_open("parent.vhd", CM_OPEN_CREATE, NULL, 0)), 0);
    try_open("child.vhd", 0, NULL, CM_EDAMAGED);
    CHECK(strstr(cm_last_error(), "identity") != NULL);
}

/* Under the relative name lies a file that is no VHD, or another one; the right one is where the absolute name says. */
static void a_file_of_the_right_name_that_is_another_is_passed_by(void)
{
    struct cm_image_options make = {.struct_size = sizeof(make), .flags = CM_OPEN_CREATE};
    struct cm_image *child;
    struct cm_store *garbage;

    make_two();
    name_relatively_wrong();
    for (unsigned turn = 0; turn < 2; turn++) {
        forget("wrong_.vhd");
        if (turn == 0) {
            CHECK_EQ(cm_store_open("wrong_.vhd", &make, &garbage), 0);
            CHECK_EQ(cm_store_resize(garbage, MIB), 0);
            cm_store_close(garbage);
        } else {
            CHECK_EQ(cm_image_close(try_open("wrong_.vhd", CM_OPEN_CREATE, NULL, 0)), 0);
        }
        child = try_open("child.vhd", 0, NULL, 0);
        CHECK(range_is(child, 0, 65536, 1));
        CHECK_EQ(cm_image_close(child), 0);
        CHECK_EQ(check_errors("child.vhd"), 0);
    }
    forget("parent.vhd");
    try_open("child.vhd", 0, NULL, CM_EDAMAGED);
    CHECK(strstr(cm_last_error(), "wrong_.vhd is not the parent") != NULL);
    CHECK_EQ(check_errors("child.vhd"), 1);
    forget("wrong_.vhd");
}

/* Each level has several names for its parent: were they all followed before the base is missed, 31 levels would take longer
 * than the sun has. */
static void a_base_that_is_missing_is_missed_at_once(void)
{
    char name[32], below[48] = "chain0.vhd";
    uint64_t start;

    forget(below);
    CHECK_EQ(cm_image_close(try_open(below, CM_OPEN_CREATE, NULL, 0)), 0);
    for (unsigned i = 1; i < 31; i++) {
        snprintf(name, sizeof(name), "chain%u.vhd", i);
        forget(name);
        CHECK_EQ(cm_image_close(try_open(name, CM_OPEN_CREATE, below, 0)), 0);
        strcpy(below, name);
    }
    forget("chain0.vhd");
    start = cm_os_now_ns();
    try_open("chain30.vhd", CM_OPEN_READ_ONLY, NULL, CM_ENOENT);
    CHECK(strstr(cm_last_error(), "the parent of ") != NULL);
    CHECK(strstr(cm_last_error(), "chain1.vhd is missing: ") != NULL);
    CHECK(strstr(cm_last_error(), "chain0.vhd. Put") != NULL);
    CHECK_EQ(check_errors("chain30.vhd"), 1);
    CHECK(cm_os_now_ns() - start < UINT64_C(5000000000));
    for (unsigned i = 1; i < 31; i++) {
        snprintf(name, sizeof(name), "chain%u.vhd", i);
        forget(name);
    }
}

static void a_parent_of_another_size_is_refused(void)
{
    struct cm_image *parent;

    make_two();
    parent = try_open("parent.vhd", 0, NULL, 0);
    CHECK_EQ(cm_image_resize(parent, 2 * SIZE), 0);
    CHECK_EQ(cm_image_close(parent), 0);
    try_open("child.vhd", 0, NULL, CM_EDAMAGED);
    CHECK(strstr(cm_last_error(), "resized") != NULL);
}

static void a_parent_that_is_no_vhd_is_refused(void)
{
    struct cm_image_options make = {.struct_size = sizeof(make), .flags = CM_OPEN_CREATE};
    struct cm_store *other;

    forget("other.vhd");
    forget("child2.vhd");
    CHECK_EQ(cm_store_open("other.vhd", &make, &other), 0);
    CHECK_EQ(cm_store_resize(other, MIB), 0);
    cm_store_close(other);
    try_open("child2.vhd", CM_OPEN_CREATE, "other.vhd", CM_EFORMAT);
    forget("other.vhd");
    try_open("child2.vhd", CM_OPEN_CREATE, "other.vhd", CM_ENOENT);
    CHECK(cm_os_file_remove("child2.vhd") != 0); /* nothing is left over */
}

static void a_parent_in_use_is_not_written(void)
{
    struct cm_image *child;

    make_two();
    child = try_open("child.vhd", 0, NULL, 0);
    try_open("parent.vhd", 0, NULL, CM_EBUSY);
    CHECK_EQ(cm_image_close(child), 0);
}

static void another_parent_can_be_named(void)
{
    struct cm_image_options how = {.struct_size = sizeof(how)};
    struct cm_store *store;
    struct cm_image *child;

    make_two();
    forget("moved.vhd");
    CHECK_EQ(cm_os_file_rename_new("parent.vhd", "moved.vhd"), 0);
    try_open("child.vhd", 0, NULL, CM_ENOENT);
    CHECK_EQ(cm_store_open("child.vhd", &how, &store), 0);
    CHECK_EQ(cm_vhd_container.rebase(store, "moved.vhd", CM_REBASE_TRUST, NULL, NULL), 0);
    cm_store_close(store);
    child = try_open("child.vhd", 0, NULL, 0);
    CHECK(range_is(child, 0, 65536, 1));
    fill(child, 0, 512, 5);
    CHECK_EQ(cm_image_close(child), 0);
    CHECK_EQ(check_errors("child.vhd"), 0);
    forget("moved.vhd");
}

/* -- commit and rebase ------------------------------------------------------------------------- */

static struct cm_store *open_store(const char *path)
{
    struct cm_image_options how = {.struct_size = sizeof(how)};
    struct cm_store *store = NULL;

    CHECK_EQ(cm_store_open(path, &how, &store), 0);
    return store;
}

/* In the child: changed, zeros over the parent's data, and data of its own; see make_two(). */
static void make_and_change(void)
{
    struct cm_image *child;

    make_two();
    child = try_open("child.vhd", 0, NULL, 0);
    fill(child, 512, 512, 9);
    CHECK_EQ(cm_image_trim(child, BLOCK, 4096), 0);
    fill(child, 4 * BLOCK, 512, 8);
    CHECK_EQ(cm_image_close(child), 0);
}

static void has_the_changes(const char *path)
{
    struct cm_image *image = try_open(path, CM_OPEN_READ_ONLY, NULL, 0);

    CHECK(range_is(image, 0, 512, 1));
    CHECK(range_is(image, 512, 512, 9));
    CHECK(range_is(image, 1024, 32768, 1));
    CHECK(range_is(image, BLOCK, 4096, 0));
    CHECK(range_is(image, BLOCK + 4096, 32768, 2));
    CHECK(range_is(image, 4 * BLOCK, 512, 8));
    CHECK(range_is(image, 4 * BLOCK + 512, 65536, 0));
    CHECK(range_is(image, 5 * BLOCK, 65536, 0));
    CHECK_EQ(cm_image_close(image), 0);
    CHECK_EQ(check_errors(path), 0);
}

static void a_child_is_merged_into_its_parent(void)
{
    struct cm_store *store;
    struct cm_extent extent;
    struct cm_image *child;

    make_and_change();
    store = open_store("child.vhd");
    CHECK_EQ(cm_vhd_container.commit(store, NULL, NULL), 0);
    cm_store_close(store);
    has_the_changes("parent.vhd");
    has_the_changes("child.vhd");
    child = try_open("child.vhd", CM_OPEN_READ_ONLY, NULL, 0);
    CHECK_EQ(cm_image_extent(child, 0, SIZE, &extent), 0);
    CHECK(extent.depth > 0);
    CHECK_EQ(cm_image_close(child), 0);
}

static void another_content_below_changes_nothing(void)
{
    struct cm_store *store;
    struct cm_image *other;

    make_and_change();
    forget("other.vhd");
    other = try_open("other.vhd", CM_OPEN_CREATE, NULL, 0);
    fill(other, 0, 65536, 1);
    fill(other, BLOCK, 65536, 77);
    fill(other, 5 * BLOCK, 65536, 78);
    CHECK_EQ(cm_image_close(other), 0);
    store = open_store("child.vhd");
    CHECK_EQ(cm_vhd_container.rebase(store, "other.vhd", 0, NULL, NULL), 0);
    cm_store_close(store);
    forget("parent.vhd");
    has_the_changes("child.vhd");
    forget("other.vhd");
}

static void a_child_takes_all_into_itself(void)
{
    struct cm_store *store;
    struct cm_image_info info;
    struct cm_image *image;

    make_and_change();
    store = open_store("child.vhd");
    CHECK_EQ(cm_vhd_container.rebase(store, NULL, 0, NULL, NULL), 0);
    cm_store_close(store);
    forget("parent.vhd");
    has_the_changes("child.vhd");
    image = try_open("child.vhd", 0, NULL, 0);
    CHECK_EQ(cm_image_get_info(image, &info), 0);
    CHECK_EQ(info.layout, CM_LAYOUT_DYNAMIC);
    CHECK_EQ(cm_image_close(image), 0);
    store = open_store("child.vhd");
    CHECK_EQ(cm_vhd_container.commit(store, NULL, NULL), CM_EINVAL); /* it has none now */
    cm_store_close(store);
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        CHECK_TEST(a_child_keeps_changes_to_itself),
        CHECK_TEST(a_trim_hides_the_parent),
        CHECK_TEST(extents_tell_whose_data_it_is),
        CHECK_TEST(random_changes_are_as_in_memory),
        CHECK_TEST(a_chain_is_read_through),
        CHECK_TEST(a_missing_parent_is_named),
        CHECK_TEST(a_replaced_parent_is_refused),
        CHECK_TEST(a_file_of_the_right_name_that_is_another_is_passed_by),
        CHECK_TEST(a_base_that_is_missing_is_missed_at_once),
        CHECK_TEST(a_parent_of_another_size_is_refused),
        CHECK_TEST(a_parent_that_is_no_vhd_is_refused),
        CHECK_TEST(a_parent_in_use_is_not_written),
        CHECK_TEST(another_parent_can_be_named),
        CHECK_TEST(a_child_is_merged_into_its_parent),
        CHECK_TEST(another_content_below_changes_nothing),
        CHECK_TEST(a_child_takes_all_into_itself),
    };
    int result = check_main(argc, argv, tests, sizeof(tests) / sizeof(tests[0]));

    forget("parent.vhd");
    forget("child.vhd");
    return result;
}
