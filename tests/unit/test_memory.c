/* SPDX-License-Identifier: MIT */
/* test_memory.c - images/memory.c: contents, what is taken and given back, and threads side by
 * side. */
#include "lib/core/os.h"
#include "tests/unit/check.h"
#include "tests/unit/filled.h"

#include <coremnt/image.h>

#define CHUNK 65536u
#define THREADS 4

static unsigned char buffer[4 * CHUNK];

static struct cm_image *open_memory(const char *spec)
{
    struct cm_image *image;

    if (cm_image_open(spec, NULL, &image) == 0)
        return image;
    printf("cannot go on: %s\n", cm_last_error());
    exit(1);
}

static uint64_t allocated(struct cm_image *image)
{
    struct cm_image_info info;

    CHECK_EQ(cm_image_get_info(image, &info), 0);
    return info.allocated;
}

static void it_begins_empty(void)
{
    struct cm_image *image = open_memory("memory:1M");

    CHECK(range_is(image, 0, sizeof(buffer), 0));
    CHECK_EQ(allocated(image), 0);
    CHECK_EQ(cm_image_close(image), 0);
}

static void extents_are_runs_of_chunks(void)
{
    struct cm_image *image = open_memory("memory:1M");
    struct cm_extent extent;

    fill(image, 2 * CHUNK, 512, 7);
    fill(image, 3 * CHUNK, 512, 7);
    CHECK_EQ(cm_image_extent(image, 512, 8 * CHUNK, &extent), 0);
    CHECK_EQ(extent.length, 2 * CHUNK - 512);
    CHECK_EQ(extent.flags, CM_EXTENT_ZERO);
    CHECK_EQ(cm_image_extent(image, 2 * CHUNK + 512, 8 * CHUNK, &extent), 0);
    CHECK_EQ(extent.length, 2 * CHUNK - 512);
    CHECK_EQ(extent.flags, CM_EXTENT_ALLOCATED);
    CHECK_EQ(cm_image_extent(image, 2 * CHUNK, 512, &extent), 0);
    CHECK_EQ(extent.length, 512);
    CHECK_EQ(cm_image_extent(image, 4 * CHUNK, 12 * CHUNK, &extent), 0);
    CHECK_EQ(extent.length, 12 * CHUNK);
    CHECK_EQ(cm_image_close(image), 0);
}

static void it_keeps_what_is_written(void)
{
    struct cm_image *image = open_memory("memory:1M");

    fill(image, CHUNK - 512, 1024, 7);
    CHECK(range_is(image, CHUNK - 512, 1024, 7));
    CHECK(range_is(image, 0, CHUNK - 512, 0));
    CHECK(range_is(image, CHUNK + 512, CHUNK, 0));
    CHECK_EQ(allocated(image), 2 * CHUNK);
    CHECK_EQ(cm_image_close(image), 0);
}

static void trim_frees_whole_chunks(void)
{
    struct cm_image *image = open_memory("memory:1M");

    fill(image, 0, 4 * CHUNK, 7);
    CHECK_EQ(cm_image_trim(image, CHUNK - 512, 2 * CHUNK), 0);
    CHECK(range_is(image, 0, CHUNK - 512, 7));
    CHECK(range_is(image, CHUNK - 512, 2 * CHUNK, 0));
    CHECK(range_is(image, 3 * CHUNK - 512, CHUNK + 512, 7));
    CHECK_EQ(allocated(image), 3 * CHUNK);
    CHECK_EQ(cm_image_trim(image, 0, 1048576), 0);
    CHECK_EQ(allocated(image), 0);
    CHECK(range_is(image, 0, 4 * CHUNK, 0));
    CHECK_EQ(cm_image_close(image), 0);
}

static void the_last_chunk_may_be_short(void)
{
    struct cm_image *image = open_memory("memory:66048"); /* one chunk and one sector */

    fill(image, CHUNK, 512, 7);
    CHECK(range_is(image, CHUNK, 512, 7));
    CHECK_EQ(cm_image_write(image, buffer, 512, CHUNK + 512, 0), CM_ERANGE);
    CHECK_EQ(cm_image_trim(image, CHUNK, 512), 0);
    CHECK_EQ(allocated(image), 0);
    CHECK(range_is(image, CHUNK, 512, 0));
    CHECK_EQ(cm_image_close(image), 0);
}

/* Only what is written takes memory; the table itself is touched only there. */
static void a_large_disk_takes_little(void)
{
    struct cm_image *image = open_memory("memory:64G");

    fill(image, (UINT64_C(64) << 30) - 512, 512, 9);
    CHECK(range_is(image, (UINT64_C(64) << 30) - 512, 512, 9));
    CHECK_EQ(allocated(image), CHUNK);
    CHECK_EQ(cm_image_close(image), 0);
}

static void bad_sizes_are_refused(void)
{
    static const char *const specs[] = {"memory:0", "memory:513", "memory:much", "memory:-1",
                                        "memory:64K,x"};
    struct cm_image_options options = {.struct_size = sizeof(options), .size = 4096};
    struct cm_image *image;

    for (size_t i = 0; i < sizeof(specs) / sizeof(specs[0]); i++)
        CHECK_EQ(cm_image_open(specs[i], NULL, &image), CM_EINVAL);
    CHECK_EQ(cm_image_open("memory:64K", &options, &image), CM_EINVAL);
    CHECK_EQ(cm_image_open("memory:3E", NULL, &image), CM_ENOMEM);
    CHECK(strstr(cm_last_error(), "memory") != NULL);
    options.size = 0;
    options.sector_size = 4096;
    CHECK_EQ(cm_image_open("memory:1536", &options, &image), CM_EINVAL);
}

static void it_may_be_read_only(void)
{
    struct cm_image_options options = {.struct_size = sizeof(options), .flags = CM_OPEN_READ_ONLY};
    struct cm_image *image;

    if (!CHECK_EQ(cm_image_open("memory:64K", &options, &image), 0))
        return;
    CHECK_EQ(cm_image_write(image, buffer, 512, 0, 0), CM_EROFS);
    CHECK(range_is(image, 0, 512, 0));
    CHECK_EQ(cm_image_close(image), 0);
}

/* -- threads ----------------------------------------------------------------------------------- */

struct party {
    struct cm_image *image;
    uint64_t random;
    uint64_t first; /* of this thread's sectors, bytes */
};

/* Its own sectors, in chunks that others use too. */
static void write_read_and_trim(void *argument)
{
    struct party *party = argument;
    unsigned char own[4096], back[4096];

    for (int i = 0; i < 300; i++) {
        uint64_t offset = party->first + check_random(&party->random) % 8 * CHUNK;

        memset(own, (int)check_random(&party->random), sizeof(own));
        CHECK_EQ(cm_image_write(party->image, own, sizeof(own), offset, 0), 0);
        CHECK_EQ(cm_image_read(party->image, back, sizeof(back), offset), 0);
        CHECK(memcmp(own, back, sizeof(own)) == 0);
        CHECK_EQ(cm_image_trim(party->image, offset, sizeof(own)), 0);
        CHECK_EQ(cm_image_read(party->image, back, sizeof(back), offset), 0);
        CHECK(back[0] == 0 && back[sizeof(back) - 1] == 0);
    }
}

static void run_all(void (*const *runs)(void *), struct party *parties)
{
    struct cm_os_thread *threads[THREADS];

    for (int i = 0; i < THREADS; i++)
        if (cm_os_thread_start(runs[i], &parties[i], &threads[i]) != 0)
            exit(1);
    for (int i = 0; i < THREADS; i++)
        cm_os_thread_join(threads[i]);
}

static void threads_share_chunks(void)
{
    void (*const runs[THREADS])(void *) = {write_read_and_trim, write_read_and_trim,
                                           write_read_and_trim, write_read_and_trim};
    struct cm_image *image = open_memory("memory:1M");
    struct party parties[THREADS];
    uint64_t seed = check_seed();

    for (int i = 0; i < THREADS; i++)
        parties[i] = (struct party){image, seed + (uint64_t)i, (uint64_t)i * 4096};
    run_all(runs, parties);
    CHECK_EQ(cm_image_close(image), 0);
}

/* Of a chunk that comes and goes a reader never sees freed memory; the address sanitizer would. */
static void read_the_chunk(void *argument)
{
    struct party *party = argument;
    unsigned char own[512];

    for (int i = 0; i < 3000; i++) {
        CHECK_EQ(cm_image_read(party->image, own, sizeof(own), party->first), 0);
        CHECK(own[0] == 0 && own[511] == 0);
    }
}

static void trim_the_chunk(void *argument)
{
    struct party *party = argument;

    for (int i = 0; i < 3000; i++)
        CHECK_EQ(cm_image_trim(party->image, 0, CHUNK), 0);
}

/* Writes make the chunk, in sectors that the readers do not read. */
static void make_the_chunk(void *argument)
{
    struct party *party = argument;
    unsigned char own[512];

    memset(own, 0xaa, sizeof(own));
    for (int i = 0; i < 3000; i++)
        CHECK_EQ(cm_image_write(party->image, own, sizeof(own), 32768, 0), 0);
}

static void trim_frees_no_chunk_under_a_reader(void)
{
    void (*const runs[THREADS])(void *) = {read_the_chunk, trim_the_chunk, make_the_chunk,
                                           read_the_chunk};
    struct cm_image *image = open_memory("memory:64K");
    struct party parties[THREADS];

    for (int i = 0; i < THREADS; i++)
        parties[i] = (struct party){image, 1, 0};
    run_all(runs, parties);
    CHECK_EQ(cm_image_trim(image, 0, CHUNK), 0);
    CHECK_EQ(allocated(image), 0);
    CHECK_EQ(cm_image_close(image), 0);
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        CHECK_TEST(it_begins_empty),
        CHECK_TEST(extents_are_runs_of_chunks),
        CHECK_TEST(it_keeps_what_is_written),
        CHECK_TEST(trim_frees_whole_chunks),
        CHECK_TEST(the_last_chunk_may_be_short),
        CHECK_TEST(a_large_disk_takes_little),
        CHECK_TEST(bad_sizes_are_refused),
        CHECK_TEST(it_may_be_read_only),
        CHECK_TEST(threads_share_chunks),
        CHECK_TEST(trim_frees_no_chunk_under_a_reader),
    };

    return check_main(argc, argv, tests, sizeof(tests) / sizeof(tests[0]));
}
