/* SPDX-License-Identifier: MIT */
/*
 * stats.h - struct cm_stats, which cm_get_stats() and cm_loopback_stats() fill.
 *
 * It is part of the contract with the driver, so it is defined there and nowhere else.
 */
#ifndef COREMNT_STATS_H
#define COREMNT_STATS_H

#include "../../abi/coremnt_abi.h"

#endif
