/* SPDX-License-Identifier: MIT */
/* self_memory.c - sins with pool, buffers, MDLs, extensions and views. */
#include "selftest.h"

#define BYTES 32

static PUCHAR Allocate(VOID)
{
    return ExAllocatePoolWithTag(NonPagedPool, BYTES, TOY_TAG);
}

/* What a compiler may not know. */
static ULONG volatile Zero;

/* -- pool -------------------------------------------------------------------------------------- */

static NTSTATUS ReadsFreedPool(PDEVICE_OBJECT Device, PIRP Irp)
{
    PUCHAR Memory = Allocate();

    ExFreePoolWithTag(Memory, TOY_TAG);
    return Memory[Zero] == 1 ? STATUS_PENDING : ToySucceed(Device, Irp);
}

static NTSTATUS WritesBeyondPool(PDEVICE_OBJECT Device, PIRP Irp)
{
    PUCHAR Memory = Allocate();

    Memory[BYTES + Zero] = 1;
    ExFreePoolWithTag(Memory, TOY_TAG);
    return ToySucceed(Device, Irp);
}

static NTSTATUS WritesBeforePool(PDEVICE_OBJECT Device, PIRP Irp)
{
    PUCHAR Memory = Allocate();

    *(Memory - 1 - Zero) = 1;
    ExFreePoolWithTag(Memory, TOY_TAG);
    return ToySucceed(Device, Irp);
}

static NTSTATUS FreesPoolTwice(PDEVICE_OBJECT Device, PIRP Irp)
{
    PUCHAR Memory = Allocate();

    ExFreePoolWithTag(Memory, TOY_TAG);
    ExFreePoolWithTag(Memory, TOY_TAG);
    return ToySucceed(Device, Irp);
}

static NTSTATUS FreesWithAnotherTag(PDEVICE_OBJECT Device, PIRP Irp)
{
    ExFreePoolWithTag(Allocate(), TOY_TAG + 1);
    return ToySucceed(Device, Irp);
}

static NTSTATUS FreesWhatIsNoPool(PDEVICE_OBJECT Device, PIRP Irp)
{
    static UCHAR Memory[1024];

    ExFreePoolWithTag(Memory + 512, TOY_TAG);
    return ToySucceed(Device, Irp);
}

static NTSTATUS FreesNull(PDEVICE_OBJECT Device, PIRP Irp)
{
    ExFreePoolWithTag(NULL, TOY_TAG);
    return ToySucceed(Device, Irp);
}

static NTSTATUS AllocatesNothing(PDEVICE_OBJECT Device, PIRP Irp)
{
    ExAllocatePoolWithTag(NonPagedPool, Zero, TOY_TAG);
    return ToySucceed(Device, Irp);
}

static NTSTATUS AllocatesWithoutTag(PDEVICE_OBJECT Device, PIRP Irp)
{
    ExAllocatePoolWithTag(NonPagedPool, BYTES, 0);
    return ToySucceed(Device, Irp);
}

static NTSTATUS AllocatesPagedPool(PDEVICE_OBJECT Device, PIRP Irp)
{
    ExFreePoolWithTag(ExAllocatePoolWithTag(PagedPool, BYTES, TOY_TAG), TOY_TAG);
    return ToySucceed(Device, Irp);
}

static NTSTATUS AllocatesNxPool(PDEVICE_OBJECT Device, PIRP Irp)
{
    ExFreePoolWithTag(ExAllocatePoolWithTag((POOL_TYPE)512, BYTES, TOY_TAG), TOY_TAG);
    return ToySucceed(Device, Irp);
}

static NTSTATUS FindsGarbageInNewPool(PDEVICE_OBJECT Device, PIRP Irp)
{
    PUCHAR Memory = Allocate();

    NT_ASSERT(Memory[0] != 0 && Memory[BYTES - 1] != 0);
    ExFreePoolWithTag(Memory, TOY_TAG);
    return ToySucceed(Device, Irp);
}

/* -- buffers of an ioctl ----------------------------------------------------------------------- */

static NTSTATUS ReadsBeyondBuffer(PDEVICE_OBJECT Device, PIRP Irp)
{
    PUCHAR Buffer = Irp->AssociatedIrp.SystemBuffer;

    return Buffer[BYTES + Zero] == 1 ? STATUS_PENDING : ToySucceed(Device, Irp);
}

static VOID IoctlWithBuffer(VOID)
{
    SIM_PROCESS *Process;
    SIM_FILE *File = SelfOpen(&Process);
    UCHAR Data[BYTES] = {0};

    SimFinish(SimIoctl(File, IOCTL_TOY, Data, sizeof(Data), Data, sizeof(Data)), NULL);
    SelfClose(File, Process);
}

/* -- direct buffers ---------------------------------------------------------------------------- */

static PUCHAR Map(PIRP Irp)
{
    return MmGetSystemAddressForMdlSafe(Irp->MdlAddress, NormalPagePriority);
}

static NTSTATUS WritesBeyondDirectBuffer(PDEVICE_OBJECT Device, PIRP Irp)
{
    Map(Irp)[MmGetMdlByteCount(Irp->MdlAddress)] = 1;
    return ToySucceed(Device, Irp);
}

static NTSTATUS TrustsTheLengthAsked(PDEVICE_OBJECT Device, PIRP Irp)
{
    ULONG Length = IoGetCurrentIrpStackLocation(Irp)->Parameters.Read.Length;

    RtlZeroMemory(Map(Irp), Length);
    return ToyComplete(Irp, STATUS_SUCCESS, Length * (Device == NULL));
}

static NTSTATUS WritesUnmapped(PDEVICE_OBJECT Device, PIRP Irp)
{
    Irp->MdlAddress->Pages[Zero] = 1;
    return ToySucceed(Device, Irp);
}

static NTSTATUS WritesDirectBufferAfterwards(PDEVICE_OBJECT Device, PIRP Irp)
{
    PUCHAR Buffer = Map(Irp);

    ToySucceed(Device, Irp);
    Buffer[Zero] = 1;
    return STATUS_SUCCESS;
}

static NTSTATUS MapsAfterwards(PDEVICE_OBJECT Device, PIRP Irp)
{
    PMDL Mdl = Irp->MdlAddress;

    ToySucceed(Device, Irp);
    MmGetSystemAddressForMdlSafe(Mdl, NormalPagePriority);
    return STATUS_SUCCESS;
}

static NTSTATUS CountsBytesAfterwards(PDEVICE_OBJECT Device, PIRP Irp)
{
    PMDL Mdl = Irp->MdlAddress;

    ToySucceed(Device, Irp);
    MmGetMdlByteCount(Mdl);
    return STATUS_SUCCESS;
}

static NTSTATUS MapsWithOddPriority(PDEVICE_OBJECT Device, PIRP Irp)
{
    MmGetSystemAddressForMdlSafe(Irp->MdlAddress, 5);
    return ToySucceed(Device, Irp);
}

static VOID ReadOf(ULONG Length, ULONG MdlLength)
{
    SIM_MEMORY *Memory = SimAllocate(8192);
    SIM_REQUEST Request = {.Major = IRP_MJ_READ,
                           .Length = Length,
                           .Memory = Memory,
                           .At = 512,
                           .MdlLength = MdlLength};
    SIM_PROCESS *Process;
    SIM_FILE *File = SelfOpen(&Process);

    SimFinish(SimSend(File, &Request), NULL);
    SelfClose(File, Process);
    SimFree(Memory);
}

static VOID ReadOf2048(VOID)
{
    ReadOf(2048, 2048);
}

static VOID ReadOf4096Into2048(VOID)
{
    ReadOf(4096, 2048);
}

static VOID DescribesTooMuch(VOID)
{
    ReadOf(8192, 8192);
}

/* -- extensions -------------------------------------------------------------------------------- */

static NTSTATUS WritesBeyondExtension(PDEVICE_OBJECT Device, PIRP Irp)
{
    ((PUCHAR)Device->DeviceExtension)[TOY_EXTENSION + Zero] = 1;
    return ToySucceed(Device, Irp);
}

static NTSTATUS WritesExtensionOfADeletedDevice(PDEVICE_OBJECT Device, PIRP Irp)
{
    PDEVICE_OBJECT Other;
    PUCHAR Extension;

    if (!NT_SUCCESS(ToyMakeDevice(L"\\Device\\Other", FILE_DEVICE_UNKNOWN, &Other)))
        return ToyComplete(Irp, STATUS_UNSUCCESSFUL, 0);
    Extension = Other->DeviceExtension;
    IoDeleteDevice(Other);
    Extension[Zero] = 1;
    return ToySucceed(Device, Irp);
}

static NTSTATUS DeletesADeletedDevice(PDEVICE_OBJECT Device, PIRP Irp)
{
    PDEVICE_OBJECT Other;

    if (!NT_SUCCESS(ToyMakeDevice(L"\\Device\\Other", FILE_DEVICE_UNKNOWN, &Other)))
        return ToyComplete(Irp, STATUS_UNSUCCESSFUL, 0);
    IoDeleteDevice(Other);
    IoDeleteDevice(Other);
    return ToySucceed(Device, Irp);
}

/* -- views ------------------------------------------------------------------------------------- */

static PUCHAR MapView(SIZE_T Size)
{
    LARGE_INTEGER Bytes = {.QuadPart = (LONGLONG)Size};
    OBJECT_ATTRIBUTES Attributes;
    PVOID Address = NULL;
    HANDLE Section;

    InitializeObjectAttributes(&Attributes, NULL, OBJ_KERNEL_HANDLE, NULL, NULL);
    if (!NT_SUCCESS(ZwCreateSection(&Section, SECTION_ALL_ACCESS, &Attributes, &Bytes,
                                    PAGE_READWRITE, SEC_COMMIT, NULL)))
        return NULL;
    ZwMapViewOfSection(Section, NtCurrentProcess(), &Address, 0, 0, NULL, &Size, ViewUnmap, 0,
                       PAGE_READWRITE);
    ZwClose(Section);
    return Address;
}

static NTSTATUS WritesBeyondView(PDEVICE_OBJECT Device, PIRP Irp)
{
    PUCHAR View = MapView(1024);

    View[1024 + Zero] = 1;
    ZwUnmapViewOfSection(NtCurrentProcess(), View);
    return ToySucceed(Device, Irp);
}

static NTSTATUS WritesUnmappedView(PDEVICE_OBJECT Device, PIRP Irp)
{
    PUCHAR View = MapView(1024);

    ZwUnmapViewOfSection(NtCurrentProcess(), View);
    View[Zero] = 1;
    return ToySucceed(Device, Irp);
}

static NTSTATUS UnmapsTwice(PDEVICE_OBJECT Device, PIRP Irp)
{
    PUCHAR View = MapView(1024);

    ZwUnmapViewOfSection(NtCurrentProcess(), View);
    ZwUnmapViewOfSection(NtCurrentProcess(), View);
    return ToySucceed(Device, Irp);
}

static NTSTATUS UsesMemoryWell(PDEVICE_OBJECT Device, PIRP Irp)
{
    PUCHAR View = MapView(1024), Memory = Allocate();

    RtlZeroMemory(View, 1024);
    RtlZeroMemory(Memory, BYTES);
    RtlZeroMemory(Map(Irp), MmGetMdlByteCount(Irp->MdlAddress));
    RtlZeroMemory(Device->DeviceExtension, TOY_EXTENSION);
    ExFreePoolWithTag(Memory, TOY_TAG);
    ZwUnmapViewOfSection(NtCurrentProcess(), View);
    return ToyComplete(Irp, STATUS_SUCCESS, 2048);
}

#define ASAN (ON_BOTH | ONLY_ASAN)

static const SELF_CASE Cases[] = {
    SELF_SIN(ReadsFreedPool, ASAN, NULL, "AddressSanitizer: heap-use-after-free", "ReadsFreedPool"),
    SELF_SIN(WritesBeyondPool, ASAN, NULL, "AddressSanitizer: heap-buffer-overflow",
             "WritesBeyondPool"),
    SELF_SIN(WritesBeforePool, ASAN, NULL, "AddressSanitizer: use-after-poison",
             "WritesBeforePool"),
    SELF_SIN(FreesPoolTwice, ASAN, NULL, "AddressSanitizer: heap-use-after-free",
             "ExFreePoolWithTag"),
    SELF_SIN(FreesWithAnotherTag, ON_BOTH, NULL, "is freed with the tag 0x21796f55",
             "allocated at:"),
    SELF_SIN(FreesWhatIsNoPool, ON_BOTH, NULL, "memory is freed that is not pool"),
    SELF_SIN(FreesNull, ON_BOTH, NULL, "NULL is freed"),
    SELF_SIN(AllocatesNothing, ON_BOTH, NULL, "an allocation of 0 bytes"),
    SELF_SIN(AllocatesWithoutTag, ON_BOTH, NULL, "with the tag 0x0"),
    SELF_SIN(AllocatesPagedPool, ON_BOTH, NULL, "pool of type 1"),
    {.Name = "AllocatesNxPool",
     .On = ON_BOTH,
     .Toy = {.Io = AllocatesNxPool},
     .Hears = {"pool of type 512: not of this system"},
     .Version = 0x601},
    {.Name = "AllocatesNxPool", .On = ON_BOTH, .Toy = {.Io = AllocatesNxPool}, .Version = 0x602},
    SELF_WELL(FindsGarbageInNewPool, ON_BOTH, NULL),
    SELF_SIN(ReadsBeyondBuffer, ASAN, IoctlWithBuffer, "AddressSanitizer: heap-buffer-overflow",
             "ReadsBeyondBuffer"),
    SELF_SIN(WritesBeyondDirectBuffer, ON_NT | ONLY_ASAN, ReadOf2048,
             "AddressSanitizer: use-after-poison", "WritesBeyondDirectBuffer"),
    SELF_SIN(WritesBeyondDirectBuffer, ON_WINE | ONLY_ASAN, ReadOf2048,
             "AddressSanitizer: heap-buffer-overflow", "WritesBeyondDirectBuffer"),
    SELF_SIN(TrustsTheLengthAsked, ASAN, ReadOf4096Into2048,
             "AddressSanitizer: ", "TrustsTheLengthAsked"),
    SELF_SIN(WritesUnmapped, ASAN, ReadOf2048, "AddressSanitizer: use-after-poison",
             "WritesUnmapped"),
    SELF_SIN(WritesDirectBufferAfterwards, ASAN, ReadOf2048,
             "AddressSanitizer: ", "WritesDirectBufferAfterwards"),
    SELF_SIN(MapsAfterwards, ON_BOTH, ReadOf2048, "an MDL is used after its IRP was completed"),
    SELF_SIN(CountsBytesAfterwards, ON_BOTH, ReadOf2048,
             "an MDL is used after its IRP was completed"),
    SELF_SIN(MapsWithOddPriority, ON_BOTH, ReadOf2048,
             "MmGetSystemAddressForMdlSafe with the priority 0x5"),
    SELF_SIN(ToySucceed, ON_BOTH, DescribesTooMuch, "a test describes memory beyond its end"),
    SELF_SIN(WritesBeyondExtension, ASAN, NULL, "AddressSanitizer: heap-buffer-overflow",
             "WritesBeyondExtension"),
    SELF_SIN(WritesExtensionOfADeletedDevice, ASAN, NULL, "AddressSanitizer: heap-use-after-free",
             "WritesExtensionOfADeletedDevice"),
    SELF_SIN(DeletesADeletedDevice, ASAN, NULL, "AddressSanitizer: heap-use-after-free",
             "IoDeleteDevice"),
    SELF_SIN(WritesBeyondView, ASAN, NULL, "AddressSanitizer: use-after-poison",
             "WritesBeyondView"),
    SELF_SIN(WritesUnmappedView, ON_BOTH, NULL, "Sanitizer: SEGV"),
    SELF_SIN(UnmapsTwice, ON_BOTH, NULL, "a view is unmapped that is not mapped"),
    SELF_WELL(UsesMemoryWell, ON_BOTH, ReadOf2048),
};

int main(int Count, char **Arguments)
{
    return SelfMain(Count, Arguments, Cases, RTL_NUMBER_OF(Cases));
}
