/* SPDX-License-Identifier: MIT */
/*
 * disk.c - disks that a step mounts by `coremnt mount`, as a person does: in a process of its own.
 */
#include <stdio.h>
#include <string.h>

#include "tests/guest/kit.h"

#define MOUNT_MS 30000u
#define END_MS 30000u
#define GONE_MS 5000u
#define MAX_DISKS 4u
#define BLANK_HEAD "images\\blank.img"

static const char *mounted[MAX_DISKS];

static void remember(const char *where)
{
    for (unsigned i = 0; i < MAX_DISKS; i++) {
        if (mounted[i] == NULL || strcmp(mounted[i], where) == 0) {
            mounted[i] = where;
            return;
        }
    }
    fail("too many disks in one step");
}

static void forget(const char *where)
{
    for (unsigned i = 0; i < MAX_DISKS; i++)
        if (mounted[i] != NULL && strcmp(mounted[i], where) == 0)
            mounted[i] = NULL;
}

/* -- mount and unmount -------------------------------------------------------------------------- */

void disk_mount(struct disk *disk, const char *image, const char *where, const char *options)
{
    disk->where = where;
    process_start(&disk->server, NULL, "coremnt mount %s %s %s", image, where, options);
    remember(where);
    process_expect(&disk->server, "mounted as", MOUNT_MS);
}

void disk_expect_end(struct disk *disk)
{
    DWORD code;

    if (!process_wait(&disk->server, END_MS, &code))
        fail("the server still runs %u s after the unmount", END_MS / 1000u);
    if (code != 0)
        fail("the server ended with %ld: %s", (long)code, output_of(&disk->server));
    process_close(&disk->server);
    forget(disk->where);
}

void disk_unmount(struct disk *disk)
{
    run_ok(60, "coremnt unmount %s", disk->where);
    disk_expect_end(disk);
    if (disk->where[1] == ':' && disk->where[2] == '\0')
        expect_no_drive(disk->where);
}

void disk_unmount_all(void)
{
    for (unsigned i = 0; i < MAX_DISKS; i++)
        if (mounted[i] != NULL)
            run(60, "coremnt unmount %s --force", mounted[i]);
}

/* The kit has only the beginning of that image, which is all that is not zero in it. */
void blank_image(const char *image)
{
    DWORD error = copy_file(kit_path(BLANK_HEAD), image);

    if (error != ERROR_SUCCESS)
        fail("cannot copy %s to %s: Win32 error %lu", BLANK_HEAD, image, (unsigned long)error);
    SetFileAttributesA(image, FILE_ATTRIBUTE_NORMAL); /* it may come from a CD */
}

void disk_blank(struct disk *disk, const char *image, const char *where)
{
    blank_image(image);
    disk_mount(disk, image, where, "--size " BLANK_SIZE);
}

/* -- what the system sees ----------------------------------------------------------------------- */

int drive_exists(const char *letter)
{
    return (GetLogicalDrives() >> (letter[0] - 'A') & 1u) != 0;
}

void expect_no_drive(const char *letter)
{
    DWORD begin = GetTickCount();

    while (drive_exists(letter)) {
        if (GetTickCount() - begin > GONE_MS)
            fail("%s is still there %u s after the unmount", letter, GONE_MS / 1000u);
        Sleep(50);
    }
}

const char *file_system_of(const char *root)
{
    static char name[32];
    char label[64];
    DWORD serial;

    if (!GetVolumeInformationA(root, label, sizeof(label), &serial, NULL, NULL, name,
                               sizeof(name))) {
        note("GetVolumeInformation %s: Win32 error %lu", root, (unsigned long)GetLastError());
        return "";
    }
    note("%s is %s, label \"%s\", serial number %08lx", root, name, label, (unsigned long)serial);
    return name;
}
