/* SPDX-License-Identifier: MIT */
/*
 * kit.h - what the files of guest.exe share.
 *
 * guest.exe runs the guest kit (docs/guest.md): `guest kit` goes through the table of steps in plan.c
 * and starts itself again, as `guest step NAME`, for each; so a step that hangs or crashes is ended
 * and told, and the next one runs. Within a step every command has a limit of its own, too. A step
 * is a function that returns when all was right, and else calls fail() or skip(), which do not
 * return. All of it runs in the main thread.
 *
 * Programs of the kit are found by PATH, which the runner sets; a step's current folder is the work
 * folder.
 */
#ifndef COREMNT_GUEST_KIT_H
#define COREMNT_GUEST_KIT_H

#include <stddef.h>
#include <stdint.h>
#include <windows.h>

/* Exit codes of `guest step`. */
enum { STEP_OK, STEP_FAILED, STEP_SKIPPED };

#define KIB 1024u
#define MIB (1024u * 1024u)

/* What BLANK_IMAGE is grown to; room for the large files. */
#define BLANK_SIZE "96M"
#define BLANK_BYTES (96u * MIB)

/* Two letters that nobody uses, as "Z:"; of_root() makes "Z:\\". */
extern char letter_1[3];
extern char letter_2[3];

/* -- how a step ends, step.c ------------------------------------------------------------------- */

/* Go into the log of the step. */
void note(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* End the step; what it started is ended, what it mounted is unmounted. */
_Noreturn void fail(const char *format, ...) __attribute__((format(printf, 1, 2)));
_Noreturn void skip(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* fail() if a Win32 call has not done its work; says GetLastError(). */
void must(BOOL done, const char *what);

int is_wine(void);
int is_reactos(void);

/* A path in the kit's folder, as "images\\fat12.img". Valid until the end. */
const char *kit_path(const char *name);

/* -- processes, process.c ---------------------------------------------------------------------- */

struct process {
    HANDLE handle;
    HANDLE input; /* a pipe to its standard input, if asked for */
    DWORD id;
    char output[64]; /* the file that has what it prints */
};

/* `input`: a file for its standard input, "|" for a pipe, or NULL for none. */
void process_start(struct process *process, const char *input, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* @return 1 and the exit code, or 0 if it still runs after `limit_ms`. */
int process_wait(struct process *process, DWORD limit_ms, DWORD *code);

/* Ends it as Task Manager does, and waits until it is gone; fails if it does not go. */
void process_kill(struct process *process);

/* Kills a process and all that it has started; @return 0 if one of them did not go. */
int process_kill_tree(DWORD id, int with_root);

/* Waits until `text` is in its output; fails when it ends before, or after `limit_ms`. */
void process_expect(struct process *process, const char *text, DWORD limit_ms);

/* Closes the handles; all processes of a step are killed at its end. */
void process_close(struct process *process);

/* For the end of a step. */
void process_kill_all(void);

/* What the last of the following printed, and a process as far as it has been waited for. */
extern char output[32768];
const char *output_of(const struct process *process);

/*
 * Run a program to its end; fails when that takes longer than the limit.
 * @return its exit code
 */
DWORD run(unsigned limit_s, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The same through cmd, for its own commands and for redirections; no quotes in the line. */
DWORD shell(unsigned limit_s, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Fails unless the exit code is 0, or `code`; `part` is to be in the output. */
void run_ok(unsigned limit_s, const char *format, ...) __attribute__((format(printf, 2, 3)));
void run_refused(DWORD code, const char *part, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Is there such a command in this system? */
int has_program(const char *name);

/* -- disks, disk.c ------------------------------------------------------------------------------ */

struct disk {
    struct process server;
    const char *where; /* what `unmount` is given */
};

/* A disk of `image` at a letter, a folder or "none"; `options` of coremnt mount, or "". */
void disk_mount(struct disk *disk, const char *image, const char *where, const char *options);

/* Unmounts it, and its server ends well. */
void disk_unmount(struct disk *disk);

/* The server ends by itself, with exit code 0. */
void disk_expect_end(struct disk *disk);

/* A fresh FAT image of BLANK_BYTES, made by mkfs.fat, at this name of the work folder. */
void blank_image(const char *image);

/* The same, mounted. */
void disk_blank(struct disk *disk, const char *image, const char *where);

/* For the end of a step: force away what is mounted. */
void disk_unmount_all(void);

int drive_exists(const char *letter);
void expect_no_drive(const char *letter);

/* "FAT", "" when nothing is recognized. */
const char *file_system_of(const char *root);

/* -- files, files.c ----------------------------------------------------------------------------- */

uint32_t next_random(uint32_t *state);

/* A file of `size` bytes that only this seed gives; check_file() fails unless it is that. */
void make_file(const char *path, uint32_t seed, uint32_t size);
void check_file(const char *path, uint32_t seed, uint32_t size);

/* fc /b, which is to say that they are the same; our own comparison where there is no fc. */
void expect_same(const char *left, const char *right);

/* A sum over the whole file. */
uint32_t sum_of(const char *path);

/* The system's CopyFile(); @return a Win32 error. */
DWORD copy_file(const char *from, const char *to);

uint64_t file_size(const char *path);

/* -- verbs of guest.exe that steps start, holder.c ------------------------------------------------ */

/* hold FILE MILLISECONDS: keeps a file open and writes to it now and then. */
int holder_hold(int argc, char **argv);
int holder_copy(int argc, char **argv);

/* -- steps -------------------------------------------------------------------------------------- */

struct step {
    const char *name;
    void (*run)(void);
    unsigned limit_s;
    unsigned flags;
};

#define NEEDS_DRIVER 1u      /* runs only if the driver does */
#define NEEDS_FILE_SYSTEM 2u /* that the system puts on the disk: not under Wine */
#define NEEDS_MANAGER 4u     /* the mount manager: not under Wine */
#define ONLY_BY_NAME 8u      /* not part of a normal run */

extern const struct step steps[]; /* the last one has no name */

int run_kit(int argc, char **argv);

/* Sets `letter_1` and `letter_2`, or fails. */
void choose_letters(void);

#define STEP(function) void function(void)
STEP(step_driver_install);
STEP(step_driver_start);
STEP(step_version);
STEP(step_coremnttest);
STEP(step_life);
STEP(step_raw_io);
STEP(step_raw_refused);
STEP(step_rawbench);
STEP(step_format_fat);
STEP(step_format_fat32);
STEP(step_format_ntfs);
STEP(step_copy_tree);
STEP(step_label);
STEP(step_chkdsk);
STEP(step_large_file);
STEP(step_many_files);
STEP(step_full_disk);
STEP(step_read_only);
STEP(step_two_disks);
STEP(step_in_use);
STEP(step_forced);
STEP(step_server_killed);
STEP(step_server_killed_raw);
STEP(step_hold_attach);
STEP(step_hold_attach_raw);
STEP(step_cycles);
STEP(step_image_fat12);
STEP(step_image_fat16);
STEP(step_image_fat32);
STEP(step_image_ntfs);
STEP(step_image_exfat);
STEP(step_vhdx);
STEP(step_vhd);
STEP(step_no_mount_manager);
STEP(step_volume_name);
STEP(step_folder);
STEP(step_no_letter);
STEP(step_resize);
STEP(step_partition);
STEP(step_driver_stop);
STEP(step_driver_restart);
STEP(step_driver_remove);
STEP(step_clean_up);
STEP(step_self_fail);
STEP(step_self_hang);
STEP(step_self_crash);
#undef STEP

#endif
