/* SPDX-License-Identifier: MIT */
/*
 * plan.h - what the runner (plan.c) and the end of a step (step.c) agree on.
 */
#ifndef COREMNT_GUEST_PLAN_H
#define COREMNT_GUEST_PLAN_H

/* Begins the line of a step's output that gives the reason of its end. */
#define END_MARK "-- because: "

#define WORK_FOLDER "CoreMnt.kit" /* on the system's drive, unless --work */

#endif
