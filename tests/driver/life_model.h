/* SPDX-License-Identifier: MIT */
/*
 * life_model.h - what may become of one request: a state machine written from the contract
 * (abi/coremnt_abi.h), not from the driver, against which test_life.c and test_race.c hold the driver.
 */
#ifndef COREMNT_TESTS_LIFE_MODEL_H
#define COREMNT_TESTS_LIFE_MODEL_H

#include "rig.h"

typedef enum LIFE_EVENT {
    LIFE_QUEUE,        /* the client asks */
    LIFE_PARK,         /* the server's exchange waits */
    LIFE_FETCH,        /* its exchange does not wait; room for one request */
    LIFE_REPLY_1,      /* to the first fragment */
    LIFE_REPLY_2,      /* to the second */
    LIFE_FAIL_1,       /* to the first: an error */
    LIFE_CANCEL,       /* by the client */
    LIFE_UNMOUNT,      /* by force, by a third process */
    LIFE_SOFT_UNMOUNT, /* without, and the client's handle is called its own */
    LIFE_KILL,         /* the server's process */
    LIFE_CLOSE,        /* the server's handle */
    LIFE_STOP,         /* the driver; on NT that waits for the last handle */
    LIFE_EVENTS
} LIFE_EVENT;

/* Where a fragment is. A reply to what has been given up is taken and dropped. */
typedef enum LIFE_FRAGMENT {
    FRAGMENT_MADE,
    FRAGMENT_OUT,
    FRAGMENT_ORPHAN,
    FRAGMENT_DONE
} LIFE_FRAGMENT;

typedef struct LIFE {
    ULONG Op;        /* enum cm_op */
    ULONG Fragments; /* 1 or 2 */
    ULONG Length;    /* bytes of READ and WRITE */
    BOOLEAN Asked, Over;
    NTSTATUS Status; /* when it is over */
    LIFE_FRAGMENT Fragment[2];
    BOOLEAN Copied[2]; /* a READ's data has been brought */
    BOOLEAN Failed;    /* a fragment has, and the rest will not be handed out */
    NTSTATUS Failure;
    BOOLEAN Parked;                           /* an exchange of the server's waits */
    BOOLEAN DiskGone, ServerGone, DriverGone; /* DriverGone: Wine only */
    BOOLEAN StopPending;
    ULONG Used; /* 1 << LIFE_EVENT: has happened */
    ULONG Fetches;
    struct cm_stats Stats; /* all but times */
} LIFE;

/* What an event must bring about besides the LIFE that follows. */
typedef struct LIFE_RESULT {
    NTSTATUS Status, OrStatus; /* of the call, if it is one that ends */
    LONG Given;                /* the fragment that the call's exchange brings; -1: none */
    LONG GivenToParked;        /* the fragment that a parked exchange brings; -1: none */
    BOOLEAN ParkedEnds;        /* the parked exchange ends, with this */
    NTSTATUS ParkedStatus, ParkedOrStatus;
} LIFE_RESULT;

VOID LifeBegin(LIFE *Life, ULONG Op, ULONG Fragments, ULONG Length);

/* Whether the event makes sense now: somebody is there who can do it. */
BOOLEAN LifeCan(const LIFE *Life, LIFE_EVENT Event);

VOID LifeDo(LIFE *Life, LIFE_EVENT Event, LIFE_RESULT *Result);

const char *LifeName(LIFE_EVENT Event);

#endif
