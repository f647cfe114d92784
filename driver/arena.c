/* SPDX-License-Identifier: MIT */
/*
 * arena.c - the memory that driver and server share, on two kinds of systems.
 *
 * NT: the server lends its own memory. It is the output buffer of a direct ioctl, so the I/O
 * manager has probed and locked the pages before we see it (no SEH needed, which GCC does not
 * have), and they stay locked for as long as the IRP is pended: for the life of the disk.
 *
 * Wine: a direct buffer is a copy there, not the caller's memory. But a driver is an ordinary
 * process, so a section mapped into both is shared memory. On NT a view in our process would be of
 * use only in that process's context, which is not where IRPs are completed.
 *
 * Called once per disk at PASSIVE_LEVEL, except LendCancel (<= DISPATCH). Not on the hot path:
 * queue.c uses ARENA.Base.
 */
#include "arena.h"

#include "disk.h"

ULONG64 ArenaFeature(VOID)
{
    return Driver.IsWine ? CM_FEATURE_ARENA_MAP : CM_FEATURE_ARENA_LEND;
}

VOID ArenaInitialize(ARENA *Arena, SIZE_T Size)
{
    Arena->Size = Size;
    KeInitializeEvent(&Arena->LendCancelEnded, NotificationEvent, FALSE);
}

/* The right to set up the arena goes to the first who asks. */
static BOOLEAN MUST_CHECK Claim(DISK *Disk)
{
    BOOLEAN First;
    KIRQL Irql;

    KeAcquireSpinLock(&Disk->Queue.Lock, &Irql);
    First = !Disk->Arena.Attached;
    Disk->Arena.Attached = TRUE;
    KeReleaseSpinLock(&Disk->Queue.Lock, Irql);
    return First;
}

static VOID Unclaim(DISK *Disk)
{
    KIRQL Irql;

    KeAcquireSpinLock(&Disk->Queue.Lock, &Irql);
    Disk->Arena.Attached = FALSE;
    KeReleaseSpinLock(&Disk->Queue.Lock, Irql);
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
    LARGE_INTEGER Size = {.QuadPart = (LONGLONG)Arena->Size};
    OBJECT_ATTRIBUTES Attributes;
    PVOID Theirs;
    HANDLE Section;
    NTSTATUS Status;

    InitializeObjectAttributes(&Attributes, NULL, OBJ_KERNEL_HANDLE, NULL, NULL);
    Status = ZwCreateSection(&Section, SECTION_ALL_ACCESS, &Attributes, &Size, PAGE_READWRITE,
                             SEC_COMMIT, NULL);
    if (!NT_SUCCESS(Status))
        return Status;
    Status = MapView(Section, NtCurrentProcess(), Arena->Size, &Arena->View);
    if (NT_SUCCESS(Status)) {
        Status = MapForRequestor(Section, Irp, Arena->Size, &Theirs);
        if (NT_SUCCESS(Status)) {
            Mapped->address = (ULONG_PTR)Theirs;
            Mapped->size = Arena->Size;
        } else {
            ZwUnmapViewOfSection(NtCurrentProcess(), Arena->View);
            Arena->View = NULL;
        }
    }
    ZwClose(Section); /* the views keep it */
    return Status;
}

NTSTATUS ArenaMap(DISK *Disk, PIRP Irp, struct cm_arena_mapped *Mapped)
{
    NTSTATUS Status;

    if (ArenaFeature() != CM_FEATURE_ARENA_MAP)
        return STATUS_NOT_SUPPORTED;
    if (!Claim(Disk))
        return STATUS_INVALID_DEVICE_STATE;
    Status = MapBoth(&Disk->Arena, Irp, Mapped);
    if (!NT_SUCCESS(Status)) {
        Unclaim(Disk);
        return Status;
    }
    Disk->Arena.Base = Disk->Arena.View;
    DiskStart(Disk);
    return STATUS_SUCCESS;
}

/* -- NT: memory lent by the server ------------------------------------------------------------- */

/*
 * The lent memory is being taken back: the server's thread or process ends, or it cancels. The disk
 * goes; the IRP stays pended, and the pages locked, until nobody copies any more: ArenaDestroy
 * completes it.
 */
static VOID NTAPI LendCancel(PDEVICE_OBJECT Device, PIRP Irp)
{
    DISK *Disk = Irp->Tail.Overlay.DriverContext[0];

    UNREFERENCED_PARAMETER(Device);
    DriverEnter();
    IoReleaseCancelSpinLock(Irp->CancelIrql);
    DiskRemove(Disk);
    /* The disk cannot go before this: ArenaDestroy waits for it. */
    KeSetEvent(&Disk->Arena.LendCancelEnded, IO_NO_INCREMENT, FALSE);
    DriverLeave();
}

NTSTATUS ArenaLend(DISK *Disk, PIRP Irp)
{
    ARENA *Arena = &Disk->Arena;
    PVOID Base;

    if (ArenaFeature() != CM_FEATURE_ARENA_LEND)
        return STATUS_NOT_SUPPORTED;
    if (Irp->MdlAddress == NULL || MmGetMdlByteCount(Irp->MdlAddress) != Arena->Size ||
        MmGetMdlByteOffset(Irp->MdlAddress) != 0)
        return STATUS_INVALID_PARAMETER;
    Base = MmGetSystemAddressForMdlSafe(Irp->MdlAddress, MappingPriority);
    if (Base == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    if (!Claim(Disk))
        return STATUS_INVALID_DEVICE_STATE;

    Arena->Base = Base;
    Arena->LendIrp = Irp;
    Irp->Tail.Overlay.DriverContext[0] = Disk;
    IoMarkIrpPending(Irp);
    DiskStart(Disk);
    IoSetCancelRoutine(Irp, LendCancel);
    if (Irp->Cancel && IoSetCancelRoutine(Irp, NULL) != NULL) {
        /* Cancelled before we asked to be told: no cancel routine will run. */
        DiskRemove(Disk);
        KeSetEvent(&Arena->LendCancelEnded, IO_NO_INCREMENT, FALSE);
    }
    return STATUS_PENDING;
}

static VOID EndLend(ARENA *Arena)
{
    PIRP Irp = Arena->LendIrp;

    if (IoSetCancelRoutine(Irp, NULL) == NULL) /* it runs, or has run, and refers to the disk */
        KeWaitForSingleObject(&Arena->LendCancelEnded, Executive, KernelMode, FALSE, NULL);
    Irp->IoStatus.Status = STATUS_SUCCESS;
    Irp->IoStatus.Information = 0;
    IoCompleteRequest(Irp, IO_NO_INCREMENT);
}

VOID ArenaDestroy(ARENA *Arena)
{
    if (Arena->View != NULL)
        ZwUnmapViewOfSection(NtCurrentProcess(), Arena->View);
    if (Arena->LendIrp != NULL)
        EndLend(Arena);
}
