/* SPDX-License-Identifier: MIT */
/*
 * footer.c - the footer of a VHD: finding it, reading it, making one. Called when an image is opened, made or resized.
 *
 * Two traps. The size: old programs rounded it down to the geometry (cylinders, heads, sectors) and that is what their
 * disks have; later ones meant the field for the size. Who made the file says which; the names are those by which QEMU
 * tells them, so that all of us see the same disk. And the place: at the end, where a growing file for an instant has
 * nothing; see vhd_footer_find().
 */
#include <string.h>
#include <time.h>

#include "images/vhd/parts.h"
#include "lib/core/bytes.h"
#include "lib/core/error_internal.h"
#include "lib/core/os.h"

#include <coremnt/error.h>

#define YEAR_2000 946684800 /* seconds since 1970 */

#define GEOMETRY_MAX (UINT64_C(65535) * 16 * 255) /* sectors: it says that the disk is larger */

/* QEMU, Disk2vhd, XenServer and others go by the size only if they know the maker, and take the geometry else. With
 * this one, Windows', they read the exact size of ours. */
#define CREATOR "win "
#define CREATOR_VERSION 0x00060003u
#define CREATOR_SYSTEM "Wi2k"

/* Makers that mean the size field. QEMU does not know VirtualBox, and cuts its disks. */
static const char size_makers[][4] = {
    {'w', 'i', 'n', ' '}, {'q', 'e', 'm', '2'},  {'d', '2', 'v', ' '},
    {'C', 'T', 'X', 'S'}, {'t', 'a', 'p', '\0'}, {'v', 'b', 'o', 'x'},
};

/* -- reading ----------------------------------------------------------------------------------- */

uint32_t vhd_checksum(const unsigned char *bytes, size_t size, size_t field)
{
    uint32_t sum = 0;

    for (size_t i = 0; i < size; i++)
        if (i < field || i >= field + 4)
            sum += bytes[i];
    return ~sum;
}

static uint64_t size_of(const unsigned char *bytes)
{
    uint64_t size = cm_get_be64(bytes + VHD_FOOTER_CURRENT_SIZE) / VHD_SECTOR * VHD_SECTOR;
    uint64_t geometry = (uint64_t)cm_get_be16(bytes + VHD_FOOTER_CYLINDERS) *
                        bytes[VHD_FOOTER_HEADS] * bytes[VHD_FOOTER_SECTORS];

    for (size_t i = 0; i < sizeof(size_makers) / sizeof(size_makers[0]); i++)
        if (memcmp(bytes + VHD_FOOTER_CREATOR, size_makers[i], 4) == 0)
            return size;
    return geometry == 0 || geometry == GEOMETRY_MAX ? size : geometry * VHD_SECTOR;
}

int vhd_footer_parse(const unsigned char *bytes, struct vhd_footer *footer)
{
    uint32_t type = cm_get_be32(bytes + VHD_FOOTER_TYPE);

    if (memcmp(bytes, VHD_FOOTER_COOKIE, VHD_COOKIE_SIZE) != 0 ||
        cm_get_be32(bytes + VHD_FOOTER_CHECKSUM) !=
            vhd_checksum(bytes, VHD_FOOTER_SIZE, VHD_FOOTER_CHECKSUM))
        return CM_EFORMAT;
    if (cm_get_be32(bytes + VHD_FOOTER_VERSION) >> 16 != VHD_VERSION >> 16)
        return CM_ENOTSUP;
    if (type != VHD_FIXED && type != VHD_DYNAMIC && type != VHD_DIFFERENCING)
        return CM_ENOTSUP;
    memcpy(footer->bytes, bytes, VHD_FOOTER_SIZE);
    footer->type = type;
    footer->header_at = cm_get_be64(bytes + VHD_FOOTER_HEADER_AT);
    footer->current_size = cm_get_be64(bytes + VHD_FOOTER_CURRENT_SIZE);
    footer->size = size_of(bytes);
    footer->time = cm_get_be32(bytes + VHD_FOOTER_TIME);
    memcpy(footer->id, bytes + VHD_FOOTER_ID, VHD_ID_SIZE);
    return footer->size == 0 || footer->size > VHD_DISK_MAX ? CM_EFORMAT : 0;
}

/* -- finding ----------------------------------------------------------------------------------- */

/* @return 0; CM_EFORMAT, CM_ENOTSUP: not there, or not ours; another error without a sentence. */
static int footer_at(struct cm_store *store, uint64_t at, struct vhd_footer *footer)
{
    unsigned char bytes[VHD_FOOTER_SIZE];
    int error = cm_store_read(store, bytes, sizeof(bytes), at);

    return error != 0 ? error : vhd_footer_parse(bytes, footer);
}

/* How far before its place at the end: by each whole sector of padding first, then by powers of two. */
static uint64_t next_step(uint64_t step)
{
    return step < VHD_PADDING_MAX + VHD_SECTOR ? step + VHD_SECTOR : 2 * step;
}

/*
 * The footer of a fixed image that was being grown. A growth goes in steps of powers of two (fixed.c), and as long as
 * the new footer has not reached the storage, the old one lies a step before the end. And a program that was killed while it
 * wrote the last sectors on a storage of larger ones may have left padding behind it (lib/core/aligned.c).
 */
static int footer_before_growth(struct cm_store *store, struct vhd_footer *footer)
{
    uint64_t size = cm_store_size(store);

    for (uint64_t step = VHD_SECTOR; step < UINT64_C(1) << 42; step = next_step(step)) {
        uint64_t back = VHD_FOOTER_SIZE + step;
        int error;

        if (size % VHD_SECTOR != 0 || back > size)
            break;
        error = footer_at(store, size - back, footer);
        if (error == 0 && footer->type == VHD_FIXED && footer->current_size == size - back)
            return 0;
        if (error != 0 && error != CM_EFORMAT && error != CM_ENOTSUP)
            return error;
    }
    return CM_EFORMAT;
}

static void compare_copy(struct cm_store *store, const struct vhd_footer *footer,
                         struct vhd_found *found)
{
    struct vhd_footer copy;

    found->copy_is_missing = footer_at(store, 0, &copy) != 0;
    found->copy_is_different =
        !found->copy_is_missing && memcmp(copy.bytes, footer->bytes, VHD_FOOTER_SIZE) != 0;
}

static int not_found(struct cm_store *store, int error)
{
    const char *path = cm_store_path(store);

    if (error == CM_ENOTSUP)
        return cm_fail(error, "%s is a VHD of a newer version, or of a kind that is not known.",
                       path);
    if (error == CM_EFORMAT)
        return cm_fail(error,
                       "%s is no VHD, or was cut off: it has no valid footer. A file that holds "
                       "the disk's bytes as they are is \"raw:%s\".",
                       path, path);
    return cm_fail(error, "cannot read %s.", path);
}

/*
 * At the end; else where a growth that was cut short has left it. A growing fixed image is looked for before the copy at
 * the beginning, which in a fixed image is the disk's first sector: whoever owns the disk could write a footer there,
 * and the paths of somebody else's files behind it.
 */
int vhd_footer_find(struct cm_store *store, struct vhd_footer *footer, struct vhd_found *found)
{
    uint64_t size = cm_store_size(store);
    int error = CM_EFORMAT, at_end;

    memset(found, 0, sizeof(*found));
    if (size >= VHD_FOOTER_SIZE)
        error = footer_at(store, size - VHD_FOOTER_SIZE, footer);
    if (error == 0) {
        found->end_at = size - VHD_FOOTER_SIZE;
        if (footer->type != VHD_FIXED)
            compare_copy(store, footer, found);
        return 0;
    }
    at_end = error;
    found->end_is_missing = 1;
    found->end_at = size;
    if (error == CM_EFORMAT)
        error = footer_before_growth(store, footer);
    if (error == CM_EFORMAT && size >= 2 * VHD_FOOTER_SIZE) {
        error = footer_at(store, 0, footer);
        if (error == 0 && footer->type == VHD_FIXED)
            error = CM_EFORMAT; /* its beginning is not ours */
    }
    return error == 0 ? 0 : not_found(store, at_end == CM_ENOTSUP ? at_end : error);
}

/* -- making ------------------------------------------------------------------------------------ */

uint32_t vhd_now(void)
{
    time_t now = time(NULL);

    return now > YEAR_2000 ? (uint32_t)(now - YEAR_2000) : 0;
}

/* The specification's way from a size to a geometry, which is not larger than it. */
static void set_geometry(unsigned char *bytes, uint64_t size)
{
    uint64_t all = size / VHD_SECTOR;
    uint32_t heads, sectors, tracks;

    if (all > GEOMETRY_MAX)
        all = GEOMETRY_MAX;
    if (all >= UINT64_C(65535) * 16 * 63) {
        sectors = 255;
        heads = 16;
        tracks = (uint32_t)(all / sectors);
    } else {
        sectors = 17;
        tracks = (uint32_t)(all / sectors);
        heads = (tracks + 1023) / 1024;
        if (heads < 4)
            heads = 4;
        if (tracks >= heads * 1024 || heads > 16) {
            sectors = 31;
            heads = 16;
            tracks = (uint32_t)(all / sectors);
        }
        if (tracks >= heads * 1024) {
            sectors = 63;
            heads = 16;
            tracks = (uint32_t)(all / sectors);
        }
    }
    cm_put_be16(bytes + VHD_FOOTER_CYLINDERS, (uint16_t)(tracks / heads));
    bytes[VHD_FOOTER_HEADS] = (unsigned char)heads;
    bytes[VHD_FOOTER_SECTORS] = (unsigned char)sectors;
}

/* The maker is set too: another one may have meant the geometry, and the new size need not be one. */
void vhd_footer_set_size(struct vhd_footer *footer, uint64_t size)
{
    unsigned char *bytes = footer->bytes;

    footer->size = footer->current_size = size;
    memcpy(bytes + VHD_FOOTER_CREATOR, CREATOR, 4);
    cm_put_be32(bytes + VHD_FOOTER_CREATOR_VERSION, CREATOR_VERSION);
    memcpy(bytes + VHD_FOOTER_CREATOR_SYSTEM, CREATOR_SYSTEM, 4);
    cm_put_be64(bytes + VHD_FOOTER_CURRENT_SIZE, size);
    set_geometry(bytes, size);
    cm_put_be32(bytes + VHD_FOOTER_CHECKSUM,
                vhd_checksum(bytes, VHD_FOOTER_SIZE, VHD_FOOTER_CHECKSUM));
}

void vhd_footer_set_header(struct vhd_footer *footer, enum vhd_type type, uint64_t at)
{
    footer->type = type;
    footer->header_at = at;
    cm_put_be32(footer->bytes + VHD_FOOTER_TYPE, type);
    cm_put_be64(footer->bytes + VHD_FOOTER_HEADER_AT, at);
    cm_put_be32(footer->bytes + VHD_FOOTER_CHECKSUM,
                vhd_checksum(footer->bytes, VHD_FOOTER_SIZE, VHD_FOOTER_CHECKSUM));
}

int vhd_footer_make(struct vhd_footer *footer, enum vhd_type type, uint64_t size)
{
    unsigned char *bytes = footer->bytes;

    memset(footer, 0, sizeof(*footer));
    if (cm_os_random(footer->id, VHD_ID_SIZE) != 0)
        return cm_fail(CM_EIO, "the system has no random bytes for a new image's identity.");
    footer->id[6] = (footer->id[6] & 0x0f) | 0x40; /* says that they are random */
    footer->id[8] = (footer->id[8] & 0x3f) | 0x80;
    footer->type = type;
    footer->header_at = type == VHD_FIXED ? UINT64_MAX : VHD_FOOTER_SIZE;
    footer->time = vhd_now();
    memcpy(bytes, VHD_FOOTER_COOKIE, VHD_COOKIE_SIZE);
    cm_put_be32(bytes + VHD_FOOTER_FEATURES, VHD_FEATURE_RESERVED);
    cm_put_be32(bytes + VHD_FOOTER_VERSION, VHD_VERSION);
    cm_put_be64(bytes + VHD_FOOTER_HEADER_AT, footer->header_at);
    cm_put_be32(bytes + VHD_FOOTER_TIME, footer->time);
    cm_put_be64(bytes + VHD_FOOTER_ORIGINAL_SIZE, size);
    cm_put_be32(bytes + VHD_FOOTER_TYPE, type);
    memcpy(bytes + VHD_FOOTER_ID, footer->id, VHD_ID_SIZE);
    vhd_footer_set_size(footer, size);
    return 0;
}
