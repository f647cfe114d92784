/* SPDX-License-Identifier: MIT */
/*
 * file_system.c - which file system a partition, or a whole image, looks like: enough to tell a boot
 * sector from a partition table, and to name it for people. Called while a table is read, on any thread.
 */
#include <string.h>

#include "lib/core/partition_internal.h"

#define EXT_SUPERBLOCK 1024u /* bytes from the beginning */
#define EXT_MAGIC_AT 56u
#define EXT_MAGIC 0xEF53u

static int is_power_of_two(uint32_t number)
{
    return number != 0 && (number & (number - 1)) == 0;
}

static int has_jump(const unsigned char *boot)
{
    return (boot[0] == 0xEB && boot[2] == 0x90) || boot[0] == 0xE9;
}

/* All that a FAT must have; a boot loader in an MBR may begin with such a jump too. */
static int is_fat(const unsigned char *boot)
{
    uint32_t bytes = cm_table_get16(boot + 11);
    uint32_t fats = boot[16];
    uint32_t media = boot[21];

    return has_jump(boot) && is_power_of_two(bytes) && bytes >= 512 && bytes <= 4096 &&
           is_power_of_two(boot[13]) && cm_table_get16(boot + 14) != 0 && fats >= 1 && fats <= 2 &&
           (media == 0xF0 || media >= 0xF8) &&
           (cm_table_get16(boot + 19) != 0 || cm_table_get32(boot + 32) != 0);
}

/* Which of the three is by definition a matter of the number of clusters. */
static const char *kind_of_fat(const unsigned char *boot)
{
    uint32_t bytes = cm_table_get16(boot + 11);
    uint32_t total = cm_table_get16(boot + 19);
    uint32_t fat = cm_table_get16(boot + 22); /* sectors */
    uint64_t before;                          /* sectors in front of the clusters */
    uint64_t clusters;

    if (fat == 0)
        return "FAT32";
    if (total == 0)
        total = cm_table_get32(boot + 32);
    before = cm_table_get16(boot + 14) + (uint64_t)boot[16] * fat +
             (cm_table_get16(boot + 17) * 32u + bytes - 1) / bytes;
    clusters = total > before ? (total - before) / boot[13] : 0;
    return clusters < 4085 ? "FAT12" : "FAT16";
}

static const char *from_boot_sector(const unsigned char *boot)
{
    if (boot[510] != 0x55 || boot[511] != 0xAA)
        return "";
    if (memcmp(boot + 3, "NTFS    ", 8) == 0 && has_jump(boot))
        return "NTFS";
    if (memcmp(boot + 3, "EXFAT   ", 8) == 0 && has_jump(boot))
        return "exFAT";
    return is_fat(boot) ? kind_of_fat(boot) : "";
}

const char *cm_file_system_at(const struct cm_table_reader *reader, uint64_t offset)
{
    unsigned char sector[512];
    const char *name;

    if (cm_table_read_bytes(reader, sector, sizeof(sector), offset) != 0)
        return "";
    name = from_boot_sector(sector);
    if (*name != '\0' ||
        cm_table_read_bytes(reader, sector, sizeof(sector), offset + EXT_SUPERBLOCK) != 0)
        return name;
    return cm_table_get16(sector + EXT_MAGIC_AT) == EXT_MAGIC ? "ext" : "";
}
