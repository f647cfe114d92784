/* SPDX-License-Identifier: MIT */
/*
 * measure.h - N threads that read or write devices for some time: what disk_bench and rawbench share.
 */
#ifndef COREMNT_BENCH_MEASURE_H
#define COREMNT_BENCH_MEASURE_H

#include <stdint.h>

#define MEASURE_MAX_CLIENTS 64u
#define MEASURE_MAX_DEVICES 2u
#define MEASURE_MAX_BYTES (16u * 1024u * 1024u)

struct measure_setup {
    const char *devices[MEASURE_MAX_DEVICES];
    uint32_t device_count;
    int is_write;
    int is_random;     /* else sequential */
    int is_sync;       /* handles without FILE_FLAG_OVERLAPPED */
    int is_unbuffered; /* FILE_FLAG_NO_BUFFERING: for files */
    int is_verified;   /* what is written, and must be read, is measure_fill()'s */
    uint32_t seed;     /* of that */
    uint32_t bytes;    /* of a request */
    uint32_t clients;  /* each has one request under way */
    uint32_t milliseconds;
    uint64_t span; /* of the device, from its beginning */
};

struct measure_result {
    uint64_t operations;
    uint64_t errors;
    uint64_t wrong;           /* reads of other content than is to be there */
    unsigned long last_error; /* Win32 */
    double seconds;
    double cpu_us; /* that the whole machine was busy; negative: the system does not tell */
    uint32_t median_us;
    uint32_t p99_us;
};

/*
 * Run all clients for `milliseconds` of each device, after a first turn that does not count. With two
 * devices all clients change from one to the other every tenth of a second or so: what else the machine does
 * then hits both alike.
 * Returns 0 and results[device_count], also when requests have failed; else a Win32 error, and *what
 * says what could not be done.
 * One at a time: it uses static variables.
 */
unsigned long measure_run(const struct measure_setup *setup, struct measure_result *results,
                          const char **what);

/* What a verified device holds from this offset on; both are multiples of 8. */
void measure_fill(void *buffer, uint32_t bytes, uint64_t offset, uint32_t seed);

#endif
