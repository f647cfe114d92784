/* SPDX-License-Identifier: MIT */
/* server.h - an open handle of the control device, and its end; see server.c. */
#ifndef COREMNT_SERVER_H
#define COREMNT_SERVER_H

#include "driver.h"

/* What FILE_OBJECT.FsContext of the control device points to. */
typedef struct SERVER {
    LIST_ENTRY Link; /* P: Driver.Lock: Driver.Servers */
    BOOLEAN Ended;   /* P: Driver.Lock: gets no more disks; on NT calls may still be under way */
} SERVER;

NTSTATUS ServerOpen(PFILE_OBJECT File) MUST_CHECK; /* IRQL: PASSIVE */

/* The server of a file, or NULL if opening it was refused (Wine delivers IRPs all the same). */
SERVER *ServerOf(PFILE_OBJECT File) MUST_CHECK;

/* It loses its disks: they go, or are held for another one. At CLEANUP, and again at CLOSE, which on Wine is all there is. IRQL: PASSIVE. */
VOID ServerEnd(SERVER *Server);
VOID ServerClose(PFILE_OBJECT File); /* after ServerEnd; frees it */

/* DriverUnload's parts: remove all disks and refuse new servers; free them. IRQL: PASSIVE. */
VOID ServerStopAll(VOID);
VOID ServerFreeAll(VOID);

#endif
