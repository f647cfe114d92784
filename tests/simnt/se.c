/* SPDX-License-Identifier: MIT */
/*
 * se.c - access lists: built by the driver, kept with the device, and applied to opens. A process is an
 * administrator, or anybody.
 */
#include "internal.h"

typedef struct ACE {
    UCHAR Type, Flags;
    USHORT Size;
    ACCESS_MASK Access;
    UCHAR Sid[]; /* revision, count, authority, sub-authorities */
} ACE;

static const UCHAR Administrators[] = {1, 2, 0, 0, 0, 0, 0, 5, 32, 0, 0, 0, 0x20, 2, 0, 0};
static const UCHAR Everyone[] = {1, 1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0};

NTSTATUS RtlCreateSecurityDescriptor(PSECURITY_DESCRIPTOR Descriptor, ULONG Revision)
{
    SIM_CALL(APC_LEVEL);
    *Descriptor = (SECURITY_DESCRIPTOR){.Revision = (UCHAR)Revision};
    return STATUS_SUCCESS;
}

NTSTATUS RtlSetDaclSecurityDescriptor(PSECURITY_DESCRIPTOR Descriptor, BOOLEAN Present, PACL Dacl,
                                      BOOLEAN Defaulted)
{
    UNREFERENCED_PARAMETER(Defaulted);
    SIM_CALL(APC_LEVEL);
    Descriptor->DaclPresent = Present;
    Descriptor->Dacl = Dacl;
    return STATUS_SUCCESS;
}

NTSTATUS RtlCreateAcl(PACL Acl, ULONG Length, ULONG Revision)
{
    SIM_CALL(APC_LEVEL);
    memset(Acl, 0xCD, Length);
    *Acl = (ACL){.AclRevision = (UCHAR)Revision, .AclSize = (USHORT)Length};
    return STATUS_SUCCESS;
}

static ACE *FirstFree(PACL Acl)
{
    ACE *Ace = (ACE *)(Acl + 1);
    ULONG Index;

    for (Index = 0; Index < Acl->AceCount; Index++)
        Ace = (ACE *)((PUCHAR)Ace + Ace->Size);
    return Ace;
}

NTSTATUS RtlAddAccessAllowedAce(PACL Acl, ULONG Revision, ACCESS_MASK Access, PSID Sid)
{
    ULONG SidLength = 8 + 4u * ((PUCHAR)Sid)[1];
    ACE *Ace = FirstFree(Acl);
    ULONG Used = (ULONG)((PUCHAR)Ace - (PUCHAR)Acl);

    UNREFERENCED_PARAMETER(Revision);
    SIM_CALL(APC_LEVEL);
    if (sizeof(*Ace) + SidLength > Acl->AclSize - Used)
        return STATUS_BUFFER_TOO_SMALL;
    *Ace = (ACE){.Size = (USHORT)(sizeof(*Ace) + SidLength), .Access = Access};
    memcpy(Ace->Sid, Sid, SidLength);
    Acl->AceCount++;
    return STATUS_SUCCESS;
}

NTSTATUS ZwSetSecurityObject(HANDLE Handle, SECURITY_INFORMATION Information,
                             PSECURITY_DESCRIPTOR Descriptor)
{
    SIM_DEVICE *Device = ObLookUp(Handle, HANDLE_DEVICE);

    SIM_CALL(PASSIVE_LEVEL);
    if (SimShouldFail(__func__))
        return STATUS_INSUFFICIENT_RESOURCES;
    if (Information != DACL_SECURITY_INFORMATION || !Descriptor->DaclPresent ||
        Descriptor->Dacl->AclSize > sizeof(Device->Dacl))
        return STATUS_INVALID_SECURITY_DESCR;
    SimLock();
    memcpy(Device->Dacl, Descriptor->Dacl, Descriptor->Dacl->AclSize);
    Device->HasDacl = TRUE;
    SimUnlock();
    return STATUS_SUCCESS;
}

static BOOLEAN Applies(const ACE *Ace, BOOLEAN IsAdministrator)
{
    if (memcmp(Ace->Sid, Everyone, sizeof(Everyone)) == 0)
        return TRUE;
    return IsAdministrator && memcmp(Ace->Sid, Administrators, sizeof(Administrators)) == 0;
}

static BOOLEAN MayOpenLocked(const SIM_DEVICE *Device, BOOLEAN IsAdministrator, ACCESS_MASK Access)
{
    const ACL *Acl = (const ACL *)Device->Dacl;
    const ACE *Ace = (const ACE *)(Acl + 1);
    ACCESS_MASK Granted = 0;
    ULONG Index;

    if (!Device->HasDacl)
        return TRUE;
    for (Index = 0; Index < Acl->AceCount; Index++) {
        if (Applies(Ace, IsAdministrator))
            Granted |= Ace->Access;
        Ace = (const ACE *)((const UCHAR *)Ace + Ace->Size);
    }
    return (Access & ~Granted) == 0;
}

BOOLEAN SeMayOpen(const SIM_DEVICE *Device, BOOLEAN IsAdministrator, ACCESS_MASK Access)
{
    BOOLEAN May;

    SimLock();
    May = MayOpenLocked(Device, IsAdministrator, Access);
    SimUnlock();
    return May;
}
