/* SPDX-License-Identifier: MIT */
/*
 * partition_types.c - what the types of partitions are called: those that people meet. Called while a
 * table is listed, on any thread.
 */
#include <string.h>

#include "lib/core/partition_internal.h"

static const struct {
    unsigned char type;
    const char *name;
} mbr_types[] = {
    {0x01, "FAT12"},
    {0x04, "FAT16, less than 32 MiB"},
    {0x05, "extended"},
    {0x06, "FAT16"},
    {0x07, "NTFS or exFAT"},
    {0x0B, "FAT32"},
    {0x0C, "FAT32, LBA"},
    {0x0E, "FAT16, LBA"},
    {0x0F, "extended, LBA"},
    {0x11, "FAT12, hidden"},
    {0x14, "FAT16, less than 32 MiB, hidden"},
    {0x16, "FAT16, hidden"},
    {0x17, "NTFS or exFAT, hidden"},
    {0x1B, "FAT32, hidden"},
    {0x1C, "FAT32, LBA, hidden"},
    {0x1E, "FAT16, LBA, hidden"},
    {0x27, "Windows recovery"},
    {0x42, "Windows dynamic disk"},
    {0x82, "Linux swap"},
    {0x83, "Linux"},
    {0x85, "extended, Linux"},
    {0x8E, "Linux LVM"},
    {0xA5, "FreeBSD"},
    {0xA6, "OpenBSD"},
    {0xA8, "macOS UFS"},
    {0xA9, "NetBSD"},
    {0xAF, "macOS HFS+"},
    {0xEE, "protective, of a GPT"},
    {0xEF, "EFI system"},
    {0xFB, "VMware VMFS"},
    {0xFD, "Linux RAID"},
};

static const struct {
    const char *guid;
    const char *name;
} gpt_types[] = {
    {"024DEE41-33E7-11D3-9D69-0008C781F39F", "MBR partition scheme"},
    {"0657FD6D-A4AB-43C4-84E5-0933C84B4F4F", "Linux swap"},
    {"0FC63DAF-8483-4772-8E79-3D69D8477DE4", "Linux file system"},
    {"21686148-6449-6E6F-744E-656564454649", "BIOS boot"},
    {"44479540-F297-41B2-9AF7-D131D5F0458A", "Linux root (x86)"},
    {"48465300-0000-11AA-AA11-00306543ECAC", "macOS HFS+"},
    {"4F68BCE3-E8CD-4DB1-96E7-FBCAF984B709", "Linux root (x86-64)"},
    {"516E7CB4-6ECF-11D6-8FF8-00022D09712B", "FreeBSD data"},
    {"516E7CB5-6ECF-11D6-8FF8-00022D09712B", "FreeBSD swap"},
    {"516E7CB6-6ECF-11D6-8FF8-00022D09712B", "FreeBSD UFS"},
    {"516E7CBA-6ECF-11D6-8FF8-00022D09712B", "FreeBSD ZFS"},
    {"5808C8AA-7E8F-42E0-85D2-E1E90434CFB3", "Windows LDM metadata"},
    {"6A898CC3-1DD2-11B2-99A6-080020736631", "ZFS"},
    {"7C3457EF-0000-11AA-AA11-00306543ECAC", "macOS APFS"},
    {"933AC7E1-2EB4-4F13-B844-0E14E2AEF915", "Linux home"},
    {"A19D880F-05FC-4D3B-A006-743F0F84911E", "Linux RAID"},
    {"AF9B60A0-1431-4F62-BC68-3311714A69AD", "Windows LDM data"},
    {"B921B045-1DF0-41C3-AF44-4C6F280D3FAE", "Linux root (ARM64)"},
    {"BC13C2FF-59E6-4262-A352-B275FD6F7172", "Linux extended boot"},
    {"C12A7328-F81F-11D2-BA4B-00A0C93EC93B", "EFI system"},
    {"CA7D7CCB-63ED-4C53-861C-1742536059CC", "Linux LUKS"},
    {"DE94BBA4-06D1-4D40-A16A-BFD50179D6AC", "Windows recovery"},
    {"E3C9E316-0B5C-4DB8-817D-F92DF00215AE", "Microsoft reserved"},
    {"E6D6D379-F507-44C2-A23C-238F2A3DF928", "Linux LVM"},
    {"E75CAF8F-F680-4CEE-AFA3-B001E56EFC2D", "Windows storage spaces"},
    {"EBD0A0A2-B9E5-4433-87C0-68B6B72699C7", "Microsoft basic data"},
};

const char *cm_mbr_type_name(unsigned char type)
{
    for (size_t i = 0; i < sizeof(mbr_types) / sizeof(mbr_types[0]); i++)
        if (mbr_types[i].type == type)
            return mbr_types[i].name;
    return "unknown";
}

const char *cm_gpt_type_name(const char *guid)
{
    for (size_t i = 0; i < sizeof(gpt_types) / sizeof(gpt_types[0]); i++)
        if (strcmp(gpt_types[i].guid, guid) == 0)
            return gpt_types[i].name;
    return "unknown";
}
