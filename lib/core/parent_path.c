/* SPDX-License-Identifier: MIT */
/*
 * parent_path.c - the names by which a differencing image finds its parent. Called by the formats that have parents when
 * an image is opened or made, on any thread.
 *
 * The names come from the file, so from anybody. "\\server\share\x" would have Windows send the user's credentials to
 * that server, "\\.\PhysicalDrive0" would open a device: only names on drives and relative ones are followed.
 */
#include "lib/core/parent_path.h"

#include <stdlib.h>
#include <string.h>

#ifdef _WIN32
#define SEPARATOR '\\'
#else
#define SEPARATOR '/'
#endif

static int is_separator(char c)
{
    return c == '/' || c == '\\';
}

/* Here, where only one of the two may be one. */
static int is_own_separator(char c)
{
    return c == '/' || c == SEPARATOR;
}

static int has_drive(const char *path)
{
    char letter = (char)(path[0] | 0x20);

    return letter >= 'a' && letter <= 'z' && path[1] == ':';
}

static size_t folder_length(const char *path)
{
    size_t length = strlen(path);

    while (length > 0 && !is_own_separator(path[length - 1]))
        length--;
    return length;
}

/* The form that VHDX asks for is "\\?\d:\x": the path behind that. Volumes and servers have such forms too, and stay. */
static const char *without_prefix(const char *path)
{
    return strncmp(path, "\\\\?\\", 4) == 0 && has_drive(path + 4) ? path + 4 : path;
}

/* Printed, and obeyed by a terminal. No honest file is called so; on Windows none can be. */
int cm_parent_has_controls(const char *path)
{
    for (const unsigned char *c = (const unsigned char *)path; *c != '\0'; c++)
        if (*c < 0x20 || *c == 0x7f || (c[0] == 0xc2 && c[1] < 0xa0))
            return 1;
    return 0;
}

/* "file:///x", "\\x", "//x", and "\??\x" are no plain paths. */
static int is_plain(const char *path)
{
    return !cm_parent_has_controls(path) && path[0] != '\0' &&
           !(is_separator(path[0]) && is_separator(path[1])) && strstr(path, "://") == NULL &&
           strstr(path, "??") == NULL;
}

static int is_absolute(const char *path)
{
    return is_separator(path[0]) || has_drive(path);
}

/* ".\x" is x: of a long chain the paths would be long, and the same file would be tried twice. */
static const char *without_dots(const char *relative)
{
    while (relative[0] == '.' && is_separator(relative[1]))
        relative += 2;
    return relative;
}

/* The first `length` bytes of a path and a name behind them, with our separators in the name. */
static char *join(const char *path, size_t length, const char *name)
{
    char *joined = malloc(length + strlen(name) + 1);

    if (joined == NULL)
        return NULL;
    memcpy(joined, path, length);
    strcpy(joined + length, name);
    for (char *c = joined + length; *c != '\0'; c++)
        if (is_separator(*c))
            *c = SEPARATOR;
    return joined;
}

static const char *file_name(const char *path)
{
    const char *name = path;

    for (const char *c = path; *c != '\0'; c++)
        if (is_separator(*c) || (c == path + 1 && has_drive(path)))
            name = c + 1;
    return name;
}

/* Here, a drive is no place. */
static int is_absolute_here(const char *path)
{
#ifdef _WIN32
    return has_drive(path) && is_separator(path[2]);
#else
    return path[0] == '/';
#endif
}

static void add(char *paths[CM_PARENT_PATHS], unsigned *count, char *path)
{
    for (unsigned i = 0; path != NULL && i < *count; i++) {
        if (strcmp(paths[i], path) == 0) {
            free(path);
            return;
        }
    }
    if (path != NULL)
        paths[(*count)++] = path;
}

unsigned cm_parent_paths(const char *child, const char *relative, const char *absolute,
                         char *paths[CM_PARENT_PATHS])
{
    size_t folder = folder_length(child);
    const char *any = relative != NULL && relative[0] != '\0' ? relative : absolute;
    unsigned count = 0;

    if (relative != NULL)
        relative = without_dots(relative);
    if (relative != NULL && is_plain(relative) && !is_absolute(relative))
        add(paths, &count, join(child, folder, relative));
    if (absolute != NULL)
        absolute = without_prefix(absolute);
    if (absolute != NULL && is_plain(absolute) && is_absolute_here(absolute))
        add(paths, &count, join("", 0, absolute));
    if (any != NULL && file_name(any)[0] != '\0' && !cm_parent_has_controls(file_name(any)))
        add(paths, &count, join(child, folder, file_name(any)));
    return count;
}

/* -- making a name ----------------------------------------------------------------------------- */

static int same_letter(char a, char b)
{
#ifdef _WIN32
    if (is_separator(a) && is_separator(b))
        return 1;
    if (a >= 'A' && a <= 'Z')
        a = (char)(a | 0x20);
    if (b >= 'A' && b <= 'Z')
        b = (char)(b | 0x20);
#endif
    return a == b;
}

/* Bytes at the beginning of both that are whole folders. */
static size_t common_length(const char *a, const char *b)
{
    size_t common = 0;

    for (size_t i = 0; a[i] != '\0' && same_letter(a[i], b[i]); i++)
        if (is_own_separator(a[i]))
            common = i + 1;
    return common;
}

char *cm_parent_relative(const char *child, const char *parent)
{
    size_t common = common_length(child, parent);
    size_t ups = 0;
    char *name, *end;

    if (common == 0 || (is_own_separator(child[0]) && is_own_separator(child[1])))
        return NULL;
    for (const char *c = child + common; *c != '\0'; c++)
        ups += is_own_separator(*c);
    name = malloc(3 * ups + strlen(parent + common) + 3);
    if (name == NULL)
        return NULL;
    end = name;
    for (size_t i = 0; i < ups; i++, end += 3)
        memcpy(end, "..\\", 3);
    if (ups == 0) {
        memcpy(end, ".\\", 2);
        end += 2;
    }
    strcpy(end, parent + common);
    for (char *c = end; *c != '\0'; c++)
        if (is_own_separator(*c))
            *c = '\\';
    return name;
}
