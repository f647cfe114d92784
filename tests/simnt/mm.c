/* SPDX-License-Identifier: MIT */
/*
 * mm.c - memory that processes and the kernel share: user memory under direct I/O, and sections. Each has two
 * addresses, as on a real machine, so that the address sanitizer sees every use of the kernel's view while it
 * is not mapped, and what the process does to its own is no data race of the driver's.
 */
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "internal.h"

static SIZE_T Pages(SIZE_T Size)
{
    return (Size + PAGE_SIZE - 1) & ~(SIZE_T)(PAGE_SIZE - 1);
}

static int NewFile(SIZE_T Size)
{
    int File = memfd_create("simnt", MFD_CLOEXEC);

    if (File < 0 || ftruncate(File, (off_t)Pages(Size)) != 0)
        SimStop("the host has no memory for a file of %zu bytes", Size);
    return File;
}

/* What lies between the size and the end of the last page must not be touched. */
static PUCHAR MapFile(int File, SIZE_T Size)
{
    PUCHAR Address = mmap(NULL, Pages(Size), PROT_READ | PROT_WRITE, MAP_SHARED, File, 0);

    if (Address == MAP_FAILED)
        SimStop("the host cannot map %zu bytes", Size);
    SIM_POISON(Address + Size, Pages(Size) - Size);
    return Address;
}

static VOID UnmapFile(PUCHAR Address, SIZE_T Size)
{
    SIM_UNPOISON(Address, Pages(Size));
    munmap(Address, Pages(Size));
}

/* -- a process's memory ------------------------------------------------------------------------ */

SIM_MEMORY *SimAllocate(SIZE_T Size)
{
    SIM_MEMORY *Memory = calloc(1, sizeof(*Memory));
    int File = NewFile(Size);

    Memory->Size = Size;
    Memory->Address = MapFile(File, Size);
    Memory->System = MapFile(File, Size);
    close(File);
    SIM_POISON(Memory->System, Pages(Size));
    return Memory;
}

VOID SimFree(SIM_MEMORY *Memory)
{
    UnmapFile(Memory->Address, Memory->Size);
    UnmapFile(Memory->System, Memory->Size);
    free(Memory);
}

/* -- MDLs -------------------------------------------------------------------------------------- */

VOID MmBuildMdl(PMDL Mdl, SIM_MEMORY *Memory, ULONG At, ULONG Length)
{
    if (At > Memory->Size || Length > Memory->Size - At)
        SimStop("a test describes memory beyond its end");
    *Mdl = (MDL){.Size = sizeof(*Mdl), .ByteCount = Length, .ByteOffset = At % PAGE_SIZE};
    if (SimIsWine()) {
        Mdl->Pages = malloc(Length);
        memcpy(Mdl->Pages, Memory->Address + At, Length);
        SIM_POISON(Mdl->Pages, Length);
    } else {
        Mdl->Pages = Memory->System + At;
    }
}

VOID MmReleaseMdl(PMDL Mdl, SIM_MEMORY *Memory, ULONG At, BOOLEAN IsOutput)
{
    Mdl->Done = TRUE;
    if (SimIsWine()) {
        SIM_UNPOISON(Mdl->Pages, Mdl->ByteCount);
        if (IsOutput)
            memcpy(Memory->Address + At, Mdl->Pages, Mdl->ByteCount);
        free(Mdl->Pages);
    } else {
        SIM_POISON(Mdl->Pages, Mdl->ByteCount);
    }
}

static VOID CheckMdl(const MDL *Mdl)
{
    if (Mdl->Done)
        SimStop("an MDL is used after its IRP was completed");
}

ULONG MmGetMdlByteCount(PMDL Mdl)
{
    CheckMdl(Mdl);
    return Mdl->ByteCount;
}

ULONG MmGetMdlByteOffset(PMDL Mdl)
{
    CheckMdl(Mdl);
    return Mdl->ByteOffset;
}

PVOID MmGetSystemAddressForMdlSafe(PMDL Mdl, ULONG Priority)
{
    SIM_CALL(DISPATCH_LEVEL);
    CheckMdl(Mdl);
    if ((Priority & 0xFF) != NormalPagePriority)
        SimStop("MmGetSystemAddressForMdlSafe with the priority 0x%x", Priority);
    if (Mdl->Mapped)
        return Mdl->Pages;
    if (SimShouldFail(__func__))
        return NULL;
    COUNT(Mappings);
    Mdl->Mapped = TRUE;
    SIM_UNPOISON(Mdl->Pages, Mdl->ByteCount);
    return Mdl->Pages;
}

/* Wine alone has the function by which the driver tells it from NT. */
PVOID MmGetSystemRoutineAddress(PUNICODE_STRING Name)
{
    static const WCHAR OfWine[] = L"wine_ntoskrnl_main_loop";

    SIM_CALL(PASSIVE_LEVEL);
    if (SimIsWine() && Name->Length == sizeof(OfWine) - sizeof(WCHAR) &&
        memcmp(Name->Buffer, OfWine, Name->Length) == 0)
        return (PVOID)OfWine;
    return NULL;
}

/* -- sections ---------------------------------------------------------------------------------- */

typedef struct SECTION {
    int File;
    SIZE_T Size;
    int volatile References;
} SECTION;

typedef struct VIEW {
    LIST_ENTRY Link; /* P: SimLock: Machine.Views */
    PUCHAR Address;
    SIZE_T Size;
    SIM_PROCESS *Process; /* NULL: the driver's own */
    STACK Mapped;
} VIEW;

VOID MmReferenceSection(PVOID Section)
{
    __atomic_add_fetch(&((SECTION *)Section)->References, 1, __ATOMIC_SEQ_CST);
}

VOID MmDereferenceSection(PVOID Object)
{
    SECTION *Section = Object;

    if (__atomic_sub_fetch(&Section->References, 1, __ATOMIC_SEQ_CST) != 0)
        return;
    close(Section->File);
    free(Section);
}

NTSTATUS ZwCreateSection(PHANDLE Handle, ACCESS_MASK Access, POBJECT_ATTRIBUTES Attributes,
                         PLARGE_INTEGER Size, ULONG Protection, ULONG Allocation, HANDLE File)
{
    SECTION *Section;

    SIM_CALL(PASSIVE_LEVEL);
    if ((Attributes->Attributes & OBJ_KERNEL_HANDLE) == 0)
        SimStop("a handle that user mode could use");
    if (Protection != PAGE_READWRITE || Allocation != SEC_COMMIT || File != NULL)
        return STATUS_INVALID_PARAMETER;
    if (SimShouldFail(__func__))
        return STATUS_INSUFFICIENT_RESOURCES;
    Section = calloc(1, sizeof(*Section));
    Section->Size = (SIZE_T)Size->QuadPart;
    Section->File = NewFile(Section->Size);
    Section->References = 1;
    *Handle = ObCreateHandle(HANDLE_SECTION, Section, Access);
    return STATUS_SUCCESS;
}

NTSTATUS ZwMapViewOfSection(HANDLE Handle, HANDLE Process, PVOID *Address, ULONG_PTR ZeroBits,
                            SIZE_T Commit, PLARGE_INTEGER Offset, PSIZE_T ViewSize,
                            SECTION_INHERIT Inherit, ULONG Type, ULONG Protection)
{
    SECTION *Section = ObLookUp(Handle, HANDLE_SECTION);
    VIEW *View;

    UNREFERENCED_PARAMETER(ZeroBits);
    UNREFERENCED_PARAMETER(Commit);
    UNREFERENCED_PARAMETER(Inherit);
    UNREFERENCED_PARAMETER(Type);
    SIM_CALL(PASSIVE_LEVEL);
    if (*Address != NULL || Offset != NULL || Protection != PAGE_READWRITE ||
        *ViewSize > Section->Size)
        return STATUS_INVALID_PARAMETER;
    if (SimShouldFail(__func__))
        return STATUS_INSUFFICIENT_RESOURCES;
    View = calloc(1, sizeof(*View));
    View->Process = Process == NtCurrentProcess() ? NULL : ObLookUp(Process, HANDLE_PROCESS);
    View->Size = Section->Size;
    View->Address = MapFile(Section->File, Section->Size);
    StackCapture(&View->Mapped);
    SimLock();
    InsertTailList(&Machine.Views, &View->Link);
    SimUnlock();
    *Address = View->Address;
    *ViewSize = View->Size;
    return STATUS_SUCCESS;
}

static VIEW *FindViewLocked(PVOID Address, const SIM_PROCESS *Process)
{
    PLIST_ENTRY Entry;

    for (Entry = Machine.Views.Flink; Entry != &Machine.Views; Entry = Entry->Flink) {
        VIEW *View = CONTAINING_RECORD(Entry, VIEW, Link);
        if (View->Process == Process && (Address == NULL || View->Address == Address))
            return View;
    }
    return NULL;
}

static BOOLEAN Unmap(PVOID Address, SIM_PROCESS *Process)
{
    VIEW *View;

    SimLock();
    View = FindViewLocked(Address, Process);
    if (View != NULL)
        RemoveEntryList(&View->Link);
    SimUnlock();
    if (View == NULL)
        return FALSE;
    UnmapFile(View->Address, View->Size);
    free(View);
    return TRUE;
}

NTSTATUS ZwUnmapViewOfSection(HANDLE Process, PVOID Address)
{
    SIM_CALL(PASSIVE_LEVEL);
    if (Process != NtCurrentProcess() || !Unmap(Address, NULL))
        SimStop("a view is unmapped that is not mapped");
    return STATUS_SUCCESS;
}

VOID MmUnmapViewsOf(SIM_PROCESS *Process)
{
    while (Unmap(NULL, Process))
        ;
}

VOID MmCheckNoneLeft(VOID)
{
    VIEW *View;

    SimLock();
    View = FindViewLocked(NULL, NULL);
    SimUnlock();
    if (View != NULL)
        SimStopWith("mapped at:", &View->Mapped, "leak: a view of %zu bytes", View->Size);
}
