# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# Disks of another size, at the prompt: larger while they are in use, smaller only when nobody uses them and it is
# meant; and what cannot be.
set -euo pipefail
# shellcheck source=tests/wine/check.sh
. "$(dirname "${BASH_SOURCE[0]}")/check.sh"

size_of_disk() {
    expect_success winio length "$1"
    tr -dc '0-9' <out
}

expect_success coremnt create disk.img --size 8M
random_file data 65536
mount_disk disk.img Z:
expect_success winio write '\\.\Z:' 8323072 data

# Larger, while a program has it open.
win_background holder tests/wine/winio.exe hold '\\.\Z:' 30000
holder=$win_pid
win_expect holder holding
expect_success coremnt resize Z: 24M
expect_match 'resize' 'Z: has 24.* now' "$(cat out)"
expect_equal 'the length that the system sees' "$(size_of_disk '\\.\Z:')" 25165824
expect_success coremnt list --json
expect_equal 'the size in the list' "$(jq -r '.[0].size' <out)" 25165824
expect_equal 'the image' "$(stat -c %s disk.img)" 25165824
expect_success winio write '\\.\Z:' 25100288 data
expect_success winio read '\\.\Z:' 25100288 65536 back
cmp data back || fail 'the new end is not what was written to it'
expect_failure_any . winio write '\\.\Z:' 25165824 data

# Smaller: only if it is meant, and never in use.
expect_failure 2 'would be lost.*--shrink' coremnt resize Z: 4M
expect_failure 4 'in use by winio.exe' coremnt resize Z: 4M --shrink
expect_equal 'the size after refusals' "$(size_of_disk '\\.\Z:')" 25165824
kill "$holder"
wait "$holder" || true
expect_success coremnt resize Z: 16M --shrink
expect_equal 'the smaller length' "$(size_of_disk '\\.\Z:')" 16777216
expect_equal 'the smaller image' "$(stat -c %s disk.img)" 16777216
expect_success winio read '\\.\Z:' 8323072 65536 back
cmp data back || fail 'what lies before the new end has changed'
expect_success coremnt resize Z: 16M
expect_match 'the same size' 'already' "$(cat out)"

# The server stops answering, and is killed while it is asked.
kill -STOP "$server"
win_background resize cli/coremnt.exe resize Z: 32M
asked=$win_pid
sleep 1
kill -KILL "$server"
result=0
win_wait "$asked" 20 || result=$?
expect_equal "exit code of a resize whose disk goes: $(cat resize.out)" "$result" 3
expect_match 'what it says' 'Z: has gone while it was resized' "$(cat resize.out)"
expect_success coremnt unmount Z:
mount_disk disk.img Z:

# What cannot be.
expect_failure 2 'SIZE must be a size' coremnt resize Z: much
expect_failure 2 'no option -5' coremnt resize Z: -5
expect_failure 2 'SIZE must be a size' coremnt resize Z: 0
expect_failure 2 'whole sectors' coremnt resize Z: 16777217
expect_failure 2 'whole sectors' coremnt resize Z: 5000000T
expect_failure 2 'missing' coremnt resize Z:
expect_failure 3 'no drive' coremnt resize Y: 1G
expect_failure 3 'no disk with the id' coremnt resize 12345 1G
unmount_disk Z:
expect_equal 'the image in the end' "$(stat -c %s disk.img)" 16777216

mount_disk disk.img Z: --read-only
expect_failure 1 'read-only' coremnt resize Z: 24M
unmount_disk Z:

mount_disk memory:1M Z:
expect_failure 1 'cannot be given another' coremnt resize Z: 2M
unmount_disk Z:
