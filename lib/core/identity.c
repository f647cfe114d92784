/* SPDX-License-Identifier: MIT */
/*
 * identity.c - FNV-1a of 64 bits, twice from different starts. It has to differ between the few hundred images that a
 * system sees in its life, and to withstand nobody: who may mount a disk may name it as he likes.
 *
 * Called when a disk is mounted.
 */
#include "lib/core/identity.h"

#include <stddef.h>

#include "lib/core/os.h"

#define FNV_START UINT64_C(0xCBF29CE484222325)
#define FNV_PRIME UINT64_C(0x100000001B3)

static uint64_t add(uint64_t hash, unsigned char byte)
{
    return (hash ^ byte) * FNV_PRIME;
}

static uint64_t add_number(uint64_t hash, uint64_t number)
{
    for (unsigned i = 0; i < 8; i++)
        hash = add(hash, (unsigned char)(number >> (8 * i)));
    return hash;
}

static unsigned char fold(unsigned char c)
{
    return c >= 'A' && c <= 'Z' ? (unsigned char)(c - 'A' + 'a') : c;
}

void cm_identity_of(const char *name, uint32_t turn, uint8_t identity[CM_IDENTITY_SIZE])
{
    uint64_t moment = name == NULL || *name == '\0' ? cm_os_now_ns() : 0;

    for (unsigned half = 0; half < 2; half++) {
        uint64_t hash = add_number(add_number(add(FNV_START, (unsigned char)half), turn), moment);

        for (const char *c = name; c != NULL && *c != '\0'; c++)
            hash = add(hash, fold((unsigned char)*c));
        for (unsigned i = 0; i < 8; i++)
            identity[8 * half + i] = (uint8_t)(hash >> (8 * i));
    }
    identity[0] |= 1; /* zeros are no identity */
}
