/* SPDX-License-Identifier: MIT */
/*
 * test_crash.c - the crash test can fail: each mistake that a container or its storage can make is found, in a toy that
 * makes it; and in the same toy without a mistake nothing is.
 */
#include "lib/core/error_internal.h"
#include "program.h"
#include "tests/unit/check.h"
#include "toy.h"

#define PROGRAMS 12u
#define FILES 250u /* of each program */

int subject_make_parent(const struct subject *subject, uint64_t disk_size, char *path,
                        uint32_t path_size)
{
    (void)subject, (void)disk_size, (void)path, (void)path_size;
    return 0; /* toys have none */
}

/* Programs until one finds something. @return the number of programs that found nothing. */
static unsigned run(enum toy_fault fault, unsigned lose_flushes, unsigned threads,
                    struct cut_result *result)
{
    struct program program = {.subject = &toy_subject,
                              .files = FILES,
                              .threads = threads,
                              .storage = {.lose_flushes = lose_flushes}};
    uint64_t seed = check_seed();
    unsigned clean = 0;

    toy_fault = fault;
    memset(result, 0, sizeof(*result));
    for (; clean < PROGRAMS; clean++) {
        program.seed = seed + clean;
        if (!program_run(&program, result))
            break;
    }
    if (result->kept[0] != '\0')
        remove(result->kept);
    printf("%llu files, found: %s\n", (unsigned long long)result->files,
           result->why[0] != '\0' ? result->why : "nothing");
    return clean;
}

static void a_container_that_is_right_passes(void)
{
    struct cut_result result;

    CHECK_EQ(run(TOY_RIGHT, 0, 1, &result), PROGRAMS);
    CHECK(result.files > PROGRAMS * FILES / 2);
    CHECK(result.second_cuts > 0);
}

static void it_passes_with_many_threads(void)
{
    struct cut_result result;

    CHECK_EQ(run(TOY_RIGHT, 0, 3, &result), PROGRAMS);
}

static void a_flush_that_does_nothing_is_found(void)
{
    struct cut_result result;

    CHECK(run(TOY_FLUSHES_NOTHING, 0, 1, &result) < PROGRAMS);
}

static void a_storage_that_loses_flushes_is_found(void)
{
    struct cut_result result;

    CHECK(run(TOY_RIGHT, 2, 1, &result) < PROGRAMS);
}

static void a_map_that_is_ahead_of_its_data_is_found(void)
{
    struct cut_result result;

    CHECK(run(TOY_MAP_FIRST, 0, 1, &result) < PROGRAMS);
}

static void a_block_that_is_taken_again_too_early_is_found(void)
{
    struct cut_result result;

    CHECK(run(TOY_REUSES_EARLY, 0, 1, &result) < PROGRAMS);
}

static void old_data_in_a_block_that_is_taken_again_is_found(void)
{
    struct cut_result result;

    CHECK(run(TOY_SHOWS_OLD_DATA, 0, 1, &result) < PROGRAMS);
}

/* With one thread the same seed gives the same find, so that it can be looked at again. */
static void the_same_seed_finds_the_same(void)
{
    struct program program = {
        .subject = &toy_subject, .files = FILES, .threads = 1, .storage = {.lose_flushes = 2}};
    struct cut_result first = {0}, second = {0};
    uint64_t seed = check_seed();

    toy_fault = TOY_RIGHT;
    do {
        program.seed = seed++;
        memset(&first, 0, sizeof(first));
    } while (program_run(&program, &first));
    CHECK(!program_run(&program, &second));
    CHECK_STR(first.why, second.why);
    CHECK_EQ(first.failed_at, second.failed_at);
    remove(first.kept);
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        CHECK_TEST(a_container_that_is_right_passes),
        CHECK_TEST(it_passes_with_many_threads),
        CHECK_TEST(a_flush_that_does_nothing_is_found),
        CHECK_TEST(a_storage_that_loses_flushes_is_found),
        CHECK_TEST(a_map_that_is_ahead_of_its_data_is_found),
        CHECK_TEST(a_block_that_is_taken_again_too_early_is_found),
        CHECK_TEST(old_data_in_a_block_that_is_taken_again_is_found),
        CHECK_TEST(the_same_seed_finds_the_same),
    };

    return check_main(argc, argv, tests, sizeof(tests) / sizeof(tests[0]));
}
