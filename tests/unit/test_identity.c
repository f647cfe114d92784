/* SPDX-License-Identifier: MIT */
/* test_identity.c - lib/core/identity.c: the same image is remembered, others are others. */
#include <stdio.h>
#include <string.h>

#include "lib/core/identity.h"
#include "lib/core/os.h"
#include "tests/unit/check.h"

#define COUNT 2000

static uint8_t identities[COUNT][CM_IDENTITY_SIZE];

static void the_same_name_is_the_same(void)
{
    uint8_t other[CM_IDENTITY_SIZE];

    cm_identity_of("raw:C:\\images\\disk.img", 0, identities[0]);
    cm_identity_of("RAW:c:\\Images\\DISK.IMG", 0, other);
    CHECK(memcmp(identities[0], other, sizeof(other)) == 0);
    cm_identity_of("raw:C:\\images\\disk.img", 1, other);
    CHECK(memcmp(identities[0], other, sizeof(other)) != 0);
}

/* It must stay the same from version to version: the system remembers it for ever. */
static void it_never_changes(void)
{
    static const uint8_t expected[CM_IDENTITY_SIZE] = {0x13, 0xAD, 0x18, 0xC6, 0xA0, 0x20,
                                                       0xF3, 0x5B, 0xF0, 0x17, 0x8D, 0xA8,
                                                       0x5C, 0x62, 0x6A, 0xDA};

    cm_identity_of("memory:64M", 0, identities[0]);
    CHECK(memcmp(identities[0], expected, sizeof(expected)) == 0);
}

static void other_names_are_others(void)
{
    char name[32];

    for (unsigned i = 0; i < COUNT; i++) {
        snprintf(name, sizeof(name), "disk%u.img", i / 2);
        cm_identity_of(name, i % 2, identities[i]);
        for (unsigned j = 0; j < i; j++) {
            if (memcmp(identities[i], identities[j], CM_IDENTITY_SIZE) == 0)
                CHECK_EQ(i, j);
        }
    }
}

static void no_name_is_never_the_same(void)
{
    cm_identity_of(NULL, 0, identities[0]);
    cm_os_sleep_ms(2);
    cm_identity_of("", 0, identities[1]);
    CHECK(memcmp(identities[0], identities[1], CM_IDENTITY_SIZE) != 0);
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        CHECK_TEST(the_same_name_is_the_same),
        CHECK_TEST(it_never_changes),
        CHECK_TEST(other_names_are_others),
        CHECK_TEST(no_name_is_never_the_same),
    };

    return check_main(argc, argv, tests, sizeof(tests) / sizeof(tests[0]));
}
