# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# An image must not lie on its own disk, nor on one that nobody serves: opening it would wait for ever. It is
# refused at once, whatever the path to it is called. And images that the system may cache are served like others.
set -euo pipefail
# shellcheck source=tests/wine/check.sh
. "$(dirname "${BASH_SOURCE[0]}")/check.sh"

failed=2
at_once=5 # seconds, with the start of the program

# refused_at_once PATTERN COMMAND...
refused_at_once() {
    local before=$SECONDS
    expect_failure "$failed" "$@"
    [ $((SECONDS - before)) -le "$at_once" ] || fail "it took $((SECONDS - before)) s: $*"
}

kill_server() {
    local tenths=50
    kill -KILL "$server"
    wait "$server" 2>/dev/null || true
    until coremnt list --json | jq -e '.[0].state == "held"' >/dev/null; do
        [ "$tenths" -gt 0 ] || fail 'the disk is not held'
        tenths=$((tenths - 1))
        sleep 0.1
    done
}

on_itself() {
    local lies='lies on Z:, which has no server now.*elsewhere' device
    mount_disk disk.img Z: --hold 60
    device=$(coremnt list --json | jq -er '.[0].device')
    kill_server
    refused_at_once "$lies" coremnt attach Z: 'Z:\disk.img'
    refused_at_once "$lies" coremnt attach Z: --cached 'raw:z:/folder/../disk.img'
    refused_at_once "$lies" coremnt attach Z: '\\?\Z:\disk.img'
    refused_at_once "$lies" coremnt attach Z: "\\\\?\\GLOBALROOT$device\\disk.img"
    refused_at_once "$lies" coremnt info 'Z:\disk.img'
    refused_at_once "$lies" coremnt mount 'Z:\disk.img' Y:
    refused_at_once "$lies" coremnt create 'Z:\new.img' --size 1M
    win_background server cli/coremnt.exe attach Z:
    server=$win_pid
    win_expect server 'is attached to'
    unmount_disk Z:
}

# Another process serves the disk, so what is asked of it ends; here with an error, as Wine mounts no file
# system on it.
on_a_disk_of_another() {
    mount_disk disk.img Z:
    expect_failure_any '.' coremnt info 'Z:\disk.img'
    ! grep -q 'lies on' err || fail "it was refused: $(cat err)"
    unmount_disk Z:
}

cached() {
    random_file data 65536
    mount_disk disk.img Z: --cached --hold 60
    expect_success winio write '\\.\Z:' 4608 data
    kill_server
    win_background server cli/coremnt.exe attach Z: --cached
    server=$win_pid
    win_expect server 'is attached to'
    expect_success winio read '\\.\Z:' 4608 65536 back
    cmp data back || fail 'it was read otherwise than it was written'
    unmount_disk Z:
    cmp data <(tail -c +4609 disk.img | head -c 65536) || fail 'it did not reach the file'
}

random_file disk.img 4194304
for topic in on_itself on_a_disk_of_another cached; do
    say "$topic"
    "$topic"
done
