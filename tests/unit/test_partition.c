/* SPDX-License-Identifier: MIT */
/*
 * test_partition.c - lib/core/partition.c with mbr.c, gpt.c and file_system.c, and filters/window.c: tables
 * made by hand, right and wrong. partition-tools.sh has those that other programs made.
 */
#include "lib/core/crc32.h"
#include "tests/unit/check.h"
#include "tests/unit/fake_image.h"

#include <coremnt/coremnt.h>

#define SECTORS 2048u
#define SIZE (SECTORS * 512u)

static unsigned char disk[SIZE]; /* what the image holds */

/* -- an image over `disk` ---------------------------------------------------------------------- */

static int disk_read(void *context, void *buffer, uint32_t length, uint64_t offset)
{
    (void)context;
    memcpy(buffer, disk + offset, length);
    return 0;
}

static int disk_write(void *context, const void *buffer, uint32_t length, uint64_t offset,
                      uint32_t flags)
{
    (void)context;
    (void)flags;
    memcpy(disk + offset, buffer, length);
    return 0;
}

static void disk_close(void *context)
{
    (void)context;
}

static struct cm_image *disk_image(uint32_t sector_size)
{
    static const struct cm_image_ops ops = {
        .size = sizeof(ops), .read = disk_read, .write = disk_write, .close = disk_close};
    struct cm_image *image;

    if (cm_image_new(&ops, NULL, SIZE, sector_size, &image) == 0)
        return image;
    printf("cannot go on: %s\n", cm_last_error());
    exit(1);
}

static struct cm_partition_table *table_of(uint32_t sector_size)
{
    struct cm_image *image = disk_image(sector_size);
    struct cm_partition_table *table;

    if (!CHECK_EQ(cm_partition_table_read(image, &table), 0))
        exit(1);
    CHECK_EQ(cm_image_close(image), 0);
    return table;
}

/* Kind, count and flags of what `disk` holds. */
static void expect(uint32_t sector_size, uint32_t kind, uint32_t count, uint32_t flags)
{
    struct cm_partition_table *table = table_of(sector_size);

    CHECK_EQ(table->kind, kind);
    CHECK_EQ(table->count, count);
    CHECK_EQ(table->flags, flags);
    cm_free(table);
}

static void refused(uint32_t number, int error, const char *words)
{
    struct cm_image *image = disk_image(512);
    struct cm_image *partition;

    CHECK_EQ(cm_partition_open(image, number, &partition), error);
    CHECK(partition == NULL);
    if (!CHECK(strstr(cm_last_error(), words) != NULL))
        printf("  \"%s\"\n", cm_last_error());
    CHECK_EQ(cm_image_close(image), 0);
}

/* -- making tables ----------------------------------------------------------------------------- */

static void put(unsigned char *to, uint64_t number, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++)
        to[i] = (unsigned char)(number >> 8 * i);
}

static void put_entry(uint32_t sector, unsigned index, unsigned type, uint32_t first,
                      uint32_t count)
{
    unsigned char *entry = disk + sector * 512u + 446 + 16u * index;

    entry[4] = (unsigned char)type;
    put(entry + 8, first, 4);
    put(entry + 12, count, 4);
    put(disk + sector * 512u + 510, 0xAA55, 2);
}

static void begin(void)
{
    memset(disk, 0, sizeof(disk));
    put(disk + 510, 0xAA55, 2);
}

/* An MBR with a primary partition and two logical drives. */
static void make_logical(void)
{
    begin();
    put_entry(0, 0, 0x0C, 10, 90);
    disk[446] = 0x80;
    put_entry(0, 2, 0x0F, 100, 1000);
    put_entry(100, 0, 0x07, 1, 99);
    put_entry(100, 1, 0x05, 200, 300);
    put_entry(300, 0, 0x83, 2, 50);
}

#define GPT_ENTRIES 4u

static unsigned char *gpt_entry(uint32_t s, unsigned index)
{
    return disk + 2 * s + 128 * index;
}

/* The checksums of both tables, and the backup's entries, which are those of the primary. */
static void seal(uint32_t s)
{
    uint32_t last = SIZE / s - 1;

    memcpy(disk + (last - 1) * s, disk + 2 * s, 128 * GPT_ENTRIES);
    for (int backup = 0; backup < 2; backup++) {
        unsigned char *header = disk + (backup ? last : 1) * s;

        memcpy(header, "EFI PART\0\0\1\0\x5C\0\0\0", 16);
        put(header + 16, 0, 4);
        put(header + 24, backup ? last : 1, 8);
        put(header + 32, backup ? 1 : last, 8);
        put(header + 72, backup ? last - 1 : 2, 8);
        put(header + 80, GPT_ENTRIES, 4);
        put(header + 84, 128, 4);
        put(header + 88, cm_crc32(0, disk + 2 * s, 128 * GPT_ENTRIES), 4);
        put(header + 16, cm_crc32(0, header, 92), 4);
    }
}

static void set_gpt(uint32_t s, unsigned index, uint64_t first, uint64_t last)
{
    static const unsigned char basic[16] = {0xA2, 0xA0, 0xD0, 0xEB, 0xE5, 0xB9, 0x33, 0x44,
                                            0x87, 0xC0, 0x68, 0xB6, 0xB7, 0x26, 0x99, 0xC7};

    memcpy(gpt_entry(s, index), basic, sizeof(basic));
    put(gpt_entry(s, index) + 32, first, 8);
    put(gpt_entry(s, index) + 40, last, 8);
}

static void make_gpt(uint32_t s)
{
    begin();
    put_entry(0, 0, 0xEE, 1, SECTORS - 1);
    set_gpt(s, 0, 10, 19);
    set_gpt(s, 2, 20, 29);
    seal(s);
}

/* -- MBR --------------------------------------------------------------------------------------- */

static void an_mbr_lists_primary_and_logical_partitions(void)
{
    struct cm_partition_table *table;

    make_logical();
    table = table_of(512);
    CHECK_EQ(table->kind, CM_TABLE_MBR);
    CHECK_EQ(table->flags, 0);
    if (CHECK_EQ(table->count, 4)) {
        const struct cm_partition *p = table->partitions;

        CHECK(p[0].number == 1 && p[0].offset == 5120 && p[0].size == 90 * 512);
        CHECK_EQ(p[0].flags, CM_PARTITION_BOOTABLE);
        CHECK_STR(p[0].type, "FAT32, LBA");
        CHECK(p[1].number == 3 && p[1].flags == CM_PARTITION_CONTAINER);
        CHECK(p[2].number == 5 && p[2].offset == 101 * 512 && p[2].size == 99 * 512);
        CHECK(p[3].number == 6 && p[3].offset == 302 * 512 && p[3].size == 50 * 512);
        CHECK_STR(p[3].type_id, "0x83");
        CHECK_EQ(p[3].flags, CM_PARTITION_LOGICAL);
    }
    cm_free(table);
}

static void an_mbr_counts_in_the_sectors_of_the_image(void)
{
    struct cm_partition_table *table;

    begin();
    put_entry(0, 0, 0x07, 4, 6);
    table = table_of(4096);
    CHECK(table->count == 1 && table->partitions[0].offset == 4 * 4096);
    CHECK_EQ(table->sector_size, 4096);
    cm_free(table);
}

static void a_chain_that_loops_or_leads_out_ends(void)
{
    make_logical();
    put_entry(300, 1, 0x05, 200, 300); /* to itself */
    expect(512, CM_TABLE_MBR, 4, CM_TABLE_BAD_CHAIN);
    put_entry(300, 1, 0x05, 0, 300); /* to the first */
    expect(512, CM_TABLE_MBR, 4, CM_TABLE_BAD_CHAIN);
    put_entry(300, 1, 0x05, 0xFFFFFFFF, 300);
    expect(512, CM_TABLE_MBR, 4, CM_TABLE_BAD_CHAIN);
    put_entry(300, 1, 0x05, 400, 300); /* to no table */
    expect(512, CM_TABLE_MBR, 4, CM_TABLE_BAD_CHAIN);
}

/* As many links as there are sectors, each with two drives. */
static void a_long_chain_is_listed_up_to_the_limit(void)
{
    begin();
    put_entry(0, 0, 0x05, 1, SECTORS - 1);
    for (uint32_t i = 1; i + 1 < SECTORS; i++) {
        put_entry(i, 0, 0x83, 1, 1);
        put_entry(i, 2, 0x83, 1, 1);
        put_entry(i, 1, 0x05, i, 1);
    }
    expect(512, CM_TABLE_MBR, CM_MAX_PARTITIONS, CM_TABLE_BAD_CHAIN | CM_TABLE_INCOMPLETE);
}

static void places_outside_or_shared_are_told(void)
{
    struct cm_partition_table *table;

    begin();
    put_entry(0, 0, 0x07, 10, 100);
    put_entry(0, 1, 0x07, 109, 10);
    put_entry(0, 2, 0x07, SECTORS - 1, 2);
    put_entry(0, 3, 0x07, 0xFFFFFFFF, 0xFFFFFFFF);
    table = table_of(512);
    if (CHECK_EQ(table->count, 4)) {
        CHECK_EQ(table->partitions[0].flags, CM_PARTITION_OVERLAPS);
        CHECK_EQ(table->partitions[1].flags, CM_PARTITION_OVERLAPS);
        CHECK_EQ(table->partitions[2].flags, CM_PARTITION_BEYOND_END);
        CHECK_EQ(table->partitions[3].flags, CM_PARTITION_BEYOND_END);
    }
    cm_free(table);
    refused(3, CM_EFORMAT, "not all in the image");
}

/* -- no table ---------------------------------------------------------------------------------- */

static void make_fat(uint32_t at)
{
    static const unsigned char bpb[] = {0xEB, 0x3C, 0x90, 'm', 'k', 'f',  's', '.',
                                        'f',  'a',  't',  0,   2,   4,    1,   0,
                                        2,    0,    2,    0,   8,   0xF8, 2,   0};

    memcpy(disk + at, bpb, sizeof(bpb));
    put(disk + at + 510, 0xAA55, 2);
}

static void a_boot_sector_of_a_file_system_is_no_table(void)
{
    struct cm_partition_table *table;

    begin();
    make_fat(0);
    table = table_of(512);
    CHECK_EQ(table->kind, CM_TABLE_NONE);
    CHECK_STR(table->file_system, "FAT12");
    cm_free(table);
    put_entry(0, 0, 0x0C, 0, SECTORS); /* the table that some programs fake: all of the disk */
    expect(512, CM_TABLE_NONE, 0, 0);
    put_entry(0, 0, 0x0C, 100, 100); /* a boot loader that has room for a FAT's numbers */
    expect(512, CM_TABLE_MBR, 1, 0);
    disk[446 + 32] = 'B'; /* text where flags would be */
    expect(512, CM_TABLE_NONE, 0, 0);
    memset(disk, 0, 512);
    expect(512, CM_TABLE_NONE, 0, 0);
    refused(1, CM_EFORMAT, "no partition table");
}

/* -- GPT --------------------------------------------------------------------------------------- */

static void a_gpt_is_found_in_sectors_of_both_sizes(void)
{
    for (unsigned i = 0; i < 4; i++) {
        uint32_t of_table = i & 1 ? 4096 : 512;
        struct cm_partition_table *table;

        make_gpt(of_table);
        table = table_of(i & 2 ? 4096 : 512);
        CHECK_EQ(table->kind, CM_TABLE_GPT);
        CHECK_EQ(table->flags, 0);
        CHECK_EQ(table->sector_size, of_table);
        if (CHECK_EQ(table->count, 2)) {
            CHECK_EQ(table->partitions[1].number, 3);
            CHECK_EQ(table->partitions[1].offset, 20 * of_table);
            CHECK_EQ(table->partitions[1].size, 10 * of_table);
            CHECK_STR(table->partitions[1].type, "Microsoft basic data");
        }
        cm_free(table);
    }
}

static void a_damaged_gpt_is_read_from_the_other_end(void)
{
    make_gpt(512);
    disk[512 + 40] ^= 1; /* header */
    expect(512, CM_TABLE_GPT, 2, CM_TABLE_PRIMARY_DAMAGED);
    make_gpt(512);
    disk[1024 + 33] ^= 1; /* entries */
    expect(512, CM_TABLE_GPT, 2, CM_TABLE_PRIMARY_DAMAGED);
    make_gpt(512);
    disk[SIZE - 1024] ^= 1;
    expect(512, CM_TABLE_GPT, 2, CM_TABLE_BACKUP_DAMAGED);
    disk[512] ^= 1;
    expect(512, CM_TABLE_GPT, 0, CM_TABLE_PRIMARY_DAMAGED | CM_TABLE_BACKUP_DAMAGED);
    refused(1, CM_EFORMAT, "both copies");
}

static void entries_near_2_64_are_left_out(void)
{
    make_gpt(512);
    set_gpt(512, 0, UINT64_MAX - 1, UINT64_MAX);
    set_gpt(512, 1, 0, UINT64_MAX);
    set_gpt(512, 3, 9, 8);
    seal(512);
    expect(512, CM_TABLE_GPT, 1, CM_TABLE_BAD_ENTRIES);
}

/* With a right checksum, so that nothing but the limits stands in the way. */
static void sizes_of_a_gpt_are_limited(void)
{
    static const uint32_t bad[][2] = {{0, 128},          {4, 0},           {4, 64},     {4, 192},
                                      {0xFFFFFFFF, 128}, {0x2000001, 128}, {8193, 128}, {1, 8192}};

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        make_gpt(512);
        disk[SIZE - 512] = 0;
        put(disk + 512 + 80, bad[i][0], 4);
        put(disk + 512 + 84, bad[i][1], 4);
        put(disk + 512 + 16, 0, 4);
        put(disk + 512 + 16, cm_crc32(0, disk + 512, 92), 4);
        expect(512, CM_TABLE_GPT, 0, CM_TABLE_PRIMARY_DAMAGED | CM_TABLE_BACKUP_DAMAGED);
    }
}

static void a_hybrid_mbr_is_told(void)
{
    make_gpt(512);
    put_entry(0, 1, 0x0C, 10, 10);
    expect(512, CM_TABLE_GPT, 2, CM_TABLE_HYBRID);
}

static void names_are_utf_8_that_no_terminal_obeys(void)
{
    static const uint16_t units[] = {'a', 0xFC, 0x20AC, 0xD83D, 0xDE00, 0x1B, 0xDC00, 0xD800};
    struct cm_partition_table *table;

    make_gpt(512);
    for (unsigned i = 0; i < 8; i++)
        put(gpt_entry(512, 0) + 56 + (size_t)2 * i, units[i], 2);
    seal(512);
    table = table_of(512);
    CHECK_STR(table->partitions[0].name, "a\xC3\xBC\xE2\x82\xAC\xF0\x9F\x98\x80\xEF\xBF\xBD"
                                         "\xEF\xBF\xBD\xEF\xBF\xBD");
    cm_free(table);
}

static void the_checksum_is_the_known_one(void)
{
    CHECK_EQ(cm_crc32(0, "123456789", 9), 0xCBF43926);
    CHECK_EQ(cm_crc32(cm_crc32(0, "1234", 4), "56789", 5), 0xCBF43926);
}

/* -- opening ----------------------------------------------------------------------------------- */

static void a_wrong_number_is_told_what_there_is(void)
{
    make_logical();
    refused(2, CM_ENOENT, "1 (FAT32, LBA), 5 (NTFS or exFAT), 6 (Linux).");
    refused(3, CM_EINVAL, "extended");
    refused(0, CM_ENOENT, "no partition 0");
    refused(UINT32_MAX, CM_ENOENT, "no partition 4294967295");
}

static void a_partition_has_its_own_bytes_only(void)
{
    struct cm_image *partition;
    struct cm_image_info info;
    unsigned char sector[1024];
    struct cm_image *image;

    make_logical();
    memset(disk + 100 * 512 + 512, 5, 99 * 512);
    image = disk_image(512);
    if (!CHECK_EQ(cm_partition_open(image, 5, &partition), 0))
        return;
    CHECK_EQ(cm_image_get_info(partition, &info), 0);
    CHECK_EQ(info.size, 99 * 512);
    memset(sector, 7, sizeof(sector));
    CHECK_EQ(cm_image_write(partition, sector, 512, 0, 0), 0);
    CHECK_EQ(cm_image_write(partition, sector, 512, 98 * 512, 0), 0);
    CHECK_EQ(cm_image_write(partition, sector, 1024, 98 * 512, 0), CM_ERANGE);
    CHECK_EQ(cm_image_read(partition, sector, 512, 99 * 512), CM_ERANGE);
    CHECK_EQ(cm_image_read(partition, sector, 512, UINT64_MAX - 511), CM_ERANGE);
    CHECK(disk[101 * 512] == 7 && disk[101 * 512 + 512] == 5 && disk[101 * 512 - 1] == 0xAA);
    CHECK(disk[200 * 512 - 1] == 7 && disk[200 * 512] == 0);
    CHECK_EQ(cm_image_close(partition), 0);
}

static void a_partition_has_the_sectors_of_its_table(void)
{
    struct cm_image *image = disk_image(512);
    struct cm_image *partition;
    struct cm_image_info info;

    make_gpt(4096);
    if (CHECK_EQ(cm_partition_open(image, 3, &partition), 0)) {
        CHECK_EQ(cm_image_get_info(partition, &info), 0);
        CHECK_EQ(info.sector_size, 4096);
        CHECK_EQ(cm_image_close(partition), 0);
    }
    image = disk_image(4096);
    make_gpt(512);
    CHECK_EQ(cm_partition_open(image, 1, &partition), CM_EINVAL);
    CHECK_EQ(cm_image_close(image), 0);
}

static void a_window_passes_everything_on(void)
{
    struct cm_image_ops ops = fake_ops;
    struct fake fake = {0};
    struct cm_image *window;
    struct cm_image *image;
    unsigned char sector[512];

    ops.flags |= CM_IMAGE_OWN_FUA | CM_IMAGE_VOLATILE;
    CHECK_EQ(cm_image_new(&ops, &fake, FAKE_SIZE, 512, &image), 0);
    CHECK_EQ(cm_image_window(image, 3 * 512, 10 * 512, 0, &window), 0);
    CHECK_EQ(cm_image_read(window, sector, 512, 2 * 512), 0);
    CHECK_EQ(sector[0], 5);
    CHECK_EQ(cm_image_write(window, sector, 512, 0, CM_IMAGE_FUA), 0);
    CHECK_EQ(fake.last_flags, CM_IMAGE_FUA);
    CHECK_EQ(fake.flushes, 0);
    CHECK_EQ(cm_image_flush(window), 0);
    CHECK_EQ(fake.flushes, 1);
    CHECK_EQ(cm_image_trim(window, 0, 512), 0);
    CHECK_EQ(fake.trims, 1);
    CHECK_EQ(cm_image_is_volatile(window), 1);
    fake.error = CM_ENOSPC;
    CHECK_EQ(cm_image_write(window, sector, 512, 0, 0), CM_ENOSPC);
    CHECK_EQ(cm_image_close(window), CM_ENOSPC);
    CHECK_EQ(fake.closes, 1);
}

static void extents_of_a_window_are_those_of_its_place(void)
{
    struct cm_extent extent;
    struct cm_image *window;
    struct cm_image *image;
    unsigned char sector[512] = {1};

    CHECK_EQ(cm_image_open("memory:1M", NULL, &image), 0);
    CHECK_EQ(cm_image_write(image, sector, 512, 3 * 65536, 0), 0);
    CHECK_EQ(cm_image_window(image, 65536, 8 * 65536, 0, &window), 0);
    CHECK_EQ(cm_image_extent(window, 0, 8 * 65536, &extent), 0);
    CHECK_EQ(extent.length, 2 * 65536);
    CHECK_EQ(extent.flags, CM_EXTENT_ZERO);
    CHECK_EQ(cm_image_extent(window, 2 * 65536, 6 * 65536, &extent), 0);
    CHECK_EQ(extent.length, 65536);
    CHECK_EQ(extent.flags, CM_EXTENT_ALLOCATED);
    CHECK_EQ(cm_image_close(window), 0);
}

static void a_window_offers_what_the_image_does(void)
{
    struct cm_image_ops ops = fake_ops;
    struct fake fake = {0};
    struct cm_image_info info;
    struct cm_image *window;
    struct cm_image *image;

    ops.write = NULL;
    CHECK_EQ(cm_image_new(&ops, &fake, FAKE_SIZE, 512, &image), 0);
    CHECK_EQ(cm_image_window(image, 0, FAKE_SIZE + 512, 0, &window), CM_ERANGE);
    CHECK_EQ(cm_image_window(image, UINT64_MAX - 511, 1024, 0, &window), CM_ERANGE);
    CHECK_EQ(cm_image_window(image, 0, 0, 0, &window), CM_EINVAL);
    CHECK_EQ(cm_image_window(image, 256, 512, 0, &window), CM_EINVAL);
    CHECK_EQ(cm_image_window(image, 512, 4096, 4096, &window), CM_EINVAL);
    CHECK_EQ(cm_image_window(image, 0, FAKE_SIZE, 0, &window), 0);
    CHECK_EQ(cm_image_get_info(window, &info), 0);
    CHECK(info.read_only && !info.can_trim && !cm_image_is_volatile(window));
    CHECK_EQ(cm_image_close(window), 0);
}

/* -- anything ---------------------------------------------------------------------------------- */

static void anything_in_a_table_is_survived(void)
{
    uint64_t seed = check_seed();

    for (unsigned round = 0; round < 3000; round++) {
        uint32_t s = check_random(&seed) % 2 ? 512 : 4096;
        struct cm_partition_table *table;

        if (check_random(&seed) % 2)
            make_logical();
        else
            make_gpt(s);
        for (uint64_t i = check_random(&seed) % 8; i > 0; i--)
            disk[check_random(&seed) % 4 ? check_random(&seed) % 1536
                                         : check_random(&seed) % SIZE] =
                (unsigned char)check_random(&seed);
        if (disk[510] == 0x55 && disk[450] == 0xEE && check_random(&seed) % 2)
            seal(s);
        table = table_of(check_random(&seed) % 2 ? 512 : 4096);
        for (uint32_t i = 0; i < table->count; i++) {
            const struct cm_partition *p = &table->partitions[i];

            CHECK((p->flags & CM_PARTITION_BEYOND_END) != 0 ||
                  (p->size <= SIZE && p->offset <= SIZE - p->size));
        }
        cm_free(table);
    }
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        CHECK_TEST(an_mbr_lists_primary_and_logical_partitions),
        CHECK_TEST(an_mbr_counts_in_the_sectors_of_the_image),
        CHECK_TEST(a_chain_that_loops_or_leads_out_ends),
        CHECK_TEST(a_long_chain_is_listed_up_to_the_limit),
        CHECK_TEST(places_outside_or_shared_are_told),
        CHECK_TEST(a_boot_sector_of_a_file_system_is_no_table),
        CHECK_TEST(a_gpt_is_found_in_sectors_of_both_sizes),
        CHECK_TEST(a_damaged_gpt_is_read_from_the_other_end),
        CHECK_TEST(entries_near_2_64_are_left_out),
        CHECK_TEST(sizes_of_a_gpt_are_limited),
        CHECK_TEST(a_hybrid_mbr_is_told),
        CHECK_TEST(names_are_utf_8_that_no_terminal_obeys),
        CHECK_TEST(the_checksum_is_the_known_one),
        CHECK_TEST(a_wrong_number_is_told_what_there_is),
        CHECK_TEST(a_partition_has_its_own_bytes_only),
        CHECK_TEST(a_partition_has_the_sectors_of_its_table),
        CHECK_TEST(a_window_passes_everything_on),
        CHECK_TEST(extents_of_a_window_are_those_of_its_place),
        CHECK_TEST(a_window_offers_what_the_image_does),
        CHECK_TEST(anything_in_a_table_is_survived),
    };

    return check_main(argc, argv, tests, sizeof(tests) / sizeof(tests[0]));
}
