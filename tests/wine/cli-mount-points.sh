# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# Where a disk can be mounted and where not: letters, folders, nowhere. Wine has neither mount points on folders nor a
# mount manager that helps, so of folders this shows only what is refused.
set -euo pipefail
# shellcheck source=tests/wine/check.sh
. "$(dirname "${BASH_SOURCE[0]}")/check.sh"

json() {
    jq -er "$1" <out || fail "not the JSON expected ($1): $(cat out)"
}

expect_success coremnt create disk.img --size 4M
expect_success coremnt create other.img --size 4M

# No letter: the device is there all the same, and the id names the disk.
mount_disk disk.img none
expect_success coremnt list --json
expect_equal 'no letter' "$(jq -r '.[0].mount_point' <out)" ''
id=$(json '.[0].id')
device=$(json '.[0].device')
expect_success winio length "\\\\.\\GLOBALROOT$device"
expect_match 'the length' 4194304 "$(cat out)"
expect_match 'what the server calls it' 'mounted as ..\.\\CoreMntDisk[0-9]+' "$(cat server.out)"
expect_success winio length "\\\\.\\${device##*\\}"
unmount_disk "$id"

# Without the mount manager it is the same here.
mount_disk disk.img Z: --no-mount-manager
expect_success winio length '\\.\Z:'

# Letters that are none, or in use.
for bad in ZZ 1: : Z:x CON NUL COM1 AUX 'Z :' '*' "$(printf 'Z%.0s' {1..5000})"; do
    expect_failure 2 'neither a drive letter nor a folder' coremnt mount other.img "$bad"
done
expect_failure 2 'empty' coremnt mount other.img ''
expect_failure 4 'Z: is in use' coremnt mount other.img Z:
expect_failure 4 'Z: is in use' coremnt mount other.img z:/
expect_failure 4 'C: is in use' coremnt mount other.img C:

# The same image a second time: not for writing; any number may read it.
expect_failure 4 'open for writing|in use' coremnt mount disk.img Y:
unmount_disk Z:
mount_disk disk.img Z: --read-only
first=$server
mount_disk disk.img Y: --read-only
unmount_disk Y:
server=$first
unmount_disk Z:

# Folders.
mkdir full empty
touch full/file
expect_failure 3 'no folder' coremnt mount other.img '.\missing'
expect_failure 2 'is a file' coremnt mount other.img '.\other.img'
expect_failure 2 'is not empty' coremnt mount other.img '.\full'
expect_failure 2 'not a folder|no folder' coremnt mount other.img '\\.\CON'
expect_failure_any 'no folder|not a folder' coremnt mount other.img 'C:\CON'
expect_failure_any 'no mount points|not empty' coremnt mount other.img '.\empty'
[ -f full/file ] || fail 'a refused mount has changed its folder'
expect_failure 3 'no CoreMnt disk is mounted' coremnt unmount '.\empty'
expect_failure 3 'no folder' coremnt unmount '.\missing'

# In use by somebody who can be told.
mount_disk disk.img Z:
win_background holder tests/wine/winio.exe hold '\\.\Z:' 30000
holder=$win_pid
win_expect holder holding
expect_failure 4 'in use by winio.exe \(process [0-9]+' coremnt unmount Z: --timeout 1
unmount_disk Z: --force
kill "$holder"
wait "$holder" || true
mount_disk disk.img Z: # the same letter at once
unmount_disk Z:
