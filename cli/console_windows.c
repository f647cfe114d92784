/* SPDX-License-Identifier: MIT */
/*
 * console_windows.c - arguments from UTF-16, output as UTF-8, Ctrl-C and the end of the session.
 *
 * Windows calls on_event() on a thread of its own; everything else is the program's one thread.
 */
#include <io.h>
#include <stdio.h>
#include <stdlib.h>
#include <windows.h>
/* windows.h comes first: the other needs it. */
#include <shellapi.h>

#include "cli/console.h"

/* Windows ends the program when on_event() returns, or about five seconds after such an event. */
#define CLOSING_WAIT_MS 20000u

static UINT old_code_page;
static char **utf8_arguments;
static HANDLE finished; /* event: console_close() was called */
static volatile LONG interrupts;
static volatile LONG closing;

static char *to_utf8(const wchar_t *wide)
{
    int size = WideCharToMultiByte(CP_UTF8, 0, wide, -1, NULL, 0, NULL, NULL);
    char *text = size > 0 ? malloc((size_t)size) : NULL;

    if (text != NULL)
        WideCharToMultiByte(CP_UTF8, 0, wide, -1, text, size, NULL, NULL);
    return text;
}

/* The C run time's arguments are in the ANSI code page, with wildcards expanded; Windows' own have
 * every file name that there is. */
static int read_arguments(int *argc, char ***argv)
{
    wchar_t **wide = CommandLineToArgvW(GetCommandLineW(), argc);
    int i;

    utf8_arguments = wide != NULL ? calloc((size_t)*argc + 1, sizeof(char *)) : NULL;
    for (i = 0; utf8_arguments != NULL && i < *argc; i++) {
        utf8_arguments[i] = to_utf8(wide[i]);
        if (utf8_arguments[i] == NULL)
            break;
    }
    LocalFree(wide);
    if (utf8_arguments == NULL || i < *argc) {
        fprintf(stderr, "coremnt: no memory for the command line.\n");
        return -1;
    }
    *argv = utf8_arguments;
    return 0;
}

int console_open(int *argc, char ***argv)
{
    old_code_page = GetConsoleOutputCP();
    SetConsoleOutputCP(CP_UTF8);
    /* Unbuffered, the C run time writes byte by byte, and consoles before Windows 10 show each byte
     * of a character by itself. */
    setvbuf(stdout, NULL, _IOFBF, 8192);
    setvbuf(stderr, NULL, _IOFBF, 1024);
    return read_arguments(argc, argv);
}

void console_close(void)
{
    int i;

    fflush(stdout);
    fflush(stderr);
    if (old_code_page != 0)
        SetConsoleOutputCP(old_code_page);
    for (i = 0; utf8_arguments != NULL && utf8_arguments[i] != NULL; i++)
        free(utf8_arguments[i]);
    free(utf8_arguments);
    utf8_arguments = NULL;
    if (finished != NULL)
        SetEvent(finished);
}

static BOOL WINAPI on_event(DWORD event)
{
    InterlockedIncrement(&interrupts);
    if (event != CTRL_C_EVENT && event != CTRL_BREAK_EVENT) {
        InterlockedExchange(&closing, 1);
        WaitForSingleObject(finished, CLOSING_WAIT_MS);
    }
    return TRUE;
}

void console_catch_interrupts(void)
{
    finished = CreateEventW(NULL, TRUE, FALSE, NULL);
    SetConsoleCtrlHandler(on_event, TRUE);
}

unsigned console_interrupts(void)
{
    return (unsigned)interrupts;
}

int console_is_closing(void)
{
    return closing != 0;
}

/* The null device counts too, and takes it. */
int console_shows_errors(void)
{
    return _isatty(_fileno(stderr)) != 0;
}
