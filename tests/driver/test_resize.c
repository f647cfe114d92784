/* SPDX-License-Identifier: MIT */
/*
 * test_resize.c - disks of another size (CM_IOCTL_RESIZE): who is asked, when the new size counts, what a
 * smaller one needs, and what is left when the server refuses, is slow, or dies with it.
 */
#include <stdlib.h>

#include "rig.h"

#include <ntdddisk.h>

#define BEFORE (64ull * KIB)
#define LARGER (128ull * KIB)
#define SMALLER (32ull * KIB)

typedef struct SCENE {
    RIG_SERVER Server;
    SIM_PROCESS *Client;
    RIG_DISK Disk;
} SCENE;

static VOID BeginWith(SCENE *Scene, const struct cm_mount *Mount)
{
    Scene->Server = RigStartServer();
    Scene->Client = SimCreateProcess(TRUE);
    CHECK_EQ(RigMountOnly(Scene->Server.Control, Mount, &Scene->Disk), STATUS_SUCCESS);
    CHECK_EQ(RigGiveArena(&Scene->Disk), STATUS_SUCCESS);
}

static VOID MountToResize(struct cm_mount *Mount)
{
    RigMountDefaults(Mount, BEFORE);
    Mount->flags |= CM_MOUNT_RESIZE;
}

static VOID Begin(SCENE *Scene)
{
    struct cm_mount Mount;

    MountToResize(&Mount);
    BeginWith(Scene, &Mount);
}

/* A RESIZE is counted, but as no read, write, flush or trim: so not RigCheckSums. */
static VOID CheckSums(SCENE *Scene)
{
    struct cm_stats S;

    CHECK_EQ(RigStats(Scene->Server.Control, Scene->Disk.Id, &S), STATUS_SUCCESS);
    CHECK_EQ(S.requests, S.completed + S.failed + S.cancelled + S.waiting + S.in_flight);
}

static VOID End(SCENE *Scene)
{
    CheckSums(Scene);
    CHECK_EQ(RigUnmount(Scene->Server.Control, Scene->Disk.Id, CM_UNMOUNT_FORCE), STATUS_SUCCESS);
    RigForget(&Scene->Disk);
    SimEndProcess(Scene->Client);
    RigStopServer(&Scene->Server);
}

static SIM_IO *StartResize(SCENE *Scene, struct cm_resize *Resize, ULONG64 Size)
{
    *Resize = (struct cm_resize){.disk_id = Scene->Disk.Id, .size = Size};
    return SimIoctl(Scene->Server.Control, CM_IOCTL_RESIZE, Resize, sizeof(*Resize), NULL, 0);
}

static NTSTATUS Resize(SCENE *Scene, ULONG64 Size)
{
    struct cm_resize In;

    return SimFinish(StartResize(Scene, &In, Size), NULL);
}

/* What the system is told. */
static ULONG64 SizeOf(SCENE *Scene)
{
    SIM_FILE *File = RigOpenDisk(Scene->Client, &Scene->Disk);
    GET_LENGTH_INFORMATION Length;

    CHECK_EQ(RigIoctl(File, IOCTL_DISK_GET_LENGTH_INFO, NULL, 0, &Length, sizeof(Length), NULL),
             STATUS_SUCCESS);
    SimClose(File);
    return (ULONG64)Length.Length.QuadPart;
}

/* The request that the server gets of it. */
static struct cm_request FetchResize(SCENE *Scene, ULONG64 Size)
{
    struct cm_request Request;

    CHECK_EQ(RigFetch(&Scene->Disk, &Request, 1), 1);
    CHECK_EQ(Request.op, CM_OP_RESIZE);
    CHECK_EQ(Request.offset, Size);
    CHECK_EQ(Request.length, 0);
    CHECK_EQ(Request.flags, 0);
    return Request;
}

static VOID ALargerSizeCountsOnceTheServerHasIt(VOID)
{
    struct cm_resize In;
    struct cm_request Request;
    SCENE Scene;
    SIM_IO *Io;

    Begin(&Scene);
    Io = StartResize(&Scene, &In, LARGER);
    Request = FetchResize(&Scene, LARGER);
    CHECK(!SimIsDone(Io));
    CHECK_EQ(SizeOf(&Scene), BEFORE);
    CHECK_EQ(RigReply(&Scene.Disk, Request.tag, CM_STATUS_OK, 0), STATUS_SUCCESS);
    CHECK_EQ(SimFinish(Io, NULL), STATUS_SUCCESS);
    CHECK_EQ(SizeOf(&Scene), LARGER);
    End(&Scene);
}

static VOID WhatIsNewCanBeRead(VOID)
{
    SIM_MEMORY *Memory = SimAllocate(4096);
    struct cm_resize In;
    struct cm_request Request;
    SIM_FILE *File;
    SCENE Scene;
    SIM_IO *Io;

    Begin(&Scene);
    File = RigOpenDisk(Scene.Client, &Scene.Disk);
    CHECK_EQ(SimFinish(SimRead(File, LARGER - 512, Memory, 0, 512), NULL),
             STATUS_INVALID_PARAMETER);
    Io = StartResize(&Scene, &In, LARGER);
    Request = FetchResize(&Scene, LARGER);
    CHECK_EQ(RigReply(&Scene.Disk, Request.tag, CM_STATUS_OK, 0), STATUS_SUCCESS);
    CHECK_EQ(SimFinish(Io, NULL), STATUS_SUCCESS);
    Io = SimRead(File, LARGER - 512, Memory, 0, 512);
    CHECK_EQ(RigFetch(&Scene.Disk, &Request, 1), 1);
    CHECK_EQ(Request.offset, LARGER - 512);
    CHECK_EQ(RigReply(&Scene.Disk, Request.tag, CM_STATUS_OK, 512), STATUS_SUCCESS);
    CHECK_EQ(SimFinish(Io, NULL), STATUS_SUCCESS);
    SimClose(File);
    SimFree(Memory);
    End(&Scene);
}

static VOID AServerMayRefuse(VOID)
{
    struct cm_resize In;
    struct cm_request Request;
    SCENE Scene;
    SIM_IO *Io;

    Begin(&Scene);
    Io = StartResize(&Scene, &In, LARGER);
    Request = FetchResize(&Scene, LARGER);
    CHECK_EQ(RigReply(&Scene.Disk, Request.tag, CM_STATUS_NO_SPACE, 0), STATUS_SUCCESS);
    CHECK_EQ(SimFinish(Io, NULL), STATUS_DISK_FULL);
    CHECK_EQ(SizeOf(&Scene), BEFORE);
    Io = StartResize(&Scene, &In, SMALLER);
    Request = FetchResize(&Scene, SMALLER);
    CHECK_EQ(SizeOf(&Scene), SMALLER); /* refused to all else from the beginning */
    CHECK_EQ(RigReply(&Scene.Disk, Request.tag, CM_STATUS_NOT_SUPPORTED, 0), STATUS_SUCCESS);
    CHECK_EQ(SimFinish(Io, NULL), STATUS_NOT_SUPPORTED);
    CHECK_EQ(SizeOf(&Scene), BEFORE);
    End(&Scene);
}

static VOID ABadReplyToItIsRefused(VOID)
{
    struct cm_resize In;
    struct cm_request Request;
    SCENE Scene;
    SIM_IO *Io;

    Begin(&Scene);
    Io = StartResize(&Scene, &In, LARGER);
    Request = FetchResize(&Scene, LARGER);
    CHECK_EQ(RigReply(&Scene.Disk, Request.tag, CM_STATUS_OK, 512), STATUS_REQUEST_ABORTED);
    CHECK_EQ(RigReply(&Scene.Disk, Request.tag, CM_STATUS_COUNT, 0), STATUS_REQUEST_ABORTED);
    CHECK_EQ(SizeOf(&Scene), BEFORE);
    CHECK_EQ(RigReply(&Scene.Disk, Request.tag, CM_STATUS_OK, 0), STATUS_SUCCESS);
    CHECK_EQ(RigReply(&Scene.Disk, Request.tag, CM_STATUS_IO_ERROR, 0), STATUS_REQUEST_ABORTED);
    CHECK_EQ(SimFinish(Io, NULL), STATUS_SUCCESS);
    CHECK_EQ(SizeOf(&Scene), LARGER);
    End(&Scene);
}

static VOID SizesThatNoDiskCanHaveAreRefused(VOID)
{
    static const ULONG64 Bad[] = {
        0, 1, 511, BEFORE + 1, CM_MAX_DISK_SIZE + 512, 1ull << 63, UINT64_MAX, UINT64_MAX - 511};
    struct cm_resize In;
    SCENE Scene;
    ULONG Index;

    Begin(&Scene);
    for (Index = 0; Index < RTL_NUMBER_OF(Bad); Index++)
        CHECK_EQ(Resize(&Scene, Bad[Index]), STATUS_INVALID_PARAMETER);
    In = (struct cm_resize){.disk_id = Scene.Disk.Id, .size = LARGER, .flags = 1};
    CHECK_EQ(RigIoctl(Scene.Server.Control, CM_IOCTL_RESIZE, &In, sizeof(In), NULL, 0, NULL),
             STATUS_INVALID_PARAMETER);
    In = (struct cm_resize){.disk_id = Scene.Disk.Id + 1, .size = LARGER};
    CHECK_EQ(RigIoctl(Scene.Server.Control, CM_IOCTL_RESIZE, &In, sizeof(In), NULL, 0, NULL),
             STATUS_NOT_FOUND);
    CHECK_EQ(SizeOf(&Scene), BEFORE);
    End(&Scene);
}

static VOID ADiskWhoseServerCannotIsRefused(VOID)
{
    struct cm_mount Mount;
    SCENE Scene;

    RigMountDefaults(&Mount, BEFORE);
    BeginWith(&Scene, &Mount);
    CHECK_EQ(Resize(&Scene, LARGER), STATUS_NOT_SUPPORTED);
    End(&Scene);
    MountToResize(&Mount);
    Mount.flags |= CM_MOUNT_READ_ONLY;
    BeginWith(&Scene, &Mount);
    CHECK_EQ(Resize(&Scene, LARGER), STATUS_MEDIA_WRITE_PROTECTED);
    End(&Scene);
}

static VOID OneAtATime(VOID)
{
    struct cm_resize In;
    struct cm_request Request;
    SCENE Scene;
    SIM_IO *Io;

    Begin(&Scene);
    Io = StartResize(&Scene, &In, LARGER);
    CHECK_EQ(Resize(&Scene, 2 * LARGER), STATUS_DEVICE_BUSY);
    Request = FetchResize(&Scene, LARGER);
    CHECK_EQ(Resize(&Scene, SMALLER), STATUS_DEVICE_BUSY);
    CHECK_EQ(RigReply(&Scene.Disk, Request.tag, CM_STATUS_OK, 0), STATUS_SUCCESS);
    CHECK_EQ(SimFinish(Io, NULL), STATUS_SUCCESS);
    End(&Scene);
}

static VOID ADiskInUseIsNotCut(VOID)
{
    SIM_MEMORY *Memory = SimAllocate(4096);
    struct cm_request Request;
    SIM_FILE *File;
    SCENE Scene;
    SIM_IO *Io;

    Begin(&Scene);
    File = RigOpenDisk(Scene.Client, &Scene.Disk);
    CHECK_EQ(Resize(&Scene, SMALLER), STATUS_DEVICE_BUSY);
    Io = SimRead(File, 0, Memory, 0, 512);
    CHECK_EQ(Resize(&Scene, SMALLER), STATUS_DEVICE_BUSY);
    CHECK_EQ(RigFetch(&Scene.Disk, &Request, 1), 1);
    CHECK_EQ(RigReply(&Scene.Disk, Request.tag, CM_STATUS_OK, 512), STATUS_SUCCESS);
    CHECK_EQ(SimFinish(Io, NULL), STATUS_SUCCESS);
    SimClose(File);
    CHECK_EQ(SizeOf(&Scene), BEFORE);
    SimFree(Memory);
    End(&Scene);
}

static VOID WhoHasTheDiskOpenMayCutIt(VOID)
{
    struct cm_resize In = {.size = SMALLER, .own_handles = 1};
    struct cm_request Request;
    SIM_FILE *File;
    SCENE Scene;
    SIM_IO *Io;

    Begin(&Scene);
    File = RigOpenDisk(Scene.Client, &Scene.Disk);
    In.disk_id = Scene.Disk.Id;
    Io = SimIoctl(Scene.Server.Control, CM_IOCTL_RESIZE, &In, sizeof(In), NULL, 0);
    Request = FetchResize(&Scene, SMALLER);
    CHECK_EQ(RigReply(&Scene.Disk, Request.tag, CM_STATUS_OK, 0), STATUS_SUCCESS);
    CHECK_EQ(SimFinish(Io, NULL), STATUS_SUCCESS);
    SimClose(File);
    CHECK_EQ(SizeOf(&Scene), SMALLER);
    End(&Scene);
}

static VOID AMountedFileSystemIsNotCut(VOID)
{
    struct cm_resize In;
    struct cm_request Request;
    SCENE Scene;
    SIM_IO *Io;

    Begin(&Scene);
    CHECK_EQ(SimMountFileSystem(Scene.Disk.Name), STATUS_SUCCESS);
    CHECK_EQ(Resize(&Scene, SMALLER), STATUS_DEVICE_BUSY);
    Io = StartResize(&Scene, &In, LARGER); /* but it may grow below it */
    Request = FetchResize(&Scene, LARGER);
    CHECK_EQ(RigReply(&Scene.Disk, Request.tag, CM_STATUS_OK, 0), STATUS_SUCCESS);
    CHECK_EQ(SimFinish(Io, NULL), STATUS_SUCCESS);
    SimUnmountFileSystem(Scene.Disk.Name);
    End(&Scene);
}

static VOID CancelledBeforeTheServerHasItNothingChanges(VOID)
{
    struct cm_request Request;
    struct cm_resize In;
    SCENE Scene;
    SIM_IO *Io;

    Begin(&Scene);
    Io = StartResize(&Scene, &In, SMALLER);
    CHECK_EQ(SizeOf(&Scene), SMALLER);
    SimCancel(Io);
    CHECK_EQ(SimFinish(Io, NULL), STATUS_CANCELLED);
    CHECK_EQ(SizeOf(&Scene), BEFORE);
    CHECK_EQ(RigFetch(&Scene.Disk, &Request, 1), 0);
    End(&Scene);
}

/* The caller has gone, but the image changes all the same: what the server says of it counts, and until then
 * nothing else is let to the image. */
static VOID CancelledTooLateItStillCounts(VOID)
{
    SIM_MEMORY *Memory = SimAllocate(4096);
    struct cm_request Request, Read;
    struct cm_resize In;
    SIM_FILE *File;
    SCENE Scene;
    SIM_IO *Io;

    Begin(&Scene);
    Io = StartResize(&Scene, &In, LARGER);
    Request = FetchResize(&Scene, LARGER);
    SimCancel(Io);
    CHECK_EQ(SimFinish(Io, NULL), STATUS_CANCELLED);
    CHECK_EQ(Resize(&Scene, SMALLER), STATUS_DEVICE_BUSY);
    File = RigOpenDisk(Scene.Client, &Scene.Disk);
    Io = SimRead(File, 0, Memory, 0, 512);
    CHECK_EQ(RigFetch(&Scene.Disk, &Read, 1), 0);
    CHECK_EQ(RigReply(&Scene.Disk, Request.tag, CM_STATUS_OK, 0), STATUS_SUCCESS);
    CHECK_EQ(SizeOf(&Scene), LARGER);
    CHECK_EQ(RigFetch(&Scene.Disk, &Read, 1), 1);
    CHECK_EQ(RigReply(&Scene.Disk, Read.tag, CM_STATUS_OK, 512), STATUS_SUCCESS);
    CHECK_EQ(SimFinish(Io, NULL), STATUS_SUCCESS);
    SimClose(File);
    SimFree(Memory);
    End(&Scene);
}

/* A write that the server may yet perform must not meet another size. */
static VOID ItWaitsForWhatIsAbandoned(VOID)
{
    SIM_MEMORY *Memory = SimAllocate(4096);
    struct cm_request Write, Request;
    struct cm_resize In;
    SIM_FILE *File;
    SCENE Scene;
    SIM_IO *Io;

    Begin(&Scene);
    File = RigOpenDisk(Scene.Client, &Scene.Disk);
    Io = SimWrite(File, 0, Memory, 0, 512);
    CHECK_EQ(RigFetch(&Scene.Disk, &Write, 1), 1);
    SimCancel(Io);
    CHECK_EQ(SimFinish(Io, NULL), STATUS_CANCELLED);
    SimClose(File);
    Io = StartResize(&Scene, &In, LARGER);
    CHECK_EQ(RigFetch(&Scene.Disk, &Request, 1), 0);
    CHECK_EQ(RigReply(&Scene.Disk, Write.tag, CM_STATUS_OK, 512), STATUS_SUCCESS);
    Request = FetchResize(&Scene, LARGER);
    CHECK_EQ(RigReply(&Scene.Disk, Request.tag, CM_STATUS_OK, 0), STATUS_SUCCESS);
    CHECK_EQ(SimFinish(Io, NULL), STATUS_SUCCESS);
    SimFree(Memory);
    End(&Scene);
}

static VOID AServerThatDiesWithItEndsIt(VOID)
{
    struct cm_resize In;
    SCENE Scene;
    RIG_SERVER Other;
    SIM_IO *Io;

    Begin(&Scene);
    Other = RigStartServer();
    In = (struct cm_resize){.disk_id = Scene.Disk.Id, .size = LARGER};
    Io = SimIoctl(Other.Control, CM_IOCTL_RESIZE, &In, sizeof(In), NULL, 0);
    FetchResize(&Scene, LARGER);
    RigKillServer(&Scene.Server);
    CHECK_EQ(SimFinish(Io, NULL), STATUS_NO_SUCH_DEVICE);
    RigForget(&Scene.Disk);
    SimEndProcess(Scene.Client);
    RigStopServer(&Other);
}

/* -- held disks -------------------------------------------------------------------------------- */

/* A disk that will be held; another handle, of who is to be its next server, has asked for a size, and the server
 * has been given that. */
static SIM_IO *BeginHeld(SCENE *Scene, RIG_SERVER *Other, struct cm_resize *In, ULONG64 Size)
{
    struct cm_mount Mount;
    SIM_IO *Io;

    *Other = RigStartServer();
    MountToResize(&Mount);
    Mount.hold_seconds = 600;
    BeginWith(Scene, &Mount);
    *In = (struct cm_resize){.disk_id = Scene->Disk.Id, .size = Size};
    Io = SimIoctl(Other->Control, CM_IOCTL_RESIZE, In, sizeof(*In), NULL, 0);
    FetchResize(Scene, Size);
    return Io;
}

static VOID LoseServer(SCENE *Scene)
{
    RigKillServer(&Scene->Server);
    RigForget(&Scene->Disk);
}

static VOID GiveUp(SIM_IO *Io)
{
    SimCancel(Io);
    CHECK_EQ(SimFinish(Io, NULL), STATUS_CANCELLED);
}

/* The next server comes, with an image of this size. */
static VOID TakeOver(SCENE *Scene, const RIG_SERVER *Other, ULONG64 Id, ULONG64 Size)
{
    CHECK_EQ(RigAttach(Other->Control, Id, Size, &Scene->Disk), STATUS_SUCCESS);
    Scene->Server = *Other;
}

/* Held, it is asked of the next server, who may find it done. Given up meanwhile, the smaller of both sizes
 * is safe whatever the lost server did. */
static VOID AHeldDiskIsResizedByItsNextServer(VOID)
{
    struct cm_request Request;
    struct cm_resize In;
    RIG_SERVER Other;
    SCENE Scene;
    SIM_IO *Io = BeginHeld(&Scene, &Other, &In, LARGER);

    LoseServer(&Scene);
    CHECK(!SimIsDone(Io));
    TakeOver(&Scene, &Other, In.disk_id, BEFORE);
    Request = FetchResize(&Scene, LARGER);
    CHECK_EQ(RigReply(&Scene.Disk, Request.tag, CM_STATUS_OK, 0), STATUS_SUCCESS);
    CHECK_EQ(SimFinish(Io, NULL), STATUS_SUCCESS);
    CHECK_EQ(SizeOf(&Scene), LARGER);
    End(&Scene);
}

static VOID GivenUpWhileHeldTheSmallerSizeStays(VOID)
{
    static const ULONG64 Sizes[] = {LARGER, SMALLER};
    ULONG Index;

    for (Index = 0; Index < RTL_NUMBER_OF(Sizes); Index++) {
        ULONG64 Smaller = min(Sizes[Index], BEFORE);
        struct cm_resize In;
        RIG_SERVER Other;
        SCENE Scene;
        SIM_IO *Io = BeginHeld(&Scene, &Other, &In, Sizes[Index]);

        LoseServer(&Scene);
        GiveUp(Io);
        TakeOver(&Scene, &Other, In.disk_id, Smaller);
        CHECK_EQ(SizeOf(&Scene), Smaller);
        End(&Scene);
    }
}

/* A server that has made the image larger and died must not leave a disk that no server can have. */
static VOID TheNextServerComesWithEitherSize(VOID)
{
    static const ULONG64 Sizes[] = {LARGER, SMALLER};
    ULONG Index, GivenUp;

    for (Index = 0; Index < 4; Index++) {
        ULONG64 Size = Sizes[Index % 2], Larger = max(Size, BEFORE);
        struct cm_request Request;
        struct cm_resize In;
        RIG_SERVER Other;
        SCENE Scene;
        SIM_IO *Io = BeginHeld(&Scene, &Other, &In, Size);

        GivenUp = Index / 2;
        LoseServer(&Scene);
        if (GivenUp) {
            GiveUp(Io);
            /* asked again in vain, which tells nothing new of the image */
            Io = SimIoctl(Other.Control, CM_IOCTL_RESIZE, &In, sizeof(In), NULL, 0);
            SimCancel(Io);
            SimFinish(Io, NULL);
        }
        CHECK_EQ(RigAttach(Other.Control, In.disk_id, Larger + 512, &Scene.Disk),
                 STATUS_INVALID_PARAMETER);
        TakeOver(&Scene, &Other, In.disk_id, Larger);
        CHECK_EQ(SizeOf(&Scene), min(Size, BEFORE));
        if (!GivenUp) {
            Request = FetchResize(&Scene, Size);
            CHECK_EQ(RigReply(&Scene.Disk, Request.tag, CM_STATUS_OK, 0), STATUS_SUCCESS);
            CHECK_EQ(SimFinish(Io, NULL), STATUS_SUCCESS);
            CHECK_EQ(SizeOf(&Scene), Size);
        }
        End(&Scene);
    }
}

/* Nobody waits for it any more when the server is lost, and it may have been done all the same. */
static VOID CancelledAndThenLostTheImageMayHaveEitherSize(VOID)
{
    static const ULONG64 Sizes[] = {LARGER, SMALLER};
    ULONG Index;

    for (Index = 0; Index < 4; Index++) {
        ULONG64 Size = Sizes[Index % 2];
        struct cm_resize In;
        RIG_SERVER Other;
        SCENE Scene;

        GiveUp(BeginHeld(&Scene, &Other, &In, Size));
        LoseServer(&Scene);
        TakeOver(&Scene, &Other, In.disk_id, Index / 2 == 0 ? Size : BEFORE);
        CHECK_EQ(SizeOf(&Scene), min(Size, BEFORE));
        CHECK_EQ(RigFetch(&Scene.Disk, &(struct cm_request){0}, 1), 0);
        End(&Scene);
    }
}

/* The first may have cut the image before it died, so that the second refuses does not bring it back. */
static VOID WhatOneServerMayHaveCutTheNextDoesNotBringBack(VOID)
{
    struct cm_request Request;
    struct cm_resize In;
    RIG_SERVER Other;
    SCENE Scene;
    SIM_IO *Io = BeginHeld(&Scene, &Other, &In, SMALLER);

    LoseServer(&Scene);
    TakeOver(&Scene, &Other, In.disk_id, SMALLER);
    Request = FetchResize(&Scene, SMALLER);
    CHECK_EQ(RigReply(&Scene.Disk, Request.tag, CM_STATUS_NOT_SUPPORTED, 0), STATUS_SUCCESS);
    CHECK_EQ(SimFinish(Io, NULL), STATUS_NOT_SUPPORTED);
    CHECK_EQ(SizeOf(&Scene), SMALLER);
    End(&Scene);
}

typedef struct RACER {
    SCENE *Scene;
    ULONG Rounds;
} RACER;

/* Resizes, some of them cancelled. */
static VOID RunResizer(PVOID Context)
{
    RACER *Racer = Context;
    ULONG Round;

    for (Round = 0; Round < Racer->Rounds; Round++) {
        struct cm_resize In;
        SIM_IO *Io = StartResize(Racer->Scene, &In, Round % 2 == 0 ? LARGER : BEFORE);
        NTSTATUS Status;

        if (SimRandom() % 4 == 0)
            SimCancel(Io);
        Status = SimFinish(Io, NULL);
        CHECK(Status == STATUS_SUCCESS || Status == STATUS_CANCELLED ||
              Status == STATUS_DEVICE_BUSY);
    }
}

static VOID RunReader(PVOID Context)
{
    RACER *Racer = Context;
    SIM_MEMORY *Memory = SimAllocate(4096);
    SIM_FILE *File = RigOpenDisk(Racer->Scene->Client, &Racer->Scene->Disk);
    ULONG Round;

    for (Round = 0; Round < Racer->Rounds; Round++) {
        NTSTATUS Status = SimFinish(SimRead(File, LARGER - 4096, Memory, 0, 4096), NULL);

        CHECK(Status == STATUS_SUCCESS || Status == STATUS_INVALID_PARAMETER);
    }
    SimClose(File);
    SimFree(Memory);
}

/* The last block is there or is not; that is all there is to see. */
static VOID ResizingAndReadingAtOnceDoNoHarm(VOID)
{
    SCENE Scene;
    RACER Racer = {&Scene, 20 * RigScale()};
    PUCHAR Image = calloc(1, LARGER);
    RIG_SERVICE Service = {.Disk = &Scene.Disk, .Image = Image, .Batch = 4};
    SIM_THREAD *Threads[3];

    Begin(&Scene);
    Threads[0] = SimSpawn("server", RigServe, &Service);
    Threads[1] = SimSpawn("resizer", RunResizer, &Racer);
    Threads[2] = SimSpawn("reader", RunReader, &Racer);
    SimJoin(Threads[1]);
    SimJoin(Threads[2]);
    CheckSums(&Scene);
    CHECK_EQ(RigUnmount(Scene.Server.Control, Scene.Disk.Id, CM_UNMOUNT_FORCE), STATUS_SUCCESS);
    SimJoin(Threads[0]);
    RigForget(&Scene.Disk);
    SimEndProcess(Scene.Client);
    RigStopServer(&Scene.Server);
    free(Image);
}

static VOID RunCutter(PVOID Context)
{
    RACER *Racer = Context;
    ULONG Round;

    for (Round = 0; Round < Racer->Rounds; Round++) {
        NTSTATUS Status = Resize(Racer->Scene, SMALLER);

        CHECK(Status == STATUS_SUCCESS || Status == STATUS_DEVICE_BUSY);
        CHECK_EQ(Resize(Racer->Scene, BEFORE), STATUS_SUCCESS);
    }
}

/* What tells that a disk has a file system is the system's, and goes with it. */
static VOID CuttingAsAFileSystemComesAndGoesDoesNoHarm(VOID)
{
    SCENE Scene;
    RACER Racer = {&Scene, 10 * RigScale()};
    PUCHAR Image = calloc(1, BEFORE);
    RIG_SERVICE Service = {.Disk = &Scene.Disk, .Image = Image, .Batch = 4};
    SIM_THREAD *Threads[2];
    ULONG Round;

    Begin(&Scene);
    Threads[0] = SimSpawn("server", RigServe, &Service);
    Threads[1] = SimSpawn("cutter", RunCutter, &Racer);
    for (Round = 0; Round < Racer.Rounds; Round++) {
        CHECK_EQ(SimMountFileSystem(Scene.Disk.Name), STATUS_SUCCESS);
        SimUnmountFileSystem(Scene.Disk.Name);
    }
    SimJoin(Threads[1]);
    CHECK_EQ(RigUnmount(Scene.Server.Control, Scene.Disk.Id, CM_UNMOUNT_FORCE), STATUS_SUCCESS);
    SimJoin(Threads[0]);
    RigForget(&Scene.Disk);
    SimEndProcess(Scene.Client);
    RigStopServer(&Scene.Server);
    free(Image);
}

/* -- who has it open and cuts it ---------------------------------------------------------------- */

typedef struct STRICT_SERVICE {
    RIG_DISK *Disk;
    PUCHAR Image;
    ULONG64 Size; /* that the image has */
} STRICT_SERVICE;

/* As RigServe, but the image ends where it was cut. */
static VOID ServeStrictly(PVOID Context)
{
    STRICT_SERVICE *Service = Context;
    RIG_EXCHANGE *Exchange = calloc(1, sizeof(*Exchange));
    ULONG Index, Replies = 0;

    while (NT_SUCCESS(RigExchange(Service->Disk, Exchange, Replies, 0, RIG_BATCH))) {
        Replies = Exchange->Out.Head.request_count;
        for (Index = 0; Index < Replies; Index++) {
            const struct cm_request *Request = &Exchange->Out.Requests[Index];

            if (Request->op == CM_OP_RESIZE)
                Service->Size = Request->offset;
            else
                CHECK(Request->offset + Request->length <= Service->Size);
            Exchange->In.Replies[Index] = RigPerform(Service->Disk, Request, Service->Image);
        }
    }
    free(Exchange);
}

static VOID RunOwner(PVOID Context)
{
    RACER *Racer = Context;
    ULONG Round;

    for (Round = 0; Round < Racer->Rounds; Round++) {
        struct cm_resize In = {.disk_id = Racer->Scene->Disk.Id,
                               .size = Round % 2 == 0 ? LARGER : BEFORE,
                               .own_handles = 1};
        NTSTATUS Status =
            RigIoctl(Racer->Scene->Server.Control, CM_IOCTL_RESIZE, &In, sizeof(In), NULL, 0, NULL);

        CHECK(Status == STATUS_SUCCESS || Status == STATUS_DEVICE_BUSY);
    }
}

static VOID NothingIsLetToWhatWasCutOff(VOID)
{
    SCENE Scene;
    RACER Racer = {&Scene, 20 * RigScale()};
    PUCHAR Image = calloc(1, LARGER);
    STRICT_SERVICE Service = {.Disk = &Scene.Disk, .Image = Image, .Size = BEFORE};
    SIM_THREAD *Threads[3];

    Begin(&Scene);
    Threads[0] = SimSpawn("server", ServeStrictly, &Service);
    Threads[1] = SimSpawn("owner", RunOwner, &Racer);
    Threads[2] = SimSpawn("reader", RunReader, &Racer);
    SimJoin(Threads[1]);
    SimJoin(Threads[2]);
    CHECK_EQ(RigUnmount(Scene.Server.Control, Scene.Disk.Id, CM_UNMOUNT_FORCE), STATUS_SUCCESS);
    SimJoin(Threads[0]);
    RigForget(&Scene.Disk);
    SimEndProcess(Scene.Client);
    RigStopServer(&Scene.Server);
    free(Image);
}

static const RIG_TEST Tests[] = {
    RIG_TEST(ALargerSizeCountsOnceTheServerHasIt, 1),
    RIG_TEST(WhatIsNewCanBeRead, 1),
    RIG_TEST(AServerMayRefuse, 1),
    RIG_TEST(ABadReplyToItIsRefused, 1),
    RIG_TEST(SizesThatNoDiskCanHaveAreRefused, 1),
    RIG_TEST(ADiskWhoseServerCannotIsRefused, 1),
    RIG_TEST(OneAtATime, 1),
    RIG_TEST(ADiskInUseIsNotCut, 1),
    RIG_TEST(WhoHasTheDiskOpenMayCutIt, 1),
    RIG_TEST_ON("nt", 0, AMountedFileSystemIsNotCut, 1),
    RIG_TEST(CancelledBeforeTheServerHasItNothingChanges, 1),
    RIG_TEST(CancelledTooLateItStillCounts, 1),
    RIG_TEST(ItWaitsForWhatIsAbandoned, 1),
    RIG_TEST(AServerThatDiesWithItEndsIt, 2),
    RIG_TEST(AHeldDiskIsResizedByItsNextServer, 2),
    RIG_TEST(GivenUpWhileHeldTheSmallerSizeStays, 2),
    RIG_TEST(CancelledAndThenLostTheImageMayHaveEitherSize, 2),
    RIG_TEST(TheNextServerComesWithEitherSize, 2),
    RIG_TEST(WhatOneServerMayHaveCutTheNextDoesNotBringBack, 2),
    RIG_TEST(ResizingAndReadingAtOnceDoNoHarm, 4),
    RIG_TEST(NothingIsLetToWhatWasCutOff, 20),
    RIG_TEST_ON("nt", 0, CuttingAsAFileSystemComesAndGoesDoesNoHarm, 4),
};

int main(int Count, char **Arguments)
{
    return RigMain(Count, Arguments, Tests, RTL_NUMBER_OF(Tests));
}
