/* SPDX-License-Identifier: MIT */
/*
 * plan.c - `guest kit`: goes through the steps and tells how each ended, one line each, on the screen
 * and in run.log beside run.cmd; the log has also what each step has said.
 *
 * run.cmd calls it. Each step is a process of its own, so that its limit can be kept; the kit itself
 * asks the driver for nothing, and so cannot hang in it.
 */
#include <io.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/guest/kit.h"
#include "tests/guest/plan.h"

#define OPTIONS_FILE "options.txt"
#define LOG_FILE "run.log"
#define MAX_OPTIONS 32
#define REASON_SIZE 400u
#define CLEAN_UP_S 90u
#define CLEAN_UP_OUTPUT "step-clean-up.txt"

struct kit {
    char work[MAX_PATH];
    char *only;
    char *skip;
    int shut_down;
    int list;
    FILE *log;
    unsigned passed;
    unsigned failed;
    unsigned skipped;
    int driver_runs;
};

/* -- log ---------------------------------------------------------------------------------------- */

/* On the disk at once: the next step may bring the machine down. */
static void flush_log(struct kit *kit)
{
    fflush(kit->log);
    FlushFileBuffers((HANDLE)_get_osfhandle(_fileno(kit->log)));
}

static void report(struct kit *kit, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void report(struct kit *kit, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    vprintf(format, arguments);
    va_end(arguments);
    printf("\n");
    va_start(arguments, format);
    vfprintf(kit->log, format, arguments);
    va_end(arguments);
    fprintf(kit->log, "\n");
    flush_log(kit);
}

/* A kit on a CD has its log in the work folder. */
static int open_log(struct kit *kit)
{
    const char *places[] = {kit_path(LOG_FILE), LOG_FILE};

    for (size_t i = 0; i < 2 && kit->log == NULL; i++)
        kit->log = fopen(places[i], "w");
    if (kit->log == NULL)
        printf("FAILED kit: %s cannot be written\n", places[0]);
    return kit->log != NULL;
}

/* The step's output goes into the log, and what follows the END_MARK into `reason`. */
static void take_output(struct kit *kit, const char *path, char reason[REASON_SIZE])
{
    FILE *file = fopen(path, "r");
    char line[1024];

    while (file != NULL && fgets(line, sizeof(line), file) != NULL) {
        line[strcspn(line, "\r\n")] = '\0';
        fprintf(kit->log, "    %s\n", line);
        if (strncmp(line, END_MARK, strlen(END_MARK)) == 0)
            snprintf(reason, REASON_SIZE, "%s", line + strlen(END_MARK));
    }
    if (file != NULL)
        fclose(file);
}

/* -- one step ----------------------------------------------------------------------------------- */

static HANDLE start_step(const struct step *step, const char *path, DWORD *id)
{
    SECURITY_ATTRIBUTES inherited = {.nLength = sizeof(inherited), .bInheritHandle = TRUE};
    STARTUPINFOA startup = {.cb = sizeof(startup), .dwFlags = STARTF_USESTDHANDLES};
    PROCESS_INFORMATION information = {0};
    char program[MAX_PATH];
    char line[MAX_PATH + 100];

    GetModuleFileNameA(NULL, program, sizeof(program));
    snprintf(line, sizeof(line), "\"%s\" step %s %s %s", program, step->name, letter_1, letter_2);
    startup.hStdOutput = CreateFileA(path, GENERIC_WRITE, FILE_SHARE_READ | FILE_SHARE_WRITE,
                                     &inherited, CREATE_ALWAYS, 0, NULL);
    startup.hStdError = startup.hStdOutput;
    startup.hStdInput = CreateFileA("NUL", GENERIC_READ, FILE_SHARE_READ | FILE_SHARE_WRITE,
                                    &inherited, OPEN_EXISTING, 0, NULL);
    if (CreateProcessA(program, line, NULL, NULL, TRUE, 0, NULL, NULL, &startup, &information))
        CloseHandle(information.hThread);
    else
        information.hProcess = NULL;
    CloseHandle(startup.hStdOutput);
    CloseHandle(startup.hStdInput);
    *id = information.dwProcessId;
    return information.hProcess;
}

/* @return a STEP_..., and for all but STEP_OK the reason. */
static int end_of(HANDLE process, DWORD id, const struct step *step, char reason[REASON_SIZE])
{
    DWORD code = 0;
    int gone = 1;

    if (WaitForSingleObject(process, step->limit_s * 1000u) != WAIT_OBJECT_0) {
        gone = process_kill_tree(id, 1);
        snprintf(reason, REASON_SIZE, "it did not end within %u s%s", step->limit_s,
                 gone ? "" : ", and a program of it cannot be ended");
        return STEP_FAILED;
    }
    GetExitCodeProcess(process, &code);
    if (code != STEP_OK)
        process_kill_tree(id, 0);
    if (code != STEP_OK && code != STEP_SKIPPED && reason[0] == '\0')
        snprintf(reason, REASON_SIZE, "it ended with 0x%lx", (unsigned long)code);
    return code == STEP_OK || code == STEP_SKIPPED ? (int)code : STEP_FAILED;
}

/* A step that was ended by force may have left its disks; this may hang in its turn. */
static void clean_up(struct kit *kit)
{
    static const struct step step = {"clean-up", step_clean_up, CLEAN_UP_S, ONLY_BY_NAME};
    char reason[REASON_SIZE] = "";
    DWORD id;
    HANDLE process = start_step(&step, CLEAN_UP_OUTPUT, &id);

    if (process == NULL)
        return;
    end_of(process, id, &step, reason);
    take_output(kit, CLEAN_UP_OUTPUT, reason);
    CloseHandle(process);
}

static void count_end(struct kit *kit, const struct step *step, int end, const char *reason)
{
    if (end == STEP_OK) {
        kit->passed++;
        report(kit, "ok %s", step->name);
    } else if (end == STEP_SKIPPED) {
        kit->skipped++;
        report(kit, "skipped %s: %s", step->name, reason);
    } else {
        kit->failed++;
        report(kit, "FAILED %s: %s", step->name, reason);
    }
}

static void run_one(struct kit *kit, const struct step *step)
{
    char path[64];
    char reason[REASON_SIZE] = "";
    DWORD begin = GetTickCount();
    DWORD id;
    HANDLE process;
    int end = STEP_FAILED;

    snprintf(path, sizeof(path), "step-%s.txt", step->name);
    fprintf(kit->log, "\n== %s\n", step->name);
    flush_log(kit); /* so that a crash of the machine shows where it was */
    process = start_step(step, path, &id);
    if (process == NULL) {
        snprintf(reason, sizeof(reason), "cannot start it: Win32 error %lu",
                 (unsigned long)GetLastError());
    } else {
        char crash[REASON_SIZE] = "";

        end = end_of(process, id, step, crash);
        take_output(kit, path, reason);
        if (reason[0] == '\0' || strstr(crash, "did not end") != NULL)
            snprintf(reason, sizeof(reason), "%s", crash);
        CloseHandle(process);
    }
    fprintf(kit->log, "    (%lu ms)\n", (unsigned long)(GetTickCount() - begin));
    if (end == STEP_FAILED)
        clean_up(kit);
    if (step->run == step_driver_start)
        kit->driver_runs = end == STEP_OK;
    count_end(kit, step, end, reason);
}

/* -- which steps -------------------------------------------------------------------------------- */

/* Is `name` one of the names in "a,b,c"? */
static int is_named(const char *list, const char *name)
{
    size_t length = strlen(name);

    for (const char *at = list; at != NULL; at = strchr(at, ',')) {
        if (*at == ',')
            at++;
        if (strncmp(at, name, length) == 0 && (at[length] == '\0' || at[length] == ','))
            return 1;
    }
    return 0;
}

static int every_name_is_known(const char *list)
{
    char name[64];

    for (const char *at = list; at != NULL; at = strchr(at, ',')) {
        const struct step *step = steps;

        if (*at == ',')
            at++;
        snprintf(name, sizeof(name), "%.*s", (int)strcspn(at, ","), at);
        while (step->name != NULL && strcmp(step->name, name) != 0)
            step++;
        if (step->name == NULL) {
            printf("FAILED kit: there is no step \"%s\"; see run.cmd --list\n", name);
            return 0;
        }
    }
    return 1;
}

static int is_wanted(const struct kit *kit, const struct step *step)
{
    if (is_named(kit->skip, step->name))
        return 0;
    if (kit->only != NULL)
        return is_named(kit->only, step->name);
    return (step->flags & ONLY_BY_NAME) == 0;
}

static void run_or_skip(struct kit *kit, const struct step *step)
{
    const char *reason = NULL;

    if ((step->flags & NEEDS_DRIVER) != 0 && !kit->driver_runs)
        reason = "the driver does not run";
    else if ((step->flags & NEEDS_FILE_SYSTEM) != 0 && is_wine())
        reason = "Wine puts no file system on the disk of a driver";
    else if ((step->flags & NEEDS_MANAGER) != 0 && is_wine())
        reason = "Wine's mount manager takes no disks of drivers";
    if (reason != NULL)
        count_end(kit, step, STEP_SKIPPED, reason);
    else
        run_one(kit, step);
}

/* -- options ------------------------------------------------------------------------------------ */

static int read_options(struct kit *kit, int argc, char **argv)
{
    for (int i = 0; i < argc; i++) {
        char *value = i + 1 < argc ? argv[i + 1] : NULL;

        if (strcmp(argv[i], "--shutdown") == 0) {
            kit->shut_down = 1;
            continue;
        }
        if (strcmp(argv[i], "--list") == 0) {
            kit->list = 1;
            continue;
        }
        if (value != NULL && strcmp(argv[i], "--only") == 0) {
            kit->only = value;
        } else if (value != NULL && strcmp(argv[i], "--skip") == 0) {
            kit->skip = value;
        } else if (value != NULL && strcmp(argv[i], "--work") == 0) {
            snprintf(kit->work, sizeof(kit->work), "%s", value);
        } else {
            printf("FAILED kit: \"%s\" is no option, or its value is missing; run.cmd takes "
                   "--only STEPS, --skip STEPS, --work FOLDER, --shutdown, --list\n",
                   argv[i]);
            return 0;
        }
        i++;
    }
    return every_name_is_known(kit->only) && every_name_is_known(kit->skip);
}

/* The same words in the file options.txt of the kit: for a machine that starts run.cmd by itself. */
static int read_options_file(struct kit *kit)
{
    static char text[1024]; /* options point into it */
    char *words[MAX_OPTIONS];
    FILE *file = fopen(kit_path(OPTIONS_FILE), "r");
    int count = 0;

    if (file == NULL)
        return 1;
    text[fread(text, 1, sizeof(text) - 1, file)] = '\0';
    fclose(file);
    for (char *word = strtok(text, " \t\r\n"); word != NULL && count < MAX_OPTIONS;
         word = strtok(NULL, " \t\r\n"))
        words[count++] = word;
    return read_options(kit, count, words);
}

/* -- all of it ---------------------------------------------------------------------------------- */

/* Where images and logs of steps lie, and where steps have their current folder. */
static int enter_work(struct kit *kit)
{
    if (kit->work[0] == '\0') {
        char windows[MAX_PATH] = "C:\\";

        GetWindowsDirectoryA(windows, sizeof(windows));
        snprintf(kit->work, sizeof(kit->work), "%.3s" WORK_FOLDER, windows);
    }
    if (strchr(kit->work, ' ') != NULL) {
        printf("FAILED kit: the work folder \"%s\" must have no spaces; give another by --work\n",
               kit->work);
        return 0;
    }
    CreateDirectoryA(kit->work, NULL);
    if (SetCurrentDirectoryA(kit->work))
        return 1;
    printf("FAILED kit: cannot make the work folder %s: Win32 error %lu\n", kit->work,
           (unsigned long)GetLastError());
    return 0;
}

/* Our folder first: commands are then the kit's, without a path that might have spaces. */
static void set_path(void)
{
    static char path[32768];
    char program[MAX_PATH];
    size_t used;

    GetModuleFileNameA(NULL, program, sizeof(program));
    *strrchr(program, '\\') = '\0';
    snprintf(path, sizeof(path), "%s;", program);
    used = strlen(path);
    GetEnvironmentVariableA("PATH", path + used, (DWORD)(sizeof(path) - used));
    SetEnvironmentVariableA("PATH", path);
}

static void print_list(void)
{
    for (const struct step *step = steps; step->name != NULL; step++)
        printf("%-18s %3u s%s\n", step->name, step->limit_s,
               (step->flags & ONLY_BY_NAME) != 0 ? ", only by --only" : "");
}

/* `shutdown` is missing in Windows 2000 and may be kept from us: then by ourselves. */
static void shut_down(void)
{
    TOKEN_PRIVILEGES privilege = {.PrivilegeCount = 1};
    HANDLE token;

    if (shell(60, "shutdown -s -f -t 0") == 0)
        return;
    if (OpenProcessToken(GetCurrentProcess(), TOKEN_ADJUST_PRIVILEGES | TOKEN_QUERY, &token)) {
        LookupPrivilegeValueA(NULL, "SeShutdownPrivilege", &privilege.Privileges[0].Luid);
        privilege.Privileges[0].Attributes = SE_PRIVILEGE_ENABLED;
        AdjustTokenPrivileges(token, FALSE, &privilege, 0, NULL, NULL);
        CloseHandle(token);
    }
    ExitWindowsEx(EWX_POWEROFF | EWX_FORCE, 0);
}

/* Was it started before this run, for a kit that runs only some steps? */
static int driver_answers(void)
{
    HANDLE control = CreateFileA("\\\\.\\CoreMnt", GENERIC_READ, FILE_SHARE_READ | FILE_SHARE_WRITE,
                                 NULL, OPEN_EXISTING, 0, NULL);

    if (control == INVALID_HANDLE_VALUE)
        return 0;
    CloseHandle(control);
    return 1;
}

static int refuse(void)
{
    printf("0 passed, 1 failed, 0 skipped\n");
    return 1;
}

int run_kit(int argc, char **argv)
{
    static struct kit kit;

    if (!read_options_file(&kit) || !read_options(&kit, argc, argv))
        return refuse();
    if (kit.list) {
        print_list();
        return 0;
    }
    if (!enter_work(&kit) || !open_log(&kit))
        return refuse();
    set_path();
    choose_letters();
    kit.driver_runs = driver_answers();
    report(&kit, "CoreMnt guest kit, work folder %s, disks %s and %s", kit.work, letter_1,
           letter_2);
    for (const struct step *step = steps; step->name != NULL; step++)
        if (is_wanted(&kit, step))
            run_or_skip(&kit, step);
    report(&kit, "%u passed, %u failed, %u skipped", kit.passed, kit.failed, kit.skipped);
    fclose(kit.log);
    if (kit.shut_down)
        shut_down();
    return kit.failed == 0 && kit.passed != 0 ? 0 : 1;
}
