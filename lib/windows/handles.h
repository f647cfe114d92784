/* SPDX-License-Identifier: MIT */
/*
 * handles.h - the open files of all processes, and their names, asked for within a time.
 *
 * For users.c. Asking a file for its name can hang: a file that was opened for synchronous I/O
 * answers when the I/O that is under way on it has ended, which on a pipe may be never. So the
 * asking is done on threads of its own; one that makes no progress is left behind, and another goes
 * on with the next file.
 */
#ifndef CM_WINDOWS_HANDLES_H
#define CM_WINDOWS_HANDLES_H

#include <stddef.h>
#include <stdint.h>
#include <wchar.h>

/* A handle of some process. */
struct cm_handle {
    uintptr_t process;
    uintptr_t value;
    uint32_t access;
};

/*
 * All handles on files that there are on the system now, those whose names are least likely to hang
 * first. `without` is a process to leave out, or 0.
 *
 * @return 0 and `*handles`, to be freed with free(), or a CM_E... without a sentence.
 */
int cm_handles_list(uintptr_t without, struct cm_handle **handles, size_t *count);

#define CM_HANDLE_NAME_UNITS 1024u

struct cm_handles_scan {
    /* The name of a handle, zero included, into CM_HANDLE_NAME_UNITS units; 0 if it has none. May
     * hang. On any thread; several at once, if one hung. */
    int (*name_of)(const struct cm_handle *handle, wchar_t *name);
    /* A handle with a name. Never two at once, and not after the scan's end. */
    void (*found)(void *context, const struct cm_handle *handle, const wchar_t *name);
    void *context;
    uint32_t patience_ms; /* for one name */
    uint32_t total_ms;
};

/* What asks the system: for cm_handles_scan.name_of. */
int cm_handles_name(const struct cm_handle *handle, wchar_t *name);

/*
 * Ask for the names of all handles. Takes the handles, to free() them. Returns at the latest about
 * `total_ms` later; threads that hang then are left to end by themselves.
 * @return 1 if all were asked and answered, 0 if not.
 */
int cm_handles_scan_run(const struct cm_handles_scan *scan, struct cm_handle *handles,
                        size_t count);

#endif
