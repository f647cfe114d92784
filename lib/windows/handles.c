/* SPDX-License-Identifier: MIT */
/*
 * handles.c - see handles.h: the system's table of handles, and threads that ask for names.
 *
 * A scan is owned by the caller and by each of its threads; whoever is last frees it, so that a
 * thread that hangs can be left behind. It ends when the I/O ends that it waits for, or with this
 * process. Until then its duplicate keeps the file open, a pipe for example: the reason for asking
 * such handles last.
 */
#include "lib/windows/handles.h"

#include <stdlib.h>
#include <string.h>
#include <windows.h>
#include <winternl.h>

#include "lib/windows/detached.h"

#include <coremnt/error.h>

#define SYSTEM_HANDLES 16u          /* since NT 3.51; numbers of processes have 16 bits */
#define SYSTEM_HANDLES_EXTENDED 64u /* since XP */
#define SYSTEM_PROCESS 4u           /* the kernel's own handles are nobody's to close */

#define FIRST_TABLE_BYTES (512u * 1024u)
#define MOST_TABLE_BYTES (128u * 1024u * 1024u)
#define STALLS_AT_THE_END 2u
#define OBJECT_NAME ((OBJECT_INFORMATION_CLASS)1)

/* -- the system's table ------------------------------------------------------------------------ */

struct entry {
    void *object;
    ULONG_PTR process;
    ULONG_PTR value;
    ULONG access;
    USHORT trace;
    USHORT type;
    ULONG attributes;
    ULONG reserved;
};

struct table {
    ULONG_PTR count;
    ULONG_PTR reserved;
    struct entry entries[];
};

struct old_entry {
    ULONG process;
    UCHAR type;
    UCHAR flags;
    USHORT value;
    void *object;
    ULONG access;
};

struct old_table {
    ULONG count;
    struct old_entry entries[];
};

/* Tables grow while we ask for their size: so ask again, with more room each time. */
static void *query_table(ULONG which, ULONG *size)
{
    ULONG room;

    for (room = FIRST_TABLE_BYTES; room <= MOST_TABLE_BYTES; room *= 2) {
        void *table = calloc(1, room);
        NTSTATUS status;

        if (table == NULL)
            return NULL;
        status = NtQuerySystemInformation((SYSTEM_INFORMATION_CLASS)which, table, room, NULL);
        if (status >= 0) {
            *size = room;
            return table;
        }
        free(table);
        if (status != (NTSTATUS)0xC0000004) /* STATUS_INFO_LENGTH_MISMATCH */
            return NULL;
    }
    return NULL;
}

/* The old table in the form of the new one. */
static struct table *query_old_table(size_t *count)
{
    struct table *table = NULL;
    ULONG size;
    struct old_table *old = query_table(SYSTEM_HANDLES, &size);
    size_t i;

    if (old == NULL)
        return NULL;
    *count = (size - sizeof(*old)) / sizeof(old->entries[0]);
    if (*count > old->count)
        *count = old->count;
    table = calloc(1, sizeof(*table) + *count * sizeof(table->entries[0]));
    for (i = 0; table != NULL && i < *count; i++) {
        table->entries[i].process = old->entries[i].process;
        table->entries[i].value = old->entries[i].value;
        table->entries[i].access = old->entries[i].access;
        table->entries[i].type = old->entries[i].type;
    }
    free(old);
    return table;
}

static struct table *query_handles(size_t *count)
{
    ULONG size;
    struct table *table = query_table(SYSTEM_HANDLES_EXTENDED, &size);

    if (table == NULL)
        return query_old_table(count);
    *count = (size - sizeof(*table)) / sizeof(table->entries[0]);
    if (*count > table->count)
        *count = table->count;
    return table;
}

/* The number that files have as a type differs from system to system; so look at one of ours. */
static int find_file_type(const struct table *table, size_t count, HANDLE file, USHORT *type)
{
    size_t i;

    for (i = 0; i < count; i++) {
        if (table->entries[i].process == GetCurrentProcessId() &&
            table->entries[i].value == (ULONG_PTR)file) {
            *type = table->entries[i].type;
            return 1;
        }
    }
    return 0;
}

/* -- the list ---------------------------------------------------------------------------------- */

/* What the ends of pipes are mostly opened with: by CreateNamedPipe(), CreatePipe() and CreateFile().
 * Others may have these rights too, so such handles are not passed over but asked last. */
static int may_hang(ULONG access)
{
    return access == 0x0012019F || access == 0x001A019F || access == 0x00120189 ||
           access == 0x00120196 || access == 0x00120116 || access == 0x0012008D ||
           access == 0x00100000;
}

/*
 * ReactOS 0.4.15 tells no types, all are 0, and must not be asked for another process' desktop (its win32k asserts).
 * Whatever CreateFile() has opened has these two rights, and a desktop has not.
 */
static int may_be_file(const struct entry *entry, USHORT type)
{
    const ULONG rights = SYNCHRONIZE | FILE_READ_ATTRIBUTES;

    return entry->type == type && (type != 0 || (entry->access & rights) == rights);
}

static size_t add_handles(const struct table *table, size_t count, USHORT type, uintptr_t without,
                          int hanging, struct cm_handle *handles)
{
    size_t found = 0;
    size_t i;

    for (i = 0; i < count; i++) {
        const struct entry *entry = &table->entries[i];

        if (!may_be_file(entry, type) || entry->process <= SYSTEM_PROCESS ||
            entry->process == without || may_hang(entry->access) != hanging)
            continue;
        handles[found].process = entry->process;
        handles[found].value = entry->value;
        handles[found].access = entry->access;
        found++;
    }
    return found;
}

int cm_handles_list(uintptr_t without, struct cm_handle **handles, size_t *count)
{
    HANDLE file =
        CreateFileW(L"NUL", 0, FILE_SHARE_READ | FILE_SHARE_WRITE, NULL, OPEN_EXISTING, 0, NULL);
    struct table *table = NULL;
    size_t entries = 0;
    USHORT type;
    int error = CM_EIO;

    *handles = NULL;
    *count = 0;
    if (file != INVALID_HANDLE_VALUE)
        table = query_handles(&entries);
    if (table != NULL && find_file_type(table, entries, file, &type)) {
        *handles = calloc(entries, sizeof(**handles));
        error = *handles != NULL ? 0 : CM_ENOMEM;
    }
    if (error == 0) {
        *count = add_handles(table, entries, type, without, 0, *handles);
        *count += add_handles(table, entries, type, without, 1, *handles + *count);
    }
    free(table);
    if (file != INVALID_HANDLE_VALUE)
        CloseHandle(file);
    return error;
}

/* -- one name ---------------------------------------------------------------------------------- */

int cm_handles_name(const struct cm_handle *handle, wchar_t *name)
{
    union {
        UNICODE_STRING name;
        unsigned char bytes[sizeof(UNICODE_STRING) + CM_HANDLE_NAME_UNITS * sizeof(wchar_t)];
    } answer;
    HANDLE process = OpenProcess(PROCESS_DUP_HANDLE, FALSE, (DWORD)handle->process);
    HANDLE file = NULL;
    NTSTATUS status = -1;
    size_t units = 0;

    if (process == NULL)
        return 0;
    /* Without any right of access: enough for asking its name, and for nothing else. */
    if (DuplicateHandle(process, (HANDLE)handle->value, GetCurrentProcess(), &file, 0, FALSE, 0)) {
        status = NtQueryObject(file, OBJECT_NAME, &answer, sizeof(answer), NULL);
        CloseHandle(file);
    }
    CloseHandle(process);
    if (status >= 0 && answer.name.Buffer != NULL)
        units = answer.name.Length / sizeof(wchar_t);
    if (units == 0 || units >= CM_HANDLE_NAME_UNITS)
        return 0;
    memcpy(name, answer.name.Buffer, units * sizeof(wchar_t));
    name[units] = L'\0';
    return 1;
}

/* -- the scan ---------------------------------------------------------------------------------- */

struct scan {
    struct cm_handles_scan how; /* constant */
    struct cm_handle *handles;  /* constant */
    LONG count;                 /* constant */
    volatile LONG next;         /* the next handle to ask; counts on beyond `count` */
    volatile LONG answered;
    volatile LONG owners;
    HANDLE done;           /* all are answered */
    CRITICAL_SECTION lock; /* of `ended`, and of whom `found` tells */
    int ended;             /* the caller has left: its context may be gone */
};

static void release(struct scan *scan)
{
    if (InterlockedDecrement(&scan->owners) != 0)
        return;
    DeleteCriticalSection(&scan->lock);
    CloseHandle(scan->done);
    free(scan->handles);
    free(scan);
}

/* @return 0 if the scan has ended. */
static int tell(struct scan *scan, const struct cm_handle *handle, const wchar_t *name)
{
    int go_on;

    EnterCriticalSection(&scan->lock);
    go_on = !scan->ended;
    if (go_on && name != NULL)
        scan->how.found(scan->how.context, handle, name);
    LeaveCriticalSection(&scan->lock);
    return go_on;
}

/*
 * The files of other users are an administrator's to ask for, by a privilege that is his but off. It is
 * turned on for this thread alone, which ends soon, and not for the process that we are guest in.
 */
static void use_debug_privilege(void)
{
    TOKEN_PRIVILEGES privileges = {.PrivilegeCount = 1};
    HANDLE token;

    if (!ImpersonateSelf(SecurityImpersonation))
        return;
    if (!OpenThreadToken(GetCurrentThread(), TOKEN_ADJUST_PRIVILEGES, FALSE, &token))
        return;
    privileges.Privileges[0].Attributes = SE_PRIVILEGE_ENABLED;
    if (LookupPrivilegeValueW(NULL, L"SeDebugPrivilege", &privileges.Privileges[0].Luid))
        AdjustTokenPrivileges(token, FALSE, &privileges, 0, NULL, NULL);
    CloseHandle(token);
}

static void run(void *argument)
{
    wchar_t name[CM_HANDLE_NAME_UNITS];
    struct scan *scan = argument;
    int go_on = 1;

    use_debug_privilege();
    while (go_on) {
        LONG i = InterlockedIncrement(&scan->next) - 1;
        const struct cm_handle *handle;
        int named;

        if (i >= scan->count)
            break;
        handle = &scan->handles[i];
        named = scan->how.name_of(handle, name);
        go_on = tell(scan, handle, named ? name : NULL);
        if (InterlockedIncrement(&scan->answered) == scan->count)
            SetEvent(scan->done);
    }
    release(scan);
}

static int start_thread(struct scan *scan)
{
    HANDLE thread;

    InterlockedIncrement(&scan->owners);
    thread = cm_detached_start(run, scan);
    if (thread == NULL) {
        InterlockedDecrement(&scan->owners); /* not the last: the caller's is left */
        return 0;
    }
    CloseHandle(thread);
    return 1;
}

/*
 * Until all is answered that does not hang, or time is over; that also bounds the number of threads.
 * No progress for a while may mean that the machine is busy: so nothing is given up at the first
 * time, and a thread too many does no harm.
 */
static void watch(struct scan *scan)
{
    DWORD start = GetTickCount();
    unsigned stalls = 0;

    while (GetTickCount() - start < scan->how.total_ms) {
        LONG before = scan->answered;

        if (WaitForSingleObject(scan->done, scan->how.patience_ms) != WAIT_TIMEOUT)
            return;
        stalls = scan->answered == before ? stalls + 1 : 0;
        if (stalls == 0)
            continue;
        /* With none left to ask, those that hang are all that is missing. */
        if (scan->next < scan->count)
            start_thread(scan);
        else if (stalls > STALLS_AT_THE_END)
            return;
    }
}

int cm_handles_scan_run(const struct cm_handles_scan *how, struct cm_handle *handles, size_t count)
{
    struct scan *scan = calloc(1, sizeof(*scan));
    int complete;

    if (scan != NULL)
        scan->done = CreateEventW(NULL, TRUE, FALSE, NULL);
    if (scan == NULL || scan->done == NULL || count == 0 || count > MAXLONG / 2) {
        if (scan != NULL && scan->done != NULL)
            CloseHandle(scan->done);
        free(scan);
        free(handles);
        return count == 0;
    }
    InitializeCriticalSection(&scan->lock);
    scan->how = *how;
    scan->handles = handles;
    scan->count = (LONG)count;
    scan->owners = 1;
    if (start_thread(scan))
        watch(scan);
    EnterCriticalSection(&scan->lock);
    scan->ended = 1;
    complete = scan->answered == scan->count;
    LeaveCriticalSection(&scan->lock);
    release(scan);
    return complete;
}
