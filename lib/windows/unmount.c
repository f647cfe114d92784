/* SPDX-License-Identifier: MIT */
/*
 * unmount.c - cm_unmount(): flush, lock, dismount, letter away, tell the others, remove the disk.
 *
 * Any thread but one that serves a disk: every step makes the file system write to the disk, so it
 * ends only while the disk is being served. All waits are bounded.
 *
 * The order is the article's, with one difference: the volume's handle, and with it the lock, is
 * kept until the disk has gone, so that nothing can mount the volume again in between.
 *
 *      open - flush - lock - dismount - letter away - broadcast - UNMOUNT - close
 *
 * Up to the last step it can be taken back, and is, when the disk turns out to be in use: closing
 * the handle unlocks the volume, the next access mounts it again, and the letter is put back.
 *
 * By force it is the same, but what fails is passed over, and all of it has a budget: one for the
 * steps on the volume, which the disk's server must answer, and one for the whole. Where the driver
 * says that there is no server, or none that answers, the steps are left out. The broadcast comes
 * last then, with what is left of the time.
 */
#include <string.h>
#include <windows.h>

#include "abi/coremnt_abi.h"
#include "lib/core/error_internal.h"
#include "lib/core/os.h"
#include "lib/windows/announce.h"
#include "lib/windows/control.h"
#include "lib/windows/health.h"
#include "lib/windows/letter.h"
#include "lib/windows/list.h"
#include "lib/windows/mountmgr.h"
#include "lib/windows/users.h"
#include "lib/windows/volume.h"

#include <coremnt/disk.h>

#define RETRY_MS 100u
#define MIN_STEP_MS 3000u /* "one try" must still let a disk answer */
#define CANCEL_GRACE_MS 1000u
#define CLOSE_MS 5000u
#define FORGET_MS 3000u

#define FORCED_LOCK_TRIES 5u
#define FORCED_STEPS_MS 3000u /* all steps on the volume */
#define FORCED_GRACE_MS 250u  /* and the cancelling of the one that took the time */
#define FORCED_TOTAL_MS 3750u
#define FORCED_BROADCAST_MS 200u /* at least */

struct unmount {
    HANDLE control;
    const char *which; /* what the caller calls the disk */
    struct cm_list_entry disk;
    char device[CM_DEVICE_NAME_SIZE];
    char name[CM_DISK_NAME_SIZE];
    uint32_t letters;
    int forced;
    int can_ask;          /* the driver tells a disk's health */
    uint64_t deadline_ns; /* of trying again; by force, of the steps on the volume */
    uint64_t end_ns;      /* by force: of everything */
    struct cm_volume *volume;
    int opened;
};

static uint32_t remaining_ms(const struct unmount *u)
{
    return cm_os_ms_until(u->deadline_ns);
}

/* All zero where the driver does not tell: as good as served. */
static void ask_health(const struct unmount *u, struct cm_health *health)
{
    if (!u->can_ask || cm_health_ask(u->control, u->disk.disk_id, health) != 0)
        memset(health, 0, sizeof(*health));
}

static DWORD step(struct unmount *u, enum cm_volume_step what)
{
    uint32_t ms = remaining_ms(u);
    struct cm_health health;

    if (!u->forced)
        return cm_volume_do(u->volume, what, ms > MIN_STEP_MS ? ms : MIN_STEP_MS, CANCEL_GRACE_MS);
    ask_health(u, &health);
    if (ms == 0 || cm_health_is_hopeless(&health))
        return WAIT_TIMEOUT;
    return cm_volume_do(u->volume, what, ms, FORCED_GRACE_MS);
}

static int fail_held(const struct unmount *u, const struct cm_health *health)
{
    uint32_t held_ms = health->hold_seconds * 1000u - health->hold_left_ms;

    return cm_fail(CM_EBUSY,
                   "%s has had no server for %u s, and is held for another %u s. Give it one with "
                   "\"coremnt attach %s\", or remove it with --force: then what programs have "
                   "written and the image has not yet is lost.",
                   u->name, (unsigned)(held_ms / 1000u), (unsigned)(health->hold_left_ms / 1000u),
                   u->which);
}

static int fail_in_use(const struct unmount *u)
{
    char users[CM_USERS_TEXT_SIZE];

    if (cm_users_of(u->device, 0, users, sizeof(users)) == 0)
        return cm_fail(CM_EBUSY,
                       "%s is in use. Close the programs and files that use it, or use --force, "
                       "which takes it away from them.",
                       u->name);
    return cm_fail(
        CM_EBUSY,
        "%s is in use by %s. Close what uses it, or use --force, which takes it away from "
        "them.",
        u->name, users);
}

static int fail_step(const struct unmount *u, DWORD error, const char *done)
{
    struct cm_health health;
    char text[256];

    ask_health(u, &health);
    if (error == WAIT_TIMEOUT && health.state == CM_HEALTH_HELD)
        return fail_held(u, &health);
    if (error == WAIT_TIMEOUT && health.hold_seconds != 0)
        return cm_fail(
            CM_ETIMEDOUT,
            "%s cannot be %s: it does not answer in time. If the program that serves it "
            "hangs, end it with \"taskkill /f /pid %u\" and give the disk another server "
            "with \"coremnt attach %s\"; or use --force, and what is not written is lost.",
            u->name, done, (unsigned)u->disk.owner_pid, u->which);
    if (error == WAIT_TIMEOUT)
        return cm_fail(
            CM_ETIMEDOUT,
            "%s cannot be %s: it does not answer in time. The program that serves it (process "
            "%u) may hang; --force removes the disk, and what is not written is lost.",
            u->name, done, (unsigned)u->disk.owner_pid);
    if (error == ERROR_ACCESS_DENIED || error == ERROR_SHARING_VIOLATION || error == ERROR_BUSY)
        return fail_in_use(u);
    cm_os_error_text(error, text, sizeof(text));
    return cm_fail(CM_EIO, "%s cannot be %s: %s (Win32 error %lu).", u->name, done, text,
                   (unsigned long)error);
}

/* -- the volume -------------------------------------------------------------------------------- */

static int open_volume(struct unmount *u)
{
    DWORD error = step(u, CM_VOLUME_OPEN);

    u->opened = error == 0;
    if (error == 0 || u->forced)
        return 0;
    if (error == WAIT_TIMEOUT || error == ERROR_ACCESS_DENIED || error == ERROR_SHARING_VIOLATION)
        return fail_step(u, error, "opened");
    /* No file system could read the disk well enough to mount it. So none has files open on it or
     * anything to write; the driver still refuses if somebody has the disk itself open. */
    return 0;
}

static int flush_volume(struct unmount *u)
{
    DWORD error = step(u, CM_VOLUME_FLUSH);

    return error == 0 || u->forced ? 0 : fail_step(u, error, "flushed");
}

/* A lock is refused as long as anybody has a file open. Who forces has not come to wait: the others get a
 * moment to close theirs. */
static int lock_volume(struct unmount *u)
{
    DWORD error = step(u, CM_VOLUME_LOCK);
    uint32_t tries = 0;

    while (error == ERROR_ACCESS_DENIED && remaining_ms(u) > 0 &&
           (!u->forced || tries < FORCED_LOCK_TRIES)) {
        cm_os_sleep_ms(RETRY_MS);
        error = step(u, CM_VOLUME_LOCK);
        tries++;
    }
    return error == 0 || u->forced ? 0 : fail_step(u, error, "locked");
}

static int dismount_volume(struct unmount *u)
{
    DWORD error = step(u, CM_VOLUME_DISMOUNT);

    return error == 0 || u->forced ? 0 : fail_step(u, error, "dismounted");
}

static int prepare_volume(struct unmount *u)
{
    int error = cm_volume_start(u->device, (u->disk.flags & CM_MOUNT_READ_ONLY) != 0, &u->volume);

    if (error != 0)
        return u->forced ? 0 : error;
    error = open_volume(u);
    if (error == 0 && u->opened) {
        error = flush_volume(u);
        if (error == 0)
            error = lock_volume(u);
        if (error == 0)
            error = dismount_volume(u);
    }
    return error;
}

/* -- letters ----------------------------------------------------------------------------------- */

static int remove_letters(const struct unmount *u)
{
    char letter;
    int error;

    cm_mountmgr_forget(u->device, u->forced ? cm_os_ms_until(u->end_ns) : FORGET_MS);
    for (letter = 'A'; letter <= 'Z'; letter++) {
        if ((u->letters & (1u << (letter - 'A'))) == 0)
            continue;
        error = cm_letter_remove(letter, u->device);
        if (error != 0 && !u->forced)
            return error;
    }
    return 0;
}

/* One that cannot be put back keeps its disk, which still has its id; the caller's sentence says
 * why the unmount failed. */
static void put_letters_back(const struct unmount *u)
{
    char letter;

    for (letter = 'A'; letter <= 'Z'; letter++) {
        if ((u->letters & (1u << (letter - 'A'))) != 0)
            cm_letter_define(letter, u->device);
    }
}

static void announce_letters(const struct unmount *u, int arrived)
{
    uint32_t ms = CM_ANNOUNCE_MS;
    char letter;

    for (letter = 'A'; letter <= 'Z'; letter++) {
        if ((u->letters & (1u << (letter - 'A'))) == 0)
            continue;
        if (u->forced)
            ms = cm_os_ms_until(u->end_ns);
        if (u->forced && ms < FORCED_BROADCAST_MS)
            ms = FORCED_BROADCAST_MS;
        cm_announce_letter(letter, arrived, ms);
    }
}

/* -- the disk ---------------------------------------------------------------------------------- */

static DWORD remove_once(const struct unmount *u)
{
    struct cm_unmount request = {
        .disk_id = u->disk.disk_id,
        .flags = u->forced ? CM_UNMOUNT_FORCE : 0,
        .own_handles = u->opened ? 1 : 0,
    };

    return cm_control_call(u->control, CM_IOCTL_UNMOUNT, &request, sizeof(request), NULL, 0, NULL);
}

/*
 * On NT the lock has sorted out disks in use; what the driver still refuses are handles on the disk
 * itself. Under Wine, whose locks are pretended, the driver alone decides. While we wait for a disk
 * in use its users keep their letter.
 */
static int remove_disk(struct unmount *u)
{
    DWORD result;
    int error;

    u->letters = cm_letters_of(u->device);
    error = remove_letters(u);
    if (error != 0) {
        put_letters_back(u);
        return error;
    }
    if (!u->forced)
        announce_letters(u, 0);
    result = remove_once(u);
    while (result == ERROR_BUSY && remaining_ms(u) > 0) {
        put_letters_back(u);
        cm_os_sleep_ms(RETRY_MS);
        remove_letters(u);
        result = remove_once(u);
    }
    /* Gone meanwhile, by whomever: that is what was asked for. */
    if (result == 0 || result == ERROR_NOT_FOUND)
        return 0;
    put_letters_back(u);
    announce_letters(u, 1);
    return result == ERROR_BUSY ? fail_step(u, result, "unmounted")
                                : cm_control_fail(result, "unmount the disk");
}

static int unmount_disk(struct unmount *u)
{
    struct cm_health health;
    int error = 0;

    ask_health(u, &health);
    if (!u->forced && health.state == CM_HEALTH_HELD)
        return fail_held(u, &health);
    /* A soft unmount has the patience to find out whether a server only takes long. */
    if (!u->forced || !cm_health_is_hopeless(&health))
        error = prepare_volume(u);
    if (error == 0)
        error = remove_disk(u);
    cm_volume_close(u->volume, u->forced ? cm_os_ms_until(u->end_ns) : CLOSE_MS);
    if (u->forced && error == 0)
        announce_letters(u, 0);
    return error;
}

int cm_unmount(const char *which, uint32_t flags, uint32_t timeout_ms)
{
    uint64_t start_ns = cm_os_now_ns();
    struct cm_version version;
    struct unmount u = {0};
    char dead_letter;
    int error;

    if ((flags & ~CM_UNMOUNT_FORCED) != 0)
        return cm_fail(CM_EINVAL, "unknown flags for an unmount: 0x%x.", (unsigned)flags);
    u.forced = (flags & CM_UNMOUNT_FORCED) != 0;
    if (u.forced)
        timeout_ms = FORCED_STEPS_MS;
    u.which = which;
    u.deadline_ns = start_ns + timeout_ms * UINT64_C(1000000);
    u.end_ns = start_ns + FORCED_TOTAL_MS * UINT64_C(1000000);
    error = cm_control_open(&u.control, &version);
    if (error != 0)
        return error;
    u.can_ask = (version.features & CM_FEATURE_HOLD) != 0;
    error = cm_list_find(u.control, which, &u.disk, &dead_letter);
    if (error == 0) {
        cm_device_name(u.disk.number, u.device);
        cm_list_name(&u.disk, u.name);
        error = unmount_disk(&u);
    } else if (dead_letter != '\0') {
        /* Its server was killed: all that is left of the disk is the letter. */
        cm_list_remove_dead_letters(u.control);
        error = 0;
    }
    CloseHandle(u.control);
    return error;
}
