# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# The guest kit under Wine: run.cmd ends by itself with 0 failed, as far as Wine can; and a step that goes
# wrong, hangs or crashes is told as FAILED, by a line and by the exit code. It removes the driver, which
# `run` then installs again.
set -euo pipefail
# shellcheck source=tests/wine/check.sh
. "$(dirname "${BASH_SOURCE[0]}")/check.sh"

arch=x64
export COREMNT_BUILD_x64=$wine_build
work='C:\kitwork'
"$wine_root/scripts/guest-kit" "$PWD/a kit" --arch $arch >/dev/null

# kit CODE [ARGUMENT...]: run.cmd, from a path with a space; its lines are in ./out.
kit() {
    local expected=$1 result=0
    shift
    (cd 'a kit' && COREMNT_TIMEOUT=150 win cmd /c run.cmd --work "$work" "$@") >out.crlf 2>&1 || result=$?
    tr -d '\r' <out.crlf >out
    [ "$result" -eq "$expected" ] || fail "run.cmd $*: exit code $result and not $expected: $(cat out)
$(tr -d '\r' <'a kit/run.log' | tail -n 60)"
}

last_line() {
    tail -n 1 out
}

expect_line() {
    grep -Eq -- "$1" out || fail "no line matches $1: $(cat out)"
}

# What goes wrong.
kit 1 --only self-fail,self-hang,self-crash,version
expect_line '^FAILED self-fail: "coremnt no-such-verb" ended with 2: '
expect_line '^FAILED self-hang: it did not end within 3 s'
expect_line '^FAILED self-crash: it ended with 0x'
expect_line '^ok version$'
expect_equal 'the last line' "$(last_line)" '1 passed, 3 failed, 0 skipped'
expect_equal 'the last line of run.log' "$(tail -n 1 'a kit/run.log' | tr -d '\r')" "$(last_line)"

# A program that is missing.
mv "a kit/$arch/rawbench.exe" rawbench.kept
kit 1 --only rawbench
expect_line '^FAILED rawbench: cannot start'
mv rawbench.kept "a kit/$arch/rawbench.exe"

# Options from the file, and bad ones.
printf -- '--only version\r\n' >'a kit/options.txt'
kit 0
expect_equal 'the options of options.txt' "$(last_line)" '1 passed, 0 failed, 0 skipped'
rm 'a kit/options.txt'
kit 1 --only no-such-step
expect_line '^FAILED kit: there is no step "no-such-step"'
kit 1 --what
expect_line '^FAILED kit: "--what" is no option'

# All of it.
kit 0
expect_match 'the last line' '^[0-9]+ passed, 0 failed, [0-9]+ skipped$' "$(last_line)"
grep -q '^FAILED' out && fail "0 failed, but: $(cat out)"
for step in driver-install driver-start version coremnttest life raw-io raw-refused rawbench \
    server-killed-raw hold-attach-raw cycles no-mount-manager no-letter resize partition driver-stop driver-restart driver-remove; do
    expect_line "^ok $step\$"
done
expect_line '^skipped format-fat: Wine '
