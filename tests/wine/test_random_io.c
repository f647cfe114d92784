/* SPDX-License-Identifier: MIT */
/*
 * test_random_io.c - random verified reads and writes from many threads at many sizes, on one disk
 * with several exchanging threads, on two disks of one server, and with one handle shared by all.
 *
 * Every thread owns a region of the disk and keeps a model of it; what it reads must be what it
 * wrote last.
 */
#include "tests/unit/check.h"
#include "tests/wine/raw.h"

#include <stdlib.h>
#include <string.h>

#define KIB 1024u
#define MIB (1024u * KIB)
#define REGION (2 * MIB)
#define THREADS 8
#define ROUNDS 250

static HANDLE control;

struct worker {
    HANDLE handle;
    int64_t region; /* where its own bytes begin */
    uint64_t seed;
    unsigned char *model;
};

/* Mostly small, now and then a large one that is split. */
static DWORD random_length(uint64_t *seed)
{
    static const DWORD most[] = {512, 4 * KIB, 16 * KIB, 64 * KIB, 256 * KIB, MIB};
    DWORD largest = most[check_random(seed) % 6];

    return (DWORD)(1 + check_random(seed) % (largest / 512)) * 512;
}

static DWORD WINAPI worker_run(void *argument)
{
    struct worker *worker = argument;
    unsigned char *buffer = malloc(MIB);

    for (int round = 0; round < ROUNDS; round++) {
        DWORD length = random_length(&worker->seed), got = 0;
        DWORD place = (DWORD)(check_random(&worker->seed) % ((REGION - length) / 512 + 1)) * 512;

        if (check_random(&worker->seed) % 2 != 0) {
            memset(buffer, (int)check_random(&worker->seed), length);
            CHECK_EQ(raw_write(worker->handle, buffer, length, worker->region + place, &got), 0);
            memcpy(worker->model + place, buffer, length);
        } else {
            CHECK_EQ(raw_read(worker->handle, buffer, length, worker->region + place, &got), 0);
            if (!CHECK(memcmp(buffer, worker->model + place, length) == 0))
                break;
        }
        CHECK_EQ(got, length);
    }
    free(buffer);
    return 0;
}

static void start_workers(struct worker *workers, HANDLE *threads, const struct raw_disk *disk,
                          int share_handle, uint64_t seed)
{
    HANDLE shared = share_handle ? raw_open_disk(disk) : NULL;

    for (int i = 0; i < THREADS; i++) {
        workers[i].handle = share_handle ? shared : raw_open_disk(disk);
        workers[i].region = (int64_t)i * REGION;
        workers[i].seed = seed + (uint64_t)i;
        workers[i].model = calloc(1, REGION);
        threads[i] = CreateThread(NULL, 0, worker_run, &workers[i], 0, NULL);
    }
}

static void finish_workers(struct worker *workers, HANDLE *threads, int share_handle)
{
    CHECK_EQ(WaitForMultipleObjects(THREADS, threads, TRUE, 60000), WAIT_OBJECT_0);
    for (int i = 0; i < THREADS; i++) {
        CloseHandle(threads[i]);
        free(workers[i].model);
        if (!share_handle || i == 0)
            CloseHandle(workers[i].handle);
    }
}

static void check_sums(const struct raw_disk *disk)
{
    struct cm_stats stats;

    raw_get_stats(disk, &stats);
    CHECK_EQ(stats.requests, THREADS * ROUNDS);
    CHECK_EQ(stats.completed, THREADS * ROUNDS);
    CHECK_EQ(stats.reads + stats.writes, THREADS * ROUNDS);
    CHECK_EQ(stats.failed + stats.cancelled + stats.bad_replies + stats.waiting + stats.in_flight,
             0);
}

static void attach(struct raw_disk *disk, uint32_t queue_depth, uint32_t slot_size)
{
    struct cm_mount mount;

    raw_mount_defaults(&mount, THREADS * REGION);
    mount.queue_depth = queue_depth;
    mount.slot_size = slot_size;
    raw_attach(control, &mount, disk);
}

static void run_one_disk(uint32_t queue_depth, uint32_t slot_size, int share_handle)
{
    struct worker workers[THREADS];
    struct raw_server server = {0};
    HANDLE threads[THREADS];
    struct raw_disk disk;

    attach(&disk, queue_depth, slot_size);
    raw_server_start(&server, &disk, THREADS * REGION);
    start_workers(workers, threads, &disk, share_handle, check_seed());
    finish_workers(workers, threads, share_handle);
    check_sums(&disk);
    raw_server_stop(&server);
    raw_detach(&disk);
}

static void test_many_threads_each_with_a_handle(void)
{
    run_one_disk(32, 64 * KIB, 0);
}

static void test_many_threads_on_one_handle(void)
{
    run_one_disk(32, 64 * KIB, 1);
}

static void test_a_single_slot_serves_everybody(void)
{
    run_one_disk(1, 16 * KIB, 0);
}

/* Several threads exchange for one disk, from one memory: replies in any order and from any thread.
 */
static void test_several_threads_serve_one_disk(void)
{
    enum { SERVERS = 3 };
    struct raw_server servers[SERVERS] = {{0}};
    struct worker workers[THREADS];
    HANDLE threads[THREADS];
    struct raw_disk disk;
    unsigned char *own[SERVERS];

    attach(&disk, 16, 32 * KIB);
    raw_server_start(&servers[0], &disk, THREADS * REGION);
    for (int i = 1; i < SERVERS; i++) {
        raw_server_start(&servers[i], &disk, THREADS * REGION);
        own[i] = servers[i].backing; /* no request has come yet */
        servers[i].backing = servers[0].backing;
    }
    start_workers(workers, threads, &disk, 0, check_seed());
    finish_workers(workers, threads, 0);
    check_sums(&disk);
    for (int i = SERVERS - 1; i > 0; i--) {
        servers[i].backing = own[i];
        raw_server_stop(&servers[i]);
    }
    raw_server_stop(&servers[0]);
    raw_detach(&disk);
}

static void test_two_disks_of_one_server_do_not_mix(void)
{
    struct worker workers[2][THREADS];
    struct raw_server servers[2] = {{0}};
    HANDLE threads[2][THREADS];
    struct raw_disk disks[2];
    uint64_t seed = check_seed();

    for (int i = 0; i < 2; i++) {
        attach(&disks[i], 8, 16 * KIB);
        raw_server_start(&servers[i], &disks[i], THREADS * REGION);
        start_workers(workers[i], threads[i], &disks[i], 0, seed + (uint64_t)i * 1000);
    }
    for (int i = 0; i < 2; i++) {
        finish_workers(workers[i], threads[i], 0);
        check_sums(&disks[i]);
    }
    for (int i = 0; i < 2; i++) {
        raw_server_stop(&servers[i]);
        raw_detach(&disks[i]);
    }
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        CHECK_TEST(test_many_threads_each_with_a_handle),
        CHECK_TEST(test_many_threads_on_one_handle),
        CHECK_TEST(test_a_single_slot_serves_everybody),
        CHECK_TEST(test_several_threads_serve_one_disk),
        CHECK_TEST(test_two_disks_of_one_server_do_not_mix),
    };

    control = raw_open_control();
    return check_main(argc, argv, tests, sizeof(tests) / sizeof(tests[0]));
}
