/* SPDX-License-Identifier: MIT */
/* server.h - an open handle of the control device, and its end; see server.c. */
#ifndef COREMNT_SERVER_H
#define COREMNT_SERVER_H

#include "driver.h"

/* What FILE_OBJECT.FsContext of the control device points to. */
typedef struct SERVER {
    LIST_ENTRY Link; /* P: Driver.Lock: Driver.Servers */
} SERVER;

NTSTATUS ServerOpen(PFILE_OBJECT File) MUST_CHECK; /* IRQL: PASSIVE */

/* The server of a file, or NULL if opening it was refused (Wine delivers IRPs all the same). */
SERVER *ServerOf(PFILE_OBJECT File) MUST_CHECK;

/* Its disks go. At CLEANUP, and again at CLOSE, which on Wine is all there is. IRQL: PASSIVE. */
VOID ServerEnd(SERVER *Server);
VOID ServerClose(PFILE_OBJECT File); /* after ServerEnd; frees it */

/* DriverUnload's parts: end all servers and refuse new ones; free them. IRQL: PASSIVE. */
VOID ServerStopAll(VOID);
VOID ServerFreeAll(VOID);

#endif
