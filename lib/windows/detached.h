/* SPDX-License-Identifier: MIT */
/*
 * detached.h - threads that may outlive whoever started them, because they may hang.
 */
#ifndef CM_DETACHED_H
#define CM_DETACHED_H

#include <windows.h>

/*
 * Start run(argument) on a thread that keeps the library's module loaded as long as it runs, for
 * the library may be a DLL that is unloaded meanwhile.
 * @return a handle to wait for and to close with CloseHandle(), or NULL.
 */
HANDLE cm_detached_start(void (*run)(void *argument), void *argument);

#endif
