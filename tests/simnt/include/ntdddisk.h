/* SPDX-License-Identifier: MIT */
/*
 * ntdddisk.h - stands in for the DDK's header of this name: the disk ioctls that the driver answers, and their
 * structures, laid out as on Windows x64 (layout.c checks it).
 */
#ifndef SIMNT_NTDDDISK_H
#define SIMNT_NTDDDISK_H

#include "ntifs.h"

#define IOCTL_DISK_BASE FILE_DEVICE_DISK
#define SIMNT_DISK(function, access) CTL_CODE(IOCTL_DISK_BASE, function, METHOD_BUFFERED, access)

#define IOCTL_DISK_GET_DRIVE_GEOMETRY SIMNT_DISK(0x00u, FILE_ANY_ACCESS)
#define IOCTL_DISK_GET_PARTITION_INFO SIMNT_DISK(0x01u, FILE_READ_ACCESS)
#define IOCTL_DISK_SET_PARTITION_INFO SIMNT_DISK(0x02u, FILE_READ_ACCESS | FILE_WRITE_ACCESS)
#define IOCTL_DISK_GET_DRIVE_LAYOUT SIMNT_DISK(0x03u, FILE_READ_ACCESS)
#define IOCTL_DISK_VERIFY SIMNT_DISK(0x05u, FILE_ANY_ACCESS)
#define IOCTL_DISK_IS_WRITABLE SIMNT_DISK(0x09u, FILE_ANY_ACCESS)
#define IOCTL_DISK_GET_PARTITION_INFO_EX SIMNT_DISK(0x12u, FILE_ANY_ACCESS)
#define IOCTL_DISK_SET_PARTITION_INFO_EX SIMNT_DISK(0x13u, FILE_READ_ACCESS | FILE_WRITE_ACCESS)
#define IOCTL_DISK_GET_DRIVE_LAYOUT_EX SIMNT_DISK(0x14u, FILE_ANY_ACCESS)
#define IOCTL_DISK_GET_LENGTH_INFO SIMNT_DISK(0x17u, FILE_READ_ACCESS)
#define IOCTL_DISK_GET_DRIVE_GEOMETRY_EX SIMNT_DISK(0x28u, FILE_ANY_ACCESS)
#define IOCTL_DISK_GET_CACHE_INFORMATION SIMNT_DISK(0x35u, FILE_READ_ACCESS)
#define IOCTL_DISK_UPDATE_PROPERTIES SIMNT_DISK(0x50u, FILE_ANY_ACCESS)
#define IOCTL_DISK_CHECK_VERIFY SIMNT_DISK(0x200u, FILE_READ_ACCESS)
#define IOCTL_DISK_MEDIA_REMOVAL SIMNT_DISK(0x201u, FILE_READ_ACCESS)
#define IOCTL_DISK_GET_MEDIA_TYPES SIMNT_DISK(0x300u, FILE_ANY_ACCESS)

#define PARTITION_IFS 0x07

typedef enum MEDIA_TYPE { Unknown = 0, RemovableMedia = 11, FixedMedia = 12 } MEDIA_TYPE;

typedef struct DISK_GEOMETRY {
    LARGE_INTEGER Cylinders;
    MEDIA_TYPE MediaType;
    ULONG TracksPerCylinder, SectorsPerTrack, BytesPerSector;
} DISK_GEOMETRY;

typedef struct DISK_GEOMETRY_EX {
    DISK_GEOMETRY Geometry;
    LARGE_INTEGER DiskSize;
    UCHAR Data[1];
} DISK_GEOMETRY_EX;

typedef struct PARTITION_INFORMATION {
    LARGE_INTEGER StartingOffset, PartitionLength;
    ULONG HiddenSectors, PartitionNumber;
    UCHAR PartitionType;
    BOOLEAN BootIndicator, RecognizedPartition, RewritePartition;
} PARTITION_INFORMATION;

typedef enum PARTITION_STYLE {
    PARTITION_STYLE_MBR,
    PARTITION_STYLE_GPT,
    PARTITION_STYLE_RAW
} PARTITION_STYLE;

typedef struct PARTITION_INFORMATION_MBR {
    UCHAR PartitionType;
    BOOLEAN BootIndicator, RecognizedPartition;
    ULONG HiddenSectors;
} PARTITION_INFORMATION_MBR;

typedef struct PARTITION_INFORMATION_GPT {
    GUID PartitionType, PartitionId;
    ULONG64 Attributes;
    WCHAR Name[36];
} PARTITION_INFORMATION_GPT;

typedef struct PARTITION_INFORMATION_EX {
    PARTITION_STYLE PartitionStyle;
    LARGE_INTEGER StartingOffset, PartitionLength;
    ULONG PartitionNumber;
    BOOLEAN RewritePartition;
    union {
        PARTITION_INFORMATION_MBR Mbr;
        PARTITION_INFORMATION_GPT Gpt;
    };
} PARTITION_INFORMATION_EX;

typedef struct DRIVE_LAYOUT_INFORMATION {
    ULONG PartitionCount, Signature;
    PARTITION_INFORMATION PartitionEntry[1];
} DRIVE_LAYOUT_INFORMATION;

typedef struct DRIVE_LAYOUT_INFORMATION_GPT {
    GUID DiskId;
    LARGE_INTEGER StartingUsableOffset, UsableLength;
    ULONG MaxPartitionCount;
} DRIVE_LAYOUT_INFORMATION_GPT;

typedef struct DRIVE_LAYOUT_INFORMATION_EX {
    ULONG PartitionStyle, PartitionCount;
    union {
        struct {
            ULONG Signature;
        } Mbr;
        DRIVE_LAYOUT_INFORMATION_GPT Gpt;
    };
    PARTITION_INFORMATION_EX PartitionEntry[1];
} DRIVE_LAYOUT_INFORMATION_EX;

typedef struct DISK_PARTITION_INFO {
    ULONG SizeOfPartitionInfo;
    PARTITION_STYLE PartitionStyle;
    union {
        struct {
            ULONG Signature, CheckSum;
        } Mbr;
        struct {
            GUID DiskId;
        } Gpt;
    };
} DISK_PARTITION_INFO;

typedef enum DETECTION_TYPE { DetectNone, DetectInt13, DetectExInt13 } DETECTION_TYPE;

typedef struct DISK_DETECTION_INFO {
    ULONG SizeOfDetectInfo;
    DETECTION_TYPE DetectionType;
    UCHAR Int13[16];
    ULONGLONG ExInt13[4];
} DISK_DETECTION_INFO;

typedef struct DISK_CACHE_INFORMATION {
    BOOLEAN ParametersSavable, ReadCacheEnabled, WriteCacheEnabled;
    ULONG ReadRetentionPriority, WriteRetentionPriority;
    USHORT DisablePrefetchTransferLength;
    BOOLEAN PrefetchScalar;
    USHORT Prefetch[3];
} DISK_CACHE_INFORMATION;

typedef struct SET_PARTITION_INFORMATION {
    UCHAR PartitionType;
} SET_PARTITION_INFORMATION;

typedef struct SET_PARTITION_INFORMATION_EX {
    PARTITION_STYLE PartitionStyle;
    union {
        SET_PARTITION_INFORMATION Mbr;
        PARTITION_INFORMATION_GPT Gpt;
    };
} SET_PARTITION_INFORMATION_EX;

typedef struct GET_LENGTH_INFORMATION {
    LARGE_INTEGER Length;
} GET_LENGTH_INFORMATION;

typedef struct VERIFY_INFORMATION {
    LARGE_INTEGER StartingOffset;
    ULONG Length;
} VERIFY_INFORMATION;

#endif
