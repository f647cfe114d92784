/* SPDX-License-Identifier: MIT */
/*
 * os.h - everything that the portable code asks of an operating system.
 *
 * Two implementations, lib/linux/ and lib/windows/, with the same file names: file.c, thread.c, ...
 * Portable code (lib/core, images, cli) includes this and no header of a system.
 * Errors are CM_E...; those of files also set the thread's last-error sentence, which names the
 * file. Paths are UTF-8.
 */
#ifndef CM_OS_H
#define CM_OS_H

#include <stddef.h>
#include <stdint.h>

/* -- file.c ------------------------------------------------------------------------------------ */

struct cm_os_file;

#define CM_OS_READ_ONLY (1u << 0)
#define CM_OS_CREATE (1u << 1)    /* make it; CM_EEXIST if it is there */
#define CM_OS_EXCLUSIVE (1u << 2) /* CM_EBUSY if another process has it open for writing */
/*
 * A disk is to be served from it, so no request may wait for that disk: see docs/deadlocks.md. On
 * Windows it does not go through the system's cache, and is refused if the system would cache it
 * all the same (CM_ENOTSUP) or if it lies on a disk that nobody else serves (CM_EINVAL). Linux
 * has no such disks.
 */
#define CM_OS_IMAGE (1u << 3)
#define CM_OS_CACHED (1u << 4)   /* with CM_OS_IMAGE: through the cache all the same */
#define CM_OS_UNCACHED (1u << 5) /* never through the cache; CM_ENOTSUP if it cannot be so */

/* Opens a regular file; CM_EINVAL for a folder or a device. Blocks. */
int cm_os_file_open(const char *path, uint32_t flags, struct cm_os_file **file);
void cm_os_file_close(struct cm_os_file *file);
/* Remove the file at a path: to take back one that was made and could not be filled. */
int cm_os_file_remove(const char *path);
/* Give a closed file another name in the same folder, durably; CM_EEXIST if that name is taken, whoever was quicker. */
int cm_os_file_rename_new(const char *from, const char *to);

/* A path that does not depend on the current folder, into `size` bytes; the file need not exist. Where the folder does,
 * there is no "." and no ".." in it, so that it can be compared part by part. CM_EINVAL: no path, or longer than that;
 * CM_ENOMEM. */
int cm_os_full_path(const char *path, char *full, size_t size);

/* What offsets, lengths and the memory of requests must be multiples of, in bytes: a power of two;
 * 1 for a file that goes through the system's cache. lib/core/aligned.h serves the others. */
uint32_t cm_os_file_alignment(const struct cm_os_file *file);

/* All or nothing; reads beyond the end of the file give zeros. A write of whole blocks beyond the
 * end makes the file longer. Hot: set only the number, no sentence. Any threads at once. */
int cm_os_file_read(struct cm_os_file *file, void *buffer, uint32_t length, uint64_t offset);
int cm_os_file_write(struct cm_os_file *file, const void *buffer, uint32_t length, uint64_t offset);
int cm_os_file_flush(struct cm_os_file *file);

int cm_os_file_size(struct cm_os_file *file, uint64_t *size);
int cm_os_file_resize(struct cm_os_file *file, uint64_t size);
/* Bytes of storage that the file takes now. */
int cm_os_file_allocated(struct cm_os_file *file, uint64_t *allocated);
/* Let the file have holes: FSCTL_SET_SPARSE on Windows, nothing on Linux. CM_ENOTSUP if the file
 * system cannot: the file then takes its whole size. */
int cm_os_file_set_sparse(struct cm_os_file *file);
/* Take the space of a range within the file, whole blocks, so that a later write finds it. Nobody else may write there
 * meanwhile. CM_ENOSPC. */
int cm_os_file_reserve(struct cm_os_file *file, uint64_t offset, uint64_t length);
/* Make a range a hole: it reads as zeros and takes no space. CM_ENOTSUP if the file system cannot,
 * or the file is not sparse (Windows). As hot as write: sets no sentence. */
int cm_os_file_punch(struct cm_os_file *file, uint64_t offset, uint64_t length);
/* Whether the file has a hole at `offset`, and for how many of the next `length` bytes, not 0, that is so. What lies beyond
 * the end is a hole. Where the system does not know, all is data. May wait for metadata; sets no sentence. */
int cm_os_file_extent(struct cm_os_file *file, uint64_t offset, uint64_t length,
                      uint64_t *length_alike, int *is_hole);

/* -- thread.c ---------------------------------------------------------------------------------- */

struct cm_os_thread;
int cm_os_thread_start(void (*run)(void *argument), void *argument, struct cm_os_thread **thread);
void cm_os_thread_join(struct cm_os_thread *thread); /* and frees it */

/* Opaque, but of known size, so that they can be fields; thread.c asserts that they fit. */
struct cm_os_mutex {
    _Alignas(8) unsigned char space[48];
};
struct cm_os_cond {
    _Alignas(8) unsigned char space[64];
};

void cm_os_mutex_init(struct cm_os_mutex *mutex);
void cm_os_mutex_destroy(struct cm_os_mutex *mutex);
void cm_os_mutex_lock(struct cm_os_mutex *mutex);
void cm_os_mutex_unlock(struct cm_os_mutex *mutex);
void cm_os_cond_init(struct cm_os_cond *cond);
void cm_os_cond_destroy(struct cm_os_cond *cond);
void cm_os_cond_wait(struct cm_os_cond *cond, struct cm_os_mutex *mutex);
/* @return 0, or CM_ETIMEDOUT after about timeout_ms. May also return 0 for no reason. */
int cm_os_cond_wait_ms(struct cm_os_cond *cond, struct cm_os_mutex *mutex, uint32_t timeout_ms);
void cm_os_cond_signal(struct cm_os_cond *cond);
void cm_os_cond_broadcast(struct cm_os_cond *cond);

/* -- system.c ---------------------------------------------------------------------------------- */

uint64_t cm_os_now_ns(void); /* monotonic, from an arbitrary start */
void cm_os_sleep_ms(uint32_t milliseconds);

/* Until a time of cm_os_now_ns(); 0: it is over. */
static inline uint32_t cm_os_ms_until(uint64_t deadline_ns)
{
    uint64_t now = cm_os_now_ns();

    return now >= deadline_ns ? 0 : (uint32_t)((deadline_ns - now) / 1000000u);
}

/* Bytes that nobody can guess: for identifiers. CM_EIO: the system has none to give. */
int cm_os_random(void *bytes, size_t size);

/* Zeroed, page-aligned memory straight from the system: for the arena. NULL: no memory. */
void *cm_os_pages_alloc(size_t size);
void cm_os_pages_free(void *pages, size_t size);
/* A sentence of the system about its own error number, into a buffer; always terminated. */
void cm_os_error_text(uint32_t system_error, char *text, size_t text_size);

#endif
