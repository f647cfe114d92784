/* SPDX-License-Identifier: MIT */
/*
 * measure.c - see measure.h. Each thread (client) has a handle, an event and a buffer of its own, and one
 * request under way at a time, at an explicit offset.
 *
 * A plain Windows program's I/O: nothing here knows of CoreMnt.
 */
#include "bench/measure.h"

#include <stdlib.h>
#include <string.h>
#include <windows.h>

#define MAX_SAMPLES (1u << 18) /* latencies kept; later requests count, but not for the median */
#define TURN_MS 100u           /* on one device before the other one's turn; short against noise */
#define TURN_LARGE_MS 300u     /* long against the time of a large request */
#define LARGE_BYTES (256u * 1024u)

/* What a client has seen of a device. */
struct seen {
    HANDLE handle;
    uint32_t *micros; /* latencies */
    uint64_t operations;
    uint64_t errors;
    uint64_t wrong;
    DWORD last_error;
};

struct client {
    const struct measure_setup *setup;
    HANDLE event;
    unsigned char *buffer;
    unsigned char *expected; /* verified reads only */
    uint64_t random;         /* state of next_random() */
    uint64_t next;           /* sequential: the next offset */
    struct seen seen[MEASURE_MAX_DEVICES];
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
    const struct measure_setup *setup = client->setup;
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
    const struct measure_setup *setup = client->setup;
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

/* -- content ----------------------------------------------------------------------------------- */

void measure_fill(void *buffer, uint32_t bytes, uint64_t offset, uint32_t seed)
{
    uint64_t *words = buffer;

    for (uint32_t i = 0; i < bytes / 8; i++) {
        uint64_t word = (offset / 8 + i + ((uint64_t)seed << 40)) * UINT64_C(0x9E3779B97F4A7C15);

        words[i] = word ^ word >> 29;
    }
}

static int is_right(struct client *client, uint64_t offset)
{
    const struct measure_setup *setup = client->setup;

    measure_fill(client->expected, setup->bytes, offset, setup->seed);
    return memcmp(client->buffer, client->expected, setup->bytes) == 0;
}

/* -- a client ---------------------------------------------------------------------------------- */

/* Filling and comparing are outside of the time that is taken. @return it in ticks, or -1 */
static int64_t one_request(struct client *client, struct seen *seen, uint64_t offset)
{
    const struct measure_setup *setup = client->setup;
    int64_t start;
    int64_t end;
    DWORD error;

    if (setup->is_verified && setup->is_write)
        measure_fill(client->buffer, setup->bytes, offset, setup->seed);
    start = ticks();
    error = transfer(client, seen->handle, offset);
    end = ticks();
    if (error != ERROR_SUCCESS) {
        seen->last_error = error;
        seen->errors++;
        return -1;
    }
    if (setup->is_verified && !setup->is_write && !is_right(client, offset)) {
        seen->wrong++;
        return -1;
    }
    return end - start;
}

/* A request counts for the device that it was sent to, and if it began and ended while measuring. */
static DWORD WINAPI run_client(void *argument)
{
    struct client *client = argument;
    int64_t frequency = ticks_per_second();

    while (phase != PHASE_STOP) {
        struct seen *seen = &client->seen[turn];
        int measured = phase == PHASE_MEASURE;
        int64_t taken = one_request(client, seen, next_offset(client));

        if (taken < 0)
            return 1;
        if (!measured || phase == PHASE_STOP)
            continue;
        if (seen->operations < MAX_SAMPLES)
            seen->micros[seen->operations] = (uint32_t)(taken * 1000000 / frequency);
        seen->operations++;
    }
    return 0;
}

/* -- setting up -------------------------------------------------------------------------------- */

/* @return what could not be done, or NULL; GetLastError() has why. */
static const char *open_device(struct seen *seen, const struct measure_setup *setup,
                               const char *device)
{
    DWORD access = setup->is_write ? GENERIC_READ | GENERIC_WRITE : GENERIC_READ;
    DWORD flags = (setup->is_sync ? 0 : FILE_FLAG_OVERLAPPED) |
                  (setup->is_unbuffered ? FILE_FLAG_NO_BUFFERING : 0);

    seen->handle = CreateFileA(device, access, FILE_SHARE_READ | FILE_SHARE_WRITE, NULL,
                               OPEN_EXISTING, flags, NULL);
    if (seen->handle == INVALID_HANDLE_VALUE)
        return "open device";
    seen->micros = malloc(MAX_SAMPLES * sizeof(*seen->micros));
    return seen->micros != NULL ? NULL : "memory";
}

static void *allocate(uint32_t bytes)
{
    return VirtualAlloc(NULL, bytes, MEM_COMMIT, PAGE_READWRITE);
}

static const char *prepare(struct client *client, const struct measure_setup *setup, uint32_t index)
{
    const char *failed = NULL;

    client->setup = setup;
    client->random = 88172645463325252u + index * 2654435761u;
    client->next = setup->span / setup->clients * index / setup->bytes * setup->bytes;
    for (uint32_t i = 0; i < setup->device_count && failed == NULL; i++)
        failed = open_device(&client->seen[i], setup, setup->devices[i]);
    if (failed != NULL)
        return failed;
    if (!setup->is_sync && (client->event = CreateEventW(NULL, TRUE, FALSE, NULL)) == NULL)
        return "event";
    client->buffer = allocate(setup->bytes);
    client->expected = setup->is_verified ? allocate(setup->bytes) : client->buffer;
    if (client->buffer == NULL || client->expected == NULL)
        return "memory";
    memset(client->buffer, (int)index + 1, setup->bytes);
    return NULL;
}

static void free_client(struct client *client)
{
    for (uint32_t i = 0; i < MEASURE_MAX_DEVICES; i++) {
        if (client->seen[i].handle != NULL && client->seen[i].handle != INVALID_HANDLE_VALUE)
            CloseHandle(client->seen[i].handle);
        free(client->seen[i].micros);
    }
    if (client->event != NULL)
        CloseHandle(client->event);
    if (client->expected != NULL && client->expected != client->buffer)
        VirtualFree(client->expected, 0, MEM_RELEASE);
    if (client->buffer != NULL)
        VirtualFree(client->buffer, 0, MEM_RELEASE);
}

/* -- the result -------------------------------------------------------------------------------- */

static int compare(const void *a, const void *b)
{
    uint32_t left = *(const uint32_t *)a, right = *(const uint32_t *)b;

    return left < right ? -1 : left > right;
}

static const char *add_up(const struct client *clients, uint32_t count, uint32_t device,
                          struct measure_result *result)
{
    uint32_t *all = malloc((size_t)count * MAX_SAMPLES * sizeof(*all));
    size_t total = 0;

    if (all == NULL)
        return "memory";
    for (uint32_t i = 0; i < count; i++) {
        const struct seen *seen = &clients[i].seen[device];
        size_t kept = seen->operations < MAX_SAMPLES ? (size_t)seen->operations : MAX_SAMPLES;

        memcpy(all + total, seen->micros, kept * sizeof(*all));
        total += kept;
        result->operations += seen->operations;
        result->errors += seen->errors;
        result->wrong += seen->wrong;
        if (seen->errors != 0)
            result->last_error = seen->last_error;
    }
    qsort(all, total, sizeof(*all), compare);
    result->median_us = total != 0 ? all[total / 2] : 0;
    result->p99_us = total != 0 ? all[total * 99 / 100] : 0;
    free(all);
    return NULL;
}

/* Of all processors, in microseconds; -1 before Windows XP SP1. */
static double busy_us(void)
{
    typedef BOOL(WINAPI * get_times)(FILETIME *, FILETIME *, FILETIME *);
    get_times get =
        (get_times)(void *)GetProcAddress(GetModuleHandleA("kernel32.dll"), "GetSystemTimes");
    FILETIME times[3];
    double us[3];

    if (get == NULL || !get(&times[0], &times[1], &times[2]))
        return -1;
    for (int i = 0; i < 3; i++)
        us[i] = ((double)times[i].dwHighDateTime * 4294967296.0 + times[i].dwLowDateTime) / 10;
    return us[1] + us[2] - us[0]; /* the kernel's time includes what is idle */
}

/* Let the devices take turns until each has had its time. */
static void take_turns(const struct measure_setup *setup, struct measure_result *results)
{
    uint32_t turn_ms = setup->bytes < LARGE_BYTES ? TURN_MS : TURN_LARGE_MS;
    uint32_t turns = (setup->milliseconds + turn_ms - 1) / turn_ms;
    double busy;
    int64_t start;

    Sleep(turn_ms); /* warm-up */
    start = ticks();
    busy = busy_us();
    phase = PHASE_MEASURE;
    for (uint32_t i = 0; i < turns * setup->device_count; i++) {
        struct measure_result *result = &results[i % setup->device_count];
        double busy_end;
        int64_t end;

        turn = (LONG)(i % setup->device_count);
        Sleep(turn_ms);
        end = ticks();
        busy_end = busy_us();
        result->seconds += (double)(end - start) / (double)ticks_per_second();
        result->cpu_us = busy < 0 ? -1 : result->cpu_us + busy_end - busy;
        start = end;
        busy = busy_end;
    }
    phase = PHASE_STOP;
}

/* All threads that were started have ended when this returns. */
static const char *run_clients(const struct measure_setup *setup, struct client *clients,
                               struct measure_result *results)
{
    HANDLE threads[MEASURE_MAX_CLIENTS];
    const char *failed = NULL;
    uint32_t count;

    phase = PHASE_WARM_UP;
    turn = 0;
    for (count = 0; count < setup->clients && failed == NULL; count++) {
        threads[count] = CreateThread(NULL, 0, run_client, &clients[count], 0, NULL);
        if (threads[count] == NULL)
            failed = "thread";
    }
    if (failed != NULL)
        count--;
    else
        take_turns(setup, results);
    phase = PHASE_STOP;
    if (count != 0)
        WaitForMultipleObjects(count, threads, TRUE, INFINITE);
    for (uint32_t i = 0; i < count; i++)
        CloseHandle(threads[i]);
    return failed;
}

unsigned long measure_run(const struct measure_setup *setup, struct measure_result *results,
                          const char **what)
{
    static struct client clients[MEASURE_MAX_CLIENTS];
    const char *failed = NULL;
    DWORD error;

    memset(clients, 0, sizeof(clients));
    memset(results, 0, setup->device_count * sizeof(*results));
    for (uint32_t i = 0; i < setup->clients && failed == NULL; i++)
        failed = prepare(&clients[i], setup, i);
    if (failed == NULL)
        failed = run_clients(setup, clients, results);
    for (uint32_t i = 0; i < setup->device_count && failed == NULL; i++)
        failed = add_up(clients, setup->clients, i, &results[i]);
    error = GetLastError();
    for (uint32_t i = 0; i < setup->clients; i++)
        free_client(&clients[i]);
    *what = failed;
    return failed == NULL ? ERROR_SUCCESS : error != 0 ? error : ERROR_NOT_ENOUGH_MEMORY;
}
