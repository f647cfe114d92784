/* SPDX-License-Identifier: MIT */
/*
 * check.c - a VHD looked over: footers, header, table, bitmaps, parents. Called with a file that nobody else has open.
 *
 * Mended is what can be without a guess: footers, of which there are two. A wrong entry of the table cannot be, because
 * nobody knows where its block is; the rest of such an image can still be read and converted. Memory is that of the open
 * image; bitmaps are read one after the other.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "images/vhd/map.h"
#include "lib/core/bytes.h"
#include "lib/core/error_internal.h"

#define TELL_MAX 20u /* findings of one kind that are told one by one */

struct check {
    struct cm_store *store;
    const struct cm_check_options *options;
    struct cm_check_result *result;
    const char
        *below; /* the file's path, if it is a parent; "": it is the one that was asked about */
    unsigned depth;
};

static void tell(struct check *c, enum cm_check_severity severity, int is_repaired,
                 const char *format, ...) CM_PRINTF(4, 5);

static void tell(struct check *c, enum cm_check_severity severity, int is_repaired,
                 const char *format, ...)
{
    char text[1024];
    size_t used;
    va_list arguments;

    c->result->errors_left += severity == CM_CHECK_ERROR && !is_repaired;
    if (severity == CM_CHECK_ERROR)
        c->result->errors++;
    else if (severity == CM_CHECK_WASTE)
        c->result->wastes++;
    c->result->repaired += (uint64_t)is_repaired;
    if (c->options->report == NULL)
        return;
    used = (size_t)snprintf(text, sizeof(text), "%.500s%s", c->below, *c->below ? ": " : "");
    va_start(arguments, format);
    vsnprintf(text + used, sizeof(text) - used, format, arguments);
    va_end(arguments);
    used = strlen(text);
    if (used > 0 && text[used - 1] == '.') /* of a sentence that was an error's */
        text[used - 1] = '\0';
    c->options->report(c->options->context, severity, is_repaired, text);
}

static int may_repair(const struct check *c)
{
    return (c->options->flags & CM_CHECK_REPAIR) != 0 && *c->below == '\0' &&
           !cm_store_is_read_only(c->store);
}

/* -- footers ----------------------------------------------------------------------------------- */

/* As a writer would: of the copy at the beginning too. */
static int repair(struct check *c, const struct vhd_footer *footer, struct vhd *vhd)
{
    return vhd != NULL ? vhd_prepare_writer(vhd) : vhd_fixed_restore_end(c->store, footer);
}

/* `vhd` NULL: it has no blocks, or they could not be read. */
static int check_footers(struct check *c, const struct vhd_footer *footer, struct vhd_found found,
                         struct vhd *vhd, int repairs)
{
    int error = 0;

    if (found.end_is_missing) {
        error = repairs ? repair(c, footer, vhd) : 0;
        tell(c, CM_CHECK_WASTE, repairs && error == 0,
             "there is no footer at the end: the file was being made longer when its program or "
             "computer stopped, or was cut off");
    }
    if (error == 0 && (found.copy_is_missing || found.copy_is_different)) {
        error = repairs ? repair(c, footer, vhd) : 0;
        tell(c, CM_CHECK_WASTE, repairs && error == 0,
             found.copy_is_missing ? "the copy of the footer at the beginning is damaged"
                                   : "the copy of the footer at the beginning is another one");
    }
    if ((cm_get_be32(footer->bytes + VHD_FOOTER_FEATURES) & VHD_FEATURE_RESERVED) == 0)
        tell(c, CM_CHECK_NOTE, 0, "a reserved bit of the footer that is always set is not");
    return error;
}

/* -- the table --------------------------------------------------------------------------------- */

static const char *what_is_bad(const struct vhd *vhd, uint32_t block)
{
    struct vhd_range structures[VHD_STRUCTURES_MAX];
    unsigned count = vhd_structures(vhd, structures);
    uint64_t at = vhd_place(vhd, block), end = vhd_blocks_end(vhd), span = vhd_block_span(vhd);

    if (at > end || span > end - at)
        return "lies beyond the end of the file";
    for (unsigned i = 0; i < count; i++)
        if (at < structures[i].to && structures[i].from < at + span)
            return "lies over the image's own structures";
    return "overlaps another block";
}

static void check_table(struct check *c, const struct vhd *vhd)
{
    uint64_t here = 0, bad = 0, odd = 0;

    for (uint32_t i = 0; i < vhd->header.needed; i++) {
        if (vhd->bat[i] == VHD_ABSENT)
            continue;
        here++;
        odd += (vhd_place(vhd, i) + vhd->header.bitmap_size) % 4096 != 0;
        if (vhd->state[i] == VHD_BAD && ++bad <= TELL_MAX)
            tell(c, CM_CHECK_ERROR, 0, "block %u, at sector %u of the file, %s", (unsigned)i,
                 (unsigned)vhd->bat[i], what_is_bad(vhd, i));
    }
    if (bad > TELL_MAX) {
        c->result->errors += bad - TELL_MAX - 1;
        c->result->errors_left += bad - TELL_MAX - 1;
        tell(c, CM_CHECK_ERROR, 0, "%llu more blocks like these",
             (unsigned long long)(bad - TELL_MAX));
    }
    if (odd != 0)
        tell(c, CM_CHECK_NOTE, 0,
             "%llu of %llu blocks do not begin at whole 4 KiB of the file: they are slower on most "
             "storage",
             (unsigned long long)odd, (unsigned long long)here);
    if (*c->below == '\0') {
        c->result->blocks = vhd->header.needed;
        c->result->blocks_here = here;
    }
}

/* Space between what is used and the end that a new block would find. */
static void check_space(struct check *c, const struct vhd *vhd)
{
    uint64_t used = 0, end = vhd_blocks_end(vhd);
    struct vhd_range structures[VHD_STRUCTURES_MAX];
    unsigned count = vhd_structures(vhd, structures);

    if (vhd->bad != 0)
        return;
    for (unsigned i = 0; i < count; i++)
        used += structures[i].to - structures[i].from;
    for (uint32_t i = 0; i < vhd->header.needed; i++)
        used += vhd->bat[i] != VHD_ABSENT ? (vhd_block_span(vhd) + 4095) / 4096 * 4096 : 0;
    if (end > used && end - used >= vhd_block_span(vhd) + 4096)
        tell(c, CM_CHECK_WASTE, 0, "%llu bytes of the file belong to nothing: compact it",
             (unsigned long long)(end - used));
}

static int told_to_stop(struct check *c, uint64_t done, uint64_t all)
{
    if (c->options->progress == NULL || done % 1024 != 0)
        return 0;
    return c->options->progress(c->options->progress_context, done, all) != 0;
}

/* In a dynamic image a sector without its bit reads as zeros here, but some programs do not look. */
static int check_bitmaps(struct check *c, struct vhd *vhd)
{
    uint64_t partly = 0, empty = 0;
    int error = 0;

    for (uint32_t i = 0; i < vhd->header.needed && error == 0; i++) {
        struct vhd_bitmap *bitmap = NULL;

        if (told_to_stop(c, i, vhd->header.needed))
            return cm_fail(CM_ECANCELED, "given up.");
        if (vhd->bat[i] == VHD_ABSENT || vhd->state[i] == VHD_BAD)
            continue;
        cm_os_mutex_lock(&vhd->lock);
        error = vhd_bitmap_get(vhd, i, 0, &bitmap);
        if (bitmap != NULL) {
            partly++;
            empty += vhd_bits_alike(bitmap->bits, 0, vhd->header.block_size / VHD_SECTOR) ==
                     vhd->header.block_size / VHD_SECTOR;
            vhd_bitmap_put(bitmap);
        }
        cm_os_mutex_unlock(&vhd->lock);
    }
    if (error != 0)
        return cm_fail(error, "cannot read %s: %s.", cm_store_path(c->store), cm_error_name(error));
    if (vhd->footer.type == VHD_DYNAMIC && partly != 0)
        tell(c, CM_CHECK_NOTE, 0,
             "the bitmaps of %llu blocks have sectors that are not here: they read as zeros; some "
             "programs read what lies there",
             (unsigned long long)partly);
    if (empty != 0)
        tell(c, CM_CHECK_WASTE, 0, "%llu blocks have space and hold nothing",
             (unsigned long long)empty);
    return 0;
}

/* -- parents ----------------------------------------------------------------------------------- */

static int check_one(struct check *c);

/* What the system refused ends the check; all else that is said of a parent is a finding. */
static int is_finding(int error)
{
    return error == CM_ENOENT || error == CM_EDAMAGED || error == CM_EFORMAT || error == CM_ENOTSUP;
}

/* The parent's own structures; it finds its own parent in turn. */
static int check_parents(struct check *c, const struct vhd *vhd)
{
    struct cm_image_options options = {.struct_size = sizeof(options), .flags = CM_OPEN_READ_ONLY};
    struct check parent = *c;
    int error;

    if (vhd->header.bad_locators != 0)
        tell(c, CM_CHECK_ERROR, 0, "%u names of the parent lie outside the file",
             vhd->header.bad_locators);
    error = vhd_parent_find(vhd, &options, c->depth, &parent.store);
    if (is_finding(error)) {
        tell(c, CM_CHECK_ERROR, 0, "%s", cm_last_error());
        return 0;
    }
    if (error != 0)
        return error;
    parent.below = cm_store_path(parent.store);
    parent.depth++;
    error = check_one(&parent);
    cm_store_close(parent.store);
    return error;
}

/* -- all of it --------------------------------------------------------------------------------- */

/* Of an image that was cut off nothing is repaired: a footer behind half a block would make it seem whole. */
static int check_blocks(struct check *c, const struct vhd_footer *footer, struct vhd_found found)
{
    struct vhd *vhd;
    int error = vhd_open_map(c->store, &vhd);

    if (error == CM_EDAMAGED) {
        tell(c, CM_CHECK_ERROR, 0, "%s", cm_last_error());
        return check_footers(c, footer, found, NULL, 0);
    }
    if (error != 0)
        return error;
    error = check_footers(c, footer, found, vhd, may_repair(c) && vhd->bad == 0);
    check_table(c, vhd);
    check_space(c, vhd);
    if (error == 0)
        error = check_bitmaps(c, vhd);
    if (error == 0 && vhd->footer.type == VHD_DIFFERENCING)
        error = check_parents(c, vhd);
    vhd_close_map(vhd);
    return error;
}

static int check_one(struct check *c)
{
    struct vhd_footer footer;
    struct vhd_found found;
    int is_whole, error = vhd_footer_find(c->store, &footer, &found);

    if (error != 0)
        return error;
    if (footer.type != VHD_FIXED)
        return check_blocks(c, &footer, found);
    is_whole = footer.size <= cm_store_size(c->store) - VHD_FOOTER_SIZE;
    if (!is_whole)
        tell(c, CM_CHECK_ERROR, 0, "the disk has %llu bytes, more than the file: it was cut off",
             (unsigned long long)footer.size);
    return check_footers(c, &footer, found, NULL, may_repair(c) && is_whole);
}

int vhd_check(struct cm_store *store, const struct cm_check_options *options,
              struct cm_check_result *result)
{
    struct check check = {store, options, result, "", 0};

    memset(result, 0, sizeof(*result));
    return check_one(&check);
}
