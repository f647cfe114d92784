/* SPDX-License-Identifier: MIT */
/*
 * security.c - security descriptors of our devices.
 *
 * Control device: SYSTEM and administrators, nobody else. Disk devices: the same for raw access;
 * everyone may ask for attributes, as on any disk, and may pass through to files, whose protection
 * is the file system's job. Called once per device, at PASSIVE_LEVEL.
 *
 * IoCreateDeviceSecure would do this, but it lives in a static library that mingw-w64 does not
 * have; so the descriptor is set by way of a handle before the device can be opened. Wine stores it
 * and does not enforce it.
 */
#include "security.h"

/* SIDs in their binary form; only the number of sub-authorities differs from a SID's declaration.
 */
typedef struct SHORT_SID {
    UCHAR Revision;
    UCHAR Count;
    UCHAR Authority[6];
    ULONG SubAuthority[2];
} SHORT_SID;

static SHORT_SID SidSystem = {1, 1, {0, 0, 0, 0, 0, 5}, {18}};              /* S-1-5-18 */
static SHORT_SID SidAdministrators = {1, 2, {0, 0, 0, 0, 0, 5}, {32, 544}}; /* S-1-5-32-544 */
static SHORT_SID SidEveryone = {1, 1, {0, 0, 0, 0, 0, 1}, {0}};             /* S-1-1-0 */

static NTSTATUS MUST_CHECK SetDacl(PDEVICE_OBJECT Device, PACL Acl)
{
    SECURITY_DESCRIPTOR Descriptor;
    HANDLE Handle;
    NTSTATUS Status;

    Status = RtlCreateSecurityDescriptor(&Descriptor, SECURITY_DESCRIPTOR_REVISION);
    if (!NT_SUCCESS(Status))
        return Status;
    Status = RtlSetDaclSecurityDescriptor(&Descriptor, TRUE, Acl, FALSE);
    if (!NT_SUCCESS(Status))
        return Status;
    Status = ObOpenObjectByPointer(Device, OBJ_KERNEL_HANDLE, NULL, WRITE_DAC, NULL, KernelMode,
                                   &Handle);
    if (!NT_SUCCESS(Status))
        return Status;
    Status = ZwSetSecurityObject(Handle, DACL_SECURITY_INFORMATION, &Descriptor);
    ZwClose(Handle);
    return Status;
}

static NTSTATUS MUST_CHECK Protect(PDEVICE_OBJECT Device, ACCESS_MASK Everyone)
{
    ULONG Storage[64];
    PACL Acl = (PACL)Storage;
    NTSTATUS Status;

    Status = RtlCreateAcl(Acl, sizeof(Storage), ACL_REVISION);
    if (NT_SUCCESS(Status))
        Status = RtlAddAccessAllowedAce(Acl, ACL_REVISION, FILE_ALL_ACCESS, &SidSystem);
    if (NT_SUCCESS(Status))
        Status = RtlAddAccessAllowedAce(Acl, ACL_REVISION, FILE_ALL_ACCESS, &SidAdministrators);
    if (NT_SUCCESS(Status) && Everyone != 0)
        Status = RtlAddAccessAllowedAce(Acl, ACL_REVISION, Everyone, &SidEveryone);
    if (NT_SUCCESS(Status))
        Status = SetDacl(Device, Acl);
    return Status;
}

NTSTATUS SecurityProtectControl(PDEVICE_OBJECT Device)
{
    return Protect(Device, 0);
}

NTSTATUS SecurityProtectDisk(PDEVICE_OBJECT Device)
{
    return Protect(Device, FILE_READ_ATTRIBUTES | FILE_TRAVERSE | READ_CONTROL | SYNCHRONIZE);
}
