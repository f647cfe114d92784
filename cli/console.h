/* SPDX-License-Identifier: MIT */
/*
 * console.h - the console the tool runs in: UTF-8, and Ctrl-C. console_windows.c, console_linux.c.
 */
#ifndef CLI_CONSOLE_H
#define CLI_CONSOLE_H

/* First and last thing of the program. Turns the arguments and the output to UTF-8. 0, or -1 having
 * said why. */
int console_open(int *argc, char ***argv);
void console_close(void);

/* From here on Ctrl-C and the like do not end the program but are counted. */
void console_catch_interrupts(void);
unsigned console_interrupts(void);

/* The system will end the program in a few seconds: the window is closed, the user logs off. */
int console_is_closing(void);

/* Whether stderr is seen by somebody as it is written: a terminal. */
int console_shows_errors(void);

#endif
