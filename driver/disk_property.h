/* SPDX-License-Identifier: MIT */
/* disk_property.h - IOCTL_STORAGE_QUERY_PROPERTY; see disk_property.c. */
#ifndef COREMNT_DISK_PROPERTY_H
#define COREMNT_DISK_PROPERTY_H

#include "disk.h"

/* `Buffer` holds the query and takes the answer. A final status; *Information: bytes. IRQL:
 * PASSIVE. */
NTSTATUS DiskPropertyQuery(const DISK *Disk, PVOID Buffer, ULONG InLength, ULONG OutLength,
                           PULONG_PTR Information);

#endif
