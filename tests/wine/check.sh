# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# check.sh - what the shell tests share: checks that say what was expected, and mounted disks.
#
# `run` has made the current folder, empty and on C:, and the driver runs.

# shellcheck source=tests/wine/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

trap 'kill_servers' EXIT

kill_servers() {
    local pid
    for pid in $wine_pids; do
        kill -KILL "$pid" 2>/dev/null || true
    done
}

# run_caught COMMAND...: its output is in ./out and ./err, with Unix line ends; its exit code is the result.
run_caught() {
    local result=0
    "$@" >out.crlf 2>err.crlf || result=$?
    tr -d '\r' <out.crlf >out
    tr -d '\r' <err.crlf >err
    return "$result"
}

# expect_success COMMAND...: its output is in ./out.
expect_success() {
    local result=0
    run_caught "$@" || result=$?
    [ "$result" -eq 0 ] || fail "\"$*\" failed with exit code $result: $(cat out err)"
}

# expect_failure CODE PATTERN COMMAND...: this exit code, and one line on stderr that matches PATTERN.
expect_failure() {
    local code=$1 pattern=$2 result=0
    shift 2
    run_caught "$@" || result=$?
    [ "$result" -eq "$code" ] || fail "\"$*\": exit code $result instead of $code: $(cat out err)"
    expect_sentence "$pattern" "$@"
}

# expect_failure_any PATTERN COMMAND...: any exit code of a failure, for cases in which several are right.
expect_failure_any() {
    local pattern=$1 result=0
    shift
    run_caught "$@" || result=$?
    case $result in
    0 | 1??) fail "\"$*\": exit code $result: $(cat out err)" ;; # 124 and more: ended by force
    esac
    expect_sentence "$pattern" "$@"
}

# expect_sentence PATTERN COMMAND...: what COMMAND has left in ./err is one line and matches.
expect_sentence() {
    local pattern=$1
    shift
    [ "$(wc -l <err)" -eq 1 ] || fail "\"$*\" did not say one sentence: $(cat err)"
    grep -Eiq -- "$pattern" err || fail "\"$*\" said \"$(cat err)\" and not $pattern"
}

# expect_equal WHAT ACTUAL EXPECTED
expect_equal() {
    [ "$2" = "$3" ] || fail "$1: \"$2\" instead of \"$3\""
}

# expect_match WHAT PATTERN TEXT
expect_match() {
    printf '%s\n' "$3" | grep -Eq -- "$2" || fail "$1: \"$3\" does not match $2"
}

# expect_output WHAT EXPECTED COMMAND...: all that it prints on stdout.
expect_output() {
    local what=$1 expected=$2
    shift 2
    expect_success "$@"
    expect_equal "$what" "$(cat out)" "$expected"
}

digest_of() {
    sha256sum "$1" | cut -d' ' -f1
}

# random_file NAME BYTES
random_file() {
    head -c "$2" /dev/urandom >"$1"
}

# mount_disk IMAGE LETTER [OPTION...]: in the background; returns when the disk answers. The server's id is
# in $server, its output in server.out.
mount_disk() {
    local image=$1 letter=$2
    shift 2
    win_background server cli/coremnt.exe mount "$@" "$image" "$letter"
    server=$win_pid
    win_expect server 'is mounted as'
}

# unmount_disk LETTER [OPTION...]: and the server ends well.
unmount_disk() {
    local result=0
    expect_success coremnt unmount "$@"
    win_wait "$server" 20 || result=$?
    expect_equal "exit code of the server: $(cat server.out)" "$result" 0
}
