/* SPDX-License-Identifier: MIT */
/*
 * test_versions.c - what the driver asks of each version of Windows: from 6.2 (Windows 8) on,
 * pool and a mapping of the arena that are not executable; never the new kinds on older systems, which do not know
 * them. The linker puts the two functions here between the driver and the kernel (CMakeLists.txt: --wrap).
 */
#include <stdlib.h>

#include "rig.h"

#define POOL_NX 512
#define NO_EXECUTE 0x40000000u

PVOID __real_ExAllocatePoolWithTag(POOL_TYPE Type, SIZE_T Size, ULONG Tag);
PVOID __wrap_ExAllocatePoolWithTag(POOL_TYPE Type, SIZE_T Size, ULONG Tag);
PVOID __real_MmGetSystemAddressForMdlSafe(PMDL Mdl, ULONG Priority);
PVOID __wrap_MmGetSystemAddressForMdlSafe(PMDL Mdl, ULONG Priority);

static BOOLEAN volatile Watching;
static BOOLEAN IsNew; /* of the system that runs: while Watching */
static ULONG volatile Allocations, Mappings;

PVOID __wrap_ExAllocatePoolWithTag(POOL_TYPE Type, SIZE_T Size, ULONG Tag)
{
    __atomic_add_fetch(&Allocations, 1, __ATOMIC_SEQ_CST);
    if (Watching)
        CHECK_EQ(Type, IsNew ? POOL_NX : NonPagedPool);
    return __real_ExAllocatePoolWithTag(Type, Size, Tag);
}

/* A mapping is made by the first of its callers, and only then does it matter what kind is asked for. */
PVOID __wrap_MmGetSystemAddressForMdlSafe(PMDL Mdl, ULONG Priority)
{
    if (Watching && !Mdl->Mapped) {
        __atomic_add_fetch(&Mappings, 1, __ATOMIC_SEQ_CST);
        CHECK_EQ(Priority & 0xFFFF, NormalPagePriority);
        CHECK_EQ(Priority & ~0xFFFFu, IsNew ? NO_EXECUTE : 0);
    }
    return __real_MmGetSystemAddressForMdlSafe(Mdl, Priority);
}

/* Mount, write, read. */
static VOID UseADisk(BOOLEAN New)
{
    PUCHAR Image = calloc(1, MIB);
    RIG_SERVICE Service = {.Image = Image, .Batch = 4};
    SIM_MEMORY *Memory = SimAllocate(32 * KIB);
    SIM_THREAD *Thread;
    RIG_SERVER Server;
    RIG_DISK Disk;
    SIM_FILE *File;

    RigUnloadNow(); /* what it did before we knew what to expect does not count */
    IsNew = New;
    Allocations = Mappings = 0;
    Watching = TRUE;
    CHECK_EQ(SimLoadDriver(), STATUS_SUCCESS);
    Server = RigStartServer();
    RigMount(&Server, MIB, &Disk);
    Service.Disk = &Disk;
    Thread = SimSpawn("server", RigServe, &Service);
    File = RigOpenDisk(Server.Process, &Disk);
    CHECK_EQ(SimFinish(SimWrite(File, 0, Memory, 0, 16 * KIB), NULL), STATUS_SUCCESS);
    CHECK_EQ(SimFinish(SimRead(File, 0, Memory, 16 * KIB, 16 * KIB), NULL), STATUS_SUCCESS);
    SimClose(File);
    CHECK_EQ(RigUnmount(Server.Control, Disk.Id, 0), STATUS_SUCCESS);
    SimJoin(Thread);
    RigForget(&Disk);
    RigStopServer(&Server);
    SimFree(Memory);
    free(Image);
    Watching = FALSE;
    CHECK(Allocations >= 3); /* server, slots, arena */
    CHECK_EQ(Mappings, SimIsWine() ? 2 : 3);
    RigUnloadNow();
}

static VOID OldWindowsIsAskedForWhatItKnows(VOID)
{
    UseADisk(FALSE);
}

static VOID NewWindowsIsAskedForMemoryThatIsNotExecutable(VOID)
{
    UseADisk(TRUE);
}

static const RIG_TEST Tests[] = {
    RIG_TEST_ON(NULL, 0x501, OldWindowsIsAskedForWhatItKnows, 1),
    RIG_TEST_ON(NULL, 0x502, OldWindowsIsAskedForWhatItKnows, 1),
    RIG_TEST_ON(NULL, 0x600, OldWindowsIsAskedForWhatItKnows, 1),
    RIG_TEST_ON(NULL, 0x601, OldWindowsIsAskedForWhatItKnows, 1),
    RIG_TEST_ON(NULL, 0x602, NewWindowsIsAskedForMemoryThatIsNotExecutable, 1),
    RIG_TEST_ON(NULL, 0x603, NewWindowsIsAskedForMemoryThatIsNotExecutable, 1),
    RIG_TEST_ON(NULL, 0xA00, NewWindowsIsAskedForMemoryThatIsNotExecutable, 1),
};

int main(int Count, char **Arguments)
{
    return RigMain(Count, Arguments, Tests, RTL_NUMBER_OF(Tests));
}
