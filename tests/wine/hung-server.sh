# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# Servers that live and do not answer, with hundreds of requests stuck: `list` tells, a forced unmount takes
# less than five seconds, and with a time-out requests end by themselves.
set -euo pipefail
# shellcheck source=tests/wine/check.sh
. "$(dirname "${BASH_SOURCE[0]}")/check.sh"

failed=1 in_use=4
most_ms=5000 # for a forced unmount, from its start as a process to its end

now_ms() {
    date +%s%3N
}

# start_hung HOLD TIMEOUT [partly]: the letter of its disk is in $disk.
start_hung() {
    win_background hung tests/wine/hung_server.exe "$@"
    hung=$win_pid
    win_expect hung '^hung on '
    disk=$(tr -d '\r' <hung.out | sed -n 's/^hung on //p')
}

# start_many COUNT: so many requests of a program, which then lie with the server or wait for it.
start_many() {
    local tenths=100
    win_background many tests/wine/winio.exe many "\\\\.\\$disk" "$1"
    many=$win_pid
    win_expect many 'under way'
    until expect_success coremnt stats "$disk" --json && [ "$(jq .requests <out)" -ge "$1" ]; do
        [ "$tenths" -gt 0 ] || fail "the driver has only $(jq .requests <out) requests"
        tenths=$((tenths - 1))
        sleep 0.1
    done
}

# expect_many_end PATTERN: of all of them.
expect_many_end() {
    local result=0
    win_wait "$many" 20 || result=$?
    expect_equal "exit code of the program with many requests: $(cat many.out)" "$result" 0
    expect_match 'how they ended' "$1" "$(tr -d '\r' <many.out | grep 'ended with')"
    expect_equal 'kinds of ends' "$(grep -c 'ended with' many.out)" 1
}

# forced_unmount WHAT
forced_unmount() {
    local start took result=0
    start=$(now_ms)
    expect_success coremnt unmount "$disk" --force
    took=$(($(now_ms) - start))
    say "forced unmount of $1: $took ms"
    [ "$took" -lt "$most_ms" ] || fail "the forced unmount of $1 took $took ms"
    expect_success coremnt list --json
    expect_equal "disks after the forced unmount of $1" "$(jq length <out)" 0
    expect_many_end '^[0-9]+ ended with Win32 error (433|55)$'
    expect_failure_any 'Win32 error' winio length "\\\\.\\$disk"
}

# await_state PATTERN SECONDS
await_state() {
    local tenths=$(($2 * 10))
    until expect_success coremnt list && grep -Eq -- "$1" out; do
        [ "$tenths" -gt 0 ] || fail "\"coremnt list\" does not say $1 but: $(cat out)"
        tenths=$((tenths - 1))
        sleep 0.1
    done
}

# end_hung: the disk has gone, so it ends.
end_hung() {
    win_wait "$hung" 10 || fail "the hung server did not notice that its disk has gone: $(cat hung.out)"
}

just_hung() {
    start_hung 0 0
    start_many 700
    forced_unmount 'a server that has just hung'
    end_hung
}

hung_for_long() {
    start_hung 60 0
    start_many 700
    expect_success coremnt stats "$disk" --json
    [ "$(jq .handed_out <out)" -ge 500 ] || fail "only $(jq .handed_out <out) requests were handed out"
    await_state "$disk.* not answering for [0-9]+ s" 15
    say "$(grep "$disk" out)"
    expect_success coremnt list --json
    expect_equal 'state' "$(jq -r '.[0].state' <out)" 'not answering'
    expect_failure $in_use 'answered nothing for [0-9]+ s.*taskkill /f /pid [0-9]+' coremnt attach "$disk"
    expect_failure $failed 'does not answer.*taskkill.*attach.*--force' \
        coremnt unmount "$disk" --timeout 1
    forced_unmount 'a server that has hung for long'
    end_hung
}

held() {
    start_hung 60 0
    start_many 700
    kill -KILL "$hung"
    wait "$hung" 2>/dev/null || true
    await_state "$disk.* held, [0-9]+ s left" 5
    expect_failure $in_use 'no server for .*held for another [0-9]+ s' coremnt unmount "$disk"
    forced_unmount 'a disk that is held'
}

# Of a server that answers some requests, the others end by themselves and it goes on.
time_outs() {
    local took
    start_hung 0 2 partly
    start_many 300
    expect_success winio sector "\\\\.\\$disk" 0
    expect_many_end '^300 ended with Win32 error 121$'
    took=$(tr -d '\r' <many.out | sed -n 's/.*all after \([0-9]*\) ms$/\1/p')
    say "with a time-out of 2 s, 300 requests ended after $took ms"
    if [ "$took" -lt 1500 ] || [ "$took" -ge 6000 ]; then
        fail "the time-out of 2 s took $took ms"
    fi
    expect_success winio sector "\\\\.\\$disk" 0
    expect_success coremnt stats "$disk" --json
    expect_equal 'requests that timed out' "$(jq .timed_out <out)" 300
    expect_success coremnt list
    expect_match 'list' "$disk.* served " "$(cat out)"
    expect_success coremnt unmount "$disk" --force
    end_hung
}

# A real server that stands still and goes on: late answers do no harm.
a_server_that_comes_back() {
    random_file disk.img 4194304
    random_file new 4194304
    disk=Z:
    mount_disk disk.img Z: --timeout 2
    kill -STOP "$server"
    expect_failure 1 'Win32 error 121$' winio read '\\.\Z:' 0 65536 back
    expect_failure 1 'Win32 error 121$' winio write '\\.\Z:' 0 new
    kill -CONT "$server"
    expect_success winio write '\\.\Z:' 0 new
    expect_output 'the disk' "$(digest_of new)" winio digest '\\.\Z:' 4194304
    unmount_disk Z:
    cmp disk.img new || fail 'the image is not what was written'
}

for topic in just_hung hung_for_long held time_outs a_server_that_comes_back; do
    say "$topic"
    "$topic"
done
