/* SPDX-License-Identifier: MIT */
/*
 * test_disk_io.c - reads, writes and flushes one at a time: every size from a sector to 64 MiB, the
 * edges of the disk, what must be refused, and what becomes of a server's errors.
 */
#include "tests/unit/check.h"
#include "tests/wine/raw.h"

#include <stdlib.h>
#include <string.h>

#define KIB 1024u
#define MIB (1024u * KIB)
#define BACKING (96u * MIB)

static HANDLE control;

struct fixture {
    struct raw_disk disk;
    struct raw_server server;
    HANDLE handle;
};

static void set_up(struct fixture *fixture, const struct cm_mount *mount)
{
    memset(fixture, 0, sizeof(*fixture));
    raw_attach(control, mount, &fixture->disk);
    raw_server_start(&fixture->server, &fixture->disk, BACKING);
    fixture->handle = raw_open_disk(&fixture->disk);
}

static void tear_down(struct fixture *fixture)
{
    CloseHandle(fixture->handle);
    raw_server_stop(&fixture->server);
    raw_detach(&fixture->disk);
}

static void fill(unsigned char *buffer, size_t length, uint64_t seed)
{
    for (size_t i = 0; i + 8 <= length; i += 8) {
        uint64_t value = check_random(&seed);
        memcpy(buffer + i, &value, 8);
    }
}

static void check_round_trip(struct fixture *fixture, DWORD length, int64_t offset)
{
    unsigned char *out = malloc(length), *in = calloc(1, length);
    DWORD got;

    fill(out, length, length + (uint64_t)offset + 1);
    CHECK_EQ(raw_write(fixture->handle, out, length, offset, &got), 0);
    CHECK_EQ(got, length);
    CHECK_EQ(raw_read(fixture->handle, in, length, offset, &got), 0);
    CHECK_EQ(got, length);
    CHECK(memcmp(in, out, length) == 0);
    free(out);
    free(in);
}

static void test_every_size_from_a_sector_to_64_mib(void)
{
    static const DWORD lengths[] = {512,      1024,           4096,    64 * KIB - 512,
                                    64 * KIB, 64 * KIB + 512, 1 * MIB, 3 * MIB + 512,
                                    32 * MIB, 64 * MIB};
    struct cm_mount mount;
    struct fixture fixture;

    raw_mount_defaults(&mount, BACKING);
    set_up(&fixture, &mount);
    for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++)
        check_round_trip(&fixture, lengths[i], 512 * (int64_t)i);
    tear_down(&fixture);
}

static void test_slots_of_every_size_split_alike(void)
{
    struct cm_mount mount;
    struct fixture fixture;

    for (uint32_t slot = CM_MIN_SLOT_SIZE; slot <= CM_MAX_SLOT_SIZE; slot *= 4) {
        raw_mount_defaults(&mount, BACKING);
        mount.slot_size = slot;
        mount.queue_depth = 3;
        set_up(&fixture, &mount);
        check_round_trip(&fixture, 2 * MIB + 512, 4096);
        tear_down(&fixture);
    }
}

static void test_4096_byte_sectors(void)
{
    struct cm_mount mount;
    struct fixture fixture;
    unsigned char buffer[4096];

    raw_mount_defaults(&mount, BACKING);
    mount.sector_size = 4096;
    set_up(&fixture, &mount);
    check_round_trip(&fixture, 4096, 0);
    check_round_trip(&fixture, MIB, BACKING - MIB);
    CHECK_EQ(raw_read(fixture.handle, buffer, 512, 0, NULL), ERROR_INVALID_PARAMETER);
    CHECK_EQ(raw_read(fixture.handle, buffer, 4096, 512, NULL), ERROR_INVALID_PARAMETER);
    tear_down(&fixture);
}

static void test_disks_over_2_tib_are_reached_to_their_end(void)
{
    uint64_t size = (UINT64_C(3) << 40) + 512;
    struct cm_mount mount;
    struct fixture fixture;

    raw_mount_defaults(&mount, size);
    set_up(&fixture, &mount);
    check_round_trip(&fixture, MIB, (int64_t)size - MIB);
    check_round_trip(&fixture, 512, INT64_C(2) << 40);
    check_round_trip(&fixture, MIB, (INT64_C(1) << 41) - 512 * KIB); /* across 2^32 sectors */
    CHECK_EQ(raw_read(fixture.handle, &mount, 512, (int64_t)size, NULL), ERROR_INVALID_PARAMETER);
    tear_down(&fixture);
}

static void test_ranges_off_the_disk_are_refused(void)
{
    static const int64_t offsets[] = {-1,      -512,          INT64_MIN, INT64_MAX, INT64_MAX - 511,
                                      BACKING, BACKING + 512, 1,         511,       BACKING - 511};
    struct cm_mount mount;
    struct fixture fixture;
    unsigned char buffer[2048];
    struct cm_stats stats;

    raw_mount_defaults(&mount, BACKING);
    set_up(&fixture, &mount);
    for (size_t i = 0; i < sizeof(offsets) / sizeof(offsets[0]); i++) {
        CHECK_EQ(raw_read(fixture.handle, buffer, 512, offsets[i], NULL), ERROR_INVALID_PARAMETER);
        CHECK_EQ(raw_write(fixture.handle, buffer, 512, offsets[i], NULL), ERROR_INVALID_PARAMETER);
    }
    CHECK_EQ(raw_read(fixture.handle, buffer, 1024, BACKING - 512, NULL), ERROR_INVALID_PARAMETER);
    CHECK_EQ(raw_read(fixture.handle, buffer, 513, 0, NULL), ERROR_INVALID_PARAMETER);
    CHECK_EQ(raw_read(fixture.handle, buffer, 1, 0, NULL), ERROR_INVALID_PARAMETER);
    raw_get_stats(&fixture.disk, &stats);
    CHECK_EQ(stats.requests, 0); /* none of it came near the server */
    CHECK_EQ(raw_read(fixture.handle, buffer, 512, BACKING - 512, NULL), 0);
    tear_down(&fixture);
}

static void test_nothing_is_read_or_written_by_length_0(void)
{
    struct cm_mount mount;
    struct fixture fixture;
    unsigned char byte;
    DWORD got = 1;

    raw_mount_defaults(&mount, BACKING);
    set_up(&fixture, &mount);
    CHECK_EQ(raw_read(fixture.handle, &byte, 0, 0, &got), 0);
    CHECK_EQ(got, 0);
    CHECK_EQ(raw_write(fixture.handle, &byte, 0, BACKING, &got), 0);
    CHECK_EQ(got, 0);
    tear_down(&fixture);
}

static void test_read_only_disks_refuse_writes_and_flush_at_once(void)
{
    struct cm_mount mount;
    struct fixture fixture;
    unsigned char sector[512];

    raw_mount_defaults(&mount, BACKING);
    mount.flags = CM_MOUNT_READ_ONLY;
    set_up(&fixture, &mount);
    CHECK_EQ(raw_write(fixture.handle, sector, 512, 0, NULL), ERROR_WRITE_PROTECT);
    CHECK_EQ(raw_read(fixture.handle, sector, 512, 0, NULL), 0);
    CHECK(FlushFileBuffers(fixture.handle));
    CHECK_EQ(fixture.server.flushes, 0);
    tear_down(&fixture);
}

static void test_flush_reaches_the_server(void)
{
    struct cm_mount mount;
    struct fixture fixture;

    raw_mount_defaults(&mount, BACKING);
    set_up(&fixture, &mount);
    CHECK(FlushFileBuffers(fixture.handle));
    CHECK(FlushFileBuffers(fixture.handle));
    CHECK_EQ(fixture.server.flushes, 2);
    tear_down(&fixture);
}

/* -- errors of the server ---------------------------------------------------------------------- */

static int answer_with_context(struct raw_server *server, const struct cm_request *request,
                               struct cm_reply *reply)
{
    reply->tag = request->tag;
    reply->status = *(uint32_t *)server->context;
    if (reply->status == CM_STATUS_OK)
        raw_serve(server, request, reply);
    return 1;
}

static void test_a_servers_error_becomes_the_callers(void)
{
    static const struct {
        uint32_t status;
        DWORD error;
    } rows[] = {
        {CM_STATUS_IO_ERROR, ERROR_IO_DEVICE},
        {CM_STATUS_MEDIA_ERROR, ERROR_CRC},
        {CM_STATUS_NO_SPACE, ERROR_DISK_FULL},
        {CM_STATUS_READ_ONLY, ERROR_WRITE_PROTECT},
        {CM_STATUS_OUT_OF_RANGE, ERROR_SECTOR_NOT_FOUND},
        {CM_STATUS_NOT_SUPPORTED, ERROR_NOT_SUPPORTED},
        {CM_STATUS_NO_MEMORY, ERROR_NO_SYSTEM_RESOURCES},
        {CM_STATUS_TIMEOUT, ERROR_SEM_TIMEOUT},
        {CM_STATUS_ACCESS, ERROR_ACCESS_DENIED},
    };
    uint32_t status = CM_STATUS_OK;
    unsigned char buffer[4096];
    struct cm_mount mount;
    struct fixture fixture;
    struct cm_stats stats;
    DWORD got;

    raw_mount_defaults(&mount, BACKING);
    set_up(&fixture, &mount);
    fixture.server.context = &status;
    fixture.server.answer = answer_with_context;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        status = rows[i].status;
        CHECK_EQ(raw_read(fixture.handle, buffer, 4096, 0, &got), rows[i].error);
        CHECK_EQ(got, 0);
        CHECK_EQ(raw_write(fixture.handle, buffer, 4096, 0, &got), rows[i].error);
        CHECK(!FlushFileBuffers(fixture.handle));
        CHECK_EQ(GetLastError(), rows[i].error);
    }
    status = CM_STATUS_OK;
    CHECK_EQ(raw_read(fixture.handle, buffer, 4096, 0, NULL), 0);
    raw_get_stats(&fixture.disk, &stats);
    CHECK_EQ(stats.failed, 3 * sizeof(rows) / sizeof(rows[0]));
    CHECK_EQ(stats.completed, 1);
    tear_down(&fixture);
}

/* Fails the fragment at 128 KiB only. */
static int answer_fail_one(struct raw_server *server, const struct cm_request *request,
                           struct cm_reply *reply)
{
    if (request->offset == 128 * KIB) {
        *reply = (struct cm_reply){.tag = request->tag, .status = CM_STATUS_MEDIA_ERROR};
        return 1;
    }
    raw_serve(server, request, reply);
    return 1;
}

static void test_one_bad_fragment_fails_the_whole_request_only(void)
{
    unsigned char *buffer = malloc(4 * MIB);
    struct cm_mount mount;
    struct fixture fixture;
    struct cm_stats stats;
    DWORD got;

    raw_mount_defaults(&mount, BACKING);
    mount.queue_depth = 4;
    set_up(&fixture, &mount);
    fixture.server.answer = answer_fail_one;
    CHECK_EQ(raw_read(fixture.handle, buffer, 4 * MIB, 0, &got), ERROR_CRC);
    CHECK_EQ(got, 0);
    CHECK_EQ(raw_write(fixture.handle, buffer, 4 * MIB, 0, &got), ERROR_CRC);
    CHECK_EQ(raw_read(fixture.handle, buffer, 4 * MIB, MIB, &got), 0);
    raw_get_stats(&fixture.disk, &stats);
    CHECK_EQ(stats.failed, 2);
    CHECK_EQ(stats.completed, 1);
    CHECK_EQ(stats.waiting + stats.in_flight, 0);
    CHECK(stats.handed_out < 3 * 64); /* what was left of the bad ones was not asked for */
    tear_down(&fixture);
    free(buffer);
}

/* -- counting ---------------------------------------------------------------------------------- */

static void test_statistics_count_what_was_done(void)
{
    unsigned char *buffer = calloc(1, MIB);
    struct cm_mount mount;
    struct fixture fixture;
    struct cm_stats stats;

    raw_mount_defaults(&mount, BACKING);
    set_up(&fixture, &mount);
    for (int i = 0; i < 5; i++)
        raw_read(fixture.handle, buffer, 4096, 4096 * i, NULL);
    raw_write(fixture.handle, buffer, MIB, 0, NULL);
    FlushFileBuffers(fixture.handle);
    raw_get_stats(&fixture.disk, &stats);
    CHECK_EQ(stats.requests, 7);
    CHECK_EQ(stats.completed, 7);
    CHECK_EQ(stats.failed, 0);
    CHECK_EQ(stats.cancelled, 0);
    CHECK_EQ(stats.reads, 5);
    CHECK_EQ(stats.writes, 1);
    CHECK_EQ(stats.flushes, 1);
    CHECK_EQ(stats.read_bytes, 5 * 4096);
    CHECK_EQ(stats.written_bytes, MIB);
    CHECK_EQ(stats.handed_out, 5 + 16 + 1);
    CHECK(stats.exchanges >= 7 && stats.exchanges <= stats.handed_out + 1);
    CHECK(stats.largest_wait_us < 10 * 1000 * 1000);
    tear_down(&fixture);
    free(buffer);
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        CHECK_TEST(test_every_size_from_a_sector_to_64_mib),
        CHECK_TEST(test_slots_of_every_size_split_alike),
        CHECK_TEST(test_4096_byte_sectors),
        CHECK_TEST(test_disks_over_2_tib_are_reached_to_their_end),
        CHECK_TEST(test_ranges_off_the_disk_are_refused),
        CHECK_TEST(test_nothing_is_read_or_written_by_length_0),
        CHECK_TEST(test_read_only_disks_refuse_writes_and_flush_at_once),
        CHECK_TEST(test_flush_reaches_the_server),
        CHECK_TEST(test_a_servers_error_becomes_the_callers),
        CHECK_TEST(test_one_bad_fragment_fails_the_whole_request_only),
        CHECK_TEST(test_statistics_count_what_was_done),
    };

    control = raw_open_control();
    return check_main(argc, argv, tests, sizeof(tests) / sizeof(tests[0]));
}
