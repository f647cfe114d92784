/* SPDX-License-Identifier: MIT */
/*
 * cmd_attach.c - `coremnt attach`: serve a disk whose server has gone, while it is held.
 *
 * Everything that can fail is done before the disk is taken over, so that it stays held for the next
 * try.
 */
#include <stdio.h>

#include "abi/coremnt_abi.h"
#include "cli/cli.h"
#include "cli/partition.h"
#include "cli/serving.h"
#include "lib/core/image_name.h"
#include "lib/core/os.h"

#include <coremnt/disk.h>

#define POLL_MS 50u

/* -- the disk and its image -------------------------------------------------------------------- */

/* UTF-16 units that a name takes, which is what the driver has room for. */
static size_t utf16_units(const char *text)
{
    size_t units = 0;

    for (; *text != '\0'; text++) {
        unsigned char c = (unsigned char)*text;

        units += (c & 0xC0u) != 0x80u; /* each character one, */
        units += c >= 0xF0u;           /* and those beyond 16 bits another */
    }
    return units;
}

/* A name that fills the driver's room may have been longer; what is cut never ends within a character, which is why there
 * may be a unit to spare. */
static int is_cut(const struct cm_disk_info *disk)
{
    return utf16_units(disk->image_name) >= CM_IMAGE_NAME_UNITS - 2;
}

/* The image as it was called at the mount. */
static int spec_of(const struct cm_disk_info *disk, const char *which, const char **spec)
{
    *spec = disk->image_name;
    if (disk->image_name[0] == '\0')
        return cm_fail(
            CM_EINVAL,
            "the driver does not know the image of %s. Name it: coremnt attach %s IMAGE.", which,
            which);
    if (is_cut(disk))
        return cm_fail(CM_EINVAL,
                       "the name of the image of %s is too long for the driver, which has only its "
                       "beginning. Name it: coremnt attach %s IMAGE.",
                       which, which);
    return 0;
}

/* A process that was killed may still have the image open for a moment. */
static int open_image(const struct cm_disk_info *disk, const char *spec, uint32_t flags,
                      struct cm_image **image)
{
    struct cm_image_options options = {
        .struct_size = sizeof(options),
        .flags = flags | (disk->read_only ? CM_OPEN_READ_ONLY : 0),
        .sector_size = disk->sector_size,
    };
    uint64_t deadline_ns = cm_os_now_ns() + CM_ATTACH_PATIENCE_MS * UINT64_C(1000000);
    int error = cm_image_open(spec, &options, image);

    while (error == CM_EBUSY && cm_os_now_ns() < deadline_ns) {
        cm_os_sleep_ms(POLL_MS);
        error = cm_image_open(spec, &options, image);
    }
    return error;
}

static int fail_open(int error, const char *which, int named)
{
    char reason[512];

    if (named)
        return error;
    snprintf(reason, sizeof(reason), "%s", cm_last_error());
    return cm_fail(error, "%s Or name another place of the image: coremnt attach %s IMAGE.", reason,
                   which);
}

/* How the image is to be opened. */
struct opening {
    uint32_t flags;     /* CM_OPEN_* */
    uint32_t partition; /* 0: the whole image */
};

/* Another partition may have the same size, and would be taken for the disk by all that looks at it. */
static int choose_partition(const char *which, struct cm_disk_info *info, uint32_t *partition)
{
    uint32_t recorded = cm_image_name_split(info->image_name);

    if (*partition == 0)
        *partition = recorded;
    if (*partition == recorded || info->image_name[0] == '\0' || is_cut(info))
        return 0;
    if (recorded == 0)
        return cm_fail(CM_EINVAL, "%s is a whole image, not a partition. Leave --partition out.",
                       which);
    return cm_fail(CM_EINVAL, "%s is partition %u of its image, not %u.", which, (unsigned)recorded,
                   (unsigned)*partition);
}

static int attach(const char *which, const char *spec, struct opening *opening,
                  const struct cm_disk_options *options)
{
    int named = spec != NULL;
    struct cm_disk_info info;
    struct cm_disk *disk = NULL;
    struct cm_image *image;
    int error = cm_wait_held(which, CM_ATTACH_PATIENCE_MS);

    if (error == 0)
        error = cm_get_disk_info(which, &info);
    if (error == 0)
        error = choose_partition(which, &info, &opening->partition);
    if (error == 0 && !named)
        error = spec_of(&info, which, &spec);
    if (error != 0)
        return cli_fail(error);
    error = open_image(&info, spec, opening->flags, &image);
    if (error != 0)
        return cli_fail(fail_open(error, which, named));
    if (opening->partition != 0)
        error = partition_choose(spec, opening->partition, &image);
    if (error != 0)
        return cli_fail(error);
    error = cm_disk_attach(image, which, options, &disk);
    return serving_run(spec, image, error, disk, "attached to");
}

/* -- the command line -------------------------------------------------------------------------- */

static int run(const struct cli_verb *verb, int argc, char **argv)
{
    static const struct option options[] = {
        CLI_HELP,
        {"cached", no_argument, NULL, 'c'},
        {"partition", required_argument, NULL, 'p'},
        {"threads", required_argument, NULL, 't'},
        {NULL, 0, NULL, 0},
    };
    struct cm_disk_options serve = {.struct_size = sizeof(serve)};
    struct opening opening = {0, 0};
    char **arguments;
    int count;
    int option;
    int result = CLI_OK;

    while ((option = cli_next_option(verb, argc, argv, ":h", options, &result)) >= 0) {
        if (option == 'c')
            opening.flags |= CM_OPEN_CACHED;
        else if (option == 'p')
            result =
                cli_number(verb, "--partition", optarg, 1, CLI_MAX_PARTITION, &opening.partition);
        else
            result = cli_number(verb, "--threads", optarg, 1, CM_MAX_THREADS, &serve.threads);
        if (result != CLI_OK)
            return result;
    }
    if (option == CLI_OPTION_EXIT)
        return result;
    result = cli_arguments(verb, argc, argv, 1, 2, &arguments, &count);
    if (result != CLI_OK)
        return result;
    return attach(arguments[0], count == 2 ? arguments[1] : NULL, &opening, &serve);
}

const struct cli_verb cmd_attach = {
    .name = "attach",
    .arguments = "WHICH [IMAGE] [OPTIONS]",
    .summary = "serve a disk whose server has gone: one of \"mount --hold\"",
    .details =
        "\nTakes the disk over with its letter and all that is open on it, and serves it like "
        "mount.\nWhat programs have asked meanwhile is answered then. WHICH is the disk's letter "
        "or its id;\nIMAGE is the one that was mounted, and need be named only if it has another "
        "name now.\nRead-only or not and the sectors are the disk's. While the process before has "
        "not quite\nended, it waits for a few seconds.\n\n"
        "  --cached       let Windows cache the image; see mount\n"
        "  --partition N  the one that was mounted, if it was one\n"
        "  --threads N    that work on the image at once (8)\n\n"
        "Example: coremnt attach Z:\n",
    .run = run,
    .windows_only = 1,
};
