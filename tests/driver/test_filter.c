/* SPDX-License-Identifier: MIT */
/*
 * test_filter.c - what no I/O manager sends to a disk, but a careless filter or a file system above it: reads and
 * writes without memory, or with too little; lengths and offsets at every limit; no file; functions and codes that
 * the driver does not know; all of it at DISPATCH_LEVEL too, where NT allows it.
 */
#include <stdlib.h>

#include "rig.h"

#include <ntdddisk.h>

#include "tests/storage_rows.h"

#define DISK_SIZE MIB
#define MEMORY (64 * KIB)

typedef struct SCENE {
    RIG_SERVER Server;
    RIG_DISK Disk;
    SIM_FILE *File;
    SIM_MEMORY *Memory;
} SCENE;

static VOID Begin(SCENE *Scene, const struct cm_mount *Mount)
{
    Scene->Server = RigStartServer();
    Scene->Memory = SimAllocate(MEMORY);
    CHECK_EQ(RigMountOnly(Scene->Server.Control, Mount, &Scene->Disk), STATUS_SUCCESS);
    CHECK_EQ(RigGiveArena(&Scene->Disk), STATUS_SUCCESS);
    Scene->File = RigOpenDisk(Scene->Server.Process, &Scene->Disk);
    RigFill(Scene->Memory->Address, MEMORY, 1);
}

static VOID BeginDefault(SCENE *Scene)
{
    struct cm_mount Mount;

    RigMountDefaults(&Mount, DISK_SIZE);
    Begin(Scene, &Mount);
}

static VOID End(SCENE *Scene)
{
    CHECK(RigIsFilled(Scene->Memory->Address, MEMORY, 1));
    RigCheckSums(Scene->Server.Control, Scene->Disk.Id);
    SimClose(Scene->File);
    RigStopServer(&Scene->Server);
    RigForget(&Scene->Disk);
    SimFree(Scene->Memory);
}

/* Sent, answered at once, without the server, with nothing done. */
static VOID TryRequest(SCENE *Scene, const SIM_REQUEST *Request, NTSTATUS Expected)
{
    struct cm_stats Before, After;
    ULONG_PTR Done;
    NTSTATUS Status;

    CHECK_EQ(RigStats(Scene->Server.Control, Scene->Disk.Id, &Before), STATUS_SUCCESS);
    Status = SimFinish(SimSend(Scene->File, Request), &Done);
    if (Status != Expected || Done != 0)
        SimStop("function 0x%x, code 0x%x, offset %lld, length %u: 0x%x, %zu bytes; expected 0x%x",
                Request->Major, Request->Code, (long long)Request->Offset, Request->Length,
                (ULONG)Status, (size_t)Done, (ULONG)Expected);
    CHECK_EQ(RigStats(Scene->Server.Control, Scene->Disk.Id, &After), STATUS_SUCCESS);
    CHECK(memcmp(&Before, &After, sizeof(After)) == 0);
}

/* READ and WRITE, at both levels. */
static VOID TryBoth(SCENE *Scene, SIM_REQUEST Request, NTSTATUS Expected)
{
    ULONG Index;

    for (Index = 0; Index < 4; Index++) {
        Request.Major = Index % 2 == 0 ? IRP_MJ_READ : IRP_MJ_WRITE;
        Request.Irql = Index / 2 == 0 ? PASSIVE_LEVEL : DISPATCH_LEVEL;
        TryRequest(Scene, &Request, Expected);
    }
}

/* -- memory ------------------------------------------------------------------------------------ */

static VOID ReadsAndWritesWithoutEnoughMemoryAreRefused(VOID)
{
    SCENE Scene;
    ULONG Length;

    BeginDefault(&Scene);
    TryBoth(&Scene, (SIM_REQUEST){.Length = 4096}, STATUS_INVALID_PARAMETER);
    for (Length = 1; Length < 4096; Length = Length * 2 + 1)
        TryBoth(&Scene, (SIM_REQUEST){.Length = 4096, .Memory = Scene.Memory, .MdlLength = Length},
                STATUS_INVALID_PARAMETER);
    TryBoth(&Scene, (SIM_REQUEST){.Length = 64 * KIB, .Memory = Scene.Memory, .MdlLength = 65535},
            STATUS_INVALID_PARAMETER);
    End(&Scene);
}

/* An MDL may describe more than is asked for; the rest of it is not ours. */
static VOID MemoryBeyondTheLengthIsNotTouched(VOID)
{
    SIM_REQUEST Request = {.Major = IRP_MJ_READ, .Length = 512, .At = 100, .MdlLength = 9000};
    struct cm_request Got;
    SCENE Scene;
    SIM_IO *Io;

    BeginDefault(&Scene);
    Request.Memory = Scene.Memory;
    Io = SimSend(Scene.File, &Request);
    CHECK_EQ(RigFetch(&Scene.Disk, &Got, 1), 1);
    CHECK_EQ(Got.length, 512);
    memcpy(RigSlot(&Scene.Disk, Got.tag), Scene.Memory->Address + 100, 512);
    memset(RigSlot(&Scene.Disk, Got.tag) + 512, 0, 4096 - 512);
    CHECK_EQ(RigReply(&Scene.Disk, Got.tag, CM_STATUS_OK, 512), STATUS_SUCCESS);
    CHECK_EQ(SimFinish(Io, NULL), STATUS_SUCCESS);
    End(&Scene);
}

/* -- ranges ------------------------------------------------------------------------------------ */

static VOID NothingToDoIsDone(VOID)
{
    static const LONGLONG Offsets[] = {0, 1, DISK_SIZE, DISK_SIZE * 2, -1, INT64_MAX, INT64_MIN};
    SCENE Scene;
    ULONG Index;

    BeginDefault(&Scene);
    for (Index = 0; Index < RTL_NUMBER_OF(Offsets); Index++) {
        TryBoth(&Scene, (SIM_REQUEST){.Offset = Offsets[Index]}, STATUS_SUCCESS);
        TryBoth(&Scene,
                (SIM_REQUEST){.Offset = Offsets[Index], .Memory = Scene.Memory, .MdlLength = 512},
                STATUS_SUCCESS);
    }
    End(&Scene);
}

static VOID TryRange(SCENE *Scene, LONGLONG Offset, ULONG Length)
{
    TryBoth(Scene,
            (SIM_REQUEST){
                .Offset = Offset, .Length = Length, .Memory = Scene->Memory, .MdlLength = MEMORY},
            STATUS_INVALID_PARAMETER);
}

static VOID TryRangesOf(ULONG64 DiskSize, ULONG Sector)
{
    static const ULONG Lengths[] = {0x80000000u, 0xFFFFF000u, 0xFFFFFE00u, 0xFFFFFFFFu};
    LONGLONG Size = (LONGLONG)DiskSize;
    struct cm_mount Mount;
    SCENE Scene;
    ULONG Index;

    RigMountDefaults(&Mount, DiskSize);
    Mount.sector_size = Sector;
    Begin(&Scene, &Mount);
    TryRange(&Scene, -1, Sector);
    TryRange(&Scene, -(LONGLONG)Sector, Sector);
    TryRange(&Scene, -(LONGLONG)Sector, 2 * Sector);
    TryRange(&Scene, INT64_MIN, Sector);
    TryRange(&Scene, INT64_MAX, Sector);
    TryRange(&Scene, INT64_MAX - Sector + 1, Sector); /* the end is 2^63 */
    TryRange(&Scene, INT64_MAX - 8 * Sector + 1, 64 * KIB);
    TryRange(&Scene, Size, Sector);
    TryRange(&Scene, Size - Sector, 2 * Sector);
    TryRange(&Scene, Size + Sector, Sector);
    TryRange(&Scene, 1, Sector);
    TryRange(&Scene, Sector / 2, Sector);
    TryRange(&Scene, Sector - 1, Sector);
    TryRange(&Scene, 0, 1);
    TryRange(&Scene, 0, Sector - 1);
    TryRange(&Scene, 0, Sector + 1);
    TryRange(&Scene, 0, Sector / 2);
    for (Index = 0; Index < RTL_NUMBER_OF(Lengths); Index++) {
        TryRange(&Scene, 0, Lengths[Index]); /* too long for the disk, or for its MDL */
        TryRange(&Scene, Size - Sector, Lengths[Index]);
    }
    End(&Scene);
}

static VOID RangesThatAreNotOnTheDiskAreRefused(VOID)
{
    TryRangesOf(512, 512);
    TryRangesOf(4096, 4096);
    TryRangesOf(DISK_SIZE, 512);
    TryRangesOf(DISK_SIZE, 4096);
    TryRangesOf(UINT64_C(5) << 40, 512);
    TryRangesOf(CM_MAX_DISK_SIZE, 4096);
}

static VOID TheLastSectorIsOnTheDisk(VOID)
{
    struct cm_request Got;
    struct cm_mount Mount;
    SCENE Scene;
    SIM_IO *Io;

    RigMountDefaults(&Mount, CM_MAX_DISK_SIZE);
    Begin(&Scene, &Mount);
    Io = SimWrite(Scene.File, (LONGLONG)(CM_MAX_DISK_SIZE - 512), Scene.Memory, 0, 512);
    CHECK_EQ(RigFetch(&Scene.Disk, &Got, 1), 1);
    CHECK_EQ(Got.offset, CM_MAX_DISK_SIZE - 512);
    CHECK_EQ(RigReply(&Scene.Disk, Got.tag, CM_STATUS_OK, 512), STATUS_SUCCESS);
    CHECK_EQ(SimFinish(Io, NULL), STATUS_SUCCESS);
    End(&Scene);
}

static VOID WritesToAReadOnlyDiskAreRefused(VOID)
{
    SIM_REQUEST Request = {.Major = IRP_MJ_WRITE, .Length = 4096, .MdlLength = 4096};
    struct cm_mount Mount;
    SCENE Scene;

    RigMountDefaults(&Mount, DISK_SIZE);
    Mount.flags = CM_MOUNT_READ_ONLY;
    Begin(&Scene, &Mount);
    Request.Memory = Scene.Memory;
    TryRequest(&Scene, &Request, STATUS_MEDIA_WRITE_PROTECTED);
    Request.Offset = DISK_SIZE; /* bad ranges are bad first, as with the disk class driver */
    TryRequest(&Scene, &Request, STATUS_INVALID_PARAMETER);
    Request.Length = 0;
    TryRequest(&Scene, &Request, STATUS_SUCCESS);
    TryRequest(&Scene, &(SIM_REQUEST){.Major = IRP_MJ_FLUSH_BUFFERS}, STATUS_SUCCESS);
    TryRequest(&Scene, &(SIM_REQUEST){.Major = IRP_MJ_SHUTDOWN}, STATUS_SUCCESS);
    End(&Scene);
}

/* -- no file, other levels --------------------------------------------------------------------- */

static VOID Serve(SCENE *Scene, SIM_IO *Io, ULONG Op, ULONG Length)
{
    struct cm_request Got;

    CHECK_EQ(RigFetch(&Scene->Disk, &Got, 1), 1);
    CHECK_EQ(Got.op, Op);
    CHECK_EQ(Got.length, Length);
    if (Op == CM_OP_READ)
        memcpy(RigSlot(&Scene->Disk, Got.tag), Scene->Memory->Address, Length);
    CHECK_EQ(RigReply(&Scene->Disk, Got.tag, CM_STATUS_OK, Length), STATUS_SUCCESS);
    CHECK_EQ(SimFinish(Io, NULL), STATUS_SUCCESS);
}

/* File systems send their own requests so. */
static VOID RequestsWithoutAFileAreServed(VOID)
{
    static const UCHAR Majors[] = {IRP_MJ_READ, IRP_MJ_WRITE, IRP_MJ_FLUSH_BUFFERS,
                                   IRP_MJ_SHUTDOWN};
    static const ULONG Ops[] = {CM_OP_READ, CM_OP_WRITE, CM_OP_FLUSH, CM_OP_FLUSH};
    SCENE Scene;
    ULONG Index, Irql;

    BeginDefault(&Scene);
    for (Index = 0; Index < 4; Index++) {
        for (Irql = PASSIVE_LEVEL; Irql <= DISPATCH_LEVEL; Irql++) {
            SIM_REQUEST Request = {.Major = Majors[Index], .NoFile = TRUE, .Irql = (KIRQL)Irql};
            if (Index < 2) {
                Request.Memory = Scene.Memory;
                Request.Length = Request.MdlLength = 512;
            }
            Serve(&Scene, SimSend(Scene.File, &Request), Ops[Index], Request.Length);
        }
    }
    End(&Scene);
}

static VOID OtherRequestsWithoutAFileDoNoHarm(VOID)
{
    SIM_REQUEST Request = {.Major = IRP_MJ_DEVICE_CONTROL, .NoFile = TRUE};
    ULONG_PTR Done;
    UCHAR Out[32];
    SCENE Scene;

    BeginDefault(&Scene);
    CHECK_EQ(SimFinish(SimSend(Scene.File, &(SIM_REQUEST){.Major = IRP_MJ_CREATE, .NoFile = TRUE}),
                       &Done),
             STATUS_SUCCESS);
    CHECK_EQ(Done, FILE_OPENED);
    TryRequest(&Scene, &(SIM_REQUEST){.Major = IRP_MJ_CLEANUP, .NoFile = TRUE}, STATUS_SUCCESS);
    TryRequest(&Scene, &(SIM_REQUEST){.Major = IRP_MJ_CLOSE, .NoFile = TRUE}, STATUS_SUCCESS);
    Request.Code = IOCTL_DISK_GET_LENGTH_INFO;
    Request.Out = Out;
    Request.OutLength = 8;
    CHECK_EQ(SimFinish(SimSend(Scene.File, &Request), &Done), STATUS_SUCCESS);
    CHECK_EQ(Done, 8);

    /* The control device belongs to its handles; without one there is nothing to ask. */
    Request.Code = CM_IOCTL_VERSION;
    Request.OutLength = sizeof(Out);
    CHECK_EQ(SimFinish(SimSend(Scene.Server.Control, &Request), &Done), STATUS_INVALID_HANDLE);
    CHECK_EQ(Done, 0);
    Request = (SIM_REQUEST){.Major = IRP_MJ_CREATE, .NoFile = TRUE};
    CHECK_EQ(SimFinish(SimSend(Scene.Server.Control, &Request), NULL),
             STATUS_OBJECT_NAME_NOT_FOUND);
    Request.Major = IRP_MJ_CLEANUP;
    CHECK_EQ(SimFinish(SimSend(Scene.Server.Control, &Request), NULL), STATUS_SUCCESS);
    Request.Major = IRP_MJ_CLOSE;
    CHECK_EQ(SimFinish(SimSend(Scene.Server.Control, &Request), NULL), STATUS_SUCCESS);
    End(&Scene);
}

/* -- functions and codes ----------------------------------------------------------------------- */

static BOOLEAN DiskKnows(ULONG Major)
{
    return Major == IRP_MJ_CREATE || Major == IRP_MJ_CLEANUP || Major == IRP_MJ_CLOSE ||
           Major == IRP_MJ_READ || Major == IRP_MJ_WRITE || Major == IRP_MJ_FLUSH_BUFFERS ||
           Major == IRP_MJ_SHUTDOWN || Major == IRP_MJ_DEVICE_CONTROL;
}

static BOOLEAN ControlKnows(ULONG Major)
{
    return Major == IRP_MJ_CREATE || Major == IRP_MJ_CLEANUP || Major == IRP_MJ_CLOSE ||
           Major == IRP_MJ_DEVICE_CONTROL;
}

static VOID FunctionsThatThereAreNotAreRefused(VOID)
{
    ULONG Major, Irql;
    ULONG_PTR Done;
    SCENE Scene;

    BeginDefault(&Scene);
    for (Major = 0; Major <= IRP_MJ_MAXIMUM_FUNCTION; Major++) {
        for (Irql = PASSIVE_LEVEL; Irql <= DISPATCH_LEVEL; Irql++) {
            SIM_REQUEST Request = {.Major = (UCHAR)Major, .Irql = (KIRQL)Irql, .NoFile = Irql != 0};
            if (!DiskKnows(Major))
                TryRequest(&Scene, &Request, STATUS_INVALID_DEVICE_REQUEST);
            if (ControlKnows(Major))
                continue;
            Request.Memory = Scene.Memory; /* the control device takes no data in any form */
            Request.Length = Request.MdlLength = 512;
            CHECK_EQ(SimFinish(SimSend(Scene.Server.Control, &Request), &Done),
                     STATUS_INVALID_DEVICE_REQUEST);
            CHECK_EQ(Done, 0);
        }
    }
    End(&Scene);
}

/* With something to read and to write, or with nothing at all. */
static VOID TryCode(SCENE *Scene, ULONG Code, BOOLEAN WithBuffers)
{
    UCHAR In[64] = {0}, Out[64];
    ULONG Index, Length = WithBuffers ? sizeof(Out) : 0;
    ULONG_PTR Done;
    NTSTATUS Status;

    memset(Out, 0x5A, sizeof(Out));
    Status = RigIoctl(Scene->File, Code, In, Length, Out, Length, &Done);
    if (Status != STATUS_INVALID_DEVICE_REQUEST || Done != 0)
        SimStop("the unknown code 0x%x is answered with 0x%x", Code, (ULONG)Status);
    for (Index = 0; Index < sizeof(Out); Index++)
        CHECK_EQ(Out[Index], 0x5A);
}

/* Every function below 0x600 of disks, storage, volumes and file systems, with an access and a method of its
 * own each; FSCTL_DISMOUNT_VOLUME and its like among them; ours; and some of anything. */
static VOID CodesThatADiskDoesNotKnowAreRefused(VOID)
{
    static const ULONG Types[] = {FILE_DEVICE_DISK, FILE_DEVICE_MASS_STORAGE,
                                  FILE_DEVICE_FILE_SYSTEM, 0x56, 0x4D};
    ULONG Type, Function, Index;
    struct cm_stats Stats;
    SCENE Scene;

    BeginDefault(&Scene);
    for (Type = 0; Type < RTL_NUMBER_OF(Types); Type++) {
        for (Function = 0; Function < 0x600; Function += Function < 0x40 ? 1 : 64) {
            for (Index = 0; Index < 16; Index += Function < 0x40 ? 1 : 5) {
                ULONG Code = CTL_CODE(Types[Type], Function, Index & 3, Index >> 2);
                if (!storage_is_known(Code))
                    TryCode(&Scene, Code, (Function + Index) % 2 == 0);
            }
        }
    }
    for (Function = 0x800; Function < 0x80C; Function++)
        TryCode(&Scene, CM_CTL_CODE(Function, CM_METHOD_BUFFERED), TRUE);
    TryCode(&Scene, CM_IOCTL_ARENA_LEND, TRUE);
    TryCode(&Scene, FSCTL_DISMOUNT_VOLUME, FALSE);
    for (Index = 0; Index < 300; Index++) {
        ULONG Code = (ULONG)SimRandom();
        if (!storage_is_known(Code))
            TryCode(&Scene, Code, TRUE);
    }
    CHECK_EQ(RigStats(Scene.Server.Control, Scene.Disk.Id, &Stats), STATUS_SUCCESS);
    CHECK_EQ(Stats.requests, 0);
    End(&Scene);
}

static const RIG_TEST Tests[] = {
    RIG_TEST(ReadsAndWritesWithoutEnoughMemoryAreRefused, 1),
    RIG_TEST(MemoryBeyondTheLengthIsNotTouched, 1),
    RIG_TEST(NothingToDoIsDone, 1),
    RIG_TEST(RangesThatAreNotOnTheDiskAreRefused, 1),
    RIG_TEST(TheLastSectorIsOnTheDisk, 1),
    RIG_TEST(WritesToAReadOnlyDiskAreRefused, 1),
    RIG_TEST(RequestsWithoutAFileAreServed, 1),
    RIG_TEST(OtherRequestsWithoutAFileDoNoHarm, 1),
    RIG_TEST(FunctionsThatThereAreNotAreRefused, 1),
    RIG_TEST(CodesThatADiskDoesNotKnowAreRefused, 1),
};

int main(int Count, char **Arguments)
{
    return RigMain(Count, Arguments, Tests, RTL_NUMBER_OF(Tests));
}
