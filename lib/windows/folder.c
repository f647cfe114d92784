/* SPDX-License-Identifier: MIT */
/*
 * folder.c - disks in folders.
 *
 * Called when a disk is mounted, unmounted or looked for, on the caller's thread; never by one that serves disks.
 * Nothing here follows the folder to the disk that it leads to: that one may not answer.
 */
#include "lib/windows/folder.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <windows.h>

#include "abi/coremnt_abi.h"
#include "lib/core/error_internal.h"
#include "lib/core/os.h"
#include "lib/windows/letter.h"
#include "lib/windows/list.h"
#include "lib/windows/mountmgr.h"
#include "lib/windows/path.h"
#include "lib/windows/reparse.h"
#include "lib/windows/wide.h"

#include <coremnt/error.h>

#define UNITS (CM_FOLDER_SIZE + 2u)

static int fail(const char *doing, const char *path, DWORD error)
{
    char text[256];

    if (error == ERROR_ACCESS_DENIED)
        return cm_fail(CM_EACCES, "no right to %s %s. Run this as administrator.", doing, path);
    if (error == ERROR_FILE_NOT_FOUND || error == ERROR_PATH_NOT_FOUND)
        return cm_fail(CM_ENOENT, "there is no folder %s. Make an empty one first.", path);
    if (error == ERROR_INVALID_FUNCTION || error == ERROR_NOT_SUPPORTED)
        return cm_fail(CM_ENOTSUP,
                       "a disk cannot be mounted in %s: its file system has no mount points. "
                       "Choose a folder on an NTFS disk, or a drive letter.",
                       path);
    cm_os_error_text(error, text, sizeof(text));
    return cm_fail(CM_EIO, "cannot %s %s: %s (Win32 error %lu).", doing, path, text,
                   (unsigned long)error);
}

/* The long form of a path; free() it. NULL, with a sentence. */
static wchar_t *long_form(const char *path)
{
    wchar_t *wide = malloc(UNITS * sizeof(*wide));
    wchar_t *native = NULL;

    if (wide == NULL) {
        cm_fail(CM_ENOMEM, "no memory for the folder %s.", path);
        return NULL;
    }
    if (cm_wide_from_utf8(path, wide, UNITS) == 0)
        native = cm_path_long(wide);
    if (native == NULL)
        cm_fail(CM_EINVAL, "%s is not a folder.", path);
    free(wide);
    return native;
}

/* -- where it leads ---------------------------------------------------------------------------- */

/* By way of a volume name, \??\Volume{...}\, too. */
static int disk_behind(const wchar_t *target, uint32_t *number)
{
    wchar_t name[CM_VOLUME_NAME_UNITS];
    wchar_t device[CM_FOLDER_TARGET_UNITS];
    size_t length = wcslen(target);

    if (cm_device_number(target, number))
        return 1;
    if (wcsncmp(target, L"\\??\\", 4) != 0 || length < 5 || length - 4 >= CM_VOLUME_NAME_UNITS)
        return 0;
    wcscpy(name, target + 4);
    if (name[length - 5] == L'\\')
        name[length - 5] = L'\0';
    return QueryDosDeviceW(name, device, CM_FOLDER_TARGET_UNITS) != 0 &&
           cm_device_number(device, number);
}

int cm_folder_disk_number(const char *path, uint32_t *number)
{
    wchar_t *native = long_form(path);
    wchar_t target[CM_FOLDER_TARGET_UNITS];
    DWORD error;

    if (native == NULL)
        return CM_EINVAL;
    error = cm_reparse_read(native, 0, target, CM_FOLDER_TARGET_UNITS);
    free(native);
    if (error == 0 && disk_behind(target, number))
        return 0;
    if (error == ERROR_FILE_NOT_FOUND || error == ERROR_PATH_NOT_FOUND)
        return cm_fail(CM_ENOENT, "there is no folder %s.", path);
    return cm_fail(CM_ENOENT, "no CoreMnt disk is mounted in %s.", path);
}

/* -- whether it will do ------------------------------------------------------------------------ */

/* By its letter, before anything of it is touched. */
static int check_disk(const char *path, const wchar_t *native)
{
    wchar_t letter = (wchar_t)(native[4] & ~0x20);
    uint32_t number;

    if (letter < L'A' || letter > L'Z' || native[5] != L':' ||
        cm_letter_disk_number((char)letter, &number) != 0)
        return 0;
    return cm_fail(
        CM_EINVAL,
        "%s lies on a CoreMnt disk, and would go with it. Choose a folder of another disk.", path);
}

static int check_file_system(const char *path, const wchar_t *native)
{
    wchar_t *root = _wcsdup(native);
    DWORD flags = 0;
    int known;

    if (root == NULL)
        return cm_fail(CM_ENOMEM, "no memory for the folder %s.", path);
    known = GetVolumePathNameW(native, root, (DWORD)wcslen(native) + 1) &&
            GetVolumeInformationW(root, NULL, 0, NULL, NULL, &flags, NULL, 0);
    free(root);
    return known && (flags & FILE_SUPPORTS_REPARSE_POINTS) == 0
               ? fail("mount a disk in", path, ERROR_NOT_SUPPORTED)
               : 0;
}

static int is_empty(const wchar_t *native)
{
    wchar_t *pattern = malloc((wcslen(native) + 3) * sizeof(*pattern));
    WIN32_FIND_DATAW found;
    HANDLE search;
    int empty = 1;

    if (pattern == NULL)
        return 0;
    wcscpy(pattern, native);
    wcscat(pattern, L"\\*");
    search = FindFirstFileW(pattern, &found);
    free(pattern);
    if (search == INVALID_HANDLE_VALUE)
        return GetLastError() == ERROR_FILE_NOT_FOUND;
    do {
        empty = wcscmp(found.cFileName, L".") == 0 || wcscmp(found.cFileName, L"..") == 0;
    } while (empty && FindNextFileW(search, &found));
    FindClose(search);
    return empty;
}

/* It leads somewhere already. A disk that is no longer there cannot have wanted it. */
static int check_reparse(const char *path, const wchar_t *native)
{
    wchar_t target[CM_FOLDER_TARGET_UNITS];
    uint32_t number;
    DWORD error = cm_reparse_read(native, 0, target, CM_FOLDER_TARGET_UNITS);

    if (error == 0 && cm_device_number(target, &number) && !cm_list_has_number(number)) {
        error = cm_reparse_remove(native);
        return error == 0 ? 0 : fail("use", path, error);
    }
    return cm_fail(CM_EBUSY,
                   "%s is a mount point or a link already. Choose an empty folder, or remove it "
                   "with \"coremnt unmount\", \"mountvol %s /d\" or \"rmdir\".",
                   path, path);
}

static int check_folder(const char *path, const wchar_t *native)
{
    DWORD attributes = GetFileAttributesW(native);

    if (attributes == INVALID_FILE_ATTRIBUTES)
        return fail("mount a disk in", path, GetLastError());
    if ((attributes & FILE_ATTRIBUTE_DIRECTORY) == 0)
        return cm_fail(CM_EINVAL, "%s is a file. A disk is mounted in an empty folder.", path);
    if ((attributes & FILE_ATTRIBUTE_REPARSE_POINT) != 0)
        return check_reparse(path, native);
    if (!is_empty(native))
        return cm_fail(CM_EINVAL,
                       "%s is not empty. A disk is mounted in an empty folder, as it hides what is "
                       "in it.",
                       path);
    return 0;
}

int cm_folder_check(const char *path, char full[CM_FOLDER_SIZE])
{
    size_t length;
    wchar_t *native;
    int error = cm_os_full_path(path, full, CM_FOLDER_SIZE);

    if (error != 0)
        return error;
    length = strlen(full);
    while (length > 3 && (full[length - 1] == '\\' || full[length - 1] == '/'))
        full[--length] = '\0';
    native = long_form(full);
    if (native == NULL)
        return CM_EINVAL;
    error = check_disk(full, native);
    if (error == 0)
        error = check_folder(full, native);
    if (error == 0)
        error = check_file_system(full, native);
    free(native);
    return error;
}

/* -- mounting ---------------------------------------------------------------------------------- */

/* The mount manager must hear of it to tell programs the paths of a volume; SetVolumeMountPoint does both. */
static int mount_by_name(const wchar_t *native, const char *device)
{
    wchar_t volume[CM_VOLUME_NAME_UNITS];
    wchar_t *folder;
    int done;

    if (cm_mountmgr_volume_name(device, volume) != 0)
        return 0;
    folder = malloc((wcslen(native) + 2) * sizeof(*folder));
    if (folder == NULL)
        return 0;
    wcscpy(folder, native);
    wcscat(folder, L"\\");
    done = SetVolumeMountPointW(folder, volume);
    free(folder);
    return done;
}

int cm_folder_mount(const char *full, const char *device, wchar_t target[CM_FOLDER_TARGET_UNITS])
{
    wchar_t *native = long_form(full);
    DWORD error = 0;

    if (native == NULL)
        return CM_EINVAL;
    if (!mount_by_name(native, device)) {
        cm_wide_from_utf8_cut(device, target, CM_DEVICE_NAME_SIZE);
        wcscat(target, L"\\");
        error = cm_reparse_set(native, target);
    }
    if (error == 0)
        error = cm_reparse_read(native, 0, target, CM_FOLDER_TARGET_UNITS);
    free(native);
    return error == 0 ? 0 : fail("mount the disk in", full, error);
}

int cm_folder_unmount(const char *full, const wchar_t *target)
{
    wchar_t *native = long_form(full);
    wchar_t now[CM_FOLDER_TARGET_UNITS];
    DWORD error = 0;

    if (native == NULL)
        return CM_EINVAL;
    if (cm_reparse_read(native, 0, now, CM_FOLDER_TARGET_UNITS) == 0 && wcscmp(now, target) == 0)
        error = cm_reparse_remove(native);
    free(native);
    return error == 0 ? 0 : fail("take the disk out of", full, error);
}
