/* SPDX-License-Identifier: MIT */
/*
 * test_hold.c - disks that outlive their server (cm_mount.hold_seconds): what waits, what the next
 * server gets, what the one before cannot do any more, and what happens when nobody comes. And
 * servers that hang: time limits for requests (cm_mount.timeout_seconds) and HEALTH. Step by step; under
 * load: test_next_server.c.
 */
#include "tests/unit/check.h"
#include "tests/wine/raw.h"

#include <stdlib.h>
#include <string.h>

#define MIB (1024u * 1024u)
#define SIZE (16 * MIB)
#define SLOT 4096u

static HANDLE control; /* serves nothing */

/* -- helpers ----------------------------------------------------------------------------------- */

/* A disk on a handle of its own. */
static void mount_disk(struct raw_disk *disk, uint32_t depth, uint16_t hold, uint16_t timeout)
{
    struct cm_mount mount;

    raw_mount_defaults(&mount, SIZE);
    mount.queue_depth = depth;
    mount.slot_size = SLOT;
    mount.hold_seconds = hold;
    mount.timeout_seconds = timeout;
    raw_attach(raw_open_control(), &mount, disk);
}

/* The next server of a disk whose server has gone. */
static void take_over(struct raw_disk *disk)
{
    struct raw_disk next;

    CHECK_EQ(raw_take_over(raw_open_control(), disk, &next), 0);
    CHECK_EQ(raw_share_arena(&next), 0);
    *disk = next;
}

static void remove_disk(struct raw_disk *disk)
{
    HANDLE own = disk->control;

    disk->control = control;
    raw_detach(disk);
    if (own != NULL)
        CloseHandle(own);
}

static struct cm_health health_of(const struct raw_disk *disk)
{
    struct cm_health health = {.state = 99};

    CHECK_EQ(raw_get_health(control, disk, &health), 0);
    return health;
}

static struct cm_stats stats_of(const struct raw_disk *disk)
{
    struct raw_disk any = *disk;
    struct cm_stats stats;

    any.control = control;
    raw_get_stats(&any, &stats);
    CHECK_EQ(stats.requests,
             stats.completed + stats.failed + stats.cancelled + stats.waiting + stats.in_flight);
    return stats;
}

/* What is there to be fetched, without waiting. */
static uint32_t fetch(const struct raw_disk *disk, struct cm_request *requests, uint32_t max)
{
    uint32_t count;

    CHECK_EQ(raw_exchange(disk, NULL, 0, CM_EXCHANGE_NO_WAIT, requests, max, &count), 0);
    return count;
}

/* Answer a request: a READ with `fill` in every byte. */
static DWORD answer(const struct raw_disk *disk, const struct cm_request *request, int fill)
{
    struct cm_reply reply = {.tag = request->tag};
    struct cm_request none;
    uint32_t count;

    if (request->op == CM_OP_READ)
        memset(raw_slot(disk, request->tag), fill, (size_t)request->length);
    if (request->op == CM_OP_READ || request->op == CM_OP_WRITE)
        reply.length = (uint32_t)request->length;
    return raw_exchange(disk, &reply, 1, CM_EXCHANGE_NO_WAIT, &none, 0, &count);
}

static int is_filled(const void *data, size_t length, int fill)
{
    const unsigned char *bytes = data;

    for (size_t i = 0; i < length; i++)
        if (bytes[i] != (unsigned char)fill)
            return 0;
    return 1;
}

static int exists(const struct raw_disk *disk)
{
    struct cm_health health;

    return raw_get_health(control, disk, &health) == ERROR_SUCCESS;
}

/* What becomes of requests whose disk goes; Wine refuses a handle whose device has been deleted. */
static void check_is_gone_error(DWORD error)
{
    if (error != ERROR_ACCESS_DENIED)
        CHECK_EQ(error, ERROR_NO_SUCH_DEVICE);
}

/* -- one server after the other ---------------------------------------------------------------- */

static void test_what_was_handed_out_comes_first_and_again(void)
{
    struct cm_request first[8], again[8];
    struct raw_io reads[4], writes[2];
    struct raw_disk disk;
    struct cm_stats stats;
    HANDLE handle;

    mount_disk(&disk, 4, 30, 0);
    handle = raw_open_disk(&disk);
    raw_start_read(&reads[0], handle, SLOT, 0);
    raw_start_write(&writes[0], handle, SLOT, SLOT, 0x11);
    raw_start_read(&reads[1], handle, 2 * SLOT, 8 * SLOT); /* two fragments, one has to wait */
    raw_start_read(&reads[2], handle, SLOT, 2 * SLOT);
    raw_start_write(&writes[1], handle, SLOT, 3 * SLOT, 0x22); /* has to wait */
    CHECK_EQ(fetch(&disk, first, 8), 4);
    raw_abandon(&disk);

    CHECK_EQ(health_of(&disk).state, CM_HEALTH_HELD);
    CHECK(health_of(&disk).hold_left_ms > 25000);
    CHECK(health_of(&disk).hold_left_ms <= 30000);
    raw_start_read(&reads[3], handle, SLOT, 4 * SLOT); /* comes while there is no server */
    stats = stats_of(&disk);
    CHECK_EQ(stats.in_flight, 4);
    CHECK_EQ(stats.waiting, 2);

    take_over(&disk);
    CHECK_EQ(health_of(&disk).state, CM_HEALTH_SERVED);
    CHECK_EQ(health_of(&disk).hold_left_ms, 0);
    CHECK_EQ(fetch(&disk, again, 3), 3); /* in two calls: what is left still comes first */
    CHECK_EQ(fetch(&disk, again + 3, 5), 1);
    for (int i = 0; i < 4; i++) {
        CHECK_EQ(again[i].op, first[i].op);
        CHECK_EQ(again[i].offset, first[i].offset);
        CHECK_EQ(again[i].length, first[i].length);
        CHECK(again[i].tag != first[i].tag);
        CHECK_EQ(answer(&disk, &first[i], 0xBB), ERROR_REQUEST_ABORTED); /* the tag of before */
        if (again[i].op == CM_OP_WRITE)
            CHECK(is_filled(raw_slot(&disk, again[i].tag), SLOT, 0x11));
        CHECK_EQ(answer(&disk, &again[i], 0x40 + i), 0);
        CHECK_EQ(answer(&disk, &again[i], 0xBB), ERROR_REQUEST_ABORTED);
    }
    CHECK_EQ(fetch(&disk, again, 8), 3);
    for (int i = 0; i < 3; i++) {
        if (again[i].op == CM_OP_WRITE)
            CHECK(is_filled(raw_slot(&disk, again[i].tag), SLOT, 0x22));
        CHECK_EQ(answer(&disk, &again[i], 0x50), 0);
    }
    for (int i = 0; i < 4; i++)
        CHECK_EQ(raw_finish(&reads[i]), 0);
    for (int i = 0; i < 2; i++)
        CHECK_EQ(raw_finish(&writes[i]), 0);
    for (int i = 0; i < 3; i++) { /* 0x40 + the place in which it came again */
        CHECK_EQ(reads[i].buffer[0] >> 4, 4);
        CHECK(is_filled(reads[i].buffer, SLOT, reads[i].buffer[0]));
    }
    CHECK(is_filled(reads[1].buffer + SLOT, SLOT, 0x50));
    CHECK(is_filled(reads[3].buffer, SLOT, 0x50));

    stats = stats_of(&disk);
    CHECK_EQ(stats.completed, 6);
    CHECK_EQ(stats.failed + stats.cancelled + stats.waiting + stats.in_flight, 0);
    CHECK_EQ(stats.handed_out, 4 + 4 + 3);
    CHECK_EQ(health_of(&disk).handed_out_again, 4);
    CHECK_EQ(health_of(&disk).attaches, 1);
    for (int i = 0; i < 4; i++)
        raw_free_io(&reads[i]);
    for (int i = 0; i < 2; i++)
        raw_free_io(&writes[i]);
    CloseHandle(handle);
    remove_disk(&disk);
}

/* Requests may come before ARENA_MAP has returned to the thread that called it. */
static int answer_with_arena(struct raw_server *server, const struct cm_request *request,
                             struct cm_reply *reply)
{
    while (*(unsigned char *volatile *)&server->disk->arena == NULL)
        Sleep(1);
    raw_serve(server, request, reply);
    return 1;
}

static void test_a_parked_exchange_of_the_next_server_gets_what_waits(void)
{
    struct raw_server server = {.answer = answer_with_arena};
    struct raw_disk disk, next;
    struct raw_io read;
    HANDLE handle;

    mount_disk(&disk, 4, 30, 0);
    handle = raw_open_disk(&disk);
    raw_abandon(&disk);
    raw_start_read(&read, handle, SLOT, 0);
    CHECK_EQ(raw_take_over(raw_open_control(), &disk, &next), 0);
    CHECK_EQ(health_of(&disk).state, CM_HEALTH_STARTING);
    raw_server_start(&server, &next, SIZE); /* waits before there is an arena */
    Sleep(100);
    CHECK(raw_is_under_way(&read));
    CHECK_EQ(raw_share_arena(&next), 0);
    CHECK_EQ(raw_finish(&read), 0);
    CHECK(is_filled(read.buffer, SLOT, 0));
    raw_free_io(&read);
    CloseHandle(handle);
    raw_server_stop(&server);
    remove_disk(&next);
}

static void test_a_lost_server_can_do_nothing_any_more(void)
{
    struct raw_disk disk, old;
    struct cm_request request, next;
    struct raw_io read;
    uint32_t count;
    HANDLE handle;

    mount_disk(&disk, 4, 30, 0);
    handle = raw_open_disk(&disk);
    raw_start_read(&read, handle, SLOT, 0);
    CHECK_EQ(fetch(&disk, &request, 1), 1);
    old = disk;
    CloseHandle(disk.control);
    old.control = raw_open_control(); /* the process goes on, and its arena is still there */
    memset(raw_slot(&old, request.tag), 0xBB, SLOT);
    CHECK_EQ(answer(&old, &request, 0xBB), ERROR_NOT_FOUND);
    CHECK_EQ(raw_exchange(&old, NULL, 0, 0, &next, 1, &count), ERROR_NOT_FOUND);
    take_over(&disk);
    CHECK_EQ(answer(&old, &request, 0xBB), ERROR_NOT_FOUND);
    CHECK_EQ(raw_share_arena(&old), ERROR_NOT_FOUND);
    CHECK_EQ(fetch(&disk, &next, 1), 1);
    CHECK_EQ(answer(&old, &next, 0xBB), ERROR_NOT_FOUND);
    memset(old.arena, 0xBB, (size_t)old.mounted.arena_size); /* nobody looks there any more */
    CHECK_EQ(answer(&disk, &next, 0x33), 0);
    CHECK_EQ(raw_finish(&read), 0);
    CHECK(is_filled(read.buffer, SLOT, 0x33));
    CHECK_EQ(stats_of(&disk).bad_replies, 0);
    raw_free_io(&read);
    CloseHandle(handle);
    raw_abandon(&old);
    remove_disk(&disk);
}

static void test_exchanges_under_way_end_with_their_server(void)
{
    struct raw_server server = {0};
    struct raw_disk disk, old;

    mount_disk(&disk, 4, 30, 0);
    old = disk;
    raw_server_start(&server, &old, SIZE);
    Sleep(50);
    CloseHandle(old.control);
    CHECK_EQ(WaitForSingleObject(server.thread, 5000), WAIT_OBJECT_0);
    CHECK_EQ(server.ended_with, ERROR_DEVICE_REMOVED);
    CHECK_EQ(health_of(&disk).state, CM_HEALTH_HELD);
    take_over(&disk);
    server.disk = &disk; /* whose removal ends it */
    raw_server_stop(&server);
    remove_disk(&disk);
    old.control = raw_open_control();
    raw_abandon(&old);
}

static DWORD try_attach(uint32_t version, uint32_t flags, uint64_t id, uint64_t size)
{
    struct cm_attach in = {version, flags, id, size};
    struct cm_attached out;
    HANDLE handle = raw_open_control();
    DWORD error = raw_ioctl(handle, CM_IOCTL_ATTACH, &in, sizeof(in), &out, sizeof(out), NULL);

    CloseHandle(handle);
    return error;
}

static void test_attach_is_refused(void)
{
    struct raw_disk disk, never;
    struct cm_mount mount;
    uint64_t id;

    mount_disk(&disk, 4, 30, 0);
    id = disk.mounted.disk_id;
    CHECK_EQ(try_attach(CM_ABI_VERSION, 0, id, SIZE), ERROR_BUSY); /* it has a server */
    raw_abandon(&disk);
    CHECK_EQ(try_attach(CM_ABI_VERSION + 1, 0, id, SIZE), ERROR_REVISION_MISMATCH);
    CHECK_EQ(try_attach(CM_ABI_VERSION, 1, id, SIZE), ERROR_INVALID_PARAMETER);
    CHECK_EQ(try_attach(CM_ABI_VERSION, 0, id, SIZE + 512), ERROR_INVALID_PARAMETER);
    CHECK_EQ(try_attach(CM_ABI_VERSION, 0, id + 1, SIZE), ERROR_NOT_FOUND);
    CHECK_EQ(health_of(&disk).attaches, 0);
    take_over(&disk);
    CHECK_EQ(try_attach(CM_ABI_VERSION, 0, id, SIZE), ERROR_BUSY);
    CHECK_EQ(health_of(&disk).attaches, 1);
    remove_disk(&disk);
    CHECK_EQ(try_attach(CM_ABI_VERSION, 0, id, SIZE), ERROR_NOT_FOUND);

    mount_disk(&disk, 4, 0, 0); /* one that is not to be held */
    raw_abandon(&disk);
    CHECK_EQ(try_attach(CM_ABI_VERSION, 0, disk.mounted.disk_id, SIZE), ERROR_NOT_FOUND);
    remove_disk(&disk);

    raw_mount_defaults(&mount, SIZE); /* and one that has never been served */
    mount.hold_seconds = 30;
    CHECK_EQ(raw_mount(raw_open_control(), &mount, &never), 0);
    raw_abandon(&never);
    CHECK(!exists(&never));
}

static void test_a_server_that_dies_before_its_arena_leaves_the_disk_held(void)
{
    struct raw_disk disk, next;
    struct raw_io read;
    struct cm_request request;
    HANDLE handle;

    mount_disk(&disk, 4, 30, 0);
    handle = raw_open_disk(&disk);
    raw_start_read(&read, handle, SLOT, 0);
    CHECK_EQ(fetch(&disk, &request, 1), 1);
    raw_abandon(&disk);
    CHECK_EQ(raw_take_over(raw_open_control(), &disk, &next), 0);
    raw_abandon(&next);
    CHECK_EQ(health_of(&disk).state, CM_HEALTH_HELD);
    take_over(&disk);
    CHECK_EQ(fetch(&disk, &request, 1), 1);
    CHECK_EQ(answer(&disk, &request, 0x44), 0);
    CHECK_EQ(raw_finish(&read), 0);
    CHECK_EQ(health_of(&disk).attaches, 2);
    CHECK_EQ(health_of(&disk).handed_out_again, 1);
    raw_free_io(&read);
    CloseHandle(handle);
    remove_disk(&disk);
}

static void test_a_held_disk_shows_no_owner(void)
{
    unsigned char buffer[sizeof(struct cm_list) + sizeof(struct cm_list_entry)];
    const struct cm_list *list = (struct cm_list *)buffer;
    const struct cm_list_entry *entry = (const struct cm_list_entry *)(list + 1);
    struct raw_disk disk;

    mount_disk(&disk, 4, 30, 0);
    CHECK_EQ(raw_ioctl(control, CM_IOCTL_LIST, NULL, 0, buffer, sizeof(buffer), NULL), 0);
    CHECK_EQ(entry->owner_pid, GetCurrentProcessId());
    raw_abandon(&disk);
    CHECK_EQ(raw_ioctl(control, CM_IOCTL_LIST, NULL, 0, buffer, sizeof(buffer), NULL), 0);
    CHECK_EQ(list->total, 1);
    CHECK_EQ(entry->owner_pid, 0);
    take_over(&disk);
    CHECK_EQ(raw_ioctl(control, CM_IOCTL_LIST, NULL, 0, buffer, sizeof(buffer), NULL), 0);
    CHECK_EQ(entry->owner_pid, GetCurrentProcessId());
    remove_disk(&disk);
}

/* -- requests taken back ----------------------------------------------------------------------- */

static void test_a_request_cancelled_while_held_frees_its_slot(void)
{
    struct cm_request request;
    struct raw_io first, second;
    struct raw_disk disk;
    HANDLE handle;

    mount_disk(&disk, 1, 30, 0); /* one slot */
    handle = raw_open_disk(&disk);
    raw_start_write(&first, handle, SLOT, 0, 1);
    CHECK_EQ(fetch(&disk, &request, 1), 1);
    raw_abandon(&disk);
    raw_start_write(&second, handle, SLOT, 0, 2);
    CHECK(raw_cancel(handle, &first.overlapped));
    CHECK_EQ(raw_finish(&first), ERROR_OPERATION_ABORTED);
    take_over(&disk);
    CHECK_EQ(fetch(&disk, &request, 1), 1);
    CHECK(is_filled(raw_slot(&disk, request.tag), SLOT, 2));
    CHECK_EQ(answer(&disk, &request, 0), 0);
    CHECK_EQ(raw_finish(&second), 0);
    CHECK_EQ(stats_of(&disk).cancelled, 1);
    CHECK_EQ(stats_of(&disk).completed, 1);
    raw_free_io(&first);
    raw_free_io(&second);
    CloseHandle(handle);
    remove_disk(&disk);
}

static void test_a_waiting_request_can_be_cancelled_while_held(void)
{
    struct raw_io read;
    struct raw_disk disk;
    HANDLE handle;

    mount_disk(&disk, 1, 30, 0);
    handle = raw_open_disk(&disk);
    raw_abandon(&disk);
    raw_start_read(&read, handle, SLOT, 0);
    CHECK(raw_cancel(handle, &read.overlapped));
    CHECK_EQ(raw_finish(&read), ERROR_OPERATION_ABORTED);
    CHECK_EQ(stats_of(&disk).cancelled, 1);
    raw_free_io(&read);
    CloseHandle(handle);
    remove_disk(&disk);
}

static void test_an_abandoned_write_keeps_nobody_off_after_its_server(void)
{
    struct cm_request request, next;
    struct raw_io first, second;
    struct raw_disk disk;
    HANDLE handle;

    mount_disk(&disk, 4, 30, 0);
    handle = raw_open_disk(&disk);
    raw_start_write(&first, handle, SLOT, 0, 1);
    CHECK_EQ(fetch(&disk, &request, 1), 1);
    CHECK(raw_cancel(handle, &first.overlapped));
    CHECK_EQ(raw_finish(&first), ERROR_OPERATION_ABORTED);
    raw_start_write(&second, handle, SLOT, 0, 2);
    CHECK_EQ(fetch(&disk, &next, 1), 0); /* the server may yet perform the first */
    raw_abandon(&disk);
    take_over(&disk);
    CHECK_EQ(answer(&disk, &request, 0), ERROR_REQUEST_ABORTED);
    CHECK_EQ(fetch(&disk, &next, 1), 1);
    CHECK(is_filled(raw_slot(&disk, next.tag), SLOT, 2));
    CHECK_EQ(answer(&disk, &next, 0), 0);
    CHECK_EQ(raw_finish(&second), 0);
    raw_free_io(&first);
    raw_free_io(&second);
    CloseHandle(handle);
    remove_disk(&disk);
}

/* -- the end of a held disk -------------------------------------------------------------------- */

static void test_a_disk_that_nobody_takes_over_goes(void)
{
    struct cm_request request;
    struct raw_io handed_out, waiting;
    struct raw_disk disk;
    DWORD start;
    HANDLE handle;

    mount_disk(&disk, 1, 1, 0);
    handle = raw_open_disk(&disk);
    raw_start_write(&handed_out, handle, SLOT, 0, 1);
    CHECK_EQ(fetch(&disk, &request, 1), 1);
    raw_start_read(&waiting, handle, SLOT, SLOT);
    start = GetTickCount();
    raw_abandon(&disk);
    Sleep(600);
    CHECK(raw_is_under_way(&handed_out) && raw_is_under_way(&waiting));
    CHECK_EQ(raw_finish(&handed_out), ERROR_NO_SUCH_DEVICE);
    CHECK(GetTickCount() - start >= 950);
    CHECK(GetTickCount() - start < 3000);
    CHECK_EQ(raw_finish(&waiting), ERROR_NO_SUCH_DEVICE);
    CHECK(!exists(&disk));
    CHECK_EQ(try_attach(CM_ABI_VERSION, 0, disk.mounted.disk_id, SIZE), ERROR_NOT_FOUND);
    check_is_gone_error(raw_read(handle, waiting.buffer, SLOT, 0, NULL));
    raw_free_io(&handed_out);
    raw_free_io(&waiting);
    CloseHandle(handle);
    remove_disk(&disk);
}

static void test_the_time_begins_anew_with_each_loss(void)
{
    struct raw_disk disk;

    mount_disk(&disk, 1, 1, 0);
    for (int i = 0; i < 3; i++) {
        raw_abandon(&disk);
        Sleep(600);
        take_over(&disk);
        CHECK_EQ(health_of(&disk).state, CM_HEALTH_SERVED);
    }
    Sleep(1500); /* with a server it stays */
    CHECK_EQ(health_of(&disk).state, CM_HEALTH_SERVED);
    remove_disk(&disk);
}

static void test_unmount_of_a_held_disk(void)
{
    struct cm_request request;
    struct raw_io write, read;
    struct raw_disk disk;
    HANDLE handle;

    mount_disk(&disk, 1, 30, 0); /* idle: it may go */
    raw_abandon(&disk);
    disk.control = control;
    CHECK_EQ(raw_unmount(&disk, 0, 0), 0);
    CHECK(!exists(&disk));
    raw_detach(&disk);

    mount_disk(&disk, 1, 30, 0);
    handle = raw_open_disk(&disk);
    raw_start_write(&write, handle, SLOT, 0, 1);
    CHECK_EQ(fetch(&disk, &request, 1), 1);
    raw_start_read(&read, handle, SLOT, SLOT);
    raw_abandon(&disk);
    disk.control = control;
    CHECK_EQ(raw_unmount(&disk, 0, 1), ERROR_BUSY); /* requests are under way */
    CHECK_EQ(raw_unmount(&disk, CM_UNMOUNT_FORCE, 0), 0);
    CHECK_EQ(raw_finish(&write), ERROR_NO_SUCH_DEVICE);
    CHECK_EQ(raw_finish(&read), ERROR_NO_SUCH_DEVICE);
    CHECK(!exists(&disk));
    raw_free_io(&write);
    raw_free_io(&read);
    CloseHandle(handle);
    raw_detach(&disk);
}

/* -- servers that hang ------------------------------------------------------------------------- */

static void test_a_request_that_takes_too_long_fails_and_no_other(void)
{
    struct cm_request hung_request, request;
    struct raw_io hung, read, write;
    struct raw_disk disk;
    DWORD start;
    HANDLE handle;

    mount_disk(&disk, 4, 0, 1);
    handle = raw_open_disk(&disk);
    start = GetTickCount();
    raw_start_write(&hung, handle, SLOT, 0, 1);
    CHECK_EQ(fetch(&disk, &hung_request, 1), 1);
    while (raw_is_under_way(&hung) && GetTickCount() - start < 5000) {
        raw_start_read(&read, handle, SLOT, SLOT);
        CHECK_EQ(fetch(&disk, &request, 1), 1);
        CHECK_EQ(answer(&disk, &request, 7), 0);
        CHECK_EQ(raw_finish(&read), 0);
        raw_free_io(&read);
        Sleep(10);
    }
    CHECK(GetTickCount() - start >= 950);
    CHECK(GetTickCount() - start < 3000);
    CHECK_EQ(raw_finish(&hung), ERROR_SEM_TIMEOUT);
    CHECK_EQ(health_of(&disk).timed_out, 1);
    CHECK_EQ(stats_of(&disk).failed, 1);

    /* The server may yet perform it: what overlaps it waits for the reply. */
    raw_start_write(&write, handle, SLOT, 0, 2);
    CHECK_EQ(fetch(&disk, &request, 1), 0);
    CHECK_EQ(answer(&disk, &hung_request, 0), 0);
    CHECK_EQ(fetch(&disk, &request, 1), 1);
    CHECK_EQ(answer(&disk, &request, 0), 0);
    CHECK_EQ(raw_finish(&write), 0);
    CHECK_EQ(health_of(&disk).timed_out, 1);
    raw_free_io(&hung);
    raw_free_io(&write);
    CloseHandle(handle);
    remove_disk(&disk);
}

static void test_what_waits_for_a_server_that_hangs_fails_too(void)
{
    struct cm_request request;
    struct raw_io large, waiting, next;
    struct raw_disk disk;
    HANDLE handle;

    mount_disk(&disk, 1, 0, 1);
    handle = raw_open_disk(&disk);
    raw_start_read(&large, handle, 2 * SLOT, 0); /* one fragment is handed out, one waits */
    raw_start_read(&waiting, handle, SLOT, 4 * SLOT);
    CHECK_EQ(fetch(&disk, &request, 1), 1);
    CHECK_EQ(raw_finish(&large), ERROR_SEM_TIMEOUT);
    CHECK_EQ(raw_finish(&waiting), ERROR_SEM_TIMEOUT);
    CHECK_EQ(health_of(&disk).timed_out, 2);
    CHECK_EQ(stats_of(&disk).failed, 2);
    CHECK_EQ(answer(&disk, &request, 0), 0); /* late; the slot is free again */
    raw_start_read(&next, handle, SLOT, 0);
    CHECK_EQ(fetch(&disk, &request, 1), 1);
    CHECK_EQ(answer(&disk, &request, 9), 0);
    CHECK_EQ(raw_finish(&next), 0);
    raw_free_io(&large);
    raw_free_io(&waiting);
    raw_free_io(&next);
    CloseHandle(handle);
    remove_disk(&disk);
}

static void test_health_shows_a_server_that_hangs(void)
{
    struct cm_request request;
    struct raw_disk disk;
    struct raw_io read;
    HANDLE handle;

    mount_disk(&disk, 4, 0, 0);
    handle = raw_open_disk(&disk);
    for (int round = 0; round < 2; round++) {
        raw_start_read(&read, handle, SLOT, 0);
        CHECK_EQ(health_of(&disk).unanswered_ms, 0); /* it has not been given anything */
        CHECK_EQ(fetch(&disk, &request, 1), 1);
        CHECK(health_of(&disk).unanswered_ms < 250);
        Sleep(300);
        CHECK(health_of(&disk).unanswered_ms >= 250);
        Sleep(300);
        CHECK(health_of(&disk).unanswered_ms >= 550);
        CHECK_EQ(answer(&disk, &request, 0), 0);
        CHECK_EQ(health_of(&disk).unanswered_ms, 0);
        CHECK_EQ(raw_finish(&read), 0);
        raw_free_io(&read);
        Sleep(300);
        CHECK_EQ(health_of(&disk).unanswered_ms, 0);
    }
    CloseHandle(handle);
    remove_disk(&disk);
}

static void test_time_without_a_server_does_not_count(void)
{
    struct cm_request request;
    struct raw_io handed_out, waiting;
    struct raw_disk disk, next;
    DWORD start;
    HANDLE handle;

    mount_disk(&disk, 1, 30, 1);
    handle = raw_open_disk(&disk);
    raw_start_read(&handed_out, handle, SLOT, 0);
    CHECK_EQ(fetch(&disk, &request, 1), 1);
    raw_start_read(&waiting, handle, SLOT, SLOT);
    Sleep(300);
    raw_abandon(&disk);
    CHECK_EQ(health_of(&disk).unanswered_ms, 0);
    Sleep(1500);
    CHECK_EQ(raw_take_over(raw_open_control(), &disk, &next), 0);
    Sleep(1500); /* nor without an arena */
    CHECK(raw_is_under_way(&handed_out) && raw_is_under_way(&waiting));
    CHECK_EQ(raw_share_arena(&next), 0);
    start = GetTickCount();
    Sleep(500);
    CHECK_EQ(fetch(&next, &request, 1), 1);
    CHECK_EQ(answer(&next, &request, 5), 0);
    CHECK_EQ(raw_finish(&handed_out), 0);
    CHECK_EQ(raw_finish(&waiting), ERROR_SEM_TIMEOUT); /* it had its second */
    CHECK(GetTickCount() - start >= 950);
    CHECK_EQ(health_of(&next).timed_out, 1);
    raw_free_io(&handed_out);
    raw_free_io(&waiting);
    CloseHandle(handle);
    remove_disk(&next);
}

/* -- the driver's end -------------------------------------------------------------------------- */

static void set_service(SC_HANDLE service, int run)
{
    DWORD wanted = run ? SERVICE_RUNNING : SERVICE_STOPPED;
    SERVICE_STATUS status;

    CHECK(run ? StartServiceW(service, 0, NULL)
              : ControlService(service, SERVICE_CONTROL_STOP, &status));
    for (int tries = 0; tries < 500; tries++) {
        CHECK(QueryServiceStatus(service, &status));
        if (status.dwCurrentState == wanted)
            return;
        Sleep(10);
    }
    CHECK_EQ(status.dwCurrentState, wanted);
}

/* Leaves it running. */
static void test_the_driver_stops_with_disks_held_and_timed(void)
{
    SC_HANDLE manager = OpenSCManagerW(NULL, NULL, SC_MANAGER_CONNECT);
    SC_HANDLE service = OpenServiceW(manager, L"" CM_SERVICE_NAME,
                                     SERVICE_START | SERVICE_STOP | SERVICE_QUERY_STATUS);
    struct cm_request request;
    struct raw_disk held, timed;
    struct raw_io reads[3];
    HANDLE held_handle, timed_handle;

    CHECK(service != NULL);
    for (int round = 0; round < 5; round++) {
        mount_disk(&held, 1, 30, 1);
        held_handle = raw_open_disk(&held);
        raw_start_read(&reads[0], held_handle, SLOT, 0);
        CHECK_EQ(fetch(&held, &request, 1), 1);
        raw_start_read(&reads[1], held_handle, SLOT, 0);
        raw_abandon(&held);
        mount_disk(&timed, 1, 30, 1);
        timed_handle = raw_open_disk(&timed);
        raw_start_read(&reads[2], timed_handle, SLOT, 0);
        CHECK_EQ(health_of(&held).state, CM_HEALTH_HELD);
        CloseHandle(control);
        set_service(service, 0);
        for (int i = 0; i < 3; i++) {
            check_is_gone_error(raw_finish(&reads[i]));
            raw_free_io(&reads[i]);
        }
        CloseHandle(held_handle);
        CloseHandle(timed_handle);
        set_service(service, 1);
        control = raw_open_control();
        CHECK(!exists(&held) && !exists(&timed));
        remove_disk(&held);
        remove_disk(&timed);
    }
    CloseServiceHandle(service);
    CloseServiceHandle(manager);
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        CHECK_TEST(test_what_was_handed_out_comes_first_and_again),
        CHECK_TEST(test_a_parked_exchange_of_the_next_server_gets_what_waits),
        CHECK_TEST(test_a_lost_server_can_do_nothing_any_more),
        CHECK_TEST(test_exchanges_under_way_end_with_their_server),
        CHECK_TEST(test_attach_is_refused),
        CHECK_TEST(test_a_server_that_dies_before_its_arena_leaves_the_disk_held),
        CHECK_TEST(test_a_held_disk_shows_no_owner),
        CHECK_TEST(test_a_request_cancelled_while_held_frees_its_slot),
        CHECK_TEST(test_a_waiting_request_can_be_cancelled_while_held),
        CHECK_TEST(test_an_abandoned_write_keeps_nobody_off_after_its_server),
        CHECK_TEST(test_a_disk_that_nobody_takes_over_goes),
        CHECK_TEST(test_the_time_begins_anew_with_each_loss),
        CHECK_TEST(test_unmount_of_a_held_disk),
        CHECK_TEST(test_a_request_that_takes_too_long_fails_and_no_other),
        CHECK_TEST(test_what_waits_for_a_server_that_hangs_fails_too),
        CHECK_TEST(test_health_shows_a_server_that_hangs),
        CHECK_TEST(test_time_without_a_server_does_not_count),
        CHECK_TEST(test_the_driver_stops_with_disks_held_and_timed),
    };

    control = raw_open_control();
    return check_main(argc, argv, tests, sizeof(tests) / sizeof(tests[0]));
}
