/* SPDX-License-Identifier: MIT */
/* test_image.c - lib/core/image.c: what the handle does for every image. */
#include "tests/unit/check.h"
#include "tests/unit/fake_image.h"

#define THREADS 4

static unsigned char buffer[8192];

/* An image of the callbacks; NULL, and a failed test, if it is refused. */
static struct cm_image *open_fake(struct fake *fake, const struct cm_image_ops *ops)
{
    struct cm_image *image;

    memset(fake, 0, sizeof(*fake));
    if (!CHECK_EQ(cm_image_new(ops, fake, FAKE_SIZE, 512, &image), 0))
        exit(1);
    return image;
}

static void close_fake(struct fake *fake, struct cm_image *image)
{
    CHECK_EQ(cm_image_close(image), 0);
    CHECK_EQ(fake->closes, 1);
}

static void reads_arrive(void)
{
    struct fake fake;
    struct cm_image *image = open_fake(&fake, &fake_ops);

    CHECK_EQ(cm_image_read(image, buffer, 1024, 512 * 5), 0);
    CHECK_EQ(buffer[0], 5);
    CHECK_EQ(buffer[1023], 6);
    CHECK_EQ(fake.reads, 1);
    close_fake(&fake, image);
}

static void an_image_may_say_that_it_is_volatile(void)
{
    struct cm_image_ops ops = fake_ops;
    struct fake fake;
    struct cm_image *image = open_fake(&fake, &ops);

    CHECK_EQ(cm_image_is_volatile(image), 0);
    close_fake(&fake, image);
    ops.flags |= CM_IMAGE_VOLATILE;
    image = open_fake(&fake, &ops);
    CHECK_EQ(cm_image_is_volatile(image), 1);
    CHECK_EQ(cm_image_write(image, buffer, 512, 0, 0), 0);
    close_fake(&fake, image);
}

/* A callback that returns what is no number of ours: a count of bytes, an errno. */
static void strange_results_are_errors(void)
{
    static const int strange[] = {1, 512, -9999};
    struct fake fake;
    struct cm_image *image = open_fake(&fake, &fake_ops);

    for (int i = 0; i < 3; i++) {
        fake.error = strange[i];
        CHECK_EQ(cm_image_read(image, buffer, 512, 0), CM_EIO);
        CHECK_EQ(cm_image_write(image, buffer, 512, 0, 0), CM_EIO);
        CHECK_EQ(cm_image_flush(image), CM_EIO);
        CHECK_EQ(cm_image_trim(image, 0, 512), CM_EIO);
    }
    fake.error = 0;
    close_fake(&fake, image);
}

static int lie(void *context, struct cm_image_info *info)
{
    (void)context;
    info->size = 1;
    info->sector_size = 7;
    info->read_only = 1;
    info->can_trim = 0;
    info->format = "mine";
    info->allocated = 42;
    return 0;
}

static void an_image_tells_only_what_it_may_decide(void)
{
    struct fake fake;
    struct cm_image_ops ops = fake_ops;
    struct cm_image_info info;
    struct cm_image *image;

    ops.info = lie;
    image = open_fake(&fake, &ops);
    CHECK_EQ(cm_image_get_info(image, &info), 0);
    CHECK_EQ(info.size, FAKE_SIZE);
    CHECK_EQ(info.sector_size, 512);
    CHECK(!info.read_only && info.can_trim);
    CHECK_STR(info.format, "mine");
    CHECK_EQ(info.allocated, 42);
    close_fake(&fake, image);
}

static void ranges_are_checked(void)
{
    struct fake fake;
    struct cm_image *image = open_fake(&fake, &fake_ops);

    CHECK_EQ(cm_image_read(image, buffer, 512, FAKE_SIZE - 512), 0);
    CHECK_EQ(cm_image_read(image, buffer, 1024, FAKE_SIZE - 512), CM_ERANGE);
    CHECK_EQ(cm_image_read(image, buffer, 512, FAKE_SIZE), CM_ERANGE);
    CHECK_EQ(cm_image_read(image, buffer, 512, UINT64_MAX - 511), CM_ERANGE);
    CHECK_EQ(cm_image_write(image, buffer, 1024, FAKE_SIZE - 512, 0), CM_ERANGE);
    CHECK_EQ(cm_image_write(image, buffer, 4096, UINT64_MAX - 4095, 0), CM_ERANGE);
    CHECK_EQ(cm_image_trim(image, 512, FAKE_SIZE), CM_ERANGE);
    CHECK_EQ(cm_image_trim(image, 512, UINT64_MAX - 511), CM_ERANGE);
    CHECK_EQ(fake.reads, 1);
    CHECK_EQ(fake.writes + fake.trims, 0);
    close_fake(&fake, image);
}

static void parts_of_sectors_are_refused(void)
{
    struct fake fake;
    struct cm_image *image = open_fake(&fake, &fake_ops);

    CHECK_EQ(cm_image_read(image, buffer, 511, 0), CM_EINVAL);
    CHECK_EQ(cm_image_read(image, buffer, 512, 1), CM_EINVAL);
    CHECK_EQ(cm_image_write(image, buffer, 513, 512, 0), CM_EINVAL);
    CHECK_EQ(cm_image_trim(image, 100, 512), CM_EINVAL);
    CHECK_EQ(fake.reads + fake.writes + fake.trims, 0);
    close_fake(&fake, image);
}

static void nothing_to_do_is_no_call(void)
{
    struct fake fake;
    struct cm_image *image = open_fake(&fake, &fake_ops);

    CHECK_EQ(cm_image_read(image, buffer, 0, FAKE_SIZE), 0);
    CHECK_EQ(cm_image_write(image, buffer, 0, 0, 0), 0);
    CHECK_EQ(cm_image_trim(image, 0, 0), 0);
    CHECK_EQ(fake.reads + fake.writes + fake.trims, 0);
    close_fake(&fake, image);
}

static void geometry_is_checked(void)
{
    static const struct {
        uint64_t size;
        uint32_t sector_size;
    } bad[] = {{0, 512}, {513, 512}, {4096 + 512, 4096}, {4096, 1024}, {UINT64_MAX - 511, 512}};
    struct cm_image *image = (struct cm_image *)(void *)buffer;
    struct fake fake;

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        CHECK_EQ(cm_image_new(&fake_ops, &fake, bad[i].size, bad[i].sector_size, &image),
                 CM_EINVAL);
        CHECK(image == NULL);
    }
}

static void read_and_close_are_required(void)
{
    struct cm_image_ops ops = fake_ops;
    struct cm_image *image;
    struct fake fake;

    ops.read = NULL;
    CHECK_EQ(cm_image_new(&ops, &fake, FAKE_SIZE, 0, &image), CM_EINVAL);
    ops = fake_ops;
    ops.close = NULL;
    CHECK_EQ(cm_image_new(&ops, &fake, FAKE_SIZE, 0, &image), CM_EINVAL);
    ops = fake_ops;
    ops.size = 0;
    CHECK_EQ(cm_image_new(&ops, &fake, FAKE_SIZE, 0, &image), CM_EINVAL);
    ops = fake_ops;
    ops.flags |= 1u << 31;
    CHECK_EQ(cm_image_new(&ops, &fake, FAKE_SIZE, 0, &image), CM_EINVAL);
    CHECK_EQ(cm_image_new(NULL, &fake, FAKE_SIZE, 0, &image), CM_EINVAL);
}

/* A program built when there was no `trim`, one whose size cuts a pointer, and one from the future.
 */
static void fields_beyond_the_size_are_null(void)
{
    struct {
        struct cm_image_ops ops;
        void (*unknown)(void);
    } future;
    struct cm_image_ops ops = fake_ops;
    struct cm_image *image;
    struct fake fake;

    ops.size = offsetof(struct cm_image_ops, trim);
    image = open_fake(&fake, &ops);
    CHECK_EQ(cm_image_trim(image, 0, 512), CM_ENOTSUP);
    close_fake(&fake, image);
    ops.size = offsetof(struct cm_image_ops, trim) + sizeof(void *) / 2;
    image = open_fake(&fake, &ops);
    CHECK_EQ(cm_image_trim(image, 0, 512), CM_ENOTSUP);
    close_fake(&fake, image);
    memset(&future, 0x77, sizeof(future));
    future.ops = fake_ops;
    future.ops.size = sizeof(future);
    image = open_fake(&fake, &future.ops);
    CHECK_EQ(cm_image_trim(image, 0, 512), 0);
    close_fake(&fake, image);
}

static void without_write_it_is_read_only(void)
{
    struct cm_image_ops ops = fake_ops;
    struct cm_image_info info;
    struct cm_image *image;
    struct fake fake;

    ops.write = NULL;
    image = open_fake(&fake, &ops);
    CHECK_EQ(cm_image_write(image, buffer, 512, 0, 0), CM_EROFS);
    CHECK_EQ(cm_image_trim(image, 0, 512), CM_EROFS);
    CHECK_EQ(cm_image_flush(image), 0);
    CHECK_EQ(cm_image_get_info(image, &info), 0);
    CHECK(info.read_only && !info.can_trim);
    close_fake(&fake, image);
    CHECK_EQ(fake.writes + fake.trims + fake.flushes, 0);
}

static void info_has_defaults(void)
{
    struct fake fake;
    struct cm_image *image = open_fake(&fake, &fake_ops);
    struct cm_image_info info;

    CHECK_EQ(cm_image_get_info(image, &info), 0);
    CHECK_STR(info.format, "custom");
    CHECK_EQ(info.size, FAKE_SIZE);
    CHECK_EQ(info.allocated, FAKE_SIZE);
    CHECK_EQ(info.sector_size, 512);
    CHECK(!info.read_only && info.can_trim);
    close_fake(&fake, image);
}

static void fua_is_a_write_and_a_flush(void)
{
    struct fake fake;
    struct cm_image *image = open_fake(&fake, &fake_ops);

    CHECK_EQ(cm_image_write(image, buffer, 512, 0, 0), 0);
    CHECK_EQ(fake.flushes, 0);
    CHECK_EQ(cm_image_write(image, buffer, 512, 0, CM_IMAGE_FUA), 0);
    CHECK_EQ(fake.flushes, 1);
    CHECK_EQ(fake.last_flags, 0);
    CHECK_EQ(cm_image_write(image, buffer, 512, 0, CM_IMAGE_FUA << 1), CM_EINVAL);
    close_fake(&fake, image);
}

static void an_image_may_do_fua_itself(void)
{
    struct cm_image_ops ops = fake_ops;
    struct cm_image *image;
    struct fake fake;

    ops.flags |= CM_IMAGE_OWN_FUA;
    image = open_fake(&fake, &ops);
    CHECK_EQ(cm_image_write(image, buffer, 512, 0, CM_IMAGE_FUA), 0);
    CHECK_EQ(fake.last_flags, CM_IMAGE_FUA);
    CHECK_EQ(fake.flushes, 0);
    close_fake(&fake, image);
}

static void a_failed_flush_fails_fua_and_close(void)
{
    struct fake fake;
    struct cm_image *image = open_fake(&fake, &fake_ops);

    fake.error = CM_ENOSPC;
    CHECK_EQ(cm_image_write(image, buffer, 512, 0, CM_IMAGE_FUA), CM_ENOSPC);
    CHECK_EQ(fake.flushes, 0); /* the write had failed */
    CHECK_EQ(cm_image_close(image), CM_ENOSPC);
    CHECK_EQ(fake.closes, 1); /* and still it is closed */
    CHECK(strstr(cm_last_error(), "flushed") != NULL);
    CHECK_EQ(cm_image_close(NULL), 0);
}

static void read_again_and_again(void *image)
{
    unsigned char own[512];

    for (int i = 0; i < 10; i++)
        CHECK_EQ(cm_image_read(image, own, sizeof(own), 0), 0);
}

static int most_inside(uint32_t flags)
{
    struct cm_os_thread *threads[THREADS];
    struct cm_image_ops ops = fake_ops;
    struct cm_image *image;
    struct fake fake;

    ops.flags = flags;
    image = open_fake(&fake, &ops);
    fake.delay_ms = 2;
    for (int i = 0; i < THREADS; i++)
        if (!CHECK_EQ(cm_os_thread_start(read_again_and_again, image, &threads[i]), 0))
            exit(1);
    for (int i = 0; i < THREADS; i++)
        cm_os_thread_join(threads[i]);
    CHECK_EQ(fake.reads, THREADS * 10);
    close_fake(&fake, image);
    return fake.most_inside;
}

static void a_serial_image_is_called_by_one(void)
{
    CHECK_EQ(most_inside(0), 1);
}

static void a_parallel_image_is_called_by_many(void)
{
    CHECK(most_inside(CM_IMAGE_PARALLEL) > 1);
}

/* An image whose extents are as they are told: each answer is the same, whatever is asked. */
static struct cm_extent answer;

static int tell_extent(void *context, uint64_t offset, uint64_t length, struct cm_extent *extent)
{
    (void)context;
    (void)offset;
    (void)length;
    *extent = answer;
    return 0;
}

static int ask_extent(uint32_t sector_size, uint64_t told, uint64_t length,
                      struct cm_extent *extent)
{
    struct cm_image_ops ops = fake_ops;
    struct fake fake = {0};
    struct cm_image *image;
    int error;

    ops.extent = tell_extent;
    answer = (struct cm_extent){told, CM_EXTENT_ZERO, 1, CM_EXTENT_NO_PLACE};
    if (!CHECK_EQ(cm_image_new(&ops, &fake, FAKE_SIZE, sector_size, &image), 0))
        exit(1);
    error = cm_image_extent(image, 0, length, extent);
    CHECK_EQ(cm_image_close(image), 0);
    return error;
}

static void extents_are_held_to_what_was_asked(void)
{
    struct cm_extent extent;

    CHECK_EQ(ask_extent(512, 8192, 8192, &extent), 0);
    CHECK_EQ(extent.length, 8192);
    CHECK_EQ(extent.flags, CM_EXTENT_ZERO);
    CHECK_EQ(extent.depth, 1);
    CHECK_EQ(ask_extent(512, 8192 + 512, 8192, &extent), CM_EIO);
    CHECK_EQ(ask_extent(512, 0, 8192, &extent), CM_EIO);
    CHECK_EQ(ask_extent(512, 512, FAKE_SIZE + 512, &extent), CM_ERANGE);
    CHECK_EQ(ask_extent(512, 512, 100, &extent), CM_EINVAL);
}

/* Storage below may count in something smaller than sectors. */
static void extents_are_whole_sectors(void)
{
    struct cm_extent extent;

    CHECK_EQ(ask_extent(4096, 8192 + 512, 65536, &extent), 0);
    CHECK_EQ(extent.length, 8192);
    CHECK_EQ(extent.flags, CM_EXTENT_ZERO);
    CHECK_EQ(ask_extent(4096, 512, 65536, &extent), 0);
    CHECK_EQ(extent.length, 4096);
    CHECK_EQ(extent.flags, CM_EXTENT_ALLOCATED); /* what is zeros in part is not zeros */
}

static void without_extents_all_is_allocated(void)
{
    struct fake fake;
    struct cm_image *image = open_fake(&fake, &fake_ops);
    struct cm_extent extent;

    CHECK_EQ(cm_image_extent(image, 512, 4096, &extent), 0);
    CHECK_EQ(extent.length, 4096);
    CHECK_EQ(extent.flags, CM_EXTENT_ALLOCATED);
    CHECK_EQ(extent.depth, 0);
    CHECK(extent.place == CM_EXTENT_NO_PLACE);
    CHECK(cm_image_parent(image) == NULL);
    close_fake(&fake, image);
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        CHECK_TEST(reads_arrive),
        CHECK_TEST(ranges_are_checked),
        CHECK_TEST(parts_of_sectors_are_refused),
        CHECK_TEST(nothing_to_do_is_no_call),
        CHECK_TEST(geometry_is_checked),
        CHECK_TEST(read_and_close_are_required),
        CHECK_TEST(fields_beyond_the_size_are_null),
        CHECK_TEST(without_write_it_is_read_only),
        CHECK_TEST(info_has_defaults),
        CHECK_TEST(fua_is_a_write_and_a_flush),
        CHECK_TEST(an_image_may_do_fua_itself),
        CHECK_TEST(a_failed_flush_fails_fua_and_close),
        CHECK_TEST(a_serial_image_is_called_by_one),
        CHECK_TEST(a_parallel_image_is_called_by_many),
        CHECK_TEST(an_image_may_say_that_it_is_volatile),
        CHECK_TEST(strange_results_are_errors),
        CHECK_TEST(an_image_tells_only_what_it_may_decide),
        CHECK_TEST(extents_are_held_to_what_was_asked),
        CHECK_TEST(extents_are_whole_sectors),
        CHECK_TEST(without_extents_all_is_allocated),
    };

    return check_main(argc, argv, tests, sizeof(tests) / sizeof(tests[0]));
}
