/* SPDX-License-Identifier: MIT */
/*
 * cmd_list.c - `coremnt list`: the disks of this system.
 */
#include <stdio.h>

#include "cli/cli.h"
#include "cli/out.h"

#include <coremnt/disk.h>

static void print_json(const struct cm_disk_info *disks, uint32_t count)
{
    struct out_json json = {0};
    uint32_t i;

    out_json_begin(&json, NULL, '[');
    for (i = 0; i < count; i++) {
        const struct cm_disk_info *disk = &disks[i];
        char device[64];

        snprintf(device, sizeof(device), CM_DISK_DEVICE_PREFIX "%u", (unsigned)disk->number);
        out_json_begin(&json, NULL, '{');
        out_json_id(&json, "id", disk->id);
        out_json_string(&json, "mount_point", disk->mount_point);
        out_json_string(&json, "device", device);
        out_json_string(&json, "image", disk->image_name);
        out_json_number(&json, "size", disk->size);
        out_json_number(&json, "sector_size", disk->sector_size);
        out_json_bool(&json, "read_only", disk->read_only);
        out_json_bool(&json, "can_trim", disk->can_trim);
        out_json_number(&json, "queue_depth", disk->queue_depth);
        out_json_number(&json, "slot_size", disk->slot_size);
        out_json_number(&json, "owner_pid", disk->owner_pid);
        out_json_end(&json, '}');
    }
    out_json_end(&json, ']');
}

static int print_table(const struct cm_disk_info *disks, uint32_t count)
{
    static const char *const headings[] = {"LETTER",  ">SIZE", ">SECTOR", "MODE",
                                           ">SERVER", ">ID",   "IMAGE",   NULL};
    struct out_table *table;
    char size[OUT_SIZE_TEXT];
    uint32_t i;

    if (count == 0) {
        printf("No disk is mounted.\n");
        return 0;
    }
    table = out_table_new(headings);
    for (i = 0; i < count; i++) {
        out_table_cell(table, disks[i].mount_point[0] != '\0' ? disks[i].mount_point : "-");
        out_table_cell(table, out_size(disks[i].size, size));
        out_table_number(table, disks[i].sector_size);
        out_table_cell(table, disks[i].read_only ? "read-only" : "read-write");
        out_table_number(table, disks[i].owner_pid);
        out_table_number(table, disks[i].id);
        out_table_cell(table, disks[i].image_name);
    }
    return out_table_end(table);
}

static int run(const struct cli_verb *verb, int argc, char **argv)
{
    static const struct option options[] = {
        CLI_HELP,
        {"json", no_argument, NULL, 'j'},
        {NULL, 0, NULL, 0},
    };
    struct cm_disk_info *disks;
    uint32_t disk_count;
    char **arguments;
    int json = 0;
    int count;
    int option;
    int result = CLI_OK;

    while ((option = cli_next_option(verb, argc, argv, ":h", options, &result)) >= 0)
        json = 1;
    if (option == CLI_OPTION_EXIT)
        return result;
    result = cli_arguments(verb, argc, argv, 0, 0, &arguments, &count);
    if (result != CLI_OK)
        return result;
    result = cm_list(&disks, &disk_count);
    if (result == 0 && json)
        print_json(disks, disk_count);
    else if (result == 0)
        result = print_table(disks, disk_count);
    cm_free(disks);
    return result != 0 ? cli_fail(result) : CLI_OK;
}

const struct cli_verb cmd_list = {
    .name = "list",
    .arguments = "[--json]",
    .summary = "show the disks that are mounted, and who serves them",
    .details =
        "\nSERVER is the process that serves the disk. LETTER and ID name it for unmount and "
        "stats.\n\n"
        "  --json  for programs; sizes are in bytes\n",
    .run = run,
    .windows_only = 1,
};
