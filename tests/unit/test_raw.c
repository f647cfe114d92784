/* SPDX-License-Identifier: MIT */
/*
 * test_raw.c - images/raw.c: files as disks. Makes its files in the current folder and removes
 * them. A full disk is a file size limit here; on Windows tests/wine has a file system that is
 * full.
 */
#include "lib/core/image_internal.h"
#include "lib/core/os.h"
#include "tests/unit/check.h"
#include "tests/unit/filled.h"

#include <coremnt/loopback.h>

#ifdef _WIN32
#include <windows.h>
#else
#include <signal.h>
#include <sys/resource.h>
#endif

#define NAME "test_raw.img"
#define MIB (1024u * 1024u)

static unsigned char buffer[65536];

/* -- helpers ----------------------------------------------------------------------------------- */

static struct cm_image_options options_of(uint32_t flags, uint64_t size, uint32_t sector_size)
{
    struct cm_image_options options = {
        .struct_size = sizeof(options), .flags = flags, .size = size};

    options.sector_size = sector_size;
    return options;
}

static struct cm_image *open_with(uint32_t flags, uint64_t size)
{
    struct cm_image_options options = options_of(flags, size, 0);
    struct cm_image *image;

    if (cm_image_open(NAME, &options, &image) == 0)
        return image;
    printf("cannot go on: %s\n", cm_last_error());
    exit(1);
}

/* Opening must fail, with a sentence that names the file and holds `words`. */
static void refused(uint32_t flags, uint64_t size, uint32_t sector_size, int expected,
                    const char *words)
{
    struct cm_image_options options = options_of(flags, size, sector_size);
    struct cm_image *image = (struct cm_image *)(void *)buffer;

    CHECK_EQ(cm_image_open(NAME, &options, &image), expected);
    CHECK(image == NULL);
    if (!CHECK(strstr(cm_last_error(), NAME) != NULL && strstr(cm_last_error(), words) != NULL))
        printf("  \"%s\"\n", cm_last_error());
}

static struct cm_image *create(uint64_t size)
{
    (void)cm_os_file_remove(NAME); /* of a run that was ended */
    return open_with(CM_OPEN_CREATE, size);
}

static void close_and_remove(struct cm_image *image)
{
    CHECK_EQ(cm_image_close(image), 0);
    CHECK_EQ(cm_os_file_remove(NAME), 0);
}

/* A file that is no disk yet. */
static void make_file(uint64_t size)
{
    struct cm_os_file *file;

    (void)cm_os_file_remove(NAME);
    if (!CHECK_EQ(cm_os_file_open(NAME, CM_OS_CREATE, &file), 0))
        exit(1);
    CHECK_EQ(cm_os_file_resize(file, size), 0);
    cm_os_file_close(file);
}

static uint64_t file_size(void)
{
    struct cm_os_file *file;
    uint64_t size = 0;

    if (!CHECK_EQ(cm_os_file_open(NAME, CM_OS_READ_ONLY, &file), 0))
        return 0;
    CHECK_EQ(cm_os_file_size(file, &size), 0);
    cm_os_file_close(file);
    return size;
}

static struct cm_image_info info_of(struct cm_image *image)
{
    struct cm_image_info info;

    CHECK_EQ(cm_image_flush(image), 0); /* file systems decide late what they allocate */
    CHECK_EQ(cm_image_get_info(image, &info), 0);
    return info;
}

/* -- contents ---------------------------------------------------------------------------------- */

static void it_keeps_what_is_written(void)
{
    struct cm_image *image = create(4 * MIB);

    fill(image, 512, 1024, 7);
    CHECK_EQ(cm_image_close(image), 0);
    CHECK_EQ(file_size(), 4 * MIB);
    image = open_with(0, 0);
    CHECK_EQ(info_of(image).size, 4 * MIB);
    CHECK_STR(info_of(image).format, "raw");
    CHECK(range_is(image, 512, 1024, 7));
    CHECK(range_is(image, 0, 512, 0));
    CHECK(range_is(image, 4 * MIB - 512, 512, 0));
    close_and_remove(image);
}

static void it_takes_space_as_data_comes(void)
{
    struct cm_image *image = create(64 * MIB);

    CHECK(info_of(image).allocated < MIB);
    fill(image, 32 * MIB, sizeof(buffer), 7);
    CHECK(info_of(image).allocated >= sizeof(buffer) && info_of(image).allocated < 4 * MIB);
    close_and_remove(image);
}

/* Wine 8 cannot make holes (FSCTL_SET_ZERO_DATA); a trim must say so there and change nothing. */
static int can_trim(void)
{
#ifdef _WIN32
    return GetProcAddress(GetModuleHandleW(L"ntdll.dll"), "wine_get_version") == NULL;
#else
    return 1;
#endif
}

static void trim_is_refused(struct cm_image *image)
{
    printf("Wine cannot make holes: only the refusal is tested\n");
    fill(image, 0, sizeof(buffer), 7);
    CHECK_EQ(cm_image_trim(image, 0, sizeof(buffer)), CM_ENOTSUP);
    CHECK(range_is(image, 0, sizeof(buffer), 7));
    close_and_remove(image);
}

static void trim_gives_space_back(void)
{
    struct cm_image *image = create(4 * MIB);
    uint64_t before;

    if (!can_trim()) {
        trim_is_refused(image);
        return;
    }
    for (uint32_t offset = 0; offset < 2 * MIB; offset += (uint32_t)sizeof(buffer))
        fill(image, offset, sizeof(buffer), 7);
    before = info_of(image).allocated;
    CHECK_EQ(cm_image_trim(image, 512, MIB), 0);
    CHECK(info_of(image).allocated <= before - MIB / 2);
    CHECK(range_is(image, 0, 512, 7));
    CHECK(range_is(image, 512, sizeof(buffer), 0));
    CHECK(range_is(image, MIB, 512, 0));
    CHECK(range_is(image, MIB + 512, 512, 7));
    CHECK_EQ(info_of(image).size, 4 * MIB);
    CHECK_EQ(file_size(), 4 * MIB);
    close_and_remove(image);
}

static void fua_and_flush_succeed(void)
{
    struct cm_image *image = create(MIB);

    CHECK_EQ(cm_image_write(image, buffer, 4096, 0, CM_IMAGE_FUA), 0);
    CHECK_EQ(cm_image_flush(image), 0);
    close_and_remove(image);
}

/* -- opening ----------------------------------------------------------------------------------- */

static void creating_needs_a_size_and_no_file(void)
{
    (void)cm_os_file_remove(NAME);
    refused(0, 0, 0, CM_ENOENT, "");
    refused(CM_OPEN_CREATE, 0, 0, CM_EINVAL, "size");
    make_file(MIB);
    refused(CM_OPEN_CREATE, MIB, 0, CM_EEXIST, "");
    CHECK_EQ(cm_os_file_remove(NAME), 0);
}

static void open_or_create_does_either(void)
{
    struct cm_image *image;

    (void)cm_os_file_remove(NAME);
    image = open_with(CM_OPEN_CREATE | CM_OPEN_OR_CREATE, MIB);
    fill(image, 0, 512, 7);
    CHECK_EQ(cm_image_close(image), 0);
    image = open_with(CM_OPEN_CREATE | CM_OPEN_OR_CREATE, MIB);
    CHECK(range_is(image, 0, 512, 7));
    close_and_remove(image);
}

static void a_smaller_file_grows_to_the_size(void)
{
    struct cm_image *image = create(MIB);

    fill(image, MIB - 512, 512, 7);
    CHECK_EQ(cm_image_close(image), 0);
    image = open_with(0, 64 * MIB);
    CHECK_EQ(info_of(image).size, 64 * MIB);
    CHECK(info_of(image).allocated < 4 * MIB);
    CHECK(range_is(image, MIB - 512, 512, 7));
    CHECK(range_is(image, 64 * MIB - 512, 512, 0));
    CHECK_EQ(file_size(), 64 * MIB);
    close_and_remove(image);
}

static void a_larger_file_is_not_cut(void)
{
    make_file(2 * MIB);
    refused(0, MIB, 0, CM_EINVAL, "lost");
    refused(CM_OPEN_CREATE | CM_OPEN_OR_CREATE, MIB, 0, CM_EINVAL, "lost");
    CHECK_EQ(file_size(), 2 * MIB);
    CHECK_EQ(cm_os_file_remove(NAME), 0);
}

static void read_only_changes_nothing(void)
{
    struct cm_image *image;

    make_file(MIB);
    refused(CM_OPEN_READ_ONLY, 2 * MIB, 0, CM_EINVAL, "read-only");
    image = open_with(CM_OPEN_READ_ONLY, MIB);
    CHECK(info_of(image).read_only && !info_of(image).can_trim);
    CHECK_EQ(cm_image_write(image, buffer, 512, 0, 0), CM_EROFS);
    CHECK_EQ(cm_image_trim(image, 0, 512), CM_EROFS);
    CHECK(range_is(image, 0, 512, 0));
    CHECK_EQ(file_size(), MIB);
    close_and_remove(image);
}

static void whole_sectors_are_asked_for(void)
{
    struct cm_image *image;

    make_file(0);
    refused(0, 0, 0, CM_EINVAL, "empty");
    make_file(1000);
    refused(0, 0, 0, CM_EINVAL, "sectors of 512. Make it longer");
    image = open_with(CM_OPEN_READ_ONLY, 0); /* as though zeros followed */
    CHECK_EQ(info_of(image).size, 1024);
    CHECK(range_is(image, 512, 512, 0));
    close_and_remove(image);
    make_file(4096 + 512);
    refused(0, 0, 4096, CM_EINVAL, "Open it with sectors of 512");
    refused(CM_OPEN_READ_ONLY, 0, 4096, CM_EINVAL, "4608");
    make_file(1000);
    image = open_with(0, 1024);
    CHECK_EQ(info_of(image).size, 1024);
    close_and_remove(image);
}

static void there_is_one_writer(void)
{
    struct cm_image *image = create(MIB);

    refused(0, 0, 0, CM_EBUSY, "");
    close_and_remove(image);
}

/* -- past the cache --------------------------------------------------------------------------- */

/* As cm_image_open() gives it to the opener, but never cached: on Linux too, where the kernel refuses
 * what is not aligned. */
static struct cm_image *open_uncached(uint32_t flags, uint64_t size, uint32_t sector_size)
{
    struct cm_image_options options = options_of(flags | CM_OPEN_UNCACHED, size, sector_size);
    struct cm_image *image;

    if (cm_raw_open(NAME, &options, &image) == 0)
        return image;
    printf("cannot go on: %s\n", cm_last_error());
    exit(1);
}

/* Requests of any sector and memory of any address, against what they should leave. */
static void check_uncached(struct cm_image *image, uint64_t size, uint32_t sector_size)
{
    static unsigned char model[MIB + 4096], data[65536 + 64];
    uint64_t random = check_seed();

    memset(model, 0, sizeof(model));
    for (unsigned round = 0; round < 300; round++) {
        uint64_t sectors = size / sector_size;
        uint64_t first = check_random(&random) % sectors;
        uint64_t most =
            sectors - first < 65536 / sector_size ? sectors - first : 65536 / sector_size;
        uint32_t length = (uint32_t)(check_random(&random) % most + 1) * sector_size;
        uint64_t offset = first * sector_size;
        unsigned char *at = data + check_random(&random) % 64;

        if (check_random(&random) % 2 == 0) {
            memset(at, (int)(round + 1), length);
            memset(model + offset, (int)(round + 1), length);
            CHECK_EQ(cm_image_write(image, at, length, offset, 0), 0);
        } else {
            CHECK_EQ(cm_image_read(image, at, length, offset), 0);
            CHECK(memcmp(at, model + offset, length) == 0);
        }
    }
    CHECK_EQ(cm_image_flush(image), 0);
    CHECK_EQ(file_size(), size);
}

static void uncached_files_take_any_request(void)
{
    static const struct {
        uint64_t size;
        uint32_t sector_size;
    } disks[] = {{MIB, 512}, {MIB, 4096}, {MIB - 512, 512}, {MIB + 512, 512}};

    for (unsigned i = 0; i < sizeof(disks) / sizeof(disks[0]); i++) {
        struct cm_image *image;

        (void)cm_os_file_remove(NAME);
        image = open_uncached(CM_OPEN_CREATE, disks[i].size, disks[i].sector_size);
        check_uncached(image, disks[i].size, disks[i].sector_size);
        close_and_remove(image);
    }
}

static void cached_and_uncached_files_are_the_same(void)
{
    struct cm_image *image;

    (void)cm_os_file_remove(NAME);
    image = open_with(CM_OPEN_CREATE | CM_OPEN_CACHED, MIB);
    fill(image, 512, 1024, 7);
    CHECK_EQ(cm_image_close(image), 0);
    image = open_uncached(0, 0, 512);
    CHECK(range_is(image, 512, 1024, 7));
    fill(image, 1024, 512, 8);
    CHECK_EQ(cm_image_close(image), 0);
    image = open_uncached(CM_OPEN_READ_ONLY, 0, 512);
    CHECK(range_is(image, 1024, 512, 8));
    CHECK_EQ(cm_image_close(image), 0);
    image = open_with(CM_OPEN_CACHED, 0);
    CHECK(range_is(image, 0, 512, 0) && range_is(image, 512, 512, 7) &&
          range_is(image, 1024, 512, 8));
    close_and_remove(image);
}

/* -- trouble ----------------------------------------------------------------------------------- */

/* Where nothing keeps others from cutting the file: what is cut off is a hole. */
#ifndef _WIN32
static void what_others_cut_off_is_a_hole(void)
{
    struct cm_image *image = create(MIB);
    struct cm_os_file *other;

    fill(image, MIB - 1024, 1024, 7);
    if (!CHECK_EQ(cm_os_file_open(NAME, 0, &other), 0))
        exit(1);
    CHECK_EQ(cm_os_file_resize(other, 4096), 0);
    cm_os_file_close(other);
    CHECK(range_is(image, MIB - 1024, 1024, 0));
    fill(image, MIB - 512, 512, 8);
    CHECK(range_is(image, MIB - 1024, 512, 0));
    CHECK(range_is(image, MIB - 512, 512, 8));
    close_and_remove(image);
}

/* No file may have a byte beyond this. @return what the limit was. */
static struct rlimit limit_files_to(rlim_t bytes)
{
    struct rlimit before, limit;

    signal(SIGXFSZ, SIG_IGN);
    CHECK_EQ(getrlimit(RLIMIT_FSIZE, &before), 0);
    limit = before;
    limit.rlim_cur = bytes;
    CHECK_EQ(setrlimit(RLIMIT_FSIZE, &limit), 0);
    return before;
}

static void a_file_that_cannot_be_made_whole_is_removed(void)
{
    struct cm_image_options options = options_of(CM_OPEN_CREATE, 4 * MIB, 0);
    struct rlimit before;
    struct cm_os_file *file;
    struct cm_image *image;

    (void)cm_os_file_remove(NAME);
    before = limit_files_to(MIB);
    CHECK_EQ(cm_image_open(NAME, &options, &image), CM_ENOSPC);
    CHECK(strstr(cm_last_error(), NAME) != NULL);
    CHECK_EQ(setrlimit(RLIMIT_FSIZE, &before), 0);
    CHECK_EQ(cm_os_file_open(NAME, CM_OS_READ_ONLY, &file), CM_ENOENT);
}

/* The write that finds no space fails; the disk is served on, and when there is space again all is
 * well. */
static void a_full_disk_is_survived(void)
{
    struct cm_image *image = create(4 * MIB);
    struct cm_loopback *loopback;
    struct rlimit before;

    if (!CHECK_EQ(cm_loopback_open(image, NULL, &loopback), 0))
        exit(1);
    memset(buffer, 7, sizeof(buffer));
    before = limit_files_to(MIB);
    CHECK_EQ(cm_loopback_write(loopback, buffer, 4096, 2 * MIB, 0), CM_ENOSPC);
    CHECK_EQ(cm_loopback_write(loopback, buffer, 4096, 2 * MIB, CM_IMAGE_FUA), CM_ENOSPC);
    CHECK_EQ(cm_loopback_write(loopback, buffer, 4096, 0, 0), 0);
    CHECK_EQ(cm_loopback_read(loopback, buffer, 4096, 0), 0);
    CHECK_EQ(buffer[4095], 7);
    CHECK_EQ(cm_loopback_read(loopback, buffer, 4096, 2 * MIB), 0);
    CHECK_EQ(buffer[4095], 0);
    CHECK_EQ(setrlimit(RLIMIT_FSIZE, &before), 0);
    CHECK_EQ(cm_loopback_write(loopback, buffer, 4096, 2 * MIB, 0), 0);
    CHECK_EQ(cm_loopback_flush(loopback), 0);
    cm_loopback_close(loopback);
    close_and_remove(image);
}
#endif

/* Holes are told where the file system knows them; and always which file it is. */
static void it_tells_its_holes_and_its_file(void)
{
    struct cm_image *image = create(16 * MIB);
    struct cm_image_info info;
    struct cm_extent extent;

    fill(image, 4 * MIB, 65536, 'e');
    CHECK_EQ(cm_image_get_info(image, &info), 0);
    CHECK_STR(info.path, NAME);
    CHECK_EQ(info.layout, CM_LAYOUT_FLAT);
    CHECK_EQ(cm_image_extent(image, 4 * MIB, 65536, &extent), 0);
    CHECK_EQ(extent.length, 65536);
    CHECK_EQ(extent.flags, CM_EXTENT_ALLOCATED);
    CHECK_EQ(extent.place, 4 * MIB);
    CHECK_EQ(cm_image_extent(image, 0, 16 * MIB, &extent), 0);
    if ((extent.flags & CM_EXTENT_ALLOCATED) != 0) {
        printf("no holes are told on this file system\n");
        CHECK_EQ(extent.length, 16 * MIB);
    } else {
        CHECK_EQ(extent.flags, CM_EXTENT_ZERO);
        CHECK_EQ(extent.length, 4 * MIB);
        CHECK(extent.place == CM_EXTENT_NO_PLACE);
    }
    close_and_remove(image);
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        CHECK_TEST(it_keeps_what_is_written),
        CHECK_TEST(it_takes_space_as_data_comes),
        CHECK_TEST(trim_gives_space_back),
        CHECK_TEST(it_tells_its_holes_and_its_file),
        CHECK_TEST(fua_and_flush_succeed),
        CHECK_TEST(creating_needs_a_size_and_no_file),
        CHECK_TEST(open_or_create_does_either),
        CHECK_TEST(a_smaller_file_grows_to_the_size),
        CHECK_TEST(a_larger_file_is_not_cut),
        CHECK_TEST(read_only_changes_nothing),
        CHECK_TEST(whole_sectors_are_asked_for),
        CHECK_TEST(there_is_one_writer),
        CHECK_TEST(uncached_files_take_any_request),
        CHECK_TEST(cached_and_uncached_files_are_the_same),
#ifndef _WIN32
        CHECK_TEST(what_others_cut_off_is_a_hole),
        CHECK_TEST(a_file_that_cannot_be_made_whole_is_removed),
        CHECK_TEST(a_full_disk_is_survived),
#endif
    };

    return check_main(argc, argv, tests, sizeof(tests) / sizeof(tests[0]));
}
