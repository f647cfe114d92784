/* SPDX-License-Identifier: MIT */
/*
 * file.c - the files of images, on Linux.
 *
 * Images open, size and close files on the thread of whoever opens the image; the threads that
 * serve a disk read, write, flush and punch, many at once: pread and pwrite share no position, so
 * nothing here needs a lock. Those four are hot and set only the number.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/core/error_internal.h"
#include "lib/core/file_error.h"
#include "lib/core/os.h"

#include <coremnt/error.h>

struct cm_os_file {
    int fd;
    int read_only;
    uint32_t alignment;
    char path[]; /* for sentences */
};

/* Past the cache: what every device takes, however large its blocks are. */
#define DIRECT_ALIGNMENT 4096u

/* Storage is counted in these, whatever the file system's block size: stat(2). */
#define STAT_BLOCK 512u

static int refuse_read_only(const char *action, const struct cm_os_file *file)
{
    return cm_fail(CM_EROFS, "cannot %s %s: it was opened read-only.", action, file->path);
}

/* -- opening ----------------------------------------------------------------------------------- */

/* The path of a folder without "." and "..", and without links, which ".." does not go back through. free(); NULL: errno. */
static char *real_folder(const char *path, size_t length)
{
    char *folder = length == 0 ? strdup(".") : strndup(path, length);
    char *real = folder != NULL ? realpath(folder, NULL) : NULL;
    int error = errno;

    free(folder);
    errno = error;
    return real;
}

/* In a folder that is not there nothing can be resolved. */
static int full_path_as_it_is(const char *path, char *full, size_t size)
{
    size_t used = 0;

    if (path[0] != '/') {
        if (getcwd(full, size) == NULL)
            return cm_file_fail("find the folder of", path, errno);
        used = strlen(full);
    }
    if (snprintf(full + used, size - used, "%s%s", used > 0 ? "/" : "", path) >= (int)(size - used))
        return cm_fail(CM_EINVAL, "the path of \"%.200s\" is too long.", path);
    return 0;
}

int cm_os_full_path(const char *path, char *full, size_t size)
{
    const char *slash = strrchr(path, '/');
    const char *name = slash != NULL ? slash + 1 : path;
    char *folder = real_folder(path, (size_t)(name - path));
    int length;

    if (folder == NULL && errno == ENOMEM)
        return cm_fail(CM_ENOMEM, "no memory for a path.");
    if (folder == NULL)
        return full_path_as_it_is(path, full, size);
    length = snprintf(full, size, "%s/%s", strcmp(folder, "/") == 0 ? "" : folder, name);
    free(folder);
    if (length >= 0 && (size_t)length < size)
        return 0;
    return cm_fail(CM_EINVAL, "the path of \"%.200s\" is too long.", path);
}

static int check_kind(const char *path, const struct stat *status)
{
    if (S_ISREG(status->st_mode))
        return 0;
    if (S_ISDIR(status->st_mode))
        return cm_file_fail("open", path, EISDIR);
    return cm_file_fail("open", path, ENXIO);
}

/*
 * Looks before it opens, because opening alone does something to some devices: tapes rewind, a
 * watchdog starts. Between looking and opening a FIFO may take the file's place; O_NONBLOCK keeps
 * us from waiting for its other end, and open_checked() looks again.
 */
static int open_descriptor(const char *path, uint32_t flags, int *fd)
{
    int mode = ((flags & CM_OS_READ_ONLY) != 0 ? O_RDONLY : O_RDWR) | O_CLOEXEC | O_NOCTTY;
    struct stat status;

    if ((flags & CM_OS_CREATE) != 0) {
        mode |= O_CREAT | O_EXCL;
    } else {
        int error = 0;
        if (stat(path, &status) != 0)
            return cm_file_fail("open", path, errno);
        error = check_kind(path, &status);
        if (error != 0)
            return error;
        mode |= O_NONBLOCK;
    }
    do
        *fd = open(path, mode, 0666);
    while (*fd < 0 && errno == EINTR);
    if (*fd < 0)
        return cm_file_fail((flags & CM_OS_CREATE) != 0 ? "create" : "open", path, errno);
    return 0;
}

/*
 * Locks are advice: they keep out those who lock too, which is us; a program that does not ask may
 * still write. Of us, a writer with CM_OS_EXCLUSIVE keeps out all others with that flag; readers
 * with it keep out and are kept out by such writers, but not by each other. A reader without it
 * takes no lock: it may look at an image that is being written. flock and not fcntl, whose locks
 * vanish when any descriptor of the file in this process is closed.
 */
static int lock_descriptor(int fd, const char *path, uint32_t flags)
{
    int kind = (flags & CM_OS_READ_ONLY) != 0 ? LOCK_SH : LOCK_EX;

    if ((flags & CM_OS_EXCLUSIVE) == 0)
        return 0;
    while (flock(fd, kind | LOCK_NB) != 0) {
        if (errno == EWOULDBLOCK && kind == LOCK_EX) /* by readers, or a writer: one cannot know */
            return cm_file_fail("open", path, EBUSY);
        if (errno != EINTR)
            return cm_file_fail("open", path, errno);
    }
    return 0;
}

/*
 * What is to stay set of the flags of the descriptor. Some file systems in user space take
 * O_NONBLOCK seriously, which regular files need not. CM_OS_IMAGE alone changes nothing here: this
 * system has no disks of ours that could wait for themselves.
 */
static int set_flags(int fd, const char *path, uint32_t flags)
{
    int direct = (flags & CM_OS_UNCACHED) != 0;

    if (fcntl(fd, F_SETFL, direct ? O_DIRECT : 0) == 0)
        return 0;
    if (direct && errno == EINVAL)
        return cm_fail(CM_ENOTSUP, "cannot open %s: its file system caches all files.", path);
    return cm_file_fail("open", path, errno);
}

static int open_checked(const char *path, uint32_t flags, int *fd)
{
    struct stat status;
    int error = open_descriptor(path, flags, fd);

    if (error != 0)
        return error;
    if (fstat(*fd, &status) != 0)
        error = cm_file_fail("open", path, errno);
    else
        error = check_kind(path, &status);
    if (error == 0)
        error = set_flags(*fd, path, flags);
    if (error == 0)
        error = lock_descriptor(*fd, path, flags);
    if (error == 0)
        return 0;
    /* Take back what we made, unless somebody was fast enough to make it theirs. The first failure
     * is the one to tell, so unlink's is not asked for. */
    if ((flags & CM_OS_CREATE) != 0 && error != CM_EBUSY)
        (void)unlink(path);
    close(*fd);
    return error;
}

int cm_os_file_open(const char *path, uint32_t flags, struct cm_os_file **file)
{
    size_t length = strlen(path) + 1;
    struct cm_os_file *opened = malloc(sizeof(*opened) + length);
    int error;

    *file = NULL;
    if (opened == NULL)
        return cm_fail(CM_ENOMEM, "cannot open %s: no memory.", path);
    memcpy(opened->path, path, length);
    opened->read_only = (flags & CM_OS_READ_ONLY) != 0;
    opened->alignment = (flags & CM_OS_UNCACHED) != 0 ? DIRECT_ALIGNMENT : 1;
    error = open_checked(path, flags, &opened->fd);
    if (error != 0) {
        free(opened);
        return error;
    }
    *file = opened;
    return 0;
}

/* What close() could still say (NFS, quotas), flush has said to whoever cares about the data. After
 * an EINTR Linux has closed it all the same, so there is nothing to repeat. */
void cm_os_file_close(struct cm_os_file *file)
{
    if (file == NULL)
        return;
    (void)close(file->fd);
    free(file);
}

int cm_os_file_remove(const char *path)
{
    if (unlink(path) != 0)
        return cm_file_fail("remove", path, errno);
    return 0;
}

/* A folder whose file system cannot flush folders (EINVAL) does so by itself or not at all. */
static int flush_folder_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    size_t length = slash == NULL ? 1 : (size_t)(slash - path) + (slash == path);
    char *folder = strndup(slash == NULL ? "." : path, length);
    int fd = folder != NULL ? open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    int error = 0;

    if (fd < 0 || (fsync(fd) != 0 && errno != EINVAL))
        error = cm_file_fail("flush the folder of", path, folder != NULL ? errno : ENOMEM);
    if (fd >= 0)
        close(fd);
    free(folder);
    return error;
}

/* A link is refused as well when the name is taken, on file systems that know no better. */
int cm_os_file_rename_new(const char *from, const char *to)
{
    if (renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE) != 0) {
        if (errno != EINVAL && errno != ENOSYS)
            return cm_file_fail("create", to, errno);
        if (link(from, to) != 0)
            return cm_file_fail("create", to, errno);
        if (unlink(from) != 0)
            return cm_file_fail("remove", from, errno);
    }
    return flush_folder_of(to);
}

/* -- input and output -------------------------------------------------------------------------- */

uint32_t cm_os_file_alignment(const struct cm_os_file *file)
{
    return file->alignment;
}

int cm_os_file_read(struct cm_os_file *file, void *buffer, uint32_t length, uint64_t offset)
{
    char *at = buffer;

    while (length > 0) {
        ssize_t done = pread(file->fd, at, length, (off_t)offset);
        if (done < 0) {
            if (errno == EINTR)
                continue;
            return cm_file_error(errno);
        }
        if (done == 0) { /* the end of the file */
            memset(at, 0, length);
            return 0;
        }
        at += done;
        offset += (uint64_t)done;
        length -= (uint32_t)done;
        if ((uint64_t)done % file->alignment != 0) { /* the end, within a block */
            memset(at, 0, length);
            return 0;
        }
    }
    return 0;
}

int cm_os_file_write(struct cm_os_file *file, const void *buffer, uint32_t length, uint64_t offset)
{
    const char *at = buffer;

    if (file->read_only)
        return CM_EROFS;
    while (length > 0) {
        /* A full disk first cuts a write short; the next one then says why. */
        ssize_t done = pwrite(file->fd, at, length, (off_t)offset);
        if (done < 0) {
            if (errno == EINTR)
                continue;
            return cm_file_error(errno);
        }
        if (done == 0) /* never for a regular file; without this it would be an endless loop */
            return CM_EIO;
        at += done;
        offset += (uint64_t)done;
        length -= (uint32_t)done;
    }
    return 0;
}

/*
 * fdatasync and not fsync: both bring the data to the disk, and the size and block map that one
 * needs to find it. fsync adds the times of the file, which costs another write to the journal at
 * each flush of the mounted file system and tells nobody anything. An error is reported once by the
 * kernel and must not be retried: it has dropped the pages, and the second call would lie.
 */
int cm_os_file_flush(struct cm_os_file *file)
{
    while (fdatasync(file->fd) != 0)
        if (errno != EINTR)
            return cm_file_error(errno);
    return 0;
}

/* Also hot: TRIM comes from the mounted file system. */
int cm_os_file_punch(struct cm_os_file *file, uint64_t offset, uint64_t length)
{
    if (file->read_only)
        return CM_EROFS;
    if (length == 0) /* which fallocate takes for a mistake */
        return 0;
    while (fallocate(file->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)offset,
                     (off_t)length) != 0)
        if (errno != EINTR)
            return cm_file_error(errno);
    return 0;
}

/* The position of the descriptor, which this moves, means nothing: nobody reads or writes by it. */
int cm_os_file_extent(struct cm_os_file *file, uint64_t offset, uint64_t length,
                      uint64_t *length_alike, int *is_hole)
{
    off_t data = lseek(file->fd, (off_t)offset, SEEK_DATA);
    off_t end;

    *length_alike = length;
    *is_hole = data < 0 && errno == ENXIO; /* no data from here on */
    if (data < 0)
        return *is_hole || errno == EINVAL || errno == EOPNOTSUPP ? 0 : cm_file_error(errno);
    *is_hole = (uint64_t)data > offset;
    end = *is_hole ? data : lseek(file->fd, (off_t)offset, SEEK_HOLE);
    if (end > 0 && (uint64_t)end > offset && (uint64_t)end - offset < length)
        *length_alike = (uint64_t)end - offset;
    return 0;
}

/* Not fallocate(), which some file systems lack: this one then writes to each block. Returns its error. */
int cm_os_file_reserve(struct cm_os_file *file, uint64_t offset, uint64_t length)
{
    int error;

    if (file->read_only)
        return CM_EROFS;
    do
        error = posix_fallocate(file->fd, (off_t)offset, (off_t)length);
    while (error == EINTR);
    return error == 0 ? 0 : cm_file_error(error);
}

/* -- sizes ------------------------------------------------------------------------------------- */

int cm_os_file_size(struct cm_os_file *file, uint64_t *size)
{
    struct stat status;

    if (fstat(file->fd, &status) != 0)
        return cm_file_fail("get the size of", file->path, errno);
    *size = (uint64_t)status.st_size;
    return 0;
}

int cm_os_file_resize(struct cm_os_file *file, uint64_t size)
{
    if (file->read_only)
        return refuse_read_only("resize", file);
    if (size > INT64_MAX)
        return cm_file_fail("resize", file->path, EFBIG);
    while (ftruncate(file->fd, (off_t)size) != 0)
        if (errno != EINTR)
            return cm_file_fail("resize", file->path, errno);
    return 0;
}

int cm_os_file_allocated(struct cm_os_file *file, uint64_t *allocated)
{
    struct stat status;

    if (fstat(file->fd, &status) != 0)
        return cm_file_fail("get the size of", file->path, errno);
    *allocated = (uint64_t)status.st_blocks * STAT_BLOCK;
    return 0;
}

int cm_os_file_set_sparse(struct cm_os_file *file)
{
    return file->read_only ? refuse_read_only("make sparse", file) : 0;
}
