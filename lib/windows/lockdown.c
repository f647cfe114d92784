/* SPDX-License-Identifier: MIT */
/*
 * lockdown.c - locks the memory of a process that serves a disk.
 *
 * Called by disk.c on the thread that mounts.
 *
 * When memory is short, Windows writes modified pages to where they belong. If that is our disk,
 * the write comes to us, and what we touch to serve it must not have to be brought into memory
 * first, for which there may be no page. So these stay in memory:
 *
 *   - the code and data of the module that this file is in (coremnt.exe, coremnt.dll or a program
 *     that the library is linked to), of the program itself, and of the system's modules that lie
 *     between us and the kernel;
 *   - all private memory in use: the stacks of the pool, the heap with the requests of the
 *     transport, the buffers of images, the arena. Pieces larger than LARGEST are left out: they
 *     are the content of images in memory, or the business of the program that we are a part of.
 *
 * The largest part of it is touched while a disk is served anyway; what this costs is in
 * docs/deadlocks.md. A process may lock less than its least working set, so that is raised first.
 */
#include "lib/windows/lockdown.h"

#include <string.h>
#include <windows.h>

#include "lib/windows/host.h"

#define LARGEST ((SIZE_T)16 << 20) /* bytes of one region */
#define MOST ((SIZE_T)128 << 20)   /* bytes of all */
#define SLACK ((SIZE_T)4 << 20)    /* bytes that the process may use besides */

/* What is done to each region. */
typedef void region_visitor(const MEMORY_BASIC_INFORMATION *region, struct cm_lockdown *result);

static const wchar_t *const system_modules[] = {L"ntdll.dll", L"kernel32.dll", L"kernelbase.dll",
                                                L"msvcrt.dll"};

#define MODULES (sizeof(system_modules) / sizeof(system_modules[0]) + 2u)

static unsigned find_modules(HMODULE modules[MODULES])
{
    unsigned count = 0;

    modules[count++] = GetModuleHandleW(NULL);
    if (GetModuleHandleExW(GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS |
                               GET_MODULE_HANDLE_EX_FLAG_UNCHANGED_REFCOUNT,
                           (const wchar_t *)(const void *)system_modules, &modules[count]))
        count++;
    for (unsigned i = 0; i < sizeof(system_modules) / sizeof(system_modules[0]); i++) {
        modules[count] = GetModuleHandleW(system_modules[i]);
        if (modules[count] != NULL) /* kernelbase is younger than Windows XP */
            count++;
    }
    return count;
}

static int is_wanted(const MEMORY_BASIC_INFORMATION *region, const HMODULE *modules, unsigned count)
{
    if (region->State != MEM_COMMIT || region->Protect == 0 || region->RegionSize > LARGEST ||
        (region->Protect & (PAGE_NOACCESS | PAGE_GUARD)) != 0)
        return 0;
    if (region->Type == MEM_PRIVATE)
        return 1;
    for (unsigned i = 0; i < count; i++)
        if (region->AllocationBase == (void *)modules[i])
            return 1;
    return 0;
}

/* All of the address space, from below; it may change meanwhile, and what is missed by that is
 * not yet part of any disk. */
static void visit(region_visitor *visitor, struct cm_lockdown *result)
{
    MEMORY_BASIC_INFORMATION region;
    HMODULE modules[MODULES];
    unsigned count = find_modules(modules);
    char *at = NULL;

    while (VirtualQuery(at, &region, sizeof(region)) == sizeof(region)) {
        char *next = (char *)region.BaseAddress + region.RegionSize;

        if (is_wanted(&region, modules, count))
            visitor(&region, result);
        if (next <= at)
            break;
        at = next;
    }
}

static void count_region(const MEMORY_BASIC_INFORMATION *region, struct cm_lockdown *result)
{
    result->wanted += region->RegionSize;
}

static void lock_region(const MEMORY_BASIC_INFORMATION *region, struct cm_lockdown *result)
{
    if (result->locked + region->RegionSize > MOST ||
        !VirtualLock(region->BaseAddress, region->RegionSize))
        result->regions++;
    else
        result->locked += region->RegionSize;
}

/* Never less than it is: another disk of this process may have raised it further. */
static void raise_working_set(uint64_t wanted)
{
    SIZE_T least, most;
    SIZE_T needed = (wanted < MOST ? (SIZE_T)wanted : MOST) + SLACK;

    if (!GetProcessWorkingSetSize(GetCurrentProcess(), &least, &most) || least >= needed)
        return;
    if (most < needed + SLACK)
        most = needed + SLACK;
    (void)SetProcessWorkingSetSize(GetCurrentProcess(), needed, most); /* locking shows it */
}

void cm_lockdown(struct cm_lockdown *result)
{
    struct cm_lockdown own;

    memset(&own, 0, sizeof(own));
    visit(count_region, &own);
    raise_working_set(own.wanted);
    /* ReactOS 0.4.15 waits for itself when VirtualLock meets a page that is not in memory, and does not unlock when a
     * process ends (MiLockVirtualMemory, MiSegmentDelete). There the larger working set has to do. */
    if (!cm_on_reactos())
        visit(lock_region, &own);
    if (result != NULL)
        *result = own;
}
