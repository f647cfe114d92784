/* SPDX-License-Identifier: MIT */
/*
 * test_cancel.c - requests that are taken back, at every point of their life: by CancelIoEx, by the
 * end of their thread, by the end of their process. Nobody may hang, nothing may be lost or mixed
 * up, and the counters must add up.
 */
#include "tests/unit/check.h"
#include "tests/wine/raw.h"

#include <stdlib.h>
#include <string.h>

#define MIB (1024u * 1024u)

static HANDLE control;

static void attach(struct raw_disk *disk, uint32_t queue_depth)
{
    struct cm_mount mount;

    raw_mount_defaults(&mount, 16 * MIB);
    mount.queue_depth = queue_depth;
    raw_attach(control, &mount, disk);
}

static void check_sums(const struct raw_disk *disk)
{
    struct cm_stats stats;

    raw_get_stats(disk, &stats);
    CHECK_EQ(stats.requests,
             stats.completed + stats.failed + stats.cancelled + stats.waiting + stats.in_flight);
    CHECK_EQ(stats.waiting + stats.in_flight, 0);
}

/* A read or write under way; its end is awaited with a bound. */
struct pending {
    OVERLAPPED overlapped;
    unsigned char *buffer;
    DWORD length;
};

static void start(struct pending *pending, HANDLE disk, uint32_t op, DWORD length, int64_t offset)
{
    BOOL done;

    memset(pending, 0, sizeof(*pending));
    pending->overlapped.hEvent = CreateEventW(NULL, TRUE, FALSE, NULL);
    pending->overlapped.Offset = (DWORD)offset;
    pending->buffer = calloc(1, length);
    pending->length = length;
    done = op == CM_OP_WRITE ? WriteFile(disk, pending->buffer, length, NULL, &pending->overlapped)
                             : ReadFile(disk, pending->buffer, length, NULL, &pending->overlapped);
    if (!done)
        CHECK_EQ(GetLastError(), ERROR_IO_PENDING);
}

static void start_read(struct pending *pending, HANDLE disk, DWORD length, int64_t offset)
{
    start(pending, disk, CM_OP_READ, length, offset);
}

static void start_write(struct pending *pending, HANDLE disk, DWORD length, int64_t offset)
{
    start(pending, disk, CM_OP_WRITE, length, offset);
}

static DWORD finish(struct pending *pending, HANDLE disk, DWORD *got)
{
    DWORD error = ERROR_SUCCESS, bytes;

    CHECK_EQ(WaitForSingleObject(pending->overlapped.hEvent, 10000), WAIT_OBJECT_0);
    if (!GetOverlappedResult(disk, &pending->overlapped, got != NULL ? got : &bytes, FALSE))
        error = GetLastError();
    CloseHandle(pending->overlapped.hEvent);
    free(pending->buffer);
    return error;
}

static void test_a_waiting_request_is_cancelled_at_once(void)
{
    struct raw_disk disk;
    struct pending pending;
    struct cm_stats stats;
    HANDLE handle;

    attach(&disk, 8);
    handle = raw_open_disk(&disk);
    start_read(&pending, handle, 4096, 0);
    CHECK(raw_cancel(handle, &pending.overlapped));
    CHECK_EQ(finish(&pending, handle, NULL), ERROR_OPERATION_ABORTED);
    raw_get_stats(&disk, &stats);
    CHECK_EQ(stats.cancelled, 1);
    CHECK_EQ(stats.handed_out, 0);
    check_sums(&disk);
    CloseHandle(handle);
    raw_detach(&disk);
}

static void test_a_request_with_the_server_is_cancelled_without_it(void)
{
    struct raw_disk disk;
    struct pending pending;
    struct cm_request request, next;
    struct cm_reply reply;
    uint32_t count;
    HANDLE handle;

    attach(&disk, 1); /* one slot: it must come back */
    handle = raw_open_disk(&disk);
    start_read(&pending, handle, 4096, 0);
    CHECK_EQ(raw_exchange(&disk, NULL, 0, 0, &request, 1, &count), 0);
    CHECK(raw_cancel(handle, &pending.overlapped));
    CHECK_EQ(finish(&pending, handle, NULL), ERROR_OPERATION_ABORTED);
    check_sums(&disk);

    /* The slot stays taken until the server has answered: it may still write to it. */
    start_read(&pending, handle, 4096, 4096);
    CHECK_EQ(raw_exchange(&disk, NULL, 0, CM_EXCHANGE_NO_WAIT, &next, 1, &count), 0);
    CHECK_EQ(count, 0);
    reply = (struct cm_reply){request.tag, CM_STATUS_OK, 4096}; /* late, and no offence */
    CHECK_EQ(raw_exchange(&disk, &reply, 1, 0, &next, 1, &count), 0);
    CHECK_EQ(count, 1);
    CHECK_EQ(next.offset, 4096);
    reply = (struct cm_reply){next.tag, CM_STATUS_OK, 4096};
    CHECK_EQ(raw_exchange(&disk, &reply, 1, CM_EXCHANGE_NO_WAIT, &next, 1, &count), 0);
    CHECK_EQ(finish(&pending, handle, NULL), 0);
    check_sums(&disk);
    CloseHandle(handle);
    raw_detach(&disk);
}

static void test_a_large_request_half_handed_out_is_cancelled_whole(void)
{
    struct raw_disk disk;
    struct pending pending;
    struct cm_request requests[4];
    struct cm_reply reply;
    struct cm_stats stats;
    uint32_t count;
    HANDLE handle;

    attach(&disk, 4);
    handle = raw_open_disk(&disk);
    start_read(&pending, handle, 8 * MIB, 0);
    CHECK_EQ(raw_exchange(&disk, NULL, 0, 0, requests, 4, &count), 0);
    CHECK_EQ(count, 4);
    reply = (struct cm_reply){requests[0].tag, CM_STATUS_OK, (uint32_t)requests[0].length};
    CHECK_EQ(raw_exchange(&disk, &reply, 1, CM_EXCHANGE_NO_WAIT, requests, 0, &count), 0);
    CHECK(raw_cancel(handle, &pending.overlapped));
    CHECK_EQ(finish(&pending, handle, NULL), ERROR_OPERATION_ABORTED);
    for (int i = 1; i < 4; i++) {
        reply = (struct cm_reply){requests[i].tag, CM_STATUS_IO_ERROR, 0};
        CHECK_EQ(raw_exchange(&disk, &reply, 1, CM_EXCHANGE_NO_WAIT, requests, 0, &count), 0);
    }
    raw_get_stats(&disk, &stats);
    CHECK_EQ(stats.cancelled, 1);
    CHECK_EQ(stats.bad_replies, 0);
    check_sums(&disk);
    CloseHandle(handle);
    raw_detach(&disk);
}

static void answer(const struct raw_disk *disk, const struct cm_request *request)
{
    struct cm_reply reply = {request->tag, CM_STATUS_OK, (uint32_t)request->length};
    struct cm_request none;
    uint32_t count;

    CHECK_EQ(raw_exchange(disk, &reply, 1, CM_EXCHANGE_NO_WAIT, &none, 0, &count), 0);
}

/*
 * A write that was taken back while the server has it may still be performed. It must not come after a
 * later write to the same place: that waits, and others pass it by.
 */
static void test_a_cancelled_write_cannot_overtake_a_later_one(void)
{
    struct pending first, overlapping, elsewhere, reading;
    struct cm_request abandoned, requests[4];
    struct raw_disk disk;
    uint32_t count;
    HANDLE handle;

    attach(&disk, 8);
    handle = raw_open_disk(&disk);
    start_write(&first, handle, 8192, 4096);
    CHECK_EQ(raw_exchange(&disk, NULL, 0, 0, &abandoned, 1, &count), 0);
    CHECK(raw_cancel(handle, &first.overlapped));
    CHECK_EQ(finish(&first, handle, NULL), ERROR_OPERATION_ABORTED);

    start_write(&overlapping, handle, 512, 4096 + 8192 - 512);
    start_read(&reading, handle, 4096 + 512, 0);
    start_write(&elsewhere, handle, 512, 4096 + 8192);
    Sleep(100);
    CHECK_EQ(raw_exchange(&disk, NULL, 0, CM_EXCHANGE_NO_WAIT, requests, 4, &count), 0);
    CHECK_EQ(count, 1);
    CHECK_EQ(requests[0].offset, 4096 + 8192);
    answer(&disk, &requests[0]);
    CHECK_EQ(finish(&elsewhere, handle, NULL), 0);

    answer(&disk, &abandoned);
    CHECK_EQ(raw_exchange(&disk, NULL, 0, CM_EXCHANGE_NO_WAIT, requests, 4, &count), 0);
    CHECK_EQ(count, 2);
    answer(&disk, &requests[0]);
    answer(&disk, &requests[1]);
    CHECK_EQ(finish(&overlapping, handle, NULL), 0);
    CHECK_EQ(finish(&reading, handle, NULL), 0);
    check_sums(&disk);
    CloseHandle(handle);
    raw_detach(&disk);
}

/* The exchange that waits must hear of requests that a late reply has set free. */
static void test_a_late_reply_frees_what_waited_for_it(void)
{
    struct pending first, second;
    struct raw_server server = {0};
    struct cm_request abandoned;
    struct raw_disk disk;
    uint32_t count;
    HANDLE handle;

    attach(&disk, 8);
    handle = raw_open_disk(&disk);
    start_write(&first, handle, 4096, 0);
    CHECK_EQ(raw_exchange(&disk, NULL, 0, 0, &abandoned, 1, &count), 0);
    CHECK(raw_cancel(handle, &first.overlapped));
    CHECK_EQ(finish(&first, handle, NULL), ERROR_OPERATION_ABORTED);
    start_write(&second, handle, 4096, 0);
    raw_server_start(&server, &disk, MIB); /* waits in an exchange: there is nothing for it */
    Sleep(100);
    CHECK(!HasOverlappedIoCompleted(&second.overlapped));
    answer(&disk, &abandoned);
    CHECK_EQ(finish(&second, handle, NULL), 0);
    check_sums(&disk);
    CloseHandle(handle);
    raw_server_stop(&server);
    raw_detach(&disk);
}

/* -- storms ------------------------------------------------------------------------------------ */

/* Answers some at once, some late, some never before the storm is over. */
static int answer_moodily(struct raw_server *server, const struct cm_request *request,
                          struct cm_reply *reply)
{
    uint64_t mood = request->tag * UINT64_C(0x9E3779B97F4A7C15) >> 61;

    if (mood == 0)
        Sleep(1);
    raw_serve(server, request, reply);
    return 1;
}

struct storm {
    struct raw_disk *disk;
    uint64_t seed;
    int rounds;
    LONG volatile *done, *cancelled;
};

static DWORD WINAPI storm_run(void *argument)
{
    struct storm *storm = argument;
    HANDLE handle = raw_open_disk(storm->disk);
    uint64_t random = storm->seed;

    for (int round = 0; round < storm->rounds; round++) {
        DWORD length = (DWORD)(1 + check_random(&random) % 40) * 4096, got = 0;
        struct pending pending;
        DWORD error;

        start_read(&pending, handle, length, 0);
        switch (check_random(&random) % 4) {
        case 0:
            break;
        case 1:
            Sleep(0);
            /* fall through */
        default:
            raw_cancel(handle, check_random(&random) % 2 != 0 ? &pending.overlapped : NULL);
            break;
        }
        error = finish(&pending, handle, &got);
        if (error == ERROR_SUCCESS) {
            CHECK_EQ(got, length);
            InterlockedIncrement(storm->done);
        } else {
            CHECK_EQ(error, ERROR_OPERATION_ABORTED);
            InterlockedIncrement(storm->cancelled);
        }
    }
    CloseHandle(handle);
    return 0;
}

static void test_a_storm_of_cancelling_loses_nothing(void)
{
    enum { THREADS = 6, ROUNDS = 400 };
    LONG volatile done = 0, cancelled = 0;
    struct storm storms[THREADS];
    struct raw_server server = {.answer = answer_moodily};
    uint64_t seed = check_seed();
    HANDLE threads[THREADS];
    struct raw_disk disk;
    struct cm_stats stats;

    attach(&disk, 16);
    raw_server_start(&server, &disk, MIB);
    for (int i = 0; i < THREADS; i++) {
        storms[i] = (struct storm){&disk, seed + (uint64_t)i, ROUNDS, &done, &cancelled};
        threads[i] = CreateThread(NULL, 0, storm_run, &storms[i], 0, NULL);
    }
    CHECK_EQ(WaitForMultipleObjects(THREADS, threads, TRUE, 50000), WAIT_OBJECT_0);
    for (int i = 0; i < THREADS; i++)
        CloseHandle(threads[i]);
    CHECK_EQ(done + cancelled, THREADS * ROUNDS);
    printf("  %ld done, %ld cancelled\n", done, cancelled);
    CHECK(done > 0 && cancelled > 0);
    raw_get_stats(&disk, &stats);
    CHECK_EQ(stats.requests, THREADS * ROUNDS);
    CHECK_EQ(stats.completed + stats.cancelled, THREADS * ROUNDS);
    CHECK_EQ(stats.bad_replies, 0);
    check_sums(&disk);
    raw_server_stop(&server);
    raw_detach(&disk);
}

/* -- the end of a thread, of a process --------------------------------------------------------- */

static DWORD WINAPI leave_a_read_behind(void *argument)
{
    static unsigned char buffers[64][4096]; /* outlive the thread */
    static OVERLAPPED overlapped[64];
    static LONG next;
    LONG mine = InterlockedIncrement(&next) - 1;

    ReadFile((HANDLE)argument, buffers[mine], 4096, NULL, &overlapped[mine]);
    return 0;
}

static void test_the_end_of_a_thread_takes_its_requests_back(void)
{
    struct raw_disk disk;
    struct cm_stats stats;
    HANDLE handle;

    attach(&disk, 8);
    handle = raw_open_disk(&disk);
    for (int i = 0; i < 40; i++) {
        HANDLE thread = CreateThread(NULL, 0, leave_a_read_behind, handle, 0, NULL);
        CHECK_EQ(WaitForSingleObject(thread, 5000), WAIT_OBJECT_0);
        CloseHandle(thread);
    }
    for (int tries = 0; tries < 100; tries++) {
        raw_get_stats(&disk, &stats);
        if (stats.cancelled == 40)
            break;
        Sleep(20);
    }
    CHECK_EQ(stats.cancelled, 40);
    check_sums(&disk);
    CloseHandle(handle);
    raw_detach(&disk);
}

/* The child: reads that will never be answered, many at once, until it is killed. */
static int run_stuck_client(const char *letter)
{
    char path[8] = "\\\\.\\";
    HANDLE handle;

    strcat(path, letter);
    handle = CreateFileA(path, GENERIC_READ, FILE_SHARE_READ | FILE_SHARE_WRITE, NULL,
                         OPEN_EXISTING, FILE_FLAG_OVERLAPPED, NULL);
    for (int i = 0; i < 20; i++) {
        struct pending *pending = malloc(sizeof(*pending));
        start_read(pending, handle, 256 * 1024, 0);
    }
    Sleep(INFINITE);
    return 0;
}

static void wait_for_requests(const struct raw_disk *disk, uint64_t requests)
{
    struct cm_stats stats;

    for (int tries = 0; tries < 500; tries++) {
        raw_get_stats(disk, &stats);
        if (stats.requests >= requests)
            return;
        Sleep(10);
    }
    CHECK_EQ(stats.requests, requests);
}

static void test_killed_clients_never_hang_and_leave_nothing(void)
{
    struct cm_request requests[4];
    struct cm_stats stats;
    struct raw_disk disk;
    char arguments[64];
    uint32_t count;

    attach(&disk, 4);
    for (int round = 0; round < 3; round++) {
        HANDLE child;
        DWORD start;

        snprintf(arguments, sizeof(arguments), "--stuck-client %c:", (char)disk.letter[0]);
        child = raw_spawn(arguments);
        wait_for_requests(&disk, 20 * (uint64_t)(round + 1));
        /* Some of its fragments are with the server, the rest wait. */
        CHECK_EQ(raw_exchange(&disk, NULL, 0, CM_EXCHANGE_NO_WAIT, requests, 4, &count), 0);
        CHECK_EQ(count, 4);
        start = GetTickCount();
        TerminateProcess(child, 1);
        CHECK_EQ(WaitForSingleObject(child, 5000), WAIT_OBJECT_0);
        CHECK(GetTickCount() - start < 2000);
        CloseHandle(child);
        for (int tries = 0; tries < 200; tries++) {
            raw_get_stats(&disk, &stats);
            if (stats.waiting + stats.in_flight == 0)
                break;
            Sleep(10);
        }
        CHECK_EQ(stats.cancelled, 20 * (uint64_t)(round + 1));
        check_sums(&disk);
        for (uint32_t i = 0; i < count; i++) { /* the server answers the dead */
            struct cm_reply reply = {requests[i].tag, CM_STATUS_OK, (uint32_t)requests[i].length};
            uint32_t none;
            CHECK_EQ(raw_exchange(&disk, &reply, 1, CM_EXCHANGE_NO_WAIT, requests, 0, &none), 0);
        }
    }
    raw_detach(&disk);
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        CHECK_TEST(test_a_waiting_request_is_cancelled_at_once),
        CHECK_TEST(test_a_request_with_the_server_is_cancelled_without_it),
        CHECK_TEST(test_a_large_request_half_handed_out_is_cancelled_whole),
        CHECK_TEST(test_a_cancelled_write_cannot_overtake_a_later_one),
        CHECK_TEST(test_a_late_reply_frees_what_waited_for_it),
        CHECK_TEST(test_a_storm_of_cancelling_loses_nothing),
        CHECK_TEST(test_the_end_of_a_thread_takes_its_requests_back),
        CHECK_TEST(test_killed_clients_never_hang_and_leave_nothing),
    };

    if (argc == 3 && strcmp(argv[1], "--stuck-client") == 0)
        return run_stuck_client(argv[2]);
    control = raw_open_control();
    return check_main(argc, argv, tests, sizeof(tests) / sizeof(tests[0]));
}
