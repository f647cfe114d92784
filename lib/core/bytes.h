/* SPDX-License-Identifier: MIT */
/*
 * bytes.h - numbers in the bytes of a format: little-endian (VHDX, GPT) and big-endian (VHD), at any address. Hot
 * where a format's tables are; compilers make one instruction of each.
 */
#ifndef CM_BYTES_H
#define CM_BYTES_H

#include <stdint.h>

static inline uint16_t cm_get_le16(const void *at)
{
    const uint8_t *b = at;

    return (uint16_t)(b[0] | b[1] << 8);
}

static inline uint32_t cm_get_le32(const void *at)
{
    const uint8_t *b = at;

    return b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
}

static inline uint64_t cm_get_le64(const void *at)
{
    const uint8_t *b = at;

    return cm_get_le32(b) | (uint64_t)cm_get_le32(b + 4) << 32;
}

static inline void cm_put_le16(void *at, uint16_t value)
{
    uint8_t *b = at;

    b[0] = (uint8_t)value;
    b[1] = (uint8_t)(value >> 8);
}

static inline void cm_put_le32(void *at, uint32_t value)
{
    uint8_t *b = at;

    cm_put_le16(b, (uint16_t)value);
    cm_put_le16(b + 2, (uint16_t)(value >> 16));
}

static inline void cm_put_le64(void *at, uint64_t value)
{
    uint8_t *b = at;

    cm_put_le32(b, (uint32_t)value);
    cm_put_le32(b + 4, (uint32_t)(value >> 32));
}

static inline uint16_t cm_get_be16(const void *at)
{
    const uint8_t *b = at;

    return (uint16_t)(b[0] << 8 | b[1]);
}

static inline uint32_t cm_get_be32(const void *at)
{
    const uint8_t *b = at;

    return (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
}

static inline uint64_t cm_get_be64(const void *at)
{
    const uint8_t *b = at;

    return (uint64_t)cm_get_be32(b) << 32 | cm_get_be32(b + 4);
}

static inline void cm_put_be16(void *at, uint16_t value)
{
    uint8_t *b = at;

    b[0] = (uint8_t)(value >> 8);
    b[1] = (uint8_t)value;
}

static inline void cm_put_be32(void *at, uint32_t value)
{
    uint8_t *b = at;

    cm_put_be16(b, (uint16_t)(value >> 16));
    cm_put_be16(b + 2, (uint16_t)value);
}

static inline void cm_put_be64(void *at, uint64_t value)
{
    uint8_t *b = at;

    cm_put_be32(b, (uint32_t)(value >> 32));
    cm_put_be32(b + 4, (uint32_t)value);
}

#endif
