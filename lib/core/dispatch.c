/* SPDX-License-Identifier: MIT */
/*
 * dispatch.c - from a request to the image's call and from its result to a reply.
 *
 * Called by the pool's threads for every request: the hot path. A new operation is a function and a
 * row.
 */
#include "lib/core/dispatch.h"

#include "lib/core/error_internal.h"
#include "lib/core/transport.h"

#include <coremnt/image.h>

static int do_read(struct cm_image *image, const struct cm_request *request, void *slot)
{
    return cm_image_read(image, slot, (uint32_t)request->length, request->offset);
}

static int do_write(struct cm_image *image, const struct cm_request *request, void *slot)
{
    uint32_t flags = (request->flags & CM_REQUEST_FUA) != 0 ? CM_IMAGE_FUA : 0;

    return cm_image_write(image, slot, (uint32_t)request->length, request->offset, flags);
}

static int do_flush(struct cm_image *image, const struct cm_request *request, void *slot)
{
    (void)request;
    (void)slot;
    return cm_image_flush(image);
}

static int do_trim(struct cm_image *image, const struct cm_request *request, void *slot)
{
    (void)slot;
    return cm_image_trim(image, request->offset, request->length);
}

static int do_resize(struct cm_image *image, const struct cm_request *request, void *slot)
{
    (void)slot;
    return cm_image_resize(image, request->offset);
}

static const struct {
    int (*run)(struct cm_image *image, const struct cm_request *request, void *slot);
    int has_data; /* `length` bytes of its slot: a reply of success tells them */
} operations[] = {
    [CM_OP_READ] = {do_read, 1}, [CM_OP_WRITE] = {do_write, 1},   [CM_OP_FLUSH] = {do_flush, 0},
    [CM_OP_TRIM] = {do_trim, 0}, [CM_OP_RESIZE] = {do_resize, 0},
};

static int is_known(uint16_t op)
{
    return op < sizeof(operations) / sizeof(operations[0]) && operations[op].run != NULL;
}

int cm_request_is_valid(const struct cm_transport *transport, const struct cm_request *request)
{
    if (CM_TAG_SLOT(request->tag) >= transport->queue_depth)
        return 0;
    return !is_known(request->op) || !operations[request->op].has_data ||
           request->length <= transport->slot_size;
}

struct cm_reply cm_dispatch(const struct cm_transport *transport, struct cm_image *image,
                            const struct cm_request *request)
{
    struct cm_reply reply = {.tag = request->tag, .status = CM_STATUS_NOT_SUPPORTED};

    if (!is_known(request->op))
        return reply;
    reply.status = cm_error_to_status(
        operations[request->op].run(image, request, cm_transport_slot(transport, request->tag)));
    if (reply.status == CM_STATUS_OK && operations[request->op].has_data)
        reply.length = (uint32_t)request->length;
    return reply;
}
