/* SPDX-License-Identifier: MIT */
/* test_crc32c.c - lib/core/crc32c.c: known checksums, and both ways against one bit at a time. */
#include "lib/core/crc32c.h"

#include "tests/unit/check.h"

/* The definition, for comparison. */
static uint32_t bit_by_bit(uint32_t crc, const unsigned char *bytes, size_t length)
{
    crc = ~crc;
    for (size_t i = 0; i < length; i++) {
        crc ^= bytes[i];
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? UINT32_C(0x82F63B78) : 0);
    }
    return ~crc;
}

static void is(const void *bytes, size_t length, uint32_t crc)
{
    CHECK_EQ(cm_crc32c(0, bytes, length), crc);
    CHECK_EQ(cm_crc32c_plain(0, bytes, length), crc);
}

/* The digits are the usual check value; the others stand in RFC 3720, appendix B.4. */
static void known_checksums(void)
{
    unsigned char bytes[32];

    is("", 0, 0);
    is("123456789", 9, 0xE3069283);
    memset(bytes, 0, sizeof(bytes));
    is(bytes, sizeof(bytes), 0x8A9136AA);
    memset(bytes, 0xFF, sizeof(bytes));
    is(bytes, sizeof(bytes), 0x62A8AB43);
    for (unsigned i = 0; i < sizeof(bytes); i++)
        bytes[i] = (unsigned char)i;
    is(bytes, sizeof(bytes), 0x46DD794E);
    for (unsigned i = 0; i < sizeof(bytes); i++)
        bytes[i] = (unsigned char)(31 - i);
    is(bytes, sizeof(bytes), 0x113FDB5C);
}

static void every_length_and_alignment(void)
{
    unsigned char bytes[96];
    uint64_t random = check_seed();

    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (unsigned char)check_random(&random);
    for (size_t at = 0; at < 9; at++)
        for (size_t length = 0; at + length <= sizeof(bytes); length++)
            is(bytes + at, length, bit_by_bit(0, bytes + at, length));
}

static void in_parts_as_in_one(void)
{
    unsigned char bytes[64];
    uint64_t random = check_seed();

    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (unsigned char)check_random(&random);
    for (size_t cut = 0; cut <= sizeof(bytes); cut++) {
        uint32_t whole = bit_by_bit(0, bytes, sizeof(bytes));
        size_t rest = sizeof(bytes) - cut;

        CHECK_EQ(cm_crc32c(cm_crc32c(0, bytes, cut), bytes + cut, rest), whole);
        CHECK_EQ(cm_crc32c_plain(cm_crc32c_plain(0, bytes, cut), bytes + cut, rest), whole);
    }
}

static const struct check_test tests[] = {
    CHECK_TEST(known_checksums),
    CHECK_TEST(every_length_and_alignment),
    CHECK_TEST(in_parts_as_in_one),
};

int main(int argc, char **argv)
{
    return check_main(argc, argv, tests, sizeof(tests) / sizeof(tests[0]));
}
