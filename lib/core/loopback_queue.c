/* SPDX-License-Identifier: MIT */
/*
 * loopback_queue.c - does for requests of this process what driver/queue.c and driver/exchange.c do
 * for those of the system, with the same meaning: slots, fragments, batches, counters, refused
 * replies.
 *
 * Hot path, on the threads of applications (cm_loopback_queue_do) and of the pool (exchange). It is
 * there for tests and measurements, so where the driver's way costs something it goes the same way:
 * a waiting exchange is answered by the thread that brings the first request, with that request
 * only.
 *
 * A call is WAITING while it has something to hand out, in the list of the same name, and is
 * finished by whoever closes its last fragment. Once the transport is stopped it is finished as
 * soon as no copy of its data runs. A slot:
 *
 *      FREE -> COPYING (WRITE: being filled) -> HANDED_OUT -> COPYING (READ: being emptied) -> FREE
 *         \___________ READ, FLUSH, TRIM ______/    |   \_______________ others __________/
 *                                                   v
 *                                    stopped: ORPHAN, for the server may write to it
 *
 * Locks: one, queue->lock, a leaf. Data is copied without it.
 */
#include "lib/core/loopback_queue.h"

#include <stdlib.h>
#include <string.h>

#include "lib/core/error_internal.h"
#include "lib/core/os.h"
#include "lib/core/transport.h"

#include <coremnt/error.h>

enum slot_state { FREE = 0, COPYING, HANDED_OUT, ORPHAN };

/* A request of an application, on the stack of its thread. */
struct call {
    enum cm_op op;
    uint16_t flags; /* CM_REQUEST_* */
    unsigned char *buffer;
    uint64_t length;
    uint64_t offset;
    uint64_t arrived_ns;
    struct cm_os_cond done;
    struct call *next, *previous; /* P: in the list of those that wait */
    uint64_t handed_out;          /* P: bytes */
    uint32_t fragments;           /* P: handed out so far */
    uint32_t open;                /* P: of those, not yet closed */
    int all_out;                  /* P: nothing more is to be handed out; not in the list */
    int error;                    /* P: the first */
    int finished;                 /* P */
};

struct slot {
    enum slot_state state; /* P */
    struct call *call;     /* P: unless FREE or ORPHAN */
    uint64_t uses;         /* P: the generation in its tags */
    uint64_t start;        /* P: of the fragment in the call, bytes */
    uint32_t length;       /* P: data, bytes */
    uint32_t next_free;    /* P */
};

/* An exchange that waits, on the stack of its thread. */
struct parked {
    struct parked *next; /* P */
    struct cm_request *requests;
    uint32_t max;
    uint32_t count; /* P: fetched for it */
    int ready;      /* P */
    struct cm_os_cond answered;
};

/* P: protected by lock */
struct queue {
    struct cm_transport base;
    struct cm_os_mutex lock;
    struct cm_os_cond left; /* callers has become 0 */
    struct call waiting;    /* P: head of the ring */
    struct parked *parked;  /* P: last in, first out */
    struct slot *slots;     /* [queue_depth] */
    uint32_t free_head;     /* P */
    uint32_t free_count;    /* P */
    uint32_t callers;       /* P: threads in cm_loopback_queue_do() */
    int stopped;            /* P */
    struct cm_stats stats;  /* P */
};

static struct queue *of(struct cm_transport *transport)
{
    return (struct queue *)transport; /* base is the first field */
}

/* -- slots, all under the lock ----------------------------------------------------------------- */

static struct slot *take_slot(struct queue *queue)
{
    struct slot *slot = &queue->slots[queue->free_head];

    queue->free_head = slot->next_free;
    queue->free_count--;
    slot->uses++;
    return slot;
}

static void free_slot(struct queue *queue, struct slot *slot)
{
    slot->state = FREE;
    slot->call = NULL;
    slot->next_free = queue->free_head;
    queue->free_head = (uint32_t)(slot - queue->slots);
    queue->free_count++;
}

static uint64_t tag_of(const struct queue *queue, const struct slot *slot)
{
    return slot->uses << 16 | (uint64_t)(slot - queue->slots);
}

static struct slot *find_slot(const struct queue *queue, uint64_t tag)
{
    uint32_t index = CM_TAG_SLOT(tag);

    if (index >= queue->base.queue_depth || tag_of(queue, &queue->slots[index]) != tag)
        return NULL;
    return &queue->slots[index];
}

/* Between call and slot, without the lock. The call cannot end: a fragment that is COPYING is open.
 */
static void copy_slot(struct queue *queue, const struct slot *slot)
{
    unsigned char *shared = cm_transport_slot(&queue->base, (uint64_t)(slot - queue->slots));
    unsigned char *callers = slot->call->buffer + slot->start;

    cm_os_mutex_unlock(&queue->lock);
    if (slot->call->op == CM_OP_WRITE)
        memcpy(shared, callers, slot->length);
    else
        memcpy(callers, shared, slot->length);
    cm_os_mutex_lock(&queue->lock);
}

/* -- calls, all under the lock ----------------------------------------------------------------- */

static void append_waiting(struct queue *queue, struct call *call)
{
    call->next = &queue->waiting;
    call->previous = queue->waiting.previous;
    call->previous->next = call;
    queue->waiting.previous = call;
}

static void unlink_waiting(struct call *call)
{
    call->next->previous = call->previous;
    call->previous->next = call->next;
}

static void hand_out_no_more(struct call *call)
{
    if (!call->all_out)
        unlink_waiting(call);
    call->all_out = 1;
}

static void finish(struct queue *queue, struct call *call)
{
    struct cm_stats *stats = &queue->stats;

    if (call->fragments == 0)
        stats->waiting--;
    else
        stats->in_flight--;
    if (call->error != 0) {
        stats->failed++;
    } else {
        stats->completed++;
        stats->reads += call->op == CM_OP_READ;
        stats->writes += call->op == CM_OP_WRITE;
        stats->flushes += call->op == CM_OP_FLUSH;
        stats->trims += call->op == CM_OP_TRIM;
        stats->read_bytes += call->op == CM_OP_READ ? call->length : 0;
        stats->written_bytes += call->op == CM_OP_WRITE ? call->length : 0;
    }
    call->finished = 1;
    cm_os_cond_signal(&call->done);
}

/* The rest of a call that has failed would be of no use: it gets an error for the whole. */
static void close_fragment(struct queue *queue, struct slot *slot, int error)
{
    struct call *call = slot->call;

    free_slot(queue, slot);
    call->open--;
    if (error != 0) {
        if (call->error == 0)
            call->error = error;
        hand_out_no_more(call);
    }
    if (call->open == 0 && call->all_out)
        finish(queue, call);
}

static void abort_call(struct queue *queue, struct call *call)
{
    call->error = CM_EGONE;
    hand_out_no_more(call);
    if (call->open == 0 && !call->finished)
        finish(queue, call);
}

/* -- handing out, under the lock --------------------------------------------------------------- */

static void count_wait(struct queue *queue, const struct call *call)
{
    uint64_t waited_us = (cm_os_now_ns() - call->arrived_ns) / 1000;

    if (waited_us > queue->stats.largest_wait_us)
        queue->stats.largest_wait_us = waited_us;
    queue->stats.waiting--;
    queue->stats.in_flight++;
}

/* Cut the next fragment of a call into a slot. Others get their turn before the one after that. */
static void cut(struct queue *queue, struct call *call, struct slot *slot,
                struct cm_request *request)
{
    int has_data = call->op == CM_OP_READ || call->op == CM_OP_WRITE;
    uint64_t length = call->length - call->handed_out;

    if (has_data && length > queue->base.slot_size)
        length = queue->base.slot_size;
    memset(request, 0, sizeof(*request));
    request->tag = tag_of(queue, slot);
    request->offset = call->offset + call->handed_out;
    request->length = length;
    request->op = (uint16_t)call->op;
    request->flags = call->flags;
    slot->call = call;
    slot->start = call->handed_out;
    slot->length = has_data ? (uint32_t)length : 0;
    call->handed_out += length;
    call->fragments++;
    call->open++;
    unlink_waiting(call);
    if (call->handed_out == call->length)
        call->all_out = 1;
    else
        append_waiting(queue, call);
}

/* @return whether it was handed out: the transport may be stopped while data is copied. */
static int hand_out(struct queue *queue, struct call *call, struct cm_request *request)
{
    struct slot *slot = take_slot(queue);

    if (call->fragments == 0)
        count_wait(queue, call);
    queue->stats.handed_out++;
    cut(queue, call, slot, request);
    if (call->op == CM_OP_WRITE) {
        slot->state = COPYING;
        copy_slot(queue, slot);
        if (queue->stopped) {
            close_fragment(queue, slot, CM_EGONE);
            return 0;
        }
    }
    slot->state = HANDED_OUT;
    return 1;
}

static int can_fetch(const struct queue *queue)
{
    return queue->waiting.next != &queue->waiting && queue->free_count > 0;
}

static uint32_t fetch(struct queue *queue, struct cm_request *requests, uint32_t max)
{
    uint32_t count = 0;

    while (count < max && can_fetch(queue))
        if (hand_out(queue, queue->waiting.next, &requests[count]))
            count++;
    return count;
}

/* Give what there is to exchanges that wait. Nothing comes of a fetch only when all is stopped. */
static void kick(struct queue *queue)
{
    while (queue->parked != NULL && can_fetch(queue)) {
        struct parked *parked = queue->parked;

        queue->parked = parked->next;
        parked->count = fetch(queue, parked->requests, parked->max);
        parked->ready = 1;
        cm_os_cond_signal(&parked->answered);
    }
}

/* -- replies, under the lock ------------------------------------------------------------------- */

/* @return whether it is accepted. A refused one changes nothing. */
static int apply(struct queue *queue, const struct cm_reply *reply)
{
    struct slot *slot = find_slot(queue, reply->tag);

    if (slot == NULL)
        return 0;
    if (slot->state == ORPHAN) {
        free_slot(queue, slot);
        return 1;
    }
    if (slot->state != HANDED_OUT || reply->status >= CM_STATUS_COUNT ||
        reply->length != (reply->status == CM_STATUS_OK ? slot->length : 0))
        return 0;
    if (slot->call->op == CM_OP_READ && reply->status == CM_STATUS_OK) {
        slot->state = COPYING;
        copy_slot(queue, slot);
    }
    close_fragment(queue, slot, cm_status_to_error(reply->status));
    return 1;
}

/* -- the transport ----------------------------------------------------------------------------- */

static uint32_t park(struct queue *queue, struct cm_request *requests, uint32_t max)
{
    struct parked parked = {.next = queue->parked, .requests = requests, .max = max};

    cm_os_cond_init(&parked.answered);
    /* cppcheck-suppress autoVariables ; off the list before this returns */
    queue->parked = &parked;
    while (!parked.ready)
        cm_os_cond_wait(&parked.answered, &queue->lock);
    cm_os_cond_destroy(&parked.answered);
    return parked.count;
}

static int exchange(struct cm_transport *transport, const struct cm_reply *replies,
                    uint32_t reply_count, struct cm_request *requests, uint32_t max_requests,
                    uint32_t *request_count, int wait)
{
    struct queue *queue = of(transport);
    uint32_t refused = 0;
    int error = 0;

    *request_count = 0;
    cm_os_mutex_lock(&queue->lock);
    queue->stats.exchanges++;
    for (uint32_t i = 0; i < reply_count; i++)
        refused += !apply(queue, &replies[i]);
    queue->stats.bad_replies += refused;
    if (refused == 0) {
        *request_count = fetch(queue, requests, max_requests);
        if (*request_count == 0 && wait && !queue->stopped)
            *request_count = park(queue, requests, max_requests);
    }
    kick(queue); /* slots may have become free for exchanges that wait */
    if (queue->stopped)
        error = CM_EGONE;
    else if (refused != 0)
        error = CM_EPROTO;
    if (error != 0)
        *request_count = 0;
    cm_os_mutex_unlock(&queue->lock);
    return error;
}

/* Fail what waits and what is handed out. What is being copied ends with its copy. */
static void stop(struct cm_transport *transport)
{
    struct queue *queue = of(transport);

    cm_os_mutex_lock(&queue->lock);
    queue->stopped = 1;
    for (uint32_t i = 0; i < queue->base.queue_depth; i++) {
        struct slot *slot = &queue->slots[i];
        struct call *call = slot->call;

        if (slot->state != HANDED_OUT)
            continue;
        slot->state = ORPHAN;
        slot->call = NULL;
        call->open--;
        abort_call(queue, call);
    }
    while (queue->waiting.next != &queue->waiting)
        abort_call(queue, queue->waiting.next);
    for (; queue->parked != NULL; queue->parked = queue->parked->next) {
        queue->parked->ready = 1;
        cm_os_cond_signal(&queue->parked->answered);
    }
    cm_os_mutex_unlock(&queue->lock);
}

/* Calls that stop() has failed may not have left yet. */
static void close(struct cm_transport *transport)
{
    struct queue *queue = of(transport);

    cm_os_mutex_lock(&queue->lock);
    while (queue->callers > 0)
        cm_os_cond_wait(&queue->left, &queue->lock);
    cm_os_mutex_unlock(&queue->lock);
    cm_os_cond_destroy(&queue->left);
    cm_os_mutex_destroy(&queue->lock);
    cm_os_pages_free(queue->base.arena, (size_t)queue->base.queue_depth * queue->base.slot_size);
    free(queue->slots);
    free(queue);
}

static const struct cm_transport_ops queue_ops = {exchange, stop, close};

int cm_loopback_queue_open(uint32_t queue_depth, uint32_t slot_size,
                           struct cm_transport **transport)
{
    struct queue *queue = calloc(1, sizeof(*queue));
    struct slot *slots = calloc(queue_depth, sizeof(*slots));
    unsigned char *arena = cm_os_pages_alloc((size_t)queue_depth * slot_size);

    if (queue == NULL || slots == NULL || arena == NULL) {
        if (arena != NULL)
            cm_os_pages_free(arena, (size_t)queue_depth * slot_size);
        free(slots);
        free(queue);
        return cm_fail(CM_ENOMEM, "no memory for %u requests of %u bytes.", (unsigned)queue_depth,
                       (unsigned)slot_size);
    }
    queue->base = (struct cm_transport){&queue_ops, arena, slot_size, queue_depth};
    queue->slots = slots;
    queue->waiting.next = queue->waiting.previous = &queue->waiting;
    for (uint32_t i = queue_depth; i-- > 0;)
        free_slot(queue, &slots[i]);
    cm_os_mutex_init(&queue->lock);
    cm_os_cond_init(&queue->left);
    *transport = &queue->base;
    return 0;
}

/* -- the application's side -------------------------------------------------------------------- */

int cm_loopback_queue_do(struct cm_transport *transport, enum cm_op op, uint16_t flags,
                         void *buffer, uint64_t length, uint64_t offset)
{
    struct queue *queue = of(transport);
    struct call call = {.op = op, .flags = flags, .buffer = buffer};

    call.length = length;
    call.offset = offset;
    call.arrived_ns = cm_os_now_ns();
    cm_os_cond_init(&call.done);
    cm_os_mutex_lock(&queue->lock);
    queue->callers++;
    queue->stats.requests++;
    queue->stats.waiting++;
    append_waiting(queue, &call);
    if (queue->stopped)
        abort_call(queue, &call);
    kick(queue);
    while (!call.finished)
        cm_os_cond_wait(&call.done, &queue->lock);
    if (--queue->callers == 0)
        cm_os_cond_signal(&queue->left);
    cm_os_mutex_unlock(&queue->lock);
    cm_os_cond_destroy(&call.done);
    return call.error;
}

void cm_loopback_queue_stats(struct cm_transport *transport, struct cm_stats *stats)
{
    struct queue *queue = of(transport);

    cm_os_mutex_lock(&queue->lock);
    *stats = queue->stats;
    cm_os_mutex_unlock(&queue->lock);
}
