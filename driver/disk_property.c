/* SPDX-License-Identifier: MIT */
/*
 * disk_property.c - IOCTL_STORAGE_QUERY_PROPERTY: what kind of disk this is.
 *
 * Called from disk_ioctl.c's table. One row per property; properties that are not here get
 * STATUS_NOT_SUPPORTED, on purpose: some programs take a volume that knows more (device id, LB
 * provisioning) for a physical disk. Not on the hot path.
 */
#include "disk_property.h"

#include "version.h"

/* Large enough for every descriptor of the table. */
typedef union DESCRIPTOR {
    STORAGE_DESCRIPTOR_HEADER Header;
    STORAGE_DEVICE_DESCRIPTOR Device;
    STORAGE_ADAPTER_DESCRIPTOR Adapter;
    STORAGE_ACCESS_ALIGNMENT_DESCRIPTOR Alignment;
    DEVICE_SEEK_PENALTY_DESCRIPTOR SeekPenalty;
    DEVICE_TRIM_DESCRIPTOR Trim;
    UCHAR Bytes[128];
} DESCRIPTOR;

/* The strings follow the fixed part; offsets point at them, 0 would mean "none". */
static const CHAR Vendor[] = "CoreMnt";
static const CHAR Product[] = "Virtual Disk";
static const CHAR Revision[] = DRIVER_REVISION;

#define STRINGS_AT FIELD_OFFSET(STORAGE_DEVICE_DESCRIPTOR, RawDeviceProperties)
#define PRODUCT_AT (STRINGS_AT + sizeof(Vendor))
#define REVISION_AT (PRODUCT_AT + sizeof(Product))
#define DEVICE_SIZE (REVISION_AT + sizeof(Revision))

C_ASSERT(DEVICE_SIZE <= sizeof(DESCRIPTOR));

static ULONG FillDevice(const DISK *Disk, DESCRIPTOR *Descriptor)
{
    STORAGE_DEVICE_DESCRIPTOR *Device = &Descriptor->Device;

    UNREFERENCED_PARAMETER(Disk);
    Device->Version = sizeof(*Device);
    Device->Size = DEVICE_SIZE;
    Device->DeviceType = 0; /* SCSI's direct-access device */
    Device->RemovableMedia = FALSE;
    Device->CommandQueueing = TRUE;
    Device->BusType = BusTypeVirtual;
    Device->VendorIdOffset = STRINGS_AT;
    Device->ProductIdOffset = PRODUCT_AT;
    Device->ProductRevisionOffset = REVISION_AT;
    RtlCopyMemory(Descriptor->Bytes + STRINGS_AT, Vendor, sizeof(Vendor));
    RtlCopyMemory(Descriptor->Bytes + PRODUCT_AT, Product, sizeof(Product));
    RtlCopyMemory(Descriptor->Bytes + REVISION_AT, Revision, sizeof(Revision));
    return DEVICE_SIZE;
}

static ULONG FillAdapter(const DISK *Disk, DESCRIPTOR *Descriptor)
{
    STORAGE_ADAPTER_DESCRIPTOR *Adapter = &Descriptor->Adapter;

    UNREFERENCED_PARAMETER(Disk);
    Adapter->Version = sizeof(*Adapter);
    Adapter->Size = sizeof(*Adapter);
    /* No limit of ours: larger requests are split. A round number that nobody takes for one. */
    Adapter->MaximumTransferLength = 64 * 1024 * 1024;
    Adapter->MaximumPhysicalPages = Adapter->MaximumTransferLength / PAGE_SIZE;
    Adapter->AlignmentMask = 0;
    Adapter->CommandQueueing = TRUE;
    Adapter->BusType = BusTypeVirtual;
    return sizeof(*Adapter);
}

static ULONG FillAlignment(const DISK *Disk, DESCRIPTOR *Descriptor)
{
    STORAGE_ACCESS_ALIGNMENT_DESCRIPTOR *Alignment = &Descriptor->Alignment;

    Alignment->Version = sizeof(*Alignment);
    Alignment->Size = sizeof(*Alignment);
    Alignment->BytesPerLogicalSector = Disk->SectorSize;
    /* What a file below us is best written in, whatever the sector. */
    Alignment->BytesPerPhysicalSector = max(Disk->SectorSize, 4096);
    return sizeof(*Alignment);
}

static ULONG FillSeekPenalty(const DISK *Disk, DESCRIPTOR *Descriptor)
{
    UNREFERENCED_PARAMETER(Disk);
    Descriptor->SeekPenalty.Version = sizeof(Descriptor->SeekPenalty);
    Descriptor->SeekPenalty.Size = sizeof(Descriptor->SeekPenalty);
    Descriptor->SeekPenalty.IncursSeekPenalty = FALSE;
    return sizeof(Descriptor->SeekPenalty);
}

static ULONG FillTrim(const DISK *Disk, DESCRIPTOR *Descriptor)
{
    Descriptor->Trim.Version = sizeof(Descriptor->Trim);
    Descriptor->Trim.Size = sizeof(Descriptor->Trim);
    Descriptor->Trim.TrimEnabled = Disk->CanTrim && !Disk->ReadOnly;
    return sizeof(Descriptor->Trim);
}

typedef struct PROPERTY_ROW {
    STORAGE_PROPERTY_ID Id;
    ULONG (*Fill)(const DISK *Disk, DESCRIPTOR *Descriptor); /* zeroed; @return its size */
} PROPERTY_ROW;

static const PROPERTY_ROW Rows[] = {
    {StorageDeviceProperty, FillDevice},
    {StorageAdapterProperty, FillAdapter},
    {StorageAccessAlignmentProperty, FillAlignment},
    {StorageDeviceSeekPenaltyProperty, FillSeekPenalty},
    {StorageDeviceTrimProperty, FillTrim},
};

static const PROPERTY_ROW *FindRow(STORAGE_PROPERTY_ID Id)
{
    ULONG Index;

    for (Index = 0; Index < RTL_NUMBER_OF(Rows); Index++)
        if (Rows[Index].Id == Id)
            return &Rows[Index];
    return NULL;
}

/* The buffer holds the query and takes the answer. */
NTSTATUS DiskPropertyQuery(const DISK_CALL *Call)
{
    const STORAGE_PROPERTY_QUERY *Query = Call->Buffer;
    const PROPERTY_ROW *Row;
    DESCRIPTOR Descriptor;
    ULONG Size;

    if (Call->InLength < FIELD_OFFSET(STORAGE_PROPERTY_QUERY, AdditionalParameters))
        return STATUS_INFO_LENGTH_MISMATCH;
    Row = FindRow(Query->PropertyId);
    if (Row == NULL)
        return STATUS_NOT_SUPPORTED;
    if (Query->QueryType == PropertyExistsQuery)
        return STATUS_SUCCESS;
    if (Query->QueryType != PropertyStandardQuery)
        return STATUS_NOT_SUPPORTED;
    if (Call->OutLength < sizeof(STORAGE_DESCRIPTOR_HEADER))
        return STATUS_BUFFER_TOO_SMALL;
    RtlZeroMemory(&Descriptor, sizeof(Descriptor));
    Size = Row->Fill(Call->Disk, &Descriptor);
    /* With too little room the header alone, which tells the size: a success, as the class driver
     * has it. */
    if (Call->OutLength < Size)
        Size = sizeof(STORAGE_DESCRIPTOR_HEADER);
    RtlCopyMemory(Call->Buffer, &Descriptor, Size);
    *Call->Information = Size;
    return STATUS_SUCCESS;
}
