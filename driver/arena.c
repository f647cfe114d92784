/* SPDX-License-Identifier: MIT */
/*
 * arena.c - the memory that driver and server share, on two kinds of systems.
 *
 * NT: the server lends its own memory. It is the output buffer of a direct ioctl, so the I/O
 * manager has probed and locked the pages before we see it (no SEH needed, which GCC does not
 * have), and they stay locked for as long as the IRP is pended: until the disk or its server goes.
 *
 * Wine: a direct buffer is a copy there, not the caller's memory. But a driver is an ordinary
 * process, so a section mapped into both is shared memory. On NT a view in our process would be of
 * use only in that process's context, which is not where IRPs are completed.
 *
 * An arena is counted (ARENA.Users) and outlives the server's loss by the copies that are under way. It
 * is given back by a work item, made with it so that it cannot fail: the last user may go at
 * DISPATCH_LEVEL, unmapping needs PASSIVE_LEVEL. Until then it holds a reference to its disk, for which
 * the reaper waits.
 *
 * Called once per server and disk at PASSIVE_LEVEL, except ...Locked, LendCancel and ArenaGiveBack
 * (<= DISPATCH). Not on the hot path: queue.c uses ARENA.Base.
 */
#include "arena.h"

#include "disk.h"

ULONG64 ArenaFeature(VOID)
{
    return Driver.IsWine ? CM_FEATURE_ARENA_MAP : CM_FEATURE_ARENA_LEND;
}

static ARENA *Make(DISK *Disk, ULONG Epoch)
{
    ARENA *Arena = PoolAllocate(sizeof(*Arena));

    if (Arena == NULL)
        return NULL;
    Arena->Item = IoAllocateWorkItem(Driver.ControlDevice);
    if (Arena->Item == NULL || !DiskTryReference(Disk)) {
        if (Arena->Item != NULL)
            IoFreeWorkItem(Arena->Item);
        PoolFree(Arena);
        return NULL;
    }
    Arena->Disk = Disk;
    Arena->Epoch = Epoch;
    return Arena;
}

/* Of an arena that nobody uses, or ever did. The caller's reference to the disk goes with it. */
static VOID Destroy(ARENA *Arena)
{
    DISK *Disk = Arena->Disk;

    if (Arena->View != NULL)
        ZwUnmapViewOfSection(NtCurrentProcess(), Arena->View);
    IoFreeWorkItem(Arena->Item);
    PoolFree(Arena);
    DiskDereference(Disk);
}

static VOID NTAPI GiveBack(PDEVICE_OBJECT ControlDevice, PVOID Context)
{
    ARENA *Arena = Context;
    PIRP Irp = Arena->LendIrp;

    UNREFERENCED_PARAMETER(ControlDevice);
    DriverEnter();
    if (Irp != NULL) {
        Irp->IoStatus.Status = STATUS_SUCCESS;
        Irp->IoStatus.Information = 0;
        IoCompleteRequest(Irp, IO_NO_INCREMENT);
    }
    Destroy(Arena);
    DriverLeave();
}

VOID ArenaGiveBack(ARENA *Arena)
{
    IoQueueWorkItem(Arena->Item, GiveBack, DelayedWorkQueue, Arena);
}

/* -- Wine: a section --------------------------------------------------------------------------- */

static NTSTATUS MUST_CHECK MapView(HANDLE Section, HANDLE Process, SIZE_T Size, PVOID *View)
{
    SIZE_T ViewSize = Size;

    *View = NULL;
    return ZwMapViewOfSection(Section, Process, View, 0, Size, NULL, &ViewSize, ViewUnmap, 0,
                              PAGE_READWRITE);
}

static NTSTATUS MUST_CHECK MapForRequestor(HANDLE Section, PIRP Irp, SIZE_T Size, PVOID *View)
{
    HANDLE Process;
    NTSTATUS Status;

    Status = ObOpenObjectByPointer(IoGetRequestorProcess(Irp), OBJ_KERNEL_HANDLE, NULL,
                                   PROCESS_ALL_ACCESS, NULL, KernelMode, &Process);
    if (!NT_SUCCESS(Status))
        return Status;
    Status = MapView(Section, Process, Size, View);
    ZwClose(Process);
    return Status;
}

static NTSTATUS MUST_CHECK MapBoth(ARENA *Arena, PIRP Irp, struct cm_arena_mapped *Mapped)
{
    SIZE_T Bytes = DiskArenaSize(Arena->Disk);
    LARGE_INTEGER Size = {.QuadPart = (LONGLONG)Bytes};
    OBJECT_ATTRIBUTES Attributes;
    PVOID Theirs;
    HANDLE Section;
    NTSTATUS Status;

    InitializeObjectAttributes(&Attributes, NULL, OBJ_KERNEL_HANDLE, NULL, NULL);
    Status = ZwCreateSection(&Section, SECTION_ALL_ACCESS, &Attributes, &Size, PAGE_READWRITE,
                             SEC_COMMIT, NULL);
    if (!NT_SUCCESS(Status))
        return Status;
    Status = MapView(Section, NtCurrentProcess(), Bytes, &Arena->View);
    if (NT_SUCCESS(Status)) {
        Status = MapForRequestor(Section, Irp, Bytes, &Theirs);
        if (NT_SUCCESS(Status)) {
            Mapped->address = (ULONG_PTR)Theirs;
            Mapped->size = Bytes;
        } else {
            ZwUnmapViewOfSection(NtCurrentProcess(), Arena->View);
            Arena->View = NULL;
        }
    }
    ZwClose(Section); /* the views keep it */
    return Status;
}

NTSTATUS ArenaMap(DISK *Disk, ULONG Epoch, PIRP Irp, struct cm_arena_mapped *Mapped)
{
    NTSTATUS Status;
    ARENA *Arena;

    if (ArenaFeature() != CM_FEATURE_ARENA_MAP)
        return STATUS_NOT_SUPPORTED;
    Status = QueueWantsArena(Disk, Epoch);
    if (!NT_SUCCESS(Status))
        return Status;
    Arena = Make(Disk, Epoch);
    if (Arena == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    Status = MapBoth(Arena, Irp, Mapped);
    if (NT_SUCCESS(Status)) {
        Arena->Base = Arena->View;
        Status = DiskStart(Disk, Arena);
    }
    if (!NT_SUCCESS(Status))
        Destroy(Arena);
    return Status;
}

/* -- NT: memory lent by the server ------------------------------------------------------------- */

/*
 * The lent memory is being taken back: the server's thread or process ends, or it cancels. The disk
 * loses the arena; the IRP stays pended, and the pages locked, until nobody copies any more.
 */
static VOID NTAPI LendCancel(PDEVICE_OBJECT Device, PIRP Irp)
{
    ARENA *Arena = Irp->Tail.Overlay.DriverContext[0];

    UNREFERENCED_PARAMETER(Device);
    DriverEnter();
    IoReleaseCancelSpinLock(Irp->CancelIrql);
    DiskLoseArena(Arena->Disk, Arena->Epoch);
    QueueUnuseArena(Arena); /* this routine's use: nobody else can have dropped it */
    DriverLeave();
}

BOOLEAN ArenaAttachLocked(ARENA *Arena)
{
    PIRP Irp = Arena->LendIrp;

    if (Irp != NULL) {
        Irp->Tail.Overlay.DriverContext[0] = Arena;
        IoSetCancelRoutine(Irp, LendCancel);
        if (Irp->Cancel && IoSetCancelRoutine(Irp, NULL) != NULL)
            return FALSE; /* cancelled before we asked to be told: no cancel routine will run */
        IoMarkIrpPending(Irp); /* LendCancel, if it runs by now, gets nowhere without the lock */
        Arena->Users++;
    }
    Arena->Users++;
    return TRUE;
}

BOOLEAN ArenaDetachLocked(ARENA *Arena)
{
    /* Otherwise it runs, or has run, and drops its use itself. */
    if (Arena->LendIrp != NULL && IoSetCancelRoutine(Arena->LendIrp, NULL) != NULL)
        Arena->Users--;
    return ArenaUnuseLocked(Arena);
}

NTSTATUS ArenaLend(DISK *Disk, ULONG Epoch, PIRP Irp)
{
    NTSTATUS Status;
    ARENA *Arena;

    if (ArenaFeature() != CM_FEATURE_ARENA_LEND)
        return STATUS_NOT_SUPPORTED;
    if (Irp->MdlAddress == NULL || MmGetMdlByteCount(Irp->MdlAddress) != DiskArenaSize(Disk) ||
        MmGetMdlByteOffset(Irp->MdlAddress) != 0)
        return STATUS_INVALID_PARAMETER;
    Arena = Make(Disk, Epoch);
    if (Arena == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    Arena->LendIrp = Irp;
    Arena->Base = MmGetSystemAddressForMdlSafe(Irp->MdlAddress, MappingPriority);
    Status = Arena->Base != NULL ? DiskStart(Disk, Arena) : STATUS_INSUFFICIENT_RESOURCES;
    if (NT_SUCCESS(Status))
        return STATUS_PENDING;
    Destroy(Arena);
    return Status;
}
