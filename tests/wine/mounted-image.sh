# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# A FAT image served as Z:, read and written by a Windows program through \\.\Z:, then looked at without
# CoreMnt: every byte is where it belongs. The core of ./dev demo, with several sizes of requests.
set -euo pipefail
# shellcheck source=tests/wine/check.sh
. "$(dirname "${BASH_SOURCE[0]}")/check.sh"
# shellcheck source=tests/wine/fat.sh
. "$(dirname "${BASH_SOURCE[0]}")/fat.sh"

mib=32

make_image() {
    fat_make disk.img "$mib"
    random_file BIG.BIN 5000001
    random_file LETTER.BIN 131072
    fat_put disk.img LETTER.BIN BIG.BIN
}

# One sector, a size that slots do not divide, and more than an arena's slot.
read_whole_disk() {
    local block expected
    expected=$(digest_of disk.img)
    for block in 4096 1000448 8388608; do
        expect_output "disk read by $block" "$expected" \
            winio digest '\\.\Z:' $((mib * 1024 * 1024)) "$block"
    done
}

write_letter() {
    local offset
    offset=$(fat_offset disk.img LETTER.BIN)
    random_file letter.new 131072
    cp disk.img expected.img
    dd if=letter.new of=expected.img bs=512 seek=$((offset / 512)) conv=notrunc status=none
    expect_success winio write '\\.\Z:' "$offset" letter.new
}

make_image
mount_disk disk.img Z:
expect_output 'length of the disk' $((mib * 1024 * 1024)) winio length '\\.\Z:'
read_whole_disk
write_letter
unmount_disk Z:
cmp disk.img expected.img || fail 'the image is not what was written'
fat_check disk.img
fat_get disk.img LETTER.BIN letter.read
cmp letter.new letter.read || fail 'LETTER.BIN has not the new content'

# A second mount reads what the first one wrote; read-only refuses to write.
mount_disk disk.img Z: --read-only
read_whole_disk
expect_failure 1 'Win32 error 19$' winio write '\\.\Z:' 0 letter.new
unmount_disk Z:
cmp disk.img expected.img || fail 'a read-only mount changed the image'
