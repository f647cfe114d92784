/* SPDX-License-Identifier: MIT */
/*
 * system.c - the clock, sleeping, pages and the system's words for its errors, on Linux.
 *
 * Called from any thread. The clock is hot: every request may be timed; it does not enter the
 * kernel.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <time.h>

#include "lib/core/os.h"

#include <coremnt/error.h>

#define NS_PER_S 1000000000u
#define NS_PER_MS 1000000
#define MS_PER_S 1000u

uint64_t cm_os_now_ns(void)
{
    struct timespec now = {0, 0};

    /* Fails only for clocks that do not exist, and this one always does. */
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

void cm_os_sleep_ms(uint32_t milliseconds)
{
    struct timespec left = {
        .tv_sec = (time_t)(milliseconds / MS_PER_S),
        .tv_nsec = (long)(milliseconds % MS_PER_S) * NS_PER_MS,
    };

    /* A signal must not shorten it. */
    while (nanosleep(&left, &left) != 0 && errno == EINTR)
        ;
}

/* Up to 256 bytes come whole, if no signal keeps the system from beginning. */
int cm_os_random(void *bytes, size_t size)
{
    unsigned char *at = bytes;

    while (size > 0) {
        ssize_t done = getrandom(at, size < 256 ? size : 256, 0);

        if (done < 0 && errno != EINTR)
            return CM_EIO;
        if (done > 0) {
            at += done;
            size -= (size_t)done;
        }
    }
    return 0;
}

void *cm_os_pages_alloc(size_t size)
{
    void *pages = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    return pages == MAP_FAILED ? NULL : pages;
}

void cm_os_pages_free(void *pages, size_t size)
{
    /* Fails only for what is not a mapping. */
    if (pages != NULL)
        (void)munmap(pages, size);
}

void cm_os_error_text(uint32_t system_error, char *text, size_t text_size)
{
    char buffer[128];

    if (text_size == 0)
        return;
    /* The GNU one: it returns the text, in the buffer or not, and always one. */
    snprintf(text, text_size, "%s", strerror_r((int)system_error, buffer, sizeof(buffer)));
}
