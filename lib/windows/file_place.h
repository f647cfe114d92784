/* SPDX-License-Identifier: MIT */
/*
 * file_place.h - images that lie on the disk that they are, or on one that nobody serves: opening
 * such a file would wait for ever. For file.c.
 */
#ifndef CM_FILE_PLACE_H
#define CM_FILE_PLACE_H

#include <windows.h>

/*
 * Before opening: nothing of the file is touched, nor anything on a disk that may not answer.
 *
 * @param path    For the sentence.
 * @param native  Its long form, \\?\...
 * @return 0 (also: not known), or CM_EINVAL with a sentence.
 */
int cm_file_place_check(const char *path, const wchar_t *native);

/* After opening, by the name that the system has for the open file. */
int cm_file_place_check_open(const char *path, HANDLE file);

#endif
