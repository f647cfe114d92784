/* SPDX-License-Identifier: MIT */
/*
 * thread.c - threads, mutexes and condition variables over pthreads.
 *
 * For everything portable that serves a disk or is tested with threads; locking and signalling are
 * on the hot path. pthread calls on valid objects fail only when the caller has broken the rules (a
 * mutex destroyed while held), and going on would corrupt an image, so that ends the process.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "lib/core/error_internal.h"
#include "lib/core/os.h"

#include <coremnt/error.h>

_Static_assert(sizeof(pthread_mutex_t) <= sizeof(struct cm_os_mutex), "a mutex must fit");
_Static_assert(_Alignof(pthread_mutex_t) <= _Alignof(struct cm_os_mutex), "and be aligned");
_Static_assert(sizeof(pthread_cond_t) <= sizeof(struct cm_os_cond), "a condition must fit");
_Static_assert(_Alignof(pthread_cond_t) <= _Alignof(struct cm_os_cond), "and be aligned");

#define NS_PER_S 1000000000
#define NS_PER_MS 1000000
#define MS_PER_S 1000u

struct cm_os_thread {
    pthread_t handle;
    void (*run)(void *argument);
    void *argument;
};

static void must(int system_error, const char *call)
{
    if (system_error == 0)
        return;
    fprintf(stderr, "coremnt: %s failed with error %d: a lock or a thread was misused\n", call,
            system_error);
    abort();
}

/* -- threads ----------------------------------------------------------------------------------- */

static void *thread_main(void *argument)
{
    struct cm_os_thread *thread = argument;

    thread->run(thread->argument);
    return NULL;
}

/*
 * Our threads live in other people's programs, whose signal handlers must not run on them: all
 * signals are blocked, but for those that a thread's own fault raises. A thread inherits the mask
 * of its maker, so it is set around pthread_create.
 */
static void set_thread_signals(sigset_t *before)
{
    sigset_t blocked;

    sigfillset(&blocked);
    sigdelset(&blocked, SIGSEGV);
    sigdelset(&blocked, SIGBUS);
    sigdelset(&blocked, SIGFPE);
    sigdelset(&blocked, SIGILL);
    sigdelset(&blocked, SIGABRT);
    sigdelset(&blocked, SIGTRAP);
    must(pthread_sigmask(SIG_SETMASK, &blocked, before), "pthread_sigmask");
}

int cm_os_thread_start(void (*run)(void *argument), void *argument, struct cm_os_thread **thread)
{
    struct cm_os_thread *started = malloc(sizeof(*started));
    sigset_t before;
    int system_error;

    *thread = NULL;
    if (started == NULL)
        return cm_fail(CM_ENOMEM, "cannot start a thread: no memory.");
    started->run = run;
    started->argument = argument;
    set_thread_signals(&before);
    system_error = pthread_create(&started->handle, NULL, thread_main, started);
    must(pthread_sigmask(SIG_SETMASK, &before, NULL), "pthread_sigmask");
    if (system_error != 0) {
        char words[128];
        free(started);
        cm_os_error_text((uint32_t)system_error, words, sizeof(words));
        return cm_fail(CM_ENOMEM, "cannot start a thread: %s. Check the limits (ulimit -u).",
                       words);
    }
    *thread = started;
    return 0;
}

void cm_os_thread_join(struct cm_os_thread *thread)
{
    if (thread == NULL)
        return;
    must(pthread_join(thread->handle, NULL), "pthread_join");
    free(thread);
}

/* -- mutexes ----------------------------------------------------------------------------------- */

static pthread_mutex_t *native_mutex(struct cm_os_mutex *mutex)
{
    return (pthread_mutex_t *)(void *)mutex->space;
}

void cm_os_mutex_init(struct cm_os_mutex *mutex)
{
    must(pthread_mutex_init(native_mutex(mutex), NULL), "pthread_mutex_init");
}

void cm_os_mutex_destroy(struct cm_os_mutex *mutex)
{
    must(pthread_mutex_destroy(native_mutex(mutex)), "pthread_mutex_destroy");
}

void cm_os_mutex_lock(struct cm_os_mutex *mutex)
{
    must(pthread_mutex_lock(native_mutex(mutex)), "pthread_mutex_lock");
}

void cm_os_mutex_unlock(struct cm_os_mutex *mutex)
{
    must(pthread_mutex_unlock(native_mutex(mutex)), "pthread_mutex_unlock");
}

/* -- condition variables ----------------------------------------------------------------------- */

static pthread_cond_t *native_cond(struct cm_os_cond *cond)
{
    return (pthread_cond_t *)(void *)cond->space;
}

/* Timeouts by the monotonic clock: with the default one a change of the time of day would make a
 * wait end at once, or not for hours. */
void cm_os_cond_init(struct cm_os_cond *cond)
{
    pthread_condattr_t attributes;

    must(pthread_condattr_init(&attributes), "pthread_condattr_init");
    must(pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC), "pthread_condattr_setclock");
    must(pthread_cond_init(native_cond(cond), &attributes), "pthread_cond_init");
    must(pthread_condattr_destroy(&attributes), "pthread_condattr_destroy");
}

void cm_os_cond_destroy(struct cm_os_cond *cond)
{
    must(pthread_cond_destroy(native_cond(cond)), "pthread_cond_destroy");
}

void cm_os_cond_wait(struct cm_os_cond *cond, struct cm_os_mutex *mutex)
{
    must(pthread_cond_wait(native_cond(cond), native_mutex(mutex)), "pthread_cond_wait");
}

int cm_os_cond_wait_ms(struct cm_os_cond *cond, struct cm_os_mutex *mutex, uint32_t timeout_ms)
{
    struct timespec until;
    int system_error;

    must(clock_gettime(CLOCK_MONOTONIC, &until) != 0 ? errno : 0, "clock_gettime");
    until.tv_sec += (time_t)(timeout_ms / MS_PER_S);
    until.tv_nsec += (long)(timeout_ms % MS_PER_S) * NS_PER_MS;
    if (until.tv_nsec >= NS_PER_S) {
        until.tv_sec++;
        until.tv_nsec -= NS_PER_S;
    }
    system_error = pthread_cond_timedwait(native_cond(cond), native_mutex(mutex), &until);
    if (system_error == ETIMEDOUT)
        return CM_ETIMEDOUT;
    must(system_error, "pthread_cond_timedwait");
    return 0;
}

void cm_os_cond_signal(struct cm_os_cond *cond)
{
    must(pthread_cond_signal(native_cond(cond)), "pthread_cond_signal");
}

void cm_os_cond_broadcast(struct cm_os_cond *cond)
{
    must(pthread_cond_broadcast(native_cond(cond)), "pthread_cond_broadcast");
}
