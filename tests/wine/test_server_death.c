/* SPDX-License-Identifier: MIT */
/*
 * test_server_death.c - servers that end in the middle of their work: killed, exited, their handle
 * closed. Their disks go within a second, what waited for them fails, and other servers and disks
 * do not notice.
 */
#include "tests/unit/check.h"
#include "tests/wine/raw.h"

#include <stdlib.h>
#include <string.h>

#define MIB (1024u * 1024u)
#define DEATH_MS 1000 /* how long a disk may outlive its server */

static HANDLE control;

/* -- a server in a process of its own ---------------------------------------------------------- */

/*
 * The child mounts a disk, tells its id and letter through a shared file mapping, and serves: all
 * requests, or, with
 * `--stuck`, none that it fetches.
 */
struct shared {
    LONG volatile ready;
    uint64_t disk_id;
    uint32_t number;
    WCHAR letter[4];
};

#define SHARED_NAME "CoreMntTestServerDeath"

static struct shared *open_shared(void)
{
    HANDLE mapping = CreateFileMappingA(INVALID_HANDLE_VALUE, NULL, PAGE_READWRITE, 0,
                                        sizeof(struct shared), SHARED_NAME);
    struct shared *shared = MapViewOfFile(mapping, FILE_MAP_ALL_ACCESS, 0, 0, 0);

    CHECK(shared != NULL);
    return shared; /* for the life of the process */
}

static int answer_never(struct raw_server *server, const struct cm_request *request,
                        struct cm_reply *reply)
{
    (void)server, (void)request, (void)reply;
    return 0;
}

static int run_server(int stuck)
{
    static struct raw_disk disk;
    static struct raw_server server;
    struct shared *shared = open_shared();
    struct cm_mount mount;

    raw_mount_defaults(&mount, 64 * MIB);
    raw_attach(raw_open_control(), &mount, &disk);
    server.answer = stuck ? answer_never : NULL;
    raw_server_start(&server, &disk, 64 * MIB);
    shared->disk_id = disk.mounted.disk_id;
    shared->number = disk.mounted.number;
    memcpy(shared->letter, disk.letter, sizeof(disk.letter));
    InterlockedExchange(&shared->ready, 1);
    Sleep(INFINITE);
    return 0;
}

/* @return the process; *disk: what others know of its disk. */
static HANDLE start_server(const char *how, struct raw_disk *disk)
{
    struct shared *shared = open_shared();
    HANDLE process;

    InterlockedExchange(&shared->ready, 0);
    process = raw_spawn(how);
    for (int tries = 0; tries < 1000 && !shared->ready; tries++)
        Sleep(10);
    CHECK(shared->ready);
    memset(disk, 0, sizeof(*disk));
    disk->control = control;
    disk->mounted.disk_id = shared->disk_id;
    memcpy(disk->letter, shared->letter, sizeof(disk->letter));
    UnmapViewOfFile(shared);
    return process;
}

static int disk_exists(const struct raw_disk *disk)
{
    struct cm_stats_of of = {disk->mounted.disk_id};
    struct cm_stats stats;

    return raw_ioctl(control, CM_IOCTL_STATS, &of, sizeof(of), &stats, sizeof(stats), NULL) ==
           ERROR_SUCCESS;
}

static void check_disk_goes(const struct raw_disk *disk)
{
    DWORD start = GetTickCount();

    while (disk_exists(disk) && GetTickCount() - start < 5 * DEATH_MS)
        Sleep(5);
    CHECK(!disk_exists(disk));
    CHECK(GetTickCount() - start < DEATH_MS);
}

static void kill(HANDLE process)
{
    TerminateProcess(process, 1);
    CHECK_EQ(WaitForSingleObject(process, 5000), WAIT_OBJECT_0);
    CloseHandle(process);
}

/* -- clients ----------------------------------------------------------------------------------- */

struct client {
    const struct raw_disk *disk;
    uint64_t seed;
    LONG volatile good; /* reads and writes that succeeded */
    DWORD error;        /* the first that did not */
};

/* Reads and writes at random until the disk has gone. */
static DWORD WINAPI client_run(void *argument)
{
    struct client *client = argument;
    unsigned char *buffer = calloc(1, MIB);
    HANDLE handle = raw_open_disk(client->disk);

    for (;;) {
        DWORD length = (DWORD)(1 + check_random(&client->seed) % 256) * 4096;
        int64_t offset = (int64_t)(check_random(&client->seed) % 8192) * 4096;
        client->error = check_random(&client->seed) % 2 != 0
                            ? raw_write(handle, buffer, length, offset, NULL)
                            : raw_read(handle, buffer, length, offset, NULL);
        if (client->error != ERROR_SUCCESS)
            break;
        InterlockedIncrement(&client->good);
    }
    CloseHandle(handle);
    free(buffer);
    return 0;
}

/* What a request gets whose disk goes: from the driver, or from the system when the device has
 * gone. */
static void check_error_of_a_gone_disk(DWORD error)
{
    switch (error) {
    case ERROR_NO_SUCH_DEVICE:
    case ERROR_ACCESS_DENIED: /* Wine, of a handle whose device has been deleted */
    case ERROR_FILE_NOT_FOUND:
        break;
    case ERROR_OPERATION_ABORTED:
        /*
         * Wine 8 cancels by the address of an IRP (server/device.c queues it, dispatch_cancel in
         * ntoskrnl.c uses it unchecked): the cancelling of a dead server's exchange that has just
         * been completed can hit a client's request that lies at the same address by now. Seen
         * about once in 50 kills.
         */
        printf("  Wine cancelled a request of somebody else\n");
        break;
    default:
        CHECK_EQ(error, ERROR_NO_SUCH_DEVICE);
    }
}

enum { CLIENTS = 4 };

static void start_clients(struct client *clients, HANDLE *threads, const struct raw_disk *disk,
                          uint64_t seed)
{
    for (int i = 0; i < CLIENTS; i++) {
        clients[i] = (struct client){.disk = disk, .seed = seed + (uint64_t)i};
        threads[i] = CreateThread(NULL, 0, client_run, &clients[i], 0, NULL);
    }
}

static void finish_clients(struct client *clients, HANDLE *threads)
{
    CHECK_EQ(WaitForMultipleObjects(CLIENTS, threads, TRUE, 5000), WAIT_OBJECT_0);
    for (int i = 0; i < CLIENTS; i++) {
        check_error_of_a_gone_disk(clients[i].error);
        CloseHandle(threads[i]);
    }
}

/* -- tests ------------------------------------------------------------------------------------- */

static void test_a_killed_server_takes_its_disk_and_io_with_it(void)
{
    struct client clients[CLIENTS];
    HANDLE threads[CLIENTS], server;
    struct raw_disk disk;
    uint64_t seed = check_seed();

    for (int round = 0; round < 5; round++) {
        server = start_server("--server", &disk);
        start_clients(clients, threads, &disk, seed + (uint64_t)round * 100);
        Sleep(150 + 40 * round);
        kill(server);
        check_disk_goes(&disk);
        finish_clients(clients, threads);
        CHECK(clients[0].good > 0);
        raw_detach(&disk);
    }
}

static void test_a_killed_server_that_never_answered_leaves_nobody_waiting(void)
{
    struct client clients[CLIENTS];
    HANDLE threads[CLIENTS], server;
    struct raw_disk disk;

    server = start_server("--stuck-server", &disk);
    start_clients(clients, threads, &disk, 1);
    Sleep(300);
    kill(server);
    check_disk_goes(&disk);
    finish_clients(clients, threads);
    CHECK_EQ(clients[0].good, 0);
    raw_detach(&disk);
}

static void test_a_closed_handle_ends_its_exchanges_and_disks(void)
{
    struct client clients[CLIENTS];
    struct raw_server server = {0};
    HANDLE threads[CLIENTS];
    struct cm_mount mount;
    struct raw_disk disk;

    raw_mount_defaults(&mount, 64 * MIB);
    raw_attach(raw_open_control(), &mount, &disk);
    raw_server_start(&server, &disk, 64 * MIB);
    start_clients(clients, threads, &disk, 7);
    Sleep(200);
    CloseHandle(disk.control); /* with an exchange under way on it */
    disk.control = control;
    check_disk_goes(&disk);
    finish_clients(clients, threads);
    raw_server_stop(&server);
    raw_detach(&disk);
}

static void test_a_stopped_exchange_is_told_that_the_disk_has_gone(void)
{
    struct raw_server server = {0};
    struct cm_mount mount;
    struct raw_disk disk;

    raw_mount_defaults(&mount, MIB);
    raw_attach(control, &mount, &disk);
    raw_server_start(&server, &disk, MIB);
    Sleep(50);
    CHECK_EQ(raw_unmount(&disk, 0, 0), 0);
    CHECK_EQ(WaitForSingleObject(server.thread, 2000), WAIT_OBJECT_0);
    CHECK_EQ(server.ended_with, ERROR_DEVICE_REMOVED);
    raw_server_stop(&server);
    raw_detach(&disk);
}

static void test_another_server_does_not_notice(void)
{
    struct client clients[CLIENTS];
    HANDLE threads[CLIENTS], victim;
    struct raw_disk doomed, disk;
    struct raw_server server = {0};
    struct cm_mount mount;
    unsigned char sector[4096];
    HANDLE handle;

    raw_mount_defaults(&mount, 16 * MIB);
    raw_attach(control, &mount, &disk);
    raw_server_start(&server, &disk, 16 * MIB);
    handle = raw_open_disk(&disk);
    victim = start_server("--server", &doomed);
    start_clients(clients, threads, &doomed, 3);
    for (int i = 0; i < 200; i++) {
        if (i == 100)
            kill(victim);
        memset(sector, i, sizeof(sector));
        CHECK_EQ(raw_write(handle, sector, sizeof(sector), 4096 * i, NULL), 0);
        memset(sector, 0xFF, sizeof(sector));
        CHECK_EQ(raw_read(handle, sector, sizeof(sector), 4096 * i, NULL), 0);
        CHECK_EQ(sector[17], (unsigned char)i);
    }
    check_disk_goes(&doomed);
    finish_clients(clients, threads);
    CloseHandle(handle);
    raw_server_stop(&server);
    raw_detach(&disk);
    raw_detach(&doomed);
}

static void test_a_new_server_takes_the_letter_of_a_dead_one(void)
{
    struct raw_disk first, second;
    unsigned char sector[512];
    HANDLE server, handle;
    WCHAR letter;

    server = start_server("--server", &first);
    letter = first.letter[0];
    kill(server);
    check_disk_goes(&first);
    raw_detach(&first); /* the letter */
    server = start_server("--server", &second);
    CHECK_EQ(second.letter[0], letter);
    CHECK(second.mounted.disk_id != first.mounted.disk_id);
    handle = raw_open_disk(&second);
    CHECK_EQ(raw_read(handle, sector, sizeof(sector), 0, NULL), 0);
    CloseHandle(handle);
    kill(server);
    check_disk_goes(&second);
    raw_detach(&second);
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        CHECK_TEST(test_a_killed_server_takes_its_disk_and_io_with_it),
        CHECK_TEST(test_a_killed_server_that_never_answered_leaves_nobody_waiting),
        CHECK_TEST(test_a_closed_handle_ends_its_exchanges_and_disks),
        CHECK_TEST(test_a_stopped_exchange_is_told_that_the_disk_has_gone),
        CHECK_TEST(test_another_server_does_not_notice),
        CHECK_TEST(test_a_new_server_takes_the_letter_of_a_dead_one),
    };

    if (argc == 2 && strcmp(argv[1], "--server") == 0)
        return run_server(0);
    if (argc == 2 && strcmp(argv[1], "--stuck-server") == 0)
        return run_server(1);
    control = raw_open_control();
    return check_main(argc, argv, tests, sizeof(tests) / sizeof(tests[0]));
}
