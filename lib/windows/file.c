/* SPDX-License-Identifier: MIT */
/*
 * file.c - the files of images, on Windows.
 *
 * Images open, size and close files on the thread of whoever opens the image; the threads that
 * serve a disk read, write, flush and punch, many at once. Those four are hot and set only the
 * number.
 *
 * NT lets one request at a time into a file that was opened for synchronous I/O, so files are
 * opened for overlapped I/O, and each request is waited for at an event of its own. The file itself
 * cannot be what is waited for: any request of any thread signals it.
 *
 * The files of images are opened without buffering: docs/deadlocks.md says why.
 */
#include <stdlib.h>
#include <string.h>
#include <windows.h>

#include <winioctl.h>
#include <winternl.h>

#include "lib/core/error_internal.h"
#include "lib/core/file_error.h"
#include "lib/core/file_rules.h"
#include "lib/core/os.h"
#include "lib/windows/event.h"
#include "lib/windows/file_place.h"
#include "lib/windows/path.h"
#include "lib/windows/wide.h"
#include "lib/windows/winerror.h"

#include <coremnt/error.h>

struct cm_os_file {
    HANDLE handle;
    int read_only;
    uint32_t alignment; /* bytes; 1: it goes through the system's cache */
    LONG sparse;        /* interlocked: set_sparse may come while others punch */
    char path[];        /* for sentences */
};

/* Of sectors, in bytes. */
#define SMALLEST_ALIGNMENT 512u
#define UNKNOWN_ALIGNMENT 4096u

#define RESERVE_PART 1048576u /* bytes that are written again at once */

static int refuse_read_only(const char *action, const struct cm_os_file *file)
{
    return cm_fail(CM_EROFS, "cannot %s %s: it was opened read-only.", action, file->path);
}

/* -- requests ---------------------------------------------------------------------------------- */

static int begin(OVERLAPPED *request, uint64_t offset)
{
    memset(request, 0, sizeof(*request));
    request->Offset = (DWORD)offset;
    request->OffsetHigh = (DWORD)(offset >> 32);
    request->hEvent = cm_event_take(CM_EVENT_MANUAL);
    return request->hEvent != NULL ? 0 : CM_ENOMEM;
}

/* Waits for a request, if it has not been done at once, and gives its event back. Returns the
 * system's error, or 0. */
static DWORD finish(const struct cm_os_file *file, BOOL accepted, OVERLAPPED *request, DWORD *done)
{
    DWORD system_error = accepted ? 0 : GetLastError();

    if (system_error == 0 || system_error == ERROR_IO_PENDING)
        system_error = GetOverlappedResult(file->handle, request, done, TRUE) ? 0 : GetLastError();
    cm_event_give(CM_EVENT_MANUAL, request->hEvent);
    return system_error;
}

/* `size` of the output becomes what there is of it. */
static DWORD ask(const struct cm_os_file *file, DWORD code, void *input, DWORD input_size,
                 void *output, DWORD *size)
{
    OVERLAPPED request;
    DWORD room = *size;

    *size = 0;
    if (begin(&request, 0) != 0)
        return ERROR_NOT_ENOUGH_MEMORY;
    return finish(
        file, DeviceIoControl(file->handle, code, input, input_size, output, room, NULL, &request),
        &request, size);
}

static DWORD control(const struct cm_os_file *file, DWORD code, void *input, DWORD size)
{
    DWORD none = 0;

    return ask(file, code, input, size, NULL, &none);
}

/* -- opening ----------------------------------------------------------------------------------- */

/* The path as Windows is to be asked for it; free() it. A failure has its sentence. */
static int native_path(const char *action, const char *path, wchar_t **native)
{
    size_t units = strlen(path) + 1; /* UTF-16 never needs more units than UTF-8 needs bytes */
    wchar_t *wide = malloc(units * sizeof(*wide));
    int error;

    *native = NULL;
    if (wide == NULL)
        return cm_file_fail(action, path, ERROR_NOT_ENOUGH_MEMORY);
    error = cm_wide_from_utf8(path, wide, units);
    if (error == 0) {
        *native = cm_path_long(wide);
        if (*native == NULL)
            error = cm_file_fail(action, path, GetLastError());
    }
    free(wide);
    return error;
}

int cm_os_full_path(const char *path, char *full, size_t size)
{
    size_t units = strlen(path) + 1;
    wchar_t *wide = malloc(units * sizeof(*wide));
    wchar_t *wide_full = NULL;
    int error = wide == NULL ? cm_fail(CM_ENOMEM, "no memory for a path.")
                             : cm_wide_from_utf8(path, wide, units);

    if (error == 0) {
        wide_full = cm_path_full(wide);
        if (wide_full == NULL)
            error = cm_file_fail("find the folder of", path, GetLastError());
    }
    if (error == 0) {
        cm_wide_to_utf8(wide_full, full, size);
        if (full[0] == '\0')
            error = cm_fail(CM_EINVAL, "the path of \"%.200s\" is too long.", path);
    }
    free(wide_full);
    free(wide);
    return error;
}

static int is_folder(const wchar_t *native)
{
    DWORD attributes = GetFileAttributesW(native);

    return attributes != INVALID_FILE_ATTRIBUTES && (attributes & FILE_ATTRIBUTE_DIRECTORY) != 0;
}

static int is_uncached(uint32_t flags)
{
    return (flags & CM_OS_UNCACHED) != 0 ||
           ((flags & CM_OS_IMAGE) != 0 && (flags & CM_OS_CACHED) == 0);
}

/*
 * Sharing is checked by the system, against all programs: with CM_OS_EXCLUSIVE nobody else may have
 * it open for writing, before or after; readers that do not mind (a share mode with write: our own
 * without that flag) may. FILE_SHARE_DELETE never: a mounted image must not be renamed or deleted.
 */
static int open_handle(const char *path, const wchar_t *native, uint32_t flags, HANDLE *handle)
{
    int create = (flags & CM_OS_CREATE) != 0;
    DWORD access = (flags & CM_OS_READ_ONLY) != 0 ? GENERIC_READ : GENERIC_READ | GENERIC_WRITE;
    DWORD share = FILE_SHARE_READ | ((flags & CM_OS_EXCLUSIVE) != 0 ? 0 : FILE_SHARE_WRITE);
    /* If it turns out to be a pipe, whoever is at its other end must not act in our name. */
    DWORD how = FILE_FLAG_OVERLAPPED | SECURITY_SQOS_PRESENT | SECURITY_IDENTIFICATION |
                (is_uncached(flags) ? FILE_FLAG_NO_BUFFERING : 0);

    *handle = CreateFileW(native, access, share, NULL, create ? CREATE_NEW : OPEN_EXISTING,
                          FILE_ATTRIBUTE_NORMAL | how, NULL);
    if (*handle == INVALID_HANDLE_VALUE) {
        DWORD system_error = GetLastError();
        /* For a folder Windows says no more than "access denied". */
        if (!create && is_folder(native))
            system_error = ERROR_DIRECTORY_NOT_SUPPORTED;
        /* A writer is kept out by readers too, and cannot know by whom. */
        if (system_error == ERROR_SHARING_VIOLATION && (flags & CM_OS_READ_ONLY) == 0)
            system_error = ERROR_BUSY;
        return cm_file_fail(create ? "create" : "open", path, system_error);
    }
    return 0;
}

/* The sectors of the file's volume, as file systems want them to be kept to. One that does not say
 * gets what is enough for every disk. */
static uint32_t alignment_of(HANDLE handle)
{
    FILE_FS_SIZE_INFORMATION size;
    IO_STATUS_BLOCK io;
    ULONG bytes;

    if (!NT_SUCCESS(
            NtQueryVolumeInformationFile(handle, &io, &size, sizeof(size), FileFsSizeInformation)))
        return UNKNOWN_ALIGNMENT;
    bytes = size.BytesPerSector;
    return bytes < SMALLEST_ALIGNMENT || (bytes & (bytes - 1)) != 0 ? UNKNOWN_ALIGNMENT : bytes;
}

/* A folder that compresses gives that to new files, which is easily taken back as long as they are
 * empty. If it cannot be, the check below says so. */
static void uncompress_new(struct cm_os_file *file, uint32_t flags)
{
    USHORT none = COMPRESSION_FORMAT_NONE;

    if ((flags & CM_OS_CREATE) != 0 && (flags & CM_OS_IMAGE) != 0)
        (void)control(file, FSCTL_SET_COMPRESSION, &none, sizeof(none));
}

/* After opening, for what the name has not given away. */
static int check_kind(struct cm_os_file *file, uint32_t flags)
{
    BY_HANDLE_FILE_INFORMATION information;

    if (GetFileType(file->handle) != FILE_TYPE_DISK)
        return cm_file_fail("open", file->path, ERROR_BAD_DEV_TYPE);
    if (!GetFileInformationByHandle(file->handle, &information))
        return cm_file_fail("open", file->path, GetLastError());
    if ((information.dwFileAttributes & FILE_ATTRIBUTE_DIRECTORY) != 0)
        return cm_file_fail("open", file->path, ERROR_DIRECTORY_NOT_SUPPORTED);
    if ((information.dwFileAttributes & FILE_ATTRIBUTE_DEVICE) != 0)
        return cm_file_fail("open", file->path, ERROR_BAD_DEV_TYPE);
    file->sparse = (information.dwFileAttributes & FILE_ATTRIBUTE_SPARSE_FILE) != 0;
    return cm_file_rules_check(file->path, information.dwFileAttributes, flags);
}

static int check_opened(struct cm_os_file *file, uint32_t flags)
{
    int error;

    file->alignment = is_uncached(flags) ? alignment_of(file->handle) : 1;
    uncompress_new(file, flags);
    error = check_kind(file, flags);
    if (error == 0 && (flags & CM_OS_IMAGE) != 0)
        error = cm_file_place_check_open(file->path, file->handle);
    return error;
}

static int open_checked(struct cm_os_file *file, uint32_t flags)
{
    wchar_t *native;
    int error = native_path((flags & CM_OS_CREATE) != 0 ? "create" : "open", file->path, &native);

    if (error != 0)
        return error;
    if ((flags & CM_OS_IMAGE) != 0)
        error = cm_file_place_check(file->path, native);
    if (error == 0)
        error = open_handle(file->path, native, flags, &file->handle);
    if (error == 0) {
        error = check_opened(file, flags);
        if (error != 0)
            CloseHandle(file->handle);
        if (error != 0 && (flags & CM_OS_CREATE) != 0)
            DeleteFileW(native); /* ours; the first failure is the one to tell */
    }
    free(native);
    return error;
}

int cm_os_file_open(const char *path, uint32_t flags, struct cm_os_file **file)
{
    size_t length = strlen(path) + 1;
    struct cm_os_file *opened = malloc(sizeof(*opened) + length);
    int error;

    *file = NULL;
    if (opened == NULL)
        return cm_file_fail("open", path, ERROR_NOT_ENOUGH_MEMORY);
    memcpy(opened->path, path, length);
    opened->read_only = (flags & CM_OS_READ_ONLY) != 0;
    error = open_checked(opened, flags);
    if (error != 0) {
        free(opened);
        return error;
    }
    *file = opened;
    return 0;
}

void cm_os_file_close(struct cm_os_file *file)
{
    if (file == NULL)
        return;
    CloseHandle(file->handle);
    free(file);
}

int cm_os_file_remove(const char *path)
{
    wchar_t *native;
    int error = native_path("remove", path, &native);

    if (error != 0)
        return error;
    if (!DeleteFileW(native))
        error = cm_file_fail("remove", path, GetLastError());
    free(native);
    return error;
}

/* Without MOVEFILE_REPLACE_EXISTING a name that is taken is an error. */
int cm_os_file_rename_new(const char *from, const char *to)
{
    wchar_t *native_from;
    wchar_t *native_to = NULL;
    int error = native_path("rename", from, &native_from);

    if (error == 0)
        error = native_path("create", to, &native_to);
    if (error == 0 && !MoveFileExW(native_from, native_to, MOVEFILE_WRITE_THROUGH))
        error = cm_file_fail("create", to, GetLastError());
    free(native_to);
    free(native_from);
    return error;
}

/* -- input and output -------------------------------------------------------------------------- */

uint32_t cm_os_file_alignment(const struct cm_os_file *file)
{
    return file->alignment;
}

int cm_os_file_read(struct cm_os_file *file, void *buffer, uint32_t length, uint64_t offset)
{
    char *at = buffer;

    while (length > 0) {
        OVERLAPPED request;
        DWORD done = 0, system_error;
        int error = begin(&request, offset);
        if (error != 0)
            return error;
        system_error =
            finish(file, ReadFile(file->handle, at, length, NULL, &request), &request, &done);
        if (system_error == ERROR_HANDLE_EOF || (system_error == 0 && done == 0)) {
            memset(at, 0, length);
            return 0;
        }
        if (system_error != 0)
            return cm_file_error(system_error);
        at += done;
        offset += done;
        length -= done;
        if (done % file->alignment != 0) { /* the end, within a block */
            memset(at, 0, length);
            return 0;
        }
    }
    return 0;
}

int cm_os_file_write(struct cm_os_file *file, const void *buffer, uint32_t length, uint64_t offset)
{
    const char *at = buffer;

    if (file->read_only)
        return CM_EROFS;
    while (length > 0) {
        OVERLAPPED request;
        DWORD done = 0, system_error;
        int error = begin(&request, offset);
        if (error != 0)
            return error;
        system_error =
            finish(file, WriteFile(file->handle, at, length, NULL, &request), &request, &done);
        if (system_error != 0)
            return cm_file_error(system_error);
        if (done == 0) /* never for a file; without this it would be an endless loop */
            return CM_EIO;
        at += done;
        offset += done;
        length -= done;
    }
    return 0;
}

int cm_os_file_flush(struct cm_os_file *file)
{
    if (file->read_only) /* has nothing to flush, and Windows would deny it */
        return 0;
    return FlushFileBuffers(file->handle) ? 0 : cm_file_error(GetLastError());
}

/* Also hot: TRIM comes from the mounted file system. In a file that is not sparse NTFS would write
 * the zeros, which takes as long as it takes space: not what TRIM is for. */
int cm_os_file_punch(struct cm_os_file *file, uint64_t offset, uint64_t length)
{
    FILE_ZERO_DATA_INFORMATION range;
    DWORD system_error;

    if (file->read_only)
        return CM_EROFS;
    if (length == 0)
        return 0;
    if (!InterlockedCompareExchange(&file->sparse, 0, 0))
        return CM_ENOTSUP;
    range.FileOffset.QuadPart = (LONGLONG)offset;
    range.BeyondFinalZero.QuadPart = (LONGLONG)(offset + length);
    system_error = control(file, FSCTL_SET_ZERO_DATA, &range, sizeof(range));
    return system_error == 0 ? 0 : cm_file_error(system_error);
}

/* One range is enough of an answer: that there are more is no error. File systems without sparse files do not know the
 * question. */
int cm_os_file_extent(struct cm_os_file *file, uint64_t offset, uint64_t length,
                      uint64_t *length_alike, int *is_hole)
{
    FILE_ALLOCATED_RANGE_BUFFER asked;
    FILE_ALLOCATED_RANGE_BUFFER data;
    DWORD size = sizeof(data);
    DWORD system_error;
    uint64_t end;

    asked.FileOffset.QuadPart = (LONGLONG)offset;
    asked.Length.QuadPart = (LONGLONG)length;
    system_error = ask(file, FSCTL_QUERY_ALLOCATED_RANGES, &asked, sizeof(asked), &data, &size);
    *length_alike = length;
    *is_hole = 0;
    if (system_error != 0 && system_error != ERROR_MORE_DATA)
        return cm_file_error(system_error) == CM_ENOTSUP ? 0 : cm_file_error(system_error);
    *is_hole = size < sizeof(data) || (uint64_t)data.FileOffset.QuadPart > offset;
    if (size < sizeof(data))
        return 0;
    end = (uint64_t)data.FileOffset.QuadPart + (*is_hole ? 0 : (uint64_t)data.Length.QuadPart);
    if (end > offset && end - offset < length)
        *length_alike = end - offset;
    return 0;
}

/* A file that is not sparse has its space. In one that is, what is written has: so what is there is written again. */
int cm_os_file_reserve(struct cm_os_file *file, uint64_t offset, uint64_t length)
{
    void *pages;
    int error = 0;

    if (file->read_only)
        return CM_EROFS;
    if (!InterlockedCompareExchange(&file->sparse, 0, 0))
        return 0;
    pages = cm_os_pages_alloc(RESERVE_PART);
    if (pages == NULL)
        return CM_ENOMEM;
    while (length > 0 && error == 0) {
        uint32_t part = length < RESERVE_PART ? (uint32_t)length : RESERVE_PART;

        error = cm_os_file_read(file, pages, part, offset);
        if (error == 0)
            error = cm_os_file_write(file, pages, part, offset);
        offset += part;
        length -= part;
    }
    cm_os_pages_free(pages, RESERVE_PART);
    return error;
}

/* -- sizes ------------------------------------------------------------------------------------- */

int cm_os_file_size(struct cm_os_file *file, uint64_t *size)
{
    LARGE_INTEGER bytes;

    if (!GetFileSizeEx(file->handle, &bytes))
        return cm_file_fail("get the size of", file->path, GetLastError());
    *size = (uint64_t)bytes.QuadPart;
    return 0;
}

/*
 * By ntdll's documented calls: Windows before 6.0 has no others that take an open file and leave
 * its position alone, which two that resize would share. On files opened for overlapped I/O they
 * wait too.
 */
int cm_os_file_resize(struct cm_os_file *file, uint64_t size)
{
    FILE_END_OF_FILE_INFORMATION end;
    IO_STATUS_BLOCK io;
    NTSTATUS status;

    if (file->read_only)
        return refuse_read_only("resize", file);
    if (size > INT64_MAX)
        return cm_file_fail("resize", file->path, ERROR_FILE_TOO_LARGE);
    end.EndOfFile.QuadPart = (LONGLONG)size;
    status = NtSetInformationFile(file->handle, &io, &end, sizeof(end), FileEndOfFileInformation);
    if (!NT_SUCCESS(status))
        return cm_file_fail("resize", file->path, RtlNtStatusToDosError(status));
    return 0;
}

/* What GetCompressedFileSize reports, but of the open file rather than of whatever has its name by
 * now. File systems that know neither holes nor compression do not answer that. */
int cm_os_file_allocated(struct cm_os_file *file, uint64_t *allocated)
{
    FILE_COMPRESSION_INFO compression;
    FILE_STANDARD_INFORMATION standard;
    IO_STATUS_BLOCK io;
    NTSTATUS status = NtQueryInformationFile(file->handle, &io, &compression, sizeof(compression),
                                             FileCompressionInformation);

    if (NT_SUCCESS(status)) {
        *allocated = (uint64_t)compression.CompressedFileSize.QuadPart;
        return 0;
    }
    status = NtQueryInformationFile(file->handle, &io, &standard, sizeof(standard),
                                    FileStandardInformation);
    if (!NT_SUCCESS(status))
        return cm_file_fail("get the size of", file->path, RtlNtStatusToDosError(status));
    *allocated = (uint64_t)standard.AllocationSize.QuadPart;
    return 0;
}

int cm_os_file_set_sparse(struct cm_os_file *file)
{
    DWORD system_error;

    if (file->read_only)
        return refuse_read_only("make sparse", file);
    system_error = control(file, FSCTL_SET_SPARSE, NULL, 0);
    if (system_error != 0)
        return cm_file_fail("make sparse", file->path, system_error);
    InterlockedExchange(&file->sparse, 1);
    return 0;
}
