/* SPDX-License-Identifier: MIT */
/*
 * test_vhdx_parts.c - images/vhdx/: guid.c, header.c, regions.c, metadata.c, locator.c and create.c, over a store in
 * memory. What is made is read again; what is damaged is refused with the right error; what a failure leaves behind is one
 * of the two states.
 */
#include "tests/unit/check.h"
#include "tests/unit/memory_store.h"

#include "images/vhdx/parts.h"
#include "images/vhdx/vhdx.h"
#include "lib/core/bytes.h"
#include "lib/core/crc32c.h"

#define MIB VHDX_MIB
#define GIB (UINT64_C(1) << 30)
#define METADATA_AT (2 * MIB) /* in what create.c makes */

struct whole {
    struct vhdx_header header;
    struct vhdx_regions regions;
    struct vhdx_metadata metadata;
};

static int format(struct memory_store *m, const struct cm_image_options *options)
{
    struct cm_store *store = memory_store_new(m);
    int error = cm_vhdx_format(store, options);

    cm_store_close(store);
    return error;
}

static int make(struct memory_store *m, uint64_t size, const char *parent)
{
    struct cm_image_options options = {
        .struct_size = sizeof(options), .size = size, .parent = parent};

    return format(m, &options);
}

static int read_whole(struct memory_store *m, struct whole *w)
{
    struct cm_store *store = memory_store_new(m);
    int error = vhdx_header_read(store, &w->header);

    if (error == 0)
        error = vhdx_regions_read(store, &w->header, &w->regions);
    if (error == 0)
        error = vhdx_metadata_read(store, &w->regions.metadata, &w->metadata);
    cm_store_close(store);
    return error;
}

/* The error and a part of its sentence. */
static void fails(struct memory_store *m, int error, const char *text)
{
    struct whole w;

    if (!CHECK_EQ(read_whole(m, &w), error) || !CHECK(strstr(cm_last_error(), text) != NULL))
        printf("  expected \"%s\": %s\n", text, cm_last_error());
}

static void poke8(struct memory_store *m, uint64_t at, uint8_t value)
{
    memory_store_poke(m, &value, 1, at);
}

static void poke32(struct memory_store *m, uint64_t at, uint32_t value)
{
    unsigned char bytes[4];

    cm_put_le32(bytes, value);
    memory_store_poke(m, bytes, 4, at);
}

static void poke64(struct memory_store *m, uint64_t at, uint64_t value)
{
    unsigned char bytes[8];

    cm_put_le64(bytes, value);
    memory_store_poke(m, bytes, 8, at);
}

/* Make the checksum right again, as one does who means harm. */
static void sum(struct memory_store *m, uint64_t at, uint32_t size)
{
    unsigned char *bytes = malloc(size);

    poke32(m, at + 4, 0);
    memory_store_peek(m, bytes, size, at);
    poke32(m, at + 4, cm_crc32c(0, bytes, size));
    free(bytes);
}

static void sum_headers(struct memory_store *m)
{
    sum(m, VHDX_HEADER_AT(0), VHDX_HEADER_SIZE);
    sum(m, VHDX_HEADER_AT(1), VHDX_HEADER_SIZE);
}

static void sum_regions(struct memory_store *m)
{
    sum(m, VHDX_REGIONS_AT(0), VHDX_REGIONS_SIZE);
    sum(m, VHDX_REGIONS_AT(1), VHDX_REGIONS_SIZE);
}

/* -- create ------------------------------------------------------------------------------------ */

static void what_is_made_is_read(void)
{
    static const struct {
        struct cm_image_options options;
        uint32_t block, sector;
        uint64_t entries, file_mib;
    } rows[] = {
        {{.size = GIB}, 32 << 20, 512, 32, 4},
        {{.size = GIB, .parent = "p"}, 2 << 20, 512, 2049, 4},
        {{.size = 512}, 32 << 20, 512, 1, 4},
        {{.size = GIB, .block_size = 1 << 20, .sector_size = 4096}, 1 << 20, 4096, 1024, 4},
        {{.size = GIB, .block_size = 256 << 20}, 256 << 20, 512, 4, 4},
        {{.size = 8 * GIB + 512, .block_size = 256 << 20}, 256 << 20, 512, 35, 4},
        {{.size = 33 * MIB, .flags = CM_OPEN_FIXED}, 32 << 20, 512, 2, 68},
        {{.size = UINT64_C(64) << 40, .block_size = 1 << 20},
         1 << 20,
         512,
         (UINT64_C(1) << 26) + (UINT64_C(1) << 14) - 1,
         516},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct memory_store m = {0};
        struct whole w;

        CHECK_EQ(format(&m, &rows[i].options), 0);
        CHECK_EQ(read_whole(&m, &w), 0);
        CHECK_EQ(w.metadata.disk_size, rows[i].options.size);
        CHECK_EQ(w.metadata.block_size, rows[i].block);
        CHECK_EQ(w.metadata.sector_size, rows[i].sector);
        CHECK_EQ(w.metadata.has_parent, rows[i].options.parent != NULL);
        CHECK_EQ(w.metadata.is_fixed, (rows[i].options.flags & CM_OPEN_FIXED) != 0);
        CHECK_EQ(vhdx_bat_entries(&w.metadata), rows[i].entries);
        CHECK(w.regions.bat.size >= rows[i].entries * 8);
        CHECK(vhdx_guid_is_zero(&w.header.log));
        CHECK(!vhdx_guid_is_zero(&w.metadata.disk_id));
        CHECK_EQ(w.header.other_is_damaged + w.regions.one_is_damaged, 0);
        if (rows[i].file_mib != 516)
            CHECK_EQ(m.size, rows[i].file_mib * MIB);
        memory_store_free(&m);
    }
}

static void what_is_zeros_stays_a_hole(void)
{
    struct memory_store m = {0};
    struct cm_image_options options = {.size = UINT64_C(64) << 40, .block_size = 1 << 20};

    CHECK_EQ(format(&m, &options), 0);
    CHECK(m.written < 200000);
    CHECK(m.writes < 10);
    memory_store_free(&m);
}

static void a_fixed_image_has_all_its_blocks(void)
{
    struct memory_store m = {0};
    struct cm_image_options options = {
        .size = 5 * GIB, .block_size = 1 << 20, .flags = CM_OPEN_FIXED};
    struct whole w;
    unsigned char entry[8];
    uint64_t payload;

    CHECK_EQ(format(&m, &options), 0);
    CHECK_EQ(read_whole(&m, &w), 0);
    payload = w.regions.bat.at + w.regions.bat.size;
    for (uint64_t block = 0; block < 5120; block++) {
        memory_store_peek(&m, entry, 8, w.regions.bat.at + (block + block / 4096) * 8);
        if (!CHECK_EQ(cm_get_le64(entry), (payload + block * MIB) | VHDX_PRESENT))
            break;
    }
    memory_store_peek(&m, entry, 8, w.regions.bat.at + 4096 * 8);
    CHECK_EQ(cm_get_le64(entry), 0); /* of a bitmap */
    CHECK_EQ(m.size, payload + 5 * GIB);
    memory_store_free(&m);
}

static void wrong_options_are_refused(void)
{
    static const struct {
        struct cm_image_options options;
        const char *text;
    } rows[] = {
        {{.size = 0}, "0 bytes"},
        {{.size = 513}, "513 bytes"},
        {{.size = GIB + 512, .sector_size = 4096}, "whole sectors"},
        {{.size = (UINT64_C(64) << 40) + 512}, "64T"},
        {{.size = UINT64_MAX - 511}, "64T"},
        {{.size = GIB, .block_size = 512 << 10}, "1M, 2M"},
        {{.size = GIB, .block_size = 3 << 20}, "1M, 2M"},
        {{.size = GIB, .block_size = 512u << 20}, "256M"},
        {{.size = GIB, .sector_size = 1024}, "512 and 4096"},
        {{.size = GIB, .flags = CM_OPEN_FIXED, .parent = "base.vhdx"}, "base.vhdx"},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct memory_store m = {0};

        CHECK_EQ(format(&m, &rows[i].options), CM_EINVAL);
        if (!CHECK(strstr(cm_last_error(), rows[i].text) != NULL))
            printf("  row %u: %s\n", (unsigned)i, cm_last_error());
        CHECK_EQ(m.size, 0);
        memory_store_free(&m);
    }
}

static void making_that_fails_leaves_no_image(void)
{
    int error = CM_ENOSPC;

    for (uint64_t after = 0; error != 0 && after < 100; after++) {
        struct memory_store m = {.fail = CM_ENOSPC, .fail_after = after};
        struct whole w;

        error = make(&m, GIB, NULL);
        CHECK(error == 0 || error == CM_ENOSPC);
        if (error != 0 && m.flushes < 4) /* the fourth comes after the identifier */
            CHECK_EQ(read_whole(&m, &w), CM_EFORMAT);
        memory_store_free(&m);
    }
    CHECK_EQ(error, 0);
}

/* -- headers ----------------------------------------------------------------------------------- */

static void the_other_header_counts_when_one_is_damaged(void)
{
    struct memory_store m = {0};
    struct whole w;

    CHECK_EQ(make(&m, GIB, NULL), 0);
    poke8(&m, VHDX_HEADER_AT(1) + 100, 1);
    CHECK_EQ(read_whole(&m, &w), 0);
    CHECK_EQ(w.header.slot, 0);
    CHECK_EQ(w.header.other_is_damaged, 1);
    poke8(&m, VHDX_HEADER_AT(0), 'x');
    fails(&m, CM_EDAMAGED, "neither of its two headers");
    poke8(&m, 0, 'x');
    fails(&m, CM_EFORMAT, "no VHDX image");
    memory_store_free(&m);
}

static void headers_that_lie_are_refused(void)
{
    static const struct {
        unsigned at;
        uint32_t value;
        int error;
        const char *text;
    } rows[] = {
        {66, 2, CM_ENOTSUP, "version 2"},         {64, 1 | 1 << 16, CM_ENOTSUP, "log of version 1"},
        {68, 0, CM_EDAMAGED, "whole MiB"},        {68, 4096, CM_EDAMAGED, "whole MiB"},
        {68, 0xFFF00000, CM_EDAMAGED, "cut off"}, {72, 0, CM_EDAMAGED, "whole MiB"},
        {72, 512, CM_EDAMAGED, "whole MiB"},      {76, 0x7FFFFFFF, CM_EDAMAGED, "cut off"},
        {76, 0xFFFFFFFF, CM_EDAMAGED, "cut off"},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct memory_store m = {0};

        CHECK_EQ(make(&m, GIB, NULL), 0);
        for (unsigned slot = 0; slot < 2; slot++)
            poke32(&m, VHDX_HEADER_AT(slot) + rows[i].at, rows[i].value);
        sum_headers(&m);
        fails(&m, rows[i].error, rows[i].text);
        memory_store_free(&m);
    }
}

/* A write that fails at any step leaves the one or the other content, and what was written last after success. */
static void a_header_is_replaced_in_one_step(void)
{
    int error = CM_EIO;

    for (uint64_t after = 0; error != 0 && after < 10; after++) {
        struct memory_store m = {0};
        struct cm_store *store;
        struct whole w, now;

        CHECK_EQ(make(&m, GIB, NULL), 0);
        CHECK_EQ(read_whole(&m, &w), 0);
        CHECK_EQ(vhdx_guid_make(&w.header.log), 0);
        store = memory_store_new(&m);
        m.fail = CM_EIO;
        m.fail_after = after;
        error = vhdx_header_write(store, &w.header);
        m.fail = 0;
        cm_store_close(store);
        CHECK_EQ(read_whole(&m, &now), 0);
        CHECK(vhdx_guid_is_zero(&now.header.log) ||
              vhdx_guid_equal(&now.header.log, &w.header.log));
        if (error == 0) {
            CHECK_EQ(now.header.sequence, 4);
            CHECK(vhdx_guid_equal(&now.header.log, &w.header.log));
            CHECK_EQ(now.header.slot, w.header.slot);
            CHECK_EQ(m.flushes >= 2, 1);
        }
        memory_store_free(&m);
    }
    CHECK_EQ(error, 0);
}

static void the_sequence_does_not_go_round(void)
{
    struct memory_store m = {0};
    struct cm_store *store;
    struct whole w;

    CHECK_EQ(make(&m, GIB, NULL), 0);
    poke64(&m, VHDX_HEADER_AT(0) + 8, UINT64_MAX);
    sum_headers(&m);
    CHECK_EQ(read_whole(&m, &w), 0);
    store = memory_store_new(&m);
    CHECK_EQ(vhdx_header_write(store, &w.header), CM_EDAMAGED);
    cm_store_close(store);
    memory_store_free(&m);
}

/* -- regions ----------------------------------------------------------------------------------- */

static void the_other_region_table_counts_when_one_is_damaged(void)
{
    struct memory_store m = {0};
    struct whole w;

    CHECK_EQ(make(&m, GIB, NULL), 0);
    poke8(&m, VHDX_REGIONS_AT(0) + 60000, 1);
    CHECK_EQ(read_whole(&m, &w), 0);
    CHECK_EQ(w.regions.one_is_damaged, 1);
    CHECK_EQ(w.regions.bat.at, 3 * MIB);
    poke8(&m, VHDX_REGIONS_AT(1) + 60000, 1);
    fails(&m, CM_EDAMAGED, "neither of its two region tables");
    memory_store_free(&m);
}

/* Entry 0 is the BAT's, entry 1 the metadata's. */
static void region_tables_that_lie_are_refused(void)
{
    static const struct {
        unsigned at;
        uint64_t value;
        int error;
        const char *text;
    } rows[] = {
        {8, 1, CM_EDAMAGED, "does not name the metadata"},
        {8, 2048, CM_EDAMAGED, "neither"},
        {32, 0, CM_EDAMAGED, "whole MiB"},
        {32, 512, CM_EDAMAGED, "whole MiB"},
        {32, UINT64_C(1) << 62, CM_EDAMAGED, "cut off"},
        {32, UINT64_MAX - MIB + 1, CM_EDAMAGED, "cut off"},
        {32, MIB, CM_EDAMAGED, "overlap"},     /* the log's */
        {32, 2 * MIB, CM_EDAMAGED, "overlap"}, /* the metadata's */
        {40, 1, CM_EDAMAGED, "whole MiB"},
        {40, 0, CM_EDAMAGED, "whole MiB"},
        {40, 0x1FFF00000, CM_EDAMAGED, "cut off"},
        {16, 1, CM_ENOTSUP, "does not know"},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct memory_store m = {0};

        CHECK_EQ(make(&m, GIB, NULL), 0);
        for (unsigned slot = 0; slot < 2; slot++)
            poke64(&m, VHDX_REGIONS_AT(slot) + rows[i].at, rows[i].value);
        sum_regions(&m);
        fails(&m, rows[i].error, rows[i].text);
        memory_store_free(&m);
    }
}

static void add_region(struct memory_store *m, unsigned index, uint64_t at, uint32_t flags)
{
    for (unsigned slot = 0; slot < 2; slot++) {
        uint64_t entry = VHDX_REGIONS_AT(slot) + 16 + index * 32;

        poke32(m, VHDX_REGIONS_AT(slot) + 8, index + 1);
        poke32(m, entry, 0xABCD0000 + index);
        poke64(m, entry + 16, at);
        poke32(m, entry + 24, (uint32_t)MIB);
        poke32(m, entry + 28, flags);
    }
    if (m->size < at + MIB)
        m->size = at + MIB;
    sum_regions(m);
}

static void regions_of_others_keep_their_place(void)
{
    struct memory_store m = {0};
    struct cm_store *store;
    struct whole w;

    CHECK_EQ(make(&m, GIB, NULL), 0);
    add_region(&m, 2, 4 * MIB, 0);
    CHECK_EQ(read_whole(&m, &w), 0);
    CHECK_EQ(w.regions.unknown_count, 1);
    CHECK_EQ(w.regions.unknown[0].at, 4 * MIB);
    store = memory_store_new(&m);
    CHECK_EQ(vhdx_regions_write(store, &w.regions), CM_ENOTSUP);
    cm_store_close(store);
    add_region(&m, 3, 4 * MIB, 0);
    fails(&m, CM_EDAMAGED, "overlap");
    add_region(&m, 3, 5 * MIB, VHDX_REGION_REQUIRED);
    fails(&m, CM_ENOTSUP, "does not know");
    for (unsigned i = 3; i < 12; i++)
        add_region(&m, i, (2 + i) * MIB, 0);
    fails(&m, CM_ENOTSUP, "does not know"); /* more than anybody has */
    memory_store_free(&m);
}

/* -- metadata ---------------------------------------------------------------------------------- */

static void metadata_that_lies_is_refused(void)
{
    static const struct {
        uint32_t at;
        uint64_t value;
        int error;
        const char *text;
    } rows[] = {
        {0, 0, CM_EDAMAGED, "something else"},
        {8, UINT64_C(0x8000) << 16, CM_EDAMAGED, "too many"},
        {8, UINT64_C(4) << 16, CM_EDAMAGED, "lacks the physical"},
        {32, 1, CM_ENOTSUP, "does not know"},
        {32 + 16, 0, CM_EDAMAGED, "wrong size"},
        {32 + 16, UINT64_C(8) << 32 | 0xFFFFF, CM_EDAMAGED, "not where"},
        {32 + 16, UINT64_C(8) << 32 | 0xFFFFFFF8, CM_EDAMAGED, "not where"},
        {32 + 16, UINT64_C(0xFFFFFFF8) << 32 | 65536, CM_EDAMAGED, "not where"},
        {32 + 16, UINT64_C(9) << 32 | 65536, CM_EDAMAGED, "wrong size"},
        {65536, 0, CM_EDAMAGED, "block size"},
        {65536, 3 << 20, CM_EDAMAGED, "block size"},
        {65536, 512 << 20, CM_EDAMAGED, "block size"},
        {65536, 1 << 20 | UINT64_C(2) << 32, CM_EDAMAGED, "has a parent"},
        {65536 + 64, 0, CM_EDAMAGED, "size of its disk"},
        {65536 + 64, 513, CM_EDAMAGED, "size of its disk"},
        {65536 + 64, UINT64_MAX - 511, CM_EDAMAGED, "size of its disk"},
        {65536 + 192, 1024, CM_EDAMAGED, "sector size"},
        {65536 + 256, 0, CM_EDAMAGED, "sector size"},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct memory_store m = {0};
        struct whole w;

        CHECK_EQ(make(&m, GIB, NULL), 0);
        poke64(&m, METADATA_AT + rows[i].at, rows[i].value);
        if (!CHECK_EQ(read_whole(&m, &w), rows[i].error) ||
            !CHECK(strstr(cm_last_error(), rows[i].text) != NULL))
            printf("  row %u: %s\n", (unsigned)i, cm_last_error());
        memory_store_free(&m);
    }
}

/* Nothing in the table is covered by a checksum: whatever is there, reading ends and says 0 or an error. */
static void metadata_of_random_bytes_is_survived(void)
{
    uint64_t random = check_seed();
    struct memory_store m = {0};
    unsigned char page[512];

    CHECK_EQ(make(&m, GIB, "p"), 0);
    memory_store_peek(&m, page, sizeof(page), METADATA_AT);
    for (int round = 0; round < 2000; round++) {
        struct vhdx_locator locator;
        struct whole w;

        memory_store_poke(&m, page, sizeof(page), METADATA_AT);
        for (int i = 0; i < 3; i++)
            poke8(&m, METADATA_AT + 8 + check_random(&random) % 300,
                  (uint8_t)check_random(&random));
        if (read_whole(&m, &w) == 0 && w.metadata.has_parent) {
            struct cm_store *store = memory_store_new(&m);

            if (vhdx_locator_read(store, &w.metadata, &locator) == 0)
                vhdx_locator_free(&locator);
            cm_store_close(store);
        }
    }
    memory_store_free(&m);
}

/* -- locator ----------------------------------------------------------------------------------- */

static void text_is(const char *text, const char *expected)
{
    CHECK((text == NULL) == (expected == NULL));
    if (text != NULL && expected != NULL)
        CHECK_STR(text, expected);
}

static int set_locator(struct memory_store *m, const struct vhdx_locator *locator)
{
    unsigned char *bytes = malloc(VHDX_LOCATOR_ROOM);
    struct cm_store *store = memory_store_new(m);
    struct whole w;
    uint32_t size;
    int error = read_whole(m, &w);

    if (error == 0)
        error = vhdx_locator_make(locator, bytes, VHDX_LOCATOR_ROOM, &size);
    if (error == 0)
        error = vhdx_metadata_set_locator(store, &w.regions.metadata, &w.metadata, bytes, size);
    cm_store_close(store);
    free(bytes);
    return error;
}

static int get_locator(struct memory_store *m, struct vhdx_locator *locator)
{
    struct cm_store *store = memory_store_new(m);
    struct whole w;
    int error = read_whole(m, &w);

    if (error == 0)
        error = vhdx_locator_read(store, &w.metadata, locator);
    cm_store_close(store);
    return error;
}

static void a_locator_is_read_as_it_was_made(void)
{
    static char relative[] = "..\\a b\\b\xC3\xA4se \xF0\x9F\x92\xBE.vhdx",
                absolute[] = "C:\\base.vhdx";
    static char volume[] = "\\\\?\\Volume{26A21BDA-A627-11D7-9931-806E6F6E6963}\\base.vhdx";
    struct vhdx_locator rows[] = {
        {.relative_path = relative},
        {.absolute_path = absolute},
        {.relative_path = relative, .absolute_path = absolute, .volume_path = volume},
    };
    struct memory_store m = {0};

    CHECK_EQ(make(&m, GIB, "p"), 0);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct vhdx_locator back;

        CHECK_EQ(vhdx_guid_make(&rows[i].linkage), 0);
        if (i == 1)
            CHECK_EQ(vhdx_guid_make(&rows[i].linkage2), 0);
        CHECK_EQ(set_locator(&m, &rows[i]), 0);
        if (!CHECK_EQ(get_locator(&m, &back), 0))
            continue;
        CHECK(vhdx_guid_equal(&back.linkage, &rows[i].linkage));
        CHECK(vhdx_guid_equal(&back.linkage2, &rows[i].linkage2));
        text_is(back.relative_path, rows[i].relative_path);
        text_is(back.absolute_path, rows[i].absolute_path);
        text_is(back.volume_path, rows[i].volume_path);
        vhdx_locator_free(&back);
    }
    memory_store_free(&m);
}

static void paths_that_do_not_fit_are_refused(void)
{
    struct memory_store m = {0};
    struct vhdx_locator locator = {.relative_path = malloc(40000)};

    memset(locator.relative_path, 'a', 39999);
    locator.relative_path[39999] = '\0';
    CHECK_EQ(make(&m, GIB, "p"), 0);
    CHECK_EQ(set_locator(&m, &locator), CM_EINVAL);
    strcpy(locator.relative_path, "\xFF");
    CHECK_EQ(set_locator(&m, &locator), CM_EINVAL);
    free(locator.relative_path);
    memory_store_free(&m);
}

/* Not even a torn write touches the locator that counts. */
static void another_locator_is_written_beside_the_old_one(void)
{
    static char path[] = "base.vhdx";
    struct vhdx_locator locator = {.relative_path = path};
    struct memory_store m = {0};
    struct whole before, after;

    CHECK_EQ(make(&m, GIB, "p"), 0);
    CHECK_EQ(set_locator(&m, &locator), 0);
    for (int i = 0; i < 20; i++) {
        CHECK_EQ(read_whole(&m, &before), 0);
        CHECK_EQ(set_locator(&m, &locator), 0);
        CHECK_EQ(read_whole(&m, &after), 0);
        CHECK(after.metadata.locator_at >=
                  before.metadata.locator_at + before.metadata.locator_size ||
              before.metadata.locator_at >=
                  after.metadata.locator_at + after.metadata.locator_size);
    }
    memory_store_free(&m);
}

/* Whatever step fails, the parent is the old one or the new one. */
static void another_parent_is_taken_in_one_step(void)
{
    static char old_path[] = "old.vhdx", new_path[] = "new.vhdx";
    int error = CM_EIO;

    for (uint64_t after = 0; error != 0 && after < 10; after++) {
        struct memory_store m = {0};
        struct vhdx_locator locator = {.relative_path = old_path}, back;

        CHECK_EQ(make(&m, GIB, "p"), 0);
        CHECK_EQ(set_locator(&m, &locator), 0);
        locator.relative_path = new_path;
        m.fail = CM_EIO;
        m.fail_after = after;
        error = set_locator(&m, &locator);
        m.fail = 0;
        if (CHECK_EQ(get_locator(&m, &back), 0)) {
            CHECK(strcmp(back.relative_path, new_path) == 0 ||
                  (error != 0 && strcmp(back.relative_path, old_path) == 0));
            vhdx_locator_free(&back);
        }
        memory_store_free(&m);
    }
    CHECK_EQ(error, 0);
}

static void a_parent_can_be_dropped(void)
{
    struct memory_store m = {0};
    struct cm_store *store;
    struct whole w;

    CHECK_EQ(make(&m, GIB, "p"), 0);
    CHECK_EQ(read_whole(&m, &w), 0);
    store = memory_store_new(&m);
    CHECK_EQ(vhdx_metadata_set_locator(store, &w.regions.metadata, &w.metadata, NULL, 0), 0);
    CHECK_EQ(w.metadata.has_parent, 0);
    CHECK_EQ(read_whole(&m, &w), 0);
    CHECK_EQ(w.metadata.has_parent, 0);
    CHECK_EQ(w.metadata.locator_at, 0);
    CHECK_EQ(vhdx_metadata_set_locator(store, &w.regions.metadata, &w.metadata, NULL, 0),
             CM_EINVAL);
    cm_store_close(store);
    memory_store_free(&m);
}

static void an_empty_locator_is_told(void)
{
    struct memory_store m = {0};
    struct vhdx_locator locator;

    CHECK_EQ(make(&m, GIB, "p"), 0);
    CHECK_EQ(get_locator(&m, &locator), CM_ENOTSUP); /* its type is zeros */
    CHECK(strstr(cm_last_error(), "coremnt rebase") != NULL);
    memory_store_free(&m);
}

static void locators_of_random_bytes_are_survived(void)
{
    static char path[] = "base.vhdx";
    uint64_t random = check_seed();
    struct vhdx_locator locator = {.relative_path = path, .absolute_path = path};
    struct memory_store m = {0};
    unsigned char bytes[600];
    struct whole w;
    unsigned read = 0;

    CHECK_EQ(make(&m, GIB, "p"), 0);
    CHECK_EQ(set_locator(&m, &locator), 0);
    CHECK_EQ(read_whole(&m, &w), 0);
    memory_store_peek(&m, bytes, sizeof(bytes), w.metadata.locator_at);
    for (int round = 0; round < 3000; round++) {
        struct vhdx_locator back;

        memory_store_poke(&m, bytes, sizeof(bytes), w.metadata.locator_at);
        for (int i = 0; i < 2; i++)
            poke8(&m, w.metadata.locator_at + 16 + check_random(&random) % 200,
                  (uint8_t)check_random(&random));
        if (get_locator(&m, &back) == 0) {
            read++;
            vhdx_locator_free(&back);
        }
    }
    CHECK(read > 0 && read < 3000);
    memory_store_free(&m);
}

/* -- identifiers ------------------------------------------------------------------------------- */

static void guids_are_as_windows_writes_them(void)
{
    static const char text[] = "{2dc27766-f623-4200-9d64-115e9bfd4a08}";
    static const unsigned char bytes[16] = {0x66, 0x77, 0xC2, 0x2D, 0x23, 0xF6, 0x00, 0x42,
                                            0x9D, 0x64, 0x11, 0x5E, 0x9B, 0xFD, 0x4A, 0x08};
    static const char *const bad[] = {"",
                                      "{",
                                      "{2dc27766-f623-4200-9d64-115e9bfd4a08",
                                      "2dc27766-f623-4200-9d64-115e9bfd4a08}",
                                      "2dc27766-f623-4200-9d64-115e9bfd4a0",
                                      "2dc27766xf623-4200-9d64-115e9bfd4a08",
                                      "2dc27766-f623-4200-9d64-115e9bfd4a0g",
                                      "{2dc27766-f623-4200-9d64-115e9bfd4a08} "};
    struct vhdx_guid guid, other;
    char back[VHDX_GUID_TEXT];

    CHECK_EQ(vhdx_guid_parse(text, &guid), 0);
    CHECK(memcmp(guid.bytes, bytes, 16) == 0);
    vhdx_guid_print(&guid, back);
    CHECK_STR(back, text);
    CHECK_EQ(vhdx_guid_parse("2DC27766-F623-4200-9D64-115E9BFD4A08", &other), 0);
    CHECK(vhdx_guid_equal(&guid, &other));
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        CHECK_EQ(vhdx_guid_parse(bad[i], &guid), CM_EINVAL);
    CHECK_EQ(vhdx_guid_make(&guid), 0);
    CHECK_EQ(vhdx_guid_make(&other), 0);
    CHECK(!vhdx_guid_equal(&guid, &other));
    vhdx_guid_print(&guid, back);
    CHECK(back[15] == '4' && strchr("89ab", back[20]) != NULL);
}

static const struct check_test tests[] = {
    CHECK_TEST(what_is_made_is_read),
    CHECK_TEST(what_is_zeros_stays_a_hole),
    CHECK_TEST(a_fixed_image_has_all_its_blocks),
    CHECK_TEST(wrong_options_are_refused),
    CHECK_TEST(making_that_fails_leaves_no_image),
    CHECK_TEST(the_other_header_counts_when_one_is_damaged),
    CHECK_TEST(headers_that_lie_are_refused),
    CHECK_TEST(a_header_is_replaced_in_one_step),
    CHECK_TEST(the_sequence_does_not_go_round),
    CHECK_TEST(the_other_region_table_counts_when_one_is_damaged),
    CHECK_TEST(region_tables_that_lie_are_refused),
    CHECK_TEST(regions_of_others_keep_their_place),
    CHECK_TEST(metadata_that_lies_is_refused),
    CHECK_TEST(metadata_of_random_bytes_is_survived),
    CHECK_TEST(a_locator_is_read_as_it_was_made),
    CHECK_TEST(paths_that_do_not_fit_are_refused),
    CHECK_TEST(another_locator_is_written_beside_the_old_one),
    CHECK_TEST(another_parent_is_taken_in_one_step),
    CHECK_TEST(a_parent_can_be_dropped),
    CHECK_TEST(an_empty_locator_is_told),
    CHECK_TEST(locators_of_random_bytes_are_survived),
    CHECK_TEST(guids_are_as_windows_writes_them),
};

int main(int argc, char **argv)
{
    return check_main(argc, argv, tests, sizeof(tests) / sizeof(tests[0]));
}
