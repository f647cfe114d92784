/* SPDX-License-Identifier: MIT */
/*
 * mountdev.h - stands in for the DDK's header of this name: what the mount manager sends to a volume, laid out as
 * on Windows x64 (layout.c checks it).
 */
#ifndef SIMNT_MOUNTDEV_H
#define SIMNT_MOUNTDEV_H

#include "ntifs.h"

#define MOUNTDEVCONTROLTYPE ((ULONG)'M')
#define SIMNT_MOUNTDEV(function)                                                                   \
    CTL_CODE(MOUNTDEVCONTROLTYPE, function, METHOD_BUFFERED, FILE_ANY_ACCESS)

#define IOCTL_MOUNTDEV_QUERY_UNIQUE_ID SIMNT_MOUNTDEV(0u)
#define IOCTL_MOUNTDEV_UNIQUE_ID_CHANGE_NOTIFY SIMNT_MOUNTDEV(1u)
#define IOCTL_MOUNTDEV_QUERY_DEVICE_NAME SIMNT_MOUNTDEV(2u)
#define IOCTL_MOUNTDEV_QUERY_SUGGESTED_LINK_NAME SIMNT_MOUNTDEV(3u)
#define IOCTL_MOUNTDEV_LINK_CREATED SIMNT_MOUNTDEV(4u)
#define IOCTL_MOUNTDEV_LINK_DELETED SIMNT_MOUNTDEV(5u)
#define IOCTL_MOUNTDEV_QUERY_STABLE_GUID SIMNT_MOUNTDEV(6u)

typedef struct MOUNTDEV_NAME {
    USHORT NameLength; /* bytes */
    WCHAR Name[1];
} MOUNTDEV_NAME;

typedef struct MOUNTDEV_UNIQUE_ID {
    USHORT UniqueIdLength;
    UCHAR UniqueId[1];
} MOUNTDEV_UNIQUE_ID;

typedef struct MOUNTDEV_SUGGESTED_LINK_NAME {
    BOOLEAN UseOnlyIfThereAreNoOtherLinks;
    USHORT NameLength; /* bytes */
    WCHAR Name[1];
} MOUNTDEV_SUGGESTED_LINK_NAME;

#endif
