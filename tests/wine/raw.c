/* SPDX-License-Identifier: MIT */
/* raw.c - see raw.h. Runs in test programs, on any thread. */
#include "raw.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void die(const char *what, DWORD error)
{
    printf("FAILED: %s: Win32 error %lu\n", what, error);
    fflush(stdout);
    ExitProcess(1);
}

/* One event per thread: two threads must never wait on one. */
static HANDLE thread_event(void)
{
    static __thread HANDLE event;
    if (event == NULL)
        event = CreateEventW(NULL, TRUE, FALSE, NULL);
    return event;
}

static DWORD finish(HANDLE handle, BOOL ok, OVERLAPPED *overlapped, DWORD *got)
{
    DWORD bytes = 0, error = ok ? ERROR_SUCCESS : GetLastError();

    if (error == ERROR_SUCCESS || error == ERROR_IO_PENDING || error == ERROR_MORE_DATA)
        error =
            GetOverlappedResult(handle, overlapped, &bytes, TRUE) ? ERROR_SUCCESS : GetLastError();
    if (got != NULL)
        *got = bytes;
    return error;
}

HANDLE raw_open_control(void)
{
    HANDLE handle = CreateFileA(CM_CONTROL_DEVICE_NAME, GENERIC_READ | GENERIC_WRITE, 0, NULL,
                                OPEN_EXISTING, FILE_FLAG_OVERLAPPED, NULL);
    if (handle == INVALID_HANDLE_VALUE)
        die("cannot open " CM_CONTROL_DEVICE_NAME, GetLastError());
    return handle;
}

DWORD raw_ioctl(HANDLE handle, DWORD code, const void *in, DWORD in_size, void *out, DWORD out_size,
                DWORD *got)
{
    OVERLAPPED overlapped = {.hEvent = thread_event()};
    BOOL ok = DeviceIoControl(handle, code, (void *)in, in_size, out, out_size, NULL, &overlapped);

    return finish(handle, ok, &overlapped, got);
}

static OVERLAPPED at(int64_t offset)
{
    OVERLAPPED overlapped = {.hEvent = thread_event()};

    overlapped.Offset = (DWORD)(uint64_t)offset;
    overlapped.OffsetHigh = (DWORD)((uint64_t)offset >> 32);
    return overlapped;
}

DWORD raw_read(HANDLE handle, void *buffer, DWORD length, int64_t offset, DWORD *got)
{
    OVERLAPPED overlapped = at(offset);
    BOOL ok = ReadFile(handle, buffer, length, NULL, &overlapped);

    return finish(handle, ok, &overlapped, got);
}

DWORD raw_write(HANDLE handle, const void *buffer, DWORD length, int64_t offset, DWORD *got)
{
    OVERLAPPED overlapped = at(offset);
    BOOL ok = WriteFile(handle, buffer, length, NULL, &overlapped);

    return finish(handle, ok, &overlapped, got);
}

BOOL raw_cancel(HANDLE handle, OVERLAPPED *overlapped)
{
    FARPROC found = GetProcAddress(GetModuleHandleW(L"kernel32.dll"), "CancelIoEx");
    BOOL(WINAPI * cancel)(HANDLE, OVERLAPPED *);

    memcpy(&cancel, &found, sizeof(cancel));
    return cancel != NULL ? cancel(handle, overlapped) : CancelIo(handle);
}

void raw_mount_defaults(struct cm_mount *mount, uint64_t size)
{
    memset(mount, 0, sizeof(*mount));
    mount->abi_version = CM_ABI_VERSION;
    mount->flags = CM_MOUNT_TRIM;
    mount->size = size;
    mount->sector_size = 512;
    mount->queue_depth = 32;
    mount->slot_size = 64 * 1024;
}

DWORD raw_mount(HANDLE control, const struct cm_mount *mount, struct raw_disk *disk)
{
    memset(disk, 0, sizeof(*disk));
    disk->control = control;
    disk->mount = *mount;
    return raw_ioctl(control, CM_IOCTL_MOUNT, mount, sizeof(*mount), &disk->mounted,
                     sizeof(disk->mounted), NULL);
}

DWORD raw_map_arena(struct raw_disk *disk)
{
    struct cm_arena in = {disk->mounted.disk_id, disk->mounted.arena_size};
    struct cm_arena_mapped out;
    DWORD error =
        raw_ioctl(disk->control, CM_IOCTL_ARENA_MAP, &in, sizeof(in), &out, sizeof(out), NULL);

    if (error == ERROR_SUCCESS)
        disk->arena = (unsigned char *)(ULONG_PTR)out.address;
    return error;
}

/* Windows takes back what a thread has under way when it ends: so one that stays lends the memory.
 */
static DWORD WINAPI lend(void *argument)
{
    struct raw_disk *disk = argument;
    struct cm_arena in = {disk->mounted.disk_id, disk->mounted.arena_size};
    OVERLAPPED overlapped = {.hEvent = thread_event()};
    BOOL ok = DeviceIoControl(disk->control, CM_IOCTL_ARENA_LEND, &in, sizeof(in), disk->arena,
                              (DWORD)in.size, NULL, &overlapped);

    disk->lend_error = ok ? ERROR_SUCCESS : GetLastError();
    SetEvent(disk->lent);
    return disk->lend_error == ERROR_IO_PENDING ? finish(disk->control, ok, &overlapped, NULL) : 0;
}

/* The call pends for the disk's life; that it is pending shows that the driver has taken the
 * memory. */
DWORD raw_lend_arena(struct raw_disk *disk)
{
    disk->arena = VirtualAlloc(NULL, (size_t)disk->mounted.arena_size, MEM_RESERVE | MEM_COMMIT,
                               PAGE_READWRITE);
    disk->lent = CreateEventW(NULL, TRUE, FALSE, NULL);
    disk->lender = CreateThread(NULL, 0, lend, disk, 0, NULL);
    if (disk->arena == NULL || disk->lender == NULL)
        die("cannot lend memory", GetLastError());
    WaitForSingleObject(disk->lent, INFINITE);
    if (disk->lend_error == ERROR_IO_PENDING)
        return ERROR_SUCCESS;
    WaitForSingleObject(disk->lender, INFINITE);
    CloseHandle(disk->lender);
    CloseHandle(disk->lent);
    disk->lender = NULL;
    VirtualFree(disk->arena, 0, MEM_RELEASE);
    disk->arena = NULL;
    return disk->lend_error;
}

DWORD raw_share_arena(struct raw_disk *disk)
{
    struct cm_version version;
    DWORD error =
        raw_ioctl(disk->control, CM_IOCTL_VERSION, NULL, 0, &version, sizeof(version), NULL);

    if (error != ERROR_SUCCESS)
        return error;
    return (version.features & CM_FEATURE_ARENA_LEND) != 0 ? raw_lend_arena(disk)
                                                           : raw_map_arena(disk);
}

static void unshare_arena(struct raw_disk *disk)
{
    if (disk->lender != NULL) {
        if (WaitForSingleObject(disk->lender, 5000) != WAIT_OBJECT_0)
            die("the lent memory does not come back", 0);
        CloseHandle(disk->lender);
        CloseHandle(disk->lent);
        VirtualFree(disk->arena, 0, MEM_RELEASE);
    } else if (disk->arena != NULL) {
        UnmapViewOfFile(disk->arena);
    }
    disk->lender = NULL;
    disk->arena = NULL;
}

void raw_define_letter(struct raw_disk *disk)
{
    WCHAR target[64];

    swprintf(target, 64, L"" CM_DISK_DEVICE_PREFIX L"%u", (unsigned)disk->mounted.number);
    for (WCHAR letter = L'Y'; letter >= L'D'; letter--) {
        WCHAR name[3] = {letter, L':', 0}, old[MAX_PATH];
        if (QueryDosDeviceW(name, old, MAX_PATH) != 0)
            continue;
        if (!DefineDosDeviceW(DDD_RAW_TARGET_PATH, name, target))
            die("DefineDosDevice", GetLastError());
        memcpy(disk->letter, name, sizeof(name));
        return;
    }
    die("no letter is free", 0);
}

void raw_attach(HANDLE control, const struct cm_mount *mount, struct raw_disk *disk)
{
    DWORD error = raw_mount(control, mount, disk);

    if (error != ERROR_SUCCESS)
        die("MOUNT", error);
    if ((error = raw_share_arena(disk)) != ERROR_SUCCESS)
        die("sharing memory", error);
    raw_define_letter(disk);
}

DWORD raw_unmount(struct raw_disk *disk, uint32_t flags, uint32_t own_handles)
{
    struct cm_unmount in = {disk->mounted.disk_id, flags, own_handles};

    return raw_ioctl(disk->control, CM_IOCTL_UNMOUNT, &in, sizeof(in), NULL, 0, NULL);
}

void raw_detach(struct raw_disk *disk)
{
    DWORD error = raw_unmount(disk, CM_UNMOUNT_FORCE, 0);

    if (error != ERROR_SUCCESS && error != ERROR_NOT_FOUND && error != ERROR_ACCESS_DENIED)
        die("forced UNMOUNT", error);
    if (disk->letter[0] != 0)
        DefineDosDeviceW(DDD_REMOVE_DEFINITION, disk->letter, NULL);
    disk->letter[0] = 0;
    unshare_arena(disk);
}

void raw_abandon(struct raw_disk *disk)
{
    CloseHandle(disk->control);
    disk->control = NULL;
    unshare_arena(disk);
}

DWORD raw_take_over(HANDLE control, const struct raw_disk *from, struct raw_disk *disk)
{
    struct cm_attach in = {CM_ABI_VERSION, 0, from->mounted.disk_id, from->mount.size};
    struct cm_attached out = {0};
    DWORD error = raw_ioctl(control, CM_IOCTL_ATTACH, &in, sizeof(in), &out, sizeof(out), NULL);

    memset(disk, 0, sizeof(*disk));
    disk->control = control;
    disk->mount = from->mount;
    disk->mounted = from->mounted;
    memcpy(disk->letter, from->letter, sizeof(disk->letter));
    if (error != ERROR_SUCCESS)
        return error;
    if (out.disk_id != from->mounted.disk_id || out.reserved != 0)
        die("ATTACH answers for another disk", 0);
    disk->mounted.arena_size = out.arena_size;
    disk->mounted.number = out.number;
    disk->mount.sector_size = out.sector_size;
    disk->mount.flags = out.flags;
    disk->mount.queue_depth = out.queue_depth;
    disk->mount.slot_size = out.slot_size;
    return ERROR_SUCCESS;
}

DWORD raw_get_health(HANDLE control, const struct raw_disk *disk, struct cm_health *health)
{
    struct cm_health_of of = {disk->mounted.disk_id};

    return raw_ioctl(control, CM_IOCTL_HEALTH, &of, sizeof(of), health, sizeof(*health), NULL);
}

HANDLE raw_open_disk(const struct raw_disk *disk)
{
    WCHAR path[8] = L"\\\\.\\";
    HANDLE handle;

    wcscat(path, disk->letter);
    handle = CreateFileW(path, GENERIC_READ | GENERIC_WRITE, FILE_SHARE_READ | FILE_SHARE_WRITE,
                         NULL, OPEN_EXISTING, FILE_FLAG_OVERLAPPED, NULL);
    if (handle == INVALID_HANDLE_VALUE)
        die("cannot open the disk", GetLastError());
    return handle;
}

void raw_get_stats(const struct raw_disk *disk, struct cm_stats *stats)
{
    struct cm_stats_of of = {disk->mounted.disk_id};
    DWORD error =
        raw_ioctl(disk->control, CM_IOCTL_STATS, &of, sizeof(of), stats, sizeof(*stats), NULL);

    if (error != ERROR_SUCCESS)
        die("STATS", error);
}

DWORD raw_exchange(const struct raw_disk *disk, const struct cm_reply *replies,
                   uint32_t reply_count, uint32_t flags, struct cm_request *requests, uint32_t max,
                   uint32_t *count)
{
    struct {
        struct cm_exchange head;
        struct cm_reply replies[CM_MAX_QUEUE_DEPTH];
    } *in = malloc(sizeof(*in));
    struct {
        struct cm_exchanged head;
        struct cm_request requests[CM_MAX_QUEUE_DEPTH];
    } *out = malloc(sizeof(*out));
    DWORD error;

    if (in == NULL || out == NULL)
        die("no memory", 0);
    in->head = (struct cm_exchange){disk->mounted.disk_id, reply_count, flags};
    if (reply_count != 0)
        memcpy(in->replies, replies, reply_count * sizeof(*replies));
    *count = 0;
    error = raw_ioctl(disk->control, CM_IOCTL_EXCHANGE, in,
                      sizeof(in->head) + reply_count * sizeof(*replies), out,
                      sizeof(out->head) + max * sizeof(*requests), NULL);
    if (error == ERROR_SUCCESS) {
        *count = out->head.request_count;
        memcpy(requests, out->requests, *count * sizeof(*requests));
    }
    free(in);
    free(out);
    return error;
}

/* -- I/O under way ----------------------------------------------------------------------------- */

static void prepare(struct raw_io *io, HANDLE handle, DWORD length, int64_t offset, int fill)
{
    memset(io, 0, sizeof(*io));
    io->overlapped = at(offset);
    io->overlapped.hEvent = CreateEventW(NULL, TRUE, FALSE, NULL);
    io->buffer = malloc(length);
    io->length = length;
    io->handle = handle;
    if (io->overlapped.hEvent == NULL || io->buffer == NULL)
        die("no memory", 0);
    memset(io->buffer, fill, length);
}

static void started(BOOL done)
{
    if (!done && GetLastError() != ERROR_IO_PENDING)
        die("cannot start a request", GetLastError());
}

void raw_start_read(struct raw_io *io, HANDLE handle, DWORD length, int64_t offset)
{
    prepare(io, handle, length, offset, 0xEE);
    started(ReadFile(handle, io->buffer, length, NULL, &io->overlapped));
}

void raw_start_write(struct raw_io *io, HANDLE handle, DWORD length, int64_t offset, int fill)
{
    prepare(io, handle, length, offset, fill);
    started(WriteFile(handle, io->buffer, length, NULL, &io->overlapped));
}

int raw_is_under_way(const struct raw_io *io)
{
    return WaitForSingleObject(io->overlapped.hEvent, 0) == WAIT_TIMEOUT;
}

DWORD raw_finish(struct raw_io *io)
{
    DWORD bytes;

    if (WaitForSingleObject(io->overlapped.hEvent, 10000) != WAIT_OBJECT_0)
        die("a request does not end", 0);
    return GetOverlappedResult(io->handle, &io->overlapped, &bytes, FALSE) ? ERROR_SUCCESS
                                                                           : GetLastError();
}

void raw_free_io(struct raw_io *io)
{
    CloseHandle(io->overlapped.hEvent);
    free(io->buffer);
}

/* -- the server -------------------------------------------------------------------------------- */

static void copy_backing(struct raw_server *server, const struct cm_request *request, int to_slot)
{
    unsigned char *slot = raw_slot(server->disk, request->tag);
    uint64_t done = 0;

    while (done < request->length) {
        uint64_t place = (request->offset + done) % server->backing_size;
        uint64_t part = server->backing_size - place;
        if (part > request->length - done)
            part = request->length - done;
        if (to_slot)
            memcpy(slot + done, server->backing + place, (size_t)part);
        else
            memcpy(server->backing + place, slot + done, (size_t)part);
        done += part;
    }
}

void raw_serve(struct raw_server *server, const struct cm_request *request, struct cm_reply *reply)
{
    *reply = (struct cm_reply){.tag = request->tag, .status = CM_STATUS_OK};
    switch (request->op) {
    case CM_OP_READ:
        copy_backing(server, request, 1);
        reply->length = (uint32_t)request->length;
        break;
    case CM_OP_WRITE:
        copy_backing(server, request, 0);
        reply->length = (uint32_t)request->length;
        if ((request->flags & CM_REQUEST_FUA) != 0)
            InterlockedIncrement(&server->fua_writes);
        break;
    case CM_OP_FLUSH:
        InterlockedIncrement(&server->flushes);
        break;
    case CM_OP_TRIM:
        InterlockedIncrement(&server->trims);
        break;
    default:
        reply->status = CM_STATUS_NOT_SUPPORTED;
        break;
    }
}

static DWORD WINAPI server_run(void *argument)
{
    struct raw_server *server = argument;
    struct cm_request *requests = calloc(CM_MAX_QUEUE_DEPTH, sizeof(*requests));
    struct cm_reply *replies = calloc(CM_MAX_QUEUE_DEPTH, sizeof(*replies));
    uint32_t reply_count = 0, count;

    while (!server->stop) {
        server->ended_with = raw_exchange(server->disk, replies, reply_count, 0, requests,
                                          CM_MAX_QUEUE_DEPTH, &count);
        reply_count =
            0; /* they have arrived, also if the call was cancelled: by a mistake of Wine's */
        if (server->ended_with == ERROR_OPERATION_ABORTED && !server->stop)
            continue;
        if (server->ended_with != ERROR_SUCCESS)
            break;
        for (uint32_t i = 0; i < count; i++) {
            struct cm_reply *reply = &replies[reply_count];
            *reply = (struct cm_reply){.tag = requests[i].tag};
            if (server->answer == NULL) {
                raw_serve(server, &requests[i], reply);
                reply_count++;
            } else {
                reply_count += (uint32_t)server->answer(server, &requests[i], reply);
            }
        }
    }
    free(requests);
    free(replies);
    return 0;
}

void raw_server_start(struct raw_server *server, struct raw_disk *disk, uint64_t backing_size)
{
    server->disk = disk;
    server->backing_size = backing_size;
    server->backing = server->given != NULL ? server->given : calloc(1, (size_t)backing_size);
    server->stop = 0;
    server->thread = CreateThread(NULL, 0, server_run, server, 0, NULL);
    if (server->backing == NULL || server->thread == NULL)
        die("cannot start a server", GetLastError());
}

void raw_server_stop(struct raw_server *server)
{
    InterlockedExchange(&server->stop, 1);
    raw_unmount(server->disk, CM_UNMOUNT_FORCE, 0);
    if (WaitForSingleObject(server->thread, 10000) != WAIT_OBJECT_0)
        die("the server's thread does not end", 0);
    CloseHandle(server->thread);
    if (server->given == NULL)
        free(server->backing);
}

HANDLE raw_spawn(const char *arguments)
{
    char path[MAX_PATH], line[MAX_PATH + 256];
    STARTUPINFOA startup = {.cb = sizeof(startup)};
    PROCESS_INFORMATION process;

    GetModuleFileNameA(NULL, path, sizeof(path));
    snprintf(line, sizeof(line), "\"%s\" %s", path, arguments);
    if (!CreateProcessA(NULL, line, NULL, NULL, TRUE, 0, NULL, NULL, &startup, &process))
        die("CreateProcess", GetLastError());
    CloseHandle(process.hThread);
    return process.hProcess;
}
