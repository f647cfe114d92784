/* SPDX-License-Identifier: MIT */
/*
 * steps_files.c - files on a disk of ours that the system has mounted as FAT: what people do with a
 * disk, and whether it is still so after an unmount and a second mount.
 */
#include <stdio.h>
#include <string.h>

#include "tests/guest/kit.h"

#define IMAGE "files.img"
#define LARGE (40u * MIB)
#define SMALL_FILES 300u

/* "Z:\NAME"; valid until the fourth next call. */
static const char *on(const char *letter, const char *name)
{
    static char paths[4][MAX_PATH];
    static unsigned next;
    char *path = paths[next++ % 4];

    snprintf(path, MAX_PATH, "%s\\%s", letter, name);
    return path;
}

static void remount(struct disk *disk, const char *options)
{
    disk_unmount(disk);
    disk_mount(disk, IMAGE, letter_1, options);
}

static void copy_or_fail(const char *from, const char *to)
{
    DWORD error = copy_file(from, to);

    if (error != ERROR_SUCCESS)
        fail("copy %s %s: Win32 error %lu", from, to, (unsigned long)error);
}

/* -- a tree ---------------------------------------------------------------------------------------- */

static const struct {
    const char *name; /* NULL size: a folder */
    uint32_t size;
    int is_folder;
} tree[] = {
    {"tree", 0, 1},
    {"tree\\empty.bin", 0, 0},
    {"tree\\one.bin", 1, 0},
    {"tree\\sector.bin", 512, 0},
    {"tree\\a", 0, 1},
    {"tree\\a\\A long name with spaces.bin", 4097, 0},
    {"tree\\a\\b", 0, 1},
    {"tree\\a\\b\\slot.bin", 65536, 0},
    {"tree\\a\\b\\more.bin", 65537, 0},
    {"tree\\a\\b\\c", 0, 1},
    {"tree\\a\\b\\c\\large.bin", 3000001, 0},
};

#define TREE_SIZE (sizeof(tree) / sizeof(tree[0]))

static void make_tree(void)
{
    for (uint32_t i = 0; i < TREE_SIZE; i++) {
        if (tree[i].is_folder)
            CreateDirectoryA(tree[i].name, NULL);
        else
            make_file(tree[i].name, i + 100, tree[i].size);
    }
}

static void check_tree(const char *prefix)
{
    char path[MAX_PATH];

    for (uint32_t i = 0; i < TREE_SIZE; i++) {
        snprintf(path, sizeof(path), "%s%s", prefix, tree[i].name);
        if (!tree[i].is_folder)
            check_file(path, i + 100, tree[i].size);
    }
}

/* xcopy asks whether a target is a file or a folder unless it is there. */
static void copy_tree(const char *from, const char *to)
{
    CreateDirectoryA(to, NULL);
    if (!has_program("xcopy"))
        skip("no xcopy");
    run_ok(120, "xcopy %s %s /E /I /Y", from, to);
}

void step_copy_tree(void)
{
    struct disk disk;

    make_tree();
    disk_blank(&disk, IMAGE, letter_1);
    copy_tree("tree", on(letter_1, "tree"));
    check_tree(on(letter_1, ""));
    remount(&disk, "");
    check_tree(on(letter_1, ""));
    shell(30, "rd /s /q back");
    CreateDirectoryA("back", NULL);
    copy_tree(on(letter_1, "tree"), "back\\tree");
    check_tree("back\\");
    expect_same("tree\\a\\b\\c\\large.bin", on(letter_1, "tree\\a\\b\\c\\large.bin"));
    disk_unmount(&disk);
}

/* -- label, vol, dir, chkdsk ------------------------------------------------------------------------ */

/* The exit code of `vol` says the opposite on some systems, so its text is looked at. */
void step_label(void)
{
    struct disk disk;
    char serial[16];

    disk_blank(&disk, IMAGE, letter_1);
    make_file(on(letter_1, "SEEN.BIN"), 1, 1234);
    shell(30, "dir %s\\", letter_1);
    if (strstr(output, "SEEN.BIN") == NULL)
        fail("dir does not show SEEN.BIN: %s", output);
    shell(30, "vol %s", letter_1);
    snprintf(serial, sizeof(serial), "1234-ABCD"); /* scripts/guest-kit has chosen it */
    if (strstr(output, serial) == NULL)
        fail("vol does not tell the serial number %s: %s", serial, output);
    if (!has_program("label"))
        skip("no label; dir and vol were right");
    run_ok(60, "label %s NEWLABEL", letter_1);
    remount(&disk, "");
    shell(30, "vol %s", letter_1);
    if (strstr(output, "NEWLABEL") == NULL) {
        if (is_reactos())
            skip("label: ReactOS keeps none on FAT; dir and vol were right");
        fail("after a second mount the label is not NEWLABEL: %s", output);
    }
    disk_unmount(&disk);
}

/* Only what has been unmounted has been written: chkdsk looks past the cache. */
void step_chkdsk(void)
{
    struct disk disk;

    if (!has_program("chkdsk"))
        skip("no chkdsk");
    disk_blank(&disk, IMAGE, letter_1);
    make_file(on(letter_1, "A.BIN"), 1, 2000000);
    make_file(on(letter_1, "B.BIN"), 2, 1);
    CreateDirectoryA(on(letter_1, "FOLDER"), NULL);
    make_file(on(letter_1, "FOLDER\\C.BIN"), 3, 70000);
    must(DeleteFileA(on(letter_1, "B.BIN")), "delete");
    remount(&disk, "");
    run_ok(120, "chkdsk %s", letter_1);
    check_file(on(letter_1, "A.BIN"), 1, 2000000);
    disk_unmount(&disk);
}

/* -- large, many, full ------------------------------------------------------------------------------ */

void step_large_file(void)
{
    struct disk disk;

    make_file("large.bin", 77, LARGE);
    disk_blank(&disk, IMAGE, letter_1);
    if (shell(200, "copy /b large.bin %s", on(letter_1, "large.bin")) != 0)
        fail("copy: %s", output);
    check_file(on(letter_1, "large.bin"), 77, LARGE);
    remount(&disk, "");
    expect_same("large.bin", on(letter_1, "large.bin"));
    disk_unmount(&disk);
    DeleteFileA("large.bin");
}

static uint32_t small_size(uint32_t i)
{
    return i * 37 % 5000;
}

static const char *small_name(uint32_t i)
{
    char name[48];

    snprintf(name, sizeof(name), "many\\small file %lu.bin", (unsigned long)i);
    return on(letter_1, name);
}

static void expect_empty_folder(const char *pattern)
{
    WIN32_FIND_DATAA found;
    HANDLE find = FindFirstFileA(pattern, &found);

    if (find == INVALID_HANDLE_VALUE)
        return;
    do {
        if (found.cFileName[0] != '.')
            fail("%s is still there after all was deleted", found.cFileName);
    } while (FindNextFileA(find, &found));
    FindClose(find);
}

void step_many_files(void)
{
    struct disk disk;

    disk_blank(&disk, IMAGE, letter_1);
    must(CreateDirectoryA(on(letter_1, "many"), NULL), "make a folder");
    for (uint32_t i = 0; i < SMALL_FILES; i++)
        make_file(small_name(i), i, small_size(i));
    remount(&disk, "");
    for (uint32_t i = 0; i < SMALL_FILES; i++)
        check_file(small_name(i), i, small_size(i));
    for (uint32_t i = 0; i < SMALL_FILES; i++)
        must(DeleteFileA(small_name(i)), "delete");
    remount(&disk, "");
    expect_empty_folder(on(letter_1, "many\\*"));
    disk_unmount(&disk);
}

/* Full is full: the copy that has no room fails, and what was there stays right. */
void step_full_disk(void)
{
    struct disk disk;
    DWORD error;

    make_file("much.bin", 5, 6 * MIB);
    if (copy_file(kit_path("images\\fat16.img"), IMAGE) != ERROR_SUCCESS)
        fail("the kit has no images\\fat16.img");
    disk_mount(&disk, IMAGE, letter_1, "");
    error = copy_file("much.bin", on(letter_1, "much.bin"));
    if (error != ERROR_DISK_FULL)
        fail("a copy of 6 MiB onto a disk of 5 MiB: Win32 error %lu", (unsigned long)error);
    remount(&disk, "");
    expect_same(on(letter_1, "KNOWN.BIN"), kit_path("images\\known.bin"));
    disk_unmount(&disk);
}

/* -- read-only, two disks ---------------------------------------------------------------------------- */

void step_read_only(void)
{
    struct disk disk;
    uint32_t before;
    DWORD error;

    make_file("new.bin", 9, 10000);
    if (copy_file(kit_path("images\\fat16.img"), IMAGE) != ERROR_SUCCESS)
        fail("the kit has no images\\fat16.img");
    before = sum_of(IMAGE);
    disk_mount(&disk, IMAGE, letter_1, "--read-only");
    expect_same(on(letter_1, "KNOWN.BIN"), kit_path("images\\known.bin"));
    error = copy_file("new.bin", on(letter_1, "new.bin"));
    if (error == ERROR_SUCCESS)
        fail("a file can be copied onto a read-only disk");
    if (error != ERROR_WRITE_PROTECT)
        note("the copy ends with Win32 error %lu", (unsigned long)error);
    if (DeleteFileA(on(letter_1, "KNOWN.BIN")))
        fail("a file of a read-only disk can be deleted");
    disk_unmount(&disk);
    if (sum_of(IMAGE) != before)
        fail("the image of a read-only disk has changed");
}

void step_two_disks(void)
{
    struct disk first;
    struct disk second;

    disk_blank(&first, IMAGE, letter_1);
    disk_blank(&second, "second.img", letter_2);
    make_file(on(letter_1, "one.bin"), 41, 8 * MIB);
    copy_or_fail(on(letter_1, "one.bin"), on(letter_2, "two.bin"));
    copy_or_fail(on(letter_2, "two.bin"), on(letter_1, "three.bin"));
    disk_unmount(&first);
    check_file(on(letter_2, "two.bin"), 41, 8 * MIB); /* the other one's end is not its business */
    disk_unmount(&second);
    disk_mount(&first, IMAGE, letter_2, ""); /* and the letters changed */
    check_file(on(letter_2, "three.bin"), 41, 8 * MIB);
    disk_unmount(&first);
    DeleteFileA("second.img");
}
