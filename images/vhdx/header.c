/* SPDX-License-Identifier: MIT */
/*
 * header.c - the file identifier and the two headers of a VHDX file. Called when an image is opened, closed, and first
 * written to; never hot. One thread at a time for one file.
 *
 * There are two headers so that one can be written while the other counts. They are kept alike: who loses one to a bad
 * sector still has the right identity of the log in the other.
 */
#include "images/vhdx/parts.h"

#include <stdlib.h>
#include <string.h>

#include <coremnt/error.h>

#include "lib/core/bytes.h"
#include "lib/core/crc32c.h"
#include "lib/core/error_internal.h"

#define CHECKSUM_AT 4u
#define SEQUENCE_AT 8u
#define FILE_WRITE_AT 16u
#define DATA_WRITE_AT 32u
#define LOG_GUID_AT 48u
#define LOG_VERSION_AT 64u
#define VERSION_AT 66u
#define LOG_LENGTH_AT 68u
#define LOG_OFFSET_AT 72u

/* What is in one slot. */
struct found {
    int is_whole;
    uint16_t version, log_version;
    struct vhdx_header header;
    unsigned char bytes[VHDX_HEADER_SIZE];
};

/* The checksum is over all of the structure, with zeros where itself is. */
static uint32_t checksum(unsigned char *bytes)
{
    uint32_t there = cm_get_le32(bytes + CHECKSUM_AT), crc;

    cm_put_le32(bytes + CHECKSUM_AT, 0);
    crc = cm_crc32c(0, bytes, VHDX_HEADER_SIZE);
    cm_put_le32(bytes + CHECKSUM_AT, there);
    return crc;
}

static int read_slot(struct cm_store *store, unsigned slot, struct found *found)
{
    unsigned char *bytes = found->bytes;
    struct vhdx_header *header = &found->header;
    int error = cm_store_read(store, bytes, VHDX_HEADER_SIZE, VHDX_HEADER_AT(slot));

    if (error != 0)
        return cm_fail(error, "cannot read the header of %s: %s.", cm_store_path(store),
                       cm_error_name(error));
    found->is_whole = memcmp(bytes, VHDX_HEADER_SIGNATURE, 4) == 0 &&
                      cm_get_le32(bytes + CHECKSUM_AT) == checksum(bytes);
    found->version = cm_get_le16(bytes + VERSION_AT);
    found->log_version = cm_get_le16(bytes + LOG_VERSION_AT);
    header->sequence = cm_get_le64(bytes + SEQUENCE_AT);
    memcpy(header->file_write.bytes, bytes + FILE_WRITE_AT, 16);
    memcpy(header->data_write.bytes, bytes + DATA_WRITE_AT, 16);
    memcpy(header->log.bytes, bytes + LOG_GUID_AT, 16);
    header->log_size = cm_get_le32(bytes + LOG_LENGTH_AT);
    header->log_at = cm_get_le64(bytes + LOG_OFFSET_AT);
    header->slot = slot;
    return 0;
}

static int check_identifier(struct cm_store *store)
{
    unsigned char bytes[8];
    int error = cm_store_read(store, bytes, sizeof(bytes), 0);

    if (error != 0)
        return cm_fail(error, "cannot read %s: %s.", cm_store_path(store), cm_error_name(error));
    if (memcmp(bytes, VHDX_IDENTIFIER, sizeof(bytes)) != 0)
        return cm_fail(CM_EFORMAT,
                       "%s is no VHDX image: it does not begin with \"" VHDX_IDENTIFIER
                       "\". Name its kind, as in raw:PATH.",
                       cm_store_path(store));
    return 0;
}

/* The header that counts; NULL: none. Two with the same number are one if they are the same. */
static const struct found *choose(const struct found slots[2])
{
    const struct found *a = &slots[0], *b = &slots[1];

    if (!a->is_whole || !b->is_whole)
        return a->is_whole ? a : b->is_whole ? b : NULL;
    if (a->header.sequence != b->header.sequence)
        return a->header.sequence > b->header.sequence ? a : b;
    return memcmp(a->bytes, b->bytes, VHDX_HEADER_SIZE) == 0 ? a : NULL;
}

static int check(struct cm_store *store, const struct found *found)
{
    const struct vhdx_header *header = &found->header;
    uint64_t file_size = cm_store_size(store);

    if (found->version != VHDX_VERSION || found->log_version != 0)
        return cm_fail(CM_ENOTSUP,
                       "%s is a VHDX image of version %u with a log of version %u; this program "
                       "knows version 1 with 0. A newer one may open it.",
                       cm_store_path(store), found->version, found->log_version);
    if (header->log_at < VHDX_MIB || header->log_at % VHDX_MIB != 0 || header->log_size == 0 ||
        header->log_size % VHDX_MIB != 0)
        return cm_fail(CM_EDAMAGED,
                       "%s is damaged: its header says that the log has %lu bytes at %llu, which "
                       "are not whole MiB behind the first. Restore it from a copy.",
                       cm_store_path(store), (unsigned long)header->log_size,
                       (unsigned long long)header->log_at);
    if (header->log_size > file_size || header->log_at > file_size - header->log_size)
        return cm_fail(CM_EDAMAGED,
                       "%s is cut off: it has %llu bytes, and its log would be at %llu. Copy it "
                       "again from where it came.",
                       cm_store_path(store), (unsigned long long)file_size,
                       (unsigned long long)header->log_at);
    return 0;
}

int vhdx_header_read(struct cm_store *store, struct vhdx_header *header)
{
    struct found *slots = calloc(2, sizeof(*slots));
    const struct found *chosen;
    int error = 0;

    if (slots == NULL)
        return cm_fail(CM_ENOMEM, "no memory to open %s.", cm_store_path(store));
    error = check_identifier(store);
    for (unsigned slot = 0; slot < 2 && error == 0; slot++)
        error = read_slot(store, slot, &slots[slot]);
    if (error == 0) {
        chosen = choose(slots);
        error = chosen != NULL
                    ? check(store, chosen)
                    : cm_fail(CM_EDAMAGED,
                              "%s is damaged: neither of its two headers is whole, so nothing "
                              "says where the rest is. Restore it from a copy.",
                              cm_store_path(store));
    }
    if (error == 0) {
        *header = chosen->header;
        header->other_is_damaged = !slots[1 - header->slot].is_whole;
    }
    free(slots);
    return error;
}

/* Into the slot that does not count; from then on it is the one that does. */
static int write_other(struct cm_store *store, struct vhdx_header *header, unsigned char *bytes)
{
    unsigned slot = 1 - header->slot;
    int error;

    cm_put_le64(bytes + SEQUENCE_AT, header->sequence + 1);
    cm_put_le32(bytes + CHECKSUM_AT, checksum(bytes));
    error = cm_store_write(store, bytes, VHDX_HEADER_SIZE, VHDX_HEADER_AT(slot));
    if (error == 0)
        error = cm_store_flush(store);
    if (error != 0)
        return cm_fail(error, "cannot write the header of %s: %s.", cm_store_path(store),
                       cm_error_name(error));
    header->slot = slot;
    header->sequence++;
    return 0;
}

int vhdx_header_write(struct cm_store *store, struct vhdx_header *header)
{
    unsigned char bytes[VHDX_HEADER_SIZE] = VHDX_HEADER_SIGNATURE;
    int error;

    if (header->sequence > UINT64_MAX - 2)
        return cm_fail(CM_EDAMAGED,
                       "the sequence number of the headers of %s is at its end. Convert the image "
                       "to a new one.",
                       cm_store_path(store));
    memcpy(bytes + FILE_WRITE_AT, header->file_write.bytes, 16);
    memcpy(bytes + DATA_WRITE_AT, header->data_write.bytes, 16);
    memcpy(bytes + LOG_GUID_AT, header->log.bytes, 16);
    cm_put_le16(bytes + VERSION_AT, VHDX_VERSION);
    cm_put_le32(bytes + LOG_LENGTH_AT, header->log_size);
    cm_put_le64(bytes + LOG_OFFSET_AT, header->log_at);
    error = write_other(store, header, bytes);
    if (error == 0)
        error = write_other(store, header, bytes);
    if (error == 0)
        header->other_is_damaged = 0;
    return error;
}
