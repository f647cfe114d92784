/* SPDX-License-Identifier: MIT */
/* volume.h - file systems that are mounted on our disks; see volume.c. */
#ifndef COREMNT_VOLUME_H
#define COREMNT_VOLUME_H

#include "nt.h"

struct DISK;

/* Take the file system off a disk that answers no more. May wait for it. IRQL: PASSIVE, in a system
 * thread, no lock held. */
VOID VolumeDismount(struct DISK *Disk);

#endif
