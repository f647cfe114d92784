/* SPDX-License-Identifier: MIT */
/*
 * resize.c - cm_resize(): another size for a disk that is mounted, and for the file system on it.
 *
 * Any thread but those that serve the disk. Larger: the driver has the server do it, then the file system is told
 * that there is more. Smaller: the file system must be off the disk first, and stays off until that is done.
 */
#include <stdlib.h>
#include <windows.h>

#include "abi/coremnt_abi.h"
#include "lib/core/error_internal.h"
#include "lib/core/image_internal.h"
#include "lib/core/os.h"
#include "lib/windows/control.h"
#include "lib/windows/health.h"
#include "lib/windows/letter.h"
#include "lib/windows/list.h"
#include "lib/windows/users.h"
#include "lib/windows/volume.h"

#include <coremnt/disk.h>

#define STEP_MS 10000u
#define GRACE_MS 1000u
#define CLOSE_MS 5000u

struct resize {
    HANDLE control;
    struct cm_list_entry disk;
    char device[CM_DEVICE_NAME_SIZE];
    char name[CM_DISK_NAME_SIZE];
    uint64_t size; /* wanted */
};

static int check(const struct resize *r, uint32_t flags)
{
    if ((r->disk.flags & CM_MOUNT_READ_ONLY) != 0)
        return cm_fail(CM_EROFS, "%s is read-only and keeps its size.", r->name);
    if ((r->disk.flags & CM_MOUNT_RESIZE) == 0)
        return cm_fail(
            CM_ENOTSUP,
            "%s keeps its size: its image cannot be given another one, or is a partition of "
            "a larger one.",
            r->name);
    if (!cm_size_is_possible(r->size, r->disk.sector_size))
        return cm_fail(CM_EINVAL, "%s cannot have %llu bytes: whole sectors of %u, at most 4 EiB.",
                       r->name, (unsigned long long)r->size, (unsigned)r->disk.sector_size);
    if (r->size < r->disk.size && (flags & CM_RESIZE_SHRINK) == 0)
        return cm_fail(
            CM_EINVAL,
            "%s has %llu bytes, and what lies beyond %llu would be lost. Say --shrink if "
            "that is meant; shrink the file system on it first.",
            r->name, (unsigned long long)r->disk.size, (unsigned long long)r->size);
    return 0;
}

/* The driver would have the call wait for a next server, perhaps until the disk's time is over. */
static int check_server(const struct resize *r)
{
    struct cm_health health;

    if (cm_health_ask(r->control, r->disk.disk_id, &health) != 0 || health.state != CM_HEALTH_HELD)
        return 0; /* what else is wrong, the driver says */
    return cm_fail(CM_EBUSY,
                   "%s has lost its server and is held: nobody could resize its image. Give it one "
                   "with \"coremnt attach\" first.",
                   r->name);
}

static int fail_in_use(const struct resize *r)
{
    char users[CM_USERS_TEXT_SIZE];

    if (cm_users_of(r->device, 0, users, sizeof(users)) == 0)
        return cm_fail(
            CM_EBUSY,
            "%s is in use, or is being resized already. Close the programs and files that "
            "use it; only a disk that nobody uses can become smaller.",
            r->name);
    return cm_fail(
        CM_EBUSY,
        "%s is in use by %s. Close what uses it; only a disk that nobody uses can become "
        "smaller.",
        r->name, users);
}

/* The disk's end and the driver's end the call alike; only the driver can still be asked. */
static int has_gone(const struct resize *r)
{
    struct cm_health health;

    return cm_health_ask(r->control, r->disk.disk_id, &health) == ERROR_NOT_FOUND;
}

static int fail_resize(const struct resize *r, DWORD error)
{
    if (cm_control_driver_gone(error) && has_gone(r))
        return cm_fail(
            CM_ENOENT,
            "%s has gone while it was resized: it was unmounted, or its server has ended. "
            "\"coremnt info\" shows which size its image has.",
            r->name);
    switch (error) {
    case ERROR_BUSY:
        return fail_in_use(r);
    case ERROR_DISK_FULL:
    case ERROR_HANDLE_DISK_FULL:
        return cm_fail(
            CM_ENOSPC,
            "there is no room for the image of %s to grow to %llu bytes. It has the size "
            "that it had.",
            r->name, (unsigned long long)r->size);
    case ERROR_NOT_SUPPORTED:
        return cm_fail(CM_ENOTSUP,
                       "the image of %s cannot have %llu bytes: that is more than its format has, "
                       "or it keeps the size of its parent.",
                       r->name, (unsigned long long)r->size);
    case ERROR_WRITE_PROTECT:
        return cm_fail(CM_EROFS, "the image of %s is read-only.", r->name);
    case WAIT_TIMEOUT:
    case ERROR_OPERATION_ABORTED:
        return cm_fail(
            CM_ETIMEDOUT,
            "the program that serves %s (process %u) does not answer. \"coremnt list\" shows "
            "which size the disk has.",
            r->name, (unsigned)r->disk.owner_pid);
    default:
        return cm_control_fail(error, "resize the disk");
    }
}

static int ask_driver(const struct resize *r, uint32_t own_handles)
{
    struct cm_resize request = {
        .disk_id = r->disk.disk_id, .size = r->size, .own_handles = own_handles};
    DWORD error =
        cm_control_call(r->control, CM_IOCTL_RESIZE, &request, sizeof(request), NULL, 0, NULL);

    return error == 0 ? 0 : fail_resize(r, error);
}

/* -- larger ------------------------------------------------------------------------------------ */

/* NTFS takes the new space at once, if it is asked. FAT cannot, and Wine has no file systems. */
static int extend_file_system(const struct resize *r)
{
    struct cm_volume *volume;
    DWORD error;

    if (cm_volume_start(r->device, 0, &volume) != 0)
        return 0;
    error = cm_volume_do(volume, CM_VOLUME_OPEN, STEP_MS, GRACE_MS);
    if (error == 0) {
        cm_volume_set_sectors(volume, r->size / r->disk.sector_size);
        error = cm_volume_do(volume, CM_VOLUME_EXTEND, STEP_MS, GRACE_MS);
    }
    cm_volume_close(volume, CLOSE_MS);
    return error == 0;
}

static int grow(const struct resize *r, int *extended)
{
    int error = ask_driver(r, 0);

    if (error == 0)
        *extended = extend_file_system(r);
    return error;
}

/* -- smaller ----------------------------------------------------------------------------------- */

static int fail_volume(const struct resize *r, DWORD error)
{
    if (error == ERROR_ACCESS_DENIED || error == ERROR_SHARING_VIOLATION || error == ERROR_BUSY)
        return fail_in_use(r);
    return fail_resize(r, error);
}

/* Nobody may mount it again before it has its new size: so the lock is held until then. */
static int shrink(const struct resize *r)
{
    static const enum cm_volume_step steps[] = {CM_VOLUME_FLUSH, CM_VOLUME_LOCK,
                                                CM_VOLUME_DISMOUNT};
    struct cm_volume *volume;
    DWORD result;
    uint32_t own = 0;
    int error = cm_volume_start(r->device, 0, &volume);

    if (error != 0)
        return error;
    result = cm_volume_do(volume, CM_VOLUME_OPEN, STEP_MS, GRACE_MS);
    own = result == 0;
    for (unsigned i = 0; result == 0 && i < sizeof(steps) / sizeof(steps[0]); i++)
        result = cm_volume_do(volume, steps[i], STEP_MS, GRACE_MS);
    error = result == 0 ? ask_driver(r, own) : fail_volume(r, result);
    cm_volume_close(volume, CLOSE_MS);
    return error;
}

int cm_resize(const char *which, uint64_t size, uint32_t flags, int *extended)
{
    struct resize r = {.size = size};
    struct cm_version version;
    char dead_letter;
    int error;

    *extended = 0;
    if ((flags & ~CM_RESIZE_SHRINK) != 0)
        return cm_fail(CM_EINVAL, "unknown flags for a resize: 0x%x.", (unsigned)flags);
    error = cm_control_open(&r.control, &version);
    if (error != 0)
        return error;
    error = cm_control_check_volume(&version);
    if (error == 0)
        error = cm_list_find(r.control, which, &r.disk, &dead_letter);
    if (error == 0) {
        cm_device_name(r.disk.number, r.device);
        cm_list_name(&r.disk, r.name);
        error = check(&r, flags);
    }
    if (error == 0)
        error = check_server(&r);
    if (error == 0 && size > r.disk.size)
        error = grow(&r, extended);
    else if (error == 0 && size < r.disk.size)
        error = shrink(&r);
    CloseHandle(r.control);
    return error;
}
