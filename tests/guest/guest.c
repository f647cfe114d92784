/* SPDX-License-Identifier: MIT */
/*
 * guest.c - guest.exe, the program of the guest kit: run.cmd starts it as `guest kit`, and it starts
 * itself as the other verbs. See kit.h.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/guest/kit.h"

/* step NAME LETTER LETTER: one step, in the work folder. */
static int run_step(int argc, char **argv)
{
    if (argc != 3 || strlen(argv[1]) != 2 || strlen(argv[2]) != 2) {
        fprintf(stderr, "guest: usage: guest step NAME LETTER LETTER\n");
        return 2;
    }
    memcpy(letter_1, argv[1], sizeof(letter_1));
    memcpy(letter_2, argv[2], sizeof(letter_2));
    for (const struct step *step = steps; step->name != NULL; step++) {
        if (strcmp(step->name, argv[0]) != 0)
            continue;
        step->run();
        process_kill_all();
        disk_unmount_all();
        return STEP_OK;
    }
    fail("there is no step \"%s\"", argv[0]);
}

static const struct {
    const char *name;
    int (*run)(int argc, char **argv);
} verbs[] = {
    {"kit", run_kit},
    {"step", run_step},
    {"hold", holder_hold},
    {"copy", holder_copy},
};

int main(int argc, char **argv)
{
    /* No box that waits for a click: not for a disk that has gone, not for a crash. */
    SetErrorMode(SEM_FAILCRITICALERRORS | SEM_NOGPFAULTERRORBOX | SEM_NOOPENFILEERRORBOX);
    setvbuf(stdout, NULL, _IONBF, 0); /* what a step said last must not be lost with it */
    for (size_t i = 0; argc > 1 && i < sizeof(verbs) / sizeof(verbs[0]); i++)
        if (strcmp(argv[1], verbs[i].name) == 0)
            return verbs[i].run(argc - 2, argv + 2);
    fprintf(stderr, "guest: this is the guest kit's program; start run.cmd instead\n");
    return 2;
}
