/* SPDX-License-Identifier: MIT */
/*
 * transport.h - where requests come from: the driver (lib/windows/driver_transport.c) or the same
 * process (loopback.c). The pool (serve.c) is the only caller.
 *
 * The words on the wire are those of abi/coremnt_abi.h, whatever the transport.
 */
#ifndef CM_TRANSPORT_H
#define CM_TRANSPORT_H

#include <stdint.h>

#include "abi/coremnt_abi.h"

struct cm_transport;

struct cm_transport_ops {
    /*
     * Bring replies and fetch at most max_requests requests; see CM_IOCTL_EXCHANGE. With `wait` it
     * blocks until there is one or the transport is stopped. May be called from several threads at
     * once. The replies count as delivered unless the result is CM_EIO or CM_ENOMEM.
     * @return 0; CM_EGONE: no more requests will come; CM_EPROTO: a reply was refused.
     */
    int (*exchange)(struct cm_transport *transport, const struct cm_reply *replies,
                    uint32_t reply_count, struct cm_request *requests, uint32_t max_requests,
                    uint32_t *request_count, int wait);
    /* Make every exchange, under way or to come, return CM_EGONE. Any thread; idempotent. */
    void (*stop)(struct cm_transport *transport);
    /* Free it. No exchange may be under way. */
    void (*close)(struct cm_transport *transport);
};

/* The head of every transport's own structure. All fields are constant once it is open. */
struct cm_transport {
    const struct cm_transport_ops *ops;
    unsigned char *arena; /* the data of a request: cm_transport_slot() */
    uint32_t slot_size;   /* bytes */
    uint32_t queue_depth; /* slots */
};

static inline void *cm_transport_slot(const struct cm_transport *transport, uint64_t tag)
{
    return transport->arena + (uint64_t)CM_TAG_SLOT(tag) * transport->slot_size;
}

#endif
