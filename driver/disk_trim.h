/* SPDX-License-Identifier: MIT */
/* disk_trim.h - TRIM; see disk_trim.c. */
#ifndef COREMNT_DISK_TRIM_H
#define COREMNT_DISK_TRIM_H

#include "disk_ioctl.h"

DISK_CALL_HANDLER DiskTrim;

#endif
