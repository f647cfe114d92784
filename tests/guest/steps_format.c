/* SPDX-License-Identifier: MIT */
/*
 * steps_format.c - the system formats a disk of ours, and reads the images that other programs made.
 *
 * format.com is asked first. Where the system's own cannot format a blank disk (ReactOS's insists on
 * a file system that is there already), FormatEx of fmifs.dll is called, which Explorer uses.
 */
#include <stdio.h>
#include <string.h>

#include "tests/guest/kit.h"

#define FORMAT_S 120u
#define KNOWN_FILE "images\\known.bin"

/* -- fmifs.dll ------------------------------------------------------------------------------------ */

enum { FMIFS_HARD_DISK = 0xC, FMIFS_DONE = 0xB };

typedef BOOLEAN(WINAPI *fmifs_callback)(int command, DWORD detail, void *argument);
typedef void(WINAPI *fmifs_format)(WCHAR *drive, int media, const WCHAR *file_system,
                                   const WCHAR *label, BOOLEAN quick, DWORD cluster_size,
                                   fmifs_callback callback);

static int format_result; /* -1: it has not said that it is done */

static BOOLEAN WINAPI on_format(int command, DWORD detail, void *argument)
{
    (void)detail;
    if (command == FMIFS_DONE)
        format_result = *(BOOLEAN *)argument != 0;
    return TRUE;
}

static void format_by_fmifs(const char *letter, const char *file_system, DWORD cluster_size)
{
    HMODULE library = LoadLibraryA("fmifs.dll");
    fmifs_format format = NULL;
    WCHAR drive[8];
    WCHAR name[16];

    if (library != NULL)
        format = (fmifs_format)(void *)GetProcAddress(library, "FormatEx");
    if (format == NULL)
        fail("format.com does not format, and this system has no FormatEx");
    _snwprintf(drive, 8, L"%hs\\", letter);
    _snwprintf(name, 16, L"%hs", file_system);
    format_result = -1;
    format(drive, FMIFS_HARD_DISK, name, L"KIT", TRUE, cluster_size, on_format);
    note("FormatEx: %d", format_result);
    if (format_result != 1)
        fail("FormatEx could not format %s as %s", letter, file_system);
    FreeLibrary(library);
}

/* -- format --------------------------------------------------------------------------------------- */

/* /Y keeps format.com from asking; should one ask nevertheless, the limit ends it. */
static int format_by_command(const char *letter, const char *file_system, const char *options)
{
    if (!has_program("format"))
        return 0;
    return run(FORMAT_S, "format.com %s /FS:%s /Q /V:KIT %s /Y", letter, file_system, options) == 0;
}

static void format_disk(const char *file_system, const char *size, const char *options,
                        DWORD cluster_size)
{
    struct disk disk;
    char root[4];
    char file[16];

    DeleteFileA("format.img");
    run_ok(60, "coremnt create format.img --size %s", size);
    disk_mount(&disk, "format.img", letter_1, "");
    snprintf(root, sizeof(root), "%s\\", letter_1);
    if (!format_by_command(letter_1, file_system, options)) {
        if (!is_reactos())
            fail("format.com could not format %s as %s: %s", letter_1, file_system, output);
        format_by_fmifs(letter_1, file_system, cluster_size);
    }
    if (strcmp(file_system_of(root), file_system) != 0)
        fail("%s was formatted as %s, but is \"%s\"", letter_1, file_system, file_system_of(root));
    snprintf(file, sizeof(file), "%s\\f.bin", letter_1);
    make_file(file, 11, 3 * MIB + 17);
    disk_unmount(&disk);
    disk_mount(&disk, "format.img", letter_1, "");
    check_file(file, 11, 3 * MIB + 17);
    disk_unmount(&disk);
    DeleteFileA("format.img");
}

void step_format_fat(void)
{
    format_disk("FAT", "32M", "", 0);
}

/* 64 MiB have the clusters that a FAT32 needs at least if they are of 512 bytes. ReactOS looks at the
 * size of the disk instead, and makes a FAT16 up to 512 MiB whatever it is asked for. */
void step_format_fat32(void)
{
    if (is_reactos())
        format_disk("FAT32", "600M", "", 0);
    else
        format_disk("FAT32", "64M", "/A:512", 512);
}

void step_format_ntfs(void)
{
    if (is_reactos())
        skip("ReactOS does not format NTFS");
    format_disk("NTFS", "64M", "", 0);
}

/* -- images of other programs ---------------------------------------------------------------------- */

/* The kit's image, as `name`.img; the system may have no such file system, and then says "". */
static void mount_made(struct disk *disk, const char *name, char root[4])
{
    char path[64];
    char image[64];

    snprintf(path, sizeof(path), "images\\%s.img", name);
    snprintf(image, sizeof(image), "%s.img", name);
    if (copy_file(kit_path(path), image) != ERROR_SUCCESS)
        fail("cannot copy %s of the kit: Win32 error %lu", path, (unsigned long)GetLastError());
    SetFileAttributesA(image, FILE_ATTRIBUTE_NORMAL);
    disk_mount(disk, image, letter_1, "");
    snprintf(root, 4, "%s\\", letter_1);
}

/* A file that was there before is read, a new one written, and read after a second mount. */
static void use_image(const char *name, const char *file_system, int known, int writable)
{
    struct disk disk;
    char root[4];
    char file[32];
    const char *seen;

    mount_made(&disk, name, root);
    seen = file_system_of(root);
    if (seen[0] == '\0' && strncmp(file_system, "FAT", 3) != 0)
        skip("this system has no %s", file_system);
    if (strcmp(seen, file_system) != 0)
        fail("%s.img is seen as \"%s\" and not as %s", name, seen, file_system);
    if (shell(30, "dir %s", root) != 0 && known)
        fail("dir %s: %s", root, output);
    snprintf(file, sizeof(file), "%sKNOWN.BIN", root);
    if (known)
        expect_same(file, kit_path(KNOWN_FILE));
    if (writable) {
        snprintf(file, sizeof(file), "%sNEW.BIN", root);
        make_file(file, 21, 70001);
        disk_unmount(&disk);
        snprintf(file, sizeof(file), "%s.img", name);
        disk_mount(&disk, file, letter_1, "");
        snprintf(file, sizeof(file), "%sNEW.BIN", root);
        check_file(file, 21, 70001);
    }
    disk_unmount(&disk);
}

void step_image_fat12(void)
{
    use_image("fat12", "FAT", 1, 1);
}

void step_image_fat16(void)
{
    use_image("fat16", "FAT", 1, 1);
}

void step_image_fat32(void)
{
    use_image("fat32", "FAT32", 1, 1);
}

/* ReactOS's NTFS knows no FSCTL_DISMOUNT_VOLUME: it keeps the disk, so the driver could not be stopped
 * afterwards. And fc, which maps files, hangs in it. */
void step_image_ntfs(void)
{
    if (is_reactos())
        skip("ReactOS's NTFS cannot be dismounted");
    use_image("ntfs", "NTFS", 1, 1);
}

/* Nothing in Debian puts a file into an exFAT image without mounting it. */
void step_image_exfat(void)
{
    use_image("exfat", "exFAT", 0, 1);
}
