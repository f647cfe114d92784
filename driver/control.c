/* SPDX-License-Identifier: MIT */
/*
 * control.c - the control device: opening, closing, and the table of its ioctls.
 *
 * Called by the dispatcher at PASSIVE_LEVEL in the server's (or the tool's) process. Who may open
 * the device is decided by its security descriptor; access bits are part of every code and checked
 * by the I/O manager. Handlers return a status and leave completing to the dispatcher.
 */
#include "control.h"

#include "control_ioctl.h"
#include "exchange.h"
#include "server.h"

NTSTATUS ControlCreate(PDEVICE_OBJECT Device, PIRP Irp, PIO_STACK_LOCATION Stack)
{
    UNREFERENCED_PARAMETER(Device);
    if (Stack->FileObject == NULL || Stack->FileObject->FileName.Length != 0)
        return STATUS_OBJECT_NAME_NOT_FOUND;
    Irp->IoStatus.Information = FILE_OPENED;
    return ServerOpen(Stack->FileObject);
}

/* CLEANUP and CLOSE. Wine has only CLOSE, so both end the server, and CLOSE frees it. */
NTSTATUS ControlClose(PDEVICE_OBJECT Device, PIRP Irp, PIO_STACK_LOCATION Stack)
{
    SERVER *Server = ServerOf(Stack->FileObject);

    UNREFERENCED_PARAMETER(Device);
    UNREFERENCED_PARAMETER(Irp);
    if (Server == NULL)
        return STATUS_SUCCESS;
    ServerEnd(Server);
    if (Stack->MajorFunction == IRP_MJ_CLOSE)
        ServerClose(Stack->FileObject);
    return STATUS_SUCCESS;
}

/* The frame of a variable-sized ioctl is checked by its handler; these are the least sizes. */
typedef struct CONTROL_ROW {
    ULONG Code;
    ULONG InSize;
    ULONG OutSize;
    NTSTATUS (*Handler)(SERVER *Server, PIRP Irp, PIO_STACK_LOCATION Stack);
} CONTROL_ROW;

#define SIZE_OF(type) sizeof(struct type)

static const CONTROL_ROW Rows[] = {
    /* the hot one first */
    {CM_IOCTL_EXCHANGE, SIZE_OF(cm_exchange), SIZE_OF(cm_exchanged), ExchangeIoctl},
    {CM_IOCTL_VERSION, 0, SIZE_OF(cm_version), ControlVersion},
    {CM_IOCTL_MOUNT, SIZE_OF(cm_mount), SIZE_OF(cm_mounted), ControlMount},
    {CM_IOCTL_UNMOUNT, SIZE_OF(cm_unmount), 0, ControlUnmount},
    {CM_IOCTL_ARENA_MAP, SIZE_OF(cm_arena), SIZE_OF(cm_arena_mapped), ControlArenaMap},
    {CM_IOCTL_ARENA_LEND, SIZE_OF(cm_arena), 1, ControlArenaLend},
    {CM_IOCTL_LIST, 0, SIZE_OF(cm_list), ControlList},
    {CM_IOCTL_ATTACH, SIZE_OF(cm_attach), SIZE_OF(cm_attached), ControlAttach},
    {CM_IOCTL_STATS, SIZE_OF(cm_stats_of), SIZE_OF(cm_stats), ControlStats},
    {CM_IOCTL_HEALTH, SIZE_OF(cm_health_of), SIZE_OF(cm_health), ControlHealth},
    {CM_IOCTL_IDENTIFY, SIZE_OF(cm_identify), 0, ControlIdentify},
    {CM_IOCTL_RESIZE, SIZE_OF(cm_resize), 0, ControlResize},
};

NTSTATUS ControlIoctl(PDEVICE_OBJECT Device, PIRP Irp, PIO_STACK_LOCATION Stack)
{
    SERVER *Server = ServerOf(Stack->FileObject);
    ULONG Code = Stack->Parameters.DeviceIoControl.IoControlCode;
    ULONG Index;

    UNREFERENCED_PARAMETER(Device);
    if (Server == NULL) /* Wine lets a refused open through */
        return STATUS_INVALID_HANDLE;
    if (Driver.Stopping) /* on Wine; a server learns from it that this was no unmount */
        return STATUS_DELETE_PENDING;
    for (Index = 0; Index < RTL_NUMBER_OF(Rows); Index++) {
        const CONTROL_ROW *Row = &Rows[Index];
        if (Row->Code != Code)
            continue;
        if (Stack->Parameters.DeviceIoControl.InputBufferLength < Row->InSize)
            return STATUS_INFO_LENGTH_MISMATCH;
        if (Stack->Parameters.DeviceIoControl.OutputBufferLength < Row->OutSize)
            return STATUS_BUFFER_TOO_SMALL;
        return Row->Handler(Server, Irp, Stack);
    }
    return STATUS_INVALID_DEVICE_REQUEST;
}
