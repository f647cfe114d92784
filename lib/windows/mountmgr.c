/* SPDX-License-Identifier: MIT */
/*
 * mountmgr.c - ioctls of \\.\MountPointManager.
 *
 * Called when a disk is mounted, unmounted or listed, on the caller's thread or one of its own; never by one that
 * serves disks. Disks that are not made by PnP have to be announced and taken back by whoever makes them
 * (IOCTL_MOUNTMGR_VOLUME_ARRIVAL_NOTIFICATION; there is no opposite). What the manager then asks the disk is
 * answered by the driver alone (driver/disk_mountdev.c). docs/mount-manager.md has the whole story.
 */
#include "lib/windows/mountmgr.h"

#include <stdlib.h>
#include <string.h>
#include <windows.h>

#include <winioctl.h>
/* mountmgr.h wants the two above. */
#include <ddk/mountmgr.h>

#include "lib/windows/detached.h"
#include "lib/windows/host.h"
#include "lib/windows/letter.h"
#include "lib/windows/wide.h"

#include <coremnt/error.h>

#define MANAGER_NAME L"\\\\.\\MountPointManager"
#define POINTS_SIZE 4096u /* of one name; of all, four times that at first */
#define MAX_POINTS_SIZE (1024u * 1024u)
#define DOS_PREFIX L"\\DosDevices\\"
#define VOLUME_PREFIX L"\\??\\Volume{"
#define PREFIX_UNITS (sizeof(DOS_PREFIX) / sizeof(wchar_t) - 1)
#define VOLUME_PREFIX_UNITS (sizeof(VOLUME_PREFIX) / sizeof(wchar_t) - 1)

static int open_manager(HANDLE *manager)
{
    DWORD error;

    if (cm_on_wine())
        return CM_ENOTSUP;
    *manager = CreateFileW(MANAGER_NAME, GENERIC_READ | GENERIC_WRITE,
                           FILE_SHARE_READ | FILE_SHARE_WRITE, NULL, OPEN_EXISTING, 0, NULL);
    if (*manager != INVALID_HANDLE_VALUE)
        return 0;
    error = GetLastError();
    return error == ERROR_ACCESS_DENIED ? CM_EACCES : CM_ENOTSUP;
}

static DWORD call(HANDLE manager, DWORD code, const void *in, DWORD in_size, void *out,
                  DWORD out_size)
{
    DWORD bytes;

    return DeviceIoControl(manager, code, (void *)in, in_size, out, out_size, &bytes, NULL)
               ? 0
               : GetLastError();
}

static int error_of(DWORD result)
{
    if (result == 0)
        return 0;
    return result == ERROR_ACCESS_DENIED ? CM_EACCES : CM_EIO;
}

int cm_mountmgr_is_there(void)
{
    HANDLE manager;

    if (open_manager(&manager) != 0)
        return 0;
    CloseHandle(manager);
    return 1;
}

/* -- its list of names ------------------------------------------------------------------------- */

static int lies_within(size_t size, ULONG offset, USHORT length)
{
    return length <= size && offset <= size - length;
}

int cm_mountmgr_answer_fits(const void *answer, size_t size)
{
    const MOUNTMGR_MOUNT_POINTS *points = answer;
    const size_t head = offsetof(MOUNTMGR_MOUNT_POINTS, MountPoints);

    if (size < head || points->NumberOfMountPoints > (size - head) / sizeof(points->MountPoints[0]))
        return 0;
    for (ULONG i = 0; i < points->NumberOfMountPoints; i++) {
        const MOUNTMGR_MOUNT_POINT *point = &points->MountPoints[i];

        if (!lies_within(size, point->SymbolicLinkNameOffset, point->SymbolicLinkNameLength) ||
            !lies_within(size, point->DeviceNameOffset, point->DeviceNameLength))
            return 0;
    }
    return 1;
}

/* All names of all devices; free() them. NULL: not to be had. Asked for those of one device, the manager would ask the
 * device, which may be gone. */
static MOUNTMGR_MOUNT_POINTS *all_points(HANDLE manager)
{
    MOUNTMGR_MOUNT_POINT any = {0};
    MOUNTMGR_MOUNT_POINTS *points = NULL;
    DWORD size = POINTS_SIZE;
    DWORD error = ERROR_MORE_DATA;

    while (error == ERROR_MORE_DATA && size <= MAX_POINTS_SIZE / 4) {
        size *= 4;
        free(points);
        points = calloc(1, size);
        if (points == NULL)
            return NULL;
        error = call(manager, IOCTL_MOUNTMGR_QUERY_POINTS, &any, sizeof(any), points, size);
    }
    if (error == 0 && cm_mountmgr_answer_fits(points, size))
        return points;
    free(points);
    return NULL;
}

static int is_of(const MOUNTMGR_MOUNT_POINTS *points, const MOUNTMGR_MOUNT_POINT *point,
                 const wchar_t *device)
{
    size_t units = point->DeviceNameLength / sizeof(wchar_t);

    return units == wcslen(device) &&
           _wcsnicmp((const wchar_t *)(const void *)((const unsigned char *)points +
                                                     point->DeviceNameOffset),
                     device, units) == 0;
}

/* A name of the list, into a buffer; 0: too long for what it could be. */
static int name_of(const MOUNTMGR_MOUNT_POINTS *points, const MOUNTMGR_MOUNT_POINT *point,
                   wchar_t name[CM_VOLUME_NAME_UNITS])
{
    size_t units = point->SymbolicLinkNameLength / sizeof(wchar_t);

    if (units == 0 || units >= CM_VOLUME_NAME_UNITS)
        return 0;
    memcpy(name, (const unsigned char *)points + point->SymbolicLinkNameOffset,
           units * sizeof(wchar_t));
    name[units] = L'\0';
    return 1;
}

/* The letter that \DosDevices\Z: is, or '\0'. */
static char letter_of(const wchar_t *name)
{
    if (wcslen(name) != PREFIX_UNITS + 2 || _wcsnicmp(name, DOS_PREFIX, PREFIX_UNITS) != 0 ||
        name[PREFIX_UNITS + 1] != L':' || name[PREFIX_UNITS] < L'A' || name[PREFIX_UNITS] > L'Z')
        return '\0';
    return (char)name[PREFIX_UNITS];
}

static int is_volume_name(const wchar_t *name)
{
    return _wcsnicmp(name, VOLUME_PREFIX, VOLUME_PREFIX_UNITS) == 0;
}

/* By the link's name alone: after one by another key the manager leaves later arrivals of the same volume
 * without a name. */
static void delete_point(HANDLE manager, const wchar_t *name)
{
    struct {
        MOUNTMGR_MOUNT_POINT point;
        wchar_t name[CM_VOLUME_NAME_UNITS];
    } in = {.point = {.SymbolicLinkNameOffset = sizeof(in.point)}};
    union {
        MOUNTMGR_MOUNT_POINTS points;
        unsigned char bytes[POINTS_SIZE];
    } out;

    wcscpy(in.name, name);
    in.point.SymbolicLinkNameLength = (USHORT)(wcslen(name) * sizeof(wchar_t));
    call(manager, IOCTL_MOUNTMGR_DELETE_POINTS, &in,
         sizeof(in.point) + in.point.SymbolicLinkNameLength, &out, sizeof(out));
}

/* Calls `act` with each name of a device. */
static void for_each_name(HANDLE manager, const char *device,
                          void (*act)(HANDLE manager, const wchar_t *name, void *context),
                          void *context)
{
    wchar_t wide[CM_DEVICE_NAME_SIZE];
    wchar_t name[CM_VOLUME_NAME_UNITS];
    MOUNTMGR_MOUNT_POINTS *points;

    if (cm_wide_from_utf8(device, wide, CM_DEVICE_NAME_SIZE) != 0)
        return;
    points = all_points(manager);
    if (points == NULL)
        return;
    for (ULONG i = 0; i < points->NumberOfMountPoints; i++) {
        if (is_of(points, &points->MountPoints[i], wide) &&
            name_of(points, &points->MountPoints[i], name))
            act(manager, name, context);
    }
    free(points);
}

/* -- arriving ---------------------------------------------------------------------------------- */

int cm_mountmgr_arrive(const char *device)
{
    struct {
        USHORT length; /* bytes; MOUNTMGR_TARGET_NAME */
        wchar_t name[CM_DEVICE_NAME_SIZE];
    } in;
    HANDLE manager;
    int error = open_manager(&manager);

    if (error != 0)
        return error;
    error = cm_wide_from_utf8(device, in.name, CM_DEVICE_NAME_SIZE);
    if (error == 0) {
        in.length = (USHORT)(wcslen(in.name) * sizeof(wchar_t));
        error = error_of(call(manager, IOCTL_MOUNTMGR_VOLUME_ARRIVAL_NOTIFICATION, &in,
                              sizeof(in.length) + in.length, NULL, 0));
    }
    CloseHandle(manager);
    return error;
}

struct drop {
    char keep;
    int kept; /* it is there */
};

static void drop_letter(HANDLE manager, const wchar_t *name, void *context)
{
    struct drop *drop = context;
    char letter = letter_of(name);

    if (letter != '\0' && letter == drop->keep)
        drop->kept = 1;
    else if (letter != '\0')
        delete_point(manager, name);
}

void cm_mountmgr_drop_letters(const char *device, char keep)
{
    struct drop drop = {.keep = keep};
    HANDLE manager;

    if (open_manager(&manager) != 0)
        return;
    for_each_name(manager, device, drop_letter, &drop);
    CloseHandle(manager);
}

static DWORD create_point(HANDLE manager, const char *device, char letter)
{
    struct {
        MOUNTMGR_CREATE_POINT_INPUT point;
        wchar_t names[PREFIX_UNITS + 2 + CM_DEVICE_NAME_SIZE];
    } in = {.point = {.SymbolicLinkNameOffset = sizeof(in.point)}};
    wchar_t *name = in.names;

    wcscpy(name, DOS_PREFIX);
    name[PREFIX_UNITS] = (wchar_t)letter;
    name[PREFIX_UNITS + 1] = L':';
    name += PREFIX_UNITS + 2;
    if (cm_wide_from_utf8(device, name, CM_DEVICE_NAME_SIZE) != 0)
        return ERROR_INVALID_NAME;
    in.point.SymbolicLinkNameLength = (USHORT)((PREFIX_UNITS + 2) * sizeof(wchar_t));
    in.point.DeviceNameOffset =
        (USHORT)(in.point.SymbolicLinkNameOffset + in.point.SymbolicLinkNameLength);
    in.point.DeviceNameLength = (USHORT)(wcslen(name) * sizeof(wchar_t));
    return call(manager, IOCTL_MOUNTMGR_CREATE_POINT, &in,
                (DWORD)in.point.DeviceNameOffset + in.point.DeviceNameLength, NULL, 0);
}

/* A volume has one letter for the manager, so others that it has given go first. */
int cm_mountmgr_link(const char *device, char letter)
{
    struct drop drop = {.keep = letter};
    DWORD result = 0;
    HANDLE manager;
    int error = open_manager(&manager);

    if (error != 0)
        return error;
    for_each_name(manager, device, drop_letter, &drop);
    if (!drop.kept)
        result = create_point(manager, device, letter);
    CloseHandle(manager);
    return error_of(result);
}

static void find_volume_name(HANDLE manager, const wchar_t *name, void *context)
{
    wchar_t *found = context;

    (void)manager;
    if (!is_volume_name(name) || wcslen(name) + 2 > CM_VOLUME_NAME_UNITS)
        return;
    wcscpy(found, name);
    found[1] = L'\\'; /* \??\ is how the kernel says \\?\ */
    wcscat(found, L"\\");
}

int cm_mountmgr_volume_name(const char *device, wchar_t name[CM_VOLUME_NAME_UNITS])
{
    HANDLE manager;
    int error = open_manager(&manager);

    name[0] = L'\0';
    if (error != 0)
        return CM_ENOENT;
    for_each_name(manager, device, find_volume_name, name);
    CloseHandle(manager);
    return name[0] != L'\0' ? 0 : CM_ENOENT;
}

/* -- leaving ----------------------------------------------------------------------------------- */

static void delete_any(HANDLE manager, const wchar_t *name, void *context)
{
    (void)context;
    if (letter_of(name) != '\0' || is_volume_name(name))
        delete_point(manager, name);
}

static void forget(void *argument)
{
    char *device = argument;
    HANDLE manager;

    if (open_manager(&manager) == 0) {
        for_each_name(manager, device, delete_any, NULL);
        CloseHandle(manager);
    }
    free(device);
}

/* On a thread of its own: the manager may be waiting for this very disk, which may not answer any more. */
void cm_mountmgr_forget(const char *device, uint32_t timeout_ms)
{
    char *copy;
    HANDLE thread;

    if (!cm_mountmgr_is_there())
        return;
    copy = _strdup(device);
    thread = copy != NULL ? cm_detached_start(forget, copy) : NULL;
    if (thread == NULL) {
        free(copy);
        return;
    }
    WaitForSingleObject(thread, timeout_ms);
    CloseHandle(thread);
}
