/* SPDX-License-Identifier: MIT */
/*
 * mount_point.h - where a disk appears: at a letter, in a folder, or nowhere.
 */
#ifndef CM_MOUNT_POINT_H
#define CM_MOUNT_POINT_H

#include "lib/windows/folder.h"
#include "lib/windows/letter.h"

enum cm_mount_point_kind {
    CM_AT_ANY_LETTER,
    CM_AT_LETTER,
    CM_AT_FOLDER,
    CM_AT_NOTHING, /* but its device, \Device\CoreMntDisk0 */
};

struct cm_mount_point {
    enum cm_mount_point_kind kind;
    char letter;                            /* CM_AT_LETTER */
    char text[CM_FOLDER_SIZE];              /* "Z:", the folder's full path, or "" */
    wchar_t target[CM_FOLDER_TARGET_UNITS]; /* of the folder, once it leads to the disk */
};

/*
 * What the user typed (NULL: any letter; "": nothing), if it is free: refused early, before anything has been made.
 * @return 0, CM_EINVAL, CM_EBUSY, CM_ENOENT, CM_ENOTSUP, CM_EACCES, CM_EIO, with a sentence.
 */
int cm_mount_point_choose(const char *text, struct cm_mount_point *point);

/*
 * Let a disk that is served appear there. `managed`: the mount manager knows it; letters that it has given unasked
 * are taken, or taken away. Two processes that do this at once get different letters.
 * @return as above.
 */
int cm_mount_point_make(struct cm_mount_point *point, const char *device, int managed);

/* Where a disk appears that another process has mounted: only letters can be told. */
void cm_mount_point_of(const char *device, struct cm_mount_point *point);

/* Take it away, if it is still this disk's. Programs are told. @return 0, or as above. */
int cm_mount_point_remove(const struct cm_mount_point *point, const char *device);

#endif
