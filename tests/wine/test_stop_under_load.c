/* SPDX-License-Identifier: MIT */
/*
 * test_stop_under_load.c - the driver is stopped and started 50 times with disks mounted, handles
 * open and I/O in flight: everything under way ends, nobody hangs, and it starts again each time.
 * Leaves it running.
 */
#include "tests/unit/check.h"
#include "tests/wine/raw.h"

#include <stdlib.h>
#include <string.h>

#define MIB (1024u * 1024u)
#define CYCLES 50
#define DISKS 2
#define CLIENTS 3 /* per disk */

static SC_HANDLE service;

static void set_service(int run)
{
    DWORD wanted = run ? SERVICE_RUNNING : SERVICE_STOPPED;
    SERVICE_STATUS status;

    if (run)
        CHECK(StartServiceW(service, 0, NULL));
    else
        CHECK(ControlService(service, SERVICE_CONTROL_STOP, &status));
    for (int tries = 0; tries < 500; tries++) {
        CHECK(QueryServiceStatus(service, &status));
        if (status.dwCurrentState == wanted)
            return;
        Sleep(10);
    }
    CHECK_EQ(status.dwCurrentState, wanted);
}

struct load {
    struct raw_disk disk;
    struct raw_server server;
    HANDLE clients[CLIENTS];
    LONG volatile good;
};

/* 4 KiB to 512 KiB, reads and writes, until the disk has gone. */
static DWORD WINAPI client_run(void *argument)
{
    struct load *load = argument;
    unsigned char *buffer = calloc(1, MIB / 2);
    HANDLE handle = raw_open_disk(&load->disk);
    DWORD error;

    for (DWORD i = 0;; i++) {
        DWORD length = 4096u << (i % 8);
        error = i % 3 == 0 ? raw_write(handle, buffer, length, 4096 * (int64_t)(i % 100), NULL)
                           : raw_read(handle, buffer, length, 4096 * (int64_t)(i % 100), NULL);
        if (error != ERROR_SUCCESS)
            break;
        InterlockedIncrement(&load->good);
    }
    CHECK(error == ERROR_NO_SUCH_DEVICE || error == ERROR_ACCESS_DENIED);
    CloseHandle(handle);
    free(buffer);
    return 0;
}

static void start_load(struct load *load, HANDLE control)
{
    struct cm_mount mount;

    memset(load, 0, sizeof(*load));
    raw_mount_defaults(&mount, 16 * MIB);
    mount.queue_depth = 8;
    raw_attach(control, &mount, &load->disk);
    raw_server_start(&load->server, &load->disk, 16 * MIB);
    for (int i = 0; i < CLIENTS; i++)
        load->clients[i] = CreateThread(NULL, 0, client_run, load, 0, NULL);
}

static void end_load(struct load *load)
{
    CHECK_EQ(WaitForMultipleObjects(CLIENTS, load->clients, TRUE, 5000), WAIT_OBJECT_0);
    for (int i = 0; i < CLIENTS; i++)
        CloseHandle(load->clients[i]);
    CHECK(load->good > 0);
    raw_server_stop(&load->server);
    switch (load->server.ended_with) {
    case ERROR_DEVICE_REMOVED: /* it waited when the disk went */
    case ERROR_NOT_FOUND:      /* it came when the disk had gone */
    case ERROR_ACCESS_DENIED:  /* it came when the device had gone */
        break;
    default:
        CHECK_EQ(load->server.ended_with, ERROR_DEVICE_REMOVED);
    }
    raw_detach(&load->disk);
}

static void cycle(uint64_t *seed)
{
    HANDLE control = raw_open_control();
    struct load loads[DISKS];

    for (int i = 0; i < DISKS; i++)
        start_load(&loads[i], control);
    for (int tries = 0; tries < 500 && (loads[0].good == 0 || loads[1].good == 0); tries++)
        Sleep(2);
    Sleep((DWORD)(check_random(seed) % 40));
    set_service(0);
    for (int i = 0; i < DISKS; i++)
        end_load(&loads[i]);
    CloseHandle(control);
    set_service(1);
}

static void test_50_stops_with_disks_mounted_and_io_in_flight(void)
{
    uint64_t seed = check_seed();

    for (int i = 0; i < CYCLES && check_failures == 0; i++)
        cycle(&seed);
}

static void test_50_starts_and_stops_with_only_the_control_device_open(void)
{
    for (int i = 0; i < CYCLES; i++) {
        HANDLE control = raw_open_control();
        struct cm_version version;
        set_service(0);
        CHECK(raw_ioctl(control, CM_IOCTL_VERSION, NULL, 0, &version, sizeof(version), NULL) != 0);
        CloseHandle(control);
        set_service(1);
    }
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        CHECK_TEST(test_50_stops_with_disks_mounted_and_io_in_flight),
        CHECK_TEST(test_50_starts_and_stops_with_only_the_control_device_open),
    };
    SC_HANDLE manager = OpenSCManagerW(NULL, NULL, SC_MANAGER_CONNECT);

    service =
        OpenServiceW(manager, L"CoreMnt", SERVICE_START | SERVICE_STOP | SERVICE_QUERY_STATUS);
    if (!CHECK(service != NULL))
        return 1;
    return check_main(argc, argv, tests, sizeof(tests) / sizeof(tests[0]));
}
