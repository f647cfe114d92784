/* SPDX-License-Identifier: MIT */
/*
 * log.c - writing the log: a ring of entries, each of which says of some pages of the file what they are to be.
 *
 * Called by the leader of a commit (commit.c), one at a time. A reader takes the run of whole entries that ends with the
 * highest sequence number; it must reach back to the entry that this last one names as the oldest which is needed, its tail.
 *
 * Here each entry holds all pages that are not durably in their places, those of the entries before it too, and is its own
 * tail. That costs a few pages more in each, and makes the last entry that a power cut leaves enough, whatever became of
 * the others. The log is used as three slots, each for one entry: the last durable one, the last one, and the next one.
 *
 *          |  durable ........|  last ...........|  next ...........|
 *
 * Behind an entry there is never another one at once. QEMU 7.2 wants that: it does not look at tails, takes the run whose first
 * number is highest, and goes on from its first entry to whatever entry lies behind it, also to an old one.
 * Source: [MS-VHDX] 2.3.
 */
#include <stdlib.h>
#include <string.h>

#include "images/vhdx/disk.h"
#include "lib/core/bytes.h"
#include "lib/core/crc32c.h"
#include "lib/core/error_internal.h"

#define DATA_SIZE                                                                                  \
    4084u /* bytes of a page that are in its data sector; the others are in the descriptor */
#define LEADING 8u
#define TRAILING 4u
#define LOG_GUID_AT 32u /* in the header of an entry */

#define SLOTS 3u

static uint32_t slot_at(const struct vhdx *v, unsigned slot)
{
    return v->header.log_size / VHDX_SECTOR / SLOTS * slot * VHDX_SECTOR;
}

/* Neither the last durable entry nor the last one: a process that is killed must not leave half of that. */
static unsigned free_slot(const struct vhdx *v)
{
    unsigned slot = 0;

    while (slot == v->log.durable || slot == v->log.last)
        slot++;
    return slot;
}

/* Sectors of an entry with so many pages; VHDX_ENTRY_MAX descriptors fit behind the header. */
static unsigned entry_sectors(unsigned pages)
{
    return 1 + pages;
}

/* -- an entry ---------------------------------------------------------------------------------- */

static void put_header(struct vhdx *v, unsigned count)
{
    unsigned char *bytes = v->log.entry;

    memset(bytes, 0, VHDX_SECTOR);
    memcpy(bytes, VHDX_ENTRY_SIGNATURE, 4);
    cm_put_le32(bytes + 8, entry_sectors(count) * VHDX_SECTOR);
    cm_put_le32(bytes + 12, slot_at(v, free_slot(v)));
    cm_put_le64(bytes + 16, v->log.sequence);
    cm_put_le32(bytes + 24, count);
    memcpy(bytes + LOG_GUID_AT, v->header.log.bytes, sizeof(v->header.log.bytes));
    cm_put_le64(bytes + 48, v->log.size_flushed);
    cm_put_le64(bytes + 56, v->space.end);
}

static void put_page(struct vhdx *v, unsigned number, const struct vhdx_page *page)
{
    unsigned char *descriptor = v->log.entry + VHDX_ENTRY_HEADER + (size_t)number * VHDX_DESCRIPTOR;
    unsigned char *data = v->log.entry + (size_t)(1 + number) * VHDX_SECTOR;

    memcpy(descriptor, VHDX_DESC_SIGNATURE, 4);
    memcpy(descriptor + 4, page->bytes + LEADING + DATA_SIZE, TRAILING);
    memcpy(descriptor + 8, page->bytes, LEADING);
    cm_put_le64(descriptor + 16, page->at);
    cm_put_le64(descriptor + 24, v->log.sequence);
    memcpy(data, VHDX_DATA_SIGNATURE, 4);
    cm_put_le32(data + 4, (uint32_t)(v->log.sequence >> 32));
    memcpy(data + 8, page->bytes + LEADING, DATA_SIZE);
    cm_put_le32(data + 8 + DATA_SIZE, (uint32_t)v->log.sequence);
}

void vhdx_log_get_page(const struct vhdx *v, unsigned number, unsigned char *bytes)
{
    const unsigned char *descriptor =
        v->log.entry + VHDX_ENTRY_HEADER + (size_t)number * VHDX_DESCRIPTOR;
    const unsigned char *data = v->log.entry + (size_t)(1 + number) * VHDX_SECTOR;

    memcpy(bytes, descriptor + 8, LEADING);
    memcpy(bytes + LEADING, data + 8, DATA_SIZE);
    memcpy(bytes + LEADING + DATA_SIZE, descriptor + 4, TRAILING);
}

void vhdx_log_build(struct vhdx *v, struct vhdx_page *const *pages, unsigned count)
{
    put_header(v, count);
    for (unsigned i = 0; i < count; i++)
        put_page(v, i, pages[i]);
    v->log.entry_size = entry_sectors(count) * VHDX_SECTOR;
}

/* It counts only when it is whole: if this fails, the next one takes its place and number. */
int vhdx_log_write(struct vhdx *v)
{
    unsigned slot = free_slot(v);
    int error;

    cm_put_le32(v->log.entry + 4, 0); /* as the checksum takes it */
    cm_put_le32(v->log.entry + 4, cm_crc32c(0, v->log.entry, v->log.entry_size));
    error = cm_store_write(v->file, v->log.entry, v->log.entry_size,
                           v->header.log_at + slot_at(v, slot));
    if (error != 0)
        return error;
    v->log.last = slot;
    v->log.sequence++;
    return 0;
}

void vhdx_log_is_durable(struct vhdx *v)
{
    v->log.durable = v->log.last;
}

/* -- a session --------------------------------------------------------------------------------- */

static int make_header(const struct vhdx *v, struct vhdx_header *header)
{
    int error = vhdx_guid_make(&header->log);

    if (error == 0)
        error = vhdx_guid_make(&header->file_write);
    if (!vhdx_guid_is_zero(&v->next_data_write))
        header->data_write = v->next_data_write;
    else if (error == 0)
        error = vhdx_guid_make(&header->data_write);
    return error;
}

/* Whole MiB, and the log's space taken: a full storage must still let what was written be flushed, and room be given
 * back. */
static int prepare_file(struct vhdx *v)
{
    int error = 0;

    if (cm_store_size(v->file) != v->space.end)
        error = cm_store_resize(v->file, v->space.end);
    if (error == 0)
        error = cm_store_reserve(v->file, v->header.log_at, v->header.log_size);
    return error;
}

/* Its first entry says nothing: a header that names a log which has no entry would be taken for damage. */
static int write_first_entry(struct vhdx *v, const struct vhdx_header *header,
                             uint64_t size_flushed)
{
    int error;

    v->log.last = v->log.durable = SLOTS; /* none */
    v->log.sequence = 1;
    v->log.size_flushed = size_flushed;
    vhdx_log_build(v, NULL, 0);
    memcpy(v->log.entry + LOG_GUID_AT, header->log.bytes, sizeof(header->log.bytes));
    error = vhdx_log_write(v);
    if (error == 0)
        error = cm_store_flush(v->file);
    vhdx_log_is_durable(v);
    v->log.size_flushed = v->space.end;
    return error;
}

int vhdx_log_start(struct vhdx *v, struct vhdx_header *header)
{
    uint64_t size = cm_store_size(v->file);
    int error;

    if (v->log.entry == NULL)
        v->log.entry = malloc((size_t)entry_sectors(VHDX_ENTRY_MAX) * VHDX_SECTOR);
    if (v->log.entry == NULL)
        return CM_ENOMEM;
    *header = v->header;
    error = make_header(v, header);
    if (error == 0)
        error = prepare_file(v);
    if (error == 0)
        error = write_first_entry(v, header, size & VHDX_PLACE_MASK);
    return error == 0 ? vhdx_header_write(v->file, header) : error;
}

int vhdx_log_end(struct vhdx *v)
{
    memset(&v->header.log, 0, sizeof(v->header.log));
    return vhdx_header_write(v->file, &v->header);
}
