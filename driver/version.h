/* SPDX-License-Identifier: MIT */
/*
 * version.h - the driver's version, for the VERSION ioctl (control_ioctl.c).
 *
 * It is the project's, which <coremnt/coremnt.h> has; the driver includes nothing from there, so
 * cmake/version.cmake refuses to configure a tree in which the two differ.
 */
#ifndef COREMNT_DRIVER_VERSION_H
#define COREMNT_DRIVER_VERSION_H

#define DRIVER_VERSION_MAJOR 0u
#define DRIVER_VERSION_MINOR 1u
#define DRIVER_VERSION_PATCH 0u

#define DRIVER_VERSION                                                                             \
    (DRIVER_VERSION_MAJOR << 16 | DRIVER_VERSION_MINOR << 8 | DRIVER_VERSION_PATCH)

#endif
