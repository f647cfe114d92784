/* SPDX-License-Identifier: MIT */
/*
 * program.h - what the files of the target driver_program share: the operations of a program, and what is
 * known at any moment of the processes, disks, servers and I/O that it has made.
 *
 *      driver_program.c   the target: an input becomes operations, for three threads; the end of a program
 *      program_ops.c      the operations of clients, and all that begins and ends something
 *      program_server.c   the operations of servers: arenas, exchanges, replies of all kinds
 *      program_model.c    what may come of an I/O: data, status, statistics
 *      program_seeds.c    programs written by hand, with which fuzzing begins
 *
 * The machine is in serial mode, so one thread runs at a time and others come in between only where the
 * kernel is called. All that is here is therefore changed without locks, and never across such a call.
 */
#ifndef COREMNT_FUZZ_PROGRAM_H
#define COREMNT_FUZZ_PROGRAM_H

#include "fuzz/fuzz.h"

/* -- programs ---------------------------------------------------------------------------------- */

/* Of an input: the first two bytes are PROGRAM_*, and a seed; then four bytes for each operation: its
 * kind with the thread that does it in the two highest bits (0, 3: main), and three arguments. */
#define PROGRAM_WINE 1u
#define PROGRAM_KILL 2u        /* at the end servers are killed, not closed */
#define PROGRAM_OLD_WINDOWS 4u /* XP: another kind of pool */
#define PROGRAM_SERVE 8u /* at the end all is served that was asked for; else it is cancelled */
#define OP_SIZE 4u
#define MAX_OPS 120u
#define ACTOR(n) ((n) << 6)

typedef enum OP_KIND {
    OP_START_SERVER, /* server */
    OP_MOUNT,        /* server; MOUNT_*; numbers */
    OP_ARENA,        /* disk; ARENA_* */
    OP_OPEN,         /* client; disk; OPEN_* */
    OP_READ,         /* file + RAW_*; sector; length in units, IO_* */
    OP_WRITE,        /* the same */
    OP_FLUSH,        /* file + RAW_*; 1: SHUTDOWN */
    OP_TRIM,         /* file; first sector; ranges and their length */
    OP_EXCHANGE,     /* disk; how many replies, and how; EXCHANGE_* */
    OP_SERVE,        /* disk; rounds: fetch and answer, as an honest server does */
    OP_CANCEL,       /* an I/O under way */
    OP_KILL,         /* server or client */
    OP_CLOSE,        /* file, or server's handle */
    OP_UNMOUNT,      /* disk; server; flags */
    OP_ATTACH,       /* server; disk; how */
    OP_ASK,          /* server; disk; which question */
    OP_SLEEP,        /* 1/16 s */
    OP_STOP,         /* the driver; 1: and start it again, if it has gone */
    OP_START,
    OP_FILE_SYSTEM, /* disk: mounts itself, or lets go */
    OP_IOCTL,       /* file; which; lengths */
    OP_WAIT,        /* until the other threads have done what they were given */
    OP_COUNT
} OP_KIND;

typedef struct OP {
    UCHAR Kind, A, B, C;
} OP;

#define MOUNT_SIZE(n) (n) /* 0..7: of the table in program_ops.c */
#define MOUNT_LARGE_SECTOR 8u
#define MOUNT_READ_ONLY 16u
#define MOUNT_NO_TRIM 32u
#define MOUNT_HOLD 64u
#define MOUNT_TIMEOUT 128u
#define NUMBERS_DEPTH(log2) (log2) /* 0..3 */
#define NUMBERS_LARGE_SLOT 4u
#define NUMBERS_SECONDS(n) ((n) << 3) /* 1..4, as n + 1 */
#define NUMBERS_BAD 128u
#define ARENA_WRONG_SIZE 1u
#define ARENA_WRONG_WAY 2u
#define ARENA_UNALIGNED 4u
#define OPEN_READ 1u
#define OPEN_WRITE 2u
#define OPEN_ATTRIBUTES 4u
#define OPEN_BELOW 8u
#define RAW_DISPATCH 8u
#define RAW_CANCELLED 16u
#define RAW_NO_FILE 32u
#define RAW_NO_MDL 64u
#define IO_UNITS 31u /* of 512 bytes, at least one sector */
#define IO_THROUGH 64u
#define IO_ODD 128u
#define EXCHANGE_WAIT 1u
#define EXCHANGE_ROOM(n) ((n) << 1) /* 0..7 */
#define EXCHANGE_FOREIGN 16u        /* by another server */
#define EXCHANGE_BAD_FRAME 32u
#define EXCHANGE_NOT_MINE 64u /* a disk that there never was */

typedef enum REPLY_KIND {
    REPLY_GOOD,
    REPLY_ERROR,
    REPLY_LENGTH,
    REPLY_STATUS,
    REPLY_TWICE,
    REPLY_OLD,
    REPLY_GARBAGE,
    REPLY_GOOD_LAST, /* the newest first */
} REPLY_KIND;

#define REPLIES(count, kind) ((count) | (kind) << 4)

/* -- what there is ----------------------------------------------------------------------------- */

#define MAX_SERVERS 3u
#define MAX_CLIENTS 2u
#define MAX_DISKS 6u
#define MAX_FILES 8u
#define MAX_ATTACHMENTS 16u
#define MAX_IOS 32u
#define MAX_CLIENT_IOS 24u
#define MAX_DEPTH 8u
#define MAX_SLOT_SIZE (8 * KIB)
#define UNIT 512u           /* what the model tells apart, also on disks of larger sectors */
#define MODELLED_UNITS 128u /* at the beginning of a disk; what lies beyond stays as it was */
#define MAX_IO_UNITS 32u
#define MAX_BATCH 16u

typedef struct PROCESS {
    SIM_PROCESS *Process; /* NULL: none */
    SIM_FILE *Control;    /* of a server, while it is open */
    ULONG Busy;           /* opens and closes under way in it */
} PROCESS;

typedef struct HELD { /* a fragment that a server has */
    BOOLEAN Used;
    BOOLEAN
    Unsure; /* a bad reply to it may have been taken, of a request that had been cancelled */
    struct cm_request Request;
    ULONG Stamp; /* of a WRITE */
} HELD;

typedef struct ATTACHMENT { /* of a server to a disk: an epoch of it */
    struct DISK_MODEL *Disk;
    PROCESS *Server;
    SIM_PROCESS *Process;
    PUCHAR Arena;      /* NULL: none (any more) */
    BOOLEAN IsTrying;  /* to give one */
    BOOLEAN MayBeLost; /* something has begun that ends it */
    HELD Held[MAX_DEPTH];
    ULONG64 Old[8]; /* tags that have been answered */
    ULONG OldCount;
} ATTACHMENT;

typedef struct COUNTS { /* of I/O that has ended, as the statistics count it */
    ULONG64 Reads, Writes, Flushes, Trims, ReadBytes, WrittenBytes, Cancelled, Failed, UnderWay;
} COUNTS;

typedef struct DISK_MODEL {
    ULONG64 Id, Size, ArenaSize;
    ULONG Number, SectorSize, Depth, SlotSize;
    ULONG HoldSeconds, TimeoutSeconds;
    BOOLEAN ReadOnly, CanTrim;
    char Name[40];
    BOOLEAN Served;       /* it has had an arena */
    BOOLEAN Dead;         /* of a driver that has been stopped: another disk may have its name */
    BOOLEAN Gone;         /* something has begun that removes it */
    ULONG Unmounting;     /* attempts under way */
    BOOLEAN AnyCancelled; /* I/O: slots may be orphans */
    BOOLEAN Muddled;      /* a server may have been given what it took for an earlier epoch's */
    BOOLEAN Lost;         /* something has begun that loses its server */
    ULONG64 LostAtUs;
    BOOLEAN PoweringOff;         /* it has been told that the machine is switched off */
    ULONG ErrorsSent;            /* by status: bits */
    ATTACHMENT *Attachment;      /* the latest */
    ULONG Image[MODELLED_UNITS]; /* the stamps of what an honest server has stored */
    COUNTS Counts;
} DISK_MODEL;

typedef struct OPEN_FILE {
    SIM_FILE *File; /* NULL: none */
    DISK_MODEL *Disk;
    PROCESS *Client;
    SIM_PROCESS *Process;
    BOOLEAN Reading, Writing;
} OPEN_FILE;

typedef enum IO_KIND { IO_NONE, IO_CLIENT, IO_EXCHANGE, IO_LEND } IO_KIND;

typedef struct EXCHANGE {
    ATTACHMENT *Attachment;
    BOOLEAN Malformed, Foreign;
    BOOLEAN HasBad;     /* a reply that is refused, */
    BOOLEAN HasOdd;     /* unless its request has been cancelled, */
    BOOLEAN MayHaveBad; /* or one to a slot that may have been answered */
    ULONG Room, AnsweredCount;
    ULONG64 Answered[MAX_BATCH];
    struct {
        struct cm_exchange Head;
        struct cm_reply Replies[MAX_BATCH];
    } In;
    struct {
        struct cm_exchanged Head;
        struct cm_request Requests[MAX_BATCH];
    } Out;
} EXCHANGE;

typedef struct CLIENT_IO {
    UCHAR Op; /* enum cm_op */
    BOOLEAN MayWork, Started, HadArena;
    LONGLONG Offset;
    ULONG Length, Stamp, Slot; /* of the memory */
    ULONG64 Since, SinceUs;
    ULONG Before[MAX_IO_UNITS]; /* the units' stamps when it began */
    UCHAR Ranges[28 + 3 * 16];  /* of a TRIM */
} CLIENT_IO;

typedef struct IO {
    IO_KIND Kind;
    SIM_IO *Io; /* NULL: not sent yet */
    SIM_PROCESS *Process;
    DISK_MODEL *Disk;
    BOOLEAN CancelAsked, IsBeingCancelled;
    ATTACHMENT *Attachment; /* of a LEND */
    CLIENT_IO Client;
    EXCHANGE *Exchange;
} IO;

typedef struct PAST { /* of every I/O of a client, also when it is over */
    UCHAR Op;
    DISK_MODEL *Disk;
    LONGLONG Offset;
    ULONG64 Length, Since, Ended;
    ULONG Stamp;
} PAST;

typedef struct CHANGE { /* a server has performed a WRITE or TRIM */
    DISK_MODEL *Disk;
    ULONG Unit, Stamp;
    ULONG64 When;
} CHANGE;

#define MAX_PAST 1024u
#define MAX_CHANGES 4096u

typedef struct PROGRAM {
    PROCESS Servers[MAX_SERVERS], Clients[MAX_CLIENTS], Rescuer;
    DISK_MODEL Disks[MAX_DISKS];
    OPEN_FILE Files[MAX_FILES];
    ATTACHMENT Attachments[MAX_ATTACHMENTS];
    IO Ios[MAX_IOS];
    PAST Past[MAX_PAST]; /* by stamp */
    CHANGE Changes[MAX_CHANGES];
    ULONG DiskCount, AttachmentCount, PastCount, ChangeCount, Regions;
    ULONG Mounting, Attaching, OpeningFiles; /* under way */
    ULONG MountsTried; /* the numbers of disks go on when the driver is started again */
    ULONG64 When;      /* counts what happens */
    BOOLEAN Stopping;  /* the driver is being stopped, or has been */
} PROGRAM;

extern PROGRAM Program;

/* -- between the files ------------------------------------------------------------------------- */

VOID ProgramDo(const OP *Op);  /* any thread of the program */
VOID ProgramReap(BOOLEAN All); /* see to I/O that has ended; All: wait for it. The main thread */

/* program_ops.c */
IO *ProgramNewIo(IO_KIND Kind, SIM_PROCESS *Process, DISK_MODEL *Disk); /* NULL: too many */
PROCESS *ProgramServer(UCHAR Number);     /* with its handle open; NULL */
DISK_MODEL *ProgramDisk(UCHAR Number);    /* NULL: none */
VOID ProgramLose(ATTACHMENT *Attachment); /* something begins that ends it */
VOID ProgramAttach(PROCESS *Server, DISK_MODEL *Disk, ULONG How); /* CM_IOCTL_ATTACH */
VOID ProgramKill(PROCESS *Process);
VOID ProgramCloseControl(PROCESS *Server);
VOID ProgramStopDriver(VOID);
VOID OpStartServer(const OP *Op), OpMount(const OP *Op), OpOpen(const OP *Op),
    OpReadWrite(const OP *Op), OpFlush(const OP *Op), OpTrim(const OP *Op), OpCancel(const OP *Op),
    OpKill(const OP *Op), OpClose(const OP *Op), OpUnmount(const OP *Op), OpAttach(const OP *Op),
    OpAsk(const OP *Op), OpSleep(const OP *Op), OpStop(const OP *Op), OpStart(const OP *Op),
    OpFileSystem(const OP *Op), OpIoctl(const OP *Op);

/* program_server.c */
ATTACHMENT *ServerAttach(DISK_MODEL *Disk, PROCESS *Server);
VOID ServerGiveArena(DISK_MODEL *Disk, ULONG Flags);
BOOLEAN ServerServe(DISK_MODEL *Disk); /* @return whether there may be more to do */
/* Nothing happens: then no exchange must be waiting while a request is. */
VOID ServerCheckParked(const DISK_MODEL *Disk);
VOID ServerExchangeEnded(IO *Io, NTSTATUS Status);
VOID OpArena(const OP *Op), OpExchange(const OP *Op), OpServe(const OP *Op);

/* program_model.c */
ULONG64 ModelNowUs(VOID);
BOOLEAN ModelMayBeGone(const DISK_MODEL *Disk);
PUCHAR ModelMemory(const IO *Io); /* of a client's I/O, as the client sees it */
VOID ModelBegin(IO *Io);          /* a client's I/O is about to be sent */
VOID ModelEnd(IO *Io, NTSTATUS Status, ULONG_PTR Information);
ULONG ModelCheckWrite(const DISK_MODEL *Disk, const struct cm_request *Request, const UCHAR *Data);
VOID ModelCheckFetched(const ATTACHMENT *Attachment, const struct cm_request *Request, ULONG Stamp);
VOID ModelPerform(ATTACHMENT *Attachment, const HELD *Held);
/* Quiet: no I/O has been under way since before they were asked for. */
VOID ModelCheckStats(const DISK_MODEL *Disk, const struct cm_stats *Stats, BOOLEAN IsQuiet);

#endif
