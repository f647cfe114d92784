/* SPDX-License-Identifier: MIT */
/*
 * progress.c - a line on stderr that says how far a copy is. Only on a terminal: in a log it would be noise. One thread.
 */
#include "cli/progress.h"

#include <stdio.h>
#include <string.h>

#include "cli/console.h"
#include "cli/out.h"
#include "lib/core/os.h"

#define BAR_WIDTH 30u
#define EVERY_NS 200000000u
#define NS_PER_S 1000000000.0
#define LINE_WIDTH 79

void progress_begin(struct progress *progress, int is_quiet)
{
    memset(progress, 0, sizeof(*progress));
    progress->is_shown = !is_quiet && console_shows_errors();
    progress->started = cm_os_now_ns();
    progress->told = progress->started;
    console_catch_interrupts();
}

static void print_line(struct progress *progress, uint64_t now, uint64_t done, uint64_t all)
{
    double part = all != 0 ? (double)done / (double)all : 1.0;
    double seconds = (double)(now - progress->started) / NS_PER_S;
    unsigned full = (unsigned)(part * BAR_WIDTH);
    char size[OUT_SIZE_TEXT];
    char rate[OUT_SIZE_TEXT];
    char bar[BAR_WIDTH + 1];

    memset(bar, '.', BAR_WIDTH);
    memset(bar, '#', full <= BAR_WIDTH ? full : BAR_WIDTH);
    bar[BAR_WIDTH] = '\0';
    out_size((uint64_t)((double)done / (seconds > 0 ? seconds : 1)), rate);
    fprintf(stderr, "\r[%s] %3u%%  of %s, %s/s    ", bar, (unsigned)(part * 100),
            out_size(all, size), rate);
    fflush(stderr);
    progress->is_begun = 1;
    progress->told = now;
}

int progress_tell(void *context, uint64_t done, uint64_t all)
{
    struct progress *progress = context;
    uint64_t now = cm_os_now_ns();

    if (progress->is_shown && now - progress->told >= EVERY_NS)
        print_line(progress, now, done, all);
    return console_interrupts() != 0;
}

void progress_end(struct progress *progress)
{
    if (progress->is_begun)
        fprintf(stderr, "\r%*s\r", LINE_WIDTH, "");
    progress->is_begun = 0;
    fflush(stderr);
}
