/* SPDX-License-Identifier: MIT */
/*
 * test_parent_find.c - lib/core/parent_find.c: which of the files that may be a parent is taken, and what is said if none is. A
 * file is the parent here if it begins with 'p'.
 */
#include "lib/core/parent_find.h"

#include "lib/core/error_internal.h"
#include "lib/core/os.h"
#include "lib/core/store.h"
#include "tests/unit/check.h"

#include <coremnt/error.h>
#include <coremnt/image.h>

#define FILE_SIZE 4096u /* bytes */

static unsigned judged;

static int judge(void *context, struct cm_store *file)
{
    char first;
    int error = cm_store_read(file, &first, 1, 0);

    (void)context;
    judged++;
    if (error == 0 && first == 'p')
        return 0;
    return cm_fail(CM_EDAMAGED, "%s is another.", cm_store_path(file));
}

static struct cm_store *make(const char *path, char first)
{
    struct cm_image_options options = {.struct_size = sizeof(options), .flags = CM_OPEN_CREATE};
    struct cm_store *store = NULL;

    (void)cm_os_file_remove(path);
    CHECK_EQ(cm_store_open(path, &options, &store), 0);
    CHECK_EQ(cm_store_resize(store, FILE_SIZE), 0);
    CHECK_EQ(cm_store_write(store, &first, 1, 0), 0);
    return store;
}

/* '\0': there is no such file. */
static void put(const char *path, char first)
{
    if (first != '\0')
        cm_store_close(make(path, first));
    else
        (void)cm_os_file_remove(path);
}

static const char *name_of(const char *path)
{
    const char *name = path;

    for (; *path != '\0'; path++)
        if (*path == '/' || *path == '\\')
            name = path + 1;
    return name;
}

/* By the relative name first.x, by the absolute one second.x. `found` is the file's name, "" if there is none. */
static int search(char found[64])
{
    struct cm_image_options options = {.struct_size = sizeof(options), .flags = CM_OPEN_READ_ONLY};
    struct cm_parent_search search = {"child.x", ".\\first.x", NULL, judge, NULL};
    struct cm_store *store;
    char full[4096];
    int error = cm_os_full_path("second.x", full, sizeof(full));

    CHECK_EQ(error, 0);
    search.absolute = full;
    found[0] = '\0';
    judged = 0;
    error = cm_parent_find(&search, &options, &store);
    CHECK((store != NULL) == (error == 0));
    if (store != NULL)
        snprintf(found, 64, "%s", name_of(cm_store_path(store)));
    cm_store_close(store);
    return error;
}

static void the_first_that_is_it_is_taken(void)
{
    char found[64];

    put("first.x", 'p');
    put("second.x", 'p');
    CHECK_EQ(search(found), 0);
    CHECK_STR(found, "first.x");
    CHECK_EQ(judged, 1);
}

static void one_that_is_not_it_is_passed_by(void)
{
    char found[64];

    put("first.x", 'n');
    put("second.x", 'p');
    CHECK_EQ(search(found), 0);
    CHECK_STR(found, "second.x");
    put("first.x", '\0');
    CHECK_EQ(search(found), 0);
    CHECK_STR(found, "second.x");
}

static void the_first_that_was_there_says_why(void)
{
    char found[64];

    put("first.x", 'n');
    put("second.x", 'n');
    CHECK_EQ(search(found), CM_EDAMAGED);
    CHECK(strstr(cm_last_error(), "first.x is another.") != NULL);
    put("first.x", '\0');
    CHECK_EQ(search(found), CM_EDAMAGED);
    CHECK(strstr(cm_last_error(), "second.x is another.") != NULL);
}

static void what_is_missing_is_named(void)
{
    char found[64];

    put("first.x", '\0');
    put("second.x", '\0');
    CHECK_EQ(search(found), CM_ENOENT);
    CHECK_EQ(judged, 0);
    CHECK(strstr(cm_last_error(), "the parent of child.x is missing: ") != NULL);
    CHECK(strstr(cm_last_error(), "first.x. Put it there") != NULL);
}

static void no_name_is_said_to_be_none(void)
{
    struct cm_image_options options = {.struct_size = sizeof(options), .flags = CM_OPEN_READ_ONLY};
    struct cm_parent_search search = {"child.x", NULL, NULL, judge, NULL};
    struct cm_store *store;

    CHECK_EQ(cm_parent_find(&search, &options, &store), CM_ENOENT);
    CHECK(store == NULL);
    CHECK(strstr(cm_last_error(), "child.x does not say") != NULL);
}

static void one_that_is_being_written_ends_the_search(void)
{
    struct cm_store *writer = make("first.x", 'p');
    char found[64];

    put("second.x", 'p');
    CHECK_EQ(search(found), CM_EBUSY);
    CHECK(strstr(cm_last_error(), "first.x") != NULL);
    cm_store_close(writer);
    CHECK_EQ(search(found), 0);
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        CHECK_TEST(the_first_that_is_it_is_taken),
        CHECK_TEST(one_that_is_not_it_is_passed_by),
        CHECK_TEST(the_first_that_was_there_says_why),
        CHECK_TEST(what_is_missing_is_named),
        CHECK_TEST(no_name_is_said_to_be_none),
        CHECK_TEST(one_that_is_being_written_ends_the_search),
    };
    int result = check_main(argc, argv, tests, sizeof(tests) / sizeof(tests[0]));

    put("first.x", '\0');
    put("second.x", '\0');
    return result;
}
