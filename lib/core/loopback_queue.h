/* SPDX-License-Identifier: MIT */
/*
 * loopback_queue.h - the driver's queue once more, for requests of this process: a transport on one
 * side, calls that block on the other. Used by loopback.c and by the tests of the pool.
 */
#ifndef CM_LOOPBACK_QUEUE_H
#define CM_LOOPBACK_QUEUE_H

#include <stdint.h>

#include "abi/coremnt_abi.h"

struct cm_transport;

/* The numbers must be inside the limits of the contract. 0 or CM_ENOMEM, with the sentence. */
int cm_loopback_queue_open(uint32_t queue_depth, uint32_t slot_size,
                           struct cm_transport **transport);

/*
 * Have a request served; blocks until it is. `offset` and `length` are not checked; `buffer` is
 * NULL for FLUSH and TRIM, `flags` are CM_REQUEST_*. Any thread.
 * @return 0, what the server answered, CM_EGONE once the transport has been stopped.
 */
int cm_loopback_queue_do(struct cm_transport *transport, enum cm_op op, uint16_t flags,
                         void *buffer, uint64_t length, uint64_t offset);

void cm_loopback_queue_stats(struct cm_transport *transport, struct cm_stats *stats);

#endif
