/* SPDX-License-Identifier: MIT */
/*
 * disk_bench.c - how fast a device answers, or two devices that take turns: for scripts/bench.
 *
 *      disk_bench DEVICE[,DEVICE] read|write random|sequential BYTES CLIENTS MILLISECONDS SPAN [sync]
 *
 * A plain Windows program that knows nothing of CoreMnt; measure.h tells how it measures. The
 * devices' first SPAN bytes are used. Handles are FILE_FLAG_OVERLAPPED unless `sync` is given;
 * MILLISECONDS is the time of each device.
 *
 * Prints one line of JSON: an array with an object for each device. Exit code: 0; 1 when a request
 * failed; 2 for a wrong command line. rawbench.c is the program for people.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/measure.h"

static int parse_number(const char *text, uint64_t max, uint64_t *value)
{
    char *end;

    *value = strtoull(text, &end, 0);
    return end != text && *end == '\0' && *value != 0 && *value <= max;
}

static int parse(int argc, char **argv, struct measure_setup *setup)
{
    uint64_t bytes, clients, milliseconds;
    char *comma;

    if (argc != 8 && !(argc == 9 && strcmp(argv[8], "sync") == 0))
        return 0;
    comma = strchr(argv[1], ',');
    setup->devices[0] = argv[1];
    setup->device_count = comma == NULL ? 1 : 2;
    if (comma != NULL) {
        *comma = '\0';
        setup->devices[1] = comma + 1;
    }
    setup->is_write = strcmp(argv[2], "write") == 0;
    setup->is_random = strcmp(argv[3], "random") == 0;
    setup->is_sync = argc == 9;
    if ((!setup->is_write && strcmp(argv[2], "read") != 0) ||
        (!setup->is_random && strcmp(argv[3], "sequential") != 0))
        return 0;
    if (!parse_number(argv[4], MEASURE_MAX_BYTES, &bytes) ||
        !parse_number(argv[5], MEASURE_MAX_CLIENTS, &clients) ||
        !parse_number(argv[6], 3600u * 1000u, &milliseconds) ||
        !parse_number(argv[7], INT64_MAX, &setup->span) || setup->span < bytes)
        return 0;
    setup->bytes = (uint32_t)bytes;
    setup->clients = (uint32_t)clients;
    setup->milliseconds = (uint32_t)milliseconds;
    return 1;
}

static void report(const struct measure_setup *setup, uint32_t device,
                   const struct measure_result *result)
{
    if (result->errors != 0)
        fprintf(stderr, "disk_bench: %s of %s failed: Win32 error %lu\n",
                setup->is_write ? "write" : "read", setup->devices[device], result->last_error);
    printf("%s{\"operations\": %llu, \"bytes\": %llu, \"seconds\": %.3f, \"per_second\": %.1f, "
           "\"median_us\": %lu, \"p99_us\": %lu, \"errors\": %llu}",
           device == 0 ? "[" : ", ", (unsigned long long)result->operations,
           (unsigned long long)(result->operations * setup->bytes), result->seconds,
           (double)result->operations / result->seconds, (unsigned long)result->median_us,
           (unsigned long)result->p99_us, (unsigned long long)result->errors);
}

int main(int argc, char **argv)
{
    struct measure_setup setup = {0};
    struct measure_result results[MEASURE_MAX_DEVICES];
    const char *what;
    unsigned long error;
    int result = 0;

    if (!parse(argc, argv, &setup)) {
        fprintf(stderr, "usage: disk_bench DEVICE[,DEVICE] read|write random|sequential BYTES "
                        "CLIENTS MILLISECONDS SPAN [sync]\n");
        return 2;
    }
    error = measure_run(&setup, results, &what);
    if (error != 0) {
        fprintf(stderr, "disk_bench: %s failed: Win32 error %lu\n", what, error);
        return 1;
    }
    for (uint32_t i = 0; i < setup.device_count; i++) {
        report(&setup, i, &results[i]);
        result |= results[i].errors != 0;
    }
    printf("]\n");
    return result;
}
