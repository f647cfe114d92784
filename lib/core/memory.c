/* SPDX-License-Identifier: MIT */
/*
 * memory.c - frees what the library has given to a caller.
 *
 * Called by programs, on any thread, never on the hot path. A program must not call its own free():
 * the library may be a DLL with another C run time.
 */
#include <stdlib.h>

#include <coremnt/disk.h>

void cm_free(void *memory)
{
    free(memory);
}
