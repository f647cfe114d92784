/* SPDX-License-Identifier: MIT */
/*
 * test_convert.c - lib/core/convert.c: copies of images, between raw files here; and lib/core/container.c with what has no
 * structure. What containers make of it is in their own tests.
 */
#include "lib/core/os.h"
#include "tests/unit/check.h"

#include <coremnt/container.h>

#define MIB (1024u * 1024u)
#define FROM "convert-from.img"
#define TO "convert-to.img"
#define PARTIAL TO ".partial"

static unsigned char buffer[4 * MIB];
static unsigned char other[4 * MIB];

/* -- helpers ----------------------------------------------------------------------------------- */

static void remove_all(void)
{
    (void)cm_os_file_remove(FROM);
    (void)cm_os_file_remove(TO);
    (void)cm_os_file_remove(PARTIAL);
}

static int is_there(const char *path)
{
    struct cm_os_file *file;

    if (cm_os_file_open(path, CM_OS_READ_ONLY, &file) != 0)
        return 0;
    cm_os_file_close(file);
    return 1;
}

static uint64_t allocated(const char *path)
{
    struct cm_os_file *file;
    uint64_t bytes = 0;

    if (CHECK_EQ(cm_os_file_open(path, CM_OS_READ_ONLY, &file), 0)) {
        CHECK_EQ(cm_os_file_allocated(file, &bytes), 0);
        cm_os_file_close(file);
    }
    return bytes;
}

static struct cm_image *create(const char *path, uint64_t size)
{
    struct cm_image_options options = {
        .struct_size = sizeof(options), .flags = CM_OPEN_CREATE, .size = size};
    struct cm_image *image;

    if (cm_image_open(path, &options, &image) == 0)
        return image;
    printf("cannot go on: %s\n", cm_last_error());
    exit(1);
}

/* A source with some bytes here and there. */
static void make_source(uint64_t size)
{
    struct cm_image *image;
    uint64_t seed = check_seed();

    remove_all();
    image = create(FROM, size);
    for (int i = 0; i < 40; i++) {
        uint32_t length = (uint32_t)(check_random(&seed) % 64 + 1) * 512;
        uint64_t offset = check_random(&seed) % ((size - length) / 512) * 512;

        memset(buffer, i % 4 == 0 ? 0 : i, length);
        CHECK_EQ(cm_image_write(image, buffer, length, offset, 0), 0);
    }
    CHECK_EQ(cm_image_close(image), 0);
}

static void same_content(const char *a, const char *b, uint64_t size)
{
    struct cm_image_options options = {.struct_size = sizeof(options), .flags = CM_OPEN_READ_ONLY};
    struct cm_image *one;
    struct cm_image *two;

    if (!CHECK_EQ(cm_image_open(a, &options, &one), 0))
        return;
    if (CHECK_EQ(cm_image_open(b, &options, &two), 0)) {
        for (uint64_t at = 0; at < size; at += sizeof(buffer)) {
            uint32_t length =
                size - at < sizeof(buffer) ? (uint32_t)(size - at) : (uint32_t)sizeof(buffer);

            CHECK_EQ(cm_image_read(one, buffer, length, at), 0);
            CHECK_EQ(cm_image_read(two, other, length, at), 0);
            CHECK(memcmp(buffer, other, length) == 0);
        }
        CHECK_EQ(cm_image_close(two), 0);
    }
    CHECK_EQ(cm_image_close(one), 0);
}

static void refused(const struct cm_image_options *options, int expected, const char *words)
{
    CHECK_EQ(cm_image_convert(FROM, TO, options, NULL, NULL), expected);
    if (!CHECK(strstr(cm_last_error(), words) != NULL))
        printf("  \"%s\" does not hold \"%s\"\n", cm_last_error(), words);
}

/* -- copies ------------------------------------------------------------------------------------ */

struct heard {
    uint64_t last;
    uint64_t all;
    int calls;
    int answer;
};

static int hear(void *context, uint64_t done, uint64_t all)
{
    struct heard *heard = context;

    CHECK(done >= heard->last && done <= all);
    heard->last = done;
    heard->all = all;
    heard->calls++;
    return heard->answer;
}

static void a_copy_is_the_same_and_tells_how_far_it_is(void)
{
    uint64_t size = 37u * MIB + 512; /* ends within a piece, and within a page */
    struct heard heard = {0};

    make_source(size);
    CHECK_EQ(cm_image_convert(FROM, TO, NULL, hear, &heard), 0);
    same_content(FROM, TO, size);
    CHECK(heard.calls > 0);
    CHECK_EQ(heard.last, size);
    CHECK_EQ(heard.all, size);
    CHECK(!is_there(PARTIAL));
    remove_all();
}

static void zeros_take_no_space(void)
{
    struct cm_image *image;

    remove_all();
    image = create(FROM, 16 * MIB);
    memset(buffer, 0, sizeof(buffer));
    for (unsigned i = 0; i < 4; i++)
        CHECK_EQ(cm_image_write(image, buffer, sizeof(buffer), i * sizeof(buffer), 0), 0);
    memset(buffer, 'd', 65536);
    CHECK_EQ(cm_image_write(image, buffer, 65536, 5 * MIB, 0), 0);
    CHECK_EQ(cm_image_close(image), 0);
    CHECK_EQ(cm_image_convert(FROM, TO, NULL, NULL, NULL), 0);
    same_content(FROM, TO, 16 * MIB);
#ifndef _WIN32 /* Wine makes no holes */
    CHECK(allocated(FROM) >= 16 * MIB);
    CHECK(allocated(TO) <= 128 * 1024);
#else
    (void)allocated;
#endif
    remove_all();
}

static void a_larger_copy_ends_with_zeros(void)
{
    struct cm_image_options options = {.struct_size = sizeof(options), .size = 6 * MIB};
    struct cm_image *image;
    struct cm_image_info info;

    make_source(4 * MIB);
    CHECK_EQ(cm_image_convert(FROM, TO, &options, NULL, NULL), 0);
    same_content(FROM, TO, 4 * MIB);
    if (CHECK_EQ(cm_image_open(TO, NULL, &image), 0)) {
        CHECK_EQ(cm_image_get_info(image, &info), 0);
        CHECK_EQ(info.size, 6 * MIB);
        CHECK_EQ(cm_image_read(image, buffer, 2 * MIB, 4 * MIB), 0);
        memset(other, 0, 2 * MIB);
        CHECK(memcmp(buffer, other, 2 * MIB) == 0);
        CHECK_EQ(cm_image_close(image), 0);
    }
    options.size = 2 * MIB;
    CHECK_EQ(cm_os_file_remove(TO), 0);
    refused(&options, CM_EINVAL, "would lose what lies beyond");
    remove_all();
}

/* -- what must not happen ---------------------------------------------------------------------- */

static void a_copy_that_is_given_up_leaves_nothing(void)
{
    struct heard heard = {.answer = 1};

    make_source(64 * MIB);
    CHECK_EQ(cm_image_convert(FROM, TO, NULL, hear, &heard), CM_ECANCELED);
    CHECK_EQ(heard.calls, 1);
    CHECK(strstr(cm_last_error(), TO) != NULL);
    CHECK(!is_there(TO));
    CHECK(!is_there(PARTIAL));
    remove_all();
}

static void what_is_there_is_left_alone(void)
{
    struct cm_image *there;

    make_source(MIB);
    there = create(TO, 512);
    refused(NULL, CM_EEXIST, TO " exists already");
    CHECK_EQ(cm_image_close(there), 0);
    refused(NULL, CM_EEXIST, TO " exists already");
    CHECK_EQ(allocated(TO) > 4096, 0);
    CHECK_EQ(cm_os_file_remove(TO), 0);

    there = create(PARTIAL, 512);
    refused(NULL, CM_EBUSY, "another copy to " TO " is under way");
    CHECK_EQ(cm_image_close(there), 0);
    refused(NULL, CM_EEXIST, PARTIAL " is there");
    CHECK(is_there(PARTIAL));
    CHECK(!is_there(TO));
    remove_all();
}

/* The name is taken by another while the copy is made. */
static int take_the_name(void *context, uint64_t done, uint64_t all)
{
    int *taken = context;

    (void)done;
    (void)all;
    if (!*taken)
        CHECK_EQ(cm_image_close(create(TO, 512)), 0);
    *taken = 1;
    return 0;
}

static void a_name_taken_meanwhile_stays_the_others(void)
{
    int taken = 0;

    make_source(64 * MIB);
    CHECK_EQ(cm_image_convert(FROM, TO, NULL, take_the_name, &taken), CM_EEXIST);
    CHECK(taken);
    CHECK_EQ(allocated(TO) > 4096, 0);
    CHECK(!is_there(PARTIAL));
    remove_all();
}

static void a_source_that_somebody_writes_is_refused(void)
{
    struct cm_image *writer;

    remove_all();
    writer = create(FROM, MIB);
    refused(NULL, CM_EBUSY, "open for writing elsewhere");
    CHECK(!is_there(PARTIAL));
    CHECK_EQ(cm_image_close(writer), 0);
    remove_all();
}

static void what_makes_no_sense_is_refused(void)
{
    struct cm_image_options options = {.struct_size = sizeof(options), .parent = "x.vhdx"};

    make_source(MIB);
    refused(&options, CM_EINVAL, "no parent");
    options.parent = NULL;
    options.block_size = MIB;
    refused(&options, CM_EINVAL, "no blocks");
    options.block_size = 0;
    options.struct_size = 999;
    refused(&options, CM_EINVAL, "struct_size");
    CHECK_EQ(cm_image_convert(FROM, "memory:1M", NULL, NULL, NULL), CM_EINVAL);
    CHECK_EQ(cm_image_convert(FROM, "zip:x", NULL, NULL, NULL), CM_EFORMAT);
    CHECK_EQ(cm_image_convert("missing.img", TO, NULL, NULL, NULL), CM_ENOENT);
    CHECK(strstr(cm_last_error(), "missing.img") != NULL);
    CHECK_EQ(cm_image_convert(FROM, "no-folder/x.img", NULL, NULL, NULL), CM_ENOENT);
    CHECK(!is_there(TO));
    CHECK(!is_there(PARTIAL));
    remove_all();
}

static void what_has_no_structure_is_not_checked(void)
{
    struct cm_check_result result;
    uint64_t freed;

    make_source(MIB);
    CHECK_EQ(cm_image_check(FROM, NULL, &result), CM_ENOTSUP);
    CHECK(strstr(cm_last_error(), "nothing to check") != NULL);
    CHECK_EQ(cm_image_compact(FROM, NULL, NULL, &freed), CM_ENOTSUP);
    CHECK_EQ(cm_image_check("memory:1M", NULL, &result), CM_ENOTSUP);
    CHECK_EQ(cm_image_check("", NULL, &result), CM_EINVAL);
    remove_all();
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        CHECK_TEST(a_copy_is_the_same_and_tells_how_far_it_is),
        CHECK_TEST(zeros_take_no_space),
        CHECK_TEST(a_larger_copy_ends_with_zeros),
        CHECK_TEST(a_copy_that_is_given_up_leaves_nothing),
        CHECK_TEST(what_is_there_is_left_alone),
        CHECK_TEST(a_name_taken_meanwhile_stays_the_others),
        CHECK_TEST(a_source_that_somebody_writes_is_refused),
        CHECK_TEST(what_makes_no_sense_is_refused),
        CHECK_TEST(what_has_no_structure_is_not_checked),
    };

    return check_main(argc, argv, tests, sizeof(tests) / sizeof(tests[0]));
}
