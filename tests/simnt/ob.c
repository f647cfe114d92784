/* SPDX-License-Identifier: MIT */
/* ob.c - kernel handles and references to objects. A handle that is left over stops the machine. */
#include <stdlib.h>

#include "internal.h"

typedef struct HANDLE_ENTRY {
    LIST_ENTRY Link; /* P: SimLock: Machine.Handles */
    HANDLE_KIND Kind;
    PVOID Object;
    ACCESS_MASK Access;
    STACK Opened;
} HANDLE_ENTRY;

static VOID ReferenceObject(HANDLE_KIND Kind, PVOID Object)
{
    if (Kind == HANDLE_DEVICE)
        IoReferenceDevice(Object, FALSE);
    else if (Kind == HANDLE_SECTION)
        MmReferenceSection(Object);
}

static VOID DereferenceObject(HANDLE_KIND Kind, PVOID Object)
{
    switch (Kind) {
    case HANDLE_DEVICE:
        IoDereferenceDevice(Object, FALSE);
        break;
    case HANDLE_SECTION:
        MmDereferenceSection(Object);
        break;
    case HANDLE_FILE:
        SimClose(Object);
        break;
    case HANDLE_VOLUME:
        IoDereferenceDevice(Object, TRUE);
        break;
    case HANDLE_THREAD:
        PsDereferenceThread(Object);
        break;
    case HANDLE_PROCESS: /* lives as long as the request through which it was found */
        break;
    }
}

HANDLE ObCreateHandle(HANDLE_KIND Kind, PVOID Object, ACCESS_MASK Access)
{
    HANDLE_ENTRY *Entry = calloc(1, sizeof(*Entry));

    Entry->Kind = Kind;
    Entry->Object = Object;
    Entry->Access = Access;
    StackCapture(&Entry->Opened);
    SimLock();
    InsertTailList(&Machine.Handles, &Entry->Link);
    SimUnlock();
    return Entry;
}

static HANDLE_ENTRY *FindLocked(HANDLE Handle)
{
    PLIST_ENTRY Entry;

    for (Entry = Machine.Handles.Flink; Entry != &Machine.Handles; Entry = Entry->Flink)
        if (CONTAINING_RECORD(Entry, HANDLE_ENTRY, Link) == Handle)
            return Handle;
    SimStop("a handle is used that is not open");
}

PVOID ObLookUp(HANDLE Handle, HANDLE_KIND Kind)
{
    HANDLE_ENTRY *Entry;

    SimLock();
    Entry = FindLocked(Handle);
    SimUnlock();
    if (Entry->Kind != Kind)
        SimStopWith("opened at:", &Entry->Opened, "a handle is used for what it is not");
    return Entry->Object;
}

NTSTATUS ZwClose(HANDLE Handle)
{
    HANDLE_ENTRY *Entry;

    SIM_CALL(PASSIVE_LEVEL);
    SimLock();
    Entry = FindLocked(Handle);
    RemoveEntryList(&Entry->Link);
    SimUnlock();
    DereferenceObject(Entry->Kind, Entry->Object);
    free(Entry);
    return STATUS_SUCCESS;
}

static BOOLEAN IsProcess(PVOID Object)
{
    BOOLEAN Found = FALSE;
    PLIST_ENTRY Entry;

    SimLock();
    for (Entry = Machine.Processes.Flink; Entry != &Machine.Processes; Entry = Entry->Flink)
        Found |= CONTAINING_RECORD(Entry, SIM_PROCESS, Link) == Object;
    SimUnlock();
    return Found;
}

/* Of what the driver opens: a device, or a process. */
NTSTATUS ObOpenObjectByPointer(PVOID Object, ULONG Attributes, PVOID AccessState,
                               ACCESS_MASK Access, POBJECT_TYPE Type, KPROCESSOR_MODE Mode,
                               PHANDLE Handle)
{
    HANDLE_KIND Kind = IsProcess(Object) ? HANDLE_PROCESS : HANDLE_DEVICE;

    UNREFERENCED_PARAMETER(AccessState);
    UNREFERENCED_PARAMETER(Type);
    SIM_CALL(PASSIVE_LEVEL);
    if ((Attributes & OBJ_KERNEL_HANDLE) == 0 || Mode != KernelMode)
        SimStop("a handle that user mode could use");
    if (SimShouldFail(__func__))
        return STATUS_INSUFFICIENT_RESOURCES;
    ReferenceObject(Kind, Object);
    *Handle = ObCreateHandle(Kind, Object, Access);
    return STATUS_SUCCESS;
}

VOID ObCheckNoneLeft(VOID)
{
    if (!IsListEmpty(&Machine.Handles))
        SimStopWith(
            "opened at:", &CONTAINING_RECORD(Machine.Handles.Flink, HANDLE_ENTRY, Link)->Opened,
            "leak: a handle");
}
