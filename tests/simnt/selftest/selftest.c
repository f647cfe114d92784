/* SPDX-License-Identifier: MIT */
/* selftest.c - runs cases, each in a process of its own, and listens to how it ends; see selftest.h. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "selftest.h"

#define SECONDS 30 /* a case that takes longer has hung */

TOY Toy;

__attribute__((weak)) void __sanitizer_symbolize_pc(void *pc, const char *format, char *out,
                                                    size_t size);

/* Whether threads of a case run at once: those of most do not where the address sanitizer looks on. */
#if defined(__SANITIZE_THREAD__)
#define IS_TSAN TRUE
#else
#define IS_TSAN FALSE
#endif
#if defined(__SANITIZE_ADDRESS__)
#define IS_ASAN TRUE
#else
#define IS_ASAN FALSE
#endif

/* -- stories ----------------------------------------------------------------------------------- */

SIM_FILE *SelfOpen(SIM_PROCESS **Process)
{
    NTSTATUS Status;
    SIM_FILE *File;

    *Process = SimCreateProcess(TRUE);
    File = SimOpen(*Process, TOY_NAME, GENERIC_READ | GENERIC_WRITE, &Status);
    CHECK_EQ(Status, STATUS_SUCCESS);
    return File;
}

VOID SelfClose(SIM_FILE *File, SIM_PROCESS *Process)
{
    SimClose(File);
    SimEndProcess(Process);
}

SIM_IO *SelfIoctl(SIM_FILE *File)
{
    return SimIoctl(File, IOCTL_TOY, NULL, 0, NULL, 0);
}

VOID SelfOneIoctl(VOID)
{
    SIM_PROCESS *Process;
    SIM_FILE *File = SelfOpen(&Process);

    SimFinish(SelfIoctl(File), NULL);
    SelfClose(File, Process);
}

VOID SelfCheck(BOOLEAN IsSo, const char *Text, const char *File, int Line)
{
    if (!IsSo)
        SimStop("%s:%d: not so: %s", File, Line, Text);
}

VOID SelfCheckEqual(LONG64 Actual, LONG64 Expected, const char *Text, const char *File, int Line)
{
    if (Actual != Expected)
        SimStop("%s:%d: %s: %lld (0x%x), expected %lld (0x%x)", File, Line, Text, (long long)Actual,
                (ULONG)Actual, (long long)Expected, (ULONG)Expected);
}

/* -- one run ----------------------------------------------------------------------------------- */

static VOID Play(const SELF_CASE *Case, const SIM_OPTIONS *Options)
{
    Toy = Case->Toy;
    if (Case->OnNoMachine) {
        Case->Story();
        return;
    }
    SimBoot(Options);
    CHECK_EQ(SimLoadDriver(), STATUS_SUCCESS);
    if (Case->Story != NULL)
        Case->Story();
    else
        SelfOneIoctl();
    if (SimDriverIsLoaded())
        CHECK(SimStopDriver());
    SimShutDown();
}

typedef struct OUTCOME {
    int Status; /* as of waitpid() */
    char Text[65536];
    size_t Length;
} OUTCOME;

static VOID Listen(int From, OUTCOME *Outcome)
{
    char Rest[4096];
    ssize_t Count;

    Outcome->Length = 0;
    for (;;) {
        size_t Room = sizeof(Outcome->Text) - 1 - Outcome->Length;
        Count = Room != 0 ? read(From, Outcome->Text + Outcome->Length, Room)
                          : read(From, Rest, sizeof(Rest));
        if (Count <= 0)
            break;
        if (Room != 0)
            Outcome->Length += (size_t)Count;
    }
    Outcome->Text[Outcome->Length] = '\0';
}

static VOID Run(const SELF_CASE *Case, const SIM_OPTIONS *Options, OUTCOME *Outcome)
{
    const struct rlimit NoCore = {0, 0};
    int Pipe[2];
    pid_t Child;

    fflush(stdout);
    if (pipe(Pipe) != 0 || (Child = fork()) < 0) {
        perror("selftest");
        exit(2);
    }
    if (Child == 0) {
        close(Pipe[0]);
        dup2(Pipe[1], 1);
        dup2(Pipe[1], 2);
        close(Pipe[1]);
        setrlimit(RLIMIT_CORE, &NoCore);
        alarm(SECONDS);
        Play(Case, Options);
        exit(0);
    }
    close(Pipe[1]);
    Listen(Pipe[0], Outcome);
    close(Pipe[0]);
    waitpid(Child, &Outcome->Status, 0);
}

/* Have the sanitizer read the program's lines now, and not in every child. */
static VOID ReadLines(VOID)
{
    char Text[256];

    if (__sanitizer_symbolize_pc != NULL)
        __sanitizer_symbolize_pc((PVOID)(uintptr_t)&ReadLines, "%f", Text, sizeof(Text));
}

/* -- all of them ------------------------------------------------------------------------------- */

static BOOLEAN IsHeard(const SELF_CASE *Case, const OUTCOME *Outcome)
{
    ULONG Index;

    if ((Outcome->Status == 0) != (Case->Hears[0] == NULL))
        return FALSE;
    for (Index = 0; Index < RTL_NUMBER_OF(Case->Hears) && Case->Hears[Index] != NULL; Index++)
        if (strstr(Outcome->Text, Case->Hears[Index]) == NULL)
            return FALSE;
    return TRUE;
}

static VOID PrintFailure(const SELF_CASE *Case, const OUTCOME *Outcome)
{
    ULONG Index;

    printf("FAILED: %s; wait status 0x%x\n", Case->Name, (unsigned)Outcome->Status);
    for (Index = 0; Index < RTL_NUMBER_OF(Case->Hears) && Case->Hears[Index] != NULL; Index++)
        printf("  expected to hear: %s\n", Case->Hears[Index]);
    printf("  heard:\n%s\n", Outcome->Text);
}

static BOOLEAN Passes(const SELF_CASE *Case, SIM_SYSTEM System, BOOLEAN Serial, UINT64 Seed)
{
    SIM_OPTIONS Options = {
        .System = System, .Serial = Serial, .Seed = Seed, .WindowsVersion = Case->Version};
    ULONG Tries = max(Case->Seeds, 1);
    static OUTCOME Outcome;

    printf("%s on %s, %s, seed %llu\n", Case->Name, System == SIM_NT ? "nt" : "wine",
           Serial ? "serial" : "free", (unsigned long long)Seed);
    while (Tries-- != 0) {
        Run(Case, &Options, &Outcome);
        /* What must end well must do so with every seed; a sin is to be seen with one of them. */
        if (IsHeard(Case, &Outcome) != (Case->Hears[0] == NULL))
            break;
        Options.Seed++;
    }
    if (IsHeard(Case, &Outcome))
        return TRUE;
    PrintFailure(Case, &Outcome);
    return FALSE;
}

static UINT64 FirstSeed(VOID)
{
    const char *Text = getenv("CM_SEED");

    return Text != NULL ? strtoull(Text, NULL, 0) : (UINT64)time(NULL) * 1009u;
}

static BOOLEAN IsWanted(const SELF_CASE *Case, int Count, char **Arguments)
{
    int Index;

    if (((Case->On & ONLY_ASAN) != 0 && !IS_ASAN) || ((Case->On & ONLY_TSAN) != 0 && !IS_TSAN) ||
        ((Case->On & ONLY_SERIAL) != 0 && IS_TSAN))
        return FALSE;
    for (Index = 1; Index < Count; Index++)
        if (strcmp(Arguments[Index], Case->Name) == 0)
            return TRUE;
    return Count == 1;
}

int SelfMain(int Count, char **Arguments, const SELF_CASE *Cases, ULONG CaseCount)
{
    ULONG Index, Runs = 0, Failed = 0;
    UINT64 Seed = FirstSeed();

    ReadLines();
    for (Index = 0; Index < CaseCount; Index++) {
        const SELF_CASE *Case = &Cases[Index];
        BOOLEAN Serial = !IS_TSAN && (Case->On & ONLY_FREE) == 0;
        if (!IsWanted(Case, Count, Arguments))
            continue;
        if ((Case->On & ON_NT) != 0)
            Runs++, Failed += !Passes(Case, SIM_NT, Serial, Seed);
        if ((Case->On & ON_WINE) != 0)
            Runs++, Failed += !Passes(Case, SIM_WINE, Serial, Seed);
    }
    printf("%u runs, %u failed\n", Runs, Failed);
    return Runs == 0 || Failed != 0;
}
