/* SPDX-License-Identifier: MIT */
/*
 * letter.h - drive letters: choosing one, giving it to a device, taking it away.
 *
 * A letter is a char 'A'..'Z'. A device is its NT path, "\Device\CoreMntDisk0".
 */
#ifndef CM_LETTER_H
#define CM_LETTER_H

#include <stdint.h>
#include <wchar.h>

#define CM_DEVICE_NAME_SIZE 64u /* of "\Device\CoreMntDisk<number>" */

/* "Z:", "z", "Z:\" -> 'Z'. CM_EINVAL, with a sentence. */
int cm_letter_parse(const char *text, char *letter);

/* CM_EBUSY, with what it points to, unless the letter is free. */
int cm_letter_check(char letter);

/*
 * Give a letter to a device: the one wanted, or with '\0' the first free one from D: on. Two
 * processes that do this at once get different letters. `managed`: the mount manager knows the
 * device, and is to know the letter.
 * @return 0, CM_EBUSY (in use; none free), CM_EACCES, CM_EIO.
 */
int cm_letter_take(char wanted, const char *device, int managed, char *letter);

/* Point a letter at a device without looking whether it is free: to put one back. */
int cm_letter_define(char letter, const char *device);

/* Take a letter away if it points to this device and to nothing else; 0 also when it does not. */
int cm_letter_remove(char letter, const char *device);

/* The letters that point to a device, as bits: A: is bit 0. */
uint32_t cm_letters_of(const char *device);

/* The first of them; '\0': there is none. */
char cm_letter_of(const char *device);

/* The number of the CoreMnt disk that a letter points to; CM_ENOENT with a sentence: none. The disk
 * itself may be gone. */
int cm_letter_disk_number(char letter, uint32_t *number);

void cm_device_name(uint32_t number, char device[CM_DEVICE_NAME_SIZE]);

/* The number in "\Device\CoreMntDisk7", also with a path behind it; 0: it is no CoreMnt disk. */
int cm_device_number(const wchar_t *device, uint32_t *number);

#endif
