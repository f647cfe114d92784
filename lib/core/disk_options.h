/* SPDX-License-Identifier: MIT */
/* disk_options.h - a caller's cm_disk_options, complete and checked. */
#ifndef CM_DISK_OPTIONS_H
#define CM_DISK_OPTIONS_H

#include <coremnt/disk.h>

/* Fill in the defaults; `given` may be NULL or of an older library. Sets the sentence.
 * @return 0 or CM_EINVAL. Any thread. */
int cm_disk_options_read(const struct cm_disk_options *given, struct cm_disk_options *options);

#endif
