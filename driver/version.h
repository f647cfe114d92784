/* SPDX-License-Identifier: MIT */
/*
 * version.h - the driver's version, for the VERSION ioctl (control_ioctl.c) and what disks call their revision.
 *
 * It is the project's, which <coremnt/coremnt.h> has; the driver includes nothing from there, so
 * cmake/version.cmake refuses to configure a tree in which the two differ.
 */
#ifndef COREMNT_DRIVER_VERSION_H
#define COREMNT_DRIVER_VERSION_H

#define DRIVER_VERSION_MAJOR 0
#define DRIVER_VERSION_MINOR 1
#define DRIVER_VERSION_PATCH 0

#define DRIVER_VERSION                                                                             \
    ((ULONG)DRIVER_VERSION_MAJOR << 16 | DRIVER_VERSION_MINOR << 8 | DRIVER_VERSION_PATCH)

/* "0.1", the revision of the disks, which has room for four characters. */
#define DRIVER_REVISION DRIVER_TEXT(DRIVER_VERSION_MAJOR) "." DRIVER_TEXT(DRIVER_VERSION_MINOR)
#define DRIVER_TEXT(number) DRIVER_TEXT_OF(number)
#define DRIVER_TEXT_OF(number) #number

#endif
