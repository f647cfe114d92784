/* SPDX-License-Identifier: MIT */
/* test_disk_options.c - lib/core/disk_options.c: defaults, limits, and structures of older programs. */
#include <stddef.h>

#include "lib/core/disk_options.h"
#include "tests/unit/check.h"

static struct cm_disk_options given(void)
{
    struct cm_disk_options options = {.struct_size = sizeof(options)};

    return options;
}

static void refused(const struct cm_disk_options *options, const char *words)
{
    struct cm_disk_options read;

    CHECK_EQ(cm_disk_options_read(options, &read), CM_EINVAL);
    if (!CHECK(strstr(cm_last_error(), words) != NULL))
        printf("  \"%s\" does not hold \"%s\"\n", cm_last_error(), words);
}

static void nothing_given_gives_defaults(void)
{
    struct cm_disk_options options = given();
    struct cm_disk_options read;

    for (int i = 0; i < 2; i++) {
        CHECK_EQ(cm_disk_options_read(i == 0 ? NULL : &options, &read), 0);
        CHECK_EQ(read.threads, CM_DEFAULT_THREADS);
        CHECK_EQ(read.queue_depth, CM_DEFAULT_QUEUE_DEPTH);
        CHECK_EQ(read.slot_size, CM_DEFAULT_SLOT_SIZE);
        CHECK_EQ(read.hold_seconds, 0);
        CHECK_EQ(read.request_timeout_seconds, 0);
        CHECK(read.mount_point == NULL && read.image_name == NULL);
    }
}

static void seconds_have_limits(void)
{
    struct cm_disk_options options = given();
    struct cm_disk_options read;

    options.hold_seconds = CM_MAX_HOLD_SECONDS;
    options.request_timeout_seconds = CM_MAX_TIMEOUT_SECONDS;
    CHECK_EQ(cm_disk_options_read(&options, &read), 0);
    CHECK_EQ(read.hold_seconds, CM_MAX_HOLD_SECONDS);
    CHECK_EQ(read.request_timeout_seconds, CM_MAX_TIMEOUT_SECONDS);
    options.hold_seconds++;
    refused(&options, "held for 3601 seconds: at most 3600");
    options.hold_seconds = UINT32_MAX;
    refused(&options, "at most 3600");
    options.hold_seconds = 0;
    options.request_timeout_seconds++;
    refused(&options, "901 seconds: at most 900");
    options.request_timeout_seconds = 65536 + 1; /* would be 1 in the contract's 16 bits */
    refused(&options, "at most 900");
}

/* What lies beyond the caller's structure must not be read: here it is not even sane. */
static void an_older_structure_is_shorter(void)
{
    static const size_t older[] = {
        offsetof(struct cm_disk_options, hold_seconds),
        offsetof(struct cm_disk_options, mount_point),
        offsetof(struct cm_disk_options, queue_depth),
        sizeof(uint32_t),
    };
    struct cm_disk_options read;

    for (size_t i = 0; i < sizeof(older) / sizeof(older[0]); i++) {
        struct cm_disk_options options;

        memset(&options, 0xAA, sizeof(options));
        memset(&options, 0, older[i]);
        options.struct_size = (uint32_t)older[i];
        if (older[i] > offsetof(struct cm_disk_options, threads))
            options.threads = 3;
        if (older[i] > offsetof(struct cm_disk_options, mount_point))
            options.mount_point = "Z:";
        CHECK_EQ(cm_disk_options_read(&options, &read), 0);
        CHECK_EQ(read.threads, options.threads == 3 ? 3 : CM_DEFAULT_THREADS);
        CHECK_EQ(read.queue_depth, CM_DEFAULT_QUEUE_DEPTH);
        CHECK(older[i] > offsetof(struct cm_disk_options, mount_point) ? read.mount_point != NULL
                                                                       : read.mount_point == NULL);
        CHECK_EQ(read.hold_seconds, 0);
        CHECK_EQ(read.request_timeout_seconds, 0);
    }
}

/* The first that there was ended where hold_seconds begins; no padding may have moved that. */
static void new_fields_lie_behind_the_old(void)
{
    CHECK_EQ(offsetof(struct cm_disk_options, mount_point), 24);
    CHECK_EQ(offsetof(struct cm_disk_options, hold_seconds), 24 + 2 * sizeof(void *));
    CHECK_EQ(sizeof(struct cm_disk_options), 24 + 2 * sizeof(void *) + 8);
}

static void other_sizes_and_flags_are_refused(void)
{
    struct cm_disk_options options = given();

    options.struct_size = 0;
    refused(&options, "struct_size is 0");
    options.struct_size = sizeof(options) + 4;
    refused(&options, "struct_size");
    options = given();
    options.flags = 4;
    refused(&options, "0x4");
    options = given();
    options.reserved = 1;
    refused(&options, "reserved");
}

static void the_other_numbers_have_limits(void)
{
    struct cm_disk_options options = given();

    options.threads = CM_MAX_THREADS + 1;
    refused(&options, "threads");
    options = given();
    options.queue_depth = CM_MAX_QUEUE_DEPTH + 1;
    refused(&options, "queue depth");
    options = given();
    options.slot_size = 5000;
    refused(&options, "5000");
    options = given();
    options.queue_depth = CM_MAX_QUEUE_DEPTH;
    options.slot_size = CM_MAX_SLOT_SIZE;
    refused(&options, "MiB");
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        CHECK_TEST(nothing_given_gives_defaults),      CHECK_TEST(seconds_have_limits),
        CHECK_TEST(an_older_structure_is_shorter),     CHECK_TEST(new_fields_lie_behind_the_old),
        CHECK_TEST(other_sizes_and_flags_are_refused), CHECK_TEST(the_other_numbers_have_limits),
    };

    return check_main(argc, argv, tests, sizeof(tests) / sizeof(tests[0]));
}
