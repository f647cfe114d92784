/* SPDX-License-Identifier: MIT */
/*
 * image_name.h - the name of a disk's image as the driver keeps it and `coremnt list` shows it: the full specification, and
 * which partition of it the disk is.
 *
 *      C:\images\disk.img
 *      C:\images\disk.img | partition 2
 *
 * No file of Windows has a "|" in its name.
 */
#ifndef CM_IMAGE_NAME_H
#define CM_IMAGE_NAME_H

#include <stddef.h>
#include <stdint.h>

/* Append the partition, unless it is 0; cut if there is no room. */
void cm_image_name_add(char *name, size_t size, uint32_t partition);

/* Take it off again. @return the partition; 0: the name is of a whole image. */
uint32_t cm_image_name_split(char *name);

#endif
