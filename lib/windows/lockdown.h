/* SPDX-License-Identifier: MIT */
/*
 * lockdown.h - keeps in memory what a process needs to serve a disk. For disk.c.
 */
#ifndef CM_LOCKDOWN_H
#define CM_LOCKDOWN_H

#include <stdint.h>

struct cm_lockdown {
    uint64_t wanted;  /* bytes that serving may touch */
    uint64_t locked;  /* of these */
    uint32_t regions; /* that could not be locked */
};

/*
 * Lock what this process has in memory by now and may touch while it serves; see lockdown.c for
 * what that is. Called when all of a disk is made and before anybody knows of it; again for each
 * disk. The memory stays locked until it is freed. Takes a few milliseconds; sets no sentence,
 * because a disk is served all the same if it fails.
 *
 * @param result  Out, optional.
 */
void cm_lockdown(struct cm_lockdown *result);

#endif
