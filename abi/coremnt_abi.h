/* SPDX-License-Identifier: MIT */
/*
 * coremnt_abi.h - the contract between CoreMnt.sys and the programs that serve its disks.
 *
 * The one file that kernel and user mode both include; it needs nothing but <stdint.h>, so that the
 * portable parts of the library and the tests can speak it on any system.
 *
 * Rules of this file:
 *  - integers of fixed width only, naturally aligned, padding spelled out; what is called
 * `reserved` must be zero and is refused when it is not. No pointer ever crosses: memory is named
 * by tags.
 *  - the size of every structure is asserted below, for x64 and x86 alike: a 32-bit server works
 *    with a 64-bit driver.
 *  - a command never changes its meaning. What is new gets a new function code, a new flag and a
 * bit in CM_FEATURE_*. Flags that the driver does not know are refused, never ignored.
 *  - identifiers (disk ids, tags) carry a generation. One that is out of date names nothing; it can
 *    never name somebody else's disk or request.
 *
 * How a server uses it, on one handle of \\.\CoreMnt opened with FILE_FLAG_OVERLAPPED (a handle
 * without it is serialised by Windows: a waiting exchange would block the one that brings replies):
 *
 *      VERSION -> MOUNT -> ARENA_MAP or ARENA_LEND -> EXCHANGE, EXCHANGE, ... -> UNMOUNT or close
 *
 * The disk lives as long as the handle that mounted it, or until UNMOUNT. One that was mounted with
 * hold_seconds outlives its server by that time, and another server may take it over: VERSION ->
 * ATTACH -> ARENA_MAP or ARENA_LEND -> EXCHANGE...
 */
#ifndef COREMNT_ABI_H
#define COREMNT_ABI_H

#include <stdint.h>

#ifndef CM_ABI_VERSION
#define CM_ABI_VERSION 1u /* a driver of another version refuses MOUNT; see CM_IOCTL_VERSION */
#endif

#define CM_CONTROL_DEVICE_NAME "\\\\.\\CoreMnt"       /* what user mode opens */
#define CM_DISK_DEVICE_PREFIX "\\Device\\CoreMntDisk" /* + number: the target of a drive letter */
#define CM_DISK_LINK_PREFIX                                                                        \
    "\\\\.\\CoreMntDisk" /* + number: how programs open it without a letter */
#define CM_SERVICE_NAME "CoreMnt"

/*
 * For all of them: input shorter than the structure gives STATUS_INFO_LENGTH_MISMATCH, room for less
 * output than the structure STATUS_BUFFER_TOO_SMALL, an unknown code STATUS_INVALID_DEVICE_REQUEST.
 */

/* -- limits ------------------------------------------------------------------------------------ */

#define CM_SECTOR_SIZE_SMALL 512u
#define CM_SECTOR_SIZE_LARGE 4096u
#define CM_MAX_QUEUE_DEPTH 1024u         /* slots of a disk */
#define CM_MIN_SLOT_SIZE (4u * 1024u)    /* bytes */
#define CM_MAX_SLOT_SIZE (1024u * 1024u) /* bytes */
#define CM_MAX_ARENA_SIZE (256u * 1024u * 1024u)
#define CM_MAX_DISK_SIZE (UINT64_C(1) << 62)
#define CM_MAX_HOLD_SECONDS 3600u
#define CM_MAX_TIMEOUT_SECONDS 900u
#define CM_IMAGE_NAME_UNITS 260u /* UTF-16 units, the terminating zero included */

/* -- ioctl codes ------------------------------------------------------------------------------- */

/* The layout of NT's CTL_CODE, spelled out so that this header needs no Windows header. */
#define CM_CTL_CODE(function, method)                                                              \
    ((0x8C4Du << 16) | (CM_ACCESS_READ_WRITE << 14) | ((function) << 2) | (method))
#define CM_ACCESS_READ_WRITE 3u /* FILE_READ_ACCESS | FILE_WRITE_ACCESS: asked of every caller */
#define CM_METHOD_BUFFERED 0u
#define CM_METHOD_OUT_DIRECT 2u

#define CM_IOCTL_VERSION CM_CTL_CODE(0x800u, CM_METHOD_BUFFERED)
#define CM_IOCTL_MOUNT CM_CTL_CODE(0x801u, CM_METHOD_BUFFERED)
#define CM_IOCTL_UNMOUNT CM_CTL_CODE(0x802u, CM_METHOD_BUFFERED)
#define CM_IOCTL_ARENA_MAP CM_CTL_CODE(0x803u, CM_METHOD_BUFFERED)
#define CM_IOCTL_ARENA_LEND CM_CTL_CODE(0x804u, CM_METHOD_OUT_DIRECT)
#define CM_IOCTL_EXCHANGE CM_CTL_CODE(0x805u, CM_METHOD_BUFFERED)
#define CM_IOCTL_LIST CM_CTL_CODE(0x806u, CM_METHOD_BUFFERED)
#define CM_IOCTL_STATS CM_CTL_CODE(0x807u, CM_METHOD_BUFFERED)
#define CM_IOCTL_ATTACH CM_CTL_CODE(0x808u, CM_METHOD_BUFFERED)
#define CM_IOCTL_HEALTH CM_CTL_CODE(0x809u, CM_METHOD_BUFFERED)
#define CM_IOCTL_IDENTIFY CM_CTL_CODE(0x80Au, CM_METHOD_BUFFERED)
#define CM_IOCTL_RESIZE CM_CTL_CODE(0x80Bu, CM_METHOD_BUFFERED)

/* -- VERSION: in nothing, out struct cm_version ------------------------------------------------ */

/* Answers at once and in every version of the driver; the first thing to ask. */
struct cm_version {
    uint32_t abi_version;    /* CM_ABI_VERSION of the driver */
    uint32_t driver_version; /* major << 16 | minor << 8 | patch */
    uint64_t features;       /* CM_FEATURE_* */
};

#define CM_FEATURE_ARENA_MAP (UINT64_C(1) << 0)  /* the driver shares memory by ARENA_MAP (Wine) */
#define CM_FEATURE_ARENA_LEND (UINT64_C(1) << 1) /* the server lends memory by ARENA_LEND (NT) */
#define CM_FEATURE_HOLD (UINT64_C(1) << 2)       /* hold_seconds, timeout_seconds, ATTACH, HEALTH */
#define CM_FEATURE_VOLUME (UINT64_C(1) << 3)     /* IDENTIFY, RESIZE, CM_MOUNT_RESIZE */

/* -- MOUNT: in struct cm_mount, out struct cm_mounted ------------------------------------------ */

/*
 * Makes a disk that belongs to this handle. It answers nothing until it has an arena.
 *
 * STATUS_REVISION_MISMATCH       abi_version is not the driver's
 * STATUS_INVALID_PARAMETER       a number outside its limits, an unknown flag
 * STATUS_DELETE_PENDING          the driver is being stopped
 * STATUS_INSUFFICIENT_RESOURCES
 */
struct cm_mount {
    uint32_t abi_version;  /* CM_ABI_VERSION of the caller */
    uint32_t flags;        /* CM_MOUNT_* */
    uint64_t size;         /* bytes; a multiple of sector_size, not 0, at most CM_MAX_DISK_SIZE */
    uint32_t sector_size;  /* bytes; CM_SECTOR_SIZE_SMALL or CM_SECTOR_SIZE_LARGE */
    uint32_t queue_depth;  /* requests that can be handed out at once = slots of the arena */
    uint32_t slot_size;    /* bytes; a power of two; larger requests are split */
    uint16_t hold_seconds; /* how long it outlives its server; 0: not at all. CM_FEATURE_HOLD */
    uint16_t timeout_seconds; /* a request that takes longer fails; 0: none. CM_FEATURE_HOLD */
    uint16_t image_name[CM_IMAGE_NAME_UNITS]; /* UTF-16 for LIST; zero-terminated, may be empty */
};

#define CM_MOUNT_READ_ONLY (1u << 0) /* writes end with STATUS_MEDIA_WRITE_PROTECTED */
#define CM_MOUNT_TRIM (1u << 1)      /* the server takes CM_OP_TRIM */
#define CM_MOUNT_RESIZE (1u << 2)    /* the server takes CM_OP_RESIZE; CM_FEATURE_VOLUME */
#define CM_MOUNT_ALL_FLAGS (CM_MOUNT_READ_ONLY | CM_MOUNT_TRIM | CM_MOUNT_RESIZE)

struct cm_mounted {
    uint64_t disk_id;
    uint64_t arena_size; /* bytes: queue_depth * slot_size */
    uint32_t number;     /* the device is CM_DISK_DEVICE_PREFIX followed by this, in decimal */
    uint32_t reserved;
};

/* -- ARENA_MAP, ARENA_LEND: in struct cm_arena ------------------------------------------------- */

/*
 * The arena is memory that server and driver share for the life of the disk: the data of a request
 * lies at arena + CM_TAG_SLOT(tag) * slot_size. Once per disk, one of the two ways:
 *
 * ARENA_MAP   out struct cm_arena_mapped: the driver makes the memory and maps it into the caller.
 *             Completes at once. The server unmaps it (UnmapViewOfFile) when the disk has gone.
 * ARENA_LEND  out (direct): the server's own memory, page-aligned, of exactly arena_size bytes. The
 *             request PENDS for as long as the disk lives, which keeps the pages locked; it ends
 *             with STATUS_SUCCESS when the disk has gone. Cancelling it removes the disk - and
 *             Windows cancels the requests of a thread that ends, so one that stays must send it.
 *
 * With the arena in place the disk answers. The server must be ready to exchange by then.
 *
 * STATUS_NOT_SUPPORTED           the other way is the one of this system; see cm_version.features
 * STATUS_NOT_FOUND               no such disk of this handle
 * STATUS_INVALID_PARAMETER       not the arena's size, or lent memory that is not page-aligned
 * STATUS_INVALID_DEVICE_STATE    the disk has its arena already
 * STATUS_INSUFFICIENT_RESOURCES
 *
 * Windows XP and ReactOS refuse direct buffers from about 64 MiB on (XP x64: 32 MiB).
 */
struct cm_arena {
    uint64_t disk_id;
    uint64_t size; /* bytes; cm_mounted.arena_size */
};

struct cm_arena_mapped {
    uint64_t address; /* in the caller's address space */
    uint64_t size;
};

/* -- EXCHANGE: in struct cm_exchange + replies, out struct cm_exchanged + requests ------------- */

/*
 * Brings replies and fetches requests. Replies are applied first, always. Then as many requests are
 * handed out as are waiting and fit the output buffer; with none waiting the call pends until one
 * comes - unless CM_EXCHANGE_NO_WAIT is set or the output has no room for a request.
 *
 * Any number of exchanges may be under way at once, from any threads of the server; replies may
 * come in any order and in any of them.
 *
 * STATUS_INVALID_PARAMETER  the frame is malformed (an unknown flag, more replies announced than sent
 *                           or than CM_MAX_QUEUE_DEPTH): nothing was applied
 * STATUS_NOT_FOUND          disk_id names no disk of this handle, or none any more: stop serving
 * STATUS_REQUEST_ABORTED    one or more replies were refused: they name no request that is handed
 *                           out, come twice, or have a wrong length or status. The good ones of the
 *                           batch were applied, no request was handed out, cm_stats.bad_replies
 *                           tells how many. A refused reply changes nothing.
 * STATUS_DEVICE_REMOVED     the disk was unmounted while the call waited: stop serving
 * STATUS_CANCELLED          cancelled while it waited: its replies were applied, nothing was handed
 *                           out
 *
 * A request whose caller takes it back while the server has it ends for the caller at once. The
 * server does not hear of it and replies as usual. Until it has replied to a WRITE or TRIM, nothing
 * that overlaps it is handed out: it can be late, but not come after what was written later.
 */
struct cm_exchange {
    uint64_t disk_id;
    uint32_t reply_count; /* struct cm_reply[] follows */
    uint32_t flags;       /* CM_EXCHANGE_* */
};

#define CM_EXCHANGE_NO_WAIT (1u << 0)
#define CM_EXCHANGE_ALL_FLAGS CM_EXCHANGE_NO_WAIT

struct cm_reply {
    uint64_t tag;    /* of the request */
    uint32_t status; /* enum cm_status */
    uint32_t length; /* bytes done: the request's for a READ or WRITE that succeeded, else 0 */
};

struct cm_exchanged {
    uint32_t request_count; /* struct cm_request[] follows */
    uint32_t reserved;
};

struct cm_request {
    uint64_t tag;
    uint64_t offset; /* bytes, a multiple of the sector size; RESIZE: the new size */
    uint64_t length; /* bytes; READ and WRITE: at most slot_size; FLUSH, RESIZE: 0 */
    uint16_t op;     /* enum cm_op */
    uint16_t flags;  /* CM_REQUEST_* */
    uint32_t reserved;
};

#define CM_TAG_SLOT(tag) ((uint32_t)((tag)&0xFFFFu)) /* the rest of a tag is its generation */

enum cm_op {
    CM_OP_READ = 1,  /* server -> slot */
    CM_OP_WRITE = 2, /* slot -> image */
    CM_OP_FLUSH =
        3,          /* every WRITE and TRIM replied to before this was handed out becomes durable */
    CM_OP_TRIM = 4, /* the content of the range is no longer needed */
    CM_OP_RESIZE = 5, /* the image gets another size; what is new reads as zeros */
};

#define CM_REQUEST_FUA (1u << 0) /* WRITE: durable before the reply */

/* What a server says of a request. Numbers of our own: errno and Win32 differ between systems. */
enum cm_status {
    CM_STATUS_OK = 0,
    CM_STATUS_IO_ERROR = 1,      /* STATUS_IO_DEVICE_ERROR: what has no better name */
    CM_STATUS_MEDIA_ERROR = 2,   /* STATUS_DEVICE_DATA_ERROR: this data cannot be read */
    CM_STATUS_NO_SPACE = 3,      /* STATUS_DISK_FULL: the image cannot grow */
    CM_STATUS_READ_ONLY = 4,     /* STATUS_MEDIA_WRITE_PROTECTED */
    CM_STATUS_OUT_OF_RANGE = 5,  /* STATUS_NONEXISTENT_SECTOR */
    CM_STATUS_NOT_SUPPORTED = 6, /* STATUS_NOT_SUPPORTED */
    CM_STATUS_NO_MEMORY = 7,     /* STATUS_INSUFFICIENT_RESOURCES */
    CM_STATUS_TIMEOUT = 8,       /* STATUS_IO_TIMEOUT */
    CM_STATUS_ACCESS = 9,        /* STATUS_ACCESS_DENIED */
    CM_STATUS_COUNT              /* anything from here on is a bad reply */
};

/* -- UNMOUNT: in struct cm_unmount, out nothing ------------------------------------------------ */

/*
 * Removes a disk; any handle of the control device may ask. Requests that are waiting or handed out
 * end with STATUS_NO_SUCH_DEVICE; the server's exchanges end with STATUS_DEVICE_REMOVED.
 * Without CM_UNMOUNT_FORCE a disk in use is left alone: one that has requests under way, or handles
 * opened on it besides the caller's own. (On NT a file system holds the handles; lock the volume
 * first.)
 *
 * STATUS_NOT_FOUND    no such disk
 * STATUS_INVALID_PARAMETER  an unknown flag
 * STATUS_DEVICE_BUSY  in use, and CM_UNMOUNT_FORCE not given
 */
struct cm_unmount {
    uint64_t disk_id;
    uint32_t flags;       /* CM_UNMOUNT_* */
    uint32_t own_handles; /* handles on the disk that the caller itself holds */
};

#define CM_UNMOUNT_FORCE (1u << 0)
#define CM_UNMOUNT_ALL_FLAGS CM_UNMOUNT_FORCE

/* -- LIST: in nothing, out struct cm_list + entries -------------------------------------------- */

/*
 * As many entries as fit. STATUS_BUFFER_OVERFLOW (a warning: the data is there) when there are
 * more; cm_list.total tells how many there are.
 */
struct cm_list {
    uint32_t total; /* disks that there are */
    uint32_t count; /* struct cm_list_entry[] that follow */
};

struct cm_list_entry {
    uint64_t disk_id;
    uint64_t size;        /* bytes */
    uint32_t number;      /* see cm_mounted.number */
    uint32_t sector_size; /* bytes */
    uint32_t flags;       /* CM_MOUNT_* */
    uint32_t queue_depth;
    uint32_t slot_size; /* bytes */
    uint32_t owner_pid; /* the process that serves it; 0: none, it is held */
    uint16_t image_name[CM_IMAGE_NAME_UNITS];
};

/* -- STATS: in struct cm_stats_of, out struct cm_stats ----------------------------------------- */

struct cm_stats_of {
    uint64_t disk_id;
};

/* Counted since the mount. requests = completed + failed + cancelled + waiting + in_flight. */
struct cm_stats {
    uint64_t
        requests; /* IRPs taken in to be forwarded; refused ones (bad range...) are not in it */
    uint64_t completed;
    uint64_t failed;
    uint64_t cancelled;
    uint64_t reads; /* completed, by kind; a RESIZE is of none */
    uint64_t writes;
    uint64_t flushes;
    uint64_t trims;
    uint64_t read_bytes;
    uint64_t written_bytes;
    uint64_t exchanges;       /* exchange calls */
    uint64_t handed_out;      /* requests given to the server: large IRPs count once per fragment */
    uint64_t bad_replies;     /* replies refused */
    uint64_t waiting;         /* now: IRPs of which nothing is handed out yet */
    uint64_t in_flight;       /* now: IRPs at least partly handed out */
    uint64_t largest_wait_us; /* longest time from an IRP's arrival until it was handed out */
};

/* -- ATTACH: in struct cm_attach, out struct cm_attached --------------------------------------- */

/*
 * Takes over a disk whose server has gone, while it is held (cm_mount.hold_seconds). From then on it
 * belongs to this handle; it answers again once it has an arena (ARENA_MAP, ARENA_LEND). What has waited
 * is handed out, and what the server before had and did not answer is handed out once more, under new
 * tags: WRITE, TRIM and FLUSH may be done twice, which changes nothing. Tags, arena and exchanges of
 * the server before are of no use any more. Nothing of that server may still be writing to the image:
 * who closes a handle, or attaches with the one that had the disk before, sees to it.
 *
 * The time for which a disk is held begins with each loss of its server. A disk that never had an
 * arena is not held.
 *
 * STATUS_REVISION_MISMATCH   abi_version is not the driver's
 * STATUS_INVALID_PARAMETER   an unknown flag; a size that is not the disk's
 * STATUS_NOT_FOUND           no such disk, or none any more
 * STATUS_DEVICE_BUSY         it has a server: another handle's, whose end the driver has not seen
 * STATUS_DELETE_PENDING      the driver is being stopped
 */
struct cm_attach {
    uint32_t abi_version; /* CM_ABI_VERSION of the caller */
    uint32_t flags;       /* none yet: 0 */
    uint64_t disk_id;
    uint64_t
        size; /* bytes: of the image that will be served; must be the disk's, or that of a RESIZE whose end
                    * nobody has told */
};

struct cm_attached {
    uint64_t disk_id;
    uint64_t arena_size;  /* bytes: queue_depth * slot_size */
    uint32_t number;      /* see cm_mounted.number */
    uint32_t sector_size; /* bytes */
    uint32_t flags;       /* CM_MOUNT_* */
    uint32_t queue_depth;
    uint32_t slot_size; /* bytes */
    uint32_t reserved;
};

/* -- HEALTH: in struct cm_health_of, out struct cm_health -------------------------------------- */

/* Whether a disk is being served, and by a server that answers. Any handle may ask. */
struct cm_health_of {
    uint64_t disk_id;
};

struct cm_health {
    uint32_t state;           /* enum cm_health_state */
    uint32_t hold_seconds;    /* as mounted */
    uint32_t timeout_seconds; /* as mounted */
    uint32_t hold_left_ms;    /* HELD: until it goes; else 0 */
    uint64_t
        unanswered_ms;  /* SERVED: how long requests have been with the server without a reply of
                               any kind to any of them; 0: it has none. A server that has hung shows here */
    uint64_t timed_out; /* requests ended by timeout_seconds; they count as failed */
    uint64_t attaches;  /* how often a server has taken the disk over */
    uint64_t handed_out_again; /* requests that were */
};

enum cm_health_state {
    CM_HEALTH_STARTING = 0, /* it has no arena yet: right after MOUNT or ATTACH */
    CM_HEALTH_SERVED = 1,
    CM_HEALTH_HELD = 2, /* its server has gone: ATTACH, or it goes */
};

/* -- IDENTIFY: in struct cm_identify, out nothing ---------------------------------------------- */

/*
 * Gives a disk of this handle what the mount manager asks of a volume before it gives it a name: an
 * identity, and perhaps the letter that it would like. Before this, the disk refuses to say; so a disk that
 * is not to be known to the mount manager is not identified. May be repeated.
 *
 * The mount manager remembers volumes by their identity, for ever: it should be the same whenever the same
 * image is mounted.
 *
 * STATUS_NOT_FOUND              no such disk of this handle
 * STATUS_INVALID_PARAMETER      an identity of zeros, a letter that is none, reserved is not 0
 * STATUS_OBJECT_NAME_COLLISION  another disk has this identity
 */
struct cm_identify {
    uint64_t disk_id;
    uint8_t unique_id[16];
    uint16_t letter; /* 'A' to 'Z', or 0: none */
    uint16_t reserved[3];
};

/* -- RESIZE: in struct cm_resize, out nothing -------------------------------------------------- */

/*
 * Gives a disk another size; any handle may ask. The server is asked to (CM_OP_RESIZE), and the call PENDS
 * until it has answered, with its error if it refuses. A larger size counts once the server has it.
 * A smaller one cuts data off: the disk must not be in use, as for UNMOUNT, and is refused to all else from
 * the beginning of the call. A disk that is held waits for its next server.
 *
 * After a call that was cancelled, or whose server was lost, ask LIST for the size: the smaller one, if it is not
 * known what the server has done.
 *
 * STATUS_NOT_FOUND          no such disk
 * STATUS_INVALID_PARAMETER  a size that no disk can have, an unknown flag
 * STATUS_NOT_SUPPORTED      the disk was mounted without CM_MOUNT_RESIZE
 * STATUS_MEDIA_WRITE_PROTECTED  it is read-only
 * STATUS_DEVICE_BUSY        it is being resized already; or smaller, and in use
 */
struct cm_resize {
    uint64_t disk_id;
    uint64_t size;        /* bytes; as cm_mount.size */
    uint32_t flags;       /* none yet: 0 */
    uint32_t own_handles; /* handles on the disk that the caller itself holds */
};

/* -- the sizes, the same for x64 and x86 ------------------------------------------------------- */

#ifdef __cplusplus
#define CM_ABI_SIZE(type, bytes) static_assert(sizeof(struct type) == (bytes), #type)
#else
#define CM_ABI_SIZE(type, bytes) _Static_assert(sizeof(struct type) == (bytes), #type)
#endif

CM_ABI_SIZE(cm_version, 16);
CM_ABI_SIZE(cm_mount, 32 + 2 * CM_IMAGE_NAME_UNITS);
CM_ABI_SIZE(cm_mounted, 24);
CM_ABI_SIZE(cm_arena, 16);
CM_ABI_SIZE(cm_arena_mapped, 16);
CM_ABI_SIZE(cm_exchange, 16);
CM_ABI_SIZE(cm_reply, 16);
CM_ABI_SIZE(cm_exchanged, 8);
CM_ABI_SIZE(cm_request, 32);
CM_ABI_SIZE(cm_unmount, 16);
CM_ABI_SIZE(cm_list, 8);
CM_ABI_SIZE(cm_list_entry, 40 + 2 * CM_IMAGE_NAME_UNITS);
CM_ABI_SIZE(cm_stats_of, 8);
CM_ABI_SIZE(cm_stats, 16 * 8);
CM_ABI_SIZE(cm_attach, 24);
CM_ABI_SIZE(cm_attached, 40);
CM_ABI_SIZE(cm_health_of, 8);
CM_ABI_SIZE(cm_health, 48);
CM_ABI_SIZE(cm_identify, 32);
CM_ABI_SIZE(cm_resize, 24);

#endif
