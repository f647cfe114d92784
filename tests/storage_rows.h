/* SPDX-License-Identifier: MIT */
/*
 * storage_rows.h - the ioctls that Windows sends to disks and volumes, one a row: what each is given, and what a
 * disk of ours owes it. Used by the tests on the simulated kernel and by those under Wine, which ask the same
 * questions; so nothing here needs a header of either. Numbers, not names of headers, on purpose: the driver has
 * its own from those.
 */
#ifndef CM_TESTS_STORAGE_ROWS_H
#define CM_TESTS_STORAGE_ROWS_H

#include <stddef.h>
#include <stdint.h>

/* What a caller gets that gives less room than the whole answer takes. */
enum storage_rule {
    STORAGE_WHOLE,       /* STATUS_BUFFER_TOO_SMALL */
    STORAGE_PART,        /* as much as there is room for, from `out` bytes on */
    STORAGE_OPTIONAL,    /* success without an answer if there is no room at all */
    STORAGE_HEAD,        /* the first `out` bytes, and success */
    STORAGE_HEAD_OF_MORE /* the same, and STATUS_BUFFER_OVERFLOW */
};

#define STORAGE_READ 1u /* access that the code asks of its handle */
#define STORAGE_WRITE 2u

#define STORAGE_OF_IDENTITY 1u  /* refused by a disk that has none */
#define STORAGE_OF_LETTER 2u    /* not found on a disk that wants none */
#define STORAGE_WITH_NAME 4u    /* the answer is so much longer as the device's name is */
#define STORAGE_OF_WRITABLE 8u  /* refused by a read-only disk */
#define STORAGE_ODD_INPUT 0x10u /* input that is too short is STATUS_INVALID_PARAMETER */

struct storage_row {
    const char *name;
    uint32_t code, access;
    uint32_t in, out; /* the least lengths, bytes */
    uint32_t answer;  /* bytes returned where there is room; at most */
    enum storage_rule rule;
    uint32_t flags;
    uint32_t status; /* an input of zeros, and of the right length, ends with */
};

/* NT's; Win32 errors are the tests' to make of them. */
#define STORAGE_OK 0u
#define STORAGE_BUFFER_OVERFLOW 0x80000005u
#define STORAGE_INFO_LENGTH_MISMATCH 0xC0000004u
#define STORAGE_INVALID_PARAMETER 0xC000000Du
#define STORAGE_INVALID_DEVICE_REQUEST 0xC0000010u
#define STORAGE_BUFFER_TOO_SMALL 0xC0000023u
#define STORAGE_WRITE_PROTECTED 0xC00000A2u
#define STORAGE_NOT_SUPPORTED 0xC00000BBu
#define STORAGE_NOT_FOUND 0xC0000225u

#define STORAGE_ANSWERS(name, code, access, bytes)                                                 \
    {                                                                                              \
        name, code, access, 0, bytes, bytes, STORAGE_WHOLE, 0, STORAGE_OK                          \
    }
#define STORAGE_TAKES(name, code, access, bytes)                                                   \
    {                                                                                              \
        name, code, access, bytes, 0, 0, STORAGE_WHOLE, 0, STORAGE_OK                              \
    }
#define STORAGE_REFUSES(name, code, access, status)                                                \
    {                                                                                              \
        name, code, access, 0, 0, 0, STORAGE_WHOLE, 0, status                                      \
    }
#define STORAGE_DOES_NOT_KNOW(name, code, access)                                                  \
    STORAGE_REFUSES(name, code, access, STORAGE_INVALID_DEVICE_REQUEST)
#define STORAGE_COUNTED(name, code, head, bytes, flags)                                            \
    {                                                                                              \
        name, code, 0, 0, head, bytes, STORAGE_HEAD_OF_MORE, flags, STORAGE_OK                     \
    }
#define STORAGE_LINK(name, code, access)                                                           \
    {                                                                                              \
        name, code, access, 2, 0, 0, STORAGE_WHOLE, STORAGE_ODD_INPUT, STORAGE_OK                  \
    }
#define STORAGE_RW (STORAGE_READ | STORAGE_WRITE)

static const struct storage_row storage_rows[] = {
    STORAGE_ANSWERS("DISK_GET_DRIVE_GEOMETRY", 0x70000u, 0, 24),
    {"DISK_GET_DRIVE_GEOMETRY_EX", 0x700A0u, 0, 0, 32, 112, STORAGE_PART, 0, STORAGE_OK},
    STORAGE_ANSWERS("DISK_GET_MEDIA_TYPES", 0x70C00u, 0, 24),
    STORAGE_ANSWERS("DISK_GET_LENGTH_INFO", 0x7405Cu, STORAGE_READ, 8),
    STORAGE_ANSWERS("DISK_GET_PARTITION_INFO", 0x74004u, STORAGE_READ, 32),
    STORAGE_ANSWERS("DISK_GET_PARTITION_INFO_EX", 0x70048u, 0, 144),
    STORAGE_ANSWERS("DISK_GET_DRIVE_LAYOUT", 0x7400Cu, STORAGE_READ, 40),
    STORAGE_ANSWERS("DISK_GET_DRIVE_LAYOUT_EX", 0x70050u, 0, 192),
    STORAGE_TAKES("DISK_SET_PARTITION_INFO", 0x7C008u, STORAGE_RW, 1),
    STORAGE_TAKES("DISK_SET_PARTITION_INFO_EX", 0x7C04Cu, STORAGE_RW, 120),
    STORAGE_TAKES("DISK_UPDATE_PROPERTIES", 0x70140u, 0, 0),
    {"DISK_IS_WRITABLE", 0x70024u, 0, 0, 0, 0, STORAGE_WHOLE, STORAGE_OF_WRITABLE, STORAGE_OK},
    STORAGE_ANSWERS("DISK_IS_CLUSTERED", 0x700F8u, 0, 1),
    STORAGE_REFUSES("DISK_GET_CLUSTER_INFO", 0x70214u, 0, STORAGE_NOT_SUPPORTED),
    STORAGE_REFUSES("DISK_GET_CLUSTER_INFO, to read", 0x74214u, STORAGE_READ,
                    STORAGE_NOT_SUPPORTED),
    STORAGE_ANSWERS("DISK_GET_CACHE_INFORMATION", 0x740D4u, STORAGE_READ, 24),
    STORAGE_TAKES("DISK_VERIFY", 0x70014u, 0, 16),
    {"DISK_CHECK_VERIFY", 0x74800u, STORAGE_READ, 0, 0, 4, STORAGE_OPTIONAL, 0, STORAGE_OK},
    STORAGE_TAKES("DISK_MEDIA_REMOVAL", 0x74804u, STORAGE_READ, 1),
    STORAGE_DOES_NOT_KNOW("DISK_EJECT_MEDIA", 0x74808u, STORAGE_READ),
    STORAGE_DOES_NOT_KNOW("DISK_LOAD_MEDIA", 0x7480Cu, STORAGE_READ),
    STORAGE_DOES_NOT_KNOW("DISK_UPDATE_DRIVE_SIZE", 0x7C0C8u, STORAGE_RW),
    STORAGE_DOES_NOT_KNOW("DISK_GROW_PARTITION", 0x7C0D0u, STORAGE_RW),
    STORAGE_DOES_NOT_KNOW("DISK_CREATE_DISK", 0x7C058u, STORAGE_RW),
    STORAGE_DOES_NOT_KNOW("DISK_SET_DRIVE_LAYOUT", 0x7C010u, STORAGE_RW),
    STORAGE_DOES_NOT_KNOW("DISK_SET_DRIVE_LAYOUT_EX", 0x7C054u, STORAGE_RW),
    STORAGE_DOES_NOT_KNOW("DISK_REASSIGN_BLOCKS", 0x7C01Cu, STORAGE_RW),
    STORAGE_DOES_NOT_KNOW("DISK_FORMAT_TRACKS", 0x7C018u, STORAGE_RW),
    STORAGE_DOES_NOT_KNOW("DISK_FORMAT_TRACKS_EX", 0x7C02Cu, STORAGE_RW),
    STORAGE_DOES_NOT_KNOW("DISK_PERFORMANCE", 0x70020u, 0),
    STORAGE_DOES_NOT_KNOW("DISK_COPY_DATA", 0x7C064u, STORAGE_RW),

    {"STORAGE_CHECK_VERIFY", 0x2D4800u, STORAGE_READ, 0, 0, 4, STORAGE_OPTIONAL, 0, STORAGE_OK},
    {"STORAGE_CHECK_VERIFY2", 0x2D0800u, 0, 0, 0, 4, STORAGE_OPTIONAL, 0, STORAGE_OK},
    STORAGE_TAKES("STORAGE_MEDIA_REMOVAL", 0x2D4804u, STORAGE_READ, 1),
    STORAGE_TAKES("STORAGE_EJECTION_CONTROL", 0x2D0940u, 0, 1),
    STORAGE_DOES_NOT_KNOW("STORAGE_EJECT_MEDIA", 0x2D4808u, STORAGE_READ),
    STORAGE_DOES_NOT_KNOW("STORAGE_LOAD_MEDIA", 0x2D480Cu, STORAGE_READ),
    STORAGE_DOES_NOT_KNOW("STORAGE_LOAD_MEDIA2", 0x2D080Cu, 0),
    STORAGE_ANSWERS("STORAGE_GET_MEDIA_TYPES", 0x2D0C00u, 0, 24),
    STORAGE_ANSWERS("STORAGE_GET_MEDIA_TYPES_EX", 0x2D0C04u, 0, 40),
    STORAGE_ANSWERS("STORAGE_GET_HOTPLUG_INFO", 0x2D0C14u, 0, 8),
    STORAGE_DOES_NOT_KNOW("STORAGE_GET_DEVICE_NUMBER", 0x2D1080u, 0),
    STORAGE_ANSWERS("STORAGE_READ_CAPACITY", 0x2D5140u, STORAGE_READ, 32),
    {"STORAGE_QUERY_PROPERTY", 0x2D1400u, 0, 8, 8, 61, STORAGE_HEAD, 0, STORAGE_OK},
    {"STORAGE_MANAGE_DATA_SET_ATTRIBUTES", 0x2D9404u, STORAGE_WRITE, 28, 0, 0, STORAGE_WHOLE,
     STORAGE_ODD_INPUT, STORAGE_NOT_SUPPORTED}, /* zeros are no action */
    STORAGE_DOES_NOT_KNOW("STORAGE_CHECK_PRIORITY_HINT_SUPPORT", 0x2D1880u, 0),

    STORAGE_DOES_NOT_KNOW("VOLUME_GET_VOLUME_DISK_EXTENTS", 0x560000u, 0),
    STORAGE_TAKES("VOLUME_ONLINE", 0x56C008u, STORAGE_RW, 0),
    STORAGE_TAKES("VOLUME_POST_ONLINE", 0x56C064u, STORAGE_RW, 0),
    STORAGE_DOES_NOT_KNOW("VOLUME_OFFLINE", 0x56C00Cu, STORAGE_RW),
    STORAGE_DOES_NOT_KNOW("VOLUME_IS_OFFLINE", 0x560010u, 0),
    STORAGE_TAKES("VOLUME_IS_IO_CAPABLE", 0x560014u, 0, 0),
    STORAGE_DOES_NOT_KNOW("VOLUME_QUERY_VOLUME_NUMBER", 0x56001Cu, 0),
    STORAGE_DOES_NOT_KNOW("VOLUME_IS_PARTITION", 0x560028u, 0),
    STORAGE_DOES_NOT_KNOW("VOLUME_IS_CLUSTERED", 0x560030u, 0),
    STORAGE_ANSWERS("VOLUME_GET_GPT_ATTRIBUTES", 0x560038u, 0, 8),
    STORAGE_ANSWERS("VOLUME_IS_DYNAMIC", 0x560048u, 0, 1),
    STORAGE_DOES_NOT_KNOW("VOLUME_QUERY_ALLOCATION_HINT", 0x564052u, STORAGE_READ),

    STORAGE_COUNTED("MOUNTDEV_QUERY_DEVICE_NAME", 0x4D0008u, 4, 2, STORAGE_WITH_NAME),
    STORAGE_COUNTED("MOUNTDEV_QUERY_UNIQUE_ID", 0x4D0000u, 4, 18, STORAGE_OF_IDENTITY),
    STORAGE_COUNTED("MOUNTDEV_QUERY_SUGGESTED_LINK_NAME", 0x4D000Cu, 6, 32,
                    STORAGE_OF_IDENTITY | STORAGE_OF_LETTER),
    STORAGE_DOES_NOT_KNOW("MOUNTDEV_QUERY_STABLE_GUID", 0x4D0018u, 0),
    STORAGE_DOES_NOT_KNOW("MOUNTDEV_UNIQUE_ID_CHANGE_NOTIFY", 0x4D0004u, 0),
    STORAGE_DOES_NOT_KNOW("MOUNTDEV_UNIQUE_ID_CHANGE_NOTIFY, of XP", 0x4DC004u, STORAGE_RW),
    STORAGE_LINK("MOUNTDEV_LINK_CREATED", 0x4D0010u, 0),
    STORAGE_LINK("MOUNTDEV_LINK_CREATED, of XP", 0x4DC010u, STORAGE_RW),
    STORAGE_LINK("MOUNTDEV_LINK_DELETED", 0x4D0014u, 0),
    STORAGE_LINK("MOUNTDEV_LINK_DELETED, of XP", 0x4DC014u, STORAGE_RW),

    STORAGE_DOES_NOT_KNOW("FT_BALANCED_READ_MODE", 0x66001Bu, 0), /* METHOD_NEITHER */
    STORAGE_TAKES("what EFS of Windows 10 asks", 0x455610D8u, 0, 0),
};

#define STORAGE_ROW_COUNT (sizeof(storage_rows) / sizeof(storage_rows[0]))

/* NULL: it is in no row. */
static inline const struct storage_row *storage_row_of(uint32_t code)
{
    for (size_t i = 0; i < STORAGE_ROW_COUNT; i++)
        if (storage_rows[i].code == code)
            return &storage_rows[i];
    return NULL;
}

/* FALSE for codes that no driver of ours may answer with anything but STATUS_INVALID_DEVICE_REQUEST. */
static inline int storage_is_known(uint32_t code)
{
    const struct storage_row *row = storage_row_of(code);

    return row != NULL && row->status != STORAGE_INVALID_DEVICE_REQUEST;
}

/* The disk that is asked. */
struct storage_disk {
    int read_only, identified, letter;
    uint32_t name_bytes; /* of its device's name, in UTF-16 */
};

struct storage_answer {
    uint32_t status;
    uint32_t bytes; /* returned */
};

static inline uint32_t storage_refusal(const struct storage_row *row,
                                       const struct storage_disk *disk, uint32_t in)
{
    if (row->status == STORAGE_INVALID_DEVICE_REQUEST)
        return row->status;
    if (in < row->in)
        return (row->flags & STORAGE_ODD_INPUT) != 0 ? STORAGE_INVALID_PARAMETER
                                                     : STORAGE_INFO_LENGTH_MISMATCH;
    if ((row->flags & STORAGE_OF_IDENTITY) != 0 && !disk->identified)
        return STORAGE_INVALID_DEVICE_REQUEST;
    if ((row->flags & STORAGE_OF_LETTER) != 0 && !disk->letter)
        return STORAGE_NOT_FOUND;
    if ((row->flags & STORAGE_OF_WRITABLE) != 0 && disk->read_only)
        return STORAGE_WRITE_PROTECTED;
    return row->status;
}

static inline uint32_t storage_answer_size(const struct storage_row *row,
                                           const struct storage_disk *disk)
{
    return row->answer + ((row->flags & STORAGE_WITH_NAME) != 0 ? disk->name_bytes : 0);
}

/* What is owed for an input of so many zeros and so much room. */
static inline struct storage_answer storage_expect(const struct storage_row *row,
                                                   const struct storage_disk *disk, uint32_t in,
                                                   uint32_t out)
{
    uint32_t whole = storage_answer_size(row, disk);
    struct storage_answer answer = {storage_refusal(row, disk, in), 0};

    if (answer.status != STORAGE_OK)
        return answer;
    if (out >= whole) {
        answer.bytes = whole;
    } else if (row->rule == STORAGE_OPTIONAL && out == 0) {
        answer.bytes = 0;
    } else if (out < row->out || row->rule == STORAGE_WHOLE || row->rule == STORAGE_OPTIONAL) {
        answer.status = STORAGE_BUFFER_TOO_SMALL;
    } else if (row->rule == STORAGE_PART) {
        answer.bytes = out;
    } else {
        answer.bytes = row->out;
        answer.status = row->rule == STORAGE_HEAD ? STORAGE_OK : STORAGE_BUFFER_OVERFLOW;
    }
    return answer;
}

#endif
