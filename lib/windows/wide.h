/* SPDX-License-Identifier: MIT */
/*
 * wide.h - UTF-8, as the library's users speak it, to the UTF-16 of Windows and back.
 *
 * For the files of this folder that call Windows with names: control, letter, service, list, disk.
 */
#ifndef CM_WIDE_H
#define CM_WIDE_H

#include <stddef.h>
#include <wchar.h>

/* Into a buffer of `units` wchar_t, zero included. CM_EINVAL: not UTF-8, or too long. */
int cm_wide_from_utf8(const char *text, wchar_t *wide, size_t units);

/* The same, cut to what fits and never in the middle of a character; for names that are only shown.
 */
void cm_wide_from_utf8_cut(const char *text, wchar_t *wide, size_t units);

/* Into a buffer of `size` bytes, zero included; cut to "" when it does not fit. Lone surrogates
 * become U+FFFD. */
void cm_wide_to_utf8(const wchar_t *wide, char *text, size_t size);

#endif
