/* SPDX-License-Identifier: MIT */
/* fuzz.c - see fuzz.h. Called by libFuzzer when a target starts, and by the targets. */
#include <stdio.h>
#include <stdlib.h>

#include "fuzz.h"

static SIM_MEMORY *Memory;

SIM_MEMORY *FuzzMemory(VOID)
{
    return Memory;
}

static ULONG64 Hash(const SEED *Seed)
{
    ULONG64 Value = 0xCBF29CE484222325u;
    SIZE_T Index;

    for (Index = 0; Index < Seed->Length; Index++)
        Value = (Value ^ Seed->Bytes[Index]) * 0x100000001B3u;
    return Value;
}

static VOID WriteSeeds(const char *ProgramName, const char *Folder)
{
    char Path[1024];
    ULONG Count, Index;
    const SEED *Seeds = FuzzSeeds(ProgramName, &Count);

    for (Index = 0; Index < Count; Index++) {
        FILE *File;
        snprintf(Path, sizeof(Path), "%s/seed-%016llx", Folder,
                 (unsigned long long)Hash(&Seeds[Index]));
        File = fopen(Path, "wb");
        if (File == NULL || fwrite(Seeds[Index].Bytes, 1, Seeds[Index].Length, File) == 0 ||
            fclose(File) != 0) {
            perror(Path);
            exit(1);
        }
        printf("%s: %s\n", Path, Seeds[Index].Name);
    }
    exit(0);
}

int LLVMFuzzerInitialize(int *Count, char ***Arguments)
{
    static const char Option[] = "--write-seeds=";
    const char *Name = strrchr((*Arguments)[0], '/');
    ULONG Seeds;
    int Index;

    Name = Name != NULL ? Name + 1 : (*Arguments)[0];
    for (Index = 1; Index < *Count; Index++)
        if (strncmp((*Arguments)[Index], Option, sizeof(Option) - 1) == 0)
            WriteSeeds(Name, (*Arguments)[Index] + sizeof(Option) - 1);
    FuzzSeeds(Name, &Seeds);
    Memory = SimAllocate(FUZZ_MEMORY);
    return 0;
}
