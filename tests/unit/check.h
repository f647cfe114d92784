/* SPDX-License-Identifier: MIT */
/*
 * check.h - the harness of the C test programs, on Linux and on Windows (where no test library is
 * packaged for mingw-w64).
 *
 * A program has a table of named tests and ends in check_main(), which runs all of them, or those
 * named on the command line, and exits non-zero if one failed. A check that fails is printed with
 * its place and the test goes on. Checks may be made from any thread. Random tests take their seed
 * from check_seed(), which prints it and takes it back from the environment variable CM_SEED.
 */
#ifndef CM_TESTS_CHECK_H
#define CM_TESTS_CHECK_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct check_test {
    const char *name;
    void (*run)(void);
};

#define CHECK_TEST(function)                                                                       \
    {                                                                                              \
#function, function                                                                        \
    }

static int check_failures; /* atomic */

static inline int check_report(int ok, const char *file, int line, const char *text)
{
    if (!ok) {
        printf("%s:%d: not so: %s\n", file, line, text);
        fflush(stdout);
        __atomic_add_fetch(&check_failures, 1, __ATOMIC_SEQ_CST);
    }
    return ok;
}

static inline int check_report_equal(long long actual, long long expected, const char *file,
                                     int line, const char *text)
{
    char message[512];

    if (actual == expected)
        return 1;
    snprintf(message, sizeof(message), "%s: %lld, expected %lld", text, actual, expected);
    return check_report(0, file, line, message);
}

/* All of them are expressions: 1 if it is so. */
#define CHECK(condition) check_report((condition) != 0, __FILE__, __LINE__, #condition)
#define CHECK_EQ(actual, expected)                                                                 \
    check_report_equal((long long)(actual), (long long)(expected), __FILE__, __LINE__,             \
                       #actual " == " #expected)
#define CHECK_STR(actual, expected)                                                                \
    check_report(strcmp((actual), (expected)) == 0, __FILE__, __LINE__, #actual " == " #expected)

static inline uint64_t check_seed(void)
{
    const char *given = getenv("CM_SEED");
    uint64_t seed = given != NULL ? strtoull(given, NULL, 0) : (uint64_t)time(NULL) * 2654435761u;

    printf("CM_SEED=%llu\n", (unsigned long long)seed);
    return seed;
}

/* A small, good enough generator (xorshift64*): the same numbers on every system. */
static inline uint64_t check_random(uint64_t *state)
{
    *state = *state != 0 ? *state : 88172645463325252u;
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return *state * UINT64_C(2685821657736338717);
}

static inline int check_is_wanted(int argc, char **argv, const char *name)
{
    for (int i = 1; i < argc; i++)
        if (strcmp(argv[i], name) == 0)
            return 1;
    return argc < 2;
}

static inline int check_main(int argc, char **argv, const struct check_test *tests, size_t count)
{
    int passed = 0, failed = 0;

    for (size_t i = 0; i < count; i++) {
        int before = check_failures;
        if (!check_is_wanted(argc, argv, tests[i].name))
            continue;
        printf("%s\n", tests[i].name);
        fflush(stdout);
        tests[i].run();
        if (check_failures == before) {
            passed++;
        } else {
            failed++;
            printf("FAILED: %s\n", tests[i].name);
        }
    }
    printf("%d passed, %d failed\n", passed, failed);
    return failed != 0 || passed == 0;
}

#endif
