/* SPDX-License-Identifier: MIT */
/*
 * serving.c - what `mount` and `attach` do once they have their disk: wait until Ctrl-C, an unmount by
 * somebody else, or the end of the driver.
 *
 * The library's threads serve; this one waits and unmounts, as it must: never from a serving
 * thread.
 */
#include "cli/serving.h"

#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/console.h"
#include "cli/out.h"

#define POLL_MS 200u
#define TRY_MS 500u  /* one attempt to unmount; Ctrl-C is looked at in between */
#define PATIENCE 20u /* attempts */

/* -- serving ----------------------------------------------------------------------------------- */

/*
 * Ctrl-C: unmount while others may still use the disk. Soft first; force after the next Ctrl-C, or
 * when the system is about to end us anyway.
 * @return 0 when the disk has gone or somebody else is removing it, else CM_E... with a sentence.
 */
static int unmount(struct cm_disk *disk, const char *name)
{
    unsigned seen = console_interrupts();
    unsigned tries;
    char id[24];
    int error = CM_EBUSY;

    snprintf(id, sizeof(id), "%llu", (unsigned long long)cm_disk_id(disk));
    printf("Unmounting %s ...\n", name);
    fflush(stdout);
    for (tries = 0; tries < PATIENCE && error == CM_EBUSY; tries++) {
        if (console_interrupts() > seen || console_is_closing()) {
            error = cm_unmount(id, CM_UNMOUNT_FORCED, 0);
            break;
        }
        error = cm_unmount(id, 0, TRY_MS);
        if (tries == 0 && error == CM_EBUSY) {
            printf("%s Press Ctrl-C again to force.\n", cm_last_error());
            fflush(stdout);
        }
    }
    return error == CM_ENOENT ? 0 : error;
}

/* Returns when the disk has gone: 0, or why. */
static int serve(struct cm_disk *disk, const char *name)
{
    unsigned seen = 0;

    for (;;) {
        int error = cm_disk_wait(disk, POLL_MS);

        if (error != CM_ETIMEDOUT)
            return error;
        if (console_interrupts() == seen)
            continue;
        error = unmount(disk, name);
        if (error != 0) {
            cli_fail(error);
            printf("%s stays mounted. Press Ctrl-C to try again, twice to force.\n", name);
            fflush(stdout);
        }
        seen = console_interrupts();
    }
}

/* How it ended. Every failure is told, the first one decides the exit code; a flush that fails in
 * the disk and again in the image is told once. */
struct outcome {
    int code;
    int told;
};

static void note(struct outcome *outcome, int error)
{
    int code;

    if (error == 0 || error == outcome->told)
        return;
    code = cli_fail(error);
    if (outcome->code == CLI_OK)
        outcome->code = code;
    outcome->told = error;
}

static void print_served(const char *spec, struct cm_image *image, const char *verb,
                         const char *name)
{
    struct cm_image_info info;
    char size[OUT_SIZE_TEXT];

    if (cm_image_get_info(image, &info) != 0)
        return;
    printf("%s is %s %s (%s, %u-byte sectors%s). Press Ctrl-C to unmount.\n", spec, verb, name,
           out_size(info.size, size), (unsigned)info.sector_size,
           info.read_only ? ", read-only" : "");
    fflush(stdout); /* whoever started us with a pipe waits for this line */
}

static void serve_disk(const char *spec, struct cm_image *image, struct cm_disk *disk,
                       const char *verb, struct outcome *outcome)
{
    const char *name = cm_disk_mount_point(disk);
    char link[64];
    int error;

    if (name[0] == '\0') { /* how it is opened without a letter */
        snprintf(link, sizeof(link), "\\\\.\\%s", strrchr(cm_disk_device(disk), '\\') + 1);
        name = link;
    }

    console_catch_interrupts();
    print_served(spec, image, verb, name);
    error = serve(disk, name);
    note(outcome, error);
    if (error == 0)
        printf("%s was unmounted.\n", name);
    note(outcome, cm_disk_close(disk));
}

int serving_run(const char *spec, struct cm_image *image, int error, struct cm_disk *disk,
                const char *verb)
{
    struct outcome outcome = {CLI_OK, 0};

    note(&outcome, error);
    if (error == 0)
        serve_disk(spec, image, disk, verb, &outcome);
    error = cm_image_close(image);
    if (error != 0)
        cm_fail(error, "%s could not be written completely: %s. What was written last may be lost.",
                spec, cm_error_name(error));
    note(&outcome, error);
    return outcome.code;
}
