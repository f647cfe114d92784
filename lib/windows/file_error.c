/* SPDX-License-Identifier: MIT */
/* file_error.c - what Win32's errors say of files, for lib/core/file_error.c. */
#include "lib/core/file_error.h"

#include "lib/windows/winerror.h"

#include <coremnt/error.h>

static const char path_advice[] = "there is no such file or folder. Check the path.";
static const char name_advice[] = "this is not a name that a file can have. Check the path.";
static const char busy_advice[] = "it is open for writing elsewhere. Close it there first.";
static const char there_advice[] = "it exists already. Choose another name, or remove it first.";
static const char full_advice[] = "the disk is full. Free some space.";

const struct cm_file_error_row cm_file_errors[] = {
    {ERROR_ACCESS_DENIED, CM_EACCES,
     "access denied. Check the rights on the file, and that it is not marked read-only."},
    {ERROR_PRIVILEGE_NOT_HELD, CM_EACCES, NULL},
    {ERROR_NETWORK_ACCESS_DENIED, CM_EACCES, NULL},
    {ERROR_FILE_NOT_FOUND, CM_ENOENT, path_advice},
    {ERROR_PATH_NOT_FOUND, CM_ENOENT, path_advice},
    {ERROR_INVALID_DRIVE, CM_ENOENT, "there is no such drive. Check the path."},
    {ERROR_BAD_NETPATH, CM_ENOENT, NULL},
    {ERROR_BAD_NET_NAME, CM_ENOENT, NULL},
    {ERROR_FILE_EXISTS, CM_EEXIST, there_advice},
    {ERROR_ALREADY_EXISTS, CM_EEXIST, there_advice},
    {ERROR_SHARING_VIOLATION, CM_EBUSY, busy_advice},
    {ERROR_BUSY, CM_EBUSY, "it is in use elsewhere. Close it there first."},
    {ERROR_LOCK_VIOLATION, CM_EBUSY, "another program has locked a part of it."},
    {ERROR_USER_MAPPED_FILE, CM_EBUSY, "another program has it mapped into its memory."},
    {ERROR_DELETE_PENDING, CM_EBUSY, "it is being deleted; a program still has it open."},
    {ERROR_DISK_FULL, CM_ENOSPC, full_advice},
    {ERROR_HANDLE_DISK_FULL, CM_ENOSPC, full_advice},
    {ERROR_DISK_QUOTA_EXCEEDED, CM_ENOSPC, "the disk quota is used up. Free some space."},
    {ERROR_FILE_TOO_LARGE, CM_ENOSPC, "larger than the file system allows."},
    {ERROR_WRITE_PROTECT, CM_EROFS, "the disk is write-protected. Open the image read-only."},
    {ERROR_DIRECTORY_NOT_SUPPORTED, CM_EINVAL, "it is a folder. Give the name of a file."},
    {ERROR_BAD_DEV_TYPE, CM_EINVAL, "it is a device. Give the name of a file."},
    {ERROR_INVALID_NAME, CM_EINVAL, name_advice},
    {ERROR_BAD_PATHNAME, CM_EINVAL, name_advice},
    {ERROR_FILENAME_EXCED_RANGE, CM_EINVAL, name_advice},
    {ERROR_DIRECTORY, CM_EINVAL, name_advice},
    {ERROR_INVALID_PARAMETER, CM_EINVAL, NULL},
    {ERROR_NEGATIVE_SEEK, CM_EINVAL, NULL},
    {ERROR_NOT_ENOUGH_MEMORY, CM_ENOMEM, NULL},
    {ERROR_OUTOFMEMORY, CM_ENOMEM, NULL},
    {ERROR_NO_SYSTEM_RESOURCES, CM_ENOMEM, NULL},
    {ERROR_COMMITMENT_LIMIT, CM_ENOMEM, NULL},
    {ERROR_WORKING_SET_QUOTA, CM_ENOMEM, NULL},
    {ERROR_TOO_MANY_OPEN_FILES, CM_ENOMEM, NULL},
    /* What file systems answer to a control code that they do not know: FAT, network servers. */
    {ERROR_INVALID_FUNCTION, CM_ENOTSUP, "this file system cannot do it."},
    {ERROR_NOT_SUPPORTED, CM_ENOTSUP, "this file system cannot do it."},
    {ERROR_CALL_NOT_IMPLEMENTED, CM_ENOTSUP, "this system cannot do it."},
    {ERROR_CRC, CM_EMEDIA, NULL},
    {ERROR_SECTOR_NOT_FOUND, CM_EMEDIA, NULL},
    {ERROR_FILE_CORRUPT, CM_EMEDIA, NULL},
    {ERROR_OPERATION_ABORTED, CM_ECANCELED, NULL},
    {0, 0, NULL},
};
