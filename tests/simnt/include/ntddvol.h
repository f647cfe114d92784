/* SPDX-License-Identifier: MIT */
/*
 * ntddvol.h - stands in for the DDK's header of this name: the volume ioctls that the driver answers, and their
 * structures, laid out as on Windows x64 (layout.c checks it).
 */
#ifndef SIMNT_NTDDVOL_H
#define SIMNT_NTDDVOL_H

#include "ntifs.h"

#define IOCTL_VOLUME_BASE ((ULONG)'V')
#define SIMNT_VOLUME(function, access)                                                             \
    CTL_CODE(IOCTL_VOLUME_BASE, function, METHOD_BUFFERED, access)

#define IOCTL_VOLUME_ONLINE SIMNT_VOLUME(2u, FILE_READ_ACCESS | FILE_WRITE_ACCESS)
#define IOCTL_VOLUME_IS_IO_CAPABLE SIMNT_VOLUME(5u, FILE_ANY_ACCESS)
#define IOCTL_VOLUME_GET_GPT_ATTRIBUTES SIMNT_VOLUME(14u, FILE_ANY_ACCESS)

typedef struct VOLUME_GET_GPT_ATTRIBUTES_INFORMATION {
    ULONGLONG GptAttributes;
} VOLUME_GET_GPT_ATTRIBUTES_INFORMATION;

#endif
