/* SPDX-License-Identifier: MIT */
/*
 * parts.h - the parts of a VHD file that say what and where the rest is: footer, dynamic header, parent locators. Read
 * when an image is opened, made when it is created; never hot.
 *
 * What comes from the file is checked here and nowhere else: whoever gets one of these structures may trust its
 * numbers as far as its comments go. Unless something else is said, functions return 0 or a negative CM_E... with its
 * sentence, which names the file.
 */
#ifndef CM_VHD_PARTS_H
#define CM_VHD_PARTS_H

#include <stddef.h>
#include <stdint.h>

#include "images/vhd/format.h"
#include "lib/core/store.h"

/* -- the footer (footer.c) --------------------------------------------------------------------- */

struct vhd_footer {
    unsigned char bytes[VHD_FOOTER_SIZE]; /* as it is in the file */
    uint32_t type;                        /* enum vhd_type */
    uint64_t header_at;                   /* byte of the file; unchecked */
    uint64_t size;         /* bytes of the disk; whole sectors, not 0, at most VHD_DISK_MAX */
    uint64_t current_size; /* bytes, as a field says; unchecked */
    uint32_t time;         /* seconds since 2000 */
    unsigned char id[VHD_ID_SIZE];
};

/* How the footer was found. */
struct vhd_found {
    uint64_t
        end_at; /* byte of the file behind which there is nothing but the footer, if it is there */
    int end_is_missing;    /* no footer at the end: another one was taken */
    int copy_is_missing;   /* dynamic: none at the beginning */
    int copy_is_different; /* dynamic: it is another one */
};

/* CM_EFORMAT: no VHD; CM_ENOTSUP: a newer version. */
int vhd_footer_find(struct cm_store *store, struct vhd_footer *footer, struct vhd_found *found);

/* From 512 bytes. @return 0, CM_EFORMAT or CM_ENOTSUP, without a sentence. */
int vhd_footer_parse(const unsigned char *bytes, struct vhd_footer *footer);

/* A new one, with a new identity. `size` is one that is possible. */
int vhd_footer_make(struct vhd_footer *footer, enum vhd_type type, uint64_t size);

void vhd_footer_set_size(struct vhd_footer *footer, uint64_t size);
void vhd_footer_set_header(struct vhd_footer *footer, enum vhd_type type, uint64_t at);

/* Seconds since the year 2000, in which the format counts. */
uint32_t vhd_now(void);

/* The sum over a structure, the field at `field` taken as 0. */
uint32_t vhd_checksum(const unsigned char *bytes, size_t size, size_t field);

/* -- the dynamic header (header.c) ------------------------------------------------------------- */

struct vhd_locator_place {
    uint32_t platform;
    uint64_t at;     /* byte of the file; inside it with all its space */
    uint32_t space;  /* bytes */
    uint32_t length; /* bytes; at most `space` */
};

struct vhd_header {
    unsigned char bytes[VHD_HEADER_SIZE];
    uint64_t
        at; /* byte of the file; whole sectors, behind the copy of the footer, inside the file */
    uint64_t table_at; /* byte of the file; whole sectors */
    uint32_t
        entries; /* that the table has room for: at least the needed ones. The others may be beyond the end */
    uint32_t needed; /* for the disk's size; at most VHD_ENTRIES_MAX; these are inside the file */
    uint32_t block_size;  /* bytes of data; a power of two from VHD_BLOCK_MIN to VHD_BLOCK_MAX */
    uint32_t bitmap_size; /* bytes; whole sectors */
    unsigned char parent_id[VHD_ID_SIZE];
    uint32_t parent_time; /* seconds since 2000 */
    struct vhd_locator_place locators[VHD_LOCATORS];
    unsigned locator_count; /* those that are usable, in front */
    unsigned bad_locators;  /* those that lie outside the file */
};

/* CM_EDAMAGED, CM_EFORMAT; CM_ENOTSUP: more blocks than are held. */
int vhd_header_read(struct cm_store *store, const struct vhd_footer *footer,
                    struct vhd_header *header);

/* The fields that others in `header` follow from, for a disk of this size. */
void vhd_header_derive(struct vhd_header *header, uint64_t size);

/* The bytes, from the fields; the locators' places and the parent's name are left as they are. */
void vhd_header_make(struct vhd_header *header);

/* -- who the parent is (locator.c) ------------------------------------------------------------- */

#define VHD_LOCATOR_MAX 65536u /* bytes of a path that are looked at */
#define VHD_LOCATOR_ROOM 4096u /* bytes that are taken for a path at least */

/* UTF-8, as they are in the file; NULL: not there. */
struct vhd_parent_names {
    char *relative;
    char *absolute;
    char *name; /* of the header itself */
};

int vhd_names_read(struct cm_store *store, const struct vhd_header *header,
                   struct vhd_parent_names *names);
void vhd_names_free(struct vhd_parent_names *names);

/* Put the names of a parent into a header and the bytes of its two locators, which the caller writes to the header's
 * places: locators[0] is the relative one and locators[1] the absolute one. */
struct vhd_locator_bytes {
    unsigned char *bytes[2]; /* as long as `space` of its place; free() */
};
int vhd_names_make(struct vhd_header *header, const char *relative, const char *absolute,
                   uint64_t at, struct vhd_locator_bytes *bytes);

#endif
