/* SPDX-License-Identifier: MIT */
/*
 * volume.c - the thread that does blocking calls on a volume for unmount.c and resize.c.
 *
 * Owned by two: the caller and the thread. Whoever is last frees it, so that a thread that hangs in
 * the kernel can be left behind: it ends when the disk goes, which fails its request.
 */
#include "lib/windows/volume.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <winioctl.h>

#include "lib/core/error_internal.h"
#include "lib/windows/detached.h"
#include "lib/windows/wide.h"

#include <coremnt/error.h>

#define NAME_UNITS 96u
#define STUCK_WAIT_MS 1000u

struct cm_volume {
    wchar_t name[NAME_UNITS]; /* constant */
    int read_only;            /* constant */
    HANDLE thread;            /* the caller's */
    HANDLE go;                /* auto-reset: `step` is there to be done, or `quit` */
    HANDLE done;              /* auto-reset: `error` is there */
    volatile LONG owners;
    volatile LONG quit;
    enum cm_volume_step step; /* handed over by `go` */
    DWORD error;              /* handed back by `done` */
    LONGLONG sectors;         /* handed over by `go` */
    int stuck;                /* the caller's: a step has not come back */
    HANDLE handle;            /* the thread's */
};

static void release(struct cm_volume *volume)
{
    if (InterlockedDecrement(&volume->owners) != 0)
        return;
    CloseHandle(volume->go);
    CloseHandle(volume->done);
    free(volume);
}

/* -- the thread -------------------------------------------------------------------------------- */

static DWORD control(HANDLE handle, DWORD code)
{
    DWORD bytes;

    return DeviceIoControl(handle, code, NULL, 0, NULL, 0, &bytes, NULL) ? 0 : GetLastError();
}

static DWORD open_volume(struct cm_volume *volume)
{
    /* A file system on a write-protected disk refuses a handle that could write. */
    DWORD access = GENERIC_READ | (volume->read_only ? 0u : (DWORD)GENERIC_WRITE);

    volume->handle = CreateFileW(volume->name, access, FILE_SHARE_READ | FILE_SHARE_WRITE, NULL,
                                 OPEN_EXISTING, 0, NULL);
    return volume->handle != INVALID_HANDLE_VALUE ? 0 : GetLastError();
}

static DWORD flush_volume(struct cm_volume *volume)
{
    DWORD error;

    if (volume->read_only || FlushFileBuffers(volume->handle))
        return 0;
    error = GetLastError();
    /* The raw file system, which mounts what no other recognises, caches nothing and has no flush:
     * rawfs.c of ReactOS. */
    return error == ERROR_INVALID_FUNCTION ? 0 : error;
}

/*
 * Two errors that no file system of NT returns, and Wine does:
 *  - ERROR_BAD_DEV_TYPE after the driver's success: Wine then tries to unmount a Unix device behind
 * the handle, and a driver's device is none (wine-8.0, dlls/ntdll/unix/file.c, unmount_device()).
 *  - ERROR_INVALID_FUNCTION: no file system is mounted, so the request came to CoreMnt.sys itself,
 * which knows no such ioctl. There is nothing to dismount then.
 */
static DWORD dismount_volume(struct cm_volume *volume)
{
    DWORD error = control(volume->handle, FSCTL_DISMOUNT_VOLUME);

    return error == ERROR_BAD_DEV_TYPE || error == ERROR_INVALID_FUNCTION ? 0 : error;
}

static DWORD extend_volume(struct cm_volume *volume)
{
    LONGLONG sectors = volume->sectors;
    DWORD bytes;

    return DeviceIoControl(volume->handle, FSCTL_EXTEND_VOLUME, &sectors, sizeof(sectors), NULL, 0,
                           &bytes, NULL)
               ? 0
               : GetLastError();
}

static DWORD run_step(struct cm_volume *volume)
{
    switch (volume->step) {
    case CM_VOLUME_OPEN:
        return open_volume(volume);
    case CM_VOLUME_FLUSH:
        return flush_volume(volume);
    case CM_VOLUME_LOCK:
        /* Wine pretends: ntdll answers success and no driver sees it (same file). */
        return control(volume->handle, FSCTL_LOCK_VOLUME);
    case CM_VOLUME_EXTEND:
        return extend_volume(volume);
    default:
        return dismount_volume(volume);
    }
}

static void run(void *argument)
{
    struct cm_volume *volume = argument;

    for (;;) {
        WaitForSingleObject(volume->go, INFINITE);
        if (volume->quit)
            break;
        volume->error = run_step(volume);
        SetEvent(volume->done);
    }
    if (volume->handle != INVALID_HANDLE_VALUE)
        CloseHandle(volume->handle);
    release(volume);
}

/* -- the caller -------------------------------------------------------------------------------- */

int cm_volume_start(const char *device, int read_only, struct cm_volume **volume)
{
    struct cm_volume *v = calloc(1, sizeof(*v));
    char name[NAME_UNITS];
    int error;

    *volume = NULL;
    if (v == NULL)
        return cm_fail(CM_ENOMEM, "no memory to unmount %s.", device);
    /* The device by its own name, not by its letter: that may be redirected, or taken already. */
    snprintf(name, sizeof(name), "\\\\.\\GLOBALROOT%s", device);
    error = cm_wide_from_utf8(name, v->name, NAME_UNITS);
    v->read_only = read_only;
    v->handle = INVALID_HANDLE_VALUE;
    v->owners = 2;
    v->go = CreateEventW(NULL, FALSE, FALSE, NULL);
    v->done = CreateEventW(NULL, FALSE, FALSE, NULL);
    if (error == 0 && v->go != NULL && v->done != NULL)
        v->thread = cm_detached_start(run, v);
    if (v->thread != NULL) {
        *volume = v;
        return 0;
    }
    if (v->go != NULL)
        CloseHandle(v->go);
    if (v->done != NULL)
        CloseHandle(v->done);
    free(v);
    return error != 0 ? error : cm_fail(CM_ENOMEM, "cannot start a thread to unmount %s.", device);
}

/*
 * CancelSynchronousIo came with Windows 6.0, so it is looked for when it is needed. Without it a
 * request that hangs does so until the disk goes, which the caller then learns one grace later.
 */
static void cancel_step(struct cm_volume *volume)
{
    FARPROC found = GetProcAddress(GetModuleHandleW(L"kernel32.dll"), "CancelSynchronousIo");
    BOOL(WINAPI * cancel)(HANDLE);

    memcpy(&cancel, &found, sizeof(cancel));
    if (cancel != NULL)
        cancel(volume->thread);
}

DWORD cm_volume_do(struct cm_volume *volume, enum cm_volume_step step, uint32_t timeout_ms,
                   uint32_t grace_ms)
{
    if (volume->stuck)
        return WAIT_TIMEOUT;
    volume->step = step;
    SetEvent(volume->go);
    if (WaitForSingleObject(volume->done, timeout_ms) == WAIT_OBJECT_0)
        return volume->error;
    cancel_step(volume);
    if (WaitForSingleObject(volume->done, grace_ms) != WAIT_OBJECT_0) {
        volume->stuck = 1;
        return WAIT_TIMEOUT;
    }
    return volume->error == ERROR_OPERATION_ABORTED ? WAIT_TIMEOUT : volume->error;
}

void cm_volume_set_sectors(struct cm_volume *volume, uint64_t sectors)
{
    volume->sectors = (LONGLONG)sectors;
}

void cm_volume_close(struct cm_volume *volume, uint32_t timeout_ms)
{
    if (volume == NULL)
        return;
    InterlockedExchange(&volume->quit, 1);
    SetEvent(volume->go);
    /* Closing is I/O too: the file system takes its volume down then. */
    if (volume->stuck && timeout_ms > STUCK_WAIT_MS)
        timeout_ms = STUCK_WAIT_MS;
    WaitForSingleObject(volume->thread, timeout_ms);
    CloseHandle(volume->thread);
    release(volume);
}
