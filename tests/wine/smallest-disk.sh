# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# The smallest program of one's own, with the library linked in and as a DLL: a disk whose sector N is filled
# with the byte N, on the first free letter, which cannot be written.
set -euo pipefail
# shellcheck source=tests/wine/check.sh
. "$(dirname "${BASH_SOURCE[0]}")/check.sh"

# serves_its_sectors PROGRAM
serves_its_sectors() {
    local number result=0
    win_with_keys smallest "$1"
    server=$win_pid
    win_expect smallest 'The disk is D:'

    expect_output 'length of the disk' 524288 winio length '\\.\D:'
    for number in 0 1 42 255 256 1023; do
        expect_success winio read '\\.\D:' $((number * 512)) 512 sector
        head -c 512 /dev/zero | tr '\0' "\\$(printf '%o' $((number % 256)))" >expected
        cmp sector expected || fail "$1: sector $number has another content"
    done
    expect_failure 1 'Win32 error 19$' winio write '\\.\D:' 0 sector

    press_key
    win_wait "$server" 20 || result=$?
    expect_equal "exit code of $1 ($(cat smallest.out))" "$result" 0
}

serves_its_sectors examples/smallest_disk.exe
serves_its_sectors tests/wine/smallest_disk_dll.exe
