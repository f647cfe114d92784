/* SPDX-License-Identifier: MIT */
/*
 * serve.c - the thread pool between a transport and an image. The heart of the library and all of
 * it the hot path: every request goes through it, nothing is allocated for one.
 *
 * Made and ended by loopback.c and lib/windows/disk.c. The threads are its own; they are what calls
 * the transport's exchange and the image's callbacks. Each does, again and again, the first of
 * these that applies (next_step):
 *
 *                        +-----------------------------------------------------+
 *                        v                                                     |
 *      SERVE      a fetched request lies in the queue: answer it               |
 *      EXCHANGE   there are replies to send, or nobody waits for requests -----+
 *      SLEEP      neither: until somebody wakes it
 *
 * At most one thread, the waiter, is in an exchange that waits; others that exchange do not wait.
 *
 * Waking a thread costs more than a fast image needs for a request, and a slow image must not keep
 * a request waiting for another. So it depends on the time that a request has lately taken
 * (service_ns):
 *
 *  slow   Every request gets a thread of its own while there are any, one more becomes the waiter,
 *         and every reply is sent as soon as it is there.
 *  fast   One thread, the leader, does everything; the others leave it the replies and sleep. While
 *         it serves a batch the next one collects on the other side, so batches become as large as
 *         the load makes them. Others are woken only for a batch that is much work in sum.
 *
 * In fast mode one of the sleepers is the standby. It looks every STANDBY_MS whether there is
 * progress. If there is none although there should be, the leader is stuck in one request: the pool
 * turns slow, and the standby goes on with what is queued and sends what is done. When nothing goes
 * on it sleeps like the others; the next batch wakes it.
 *
 * Locks: one, server->lock. It is never held over a call of the transport or the image.
 */
#include "lib/core/serve.h"

#include <stdlib.h>
#include <string.h>

#include "lib/core/dispatch.h"
#include "lib/core/error_internal.h"
#include "lib/core/os.h"
#include "lib/core/transport.h"

#include <coremnt/error.h>

#define FAST_NS 50000u /* a request that takes less is fast; about twice what a wake-up costs */
#define CLIP_NS (4 * FAST_NS) /* longer ones count as this: one odd request is soon forgotten */
#define RUN_LENGTH 4u         /* requests between two looks at the clock */
#define STANDBY_MS 10u        /* between two looks of the standby */
#define STANDBY_PROGRESS 4u   /* requests that a fast image does in STANDBY_MS, at the very least */
#define NO_MEMORY_PAUSE_MS 10u /* no memory for an exchange: try again after that */
#define NO_MEMORY_TRIES 1000u

/* A thread of the pool. What is not marked is its own. */
struct worker {
    struct cm_server *server;
    struct cm_os_thread *thread;
    struct cm_request *requests; /* [depth] of one exchange */
    struct cm_reply *replies;    /* [depth] */
    uint64_t run_start;          /* ns */
    uint32_t run_length;         /* requests served since */
};

/* What is marked P is protected by lock; the rest does not change while there are threads. */
struct cm_server {
    struct cm_transport *transport;
    struct cm_image *image;
    uint32_t depth;
    struct cm_os_mutex lock;
    struct cm_os_cond work;   /* a sleeper is to wake up: wakes > 0, or ended */
    struct cm_os_cond look;   /* the standby is to work: it is not the standby any more, or ended */
    struct cm_os_cond done;   /* ended */
    struct cm_request *queue; /* P: ring [depth], fetched and not started */
    uint32_t queue_first;     /* P */
    uint32_t queued;          /* P */
    struct cm_reply *replies; /* P: [depth], not yet sent */
    uint32_t reply_count;     /* P */
    unsigned char *held;      /* P: [depth], the slot's request is ours until its reply is sent */
    struct worker *leader;    /* P: in fast mode, or NULL; never one that sleeps */
    int waiter;               /* P: a thread is in an exchange that waits */
    struct worker *standby;   /* P: looks now and then, or NULL */
    uint32_t sleepers;        /* P: threads that sleep and are not yet to wake up */
    uint32_t wakes;           /* P: threads that are to wake up and have not done so */
    uint32_t service_ns;      /* P: average of what a request takes, at most CLIP_NS */
    uint64_t served;          /* P: requests, ever */
    int ended;                /* P */
    int result;               /* P: why, once ended */
    uint32_t thread_count;
    struct worker workers[];
};

static int is_slow(const struct cm_server *server)
{
    return server->service_ns >= FAST_NS;
}

/* -- sleeping and waking, all under the lock --------------------------------------------------- */

static void sleep_until_woken(struct cm_server *server)
{
    server->sleepers++;
    while (server->wakes == 0 && !server->ended)
        cm_os_cond_wait(&server->work, &server->lock);
    if (server->wakes > 0)
        server->wakes--;
}

static void wake(struct cm_server *server, uint32_t count)
{
    for (; count > 0 && server->sleepers > 0; count--) {
        server->sleepers--;
        server->wakes++;
        cm_os_cond_signal(&server->work);
    }
    if (count > 0 && server->standby != NULL) {
        server->standby = NULL;
        cm_os_cond_signal(&server->look);
    }
}

/* Wake whom the queue needs besides the caller, who is about to take a request from it himself. */
static void wake_helpers(struct cm_server *server)
{
    uint32_t wanted = 0;

    if (server->queued > 0 && is_slow(server)) {
        wanted = server->queued - 1 + !server->waiter;
    } else if (server->queued > 0) {
        uint64_t work_ns = (uint64_t)server->queued * server->service_ns;

        wanted = (uint32_t)(work_ns / FAST_NS);
        if (wanted > server->queued - 1)
            wanted = server->queued - 1;
        if (wanted == 0 && server->standby == NULL && server->sleepers > 0)
            wanted = 1; /* it finds nothing to do and becomes the standby */
    }
    if (wanted > server->wakes)
        wake(server, wanted - server->wakes);
}

static void turn_slow(struct cm_server *server)
{
    server->leader = NULL;
    if (server->service_ns < FAST_NS)
        server->service_ns = FAST_NS;
}

/* Until it is called, or the leader is stuck, or all is idle; then it first sleeps. */
static void stand_by(struct cm_server *server, struct worker *worker)
{
    uint64_t seen = server->served;

    server->standby = worker;
    while (server->standby == worker && !server->ended) {
        uint64_t progress;

        if (cm_os_cond_wait_ms(&server->look, &server->lock, STANDBY_MS) != CM_ETIMEDOUT ||
            server->standby != worker)
            continue;
        progress = server->served - seen;
        seen = server->served;
        if (progress < STANDBY_PROGRESS && (server->queued > 0 || !server->waiter)) {
            server->standby = NULL;
            turn_slow(server);
            wake_helpers(server);
        } else if (progress == 0) {
            server->standby = NULL;
            sleep_until_woken(server);
            return;
        }
    }
}

static void doze(struct cm_server *server, struct worker *worker)
{
    if (server->leader == worker)
        server->leader = NULL;
    if (server->standby != NULL || is_slow(server))
        sleep_until_woken(server);
    else
        stand_by(server, worker);
}

/* -- serving ----------------------------------------------------------------------------------- */

/* Weigh the time of the requests since run_start; called with the lock. */
static void end_run(struct cm_server *server, struct worker *worker)
{
    uint64_t each = (cm_os_now_ns() - worker->run_start) / worker->run_length;
    uint32_t sample = each < CLIP_NS ? (uint32_t)each : CLIP_NS;

    worker->run_length = 0;
    server->service_ns = server->service_ns - server->service_ns / 4 + sample / 4;
    if (is_slow(server)) {
        turn_slow(server);
        wake_helpers(server);
    }
}

static void serve_one(struct cm_server *server, struct worker *worker)
{
    struct cm_request request = server->queue[server->queue_first];
    struct cm_reply reply;

    server->queue_first = (server->queue_first + 1) % server->depth;
    server->queued--;
    cm_os_mutex_unlock(&server->lock);
    if (worker->run_length == 0)
        worker->run_start = cm_os_now_ns();
    reply = cm_dispatch(server->transport, server->image, &request);
    worker->run_length++;
    cm_os_mutex_lock(&server->lock);
    server->replies[server->reply_count++] = reply;
    server->served++;
    if (worker->run_length == RUN_LENGTH || server->queued == 0 || is_slow(server))
        end_run(server, worker);
}

/* -- exchanging -------------------------------------------------------------------------------- */

/* Serving is over; called with the lock. The transport may still hold threads in its exchanges. */
static void end(struct cm_server *server, int error)
{
    if (server->ended)
        return;
    server->ended = 1;
    server->result = error == CM_EGONE ? 0 : error;
    cm_os_cond_broadcast(&server->work);
    cm_os_cond_broadcast(&server->look);
    cm_os_cond_broadcast(&server->done);
    if (error == CM_EGONE)
        return;
    cm_os_mutex_unlock(&server->lock);
    server->transport->ops->stop(server->transport);
    cm_os_mutex_lock(&server->lock);
}

static uint32_t take_replies(struct cm_server *server, struct cm_reply *replies)
{
    uint32_t count = server->reply_count;

    memcpy(replies, server->replies, count * sizeof(*replies));
    for (uint32_t i = 0; i < count; i++)
        server->held[CM_TAG_SLOT(replies[i].tag)] = 0;
    server->reply_count = 0;
    return count;
}

/* Queue what was fetched. A slot that is not ours to use, or already in use, cannot be answered:
 * then the other side is broken. This also bounds the queue and the replies by the number of slots.
 */
static int admit(struct cm_server *server, const struct cm_request *requests, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        uint32_t slot = CM_TAG_SLOT(requests[i].tag);

        if (!cm_request_is_valid(server->transport, &requests[i]) || server->held[slot])
            return CM_EPROTO;
        server->held[slot] = 1;
        server->queue[(server->queue_first + server->queued++) % server->depth] = requests[i];
    }
    return 0;
}

/* Without the lock. A system short of memory for a moment is no reason to lose the disk. */
static int call_transport(struct cm_server *server, struct worker *worker, uint32_t reply_count,
                          uint32_t *count, int wait)
{
    struct cm_transport *transport = server->transport;
    int error = CM_ENOMEM;

    for (uint32_t tries = 0; error == CM_ENOMEM && tries < NO_MEMORY_TRIES; tries++) {
        if (tries > 0)
            cm_os_sleep_ms(NO_MEMORY_PAUSE_MS);
        *count = 0;
        error = transport->ops->exchange(transport, worker->replies, reply_count, worker->requests,
                                         server->depth, count, wait);
    }
    return error;
}

static void exchange(struct cm_server *server, struct worker *worker)
{
    uint32_t reply_count = take_replies(server, worker->replies);
    int wait = !server->waiter && server->queued == 0;
    uint32_t count;
    int error;

    if (wait)
        server->waiter = 1;
    if (server->leader == NULL && !is_slow(server))
        server->leader = worker;
    cm_os_mutex_unlock(&server->lock);
    error = call_transport(server, worker, reply_count, &count, wait);
    cm_os_mutex_lock(&server->lock);
    if (wait)
        server->waiter = 0;
    if (error == 0)
        error = admit(server, worker->requests, count);
    if (error != 0)
        end(server, error);
    else if (count > 0)
        wake_helpers(server);
}

/* -- threads ----------------------------------------------------------------------------------- */

enum step { SERVE, EXCHANGE, SLEEP };

static enum step next_step(const struct cm_server *server, const struct worker *worker)
{
    if (server->queued > 0 && !(is_slow(server) && server->reply_count > 0))
        return SERVE;
    /* A leader who is not waiting comes by soon, or the standby does. */
    if (!is_slow(server) && server->leader != NULL && server->leader != worker && !server->waiter)
        return SLEEP;
    return server->reply_count > 0 || !server->waiter ? EXCHANGE : SLEEP;
}

static void run(void *argument)
{
    struct worker *worker = argument;
    struct cm_server *server = worker->server;

    cm_os_mutex_lock(&server->lock);
    while (!server->ended) {
        switch (next_step(server, worker)) {
        case SERVE:
            serve_one(server, worker);
            break;
        case EXCHANGE:
            exchange(server, worker);
            break;
        case SLEEP:
            doze(server, worker);
            break;
        }
    }
    cm_os_mutex_unlock(&server->lock);
}

/* -- starting, waiting, stopping --------------------------------------------------------------- */

static void free_server(struct cm_server *server)
{
    cm_os_cond_destroy(&server->work);
    cm_os_cond_destroy(&server->look);
    cm_os_cond_destroy(&server->done);
    cm_os_mutex_destroy(&server->lock);
    free(server->queue);
    free(server->replies);
    free(server->held);
    free(server);
}

/* The server's own arrays come first, then those of each thread: two allocations in all. */
static int make_arrays(struct cm_server *server)
{
    size_t depth = server->depth;
    size_t owners = (size_t)server->thread_count + 1;

    server->queue = calloc(owners * depth, sizeof(*server->queue));
    server->replies = calloc(owners * depth, sizeof(*server->replies));
    server->held = calloc(depth, sizeof(*server->held));
    if (server->queue == NULL || server->replies == NULL || server->held == NULL)
        return 0;
    for (uint32_t i = 0; i < server->thread_count; i++) {
        struct worker *worker = &server->workers[i];

        worker->server = server;
        worker->requests = server->queue + (i + 1) * depth;
        worker->replies = server->replies + (i + 1) * depth;
    }
    return 1;
}

static struct cm_server *make_server(struct cm_transport *transport, struct cm_image *image,
                                     uint32_t threads)
{
    struct cm_server *server = calloc(1, sizeof(*server) + threads * sizeof(server->workers[0]));

    if (server == NULL)
        return NULL;
    server->transport = transport;
    server->image = image;
    server->depth = transport->queue_depth;
    server->thread_count = threads;
    server->service_ns = FAST_NS; /* slow until it has been seen to be fast */
    cm_os_mutex_init(&server->lock);
    cm_os_cond_init(&server->work);
    cm_os_cond_init(&server->look);
    cm_os_cond_init(&server->done);
    if (make_arrays(server))
        return server;
    free_server(server);
    return NULL;
}

int cm_server_start(struct cm_transport *transport, struct cm_image *image, uint32_t threads,
                    struct cm_server **server)
{
    struct cm_server *s = make_server(transport, image, threads);
    int error = 0;

    *server = NULL;
    if (s == NULL)
        return cm_fail(CM_ENOMEM, "no memory for %u threads.", (unsigned)threads);
    for (uint32_t i = 0; i < threads && error == 0; i++)
        error = cm_os_thread_start(run, &s->workers[i], &s->workers[i].thread);
    if (error == 0) {
        *server = s;
        return 0;
    }
    cm_server_stop(s);
    return cm_fail(error, "cannot start %u threads: %s.", (unsigned)threads, cm_error_name(error));
}

int cm_server_wait(struct cm_server *server, uint32_t timeout_ms)
{
    uint64_t start = cm_os_now_ns();
    int result;

    cm_os_mutex_lock(&server->lock);
    while (!server->ended) {
        uint64_t elapsed_ms = (cm_os_now_ns() - start) / 1000000;

        if (timeout_ms == UINT32_MAX)
            cm_os_cond_wait(&server->done, &server->lock);
        else if (elapsed_ms < timeout_ms)
            cm_os_cond_wait_ms(&server->done, &server->lock, timeout_ms - (uint32_t)elapsed_ms);
        else
            break;
    }
    result = server->ended ? server->result : CM_ETIMEDOUT;
    cm_os_mutex_unlock(&server->lock);
    return result;
}

/* What lies in the queue is not served any more: the transport fails it. */
void cm_server_stop(struct cm_server *server)
{
    if (server == NULL)
        return;
    server->transport->ops->stop(server->transport);
    cm_os_mutex_lock(&server->lock);
    end(server, CM_EGONE);
    cm_os_mutex_unlock(&server->lock);
    for (uint32_t i = 0; i < server->thread_count; i++)
        if (server->workers[i].thread != NULL)
            cm_os_thread_join(server->workers[i].thread);
    free_server(server);
}
