/* SPDX-License-Identifier: MIT */
/*
 * smallest_disk.c - a disk whose content is a function: sector N is filled with the byte N.
 *
 * Three callbacks make a disk. On Windows it becomes a drive until a key is pressed; elsewhere it
 * is served within this process and read back. Build it with libcoremnt; it needs no other library.
 */
#include <stdio.h>
#include <string.h>

#include <coremnt/coremnt.h>

#define SECTOR 512u

/* Called from several threads at once, which is fine for a function without state. */
static int read_sectors(void *context, void *buffer, uint32_t length, uint64_t offset)
{
    (void)context;
    for (uint32_t done = 0; done < length; done += SECTOR)
        memset((char *)buffer + done, (int)((offset + done) / SECTOR & 0xFF), SECTOR);
    return 0;
}

static void close_image(void *context)
{
    (void)context;
}

int main(void)
{
    static const struct cm_image_ops ops = {.size = sizeof(ops),
                                            .flags = CM_IMAGE_PARALLEL,
                                            .read = read_sectors,
                                            .close = close_image};
    struct cm_image *image;
    int error = cm_image_new(&ops, NULL, 1024 * SECTOR, SECTOR, &image);
#ifdef _WIN32
    struct cm_disk *disk;
    if (error == 0 && (error = cm_disk_mount(image, NULL, &disk)) == 0) {
        printf("The disk is %s\\ - press Enter to unmount it.\n", cm_disk_mount_point(disk));
        fflush(stdout);
        getchar();
        error = cm_unmount(cm_disk_mount_point(disk), 0, 5000);
        cm_disk_close(disk);
    }
#else
    struct cm_loopback *loopback;
    unsigned char sector[SECTOR] = {0};
    if (error == 0 && (error = cm_loopback_open(image, NULL, &loopback)) == 0) {
        if ((error = cm_loopback_read(loopback, sector, SECTOR, 42 * SECTOR)) == 0)
            printf("Sector 42 is filled with the byte %d.\n", sector[SECTOR - 1]);
        cm_loopback_close(loopback);
    }
#endif
    if (error != 0)
        fprintf(stderr, "%s: %s\n", cm_error_name(error), cm_last_error());
    cm_image_close(image);
    return error != 0;
}
