/* SPDX-License-Identifier: MIT */
/*
 * test_hostile_server.c - bad replies and bad exchanges of every kind: refused, counted, and
 * harmless to every other request and disk.
 */
#include "tests/unit/check.h"
#include "tests/wine/raw.h"

#include <stdlib.h>
#include <string.h>

#define MIB (1024u * 1024u)
#define PATTERN 0xC3

static HANDLE control;

/* A client that reads 4 KiB in a thread of its own. */
struct client {
    HANDLE disk, thread;
    DWORD op; /* CM_OP_READ or CM_OP_WRITE */
    DWORD error, got;
    int64_t offset;
    unsigned char buffer[4096];
};

static DWORD WINAPI client_run(void *argument)
{
    struct client *client = argument;

    if (client->op == CM_OP_WRITE)
        client->error = raw_write(client->disk, client->buffer, 4096, client->offset, &client->got);
    else
        client->error = raw_read(client->disk, client->buffer, 4096, client->offset, &client->got);
    return 0;
}

static void client_start(struct client *client, const struct raw_disk *disk, DWORD op,
                         int64_t offset)
{
    memset(client, 0, sizeof(*client));
    client->disk = raw_open_disk(disk);
    client->op = op;
    client->offset = offset;
    client->thread = CreateThread(NULL, 0, client_run, client, 0, NULL);
}

static void client_finish(struct client *client)
{
    CHECK_EQ(WaitForSingleObject(client->thread, 10000), WAIT_OBJECT_0);
    CloseHandle(client->thread);
    CloseHandle(client->disk);
}

static int client_is_waiting(struct client *client)
{
    return WaitForSingleObject(client->thread, 50) == WAIT_TIMEOUT;
}

static void attach(struct raw_disk *disk)
{
    struct cm_mount mount;

    raw_mount_defaults(&mount, 16 * MIB);
    raw_attach(control, &mount, disk);
}

/* The one request that there must be. */
static struct cm_request fetch_one(const struct raw_disk *disk)
{
    struct cm_request request = {0};
    uint32_t count;

    CHECK_EQ(raw_exchange(disk, NULL, 0, 0, &request, 1, &count), 0);
    CHECK_EQ(count, 1);
    return request;
}

/* Send one reply without waiting. @return the error. */
static DWORD send_reply(const struct raw_disk *disk, uint64_t tag, uint32_t status, uint32_t length)
{
    struct cm_reply reply = {tag, status, length};
    struct cm_request request;
    uint32_t count;

    return raw_exchange(disk, &reply, 1, CM_EXCHANGE_NO_WAIT, &request, 0, &count);
}

static uint64_t bad_replies(const struct raw_disk *disk)
{
    struct cm_stats stats;

    raw_get_stats(disk, &stats);
    return stats.bad_replies;
}

static void answer_well(const struct raw_disk *disk, const struct cm_request *request)
{
    memset(raw_slot(disk, request->tag), PATTERN, 4096);
    CHECK_EQ(send_reply(disk, request->tag, CM_STATUS_OK, 4096), 0);
}

static void check_pattern(struct client *client)
{
    client_finish(client);
    CHECK_EQ(client->error, 0);
    CHECK_EQ(client->got, 4096);
    for (int i = 0; i < 4096; i++)
        if (client->buffer[i] != PATTERN)
            CHECK_EQ(i, -1);
}

static void test_unknown_tags_are_refused(void)
{
    struct raw_disk disk;
    struct client client;
    struct cm_request request;
    uint64_t bad;

    attach(&disk);
    client_start(&client, &disk, CM_OP_READ, 0);
    request = fetch_one(&disk);
    bad = bad_replies(&disk);
    CHECK_EQ(send_reply(&disk, request.tag + 1, CM_STATUS_OK, 4096), ERROR_REQUEST_ABORTED);
    CHECK_EQ(send_reply(&disk, request.tag + 0x10000, CM_STATUS_OK, 4096), ERROR_REQUEST_ABORTED);
    CHECK_EQ(send_reply(&disk, request.tag ^ UINT64_C(1) << 63, CM_STATUS_OK, 4096),
             ERROR_REQUEST_ABORTED);
    CHECK_EQ(send_reply(&disk, 0, CM_STATUS_OK, 4096), ERROR_REQUEST_ABORTED);
    CHECK_EQ(send_reply(&disk, UINT64_MAX, CM_STATUS_OK, 4096), ERROR_REQUEST_ABORTED);
    CHECK_EQ(send_reply(&disk, 0xFFFF, CM_STATUS_OK, 4096), ERROR_REQUEST_ABORTED);
    CHECK_EQ(bad_replies(&disk), bad + 6);
    CHECK(client_is_waiting(&client));
    answer_well(&disk, &request);
    check_pattern(&client);
    raw_detach(&disk);
}

static void test_a_second_reply_is_refused(void)
{
    struct raw_disk disk;
    struct client client;
    struct cm_request request;

    attach(&disk);
    client_start(&client, &disk, CM_OP_READ, 0);
    request = fetch_one(&disk);
    answer_well(&disk, &request);
    check_pattern(&client);
    CHECK_EQ(send_reply(&disk, request.tag, CM_STATUS_OK, 4096), ERROR_REQUEST_ABORTED);

    /* The slot is in use again, under another tag: the old one must not reach it. */
    client_start(&client, &disk, CM_OP_READ, 4096);
    struct cm_request next = fetch_one(&disk);
    CHECK_EQ(CM_TAG_SLOT(next.tag), CM_TAG_SLOT(request.tag));
    CHECK(next.tag != request.tag);
    CHECK_EQ(send_reply(&disk, request.tag, CM_STATUS_IO_ERROR, 0), ERROR_REQUEST_ABORTED);
    CHECK(client_is_waiting(&client));
    answer_well(&disk, &next);
    check_pattern(&client);
    raw_detach(&disk);
}

static void test_twice_in_one_batch_counts_once(void)
{
    struct raw_disk disk;
    struct client client;
    struct cm_request request, none;
    struct cm_reply replies[3];
    uint32_t count;
    uint64_t bad;

    attach(&disk);
    client_start(&client, &disk, CM_OP_READ, 0);
    request = fetch_one(&disk);
    memset(raw_slot(&disk, request.tag), PATTERN, 4096);
    bad = bad_replies(&disk);
    for (int i = 0; i < 3; i++)
        replies[i] = (struct cm_reply){request.tag, CM_STATUS_OK, 4096};
    CHECK_EQ(raw_exchange(&disk, replies, 3, CM_EXCHANGE_NO_WAIT, &none, 1, &count),
             ERROR_REQUEST_ABORTED);
    CHECK_EQ(bad_replies(&disk), bad + 2);
    check_pattern(&client); /* the good one was applied */
    raw_detach(&disk);
}

static void test_wrong_lengths_and_statuses_are_refused(void)
{
    struct raw_disk disk;
    struct client client;
    struct cm_request request;

    attach(&disk);
    client_start(&client, &disk, CM_OP_READ, 0);
    request = fetch_one(&disk);
    CHECK_EQ(send_reply(&disk, request.tag, CM_STATUS_OK, 0), ERROR_REQUEST_ABORTED);
    CHECK_EQ(send_reply(&disk, request.tag, CM_STATUS_OK, 4095), ERROR_REQUEST_ABORTED);
    CHECK_EQ(send_reply(&disk, request.tag, CM_STATUS_OK, 4097), ERROR_REQUEST_ABORTED);
    CHECK_EQ(send_reply(&disk, request.tag, CM_STATUS_OK, UINT32_MAX), ERROR_REQUEST_ABORTED);
    CHECK_EQ(send_reply(&disk, request.tag, CM_STATUS_IO_ERROR, 4096), ERROR_REQUEST_ABORTED);
    CHECK_EQ(send_reply(&disk, request.tag, CM_STATUS_COUNT, 0), ERROR_REQUEST_ABORTED);
    CHECK_EQ(send_reply(&disk, request.tag, UINT32_MAX, 0), ERROR_REQUEST_ABORTED);
    CHECK(client_is_waiting(&client));
    answer_well(&disk, &request);
    check_pattern(&client);
    raw_detach(&disk);
}

static void test_a_tag_of_another_disk_is_refused(void)
{
    struct raw_disk first, second;
    struct client client;
    struct cm_request request;

    attach(&first);
    attach(&second);
    client_start(&client, &first, CM_OP_READ, 0);
    request = fetch_one(&first);
    CHECK_EQ(send_reply(&second, request.tag, CM_STATUS_OK, 4096), ERROR_REQUEST_ABORTED);
    CHECK_EQ(bad_replies(&first), 0);
    CHECK_EQ(bad_replies(&second), 1);
    CHECK(client_is_waiting(&client));
    answer_well(&first, &request);
    check_pattern(&client);
    raw_detach(&first);
    raw_detach(&second);
}

static void test_a_reply_by_another_handle_is_refused(void)
{
    HANDLE other = raw_open_control();
    struct raw_disk disk, stolen;
    struct client client;
    struct cm_request request;

    attach(&disk);
    client_start(&client, &disk, CM_OP_READ, 0);
    request = fetch_one(&disk);
    stolen = disk;
    stolen.control = other;
    CHECK_EQ(send_reply(&stolen, request.tag, CM_STATUS_OK, 4096), ERROR_NOT_FOUND);
    CHECK(client_is_waiting(&client));
    answer_well(&disk, &request);
    check_pattern(&client);
    CloseHandle(other);
    raw_detach(&disk);
}

/* What the server writes to a slot after its reply, or to a slot of a WRITE, changes nothing. */
static void test_data_is_taken_when_it_is_handed_over(void)
{
    struct raw_disk disk;
    struct client client;
    struct cm_request request;
    unsigned char *slot;

    attach(&disk);
    client_start(&client, &disk, CM_OP_READ, 0);
    request = fetch_one(&disk);
    answer_well(&disk, &request);
    memset(raw_slot(&disk, request.tag), 0, 4096);
    check_pattern(&client);

    client_start(&client, &disk, CM_OP_WRITE, 0);
    request = fetch_one(&disk);
    slot = raw_slot(&disk, request.tag);
    CHECK_EQ(slot[0], 0); /* the client's zeros */
    memset(slot, PATTERN, 4096);
    CHECK_EQ(send_reply(&disk, request.tag, CM_STATUS_OK, 4096), 0);
    client_finish(&client);
    CHECK_EQ(client.error, 0);
    CHECK_EQ(client.buffer[0], 0);
    raw_detach(&disk);
}

/* A server that scribbles over the whole arena all the time: no crash, and lengths stay the
 * driver's. */
static DWORD WINAPI scribble(void *argument)
{
    struct raw_disk *disk = argument;
    uint64_t seed = 1;

    for (int round = 0; round < 200; round++)
        memset(disk->arena, (int)check_random(&seed), (size_t)disk->mounted.arena_size);
    return 0;
}

static void test_an_arena_that_changes_under_the_copy_is_harmless(void)
{
    struct raw_disk disk;
    struct raw_server server = {0};
    unsigned char *buffer = malloc(MIB + 2);
    HANDLE handle, thread;

    attach(&disk);
    raw_server_start(&server, &disk, MIB);
    handle = raw_open_disk(&disk);
    thread = CreateThread(NULL, 0, scribble, &disk, 0, NULL);
    buffer[0] = buffer[MIB + 1] = PATTERN;
    while (WaitForSingleObject(thread, 0) == WAIT_TIMEOUT) {
        DWORD got;
        CHECK_EQ(raw_read(handle, buffer + 1, MIB, 0, &got), 0);
        CHECK_EQ(got, MIB);
    }
    CHECK(buffer[0] == PATTERN && buffer[MIB + 1] == PATTERN);
    CloseHandle(thread);
    CloseHandle(handle);
    raw_server_stop(&server);
    raw_detach(&disk);
    free(buffer);
}

/* -- bad frames -------------------------------------------------------------------------------- */

static DWORD send_frame(const struct raw_disk *disk, uint32_t reply_count, uint32_t flags,
                        DWORD in_size)
{
    struct {
        struct cm_exchange head;
        struct cm_reply replies[4];
    } in = {.head = {disk->mounted.disk_id, reply_count, flags}};
    unsigned char out[256];

    return raw_ioctl(disk->control, CM_IOCTL_EXCHANGE, &in, in_size, out, sizeof(out), NULL);
}

/* All sent, and one more than there can be requests. */
static DWORD send_too_many_replies(const struct raw_disk *disk)
{
    DWORD size = sizeof(struct cm_exchange) + (CM_MAX_QUEUE_DEPTH + 1) * sizeof(struct cm_reply);
    struct cm_exchange *in = calloc(1, size);
    unsigned char out[256];
    DWORD error;

    *in = (struct cm_exchange){disk->mounted.disk_id, CM_MAX_QUEUE_DEPTH + 1, CM_EXCHANGE_NO_WAIT};
    error = raw_ioctl(disk->control, CM_IOCTL_EXCHANGE, in, size, out, sizeof(out), NULL);
    free(in);
    return error;
}

static void test_malformed_exchanges_are_refused_whole(void)
{
    struct raw_disk disk;

    attach(&disk);
    CHECK_EQ(send_frame(&disk, 1, CM_EXCHANGE_NO_WAIT, 16), ERROR_INVALID_PARAMETER);
    CHECK_EQ(send_frame(&disk, 1, CM_EXCHANGE_NO_WAIT, 31), ERROR_INVALID_PARAMETER);
    CHECK_EQ(send_frame(&disk, 3, CM_EXCHANGE_NO_WAIT, 16 + 2 * 16), ERROR_INVALID_PARAMETER);
    CHECK_EQ(send_frame(&disk, UINT32_MAX, CM_EXCHANGE_NO_WAIT, 16 + 4 * 16),
             ERROR_INVALID_PARAMETER);
    CHECK_EQ(send_frame(&disk, 0x10000001, CM_EXCHANGE_NO_WAIT, 16 + 16), ERROR_INVALID_PARAMETER);
    CHECK_EQ(send_frame(&disk, 0, CM_EXCHANGE_ALL_FLAGS + 1, 16), ERROR_INVALID_PARAMETER);
    CHECK_EQ(send_too_many_replies(&disk), ERROR_INVALID_PARAMETER);
    CHECK_EQ(send_frame(&disk, 0, 0x80000001u, 16), ERROR_INVALID_PARAMETER);
    CHECK_EQ(send_frame(&disk, 0, CM_EXCHANGE_NO_WAIT, 16), 0);
    CHECK_EQ(bad_replies(&disk), 0);
    raw_detach(&disk);
}

static void test_a_thousand_garbage_replies_are_counted(void)
{
    struct cm_reply *replies = calloc(CM_MAX_QUEUE_DEPTH, sizeof(*replies));
    struct raw_disk disk;
    struct cm_request request;
    uint64_t seed = check_seed();
    uint32_t count;

    attach(&disk);
    for (uint32_t i = 0; i < CM_MAX_QUEUE_DEPTH; i++)
        replies[i] = (struct cm_reply){check_random(&seed), (uint32_t)check_random(&seed),
                                       (uint32_t)check_random(&seed)};
    CHECK_EQ(
        raw_exchange(&disk, replies, CM_MAX_QUEUE_DEPTH, CM_EXCHANGE_NO_WAIT, &request, 1, &count),
        ERROR_REQUEST_ABORTED);
    CHECK_EQ(bad_replies(&disk), CM_MAX_QUEUE_DEPTH);
    raw_detach(&disk);
    free(replies);
}

/* -- exchanges as they should be --------------------------------------------------------------- */

static void test_a_batch_carries_many_requests_and_their_replies_in_any_order(void)
{
    enum { CLIENTS = 8 };
    struct client clients[CLIENTS];
    struct cm_request requests[32];
    struct cm_reply replies[CLIENTS];
    struct raw_disk disk;
    uint32_t count, fetched = 0;

    attach(&disk);
    for (int i = 0; i < CLIENTS; i++)
        client_start(&clients[i], &disk, CM_OP_READ, 4096 * i);
    Sleep(300); /* all are waiting by now */
    while (fetched < CLIENTS) {
        CHECK_EQ(raw_exchange(&disk, NULL, 0, 0, requests + fetched, 32 - fetched, &count), 0);
        CHECK(fetched != 0 || count == CLIENTS); /* one exchange brings them all */
        fetched += count;
    }
    for (int i = 0; i < CLIENTS; i++) {
        const struct cm_request *request = &requests[CLIENTS - 1 - i];
        memset(raw_slot(&disk, request->tag), (int)(request->offset / 4096), 4096);
        replies[i] = (struct cm_reply){request->tag, CM_STATUS_OK, 4096};
    }
    CHECK_EQ(raw_exchange(&disk, replies, CLIENTS, CM_EXCHANGE_NO_WAIT, requests, 32, &count), 0);
    CHECK_EQ(count, 0);
    for (int i = 0; i < CLIENTS; i++) {
        client_finish(&clients[i]);
        CHECK_EQ(clients[i].error, 0);
        CHECK_EQ(clients[i].buffer[0], i);
        CHECK_EQ(clients[i].buffer[4095], i);
    }
    raw_detach(&disk);
}

static void test_no_more_is_handed_out_than_fits(void)
{
    struct client clients[3];
    struct cm_request request;
    struct raw_disk disk;
    uint32_t count;

    attach(&disk);
    for (int i = 0; i < 3; i++)
        client_start(&clients[i], &disk, CM_OP_READ, 0);
    Sleep(200);
    CHECK_EQ(raw_exchange(&disk, NULL, 0, 0, &request, 0, &count), 0); /* no room: does not wait */
    CHECK_EQ(count, 0);
    for (int i = 0; i < 3; i++) {
        request = fetch_one(&disk);
        answer_well(&disk, &request);
    }
    for (int i = 0; i < 3; i++)
        check_pattern(&clients[i]);
    raw_detach(&disk);
}

/* A waiting exchange is one call that the server cannot be woken from: CancelIoEx must end it. */
static void test_a_waiting_exchange_can_be_cancelled(void)
{
    struct cm_exchange in = {0};
    unsigned char out[256];
    OVERLAPPED overlapped = {.hEvent = CreateEventW(NULL, TRUE, FALSE, NULL)};
    struct client client;
    struct cm_request request;
    struct raw_disk disk;
    DWORD got;

    attach(&disk);
    in.disk_id = disk.mounted.disk_id;
    CHECK(!DeviceIoControl(control, CM_IOCTL_EXCHANGE, &in, sizeof(in), out, sizeof(out), NULL,
                           &overlapped));
    CHECK_EQ(GetLastError(), ERROR_IO_PENDING);
    Sleep(50);
    CHECK(raw_cancel(control, &overlapped));
    CHECK(!GetOverlappedResult(control, &overlapped, &got, TRUE));
    CHECK_EQ(GetLastError(), ERROR_OPERATION_ABORTED);
    client_start(&client, &disk, CM_OP_READ, 0); /* nothing was lost with it */
    request = fetch_one(&disk);
    answer_well(&disk, &request);
    check_pattern(&client);
    CloseHandle(overlapped.hEvent);
    raw_detach(&disk);
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        CHECK_TEST(test_unknown_tags_are_refused),
        CHECK_TEST(test_a_second_reply_is_refused),
        CHECK_TEST(test_twice_in_one_batch_counts_once),
        CHECK_TEST(test_wrong_lengths_and_statuses_are_refused),
        CHECK_TEST(test_a_tag_of_another_disk_is_refused),
        CHECK_TEST(test_a_reply_by_another_handle_is_refused),
        CHECK_TEST(test_data_is_taken_when_it_is_handed_over),
        CHECK_TEST(test_an_arena_that_changes_under_the_copy_is_harmless),
        CHECK_TEST(test_malformed_exchanges_are_refused_whole),
        CHECK_TEST(test_a_thousand_garbage_replies_are_counted),
        CHECK_TEST(test_a_batch_carries_many_requests_and_their_replies_in_any_order),
        CHECK_TEST(test_no_more_is_handed_out_than_fits),
        CHECK_TEST(test_a_waiting_exchange_can_be_cancelled),
    };

    control = raw_open_control();
    return check_main(argc, argv, tests, sizeof(tests) / sizeof(tests[0]));
}
