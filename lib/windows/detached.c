/* SPDX-License-Identifier: MIT */
/*
 * detached.c - see detached.h. For announce.c and volume.c, on any thread.
 */
#include "lib/windows/detached.h"

#include <stdlib.h>

struct start {
    void (*run)(void *argument);
    void *argument;
    HMODULE module; /* referenced: this program, or the DLL */
};

static DWORD WINAPI run_start(void *argument)
{
    struct start start = *(struct start *)argument;

    free(argument);
    start.run(start.argument);
    FreeLibraryAndExitThread(start.module, 0);
}

HANDLE cm_detached_start(void (*run)(void *argument), void *argument)
{
    struct start *start = malloc(sizeof(*start));
    HANDLE thread = NULL;

    if (start == NULL)
        return NULL;
    start->run = run;
    start->argument = argument;
    /* By an address within it: which module this is. */
    if (GetModuleHandleExW(GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS,
                           (const wchar_t *)(const void *)&run_start, &start->module)) {
        thread = CreateThread(NULL, 0, run_start, start, 0, NULL);
        if (thread == NULL)
            FreeLibrary(start->module);
    }
    if (thread == NULL)
        free(start);
    return thread;
}
