/* SPDX-License-Identifier: MIT */
/*
 * announce.h - telling Explorer and other programs that a drive letter has come or gone.
 */
#ifndef CM_ANNOUNCE_H
#define CM_ANNOUNCE_H

#include <stdint.h>

#define CM_ANNOUNCE_MS 2000u /* enough for all but programs that hang */

/* Returns when they have been told, or after timeout_ms, whatever their windows do. */
void cm_announce_letter(char letter, int arrived, uint32_t timeout_ms);

/* Returns at once; for a program that will not end before they have been told. */
void cm_announce_letter_later(char letter, int arrived);

#endif
