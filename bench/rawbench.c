/* SPDX-License-Identifier: MIT */
/*
 * rawbench.c - how fast a disk such as \\.\Z:, or a file, reads and writes: the program for people.
 *
 * Sequential requests of 1 MiB and random ones of 4 KiB, at queue depths 1 and 8. Every round measures
 * each case on each target, one after the other, so that what else the machine does is spread over
 * all; the median of the rounds is the result, and their least and most tell how far to trust it.
 * A plain Windows program: it knows nothing of CoreMnt. measure.h has how it measures.
 *
 * Exit code: 0; 1 when a request failed or content was wrong; 2 for a wrong command line.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/measure.h"

/* windows.h comes first: the other needs it. */
#include <windows.h>

#include <winioctl.h>

#define MAX_TARGETS 8u
#define MAX_ROUNDS 99u
#define MAX_MILLISECONDS 600000u
#define DEFAULT_ROUNDS 3u
#define DEFAULT_MILLISECONDS 1000u
#define MAX_SPAN (UINT64_C(64) << 20) /* of a target; more would only measure the image's disk */
#define MIB 1048576u

static const struct bench_case {
    const char *name;
    int is_write;
    int is_random;
    uint32_t bytes;
    uint32_t depth;
} cases[] = {
    {"seqread-1", 0, 0, MIB, 1},    {"seqread-8", 0, 0, MIB, 8},    {"seqwrite-1", 1, 0, MIB, 1},
    {"seqwrite-8", 1, 0, MIB, 8},   {"randread-1", 0, 1, 4096, 1},  {"randread-8", 0, 1, 4096, 8},
    {"randwrite-1", 1, 1, 4096, 1}, {"randwrite-8", 1, 1, 4096, 8},
};

#define CASES (sizeof(cases) / sizeof(cases[0]))

struct target {
    const char *name;
    int is_file;
    uint64_t span;
    struct measure_result results[CASES][MAX_ROUNDS];
};

struct options {
    int write;
    int verify;
    int json;
    uint32_t rounds;
    uint32_t milliseconds;
    uint32_t seed;
    uint32_t target_count;
};

static struct target targets[MAX_TARGETS];

/* -- the command line -------------------------------------------------------------------------- */

static int print_help(void)
{
    printf("rawbench - how fast a disk or a file reads and writes\n\n"
           "Usage: rawbench TARGET... [OPTIONS]\n\n"
           "TARGET is a disk, as \\\\.\\Z:, or a file of at least 1 MiB. Of each the first 64 MiB "
           "are used.\n\n"
           "  --write           measure writes, too: WHAT IS ON THE TARGET IS LOST\n"
           "  --verify          with --write: fill the target first, and compare whatever is read\n"
           "  --rounds N        how often everything is measured; the median counts (%u)\n"
           "  --milliseconds N  of one measurement (%u)\n"
           "  --json            for programs\n\n"
           "Sequential requests have 1 MiB, random ones 4 KiB; -1 and -8 are requests under way at "
           "once.\nCPU is what the whole machine was busy, per request.\n\n"
           "Example: rawbench \\\\.\\Z: --rounds 5\n",
           DEFAULT_ROUNDS, DEFAULT_MILLISECONDS);
    return 0;
}

static int refuse(const char *sentence, const char *argument)
{
    fprintf(stderr, "rawbench: ");
    fprintf(stderr, "%s%s%s", sentence, argument != NULL ? ": " : "",
            argument != NULL ? argument : "");
    fprintf(stderr, ". See \"rawbench --help\".\n");
    return 2;
}

static int parse_number(const char *text, uint32_t max, uint32_t *value)
{
    char *end = NULL;
    unsigned long number = text != NULL ? strtoul(text, &end, 10) : 0;

    if (text == NULL || *text < '0' || *text > '9' || *end != '\0' || number == 0 || number > max)
        return 0;
    *value = (uint32_t)number;
    return 1;
}

/* @return 0, or 2 after a sentence; -1: the help was asked for. */
static int parse_option(const char *name, const char *value, struct options *options, int *used)
{
    *used = 1;
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0)
        return -1;
    if (strcmp(name, "--write") == 0) {
        options->write = 1;
    } else if (strcmp(name, "--verify") == 0) {
        options->verify = 1;
    } else if (strcmp(name, "--json") == 0) {
        options->json = 1;
    } else if (strcmp(name, "--rounds") == 0) {
        *used = 2;
        if (!parse_number(value, MAX_ROUNDS, &options->rounds))
            return refuse("--rounds wants a number from 1 to 99", value);
    } else if (strcmp(name, "--milliseconds") == 0) {
        *used = 2;
        if (!parse_number(value, MAX_MILLISECONDS, &options->milliseconds))
            return refuse("--milliseconds wants a number from 1 to 600000", value);
    } else {
        return refuse("there is no option of this name", name);
    }
    return 0;
}

static int parse(int argc, char **argv, struct options *options)
{
    for (int i = 1; i < argc;) {
        int used = 1;
        int result = 0;

        if (argv[i][0] == '-')
            result = parse_option(argv[i], i + 1 < argc ? argv[i + 1] : NULL, options, &used);
        else if (options->target_count == MAX_TARGETS)
            result = refuse("no more than 8 targets", argv[i]);
        else
            targets[options->target_count++].name = argv[i];
        if (result != 0)
            return result;
        i += used;
    }
    if (options->target_count == 0)
        return refuse("a target is missing, such as \\\\.\\Z:", NULL);
    if (options->verify && !options->write)
        return refuse("--verify must fill the target first, so it needs --write", NULL);
    return 0;
}

/* -- targets ----------------------------------------------------------------------------------- */

static int fail_target(const struct target *target, const char *what, unsigned long error)
{
    fprintf(stderr, "rawbench: %s: cannot %s: Win32 error %lu.\n", target->name, what, error);
    return 1;
}

/* A device tells its length by an ioctl, a file by its own. */
static int find_span(struct target *target)
{
    GET_LENGTH_INFORMATION length = {0};
    LARGE_INTEGER size = {0};
    DWORD done;
    HANDLE handle = CreateFileA(target->name, GENERIC_READ, FILE_SHARE_READ | FILE_SHARE_WRITE,
                                NULL, OPEN_EXISTING, 0, NULL);

    if (handle == INVALID_HANDLE_VALUE)
        return fail_target(target, "open it", GetLastError());
    target->is_file = strncmp(target->name, "\\\\.\\", 4) != 0;
    if (target->is_file)
        GetFileSizeEx(handle, &size);
    else if (DeviceIoControl(handle, IOCTL_DISK_GET_LENGTH_INFO, NULL, 0, &length, sizeof(length),
                             &done, NULL))
        size = length.Length;
    CloseHandle(handle);
    target->span = (uint64_t)size.QuadPart < MAX_SPAN ? (uint64_t)size.QuadPart : MAX_SPAN;
    target->span -= target->span % MIB;
    if (target->span != 0)
        return 0;
    fprintf(stderr, "rawbench: %s has less than 1 MiB, or does not tell its size.\n", target->name);
    return 1;
}

/* So that even what no case has written is known. */
static int fill_target(struct target *target, uint32_t seed)
{
    HANDLE handle = CreateFileA(target->name, GENERIC_READ | GENERIC_WRITE,
                                FILE_SHARE_READ | FILE_SHARE_WRITE, NULL, OPEN_EXISTING, 0, NULL);
    void *buffer = VirtualAlloc(NULL, MIB, MEM_COMMIT, PAGE_READWRITE);
    DWORD error = ERROR_SUCCESS;

    if (handle == INVALID_HANDLE_VALUE || buffer == NULL)
        return fail_target(target, "open it for writing", GetLastError());
    for (uint64_t offset = 0; offset < target->span && error == ERROR_SUCCESS; offset += MIB) {
        OVERLAPPED where = {.Offset = (DWORD)offset};
        DWORD done = 0;

        measure_fill(buffer, MIB, offset, seed);
        if (!WriteFile(handle, buffer, MIB, &done, &where))
            error = GetLastError();
    }
    VirtualFree(buffer, 0, MEM_RELEASE);
    CloseHandle(handle);
    return error == ERROR_SUCCESS ? 0 : fail_target(target, "fill it", error);
}

/* -- measuring --------------------------------------------------------------------------------- */

static int measure_case(struct target *target, size_t index, uint32_t round,
                        const struct options *options)
{
    const struct bench_case *what = &cases[index];
    struct measure_result *result = &target->results[index][round];
    struct measure_setup setup = {
        .devices = {target->name},
        .device_count = 1,
        .is_write = what->is_write,
        .is_random = what->is_random,
        .is_unbuffered = target->is_file,
        .is_verified = options->verify,
        .seed = options->seed,
        .bytes = what->bytes,
        .clients = what->depth,
        .milliseconds = options->milliseconds,
        .span = target->span,
    };
    const char *doing;
    unsigned long error = measure_run(&setup, result, &doing);

    if (error != 0)
        return fail_target(target, doing, error);
    if (result->wrong != 0) {
        fprintf(stderr, "rawbench: %s: %s has read other content than was written.\n", target->name,
                what->name);
        return 1;
    }
    if (result->errors != 0)
        return fail_target(target, what->is_write ? "write" : "read", result->last_error);
    return 0;
}

static int measure_all(const struct options *options)
{
    for (uint32_t round = 0; round < options->rounds; round++)
        for (size_t i = 0; i < CASES; i++)
            for (uint32_t t = 0; t < options->target_count; t++)
                if ((options->write || !cases[i].is_write) &&
                    measure_case(&targets[t], i, round, options) != 0)
                    return 1;
    return 0;
}

/* -- the result -------------------------------------------------------------------------------- */

struct summary {
    double median; /* MB/s of sequential cases, requests a second of random ones */
    double least;
    double most;
    uint32_t p50_us; /* medians of the rounds' */
    uint32_t p99_us;
    double cpu_us; /* of a request; negative: not known */
};

static int compare(const void *a, const void *b)
{
    double left = *(const double *)a, right = *(const double *)b;

    return left < right ? -1 : left > right;
}

static double median_of(double *values, uint32_t count)
{
    qsort(values, count, sizeof(*values), compare);
    return count % 2 != 0 ? values[count / 2] : (values[count / 2 - 1] + values[count / 2]) / 2;
}

static struct summary summarize(const struct target *target, size_t index, uint32_t rounds)
{
    double values[4][MAX_ROUNDS];
    struct summary summary;

    for (uint32_t i = 0; i < rounds; i++) {
        const struct measure_result *result = &target->results[index][i];
        double operations = (double)result->operations;

        values[0][i] = operations / result->seconds;
        if (!cases[index].is_random)
            values[0][i] *= cases[index].bytes / 1e6;
        values[1][i] = result->median_us;
        values[2][i] = result->p99_us;
        values[3][i] =
            result->cpu_us < 0 || result->operations == 0 ? -1 : result->cpu_us / operations;
    }
    summary.median = median_of(values[0], rounds);
    summary.least = values[0][0]; /* sorted now */
    summary.most = values[0][rounds - 1];
    summary.p50_us = (uint32_t)median_of(values[1], rounds);
    summary.p99_us = (uint32_t)median_of(values[2], rounds);
    summary.cpu_us = median_of(values[3], rounds);
    return summary;
}

static void print_text(const struct target *target, const struct options *options)
{
    printf("%s, %llu MiB, %u rounds of %u ms%s\n", target->name,
           (unsigned long long)(target->span / MIB), (unsigned)options->rounds,
           (unsigned)options->milliseconds, options->verify ? ", verified" : "");
    printf("%-12s %10s %21s  %-6s %8s %8s %8s\n", "case", "median", "least - most", "unit",
           "p50 us", "p99 us", "CPU us");
    for (size_t i = 0; i < CASES; i++) {
        struct summary s;
        char range[32];
        char cpu[16] = "-";

        if (cases[i].is_write && !options->write)
            continue;
        s = summarize(target, i, options->rounds);
        snprintf(range, sizeof(range), "%.0f - %.0f", s.least, s.most);
        if (s.cpu_us >= 0)
            snprintf(cpu, sizeof(cpu), "%.0f", s.cpu_us);
        printf("%-12s %10.0f %21s  %-6s %8u %8u %8s\n", cases[i].name, s.median, range,
               cases[i].is_random ? "1/s" : "MB/s", (unsigned)s.p50_us, (unsigned)s.p99_us, cpu);
    }
}

/* In a JSON string: device names are full of backslashes. */
static void print_quoted(const char *text)
{
    putchar('"');
    for (; *text != '\0'; text++) {
        if (*text == '"' || *text == '\\')
            putchar('\\');
        putchar(*text);
    }
    putchar('"');
}

static void print_json(const struct target *target, const struct options *options, int is_first)
{
    const char *separator = "";

    printf("%s{\"target\": ", is_first ? "[" : ",\n ");
    print_quoted(target->name);
    printf(", \"span\": %llu, \"rounds\": %u, \"milliseconds\": %u, \"verified\": %s, \"cases\": [",
           (unsigned long long)target->span, (unsigned)options->rounds,
           (unsigned)options->milliseconds, options->verify ? "true" : "false");
    for (size_t i = 0; i < CASES; i++) {
        struct summary s;

        if (cases[i].is_write && !options->write)
            continue;
        s = summarize(target, i, options->rounds);
        printf("%s\n  {\"case\": \"%s\", \"unit\": \"%s\", \"median\": %.1f, \"least\": %.1f, "
               "\"most\": %.1f, \"p50_us\": %u, \"p99_us\": %u, \"cpu_us\": ",
               separator, cases[i].name, cases[i].is_random ? "requests/s" : "MB/s", s.median,
               s.least, s.most, (unsigned)s.p50_us, (unsigned)s.p99_us);
        printf(s.cpu_us >= 0 ? "%.1f}" : "null}", s.cpu_us);
        separator = ",";
    }
    printf("]}");
}

int main(int argc, char **argv)
{
    struct options options = {.rounds = DEFAULT_ROUNDS, .milliseconds = DEFAULT_MILLISECONDS};
    int result = parse(argc, argv, &options);

    if (result < 0)
        return print_help();
    options.seed = GetTickCount();
    for (uint32_t t = 0; t < options.target_count && result == 0; t++) {
        result = find_span(&targets[t]);
        if (result == 0 && options.verify)
            result = fill_target(&targets[t], options.seed);
    }
    if (result == 0)
        result = measure_all(&options);
    if (result != 0)
        return result;
    for (uint32_t t = 0; t < options.target_count; t++) {
        if (options.json)
            print_json(&targets[t], &options, t == 0);
        else
            print_text(&targets[t], &options);
    }
    if (options.json)
        printf("]\n");
    return 0;
}
