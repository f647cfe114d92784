/* SPDX-License-Identifier: MIT */
/*
 * test_next_server.c - disks that are held (cm_mount.hold_seconds), under load: servers are killed or
 * close their handle in the middle of everything, others take over, and the programs that read and
 * write all the while see neither an error nor other data than their own.
 */
#include "tests/unit/check.h"
#include "tests/wine/raw.h"

#include <stdlib.h>
#include <string.h>

#define MIB (1024u * 1024u)
#define SIZE (16 * MIB)

static HANDLE control; /* serves nothing */

/* -- a server in a process of its own ---------------------------------------------------------- */

/*
 * Children serve the image that lies in a shared mapping, one after the other, and leave one request in
 * so many unanswered for ever. Their parent kills them.
 */
#define SHARED_NAME "CoreMntTestNextServer"
#define UNANSWERED 100

struct shared {
    LONG volatile ready;
    struct raw_disk disk; /* what others know of it */
    LONG volatile calm;   /* answer everything */
    unsigned char image[SIZE];
};

static struct shared *open_shared(void)
{
    HANDLE mapping = CreateFileMappingA(INVALID_HANDLE_VALUE, NULL, PAGE_READWRITE, 0,
                                        sizeof(struct shared), SHARED_NAME);
    struct shared *shared = MapViewOfFile(mapping, FILE_MAP_ALL_ACCESS, 0, 0, 0);

    CHECK(shared != NULL);
    return shared; /* for the life of the process */
}

static int answer_most(struct raw_server *server, const struct cm_request *request,
                       struct cm_reply *reply)
{
    static uint64_t seed = 1;
    const struct shared *shared = server->context;

    if (shared->calm || check_random(&seed) % UNANSWERED != 0) {
        raw_serve(server, request, reply);
        return 1;
    }
    if (check_random(&seed) % 2 != 0)
        raw_serve(server, request, reply); /* done, but not answered */
    return 0;
}

static int run_server(int first)
{
    static struct raw_disk disk;
    static struct raw_server server;
    struct shared *shared = open_shared();
    struct cm_mount mount;

    raw_mount_defaults(&mount, SIZE);
    mount.hold_seconds = 30;
    if (first) {
        raw_attach(raw_open_control(), &mount, &disk);
        shared->disk = disk;
    } else if (raw_take_over(raw_open_control(), &shared->disk, &disk) != ERROR_SUCCESS ||
               raw_share_arena(&disk) != ERROR_SUCCESS) {
        return 2;
    }
    server.answer = answer_most;
    server.given = shared->image;
    server.context = shared;
    raw_server_start(&server, &disk, SIZE);
    InterlockedExchange(&shared->ready, 1);
    Sleep(INFINITE);
    return 0;
}

static HANDLE start_server(struct shared *shared, const char *how)
{
    HANDLE process;

    InterlockedExchange(&shared->ready, 0);
    process = raw_spawn(how);
    for (int tries = 0; tries < 1000 && !shared->ready; tries++)
        Sleep(10);
    CHECK(shared->ready);
    return process;
}

static void kill(HANDLE process)
{
    TerminateProcess(process, 1);
    CHECK_EQ(WaitForSingleObject(process, 5000), WAIT_OBJECT_0);
    CloseHandle(process);
}

/* -- clients ----------------------------------------------------------------------------------- */

/* A client has a part of the disk for itself and knows what must be in it. */
enum { CLIENTS = 6, PART = SIZE / CLIENTS / 4096 * 4096, LARGEST = 192 * 1024 };

struct client {
    const struct raw_disk *disk;
    uint64_t seed;
    int64_t base;
    LONG volatile stop;
    LONG good, wrong, retries;
    DWORD error; /* the first */
};

/* Wine takes back what is not meant (test_server_death.c tells why): then the request is made again. */
static DWORD transfer(struct client *client, HANDLE handle, int write, unsigned char *data,
                      DWORD length, int64_t offset)
{
    for (;;) {
        DWORD error = write ? raw_write(handle, data, length, offset, NULL)
                            : raw_read(handle, data, length, offset, NULL);
        if (error != ERROR_OPERATION_ABORTED || client->retries == 3)
            return error;
        client->retries++;
    }
}

static DWORD WINAPI client_run(void *argument)
{
    struct client *client = argument;
    unsigned char *known = calloc(1, PART), *buffer = malloc(LARGEST);
    HANDLE handle = raw_open_disk(client->disk);

    while (!client->stop && client->error == ERROR_SUCCESS) {
        DWORD length = (DWORD)(1 + check_random(&client->seed) % (LARGEST / 4096)) * 4096;
        DWORD at = (DWORD)(check_random(&client->seed) % ((PART - length) / 4096 + 1)) * 4096;
        int write = check_random(&client->seed) % 2 != 0;
        if (write) {
            for (DWORD i = 0; i < length; i++)
                buffer[i] = (unsigned char)(check_random(&client->seed) >> 56);
            memcpy(known + at, buffer, length);
        }
        client->error = transfer(client, handle, write, buffer, length, client->base + at);
        if (!write && memcmp(buffer, known + at, length) != 0)
            client->wrong++;
        client->good += client->error == ERROR_SUCCESS;
    }
    CloseHandle(handle);
    free(known);
    free(buffer);
    return 0;
}

/* -- tests ------------------------------------------------------------------------------------- */

static struct cm_health health_of(const struct raw_disk *disk)
{
    struct cm_health health = {.state = 99};

    CHECK_EQ(raw_get_health(control, disk, &health), 0);
    return health;
}

static struct cm_stats stats_of(const struct raw_disk *disk)
{
    struct cm_stats stats;

    raw_get_stats(disk, &stats);
    CHECK_EQ(stats.requests,
             stats.completed + stats.failed + stats.cancelled + stats.waiting + stats.in_flight);
    return stats;
}

static void test_killed_servers_cost_no_request_and_no_data(void)
{
    struct shared *shared = open_shared();
    struct client clients[CLIENTS] = {0};
    HANDLE threads[CLIENTS], server;
    struct raw_disk disk;
    uint64_t seed = check_seed();
    struct cm_health health;

    shared->calm = 0;
    memset(shared->image, 0, SIZE);
    server = start_server(shared, "--server");
    disk = shared->disk;
    disk.control = control;
    disk.arena = NULL; /* the child's */
    for (int i = 0; i < CLIENTS; i++) {
        clients[i].disk = &disk;
        clients[i].seed = seed + (uint64_t)i;
        clients[i].base = (int64_t)i * PART;
        threads[i] = CreateThread(NULL, 0, client_run, &clients[i], 0, NULL);
    }
    for (int round = 0; round < 8; round++) {
        Sleep(100 + (DWORD)(check_random(&seed) % 300));
        kill(server);
        health = health_of(&disk);
        CHECK_EQ(health.state, CM_HEALTH_HELD);
        stats_of(&disk);
        if (round % 2 != 0)
            Sleep(200);
        server = start_server(shared, "--next-server");
    }
    InterlockedExchange(&shared->calm, 1); /* and what it has left unanswered by now: */
    kill(server);
    server = start_server(shared, "--next-server");
    Sleep(300);
    for (int i = 0; i < CLIENTS; i++)
        InterlockedExchange(&clients[i].stop, 1);
    CHECK_EQ(WaitForMultipleObjects(CLIENTS, threads, TRUE, 10000), WAIT_OBJECT_0);
    for (int i = 0; i < CLIENTS; i++) {
        CHECK_EQ(clients[i].error, 0);
        CHECK_EQ(clients[i].wrong, 0);
        CHECK(clients[i].good > 0);
        if (clients[i].retries != 0)
            printf("  Wine cancelled %ld requests of somebody else\n", (long)clients[i].retries);
        CloseHandle(threads[i]);
    }
    health = health_of(&disk);
    CHECK_EQ(health.attaches, 9);
    CHECK(health.handed_out_again > 0);
    CHECK_EQ(stats_of(&disk).failed, 0);
    printf("  %llu requests, %llu handed out again\n", (unsigned long long)stats_of(&disk).requests,
           (unsigned long long)health.handed_out_again);
    raw_detach(&disk);
    kill(server);
}

static void test_twenty_servers_one_after_the_other(void)
{
    struct raw_server server = {.given = calloc(1, SIZE)};
    struct client client = {.seed = check_seed()};
    struct raw_disk disk, old;
    struct cm_mount mount;
    HANDLE thread;

    raw_mount_defaults(&mount, SIZE);
    mount.queue_depth = 8;
    mount.slot_size = 4096;
    mount.hold_seconds = 30;
    mount.timeout_seconds = 10;
    raw_attach(raw_open_control(), &mount, &disk);
    raw_server_start(&server, &disk, SIZE);
    client.disk = &disk;
    thread = CreateThread(NULL, 0, client_run, &client, 0, NULL);
    for (int i = 1; i <= 20; i++) {
        Sleep(20);
        old = disk;
        server.disk = &old;
        Sleep(20);
        CloseHandle(old.control);
        CHECK_EQ(WaitForSingleObject(server.thread, 5000), WAIT_OBJECT_0);
        CloseHandle(server.thread);
        old.control = raw_open_control();
        raw_abandon(&old);
        CHECK_EQ(raw_take_over(raw_open_control(), &old, &disk), 0);
        CHECK_EQ(raw_share_arena(&disk), 0);
        CHECK_EQ(health_of(&disk).attaches, (uint64_t)i);
        raw_server_start(&server, &disk, SIZE);
    }
    Sleep(50);
    InterlockedExchange(&client.stop, 1);
    CHECK_EQ(WaitForSingleObject(thread, 10000), WAIT_OBJECT_0);
    CHECK_EQ(client.error, 0);
    CHECK_EQ(client.wrong, 0);
    CHECK(client.good > 0);
    CloseHandle(thread);
    raw_server_stop(&server);
    raw_detach(&disk);
    CloseHandle(disk.control);
    free(server.given);
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        CHECK_TEST(test_killed_servers_cost_no_request_and_no_data),
        CHECK_TEST(test_twenty_servers_one_after_the_other),
    };

    if (argc == 2 && strcmp(argv[1], "--server") == 0)
        return run_server(1);
    if (argc == 2 && strcmp(argv[1], "--next-server") == 0)
        return run_server(0);
    control = raw_open_control();
    return check_main(argc, argv, tests, sizeof(tests) / sizeof(tests[0]));
}
