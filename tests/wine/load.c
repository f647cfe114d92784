/* SPDX-License-Identifier: MIT */
/*
 * load.c - random verified I/O on a device such as \\.\Z:, until it is told to stop, for shell tests
 * that disturb the disk's server meanwhile.
 *
 *      load DEVICE MODEL STOP
 *
 * MODEL is a file with the disk's content; it is kept up to date in memory and written back at the
 * end, so that a test can compare it with the image. The program ends when the file STOP is there.
 * Every thread owns a region: what it reads must be what was there or what it wrote last. It knows
 * nothing of CoreMnt.
 *
 * Exit code: 0; 1 when a request failed or a byte was wrong, which it prints; 2 for a wrong command
 * line.
 */
#include "tests/unit/check.h"

#include <windows.h>

#define KIB 1024u
#define THREADS 8u
#define SECTOR 512u
#define LONGEST (512 * KIB)
#define MOST (1024 * KIB * KIB) /* bytes of the disk */
#define POLL_MS 50u

struct worker {
    HANDLE device;
    HANDLE thread;
    unsigned char *model; /* of the region */
    uint64_t start;       /* of the region on the disk */
    uint64_t length;
    uint64_t random;
    uint64_t operations;
    DWORD longest_ms; /* that one took */
    int failed;
};

static LONG volatile stop;

static DWORD random_length(struct worker *w)
{
    static const DWORD most[] = {512, 4 * KIB, 16 * KIB, 64 * KIB, 256 * KIB, LONGEST};
    DWORD largest = most[check_random(&w->random) % 6];

    return (DWORD)(1 + check_random(&w->random) % (largest / SECTOR)) * SECTOR;
}

/* Other bytes in every sector and at every time, so that one that is old or elsewhere shows. */
static void fill(struct worker *w, unsigned char *buffer, DWORD length)
{
    for (DWORD done = 0; done < length; done += sizeof(uint64_t)) {
        uint64_t value = check_random(&w->random);

        memcpy(buffer + done, &value, sizeof(value));
    }
}

static int report(struct worker *w, const char *what, uint64_t place, DWORD length, DWORD error)
{
    printf("load: %s of %lu bytes at %llu: Win32 error %lu\n", what, (unsigned long)length,
           (unsigned long long)(w->start + place), (unsigned long)error);
    fflush(stdout);
    return 1;
}

static int compare(struct worker *w, const unsigned char *buffer, uint64_t place, DWORD length)
{
    for (DWORD i = 0; i < length; i++) {
        if (buffer[i] == w->model[place + i])
            continue;
        printf("load: read of %lu bytes at %llu: byte %lu is %02x and should be %02x\n",
               (unsigned long)length, (unsigned long long)(w->start + place), (unsigned long)i,
               buffer[i], w->model[place + i]);
        fflush(stdout);
        return 1;
    }
    return 0;
}

static int transfer(struct worker *w, unsigned char *buffer, int writes)
{
    DWORD length = random_length(w), done = 0;
    uint64_t place = check_random(&w->random) % ((w->length - length) / SECTOR + 1) * SECTOR;
    OVERLAPPED where = {.Offset = (DWORD)(w->start + place),
                        .OffsetHigh = (DWORD)((w->start + place) >> 32)};
    BOOL ok;

    if (writes)
        fill(w, buffer, length);
    ok = writes ? WriteFile(w->device, buffer, length, &done, &where)
                : ReadFile(w->device, buffer, length, &done, &where);
    if (!ok)
        return report(w, writes ? "write" : "read", place, length, GetLastError());
    if (done != length)
        return report(w, "a short transfer", place, done, 0);
    if (!writes)
        return compare(w, buffer, place, length);
    memcpy(w->model + place, buffer, length);
    return 0;
}

static int operate(struct worker *w, unsigned char *buffer)
{
    uint64_t choice = check_random(&w->random) % 16;

    if (choice == 0)
        return FlushFileBuffers(w->device) ? 0 : report(w, "flush", 0, 0, GetLastError());
    return transfer(w, buffer, choice < 9);
}

static DWORD WINAPI run(void *argument)
{
    struct worker *w = argument;
    unsigned char *buffer = malloc(LONGEST);

    w->failed = buffer == NULL;
    while (!stop && !w->failed) {
        DWORD start = GetTickCount(), took;

        w->failed = operate(w, buffer);
        took = GetTickCount() - start;
        if (took > w->longest_ms)
            w->longest_ms = took;
        w->operations++;
    }
    free(buffer);
    return 0;
}

/* -- files ------------------------------------------------------------------------------------- */

static HANDLE open_file(const char *path, DWORD access, DWORD how)
{
    return CreateFileA(path, access, FILE_SHARE_READ | FILE_SHARE_WRITE, NULL, how, 0, NULL);
}

static int exists(const char *path)
{
    HANDLE file = open_file(path, 0, OPEN_EXISTING);

    if (file == INVALID_HANDLE_VALUE)
        return 0;
    CloseHandle(file);
    return 1;
}

static unsigned char *read_model(const char *path, uint64_t *size)
{
    HANDLE file = open_file(path, GENERIC_READ, OPEN_EXISTING);
    unsigned char *model = NULL;
    LARGE_INTEGER length;
    DWORD done = 0;

    if (file == INVALID_HANDLE_VALUE || !GetFileSizeEx(file, &length))
        return NULL;
    *size = (uint64_t)length.QuadPart;
    if (*size >= THREADS * LONGEST && *size <= MOST)
        model = malloc((size_t)*size);
    if (model != NULL && (!ReadFile(file, model, (DWORD)*size, &done, NULL) || done != *size)) {
        free(model);
        model = NULL;
    }
    CloseHandle(file);
    return model;
}

static int write_model(const char *path, const unsigned char *model, uint64_t size)
{
    HANDLE file = open_file(path, GENERIC_WRITE, OPEN_EXISTING);
    DWORD done = 0;
    int failed = file == INVALID_HANDLE_VALUE ||
                 !WriteFile(file, model, (DWORD)size, &done, NULL) || done != size;

    if (failed)
        printf("load: the model could not be written\n");
    CloseHandle(file);
    return failed;
}

/* -- the threads ------------------------------------------------------------------------------- */

static int start_workers(struct worker *workers, const char *device, unsigned char *model,
                         uint64_t size, uint64_t seed)
{
    uint64_t each = size / THREADS / SECTOR * SECTOR;

    for (unsigned i = 0; i < THREADS; i++) {
        struct worker *w = &workers[i];

        w->device = open_file(device, GENERIC_READ | GENERIC_WRITE, OPEN_EXISTING);
        if (w->device == INVALID_HANDLE_VALUE)
            return report(w, "open", 0, 0, GetLastError());
        w->start = i * each;
        w->length = each;
        w->model = model + w->start;
        w->random = seed + i;
        w->thread = CreateThread(NULL, 0, run, w, 0, NULL);
    }
    return 0;
}

static int finish_workers(struct worker *workers)
{
    uint64_t operations = 0;
    DWORD longest_ms = 0;
    int failed = 0;

    for (unsigned i = 0; i < THREADS; i++) {
        WaitForSingleObject(workers[i].thread, INFINITE);
        operations += workers[i].operations;
        failed += workers[i].failed;
        if (workers[i].longest_ms > longest_ms)
            longest_ms = workers[i].longest_ms;
        CloseHandle(workers[i].device);
    }
    printf("%llu operations by %u threads, %d of which failed; the longest operation took %lu ms\n",
           (unsigned long long)operations, THREADS, failed, (unsigned long)longest_ms);
    return failed;
}

int main(int argc, char **argv)
{
    struct worker workers[THREADS] = {{0}};
    unsigned char *model;
    uint64_t size = 0;
    int failed;

    model = argc == 4 ? read_model(argv[2], &size) : NULL;
    if (model == NULL) {
        fprintf(stderr, "load DEVICE MODEL STOP: a model of 4 to 1024 MiB\n");
        return 2;
    }
    if (start_workers(workers, argv[1], model, size, check_seed()) != 0)
        return 1;
    printf("running\n");
    fflush(stdout);
    while (!exists(argv[3]))
        Sleep(POLL_MS);
    InterlockedExchange(&stop, 1);
    failed = finish_workers(workers);
    return write_model(argv[2], model, size) != 0 || failed != 0;
}
