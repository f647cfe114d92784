/* SPDX-License-Identifier: MIT */
/* test_vhdx.c - images/vhdx/: what is written is there, again after a reopen; how many writes and flushes that takes. */
#include <stdlib.h>
#include <string.h>

#include "images/vhdx/parts.h"
#include "images/vhdx/vhdx.h"
#include "tests/unit/check.h"
#include "tests/unit/memory_store.h"

#include <coremnt/image.h>

#define MIB (1u << 20)

static struct cm_image *open_with(struct memory_store *memory,
                                  const struct cm_image_options *options)
{
    struct cm_store *store = memory_store_new(memory);
    struct cm_image *image = NULL;

    CHECK_EQ(cm_vhdx_open_store(store, options, &image), 0);
    if (image == NULL) {
        fprintf(stderr, "%s\n", cm_last_error());
        exit(1);
    }
    return image;
}

static struct cm_image *make(struct memory_store *memory, uint64_t size, uint32_t block_size)
{
    struct cm_image_options options = {.struct_size = sizeof(options),
                                       .flags = CM_OPEN_CREATE,
                                       .size = size,
                                       .block_size = block_size};

    memset(memory, 0, sizeof(*memory));
    return open_with(memory, &options);
}

static struct cm_image *reopen(struct memory_store *memory, struct cm_image *image, uint32_t flags)
{
    struct cm_image_options options = {.struct_size = sizeof(options), .flags = flags};

    CHECK_EQ(cm_image_close(image), 0);
    memory->read_only = (flags & CM_OPEN_READ_ONLY) != 0;
    image = open_with(memory, &options);
    memory->read_only = 0;
    return image;
}

static void fill(unsigned char *buffer, uint32_t length, unsigned char value)
{
    memset(buffer, value, length);
}

static int is_all(struct cm_image *image, uint64_t offset, uint32_t length, unsigned char value)
{
    unsigned char *buffer = malloc(length);
    int same = cm_image_read(image, buffer, length, offset) == 0;

    for (uint32_t i = 0; same && i < length; i++)
        same = buffer[i] == value;
    free(buffer);
    return same;
}

static void put(struct cm_image *image, uint64_t offset, uint32_t length, unsigned char value,
                uint32_t flags)
{
    unsigned char *buffer = malloc(length);

    fill(buffer, length, value);
    CHECK_EQ(cm_image_write(image, buffer, length, offset, flags), 0);
    free(buffer);
}

/* -- what is there ----------------------------------------------------------------------------- */

static void what_is_written_is_there_after_a_reopen(void)
{
    struct memory_store memory;
    struct cm_image *image = make(&memory, 64 * MIB, MIB);

    CHECK(is_all(image, 0, MIB, 0));
    put(image, 3 * MIB - 4096, 8192, 7, 0);
    CHECK(is_all(image, 3 * MIB - 4096, 8192, 7));
    CHECK(is_all(image, 3 * MIB + 4096, 4096, 0));
    image = reopen(&memory, image, 0);
    CHECK(is_all(image, 3 * MIB - 4096, 8192, 7));
    image = reopen(&memory, image, CM_OPEN_READ_ONLY);
    CHECK(is_all(image, 3 * MIB - 4096, 8192, 7));
    CHECK_EQ(cm_image_close(image), 0);
    memory_store_free(&memory);
}

static void opening_alone_changes_nothing(void)
{
    struct memory_store memory;
    struct cm_image *image = reopen(&memory, make(&memory, 64 * MIB, MIB), 0);
    uint64_t writes = memory.writes;

    CHECK(is_all(image, 0, MIB, 0));
    put(image, 0, 4096, 0, 0);
    CHECK_EQ(cm_image_trim(image, 0, 4 * MIB), 0);
    CHECK_EQ(cm_image_close(image), 0);
    CHECK_EQ(memory.writes, writes);
    memory_store_free(&memory);
}

static void trimmed_blocks_are_zeros_and_their_room_is_used_again(void)
{
    struct memory_store memory;
    struct cm_image *image = make(&memory, 64 * MIB, MIB);
    uint64_t size;

    for (unsigned i = 0; i < 16; i++)
        put(image, i * (uint64_t)MIB, MIB, (unsigned char)(i + 1), 0);
    CHECK_EQ(cm_image_trim(image, 4 * MIB, 8 * MIB), 0);
    CHECK(is_all(image, 4 * MIB, 8 * MIB, 0));
    for (unsigned i = 0; i < 4; i++)
        CHECK_EQ(cm_image_flush(image), 0);
    size = memory.size;
    for (unsigned i = 0; i < 8; i++)
        put(image, (40 + i) * (uint64_t)MIB, 4096, 99, 0);
    CHECK_EQ(memory.size, size);
    CHECK(is_all(image, 40 * MIB, 4096, 99));
    CHECK(is_all(image, 40 * MIB + 4096, MIB - 4096, 0));
    image = reopen(&memory, image, 0);
    CHECK(is_all(image, 4 * MIB, 8 * MIB, 0));
    CHECK(is_all(image, 12 * MIB, MIB, 13));
    CHECK_EQ(cm_image_close(image), 0);
    memory_store_free(&memory);
}

/* Where zeros have to be written, a trim must not write as much as it trims. */
static void trims_write_few_zeros_where_there_are_no_holes(void)
{
    struct memory_store memory;
    struct cm_image *image = make(&memory, 1024u * MIB, MIB);
    uint64_t written;

    memory.cannot_punch = 1;
    for (unsigned i = 0; i < 512; i++)
        put(image, i * (uint64_t)MIB, MIB, 5, 0);
    CHECK_EQ(cm_image_flush(image), 0);
    written = memory.written;
    CHECK_EQ(cm_image_trim(image, 0, 500u * MIB), 0);
    for (unsigned i = 0; i < 8; i++)
        CHECK_EQ(cm_image_flush(image), 0);
    CHECK(memory.written - written < 80u * MIB);
    for (unsigned i = 0; i < 300; i++) {
        put(image, (700 + i) * (uint64_t)MIB, 512, 6, i % 8 == 0 ? CM_IMAGE_FUA : 0);
        CHECK(is_all(image, (700 + i) * (uint64_t)MIB + 512, MIB - 512, 0));
    }
    CHECK(is_all(image, 0, 8 * MIB, 0));
    CHECK(memory.size < 560u * MIB);
    CHECK_EQ(cm_image_close(image), 0);
    memory_store_free(&memory);
}

static void room_of_earlier_sessions_is_used_again(void)
{
    struct memory_store memory;
    struct cm_image *image = make(&memory, 64 * MIB, MIB);
    uint64_t size;

    for (unsigned i = 0; i < 16; i++)
        put(image, i * (uint64_t)MIB, MIB, 5, 0);
    CHECK_EQ(cm_image_trim(image, 0, 8 * MIB), 0);
    image = reopen(&memory, image, 0);
    size = memory.size;
    put(image, 15 * MIB, 4096, 6, CM_IMAGE_FUA);
    CHECK_EQ(cm_image_flush(image), 0);
    for (unsigned i = 0; i < 8; i++)
        put(image, (20 + i) * (uint64_t)MIB, 512, 7, 0);
    CHECK_EQ(memory.size, size);
    for (unsigned i = 0; i < 8; i++)
        CHECK(is_all(image, (20 + i) * (uint64_t)MIB + 512, MIB - 512, 0));
    CHECK_EQ(cm_image_close(image), 0);
    memory_store_free(&memory);
}

static void a_partial_trim_is_zeros(void)
{
    struct memory_store memory;
    struct cm_image *image = make(&memory, 64 * MIB, MIB);

    put(image, 0, 4 * MIB, 5, 0);
    CHECK_EQ(cm_image_trim(image, 4096, 2 * MIB), 0);
    CHECK(is_all(image, 0, 4096, 5));
    CHECK(is_all(image, 4096, 2 * MIB, 0));
    CHECK(is_all(image, 2 * MIB + 4096, MIB, 5));
    CHECK_EQ(cm_image_close(image), 0);
    memory_store_free(&memory);
}

/* -- what it takes ----------------------------------------------------------------------------- */

static void a_fua_write_into_a_new_block_takes_one_flush(void)
{
    struct memory_store memory;
    struct cm_image *image = make(&memory, 1024u * MIB, 8 * MIB);
    uint64_t writes, flushes;

    put(image, 0, 4096, 1, CM_IMAGE_FUA); /* the first one also begins the session */
    writes = memory.writes;
    flushes = memory.flushes;
    for (unsigned i = 1; i <= 64; i++)
        put(image, i * 16ull * MIB % (1024u * MIB) + 8u * MIB, 4096, 1, CM_IMAGE_FUA);
    CHECK_EQ(memory.flushes - flushes, 64);
    CHECK(memory.writes - writes <= 3 * 64);
    CHECK_EQ(cm_image_close(image), 0);
    memory_store_free(&memory);
}

static void an_overwrite_takes_one_write(void)
{
    struct memory_store memory;
    struct cm_image *image = make(&memory, 64 * MIB, MIB);
    uint64_t writes, flushes;

    put(image, 0, 4096, 1, CM_IMAGE_FUA);
    writes = memory.writes;
    flushes = memory.flushes;
    for (unsigned i = 0; i < 10; i++)
        put(image, i * 4096, 4096, 2, 0);
    CHECK_EQ(memory.writes - writes, 10);
    CHECK_EQ(memory.flushes - flushes, 0);
    CHECK_EQ(cm_image_close(image), 0);
    memory_store_free(&memory);
}

/* A sector that is marked as here need not be marked again. */
static void an_overwrite_in_a_child_takes_one_flush(void)
{
    struct cm_image_options options = {.struct_size = sizeof(options),
                                       .flags = CM_OPEN_CREATE,
                                       .size = 16 * MIB,
                                       .block_size = MIB};
    struct memory_store memory = {.path = "child.vhdx"};
    struct cm_image *image;
    uint64_t writes, flushes;

    (void)cm_os_file_remove("parent.vhdx"); /* of an earlier run */
    CHECK_EQ(cm_image_open("parent.vhdx", &options, &image), 0);
    CHECK_EQ(cm_image_close(image), 0);
    options.parent = "parent.vhdx";
    image = open_with(&memory, &options);
    put(image, 4096, 4096, 1, CM_IMAGE_FUA);
    writes = memory.writes;
    flushes = memory.flushes;
    for (unsigned i = 0; i < 10; i++)
        put(image, 4096, 4096, 2, CM_IMAGE_FUA);
    CHECK_EQ(memory.writes - writes, 10);
    CHECK_EQ(memory.flushes - flushes, 10);
    CHECK_EQ(cm_image_close(image), 0);
    memory_store_free(&memory);
}

/* 300 entries of two sectors or more go round a log of 256. */
static void the_log_goes_round(void)
{
    struct memory_store memory;
    struct cm_image *image = make(&memory, 1024u * MIB, MIB);

    for (unsigned i = 0; i < 300; i++)
        put(image, i * (uint64_t)MIB, 512, (unsigned char)(i | 1), i % 7 == 0 ? CM_IMAGE_FUA : 0);
    image = reopen(&memory, image, 0);
    for (unsigned i = 0; i < 300; i++)
        CHECK(is_all(image, i * (uint64_t)MIB, 512, (unsigned char)(i | 1)));
    CHECK_EQ(cm_image_close(image), 0);
    memory_store_free(&memory);
}

/* -- sizes ------------------------------------------------------------------------------------- */

static void it_grows_beyond_its_table(void)
{
    struct memory_store memory;
    struct cm_image *image = make(&memory, 64 * MIB, MIB);
    uint64_t large = UINT64_C(300) << 30; /* 307,200 blocks, more than a BAT of 1 MiB has */

    put(image, 63 * MIB, MIB, 9, 0);
    CHECK_EQ(cm_image_resize(image, large), 0);
    CHECK(is_all(image, 63 * MIB, MIB, 9));
    CHECK(is_all(image, 64 * MIB, MIB, 0));
    put(image, large - 4096, 4096, 8, 0);
    image = reopen(&memory, image, 0);
    CHECK(is_all(image, 63 * MIB, MIB, 9));
    CHECK(is_all(image, large - 4096, 4096, 8));
    CHECK_EQ(cm_image_close(image), 0);
    memory_store_free(&memory);
}

static void what_is_cut_off_is_zeros_when_it_grows_again(void)
{
    struct memory_store memory;
    struct cm_image *image = make(&memory, 64 * MIB, MIB);

    put(image, 0, 64 * MIB, 9, 0);
    CHECK_EQ(cm_image_resize(image, 10 * MIB + 4096), 0);
    CHECK_EQ(cm_image_resize(image, 64 * MIB), 0);
    CHECK(is_all(image, 0, 10 * MIB + 4096, 9));
    CHECK(is_all(image, 10 * MIB + 4096, 53 * MIB, 0));
    CHECK_EQ(cm_image_close(image), 0);
    memory_store_free(&memory);
}

static void a_fixed_image_grows_and_shrinks_with_its_file(void)
{
    struct memory_store memory = {0};
    struct cm_image_options options = {.struct_size = sizeof(options),
                                       .flags = CM_OPEN_CREATE | CM_OPEN_FIXED,
                                       .size = 8 * MIB,
                                       .block_size = MIB};
    struct cm_image *image = open_with(&memory, &options);
    uint64_t size = memory.size;

    put(image, 0, 8 * MIB, 9, 0);
    CHECK_EQ(cm_image_trim(image, 0, MIB), CM_ENOTSUP);
    CHECK_EQ(cm_image_resize(image, 12 * MIB), 0);
    CHECK_EQ(memory.size, size + 4 * MIB);
    put(image, 11 * MIB, MIB, 8, 0);
    CHECK_EQ(memory.size, size + 4 * MIB);
    CHECK_EQ(cm_image_resize(image, 6 * MIB), 0);
    image = reopen(&memory, image, 0);
    CHECK_EQ(memory.size, size - 2 * MIB);
    CHECK(is_all(image, 0, 6 * MIB, 9));
    CHECK_EQ(cm_image_resize(image, 8 * MIB), 0);
    CHECK(is_all(image, 6 * MIB, 2 * MIB, 0));
    CHECK_EQ(cm_image_close(image), 0);
    memory_store_free(&memory);
}

/* -- storage that fails ------------------------------------------------------------------------ */

static void a_full_storage_leaves_a_valid_image(void)
{
    struct memory_store memory;
    struct cm_image *image = make(&memory, 64 * MIB, MIB);
    unsigned char *nines = malloc(MIB);
    unsigned full = 1;
    int error = 0;

    fill(nines, MIB, 9);
    put(image, 0, MIB, 9, CM_IMAGE_FUA);
    memory.size_max = memory.size + 2 * MIB;
    while (full < 64 && (error = cm_image_write(image, nines, MIB, full * (uint64_t)MIB, 0)) == 0)
        full++;
    CHECK_EQ(error, CM_ENOSPC);
    CHECK(full > 2 && full < 64);
    CHECK_EQ(cm_image_write(image, nines, MIB, 0, CM_IMAGE_FUA), 0);
    CHECK_EQ(cm_image_flush(image), 0);
    image = reopen(&memory, image, 0);
    CHECK(is_all(image, 0, full * MIB, 9));
    CHECK(is_all(image, full * (uint64_t)MIB, MIB, 0));
    CHECK_EQ(cm_image_trim(image, 0, 2 * MIB), 0);
    for (unsigned i = 0; i < 3; i++)
        CHECK_EQ(cm_image_flush(image), 0);
    put(image, full * (uint64_t)MIB, MIB, 9, 0);
    CHECK_EQ(cm_image_close(image), 0);
    free(nines);
    memory_store_free(&memory);
}

/* The host's disk is full, not the file too long: what has its room goes on. */
static void a_full_storage_takes_overwrites_flushes_and_trims(void)
{
    struct memory_store memory;
    struct cm_image *image = make(&memory, 64 * MIB, MIB);
    unsigned char *nines = malloc(MIB);
    unsigned full = 1;
    int error = 0;

    fill(nines, MIB, 9);
    put(image, 0, MIB, 9, CM_IMAGE_FUA);
    memory.pages_max = memory.pages_taken + 4 * MIB / MEMORY_STORE_PAGE;
    while (full < 64 && (error = cm_image_write(image, nines, MIB, full * (uint64_t)MIB, 0)) == 0)
        full++;
    CHECK_EQ(error, CM_ENOSPC);
    CHECK_EQ(cm_image_flush(image), 0);
    CHECK_EQ(cm_image_write(image, nines, MIB, 0, CM_IMAGE_FUA), 0);
    CHECK_EQ(cm_image_trim(image, 0, MIB), 0);
    CHECK_EQ(cm_image_flush(image), 0);
    image = reopen(&memory, image, 0);
    CHECK(is_all(image, 0, MIB, 0));
    CHECK(is_all(image, MIB, (full - 1) * MIB, 9));
    CHECK_EQ(cm_image_close(image), 0);
    free(nines);
    memory_store_free(&memory);
}

/* What lay behind the cut would come into the places of blocks that it has lost. */
static void a_file_that_was_cut_off_is_only_read(void)
{
    struct memory_store memory;
    struct cm_image *image = make(&memory, 64 * MIB, MIB);
    unsigned char sector[512] = {1};
    unsigned char *back = malloc(MIB);

    for (unsigned i = 0; i < 8; i++)
        put(image, i * (uint64_t)MIB, MIB, 9, 0);
    CHECK_EQ(cm_image_close(image), 0);
    memory_store_set_size(&memory, memory.size - 3 * MIB);
    image = open_with(&memory,
                      &(struct cm_image_options){.struct_size = sizeof(struct cm_image_options)});
    CHECK(is_all(image, 0, MIB, 9));
    CHECK_EQ(cm_image_write(image, sector, sizeof(sector), 20 * MIB, 0), CM_EDAMAGED);
    CHECK_EQ(cm_image_write(image, sector, sizeof(sector), 0, 0), CM_EDAMAGED);
    CHECK_EQ(cm_image_read(image, back, MIB, 7 * MIB), CM_EDAMAGED);
    CHECK_EQ(cm_image_close(image), 0);
    free(back);
    memory_store_free(&memory);
}

/* -- resizes that fail ------------------------------------------------------------------------- */

/* Each change of the file in turn: then the size is the old one, and so is the content. */
static void try_resize(uint64_t size, uint64_t changes_before_failing, int *failed)
{
    struct memory_store memory;
    struct cm_image *image = make(&memory, 64 * MIB, MIB);
    struct cm_image_info info;
    int error;

    put(image, 0, MIB, 7, 0);
    put(image, 40 * MIB, MIB, 7, CM_IMAGE_FUA);
    memory.fail_after = changes_before_failing;
    memory.fail = CM_EIO;
    error = cm_image_resize(image, size);
    memory.fail = 0;
    *failed = error != 0;
    CHECK_EQ(cm_image_get_info(image, &info), 0);
    CHECK_EQ(info.size, error == 0 ? size : 64 * MIB);
    if (error != 0)
        CHECK(is_all(image, 40 * MIB, MIB, 7));
    (void)cm_image_close(image); /* a flush that failed once fails */
    image = open_with(&memory,
                      &(struct cm_image_options){.struct_size = sizeof(struct cm_image_options)});
    CHECK(is_all(image, 0, MIB, 7));
    CHECK_EQ(cm_image_close(image), 0);
    memory_store_free(&memory);
}

static void a_resize_that_fails_changes_nothing(void)
{
    static const uint64_t sizes[] = {UINT64_C(200) << 30, 100 * MIB, 32 * MIB};

    for (unsigned i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        int failed = 1;
        unsigned n;

        for (n = 0; failed && n < 100; n++)
            try_resize(sizes[i], n, &failed);
        CHECK(n > 1 && n < 100);
    }
}

/* Entries behind the end of the disk: another program may leave anything there. */
static void a_larger_disk_does_not_believe_old_entries(void)
{
    struct memory_store memory;
    struct cm_image *image = make(&memory, 8 * MIB, MIB);
    unsigned char entry[8];
    struct vhdx_header header;
    struct vhdx_regions regions;
    struct cm_store *store;

    put(image, 2 * MIB, MIB, 12, 0);
    CHECK_EQ(cm_image_close(image), 0);
    store = memory_store_new(&memory);
    CHECK_EQ(vhdx_header_read(store, &header), 0);
    CHECK_EQ(vhdx_regions_read(store, &header, &regions), 0);
    cm_store_close(store);
    memory_store_peek(&memory, entry, 8, regions.bat.at + 2 * 8);
    memory_store_poke(&memory, entry, 8, regions.bat.at + 8 * 8); /* block 8 is where block 2 is */
    image = open_with(&memory,
                      &(struct cm_image_options){.struct_size = sizeof(struct cm_image_options)});
    CHECK_EQ(cm_image_resize(image, 16 * MIB), 0);
    CHECK(is_all(image, 8 * MIB, MIB, 0));
    put(image, 8 * MIB, MIB, 77, 0);
    CHECK(is_all(image, 2 * MIB, MIB, 12));
    CHECK_EQ(cm_image_close(image), 0);
    memory_store_free(&memory);
}

/* -- at random --------------------------------------------------------------------------------- */

#define DISK (32u * MIB)
#define UNIT 512u

static void check_all(struct cm_image *image, const unsigned char *model)
{
    static unsigned char buffer[MIB];

    for (uint32_t at = 0; at < DISK; at += MIB) {
        CHECK_EQ(cm_image_read(image, buffer, MIB, at), 0);
        CHECK(memcmp(buffer, model + at, MIB) == 0);
    }
}

static void one_step(struct cm_image *image, unsigned char *model, uint64_t *random)
{
    static unsigned char buffer[3 * MIB];
    uint32_t length = (uint32_t)(check_random(random) % (2 * MIB) / UNIT + 1) * UNIT;
    uint32_t offset = (uint32_t)(check_random(random) % (DISK - length) / UNIT) * UNIT;
    unsigned what = (unsigned)(check_random(random) % 16);

    if (what < 4)
        length = what * 4096 + UNIT;
    if (what < 10) {
        memset(buffer, what == 5 ? 0 : (int)check_random(random), length);
        CHECK_EQ(cm_image_write(image, buffer, length, offset, what == 4 ? CM_IMAGE_FUA : 0), 0);
        memcpy(model + offset, buffer, length);
    } else if (what < 13) {
        CHECK_EQ(cm_image_trim(image, offset, length), 0);
        memset(model + offset, 0, length);
    } else if (what == 13) {
        CHECK_EQ(cm_image_flush(image), 0);
    } else {
        CHECK_EQ(cm_image_read(image, buffer, length, offset), 0);
        CHECK(memcmp(buffer, model + offset, length) == 0);
    }
}

static void random_programs_agree_with_a_model(void)
{
    uint64_t random = check_seed();
    unsigned char *model = calloc(1, DISK);
    struct memory_store memory;
    struct cm_image *image = make(&memory, DISK, MIB);

    for (unsigned round = 0; round < 6; round++) {
        for (unsigned i = 0; i < 60; i++)
            one_step(image, model, &random);
        image = reopen(&memory, image, 0);
        check_all(image, model);
    }
    CHECK_EQ(cm_image_close(image), 0);
    memory_store_free(&memory);
    free(model);
}

/* Each thread has sectors of its own, in blocks that all share. */
struct writer {
    struct cm_image *image;
    unsigned number;
    uint64_t random;
};

#define WRITERS 8u

static void write_own(void *argument)
{
    struct writer *writer = argument;
    unsigned char sector[UNIT];

    memset(sector, (int)writer->number + 1, sizeof(sector));
    for (unsigned i = 0; i < DISK / MIB * 8; i++) {
        uint64_t offset = i * (MIB / 8) + writer->number * UNIT;
        unsigned what = (unsigned)(check_random(&writer->random) % 8);

        CHECK_EQ(cm_image_write(writer->image, sector, UNIT, offset, what == 0 ? CM_IMAGE_FUA : 0),
                 0);
        if (what == 1)
            CHECK_EQ(cm_image_trim(writer->image, offset, UNIT), 0);
        if (what == 1)
            CHECK_EQ(cm_image_write(writer->image, sector, UNIT, offset, 0), 0);
    }
}

static void many_writers_share_blocks(void)
{
    struct writer writers[WRITERS];
    struct cm_os_thread *threads[WRITERS];
    struct memory_store memory;
    struct cm_image *image = make(&memory, DISK, MIB);
    uint64_t random = check_seed();

    for (unsigned i = 0; i < WRITERS; i++) {
        writers[i] = (struct writer){image, i, random + i};
        CHECK_EQ(cm_os_thread_start(write_own, &writers[i], &threads[i]), 0);
    }
    for (unsigned i = 0; i < WRITERS; i++)
        cm_os_thread_join(threads[i]);
    image = reopen(&memory, image, 0);
    for (uint32_t i = 0; i < DISK / MIB * 8; i++)
        for (unsigned w = 0; w < WRITERS; w++)
            CHECK(is_all(image, i * (MIB / 8) + w * UNIT, UNIT, (unsigned char)(w + 1)));
    CHECK_EQ(cm_image_close(image), 0);
    memory_store_free(&memory);
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        CHECK_TEST(what_is_written_is_there_after_a_reopen),
        CHECK_TEST(opening_alone_changes_nothing),
        CHECK_TEST(trimmed_blocks_are_zeros_and_their_room_is_used_again),
        CHECK_TEST(trims_write_few_zeros_where_there_are_no_holes),
        CHECK_TEST(room_of_earlier_sessions_is_used_again),
        CHECK_TEST(a_partial_trim_is_zeros),
        CHECK_TEST(a_fua_write_into_a_new_block_takes_one_flush),
        CHECK_TEST(an_overwrite_takes_one_write),
        CHECK_TEST(an_overwrite_in_a_child_takes_one_flush),
        CHECK_TEST(the_log_goes_round),
        CHECK_TEST(it_grows_beyond_its_table),
        CHECK_TEST(what_is_cut_off_is_zeros_when_it_grows_again),
        CHECK_TEST(a_fixed_image_grows_and_shrinks_with_its_file),
        CHECK_TEST(a_full_storage_leaves_a_valid_image),
        CHECK_TEST(a_full_storage_takes_overwrites_flushes_and_trims),
        CHECK_TEST(a_file_that_was_cut_off_is_only_read),
        CHECK_TEST(a_resize_that_fails_changes_nothing),
        CHECK_TEST(a_larger_disk_does_not_believe_old_entries),
        CHECK_TEST(random_programs_agree_with_a_model),
        CHECK_TEST(many_writers_share_blocks),
    };

    return check_main(argc, argv, tests, sizeof(tests) / sizeof(tests[0]));
}
