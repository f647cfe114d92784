/* SPDX-License-Identifier: MIT */
/*
 * fuzz.h - what the targets share: memory that outlives a machine, seeds, and CHECK (tests/driver/rig.h). A
 * check that fails stops the program, which the fuzzer takes for a crash.
 *
 * A target is a libFuzzer program. Besides the fuzzer's own options it knows --write-seeds=FOLDER, which writes
 * its table of inputs made by hand, with which fuzzing begins, each named by a hash.
 */
#ifndef COREMNT_FUZZ_H
#define COREMNT_FUZZ_H

#include "tests/driver/rig.h"

typedef struct SEED {
    const char *Name; /* says what it shows; for the reader */
    const UCHAR *Bytes;
    SIZE_T Length;
} SEED;

#define SEED(array)                                                                                \
    {                                                                                              \
#array, array, sizeof(array)                                                               \
    }

int LLVMFuzzerInitialize(int *Count, char ***Arguments);
int LLVMFuzzerTestOneInput(const uint8_t *Data, size_t Size);

/* Of the target: its seeds; called once, before all else, with the name of the program. */
const SEED *FuzzSeeds(const char *ProgramName, ULONG *Count);

/* Memory of FUZZ_MEMORY bytes, page-aligned, made once: making it is slow. */
#define FUZZ_MEMORY (2432u * KIB)
SIM_MEMORY *FuzzMemory(VOID);

#endif
