/* SPDX-License-Identifier: MIT */
/*
 * gpt.c - GUID partition tables: the one at the beginning, or else its backup at the end. Called by
 * partition.c when the first sector says that there is one, on any thread.
 *
 * A table is used only when both its checksums are right. In which sectors it counts is not written
 * anywhere: its header lies in the second sector, so both sizes are tried, the image's own first.
 */
#include <stdio.h>
#include <string.h>

#include "lib/core/crc32.h"
#include "lib/core/partition_internal.h"

#define HEADER_SIZE_MIN 92u       /* bytes */
#define ENTRY_SIZE_MIN 128u       /* bytes */
#define ENTRIES_SIZE_MAX 1048576u /* bytes of all entries; 16384 are usual */
#define NAME_AT 56u
#define NAME_UNITS 36u
#define LEGACY_BOOTABLE (UINT64_C(1) << 2)

/* What of a header is used. Places in sectors. */
struct header {
    uint64_t other;       /* where the other header should be */
    uint64_t entries;     /* where they begin */
    uint32_t entry_count; /* used or not */
    uint32_t entry_size;  /* bytes */
    uint32_t entries_crc;
};

/* -- finding a table that is whole ------------------------------------------------------------- */

/* Whether a header that begins so can be right at all; the sizes are then safe to use. */
static int is_plausible(const unsigned char *bytes, uint32_t sector_size, uint64_t place)
{
    uint32_t size = cm_table_get32(bytes + 12);
    uint32_t count = cm_table_get32(bytes + 80);
    uint32_t entry = cm_table_get32(bytes + 84);

    return memcmp(bytes, "EFI PART", 8) == 0 && cm_table_get32(bytes + 8) >> 16 == 1 &&
           size >= HEADER_SIZE_MIN && size <= sector_size && cm_table_get64(bytes + 24) == place &&
           entry >= ENTRY_SIZE_MIN && entry <= CM_TABLE_READ_MAX && (entry & (entry - 1)) == 0 &&
           count >= 1 && count <= ENTRIES_SIZE_MAX / entry;
}

/* The checksum is of the header with zeros in the place of the checksum. */
static int read_header(const struct cm_table_reader *reader, uint32_t sector_size, uint64_t place,
                       struct header *header)
{
    unsigned char bytes[CM_TABLE_READ_MAX];
    uint32_t crc;

    if (place > reader->size / sector_size ||
        cm_table_read_bytes(reader, bytes, sector_size, place * sector_size) != 0 ||
        !is_plausible(bytes, sector_size, place))
        return 0;
    crc = cm_table_get32(bytes + 16);
    memset(bytes + 16, 0, 4);
    if (cm_crc32(0, bytes, cm_table_get32(bytes + 12)) != crc)
        return 0;
    header->other = cm_table_get64(bytes + 32);
    header->entries = cm_table_get64(bytes + 72);
    header->entry_count = cm_table_get32(bytes + 80);
    header->entry_size = cm_table_get32(bytes + 84);
    header->entries_crc = cm_table_get32(bytes + 88);
    return 1;
}

static int entries_are_right(const struct cm_table_reader *reader, uint32_t sector_size,
                             const struct header *header)
{
    unsigned char piece[CM_TABLE_READ_MAX];
    uint32_t left = header->entry_count * header->entry_size; /* at most ENTRIES_SIZE_MAX */
    uint64_t offset;
    uint32_t crc = 0;

    if (header->entries > reader->size / sector_size)
        return 0;
    for (offset = header->entries * sector_size; left > 0; offset += sizeof(piece)) {
        uint32_t length = left < sizeof(piece) ? left : (uint32_t)sizeof(piece);

        if (cm_table_read_bytes(reader, piece, length, offset) != 0)
            return 0;
        crc = cm_crc32(crc, piece, length);
        left -= length;
    }
    return crc == header->entries_crc;
}

static int read_whole(const struct cm_table_reader *reader, uint32_t sector_size, uint64_t place,
                      struct header *header)
{
    return read_header(reader, sector_size, place, header) &&
           entries_are_right(reader, sector_size, header);
}

/* The header at the beginning, and whether that at the end is as good. */
static int find_primary(struct cm_table_reader *reader, uint32_t sector_size, struct header *header)
{
    struct header backup;

    if (!read_whole(reader, sector_size, 1, header))
        return 0;
    if (!read_whole(reader, sector_size, header->other, &backup) ||
        backup.entries_crc != header->entries_crc)
        reader->table->flags |= CM_TABLE_BACKUP_DAMAGED;
    return 1;
}

/* The header at the end of the image; or, when the image is longer than the disk was, where a header
 * at the beginning says whose entries are damaged. */
static int find_backup(struct cm_table_reader *reader, uint32_t sector_size, struct header *header)
{
    struct header primary;
    uint64_t sectors = reader->size / sector_size;

    if ((sectors > 2 && read_whole(reader, sector_size, sectors - 1, header)) ||
        (read_header(reader, sector_size, 1, &primary) &&
         read_whole(reader, sector_size, primary.other, header))) {
        reader->table->flags |= CM_TABLE_PRIMARY_DAMAGED;
        return 1;
    }
    return 0;
}

typedef int finder(struct cm_table_reader *reader, uint32_t sector_size, struct header *header);

static int find(struct cm_table_reader *reader, struct header *header)
{
    static finder *const finders[] = {find_primary, find_backup};
    const uint32_t sizes[] = {reader->sector_size, 512 + 4096 - reader->sector_size};

    for (unsigned i = 0; i < 2; i++) {
        for (unsigned j = 0; j < 2; j++) {
            if (finders[i](reader, sizes[j], header)) {
                reader->table->sector_size = sizes[j];
                return 1;
            }
        }
    }
    reader->table->sector_size = reader->sector_size;
    reader->table->flags |= CM_TABLE_PRIMARY_DAMAGED | CM_TABLE_BACKUP_DAMAGED;
    return 0;
}

/* -- entries ----------------------------------------------------------------------------------- */

/* The first three groups are little-endian numbers. */
static void print_guid(char *text, size_t size, const unsigned char *guid)
{
    snprintf(text, size, "%08X-%04X-%04X-%02X%02X-%02X%02X%02X%02X%02X%02X",
             (unsigned)cm_table_get32(guid), (unsigned)cm_table_get16(guid + 4),
             (unsigned)cm_table_get16(guid + 6), guid[8], guid[9], guid[10], guid[11], guid[12],
             guid[13], guid[14], guid[15]);
}

static char *put_utf8(char *to, uint32_t c)
{
    if (c < 0x80) {
        *to++ = (char)c;
    } else if (c < 0x800) {
        *to++ = (char)(0xC0 | c >> 6);
        *to++ = (char)(0x80 | (c & 0x3F));
    } else if (c < 0x10000) {
        *to++ = (char)(0xE0 | c >> 12);
        *to++ = (char)(0x80 | (c >> 6 & 0x3F));
        *to++ = (char)(0x80 | (c & 0x3F));
    } else {
        *to++ = (char)(0xF0 | c >> 18);
        *to++ = (char)(0x80 | (c >> 12 & 0x3F));
        *to++ = (char)(0x80 | (c >> 6 & 0x3F));
        *to++ = (char)(0x80 | (c & 0x3F));
    }
    return to;
}

/* What a terminal would obey, and halves of characters, become U+FFFD. A unit is at most three bytes. */
static void read_name(char *to, const unsigned char *units)
{
    for (unsigned i = 0; i < NAME_UNITS; i++) {
        uint32_t c = cm_table_get16(units + (size_t)i * 2);
        uint32_t low = i + 1 < NAME_UNITS ? cm_table_get16(units + (size_t)(i + 1) * 2) : 0;

        if (c == 0)
            break;
        if (c >= 0xD800 && c < 0xDC00 && low >= 0xDC00 && low < 0xE000) {
            c = 0x10000 + ((c - 0xD800) << 10) + (low - 0xDC00);
            i++;
        } else if (c < 0x20 || (c >= 0x7F && c < 0xA0) || (c >= 0xD800 && c < 0xE000)) {
            c = 0xFFFD;
        }
        to = put_utf8(to, c);
    }
    *to = '\0';
}

_Static_assert(sizeof(((struct cm_partition *)0)->name) > NAME_UNITS * 3u, "names fit");

static void list_entry(struct cm_table_reader *reader, const unsigned char *entry, uint32_t number)
{
    static const unsigned char unused[16];
    uint64_t first = cm_table_get64(entry + 32);
    uint64_t last = cm_table_get64(entry + 40);
    struct cm_partition *partition;

    if (memcmp(entry, unused, sizeof(unused)) == 0)
        return;
    /* 2^64 sectors would be 0, which is as impossible */
    partition = cm_table_add(reader, number, first, last < first ? 0 : last - first + 1);
    if (partition == NULL)
        return;
    if ((cm_table_get64(entry + 48) & LEGACY_BOOTABLE) != 0)
        partition->flags |= CM_PARTITION_BOOTABLE;
    print_guid(partition->type_id, sizeof(partition->type_id), entry);
    snprintf(partition->type, sizeof(partition->type), "%s", cm_gpt_type_name(partition->type_id));
    read_name(partition->name, entry + NAME_AT);
}

/* The checksum was right a moment ago; who changes the image meanwhile gets what he wrote, no more. */
void cm_gpt_list(struct cm_table_reader *reader)
{
    unsigned char entry[CM_TABLE_READ_MAX];
    struct header header;
    uint64_t offset;

    if (!find(reader, &header))
        return;
    offset = header.entries * reader->table->sector_size;
    for (uint32_t done = 0; done < header.entry_count;) {
        uint32_t left = header.entry_count - done;
        uint32_t fit = CM_TABLE_READ_MAX / header.entry_size;
        uint32_t count = left < fit ? left : fit;

        if (cm_table_read_bytes(reader, entry, count * header.entry_size, offset) != 0) {
            reader->table->flags |= CM_TABLE_BAD_ENTRIES;
            return;
        }
        for (uint32_t i = 0; i < count; i++)
            list_entry(reader, entry + (size_t)i * header.entry_size, done + i + 1);
        done += count;
        offset += CM_TABLE_READ_MAX;
    }
}
