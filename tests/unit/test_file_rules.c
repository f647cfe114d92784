/* SPDX-License-Identifier: MIT */
/* test_file_rules.c - lib/core/file_rules.c: every attribute with every way to open. */
#include "lib/core/file_rules.h"

#include "lib/core/os.h"
#include "tests/unit/check.h"

#include <coremnt/error.h>

#define SPARSE 0x0200u
#define ARCHIVE 0x0020u

static int check(uint32_t attributes, uint32_t flags)
{
    return cm_file_rules_check("x.img", attributes, flags);
}

static void what_windows_caches_is_not_written_to(void)
{
    static const uint32_t cached[] = {CM_FILE_COMPRESSED, CM_FILE_ENCRYPTED,
                                      CM_FILE_COMPRESSED | SPARSE | ARCHIVE,
                                      CM_FILE_ENCRYPTED | ARCHIVE};

    for (unsigned i = 0; i < sizeof(cached) / sizeof(cached[0]); i++) {
        CHECK_EQ(check(cached[i], CM_OS_IMAGE), CM_ENOTSUP);
        CHECK(strstr(cm_last_error(), "x.img") != NULL);
        CHECK(strstr(cm_last_error(), "--cached") != NULL);
        CHECK_EQ(check(cached[i], CM_OS_IMAGE | CM_OS_EXCLUSIVE), CM_ENOTSUP);
        CHECK_EQ(check(cached[i], CM_OS_IMAGE | CM_OS_CREATE), CM_ENOTSUP);
        CHECK_EQ(check(cached[i], CM_OS_IMAGE | CM_OS_READ_ONLY), 0);
        CHECK_EQ(check(cached[i], CM_OS_IMAGE | CM_OS_CACHED), 0);
        CHECK_EQ(check(cached[i], 0), 0);
    }
}

static void the_sentence_says_how_to_change_it(void)
{
    CHECK_EQ(check(CM_FILE_COMPRESSED, CM_OS_IMAGE), CM_ENOTSUP);
    CHECK(strstr(cm_last_error(), "compact /u") != NULL);
    CHECK_EQ(check(CM_FILE_ENCRYPTED, CM_OS_IMAGE), CM_ENOTSUP);
    CHECK(strstr(cm_last_error(), "cipher /d") != NULL);
}

static void other_attributes_do_not_matter(void)
{
    for (uint32_t bit = 1; bit != 0; bit <<= 1)
        if ((bit & (CM_FILE_COMPRESSED | CM_FILE_ENCRYPTED)) == 0)
            CHECK_EQ(check(bit, CM_OS_IMAGE), 0);
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        CHECK_TEST(what_windows_caches_is_not_written_to),
        CHECK_TEST(the_sentence_says_how_to_change_it),
        CHECK_TEST(other_attributes_do_not_matter),
    };

    return check_main(argc, argv, tests, sizeof(tests) / sizeof(tests[0]));
}
