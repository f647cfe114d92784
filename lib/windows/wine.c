/* SPDX-License-Identifier: MIT */
/*
 * wine.c - asks for a function that Wine's ntdll exports and no other does. Any thread.
 */
#include "lib/windows/wine.h"

#include <windows.h>

int cm_on_wine(void)
{
    HMODULE ntdll = GetModuleHandleW(L"ntdll.dll");

    return ntdll != NULL && GetProcAddress(ntdll, "wine_get_version") != NULL;
}
