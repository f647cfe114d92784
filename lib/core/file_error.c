/* SPDX-License-Identifier: MIT */
/*
 * file_error.c - looks up a system's error about a file in that system's table.
 *
 * On any thread. cm_file_error is called on the hot path, but only when something has failed there.
 */
#include "lib/core/file_error.h"

#include <stddef.h>

#include "lib/core/error_internal.h"
#include "lib/core/os.h"

#include <coremnt/error.h>

static const struct cm_file_error_row *find(uint32_t system_error)
{
    const struct cm_file_error_row *row;

    for (row = cm_file_errors; row->error != 0; row++)
        if (row->system == system_error)
            return row;
    return NULL;
}

int cm_file_error(uint32_t system_error)
{
    const struct cm_file_error_row *row = find(system_error);

    return row != NULL ? row->error : CM_EIO;
}

int cm_file_fail(const char *action, const char *path, uint32_t system_error)
{
    const struct cm_file_error_row *row = find(system_error);
    int error = row != NULL ? row->error : CM_EIO;
    char words[256];

    if (row != NULL && row->text != NULL)
        return cm_fail(error, "cannot %s %s: %s", action, path, row->text);
    cm_os_error_text(system_error, words, sizeof(words));
    return cm_fail(error, "cannot %s %s: %s.", action, path, words);
}
