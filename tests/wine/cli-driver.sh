# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# `coremnt driver`: from which file it installs, which files it refuses and in what words, and what it says
# when the driver is installed already or its file has gone.
set -euo pipefail
# shellcheck source=tests/wine/check.sh
. "$(dirname "${BASH_SOURCE[0]}")/check.sh"

# The tool with the driver beside it, in a folder whose name would need quotation marks elsewhere.
own="own $(printf 'f\303\266lder')"
own_windows="C:\\work\\$(basename "$PWD")\\$own"
mkdir "$own"
cp "$wine_build/cli/coremnt.exe" "$wine_build/driver/CoreMnt.sys" "$own/"

own_coremnt() {
    win "$own_windows\\coremnt.exe" "$@"
}

# expect_file PATH: what status says of the driver's file.
expect_file() {
    expect_success coremnt driver status --json
    expect_equal 'path in status' "$(jq -r .path <out)" "$1"
}

# to_machine FILE LOW HIGH: the driver with another processor in its header, as octal bytes.
to_machine() {
    local pe
    cp "$wine_build/driver/CoreMnt.sys" "$1"
    pe=$(od -An -tu4 -j60 -N4 "$1" | tr -d ' ')
    # shellcheck disable=SC2059
    printf "\\$2\\$3" | dd of="$1" bs=1 seek=$((pe + 4)) conv=notrunc status=none
}

# A service that was made by others, with the path as they write it.
expect_file 'C:\windows\system32\drivers\CoreMnt.sys'
expect_failure_any 'installed already, as C:.windows.system32.drivers.CoreMnt.sys' \
    own_coremnt driver install
driver_stop
driver_remove

# From the tool's own folder; the file is neither moved nor copied.
expect_success own_coremnt driver install
expect_file "$own_windows\\CoreMnt.sys"
expect_success coremnt driver start
expect_success coremnt driver status
expect_match 'status' 'running' "$(cat out)"
expect_success coremnt driver stop
expect_failure_any 'installed already, as this file' own_coremnt driver install
expect_failure_any 'installed already, as C:.*own f.*CoreMnt.sys.*driver remove' \
    coremnt driver install 'C:\bin\driver\CoreMnt.sys'

# The file has gone.
mv "$own/CoreMnt.sys" "$own/elsewhere.sys"
expect_failure_any 'own f.*not there any more' coremnt driver start
expect_success coremnt driver remove
expect_failure 3 'no file .*own f.*CoreMnt.sys' own_coremnt driver install
expect_file ''

# What is no driver of this system is refused before there is a service.
printf 'MZ, but no more of a program than that' >text.sys
head -c 200 "$wine_build/driver/CoreMnt.sys" >cut.sys
cp "$wine_build/cli/coremnt.exe" program.sys
: >empty.sys
mkdir folder.sys
to_machine x86.sys 114 001
to_machine arm64.sys 144 252
for file in text cut program empty; do
    expect_failure_any "$file.sys is no driver" coremnt driver install "$file.sys"
done
expect_failure_any 'folder' coremnt driver install folder.sys
expect_failure_any 'x86.sys is for x86, but this Windows is for x64: take the package for x64' \
    coremnt driver install x86.sys
expect_failure_any 'arm64.sys is for ARM64, but this Windows is for x64' coremnt driver install arm64.sys
expect_failure_any 'lies on another computer' coremnt driver install '\\server\share\CoreMnt.sys'
expect_failure 3 'no file' coremnt driver install missing.sys
expect_success coremnt driver status
expect_match 'status' 'not installed' "$(cat out)"

# A path that is relative to the current folder becomes whole.
expect_success coremnt driver install "$own\\elsewhere.sys"
expect_file "$own_windows\\elsewhere.sys"
expect_success coremnt driver start
expect_success coremnt driver stop
expect_success coremnt driver remove
