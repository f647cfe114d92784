/* SPDX-License-Identifier: MIT */
/*
 * step.c - how a step of the guest kit ends, and what it may ask about the machine.
 *
 * The runner reads the last line that begins with END_MARK from the step's output: it is the reason.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/guest/kit.h"
#include "tests/guest/plan.h"

char letter_1[3];
char letter_2[3];

/* -- the end ------------------------------------------------------------------------------------ */

void note(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    vprintf(format, arguments);
    va_end(arguments);
    printf("\n");
    fflush(stdout);
}

/* Cleaning up may fail in its turn; the first reason is the one that is told. */
static _Noreturn void end(int code, const char *format, va_list arguments)
{
    static int ending;

    if (!ending) {
        ending = 1;
        printf(END_MARK);
        vprintf(format, arguments);
        printf("\n");
        fflush(stdout);
        process_kill_all();
        disk_unmount_all();
    }
    ExitProcess((UINT)code);
}

void fail(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    end(STEP_FAILED, format, arguments);
}

void skip(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    end(STEP_SKIPPED, format, arguments);
}

void must(BOOL done, const char *what)
{
    if (!done)
        fail("%s: Win32 error %lu", what, (unsigned long)GetLastError());
}

/* -- the machine -------------------------------------------------------------------------------- */

int is_wine(void)
{
    return GetProcAddress(GetModuleHandleA("ntdll.dll"), "wine_get_version") != NULL;
}

/* It reports itself as Windows Server 2003 to programs; the registry has its name. */
int is_reactos(void)
{
    char name[64] = "";
    DWORD size = sizeof(name) - 1;
    HKEY key;

    if (RegOpenKeyExA(HKEY_LOCAL_MACHINE, "SOFTWARE\\Microsoft\\Windows NT\\CurrentVersion", 0,
                      KEY_QUERY_VALUE, &key) != ERROR_SUCCESS)
        return 0;
    if (RegQueryValueExA(key, "ProductName", NULL, NULL, (BYTE *)name, &size) != ERROR_SUCCESS)
        name[0] = '\0';
    RegCloseKey(key);
    return strstr(name, "ReactOS") != NULL;
}

/* guest.exe lies in KIT\x86 or KIT\x64. */
const char *kit_path(const char *name)
{
    char *path = malloc(MAX_PATH);
    char *slash = NULL;

    if (path == NULL || GetModuleFileNameA(NULL, path, MAX_PATH) == 0)
        fail("cannot tell where guest.exe lies");
    for (int i = 0; i < 2; i++) {
        slash = strrchr(path, '\\');
        if (slash == NULL)
            fail("guest.exe lies in no folder of a kit: %s", path);
        *slash = '\0';
    }
    if ((size_t)(slash - path) + strlen(name) + 2 > MAX_PATH)
        fail("the kit's folder has too long a name: %s", path);
    *slash = '\\';
    memcpy(slash + 1, name, strlen(name) + 1);
    return path;
}

void choose_letters(void)
{
    char *letters[] = {letter_1, letter_2};
    DWORD used = GetLogicalDrives();
    size_t found = 0;

    for (char letter = 'Z'; letter > 'D' && found < 2; letter--) {
        if ((used & 1u << (letter - 'A')) != 0)
            continue;
        snprintf(letters[found], 3, "%c:", letter);
        found++;
    }
    if (found < 2)
        fail("this machine has no two free letters");
}
