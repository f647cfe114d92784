/* SPDX-License-Identifier: MIT */
/*
 * ex.c - pool. A block is the host's malloc, so that the address sanitizer sees every access outside it or
 * after it was freed; new memory is garbage, as in a kernel.
 */
#include <stdlib.h>

#include "internal.h"

#define BLOCK_MAGIC 0x4C4F4F50u
#define NON_PAGED_POOL_NX 512

typedef struct BLOCK {
    LIST_ENTRY Link; /* P: SimLock: Machine.Pool */
    ULONG Magic;
    ULONG Tag;
    SIZE_T Size;
    STACK Allocated;
    UCHAR Guard[16]; /* must be last: inaccessible, between ours and the driver's */
} BLOCK;

C_ASSERT(sizeof(BLOCK) % 16 == 0);

static VOID CheckType(ULONG Type)
{
    if (Type == NON_PAGED_POOL_NX ? Machine.Options.WindowsVersion < 0x602 : Type != NonPagedPool)
        SimStop("pool of type %u: not of this system, or not for memory that is used at IRQL 2",
                Type);
}

PVOID ExAllocatePoolWithTag(POOL_TYPE Type, SIZE_T Size, ULONG Tag)
{
    BLOCK *Block;

    SIM_CALL(DISPATCH_LEVEL);
    CheckType((ULONG)Type);
    if (Size == 0 || Tag == 0)
        SimStop("an allocation of %zu bytes with the tag 0x%x", Size, Tag);
    if (SimShouldFail(__func__))
        return NULL;
    Block = malloc(sizeof(*Block) + Size);
    *Block = (BLOCK){.Magic = BLOCK_MAGIC, .Tag = Tag, .Size = Size};
    StackCapture(&Block->Allocated);
    memset(Block + 1, 0xCD, Size);
    SIM_POISON(Block->Guard, sizeof(Block->Guard));
    SimLock();
    InsertTailList(&Machine.Pool, &Block->Link);
    SimUnlock();
    COUNT(Allocations);
    COUNT(LiveAllocations);
    return Block + 1;
}

VOID ExFreePoolWithTag(PVOID Memory, ULONG Tag)
{
    BLOCK *Block;

    SIM_CALL(DISPATCH_LEVEL);
    if (Memory == NULL)
        SimStop("NULL is freed");
    Block = (BLOCK *)Memory - 1;
    SIM_UNPOISON(Block->Guard, sizeof(Block->Guard));
    if (Block->Magic != BLOCK_MAGIC)
        SimStop("memory is freed that is not pool, or has been freed");
    if (Block->Tag != Tag)
        SimStopWith("allocated at:", &Block->Allocated,
                    "pool with the tag 0x%x is freed with the tag 0x%x", Block->Tag, Tag);
    if ((PUCHAR)SimSelf->Lock >= (PUCHAR)Memory &&
        (PUCHAR)SimSelf->Lock < (PUCHAR)Memory + Block->Size)
        SimStopWith("acquired at:", (const STACK *)SimSelf->Lock->Where,
                    "memory is freed that has a spin lock in it that is held");
    SimLock();
    RemoveEntryList(&Block->Link);
    SimUnlock();
    UNCOUNT(LiveAllocations);
    memset(Memory, 0xDD, Block->Size);
    Block->Magic = 0;
    free(Block);
}

VOID ExCheckNoneLeft(VOID)
{
    if (!IsListEmpty(&Machine.Pool)) {
        BLOCK *Block = CONTAINING_RECORD(Machine.Pool.Flink, BLOCK, Link);
        SimStopWith("allocated at:", &Block->Allocated, "leak: %zu bytes of pool", Block->Size);
    }
}
