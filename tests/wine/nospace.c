/* SPDX-License-Identifier: MIT */
/*
 * nospace.c - a full disk for one file: preloaded into Wine, it makes writes to that file end with
 * ENOSPC from a given offset on, as a file system does that runs full while a sparse image grows.
 *
 * A small file system of its own would do as well, but mounting one needs rights that neither
 * people nor every CI have.
 *
 * NOSPACE_FILE  the file, by its path on the host
 * NOSPACE_FROM  the first byte that there is no room for
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

typedef ssize_t pwrite_function(int file, const void *data, size_t length, off64_t offset);

ssize_t pwrite(int file, const void *data, size_t length, off_t offset);
ssize_t pwrite64(int file, const void *data, size_t length, off64_t offset);

/* Is it the file, and does the write end beyond its room? Asked anew each time: writes are few. */
static int is_full(int file, size_t length, off64_t offset)
{
    const char *path = getenv("NOSPACE_FILE");
    const char *from = getenv("NOSPACE_FROM");
    struct stat wanted, actual;

    if (path == NULL || from == NULL || stat(path, &wanted) != 0 || fstat(file, &actual) != 0)
        return 0;
    return wanted.st_dev == actual.st_dev && wanted.st_ino == actual.st_ino &&
           offset + (off64_t)length > strtoll(from, NULL, 10);
}

ssize_t pwrite64(int file, const void *data, size_t length, off64_t offset)
{
    static pwrite_function *real;

    if (real == NULL)
        real = (pwrite_function *)dlsym(RTLD_NEXT, "pwrite64");
    if (is_full(file, length, offset)) {
        errno = ENOSPC;
        return -1;
    }
    return real(file, data, length, offset);
}

ssize_t pwrite(int file, const void *data, size_t length, off_t offset)
{
    return pwrite64(file, data, length, offset);
}
