/* SPDX-License-Identifier: MIT */
/* test_error.c - lib/core/error.c: names, the last sentence, and the words on the wire. */
#include <limits.h>

#include "abi/coremnt_abi.h"
#include "lib/core/error_internal.h"
#include "lib/core/os.h"
#include "tests/unit/check.h"

#include <coremnt/error.h>

static void every_error_has_its_name(void)
{
    for (int a = CM_EDAMAGED; a <= CM_OK; a++) {
        CHECK(strcmp(cm_error_name(a), "unknown error") != 0);
        for (int b = CM_EDAMAGED; b < a; b++)
            CHECK(strcmp(cm_error_name(a), cm_error_name(b)) != 0);
    }
}

static void other_numbers_have_none(void)
{
    CHECK_STR(cm_error_name(CM_EDAMAGED - 1), "unknown error");
    CHECK_STR(cm_error_name(1), "unknown error");
    CHECK_STR(cm_error_name(INT_MAX), "unknown error");
    CHECK_STR(cm_error_name(INT_MIN), "unknown error");
}

static void fail_keeps_the_sentence(void)
{
    CHECK_EQ(cm_fail(CM_EBUSY, "%s is open in %d places.", "x.img", 3), CM_EBUSY);
    CHECK_STR(cm_last_error(), "x.img is open in 3 places.");
}

static void a_sentence_may_hold_the_one_before(void)
{
    cm_fail(CM_EIO, "the cable is out.");
    cm_fail(CM_EIO, "cannot open x: %s", cm_last_error());
    CHECK_STR(cm_last_error(), "cannot open x: the cable is out.");
}

/* Escape, the C1 control that begins a command to a terminal, and delete; but not what UTF-8 has beside them. */
static void a_name_from_a_file_commands_no_terminal(void)
{
    cm_fail(CM_ENOENT, "no %s.",
            "a\x1b[2Jb\n\xc2\x9b"
            "2J\x7f \xc3\x9b\xc2\xa0\xe2\x82\x82");
    CHECK_STR(cm_last_error(), "no a?[2Jb???2J? \xc3\x9b\xc2\xa0\xe2\x82\x82.");
}

static void a_long_sentence_is_cut(void)
{
    char name[5000];

    memset(name, 'n', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    cm_fail(CM_EIO, "cannot open %s.", name);
    CHECK(strncmp(cm_last_error(), "cannot open nnn", 15) == 0);
    CHECK(strlen(cm_last_error()) > 500 && strlen(cm_last_error()) < sizeof(name));
}

static void fail_in_a_thread(void *argument)
{
    (void)argument;
    CHECK_STR(cm_last_error(), "");
    cm_fail(CM_EIO, "of another thread.");
    CHECK_STR(cm_last_error(), "of another thread.");
}

static void each_thread_has_its_own(void)
{
    struct cm_os_thread *thread;

    cm_fail(CM_EIO, "of this thread.");
    if (!CHECK_EQ(cm_os_thread_start(fail_in_a_thread, NULL, &thread), 0))
        return;
    cm_os_thread_join(thread);
    CHECK_STR(cm_last_error(), "of this thread.");
}

static void a_status_comes_back_as_itself(void)
{
    for (uint32_t status = 0; status < CM_STATUS_COUNT; status++)
        CHECK_EQ(cm_error_to_status(cm_status_to_error(status)), status);
}

static void errors_go_over_the_wire(void)
{
    CHECK_EQ(cm_error_to_status(0), CM_STATUS_OK);
    CHECK_EQ(cm_error_to_status(CM_ENOSPC), CM_STATUS_NO_SPACE);
    CHECK_EQ(cm_error_to_status(CM_EROFS), CM_STATUS_READ_ONLY);
    CHECK_EQ(cm_error_to_status(CM_EMEDIA), CM_STATUS_MEDIA_ERROR);
    CHECK_EQ(cm_error_to_status(CM_EDAMAGED), CM_STATUS_MEDIA_ERROR);
    CHECK_EQ(cm_status_to_error(CM_STATUS_OUT_OF_RANGE), CM_ERANGE);
}

/* An image may return what it likes: none of it may look like success. */
static void what_has_no_status_is_an_io_error(void)
{
    CHECK_EQ(cm_error_to_status(CM_ENODRIVER), CM_STATUS_IO_ERROR);
    CHECK_EQ(cm_error_to_status(1), CM_STATUS_IO_ERROR);
    CHECK_EQ(cm_error_to_status(INT_MIN), CM_STATUS_IO_ERROR);
    CHECK_EQ(cm_status_to_error(CM_STATUS_COUNT), CM_EPROTO);
    CHECK_EQ(cm_status_to_error(UINT32_MAX), CM_EPROTO);
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        CHECK_TEST(every_error_has_its_name),
        CHECK_TEST(other_numbers_have_none),
        CHECK_TEST(fail_keeps_the_sentence),
        CHECK_TEST(a_sentence_may_hold_the_one_before),
        CHECK_TEST(a_name_from_a_file_commands_no_terminal),
        CHECK_TEST(a_long_sentence_is_cut),
        CHECK_TEST(each_thread_has_its_own),
        CHECK_TEST(a_status_comes_back_as_itself),
        CHECK_TEST(errors_go_over_the_wire),
        CHECK_TEST(what_has_no_status_is_an_io_error),
    };

    return check_main(argc, argv, tests, sizeof(tests) / sizeof(tests[0]));
}
