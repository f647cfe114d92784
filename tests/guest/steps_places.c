/* SPDX-License-Identifier: MIT */
/*
 * steps_places.c - where a disk can be mounted other than at a letter of our own making: by the mount
 * manager and without it, in a folder, nowhere; and a partition of an image.
 */
#include <stdio.h>
#include <string.h>

#include "tests/guest/kit.h"

void step_no_mount_manager(void)
{
    struct disk disk;
    char root[4];

    if (is_wine()) {
        disk_mount(&disk, "memory:8M", letter_1, "--no-mount-manager");
    } else {
        blank_image("places.img");
        disk_mount(&disk, "places.img", letter_1, "--no-mount-manager --size " BLANK_SIZE);
        snprintf(root, sizeof(root), "%s\\", letter_1);
        if (strncmp(file_system_of(root), "FAT", 3) != 0)
            fail("no FAT is seen on %s", letter_1);
    }
    if (!drive_exists(letter_1))
        fail("there is no %s", letter_1);
    disk_unmount(&disk);
}

/* Where not even the system's own drive has a volume name, ours need none. */
static void needs_volume_names(void)
{
    char windows[MAX_PATH] = "C:\\";
    char root[4];
    char name[64];

    GetWindowsDirectoryA(windows, sizeof(windows));
    snprintf(root, sizeof(root), "%.3s", windows);
    if (!GetVolumeNameForVolumeMountPointA(root, name, sizeof(name)))
        skip("%s of this system has no volume name either: Win32 error %lu", root,
             (unsigned long)GetLastError());
    note("%s is %s", root, name);
}

void step_volume_name(void)
{
    struct disk disk;
    char root[4];
    char name[64];

    needs_volume_names();
    disk_blank(&disk, "places.img", letter_1);
    snprintf(root, sizeof(root), "%s\\", letter_1);
    if (!GetVolumeNameForVolumeMountPointA(root, name, sizeof(name)))
        fail("%s has no volume name: Win32 error %lu", letter_1, (unsigned long)GetLastError());
    note("%s is %s", letter_1, name);
    if (strncmp(name, "\\\\?\\Volume{", 11) != 0)
        fail("the volume name is \"%s\"", name);
    if (strncmp(file_system_of(name), "FAT", 3) != 0)
        fail("no FAT is seen on %s", name);
    disk_unmount(&disk);
    if (GetVolumeNameForVolumeMountPointA(root, name, sizeof(name)))
        fail("%s still has the volume name %s", letter_1, name);
}

/* The folder must lie on a file system that has such links. */
void step_folder(void)
{
    struct disk disk;
    char folder[MAX_PATH];
    char inside[MAX_PATH + 16];
    DWORD length = GetCurrentDirectoryA(sizeof(folder) - 8, folder);
    char root[4];

    snprintf(root, sizeof(root), "%.3s", folder);
    if (strcmp(file_system_of(root), "NTFS") != 0)
        skip("folders of %s, which is no NTFS, cannot hold disks", root);
    snprintf(folder + length, sizeof(folder) - length, "\\folder");
    CreateDirectoryA(folder, NULL);
    disk_blank(&disk, "places.img", folder);
    snprintf(inside, sizeof(inside), "%s\\f.bin", folder);
    make_file(inside, 5, 100000);
    disk_unmount(&disk);
    if (GetFileAttributesA(inside) != INVALID_FILE_ATTRIBUTES)
        fail("%s is still there after the unmount", inside);
    disk_mount(&disk, "places.img", folder, "");
    check_file(inside, 5, 100000);
    disk_unmount(&disk);
    must(RemoveDirectoryA(folder), "remove the empty folder");
}

/* The disk is known by its id, which `coremnt list` tells. */
void step_no_letter(void)
{
    struct disk disk;
    DWORD before = GetLogicalDrives();
    char id[32];
    const char *found;

    disk_mount(&disk, "memory:8M", "none", "");
    if (GetLogicalDrives() != before)
        fail("a letter came though none was asked for");
    run_ok(30, "coremnt list --json");
    found = strstr(output, "\"id\": ");
    if (found == NULL || sscanf(found, "\"id\": %31[\"0-9]", id) != 1)
        fail("coremnt list does not tell the disk's id: %s", output);
    run_ok(60, "coremnt unmount %.*s", (int)strcspn(id + (id[0] == '"'), "\""),
           id + (id[0] == '"'));
    disk_expect_end(&disk);
}

/* The kit's image has one partition, with the FAT16 file system of image-fat16. */
void step_partition(void)
{
    struct disk disk;
    char file[16];

    if (copy_file(kit_path("images\\parts.img"), "parts.img") != ERROR_SUCCESS)
        fail("the kit has no images\\parts.img");
    run_ok(30, "coremnt info parts.img");
    disk_mount(&disk, "parts.img", letter_1, "--partition 1");
    if (!is_wine()) {
        snprintf(file, sizeof(file), "%s\\KNOWN.BIN", letter_1);
        expect_same(file, kit_path("images\\known.bin"));
    }
    disk_unmount(&disk);
}
