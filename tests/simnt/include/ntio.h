/* SPDX-License-Identifier: MIT */
/*
 * ntio.h - the part of ntifs.h that belongs to the I/O and memory managers: devices, files, IRPs, MDLs,
 * sections. Included by ntifs.h alone.
 */
#ifndef SIMNT_NTIO_H
#define SIMNT_NTIO_H

struct DEVICE_OBJECT;
struct IRP;

typedef struct IO_STATUS_BLOCK {
    NTSTATUS Status;
    ULONG_PTR Information;
} IO_STATUS_BLOCK, *PIO_STATUS_BLOCK;

/* -- mm ---------------------------------------------------------------------------------------- */

typedef struct MDL {
    SIZE_T Size; /* of this structure; on NT it says nothing either */
    ULONG ByteCount;
    ULONG ByteOffset;
    PUCHAR Pages; /* of the system's view; inaccessible until it is mapped */
    BOOLEAN Mapped;
    BOOLEAN Done; /* its IRP is completed: whatever uses it now is wrong */
} MDL, *PMDL;

typedef enum MM_PAGE_PRIORITY { NormalPagePriority = 16 } MM_PAGE_PRIORITY;
typedef enum SECTION_INHERIT { ViewShare = 1, ViewUnmap = 2 } SECTION_INHERIT;

#define PAGE_READWRITE 4u
#define SEC_COMMIT 0x8000000u

ULONG MmGetMdlByteCount(PMDL Mdl);
ULONG MmGetMdlByteOffset(PMDL Mdl);
PVOID MmGetSystemAddressForMdlSafe(PMDL Mdl, ULONG Priority);
PVOID MmGetSystemRoutineAddress(PUNICODE_STRING Name);

#define NtCurrentProcess() ((HANDLE)(intptr_t)-1)

NTSTATUS ZwCreateSection(PHANDLE Section, ACCESS_MASK Access, POBJECT_ATTRIBUTES Attributes,
                         PLARGE_INTEGER Size, ULONG Protection, ULONG Allocation, HANDLE File);
NTSTATUS ZwMapViewOfSection(HANDLE Section, HANDLE Process, PVOID *View, ULONG_PTR ZeroBits,
                            SIZE_T Commit, PLARGE_INTEGER Offset, PSIZE_T ViewSize,
                            SECTION_INHERIT Inherit, ULONG Type, ULONG Protection);
NTSTATUS ZwUnmapViewOfSection(HANDLE Process, PVOID View);

/* -- io: objects ------------------------------------------------------------------------------- */

#define CTL_CODE(type, function, method, access)                                                   \
    (((ULONG)(type) << 16) | ((access) << 14) | ((function) << 2) | (method))
#define METHOD_BUFFERED 0u
#define METHOD_IN_DIRECT 1u
#define METHOD_OUT_DIRECT 2u
#define METHOD_NEITHER 3u
#define FILE_ANY_ACCESS 0u
#define FILE_READ_ACCESS 1u
#define FILE_WRITE_ACCESS 2u

#define FILE_DEVICE_DISK 7u
#define FILE_DEVICE_FILE_SYSTEM 9u
#define FILE_DEVICE_UNKNOWN 0x22u
#define FILE_DEVICE_MASS_STORAGE 0x2Du
#define FILE_READ_ONLY_DEVICE 2u
#define FILE_DEVICE_SECURE_OPEN 0x100u
#define FILE_BYTE_ALIGNMENT 0u
#define FILE_SHARE_READ 1u
#define FILE_SHARE_WRITE 2u
#define FILE_SYNCHRONOUS_IO_NONALERT 0x20u
#define FILE_OPENED 1u
#define FSCTL_DISMOUNT_VOLUME CTL_CODE(FILE_DEVICE_FILE_SYSTEM, 8, METHOD_BUFFERED, FILE_ANY_ACCESS)

#define DO_DIRECT_IO 0x10u
#define DO_DEVICE_INITIALIZING 0x80u
#define VPB_MOUNTED 1u
#define VPB_LOCKED 2u

typedef NTSTATUS DRIVER_DISPATCH(struct DEVICE_OBJECT *Device, struct IRP *Irp);
typedef VOID DRIVER_CANCEL(struct DEVICE_OBJECT *Device, struct IRP *Irp);
typedef DRIVER_CANCEL *PDRIVER_CANCEL;
typedef VOID IO_WORKITEM_ROUTINE(struct DEVICE_OBJECT *Device, PVOID Context);

#define IRP_MJ_CREATE 0x00
#define IRP_MJ_CLOSE 0x02
#define IRP_MJ_READ 0x03
#define IRP_MJ_WRITE 0x04
#define IRP_MJ_FLUSH_BUFFERS 0x09
#define IRP_MJ_FILE_SYSTEM_CONTROL 0x0D
#define IRP_MJ_DEVICE_CONTROL 0x0E
#define IRP_MJ_SHUTDOWN 0x10
#define IRP_MJ_CLEANUP 0x12
#define IRP_MJ_PNP 0x1B
#define IRP_MJ_MAXIMUM_FUNCTION 0x1B

typedef struct DRIVER_OBJECT {
    DRIVER_DISPATCH *MajorFunction[IRP_MJ_MAXIMUM_FUNCTION + 1];
    VOID (*DriverUnload)(struct DRIVER_OBJECT *Object);
} DRIVER_OBJECT, *PDRIVER_OBJECT;

typedef struct VPB {
    USHORT Flags; /* under IoAcquireVpbSpinLock, and so is the pointer to it */
} VPB, *PVPB;

typedef struct DEVICE_OBJECT {
    PDRIVER_OBJECT DriverObject;
    ULONG volatile Flags; /* the system looks at it at any moment */
    ULONG Characteristics;
    PVPB Vpb;
    PVOID DeviceExtension;
    DEVICE_TYPE DeviceType;
    CCHAR StackSize;
    ULONG AlignmentRequirement;
    USHORT SectorSize;
} DEVICE_OBJECT, *PDEVICE_OBJECT;

typedef struct FILE_OBJECT {
    PDEVICE_OBJECT DeviceObject;
    PVOID FsContext;
    UNICODE_STRING FileName;
} FILE_OBJECT, *PFILE_OBJECT;

/* -- io: requests ------------------------------------------------------------------------------ */

typedef struct IO_SECURITY_CONTEXT {
    ACCESS_MASK DesiredAccess;
} IO_SECURITY_CONTEXT, *PIO_SECURITY_CONTEXT;

#define SL_WRITE_THROUGH 4
#define SL_PENDING_RETURNED 1 /* in Control */
#define IO_NO_INCREMENT 0
#define IO_DISK_INCREMENT 1

typedef struct IO_STACK_LOCATION {
    UCHAR MajorFunction, MinorFunction, Flags, Control;
    union {
        struct {
            PIO_SECURITY_CONTEXT SecurityContext;
        } Create;
        struct {
            ULONG Length, Key;
            LARGE_INTEGER ByteOffset;
        } Read, Write;
        struct {
            ULONG OutputBufferLength, InputBufferLength, IoControlCode;
            PVOID Type3InputBuffer; /* of METHOD_NEITHER: what user mode likes */
        } DeviceIoControl;
    } Parameters;
    PDEVICE_OBJECT DeviceObject;
    PFILE_OBJECT FileObject;
} IO_STACK_LOCATION, *PIO_STACK_LOCATION;

typedef struct IRP {
    PMDL MdlAddress;
    union {
        PVOID SystemBuffer;
    } AssociatedIrp;
    IO_STATUS_BLOCK IoStatus;
    BOOLEAN volatile Cancel;
    KIRQL CancelIrql;
    PDRIVER_CANCEL volatile CancelRoutine;
    struct {
        struct {
            PVOID DriverContext[4];
            LIST_ENTRY ListEntry;
            PIO_STACK_LOCATION CurrentStackLocation;
        } Overlay;
    } Tail;
} IRP, *PIRP;

static inline PIO_STACK_LOCATION IoGetCurrentIrpStackLocation(PIRP Irp)
{
    return Irp->Tail.Overlay.CurrentStackLocation;
}

static inline VOID IoMarkIrpPending(PIRP Irp)
{
    IoGetCurrentIrpStackLocation(Irp)->Control |= SL_PENDING_RETURNED;
}

PDRIVER_CANCEL IoSetCancelRoutine(PIRP Irp, PDRIVER_CANCEL Routine);
VOID IoReleaseCancelSpinLock(KIRQL Irql);
VOID IofCompleteRequest(PIRP Irp, CCHAR Boost);
#define IoCompleteRequest IofCompleteRequest
PEPROCESS IoGetRequestorProcess(PIRP Irp);

NTSTATUS IoCreateDevice(PDRIVER_OBJECT Driver, ULONG ExtensionSize, PUNICODE_STRING Name,
                        DEVICE_TYPE Type, ULONG Characteristics, BOOLEAN Exclusive,
                        PDEVICE_OBJECT *Device);
VOID IoDeleteDevice(PDEVICE_OBJECT Device);
NTSTATUS IoRegisterShutdownNotification(PDEVICE_OBJECT Device);
VOID IoUnregisterShutdownNotification(PDEVICE_OBJECT Device);
VOID IoAcquireVpbSpinLock(PKIRQL Irql);
VOID IoReleaseVpbSpinLock(KIRQL Irql);
NTSTATUS IoCreateSymbolicLink(PUNICODE_STRING Link, PUNICODE_STRING Target);
NTSTATUS IoDeleteSymbolicLink(PUNICODE_STRING Link);

typedef struct IO_WORKITEM *PIO_WORKITEM;
typedef enum WORK_QUEUE_TYPE { CriticalWorkQueue, DelayedWorkQueue } WORK_QUEUE_TYPE;

PIO_WORKITEM IoAllocateWorkItem(PDEVICE_OBJECT Device);
VOID IoFreeWorkItem(PIO_WORKITEM Item);
VOID IoQueueWorkItem(PIO_WORKITEM Item, IO_WORKITEM_ROUTINE *Routine, WORK_QUEUE_TYPE Queue,
                     PVOID Context);

NTSTATUS ZwOpenFile(PHANDLE Handle, ACCESS_MASK Access, POBJECT_ATTRIBUTES Attributes,
                    PIO_STATUS_BLOCK IoStatus, ULONG Share, ULONG Options);
NTSTATUS ZwFsControlFile(HANDLE Handle, HANDLE Event, PVOID ApcRoutine, PVOID ApcContext,
                         PIO_STATUS_BLOCK IoStatus, ULONG Code, PVOID In, ULONG InLength, PVOID Out,
                         ULONG OutLength);

#endif
