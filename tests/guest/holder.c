/* SPDX-License-Identifier: MIT */
/*
 * holder.c - the programs that use a disk while a step does something to it: guest.exe again, as
 * `guest hold` and `guest copy`.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/guest/kit.h"

#define HOLD_BYTES 4096u
#define HOLD_PAUSE_MS 100u

/* One line for each error that is new, so that its time and kind can be seen. */
static void tell_error(const char *what, DWORD *last)
{
    DWORD error = GetLastError();

    if (error == *last)
        return;
    printf("%s: Win32 error %lu\n", what, (unsigned long)error);
    fflush(stdout);
    *last = error;
}

/* hold FILE MILLISECONDS [PAUSE_MS]: writes and flushes with pauses between. Exit code 0 if all writes went well, 1 if some failed, 2 if not opened. */
int holder_hold(int argc, char **argv)
{
    char block[HOLD_BYTES];
    DWORD begin = GetTickCount();
    DWORD pause_ms = argc == 3 ? (DWORD)strtoul(argv[2], NULL, 10) : HOLD_PAUSE_MS;
    DWORD last_error = 0;
    DWORD done;
    HANDLE file;

    if (argc != 2 && argc != 3)
        return 2;
    file = CreateFileA(argv[0], GENERIC_READ | GENERIC_WRITE, FILE_SHARE_READ, NULL, OPEN_ALWAYS, 0,
                       NULL);
    if (file == INVALID_HANDLE_VALUE) {
        tell_error("open", &last_error);
        return 2;
    }
    printf("holding %s\n", argv[0]);
    fflush(stdout);
    memset(block, 'h', sizeof(block));
    while (GetTickCount() - begin < (DWORD)strtoul(argv[1], NULL, 10)) {
        if (!WriteFile(file, block, sizeof(block), &done, NULL))
            tell_error("write", &last_error);
        else if (!FlushFileBuffers(file))
            tell_error("flush", &last_error);
        Sleep(pause_ms);
    }
    CloseHandle(file);
    printf("released\n");
    return last_error != 0;
}

/* copy FROM TO. Exit code 0, or 1 and the error. */
int holder_copy(int argc, char **argv)
{
    DWORD none = 0;

    if (argc != 2)
        return 2;
    printf("copying\n");
    fflush(stdout);
    if (copy_file(argv[0], argv[1]) == ERROR_SUCCESS)
        return 0;
    tell_error("copy", &none);
    return 1;
}
