/* SPDX-License-Identifier: MIT */
/*
 * out.h - how the verbs print: tables, JSON, and sizes for people.
 */
#ifndef CLI_OUT_H
#define CLI_OUT_H

#include <stddef.h>
#include <stdint.h>

/* -- sizes ------------------------------------------------------------------------------------- */

#define OUT_SIZE_TEXT 32u

/* "64 MiB", "1.5 GiB", "700 bytes"; returns `text`. */
const char *out_size(uint64_t bytes, char text[OUT_SIZE_TEXT]);

/* -- tables ------------------------------------------------------------------------------------ */

struct out_table;

/* Columns as wide as their widest cell; those whose heading begins with '>' are set to the right.
 * NULL after the last heading. */
struct out_table *out_table_new(const char *const *headings);
/* The next cell, row by row; copied. */
void out_table_cell(struct out_table *table, const char *text);
void out_table_number(struct out_table *table, uint64_t number);
/* Print and free it. 0, or CM_ENOMEM: a cell was lost, nothing is printed. */
int out_table_end(struct out_table *table);

/* -- JSON -------------------------------------------------------------------------------------- */

/* Writes to stdout as it goes. `key` is NULL inside an array and at the top. */
struct out_json {
    int compact; /* one line */
    int depth;
    int empty; /* nothing in the innermost object or array yet */
};

void out_json_begin(struct out_json *json, const char *key, char bracket); /* '{' or '[' */
void out_json_end(struct out_json *json, char bracket);                    /* '}' or ']' */
void out_json_string(struct out_json *json, const char *key, const char *text);
void out_json_number(struct out_json *json, const char *key, uint64_t number);
void out_json_bool(struct out_json *json, const char *key, int value);
/* An id: in quotes, for many readers of JSON keep only 53 bits of a number. */
void out_json_id(struct out_json *json, const char *key, uint64_t id);

#endif
