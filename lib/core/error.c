/* SPDX-License-Identifier: MIT */
/*
 * error.c - error numbers, their names, the thread's last sentence, and their words on the wire.
 *
 * Called from everywhere, on any thread. Only cm_error_to_status() and cm_status_to_error() are on
 * the hot path; cm_fail() formats text and is not.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "abi/coremnt_abi.h"
#include "lib/core/error_internal.h"

#include <coremnt/error.h>

/* Long enough for a path of Windows' usual limit, twice, and a sentence around it. */
#define SENTENCE_SIZE 1024

static _Thread_local char last_error[SENTENCE_SIZE];

static const char *const names[] = {
    [-CM_OK] = "success",
    [-CM_EINVAL] = "invalid argument",
    [-CM_ENOMEM] = "no memory",
    [-CM_EIO] = "input/output error",
    [-CM_ENOENT] = "not found",
    [-CM_EEXIST] = "exists already",
    [-CM_EACCES] = "access denied",
    [-CM_EBUSY] = "in use",
    [-CM_ENOSPC] = "no space left",
    [-CM_EROFS] = "read-only",
    [-CM_ENOTSUP] = "not supported",
    [-CM_ENODRIVER] = "the driver is not installed",
    [-CM_ESTOPPED] = "the driver is not started",
    [-CM_EVERSION] = "driver and library do not match",
    [-CM_ETIMEDOUT] = "timed out",
    [-CM_EGONE] = "the disk has been removed",
    [-CM_ECANCELED] = "cancelled",
    [-CM_EPROTO] = "protocol broken by the other side",
    [-CM_EFORMAT] = "not an image of this kind",
    [-CM_ERANGE] = "outside the disk",
    [-CM_EMEDIA] = "unreadable data",
    [-CM_EDAMAGED] = "the image is damaged",
};

/* Both ways. What is missing here has no word of its own on the wire and becomes IO_ERROR. */
static const int errors[CM_STATUS_COUNT] = {
    [CM_STATUS_OK] = CM_OK,
    [CM_STATUS_IO_ERROR] = CM_EIO,
    [CM_STATUS_MEDIA_ERROR] = CM_EMEDIA,
    [CM_STATUS_NO_SPACE] = CM_ENOSPC,
    [CM_STATUS_READ_ONLY] = CM_EROFS,
    [CM_STATUS_OUT_OF_RANGE] = CM_ERANGE,
    [CM_STATUS_NOT_SUPPORTED] = CM_ENOTSUP,
    [CM_STATUS_NO_MEMORY] = CM_ENOMEM,
    [CM_STATUS_TIMEOUT] = CM_ETIMEDOUT,
    [CM_STATUS_ACCESS] = CM_EACCES,
};

const char *cm_last_error(void)
{
    return last_error;
}

const char *cm_error_name(int error)
{
    /* Compared before it is negated: -INT_MIN does not exist. */
    if (error > 0 || error <= -(int)(sizeof(names) / sizeof(names[0])))
        return "unknown error";
    return names[-error];
}

/*
 * Names in a sentence come from files that anybody made, and the sentence goes to a terminal, which would obey what is in them:
 * control characters become '?'. Those of one byte, and those of two that UTF-8 has for 0x80 to 0x9f.
 */
static void make_plain(char *sentence)
{
    for (unsigned char *c = (unsigned char *)sentence; *c != '\0'; c++) {
        if (*c < 0x20 || *c == 0x7f)
            *c = '?';
        else if (c[0] == 0xc2 && c[1] >= 0x80 && c[1] <= 0x9f)
            c[0] = c[1] = '?';
    }
}

int cm_fail(int error, const char *format, ...)
{
    char sentence[SENTENCE_SIZE]; /* the arguments may hold the sentence that this one replaces */
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(sentence, sizeof(sentence), format, arguments);
    va_end(arguments);
    make_plain(sentence);
    memcpy(last_error, sentence, strlen(sentence) + 1);
    return error;
}

/* Damage of an image is to Windows what damage of a disk's surface is. */
uint32_t cm_error_to_status(int error)
{
    if (error == CM_EDAMAGED)
        return CM_STATUS_MEDIA_ERROR;
    for (uint32_t status = 0; status < CM_STATUS_COUNT; status++)
        if (errors[status] == error)
            return status;
    return CM_STATUS_IO_ERROR;
}

int cm_status_to_error(uint32_t status)
{
    return status < CM_STATUS_COUNT ? errors[status] : CM_EPROTO;
}
