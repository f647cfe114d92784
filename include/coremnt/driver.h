/* SPDX-License-Identifier: MIT */
/*
 * driver.h - CoreMnt.sys as a Windows service: install, start, stop, remove, ask.
 *
 * All of it needs an administrator. On other systems every call returns CM_ENOTSUP.
 */
#ifndef COREMNT_DRIVER_H
#define COREMNT_DRIVER_H

#include <stdint.h>

#include "error.h"

#ifdef __cplusplus
extern "C" {
#endif

enum cm_driver_state {
    CM_DRIVER_NOT_INSTALLED = 0,
    CM_DRIVER_STOPPED = 1,
    CM_DRIVER_STARTING = 2,
    CM_DRIVER_RUNNING = 3, /* and it answers */
    CM_DRIVER_STOPPING = 4,
    CM_DRIVER_NOT_ANSWERING =
        5, /* the service runs, the device does not: it crashed or is stopping */
};

struct cm_driver_status {
    int state;            /* enum cm_driver_state */
    uint32_t abi_version; /* of the driver; 0 when it does not run */
    uint32_t version;     /* major << 16 | minor << 8 | patch; 0 when it does not run */
    uint32_t library_abi_version;
    char path[520]; /* of the .sys file, UTF-8; "" when not installed, or too long */
};

/**
 * Register the driver as a service started on demand.
 *
 * @param sys_path  UTF-8; NULL: CoreMnt.sys beside the running program. Made absolute. The file is
 *                  not copied: it must stay, where only administrators can write.
 * @return 0, CM_ENOENT (no such file), CM_EINVAL (no driver, for another processor, or on another
 *         computer), CM_EEXIST (installed already; the sentence says as which file), CM_EACCES,
 *         CM_EIO. Whether Windows trusts its signature only cm_driver_start() finds out.
 * Blocks for the service manager. Threads: any. Since 0.1.
 */
CM_API int cm_driver_install(const char *sys_path);

/** Start it; 0 also when it runs already. CM_ENODRIVER, CM_EACCES, CM_EIO (Windows refused to load
 *  it: unsigned, wrong architecture; the sentence says which). Since 0.1. */
CM_API int cm_driver_start(void);

/** Stop it. Disks that are mounted stand in the way: CM_EBUSY, unless forced, when they are lost.
 *  0 also when it is stopped already. CM_ENODRIVER, CM_EACCES, CM_ETIMEDOUT. Since 0.1. */
CM_API int cm_driver_stop(int force);

/** Remove the service; it must be stopped (CM_EBUSY). CM_ENODRIVER, CM_EACCES. Since 0.1. */
CM_API int cm_driver_remove(void);

/** Its state. @return 0 (also when it is not installed), CM_EACCES or CM_EIO. Since 0.1. */
CM_API int cm_driver_get_status(struct cm_driver_status *status);

#ifdef __cplusplus
}
#endif
#endif
