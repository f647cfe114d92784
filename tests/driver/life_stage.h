/* SPDX-License-Identifier: MIT */
/*
 * life_stage.h - the actors of life_model.h on the machine: a client, a server, a third process, one disk,
 * one request. test_life.c has them act one after the other, test_race.c two at a time.
 */
#ifndef COREMNT_TESTS_LIFE_STAGE_H
#define COREMNT_TESTS_LIFE_STAGE_H

#include "life_model.h"

typedef struct STAGE {
    ULONG Op, Fragments, Length;
    RIG_SERVER Server, Tool;
    SIM_PROCESS *Client;
    SIM_FILE *File; /* NULL: the client has been killed */
    SIM_MEMORY *Memory;
    RIG_DISK Disk;
    SIM_IO *Io; /* the request */
    SIM_IO *Parked;
    RIG_EXCHANGE ParkedCall, Call;
    struct cm_request Got[2]; /* by fragment; tag 0: not handed out */
    BOOLEAN Answered[2];
    SIM_COUNTERS Before;
    BOOLEAN Racing; /* two actors at once */
} STAGE;

/* Everybody is there and the disk is mounted. */
VOID StageBegin(STAGE *Stage, ULONG Op, ULONG Fragments);

/* One event. @return its status; of a call that waits, STATUS_PENDING. Given: the fragment that it has
 * brought, or -1. On two threads at once for different events. */
NTSTATUS StageDo(STAGE *Stage, LIFE_EVENT Event, LONG *Given);

/* What was asked for by anybody has reached the driver. */
VOID StageSettle(const STAGE *Stage);

/* Take the fragment that a parked exchange has brought; it is over. @return it, or -1 */
LONG StageTakeParked(STAGE *Stage, NTSTATUS *Status);

/* The request is over with this: its data is right. */
VOID StageCheckData(const STAGE *Stage, const LIFE *Life, NTSTATUS Status);

/* Everybody goes, what is left of the disk too; nothing must remain. `Life`: how far it has come. */
VOID StageEnd(STAGE *Stage, const LIFE *Life);

#endif
