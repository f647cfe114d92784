/* SPDX-License-Identifier: MIT */
/*
 * driver_file.c - see driver_file.h. For service.c, on its caller's thread.
 *
 * What can be said before a service is made is said here, in words: Windows would say it when the
 * driver is started, by a number.
 */
#include "lib/windows/driver_file.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/core/error_internal.h"
#include "lib/core/os.h"
#include "lib/windows/wide.h"

#include <coremnt/error.h>

#define SHOWN_BYTES (3u * CM_DRIVER_PATH_UNITS)

/* mingw-w64's headers for Windows 7 lack them. */
#ifndef IMAGE_FILE_MACHINE_ARM64
#define IMAGE_FILE_MACHINE_ARM64 0xAA64
#endif
#ifndef PROCESSOR_ARCHITECTURE_ARM64
#define PROCESSOR_ARCHITECTURE_ARM64 12
#endif

/* -- processors -------------------------------------------------------------------------------- */

static const char *machine_name(unsigned machine)
{
    switch (machine) {
    case IMAGE_FILE_MACHINE_AMD64:
        return "x64";
    case IMAGE_FILE_MACHINE_I386:
        return "x86";
    case IMAGE_FILE_MACHINE_ARM64:
        return "ARM64";
    default:
        return "another processor";
    }
}

static FARPROC kernel32(const char *function)
{
    return GetProcAddress(GetModuleHandleW(L"kernel32.dll"), function);
}

/* What the kernel runs on, whatever this program was built for. The newer question is the one that
 * a program for x64 on ARM64 is answered truly; Windows before 10 has only the older. */
static unsigned system_machine(void)
{
    FARPROC found = kernel32("IsWow64Process2");
    BOOL(WINAPI * ask)(HANDLE, USHORT *, USHORT *);
    USHORT process;
    USHORT native;
    SYSTEM_INFO info;

    memcpy(&ask, &found, sizeof(ask));
    if (ask != NULL && ask(GetCurrentProcess(), &process, &native))
        return native;
    GetNativeSystemInfo(&info);
    switch (info.wProcessorArchitecture) {
    case PROCESSOR_ARCHITECTURE_AMD64:
        return IMAGE_FILE_MACHINE_AMD64;
    case PROCESSOR_ARCHITECTURE_ARM64:
        return IMAGE_FILE_MACHINE_ARM64;
    default:
        return IMAGE_FILE_MACHINE_I386;
    }
}

/* -- System32, of which 32-bit programs on 64-bit Windows see another one ------------------------- */

/* The kernel sees no such thing, so the file that we look at must be the one that it will load.
 * @return what show_system32_again() takes. */
static int show_true_system32(void **old)
{
    FARPROC found = kernel32("Wow64DisableWow64FsRedirection");
    BOOL(WINAPI * disable)(void **);

    memcpy(&disable, &found, sizeof(disable));
    return disable != NULL && disable(old);
}

static void show_system32_again(int changed, void *old)
{
    FARPROC found = kernel32("Wow64RevertWow64FsRedirection");
    BOOL(WINAPI * revert)(void *);

    memcpy(&revert, &found, sizeof(revert));
    if (changed && revert != NULL)
        revert(old);
}

/* -- the file ---------------------------------------------------------------------------------- */

static int fail_open(const char *shown, DWORD error)
{
    char text[256];

    switch (error) {
    case ERROR_FILE_NOT_FOUND:
    case ERROR_PATH_NOT_FOUND:
    case ERROR_INVALID_NAME:
        return cm_fail(CM_ENOENT, "there is no file %s. Give the path of CoreMnt.sys.", shown);
    case ERROR_ACCESS_DENIED: /* a folder, too */
        return cm_fail(CM_EACCES,
                       "%s cannot be read: no right to, or it is a folder. Give the path of "
                       "CoreMnt.sys.",
                       shown);
    default:
        cm_os_error_text(error, text, sizeof(text));
        return cm_fail(CM_EIO, "cannot read %s: %s (Win32 error %lu).", shown, text,
                       (unsigned long)error);
    }
}

/* The machine and the subsystem of a binary; 0 if it is none. All of it comes from the file, so the
 * one offset in it is used only to seek. */
static int read_headers(HANDLE file, unsigned *machine, unsigned *subsystem)
{
    IMAGE_DOS_HEADER dos;
    IMAGE_NT_HEADERS32 nt; /* 64-bit ones are the same up to the subsystem */
    DWORD got;

    if (!ReadFile(file, &dos, sizeof(dos), &got, NULL) || got != sizeof(dos) ||
        dos.e_magic != IMAGE_DOS_SIGNATURE || dos.e_lfanew < 0)
        return 0;
    if (SetFilePointer(file, dos.e_lfanew, NULL, FILE_BEGIN) == INVALID_SET_FILE_POINTER ||
        !ReadFile(file, &nt, sizeof(nt), &got, NULL) || got != sizeof(nt) ||
        nt.Signature != IMAGE_NT_SIGNATURE)
        return 0;
    *machine = nt.FileHeader.Machine;
    *subsystem = nt.OptionalHeader.Subsystem;
    return 1;
}

static int check_headers(const char *shown, HANDLE file)
{
    unsigned system = system_machine();
    unsigned machine;
    unsigned subsystem;

    if (!read_headers(file, &machine, &subsystem) || subsystem != IMAGE_SUBSYSTEM_NATIVE)
        return cm_fail(CM_EINVAL, "%s is no driver. Give the path of CoreMnt.sys.", shown);
    if (machine == system)
        return 0;
    if (system == IMAGE_FILE_MACHINE_ARM64)
        return cm_fail(CM_EINVAL,
                       "this Windows is for ARM64, and CoreMnt.sys is not: %s is for %s.", shown,
                       machine_name(machine));
    return cm_fail(CM_EINVAL, "%s is for %s, but this Windows is for %s: take the package for %s.",
                   shown, machine_name(machine), machine_name(system), machine_name(system));
}

/* The system opens drivers before anybody has logged on, and not as the user that we are. */
static int is_remote(const wchar_t *path)
{
    wchar_t root[4] = L"x:\\";

    if (path[0] == L'\\' && path[1] == L'\\' && path[2] != L'?' && path[2] != L'.')
        return 1;
    root[0] = path[0];
    return path[1] == L':' && GetDriveTypeW(root) == DRIVE_REMOTE;
}

int cm_driver_file_check(const wchar_t *path)
{
    char shown[SHOWN_BYTES];
    void *old = NULL;
    int changed;
    HANDLE file;
    DWORD result;
    int error;

    cm_wide_to_utf8(path, shown, sizeof(shown));
    if (is_remote(path))
        return cm_fail(CM_EINVAL,
                       "%s lies on another computer, where Windows cannot load drivers from. Copy "
                       "it to a disk of this one.",
                       shown);
    changed = show_true_system32(&old);
    file = CreateFileW(path, GENERIC_READ, FILE_SHARE_READ | FILE_SHARE_DELETE, NULL, OPEN_EXISTING,
                       0, NULL);
    result = GetLastError();
    show_system32_again(changed, old);
    if (file == INVALID_HANDLE_VALUE)
        return fail_open(shown, result);
    error = check_headers(shown, file);
    CloseHandle(file);
    return error;
}

/* -- as services name it ------------------------------------------------------------------------ */

static const wchar_t *after(const wchar_t *text, const wchar_t *beginning)
{
    size_t units = wcslen(beginning);

    return _wcsnicmp(text, beginning, units) == 0 ? text + units : NULL;
}

void cm_driver_file_path(const wchar_t *image, wchar_t path[CM_DRIVER_PATH_UNITS])
{
    const wchar_t *rest = after(image, L"\\SystemRoot\\");
    UINT used = 0;

    if (rest == NULL && image[0] != L'\\' && image[0] != L'\0' && image[1] != L':')
        rest = image; /* relative to the same */
    if (rest != NULL) {
        used = GetWindowsDirectoryW(path, CM_DRIVER_PATH_UNITS - 1);
        if (used >= CM_DRIVER_PATH_UNITS - 1)
            used = 0;
        if (used > 0)
            path[used++] = L'\\';
    } else {
        rest = after(image, L"\\??\\");
        if (rest == NULL)
            rest = image;
    }
    if (used + wcslen(rest) >= CM_DRIVER_PATH_UNITS)
        path[0] = L'\0';
    else
        memcpy(path + used, rest, (wcslen(rest) + 1) * sizeof(wchar_t));
}
