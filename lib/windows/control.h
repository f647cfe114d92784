/* SPDX-License-Identifier: MIT */
/*
 * control.h - the control device \\.\CoreMnt: opening it, and calls that are answered at once.
 *
 * The exchange of requests has its own, allocation-free way: driver_transport.c.
 */
#ifndef CM_CONTROL_H
#define CM_CONTROL_H

#include <windows.h>

#include "abi/coremnt_abi.h"

/*
 * Open the driver and make sure that it speaks our version of the contract.
 *
 * @param version  Out, optional.
 * @return 0; CM_ENODRIVER, CM_ESTOPPED, CM_EACCES, CM_EVERSION, CM_ENOMEM, CM_EIO, with a sentence
 * that says what to do. Close with CloseHandle().
 */
int cm_control_open(HANDLE *control, struct cm_version *version);

/* As cm_control_open(), but a driver of another version is fine: for asking which one it is. */
int cm_control_open_any(HANDLE *control, struct cm_version *version);

/*
 * One DeviceIoControl, waited for; bounded (see control.c). Any number of threads may share the
 * handle.
 *
 * @param returned  Out, optional: bytes in `out`, valid also with ERROR_MORE_DATA.
 * @return a Win32 error; 0 for success, WAIT_TIMEOUT when the driver does not answer.
 */
DWORD cm_control_call(HANDLE control, DWORD code, const void *in, DWORD in_size, void *out,
                      DWORD out_size, DWORD *returned);

/* A Win32 error of cm_control_call() as a CM_E..., with the sentence "cannot DOING: ...". */
int cm_control_fail(DWORD error, const char *doing);

/* 0, or CM_EVERSION with a sentence: a driver that knows nothing of holding, time-outs and health. */
int cm_control_check_hold(const struct cm_version *version);

/* The same for one that knows nothing of resizing. */
int cm_control_check_volume(const struct cm_version *version);

/* The errors that mean that the driver itself is no longer there. */
int cm_control_driver_gone(DWORD error);

#endif
