/* SPDX-License-Identifier: MIT */
/*
 * size.c - sizes as people write them: "64M", "1.5G".
 *
 * Called by the command line and by the images' specifications, on any thread, never on the hot
 * path. Whole numbers only, all the way: 0.1K is refused because it is not whole bytes, and 1.1
 * cannot turn into 1.0999.
 */
#include <stddef.h>

#include "lib/core/error_internal.h"

#include <coremnt/image.h>

/* 10 to the power of 19 is the largest that fits 64 bits, so a fraction may have so many digits. */
#define MAX_FRACTION_DIGITS 19

static int is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static char upper(char c)
{
    return c >= 'a' && c <= 'z' ? (char)(c - 'a' + 'A') : c;
}

/* @return 0 if the number is over 64 bits. Moves *text beyond the digits. */
static int read_whole(const char **text, uint64_t *value)
{
    for (*value = 0; is_digit(**text); (*text)++) {
        uint64_t digit = (uint64_t)(**text - '0');

        if (*value > (UINT64_MAX - digit) / 10)
            return 0;
        *value = *value * 10 + digit;
    }
    return 1;
}

/* The digits behind the point, as value / 10^digits without trailing zeros. */
static int read_fraction(const char **text, uint64_t *value, unsigned *digits)
{
    const char *last = *text;

    for (const char *c = *text; is_digit(*c); c++)
        if (*c != '0')
            last = c + 1;
    *digits = (unsigned)(last - *text);
    *value = 0;
    if (*digits > MAX_FRACTION_DIGITS)
        return 0;
    for (; *text < last; (*text)++)
        *value = *value * 10 + (uint64_t)(**text - '0');
    while (**text == '0')
        (*text)++;
    return 1;
}

/* "", "B", "K", "KB", "KiB" and so on, in any case, to the end. @return the power of two, -1: none.
 */
static int read_unit(const char *text)
{
    static const char letters[] = "KMGTPE";
    int power = 0;

    for (int i = 0; letters[i] != '\0'; i++)
        if (upper(*text) == letters[i])
            power = 10 * (i + 1);
    if (power != 0) {
        text++;
        if (upper(text[0]) == 'I' && upper(text[1]) == 'B')
            text++;
    }
    if (upper(*text) == 'B')
        text++;
    return *text == '\0' ? power : -1;
}

/*
 * value / 10^digits * 2^power, which must be whole. 10^digits = 5^digits * 2^digits: the first
 * factor must go out of the value by itself, the second is a shift.
 */
static int scale_fraction(uint64_t value, unsigned digits, unsigned power, uint64_t *bytes)
{
    for (unsigned i = 0; i < digits; i++) {
        if (value % 5 != 0)
            return 0;
        value /= 5;
    }
    if (digits <= power) {
        *bytes = value << (power - digits); /* below 2^power, because the fraction is below 1 */
        return 1;
    }
    *bytes = value >> (digits - power);
    return *bytes << (digits - power) == value;
}

static int parse(const char *text, uint64_t *size)
{
    uint64_t whole, fraction = 0, rest;
    unsigned digits = 0;
    int power;

    if (text == NULL || !is_digit(*text) || !read_whole(&text, &whole))
        return 0;
    if (*text == '.') {
        text++;
        if (!is_digit(*text) || !read_fraction(&text, &fraction, &digits))
            return 0;
    }
    power = read_unit(text);
    if (power < 0 || whole > UINT64_MAX >> power)
        return 0;
    whole <<= power;
    if (!scale_fraction(fraction, digits, (unsigned)power, &rest))
        return 0;
    *size = whole + rest; /* the low `power` bits of whole are zero and rest has no others */
    return 1;
}

int cm_parse_size(const char *text, uint64_t *size)
{
    if (!parse(text, size))
        return cm_fail(CM_EINVAL,
                       "\"%s\" is not a size. Write whole bytes, or a number with K, M, G or T "
                       "behind it, like 64M or 1.5G.",
                       text != NULL ? text : "");
    return 0;
}
