/* SPDX-License-Identifier: MIT */
/*
 * list.h - finding a disk of this system by what people call it.
 */
#ifndef CM_WINDOWS_LIST_H
#define CM_WINDOWS_LIST_H

#include <stdint.h>
#include <windows.h>

#include "abi/coremnt_abi.h"

/*
 * The disk that `which` names: a letter, a folder, or an id in decimal.
 *
 * @param dead_letter  Out: a letter that points to a CoreMnt disk that is no longer there, or '\0';
 *                     with CM_ENOENT.
 * @return 0, CM_EINVAL, CM_ENOENT, or of the call, with a sentence.
 */
int cm_list_find(HANDLE control, const char *which, struct cm_list_entry *entry, char *dead_letter);

/* Whether there is a disk of this number; 1 also when nobody can tell. */
int cm_list_has_number(uint32_t number);

#define CM_DISK_NAME_SIZE 40u

/* What a sentence calls a disk: "Z:", or "the disk 123" if it has no letter. */
void cm_list_name(const struct cm_list_entry *entry, char name[CM_DISK_NAME_SIZE]);

/* An image of another size cannot be the disk's. @return CM_EINVAL, with the sentence. */
int cm_list_fail_size(const struct cm_list_entry *entry, uint64_t size);

/* Take away the letters of CoreMnt disks that are no longer there: their server was killed before
 * it could. */
void cm_list_remove_dead_letters(HANDLE control);

#endif
