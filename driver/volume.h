/* SPDX-License-Identifier: MIT */
/* volume.h - file systems that are mounted on our disks; see volume.c. */
#ifndef COREMNT_VOLUME_H
#define COREMNT_VOLUME_H

#include "nt.h"

struct DISK;

/* Whether there is a file system on the device, and nobody has locked it. Looked at without a lock: only who
 * keeps the volume from changing may build on it. IRQL: <= DISPATCH. */
BOOLEAN VolumeIsMounted(PDEVICE_OBJECT Device);

/* Take the file system off a disk that answers no more. May wait for it. IRQL: PASSIVE, in a system
 * thread, no lock held. */
VOID VolumeDismount(struct DISK *Disk);

#endif
