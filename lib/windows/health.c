/* SPDX-License-Identifier: MIT */
/*
 * health.c - cm_get_health() and cm_wait_held(), and the same for disk.c and unmount.c.
 *
 * Any thread. All of it is answered by the driver, never by the process that serves the disk, so
 * nothing here hangs with that.
 */
#include "lib/windows/health.h"

#include <stdio.h>
#include <string.h>

#include "lib/core/error_internal.h"
#include "lib/core/os.h"
#include "lib/windows/control.h"
#include "lib/windows/list.h"

#include <coremnt/disk.h>

#define POLL_MS 50u

DWORD cm_health_ask(HANDLE control, uint64_t disk_id, struct cm_health *health)
{
    struct cm_health_of of = {.disk_id = disk_id};
    DWORD bytes;
    DWORD error;

    memset(health, 0, sizeof(*health));
    error =
        cm_control_call(control, CM_IOCTL_HEALTH, &of, sizeof(of), health, sizeof(*health), &bytes);
    return error == 0 && bytes != sizeof(*health) ? ERROR_INVALID_DATA : error;
}

int cm_health_is_hopeless(const struct cm_health *health)
{
    return health->state == CM_HEALTH_HELD || health->unanswered_ms >= CM_NOT_ANSWERING_MS;
}

/* -- waiting ----------------------------------------------------------------------------------- */

/* The process that serves a disk now, which may be another than when the disk was found. */
static unsigned owner_of(HANDLE control, const struct cm_list_entry *disk)
{
    struct cm_list_entry now;
    char dead_letter;
    char id[24];

    snprintf(id, sizeof(id), "%llu", (unsigned long long)disk->disk_id);
    return cm_list_find(control, id, &now, &dead_letter) == 0 ? now.owner_pid : disk->owner_pid;
}

static int fail_served(HANDLE control, const struct cm_list_entry *disk, const char *name,
                       const struct cm_health *health)
{
    unsigned pid = owner_of(control, disk);

    if (health->hold_seconds == 0)
        return cm_fail(
            CM_EBUSY,
            "%s cannot be taken over: it was mounted without --hold, so it goes with its "
            "server, process %u.",
            name, pid);
    if (health->unanswered_ms >= CM_NOT_ANSWERING_MS)
        return cm_fail(CM_EBUSY,
                       "%s still has a server, process %u, which has answered nothing for %u s. "
                       "End it with \"taskkill /f /pid %u\", then attach again.",
                       name, pid, (unsigned)(health->unanswered_ms / 1000u), pid);
    return cm_fail(CM_EBUSY,
                   "%s has a server, process %u, and can have only one. To replace it, end it with "
                   "\"taskkill /f /pid %u\" (Ctrl-C would unmount the disk), then attach.",
                   name, pid, pid);
}

int cm_health_wait_held(HANDLE control, const struct cm_list_entry *disk, uint64_t deadline_ns)
{
    char name[CM_DISK_NAME_SIZE];
    struct cm_health health;
    DWORD error;

    cm_list_name(disk, name);
    for (;;) {
        error = cm_health_ask(control, disk->disk_id, &health);
        if (error == ERROR_NOT_FOUND)
            return cm_fail(CM_ENOENT,
                           "%s has gone: it was unmounted, or nobody took it over in time. Mount "
                           "its image again.",
                           name);
        if (error != 0)
            return cm_control_fail(error, "ask how the disk is");
        if (health.state == CM_HEALTH_HELD)
            return 0;
        if (health.hold_seconds == 0 || cm_os_now_ns() >= deadline_ns)
            return fail_served(control, disk, name, &health);
        cm_os_sleep_ms(POLL_MS);
    }
}

/* -- public ------------------------------------------------------------------------------------ */

/* A control handle and the disk that `which` names. */
static int find(const char *which, HANDLE *control, struct cm_list_entry *disk)
{
    struct cm_version version;
    char dead_letter;
    int error = cm_control_open(control, &version);

    if (error != 0)
        return error;
    error = cm_control_check_hold(&version);
    if (error == 0)
        error = cm_list_find(*control, which, disk, &dead_letter);
    if (error != 0)
        CloseHandle(*control);
    return error;
}

int cm_wait_held(const char *which, uint32_t timeout_ms)
{
    uint64_t start_ns = cm_os_now_ns();
    struct cm_list_entry disk;
    HANDLE control;
    int error = find(which, &control, &disk);

    if (error != 0)
        return error;
    error = cm_health_wait_held(
        control, &disk,
        timeout_ms == UINT32_MAX ? UINT64_MAX : start_ns + (uint64_t)timeout_ms * 1000000u);
    CloseHandle(control);
    return error;
}

int cm_get_health(const char *which, struct cm_health *health)
{
    struct cm_list_entry disk;
    HANDLE control;
    DWORD result;
    int error;

    memset(health, 0, sizeof(*health));
    error = find(which, &control, &disk);
    if (error != 0)
        return error;
    result = cm_health_ask(control, disk.disk_id, health);
    CloseHandle(control);
    return result == 0 ? 0 : cm_control_fail(result, "ask how the disk is");
}
