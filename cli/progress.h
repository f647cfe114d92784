/* SPDX-License-Identifier: MIT */
/*
 * progress.h - what a verb that takes long shows meanwhile, and Ctrl-C, which ends it.
 */
#ifndef CLI_PROGRESS_H
#define CLI_PROGRESS_H

#include <stdint.h>

struct progress {
    int is_shown;     /* on a terminal, and wanted */
    int is_begun;     /* there is a line that must be taken away */
    uint64_t started; /* cm_os_now_ns() */
    uint64_t told;    /* the same, of the last line */
};

/* From here on Ctrl-C is answered by progress_tell(). */
void progress_begin(struct progress *progress, int is_quiet);

/* A cm_progress, whose context is the struct above. */
int progress_tell(void *context, uint64_t done, uint64_t all);

/* Before anything else is printed. */
void progress_end(struct progress *progress);

#endif
