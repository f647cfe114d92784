/* SPDX-License-Identifier: MIT */
/* crc32.c - see crc32.h. Polynomial 0x04C11DB7, reflected, four bits at a time. Any thread. */
#include "lib/core/crc32.h"

#define REFLECTED_POLYNOMIAL UINT32_C(0xEDB88320)

static uint32_t shift_bit(uint32_t crc)
{
    return crc >> 1 ^ (crc & 1 ? REFLECTED_POLYNOMIAL : 0);
}

uint32_t cm_crc32(uint32_t crc, const void *bytes, size_t length)
{
    const unsigned char *next = bytes;
    uint32_t table[16];

    for (uint32_t i = 0; i < 16; i++)
        table[i] = shift_bit(shift_bit(shift_bit(shift_bit(i))));
    crc = ~crc;
    for (; length > 0; length--) {
        crc ^= *next++;
        crc = crc >> 4 ^ table[crc & 15];
        crc = crc >> 4 ^ table[crc & 15];
    }
    return ~crc;
}
