/* SPDX-License-Identifier: MIT */
/*
 * locator.c - the parent locator of a differencing VHDX image: by which names and with which identity its parent is to be
 * found. Called when such an image is opened, created or gets another parent. Any thread.
 *
 * The item is a type, a count, and entries that say where in the item keys and values are, both UTF-16. What a path
 * leads to is not known here: parent.c opens it.
 */
#include "images/vhdx/parts.h"

#include <stdlib.h>
#include <string.h>

#include <coremnt/error.h>

#include "lib/core/bytes.h"
#include "lib/core/error_internal.h"
#include "lib/core/utf16.h"

#define COUNT_AT 18u
#define ENTRIES_AT 20u
#define ENTRY_SIZE 12u
#define KEYS_MAX 64u        /* there are five that anybody knows */
#define TEXT_MAX 32767u     /* units of a key or value: the longest path of Windows */
#define ITEM_MAX (1u << 20) /* bytes */

/* B04AEFB7-D19E-4A81-B789-25B8E9445913 */
static const struct vhdx_guid locator_type = {{0xB7, 0xEF, 0x4A, 0xB0, 0x9E, 0xD1, 0x81, 0x4A, 0xB7,
                                               0x89, 0x25, 0xB8, 0xE9, 0x44, 0x59, 0x13}};

enum key {
    LINKAGE,
    LINKAGE2,
    RELATIVE_PATH,
    VOLUME_PATH,
    ABSOLUTE_PATH,
    KEYS,
};

static const char *const keys[KEYS] = {
    [LINKAGE] = "parent_linkage",
    [LINKAGE2] = "parent_linkage2",
    [RELATIVE_PATH] = "relative_path",
    [VOLUME_PATH] = "volume_path",
    [ABSOLUTE_PATH] = "absolute_win32_path",
};

void vhdx_locator_free(struct vhdx_locator *locator)
{
    free(locator->relative_path);
    free(locator->absolute_path);
    free(locator->volume_path);
    memset(locator, 0, sizeof(*locator));
}

/* -- reading ----------------------------------------------------------------------------------- */

static int damaged(struct cm_store *store, const char *what)
{
    return cm_fail(
        CM_EDAMAGED,
        "%s is damaged: %s. Give it its parent again: coremnt rebase, or restore it from "
        "a copy.",
        cm_store_path(store), what);
}

/* Text of the item, as a string of its own. */
static int read_text(struct cm_store *store, const unsigned char *item, uint32_t size, uint32_t at,
                     uint32_t length, char **text)
{
    if (at > size || length > size - at || length % 2 != 0 || length / 2 > TEXT_MAX)
        return damaged(store, "a name of its parent is not where it should be");
    *text = cm_utf16_to_utf8(item + at, length / 2, CM_UTF16_LITTLE);
    return *text != NULL ? 0 : cm_fail(CM_ENOMEM, "no memory to open %s.", cm_store_path(store));
}

/* values[key] of one entry; keys that nobody knows are left alone. */
static int take_entry(struct cm_store *store, const unsigned char *item, uint32_t size,
                      const unsigned char *entry, char *values[KEYS])
{
    char *name = NULL;
    unsigned key = 0;
    int error = read_text(store, item, size, cm_get_le32(entry), cm_get_le16(entry + 8), &name);

    if (error != 0)
        return error;
    while (key < KEYS && strcmp(name, keys[key]) != 0)
        key++;
    free(name);
    if (key == KEYS)
        return 0;
    if (values[key] != NULL)
        return damaged(store, "it names its parent in two ways that should be one");
    return read_text(store, item, size, cm_get_le32(entry + 4), cm_get_le16(entry + 10),
                     &values[key]);
}

static int take_item(struct cm_store *store, const unsigned char *item, uint32_t size,
                     char *values[KEYS])
{
    uint32_t count;
    int error = 0;

    if (size < ENTRIES_AT)
        return damaged(store, "what should name its parent is too short");
    if (memcmp(item, locator_type.bytes, sizeof(locator_type.bytes)) != 0)
        return cm_fail(CM_ENOTSUP,
                       "%s names its parent in a way that this program does not know. If you know "
                       "the parent: coremnt rebase.",
                       cm_store_path(store));
    count = cm_get_le16(item + COUNT_AT);
    if (count > KEYS_MAX || count > (size - ENTRIES_AT) / ENTRY_SIZE)
        return damaged(store, "it has too many names of its parent");
    for (uint32_t i = 0; i < count && error == 0; i++)
        error = take_entry(store, item, size, item + ENTRIES_AT + i * ENTRY_SIZE, values);
    return error;
}

/* The paths are the locator's from now on. */
static int take_values(struct cm_store *store, char *values[KEYS], struct vhdx_locator *locator)
{
    locator->relative_path = values[RELATIVE_PATH];
    locator->volume_path = values[VOLUME_PATH];
    locator->absolute_path = values[ABSOLUTE_PATH];
    values[RELATIVE_PATH] = values[VOLUME_PATH] = values[ABSOLUTE_PATH] = NULL;
    if (values[LINKAGE] == NULL || vhdx_guid_parse(values[LINKAGE], &locator->linkage) != 0)
        return damaged(store, "the identity of its parent is not there");
    if (values[LINKAGE2] != NULL && vhdx_guid_parse(values[LINKAGE2], &locator->linkage2) != 0)
        return damaged(store, "the second identity of its parent is none");
    if (locator->relative_path == NULL && locator->volume_path == NULL &&
        locator->absolute_path == NULL)
        return damaged(store, "no path leads to its parent");
    return 0;
}

int vhdx_locator_read(struct cm_store *store, const struct vhdx_metadata *metadata,
                      struct vhdx_locator *locator)
{
    uint32_t size = metadata->locator_size;
    char *values[KEYS] = {NULL};
    unsigned char *item;
    int error;

    memset(locator, 0, sizeof(*locator));
    if (metadata->locator_at == 0 || size > ITEM_MAX)
        return damaged(store, "nothing says which its parent is");
    item = malloc(size);
    if (item == NULL)
        return cm_fail(CM_ENOMEM, "no memory to open %s.", cm_store_path(store));
    error = cm_store_read(store, item, size, metadata->locator_at);
    if (error != 0)
        cm_fail(error, "cannot read the metadata of %s: %s.", cm_store_path(store),
                cm_error_name(error));
    else
        error = take_item(store, item, size, values);
    if (error == 0)
        error = take_values(store, values, locator);
    for (unsigned key = 0; key < KEYS; key++)
        free(values[key]);
    free(item);
    if (error != 0)
        vhdx_locator_free(locator);
    return error;
}

/* -- making ------------------------------------------------------------------------------------ */

/* The item that grows: entries have their place, texts follow each other. */
struct making {
    unsigned char *bytes;
    size_t room;
    uint32_t used;
    unsigned count;
};

/* @return the text's length in bytes; 0: no room, or not a text. */
static uint16_t put_text(struct making *m, const char *text)
{
    size_t left = (m->room - m->used) / 2;
    size_t units = cm_utf8_to_utf16(text, m->bytes + m->used, left, CM_UTF16_LITTLE);

    if (units == 0 || units > left || units > TEXT_MAX)
        return 0;
    m->used += (uint32_t)(2 * units);
    return (uint16_t)(2 * units);
}

static int put_pair(struct making *m, enum key key, const char *value)
{
    unsigned char *entry = m->bytes + ENTRIES_AT + (size_t)m->count * ENTRY_SIZE;
    uint16_t key_length, value_length;

    cm_put_le32(entry, m->used);
    key_length = put_text(m, keys[key]);
    cm_put_le32(entry + 4, m->used);
    value_length = put_text(m, value);
    if (key_length == 0 || value_length == 0)
        return cm_fail(CM_EINVAL,
                       "the path of the parent is too long for a VHDX image, or no text: %.80s",
                       value);
    cm_put_le16(entry + 8, key_length);
    cm_put_le16(entry + 10, value_length);
    m->count++;
    return 0;
}

int vhdx_locator_make(const struct vhdx_locator *locator, unsigned char *bytes, size_t room,
                      uint32_t *size)
{
    char linkage[VHDX_GUID_TEXT], linkage2[VHDX_GUID_TEXT];
    const char *values[KEYS] = {
        [LINKAGE] = linkage,
        [LINKAGE2] = vhdx_guid_is_zero(&locator->linkage2) ? NULL : linkage2,
        [RELATIVE_PATH] = locator->relative_path,
        [VOLUME_PATH] = locator->volume_path,
        [ABSOLUTE_PATH] = locator->absolute_path,
    };
    struct making m = {bytes, room, ENTRIES_AT + KEYS * ENTRY_SIZE, 0};
    int error = 0;

    vhdx_guid_print(&locator->linkage, linkage);
    vhdx_guid_print(&locator->linkage2, linkage2);
    if (room < m.used)
        return cm_fail(CM_EINVAL, "no room for the names of a parent.");
    memset(bytes, 0, m.used);
    memcpy(bytes, locator_type.bytes, sizeof(locator_type.bytes));
    for (unsigned key = 0; key < KEYS && error == 0; key++)
        if (values[key] != NULL)
            error = put_pair(&m, (enum key)key, values[key]);
    cm_put_le16(bytes + COUNT_AT, (uint16_t)m.count);
    *size = m.used;
    return error;
}
