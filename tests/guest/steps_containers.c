/* SPDX-License-Identifier: MIT */
/*
 * steps_containers.c - disks whose images are containers: the system formats a VHDX and a VHD, a differencing image keeps
 * what is written upon one, and gives it back.
 */
#include <stdio.h>
#include <string.h>

#include "tests/guest/kit.h"

#define FIRST_BYTES (3u * MIB + 17u)
#define SECOND_BYTES (1u * MIB + 5u)

static void path_on_disk(char path[16], const char *name)
{
    snprintf(path, 16, "%s\\%s", letter_1, name);
}

static void make_on(const char *image, const char *name, uint32_t seed, uint32_t size)
{
    struct disk disk;
    char path[16];

    disk_mount(&disk, image, letter_1, "");
    path_on_disk(path, name);
    make_file(path, seed, size);
    disk_unmount(&disk);
}

/* `second`: whether the second file is there too. */
static void look_at(const char *image, int second)
{
    struct disk disk;
    char path[16];

    disk_mount(&disk, image, letter_1, "--read-only");
    path_on_disk(path, "ONE.BIN");
    check_file(path, 31, FIRST_BYTES);
    path_on_disk(path, "TWO.BIN");
    if (second)
        check_file(path, 32, SECOND_BYTES);
    else if (GetFileAttributesA(path) != INVALID_FILE_ATTRIBUTES)
        fail("%s has a file that was written to its child", image);
    disk_unmount(&disk);
}

static void use_container(const char *base, const char *child, const char *grow)
{
    DeleteFileA(base);
    DeleteFileA(child);
    blank_image("blank.img");
    run_ok(120, "coremnt convert blank.img %s --size " BLANK_SIZE, base);
    DeleteFileA("blank.img");
    make_on(base, "ONE.BIN", 31, FIRST_BYTES);
    run_ok(60, "coremnt check %s", base);

    run_ok(60, "coremnt create %s --parent %s", child, base);
    make_on(child, "TWO.BIN", 32, SECOND_BYTES);
    look_at(child, 1);
    look_at(base, 0);
    run_ok(60, "coremnt check %s", child);
    run_ok(120, "coremnt commit %s", child);
    look_at(base, 1);
    run_ok(60, "coremnt resize %s %s", base, grow);
    run_ok(60, "coremnt check %s", base);
    look_at(base, 1);
    DeleteFileA(child);
    DeleteFileA(base);
}

void step_vhdx(void)
{
    use_container("base.vhdx", "child.vhdx", "128M");
}

void step_vhd(void)
{
    use_container("base.vhd", "child.vhd", "128M");
}
