/* SPDX-License-Identifier: MIT */
/*
 * control.c - opens \\.\CoreMnt, makes control calls, and turns Windows' errors into sentences.
 *
 * Called by everything in this folder that talks to the driver, on the caller's thread. Not the hot
 * path: each call allocates.
 */
#include "lib/windows/control.h"

#include <stdlib.h>
#include <string.h>

#include "lib/core/error_internal.h"
#include "lib/core/os.h"
#include "lib/windows/service.h"

#include <coremnt/driver.h>

/* The driver answers control calls within its dispatch routine, so these are only ever reached when
 * it hangs. */
#define CALL_TIMEOUT_MS 30000u
#define CANCEL_GRACE_MS 2000u

#ifndef ERROR_NO_SUCH_DEVICE
#define ERROR_NO_SUCH_DEVICE 433L
#endif

/*
 * Everything that the kernel may write to until the request has ended. On the heap, because a
 * request that neither ends nor can be cancelled must be left behind together with it.
 */
struct call {
    OVERLAPPED overlapped;
    _Alignas(8) unsigned char data[]; /* in, then out */
};

static size_t align8(size_t size)
{
    return (size + 7u) & ~(size_t)7u;
}

/*
 * WAIT_TIMEOUT: it is still under way, and nothing of `call` may be freed.
 *
 * CancelIo, which every Windows has, takes back all that this thread has asked of the handle: this
 * call, and at most others that were left behind.
 */
static DWORD await(HANDLE control, struct call *call, DWORD *bytes)
{
    HANDLE event = call->overlapped.hEvent;

    if (WaitForSingleObject(event, CALL_TIMEOUT_MS) != WAIT_OBJECT_0) {
        CancelIo(control);
        if (WaitForSingleObject(event, CANCEL_GRACE_MS) != WAIT_OBJECT_0)
            return WAIT_TIMEOUT;
    }
    return GetOverlappedResult(control, &call->overlapped, bytes, FALSE) ? 0 : GetLastError();
}

DWORD cm_control_call(HANDLE control, DWORD code, const void *in, DWORD in_size, void *out,
                      DWORD out_size, DWORD *returned)
{
    struct call *call = calloc(1, sizeof(*call) + align8(in_size) + out_size);
    unsigned char *call_out;
    DWORD bytes = 0;
    DWORD error = 0;

    if (returned != NULL)
        *returned = 0;
    if (call == NULL)
        return ERROR_NOT_ENOUGH_MEMORY;
    call_out = call->data + align8(in_size);
    if (in_size > 0)
        memcpy(call->data, in, in_size);
    call->overlapped.hEvent = CreateEventW(NULL, TRUE, FALSE, NULL);
    if (call->overlapped.hEvent == NULL) {
        error = GetLastError();
        free(call);
        return error;
    }
    if (!DeviceIoControl(control, code, call->data, in_size, call_out, out_size, &bytes,
                         &call->overlapped))
        error = GetLastError();
    if (error == ERROR_IO_PENDING)
        error = await(control, call, &bytes);
    if (error == WAIT_TIMEOUT)
        return error; /* leaked on purpose: the kernel still owns it */
    if (error == 0 || error == ERROR_MORE_DATA) {
        if (bytes > out_size)
            bytes = out_size;
        if (bytes > 0)
            memcpy(out, call_out, bytes);
        if (returned != NULL)
            *returned = bytes;
    }
    CloseHandle(call->overlapped.hEvent);
    free(call);
    return error;
}

int cm_control_driver_gone(DWORD error)
{
    /*
     * What old handles give after the driver has gone. Wine deletes the device at once:
     * STATUS_FILE_DELETED is ERROR_ACCESS_DENIED, and requests that were pended end with
     * STATUS_NO_SUCH_DEVICE (server/device.c: create_irp, delete_file). It cannot be about rights: the
     * handle was opened with all that the calls need. NT fails opens and calls of a device that is
     * being unloaded with STATUS_NO_SUCH_DEVICE too; before Windows 10 that is
     * ERROR_FILE_NOT_FOUND.
     */
    switch (error) {
    case ERROR_ACCESS_DENIED:
    case ERROR_NO_SUCH_DEVICE:
    case ERROR_FILE_NOT_FOUND:
    case ERROR_INVALID_HANDLE:
        return 1;
    default:
        return 0;
    }
}

int cm_control_fail(DWORD error, const char *doing)
{
    char text[256];

    if (cm_control_driver_gone(error))
        return cm_fail(CM_ESTOPPED,
                       "cannot %s: the driver has been stopped or has crashed. Start it with "
                       "\"coremnt driver start\".",
                       doing);
    switch (error) {
    case ERROR_NOT_FOUND:
        return cm_fail(CM_ENOENT, "cannot %s: there is no such disk.", doing);
    case ERROR_BUSY:
        return cm_fail(CM_EBUSY, "cannot %s: the disk is in use.", doing);
    case ERROR_NOT_ENOUGH_MEMORY:
    case ERROR_NO_SYSTEM_RESOURCES:
    case ERROR_NOT_ENOUGH_QUOTA:
    case ERROR_WORKING_SET_QUOTA:
        return cm_fail(CM_ENOMEM, "cannot %s: Windows has not enough memory.", doing);
    case ERROR_INVALID_PARAMETER:
        return cm_fail(CM_EINVAL, "cannot %s: the driver refuses the parameters.", doing);
    case ERROR_REVISION_MISMATCH:
    case ERROR_INVALID_FUNCTION:
        return cm_fail(CM_EVERSION,
                       "cannot %s: the driver is of another version. Install the one that came "
                       "with this program.",
                       doing);
    case WAIT_TIMEOUT:
    case ERROR_OPERATION_ABORTED:
        return cm_fail(CM_ETIMEDOUT, "cannot %s: the driver does not answer.", doing);
    default:
        cm_os_error_text(error, text, sizeof(text));
        return cm_fail(CM_EIO, "cannot %s: %s (Win32 error %lu).", doing, text,
                       (unsigned long)error);
    }
}

/* Why the device is not there: only the service manager knows. */
static int fail_missing(void)
{
    int state;
    int error = cm_service_state(&state);

    if (error != 0)
        return error;
    switch (state) {
    case CM_DRIVER_NOT_INSTALLED:
        return cm_fail(CM_ENODRIVER,
                       "the driver CoreMnt is not installed. Install it with \"coremnt driver "
                       "install\", then start it with \"coremnt driver start\".");
    case CM_DRIVER_STOPPED:
        return cm_fail(CM_ESTOPPED, "the driver CoreMnt is not started. Start it with \"coremnt "
                                    "driver start\" or \"sc start CoreMnt\".");
    case CM_DRIVER_STARTING:
        return cm_fail(CM_ESTOPPED, "the driver CoreMnt is still starting. Try again.");
    case CM_DRIVER_STOPPING:
        return cm_fail(CM_ESTOPPED, "the driver CoreMnt is being stopped. Wait until it has "
                                    "stopped, then start it with \"coremnt driver start\".");
    default:
        return cm_fail(CM_ESTOPPED,
                       "the service CoreMnt runs, but its device does not answer: the driver has "
                       "crashed or is being stopped. Stop and start it with \"coremnt driver "
                       "stop\" and \"coremnt driver start\".");
    }
}

static int fail_open(DWORD error)
{
    char text[256];

    switch (error) {
    case ERROR_ACCESS_DENIED:
        return cm_fail(CM_EACCES, "no right to use the driver CoreMnt: run this as administrator.");
    case ERROR_FILE_NOT_FOUND:
    case ERROR_PATH_NOT_FOUND:
    case ERROR_NO_SUCH_DEVICE:
    case ERROR_BAD_PATHNAME:
        return fail_missing();
    default:
        cm_os_error_text(error, text, sizeof(text));
        return cm_fail(CM_EIO, "cannot open %s: %s (Win32 error %lu).", CM_CONTROL_DEVICE_NAME,
                       text, (unsigned long)error);
    }
}

int cm_control_open_any(HANDLE *control, struct cm_version *version)
{
    DWORD bytes;
    DWORD error;

    memset(version, 0, sizeof(*version));
    /* Overlapped: Windows serialises the calls of any other handle, and an exchange that waits
     * would block the one that brings its replies. */
    *control = CreateFileA(CM_CONTROL_DEVICE_NAME, GENERIC_READ | GENERIC_WRITE,
                           FILE_SHARE_READ | FILE_SHARE_WRITE, NULL, OPEN_EXISTING,
                           FILE_FLAG_OVERLAPPED, NULL);
    if (*control == INVALID_HANDLE_VALUE)
        return fail_open(GetLastError());
    error = cm_control_call(*control, CM_IOCTL_VERSION, NULL, 0, version, sizeof(*version), &bytes);
    if (error == 0 && bytes == sizeof(*version))
        return 0;
    CloseHandle(*control);
    *control = INVALID_HANDLE_VALUE;
    return cm_control_fail(error != 0 ? error : ERROR_INVALID_FUNCTION,
                           "ask the driver for its version");
}

int cm_control_open(HANDLE *control, struct cm_version *version)
{
    struct cm_version found;
    int error = cm_control_open_any(control, &found);

    if (error != 0)
        return error;
    if (version != NULL)
        *version = found;
    if (found.abi_version == CM_ABI_VERSION)
        return 0;
    CloseHandle(*control);
    *control = INVALID_HANDLE_VALUE;
    return cm_fail(CM_EVERSION,
                   "the driver speaks version %u of the contract, this program version %u. Install "
                   "the driver that came with this program: \"coremnt driver stop\", \"remove\", "
                   "\"install\", \"start\".",
                   (unsigned)found.abi_version, CM_ABI_VERSION);
}

static int check_feature(const struct cm_version *version, uint64_t feature, const char *what)
{
    if ((version->features & feature) != 0)
        return 0;
    return cm_fail(
        CM_EVERSION,
        "the driver CoreMnt that runs is too old to %s. Install the driver that came with "
        "this program: \"coremnt driver stop\", \"remove\", \"install\", \"start\".",
        what);
}

int cm_control_check_hold(const struct cm_version *version)
{
    return check_feature(version, CM_FEATURE_HOLD,
                         "hold disks, to take them over and to time requests out");
}

int cm_control_check_volume(const struct cm_version *version)
{
    return check_feature(version, CM_FEATURE_VOLUME, "resize disks");
}
