/* SPDX-License-Identifier: MIT */
/*
 * program_seeds.c - programs for the target driver_program, written by hand: the ways of a disk on which fuzzing
 * would not come soon by itself. `driver_program --write-seeds=FOLDER` writes them.
 */
#include "program.h"

/* clang-format off */
#define MOUNTED(options, mount, numbers)                                                           \
    options, 1,                                                                                    \
    OP_START_SERVER, 0, 0, 0,                                                                      \
    OP_MOUNT, 0, mount, numbers,                                                                   \
    OP_ARENA, 0, 0, 0,                                                                             \
    OP_OPEN, 0, 0, OPEN_READ | OPEN_WRITE

#define SMALL MOUNT_SIZE(0)
#define USUAL NUMBERS_DEPTH(2)

static const UCHAR WriteThenRead[] = {
    MOUNTED(0, SMALL, USUAL),
    OP_WRITE, 0, 3, 4, OP_WRITE | ACTOR(1), 0, 20, 31, OP_SERVE, 0, 7, 0,
    OP_READ, 0, 2, 6, OP_READ | ACTOR(2), 0, 20, 31, OP_SERVE, 0, 7, 0,
    OP_FLUSH, 0, 0, 0, OP_TRIM, 0, 3, 2 | 1 << 2, OP_SERVE, 0, 7, 0,
    OP_ASK, 0, 0, 2, OP_UNMOUNT, 0, 0, 1,
};
static const UCHAR WriteThenReadOnWine[] = {
    MOUNTED(PROGRAM_WINE, SMALL, USUAL),
    OP_WRITE, 0, 3, 4, OP_WRITE | ACTOR(1), 0, 20, 31, OP_SERVE, 0, 7, 0,
    OP_READ, 0, 2, 6, OP_READ | ACTOR(2), 0, 20, 31, OP_SERVE, 0, 7, 0,
    OP_FLUSH, 0, 0, 0, OP_TRIM, 0, 3, 2 | 1 << 2, OP_SERVE, 0, 7, 0,
    OP_ASK, 0, 0, 2, OP_UNMOUNT, 0, 0, 1,
};
static const UCHAR ParkedExchanges[] = {
    MOUNTED(PROGRAM_SERVE, SMALL, USUAL),
    OP_EXCHANGE, 0, 0, EXCHANGE_WAIT | EXCHANGE_ROOM(2), OP_EXCHANGE, 0, 0, EXCHANGE_WAIT | EXCHANGE_ROOM(1),
    OP_READ | ACTOR(1), 0, 0, 1, OP_READ | ACTOR(2), 0, 8, 1, OP_CANCEL | ACTOR(1), 24, 0, 0, OP_WAIT, 0, 0, 0,
    OP_EXCHANGE, 0, REPLIES(3, REPLY_GOOD), EXCHANGE_WAIT | EXCHANGE_ROOM(2), OP_READ, 0, 1, 1,
    OP_EXCHANGE, 0, REPLIES(1, REPLY_TWICE), EXCHANGE_ROOM(2),
    OP_EXCHANGE, 0, REPLIES(1, REPLY_OLD), EXCHANGE_ROOM(2),
};
static const UCHAR FencedWrite[] = {
    MOUNTED(0, SMALL, USUAL),
    OP_WRITE, 0, 0, 8, OP_EXCHANGE, 0, 0, EXCHANGE_ROOM(4), OP_CANCEL | ACTOR(1), 0, 0, 0,
    OP_WRITE | ACTOR(2), 0, 4, 8, OP_READ, 0, 4, 2, OP_READ, 0, 40, 2, OP_EXCHANGE, 0, 0, EXCHANGE_ROOM(4),
    OP_WAIT, 0, 0, 0, OP_EXCHANGE, 0, REPLIES(8, REPLY_GOOD), EXCHANGE_ROOM(4), OP_SERVE, 0, 7, 0,
};
static const UCHAR BadReplies[] = {
    MOUNTED(0, SMALL, USUAL),
    OP_READ, 0, 0, 8, OP_WRITE, 0, 8, 8, OP_EXCHANGE, 0, 0, EXCHANGE_ROOM(4),
    OP_EXCHANGE, 0, REPLIES(2, REPLY_LENGTH), EXCHANGE_ROOM(1), OP_EXCHANGE, 0, REPLIES(2, REPLY_STATUS), 0,
    OP_EXCHANGE, 0, REPLIES(2, REPLY_GARBAGE), 0, OP_EXCHANGE, 0, 1, EXCHANGE_BAD_FRAME,
    OP_EXCHANGE, 0, 0, EXCHANGE_NOT_MINE, OP_START_SERVER, 1, 0, 0, OP_EXCHANGE, 0, 1, EXCHANGE_FOREIGN,
    OP_EXCHANGE, 0, REPLIES(2, REPLY_ERROR), EXCHANGE_ROOM(4), OP_SERVE, 0, 7, 0,
};
static const UCHAR KilledAndTakenOver[] = {
    MOUNTED(0, SMALL | MOUNT_HOLD, USUAL),
    OP_WRITE, 0, 0, 16, OP_READ, 0, 0, 16, OP_EXCHANGE, 0, 0, EXCHANGE_ROOM(7), OP_KILL | ACTOR(1), 0, 0, 0,
    OP_READ, 0, 16, 4, OP_WAIT, 0, 0, 0, OP_ASK, 1, 0, 3, OP_START_SERVER, 1, 0, 0, OP_ATTACH, 1, 0, 0,
    OP_ARENA, 0, 0, 0, OP_SERVE, 0, 7, 0, OP_ASK, 1, 0, 3, OP_READ, 0, 0, 16, OP_SERVE, 0, 7, 0,
    OP_CLOSE, 9, 0, 0, OP_SLEEP, 40, 0, 0,
};
static const UCHAR KilledAndTakenOverOnWine[] = {
    MOUNTED(PROGRAM_WINE | PROGRAM_KILL, SMALL | MOUNT_HOLD, USUAL),
    OP_WRITE, 0, 0, 16, OP_READ, 0, 0, 16, OP_EXCHANGE, 0, 0, EXCHANGE_ROOM(7), OP_KILL | ACTOR(1), 0, 0, 0,
    OP_READ, 0, 16, 4, OP_WAIT, 0, 0, 0, OP_START_SERVER, 1, 0, 0, OP_ATTACH, 1, 0, 0,
    OP_ARENA, 0, 0, 0, OP_SERVE, 0, 7, 0, OP_ASK, 1, 0, 3, OP_READ, 0, 0, 16, OP_SERVE, 0, 7, 0,
};
static const UCHAR LentMemoryTakenBack[] = {
    MOUNTED(PROGRAM_SERVE, SMALL | MOUNT_HOLD, USUAL),
    OP_WRITE, 0, 0, 16, OP_EXCHANGE, 0, 0, EXCHANGE_ROOM(7), OP_CANCEL | ACTOR(1), 24, 0, 0,
    OP_EXCHANGE, 0, REPLIES(2, REPLY_GOOD), EXCHANGE_ROOM(7), OP_WAIT, 0, 0, 0, OP_ATTACH, 0, 0, 0,
    OP_ARENA, 0, 0, 0, OP_SERVE, 0, 7, 0, OP_ARENA, 0, 0, 0, OP_ARENA, 0, ARENA_WRONG_SIZE, 0,
};
static const UCHAR TimedOut[] = {
    MOUNTED(0, SMALL | MOUNT_TIMEOUT, USUAL),
    OP_WRITE, 0, 0, 16, OP_READ, 0, 40, 1, OP_EXCHANGE, 0, 0, EXCHANGE_ROOM(1), OP_SLEEP, 24, 0, 0,
    OP_ASK, 0, 0, 3, OP_EXCHANGE, 0, REPLIES(1, REPLY_GOOD), EXCHANGE_ROOM(1), OP_ASK, 0, 0, 2,
};
static const UCHAR DriverStoppedInUse[] = {
    MOUNTED(PROGRAM_WINE, SMALL, USUAL),
    OP_READ | ACTOR(1), 0, 0, 16, OP_EXCHANGE | ACTOR(2), 0, 0, EXCHANGE_WAIT | EXCHANGE_ROOM(7),
    OP_STOP, 1, 0, 0, OP_READ, 0, 0, 1, OP_START_SERVER, 1, 0, 0, OP_MOUNT, 1, SMALL, USUAL, OP_CLOSE, 8, 0, 0,
};
static const UCHAR FileSystemOnADiskThatGoes[] = {
    MOUNTED(0, SMALL, USUAL),
    OP_FILE_SYSTEM, 0, 0, 0, OP_READ, 0, 0, 16, OP_STOP, 0, 0, 0, OP_KILL | ACTOR(1), 0, 0, 0, OP_CLOSE, 0, 0, 0,
    OP_WAIT, 0, 0, 0, OP_START, 0, 0, 0,
};
static const UCHAR RawRequests[] = {
    MOUNTED(PROGRAM_OLD_WINDOWS, SMALL, NUMBERS_DEPTH(0)),
    OP_READ, RAW_DISPATCH, 0, 16, OP_READ, RAW_CANCELLED, 0, 1, OP_READ, RAW_NO_FILE, 0, 1, OP_WRITE, RAW_NO_MDL, 0, 1,
    OP_READ, 0, 251, 2, OP_READ, 0, 253, 1, OP_WRITE, 0, 0, IO_THROUGH | 1, OP_WRITE, 0, 0, IO_ODD | 1,
    OP_FLUSH, 0, 1, 0, OP_IOCTL, 0, 7, 64, OP_UNMOUNT, 0, 0, 0, OP_SERVE, 0, 7, 0, OP_OPEN, 1, 0, OPEN_READ,
    OP_OPEN, 0, 0, OPEN_BELOW, OP_OPEN, 1, 0, OPEN_ATTRIBUTES, OP_CLOSE, 0, 0, 0, OP_UNMOUNT, 0, 0, 0x10,
};
static const UCHAR OddDisks[] = {
    MOUNTED(0, MOUNT_SIZE(6) | MOUNT_LARGE_SECTOR, NUMBERS_LARGE_SLOT), OP_READ, 0, 251, 8,
    OP_MOUNT, 0, MOUNT_SIZE(7), 0, OP_MOUNT, 0, SMALL | MOUNT_READ_ONLY, 1, OP_ARENA, 1, 0, 0,
    OP_OPEN, 0, 1, OPEN_READ | OPEN_WRITE, OP_WRITE, 1, 0, 1, OP_FLUSH, 1, 0, 0, OP_READ, 1, 0, 3, OP_SERVE, 1, 3, 0,
    OP_MOUNT, 0, SMALL | MOUNT_NO_TRIM, NUMBERS_BAD, OP_SERVE, 0, 3, 0, OP_ASK, 0, 0, 4, OP_ASK, 0, 0, 1,
};
/* clang-format on */

static const SEED Seeds[] = {
    SEED(WriteThenRead),
    SEED(WriteThenReadOnWine),
    SEED(ParkedExchanges),
    SEED(FencedWrite),
    SEED(BadReplies),
    SEED(KilledAndTakenOver),
    SEED(KilledAndTakenOverOnWine),
    SEED(LentMemoryTakenBack),
    SEED(TimedOut),
    SEED(DriverStoppedInUse),
    SEED(FileSystemOnADiskThatGoes),
    SEED(RawRequests),
    SEED(OddDisks),
};

const SEED *FuzzSeeds(const char *ProgramName, ULONG *Count)
{
    UNREFERENCED_PARAMETER(ProgramName);
    *Count = RTL_NUMBER_OF(Seeds);
    return Seeds;
}
