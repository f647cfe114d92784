/* SPDX-License-Identifier: MIT */
/*
 * host.h - whether this is Windows or one of two that differ from it in what some files here do: each says in what.
 */
#ifndef CM_HOST_H
#define CM_HOST_H

int cm_on_wine(void);
int cm_on_reactos(void);

#endif
