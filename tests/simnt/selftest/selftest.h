/* SPDX-License-Identifier: MIT */
/*
 * selftest.h - tests of the simulated kernel itself: that it stops at each sin it claims to see, with the
 * sentence that names it, and that it behaves like the systems it stands for.
 *
 * A case is a toy driver (toy.c: one device that does nothing wrong, with some of its routines replaced), a
 * story that the test plays on it, and what must be heard of it. Each runs in a process of its own, once per
 * system that it names: with threads in turn under the address sanitizer, at once under the thread sanitizer.
 */
#ifndef SIMNT_SELFTEST_H
#define SIMNT_SELFTEST_H

#include "tests/simnt/sim.h"

/* -- the toy driver ---------------------------------------------------------------------------- */

typedef struct TOY {
    NTSTATUS (*Load)(VOID); /* last thing of DriverEntry */
    VOID (*Unload)(VOID);   /* first thing of DriverUnload */
    DRIVER_DISPATCH *Create, *Cleanup, *Close;
    DRIVER_DISPATCH *Io; /* read, write, flush, ioctl */
    BOOLEAN KeepsDevice; /* DriverUnload does not delete it; nor the link */
    BOOLEAN KeepsLink;
} TOY;

extern TOY Toy; /* a NULL routine: succeeds at once */

/* The driver's variables: what they were at first whenever it is loaded. */
extern PDRIVER_OBJECT ToyDriver;
extern PDEVICE_OBJECT ToyDevice; /* with an extension of TOY_EXTENSION bytes */
extern KSPIN_LOCK ToyLock, ToyOtherLock;
extern KEVENT ToyEvent; /* notification */
extern LONG volatile ToyCount;

#define TOY_EXTENSION 64
#define TOY_NAME "\\\\.\\Toy"
#define TOY_TAG 0x21796F54u

NTSTATUS ToyComplete(PIRP Irp, NTSTATUS Status, ULONG_PTR Information); /* @return Status */
NTSTATUS ToySucceed(PDEVICE_OBJECT Device, PIRP Irp);
NTSTATUS ToyPend(PIRP Irp, PDRIVER_CANCEL Cancel); /* mark, and set the routine if not NULL */
NTSTATUS ToyStartThread(KSTART_ROUTINE *Routine, PVOID *Thread); /* its object, referenced */
VOID ToyEndThread(PVOID Thread);                                 /* wait for it, dereference */
NTSTATUS ToyMakeDevice(PCWSTR Name, DEVICE_TYPE Type, PDEVICE_OBJECT *Device);

/* -- stories ----------------------------------------------------------------------------------- */

#define IOCTL_TOY CTL_CODE(FILE_DEVICE_UNKNOWN, 0x800u, METHOD_BUFFERED, FILE_ANY_ACCESS)
#define IOCTL_TOY_DIRECT CTL_CODE(FILE_DEVICE_UNKNOWN, 0x801u, METHOD_OUT_DIRECT, FILE_ANY_ACCESS)

SIM_FILE *SelfOpen(SIM_PROCESS **Process); /* the toy's device, by a new process */
VOID SelfClose(SIM_FILE *File, SIM_PROCESS *Process);
SIM_IO *SelfIoctl(SIM_FILE *File); /* starts IOCTL_TOY without buffers */
VOID SelfOneIoctl(VOID);           /* the story of a case that has none: open, IOCTL_TOY, close */

VOID SelfCheck(BOOLEAN IsSo, const char *Text, const char *File, int Line);
VOID SelfCheckEqual(LONG64 Actual, LONG64 Expected, const char *Text, const char *File, int Line);

#define CHECK(condition) SelfCheck((condition) ? TRUE : FALSE, #condition, __FILE__, __LINE__)
#define CHECK_EQ(actual, expected)                                                                 \
    SelfCheckEqual((LONG64)(actual), (LONG64)(expected), #actual " == " #expected, __FILE__,       \
                   __LINE__)

/* -- cases ------------------------------------------------------------------------------------- */

#define ON_NT 1u
#define ON_WINE 2u
#define ON_BOTH 3u
#define ONLY_ASAN 4u    /* it is the address sanitizer that sees it */
#define ONLY_TSAN 8u    /* it is the thread sanitizer that sees it */
#define ONLY_SERIAL 16u /* by what threads that run in turn show; not under the thread sanitizer */
#define ONLY_FREE 32u   /* threads run at once under either sanitizer */

typedef struct SELF_CASE {
    const char *Name;
    ULONG On;
    TOY Toy;
    VOID (*Story)(VOID);  /* NULL: SelfOneIoctl */
    const char *Hears[3]; /* all of these, from a program that fails; none: it ends well */
    ULONG Version;        /* of Windows; 0: 10 */
    BOOLEAN OnNoMachine;  /* the story boots its own */
    ULONG Seeds;          /* tries with another seed until it is heard; 0: one */
} SELF_CASE;

/* A case whose I/O routine sins, and is its name; or does not. */
#define SELF_SIN(routine, on, story, ...)                                                          \
    {                                                                                              \
        .Name = #routine, .On = on, .Toy = {.Io = routine}, .Story = story, .Hears = {             \
            __VA_ARGS__                                                                            \
        }                                                                                          \
    }
#define SELF_WELL(routine, on, story)                                                              \
    {                                                                                              \
        .Name = #routine, .On = on, .Toy = {.Io = routine}, .Story = story                         \
    }

/* main(). Arguments: names of cases. CM_SEED in the environment: the first seed. */
int SelfMain(int Count, char **Arguments, const SELF_CASE *Cases, ULONG CaseCount);

#endif
