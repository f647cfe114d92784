/* SPDX-License-Identifier: MIT */
/*
 * raw.h - talking to CoreMnt.sys directly, without the library: for tests that need servers which
 * misbehave, or none at all. Used by the test programs of this folder only.
 *
 * Functions return a Win32 error, ERROR_SUCCESS when all is well; what cannot fail in a sane test
 * ends the program with a sentence instead.
 */
#ifndef CM_TESTS_WINE_RAW_H
#define CM_TESTS_WINE_RAW_H

#include <windows.h>

#include "abi/coremnt_abi.h"

/* What STATUS_NO_SUCH_DEVICE becomes; mingw-w64's winerror.h lacks it. */
#ifndef ERROR_NO_SUCH_DEVICE
#define ERROR_NO_SUCH_DEVICE 433L
#endif

/* -- single calls ------------------------------------------------------------------------------ */

/* \\.\CoreMnt, overlapped; ends the program if the driver is not there. */
HANDLE raw_open_control(void);

/* An ioctl on an overlapped handle; waits for its end. `got` may be NULL. */
DWORD raw_ioctl(HANDLE handle, DWORD code, const void *in, DWORD in_size, void *out, DWORD out_size,
                DWORD *got);

/* READ or WRITE of an overlapped handle at an explicit offset; waits for its end. */
DWORD raw_read(HANDLE handle, void *buffer, DWORD length, int64_t offset, DWORD *got);
DWORD raw_write(HANDLE handle, const void *buffer, DWORD length, int64_t offset, DWORD *got);

/* CancelIoEx; before Windows Vista, which lacks it, CancelIo, which takes back all of the thread's.
 */
BOOL raw_cancel(HANDLE handle, OVERLAPPED *overlapped);

/* -- a disk ------------------------------------------------------------------------------------ */

struct raw_disk {
    HANDLE control;
    struct cm_mount mount; /* as it was asked for */
    struct cm_mounted mounted;
    unsigned char *arena;
    HANDLE lender, lent; /* the thread that lends the arena, on systems that want that */
    DWORD lend_error;
    WCHAR letter[3]; /* what opens it; "" : none */
};

/* Sound values for a disk of this size; change what the test is about. */
void raw_mount_defaults(struct cm_mount *mount, uint64_t size);

DWORD raw_mount(HANDLE control, const struct cm_mount *mount, struct raw_disk *disk);

/* Set up the arena, the way that this system has. Both ways by name: for tests about them. */
DWORD raw_share_arena(struct raw_disk *disk);
DWORD raw_map_arena(struct raw_disk *disk);
DWORD raw_lend_arena(struct raw_disk *disk);

/* The first free letter from the end; ends the program if there is none. */
void raw_define_letter(struct raw_disk *disk);

/* All of the above; ends the program on failure. */
void raw_attach(HANDLE control, const struct cm_mount *mount, struct raw_disk *disk);
DWORD raw_unmount(struct raw_disk *disk, uint32_t flags, uint32_t own_handles);

/* Take the letter away and unmap the arena; the driver's side is removed by force if it is there.
 */
void raw_detach(struct raw_disk *disk);

/* What the end of a server's process leaves: close the control handle and unmap the arena. Letter and
 * disk stay as they are. */
void raw_abandon(struct raw_disk *disk);

/* ATTACH by another handle, without the arena; `disk` gets all that is known of `from`. */
DWORD raw_take_over(HANDLE control, const struct raw_disk *from, struct raw_disk *disk);

/* The disk's device for data, overlapped; ends the program on failure. */
HANDLE raw_open_disk(const struct raw_disk *disk);

void raw_get_stats(const struct raw_disk *disk, struct cm_stats *stats);

/* HEALTH by any control handle. */
DWORD raw_get_health(HANDLE control, const struct raw_disk *disk, struct cm_health *health);

/* One exchange. `requests` has room for `max`; *count: how many came. */
DWORD raw_exchange(const struct raw_disk *disk, const struct cm_reply *replies,
                   uint32_t reply_count, uint32_t flags, struct cm_request *requests, uint32_t max,
                   uint32_t *count);

static inline void *raw_slot(const struct raw_disk *disk, uint64_t tag)
{
    return disk->arena + (size_t)CM_TAG_SLOT(tag) * disk->mount.slot_size;
}

/* -- I/O under way ----------------------------------------------------------------------------- */

/* A read or write of an overlapped handle; a write sends `fill` in every byte. */
struct raw_io {
    OVERLAPPED overlapped;
    unsigned char *buffer;
    DWORD length;
    HANDLE handle;
};

void raw_start_read(struct raw_io *io, HANDLE handle, DWORD length, int64_t offset);
void raw_start_write(struct raw_io *io, HANDLE handle, DWORD length, int64_t offset, int fill);

int raw_is_under_way(const struct raw_io *io);

/* Its end, for which there are 10 s; otherwise the program ends. The buffer lives until raw_free_io. */
DWORD raw_finish(struct raw_io *io);
void raw_free_io(struct raw_io *io);

/* -- a server ---------------------------------------------------------------------------------- */

/*
 * A thread that serves a disk from memory of `backing_size` bytes, which the disk's bytes are
 * mapped to modulo that size: the caller's `given`, or its own. `answer`, if not NULL, sees every request first and may decide its
 * status; it returns 0 to leave the request unanswered.
 */
struct raw_server {
    struct raw_disk *disk;
    unsigned char *backing, *given;
    uint64_t backing_size;
    int (*answer)(struct raw_server *server, const struct cm_request *request,
                  struct cm_reply *reply);
    void *context;
    LONG volatile flushes, trims, fua_writes;
    LONG volatile stop;
    DWORD ended_with; /* the error of the exchange that ended it */
    HANDLE thread;
};

void raw_server_start(struct raw_server *server, struct raw_disk *disk, uint64_t backing_size);
/* Remove the disk by force, wait for the thread, free the memory. */
void raw_server_stop(struct raw_server *server);

/* The data and the reply for a request, as an honest server has them. */
void raw_serve(struct raw_server *server, const struct cm_request *request, struct cm_reply *reply);

/* -- other processes --------------------------------------------------------------------------- */

/* This program again, with arguments; the caller closes or kills the process. */
HANDLE raw_spawn(const char *arguments);

#endif
