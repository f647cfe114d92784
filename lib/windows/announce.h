/* SPDX-License-Identifier: MIT */
/*
 * announce.h - telling Explorer and other programs that a drive letter has come or gone.
 */
#ifndef CM_ANNOUNCE_H
#define CM_ANNOUNCE_H

/* Returns within about two seconds, whatever the windows of other programs do. */
void cm_announce_letter(char letter, int arrived);

#endif
