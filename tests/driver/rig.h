/* SPDX-License-Identifier: MIT */
/*
 * rig.h - what tests of the driver on the simulated kernel have in common: a table of tests, each run on
 * every kind of system; and a server, in the words of the contract (abi/coremnt_abi.h).
 *
 * A test begins on a machine that has the driver loaded, and ends having closed what it opened; the rig then
 * stops the driver and shuts the machine down, which checks that nothing is left. tests/README.md tells how to
 * add one.
 */
#ifndef COREMNT_TESTS_RIG_H
#define COREMNT_TESTS_RIG_H

#include "tests/simnt/sim.h"

#include <ntddstor.h>

#include "abi/coremnt_abi.h"

/* -- tests ------------------------------------------------------------------------------------- */

typedef struct RIG_TEST {
    const char *Name;
    VOID (*Run)(VOID);
    ULONG Rounds;         /* on each system, with other seeds; 1: what does not depend on chance */
    const char *Only;     /* "nt", "wine", "serial" or "free": run on no other; NULL: on all */
    ULONG WindowsVersion; /* see SIM_OPTIONS */
} RIG_TEST;

#define RIG_TEST(function, rounds) RIG_TEST_ON(NULL, 0, function, rounds)
#define RIG_TEST_ON(only, version, function, rounds)                                               \
    {                                                                                              \
        .Name = #function, .Run = (function), .Rounds = (rounds), .Only = (only),                  \
        .WindowsVersion = (version)                                                                \
    }

/*
 * main() of a test program. Arguments: names of tests, "nt", "wine", "serial", "free" (all by default).
 * CM_SEED in the environment: that seed, one round. The seed of a failure is printed. CM_SCALE: so many
 * times as much of everything that is a matter of how much.
 */
int RigMain(int Count, char **Arguments, const RIG_TEST *Tests, ULONG TestCount);

BOOLEAN RigIsSerial(VOID); /* of the machine that runs */
ULONG RigScale(VOID);      /* CM_SCALE; 1 */

/* What is being tried: printed, should the program stop. It must live until the next note. */
VOID RigNote(const char *Text);

VOID RigCheck(BOOLEAN IsSo, const char *Text, const char *File, int Line);
VOID RigCheckEqual(LONG64 Actual, LONG64 Expected, const char *Text, const char *File, int Line);

/* A check that fails stops the program: what comes after it would make no sense. */
#define CHECK(condition) RigCheck((condition) ? TRUE : FALSE, #condition, __FILE__, __LINE__)
#define CHECK_EQ(actual, expected)                                                                 \
    RigCheckEqual((LONG64)(actual), (LONG64)(expected), #actual " == " #expected, __FILE__,        \
                  __LINE__)

/* A machine that is not the table's: boots, loads; a test that wants it says so by RigNoDriver. */
VOID RigUnloadNow(VOID);         /* the driver is stopped and stays so until the test ends */
VOID RigReload(VOID);            /* and started again */
VOID RigWaitUntilUnloaded(VOID); /* it has been stopped, and everything closed */

/* -- a server ---------------------------------------------------------------------------------- */

#define KIB 1024u
#define MIB (1024u * 1024u)

typedef struct RIG_SERVER {
    SIM_PROCESS *Process;
    SIM_FILE *Control;
} RIG_SERVER;

RIG_SERVER RigStartServer(VOID); /* an administrator's process with the control device open */
VOID RigStopServer(RIG_SERVER *Server); /* CloseHandle, exit */
VOID RigKillServer(RIG_SERVER *Server);

typedef struct RIG_DISK {
    SIM_FILE *Control; /* through which it was mounted */
    ULONG64 Id;
    ULONG Depth, SlotSize;
    ULONG64 ArenaSize;
    char Name[40]; /* of its device */
    PUCHAR Arena;  /* as the server sees it */
    SIM_MEMORY *Lent;
    SIM_IO *Lend;
} RIG_DISK;

/* Depth 8, slots of 4 KiB, sectors of 512 bytes, TRIM; as small as possible, so that limits are met. */
VOID RigMountDefaults(struct cm_mount *Mount, ULONG64 Size);

NTSTATUS RigMountOnly(SIM_FILE *Control, const struct cm_mount *Mount, RIG_DISK *Disk);
NTSTATUS RigGiveArena(RIG_DISK *Disk);                           /* in the way of the system */
VOID RigMount(RIG_SERVER *Server, ULONG64 Size, RIG_DISK *Disk); /* all of it; must succeed */

/* ATTACH, and all that follows: another server takes the disk over. */
NTSTATUS RigAttachOnly(SIM_FILE *Control, ULONG64 Id, ULONG64 Size, RIG_DISK *Disk);
NTSTATUS RigAttach(SIM_FILE *Control, ULONG64 Id, ULONG64 Size, RIG_DISK *Disk);

/* Give back what a disk had on the server's side. It has been unmounted, or its server has gone. */
VOID RigForget(RIG_DISK *Disk);

/* Any ioctl, waited for; Done, how many bytes it returned, may be NULL. */
NTSTATUS RigIoctl(SIM_FILE *File, ULONG Code, const VOID *In, ULONG InLength, PVOID Out,
                  ULONG OutLength, ULONG_PTR *Done);

NTSTATUS RigUnmount(SIM_FILE *Control, ULONG64 Id, ULONG Flags);
NTSTATUS RigStats(SIM_FILE *Control, ULONG64 Id, struct cm_stats *Stats);
NTSTATUS RigHealth(SIM_FILE *Control, ULONG64 Id, struct cm_health *Health);
VOID RigCheckSums(SIM_FILE *Control, ULONG64 Id); /* requests = completed + failed + ... */

/* -- exchanges --------------------------------------------------------------------------------- */

#define RIG_BATCH 64

typedef struct RIG_EXCHANGE {
    struct {
        struct cm_exchange Head;
        struct cm_reply Replies[RIG_BATCH];
    } In;
    struct {
        struct cm_exchanged Head;
        struct cm_request Requests[RIG_BATCH];
    } Out;
} RIG_EXCHANGE;

/* Start one with the replies that In holds; the structure must live until it is done. */
SIM_IO *RigStartExchange(RIG_DISK *Disk, RIG_EXCHANGE *Exchange, ULONG ReplyCount, ULONG Flags,
                         ULONG Room);

NTSTATUS RigExchange(RIG_DISK *Disk, RIG_EXCHANGE *Exchange, ULONG ReplyCount, ULONG Flags,
                     ULONG Room);

/* One NO_WAIT exchange without replies. @return how many requests there are now. */
ULONG RigFetch(RIG_DISK *Disk, struct cm_request *Requests, ULONG Max);

/* One NO_WAIT exchange with one reply and no room. */
NTSTATUS RigReply(RIG_DISK *Disk, ULONG64 Tag, ULONG Status, ULONG Length);

/* As a server does that is well: the data of a READ is taken from, that of a WRITE put into Image. Perform
 * gives the reply that Answer sends. */
struct cm_reply RigPerform(RIG_DISK *Disk, const struct cm_request *Request, PUCHAR Image);
NTSTATUS RigAnswer(RIG_DISK *Disk, const struct cm_request *Request, PUCHAR Image);

PUCHAR RigSlot(const RIG_DISK *Disk, ULONG64 Tag);

/* Serve until the disk is gone, by exchanges that wait. Threads: any number at once. */
typedef struct RIG_SERVICE {
    RIG_DISK *Disk;
    PUCHAR Image;
    ULONG Batch;    /* at most so many requests at once */
    NTSTATUS Ended; /* out */
    ULONG Served;   /* out */
} RIG_SERVICE;

VOID RigServe(PVOID Service);

/* -- clients ----------------------------------------------------------------------------------- */

SIM_FILE *RigOpenDisk(SIM_PROCESS *Process, const RIG_DISK *Disk); /* must succeed */

/* Start a TRIM of at most RIG_RANGES ranges. */
#define RIG_RANGES 16
SIM_IO *RigTrim(SIM_FILE *File, const DEVICE_DATA_SET_RANGE *Ranges, ULONG Count);

/* Data that tells its seed, and where in it a byte lies. */
VOID RigFill(PUCHAR Data, SIZE_T Length, ULONG64 Seed);
BOOLEAN RigIsFilled(const UCHAR *Data, SIZE_T Length, ULONG64 Seed);

#endif
