/* SPDX-License-Identifier: MIT */
/*
 * test_resize.c - images of another size: what the handle checks and when the new size counts, the request of
 * the driver (CM_OP_RESIZE), and raw files. Makes its file in the current folder and removes it.
 */
#include "lib/core/dispatch.h"
#include "lib/core/image_internal.h"
#include "lib/core/os.h"
#include "lib/core/transport.h"
#include "tests/unit/check.h"
#include "tests/unit/fake_image.h"

#define NAME "test_resize.img"
#define MIB (1024u * 1024u)

static unsigned char buffer[4096];

/* -- the handle -------------------------------------------------------------------------------- */

static struct cm_image *resized; /* whose callback looks at itself */
static uint64_t asked_for;       /* by the last call of the callback */
static uint64_t size_meanwhile;  /* of the image, as its users see it while the callback runs */

static uint64_t size_of(struct cm_image *image)
{
    struct cm_image_info info;

    CHECK_EQ(cm_image_get_info(image, &info), 0);
    return info.size;
}

static int fake_resize(void *context, uint64_t size)
{
    struct fake *fake = context;

    asked_for = size;
    size_meanwhile = size_of(resized);
    return atomic_load(&fake->error);
}

static struct cm_image *open_fake(struct fake *fake, const struct cm_image_ops *ops)
{
    memset(fake, 0, sizeof(*fake));
    if (!CHECK_EQ(cm_image_new(ops, fake, FAKE_SIZE, 512, &resized), 0))
        exit(1);
    asked_for = 0;
    return resized;
}

static struct cm_image_ops ops_that_resize(void)
{
    struct cm_image_ops ops = fake_ops;

    ops.resize = fake_resize;
    return ops;
}

static void a_larger_size_counts_afterwards(void)
{
    struct cm_image_ops ops = ops_that_resize();
    struct cm_image_info info;
    struct fake fake;
    struct cm_image *image = open_fake(&fake, &ops);

    CHECK_EQ(cm_image_get_info(image, &info), 0);
    CHECK_EQ(info.can_resize, 1);
    CHECK_EQ(cm_image_read(image, buffer, 512, FAKE_SIZE), CM_ERANGE);
    CHECK_EQ(cm_image_resize(image, FAKE_SIZE + 4096), 0);
    CHECK_EQ(asked_for, FAKE_SIZE + 4096);
    CHECK_EQ(size_meanwhile, FAKE_SIZE);
    CHECK_EQ(size_of(image), FAKE_SIZE + 4096);
    CHECK_EQ(cm_image_read(image, buffer, 4096, FAKE_SIZE), 0);
    CHECK_EQ(cm_image_close(image), 0);
}

static void a_smaller_size_counts_before(void)
{
    struct cm_image_ops ops = ops_that_resize();
    struct fake fake;
    struct cm_image *image = open_fake(&fake, &ops);

    CHECK_EQ(cm_image_resize(image, 8192), 0);
    CHECK_EQ(size_meanwhile, 8192);
    CHECK_EQ(cm_image_read(image, buffer, 512, 8192), CM_ERANGE);
    CHECK_EQ(cm_image_close(image), 0);
}

static void a_failure_leaves_the_size(void)
{
    static const uint64_t sizes[] = {8192, FAKE_SIZE + 4096};
    struct cm_image_ops ops = ops_that_resize();
    struct fake fake;

    for (unsigned i = 0; i < 2; i++) {
        struct cm_image *image = open_fake(&fake, &ops);

        fake.error = CM_ENOSPC;
        CHECK_EQ(cm_image_resize(image, sizes[i]), CM_ENOSPC);
        CHECK_EQ(asked_for, sizes[i]);
        CHECK_EQ(size_of(image), FAKE_SIZE);
        fake.error = 0;
        CHECK_EQ(cm_image_close(image), 0);
    }
}

static void sizes_are_checked(void)
{
    static const uint64_t bad[] = {
        0, 1, 511, FAKE_SIZE + 1, UINT64_MAX, UINT64_MAX - 511, (UINT64_C(1) << 62) + 512};
    struct cm_image_ops ops = ops_that_resize();
    struct fake fake;
    struct cm_image *image = open_fake(&fake, &ops);

    for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        CHECK_EQ(cm_image_resize(image, bad[i]), CM_EINVAL);
    CHECK_EQ(asked_for, 0);
    CHECK_EQ(cm_image_close(image), 0);
}

static void not_every_image_can(void)
{
    struct cm_image_ops ops = fake_ops;
    struct cm_image_info info;
    struct fake fake;
    struct cm_image *image = open_fake(&fake, &ops);

    CHECK_EQ(cm_image_get_info(image, &info), 0);
    CHECK_EQ(info.can_resize, 0);
    CHECK_EQ(cm_image_resize(image, 8192), CM_ENOTSUP);
    CHECK_EQ(cm_image_close(image), 0);
    ops = ops_that_resize();
    ops.write = NULL;
    image = open_fake(&fake, &ops);
    CHECK_EQ(cm_image_get_info(image, &info), 0);
    CHECK_EQ(info.can_resize, 0);
    CHECK_EQ(cm_image_resize(image, 8192), CM_EROFS);
    CHECK_EQ(cm_image_close(image), 0);
}

/* -- the driver's request ---------------------------------------------------------------------- */

static struct cm_reply dispatch(struct cm_image *image, uint64_t size)
{
    struct cm_transport transport = {
        .arena = buffer, .slot_size = sizeof(buffer), .queue_depth = 1};
    struct cm_request request = {.tag = 0x70000, .op = CM_OP_RESIZE, .offset = size};
    struct cm_reply reply = cm_dispatch(&transport, image, &request);

    CHECK_EQ(cm_request_is_valid(&transport, &request), 1);
    CHECK_EQ(reply.tag, 0x70000);
    CHECK_EQ(reply.length, 0);
    return reply;
}

static void the_drivers_request_resizes_the_image(void)
{
    struct cm_image_ops ops = ops_that_resize();
    struct fake fake;
    struct cm_image *image = open_fake(&fake, &ops);

    CHECK_EQ(dispatch(image, 2 * FAKE_SIZE).status, CM_STATUS_OK);
    CHECK_EQ(size_of(image), 2 * FAKE_SIZE);
    fake.error = CM_ENOSPC;
    CHECK_EQ(dispatch(image, 4 * FAKE_SIZE).status, CM_STATUS_NO_SPACE);
    fake.error = 0;
    CHECK_EQ(dispatch(image, 513).status != CM_STATUS_OK, 1);
    CHECK_EQ(cm_image_close(image), 0);
    ops.resize = NULL;
    image = open_fake(&fake, &ops);
    CHECK_EQ(dispatch(image, 2 * FAKE_SIZE).status, CM_STATUS_NOT_SUPPORTED);
    CHECK_EQ(cm_image_close(image), 0);
}

/* -- raw files --------------------------------------------------------------------------------- */

static struct cm_image *open_raw(uint32_t flags, uint64_t size)
{
    struct cm_image_options options = {
        .struct_size = sizeof(options), .flags = flags, .size = size};
    struct cm_image *image;

    if (cm_image_open(NAME, &options, &image) == 0)
        return image;
    printf("cannot go on: %s\n", cm_last_error());
    exit(1);
}

static void a_raw_file_gets_the_size(void)
{
    struct cm_image *image = open_raw(CM_OPEN_CREATE, MIB);

    memset(buffer, 7, sizeof(buffer));
    CHECK_EQ(cm_image_write(image, buffer, 4096, MIB - 4096, 0), 0);
    CHECK_EQ(cm_image_resize(image, 3 * MIB), 0);
    CHECK_EQ(cm_image_read(image, buffer, 4096, 3 * MIB - 4096), 0);
    CHECK_EQ(buffer[0], 0);
    CHECK_EQ(cm_image_read(image, buffer, 4096, MIB - 4096), 0);
    CHECK_EQ(buffer[4095], 7);
    CHECK_EQ(cm_image_write(image, buffer, 4096, 3 * MIB - 4096, 0), 0);
    CHECK_EQ(cm_image_close(image), 0);
    image = open_raw(0, 0);
    CHECK_EQ(size_of(image), 3 * MIB);
    CHECK_EQ(cm_image_resize(image, MIB / 2), 0);
    CHECK_EQ(cm_image_resize(image, MIB), 0); /* and what was cut off does not come back */
    CHECK_EQ(cm_image_read(image, buffer, 4096, MIB - 4096), 0);
    CHECK_EQ(buffer[4095], 0);
    CHECK_EQ(cm_image_close(image), 0);
    CHECK_EQ(cm_os_file_remove(NAME), 0);
}

static void a_read_only_file_keeps_it(void)
{
    struct cm_image *image = open_raw(CM_OPEN_CREATE, MIB);

    CHECK_EQ(cm_image_close(image), 0);
    image = open_raw(CM_OPEN_READ_ONLY, 0);
    CHECK_EQ(cm_image_resize(image, 2 * MIB), CM_EROFS);
    CHECK_EQ(cm_image_close(image), 0);
    CHECK_EQ(cm_os_file_remove(NAME), 0);
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        CHECK_TEST(a_larger_size_counts_afterwards),
        CHECK_TEST(a_smaller_size_counts_before),
        CHECK_TEST(a_failure_leaves_the_size),
        CHECK_TEST(sizes_are_checked),
        CHECK_TEST(not_every_image_can),
        CHECK_TEST(the_drivers_request_resizes_the_image),
        CHECK_TEST(a_raw_file_gets_the_size),
        CHECK_TEST(a_read_only_file_keeps_it),
    };

    return check_main(argc, argv, tests, sizeof(tests) / sizeof(tests[0]));
}
