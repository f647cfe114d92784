/* SPDX-License-Identifier: MIT */
/*
 * file_rules.h - which files may be images. Pure functions, for lib/windows/file.c when it opens a
 * file; here so that they are tested on every system.
 */
#ifndef CM_FILE_RULES_H
#define CM_FILE_RULES_H

#include <stdint.h>

/* As Windows numbers them: FILE_ATTRIBUTE_... */
#define CM_FILE_COMPRESSED 0x0800u
#define CM_FILE_ENCRYPTED 0x4000u

/*
 * Whether a file with these attributes may be opened with these CM_OS_ flags. Windows caches a
 * compressed or encrypted file however it was opened, so it must not be the image of a disk that
 * is written to.
 * @return 0, or CM_ENOTSUP with a sentence.
 */
int cm_file_rules_check(const char *path, uint32_t attributes, uint32_t flags);

#endif
