/* SPDX-License-Identifier: MIT */
/*
 * cmd_list.c - `coremnt list`: the disks of this system.
 */
#include <stdio.h>

#include "cli/cli.h"
#include "cli/out.h"

#include <coremnt/disk.h>

/* -- what state a disk is in ------------------------------------------------------------------- */

/* A disk that has gone since it was listed, and one of a driver that does not tell, count as served:
 * all that there were before disks could be held. */
static void ask_health(const struct cm_disk_info *disk, struct cm_health *health)
{
    char id[24];

    snprintf(id, sizeof(id), "%llu", (unsigned long long)disk->id);
    if (cm_get_health(id, health) != 0)
        *health = (struct cm_health){.state = CM_HEALTH_SERVED};
}

static const char *state_name(const struct cm_health *health)
{
    if (health->state == CM_HEALTH_HELD)
        return "held";
    if (health->unanswered_ms >= CM_NOT_ANSWERING_MS)
        return "not answering";
    return health->state == CM_HEALTH_STARTING ? "starting" : "served";
}

/* "held, 23 s left", "not answering for 12 s", or the name alone. */
static const char *state_text(const struct cm_health *health, char *text, size_t size)
{
    const char *name = state_name(health);

    if (health->state == CM_HEALTH_HELD)
        snprintf(text, size, "%s, %u s left", name, (unsigned)(health->hold_left_ms / 1000u));
    else if (health->unanswered_ms >= CM_NOT_ANSWERING_MS)
        snprintf(text, size, "%s for %llu s", name,
                 (unsigned long long)(health->unanswered_ms / 1000u));
    else
        snprintf(text, size, "%s", name);
    return text;
}

/* -- printing ---------------------------------------------------------------------------------- */

static void print_json(const struct cm_disk_info *disks, uint32_t count)
{
    struct out_json json = {0};
    uint32_t i;

    out_json_begin(&json, NULL, '[');
    for (i = 0; i < count; i++) {
        const struct cm_disk_info *disk = &disks[i];
        struct cm_health health;
        char device[64];

        ask_health(disk, &health);
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
        out_json_bool(&json, "can_resize", disk->can_resize);
        out_json_number(&json, "queue_depth", disk->queue_depth);
        out_json_number(&json, "slot_size", disk->slot_size);
        out_json_number(&json, "owner_pid", disk->owner_pid);
        out_json_string(&json, "state", state_name(&health));
        out_json_number(&json, "hold_left_ms", health.hold_left_ms);
        out_json_number(&json, "unanswered_ms", health.unanswered_ms);
        out_json_number(&json, "hold_seconds", health.hold_seconds);
        out_json_number(&json, "timeout_seconds", health.timeout_seconds);
        out_json_end(&json, '}');
    }
    out_json_end(&json, ']');
}

static int print_table(const struct cm_disk_info *disks, uint32_t count)
{
    static const char *const headings[] = {"LETTER", ">SIZE", ">SECTOR", "MODE", ">SERVER",
                                           "STATE",  ">ID",   "IMAGE",   NULL};
    struct out_table *table;
    struct cm_health health;
    char size[OUT_SIZE_TEXT];
    char state[64];
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
        if (disks[i].owner_pid != 0)
            out_table_number(table, disks[i].owner_pid);
        else
            out_table_cell(table, "-");
        ask_health(&disks[i], &health);
        out_table_cell(table, state_text(&health, state, sizeof(state)));
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
        "\nSERVER is the process that serves the disk. LETTER and ID name the disk for attach, "
        "unmount\nand stats. STATE:\n\n"
        "  served         all is well\n"
        "  starting       its server does not answer requests yet\n"
        "  not answering  its server has requests and has answered none for 5 seconds or longer\n"
        "  held           its server has gone; \"coremnt attach\" gives it another, or it goes\n\n"
        "  --json  for programs; sizes are in bytes\n",
    .run = run,
    .windows_only = 1,
};
