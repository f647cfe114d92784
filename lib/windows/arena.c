/* SPDX-License-Identifier: MIT */
/*
 * arena.c - how the arena comes about: the driver maps it (ARENA_MAP, Wine), or we lend our own
 * memory for as long as the disk lives (ARENA_LEND, NT).
 *
 * Called by driver_transport.c while a disk is made and taken down; the hot path only uses the
 * address.
 */
#include "lib/windows/arena.h"

#include <stdlib.h>

#include "abi/coremnt_abi.h"
#include "lib/core/error_internal.h"
#include "lib/core/os.h"
#include "lib/windows/control.h"

#include <coremnt/error.h>

#define END_WAIT_MS 5000u

struct cm_arena_share {
    HANDLE control;
    struct cm_arena request; /* the input of either ioctl */
    unsigned char *address;
    int mapped;            /* by the driver; else it is our own memory */
    HANDLE keeper;         /* thread; NULL until lent */
    HANDLE answered;       /* event: the driver has taken or refused the arena */
    HANDLE take_back;      /* event: the keeper is to cancel its request */
    DWORD refused;         /* Win32 error, with `answered` */
    OVERLAPPED overlapped; /* of the pended request */
};

/* -- ARENA_LEND -------------------------------------------------------------------------------- */

/*
 * Sends the request that keeps the pages locked, and stays until it has ended: when a thread ends,
 * Windows cancels its requests, and cancelling this one removes the disk. It pends as soon as the
 * driver has the arena, so ERROR_IO_PENDING is the good answer.
 */
static DWORD WINAPI keep(void *argument)
{
    struct cm_arena_share *arena = argument;
    HANDLE events[2] = {arena->overlapped.hEvent, arena->take_back};
    DWORD bytes;

    if (DeviceIoControl(arena->control, CM_IOCTL_ARENA_LEND, &arena->request,
                        sizeof(arena->request), arena->address, (DWORD)arena->request.size, NULL,
                        &arena->overlapped))
        arena->refused = ERROR_NOT_FOUND; /* ended at once and well: the disk has gone already */
    else if (GetLastError() != ERROR_IO_PENDING)
        arena->refused = GetLastError();
    SetEvent(arena->answered);
    if (arena->refused != 0)
        return 0;
    if (WaitForMultipleObjects(2, events, FALSE, INFINITE) != WAIT_OBJECT_0)
        CancelIo(arena->control); /* all of this thread's: every Windows has it */
    GetOverlappedResult(arena->control, &arena->overlapped, &bytes, TRUE);
    return 0;
}

int cm_arena_lend(struct cm_arena_share *arena)
{
    if (arena->mapped)
        return 0;
    arena->answered = CreateEventW(NULL, TRUE, FALSE, NULL);
    arena->take_back = CreateEventW(NULL, TRUE, FALSE, NULL);
    arena->overlapped.hEvent = CreateEventW(NULL, TRUE, FALSE, NULL);
    if (arena->answered != NULL && arena->take_back != NULL && arena->overlapped.hEvent != NULL)
        arena->keeper = CreateThread(NULL, 0, keep, arena, 0, NULL);
    if (arena->keeper == NULL)
        return cm_fail(CM_ENOMEM, "cannot start a thread for the disk's memory.");
    WaitForSingleObject(arena->answered, INFINITE);
    return arena->refused == 0 ? 0
                               : cm_control_fail(arena->refused, "share memory with the driver");
}

/* 0: the driver still has the pages, and the arena must be left behind. */
static int end_lending(struct cm_arena_share *arena, int disk_stays)
{
    if (arena->keeper == NULL)
        return 1;
    if (disk_stays)
        SetEvent(arena->take_back);
    /* It ends by itself with the disk; cancelling is for a driver that has lost track of it. */
    if (WaitForSingleObject(arena->keeper, END_WAIT_MS) != WAIT_OBJECT_0) {
        SetEvent(arena->take_back);
        if (WaitForSingleObject(arena->keeper, END_WAIT_MS) != WAIT_OBJECT_0)
            return 0;
    }
    CloseHandle(arena->keeper);
    return 1;
}

/* -- both -------------------------------------------------------------------------------------- */

static int map(struct cm_arena_share *arena)
{
    struct cm_arena_mapped mapped;
    DWORD bytes;
    DWORD error = cm_control_call(arena->control, CM_IOCTL_ARENA_MAP, &arena->request,
                                  sizeof(arena->request), &mapped, sizeof(mapped), &bytes);

    if (error != 0)
        return cm_control_fail(error, "share memory with the driver");
    if (bytes != sizeof(mapped) || mapped.size != arena->request.size)
        return cm_fail(CM_EPROTO, "the driver shares another amount of memory than agreed.");
    arena->address = (unsigned char *)(uintptr_t)mapped.address;
    arena->mapped = 1;
    return 0;
}

int cm_arena_make(HANDLE control, uint64_t features, uint64_t disk_id, uint64_t size,
                  struct cm_arena_share **arena)
{
    struct cm_arena_share *a = calloc(1, sizeof(*a));
    int error = 0;

    *arena = NULL;
    if (a == NULL)
        return cm_fail(CM_ENOMEM, "no memory to mount the disk.");
    a->control = control;
    a->request.disk_id = disk_id;
    a->request.size = size;
    if ((features & CM_FEATURE_ARENA_MAP) != 0) {
        error = map(a);
    } else if ((features & CM_FEATURE_ARENA_LEND) != 0) {
        a->address = cm_os_pages_alloc((size_t)size);
        if (a->address == NULL)
            error = cm_fail(CM_ENOMEM,
                            "no memory for the disk's requests (%llu KiB). Ask for a smaller queue "
                            "depth or slot size.",
                            (unsigned long long)(size / 1024u));
    } else {
        error = cm_fail(CM_EVERSION, "the driver shares memory in a way that this program does not "
                                     "know. Update the program.");
    }
    if (error != 0)
        free(a);
    else
        *arena = a;
    return error;
}

unsigned char *cm_arena_address(const struct cm_arena_share *arena)
{
    return arena->address;
}

void cm_arena_free(struct cm_arena_share *arena, int disk_stays)
{
    /* Leaked on purpose if lending does not end: the kernel still owns the memory. */
    if (arena == NULL || !end_lending(arena, disk_stays))
        return;
    if (arena->mapped)
        UnmapViewOfFile(arena->address);
    else
        cm_os_pages_free(arena->address, (size_t)arena->request.size);
    if (arena->answered != NULL)
        CloseHandle(arena->answered);
    if (arena->take_back != NULL)
        CloseHandle(arena->take_back);
    if (arena->overlapped.hEvent != NULL)
        CloseHandle(arena->overlapped.hEvent);
    free(arena);
}
