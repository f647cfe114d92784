# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# Partitioned images made by sfdisk and sgdisk: one partition of each is mounted, has exactly the bytes that
# it has in the image, and what is written to it lands there and nowhere else.
set -euo pipefail
# shellcheck source=tests/wine/check.sh
. "$(dirname "${BASH_SOURCE[0]}")/check.sh"
# shellcheck source=tests/wine/foreign.sh
. "$(dirname "${BASH_SOURCE[0]}")/foreign.sh"

mib=1048576
usage=2 not_found=3

# Partition 2 of each image: from 9 MiB on, 16 MiB, with a FAT.
begin=9 length=16

make_mbr() {
    truncate -s 64M mbr.img
    printf 'label: dos\n1MiB,8MiB,7\n9MiB,16MiB,6\n25MiB,,5\n26MiB,4MiB,83\n' |
        foreign_run sfdisk -q mbr.img
}

make_gpt() {
    truncate -s 64M gpt.img
    foreign_run sgdisk -n 1:1M:+8M -n 2:9M:+16M -t 2:0700 -n 3:0:0 gpt.img
}

# one_partition IMAGE
one_partition() {
    local image=$1 bytes=$((length * mib))
    foreign_run mkfs.fat -F 16 --offset $((begin * 2048)) "$image" $((length * 1024))
    dd if="$image" of=part.img bs=1M skip=$begin count=$length status=none
    random_file noise.bin 1024
    mount_disk "$image" Z: --partition 2
    expect_output "length of partition 2 of $image" "$bytes" winio length '\\.\Z:'
    expect_output "partition 2 of $image" "$(digest_of part.img)" winio digest '\\.\Z:' "$bytes"
    cp "$image" expected.img
    for sector in 0 1000 $((bytes / 512 - 2)); do
        dd if=noise.bin of=expected.img bs=512 seek=$((begin * 2048 + sector)) conv=notrunc status=none
        expect_success winio write '\\.\Z:' $((sector * 512)) noise.bin
    done
    expect_failure_any 'Win32 error' winio write '\\.\Z:' $((bytes - 512)) noise.bin
    expect_failure_any 'Win32 error' winio write '\\.\Z:' "$bytes" noise.bin
    unmount_disk Z:
    cmp "$image" expected.img || fail "$image is not what was written"
}

# Held and taken over: the name that the driver keeps says which partition it is, and another one is refused.
taken_over() {
    mount_disk gpt.img Z: --partition 2 --hold 60
    kill -KILL "$server"
    wait "$server" 2>/dev/null || true
    expect_failure $usage 'is partition 2 of its image, not 1' coremnt attach Z: --partition 1
    expect_failure $usage 'is partition 2 of its image, not 9' coremnt attach Z: gpt.img --partition 9
    win_background server cli/coremnt.exe attach Z:
    server=$win_pid
    win_expect server 'is attached to'
    expect_output 'length after attach' $((length * mib)) winio length '\\.\Z:'
    unmount_disk Z:
}

mistakes() {
    expect_failure $usage 'keeps its size' coremnt mount gpt.img Z: --partition 2 --size 100M
    expect_failure $not_found 'no partition 4\. There are: 1 .*, 2 .*, 5' \
        coremnt mount mbr.img Z: --partition 4
    expect_failure $usage 'extended' coremnt mount mbr.img Z: --partition 3
    expect_failure $usage 'no partition table' coremnt mount part.img Z: --partition 1
    expect_failure $usage '--partition must be a number' coremnt mount gpt.img Z: --partition 0
    cp gpt.img cut.img
    truncate -s 20M cut.img
    expect_failure $usage 'not all in the image' coremnt mount cut.img Z: --partition 2
}

# Readers do not keep each other out.
two_read_only() {
    local first
    mount_disk gpt.img Z: --partition 2 --read-only
    first=$server
    mount_disk gpt.img Y: --partition 3 --read-only
    expect_output 'length of partition 3' $((39 * mib - 33 * 512)) winio length '\\.\Y:'
    unmount_disk Y:
    server=$first
    unmount_disk Z:
}

make_mbr
make_gpt
one_partition mbr.img
one_partition gpt.img
taken_over
two_read_only
mistakes

# The whole disk can still be mounted, with a hint.
mount_disk gpt.img Z:
grep -q 'partitioned disk (GPT)' server.out || fail "no hint: $(cat server.out)"
unmount_disk Z:
mount_disk part.img Z:
! grep -q 'partitioned' server.out || fail "a hint for no reason: $(cat server.out)"
unmount_disk Z:
