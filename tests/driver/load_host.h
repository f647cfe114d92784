/* SPDX-License-Identifier: MIT */
/* load_host.h - what load.c needs of load_host.c besides load.h. */
#ifndef COREMNT_TESTS_LOAD_HOST_H
#define COREMNT_TESTS_LOAD_HOST_H

#include "load.h"

VOID LoadMountHost(LOAD *Load); /* the first host, which mounts the disks, and serves */

#endif
