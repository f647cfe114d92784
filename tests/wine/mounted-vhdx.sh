# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# A VHDX served as Z: by the driver: what a program writes through \\.\Z: is what other people's tools find in the
# file; a killed server loses nothing that was answered; a differencing image leaves its parent as it is.
set -euo pipefail
# shellcheck source=tests/wine/check.sh
. "$(dirname "${BASH_SOURCE[0]}")/check.sh"

mib=48
size=$((mib * 1024 * 1024))

# like EXPECTED IMAGE: the image holds those bytes, and its structures are whole.
like() {
    expect_success qemu-img check -q -f vhdx "$2"
    expect_success qemu-img compare -q -f raw -F vhdx "$1" "$2"
}

# put OFFSET FILE: through Z:, and into what is expected.
put() {
    expect_success winio write '\\.\Z:' "$1" "$2"
    dd if="$2" of=expected.img bs=4096 seek=$(($1 / 4096)) conv=notrunc status=none
}

reads_and_writes() {
    expect_success coremnt create disk.vhdx --size "${mib}M" --block-size 1M
    truncate -s "$size" expected.img
    random_file data 1572864
    mount_disk disk.vhdx Z:
    expect_output 'length of the disk' "$size" winio length '\\.\Z:'
    put 4096 data
    put $((size - 1572864)) data
    put 8388608 data
    expect_output 'disk' "$(digest_of expected.img)" winio digest '\\.\Z:' "$size" 1000448
    unmount_disk Z:
    like expected.img disk.vhdx
    mount_disk disk.vhdx Z: --read-only
    expect_output 'disk, read-only' "$(digest_of expected.img)" winio digest '\\.\Z:' "$size" 1048576
    expect_failure 1 'Win32 error 19$' winio write '\\.\Z:' 0 data
    unmount_disk Z:
}

# What was answered is in the file even if it was never flushed: new blocks too.
a_killed_server_loses_nothing() {
    mount_disk disk.vhdx Z: --hold 60
    put 20971520 data
    kill -KILL "$server"
    wait "$server" 2>/dev/null || true
    win_background server cli/coremnt.exe attach Z:
    server=$win_pid
    win_expect server 'is attached to'
    put 31457280 data
    expect_output 'disk' "$(digest_of expected.img)" winio digest '\\.\Z:' "$size" 1048576
    unmount_disk Z:
    like expected.img disk.vhdx
}

a_child_keeps_its_parent() {
    cp disk.vhdx parent.vhdx
    expect_success coremnt create child.vhdx --parent parent.vhdx
    expect_failure 1 'cannot be held.*upon a parent' coremnt mount child.vhdx Z: --hold 60
    mount_disk child.vhdx Z:
    put 65536 data
    put 25165824 data
    expect_output 'disk' "$(digest_of expected.img)" winio digest '\\.\Z:' "$size" 1048576
    unmount_disk Z:
    cmp disk.vhdx parent.vhdx || fail 'the parent was changed'
    expect_success coremnt convert child.vhdx whole.img
    cmp whole.img expected.img || fail 'the child has not what was written'
}

large_sectors_are_those_of_the_image() {
    expect_success coremnt create large.vhdx --size 16M --sector-size 4096
    mount_disk large.vhdx Z:
    expect_failure 1 'Win32 error 87$' winio write '\\.\Z:' 512 data
    unmount_disk Z:
}

reads_and_writes
a_killed_server_loses_nothing
a_child_keeps_its_parent
large_sectors_are_those_of_the_image
