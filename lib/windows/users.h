/* SPDX-License-Identifier: MIT */
/*
 * users.h - who uses a disk: for the sentence of an unmount that is refused.
 */
#ifndef CM_WINDOWS_USERS_H
#define CM_WINDOWS_USERS_H

#include <stddef.h>
#include <stdint.h>

#define CM_USERS_TEXT_SIZE 512u
#define CM_USERS_AND_SELF (1u << 0) /* this process too, which is left out else */

/*
 * The processes that have a file on a disk open, or the disk itself, as people may read it:
 *
 *      notepad.exe (process 1234: \notes\today.txt) and scan.exe (process 77: the whole disk)
 *
 * A few processes, the number of the others, and one file of each; as many as fit. Who has a file
 * only mapped into memory, and files that the kernel has open, are not seen; of other users'
 * processes an administrator sees all but those that Windows protects.
 *
 * @param device  The disk's name in NT, \Device\CoreMntDisk3, in UTF-8.
 * @param flags   CM_USERS_AND_SELF, or 0: who asks mostly has the disk open itself, to lock it.
 * @param text    `size` bytes, always terminated; "" when nobody is known. CM_USERS_TEXT_SIZE is
 *                enough.
 * @return how many processes. Sets no sentence. Blocks for a second at most. Any thread.
 */
unsigned cm_users_of(const char *device, uint32_t flags, char *text, size_t size);

#endif
