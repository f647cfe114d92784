/* SPDX-License-Identifier: MIT */
/*
 * check_blocks.c - the blocks of a VHDX file: what the BAT says of each, whether no two of them want the same place, and
 * what of the file belongs to nothing. Called by check.c when headers, regions and metadata are right. One thread.
 *
 * The BAT is read in parts, and a map has a bit for each MiB of the file, 16 MiB at most, so that an image of 64 TiB is
 * checked in bounded memory. Repairs take away only what nobody can read: a place that counts for nothing, bits that have
 * no meaning, an entry behind the end of the disk. Of two blocks in one place nobody can tell whose it is.
 */
#include "images/vhdx/check.h"

#include <stdlib.h>
#include <string.h>

#include "lib/core/bytes.h"
#include "lib/core/zeros.h"

#define PART_SIZE 65536u               /* bytes of the BAT at a time */
#define MIBS_MAX (UINT64_C(128) << 20) /* of the file that are mapped: 128 TiB */
#define FIRST_BLOCK_AT VHDX_MIB
#define BITMAP_BITS (8u * VHDX_BITMAP_BLOCK)

/* What the place of an entry is in each state. */
enum place_rule {
    UNKNOWN,
    MUST_BE,   /* the block is there */
    MAY_BE,    /* kept for the block, which has no content now: nobody else may have it */
    NO_MATTER, /* is to be ignored */
    MUST_NOT_BE,
};

static const struct {
    const char *name;
    enum place_rule place;
} states[8] = {
    [VHDX_NOT_PRESENT] = {"not present", NO_MATTER},
    [VHDX_UNDEFINED] = {"undefined", MAY_BE},
    [VHDX_ZERO] = {"zero", MUST_NOT_BE},
    [VHDX_UNMAPPED] = {"unmapped", MAY_BE},
    [4] = {"unknown", UNKNOWN},
    [VHDX_UNMAPPED_095] = {"unmapped", MAY_BE},
    [VHDX_PRESENT] = {"present", MUST_BE},
    [VHDX_PARTLY_PRESENT] = {"partly present", MUST_BE},
};

struct blocks {
    struct vhdx_check *check;
    uint64_t count;   /* of the disk */
    uint64_t chunk;   /* blocks in one */
    uint64_t entries; /* that the disk needs; the table may have room for more */
    uint64_t errors_before;

    unsigned char *used; /* a bit for each MiB of the file */
    uint64_t mibs;

    unsigned char part[PART_SIZE];
    int is_part_changed;

    uint64_t partly_count, partly_first; /* blocks that need the bitmap of the chunk being read */
};

/* -- the map of the file ----------------------------------------------------------------------- */

/* 1: somebody has a part of it already. */
static int take(struct blocks *b, uint64_t at, uint64_t size)
{
    uint64_t end = (at + size + VHDX_MIB - 1) / VHDX_MIB;
    int is_taken = 0;

    for (uint64_t i = at / VHDX_MIB; i < end && i < b->mibs; i++) {
        unsigned bit = 1u << i % 8;

        is_taken |= (b->used[i / 8] & bit) != 0;
        b->used[i / 8] = (unsigned char)(b->used[i / 8] | bit);
    }
    return is_taken;
}

static int take_structures(struct blocks *b)
{
    const struct vhdx_check *check = b->check;
    const struct vhdx_regions *regions = &check->regions;
    uint64_t size = cm_store_size(check->view);

    b->mibs = size / VHDX_MIB + (size % VHDX_MIB != 0);
    if (b->mibs > MIBS_MAX)
        b->mibs = MIBS_MAX;
    b->used = calloc(1, (size_t)(b->mibs / 8 + 1));
    if (b->used == NULL)
        return cm_fail(CM_ENOMEM, "no memory to check %s.", cm_store_path(check->file));
    take(b, 0, FIRST_BLOCK_AT);
    take(b, check->header.log_at, check->header.log_size);
    take(b, regions->bat.at, regions->bat.size);
    take(b, regions->metadata.at, regions->metadata.size);
    for (unsigned i = 0; i < regions->unknown_count; i++)
        take(b, regions->unknown[i].at, regions->unknown[i].size);
    return 0;
}

static int is_in(uint64_t at, uint64_t size, uint64_t region_at, uint64_t region_size)
{
    return at < region_at + region_size && region_at < at + size;
}

/* Who is in a place already, in words. */
static const char *who_has(const struct vhdx_check *check, uint64_t at, uint64_t size)
{
    const struct vhdx_regions *regions = &check->regions;

    if (is_in(at, size, check->header.log_at, check->header.log_size))
        return "the log";
    if (is_in(at, size, regions->bat.at, regions->bat.size))
        return "the block allocation table";
    if (is_in(at, size, regions->metadata.at, regions->metadata.size))
        return "the metadata";
    return "another block";
}

/* A block has this place. `what` and its number are for the sentence. */
static void claim(struct blocks *b, const char *what, uint64_t number, uint64_t at, uint64_t size)
{
    struct vhdx_check *check = b->check;
    uint64_t file_size = cm_store_size(check->view);
    unsigned long long n = (unsigned long long)number, place = (unsigned long long)at;

    if (at < FIRST_BLOCK_AT)
        vhdx_check_tell(check, CM_CHECK_ERROR, 0,
                        "%s %llu is said to be at %llu, where the headers are: its data is lost",
                        what, n, place);
    else if (at >= file_size)
        vhdx_check_tell(check, CM_CHECK_ERROR, 0,
                        "%s %llu is said to be at %llu, behind the end of the file at %llu: copy "
                        "the file again from where it came",
                        what, n, place, (unsigned long long)file_size);
    else if (size > file_size - at)
        vhdx_check_tell(check, CM_CHECK_ERROR, 0,
                        "the last %llu bytes of %s %llu are behind the end of the file: copy the "
                        "file again from where it came",
                        (unsigned long long)(size - (file_size - at)), what, n);
    else if (take(b, at, size))
        vhdx_check_tell(check, CM_CHECK_ERROR, 0,
                        "%s %llu is at %llu, and so is %s: one of them has wrong data. Compare "
                        "what it holds with a copy",
                        what, n, place, who_has(check, at, size));
}

/* -- entries ----------------------------------------------------------------------------------- */

/* A finding that is mended by giving the entry another value. 0, or an error with its sentence. */
static int mend_entry(struct blocks *b, unsigned char *entry, uint64_t value)
{
    int error;

    if (!b->check->repairs)
        return 0;
    error = vhdx_check_change(b->check);
    if (error == 0) {
        cm_put_le64(entry, value);
        b->is_part_changed = 1;
    }
    return error;
}

static int check_reserved(struct blocks *b, unsigned char *entry, const char *what, uint64_t number)
{
    uint64_t value = cm_get_le64(entry);
    uint64_t clean = value & (VHDX_PLACE_MASK | VHDX_STATE_MASK);

    if (clean == value)
        return 0;
    vhdx_check_tell(b->check, CM_CHECK_ERROR, b->check->repairs,
                    "the entry of %s %llu has bits that mean nothing: %#llx", what,
                    (unsigned long long)number, (unsigned long long)value);
    return mend_entry(b, entry, clean);
}

/* A place that the state of its block has no use for. */
static int drop_place(struct blocks *b, unsigned char *entry, uint64_t block,
                      enum cm_check_severity severity, const char *why)
{
    uint64_t value = cm_get_le64(entry);

    vhdx_check_tell(b->check, severity, b->check->repairs, "block %llu is %s and names a place%s",
                    (unsigned long long)block, states[value & VHDX_STATE_MASK].name, why);
    return mend_entry(b, entry, value & VHDX_STATE_MASK);
}

/* Of a block that is kept a place for: no data is there, so a place that is not in the file is no loss. */
static int check_kept(struct blocks *b, unsigned char *entry, uint64_t block)
{
    uint64_t at = cm_get_le64(entry) & VHDX_PLACE_MASK, size = b->check->metadata.block_size;
    uint64_t file_size = cm_store_size(b->check->view);

    if (at < FIRST_BLOCK_AT || size > file_size || at > file_size - size)
        return drop_place(b, entry, block, CM_CHECK_WASTE, " that is not in the file");
    claim(b, "block", block, at, size);
    return 0;
}

static int check_payload(struct blocks *b, unsigned char *entry, uint64_t block)
{
    struct vhdx_check *check = b->check;
    int error = check_reserved(b, entry, "block", block);
    uint64_t value = cm_get_le64(entry), at = value & VHDX_PLACE_MASK;
    unsigned state = value & VHDX_STATE_MASK;

    if (error != 0)
        return error;
    if (state == VHDX_PARTLY_PRESENT) {
        if (!check->metadata.has_parent)
            vhdx_check_tell(check, CM_CHECK_ERROR, 0,
                            "block %llu is partly present, and there is no parent that has the "
                            "rest",
                            (unsigned long long)block);
        else if (b->partly_count++ == 0)
            b->partly_first = block;
    }
    switch (states[state].place) {
    case UNKNOWN:
        vhdx_check_tell(check, CM_CHECK_ERROR, 0, "block %llu is in a state that there is not: %u",
                        (unsigned long long)block, state);
        return 0;
    case MUST_BE:
        check->result->blocks_here++;
        claim(b, "block", block, at, check->metadata.block_size);
        return 0;
    case MAY_BE:
        return at != 0 ? check_kept(b, entry, block) : 0;
    case NO_MATTER:
        return at != 0 ? drop_place(b, entry, block, CM_CHECK_WASTE, ", which counts for nothing")
                       : 0;
    default:
        return at != 0 ? drop_place(b, entry, block, CM_CHECK_ERROR,
                                    ", for which Windows refuses the image")
                       : 0;
    }
}

/* -- sector bitmaps ---------------------------------------------------------------------------- */

/* Bits of sectors behind the end of the disk: nobody reads them, and they would count if the disk grew. */
static int check_last_bits(struct blocks *b, uint64_t bitmap, uint64_t at)
{
    const struct vhdx_metadata *metadata = &b->check->metadata;
    uint64_t sectors = metadata->disk_size / metadata->sector_size;
    uint64_t from = sectors - bitmap * BITMAP_BITS; /* the first bit behind */
    unsigned char page[VHDX_SECTOR];

    if (from >= BITMAP_BITS)
        return 0;
    for (uint64_t i = from / 8 / VHDX_SECTOR; i < VHDX_BITMAP_BLOCK / VHDX_SECTOR; i++) {
        uint64_t first = i * VHDX_SECTOR * 8;
        int error = cm_store_read(b->check->view, page, sizeof(page), at + i * VHDX_SECTOR);

        if (error != 0)
            return cm_fail(error, "cannot read a sector bitmap of %s: %s.",
                           cm_store_path(b->check->file), cm_error_name(error));
        if (cm_is_zeros(page, sizeof(page)))
            continue;
        for (uint64_t bit = from > first ? from - first : 0; bit < 8 * VHDX_SECTOR; bit++) {
            if ((page[bit / 8] >> bit % 8 & 1) != 0) {
                vhdx_check_tell(b->check, CM_CHECK_NOTE, 0,
                                "the last sector bitmap has sectors behind the end of the disk");
                return 0;
            }
        }
    }
    return 0;
}

static int check_bitmap_of_child(struct blocks *b, unsigned char *entry, uint64_t bitmap)
{
    struct vhdx_check *check = b->check;
    int error = check_reserved(b, entry, "sector bitmap", bitmap);
    uint64_t value = cm_get_le64(entry), at = value & VHDX_PLACE_MASK;
    unsigned state = value & VHDX_STATE_MASK;

    if (error != 0)
        return error;
    if (state == VHDX_PRESENT) {
        uint64_t errors = check->result->errors;

        claim(b, "sector bitmap", bitmap, at, VHDX_BITMAP_BLOCK);
        return check->result->errors == errors ? check_last_bits(b, bitmap, at) : 0;
    }
    if (state != VHDX_NOT_PRESENT)
        vhdx_check_tell(check, CM_CHECK_ERROR, 0,
                        "sector bitmap %llu is in a state that there is not: %u",
                        (unsigned long long)bitmap, state);
    if (b->partly_count != 0)
        vhdx_check_tell(check, CM_CHECK_ERROR, 0,
                        "sector bitmap %llu is missing: of %llu blocks from %llu on nothing says "
                        "which sectors are here and which in the parent",
                        (unsigned long long)bitmap, (unsigned long long)b->partly_count,
                        (unsigned long long)b->partly_first);
    return 0;
}

/* Without a parent it is not used; old versions of QEMU leave something there. */
static int check_unused_entry(struct blocks *b, unsigned char *entry, const char *what,
                              uint64_t number, const char *why)
{
    if (cm_get_le64(entry) == 0)
        return 0;
    vhdx_check_tell(b->check, CM_CHECK_WASTE, b->check->repairs,
                    "the entry of %s %llu is not empty, and %s", what, (unsigned long long)number,
                    why);
    return mend_entry(b, entry, 0);
}

/* -- the table --------------------------------------------------------------------------------- */

static int check_entry(struct blocks *b, unsigned char *entry, uint64_t index)
{
    uint64_t bitmap = index / (b->chunk + 1);
    uint64_t block = index - bitmap;
    int error;

    if (index % (b->chunk + 1) == b->chunk) {
        error = index < b->entries && b->check->metadata.has_parent
                    ? check_bitmap_of_child(b, entry, bitmap)
                    : check_unused_entry(b, entry, "sector bitmap", bitmap, "nobody uses it");
        b->partly_count = 0;
        return error;
    }
    return block < b->count
               ? check_payload(b, entry, block)
               : check_unused_entry(b, entry, "block", block, "the disk ends before it");
}

/* Most of the table of a large image is zeros, of which there is nothing to say but what the last blocks want. */
static int is_nothing(const struct blocks *b, uint32_t size)
{
    return b->partly_count == 0 && b->part[0] == 0 && memcmp(b->part, b->part + 1, size - 1) == 0;
}

static int check_part(struct blocks *b, uint64_t at, uint32_t size)
{
    struct vhdx_check *check = b->check;
    uint64_t place = check->regions.bat.at + at;
    int error = cm_store_read(check->view, b->part, size, place);

    if (error != 0)
        return cm_fail(error, "cannot read the block allocation table of %s: %s.",
                       cm_store_path(check->file), cm_error_name(error));
    if (is_nothing(b, size))
        return 0;
    b->is_part_changed = 0;
    for (uint32_t i = 0; i < size && error == 0; i += 8)
        error = check_entry(b, b->part + i, (at + i) / 8);
    if (error != 0 || !b->is_part_changed)
        return error;
    error = cm_store_write(check->file, b->part, size, place);
    if (error != 0)
        return cm_fail(error, "cannot write the block allocation table of %s: %s.",
                       cm_store_path(check->file), cm_error_name(error));
    return 0;
}

static int check_table(struct blocks *b)
{
    const struct cm_check_options *options = b->check->options;
    uint32_t size = b->check->regions.bat.size; /* whole MiB, thus whole parts */
    int error = 0;

    for (uint64_t at = 0; at < size && error == 0; at += PART_SIZE) {
        error = check_part(b, at, PART_SIZE);
        if (error == 0 && options->progress != NULL &&
            options->progress(options->progress_context, at + PART_SIZE, size) != 0)
            error = cm_fail(CM_ECANCELED, "the check of %s was given up.",
                            cm_store_path(b->check->file));
    }
    return error;
}

/* -- what belongs to nothing ------------------------------------------------------------------- */

static uint64_t count_gaps(const struct blocks *b, uint64_t end)
{
    uint64_t gaps = 0;

    for (uint64_t i = 0; i < end; i++)
        gaps += (b->used[i / 8] >> i % 8 & 1) == 0;
    return gaps;
}

/* The end is cut off when all is well: an entry that is wrong may have meant what lies there. In a fixed image it is room
 * that was taken on purpose: QEMU makes them so that no block has a place yet. */
static int check_end(struct blocks *b, uint64_t end)
{
    struct vhdx_check *check = b->check;
    uint64_t size = cm_store_size(check->view);
    int is_fixed = check->metadata.is_fixed;
    int is_cut = check->repairs && !is_fixed && check->result->errors == b->errors_before;
    int error = 0;

    if (end * VHDX_MIB >= size)
        return 0;
    if (is_cut)
        error = vhdx_check_change(check);
    if (error == 0 && is_cut) {
        error = cm_store_resize(check->file, end * VHDX_MIB);
        if (error != 0)
            cm_fail(error, "cannot make %s shorter: %s.", cm_store_path(check->file),
                    cm_error_name(error));
    }
    if (error == 0)
        vhdx_check_tell(check, is_fixed ? CM_CHECK_NOTE : CM_CHECK_WASTE, is_cut,
                        "the last %llu bytes of the file belong to nothing",
                        (unsigned long long)(size - end * VHDX_MIB));
    return error;
}

static int check_room(struct blocks *b)
{
    uint64_t end = b->mibs, gaps;

    if (cm_store_size(b->check->view) / VHDX_MIB > MIBS_MAX) {
        vhdx_check_tell(b->check, CM_CHECK_ERROR, 0,
                        "the file is longer than that of any VHDX image: %llu bytes",
                        (unsigned long long)cm_store_size(b->check->view));
        return 0;
    }
    while (end > 0 && (b->used[(end - 1) / 8] >> (end - 1) % 8 & 1) == 0)
        end--;
    gaps = count_gaps(b, end);
    if (gaps != 0)
        vhdx_check_tell(b->check, CM_CHECK_WASTE, 0,
                        "%llu MiB within the file belong to nothing: coremnt compact makes it "
                        "shorter",
                        (unsigned long long)gaps);
    return check_end(b, end);
}

int vhdx_check_blocks(struct vhdx_check *check)
{
    const struct vhdx_metadata *metadata = &check->metadata;
    struct blocks *b = calloc(1, sizeof(*b));
    int error;

    if (b == NULL)
        return cm_fail(CM_ENOMEM, "no memory to check %s.", cm_store_path(check->file));
    b->check = check;
    b->count = (metadata->disk_size + metadata->block_size - 1) / metadata->block_size;
    b->chunk = VHDX_CHUNK_SECTORS * metadata->sector_size / metadata->block_size;
    b->entries = vhdx_bat_entries(metadata);
    b->errors_before = check->result->errors;
    check->result->blocks = b->count;
    check->result->blocks_here = 0;
    error = take_structures(b);
    if (error == 0)
        error = check_table(b);
    if (error == 0)
        error = check_room(b);
    free(b->used);
    free(b);
    return error;
}
