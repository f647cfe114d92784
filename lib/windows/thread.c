/* SPDX-License-Identifier: MIT */
/*
 * thread.c - threads, mutexes and condition variables over Windows' slim locks.
 *
 * For everything portable that serves a disk or is tested with threads; locking and signalling are
 * on the hot path, and slim locks enter the kernel only to wait. They need no destruction.
 */
#include <process.h>
#include <stdint.h>
#include <stdlib.h>
#include <windows.h>

#include "lib/core/error_internal.h"
#include "lib/core/os.h"

#include <coremnt/error.h>

_Static_assert(sizeof(SRWLOCK) <= sizeof(struct cm_os_mutex), "a mutex must fit");
_Static_assert(_Alignof(SRWLOCK) <= _Alignof(struct cm_os_mutex), "and be aligned");
_Static_assert(sizeof(CONDITION_VARIABLE) <= sizeof(struct cm_os_cond), "a condition must fit");
_Static_assert(_Alignof(CONDITION_VARIABLE) <= _Alignof(struct cm_os_cond), "and be aligned");

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

static SRWLOCK *native_mutex(struct cm_os_mutex *mutex)
{
    return (SRWLOCK *)(void *)mutex->space;
}

void cm_os_mutex_init(struct cm_os_mutex *mutex)
{
    InitializeSRWLock(native_mutex(mutex));
}

void cm_os_mutex_destroy(struct cm_os_mutex *mutex)
{
    (void)mutex;
}

void cm_os_mutex_lock(struct cm_os_mutex *mutex)
{
    AcquireSRWLockExclusive(native_mutex(mutex));
}

void cm_os_mutex_unlock(struct cm_os_mutex *mutex)
{
    ReleaseSRWLockExclusive(native_mutex(mutex));
}

/* -- condition variables ----------------------------------------------------------------------- */

static CONDITION_VARIABLE *native_cond(struct cm_os_cond *cond)
{
    return (CONDITION_VARIABLE *)(void *)cond->space;
}

void cm_os_cond_init(struct cm_os_cond *cond)
{
    InitializeConditionVariable(native_cond(cond));
}

void cm_os_cond_destroy(struct cm_os_cond *cond)
{
    (void)cond;
}

/* Without a limit it fails only for bad arguments. */
void cm_os_cond_wait(struct cm_os_cond *cond, struct cm_os_mutex *mutex)
{
    if (!SleepConditionVariableSRW(native_cond(cond), native_mutex(mutex), INFINITE, 0))
        abort();
}

int cm_os_cond_wait_ms(struct cm_os_cond *cond, struct cm_os_mutex *mutex, uint32_t timeout_ms)
{
    /* The longest wait must not turn into one without end; that it is a millisecond short is within
     * "about". */
    DWORD limit = timeout_ms == INFINITE ? INFINITE - 1 : timeout_ms;

    if (SleepConditionVariableSRW(native_cond(cond), native_mutex(mutex), limit, 0))
        return 0;
    if (GetLastError() != ERROR_TIMEOUT)
        abort();
    return CM_ETIMEDOUT;
}

void cm_os_cond_signal(struct cm_os_cond *cond)
{
    WakeConditionVariable(native_cond(cond));
}

void cm_os_cond_broadcast(struct cm_os_cond *cond)
{
    WakeAllConditionVariable(native_cond(cond));
}
