/* SPDX-License-Identifier: MIT */
/*
 * error.h - what calls of the library return, and how to get a sentence for people.
 *
 * Every function that can fail returns 0 or one of the negative numbers below. The numbers are the
 * same on every system and never change their meaning.
 */
#ifndef COREMNT_ERROR_H
#define COREMNT_ERROR_H

#ifdef __cplusplus
extern "C" {
#endif

#if defined(_WIN32) && defined(CM_BUILD_DLL)
#define CM_API __declspec(dllexport)
#elif defined(_WIN32) && defined(CM_USE_DLL)
#define CM_API __declspec(dllimport)
#else
#define CM_API
#endif

enum cm_error {
    CM_OK = 0,
    CM_EINVAL = -1,     /* an argument makes no sense */
    CM_ENOMEM = -2,     /* no memory */
    CM_EIO = -3,        /* a device or a file failed */
    CM_ENOENT = -4,     /* no such file, disk or letter */
    CM_EEXIST = -5,     /* there is one already */
    CM_EACCES = -6,     /* no right to do this */
    CM_EBUSY = -7,      /* in use */
    CM_ENOSPC = -8,     /* no space left for the image */
    CM_EROFS = -9,      /* read-only */
    CM_ENOTSUP = -10,   /* this image or system cannot do it */
    CM_ENODRIVER = -11, /* the driver is not installed */
    CM_ESTOPPED = -12,  /* the driver is installed but not started */
    CM_EVERSION = -13,  /* driver and library speak different versions of the contract */
    CM_ETIMEDOUT = -14, /* it took longer than allowed */
    CM_EGONE = -15,     /* the disk has been removed */
    CM_ECANCELED = -16, /* the call was cancelled */
    CM_EPROTO = -17,    /* the other side broke the protocol */
    CM_EFORMAT = -18,   /* not an image of this kind, or an unknown kind */
    CM_ERANGE = -19,    /* outside the disk */
    CM_EMEDIA = -20,    /* this data cannot be read: the medium below is damaged */
    CM_EDAMAGED = -21,  /* the image's own structures are damaged: coremnt check tells how */
};

/**
 * A sentence about the last failure in the calling thread: what failed, on what, and what to do.
 *
 * Calls that do I/O (cm_image_read, _write, _flush, _trim, and the same of loopback.h) return only
 * numbers and leave it as it was: ask cm_error_name() for a word about those.
 * Does not block. @return never NULL; valid until the next call of the library in this thread.
 * Threads: any; each has its own. Since 0.1.
 */
CM_API const char *cm_last_error(void);

/**
 * The meaning of an error number in a few words ("no space left"). Does not block.
 * @return never NULL, a constant. Threads: any. Since 0.1.
 */
CM_API const char *cm_error_name(int error);

#ifdef __cplusplus
}
#endif
#endif
