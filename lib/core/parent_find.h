/* SPDX-License-Identifier: MIT */
/*
 * parent_find.h - the file of the parent of a differencing image: one search for all formats, for opening and for checking,
 * so that all of them judge the same file.
 */
#ifndef CM_PARENT_FIND_H
#define CM_PARENT_FIND_H

struct cm_image_options;
struct cm_store;

struct cm_parent_search {
    const char *child;    /* its path, for sentences and to begin at */
    const char *relative; /* the names that the child has, UTF-8; NULL: not there */
    const char *absolute;
    /* Whether this file is the parent. By what identifies it and nothing else: its own parents are not opened before it is
     * known to be the one, or a few files could lead through more chains than there is time for.
     * @return 0: it is; a CM_E... with its sentence, which names the file and what is wrong with it. */
    int (*judge)(void *context, struct cm_store *file);
    void *context;
};

/*
 * Try the paths of parent_path.h in turn. The first file that is the parent is it: what is wrong with it beyond its identity
 * no other file cures. One of the right name that is not the parent is passed by; one that another program is writing to
 * (CM_EBUSY) ends the search, because it may be the one. Opened as `options` say; the caller closes it.
 * @return 0; CM_ENOENT: none of the files exists; or what was wrong with the first that does. Sets the sentence. Any thread.
 */
int cm_parent_find(const struct cm_parent_search *search, const struct cm_image_options *options,
                   struct cm_store **file);

#endif
