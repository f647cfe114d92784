/* SPDX-License-Identifier: MIT */
/*
 * test_hostile.c - servers that answer what they were not asked, twice, wrongly, too late, for others' disks, or
 * never, and write to shared memory at any time. What the driver must do: count each bad reply, apply the good
 * ones beside it, and touch nothing but what it was told to by its caller. test_hostile_fuzz.c does the same
 * things at random against a model.
 */
#include <stdlib.h>

#include "rig.h"

#define DISK_SIZE MIB
#define ARENA (32 * KIB)
#define MEMORY (64 * KIB)

/* A disk with a client; arena and memory are filled, so that whatever is written to shows. */
typedef struct SCENE {
    RIG_SERVER Server;
    SIM_PROCESS *Client;
    SIM_MEMORY *Memory;
    SIM_FILE *File;
    RIG_DISK Disk;
} SCENE;

#define MEMORY_SEED 11
#define ARENA_SEED 12
#define DATA_SEED 13

static VOID Begin(SCENE *Scene)
{
    Scene->Server = RigStartServer();
    Scene->Client = SimCreateProcess(TRUE);
    Scene->Memory = SimAllocate(MEMORY);
    RigMount(&Scene->Server, DISK_SIZE, &Scene->Disk);
    Scene->File = RigOpenDisk(Scene->Client, &Scene->Disk);
    RigFill(Scene->Memory->Address, MEMORY, MEMORY_SEED);
    RigFill(Scene->Disk.Arena, ARENA, ARENA_SEED);
}

static VOID End(SCENE *Scene)
{
    RigCheckSums(Scene->Server.Control, Scene->Disk.Id);
    SimClose(Scene->File);
    SimEndProcess(Scene->Client);
    RigStopServer(&Scene->Server);
    RigForget(&Scene->Disk);
    SimFree(Scene->Memory);
}

/* That all but a part is as RigFill left it. */
static VOID CheckAllBut(const UCHAR *Data, SIZE_T Length, ULONG64 Seed, SIZE_T From, SIZE_T Count)
{
    PUCHAR Expected = malloc(Length);

    RigFill(Expected, Length, Seed);
    CHECK(memcmp(Data, Expected, From) == 0);
    CHECK(memcmp(Data + From + Count, Expected + From + Count, Length - From - Count) == 0);
    free(Expected);
}

static struct cm_stats Stats(SCENE *Scene)
{
    struct cm_stats Result;

    CHECK_EQ(RigStats(Scene->Server.Control, Scene->Disk.Id, &Result), STATUS_SUCCESS);
    return Result;
}

static struct cm_reply Reply(ULONG64 Tag, ULONG Status, ULONG Length)
{
    return (struct cm_reply){.tag = Tag, .status = Status, .length = Length};
}

/* -- bad replies ------------------------------------------------------------------------------- */

static VOID TryBad(SCENE *Scene, ULONG64 Tag, ULONG Status, ULONG Length)
{
    struct cm_stats Before = Stats(Scene), After;
    RIG_EXCHANGE Exchange;
    ULONG_PTR Done;

    Exchange.In.Replies[0] = Reply(Tag, Status, Length);
    CHECK_EQ(SimFinish(RigStartExchange(&Scene->Disk, &Exchange, 1, 0, 4), &Done),
             STATUS_REQUEST_ABORTED); /* at once: with a bad reply in it nothing waits */
    CHECK_EQ(Done, 0);
    After = Stats(Scene);
    CHECK_EQ(After.bad_replies, Before.bad_replies + 1);
    CHECK_EQ(After.exchanges, Before.exchanges + 1);
    After.bad_replies--;
    After.exchanges--;
    CHECK(memcmp(&After, &Before, sizeof(After)) == 0);
}

static VOID TryBadTags(SCENE *Scene, ULONG64 Good)
{
    ULONG Bit;

    for (Bit = 0; Bit < 64; Bit++)
        if (Bit > 1) /* slots 0 to 2 have something, and the same generation */
            TryBad(Scene, Good ^ UINT64_C(1) << Bit, CM_STATUS_OK, 4 * KIB);
    TryBad(Scene, 0, CM_STATUS_OK, 4 * KIB);
    TryBad(Scene, 3, CM_STATUS_OK, 0); /* the tag of a slot that was never used */
    TryBad(Scene, 7, CM_STATUS_OK, 4 * KIB);
    TryBad(Scene, UINT64_MAX, CM_STATUS_OK, 0);
    TryBad(Scene, 0xFFFF, CM_STATUS_OK, 0);
    TryBad(Scene, (Good & ~UINT64_C(0xFFFF)) | 8, CM_STATUS_OK, 4 * KIB); /* beyond the table */
    TryBad(Scene, (Good & ~UINT64_C(0xFFFF)) | 0xFFFF, CM_STATUS_OK, 4 * KIB);
}

static VOID TryBadContents(SCENE *Scene, const struct cm_request *Request)
{
    ULONG Right = Request->op == CM_OP_FLUSH ? 0 : (ULONG)Request->length;
    ULONG Status;

    for (Status = CM_STATUS_COUNT; Status != 0; Status *= 2)
        TryBad(Scene, Request->tag, Status, Right);
    TryBad(Scene, Request->tag, CM_STATUS_COUNT, 0);
    TryBad(Scene, Request->tag, UINT32_MAX, 0);
    for (Status = 1; Status < CM_STATUS_COUNT; Status++)
        TryBad(Scene, Request->tag, Status, Right != 0 ? Right : 1);
    if (Right != 0)
        TryBad(Scene, Request->tag, CM_STATUS_OK, 0);
    TryBad(Scene, Request->tag, CM_STATUS_OK, Right + 1);
    TryBad(Scene, Request->tag, CM_STATUS_OK, Right - 1);
    TryBad(Scene, Request->tag, CM_STATUS_OK, Right + 512);
    TryBad(Scene, Request->tag, CM_STATUS_OK, UINT32_MAX);
    TryBad(Scene, Request->tag, CM_STATUS_OK, 0x80000000u);
}

static VOID BadRepliesAreCountedAndChangeNothing(VOID)
{
    struct cm_request Requests[4];
    SCENE Scene;
    SIM_IO *Ios[3];
    ULONG Index;

    Begin(&Scene);
    Ios[0] = SimRead(Scene.File, 0, Scene.Memory, 8 * KIB, 4 * KIB);
    Ios[1] = SimWrite(Scene.File, 8 * KIB, Scene.Memory, 32 * KIB, 4 * KIB);
    Ios[2] = SimFlush(Scene.File);
    CHECK_EQ(RigFetch(&Scene.Disk, Requests, 4), 3);
    for (Index = 0; Index < 3; Index++) {
        TryBadTags(&Scene, Requests[Index].tag);
        TryBadContents(&Scene, &Requests[Index]);
    }
    for (Index = 0; Index < 3; Index++)
        CHECK(!SimIsDone(Ios[Index]));
    CHECK(RigIsFilled(Scene.Memory->Address, MEMORY, MEMORY_SEED));
    for (Index = 0; Index < 3; Index++) {
        CHECK_EQ(RigReply(&Scene.Disk, Requests[Index].tag, CM_STATUS_OK, Index == 2 ? 0 : 4 * KIB),
                 STATUS_SUCCESS);
        CHECK_EQ(SimFinish(Ios[Index], NULL), STATUS_SUCCESS);
        TryBad(&Scene, Requests[Index].tag, CM_STATUS_OK, 4 * KIB); /* dead from now on */
    }
    CHECK(memcmp(Scene.Memory->Address + 8 * KIB, RigSlot(&Scene.Disk, Requests[0].tag), 4 * KIB) ==
          0);
    End(&Scene);
}

/* Each answer in the middle of others that are none. */
static VOID GoodRepliesOfABadBatchAreApplied(VOID)
{
    struct cm_request Requests[8];
    RIG_EXCHANGE Exchange;
    SCENE Scene;
    SIM_IO *Ios[4];
    ULONG Index;

    Begin(&Scene);
    for (Index = 0; Index < 4; Index++)
        Ios[Index] = SimRead(Scene.File, Index * 4 * KIB, Scene.Memory, Index * 8 * KIB, 4 * KIB);
    CHECK_EQ(RigFetch(&Scene.Disk, Requests, 8), 4);
    for (Index = 0; Index < 4; Index++)
        RigFill(RigSlot(&Scene.Disk, Requests[Index].tag), 4 * KIB, DATA_SEED + Index);

    Exchange.In.Replies[0] = Reply(Requests[0].tag + 0x10000, CM_STATUS_OK, 4 * KIB);
    Exchange.In.Replies[1] = Reply(Requests[0].tag, CM_STATUS_OK, 4 * KIB);
    Exchange.In.Replies[2] = Reply(Requests[0].tag, CM_STATUS_OK, 4 * KIB); /* twice */
    Exchange.In.Replies[3] = Reply(Requests[1].tag, CM_STATUS_OK, 512);     /* short */
    Exchange.In.Replies[4] = Reply(Requests[1].tag, CM_STATUS_OK, 4 * KIB); /* thinks again */
    Exchange.In.Replies[5] = Reply(UINT64_MAX, UINT32_MAX, UINT32_MAX);
    Exchange.In.Replies[6] = Reply(Requests[2].tag, CM_STATUS_MEDIA_ERROR, 0);
    Exchange.In.Replies[7] = Reply(Requests[2].tag, CM_STATUS_OK, 4 * KIB);
    Exchange.In.Replies[8] = Reply(Requests[3].tag, CM_STATUS_COUNT, 0);
    CHECK_EQ(RigExchange(&Scene.Disk, &Exchange, 9, CM_EXCHANGE_NO_WAIT, 8),
             STATUS_REQUEST_ABORTED);
    CHECK_EQ(Stats(&Scene).bad_replies, 6);
    CHECK_EQ(SimFinish(Ios[0], NULL), STATUS_SUCCESS);
    CHECK_EQ(SimFinish(Ios[1], NULL), STATUS_SUCCESS);
    CHECK_EQ(SimFinish(Ios[2], NULL), STATUS_DEVICE_DATA_ERROR);
    CHECK(!SimIsDone(Ios[3]));
    for (Index = 0; Index < 2; Index++)
        CHECK(RigIsFilled(Scene.Memory->Address + Index * 8 * KIB, 4 * KIB, DATA_SEED + Index));
    CHECK_EQ(RigReply(&Scene.Disk, Requests[3].tag, CM_STATUS_IO_ERROR, 0), STATUS_SUCCESS);
    CHECK_EQ(SimFinish(Ios[3], NULL), STATUS_IO_DEVICE_ERROR);
    CheckAllBut(Scene.Memory->Address, MEMORY, MEMORY_SEED, 0, 12 * KIB);
    End(&Scene);
}

/* -- the same answer twice at once ------------------------------------------------------------- */

typedef struct REPLIER {
    RIG_DISK *Disk;
    ULONG64 Tag;
    ULONG Status;
    NTSTATUS Result;
} REPLIER;

static VOID SendReply(PVOID Context)
{
    REPLIER *R = Context;

    R->Result = RigReply(R->Disk, R->Tag, R->Status, R->Status == CM_STATUS_OK ? 4 * KIB : 0);
}

static VOID OneOfTwoAnswersThatComeAtOnceCounts(VOID)
{
    REPLIER Repliers[3];
    SIM_THREAD *Threads[3];
    struct cm_request Request;
    ULONG Index, Good = 0;
    NTSTATUS Status;
    SCENE Scene;
    SIM_IO *Io;

    Begin(&Scene);
    Io = SimRead(Scene.File, 4 * KIB, Scene.Memory, 8 * KIB, 4 * KIB);
    CHECK_EQ(RigFetch(&Scene.Disk, &Request, 1), 1);
    RigFill(RigSlot(&Scene.Disk, Request.tag), 4 * KIB, DATA_SEED);
    for (Index = 0; Index < 3; Index++) {
        Repliers[Index] = (REPLIER){.Disk = &Scene.Disk, .Tag = Request.tag};
        Repliers[Index].Status = Index == 2 ? CM_STATUS_NO_MEMORY : CM_STATUS_OK;
        Threads[Index] = SimSpawn("replier", SendReply, &Repliers[Index]);
    }
    for (Index = 0; Index < 3; Index++) {
        SimJoin(Threads[Index]);
        CHECK(Repliers[Index].Result == STATUS_SUCCESS ||
              Repliers[Index].Result == STATUS_REQUEST_ABORTED);
        Good += Repliers[Index].Result == STATUS_SUCCESS;
    }
    CHECK_EQ(Good, 1);
    CHECK_EQ(Stats(&Scene).bad_replies, 2);
    Status = SimFinish(Io, NULL);
    CHECK_EQ(Status,
             Repliers[2].Result == STATUS_SUCCESS ? STATUS_INSUFFICIENT_RESOURCES : STATUS_SUCCESS);
    if (NT_SUCCESS(Status))
        CHECK(RigIsFilled(Scene.Memory->Address + 8 * KIB, 4 * KIB, DATA_SEED));
    CheckAllBut(Scene.Memory->Address, MEMORY, MEMORY_SEED, 8 * KIB, NT_SUCCESS(Status) ? 4096 : 0);
    End(&Scene);
}

/* -- answers to what nobody waits for ---------------------------------------------------------- */

static VOID AnAnswerToACancelledReadGoesNowhere(VOID)
{
    struct cm_request Requests[2];
    SCENE Scene;
    SIM_IO *Io;

    Begin(&Scene);
    Io = SimRead(Scene.File, 0, Scene.Memory, 8 * KIB, 8 * KIB);
    CHECK_EQ(RigFetch(&Scene.Disk, Requests, 2), 2);
    SimCancel(Io);
    CHECK_EQ(SimFinish(Io, NULL), STATUS_CANCELLED);
    RigFill(Scene.Disk.Arena, ARENA, DATA_SEED);
    CHECK_EQ(RigReply(&Scene.Disk, Requests[0].tag, CM_STATUS_OK, 4 * KIB), STATUS_SUCCESS);
    TryBad(&Scene, Requests[0].tag, CM_STATUS_OK, 4 * KIB);
    /* Not even the rest of what it says is looked at: there is nobody to be harmed by it. */
    CHECK_EQ(RigReply(&Scene.Disk, Requests[1].tag, UINT32_MAX, UINT32_MAX), STATUS_SUCCESS);
    TryBad(&Scene, Requests[1].tag, CM_STATUS_OK, 4 * KIB);
    CHECK(RigIsFilled(Scene.Memory->Address, MEMORY, MEMORY_SEED));
    End(&Scene);
}

/* It never answers: nothing more is handed out, all of it can be cancelled, and what comes late is no harm. */
static VOID AServerThatNeverAnswersUsesUpItsSlotsOnly(VOID)
{
    struct cm_request Requests[16];
    SIM_IO *Ios[20];
    SCENE Scene;
    ULONG Index;

    Begin(&Scene);
    for (Index = 0; Index < 20; Index++)
        Ios[Index] = Index % 2 == 0
                         ? SimRead(Scene.File, Index * 8 * KIB, Scene.Memory, 0, 4 * KIB)
                         : SimWrite(Scene.File, Index * 8 * KIB, Scene.Memory, 32 * KIB, 4 * KIB);
    CHECK_EQ(RigFetch(&Scene.Disk, Requests, 16), 8);
    CHECK_EQ(RigFetch(&Scene.Disk, Requests + 8, 8), 0);
    for (Index = 0; Index < 20; Index++)
        SimCancel(Ios[Index]);
    for (Index = 0; Index < 20; Index++)
        CHECK_EQ(SimFinish(Ios[Index], NULL), STATUS_CANCELLED);
    CHECK_EQ(Stats(&Scene).cancelled, 20);
    Ios[0] = SimRead(Scene.File, 0, Scene.Memory, 0, 512);
    CHECK_EQ(RigFetch(&Scene.Disk, Requests + 8, 8), 0);
    for (Index = 0; Index < 8; Index++)
        CHECK_EQ(RigReply(&Scene.Disk, Requests[Index].tag, CM_STATUS_OK, 4 * KIB), STATUS_SUCCESS);
    CHECK_EQ(RigFetch(&Scene.Disk, Requests, 8), 1);
    CHECK_EQ(RigReply(&Scene.Disk, Requests[0].tag, CM_STATUS_OK, 512), STATUS_SUCCESS);
    CHECK_EQ(SimFinish(Ios[0], NULL), STATUS_SUCCESS);
    CheckAllBut(Scene.Memory->Address, MEMORY, MEMORY_SEED, 0, 512);
    End(&Scene);
}

/* -- nothing but the fragment is touched ------------------------------------------------------- */

static VOID CopiesKeepToTheFragment(VOID)
{
    static const ULONG Lengths[] = {512, 1024, 3584, 4096, 4608, 6656, 10240};
    struct cm_request Requests[4];
    ULONG Index, Count, Part, At;
    SCENE Scene;
    SIM_IO *Io;

    Begin(&Scene);
    for (Index = 0; Index < RTL_NUMBER_OF(Lengths); Index++) {
        for (At = 0; At < 8 * KIB; At += 4 * KIB - 512 + Index) {
            RigFill(Scene.Disk.Arena, ARENA, ARENA_SEED);
            Io = SimWrite(Scene.File, 512, Scene.Memory, At, Lengths[Index]);
            Count = RigFetch(&Scene.Disk, Requests, 4);
            CHECK_EQ(Count, (Lengths[Index] + 4095) / 4096);
            for (Part = 0; Part < Count; Part++) {
                PUCHAR Slot = RigSlot(&Scene.Disk, Requests[Part].tag);
                CHECK(memcmp(Slot, Scene.Memory->Address + At + Part * 4096,
                             Requests[Part].length) == 0);
                RigFill(Slot, Requests[Part].length, 0); /* must not come back */
            }
            for (Part = 0; Part < Count; Part++)
                CHECK_EQ(RigReply(&Scene.Disk, Requests[Part].tag, CM_STATUS_OK,
                                  (ULONG)Requests[Part].length),
                         STATUS_SUCCESS);
            CHECK_EQ(SimFinish(Io, NULL), STATUS_SUCCESS);
            CHECK(RigIsFilled(Scene.Memory->Address, MEMORY, MEMORY_SEED));
        }
    }
    End(&Scene);
}

/* The arena around the slot of a WRITE, the memory around that of a READ. */
static VOID WhatLiesAroundAFragmentStays(VOID)
{
    struct cm_request Request;
    SCENE Scene;
    ULONG Length;
    SIM_IO *Io;

    Begin(&Scene);
    for (Length = 512; Length <= 4096; Length += 512) {
        RigFill(Scene.Disk.Arena, ARENA, ARENA_SEED);
        Io = SimWrite(Scene.File, 0, Scene.Memory, 777, Length);
        CHECK_EQ(RigFetch(&Scene.Disk, &Request, 1), 1);
        CheckAllBut(Scene.Disk.Arena, ARENA, ARENA_SEED,
                    CM_TAG_SLOT(Request.tag) * (SIZE_T)Scene.Disk.SlotSize, Length);
        CHECK_EQ(RigReply(&Scene.Disk, Request.tag, CM_STATUS_OK, Length), STATUS_SUCCESS);
        CHECK_EQ(SimFinish(Io, NULL), STATUS_SUCCESS);
        CHECK(RigIsFilled(Scene.Memory->Address, MEMORY, MEMORY_SEED));

        Io = SimRead(Scene.File, 0, Scene.Memory, 4000 + Length, Length);
        CHECK_EQ(RigFetch(&Scene.Disk, &Request, 1), 1);
        CHECK_EQ(RigReply(&Scene.Disk, Request.tag, CM_STATUS_OK, Length), STATUS_SUCCESS);
        CHECK_EQ(SimFinish(Io, NULL), STATUS_SUCCESS);
        CheckAllBut(Scene.Memory->Address, MEMORY, MEMORY_SEED, 4000 + Length, Length);
        RigFill(Scene.Memory->Address, MEMORY, MEMORY_SEED);
    }
    End(&Scene);
}

/* -- exchanges --------------------------------------------------------------------------------- */

/* Whatever the length: as many as fit, the others later, none lost. */
static VOID ARoomOfAnyLengthIsUsedAsFarAsItGoes(VOID)
{
    ULONG Length, Index, Count, Got = 0, Sent = 0;
    struct cm_exchange In = {.flags = CM_EXCHANGE_NO_WAIT};
    UCHAR Out[8 + 32 * 6];
    ULONG_PTR Done;
    SIM_IO *Ios[512];
    SCENE Scene;

    Begin(&Scene);
    In.disk_id = Scene.Disk.Id;
    for (Length = 8; Length <= sizeof(Out); Length++) {
        while (Sent - Got < 6)
            Ios[Sent++] = SimFlush(Scene.File);
        memset(Out, 0x5A, sizeof(Out));
        CHECK_EQ(
            RigIoctl(Scene.Server.Control, CM_IOCTL_EXCHANGE, &In, sizeof(In), Out, Length, &Done),
            STATUS_SUCCESS);
        Count = ((struct cm_exchanged *)Out)->request_count;
        CHECK_EQ(Count, (Length - 8) / 32);
        CHECK_EQ(Done, 8 + Count * 32);
        for (Index = 0; Index < Count; Index++) {
            struct cm_request *Request = (struct cm_request *)(Out + 8) + Index;
            CHECK_EQ(RigReply(&Scene.Disk, Request->tag, CM_STATUS_OK, 0), STATUS_SUCCESS);
        }
        while (Count-- > 0)
            CHECK_EQ(SimFinish(Ios[Got++], NULL), STATUS_SUCCESS);
        for (Index = (ULONG)Done; Index < sizeof(Out); Index++)
            CHECK_EQ(Out[Index], 0x5A);
        CHECK(Sent < RTL_NUMBER_OF(Ios) - 6);
    }
    while (Got < Sent) {
        SimCancel(Ios[Got]);
        CHECK_EQ(SimFinish(Ios[Got++], NULL), STATUS_CANCELLED);
    }
    End(&Scene);
}

#define PARKED 1000

static VOID AThousandParkedExchangesWaitAndEnd(VOID)
{
    RIG_EXCHANGE *Exchanges = calloc(PARKED, sizeof(*Exchanges));
    SIM_IO **Ios = calloc(PARKED, sizeof(*Ios)), *Read;
    ULONG Index, Ended = 0, Got = 0;
    struct cm_request *Request;
    SCENE Scene;

    Begin(&Scene);
    for (Index = 0; Index < PARKED; Index++)
        Ios[Index] = RigStartExchange(&Scene.Disk, &Exchanges[Index], 0, 0, 1);
    Read = SimRead(Scene.File, 0, Scene.Memory, 0, 512);
    while (Ended == 0) { /* on Wine a little later */
        SimSleepMs(1);
        for (Index = 0; Index < PARKED; Index++)
            if (SimIsDone(Ios[Index])) {
                Ended++;
                Got = Index;
            }
    }
    CHECK_EQ(Ended, 1);
    CHECK_EQ(SimWaitFor(Ios[Got]), STATUS_SUCCESS);
    CHECK_EQ(Exchanges[Got].Out.Head.request_count, 1);
    Request = &Exchanges[Got].Out.Requests[0];
    CHECK_EQ(RigReply(&Scene.Disk, Request->tag, CM_STATUS_OK, 512), STATUS_SUCCESS);
    CHECK_EQ(SimFinish(Read, NULL), STATUS_SUCCESS);
    for (Index = 0; Index < PARKED; Index += 10)
        SimCancel(Ios[Index]);
    CHECK_EQ(RigUnmount(Scene.Server.Control, Scene.Disk.Id, CM_UNMOUNT_FORCE), STATUS_SUCCESS);
    for (Index = 0; Index < PARKED; Index++) {
        NTSTATUS Status = SimFinish(Ios[Index], NULL);
        if (Index != Got)
            CHECK(Status == STATUS_DEVICE_REMOVED ||
                  (Status == STATUS_CANCELLED && Index % 10 == 0));
    }
    SimClose(Scene.File);
    SimEndProcess(Scene.Client);
    RigForget(&Scene.Disk);
    RigStopServer(&Scene.Server);
    SimFree(Scene.Memory);
    free(Exchanges);
    free(Ios);
}

static VOID AServerKilledWithAThousandParkedExchangesIsGone(VOID)
{
    RIG_EXCHANGE *Exchanges = calloc(PARKED, sizeof(*Exchanges));
    SIM_IO **Ios = calloc(PARKED, sizeof(*Ios));
    NTSTATUS Status;
    SCENE Scene;
    ULONG Index;

    Begin(&Scene);
    for (Index = 0; Index < PARKED; Index++)
        Ios[Index] = RigStartExchange(&Scene.Disk, &Exchanges[Index], 0, 0, 1);
    RigKillServer(&Scene.Server);
    for (Index = 0; Index < PARKED; Index++)
        CHECK(!NT_SUCCESS(SimFinish(Ios[Index], NULL)));
    Status = SimFinish(SimRead(Scene.File, 0, Scene.Memory, 0, 512), NULL);
    CHECK(Status == STATUS_NO_SUCH_DEVICE || (SimIsWine() && Status == STATUS_FILE_DELETED));
    SimClose(Scene.File);
    SimEndProcess(Scene.Client);
    RigForget(&Scene.Disk);
    SimFree(Scene.Memory);
    free(Exchanges);
    free(Ios);
}

static const RIG_TEST Tests[] = {
    RIG_TEST(BadRepliesAreCountedAndChangeNothing, 2),
    RIG_TEST(GoodRepliesOfABadBatchAreApplied, 5),
    RIG_TEST(OneOfTwoAnswersThatComeAtOnceCounts, 100),
    RIG_TEST(AnAnswerToACancelledReadGoesNowhere, 10),
    RIG_TEST(AServerThatNeverAnswersUsesUpItsSlotsOnly, 5),
    RIG_TEST(CopiesKeepToTheFragment, 1),
    RIG_TEST(WhatLiesAroundAFragmentStays, 1),
    RIG_TEST(ARoomOfAnyLengthIsUsedAsFarAsItGoes, 1),
    RIG_TEST(AThousandParkedExchangesWaitAndEnd, 2),
    RIG_TEST(AServerKilledWithAThousandParkedExchangesIsGone, 2),
};

int main(int Count, char **Arguments)
{
    return RigMain(Count, Arguments, Tests, RTL_NUMBER_OF(Tests));
}
