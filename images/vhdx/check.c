/* SPDX-License-Identifier: MIT */
/*
 * check.c - whether a VHDX file is what the specification says, and what of it can be mended without guessing. Called by
 * cm_image_check() over a file that nobody else has open. One thread.
 *
 * Without CM_CHECK_REPAIR nothing is written: a log that waits is replayed in memory, and what is checked is the file as it
 * will be. With it the log is replayed into the file first. Then each step trusts what the one before has found right:
 * headers, region tables, metadata, and with these the blocks (check_blocks.c). When one of them is lost, nothing that comes
 * after can be looked at, and the finding says so.
 */
#include "images/vhdx/check.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "images/vhdx/disk.h"
#include "images/vhdx/found_log.h"

#define TEXT_MAX 1024u
#define TOLD_MAX                                                                                   \
    200u /* findings of a severity and an image that get a sentence: a torn table has millions */

void vhdx_check_tell(struct vhdx_check *check, enum cm_check_severity severity, int is_repaired,
                     const char *format, ...)
{
    const struct cm_check_options *options = check->options;
    char text[TEXT_MAX];
    size_t used = 0;
    va_list arguments;

    check->result->errors += severity == CM_CHECK_ERROR;
    check->result->errors_left += severity == CM_CHECK_ERROR && !is_repaired;
    check->result->wastes += severity == CM_CHECK_WASTE;
    check->result->repaired += is_repaired && severity != CM_CHECK_NOTE;
    if (options->report == NULL || check->told[severity]++ >= TOLD_MAX)
        return;
    if (check->depth > 0)
        used = (size_t)snprintf(text, sizeof(text), "parent %.400s: ", cm_store_path(check->file));
    va_start(arguments, format);
    vsnprintf(text + used, sizeof(text) - used, format, arguments);
    va_end(arguments);
    options->report(options->context, severity, is_repaired, text);
}

/* What a function that reads the file says of it is a finding when the file is to blame, and ends the check. When it is
 * not, as with CM_EIO, the check has failed. */
static int found_by_reading(struct vhdx_check *check, int error)
{
    char text[TEXT_MAX];
    size_t length;

    if (error != CM_EDAMAGED)
        return error;
    snprintf(text, sizeof(text), "%s", cm_last_error());
    length = strlen(text);
    if (length > 0 && text[length - 1] == '.')
        text[length - 1] = '\0';
    vhdx_check_tell(check, CM_CHECK_ERROR, 0, "%s", text);
    return CM_EDAMAGED;
}

/* The headers get a new identity of the file, which is to change when it is opened for writing. That writes both. */
int vhdx_check_change(struct vhdx_check *check)
{
    int error = 0;

    if (check->is_changed)
        return 0;
    error = vhdx_guid_make(&check->header.file_write);
    if (error == 0)
        error = vhdx_header_write(check->file, &check->header);
    check->is_changed = error == 0;
    return found_by_reading(check, error);
}

static void tell_the_rest(struct vhdx_check *check)
{
    uint64_t more = 0;

    for (unsigned i = 0; i < 3; i++) {
        more += check->told[i] > TOLD_MAX ? check->told[i] - TOLD_MAX : 0;
        check->told[i] = 0;
    }
    if (more > 0)
        vhdx_check_tell(check, CM_CHECK_NOTE, 0, "there are %llu more findings like these",
                        (unsigned long long)more);
}

/* -- headers and log --------------------------------------------------------------------------- */

static int check_headers(struct vhdx_check *check)
{
    int error = vhdx_header_read(check->file, &check->header), is_damaged;

    if (error != 0)
        return found_by_reading(check, error);
    is_damaged = check->header.other_is_damaged;
    if (is_damaged && check->repairs)
        error = vhdx_check_change(check);
    if (is_damaged && error == 0)
        vhdx_check_tell(check, CM_CHECK_WASTE, check->repairs,
                        "one of the two headers is damaged: the other one counts");
    return error;
}

/* Into the file, or over it. */
static int replay(struct vhdx_check *check)
{
    struct cm_store *view;
    int error;

    if (check->repairs)
        return vhdx_replay_apply(check->file, &check->header);
    error = vhdx_replay_view(check->file, &check->header, &view);
    if (view != NULL)
        check->view = view;
    return error;
}

static int check_log(struct vhdx_check *check)
{
    struct vhdx_found_log found;
    int error;

    if (vhdx_guid_is_zero(&check->header.log))
        return 0;
    error = vhdx_log_find(check->file, &check->header, &found);
    if (error == 0)
        error = replay(check);
    if (error == 0 && found.entries == 0)
        vhdx_check_tell(check, CM_CHECK_NOTE, check->repairs,
                        "the image was not closed; its log has nothing to replay");
    else if (error == 0)
        vhdx_check_tell(check, CM_CHECK_NOTE, check->repairs,
                        "the image was not closed; %lu entries of its log %s",
                        (unsigned long)found.entries,
                        check->repairs ? "were replayed"
                                       : "wait, and are replayed when it is opened for writing");
    vhdx_log_forget(&found);
    return found_by_reading(check, error);
}

/* -- region tables and metadata ---------------------------------------------------------------- */

/* The table that counts, over the other: byte by byte, for it may name regions that we do not know. */
static int copy_table(struct vhdx_check *check)
{
    unsigned char *table = malloc(VHDX_REGIONS_SIZE);
    unsigned from = 0;
    int is_whole = 0;
    int error = table != NULL
                    ? vhdx_check_change(check)
                    : cm_fail(CM_ENOMEM, "no memory to check %s.", cm_store_path(check->file));

    if (error == 0)
        error = vhdx_regions_read_table(check->file, from, table, &is_whole);
    if (error == 0 && !is_whole)
        error = vhdx_regions_read_table(check->file, ++from, table, &is_whole);
    if (error == 0) {
        error = cm_store_write(check->file, table, VHDX_REGIONS_SIZE, VHDX_REGIONS_AT(1 - from));
        if (error != 0)
            cm_fail(error, "cannot write the region table of %s: %s.", cm_store_path(check->file),
                    cm_error_name(error));
    }
    free(table);
    return error;
}

static int check_regions(struct vhdx_check *check)
{
    int error = vhdx_regions_read(check->view, &check->header, &check->regions);

    if (error != 0)
        return found_by_reading(check, error);
    if (check->regions.one_is_damaged && check->repairs)
        error = copy_table(check);
    if (check->regions.one_is_damaged && error == 0)
        vhdx_check_tell(check, CM_CHECK_WASTE, check->repairs,
                        "one of the two region tables is damaged: the other one counts");
    for (unsigned i = 0; i < check->regions.unknown_count; i++)
        vhdx_check_tell(check, CM_CHECK_NOTE, 0,
                        "there is a region of %lu bytes at %llu that this program does not know",
                        (unsigned long)check->regions.unknown[i].size,
                        (unsigned long long)check->regions.unknown[i].at);
    return error;
}

static int check_metadata(struct vhdx_check *check)
{
    int error = vhdx_metadata_read(check->view, &check->regions.metadata, &check->metadata);
    uint64_t entries;

    if (error != 0)
        return found_by_reading(check, error);
    entries = vhdx_bat_entries(&check->metadata);
    if (entries <= check->regions.bat.size / 8)
        return 0;
    vhdx_check_tell(check, CM_CHECK_ERROR, 0,
                    "the block allocation table has room for %lu blocks, and the disk has %llu: "
                    "the end of the disk cannot be read. Copy what can be with coremnt convert",
                    (unsigned long)(check->regions.bat.size / 8), (unsigned long long)entries);
    return CM_EDAMAGED;
}

/* -- the parent -------------------------------------------------------------------------------- */

static int check_image(struct cm_store *store, const struct cm_check_options *options,
                       struct cm_check_result *result, unsigned depth);

/* What is reported of the parents counts; how many blocks they have does not. */
static int check_parent_image(struct vhdx_check *check, struct cm_store *parent)
{
    struct cm_check_options options = *check->options;
    uint64_t blocks = check->result->blocks, blocks_here = check->result->blocks_here;
    int error;

    options.flags &= ~CM_CHECK_REPAIR;
    error = check_image(parent, &options, check->result, check->depth + 1);
    check->result->blocks = blocks;
    check->result->blocks_here = blocks_here;
    return error;
}

/* That there is no parent, or none that fits, is a finding; what the system has refused is not. */
static int found_by_searching(struct vhdx_check *check, int error)
{
    int is_finding = error == CM_ENOENT || error == CM_EFORMAT || error == CM_ENOTSUP;

    error = found_by_reading(check, is_finding ? CM_EDAMAGED : error);
    return error == CM_EDAMAGED ? 0 : error;
}

static int check_parent(struct vhdx_check *check)
{
    struct cm_image_options options = {.struct_size = sizeof(options), .flags = CM_OPEN_READ_ONLY};
    struct vhdx_locator locator;
    struct cm_store *parent;
    int error;

    if (!check->metadata.has_parent)
        return 0;
    error = vhdx_locator_read(check->view, &check->metadata, &locator);
    if (error != 0)
        return found_by_reading(check, error);
    if (check->depth >= VHDX_DEPTH_MAX) {
        vhdx_check_tell(check, CM_CHECK_ERROR, 0,
                        "its parents go round in a circle, or there are more than %u",
                        VHDX_DEPTH_MAX);
        vhdx_locator_free(&locator);
        return 0;
    }
    error = vhdx_parent_find(cm_store_path(check->file), &locator, &options, &parent);
    vhdx_locator_free(&locator);
    if (error != 0)
        return found_by_searching(check, error);
    error = check_parent_image(check, parent);
    cm_store_close(parent);
    return error;
}

/* -- the whole --------------------------------------------------------------------------------- */

static int check_parts(struct vhdx_check *check)
{
    int error = check_headers(check);

    if (error == 0)
        error = check_log(check);
    if (error == 0)
        error = check_regions(check);
    if (error == 0)
        error = check_metadata(check);
    if (error == 0)
        error = vhdx_check_blocks(check);
    if (error == 0)
        error = check_parent(check);
    return error;
}

static int check_image(struct cm_store *store, const struct cm_check_options *options,
                       struct cm_check_result *result, unsigned depth)
{
    struct vhdx_check *check = calloc(1, sizeof(*check));
    int error;

    if (check == NULL)
        return cm_fail(CM_ENOMEM, "no memory to check %s.", cm_store_path(store));
    check->file = check->view = store;
    check->options = options;
    check->result = result;
    check->repairs = (options->flags & CM_CHECK_REPAIR) != 0;
    check->depth = depth;
    error = check_parts(check);
    tell_the_rest(check);
    if (error == 0 && check->is_changed) {
        error = cm_store_flush(store);
        if (error != 0)
            cm_fail(error, "cannot make %s durable: %s.", cm_store_path(store),
                    cm_error_name(error));
    }
    if (check->view != store)
        cm_store_close(check->view); /* the log's */
    free(check);
    return error == CM_EDAMAGED ? 0 : error; /* which was told */
}

int cm_vhdx_check(struct cm_store *store, const struct cm_check_options *options,
                  struct cm_check_result *result)
{
    memset(result, 0, sizeof(*result));
    return check_image(store, options, result, 0);
}
