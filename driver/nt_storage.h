/* SPDX-License-Identifier: MIT */
/*
 * nt_storage.h - codes and structures of storage ioctls that mingw-w64's headers lack. Included by nt.h only. The
 * sizes of what its headers do have are asserted by tests/simnt/layout.c.
 */
#ifndef COREMNT_NT_STORAGE_H
#define COREMNT_NT_STORAGE_H

#define IOCTL_DISK_IS_CLUSTERED CTL_CODE(IOCTL_DISK_BASE, 0x3E, METHOD_BUFFERED, FILE_ANY_ACCESS)
/* Windows 8; some versions of the headers ask for read access. */
#define IOCTL_DISK_GET_CLUSTER_INFO                                                                \
    CTL_CODE(IOCTL_DISK_BASE, 0x85, METHOD_BUFFERED, FILE_ANY_ACCESS)
#define IOCTL_DISK_GET_CLUSTER_INFO_READ                                                           \
    CTL_CODE(IOCTL_DISK_BASE, 0x85, METHOD_BUFFERED, FILE_READ_ACCESS)

#define IOCTL_VOLUME_IS_DYNAMIC CTL_CODE(IOCTL_VOLUME_BASE, 18, METHOD_BUFFERED, FILE_ANY_ACCESS)
#define IOCTL_VOLUME_POST_ONLINE                                                                   \
    CTL_CODE(IOCTL_VOLUME_BASE, 25, METHOD_BUFFERED, FILE_READ_ACCESS | FILE_WRITE_ACCESS)

/* The mount manager of Windows 2000 sends these without access, that of XP and later with; and either may
 * follow the other. */
#define IOCTL_MOUNTDEV_LINK_CREATED_RW                                                             \
    CTL_CODE(MOUNTDEVCONTROLTYPE, 4, METHOD_BUFFERED, FILE_READ_ACCESS | FILE_WRITE_ACCESS)
#define IOCTL_MOUNTDEV_LINK_DELETED_RW                                                             \
    CTL_CODE(MOUNTDEVCONTROLTYPE, 5, METHOD_BUFFERED, FILE_READ_ACCESS | FILE_WRITE_ACCESS)

/* Has no name in any header. Windows 10 asks it of a volume before it encrypts a file there. */
#define IOCTL_EFS_QUERY 0x455610D8u

/* Of VOLUME_GET_GPT_ATTRIBUTES_INFORMATION. */
#define GPT_READ_ONLY UINT64_C(0x1000000000000000)

/* DISK_GEOMETRY_EX with what follows it where there is room. */
typedef struct DISK_GEOMETRY_AND_MORE {
    DISK_GEOMETRY Geometry;
    LARGE_INTEGER DiskSize;
    DISK_PARTITION_INFO Partition;
    DISK_DETECTION_INFO Detection;
} DISK_GEOMETRY_AND_MORE;

C_ASSERT(FIELD_OFFSET(DISK_GEOMETRY_AND_MORE, Partition) == FIELD_OFFSET(DISK_GEOMETRY_EX, Data));
C_ASSERT(FIELD_OFFSET(DISK_GEOMETRY_AND_MORE, Detection) == 56);
C_ASSERT(sizeof(DISK_GEOMETRY_AND_MORE) == 112);

#endif
