/* SPDX-License-Identifier: MIT */
/*
 * scan.c - a look through all of the BAT when a session begins: whether the file has what it says, and which room in it is
 * nobody's.
 *
 * Called once for an image that is written to, before its first change, without the lock. A file that was cut off would
 * otherwise grow over the places of the blocks that it lost, and two blocks would be in one place. That look is taken
 * whatever the size; room that earlier sessions left is looked for only within bounds.
 */
#include <stdlib.h>
#include <string.h>

#include "images/vhdx/disk.h"
#include "lib/core/bytes.h"
#include "lib/core/error_internal.h"

#define PART (64u * 1024u)                /* bytes of the BAT that are read at once */
#define GAPS_TABLE_MAX (8u << 20)         /* bytes of the BAT */
#define GAPS_FILE_MAX (UINT64_C(1) << 24) /* MiB of the file: a bit for each */

struct scan {
    const struct vhdx *v;
    unsigned char *used; /* a bit for each MiB of the file; NULL: gaps are not looked for */
    uint64_t count;      /* of them */
    uint64_t chunk;      /* blocks between two entries of bitmap blocks */
};

static void mark(struct scan *scan, uint64_t at, uint64_t size)
{
    uint64_t first = at / VHDX_MIB;
    uint64_t end = first + (size + VHDX_MIB - 1) / VHDX_MIB;

    for (; scan->used != NULL && first < end && first < scan->count; first++)
        scan->used[first / 8] = (unsigned char)(scan->used[first / 8] | 1u << first % 8);
}

static void mark_structures(struct scan *scan)
{
    const struct vhdx *v = scan->v;

    mark(scan, 0, VHDX_MIB);
    mark(scan, v->header.log_at, v->header.log_size);
    mark(scan, v->regions.bat.at, v->regions.bat.size);
    mark(scan, v->regions.metadata.at, v->regions.metadata.size);
    for (unsigned i = 0; i < v->regions.unknown_count; i++)
        mark(scan, v->regions.unknown[i].at, v->regions.unknown[i].size);
}

/* An entry that has a place keeps it, whatever its state, also behind the end of the disk. */
static int look_at(struct scan *scan, uint64_t index, uint64_t entry, uint64_t entries)
{
    const struct vhdx *v = scan->v;
    uint64_t at = entry & VHDX_PLACE_MASK;
    uint64_t state = entry & VHDX_STATE_MASK;
    uint64_t end = cm_store_size(v->file);
    uint32_t size = v->metadata.block_size;

    if (at == 0)
        return 0;
    if (index % (scan->chunk + 1) == scan->chunk)
        size = VHDX_BITMAP_BLOCK;
    mark(scan, at, size);
    if (index >= entries || (state != VHDX_PRESENT && state != VHDX_PARTLY_PRESENT) ||
        (size <= end && at <= end - size))
        return 0;
    return cm_fail(
        CM_EDAMAGED,
        "%s is cut off: it has %llu bytes, and a block lies at %llu. It can only be read. Copy "
        "it again from where it came.",
        cm_store_path(v->file), (unsigned long long)end, (unsigned long long)at);
}

static int look_through(struct scan *scan, unsigned char *part)
{
    const struct vhdx *v = scan->v;
    uint64_t entries = vhdx_bat_entries(&v->metadata);
    uint64_t all = scan->used != NULL ? v->regions.bat.size / 8 : entries;
    int error = 0;

    for (uint64_t i = 0; i < all && error == 0; i++) {
        uint32_t into = (uint32_t)(i * 8 % PART);

        if (into == 0)
            error = cm_store_read(v->file, part, PART, v->regions.bat.at + i * 8);
        if (error == 0)
            error = look_at(scan, i, cm_get_le64(part + into), entries);
    }
    return error;
}

static void add_gaps(struct vhdx *v, const struct scan *scan)
{
    for (uint64_t i = 0; i < scan->count; i++)
        if ((scan->used[i / 8] >> i % 8 & 1) == 0)
            vhdx_space_add_gap(v, i * VHDX_MIB, VHDX_MIB);
}

/* The room of a fixed image is its blocks', also before they are written to: then it is not found again. */
static int wants_gaps(const struct vhdx *v)
{
    return v->regions.bat.size <= GAPS_TABLE_MAX && v->space.end / VHDX_MIB <= GAPS_FILE_MAX &&
           v->space.limbo.count == 0 && !v->metadata.is_fixed;
}

int vhdx_scan(struct vhdx *v)
{
    struct scan scan = {.v = v, .count = v->space.end / VHDX_MIB};
    unsigned char *part = malloc(PART);
    int error;

    if (part == NULL)
        return CM_ENOMEM;
    scan.chunk = UINT64_C(1) << v->chunk_shift;
    if (wants_gaps(v))
        scan.used = calloc(1, (size_t)scan.count / 8 + 1);
    mark_structures(&scan);
    error = look_through(&scan, part);
    if (error == 0 && scan.used != NULL)
        add_gaps(v, &scan);
    free(scan.used);
    free(part);
    return error;
}
