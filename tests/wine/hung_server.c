/* SPDX-License-Identifier: MIT */
/*
 * hung_server.c - a server that takes requests and answers none, for hung-server.sh; or all but those
 * for the first sector, which it answers at once.
 *
 *      hung_server HOLD_SECONDS TIMEOUT_SECONDS [partly]
 *
 * Prints the letter of its disk and serves until the disk has gone. Its slots are small and many, so
 * that it can sit on hundreds of requests.
 */
#include "tests/wine/raw.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MIB (1024u * 1024u)
#define DEPTH 512u

static int answer_nothing(struct raw_server *server, const struct cm_request *request,
                          struct cm_reply *reply)
{
    (void)server, (void)request, (void)reply;
    return 0;
}

static int answer_first_sector(struct raw_server *server, const struct cm_request *request,
                               struct cm_reply *reply)
{
    if (request->offset != 0)
        return 0;
    raw_serve(server, request, reply);
    return 1;
}

int main(int argc, char **argv)
{
    static struct raw_disk disk;
    static struct raw_server server;
    struct cm_mount mount;

    if (argc < 3) {
        fprintf(stderr, "hung_server HOLD_SECONDS TIMEOUT_SECONDS [partly]\n");
        return 2;
    }
    raw_mount_defaults(&mount, 4 * MIB);
    mount.queue_depth = DEPTH;
    mount.slot_size = CM_MIN_SLOT_SIZE;
    mount.hold_seconds = (uint16_t)atoi(argv[1]);
    mount.timeout_seconds = (uint16_t)atoi(argv[2]);
    raw_attach(raw_open_control(), &mount, &disk);
    server.answer = argc > 3 ? answer_first_sector : answer_nothing;
    raw_server_start(&server, &disk, 4 * MIB);
    printf("hung on %c:\n", (char)disk.letter[0]);
    fflush(stdout);
    WaitForSingleObject(server.thread, INFINITE);
    printf("ended with %lu\n", (unsigned long)server.ended_with);
    return 0;
}
