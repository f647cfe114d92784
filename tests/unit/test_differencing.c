/* SPDX-License-Identifier: MIT */
/*
 * test_differencing.c - images into their parents and onto others: the content of all who are concerned, what is refused,
 * and what is there when the work is interrupted. What both formats can is tried with both.
 */
#ifdef _WIN32
#include <direct.h>
#define make_folder(path) _mkdir(path)
#else
#include <sys/stat.h>
#define make_folder(path) mkdir(path, 0777)
#endif

#include "images/vhdx/vhdx.h"
#include "tests/unit/chain.h"
#include "tests/unit/cuts.h"

#define DISK (12u * MIB)

static const char *const formats[] = {"vhdx", "vhd"};

#define FORMATS (sizeof(formats) / sizeof(formats[0]))

/* "NAME.vhdx", in one of a few buffers. */
static const char *named(const char *name, unsigned format)
{
    static char names[8][32];
    static unsigned next;
    char *to = names[next++ % 8];

    snprintf(to, sizeof(names[0]), "%s.%s", name, formats[format]);
    return to;
}

/* Writes, zeros and trims, some of whole blocks. */
static void scribble(struct cm_image *image, uint64_t *random)
{
    for (unsigned i = 0; i < 40; i++) {
        int is_large = check_random(random) % 4 == 0;
        uint32_t length = (uint32_t)(check_random(random) % (is_large ? 6000 : 30) + 1) * 512;
        uint32_t offset = (uint32_t)(check_random(random) % ((DISK - length) / 512)) * 512;
        unsigned what = (unsigned)(check_random(random) % 8);

        if (what == 0)
            offset -= offset % MIB;
        if (what < 3)
            CHECK_EQ(cm_image_trim(image, offset, length), 0);
        else
            chain_put(image, offset, length, what == 3 ? 0 : (unsigned char)check_random(random));
    }
}

static void make_scribbled(const char *path, const char *parent, uint64_t *random)
{
    struct cm_image *image = chain_make(path, parent, parent == NULL ? DISK : 0, 2 * MIB);

    scribble(image, random);
    chain_close(image);
}

/* Whether nothing lies in the image itself. */
static int is_empty(const char *path)
{
    struct cm_image *image = chain_open(path, CM_OPEN_READ_ONLY);
    struct cm_image_info info = {0};
    struct cm_extent extent = {.depth = 1};

    CHECK_EQ(cm_image_get_info(image, &info), 0);
    for (uint64_t at = 0; at < info.size && extent.depth > 0; at += extent.length)
        CHECK_EQ(cm_image_extent(image, at, info.size - at, &extent), 0);
    chain_close(image);
    return extent.depth > 0;
}

static int has_parent(const char *path)
{
    struct cm_image *image = chain_open(path, CM_OPEN_READ_ONLY);
    int has = cm_image_parent(image) != NULL;

    chain_close(image);
    return has;
}

static int commit(const char *path)
{
    return cm_image_commit(path, NULL, NULL);
}

static int rebase(const char *path, const char *parent, uint32_t flags)
{
    return cm_image_rebase(path, parent, flags, NULL, NULL);
}

/* -- commit ------------------------------------------------------------------------------------ */

static void a_parent_gets_all_that_its_child_has(void)
{
    uint64_t random = check_seed();

    for (unsigned f = 0; f < FORMATS; f++) {
        unsigned char *content;

        make_scribbled(named("base", f), NULL, &random);
        make_scribbled(named("middle", f), named("base", f), &random);
        make_scribbled(named("child", f), named("middle", f), &random);
        content = chain_read_all(named("child", f), DISK);
        CHECK_EQ(commit(named("child", f)), 0);
        CHECK(chain_has(named("middle", f), content, DISK));
        CHECK(chain_has(named("child", f), content, DISK));
        CHECK(is_empty(named("child", f)));
        CHECK(chain_is_sound(named("child", f)));
        CHECK_EQ(commit(named("child", f)), 0); /* nothing is left to do */
        CHECK(chain_has(named("child", f), content, DISK));
        CHECK_EQ(commit(named("middle", f)), 0);
        CHECK(chain_has(named("base", f), content, DISK));
        CHECK(chain_is_sound(named("middle", f)));
        free(content);
    }
}

static void a_parent_becomes_as_large_as_its_child(void)
{
    struct cm_image *image = chain_make("base.vhdx", NULL, 3 * MIB + 512, MIB);

    chain_put(image, 0, 3 * MIB + 512, 1);
    chain_close(image);
    image = chain_make("child.vhdx", "base.vhdx", DISK, MIB);
    chain_put(image, DISK - 512, 512, 2);
    chain_close(image);
    CHECK_EQ(commit("child.vhdx"), 0);
    image = chain_open("base.vhdx", CM_OPEN_READ_ONLY);
    CHECK(chain_is(image, 0, 3 * MIB + 512, 1));
    CHECK(chain_is(image, 3 * MIB + 512, DISK - 3 * MIB - 1024, 0));
    CHECK(chain_is(image, DISK - 512, 512, 2));
    chain_close(image);
    CHECK(chain_is_sound("child.vhdx"));
}

/* One of fixed size keeps its space, so zeros are written. */
static void a_parent_of_fixed_size_gets_it_too(void)
{
    uint64_t random = check_seed();

    for (unsigned f = 0; f < FORMATS; f++) {
        struct cm_image_options options = {.flags = CM_OPEN_FIXED, .size = DISK};
        struct cm_image *image = chain_make_with(named("base", f), options);
        unsigned char *content;

        chain_put(image, 0, DISK, 1);
        chain_close(image);
        make_scribbled(named("child", f), named("base", f), &random);
        content = chain_read_all(named("child", f), DISK);
        CHECK_EQ(commit(named("child", f)), 0);
        CHECK(chain_has(named("base", f), content, DISK));
        CHECK(chain_is_sound(named("child", f)));
        free(content);
    }
}

/* The child's content is the same, so its own child goes on; its sibling's parent is another one. */
static void a_grandchild_still_fits_and_a_sibling_does_not(void)
{
    uint64_t random = check_seed();
    unsigned char *content;

    make_scribbled("base.vhdx", NULL, &random);
    make_scribbled("sibling.vhdx", "base.vhdx", &random);
    make_scribbled("child.vhdx", "base.vhdx", &random);
    make_scribbled("grandchild.vhdx", "child.vhdx", &random);
    content = chain_read_all("grandchild.vhdx", DISK);
    CHECK_EQ(commit("child.vhdx"), 0);
    CHECK(chain_has("grandchild.vhdx", content, DISK));
    CHECK_EQ(chain_open_error("sibling.vhdx", CM_OPEN_READ_ONLY), CM_EDAMAGED);
    free(content);
}

static void a_commit_that_cannot_be_says_why(void)
{
    uint64_t random = check_seed();

    for (unsigned f = 0; f < FORMATS; f++) {
        struct cm_image *image;

        make_scribbled(named("base", f), NULL, &random);
        make_scribbled(named("child", f), named("base", f), &random);
        CHECK_EQ(commit(named("base", f)), CM_EINVAL);
        CHECK(strstr(cm_last_error(), "parent") != NULL);
        image = chain_open(named("base", f), CM_OPEN_READ_ONLY);
        CHECK_EQ(commit(named("child", f)), CM_EBUSY);
        chain_close(image);
        image = chain_open(named("child", f), CM_OPEN_READ_ONLY);
        CHECK_EQ(commit(named("child", f)), CM_EBUSY);
        chain_close(image);
        CHECK_EQ(cm_os_file_remove(named("base", f)), 0);
        CHECK_EQ(commit(named("child", f)), CM_ENOENT);
        CHECK(strstr(cm_last_error(), named("base", f)) != NULL);
    }
    CHECK_EQ(commit("raw:child.vhdx"), CM_EINVAL);
    CHECK_EQ(commit("memory:64M"), CM_EINVAL);
    CHECK_EQ(commit("none.vhdx"), CM_ENOENT);
}

static void a_parent_that_was_changed_gets_nothing(void)
{
    uint64_t random = check_seed();
    unsigned char *content;
    struct cm_image *image;

    make_scribbled("base.vhdx", NULL, &random);
    make_scribbled("child.vhdx", "base.vhdx", &random);
    image = chain_open("base.vhdx", 0);
    chain_put(image, 0, MIB, 77);
    chain_close(image);
    content = chain_read_all("base.vhdx", DISK);
    CHECK_EQ(commit("child.vhdx"), CM_EDAMAGED);
    CHECK(chain_has("base.vhdx", content, DISK));
    free(content);
}

/* Where the child looks first another one lies by now; its parent is beside it. */
static void an_image_of_the_right_name_that_is_not_the_parent_is_passed_by(void)
{
    uint64_t random = check_seed();
    unsigned char *content, *other;
    struct cm_check_result checked;

    (void)make_folder("away"); /* it may be there from an earlier run */
    make_scribbled("base.vhdx", NULL, &random);
    make_scribbled("away/child.vhdx", "base.vhdx", &random);
    content = chain_read_all("away/child.vhdx", DISK);
    chain_copy_file("base.vhdx", "away/base.vhdx");
    make_scribbled("base.vhdx", NULL, &random);
    other = chain_read_all("base.vhdx", DISK);
    CHECK_EQ(cm_image_check("away/child.vhdx", NULL, &checked), 0);
    CHECK_EQ(checked.errors, 0);
    CHECK_EQ(commit("away/child.vhdx"), 0);
    CHECK(chain_has("away/base.vhdx", content, DISK));
    CHECK(chain_has("base.vhdx", other, DISK));
    free(content);
    free(other);
}

static int stop_after(void *context, uint64_t done, uint64_t all)
{
    unsigned *left = context;

    CHECK(done <= all);
    return (*left)-- == 0;
}

static void a_commit_that_is_given_up_can_be_done_again(void)
{
    uint64_t random = check_seed();

    for (unsigned f = 0; f < FORMATS; f++) {
        for (unsigned calls = 0; calls < 24; calls += 11) {
            unsigned char *content;
            unsigned left = calls;
            int error;

            make_scribbled(named("base", f), NULL, &random);
            make_scribbled(named("child", f), named("base", f), &random);
            content = chain_read_all(named("child", f), DISK);
            error = cm_image_commit(named("child", f), stop_after, &left);
            CHECK(error == 0 || error == CM_ECANCELED);
            CHECK(chain_has(named("child", f), content, DISK));
            CHECK_EQ(commit(named("child", f)), 0);
            CHECK(chain_has(named("base", f), content, DISK));
            free(content);
        }
    }
}

/* -- rebase ------------------------------------------------------------------------------------ */

static void the_content_stays_upon_another_parent(void)
{
    uint64_t random = check_seed();

    for (unsigned f = 0; f < FORMATS; f++) {
        unsigned char *content;

        make_scribbled(named("old", f), NULL, &random);
        make_scribbled(named("new", f), NULL, &random);
        make_scribbled(named("newer", f), named("new", f), &random);
        make_scribbled(named("child", f), named("old", f), &random);
        content = chain_read_all(named("child", f), DISK);
        CHECK_EQ(rebase(named("child", f), named("newer", f), 0), 0);
        CHECK(chain_has(named("child", f), content, DISK));
        CHECK_EQ(cm_os_file_remove(named("old", f)), 0);
        CHECK(chain_has(named("child", f), content, DISK));
        CHECK(chain_is_sound(named("child", f)));
        CHECK_EQ(rebase(named("child", f), named("new", f), 0), 0); /* past one of its parents */
        CHECK(chain_has(named("child", f), content, DISK));
        CHECK_EQ(cm_os_file_remove(named("newer", f)), 0);
        CHECK(chain_has(named("child", f), content, DISK));
        free(content);
    }
}

static void the_content_stays_without_a_parent(void)
{
    uint64_t random = check_seed();

    for (unsigned f = 0; f < FORMATS; f++) {
        unsigned char *content;

        make_scribbled(named("base", f), NULL, &random);
        make_scribbled(named("middle", f), named("base", f), &random);
        make_scribbled(named("child", f), named("middle", f), &random);
        make_scribbled(named("grandchild", f), named("child", f), &random);
        content = chain_read_all(named("child", f), DISK);
        CHECK_EQ(rebase(named("child", f), NULL, 0), 0);
        CHECK(!has_parent(named("child", f)));
        CHECK_EQ(cm_os_file_remove(named("base", f)), 0);
        CHECK_EQ(cm_os_file_remove(named("middle", f)), 0);
        CHECK(chain_has(named("child", f), content, DISK));
        CHECK(chain_is_sound(named("child", f)));
        CHECK_EQ(chain_open_error(named("grandchild", f), CM_OPEN_READ_ONLY), 0);
        free(content);
    }
}

/* What lies in a block where the bitmap says that nothing is here does not come to light. */
static void what_is_not_here_is_zeros_without_a_parent(void)
{
    for (unsigned f = 0; f < FORMATS; f++) {
        unsigned char garbage[1024];
        struct cm_extent extent;
        struct cm_image *image;
        FILE *file;

        chain_close(chain_make(named("base", f), NULL, DISK, 2 * MIB));
        image = chain_make(named("child", f), named("base", f), 0, 2 * MIB);
        chain_put(image, 3 * MIB, 512, 1);
        CHECK_EQ(cm_image_extent(image, 3 * MIB, 512, &extent), 0);
        chain_close(image);
        memset(garbage, 0xee, sizeof(garbage));
        file = fopen(named("child", f), "r+b");
        CHECK(file != NULL && fseek(file, (long)extent.place + 512, SEEK_SET) == 0);
        CHECK_EQ(fwrite(garbage, 1, sizeof(garbage), file), sizeof(garbage));
        CHECK_EQ(fclose(file), 0);
        CHECK_EQ(rebase(named("child", f), NULL, 0), 0);
        image = chain_open(named("child", f), CM_OPEN_READ_ONLY);
        CHECK(chain_is(image, 3 * MIB, 512, 1));
        CHECK(chain_is(image, 3 * MIB + 512, DISK - 3 * MIB - 512, 0));
        chain_close(image);
    }
}

/* The same file under another name. */
static void a_parent_that_was_moved_is_named_anew(void)
{
    uint64_t random = check_seed();

    for (unsigned f = 0; f < FORMATS; f++) {
        unsigned char *content;

        make_scribbled(named("base", f), NULL, &random);
        make_scribbled(named("child", f), named("base", f), &random);
        content = chain_read_all(named("child", f), DISK);
        (void)cm_os_file_remove(named("moved", f));
        CHECK_EQ(cm_os_file_rename_new(named("base", f), named("moved", f)), 0);
        CHECK_EQ(rebase(named("child", f), named("moved", f), 0), CM_ENOENT);
        CHECK_EQ(rebase(named("child", f), named("moved", f), CM_REBASE_TRUST), 0);
        CHECK(chain_has(named("child", f), content, DISK));
        CHECK(chain_is_sound(named("child", f)));
        free(content);
    }
}

static void a_parent_may_be_named_with_its_kind(void)
{
    static const char *const others[] = {"vhd", "vhdx"};

    for (unsigned f = 0; f < FORMATS; f++) {
        struct cm_image_options options = {.struct_size = sizeof(options), .flags = CM_OPEN_CREATE};
        struct cm_image *image;
        char parent[48];

        (void)cm_os_file_remove("base.img.x");
        chain_close(chain_make(named("base", f), NULL, DISK, 2 * MIB));
        CHECK_EQ(cm_os_file_rename_new(named("base", f), "base.img.x"), 0);
        snprintf(parent, sizeof(parent), "%s:base.img.x", formats[f]);
        chain_close(chain_make(named("child", f), parent, 0, 2 * MIB));
        CHECK_EQ(cm_image_rebase(named("child", f), parent, 0, NULL, NULL), 0);
        CHECK_EQ(cm_image_rebase(named("child", f), "base.img.x", CM_REBASE_TRUST, NULL, NULL), 0);
        chain_close(chain_open(named("child", f), 0));

        snprintf(parent, sizeof(parent), "%s:base.img.x", others[f]);
        CHECK_EQ(cm_image_rebase(named("child", f), parent, 0, NULL, NULL), CM_EINVAL);
        CHECK(strstr(cm_last_error(), "of the same kind") != NULL);
        (void)cm_os_file_remove(named("child", f));
        options.parent = parent;
        CHECK_EQ(cm_image_open(named("child", f), &options, &image), CM_EINVAL);
        options.parent = "a\x1b[2J";
        CHECK_EQ(cm_image_open(named("child", f), &options, &image), CM_EINVAL);
        CHECK(strstr(cm_last_error(), "control characters") != NULL);
        (void)cm_os_file_remove("base.img.x");
    }
}

static void a_smaller_parent_is_zeros_beyond_its_end(void)
{
    uint64_t random = check_seed();
    unsigned char *content;
    struct cm_image *image;

    make_scribbled("old.vhdx", NULL, &random);
    make_scribbled("child.vhdx", "old.vhdx", &random);
    image = chain_make("small.vhdx", NULL, 5 * MIB + 512, MIB);
    chain_put(image, 0, 5 * MIB + 512, 9);
    chain_close(image);
    content = chain_read_all("child.vhdx", DISK);
    CHECK_EQ(rebase("child.vhdx", "small.vhdx", 0), 0);
    CHECK(chain_has("child.vhdx", content, DISK));
    CHECK(chain_is_sound("child.vhdx"));
    free(content);
}

/* An image that has nothing takes nothing when its new parent has the same. */
static void what_is_the_same_is_not_copied(void)
{
    uint64_t random = check_seed();

    for (unsigned f = 0; f < FORMATS; f++) {
        make_scribbled(named("old", f), NULL, &random);
        chain_copy_file(named("old", f), named("new", f));
        chain_close(chain_make(named("child", f), named("old", f), 0, 2 * MIB));
        CHECK_EQ(rebase(named("child", f), named("new", f), 0), 0);
        CHECK(is_empty(named("child", f)));
    }
}

static void circles_are_refused(void)
{
    uint64_t random = check_seed();

    for (unsigned f = 0; f < FORMATS; f++) {
        unsigned char *content;

        make_scribbled(named("base", f), NULL, &random);
        make_scribbled(named("middle", f), named("base", f), &random);
        make_scribbled(named("child", f), named("middle", f), &random);
        content = chain_read_all(named("child", f), DISK);
        for (uint32_t flags = 0; flags <= CM_REBASE_TRUST; flags += CM_REBASE_TRUST) {
            CHECK_EQ(rebase(named("middle", f), named("middle", f), flags), CM_EINVAL);
            CHECK_EQ(rebase(named("middle", f), named("child", f), flags), CM_EINVAL);
            CHECK(strstr(cm_last_error(), "among its parents") != NULL);
        }
        CHECK(chain_has(named("child", f), content, DISK));
        free(content);
    }
}

static void a_rebase_that_cannot_be_says_why(void)
{
    uint64_t random = check_seed();
    struct cm_image_options options = {.size = DISK, .sector_size = 4096};

    for (unsigned f = 0; f < FORMATS; f++) {
        unsigned char *content;
        struct cm_image *image;

        make_scribbled(named("base", f), NULL, &random);
        make_scribbled(named("child", f), named("base", f), &random);
        content = chain_read_all(named("child", f), DISK);
        CHECK_EQ(rebase(named("base", f), NULL, 0), CM_EINVAL);
        CHECK_EQ(rebase(named("child", f), named("none", f), 0), CM_ENOENT);
        CHECK_EQ(rebase(named("child", f), NULL, CM_REBASE_TRUST), CM_EINVAL);
        CHECK_EQ(rebase(named("child", f), named("base", f), 1u << 5), CM_EINVAL);
        chain_close(chain_make(named("large", f), NULL, 2 * DISK, MIB * 2));
        CHECK_EQ(rebase(named("child", f), named("large", f), 0), CM_EINVAL);
        CHECK_EQ(rebase(named("child", f), named("large", f), CM_REBASE_TRUST), CM_EINVAL);
        chain_close(chain_make(named("other", f), NULL, DISK, MIB * 2));
        image = chain_open(named("other", f), 0);
        CHECK_EQ(rebase(named("child", f), named("other", f), 0), CM_EBUSY);
        chain_close(image);
        CHECK_EQ(rebase(named("child", f), named("base", 1 - f), 0), CM_EFORMAT);
        CHECK(chain_has(named("child", f), content, DISK));
        free(content);
    }
    chain_close(chain_make_with("sectors.vhdx", options));
    CHECK_EQ(rebase("child.vhdx", "sectors.vhdx", 0), CM_EINVAL);
    CHECK_EQ(rebase("raw:child.vhdx", "base.vhdx", 0), CM_EINVAL);
}

/* -- power cuts -------------------------------------------------------------------------------- */

/* Some cuts of a record, chosen so that all of them are tried in the course of time. */
#define CUTS 20u

static unsigned choose_cut(const struct cut_record *record, unsigned number, uint64_t *random)
{
    if (record->count < CUTS)
        return number <= record->count ? number : record->count;
    return (unsigned)(check_random(random) % (record->count + 1));
}

static enum cut_kind choose_kind(uint64_t *random)
{
    static const enum cut_kind kinds[] = {CUT_ALL, CUT_NONE, CUT_SOME, CUT_SOME};

    return kinds[check_random(random) % 4];
}

static void save_cut(const struct cut_record *record, unsigned store, const char *path, unsigned at,
                     enum cut_kind kind, uint64_t *random)
{
    struct memory_store left;

    cut_leave(record, store, at, kind, random, &left);
    cut_save(&left, path);
    memory_store_free(&left);
}

static void try_commit_cut(const struct cut_record *record, unsigned at, uint64_t *random,
                           const unsigned char *content)
{
    enum cut_kind kind = choose_kind(random);
    int failures = check_failures;

    save_cut(record, 0, "child.vhdx", at, kind, random);
    save_cut(record, 1, "base.vhdx", at, kind, random);
    CHECK(chain_has("child.vhdx", content, DISK));
    CHECK(chain_is_sound("child.vhdx"));
    CHECK_EQ(commit("child.vhdx"), 0);
    CHECK(chain_has("child.vhdx", content, DISK));
    CHECK(chain_has("base.vhdx", content, DISK));
    CHECK(is_empty("child.vhdx"));
    CHECK(chain_is_sound("child.vhdx"));
    if (check_failures != failures)
        printf("cut behind event %u of %u, kind %d\n", at, record->count, (int)kind);
}

static void record_commit(struct cut_record *record)
{
    struct memory_store memory[CUT_STORES];
    struct cm_store *stores[CUT_STORES];

    cut_load(&memory[0], "child.vhdx");
    cut_load(&memory[1], "base.vhdx");
    for (unsigned i = 0; i < CUT_STORES; i++) {
        cut_watch(record, i, &memory[i]);
        stores[i] = memory_store_new(&memory[i]);
    }
    CHECK_EQ(cm_vhdx_merge(stores[0], stores[1], NULL, NULL), 0);
    for (unsigned i = 0; i < CUT_STORES; i++) {
        cm_store_close(stores[i]);
        memory_store_free(&memory[i]);
    }
}

static void a_commit_that_was_cut_off_is_finished_by_another(void)
{
    uint64_t random = check_seed();
    struct cut_record record = {0};
    unsigned char *content;

    make_scribbled("base.vhdx", NULL, &random);
    make_scribbled("child.vhdx", "base.vhdx", &random);
    content = chain_read_all("child.vhdx", DISK);
    record_commit(&record);
    CHECK(record.count > 30);
    for (unsigned i = 0; i < CUTS; i++)
        try_commit_cut(&record, choose_cut(&record, i, &random), &random, content);
    cut_free(&record);
    free(content);
}

/* Of one image, whose parents are files: after each of some cuts it has its content, and is done again. */
static void try_child_cuts(const struct cut_record *record, const char *path, uint64_t *random,
                           const unsigned char *content, int (*again)(const char *path))
{
    for (unsigned i = 0; i < CUTS; i++) {
        unsigned at = choose_cut(record, i, random);
        int failures = check_failures;

        save_cut(record, 0, path, at, choose_kind(random), random);
        CHECK(chain_has(path, content, DISK));
        CHECK(chain_is_sound(path));
        if (has_parent(path)) {
            CHECK_EQ(again(path), 0);
            CHECK(chain_has(path, content, DISK));
        }
        if (check_failures != failures)
            printf("%s, cut behind event %u of %u\n", path, at, record->count);
    }
}

/* The parent has all, durably, before the child is emptied; what happens to the parent before does not matter to the
 * child, which has it all. */
static void a_vhd_that_was_cut_off_while_it_was_emptied_is_whole(void)
{
    uint64_t random = check_seed();
    struct cut_record record = {0};
    struct memory_store memory;
    struct cm_store *store;
    unsigned char *content;

    make_scribbled("base.vhd", NULL, &random);
    make_scribbled("child.vhd", "base.vhd", &random);
    content = chain_read_all("child.vhd", DISK);
    cut_load(&memory, "child.vhd");
    cut_watch(&record, 0, &memory);
    store = memory_store_new(&memory);
    CHECK_EQ(cm_vhd_container.commit(store, NULL, NULL), 0);
    cm_store_close(store);
    CHECK(chain_has("base.vhd", content, DISK));
    try_child_cuts(&record, "child.vhd", &random, content, commit);
    memory_store_free(&memory);
    cut_free(&record);
    free(content);
}

static int rebase_to_new(const char *path)
{
    return rebase(path, strstr(path, ".vhdx") != NULL ? "new.vhdx" : "new.vhd", 0);
}

static int rebase_to_none(const char *path)
{
    return rebase(path, NULL, 0);
}

static void cut_rebase(unsigned f, const char *parent)
{
    const struct cm_container *kind = f == 0 ? &cm_vhdx_container : &cm_vhd_container;
    const char *path = f == 0 ? "child.vhdx" : "child.vhd";
    uint64_t random = check_seed();
    struct cut_record record = {0};
    struct memory_store memory;
    struct cm_store *store;
    unsigned char *content;

    make_scribbled(named("old", f), NULL, &random);
    make_scribbled(named("new", f), NULL, &random);
    make_scribbled(path, named("old", f), &random);
    content = chain_read_all(path, DISK);
    cut_load(&memory, path);
    cut_watch(&record, 0, &memory);
    store = memory_store_new(&memory);
    CHECK_EQ(kind->rebase(store, parent, 0, NULL, NULL), 0);
    cm_store_close(store);
    CHECK(record.count > 10);
    try_child_cuts(&record, path, &random, content,
                   parent != NULL ? rebase_to_new : rebase_to_none);
    memory_store_free(&memory);
    cut_free(&record);
    free(content);
}

static void a_rebase_that_was_cut_off_leaves_the_old_parent_or_the_new_one(void)
{
    for (unsigned f = 0; f < FORMATS; f++)
        cut_rebase(f, named("new", f));
}

static void and_so_does_one_that_leaves_no_parent(void)
{
    for (unsigned f = 0; f < FORMATS; f++)
        cut_rebase(f, NULL);
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        CHECK_TEST(a_parent_gets_all_that_its_child_has),
        CHECK_TEST(a_parent_becomes_as_large_as_its_child),
        CHECK_TEST(a_parent_of_fixed_size_gets_it_too),
        CHECK_TEST(a_grandchild_still_fits_and_a_sibling_does_not),
        CHECK_TEST(a_commit_that_cannot_be_says_why),
        CHECK_TEST(a_parent_that_was_changed_gets_nothing),
        CHECK_TEST(an_image_of_the_right_name_that_is_not_the_parent_is_passed_by),
        CHECK_TEST(a_commit_that_is_given_up_can_be_done_again),
        CHECK_TEST(the_content_stays_upon_another_parent),
        CHECK_TEST(the_content_stays_without_a_parent),
        CHECK_TEST(what_is_not_here_is_zeros_without_a_parent),
        CHECK_TEST(a_parent_that_was_moved_is_named_anew),
        CHECK_TEST(a_parent_may_be_named_with_its_kind),
        CHECK_TEST(a_smaller_parent_is_zeros_beyond_its_end),
        CHECK_TEST(what_is_the_same_is_not_copied),
        CHECK_TEST(circles_are_refused),
        CHECK_TEST(a_rebase_that_cannot_be_says_why),
        CHECK_TEST(a_commit_that_was_cut_off_is_finished_by_another),
        CHECK_TEST(a_vhd_that_was_cut_off_while_it_was_emptied_is_whole),
        CHECK_TEST(a_rebase_that_was_cut_off_leaves_the_old_parent_or_the_new_one),
        CHECK_TEST(and_so_does_one_that_leaves_no_parent),
    };

    return check_main(argc, argv, tests, sizeof(tests) / sizeof(tests[0]));
}
