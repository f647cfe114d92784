/* SPDX-License-Identifier: MIT */
/*
 * test_vhdx_check.c - images/vhdx/check.c and check_blocks.c: one damage after the other is put into a good image; the
 * check finds it, changes nothing unless it is to repair, and finds what it has repaired no more.
 */
#include "tests/unit/check.h"
#include "tests/unit/memory_store.h"
#include "tests/unit/vhdx_entry.h"

#include "images/vhdx/check.h"
#include "images/vhdx/vhdx.h"

#define MIB VHDX_MIB
#define BAT_AT (3 * MIB) /* in what cm_vhdx_format() makes with a BAT of at most 1 MiB */
#define BLOCKS_AT (4 * MIB)
#define BLOCK (1u << 20)
#define DISK (UINT64_C(1) << 30)
#define FILE_SIZE (BLOCKS_AT + 4 * MIB)

/* What a check has said. */
struct said {
    struct cm_check_result result;
    unsigned count[3]; /* by severity */
    unsigned repaired;
    char text[2000];
};

static void note(void *context, enum cm_check_severity severity, int is_repaired, const char *text)
{
    struct said *said = context;
    size_t used = strlen(said->text);

    said->count[severity]++;
    said->repaired += is_repaired != 0;
    snprintf(said->text + used, sizeof(said->text) - used, "%s\n", text);
    CHECK(text[strlen(text) - 1] != '.');
}

static int look(struct memory_store *m, uint32_t flags, struct said *said)
{
    struct cm_check_options options = {
        .struct_size = sizeof(options), .flags = flags, .report = note, .context = said};
    struct cm_store *store;
    int error;

    memset(said, 0, sizeof(*said));
    m->read_only = flags == 0;
    store = memory_store_new(m);
    error = cm_vhdx_check(store, &options, &said->result);
    cm_store_close(store);
    m->read_only = 0;
    return error;
}

static void is_sound(struct memory_store *m)
{
    struct said said;

    CHECK_EQ(look(m, 0, &said), 0);
    if (!CHECK_EQ(said.count[0] + said.count[1] + said.count[2], 0))
        printf("%s", said.text);
}

static void poke64(struct memory_store *m, uint64_t at, uint64_t value)
{
    unsigned char bytes[8];

    cm_put_le64(bytes, value);
    memory_store_poke(m, bytes, 8, at);
}

static void set_entry(struct memory_store *m, uint64_t index, uint64_t value)
{
    poke64(m, BAT_AT + 8 * index, value);
}

static uint64_t get_entry(struct memory_store *m, uint64_t index)
{
    unsigned char bytes[8];

    memory_store_peek(m, bytes, 8, BAT_AT + 8 * index);
    return cm_get_le64(bytes);
}

static void format(struct memory_store *m, const struct cm_image_options *options)
{
    struct cm_store *store = memory_store_new(m);

    CHECK_EQ(cm_vhdx_format(store, options), 0);
    cm_store_close(store);
}

/* 1 GiB in blocks of 1 MiB, of which 0 to 3 are there; block n is entry n. With a parent, the bitmap is block 3. */
static void make(struct memory_store *m, const char *parent)
{
    struct cm_image_options options = {
        .struct_size = sizeof(options), .size = DISK, .block_size = BLOCK, .parent = parent};

    format(m, &options);
    m->size = FILE_SIZE;
    for (unsigned i = 0; i < 3; i++)
        set_entry(m, i, (BLOCKS_AT + i * MIB) | VHDX_PRESENT);
    set_entry(m, parent != NULL ? 4096 : 3, (BLOCKS_AT + 3 * MIB) | VHDX_PRESENT);
}

/* -- sound images ------------------------------------------------------------------------------ */

static void what_is_made_is_sound(void)
{
    static const struct cm_image_options rows[] = {
        {.size = DISK},
        {.size = DISK + 512, .block_size = 256u << 20},
        {.size = DISK, .sector_size = 4096, .block_size = 1 << 20},
        {.size = 33 * MIB, .flags = CM_OPEN_FIXED},
        {.size = UINT64_C(64) << 40},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct memory_store m = {0};

        format(&m, &rows[i]);
        is_sound(&m);
        memory_store_free(&m);
    }
}

static void blocks_are_counted(void)
{
    struct memory_store m = {0};
    struct said said;

    make(&m, NULL);
    is_sound(&m);
    CHECK_EQ(look(&m, CM_CHECK_REPAIR, &said), 0);
    CHECK_EQ(said.result.blocks, 1024);
    CHECK_EQ(said.result.blocks_here, 4);
    CHECK_EQ(said.result.repaired, 0);
    memory_store_free(&m);
}

static void repairing_a_sound_image_changes_nothing(void)
{
    struct memory_store m = {0};
    struct said said;
    uint64_t writes;

    make(&m, NULL);
    writes = m.writes;
    CHECK_EQ(look(&m, CM_CHECK_REPAIR, &said), 0);
    CHECK_EQ(m.writes, writes);
    memory_store_free(&m);
}

/* -- the BAT ----------------------------------------------------------------------------------- */

struct damage {
    uint64_t index, value; /* of the BAT */
    enum cm_check_severity severity;
    int is_repaired;
    const char *text;
};

static const struct damage damages[] = {
    {5, 4, CM_CHECK_ERROR, 0, "block 5 is in a state that there is not: 4"},
    {5, 8, CM_CHECK_ERROR, 1, "block 5 has bits that mean nothing: 0x8"},
    {5, 1u << 19, CM_CHECK_ERROR, 1, "block 5 has bits that mean nothing"},
    {5, VHDX_PRESENT, CM_CHECK_ERROR, 0, "where the headers are"},
    {5, FILE_SIZE | VHDX_PRESENT, CM_CHECK_ERROR, 0, "behind the end of the file"},
    {5, VHDX_PLACE_MASK | VHDX_PRESENT, CM_CHECK_ERROR, 0, "behind the end of the file"},
    {5, UINT64_C(1) << 63 | VHDX_PRESENT, CM_CHECK_ERROR, 0, "behind the end of the file"},
    {5, MIB | VHDX_PRESENT, CM_CHECK_ERROR, 0, "so is the log"},
    {5, 2 * MIB | VHDX_PRESENT, CM_CHECK_ERROR, 0, "so is the metadata"},
    {5, 3 * MIB | VHDX_PRESENT, CM_CHECK_ERROR, 0, "so is the block allocation table"},
    {5, BLOCKS_AT | VHDX_PRESENT, CM_CHECK_ERROR, 0, "block 5 is at 4194304, and so is another"},
    {5, BLOCKS_AT | VHDX_UNMAPPED, CM_CHECK_ERROR, 0, "and so is another block"},
    {5, FILE_SIZE | VHDX_UNMAPPED, CM_CHECK_WASTE, 1, "block 5 is unmapped and names a place"},
    {5, BLOCKS_AT | VHDX_NOT_PRESENT, CM_CHECK_WASTE, 1, "counts for nothing"},
    {5, FILE_SIZE | VHDX_ZERO, CM_CHECK_ERROR, 1, "for which Windows refuses"},
    {1023, FILE_SIZE | VHDX_ZERO, CM_CHECK_ERROR, 1, "block 1023 is zero"},
    {1024, BLOCKS_AT | VHDX_PRESENT, CM_CHECK_WASTE, 1, "block 1024 is not empty, and the disk"},
    {4096, BLOCKS_AT | VHDX_PRESENT, CM_CHECK_WASTE, 1, "sector bitmap 0 is not empty, and nobody"},
    {131071, 1, CM_CHECK_WASTE, 1, "is not empty, and the disk ends before it"},
    {5, BLOCKS_AT | VHDX_PARTLY_PRESENT, CM_CHECK_ERROR, 0, "there is no parent"},
};

static void try_damage(const struct damage *damage)
{
    struct memory_store m = {0};
    struct said said;
    uint64_t writes;

    make(&m, NULL);
    set_entry(&m, damage->index, damage->value);
    writes = m.writes;
    CHECK_EQ(look(&m, 0, &said), 0);
    if (!CHECK(said.count[damage->severity] != 0) ||
        !CHECK(strstr(said.text, damage->text) != NULL))
        printf("  expected \"%s\": %s", damage->text, said.text);
    CHECK_EQ(said.repaired, 0);
    CHECK_EQ(m.writes, writes);

    CHECK_EQ(look(&m, CM_CHECK_REPAIR, &said), 0);
    CHECK_EQ(said.result.repaired != 0, damage->is_repaired);
    if (damage->is_repaired)
        is_sound(&m);
    else
        CHECK_EQ(get_entry(&m, damage->index), damage->value);
    memory_store_free(&m);
}

static void damages_of_the_bat_are_found(void)
{
    for (size_t i = 0; i < sizeof(damages) / sizeof(damages[0]); i++)
        try_damage(&damages[i]);
}

static void blocks_that_keep_their_place_are_no_waste(void)
{
    struct memory_store m = {0};

    make(&m, NULL);
    set_entry(&m, 1, get_entry(&m, 1) ^ VHDX_PRESENT ^ VHDX_UNMAPPED);
    set_entry(&m, 2, get_entry(&m, 2) ^ VHDX_PRESENT ^ VHDX_UNDEFINED);
    set_entry(&m, 9, VHDX_UNMAPPED_095);
    set_entry(&m, 10, VHDX_ZERO);
    is_sound(&m);
    memory_store_free(&m);
}

static void a_block_that_is_cut_off_is_told(void)
{
    struct memory_store m = {0};
    struct said said;

    make(&m, NULL);
    m.size = FILE_SIZE - 1000;
    CHECK_EQ(look(&m, 0, &said), 0);
    CHECK_EQ(said.result.errors, 1);
    CHECK(strstr(said.text, "the last 1000 bytes of block 3") != NULL);
    memory_store_free(&m);
}

static void very_many_findings_are_cut_short(void)
{
    struct memory_store m = {0};
    struct said said;

    make(&m, NULL);
    for (unsigned i = 4; i < 1024; i++)
        set_entry(&m, i, VHDX_PRESENT);
    CHECK_EQ(look(&m, 0, &said), 0);
    CHECK_EQ(said.result.errors, 1020);
    CHECK(said.count[CM_CHECK_ERROR] < 300);
    CHECK(said.count[CM_CHECK_NOTE] == 1);
    memory_store_free(&m);
}

/* An error behind hundreds of wastes is told, and counts as left. */
static void wastes_do_not_hide_an_error(void)
{
    struct memory_store m = {0};
    struct said said;

    make(&m, NULL);
    for (unsigned i = 1100; i < 1400; i++) /* behind the end of the disk */
        set_entry(&m, i, VHDX_PRESENT);
    CHECK_EQ(look(&m, 0, &said), 0);
    CHECK_EQ(said.result.wastes, 300);
    CHECK_EQ(said.result.errors_left, 0);
    set_entry(&m, 1000, UINT64_C(1) << 40 | VHDX_PRESENT); /* behind the end of the file */
    CHECK_EQ(look(&m, 0, &said), 0);
    CHECK_EQ(said.result.errors, 1);
    CHECK_EQ(said.result.errors_left, 1);
    CHECK_EQ(said.count[CM_CHECK_ERROR], 1);
    memory_store_free(&m);
}

/* -- room -------------------------------------------------------------------------------------- */

static void room_that_nobody_has_is_told_and_the_end_cut(void)
{
    struct memory_store m = {0};
    struct said said;

    make(&m, NULL);
    set_entry(&m, 1, 0);
    m.size = FILE_SIZE + 3 * MIB + 512;
    CHECK_EQ(look(&m, 0, &said), 0);
    CHECK_EQ(said.result.wastes, 2);
    CHECK(strstr(said.text, "1 MiB within the file") != NULL);
    CHECK(strstr(said.text, "the last 3146240 bytes") != NULL);
    CHECK_EQ(look(&m, CM_CHECK_REPAIR, &said), 0);
    CHECK_EQ(said.result.repaired, 1);
    CHECK_EQ(m.size, FILE_SIZE);
    memory_store_free(&m);
}

/* What an entry that is wrong may have meant is not cut off. */
static void the_end_stays_when_something_is_damaged(void)
{
    struct memory_store m = {0};
    struct said said;

    make(&m, NULL);
    set_entry(&m, 3, VHDX_PRESENT);
    CHECK_EQ(look(&m, CM_CHECK_REPAIR, &said), 0);
    CHECK_EQ(said.result.errors, 1);
    CHECK_EQ(m.size, FILE_SIZE);
    memory_store_free(&m);
}

static void the_room_of_a_fixed_image_is_kept(void)
{
    struct memory_store m = {0};
    struct cm_image_options options = {
        .size = 8 * MIB, .block_size = BLOCK, .flags = CM_OPEN_FIXED};
    struct said said;
    uint64_t size;

    format(&m, &options);
    size = m.size;
    set_entry(&m, 7, VHDX_ZERO);
    CHECK_EQ(look(&m, CM_CHECK_REPAIR, &said), 0);
    CHECK_EQ(said.result.wastes + said.result.errors, 0);
    CHECK_EQ(said.count[CM_CHECK_NOTE], 1);
    CHECK_EQ(m.size, size);
    memory_store_free(&m);
}

static void a_file_of_any_length_is_checked_in_bounded_memory(void)
{
    struct memory_store m = {0};
    struct said said;

    make(&m, NULL);
    m.size = UINT64_C(1) << 62;
    CHECK_EQ(look(&m, 0, &said), 0);
    CHECK_EQ(said.result.errors, 1);
    CHECK(strstr(said.text, "longer than that of any VHDX") != NULL);
    memory_store_free(&m);
}

/* -- headers, regions, metadata ---------------------------------------------------------------- */

static void a_damaged_copy_is_written_again(void)
{
    static const uint64_t places[] = {VHDX_HEADER_AT(0) + 200, VHDX_HEADER_AT(1) + 200,
                                      VHDX_REGIONS_AT(0) + 200, VHDX_REGIONS_AT(1) + 200};

    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        struct memory_store m = {0};
        struct said said;

        make(&m, NULL);
        memory_store_poke(&m, "x", 1, places[i]);
        CHECK_EQ(look(&m, 0, &said), 0);
        CHECK_EQ(said.result.wastes, 1);
        CHECK_EQ(said.result.errors, 0);
        CHECK_EQ(look(&m, CM_CHECK_REPAIR, &said), 0);
        CHECK_EQ(said.result.repaired, 1);
        is_sound(&m);
        memory_store_free(&m);
    }
}

static void what_is_lost_is_told_and_left_alone(void)
{
    static const struct {
        uint64_t at[2];
        const char *text;
    } rows[] = {
        {{VHDX_HEADER_AT(0), VHDX_HEADER_AT(1)}, "neither of its two headers"},
        {{VHDX_REGIONS_AT(0), VHDX_REGIONS_AT(1)}, "neither of its two region tables"},
        {{2 * MIB, 2 * MIB}, "where its metadata should be"},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct memory_store m = {0};
        struct said said;
        uint64_t writes;

        make(&m, NULL);
        memory_store_poke(&m, "x", 1, rows[i].at[0]);
        memory_store_poke(&m, "x", 1, rows[i].at[1]);
        writes = m.writes;
        CHECK_EQ(look(&m, CM_CHECK_REPAIR, &said), 0);
        CHECK_EQ(said.result.errors, 1);
        CHECK(strstr(said.text, rows[i].text) != NULL);
        CHECK_EQ(m.writes, writes);
        memory_store_free(&m);
    }
}

static void a_table_that_is_too_short_is_told(void)
{
    struct memory_store m = {0};
    struct said said;

    make(&m, NULL);
    poke64(&m, 2 * MIB + VHDX_METADATA_TABLE_SIZE + 64, UINT64_C(1) << 40); /* the disk's size */
    CHECK_EQ(look(&m, 0, &said), 0);
    CHECK_EQ(said.result.errors, 1);
    CHECK(strstr(said.text, "has room for 131072 blocks") != NULL);
    memory_store_free(&m);
}

static void what_is_no_vhdx_is_no_finding(void)
{
    struct memory_store m = {0};
    struct said said;

    m.size = MIB;
    CHECK_EQ(look(&m, 0, &said), CM_EFORMAT);
    CHECK_EQ(said.result.errors, 0);
    memory_store_free(&m);
}

/* -- the log ----------------------------------------------------------------------------------- */

static void a_log_is_replayed_in_memory_or_for_good(void)
{
    unsigned char page[VHDX_SECTOR];
    struct vhdx_change change = {BAT_AT, 0, page};
    struct vhdx_test_entry entry = {1, 0, 0, FILE_SIZE, FILE_SIZE + MIB, &change, 1, 0};
    struct memory_store m = {0};
    struct vhdx_guid log;
    struct said said;
    uint64_t writes;

    make(&m, NULL);
    memory_store_peek(&m, page, sizeof(page), BAT_AT);
    cm_put_le64(page + 8 * 4, FILE_SIZE | VHDX_PRESENT);
    log = vhdx_test_log(&m);
    vhdx_test_write(&m, &log, &entry);
    writes = m.writes;
    CHECK_EQ(look(&m, 0, &said), 0);
    CHECK_EQ(said.result.errors + said.result.wastes, 0);
    CHECK_EQ(said.count[CM_CHECK_NOTE], 1);
    CHECK_EQ(said.result.blocks_here, 5);
    CHECK_EQ(m.writes, writes);
    CHECK_EQ(get_entry(&m, 4), 0);
    CHECK_EQ(look(&m, CM_CHECK_REPAIR, &said), 0);
    CHECK(strstr(said.text, "1 entries of its log were replayed") != NULL);
    CHECK_EQ(get_entry(&m, 4), FILE_SIZE | VHDX_PRESENT);
    is_sound(&m);
    memory_store_free(&m);
}

static void a_damaged_log_is_told(void)
{
    unsigned char page[VHDX_SECTOR] = {0};
    struct vhdx_change change = {0, 0, page};
    struct vhdx_test_entry entry = {1, 0, 0, FILE_SIZE, FILE_SIZE, &change, 1, 0};
    struct memory_store m = {0};
    struct vhdx_guid log;
    struct said said;

    make(&m, NULL);
    log = vhdx_test_log(&m);
    vhdx_test_write(&m, &log, &entry);
    CHECK_EQ(look(&m, CM_CHECK_REPAIR, &said), 0);
    CHECK_EQ(said.result.errors, 1);
    CHECK(strstr(said.text, "its log would write") != NULL);
    memory_store_free(&m);
}

/* -- parents ----------------------------------------------------------------------------------- */

static void put_locator(struct memory_store *m, const struct vhdx_guid *linkage, char *path)
{
    struct vhdx_locator locator = {.linkage = *linkage, .relative_path = path};
    struct cm_store *store = memory_store_new(m);
    struct vhdx_header header;
    struct vhdx_regions regions;
    struct vhdx_metadata metadata;
    unsigned char bytes[1000];
    uint32_t size;

    CHECK_EQ(vhdx_header_read(store, &header), 0);
    CHECK_EQ(vhdx_regions_read(store, &header, &regions), 0);
    CHECK_EQ(vhdx_metadata_read(store, &regions.metadata, &metadata), 0);
    CHECK_EQ(vhdx_locator_make(&locator, bytes, sizeof(bytes), &size), 0);
    CHECK_EQ(vhdx_metadata_set_locator(store, &regions.metadata, &metadata, bytes, size), 0);
    cm_store_close(store);
}

#define PARENT "check-base.vhdx"

/* A file in the test's folder, and its identity. */
static void make_parent(struct vhdx_guid *linkage)
{
    struct cm_image_options options = {
        .struct_size = sizeof(options), .flags = CM_OPEN_CREATE, .size = DISK};
    struct vhdx_header header;
    struct cm_store *store;

    remove(PARENT);
    if (!CHECK_EQ(cm_store_open(PARENT, &options, &store), 0))
        return;
    CHECK_EQ(cm_vhdx_format(store, &options), 0);
    CHECK_EQ(vhdx_header_read(store, &header), 0);
    *linkage = header.data_write;
    cm_store_close(store);
}

static void a_parent_is_looked_for_and_checked(void)
{
    static char path[] = ".\\" PARENT;
    struct memory_store m = {.path = "child.vhdx"};
    struct vhdx_guid linkage = {{7}}, other = {{8}};
    struct said said;
    FILE *file;

    remove(PARENT);
    make(&m, "p");
    put_locator(&m, &linkage, path);
    CHECK_EQ(look(&m, 0, &said), 0);
    CHECK_EQ(said.result.errors, 1);
    CHECK(strstr(said.text, "the parent of child.vhdx is missing") != NULL);

    make_parent(&linkage);
    put_locator(&m, &linkage, path);
    is_sound(&m);
    CHECK_EQ(look(&m, CM_CHECK_REPAIR, &said), 0);
    CHECK_EQ(said.result.blocks_here, 3); /* of the child */
    put_locator(&m, &other, path);
    CHECK_EQ(look(&m, 0, &said), 0);
    CHECK_EQ(said.result.errors, 1);
    CHECK(strstr(said.text, "was changed after child.vhdx was made") != NULL);

    put_locator(&m, &linkage, path);
    file = fopen(PARENT, "r+b");
    if (CHECK(file != NULL)) {
        fseek(file, (long)(2 * MIB), SEEK_SET);
        fputc('x', file);
        fclose(file);
    }
    CHECK_EQ(look(&m, 0, &said), 0);
    CHECK_EQ(said.result.errors, 1);
    CHECK(strstr(said.text, "parent ") != NULL && strstr(said.text, "metadata should be") != NULL);
    file = fopen(PARENT, "wb");
    if (file != NULL)
        fclose(file);
    CHECK_EQ(look(&m, 0, &said), 0);
    CHECK(strstr(said.text, "is no VHDX image") != NULL);
    remove(PARENT);
    memory_store_free(&m);
}

/* An image whose parent is itself. */
static void a_circle_of_parents_is_told(void)
{
    static char path[] = ".\\check-circle.vhdx";
    struct memory_store m = {.path = "check-circle.vhdx"};
    struct cm_image_options options = {
        .struct_size = sizeof(options), .flags = CM_OPEN_CREATE, .size = DISK};
    struct vhdx_guid linkage;
    struct vhdx_header header;
    struct cm_store *store;
    struct said said;
    unsigned char *bytes = malloc(FILE_SIZE);

    make(&m, "p");
    store = memory_store_new(&m);
    CHECK_EQ(vhdx_header_read(store, &header), 0);
    cm_store_close(store);
    linkage = header.data_write;
    put_locator(&m, &linkage, path);
    remove("check-circle.vhdx");
    if (CHECK_EQ(cm_store_open("check-circle.vhdx", &options, &store), 0)) {
        memory_store_peek(&m, bytes, FILE_SIZE, 0);
        CHECK_EQ(cm_store_resize(store, FILE_SIZE), 0);
        CHECK_EQ(cm_store_write(store, bytes, FILE_SIZE, 0), 0);
        cm_store_close(store);
    }
    CHECK_EQ(look(&m, 0, &said), 0);
    CHECK_EQ(said.result.errors, 1);
    CHECK(strstr(said.text, "in a circle") != NULL);
    remove("check-circle.vhdx");
    free(bytes);
    memory_store_free(&m);
}

static void sector_bitmaps_are_where_they_are_needed(void)
{
    static char path[] = ".\\" PARENT;
    struct memory_store m = {.path = "child.vhdx"};
    struct vhdx_guid linkage = {{7}};
    struct said said;

    make_parent(&linkage);
    make(&m, "p");
    put_locator(&m, &linkage, path);
    set_entry(&m, 2, get_entry(&m, 2) | VHDX_PARTLY_PRESENT);
    is_sound(&m);

    memory_store_poke(&m, "\1", 1, BLOCKS_AT + 3 * MIB + DISK / 512 / 8); /* behind the disk */
    CHECK_EQ(look(&m, 0, &said), 0);
    CHECK_EQ(said.count[CM_CHECK_NOTE], 1);
    memory_store_poke(&m, "\200", 1, BLOCKS_AT + 3 * MIB + DISK / 512 / 8 - 1);
    memory_store_poke(&m, "\0", 1, BLOCKS_AT + 3 * MIB + DISK / 512 / 8);
    is_sound(&m);

    set_entry(&m, 4096, (BLOCKS_AT + 3 * MIB) | VHDX_PARTLY_PRESENT);
    CHECK_EQ(look(&m, 0, &said), 0);
    CHECK(strstr(said.text, "sector bitmap 0 is in a state") != NULL);
    set_entry(&m, 4096, BLOCKS_AT | VHDX_PRESENT);
    CHECK_EQ(look(&m, 0, &said), 0);
    CHECK(strstr(said.text, "sector bitmap 0 is at") != NULL);
    set_entry(&m, 4096, 0);
    CHECK_EQ(look(&m, 0, &said), 0);
    CHECK_EQ(said.result.errors, 1);
    CHECK(strstr(said.text, "sector bitmap 0 is missing: of 1 blocks from 2 on") != NULL);
    remove(PARENT);
    memory_store_free(&m);
}

/* Three chunks of 4096 blocks; the entry of the second bitmap is in another part of the table than its blocks. */
static void each_chunk_needs_its_own_bitmap(void)
{
    static char path[] = ".\\" PARENT;
    struct memory_store m = {.path = "child.vhdx"};
    struct cm_image_options options = {
        .struct_size = sizeof(options), .size = 12 * DISK, .block_size = BLOCK, .parent = "p"};
    struct vhdx_guid linkage = {{7}};
    struct said said;

    make_parent(&linkage);
    format(&m, &options);
    put_locator(&m, &linkage, path);
    m.size = BLOCKS_AT + 3 * MIB;
    set_entry(&m, 2, BLOCKS_AT | VHDX_PARTLY_PRESENT);
    set_entry(&m, 4096, (BLOCKS_AT + MIB) | VHDX_PRESENT);
    set_entry(&m, 5000, (BLOCKS_AT + 2 * MIB) | VHDX_PRESENT);
    is_sound(&m);
    set_entry(&m, 5000, (BLOCKS_AT + 2 * MIB) | VHDX_PARTLY_PRESENT);
    CHECK_EQ(look(&m, 0, &said), 0);
    CHECK_EQ(said.result.errors, 1);
    CHECK(strstr(said.text, "sector bitmap 1 is missing: of 1 blocks from 4999 on") != NULL);
    remove(PARENT);
    memory_store_free(&m);
}

/* -- the call ---------------------------------------------------------------------------------- */

static int give_up(void *context, uint64_t done, uint64_t all)
{
    CHECK(done <= all);
    return ++*(int *)context == 2;
}

static void it_can_be_given_up(void)
{
    struct memory_store m = {0};
    int calls = 0;
    struct cm_check_options options = {
        .struct_size = sizeof(options), .progress = give_up, .progress_context = &calls};
    struct cm_check_result result;
    struct cm_store *store;

    make(&m, NULL);
    store = memory_store_new(&m);
    CHECK_EQ(cm_vhdx_check(store, &options, &result), CM_ECANCELED);
    CHECK_EQ(calls, 2);
    cm_store_close(store);
    memory_store_free(&m);
}

/* Whatever is in the places without a checksum, a check ends and the repaired image has no more errors than before. */
static void random_damage_is_survived(void)
{
    uint64_t random = check_seed();

    for (int round = 0; round < 300; round++) {
        struct memory_store m = {0};
        struct said said;
        uint64_t errors;

        make(&m, round % 2 != 0 ? "p" : NULL);
        for (int i = 0; i < 4; i++) {
            uint64_t at = i % 2 != 0 ? BAT_AT + check_random(&random) % 70000
                                     : 2 * MIB + check_random(&random) % 400;
            unsigned char byte = (unsigned char)check_random(&random);

            memory_store_poke(&m, &byte, 1, at);
        }
        if (look(&m, 0, &said) == 0) {
            errors = said.result.errors;
            CHECK_EQ(look(&m, CM_CHECK_REPAIR, &said), 0);
            CHECK_EQ(look(&m, 0, &said), 0);
            CHECK(said.result.errors <= errors);
        }
        memory_store_free(&m);
    }
}

static const struct check_test tests[] = {
    CHECK_TEST(what_is_made_is_sound),
    CHECK_TEST(blocks_are_counted),
    CHECK_TEST(repairing_a_sound_image_changes_nothing),
    CHECK_TEST(damages_of_the_bat_are_found),
    CHECK_TEST(blocks_that_keep_their_place_are_no_waste),
    CHECK_TEST(a_block_that_is_cut_off_is_told),
    CHECK_TEST(very_many_findings_are_cut_short),
    CHECK_TEST(wastes_do_not_hide_an_error),
    CHECK_TEST(room_that_nobody_has_is_told_and_the_end_cut),
    CHECK_TEST(the_end_stays_when_something_is_damaged),
    CHECK_TEST(the_room_of_a_fixed_image_is_kept),
    CHECK_TEST(a_file_of_any_length_is_checked_in_bounded_memory),
    CHECK_TEST(a_damaged_copy_is_written_again),
    CHECK_TEST(what_is_lost_is_told_and_left_alone),
    CHECK_TEST(a_table_that_is_too_short_is_told),
    CHECK_TEST(what_is_no_vhdx_is_no_finding),
    CHECK_TEST(a_log_is_replayed_in_memory_or_for_good),
    CHECK_TEST(a_damaged_log_is_told),
    CHECK_TEST(a_parent_is_looked_for_and_checked),
    CHECK_TEST(a_circle_of_parents_is_told),
    CHECK_TEST(sector_bitmaps_are_where_they_are_needed),
    CHECK_TEST(each_chunk_needs_its_own_bitmap),
    CHECK_TEST(it_can_be_given_up),
    CHECK_TEST(random_damage_is_survived),
};

int main(int argc, char **argv)
{
    return check_main(argc, argv, tests, sizeof(tests) / sizeof(tests[0]));
}
