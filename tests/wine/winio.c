/* SPDX-License-Identifier: MIT */
/*
 * winio.c - raw I/O on a device such as \\.\Z:, for the demo and the shell tests.
 *
 * A plain Windows program that knows nothing of CoreMnt: what it reads and writes went through the
 * driver the way any application's requests do. Every transfer gives its offset explicitly in an
 * OVERLAPPED, because Wine keeps no file position for a driver's device.
 *
 * Exit code: 0; 1 after "failed: Win32 error N"; 2 for a wrong command line.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* windows.h comes first: the other two need it. */
#include <windows.h>

#include <wincrypt.h>
#include <winioctl.h>

#define DIGEST_BYTES 32u
#define DIGEST_TEXT (2u * DIGEST_BYTES + 1u)
#define DEFAULT_BLOCK (1024u * 1024u)
#define SECTOR 512u

struct verb {
    const char *name;
    const char *arguments;
    int min_arguments;
    int max_arguments;
    int (*run)(int argc, char **argv);
};

/* -- helpers ----------------------------------------------------------------------------------- */

static int failed(const char *what)
{
    DWORD error = GetLastError();

    fprintf(stderr, "winio: %s failed: Win32 error %lu\n", what, (unsigned long)error);
    return 1;
}

static int parse_number(const char *text, uint64_t *value)
{
    char *end;

    *value = strtoull(text, &end, 0);
    if (end == text || *end != '\0') {
        fprintf(stderr, "winio: \"%s\" is not a number\n", text);
        return 2;
    }
    return 0;
}

static HANDLE open_device(const char *name, DWORD access)
{
    return CreateFileA(name, access, FILE_SHARE_READ | FILE_SHARE_WRITE, NULL, OPEN_EXISTING, 0,
                       NULL);
}

static HANDLE open_output(const char *name)
{
    return CreateFileA(name, GENERIC_WRITE, FILE_SHARE_READ, NULL, CREATE_ALWAYS, 0, NULL);
}

static void *allocate(uint64_t size)
{
    void *memory = size <= SIZE_MAX ? VirtualAlloc(NULL, (SIZE_T)size, MEM_COMMIT, PAGE_READWRITE)
                                    : NULL; /* page-aligned, so that it also suits NO_BUFFERING */

    if (memory == NULL)
        SetLastError(ERROR_NOT_ENOUGH_MEMORY);
    return memory;
}

/* One ReadFile at an offset; a short read is an error. */
static int read_at(HANDLE file, void *buffer, DWORD length, uint64_t offset)
{
    OVERLAPPED where = {0};
    DWORD done = 0;

    where.Offset = (DWORD)offset;
    where.OffsetHigh = (DWORD)(offset >> 32);
    if (!ReadFile(file, buffer, length, &done, &where))
        return failed("read");
    if (done != length) {
        SetLastError(ERROR_HANDLE_EOF);
        return failed("read");
    }
    return 0;
}

static int write_at(HANDLE file, const void *buffer, DWORD length, uint64_t offset)
{
    OVERLAPPED where = {0};
    DWORD done = 0;

    where.Offset = (DWORD)offset;
    where.OffsetHigh = (DWORD)(offset >> 32);
    if (!WriteFile(file, buffer, length, &done, &where))
        return failed("write");
    if (done != length) {
        SetLastError(ERROR_WRITE_FAULT);
        return failed("write");
    }
    return 0;
}

/* -- SHA-256 ----------------------------------------------------------------------------------- */

/* The old CryptoAPI: Wine has it built in, where its bcrypt may want a library of the system. */
struct digest {
    HCRYPTPROV provider;
    HCRYPTHASH hash;
};

static void digest_close(struct digest *digest)
{
    if (digest->hash != 0)
        CryptDestroyHash(digest->hash);
    if (digest->provider != 0)
        CryptReleaseContext(digest->provider, 0);
    memset(digest, 0, sizeof(*digest));
}

static int digest_open(struct digest *digest)
{
    memset(digest, 0, sizeof(*digest));
    if (!CryptAcquireContextW(&digest->provider, NULL, NULL, PROV_RSA_AES, CRYPT_VERIFYCONTEXT) ||
        !CryptCreateHash(digest->provider, CALG_SHA_256, 0, 0, &digest->hash)) {
        int result = failed("SHA-256");

        digest_close(digest);
        return result;
    }
    return 0;
}

static int digest_add(struct digest *digest, const void *data, DWORD length)
{
    return CryptHashData(digest->hash, data, length, 0) ? 0 : failed("SHA-256");
}

static int digest_text(struct digest *digest, char text[DIGEST_TEXT])
{
    BYTE bytes[DIGEST_BYTES];
    DWORD size = sizeof(bytes);

    if (!CryptGetHashParam(digest->hash, HP_HASHVAL, bytes, &size, 0))
        return failed("SHA-256");
    for (DWORD i = 0; i < size; i++)
        snprintf(text + 2u * i, 3, "%02x", bytes[i]);
    return 0;
}

/* -- verbs ------------------------------------------------------------------------------------- */

/* Copies `length` bytes of `device` from `offset` to `file` in blocks. */
static int copy_out(HANDLE device, HANDLE file, uint64_t offset, uint64_t length)
{
    uint8_t *buffer = allocate(DEFAULT_BLOCK);
    int result = buffer != NULL ? 0 : failed("memory");

    for (uint64_t done = 0; result == 0 && done < length;) {
        DWORD part = length - done < DEFAULT_BLOCK ? (DWORD)(length - done) : DEFAULT_BLOCK;

        result = read_at(device, buffer, part, offset + done);
        if (result == 0)
            result = write_at(file, buffer, part, done);
        done += part;
    }
    if (buffer != NULL)
        VirtualFree(buffer, 0, MEM_RELEASE);
    return result;
}

static int verb_read(int argc, char **argv)
{
    uint64_t offset, length;
    HANDLE device, file;
    int result;

    (void)argc;
    if (parse_number(argv[1], &offset) != 0 || parse_number(argv[2], &length) != 0)
        return 2;
    device = open_device(argv[0], GENERIC_READ);
    if (device == INVALID_HANDLE_VALUE)
        return failed("open device");
    file = open_output(argv[3]);
    if (file == INVALID_HANDLE_VALUE) {
        result = failed("open file");
    } else {
        result = copy_out(device, file, offset, length);
        CloseHandle(file);
    }
    CloseHandle(device);
    return result;
}

/* Writes `file` to `device` at `offset`, then flushes the device. */
static int copy_in(HANDLE device, HANDLE file, uint64_t offset, uint64_t length)
{
    uint8_t *buffer = allocate(DEFAULT_BLOCK);
    int result = buffer != NULL ? 0 : failed("memory");

    for (uint64_t done = 0; result == 0 && done < length;) {
        DWORD part = length - done < DEFAULT_BLOCK ? (DWORD)(length - done) : DEFAULT_BLOCK;

        result = read_at(file, buffer, part, done);
        if (result == 0)
            result = write_at(device, buffer, part, offset + done);
        done += part;
    }
    if (result == 0 && !FlushFileBuffers(device))
        result = failed("flush");
    if (buffer != NULL)
        VirtualFree(buffer, 0, MEM_RELEASE);
    return result;
}

static int verb_write(int argc, char **argv)
{
    uint64_t offset;
    LARGE_INTEGER size;
    HANDLE device, file;
    int result;

    (void)argc;
    if (parse_number(argv[1], &offset) != 0)
        return 2;
    file = CreateFileA(argv[2], GENERIC_READ, FILE_SHARE_READ, NULL, OPEN_EXISTING, 0, NULL);
    if (file == INVALID_HANDLE_VALUE || !GetFileSizeEx(file, &size))
        return failed("open file");
    device = open_device(argv[0], GENERIC_READ | GENERIC_WRITE);
    if (device == INVALID_HANDLE_VALUE) {
        result = failed("open device");
    } else {
        result = copy_in(device, file, offset, (uint64_t)size.QuadPart);
        CloseHandle(device);
    }
    CloseHandle(file);
    return result;
}

/* Prints the digest of the first `size` bytes, read in pieces of `block`. */
static int digest_device(HANDLE device, uint64_t size, DWORD block)
{
    struct digest digest;
    char text[DIGEST_TEXT];
    uint8_t *buffer = allocate(block);
    int result = buffer != NULL ? digest_open(&digest) : failed("memory");

    if (result != 0)
        goto out;
    for (uint64_t done = 0; result == 0 && done < size;) {
        DWORD part = size - done < block ? (DWORD)(size - done) : block;

        result = read_at(device, buffer, part, done);
        if (result == 0)
            result = digest_add(&digest, buffer, part);
        done += part;
    }
    if (result == 0)
        result = digest_text(&digest, text);
    if (result == 0)
        printf("%s\n", text);
    digest_close(&digest);
out:
    if (buffer != NULL)
        VirtualFree(buffer, 0, MEM_RELEASE);
    return result;
}

static int verb_digest(int argc, char **argv)
{
    uint64_t size, block = DEFAULT_BLOCK;
    HANDLE device;
    int result;

    if (parse_number(argv[1], &size) != 0)
        return 2;
    if (argc > 2 && parse_number(argv[2], &block) != 0)
        return 2;
    if (block == 0 || block > UINT32_MAX) {
        fprintf(stderr, "winio: the block size must be between 1 and 4294967295 bytes\n");
        return 2;
    }
    device = open_device(argv[0], GENERIC_READ);
    if (device == INVALID_HANDLE_VALUE)
        return failed("open device");
    result = digest_device(device, size, (DWORD)block);
    CloseHandle(device);
    return result;
}

static int print_sector(HANDLE device, uint64_t number)
{
    uint8_t sector[SECTOR];
    struct digest digest;
    char text[DIGEST_TEXT];
    int result = read_at(device, sector, SECTOR, number * SECTOR);

    if (result != 0)
        return result;
    result = digest_open(&digest);
    if (result != 0)
        return result;
    result = digest_add(&digest, sector, SECTOR);
    if (result == 0)
        result = digest_text(&digest, text);
    if (result == 0)
        printf("%llu %s\n", (unsigned long long)number, text);
    digest_close(&digest);
    return result;
}

/* One read per sector: the smallest requests there are, in the order given. */
static int verb_sector(int argc, char **argv)
{
    HANDLE device = open_device(argv[0], GENERIC_READ);
    int result = 0;

    if (device == INVALID_HANDLE_VALUE)
        return failed("open device");
    for (int i = 1; result == 0 && i < argc; i++) {
        uint64_t number;

        result = parse_number(argv[i], &number);
        if (result == 0)
            result = print_sector(device, number);
    }
    CloseHandle(device);
    return result;
}

static int verb_length(int argc, char **argv)
{
    HANDLE device = open_device(argv[0], GENERIC_READ);
    GET_LENGTH_INFORMATION length;
    DWORD done;
    int result = 0;

    (void)argc;
    if (device == INVALID_HANDLE_VALUE)
        return failed("open device");
    if (!DeviceIoControl(device, IOCTL_DISK_GET_LENGTH_INFO, NULL, 0, &length, sizeof(length),
                         &done, NULL))
        result = failed("IOCTL_DISK_GET_LENGTH_INFO");
    else
        printf("%lld\n", (long long)length.Length.QuadPart);
    CloseHandle(device);
    return result;
}

static int verb_flush(int argc, char **argv)
{
    HANDLE device = open_device(argv[0], GENERIC_READ | GENERIC_WRITE);
    int result = 0;

    (void)argc;
    if (device == INVALID_HANDLE_VALUE)
        return failed("open device");
    if (!FlushFileBuffers(device))
        result = failed("flush");
    CloseHandle(device);
    return result;
}

/* Until the device can be opened: for scripts that have just started a server. */
static int verb_wait(int argc, char **argv)
{
    uint64_t timeout_ms;
    DWORD start = GetTickCount();

    (void)argc;
    if (parse_number(argv[1], &timeout_ms) != 0)
        return 2;
    for (;;) {
        HANDLE device = open_device(argv[0], GENERIC_READ);

        if (device != INVALID_HANDLE_VALUE) {
            CloseHandle(device);
            return 0;
        }
        if (GetTickCount() - start >= timeout_ms)
            return failed("open device");
        Sleep(20);
    }
}

/* Keeps a handle open: a user of the disk who stands in the way of an unmount. */
static int verb_hold(int argc, char **argv)
{
    uint64_t hold_ms;
    HANDLE device;

    (void)argc;
    if (parse_number(argv[1], &hold_ms) != 0)
        return 2;
    device = open_device(argv[0], GENERIC_READ);
    if (device == INVALID_HANDLE_VALUE)
        return failed("open device");
    printf("holding\n");
    fflush(stdout);
    Sleep(hold_ms < INFINITE ? (DWORD)hold_ms : INFINITE - 1);
    CloseHandle(device);
    return 0;
}

/* -- many at once ------------------------------------------------------------------------------ */

#define MOST_REQUESTS 2048u

struct request {
    OVERLAPPED overlapped;
    uint8_t sector[SECTOR];
};

/* Every other one a write, all of other sectors; never of the first. */
static void start_request(HANDLE device, struct request *request, uint32_t number)
{
    request->overlapped.Offset = (number + 1) * SECTOR;
    request->overlapped.hEvent = CreateEventW(NULL, TRUE, FALSE, NULL);
    if (number % 2 != 0)
        WriteFile(device, request->sector, SECTOR, NULL, &request->overlapped);
    else
        ReadFile(device, request->sector, SECTOR, NULL, &request->overlapped);
}

/* Prints with how many of which error they ended, and after how long the first and the last. */
static void await_requests(HANDLE device, struct request *requests, uint32_t count, DWORD start)
{
    DWORD errors[16] = {0}, counts[16] = {0}, kinds = 0, first_ms = 0;

    for (uint32_t i = 0; i < count; i++) {
        DWORD done, error = 0, kind;

        if (!GetOverlappedResult(device, &requests[i].overlapped, &done, TRUE))
            error = GetLastError();
        if (i == 0)
            first_ms = GetTickCount() - start;
        for (kind = 0; kind < kinds && errors[kind] != error; kind++)
            continue;
        if (kind == kinds && kinds < 15)
            kinds++;
        errors[kind] = error;
        counts[kind]++;
    }
    for (DWORD kind = 0; kind < kinds; kind++)
        printf("%lu ended with Win32 error %lu\n", (unsigned long)counts[kind],
               (unsigned long)errors[kind]);
    printf("the first after %lu ms, all after %lu ms\n", (unsigned long)first_ms,
           (unsigned long)(GetTickCount() - start));
}

/* Many requests of one sector at once, for servers that do not answer. */
static int verb_many(int argc, char **argv)
{
    struct request *requests;
    DWORD start = GetTickCount();
    uint64_t count;
    HANDLE device;

    (void)argc;
    if (parse_number(argv[1], &count) != 0 || count == 0 || count > MOST_REQUESTS)
        return 2;
    device = CreateFileA(argv[0], GENERIC_READ | GENERIC_WRITE, FILE_SHARE_READ | FILE_SHARE_WRITE,
                         NULL, OPEN_EXISTING, FILE_FLAG_OVERLAPPED, NULL);
    if (device == INVALID_HANDLE_VALUE)
        return failed("open device");
    requests = allocate(count * sizeof(*requests));
    if (requests == NULL)
        return failed("memory");
    for (uint32_t i = 0; i < count; i++)
        start_request(device, &requests[i], i);
    printf("%llu under way\n", (unsigned long long)count);
    fflush(stdout);
    await_requests(device, requests, (uint32_t)count, start);
    CloseHandle(device);
    return 0;
}

static const struct verb verbs[] = {
    {"read", "DEVICE OFFSET LENGTH FILE", 4, 4, verb_read},
    {"write", "DEVICE OFFSET FILE", 3, 3, verb_write},
    {"digest", "DEVICE SIZE [BLOCK]", 2, 3, verb_digest},
    {"sector", "DEVICE NUMBER...", 2, 1024, verb_sector},
    {"length", "DEVICE", 1, 1, verb_length},
    {"flush", "DEVICE", 1, 1, verb_flush},
    {"wait", "DEVICE MILLISECONDS", 2, 2, verb_wait},
    {"hold", "DEVICE MILLISECONDS", 2, 2, verb_hold},
    {"many", "DEVICE COUNT", 2, 2, verb_many},
};

static int usage(void)
{
    fprintf(stderr, "winio: raw I/O on a device such as \\\\.\\Z:\n");
    for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++)
        fprintf(stderr, "  winio %s %s\n", verbs[i].name, verbs[i].arguments);
    return 2;
}

int main(int argc, char **argv)
{
    if (argc < 2)
        return usage();
    for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++) {
        const struct verb *verb = &verbs[i];

        if (strcmp(argv[1], verb->name) != 0)
            continue;
        if (argc - 2 < verb->min_arguments || argc - 2 > verb->max_arguments)
            return usage();
        return verb->run(argc - 2, argv + 2);
    }
    return usage();
}
