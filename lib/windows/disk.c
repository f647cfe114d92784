/* SPDX-License-Identifier: MIT */
/*
 * disk.c - a mounted disk: cm_disk_mount() puts it together, cm_disk_close() takes it apart.
 *
 * Called by the program that serves an image, on its own threads, never by the pool's.
 *
 * The order matters. The first open of a letter makes every file system try to mount the disk, and
 * Explorer does that as soon as it hears of the letter, so the disk must be served before:
 *
 *      transport (MOUNT) - server started - arena in place - letter - broadcast
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <windows.h>

#include "abi/coremnt_abi.h"
#include "lib/core/disk_options.h"
#include "lib/core/error_internal.h"
#include "lib/core/serve.h"
#include "lib/core/transport.h"
#include "lib/windows/announce.h"
#include "lib/windows/control.h"
#include "lib/windows/driver_transport.h"
#include "lib/windows/letter.h"
#include "lib/windows/list.h"
#include "lib/windows/wide.h"

#include <coremnt/disk.h>

struct cm_disk {
    struct cm_image *image; /* the caller's */
    struct cm_transport *transport;
    struct cm_server *server;
    uint64_t id;
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
    cm_wide_from_utf8_cut(options->image_name != NULL ? options->image_name : "", name,
                          CM_IMAGE_NAME_UNITS);
    memcpy(mount.image_name, name, (wcslen(name) + 1) * sizeof(name[0]));
    error = cm_driver_transport_open(&mount, options->threads, &disk->transport, &mounted);
    if (error != 0)
        return error;
    disk->id = mounted.disk_id;
    cm_device_name(mounted.number, disk->device);
    return 0;
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
    CloseHandle(control);
    if (options->mount_point == NULL || options->mount_point[0] == '\0')
        return 0;
    error = cm_letter_parse(options->mount_point, letter);
    return error != 0 ? error : cm_letter_check(*letter);
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

/* What was made so far, last first; does not touch the image. */
static void take_apart(struct cm_disk *disk)
{
    /* Only if it is still ours: cm_unmount() has taken it away, or somebody else has it now. */
    if (disk->mount_point[0] != '\0' &&
        (cm_letters_of(disk->device) & (1u << (disk->mount_point[0] - 'A'))) != 0 &&
        cm_letter_remove(disk->mount_point[0], disk->device) == 0)
        cm_announce_letter(disk->mount_point[0], 0);
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
        error = give_letter(d, &options, letter);
    if (error == 0) {
        *disk = d;
        return 0;
    }
    snprintf(reason, sizeof(reason), "%s", cm_last_error());
    take_apart(d);
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
    int error;

    if (disk == NULL)
        return 0;
    image = disk->image;
    take_apart(disk);
    error = cm_image_flush(image);
    if (error != 0)
        cm_fail(error, "the image could not be flushed: %s. What was written last may be lost.",
                cm_error_name(error));
    return error;
}
