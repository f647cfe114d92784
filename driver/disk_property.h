/* SPDX-License-Identifier: MIT */
/* disk_property.h - IOCTL_STORAGE_QUERY_PROPERTY; see disk_property.c. */
#ifndef COREMNT_DISK_PROPERTY_H
#define COREMNT_DISK_PROPERTY_H

#include "disk_ioctl.h"

DISK_CALL_HANDLER DiskPropertyQuery;

#endif
