/* SPDX-License-Identifier: MIT */
/*
 * cmd_mount.c - `coremnt mount`: serve an image as a disk until Ctrl-C, an unmount by somebody
 * else, or the end of the driver.
 *
 * The library's threads serve; this one waits and unmounts, as it must: never from a serving
 * thread.
 */
#include <stdio.h>

#include "abi/coremnt_abi.h"
#include "cli/cli.h"
#include "cli/console.h"
#include "cli/out.h"

#include <coremnt/disk.h>

#define POLL_MS 200u
#define TRY_MS 500u    /* one attempt to unmount; Ctrl-C is looked at in between */
#define PATIENCE 20u   /* attempts */
#define FORCE_MS 2000u /* for the file system to write what it still can */

struct request {
    const char *spec;
    struct cm_image_options open;
    struct cm_disk_options mount;
};

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
            error = cm_unmount(id, CM_UNMOUNT_FORCED, FORCE_MS);
            break;
        }
        error = cm_unmount(id, 0, TRY_MS);
        if (tries == 0 && error == CM_EBUSY) {
            printf("%s is in use. Close what uses it; press Ctrl-C again to force.\n", name);
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

static void print_mounted(const struct request *request, struct cm_image *image, const char *name)
{
    struct cm_image_info info;
    char size[OUT_SIZE_TEXT];

    if (cm_image_get_info(image, &info) != 0)
        return;
    printf("%s is mounted as %s (%s, %u-byte sectors%s). Press Ctrl-C to unmount.\n", request->spec,
           name, out_size(info.size, size), (unsigned)info.sector_size,
           info.read_only ? ", read-only" : "");
    fflush(stdout); /* whoever started us with a pipe waits for this line */
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

static void mount_image(const struct request *request, struct cm_image *image,
                        struct outcome *outcome)
{
    struct cm_disk *disk;
    const char *name;
    int error = cm_disk_mount(image, &request->mount, &disk);

    note(outcome, error);
    if (error != 0)
        return;
    console_catch_interrupts();
    name = cm_disk_mount_point(disk)[0] != '\0' ? cm_disk_mount_point(disk) : cm_disk_device(disk);
    print_mounted(request, image, name);
    error = serve(disk, name);
    note(outcome, error);
    if (error == 0)
        printf("%s was unmounted.\n", name);
    note(outcome, cm_disk_close(disk));
}

static int open_image(const struct request *request, struct cm_image **image)
{
    int error = cm_image_open(request->spec, &request->open, image);

    if (error == CM_ENOENT)
        error = cm_fail(
            error, "there is no image \"%s\". Create it with \"coremnt create %s --size SIZE\".",
            request->spec, request->spec);
    return error;
}

static int run_request(const struct request *request)
{
    struct outcome outcome = {CLI_OK, 0};
    struct cm_image *image;
    int error = open_image(request, &image);

    if (error != 0)
        return cli_fail(error);
    mount_image(request, image, &outcome);
    error = cm_image_close(image);
    if (error != 0)
        cm_fail(error, "%s could not be written completely: %s. What was written last may be lost.",
                request->spec, cm_error_name(error));
    note(&outcome, error);
    return outcome.code;
}

/* -- the command line -------------------------------------------------------------------------- */

static int read_option(const struct cli_verb *verb, int option, struct request *request)
{
    switch (option) {
    case 'r':
        request->open.flags |= CM_OPEN_READ_ONLY;
        return CLI_OK;
    case 's':
        return cli_size(verb, "--size", optarg, &request->open.size);
    case 'S':
        return cli_sector_size(verb, optarg, &request->open.sector_size);
    case 't':
        return cli_number(verb, "--threads", optarg, 1, CM_MAX_THREADS, &request->mount.threads);
    default:
        return cli_number(verb, "--queue-depth", optarg, 1, CM_MAX_QUEUE_DEPTH,
                          &request->mount.queue_depth);
    }
}

static int run(const struct cli_verb *verb, int argc, char **argv)
{
    static const struct option options[] = {
        CLI_HELP,
        {"read-only", no_argument, NULL, 'r'},
        {"size", required_argument, NULL, 's'},
        {"sector-size", required_argument, NULL, 'S'},
        {"threads", required_argument, NULL, 't'},
        {"queue-depth", required_argument, NULL, 'q'},
        {NULL, 0, NULL, 0},
    };
    struct request request = {
        .open = {.struct_size = sizeof(struct cm_image_options)},
        .mount = {.struct_size = sizeof(struct cm_disk_options)},
    };
    char **arguments;
    int count;
    int option;
    int result = CLI_OK;

    while ((option = cli_next_option(verb, argc, argv, ":hrs:", options, &result)) >= 0) {
        result = read_option(verb, option, &request);
        if (result != CLI_OK)
            return result;
    }
    if (option == CLI_OPTION_EXIT)
        return result;
    result = cli_arguments(verb, argc, argv, 1, 2, &arguments, &count);
    if (result != CLI_OK)
        return result;
    request.spec = arguments[0];
    request.mount.image_name = arguments[0];
    request.mount.mount_point = count == 2 ? arguments[1] : NULL;
    return run_request(&request);
}

const struct cli_verb cmd_mount = {
    .name = "mount",
    .arguments = "IMAGE [LETTER] [OPTIONS]",
    .summary = "serve an image as a disk, until Ctrl-C or \"coremnt unmount\"",
    .details =
        "\nWithout LETTER the first free one from D: on is taken.\n\n"
        "  --read-only          nothing can be written\n"
        "  --size SIZE          grow a smaller image to this first\n"
        "  --sector-size BYTES  512 (the default) or 4096\n"
        "  --threads N          that work on the image at once (8)\n"
        "  --queue-depth N      requests under way at once (64)\n\n"
        "Ctrl-C writes everything back and unmounts; while the disk is in use it waits, and a "
        "second\nCtrl-C takes the disk away from those who use it.\n\n"
        "Example: coremnt mount disk.img Z:\n",
    .run = run,
    .windows_only = 1,
};
