/* SPDX-License-Identifier: MIT */
/*
 * status.c - the one table from a server's answer to the status of an IRP.
 *
 * Every row is a status that file systems pass on to the application. Not among them:
 * STATUS_DEVICE_NOT_READY, which makes Windows show a box that asks for a disk to be inserted.
 */
#include "status.h"

static const NTSTATUS Table[CM_STATUS_COUNT] = {
    [CM_STATUS_OK] = STATUS_SUCCESS,
    [CM_STATUS_IO_ERROR] = STATUS_IO_DEVICE_ERROR,
    [CM_STATUS_MEDIA_ERROR] = STATUS_DEVICE_DATA_ERROR,
    [CM_STATUS_NO_SPACE] = STATUS_DISK_FULL,
    [CM_STATUS_READ_ONLY] = STATUS_MEDIA_WRITE_PROTECTED,
    [CM_STATUS_OUT_OF_RANGE] = STATUS_NONEXISTENT_SECTOR,
    [CM_STATUS_NOT_SUPPORTED] = STATUS_NOT_SUPPORTED,
    [CM_STATUS_NO_MEMORY] = STATUS_INSUFFICIENT_RESOURCES,
    [CM_STATUS_TIMEOUT] = STATUS_IO_TIMEOUT,
    [CM_STATUS_ACCESS] = STATUS_ACCESS_DENIED,
};

NTSTATUS StatusFromServer(ULONG Status)
{
    return Table[Status];
}
