/* SPDX-License-Identifier: MIT */
/* test_parent_path.c - lib/core/parent_path.c: where a parent is looked for, and where it is not. */
#include <stdlib.h>
#include <string.h>

#include "lib/core/parent_path.h"
#include "tests/unit/check.h"

#ifdef _WIN32
#define HERE "C:\\images\\"
#define SUB "a\\"
#else
#define HERE "/images/"
#define SUB "a/"
#endif

static void expect(const char *relative, const char *absolute, const char *const *expected,
                   unsigned count)
{
    char *paths[CM_PARENT_PATHS];
    unsigned found = cm_parent_paths(HERE "child.vhdx", relative, absolute, paths);

    CHECK_EQ(found, count);
    for (unsigned i = 0; i < found; i++) {
        if (i < count)
            CHECK_STR(paths[i], expected[i]);
        free(paths[i]);
    }
}

static void relative_comes_first_and_the_name_beside_the_child_last(void)
{
    static const char *const expected[] = {HERE SUB "base.vhdx", HERE "base.vhdx"};

    expect("a\\base.vhdx", "\\\\server\\share\\a\\base.vhdx", expected, 2);
    expect("a/base.vhdx", NULL, expected, 2);
}

static void a_folder_that_is_the_same_is_left_out(void)
{
    expect(".\\base.vhdx", NULL, (const char *const[]){HERE "base.vhdx"}, 1);
    expect("./.\\base.vhdx", NULL, (const char *const[]){HERE "base.vhdx"}, 1);
    expect(".\\\\server\\x", NULL, (const char *const[]){HERE "x"}, 1);
    expect(".\\D:\\x", NULL, (const char *const[]){HERE "x"}, 1);
}

static void absolute_is_that_of_this_system(void)
{
#ifdef _WIN32
    static const char *const expected[] = {"D:\\x\\base.vhdx", HERE "base.vhdx"};

    expect(NULL, "D:\\x\\base.vhdx", expected, 2);
    expect(NULL, "\\\\?\\D:\\x\\base.vhdx", expected, 2);
#else
    static const char *const expected[] = {HERE "base.vhdx"};

    expect(NULL, "D:\\x\\base.vhdx", expected, 1);
#endif
}

static void other_machines_and_devices_are_not_called(void)
{
    static const char *const beside[] = {HERE "x"};

    expect("\\\\server\\share\\x", NULL, beside, 1);
    expect("//server/x", NULL, beside, 1);
    expect(NULL, "\\\\.\\x", beside, 1);
    expect(NULL, "\\\\?\\UNC\\server\\x", beside, 1);
    expect(NULL, "\\\\?\\Volume{26a21bda-a627-11d7-9931-806e6f6e6963}\\x", beside, 1);
    expect(NULL, "\\??\\UNC\\server\\x", beside, 1);
    expect(NULL, "file://server/x", beside, 1);
    expect("\\x", NULL, beside, 1); /* no relative name */
    expect("D:x", NULL, beside, 1);
}

static void names_that_command_a_terminal_are_left_out(void)
{
    static const char *const beside[] = {HERE "x"};

    expect(".\\a\x1b[2J.vhdx", NULL, NULL, 0);
    expect(NULL,
           "a\xc2\x9b"
           "2J",
           NULL, 0);
    expect("a\n\\x", NULL, beside, 1); /* the folder is left out */
    expect("\x7f", HERE "x", beside, 1);
}

static void no_name_is_no_path(void)
{
    expect(NULL, NULL, NULL, 0);
    expect("", "", NULL, 0);
    expect("a\\", NULL, (const char *const[]){HERE SUB}, 1);
}

static void relative_to(const char *child, const char *parent, const char *expected)
{
    char *name = cm_parent_relative(child, parent);

    CHECK((name == NULL) == (expected == NULL));
    if (name != NULL && expected != NULL)
        CHECK_STR(name, expected);
    free(name);
}

static void a_relative_name_leads_from_child_to_parent(void)
{
    relative_to(HERE "child", HERE "base", ".\\base");
    relative_to(HERE "child", HERE SUB "base", ".\\a\\base");
    relative_to(HERE SUB "child", HERE "base", "..\\base");
    relative_to(HERE SUB SUB "child", HERE SUB "base", "..\\base");
    relative_to(HERE "ab" SUB "child", HERE "a" SUB "base", "..\\aa\\base");
#ifdef _WIN32
    relative_to("C:\\a\\child", "D:\\a\\base", NULL);
    relative_to("c:\\A\\child", "C:/a/base", ".\\base");
    relative_to("\\\\server\\s\\child", "\\\\server\\s\\base", NULL);
#endif
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        CHECK_TEST(relative_comes_first_and_the_name_beside_the_child_last),
        CHECK_TEST(a_folder_that_is_the_same_is_left_out),
        CHECK_TEST(absolute_is_that_of_this_system),
        CHECK_TEST(other_machines_and_devices_are_not_called),
        CHECK_TEST(names_that_command_a_terminal_are_left_out),
        CHECK_TEST(no_name_is_no_path),
        CHECK_TEST(a_relative_name_leads_from_child_to_parent),
    };

    return check_main(argc, argv, tests, sizeof(tests) / sizeof(tests[0]));
}
