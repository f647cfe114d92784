/* SPDX-License-Identifier: MIT */
/*
 * steps_driver.c - the driver comes, tells its version, and goes; and the article's program.
 */
#include <stdio.h>
#include <string.h>

#include "tests/guest/kit.h"

#ifdef _WIN64
#define DRIVER_FILE "x64\\CoreMnt.sys"
#else
#define DRIVER_FILE "x86\\CoreMnt.sys"
#endif
#define CONTROL_DEVICE "\\\\.\\CoreMnt"
#define ARTICLE_LETTER "Z:"

static int control_opens(void)
{
    HANDLE control = CreateFileA(CONTROL_DEVICE, GENERIC_READ, FILE_SHARE_READ | FILE_SHARE_WRITE,
                                 NULL, OPEN_EXISTING, 0, NULL);

    if (control == INVALID_HANDLE_VALUE)
        return 0;
    CloseHandle(control);
    return 1;
}

static void expect_status(const char *state)
{
    char wanted[64];

    snprintf(wanted, sizeof(wanted), "\"state\": \"%s\"", state);
    run_ok(30, "coremnt driver status --json");
    if (strstr(output, wanted) == NULL)
        fail("the driver is to be %s, but: %s", state, output);
}

/* An earlier kit may have ended in the middle. `sc` is there in case that our own program is what
 * fails; its exit code says nothing on some systems, so the state is asked for afterwards. */
void step_driver_install(void)
{
    const char *file = kit_path(DRIVER_FILE);

    run_ok(30, "coremnt driver status --json");
    if (strstr(output, "not installed") == NULL) {
        note("there is a driver from before");
        run(60, "coremnt driver stop --force");
        run_ok(30, "coremnt driver remove");
    }
    if (run(30, "coremnt driver install \"%s\"", file) != 0) {
        note("trying sc, to know more");
        run(30, "sc create CoreMnt type= kernel start= demand binPath= \"%s\"", file);
        fail("coremnt driver install failed; the log has why, and what sc says to the same");
    }
    expect_status("stopped");
}

void step_driver_start(void)
{
    if (run(30, "coremnt driver start") != 0) {
        char reason[300];

        snprintf(reason, sizeof(reason), "%.299s", output);
        note("trying sc, to know more");
        run(30, "sc start CoreMnt");
        run(30, "sc query CoreMnt");
        fail("%s", reason);
    }
    expect_status("running");
    if (!control_opens())
        fail(CONTROL_DEVICE " cannot be opened: Win32 error %lu", (unsigned long)GetLastError());
}

void step_version(void)
{
    char program[64];

    run_ok(30, "coremnt --version");
    if (sscanf(output, "coremnt %63s", program) != 1)
        fail("coremnt --version says: %s", output);
    run_ok(30, "coremnt driver status");
    if (strstr(output, program) == NULL || strstr(output, "as this program") == NULL)
        fail("the driver is not of the version of coremnt, %s: %s", program, output);
}

/* The article's program has Z: built in, and waits for a key. */
void step_coremnttest(void)
{
    struct process article;
    DWORD code;
    DWORD done;

    if (drive_exists(ARTICLE_LETTER))
        skip("CoreMntTest mounts " ARTICLE_LETTER ", which this machine uses");
    DeleteFileA("tst_img");
    process_start(&article, "|", "CoreMntTest");
    process_expect(&article, "Image was mounted", 30000);
    if (!drive_exists(ARTICLE_LETTER))
        fail("there is no " ARTICLE_LETTER);
    run_ok(30, "coremnt list");
    if (strstr(output, "tst_img") == NULL)
        fail("coremnt list does not know tst_img: %s", output);
    must(WriteFile(article.input, "\n", 1, &done, NULL), "write to CoreMntTest");
    if (!process_wait(&article, 60000, &code))
        fail("CoreMntTest does not end after a key");
    if (code != 0)
        fail("CoreMntTest ended with %ld: %s", (long)code, output_of(&article));
    expect_no_drive(ARTICLE_LETTER);
    DeleteFileA("tst_img");
}

/* The state is what the service manager says; whether the device has gone is the truth. */
void step_driver_stop(void)
{
    run_ok(60, "coremnt driver stop");
    expect_status("stopped");
    if (control_opens())
        fail("the driver was stopped, but " CONTROL_DEVICE " still opens");
}

void step_driver_restart(void)
{
    struct disk disk;

    run_ok(60, "coremnt driver start");
    expect_status("running");
    disk_mount(&disk, "memory:4M", letter_1, "");
    disk_unmount(&disk);
    step_driver_stop();
}

void step_driver_remove(void)
{
    run_ok(60, "coremnt driver remove");
    expect_status("not installed");
}
