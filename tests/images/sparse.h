/* SPDX-License-Identifier: MIT */
/*
 * sparse.h - the bytes of a file, in memory: holes take nothing, and a layer can be laid on top that takes all changes
 * and is thrown away in no time. So one file is the beginning of thousands of power cuts.
 *
 * Not for several threads at once: recorder.c has the lock.
 */
#ifndef CM_TESTS_SPARSE_H
#define CM_TESTS_SPARSE_H

#include <stdint.h>
#include <stdio.h>

#include "lib/core/store.h"

struct sparse;

#define SPARSE_MAX (UINT64_C(8) << 30) /* bytes of a file; a larger one is CM_ENOSPC */

struct sparse *sparse_new(void);
struct sparse *sparse_copy(const struct sparse *from); /* as it reads now, without a layer */
void sparse_free(struct sparse *sparse);               /* NULL is allowed */

uint64_t sparse_size(const struct sparse *sparse);
void sparse_read(const struct sparse *sparse, void *buffer, uint64_t length, uint64_t offset);
void sparse_write(struct sparse *sparse, const void *buffer, uint64_t length, uint64_t offset);
void sparse_zero(struct sparse *sparse, uint64_t offset, uint64_t length);
int sparse_resize(struct sparse *sparse, uint64_t size);

/* From now on changes go into a layer, until it is dropped. One layer at a time. */
void sparse_push(struct sparse *sparse);
void sparse_drop(struct sparse *sparse);

/* A store of these bytes, which stay the caller's; any threads at once, with a lock of its own. Stops the program when
 * there is no memory. */
struct cm_store *sparse_store(struct sparse *sparse, int read_only, const char *path);

/* Into a file, holes as holes. Stops the program if it cannot. */
void sparse_save(const struct sparse *sparse, const char *path);

#endif
