/* SPDX-License-Identifier: MIT */
/* utf16.c - see utf16.h. What is not well-formed is answered, never trusted: it comes from files. Any thread. */
#include "lib/core/utf16.h"

#include <stdlib.h>

#include "lib/core/bytes.h"

#define NOT_A_CHARACTER UINT32_C(0xFFFD)
#define BAD UINT32_MAX

static uint32_t unit(const unsigned char *units, size_t i, enum cm_utf16_order order)
{
    return order == CM_UTF16_BIG ? cm_get_be16(units + 2 * i) : cm_get_le16(units + 2 * i);
}

static int is_high(uint32_t u)
{
    return u >= 0xD800 && u < 0xDC00;
}

static int is_low(uint32_t u)
{
    return u >= 0xDC00 && u < 0xE000;
}

static char *put_utf8(char *to, uint32_t c)
{
    if (c < 0x80) {
        *to++ = (char)c;
        return to;
    }
    if (c < 0x800) {
        *to++ = (char)(0xC0 | c >> 6);
    } else {
        if (c < 0x10000) {
            *to++ = (char)(0xE0 | c >> 12);
        } else {
            *to++ = (char)(0xF0 | c >> 18);
            *to++ = (char)(0x80 | (c >> 12 & 0x3F));
        }
        *to++ = (char)(0x80 | (c >> 6 & 0x3F));
    }
    *to++ = (char)(0x80 | (c & 0x3F));
    return to;
}

char *cm_utf16_to_utf8(const void *units, size_t count, enum cm_utf16_order order)
{
    char *text =
        count < SIZE_MAX / 4 ? malloc(3 * count + 1) : NULL; /* a unit is at most 3 bytes */
    char *to = text;

    if (text == NULL)
        return NULL;
    for (size_t i = 0; i < count; i++) {
        uint32_t c = unit(units, i, order);
        uint32_t next = i + 1 < count ? unit(units, i + 1, order) : 0;

        if (c == 0)
            break;
        if (is_high(c) && is_low(next)) {
            c = 0x10000 + ((c - 0xD800) << 10) + (next - 0xDC00);
            i++;
        } else if (is_high(c) || is_low(c)) {
            c = NOT_A_CHARACTER;
        }
        to = put_utf8(to, c);
    }
    *to = '\0';
    return text;
}

/* The character at *text, which goes on behind it. BAD: none. */
static uint32_t take_utf8(const unsigned char **text)
{
    static const uint32_t smallest[4] = {0, 0x80, 0x800, 0x10000}; /* of so many bytes more */
    const unsigned char *next = *text;
    uint32_t c = *next++;
    unsigned more = c < 0x80 ? 0 : c < 0xC0 ? 4 : c < 0xE0 ? 1 : c < 0xF0 ? 2 : c < 0xF8 ? 3 : 4;

    if (more == 4)
        return BAD;
    if (more != 0)
        c &= 0x3Fu >> more;
    for (unsigned i = 0; i < more; i++) {
        if ((*next & 0xC0) != 0x80)
            return BAD;
        c = c << 6 | (*next++ & 0x3F);
    }
    *text = next;
    return c < smallest[more] || c > 0x10FFFF || is_high(c) || is_low(c) ? BAD : c;
}

static void put_unit(unsigned char *units, size_t room, size_t i, uint32_t u,
                     enum cm_utf16_order order)
{
    if (i >= room)
        return;
    if (order == CM_UTF16_BIG)
        cm_put_be16(units + 2 * i, (uint16_t)u);
    else
        cm_put_le16(units + 2 * i, (uint16_t)u);
}

size_t cm_utf8_to_utf16(const char *text, void *units, size_t room, enum cm_utf16_order order)
{
    const unsigned char *next = (const unsigned char *)text;
    size_t count = 0;

    while (*next != '\0') {
        uint32_t c = take_utf8(&next);

        if (c == BAD)
            return SIZE_MAX;
        if (c >= 0x10000) {
            put_unit(units, room, count++, 0xD800 + ((c - 0x10000) >> 10), order);
            c = 0xDC00 + ((c - 0x10000) & 0x3FF);
        }
        put_unit(units, room, count++, c, order);
    }
    return count;
}
