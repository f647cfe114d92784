/* SPDX-License-Identifier: MIT */
/* test_registry.c - lib/core/registry.c: from a specification and options to an image, or to a
 * sentence. */
#include "lib/core/image_internal.h"
#include "lib/core/os.h"
#include "tests/unit/check.h"

#include <coremnt/image.h>

static struct cm_image_options options_of(uint32_t flags, uint64_t size)
{
    struct cm_image_options options = {
        .struct_size = sizeof(options), .flags = flags, .size = size};

    return options;
}

/* Opening must fail, with a sentence that holds `words`. */
static void refused(const char *spec, const struct cm_image_options *options, int expected,
                    const char *words)
{
    struct cm_image *image = (struct cm_image *)(void *)&options;

    CHECK_EQ(cm_image_open(spec, options, &image), expected);
    CHECK(image == NULL);
    if (!CHECK(strstr(cm_last_error(), words) != NULL))
        printf("  \"%s\" does not hold \"%s\"\n", cm_last_error(), words);
}

static void opens_as(const char *spec, const struct cm_image_options *options, const char *format)
{
    struct cm_image_info info;
    struct cm_image *image;

    if (!CHECK_EQ(cm_image_open(spec, options, &image), 0)) {
        printf("  %s\n", cm_last_error());
        return;
    }
    CHECK_EQ(cm_image_get_info(image, &info), 0);
    CHECK_STR(info.format, format);
    CHECK_EQ(cm_image_close(image), 0);
}

static void every_kind_is_described(void)
{
    int count = 0;

    for (const struct cm_image_kind *kind = cm_image_kinds(); kind->name != NULL; kind++) {
        CHECK(strncmp(kind->syntax, kind->name, strlen(kind->name)) == 0);
        CHECK(kind->syntax[strlen(kind->name)] == ':');
        CHECK(kind->summary[0] != '\0');
        count++;
    }
    CHECK(count >= 2);
}

static void a_kind_is_the_word_before_the_colon(void)
{
    struct cm_image_options create = options_of(CM_OPEN_CREATE, 4096);

    opens_as("memory:64K", NULL, "memory");
    opens_as("raw:registry1.img", &create, "raw");
    CHECK_EQ(cm_os_file_remove("registry1.img"), 0);
}

static void only_memory_goes_with_its_process(void)
{
    struct cm_image_options create = options_of(CM_OPEN_CREATE, 4096);
    struct cm_image *image;

    if (CHECK_EQ(cm_image_open("memory:64K", NULL, &image), 0)) {
        CHECK_EQ(cm_image_is_volatile(image), 1);
        CHECK_EQ(cm_image_close(image), 0);
    }
    if (CHECK_EQ(cm_image_open("raw:registry7.img", &create, &image), 0)) {
        CHECK_EQ(cm_image_is_volatile(image), 0);
        CHECK_EQ(cm_image_close(image), 0);
    }
    CHECK_EQ(cm_os_file_remove("registry7.img"), 0);
}

/* What does not depend on the current folder any more: a full path, or no path at all. */
static void a_full_spec_can_be_opened_anywhere(void)
{
    struct cm_image_options create = options_of(CM_OPEN_CREATE, 4096);
    char full[1024], twice[1024], plain[1024];

    CHECK_EQ(cm_image_full_spec("memory:64K", full, sizeof(full)), 0);
    CHECK_STR(full, "memory:64K");
    CHECK_EQ(cm_image_full_spec("raw:registry8.img", full, sizeof(full)), 0);
    CHECK_EQ(cm_image_full_spec("registry8.img", plain, sizeof(plain)), 0);
    CHECK(strncmp(full, "raw:", 4) == 0 && strlen(full) > strlen("raw:registry8.img"));
    CHECK_STR(full + 4, plain);
    opens_as(full, &create, "raw");
    CHECK_EQ(cm_os_file_remove("registry8.img"), 0);
    CHECK_EQ(cm_image_full_spec(full, twice, sizeof(twice)), 0);
    CHECK_STR(twice, full);
}

static void a_full_spec_is_not_cut(void)
{
    char full[64];

    memset(full, 'x', sizeof(full));
    CHECK(cm_image_full_spec("a-name-of-some-length/and-another-one/x.img", full, 30) != 0);
    CHECK(cm_image_full_spec("raw:x.img", full, 5) != 0);
    CHECK(cm_image_full_spec("raw:x.img", full, 4) != 0);
    CHECK_EQ(cm_image_full_spec("memory:64K", full, 10), CM_EINVAL);
    CHECK_EQ(full[30], 'x');
    CHECK_EQ(cm_image_full_spec("memory:64K", full, 11), 0);
    CHECK_EQ(cm_image_full_spec("vmdx:x", full, sizeof(full)), CM_EFORMAT);
}

static void other_specs_are_paths(void)
{
    struct cm_image_options create = options_of(CM_OPEN_CREATE, 4096);

    opens_as("registry2.img", &create, "raw");
    CHECK_EQ(cm_os_file_remove("registry2.img"), 0);
    opens_as("./registry3.img", &create, "raw");
    CHECK_EQ(cm_os_file_remove("registry3.img"), 0);
    refused("./no-such-folder/memory:64K", NULL, CM_ENOENT, "no-such-folder");
}

/* No Windows path is taken for a kind, on any system. */
static void one_letter_is_a_drive(void)
{
    struct cm_image *image;
    int error = cm_image_open("C:\\no such folder\\x.img", NULL, &image);

    CHECK_EQ(error, CM_ENOENT);
    error = cm_image_open("Q:no-such-file.img", NULL, &image);
    CHECK(error != 0 && error != CM_EFORMAT);
}

static void an_unknown_kind_names_the_known(void)
{
    refused("vmdx:disk.img", NULL, CM_EFORMAT, "\"vmdx\"");
    refused("vmdx:disk.img", NULL, CM_EFORMAT, "memory, raw");
    refused("Raw:disk.img", NULL, CM_EFORMAT, "memory, raw");
    refused("http://host/disk", NULL, CM_EFORMAT, "\"http\"");
}

static void something_must_be_named(void)
{
    refused("", NULL, CM_EINVAL, "no image");
    refused(NULL, NULL, CM_EINVAL, "no image");
    refused("raw:", NULL, CM_EINVAL, "raw:PATH");
    refused("memory:", NULL, CM_EINVAL, "memory:SIZE");
}

static void flags_must_go_together(void)
{
    struct cm_image_options options = options_of(1u << 20, 0);

    refused("memory:64K", &options, CM_EINVAL, "0x100000");
    options = options_of(CM_OPEN_OR_CREATE, 0);
    refused("memory:64K", &options, CM_EINVAL, "CM_OPEN_CREATE");
    options = options_of(CM_OPEN_CREATE | CM_OPEN_READ_ONLY, 4096);
    refused("registry4.img", &options, CM_EINVAL, "read-only");
}

static void numbers_are_checked(void)
{
    struct cm_image_options options = options_of(0, 513);

    refused("registry5.img", &options, CM_EINVAL, "513");
    options = options_of(0, UINT64_MAX - 511);
    refused("registry5.img", &options, CM_EINVAL, "4 EiB");
    options = options_of(0, 4096 + 512);
    options.sector_size = 4096;
    refused("registry5.img", &options, CM_EINVAL, "4096");
    options.sector_size = 1000;
    refused("registry5.img", &options, CM_EINVAL, "1000");
    options = options_of(0, 0);
    options.block_size = 1u << 20;
    refused("memory:64K", &options, CM_EINVAL, "CM_OPEN_CREATE");
}

static void an_older_structure_is_shorter(void)
{
    struct cm_image_options options = options_of(0, 12345);

    options.struct_size = offsetof(struct cm_image_options, size);
    opens_as("memory:64K", &options, "memory");
    options.struct_size = 0;
    refused("memory:64K", &options, CM_EINVAL, "struct_size");
    options.struct_size = sizeof(options) + 4;
    refused("memory:64K", &options, CM_EINVAL, "struct_size");
}

/* -- containers -------------------------------------------------------------------------------- */

/* Windows opens x.vhdx by each of these names. */
static void other_names_of_a_container_are_no_raw_disks(void)
{
    static const char *const names[] = {"x.vhdx.", "x.vhdx ", "d/x.VHDX . .", "x.vhdx::$DATA"};
    struct cm_image_place place;

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        CHECK_EQ(cm_image_place(names[i], &place), 0);
        CHECK(strcmp(place.kind, "vhdx") == 0 && place.path == names[i]);
    }
    CHECK_EQ(cm_image_place("..", &place), 0);
    CHECK(strcmp(place.kind, "raw") == 0);
}

static void a_path_is_what_its_extension_says(void)
{
    static const struct {
        const char *path;
        const char *format;
    } rows[] = {
        {"registry.vhdx", "vhdx"},     {"registry.VhdX", "vhdx"},     {"registry.x.avhdx", "vhdx"},
        {"registry.vhdx.img", "raw"},  {"registry.vhdxx", "raw"},     {"registry.vhd0", "raw"},
        {"registryvhdx", "raw"},       {"registry.", "raw"},          {"./registry.vhdx", "vhdx"},
        {"raw:registry.vhdx", "raw"},  {"vhdx:registry.img", "vhdx"}, {"registry.v", "raw"},
        {".//registry.avhdx", "vhdx"},
    };
    struct cm_image_options create = options_of(CM_OPEN_CREATE, 4096);

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const char *colon = strchr(rows[i].path, ':');

        opens_as(rows[i].path, &create, rows[i].format);
        CHECK_EQ(cm_os_file_remove(colon != NULL ? colon + 1 : rows[i].path), 0);
    }
    refused("registry.vhdx/no-such-file", NULL, CM_ENOENT, "no-such-file"); /* of a folder */
}

/* What a disk's content is, its guest decides: it must never choose what is opened. */
static void a_raw_disk_that_begins_like_a_container_is_raw(void)
{
    struct cm_image_options create = options_of(CM_OPEN_CREATE, 8u << 20);
    struct cm_os_file *from;
    struct cm_os_file *to;
    static unsigned char bytes[1u << 20];
    struct cm_image *image;

    CHECK_EQ(cm_image_open("registry.vhdx", &create, &image), 0);
    CHECK_EQ(cm_image_close(image), 0);
    CHECK_EQ(cm_os_file_open("registry.vhdx", CM_OS_READ_ONLY, &from), 0);
    CHECK_EQ(cm_os_file_open("registry.img", CM_OS_CREATE, &to), 0);
    CHECK_EQ(cm_os_file_read(from, bytes, sizeof(bytes), 0), 0);
    CHECK(memcmp(bytes, "vhdxfile", 8) == 0);
    CHECK_EQ(cm_os_file_write(to, bytes, sizeof(bytes), 0), 0);
    cm_os_file_close(from);
    cm_os_file_close(to);
    opens_as("registry.img", NULL, "raw");
    CHECK_EQ(cm_os_file_remove("registry.img"), 0);
    CHECK_EQ(cm_os_file_remove("registry.vhdx"), 0);
}

static void what_is_no_container_is_told_how_to_open(void)
{
    struct cm_image_options create = options_of(CM_OPEN_CREATE, 8u << 20);

    opens_as("raw:registry.vhdx", &create, "raw");
    refused("registry.vhdx", NULL, CM_EFORMAT, "raw:");
    CHECK_EQ(cm_os_file_remove("registry.vhdx"), 0);
}

static void a_container_has_its_own_sizes(void)
{
    struct cm_image_options options = options_of(CM_OPEN_CREATE, 8u << 20);

    options.sector_size = 4096;
    opens_as("registry.vhdx", &options, "vhdx");
    options = options_of(0, 8u << 20);
    opens_as("registry.vhdx", &options, "vhdx");
    options.size = 16u << 20;
    refused("registry.vhdx", &options, CM_EINVAL, "coremnt resize");
    options.size = 4u << 20;
    refused("registry.vhdx", &options, CM_EINVAL, "coremnt resize");
    options = options_of(0, 0);
    options.sector_size = 512;
    refused("registry.vhdx", &options, CM_EINVAL, "4096");
    options.sector_size = 4096;
    opens_as("registry.vhdx", &options, "vhdx");
    CHECK_EQ(cm_os_file_remove("registry.vhdx"), 0);
}

static void a_container_is_opened_or_created(void)
{
    struct cm_image_options options = options_of(CM_OPEN_CREATE | CM_OPEN_OR_CREATE, 8u << 20);

    options.block_size = 1u << 20;
    opens_as("registry.vhdx", &options, "vhdx");
    opens_as("registry.vhdx", &options, "vhdx");
    options.size = 4u << 20;
    refused("registry.vhdx", &options, CM_EINVAL, "registry.vhdx");
    options.flags = CM_OPEN_CREATE;
    refused("registry.vhdx", &options, CM_EEXIST, "registry.vhdx");
    CHECK_EQ(cm_os_file_remove("registry.vhdx"), 0);
}

static void what_is_chosen_at_the_making_is_checked(void)
{
    struct cm_image_options options = options_of(CM_OPEN_CREATE, 0);

    refused("registry.vhdx", &options, CM_EINVAL, "without a size");
    options.size = UINT64_C(65) << 40;
    refused("registry.vhdx", &options, CM_EINVAL, "at most");
    options = options_of(CM_OPEN_CREATE | CM_OPEN_FIXED, 8u << 20);
    refused("registry.img", &options, CM_EINVAL, "no fixed size");
    options.parent = "parent.vhdx";
    refused("registry.vhdx", &options, CM_EINVAL, "parent");
    options.flags = CM_OPEN_CREATE;
    refused("registry.vhdx", &options, CM_ENOENT, "parent.vhdx");
    refused("memory:8M", &options, CM_EINVAL, "no parent");
    options = options_of(CM_OPEN_CREATE, 8u << 20);
    options.block_size = 3u << 20;
    refused("registry.vhdx", &options, CM_EINVAL, "block");
    options = options_of(0, 0);
    refused("registry.vhdx", &options, CM_ENOENT, "registry.vhdx"); /* nothing was left */
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        CHECK_TEST(every_kind_is_described),
        CHECK_TEST(a_kind_is_the_word_before_the_colon),
        CHECK_TEST(only_memory_goes_with_its_process),
        CHECK_TEST(a_full_spec_can_be_opened_anywhere),
        CHECK_TEST(a_full_spec_is_not_cut),
        CHECK_TEST(other_specs_are_paths),
        CHECK_TEST(one_letter_is_a_drive),
        CHECK_TEST(an_unknown_kind_names_the_known),
        CHECK_TEST(something_must_be_named),
        CHECK_TEST(flags_must_go_together),
        CHECK_TEST(numbers_are_checked),
        CHECK_TEST(an_older_structure_is_shorter),
        CHECK_TEST(a_path_is_what_its_extension_says),
        CHECK_TEST(other_names_of_a_container_are_no_raw_disks),
        CHECK_TEST(a_raw_disk_that_begins_like_a_container_is_raw),
        CHECK_TEST(what_is_no_container_is_told_how_to_open),
        CHECK_TEST(a_container_has_its_own_sizes),
        CHECK_TEST(a_container_is_opened_or_created),
        CHECK_TEST(what_is_chosen_at_the_making_is_checked),
    };

    return check_main(argc, argv, tests, sizeof(tests) / sizeof(tests[0]));
}
