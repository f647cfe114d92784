/* SPDX-License-Identifier: MIT */
/*
 * load.h - many at random: clients, each with a region of a disk and a model of what is in it, that read,
 * write, trim, flush, cancel and check; and hosts, which are servers of several threads that may be slow, fail,
 * send nonsense, and die. test_random.c and test_hold.c decide what happens to them.
 */
#ifndef COREMNT_TESTS_LOAD_H
#define COREMNT_TESTS_LOAD_H

#include <pthread.h>

#include "rig.h"

#define LOAD_SECTOR 512u
#define LOAD_REGION 96u /* sectors of a client */
#define LOAD_MAX_CLIENTS 8u
#define LOAD_MAX_DISKS 2u
#define LOAD_MAX_THREADS 8u

typedef struct LOAD LOAD;

/* What a client has seen of its requests; the driver must have counted the same. */
typedef struct LOAD_COUNTS {
    ULONG64 Sent, Completed, Failed, Cancelled;
    ULONG64 Reads, Writes, Flushes, Trims, ReadBytes, WrittenBytes;
    ULONG64 TimedOut; /* of the failed */
} LOAD_COUNTS;

typedef struct LOAD_CLIENT {
    LOAD *Load;
    ULONG Index, Disk;
    SIM_THREAD *Thread;
    SIM_PROCESS *Process;
    SIM_FILE *File;
    SIM_MEMORY *Memory;
    ULONG Version;                          /* of the latest write */
    ULONG Is[LOAD_REGION], Or[LOAD_REGION]; /* what a sector holds: this, or perhaps that */
    LOAD_COUNTS Counts;
    BOOLEAN Lost; /* its disk has gone */
} LOAD_CLIENT;

/* A server: a process, a handle, the disks that it serves, and threads. */
typedef struct LOAD_HOST {
    LOAD *Load;
    RIG_SERVER Server;
    RIG_DISK Disks[LOAD_MAX_DISKS];
    SIM_THREAD *Threads[LOAD_MAX_THREADS];
    ULONG ThreadCount, NextThread;
    int volatile Dying;  /* atomic: no thread of it may do anything any more */
    int volatile Inside; /* atomic: threads that are doing something */
} LOAD_HOST;

struct LOAD {
    /* the test's choice */
    ULONG Clients, Disks, ThreadsPerDisk;
    ULONG Batches;         /* of requests, for each client */
    ULONG CancelRate;      /* of 1000 requests */
    ULONG FailRate;        /* of 1000 requests, by the server */
    ULONG NonsenseRate;    /* of 1000 exchanges, one bad reply more */
    ULONG KillRate;        /* of 1000 batches, the client's process */
    BOOLEAN MayVanish;     /* disks may go: no error after that is one */
    ULONG HangRate;        /* of 1000 exchanges, the server sleeps for longer than the time-out */
    struct cm_mount Mount; /* size is set by LoadBegin */

    /* all that follows is not */
    RIG_SERVER Tool; /* a third process, to ask for numbers */
    LOAD_HOST *Host;
    ULONG64 Ids[LOAD_MAX_DISKS];
    char Names[LOAD_MAX_DISKS][40];
    PUCHAR Images[LOAD_MAX_DISKS];
    pthread_mutex_t ImageLock; /* held by nobody who waits */
    LOAD_CLIENT Client[LOAD_MAX_CLIENTS];
    ULONG volatile Finished; /* atomic: clients */
};

VOID LoadDefaults(LOAD *Load, ULONG Clients, ULONG Disks, ULONG ThreadsPerDisk);

VOID LoadBegin(LOAD *Load); /* a host with mounted disks; clients that have not begun */
VOID LoadStartClients(LOAD *Load);
BOOLEAN LoadIsFinished(LOAD *Load);                 /* all clients are through */
VOID LoadWaitForRequests(LOAD *Load, ULONG64 More); /* so many more have come to the first disk */
VOID LoadJoinClients(LOAD *Load);
VOID LoadCheckStats(LOAD *Load); /* the driver's numbers are the clients' */
VOID LoadEnd(LOAD *Load);        /* of what is left: the disks, the host, the clients */

/* Servers. A host that dies leaves its exchanges, its handle and its memory to the system. */
LOAD_HOST *LoadNewHost(LOAD *Load); /* attaches to the disks, which are held, and serves */
VOID LoadKillHost(LOAD *Load);      /* the process */
VOID LoadCloseHost(LOAD *Load);     /* its handle, at once; then it ends by itself */

#endif
