/* SPDX-License-Identifier: MIT */
/*
 * control_ioctl.c - the ioctls of the control device, except EXCHANGE.
 *
 * Called from control.c's table at PASSIVE_LEVEL in the process that asks; sizes are checked there.
 * Input is METHOD_BUFFERED: a copy, which output overwrites, so everything is read before anything
 * is written.
 */
#include "control_ioctl.h"

#include "disk.h"
#include "disk_io.h"
#include "server.h"
#include "version.h"
#include "volume.h"

NTSTATUS ControlVersion(SERVER *Server, PIRP Irp, PIO_STACK_LOCATION Stack)
{
    struct cm_version *Version = Irp->AssociatedIrp.SystemBuffer;

    UNREFERENCED_PARAMETER(Server);
    UNREFERENCED_PARAMETER(Stack);
    Version->abi_version = CM_ABI_VERSION;
    Version->driver_version = DRIVER_VERSION;
    Version->features = ArenaFeature() | CM_FEATURE_HOLD | CM_FEATURE_VOLUME;
    Irp->IoStatus.Information = sizeof(*Version);
    return STATUS_SUCCESS;
}

NTSTATUS ControlMount(SERVER *Server, PIRP Irp, PIO_STACK_LOCATION Stack)
{
    struct cm_mounted Mounted;
    NTSTATUS Status;

    UNREFERENCED_PARAMETER(Stack);
    Status = DiskCreate(Server, Irp->AssociatedIrp.SystemBuffer, &Mounted);
    if (!NT_SUCCESS(Status))
        return Status;
    RtlCopyMemory(Irp->AssociatedIrp.SystemBuffer, &Mounted, sizeof(Mounted));
    Irp->IoStatus.Information = sizeof(Mounted);
    return STATUS_SUCCESS;
}

NTSTATUS ControlUnmount(SERVER *Server, PIRP Irp, PIO_STACK_LOCATION Stack)
{
    const struct cm_unmount *Unmount = Irp->AssociatedIrp.SystemBuffer;
    NTSTATUS Status = STATUS_SUCCESS;
    DISK *Disk;

    UNREFERENCED_PARAMETER(Server);
    UNREFERENCED_PARAMETER(Stack);
    if ((Unmount->flags & ~CM_UNMOUNT_ALL_FLAGS) != 0)
        return STATUS_INVALID_PARAMETER;
    Disk = DiskFind(Unmount->disk_id);
    if (Disk == NULL)
        return STATUS_NOT_FOUND;
    if ((Unmount->flags & CM_UNMOUNT_FORCE) == 0 && !QueueRefuseIfIdle(Disk, Unmount->own_handles))
        Status = STATUS_DEVICE_BUSY;
    else
        DiskRemove(Disk);
    DiskDereference(Disk);
    return Status;
}

NTSTATUS ControlAttach(SERVER *Server, PIRP Irp, PIO_STACK_LOCATION Stack)
{
    struct cm_attached Attached;
    NTSTATUS Status;

    UNREFERENCED_PARAMETER(Stack);
    Status = DiskAttach(Server, Irp->AssociatedIrp.SystemBuffer, &Attached);
    if (!NT_SUCCESS(Status))
        return Status;
    RtlCopyMemory(Irp->AssociatedIrp.SystemBuffer, &Attached, sizeof(Attached));
    Irp->IoStatus.Information = sizeof(Attached);
    return STATUS_SUCCESS;
}

/* The disk that an ARENA ioctl means, referenced; NULL: *Status says why. */
static DISK *FindForArena(SERVER *Server, PIRP Irp, ULONG *Epoch, NTSTATUS *Status)
{
    const struct cm_arena *In = Irp->AssociatedIrp.SystemBuffer;
    DISK *Disk = DiskFindServed(In->disk_id, Server, Epoch);

    *Status = STATUS_NOT_FOUND;
    if (Disk != NULL && In->size != DiskArenaSize(Disk)) {
        DiskDereference(Disk);
        Disk = NULL;
        *Status = STATUS_INVALID_PARAMETER;
    }
    return Disk;
}

NTSTATUS ControlArenaMap(SERVER *Server, PIRP Irp, PIO_STACK_LOCATION Stack)
{
    struct cm_arena_mapped *Mapped = Irp->AssociatedIrp.SystemBuffer;
    NTSTATUS Status;
    ULONG Epoch;
    DISK *Disk = FindForArena(Server, Irp, &Epoch, &Status);

    UNREFERENCED_PARAMETER(Stack);
    if (Disk == NULL)
        return Status;
    Status = ArenaMap(Disk, Epoch, Irp, Mapped);
    if (NT_SUCCESS(Status))
        Irp->IoStatus.Information = sizeof(*Mapped);
    DiskDereference(Disk);
    return Status;
}

NTSTATUS ControlArenaLend(SERVER *Server, PIRP Irp, PIO_STACK_LOCATION Stack)
{
    NTSTATUS Status;
    ULONG Epoch;
    DISK *Disk = FindForArena(Server, Irp, &Epoch, &Status);

    UNREFERENCED_PARAMETER(Stack);
    if (Disk == NULL)
        return Status;
    Status = ArenaLend(Disk, Epoch, Irp);
    DiskDereference(Disk);
    return Status;
}

static VOID FillEntryLocked(const DISK *Disk, struct cm_list_entry *Entry)
{
    Entry->disk_id = Disk->Id;
    Entry->size = DiskSize(Disk);
    Entry->number = Disk->Number;
    Entry->sector_size = Disk->SectorSize;
    Entry->flags = DiskMountFlags(Disk);
    Entry->queue_depth = Disk->Queue.Depth;
    Entry->slot_size = Disk->Queue.SlotSize;
    Entry->owner_pid = DiskIsHeldLocked(Disk) ? 0 : Disk->OwnerPid;
    RtlCopyMemory(Entry->image_name, Disk->ImageName, sizeof(Entry->image_name));
}

NTSTATUS ControlList(SERVER *Server, PIRP Irp, PIO_STACK_LOCATION Stack)
{
    struct cm_list *List = Irp->AssociatedIrp.SystemBuffer;
    struct cm_list_entry *Entries = (struct cm_list_entry *)(List + 1);
    ULONG Room =
        (Stack->Parameters.DeviceIoControl.OutputBufferLength - sizeof(*List)) / sizeof(*Entries);
    ULONG Total = 0, Count = 0;
    PLIST_ENTRY Link;
    KIRQL Irql;

    UNREFERENCED_PARAMETER(Server);
    KeAcquireSpinLock(&Driver.Lock, &Irql);
    for (Link = Driver.Disks.Flink; Link != &Driver.Disks; Link = Link->Flink) {
        if (Count < Room)
            FillEntryLocked(CONTAINING_RECORD(Link, DISK, Link), &Entries[Count++]);
        Total++;
    }
    KeReleaseSpinLock(&Driver.Lock, Irql);
    List->total = Total;
    List->count = Count;
    Irp->IoStatus.Information = sizeof(*List) + Count * sizeof(*Entries);
    return Count < Total ? STATUS_BUFFER_OVERFLOW : STATUS_SUCCESS;
}

NTSTATUS ControlStats(SERVER *Server, PIRP Irp, PIO_STACK_LOCATION Stack)
{
    const struct cm_stats_of *Of = Irp->AssociatedIrp.SystemBuffer;
    DISK *Disk = DiskFind(Of->disk_id);

    UNREFERENCED_PARAMETER(Server);
    UNREFERENCED_PARAMETER(Stack);
    if (Disk == NULL)
        return STATUS_NOT_FOUND;
    QueueGetStats(Disk, Irp->AssociatedIrp.SystemBuffer);
    Irp->IoStatus.Information = sizeof(struct cm_stats);
    DiskDereference(Disk);
    return STATUS_SUCCESS;
}

NTSTATUS ControlHealth(SERVER *Server, PIRP Irp, PIO_STACK_LOCATION Stack)
{
    const struct cm_health_of *Of = Irp->AssociatedIrp.SystemBuffer;
    DISK *Disk = DiskFind(Of->disk_id);

    UNREFERENCED_PARAMETER(Server);
    UNREFERENCED_PARAMETER(Stack);
    if (Disk == NULL)
        return STATUS_NOT_FOUND;
    DiskGetHealth(Disk, Irp->AssociatedIrp.SystemBuffer);
    Irp->IoStatus.Information = sizeof(struct cm_health);
    DiskDereference(Disk);
    return STATUS_SUCCESS;
}

static BOOLEAN IdentifyIsValid(const struct cm_identify *Identify)
{
    static const UCHAR Zeros[sizeof(Identify->unique_id)];

    if (Identify->letter != 0 && (Identify->letter < 'A' || Identify->letter > 'Z'))
        return FALSE;
    if (Identify->reserved[0] != 0 || Identify->reserved[1] != 0 || Identify->reserved[2] != 0)
        return FALSE;
    return RtlCompareMemory(Identify->unique_id, Zeros, sizeof(Zeros)) != sizeof(Zeros);
}

NTSTATUS ControlIdentify(SERVER *Server, PIRP Irp, PIO_STACK_LOCATION Stack)
{
    const struct cm_identify *Identify = Irp->AssociatedIrp.SystemBuffer;
    DISK_IDENTITY Identity = {.Known = TRUE, .Letter = Identify->letter};
    NTSTATUS Status;
    ULONG Epoch;
    DISK *Disk;

    UNREFERENCED_PARAMETER(Stack);
    if (!IdentifyIsValid(Identify))
        return STATUS_INVALID_PARAMETER;
    Disk = DiskFindServed(Identify->disk_id, Server, &Epoch);
    if (Disk == NULL)
        return STATUS_NOT_FOUND;
    RtlCopyMemory(Identity.UniqueId, Identify->unique_id, sizeof(Identity.UniqueId));
    Status = DiskSetIdentity(Disk, &Identity);
    DiskDereference(Disk);
    return Status;
}

/* A mounted file system would not survive to find its end cut off, whoever has files open. */
static BOOLEAN ShrinksInUse(const DISK *Disk, ULONG64 Size)
{
    return Size < DiskSize(Disk) && VolumeIsMounted(Disk->Device);
}

static NTSTATUS MUST_CHECK BeginResize(DISK *Disk, PIRP Irp)
{
    const struct cm_resize *Resize = Irp->AssociatedIrp.SystemBuffer;

    if (Resize->flags != 0 || !DiskSizeIsValid(Resize->size, Disk->SectorSize))
        return STATUS_INVALID_PARAMETER;
    if (Disk->ReadOnly)
        return STATUS_MEDIA_WRITE_PROTECTED;
    if (!Disk->CanResize)
        return STATUS_NOT_SUPPORTED;
    if (ShrinksInUse(Disk, Resize->size))
        return STATUS_DEVICE_BUSY;
    return QueueBeginResize(Disk, Irp, Resize->size, Resize->own_handles);
}

NTSTATUS ControlResize(SERVER *Server, PIRP Irp, PIO_STACK_LOCATION Stack)
{
    const struct cm_resize *Resize = Irp->AssociatedIrp.SystemBuffer;
    DISK *Disk = DiskFind(Resize->disk_id);
    NTSTATUS Status;

    UNREFERENCED_PARAMETER(Server);
    UNREFERENCED_PARAMETER(Stack);
    if (Disk == NULL)
        return STATUS_NOT_FOUND;
    Status = BeginResize(Disk, Irp);
    if (NT_SUCCESS(Status))
        Status = DiskIoSubmit(Disk, Irp);
    DiskDereference(Disk);
    return Status;
}
