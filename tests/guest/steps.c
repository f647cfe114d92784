/* SPDX-License-Identifier: MIT */
/*
 * steps.c - the table of steps, in the order in which they run: first the driver, at last its end.
 *
 * The limits are for a slow machine, an emulated one too; a step that is quick costs nothing by a
 * generous one.
 */
#include "tests/guest/kit.h"

#define DISK NEEDS_DRIVER
#define FILES (NEEDS_DRIVER | NEEDS_FILE_SYSTEM)

const struct step steps[] = {
    {"driver-install", step_driver_install, 120, 0},
    {"driver-start", step_driver_start, 60, 0},
    {"version", step_version, 60, DISK},
    {"coremnttest", step_coremnttest, 120, DISK},
    {"life", step_life, 120, DISK},
    {"raw-io", step_raw_io, 180, DISK},
    {"raw-refused", step_raw_refused, 60, DISK},
    {"rawbench", step_rawbench, 180, DISK},
    {"format-fat", step_format_fat, 300, FILES},
    {"format-fat32", step_format_fat32, 300, FILES},
    {"format-ntfs", step_format_ntfs, 300, FILES},
    {"copy-tree", step_copy_tree, 240, FILES},
    {"label", step_label, 180, FILES},
    {"chkdsk", step_chkdsk, 240, FILES},
    {"large-file", step_large_file, 300, FILES},
    {"many-files", step_many_files, 300, FILES},
    {"full-disk", step_full_disk, 240, FILES},
    {"read-only", step_read_only, 120, FILES},
    {"two-disks", step_two_disks, 180, FILES},
    {"in-use", step_in_use, 120, FILES},
    {"forced", step_forced, 120, FILES},
    {"server-killed", step_server_killed, 180, FILES},
    {"server-killed-raw", step_server_killed_raw, 120, DISK},
    {"hold-attach", step_hold_attach, 240, FILES},
    {"hold-attach-raw", step_hold_attach_raw, 180, DISK},
    {"cycles", step_cycles, 300, DISK},
    {"image-fat12", step_image_fat12, 120, FILES},
    {"image-fat16", step_image_fat16, 120, FILES},
    {"image-fat32", step_image_fat32, 120, FILES},
    {"image-ntfs", step_image_ntfs, 120, FILES},
    {"image-exfat", step_image_exfat, 120, FILES},
    {"vhdx", step_vhdx, 300, FILES},
    {"vhd", step_vhd, 300, FILES},
    {"no-mount-manager", step_no_mount_manager, 120, DISK},
    {"volume-name", step_volume_name, 120, DISK | NEEDS_MANAGER},
    {"folder", step_folder, 120, FILES | NEEDS_MANAGER},
    {"no-letter", step_no_letter, 120, DISK},
    {"resize", step_resize, 120, DISK},
    {"partition", step_partition, 120, DISK},
    {"driver-stop", step_driver_stop, 120, 0},
    {"driver-restart", step_driver_restart, 180, 0},
    {"driver-remove", step_driver_remove, 60, 0},
    {"clean-up", step_clean_up, 90, ONLY_BY_NAME}, /* after a failure */
    /* What the kit does about steps that go wrong; see tests/wine/guest-kit.sh. */
    {"self-fail", step_self_fail, 60, ONLY_BY_NAME},
    {"self-hang", step_self_hang, 3, ONLY_BY_NAME},
    {"self-crash", step_self_crash, 60, ONLY_BY_NAME},
    {NULL, NULL, 0, 0},
};

/* What a step that was ended by force has left. */
void step_clean_up(void)
{
    const char *letters[] = {letter_1, letter_2};

    for (size_t i = 0; i < 2; i++)
        if (drive_exists(letters[i]))
            run(40, "coremnt unmount %s --force", letters[i]);
}

void step_self_fail(void)
{
    run_ok(10, "coremnt no-such-verb");
}

/* It leaves a program behind, too, which is to go with it. */
void step_self_hang(void)
{
    struct process holder;

    process_start(&holder, NULL, "guest hold held.bin 600000");
    process_expect(&holder, "holding", 5000);
    for (;;)
        Sleep(1000);
}

void step_self_crash(void)
{
    volatile int *nowhere = NULL;

    *nowhere = 1;
}
