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
 *      transport (MOUNT) - server started - arena in place - mount manager told - letter or folder - broadcast
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
#include "lib/windows/control.h"
#include "lib/windows/driver_transport.h"
#include "lib/windows/health.h"
#include "lib/windows/list.h"
#include "lib/windows/lockdown.h"
#include "lib/windows/mount_point.h"
#include "lib/windows/mountmgr.h"
#include "lib/windows/wide.h"

#include <coremnt/disk.h>

#define FORGET_MS 3000u /* the mount manager may be busy with another disk */

struct cm_disk {
    struct cm_image *image; /* the caller's */
    struct cm_transport *transport;
    struct cm_server *server;
    uint64_t id;
    int held;      /* it was mounted with hold_seconds */
    int announced; /* the mount manager was told of it, and may know it */
    int managed;   /* it does; only of a disk that was mounted here */
    char device[CM_DEVICE_NAME_SIZE];
    struct cm_mount_point point;
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
                  (info.can_trim && !info.read_only ? CM_MOUNT_TRIM : 0) |
                  (info.can_resize ? CM_MOUNT_RESIZE : 0);
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
    char reason[1024];
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

/* Where it is to appear; refused early, before anything has been made. */
static int choose_mount_point(const struct cm_disk_options *options, struct cm_mount_point *point)
{
    HANDLE control;
    int error = cm_control_open(&control, NULL);

    if (error != 0)
        return error;
    cm_list_remove_dead_letters(control);
    error = cm_mount_point_choose(options->mount_point, point);
    if (error == CM_EBUSY && point->kind == CM_AT_LETTER)
        error = fail_letter(control, point->text, error);
    CloseHandle(control);
    return error;
}

static int appear(struct cm_disk *disk, const struct cm_disk_options *options)
{
    char wanted = disk->point.kind == CM_AT_LETTER ? disk->point.letter : '\0';

    if ((options->flags & CM_DISK_NO_MOUNT_MANAGER) == 0 && cm_mountmgr_is_there()) {
        disk->announced =
            cm_driver_transport_identify(disk->transport, options->image_name, wanted) == 0;
        disk->managed = disk->announced && cm_mountmgr_arrive(disk->device) == 0;
    }
    return cm_mount_point_make(&disk->point, disk->device, disk->managed);
}

/* Names first: the mount manager may still ask the disk, which is served until then. */
static void disappear(struct cm_disk *disk)
{
    cm_mount_point_remove(&disk->point, disk->device);
    if (disk->announced)
        cm_mountmgr_forget(disk->device, FORGET_MS);
}

/* What was made so far, last first; does not touch the image. With `keep_disk` the driver's disk
 * and its letter stay, for another server. */
static void take_apart(struct cm_disk *disk, int keep_disk)
{
    if (disk->transport != NULL)
        cm_driver_transport_keep_disk(disk->transport, keep_disk);
    if (!keep_disk)
        disappear(disk);
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
    struct cm_mount_point point;
    struct cm_disk *d;
    char reason[1024];
    int error;

    *disk = NULL;
    error = cm_disk_options_read(given, &options);
    if (error == 0 && options.hold_seconds != 0)
        error = refuse_volatile(
            image, "the disk cannot be held for another server: what is written to its "
                   "image is in the memory of this one, always (memory:) or until it is "
                   "flushed (a VHD that grows, an image upon a parent). Mount it without --hold.");
    if (error == 0)
        error = choose_mount_point(&options, &point);
    if (error != 0)
        return error;
    d = calloc(1, sizeof(*d));
    if (d == NULL)
        return cm_fail(CM_ENOMEM, "no memory to mount the disk.");
    d->image = image;
    d->point = point;
    error = make_device(d, &options);
    if (error == 0)
        error = cm_server_start(d->transport, image, options.threads, &d->server);
    if (error == 0)
        error = cm_driver_transport_share_arena(d->transport);
    if (error == 0)
        cm_lockdown(NULL);
    if (error == 0)
        error = appear(d, &options);
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
    if (info->size < entry->size) /* of a larger one the driver knows whether it can be */
        return cm_list_fail_size(entry, info->size);
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

/* It has its names. Whether the mount manager knows it does not matter: forgetting what it does not know is
 * nothing. */
static void set_mount_point(struct cm_disk *disk)
{
    disk->announced = cm_mountmgr_is_there();
    cm_mount_point_of(disk->device, &disk->point);
}

int cm_disk_attach(struct cm_image *image, const char *which, const struct cm_disk_options *given,
                   struct cm_disk **disk)
{
    uint64_t deadline_ns = cm_os_now_ns() + CM_ATTACH_PATIENCE_MS * UINT64_C(1000000);
    struct cm_disk_options options;
    struct cm_list_entry entry;
    struct cm_image_info info;
    struct cm_disk *d;
    char reason[1024];
    int error;

    *disk = NULL;
    error = cm_disk_options_read(given, &options);
    if (error == 0)
        error = refuse_volatile(
            image, "an image whose data stays in memory cannot take over a disk: what was written "
                   "before may have gone with the last server. Give the image that was "
                   "mounted.");
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
    return disk->point.text;
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
                       disk->point.text[0] != '\0' ? disk->point.text : disk->device);
    if (error == CM_EPROTO)
        return cm_fail(error,
                       "the driver refused an answer of this program: the disk %s is no "
                       "longer served.",
                       disk->point.text[0] != '\0' ? disk->point.text : disk->device);
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
