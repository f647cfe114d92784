/* SPDX-License-Identifier: MIT */
/*
 * test_contract.c - the control device keeps to abi/coremnt_abi.h, whatever it is sent: every ioctl with every
 * length, codes that there are not, every number of a mount at its limits and beyond, lists with room for some,
 * ids that are out of date. And no answer holds a byte that the driver did not put there: the simulated I/O
 * manager hands it buffers full of FILLER.
 */
#include <stdio.h>
#include <stdlib.h>

#include "rig.h"

#define FILLER 0xA5 /* irp.c: what is in a system buffer beside the input */

/* -- lengths ----------------------------------------------------------------------------------- */

typedef struct LENGTH_ROW {
    const char *Name;
    ULONG Code, InSize, OutSize;
    NTSTATUS Expected; /* with lengths that do and an input of zeros */
} LENGTH_ROW;

#define ROW(name, in, out, expected)                                                               \
    {                                                                                              \
#name, CM_IOCTL_##name, in, out, expected                                                  \
    }

static const LENGTH_ROW LengthRows[] = {
    ROW(VERSION, 0, sizeof(struct cm_version), STATUS_SUCCESS),
    ROW(MOUNT, sizeof(struct cm_mount), sizeof(struct cm_mounted), STATUS_REVISION_MISMATCH),
    ROW(UNMOUNT, sizeof(struct cm_unmount), 0, STATUS_NOT_FOUND),
    ROW(ARENA_MAP, sizeof(struct cm_arena), sizeof(struct cm_arena_mapped), STATUS_NOT_FOUND),
    ROW(EXCHANGE, sizeof(struct cm_exchange), sizeof(struct cm_exchanged), STATUS_NOT_FOUND),
    ROW(LIST, 0, sizeof(struct cm_list), STATUS_SUCCESS),
    ROW(STATS, sizeof(struct cm_stats_of), sizeof(struct cm_stats), STATUS_NOT_FOUND),
    ROW(ATTACH, sizeof(struct cm_attach), sizeof(struct cm_attached), STATUS_REVISION_MISMATCH),
    ROW(HEALTH, sizeof(struct cm_health_of), sizeof(struct cm_health), STATUS_NOT_FOUND),
    ROW(IDENTIFY, sizeof(struct cm_identify), 0, STATUS_INVALID_PARAMETER),
    ROW(RESIZE, sizeof(struct cm_resize), 0, STATUS_NOT_FOUND),
};

static VOID CheckUntouched(const UCHAR *Out, ULONG From, ULONG To)
{
    while (From < To)
        CHECK_EQ(Out[From++], 0x5A);
}

static VOID TryLengths(SIM_FILE *Control, const LENGTH_ROW *Row, ULONG InLength, ULONG OutLength)
{
    static const UCHAR Zeros[1024];
    NTSTATUS Expected = Row->Expected, Status;
    UCHAR Out[1024];
    ULONG_PTR Done;

    if (InLength < Row->InSize)
        Expected = STATUS_INFO_LENGTH_MISMATCH;
    else if (OutLength < Row->OutSize)
        Expected = STATUS_BUFFER_TOO_SMALL;
    memset(Out, 0x5A, sizeof(Out));
    Status = RigIoctl(Control, Row->Code, Zeros, InLength, Out, OutLength, &Done);
    if (Status != Expected)
        SimStop("%s with %u bytes in, %u out: 0x%x, expected 0x%x", Row->Name, InLength, OutLength,
                (ULONG)Status, (ULONG)Expected);
    CHECK_EQ(Done, NT_SUCCESS(Status) ? Row->OutSize : 0);
    CheckUntouched(Out, (ULONG)Done, sizeof(Out));
}

/* Each length of one side with some of the other's. */
static VOID EachLengthIsAnswered(VOID)
{
    RIG_SERVER Server = RigStartServer();
    ULONG Index, Length;

    for (Index = 0; Index < RTL_NUMBER_OF(LengthRows); Index++) {
        const LENGTH_ROW *Row = &LengthRows[Index];
        for (Length = 0; Length <= Row->InSize + 8; Length++) {
            TryLengths(Server.Control, Row, Length, 0);
            TryLengths(Server.Control, Row, Length, Row->OutSize);
            TryLengths(Server.Control, Row, Length, Row->OutSize + 8);
        }
        for (Length = 0; Length <= Row->OutSize + 8; Length++) {
            TryLengths(Server.Control, Row, Row->InSize, Length);
            TryLengths(Server.Control, Row, Row->InSize + 8, Length);
            if (Row->InSize != 0)
                TryLengths(Server.Control, Row, Row->InSize - 1, Length);
        }
    }
    RigStopServer(&Server);
}

/* -- codes ------------------------------------------------------------------------------------- */

static BOOLEAN IsKnown(ULONG Code)
{
    ULONG Index;

    for (Index = 0; Index < RTL_NUMBER_OF(LengthRows); Index++)
        if (LengthRows[Index].Code == Code)
            return TRUE;
    return Code == CM_IOCTL_ARENA_LEND;
}

static VOID TryUnknown(SIM_FILE *Control, ULONG Code)
{
    UCHAR In[64] = {0}, Out[64];
    ULONG_PTR Done;
    NTSTATUS Status;

    if (IsKnown(Code))
        return;
    memset(Out, 0x5A, sizeof(Out));
    Status = RigIoctl(Control, Code, In, sizeof(In), Out, sizeof(Out), &Done);
    if (Status != STATUS_INVALID_DEVICE_REQUEST || Done != 0)
        SimStop("the unknown code 0x%x is answered with 0x%x", Code, (ULONG)Status);
    CheckUntouched(Out, 0, sizeof(Out));
}

/* Above all: no known function by another method, or with fewer rights asked for. */
static VOID UnknownCodesAreRefused(VOID)
{
    static const ULONG Types[] = {0x8C4D, 0, 7, 9, 0x22, 0x2D, 0x4D, 0xFFFF};
    RIG_SERVER Server = RigStartServer();
    ULONG Type, Low, Index;

    for (Type = 0; Type < RTL_NUMBER_OF(Types); Type++)
        for (Low = 0x7FE; Low < 0x80E; Low++)
            for (Index = 0; Index < 16; Index++)
                TryUnknown(Server.Control,
                           CTL_CODE(Types[Type], Low, Index & 3, (ULONG)Index >> 2));
    for (Index = 0; Index < 500; Index++)
        TryUnknown(Server.Control, (ULONG)SimRandom());
    RigStopServer(&Server);
}

static VOID TryAllDenied(SIM_PROCESS *Process, ACCESS_MASK Access)
{
    UCHAR In[1024] = {0}, Out[1024];
    ULONG Index;
    NTSTATUS Status;
    SIM_FILE *Control = SimOpen(Process, SIM_CONTROL, Access, &Status);

    CHECK_EQ(Status, STATUS_SUCCESS);
    for (Index = 0; Index < RTL_NUMBER_OF(LengthRows); Index++)
        CHECK_EQ(RigIoctl(Control, LengthRows[Index].Code, In, sizeof(In), Out, sizeof(Out), NULL),
                 STATUS_ACCESS_DENIED);
    CHECK_EQ(RigIoctl(Control, CM_IOCTL_ARENA_LEND, In, sizeof(In), Out, 0, NULL),
             STATUS_ACCESS_DENIED);
    SimClose(Control);
}

static VOID AHandleForLessThanBothMayAskNothing(VOID)
{
    RIG_SERVER Server = RigStartServer();

    TryAllDenied(Server.Process, GENERIC_READ);
    TryAllDenied(Server.Process, GENERIC_WRITE);
    TryAllDenied(Server.Process, FILE_READ_ATTRIBUTES);
    RigStopServer(&Server);
}

/* -- the numbers of a mount -------------------------------------------------------------------- */

static VOID TryMount(SIM_FILE *Control, const struct cm_mount *Mount, NTSTATUS Expected,
                     const char *What)
{
    struct cm_mounted Mounted;
    ULONG_PTR Done;
    NTSTATUS Status =
        RigIoctl(Control, CM_IOCTL_MOUNT, Mount, sizeof(*Mount), &Mounted, sizeof(Mounted), &Done);

    if (Status != Expected)
        SimStop("mount with %s: 0x%x, expected 0x%x", What, (ULONG)Status, (ULONG)Expected);
    CHECK_EQ(Done, NT_SUCCESS(Status) ? sizeof(Mounted) : 0);
    if (!NT_SUCCESS(Status))
        return;
    CHECK_EQ(Mounted.reserved, 0);
    CHECK_EQ(Mounted.arena_size, (ULONG64)Mount->queue_depth * Mount->slot_size);
    CHECK_EQ(RigUnmount(Control, Mounted.disk_id, 0), STATUS_SUCCESS);
}

#define MOUNT(expected, change)                                                                    \
    do {                                                                                           \
        struct cm_mount M;                                                                         \
        RigMountDefaults(&M, MIB);                                                                 \
        change;                                                                                    \
        TryMount(Server.Control, &M, expected, #change);                                           \
    } while (0)

#define GOOD(change) MOUNT(STATUS_SUCCESS, change)
#define BAD(change) MOUNT(STATUS_INVALID_PARAMETER, change)

static VOID SizesOfADiskAreChecked(VOID)
{
    RIG_SERVER Server = RigStartServer();

    BAD(M.size = 0);
    BAD(M.size = 1);
    BAD(M.size = 511);
    GOOD(M.size = 512);
    BAD(M.size = 513);
    BAD(M.size = MIB - 1);
    GOOD(M.size = CM_MAX_DISK_SIZE);
    BAD(M.size = CM_MAX_DISK_SIZE - 1);
    BAD(M.size = CM_MAX_DISK_SIZE + 1);
    BAD(M.size = CM_MAX_DISK_SIZE + 512);
    BAD(M.size = UINT64_C(1) << 63);
    BAD(M.size = UINT64_MAX - 511);
    BAD(M.size = UINT64_MAX);
    GOOD(M.sector_size = 4096);
    GOOD((M.sector_size = 4096, M.size = 4096));
    BAD((M.sector_size = 4096, M.size = 4096 + 512));
    BAD((M.sector_size = 4096, M.size = 512));
    BAD(M.sector_size = 0);
    BAD(M.sector_size = 1);
    BAD(M.sector_size = 256);
    BAD(M.sector_size = 1024);
    BAD(M.sector_size = 2048);
    BAD(M.sector_size = 8192);
    BAD(M.sector_size = 0x80000000u);
    BAD(M.sector_size = UINT32_MAX);
    RigStopServer(&Server);
}

static VOID SizesOfAnArenaAreChecked(VOID)
{
    RIG_SERVER Server = RigStartServer();

    BAD(M.queue_depth = 0);
    GOOD(M.queue_depth = 1);
    GOOD(M.queue_depth = CM_MAX_QUEUE_DEPTH);
    BAD(M.queue_depth = CM_MAX_QUEUE_DEPTH + 1);
    BAD(M.queue_depth = 0x10000);
    BAD(M.queue_depth = UINT32_MAX);
    BAD(M.slot_size = 0);
    BAD(M.slot_size = 1);
    BAD(M.slot_size = 2048);
    BAD(M.slot_size = CM_MIN_SLOT_SIZE - 1);
    GOOD(M.slot_size = CM_MIN_SLOT_SIZE);
    BAD(M.slot_size = CM_MIN_SLOT_SIZE + 1);
    BAD(M.slot_size = 3 * CM_MIN_SLOT_SIZE);
    GOOD(M.slot_size = CM_MAX_SLOT_SIZE);
    BAD(M.slot_size = CM_MAX_SLOT_SIZE + 1);
    BAD(M.slot_size = CM_MAX_SLOT_SIZE * 2);
    BAD(M.slot_size = 0x80000000u);
    BAD(M.slot_size = UINT32_MAX);
    GOOD((M.queue_depth = 256, M.slot_size = MIB));
    BAD((M.queue_depth = 257, M.slot_size = MIB));
    GOOD((M.queue_depth = 1024, M.slot_size = 256 * KIB));
    BAD((M.queue_depth = 1024, M.slot_size = 512 * KIB));
    BAD((M.queue_depth = 1024, M.slot_size = MIB));
    RigStopServer(&Server);
}

static VOID FlagsTimesAndNamesOfAMountAreChecked(VOID)
{
    RIG_SERVER Server = RigStartServer();
    ULONG Bit;

    for (Bit = 0; Bit < 32; Bit++)
        MOUNT((CM_MOUNT_ALL_FLAGS >> Bit & 1) != 0 ? STATUS_SUCCESS : STATUS_INVALID_PARAMETER,
              M.flags = 1u << Bit);
    GOOD(M.flags = 0);
    GOOD(M.flags = CM_MOUNT_ALL_FLAGS);
    BAD(M.flags = UINT32_MAX);
    GOOD(M.hold_seconds = CM_MAX_HOLD_SECONDS);
    BAD(M.hold_seconds = CM_MAX_HOLD_SECONDS + 1);
    BAD(M.hold_seconds = UINT16_MAX);
    GOOD(M.timeout_seconds = CM_MAX_TIMEOUT_SECONDS);
    BAD(M.timeout_seconds = CM_MAX_TIMEOUT_SECONDS + 1);
    BAD(M.timeout_seconds = UINT16_MAX);
    MOUNT(STATUS_REVISION_MISMATCH, M.abi_version = 0);
    MOUNT(STATUS_REVISION_MISMATCH, M.abi_version = CM_ABI_VERSION + 1);
    MOUNT(STATUS_REVISION_MISMATCH, M.abi_version = UINT32_MAX);
    MOUNT(STATUS_REVISION_MISMATCH, (M.abi_version = 0, M.size = 0)); /* whatever else is wrong */
    GOOD(M.image_name[0] = 0xD800);                                   /* anything goes */
    BAD(M.image_name[CM_IMAGE_NAME_UNITS - 1] = 'x');
    BAD(memset(M.image_name, 0xFF, sizeof(M.image_name)));
    RigStopServer(&Server);
}

/* -- EXCHANGE and UNMOUNT: what is in the frame ------------------------------------------------ */

static NTSTATUS TryFrame(RIG_DISK *Disk, ULONG ReplyCount, ULONG Sent, ULONG Flags)
{
    static UCHAR In[16 + 16 * (CM_MAX_QUEUE_DEPTH + 2)];
    struct cm_exchange *Head = (struct cm_exchange *)In;
    struct cm_exchanged Out;
    ULONG_PTR Done;
    NTSTATUS Status;

    memset(In, 0, sizeof(In));
    *Head = (struct cm_exchange){.disk_id = Disk->Id, .reply_count = ReplyCount, .flags = Flags};
    Status = RigIoctl(Disk->Control, CM_IOCTL_EXCHANGE, In, 16 + Sent, &Out, sizeof(Out), &Done);
    CHECK_EQ(Done, NT_SUCCESS(Status) ? sizeof(Out) : 0);
    return Status;
}

static ULONG64 BadReplies(RIG_DISK *Disk)
{
    struct cm_stats Stats;

    CHECK_EQ(RigStats(Disk->Control, Disk->Id, &Stats), STATUS_SUCCESS);
    return Stats.bad_replies;
}

static VOID AMalformedExchangeIsRefusedAsAWhole(VOID)
{
    RIG_SERVER Server = RigStartServer();
    RIG_DISK Disk;
    ULONG Bit;

    RigMount(&Server, MIB, &Disk);
    for (Bit = 0; Bit < 32; Bit++)
        CHECK_EQ(TryFrame(&Disk, 0, 0, 1u << Bit), (CM_EXCHANGE_ALL_FLAGS >> Bit & 1) != 0
                                                       ? STATUS_SUCCESS
                                                       : STATUS_INVALID_PARAMETER);
    CHECK_EQ(TryFrame(&Disk, 1, 0, 0), STATUS_INVALID_PARAMETER);
    CHECK_EQ(TryFrame(&Disk, 1, 15, 0), STATUS_INVALID_PARAMETER);
    CHECK_EQ(TryFrame(&Disk, 2, 31, 0), STATUS_INVALID_PARAMETER);
    CHECK_EQ(TryFrame(&Disk, UINT32_MAX, 16, 0), STATUS_INVALID_PARAMETER);
    CHECK_EQ(TryFrame(&Disk, 0x10000000, 16, 0), STATUS_INVALID_PARAMETER); /* times 16 is 0 */
    CHECK_EQ(TryFrame(&Disk, CM_MAX_QUEUE_DEPTH + 1, 16 * (CM_MAX_QUEUE_DEPTH + 1), 0),
             STATUS_INVALID_PARAMETER);
    CHECK_EQ(BadReplies(&Disk), 0);
    CHECK_EQ(TryFrame(&Disk, 0, 15, 0), STATUS_SUCCESS);
    CHECK_EQ(TryFrame(&Disk, 0, 64, 0), STATUS_SUCCESS); /* more sent than announced */
    CHECK_EQ(TryFrame(&Disk, 1, 31, 0), STATUS_REQUEST_ABORTED);
    CHECK_EQ(BadReplies(&Disk), 1);
    CHECK_EQ(TryFrame(&Disk, CM_MAX_QUEUE_DEPTH, 16 * CM_MAX_QUEUE_DEPTH, 0),
             STATUS_REQUEST_ABORTED);
    CHECK_EQ(BadReplies(&Disk), 1 + CM_MAX_QUEUE_DEPTH);
    RigStopServer(&Server);
    RigForget(&Disk);
}

static VOID UnmountKnowsItsFlagsAndLeavesADiskInUseAlone(VOID)
{
    RIG_SERVER Server = RigStartServer();
    struct cm_unmount Unmount = {.flags = 0};
    SIM_FILE *File;
    RIG_DISK Disk;
    ULONG Bit;

    RigMount(&Server, MIB, &Disk);
    for (Bit = 1; Bit < 32; Bit++)
        CHECK_EQ(RigUnmount(Server.Control, Disk.Id, 1u << Bit), STATUS_INVALID_PARAMETER);
    CHECK_EQ(RigUnmount(Server.Control, Disk.Id, UINT32_MAX), STATUS_INVALID_PARAMETER);
    File = RigOpenDisk(Server.Process, &Disk);
    CHECK_EQ(RigUnmount(Server.Control, Disk.Id, 0), STATUS_DEVICE_BUSY);
    CHECK_EQ(RigUnmount(Server.Control, Disk.Id ^ 1, 0), STATUS_NOT_FOUND);
    CHECK_EQ(RigUnmount(Server.Control, UINT64_MAX, CM_UNMOUNT_FORCE), STATUS_NOT_FOUND);
    Unmount.disk_id = Disk.Id;
    Unmount.own_handles = UINT32_MAX; /* more than there are: no reason to go wrong */
    CHECK_EQ(RigIoctl(Server.Control, CM_IOCTL_UNMOUNT, &Unmount, sizeof(Unmount), NULL, 0, NULL),
             STATUS_SUCCESS);
    CHECK_EQ(RigUnmount(Server.Control, Disk.Id, 0), STATUS_NOT_FOUND);
    SimClose(File);
    RigForget(&Disk);
    RigStopServer(&Server);
}

/* -- LIST -------------------------------------------------------------------------------------- */

#define LISTED 5u
#define ENTRY sizeof(struct cm_list_entry)

static VOID MountListed(SIM_FILE *Control, ULONG Index, RIG_DISK *Disk)
{
    struct cm_mount Mount;
    ULONG Unit;

    RigMountDefaults(&Mount, (Index + 1) * MIB);
    Mount.sector_size = Index % 2 == 0 ? 512 : 4096;
    Mount.flags = Index % 4;
    Mount.queue_depth = Index + 1;
    Mount.slot_size = Index < 3 ? 4 * KIB : 8 * KIB;
    for (Unit = 0; Unit < CM_IMAGE_NAME_UNITS - 1; Unit++)
        Mount.image_name[Unit] = (UINT16)(0x100 * (Index + 1) + Unit % 100 + 1);
    CHECK_EQ(RigMountOnly(Control, &Mount, Disk), STATUS_SUCCESS);
}

static VOID CheckEntry(const struct cm_list_entry *Entry, ULONG Index, const RIG_DISK *Disk,
                       ULONG Pid)
{
    ULONG Unit;

    CHECK_EQ(Entry->disk_id, Disk->Id);
    CHECK_EQ(Entry->size, (Index + 1) * MIB);
    CHECK_EQ(Entry->sector_size, Index % 2 == 0 ? 512 : 4096);
    CHECK_EQ(Entry->flags, Index % 4);
    CHECK_EQ(Entry->queue_depth, Index + 1);
    CHECK_EQ(Entry->slot_size, Index < 3 ? 4 * KIB : 8 * KIB);
    CHECK_EQ(Entry->owner_pid, Pid);
    CHECK_EQ(Entry->number, Index);
    for (Unit = 0; Unit < CM_IMAGE_NAME_UNITS - 1; Unit++)
        CHECK_EQ(Entry->image_name[Unit], 0x100 * (Index + 1) + Unit % 100 + 1);
    CHECK_EQ(Entry->image_name[Unit], 0);
}

static VOID TryList(SIM_FILE *Control, ULONG OutLength, const RIG_DISK *Disks, ULONG Pid)
{
    static UCHAR Out[sizeof(struct cm_list) + (LISTED + 2) * ENTRY];
    struct cm_list *List = (struct cm_list *)Out;
    ULONG Room = min((OutLength - (ULONG)sizeof(*List)) / (ULONG)ENTRY, LISTED), Index;
    ULONG_PTR Done;

    memset(Out, 0x5A, sizeof(Out));
    CHECK_EQ(RigIoctl(Control, CM_IOCTL_LIST, NULL, 0, Out, OutLength, &Done),
             Room < LISTED ? STATUS_BUFFER_OVERFLOW : STATUS_SUCCESS);
    CHECK_EQ(List->total, LISTED);
    CHECK_EQ(List->count, Room);
    CHECK_EQ(Done, sizeof(*List) + Room * ENTRY);
    for (Index = 0; Index < Room; Index++)
        CheckEntry((struct cm_list_entry *)(List + 1) + Index, Index, &Disks[Index], Pid);
    CheckUntouched(Out, (ULONG)Done, sizeof(Out));
}

static VOID AListHasWhatFits(VOID)
{
    static const int Around[] = {-1, 0, 1, 8, ENTRY / 2};
    RIG_SERVER Server = RigStartServer();
    ULONG Index, Delta;
    RIG_DISK Disks[LISTED];

    for (Index = 0; Index < LISTED; Index++)
        MountListed(Server.Control, Index, &Disks[Index]);
    for (Index = 0; Index <= LISTED + 1; Index++)
        for (Delta = Index == 0; Delta < RTL_NUMBER_OF(Around); Delta++)
            TryList(Server.Control,
                    (ULONG)((int)(sizeof(struct cm_list) + Index * ENTRY) + Around[Delta]), Disks,
                    SimProcessId(Server.Process));
    RigStopServer(&Server);
}

/* -- what is in the answers -------------------------------------------------------------------- */

static VOID CheckNoFiller(const VOID *Out, SIZE_T Length)
{
    const UCHAR *Bytes = Out;
    SIZE_T Index;

    for (Index = 0; Index < Length; Index++)
        if (Bytes[Index] == FILLER)
            SimStop("byte %zu of an answer may be left from before", Index);
}

static VOID AnswersHoldNothingThatWasThereBefore(VOID)
{
    RIG_SERVER Server;
    RIG_EXCHANGE Exchange = {.In = {{0}}};
    SIM_MEMORY *Memory = SimAllocate(8 * KIB);
    UCHAR Out[4096];
    ULONG_PTR Done;
    RIG_DISK Disk;
    SIM_FILE *File;
    SIM_IO *Io;

    SimSleepMs(300);
    RigReload(); /* later, so that no part of an id is 0, and what is left of one shows */
    Server = RigStartServer();
    RigMount(&Server, MIB, &Disk);
    CHECK(Disk.Id >> 32 != 0);
    CHECK_EQ(RigIoctl(Server.Control, CM_IOCTL_VERSION, NULL, 0, Out, 16, &Done), STATUS_SUCCESS);
    CheckNoFiller(Out, Done);
    CHECK_EQ(RigIoctl(Server.Control, CM_IOCTL_STATS, &Disk.Id, 8, Out, 128, &Done),
             STATUS_SUCCESS);
    CheckNoFiller(Out, Done);
    CHECK_EQ(RigIoctl(Server.Control, CM_IOCTL_HEALTH, &Disk.Id, 8, Out, 48, &Done),
             STATUS_SUCCESS);
    CheckNoFiller(Out, Done);
    CHECK_EQ(((struct cm_health *)Out)->state, CM_HEALTH_SERVED);
    CHECK_EQ(RigIoctl(Server.Control, CM_IOCTL_LIST, NULL, 0, Out, sizeof(Out), &Done),
             STATUS_SUCCESS);
    CheckNoFiller(Out + 16, Done - 16); /* without the id, which may have any byte */
    File = RigOpenDisk(Server.Process, &Disk);
    Io = SimRead(File, 0, Memory, 0, 8 * KIB);
    CHECK_EQ(RigExchange(&Disk, &Exchange, 0, CM_EXCHANGE_NO_WAIT, 8), STATUS_SUCCESS);
    CHECK_EQ(Exchange.Out.Head.request_count, 2);
    CHECK_EQ(Exchange.Out.Head.reserved, 0);
    CHECK_EQ(Exchange.Out.Requests[0].reserved | Exchange.Out.Requests[1].reserved, 0);
    CHECK_EQ(Exchange.Out.Requests[0].flags | Exchange.Out.Requests[1].flags, 0);
    CheckNoFiller(&Exchange.Out, 8 + 2 * sizeof(struct cm_request));
    CHECK_EQ(RigUnmount(Server.Control, Disk.Id, CM_UNMOUNT_FORCE), STATUS_SUCCESS);
    CHECK_EQ(SimFinish(Io, NULL), STATUS_NO_SUCH_DEVICE);
    SimClose(File);
    RigForget(&Disk);
    RigStopServer(&Server);
    SimFree(Memory);
}

/* -- ids that are out of date ------------------------------------------------------------------ */

static VOID CheckIsUnknown(SIM_FILE *Control, ULONG64 Id)
{
    struct cm_arena Arena = {.disk_id = Id, .size = 32 * KIB};
    struct cm_exchange Exchange = {.disk_id = Id};
    struct cm_attach Attach = {.abi_version = CM_ABI_VERSION, .disk_id = Id, .size = MIB};
    SIM_MEMORY *Memory = SimAllocate(32 * KIB);
    UCHAR Out[256];

    CHECK_EQ(RigUnmount(Control, Id, 0), STATUS_NOT_FOUND);
    CHECK_EQ(RigUnmount(Control, Id, CM_UNMOUNT_FORCE), STATUS_NOT_FOUND);
    CHECK_EQ(RigIoctl(Control, CM_IOCTL_STATS, &Id, 8, Out, 128, NULL), STATUS_NOT_FOUND);
    CHECK_EQ(RigIoctl(Control, CM_IOCTL_HEALTH, &Id, 8, Out, 48, NULL), STATUS_NOT_FOUND);
    CHECK_EQ(RigIoctl(Control, CM_IOCTL_ARENA_MAP, &Arena, 16, Out, 16, NULL), STATUS_NOT_FOUND);
    CHECK_EQ(
        SimFinish(SimIoctlDirect(Control, CM_IOCTL_ARENA_LEND, &Arena, 16, Memory, 0, 32 * KIB),
                  NULL),
        STATUS_NOT_FOUND);
    CHECK_EQ(RigIoctl(Control, CM_IOCTL_EXCHANGE, &Exchange, 16, Out, 40, NULL), STATUS_NOT_FOUND);
    CHECK_EQ(RigIoctl(Control, CM_IOCTL_ATTACH, &Attach, sizeof(Attach), Out, 40, NULL),
             STATUS_NOT_FOUND);
    SimFree(Memory);
}

static VOID AnIdOutOfDateNamesNothing(VOID)
{
    RIG_SERVER Server = RigStartServer();
    ULONG64 Old, Older;
    RIG_DISK Disk;
    ULONG Bit;

    RigMount(&Server, MIB, &Disk);
    for (Bit = 0; Bit < 64; Bit++)
        CheckIsUnknown(Server.Control, Disk.Id ^ UINT64_C(1) << Bit);
    Older = Disk.Id;
    CHECK_EQ(RigUnmount(Server.Control, Disk.Id, 0), STATUS_SUCCESS);
    RigForget(&Disk);
    CheckIsUnknown(Server.Control, Older);
    RigMount(&Server, MIB, &Disk);
    Old = Disk.Id;
    CHECK(Old != Older);
    CheckIsUnknown(Server.Control, Older);
    RigStopServer(&Server);
    RigForget(&Disk);

    SimSleepMs(5); /* no stop and start on a machine takes less */
    RigReload();
    Server = RigStartServer();
    RigMount(&Server, MIB, &Disk);
    CHECK(Disk.Id != Older && Disk.Id != Old);
    CheckIsUnknown(Server.Control, Older);
    CheckIsUnknown(Server.Control, Old);
    RigStopServer(&Server);
    RigForget(&Disk);
}

static const RIG_TEST Tests[] = {
    RIG_TEST(EachLengthIsAnswered, 1),
    RIG_TEST(UnknownCodesAreRefused, 1),
    RIG_TEST(AHandleForLessThanBothMayAskNothing, 1),
    RIG_TEST(SizesOfADiskAreChecked, 1),
    RIG_TEST(SizesOfAnArenaAreChecked, 1),
    RIG_TEST(FlagsTimesAndNamesOfAMountAreChecked, 1),
    RIG_TEST(AMalformedExchangeIsRefusedAsAWhole, 1),
    RIG_TEST(UnmountKnowsItsFlagsAndLeavesADiskInUseAlone, 1),
    RIG_TEST(AListHasWhatFits, 1),
    RIG_TEST(AnswersHoldNothingThatWasThereBefore, 1),
    RIG_TEST(AnIdOutOfDateNamesNothing, 1),
};

int main(int Count, char **Arguments)
{
    return RigMain(Count, Arguments, Tests, RTL_NUMBER_OF(Tests));
}
