/* SPDX-License-Identifier: MIT */
/*
 * volume.h - opening, flushing, locking and dismounting a volume, each with a bounded wait.
 *
 * All of these reach the process that serves the disk, which may hang; and opening a volume, or
 * flushing it, cannot be done overlapped. So a thread of its own does them, one at a time.
 */
#ifndef CM_VOLUME_H
#define CM_VOLUME_H

#include <stdint.h>
#include <windows.h>

struct cm_volume;

enum cm_volume_step {
    CM_VOLUME_OPEN,
    CM_VOLUME_FLUSH,
    CM_VOLUME_LOCK,
    CM_VOLUME_DISMOUNT,
    CM_VOLUME_EXTEND, /* the file system takes what the disk has more: cm_volume_set_sectors() */
};

/* Makes the thread; no I/O yet. `device` is an NT path. 0, CM_ENOMEM. */
int cm_volume_start(const char *device, int read_only, struct cm_volume **volume);

/*
 * @param timeout_ms  For the step, and then
 * @param grace_ms    for cancelling it.
 * @return a Win32 error; 0 for success. WAIT_TIMEOUT: it did not end in time and was or could not be
 * cancelled, or has not ended since an earlier time-out.
 */
DWORD cm_volume_do(struct cm_volume *volume, enum cm_volume_step step, uint32_t timeout_ms,
                   uint32_t grace_ms);

/* Of the disk, for CM_VOLUME_EXTEND. */
void cm_volume_set_sectors(struct cm_volume *volume, uint64_t sectors);

/* Close the handle, which also unlocks the volume, and free it, waiting for that at most timeout_ms;
 * a step that hangs does so when it ends. NULL is allowed. */
void cm_volume_close(struct cm_volume *volume, uint32_t timeout_ms);

#endif
