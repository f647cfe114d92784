# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# Volumes over images that other programs made: every byte is read as it is in the file, sectors are written
# and put back, and the file system's own checker finds nothing wrong afterwards.
set -euo pipefail
# shellcheck source=tests/wine/check.sh
. "$(dirname "${BASH_SOURCE[0]}")/check.sh"
# shellcheck source=tests/wine/foreign.sh
. "$(dirname "${BASH_SOURCE[0]}")/foreign.sh"

# write_and_restore BYTES: sectors at the beginning, the middle and the end.
write_and_restore() {
    local offset
    for offset in 0 $(($1 / 2)) $(($1 - 4096)); do
        dd if=disk.img of=old.bin bs=512 skip=$((offset / 512)) count=8 status=none
        expect_success winio write '\\.\Z:' "$offset" noise.bin
        expect_success winio read '\\.\Z:' "$offset" 4096 read.bin
        cmp noise.bin read.bin || fail "what was written at $offset is not what is read"
        expect_success winio write '\\.\Z:' "$offset" old.bin
    done
}

mkdir files
random_file files/FILE.BIN 700001
random_file noise.bin 4096
for kind_and_size in $foreign_kinds; do
    kind=${kind_and_size%:*} mib=${kind_and_size#*:}
    bytes=$((mib * 1024 * 1024))
    foreign_make "$kind" disk.img "$mib"
    foreign_fill "$kind" disk.img files/FILE.BIN
    before=$(digest_of disk.img)
    mount_disk disk.img Z:
    expect_output "$kind" "$before" winio digest '\\.\Z:' "$bytes"
    write_and_restore "$bytes"
    unmount_disk Z:
    expect_equal "$kind after it was written and restored" "$(digest_of disk.img)" "$before"
    foreign_check "$kind" disk.img
    say "$kind: read whole, written, restored, clean"
done
