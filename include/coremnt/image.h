/* SPDX-License-Identifier: MIT */
/*
 * image.h - images: what a disk's bytes come from.
 *
 * Two ways to get one: cm_image_open() opens what a specification string names ("disk.img",
 * "raw:disk.img", "memory:64M"); cm_image_new() wraps callbacks of your own. The library calls an
 * image from several threads of a pool; an image that does not want that says nothing, and the
 * library takes a lock around every call.
 */
#ifndef COREMNT_IMAGE_H
#define COREMNT_IMAGE_H

#include <stddef.h>
#include <stdint.h>

#include "error.h"

#ifdef __cplusplus
extern "C" {
#endif

struct cm_image;

/* How an image keeps what is written to it. */
enum cm_image_layout {
    CM_LAYOUT_FLAT = 0,    /* byte n of the disk at one place, for all n */
    CM_LAYOUT_DYNAMIC = 1, /* blocks that are taken as data comes */
    CM_LAYOUT_CHANGES = 2, /* differencing: what is not here is in the parent */
};

/* What an image is, as cm_image_get_info() tells it. */
struct cm_image_info {
    const char *format;   /* "raw", "memory", ...; a constant */
    uint64_t size;        /* bytes of the disk */
    uint64_t allocated;   /* bytes of storage taken now; equals size where it is not known */
    uint32_t sector_size; /* bytes */
    int read_only;
    int can_trim;
    int can_resize;
    enum cm_image_layout layout;
    uint32_t block_size; /* bytes that are taken at once; 0: the image has no blocks */
    /* Its log was not empty when it was opened: whoever wrote it last did not close it. */
    int was_dirty;
    const char *path; /* of its file, as it was opened; NULL: none. Valid as long as the image */
};

/* What lies in a range of an image, as cm_image_extent() tells it. */
struct cm_extent {
    uint64_t length; /* bytes that are alike, at least one sector */
    uint32_t flags;  /* CM_EXTENT_* */
    uint32_t
        depth; /* 0: this image has it; n: its n-th parent, or none when it is beyond the last */
    uint64_t place; /* byte of that image's file; CM_EXTENT_NO_PLACE: none, or unknown */
};

#define CM_EXTENT_ALLOCATED (1u << 0) /* takes space in the file */
#define CM_EXTENT_ZERO (1u << 1)      /* reads as zeros; without it, it may do so by chance */
#define CM_EXTENT_NO_PLACE UINT64_MAX

#define CM_IMAGE_FUA (1u << 0) /* write: durable before returning */

/*
 * The callbacks of an image. `size` comes first so that the table can grow: fields are only ever
 * added at the end, and the library treats those that lie beyond `size` as NULL. Fill it with
 * designated initialisers and { .size = sizeof(struct cm_image_ops) }.
 *
 * All callbacks get the context given to cm_image_new(), return 0 or a negative CM_E..., and see
 * only ranges that lie inside the disk and are multiples of the sector size. Buffers belong to the
 * caller and are valid during the call only. Reads and writes are all or nothing: a short transfer
 * is an error, and a read of what was never written gives zeros.
 */
struct cm_image_ops {
    uint32_t size;  /* sizeof(struct cm_image_ops) */
    uint32_t flags; /* CM_IMAGE_PARALLEL, CM_IMAGE_OWN_FUA, CM_IMAGE_VOLATILE */

    /* Required. */
    int (*read)(void *context, void *buffer, uint32_t length, uint64_t offset);
    /* Required. Called once, after every other callback has returned. Frees the context. */
    void (*close)(void *context);
    /* Optional; NULL makes the image read-only. `flags`: CM_IMAGE_FUA, and that only with
     * CM_IMAGE_OWN_FUA. */
    int (*write)(void *context, const void *buffer, uint32_t length, uint64_t offset,
                 uint32_t flags);
    /* Optional; NULL says that writes are durable when they return. Makes every write and trim that
     * returned before this call durable. */
    int (*flush)(void *context);
    /* Optional; NULL: the disk does not offer trim. The range is no longer needed: give the space
     * back. Afterwards it reads as zeros. */
    int (*trim)(void *context, uint64_t offset, uint64_t length);
    /* Optional. Fills `allocated` and may correct `format`; the rest is filled in already. */
    int (*info)(void *context, struct cm_image_info *info);
    /* Optional; NULL: the size is what it is. Give the image this size, durably: what is new reads as zeros,
     * what lies beyond is lost. Nothing has changed if it fails. Other callbacks may run meanwhile, but none
     * beyond the smaller of the two sizes. */
    int (*resize)(void *context, uint64_t size);
    /* Optional; NULL: all is allocated. Say of the beginning of the range what it is and how far that goes;
     * extent->length is at most `length`. May read metadata from the storage. */
    int (*extent)(void *context, uint64_t offset, uint64_t length, struct cm_extent *extent);
    /* Optional; NULL: there is none. The image that has what this one does not; it stays this one's. */
    struct cm_image *(*parent)(void *context);
};

/* The callbacks may be called from several threads at once; without it the library serialises. */
#define CM_IMAGE_PARALLEL (1u << 0)
/* `write` obeys CM_IMAGE_FUA itself; without it the library calls `flush` after such a write. */
#define CM_IMAGE_OWN_FUA (1u << 1)
/*
 * What a write has been answered for may be lost when the process ends, because it lies in memory of
 * the process: all of the image, or a cache in front of it. A disk of such an image cannot be held
 * for another process (cm_disk_options.hold_seconds). A file's data that the system caches is not
 * meant: it survives the process.
 */
#define CM_IMAGE_VOLATILE (1u << 2)

/* How cm_image_open() opens. Zero-initialise, set struct_size, then what you need. */
struct cm_image_options {
    uint32_t struct_size; /* sizeof(struct cm_image_options) */
    uint32_t flags;       /* CM_OPEN_* */
    uint64_t size;        /* bytes; 0: the image's own. See below */
    uint32_t sector_size; /* bytes, 512 or 4096; 0: the image's own, or 512 */
    uint32_t block_size;  /* bytes, with CM_OPEN_CREATE: what is taken at once; 0: as is usual */
    const char
        *parent; /* with CM_OPEN_CREATE: the image upon which this one keeps changes; NULL: none */
};

#define CM_OPEN_READ_ONLY (1u << 0)
/* Make the image; it must not exist yet (CM_EEXIST). `size` is required. */
#define CM_OPEN_CREATE (1u << 1)
/* With CM_OPEN_CREATE: an image that exists already is opened instead. */
#define CM_OPEN_OR_CREATE (1u << 2)
/*
 * Let the system cache the image's file. Without it, on Windows, files are read and written past
 * the system's cache, because a disk whose image is cached can come to wait for itself when much is
 * written to it; docs/deadlocks.md says when it is safe. Images that are not files ignore it.
 */
#define CM_OPEN_CACHED (1u << 3)
/* With CM_OPEN_CREATE: take all of the space at once (formats that have blocks). */
#define CM_OPEN_FIXED (1u << 4)

/**
 * Open the image that a specification names.
 *
 * "KIND:REST" with a KIND of cm_image_kinds(), or else a path, which is of the kind that has its extension, and raw
 * when none has. What a file begins with is never looked at to decide.
 * `size` given for an image that exists: a smaller raw file is grown to it (sparse; not when
 * read-only: CM_EINVAL), a larger one is refused (CM_EINVAL), because cutting it would lose data; a
 * container must have that size. So it is with a sector size, which a container knows itself.
 * A size that is not a multiple of the sector size is refused (CM_EINVAL).
 *
 * Blocks for as long as the system takes to open a file.
 * @param spec     UTF-8; copied.
 * @param options  NULL for defaults; copied.
 * @param image    Out: belongs to the caller, release with cm_image_close(). NULL on failure.
 * @return 0, or CM_EINVAL (also: it lies on a disk that this process serves or that has no
 * server), CM_EFORMAT (unknown kind), CM_ENOENT, CM_EEXIST, CM_EACCES, CM_EBUSY (open for writing
 * elsewhere), CM_ENOTSUP (compressed or encrypted, and neither CM_OPEN_READ_ONLY nor
 * CM_OPEN_CACHED), CM_ENOSPC, CM_ENOMEM, CM_EIO; cm_last_error() has the sentence.
 * Threads: any. Since 0.1.
 */
CM_API int cm_image_open(const char *spec, const struct cm_image_options *options,
                         struct cm_image **image);

/**
 * Make an image of your own callbacks. Does not block.
 *
 * @param ops      Copied. With `write` NULL the image is read-only.
 * @param context  Passed to every callback; from success on it belongs to the image.
 * @param size     Bytes; a multiple of sector_size, not 0.
 * @param sector_size  512 or 4096; 0: 512.
 * @param image    Out: belongs to the caller, release with cm_image_close(). NULL on failure.
 * @return 0, CM_EINVAL or CM_ENOMEM.
 * Threads: any. Since 0.1.
 */
CM_API int cm_image_new(const struct cm_image_ops *ops, void *context, uint64_t size,
                        uint32_t sector_size, struct cm_image **image);

/**
 * Flush and close an image. No disk may be serving it. NULL is allowed.
 *
 * Blocks until the flush has ended. The image is gone afterwards even when this fails.
 * @return 0, or what the flush returned: data may not have reached the storage.
 * Threads: any one, after all others are done with the image. Since 0.1.
 */
CM_API int cm_image_close(struct cm_image *image);

/**
 * Read or write bytes of the image; range-checked, CM_ERANGE outside the disk.
 *
 * Any alignment to sectors is required of offset and length (CM_EINVAL). Blocks for the I/O.
 * cm_image_write: CM_EROFS on a read-only image. `flags`: CM_IMAGE_FUA.
 * @return 0 or a negative CM_E... Threads: any, any number at once. Since 0.1.
 */
CM_API int cm_image_read(struct cm_image *image, void *buffer, uint32_t length, uint64_t offset);
CM_API int cm_image_write(struct cm_image *image, const void *buffer, uint32_t length,
                          uint64_t offset, uint32_t flags);

/**
 * Make durable what was written; 0 when the image has nothing to do. Blocks for the I/O.
 * @return 0 or a negative CM_E... Threads: any. Since 0.1.
 */
CM_API int cm_image_flush(struct cm_image *image);

/**
 * Give the space of a range back; it reads as zeros afterwards. CM_ENOTSUP when the image has no
 * trim, CM_EROFS, CM_ERANGE, CM_EINVAL as above. Blocks for the I/O. Threads: any. Since 0.1.
 */
CM_API int cm_image_trim(struct cm_image *image, uint64_t offset, uint64_t length);

/**
 * Give the image another size; beyond a smaller one, data is lost. Blocks for the I/O. A disk that is served
 * from the image keeps the size that it has: for that there is cm_resize() (disk.h).
 *
 * @param size  Bytes; a multiple of the sector size, not 0.
 * @return 0, CM_EINVAL, CM_ENOTSUP (the image cannot), CM_EROFS, CM_ENOSPC or another negative CM_E...: then it
 *         has the size that it had.
 * Threads: any; no request beyond the smaller of the two sizes may be under way. Since 0.1.
 */
CM_API int cm_image_resize(struct cm_image *image, uint64_t size);

/** Describe the image. May ask the file system. @return 0 or CM_EIO. Threads: any. Since 0.1. */
CM_API int cm_image_get_info(struct cm_image *image, struct cm_image_info *info);

/**
 * What lies from `offset` on, up to `length` bytes: see struct cm_extent. Ask again from where it ends. May
 * block for metadata. @return 0, CM_ERANGE or CM_EINVAL as above, CM_EIO. Threads: any. Since 0.1.
 */
CM_API int cm_image_extent(struct cm_image *image, uint64_t offset, uint64_t length,
                           struct cm_extent *extent);

/**
 * The image that has what this one does not, or NULL. It belongs to `image`, is read-only, and is valid as long
 * as that. Does not block. Threads: any. Since 0.1.
 */
CM_API struct cm_image *cm_image_parent(const struct cm_image *image);

/**
 * Whether the image's content goes with its process; see CM_IMAGE_VOLATILE. An image of yours that
 * lies on top of another passes it on. Does not block. @return 0 or 1. Threads: any. Since 0.1.
 */
CM_API int cm_image_is_volatile(const struct cm_image *image);

/** One kind of image that cm_image_open() knows. */
struct cm_image_kind {
    const char *name;    /* the word before the colon */
    const char *syntax;  /* "raw:PATH" */
    const char *summary; /* one line for people */
};

/**
 * The kinds that cm_image_open() knows, for help texts: an array ended by a NULL name.
 * Does not block; a constant. Threads: any. Since 0.1.
 */
CM_API const struct cm_image_kind *cm_image_kinds(void);

/**
 * Read a size as people write it: "4096", "64K", "1.5G", "2T" (powers of 1024; also KiB, KB...).
 * Does not block. @return 0, or CM_EINVAL (not a number, negative, too large, or not whole bytes).
 * Threads: any. Since 0.1.
 */
CM_API int cm_parse_size(const char *text, uint64_t *size);

#ifdef __cplusplus
}
#endif
#endif
