/* SPDX-License-Identifier: MIT */
/*
 * host.c - which system this is. Any thread.
 */
#include "lib/windows/host.h"

#include <wchar.h>
#include <windows.h>

/* By a function that Wine's ntdll exports and no other does. */
int cm_on_wine(void)
{
    HMODULE ntdll = GetModuleHandleW(L"ntdll.dll");

    return ntdll != NULL && GetProcAddress(ntdll, "wine_get_version") != NULL;
}

/* It calls itself Windows Server 2003 wherever a program asks for a version, but not here. */
int cm_on_reactos(void)
{
    wchar_t name[32] = L"";
    DWORD size = sizeof(name) - sizeof(wchar_t);
    DWORD type;
    HKEY key;

    if (RegOpenKeyExW(HKEY_LOCAL_MACHINE, L"SOFTWARE\\Microsoft\\Windows NT\\CurrentVersion", 0,
                      KEY_QUERY_VALUE, &key) != ERROR_SUCCESS)
        return 0;
    if (RegQueryValueExW(key, L"ProductName", NULL, &type, (BYTE *)name, &size) != ERROR_SUCCESS)
        name[0] = L'\0';
    RegCloseKey(key);
    return wcscmp(name, L"ReactOS") == 0;
}
