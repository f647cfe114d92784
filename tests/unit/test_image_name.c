/* SPDX-License-Identifier: MIT */
/* test_image_name.c - lib/core/image_name.c: a partition goes into a name and comes out again. */
#include <stdio.h>
#include <string.h>

#include "lib/core/image_name.h"
#include "tests/unit/check.h"

static void what_is_put_in_comes_out(void)
{
    static const uint32_t numbers[] = {1, 2, 128, UINT32_MAX};
    char name[64];

    for (unsigned i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        strcpy(name, "C:\\a b\\disk.img");
        cm_image_name_add(name, sizeof(name), numbers[i]);
        CHECK(strcmp(name, "C:\\a b\\disk.img") != 0);
        CHECK_EQ(cm_image_name_split(name), numbers[i]);
        CHECK(strcmp(name, "C:\\a b\\disk.img") == 0);
    }
}

static void a_whole_image_keeps_its_name(void)
{
    static const char *const whole[] = {"C:\\disk.img",
                                        "",
                                        "x | partition ",
                                        "x | partition 0",
                                        "x | partition 1x",
                                        "x | partition -1",
                                        "x | partition 4294967296",
                                        "x| partition 2"};
    char name[64];

    strcpy(name, "disk.img");
    cm_image_name_add(name, sizeof(name), 0);
    CHECK(strcmp(name, "disk.img") == 0);
    for (unsigned i = 0; i < sizeof(whole) / sizeof(whole[0]); i++) {
        strcpy(name, whole[i]);
        CHECK_EQ(cm_image_name_split(name), 0);
        CHECK(strcmp(name, whole[i]) == 0);
    }
}

static void without_room_it_is_cut(void)
{
    char name[12] = "disk.img";

    cm_image_name_add(name, sizeof(name), 7);
    CHECK_EQ(strlen(name), 11);
    CHECK_EQ(cm_image_name_split(name), 0);
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        CHECK_TEST(what_is_put_in_comes_out),
        CHECK_TEST(a_whole_image_keeps_its_name),
        CHECK_TEST(without_room_it_is_cut),
    };

    return check_main(argc, argv, tests, sizeof(tests) / sizeof(tests[0]));
}
