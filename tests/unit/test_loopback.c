/* SPDX-License-Identifier: MIT */
/*
 * test_loopback.c - lib/core/loopback.c and loopback_queue.c: requests go through and come back,
 * errors too; the queue keeps its books, and a server that breaks the rules is refused.
 */
#include "lib/core/loopback_queue.h"
#include "lib/core/transport.h"
#include "tests/unit/check.h"
#include "tests/unit/fake_image.h"

#include <coremnt/loopback.h>

#define SLOT_SIZE 4096u
#define CLIENTS 8

static unsigned char buffer[FAKE_SIZE];

static void must(int ok, const char *what)
{
    if (ok)
        return;
    printf("cannot go on: %s: %s\n", what, cm_last_error());
    exit(1);
}

static struct cm_disk_options small_options(void)
{
    struct cm_disk_options options = {.struct_size = sizeof(options), .threads = 4};

    options.queue_depth = 8;
    options.slot_size = SLOT_SIZE;
    return options;
}

static struct cm_loopback *open_over(struct cm_image *image)
{
    struct cm_disk_options options = small_options();
    struct cm_loopback *loopback;

    must(cm_loopback_open(image, &options, &loopback) == 0, "loopback");
    return loopback;
}

static struct cm_loopback *open_fake(struct fake *fake, const struct cm_image_ops *ops,
                                     struct cm_image **image)
{
    memset(fake, 0, sizeof(*fake));
    must(cm_image_new(ops, fake, FAKE_SIZE, 512, image) == 0, "image");
    return open_over(*image);
}

static struct cm_stats stats_of(struct cm_loopback *loopback)
{
    struct cm_stats s;

    CHECK_EQ(cm_loopback_stats(loopback, &s), 0);
    CHECK_EQ(s.requests, s.completed + s.failed + s.cancelled + s.waiting + s.in_flight);
    return s;
}

static void close_both(struct cm_loopback *loopback, struct cm_image *image)
{
    cm_loopback_close(loopback);
    cm_image_close(image);
}

static int becomes(atomic_int *number, int at_least)
{
    for (int i = 0; i < 5000 && atomic_load(number) < at_least; i++)
        cm_os_sleep_ms(1);
    return atomic_load(number) >= at_least;
}

/* -- through and back -------------------------------------------------------------------------- */

static void what_is_written_is_read(void)
{
    unsigned char data[10 * SLOT_SIZE], back[10 * SLOT_SIZE];
    struct cm_image *image;
    struct cm_loopback *loopback;

    must(cm_image_open("memory:1M", NULL, &image) == 0, "image");
    loopback = open_over(image);
    for (size_t i = 0; i < sizeof(data); i++)
        data[i] = (unsigned char)(i * 7 + i / 512);
    CHECK_EQ(cm_loopback_write(loopback, data, sizeof(data), 512, 0), 0);
    CHECK_EQ(cm_loopback_read(loopback, back, sizeof(back), 512), 0);
    CHECK(memcmp(data, back, sizeof(data)) == 0);
    CHECK_EQ(cm_loopback_trim(loopback, 512, 1024), 0);
    CHECK_EQ(cm_loopback_flush(loopback), 0);
    CHECK_EQ(cm_loopback_read(loopback, back, 2048, 512), 0);
    CHECK(back[0] == 0 && back[1023] == 0);
    CHECK(memcmp(data + 1024, back + 1024, 1024) == 0);
    close_both(loopback, image);
}

static void large_requests_are_split(void)
{
    struct fake fake;
    struct cm_image *image;
    struct cm_loopback *loopback = open_fake(&fake, &fake_ops, &image);
    struct cm_stats stats;

    fake.delay_ms = 2;
    CHECK_EQ(cm_loopback_read(loopback, buffer, 40 * SLOT_SIZE, 0), 0);
    for (uint32_t i = 0; i < 40 * SLOT_SIZE; i++)
        if (buffer[i] != (i / 512 & 0xff))
            must(CHECK_EQ(buffer[i], i / 512 & 0xff), "data");
    CHECK_EQ(fake.reads, 40);
    CHECK(fake.most_inside > 1);
    stats = stats_of(loopback);
    CHECK_EQ(stats.requests, 1);
    CHECK_EQ(stats.handed_out, 40);
    CHECK_EQ(stats.read_bytes, 40 * SLOT_SIZE);
    close_both(loopback, image);
}

/* A model of 64 KiB for each client, and random requests of all kinds against it. */
struct random_client {
    struct cm_loopback *loopback;
    uint64_t random;
    uint64_t first; /* bytes */
    unsigned char model[65536];
};

static void random_requests(void *argument)
{
    struct random_client *c = argument;
    unsigned char back[65536];

    for (int i = 0; i < 150; i++) {
        uint32_t start = (uint32_t)(check_random(&c->random) % 128) * 512;
        uint32_t length = (uint32_t)(1 + check_random(&c->random) % 128) * 512;
        unsigned char *model = c->model + start;

        if (length > sizeof(back) - start)
            length = (uint32_t)sizeof(back) - start;
        switch (check_random(&c->random) % 4) {
        case 0:
            memset(model, 0, length);
            CHECK_EQ(cm_loopback_trim(c->loopback, c->first + start, length), 0);
            break;
        case 1:
            memset(model, (int)check_random(&c->random), length);
            CHECK_EQ(cm_loopback_write(c->loopback, model, length, c->first + start,
                                       i % 8 == 0 ? CM_IMAGE_FUA : 0),
                     0);
            break;
        default:
            CHECK_EQ(cm_loopback_read(c->loopback, back, length, c->first + start), 0);
            CHECK(memcmp(back, model, length) == 0);
            break;
        }
    }
}

static void random_requests_of_many_agree_with_a_model(void)
{
    static struct random_client clients[CLIENTS];
    struct cm_os_thread *threads[CLIENTS];
    struct cm_image *image;
    struct cm_loopback *loopback;
    uint64_t seed = check_seed();

    must(cm_image_open("memory:1M", NULL, &image) == 0, "image");
    loopback = open_over(image);
    memset(clients, 0, sizeof(clients));
    for (int i = 0; i < CLIENTS; i++) {
        clients[i].loopback = loopback;
        clients[i].random = seed + (uint64_t)i;
        clients[i].first = (uint64_t)i * 65536 + 32768; /* across the chunks of the image */
        must(cm_os_thread_start(random_requests, &clients[i], &threads[i]) == 0, "thread");
    }
    for (int i = 0; i < CLIENTS; i++)
        cm_os_thread_join(threads[i]);
    CHECK_EQ(stats_of(loopback).completed, CLIENTS * 150);
    close_both(loopback, image);
}

static void fua_reaches_the_image(void)
{
    struct cm_image_ops ops = fake_ops;
    struct fake fake;
    struct cm_image *image;
    struct cm_loopback *loopback;

    ops.flags |= CM_IMAGE_OWN_FUA;
    loopback = open_fake(&fake, &ops, &image);
    CHECK_EQ(cm_loopback_write(loopback, buffer, 512, 0, 0), 0);
    CHECK_EQ(fake.last_flags, 0);
    CHECK_EQ(cm_loopback_write(loopback, buffer, 512, 0, CM_IMAGE_FUA), 0);
    CHECK_EQ(fake.last_flags, CM_IMAGE_FUA);
    CHECK_EQ(cm_loopback_write(loopback, buffer, 512, 0, 1u << 7), CM_EINVAL);
    close_both(loopback, image);
}

/* -- errors ------------------------------------------------------------------------------------ */

static void errors_arrive_as_themselves(void)
{
    static const int errors[] = {CM_EIO,     CM_EMEDIA, CM_ENOSPC,    CM_EROFS, CM_ERANGE,
                                 CM_ENOTSUP, CM_ENOMEM, CM_ETIMEDOUT, CM_EACCES};
    struct fake fake;
    struct cm_image *image;
    struct cm_loopback *loopback = open_fake(&fake, &fake_ops, &image);

    for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
        fake.error = errors[i];
        CHECK_EQ(cm_loopback_read(loopback, buffer, 512, 0), errors[i]);
        CHECK_EQ(cm_loopback_write(loopback, buffer, 9 * SLOT_SIZE, 0, 0), errors[i]);
        CHECK_EQ(cm_loopback_flush(loopback), errors[i]);
        CHECK_EQ(cm_loopback_trim(loopback, 0, 512), errors[i]);
    }
    fake.error = CM_EFORMAT; /* has no word on the wire */
    CHECK_EQ(cm_loopback_read(loopback, buffer, 512, 0), CM_EIO);
    fake.error = 0;
    CHECK_EQ(cm_loopback_read(loopback, buffer, 512, 0), 0);
    CHECK_EQ(stats_of(loopback).failed, 37);
    CHECK_EQ(stats_of(loopback).completed, 1);
    close_both(loopback, image);
}

static void what_the_driver_would_refuse_is_refused(void)
{
    struct fake fake;
    struct cm_image *image;
    struct cm_loopback *loopback = open_fake(&fake, &fake_ops, &image);

    CHECK_EQ(cm_loopback_read(loopback, buffer, 512, FAKE_SIZE), CM_ERANGE);
    CHECK_EQ(cm_loopback_read(loopback, buffer, 1024, FAKE_SIZE - 512), CM_ERANGE);
    CHECK_EQ(cm_loopback_write(loopback, buffer, 512, UINT64_MAX - 511, 0), CM_ERANGE);
    CHECK_EQ(cm_loopback_read(loopback, buffer, 100, 0), CM_EINVAL);
    CHECK_EQ(cm_loopback_trim(loopback, 1, 512), CM_EINVAL);
    CHECK_EQ(cm_loopback_read(loopback, buffer, 0, 0), 0);
    CHECK_EQ(stats_of(loopback).requests, 0);
    close_both(loopback, image);
}

static void a_read_only_image_is_read_only(void)
{
    struct cm_image_ops ops = fake_ops;
    struct fake fake;
    struct cm_image *image;
    struct cm_loopback *loopback;

    ops.write = NULL;
    loopback = open_fake(&fake, &ops, &image);
    CHECK_EQ(cm_loopback_write(loopback, buffer, 512, 0, 0), CM_EROFS);
    CHECK_EQ(cm_loopback_trim(loopback, 0, 512), CM_EROFS);
    CHECK_EQ(cm_loopback_read(loopback, buffer, 512, 0), 0);
    CHECK_EQ(cm_loopback_flush(loopback), 0);
    close_both(loopback, image);
    ops = fake_ops;
    ops.trim = NULL;
    loopback = open_fake(&fake, &ops, &image);
    CHECK_EQ(cm_loopback_trim(loopback, 0, 512), CM_ENOTSUP);
    close_both(loopback, image);
}

static void options_are_checked(void)
{
    static const struct cm_disk_options bad[] = {
        {.struct_size = 1},
        {.struct_size = sizeof(bad[0]) + 8},
        {.struct_size = sizeof(bad[0]), .flags = 2},
        {.struct_size = sizeof(bad[0]), .threads = CM_MAX_THREADS + 1},
        {.struct_size = sizeof(bad[0]), .queue_depth = CM_MAX_QUEUE_DEPTH + 1},
        {.struct_size = sizeof(bad[0]), .slot_size = 2048},
        {.struct_size = sizeof(bad[0]), .slot_size = 12288},
        {.struct_size = sizeof(bad[0]), .slot_size = 1u << 20, .queue_depth = 1024},
    };
    struct cm_loopback *loopback = (struct cm_loopback *)(void *)buffer;
    struct cm_image *image;

    must(cm_image_open("memory:1M", NULL, &image) == 0, "image");
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        CHECK_EQ(cm_loopback_open(image, &bad[i], &loopback), CM_EINVAL);
        CHECK(loopback == NULL);
    }
    CHECK_EQ(cm_loopback_open(NULL, NULL, &loopback), CM_EINVAL);
    must(cm_loopback_open(image, NULL, &loopback) == 0, "with defaults");
    CHECK_EQ(cm_loopback_read(loopback, buffer, FAKE_SIZE, 0), 0);
    close_both(loopback, image);
}

/* -- the end ----------------------------------------------------------------------------------- */

struct blocked {
    struct cm_loopback *loopback;
    struct fake *fake;
    atomic_int started, ended, gone;
};

static void read_what_is_stuck(void *argument)
{
    struct blocked *blocked = argument;
    unsigned char own[4 * SLOT_SIZE];

    atomic_fetch_add(&blocked->started, 1);
    if (cm_loopback_read(blocked->loopback, own, sizeof(own), 0) == CM_EGONE)
        atomic_fetch_add(&blocked->gone, 1);
    atomic_fetch_add(&blocked->ended, 1);
}

/* The clients come back while the image still hangs; only close itself has to wait for it. */
static void free_the_image(void *argument)
{
    struct blocked *blocked = argument;

    CHECK(becomes(&blocked->ended, CLIENTS));
    atomic_store(&blocked->fake->stuck_to, 0);
}

static void close_fails_what_is_under_way(void)
{
    struct cm_os_thread *threads[CLIENTS], *freer;
    struct fake fake;
    struct cm_image *image;
    struct blocked blocked = {.fake = &fake};

    blocked.loopback = open_fake(&fake, &fake_ops, &image);
    fake.stuck_to = FAKE_SIZE;
    for (int i = 0; i < CLIENTS; i++)
        must(cm_os_thread_start(read_what_is_stuck, &blocked, &threads[i]) == 0, "thread");
    CHECK(becomes(&blocked.started, CLIENTS) && becomes(&fake.inside, 4));
    for (int i = 0; i < 5000 && stats_of(blocked.loopback).requests < CLIENTS; i++)
        cm_os_sleep_ms(1);
    must(cm_os_thread_start(free_the_image, &blocked, &freer) == 0, "thread");
    cm_loopback_close(blocked.loopback);
    CHECK_EQ(blocked.gone, CLIENTS);
    for (int i = 0; i < CLIENTS; i++)
        cm_os_thread_join(threads[i]);
    cm_os_thread_join(freer);
    CHECK_EQ(cm_image_close(image), 0);
    cm_loopback_close(NULL);
}

/* -- the queue, with a server by hand ---------------------------------------------------------- */

struct by_hand {
    struct cm_transport *transport;
    struct cm_os_thread *thread;
    enum cm_op op;
    uint32_t length;
    atomic_int done;
    int result;
    unsigned char data[4 * SLOT_SIZE];
};

static void do_it(void *argument)
{
    struct by_hand *hand = argument;
    void *data = hand->op == CM_OP_READ || hand->op == CM_OP_WRITE ? hand->data : NULL;

    hand->result =
        cm_loopback_queue_do(hand->transport, hand->op, 0, data, hand->length, SLOT_SIZE);
    atomic_store(&hand->done, 1);
}

/* A request under way in a thread of its own. */
static void begin(struct by_hand *hand, struct cm_transport *transport, enum cm_op op,
                  uint32_t length)
{
    memset(hand, 0, sizeof(*hand));
    hand->transport = transport;
    hand->op = op;
    hand->length = length;
    memset(hand->data, 'w', sizeof(hand->data));
    must(cm_os_thread_start(do_it, hand, &hand->thread) == 0, "thread");
}

static int result_of(struct by_hand *hand)
{
    cm_os_thread_join(hand->thread);
    return hand->result;
}

static struct cm_transport *open_queue(uint32_t depth)
{
    struct cm_transport *transport;

    must(cm_loopback_queue_open(depth, SLOT_SIZE, &transport) == 0, "queue");
    return transport;
}

static void close_queue(struct cm_transport *transport)
{
    transport->ops->stop(transport);
    transport->ops->close(transport);
}

/* Waits for one request. */
static struct cm_request fetch(struct cm_transport *transport)
{
    struct cm_request request = {0};
    uint32_t count;

    CHECK_EQ(transport->ops->exchange(transport, NULL, 0, &request, 1, &count, 1), 0);
    must(CHECK_EQ(count, 1), "no request");
    return request;
}

static int reply(struct cm_transport *transport, uint64_t tag, uint32_t status, uint32_t length)
{
    struct cm_reply one = {tag, status, length};
    uint32_t count;

    return transport->ops->exchange(transport, &one, 1, NULL, 0, &count, 0);
}

static void a_bad_reply_is_refused_and_counted(void)
{
    struct cm_transport *transport = open_queue(4);
    struct cm_request request;
    struct cm_stats stats;
    struct by_hand hand;

    begin(&hand, transport, CM_OP_READ, 512);
    request = fetch(transport);
    CHECK_EQ(request.length, 512);
    CHECK_EQ(request.offset, SLOT_SIZE);
    memset(cm_transport_slot(transport, request.tag), 'r', 512);
    CHECK_EQ(reply(transport, request.tag + 1, CM_STATUS_OK, 512), CM_EPROTO);
    CHECK_EQ(reply(transport, request.tag + (1 << 16), CM_STATUS_OK, 512), CM_EPROTO);
    CHECK_EQ(reply(transport, 0xffff, CM_STATUS_OK, 512), CM_EPROTO);
    CHECK_EQ(reply(transport, request.tag, CM_STATUS_OK, 511), CM_EPROTO);
    CHECK_EQ(reply(transport, request.tag, CM_STATUS_IO_ERROR, 512), CM_EPROTO);
    CHECK_EQ(reply(transport, request.tag, CM_STATUS_COUNT, 0), CM_EPROTO);
    CHECK_EQ(hand.done, 0);
    CHECK_EQ(reply(transport, request.tag, CM_STATUS_OK, 512), 0);
    CHECK_EQ(reply(transport, request.tag, CM_STATUS_OK, 512), CM_EPROTO); /* twice */
    CHECK_EQ(result_of(&hand), 0);
    CHECK_EQ(hand.data[511], 'r');
    CHECK_EQ(hand.data[512], 'w');
    cm_loopback_queue_stats(transport, &stats);
    CHECK_EQ(stats.bad_replies, 7);
    CHECK_EQ(stats.completed, 1);
    close_queue(transport);
}

static void good_replies_beside_a_bad_one_count(void)
{
    struct cm_transport *transport = open_queue(4);
    struct cm_reply replies[2];
    struct cm_request request;
    struct by_hand hand;
    uint32_t count = 9;

    begin(&hand, transport, CM_OP_FLUSH, 0);
    request = fetch(transport);
    replies[0] = (struct cm_reply){.tag = 77, .status = CM_STATUS_OK};
    replies[1] = (struct cm_reply){.tag = request.tag, .status = CM_STATUS_NO_SPACE};
    CHECK_EQ(transport->ops->exchange(transport, replies, 2, &request, 1, &count, 0), CM_EPROTO);
    CHECK_EQ(count, 0);
    CHECK_EQ(result_of(&hand), CM_ENOSPC);
    close_queue(transport);
}

static void no_more_is_handed_out_than_there_are_slots(void)
{
    struct cm_transport *transport = open_queue(2);
    struct cm_request requests[8];
    struct by_hand hand;
    uint32_t count;

    begin(&hand, transport, CM_OP_WRITE, 3 * SLOT_SIZE);
    requests[0] = fetch(transport);
    CHECK_EQ(transport->ops->exchange(transport, NULL, 0, &requests[1], 7, &count, 0), 0);
    CHECK_EQ(count, 1);
    CHECK_EQ(*(char *)cm_transport_slot(transport, requests[1].tag), 'w');
    CHECK_EQ(requests[1].offset, 2 * SLOT_SIZE);
    CHECK_EQ(reply(transport, requests[1].tag, CM_STATUS_OK, SLOT_SIZE), 0);
    CHECK_EQ(transport->ops->exchange(transport, NULL, 0, &requests[2], 6, &count, 1), 0);
    CHECK_EQ(count, 1);
    CHECK_EQ(reply(transport, requests[0].tag, CM_STATUS_OK, SLOT_SIZE), 0);
    CHECK_EQ(hand.done, 0);
    CHECK_EQ(reply(transport, requests[2].tag, CM_STATUS_OK, SLOT_SIZE), 0);
    CHECK_EQ(result_of(&hand), 0);
    close_queue(transport);
}

static void the_rest_of_a_failed_request_is_not_handed_out(void)
{
    struct cm_transport *transport = open_queue(1);
    struct cm_request request;
    struct by_hand hand;
    uint32_t count;

    begin(&hand, transport, CM_OP_READ, 3 * SLOT_SIZE);
    request = fetch(transport);
    CHECK_EQ(reply(transport, request.tag, CM_STATUS_MEDIA_ERROR, 0), 0);
    CHECK_EQ(result_of(&hand), CM_EMEDIA);
    CHECK_EQ(transport->ops->exchange(transport, NULL, 0, &request, 1, &count, 0), 0);
    CHECK_EQ(count, 0);
    close_queue(transport);
}

/* What the server has at that moment is an orphan: its reply is taken, and says nothing to anyone.
 */
static void stop_ends_requests_and_exchanges(void)
{
    struct cm_transport *transport = open_queue(4);
    struct cm_request request;
    struct by_hand out, waiting;
    struct cm_stats stats;
    uint32_t count;

    begin(&out, transport, CM_OP_READ, 512);
    request = fetch(transport);
    begin(&waiting, transport, CM_OP_WRITE, 512);
    transport->ops->stop(transport);
    CHECK_EQ(result_of(&out), CM_EGONE);
    CHECK_EQ(result_of(&waiting), CM_EGONE);
    CHECK_EQ(reply(transport, request.tag, CM_STATUS_OK, 512), CM_EGONE);
    CHECK_EQ(transport->ops->exchange(transport, NULL, 0, &request, 1, &count, 1), CM_EGONE);
    CHECK_EQ(cm_loopback_queue_do(transport, CM_OP_FLUSH, 0, NULL, 0, 0), CM_EGONE);
    cm_loopback_queue_stats(transport, &stats);
    CHECK_EQ(stats.bad_replies, 0);
    CHECK_EQ(stats.requests, 3);
    CHECK_EQ(stats.failed, 3);
    CHECK_EQ(stats.waiting + stats.in_flight, 0);
    close_queue(transport);
}

static void the_longest_wait_is_measured(void)
{
    struct cm_transport *transport = open_queue(4);
    struct cm_request request;
    struct cm_stats stats;
    struct by_hand hand;

    begin(&hand, transport, CM_OP_FLUSH, 0);
    do {
        cm_os_sleep_ms(20);
        cm_loopback_queue_stats(transport, &stats);
    } while (stats.waiting == 0);
    cm_os_sleep_ms(20);
    request = fetch(transport);
    cm_loopback_queue_stats(transport, &stats);
    CHECK(stats.largest_wait_us >= 19000 && stats.largest_wait_us < 10000000);
    CHECK_EQ(stats.in_flight, 1);
    CHECK_EQ(reply(transport, request.tag, CM_STATUS_OK, 0), 0);
    CHECK_EQ(result_of(&hand), 0);
    close_queue(transport);
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        CHECK_TEST(what_is_written_is_read),
        CHECK_TEST(large_requests_are_split),
        CHECK_TEST(random_requests_of_many_agree_with_a_model),
        CHECK_TEST(fua_reaches_the_image),
        CHECK_TEST(errors_arrive_as_themselves),
        CHECK_TEST(what_the_driver_would_refuse_is_refused),
        CHECK_TEST(a_read_only_image_is_read_only),
        CHECK_TEST(options_are_checked),
        CHECK_TEST(close_fails_what_is_under_way),
        CHECK_TEST(a_bad_reply_is_refused_and_counted),
        CHECK_TEST(good_replies_beside_a_bad_one_count),
        CHECK_TEST(no_more_is_handed_out_than_there_are_slots),
        CHECK_TEST(the_rest_of_a_failed_request_is_not_handed_out),
        CHECK_TEST(stop_ends_requests_and_exchanges),
        CHECK_TEST(the_longest_wait_is_measured),
    };

    return check_main(argc, argv, tests, sizeof(tests) / sizeof(tests[0]));
}
