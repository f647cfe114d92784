/* SPDX-License-Identifier: MIT */
/*
 * stats.h - struct cm_stats, which cm_get_stats() and cm_loopback_stats() fill, and struct
 * cm_health, which cm_get_health() fills.
 *
 * They are part of the contract with the driver, so they are defined there and nowhere else.
 */
#ifndef COREMNT_STATS_H
#define COREMNT_STATS_H

#include "../../abi/coremnt_abi.h"

#endif
