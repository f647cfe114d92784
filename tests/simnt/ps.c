/* SPDX-License-Identifier: MIT */
/*
 * ps.c - the current process, and threads that the driver makes. What is waited for is the thread's object,
 * which begins with an event that is set at its end.
 */
#include <stdlib.h>

#include "internal.h"

typedef struct KTHREAD {
    KEVENT Ended;            /* must be first: see KeWaitForSingleObject */
    LIST_ENTRY Link;         /* P: SimLock */
    int volatile References; /* handles, pointers, and the thread itself */
    SIM_THREAD *Thread;
    KSTART_ROUTINE *Start;
    PVOID Context;
    STACK Created;
} KTHREAD;

static LIST_ENTRY Threads = {&Threads, &Threads}; /* P: SimLock */

PEPROCESS PsGetCurrentProcess(VOID)
{
    return SimSelf->Process;
}

HANDLE PsGetCurrentProcessId(VOID)
{
    SIM_CALL(DISPATCH_LEVEL);
    return (HANDLE)(uintptr_t)(SimSelf->Process != NULL ? SimSelf->Process->Id : 4);
}

VOID PsDereferenceThread(PVOID Object)
{
    KTHREAD *Thread = Object;

    /* Its memory, and the host's thread, are given back by PsCheckNoneLeft. */
    if (__atomic_sub_fetch(&Thread->References, 1, __ATOMIC_SEQ_CST) < 0)
        SimStopWith("created at:", &Thread->Created, "a thread is dereferenced too often");
}

static VOID RunThread(PVOID Context)
{
    KTHREAD *Thread = Context;
    CONTEXT Before = SimEnterDriver(IN_THREAD);
    jmp_buf Exit;

    SimSelf->IsSystem = TRUE;
    SimSelf->Exit = &Exit;
    if (setjmp(Exit) == 0)
        Thread->Start(Thread->Context);
    if (SimSelf->Irql != PASSIVE_LEVEL)
        SimStopWith("created at:", &Thread->Created, "a thread of the driver ends at IRQL %u",
                    SimSelf->Irql);
    SimLeaveDriver(Before);
    SIM_RELEASE(&Thread->Ended);
    __atomic_store_n(&Thread->Ended.Signalled, 1, __ATOMIC_SEQ_CST);
    SimChanged();
    PsDereferenceThread(Thread);
}

NTSTATUS PsCreateSystemThread(PHANDLE Handle, ULONG Access, POBJECT_ATTRIBUTES Attributes,
                              HANDLE Process, PVOID ClientId, KSTART_ROUTINE *Start, PVOID Context)
{
    KTHREAD *Thread;

    UNREFERENCED_PARAMETER(Attributes);
    UNREFERENCED_PARAMETER(ClientId);
    SIM_CALL(PASSIVE_LEVEL);
    if (Process != NULL)
        SimStop("a system thread in a process that can end");
    if (SimShouldFail(__func__))
        return STATUS_INSUFFICIENT_RESOURCES;
    Thread = calloc(1, sizeof(*Thread));
    KeInitializeEvent(&Thread->Ended, NotificationEvent, FALSE);
    Thread->References = 2;
    Thread->Start = Start;
    Thread->Context = Context;
    StackCapture(&Thread->Created);
    SimLock();
    InsertTailList(&Threads, &Thread->Link);
    SimUnlock();
    *Handle = ObCreateHandle(HANDLE_THREAD, Thread, Access);
    Thread->Thread = SimSpawn("system thread", RunThread, Thread);
    return STATUS_SUCCESS;
}

NTSTATUS PsTerminateSystemThread(NTSTATUS Status)
{
    UNREFERENCED_PARAMETER(Status);
    SIM_CALL(PASSIVE_LEVEL);
    if (SimSelf->Doing != IN_THREAD)
        SimStop("PsTerminateSystemThread is called by a thread that is not the driver's");
    longjmp(*SimSelf->Exit, 1);
}

NTSTATUS ZwWaitForSingleObject(HANDLE Handle, BOOLEAN Alertable, PLARGE_INTEGER Timeout)
{
    KTHREAD *Thread = ObLookUp(Handle, HANDLE_THREAD);

    SIM_CALL(PASSIVE_LEVEL);
    return KeWaitForSingleObject(&Thread->Ended, Executive, KernelMode, Alertable, Timeout);
}

/* Of what the driver refers to by handle: a thread. */
NTSTATUS ObReferenceObjectByHandle(HANDLE Handle, ACCESS_MASK Access, POBJECT_TYPE Type,
                                   KPROCESSOR_MODE Mode, PVOID *Object, PVOID Information)
{
    KTHREAD *Thread = ObLookUp(Handle, HANDLE_THREAD);

    UNREFERENCED_PARAMETER(Access);
    UNREFERENCED_PARAMETER(Type);
    UNREFERENCED_PARAMETER(Information);
    SIM_CALL(PASSIVE_LEVEL);
    if (Mode != KernelMode)
        SimStop("a kernel handle is looked up for user mode");
    if (SimShouldFail(__func__))
        return STATUS_INSUFFICIENT_RESOURCES;
    __atomic_add_fetch(&Thread->References, 1, __ATOMIC_SEQ_CST);
    *Object = Thread;
    return STATUS_SUCCESS;
}

VOID ObDereferenceObject(PVOID Object)
{
    SIM_CALL(DISPATCH_LEVEL);
    PsDereferenceThread(Object);
}

/* The driver is gone: its threads have ended and nobody refers to them. */
VOID PsCheckNoneLeft(VOID)
{
    while (!IsListEmpty(&Threads)) {
        KTHREAD *Thread = CONTAINING_RECORD(RemoveHeadList(&Threads), KTHREAD, Link);
        if (!__atomic_load_n(&Thread->Ended.Signalled, __ATOMIC_SEQ_CST))
            SimStopWith("created at:", &Thread->Created, "leak: a thread runs after the unload");
        SimJoin(Thread->Thread);
        if (Thread->References != 0)
            SimStopWith("created at:", &Thread->Created, "leak: a reference to a thread");
        free(Thread);
    }
}
