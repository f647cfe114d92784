/* SPDX-License-Identifier: MIT */
/*
 * disk.c - the calls of <coremnt/disk.h> and <coremnt/driver.h> that need the Windows driver: here
 * they say so. Any thread.
 */
#include <string.h>

#include "abi/coremnt_abi.h"
#include "lib/core/error_internal.h"

#include <coremnt/disk.h>
#include <coremnt/driver.h>

static int unsupported(const char *doing)
{
    return cm_fail(CM_ENOTSUP, "cannot %s: that needs the driver CoreMnt.sys, and so Windows.",
                   doing);
}

/* -- disk.h ------------------------------------------------------------------------------------ */

int cm_disk_mount(struct cm_image *image, const struct cm_disk_options *options,
                  struct cm_disk **disk)
{
    (void)image;
    (void)options;
    *disk = NULL;
    return unsupported("mount an image");
}

int cm_disk_attach(struct cm_image *image, const char *which, const struct cm_disk_options *options,
                   struct cm_disk **disk)
{
    (void)image;
    (void)which;
    (void)options;
    *disk = NULL;
    return unsupported("take over a disk");
}

int cm_wait_held(const char *which, uint32_t timeout_ms)
{
    (void)which;
    (void)timeout_ms;
    return unsupported("wait for a disk");
}

/* There never is a disk here, so the next five are only there to be linked. */
const char *cm_disk_mount_point(const struct cm_disk *disk)
{
    (void)disk;
    return "";
}

const char *cm_disk_device(const struct cm_disk *disk)
{
    (void)disk;
    return "";
}

uint64_t cm_disk_id(const struct cm_disk *disk)
{
    (void)disk;
    return 0;
}

int cm_disk_wait(struct cm_disk *disk, uint32_t timeout_ms)
{
    (void)disk;
    (void)timeout_ms;
    return unsupported("wait for a disk");
}

int cm_disk_close(struct cm_disk *disk)
{
    return disk == NULL ? 0 : unsupported("close a disk");
}

int cm_unmount(const char *which, uint32_t flags, uint32_t timeout_ms)
{
    (void)which;
    (void)flags;
    (void)timeout_ms;
    return unsupported("unmount a disk");
}

int cm_resize(const char *which, uint64_t size, uint32_t flags, int *extended)
{
    (void)which;
    (void)size;
    (void)flags;
    *extended = 0;
    return unsupported("resize a disk");
}

int cm_list(struct cm_disk_info **disks, uint32_t *count)
{
    *disks = NULL;
    *count = 0;
    return unsupported("list disks");
}

int cm_get_disk_info(const char *which, struct cm_disk_info *info)
{
    (void)which;
    memset(info, 0, sizeof(*info));
    return unsupported("look at a disk");
}

int cm_get_stats(const char *which, struct cm_stats *stats)
{
    (void)which;
    memset(stats, 0, sizeof(*stats));
    return unsupported("read a disk's counters");
}

int cm_get_health(const char *which, struct cm_health *health)
{
    (void)which;
    memset(health, 0, sizeof(*health));
    return unsupported("ask how a disk is");
}

/* -- driver.h ---------------------------------------------------------------------------------- */

int cm_driver_install(const char *sys_path)
{
    (void)sys_path;
    return unsupported("install the driver");
}

int cm_driver_start(void)
{
    return unsupported("start the driver");
}

int cm_driver_stop(int force)
{
    (void)force;
    return unsupported("stop the driver");
}

int cm_driver_remove(void)
{
    return unsupported("remove the driver");
}

int cm_driver_get_status(struct cm_driver_status *status)
{
    memset(status, 0, sizeof(*status));
    status->library_abi_version = CM_ABI_VERSION;
    return unsupported("ask for the driver's state");
}
