/* SPDX-License-Identifier: MIT */
/*
 * cmd_mount.c - `coremnt mount`: serve an image as a new disk.
 */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "abi/coremnt_abi.h"
#include "cli/cli.h"
#include "cli/partition.h"
#include "cli/serving.h"
#include "lib/core/image_internal.h"
#include "lib/core/image_name.h"

#include <coremnt/disk.h>

#define FULL_SPEC_SIZE 4096u

struct request {
    const char *spec;
    uint32_t partition; /* 0: the whole image */
    struct cm_image_options open;
    struct cm_disk_options mount;
};

static int open_image(const struct request *request, struct cm_image **image)
{
    int error = cm_image_open(request->spec, &request->open, image);

    if (error == CM_ENOENT)
        error = cm_fail(
            error, "there is no image \"%s\". Create it with \"coremnt create %s --size SIZE\".",
            request->spec, request->spec);
    if (error == 0)
        error = partition_choose(request->spec, request->partition, image);
    return error;
}

/*
 * Nobody has the image of a held disk open, so nothing else would keep it from being mounted a second
 * time. The next server of that disk would then find it changed under the file system.
 */
static int refuse_held(const struct request *request, const char *full)
{
    struct cm_disk_info *disks;
    char image[FULL_SPEC_SIZE];
    struct cm_health health;
    char id[24];
    uint32_t count;
    uint32_t i;
    int error = 0;

    if (cm_list(&disks, &count) != 0)
        return 0; /* the mount will say why */
    snprintf(image, sizeof(image), "%s", full);
    cm_image_name_split(image);
    for (i = 0; i < count && error == 0; i++) {
        const char *name = disks[i].mount_point;

        snprintf(id, sizeof(id), "%llu", (unsigned long long)disks[i].id);
        if (name[0] == '\0')
            name = id;
        cm_image_name_split(disks[i].image_name);
        if (strcasecmp(disks[i].image_name, image) != 0 || cm_get_health(id, &health) != 0 ||
            health.state != CM_HEALTH_HELD ||
            (disks[i].read_only && (request->open.flags & CM_OPEN_READ_ONLY) != 0))
            continue;
        error = cm_fail(CM_EBUSY,
                        "%s is the image of %s, which has lost its server and is held. Take that "
                        "over with \"coremnt attach %s\", or remove it with \"coremnt unmount %s "
                        "--force\".",
                        request->spec, name, name, name);
    }
    cm_free(disks);
    return error;
}

/* The driver keeps the full name, so that `attach` finds the image from any folder. */
static int run_request(struct request *request)
{
    char full[FULL_SPEC_SIZE];
    struct cm_disk *disk = NULL;
    struct cm_image *image;
    int error = open_image(request, &image);

    if (error != 0)
        return cli_fail(error);
    if (cm_image_full_spec(request->spec, full, sizeof(full)) == 0)
        request->mount.image_name = full;
    if (request->mount.image_name == full)
        cm_image_name_add(full, sizeof(full), request->partition);
    error = refuse_held(request, request->mount.image_name);
    if (error == 0)
        error = cm_disk_mount(image, &request->mount, &disk);
    return serving_run(request->spec, image, error, disk, "mounted as");
}

/* -- the command line -------------------------------------------------------------------------- */

static int read_option(const struct cli_verb *verb, int option, struct request *request)
{
    switch (option) {
    case 'r':
        request->open.flags |= CM_OPEN_READ_ONLY;
        return CLI_OK;
    case 'p':
        return cli_number(verb, "--partition", optarg, 1, CLI_MAX_PARTITION, &request->partition);
    case 'c':
        request->open.flags |= CM_OPEN_CACHED;
        return CLI_OK;
    case 'm':
        request->mount.flags |= CM_DISK_NO_MOUNT_MANAGER;
        return CLI_OK;
    case 's':
        return cli_size(verb, "--size", optarg, &request->open.size);
    case 'S':
        return cli_sector_size(verb, optarg, &request->open.sector_size);
    case 'H':
        return cli_number(verb, "--hold", optarg, 0, CM_MAX_HOLD_SECONDS,
                          &request->mount.hold_seconds);
    case 'T':
        return cli_number(verb, "--timeout", optarg, 0, CM_MAX_TIMEOUT_SECONDS,
                          &request->mount.request_timeout_seconds);
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
        {"cached", no_argument, NULL, 'c'},
        {"no-mount-manager", no_argument, NULL, 'm'},
        {"partition", required_argument, NULL, 'p'},
        {"size", required_argument, NULL, 's'},
        {"sector-size", required_argument, NULL, 'S'},
        {"threads", required_argument, NULL, 't'},
        {"queue-depth", required_argument, NULL, 'q'},
        {"hold", required_argument, NULL, 'H'},
        {"timeout", required_argument, NULL, 'T'},
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
    if (request.partition != 0 && request.open.size != 0)
        return cli_usage(verb, "--size is of an image, and a partition keeps its size");
    request.spec = arguments[0];
    request.mount.image_name = arguments[0];
    request.mount.mount_point = count == 2 ? arguments[1] : NULL;
    if (count == 2 && arguments[1][0] == '\0')
        return cli_usage(verb, "where to mount is empty: give a letter, a folder or \"none\"");
    if (count == 2 && strcmp(arguments[1], "none") == 0)
        request.mount.mount_point = "";
    return run_request(&request);
}

const struct cli_verb cmd_mount = {
    .name = "mount",
    .arguments = "IMAGE [WHERE] [OPTIONS]",
    .summary = "serve an image as a disk, until Ctrl-C or \"coremnt unmount\"",
    .details =
        "\nWHERE is a letter, Z:; an empty folder of an NTFS disk, C:\\mnt\\data; or \"none\": "
        "then "
        "the\ndisk is reached as \\\\.\\CoreMntDiskN. Without WHERE it is the "
        "letter that\nthe system remembers for the image, or the first free one from D: on.\n\n"
        "  --read-only          nothing can be written\n"
        "  --cached             let Windows cache the image: faster reads, and a disk that can "
        "come "
        "to\n                       wait for itself; see docs/deadlocks.md\n"
        "  --no-mount-manager   do not make the disk known to Windows' mount manager: no volume "
        "name\n"
        "  --partition N        only this one of a partitioned image; \"coremnt info\" lists them\n"
        "  --size SIZE          grow a smaller raw image to this first\n"
        "  --sector-size BYTES  of a raw image: 512 (the default) or 4096\n"
        "  --threads N          that work on the image at once (8)\n"
        "  --queue-depth N      requests under way at once (64)\n"
        "  --hold SECONDS       the disk outlives this program by so long, for \"coremnt attach\" "
        "(0);\n                       not of memory, a VHD that grows or an image upon a parent\n"
        "  --timeout SECONDS    a request that takes longer fails (0: it may take for ever)\n\n"
        "Ctrl-C writes everything back and unmounts; while the disk is in use it waits, and a "
        "second\nCtrl-C takes the disk away from those who use it.\n\n"
        "Example: coremnt mount disk.img Z:\n",
    .run = run,
    .windows_only = 1,
};
