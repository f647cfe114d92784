/* SPDX-License-Identifier: MIT */
/*
 * dispatch.h - one request answered from an image. Between the pool (serve.c) and image.c.
 */
#ifndef CM_DISPATCH_H
#define CM_DISPATCH_H

#include "abi/coremnt_abi.h"

struct cm_image;
struct cm_transport;

/* Can the request be answered at all? The slot that its tag names exists and holds its data. */
int cm_request_is_valid(const struct cm_transport *transport, const struct cm_request *request);

/* Do what a valid request says, with its data in its slot. Blocks for the image. Any thread. */
struct cm_reply cm_dispatch(const struct cm_transport *transport, struct cm_image *image,
                            const struct cm_request *request);

#endif
