/* SPDX-License-Identifier: MIT */
/* winerror.h - windows.h, and the names of errors that mingw-w64's lacks. */
#ifndef CM_WINDOWS_WINERROR_H
#define CM_WINDOWS_WINERROR_H

#include <windows.h>

#ifndef ERROR_DIRECTORY_NOT_SUPPORTED
#define ERROR_DIRECTORY_NOT_SUPPORTED 336
#endif
#ifndef ERROR_DISK_QUOTA_EXCEEDED
#define ERROR_DISK_QUOTA_EXCEEDED 1295
#endif

#endif
