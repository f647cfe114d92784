/* SPDX-License-Identifier: MIT */
/* test_size.c - lib/core/size.c: which texts are sizes, and of how many bytes. */
#include "tests/unit/check.h"

#include <coremnt/image.h>

static void is(const char *text, uint64_t bytes)
{
    uint64_t size = 7;

    if (!CHECK_EQ(cm_parse_size(text, &size), 0) || !CHECK_EQ(size, bytes))
        printf("  of \"%s\"\n", text);
}

static void is_none(const char *text)
{
    uint64_t size = 7;

    if (!CHECK_EQ(cm_parse_size(text, &size), CM_EINVAL))
        printf("  of \"%s\"\n", text != NULL ? text : "NULL");
    CHECK(text == NULL || strstr(cm_last_error(), text) != NULL);
}

static void plain_numbers(void)
{
    is("0", 0);
    is("1", 1);
    is("4096", 4096);
    is("0512", 512);
    is("18446744073709551615", UINT64_MAX);
}

static void units_are_powers_of_1024(void)
{
    is("64K", 65536);
    is("64k", 65536);
    is("64KB", 65536);
    is("64KiB", 65536);
    is("64kib", 65536);
    is("3M", 3u << 20);
    is("2G", UINT64_C(2) << 30);
    is("2T", UINT64_C(2) << 40);
    is("1P", UINT64_C(1) << 50);
    is("15E", UINT64_C(15) << 60);
    is("512B", 512);
}

static void fractions_are_exact(void)
{
    is("1.5G", UINT64_C(3) << 29);
    is("0.5K", 512);
    is("1.50M", 3u << 19);
    is("4096.0", 4096);
    is("0.0009765625K", 1);
    is("1.0000000000000000000000000K", 1024);
}

static void parts_of_bytes_are_refused(void)
{
    is_none("1.5");
    is_none("0.1K");
    is_none("1.1M");
    is_none("0.00000000000000000001E");
}

static void other_texts_are_refused(void)
{
    static const char *const texts[] = {"",    "K",   "-1",   "+1",  " 1",  "1 ",    "1 K", "0x10",
                                        "1.",  ".5K", "1..5", "1,5", "1Ki", "1KK",   "1iB", "1KBx",
                                        "1e3", "12Y", "one",  "1.K", "1BB", "1.5.5K"};

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        is_none(texts[i]);
    is_none(NULL);
}

static void too_large_is_refused(void)
{
    is_none("18446744073709551616");
    is_none("99999999999999999999999");
    is_none("16E");
    is_none("18014398509481984K");
}

/* Whatever is made of the characters that sizes are made of must not hang or crash. */
static void random_texts_do_no_harm(void)
{
    static const char letters[] = "0123456789.KMGiBb- ";
    uint64_t random = check_seed();

    for (int i = 0; i < 20000; i++) {
        char text[12];
        size_t length = check_random(&random) % sizeof(text);
        uint64_t size;
        int error;

        for (size_t j = 0; j < length; j++)
            text[j] = letters[check_random(&random) % (sizeof(letters) - 1)];
        text[length] = '\0';
        error = cm_parse_size(text, &size);
        CHECK(error == 0 || error == CM_EINVAL);
    }
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        CHECK_TEST(plain_numbers),           CHECK_TEST(units_are_powers_of_1024),
        CHECK_TEST(fractions_are_exact),     CHECK_TEST(parts_of_bytes_are_refused),
        CHECK_TEST(other_texts_are_refused), CHECK_TEST(too_large_is_refused),
        CHECK_TEST(random_texts_do_no_harm),
    };

    return check_main(argc, argv, tests, sizeof(tests) / sizeof(tests[0]));
}
