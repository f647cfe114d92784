/* SPDX-License-Identifier: MIT */
/* rtl.c - strings, versions and copying. Callers' buffers are checked by the address sanitizer. */
#include "internal.h"

NTSTATUS RtlGetVersion(PRTL_OSVERSIONINFOW Version)
{
    SIM_CALL(PASSIVE_LEVEL);
    if (Version->dwOSVersionInfoSize != sizeof(*Version))
        return STATUS_INVALID_PARAMETER;
    Version->dwMajorVersion = Machine.Options.WindowsVersion >> 8;
    Version->dwMinorVersion = Machine.Options.WindowsVersion & 0xFF;
    return STATUS_SUCCESS;
}

/* In two halves with a point in between: others change memory while it is copied. */
VOID SimCopyMemory(PVOID To, const VOID *From, SIZE_T Length)
{
    SIZE_T Half = Length / 2;

    COUNT(Copies);
    SimPoint();
    memcpy(To, From, Half);
    SimPoint();
    memcpy((PUCHAR)To + Half, (const UCHAR *)From + Half, Length - Half);
}

SIZE_T RtlCompareMemory(const VOID *A, const VOID *B, SIZE_T Length)
{
    SIZE_T Index = 0;

    while (Index < Length && ((const UCHAR *)A)[Index] == ((const UCHAR *)B)[Index])
        Index++;
    return Index;
}

static USHORT BytesOf(PCWSTR Text)
{
    USHORT Units = 0;

    while (Text[Units] != 0)
        Units++;
    return (USHORT)(Units * sizeof(WCHAR));
}

VOID RtlInitUnicodeString(PUNICODE_STRING String, PCWSTR Text)
{
    String->Buffer = (PWSTR)Text;
    String->Length = BytesOf(Text);
    String->MaximumLength = (USHORT)(String->Length + sizeof(WCHAR));
}

static NTSTATUS Append(PUNICODE_STRING String, PCWSTR Text, USHORT Bytes)
{
    SIM_CALL(PASSIVE_LEVEL);
    if (Bytes > String->MaximumLength - String->Length)
        return STATUS_BUFFER_TOO_SMALL;
    memcpy((PUCHAR)String->Buffer + String->Length, Text, Bytes);
    String->Length = (USHORT)(String->Length + Bytes);
    if (String->Length < String->MaximumLength)
        String->Buffer[String->Length / sizeof(WCHAR)] = 0;
    return STATUS_SUCCESS;
}

NTSTATUS RtlAppendUnicodeToString(PUNICODE_STRING String, PCWSTR Text)
{
    return Append(String, Text, BytesOf(Text));
}

NTSTATUS RtlAppendUnicodeStringToString(PUNICODE_STRING String, const UNICODE_STRING *Text)
{
    return Append(String, Text->Buffer, Text->Length);
}

NTSTATUS RtlIntegerToUnicodeString(ULONG Value, ULONG Base, PUNICODE_STRING String)
{
    WCHAR Digits[33];
    USHORT Count = 0, Index;

    SIM_CALL(PASSIVE_LEVEL);
    do {
        Digits[Count++] = (WCHAR)("0123456789ABCDEF"[Value % Base]);
        Value /= Base;
    } while (Value != 0);
    String->Length = 0;
    if (Count * sizeof(WCHAR) >= String->MaximumLength)
        return STATUS_BUFFER_OVERFLOW;
    for (Index = 0; Index < Count; Index++)
        String->Buffer[Index] = Digits[Count - 1 - Index];
    String->Buffer[Count] = 0;
    String->Length = (USHORT)(Count * sizeof(WCHAR));
    return STATUS_SUCCESS;
}
