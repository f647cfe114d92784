/* SPDX-License-Identifier: MIT */
/*
 * disk_mountdev.c - what the mount manager asks of a volume, and tells it: its device's name, its identity, the
 * letter that it would like, and which links there are.
 *
 * Called from disk_ioctl.c's table, at PASSIVE_LEVEL, by the mount manager, which holds its own lock meanwhile: so
 * nothing here may wait for anybody, least of all for the server, which may be asking the mount manager something.
 * An answer that does not fit tells how long it is, and the asker comes again with more room.
 */
#include "disk_mountdev.h"

/*
 * A head that ends in a length, then so many bytes. Head: the size of the structure, from its declaration; where
 * there is room for no more than that, it is answered alone.
 */
static NTSTATUS AnswerCounted(const DISK_CALL *Call, ULONG Head, ULONG LengthAt, const VOID *Data,
                              USHORT Length)
{
    PUCHAR Out = Call->Buffer;
    ULONG DataAt = LengthAt + sizeof(Length);

    if (Call->OutLength < Head)
        return STATUS_BUFFER_TOO_SMALL;
    RtlZeroMemory(Out, Head);
    RtlCopyMemory(Out + LengthAt, &Length, sizeof(Length));
    *Call->Information = Head;
    if (Call->OutLength - DataAt < Length)
        return STATUS_BUFFER_OVERFLOW;
    RtlCopyMemory(Out + DataAt, Data, Length);
    *Call->Information = DataAt + Length;
    return STATUS_SUCCESS;
}

NTSTATUS DiskMountdevQueryName(const DISK_CALL *Call)
{
    WCHAR Buffer[DISK_NAME_UNITS];
    UNICODE_STRING Name = {.Buffer = Buffer, .MaximumLength = sizeof(Buffer)};
    NTSTATUS Status = DiskMakeName(&Name, Call->Disk->Number);

    return NT_SUCCESS(Status)
               ? AnswerCounted(Call, sizeof(MOUNTDEV_NAME), FIELD_OFFSET(MOUNTDEV_NAME, NameLength),
                               Name.Buffer, Name.Length)
               : Status;
}

/* A disk without an identity is none of the mount manager's: it is told so. */
NTSTATUS DiskMountdevQueryUniqueId(const DISK_CALL *Call)
{
    DISK_IDENTITY Identity;

    DiskGetIdentity(Call->Disk, &Identity);
    if (!Identity.Known)
        return STATUS_INVALID_DEVICE_REQUEST;
    return AnswerCounted(Call, sizeof(MOUNTDEV_UNIQUE_ID),
                         FIELD_OFFSET(MOUNTDEV_UNIQUE_ID, UniqueIdLength), Identity.UniqueId,
                         sizeof(Identity.UniqueId));
}

/* The letter was chosen for this mount, so it is wanted whatever links the mount manager remembers: its
 * UseOnlyIfThereAreNoOtherLinks stays FALSE. */
NTSTATUS DiskMountdevQueryLink(const DISK_CALL *Call)
{
    WCHAR Link[] = L"\\DosDevices\\?:";
    DISK_IDENTITY Identity;

    DiskGetIdentity(Call->Disk, &Identity);
    if (!Identity.Known)
        return STATUS_INVALID_DEVICE_REQUEST;
    if (Identity.Letter == 0)
        return STATUS_NOT_FOUND;
    Link[RTL_NUMBER_OF(Link) - 3] = Identity.Letter;
    return AnswerCounted(Call, sizeof(MOUNTDEV_SUGGESTED_LINK_NAME),
                         FIELD_OFFSET(MOUNTDEV_SUGGESTED_LINK_NAME, NameLength), Link,
                         sizeof(Link) - sizeof(WCHAR));
}

/* LINK_CREATED and LINK_DELETED: there is nothing to be done. A name that is not one is refused all the same:
 * who sends it has made a mistake. */
NTSTATUS DiskMountdevNoteLink(const DISK_CALL *Call)
{
    const MOUNTDEV_NAME *Name = Call->Buffer;
    ULONG Head = FIELD_OFFSET(MOUNTDEV_NAME, Name);

    if (Call->InLength < Head || Name->NameLength > Call->InLength - Head ||
        Name->NameLength % sizeof(WCHAR) != 0)
        return STATUS_INVALID_PARAMETER;
    return STATUS_SUCCESS;
}

/* Those of a partition of a GPT disk, for a volume of any kind. Letters are decided by identity, not here. */
NTSTATUS DiskMountdevGetAttributes(const DISK_CALL *Call)
{
    VOLUME_GET_GPT_ATTRIBUTES_INFORMATION *Attributes = Call->Buffer;

    Attributes->GptAttributes = Call->Disk->ReadOnly ? GPT_READ_ONLY : 0;
    *Call->Information = sizeof(*Attributes);
    return STATUS_SUCCESS;
}
