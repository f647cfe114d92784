/* SPDX-License-Identifier: MIT */
/*
 * driver_transport.h - the transport whose requests come from CoreMnt.sys.
 */
#ifndef CM_DRIVER_TRANSPORT_H
#define CM_DRIVER_TRANSPORT_H

#include <stdint.h>

#include "abi/coremnt_abi.h"
#include "lib/core/transport.h"

/*
 * Make a disk in the driver. It answers nothing yet; the arena's address is known.
 *
 * @param callers    Threads that will call exchange() at once; more than that also works.
 * @param transport  Out: release with its ops, stop() and close().
 * @param mounted    Out: the disk's id and number.
 * @return 0, or what cm_control_open() and MOUNT give, with a sentence.
 */
int cm_driver_transport_open(const struct cm_mount *mount, uint32_t callers,
                             struct cm_transport **transport, struct cm_mounted *mounted);

/*
 * Take over a disk of the driver's that is held. It answers nothing yet; the arena's address is known.
 * Until cm_driver_transport_keep_disk() says otherwise, stop() and close() leave it to be held.
 *
 * @param disk         As LIST tells it.
 * @param size         Bytes of the image.
 * @param deadline_ns  Until then, a disk that still has a server is tried again.
 * @return as cm_driver_transport_open(); CM_EBUSY, CM_ENOENT.
 */
int cm_driver_transport_attach(const struct cm_list_entry *disk, uint64_t size,
                               uint64_t deadline_ns, uint32_t callers,
                               struct cm_transport **transport);

/*
 * Whether stop() and close() leave the disk to be held for another server. At first so for a disk
 * with hold_seconds: serving that ends with an error is no reason to lose it.
 */
void cm_driver_transport_keep_disk(struct cm_transport *transport, int keep);

/* Give the driver the arena: from here on the disk answers, so the server must be running. */
int cm_driver_transport_share_arena(struct cm_transport *transport);

/*
 * Give the disk the identity by which the mount manager remembers it: of the image's name, so that it is the same
 * next time, unless another disk has that; and the letter that it would like, or '\0'.
 * @return 0, or as CM_IOCTL_IDENTIFY, without a sentence.
 */
int cm_driver_transport_identify(struct cm_transport *transport, const char *image_name,
                                 char letter);

/* After an exchange said CM_EGONE: whether the driver went away, rather than the disk alone. Asks
 * the driver. */
int cm_driver_transport_driver_lost(struct cm_transport *transport);

#endif
