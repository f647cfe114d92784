/* SPDX-License-Identifier: MIT */
/* status.h - what a server's enum cm_status becomes for the caller. */
#ifndef COREMNT_STATUS_H
#define COREMNT_STATUS_H

#include "nt.h"

/* Below CM_STATUS_COUNT. IRQL: any. Hot. */
NTSTATUS StatusFromServer(ULONG Status);

#endif
