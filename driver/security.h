/* SPDX-License-Identifier: MIT */
/* security.h - who may open which device; see security.c. */
#ifndef COREMNT_SECURITY_H
#define COREMNT_SECURITY_H

#include "nt.h"

/* Both before DO_DEVICE_INITIALIZING is cleared. IRQL: PASSIVE. */
NTSTATUS SecurityProtectControl(PDEVICE_OBJECT Device) MUST_CHECK;
NTSTATUS SecurityProtectDisk(PDEVICE_OBJECT Device) MUST_CHECK;

#endif
