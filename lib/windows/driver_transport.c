/* SPDX-License-Identifier: MIT */
/*
 * driver_transport.c - requests from CoreMnt.sys, by the EXCHANGE ioctl.
 *
 * Hot: exchange() is called by every thread of the pool for every batch of requests; it allocates
 * nothing and takes one lock for a few instructions. The rest is called by disk.c while a disk is
 * made and taken down.
 *
 * Lock order: none; `lock` is a leaf.
 */
#include "lib/windows/driver_transport.h"

#include <stdlib.h>
#include <string.h>
#include <windows.h>

#include "lib/core/error_internal.h"
#include "lib/core/identity.h"
#include "lib/core/os.h"
#include "lib/windows/arena.h"
#include "lib/windows/control.h"
#include "lib/windows/list.h"

#include <coremnt/error.h>

#define BUSY_PAUSE_MS 50u

/* The buffers of one exchange under way; each belongs to one thread at a time. */
struct call {
    struct call *next;        /* lock: on the free list */
    OVERLAPPED overlapped;    /* with an event of its own: threads that wait for the handle itself
                               * lose wake-ups (microsoft/ebpf-for-windows issue 3325) */
    struct cm_exchange *in;   /* replies follow; room for queue_depth */
    struct cm_exchanged *out; /* requests follow; room for queue_depth */
};

struct driver_transport {
    struct cm_transport base;
    HANDLE control;
    uint64_t disk_id;
    struct cm_arena_share *arena;
    HANDLE stop_event; /* manual: set once the transport is stopped */
    volatile LONG stopped;
    volatile LONG keep_disk; /* stop() leaves it to another server */
    volatile LONG removed;   /* by stop() */
    volatile LONG driver_lost;
    struct cm_os_mutex lock;
    struct call *free_calls; /* lock */
};

static struct driver_transport *of(struct cm_transport *transport)
{
    return (struct driver_transport *)transport; /* base is the first field */
}

/* -- calls ------------------------------------------------------------------------------------- */

static void call_free(struct call *call)
{
    if (call->overlapped.hEvent != NULL)
        CloseHandle(call->overlapped.hEvent);
    free(call->in);
    free(call->out);
    free(call);
}

static struct call *call_new(uint32_t queue_depth)
{
    struct call *call = calloc(1, sizeof(*call));

    if (call == NULL)
        return NULL;
    call->in = calloc(1, sizeof(*call->in) + queue_depth * sizeof(struct cm_reply));
    call->out = calloc(1, sizeof(*call->out) + queue_depth * sizeof(struct cm_request));
    call->overlapped.hEvent = CreateEventW(NULL, TRUE, FALSE, NULL);
    if (call->in != NULL && call->out != NULL && call->overlapped.hEvent != NULL)
        return call;
    call_free(call);
    return NULL;
}

static void call_put(struct driver_transport *t, struct call *call)
{
    cm_os_mutex_lock(&t->lock);
    call->next = t->free_calls;
    t->free_calls = call;
    cm_os_mutex_unlock(&t->lock);
}

/* Last in, first out: the buffers that are in the cache. Makes one only when there are more callers
 * than announced. */
static struct call *call_get(struct driver_transport *t)
{
    struct call *call;

    cm_os_mutex_lock(&t->lock);
    call = t->free_calls;
    if (call != NULL)
        t->free_calls = call->next;
    cm_os_mutex_unlock(&t->lock);
    return call != NULL ? call : call_new(t->base.queue_depth);
}

/* -- exchange ---------------------------------------------------------------------------------- */

/*
 * One DeviceIoControl, waited for. It ends when there is a request, when the disk goes, or when
 * stop() finds that the driver does not end it. CancelIo, which every Windows has, takes back all
 * that this thread has asked of the handle: that is this call alone.
 */
static DWORD send_call(struct driver_transport *t, struct call *call, DWORD in_size, DWORD out_size,
                       DWORD *bytes)
{
    HANDLE events[2] = {call->overlapped.hEvent, t->stop_event};
    DWORD error;

    if (DeviceIoControl(t->control, CM_IOCTL_EXCHANGE, call->in, in_size, call->out, out_size,
                        bytes, &call->overlapped))
        return 0;
    error = GetLastError();
    if (error != ERROR_IO_PENDING)
        return error;
    if (WaitForMultipleObjects(2, events, FALSE, INFINITE) != WAIT_OBJECT_0)
        CancelIo(t->control);
    return GetOverlappedResult(t->control, &call->overlapped, bytes, TRUE) ? 0 : GetLastError();
}

static int to_error(struct driver_transport *t, DWORD error)
{
    switch (error) {
    case 0:
        return 0;
    case ERROR_DEVICE_REMOVED: /* STATUS_DEVICE_REMOVED: unmounted while we served */
    case ERROR_NOT_FOUND:      /* STATUS_NOT_FOUND: unmounted before */
        return CM_EGONE;
    case ERROR_REQUEST_ABORTED: /* STATUS_REQUEST_ABORTED: a reply was refused */
    case ERROR_INVALID_PARAMETER:
        return CM_EPROTO;
    case ERROR_NOT_ENOUGH_MEMORY:
    case ERROR_NO_SYSTEM_RESOURCES:
    case ERROR_NOT_ENOUGH_QUOTA:
    case ERROR_WORKING_SET_QUOTA:
        return CM_ENOMEM; /* the I/O manager's: the driver has not seen the call */
    default:
        break;
    }
    if (!cm_control_driver_gone(error))
        return CM_EIO;
    InterlockedExchange(&t->driver_lost, 1);
    return CM_EGONE;
}

/* Nothing that the driver writes is trusted to fit: a count that does not match its own length
 * would have us read requests of an earlier call. */
static int take_requests(const struct call *call, DWORD bytes, struct cm_request *requests,
                         uint32_t max_requests, uint32_t *request_count)
{
    uint32_t count;

    if (bytes < sizeof(*call->out))
        return CM_EPROTO;
    count = call->out->request_count;
    if (count > max_requests || bytes - sizeof(*call->out) != count * sizeof(*requests))
        return CM_EPROTO;
    memcpy(requests, call->out + 1, count * sizeof(*requests));
    *request_count = count;
    return 0;
}

static int exchange(struct cm_transport *transport, const struct cm_reply *replies,
                    uint32_t reply_count, struct cm_request *requests, uint32_t max_requests,
                    uint32_t *request_count, int wait)
{
    struct driver_transport *t = of(transport);
    struct call *call;
    DWORD bytes = 0;
    DWORD error;
    int result;

    *request_count = 0;
    if (t->stopped)
        return CM_EGONE;
    if (reply_count > transport->queue_depth)
        return CM_EPROTO; /* more answers than there can be questions */
    if (max_requests > transport->queue_depth)
        max_requests = transport->queue_depth;
    call = call_get(t);
    if (call == NULL)
        return CM_ENOMEM;
    call->in->disk_id = t->disk_id;
    call->in->flags = wait ? 0 : CM_EXCHANGE_NO_WAIT;
    if (reply_count > 0)
        memcpy(call->in + 1, replies, reply_count * sizeof(*replies));
    do {
        call->in->reply_count = reply_count;
        error = send_call(t, call, (DWORD)(sizeof(*call->in) + reply_count * sizeof(*replies)),
                          (DWORD)(sizeof(*call->out) + max_requests * sizeof(*requests)), &bytes);
        reply_count = 0; /* a cancelled call has delivered them */
    } while (error == ERROR_OPERATION_ABORTED && !t->stopped);
    if (error == ERROR_OPERATION_ABORTED)
        error = ERROR_DEVICE_REMOVED;
    result = to_error(t, error);
    if (result == 0)
        result = take_requests(call, bytes, requests, max_requests, request_count);
    call_put(t, call);
    return result;
}

/* -- stop and close ---------------------------------------------------------------------------- */

/*
 * Removing the disk ends every exchange that waits in the driver. If the driver refuses or does not
 * answer, or the disk is to stay, the event makes each thread cancel its own call, also one that was
 * only just sent.
 */
static void stop(struct cm_transport *transport)
{
    struct driver_transport *t = of(transport);
    struct cm_unmount unmount = {.disk_id = t->disk_id, .flags = CM_UNMOUNT_FORCE};

    InterlockedExchange(&t->stopped, 1);
    if (!t->keep_disk && InterlockedExchange(&t->removed, 1) == 0)
        cm_control_call(t->control, CM_IOCTL_UNMOUNT, &unmount, sizeof(unmount), NULL, 0, NULL);
    SetEvent(t->stop_event);
}

static void close_transport(struct cm_transport *transport)
{
    struct driver_transport *t = of(transport);

    while (t->free_calls != NULL) {
        struct call *call = t->free_calls;

        t->free_calls = call->next;
        call_free(call);
    }
    cm_arena_free(t->arena, t->keep_disk != 0);
    if (t->stop_event != NULL)
        CloseHandle(t->stop_event);
    if (t->control != INVALID_HANDLE_VALUE)
        CloseHandle(t->control);
    cm_os_mutex_destroy(&t->lock);
    free(t);
}

static const struct cm_transport_ops driver_ops = {
    .exchange = exchange,
    .stop = stop,
    .close = close_transport,
};

/* -- open -------------------------------------------------------------------------------------- */

static int make_calls(struct driver_transport *t, uint32_t callers)
{
    while (callers-- > 0) {
        struct call *call = call_new(t->base.queue_depth);

        if (call == NULL)
            return cm_fail(CM_ENOMEM, "no memory to mount the disk.");
        call_put(t, call);
    }
    return 0;
}

/* All but the disk: the driver's handle, the calls. */
static int prepare(uint32_t queue_depth, uint32_t slot_size, uint32_t callers,
                   struct driver_transport **transport, struct cm_version *version)
{
    struct driver_transport *t = calloc(1, sizeof(*t));
    int error;

    *transport = NULL;
    if (t == NULL)
        return cm_fail(CM_ENOMEM, "no memory to mount the disk.");
    t->base.ops = &driver_ops;
    t->base.slot_size = slot_size;
    t->base.queue_depth = queue_depth;
    cm_os_mutex_init(&t->lock);
    error = cm_control_open(&t->control, version);
    if (error == 0)
        error = make_calls(t, callers);
    if (error == 0) {
        t->stop_event = CreateEventW(NULL, TRUE, FALSE, NULL);
        if (t->stop_event == NULL)
            error = cm_fail(CM_ENOMEM, "no memory to mount the disk.");
    }
    if (error == 0)
        *transport = t;
    else
        close_transport(&t->base);
    return error;
}

/* Gives the transport of a disk that is there now its arena, and to the caller if that works. */
static int complete(struct driver_transport *t, int error, const struct cm_version *version,
                    uint64_t arena_size, struct cm_transport **transport)
{
    if (error == 0)
        error = cm_arena_make(t->control, version->features, t->disk_id, arena_size, &t->arena);
    if (error == 0) {
        t->base.arena = cm_arena_address(t->arena);
        *transport = &t->base;
    } else {
        close_transport(&t->base);
    }
    return error;
}

static int mount_disk(struct driver_transport *t, const struct cm_mount *mount,
                      const struct cm_version *version, struct cm_mounted *mounted)
{
    struct cm_mount asked = *mount;
    DWORD bytes;
    DWORD result;
    int error;

    if (mount->hold_seconds != 0 || mount->timeout_seconds != 0) {
        error = cm_control_check_hold(version);
        if (error != 0)
            return error;
    }
    /* What an older driver does not know it refuses; and nobody has asked for this one. */
    if ((version->features & CM_FEATURE_VOLUME) == 0)
        asked.flags &= ~CM_MOUNT_RESIZE;
    result = cm_control_call(t->control, CM_IOCTL_MOUNT, &asked, sizeof(asked), mounted,
                             sizeof(*mounted), &bytes);
    if (result != 0)
        return cm_control_fail(result, "mount the disk");
    if (bytes != sizeof(*mounted))
        return cm_fail(CM_EPROTO, "the driver answers MOUNT with %lu bytes.", (unsigned long)bytes);
    t->disk_id = mounted->disk_id;
    return 0;
}

/* A disk that never had its arena is not held, so closing the handle removes what was made. */
int cm_driver_transport_open(const struct cm_mount *mount, uint32_t callers,
                             struct cm_transport **transport, struct cm_mounted *mounted)
{
    struct driver_transport *t;
    struct cm_version version;
    int error = prepare(mount->queue_depth, mount->slot_size, callers, &t, &version);

    *transport = NULL;
    if (error != 0)
        return error;
    t->keep_disk = mount->hold_seconds != 0;
    error = mount_disk(t, mount, &version, mounted);
    return complete(t, error, &version, mounted->arena_size, transport);
}

/* The driver learns of a server's end a moment after the process has been killed. */
static int attach_disk(struct driver_transport *t, const struct cm_list_entry *disk, uint64_t size,
                       uint64_t deadline_ns, struct cm_attached *attached)
{
    struct cm_attach attach = {
        .abi_version = CM_ABI_VERSION, .disk_id = disk->disk_id, .size = size};
    DWORD bytes;
    DWORD result;

    for (;;) {
        result = cm_control_call(t->control, CM_IOCTL_ATTACH, &attach, sizeof(attach), attached,
                                 sizeof(*attached), &bytes);
        if (result != ERROR_BUSY || cm_os_now_ns() >= deadline_ns)
            break;
        cm_os_sleep_ms(BUSY_PAUSE_MS);
    }
    if (result == ERROR_BUSY)
        return cm_fail(CM_EBUSY, "cannot take over the disk: another server has it.");
    if (result == ERROR_INVALID_PARAMETER && size != disk->size)
        return cm_list_fail_size(disk, size);
    if (result == ERROR_NOT_FOUND)
        return cm_fail(CM_ENOENT, "cannot take over the disk: it has gone.");
    if (result != 0)
        return cm_control_fail(result, "take over the disk");
    if (bytes != sizeof(*attached) || attached->queue_depth != disk->queue_depth ||
        attached->slot_size != disk->slot_size ||
        attached->arena_size != (uint64_t)disk->queue_depth * disk->slot_size)
        return cm_fail(CM_EPROTO, "the driver answers ATTACH with another disk.");
    t->disk_id = attached->disk_id;
    return 0;
}

int cm_driver_transport_attach(const struct cm_list_entry *disk, uint64_t size,
                               uint64_t deadline_ns, uint32_t callers,
                               struct cm_transport **transport)
{
    struct cm_attached attached = {0};
    struct driver_transport *t;
    struct cm_version version;
    int error = prepare(disk->queue_depth, disk->slot_size, callers, &t, &version);

    *transport = NULL;
    if (error != 0)
        return error;
    t->keep_disk = 1;
    error = cm_control_check_hold(&version);
    if (error == 0)
        error = attach_disk(t, disk, size, deadline_ns, &attached);
    return complete(t, error, &version, attached.arena_size, transport);
}

void cm_driver_transport_keep_disk(struct cm_transport *transport, int keep)
{
    InterlockedExchange(&of(transport)->keep_disk, keep);
}

int cm_driver_transport_share_arena(struct cm_transport *transport)
{
    return cm_arena_lend(of(transport)->arena);
}

/* A second disk of the same image, both read-only, is another volume. */
#define MAX_TURNS 16u

int cm_driver_transport_identify(struct cm_transport *transport, const char *image_name,
                                 char letter)
{
    struct driver_transport *t = of(transport);
    struct cm_identify identify = {.disk_id = t->disk_id, .letter = (uint16_t)letter};
    DWORD result = ERROR_ALREADY_EXISTS;
    uint32_t turn;

    for (turn = 0; result == ERROR_ALREADY_EXISTS && turn < MAX_TURNS; turn++) {
        cm_identity_of(image_name, turn, identify.unique_id);
        result = cm_control_call(t->control, CM_IOCTL_IDENTIFY, &identify, sizeof(identify), NULL,
                                 0, NULL);
    }
    return result == 0 ? 0 : CM_EIO;
}

int cm_driver_transport_driver_lost(struct cm_transport *transport)
{
    struct driver_transport *t = of(transport);
    struct cm_version version;

    /* A driver that is stopped removes its disks like any other unmount; only then it goes. */
    if (!t->driver_lost &&
        cm_control_driver_gone(cm_control_call(t->control, CM_IOCTL_VERSION, NULL, 0, &version,
                                               sizeof(version), NULL)))
        InterlockedExchange(&t->driver_lost, 1);
    return t->driver_lost != 0;
}
