/* SPDX-License-Identifier: MIT */
/*
 * steps_raw.c - the disk without a file system: all that \\.\Z: is to do and to refuse, its life at the
 * prompt, its size, its places other than a letter.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/guest/kit.h" /* windows.h, which the next one needs */

#include <winioctl.h>

#define SECTOR 512u
#define RAW_BYTES (8u * MIB)
#define RAW_SECTORS (RAW_BYTES / SECTOR)
#define MAX_SECTORS 300u /* of one transfer: more than a slot of the driver holds */
#define TRANSFERS 400u
#define CYCLES 20u

/* -- a disk and what must be on it ---------------------------------------------------------------- */

/* What has been written to each sector: content_of() of this number; 0 is zeros. */
static uint32_t *versions;

static HANDLE open_raw(const char *letter)
{
    char name[16];
    HANDLE device;

    snprintf(name, sizeof(name), "\\\\.\\%s", letter);
    device = CreateFileA(name, GENERIC_READ | GENERIC_WRITE, FILE_SHARE_READ | FILE_SHARE_WRITE,
                         NULL, OPEN_EXISTING, 0, NULL);
    if (device == INVALID_HANDLE_VALUE)
        fail("cannot open %s: Win32 error %lu", name, (unsigned long)GetLastError());
    return device;
}

/* @return 0 or a Win32 error */
static DWORD transfer(HANDLE device, int is_write, void *buffer, DWORD length, uint64_t offset)
{
    OVERLAPPED where = {0};
    DWORD done = 0;

    where.Offset = (DWORD)offset;
    where.OffsetHigh = (DWORD)(offset >> 32);
    if (!(is_write ? WriteFile(device, buffer, length, &done, &where)
                   : ReadFile(device, buffer, length, &done, &where)))
        return GetLastError();
    return done == length ? ERROR_SUCCESS : ERROR_HANDLE_EOF;
}

static void fill_sector(uint32_t *words, uint32_t sector, uint32_t version)
{
    uint32_t state = sector * 2654435761u ^ version * 40503u;

    if (state == 0)
        state = 1;
    for (uint32_t i = 0; i < SECTOR / 4; i++)
        words[i] = version == 0 ? 0 : next_random(&state);
}

static void write_some(HANDLE device, uint32_t *buffer, uint32_t first, uint32_t count,
                       uint32_t version)
{
    DWORD error;

    for (uint32_t i = 0; i < count; i++) {
        versions[first + i] = version;
        fill_sector(buffer + i * (SECTOR / 4), first + i, version);
    }
    error = transfer(device, 1, buffer, count * SECTOR, (uint64_t)first * SECTOR);
    if (error != ERROR_SUCCESS)
        fail("write of %lu sectors at sector %lu: Win32 error %lu", (unsigned long)count,
             (unsigned long)first, (unsigned long)error);
}

static void check_some(HANDLE device, uint32_t *buffer, uint32_t first, uint32_t count)
{
    uint32_t expected[SECTOR / 4];
    DWORD error;

    memset(buffer, 0xEE, (size_t)count * SECTOR);
    error = transfer(device, 0, buffer, count * SECTOR, (uint64_t)first * SECTOR);
    if (error != ERROR_SUCCESS)
        fail("read of %lu sectors at sector %lu: Win32 error %lu", (unsigned long)count,
             (unsigned long)first, (unsigned long)error);
    for (uint32_t i = 0; i < count; i++) {
        fill_sector(expected, first + i, versions[first + i]);
        if (memcmp(buffer + i * (SECTOR / 4), expected, SECTOR) != 0)
            fail("sector %lu, read with %lu others, is not what was written",
                 (unsigned long)(first + i), (unsigned long)count - 1);
    }
}

static void *memory(size_t size)
{
    void *block = VirtualAlloc(NULL, size, MEM_COMMIT, PAGE_READWRITE);

    must(block != NULL, "VirtualAlloc");
    return block;
}

static void new_image(const char *name, const char *size)
{
    DeleteFileA(name);
    run_ok(60, "coremnt create %s --size %s", name, size);
}

/* -- verified I/O --------------------------------------------------------------------------------- */

/* Random places and sizes, small ones and some larger than a slot; then the whole disk, then again
 * from the image after a second mount. The seed is in the log, and CM_SEED gives it back. */
void step_raw_io(void)
{
    const char *given = getenv("CM_SEED");
    uint32_t seed = given != NULL ? (uint32_t)strtoul(given, NULL, 0) : GetTickCount() | 1u;
    uint32_t state = seed != 0 ? seed : 1u;
    uint32_t *buffer = memory(MAX_SECTORS * SECTOR);
    struct disk disk;
    HANDLE device;

    note("CM_SEED=%lu", (unsigned long)state);
    versions = memory(RAW_SECTORS * sizeof(*versions));
    new_image("raw.img", "8M");
    disk_mount(&disk, "raw.img", letter_1, "");
    device = open_raw(letter_1);
    for (uint32_t i = 1; i <= TRANSFERS; i++) {
        uint32_t count = 1 + next_random(&state) % (i % 8 == 0 ? MAX_SECTORS : 16);
        uint32_t first = next_random(&state) % (RAW_SECTORS - count + 1);

        if (next_random(&state) % 3 == 0)
            check_some(device, buffer, first, count);
        else
            write_some(device, buffer, first, count, i);
    }
    for (int turn = 0; turn < 2; turn++) {
        for (uint32_t first = 0; first < RAW_SECTORS; first += 256)
            check_some(device, buffer, first, 256);
        CloseHandle(device);
        disk_unmount(&disk);
        if (turn == 0) {
            disk_mount(&disk, "raw.img", letter_1, "");
            device = open_raw(letter_1);
        }
    }
}

static void expect_refused(HANDLE device, uint64_t offset, DWORD length, const char *what)
{
    static unsigned char *buffer;

    if (buffer == NULL)
        buffer = memory(64 * KIB);
    for (int is_write = 0; is_write < 2; is_write++)
        if (transfer(device, is_write, buffer, length, offset) == ERROR_SUCCESS)
            fail("a %s of %lu bytes at %lu succeeds, though %s", is_write ? "write" : "read",
                 (unsigned long)length, (unsigned long)offset, what);
}

void step_raw_refused(void)
{
    struct disk disk;
    HANDLE device;

    new_image("raw.img", "8M");
    disk_mount(&disk, "raw.img", letter_1, "");
    device = open_raw(letter_1);
    expect_refused(device, 1, SECTOR, "its offset is not that of a sector");
    expect_refused(device, 0, SECTOR - 1, "its length is not one of sectors");
    expect_refused(device, RAW_BYTES, SECTOR, "it lies behind the end");
    expect_refused(device, RAW_BYTES - SECTOR, 2 * SECTOR, "it goes beyond the end");
    expect_refused(device, (uint64_t)1 << 62, SECTOR, "no disk is that large");
    expect_refused(device, UINT64_MAX - SECTOR + 1, SECTOR, "its offset is negative");
    CloseHandle(device);
    disk_unmount(&disk);
}

/* Not for the figures, which the machine's owner takes on a quiet one: that it runs and verifies. */
void step_rawbench(void)
{
    struct disk disk;

    new_image("bench.img", "32M");
    disk_mount(&disk, "bench.img", letter_1, "");
    run_ok(150, "rawbench \\\\.\\%s --write --verify --rounds 1 --milliseconds 300", letter_1);
    if (strstr(output, "seqread") == NULL || strstr(output, "randwrite") == NULL)
        fail("rawbench ended with 0, but without figures: %s", output);
    disk_unmount(&disk);
}

/* -- life ----------------------------------------------------------------------------------------- */

void step_life(void)
{
    struct disk disk;

    new_image("life.img", "16M");
    run_ok(30, "coremnt info life.img");
    if (strstr(output, "16777216") == NULL)
        fail("coremnt info does not tell the size: %s", output);
    disk_mount(&disk, "life.img", letter_1, "");
    if (!drive_exists(letter_1))
        fail("it is mounted, but there is no %s", letter_1);
    run_ok(30, "coremnt list --json");
    if (strstr(output, "life.img") == NULL || strstr(output, letter_1) == NULL)
        fail("coremnt list does not show it: %s", output);
    CloseHandle(open_raw(letter_1));
    run_ok(30, "coremnt stats %s", letter_1);
    run_refused(4, "", "coremnt driver stop");
    disk_unmount(&disk);
    run_ok(30, "coremnt list --json");
    if (strstr(output, "life.img") != NULL)
        fail("coremnt list still shows it: %s", output);
    run_refused(3, "no-such.img", "coremnt mount no-such.img %s", letter_1);
}

void step_cycles(void)
{
    struct disk disk;

    if (is_wine())
        new_image("cycles.img", "8M");
    else
        blank_image("cycles.img");
    for (unsigned i = 0; i < CYCLES; i++) {
        disk_mount(&disk, "cycles.img", letter_1, is_wine() ? "" : "--size " BLANK_SIZE);
        CloseHandle(open_raw(letter_1));
        if (!is_wine())
            shell(30, "dir %s\\", letter_1);
        disk_unmount(&disk);
    }
}

/* -- size ------------------------------------------------------------------------------------------ */

static uint64_t length_of(HANDLE device)
{
    GET_LENGTH_INFORMATION information = {0};
    DWORD done;

    must(DeviceIoControl(device, IOCTL_DISK_GET_LENGTH_INFO, NULL, 0, &information,
                         sizeof(information), &done, NULL),
         "IOCTL_DISK_GET_LENGTH_INFO");
    return (uint64_t)information.Length.QuadPart;
}

void step_resize(void)
{
    struct disk disk;
    HANDLE device;
    unsigned char *sector = memory(SECTOR);
    DWORD error;

    new_image("resize.img", "8M");
    disk_mount(&disk, "resize.img", letter_1, "");
    run_ok(60, "coremnt resize %s 16M", letter_1);
    device = open_raw(letter_1);
    if (length_of(device) != 16u * MIB)
        fail("after the growth to 16 MiB the disk says %lu bytes",
             (unsigned long)length_of(device));
    memset(sector, 'r', SECTOR);
    error = transfer(device, 1, sector, SECTOR, 16u * MIB - SECTOR);
    if (error != ERROR_SUCCESS)
        fail("the new last sector cannot be written: Win32 error %lu", (unsigned long)error);
    CloseHandle(device);
    disk_unmount(&disk);
    if (file_size("resize.img") != 16u * MIB)
        fail("the image has not grown: %lu bytes", (unsigned long)file_size("resize.img"));
}

/* -- server killed, held --------------------------------------------------------------------------- */

/* Every request ends in bounded time, and the next mount finds nothing in its way. */
void step_server_killed_raw(void)
{
    struct disk disk;
    DWORD begin;
    DWORD error;
    HANDLE device;
    void *sector = memory(SECTOR);

    new_image("killed.img", "8M");
    disk_mount(&disk, "killed.img", letter_1, "");
    device = open_raw(letter_1);
    process_kill(&disk.server);
    begin = GetTickCount();
    error = transfer(device, 0, sector, SECTOR, 0);
    if (error == ERROR_SUCCESS)
        fail("a read succeeds without a server");
    if (GetTickCount() - begin > 20000)
        fail("a read without a server takes %lu ms", (unsigned long)(GetTickCount() - begin));
    note("a read without a server: Win32 error %lu", (unsigned long)error);
    CloseHandle(device);
    disk_mount(&disk, "killed.img", letter_1, "");
    disk_unmount(&disk);
}

void step_hold_attach_raw(void)
{
    struct disk disk;
    HANDLE device;
    uint32_t *buffer = memory(MAX_SECTORS * SECTOR);

    versions = memory(RAW_SECTORS * sizeof(*versions));
    new_image("held.img", "8M");
    disk_mount(&disk, "held.img", letter_1, "--hold 60");
    device = open_raw(letter_1);
    write_some(device, buffer, 7, 100, 1);
    process_kill(&disk.server);
    run_ok(30, "coremnt list");
    process_start(&disk.server, NULL, "coremnt attach %s", letter_1);
    process_expect(&disk.server, "attached to", 30000);
    check_some(device, buffer, 0, 200); /* through the handle from before */
    write_some(device, buffer, 100, 50, 2);
    check_some(device, buffer, 0, 200);
    CloseHandle(device);
    disk_unmount(&disk);
}
