/* SPDX-License-Identifier: MIT */
/*
 * reparse.c - reading, making and removing mount points by FSCTL_..._REPARSE_POINT.
 *
 * Called for disks that are mounted in folders, and for the paths of images, on the caller's thread.
 */
#include "lib/windows/reparse.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <winioctl.h>

#define TAG_MOUNT_POINT 0xA0000003u
#define TAG_SYMLINK 0xA000000Cu
#define SYMLINK_RELATIVE 1u

/* REPARSE_DATA_BUFFER of a mount point, which user mode's headers do not have; offsets and lengths in bytes, from
 * `names` on. */
struct mount_point {
    ULONG tag;
    USHORT data_length; /* of what follows `reserved` */
    USHORT reserved;
    USHORT target_offset, target_length; /* without its zero */
    USHORT print_offset, print_length;
    WCHAR names[1];
};

union buffer {
    struct mount_point point;
    unsigned char bytes[MAXIMUM_REPARSE_DATA_BUFFER_SIZE];
};

#define NAMES_AT offsetof(struct mount_point, names)
#define DATA_AT offsetof(struct mount_point, target_offset)

static DWORD open_folder(const wchar_t *path, DWORD access, HANDLE *folder)
{
    *folder =
        CreateFileW(path, access, FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE, NULL,
                    OPEN_EXISTING, FILE_FLAG_BACKUP_SEMANTICS | FILE_FLAG_OPEN_REPARSE_POINT, NULL);
    return *folder != INVALID_HANDLE_VALUE ? 0 : GetLastError();
}

static DWORD control(HANDLE folder, DWORD code, void *in, DWORD in_size, void *out, DWORD out_size,
                     DWORD *bytes)
{
    return DeviceIoControl(folder, code, in, in_size, out, out_size, bytes, NULL) ? 0
                                                                                  : GetLastError();
}

/* What the file system gave is whatever somebody has put there. The names of a symbolic link come behind its flags. */
static DWORD target_of(const union buffer *buffer, DWORD bytes, uint32_t flags, wchar_t *target,
                       size_t units)
{
    const struct mount_point *point = &buffer->point;
    size_t names = NAMES_AT, length, room;
    uint32_t link_flags;

    if (bytes < NAMES_AT)
        return ERROR_INVALID_REPARSE_DATA;
    if (point->tag == TAG_SYMLINK && (flags & CM_REPARSE_LINKS) != 0) {
        names += sizeof(link_flags);
        if (bytes < names)
            return ERROR_INVALID_REPARSE_DATA;
        memcpy(&link_flags, point->names, sizeof(link_flags));
        if ((link_flags & SYMLINK_RELATIVE) != 0)
            return ERROR_REPARSE_TAG_MISMATCH;
    } else if (point->tag != TAG_MOUNT_POINT) {
        return ERROR_REPARSE_TAG_MISMATCH;
    }
    length = point->target_length;
    room = bytes - names;
    if (length > room || point->target_offset > room - length || length / sizeof(WCHAR) >= units)
        return ERROR_INVALID_REPARSE_DATA;
    memcpy(target, buffer->bytes + names + point->target_offset, length);
    target[length / sizeof(WCHAR)] = L'\0';
    return 0;
}

DWORD cm_reparse_read(const wchar_t *path, uint32_t flags, wchar_t *target, size_t units)
{
    union buffer *buffer = malloc(sizeof(*buffer));
    HANDLE folder;
    DWORD bytes = 0;
    DWORD error;

    if (buffer == NULL)
        return ERROR_NOT_ENOUGH_MEMORY;
    error = open_folder(path, 0, &folder);
    if (error == 0) {
        error = control(folder, FSCTL_GET_REPARSE_POINT, NULL, 0, buffer, sizeof(*buffer), &bytes);
        CloseHandle(folder);
    }
    if (error == 0)
        error = target_of(buffer, bytes, flags, target, units);
    free(buffer);
    return error;
}

DWORD cm_reparse_set(const wchar_t *path, const wchar_t *target)
{
    size_t length = wcslen(target) * sizeof(WCHAR);
    size_t total = NAMES_AT + length + 2 * sizeof(WCHAR); /* two names, the second empty */
    struct mount_point *point;
    HANDLE folder;
    DWORD bytes;
    DWORD error;

    if (total > MAXIMUM_REPARSE_DATA_BUFFER_SIZE)
        return ERROR_FILENAME_EXCED_RANGE;
    point = calloc(1, total);
    if (point == NULL)
        return ERROR_NOT_ENOUGH_MEMORY;
    point->tag = TAG_MOUNT_POINT;
    point->data_length = (USHORT)(total - DATA_AT);
    point->target_length = (USHORT)length;
    point->print_offset = (USHORT)(length + sizeof(WCHAR));
    memcpy(point->names, target, length);
    error = open_folder(path, GENERIC_WRITE, &folder);
    if (error == 0) {
        error = control(folder, FSCTL_SET_REPARSE_POINT, point, (DWORD)total, NULL, 0, &bytes);
        CloseHandle(folder);
    }
    free(point);
    return error;
}

DWORD cm_reparse_remove(const wchar_t *path)
{
    struct mount_point head = {.tag = TAG_MOUNT_POINT};
    HANDLE folder;
    DWORD bytes;
    DWORD error = open_folder(path, GENERIC_WRITE, &folder);

    if (error != 0)
        return error;
    error = control(folder, FSCTL_DELETE_REPARSE_POINT, &head, (DWORD)DATA_AT, NULL, 0, &bytes);
    CloseHandle(folder);
    return error;
}
