/* SPDX-License-Identifier: MIT */
/*
 * event.c - a few shelves of events that nobody uses just now. Hot: every read and write of an
 * image's file takes one.
 *
 * There are no locks, and no list whose links could change under a reader: a shelf is a row of
 * places, and an event is taken or put down by exchanging what is in one place. Each thread begins
 * to look at a place of its own, so threads that come again and again find the event that they gave
 * back, and seldom touch the same place. What finds no place is closed, so that no number of
 * threads leaves more than a shelf behind.
 */
#include "lib/windows/event.h"

#define PLACES 64u /* more than threads that work at once, as a rule */

static PVOID volatile shelves[CM_EVENT_KINDS][PLACES];

/* Identifiers of threads are multiples of 4. */
static unsigned own_place(void)
{
    return GetCurrentThreadId() / 4u;
}

HANDLE cm_event_take(enum cm_event_kind kind)
{
    unsigned first = own_place();

    for (unsigned i = 0; i < PLACES; i++) {
        PVOID volatile *place = &shelves[kind][(first + i) % PLACES];
        /* Looked at first, because a write would take the place from the other processors. */
        HANDLE event = *place != NULL ? InterlockedExchangePointer(place, NULL) : NULL;

        if (event != NULL)
            return event;
    }
    return CreateEventW(NULL, kind == CM_EVENT_MANUAL, FALSE, NULL);
}

void cm_event_give(enum cm_event_kind kind, HANDLE event)
{
    unsigned first = own_place();

    for (unsigned i = 0; i < PLACES; i++) {
        PVOID volatile *place = &shelves[kind][(first + i) % PLACES];

        if (*place == NULL && InterlockedCompareExchangePointer(place, event, NULL) == NULL)
            return;
    }
    CloseHandle(event);
}
