/* SPDX-License-Identifier: MIT */
/*
 * ioctl.c - a fuzz target for each ioctl of the driver: the input is how it is called, in which state of a disk,
 * with what lengths and with what in its buffer. One program under many names, of which each is an ioctl of the
 * table below (ioctl_NAME); ioctl_any takes the code from the input as well.
 *
 * Checked is what every ioctl owes: the statuses that the contract gives for lengths, no result with an error,
 * not a byte of output that nobody has written, and that all ends well afterwards.
 */
#include <stdio.h>
#include <stdlib.h>

#include <mountdev.h>
#include <ntdddisk.h>
#include <ntddstor.h>
#include <ntddvol.h>

#include "fuzz.h"

/* -- the ioctls -------------------------------------------------------------------------------- */

#define NO_ID MAXULONG64
#define VARIES 1u  /* its output holds times or addresses, so any byte may be there by chance */
#define OF_DISK 2u /* not of the control device */
#define DIRECT 4u
#define SETS_ASIDE 8u /* other checks come before those of lengths */

typedef struct ROW {
    const char *Name;
    ULONG Code, Flags;
    ULONG64 IdAt;  /* where in its input a disk's id is */
    ULONG In, Out; /* the least lengths; for SETS_ASIDE: the usual ones */
} ROW;

#define IN_OUT(in, out) sizeof(struct in), sizeof(struct out)

static const ROW Rows[] = {
    {"exchange", CM_IOCTL_EXCHANGE, 0, 0, IN_OUT(cm_exchange, cm_exchanged)},
    {"version", CM_IOCTL_VERSION, 0, NO_ID, 0, sizeof(struct cm_version)},
    {"mount", CM_IOCTL_MOUNT, 0, NO_ID, IN_OUT(cm_mount, cm_mounted)},
    {"unmount", CM_IOCTL_UNMOUNT, 0, 0, sizeof(struct cm_unmount), 0},
    {"arena_map", CM_IOCTL_ARENA_MAP, VARIES, 0, IN_OUT(cm_arena, cm_arena_mapped)},
    {"arena_lend", CM_IOCTL_ARENA_LEND, DIRECT, 0, sizeof(struct cm_arena), 1},
    {"list", CM_IOCTL_LIST, 0, NO_ID, 0, sizeof(struct cm_list)},
    {"attach", CM_IOCTL_ATTACH, 0, 8, IN_OUT(cm_attach, cm_attached)},
    {"stats", CM_IOCTL_STATS, VARIES, 0, IN_OUT(cm_stats_of, cm_stats)},
    {"health", CM_IOCTL_HEALTH, VARIES, 0, IN_OUT(cm_health_of, cm_health)},
    {"identify", CM_IOCTL_IDENTIFY, 0, 0, sizeof(struct cm_identify), 0},
    {"resize", CM_IOCTL_RESIZE, 0, 0, sizeof(struct cm_resize), 0},
    {"disk_length", IOCTL_DISK_GET_LENGTH_INFO, OF_DISK, NO_ID, 0, 8},
    {"disk_geometry", IOCTL_DISK_GET_DRIVE_GEOMETRY, OF_DISK, NO_ID, 0, sizeof(DISK_GEOMETRY)},
    {"disk_geometry_ex", IOCTL_DISK_GET_DRIVE_GEOMETRY_EX, OF_DISK, NO_ID, 0,
     FIELD_OFFSET(DISK_GEOMETRY_EX, Data)},
    {"disk_media_types", IOCTL_DISK_GET_MEDIA_TYPES, OF_DISK, NO_ID, 0, sizeof(DISK_GEOMETRY)},
    {"storage_media_types", IOCTL_STORAGE_GET_MEDIA_TYPES, OF_DISK, NO_ID, 0,
     sizeof(DISK_GEOMETRY)},
    {"disk_partition", IOCTL_DISK_GET_PARTITION_INFO, OF_DISK, NO_ID, 0,
     sizeof(PARTITION_INFORMATION)},
    {"disk_partition_ex", IOCTL_DISK_GET_PARTITION_INFO_EX, OF_DISK, NO_ID, 0,
     sizeof(PARTITION_INFORMATION_EX)},
    {"disk_set_partition", IOCTL_DISK_SET_PARTITION_INFO, OF_DISK, NO_ID,
     sizeof(SET_PARTITION_INFORMATION), 0},
    {"disk_set_partition_ex", IOCTL_DISK_SET_PARTITION_INFO_EX, OF_DISK, NO_ID,
     sizeof(SET_PARTITION_INFORMATION_EX), 0},
    {"disk_is_writable", IOCTL_DISK_IS_WRITABLE, OF_DISK, NO_ID, 0, 0},
    {"disk_verify", IOCTL_DISK_VERIFY, OF_DISK, NO_ID, sizeof(VERIFY_INFORMATION), 0},
    {"disk_check_verify", IOCTL_DISK_CHECK_VERIFY, OF_DISK | SETS_ASIDE, NO_ID, 0, 4},
    {"storage_check_verify", IOCTL_STORAGE_CHECK_VERIFY, OF_DISK | SETS_ASIDE, NO_ID, 0, 4},
    {"storage_check_verify2", IOCTL_STORAGE_CHECK_VERIFY2, OF_DISK | SETS_ASIDE, NO_ID, 0, 4},
    {"disk_media_removal", IOCTL_DISK_MEDIA_REMOVAL, OF_DISK, NO_ID, sizeof(PREVENT_MEDIA_REMOVAL),
     0},
    {"storage_media_removal", IOCTL_STORAGE_MEDIA_REMOVAL, OF_DISK, NO_ID,
     sizeof(PREVENT_MEDIA_REMOVAL), 0},
    {"storage_ejection_control", IOCTL_STORAGE_EJECTION_CONTROL, OF_DISK, NO_ID,
     sizeof(PREVENT_MEDIA_REMOVAL), 0},
    {"storage_hotplug", IOCTL_STORAGE_GET_HOTPLUG_INFO, OF_DISK, NO_ID, 0,
     sizeof(STORAGE_HOTPLUG_INFO)},
    {"storage_query_property", IOCTL_STORAGE_QUERY_PROPERTY, OF_DISK | SETS_ASIDE, NO_ID, 12, 1024},
    {"storage_manage_data_set", IOCTL_STORAGE_MANAGE_DATA_SET_ATTRIBUTES, OF_DISK | SETS_ASIDE,
     NO_ID, sizeof(DEVICE_MANAGE_DATA_SET_ATTRIBUTES), 0},
    {"disk_layout", IOCTL_DISK_GET_DRIVE_LAYOUT, OF_DISK, NO_ID, 0,
     sizeof(DRIVE_LAYOUT_INFORMATION)},
    {"disk_layout_ex", IOCTL_DISK_GET_DRIVE_LAYOUT_EX, OF_DISK, NO_ID, 0,
     sizeof(DRIVE_LAYOUT_INFORMATION_EX)},
    {"disk_cache", IOCTL_DISK_GET_CACHE_INFORMATION, OF_DISK, NO_ID, 0,
     sizeof(DISK_CACHE_INFORMATION)},
    {"disk_is_clustered", 0x700F8, OF_DISK, NO_ID, 0, 1},
    {"disk_cluster_info", 0x70214, OF_DISK, NO_ID, 0, 0},
    {"disk_update", IOCTL_DISK_UPDATE_PROPERTIES, OF_DISK, NO_ID, 0, 0},
    {"storage_media_types_ex", IOCTL_STORAGE_GET_MEDIA_TYPES_EX, OF_DISK, NO_ID, 0,
     sizeof(GET_MEDIA_TYPES)},
    {"storage_capacity", IOCTL_STORAGE_READ_CAPACITY, OF_DISK, NO_ID, 0,
     sizeof(STORAGE_READ_CAPACITY)},
    {"volume_online", IOCTL_VOLUME_ONLINE, OF_DISK, NO_ID, 0, 0},
    {"volume_is_io_capable", IOCTL_VOLUME_IS_IO_CAPABLE, OF_DISK, NO_ID, 0, 0},
    {"volume_is_dynamic", 0x560048, OF_DISK, NO_ID, 0, 1},
    {"volume_attributes", IOCTL_VOLUME_GET_GPT_ATTRIBUTES, OF_DISK, NO_ID, 0, 8},
    {"mountdev_name", IOCTL_MOUNTDEV_QUERY_DEVICE_NAME, OF_DISK, NO_ID, 0, sizeof(MOUNTDEV_NAME)},
    {"mountdev_unique_id", IOCTL_MOUNTDEV_QUERY_UNIQUE_ID, OF_DISK | SETS_ASIDE, NO_ID, 0, 18},
    {"mountdev_link", IOCTL_MOUNTDEV_QUERY_SUGGESTED_LINK_NAME, OF_DISK | SETS_ASIDE, NO_ID, 0, 32},
    {"mountdev_link_created", IOCTL_MOUNTDEV_LINK_CREATED, OF_DISK | SETS_ASIDE, NO_ID, 2, 0},
    {"mountdev_link_deleted", IOCTL_MOUNTDEV_LINK_DELETED, OF_DISK | SETS_ASIDE, NO_ID, 2, 0},
    {"any", 0, VARIES | SETS_ASIDE, NO_ID, 0, 0},
};

static const ROW *Row; /* this program's */

static BOOLEAN IsAny(VOID)
{
    return Row->Code == 0;
}

/* -- inputs ------------------------------------------------------------------------------------ */

/* The head of an input; what follows is put into the buffer, which is zeros from there on. */
typedef struct CALL {
    UCHAR State; /* STATE_* */
    UCHAR Flags; /* CALL_* */
    USHORT InLength, OutLength;
    ULONG Code; /* of ioctl_any */
} __attribute__((packed)) CALL;

enum { STATE_STARTING, STATE_SERVED, STATE_HELD, STATE_REMOVED, STATE_COUNT };

#define CALL_ON_WINE 1u
#define CALL_READ_ONLY 2u
#define CALL_NO_TRIM 4u
#define CALL_BY_OTHER 8u    /* another server's handle; of a disk: a handle for attributes */
#define CALL_WITHOUT_ID 16u /* otherwise the disk's id is put where it belongs */
#define CALL_LARGE_SECTOR 32u
#define CALL_CANCELLED 64u
#define CALL_ON_DISK 128u /* ioctl_any */

#define MAX_LENGTH 2048u
#define UNTOUCHED 0xA5 /* what the simulation fills a buffer with behind its input */
#define DISK_BYTES (64 * KIB)

/* -- a disk in a state ------------------------------------------------------------------------- */

typedef struct STAGE {
    RIG_SERVER Owner, Other;
    BOOLEAN OwnerIsGone;
    SIM_PROCESS *Client;
    SIM_FILE *File, *AttributesFile;
    RIG_DISK Disk;
    SIM_IO *Ios[3];
    ULONG IoCount;
    PUCHAR Image;
} STAGE;

/* Two requests that wait and one that the server has, with a tag that is known: 0x10000. */
static VOID StartIo(STAGE *Stage)
{
    struct cm_request Request;

    Stage->Ios[Stage->IoCount++] = SimRead(Stage->File, 0, FuzzMemory(), 0, 4 * KIB);
    CHECK_EQ(RigFetch(&Stage->Disk, &Request, 1), 1);
    CHECK_EQ(Request.tag, 0x10000);
    Stage->Ios[Stage->IoCount++] = SimRead(Stage->File, 0, FuzzMemory(), 4 * KIB, 8 * KIB);
    Stage->Ios[Stage->IoCount++] = SimFlush(Stage->File);
}

/* As the mount manager will know it; some disks want no letter. */
static VOID Identify(const STAGE *Stage, const CALL *Call)
{
    struct cm_identify In = {.disk_id = Stage->Disk.Id, .unique_id = {1, 2, 3}};

    In.letter = (Call->Flags & CALL_READ_ONLY) != 0 ? 0 : 'Q';
    CHECK_EQ(RigIoctl(Stage->Owner.Control, CM_IOCTL_IDENTIFY, &In, sizeof(In), NULL, 0, NULL),
             STATUS_SUCCESS);
}

static VOID SetUp(STAGE *Stage, const CALL *Call)
{
    struct cm_mount Mount;
    NTSTATUS Status;

    memset(Stage, 0, sizeof(*Stage));
    Stage->Owner = RigStartServer();
    Stage->Other = RigStartServer();
    Stage->Client = SimCreateProcess(TRUE);
    RigMountDefaults(&Mount, DISK_BYTES);
    Mount.flags = (Call->Flags & CALL_READ_ONLY) != 0 ? CM_MOUNT_READ_ONLY : 0;
    Mount.flags |= (Call->Flags & CALL_NO_TRIM) != 0 ? 0 : CM_MOUNT_TRIM | CM_MOUNT_RESIZE;
    Mount.sector_size = (Call->Flags & CALL_LARGE_SECTOR) != 0 ? 4096 : 512;
    Mount.hold_seconds = Call->State == STATE_HELD ? 60 : 0;
    CHECK_EQ(RigMountOnly(Stage->Owner.Control, &Mount, &Stage->Disk), STATUS_SUCCESS);
    if (Call->State == STATE_STARTING)
        return;
    CHECK_EQ(RigGiveArena(&Stage->Disk), STATUS_SUCCESS);
    Stage->File = RigOpenDisk(Stage->Client, &Stage->Disk);
    Stage->AttributesFile = SimOpen(Stage->Client, Stage->Disk.Name, FILE_READ_ATTRIBUTES, &Status);
    CHECK_EQ(Status, STATUS_SUCCESS);
    if ((Call->Flags & CALL_NO_TRIM) == 0)
        Identify(Stage, Call);
    if (Call->State == STATE_SERVED)
        StartIo(Stage);
    if (Call->State == STATE_HELD) {
        RigKillServer(&Stage->Owner);
        Stage->OwnerIsGone = TRUE;
    }
    if (Call->State == STATE_REMOVED)
        CHECK_EQ(RigUnmount(Stage->Other.Control, Stage->Disk.Id, CM_UNMOUNT_FORCE),
                 STATUS_SUCCESS);
}

static VOID UnmountAll(SIM_FILE *Control)
{
    struct {
        struct cm_list Head;
        struct cm_list_entry Entries[4];
    } List;
    ULONG Index;

    CHECK_EQ(SimFinish(SimIoctl(Control, CM_IOCTL_LIST, NULL, 0, &List, sizeof(List)), NULL),
             STATUS_SUCCESS);
    for (Index = 0; Index < List.Head.count; Index++)
        CHECK_EQ(RigUnmount(Control, List.Entries[Index].disk_id, CM_UNMOUNT_FORCE),
                 STATUS_SUCCESS);
}

static VOID TearDown(STAGE *Stage)
{
    ULONG Index;

    UnmountAll(Stage->Other.Control);
    for (Index = 0; Index < Stage->IoCount; Index++)
        SimFinish(Stage->Ios[Index], NULL);
    if (Stage->File != NULL)
        SimClose(Stage->File);
    if (Stage->AttributesFile != NULL)
        SimClose(Stage->AttributesFile);
    SimEndProcess(Stage->Client);
    RigForget(&Stage->Disk);
    if (!Stage->OwnerIsGone)
        RigStopServer(&Stage->Owner);
    RigStopServer(&Stage->Other);
    CHECK(SimStopDriver());
}

/* -- the call ---------------------------------------------------------------------------------- */

static SIM_FILE *FileFor(const STAGE *Stage, const CALL *Call)
{
    BOOLEAN ByOther = (Call->Flags & CALL_BY_OTHER) != 0 || Stage->OwnerIsGone;

    if ((Row->Flags & OF_DISK) != 0 || (IsAny() && (Call->Flags & CALL_ON_DISK) != 0))
        return (Call->Flags & CALL_BY_OTHER) != 0 ? Stage->AttributesFile : Stage->File;
    return ByOther ? Stage->Other.Control : Stage->Owner.Control;
}

static VOID CheckOutput(const UCHAR *Out, const CALL *Call, ULONG_PTR Length)
{
    ULONG_PTR Index;

    CHECK(Length <= Call->OutLength);
    /* In the place of the input there is the input. */
    for (Index = Call->InLength; Index < Length; Index++)
        if (Out[Index] == UNTOUCHED &&
            ((Row->Flags & VARIES) == 0 || (Index + 1 < Length && Out[Index + 1] == UNTOUCHED)))
            SimStop("byte %zu of %zu of the output has not been written", (size_t)Index,
                    (size_t)Length);
}

/* The contract's statuses for lengths; they come before all else but the disk's being there. */
static VOID CheckStatus(const CALL *Call, NTSTATUS Status, ULONG_PTR Information)
{
    CHECK(Status != STATUS_PENDING);
    CHECK(!NT_ERROR(Status) || Information == 0);
    if ((Row->Flags & SETS_ASIDE) != 0 || Status == STATUS_ACCESS_DENIED ||
        ((Row->Flags & OF_DISK) != 0 && Call->State != STATE_SERVED && Call->State != STATE_HELD))
        return;
    if (Call->InLength < Row->In)
        CHECK_EQ(Status, STATUS_INFO_LENGTH_MISMATCH);
    else if (Call->OutLength < Row->Out)
        CHECK_EQ(Status, STATUS_BUFFER_TOO_SMALL);
    else
        CHECK(Status != STATUS_INFO_LENGTH_MISMATCH && Status != STATUS_INVALID_DEVICE_REQUEST);
}

static VOID Do(STAGE *Stage, const CALL *Call, PUCHAR In)
{
    UCHAR Out[MAX_LENGTH];
    SIM_REQUEST Request = {.Major = IRP_MJ_DEVICE_CONTROL,
                           .Code = IsAny() ? Call->Code : Row->Code};
    SIM_FILE *File = FileFor(Stage, Call);
    ULONG_PTR Information;
    NTSTATUS Status;
    SIM_IO *Io;

    if (File == NULL)
        return;
    if (Row->IdAt != NO_ID && (Call->Flags & CALL_WITHOUT_ID) == 0)
        memcpy(In + Row->IdAt, &Stage->Disk.Id, sizeof(Stage->Disk.Id));
    Request.In = In;
    Request.InLength = Call->InLength;
    Request.Out = Out;
    Request.OutLength = Call->OutLength;
    Request.CancelFirst = (Call->Flags & CALL_CANCELLED) != 0;
    if ((Row->Flags & DIRECT) != 0 && Call->OutLength != 0) {
        /* In units of 16 bytes, so that it can be an arena. */
        Request.Memory = FuzzMemory();
        Request.At = 64 * KIB;
        Request.OutLength = Request.MdlLength = Call->OutLength * 16u;
    }
    Io = SimSend(File, &Request);
    SimSleepMs(1);
    if (!SimIsDone(Io))
        SimCancel(Io);
    Status = SimFinish(Io, &Information);
    CheckStatus(Call, Status, Information);
    if ((Row->Flags & DIRECT) == 0 && (Request.Code & 3) == METHOD_BUFFERED && !NT_ERROR(Status))
        CheckOutput(Out, Call, Information);
}

int LLVMFuzzerTestOneInput(const uint8_t *Data, size_t Size)
{
    UCHAR In[MAX_LENGTH + sizeof(ULONG64) + sizeof(struct cm_mount)] = {0};
    SIM_OPTIONS Options = {.Serial = TRUE};
    STAGE Stage;
    SIZE_T Index;
    CALL Call;

    if (Size < sizeof(Call))
        return -1;
    memcpy(&Call, Data, sizeof(Call));
    memcpy(In, Data + sizeof(Call), min(Size - sizeof(Call), MAX_LENGTH));
    for (Index = 0; Index < MAX_LENGTH; Index++)
        if (In[Index] == UNTOUCHED)
            In[Index] = 0;
    Call.State %= STATE_COUNT;
    Call.InLength %= MAX_LENGTH;
    Call.OutLength %= MAX_LENGTH + 1;
    Options.System = (Call.Flags & CALL_ON_WINE) != 0 ? SIM_WINE : SIM_NT;
    SimBoot(&Options);
    CHECK_EQ(SimLoadDriver(), STATUS_SUCCESS);
    SetUp(&Stage, &Call);
    Do(&Stage, &Call, In);
    TearDown(&Stage);
    SimShutDown();
    return 0;
}

/* -- seeds ------------------------------------------------------------------------------------- */

#define MAX_SEEDS 64u

static SEED Seeds[MAX_SEEDS];
static ULONG SeedCount;

static VOID AddSeed(const char *Name, UCHAR State, UCHAR Flags, const VOID *In, ULONG InLength,
                    ULONG OutLength)
{
    CALL Call = {.State = State,
                 .Flags = Flags,
                 .InLength = (USHORT)InLength,
                 .OutLength = (USHORT)OutLength,
                 .Code = CM_IOCTL_VERSION};
    PUCHAR Bytes = malloc(sizeof(Call) + InLength);

    CHECK(SeedCount < MAX_SEEDS);
    memcpy(Bytes, &Call, sizeof(Call));
    memcpy(Bytes + sizeof(Call), In, InLength);
    Seeds[SeedCount++] = (SEED){Name, Bytes, sizeof(Call) + InLength};
}

static VOID AddMountSeeds(VOID)
{
    struct cm_mount Mount;

    RigMountDefaults(&Mount, MIB);
    Mount.image_name[0] = 'x';
    AddSeed("a good mount", STATE_SERVED, 0, &Mount, sizeof(Mount), sizeof(struct cm_mounted));
    Mount.queue_depth = CM_MAX_QUEUE_DEPTH;
    Mount.slot_size = CM_MAX_SLOT_SIZE;
    AddSeed("too large an arena", STATE_STARTING, CALL_ON_WINE, &Mount, sizeof(Mount), 24);
}

static VOID AddExchangeSeeds(VOID)
{
    struct {
        struct cm_exchange Head;
        struct cm_reply Replies[2];
    } In = {.Head = {.reply_count = 1}, .Replies = {{.tag = 0x10000, .length = 4 * KIB}}};

    AddSeed("an answer", STATE_SERVED, 0, &In, sizeof(In), 8 + 3 * 32);
    AddSeed("an answer", STATE_SERVED, CALL_ON_WINE, &In, sizeof(In), 8 + 3 * 32);
    In.Head.reply_count = 2;
    In.Replies[1] = In.Replies[0];
    AddSeed("one twice", STATE_SERVED, 0, &In, sizeof(In), 8);
    In.Head.reply_count = 3;
    AddSeed("more announced than sent", STATE_SERVED, 0, &In, sizeof(In), 8);
    In.Head.reply_count = 0;
    In.Head.flags = CM_EXCHANGE_NO_WAIT;
    AddSeed("nothing", STATE_STARTING, 0, &In, sizeof(In.Head), 8 + 32);
}

static VOID AddArenaSeeds(VOID)
{
    struct cm_arena Arena = {.size = 8 * 4 * KIB};

    AddSeed("memory", STATE_STARTING, CALL_ON_WINE, &Arena, sizeof(Arena), 16);
    AddSeed("memory", STATE_STARTING, 0, &Arena, sizeof(Arena), 8 * 4 * KIB / 16);
    AddSeed("once more", STATE_SERVED, 0, &Arena, sizeof(Arena), 8 * 4 * KIB / 16);
    Arena.size++;
    AddSeed("of another size", STATE_STARTING, 0, &Arena, sizeof(Arena), 16);
}

static VOID AddTrimSeeds(VOID)
{
    struct {
        DEVICE_MANAGE_DATA_SET_ATTRIBUTES Set;
        UCHAR Ranges[32];
    } In = {.Set = {sizeof(In.Set), DeviceDsmAction_Trim, 0, 0, 0, sizeof(In.Set), 32}};
    DEVICE_DATA_SET_RANGE Range = {8 * KIB, 4 * KIB};

    memcpy(In.Ranges, &Range, sizeof(Range));
    AddSeed("two ranges, one empty", STATE_SERVED, 0, &In, sizeof(In), 0);
    AddSeed("on Wine", STATE_HELD, CALL_ON_WINE, &In, sizeof(In), 0);
    Range.StartingOffset = DISK_BYTES - 512;
    memcpy(In.Ranges + sizeof(Range), &Range, sizeof(Range));
    AddSeed("beyond the end", STATE_SERVED, CALL_LARGE_SECTOR, &In, sizeof(In), 0);
}

/* A name that fits, one that does not, and half a character. */
static VOID AddLinkSeeds(VOID)
{
    UCHAR In[2 + 28] = {28, 0, '\\', 0, 'D'};

    AddSeed("a link", STATE_SERVED, 0, In, sizeof(In), 0);
    AddSeed("a link on Wine", STATE_HELD, CALL_ON_WINE, In, sizeof(In), 0);
    AddSeed("a byte short", STATE_SERVED, 0, In, sizeof(In) - 1, 0);
    In[0] = 27;
    AddSeed("half a character", STATE_SERVED, 0, In, sizeof(In), 0);
    In[1] = 0xFF;
    AddSeed("far too long", STATE_SERVED, 0, In, sizeof(In), 0);
}

/* With no identity; with one; with one and no letter; and with room for the head alone. */
static VOID AddNameSeeds(VOID)
{
    static const UCHAR Flags[] = {0, CALL_READ_ONLY, CALL_NO_TRIM, CALL_ON_WINE};
    ULONG Index;

    for (Index = 0; Index < RTL_NUMBER_OF(Flags); Index++) {
        AddSeed("a name", STATE_SERVED, Flags[Index], "", 0, 128);
        AddSeed("its head", STATE_HELD, Flags[Index], "", 0, 6);
        AddSeed("not even that", STATE_SERVED, Flags[Index], "", 0, 3);
    }
}

static VOID AddSpecialSeeds(VOID)
{
    struct cm_attach Attach = {.abi_version = CM_ABI_VERSION, .size = DISK_BYTES};
    struct cm_identify Identity = {.unique_id = {4, 5, 6}, .letter = 'C'};
    struct cm_resize Resize = {.size = 2 * DISK_BYTES};
    struct cm_unmount Unmount = {.own_handles = 2};
    VERIFY_INFORMATION Range = {.StartingOffset.QuadPart = 4 * KIB, .Length = 4 * KIB};
    STORAGE_PROPERTY_QUERY Query = {.QueryType = PropertyStandardQuery};
    ULONG Id;

    if (Row->Code == CM_IOCTL_MOUNT)
        AddMountSeeds();
    if (Row->Code == CM_IOCTL_EXCHANGE)
        AddExchangeSeeds();
    if (Row->Code == CM_IOCTL_ARENA_MAP || Row->Code == CM_IOCTL_ARENA_LEND)
        AddArenaSeeds();
    if (Row->Code == IOCTL_STORAGE_MANAGE_DATA_SET_ATTRIBUTES)
        AddTrimSeeds();
    if (Row->Code == CM_IOCTL_ATTACH)
        AddSeed("a good attach", STATE_HELD, 0, &Attach, sizeof(Attach), 40);
    if (Row->Code == CM_IOCTL_IDENTIFY)
        AddSeed("a good identity", STATE_SERVED, 0, &Identity, sizeof(Identity), 0);
    if (Row->Code == CM_IOCTL_RESIZE)
        AddSeed("a larger size", STATE_SERVED, 0, &Resize, sizeof(Resize), 0);
    if (Row->Code == CM_IOCTL_UNMOUNT)
        AddSeed("a good unmount", STATE_HELD, 0, &Unmount, sizeof(Unmount), 0);
    if (Row->Code == IOCTL_MOUNTDEV_LINK_CREATED || Row->Code == IOCTL_MOUNTDEV_LINK_DELETED)
        AddLinkSeeds();
    if (Row->Code == IOCTL_MOUNTDEV_QUERY_DEVICE_NAME ||
        Row->Code == IOCTL_MOUNTDEV_QUERY_UNIQUE_ID ||
        Row->Code == IOCTL_MOUNTDEV_QUERY_SUGGESTED_LINK_NAME)
        AddNameSeeds();
    if (Row->Code == IOCTL_DISK_VERIFY)
        AddSeed("a good range", STATE_SERVED, 0, &Range, sizeof(Range), 0);
    for (Id = 0; Row->Code == IOCTL_STORAGE_QUERY_PROPERTY && Id < 12; Id++) {
        Query.PropertyId = Id;
        AddSeed("a property", STATE_SERVED, 0, &Query, sizeof(Query), 1024);
        AddSeed("its header", STATE_SERVED, CALL_READ_ONLY, &Query, sizeof(Query), 8);
    }
}

/* Of every one: called rightly in each state, and with room for more than there is. */
static VOID AddUsualSeeds(VOID)
{
    static const UCHAR Zeros[MAX_LENGTH];
    UCHAR State;

    for (State = 0; State < STATE_COUNT; State++) {
        AddSeed("as it should be", State, 0, Zeros, Row->In, Row->Out);
        AddSeed("on Wine", State, CALL_ON_WINE, Zeros, Row->In, Row->Out);
        AddSeed("by others", State, CALL_BY_OTHER, Zeros, Row->In, Row->Out);
    }
    AddSeed("with much room", STATE_SERVED, 0, Zeros, Row->In, 1200);
}

const SEED *FuzzSeeds(const char *ProgramName, ULONG *Count)
{
    static const char Prefix[] = "ioctl_";
    ULONG Index;

    for (Index = 0; Index < RTL_NUMBER_OF(Rows); Index++)
        if (strncmp(ProgramName, Prefix, sizeof(Prefix) - 1) == 0 &&
            strcmp(ProgramName + sizeof(Prefix) - 1, Rows[Index].Name) == 0)
            Row = &Rows[Index];
    if (Row == NULL) {
        fprintf(stderr, "%s is not the name of an ioctl's target: ioctl_NAME, with one of\n",
                ProgramName);
        for (Index = 0; Index < RTL_NUMBER_OF(Rows); Index++)
            fprintf(stderr, "  %s\n", Rows[Index].Name);
        exit(1);
    }
    if (SeedCount == 0) {
        AddUsualSeeds();
        AddSpecialSeeds();
    }
    *Count = SeedCount;
    return Seeds;
}
