# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# The package's driver, signed and stripped as it is, is installed by its INF for older Windows, runs, and
# goes again. Wine's set-up does not look at catalogs, and knows no primitive drivers: CoreMnt.inf is not
# shown by this.
set -euo pipefail
# shellcheck source=tests/wine/check.sh
. "$(dirname "${BASH_SOURCE[0]}")/check.sh"

# set_up_section NAME: what a right click on the INF does.
set_up_section() {
    win rundll32 setupapi.dll,InstallHinfSection "$1" 128 \
        "C:\\work\\$(basename "$PWD")\\x64\\CoreMntLegacy.inf" 2>/dev/null || fail "$1: exit code $?"
}

expect_success "$wine_root/packaging/make" x64 "$wine_build" "$PWD"
installed=$WINEPREFIX/drive_c/windows/system32/drivers/CoreMnt.sys
driver_stop
driver_remove
rm -f "$installed"

set_up_section DefaultInstall
cmp "$installed" x64/CoreMnt.sys || fail 'the driver was not copied'
expect_success coremnt driver status --json
expect_equal 'path' "$(jq -r .path <out)" 'C:\windows\system32\drivers\CoreMnt.sys'
expect_success coremnt driver start
expect_success coremnt create disk.img --size 1M
mount_disk disk.img Z:
random_file data 4096
expect_success winio write '\\.\Z:' 0 data
unmount_disk Z:
cmp <(head -c 4096 disk.img) data || fail 'the image has not what was written'
expect_success coremnt driver stop

set_up_section DefaultUninstall
[ ! -e "$installed" ] || fail 'the driver file is still there'
expect_success coremnt driver status
expect_match 'status' 'not installed' "$(cat out)"
