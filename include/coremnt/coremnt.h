/* SPDX-License-Identifier: MIT */
/* coremnt.h - everything that the library offers, in one include. */
#ifndef COREMNT_COREMNT_H
#define COREMNT_COREMNT_H

#include "container.h"
#include "disk.h"
#include "driver.h"
#include "error.h"
#include "image.h"
#include "loopback.h"
#include "partition.h"

#define CM_VERSION_MAJOR 0
#define CM_VERSION_MINOR 1
#define CM_VERSION_PATCH 0
#define CM_VERSION_STRING "0.1.0"

#endif
