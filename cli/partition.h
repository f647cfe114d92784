/* SPDX-License-Identifier: MIT */
/*
 * partition.h - partitions for the verbs that take an image: mount, attach, info.
 */
#ifndef CLI_PARTITION_H
#define CLI_PARTITION_H

#include <coremnt/partition.h>

#define CLI_MAX_PARTITION UINT32_MAX /* the highest number that --partition takes */

/*
 * Between opening an image and using it: with a `number` that is not 0 the image becomes that partition of
 * itself, and with 0 a hint is printed if there are partitions, for Windows finds no file system then.
 * @return 0, or CM_E... with a sentence: the image is closed and *image NULL.
 */
int partition_choose(const char *spec, uint32_t number, struct cm_image **image);

/* For `coremnt info`. */
struct out_json;
void partition_print_json(struct out_json *json, const struct cm_partition_table *table);
int partition_print_text(const struct cm_partition_table *table);

#endif
