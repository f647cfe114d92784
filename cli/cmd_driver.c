/* SPDX-License-Identifier: MIT */
/*
 * cmd_driver.c - `coremnt driver`: CoreMnt.sys as a service.
 */
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/out.h"

#include <coremnt/driver.h>

struct action {
    const char *name;
    int (*run)(const char *path, int force);
    const char *done; /* NULL: run() prints */
    int takes_path;
    int takes_force;
};

static int install(const char *path, int force)
{
    (void)force;
    return cm_driver_install(path);
}

static int start(const char *path, int force)
{
    (void)path;
    (void)force;
    return cm_driver_start();
}

static int stop(const char *path, int force)
{
    (void)path;
    return cm_driver_stop(force);
}

static int remove_driver(const char *path, int force)
{
    (void)path;
    (void)force;
    return cm_driver_remove();
}

/* -- status ------------------------------------------------------------------------------------ */

static const char *state_name(int state)
{
    switch (state) {
    case CM_DRIVER_NOT_INSTALLED:
        return "not installed";
    case CM_DRIVER_STOPPED:
        return "stopped";
    case CM_DRIVER_STARTING:
        return "starting";
    case CM_DRIVER_RUNNING:
        return "running";
    case CM_DRIVER_STOPPING:
        return "stopping";
    default:
        return "not answering";
    }
}

static void format_version(const struct cm_driver_status *status, char *text, size_t size)
{
    snprintf(text, size, "%u.%u.%u", (unsigned)(status->version >> 16),
             (unsigned)(status->version >> 8 & 0xFFu), (unsigned)(status->version & 0xFFu));
}

static void print_status(const struct cm_driver_status *status)
{
    char version[32];

    printf("driver:    %s\n", state_name(status->state));
    if (status->path[0] != '\0')
        printf("file:      %s\n", status->path);
    if (status->state != CM_DRIVER_RUNNING)
        return;
    format_version(status, version, sizeof(version));
    printf("version:   %s\n", version);
    if (status->abi_version == status->library_abi_version)
        printf("contract:  version %u, as this program\n", (unsigned)status->abi_version);
    else
        printf("contract:  version %u, but this program speaks version %u\n",
               (unsigned)status->abi_version, (unsigned)status->library_abi_version);
}

static void print_status_json(const struct cm_driver_status *status)
{
    struct out_json json = {0};
    char version[32];

    format_version(status, version, sizeof(version));
    out_json_begin(&json, NULL, '{');
    out_json_string(&json, "state", state_name(status->state));
    out_json_string(&json, "path", status->path);
    out_json_string(&json, "version", status->version != 0 ? version : "");
    out_json_number(&json, "abi_version", status->abi_version);
    out_json_number(&json, "library_abi_version", status->library_abi_version);
    out_json_end(&json, '}');
}

static int show_status(int json)
{
    struct cm_driver_status status;
    int error = cm_driver_get_status(&status);

    if (error != 0)
        return cli_fail(error);
    if (json)
        print_status_json(&status);
    else
        print_status(&status);
    return CLI_OK;
}

/* -- the verb ---------------------------------------------------------------------------------- */

static const struct action actions[] = {
    {"install", install, "The driver is installed. Start it with \"coremnt driver start\".", 1, 0},
    {"start", start, "The driver runs.", 0, 0},
    {"stop", stop, "The driver is stopped.", 0, 1},
    {"remove", remove_driver, "The driver is removed. Its file is left where it is.", 0, 0},
    {"status", NULL, NULL, 0, 0},
};

static const struct action *find_action(const char *name)
{
    size_t i;

    for (i = 0; i < sizeof(actions) / sizeof(actions[0]); i++) {
        if (strcmp(actions[i].name, name) == 0)
            return &actions[i];
    }
    return NULL;
}

static int run(const struct cli_verb *verb, int argc, char **argv)
{
    static const struct option options[] = {
        CLI_HELP,
        {"force", no_argument, NULL, 'f'},
        {"json", no_argument, NULL, 'j'},
        {NULL, 0, NULL, 0},
    };
    const struct action *action;
    char **arguments;
    int force = 0;
    int json = 0;
    int count;
    int option;
    int result = CLI_OK;

    while ((option = cli_next_option(verb, argc, argv, ":hf", options, &result)) >= 0) {
        if (option == 'f')
            force = 1;
        else
            json = 1;
    }
    if (option == CLI_OPTION_EXIT)
        return result;
    result = cli_arguments(verb, argc, argv, 1, 2, &arguments, &count);
    if (result != CLI_OK)
        return result;
    action = find_action(arguments[0]);
    if (action == NULL)
        return cli_usage(verb, "there is no \"coremnt driver %s\"", arguments[0]);
    if (count == 2 && !action->takes_path)
        return cli_usage(verb, "\"coremnt driver %s\" takes no \"%s\"", action->name, arguments[1]);
    if ((force && !action->takes_force) || (json && action->run != NULL))
        return cli_usage(verb, "\"coremnt driver %s\" takes no %s", action->name,
                         force ? "--force" : "--json");
    if (action->run == NULL)
        return show_status(json);
    result = action->run(count == 2 ? arguments[1] : NULL, force);
    if (result != 0)
        return cli_fail(result);
    printf("%s\n", action->done);
    return CLI_OK;
}

const struct cli_verb cmd_driver = {
    .name = "driver",
    .arguments = "install [FILE] | start | stop [--force] | remove | status [--json]",
    .summary = "install, start, stop or remove the driver, or tell its state",
    .details =
        "\nAll but status need an administrator. FILE is CoreMnt.sys; without it, the one beside "
        "this\nprogram is installed. It stays where it is: put it where only administrators can "
        "write,\nsuch as C:\\Windows\\System32\\drivers.\n\n"
        "  --force  stop: also with disks mounted; what is not written then is lost\n"
        "  --json   status: for programs\n",
    .run = run,
    .windows_only = 1,
};
