/* SPDX-License-Identifier: MIT */
/*
 * users.c - who uses a disk: the names of all open files (handles.c), those on the disk picked out,
 * and said by process.
 *
 * For unmount.c, on its caller's thread. It goes by names, for they need no right but that of
 * duplicating a handle, and are the same on every Windows since XP.
 */
#include "lib/windows/users.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <windows.h>
#include <winternl.h>

#include "lib/windows/handles.h"
#include "lib/windows/wide.h"

#define DEVICE_UNITS 96u
#define MOST_USERS 16u  /* that are counted */
#define SHOWN_USERS 3u  /* that are named */
#define NAME_UNITS 48u  /* of a program */
#define PATH_UNITS 80u  /* of a file; its end is what is shown of a longer one */
#define PATIENCE_MS 60u /* a name takes microseconds, or hangs */
#define TOTAL_MS 800u   /* and 200 for the tables */

struct user {
    uintptr_t process;
    unsigned files;
    wchar_t name[NAME_UNITS];
    wchar_t path[PATH_UNITS]; /* the first file's; "" : the disk itself */
};

struct users {
    wchar_t device[DEVICE_UNITS];
    size_t device_units;
    unsigned count;
    struct user user[MOST_USERS];
};

/* -- finding them ------------------------------------------------------------------------------ */

/* Where the name of a file on the device goes on after it, or NULL: Disk1 is not Disk10. */
static const wchar_t *path_on_device(const struct users *users, const wchar_t *name)
{
    if (_wcsnicmp(name, users->device, users->device_units) != 0)
        return NULL;
    name += users->device_units;
    return *name == L'\0' || *name == L'\\' ? name : NULL;
}

/* A path to be shown: what could upset a console becomes a question mark. */
static void copy_shown(wchar_t *to, size_t units, const wchar_t *from)
{
    size_t length = wcslen(from);
    size_t i;

    if (length >= units) {
        memcpy(to, L"...", 3 * sizeof(wchar_t));
        memcpy(to + 3, from + length - (units - 4), (units - 3) * sizeof(wchar_t));
    } else {
        memcpy(to, from, (length + 1) * sizeof(wchar_t));
    }
    for (i = 0; to[i] != L'\0'; i++) {
        if (to[i] < 0x20 || (to[i] >= 0x7F && to[i] < 0xA0) || (to[i] >= 0x200B && to[i] < 0x2070))
            to[i] = L'?';
    }
}

static struct user *user_of(struct users *users, uintptr_t process)
{
    unsigned i;

    for (i = 0; i < users->count; i++) {
        if (users->user[i].process == process)
            return &users->user[i];
    }
    if (users->count == MOST_USERS)
        return NULL;
    users->user[users->count].process = process;
    return &users->user[users->count++];
}

static void found(void *context, const struct cm_handle *handle, const wchar_t *name)
{
    struct users *users = context;
    const wchar_t *path = path_on_device(users, name);
    struct user *user = path != NULL ? user_of(users, handle->process) : NULL;

    if (user == NULL)
        return;
    if (path[0] == L'\0')
        return;
    user->files++;
    if (user->path[0] == L'\0')
        copy_shown(user->path, PATH_UNITS, path);
}

/* -- their names ------------------------------------------------------------------------------- */

static void name_user(struct users *users, const SYSTEM_PROCESS_INFORMATION *process)
{
    size_t units = process->ImageName.Length / sizeof(wchar_t);
    wchar_t name[MAX_PATH];
    unsigned i;

    if (process->ImageName.Buffer == NULL || units >= MAX_PATH)
        return;
    memcpy(name, process->ImageName.Buffer, units * sizeof(wchar_t));
    name[units] = L'\0';
    for (i = 0; i < users->count; i++) {
        if (users->user[i].process == (uintptr_t)process->UniqueProcessId)
            copy_shown(users->user[i].name, NAME_UNITS, name);
    }
}

/* The system's table of processes has the names of all, also of those that may not be opened. */
static void name_users(struct users *users)
{
    ULONG room = 64u * 1024u;
    NTSTATUS status = -1;
    unsigned char *table = NULL;
    unsigned char *at;

    for (; status < 0 && room <= 16u * 1024u * 1024u; room *= 2) {
        free(table);
        table = malloc(room);
        if (table == NULL)
            return;
        status = NtQuerySystemInformation(SystemProcessInformation, table, room, NULL);
    }
    for (at = table; status >= 0;) {
        const SYSTEM_PROCESS_INFORMATION *process = (const void *)at;

        name_user(users, process);
        if (process->NextEntryOffset == 0)
            break;
        at += process->NextEntryOffset;
    }
    free(table);
}

/* -- the text ---------------------------------------------------------------------------------- */

static void format_user(const struct user *user, char *text, size_t size)
{
    char name[3 * NAME_UNITS];
    char path[3 * PATH_UNITS];
    char more[32] = "";

    cm_wide_to_utf8(user->name, name, sizeof(name));
    cm_wide_to_utf8(user->path, path, sizeof(path));
    if (user->files > 1)
        snprintf(more, sizeof(more), " and %u more", user->files - 1);
    snprintf(text, size, "%s (process %lu: %s%s)", name[0] != '\0' ? name : "a program",
             (unsigned long)user->process, path[0] != '\0' ? path : "the whole disk", more);
}

/* Before the number `i`, `shown` of which are named: nothing, a comma, or the last "and". */
static const char *separator(unsigned i, unsigned shown, unsigned count)
{
    if (i == 0)
        return "";
    return i + 1 == shown && shown == count ? " and " : ", ";
}

static void format_users(const struct users *users, char *text, size_t size)
{
    char one[3 * (NAME_UNITS + PATH_UNITS) + 96];
    char others[64];
    unsigned shown = users->count < SHOWN_USERS ? users->count : SHOWN_USERS;
    size_t used = 0;
    unsigned i;

    for (i = 0; i < shown; i++) {
        const char *before = separator(i, shown, users->count);

        format_user(&users->user[i], one, sizeof(one));
        /* Room for those that are only counted must be left. */
        if (used + strlen(before) + strlen(one) + sizeof(others) > size)
            break;
        used += (size_t)snprintf(text + used, size - used, "%s%s", before, one);
    }
    if (i == users->count)
        return;
    snprintf(others, sizeof(others), "%s%u%s program%s", i == 0 ? "" : " and ", users->count - i,
             i == 0 ? "" : " other", users->count - i == 1 ? "" : "s");
    if (used + strlen(others) < size)
        snprintf(text + used, size - used, "%s", others);
}

unsigned cm_users_of(const char *device, uint32_t flags, char *text, size_t size)
{
    struct users *users = calloc(1, sizeof(*users));
    uintptr_t without = (flags & CM_USERS_AND_SELF) != 0 ? 0 : GetCurrentProcessId();
    struct cm_handles_scan scan = {
        .name_of = cm_handles_name,
        .found = found,
        .context = users,
        .patience_ms = PATIENCE_MS,
        .total_ms = TOTAL_MS,
    };
    struct cm_handle *handles;
    size_t count;
    unsigned result = 0;

    if (size > 0)
        text[0] = '\0';
    if (users == NULL)
        return 0;
    cm_wide_from_utf8_cut(device, users->device, DEVICE_UNITS);
    users->device_units = wcslen(users->device);
    if (cm_handles_list(without, &handles, &count) == 0) {
        cm_handles_scan_run(&scan, handles, count);
        result = users->count;
    }
    if (result > 0 && size > 0) {
        name_users(users);
        format_users(users, text, size);
    }
    free(users);
    return result;
}
