/* SPDX-License-Identifier: MIT */
/*
 * thread.c - threads, mutexes and condition variables, on Windows.
 *
 * For everything portable that serves a disk or is tested with threads; locking and signalling are
 * on the hot path.
 *
 * Windows' own slim locks and condition variables came with version 6.0, and a program that imports
 * them does not start on what we support before that. So a mutex is a critical section, and a
 * condition is a queue of waiters here.
 */
#include <process.h>
#include <stdint.h>
#include <stdlib.h>
#include <windows.h>

#include "lib/core/error_internal.h"
#include "lib/core/os.h"
#include "lib/windows/event.h"

#include <coremnt/error.h>

/* A lock is held for some hundred instructions; entering the kernel to wait takes thousands. */
#define SPINS 1000

/* A thread that waits; on its stack. */
struct waiter {
    struct waiter *next;
    HANDLE event; /* set once, by whoever has taken the waiter out of the queue */
};

struct cond {
    CRITICAL_SECTION lock;         /* a leaf */
    struct waiter *volatile first; /* lock; who waits longest. NULL: nobody waits */
    struct waiter *last;           /* lock; means nothing if nobody waits */
};

_Static_assert(sizeof(CRITICAL_SECTION) <= sizeof(struct cm_os_mutex), "a mutex must fit");
_Static_assert(_Alignof(CRITICAL_SECTION) <= _Alignof(struct cm_os_mutex), "and be aligned");
_Static_assert(sizeof(struct cond) <= sizeof(struct cm_os_cond), "a condition must fit");
_Static_assert(_Alignof(struct cond) <= _Alignof(struct cm_os_cond), "and be aligned");

struct cm_os_thread {
    HANDLE handle;
    void (*run)(void *argument);
    void *argument;
};

/* -- threads ----------------------------------------------------------------------------------- */

static unsigned __stdcall thread_main(void *argument)
{
    struct cm_os_thread *thread = argument;

    thread->run(thread->argument);
    return 0;
}

/* _beginthreadex and not CreateThread: the thread uses the C run time, which wants to know of it.
 */
int cm_os_thread_start(void (*run)(void *argument), void *argument, struct cm_os_thread **thread)
{
    struct cm_os_thread *started = malloc(sizeof(*started));

    *thread = NULL;
    if (started == NULL)
        return cm_fail(CM_ENOMEM, "cannot start a thread: no memory.");
    started->run = run;
    started->argument = argument;
    started->handle = (HANDLE)_beginthreadex(NULL, 0, thread_main, started, 0, NULL);
    if (started->handle == NULL) {
        free(started);
        return cm_fail(CM_ENOMEM, "cannot start a thread: no memory, or too many of them.");
    }
    *thread = started;
    return 0;
}

void cm_os_thread_join(struct cm_os_thread *thread)
{
    if (thread == NULL)
        return;
    /* It fails only for what is not a thread; to free below a thread that runs would be worse. */
    if (WaitForSingleObject(thread->handle, INFINITE) != WAIT_OBJECT_0)
        abort();
    CloseHandle(thread->handle);
    free(thread);
}

/* -- mutexes ----------------------------------------------------------------------------------- */

static CRITICAL_SECTION *native_mutex(struct cm_os_mutex *mutex)
{
    return (CRITICAL_SECTION *)(void *)mutex->space;
}

/* Before version 6.0 this fails without memory; a program that goes on without a lock is worse. */
static void init_lock(CRITICAL_SECTION *lock)
{
    if (!InitializeCriticalSectionAndSpinCount(lock, SPINS))
        abort();
}

void cm_os_mutex_init(struct cm_os_mutex *mutex)
{
    init_lock(native_mutex(mutex));
}

void cm_os_mutex_destroy(struct cm_os_mutex *mutex)
{
    DeleteCriticalSection(native_mutex(mutex));
}

void cm_os_mutex_lock(struct cm_os_mutex *mutex)
{
    EnterCriticalSection(native_mutex(mutex));
}

void cm_os_mutex_unlock(struct cm_os_mutex *mutex)
{
    LeaveCriticalSection(native_mutex(mutex));
}

/* -- condition variables ----------------------------------------------------------------------- */

/*
 * Why no wake-up is lost or stolen: a waiter is in the queue before it lets go of the mutex, so
 * whoever changes the condition afterwards finds it there. Each signal takes one waiter out of the
 * queue and sets the event that is that waiter's alone. A waiter whose time is up is either still
 * in the queue, and takes itself out, or has been signalled, and then accepts it; so an event that
 * goes back to the shelf is never set, nor will be.
 */
static struct cond *native_cond(struct cm_os_cond *cond)
{
    return (struct cond *)(void *)cond->space;
}

void cm_os_cond_init(struct cm_os_cond *cond)
{
    struct cond *c = native_cond(cond);

    init_lock(&c->lock);
    c->first = NULL;
}

void cm_os_cond_destroy(struct cm_os_cond *cond)
{
    DeleteCriticalSection(&native_cond(cond)->lock);
}

static void enqueue(struct cond *cond, struct waiter *waiter)
{
    waiter->next = NULL;
    EnterCriticalSection(&cond->lock);
    if (cond->first == NULL)
        cond->first = waiter;
    else
        cond->last->next = waiter;
    cond->last = waiter;
    LeaveCriticalSection(&cond->lock);
}

/* Wakes the first waiter. The event is set under the lock, so that a waiter whose time is up finds
 * either itself in the queue or its event set. */
static void wake_first(struct cond *cond)
{
    struct waiter *waiter = cond->first;

    cond->first = waiter->next; /* before it wakes up and is gone */
    SetEvent(waiter->event);
}

/* Takes back a waiter whose time is up. 0: it has been signalled before that. */
static int dequeue(struct cond *cond, const struct waiter *waiter)
{
    struct waiter *before = NULL, *at;

    EnterCriticalSection(&cond->lock);
    for (at = cond->first; at != NULL && at != waiter; at = at->next)
        before = at;
    if (at != NULL && before != NULL)
        before->next = at->next;
    else if (at != NULL)
        cond->first = at->next;
    if (at != NULL && cond->last == at)
        cond->last = before;
    LeaveCriticalSection(&cond->lock);
    return at != NULL;
}

/* Without the mutex. 0, or CM_ETIMEDOUT. */
static int await_signal(struct cond *cond, struct waiter *waiter, DWORD limit)
{
    if (WaitForSingleObject(waiter->event, limit) == WAIT_OBJECT_0)
        return 0;
    if (dequeue(cond, waiter))
        return CM_ETIMEDOUT;
    WaitForSingleObject(waiter->event, INFINITE); /* set already */
    return 0;
}

static int wait_for(struct cond *cond, struct cm_os_mutex *mutex, DWORD limit)
{
    struct waiter waiter = {.event = cm_event_take(CM_EVENT_AUTO)};
    int result;

    if (waiter.event == NULL) {
        /* No memory: callers look at their condition again anyway, so let them, but not too fast.
         */
        cm_os_mutex_unlock(mutex);
        Sleep(1);
        cm_os_mutex_lock(mutex);
        return limit <= 1 ? CM_ETIMEDOUT : 0;
    }
    enqueue(cond, &waiter);
    cm_os_mutex_unlock(mutex);
    result = await_signal(cond, &waiter, limit);
    cm_event_give(CM_EVENT_AUTO, waiter.event);
    cm_os_mutex_lock(mutex);
    return result;
}

void cm_os_cond_wait(struct cm_os_cond *cond, struct cm_os_mutex *mutex)
{
    (void)wait_for(native_cond(cond), mutex, INFINITE);
}

int cm_os_cond_wait_ms(struct cm_os_cond *cond, struct cm_os_mutex *mutex, uint32_t timeout_ms)
{
    /* The longest wait must not turn into one without end; that it is a millisecond short is within
     * "about". */
    return wait_for(native_cond(cond), mutex, timeout_ms == INFINITE ? INFINITE - 1 : timeout_ms);
}

/* Looking without the lock misses nobody who waits for what the caller has changed: those were in
 * the queue before the caller had the mutex. */
void cm_os_cond_signal(struct cm_os_cond *cond)
{
    struct cond *c = native_cond(cond);

    if (c->first == NULL)
        return;
    EnterCriticalSection(&c->lock);
    if (c->first != NULL)
        wake_first(c);
    LeaveCriticalSection(&c->lock);
}

void cm_os_cond_broadcast(struct cm_os_cond *cond)
{
    struct cond *c = native_cond(cond);

    if (c->first == NULL)
        return;
    EnterCriticalSection(&c->lock);
    while (c->first != NULL)
        wake_first(c);
    LeaveCriticalSection(&c->lock);
}
