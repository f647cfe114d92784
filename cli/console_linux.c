/* SPDX-License-Identifier: MIT */
/*
 * console_linux.c - arguments and output are UTF-8 already; SIGINT, SIGTERM and SIGHUP are counted.
 */
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "cli/console.h"

static volatile sig_atomic_t interrupts;

static void on_signal(int signal_number)
{
    (void)signal_number;
    interrupts++;
}

int console_open(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    /* A file that may not grow further (ulimit -f) is to be an error with a sentence, not our end. */
    signal(SIGXFSZ, SIG_IGN);
    return 0;
}

void console_close(void)
{
}

void console_catch_interrupts(void)
{
    struct sigaction action, before;

    memset(&action, 0, sizeof(action));
    action.sa_handler = on_signal;
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    if (sigaction(SIGHUP, NULL, &before) == 0 && before.sa_handler != SIG_IGN) /* not of nohup */
        sigaction(SIGHUP, &action, NULL);
}

unsigned console_interrupts(void)
{
    return (unsigned)interrupts;
}

int console_is_closing(void)
{
    return 0;
}

int console_shows_errors(void)
{
    return isatty(STDERR_FILENO);
}
