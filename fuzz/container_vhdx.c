/* SPDX-License-Identifier: MIT */
/* container_vhdx.c - see container.h: where things are in the templates of VHDX, and their checksums. */
#include <string.h>

#include "container.h"
#include "images/vhdx/format.h"
#include "images/vhdx/vhdx.h"
#include "lib/core/crc32c.h"

static uint64_t get(const unsigned char *bytes, unsigned size)
{
    uint64_t number = 0;

    for (unsigned i = size; i-- > 0;)
        number = number << 8 | bytes[i];
    return number;
}

static uint64_t get_at(const struct sparse *file, uint64_t at, unsigned size)
{
    unsigned char bytes[8];

    sparse_read(file, bytes, size, at);
    return get(bytes, size);
}

/* -- places ------------------------------------------------------------------------------------ */

static void add(struct fuzz_template *template, uint64_t at, uint64_t length)
{
    MUST(template->place_count < FUZZ_PLACES && length != 0);
    template->places[template->place_count++] = (struct fuzz_place){at, length};
}

/* The header that counts has the log, both have it at the same place. */
static void add_log(struct fuzz_template *template)
{
    uint64_t at = get_at(template->file, VHDX_HEADER_AT(0) + 72, 8);

    add(template, at, 4096);
    add(template, at + 4096, 64);
    add(template, at, 65536);
}

/* A table of regions names the BAT and the metadata, in whatever order: by the first byte of their GUIDs. */
static uint64_t find_region(const struct fuzz_template *template, unsigned first_byte)
{
    for (unsigned i = 0; i < 8; i++)
        if (get_at(template->file, VHDX_REGIONS_AT(0) + 16 + 32 * i, 1) == first_byte)
            return get_at(template->file, VHDX_REGIONS_AT(0) + 16 + 32 * i + 16, 8);
    MUST(!"a region is there");
    return 0;
}

/* The locator's item, by the first byte of its GUID; images without a parent may have none. */
static void add_locator(struct fuzz_template *template, uint64_t metadata)
{
    for (unsigned i = 0; i < 16; i++) {
        uint64_t entry = metadata + 32 + 32 * i;

        if (get_at(template->file, entry, 1) == 0x2D) {
            add(template, metadata + get_at(template->file, entry + 16, 4), 96);
            add(template, metadata + get_at(template->file, entry + 16, 4), 1024);
        }
    }
}

static void find_places(struct fuzz_template *template, const char *target)
{
    uint64_t metadata = find_region(template, 0x06);
    int is_replay = strcmp(target, "vhdx_replay") == 0;

    add(template, VHDX_HEADER_AT(0), 96);
    add(template, VHDX_HEADER_AT(1), 96);
    if (strcmp(target, "vhdx_parts") != 0)
        add_log(template);
    if (is_replay)
        return;
    add(template, VHDX_REGIONS_AT(0), 96);
    add(template, VHDX_REGIONS_AT(1), 96);
    add(template, metadata, 256);
    add(template, metadata + 65536, 64);
    add_locator(template, metadata);
    add(template, find_region(template, 0x66), 512);
    add(template, find_region(template, 0x66), 65536);
}

/* -- checksums --------------------------------------------------------------------------------- */

static void seal_part(struct sparse *file, unsigned char *bytes, uint64_t at, size_t size)
{
    uint32_t sum;

    sparse_read(file, bytes, size, at);
    memset(bytes + 4, 0, 4);
    sum = cm_crc32c(0, bytes, size);
    for (unsigned i = 0; i < 4; i++)
        bytes[4 + i] = (unsigned char)(sum >> 8 * i);
    sparse_write(file, bytes + 4, 4, at + 4);
}

/* Whatever begins like an entry, as far as its length stays in the log and in reason. */
static void seal_log(struct sparse *file, unsigned char *bytes, size_t room)
{
    uint64_t at = get_at(file, VHDX_HEADER_AT(0) + 72, 8);
    uint64_t size = get_at(file, VHDX_HEADER_AT(0) + 68, 4);

    if (size > 1048576 || at > (UINT64_C(1) << 30))
        return;
    for (uint64_t sector = 0; sector < 64 && sector * VHDX_SECTOR < size; sector++) {
        uint64_t length;

        sparse_read(file, bytes, 16, at + sector * VHDX_SECTOR);
        length = get(bytes + 8, 4);
        if (memcmp(bytes, VHDX_ENTRY_SIGNATURE, 4) == 0 && length >= VHDX_SECTOR &&
            length <= room && sector * VHDX_SECTOR + length <= size)
            seal_part(file, bytes, at + sector * VHDX_SECTOR, (size_t)length);
    }
}

static void seal(struct sparse *file)
{
    static unsigned char bytes[262144];

    for (unsigned slot = 0; slot < 2; slot++) {
        seal_part(file, bytes, VHDX_HEADER_AT(slot), VHDX_HEADER_SIZE);
        seal_part(file, bytes, VHDX_REGIONS_AT(slot), VHDX_REGIONS_SIZE);
    }
    seal_log(file, bytes, sizeof(bytes));
}

/* The identifier is never written, and where the headers are only headers. */
static int is_forbidden(const void *data, uint32_t length, uint64_t offset)
{
    if (offset < VHDX_HEADER_AT(0))
        return 1;
    if (offset >= VHDX_REGIONS_AT(0))
        return 0;
    return data == NULL || length < 4 || memcmp(data, VHDX_HEADER_SIGNATURE, 4) != 0 ||
           (offset != VHDX_HEADER_AT(0) && offset != VHDX_HEADER_AT(1));
}

const struct fuzz_format fuzz_vhdx = {
    .extension = "vhdx",
    .open = cm_vhdx_open_store,
    .container = &cm_vhdx_container,
    .find_places = find_places,
    .seal = seal,
    .is_forbidden = is_forbidden,
    .block_sizes = {1u << 20, 1u << 20, 2u << 20, 1u << 20},
    .sector_sizes = {512, 512, 4096, 512},
    .flags = {0, 0, 0, CM_OPEN_FIXED},
    .template_with_parent = 1,
};
