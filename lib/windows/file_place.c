/* SPDX-License-Identifier: MIT */
/*
 * file_place.c - on which disk a file lies, found without touching that disk.
 *
 * Called by file.c when an image's file is opened, on the caller's thread. A path is followed from
 * its beginning, one folder after the other: its first part (C:, Volume{...}, GLOBALROOT\Device\x)
 * names a device, and a folder may be a link to elsewhere (mount folders, junctions, symbolic
 * links), with which it begins anew. As soon as a disk of CoreMnt is met, that disk is looked at
 * before anything on it is: if it is ours to serve, or has no server, the search is over. If
 * another process serves it, it answers, but what it answers with lies on a disk too, so the image
 * of that disk is followed in the same way.
 *
 * What is not found out counts as harmless: the system then says what is wrong with the path.
 */
#include "lib/windows/file_place.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <winioctl.h>
#include <winternl.h>

#include "lib/core/error_internal.h"
#include "lib/core/image_name.h"
#include "lib/windows/letter.h"
#include "lib/windows/reparse.h"
#include "lib/windows/wide.h"

#include <coremnt/disk.h>

#define MAX_UNITS 32768u /* of any path, with its end */
#define MAX_STEPS 64u    /* links and images followed: more is a circle */

/* What a search needs; large, so it lies on the heap. */
struct search {
    const char *path; /* for the sentence */
    wchar_t at[MAX_UNITS];
    wchar_t next[MAX_UNITS];
    wchar_t target[MAX_UNITS];
};

/* -- disks ------------------------------------------------------------------------------------- */

/* 0: there is no such disk, or no driver to ask. */
static int find_disk(uint32_t number, struct cm_disk_info *info)
{
    struct cm_disk_info *disks;
    uint32_t count;
    int found = 0;

    if (cm_list(&disks, &count) != 0)
        return 0;
    for (uint32_t i = 0; i < count && !found; i++) {
        found = disks[i].number == number;
        if (found)
            *info = disks[i];
    }
    cm_free(disks);
    return found;
}

static int check_disk(const char *path, const struct cm_disk_info *disk)
{
    char name[32];

    snprintf(name, sizeof(name), "%s", disk->mount_point);
    if (name[0] == '\0')
        snprintf(name, sizeof(name), "the disk %llu", (unsigned long long)disk->id);
    if (disk->owner_pid == 0)
        return cm_fail(CM_EINVAL,
                       "%s lies on %s, which has no server now, so opening it would wait for "
                       "ever. Give an image that lies elsewhere.",
                       path, name);
    if (disk->owner_pid == GetCurrentProcessId())
        return cm_fail(CM_EINVAL,
                       "%s lies on %s, which this program serves itself: the disk would wait for "
                       "itself. Give an image that lies elsewhere.",
                       path, name);
    return 0;
}

/* -- following --------------------------------------------------------------------------------- */

/* Puts a new beginning before the rest of the path. 0: too long. */
static int begin_anew(struct search *search, const wchar_t *start, size_t start_units,
                      const wchar_t *rest)
{
    size_t rest_units = wcslen(rest);

    if (start_units >= MAX_UNITS || rest_units >= MAX_UNITS - start_units)
        return 0;
    memmove(search->next, start, start_units * sizeof(wchar_t));
    memcpy(search->next + start_units, rest, (rest_units + 1) * sizeof(wchar_t));
    memcpy(search->at, search->next, (start_units + rest_units + 1) * sizeof(wchar_t));
    return 1;
}

/* The part behind \\?\ or \??\; NULL: not one of these. */
static wchar_t *behind_prefix(wchar_t *path)
{
    if (wcsncmp(path, L"\\\\?\\", 4) == 0 || wcsncmp(path, L"\\??\\", 4) == 0)
        return path + 4;
    return NULL;
}

/* Follows the first link among the folders of the path. 1: there was one, and `at` is new. */
static int follow_link(struct search *search, wchar_t *first_folder)
{
    wchar_t *end = first_folder;

    while (*end != L'\0') {
        wchar_t kept;
        size_t units;
        DWORD attributes;
        int found = 0;

        for (end++; *end != L'\0' && *end != L'\\'; end++)
            ;
        kept = *end;
        *end = L'\0';
        attributes = GetFileAttributesW(search->at);
        if (attributes != INVALID_FILE_ATTRIBUTES &&
            (attributes & FILE_ATTRIBUTE_REPARSE_POINT) != 0)
            /* One that is relative stays where it is; looked at when it is open. */
            found = cm_reparse_read(search->at, CM_REPARSE_LINKS, search->target, MAX_UNITS) == 0;
        *end = kept;
        if (attributes == INVALID_FILE_ATTRIBUTES)
            return 0;
        if (found) {
            units = wcslen(search->target);
            while (units > 0 && search->target[units - 1] == L'\\')
                units--;
            return begin_anew(search, search->target, units, end);
        }
    }
    return 0;
}

/* The device of the path's first part. *rest: what is behind it. 0: not known. */
static int first_device(struct search *search, wchar_t *device, DWORD units, wchar_t **rest)
{
    static const wchar_t global[] = L"GLOBALROOT\\";
    wchar_t *name = behind_prefix(search->at);
    wchar_t *end;
    wchar_t kept;
    DWORD length;

    if (name == NULL)
        return 0;
    if (_wcsnicmp(name, global, wcslen(global)) == 0) {
        *rest = name + wcslen(global) - 1;
        if (wcslen(*rest) >= units)
            return 0;
        memcpy(device, *rest, (wcslen(*rest) + 1) * sizeof(wchar_t));
        return 1;
    }
    end = wcschr(name, L'\\');
    if (end == NULL)
        end = name + wcslen(name);
    kept = *end;
    *end = L'\0';
    length = QueryDosDeviceW(name, device, units);
    *end = kept;
    *rest = end;
    return length > 0;
}

/* One step from `at`. 1: `at` is another path now, and the search goes on; 0: it is over; or an
 * error. */
static int step(struct search *search)
{
    wchar_t device[MAX_PATH];
    struct cm_disk_info disk;
    const char *image;
    uint32_t number;
    wchar_t *rest;
    int error;

    if (!first_device(search, device, MAX_PATH, &rest))
        return 0;
    if (behind_prefix(device) != NULL) /* subst: a letter for a folder */
        return begin_anew(search, device, wcslen(device), rest);
    if (!cm_device_number(device, &number) || !find_disk(number, &disk))
        return follow_link(search, rest);
    error = check_disk(search->path, &disk);
    if (error != 0)
        return error;
    if (follow_link(search, rest))
        return 1;
    /* It lies on that disk, which is served by another process: from where? */
    cm_image_name_split(disk.image_name);
    image = strncmp(disk.image_name, "raw:", 4) == 0 ? disk.image_name + 4 : disk.image_name;
    if (((image[0] | 0x20) < 'a' || (image[0] | 0x20) > 'z') || image[1] != ':')
        return 0;
    memcpy(search->at, L"\\\\?\\", 4 * sizeof(wchar_t));
    return cm_wide_from_utf8(image, search->at + 4, MAX_UNITS - 4) == 0;
}

static int follow(const char *path, const wchar_t *start)
{
    struct search *search = malloc(sizeof(*search));
    int result = 1;

    if (search == NULL)
        return cm_fail(CM_ENOMEM, "no memory to open %s.", path);
    search->path = path;
    if (!begin_anew(search, start, wcslen(start), L""))
        result = 0;
    for (unsigned steps = 0; result == 1 && steps < MAX_STEPS; steps++)
        result = step(search);
    free(search);
    return result < 0 ? result : 0;
}

int cm_file_place_check(const char *path, const wchar_t *native)
{
    return follow(path, native);
}

/* -- open files -------------------------------------------------------------------------------- */

int cm_file_place_check_open(const char *path, HANDLE file)
{
    /* Elsewhere than on NT the name may be of another kind (\??\C:\x), or there may be none. */
    struct {
        UNICODE_STRING name;
        wchar_t units[MAX_UNITS];
    } *object = malloc(sizeof(*object));
    struct cm_disk_info disk;
    uint32_t number;
    ULONG length = 0;
    int error = 0;

    if (object == NULL)
        return cm_fail(CM_ENOMEM, "no memory to open %s.", path);
    memset(&object->name, 0, sizeof(object->name));
    if (NT_SUCCESS(NtQueryObject(file, 1 /* ObjectNameInformation */, object,
                                 sizeof(*object) - sizeof(wchar_t), &length)) &&
        object->name.Buffer == object->units) {
        object->units[object->name.Length / sizeof(wchar_t)] = L'\0';
        if (cm_device_number(object->units, &number) && find_disk(number, &disk))
            error = check_disk(path, &disk);
    }
    free(object);
    return error;
}
