/* SPDX-License-Identifier: MIT */
/*
 * disk.h - disks: an image served as a disk.
 *
 * A disk is a thread pool that answers requests from an image. On Windows the requests come from
 * CoreMnt.sys and the disk has a drive letter (cm_disk_mount). With loopback.h they come from the
 * same process and no driver is needed, on any system.
 */
#ifndef COREMNT_DISK_H
#define COREMNT_DISK_H

#include <stdint.h>

#include "image.h"
#include "stats.h"

#ifdef __cplusplus
extern "C" {
#endif

struct cm_disk;

#define CM_DEFAULT_THREADS 8u
#define CM_DEFAULT_QUEUE_DEPTH 64u          /* requests */
#define CM_DEFAULT_SLOT_SIZE (256u * 1024u) /* bytes */
#define CM_MAX_THREADS 256u

/* Zero-initialise, set struct_size, then what you need. */
struct cm_disk_options {
    uint32_t struct_size; /* sizeof(struct cm_disk_options) */
    uint32_t flags;       /* CM_DISK_* */
    uint32_t threads;     /* that may work on the image at once; 0: CM_DEFAULT_THREADS */
    uint32_t queue_depth; /* requests under way at once; 0: CM_DEFAULT_QUEUE_DEPTH */
    uint32_t slot_size;   /* bytes, a power of two; larger requests are split; 0: the default */
    uint32_t reserved;
    /* "Z:"; an empty folder of an NTFS disk, "C:\\mnt\\data"; NULL: the first free letter, from D: on; "": none,
     * the disk is reached by its device */
    const char *mount_point;
    const char *image_name; /* shown by `coremnt list`; UTF-8; NULL: none */
    uint32_t hold_seconds;  /* how long the disk outlives its server, for cm_disk_attach(); at most
                              * CM_MAX_HOLD_SECONDS; 0: not at all */
    uint32_t request_timeout_seconds; /* a request that takes longer fails; at most
                                       * CM_MAX_TIMEOUT_SECONDS; 0: it may take for ever */
};

/* Windows' mount manager is not told of the disk: it gets its letter or folder all the same, but no volume name, and
 * programs that ask for one (some installers) do not take it for a disk. docs/mount-manager.md */
#define CM_DISK_NO_MOUNT_MANAGER (1u << 0)

/**
 * Mount an image as a disk of this Windows system and serve it.
 *
 * Blocks until the disk answers and has its letter. Not callable from an image's callback.
 * @param image    Stays the caller's; must live until cm_disk_close() has returned.
 * @param options  NULL for defaults; copied.
 * @param disk     Out: release with cm_disk_close(). NULL on failure.
 * @return 0, or CM_ENODRIVER, CM_ESTOPPED, CM_EVERSION, CM_EACCES (not an administrator), CM_EBUSY
 *         (the letter is in use, or none is free), CM_EINVAL (the folder is not empty, ...), CM_ENOENT (no
 *         such folder), CM_ENOMEM; CM_ENOTSUP: the folder's file system has no mount points, and on
 *         other systems than Windows. cm_last_error() has the sentence.
 * Threads: any. Since 0.1.
 */
CM_API int cm_disk_mount(struct cm_image *image, const struct cm_disk_options *options,
                         struct cm_disk **disk);

/* How long cm_disk_attach() waits for the server before to be gone. */
#define CM_ATTACH_PATIENCE_MS 5000u

/**
 * Take over a disk that has lost its server, and serve it: one that was mounted with hold_seconds.
 *
 * Requests that have waited are answered then, and those that the server before had and did not answer
 * are answered once more. The letter and all that is open on the disk stay as they are. Afterwards
 * the disk is like one of cm_disk_mount(), and is held again should this server go as well. Open
 * the image first, so that the disk stays held if that fails; docs/reattach.md says which images
 * and which losses are fit for this.
 *
 * Blocks until the disk answers; for CM_ATTACH_PATIENCE_MS while it still has a server, because a
 * process that was killed takes a moment to go. If it fails, the disk stays as it was, held or
 * served. Not callable from an image's callback.
 * @param image    The bytes that the server before served. Of the disk's size and sector size; one
 *                 that is read-only only for a disk that is; not CM_IMAGE_VOLATILE. Stays the
 *                 caller's; must live until cm_disk_close() has returned.
 * @param which    As for cm_unmount().
 * @param options  `threads`; the rest is the disk's, and ignored. NULL for defaults.
 * @param disk     Out: release with cm_disk_close(). NULL on failure.
 * @return 0, or CM_ENOENT (no such disk, or it has gone: not taken over in time), CM_EBUSY (it has a
 *         server, or is not held), CM_EINVAL (not the disk's size or sector size), CM_EROFS,
 *         CM_ENOTSUP (a volatile image), CM_EVERSION (also: a driver that cannot hold disks),
 *         CM_ENODRIVER, CM_ESTOPPED, CM_EACCES, CM_ENOMEM; CM_ENOTSUP on other systems than
 *         Windows. cm_last_error() has the sentence.
 * Threads: any. Since 0.1.
 */
CM_API int cm_disk_attach(struct cm_image *image, const char *which,
                          const struct cm_disk_options *options, struct cm_disk **disk);

/**
 * Wait until a disk has lost its server and is held. For a server that stands by: its image can be
 * opened only after the other has gone, and cm_disk_attach() comes after that.
 *
 * @param which       As for cm_unmount().
 * @param timeout_ms  Milliseconds; 0: only look; UINT32_MAX: for ever.
 * @return 0: it is held now; CM_EBUSY: it still has a server, or will not be held when that one goes
 *         (at once); CM_ENOENT, CM_EVERSION and the others as for cm_disk_attach().
 * Threads: any. Since 0.1.
 */
CM_API int cm_wait_held(const char *which, uint32_t timeout_ms);

/** The disk's letter ("Z:") or folder (its full path), or "" if it has none. Valid as long as the disk.
 * Since 0.1. */
CM_API const char *cm_disk_mount_point(const struct cm_disk *disk);

/** The disk's device ("\\Device\\CoreMntDisk0"). Valid as long as the disk. Since 0.1. */
CM_API const char *cm_disk_device(const struct cm_disk *disk);

/** The disk's id for cm_unmount(), cm_list() and cm_get_stats(). Since 0.1. */
CM_API uint64_t cm_disk_id(const struct cm_disk *disk);

/**
 * Wait until the disk has been removed, by whomever.
 *
 * @param timeout_ms  Milliseconds; UINT32_MAX waits for ever.
 * @return 0 when it was removed by an unmount, CM_ETIMEDOUT, or why serving ended (CM_EGONE: the
 *         driver was stopped or died; CM_EPROTO).
 * Threads: any. Since 0.1.
 */
CM_API int cm_disk_wait(struct cm_disk *disk, uint32_t timeout_ms);

/**
 * Stop serving and free the disk; one that is still mounted is removed by force: whatever is not
 * written then is lost, so cm_unmount() first. One with hold_seconds is left to be taken over if
 * serving has ended with an error, and only then. NULL is allowed.
 *
 * Blocks until the threads have ended. @return 0, or what the last flush of the image returned.
 * Threads: any one, not an image's callback. Since 0.1.
 */
CM_API int cm_disk_close(struct cm_disk *disk);

#define CM_UNMOUNT_FORCED (1u << 0) /* also when in use: open files lose their disk */

/**
 * Unmount a disk of this system, whoever serves it: flush, lock, dismount, take the letter away,
 * tell Explorer and others, remove the disk.
 *
 * Blocks at most about timeout_ms, trying again while the disk is in use; one that does not answer
 * is given a few seconds even if that is longer. With CM_UNMOUNT_FORCED timeout_ms does not count:
 * it takes less than 5 seconds whatever the disk, its server and its users do, at most 3 of them to
 * write back what the file system holds, and none where that cannot come to anything, because the
 * server has gone or has not answered for CM_NOT_ANSWERING_MS.
 * @param which       A letter ("Z:", "z"), the folder that the disk is mounted in, or a disk id in decimal.
 * @param flags       CM_UNMOUNT_FORCED or 0.
 * @param timeout_ms  Milliseconds; 0: one try.
 * @return 0, CM_ENOENT (no such disk), CM_EBUSY (in use, or held without a server, which is told at
 *         once; nothing has changed), CM_EACCES, CM_EINVAL,
 *         CM_ENODRIVER, CM_ESTOPPED, CM_EIO (the flush failed: the disk stays, unless forced),
 *         CM_ETIMEDOUT (it does not answer: the disk stays); CM_ENOTSUP on other systems than
 *         Windows.
 * Threads: any, also while the same process serves the disk; not an image's callback. Since 0.1.
 */
CM_API int cm_unmount(const char *which, uint32_t flags, uint32_t timeout_ms);

#define CM_RESIZE_SHRINK (1u << 0) /* a smaller size is meant: what lies beyond it is lost */

/**
 * Give a disk of this system another size, whoever serves it: its image is resized, and the system sees the new size
 * at once. Growing needs no unmount; a file system that can (NTFS) takes the new space. To become smaller, a disk must
 * not be in use, and its file system is dismounted.
 *
 * Blocks until the server has done it.
 * @param which     As for cm_unmount().
 * @param size      Bytes; a multiple of the disk's sector size.
 * @param flags     CM_RESIZE_SHRINK or 0.
 * @param extended  Out: whether the file system on the disk has taken the new space.
 * @return 0, CM_ENOENT (no such disk), CM_EINVAL (an impossible size; smaller without CM_RESIZE_SHRINK), CM_EBUSY (to
 *         become smaller, and in use; being resized; held without a server), CM_EROFS, CM_ENOTSUP (the image cannot),
 *         CM_ENOSPC, CM_ETIMEDOUT (the server does not answer), CM_EVERSION and the others as for cm_list().
 * Threads: any, also while the same process serves the disk; not an image's callback. Since 0.1.
 */
CM_API int cm_resize(const char *which, uint64_t size, uint32_t flags, int *extended);

/* A disk of this system. */
struct cm_disk_info {
    uint64_t id;
    uint64_t size;        /* bytes */
    uint32_t number;      /* of \Device\CoreMntDisk<number> */
    uint32_t sector_size; /* bytes */
    uint32_t queue_depth;
    uint32_t slot_size; /* bytes */
    uint32_t owner_pid; /* the process that serves it; 0: none does, it is held */
    int read_only;
    int can_trim;
    int can_resize;
    char mount_point[8];   /* "Z:" or ""; folders are not told */
    char image_name[1040]; /* UTF-8 */
};

/**
 * The disks of this system. Blocks for one call of the driver.
 *
 * @param disks  Out: an array; free with cm_free(). NULL when there are none.
 * @param count  Out.
 * @return 0, CM_ENODRIVER, CM_ESTOPPED, CM_EACCES, CM_ENOMEM, CM_EVERSION, CM_EIO; CM_ENOTSUP on
 *         other systems than Windows.
 * Threads: any. Since 0.1.
 */
CM_API int cm_list(struct cm_disk_info **disks, uint32_t *count);

/**
 * One of them. Blocks for one call of the driver.
 * @param which  As for cm_unmount(). @return as for cm_list(), CM_ENOENT. Threads: any. Since 0.1.
 */
CM_API int cm_get_disk_info(const char *which, struct cm_disk_info *info);

/* Frees what a call of the library says to free with it. NULL is allowed. */
CM_API void cm_free(void *memory);

/**
 * The counters of a disk; their meaning is with struct cm_stats. Blocks for one call of the driver.
 * @param which  As for cm_unmount(). @return as for cm_list(), CM_ENOENT. Threads: any. Since 0.1.
 */
CM_API int cm_get_stats(const char *which, struct cm_stats *stats);

/* A server that has answered nothing for so long while it has requests counts as hung. */
#define CM_NOT_ANSWERING_MS 5000u

/**
 * Whether a disk is served, held, or has a server that does not answer; the meaning is with struct
 * cm_health. Blocks for one call of the driver, never for the server.
 * @param which  As for cm_unmount(). @return as for cm_list(), CM_ENOENT; CM_EVERSION also for a
 * driver that is too old to tell. Threads: any. Since 0.1.
 */
CM_API int cm_get_health(const char *which, struct cm_health *health);

#ifdef __cplusplus
}
#endif
#endif
