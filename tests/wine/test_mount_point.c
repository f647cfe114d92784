/* SPDX-License-Identifier: MIT */
/*
 * test_mount_point.c - lib/windows/mount_point.c and mountmgr.c, as far as they need no mount manager: which letter a
 * disk keeps that has some already, and answers of the manager that cannot be right.
 */
#include "tests/unit/check.h"

#include <string.h>
#include <windows.h>

#include <winioctl.h>
/* mountmgr.h wants the two above. */
#include <ddk/mountmgr.h>

#include "lib/windows/mount_point.h"
#include "lib/windows/mountmgr.h"

#define DEVICE "\\Device\\CoreMntDisk4000000" /* there is none */

/* -- letters ----------------------------------------------------------------------------------- */

static struct cm_mount_point make(enum cm_mount_point_kind kind, char letter)
{
    struct cm_mount_point point = {.kind = kind, .letter = letter};

    CHECK_EQ(cm_letter_define('N', DEVICE), 0);
    CHECK_EQ(cm_letter_define('O', DEVICE), 0);
    CHECK_EQ(cm_mount_point_make(&point, DEVICE, 1), 0);
    CHECK_EQ(cm_letter_remove('N', DEVICE), 0);
    CHECK_EQ(cm_letter_remove('O', DEVICE), 0);
    return point;
}

/* The manager remembers one letter, and takes the other one, which the disk has suggested. */
static void the_letter_that_is_wanted_is_kept_among_others(void)
{
    CHECK_EQ(make(CM_AT_LETTER, 'N').letter, 'N');
    CHECK_EQ(make(CM_AT_LETTER, 'O').letter, 'O');
}

static void any_letter_is_the_first_that_there_is(void)
{
    CHECK_EQ(make(CM_AT_ANY_LETTER, 0).letter, 'N');
}

/* -- answers ----------------------------------------------------------------------------------- */

union answer {
    MOUNTMGR_MOUNT_POINTS points;
    unsigned char bytes[128];
};

static int fits(const union answer *answer, size_t size)
{
    return cm_mountmgr_answer_fits(answer, size);
}

static union answer good(void)
{
    union answer answer;

    memset(&answer, 0, sizeof(answer));
    answer.points.NumberOfMountPoints = 2;
    for (int i = 0; i < 2; i++) {
        answer.points.MountPoints[i].SymbolicLinkNameOffset = 64;
        answer.points.MountPoints[i].SymbolicLinkNameLength = 64;
        answer.points.MountPoints[i].DeviceNameOffset = 128;
    }
    return answer;
}

static void names_beyond_an_answer_are_not_followed(void)
{
    union answer answer = good();

    CHECK(fits(&answer, 128));
    CHECK(!fits(&answer, 127));
    answer.points.MountPoints[1].SymbolicLinkNameOffset = 65;
    CHECK(!fits(&answer, 128));
    answer.points.MountPoints[1].SymbolicLinkNameOffset = 0xFFFFFFC0u; /* and 64 are 0 */
    CHECK(!fits(&answer, 128));
    answer = good();
    answer.points.MountPoints[0].DeviceNameLength = 1;
    CHECK(!fits(&answer, 128));
}

static void more_names_than_there_is_room_for_are_not_counted(void)
{
    union answer answer = good();

    answer.points.NumberOfMountPoints = 0xFFFFFFFFu;
    CHECK(!fits(&answer, 128));
    answer.points.NumberOfMountPoints = 0x0AAAAAABu; /* times 24 are 8 */
    CHECK(!fits(&answer, 128));
    answer.points.NumberOfMountPoints = 0;
    CHECK(fits(&answer, 8));
    CHECK(!fits(&answer, 7));
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        CHECK_TEST(the_letter_that_is_wanted_is_kept_among_others),
        CHECK_TEST(any_letter_is_the_first_that_there_is),
        CHECK_TEST(names_beyond_an_answer_are_not_followed),
        CHECK_TEST(more_names_than_there_is_room_for_are_not_counted),
    };

    return check_main(argc, argv, tests, sizeof(tests) / sizeof(tests[0]));
}
