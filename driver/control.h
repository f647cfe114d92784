/* SPDX-License-Identifier: MIT */
/* control.h - the control device \\.\CoreMnt; see control.c. */
#ifndef COREMNT_CONTROL_H
#define COREMNT_CONTROL_H

#include "driver.h"

IRP_HANDLER ControlCreate, ControlClose; /* IRQL: PASSIVE */
IRP_HANDLER ControlIoctl;                /* IRQL: PASSIVE. Hot: it leads to EXCHANGE */

#endif
