/* SPDX-License-Identifier: MIT */
/*
 * system.c - the clock, sleeping, pages and the system's words for its errors, on Windows.
 *
 * Called from any thread. The clock is hot: every request may be timed.
 */
#include <stdio.h>
#include <string.h>
#include <windows.h>

#include "lib/core/os.h"
#include "lib/windows/wide.h"

#include <coremnt/error.h>

#define NS_PER_S 1000000000u
#define TEXT_UNITS 512u

/* Neither call fails since Windows XP. The frequency never changes, but asking for it is cheaper
 * than a lock around our own copy, which 32-bit code cannot read in one go. */
uint64_t cm_os_now_ns(void)
{
    LARGE_INTEGER count, frequency;
    uint64_t ticks, rate;

    QueryPerformanceFrequency(&frequency);
    QueryPerformanceCounter(&count);
    ticks = (uint64_t)count.QuadPart;
    rate = (uint64_t)frequency.QuadPart;
    /* Whole seconds apart: ticks times 10^9 overflows after half an hour at 10 MHz. */
    return ticks / rate * NS_PER_S + ticks % rate * NS_PER_S / rate;
}

void cm_os_sleep_ms(uint32_t milliseconds)
{
    /* The longest sleep must not turn into one without end. */
    Sleep(milliseconds == INFINITE ? INFINITE - 1 : milliseconds);
}

/* RtlGenRandom(), by the name under which every Windows since XP exports it. */
BOOLEAN NTAPI SystemFunction036(PVOID buffer, ULONG length);

int cm_os_random(void *bytes, size_t size)
{
    return SystemFunction036(bytes, (ULONG)size) ? 0 : CM_EIO;
}

void *cm_os_pages_alloc(size_t size)
{
    return VirtualAlloc(NULL, size, MEM_RESERVE | MEM_COMMIT, PAGE_READWRITE);
}

void cm_os_pages_free(void *pages, size_t size)
{
    (void)size; /* VirtualFree releases what was reserved together, and insists on 0 here */
    if (pages != NULL)
        VirtualFree(pages, 0, MEM_RELEASE);
}

/* Off with the line's end and the period: the sentence goes on, or has one of its own. */
static void trim(wchar_t *text, DWORD units)
{
    while (units > 0 && wcschr(L" \r\n.", text[units - 1]) != NULL)
        units--;
    text[units] = L'\0';
}

/* Into a buffer that may be too small: cut, but not in the middle of a character. */
static void copy_cut(const char *from, char *text, size_t text_size)
{
    size_t length = strlen(from);

    if (length >= text_size) {
        length = text_size - 1;
        while (length > 0 && ((unsigned char)from[length] & 0xC0u) == 0x80u)
            length--;
    }
    memcpy(text, from, length);
    text[length] = '\0';
}

void cm_os_error_text(uint32_t system_error, char *text, size_t text_size)
{
    wchar_t wide[TEXT_UNITS];
    char utf8[3 * TEXT_UNITS]; /* at most 3 bytes for a unit */
    DWORD units;

    if (text_size == 0)
        return;
    /* No inserts, for which we have no arguments; MAX_WIDTH_MASK: no line breaks inside. */
    units = FormatMessageW(FORMAT_MESSAGE_FROM_SYSTEM | FORMAT_MESSAGE_IGNORE_INSERTS |
                               FORMAT_MESSAGE_MAX_WIDTH_MASK,
                           NULL, system_error, 0, wide, TEXT_UNITS, NULL);
    trim(wide, units);
    cm_wide_to_utf8(wide, utf8, sizeof(utf8));
    if (utf8[0] == '\0')
        snprintf(utf8, sizeof(utf8), "Windows error %lu", (unsigned long)system_error);
    copy_cut(utf8, text, text_size);
}
