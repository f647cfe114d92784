/* SPDX-License-Identifier: MIT */
/*
 * disk.c - the disk object: made, found, referenced, removed, deleted.
 *
 *      DiskCreate -> STARTING -- arena (DiskStart) -> SERVED -- server lost --> HELD
 *                       ^                                                         |
 *                       +--------------- another server (DiskAttach) -------------+
 *
 *      from everywhere: DiskRemove -> last reference -> reaper
 *
 * DiskRemove comes from whoever is first: an unmount, the driver's end, the end of the time for which
 * the disk is held - or the loss of the server, of a disk that is not to be held or that has never
 * been served. While it is held its requests wait.
 *
 * A server is lost in one of two ways. Its handle is closed (DiskLoseServer): nothing of it is left,
 * and anybody may attach. Or it takes the memory back that it has lent (DiskLoseArena), as NT does for
 * it when the thread that lent it ends; then the rest of its threads may still be writing to the
 * image, and until its handle is closed nobody but itself may attach.
 *
 * Every attachment and every loss begins a new epoch. DISK.Epoch is decided here, under Driver.Lock;
 * QUEUE.Epoch follows, under its own lock, and the queue belongs to no server but that one's. Between
 * the two there is a moment. What comes from the epoch before is good until it is over; and should
 * the next epoch overtake this one on its way to the queue, then this one is of no more interest
 * (QueueBeginEpoch goes by the numbers).
 *
 * Creation and deletion run at PASSIVE_LEVEL; references, loss and removal at up to DISPATCH_LEVEL.
 * Only finding and references are on the hot path.
 */
#include "disk.h"

#include "clock.h"
#include "exchange.h"
#include "numbers.h"
#include "reaper.h"
#include "security.h"
#include "server.h"
#include "watchdog.h"

BOOLEAN DiskSizeIsValid(ULONG64 Size, ULONG SectorSize)
{
    return Size != 0 && Size <= CM_MAX_DISK_SIZE && Size % SectorSize == 0;
}

static BOOLEAN MountIsValid(const struct cm_mount *Mount)
{
    if ((Mount->flags & ~CM_MOUNT_ALL_FLAGS) != 0 || Mount->hold_seconds > CM_MAX_HOLD_SECONDS ||
        Mount->timeout_seconds > CM_MAX_TIMEOUT_SECONDS)
        return FALSE;
    if (Mount->sector_size != CM_SECTOR_SIZE_SMALL && Mount->sector_size != CM_SECTOR_SIZE_LARGE)
        return FALSE;
    if (!DiskSizeIsValid(Mount->size, Mount->sector_size))
        return FALSE;
    if (Mount->queue_depth == 0 || Mount->queue_depth > CM_MAX_QUEUE_DEPTH)
        return FALSE;
    if (Mount->slot_size < CM_MIN_SLOT_SIZE || Mount->slot_size > CM_MAX_SLOT_SIZE ||
        (Mount->slot_size & (Mount->slot_size - 1)) != 0)
        return FALSE;
    if ((ULONG64)Mount->queue_depth * Mount->slot_size > CM_MAX_ARENA_SIZE)
        return FALSE;
    return Mount->image_name[CM_IMAGE_NAME_UNITS - 1] == 0;
}

static NTSTATUS MUST_CHECK AppendNumbered(PUNICODE_STRING Name, PCWSTR Prefix, ULONG Number)
{
    WCHAR Digits[12];
    UNICODE_STRING Suffix = {.Buffer = Digits, .MaximumLength = sizeof(Digits)};
    NTSTATUS Status = RtlAppendUnicodeToString(Name, Prefix);

    if (NT_SUCCESS(Status))
        Status = RtlIntegerToUnicodeString(Number, 10, &Suffix);
    if (NT_SUCCESS(Status))
        Status = RtlAppendUnicodeStringToString(Name, &Suffix);
    return Status;
}

NTSTATUS DiskMakeName(PUNICODE_STRING Name, ULONG Number)
{
    return AppendNumbered(Name, L"" CM_DISK_DEVICE_PREFIX, Number);
}

static NTSTATUS MUST_CHECK CreateDevice(ULONG Number, const struct cm_mount *Mount,
                                        PDEVICE_OBJECT *Device)
{
    WCHAR Buffer[DISK_NAME_UNITS];
    UNICODE_STRING Name = {.Buffer = Buffer, .MaximumLength = sizeof(Buffer)};
    ULONG Characteristics = 0;
    NTSTATUS Status;

    if ((Mount->flags & CM_MOUNT_READ_ONLY) != 0)
        Characteristics |= FILE_READ_ONLY_DEVICE;
    Status = DiskMakeName(&Name, Number);
    if (!NT_SUCCESS(Status))
        return Status;
    /* FILE_DEVICE_DISK: the kind that file system recognisers accept, and that gets a VPB. */
    Status = DriverCreateDevice(sizeof(DISK), &Name, FILE_DEVICE_DISK, Characteristics, Device);
    if (!NT_SUCCESS(Status))
        return Status;
    (*Device)->Flags |= DO_DIRECT_IO;
    (*Device)->AlignmentRequirement = FILE_BYTE_ALIGNMENT;
    (*Device)->SectorSize = (USHORT)Mount->sector_size;
    Status = SecurityProtectDisk(*Device);
    if (!NT_SUCCESS(Status))
        DriverDeleteDevice(*Device);
    return Status;
}

/* \\.\CoreMntDisk0. A mount comes in its server's process, whose \DosDevices may be its session's own; and Wine knows no
 * other. */
static NTSTATUS MUST_CHECK MakeLinkName(PUNICODE_STRING Name, ULONG Number)
{
    return AppendNumbered(
        Name, Driver.IsWine ? L"\\DosDevices\\CoreMntDisk" : L"\\GLOBAL??\\CoreMntDisk", Number);
}

static NTSTATUS MUST_CHECK CreateLink(ULONG Number)
{
    WCHAR LinkBuffer[DISK_NAME_UNITS], Buffer[DISK_NAME_UNITS];
    UNICODE_STRING Link = {.Buffer = LinkBuffer, .MaximumLength = sizeof(LinkBuffer)};
    UNICODE_STRING Name = {.Buffer = Buffer, .MaximumLength = sizeof(Buffer)};
    NTSTATUS Status = MakeLinkName(&Link, Number);

    if (NT_SUCCESS(Status))
        Status = DiskMakeName(&Name, Number);
    if (!NT_SUCCESS(Status))
        return Status;
    /* Permanent on Wine: one left behind by a driver that crashed would stand in the way. */
    if (Driver.IsWine)
        IoDeleteSymbolicLink(&Link);
    return IoCreateSymbolicLink(&Link, &Name);
}

static VOID DeleteLink(ULONG Number)
{
    WCHAR Buffer[DISK_NAME_UNITS];
    UNICODE_STRING Link = {.Buffer = Buffer, .MaximumLength = sizeof(Buffer)};

    if (NT_SUCCESS(MakeLinkName(&Link, Number)))
        IoDeleteSymbolicLink(&Link);
}

/* Enter the lists, unless the driver has begun to stop or the server has ended. */
static NTSTATUS MUST_CHECK Publish(DISK *Disk, SERVER *Server)
{
    NTSTATUS Status = STATUS_DELETE_PENDING;
    KIRQL Irql;

    KeAcquireSpinLock(&Driver.Lock, &Irql);
    if (!Driver.Stopping && !Server->Ended) {
        Disk->Server = Server;
        Disk->Mounted = TRUE;
        InsertTailList(&Driver.Disks, &Disk->Link);
        Status = STATUS_SUCCESS;
    }
    KeReleaseSpinLock(&Driver.Lock, Irql);
    return Status;
}

static VOID FillFromMount(DISK *Disk, const struct cm_mount *Mount)
{
    Disk->Id = (ULONG64)Driver.Generation << 32 | Disk->Number;
    Disk->Epoch = QUEUE_FIRST_EPOCH;
    Disk->OwnerPid = (ULONG)(ULONG_PTR)PsGetCurrentProcessId();
    DiskSetSize(Disk, Mount->size);
    Disk->SectorSize = Mount->sector_size;
    Disk->ReadOnly = (Mount->flags & CM_MOUNT_READ_ONLY) != 0;
    Disk->CanTrim = (Mount->flags & CM_MOUNT_TRIM) != 0;
    Disk->CanResize = (Mount->flags & CM_MOUNT_RESIZE) != 0;
    Disk->HoldSeconds = Mount->hold_seconds;
    Disk->TimeoutSeconds = Mount->timeout_seconds;
    RtlCopyMemory(Disk->ImageName, Mount->image_name, sizeof(Disk->ImageName));
    Disk->References = 1;
}

NTSTATUS DiskCreate(SERVER *Server, const struct cm_mount *Mount, struct cm_mounted *Mounted)
{
    PDEVICE_OBJECT Device;
    NTSTATUS Status;
    ULONG Number;
    DISK *Disk;

    if (Mount->abi_version != CM_ABI_VERSION)
        return STATUS_REVISION_MISMATCH;
    if (!MountIsValid(Mount))
        return STATUS_INVALID_PARAMETER;
    Number = NumbersTake();
    Status = CreateDevice(Number, Mount, &Device);
    if (!NT_SUCCESS(Status))
        return Status;

    Disk = Device->DeviceExtension; /* zeroed by IoCreateDevice */
    Disk->Extension.Kind = DEVICE_KIND_DISK;
    Disk->Device = Device;
    Disk->Number = Number;
    FillFromMount(Disk, Mount);
    Status =
        QueueInitialize(&Disk->Queue, Mount->queue_depth, Mount->slot_size, Mount->timeout_seconds);
    if (!NT_SUCCESS(Status))
        goto DeleteDevice;
    Status = ReaperPrepare(Disk);
    if (!NT_SUCCESS(Status))
        goto DeleteQueue;
    Status = IoRegisterShutdownNotification(Device);
    if (!NT_SUCCESS(Status))
        goto Unprepare;
    Status = CreateLink(Number);
    if (!NT_SUCCESS(Status))
        goto Unregister;
    Mounted->disk_id = Disk->Id;
    Mounted->arena_size = DiskArenaSize(Disk);
    Mounted->number = Number;
    Mounted->reserved = 0;
    Status = Publish(Disk, Server);
    if (!NT_SUCCESS(Status))
        goto DeleteLink;
    return STATUS_SUCCESS;

DeleteLink:
    DeleteLink(Number);
Unregister:
    IoUnregisterShutdownNotification(Device);
Unprepare:
    ReaperUnprepare(Disk);
DeleteQueue:
    QueueDelete(&Disk->Queue);
DeleteDevice:
    DriverDeleteDevice(Device);
    return Status;
}

/* -- servers come and go ----------------------------------------------------------------------- */

NTSTATUS DiskStart(DISK *Disk, ARENA *Arena)
{
    NTSTATUS Status = QueueAttach(Disk, Arena); /* by now it may have been given back again */
    BOOLEAN First;
    KIRQL Irql;

    if (!NT_SUCCESS(Status))
        return Status;
    KeAcquireSpinLock(&Driver.Lock, &Irql);
    First = !Disk->WasServed;
    Disk->WasServed = TRUE;
    KeReleaseSpinLock(&Driver.Lock, Irql);
    if (First) /* from here on the I/O manager lets others open the device */
        Disk->Device->Flags &= ~DO_DEVICE_INITIALIZING;
    if (Disk->TimeoutSeconds != 0)
        WatchdogWake();
    ExchangeKick(Disk); /* what has waited for a server */
    return STATUS_SUCCESS;
}

static NTSTATUS MUST_CHECK TakeOverLocked(DISK *Disk, SERVER *Server)
{
    if (Driver.Stopping || Server->Ended)
        return STATUS_DELETE_PENDING;
    if (!Disk->Mounted)
        return STATUS_NOT_FOUND;
    if (!DiskIsHeldLocked(Disk) || (Disk->Server != NULL && Disk->Server != Server))
        return STATUS_DEVICE_BUSY;
    Disk->Epoch++;
    Disk->Server = Server;
    Disk->OwnerPid = (ULONG)(ULONG_PTR)PsGetCurrentProcessId();
    return STATUS_SUCCESS;
}

static NTSTATUS MUST_CHECK TakeOver(DISK *Disk, SERVER *Server)
{
    NTSTATUS Status;
    ULONG Epoch;
    KIRQL Irql;

    KeAcquireSpinLock(&Driver.Lock, &Irql);
    Status = TakeOverLocked(Disk, Server);
    Epoch = Disk->Epoch;
    KeReleaseSpinLock(&Driver.Lock, Irql);
    if (NT_SUCCESS(Status))
        QueueBeginEpoch(Disk, Epoch);
    return Status;
}

static VOID FillAttached(const DISK *Disk, struct cm_attached *Attached)
{
    Attached->disk_id = Disk->Id;
    Attached->arena_size = DiskArenaSize(Disk);
    Attached->number = Disk->Number;
    Attached->sector_size = Disk->SectorSize;
    Attached->flags = DiskMountFlags(Disk);
    Attached->queue_depth = Disk->Queue.Depth;
    Attached->slot_size = Disk->Queue.SlotSize;
    Attached->reserved = 0;
}

NTSTATUS DiskAttach(SERVER *Server, const struct cm_attach *Attach, struct cm_attached *Attached)
{
    NTSTATUS Status;
    DISK *Disk;

    if (Attach->abi_version != CM_ABI_VERSION)
        return STATUS_REVISION_MISMATCH;
    if (Attach->flags != 0)
        return STATUS_INVALID_PARAMETER;
    Disk = DiskFind(Attach->disk_id);
    if (Disk == NULL)
        return STATUS_NOT_FOUND;
    Status = QueueImageMayHaveSize(Disk, Attach->size) ? TakeOver(Disk, Server)
                                                       : STATUS_INVALID_PARAMETER;
    if (NT_SUCCESS(Status))
        FillAttached(Disk, Attached);
    DiskDereference(Disk);
    return Status;
}

/* -- the end ----------------------------------------------------------------------------------- */

/* The first half of a removal, which makes it this caller's; the other half is Finish. */
static VOID TakeOffLocked(DISK *Disk)
{
    Disk->Mounted = FALSE;
    Disk->Server = NULL;
    RemoveEntryList(&Disk->Link);
}

static VOID Finish(DISK *Disk)
{
    QueueClose(Disk);
    DiskDereference(Disk);
}

VOID DiskRemove(DISK *Disk)
{
    BOOLEAN First;
    KIRQL Irql;

    KeAcquireSpinLock(&Driver.Lock, &Irql);
    First = Disk->Mounted;
    if (First)
        TakeOffLocked(Disk);
    KeReleaseSpinLock(&Driver.Lock, Irql);
    if (First)
        Finish(Disk);
}

typedef enum LOSS { LOSS_NONE, LOSS_HELD, LOSS_REMOVED } LOSS;

/* A server is lost. If the disk is to be held for another one, it is from now on; otherwise Finish is
 * the caller's to call. */
static LOSS LoseLocked(DISK *Disk)
{
    if (Disk->HoldSeconds == 0 || !Disk->WasServed || Disk->PoweringOff || Driver.Stopping) {
        TakeOffLocked(Disk);
        return LOSS_REMOVED;
    }
    if (!DiskIsHeldLocked(Disk))
        Disk->Epoch++;
    Disk->HeldSince = ClockNow();
    return LOSS_HELD;
}

static VOID AfterLoss(DISK *Disk, LOSS Loss, ULONG Epoch)
{
    if (Loss == LOSS_REMOVED) {
        Finish(Disk);
    } else if (Loss == LOSS_HELD) {
        QueueBeginEpoch(Disk, Epoch);
        WatchdogWake();
    }
}

VOID DiskLoseServer(DISK *Disk, const SERVER *Server)
{
    LOSS Loss = LOSS_NONE;
    ULONG Epoch;
    KIRQL Irql;

    KeAcquireSpinLock(&Driver.Lock, &Irql);
    if (Disk->Mounted && Disk->Server == Server) {
        Loss = LoseLocked(Disk);
        Disk->Server = NULL;
    }
    Epoch = Disk->Epoch;
    KeReleaseSpinLock(&Driver.Lock, Irql);
    AfterLoss(Disk, Loss, Epoch);
}

VOID DiskLoseArena(DISK *Disk, ULONG Epoch)
{
    LOSS Loss = LOSS_NONE;
    ULONG Next;
    KIRQL Irql;

    KeAcquireSpinLock(&Driver.Lock, &Irql);
    if (Disk->Mounted && Disk->Epoch == Epoch)
        Loss = LoseLocked(Disk);
    Next = Disk->Epoch;
    KeReleaseSpinLock(&Driver.Lock, Irql);
    AfterLoss(Disk, Loss, Next);
}

/* -- time passes ------------------------------------------------------------------------------- */

/* For how long the disk will still be held, in clock units; 0 or less: no longer. */
static LONG64 HoldLeftLocked(const DISK *Disk)
{
    return (LONG64)(Disk->HeldSince + Disk->HoldSeconds * ClockFrequency - ClockNow());
}

BOOLEAN DiskWatch(DISK *Disk)
{
    BOOLEAN Held, Over;
    KIRQL Irql;

    KeAcquireSpinLock(&Driver.Lock, &Irql);
    Held = Disk->Mounted && DiskIsHeldLocked(Disk);
    Over = Held && (Disk->PoweringOff || HoldLeftLocked(Disk) <= 0);
    if (Over) /* in the same locked section, or it might have been taken over meanwhile */
        TakeOffLocked(Disk);
    KeReleaseSpinLock(&Driver.Lock, Irql);
    if (Over) {
        Finish(Disk);
        return FALSE;
    }
    if (Disk->Queue.Timeout != 0)
        QueueExpire(Disk);
    return Held || Disk->Queue.Timeout != 0;
}

/*
 * What is written now should still reach the image, so requests are not refused. But servers are programs and
 * may have been ended already, or be stuck, and nobody will start another one: so held disks go now, and
 * nothing takes longer than this.
 */
#define POWER_OFF_SECONDS 10u

VOID DiskPowerOff(DISK *Disk)
{
    KIRQL Irql;

    KeAcquireSpinLock(&Driver.Lock, &Irql);
    Disk->PoweringOff = TRUE;
    KeReleaseSpinLock(&Driver.Lock, Irql);
    QueueLimitTimeout(Disk, POWER_OFF_SECONDS);
    WatchdogWake();
}

VOID DiskGetHealth(DISK *Disk, struct cm_health *Health)
{
    KIRQL Irql;

    RtlZeroMemory(Health, sizeof(*Health));
    QueueGetHealth(Disk, Health);
    Health->hold_seconds = Disk->HoldSeconds;
    Health->timeout_seconds = Disk->TimeoutSeconds;
    KeAcquireSpinLock(&Driver.Lock, &Irql);
    Health->attaches = (Disk->Epoch - QUEUE_FIRST_EPOCH) / 2; /* two epochs each: lost, attached */
    if (DiskIsHeldLocked(Disk)) {
        Health->state = CM_HEALTH_HELD;
        Health->unanswered_ms = 0;
        Health->hold_left_ms = (ULONG)ClockMilliseconds((ULONG64)HoldLeftLocked(Disk));
    }
    KeReleaseSpinLock(&Driver.Lock, Irql);
}

/* -- finding ----------------------------------------------------------------------------------- */

/* A mounted disk by its id, not referenced; NULL: none such. */
static DISK *FindLocked(ULONG64 Id)
{
    PLIST_ENTRY Entry;

    for (Entry = Driver.Disks.Flink; Entry != &Driver.Disks; Entry = Entry->Flink) {
        DISK *Disk = CONTAINING_RECORD(Entry, DISK, Link);
        if (Disk->Id == Id)
            return Disk;
    }
    return NULL;
}

DISK *DiskFind(ULONG64 Id)
{
    DISK *Disk;
    KIRQL Irql;

    KeAcquireSpinLock(&Driver.Lock, &Irql);
    Disk = FindLocked(Id);
    if (Disk != NULL && !DiskTryReference(Disk))
        Disk = NULL;
    KeReleaseSpinLock(&Driver.Lock, Irql);
    return Disk;
}

DISK *DiskFindServed(ULONG64 Id, const SERVER *Server, ULONG *Epoch)
{
    DISK *Disk;
    KIRQL Irql;

    KeAcquireSpinLock(&Driver.Lock, &Irql);
    Disk = FindLocked(Id);
    if (Disk != NULL &&
        (Disk->Server != Server || DiskIsHeldLocked(Disk) || !DiskTryReference(Disk)))
        Disk = NULL;
    if (Disk != NULL)
        *Epoch = Disk->Epoch;
    KeReleaseSpinLock(&Driver.Lock, Irql);
    return Disk;
}

DISK *DiskFindAnyOf(const SERVER *Server)
{
    PLIST_ENTRY Entry;
    DISK *Found = NULL;
    KIRQL Irql;

    KeAcquireSpinLock(&Driver.Lock, &Irql);
    for (Entry = Driver.Disks.Flink; Entry != &Driver.Disks && Found == NULL;
         Entry = Entry->Flink) {
        DISK *Disk = CONTAINING_RECORD(Entry, DISK, Link);
        if ((Server == NULL || Disk->Server == Server) && DiskTryReference(Disk))
            Found = Disk;
    }
    KeReleaseSpinLock(&Driver.Lock, Irql);
    return Found;
}

DISK *DiskFindNext(ULONG64 From)
{
    PLIST_ENTRY Entry;
    DISK *Next = NULL;
    KIRQL Irql;

    KeAcquireSpinLock(&Driver.Lock, &Irql);
    for (Entry = Driver.Disks.Flink; Entry != &Driver.Disks; Entry = Entry->Flink) {
        DISK *Disk = CONTAINING_RECORD(Entry, DISK, Link);
        if (Disk->Id >= From && (Next == NULL || Disk->Id < Next->Id))
            Next = Disk;
    }
    /* What is on the list has a reference for that. */
    if (Next != NULL && !DiskTryReference(Next))
        NT_ASSERT(FALSE);
    KeReleaseSpinLock(&Driver.Lock, Irql);
    return Next;
}

/* -- identity ---------------------------------------------------------------------------------- */

/* Whether another disk has this identity. */
static BOOLEAN IdentityIsTakenLocked(const DISK *By, const DISK_IDENTITY *Identity)
{
    PLIST_ENTRY Entry;

    for (Entry = Driver.Disks.Flink; Entry != &Driver.Disks; Entry = Entry->Flink) {
        const DISK *Disk = CONTAINING_RECORD(Entry, DISK, Link);
        if (Disk != By && Disk->Identity.Known &&
            RtlCompareMemory(Disk->Identity.UniqueId, Identity->UniqueId,
                             sizeof(Identity->UniqueId)) == sizeof(Identity->UniqueId))
            return TRUE;
    }
    return FALSE;
}

NTSTATUS DiskSetIdentity(DISK *Disk, const DISK_IDENTITY *Identity)
{
    NTSTATUS Status = STATUS_OBJECT_NAME_COLLISION;
    KIRQL Irql;

    KeAcquireSpinLock(&Driver.Lock, &Irql);
    if (!IdentityIsTakenLocked(Disk, Identity)) {
        Disk->Identity = *Identity;
        Status = STATUS_SUCCESS;
    }
    KeReleaseSpinLock(&Driver.Lock, Irql);
    return Status;
}

VOID DiskGetIdentity(DISK *Disk, DISK_IDENTITY *Identity)
{
    KIRQL Irql;

    KeAcquireSpinLock(&Driver.Lock, &Irql);
    *Identity = Disk->Identity;
    KeReleaseSpinLock(&Driver.Lock, Irql);
}

/* -- references -------------------------------------------------------------------------------- */

BOOLEAN DiskTryReference(DISK *Disk)
{
    LONG Seen = Disk->References;

    while (Seen != 0) {
        LONG Before = InterlockedCompareExchange(&Disk->References, Seen + 1, Seen);
        if (Before == Seen)
            return TRUE;
        Seen = Before;
    }
    return FALSE;
}

VOID DiskDereference(DISK *Disk)
{
    if (InterlockedDecrement(&Disk->References) == 0)
        ReaperTake(Disk);
}

VOID DiskEmpty(DISK *Disk)
{
    DeleteLink(Disk->Number);
    IoUnregisterShutdownNotification(Disk->Device);
    QueueDelete(&Disk->Queue);
}
