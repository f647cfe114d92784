/* SPDX-License-Identifier: MIT */
/*
 * list.c - which disks there are: cm_list(), cm_get_disk_info(), cm_get_stats(), and finding one for
 * the other files here.
 *
 * Any thread; each call opens the driver anew.
 */
#include "lib/windows/list.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/core/error_internal.h"
#include "lib/core/os.h"
#include "lib/windows/announce.h"
#include "lib/windows/control.h"
#include "lib/windows/folder.h"
#include "lib/windows/letter.h"
#include "lib/windows/mountmgr.h"
#include "lib/windows/wide.h"

#include <coremnt/disk.h>

#define FIRST_ROOM 16u /* disks */
#define MAX_ROOM 65536u
#define FORGET_MS 2000u /* all letters together: the mount manager may hang */

/* -- all of them ------------------------------------------------------------------------------- */

/* With room for `room` disks; *total tells how many there are. */
static DWORD list_once(HANDLE control, uint32_t room, struct cm_list **list, uint32_t *total)
{
    DWORD size = (DWORD)(sizeof(**list) + room * sizeof(struct cm_list_entry));
    DWORD bytes;
    DWORD error;

    *total = 0;
    *list = malloc(size);
    if (*list == NULL)
        return ERROR_NOT_ENOUGH_MEMORY;
    error = cm_control_call(control, CM_IOCTL_LIST, NULL, 0, *list, size, &bytes);
    if (bytes >= sizeof(**list))
        *total = (*list)->total;
    if (error == 0 && (bytes < sizeof(**list) || (*list)->count > room ||
                       bytes - sizeof(**list) < (*list)->count * sizeof(struct cm_list_entry)))
        error = ERROR_INVALID_DATA;
    if (error != 0) {
        free(*list);
        *list = NULL;
    }
    return error;
}

/* All disks; free() the array. 0, or of the call, with a sentence. */
static int list_entries(HANDLE control, struct cm_list_entry **entries, uint32_t *count)
{
    struct cm_list *list = NULL;
    uint32_t room = FIRST_ROOM;
    uint32_t total;
    DWORD error;

    *entries = NULL;
    *count = 0;
    /* Disks come and go between two tries: a little more room than there were. */
    while ((error = list_once(control, room, &list, &total)) == ERROR_MORE_DATA && room < MAX_ROOM)
        room = (total > room ? total : room) + FIRST_ROOM;
    if (error != 0)
        return cm_control_fail(error, "list the disks");
    *count = list->count;
    memmove(list, list + 1, *count * sizeof(**entries));
    *entries = (struct cm_list_entry *)(void *)list;
    return 0;
}

static void describe(const struct cm_list_entry *entry, struct cm_disk_info *info)
{
    char device[CM_DEVICE_NAME_SIZE];
    wchar_t name[CM_IMAGE_NAME_UNITS];
    char letter;

    memset(info, 0, sizeof(*info));
    info->id = entry->disk_id;
    info->size = entry->size;
    info->number = entry->number;
    info->sector_size = entry->sector_size;
    info->queue_depth = entry->queue_depth;
    info->slot_size = entry->slot_size;
    info->owner_pid = entry->owner_pid;
    info->read_only = (entry->flags & CM_MOUNT_READ_ONLY) != 0;
    info->can_trim = (entry->flags & CM_MOUNT_TRIM) != 0;
    info->can_resize = (entry->flags & CM_MOUNT_RESIZE) != 0;
    memcpy(name, entry->image_name, sizeof(name));
    name[CM_IMAGE_NAME_UNITS - 1] = L'\0';
    cm_wide_to_utf8(name, info->image_name, sizeof(info->image_name));
    cm_device_name(entry->number, device);
    letter = cm_letter_of(device);
    if (letter != '\0') {
        info->mount_point[0] = letter;
        info->mount_point[1] = ':';
    }
}

int cm_list(struct cm_disk_info **disks, uint32_t *count)
{
    struct cm_list_entry *entries;
    HANDLE control;
    uint32_t i;
    int error;

    *disks = NULL;
    *count = 0;
    error = cm_control_open(&control, NULL);
    if (error != 0)
        return error;
    error = list_entries(control, &entries, count);
    CloseHandle(control);
    if (error != 0 || *count == 0) {
        free(entries);
        return error;
    }
    *disks = calloc(*count, sizeof(**disks));
    for (i = 0; *disks != NULL && i < *count; i++)
        describe(&entries[i], &(*disks)[i]);
    free(entries);
    if (*disks != NULL)
        return 0;
    *count = 0;
    return cm_fail(CM_ENOMEM, "no memory to list the disks.");
}

/* -- one of them ------------------------------------------------------------------------------- */

/* What the user typed. */
struct which {
    uint64_t id; /* only if it is one */
    int is_id;
    uint32_t number; /* otherwise: of the disk at */
    char letter;     /* this letter, or '\0': a folder */
};

static int parse_id(const char *text, struct which *which)
{
    char *end;

    which->is_id = 1;
    which->id = strtoull(text, &end, 10);
    return *end == '\0' ? 0
                        : cm_fail(CM_EINVAL,
                                  "\"%.40s\" is neither a drive letter nor a disk's "
                                  "id. \"coremnt list\" shows both.",
                                  text);
}

static int parse_which(const char *text, struct which *which)
{
    int error;

    memset(which, 0, sizeof(*which));
    if (text[0] >= '0' && text[0] <= '9')
        return parse_id(text, which);
    error = cm_letter_parse(text, &which->letter);
    if (error == 0)
        return cm_letter_disk_number(which->letter, &which->number);
    which->letter = '\0';
    return strpbrk(text, "\\/") != NULL ? cm_folder_disk_number(text, &which->number) : error;
}

static int fail_none(const char *text, const struct which *which)
{
    if (which->is_id)
        return cm_fail(CM_ENOENT, "there is no disk with the id %s.", text);
    if (which->letter == '\0')
        return cm_fail(
            CM_ENOENT,
            "%s leads to a disk that is no longer there: its program has ended. \"mountvol "
            "%s /d\" makes it an ordinary folder again.",
            text, text);
    return cm_fail(CM_ENOENT,
                   "%c: is the letter of a disk that is no longer there: its program has "
                   "ended. \"coremnt unmount %c:\" takes the letter away.",
                   which->letter, which->letter);
}

int cm_list_find(HANDLE control, const char *which, struct cm_list_entry *entry, char *dead_letter)
{
    struct cm_list_entry *entries;
    struct which wanted;
    uint32_t count;
    uint32_t i;
    int error = parse_which(which, &wanted);

    *dead_letter = '\0';
    if (error == 0)
        error = list_entries(control, &entries, &count);
    if (error != 0)
        return error;
    for (i = 0; i < count; i++) {
        if (wanted.is_id ? entries[i].disk_id == wanted.id : entries[i].number == wanted.number)
            break;
    }
    if (i < count)
        *entry = entries[i];
    free(entries);
    if (i < count)
        return 0;
    *dead_letter = wanted.letter;
    return fail_none(which, &wanted);
}

void cm_list_name(const struct cm_list_entry *entry, char name[CM_DISK_NAME_SIZE])
{
    char device[CM_DEVICE_NAME_SIZE];
    char letter;

    cm_device_name(entry->number, device);
    letter = cm_letter_of(device);
    if (letter != '\0')
        snprintf(name, CM_DISK_NAME_SIZE, "%c:", letter);
    else
        snprintf(name, CM_DISK_NAME_SIZE, "the disk %llu", (unsigned long long)entry->disk_id);
}

int cm_list_fail_size(const struct cm_list_entry *entry, uint64_t size)
{
    char name[CM_DISK_NAME_SIZE];

    cm_list_name(entry, name);
    return cm_fail(CM_EINVAL,
                   "this cannot be the image of %s, for it has %llu bytes and the disk has %llu. "
                   "Give the image that was mounted, and --partition if it was one of its.",
                   name, (unsigned long long)size, (unsigned long long)entry->size);
}

static int is_listed(const struct cm_list_entry *entries, uint32_t count, uint32_t number)
{
    uint32_t i;

    for (i = 0; i < count; i++) {
        if (entries[i].number == number)
            return 1;
    }
    return 0;
}

int cm_list_has_number(uint32_t number)
{
    struct cm_list_entry *entries;
    HANDLE control;
    uint32_t count;
    int has = 1;

    if (cm_control_open(&control, NULL) != 0)
        return 1;
    if (list_entries(control, &entries, &count) == 0) {
        has = is_listed(entries, count, number);
        free(entries);
    }
    CloseHandle(control);
    return has;
}

/* The letters are read before the list: a letter comes after its disk, so one that is new meanwhile
 * is not taken for dead. */
void cm_list_remove_dead_letters(HANDLE control)
{
    struct cm_list_entry *entries;
    uint32_t numbers[26];
    uint64_t deadline_ns = cm_os_now_ns() + FORGET_MS * UINT64_C(1000000);
    uint32_t letters = 0;
    uint32_t count;
    uint32_t i;

    for (i = 0; i < 26; i++) {
        if (cm_letter_disk_number((char)('A' + i), &numbers[i]) == 0)
            letters |= 1u << i;
    }
    if (letters == 0 || list_entries(control, &entries, &count) != 0)
        return;
    for (i = 0; i < 26; i++) {
        char device[CM_DEVICE_NAME_SIZE];

        if ((letters & (1u << i)) == 0 || is_listed(entries, count, numbers[i]))
            continue;
        cm_device_name(numbers[i], device);
        cm_mountmgr_forget(device, cm_os_ms_until(deadline_ns));
        if (cm_letter_remove((char)('A' + i), device) == 0)
            cm_announce_letter((char)('A' + i), 0, CM_ANNOUNCE_MS);
    }
    free(entries);
}

int cm_get_disk_info(const char *which, struct cm_disk_info *info)
{
    struct cm_list_entry entry;
    HANDLE control;
    char dead;
    int error;

    memset(info, 0, sizeof(*info));
    error = cm_control_open(&control, NULL);
    if (error != 0)
        return error;
    error = cm_list_find(control, which, &entry, &dead);
    CloseHandle(control);
    if (error == 0)
        describe(&entry, info);
    return error;
}

int cm_get_stats(const char *which, struct cm_stats *stats)
{
    struct cm_stats_of of = {0};
    struct cm_list_entry entry;
    HANDLE control;
    DWORD bytes;
    DWORD result;
    char dead;
    int error;

    memset(stats, 0, sizeof(*stats));
    error = cm_control_open(&control, NULL);
    if (error != 0)
        return error;
    error = cm_list_find(control, which, &entry, &dead);
    if (error == 0) {
        of.disk_id = entry.disk_id;
        result = cm_control_call(control, CM_IOCTL_STATS, &of, sizeof(of), stats, sizeof(*stats),
                                 &bytes);
        if (result == 0 && bytes != sizeof(*stats))
            result = ERROR_INVALID_DATA;
        if (result != 0)
            error = cm_control_fail(result, "read the disk's counters");
    }
    CloseHandle(control);
    return error;
}
