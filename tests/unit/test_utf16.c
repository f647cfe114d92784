/* SPDX-License-Identifier: MIT */
/* test_utf16.c - lib/core/utf16.c: both ways, both orders, and what is no text. */
#include "lib/core/utf16.h"

#include "lib/core/bytes.h"
#include "tests/unit/check.h"

static void is(const uint16_t *units, size_t count, const char *text)
{
    unsigned char little[64] = {0}, big[64] = {0}, back[64];
    char *made;

    for (size_t i = 0; i < count; i++) {
        cm_put_le16(little + 2 * i, units[i]);
        cm_put_be16(big + 2 * i, units[i]);
    }
    made = cm_utf16_to_utf8(little, count, CM_UTF16_LITTLE);
    CHECK_STR(made, text);
    free(made);
    made = cm_utf16_to_utf8(big, count, CM_UTF16_BIG);
    CHECK_STR(made, text);
    free(made);
    CHECK_EQ(cm_utf8_to_utf16(text, back, 32, CM_UTF16_LITTLE), count);
    CHECK(memcmp(back, little, 2 * count) == 0);
    CHECK_EQ(cm_utf8_to_utf16(text, back, 32, CM_UTF16_BIG), count);
    CHECK(memcmp(back, big, 2 * count) == 0);
}

static void characters_of_every_length(void)
{
    static const uint16_t units[] = {'a',    0x7F,   0x80,   0x7FF,  0x800,
                                     0xFFFF, 0xD800, 0xDC00, 0xDBFF, 0xDFFF};

    is(units, 0, "");
    is(units, 10, "a\x7F\xC2\x80\xDF\xBF\xE0\xA0\x80\xEF\xBF\xBF\xF0\x90\x80\x80\xF4\x8F\xBF\xBF");
}

static void half_of_a_pair_is_no_character(void)
{
    static const unsigned char lone[] = {0x00, 0xD8, 'a', 0, 0x00, 0xDC, 0x00, 0xD8};
    char *text = cm_utf16_to_utf8(lone, 4, CM_UTF16_LITTLE);

    CHECK_STR(text, "\xEF\xBF\xBD"
                    "a\xEF\xBF\xBD\xEF\xBF\xBD");
    free(text);
}

static void zero_ends_it(void)
{
    static const unsigned char units[] = {'a', 0, 0, 0, 'b', 0};
    char *text = cm_utf16_to_utf8(units, 3, CM_UTF16_LITTLE);

    CHECK_STR(text, "a");
    free(text);
}

static void what_is_not_utf8_is_refused(void)
{
    static const char *const bad[] = {
        "\x80",
        "\xC3",
        "\xC3(",
        "\xC0\x80",
        "\xE0\x80\x80",
        "\xED\xA0\x80",
        "\xE2\x82",
        "\xF0\x80\x80\x80",
        "\xF4\x90\x80\x80",
        "\xFF",
    };
    unsigned char units[8];

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        if (!CHECK(cm_utf8_to_utf16(bad[i], units, 4, CM_UTF16_LITTLE) == SIZE_MAX))
            printf("  number %u\n", (unsigned)i);
}

static void no_more_than_there_is_room_for(void)
{
    unsigned char units[4] = {1, 1, 1, 1};

    CHECK_EQ(cm_utf8_to_utf16("abc", units, 1, CM_UTF16_LITTLE), 3);
    CHECK(memcmp(units, "a\0\1\1", 4) == 0);
    CHECK_EQ(cm_utf8_to_utf16("abc", NULL, 0, CM_UTF16_LITTLE), 3);
}

static const struct check_test tests[] = {
    CHECK_TEST(characters_of_every_length),
    CHECK_TEST(half_of_a_pair_is_no_character),
    CHECK_TEST(zero_ends_it),
    CHECK_TEST(what_is_not_utf8_is_refused),
    CHECK_TEST(no_more_than_there_is_room_for),
};

int main(int argc, char **argv)
{
    return check_main(argc, argv, tests, sizeof(tests) / sizeof(tests[0]));
}
