/* SPDX-License-Identifier: MIT */
/*
 * test_storage_ioctls.c - the questions that Windows asks a disk: every row of storage_rows.h with its
 * right size, one byte less, nothing, and far too much, and by handles without the right to ask; every
 * code near them; and what the answers say.
 */
#include "tests/storage_rows.h"
#include "tests/unit/check.h"
#include "tests/wine/raw.h"

#include <stdlib.h>
#include <string.h>
#include <winioctl.h>

#define DISK_SIZE (UINT64_C(64) << 20)

static HANDLE control;
static struct raw_disk disk;      /* 64 MiB, 512-byte sectors, writable, trim, identified as Q: */
static struct raw_disk read_only; /* 5 TiB, 4096-byte sectors, read-only, not identified */
static struct raw_server servers[2];

static HANDLE disk_handle, read_only_handle;

static DWORD ask(HANDLE handle, DWORD code, const void *in, DWORD in_size, void *out,
                 DWORD out_size, DWORD *got)
{
    return raw_ioctl(handle, code, in, in_size, out, out_size, got);
}

/* -- lengths, access, codes -------------------------------------------------------------------- */

static const unsigned char zeros[4096];

static DWORD win32_error(uint32_t status)
{
    static const struct {
        uint32_t status;
        DWORD error;
    } errors[] = {
        {STORAGE_OK, ERROR_SUCCESS},
        {STORAGE_BUFFER_OVERFLOW, ERROR_MORE_DATA},
        {STORAGE_INFO_LENGTH_MISMATCH, ERROR_BAD_LENGTH},
        {STORAGE_INVALID_PARAMETER, ERROR_INVALID_PARAMETER},
        {STORAGE_INVALID_DEVICE_REQUEST, ERROR_INVALID_FUNCTION},
        {STORAGE_BUFFER_TOO_SMALL, ERROR_INSUFFICIENT_BUFFER},
        {STORAGE_WRITE_PROTECTED, ERROR_WRITE_PROTECT},
        {STORAGE_NOT_SUPPORTED, ERROR_NOT_SUPPORTED},
        {STORAGE_NOT_FOUND, ERROR_NOT_FOUND},
    };

    for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++)
        if (errors[i].status == status)
            return errors[i].error;
    return MAXDWORD;
}

static struct storage_disk kind_of(const struct raw_disk *of)
{
    char name[64];

    snprintf(name, sizeof(name), "%s%u", CM_DISK_DEVICE_PREFIX, of->mounted.number);
    return (struct storage_disk){
        .read_only = (of->mount.flags & CM_MOUNT_READ_ONLY) != 0,
        .identified = of == &disk,
        .letter = of == &disk,
        .name_bytes = (uint32_t)(2 * strlen(name)),
    };
}

static void try_lengths(HANDLE handle, const struct storage_disk *kind,
                        const struct storage_row *row, DWORD in, DWORD out)
{
    struct storage_answer expected = storage_expect(row, kind, in, out);
    unsigned char room[4097];
    DWORD got, error;
    size_t i;

    memset(room, 0x5A, sizeof(room));
    error = ask(handle, row->code, zeros, in, room, out, &got);
    if (!CHECK_EQ(error, win32_error(expected.status)) || !CHECK_EQ(got, expected.bytes))
        printf("  %s, %lu bytes in, %lu out\n", row->name, in, out);
    for (i = got; i < sizeof(room) && room[i] == 0x5A; i++)
        continue;
    if (!CHECK_EQ(i, sizeof(room)))
        printf("  %s, %lu bytes in, %lu out: written behind the answer\n", row->name, in, out);
}

static void try_rows(HANDLE handle, const struct raw_disk *of)
{
    struct storage_disk kind = kind_of(of);

    for (size_t i = 0; i < STORAGE_ROW_COUNT; i++) {
        const struct storage_row *row = &storage_rows[i];
        DWORD whole = storage_answer_size(row, &kind);
        DWORD rooms[] = {whole, whole - 1, row->out, row->out - 1, 0, 1, 4096};
        for (size_t j = 0; j < sizeof(rooms) / sizeof(rooms[0]); j++) {
            if (rooms[j] > 4096)
                continue; /* one less than nothing */
            try_lengths(handle, &kind, row, row->in, rooms[j]);
            try_lengths(handle, &kind, row, 4096, rooms[j]);
            try_lengths(handle, &kind, row, 0, rooms[j]);
            if (row->in != 0)
                try_lengths(handle, &kind, row, row->in - 1, rooms[j]);
        }
    }
}

static void test_every_ioctl_keeps_to_its_lengths(void)
{
    try_rows(disk_handle, &disk);
    try_rows(read_only_handle, &read_only);
}

/* Wine's server makes the check of the I/O manager, by the access that is in the code. */
static void test_every_ioctl_asks_for_its_access(void)
{
    static const DWORD rights[] = {0, GENERIC_READ, GENERIC_WRITE, GENERIC_READ | GENERIC_WRITE};
    struct storage_disk kind = kind_of(&disk);
    unsigned char room[256];
    WCHAR path[] = L"\\\\.\\?:";

    path[4] = disk.letter[0];
    for (size_t i = 0; i < sizeof(rights) / sizeof(rights[0]); i++) {
        HANDLE handle = CreateFileW(path, rights[i], FILE_SHARE_READ | FILE_SHARE_WRITE, NULL,
                                    OPEN_EXISTING, FILE_FLAG_OVERLAPPED, NULL);
        CHECK(handle != INVALID_HANDLE_VALUE);
        for (size_t j = 0; j < STORAGE_ROW_COUNT; j++) {
            const struct storage_row *row = &storage_rows[j];
            int denied = ((row->access & STORAGE_READ) != 0 && (rights[i] & GENERIC_READ) == 0) ||
                         ((row->access & STORAGE_WRITE) != 0 && (rights[i] & GENERIC_WRITE) == 0);
            struct storage_answer expected = storage_expect(row, &kind, row->in, sizeof(room));
            DWORD error = ask(handle, row->code, zeros, row->in, room, sizeof(room), NULL);
            if (!CHECK_EQ(error, denied ? ERROR_ACCESS_DENIED : win32_error(expected.status)))
                printf("  %s, access %lx\n", row->name, rights[i]);
        }
        CloseHandle(handle);
    }
}

static void try_unknown(DWORD code)
{
    unsigned char room[64], untouched[64];
    DWORD got, error;

    memset(room, 0x5A, sizeof(room));
    memset(untouched, 0x5A, sizeof(untouched));
    error = ask(disk_handle, code, zeros, sizeof(room), room, sizeof(room), &got);
    if (!CHECK_EQ(error, ERROR_INVALID_FUNCTION) || !CHECK_EQ(got, 0) ||
        !CHECK(memcmp(room, untouched, sizeof(room)) == 0))
        printf("  code %lx\n", code);
}

/* All functions below 0x200 of disks, storage, volumes and mounted devices, with every access. */
static void test_every_other_code_near_is_refused_and_fills_nothing(void)
{
    static const DWORD types[] = {FILE_DEVICE_DISK, FILE_DEVICE_MASS_STORAGE, 'V', 'M'};

    for (size_t type = 0; type < sizeof(types) / sizeof(types[0]); type++) {
        for (DWORD rest = 0; rest < 0x200 * 4; rest++) {
            DWORD code = CTL_CODE(types[type], rest >> 2, METHOD_BUFFERED, rest & 3);
            if (!storage_is_known(code))
                try_unknown(code);
        }
    }
    try_unknown(CTL_CODE(FILE_DEVICE_DISK, 0x7FF, METHOD_BUFFERED, 0));
    try_unknown(CM_IOCTL_VERSION);
    try_unknown(CM_IOCTL_EXCHANGE);
}

/* -- answers ----------------------------------------------------------------------------------- */

static void check_geometry(HANDLE handle, uint64_t size, uint32_t sector_size)
{
    DISK_GEOMETRY geometry;
    DISK_GEOMETRY_EX extended;
    GET_LENGTH_INFORMATION length;
    STORAGE_READ_CAPACITY capacity;

    CHECK_EQ(ask(handle, IOCTL_DISK_GET_LENGTH_INFO, NULL, 0, &length, sizeof(length), NULL), 0);
    CHECK_EQ(length.Length.QuadPart, size);
    CHECK_EQ(ask(handle, IOCTL_DISK_GET_DRIVE_GEOMETRY, NULL, 0, &geometry, sizeof(geometry), NULL),
             0);
    CHECK_EQ(geometry.BytesPerSector, sector_size);
    CHECK_EQ(geometry.MediaType, FixedMedia);
    CHECK(geometry.Cylinders.QuadPart >= 1);
    CHECK((uint64_t)geometry.Cylinders.QuadPart * geometry.TracksPerCylinder *
              geometry.SectorsPerTrack * sector_size <=
          size);
    CHECK_EQ(
        ask(handle, IOCTL_DISK_GET_DRIVE_GEOMETRY_EX, NULL, 0, &extended, sizeof(extended), NULL),
        0);
    CHECK_EQ(extended.DiskSize.QuadPart, size);
    CHECK_EQ(extended.Geometry.BytesPerSector, sector_size);
    CHECK_EQ(ask(handle, IOCTL_STORAGE_READ_CAPACITY, NULL, 0, &capacity, sizeof(capacity), NULL),
             0);
    CHECK_EQ(capacity.Size, sizeof(capacity));
    CHECK_EQ(capacity.BlockLength, sector_size);
    CHECK_EQ(capacity.NumberOfBlocks.QuadPart, size / sector_size);
    CHECK_EQ(capacity.DiskLength.QuadPart, size);
}

static void test_sizes_and_geometry_are_the_disks(void)
{
    check_geometry(disk_handle, DISK_SIZE, 512);
    check_geometry(read_only_handle, read_only.mount.size, 4096);
}

static void test_partition_is_the_whole_disk_of_type_ifs(void)
{
    PARTITION_INFORMATION info;
    PARTITION_INFORMATION_EX extended;
    DRIVE_LAYOUT_INFORMATION_EX layout;

    CHECK_EQ(ask(disk_handle, IOCTL_DISK_GET_PARTITION_INFO, NULL, 0, &info, sizeof(info), NULL),
             0);
    CHECK_EQ(info.StartingOffset.QuadPart, 0);
    CHECK_EQ(info.PartitionLength.QuadPart, DISK_SIZE);
    CHECK_EQ(info.HiddenSectors, 0);
    CHECK_EQ(info.PartitionNumber, 1);
    CHECK_EQ(info.PartitionType, PARTITION_IFS);
    CHECK_EQ(info.RecognizedPartition, TRUE);
    CHECK_EQ(ask(read_only_handle, IOCTL_DISK_GET_PARTITION_INFO_EX, NULL, 0, &extended,
                 sizeof(extended), NULL),
             0);
    CHECK_EQ(extended.PartitionStyle, PARTITION_STYLE_MBR);
    CHECK_EQ(extended.PartitionLength.QuadPart, read_only.mount.size);
    CHECK_EQ(extended.Mbr.PartitionType, PARTITION_IFS);
    CHECK_EQ(
        ask(disk_handle, IOCTL_DISK_GET_DRIVE_LAYOUT_EX, NULL, 0, &layout, sizeof(layout), NULL),
        0);
    CHECK_EQ(layout.PartitionStyle, PARTITION_STYLE_MBR);
    CHECK_EQ(layout.PartitionCount, 1);
    CHECK_EQ(layout.PartitionEntry[0].PartitionLength.QuadPart, DISK_SIZE);
    CHECK_EQ(layout.PartitionEntry[0].Mbr.PartitionType, PARTITION_IFS);
}

/* -- the mount manager's questions --------------------------------------------------------------- */

#define QUERY_UNIQUE_ID 0x4D0000
#define QUERY_DEVICE_NAME 0x4D0008
#define QUERY_SUGGESTED_LINK_NAME 0x4D000C
#define GET_GPT_ATTRIBUTES 0x560038

static const unsigned char unique_id[16] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};

static void identify(void)
{
    struct cm_identify in = {.disk_id = disk.mounted.disk_id, .letter = 'Q'};

    memcpy(in.unique_id, unique_id, sizeof(in.unique_id));
    CHECK_EQ(ask(control, CM_IOCTL_IDENTIFY, &in, sizeof(in), NULL, 0, NULL), 0);
}

static void test_the_mount_manager_is_told_name_identity_and_letter(void)
{
    struct {
        USHORT length;
        WCHAR name[64];
    } name;
    struct {
        USHORT length;
        unsigned char id[30];
    } id;
    struct {
        BOOLEAN only;
        USHORT length;
        WCHAR name[32];
    } link;
    WCHAR device[64];
    DWORD got;

    _snwprintf(device, 64, L"%S%u", CM_DISK_DEVICE_PREFIX, disk.mounted.number);
    memset(&name, 0, sizeof(name));
    CHECK_EQ(ask(disk_handle, QUERY_DEVICE_NAME, NULL, 0, &name, 4, &got), ERROR_MORE_DATA);
    CHECK_EQ(got, 4);
    CHECK_EQ(name.length, wcslen(device) * 2);
    CHECK_EQ(ask(disk_handle, QUERY_DEVICE_NAME, NULL, 0, &name, 2u + name.length, &got), 0);
    CHECK_EQ(got, 2 + name.length);
    CHECK(memcmp(name.name, device, name.length) == 0);

    CHECK_EQ(ask(disk_handle, QUERY_UNIQUE_ID, NULL, 0, &id, sizeof(id), &got), 0);
    CHECK_EQ(got, 18);
    CHECK_EQ(id.length, 16);
    CHECK(memcmp(id.id, unique_id, 16) == 0);
    memset(&link, 0, sizeof(link));
    CHECK_EQ(ask(disk_handle, QUERY_SUGGESTED_LINK_NAME, NULL, 0, &link, sizeof(link), &got), 0);
    CHECK_EQ(got, 32);
    CHECK_EQ(link.only, FALSE);
    CHECK_EQ(link.length, 28);
    CHECK(memcmp(link.name, L"\\DosDevices\\Q:", 28) == 0);
}

static void test_attributes_tell_read_only_volumes(void)
{
    ULONGLONG attributes = 1;

    CHECK_EQ(ask(disk_handle, GET_GPT_ATTRIBUTES, NULL, 0, &attributes, 8, NULL), 0);
    CHECK_EQ(attributes, 0);
    CHECK_EQ(ask(read_only_handle, GET_GPT_ATTRIBUTES, NULL, 0, &attributes, 8, NULL), 0);
    CHECK_EQ(attributes, UINT64_C(1) << 60);
}

static void test_read_only_disks_say_so(void)
{
    CHECK_EQ(ask(disk_handle, IOCTL_DISK_IS_WRITABLE, NULL, 0, NULL, 0, NULL), 0);
    CHECK_EQ(ask(read_only_handle, IOCTL_DISK_IS_WRITABLE, NULL, 0, NULL, 0, NULL),
             ERROR_WRITE_PROTECT);
}

static void test_check_verify_counts_on_request(void)
{
    static const DWORD codes[] = {IOCTL_DISK_CHECK_VERIFY, IOCTL_STORAGE_CHECK_VERIFY,
                                  IOCTL_STORAGE_CHECK_VERIFY2};
    DWORD first = 1, second = 2, got;

    for (int i = 0; i < 3; i++) {
        CHECK_EQ(ask(disk_handle, codes[i], NULL, 0, &first, 4, &got), 0);
        CHECK_EQ(got, 4);
        CHECK_EQ(ask(disk_handle, codes[i], NULL, 0, &second, 4, NULL), 0);
        CHECK_EQ(first, second);
        CHECK_EQ(ask(disk_handle, codes[i], NULL, 0, &first, 3, NULL), ERROR_INSUFFICIENT_BUFFER);
    }
}

static DWORD verify(LONGLONG offset, DWORD length)
{
    VERIFY_INFORMATION range = {.StartingOffset.QuadPart = offset, .Length = length};

    return ask(disk_handle, IOCTL_DISK_VERIFY, &range, sizeof(range), NULL, 0, NULL);
}

static void test_verify_knows_the_end_of_the_disk(void)
{
    CHECK_EQ(verify(0, DISK_SIZE), 0);
    CHECK_EQ(verify(DISK_SIZE - 512, 512), 0);
    CHECK_EQ(verify(DISK_SIZE, 0), 0);
    CHECK_EQ(verify(DISK_SIZE, 512), ERROR_SECTOR_NOT_FOUND);
    CHECK_EQ(verify(DISK_SIZE - 512, 1024), ERROR_SECTOR_NOT_FOUND);
    CHECK_EQ(verify(-512, 512), ERROR_SECTOR_NOT_FOUND);
    CHECK_EQ(verify(-1, 0), ERROR_SECTOR_NOT_FOUND);
    CHECK_EQ(verify(INT64_MAX - 511, 512), ERROR_SECTOR_NOT_FOUND);
}

/* -- QUERY_PROPERTY ---------------------------------------------------------------------------- */

static DWORD query(HANDLE handle, int id, int type, void *out, DWORD out_size, DWORD *got)
{
    STORAGE_PROPERTY_QUERY in = {.PropertyId = (STORAGE_PROPERTY_ID)id,
                                 .QueryType = (STORAGE_QUERY_TYPE)type};

    return ask(handle, IOCTL_STORAGE_QUERY_PROPERTY, &in, sizeof(in), out, out_size, got);
}

static void test_device_property_describes_a_virtual_fixed_disk(void)
{
    unsigned char buffer[512];
    STORAGE_DEVICE_DESCRIPTOR *device = (STORAGE_DEVICE_DESCRIPTOR *)buffer;
    DWORD got;

    CHECK_EQ(query(disk_handle, StorageDeviceProperty, PropertyStandardQuery, buffer,
                   sizeof(buffer), &got),
             0);
    CHECK_EQ(got, device->Size);
    CHECK_EQ(device->RemovableMedia, FALSE);
    CHECK_EQ(device->BusType, BusTypeVirtual);
    CHECK(device->VendorIdOffset < got && device->ProductIdOffset < got &&
          device->ProductRevisionOffset < got);
    CHECK_STR((char *)buffer + device->VendorIdOffset, "CoreMnt");
}

static void test_properties_have_the_sizes_that_windows_expects(void)
{
    static const struct {
        int id;
        DWORD size;
    } rows[] = {{StorageAdapterProperty, 32}, {6, 28}, {7, 12}, {8, 12}};
    unsigned char buffer[512];
    STORAGE_DESCRIPTOR_HEADER *header = (STORAGE_DESCRIPTOR_HEADER *)buffer;
    DWORD got;

    for (int i = 0; i < 4; i++) {
        CHECK_EQ(query(disk_handle, rows[i].id, 0, buffer, sizeof(buffer), &got), 0);
        CHECK_EQ(got, rows[i].size);
        CHECK_EQ(header->Size, rows[i].size);
        CHECK_EQ(query(disk_handle, rows[i].id, 0, buffer, 8, &got), 0); /* the header alone */
        CHECK_EQ(got, 8);
        CHECK_EQ(header->Size, rows[i].size);
        CHECK_EQ(query(disk_handle, rows[i].id, 0, buffer, 7, NULL), ERROR_INSUFFICIENT_BUFFER);
        CHECK_EQ(query(disk_handle, rows[i].id, PropertyExistsQuery, NULL, 0, &got), 0);
        CHECK_EQ(got, 0);
    }
}

static void test_alignment_and_trim_follow_the_disk(void)
{
    struct {
        DWORD version, size, line, offset, logical, physical, sector_offset;
    } alignment;
    struct {
        DWORD version, size;
        BOOLEAN enabled;
    } trim;

    CHECK_EQ(query(disk_handle, 6, 0, &alignment, sizeof(alignment), NULL), 0);
    CHECK_EQ(alignment.logical, 512);
    CHECK(alignment.physical >= 512);
    CHECK_EQ(query(read_only_handle, 6, 0, &alignment, sizeof(alignment), NULL), 0);
    CHECK_EQ(alignment.logical, 4096);
    CHECK_EQ(query(disk_handle, 8, 0, &trim, sizeof(trim), NULL), 0);
    CHECK_EQ(trim.enabled, TRUE);
    CHECK_EQ(query(read_only_handle, 8, 0, &trim, sizeof(trim), NULL), 0);
    CHECK_EQ(trim.enabled, FALSE);
}

static void test_unknown_properties_and_short_queries_are_refused(void)
{
    unsigned char buffer[512], in[12] = {0};

    CHECK_EQ(query(disk_handle, 2, 0, buffer, sizeof(buffer), NULL), ERROR_NOT_SUPPORTED);
    CHECK_EQ(query(disk_handle, 77, 0, buffer, sizeof(buffer), NULL), ERROR_NOT_SUPPORTED);
    CHECK_EQ(query(disk_handle, -1, 1, buffer, sizeof(buffer), NULL), ERROR_NOT_SUPPORTED);
    CHECK_EQ(query(disk_handle, 0, 7, buffer, sizeof(buffer), NULL), ERROR_NOT_SUPPORTED);
    CHECK_EQ(ask(disk_handle, IOCTL_STORAGE_QUERY_PROPERTY, in, 7, buffer, sizeof(buffer), NULL),
             ERROR_BAD_LENGTH);
}

/* -- TRIM -------------------------------------------------------------------------------------- */

struct trim {
    DEVICE_MANAGE_DATA_SET_ATTRIBUTES set;
    DEVICE_DATA_SET_RANGE ranges[3];
};

static struct trim trim_of(LONGLONG offset, ULONGLONG length)
{
    struct trim trim = {
        .set = {.Size = sizeof(trim.set),
                .Action = DeviceDsmAction_Trim,
                .DataSetRangesOffset = offsetof(struct trim, ranges),
                .DataSetRangesLength = sizeof(DEVICE_DATA_SET_RANGE)},
        .ranges = {{offset, length}},
    };
    return trim;
}

static DWORD send_trim(HANDLE handle, const struct trim *trim, DWORD size)
{
    return ask(handle, IOCTL_STORAGE_MANAGE_DATA_SET_ATTRIBUTES, trim, size, NULL, 0, NULL);
}

static void test_trim_reaches_the_server_range_by_range(void)
{
    struct trim trim = trim_of(0, 4096);
    LONG before = servers[0].trims;

    trim.ranges[1] = (DEVICE_DATA_SET_RANGE){8192, 0}; /* empty: nothing to tell */
    trim.ranges[2] = (DEVICE_DATA_SET_RANGE){(LONGLONG)(DISK_SIZE - 512), 512};
    trim.set.DataSetRangesLength = 3 * sizeof(DEVICE_DATA_SET_RANGE);
    CHECK_EQ(send_trim(disk_handle, &trim, sizeof(trim)), 0);
    CHECK_EQ(servers[0].trims, before + 2);
    trim = trim_of(0, DISK_SIZE);
    CHECK_EQ(send_trim(disk_handle, &trim, sizeof(trim)), 0);
    CHECK_EQ(servers[0].trims, before + 3);
    trim = trim_of(0, 0);
    CHECK_EQ(send_trim(disk_handle, &trim, sizeof(trim)), 0);
    CHECK_EQ(servers[0].trims, before + 3);
}

/* btrfs aligns its ranges, others put them right behind the head. */
static void test_trim_ranges_need_not_be_aligned(void)
{
    struct trim trim = trim_of(0, 0);
    DEVICE_DATA_SET_RANGE range = {8192, 4096};
    LONG before = servers[0].trims;
    DWORD head = sizeof(trim.set);

    memcpy((unsigned char *)&trim + head, &range, sizeof(range));
    trim.set.DataSetRangesOffset = head;
    CHECK(head % 8 != 0);
    CHECK_EQ(send_trim(disk_handle, &trim, head + sizeof(range)), 0);
    CHECK_EQ(servers[0].trims, before + 1);
    range.StartingOffset = 100;
    memcpy((unsigned char *)&trim + head, &range, sizeof(range));
    CHECK_EQ(send_trim(disk_handle, &trim, head + sizeof(range)), ERROR_INVALID_PARAMETER);
}

#define TRIM_REFUSED(change, error)                                                                \
    do {                                                                                           \
        struct trim trim = trim_of(0, 4096);                                                       \
        change;                                                                                    \
        CHECK_EQ(send_trim(disk_handle, &trim, sizeof(trim)), error);                              \
    } while (0)

static void test_hostile_trims_are_refused(void)
{
    LONG before = servers[0].trims;
    struct trim good = trim_of(0, 4096);

    TRIM_REFUSED(trim.ranges[0].StartingOffset = -4096, ERROR_INVALID_PARAMETER);
    TRIM_REFUSED(trim.ranges[0].StartingOffset = 1, ERROR_INVALID_PARAMETER);
    TRIM_REFUSED(trim.ranges[0].LengthInBytes = 513, ERROR_INVALID_PARAMETER);
    TRIM_REFUSED(trim.ranges[0].LengthInBytes = DISK_SIZE + 512, ERROR_INVALID_PARAMETER);
    TRIM_REFUSED(trim.ranges[0].LengthInBytes = UINT64_MAX - 511, ERROR_INVALID_PARAMETER);
    TRIM_REFUSED(trim.ranges[0].StartingOffset = INT64_MAX - 511, ERROR_INVALID_PARAMETER);
    TRIM_REFUSED(trim.set.DataSetRangesOffset = 0, ERROR_INVALID_PARAMETER);
    TRIM_REFUSED(trim.set.DataSetRangesOffset = sizeof(trim), ERROR_INVALID_PARAMETER);
    TRIM_REFUSED(trim.set.DataSetRangesOffset = UINT32_MAX - 7, ERROR_INVALID_PARAMETER);
    TRIM_REFUSED(trim.set.DataSetRangesLength = 0, ERROR_INVALID_PARAMETER);
    TRIM_REFUSED(trim.set.DataSetRangesLength = 15, ERROR_INVALID_PARAMETER);
    TRIM_REFUSED(trim.set.DataSetRangesLength = UINT32_MAX - 15, ERROR_INVALID_PARAMETER);
    TRIM_REFUSED(trim.set.DataSetRangesLength = 4 * 16, ERROR_INVALID_PARAMETER);
    TRIM_REFUSED(trim.set.Flags = DEVICE_DSM_FLAG_ENTIRE_DATA_SET_RANGE, ERROR_INVALID_PARAMETER);
    TRIM_REFUSED(trim.set.Action = 2, ERROR_NOT_SUPPORTED);
    CHECK_EQ(send_trim(disk_handle, &good, sizeof(good.set) - 1), ERROR_INVALID_PARAMETER);
    CHECK_EQ(send_trim(disk_handle, &good, sizeof(good.set)), ERROR_INVALID_PARAMETER);
    CHECK_EQ(send_trim(read_only_handle, &good, sizeof(good)), ERROR_WRITE_PROTECT);
    CHECK_EQ(servers[0].trims, before);
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        CHECK_TEST(test_every_ioctl_keeps_to_its_lengths),
        CHECK_TEST(test_every_ioctl_asks_for_its_access),
        CHECK_TEST(test_every_other_code_near_is_refused_and_fills_nothing),
        CHECK_TEST(test_sizes_and_geometry_are_the_disks),
        CHECK_TEST(test_partition_is_the_whole_disk_of_type_ifs),
        CHECK_TEST(test_the_mount_manager_is_told_name_identity_and_letter),
        CHECK_TEST(test_attributes_tell_read_only_volumes),
        CHECK_TEST(test_read_only_disks_say_so),
        CHECK_TEST(test_check_verify_counts_on_request),
        CHECK_TEST(test_verify_knows_the_end_of_the_disk),
        CHECK_TEST(test_device_property_describes_a_virtual_fixed_disk),
        CHECK_TEST(test_properties_have_the_sizes_that_windows_expects),
        CHECK_TEST(test_alignment_and_trim_follow_the_disk),
        CHECK_TEST(test_unknown_properties_and_short_queries_are_refused),
        CHECK_TEST(test_trim_reaches_the_server_range_by_range),
        CHECK_TEST(test_trim_ranges_need_not_be_aligned),
        CHECK_TEST(test_hostile_trims_are_refused),
    };
    struct cm_mount mount;
    int result;

    control = raw_open_control();
    raw_mount_defaults(&mount, DISK_SIZE);
    raw_attach(control, &mount, &disk);
    raw_server_start(&servers[0], &disk, 1 << 20);
    raw_mount_defaults(&mount, UINT64_C(5) << 40);
    mount.sector_size = 4096;
    mount.flags |= CM_MOUNT_READ_ONLY;
    raw_attach(control, &mount, &read_only);
    raw_server_start(&servers[1], &read_only, 1 << 20);
    disk_handle = raw_open_disk(&disk);
    read_only_handle = raw_open_disk(&read_only);
    identify();

    result = check_main(argc, argv, tests, sizeof(tests) / sizeof(tests[0]));

    raw_server_stop(&servers[0]);
    raw_server_stop(&servers[1]);
    raw_detach(&disk);
    raw_detach(&read_only);
    return result;
}
