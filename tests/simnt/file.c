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
    SimUnlock();
    free(Process);
}

VOID SimEndProcess(SIM_PROCESS *Process)
{
    SimBlock(HasNoIo, Process, MAXULONG64);
    SimBlock(HasNoFiles, Process, MAXULONG64); /* CLOSE may come a little later */
    FreeProcess(Process);
}

VOID SimKill(SIM_PROCESS *Process)
{
    SIM_FILE *File;

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

static NTSTATUS MayOpen(const SIM_DEVICE *Device, const SIM_PROCESS *Process, ACCESS_MASK Access)
{
    if (!MachineAcceptsOpens() || Device->Deleted)
        return STATUS_NO_SUCH_DEVICE;
    if ((Device->Object.Flags & DO_DEVICE_INITIALIZING) != 0 && !SimIsWine())
        return STATUS_NO_SUCH_DEVICE;
    if (!SimIsWine() && !SeMayOpen(Device, Process == NULL || Process->IsAdministrator, Access))
        return STATUS_ACCESS_DENIED;
    return STATUS_SUCCESS;
}

/* A device by name, and its file below it: "\Device\X\name" is "\name" on "\Device\X". */
static SIM_DEVICE *FindDevice(const char *Name, const char **Below)
{
    SIM_DEVICE *Device = IoFindDevice(Name);
    const char *Slash = strrchr(Name, '\\');
    char Short[64];

    *Below = "";
    if (Device != NULL || Slash == NULL || Slash == Name || (size_t)(Slash - Name) >= sizeof(Short))
        return Device;
    memcpy(Short, Name, (size_t)(Slash - Name));
    Short[Slash - Name] = '\0';
    *Below = Slash;
    return IoFindDevice(Short);
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

static VOID FreeFile(SIM_FILE *File)
{
    SIM_DEVICE *Device = File->Device;

    SimLock();
    RemoveEntryList(&File->Link);
    SimUnlock();
    SimChanged();
    SIM_UNPOISON(&File->Object, sizeof(File->Object));
    free(File);
    IoDereferenceDevice(Device, TRUE);
}

SIM_FILE *SimOpen(SIM_PROCESS *Process, const char *Name, ACCESS_MASK Access, NTSTATUS *Status)
{
    const char *Below;
    SIM_DEVICE *Device = FindDevice(Name, &Below);
    SIM_FILE *File;

    Access = Specific(Access);
    *Status = Device != NULL ? MayOpen(Device, Process, Access) : STATUS_OBJECT_NAME_NOT_FOUND;
    if (!NT_SUCCESS(*Status))
        return NULL;
    IoReferenceDevice(Device, TRUE);
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

    IrpSendAndWait(File, IRP_MJ_CLOSE);
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
    SimLock();
    File->HandleClosed = TRUE;
    Last = SimIsWine() || File->Outstanding == 0;
    if (Last)
        File->CloseSent = TRUE;
    SimUnlock();
    if (Last)
        SendClose(File);
}

VOID FileIoEnded(SIM_FILE *File)
{
    BOOLEAN Last, Closed;

    SimLock();
    Last = --File->Outstanding == 0 && File->HandleClosed && !File->CloseSent;
    if (Last)
        File->CloseSent = TRUE;
    Closed = File->Outstanding == 0 && File->Closed;
    SimUnlock();
    if (Last)
        IoDefer(SendClose, File);
    if (Closed)
        FreeFile(File);
}

VOID FileCheckNoneLeft(VOID)
{
    if (!IsListEmpty(&Machine.Files))
        SimStop("the test has left a file open");
    if (!IsListEmpty(&Machine.Processes))
        SimStop("the test has left a process running");
}

/* -- file systems ------------------------------------------------------------------------------ */

NTSTATUS SimMountFileSystem(const char *Name)
{
    SIM_DEVICE *Device = IoFindDevice(Name);

    if (Device == NULL || Device->FileSystem)
        return STATUS_UNSUCCESSFUL;
    IoReferenceDevice(Device, TRUE);
    Device->FileSystem = TRUE;
    Device->VpbMemory.Flags |= VPB_MOUNTED;
    return STATUS_SUCCESS;
}

static VOID LetGo(SIM_DEVICE *Device)
{
    Device->FileSystem = FALSE;
    Device->VpbMemory.Flags &= (USHORT)~VPB_MOUNTED;
    IoDereferenceDevice(Device, TRUE);
}

VOID SimUnmountFileSystem(const char *Name)
{
    SIM_DEVICE *Device = IoFindDevice(Name);

    if (Device != NULL && Device->FileSystem)
        LetGo(Device);
}

BOOLEAN SimFileSystemIsMounted(const char *Name)
{
    SIM_DEVICE *Device = IoFindDevice(Name);

    return Device != NULL && Device->FileSystem;
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

/* Of a volume: of the file system's if one is mounted, else of the device. */
NTSTATUS ZwOpenFile(PHANDLE Handle, ACCESS_MASK Access, POBJECT_ATTRIBUTES Attributes,
                    PIO_STATUS_BLOCK IoStatus, ULONG Share, ULONG Options)
{
    SIM_DEVICE *Device;
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
    Device = IoFindDevice(Name);
    IoStatus->Status = Status;
    if (Device != NULL && Device->FileSystem && MachineAcceptsOpens() && !Device->Deleted) {
        IoReferenceDevice(Device, TRUE);
        *Handle = ObCreateHandle(HANDLE_VOLUME, Device, Access);
        return STATUS_SUCCESS;
    }
    File = SimOpen(NULL, Name, Access, &Status);
    if (File != NULL)
        *Handle = ObCreateHandle(HANDLE_FILE, File, Access);
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
    if (Code == FSCTL_DISMOUNT_VOLUME && Device->FileSystem) {
        IoStatus->Status = STATUS_SUCCESS;
        LetGo(Device);
    }
    return IoStatus->Status;
}
