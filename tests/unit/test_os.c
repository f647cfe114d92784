/* SPDX-License-Identifier: MIT */
/*
 * test_os.c - both halves of os.h: the same tests on Linux and on Windows, and what only one of
 * them has. Makes its files in the current folder and removes them. A call that hangs is ended by
 * the test runner.
 */
#include "lib/core/os.h"
#include "tests/unit/check.h"

#include <coremnt/error.h>

#ifdef _WIN32
#include <direct.h>
#include <windows.h>
#define make_folder(path) _mkdir(path)
#define remove_folder(path) _rmdir(path)
#else
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#define make_folder(path) mkdir(path, 0777)
#define remove_folder(path) rmdir(path)
#endif

#define KIB 1024u
#define MIB (1024u * KIB)
#define THREADS 8
#define NAME "test_os.img"

static unsigned char buffer[4 * MIB];

/* -- helpers ----------------------------------------------------------------------------------- */

/* A new, empty, sparse file; NULL if it could not be made, which is a failure. */
static struct cm_os_file *make(const char *path)
{
    struct cm_os_file *file = NULL;

    (void)cm_os_file_remove(path); /* of a run that was ended */
    if (!CHECK_EQ(cm_os_file_open(path, CM_OS_CREATE | CM_OS_EXCLUSIVE, &file), 0)) {
        printf("%s\n", cm_last_error());
        return NULL;
    }
    CHECK_EQ(cm_os_file_set_sparse(file), 0);
    return file;
}

static void unmake(struct cm_os_file *file, const char *path)
{
    cm_os_file_close(file);
    CHECK_EQ(cm_os_file_remove(path), 0);
}

static int all_are(const unsigned char *bytes, size_t size, unsigned char value)
{
    for (size_t i = 0; i < size; i++)
        if (bytes[i] != value)
            return 0;
    return 1;
}

static uint64_t allocated(struct cm_os_file *file)
{
    uint64_t bytes = 0;

    CHECK_EQ(cm_os_file_flush(file), 0); /* file systems decide late */
    CHECK_EQ(cm_os_file_allocated(file, &bytes), 0);
    return bytes;
}

/* Opening must fail, with a sentence that names the file. */
static void refused(const char *path, uint32_t flags, int expected)
{
    struct cm_os_file *file = (struct cm_os_file *)(void *)buffer;
    int error = cm_os_file_open(path, flags, &file);

    CHECK_EQ(error, expected);
    CHECK(file == NULL);
    if (!CHECK(strstr(cm_last_error(), path) != NULL) || error != expected)
        printf("%s: %s\n", path, cm_last_error());
    cm_os_file_close(file);
}

static void run_threads(void (*run)(void *argument), void *arguments, size_t size)
{
    struct cm_os_thread *threads[THREADS];

    for (size_t i = 0; i < THREADS; i++)
        CHECK_EQ(cm_os_thread_start(run, (char *)arguments + i * size, &threads[i]), 0);
    for (size_t i = 0; i < THREADS; i++)
        cm_os_thread_join(threads[i]);
}

/* -- files ------------------------------------------------------------------------------------- */

static void sparse_file_takes_less(void)
{
    struct cm_os_file *file = make(NAME);
    uint64_t size = 0;

    if (file == NULL)
        return;
    memset(buffer, 0xA5, 64 * KIB);
    CHECK_EQ(cm_os_file_resize(file, 256 * MIB), 0);
    CHECK(allocated(file) < 64 * KIB);
    CHECK_EQ(cm_os_file_write(file, buffer, 64 * KIB, 128 * MIB), 0);
    CHECK(allocated(file) >= 64 * KIB && allocated(file) < MIB);
    CHECK_EQ(cm_os_file_size(file, &size), 0);
    CHECK_EQ(size, 256 * MIB);
    CHECK_EQ(cm_os_file_resize(file, 1000), 0);
    CHECK_EQ(cm_os_file_size(file, &size), 0);
    CHECK_EQ(size, 1000);
    unmake(file, NAME);
}

/* Wine 8 does not know FSCTL_SET_ZERO_DATA; there punching must say so and change nothing. Windows
 * and Linux must be able to. */
static int can_punch(void)
{
#ifdef _WIN32
    return GetProcAddress(GetModuleHandleW(L"ntdll.dll"), "wine_get_version") == NULL;
#else
    return 1;
#endif
}

static void punch_is_refused(void)
{
    struct cm_os_file *file = make(NAME);

    if (file == NULL)
        return;
    memset(buffer, 0xA5, MIB);
    CHECK_EQ(cm_os_file_write(file, buffer, MIB, 0), 0);
    CHECK_EQ(cm_os_file_punch(file, 0, MIB), CM_ENOTSUP);
    CHECK_EQ(cm_os_file_punch(file, 0, 0), 0);
    CHECK_EQ(cm_os_file_read(file, buffer, MIB, 0), 0);
    CHECK(all_are(buffer, MIB, 0xA5));
    unmake(file, NAME);
}

static void punch_gives_space_back(void)
{
    struct cm_os_file *file;
    uint64_t size = 0, before;

    if (!can_punch()) {
        printf("Wine cannot make holes: only the refusal is tested\n");
        punch_is_refused();
        return;
    }
    file = make(NAME);
    if (file == NULL)
        return;
    memset(buffer, 0xA5, 4 * MIB);
    CHECK_EQ(cm_os_file_write(file, buffer, 4 * MIB, 0), 0);
    before = allocated(file);
    CHECK(before >= 4 * MIB);
    CHECK_EQ(cm_os_file_punch(file, MIB, 2 * MIB), 0);
    CHECK(allocated(file) <= before - 2 * MIB);
    CHECK_EQ(cm_os_file_read(file, buffer, 4 * MIB, 0), 0);
    CHECK(all_are(buffer, MIB, 0xA5));
    CHECK(all_are(buffer + MIB, 2 * MIB, 0));
    CHECK(all_are(buffer + 3 * MIB, MIB, 0xA5));
    /* Less than a block, nothing, and beyond the end, which must not grow the file. */
    CHECK_EQ(cm_os_file_punch(file, 100, 1), 0);
    CHECK_EQ(cm_os_file_punch(file, 200, 0), 0);
    CHECK_EQ(cm_os_file_punch(file, 8 * MIB, MIB), 0);
    CHECK_EQ(cm_os_file_read(file, buffer, 300, 0), 0);
    CHECK(all_are(buffer, 100, 0xA5) && buffer[100] == 0 && all_are(buffer + 101, 199, 0xA5));
    CHECK_EQ(cm_os_file_size(file, &size), 0);
    CHECK_EQ(size, 4 * MIB);
    unmake(file, NAME);
}

static void one_writer_and_readers(void)
{
    struct cm_os_file *writer = make(NAME), *reader = NULL, *other = NULL;

    if (writer == NULL)
        return;
    refused(NAME, CM_OS_EXCLUSIVE, CM_EBUSY);
    refused(NAME, CM_OS_EXCLUSIVE | CM_OS_READ_ONLY, CM_EBUSY);
    CHECK_EQ(cm_os_file_open(NAME, CM_OS_READ_ONLY, &reader), 0);
    cm_os_file_close(writer);
    /* A reader without the flag is not in a writer's way, one with it is. */
    CHECK_EQ(cm_os_file_open(NAME, CM_OS_EXCLUSIVE, &writer), 0);
    cm_os_file_close(writer);
    cm_os_file_close(reader);
    CHECK_EQ(cm_os_file_open(NAME, CM_OS_READ_ONLY | CM_OS_EXCLUSIVE, &reader), 0);
    CHECK_EQ(cm_os_file_open(NAME, CM_OS_READ_ONLY | CM_OS_EXCLUSIVE, &other), 0);
    refused(NAME, CM_OS_EXCLUSIVE, CM_EBUSY);
    cm_os_file_close(other);
    unmake(reader, NAME);
}

/* Readers that want it still, as those of containers do, and writers keep each other out: in one process too. */
static void still_readers_and_writers(void)
{
    struct cm_os_file *writer = make(NAME);
    struct cm_os_file *reader;
    struct cm_os_file *second;

    if (writer == NULL)
        return;
    refused(NAME, CM_OS_READ_ONLY | CM_OS_EXCLUSIVE, CM_EBUSY);
    CHECK(strstr(cm_last_error(), "open for writing elsewhere") != NULL);
    refused(NAME, CM_OS_EXCLUSIVE, CM_EBUSY);
    CHECK(strstr(cm_last_error(), "in use elsewhere") != NULL);
    cm_os_file_close(writer);

    CHECK_EQ(cm_os_file_open(NAME, CM_OS_READ_ONLY | CM_OS_EXCLUSIVE, &reader), 0);
    CHECK_EQ(cm_os_file_open(NAME, CM_OS_READ_ONLY | CM_OS_EXCLUSIVE, &second), 0);
    refused(NAME, CM_OS_EXCLUSIVE, CM_EBUSY);
    cm_os_file_close(reader);
    unmake(second, NAME);
}

static void extents_tell_holes_from_data(void)
{
    struct cm_os_file *file = make(NAME);
    uint64_t length;
    int is_hole;

    if (file == NULL)
        return;
    CHECK_EQ(cm_os_file_resize(file, 16 * MIB), 0);
    memset(buffer, 'x', MIB);
    CHECK_EQ(cm_os_file_write(file, buffer, MIB, 4 * MIB), 0);
    CHECK_EQ(cm_os_file_extent(file, 4 * MIB, MIB, &length, &is_hole), 0);
    CHECK_EQ(length, MIB); /* never said of more than was asked */
    CHECK_EQ(is_hole, 0);
    CHECK_EQ(cm_os_file_extent(file, 0, 16 * MIB, &length, &is_hole), 0);
    if (!is_hole) { /* the file system does not know: then all is data */
        CHECK_EQ(length, 16 * MIB);
        unmake(file, NAME);
        return;
    }
    CHECK_EQ(length, 4 * MIB);
    CHECK_EQ(cm_os_file_extent(file, MIB, MIB, &length, &is_hole), 0);
    CHECK_EQ(length, MIB);
    CHECK_EQ(is_hole, 1);
    CHECK_EQ(cm_os_file_extent(file, 4 * MIB + 512, 8 * MIB, &length, &is_hole), 0);
    CHECK_EQ(length, MIB - 512);
    CHECK_EQ(is_hole, 0);
    CHECK_EQ(cm_os_file_extent(file, 5 * MIB, 11 * MIB, &length, &is_hole), 0);
    CHECK_EQ(length, 11 * MIB);
    CHECK_EQ(is_hole, 1);
    CHECK_EQ(cm_os_file_extent(file, 32 * MIB, MIB, &length, &is_hole), 0);
    CHECK_EQ(is_hole, 1);
    unmake(file, NAME);
}

static void a_new_name_is_never_taken_from_another(void)
{
    struct cm_os_file *file = make(NAME);

    if (file == NULL)
        return;
    memset(buffer, 'n', 512);
    CHECK_EQ(cm_os_file_write(file, buffer, 512, 0), 0);
    cm_os_file_close(file);
    file = make("test_os.there");
    cm_os_file_close(file);
    CHECK_EQ(cm_os_file_rename_new(NAME, "test_os.there"), CM_EEXIST);
    CHECK(strstr(cm_last_error(), "test_os.there") != NULL);
    CHECK_EQ(cm_os_file_remove("test_os.there"), 0);
    CHECK_EQ(cm_os_file_rename_new(NAME, "test_os.there"), 0);
    refused(NAME, CM_OS_READ_ONLY, CM_ENOENT);
    CHECK_EQ(cm_os_file_open("test_os.there", CM_OS_READ_ONLY, &file), 0);
    CHECK_EQ(cm_os_file_read(file, buffer, 512, 0), 0);
    CHECK(all_are(buffer, 512, 'n'));
    cm_os_file_close(file);
    CHECK_EQ(cm_os_file_rename_new(NAME, "test_os.other"), CM_ENOENT);
    CHECK_EQ(cm_os_file_rename_new("test_os.there", "no-folder/x"), CM_ENOENT);
    CHECK_EQ(cm_os_file_remove("test_os.there"), 0);
}

static void read_only_is_read_only(void)
{
    struct cm_os_file *file = make(NAME);

    if (file == NULL)
        return;
    cm_os_file_close(file);
    refused("test_os.nowhere", 0, CM_ENOENT);
    CHECK_EQ(cm_os_file_open(NAME, CM_OS_READ_ONLY, &file), 0);
    /* The hot functions leave the sentence alone. */
    CHECK_EQ(cm_os_file_write(file, buffer, 1, 0), CM_EROFS);
    CHECK_EQ(cm_os_file_punch(file, 0, 1), CM_EROFS);
    CHECK(strstr(cm_last_error(), "test_os.nowhere") != NULL);
    CHECK_EQ(cm_os_file_flush(file), 0);
    CHECK_EQ(cm_os_file_resize(file, 1), CM_EROFS);
    CHECK(strstr(cm_last_error(), NAME) != NULL);
    CHECK_EQ(cm_os_file_set_sparse(file), CM_EROFS);
    unmake(file, NAME);
}

static void beyond_the_end_are_zeros(void)
{
    struct cm_os_file *file = make(NAME);

    if (file == NULL)
        return;
    memset(buffer, 0xA5, KIB);
    CHECK_EQ(cm_os_file_read(file, buffer, 100, 0), 0);
    CHECK(all_are(buffer, 100, 0) && buffer[100] == 0xA5);
    memset(buffer, 0xA5, KIB);
    CHECK_EQ(cm_os_file_write(file, buffer, 700, 0), 0);
    CHECK_EQ(cm_os_file_read(file, buffer, KIB, 0), 0);
    CHECK(all_are(buffer, 700, 0xA5) && all_are(buffer + 700, KIB - 700, 0));
    memset(buffer, 0xA5, KIB);
    CHECK_EQ(cm_os_file_read(file, buffer, KIB, UINT64_C(1) << 40), 0);
    CHECK(all_are(buffer, KIB, 0));
    unmake(file, NAME);
}

static void missing_and_existing(void)
{
    struct cm_os_file *file = make(NAME);

    refused(NAME, CM_OS_CREATE, CM_EEXIST);
    refused("test_os.nowhere", CM_OS_READ_ONLY, CM_ENOENT);
    refused("test_os.nowhere/x.img", CM_OS_CREATE, CM_ENOENT);
    refused("", 0, CM_ENOENT);
    CHECK_EQ(cm_os_file_remove("test_os.nowhere"), CM_ENOENT);
    CHECK(strstr(cm_last_error(), "test_os.nowhere") != NULL);
    cm_os_file_close(NULL);
    unmake(file, NAME);
}

#ifdef _WIN32
static void other_kinds_are_refused(void)
{
    static const char *const devices[] = {
        "NUL",    "C:\\NUL",   "\\\\.\\NUL",           "\\\\.\\C:",
        "//./C:", "\\\\?\\C:", "\\\\?\\PhysicalDrive0"};

    (void)make_folder("test_os.folder");
    refused("test_os.folder", 0, CM_EINVAL);
    refused("test_os.folder", CM_OS_READ_ONLY, CM_EINVAL);
    refused("C:\\", 0, CM_EINVAL);
    CHECK_EQ(remove_folder("test_os.folder"), 0);
    for (size_t i = 0; i < sizeof(devices) / sizeof(devices[0]); i++)
        refused(devices[i], CM_OS_READ_ONLY, CM_EINVAL);
    refused("test_os.\xff.img", 0, CM_EINVAL); /* not UTF-8 */
}

/* Without set_sparse NTFS would write zeros, so punching is refused; under Wine it is anyway. */
static void punch_wants_sparse(void)
{
    struct cm_os_file *file = NULL;

    if (!CHECK_EQ(cm_os_file_open(NAME, CM_OS_CREATE, &file), 0))
        return;
    CHECK_EQ(cm_os_file_write(file, "abc", 3, 0), 0);
    CHECK_EQ(cm_os_file_punch(file, 0, 3), CM_ENOTSUP);
    unmake(file, NAME);
}

/* A thread's event goes when the thread goes. */
static void touch_file(void *argument)
{
    unsigned char byte = 0;

    CHECK_EQ(cm_os_file_read(*(struct cm_os_file **)argument, &byte, 1, 0), 0);
}

static void threads_leave_no_handles(void)
{
    struct cm_os_file *files[THREADS];
    DWORD before = 0, after = 0;

    files[0] = make(NAME);
    for (size_t i = 1; i < THREADS; i++)
        files[i] = files[0];
    run_threads(touch_file, files, sizeof(files[0]));
    CHECK(GetProcessHandleCount(GetCurrentProcess(), &before));
    for (int i = 0; i < 20; i++)
        run_threads(touch_file, files, sizeof(files[0]));
    CHECK(GetProcessHandleCount(GetCurrentProcess(), &after));
    CHECK(after < before + THREADS);
    unmake(files[0], NAME);
}
#else
static void make_socket(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
    CHECK_EQ(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    close(fd);
}

static void other_kinds_are_refused(void)
{
    (void)make_folder("test_os.folder");
    CHECK_EQ(symlink("test_os.folder", "test_os.link"), 0);
    CHECK_EQ(mkfifo("test_os.fifo", 0666), 0);
    make_socket("test_os.socket");
    for (uint32_t flags = 0; flags <= CM_OS_READ_ONLY; flags++) {
        refused("test_os.folder", flags, CM_EINVAL);
        refused("test_os.link", flags, CM_EINVAL);
        refused("test_os.fifo", flags, CM_EINVAL);
        refused("test_os.socket", flags, CM_EINVAL);
        refused("/dev/null", flags, CM_EINVAL);
    }
    CHECK_EQ(cm_os_file_remove("test_os.fifo"), 0);
    CHECK_EQ(cm_os_file_remove("test_os.socket"), 0);
    CHECK_EQ(cm_os_file_remove("test_os.link"), 0);
    CHECK_EQ(remove_folder("test_os.folder"), 0);
}

/* A limit on the size of files stands in for a full disk; the kernel cuts writes short in the same
 * way and says EFBIG for ENOSPC. For Windows there is tests/wine. */
static void full_disk(void)
{
    struct cm_os_file *file = make(NAME);
    struct rlimit limit;
    rlim_t before;

    if (file == NULL)
        return;
    signal(SIGXFSZ, SIG_IGN);
    CHECK_EQ(getrlimit(RLIMIT_FSIZE, &limit), 0);
    before = limit.rlim_cur;
    limit.rlim_cur = MIB;
    CHECK_EQ(setrlimit(RLIMIT_FSIZE, &limit), 0);
    memset(buffer, 0xA5, 64 * KIB);
    CHECK_EQ(cm_os_file_write(file, buffer, 64 * KIB, MIB - 64 * KIB), 0);
    CHECK_EQ(cm_os_file_write(file, buffer, 64 * KIB, MIB - 32 * KIB), CM_ENOSPC);
    CHECK_EQ(cm_os_file_write(file, buffer, 1, MIB), CM_ENOSPC);
    CHECK_EQ(cm_os_file_resize(file, 2 * MIB), CM_ENOSPC);
    CHECK(strstr(cm_last_error(), NAME) != NULL);
    limit.rlim_cur = before;
    CHECK_EQ(setrlimit(RLIMIT_FSIZE, &limit), 0);
    CHECK_EQ(cm_os_file_write(file, buffer, 1, MIB), 0);
    unmake(file, NAME);
}
#endif

static void too_large(void)
{
    struct cm_os_file *file = make(NAME);

    if (file == NULL)
        return;
    CHECK_EQ(cm_os_file_resize(file, UINT64_MAX), CM_ENOSPC);
    CHECK(strstr(cm_last_error(), NAME) != NULL);
    unmake(file, NAME);
}

static void is_full(const char *path, const char *expected)
{
    char full[1024], other[1024];

    CHECK_EQ(cm_os_full_path(path, full, sizeof(full)), 0);
    CHECK_EQ(cm_os_full_path(expected, other, sizeof(other)), 0);
    CHECK_STR(full, other);
    CHECK(strlen(full) > strlen(expected) && strstr(full, "..") == NULL);
    CHECK_EQ(cm_os_full_path(path, full, strlen(other)), CM_EINVAL);
}

/* A relative name is made of two such paths. */
static void a_full_path_goes_straight(void)
{
    (void)make_folder("test_os.d"); /* it may be there from an earlier run */
    is_full("test_os.d/../" NAME, NAME);
    is_full("./test_os.d/.././" NAME, NAME);
    is_full("test_os.d/./none.img", "test_os.d/none.img");
#ifndef _WIN32
    (void)unlink("test_os.link");
    CHECK_EQ(symlink("test_os.d", "test_os.link"), 0);
    is_full("test_os.link/none.img", "test_os.d/none.img");
    CHECK_EQ(unlink("test_os.link"), 0);
#endif
    CHECK_EQ(remove_folder("test_os.d"), 0);
}

/* Beyond ASCII and beyond UTF-16's first plane; and longer than Windows' old limit of 259. */
static void names(void)
{
    char long_name[241];
    const char *const names[] = {"test_os.pr\xc3\xbc"
                                 "fung-\xe6\x97\xa5\xe6\x9c\xac-\xf0\x9f\x92\xbe.img",
                                 long_name};

    memset(long_name, 'x', sizeof(long_name) - 1);
    long_name[sizeof(long_name) - 1] = '\0';
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        struct cm_os_file *file = make(names[i]), *again = NULL;
        if (file == NULL)
            continue;
        refused(names[i], CM_OS_EXCLUSIVE, CM_EBUSY);
        CHECK_EQ(cm_os_file_write(file, "abc", 3, 0), 0);
        cm_os_file_close(file);
        CHECK_EQ(cm_os_file_open(names[i], CM_OS_READ_ONLY, &again), 0);
        CHECK_EQ(cm_os_file_read(again, buffer, 4, 0), 0);
        CHECK(memcmp(buffer, "abc", 4) == 0);
        unmake(again, names[i]);
    }
}

/* -- many threads, one file -------------------------------------------------------------------- */

#define BLOCK (4 * KIB)
#define ROUNDS 200u

struct worker {
    struct cm_os_file *file;
    unsigned number;
};

/* The workers' blocks alternate, so a position that they shared would show at once. */
static void read_and_write(void *argument)
{
    const struct worker *worker = argument;
    unsigned char block[BLOCK];

    for (unsigned round = 0; round < ROUNDS; round++) {
        uint64_t offset = (uint64_t)(round % 50 * THREADS + worker->number) * BLOCK;
        unsigned char value = (unsigned char)(worker->number * 31 + round + 1);
        memset(block, value, BLOCK);
        CHECK_EQ(cm_os_file_write(worker->file, block, BLOCK, offset), 0);
        memset(block, 0, BLOCK);
        CHECK_EQ(cm_os_file_read(worker->file, block, BLOCK, offset), 0);
        CHECK(all_are(block, BLOCK, value));
        if (round % 50 == 0)
            CHECK_EQ(cm_os_file_flush(worker->file), 0);
    }
}

static void threads_share_a_file(void)
{
    struct worker workers[THREADS];
    struct cm_os_file *file = make(NAME);

    if (file == NULL)
        return;
    for (unsigned i = 0; i < THREADS; i++)
        workers[i] = (struct worker){file, i};
    run_threads(read_and_write, workers, sizeof(workers[0]));
    unmake(file, NAME);
}

/* -- threads ----------------------------------------------------------------------------------- */

#define TURNS 20000

static struct cm_os_mutex mutex;
static struct cm_os_cond cond;
static int counter;

static void count_up(void *argument)
{
    (void)argument;
    for (int i = 0; i < TURNS; i++) {
        cm_os_mutex_lock(&mutex);
        counter++;
        cm_os_mutex_unlock(&mutex);
    }
}

static void mutex_excludes(void)
{
    char none[THREADS];

    counter = 0;
    cm_os_mutex_init(&mutex);
    run_threads(count_up, none, 1);
    CHECK_EQ(counter, THREADS * TURNS);
    cm_os_mutex_destroy(&mutex);
}

/* Each waits for its turn: a wake-up that is lost would be a hang. */
static void take_turns(void *argument)
{
    int number = *(const int *)argument;

    cm_os_mutex_lock(&mutex);
    for (int i = 0; i < TURNS / 100; i++) {
        while (counter % THREADS != number)
            cm_os_cond_wait(&cond, &mutex);
        counter++;
        cm_os_cond_broadcast(&cond);
    }
    cm_os_mutex_unlock(&mutex);
}

static void cond_wakes(void)
{
    int numbers[THREADS];

    for (int i = 0; i < THREADS; i++)
        numbers[i] = i;
    counter = 0;
    cm_os_mutex_init(&mutex);
    cm_os_cond_init(&cond);
    run_threads(take_turns, numbers, sizeof(numbers[0]));
    CHECK_EQ(counter, THREADS * (TURNS / 100));
    cm_os_cond_destroy(&cond);
    cm_os_mutex_destroy(&mutex);
}

static void signal_later(void *argument)
{
    (void)argument;
    cm_os_sleep_ms(50);
    cm_os_mutex_lock(&mutex);
    counter = 1;
    cm_os_cond_signal(&cond);
    cm_os_mutex_unlock(&mutex);
}

static void cond_times_out(void)
{
    struct cm_os_thread *thread = NULL;
    uint64_t begin, took_ms;

    cm_os_mutex_init(&mutex);
    cm_os_cond_init(&cond);
    cm_os_mutex_lock(&mutex);
    begin = cm_os_now_ns();
    while (cm_os_cond_wait_ms(&cond, &mutex, 1250) == 0)
        begin = cm_os_now_ns();
    took_ms = (cm_os_now_ns() - begin) / 1000000;
    /* Windows' clock ticks every 16 ms; a loaded machine is late. */
    if (!CHECK(took_ms >= 1230 && took_ms < 4000))
        printf("%llu ms\n", (unsigned long long)took_ms);
    CHECK_EQ(cm_os_cond_wait_ms(&cond, &mutex, 0), CM_ETIMEDOUT);
    counter = 0;
    CHECK_EQ(cm_os_thread_start(signal_later, NULL, &thread), 0);
    while (counter == 0)
        if (!CHECK_EQ(cm_os_cond_wait_ms(&cond, &mutex, UINT32_MAX), 0))
            break;
    cm_os_mutex_unlock(&mutex);
    cm_os_thread_join(thread);
    cm_os_cond_destroy(&cond);
    cm_os_mutex_destroy(&mutex);
}

/* -- system ------------------------------------------------------------------------------------ */

static void clock_and_sleep(void)
{
    uint64_t begin = cm_os_now_ns(), last = begin, took_ms;

    for (int i = 0; i < 1000; i++) {
        uint64_t now = cm_os_now_ns();
        CHECK(now >= last);
        last = now;
    }
    cm_os_sleep_ms(100);
    took_ms = (cm_os_now_ns() - begin) / 1000000;
    CHECK(took_ms >= 80 && took_ms < 3000);
}

static void pages(void)
{
    unsigned char *memory = cm_os_pages_alloc(MIB);

    if (!CHECK(memory != NULL))
        return;
    CHECK((uintptr_t)memory % 4096 == 0);
    CHECK(all_are(memory, MIB, 0));
    memset(memory, 1, MIB);
    cm_os_pages_free(memory, MIB);
    cm_os_pages_free(NULL, MIB);
    CHECK(cm_os_pages_alloc(SIZE_MAX / 2 + 1 - MIB) == NULL);
}

static void error_texts(void)
{
    char text[256], small[8], tiny[1] = {'x'};

    for (uint32_t number = 1; number < 40; number++) {
        cm_os_error_text(number, text, sizeof(text));
        CHECK(text[0] != '\0' && strchr(text, '\n') == NULL && strchr(text, '\r') == NULL);
        CHECK(text[strlen(text) - 1] != '.' && text[strlen(text) - 1] != ' ');
        cm_os_error_text(number, small, sizeof(small));
        CHECK(strlen(small) < sizeof(small) && strncmp(small, text, strlen(small)) == 0);
    }
    cm_os_error_text(0x7ffffff1, text, sizeof(text));
    CHECK(text[0] != '\0');
    cm_os_error_text(2, tiny, sizeof(tiny));
    CHECK(tiny[0] == '\0');
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        CHECK_TEST(sparse_file_takes_less),
        CHECK_TEST(punch_gives_space_back),
        CHECK_TEST(one_writer_and_readers),
        CHECK_TEST(still_readers_and_writers),
        CHECK_TEST(extents_tell_holes_from_data),
        CHECK_TEST(a_new_name_is_never_taken_from_another),
        CHECK_TEST(read_only_is_read_only),
        CHECK_TEST(beyond_the_end_are_zeros),
        CHECK_TEST(missing_and_existing),
        CHECK_TEST(other_kinds_are_refused),
#ifdef _WIN32
        CHECK_TEST(punch_wants_sparse),
        CHECK_TEST(threads_leave_no_handles),
#else
        CHECK_TEST(full_disk),
#endif
        CHECK_TEST(too_large),
        CHECK_TEST(names),
        CHECK_TEST(a_full_path_goes_straight),
        CHECK_TEST(threads_share_a_file),
        CHECK_TEST(mutex_excludes),
        CHECK_TEST(cond_wakes),
        CHECK_TEST(cond_times_out),
        CHECK_TEST(clock_and_sleep),
        CHECK_TEST(pages),
        CHECK_TEST(error_texts),
    };

    return check_main(argc, argv, tests, sizeof(tests) / sizeof(tests[0]));
}
