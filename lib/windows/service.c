/* SPDX-License-Identifier: MIT */
/*
 * service.c - CoreMnt.sys as a Windows service: the calls of <coremnt/driver.h>.
 *
 * Called by `coremnt driver`, by installers, and by control.c when the device is not there. Any
 * thread; each call opens the service manager anew, for nothing may be kept open: a service is only
 * removed when its last handle is closed.
 */
#include "lib/windows/service.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <windows.h>

#include "abi/coremnt_abi.h"
#include "lib/core/error_internal.h"
#include "lib/core/os.h"
#include "lib/windows/control.h"
#include "lib/windows/driver_file.h"
#include "lib/windows/wide.h"

#include <coremnt/disk.h>
#include <coremnt/driver.h>

/* What mingw-w64's headers for Windows 7 lack. */
#ifndef ERROR_INVALID_IMAGE_HASH
#define ERROR_INVALID_IMAGE_HASH 577L
#endif
#ifndef ERROR_VIRUS_INFECTED
#define ERROR_VIRUS_INFECTED 225L
#endif

#define SERVICE L"" CM_SERVICE_NAME
#define STATE_TIMEOUT_MS 15000u
#define STATE_POLL_MS 50u

/* -- errors ------------------------------------------------------------------------------------ */

/* What the loader's refusals mean for people. The numbers are those of StartService(). */
static const struct {
    DWORD win32;
    int error;
    const char *sentence;
} refusals[] = {
    {ERROR_INVALID_IMAGE_HASH, CM_EIO,
     "Windows refuses CoreMnt.sys: it is not signed by someone whom this system trusts, or was "
     "changed. For a test package, turn Secure Boot off, \"bcdedit /set testsigning on\", and "
     "restart."},
    {(DWORD)CERT_E_UNTRUSTEDROOT, CM_EIO,
     "Windows refuses CoreMnt.sys: it does not trust who has signed it. For a test package, "
     "\"certutil -addstore root CoreMntTest.cer\"."},
    {(DWORD)CERT_E_REVOKED, CM_EIO,
     "Windows refuses CoreMnt.sys: the certificate that it is signed with was revoked."},
    {ERROR_DRIVER_BLOCKED, CM_EIO,
     "Windows refuses CoreMnt.sys: a policy of this computer blocks it. Its event log names the "
     "policy, under Microsoft, Windows, CodeIntegrity."},
    {ERROR_VIRUS_INFECTED, CM_EIO,
     "Windows refuses CoreMnt.sys: the virus scanner holds it back. Its log says why."},
    {ERROR_BAD_EXE_FORMAT, CM_EIO,
     "Windows refuses CoreMnt.sys: it is damaged, or was built for another processor. Install the "
     "one for this system (x64 or x86)."},
    {ERROR_SERVICE_DISABLED, CM_EIO,
     "the service CoreMnt is disabled. \"sc config CoreMnt start= demand\" enables it."},
    {ERROR_ACCESS_DENIED, CM_EACCES, "no right to start the driver: run this as administrator."},
};

/* @param path  of the file, as it was installed */
static int fail_start(DWORD error, const char *path)
{
    char text[256];
    size_t i;

    for (i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
        if (refusals[i].win32 == error)
            return cm_fail(refusals[i].error, "%s", refusals[i].sentence);
    }
    /* The last is what Wine says of a missing file. */
    if (error == ERROR_FILE_NOT_FOUND || error == ERROR_PATH_NOT_FOUND ||
        error == ERROR_DLL_INIT_FAILED)
        return cm_fail(CM_EIO,
                       "the driver was installed as %s, which is not there any more, or does not "
                       "load. Put it back, or use \"coremnt driver remove\" and install it again.",
                       path);
    cm_os_error_text(error, text, sizeof(text));
    return cm_fail(CM_EIO, "the driver does not start: %s (Win32 error %lu).", text,
                   (unsigned long)error);
}

static int fail_service(DWORD error, const char *doing)
{
    char text[256];

    switch (error) {
    case ERROR_ACCESS_DENIED:
        return cm_fail(CM_EACCES, "no right to %s: run this as administrator.", doing);
    case ERROR_SERVICE_DOES_NOT_EXIST:
        return cm_fail(CM_ENODRIVER, "the driver CoreMnt is not installed. Install it with "
                                     "\"coremnt driver install\".");
    case ERROR_SERVICE_MARKED_FOR_DELETE:
        return cm_fail(CM_EBUSY,
                       "the driver CoreMnt is being removed. Close all programs that show "
                       "services, or restart Windows.");
    default:
        cm_os_error_text(error, text, sizeof(text));
        return cm_fail(CM_EIO, "cannot %s: %s (Win32 error %lu).", doing, text,
                       (unsigned long)error);
    }
}

/* -- handles and states ------------------------------------------------------------------------ */

static int open_service(DWORD access, const char *doing, SC_HANDLE *service)
{
    SC_HANDLE manager = OpenSCManagerW(NULL, NULL, SC_MANAGER_CONNECT);
    DWORD error = 0;

    *service = NULL;
    if (manager == NULL)
        return fail_service(GetLastError(), doing);
    *service = OpenServiceW(manager, SERVICE, access);
    if (*service == NULL)
        error = GetLastError();
    CloseServiceHandle(manager);
    return error == 0 ? 0 : fail_service(error, doing);
}

static int state_of(DWORD current)
{
    switch (current) {
    case SERVICE_RUNNING:
        return CM_DRIVER_RUNNING;
    case SERVICE_START_PENDING:
        return CM_DRIVER_STARTING;
    case SERVICE_STOP_PENDING:
        return CM_DRIVER_STOPPING;
    default:
        return CM_DRIVER_STOPPED;
    }
}

static int query_state(SC_HANDLE service, int *state)
{
    SERVICE_STATUS status;

    if (!QueryServiceStatus(service, &status))
        return fail_service(GetLastError(), "ask for the driver's state");
    *state = state_of(status.dwCurrentState);
    return 0;
}

static int wait_for_state(SC_HANDLE service, int wanted)
{
    uint32_t waited;

    for (waited = 0; waited < STATE_TIMEOUT_MS; waited += STATE_POLL_MS) {
        int state = CM_DRIVER_STOPPED;
        int error = query_state(service, &state);

        if (error != 0)
            return error;
        if (state == wanted)
            return 0;
        cm_os_sleep_ms(STATE_POLL_MS);
    }
    return CM_ETIMEDOUT;
}

int cm_service_state(int *state)
{
    SC_HANDLE service;
    int error = open_service(SERVICE_QUERY_STATUS, "ask for the driver's state", &service);

    *state = CM_DRIVER_NOT_INSTALLED;
    if (error == CM_ENODRIVER)
        return 0;
    if (error != 0)
        return error;
    error = query_state(service, state);
    CloseServiceHandle(service);
    return error;
}

/* The path of the driver's file as the service has it. */
static int query_image(SC_HANDLE service, wchar_t image[CM_DRIVER_PATH_UNITS])
{
    QUERY_SERVICE_CONFIGW *config;
    DWORD needed = 0;
    int error = 0;

    image[0] = L'\0';
    QueryServiceConfigW(service, NULL, 0, &needed);
    config = calloc(1, (size_t)needed + sizeof(*config));
    if (config == NULL)
        return cm_fail(CM_ENOMEM, "no memory for the driver's path.");
    if (!QueryServiceConfigW(service, config, needed + (DWORD)sizeof(*config), &needed))
        error = fail_service(GetLastError(), "ask for the driver's path");
    else if (wcslen(config->lpBinaryPathName) < CM_DRIVER_PATH_UNITS)
        memcpy(image, config->lpBinaryPathName,
               (wcslen(config->lpBinaryPathName) + 1) * sizeof(wchar_t));
    free(config);
    return error;
}

/* The same for people, and "" if it cannot be had. */
static void shown_path(SC_HANDLE service, char *path, size_t size)
{
    wchar_t image[CM_DRIVER_PATH_UNITS];
    wchar_t full[CM_DRIVER_PATH_UNITS] = L"";

    if (query_image(service, image) == 0)
        cm_driver_file_path(image, full);
    cm_wide_to_utf8(full, path, size);
}

/* -- install and remove ------------------------------------------------------------------------ */

static int default_path(wchar_t *path, DWORD units)
{
    static const wchar_t name[] = L"CoreMnt.sys";
    DWORD length = GetModuleFileNameW(NULL, path, units);
    wchar_t *slash;

    if (length == 0 || length >= units)
        return cm_fail(CM_EIO, "cannot find out where this program lies.");
    slash = wcsrchr(path, L'\\');
    slash = slash != NULL ? slash + 1 : path;
    if ((size_t)(slash - path) + sizeof(name) / sizeof(name[0]) > units)
        return cm_fail(CM_EINVAL, "the path of CoreMnt.sys is too long.");
    memcpy(slash, name, sizeof(name));
    return 0;
}

/* The absolute path of the file to install, which must be a driver for this system. */
static int driver_path(const char *sys_path, wchar_t *path, DWORD units)
{
    wchar_t given[CM_DRIVER_PATH_UNITS];
    DWORD length;
    int error;

    if (sys_path == NULL) {
        error = default_path(path, units);
        return error != 0 ? error : cm_driver_file_check(path);
    }
    error = cm_wide_from_utf8(sys_path, given, CM_DRIVER_PATH_UNITS);
    if (error != 0)
        return error;
    length = GetFullPathNameW(given, units, path, NULL);
    if (length == 0 || length >= units)
        return cm_fail(CM_EINVAL, "\"%s\" is no path of a driver file: empty, or too long.",
                       sys_path);
    return cm_driver_file_check(path);
}

/* Where from, and what to do: another path is mostly a newer package. */
static int fail_exists(const wchar_t *path)
{
    char installed[3 * CM_DRIVER_PATH_UNITS] = "";
    char wanted[3 * CM_DRIVER_PATH_UNITS];
    SC_HANDLE service;

    if (open_service(SERVICE_QUERY_CONFIG, "ask for the driver's path", &service) == 0) {
        shown_path(service, installed, sizeof(installed));
        CloseServiceHandle(service);
    }
    cm_wide_to_utf8(path, wanted, sizeof(wanted));
    if (_stricmp(installed, wanted) == 0)
        return cm_fail(CM_EEXIST, "the driver CoreMnt is installed already, as this file. Start it "
                                  "with \"coremnt driver start\".");
    if (strstr(installed, "\\DriverStore\\") != NULL)
        return cm_fail(CM_EEXIST,
                       "the driver CoreMnt is installed already, by its INF. Remove that "
                       "with \"pnputil /delete-driver oemNN.inf /uninstall\"; \"pnputil "
                       "/enum-drivers\" shows its number.");
    return cm_fail(CM_EEXIST,
                   "the driver CoreMnt is installed already, as %s. To use another file, \"coremnt "
                   "driver stop\" and \"coremnt driver remove\" first.",
                   installed[0] != '\0' ? installed : "another file");
}

int cm_driver_install(const char *sys_path)
{
    wchar_t path[CM_DRIVER_PATH_UNITS];
    SC_HANDLE manager;
    SC_HANDLE service;
    DWORD result = 0;
    int error = driver_path(sys_path, path, CM_DRIVER_PATH_UNITS);

    if (error != 0)
        return error;
    manager = OpenSCManagerW(NULL, NULL, SC_MANAGER_CREATE_SERVICE);
    if (manager == NULL)
        return fail_service(GetLastError(), "install the driver");
    /* The path stands there without quotation marks, spaces or not: a driver's has no arguments. */
    service = CreateServiceW(manager, SERVICE, L"CoreMnt virtual disks", SERVICE_QUERY_STATUS,
                             SERVICE_KERNEL_DRIVER, SERVICE_DEMAND_START, SERVICE_ERROR_NORMAL,
                             path, NULL, NULL, NULL, NULL, NULL);
    if (service == NULL)
        result = GetLastError();
    else
        CloseServiceHandle(service);
    CloseServiceHandle(manager);
    if (result == ERROR_SERVICE_EXISTS)
        return fail_exists(path);
    return result == 0 ? 0 : fail_service(result, "install the driver");
}

int cm_driver_remove(void)
{
    SC_HANDLE service;
    int state = CM_DRIVER_STOPPED;
    int error = open_service(SERVICE_QUERY_STATUS | DELETE, "remove the driver", &service);

    if (error != 0)
        return error;
    error = query_state(service, &state);
    if (error == 0 && state != CM_DRIVER_STOPPED)
        error = cm_fail(CM_EBUSY, "the driver runs. Stop it first with \"coremnt driver stop\".");
    if (error == 0 && !DeleteService(service)) {
        DWORD result = GetLastError();

        /* Somebody asked for it already; it goes when the last handle is closed. */
        if (result != ERROR_SERVICE_MARKED_FOR_DELETE)
            error = fail_service(result, "remove the driver");
    }
    CloseServiceHandle(service);
    return error;
}

/* -- start and stop ---------------------------------------------------------------------------- */

/* To the service manager a driver that is still stopping, because a program or a file system has one
 * of its devices open, runs, and needs no start. */
static int check_device(void)
{
    struct cm_version version;
    HANDLE control;
    int error = cm_control_open_any(&control, &version);

    if (error == 0)
        CloseHandle(control);
    return error == CM_ESTOPPED ? error : 0;
}

int cm_driver_start(void)
{
    SC_HANDLE service;
    char path[3 * CM_DRIVER_PATH_UNITS];
    int error = open_service(SERVICE_QUERY_STATUS | SERVICE_QUERY_CONFIG | SERVICE_START,
                             "start the driver", &service);

    if (error != 0)
        return error;
    if (!StartServiceW(service, 0, NULL)) {
        DWORD result = GetLastError();

        if (result != ERROR_SERVICE_ALREADY_RUNNING) {
            shown_path(service, path, sizeof(path));
            error = fail_start(result, path);
        }
    }
    if (error == 0)
        error = wait_for_state(service, CM_DRIVER_RUNNING);
    if (error == CM_ETIMEDOUT)
        error = cm_fail(CM_EIO, "the driver has not started within %u seconds.",
                        STATE_TIMEOUT_MS / 1000u);
    CloseServiceHandle(service);
    return error != 0 ? error : check_device();
}

/* With disks mounted: refuse, or take them away. A driver that does not answer has none to lose. */
static int clear_disks(int force)
{
    struct cm_disk_info *disks;
    uint32_t count;
    uint32_t i;
    int error = cm_list(&disks, &count);

    if (error == CM_EVERSION && !force)
        return cm_fail(CM_EBUSY, "the driver is of another version, so this program cannot see "
                                 "whether disks are mounted. Stop with --force: what is not "
                                 "written then is lost.");
    if (error != 0 || count == 0)
        return 0;
    for (i = 0; force && i < count; i++) {
        char which[24];

        snprintf(which, sizeof(which), "%llu", (unsigned long long)disks[i].id);
        cm_unmount(which, CM_UNMOUNT_FORCED, 0);
    }
    if (!force)
        cm_fail(CM_EBUSY,
                "%u disk%s mounted%s%s. Unmount %s first, or stop with --force: what is not "
                "written then is lost.",
                (unsigned)count, count == 1 ? " is" : "s are",
                disks[0].mount_point[0] != '\0' ? ", the first as " : "", disks[0].mount_point,
                count == 1 ? "it" : "them");
    cm_free(disks);
    return force ? 0 : CM_EBUSY;
}

int cm_driver_stop(int force)
{
    SERVICE_STATUS status;
    SC_HANDLE service;
    int state = CM_DRIVER_STOPPED;
    int error = open_service(SERVICE_QUERY_STATUS | SERVICE_STOP, "stop the driver", &service);

    if (error != 0)
        return error;
    error = query_state(service, &state);
    if (error == 0 && state == CM_DRIVER_RUNNING)
        error = clear_disks(force);
    if (error == 0 && state != CM_DRIVER_STOPPED &&
        !ControlService(service, SERVICE_CONTROL_STOP, &status)) {
        DWORD result = GetLastError();

        if (result != ERROR_SERVICE_NOT_ACTIVE && result != ERROR_SERVICE_CANNOT_ACCEPT_CTRL)
            error = fail_service(result, "stop the driver");
    }
    if (error == 0)
        error = wait_for_state(service, CM_DRIVER_STOPPED);
    /* NT unloads a driver when the last handle on its devices is closed, not before. */
    if (error == CM_ETIMEDOUT)
        cm_fail(error, "the driver is stopping, but a program still has it or one of its disks "
                       "open. It ends when that program does.");
    CloseServiceHandle(service);
    return error;
}

/* -- status ------------------------------------------------------------------------------------ */

/* The service runs: does the device answer, and in which version? */
static int query_device(struct cm_driver_status *status)
{
    struct cm_version version;
    HANDLE control;
    int error = cm_control_open_any(&control, &version);

    if (error == CM_EACCES)
        return error;
    if (error != 0) {
        status->state = CM_DRIVER_NOT_ANSWERING;
        return 0;
    }
    CloseHandle(control);
    status->abi_version = version.abi_version;
    status->version = version.driver_version;
    return 0;
}

int cm_driver_get_status(struct cm_driver_status *status)
{
    SC_HANDLE service;
    int error;

    memset(status, 0, sizeof(*status));
    status->library_abi_version = CM_ABI_VERSION;
    error = open_service(SERVICE_QUERY_STATUS | SERVICE_QUERY_CONFIG, "ask for the driver's state",
                         &service);
    if (error == CM_ENODRIVER)
        return 0;
    if (error != 0)
        return error;
    error = query_state(service, &status->state);
    if (error == 0)
        shown_path(service, status->path, sizeof(status->path));
    CloseServiceHandle(service);
    if (error == 0 && status->state == CM_DRIVER_RUNNING)
        error = query_device(status);
    return error;
}
