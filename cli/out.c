/* SPDX-License-Identifier: MIT */
/*
 * out.c - printing to stdout. One thread.
 */
#include "cli/out.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/core/error_internal.h"

#include <coremnt/error.h>

/* -- sizes ------------------------------------------------------------------------------------- */

const char *out_size(uint64_t bytes, char text[OUT_SIZE_TEXT])
{
    static const char *const units[] = {"bytes", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    uint64_t whole = bytes;
    uint64_t rest = 0;
    unsigned unit = 0;

    while (whole >= 1024u) {
        rest = whole % 1024u;
        whole /= 1024u;
        unit++;
    }
    /* One digit, cut: what is shown as 1.9 GiB has never less than that. */
    if (rest * 10u / 1024u == 0)
        snprintf(text, OUT_SIZE_TEXT, "%llu %s", (unsigned long long)whole, units[unit]);
    else
        snprintf(text, OUT_SIZE_TEXT, "%llu.%u %s", (unsigned long long)whole,
                 (unsigned)(rest * 10u / 1024u), units[unit]);
    return text;
}

/* -- tables ------------------------------------------------------------------------------------ */

struct out_table {
    size_t columns;
    size_t count; /* of cells */
    size_t room;
    char **cells; /* the headings first */
    int failed;
};

struct out_table *out_table_new(const char *const *headings)
{
    struct out_table *table = calloc(1, sizeof(*table));

    if (table == NULL)
        return NULL;
    while (headings[table->columns] != NULL)
        out_table_cell(table, headings[table->columns++]);
    return table;
}

void out_table_cell(struct out_table *table, const char *text)
{
    if (table == NULL || table->failed)
        return;
    if (table->count == table->room) {
        size_t room = table->room * 2 + 32;
        char **cells = realloc(table->cells, room * sizeof(*cells));

        if (cells == NULL) {
            table->failed = 1;
            return;
        }
        table->cells = cells;
        table->room = room;
    }
    table->cells[table->count] = strdup(text);
    if (table->cells[table->count] == NULL)
        table->failed = 1;
    else
        table->count++;
}

void out_table_number(struct out_table *table, uint64_t number)
{
    char text[24];

    snprintf(text, sizeof(text), "%llu", (unsigned long long)number);
    out_table_cell(table, text);
}

/* Characters, not bytes: continuation bytes of UTF-8 do not count. */
static size_t width_of(const char *text)
{
    size_t width = 0;

    for (; *text != '\0'; text++)
        width += ((unsigned char)*text & 0xC0u) != 0x80u;
    return width;
}

static size_t column_width(const struct out_table *table, size_t column)
{
    size_t widest = 0;
    size_t i;

    for (i = column; i < table->count; i += table->columns) {
        const char *text = table->cells[i];
        size_t width = width_of(i < table->columns && *text == '>' ? text + 1 : text);

        if (width > widest)
            widest = width;
    }
    return widest;
}

static void print_cell(const struct out_table *table, size_t i)
{
    size_t column = i % table->columns;
    int right = table->cells[column][0] == '>';
    const char *text = i < table->columns && right ? table->cells[i] + 1 : table->cells[i];
    size_t padding = column_width(table, column) - width_of(text);
    int last = column == table->columns - 1;

    printf("%*s%s", right ? (int)padding : 0, "", text);
    if (last)
        printf("\n");
    else
        printf("%*s", (right ? 0 : (int)padding) + 2, "");
}

int out_table_end(struct out_table *table)
{
    size_t i;
    int error = 0;

    if (table == NULL || table->failed)
        error = cm_fail(CM_ENOMEM, "no memory for the table.");
    for (i = 0; error == 0 && i < table->count; i++)
        print_cell(table, i);
    for (i = 0; table != NULL && i < table->count; i++)
        free(table->cells[i]);
    if (table != NULL)
        free(table->cells);
    free(table);
    return error;
}

/* -- JSON -------------------------------------------------------------------------------------- */

static void print_string(const char *text);

/* Everything that stands before a value: comma, new line, key. */
static void begin_value(struct out_json *json, const char *key)
{
    if (json->depth > 0) {
        if (!json->empty)
            printf(json->compact ? ", " : ",");
        if (!json->compact)
            printf("\n%*s", json->depth * 2, "");
    }
    if (key != NULL) {
        print_string(key);
        printf(": ");
    }
    json->empty = 0;
}

void out_json_begin(struct out_json *json, const char *key, char bracket)
{
    begin_value(json, key);
    putchar(bracket);
    json->depth++;
    json->empty = 1;
}

void out_json_end(struct out_json *json, char bracket)
{
    json->depth--;
    if (!json->empty && !json->compact)
        printf("\n%*s", json->depth * 2, "");
    putchar(bracket);
    json->empty = 0;
    if (json->depth == 0)
        putchar('\n');
}

/* The length of the UTF-8 character at `text`, 0 if it is none. JSON must be UTF-8, and names of
 * files need not be. */
static size_t utf8_length(const unsigned char *text)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    size_t length = text[0] < 0x80 ? 1 : text[0] >= 0xF0 ? 4 : text[0] >= 0xE0 ? 3 : 2;
    uint32_t value = text[0] & (0x7Fu >> (length == 1 ? 0 : length));
    size_t i;

    if ((text[0] >= 0x80 && text[0] < 0xC2) || text[0] > 0xF4)
        return 0;
    for (i = 1; i < length; i++) {
        if ((text[i] & 0xC0u) != 0x80u) /* also the terminating zero */
            return 0;
        value = value << 6 | (text[i] & 0x3Fu);
    }
    return value < least[length] || value > 0x10FFFF || (value >= 0xD800 && value < 0xE000)
               ? 0
               : length;
}

static void print_string(const char *text)
{
    const unsigned char *c = (const unsigned char *)text;

    putchar('"');
    while (*c != '\0') {
        size_t length = utf8_length(c);

        if (length == 0)
            printf("\\ufffd");
        else if (*c == '"' || *c == '\\')
            printf("\\%c", *c);
        else if (*c < 0x20 || *c == 0x7F)
            printf("\\u%04x", *c);
        else
            fwrite(c, 1, length, stdout);
        c += length != 0 ? length : 1;
    }
    putchar('"');
}

void out_json_string(struct out_json *json, const char *key, const char *text)
{
    begin_value(json, key);
    print_string(text);
}

void out_json_number(struct out_json *json, const char *key, uint64_t number)
{
    begin_value(json, key);
    printf("%llu", (unsigned long long)number);
}

void out_json_bool(struct out_json *json, const char *key, int value)
{
    begin_value(json, key);
    printf("%s", value ? "true" : "false");
}

void out_json_id(struct out_json *json, const char *key, uint64_t id)
{
    begin_value(json, key);
    printf("\"%llu\"", (unsigned long long)id);
}
