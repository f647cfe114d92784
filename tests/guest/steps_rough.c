/* SPDX-License-Identifier: MIT */
/*
 * steps_rough.c - disks that go while files on them are open: asked for, by force, or because the
 * server was killed. Nothing may hang, and the same image is to be mountable afterwards.
 */
#include <stdio.h>
#include <string.h>

#include "tests/guest/kit.h"

#define IMAGE "rough.img"
#define COPY_BYTES (32u * MIB)
#define HOLD_MS 6000u
#define BOUND_MS 30000u
#define PAUSE_MS 100u
#define LONG_PAUSE_MS 20000u /* longer than a disk without a server keeps its file system */
#define SETTLE_MS 10000u     /* the lazy writer has written what there is */

static void start_holder(struct process *holder, unsigned hold_ms, unsigned pause_ms)
{
    process_start(holder, NULL, "guest hold %s\\held.bin %u %u", letter_1, hold_ms, pause_ms);
    process_expect(holder, "holding", 10000);
}

/* How it ends says what the writer of the file got to know. */
static DWORD end_of_holder(struct process *holder)
{
    DWORD code;

    if (!process_wait(holder, HOLD_MS + BOUND_MS, &code))
        fail("a program that writes to the disk hangs");
    printf("%s", output_of(holder));
    process_close(holder);
    return code;
}

/* The image is whole: a file that was written before is there, and a new one can be. */
static void expect_usable(void)
{
    struct disk disk;
    char file[16];

    disk_mount(&disk, IMAGE, letter_1, "");
    snprintf(file, sizeof(file), "%s\\before.bin", letter_1);
    check_file(file, 3, 100000);
    snprintf(file, sizeof(file), "%s\\after.bin", letter_1);
    make_file(file, 4, 200000);
    disk_unmount(&disk);
}

/* A mounted disk with a file that has been written through. */
static void mount_with_file(struct disk *disk, const char *options)
{
    char file[16];
    char line[64];

    blank_image(IMAGE);
    snprintf(line, sizeof(line), "--size " BLANK_SIZE " %s", options);
    disk_mount(disk, IMAGE, letter_1, line);
    snprintf(file, sizeof(file), "%s\\before.bin", letter_1);
    make_file(file, 3, 100000);
    disk_unmount(disk);
    disk_mount(disk, IMAGE, letter_1, options);
}

void step_in_use(void)
{
    struct process holder;
    struct disk disk;

    mount_with_file(&disk, "");
    start_holder(&holder, HOLD_MS, PAUSE_MS);
    run_refused(4, "in use", "coremnt unmount %s --timeout 1", letter_1);
    if (end_of_holder(&holder) != 0)
        fail("the refused unmount has disturbed the program that uses the disk");
    disk_unmount(&disk);
    expect_usable();
}

void step_forced(void)
{
    struct process holder;
    struct disk disk;

    mount_with_file(&disk, "");
    start_holder(&holder, HOLD_MS, PAUSE_MS);
    run_ok(60, "coremnt unmount %s --force", letter_1);
    disk_expect_end(&disk);
    expect_no_drive(letter_1);
    if (end_of_holder(&holder) != 1)
        fail("the program whose disk was taken away has not been told by an error");
    expect_usable();
}

/*
 * What is written between the server's end and that of the file system stays in the system's cache. Windows gives it up
 * ("delayed write failed"); ReactOS 0.4.15 tries to write it for ever and keeps the disk, so there nothing is written then.
 */
void step_server_killed(void)
{
    struct process holder;
    struct disk disk;
    DWORD begin;

    mount_with_file(&disk, "");
    if (is_reactos())
        start_holder(&holder, LONG_PAUSE_MS + 1000u, LONG_PAUSE_MS);
    else
        start_holder(&holder, HOLD_MS, PAUSE_MS);
    if (is_reactos()) {
        note("nothing is written while the server dies: ReactOS would keep the disk for ever");
        Sleep(SETTLE_MS);
    }
    process_kill(&disk.server);
    begin = GetTickCount();
    if (shell(60, "dir %s\\", letter_1) == 0 && drive_exists(letter_1))
        note("the directory is still in the cache");
    if (GetTickCount() - begin > BOUND_MS)
        fail("dir on a disk without a server takes %lu ms",
             (unsigned long)(GetTickCount() - begin));
    if (end_of_holder(&holder) != 1)
        fail("the program whose disk has lost its server has not been told by an error");
    run_ok(30, "coremnt list --json");
    if (strstr(output, IMAGE) != NULL)
        fail("the disk of a dead server is still listed: %s", output);
    expect_usable();
}

/* A copy is under way, its server dies, another one takes over: the copy does not notice. */
void step_hold_attach(void)
{
    struct process copy;
    struct disk disk;
    char file[16];
    DWORD code;

    make_file("copy.bin", 8, COPY_BYTES);
    mount_with_file(&disk, "--hold 120");
    snprintf(file, sizeof(file), "%s\\copy.bin", letter_1);
    process_start(&copy, NULL, "guest copy copy.bin %s", file);
    process_expect(&copy, "copying", 10000);
    Sleep(100);
    process_kill(&disk.server);
    if (process_wait(&copy, 1000, &code))
        note("the copy had ended already, into the cache: %ld", (long)code);
    run_ok(30, "coremnt list");
    process_start(&disk.server, NULL, "coremnt attach %s", letter_1);
    process_expect(&disk.server, "attached to", 30000);
    if (!process_wait(&copy, 120000, &code))
        fail("the copy hangs though the disk has a server again");
    if (code != 0)
        fail("the copy failed: %s", output_of(&copy));
    disk_unmount(&disk);
    disk_mount(&disk, IMAGE, letter_1, "");
    check_file(file, 8, COPY_BYTES);
    disk_unmount(&disk);
    expect_usable();
    DeleteFileA("copy.bin");
}
