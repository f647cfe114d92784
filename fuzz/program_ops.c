/* SPDX-License-Identifier: MIT */
/*
 * program_ops.c - the operations of a program that are a client's, and those that begin and end processes,
 * disks and the driver; see program.h. One that makes no sense at its moment does nothing. Whatever is about to
 * end is marked so before, as other threads may start something on it meanwhile.
 */
#include <stdio.h>

#include <ntdddisk.h>
#include <ntddstor.h>

#include "program.h"

/* -- finding ----------------------------------------------------------------------------------- */

PROCESS *ProgramServer(UCHAR Number)
{
    PROCESS *Server = &Program.Servers[Number % MAX_SERVERS];

    return Server->Control != NULL ? Server : NULL;
}

DISK_MODEL *ProgramDisk(UCHAR Number)
{
    DISK_MODEL *Disk = &Program.Disks[Number % max(Program.DiskCount, 1)];

    return Program.DiskCount != 0 && !Disk->Dead ? Disk : NULL;
}

static OPEN_FILE *FileOf(UCHAR Number)
{
    OPEN_FILE *File = &Program.Files[Number % MAX_FILES];

    return File->File != NULL ? File : NULL;
}

IO *ProgramNewIo(IO_KIND Kind, SIM_PROCESS *Process, DISK_MODEL *Disk)
{
    ULONG From = Kind == IO_CLIENT ? 0 : MAX_CLIENT_IOS;
    ULONG To = Kind == IO_CLIENT ? MAX_CLIENT_IOS : MAX_IOS, Index;

    for (Index = From; Index < To; Index++) {
        IO *Io = &Program.Ios[Index];
        if (Io->Kind != IO_NONE)
            continue;
        Io->Kind = Kind;
        Io->Process = Process;
        Io->Disk = Disk;
        Io->Client.Slot = Index;
        return Io;
    }
    return NULL;
}

/* -- servers and disks ------------------------------------------------------------------------- */

VOID OpStartServer(const OP *Op)
{
    PROCESS *Server = &Program.Servers[Op->A % MAX_SERVERS];
    SIM_PROCESS *Process = Server->Process;
    SIM_FILE *Control;
    NTSTATUS Status;

    if (Server->Control != NULL || Server->Busy != 0)
        return;
    if (Process == NULL)
        Process = Server->Process = SimCreateProcess(TRUE);
    Server->Busy++;
    Control = SimOpen(Process, SIM_CONTROL, GENERIC_READ | GENERIC_WRITE, &Status);
    CHECK(NT_SUCCESS(Status) || Program.Stopping || !SimDriverIsLoaded());
    if (Control != NULL && !NT_SUCCESS(Status))
        SimClose(Control); /* Wine lets a refused open through */
    else
        Server->Control = Control;
    Server->Busy--;
}

static const ULONG64 Sizes[] = {64 * KIB, 4 * KIB,          512, 8 * KIB + 512, UINT64_C(1) << 40,
                                0,        CM_MAX_DISK_SIZE, 1000};

static BOOLEAN FillMount(const OP *Op, struct cm_mount *Mount)
{
    ULONG Seconds = 1 + (Op->C >> 3 & 3);

    memset(Mount, 0, sizeof(*Mount));
    Mount->abi_version = CM_ABI_VERSION;
    Mount->size = Sizes[Op->B & 7];
    Mount->sector_size = (Op->B & MOUNT_LARGE_SECTOR) != 0 ? 4096 : 512;
    Mount->flags = (Op->B & MOUNT_READ_ONLY) != 0 ? CM_MOUNT_READ_ONLY : 0;
    Mount->flags |= (Op->B & MOUNT_NO_TRIM) != 0 ? 0 : CM_MOUNT_TRIM;
    Mount->hold_seconds = (USHORT)((Op->B & MOUNT_HOLD) != 0 ? Seconds : 0);
    Mount->timeout_seconds = (USHORT)((Op->B & MOUNT_TIMEOUT) != 0 ? Seconds : 0);
    Mount->queue_depth = 1u << (Op->C & 3);
    Mount->slot_size = (Op->C & NUMBERS_LARGE_SLOT) != 0 ? MAX_SLOT_SIZE : 4 * KIB;
    if ((Op->C & NUMBERS_BAD) != 0)
        Mount->flags |= 1u << (4 + (Op->C & 7));
    return (Op->C & NUMBERS_BAD) == 0 && Mount->size != 0 && Mount->size % Mount->sector_size == 0;
}

static DISK_MODEL *NewDisk(const struct cm_mount *Mount, const struct cm_mounted *Mounted)
{
    DISK_MODEL *Disk = &Program.Disks[Program.DiskCount++];

    Disk->Id = Mounted->disk_id;
    Disk->Size = Mount->size;
    Disk->ArenaSize = Mounted->arena_size;
    Disk->Number = Mounted->number;
    Disk->SectorSize = Mount->sector_size;
    Disk->Depth = Mount->queue_depth;
    Disk->SlotSize = Mount->slot_size;
    Disk->HoldSeconds = Mount->hold_seconds;
    Disk->TimeoutSeconds = Mount->timeout_seconds;
    Disk->ReadOnly = (Mount->flags & CM_MOUNT_READ_ONLY) != 0;
    Disk->CanTrim = (Mount->flags & CM_MOUNT_TRIM) != 0;
    snprintf(Disk->Name, sizeof(Disk->Name), "%s%u", CM_DISK_DEVICE_PREFIX, Mounted->number);
    return Disk;
}

VOID OpMount(const OP *Op)
{
    PROCESS *Server = ProgramServer(Op->A);
    SIM_PROCESS *Process = Server != NULL ? Server->Process : NULL;
    struct cm_mount Mount;
    struct cm_mounted Mounted;
    DISK_MODEL *Disk;
    NTSTATUS Status;
    BOOLEAN IsGood = FillMount(Op, &Mount);

    if (Server == NULL || Program.DiskCount + Program.Mounting >= MAX_DISKS)
        return;
    Program.Mounting++;
    Program.MountsTried++;
    Status = SimFinish(
        SimIoctl(Server->Control, CM_IOCTL_MOUNT, &Mount, sizeof(Mount), &Mounted, sizeof(Mounted)),
        NULL);
    Program.Mounting--;
    if (!NT_SUCCESS(Status)) {
        CHECK(Status != STATUS_INVALID_PARAMETER || !IsGood);
        return;
    }
    CHECK(IsGood);
    CHECK_EQ(Mounted.reserved, 0);
    CHECK(Mounted.number < Program.MountsTried);
    CHECK_EQ(Mounted.arena_size, (ULONG64)Mount.queue_depth * Mount.slot_size);
    Disk = NewDisk(&Mount, &Mounted);
    if (Server->Process == Process && Server->Control != NULL)
        ServerAttach(Disk, Server);
    else
        Disk->Gone = TRUE; /* its server has been ended meanwhile */
}

VOID ProgramLose(ATTACHMENT *Attachment)
{
    DISK_MODEL *Disk = Attachment->Disk;

    if (Attachment->MayBeLost)
        return;
    Attachment->MayBeLost = TRUE;
    if (Disk->Attachment != Attachment)
        return;
    if (Disk->HoldSeconds == 0 || !Disk->Served || Disk->PoweringOff)
        Disk->Gone = TRUE;
    Disk->Lost = TRUE;
    Disk->LostAtUs = ModelNowUs();
}

static VOID LoseAllOf(const PROCESS *Server)
{
    ULONG Index;

    for (Index = 0; Index < Program.AttachmentCount; Index++)
        if (Program.Attachments[Index].Process == Server->Process)
            ProgramLose(&Program.Attachments[Index]);
}

static VOID GoAll(VOID)
{
    ULONG Index;

    for (Index = 0; Index < Program.DiskCount; Index++)
        Program.Disks[Index].Gone = Program.Disks[Index].Dead = TRUE;
    for (Index = 0; Index < Program.AttachmentCount; Index++)
        Program.Attachments[Index].MayBeLost = TRUE;
}

static VOID ForgetArenasOf(const SIM_PROCESS *Process)
{
    ULONG Index;

    for (Index = 0; Index < Program.AttachmentCount; Index++)
        if (Program.Attachments[Index].Process == Process)
            Program.Attachments[Index].Arena = NULL;
}

VOID ProgramCloseControl(PROCESS *Server)
{
    SIM_FILE *Control = Server->Control;

    Server->Control = NULL;
    LoseAllOf(Server);
    if (Control == NULL)
        return;
    Server->Busy++;
    SimClose(Control);
    Server->Busy--;
}

static BOOLEAN IsNotBusy(PVOID Context)
{
    return ((const PROCESS *)Context)->Busy == 0;
}

static VOID AskToCancel(IO *Io)
{
    Io->CancelAsked = TRUE;
    Io->Disk->AnyCancelled = TRUE;
}

/* Of a client or a server. */
VOID ProgramKill(PROCESS *Victim)
{
    SIM_PROCESS *Process = Victim->Process;
    ULONG Index;

    if (Process == NULL)
        return;
    SimWaitUntil(IsNotBusy, Victim);
    if (Victim->Process != Process)
        return; /* another thread was quicker */
    LoseAllOf(Victim);
    ForgetArenasOf(Process);
    Victim->Process = NULL;
    Victim->Control = NULL;
    for (Index = 0; Index < MAX_FILES; Index++)
        if (Program.Files[Index].Process == Process)
            memset(&Program.Files[Index], 0, sizeof(Program.Files[Index]));
    for (Index = 0; Index < MAX_IOS; Index++)
        if (Program.Ios[Index].Kind != IO_NONE && Program.Ios[Index].Process == Process)
            AskToCancel(&Program.Ios[Index]);
    SimKill(Process);
}

VOID OpKill(const OP *Op)
{
    ULONG Index = Op->A % (MAX_SERVERS + MAX_CLIENTS);

    ProgramKill(Index < MAX_SERVERS ? &Program.Servers[Index]
                                    : &Program.Clients[Index - MAX_SERVERS]);
}

VOID OpUnmount(const OP *Op)
{
    DISK_MODEL *Disk = ProgramDisk(Op->A);
    PROCESS *Server = ProgramServer(Op->B);
    struct cm_unmount Unmount = {.flags = Op->C & 3, .own_handles = Op->C >> 4};
    NTSTATUS Status;

    if (Disk == NULL || Server == NULL)
        return;
    Unmount.disk_id = Disk->Id;
    Disk->Unmounting++;
    Status = SimFinish(
        SimIoctl(Server->Control, CM_IOCTL_UNMOUNT, &Unmount, sizeof(Unmount), NULL, 0), NULL);
    Disk->Unmounting--;
    CHECK(Status != STATUS_NOT_FOUND || ModelMayBeGone(Disk));
    if (!NT_SUCCESS(Status))
        return;
    CHECK((Op->C & 2) == 0);
    Disk->Gone = TRUE;
}

VOID ProgramAttach(PROCESS *Server, DISK_MODEL *Disk, ULONG How)
{
    struct cm_attach Attach = {.abi_version = CM_ABI_VERSION + (How & 1),
                               .flags = How & 2,
                               .disk_id = Disk->Id,
                               .size = Disk->Size + (How & 4)};
    SIM_PROCESS *Process = Server->Process;
    struct cm_attached Attached;
    NTSTATUS Status;

    if (Program.AttachmentCount + Program.Attaching >= MAX_ATTACHMENTS)
        return;
    Program.Attaching++;
    Status = SimFinish(SimIoctl(Server->Control, CM_IOCTL_ATTACH, &Attach, sizeof(Attach),
                                &Attached, sizeof(Attached)),
                       NULL);
    Program.Attaching--;
    if (!NT_SUCCESS(Status))
        return;
    CHECK((How & 7) == 0);
    CHECK(Disk->Lost && Disk->HoldSeconds != 0);
    CHECK_EQ(Attached.disk_id, Disk->Id);
    CHECK_EQ(Attached.arena_size, Disk->ArenaSize);
    CHECK_EQ(Attached.number, Disk->Number);
    CHECK_EQ(Attached.queue_depth, Disk->Depth);
    CHECK_EQ(Attached.reserved, 0);
    if (Server->Process == Process && Server->Control != NULL)
        ServerAttach(Disk, Server);
}

VOID OpAttach(const OP *Op)
{
    PROCESS *Server = ProgramServer(Op->A);
    DISK_MODEL *Disk = ProgramDisk(Op->B);

    if (Server != NULL && Disk != NULL)
        ProgramAttach(Server, Disk, Op->C);
}

/* -- questions --------------------------------------------------------------------------------- */

static VOID AskHealth(SIM_FILE *Control, const DISK_MODEL *Disk)
{
    struct cm_health_of Of = {.disk_id = Disk->Id};
    struct cm_health Health;

    if (!NT_SUCCESS(SimFinish(
            SimIoctl(Control, CM_IOCTL_HEALTH, &Of, sizeof(Of), &Health, sizeof(Health)), NULL)))
        return;
    CHECK(Health.state <= CM_HEALTH_HELD);
    CHECK_EQ(Health.hold_seconds, Disk->HoldSeconds);
    CHECK_EQ(Health.timeout_seconds, Disk->TimeoutSeconds);
    CHECK(Health.hold_left_ms <= Disk->HoldSeconds * 1000);
    CHECK(Health.timed_out == 0 || Disk->TimeoutSeconds != 0 || Disk->PoweringOff);
    CHECK(Health.attaches == 0 || Disk->HoldSeconds != 0);
    CHECK(Health.handed_out_again == 0 || Disk->HoldSeconds != 0);
}

static VOID AskStats(SIM_FILE *Control, const DISK_MODEL *Disk)
{
    BOOLEAN WasQuiet = Disk->Counts.UnderWay == 0;
    ULONG Begun = Program.PastCount;
    struct cm_stats Stats;

    if (NT_SUCCESS(RigStats(Control, Disk->Id, &Stats)))
        ModelCheckStats(Disk, &Stats, WasQuiet && Program.PastCount == Begun);
}

static VOID AskList(SIM_FILE *Control, ULONG Room)
{
    struct {
        struct cm_list Head;
        struct cm_list_entry Entries[MAX_DISKS];
    } List;
    ULONG_PTR Length;
    NTSTATUS Status = SimFinish(
        SimIoctl(Control, CM_IOCTL_LIST, NULL, 0, &List,
                 (ULONG)(sizeof(List.Head) + Room % (MAX_DISKS + 1) * sizeof(List.Entries[0]))),
        &Length);

    if (NT_ERROR(Status))
        return;
    CHECK_EQ(Length, sizeof(List.Head) + List.Head.count * sizeof(List.Entries[0]));
    CHECK(List.Head.count <= List.Head.total && List.Head.total <= MAX_DISKS);
    CHECK_EQ(Status == STATUS_BUFFER_OVERFLOW, List.Head.count < List.Head.total);
}

VOID OpAsk(const OP *Op)
{
    PROCESS *Server = ProgramServer(Op->A);
    DISK_MODEL *Disk = ProgramDisk(Op->B);
    struct cm_version Version;

    if (Server == NULL)
        return;
    if (Op->C % 4 == 0)
        AskList(Server->Control, Op->C >> 2);
    else if (Op->C % 4 == 1)
        SimFinish(SimIoctl(Server->Control, CM_IOCTL_VERSION, NULL, 0, &Version, sizeof(Version)),
                  NULL);
    else if (Disk != NULL && Op->C % 4 == 2)
        AskStats(Server->Control, Disk);
    else if (Disk != NULL)
        AskHealth(Server->Control, Disk);
}

/* -- clients ----------------------------------------------------------------------------------- */

VOID OpOpen(const OP *Op)
{
    PROCESS *Client = &Program.Clients[Op->A % MAX_CLIENTS];
    DISK_MODEL *Disk = ProgramDisk(Op->B);
    ACCESS_MASK Access = (Op->C & OPEN_ATTRIBUTES) != 0 ? FILE_READ_ATTRIBUTES : 0;
    ULONG Index = 0;
    NTSTATUS Status;
    SIM_FILE *File;
    char Name[64];

    while (Index < MAX_FILES && Program.Files[Index].File != NULL)
        Index++;
    if (Disk == NULL || Index == MAX_FILES || Program.OpeningFiles != 0)
        return;
    if (Client->Process == NULL)
        Client->Process = SimCreateProcess(Client == &Program.Clients[0]);
    Access |= (Op->C & OPEN_READ) != 0 ? GENERIC_READ : 0;
    Access |= (Op->C & OPEN_WRITE) != 0 ? GENERIC_WRITE : 0;
    snprintf(Name, sizeof(Name), "%s%s", Disk->Name, (Op->C & OPEN_BELOW) != 0 ? "\\file" : "");
    Program.OpeningFiles++;
    Client->Busy++;
    File = SimOpen(Client->Process, Name, Access, &Status);
    Client->Busy--;
    Program.OpeningFiles--;
    if (File == NULL)
        return;
    CHECK(SimIsWine() || (Op->C & OPEN_BELOW) == 0);
    CHECK(SimIsWine() || Client == &Program.Clients[0] || Access == FILE_READ_ATTRIBUTES ||
          Access == 0);
    Program.Files[Index] = (OPEN_FILE){
        .File = File,
        .Disk = Disk,
        .Client = Client,
        .Process = Client->Process,
        .Reading = (Op->C & OPEN_READ) != 0,
        .Writing = (Op->C & OPEN_WRITE) != 0,
    };
}

VOID OpClose(const OP *Op)
{
    ULONG Index = Op->A % (MAX_FILES + MAX_SERVERS);
    OPEN_FILE File;

    if (Index >= MAX_FILES) {
        ProgramCloseControl(&Program.Servers[Index - MAX_FILES]);
        return;
    }
    File = Program.Files[Index];
    memset(&Program.Files[Index], 0, sizeof(Program.Files[Index]));
    if (File.File == NULL)
        return;
    File.Client->Busy++;
    SimClose(File.File);
    File.Client->Busy--;
}

static BOOLEAN RangeIsGood(const DISK_MODEL *Disk, LONGLONG Offset, ULONG64 Length)
{
    return Offset >= 0 && (ULONG64)Offset % Disk->SectorSize == 0 &&
           Length % Disk->SectorSize == 0 && Length <= Disk->Size &&
           (ULONG64)Offset <= Disk->Size - Length;
}

static VOID Send(IO *Io, const OPEN_FILE *File, SIM_REQUEST *Request, UCHAR Raw)
{
    SIM_FILE *Handle = File->File;

    Request->Irql = (Raw & RAW_DISPATCH) != 0 ? DISPATCH_LEVEL : PASSIVE_LEVEL;
    Request->CancelFirst = (Raw & RAW_CANCELLED) != 0;
    Request->NoFile = (Raw & RAW_NO_FILE) != 0;
    if (Request->CancelFirst)
        AskToCancel(Io);
    ModelBegin(Io);
    Io->Io = SimSend(Handle, Request);
}

VOID OpReadWrite(const OP *Op)
{
    OPEN_FILE *File = FileOf(Op->A);
    BOOLEAN IsRead = Op->Kind == OP_READ;
    SIM_REQUEST Request = {.Major = IsRead ? IRP_MJ_READ : IRP_MJ_WRITE};
    CLIENT_IO *Client;
    IO *Io = File != NULL ? ProgramNewIo(IO_CLIENT, File->Process, File->Disk) : NULL;

    if (Io == NULL)
        return;
    Client = &Io->Client;
    Client->Op = IsRead ? CM_OP_READ : CM_OP_WRITE;
    Client->Length = min((Op->C & IO_UNITS) * max(UNIT, Io->Disk->SectorSize), MAX_IO_UNITS * UNIT);
    Client->Offset = (LONGLONG)Op->B * Io->Disk->SectorSize;
    if (Op->B >= 250) /* around the end */
        Client->Offset = (LONGLONG)(Io->Disk->Size - (252u - Op->B) * (ULONG64)UNIT);
    if ((Op->C & IO_ODD) != 0)
        Client->Offset += 256;
    Request.Offset = Client->Offset;
    Request.Length = Request.MdlLength = Client->Length;
    Request.Flags = (Op->C & IO_THROUGH) != 0 && !IsRead ? SL_WRITE_THROUGH : 0;
    Request.At = Client->Slot * MAX_IO_UNITS * UNIT;
    if ((Op->A & RAW_NO_MDL) == 0 && Client->Length != 0)
        Request.Memory = FuzzMemory();
    Client->MayWork =
        Client->Length == 0 ||
        (RangeIsGood(Io->Disk, Client->Offset, Client->Length) && Request.Memory != NULL);
    if (!(IsRead ? File->Reading : File->Writing))
        Client->MayWork = FALSE;
    Send(Io, File, &Request, Op->A);
}

VOID OpFlush(const OP *Op)
{
    OPEN_FILE *File = FileOf(Op->A);
    SIM_REQUEST Request = {.Major = (Op->B & 1) != 0 ? IRP_MJ_SHUTDOWN : IRP_MJ_FLUSH_BUFFERS};
    IO *Io = File != NULL ? ProgramNewIo(IO_CLIENT, File->Process, File->Disk) : NULL;

    if (Io == NULL)
        return;
    Io->Client.Op = CM_OP_FLUSH;
    Io->Client.MayWork = TRUE;
    Io->Disk->PoweringOff |= Request.Major == IRP_MJ_SHUTDOWN;
    Send(Io, File, &Request, Op->A & ~RAW_DISPATCH);
}

/* Up to three ranges one behind the other, of which the second may be empty. */
static ULONG FillRanges(CLIENT_IO *Client, const OP *Op, const DISK_MODEL *Disk)
{
    DEVICE_MANAGE_DATA_SET_ATTRIBUTES Set = {.Size = sizeof(Set), .Action = DeviceDsmAction_Trim};
    ULONG Count = Op->C & 3, Index;
    DEVICE_DATA_SET_RANGE Range = {.StartingOffset = (LONGLONG)Op->B * Disk->SectorSize};

    Set.DataSetRangesOffset = sizeof(Set);
    Set.DataSetRangesLength = Count * sizeof(Range);
    memcpy(Client->Ranges, &Set, sizeof(Set));
    Client->Offset = Range.StartingOffset;
    Client->MayWork = Count != 0;
    for (Index = 0; Index < Count; Index++) {
        Range.LengthInBytes = (ULONG64)(Op->C >> 2 & 15) * Disk->SectorSize;
        if (Index == 1 && (Op->C & 64) != 0)
            Range.LengthInBytes = 0;
        if (Range.LengthInBytes != 0 &&
            !RangeIsGood(Disk, Range.StartingOffset, Range.LengthInBytes))
            Client->MayWork = FALSE;
        memcpy(Client->Ranges + sizeof(Set) + Index * sizeof(Range), &Range, sizeof(Range));
        Range.StartingOffset += (LONGLONG)Range.LengthInBytes;
    }
    Client->Length = (ULONG)(Range.StartingOffset - Client->Offset);
    return (ULONG)(sizeof(Set) + Count * sizeof(Range));
}

VOID OpTrim(const OP *Op)
{
    OPEN_FILE *File = FileOf(Op->A);
    SIM_REQUEST Request = {.Major = IRP_MJ_DEVICE_CONTROL,
                           .Code = IOCTL_STORAGE_MANAGE_DATA_SET_ATTRIBUTES};
    IO *Io = File != NULL ? ProgramNewIo(IO_CLIENT, File->Process, File->Disk) : NULL;

    if (Io == NULL)
        return;
    Io->Client.Op = CM_OP_TRIM;
    Request.InLength = FillRanges(&Io->Client, Op, Io->Disk);
    Request.In = Io->Client.Ranges;
    if (!File->Writing)
        Io->Client.MayWork = FALSE;
    Send(Io, File, &Request, Op->A & ~RAW_DISPATCH);
}

VOID OpCancel(const OP *Op)
{
    IO *Io = &Program.Ios[Op->A % MAX_IOS];

    if (Io->Kind == IO_NONE || Io->Io == NULL || Io->IsBeingCancelled)
        return;
    AskToCancel(Io);
    if (Io->Kind == IO_LEND)
        ProgramLose(Io->Attachment);
    Io->IsBeingCancelled = TRUE; /* and stays in its place until that is over */
    SimCancel(Io->Io);
    Io->IsBeingCancelled = FALSE;
}

/* Whatever the driver knows, and something that it does not. */
VOID OpIoctl(const OP *Op)
{
    static const ULONG Codes[] = {
        IOCTL_DISK_GET_LENGTH_INFO,
        IOCTL_DISK_GET_DRIVE_GEOMETRY,
        IOCTL_DISK_GET_PARTITION_INFO,
        IOCTL_DISK_GET_PARTITION_INFO_EX,
        IOCTL_DISK_IS_WRITABLE,
        IOCTL_DISK_CHECK_VERIFY,
        IOCTL_STORAGE_GET_HOTPLUG_INFO,
        IOCTL_STORAGE_QUERY_PROPERTY,
        IOCTL_DISK_VERIFY,
        IOCTL_DISK_GET_DRIVE_GEOMETRY_EX,
        CM_IOCTL_LIST,
    };
    OPEN_FILE *File = FileOf(Op->A);
    UCHAR In[32] = {0}, Out[256];

    if (File == NULL)
        return;
    memset(In, Op->C & 7, 8);
    SimFinish(SimIoctl(File->File, Codes[Op->B % RTL_NUMBER_OF(Codes)], In, sizeof(In), Out, Op->C),
              NULL);
}

/* -- the machine ------------------------------------------------------------------------------- */

/* In small steps, so that what ends by time is seen when it does. The main thread. */
VOID OpSleep(const OP *Op)
{
    ULONG Step;

    for (Step = 0; Step < Op->A; Step++) {
        SimSleepMs(1000 / 16);
        ProgramReap(FALSE);
    }
}

VOID ProgramStopDriver(VOID)
{
    if (!SimDriverIsLoaded() || Program.Stopping)
        return;
    Program.Stopping = TRUE;
    GoAll();
    SimStopDriver();
}

VOID OpStop(const OP *Op)
{
    ProgramStopDriver();
    if ((Op->A & 1) != 0)
        OpStart(Op);
}

VOID OpStart(const OP *Op)
{
    UNREFERENCED_PARAMETER(Op);
    if (SimDriverIsLoaded())
        return;
    GoAll();         /* also what was mounted while the stop was waiting for the last handle */
    SimSleepMs(200); /* what tells the ids of disks apart from those of before goes by such steps */
    CHECK_EQ(SimLoadDriver(), STATUS_SUCCESS);
    Program.Stopping = FALSE;
}

VOID OpFileSystem(const OP *Op)
{
    DISK_MODEL *Disk = ProgramDisk(Op->A);

    if (Disk == NULL || SimIsWine())
        return;
    if (SimFileSystemIsMounted(Disk->Name))
        SimUnmountFileSystem(Disk->Name);
    else if (Disk->Served && !ModelMayBeGone(Disk))
        SimMountFileSystem(Disk->Name);
}
