/* SPDX-License-Identifier: MIT */
/*
 * files.c - files whose content is known from a seed, and comparisons that do not believe a copy.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/guest/kit.h"

#define PART (64u * KIB)

uint32_t next_random(uint32_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 17;
    *state ^= *state << 5;
    return *state;
}

/* xorshift must not start at zero; neighbouring seeds must not give similar files. */
static uint32_t first_state(uint32_t seed)
{
    uint32_t state = seed * 2654435761u + 1u;

    return state != 0 ? state : 1u;
}

static void fill(uint32_t *words, uint32_t *state)
{
    for (uint32_t i = 0; i < PART / 4; i++)
        words[i] = next_random(state);
}

static HANDLE open_file(const char *path, DWORD access, DWORD how)
{
    HANDLE file = CreateFileA(path, access, FILE_SHARE_READ, NULL, how, 0, NULL);

    if (file == INVALID_HANDLE_VALUE)
        fail("cannot open %s: Win32 error %lu", path, (unsigned long)GetLastError());
    return file;
}

void make_file(const char *path, uint32_t seed, uint32_t size)
{
    static uint32_t words[PART / 4];
    HANDLE file = open_file(path, GENERIC_WRITE, CREATE_ALWAYS);
    uint32_t state = first_state(seed);

    while (size != 0) {
        DWORD part = size < PART ? size : PART;
        DWORD done = 0;

        fill(words, &state);
        if (!WriteFile(file, words, part, &done, NULL) || done != part)
            fail("cannot write %s: Win32 error %lu", path, (unsigned long)GetLastError());
        size -= part;
    }
    must(CloseHandle(file), "CloseHandle");
}

void check_file(const char *path, uint32_t seed, uint32_t size)
{
    static uint32_t expected[PART / 4];
    static uint32_t found[PART / 4];
    HANDLE file = open_file(path, GENERIC_READ, OPEN_EXISTING);
    uint32_t state = first_state(seed);
    uint32_t left = size;
    DWORD done = 0;

    while (left != 0) {
        DWORD part = left < PART ? left : PART;

        fill(expected, &state);
        if (!ReadFile(file, found, part, &done, NULL))
            fail("cannot read %s at %lu: Win32 error %lu", path, (unsigned long)(size - left),
                 (unsigned long)GetLastError());
        if (done != part || memcmp(found, expected, part) != 0)
            fail("%s has other content than was written, at %lu or up to %u bytes later", path,
                 (unsigned long)(size - left), PART);
        left -= part;
    }
    if (!ReadFile(file, found, 1, &done, NULL) || done != 0)
        fail("%s is longer than was written", path);
    must(CloseHandle(file), "CloseHandle");
}

uint32_t sum_of(const char *path)
{
    static unsigned char part[PART];
    HANDLE file = open_file(path, GENERIC_READ, OPEN_EXISTING);
    uint32_t sum = 2166136261u;
    DWORD done;

    for (;;) {
        if (!ReadFile(file, part, PART, &done, NULL))
            fail("cannot read %s: Win32 error %lu", path, (unsigned long)GetLastError());
        if (done == 0)
            break;
        for (DWORD i = 0; i < done; i++)
            sum = (sum ^ part[i]) * 16777619u; /* FNV-1a */
    }
    CloseHandle(file);
    return sum;
}

/* Its exit code: 0 the same, 1 different, 2 missing, also where it says so in another language. */
void expect_same(const char *left, const char *right)
{
    if (has_program("fc")) {
        DWORD code = run(120, "fc /b %s %s", left, right);

        if (code != 0)
            fail("fc /b %s %s: %ld", left, right, (long)code);
    } else if (file_size(left) != file_size(right) || sum_of(left) != sum_of(right)) {
        fail("%s and %s differ", left, right);
    }
}

DWORD copy_file(const char *from, const char *to)
{
    return CopyFileA(from, to, FALSE) ? ERROR_SUCCESS : GetLastError();
}

uint64_t file_size(const char *path)
{
    WIN32_FIND_DATAA found;
    HANDLE find = FindFirstFileA(path, &found);

    if (find == INVALID_HANDLE_VALUE)
        fail("there is no %s: Win32 error %lu", path, (unsigned long)GetLastError());
    FindClose(find);
    return (uint64_t)found.nFileSizeHigh << 32 | found.nFileSizeLow;
}
