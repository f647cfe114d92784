/* SPDX-License-Identifier: MIT */
/*
 * ntddstor.h - stands in for the DDK's header of this name: the storage ioctls that the driver answers, and
 * their structures, laid out as on Windows x64 (layout.c checks it).
 */
#ifndef SIMNT_NTDDSTOR_H
#define SIMNT_NTDDSTOR_H

#include "ntifs.h"

#define IOCTL_STORAGE_BASE FILE_DEVICE_MASS_STORAGE
#define SIMNT_STORAGE(function, access)                                                            \
    CTL_CODE(IOCTL_STORAGE_BASE, function, METHOD_BUFFERED, access)

#define IOCTL_STORAGE_CHECK_VERIFY SIMNT_STORAGE(0x200u, FILE_READ_ACCESS)
#define IOCTL_STORAGE_CHECK_VERIFY2 SIMNT_STORAGE(0x200u, FILE_ANY_ACCESS)
#define IOCTL_STORAGE_MEDIA_REMOVAL SIMNT_STORAGE(0x201u, FILE_READ_ACCESS)
#define IOCTL_STORAGE_EJECTION_CONTROL SIMNT_STORAGE(0x250u, FILE_ANY_ACCESS)
#define IOCTL_STORAGE_GET_MEDIA_TYPES SIMNT_STORAGE(0x300u, FILE_ANY_ACCESS)
#define IOCTL_STORAGE_GET_MEDIA_TYPES_EX SIMNT_STORAGE(0x301u, FILE_ANY_ACCESS)
#define IOCTL_STORAGE_GET_HOTPLUG_INFO SIMNT_STORAGE(0x305u, FILE_ANY_ACCESS)
#define IOCTL_STORAGE_GET_DEVICE_NUMBER SIMNT_STORAGE(0x420u, FILE_ANY_ACCESS)
#define IOCTL_STORAGE_READ_CAPACITY SIMNT_STORAGE(0x450u, FILE_READ_ACCESS)
#define IOCTL_STORAGE_QUERY_PROPERTY SIMNT_STORAGE(0x500u, FILE_ANY_ACCESS)
#define IOCTL_STORAGE_MANAGE_DATA_SET_ATTRIBUTES SIMNT_STORAGE(0x501u, FILE_WRITE_ACCESS)

#define MEDIA_READ_ONLY 4u
#define MEDIA_READ_WRITE 8u
#define MEDIA_CURRENTLY_MOUNTED 0x80000000u

typedef enum STORAGE_MEDIA_TYPE { DDS_4mm = 0x20 } STORAGE_MEDIA_TYPE; /* and MEDIA_TYPE */

typedef struct DEVICE_MEDIA_INFO {
    union {
        struct {
            LARGE_INTEGER Cylinders;
            STORAGE_MEDIA_TYPE MediaType;
            ULONG TracksPerCylinder, SectorsPerTrack, BytesPerSector;
            ULONG NumberMediaSides, MediaCharacteristics;
        } DiskInfo;
    } DeviceSpecific;
} DEVICE_MEDIA_INFO;

typedef struct GET_MEDIA_TYPES {
    ULONG DeviceType, MediaInfoCount;
    DEVICE_MEDIA_INFO MediaInfo[1];
} GET_MEDIA_TYPES;

typedef struct STORAGE_READ_CAPACITY {
    ULONG Version, Size, BlockLength;
    LARGE_INTEGER NumberOfBlocks, DiskLength;
} STORAGE_READ_CAPACITY;

typedef struct STORAGE_HOTPLUG_INFO {
    ULONG Size;
    BOOLEAN MediaRemovable, MediaHotplug, DeviceHotplug, WriteCacheEnableOverride;
} STORAGE_HOTPLUG_INFO;

typedef struct PREVENT_MEDIA_REMOVAL {
    BOOLEAN PreventMediaRemoval;
} PREVENT_MEDIA_REMOVAL;

typedef enum STORAGE_BUS_TYPE { BusTypeUnknown = 0, BusTypeVirtual = 14 } STORAGE_BUS_TYPE;

typedef enum STORAGE_QUERY_TYPE {
    PropertyStandardQuery,
    PropertyExistsQuery,
    PropertyMaskQuery
} STORAGE_QUERY_TYPE;

typedef enum STORAGE_PROPERTY_ID {
    StorageDeviceProperty = 0,
    StorageAdapterProperty = 1,
    StorageDeviceIdProperty = 2,
    StorageAccessAlignmentProperty = 6,
    StorageDeviceSeekPenaltyProperty = 7,
    StorageDeviceTrimProperty = 8,
    StorageDeviceLBProvisioningProperty = 11
} STORAGE_PROPERTY_ID;

typedef struct STORAGE_PROPERTY_QUERY {
    STORAGE_PROPERTY_ID PropertyId;
    STORAGE_QUERY_TYPE QueryType;
    UCHAR AdditionalParameters[1];
} STORAGE_PROPERTY_QUERY;

typedef struct STORAGE_DESCRIPTOR_HEADER {
    ULONG Version, Size;
} STORAGE_DESCRIPTOR_HEADER;

typedef struct STORAGE_DEVICE_DESCRIPTOR {
    ULONG Version, Size;
    UCHAR DeviceType, DeviceTypeModifier;
    BOOLEAN RemovableMedia, CommandQueueing;
    ULONG VendorIdOffset, ProductIdOffset, ProductRevisionOffset, SerialNumberOffset;
    STORAGE_BUS_TYPE BusType;
    ULONG RawPropertiesLength;
    UCHAR RawDeviceProperties[1];
} STORAGE_DEVICE_DESCRIPTOR;

typedef struct STORAGE_ADAPTER_DESCRIPTOR {
    ULONG Version, Size;
    ULONG MaximumTransferLength, MaximumPhysicalPages, AlignmentMask;
    BOOLEAN AdapterUsesPio, AdapterScansDown, CommandQueueing, AcceleratedTransfer;
    UCHAR BusType;
    USHORT BusMajorVersion, BusMinorVersion;
} STORAGE_ADAPTER_DESCRIPTOR;

typedef struct STORAGE_ACCESS_ALIGNMENT_DESCRIPTOR {
    ULONG Version, Size;
    ULONG BytesPerCacheLine, BytesOffsetForCacheAlignment;
    ULONG BytesPerLogicalSector, BytesPerPhysicalSector, BytesOffsetForSectorAlignment;
} STORAGE_ACCESS_ALIGNMENT_DESCRIPTOR;

typedef struct DEVICE_SEEK_PENALTY_DESCRIPTOR {
    ULONG Version, Size;
    BOOLEAN IncursSeekPenalty;
} DEVICE_SEEK_PENALTY_DESCRIPTOR;

typedef struct DEVICE_TRIM_DESCRIPTOR {
    ULONG Version, Size;
    BOOLEAN TrimEnabled;
} DEVICE_TRIM_DESCRIPTOR;

#define DeviceDsmAction_Trim 1
#define DEVICE_DSM_FLAG_ENTIRE_DATA_SET_RANGE 1u

typedef struct DEVICE_DATA_SET_RANGE {
    LONGLONG StartingOffset;
    ULONGLONG LengthInBytes;
} DEVICE_DATA_SET_RANGE;

typedef struct DEVICE_MANAGE_DATA_SET_ATTRIBUTES {
    ULONG Size, Action, Flags, ParameterBlockOffset, ParameterBlockLength, DataSetRangesOffset,
        DataSetRangesLength;
} DEVICE_MANAGE_DATA_SET_ATTRIBUTES;

#endif
