/* SPDX-License-Identifier: MIT */
/*
 * CoreMntTest.c - the test program of the article "How to develop a virtual disk for Windows":
 * makes the disk image tst_img in the current folder, mounts it as Z:, waits for a key, and
 * unmounts it.
 *
 * Read it from the bottom up: main() is the whole story, in the article's four stages. It needs an
 * administrator, and the driver: "coremnt driver install", "coremnt driver start" - the article's
 * stage 1. Afterwards Z: can be formatted, for example with: format Z: /FS:FAT /Q
 */
#include <conio.h>
#include <io.h>
#include <stdio.h>

#include <coremnt/coremnt.h>

#define IMAGE_FILE "tst_img"
#define IMAGE_SIZE (64ull * 1024 * 1024) /* takes space only for what is written */
#define LETTER "Z:"
#define UNMOUNT_MS 5000u

/* Every call of the library returns 0 or a number, and leaves a sentence for people behind. */
static int failed(const char *what, int error)
{
    fprintf(stderr, "%s: %s (error %d, %s)\n", what, cm_last_error(), error, cm_error_name(error));
    return error;
}

/* A key of the console. If the input is a file or a pipe: one byte of it, or its end. */
static int wait_for_key(void)
{
    return _isatty(_fileno(stdin)) ? _getch() : getchar();
}

/*
 * Stage 2, first half. An image is where the disk's bytes are; this one is a file. The second start
 * of the program finds the file of the first and opens it, so what was written is still there.
 */
static int open_image(struct cm_image **image)
{
    struct cm_image_options options = {.struct_size = sizeof(options)};

    options.flags = CM_OPEN_CREATE | CM_OPEN_OR_CREATE;
    options.size = IMAGE_SIZE;
    return cm_image_open(IMAGE_FILE, &options, image);
}

/*
 * Stage 2, second half, and stage 3: from here on threads of the library ask the driver for
 * requests and answer them from the image. This program need not do anything.
 */
static int mount_image(struct cm_image *image, struct cm_disk **disk)
{
    struct cm_disk_options options = {.struct_size = sizeof(options)};

    options.mount_point = LETTER;
    options.image_name = IMAGE_FILE;
    return cm_disk_mount(image, &options, disk);
}

/*
 * Stage 4. A disk with open files refuses to be unmounted, and nothing has changed then: close
 * them, press a key again. When there is no key to wait for any more, it is taken away from those
 * who use it.
 */
static int unmount_image(struct cm_disk *disk)
{
    int key;
    int error;

    do {
        key = wait_for_key();
        error =
            cm_unmount(cm_disk_mount_point(disk), key == EOF ? CM_UNMOUNT_FORCED : 0, UNMOUNT_MS);
        if (error == CM_EBUSY)
            failed("The disk stays mounted", error);
    } while (error == CM_EBUSY && key != EOF);
    /* Somebody else may have unmounted it meanwhile: "coremnt unmount Z:". */
    return error == CM_ENOENT ? 0 : error;
}

int main(void)
{
    struct cm_image *image;
    struct cm_disk *disk;
    int close_error;
    int error = open_image(&image);

    if (error != 0)
        return failed("The image could not be opened", error) != 0;
    error = mount_image(image, &disk);
    if (error != 0) {
        failed("The image could not be mounted", error);
    } else {
        printf("Image was mounted. Press  any key for unmount.\n");
        fflush(stdout);
        error = unmount_image(disk);
        if (error != 0)
            failed("The disk could not be unmounted", error);
        /* Ends the threads. The image's last flush happens here: its failure means lost data. */
        close_error = cm_disk_close(disk);
        if (close_error != 0)
            error = failed("The image could not be written", close_error);
    }
    close_error = cm_image_close(image);
    if (close_error != 0 && error == 0)
        error = failed("The image could not be closed", close_error);
    return error != 0;
}
