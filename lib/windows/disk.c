/* SPDX-License-Identifier: MIT */
/*
 * disk.c - a disk that this process serves: cm_disk_mount() or cm_disk_attach() puts it together,
 * cm_disk_close() takes it apart.
 *
 * Called by the program that serves an image, on its own threads, never by the pool's.
 *
 * The order matters. The first open of a letter makes every file system try to mount the disk, and
 * Explorer does that as soon as it hears of the letter, so the disk must be served before:
 *
 *      transport (MOUNT) - server started - arena in place - letter - broadcast
 *
 * A disk that cm_disk_attach() takes over has its letter, and requests that wait:
 *
 *      transport (ATTACH) - server started - arena in place
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <windows.h>

#include "abi/coremnt_abi.h"
#include "lib/core/disk_options.h"
#include "lib/core/error_internal.h"
#include "lib/core/os.h"
#include "lib/core/serve.h"
#include "lib/core/transport.h"
#include "lib/windows/announce.h"
#include "lib/windows/control.h"
#include "lib/windows/driver_transport.h"
#include "lib/windows/health.h"
#include "lib/windows/letter.h"
#include "lib/windows/list.h"
#include "lib/windows/lockdown.h"
#include "lib/windows/wide.h"

#include <coremnt/disk.h>

struct cm_disk {
    struct cm_image *image; /* the caller's */
    struct cm_transport *transport;
    struct cm_server *server;
    uint64_t id;
    int held; /* it was mounted with hold_seconds */
    char device[CM_DEVICE_NAME_SIZE];
    char mount_point[4]; /* "Z:" or "" */
};

/* -- mounting ---------------------------------------------------------------------------------- */

static int make_device(struct cm_disk *disk, const struct cm_disk_options *options)
{
    wchar_t name[CM_IMAGE_NAME_UNITS];
    struct cm_image_info info;
    struct cm_mount mount;
    struct cm_mounted mounted;
    int error = cm_image_get_info(disk->image, &info);

    if (error != 0)
        return error;
    memset(&mount, 0, sizeof(mount));
    mount.abi_version = CM_ABI_VERSION;
    mount.flags = (info.read_only ? CM_MOUNT_READ_ONLY : 0) |
                  (info.can_trim && !info.read_only ? CM_MOUNT_TRIM : 0);
    mount.size = info.size;
    mount.sector_size = info.sector_size;
    mount.queue_depth = options->queue_depth;
    mount.slot_size = options->slot_size;
    mount.hold_seconds = (uint16_t)options->hold_seconds;
    mount.timeout_seconds = (uint16_t)options->request_timeout_seconds;
    cm_wide_from_utf8_cut(options->image_name != NULL ? options->image_name : "", name,
                          CM_IMAGE_NAME_UNITS);
    memcpy(mount.image_name, name, (wcslen(name) + 1) * sizeof(name[0]));
    error = cm_driver_transport_open(&mount, options->threads, &disk->transport, &mounted);
    if (error != 0)
        return error;
    disk->id = mounted.disk_id;
    disk->held = mount.hold_seconds != 0;
    cm_device_name(mounted.number, disk->device);
    return 0;
}

/* Another process would go on with an image that is empty, or old. */
static int refuse_volatile(const struct cm_image *image, const char *sentence)
{
    return cm_image_is_volatile(image) ? cm_fail(CM_ENOTSUP, "%s", sentence) : 0;
}

/* A letter that is in use because its disk has lost its server: choosing another one is not what
 * the user wants. */
static int fail_letter(HANDLE control, const char *letter, int error)
{
    struct cm_list_entry entry;
    struct cm_health health;
    char reason[512];
    char dead_letter;

    snprintf(reason, sizeof(reason), "%s", cm_last_error());
    if (cm_list_find(control, letter, &entry, &dead_letter) != 0 ||
        cm_health_ask(control, entry.disk_id, &health) != 0 || health.state != CM_HEALTH_HELD)
        return cm_fail(error, "%s", reason);
    return cm_fail(
        error,
        "%s is a disk that has lost its server and is held for another %u s. Take it over "
        "with \"coremnt attach %s\", or remove it with \"coremnt unmount %s --force\".",
        letter, (unsigned)(health.hold_left_ms / 1000u), letter, letter);
}

/* The letter asked for, '\0' for any; refused early, before anything has been made. */
static int wanted_letter(const struct cm_disk_options *options, char *letter)
{
    HANDLE control;
    int error = cm_control_open(&control, NULL);

    *letter = '\0';
    if (error != 0)
        return error;
    cm_list_remove_dead_letters(control);
    if (options->mount_point != NULL && options->mount_point[0] != '\0') {
        error = cm_letter_parse(options->mount_point, letter);
        if (error == 0)
            error = cm_letter_check(*letter);
        if (error == CM_EBUSY)
            error = fail_letter(control, options->mount_point, error);
    }
    CloseHandle(control);
    return error;
}

static int give_letter(struct cm_disk *disk, const struct cm_disk_options *options, char wanted)
{
    char letter;
    int error;

    if (options->mount_point != NULL && options->mount_point[0] == '\0')
        return 0;
    error = cm_letter_take(wanted, disk->device, &letter);
    if (error != 0)
        return error;
    snprintf(disk->mount_point, sizeof(disk->mount_point), "%c:", letter);
    cm_announce_letter_later(letter, 1); /* this process serves the disk, so it stays */
    return 0;
}

/* What was made so far, last first; does not touch the image. With `keep_disk` the driver's disk
 * and its letter stay, for another server. */
static void take_apart(struct cm_disk *disk, int keep_disk)
{
    if (disk->transport != NULL)
        cm_driver_transport_keep_disk(disk->transport, keep_disk);
    /* Only if it is still ours: cm_unmount() has taken it away, or somebody else has it now. */
    if (!keep_disk && disk->mount_point[0] != '\0' &&
        (cm_letters_of(disk->device) & (1u << (disk->mount_point[0] - 'A'))) != 0 &&
        cm_letter_remove(disk->mount_point[0], disk->device) == 0)
        cm_announce_letter(disk->mount_point[0], 0, CM_ANNOUNCE_MS);
    if (disk->server != NULL)
        cm_server_stop(disk->server);
    if (disk->transport != NULL) {
        disk->transport->ops->stop(disk->transport);
        disk->transport->ops->close(disk->transport);
    }
    free(disk);
}

int cm_disk_mount(struct cm_image *image, const struct cm_disk_options *given,
                  struct cm_disk **disk)
{
    struct cm_disk_options options;
    struct cm_disk *d;
    char reason[512];
    char letter;
    int error;

    *disk = NULL;
    error = cm_disk_options_read(given, &options);
    if (error == 0 && options.hold_seconds != 0)
        error = refuse_volatile(image,
                                "the disk cannot be held for another server: its image lies in the "
                                "memory of this one. Mount it without --hold, or use a file.");
    if (error == 0)
        error = wanted_letter(&options, &letter);
    if (error != 0)
        return error;
    d = calloc(1, sizeof(*d));
    if (d == NULL)
        return cm_fail(CM_ENOMEM, "no memory to mount the disk.");
    d->image = image;
    error = make_device(d, &options);
    if (error == 0)
        error = cm_server_start(d->transport, image, options.threads, &d->server);
    if (error == 0)
        error = cm_driver_transport_share_arena(d->transport);
    if (error == 0)
        cm_lockdown(NULL);
    if (error == 0)
        error = give_letter(d, &options, letter);
    if (error == 0) {
        *disk = d;
        return 0;
    }
    snprintf(reason, sizeof(reason), "%s", cm_last_error());
    take_apart(d, 0);
    return cm_fail(error, "%s", reason);
}

/* -- taking over ------------------------------------------------------------------------------- */

/* Whether the image can be the bytes of the disk. */
static int check_image(struct cm_image *image, const struct cm_list_entry *entry,
                       struct cm_image_info *info)
{
    char name[CM_DISK_NAME_SIZE];
    int error = cm_image_get_info(image, info);

    if (error != 0)
        return error;
    cm_list_name(entry, name);
    if (info->size != entry->size)
        return cm_fail(CM_EINVAL,
                       "this cannot be the image of %s: it has %llu bytes and the disk has %llu. "
                       "Give the image that was mounted.",
                       name, (unsigned long long)info->size, (unsigned long long)entry->size);
    if (info->sector_size != entry->sector_size)
        return cm_fail(CM_EINVAL, "%s has sectors of %u bytes. Open the image with those, not %u.",
                       name, (unsigned)entry->sector_size, (unsigned)info->sector_size);
    if (info->read_only && (entry->flags & CM_MOUNT_READ_ONLY) == 0)
        return cm_fail(CM_EROFS,
                       "%s can be written, so it cannot be served from an image that is open "
                       "read-only.",
                       name);
    return 0;
}

/* The disk that `which` names, once it has no server; its geometry never changes. */
static int find_held(const char *which, struct cm_image *image, uint64_t deadline_ns,
                     struct cm_list_entry *entry, struct cm_image_info *info)
{
    struct cm_version version;
    char dead_letter;
    HANDLE control;
    int error = cm_control_open(&control, &version);

    if (error != 0)
        return error;
    error = cm_control_check_hold(&version);
    if (error == 0)
        error = cm_list_find(control, which, entry, &dead_letter);
    if (error == 0)
        error = check_image(image, entry, info);
    if (error == 0)
        error = cm_health_wait_held(control, entry, deadline_ns);
    CloseHandle(control);
    return error;
}

static void set_mount_point(struct cm_disk *disk)
{
    uint32_t letters = cm_letters_of(disk->device);
    char letter;

    for (letter = 'A'; letters != 0 && (letters & 1u) == 0; letter++)
        letters >>= 1;
    if (letters != 0)
        snprintf(disk->mount_point, sizeof(disk->mount_point), "%c:", letter);
}

int cm_disk_attach(struct cm_image *image, const char *which, const struct cm_disk_options *given,
                   struct cm_disk **disk)
{
    uint64_t deadline_ns = cm_os_now_ns() + CM_ATTACH_PATIENCE_MS * UINT64_C(1000000);
    struct cm_disk_options options;
    struct cm_list_entry entry;
    struct cm_image_info info;
    struct cm_disk *d;
    char reason[512];
    int error;

    *disk = NULL;
    error = cm_disk_options_read(given, &options);
    if (error == 0)
        error = refuse_volatile(image,
                                "an image in memory cannot take over a disk: it has not what was "
                                "written before. Give the image that was mounted.");
    if (error == 0)
        error = find_held(which, image, deadline_ns, &entry, &info);
    if (error != 0)
        return error;
    d = calloc(1, sizeof(*d));
    if (d == NULL)
        return cm_fail(CM_ENOMEM, "no memory to take over the disk.");
    d->image = image;
    d->id = entry.disk_id;
    d->held = 1;
    cm_device_name(entry.number, d->device);
    error =
        cm_driver_transport_attach(&entry, info.size, deadline_ns, options.threads, &d->transport);
    if (error == 0)
        error = cm_server_start(d->transport, image, options.threads, &d->server);
    if (error == 0)
        error = cm_driver_transport_share_arena(d->transport);
    if (error == 0) {
        cm_lockdown(NULL);
        set_mount_point(d);
        *disk = d;
        return 0;
    }
    snprintf(reason, sizeof(reason), "%s", cm_last_error());
    take_apart(d, 1);
    return cm_fail(error, "%s", reason);
}

/* -- a mounted disk ---------------------------------------------------------------------------- */

const char *cm_disk_mount_point(const struct cm_disk *disk)
{
    return disk->mount_point;
}

const char *cm_disk_device(const struct cm_disk *disk)
{
    return disk->device;
}

uint64_t cm_disk_id(const struct cm_disk *disk)
{
    return disk->id;
}

int cm_disk_wait(struct cm_disk *disk, uint32_t timeout_ms)
{
    int error = cm_server_wait(disk->server, timeout_ms);

    if (error == 0 && cm_driver_transport_driver_lost(disk->transport))
        return cm_fail(CM_EGONE,
                       "the driver CoreMnt has been stopped or has crashed: the disk %s "
                       "is gone.",
                       disk->mount_point[0] != '\0' ? disk->mount_point : disk->device);
    if (error == CM_EPROTO)
        return cm_fail(error,
                       "the driver refused an answer of this program: the disk %s is no "
                       "longer served.",
                       disk->mount_point[0] != '\0' ? disk->mount_point : disk->device);
    return error;
}

int cm_disk_close(struct cm_disk *disk)
{
    struct cm_image *image;
    int ended;
    int error;

    if (disk == NULL)
        return 0;
    image = disk->image;
    ended = cm_server_wait(disk->server, 0);
    take_apart(disk, disk->held && ended != 0 && ended != CM_ETIMEDOUT);
    error = cm_image_flush(image);
    if (error != 0)
        cm_fail(error, "the image could not be flushed: %s. What was written last may be lost.",
                cm_error_name(error));
    return error;
}
