/* SPDX-License-Identifier: MIT */
/*
 * image_name.c - the partition in the name of a disk's image. Called when a disk is mounted, taken over or looked for.
 */
#include "lib/core/image_name.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MARK " | partition "

void cm_image_name_add(char *name, size_t size, uint32_t partition)
{
    size_t length = strlen(name);

    if (partition != 0)
        snprintf(name + length, size - length, MARK "%u", (unsigned)partition);
}

uint32_t cm_image_name_split(char *name)
{
    char *mark = strstr(name, MARK);
    unsigned long number;
    char *end;

    if (mark == NULL)
        return 0;
    number = strtoul(mark + strlen(MARK), &end, 10);
    if (*end != '\0' || end == mark + strlen(MARK) || number == 0 || number > UINT32_MAX)
        return 0;
    *mark = '\0';
    return (uint32_t)number;
}
