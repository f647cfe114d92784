/* SPDX-License-Identifier: MIT */
/*
 * ntifs.h - stands in for the DDK's header of this name when the driver is built for the simulated kernel:
 * just the declarations that the driver uses, with the names and values of the documentation. Sizes of what
 * crosses to user mode are those of Windows x64 (layout.c checks both sides); what stays in the kernel may
 * differ. Included by driver/nt.h and, through sim.h, by tests.
 */
#ifndef SIMNT_NTIFS_H
#define SIMNT_NTIFS_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* -- basic types ------------------------------------------------------------------------------- */

typedef void VOID, *PVOID;
typedef char CHAR, *PCHAR;
typedef unsigned char UCHAR, *PUCHAR, BOOLEAN;
typedef int16_t SHORT;
typedef uint16_t USHORT, UINT16;
typedef int32_t LONG, NTSTATUS, *PLONG;
typedef uint32_t ULONG, UINT32, *PULONG, DEVICE_TYPE, ACCESS_MASK, SECURITY_INFORMATION;
typedef int64_t LONGLONG, LONG64;
typedef uint64_t ULONGLONG, ULONG64, UINT64;
typedef uintptr_t ULONG_PTR, *PULONG_PTR;
typedef size_t SIZE_T, *PSIZE_T;
typedef wchar_t WCHAR, *PWSTR; /* 16 bits: built with -fshort-wchar */
typedef const WCHAR *PCWSTR;
typedef PVOID HANDLE, *PHANDLE;
typedef UCHAR KIRQL, *PKIRQL;
typedef CHAR KPROCESSOR_MODE, CCHAR;

typedef union LARGE_INTEGER {
    struct {
        ULONG LowPart;
        LONG HighPart;
    };
    LONGLONG QuadPart;
} LARGE_INTEGER, *PLARGE_INTEGER;

typedef struct LIST_ENTRY {
    struct LIST_ENTRY *Flink, *Blink;
} LIST_ENTRY, *PLIST_ENTRY;

typedef struct UNICODE_STRING {
    USHORT Length, MaximumLength; /* bytes */
    PWSTR Buffer;
} UNICODE_STRING, *PUNICODE_STRING;

typedef struct GUID {
    ULONG Data1;
    USHORT Data2, Data3;
    UCHAR Data4[8];
} GUID;

_Static_assert(sizeof(WCHAR) == 2, "build with -fshort-wchar");

#define TRUE 1
#define FALSE 0
#define NTAPI
#define MAXULONG64 UINT64_MAX
#define PAGE_SIZE 4096u
#define UNREFERENCED_PARAMETER(p) ((void)(p))
#define C_ASSERT(e) _Static_assert(e, #e)
#define FIELD_OFFSET(type, field) ((LONG)offsetof(type, field))
#define CONTAINING_RECORD(address, type, field) ((type *)((PUCHAR)(address)-offsetof(type, field)))
#define RTL_NUMBER_OF(a) (sizeof(a) / sizeof((a)[0]))
#define min(a, b) ((a) < (b) ? (a) : (b))
#define max(a, b) ((a) > (b) ? (a) : (b))
#define NT_SUCCESS(s) ((NTSTATUS)(s) >= 0)
#define NT_ERROR(s) ((ULONG)(s) >> 30 == 3)
#define NT_ASSERT(e) ((e) ? (void)0 : SimAssertFailed(#e, __FILE__, __LINE__))

VOID SimAssertFailed(const char *What, const char *File, int Line) __attribute__((noreturn));

#include "ntstatus.h"

/* -- rtl --------------------------------------------------------------------------------------- */

#define RtlCopyMemory(to, from, length) SimCopyMemory(to, from, length)
#define RtlZeroMemory(to, length) memset(to, 0, length)

/* Either side may be memory that others change at this moment, as direct buffers are; see rtl.c. */
VOID SimCopyMemory(PVOID To, const VOID *From, SIZE_T Length);

typedef struct RTL_OSVERSIONINFOW {
    ULONG dwOSVersionInfoSize, dwMajorVersion, dwMinorVersion, dwBuildNumber, dwPlatformId;
    WCHAR szCSDVersion[128];
} RTL_OSVERSIONINFOW, *PRTL_OSVERSIONINFOW;

NTSTATUS RtlGetVersion(PRTL_OSVERSIONINFOW Version);
VOID RtlInitUnicodeString(PUNICODE_STRING String, PCWSTR Text);
NTSTATUS RtlAppendUnicodeToString(PUNICODE_STRING String, PCWSTR Text);
NTSTATUS RtlAppendUnicodeStringToString(PUNICODE_STRING String, const UNICODE_STRING *Text);
NTSTATUS RtlIntegerToUnicodeString(ULONG Value, ULONG Base, PUNICODE_STRING String);
SIZE_T RtlCompareMemory(const VOID *A, const VOID *B, SIZE_T Length);

/* The part of the registry that is made anew at boot, and of that numbers alone. */
#define RTL_REGISTRY_DEVICEMAP 4
#define REG_NONE 0
#define REG_DWORD 4

typedef NTSTATUS RTL_QUERY_REGISTRY_ROUTINE(PWSTR Name, ULONG Type, PVOID Data, ULONG Length,
                                            PVOID Context, PVOID EntryContext);

typedef struct RTL_QUERY_REGISTRY_TABLE {
    RTL_QUERY_REGISTRY_ROUTINE *QueryRoutine;
    ULONG Flags;
    PWSTR Name;
    PVOID EntryContext;
    ULONG DefaultType;
    PVOID DefaultData;
    ULONG DefaultLength;
} RTL_QUERY_REGISTRY_TABLE, *PRTL_QUERY_REGISTRY_TABLE;

NTSTATUS RtlQueryRegistryValues(ULONG RelativeTo, PCWSTR Path, PRTL_QUERY_REGISTRY_TABLE Table,
                                PVOID Context, PVOID Environment);
NTSTATUS RtlCreateRegistryKey(ULONG RelativeTo, PWSTR Path);
NTSTATUS RtlWriteRegistryValue(ULONG RelativeTo, PCWSTR Path, PCWSTR Name, ULONG Type, PVOID Data,
                               ULONG Length);

static inline VOID InitializeListHead(PLIST_ENTRY Head)
{
    Head->Flink = Head->Blink = Head;
}

static inline BOOLEAN IsListEmpty(const LIST_ENTRY *Head)
{
    return Head->Flink == Head;
}

/* Like the kernel's own since Windows 8, it notices a list that has been damaged. */
static inline BOOLEAN RemoveEntryList(PLIST_ENTRY Entry)
{
    NT_ASSERT(Entry->Flink->Blink == Entry && Entry->Blink->Flink == Entry);
    Entry->Blink->Flink = Entry->Flink;
    Entry->Flink->Blink = Entry->Blink;
    return Entry->Flink == Entry->Blink;
}

static inline PLIST_ENTRY RemoveHeadList(PLIST_ENTRY Head)
{
    PLIST_ENTRY Entry = Head->Flink;

    RemoveEntryList(Entry);
    return Entry;
}

static inline VOID InsertHeadList(PLIST_ENTRY Head, PLIST_ENTRY Entry)
{
    NT_ASSERT(Head->Flink->Blink == Head);
    Entry->Flink = Head->Flink;
    Entry->Blink = Head;
    Head->Flink->Blink = Entry;
    Head->Flink = Entry;
}

static inline VOID InsertTailList(PLIST_ENTRY Head, PLIST_ENTRY Entry)
{
    InsertHeadList(Head->Blink, Entry);
}

/* -- ex ---------------------------------------------------------------------------------------- */

typedef enum POOL_TYPE { NonPagedPool = 0, PagedPool = 1 } POOL_TYPE;

PVOID ExAllocatePoolWithTag(POOL_TYPE Type, SIZE_T Size, ULONG Tag);
VOID ExFreePoolWithTag(PVOID Memory, ULONG Tag);

VOID SimPoint(void); /* a place where another thread may come in between; see schedule.c */

#define INTERLOCKED(operation) (SimPoint(), operation)
#define InterlockedIncrement(p) INTERLOCKED(__atomic_add_fetch(p, 1, __ATOMIC_SEQ_CST))
#define InterlockedDecrement(p) INTERLOCKED(__atomic_sub_fetch(p, 1, __ATOMIC_SEQ_CST))
#define InterlockedExchange(p, value) INTERLOCKED(__atomic_exchange_n(p, value, __ATOMIC_SEQ_CST))

static inline PVOID SimExchangePointer(PVOID volatile *Target, PVOID Value)
{
    return INTERLOCKED(__atomic_exchange_n(Target, Value, __ATOMIC_SEQ_CST));
}

#define InterlockedExchangePointer(p, value) SimExchangePointer((PVOID volatile *)(p), value)

static inline LONG InterlockedCompareExchange(LONG volatile *Target, LONG New, LONG Expected)
{
    SimPoint();
    __atomic_compare_exchange_n(Target, &Expected, New, FALSE, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
    return Expected;
}

/* -- ke ---------------------------------------------------------------------------------------- */

#define PASSIVE_LEVEL 0
#define APC_LEVEL 1
#define DISPATCH_LEVEL 2

typedef struct KSPIN_LOCK {
    int volatile Held;
    ULONG Initialized;  /* a magic number */
    const VOID *Holder; /* whose thread; valid while Held */
    PVOID Where[12];    /* the holder's stack, for messages */
} KSPIN_LOCK, *PKSPIN_LOCK;

typedef enum EVENT_TYPE { NotificationEvent, SynchronizationEvent } EVENT_TYPE;
typedef enum KWAIT_REASON { Executive } KWAIT_REASON;
typedef LONG KPRIORITY;
enum { KernelMode, UserMode };

typedef struct KEVENT { /* what can be waited for begins like this: see KeWaitForSingleObject */
    ULONG Initialized;
    EVENT_TYPE Type;
    int volatile Signalled;
} KEVENT, *PKEVENT;

KIRQL KeGetCurrentIrql(VOID);
VOID KeInitializeSpinLock(PKSPIN_LOCK Lock);
VOID KeAcquireSpinLock(PKSPIN_LOCK Lock, PKIRQL OldIrql);
VOID KeReleaseSpinLock(PKSPIN_LOCK Lock, KIRQL OldIrql);
VOID KeInitializeEvent(PKEVENT Event, EVENT_TYPE Type, BOOLEAN State);
LONG KeSetEvent(PKEVENT Event, KPRIORITY Increment, BOOLEAN Wait);
VOID KeClearEvent(PKEVENT Event);
LONG KeResetEvent(PKEVENT Event);
NTSTATUS KeWaitForSingleObject(PVOID Object, KWAIT_REASON Reason, KPROCESSOR_MODE Mode,
                               BOOLEAN Alertable, PLARGE_INTEGER Timeout);
NTSTATUS KeDelayExecutionThread(KPROCESSOR_MODE Mode, BOOLEAN Alertable, PLARGE_INTEGER Interval);
LARGE_INTEGER KeQueryPerformanceCounter(PLARGE_INTEGER Frequency);
VOID KeQuerySystemTime(PLARGE_INTEGER Time);

/* -- ob, se ------------------------------------------------------------------------------------ */

typedef struct OBJECT_TYPE *POBJECT_TYPE;
typedef struct EPROCESS *PEPROCESS;
typedef struct ETHREAD *PETHREAD;

typedef struct OBJECT_ATTRIBUTES {
    PUNICODE_STRING ObjectName;
    ULONG Attributes;
} OBJECT_ATTRIBUTES, *POBJECT_ATTRIBUTES;

#define OBJ_KERNEL_HANDLE 0x200u
#define OBJ_CASE_INSENSITIVE 0x40u
#define InitializeObjectAttributes(p, name, attributes, root, descriptor)                          \
    ((p)->ObjectName = (name), (p)->Attributes = (attributes))

#define READ_CONTROL 0x00020000u
#define WRITE_DAC 0x00040000u
#define SYNCHRONIZE 0x00100000u
#define STANDARD_RIGHTS_ALL 0x001F0000u
#define FILE_READ_DATA 1u
#define FILE_WRITE_DATA 2u
#define FILE_APPEND_DATA 4u
#define FILE_TRAVERSE 0x20u
#define FILE_READ_ATTRIBUTES 0x80u
#define FILE_ALL_ACCESS (0x001F0000u | 0x1FFu)
#define GENERIC_READ 0x80000000u
#define GENERIC_WRITE 0x40000000u
#define SECTION_ALL_ACCESS 0x000F001Fu
#define PROCESS_ALL_ACCESS 0x001F0FFFu
#define THREAD_ALL_ACCESS 0x001F03FFu
#define DACL_SECURITY_INFORMATION 4u
#define SECURITY_DESCRIPTOR_REVISION 1
#define ACL_REVISION 2

typedef PVOID PSID;

typedef struct ACL {
    UCHAR AclRevision, Sbz1;
    USHORT AclSize, AceCount, Sbz2;
} ACL, *PACL;

typedef struct SECURITY_DESCRIPTOR {
    UCHAR Revision;
    BOOLEAN DaclPresent;
    PACL Dacl;
} SECURITY_DESCRIPTOR, *PSECURITY_DESCRIPTOR;

NTSTATUS RtlCreateSecurityDescriptor(PSECURITY_DESCRIPTOR Descriptor, ULONG Revision);
NTSTATUS RtlSetDaclSecurityDescriptor(PSECURITY_DESCRIPTOR Descriptor, BOOLEAN Present, PACL Dacl,
                                      BOOLEAN Defaulted);
NTSTATUS RtlCreateAcl(PACL Acl, ULONG Length, ULONG Revision);
NTSTATUS RtlAddAccessAllowedAce(PACL Acl, ULONG Revision, ACCESS_MASK Access, PSID Sid);
NTSTATUS ZwSetSecurityObject(HANDLE Handle, SECURITY_INFORMATION Information,
                             PSECURITY_DESCRIPTOR Descriptor);
NTSTATUS ObOpenObjectByPointer(PVOID Object, ULONG Attributes, PVOID AccessState,
                               ACCESS_MASK Access, POBJECT_TYPE Type, KPROCESSOR_MODE Mode,
                               PHANDLE Handle);
NTSTATUS ObReferenceObjectByHandle(HANDLE Handle, ACCESS_MASK Access, POBJECT_TYPE Type,
                                   KPROCESSOR_MODE Mode, PVOID *Object, PVOID Information);
VOID ObDereferenceObject(PVOID Object);
NTSTATUS ZwClose(HANDLE Handle);

/* -- ps ---------------------------------------------------------------------------------------- */

typedef VOID KSTART_ROUTINE(PVOID Context);

PEPROCESS PsGetCurrentProcess(VOID);
HANDLE PsGetCurrentProcessId(VOID);
NTSTATUS PsCreateSystemThread(PHANDLE Handle, ULONG Access, POBJECT_ATTRIBUTES Attributes,
                              HANDLE Process, PVOID ClientId, KSTART_ROUTINE *Start, PVOID Context);
NTSTATUS PsTerminateSystemThread(NTSTATUS Status);
NTSTATUS ZwWaitForSingleObject(HANDLE Handle, BOOLEAN Alertable, PLARGE_INTEGER Timeout);

#include "ntio.h"

#endif
