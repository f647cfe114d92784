/* SPDX-License-Identifier: MIT */
/*
 * io.c - devices, symbolic links, work items.
 *
 * A device lives until it has been deleted and nobody points to it: on NT files, work items and file systems
 * do. Who lets go last may thereby unload the driver (MachineLetGo).
 */
#include <stdio.h>
#include <stdlib.h>

#include "internal.h"

#define DEVICE_MAGIC 0x49564544u
#define WORKERS 2

typedef struct SYMBOLIC_LINK {
    LIST_ENTRY Link; /* P: SimLock: Machine.Links */
    WCHAR Name[64], Target[64];
    STACK Created;
} SYMBOLIC_LINK;

/* -- names ------------------------------------------------------------------------------------- */

static VOID CopyName(WCHAR Name[64], const UNICODE_STRING *String)
{
    if (String->Length >= 64 * sizeof(WCHAR))
        SimStop("a name of more than 63 characters");
    memset(Name, 0, 64 * sizeof(WCHAR));
    memcpy(Name, String->Buffer, String->Length);
}

static BOOLEAN SameName(const WCHAR *A, const WCHAR *B)
{
    while (*A != 0 && *A == *B)
        A++, B++;
    return *A == *B;
}

/* Deleting takes the name away, on either system. */
static SIM_DEVICE *FindDeviceLocked(const WCHAR *Name, BOOLEAN Deleted)
{
    PLIST_ENTRY Entry;

    for (Entry = Machine.Devices.Flink; Entry != &Machine.Devices; Entry = Entry->Flink) {
        SIM_DEVICE *Device = CONTAINING_RECORD(Entry, SIM_DEVICE, Link);
        if (SameName(Device->Name, Name) && (Deleted || !Device->Deleted))
            return Device;
    }
    return NULL;
}

static SYMBOLIC_LINK *FindLinkLocked(const WCHAR *Name)
{
    PLIST_ENTRY Entry;

    for (Entry = Machine.Links.Flink; Entry != &Machine.Links; Entry = Entry->Flink)
        if (SameName(CONTAINING_RECORD(Entry, SYMBOLIC_LINK, Link)->Name, Name))
            return CONTAINING_RECORD(Entry, SYMBOLIC_LINK, Link);
    return NULL;
}

static VOID JoinWide(WCHAR Wide[64], const char *Prefix, const char *Name)
{
    char Full[64];
    ULONG Index;

    snprintf(Full, sizeof(Full), "%s%s", Prefix, Name);
    for (Index = 0; Full[Index] != '\0'; Index++)
        Wide[Index] = (WCHAR)Full[Index];
    Wide[Index] = 0;
}

/* "\\.\X" is the link "\DosDevices\X", or that of all sessions, "\GLOBAL??\X". */
SIM_DEVICE *IoFindDevice(const char *Name, BOOLEAN Deleted)
{
    BOOLEAN IsDos = strncmp(Name, "\\\\.\\", 4) == 0;
    SYMBOLIC_LINK *Link;
    SIM_DEVICE *Device;
    WCHAR Wide[64];

    JoinWide(Wide, IsDos ? "\\DosDevices\\" : "", IsDos ? Name + 4 : Name);
    SimLock();
    Link = FindLinkLocked(Wide);
    if (Link == NULL && IsDos) {
        JoinWide(Wide, "\\GLOBAL??\\", Name + 4);
        Link = FindLinkLocked(Wide);
    }
    Device = FindDeviceLocked(Link != NULL ? Link->Target : Wide, Deleted);
    if (Device != NULL)
        Device->Pointers++;
    SimUnlock();
    if (Device != NULL)
        SIM_ACQUIRE(&Device->Created);
    return Device;
}

static BOOLEAN BeginsWith(const WCHAR *Name, const char *Prefix)
{
    while (*Prefix != '\0')
        if (*Name++ != (WCHAR)*Prefix++)
            return FALSE;
    return TRUE;
}

/* In another process than the system's, which loads drivers, \DosDevices may be that of a session. Wine has but one. */
static VOID CheckNameSpace(const WCHAR *Name)
{
    if (SimIsWine() ? BeginsWith(Name, "\\GLOBAL??\\")
                    : BeginsWith(Name, "\\DosDevices\\") && Machine.State == DRIVER_LOADED)
        SimStop("a link that not everybody will find");
}

NTSTATUS IoCreateSymbolicLink(PUNICODE_STRING Name, PUNICODE_STRING Target)
{
    SYMBOLIC_LINK *Link;
    BOOLEAN Exists;

    SIM_CALL(PASSIVE_LEVEL);
    if (SimShouldFail(__func__))
        return STATUS_INSUFFICIENT_RESOURCES;
    Link = calloc(1, sizeof(*Link));
    CopyName(Link->Name, Name);
    CheckNameSpace(Link->Name);
    CopyName(Link->Target, Target);
    StackCapture(&Link->Created);
    SimLock();
    Exists = FindLinkLocked(Link->Name) != NULL;
    if (!Exists)
        InsertTailList(&Machine.Links, &Link->Link);
    SimUnlock();
    if (Exists)
        free(Link);
    return Exists ? STATUS_OBJECT_NAME_COLLISION : STATUS_SUCCESS;
}

NTSTATUS IoDeleteSymbolicLink(PUNICODE_STRING Name)
{
    SYMBOLIC_LINK *Link;
    WCHAR Wide[64];

    SIM_CALL(PASSIVE_LEVEL);
    CopyName(Wide, Name);
    SimLock();
    Link = FindLinkLocked(Wide);
    if (Link != NULL)
        RemoveEntryList(&Link->Link);
    SimUnlock();
    free(Link);
    return Link != NULL ? STATUS_SUCCESS : STATUS_OBJECT_NAME_NOT_FOUND;
}

/* -- devices ----------------------------------------------------------------------------------- */

static VOID CheckDevice(const SIM_DEVICE *Device)
{
    if (Device->Magic != DEVICE_MAGIC)
        SimStop("a device is used that is none, or has been freed");
}

static SIM_DEVICE *NewDevice(PDRIVER_OBJECT Driver, ULONG ExtensionSize, PUNICODE_STRING Name,
                             DEVICE_TYPE Type, ULONG Characteristics)
{
    SIM_DEVICE *Device = calloc(1, sizeof(*Device));

    CopyName(Device->Name, Name);
    Device->Magic = DEVICE_MAGIC;
    Device->Pointers = 1;
    Device->Object.DriverObject = Driver;
    Device->Object.Flags = DO_DEVICE_INITIALIZING;
    Device->Object.DeviceType = Type;
    Device->Object.Characteristics = Characteristics;
    Device->Object.StackSize = 1;
    Device->Object.DeviceExtension = calloc(1, ExtensionSize);
    if (Type == FILE_DEVICE_DISK)
        Device->Object.Vpb = calloc(1, sizeof(VPB));
    StackCapture(&Device->Created);
    return Device;
}

static VOID FreeDevice(SIM_DEVICE *Device)
{
    Device->Magic = 0;
    free(Device->Object.DeviceExtension);
    free(Device->Object.Vpb);
    free(Device);
}

NTSTATUS IoCreateDevice(PDRIVER_OBJECT Driver, ULONG ExtensionSize, PUNICODE_STRING Name,
                        DEVICE_TYPE Type, ULONG Characteristics, BOOLEAN Exclusive,
                        PDEVICE_OBJECT *Out)
{
    SIM_DEVICE *Device;
    BOOLEAN Exists;

    UNREFERENCED_PARAMETER(Exclusive);
    SIM_CALL(APC_LEVEL);
    if (SimShouldFail(__func__))
        return STATUS_INSUFFICIENT_RESOURCES;
    Device = NewDevice(Driver, ExtensionSize, Name, Type, Characteristics);
    SIM_RELEASE(&Device->Created);
    SimLock();
    Exists = FindDeviceLocked(Device->Name, FALSE) != NULL;
    if (!Exists) {
        InsertTailList(&Machine.Devices, &Device->Link);
        Machine.Counters.Devices++;
    }
    SimUnlock();
    if (Exists) {
        FreeDevice(Device);
        return STATUS_OBJECT_NAME_COLLISION;
    }
    SimSelf->Published = (PVOID)(uintptr_t)&Device->Object.Flags;
    *Out = &Device->Object;
    return STATUS_SUCCESS;
}

VOID IoReferenceDevice(SIM_DEVICE *Device, BOOLEAN IsHandle)
{
    SimLock();
    CheckDevice(Device);
    Device->Pointers++;
    Device->Handles += IsHandle;
    SimUnlock();
}

NTSTATUS IoOpenDevice(SIM_DEVICE *Device)
{
    NTSTATUS Status = STATUS_SUCCESS;

    SimLock();
    if (!MachineAcceptsOpensLocked() || Device->Deleted)
        Status = STATUS_NO_SUCH_DEVICE;
    if ((Device->Object.Flags & DO_DEVICE_INITIALIZING) != 0 && !SimIsWine())
        Status = STATUS_NO_SUCH_DEVICE;
    if (NT_SUCCESS(Status)) {
        Device->Pointers++;
        Device->Handles++;
    }
    SimUnlock();
    SIM_ACQUIRE(&Machine.State);        /* DriverEntry was before */
    SIM_ACQUIRE(&Device->Object.Flags); /* and what the driver did before it cleared the flag */
    return Status;
}

VOID IoDereferenceDevice(SIM_DEVICE *Device, BOOLEAN IsHandle)
{
    BOOLEAN Last;

    SIM_RELEASE(Device);
    if (IsHandle)
        SIM_RELEASE(&Machine.UnloadPending);
    SimLock();
    CheckDevice(Device);
    Device->Handles -= IsHandle;
    Last = --Device->Pointers == 0;
    if (Last) {
        RemoveEntryList(&Device->Link);
        Machine.Counters.Devices--;
    }
    SimUnlock();
    if (Last) {
        SIM_ACQUIRE(Device);
        FreeDevice(Device);
    }
    MachineLetGo();
}

VOID IoDeleteDevice(PDEVICE_OBJECT Object)
{
    SIM_DEVICE *Device = (SIM_DEVICE *)Object;

    SIM_CALL(PASSIVE_LEVEL);
    if (SimSelf->Lock != NULL)
        SimStop("a device is deleted with a spin lock held");
    SimLock();
    CheckDevice(Device);
    if (Device->Deleted)
        SimStopWith("created at:", &Device->Created, "a device is deleted twice");
    Device->Deleted = TRUE;
    if (Device->WantsShutdown)
        SimStopWith("created at:", &Device->Created,
                    "a device is deleted that is still to be told of the machine's end");
    SimUnlock();
    IrpCheckNonePendedOn(Device);
    SimPoint();
    IoDereferenceDevice(Device, FALSE);
}

NTSTATUS IoRegisterShutdownNotification(PDEVICE_OBJECT Object)
{
    SIM_DEVICE *Device = (SIM_DEVICE *)Object;

    SIM_CALL(PASSIVE_LEVEL);
    if (SimShouldFail(__func__))
        return STATUS_INSUFFICIENT_RESOURCES;
    SimLock();
    CheckDevice(Device);
    Device->WantsShutdown = TRUE;
    SimUnlock();
    return STATUS_SUCCESS;
}

VOID IoUnregisterShutdownNotification(PDEVICE_OBJECT Object)
{
    SIM_DEVICE *Device = (SIM_DEVICE *)Object;

    SIM_CALL(PASSIVE_LEVEL);
    SimLock();
    CheckDevice(Device);
    Device->WantsShutdown = FALSE;
    SimUnlock();
}

/* What NT asks before it unloads a driver. */
BOOLEAN IoNobodyUsesDevices(VOID)
{
    PLIST_ENTRY Entry;

    for (Entry = Machine.Devices.Flink; Entry != &Machine.Devices; Entry = Entry->Flink) {
        SIM_DEVICE *Device = CONTAINING_RECORD(Entry, SIM_DEVICE, Link);
        if (Device->Handles != 0)
            return FALSE;
    }
    return TRUE;
}

BOOLEAN IoNobodyLetsGoLocked(VOID)
{
    PLIST_ENTRY Entry;

    for (Entry = Machine.Devices.Flink; Entry != &Machine.Devices; Entry = Entry->Flink) {
        SIM_DEVICE *Device = CONTAINING_RECORD(Entry, SIM_DEVICE, Link);
        if (Device->Deleted || Device->Pointers > 1)
            return FALSE;
    }
    return TRUE;
}

static VOID CheckNoDeviceLeft(VOID)
{
    PLIST_ENTRY Entry;

    for (Entry = Machine.Devices.Flink; Entry != &Machine.Devices; Entry = Entry->Flink) {
        SIM_DEVICE *Device = CONTAINING_RECORD(Entry, SIM_DEVICE, Link);
        /* On Wine files may outlive the driver. */
        if (!Device->Deleted)
            SimStopWith("created at:", &Device->Created, "leak: a device");
    }
}

static VOID CheckNoLinkLeft(VOID)
{
    if (!IsListEmpty(&Machine.Links))
        SimStopWith(
            "created at:", &CONTAINING_RECORD(Machine.Links.Flink, SYMBOLIC_LINK, Link)->Created,
            "leak: a symbolic link");
}

/* -- work items -------------------------------------------------------------------------------- */

typedef struct IO_WORKITEM {
    LIST_ENTRY Link; /* P: SimLock: Items */
    SIM_DEVICE *Device;
    BOOLEAN Queued; /* P: SimLock: it may be freed or queued again when its routine begins */
    STACK Allocated;
} IO_WORKITEM;

/* Something for a worker: a work item's routine, or a deferred one of ours (Device: NULL). */
typedef struct WORK {
    LIST_ENTRY Link;
    PIO_WORKITEM Item;
    SIM_DEVICE *Device;
    IO_WORKITEM_ROUTINE *Routine;
    VOID (*Deferred)(PVOID Context);
    PVOID Context;
} WORK;

static LIST_ENTRY Queue = {&Queue, &Queue}; /* P: SimLock */
static ULONG Busy;                          /* P: SimLock: queued or being done */
static BOOLEAN Ending;                      /* P: SimLock */
static LIST_ENTRY Items = {&Items, &Items}; /* P: SimLock */
static SIM_THREAD *Workers[WORKERS];

static VOID Push(WORK *Work)
{
    SIM_RELEASE(Work);
    SimLock();
    InsertTailList(&Queue, &Work->Link);
    Busy++;
    SimUnlock();
    SimChanged();
}

static VOID Do(const WORK *Work)
{
    CONTEXT Before;

    if (Work->Device == NULL) {
        Work->Deferred(Work->Context);
        return;
    }
    Before = SimEnterDriver(IN_WORK_ITEM);
    SimLock();
    Work->Item->Queued = FALSE;
    SimUnlock();
    Work->Routine(&Work->Device->Object, Work->Context);
    if (SimSelf->Irql != PASSIVE_LEVEL || SimSelf->Lock != NULL)
        SimStop("a work item returns at IRQL %u", SimSelf->Irql);
    SimLeaveDriver(Before);
    IoDereferenceDevice(Work->Device, FALSE);
}

static BOOLEAN HasWork(PVOID Context)
{
    UNREFERENCED_PARAMETER(Context);
    return Ending || !IsListEmpty(&Queue);
}

static VOID Worker(PVOID Context)
{
    WORK *Work;

    UNREFERENCED_PARAMETER(Context);
    SimSelf->IsSystem = TRUE;
    for (;;) {
        SimBlock(HasWork, NULL, MAXULONG64);
        SimLock();
        Work = IsListEmpty(&Queue) ? NULL : CONTAINING_RECORD(RemoveHeadList(&Queue), WORK, Link);
        SimUnlock();
        if (Work == NULL && Ending)
            return;
        if (Work == NULL)
            continue;
        SIM_ACQUIRE(Work);
        SimPoint();
        Do(Work);
        free(Work);
        SimLock();
        Busy--;
        SimUnlock();
        SimChanged();
    }
}

static BOOLEAN IsIdle(PVOID Context)
{
    UNREFERENCED_PARAMETER(Context);
    return Busy == 0;
}

VOID IoDrain(VOID)
{
    SimBlock(IsIdle, NULL, MAXULONG64);
}

VOID IoBoot(VOID)
{
    ULONG Index;

    Ending = FALSE;
    for (Index = 0; Index < WORKERS; Index++)
        Workers[Index] = SimSpawn("worker", Worker, NULL);
}

VOID IoShutDown(VOID)
{
    ULONG Index;

    IoDrain();
    SimLock();
    Ending = TRUE;
    SimUnlock();
    SimChanged();
    for (Index = 0; Index < WORKERS; Index++)
        SimJoin(Workers[Index]);
}

VOID IoDefer(VOID (*Routine)(PVOID Context), PVOID Context)
{
    WORK *Work = calloc(1, sizeof(*Work));

    Work->Deferred = Routine;
    Work->Context = Context;
    Push(Work);
}

static VOID CheckNoItemLeft(VOID)
{
    SimLock();
    if (!IsListEmpty(&Items)) {
        IO_WORKITEM *Item = CONTAINING_RECORD(Items.Flink, IO_WORKITEM, Link);
        SimStopWith("allocated at:", &Item->Allocated,
                    Item->Queued ? "a work item was queued by a driver that has been unloaded"
                                 : "leak: a work item");
    }
    SimUnlock();
}

VOID IoCheckNoneLeft(VOID)
{
    CheckNoDeviceLeft();
    CheckNoLinkLeft();
    CheckNoItemLeft();
}

PIO_WORKITEM IoAllocateWorkItem(PDEVICE_OBJECT Device)
{
    PIO_WORKITEM Item;

    SIM_CALL(DISPATCH_LEVEL);
    if (SimShouldFail(__func__))
        return NULL;
    Item = calloc(1, sizeof(*Item));
    Item->Device = (SIM_DEVICE *)Device;
    StackCapture(&Item->Allocated);
    SimLock();
    CheckDevice(Item->Device);
    InsertTailList(&Items, &Item->Link);
    SimUnlock();
    return Item;
}

VOID IoFreeWorkItem(PIO_WORKITEM Item)
{
    SIM_CALL(DISPATCH_LEVEL);
    SimLock();
    if (Item->Queued)
        SimStopWith("allocated at:", &Item->Allocated, "a work item is freed that is queued");
    RemoveEntryList(&Item->Link);
    SimUnlock();
    free(Item);
}

VOID IoQueueWorkItem(PIO_WORKITEM Item, IO_WORKITEM_ROUTINE *Routine, WORK_QUEUE_TYPE Kind,
                     PVOID Context)
{
    WORK *Work = calloc(1, sizeof(*Work));

    UNREFERENCED_PARAMETER(Kind);
    SIM_CALL(DISPATCH_LEVEL);
    SimLock();
    if (Item->Queued)
        SimStopWith("allocated at:", &Item->Allocated, "a work item is queued twice");
    Item->Queued = TRUE;
    SimUnlock();
    IoReferenceDevice(Item->Device, FALSE);
    Work->Item = Item;
    Work->Device = Item->Device;
    Work->Routine = Routine;
    Work->Context = Context;
    Push(Work);
    SimPoint(); /* it may be over before this returns */
}
