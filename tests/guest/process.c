/* SPDX-License-Identifier: MIT */
/*
 * process.c - programs that a step runs: with a limit, and with their output in a file.
 *
 * A file rather than a pipe: nobody need read it while the program runs, and a program of the program's
 * that keeps it open holds nobody up.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/guest/kit.h" /* windows.h, which the next one needs */

#include <tlhelp32.h>

#define LINE_SIZE 1024u
#define MAX_STARTED 32u
#define KILL_MS 10000u
#define POLL_MS 20u

char output[32768];

static HANDLE started[MAX_STARTED]; /* so that none survives the step */
static unsigned started_count;

/* -- start -------------------------------------------------------------------------------------- */

static HANDLE open_inherited(const char *name, DWORD access, DWORD how)
{
    SECURITY_ATTRIBUTES inherited = {.nLength = sizeof(inherited), .bInheritHandle = TRUE};
    HANDLE file =
        CreateFileA(name, access, FILE_SHARE_READ | FILE_SHARE_WRITE, &inherited, how, 0, NULL);

    if (file == INVALID_HANDLE_VALUE)
        fail("cannot open %s: Win32 error %lu", name, (unsigned long)GetLastError());
    return file;
}

/* Our end is not inherited, so that the program sees the end of its input when we close it. */
static HANDLE make_pipe(HANDLE *ours)
{
    SECURITY_ATTRIBUTES inherited = {.nLength = sizeof(inherited), .bInheritHandle = TRUE};
    HANDLE theirs;

    must(CreatePipe(&theirs, ours, &inherited, 0), "CreatePipe");
    must(SetHandleInformation(*ours, HANDLE_FLAG_INHERIT, 0), "SetHandleInformation");
    return theirs;
}

/* `program`: NULL, for the first word of the line. @return 0 or a Win32 error */
static DWORD create(struct process *process, const char *input, char *line)
{
    static unsigned number;
    STARTUPINFOA startup = {.cb = sizeof(startup), .dwFlags = STARTF_USESTDHANDLES};
    PROCESS_INFORMATION information;
    DWORD error = ERROR_SUCCESS;

    memset(process, 0, sizeof(*process));
    snprintf(process->output, sizeof(process->output), "out-%lu-%u.txt",
             (unsigned long)GetCurrentProcessId(), number++);
    startup.hStdOutput = open_inherited(process->output, GENERIC_WRITE, CREATE_ALWAYS);
    startup.hStdError = startup.hStdOutput;
    if (input != NULL && strcmp(input, "|") == 0)
        startup.hStdInput = make_pipe(&process->input);
    else
        startup.hStdInput =
            open_inherited(input != NULL ? input : "NUL", GENERIC_READ, OPEN_EXISTING);
    if (!CreateProcessA(NULL, line, NULL, NULL, TRUE, 0, NULL, NULL, &startup, &information))
        error = GetLastError();
    CloseHandle(startup.hStdInput);
    CloseHandle(startup.hStdOutput);
    if (error == ERROR_SUCCESS) {
        CloseHandle(information.hThread);
        process->handle = information.hProcess;
        process->id = information.dwProcessId;
    }
    return error;
}

static void start_line(struct process *process, const char *input, char *line)
{
    DWORD error;

    note("> %s", line);
    if (started_count == MAX_STARTED)
        fail("too many programs in one step");
    error = create(process, input, line);
    if (error != ERROR_SUCCESS)
        fail("cannot start \"%s\": Win32 error %lu", line, (unsigned long)error);
    must(DuplicateHandle(GetCurrentProcess(), process->handle, GetCurrentProcess(),
                         &started[started_count], 0, FALSE, DUPLICATE_SAME_ACCESS),
         "DuplicateHandle");
    started_count++;
}

void process_start(struct process *process, const char *input, const char *format, ...)
{
    char line[LINE_SIZE];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(line, sizeof(line), format, arguments);
    va_end(arguments);
    start_line(process, input, line);
}

/* -- wait and kill ------------------------------------------------------------------------------ */

int process_wait(struct process *process, DWORD limit_ms, DWORD *code)
{
    if (WaitForSingleObject(process->handle, limit_ms) != WAIT_OBJECT_0)
        return 0;
    must(GetExitCodeProcess(process->handle, code), "GetExitCodeProcess");
    return 1;
}

void process_kill(struct process *process)
{
    TerminateProcess(process->handle, 99);
    if (WaitForSingleObject(process->handle, KILL_MS) != WAIT_OBJECT_0)
        fail("process %lu was killed and is still there after %u s", (unsigned long)process->id,
             KILL_MS / 1000u);
}

void process_close(struct process *process)
{
    if (process->input != NULL)
        CloseHandle(process->input);
    CloseHandle(process->handle);
    memset(process, 0, sizeof(*process));
}

void process_kill_all(void)
{
    for (unsigned i = 0; i < started_count; i++) {
        if (WaitForSingleObject(started[i], 0) != WAIT_OBJECT_0)
            TerminateProcess(started[i], 99);
        WaitForSingleObject(started[i], KILL_MS);
    }
}

static int kill_one(DWORD id)
{
    HANDLE process = OpenProcess(PROCESS_TERMINATE | SYNCHRONIZE, FALSE, id);
    int gone;

    if (process == NULL)
        return 1;
    TerminateProcess(process, 99);
    gone = WaitForSingleObject(process, KILL_MS) == WAIT_OBJECT_0;
    CloseHandle(process);
    return gone;
}

/* Children first: an id whose process has gone may be given to another. */
static int kill_below(const PROCESSENTRY32 *entries, unsigned count, DWORD id, unsigned depth)
{
    int gone = 1;

    for (unsigned i = 0; i < count && depth < 8; i++) {
        DWORD child = entries[i].th32ProcessID;

        if (entries[i].th32ParentProcessID != id || child == id || child == GetCurrentProcessId())
            continue;
        gone &= kill_below(entries, count, child, depth + 1);
        gone &= kill_one(child);
    }
    return gone;
}

int process_kill_tree(DWORD id, int with_root)
{
    enum { MAX_PROCESSES = 512 };
    PROCESSENTRY32 *entries = calloc(MAX_PROCESSES, sizeof(*entries));
    HANDLE snapshot = CreateToolhelp32Snapshot(TH32CS_SNAPPROCESS, 0);
    unsigned count = 0;
    int gone = 1;

    if (entries != NULL && snapshot != INVALID_HANDLE_VALUE) {
        entries[0].dwSize = sizeof(*entries);
        for (BOOL more = Process32First(snapshot, &entries[0]); more && count < MAX_PROCESSES - 1;
             more = Process32Next(snapshot, &entries[count])) {
            count++;
            entries[count].dwSize = sizeof(*entries);
        }
        gone = kill_below(entries, count, id, 0);
    }
    if (snapshot != INVALID_HANDLE_VALUE)
        CloseHandle(snapshot);
    free(entries);
    return with_root ? kill_one(id) && gone : gone;
}

/* -- output ------------------------------------------------------------------------------------- */

const char *output_of(const struct process *process)
{
    HANDLE file = CreateFileA(process->output, GENERIC_READ, FILE_SHARE_READ | FILE_SHARE_WRITE,
                              NULL, OPEN_EXISTING, 0, NULL);
    DWORD length = 0;

    if (file == INVALID_HANDLE_VALUE || !ReadFile(file, output, sizeof(output) - 1, &length, NULL))
        length = 0;
    output[length] = '\0';
    if (file != INVALID_HANDLE_VALUE)
        CloseHandle(file);
    return output;
}

void process_expect(struct process *process, const char *text, DWORD limit_ms)
{
    DWORD begin = GetTickCount();

    for (;;) {
        int ended = WaitForSingleObject(process->handle, POLL_MS) == WAIT_OBJECT_0;

        if (strstr(output_of(process), text) != NULL)
            return;
        if (ended)
            fail("it ended instead of saying \"%s\": %s", text, output);
        if (GetTickCount() - begin > limit_ms)
            fail("it did not say \"%s\" within %lu ms but: %s", text, (unsigned long)limit_ms,
                 output);
    }
}

/* -- run to the end ----------------------------------------------------------------------------- */

static DWORD run_line(unsigned limit_s, char *line)
{
    struct process process;
    DWORD code;

    start_line(&process, NULL, line);
    if (!process_wait(&process, limit_s * 1000u, &code)) {
        process_kill_tree(process.id, 1);
        output_of(&process);
        fail("\"%s\" did not end within %u s; it said: %s", line, limit_s, output);
    }
    printf("%s", output_of(&process));
    note("= %ld", (long)code);
    process_close(&process);
    CloseHandle(started[--started_count]); /* it was the last one, and has ended */
    return code;
}

DWORD run(unsigned limit_s, const char *format, ...)
{
    char line[LINE_SIZE];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(line, sizeof(line), format, arguments);
    va_end(arguments);
    return run_line(limit_s, line);
}

DWORD shell(unsigned limit_s, const char *format, ...)
{
    char line[LINE_SIZE] = "cmd /c ";
    size_t used = strlen(line);
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(line + used, sizeof(line) - used, format, arguments);
    va_end(arguments);
    return run_line(limit_s, line);
}

void run_ok(unsigned limit_s, const char *format, ...)
{
    char line[LINE_SIZE];
    va_list arguments;
    DWORD code;

    va_start(arguments, format);
    vsnprintf(line, sizeof(line), format, arguments);
    va_end(arguments);
    code = run_line(limit_s, line);
    if (code != 0)
        fail("\"%s\" ended with %ld: %s", line, (long)code, output);
}

void run_refused(DWORD code, const char *part, const char *format, ...)
{
    char line[LINE_SIZE];
    va_list arguments;
    DWORD got;

    va_start(arguments, format);
    vsnprintf(line, sizeof(line), format, arguments);
    va_end(arguments);
    got = run_line(60, line);
    if (got != code || strstr(output, part) == NULL)
        fail("\"%s\" was to end with %ld and say \"%s\"; it ended with %ld: %s", line, (long)code,
             part, (long)got, output);
}

int has_program(const char *name)
{
    static const char *const endings[] = {".exe", ".com"};
    char path[MAX_PATH];

    for (size_t i = 0; i < sizeof(endings) / sizeof(endings[0]); i++)
        if (SearchPathA(NULL, name, endings[i], sizeof(path), path, NULL) != 0)
            return 1;
    return 0;
}
