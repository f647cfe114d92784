/* SPDX-License-Identifier: MIT */
/*
 * test_vhd_parallel.c - a VHD used by several threads at once: each sees its own data in blocks that they share, and never
 * what was in a place before, while blocks are dropped and taken all the time.
 */
#include "images/vhd/vhd.h"
#include "lib/core/os.h"
#include "tests/unit/check.h"
#include "tests/unit/memory_store.h"

#include <coremnt/image.h>

#define THREADS 4u
#define BLOCK 65536u /* bytes */
#define PART (BLOCK / THREADS)
#define SHARED 64u /* blocks of which each thread has a part */
#define OWN 4u     /* blocks, behind them, for each thread */
#define ROUNDS 600u

struct worker {
    struct cm_image *image;
    unsigned number;
    uint64_t seed;
    unsigned char data[PART], seen[PART];
};

static int all_are(const unsigned char *data, uint32_t length, unsigned char value)
{
    for (uint32_t i = 0; i < length; i++)
        if (data[i] != value)
            return 0;
    return 1;
}

static void write_and_look(struct worker *w, uint64_t offset, uint32_t length, uint32_t flags)
{
    unsigned char value = (unsigned char)(check_random(&w->seed) | 1);

    memset(w->data, value, length);
    CHECK_EQ(cm_image_write(w->image, w->data, length, offset, flags), 0);
    CHECK_EQ(cm_image_read(w->image, w->seen, length, offset), 0);
    CHECK(all_are(w->seen, length, value));
}

/* A sector of an own block that is dropped: what is behind it in the place it gets is zeros. */
static void take_and_drop(struct worker *w)
{
    uint64_t block = SHARED + w->number * OWN + check_random(&w->seed) % OWN;

    CHECK_EQ(cm_image_trim(w->image, block * BLOCK, BLOCK), 0);
    write_and_look(w, block * BLOCK, 512, 0);
    CHECK_EQ(cm_image_read(w->image, w->seen, PART - 512, block * BLOCK + 512), 0);
    CHECK(all_are(w->seen, PART - 512, 0));
    write_and_look(w, block * BLOCK, PART, 0);
}

static void work(void *argument)
{
    struct worker *w = argument;

    for (unsigned i = 0; i < ROUNDS; i++) {
        uint64_t offset = check_random(&w->seed) % SHARED * BLOCK + w->number * PART;
        uint32_t length = (uint32_t)(check_random(&w->seed) % (PART / 512) + 1) * 512;

        switch (check_random(&w->seed) % 6) {
        case 0:
            write_and_look(w, offset, length, CM_IMAGE_FUA);
            break;
        case 1:
            CHECK_EQ(cm_image_trim(w->image, offset, PART), 0);
            CHECK_EQ(cm_image_read(w->image, w->seen, PART, offset), 0);
            CHECK(all_are(w->seen, PART, 0));
            break;
        case 2:
            CHECK_EQ(cm_image_flush(w->image), 0);
            break;
        case 3:
            take_and_drop(w);
            break;
        default:
            write_and_look(w, offset, length, 0);
        }
    }
}

static void threads_do_not_disturb_each_other(void)
{
    static struct memory_store disk;
    static struct worker workers[THREADS];
    struct cm_image_options options = {.struct_size = sizeof(options), .flags = CM_OPEN_CREATE};
    struct cm_check_options how = {.struct_size = sizeof(how)};
    struct cm_check_result result;
    struct cm_os_thread *threads[THREADS];
    struct cm_store *store = memory_store_new(&disk);
    struct cm_image *image;
    uint64_t seed = check_seed();

    options.size = (SHARED + THREADS * OWN) * (uint64_t)BLOCK;
    options.block_size = BLOCK;
    if (!CHECK_EQ(cm_vhd_open_store(store, &options, &image), 0))
        return;
    for (unsigned i = 0; i < THREADS; i++) {
        workers[i].image = image;
        workers[i].number = i;
        workers[i].seed = seed + i * 7919 + 1;
        CHECK_EQ(cm_os_thread_start(work, &workers[i], &threads[i]), 0);
    }
    for (unsigned i = 0; i < THREADS; i++)
        cm_os_thread_join(threads[i]);
    CHECK_EQ(cm_image_close(image), 0);
    disk.read_only = 1;
    store = memory_store_new(&disk);
    CHECK_EQ(cm_vhd_container.check(store, &how, &result), 0);
    CHECK_EQ(result.errors, 0);
    cm_store_close(store);
    memory_store_free(&disk);
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        CHECK_TEST(threads_do_not_disturb_each_other),
    };

    return check_main(argc, argv, tests, sizeof(tests) / sizeof(tests[0]));
}
