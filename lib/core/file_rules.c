/* SPDX-License-Identifier: MIT */
/*
 * file_rules.c - which files may be images. Called when a file is opened, on the caller's thread.
 */
#include "lib/core/file_rules.h"

#include "lib/core/error_internal.h"
#include "lib/core/os.h"

#include <coremnt/error.h>

int cm_file_rules_check(const char *path, uint32_t attributes, uint32_t flags)
{
    if ((flags & CM_OS_IMAGE) == 0 || (flags & (CM_OS_READ_ONLY | CM_OS_CACHED)) != 0)
        return 0;
    if ((attributes & CM_FILE_ENCRYPTED) != 0)
        return cm_fail(CM_ENOTSUP,
                       "%s is encrypted, so Windows caches it, and a disk on it could come to wait "
                       "for itself. Decrypt it (cipher /d), or open it with --read-only or "
                       "--cached.",
                       path);
    if ((attributes & CM_FILE_COMPRESSED) != 0)
        return cm_fail(CM_ENOTSUP,
                       "%s is compressed, so Windows caches it, and a disk on it could come to "
                       "wait for itself. Uncompress it (compact /u), or open it with --read-only "
                       "or --cached.",
                       path);
    return 0;
}
