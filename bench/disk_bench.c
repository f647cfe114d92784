/* SPDX-License-Identifier: MIT */
/*
 * disk_bench.c - how fast a device answers: N threads that read or write it for some seconds.
 *
 *      disk_bench DEVICE[,DEVICE] read|write random|sequential BYTES CLIENTS MILLISECONDS SPAN
 * [sync]
 *
 * A plain Windows program that knows nothing of CoreMnt. Each thread (client) has a handle, an
 * event and a buffer of its own and one request under way at a time, at an explicit offset within
 * the device's first SPAN bytes. Handles are FILE_FLAG_OVERLAPPED unless `sync` is given. The
 * first turn is warm-up and not counted.
 *
 * With two devices, all clients change from one to the other every tenth of a second or so, and
 * MILLISECONDS is the time of each: what else the machine does then hits both alike.
 *
 * Prints one line of JSON: an array with an object for each device. Exit code: 0; 1 when a request
 * failed; 2 for a wrong command line.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <windows.h>

#define MAX_CLIENTS 64u
#define MAX_SAMPLES (1u << 18) /* latencies kept; later requests count, but not for the median */
#define MAX_DEVICES 2u
#define TURN_MS 100u       /* on one device before the other one's turn; short against noise */
#define TURN_LARGE_MS 300u /* long against the time of a large request */
#define LARGE_BYTES (256u * 1024u)
#define MAX_BYTES (16u * 1024u * 1024u)

struct setup {
    char *devices[MAX_DEVICES];
    uint32_t device_count;
    int is_write;
    int is_random;
    int is_sync;
    uint32_t bytes;
    uint32_t clients;
    uint32_t milliseconds;
    uint64_t span;
};

/* What a client has seen of a device. */
struct result {
    HANDLE handle;
    uint32_t *micros; /* latencies */
    uint64_t operations;
    uint64_t errors;
    DWORD last_error;
};

struct client {
    const struct setup *setup;
    HANDLE event;
    unsigned char *buffer;
    uint64_t random; /* state of next_random() */
    uint64_t next;   /* sequential: the next offset */
    struct result results[MAX_DEVICES];
};

static LONG volatile phase; /* PHASE_..., moves forward only */
static LONG volatile turn;  /* the device that is used now */
enum { PHASE_WARM_UP, PHASE_MEASURE, PHASE_STOP };

static int64_t ticks(void)
{
    LARGE_INTEGER now;

    QueryPerformanceCounter(&now);
    return now.QuadPart;
}

static int64_t ticks_per_second(void)
{
    LARGE_INTEGER frequency;

    QueryPerformanceFrequency(&frequency);
    return frequency.QuadPart;
}

/* -- requests ---------------------------------------------------------------------------------- */

/* xorshift64: the same offsets in every run. */
static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

static uint64_t next_offset(struct client *client)
{
    const struct setup *setup = client->setup;
    uint64_t blocks = setup->span / setup->bytes;
    uint64_t offset;

    if (setup->is_random)
        return next_random(&client->random) % blocks * setup->bytes;
    offset = client->next;
    client->next = (offset + setup->bytes) % (blocks * setup->bytes);
    return offset;
}

/* @return 0 or a Win32 error; less than asked for is one, too. */
static DWORD transfer(struct client *client, HANDLE handle, uint64_t offset)
{
    const struct setup *setup = client->setup;
    OVERLAPPED where = {.hEvent = client->event};
    DWORD done = 0;
    BOOL ok;

    where.Offset = (DWORD)offset;
    where.OffsetHigh = (DWORD)(offset >> 32);
    if (setup->is_write)
        ok = WriteFile(handle, client->buffer, setup->bytes, &done, &where);
    else
        ok = ReadFile(handle, client->buffer, setup->bytes, &done, &where);
    if (!ok && GetLastError() == ERROR_IO_PENDING)
        ok = GetOverlappedResult(handle, &where, &done, TRUE);
    if (!ok)
        return GetLastError();
    return done == setup->bytes ? ERROR_SUCCESS : ERROR_HANDLE_EOF;
}

/* A request counts for the device that it was sent to, and if it began and ended while measuring.
 */
static DWORD WINAPI run_client(void *argument)
{
    struct client *client = argument;
    int64_t frequency = ticks_per_second();

    while (phase != PHASE_STOP) {
        struct result *result = &client->results[turn];
        uint64_t offset = next_offset(client);
        int measured = phase == PHASE_MEASURE;
        int64_t start = ticks();
        DWORD error = transfer(client, result->handle, offset);

        if (error != ERROR_SUCCESS) {
            result->last_error = error;
            result->errors++;
            return 1;
        }
        if (!measured || phase == PHASE_STOP)
            continue;
        if (result->operations < MAX_SAMPLES)
            result->micros[result->operations] =
                (uint32_t)((ticks() - start) * 1000000 / frequency);
        result->operations++;
    }
    return 0;
}

/* -- setting up -------------------------------------------------------------------------------- */

static int failed(const char *what)
{
    fprintf(stderr, "disk_bench: %s failed: Win32 error %lu\n", what,
            (unsigned long)GetLastError());
    return 1;
}

static int open_device(struct result *result, const struct setup *setup, const char *device)
{
    DWORD access = setup->is_write ? GENERIC_READ | GENERIC_WRITE : GENERIC_READ;

    result->handle = CreateFileA(device, access, FILE_SHARE_READ | FILE_SHARE_WRITE, NULL,
                                 OPEN_EXISTING, setup->is_sync ? 0 : FILE_FLAG_OVERLAPPED, NULL);
    if (result->handle == INVALID_HANDLE_VALUE)
        return failed("open device");
    result->micros = malloc(MAX_SAMPLES * sizeof(*result->micros));
    return result->micros != NULL ? 0 : failed("memory");
}

static int prepare(struct client *client, const struct setup *setup, uint32_t index)
{
    client->setup = setup;
    client->random = 88172645463325252u + index * 2654435761u;
    client->next = setup->span / setup->clients * index / setup->bytes * setup->bytes;
    for (uint32_t i = 0; i < setup->device_count; i++)
        if (open_device(&client->results[i], setup, setup->devices[i]) != 0)
            return 1;
    if (!setup->is_sync && (client->event = CreateEventW(NULL, TRUE, FALSE, NULL)) == NULL)
        return failed("event");
    client->buffer = VirtualAlloc(NULL, setup->bytes, MEM_COMMIT, PAGE_READWRITE);
    if (client->buffer == NULL)
        return failed("memory");
    memset(client->buffer, (int)index + 1, setup->bytes);
    return 0;
}

static int parse_number(const char *text, uint64_t max, uint64_t *value)
{
    char *end;

    *value = strtoull(text, &end, 0);
    return end != text && *end == '\0' && *value != 0 && *value <= max;
}

static int parse(int argc, char **argv, struct setup *setup)
{
    uint64_t bytes, clients, milliseconds;

    if (argc != 8 && !(argc == 9 && strcmp(argv[8], "sync") == 0))
        return 0;
    setup->devices[0] = argv[1];
    setup->devices[1] = strchr(argv[1], ',');
    setup->device_count = setup->devices[1] == NULL ? 1 : 2;
    if (setup->devices[1] != NULL)
        *setup->devices[1]++ = 0;
    setup->is_write = strcmp(argv[2], "write") == 0;
    setup->is_random = strcmp(argv[3], "random") == 0;
    setup->is_sync = argc == 9;
    if ((!setup->is_write && strcmp(argv[2], "read") != 0) ||
        (!setup->is_random && strcmp(argv[3], "sequential") != 0))
        return 0;
    if (!parse_number(argv[4], MAX_BYTES, &bytes) ||
        !parse_number(argv[5], MAX_CLIENTS, &clients) ||
        !parse_number(argv[6], 3600u * 1000u, &milliseconds) ||
        !parse_number(argv[7], INT64_MAX, &setup->span) || setup->span < bytes)
        return 0;
    setup->bytes = (uint32_t)bytes;
    setup->clients = (uint32_t)clients;
    setup->milliseconds = (uint32_t)milliseconds;
    return 1;
}

/* -- the result -------------------------------------------------------------------------------- */

static int compare(const void *a, const void *b)
{
    uint32_t left = *(const uint32_t *)a, right = *(const uint32_t *)b;

    return left < right ? -1 : left > right;
}

/* All latencies on a device in one sorted array; the caller frees it. NULL: no memory. */
static uint32_t *merge(const struct client *clients, uint32_t count, uint32_t device, size_t *total)
{
    uint32_t *all = malloc((size_t)count * MAX_SAMPLES * sizeof(*all));

    *total = 0;
    for (uint32_t i = 0; all != NULL && i < count; i++) {
        const struct result *result = &clients[i].results[device];
        size_t kept = result->operations < MAX_SAMPLES ? (size_t)result->operations : MAX_SAMPLES;

        memcpy(all + *total, result->micros, kept * sizeof(*all));
        *total += kept;
    }
    if (all != NULL)
        qsort(all, *total, sizeof(*all), compare);
    return all;
}

static int report(const struct setup *setup, const struct client *clients, uint32_t device,
                  double seconds)
{
    uint64_t operations = 0, errors = 0;
    size_t samples;
    uint32_t *micros = merge(clients, setup->clients, device, &samples);

    if (micros == NULL)
        return failed("memory");
    for (uint32_t i = 0; i < setup->clients; i++) {
        const struct result *result = &clients[i].results[device];

        operations += result->operations;
        errors += result->errors;
        if (result->errors != 0)
            fprintf(stderr, "disk_bench: %s of %s failed: Win32 error %lu\n",
                    setup->is_write ? "write" : "read", setup->devices[device],
                    (unsigned long)result->last_error);
    }
    printf("%s{\"operations\": %llu, \"bytes\": %llu, \"seconds\": %.3f, \"per_second\": %.1f, "
           "\"median_us\": %lu, \"p99_us\": %lu, \"errors\": %llu}",
           device == 0 ? "[" : ", ", (unsigned long long)operations,
           (unsigned long long)(operations * setup->bytes), seconds, (double)operations / seconds,
           samples ? (unsigned long)micros[samples / 2] : 0,
           samples ? (unsigned long)micros[samples * 99 / 100] : 0, (unsigned long long)errors);
    free(micros);
    return errors == 0 ? 0 : 1;
}

/* Let the devices take turns until each has had its time; seconds[]: how long that was. */
static void measure(const struct setup *setup, double seconds[MAX_DEVICES])
{
    uint32_t turn_ms = setup->bytes < LARGE_BYTES ? TURN_MS : TURN_LARGE_MS;
    uint32_t turns = (setup->milliseconds + turn_ms - 1) / turn_ms;
    int64_t start, end;

    Sleep(turn_ms); /* warm-up */
    start = ticks();
    phase = PHASE_MEASURE;
    for (uint32_t i = 0; i < turns * setup->device_count; i++) {
        turn = (LONG)(i % setup->device_count);
        Sleep(turn_ms);
        end = ticks();
        seconds[turn] += (double)(end - start) / (double)ticks_per_second();
        start = end;
    }
    phase = PHASE_STOP;
}

int main(int argc, char **argv)
{
    static struct client clients[MAX_CLIENTS];
    double seconds[MAX_DEVICES] = {0};
    HANDLE threads[MAX_CLIENTS];
    struct setup setup;
    int result = 0;

    if (!parse(argc, argv, &setup)) {
        fprintf(stderr, "usage: disk_bench DEVICE[,DEVICE] read|write random|sequential BYTES "
                        "CLIENTS MILLISECONDS SPAN [sync]\n");
        return 2;
    }
    for (uint32_t i = 0; i < setup.clients; i++)
        if (prepare(&clients[i], &setup, i) != 0)
            return 1;
    for (uint32_t i = 0; i < setup.clients; i++) {
        threads[i] = CreateThread(NULL, 0, run_client, &clients[i], 0, NULL);
        if (threads[i] == NULL)
            return failed("thread");
    }
    measure(&setup, seconds);
    WaitForMultipleObjects(setup.clients, threads, TRUE, INFINITE);
    for (uint32_t i = 0; i < setup.device_count; i++)
        result |= report(&setup, clients, i, seconds[i]);
    printf("]\n");
    return result;
}
