/* SPDX-License-Identifier: MIT */
/*
 * serving.h - the part that `mount` and `attach` have in common: serving a disk until its end.
 */
#ifndef CLI_SERVING_H
#define CLI_SERVING_H

#include <coremnt/disk.h>

/*
 * Serve a disk until it is unmounted, telling so, then close it and its image.
 *
 * @param error  What cm_disk_mount() or cm_disk_attach() returned; if not 0, this only tells it and
 *               closes the image.
 * @param verb   "mounted as" or "attached to": what the image now is, before the disk's name.
 * @return what to exit with.
 */
int serving_run(const char *spec, struct cm_image *image, int error, struct cm_disk *disk,
                const char *verb);

#endif
