/* SPDX-License-Identifier: MIT */
/*
 * file.c - processes, files, and a file system mounted on a disk.
 *
 * NT: CREATE is believed; closing the handle sends CLEANUP, and CLOSE follows when the last request on the
 * file is over. Wine: a refused CREATE is ignored; closing the handle sends CLOSE at once, whatever is pended,
 * and nothing when the device has gone.
 */
#include <stdlib.h>

#include "internal.h"

/* Processes that were killed, and their files: a test's thread, dead in truth, may still be about to do I/O. */
static LIST_ENTRY Dead = {&Dead, &Dead}, DeadFiles = {&DeadFiles, &DeadFiles}; /* P: SimLock */

/* -- processes --------------------------------------------------------------------------------- */

SIM_PROCESS *SimCreateProcess(BOOLEAN IsAdministrator)
{
    SIM_PROCESS *Process = calloc(1, sizeof(*Process));

    Process->IsAdministrator = IsAdministrator;
    SimLock();
    Process->Id = 1000 + 4 * Machine.NextProcess++;
    InsertTailList(&Machine.Processes, &Process->Link);
    SimUnlock();
    return Process;
}

ULONG SimProcessId(const SIM_PROCESS *Process)
{
    return Process->Id;
}

static SIM_FILE *FirstFileOf(const SIM_PROCESS *Process)
{
    SIM_FILE *Found = NULL;
    PLIST_ENTRY Entry;

    SimLock();
    for (Entry = Machine.Files.Flink; Entry != &Machine.Files && Found == NULL;
         Entry = Entry->Flink) {
        SIM_FILE *File = CONTAINING_RECORD(Entry, SIM_FILE, Link);
        if (File->Process == Process && !File->HandleClosed)
            Found = File;
    }
    SimUnlock();
    return Found;
}

static BOOLEAN HasNoIo(PVOID Context)
{
    return ((SIM_PROCESS *)Context)->Outstanding == 0;
}

static BOOLEAN HasNoFiles(PVOID Context)
{
    PLIST_ENTRY Entry;

    for (Entry = Machine.Files.Flink; Entry != &Machine.Files; Entry = Entry->Flink)
        if (CONTAINING_RECORD(Entry, SIM_FILE, Link)->Process == Context)
            return FALSE;
    return TRUE;
}

static VOID FreeProcess(SIM_PROCESS *Process)
{
    MmUnmapViewsOf(Process);
    SimLock();
    RemoveEntryList(&Process->Link);
    if (Process->Killed)
        InsertTailList(&Dead, &Process->Link);
    SimUnlock();
    if (!Process->Killed)
        free(Process);
}

VOID SimEndProcess(SIM_PROCESS *Process)
{
    SimBlock(HasNoIo, Process, MAXULONG64);
    SimBlock(HasNoFiles, Process, MAXULONG64); /* CLOSE may come a little later */
    SIM_ACQUIRE(Process);
    FreeProcess(Process);
}

VOID SimKill(SIM_PROCESS *Process)
{
    SIM_FILE *File;

    SimLock();
    Process->Killed = TRUE;
    SimUnlock();
    IrpCancelAllOf(Process);
    /* A process on NT cannot end before its requests have. On Wine it can. */
    if (!SimIsWine())
        SimBlock(HasNoIo, Process, MAXULONG64);
    while ((File = FirstFileOf(Process)) != NULL)
        SimClose(File);
    SimEndProcess(Process);
}

/* -- opening ----------------------------------------------------------------------------------- */

static ACCESS_MASK Specific(ACCESS_MASK Access)
{
    ACCESS_MASK Result = Access & ~(GENERIC_READ | GENERIC_WRITE);

    if ((Access & GENERIC_READ) != 0)
        Result |= FILE_READ_DATA | FILE_READ_ATTRIBUTES | READ_CONTROL | SYNCHRONIZE;
    if ((Access & GENERIC_WRITE) != 0)
        Result |= FILE_WRITE_DATA | FILE_APPEND_DATA | READ_CONTROL | SYNCHRONIZE;
    return Result;
}

static NTSTATUS OpenDevice(SIM_DEVICE *Device, const SIM_PROCESS *Process, ACCESS_MASK Access)
{
    if (Device == NULL)
        return STATUS_OBJECT_NAME_NOT_FOUND;
    if (!SimIsWine() && !SeMayOpen(Device, Process == NULL || Process->IsAdministrator, Access))
        return STATUS_ACCESS_DENIED;
    return IoOpenDevice(Device);
}

/* A device by name, and its file below it: "\Device\X\name" is "\name" on "\Device\X". */
static SIM_DEVICE *FindDevice(const char *Name, const char **Below)
{
    SIM_DEVICE *Device = IoFindDevice(Name, FALSE);
    const char *Slash = strrchr(Name, '\\');
    char Short[64];

    *Below = "";
    if (Device != NULL || Slash == NULL || Slash == Name || (size_t)(Slash - Name) >= sizeof(Short))
        return Device;
    memcpy(Short, Name, (size_t)(Slash - Name));
    Short[Slash - Name] = '\0';
    *Below = Slash;
    return IoFindDevice(Short, FALSE);
}

static SIM_FILE *NewFile(SIM_DEVICE *Device, SIM_PROCESS *Process, ACCESS_MASK Access,
                         const char *Below)
{
    SIM_FILE *File = calloc(1, sizeof(*File));
    ULONG Index;

    for (Index = 0; Below[Index] != '\0' && Index < RTL_NUMBER_OF(File->NameBuffer); Index++)
        File->NameBuffer[Index] = (WCHAR)Below[Index];
    File->Object.DeviceObject = &Device->Object;
    File->Object.FileName.Buffer = File->NameBuffer;
    File->Object.FileName.Length = (USHORT)(SimIsWine() ? 0 : Index * sizeof(WCHAR));
    File->Device = Device;
    File->Process = Process;
    File->Access = Access;
    SimLock();
    InsertTailList(&Machine.Files, &File->Link);
    SimUnlock();
    return File;
}

/* The device first: when a process has no files any more, it keeps no driver either. */
static VOID FreeFile(SIM_FILE *File)
{
    BOOLEAN Killed;

    IoDereferenceDevice(File->Device, TRUE);
    SimLock();
    Killed = File->Process != NULL && File->Process->Killed;
    RemoveEntryList(&File->Link);
    if (Killed) {
        InsertTailList(&DeadFiles, &File->Link);
        SIM_POISON(&File->Object, sizeof(File->Object));
    }
    SimUnlock();
    SimChanged();
    if (Killed)
        return;
    SIM_UNPOISON(&File->Object, sizeof(File->Object));
    free(File);
}

SIM_FILE *SimOpen(SIM_PROCESS *Process, const char *Name, ACCESS_MASK Access, NTSTATUS *Status)
{
    const char *Below;
    SIM_DEVICE *Device = FindDevice(Name, &Below);
    SIM_FILE *File;

    Access = Specific(Access);
    *Status = OpenDevice(Device, Process, Access);
    if (Device != NULL)
        IoDereferenceDevice(Device, FALSE); /* now by a handle, or not at all */
    if (!NT_SUCCESS(*Status))
        return NULL;
    File = NewFile(Device, Process, Access, Below);
    *Status = IrpSendAndWait(File, IRP_MJ_CREATE);
    if (!NT_SUCCESS(*Status) && !SimIsWine()) {
        FreeFile(File);
        return NULL;
    }
    return File;
}

/* -- closing ----------------------------------------------------------------------------------- */

static VOID SendClose(PVOID Context)
{
    SIM_FILE *File = Context;
    BOOLEAN Last;

    SIM_ACQUIRE(File);
    IrpSendAndWait(File, IRP_MJ_CLOSE);
    if (File->Process != NULL)
        SIM_RELEASE(File->Process);
    SimLock();
    File->Closed = TRUE;
    Last = File->Outstanding == 0;
    if (!Last) /* Wine: ours stays for what is pended, the driver's is gone */
        SIM_POISON(&File->Object, sizeof(File->Object));
    SimUnlock();
    if (Last)
        FreeFile(File);
}

VOID SimClose(SIM_FILE *File)
{
    BOOLEAN Last;

    if (!SimIsWine())
        IrpSendAndWait(File, IRP_MJ_CLEANUP);
    SIM_RELEASE(File);
    SimLock();
    File->HandleClosed = TRUE;
    Last = SimIsWine() || File->Outstanding == 0;
    if (Last)
        File->CloseSent = TRUE;
    SimUnlock();
    if (Last)
        SendClose(File);
}

FILE_END FileIoEndedLocked(SIM_FILE *File)
{
    if (File->Outstanding != 0)
        return FILE_GOES_ON;
    if (File->Closed)
        return FILE_FREE;
    if (!File->HandleClosed || File->CloseSent)
        return FILE_GOES_ON;
    File->CloseSent = TRUE;
    return FILE_SEND_CLOSE;
}

VOID FileEnd(SIM_FILE *File, FILE_END End)
{
    if (End == FILE_SEND_CLOSE)
        IoDefer(SendClose, File);
    if (End == FILE_FREE)
        FreeFile(File);
}

static VOID FreeDead(VOID)
{
    while (!IsListEmpty(&DeadFiles)) {
        SIM_FILE *File = CONTAINING_RECORD(RemoveHeadList(&DeadFiles), SIM_FILE, Link);
        SIM_UNPOISON(&File->Object, sizeof(File->Object));
        free(File);
    }
    while (!IsListEmpty(&Dead))
        free(CONTAINING_RECORD(RemoveHeadList(&Dead), SIM_PROCESS, Link));
}

VOID FileCheckNoneLeft(VOID)
{
    if (!IsListEmpty(&Machine.Files))
        SimStop("the test has left a file open");
    if (!IsListEmpty(&Machine.Processes))
        SimStop("the test has left a process running");
    FreeDead();
}

/* -- file systems ------------------------------------------------------------------------------ */

/* As file systems do it when they are taken off: the device gets a new VPB, and the old one goes. */
static VOID ReplaceVpb(SIM_DEVICE *Device, USHORT Flags)
{
    VPB *New = calloc(1, sizeof(*New));
    VPB *Old;
    KIRQL Irql;

    New->Flags = Flags;
    IoAcquireVpbSpinLock(&Irql);
    Old = Device->Object.Vpb;
    Device->Object.Vpb = New;
    IoReleaseVpbSpinLock(Irql);
    free(Old);
}

/* Make it have a file system, or none. FALSE: so it was before. */
static BOOLEAN SetFileSystem(SIM_DEVICE *Device, BOOLEAN FileSystem)
{
    BOOLEAN Before;

    SimLock();
    Before = Device->FileSystem;
    Device->FileSystem = FileSystem;
    SimUnlock();
    if (Before != FileSystem)
        ReplaceVpb(Device, FileSystem ? VPB_MOUNTED : 0);
    return Before != FileSystem;
}

NTSTATUS SimMountFileSystem(const char *Name)
{
    SIM_DEVICE *Device = IoFindDevice(Name, FALSE);
    NTSTATUS Status;

    if (Device == NULL)
        return STATUS_OBJECT_NAME_NOT_FOUND;
    Status = IoOpenDevice(Device);
    if (NT_SUCCESS(Status) && !SetFileSystem(Device, TRUE)) {
        Status = STATUS_UNSUCCESSFUL;
        IoDereferenceDevice(Device, TRUE);
    }
    IoDereferenceDevice(Device, FALSE);
    return Status;
}

static VOID LetGo(SIM_DEVICE *Device)
{
    if (SetFileSystem(Device, FALSE))
        IoDereferenceDevice(Device, TRUE);
}

VOID SimUnmountFileSystem(const char *Name)
{
    SIM_DEVICE *Device = IoFindDevice(Name, TRUE);

    if (Device == NULL)
        return;
    LetGo(Device);
    IoDereferenceDevice(Device, FALSE);
}

VOID SimLockFileSystem(const char *Name)
{
    SIM_DEVICE *Device = IoFindDevice(Name, TRUE);
    KIRQL Irql;

    if (Device == NULL)
        return;
    IoAcquireVpbSpinLock(&Irql);
    Device->Object.Vpb->Flags |= VPB_LOCKED;
    IoReleaseVpbSpinLock(Irql);
    IoDereferenceDevice(Device, FALSE);
}

static BOOLEAN HasFileSystem(const SIM_DEVICE *Device)
{
    BOOLEAN FileSystem;

    SimLock();
    FileSystem = Device->FileSystem;
    SimUnlock();
    return FileSystem;
}

BOOLEAN SimFileSystemIsMounted(const char *Name)
{
    SIM_DEVICE *Device = IoFindDevice(Name, TRUE);
    BOOLEAN Mounted = Device != NULL && HasFileSystem(Device);

    if (Device != NULL)
        IoDereferenceDevice(Device, FALSE);
    return Mounted;
}

static NTSTATUS DeviceName(const UNICODE_STRING *Wide, char Name[64])
{
    ULONG Index, Units = Wide->Length / sizeof(WCHAR);

    if (Units >= 64)
        return STATUS_OBJECT_NAME_NOT_FOUND;
    for (Index = 0; Index < Units; Index++)
        Name[Index] = (char)Wide->Buffer[Index];
    Name[Units] = '\0';
    return STATUS_SUCCESS;
}

/* STATUS_NOT_FOUND: there is no file system. */
static NTSTATUS OpenVolume(const char *Name, ACCESS_MASK Access, PHANDLE Handle)
{
    SIM_DEVICE *Device = IoFindDevice(Name, FALSE);
    NTSTATUS Status = STATUS_NOT_FOUND;

    if (Device == NULL)
        return STATUS_OBJECT_NAME_NOT_FOUND;
    if (HasFileSystem(Device))
        Status = IoOpenDevice(Device);
    if (NT_SUCCESS(Status))
        *Handle = ObCreateHandle(HANDLE_VOLUME, Device, Access);
    IoDereferenceDevice(Device, FALSE);
    return Status;
}

/* Of a volume: of the file system's if one is mounted, else of the device. */
NTSTATUS ZwOpenFile(PHANDLE Handle, ACCESS_MASK Access, POBJECT_ATTRIBUTES Attributes,
                    PIO_STATUS_BLOCK IoStatus, ULONG Share, ULONG Options)
{
    NTSTATUS Status;
    SIM_FILE *File;
    char Name[64];

    UNREFERENCED_PARAMETER(Share);
    UNREFERENCED_PARAMETER(Options);
    SIM_CALL(PASSIVE_LEVEL);
    if ((Attributes->Attributes & OBJ_KERNEL_HANDLE) == 0)
        SimStop("a handle that user mode could use");
    if (SimShouldFail(__func__))
        return STATUS_INSUFFICIENT_RESOURCES;
    Status = DeviceName(Attributes->ObjectName, Name);
    if (!NT_SUCCESS(Status))
        return Status;
    Status = OpenVolume(Name, Access, Handle);
    if (Status == STATUS_NOT_FOUND) {
        File = SimOpen(NULL, Name, Access, &Status);
        if (File != NULL)
            *Handle = ObCreateHandle(HANDLE_FILE, File, Access);
    }
    IoStatus->Status = Status;
    return Status;
}

NTSTATUS ZwFsControlFile(HANDLE Handle, HANDLE Event, PVOID ApcRoutine, PVOID ApcContext,
                         PIO_STATUS_BLOCK IoStatus, ULONG Code, PVOID In, ULONG InLength, PVOID Out,
                         ULONG OutLength)
{
    SIM_DEVICE *Device = ObLookUp(Handle, HANDLE_VOLUME);

    UNREFERENCED_PARAMETER(Event);
    UNREFERENCED_PARAMETER(ApcRoutine);
    UNREFERENCED_PARAMETER(ApcContext);
    UNREFERENCED_PARAMETER(In);
    UNREFERENCED_PARAMETER(InLength);
    UNREFERENCED_PARAMETER(Out);
    UNREFERENCED_PARAMETER(OutLength);
    SIM_CALL(PASSIVE_LEVEL);
    IoStatus->Status = STATUS_INVALID_DEVICE_REQUEST;
    if (Code == FSCTL_DISMOUNT_VOLUME && HasFileSystem(Device)) {
        IoStatus->Status = STATUS_SUCCESS;
        LetGo(Device);
    }
    return IoStatus->Status;
}
