/* SPDX-License-Identifier: MIT */
/*
 * test_vhdx_replay.c - images/vhdx/found_log.c and replay.c: which entries of a log count, that the view shows and
 * applying writes what they say, and that a log made to do harm is refused before anything is written.
 */
#include "tests/unit/check.h"
#include "tests/unit/memory_store.h"
#include "tests/unit/vhdx_entry.h"

#include "images/vhdx/found_log.h"
#include "images/vhdx/vhdx.h"
#include "lib/core/os.h"

#define BAT_AT (3 * VHDX_MIB)
#define FILE_SIZE (4 * VHDX_MIB)

static unsigned char page_a[VHDX_SECTOR], page_b[VHDX_SECTOR];

/* An image whose log has a name, and no entries yet. */
static struct vhdx_guid begin(struct memory_store *m)
{
    struct cm_image_options options = {.struct_size = sizeof(options), .size = 1u << 30};
    struct cm_store *store = memory_store_new(m);

    CHECK_EQ(cm_vhdx_format(store, &options), 0);
    cm_store_close(store);
    memset(page_a, 'a', sizeof(page_a));
    memset(page_b, 'b', sizeof(page_b));
    return vhdx_test_log(m);
}

/* One change alone in the entry `sequence`. @return the position behind it. */
static uint32_t write_one(struct memory_store *m, const struct vhdx_guid *log, uint64_t sequence,
                          uint32_t at, uint32_t tail, uint64_t place, const unsigned char *data)
{
    struct vhdx_change change = {place, data == NULL ? VHDX_SECTOR : 0, data};
    struct vhdx_test_entry entry = {sequence, at, tail, FILE_SIZE, FILE_SIZE, &change, 1, 0};

    return vhdx_test_write(m, log, &entry);
}

static int view(struct memory_store *m, struct cm_store **store, struct cm_store **replayed)
{
    struct vhdx_header header;
    int error;

    *store = memory_store_new(m);
    error = vhdx_header_read(*store, &header);
    return error != 0 ? error : vhdx_replay_view(*store, &header, replayed);
}

static void end(struct memory_store *m, struct cm_store *store, struct cm_store *replayed)
{
    cm_store_close(replayed);
    cm_store_close(store);
    memory_store_free(m);
}

/* The byte at a place of the file as it is after replay; -1: nothing is replayed; or an error. */
static int byte_at(struct memory_store *m, uint64_t at)
{
    struct cm_store *store, *replayed;
    unsigned char byte = 0;
    int error = view(m, &store, &replayed);

    if (error == 0 && replayed != NULL)
        CHECK_EQ(cm_store_read(replayed, &byte, 1, at), 0);
    error = error != 0 ? error : replayed == NULL ? -1 : byte;
    cm_store_close(replayed);
    cm_store_close(store);
    return error;
}

static void refused(struct memory_store *m, const char *text)
{
    struct vhdx_header header;
    struct cm_store *store, *replayed;
    uint64_t writes;

    CHECK_EQ(view(m, &store, &replayed), CM_EDAMAGED);
    CHECK(replayed == NULL);
    if (!CHECK(strstr(cm_last_error(), text) != NULL))
        printf("  %s\n", cm_last_error());
    CHECK_EQ(vhdx_header_read(store, &header), 0);
    writes = m->writes + m->resizes + m->punches;
    CHECK_EQ(vhdx_replay_apply(store, &header), CM_EDAMAGED);
    CHECK_EQ(m->writes + m->resizes + m->punches, writes);
    end(m, store, replayed);
}

/* -- what counts ------------------------------------------------------------------------------- */

static void without_entries_there_is_nothing_to_do(void)
{
    struct memory_store m = {0};
    struct cm_store *store, *replayed;
    struct vhdx_header header;
    struct vhdx_guid log = begin(&m), other = {{9}};

    CHECK_EQ(byte_at(&m, BAT_AT), -1);
    write_one(&m, &other, 1, 0, 0, BAT_AT, page_a); /* of an older log */
    CHECK_EQ(view(&m, &store, &replayed), 0);
    CHECK(replayed == NULL);
    CHECK_EQ(vhdx_header_read(store, &header), 0);
    CHECK(vhdx_guid_equal(&header.log, &log));
    CHECK_EQ(vhdx_replay_apply(store, &header), 0); /* which ends the log */
    CHECK_EQ(vhdx_header_read(store, &header), 0);
    CHECK(vhdx_guid_is_zero(&header.log));
    end(&m, store, replayed);
}

static void the_view_shows_what_applying_writes(void)
{
    struct memory_store m = {0};
    struct vhdx_change changes[] = {{BAT_AT, 0, page_a},
                                    {BAT_AT + 8192, 0, page_b},
                                    {BAT_AT + 16384, 8192, NULL},
                                    {FILE_SIZE + 4096, 0, page_a}};
    struct vhdx_guid log = begin(&m);
    struct vhdx_test_entry entry = {1, 0, 0, FILE_SIZE, FILE_SIZE + VHDX_MIB, changes, 4, 0};
    struct cm_store *store, *replayed;
    struct vhdx_header header;
    unsigned char *seen = malloc(FILE_SIZE + VHDX_MIB), *written = malloc(FILE_SIZE + VHDX_MIB);
    uint64_t writes;

    memory_store_poke(&m, page_b, sizeof(page_b), BAT_AT + 20480); /* to be zeros */
    vhdx_test_write(&m, &log, &entry);
    CHECK_EQ(view(&m, &store, &replayed), 0);
    writes = m.writes;
    CHECK_EQ(cm_store_size(replayed), FILE_SIZE + VHDX_MIB);
    CHECK_EQ(cm_store_read(replayed, seen, FILE_SIZE + VHDX_MIB, 0), 0);
    CHECK_EQ(m.writes, writes);
    CHECK_EQ(m.size, FILE_SIZE);
    CHECK(memcmp(seen + BAT_AT, page_a, VHDX_SECTOR) == 0);
    CHECK(memcmp(seen + BAT_AT + 8192, page_b, VHDX_SECTOR) == 0);
    CHECK_EQ(seen[BAT_AT + 20480], 0);
    CHECK_EQ(seen[FILE_SIZE + 8191], 'a');
    CHECK_EQ(cm_store_write(replayed, "x", 1, BAT_AT), CM_EROFS);

    CHECK_EQ(vhdx_header_read(store, &header), 0);
    CHECK_EQ(vhdx_replay_apply(store, &header), 0);
    CHECK_EQ(m.size, FILE_SIZE + VHDX_MIB);
    memory_store_peek(&m, written, FILE_SIZE + VHDX_MIB, 0);
    CHECK(memcmp(seen + VHDX_MIB, written + VHDX_MIB, FILE_SIZE) == 0); /* all but the headers */
    CHECK_EQ(vhdx_header_read(store, &header), 0);
    CHECK(vhdx_guid_is_zero(&header.log));
    free(seen);
    free(written);
    end(&m, store, replayed);
}

static void the_newer_entry_counts(void)
{
    struct memory_store m = {0};
    struct vhdx_guid log = begin(&m);
    uint32_t at = write_one(&m, &log, 7, 0, 0, BAT_AT, page_a);

    CHECK_EQ(byte_at(&m, BAT_AT), 'a');
    at = write_one(&m, &log, 8, at, 0, BAT_AT, page_b);
    CHECK_EQ(byte_at(&m, BAT_AT), 'b');
    write_one(&m, &log, 9, at, 0, BAT_AT, NULL);
    CHECK_EQ(byte_at(&m, BAT_AT), 0);
    memory_store_free(&m);
}

static void entries_before_the_tail_are_left_alone(void)
{
    struct memory_store m = {0};
    struct vhdx_guid log = begin(&m);
    uint32_t at = write_one(&m, &log, 1, 0, 0, BAT_AT, page_a);

    write_one(&m, &log, 2, at, at, BAT_AT + 4096, page_b);
    CHECK_EQ(byte_at(&m, BAT_AT), 0);
    CHECK_EQ(byte_at(&m, BAT_AT + 4096), 'b');
    memory_store_free(&m);
}

static void a_run_goes_over_the_end_of_the_ring(void)
{
    struct memory_store m = {0};
    struct vhdx_guid log = begin(&m);
    uint32_t start = ENTRY_LOG_SIZE - 3 * VHDX_SECTOR; /* the second entry is in two parts */
    uint32_t at = write_one(&m, &log, 40, start, start, BAT_AT, page_a);

    at = write_one(&m, &log, 41, at, start, BAT_AT + 4096, page_b);
    write_one(&m, &log, 42, at, start, BAT_AT + 8192, page_a);
    CHECK_EQ(byte_at(&m, BAT_AT), 'a');
    CHECK_EQ(byte_at(&m, BAT_AT + 4096 + 100), 'b');
    CHECK_EQ(byte_at(&m, BAT_AT + 8192), 'a');
    memory_store_free(&m);
}

static void the_newest_run_counts(void)
{
    struct memory_store m = {0};
    struct vhdx_guid log = begin(&m);

    write_one(&m, &log, 90, 0, 0, BAT_AT, page_a);
    write_one(&m, &log, 100, 64 * VHDX_SECTOR, 64 * VHDX_SECTOR, BAT_AT, page_b);
    write_one(&m, &log, 95, 128 * VHDX_SECTOR, 128 * VHDX_SECTOR, BAT_AT, page_a);
    CHECK_EQ(byte_at(&m, BAT_AT), 'b');
    memory_store_free(&m);
}

static void a_gap_in_the_numbers_ends_a_run(void)
{
    struct memory_store m = {0};
    struct vhdx_guid log = begin(&m);
    uint32_t at = write_one(&m, &log, 5, 0, 0, BAT_AT, page_a);

    write_one(&m, &log, 7, at, 0, BAT_AT, page_b);
    CHECK_EQ(byte_at(&m, BAT_AT), 'a');
    memory_store_free(&m);
}

/* Any sector of it not written, or any byte of it other. */
static void a_torn_entry_is_none(void)
{
    static const unsigned char zeros[512];
    uint64_t random = check_seed();

    for (unsigned round = 0; round < 40; round++) {
        struct memory_store m = {0};
        struct vhdx_guid log = begin(&m);
        uint32_t at = write_one(&m, &log, 1, 0, 0, BAT_AT, page_a);
        unsigned char byte;

        write_one(&m, &log, 2, at, 0, BAT_AT, page_b);
        if (round < 16) {
            memory_store_poke(&m, zeros, 512, ENTRY_LOG_AT + at + 512 * round);
            if (round > 0 && round < 8) { /* which was zeros anyway */
                CHECK_EQ(byte_at(&m, BAT_AT), 'b');
                memory_store_free(&m);
                continue;
            }
        } else {
            uint64_t place = ENTRY_LOG_AT + at + check_random(&random) % 8192;

            memory_store_peek(&m, &byte, 1, place);
            byte = (unsigned char)(byte ^ (1 + check_random(&random) % 255));
            memory_store_poke(&m, &byte, 1, place);
        }
        CHECK_EQ(byte_at(&m, BAT_AT), 'a');
        memory_store_free(&m);
    }
}

/* The checksum alone would let these pass. */
static void entries_must_be_right_in_themselves(void)
{
    static const struct {
        uint32_t at;
        uint32_t value;
    } rows[] = {
        {8, 0},        {8, 8191},        {8, 0xFFFFF000}, {8, 4096},
        {12, 1},       {12, 0xFFFFF000}, {16, 0},         {24, 0xFFFFFFFF},
        {24, 300},     {64, 0x12345678}, {64 + 24, 5},    {4096, 0x12345678},
        {4096 + 4, 1}, {8188, 7},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct memory_store m = {0};
        struct vhdx_guid log = begin(&m);
        unsigned char entry[8192];

        write_one(&m, &log, 1, 0, 0, BAT_AT, page_a);
        memory_store_peek(&m, entry, sizeof(entry), ENTRY_LOG_AT);
        cm_put_le32(entry + rows[i].at, rows[i].value);
        cm_put_le32(entry + 4, 0);
        cm_put_le32(entry + 4, cm_crc32c(0, entry, rows[i].value == 4096 ? 4096 : sizeof(entry)));
        memory_store_poke(&m, entry, sizeof(entry), ENTRY_LOG_AT);
        if (!CHECK_EQ(byte_at(&m, BAT_AT), -1))
            printf("  row %u\n", (unsigned)i);
        memory_store_free(&m);
    }
}

/* -- what is refused --------------------------------------------------------------------------- */

static void a_log_without_its_beginning_is_refused(void)
{
    struct memory_store m = {0};
    struct vhdx_guid log = begin(&m);
    uint32_t at = write_one(&m, &log, 1, 0, 0, BAT_AT, page_a);

    write_one(&m, &log, 2, at, 0, BAT_AT, page_b);
    memory_store_poke(&m, page_a, 1, ENTRY_LOG_AT + 4096 + 50);
    memory_store_poke(&m, page_b, 1, ENTRY_LOG_AT + 100);
    refused(&m, "the beginning of its log is gone");
}

static void a_file_that_was_longer_is_refused(void)
{
    struct memory_store m = {0};
    struct vhdx_change change = {BAT_AT, 0, page_a};
    struct vhdx_guid log = begin(&m);
    struct vhdx_test_entry entry = {1, 0, 0, FILE_SIZE + 1, FILE_SIZE + VHDX_MIB, &change, 1, 0};

    vhdx_test_write(&m, &log, &entry);
    refused(&m, "cut off");
}

static void changes_that_point_elsewhere_are_refused(void)
{
    static const struct {
        uint64_t at, zeros, last;
    } rows[] = {
        {0, 0, 0},                         /* the identifier */
        {VHDX_HEADER_AT(0), 0, 0},         /* a header */
        {VHDX_HEADER_AT(1) + 61440, 0, 0}, /* behind one */
        {ENTRY_LOG_AT, 0, 0},              /* the log itself */
        {ENTRY_LOG_AT + ENTRY_LOG_SIZE - 4096, 0, 0},
        {ENTRY_LOG_AT - 4096, 8192, 0},         /* into it */
        {ENTRY_LOG_AT - 4096, 2 * VHDX_MIB, 0}, /* over it */
        {BAT_AT + 512, 0, 0},                   /* no whole sector */
        {BAT_AT, 512, 0},
        {FILE_SIZE, 0, 0}, /* behind the end */
        {FILE_SIZE - 4096, 8192, 0},
        {UINT64_C(1) << 62, 0, 0},
        {UINT64_MAX - 4095, 0, 0},
        {UINT64_MAX - 4095, 8192, 0},
        {BAT_AT, UINT64_MAX - 4095, 0},
        {BAT_AT, UINT64_C(1) << 63, 0},
        {BAT_AT, 0, UINT64_MAX}, /* a file that long */
        {BAT_AT, 0, UINT64_C(1) << 62},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct memory_store m = {0};
        struct vhdx_change changes[] = {{BAT_AT, 0, page_b}, {rows[i].at, rows[i].zeros, page_a}};
        struct vhdx_guid log = begin(&m);
        struct vhdx_test_entry entry = {1, 0, 0, 0, FILE_SIZE, changes, 2, 0};

        if (rows[i].last != 0)
            entry.last = rows[i].last;
        vhdx_test_write(&m, &log, &entry);
        refused(&m, "is damaged: its log");
    }
}

static void a_log_that_is_too_large_is_refused(void)
{
    struct memory_store m = {0};
    struct cm_store *store, *replayed;
    struct vhdx_header header;

    begin(&m);
    m.size = UINT64_C(1) << 40;
    store = memory_store_new(&m);
    CHECK_EQ(vhdx_header_read(store, &header), 0);
    header.log_size = 0xFFF00000;
    header.log_at = 8 * VHDX_MIB;
    CHECK_EQ(vhdx_header_write(store, &header), 0);
    CHECK_EQ(vhdx_replay_view(store, &header, &replayed), CM_ENOTSUP);
    CHECK(strstr(cm_last_error(), "4095 MiB") != NULL);
    end(&m, store, replayed);
}

/* Each sector says that it begins an entry as long as the log. */
static void entries_within_entries_cost_no_more_than_a_few_logs(void)
{
    struct memory_store m = {0};
    struct vhdx_guid log = begin(&m);
    unsigned char sector[VHDX_SECTOR] = "loge";
    uint64_t start = cm_os_now_ns();

    cm_put_le32(sector + 8, ENTRY_LOG_SIZE);
    cm_put_le64(sector + 16, 1);
    memcpy(sector + 32, log.bytes, 16);
    for (uint32_t at = 0; at < ENTRY_LOG_SIZE; at += VHDX_SECTOR)
        vhdx_test_put(&m, sector, VHDX_SECTOR, at);
    refused(&m, "lie in each other");
    CHECK(cm_os_now_ns() - start < UINT64_C(5000000000));
}

/* -- at random --------------------------------------------------------------------------------- */

#define PAGES 64u /* of the BAT, that are changed */

/* Entries of random changes that overlap each other, and a model of what they leave. */
static void random_logs_are_replayed_in_order(void)
{
    uint64_t random = check_seed();

    for (int round = 0; round < 60; round++) {
        struct memory_store m = {0};
        struct vhdx_guid log = begin(&m);
        unsigned char *model = calloc(PAGES, VHDX_SECTOR), *seen = malloc(PAGES * VHDX_SECTOR);
        unsigned char pages[8][VHDX_SECTOR];
        struct cm_store *store, *replayed;
        struct vhdx_header header;
        uint32_t start = (uint32_t)(check_random(&random) % 256) * VHDX_SECTOR, at = start;
        unsigned entries = 1 + (unsigned)(check_random(&random) % 12);

        for (unsigned e = 0; e < entries; e++) {
            struct vhdx_change changes[8];
            struct vhdx_test_entry entry = {.sequence = 5 + e,
                                            .at = at,
                                            .tail = start,
                                            .flushed = FILE_SIZE,
                                            .last = FILE_SIZE,
                                            .changes = changes,
                                            .count = (unsigned)(check_random(&random) % 9),
                                            .more = (unsigned)(check_random(&random) % 2)};

            for (unsigned i = 0; i < entry.count; i++) {
                uint64_t page = check_random(&random) % PAGES;
                uint64_t zeros = 1 + check_random(&random) % (PAGES - page);
                int is_data = check_random(&random) % 2 == 0;

                memset(pages[i], (int)(1 + check_random(&random) % 255), VHDX_SECTOR);
                changes[i] = (struct vhdx_change){BAT_AT + page * VHDX_SECTOR,
                                                  is_data ? 0 : zeros * VHDX_SECTOR, pages[i]};
                if (is_data)
                    memcpy(model + page * VHDX_SECTOR, pages[i], VHDX_SECTOR);
                else
                    memset(model + page * VHDX_SECTOR, 0, zeros * VHDX_SECTOR);
            }
            at = vhdx_test_write(&m, &log, &entry);
        }
        CHECK_EQ(view(&m, &store, &replayed), 0);
        for (int i = 0; i < 40 && replayed != NULL; i++) {
            uint32_t from = (uint32_t)(check_random(&random) % (PAGES * VHDX_SECTOR));
            uint32_t length = (uint32_t)(check_random(&random) % (PAGES * VHDX_SECTOR - from));

            CHECK_EQ(cm_store_read(replayed, seen, length, BAT_AT + from), 0);
            if (!CHECK(memcmp(seen, model + from, length) == 0))
                break;
        }
        CHECK_EQ(vhdx_header_read(store, &header), 0);
        m.cannot_punch = round % 2;
        CHECK_EQ(vhdx_replay_apply(store, &header), 0);
        memory_store_peek(&m, seen, PAGES * VHDX_SECTOR, BAT_AT);
        CHECK(memcmp(seen, model, PAGES * VHDX_SECTOR) == 0);
        free(model);
        free(seen);
        end(&m, store, replayed);
    }
}

struct order {
    unsigned changes, unflushed; /* of the file behind the log; and since the last flush */
    unsigned too_early;          /* headers that were written before that */
};

static void watch(void *context, enum memory_store_call call, const void *buffer, uint64_t offset,
                  uint64_t length)
{
    struct order *order = context;

    (void)buffer;
    (void)length;
    if (call == MEMORY_STORE_FLUSH)
        order->unflushed = 0;
    else if (call == MEMORY_STORE_WRITE && offset < VHDX_REGIONS_AT(0))
        order->too_early += order->unflushed > 0;
    else if (call != MEMORY_STORE_READ) {
        order->changes++;
        order->unflushed++;
    }
}

/* The log ends when all is durable; and what the file grows by is zeros already. */
static void applying_flushes_before_the_log_ends(void)
{
    struct vhdx_change changes[] = {{BAT_AT, 0, page_a},
                                    {FILE_SIZE + 8192, VHDX_MIB - 8192, NULL},
                                    {BAT_AT + 8192, 8192, NULL}};
    struct vhdx_test_entry entry = {1, 0, 0, FILE_SIZE, FILE_SIZE + VHDX_MIB, changes, 3, 0};
    struct memory_store m = {.cannot_punch = 1};
    struct order order = {0};
    struct vhdx_guid log = begin(&m);
    struct cm_store *store;
    struct vhdx_header header;

    vhdx_test_write(&m, &log, &entry);
    store = memory_store_new(&m);
    CHECK_EQ(vhdx_header_read(store, &header), 0);
    m.watch = watch;
    m.watch_context = &order;
    CHECK_EQ(vhdx_replay_apply(store, &header), 0);
    CHECK_EQ(order.changes, 3); /* longer, a page, zeros */
    CHECK_EQ(order.too_early, 0);
    CHECK_EQ(order.unflushed, 0);
    cm_store_close(store);
    memory_store_free(&m);
}

/* A power cut while it is applied: it is applied again. */
static void applying_can_be_cut_off(void)
{
    struct vhdx_change changes[] = {
        {BAT_AT, 0, page_a}, {BAT_AT + 8192, 0, page_b}, {FILE_SIZE, 0, page_a}};
    struct vhdx_test_entry entry = {1, 0, 0, FILE_SIZE, FILE_SIZE + VHDX_MIB, changes, 3, 0};
    int error = CM_EIO;

    for (uint64_t after = 0; error != 0 && after < 20; after++) {
        struct memory_store m = {0};
        struct vhdx_guid log = begin(&m);
        struct cm_store *store;
        struct vhdx_header header;
        unsigned char byte;

        vhdx_test_write(&m, &log, &entry);
        store = memory_store_new(&m);
        CHECK_EQ(vhdx_header_read(store, &header), 0);
        m.fail = CM_EIO;
        m.fail_after = after;
        error = vhdx_replay_apply(store, &header);
        m.fail = 0;
        CHECK_EQ(vhdx_header_read(store, &header), 0);
        CHECK_EQ(vhdx_replay_apply(store, &header), 0);
        memory_store_peek(&m, &byte, 1, FILE_SIZE);
        CHECK_EQ(byte, 'a');
        memory_store_peek(&m, &byte, 1, BAT_AT + 8192);
        CHECK_EQ(byte, 'b');
        cm_store_close(store);
        memory_store_free(&m);
    }
    CHECK_EQ(error, 0);
}

static const struct check_test tests[] = {
    CHECK_TEST(without_entries_there_is_nothing_to_do),
    CHECK_TEST(the_view_shows_what_applying_writes),
    CHECK_TEST(the_newer_entry_counts),
    CHECK_TEST(entries_before_the_tail_are_left_alone),
    CHECK_TEST(a_run_goes_over_the_end_of_the_ring),
    CHECK_TEST(the_newest_run_counts),
    CHECK_TEST(a_gap_in_the_numbers_ends_a_run),
    CHECK_TEST(a_torn_entry_is_none),
    CHECK_TEST(entries_must_be_right_in_themselves),
    CHECK_TEST(a_log_without_its_beginning_is_refused),
    CHECK_TEST(a_file_that_was_longer_is_refused),
    CHECK_TEST(changes_that_point_elsewhere_are_refused),
    CHECK_TEST(a_log_that_is_too_large_is_refused),
    CHECK_TEST(entries_within_entries_cost_no_more_than_a_few_logs),
    CHECK_TEST(random_logs_are_replayed_in_order),
    CHECK_TEST(applying_flushes_before_the_log_ends),
    CHECK_TEST(applying_can_be_cut_off),
};

int main(int argc, char **argv)
{
    return check_main(argc, argv, tests, sizeof(tests) / sizeof(tests[0]));
}
