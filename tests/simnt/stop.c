/* SPDX-License-Identifier: MIT */
/*
 * stop.c - what happens when a rule is broken: the machine's blue screen. Prints the rule, the stack of the
 * thread that broke it, the stack that had a part in it, the seed, and aborts. Any thread.
 */
#include <execinfo.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "internal.h"

/* In the sanitizers' run time, which knows lines and static functions. */
__attribute__((weak)) void __sanitizer_symbolize_pc(void *pc, const char *format, char *out,
                                                    size_t size);

/* By the chain of frame pointers, which all of this is compiled to keep: every lock and IRP notes its stack. */
__attribute__((no_sanitize("address", "thread", "undefined"), noinline)) VOID
StackCapture(STACK *Stack)
{
    const uintptr_t *Frame = __builtin_frame_address(0);
    ULONG Count = 0;

    while (SimSelf != NULL && Count < STACK_DEPTH && (uintptr_t)Frame % sizeof(*Frame) == 0 &&
           (uintptr_t)Frame >= SimSelf->StackBegin && (uintptr_t)(Frame + 2) <= SimSelf->StackEnd &&
           Frame[1] != 0) {
        Stack->Frames[Count++] = (PVOID)Frame[1];
        if (Frame[0] <= (uintptr_t)Frame) /* callers lie above */
            break;
        Frame = (const uintptr_t *)Frame[0];
    }
    while (Count < STACK_DEPTH)
        Stack->Frames[Count++] = NULL;
}

VOID StackPrint(const char *Title, const STACK *Stack)
{
    char Text[512];
    int Index, Count = 0;

    fprintf(stderr, "  %s\n", Title);
    while (Count < STACK_DEPTH && Stack->Frames[Count] != NULL)
        Count++;
    if (__sanitizer_symbolize_pc == NULL) {
        backtrace_symbols_fd(Stack->Frames, Count, 2);
        return;
    }
    for (Index = 0; Index < Count; Index++) {
        __sanitizer_symbolize_pc((char *)Stack->Frames[Index] - 1, "%f %s:%l", Text, sizeof(Text));
        fprintf(stderr, "    #%d %s\n", Index, Text);
    }
}

static const char *const Contexts[] = {
    [IN_TEST] = "test",
    [IN_LOAD] = "load or unload",
    [IN_DISPATCH] = "dispatch routine",
    [IN_CANCEL] = "cancel routine",
    [IN_WORK_ITEM] = "work item",
    [IN_THREAD] = "system thread",
};

static VOID PrintWhere(VOID)
{
    STACK Here;

    StackCapture(&Here);
    if (SimSelf != NULL)
        fprintf(stderr, "  thread %u \"%s\", in a %s, IRQL %u\n", SimSelf->Id, SimSelf->Name,
                Contexts[SimSelf->Doing], SimSelf->Irql);
    StackPrint("this thread:", &Here);
}

static VOID PrintMachine(VOID)
{
    fprintf(stderr, "  system %s, %s, seed %llu\n",
            Machine.Options.System == SIM_NT ? "NT" : "Wine",
            Machine.Options.Serial ? "serial" : "free", (unsigned long long)Machine.Options.Seed);
}

static VOID __attribute__((noreturn, format(printf, 3, 0)))
Die(const char *Title, const STACK *Other, const char *Format, va_list Arguments)
{
    static int Dying;

    if (__atomic_exchange_n(&Dying, 1, __ATOMIC_SEQ_CST) != 0)
        for (;;)
            sched_yield();
    fflush(stdout);
    fprintf(stderr, "\nsimnt: STOP: ");
    vfprintf(stderr, Format, Arguments);
    fprintf(stderr, "\n");
    PrintWhere();
    if (Other != NULL)
        StackPrint(Title, Other);
    PrintMachine();
    abort();
}

VOID SimStopWith(const char *Title, const STACK *Other, const char *Format, ...)
{
    va_list Arguments;

    va_start(Arguments, Format);
    Die(Title, Other, Format, Arguments);
}

VOID SimStop(const char *Format, ...)
{
    va_list Arguments;

    va_start(Arguments, Format);
    Die(NULL, NULL, Format, Arguments);
}

/* -- when it is a sanitizer that stops the machine --------------------------------------------- */

__attribute__((weak)) void __sanitizer_set_death_callback(void (*callback)(void));

static VOID OnDeath(VOID)
{
#ifdef SIM_ASAN
    if (__asan_report_present())
        IrpPrintCompletionOf(__asan_get_report_address());
#endif
    if (Machine.On)
        PrintMachine();
}

VOID StopBoot(VOID)
{
    if (__sanitizer_set_death_callback != NULL)
        __sanitizer_set_death_callback(OnDeath);
}

/* The environment's options come after these. */
#ifdef SIM_ASAN
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return "detect_stack_use_after_return=1";
}
#endif
#ifdef __SANITIZE_THREAD__
const char *__tsan_default_options(void);
const char *__tsan_default_options(void)
{
    return "halt_on_error=1";
}
#endif

VOID SimAssertFailed(const char *What, const char *File, int Line)
{
    SimStop("assertion failed: %s, %s:%d", What, File, Line);
}

VOID SimCheckCall(const char *Function, KIRQL Highest)
{
    if (SimSelf == NULL || Machine.State == DRIVER_GONE)
        SimStop("%s is called by a driver that has been unloaded", Function);
    if (SimSelf->Irql > Highest)
        SimStop("%s is called at IRQL %u; %u is the highest allowed", Function, SimSelf->Irql,
                Highest);
}
