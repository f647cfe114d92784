/* SPDX-License-Identifier: MIT */
/*
 * image_internal.h - what registry.c and the files of images/ agree on, and what the tool asks of
 * specifications.
 */
#ifndef CM_IMAGE_INTERNAL_H
#define CM_IMAGE_INTERNAL_H

#include <stddef.h>
#include <stdint.h>

#include "abi/coremnt_abi.h"

#include <coremnt/container.h>
#include <coremnt/image.h>

struct cm_store;

/*
 * Opens an image of one kind. `rest` is what follows "KIND:" and is not empty. The options are
 * complete and checked: known flags that go together, a sector size of 512 or 4096 or 0 (the image's own), a size that is
 * 0 or whole sectors. A kind with a `struct cm_container` is never given CM_OPEN_OR_CREATE. Sets *image, and the sentence
 * if it fails.
 */
typedef int cm_image_opener(const char *rest, const struct cm_image_options *options,
                            struct cm_image **image);

/* Past the system's cache, also on systems where that is not needed. Only from within: for tests,
 * which call an opener themselves. */
#define CM_OPEN_UNCACHED (1u << 31)

/* Nobody may have it open for writing meanwhile (CM_EBUSY), not even where readers do not mind. Only from within. */
#define CM_OPEN_STILL (1u << 30)

/* A differencing image without its parents, which need not exist: what would be there reads as zeros. Only from within. */
#define CM_OPEN_ALONE (1u << 29)

/* One for each kind, in images/. Their table is in registry.c. */
cm_image_opener cm_memory_open;
cm_image_opener cm_raw_open;
cm_image_opener cm_vhd_open;
cm_image_opener cm_vhdx_open;

/*
 * What else there is to know of a kind whose files have a structure. The functions of container.h open the file, read-only
 * or for writing as each needs it, check their options, and call these. Each sets the sentence.
 */
struct cm_container {
    const char *extensions; /* "vhdx avhdx": a path that ends so, in any case, is of this kind */
    uint64_t size_max;      /* bytes of a disk */
    /* The store is read-only without CM_CHECK_REPAIR. `path` of the store leads to the parents. */
    int (*check)(struct cm_store *store, const struct cm_check_options *options,
                 struct cm_check_result *result);
    int (*compact)(struct cm_store *store, cm_progress *progress, void *context);
    /* Of a differencing image, by its store, which is open for writing: differencing.c. `parent` is a path or NULL, and
     * has been opened once. NULL: the kind cannot. */
    int (*commit)(struct cm_store *store, cm_progress *progress, void *context);
    int (*rebase)(struct cm_store *store, const char *parent, uint32_t flags, cm_progress *progress,
                  void *context);
};

extern const struct cm_container cm_vhd_container;
extern const struct cm_container cm_vhdx_container;

/* What a specification names: for those who do something else with it than open it. */
struct cm_image_place {
    const char *kind;                     /* "raw" */
    const struct cm_container *container; /* NULL: files of this kind have no structure */
    const char *path;                     /* within the specification; NULL: it is not a file */
};

/* Sets the sentence. @return 0, CM_EFORMAT, CM_EINVAL. Any thread. */
int cm_image_place(const char *spec, struct cm_image_place *place);

/* The path in what a caller names as a parent: the kind that may be in front of it is that of the child's container, and
 * without one it is taken for that, whatever its name ends with; the format sees that. *path is within `parent`. Sets the
 * sentence. @return 0, CM_EFORMAT, CM_EINVAL. Any thread. */
int cm_image_parent_path(const struct cm_container *container, const char *parent,
                         const char **path);

/* As cm_image_open(), with CM_OPEN_STILL and CM_OPEN_ALONE allowed. */
int cm_image_open_inner(const char *spec, const struct cm_image_options *options,
                        struct cm_image **image);

/* Close an image that is of no use: without a flush, and the sentence stays. */
void cm_image_discard(struct cm_image *image);

/* Whether a disk can have this size: bytes. */
static inline int cm_size_is_possible(uint64_t size, uint32_t sector_size)
{
    return size != 0 && size <= CM_MAX_DISK_SIZE && size % sector_size == 0;
}

/*
 * A specification that means the same in every current folder: what it says, with the path in it
 * made full. The image need not exist. Sets the sentence.
 * @return 0, CM_EFORMAT, CM_EINVAL (also: longer than `size`, zero included), CM_ENOMEM. Any thread.
 */
int cm_image_full_spec(const char *spec, char *full, size_t size);

#endif
