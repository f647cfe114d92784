/* SPDX-License-Identifier: MIT */
/*
 * test_users.c - cm_users_of(): who has a disk or a file open, as the sentence of a refused unmount
 * tells it; and that names which cannot be had in time do not hold it up.
 *
 * The program starts itself: "hold DEVICE EVENT" opens DEVICE, sets EVENT and sleeps until it is
 * ended.
 */
#include "tests/unit/check.h"
#include "tests/wine/raw.h"

#include <stdio.h>
#include <string.h>

#include "lib/windows/handles.h"
#include "lib/windows/letter.h"
#include "lib/windows/users.h"

#define MIB (1024u * 1024u)
#define MOST_HOLDERS 5u

static HANDLE control;

/* -- helpers ----------------------------------------------------------------------------------- */

struct holder {
    PROCESS_INFORMATION process;
    HANDLE ready;
};

static int hold(const char *device, const char *ready)
{
    HANDLE event = OpenEventA(EVENT_MODIFY_STATE, FALSE, ready);
    HANDLE file = CreateFileA(device, GENERIC_READ, FILE_SHARE_READ | FILE_SHARE_WRITE, NULL,
                              OPEN_EXISTING, 0, NULL);

    if (file == INVALID_HANDLE_VALUE || event == NULL)
        return 1;
    SetEvent(event);
    Sleep(30000);
    return 1;
}

static void start_holder(struct holder *holder, const struct raw_disk *disk)
{
    static LONG number;
    char program[MAX_PATH], command[2 * MAX_PATH], ready[64];
    STARTUPINFOA start = {.cb = sizeof(start)};

    snprintf(ready, sizeof(ready), "test_users.%lu.%ld", (unsigned long)GetCurrentProcessId(),
             InterlockedIncrement(&number));
    holder->ready = CreateEventA(NULL, TRUE, FALSE, ready);
    GetModuleFileNameA(NULL, program, sizeof(program));
    snprintf(command, sizeof(command), "\"%s\" hold \\\\.\\%c: %s", program, (char)disk->letter[0],
             ready);
    CHECK(CreateProcessA(program, command, NULL, NULL, FALSE, 0, NULL, NULL, &start,
                         &holder->process));
    CHECK_EQ(WaitForSingleObject(holder->ready, 20000), WAIT_OBJECT_0);
}

static void end_holder(struct holder *holder)
{
    TerminateProcess(holder->process.hProcess, 0);
    WaitForSingleObject(holder->process.hProcess, 10000);
    CloseHandle(holder->process.hProcess);
    CloseHandle(holder->process.hThread);
    CloseHandle(holder->ready);
}

static void attach(struct raw_disk *disk, char device[CM_DEVICE_NAME_SIZE])
{
    struct cm_mount mount;

    raw_mount_defaults(&mount, MIB);
    raw_attach(control, &mount, disk);
    cm_device_name(disk->mounted.number, device);
}

static void expect_holder(const char *text, const struct holder *holder)
{
    char expected[128];

    snprintf(expected, sizeof(expected), "test_users.exe (process %lu: the whole disk)",
             (unsigned long)holder->process.dwProcessId);
    if (!CHECK(strstr(text, expected) != NULL))
        printf("no \"%s\" in \"%s\"\n", expected, text);
}

/* -- who is named ------------------------------------------------------------------------------ */

static void test_nobody_uses_a_disk(void)
{
    char device[CM_DEVICE_NAME_SIZE], text[CM_USERS_TEXT_SIZE] = "x";
    struct raw_disk disk;

    attach(&disk, device);
    CHECK_EQ(cm_users_of(device, CM_USERS_AND_SELF, text, sizeof(text)), 0);
    CHECK_STR(text, "");
    raw_detach(&disk);
}

static void test_another_process_is_named(void)
{
    char device[CM_DEVICE_NAME_SIZE], text[CM_USERS_TEXT_SIZE];
    struct holder holder;
    struct raw_disk disk;

    attach(&disk, device);
    start_holder(&holder, &disk);
    CHECK_EQ(cm_users_of(device, 0, text, sizeof(text)), 1);
    expect_holder(text, &holder);
    end_holder(&holder);
    CHECK_EQ(cm_users_of(device, 0, text, sizeof(text)), 0);
    raw_detach(&disk);
}

static void test_this_process_is_named_only_if_asked_for(void)
{
    char device[CM_DEVICE_NAME_SIZE], text[CM_USERS_TEXT_SIZE];
    struct raw_disk disk;
    HANDLE handle;

    attach(&disk, device);
    handle = raw_open_disk(&disk);
    CHECK_EQ(cm_users_of(device, CM_USERS_AND_SELF, text, sizeof(text)), 1);
    CHECK(strstr(text, "test_users.exe") != NULL);
    CHECK_EQ(cm_users_of(device, 0, text, sizeof(text)), 0);
    CloseHandle(handle);
    raw_detach(&disk);
}

static void test_a_disk_is_not_one_whose_number_begins_alike(void)
{
    char device[CM_DEVICE_NAME_SIZE], text[CM_USERS_TEXT_SIZE];
    struct raw_disk disk;
    HANDLE handle;

    attach(&disk, device);
    handle = raw_open_disk(&disk);
    device[strlen(device) - 1] = '\0';
    CHECK_EQ(cm_users_of(device, CM_USERS_AND_SELF, text, sizeof(text)), 0);
    CloseHandle(handle);
    raw_detach(&disk);
}

static void test_of_many_processes_some_are_counted(void)
{
    char device[CM_DEVICE_NAME_SIZE], text[CM_USERS_TEXT_SIZE];
    struct holder holders[MOST_HOLDERS];
    struct raw_disk disk;
    unsigned named = 0;
    const char *at;

    attach(&disk, device);
    for (unsigned i = 0; i < MOST_HOLDERS; i++)
        start_holder(&holders[i], &disk);
    CHECK_EQ(cm_users_of(device, 0, text, sizeof(text)), MOST_HOLDERS);
    for (at = text; (at = strstr(at, "test_users.exe")) != NULL; at++)
        named++;
    CHECK_EQ(named, 3);
    CHECK(strstr(text, " and 2 other programs") != NULL);
    for (unsigned i = 0; i < MOST_HOLDERS; i++)
        end_holder(&holders[i]);
    raw_detach(&disk);
}

/* A path of a file, for which Wine needs a file system of its own: a file of this process. */
static void test_a_file_is_named_by_its_path(void)
{
    static const wchar_t file_name[] = L"users of\x00e9.txt";
    char device[4 * MAX_PATH] = "", text[CM_USERS_TEXT_SIZE];
    wchar_t name[CM_HANDLE_NAME_UNITS];
    HANDLE file = CreateFileW(file_name, GENERIC_WRITE, 0, NULL, CREATE_ALWAYS,
                              FILE_FLAG_DELETE_ON_CLOSE, NULL);
    struct cm_handle self = {GetCurrentProcessId(), (uintptr_t)file, 0};

    CHECK(file != INVALID_HANDLE_VALUE);
    if (CHECK(cm_handles_name(&self, name))) {
        /* What is before the file's own name stands for the device here. */
        wcsrchr(name, L'\\')[0] = L'\0';
        WideCharToMultiByte(CP_UTF8, 0, name, -1, device, sizeof(device), NULL, NULL);
        cm_users_of(device, CM_USERS_AND_SELF, text, sizeof(text));
        if (!CHECK(strstr(text, ": \\users of\xc3\xa9.txt)") != NULL))
            printf("\"%s\" of \"%s\"\n", text, device);
    }
    CloseHandle(file);
}

static void test_a_text_is_never_longer_than_its_buffer(void)
{
    char device[CM_DEVICE_NAME_SIZE], text[256];
    struct raw_disk disk;
    HANDLE handle;

    attach(&disk, device);
    handle = raw_open_disk(&disk);
    for (size_t size = 0; size <= 160; size += size < 20 ? 1 : 20) {
        memset(text, '#', sizeof(text));
        CHECK_EQ(cm_users_of(device, CM_USERS_AND_SELF, text, size), 1);
        CHECK_EQ(text[size], '#');
        CHECK(size == 0 || memchr(text, '\0', size) != NULL);
    }
    CloseHandle(handle);
    raw_detach(&disk);
}

/* -- names that hang --------------------------------------------------------------------------- */

#define SCANNED 100u
#define IN_TIME_MS 3000u /* 0.8 s, on a machine that has other work */

static HANDLE unblock;
static LONG volatile asked;

/* Handles whose value is 1 hang until `unblock`. */
static int name_or_hang(const struct cm_handle *handle, wchar_t *name)
{
    InterlockedIncrement(&asked);
    if (handle->value == 1)
        WaitForSingleObject(unblock, INFINITE);
    wcscpy(name, L"x");
    return 1;
}

static void count_found(void *context, const struct cm_handle *handle, const wchar_t *name)
{
    (void)handle;
    (void)name;
    ++*(unsigned *)context;
}

/* A scan of which every handle with a number that `every` divides hangs; what it took and found. */
static int scan(unsigned every, DWORD *took_ms, unsigned *found)
{
    struct cm_handle *handles = calloc(SCANNED, sizeof(*handles));
    struct cm_handles_scan how = {name_or_hang, count_found, found, 50, 800};
    DWORD start = GetTickCount();
    int complete;

    unblock = CreateEventA(NULL, TRUE, FALSE, NULL);
    asked = 0;
    *found = 0;
    for (unsigned i = 0; i < SCANNED; i++)
        handles[i].value = every != 0 && i % every == every - 1;
    complete = cm_handles_scan_run(&how, handles, SCANNED);
    *took_ms = GetTickCount() - start;
    return complete;
}

/* The threads left behind must find nobody to tell. */
static void let_go(const unsigned *found)
{
    unsigned before = *found;

    SetEvent(unblock);
    Sleep(200);
    CHECK_EQ(*found, before);
    CloseHandle(unblock);
}

static void test_all_names_are_asked_for(void)
{
    DWORD took_ms;
    unsigned found;

    CHECK(scan(0, &took_ms, &found));
    CHECK_EQ(found, SCANNED);
    CHECK_EQ(asked, SCANNED);
    let_go(&found);
}

static void test_a_name_that_hangs_holds_up_no_other(void)
{
    DWORD took_ms;
    unsigned found;

    CHECK(!scan(30, &took_ms, &found));
    CHECK_EQ(found, SCANNED - 3);
    CHECK(took_ms < IN_TIME_MS);
    let_go(&found);
}

static void test_names_that_all_hang_are_given_up(void)
{
    DWORD took_ms;
    unsigned found;

    CHECK(!scan(1, &took_ms, &found));
    CHECK_EQ(found, 0);
    CHECK(took_ms < IN_TIME_MS);
    CHECK(asked < 20);
    let_go(&found);
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        CHECK_TEST(test_nobody_uses_a_disk),
        CHECK_TEST(test_another_process_is_named),
        CHECK_TEST(test_this_process_is_named_only_if_asked_for),
        CHECK_TEST(test_a_disk_is_not_one_whose_number_begins_alike),
        CHECK_TEST(test_of_many_processes_some_are_counted),
        CHECK_TEST(test_a_file_is_named_by_its_path),
        CHECK_TEST(test_a_text_is_never_longer_than_its_buffer),
        CHECK_TEST(test_all_names_are_asked_for),
        CHECK_TEST(test_a_name_that_hangs_holds_up_no_other),
        CHECK_TEST(test_names_that_all_hang_are_given_up),
    };

    if (argc == 4 && strcmp(argv[1], "hold") == 0)
        return hold(argv[2], argv[3]);
    control = raw_open_control();
    return check_main(argc, argv, tests, sizeof(tests) / sizeof(tests[0]));
}
