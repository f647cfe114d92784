/* SPDX-License-Identifier: MIT */
/*
 * service.h - what the rest of this folder asks the service manager; the public side is
 * <coremnt/driver.h>.
 */
#ifndef CM_SERVICE_H
#define CM_SERVICE_H

/* The service's state as enum cm_driver_state, without asking the device: never NOT_ANSWERING.
 * @return 0, CM_EACCES or CM_EIO. */
int cm_service_state(int *state);

#endif
