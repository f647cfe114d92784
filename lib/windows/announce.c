/* SPDX-License-Identifier: MIT */
/*
 * announce.c - WM_DEVICECHANGE to every window, and the shell's own notification.
 *
 * Called by disk.c and unmount.c, after the letter has changed. Programs answer WM_DEVICECHANGE by
 * reading the new drive, so a thread that serves disks must never send it; it is sent from a thread
 * of its own, which also bounds the wait.
 */
#include "lib/windows/announce.h"

#include <stdlib.h>
#include <windows.h>
/* windows.h comes first: the other two need it. */
#include <dbt.h>
#include <shlobj.h>

#include "lib/windows/detached.h"

#define WINDOW_TIMEOUT_MS 200u

struct announcement {
    char letter;
    int arrived;
};

/*
 * The message carries a pointer, so it cannot be posted, only sent; SMTO_ABORTIFHUNG and the
 * time-out (of each window) keep a hung program from holding the rest up. SHCNF_FLUSHNOWAIT because
 * a shell extension may hang too.
 */
static void run(void *argument)
{
    struct announcement *a = argument;
    wchar_t root[] = {(wchar_t)a->letter, L':', L'\\', L'\0'};
    DEV_BROADCAST_VOLUME volume = {0};
    DWORD_PTR ignored;

    volume.dbcv_size = sizeof(volume);
    volume.dbcv_devicetype = DBT_DEVTYP_VOLUME;
    volume.dbcv_unitmask = 1u << (a->letter - 'A');
    SendMessageTimeoutW(HWND_BROADCAST, WM_DEVICECHANGE,
                        a->arrived ? DBT_DEVICEARRIVAL : DBT_DEVICEREMOVECOMPLETE, (LPARAM)&volume,
                        SMTO_ABORTIFHUNG | SMTO_NOTIMEOUTIFNOTHUNG, WINDOW_TIMEOUT_MS, &ignored);
    SHChangeNotify(a->arrived ? SHCNE_DRIVEADD : SHCNE_DRIVEREMOVED,
                   SHCNF_PATHW | SHCNF_FLUSHNOWAIT, root, NULL);
    free(a);
}

static HANDLE start(char letter, int arrived)
{
    struct announcement *a = malloc(sizeof(*a));
    HANDLE thread;

    /* Nothing depends on it: without memory, Explorer shows the change at its next refresh. */
    if (a == NULL)
        return NULL;
    a->letter = letter;
    a->arrived = arrived;
    thread = cm_detached_start(run, a);
    if (thread == NULL)
        free(a);
    return thread;
}

void cm_announce_letter(char letter, int arrived, uint32_t timeout_ms)
{
    HANDLE thread = start(letter, arrived);

    if (thread == NULL)
        return;
    WaitForSingleObject(thread, timeout_ms);
    CloseHandle(thread);
}

void cm_announce_letter_later(char letter, int arrived)
{
    HANDLE thread = start(letter, arrived);

    if (thread != NULL)
        CloseHandle(thread);
}
