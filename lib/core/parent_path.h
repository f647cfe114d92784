/* SPDX-License-Identifier: MIT */
/*
 * parent_path.h - the names by which a differencing image finds its parent: what VHD and VHDX write into their locators,
 * and what to try when they are read, on Windows and elsewhere.
 */
#ifndef CM_PARENT_PATH_H
#define CM_PARENT_PATH_H

#include <stddef.h>

#define CM_PARENT_PATHS 3u /* to try, at most */

/*
 * The paths where a parent may be, in the order in which they are to be tried: by the relative name from the child's
 * folder, by the absolute one, and beside the child under the same file name. Names that lead to other machines or to
 * devices are left out, because an image that a stranger made must not make us call on them; and names with control
 * characters, which would go to a terminal. `relative` and `absolute`
 * are UTF-8, with either separator; NULL: not there. Fills `paths`, which the caller frees one by one.
 * @return how many there are. Any thread.
 */
unsigned cm_parent_paths(const char *child, const char *relative, const char *absolute,
                         char *paths[CM_PARENT_PATHS]);

/* Whether cm_parent_paths() would leave the name out for its control characters. */
int cm_parent_has_controls(const char *path);

/*
 * The name of `parent` as seen from the folder of `child`, with the separators of Windows: ".\base.vhdx",
 * "..\a\base.vhdx". Both are full paths. NULL: there is none, as between two drives; or no memory. The caller frees it.
 */
char *cm_parent_relative(const char *child, const char *parent);

#endif
