# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# rawbench on a disk and on a file: its figures are there and verified, wrong content is found, and what it
# refuses it refuses in a sentence. How fast anything is, is not looked at.
set -euo pipefail
# shellcheck source=tests/wine/check.sh
. "$(dirname "${BASH_SOURCE[0]}")/check.sh"

rawbench() {
    win bench/rawbench.exe "$@"
}

short='--rounds 2 --milliseconds 50'

expect_success coremnt create disk.img --size 16M
random_file file.bin 4194304
cp file.bin file.before
mount_disk disk.img Z:

# shellcheck disable=SC2086 # words
expect_success rawbench '\\.\Z:' file.bin $short --json
expect_equal 'cases without --write' "$(jq '[.[].cases | length] | join(" ")' out)" '"4 4"'
cmp file.bin file.before || fail 'a target was written to without --write'

# shellcheck disable=SC2086
expect_success rawbench '\\.\Z:' file.bin $short --json --write --verify
expect_equal 'cases with --write' "$(jq '[.[].cases | length] | join(" ")' out)" '"8 8"'
jq -e 'all(.[].cases[]; .least > 0 and .median >= .least and .most >= .median
    and .p99_us >= .p50_us)' out >/dev/null || fail "figures that cannot be: $(cat out)"
cmp -s file.bin file.before && fail 'nothing was written with --write'

# shellcheck disable=SC2086
expect_success rawbench '\\.\Z:' $short
expect_match 'the text' '^randread-8 +[0-9]+ ' "$(cat out)"

expect_failure 2 'target is missing' rawbench
expect_failure 2 'needs --write' rawbench '\\.\Z:' --verify
expect_failure 2 '--rounds wants a number' rawbench '\\.\Z:' --rounds 0
expect_failure 2 '--rounds wants a number' rawbench '\\.\Z:' --rounds
expect_failure 2 '--milliseconds wants' rawbench '\\.\Z:' --milliseconds 5x
expect_failure 2 'no option of this name: --quick' rawbench --quick
expect_failure 1 'Win32 error 2\.$' rawbench 'no-such-file'
: >empty
expect_failure 1 'less than 1 MiB' rawbench empty
unmount_disk Z:

# Read-only: reads go, writes are told as what they are.
mount_disk disk.img Z: --read-only
# shellcheck disable=SC2086
expect_success rawbench '\\.\Z:' $short
# shellcheck disable=SC2086
expect_failure 1 'cannot write: Win32 error 19\.$' rawbench '\\.\Z:' $short --write
unmount_disk Z:
