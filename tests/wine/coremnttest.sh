# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# The article's program: mounts tst_img, its own image, as Z: until a key is pressed; and again, with what
# was written the first time.
set -euo pipefail
# shellcheck source=tests/wine/check.sh
. "$(dirname "${BASH_SOURCE[0]}")/check.sh"
# shellcheck source=tests/wine/fat.sh
. "$(dirname "${BASH_SOURCE[0]}")/fat.sh"

start() {
    win_with_keys "$1" examples/CoreMntTest.exe
    server=$win_pid
    win_expect "$1" '^Image was mounted\. Press  any key for unmount\.'
}

end() {
    local result=0
    press_key
    win_wait "$server" 20 || result=$?
    expect_equal "exit code of CoreMntTest ($(cat "$1.out"))" "$result" 0
    expect_failure 1 'Win32 error 2$' winio length '\\.\Z:'
}

# A format writes sectors; these are of a volume made elsewhere.
fat_make format.img 64
random_file DATA.BIN 3000000
fat_put format.img DATA.BIN

start first
[ -e tst_img ] || fail 'there is no tst_img in the current folder'
expect_output 'length of the disk' 67108864 winio length '\\.\Z:'
expect_success winio write '\\.\Z:' 0 format.img
end first
cmp tst_img format.img || fail 'tst_img is not what was written'

start second
expect_output 'content at the second start' "$(digest_of format.img)" winio digest '\\.\Z:' 67108864
end second
fat_check tst_img
fat_get tst_img DATA.BIN data.read
cmp DATA.BIN data.read || fail 'DATA.BIN has another content'
