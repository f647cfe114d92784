/* SPDX-License-Identifier: MIT */
/*
 * cmd_stats.c - `coremnt stats`: the driver's counters of a disk, once or again and again.
 */
#include <stdio.h>

#include "abi/coremnt_abi.h"
#include "cli/cli.h"
#include "cli/console.h"
#include "cli/out.h"
#include "lib/core/os.h"

#include <coremnt/disk.h>

#define MAX_WATCH_S 86400u
#define LINES_PER_HEADING 20u
#define POLL_MS 100u

/* What a disk has counted; a driver that is too old for `health` leaves it 0. */
struct counted {
    struct cm_stats stats;
    struct cm_health health;
};

struct counter {
    const char *key;
    const char *label;
    size_t offset; /* in struct counted */
};

#define COUNTER(field, label)                                                                      \
    {                                                                                              \
#field, label, offsetof(struct counted, stats.field)                                       \
    }
#define HEALTH(field, label)                                                                       \
    {                                                                                              \
#field, label, offsetof(struct counted, health.field)                                      \
    }

static const struct counter counters[] = {
    COUNTER(requests, "requests"),
    COUNTER(completed, "  completed"),
    COUNTER(failed, "  failed"),
    HEALTH(timed_out, "    of these timed out"),
    COUNTER(cancelled, "  cancelled"),
    COUNTER(waiting, "  waiting now"),
    COUNTER(in_flight, "  in flight now"),
    COUNTER(reads, "reads"),
    COUNTER(writes, "writes"),
    COUNTER(flushes, "flushes"),
    COUNTER(trims, "trims"),
    COUNTER(read_bytes, "bytes read"),
    COUNTER(written_bytes, "bytes written"),
    COUNTER(exchanges, "exchanges with the server"),
    COUNTER(handed_out, "requests handed to it"),
    COUNTER(bad_replies, "replies refused"),
    COUNTER(largest_wait_us, "longest wait (microseconds)"),

    HEALTH(attaches, "servers that took it over"),
    HEALTH(handed_out_again, "requests handed out again"),
};

#define COUNTER_COUNT (sizeof(counters) / sizeof(counters[0]))

static int get_counted(const char *which, struct counted *counted)
{
    int error = cm_get_stats(which, &counted->stats);

    if (error != 0)
        return error;
    error = cm_get_health(which, &counted->health);
    return error == CM_EVERSION ? 0 : error;
}

static uint64_t value_of(const struct counted *counted, size_t i)
{
    return *(const uint64_t *)(const void *)((const unsigned char *)counted + counters[i].offset);
}

static void print_json(const struct counted *counted, int compact)
{
    struct out_json json = {.compact = compact};
    size_t i;

    out_json_begin(&json, NULL, '{');
    for (i = 0; i < COUNTER_COUNT; i++)
        out_json_number(&json, counters[i].key, value_of(counted, i));
    out_json_end(&json, '}');
}

static void print_text(const struct counted *counted)
{
    size_t i;

    for (i = 0; i < COUNTER_COUNT; i++)
        printf("%-28s %llu\n", counters[i].label, (unsigned long long)value_of(counted, i));
}

/* -- watching ---------------------------------------------------------------------------------- */

static double per_second(uint64_t now, uint64_t before, uint64_t elapsed_ns)
{
    return (double)(now - before) * 1e9 / (double)elapsed_ns;
}

static void print_rates(const struct cm_stats *now, const struct cm_stats *before,
                        uint64_t elapsed_ns, unsigned line)
{
    if (line % LINES_PER_HEADING == 0)
        printf("%10s %10s %10s %10s %8s %8s\n", "reads/s", "MiB/s", "writes/s", "MiB/s", "waiting",
               "flying");
    printf("%10.1f %10.2f %10.1f %10.2f %8llu %8llu\n",
           per_second(now->reads, before->reads, elapsed_ns),
           per_second(now->read_bytes, before->read_bytes, elapsed_ns) / 1048576.0,
           per_second(now->writes, before->writes, elapsed_ns),
           per_second(now->written_bytes, before->written_bytes, elapsed_ns) / 1048576.0,
           (unsigned long long)now->waiting, (unsigned long long)now->in_flight);
}

/* 0 after Ctrl-C. */
static int sleep_until(uint64_t deadline_ns)
{
    while (cm_os_now_ns() < deadline_ns && console_interrupts() == 0)
        cm_os_sleep_ms(POLL_MS);
    return console_interrupts() == 0;
}

/* Until Ctrl-C, or until the disk is unmounted: both are good ends. */
static int watch(const char *which, uint32_t seconds, int json)
{
    struct counted before;
    struct counted now;
    uint64_t before_ns;
    unsigned line = 0;
    int error = get_counted(which, &before);

    if (error != 0)
        return cli_fail(error);
    console_catch_interrupts();
    before_ns = cm_os_now_ns();
    while (sleep_until(before_ns + (uint64_t)seconds * 1000000000u)) {
        uint64_t now_ns = cm_os_now_ns();

        error = get_counted(which, &now);
        if (error != 0)
            break;
        if (json)
            print_json(&now, 1);
        else
            print_rates(&now.stats, &before.stats, now_ns - before_ns, line++);
        fflush(stdout);
        before = now;
        before_ns = now_ns;
    }
    return error == 0 || error == CM_ENOENT ? CLI_OK : cli_fail(error);
}

/* -- the verb ---------------------------------------------------------------------------------- */

static int show(const char *which, int json)
{
    struct counted counted;
    int error = get_counted(which, &counted);

    if (error != 0)
        return cli_fail(error);
    if (json)
        print_json(&counted, 0);
    else
        print_text(&counted);
    return CLI_OK;
}

static int run(const struct cli_verb *verb, int argc, char **argv)
{
    static const struct option options[] = {
        CLI_HELP,
        {"json", no_argument, NULL, 'j'},
        {"watch", optional_argument, NULL, 'w'},
        {NULL, 0, NULL, 0},
    };
    uint32_t seconds = 0;
    char **arguments;
    int json = 0;
    int count;
    int option;
    int result = CLI_OK;

    while ((option = cli_next_option(verb, argc, argv, ":h", options, &result)) >= 0) {
        if (option == 'j') {
            json = 1;
        } else {
            seconds = 1;
            if (optarg != NULL)
                result = cli_number(verb, "--watch", optarg, 1, MAX_WATCH_S, &seconds);
        }
        if (result != CLI_OK)
            return result;
    }
    if (option == CLI_OPTION_EXIT)
        return result;
    /* getopt takes an optional value only after "="; people write "--watch 2" as well, which ends
     * up behind WHICH. */
    result = cli_arguments(verb, argc, argv, 1, seconds != 0 ? 2 : 1, &arguments, &count);
    if (result == CLI_OK && count == 2)
        result = cli_number(verb, "--watch", arguments[1], 1, MAX_WATCH_S, &seconds);
    if (result != CLI_OK)
        return result;
    return seconds != 0 ? watch(arguments[0], seconds, json) : show(arguments[0], json);
}

const struct cli_verb cmd_stats = {
    .name = "stats",
    .arguments = "WHICH [--json] [--watch[=SECONDS]]",
    .summary = "show what a disk has done: WHICH is its letter or its id",
    .details =
        "\n  --json             for programs\n"
        "  --watch[=SECONDS]  again every second, or every SECONDS, until Ctrl-C or until the "
        "disk\n                     is unmounted: rates, or with --json one object a line\n\n"
        "Example: coremnt stats Z: --watch\n",
    .run = run,
    .windows_only = 1,
};
