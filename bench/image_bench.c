/* SPDX-License-Identifier: MIT */
/*
 * image_bench.c - requests to an image through the library: what scripts/bench-images sets beside qemu-img and qemu-io.
 *
 *   image_bench write IMAGE BYTES STEP COUNT THREADS [fua]
 *       COUNT writes of BYTES, the n-th at n * STEP (round the disk), by so many threads that each take the next: what
 *       "qemu-img bench -w -d THREADS" does. Prints the seconds until all are answered; a flush follows outside of that.
 *   image_bench open IMAGE
 *       Opens read-only and reads a sector at 64 places. Prints milliseconds for the opening, and the most KiB of memory
 *       that the process has had.
 *
 * Files go through the system's cache, as those of QEMU do with cache=writeback.
 */
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "lib/core/os.h"

#include <coremnt/image.h>

#define THREADS_MAX 64u
#define BYTES_MAX (16u << 20)
#define PLACES 64u

struct load {
    struct cm_image *image;
    uint64_t size;
    uint32_t bytes;
    uint64_t step;
    uint64_t count;
    uint32_t flags;
    _Atomic uint64_t next;
    atomic_int error;
};

static int fail(const char *what, int error)
{
    const char *sentence = cm_last_error();

    fprintf(stderr, "image_bench: %s: %s\n", what,
            *sentence != '\0' ? sentence : cm_error_name(error));
    return 1;
}

static int open_image(const char *spec, uint32_t flags, struct cm_image **image, uint64_t *size)
{
    struct cm_image_options options = {
        .struct_size = sizeof(options),
        .flags = flags | CM_OPEN_CACHED,
    };
    struct cm_image_info info;
    int error = cm_image_open(spec, &options, image);

    if (error == 0)
        error = cm_image_get_info(*image, &info);
    if (error == 0)
        *size = info.size;
    return error;
}

/* -- write ------------------------------------------------------------------------------------- */

static void write_on(void *argument)
{
    struct load *load = argument;
    unsigned char *buffer = cm_os_pages_alloc(load->bytes);
    uint64_t room = load->size - load->size % load->bytes;
    int error = buffer == NULL ? CM_ENOMEM : 0;

    if (buffer != NULL)
        memset(buffer, 0xa5, load->bytes);
    while (error == 0) {
        uint64_t number = atomic_fetch_add(&load->next, 1);

        if (number >= load->count)
            break;
        error = cm_image_write(load->image, buffer, load->bytes, number * load->step % room,
                               load->flags);
    }
    if (error != 0)
        load->error = error;
    cm_os_pages_free(buffer, load->bytes);
}

/* @return the seconds, or less than 0 */
static double run_threads(struct load *load, unsigned count)
{
    struct cm_os_thread *threads[THREADS_MAX];
    uint64_t start = cm_os_now_ns();
    unsigned started = 0;

    while (started < count && load->error == 0) {
        int error = cm_os_thread_start(write_on, load, &threads[started]);

        if (error != 0)
            load->error = error;
        else
            started++;
    }
    while (started > 0)
        cm_os_thread_join(threads[--started]);
    return load->error != 0 ? -1.0 : (double)(cm_os_now_ns() - start) / 1e9;
}

static int run_write(char **words, int is_fua)
{
    struct load load = {.flags = is_fua ? CM_IMAGE_FUA : 0};
    uint64_t bytes;
    unsigned threads = (unsigned)strtoul(words[4], NULL, 10);
    double seconds;
    int error;

    if (cm_parse_size(words[1], &bytes) != 0 || cm_parse_size(words[2], &load.step) != 0 ||
        bytes == 0 || bytes > BYTES_MAX || threads == 0 || threads > THREADS_MAX) {
        fprintf(stderr, "image_bench: these sizes or threads are not possible\n");
        return 2;
    }
    load.bytes = (uint32_t)bytes;
    load.count = strtoull(words[3], NULL, 10);
    error = open_image(words[0], 0, &load.image, &load.size);
    if (error != 0)
        return fail(words[0], error);
    seconds = run_threads(&load, threads);
    error = cm_image_close(load.image);
    if (load.error != 0 || error != 0)
        return fail(words[0], load.error != 0 ? load.error : error);
    printf("%.6f\n", seconds);
    return 0;
}

/* -- open -------------------------------------------------------------------------------------- */

static int run_open(const char *spec)
{
    unsigned char sector[4096];
    struct cm_image *image;
    struct rusage usage;
    uint64_t size = 0;
    uint64_t start = cm_os_now_ns();
    uint64_t opened;
    int error = open_image(spec, CM_OPEN_READ_ONLY, &image, &size);

    opened = cm_os_now_ns();
    for (uint64_t i = 0; error == 0 && i < PLACES; i++)
        error = cm_image_read(image, sector, sizeof(sector),
                              size / PLACES * i / sizeof(sector) * sizeof(sector));
    if (error != 0)
        return fail(spec, error);
    (void)cm_image_close(image); /* read-only */
    getrusage(RUSAGE_SELF, &usage);
    printf("%.3f %ld\n", (double)(opened - start) / 1e6, usage.ru_maxrss);
    return 0;
}

int main(int argc, char **argv)
{
    int is_fua = argc == 8 && strcmp(argv[7], "fua") == 0;

    if (argc >= 2 && strcmp(argv[1], "write") == 0 && (argc == 7 || is_fua))
        return run_write(argv + 2, is_fua);
    if (argc == 3 && strcmp(argv[1], "open") == 0)
        return run_open(argv[2]);
    fprintf(stderr, "usage: image_bench write IMAGE BYTES STEP COUNT THREADS [fua]\n"
                    "       image_bench open IMAGE\n");
    return 2;
}
