/* SPDX-License-Identifier: MIT */
/*
 * serve.h - the thread pool that answers a transport's requests from an image.
 */
#ifndef CM_SERVE_H
#define CM_SERVE_H

#include <stdint.h>

struct cm_image;
struct cm_server;
struct cm_transport;

/* Start `threads` threads. Both stay the caller's and must outlive the server. 0, CM_ENOMEM. */
int cm_server_start(struct cm_transport *transport, struct cm_image *image, uint32_t threads,
                    struct cm_server **server);

/* Wait until serving has ended: 0 once the transport says CM_EGONE, CM_ETIMEDOUT after timeout_ms
 * (UINT32_MAX: never), or another CM_E... that ended it. Any thread. */
int cm_server_wait(struct cm_server *server, uint32_t timeout_ms);

/* Stop the transport, join the threads, free the server. */
void cm_server_stop(struct cm_server *server);

#endif
