/* SPDX-License-Identifier: MIT */
/*
 * health.h - whether a disk has a server, and one that answers.
 */
#ifndef CM_HEALTH_H
#define CM_HEALTH_H

#include <stdint.h>
#include <windows.h>

#include "abi/coremnt_abi.h"

/* One HEALTH call: a Win32 error. */
DWORD cm_health_ask(HANDLE control, uint64_t disk_id, struct cm_health *health);

/* Whether waiting for the disk is of no use: no server, or one that counts as hung. */
int cm_health_is_hopeless(const struct cm_health *health);

/*
 * Wait until the disk is held, at the latest until `deadline_ns` (UINT64_MAX: for ever).
 * @return 0; CM_EBUSY, CM_ENOENT or of the call, with a sentence.
 */
int cm_health_wait_held(HANDLE control, const struct cm_list_entry *disk, uint64_t deadline_ns);

#endif
