/* SPDX-License-Identifier: MIT */
/*
 * file_error.h - what a system's errors about files mean to us and to people; see file_error.c. Used by the
 * file.c of each system.
 */
#ifndef CM_FILE_ERROR_H
#define CM_FILE_ERROR_H

#include <stdint.h>

struct cm_file_error_row {
    uint32_t system;
    int error;
    const char *text; /* what happened and what to do; NULL: the system's words say it */
};

/* The system's table (lib/linux, lib/windows: file_error.c), ended by a row whose error is 0. */
extern const struct cm_file_error_row cm_file_errors[];

/* The CM_E... of an error of the system; CM_EIO for those that are not in the table. Sets no sentence. */
int cm_file_error(uint32_t system_error);

/* The same, with the sentence "cannot ACTION PATH: ...". */
int cm_file_fail(const char *action, const char *path, uint32_t system_error);

#endif
