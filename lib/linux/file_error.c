/* SPDX-License-Identifier: MIT */
/* file_error.c - what errno says of files, for lib/core/file_error.c. */
#include <errno.h>
#include <stddef.h>

#include "lib/core/file_error.h"

#include <coremnt/error.h>

const struct cm_file_error_row cm_file_errors[] = {
    {EACCES, CM_EACCES, "access denied. Check the rights on the file and on its folders."},
    {EPERM, CM_EACCES, "not permitted. The file may be marked immutable (lsattr)."},
    {ENOENT, CM_ENOENT, "there is no such file or folder. Check the path."},
    {ENOTDIR, CM_ENOENT, "a part of the path is not a folder. Check the path."},
    {EEXIST, CM_EEXIST, "it exists already. Choose another name, or remove it first."},
    {EWOULDBLOCK, CM_EBUSY, "it is open for writing elsewhere. Close it there first."},
    {EBUSY, CM_EBUSY, "it is in use elsewhere. Close it there first."},
    {ETXTBSY, CM_EBUSY, "it is in use, as a program or for swapping. Stop that first."},
    {ENOSPC, CM_ENOSPC, "the file system is full. Free some space."},
    {EDQUOT, CM_ENOSPC, "the disk quota is used up. Free some space."},
    {EFBIG, CM_ENOSPC, "larger than the file system, or a limit (ulimit -f), allows."},
    {EROFS, CM_EROFS, "the file system is read-only. Open the image read-only."},
    {EISDIR, CM_EINVAL, "it is a folder. Give the name of a file."},
    {ENXIO, CM_EINVAL, "it is not a regular file. Give the name of one."},
    {ENODEV, CM_EINVAL, "it is not a regular file. Give the name of one."},
    {EINVAL, CM_EINVAL, NULL},
    {ENAMETOOLONG, CM_EINVAL, NULL},
    {ELOOP, CM_EINVAL, NULL},
    {ENOMEM, CM_ENOMEM, NULL},
    {EMFILE, CM_ENOMEM, "this program has too many files open (ulimit -n)."},
    {ENFILE, CM_ENOMEM, NULL},
    {EOPNOTSUPP, CM_ENOTSUP, "this file system cannot do it."},
    {ENOSYS, CM_ENOTSUP, "this file system cannot do it."},
    {ENOLCK, CM_ENOTSUP, "this file system cannot lock files."},
    /* What ext4, XFS and the block layer say when a checksum or a sector is bad. */
    {EBADMSG, CM_EMEDIA, NULL},
    {EUCLEAN, CM_EMEDIA, NULL},
    {ENODATA, CM_EMEDIA, NULL},
    {0, 0, NULL},
};
