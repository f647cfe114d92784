/* SPDX-License-Identifier: MIT */
/*
 * test_contract.c - every ioctl of the control device: what it answers to good, short, wrong and
 * hostile input, and that a refused call changes nothing.
 */
#include "tests/unit/check.h"
#include "tests/wine/raw.h"

#include <stdlib.h>
#include <string.h>

#define MIB (1024u * 1024u)

static HANDLE control;

static void test_version_tells_abi_and_one_way_to_share_memory(void)
{
    struct cm_version version;
    DWORD got;

    CHECK_EQ(raw_ioctl(control, CM_IOCTL_VERSION, NULL, 0, &version, sizeof(version), &got), 0);
    CHECK_EQ(got, sizeof(version));
    CHECK_EQ(version.abi_version, CM_ABI_VERSION);
    CHECK(version.features == (CM_FEATURE_ARENA_MAP | CM_FEATURE_HOLD | CM_FEATURE_VOLUME) ||
          version.features == (CM_FEATURE_ARENA_LEND | CM_FEATURE_HOLD | CM_FEATURE_VOLUME));
}

static void test_unknown_ioctls_are_refused(void)
{
    unsigned char buffer[64] = {0};

    for (uint32_t function = 0x80C; function < 0x820; function++)
        CHECK_EQ(raw_ioctl(control, CM_CTL_CODE(function, CM_METHOD_BUFFERED), buffer,
                           sizeof(buffer), buffer, sizeof(buffer), NULL),
                 ERROR_INVALID_FUNCTION);
}

/* One row per ioctl: sizes that are one byte short must be told apart from everything else. */
static void test_every_ioctl_refuses_short_buffers(void)
{
    static const struct {
        DWORD code, in, out;
    } rows[] = {
        {CM_IOCTL_VERSION, 0, sizeof(struct cm_version)},
        {CM_IOCTL_MOUNT, sizeof(struct cm_mount), sizeof(struct cm_mounted)},
        {CM_IOCTL_UNMOUNT, sizeof(struct cm_unmount), 0},
        {CM_IOCTL_ARENA_MAP, sizeof(struct cm_arena), sizeof(struct cm_arena_mapped)},
        {CM_IOCTL_EXCHANGE, sizeof(struct cm_exchange), sizeof(struct cm_exchanged)},
        {CM_IOCTL_LIST, 0, sizeof(struct cm_list)},
        {CM_IOCTL_STATS, sizeof(struct cm_stats_of), sizeof(struct cm_stats)},
        {CM_IOCTL_ATTACH, sizeof(struct cm_attach), sizeof(struct cm_attached)},
        {CM_IOCTL_HEALTH, sizeof(struct cm_health_of), sizeof(struct cm_health)},
    };
    unsigned char in[2048] = {0}, out[2048];

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (rows[i].in != 0) {
            CHECK_EQ(raw_ioctl(control, rows[i].code, in, rows[i].in - 1, out, sizeof(out), NULL),
                     ERROR_BAD_LENGTH);
            CHECK_EQ(raw_ioctl(control, rows[i].code, NULL, 0, out, sizeof(out), NULL),
                     ERROR_BAD_LENGTH);
        }
        if (rows[i].out != 0) {
            CHECK_EQ(raw_ioctl(control, rows[i].code, in, sizeof(in), out, rows[i].out - 1, NULL),
                     ERROR_INSUFFICIENT_BUFFER);
            CHECK_EQ(raw_ioctl(control, rows[i].code, in, sizeof(in), NULL, 0, NULL),
                     ERROR_INSUFFICIENT_BUFFER);
        }
    }
}

static void test_ioctls_need_read_and_write_access(void)
{
    struct cm_version version;
    HANDLE none =
        CreateFileA(CM_CONTROL_DEVICE_NAME, 0, 0, NULL, OPEN_EXISTING, FILE_FLAG_OVERLAPPED, NULL);
    HANDLE reader = CreateFileA(CM_CONTROL_DEVICE_NAME, GENERIC_READ, 0, NULL, OPEN_EXISTING,
                                FILE_FLAG_OVERLAPPED, NULL);

    CHECK(none != INVALID_HANDLE_VALUE && reader != INVALID_HANDLE_VALUE);
    CHECK_EQ(raw_ioctl(none, CM_IOCTL_VERSION, NULL, 0, &version, sizeof(version), NULL),
             ERROR_ACCESS_DENIED);
    CHECK_EQ(raw_ioctl(reader, CM_IOCTL_VERSION, NULL, 0, &version, sizeof(version), NULL),
             ERROR_ACCESS_DENIED);
    CloseHandle(none);
    CloseHandle(reader);
}

static void test_reading_and_writing_the_control_device_is_refused(void)
{
    unsigned char sector[512];

    CHECK_EQ(raw_read(control, sector, sizeof(sector), 0, NULL), ERROR_INVALID_FUNCTION);
    CHECK_EQ(raw_write(control, sector, sizeof(sector), 0, NULL), ERROR_INVALID_FUNCTION);
}

/* -- MOUNT ------------------------------------------------------------------------------------- */

static DWORD try_mount(const struct cm_mount *mount)
{
    struct raw_disk disk;
    DWORD error = raw_mount(control, mount, &disk);

    if (error == ERROR_SUCCESS)
        raw_detach(&disk);
    return error;
}

static void test_mount_of_another_abi_version_is_refused(void)
{
    struct cm_mount mount;

    raw_mount_defaults(&mount, MIB);
    mount.abi_version = CM_ABI_VERSION + 1;
    CHECK_EQ(try_mount(&mount), ERROR_REVISION_MISMATCH);
    mount.abi_version = 0;
    CHECK_EQ(try_mount(&mount), ERROR_REVISION_MISMATCH);
}

#define REFUSED(field, value)                                                                      \
    do {                                                                                           \
        struct cm_mount mount;                                                                     \
        raw_mount_defaults(&mount, MIB);                                                           \
        mount.field = (value);                                                                     \
        CHECK_EQ(try_mount(&mount), ERROR_INVALID_PARAMETER);                                      \
    } while (0)

static void test_mount_refuses_numbers_outside_their_limits(void)
{
    REFUSED(flags, CM_MOUNT_ALL_FLAGS + 1);
    REFUSED(flags, 0x80000000u);
    REFUSED(hold_seconds, CM_MAX_HOLD_SECONDS + 1);
    REFUSED(timeout_seconds, CM_MAX_TIMEOUT_SECONDS + 1);
    REFUSED(size, 0);
    REFUSED(size, 511);
    REFUSED(size, MIB + 1);
    REFUSED(size, CM_MAX_DISK_SIZE + 512);
    REFUSED(size, UINT64_MAX);
    REFUSED(sector_size, 0);
    REFUSED(sector_size, 513);
    REFUSED(sector_size, 1024);
    REFUSED(sector_size, 8192);
    REFUSED(sector_size, UINT32_MAX);
    REFUSED(queue_depth, 0);
    REFUSED(queue_depth, CM_MAX_QUEUE_DEPTH + 1);
    REFUSED(queue_depth, UINT32_MAX);
    REFUSED(slot_size, 0);
    REFUSED(slot_size, CM_MIN_SLOT_SIZE / 2);
    REFUSED(slot_size, CM_MIN_SLOT_SIZE + 512);
    REFUSED(slot_size, CM_MAX_SLOT_SIZE * 2);
    REFUSED(image_name[CM_IMAGE_NAME_UNITS - 1], 'x');
}

static void test_mount_refuses_sizes_that_are_not_whole_sectors(void)
{
    struct cm_mount mount;

    raw_mount_defaults(&mount, 4096 + 512);
    mount.sector_size = 4096;
    CHECK_EQ(try_mount(&mount), ERROR_INVALID_PARAMETER);
}

static void test_mount_refuses_an_arena_that_is_too_large(void)
{
    struct cm_mount mount;

    raw_mount_defaults(&mount, MIB);
    mount.queue_depth = CM_MAX_QUEUE_DEPTH;
    mount.slot_size = CM_MAX_SLOT_SIZE;
    CHECK_EQ(try_mount(&mount), ERROR_INVALID_PARAMETER);
}

static void test_mount_takes_the_limits_themselves(void)
{
    struct cm_mount mount;

    raw_mount_defaults(&mount, 512);
    mount.queue_depth = 1;
    mount.slot_size = CM_MIN_SLOT_SIZE;
    CHECK_EQ(try_mount(&mount), 0);
    raw_mount_defaults(&mount, CM_MAX_DISK_SIZE);
    mount.hold_seconds = CM_MAX_HOLD_SECONDS;
    mount.timeout_seconds = CM_MAX_TIMEOUT_SECONDS;
    mount.queue_depth = CM_MAX_QUEUE_DEPTH;
    mount.sector_size = 4096;
    CHECK_EQ(try_mount(&mount), 0);
}

/* -- the arena --------------------------------------------------------------------------------- */

/* Both ways of sharing memory check alike before they look at the memory. */
static DWORD try_share(uint64_t id, uint64_t size)
{
    static unsigned char memory[8192];
    struct cm_arena in = {id, size};
    struct cm_version version;

    CHECK_EQ(raw_ioctl(control, CM_IOCTL_VERSION, NULL, 0, &version, sizeof(version), NULL), 0);
    return raw_ioctl(control,
                     (version.features & CM_FEATURE_ARENA_LEND) != 0 ? CM_IOCTL_ARENA_LEND
                                                                     : CM_IOCTL_ARENA_MAP,
                     &in, sizeof(in), memory, sizeof(memory), NULL);
}

static void test_an_arena_is_for_the_right_disk_and_size(void)
{
    struct cm_mount mount;
    struct raw_disk disk;

    raw_mount_defaults(&mount, MIB);
    CHECK_EQ(raw_mount(control, &mount, &disk), 0);
    CHECK_EQ(disk.mounted.arena_size, (uint64_t)mount.queue_depth * mount.slot_size);
    CHECK_EQ(try_share(disk.mounted.disk_id + 1, disk.mounted.arena_size), ERROR_NOT_FOUND);
    CHECK_EQ(try_share(disk.mounted.disk_id, disk.mounted.arena_size - 1), ERROR_INVALID_PARAMETER);
    CHECK_EQ(try_share(disk.mounted.disk_id, 0), ERROR_INVALID_PARAMETER);
    CHECK_EQ(raw_share_arena(&disk), 0);
    memset(disk.arena, 0xA5, (size_t)disk.mounted.arena_size);
    raw_detach(&disk);
}

static void test_an_arena_is_set_up_once(void)
{
    struct cm_mount mount;
    struct raw_disk disk, again;

    raw_mount_defaults(&mount, MIB);
    CHECK_EQ(raw_mount(control, &mount, &disk), 0);
    CHECK_EQ(raw_share_arena(&disk), 0);
    again = disk;
    CHECK_EQ(raw_share_arena(&again), ERROR_BAD_COMMAND);
    raw_detach(&disk);
}

static void test_a_system_has_one_way_of_sharing_memory(void)
{
    struct cm_version version;
    struct cm_mount mount;
    struct raw_disk disk;

    CHECK_EQ(raw_ioctl(control, CM_IOCTL_VERSION, NULL, 0, &version, sizeof(version), NULL), 0);
    raw_mount_defaults(&mount, MIB);
    CHECK_EQ(raw_mount(control, &mount, &disk), 0);
    CHECK_EQ((version.features & CM_FEATURE_ARENA_LEND) != 0 ? raw_map_arena(&disk)
                                                             : raw_lend_arena(&disk),
             ERROR_NOT_SUPPORTED);
    raw_detach(&disk);
}

static void test_a_disk_without_an_arena_refuses_io(void)
{
    struct cm_mount mount;
    struct raw_disk disk;
    unsigned char sector[512];
    WCHAR path[8] = L"\\\\.\\";
    HANDLE handle;

    raw_mount_defaults(&mount, MIB);
    CHECK_EQ(raw_mount(control, &mount, &disk), 0);
    raw_define_letter(&disk);
    wcscat(path, disk.letter);
    /* NT refuses to open it; Wine opens it whatever the driver says. */
    handle = CreateFileW(path, GENERIC_READ, FILE_SHARE_READ | FILE_SHARE_WRITE, NULL,
                         OPEN_EXISTING, FILE_FLAG_OVERLAPPED, NULL);
    if (handle != INVALID_HANDLE_VALUE) {
        CHECK_EQ(raw_read(handle, sector, sizeof(sector), 0, NULL), ERROR_NO_SUCH_DEVICE);
        CloseHandle(handle);
    }
    raw_detach(&disk);
}

/* -- UNMOUNT ----------------------------------------------------------------------------------- */

static void test_unmount_checks_what_it_is_given(void)
{
    struct cm_mount mount;
    struct raw_disk disk;

    raw_mount_defaults(&mount, MIB);
    raw_attach(control, &mount, &disk);
    CHECK_EQ(raw_unmount(&disk, CM_UNMOUNT_ALL_FLAGS + 1, 0), ERROR_INVALID_PARAMETER);
    disk.mounted.disk_id ^= UINT64_C(1) << 40; /* another generation */
    CHECK_EQ(raw_unmount(&disk, 0, 0), ERROR_NOT_FOUND);
    disk.mounted.disk_id ^= UINT64_C(1) << 40;
    CHECK_EQ(raw_unmount(&disk, 0, 0), 0);
    CHECK_EQ(raw_unmount(&disk, 0, 0), ERROR_NOT_FOUND);
    raw_detach(&disk);
}

static void test_soft_unmount_leaves_a_disk_in_use_alone(void)
{
    struct cm_mount mount;
    struct raw_disk disk;
    struct raw_server server = {0};
    unsigned char sector[512];
    HANDLE handle;

    raw_mount_defaults(&mount, MIB);
    raw_attach(control, &mount, &disk);
    raw_server_start(&server, &disk, MIB);
    handle = raw_open_disk(&disk);
    CHECK_EQ(raw_unmount(&disk, 0, 0), ERROR_BUSY);
    CHECK_EQ(raw_read(handle, sector, sizeof(sector), 0, NULL), 0);
    CHECK_EQ(raw_unmount(&disk, 0, 1), 0); /* the one handle is said to be ours */
    CloseHandle(handle);
    raw_server_stop(&server);
    CHECK_EQ(server.ended_with, ERROR_DEVICE_REMOVED);
    raw_detach(&disk);
}

static void test_forced_unmount_takes_a_disk_in_use(void)
{
    struct cm_mount mount;
    struct raw_disk disk;
    HANDLE handle;

    raw_mount_defaults(&mount, MIB);
    raw_attach(control, &mount, &disk);
    handle = raw_open_disk(&disk);
    CHECK_EQ(raw_unmount(&disk, CM_UNMOUNT_FORCE, 0), 0);
    CloseHandle(handle);
    raw_detach(&disk);
}

static void test_another_handle_may_unmount_but_not_serve(void)
{
    struct cm_mount mount;
    struct raw_disk disk, foreign;
    struct cm_request request;
    HANDLE other = raw_open_control();
    uint32_t count;

    raw_mount_defaults(&mount, MIB);
    raw_attach(control, &mount, &disk);
    foreign = disk;
    foreign.control = other;
    CHECK_EQ(raw_exchange(&foreign, NULL, 0, CM_EXCHANGE_NO_WAIT, &request, 1, &count),
             ERROR_NOT_FOUND);
    CHECK_EQ(raw_map_arena(&foreign), ERROR_NOT_FOUND);
    CHECK_EQ(raw_unmount(&foreign, 0, 0), 0);
    CloseHandle(other);
    raw_detach(&disk);
}

/* -- LIST and STATS ---------------------------------------------------------------------------- */

static const struct cm_list_entry *find_entry(const struct cm_list *list, uint64_t id)
{
    const struct cm_list_entry *entries = (const struct cm_list_entry *)(list + 1);

    for (uint32_t i = 0; i < list->count; i++)
        if (entries[i].disk_id == id)
            return &entries[i];
    return NULL;
}

static void test_list_shows_disks_as_they_were_mounted(void)
{
    struct cm_mount mount;
    struct raw_disk disk;
    unsigned char buffer[sizeof(struct cm_list) + 8 * sizeof(struct cm_list_entry)];
    struct cm_list *list = (struct cm_list *)buffer;
    const struct cm_list_entry *entry;

    raw_mount_defaults(&mount, UINT64_C(5) << 40);
    mount.sector_size = 4096;
    mount.flags = CM_MOUNT_READ_ONLY | CM_MOUNT_TRIM;
    memcpy(mount.image_name, L"C:\\images\\d\x00e9.img", 16 * sizeof(WCHAR));
    raw_attach(control, &mount, &disk);
    CHECK_EQ(raw_ioctl(control, CM_IOCTL_LIST, NULL, 0, buffer, sizeof(buffer), NULL), 0);
    entry = find_entry(list, disk.mounted.disk_id);
    CHECK(entry != NULL);
    if (entry != NULL) {
        CHECK_EQ(entry->size, mount.size);
        CHECK_EQ(entry->sector_size, 4096);
        CHECK_EQ(entry->flags, mount.flags);
        CHECK_EQ(entry->number, disk.mounted.number);
        CHECK_EQ(entry->queue_depth, mount.queue_depth);
        CHECK_EQ(entry->slot_size, mount.slot_size);
        CHECK_EQ(entry->owner_pid, GetCurrentProcessId());
        CHECK(memcmp(entry->image_name, mount.image_name, sizeof(mount.image_name)) == 0);
    }
    raw_detach(&disk);
    CHECK_EQ(raw_ioctl(control, CM_IOCTL_LIST, NULL, 0, buffer, sizeof(buffer), NULL), 0);
    CHECK(find_entry(list, disk.mounted.disk_id) == NULL);
}

static void test_a_list_that_does_not_fit_says_how_many_there_are(void)
{
    struct cm_mount mount;
    struct raw_disk disks[3];
    unsigned char buffer[sizeof(struct cm_list) + sizeof(struct cm_list_entry)];
    struct cm_list *list = (struct cm_list *)buffer;

    raw_mount_defaults(&mount, MIB);
    for (int i = 0; i < 3; i++)
        raw_attach(control, &mount, &disks[i]);
    CHECK_EQ(raw_ioctl(control, CM_IOCTL_LIST, NULL, 0, buffer, sizeof(buffer), NULL),
             ERROR_MORE_DATA);
    CHECK_EQ(list->total, 3);
    CHECK_EQ(list->count, 1);
    CHECK_EQ(raw_ioctl(control, CM_IOCTL_LIST, NULL, 0, buffer, sizeof(*list), NULL),
             ERROR_MORE_DATA);
    CHECK_EQ(list->count, 0);
    for (int i = 0; i < 3; i++)
        raw_detach(&disks[i]);
}

static void test_stats_of_no_disk_are_refused(void)
{
    struct cm_stats_of of = {UINT64_C(0x1234567800000007)};
    struct cm_stats stats;

    CHECK_EQ(raw_ioctl(control, CM_IOCTL_STATS, &of, sizeof(of), &stats, sizeof(stats), NULL),
             ERROR_NOT_FOUND);
}

static void test_health_tells_what_was_mounted(void)
{
    struct cm_health health;
    struct cm_mount mount;
    struct raw_disk disk;

    raw_mount_defaults(&mount, MIB);
    mount.hold_seconds = 17;
    mount.timeout_seconds = 18;
    CHECK_EQ(raw_mount(control, &mount, &disk), 0);
    CHECK_EQ(raw_get_health(control, &disk, &health), 0);
    CHECK_EQ(health.state, CM_HEALTH_STARTING);
    CHECK_EQ(health.hold_seconds, 17);
    CHECK_EQ(health.timeout_seconds, 18);
    CHECK_EQ(raw_share_arena(&disk), 0);
    CHECK_EQ(raw_get_health(control, &disk, &health), 0);
    CHECK_EQ(health.state, CM_HEALTH_SERVED);
    CHECK_EQ(health.hold_left_ms, 0);
    CHECK_EQ(health.unanswered_ms, 0);
    CHECK_EQ(health.timed_out, 0);
    CHECK_EQ(health.attaches, 0);
    CHECK_EQ(health.handed_out_again, 0);
    raw_detach(&disk);
    CHECK_EQ(raw_get_health(control, &disk, &health), ERROR_NOT_FOUND);
}

static void test_numbers_and_ids_are_never_used_twice(void)
{
    struct cm_mount mount;
    struct raw_disk first, second;

    raw_mount_defaults(&mount, MIB);
    raw_attach(control, &mount, &first);
    raw_detach(&first);
    raw_attach(control, &mount, &second);
    CHECK(second.mounted.number > first.mounted.number);
    CHECK(second.mounted.disk_id != first.mounted.disk_id);
    raw_detach(&second);
}

static void test_closing_the_handle_removes_its_disks(void)
{
    struct cm_mount mount;
    struct raw_disk disks[4];
    HANDLE other = raw_open_control();
    struct cm_list list;

    raw_mount_defaults(&mount, MIB);
    for (int i = 0; i < 4; i++)
        raw_attach(other, &mount, &disks[i]);
    CHECK_EQ(raw_ioctl(control, CM_IOCTL_LIST, NULL, 0, &list, sizeof(list), NULL),
             ERROR_MORE_DATA);
    CHECK_EQ(list.total, 4);
    CloseHandle(other);
    CHECK_EQ(raw_ioctl(control, CM_IOCTL_LIST, NULL, 0, &list, sizeof(list), NULL), 0);
    CHECK_EQ(list.total, 0);
    for (int i = 0; i < 4; i++) {
        disks[i].control = control;
        raw_detach(&disks[i]);
    }
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        CHECK_TEST(test_version_tells_abi_and_one_way_to_share_memory),
        CHECK_TEST(test_unknown_ioctls_are_refused),
        CHECK_TEST(test_every_ioctl_refuses_short_buffers),
        CHECK_TEST(test_ioctls_need_read_and_write_access),
        CHECK_TEST(test_reading_and_writing_the_control_device_is_refused),
        CHECK_TEST(test_mount_of_another_abi_version_is_refused),
        CHECK_TEST(test_mount_refuses_numbers_outside_their_limits),
        CHECK_TEST(test_mount_refuses_sizes_that_are_not_whole_sectors),
        CHECK_TEST(test_mount_refuses_an_arena_that_is_too_large),
        CHECK_TEST(test_mount_takes_the_limits_themselves),
        CHECK_TEST(test_an_arena_is_for_the_right_disk_and_size),
        CHECK_TEST(test_an_arena_is_set_up_once),
        CHECK_TEST(test_a_system_has_one_way_of_sharing_memory),
        CHECK_TEST(test_a_disk_without_an_arena_refuses_io),
        CHECK_TEST(test_unmount_checks_what_it_is_given),
        CHECK_TEST(test_soft_unmount_leaves_a_disk_in_use_alone),
        CHECK_TEST(test_forced_unmount_takes_a_disk_in_use),
        CHECK_TEST(test_another_handle_may_unmount_but_not_serve),
        CHECK_TEST(test_list_shows_disks_as_they_were_mounted),
        CHECK_TEST(test_a_list_that_does_not_fit_says_how_many_there_are),
        CHECK_TEST(test_stats_of_no_disk_are_refused),
        CHECK_TEST(test_health_tells_what_was_mounted),
        CHECK_TEST(test_numbers_and_ids_are_never_used_twice),
        CHECK_TEST(test_closing_the_handle_removes_its_disks),
    };

    control = raw_open_control();
    return check_main(argc, argv, tests, sizeof(tests) / sizeof(tests[0]));
}
