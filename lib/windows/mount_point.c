/* SPDX-License-Identifier: MIT */
/*
 * mount_point.c - where a disk appears.
 *
 * Called by disk.c on the thread of the program that mounts, never on one that serves.
 */
#include "lib/windows/mount_point.h"

#include <stdio.h>
#include <string.h>

#include "lib/core/error_internal.h"
#include "lib/windows/announce.h"
#include "lib/windows/mountmgr.h"

#include <coremnt/error.h>

/* A folder has a separator before its name; "Z:\" is a letter, and so is what only looks like one. */
static int is_folder(const char *text)
{
    const char *separator = strpbrk(text, "\\/");

    if (separator == NULL)
        return 0;
    return !(text[0] != '\0' && text[1] == ':' && separator == text + 2 && text[3] == '\0');
}

static void set_letter(struct cm_mount_point *point, char letter)
{
    point->kind = CM_AT_LETTER;
    point->letter = letter;
    snprintf(point->text, sizeof(point->text), "%c:", letter);
}

static int choose_letter(const char *text, struct cm_mount_point *point)
{
    char letter;
    int error = cm_letter_parse(text, &letter);

    if (error != 0)
        return cm_fail(
            CM_EINVAL,
            "\"%.40s\" is neither a drive letter nor a folder. Give one such as Z:, or a "
            "path such as C:\\mnt\\data.",
            text);
    set_letter(point, letter);
    return cm_letter_check(letter);
}

int cm_mount_point_choose(const char *text, struct cm_mount_point *point)
{
    memset(point, 0, sizeof(*point));
    point->kind = CM_AT_ANY_LETTER;
    if (text == NULL)
        return 0;
    if (text[0] == '\0') {
        point->kind = CM_AT_NOTHING;
        return 0;
    }
    if (!is_folder(text))
        return choose_letter(text, point);
    point->kind = CM_AT_FOLDER;
    return cm_folder_check(text, point->text);
}

static int make_letter(struct cm_mount_point *point, const char *device, int managed)
{
    char wanted = point->kind == CM_AT_LETTER ? point->letter : '\0';
    char letter = '\0';
    int error;

    /* The manager has remembered one from the last time, or taken the one that the disk suggested; or both. */
    if (managed && wanted == '\0')
        letter = cm_letter_of(device);
    else if (managed && (cm_letters_of(device) & (1u << (wanted - 'A'))) != 0)
        letter = wanted;
    if (letter != '\0') {
        cm_mountmgr_drop_letters(device, letter);
        set_letter(point, letter);
        return 0;
    }
    error = cm_letter_take(wanted, device, managed, &letter);
    if (error == 0)
        set_letter(point, letter);
    return error;
}

int cm_mount_point_make(struct cm_mount_point *point, const char *device, int managed)
{
    int error;

    if (point->kind == CM_AT_ANY_LETTER || point->kind == CM_AT_LETTER) {
        error = make_letter(point, device, managed);
        if (error == 0)
            cm_announce_letter_later(point->letter, 1); /* who calls serves the disk, so it stays */
        return error;
    }
    if (managed)
        cm_mountmgr_drop_letters(device, '\0');
    return point->kind == CM_AT_FOLDER ? cm_folder_mount(point->text, device, point->target) : 0;
}

void cm_mount_point_of(const char *device, struct cm_mount_point *point)
{
    char letter = cm_letter_of(device);

    memset(point, 0, sizeof(*point));
    point->kind = CM_AT_NOTHING;
    if (letter != '\0')
        set_letter(point, letter);
}

int cm_mount_point_remove(const struct cm_mount_point *point, const char *device)
{
    int error;

    if (point->kind == CM_AT_FOLDER && point->target[0] != L'\0')
        return cm_folder_unmount(point->text, point->target);
    /* Only if it is still ours: cm_unmount() has taken it away, or somebody else has it now. */
    if (point->kind != CM_AT_LETTER || (cm_letters_of(device) & (1u << (point->letter - 'A'))) == 0)
        return 0;
    error = cm_letter_remove(point->letter, device);
    if (error == 0)
        cm_announce_letter(point->letter, 0, CM_ANNOUNCE_MS);
    return error;
}
