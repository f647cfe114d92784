/* SPDX-License-Identifier: MIT */
/*
 * crash.c - the crash test as a program: so many files that power cuts left, or for so long; see docs/crash-safety.md.
 *
 *   crash [OPTION...] [SUBJECT...]        run in a folder of its own
 *     --files N          in all (default 3000)
 *     --seconds N        instead: as many as can be done in that time
 *     --thorough         every event of each program, seven files each
 *     --threads N        of each program; otherwise the seed says
 *     --programs N       stop after so many
 *     --samples FOLDER   write one file in 200 there, and what it holds, for scripts/crash-samples
 *     --lose-flushes N   the storage forgets every N-th flush: something must be found
 *     --trace N          print the last N operations before a find
 *
 * CM_SEED is the seed of the first program, the next one has the next number; a find is told with its seed.
 */
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/core/os.h"
#include "program.h"
#include "tests/unit/check.h"

#define FILES_OF_A_PROGRAM 150u

struct run {
    uint64_t files, seconds, programs;
    int is_thorough;
    struct program program; /* what all have in common */
    const struct subject *chosen[16];
    unsigned chosen_count;
    struct cut_result result[16];
    uint64_t programs_done[16];
};

static int choose(struct run *run, const char *name)
{
    for (unsigned i = 0; i < subject_count; i++)
        if (strcmp(subjects[i].name, name) == 0) {
            run->chosen[run->chosen_count++] = &subjects[i];
            return 1;
        }
    fprintf(stderr, "crash: there is no \"%s\"; there are:", name);
    for (unsigned i = 0; i < subject_count; i++)
        fprintf(stderr, " %s", subjects[i].name);
    fprintf(stderr, "\n");
    return 0;
}

static uint64_t number(const char *text)
{
    return text != NULL ? strtoull(text, NULL, 0) : 0;
}

static int parse(struct run *run, int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : NULL;

        if (strcmp(argv[i], "--thorough") == 0)
            run->is_thorough = 1;
        else if (argv[i][0] != '-' && run->chosen_count < 16 && choose(run, argv[i]))
            continue;
        else if (argv[i][0] != '-' || value == NULL)
            return 0;
        else if (strcmp(argv[i], "--files") == 0)
            run->files = number(argv[++i]);
        else if (strcmp(argv[i], "--seconds") == 0)
            run->seconds = number(argv[++i]);
        else if (strcmp(argv[i], "--programs") == 0)
            run->programs = number(argv[++i]);
        else if (strcmp(argv[i], "--threads") == 0)
            run->program.threads = (unsigned)number(argv[++i]);
        else if (strcmp(argv[i], "--samples") == 0)
            run->program.sample_folder = argv[++i];
        else if (strcmp(argv[i], "--lose-flushes") == 0)
            run->program.storage.lose_flushes = (unsigned)number(argv[++i]);
        else if (strcmp(argv[i], "--trace") == 0)
            run->program.trace = (unsigned)number(argv[++i]);
        else
            return 0;
    }
    for (unsigned i = 0; run->chosen_count == 0 && i < subject_count; i++)
        run->chosen[i] = &subjects[i];
    run->chosen_count = run->chosen_count != 0 ? run->chosen_count : subject_count;
    return 1;
}

static void report(const struct run *run, unsigned index, uint64_t seed)
{
    const struct cut_result *result = &run->result[index];
    const char *name = run->chosen[index]->name;

    printf(
        "\ncrash: %s FAILED: %s\n  the power went at event %llu of the program; what it left: %s\n"
        "  again: CM_SEED=%llu crash --programs 1%s",
        name, result->why, (unsigned long long)result->failed_at,
        result->kept[0] != '\0' ? result->kept : "nothing", (unsigned long long)seed,
        run->is_thorough ? " --thorough" : "");
    if (run->program.threads != 0)
        printf(" --threads %u", run->program.threads);
    if (run->program.storage.lose_flushes != 0)
        printf(" --lose-flushes %u", run->program.storage.lose_flushes);
    printf(" --trace 40 %s\n", name);
}

static int is_over(const struct run *run, uint64_t start_ns, uint64_t done)
{
    uint64_t files = 0;

    if (run->programs != 0 && done >= run->programs)
        return 1;
    if (run->seconds != 0)
        return (cm_os_now_ns() - start_ns) / 1000000000u >= run->seconds;
    for (unsigned i = 0; i < run->chosen_count; i++)
        files += run->result[i].files;
    return files >= run->files;
}

static void summary(const struct run *run, uint64_t start_ns)
{
    printf("%-20s %9s %9s %10s %10s %10s %9s\n", "", "programs", "events", "files", "to recover",
           "cut twice", "samples");
    for (unsigned i = 0; i < run->chosen_count; i++) {
        const struct cut_result *r = &run->result[i];

        printf("%-20s %9llu %9llu %10llu %10llu %10llu %9llu\n", run->chosen[i]->name,
               (unsigned long long)run->programs_done[i], (unsigned long long)r->events,
               (unsigned long long)r->files, (unsigned long long)r->dirty,
               (unsigned long long)r->second_cuts, (unsigned long long)r->samples);
    }
    printf("%.1f s\n", (double)(cm_os_now_ns() - start_ns) / 1e9);
}

int main(int argc, char **argv)
{
    static struct run run = {.files = 3000};
    uint64_t start_ns = cm_os_now_ns();
    uint64_t seed, done = 0;
    int ok = 1;

    if (!parse(&run, argc, argv)) {
        fprintf(stderr, "crash: wrong arguments; crash.c tells them\n");
        return 2;
    }
    /* The log is read as a whole for each file: its memory is not to come from the system each time. */
    mallopt(M_MMAP_THRESHOLD, 64 << 20);
    mallopt(M_TRIM_THRESHOLD, 256 << 20);
    setvbuf(stdout, NULL, _IOLBF, 0);
    seed = check_seed();
    run.program.files = run.is_thorough ? 0 : FILES_OF_A_PROGRAM;
    run.program.sample_every = run.program.sample_folder != NULL ? 200 : 0;
    for (; ok && !is_over(&run, start_ns, done); done++) {
        unsigned index = (unsigned)(done % run.chosen_count);

        run.program.subject = run.chosen[index];
        run.program.seed = seed + done;
        ok = program_run(&run.program, &run.result[index]);
        run.programs_done[index]++;
        if (!ok)
            report(&run, index, run.program.seed);
    }
    summary(&run, start_ns);
    return !ok;
}
