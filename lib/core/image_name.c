/* SPDX-License-Identifier: MIT */
/*
 * image_name.c - the partition in the name of a disk's image. Called when a disk is mounted, taken over or looked for.
 */
#include "lib/core/image_name.h"

#include <stdio.h>
#include <string.h>

#define MARK " | partition "

void cm_image_name_add(char *name, size_t size, uint32_t partition)
{
    size_t length = strlen(name);

    if (partition != 0)
        snprintf(name + length, size - length, MARK "%u", (unsigned)partition);
}

/* Digits to the end; not strtoul(), which takes a sign and whose range is another on each system. @return 0: none. */
static uint32_t read_number(const char *text)
{
    uint64_t number = 0;

    for (; *text >= '0' && *text <= '9' && number <= UINT32_MAX; text++)
        number = number * 10 + (uint64_t)(*text - '0');
    return *text == '\0' && number <= UINT32_MAX ? (uint32_t)number : 0;
}

uint32_t cm_image_name_split(char *name)
{
    char *mark = strstr(name, MARK);
    uint32_t number;

    if (mark == NULL)
        return 0;
    number = read_number(mark + strlen(MARK));
    if (number != 0)
        *mark = '\0';
    return number;
}
