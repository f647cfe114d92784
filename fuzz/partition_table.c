/* SPDX-License-Identifier: MIT */
/*
 * partition_table.c - fuzz target: any bytes as the beginning, and perhaps the end, of an image whose
 * partition table is read and whose partitions are opened. Portable code: no simulated kernel.
 *
 * An input is two bytes of choices, then the image. No fuzzer finds a checksum, so one of the choices has
 * those of a GPT made right. `--write-seeds=FOLDER` writes the inputs to begin with.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/core/crc32.h"

#include <coremnt/coremnt.h>

#define IMAGE_SIZE 65536u /* bytes */
#define END_SIZE 1024u    /* bytes of the input that become the end */

#define CHOICE_LARGE_SECTORS 1u /* of the image */
#define CHOICE_LARGE_TABLE 2u   /* sectors that the checksums are made for */
#define CHOICE_SEAL 4u          /* make the checksums right */
#define CHOICE_END 8u           /* the last bytes of the input are those of the image */

/* A check that fails is a crash, as the fuzzer sees it. */
#define MUST(condition)                                                                            \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "STOP: %s:%d: not so: %s\n", __FILE__, __LINE__, #condition);          \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

int LLVMFuzzerInitialize(int *count, char ***arguments);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static unsigned char disk[IMAGE_SIZE];

/* -- the image --------------------------------------------------------------------------------- */

static int disk_read(void *context, void *buffer, uint32_t length, uint64_t offset)
{
    (void)context;
    MUST(length <= IMAGE_SIZE && offset <= IMAGE_SIZE - length);
    memcpy(buffer, disk + offset, length);
    return 0;
}

static void disk_close(void *context)
{
    (void)context;
}

static uint32_t get32(const unsigned char *bytes)
{
    return bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 24;
}

static void put32(unsigned char *bytes, uint32_t number)
{
    for (unsigned i = 0; i < 4; i++)
        bytes[i] = (unsigned char)(number >> 8 * i);
}

/* Entries as far as they lie in the image; the header whatever it says, within its sector. */
static void seal(uint32_t place, uint32_t sector_size)
{
    unsigned char *header = disk + place;
    uint64_t entries = (uint64_t)get32(header + 72) * sector_size;
    uint64_t length = (uint64_t)get32(header + 80) * get32(header + 84);
    uint32_t size = get32(header + 12);

    memcpy(header, "EFI PART", 8);
    if (length <= IMAGE_SIZE && entries <= IMAGE_SIZE - length)
        put32(header + 88, cm_crc32(0, disk + entries, (size_t)length));
    put32(header + 16, 0);
    put32(header + 16, cm_crc32(0, header, size <= sector_size ? size : sector_size));
}

static void make_disk(uint8_t choices, const uint8_t *data, size_t size)
{
    uint32_t sector_size = choices & CHOICE_LARGE_TABLE ? 4096 : 512;

    memset(disk, 0, sizeof(disk));
    if ((choices & CHOICE_END) != 0 && size > END_SIZE) {
        size -= END_SIZE;
        memcpy(disk + IMAGE_SIZE - END_SIZE, data + size, END_SIZE);
    }
    memcpy(disk, data, size < IMAGE_SIZE ? size : IMAGE_SIZE);
    if ((choices & CHOICE_SEAL) != 0) {
        seal(sector_size, sector_size);
        if ((choices & CHOICE_END) != 0)
            seal(IMAGE_SIZE - sector_size, sector_size);
    }
}

static struct cm_image *open_disk(uint8_t choices)
{
    static const struct cm_image_ops ops = {
        .size = sizeof(ops), .read = disk_read, .close = disk_close};
    struct cm_image *image;

    MUST(cm_image_new(&ops, NULL, IMAGE_SIZE, choices & CHOICE_LARGE_SECTORS ? 4096 : 512,
                      &image) == 0);
    return image;
}

/* -- what must be so --------------------------------------------------------------------------- */

static void check_partition(const struct cm_partition *partition)
{
    MUST(partition->size != 0 && partition->size <= UINT64_MAX - partition->offset);
    MUST((partition->flags & CM_PARTITION_BEYOND_END) != 0 ||
         (partition->size <= IMAGE_SIZE && partition->offset <= IMAGE_SIZE - partition->size));
    MUST(memchr(partition->name, 0, sizeof(partition->name)) != NULL);
    for (const char *c = partition->name; *c != '\0'; c++)
        MUST((unsigned char)*c >= 0x20 && *c != 0x7F);
}

/* Its first and last sector can be read, and no more; the bytes are those of the image. */
static void read_partition(struct cm_image *image, const struct cm_partition *listed)
{
    static unsigned char sector[4096];
    struct cm_image_info info;

    MUST(cm_image_get_info(image, &info) == 0 && info.size == listed->size);
    MUST(cm_image_read(image, sector, info.sector_size, info.size - info.sector_size) == 0);
    MUST(memcmp(sector, disk + listed->offset + info.size - info.sector_size, info.sector_size) ==
         0);
    MUST(cm_image_read(image, sector, info.sector_size, info.size) == CM_ERANGE);
}

static void open_partition(uint8_t choices, const struct cm_partition *listed)
{
    struct cm_image *image = open_disk(choices);
    struct cm_image *partition;

    if (cm_partition_open(image, listed->number, &partition) == 0) {
        MUST((listed->flags & (CM_PARTITION_CONTAINER | CM_PARTITION_BEYOND_END)) == 0);
        read_partition(partition, listed);
        cm_image_close(partition);
    } else {
        MUST(partition == NULL);
        cm_image_close(image);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct cm_partition_table *table;
    struct cm_image *image;

    if (size < 2)
        return 0;
    make_disk(data[0], data + 2, size - 2);
    image = open_disk(data[0]);
    MUST(cm_partition_table_read(image, &table) == 0);
    MUST(table->count <= CM_MAX_PARTITIONS && table->kind <= CM_TABLE_GPT);
    for (uint32_t i = 0; i < table->count; i++)
        check_partition(&table->partitions[i]);
    if (table->count != 0)
        open_partition(data[0], &table->partitions[data[1] % table->count]);
    cm_free(table);
    cm_image_close(image);
    return 0;
}

/* -- seeds ------------------------------------------------------------------------------------- */

static void write_seed(const char *folder, const char *name, const unsigned char *bytes,
                       size_t size)
{
    char path[1024];
    FILE *file;

    snprintf(path, sizeof(path), "%s/seed-%s", folder, name);
    file = fopen(path, "wb");
    if (file == NULL || fwrite(bytes, 1, size, file) != size || fclose(file) != 0) {
        perror(path);
        exit(1);
    }
}

static void put_mbr(unsigned char *sector, unsigned index, unsigned type, uint32_t first,
                    uint32_t count)
{
    unsigned char *entry = sector + 446 + 16 * index;

    entry[4] = (unsigned char)type;
    put32(entry + 8, first);
    put32(entry + 12, count);
    sector[510] = 0x55;
    sector[511] = 0xAA;
}

/* Logical drives, and a GPT with two partitions; all in the first sectors. */
static void write_seeds(const char *folder)
{
    static unsigned char seed[2 + 4 * 512];
    unsigned char *image = seed + 2;
    unsigned char *header = image + 512;

    put_mbr(image, 0, 0x0C, 4, 10);
    put_mbr(image, 1, 0x05, 1, 100);
    put_mbr(image + 512, 0, 0x07, 1, 5);
    put_mbr(image + 512, 1, 0x05, 1, 50);
    put_mbr(image + 1024, 0, 0x83, 1, 5);
    write_seed(folder, "logical", seed, sizeof(seed));
    memset(seed, 0, sizeof(seed));
    seed[0] = CHOICE_SEAL;
    put_mbr(image, 0, 0xEE, 1, 127);
    put32(header + 8, 0x10000);
    put32(header + 12, 92);
    put32(header + 24, 1);
    put32(header + 32, 127);
    put32(header + 72, 2);
    put32(header + 80, 4);
    put32(header + 84, 128);
    for (unsigned i = 0; i < 2; i++) {
        unsigned char *entry = image + 1024 + 128 * i;

        entry[0] = 1;
        put32(entry + 32, 10 + 10 * i);
        put32(entry + 40, 19 + 10 * i);
        entry[56] = 'A';
    }
    write_seed(folder, "gpt", seed, sizeof(seed));
    exit(0);
}

int LLVMFuzzerInitialize(int *count, char ***arguments)
{
    static const char option[] = "--write-seeds=";

    for (int i = 1; i < *count; i++)
        if (strncmp((*arguments)[i], option, sizeof(option) - 1) == 0)
            write_seeds((*arguments)[i] + sizeof(option) - 1);
    return 0;
}
