/* SPDX-License-Identifier: MIT */
/*
 * wine.h - whether this is Wine, which differs from Windows in what some files here do: each says in what.
 */
#ifndef CM_WINE_H
#define CM_WINE_H

int cm_on_wine(void);

#endif
