/* SPDX-License-Identifier: MIT */
/* container_vhd.c - see container.h: where things are in the templates of VHD, and their checksums. */
#include <string.h>

#include "container.h"
#include "images/vhd/vhd.h"

#define FOOTER 512u
#define DYNAMIC 1024u /* bytes of the header of a dynamic disk, behind the copy of the footer */

static uint64_t get_at(const struct sparse *file, uint64_t at, unsigned size)
{
    unsigned char bytes[8];
    uint64_t number = 0;

    sparse_read(file, bytes, size, at);
    for (unsigned i = 0; i < size; i++)
        number = number << 8 | bytes[i];
    return number;
}

static void add(struct fuzz_template *template, uint64_t at, uint64_t length)
{
    MUST(template->place_count < FUZZ_PLACES && length != 0);
    template->places[template->place_count++] = (struct fuzz_place){at, length};
}

static int is_dynamic(const struct sparse *file)
{
    return get_at(file, 0, 8) == UINT64_C(0x636F6E6563746978); /* "conectix" */
}

static void find_places(struct fuzz_template *template, const char *target)
{
    uint64_t size = sparse_size(template->file);
    uint64_t table;

    (void)target;
    add(template, size - FOOTER, 96);
    if (!is_dynamic(template->file))
        return;
    table = get_at(template->file, FOOTER + 16, 8);
    add(template, 0, 96);
    add(template, FOOTER, 64);
    add(template, FOOTER + 576, 64); /* locators */
    add(template, FOOTER + DYNAMIC, 1024);
    add(template, table, 128);
    add(template, (uint64_t)get_at(template->file, table, 4) * 512, 512);
}

static void seal_sum(struct sparse *file, uint64_t at, size_t size, unsigned field)
{
    unsigned char bytes[DYNAMIC];
    uint32_t sum = 0;

    if (sparse_size(file) < size || at > sparse_size(file) - size)
        return;
    sparse_read(file, bytes, size, at);
    memset(bytes + field, 0, 4);
    for (size_t i = 0; i < size; i++)
        sum += bytes[i];
    sum = ~sum;
    for (unsigned i = 0; i < 4; i++)
        bytes[field + i] = (unsigned char)(sum >> (24 - 8 * i));
    sparse_write(file, bytes + field, 4, at + field);
}

static void seal(struct sparse *file)
{
    uint64_t size = sparse_size(file);

    if (size >= FOOTER)
        seal_sum(file, size - FOOTER, FOOTER, 64);
    if (!is_dynamic(file))
        return;
    seal_sum(file, 0, FOOTER, 64);
    seal_sum(file, FOOTER, DYNAMIC, 36);
}

/* Everything can be anywhere; what is outside of the file lib/core/store.c refuses. */
static int is_forbidden(const void *data, uint32_t length, uint64_t offset)
{
    (void)data, (void)length, (void)offset;
    return 0;
}

const struct fuzz_format fuzz_vhd = {
    .extension = "vhd",
    .open = cm_vhd_open_store,
    .container = &cm_vhd_container,
    .find_places = find_places,
    .seal = seal,
    .is_forbidden = is_forbidden,
    .block_sizes = {2u << 20, 2u << 20, 2u << 20},
    .sector_sizes = {512, 512, 512},
    .flags = {0, 0, CM_OPEN_FIXED},
    .template_with_parent = 1,
};
