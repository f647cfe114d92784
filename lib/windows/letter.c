/* SPDX-License-Identifier: MIT */
/*
 * letter.c - drive letters, which are symbolic links in NT's name space: the mount manager or
 * DefineDosDevice makes them, QueryDosDevice reads them.
 *
 * Called when a disk is mounted, unmounted or listed, on the caller's thread; never by a thread
 * that serves a disk.
 */
#include "lib/windows/letter.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <windows.h>

#include "abi/coremnt_abi.h"
#include "lib/core/error_internal.h"
#include "lib/core/os.h"
#include "lib/windows/host.h"
#include "lib/windows/mountmgr.h"
#include "lib/windows/wide.h"

#include <coremnt/error.h>

#define FIRST_CHOICE 'D'
#define TARGET_UNITS 520u
#define MUTEX_TIMEOUT_MS 10000u

int cm_letter_parse(const char *text, char *letter)
{
    char c = text[0];

    if (c >= 'a' && c <= 'z')
        c = (char)(c - 'a' + 'A');
    if (c < 'A' || c > 'Z' ||
        (text[1] != '\0' && strcmp(text + 1, ":") != 0 && strcmp(text + 1, ":\\") != 0 &&
         strcmp(text + 1, ":/") != 0))
        return cm_fail(CM_EINVAL,
                       "\"%.40s\" is neither a drive letter, a disk's id nor the path of a folder. "
                       "\"coremnt list\" shows letters and ids.",
                       text);
    *letter = c;
    return 0;
}

void cm_device_name(uint32_t number, char device[CM_DEVICE_NAME_SIZE])
{
    snprintf(device, CM_DEVICE_NAME_SIZE, "%s%u", CM_DISK_DEVICE_PREFIX, (unsigned)number);
}

int cm_device_number(const wchar_t *device, uint32_t *number)
{
    static const wchar_t prefix[] = L"" CM_DISK_DEVICE_PREFIX;
    size_t length = wcslen(prefix);
    const wchar_t *at = device + length;

    if (_wcsnicmp(device, prefix, length) != 0 || *at < L'0' || *at > L'9')
        return 0;
    for (*number = 0; *at >= L'0' && *at <= L'9'; at++) {
        if (*number > (UINT32_MAX - 9) / 10)
            return 0;
        *number = *number * 10 + (uint32_t)(*at - L'0');
    }
    return *at == L'\0' || *at == L'\\';
}

/* -- reading ----------------------------------------------------------------------------------- */

/* The newest target of a letter; CM_ENOENT, without a sentence, when there is none. */
static int target_of(char letter, char *target, size_t size)
{
    wchar_t name[3] = {(wchar_t)letter, L':', L'\0'};
    wchar_t wide[TARGET_UNITS];

    if (QueryDosDeviceW(name, wide, TARGET_UNITS) == 0)
        return CM_ENOENT;
    cm_wide_to_utf8(wide, target, size);
    return 0;
}

static int points_to(char letter, const char *device)
{
    char target[3 * TARGET_UNITS];

    return target_of(letter, target, sizeof(target)) == 0 && _stricmp(target, device) == 0;
}

uint32_t cm_letters_of(const char *device)
{
    uint32_t letters = 0;
    char letter;

    for (letter = 'A'; letter <= 'Z'; letter++) {
        if (points_to(letter, device))
            letters |= 1u << (letter - 'A');
    }
    return letters;
}

char cm_letter_of(const char *device)
{
    char letter;

    for (letter = 'A'; letter <= 'Z'; letter++) {
        if (points_to(letter, device))
            return letter;
    }
    return '\0';
}

int cm_letter_disk_number(char letter, uint32_t *number)
{
    static const char prefix[] = CM_DISK_DEVICE_PREFIX;
    char target[3 * TARGET_UNITS];
    char *end;

    if (target_of(letter, target, sizeof(target)) != 0)
        return cm_fail(CM_ENOENT, "there is no drive %c:.", letter);
    if (_strnicmp(target, prefix, sizeof(prefix) - 1) == 0) {
        *number = strtoul(target + sizeof(prefix) - 1, &end, 10);
        if (*end == '\0')
            return 0;
    }
    return cm_fail(CM_ENOENT, "%c: is not a CoreMnt disk: it is %.200s.", letter, target);
}

int cm_letter_check(char letter)
{
    char target[3 * TARGET_UNITS];

    if (target_of(letter, target, sizeof(target)) == 0)
        return cm_fail(CM_EBUSY, "%c: is in use: it is %.200s. Choose another letter.", letter,
                       target);
    /* A drive that is not a link: Wine shows the folders of its prefix that way. */
    if ((GetLogicalDrives() & (1u << (letter - 'A'))) != 0)
        return cm_fail(CM_EBUSY, "%c: is in use. Choose another letter.", letter);
    return 0;
}

/* -- writing ----------------------------------------------------------------------------------- */

static int define(const wchar_t *name, DWORD flags, const char *device)
{
    wchar_t target[CM_DEVICE_NAME_SIZE];
    int error = cm_wide_from_utf8(device, target, CM_DEVICE_NAME_SIZE);

    if (error != 0)
        return error;
    /* Telling the desktop is announce.c's: csrss would do it for some of these names only. */
    flags |= DDD_RAW_TARGET_PATH;
    if (!cm_on_wine())
        flags |= DDD_NO_BROADCAST_SYSTEM; /* unknown to Wine 8, which does not broadcast */
    return DefineDosDeviceW(flags, name, target) ? 0 : (int)GetLastError();
}

/*
 * Under UAC an administrator has two logon sessions, and a letter defined in the elevated one does
 * not exist in the one where Explorer runs. "Global\" leads to the name space of all sessions, if
 * the system lets us write there; what counts is what the letter resolves to afterwards. Wine has
 * one name space, and its DefineDosDevice copies the name to a buffer that holds just "Z:"
 * (wine-8.0, dlls/kernelbase/volume.c), so it must not see the longer one.
 */
static int change(char letter, DWORD flags, const char *device)
{
    wchar_t global[] = L"Global\\?:";
    wchar_t local[] = {(wchar_t)letter, L':', L'\0'};
    int wanted = (flags & DDD_REMOVE_DEFINITION) == 0;

    if (!cm_on_wine()) {
        global[7] = (wchar_t)letter;
        if (define(global, flags, device) == 0 && points_to(letter, device) == wanted)
            return 0;
    }
    return define(local, flags, device);
}

int cm_letter_define(char letter, const char *device)
{
    char text[256];
    int error = change(letter, 0, device);

    if (error == 0 && points_to(letter, device))
        return 0;
    if (error == ERROR_ACCESS_DENIED)
        return cm_fail(CM_EACCES, "no right to make the letter %c:. Run this as administrator.",
                       letter);
    cm_os_error_text((uint32_t)error, text, sizeof(text));
    return cm_fail(CM_EIO, "cannot make the letter %c: %s (Win32 error %d).", letter, text, error);
}

int cm_letter_remove(char letter, const char *device)
{
    char text[256];
    int error;

    /* Wine 8 ignores DDD_EXACT_MATCH_ON_REMOVE and removes whatever is there: look first. */
    if (!points_to(letter, device))
        return 0;
    error = change(letter,
                   DDD_REMOVE_DEFINITION | (cm_on_wine() ? 0u : (DWORD)DDD_EXACT_MATCH_ON_REMOVE),
                   device);
    if (!points_to(letter, device))
        return 0;
    cm_os_error_text((uint32_t)error, text, sizeof(text));
    return cm_fail(CM_EIO, "cannot take the letter %c: away: %s (Win32 error %d).", letter, text,
                   error);
}

static int choose(char *letter)
{
    char c;

    for (c = FIRST_CHOICE; c <= 'Z'; c++) {
        if (cm_letter_check(c) == 0) {
            *letter = c;
            return 0;
        }
    }
    return cm_fail(CM_EBUSY, "no drive letter is free.");
}

/*
 * Between looking and defining another process could take the letter, and DefineDosDevice would
 * push ours on top of it: so one at a time, on the whole machine. Without the mutex (another user
 * made it and does not share it) we go on, for only that race is at stake.
 */
int cm_letter_take(char wanted, const char *device, int managed, char *letter)
{
    HANDLE mutex = CreateMutexW(NULL, FALSE, L"Global\\CoreMntLetter");
    int error;

    if (mutex != NULL)
        WaitForSingleObject(mutex, MUTEX_TIMEOUT_MS);
    *letter = wanted;
    error = wanted != '\0' ? cm_letter_check(wanted) : choose(letter);
    /* Where the manager will not, the letter is one that it does not know of, and as good for most. */
    if (error == 0 &&
        !(managed && cm_mountmgr_link(device, *letter) == 0 && points_to(*letter, device)))
        error = cm_letter_define(*letter, device);
    if (mutex != NULL) {
        ReleaseMutex(mutex);
        CloseHandle(mutex);
    }
    return error;
}
