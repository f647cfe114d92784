/* SPDX-License-Identifier: MIT */
/*
 * error_internal.h - setting the thread's last-error sentence, and the tables between error
 * numbers.
 *
 * A failure is described once, at the lowest place that knows the file or the peer. Sentences say
 * what failed, on what, and what to do: "cannot open C:\x.img: access denied. Run as
 * administrator."
 */
#ifndef CM_ERROR_INTERNAL_H
#define CM_ERROR_INTERNAL_H

#include <stdint.h>

#if defined(__GNUC__) && defined(__USE_MINGW_ANSI_STDIO)
#define CM_PRINTF(at, first) __attribute__((format(gnu_printf, at, first)))
#elif defined(__GNUC__)
#define CM_PRINTF(at, first) __attribute__((format(printf, at, first)))
#else
#define CM_PRINTF(at, first)
#endif

/* Record a sentence for cm_last_error() and return `error`: `return cm_fail(CM_EINVAL, "...")`. Control characters in it,
 * which a name from a hostile file may have, become '?'. */
int cm_fail(int error, const char *format, ...) CM_PRINTF(2, 3);

/* An image's error as the status that goes over the wire, and back. One table, both ways. */
uint32_t cm_error_to_status(int error); /* enum cm_status */
int cm_status_to_error(uint32_t status);

#endif
