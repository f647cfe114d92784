/* SPDX-License-Identifier: MIT */
/*
 * numbers.c - the numbers of disks, of which their device names are made. None is used twice while the system runs, also
 * not by a driver that was stopped and started meanwhile: the mount manager remembers devices by their names, and is not
 * told when one goes. A second one of the same name it takes for the first, or falls over it (ReactOS 0.4.15 frees the
 * name twice; mountmgr.c: MountMgrMountedDeviceArrival).
 *
 * So the next number outlives the driver, in the one part of the registry that is made anew at each boot.
 * Called at load and unload, and once per disk; not on the hot path.
 */
#include "numbers.h"

#include "driver.h"

/* \Registry\Machine\Hardware\DeviceMap\CoreMnt. In buffers, because the headers have it writable. */
#define KEY_NAME L"CoreMnt"
#define VALUE_NAME L"NextDisk"

/* Whatever else stands there is nothing of ours. */
static NTSTATUS NTAPI Read(PWSTR Name, ULONG Type, PVOID Data, ULONG Length, PVOID Context,
                           PVOID EntryContext)
{
    UNREFERENCED_PARAMETER(Name);
    UNREFERENCED_PARAMETER(Context);
    if (Type == REG_DWORD && Length == sizeof(ULONG))
        RtlCopyMemory(EntryContext, Data, sizeof(ULONG));
    return STATUS_SUCCESS;
}

/* Without a value it is the first load since the system was started. */
VOID NumbersLoad(VOID)
{
    WCHAR ValueName[] = VALUE_NAME;
    RTL_QUERY_REGISTRY_TABLE Table[2];
    ULONG Next = 0;

    RtlZeroMemory(Table, sizeof(Table)); /* an empty row ends it */
    Table[0].QueryRoutine = Read;
    Table[0].Name = ValueName;
    Table[0].EntryContext = &Next;
    Table[0].DefaultType = REG_NONE;
    if (!NT_SUCCESS(RtlQueryRegistryValues(RTL_REGISTRY_DEVICEMAP, KEY_NAME, Table, NULL, NULL)))
        Next = 0;
    Driver.NextNumber = Next;
}

ULONG NumbersTake(VOID)
{
    ULONG Number;
    KIRQL Irql;

    KeAcquireSpinLock(&Driver.Lock, &Irql);
    Number = Driver.NextNumber++;
    KeReleaseSpinLock(&Driver.Lock, Irql);
    return Number;
}

/* A driver that cannot leave it behind has nobody to tell; the next one begins anew, which harms those who use the
 * mount manager. */
VOID NumbersSave(VOID)
{
    WCHAR KeyName[] = KEY_NAME, ValueName[] = VALUE_NAME;
    ULONG Next = Driver.NextNumber;

    if (NT_SUCCESS(RtlCreateRegistryKey(RTL_REGISTRY_DEVICEMAP, KeyName)))
        (VOID) RtlWriteRegistryValue(RTL_REGISTRY_DEVICEMAP, KeyName, ValueName, REG_DWORD, &Next,
                                     sizeof(Next));
}
