/* SPDX-License-Identifier: MIT */
/*
 * cm.c - the registry: one key of \Registry\Machine\Hardware\DeviceMap with one value, which is all that a driver of
 * ours keeps there. It lives from boot to shut-down, whoever is loaded meanwhile.
 */
#include "internal.h"

#define MOST 64

typedef struct KEY {
    BOOLEAN Exists, HasValue;
    WCHAR Name[MOST], ValueName[MOST];
    ULONG Type, Length;
    UCHAR Data[MOST];
} KEY;

static KEY Key; /* at PASSIVE_LEVEL, by load and unload alone */

VOID CmBoot(VOID)
{
    memset(&Key, 0, sizeof(Key));
}

VOID SimSpoilRegistry(ULONG Type, ULONG Length)
{
    if (!Key.HasValue || Length > sizeof(Key.Data))
        SimStop("a test spoils what is not there");
    Key.Type = Type;
    Key.Length = Length;
    memset(Key.Data, 0xFF, Length);
}

static BOOLEAN IsName(const WCHAR *Name, const WCHAR *Other)
{
    while (*Name != 0 && *Name == *Other) {
        Name++;
        Other++;
    }
    return *Name == *Other;
}

static VOID SetName(WCHAR Name[MOST], const WCHAR *From)
{
    ULONG Index = 0;

    while (Index + 1 < MOST && From[Index] != 0) {
        Name[Index] = From[Index];
        Index++;
    }
    Name[Index] = 0;
}

static VOID CheckCall(ULONG RelativeTo)
{
    if (RelativeTo != RTL_REGISTRY_DEVICEMAP)
        SimStop("the registry is used where a simulation has none");
}

/* With a routine for the one value there is; without a value and a default there is nothing to call it for. */
NTSTATUS RtlQueryRegistryValues(ULONG RelativeTo, PCWSTR Path, PRTL_QUERY_REGISTRY_TABLE Table,
                                PVOID Context, PVOID Environment)
{
    UNREFERENCED_PARAMETER(Environment);
    SIM_CALL(PASSIVE_LEVEL);
    CheckCall(RelativeTo);
    if (Table[0].QueryRoutine == NULL || Table[0].Flags != 0 || Table[0].DefaultType != REG_NONE ||
        Table[1].QueryRoutine != NULL || Table[1].Name != NULL)
        SimStop("a query of the registry that the simulation does not know");
    if (SimShouldFail(__func__))
        return STATUS_INSUFFICIENT_RESOURCES;
    if (!Key.Exists || !IsName(Path, Key.Name))
        return STATUS_OBJECT_NAME_NOT_FOUND;
    if (!Key.HasValue || !IsName(Table[0].Name, Key.ValueName))
        return STATUS_SUCCESS;
    return Table[0].QueryRoutine(Key.ValueName, Key.Type, Key.Data, Key.Length, Context,
                                 Table[0].EntryContext);
}

NTSTATUS RtlCreateRegistryKey(ULONG RelativeTo, PWSTR Path)
{
    SIM_CALL(PASSIVE_LEVEL);
    CheckCall(RelativeTo);
    if (SimShouldFail(__func__))
        return STATUS_INSUFFICIENT_RESOURCES;
    SetName(Key.Name, Path);
    Key.Exists = TRUE;
    return STATUS_SUCCESS;
}

NTSTATUS RtlWriteRegistryValue(ULONG RelativeTo, PCWSTR Path, PCWSTR Name, ULONG Type, PVOID Data,
                               ULONG Length)
{
    SIM_CALL(PASSIVE_LEVEL);
    CheckCall(RelativeTo);
    if (!Key.Exists || !IsName(Path, Key.Name) || Length > sizeof(Key.Data))
        return STATUS_OBJECT_NAME_NOT_FOUND;
    if (SimShouldFail(__func__))
        return STATUS_INSUFFICIENT_RESOURCES;
    SetName(Key.ValueName, Name);
    Key.Type = Type;
    Key.Length = Length;
    memcpy(Key.Data, Data, Length);
    Key.HasValue = TRUE;
    return STATUS_SUCCESS;
}
