# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# A disk that outlives its server: mount --hold, the server is killed, requests wait, attach, they end well.
# And what attach refuses, each with a sentence and with the disk as it was.
set -euo pipefail
# shellcheck source=tests/wine/check.sh
. "$(dirname "${BASH_SOURCE[0]}")/check.sh"

failed=1 usage=2 not_found=3 in_use=4 no_rights=5

mib=4
size=$((mib * 1024 * 1024))

# field NAME: of the only disk there is.
field() {
    expect_success coremnt list --json
    jq -er ".[0].$1" <out || fail "no $1 in: $(cat out)"
}

# kill_server: the process that $server names, and the moment that the driver takes to hear of it.
kill_server() {
    local tenths=50
    kill -KILL "$server"
    wait "$server" 2>/dev/null || true
    until [ "$(field state)" = held ]; do
        [ "$tenths" -gt 0 ] || fail "the disk is not held but $(field state)"
        tenths=$((tenths - 1))
        sleep 0.1
    done
}

# attach_disk WHICH [IMAGE] [OPTION...]: like mount_disk.
attach_disk() {
    win_background server cli/coremnt.exe attach "$@"
    server=$win_pid
    win_expect server 'is attached to'
}

io_waits_and_goes_on() {
    local reader writer result=0
    mount_disk disk.img Z: --hold 60
    expect_equal 'state' "$(field state)" served
    expect_equal 'hold' "$(field hold_seconds)" 60
    kill_server
    expect_success coremnt list
    expect_match 'list of a held disk' 'Z:.* held, [0-9]+ s left .*disk\.img' "$(cat out)"

    random_file new 65536
    cp disk.img expected.img
    dd if=new of=expected.img bs=4096 seek=8 conv=notrunc status=none
    win_background writer tests/wine/winio.exe write '\\.\Z:' 32768 new
    writer=$win_pid
    win_background reader tests/wine/winio.exe read '\\.\Z:' 524288 1048576 back
    reader=$win_pid
    sleep 1
    kill -0 "$writer" || fail "the write did not wait: $(cat writer.out)"
    kill -0 "$reader" || fail "the read did not wait: $(cat reader.out)"
    # From another folder: the driver has the full name.
    mkdir -p elsewhere
    cd elsewhere
    attach_disk Z:
    cd ..
    win_wait "$writer" 20 || result=$?
    expect_equal "the write that waited: $(cat writer.out)" "$result" 0
    win_wait "$reader" 20 || result=$?
    expect_equal "the read that waited: $(cat reader.out)" "$result" 0
    cmp back <(tail -c +524289 disk.img | head -c 1048576) || fail 'the read that waited is wrong'
    expect_output 'the whole disk' "$(digest_of expected.img)" winio digest '\\.\Z:' "$size"
    expect_equal 'state' "$(field state)" served
    expect_success coremnt stats Z: --json
    expect_equal 'servers that took over' "$(jq .attaches <out)" 1
    cp elsewhere/server.out server.out
    unmount_disk Z:
    cmp disk.img expected.img || fail 'the image is not what was written'
    expect_match 'what the server said' 'Z: was unmounted' "$(cat elsewhere/server.out)"
}

# By its id, without a letter in the way; by another name of the image; twice in a row.
other_ways() {
    mount_disk disk.img Z: --hold 60
    kill_server
    attach_disk "$(field id)" --threads 2
    kill_server
    mv disk.img moved.img
    expect_failure $not_found 'coremnt attach Z: IMAGE' coremnt attach Z:
    expect_equal 'state after no such image' "$(field state)" held
    attach_disk Z: moved.img
    expect_success winio sector '\\.\Z:' 0
    unmount_disk Z:
    mv moved.img disk.img

    mount_disk disk.img Z: --hold 60 --read-only
    kill_server
    attach_disk Z:
    expect_match 'what a read-only disk says' 'read-only' "$(cat server.out)"
    expect_failure 1 'Win32 error 19$' winio write '\\.\Z:' 0 new
    unmount_disk Z:
}

refused() {
    local start
    expect_failure $failed 'memory' coremnt mount memory:4M Z: --hold 60
    expect_failure $usage 'hold.*3600' coremnt mount disk.img Z: --hold 3601
    expect_failure $usage 'timeout.*900' coremnt mount disk.img Z: --timeout 901
    expect_success coremnt list --json
    expect_equal 'disks after refused mounts' "$(jq length <out)" 0
    expect_failure $not_found 'Z:' coremnt attach Z:
    expect_failure $not_found 'id 77' coremnt attach 77
    expect_failure $usage 'missing' coremnt attach
    expect_failure $usage 'letter' coremnt attach ZZ:

    # A server that lives; one that would take its disk with it, of which attach does not wait for the end.
    mount_disk disk.img Z: --hold 60
    expect_failure $in_use 'Z: has a server, process [0-9]+.*taskkill' coremnt attach Z:
    unmount_disk Z:
    mount_disk disk.img Z:
    start=$SECONDS
    expect_failure $in_use 'without --hold.*process [0-9]+' coremnt attach Z:
    [ $((SECONDS - start)) -lt 4 ] || fail 'attach waited for a disk that is not held'
    unmount_disk Z:

    mount_disk disk.img Z: --hold 60
    kill_server
    cp disk.img other.img
    expect_failure $in_use 'Z: is a disk that has lost its server.*coremnt attach Z:' \
        coremnt mount other.img Z:
    expect_failure $in_use 'the image of Z:, which has lost its server.*coremnt attach Z:' \
        coremnt mount disk.img Y:
    cp disk.img larger.img
    truncate -s $((size + 4096)) larger.img
    expect_failure $usage "cannot be the image of Z:.*$((size + 4096)).*$size" coremnt attach Z: larger.img
    expect_failure $failed 'memory' coremnt attach Z: memory:4M
    cp disk.img secret.img
    chmod 444 secret.img
    expect_failure $no_rights 'secret\.img' coremnt attach Z: secret.img
    chmod 644 secret.img
    expect_failure $usage 'kind' coremnt attach Z: zip:disk.img
    expect_equal 'state after what was refused' "$(field state)" held
    expect_failure $in_use 'Z: has had no server for .*held for .*coremnt attach Z:.*--force' \
        coremnt unmount Z:
    expect_equal 'state after a soft unmount' "$(field state)" held
    expect_failure $in_use 'Z: has lost its server and is held.*coremnt attach' coremnt resize Z: 1G
    expect_equal 'state after a resize' "$(field state)" held
    expect_success coremnt unmount Z: --force
    expect_success coremnt list --json
    expect_equal 'disks after --force' "$(jq length <out)" 0
    expect_failure 1 'Win32 error 2$' winio length '\\.\Z:'
}

# The name that the driver has room for is shorter than a path may be.
long_names() {
    local folder name
    name=$(printf 'x%.0s' {1..120})
    folder=$name/$name
    mkdir -p "$folder"
    cp disk.img "$folder/disk.img"
    mount_disk "$folder/disk.img" Z: --hold 60
    kill_server
    expect_failure $usage 'too long.*coremnt attach Z: IMAGE' coremnt attach Z:
    attach_disk Z: "$folder/disk.img"
    unmount_disk Z:
}

time_is_over() {
    local reader result=0
    mount_disk disk.img Z: --hold 2
    kill_server
    win_background reader tests/wine/winio.exe read '\\.\Z:' 0 4096 back
    reader=$win_pid
    win_wait "$reader" 10 || result=$?
    expect_equal "a read when the time was over: $(cat reader.out)" "$result" 1
    expect_match 'what it got' 'Win32 error (433|5|2)$' "$(tr -d '\r' <reader.out)"
    expect_success coremnt list --json
    expect_equal 'disks when the time was over' "$(jq length <out)" 0
    expect_failure_any 'Win32 error' winio length '\\.\Z:'
    expect_failure $not_found 'Z:' coremnt attach Z:
    # The letter that nobody was there to take away does not stand in the way.
    mount_disk disk.img Z:
    unmount_disk Z:
}

random_file disk.img "$size"
for topic in io_waits_and_goes_on other_ways refused long_names time_is_over; do
    say "$topic"
    "$topic"
done
