/* SPDX-License-Identifier: MIT */
/*
 * disk_trim.c - IOCTL_STORAGE_MANAGE_DATA_SET_ATTRIBUTES, of which TRIM is what we know.
 *
 * Called from disk_ioctl.c's table for file systems, at PASSIVE_LEVEL. The only ioctl that goes into the queue,
 * and so the only one that waits for the server.
 */
#include "disk_trim.h"

#include "disk_io.h"

/*
 * Move the ranges that are not empty to the front. @return how many, or -1 if one is not on the disk.
 * The ranges need not be aligned: some callers put them right behind the 28 bytes of the head.
 */
static LONG PackRanges(const DISK *Disk, TRIM_RANGE *Ranges, ULONG Count)
{
    ULONG Index;
    LONG Kept = 0;

    for (Index = 0; Index < Count; Index++) {
        TRIM_RANGE Range = Ranges[Index];
        if (Range.LengthInBytes == 0)
            continue;
        if (!DiskIoRangeIsValid(Disk, Range.StartingOffset, Range.LengthInBytes))
            return -1;
        Ranges[Kept++] = Range;
    }
    return Kept;
}

/* The ranges of a TRIM lie within the input and are whole ranges. */
static BOOLEAN RangesLieInInput(const DEVICE_MANAGE_DATA_SET_ATTRIBUTES *Set, ULONG InLength)
{
    ULONG Length = Set->DataSetRangesLength;

    if (Length == 0 || Length % sizeof(DEVICE_DATA_SET_RANGE) != 0 || Length > InLength)
        return FALSE;
    return Set->DataSetRangesOffset >= sizeof(*Set) &&
           Set->DataSetRangesOffset <= InLength - Length;
}

/*
 * The queue hands out the ranges from this IRP's own buffer, in which only good ones are
 * left. The flag that means the whole disk is refused: it is no file system's, and there is no way
 * back.
 */
NTSTATUS DiskTrim(const DISK_CALL *Call)
{
    DEVICE_MANAGE_DATA_SET_ATTRIBUTES *Set = Call->Buffer;
    LONG Count;

    if (Call->InLength < sizeof(*Set))
        return STATUS_INVALID_PARAMETER;
    if (Set->Action != DeviceDsmAction_Trim || !Call->Disk->CanTrim)
        return STATUS_NOT_SUPPORTED;
    if (Call->Disk->ReadOnly)
        return STATUS_MEDIA_WRITE_PROTECTED;
    if ((Set->Flags & DEVICE_DSM_FLAG_ENTIRE_DATA_SET_RANGE) != 0 ||
        !RangesLieInInput(Set, Call->InLength))
        return STATUS_INVALID_PARAMETER;
    Count = PackRanges(Call->Disk, (TRIM_RANGE *)((PUCHAR)Set + Set->DataSetRangesOffset),
                       Set->DataSetRangesLength / sizeof(DEVICE_DATA_SET_RANGE));
    if (Count < 0)
        return STATUS_INVALID_PARAMETER;
    if (Count == 0)
        return STATUS_SUCCESS;
    Set->DataSetRangesLength = (ULONG)Count * sizeof(DEVICE_DATA_SET_RANGE);
    return DiskIoSubmit(Call->Disk, Call->Irp);
}
