/* SPDX-License-Identifier: MIT */
/*
 * test_aligned.c - lib/core/aligned.c over a file in memory that stops at everything that is not
 * aligned, counts what is asked of it, and becomes longer as a real one would. Random requests are
 * held against a model: alone, and by many threads that share blocks and no byte.
 */
#include "lib/core/aligned.h"

#include "lib/core/os.h"
#include "tests/unit/check.h"

#include <coremnt/error.h>
#include <coremnt/loopback.h>

#define ROOM (256u * 1024u) /* bytes of the file at most */
#define THREADS 8u

/* A file of which only whole blocks in aligned memory can be had. */
static struct fake {
    unsigned char *bytes; /* [ROOM]; zeros beyond the end */
    uint64_t size;        /* atomic */
    uint32_t alignment;
    unsigned reads, writes, resizes, unaligned; /* atomic */
    const void *last_memory;
    uint32_t last_length;
    int error; /* what the next call returns */
} fake;

static unsigned char *memory; /* page-aligned, [ROOM] */
static unsigned char *model;  /* [ROOM] */

/* -- the file ---------------------------------------------------------------------------------- */

static int look(const void *buffer, uint32_t length, uint64_t offset)
{
    if ((((uintptr_t)buffer | length | offset) & (fake.alignment - 1)) != 0 || length == 0 ||
        offset > ROOM || length > ROOM - offset)
        __atomic_add_fetch(&fake.unaligned, 1, __ATOMIC_SEQ_CST);
    return fake.error;
}

static int fake_read(void *context, void *buffer, uint32_t length, uint64_t offset)
{
    CHECK(context == &fake);
    if (__atomic_fetch_add(&fake.reads, 1, __ATOMIC_SEQ_CST) % 8 == 7)
        cm_os_sleep_ms(0); /* let others come in between */
    __atomic_store_n(&fake.last_memory, buffer, __ATOMIC_SEQ_CST);
    if (look(buffer, length, offset) != 0)
        return fake.error;
    for (uint32_t i = 0; i < length;
         i++) /* by atomic bytes: writes of the same value are no race */
        ((unsigned char *)buffer)[i] = __atomic_load_n(&fake.bytes[offset + i], __ATOMIC_RELAXED);
    return 0;
}

static int fake_write(void *context, const void *buffer, uint32_t length, uint64_t offset)
{
    uint64_t size = __atomic_load_n(&fake.size, __ATOMIC_SEQ_CST);

    CHECK(context == &fake);
    __atomic_add_fetch(&fake.writes, 1, __ATOMIC_SEQ_CST);
    __atomic_store_n(&fake.last_memory, buffer, __ATOMIC_SEQ_CST);
    __atomic_store_n(&fake.last_length, length, __ATOMIC_SEQ_CST);
    if (look(buffer, length, offset) != 0)
        return fake.error;
    for (uint32_t i = 0; i < length; i++)
        __atomic_store_n(&fake.bytes[offset + i], ((const unsigned char *)buffer)[i],
                         __ATOMIC_RELAXED);
    if (offset + length > size)
        __atomic_store_n(&fake.size, offset + length, __ATOMIC_SEQ_CST);
    return 0;
}

static int fake_resize(void *context, uint64_t size)
{
    uint64_t before = __atomic_exchange_n(&fake.size, size, __ATOMIC_SEQ_CST);

    CHECK(context == &fake);
    __atomic_add_fetch(&fake.resizes, 1, __ATOMIC_SEQ_CST);
    for (uint64_t i = size; i < before; i++)
        __atomic_store_n(&fake.bytes[i], 0, __ATOMIC_RELAXED);
    return 0;
}

static struct cm_aligned *make(uint32_t alignment, uint32_t unit, uint64_t size)
{
    struct cm_aligned_below below = {&fake, fake_read, fake_write, fake_resize};
    struct cm_aligned_shape shape = {alignment, unit, size};
    struct cm_aligned *aligned = NULL;
    unsigned char *bytes = fake.bytes != NULL ? fake.bytes : cm_os_pages_alloc(ROOM);

    memory = memory != NULL ? memory : cm_os_pages_alloc(ROOM);
    model = model != NULL ? model : cm_os_pages_alloc(ROOM);
    fake = (struct fake){.bytes = bytes, .size = size, .alignment = alignment};
    memset(fake.bytes, 0, ROOM);
    memset(model, 0, ROOM);
    if (!CHECK_EQ(cm_aligned_new(&below, &shape, &aligned), 0))
        exit(1);
    return aligned;
}

static void unmake(struct cm_aligned *aligned)
{
    CHECK_EQ(fake.unaligned, 0);
    cm_aligned_free(aligned);
}

/* -- what is aligned --------------------------------------------------------------------------- */

static void aligned_requests_go_straight_through(void)
{
    struct cm_aligned *aligned = make(512, 512, ROOM);

    CHECK_EQ(cm_aligned_write(aligned, memory + 512, 65536, 1024), 0);
    CHECK(fake.last_memory == memory + 512);
    CHECK_EQ(cm_aligned_read(aligned, memory + 1024, 131072, 512), 0);
    CHECK(fake.last_memory == memory + 1024);
    CHECK_EQ(fake.writes, 1);
    CHECK_EQ(fake.reads, 1);
    CHECK_EQ(fake.resizes, 0);
    unmake(aligned);
}

static void whole_blocks_go_straight_through_among_edges(void)
{
    struct cm_aligned *aligned = make(4096, 512, ROOM);

    CHECK_EQ(cm_aligned_write(aligned, memory, 65536, 4096), 0);
    CHECK(fake.last_memory == memory);
    CHECK_EQ(fake.writes, 1);
    CHECK_EQ(fake.reads, 0);
    CHECK_EQ(cm_aligned_write(aligned, memory, 8192 + 512, 4096), 0);
    CHECK_EQ(fake.writes, 3); /* two blocks as they are, and an edge: */
    CHECK_EQ(fake.reads, 1);
    unmake(aligned);
}

static void without_an_alignment_all_goes_through(void)
{
    struct cm_aligned *aligned = make(1, 512, ROOM - 7);

    CHECK_EQ(cm_aligned_write(aligned, memory + 3, 77, 5), 0);
    CHECK(fake.last_memory == memory + 3);
    CHECK_EQ(cm_aligned_read(aligned, memory + 3, 77, 5), 0);
    CHECK_EQ(fake.writes, 1);
    CHECK_EQ(fake.reads, 1);
    unmake(aligned);
}

/* The memory of a transport's slots, as images get it. */
static unsigned slots_seen, slots_unaligned;

static int slot_read(void *context, void *buffer, uint32_t length, uint64_t offset)
{
    (void)context;
    (void)offset;
    memset(buffer, 0, length);
    __atomic_add_fetch(&slots_seen, 1, __ATOMIC_SEQ_CST);
    if (((uintptr_t)buffer & (CM_ALIGNED_MAX - 1)) != 0)
        __atomic_add_fetch(&slots_unaligned, 1, __ATOMIC_SEQ_CST);
    return 0;
}

static void slot_close(void *context)
{
    (void)context;
}

static void the_slots_of_a_disk_are_aligned(void)
{
    static const struct cm_image_ops ops = {
        .size = sizeof(ops), .read = slot_read, .close = slot_close};
    struct cm_loopback *loopback;
    struct cm_image *image;

    if (!CHECK_EQ(cm_image_new(&ops, NULL, ROOM, 512, &image), 0) ||
        !CHECK_EQ(cm_loopback_open(image, NULL, &loopback), 0))
        exit(1);
    for (unsigned i = 0; i < 100; i++)
        CHECK_EQ(cm_loopback_read(loopback, (unsigned char *)memory + 1, 4096, i * 512), 0);
    CHECK(slots_seen >= 100);
    CHECK_EQ(slots_unaligned, 0);
    cm_loopback_close(loopback);
    CHECK_EQ(cm_image_close(image), 0);
}

/* -- what is not ------------------------------------------------------------------------------- */

static void odd_memory_is_copied_but_nothing_is_read(void)
{
    struct cm_aligned *aligned = make(512, 512, ROOM);

    memset(memory, 7, ROOM);
    CHECK_EQ(cm_aligned_write(aligned, memory + 1, 3 * 65536, 512), 0);
    CHECK_EQ(fake.reads, 0);
    CHECK_EQ(fake.writes, 3);
    CHECK(fake.bytes[511] == 0 && fake.bytes[512] == 7 && fake.bytes[3 * 65536 + 511] == 7 &&
          fake.bytes[3 * 65536 + 512] == 0);
    unmake(aligned);
}

static void the_end_of_the_file_stays_where_it_is(void)
{
    uint64_t size = 16 * 4096 + 512;
    struct cm_aligned *aligned = make(4096, 512, size);

    memset(memory, 7, 4096);
    CHECK_EQ(cm_aligned_write(aligned, memory, 512, size - 512), 0);
    CHECK_EQ(fake.size, size);
    CHECK_EQ(fake.resizes, 1);
    CHECK(fake.bytes[size - 513] == 0 && fake.bytes[size - 1] == 7 && fake.bytes[size] == 0);
    memset(memory, 0, 4096);
    CHECK_EQ(cm_aligned_read(aligned, memory, 512, size - 512), 0);
    CHECK(memory[0] == 7 && memory[511] == 7 && memory[512] == 0);
    CHECK_EQ(cm_aligned_write(aligned, memory, 4096, 0), 0); /* elsewhere nothing is cut */
    CHECK_EQ(fake.resizes, 1);
    unmake(aligned);
}

static void errors_are_passed_on_and_leave_it_usable(void)
{
    struct cm_aligned *aligned = make(4096, 512, ROOM);

    for (unsigned i = 0; i < 20; i++) { /* more than there are buffers */
        fake.error = CM_ENOSPC;
        CHECK_EQ(cm_aligned_write(aligned, memory + 1, 1024, 512), CM_ENOSPC);
        CHECK_EQ(cm_aligned_read(aligned, memory + 1, 1024, 512), CM_ENOSPC);
        CHECK_EQ(cm_aligned_write(aligned, memory, 4096, 0), CM_ENOSPC);
    }
    fake.error = 0;
    CHECK_EQ(cm_aligned_write(aligned, memory, 1024, 512), 0);
    CHECK_EQ(cm_aligned_resize(aligned, ROOM - 512), 0);
    unmake(aligned);
}

static void alignments_that_cannot_be_served_are_refused(void)
{
    static const uint32_t bad[] = {0, 3, 513, 8192, 65536};
    struct cm_aligned_below below = {&fake, fake_read, fake_write, fake_resize};

    for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct cm_aligned_shape shape = {bad[i], 512, ROOM};
        struct cm_aligned *aligned;

        CHECK_EQ(cm_aligned_new(&below, &shape, &aligned), CM_EINVAL);
        CHECK(aligned == NULL && strstr(cm_last_error(), "--cached") != NULL);
    }
}

static void a_resize_moves_the_end(void)
{
    struct cm_aligned *aligned = make(4096, 512, 4096);

    CHECK_EQ(cm_aligned_resize(aligned, 8192 + 512), 0);
    CHECK_EQ(cm_aligned_write(aligned, memory, 512, 8192), 0);
    CHECK_EQ(fake.size, 8192 + 512);
    CHECK_EQ(cm_aligned_resize(aligned, 3 * 4096), 0);
    CHECK_EQ(cm_aligned_write(aligned, memory, 512, 8192), 0);
    CHECK_EQ(fake.size, 3 * 4096);
    unmake(aligned);
}

/* -- chance ------------------------------------------------------------------------------------ */

static void random_request(struct cm_aligned *aligned, uint64_t *random, uint64_t size,
                           uint32_t unit)
{
    uint64_t offset = check_random(random) % (size / unit) * unit;
    uint32_t most = (uint32_t)((size - offset) / unit);
    uint32_t length = (uint32_t)(check_random(random) % (most < 200 ? most : 200) + 1) * unit;
    unsigned char *at = memory + (check_random(random) % 2 == 0 ? 0 : check_random(random) % 5000);

    if (length > ROOM - 5000)
        length = 512;
    if (check_random(random) % 2 == 0) {
        CHECK_EQ(cm_aligned_read(aligned, at, length, offset), 0);
        CHECK(memcmp(at, model + offset, length) == 0);
        return;
    }
    for (uint32_t i = 0; i < length; i++)
        at[i] = (unsigned char)check_random(random);
    memcpy(model + offset, at, length);
    CHECK_EQ(cm_aligned_write(aligned, at, length, offset), 0);
}

static void random_requests_are_as_without_alignment(void)
{
    static const struct cm_aligned_shape shapes[] = {
        {512, 512, ROOM},  {4096, 512, ROOM},  {4096, 512, ROOM - 512},
        {4096, 1, 100001}, {512, 4096, 86016}, {1, 1, 100001},
    };
    uint64_t random = check_seed();

    for (unsigned i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++) {
        const struct cm_aligned_shape *shape = &shapes[i];
        struct cm_aligned *aligned = make(shape->alignment, shape->unit, shape->size);

        for (unsigned round = 0; round < 400; round++)
            random_request(aligned, &random, shape->size, shape->unit);
        CHECK_EQ(fake.size, shape->size);
        CHECK(memcmp(fake.bytes, model, shape->size) == 0);
        unmake(aligned);
    }
}

/* Each thread owns every eighth sector of 512 bytes, so the threads share each block and no byte;
 * and all write whole blocks of the second half, each block one thread's. */
struct writer {
    struct cm_aligned *aligned;
    uint64_t random;
    unsigned index;
    uint64_t size;
    unsigned char *mine; /* page-aligned, 8 KiB */
    unsigned failures;
};

static int write_and_remember(struct writer *w, uint32_t length, uint64_t offset)
{
    unsigned char *at = w->mine + (check_random(&w->random) % 2 == 0 ? 0 : 8);

    for (uint32_t i = 0; i < length; i++)
        model[offset + i] = at[i] = (unsigned char)check_random(&w->random);
    return cm_aligned_write(w->aligned, at, length, offset);
}

static int read_back(struct writer *w, uint32_t length, uint64_t offset)
{
    int error = cm_aligned_read(w->aligned, w->mine + 8, length, offset);

    return error != 0 || memcmp(w->mine + 8, model + offset, length) != 0;
}

static int forget(void *context, uint64_t offset, uint64_t length)
{
    struct writer *w = context;

    for (uint64_t i = offset; i < offset + length; i++) {
        __atomic_store_n(&fake.bytes[i], 0, __ATOMIC_RELAXED);
        model[i] = 0;
    }
    return w->aligned != NULL ? 0 : CM_EIO;
}

static void write_own(void *argument)
{
    struct writer *w = argument;
    uint64_t sectors = w->size / 2 / 512 / THREADS;
    uint64_t blocks = w->size / 2 / 4096 / THREADS;

    for (unsigned round = 0; round < 300; round++) {
        uint64_t sector = (check_random(&w->random) % sectors * THREADS + w->index) * UINT64_C(512);
        uint64_t block =
            w->size / 2 + (check_random(&w->random) % blocks * THREADS + w->index) * UINT64_C(4096);

        w->failures += read_back(w, 512, sector); /* also what was forgotten stays so */
        w->failures += write_and_remember(w, 512, sector) != 0;
        w->failures += read_back(w, 512, sector);
        w->failures += write_and_remember(w, 4096, block) != 0;
        w->failures += read_back(w, 4096, block);
        if (round % 4 == 0)
            w->failures += cm_aligned_alone(w->aligned, sector, 512, forget, w) != 0;
    }
}

static void threads_that_share_blocks_lose_nothing(void)
{
    uint64_t seed = check_seed();
    struct cm_aligned *aligned = make(4096, 512, 128 * 1024);
    struct cm_os_thread *threads[THREADS];
    struct writer writers[THREADS];

    for (unsigned i = 0; i < THREADS; i++) {
        writers[i] = (struct writer){.aligned = aligned,
                                     .random = seed + i + 1,
                                     .index = i,
                                     .size = 128 * 1024,
                                     .mine = cm_os_pages_alloc(8192)};
        if (!CHECK_EQ(cm_os_thread_start(write_own, &writers[i], &threads[i]), 0))
            exit(1);
    }
    for (unsigned i = 0; i < THREADS; i++) {
        cm_os_thread_join(threads[i]);
        CHECK_EQ(writers[i].failures, 0);
        cm_os_pages_free(writers[i].mine, 8192);
    }
    CHECK(memcmp(fake.bytes, model, 128 * 1024) == 0);
    unmake(aligned);
}

/* One writes a whole block again and again, others parts of it: of what only the first has written,
 * nothing may be old. */
static unsigned char generation; /* atomic: of the block's last write that has returned */
static int block_is_done;        /* atomic */

static void write_first_sector(void *argument)
{
    unsigned char *mine = cm_os_pages_alloc(4096);

    while (!__atomic_load_n(&block_is_done, __ATOMIC_SEQ_CST))
        CHECK_EQ(cm_aligned_write(argument, mine, 512, 0), 0);
    cm_os_pages_free(mine, 4096);
}

static void a_block_written_while_its_edge_is_written_is_not_undone(void)
{
    struct cm_aligned *aligned = make(4096, 512, 64 * 1024);
    struct cm_os_thread *threads[2];

    block_is_done = 0;
    for (unsigned i = 0; i < 2; i++)
        if (!CHECK_EQ(cm_os_thread_start(write_first_sector, aligned, &threads[i]), 0))
            exit(1);
    for (unsigned round = 1; round <= 400; round++) {
        generation = (unsigned char)round;
        memset(memory, generation, 4096);
        CHECK_EQ(cm_aligned_write(aligned, memory, 4096, 0), 0);
        CHECK_EQ(cm_aligned_read(aligned, memory + 8192, 3584, 512), 0);
        CHECK(memory[8192] == generation && memory[8192 + 3583] == generation);
    }
    __atomic_store_n(&block_is_done, 1, __ATOMIC_SEQ_CST);
    for (unsigned i = 0; i < 2; i++)
        cm_os_thread_join(threads[i]);
    unmake(aligned);
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        CHECK_TEST(aligned_requests_go_straight_through),
        CHECK_TEST(whole_blocks_go_straight_through_among_edges),
        CHECK_TEST(without_an_alignment_all_goes_through),
        CHECK_TEST(the_slots_of_a_disk_are_aligned),
        CHECK_TEST(odd_memory_is_copied_but_nothing_is_read),
        CHECK_TEST(the_end_of_the_file_stays_where_it_is),
        CHECK_TEST(errors_are_passed_on_and_leave_it_usable),
        CHECK_TEST(alignments_that_cannot_be_served_are_refused),
        CHECK_TEST(a_resize_moves_the_end),
        CHECK_TEST(random_requests_are_as_without_alignment),
        CHECK_TEST(threads_that_share_blocks_lose_nothing),
        CHECK_TEST(a_block_written_while_its_edge_is_written_is_not_undone),
    };
    int result = check_main(argc, argv, tests, sizeof(tests) / sizeof(tests[0]));

    cm_os_pages_free(fake.bytes, ROOM);
    cm_os_pages_free(memory, ROOM);
    cm_os_pages_free(model, ROOM);
    return result;
}
