/* SPDX-License-Identifier: MIT */
/*
 * test_lockdown.c - lib/windows/lockdown.c: what counts as needed for serving. How much of it can be locked is
 * the system's to say; it is printed.
 */
#include "lib/windows/lockdown.h"

#include "lib/core/os.h"
#include "tests/unit/check.h"

#define MIB (1024u * 1024u)

static struct cm_lockdown look(void)
{
    struct cm_lockdown result;

    cm_lockdown(&result);
    return result;
}

static void code_stack_and_heap_are_wanted(void)
{
    struct cm_lockdown result = look();

    printf("%llu bytes wanted, %llu locked, %u regions not\n", (unsigned long long)result.wanted,
           (unsigned long long)result.locked, (unsigned)result.regions);
    CHECK(result.wanted >= MIB && result.locked <= result.wanted);
    CHECK(result.locked == result.wanted || result.regions > 0);
}

static void private_memory_is_wanted_unless_it_is_huge(void)
{
    uint64_t before = look().wanted;
    void *small = cm_os_pages_alloc(2 * MIB);
    void *huge = cm_os_pages_alloc(64 * MIB);
    uint64_t after = look().wanted;

    CHECK(after >= before + 2 * MIB && after < before + 16 * MIB);
    cm_os_pages_free(huge, 64 * MIB);
    cm_os_pages_free(small, 2 * MIB);
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        CHECK_TEST(code_stack_and_heap_are_wanted),
        CHECK_TEST(private_memory_is_wanted_unless_it_is_huge),
    };

    return check_main(argc, argv, tests, sizeof(tests) / sizeof(tests[0]));
}
