/* SPDX-License-Identifier: MIT */
/*
 * identity.h - the identity by which a system remembers the volume of an image.
 */
#ifndef CM_IDENTITY_H
#define CM_IDENTITY_H

#include <stdint.h>

#define CM_IDENTITY_SIZE 16u /* bytes */

/*
 * Of an image's name; the same for the same name, ASCII letters of either case being one. With another `turn`
 * another one: for a second disk of the same image. Never all zeros.
 *
 * @param name  NULL or "": an image without a name has an identity of the moment.
 */
void cm_identity_of(const char *name, uint32_t turn, uint8_t identity[CM_IDENTITY_SIZE]);

#endif
