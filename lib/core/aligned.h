/* SPDX-License-Identifier: MIT */
/*
 * aligned.h - reads and writes of any offset, length and memory, over a file that takes only whole
 * blocks.
 *
 * A file that is not to go through the system's cache (os.h: CM_OS_UNCACHED) wants offset, length
 * and address to be multiples of its alignment. What is so already goes straight through, without
 * a copy; the rest goes through buffers that are made beforehand, and what is not whole blocks is
 * read, changed and written. For the images that are files; see aligned.c for how.
 */
#ifndef CM_ALIGNED_H
#define CM_ALIGNED_H

#include <stdint.h>

/* The largest alignment: that of the memory which the system gives in pages. */
#define CM_ALIGNED_MAX 4096u

/*
 * What lies below. `read` and `write` get whole blocks in aligned memory; all or nothing, and reads
 * beyond the end give zeros. They return 0 or a negative CM_E..., and are called by any threads at
 * once.
 */
struct cm_aligned_below {
    void *context;
    int (*read)(void *context, void *buffer, uint32_t length, uint64_t offset);
    int (*write)(void *context, const void *buffer, uint32_t length, uint64_t offset);
    /* Makes the file end here, after a write of a whole block has made it longer. */
    int (*resize)(void *context, uint64_t size);
};

/* How whoever lies above asks. */
struct cm_aligned_shape {
    uint32_t alignment; /* bytes, a power of two, at most CM_ALIGNED_MAX; 1: none is needed */
    uint32_t unit;      /* offsets and lengths are multiples of it, save for the end of the file */
    uint64_t size;      /* bytes of the file: no request goes beyond */
};

struct cm_aligned;

/* @return 0; CM_ENOMEM; CM_EINVAL: an alignment that cannot be served. Sets the sentence. */
int cm_aligned_new(const struct cm_aligned_below *below, const struct cm_aligned_shape *shape,
                   struct cm_aligned **aligned);
void cm_aligned_free(struct cm_aligned *aligned); /* NULL is allowed */

/* Hot: any threads at once, no allocation, no sentence. What two requests write at once to
 * different bytes is never lost, even within one block. */
int cm_aligned_read(struct cm_aligned *aligned, void *buffer, uint32_t length, uint64_t offset);
int cm_aligned_write(struct cm_aligned *aligned, const void *buffer, uint32_t length,
                     uint64_t offset);

/* Do something to a range that writes to its blocks must not cross: `act` is called once. For
 * trims, which go below in bytes. @return what `act` returns. */
int cm_aligned_alone(struct cm_aligned *aligned, uint64_t offset, uint64_t length,
                     int (*act)(void *context, uint64_t offset, uint64_t length), void *context);

/* Give the file another size. Requests may be under way, but none beyond the smaller of the two
 * sizes. @return what `resize` returns. */
int cm_aligned_resize(struct cm_aligned *aligned, uint64_t size);

#endif
