/* SPDX-License-Identifier: MIT */
/*
 * event.h - events that are lent: a wait needs one for its own length, and makes none if it can
 * help it.
 *
 * For file.c, whose threads wait for their requests, and thread.c, whose threads wait for
 * conditions. Any thread.
 */
#ifndef CM_EVENT_H
#define CM_EVENT_H

#include <windows.h>

enum cm_event_kind {
    CM_EVENT_AUTO,   /* waiting resets it; not set when taken and not when given back */
    CM_EVENT_MANUAL, /* for overlapped I/O, which resets it when it starts */
    CM_EVENT_KINDS
};

/* NULL: no memory. */
HANDLE cm_event_take(enum cm_event_kind kind);

/* Nobody may set it any more. */
void cm_event_give(enum cm_event_kind kind, HANDLE event);

#endif
