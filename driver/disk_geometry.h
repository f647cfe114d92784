/* SPDX-License-Identifier: MIT */
/* disk_geometry.h - how large a disk is, in all the ways in which it is asked; see disk_geometry.c. */
#ifndef COREMNT_DISK_GEOMETRY_H
#define COREMNT_DISK_GEOMETRY_H

#include "disk_ioctl.h"

DISK_CALL_HANDLER DiskGeometryAnswer, DiskGeometryAnswerEx;
DISK_CALL_HANDLER DiskGeometryAnswerMediaTypesEx;
DISK_CALL_HANDLER DiskGeometryAnswerLength, DiskGeometryAnswerCapacity;
DISK_CALL_HANDLER DiskGeometryAnswerPartition, DiskGeometryAnswerPartitionEx;
DISK_CALL_HANDLER DiskGeometryAnswerLayout, DiskGeometryAnswerLayoutEx;
DISK_CALL_HANDLER DiskGeometryVerify;

#endif
