/* SPDX-License-Identifier: MIT */
/*
 * server.c - an open handle of the control device: who serves disks.
 *
 * The end of a server, by exit, crash, kill or CloseHandle, reaches us as CLEANUP of its last
 * handle on NT, as CLOSE alone on Wine, and not at all when Wine stops the driver under it: so all
 * servers are on a list, and ending one is idempotent. PASSIVE_LEVEL; not on the hot path.
 */
#include "server.h"

#include "disk.h"

NTSTATUS ServerOpen(PFILE_OBJECT File)
{
    NTSTATUS Status = STATUS_SUCCESS;
    SERVER *Server = PoolAllocate(sizeof(*Server));
    KIRQL Irql;

    if (Server == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    KeAcquireSpinLock(&Driver.Lock, &Irql);
    if (Driver.Stopping)
        Status = STATUS_DELETE_PENDING;
    else
        InsertTailList(&Driver.Servers, &Server->Link);
    KeReleaseSpinLock(&Driver.Lock, Irql);
    if (!NT_SUCCESS(Status)) {
        PoolFree(Server);
        return Status;
    }
    File->FsContext = Server;
    return STATUS_SUCCESS;
}

SERVER *ServerOf(PFILE_OBJECT File)
{
    return File != NULL ? File->FsContext : NULL;
}

VOID ServerEnd(SERVER *Server)
{
    DISK *Disk;
    KIRQL Irql;

    KeAcquireSpinLock(&Driver.Lock, &Irql);
    Server->Ended = TRUE;
    KeReleaseSpinLock(&Driver.Lock, Irql);
    /* It gets no more, and each that is lost is not found again: so this ends. */
    while ((Disk = DiskFindAnyOf(Server)) != NULL) {
        DiskLoseServer(Disk, Server);
        DiskDereference(Disk);
    }
}

VOID ServerClose(PFILE_OBJECT File)
{
    SERVER *Server = File->FsContext;
    KIRQL Irql;

    File->FsContext = NULL;
    KeAcquireSpinLock(&Driver.Lock, &Irql);
    RemoveEntryList(&Server->Link);
    KeReleaseSpinLock(&Driver.Lock, Irql);
    PoolFree(Server);
}

VOID ServerStopAll(VOID)
{
    DISK *Disk;
    KIRQL Irql;

    KeAcquireSpinLock(&Driver.Lock, &Irql);
    Driver.Stopping = TRUE; /* from here on no disk is added to the list, or held */
    KeReleaseSpinLock(&Driver.Lock, Irql);
    while ((Disk = DiskFindAnyOf(NULL)) != NULL) {
        DiskRemove(Disk);
        DiskDereference(Disk);
    }
}

VOID ServerFreeAll(VOID)
{
    /* No entry point runs any more and no IRP will come: nobody else looks at the list. */
    while (!IsListEmpty(&Driver.Servers))
        PoolFree(CONTAINING_RECORD(RemoveHeadList(&Driver.Servers), SERVER, Link));
}
