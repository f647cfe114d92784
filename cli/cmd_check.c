/* SPDX-License-Identifier: MIT */
/*
 * cmd_check.c - `coremnt check`: whether the structures of an image's file are right.
 */
#include <stdio.h>

#include "cli/cli.h"
#include "cli/out.h"
#include "cli/progress.h"

#include <coremnt/container.h>

struct report {
    int as_json;
    struct out_json json;
    struct progress progress;
};

static const char *const severities[] = {"note", "waste", "error"};

static void report_finding(void *context, enum cm_check_severity severity, int is_repaired,
                           const char *text)
{
    struct report *report = context;

    progress_end(&report->progress);
    if (!report->as_json) {
        printf("%s: %s%s.\n", severities[severity], text, is_repaired ? " (repaired)" : "");
        return;
    }
    out_json_begin(&report->json, NULL, '{');
    out_json_string(&report->json, "severity", severities[severity]);
    out_json_bool(&report->json, "repaired", is_repaired);
    out_json_string(&report->json, "text", text);
    out_json_end(&report->json, '}');
}

/* As cm_progress; the context is the report. */
static int tell(void *context, uint64_t done, uint64_t all)
{
    struct report *report = context;

    return progress_tell(&report->progress, done, all);
}

/* What was found until an error ended it is told, but no sums: they would look like those of a sound image. */
static void print_json_error(struct report *report)
{
    out_json_end(&report->json, ']');
    out_json_string(&report->json, "error", cm_last_error());
    out_json_end(&report->json, '}');
}

static void print_json_end(struct report *report, const struct cm_check_result *result)
{
    out_json_end(&report->json, ']');
    out_json_number(&report->json, "errors", result->errors);
    out_json_number(&report->json, "errors_left", result->errors_left);
    out_json_number(&report->json, "wastes", result->wastes);
    out_json_number(&report->json, "repaired", result->repaired);
    out_json_number(&report->json, "blocks", result->blocks);
    out_json_number(&report->json, "blocks_here", result->blocks_here);
    out_json_end(&report->json, '}');
}

static void print_summary(const char *name, const struct cm_check_result *result)
{
    if (result->errors == 0)
        printf("%s is sound", name);
    else if (result->errors_left == 0)
        printf("%s was damaged and is sound now", name);
    else
        printf("%s is damaged: %llu error%s", name, (unsigned long long)result->errors,
               result->errors == 1 ? "" : "s");
    if (result->blocks != 0)
        printf("; %llu of %llu blocks have space in it", (unsigned long long)result->blocks_here,
               (unsigned long long)result->blocks);
    printf(".\n");
}

static int check(const char *name, uint32_t flags, struct report *report)
{
    struct cm_check_options options = {
        .struct_size = sizeof(options),
        .flags = flags,
        .report = report_finding,
        .context = report,
        .progress = tell,
        .progress_context = report,
    };
    struct cm_check_result result;
    int error;

    if (report->as_json) {
        out_json_begin(&report->json, NULL, '{');
        out_json_string(&report->json, "image", name);
        out_json_begin(&report->json, "findings", '[');
    }
    progress_begin(&report->progress, 0);
    error = cm_image_check(name, &options, &result);
    progress_end(&report->progress);
    if (error != 0 && report->as_json)
        print_json_error(report);
    else if (report->as_json)
        print_json_end(report, &result);
    if (error != 0)
        return cli_fail(error);
    if (!report->as_json)
        print_summary(name, &result);
    return result.errors_left == 0 ? CLI_OK : CLI_DAMAGED;
}

static int run(const struct cli_verb *verb, int argc, char **argv)
{
    static const struct option options[] = {
        CLI_HELP,
        {"json", no_argument, NULL, 'j'},
        {"repair", no_argument, NULL, 'r'},
        {NULL, 0, NULL, 0},
    };
    struct report report = {0};
    uint32_t flags = 0;
    char **arguments;
    int count;
    int option;
    int result = CLI_OK;

    while ((option = cli_next_option(verb, argc, argv, ":h", options, &result)) >= 0) {
        if (option == 'j')
            report.as_json = 1;
        else
            flags |= CM_CHECK_REPAIR;
    }
    if (option == CLI_OPTION_EXIT)
        return result;
    result = cli_arguments(verb, argc, argv, 1, 1, &arguments, &count);
    return result != CLI_OK ? result : check(arguments[0], flags, &report);
}

const struct cli_verb cmd_check = {
    .name = "check",
    .arguments = "IMAGE [--repair] [--json]",
    .summary = "look whether a vhdx or vhd file is sound, and mend it",
    .details =
        "\nNobody may have the file open for writing. What is wrong is listed: \"error\" is "
        "damage, "
        "\"waste\"\nis space taken for nothing, or a second copy of something that is gone.\n\n"
        "  --repair  mend what can be mended without guessing at data\n"
        "  --json    for programs; \"error\" instead of the numbers: it could not be looked at\n\n"
        "Exit codes: 0 sound, or all errors were repaired; 7 damaged; others: it could not be "
        "looked at.\n",
    .run = run,
};
