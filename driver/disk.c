/* SPDX-License-Identifier: MIT */
/*
 * disk.c - the disk object: made, found, referenced, removed, deleted.
 *
 *      DiskCreate -> (arena) DiskStart -> I/O ... -> DiskRemove -> last reference -> reaper
 *
 * DiskRemove comes from whoever is first: an unmount, the server's end, the driver's. Creation and
 * deletion run at PASSIVE_LEVEL; references and removal at up to DISPATCH_LEVEL. Only references
 * are on the hot path.
 */
#include "disk.h"

#include "reaper.h"
#include "security.h"
#include "server.h"

static BOOLEAN MountIsValid(const struct cm_mount *Mount)
{
    if ((Mount->flags & ~CM_MOUNT_ALL_FLAGS) != 0 || Mount->hold_seconds != 0 ||
        Mount->timeout_seconds != 0)
        return FALSE;
    if (Mount->sector_size != CM_SECTOR_SIZE_SMALL && Mount->sector_size != CM_SECTOR_SIZE_LARGE)
        return FALSE;
    if (Mount->size == 0 || Mount->size > CM_MAX_DISK_SIZE || Mount->size % Mount->sector_size != 0)
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

/* A number for a new disk. Not one used before: mount managers remember device names. */
static ULONG TakeNumber(VOID)
{
    ULONG Number;
    KIRQL Irql;

    KeAcquireSpinLock(&Driver.Lock, &Irql);
    Number = Driver.NextNumber++;
    KeReleaseSpinLock(&Driver.Lock, Irql);
    return Number;
}

NTSTATUS DiskMakeName(PUNICODE_STRING Name, ULONG Number)
{
    WCHAR Digits[12];
    UNICODE_STRING Suffix = {.Buffer = Digits, .MaximumLength = sizeof(Digits)};
    NTSTATUS Status = RtlAppendUnicodeToString(Name, L"" CM_DISK_DEVICE_PREFIX);

    if (NT_SUCCESS(Status))
        Status = RtlIntegerToUnicodeString(Number, 10, &Suffix);
    if (NT_SUCCESS(Status))
        Status = RtlAppendUnicodeStringToString(Name, &Suffix);
    return Status;
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

/* Enter the lists, unless the driver has begun to stop. */
static NTSTATUS MUST_CHECK Publish(DISK *Disk, SERVER *Server)
{
    NTSTATUS Status = STATUS_DELETE_PENDING;
    KIRQL Irql;

    KeAcquireSpinLock(&Driver.Lock, &Irql);
    if (!Driver.Stopping) {
        Disk->Server = Server;
        InsertTailList(&Driver.Disks, &Disk->Link);
        Status = STATUS_SUCCESS;
    }
    KeReleaseSpinLock(&Driver.Lock, Irql);
    return Status;
}

static VOID FillFromMount(DISK *Disk, const struct cm_mount *Mount)
{
    Disk->Id = (ULONG64)Driver.Generation << 32 | Disk->Number;
    Disk->OwnerPid = (ULONG)(ULONG_PTR)PsGetCurrentProcessId();
    Disk->Size = Mount->size;
    Disk->SectorSize = Mount->sector_size;
    Disk->ReadOnly = (Mount->flags & CM_MOUNT_READ_ONLY) != 0;
    Disk->CanTrim = (Mount->flags & CM_MOUNT_TRIM) != 0;
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
    Number = TakeNumber();
    Status = CreateDevice(Number, Mount, &Device);
    if (!NT_SUCCESS(Status))
        return Status;

    Disk = Device->DeviceExtension; /* zeroed by IoCreateDevice */
    Disk->Extension.Kind = DEVICE_KIND_DISK;
    Disk->Device = Device;
    Disk->Number = Number;
    FillFromMount(Disk, Mount);
    Status = QueueInitialize(&Disk->Queue, Mount->queue_depth, Mount->slot_size);
    if (!NT_SUCCESS(Status))
        goto DeleteDevice;
    Status = ReaperPrepare(Disk);
    if (!NT_SUCCESS(Status))
        goto DeleteQueue;
    ArenaInitialize(&Disk->Arena, (SIZE_T)Mount->queue_depth * Mount->slot_size);
    Mounted->disk_id = Disk->Id;
    Mounted->arena_size = Disk->Arena.Size;
    Mounted->number = Number;
    Mounted->reserved = 0;
    Status = Publish(Disk, Server);
    if (!NT_SUCCESS(Status))
        goto Unprepare;
    return STATUS_SUCCESS;

Unprepare:
    ReaperUnprepare(Disk);
DeleteQueue:
    QueueDelete(&Disk->Queue);
DeleteDevice:
    DriverDeleteDevice(Device);
    return Status;
}

VOID DiskStart(DISK *Disk)
{
    QueueOpen(&Disk->Queue);
    /* From here on the I/O manager lets others open the device. */
    Disk->Device->Flags &= ~DO_DEVICE_INITIALIZING;
}

VOID DiskRemove(DISK *Disk)
{
    BOOLEAN First;
    KIRQL Irql;

    KeAcquireSpinLock(&Driver.Lock, &Irql);
    First = Disk->Server != NULL;
    if (First) {
        Disk->Server = NULL;
        RemoveEntryList(&Disk->Link);
    }
    KeReleaseSpinLock(&Driver.Lock, Irql);
    if (!First)
        return;
    QueueClose(Disk);
    DiskDereference(Disk);
}

/* The first mounted disk of this id (or any: 0) and this server (or any: NULL), referenced. */
static DISK *Find(ULONG64 Id, BOOLEAN AnyId, const SERVER *Server)
{
    PLIST_ENTRY Entry;
    DISK *Found = NULL;
    KIRQL Irql;

    KeAcquireSpinLock(&Driver.Lock, &Irql);
    for (Entry = Driver.Disks.Flink; Entry != &Driver.Disks && Found == NULL;
         Entry = Entry->Flink) {
        DISK *Disk = CONTAINING_RECORD(Entry, DISK, Link);
        if ((AnyId || Disk->Id == Id) && (Server == NULL || Disk->Server == Server) &&
            DiskTryReference(Disk))
            Found = Disk;
    }
    KeReleaseSpinLock(&Driver.Lock, Irql);
    return Found;
}

DISK *DiskFind(ULONG64 Id, const SERVER *Server)
{
    return Find(Id, FALSE, Server);
}

DISK *DiskFindAnyOf(const SERVER *Server)
{
    return Find(0, TRUE, Server);
}

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
    ArenaDestroy(&Disk->Arena);
    QueueDelete(&Disk->Queue);
}
