# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# The life of a disk at the prompt: create, info, mount, list, stats, unmount - and what is left afterwards.
set -euo pipefail
# shellcheck source=tests/wine/check.sh
. "$(dirname "${BASH_SOURCE[0]}")/check.sh"

# json FILTER: what jq makes of ./out, which must be JSON.
json() {
    jq -er "$1" <out || fail "not the JSON expected ($1): $(cat out)"
}

expect_success coremnt driver status
expect_match 'driver status' '[Rr]unning' "$(cat out)"

expect_success coremnt create disk.img --size 64M
expect_equal 'size of the new image' "$(stat -c %s disk.img)" 67108864
[ "$(du -k disk.img | cut -f1)" -lt 1024 ] || fail "a new image takes $(du -k disk.img | cut -f1) KiB"
expect_success coremnt info disk.img
expect_match 'info' '67108864|64' "$(cat out)"

expect_success coremnt list --json
expect_equal 'disks before' "$(json length)" 0

mount_disk disk.img Z:
expect_success coremnt list
expect_match 'list' 'Z:.*disk\.img' "$(cat out)"
expect_success coremnt list --json
expect_equal 'disks' "$(json length)" 1
expect_equal 'letter' "$(json '.[0].mount_point')" Z:
expect_equal 'size' "$(json '.[0].size')" 67108864

random_file data 1048576
expect_success winio write '\\.\Z:' 4096 data
expect_success winio read '\\.\Z:' 4096 1048576 back
cmp data back || fail 'what was written is not what was read'
expect_success coremnt stats Z:
expect_match 'stats' 'read' "$(cat out)"

unmount_disk Z:
expect_failure 1 'Win32 error 2$' winio length '\\.\Z:'
expect_success coremnt list --json
expect_equal 'disks after' "$(json length)" 0
cmp <(tail -c +4097 disk.img | head -c 1048576) data || fail 'the image has not what was written'

# A disk in use stays, unless forced.
mount_disk disk.img Z:
win_background holder tests/wine/winio.exe hold '\\.\Z:' 30000
holder=$win_pid
win_expect holder holding
expect_failure 4 'in use' coremnt unmount Z:
expect_success winio length '\\.\Z:'
unmount_disk Z: --force
kill "$holder"
wait "$holder" || true

# A driver that is stopped under a mounted disk: the server says so, and that it was not an unmount.
mount_disk disk.img Z:
driver_stop
result=0
win_wait "$server" 20 || result=$?
expect_equal 'exit code of a server whose driver was stopped' "$result" 1
expect_match 'what it says' 'driver CoreMnt has been stopped' "$(cat server.out)"
driver_start
