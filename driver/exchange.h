/* SPDX-License-Identifier: MIT */
/* exchange.h - the server's call that brings replies and fetches requests; see exchange.c. */
#ifndef COREMNT_EXCHANGE_H
#define COREMNT_EXCHANGE_H

#include "driver.h"

struct DISK;
struct SERVER;

/* CM_IOCTL_EXCHANGE. Returns a final status, or STATUS_PENDING. IRQL: PASSIVE. Hot. */
NTSTATUS ExchangeIoctl(struct SERVER *Server, PIRP Irp, PIO_STACK_LOCATION Stack) MUST_CHECK;

/* There may be something to fetch: end parked exchanges with it. IRQL: <= DISPATCH. Hot. */
VOID ExchangeKick(struct DISK *Disk);

#endif
