# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# What people get wrong: each case ends with one sentence and its documented exit code, and leaves
# everything as it was. Exit codes: see `coremnt --help`.
set -euo pipefail
# shellcheck source=tests/wine/check.sh
. "$(dirname "${BASH_SOURCE[0]}")/check.sh"

failed=1 usage=2 not_found=3 in_use=4 no_rights=5 no_driver=6

# The image of the cases below; whole_image says that nothing has touched it.
random_file disk.img 1048576
before=$(digest_of disk.img)
whole_image() {
    expect_equal "disk.img after $1" "$(digest_of disk.img)" "$before"
}

command_line() {
    expect_failure $usage 'verb' coremnt
    expect_failure $usage 'no verb "moutn"' coremnt moutn disk.img Z:
    expect_failure $usage 'option.*--frobnicate' coremnt mount --frobnicate disk.img Z:
    expect_failure $usage 'missing' coremnt mount
    expect_failure $usage 'missing' coremnt create
    expect_failure $usage 'too many' coremnt unmount Z: Y:
    expect_failure $usage 'kind' coremnt mount zip:disk.img Z:
    expect_failure $usage 'size' coremnt create new.img --size many
    expect_failure $usage 'size' coremnt create new.img --size -5
    expect_failure $usage 'sector' coremnt create new.img --size 1000
    expect_failure $usage 'sector' coremnt create new.img --size 4M --sector-size 100
    [ ! -e new.img ] || fail 'a refused create left a file'
    whole_image 'wrong command lines'
}

images() {
    expect_failure $not_found 'missing\.img' coremnt mount missing.img Z:
    expect_failure $not_found 'missing\.img' coremnt info missing.img
    [ ! -e missing.img ] || fail 'a mount made an image'
    expect_failure $failed 'exist' coremnt create disk.img --size 1M
    mkdir folder
    expect_failure_any 'folder' coremnt mount folder Z:
    head -c 1000 disk.img >odd.img
    expect_failure $usage 'sector' coremnt mount odd.img Z:
    : >empty.img
    expect_failure $usage 'empty' coremnt mount empty.img Z:
    expect_equal 'size of odd.img' "$(stat -c %s odd.img)" 1000
    whole_image 'wrong images'
}

# Wine does not enforce who may open devices; files are another matter, because Wine's server runs without
# root's right to read everything (lib.sh).
rights() {
    cp disk.img secret.img
    chmod 000 secret.img
    expect_failure $no_rights 'secret\.img' coremnt mount secret.img Z:
    chmod 444 secret.img
    expect_failure $no_rights 'secret\.img' coremnt mount secret.img Z:
    mount_disk secret.img Z: --read-only
    unmount_disk Z:
    chmod 644 secret.img
    expect_equal 'secret.img' "$(digest_of secret.img)" "$before"
}

letters() {
    local letter
    for letter in 7: ZZ: :Z %:; do
        expect_failure $usage 'letter' coremnt mount disk.img "$letter"
    done
    expect_failure $in_use 'C:' coremnt mount disk.img C:
    expect_failure $not_found 'Y:' coremnt unmount Y:
    expect_failure_any 'C:' coremnt unmount C:
    expect_failure $not_found 'Y:' coremnt stats Y:

    mount_disk disk.img Z:
    cp disk.img other.img
    expect_failure $in_use 'Z:' coremnt mount other.img Z:
    # Two writers of one image would ruin it.
    expect_failure $in_use 'disk\.img' coremnt mount disk.img Y:
    expect_output 'Z: afterwards' "$before" winio digest '\\.\Z:' 1048576
    unmount_disk Z:
    whole_image 'wrong letters'
}

# The service is put aside and back; each answer names what is wrong and the way out.
drivers() {
    driver_stop
    expect_failure $no_driver 'not (started|running)' coremnt mount disk.img Z:
    expect_failure $no_driver 'not (started|running)' coremnt list
    driver_remove
    expect_failure $no_driver 'not installed' coremnt mount disk.img Z:
    expect_failure $no_driver 'not installed' coremnt list
    expect_success coremnt driver status
    expect_match 'driver status' 'not installed' "$(cat out)"

    driver_install tests/wine/CoreMntAbi99.sys
    driver_start
    expect_failure $no_driver 'version' coremnt mount disk.img Z:
    driver_stop
    driver_remove
    driver_install driver/CoreMnt.sys
    driver_start
    whole_image 'wrong drivers'
}

# Trouble while the disk is mounted: the request fails, the server lives on.
# expect_alive: a sector that nobody disturbed still reads.
expect_alive() {
    expect_success winio sector '\\.\Z:' 0
}

disk_full() {
    expect_success coremnt create full.img --size 16M
    export NOSPACE_FILE=$PWD/full.img NOSPACE_FROM=8388608 LD_PRELOAD=$COREMNT_NOSPACE
    mount_disk full.img Z:
    unset NOSPACE_FILE NOSPACE_FROM LD_PRELOAD
    expect_failure 1 'Win32 error 112$' winio write '\\.\Z:' 8388608 disk.img
    expect_alive
    expect_success winio write '\\.\Z:' 1048576 disk.img
    expect_success winio read '\\.\Z:' 1048576 1048576 back
    cmp disk.img back || fail 'a write after "disk full" was lost'
    unmount_disk Z:
}

# The host takes the file away or cuts it, which Windows itself would refuse: the file is open. What was cut
# off reads as zeros (images/raw.c), and the server lives on.
image_lost() {
    cp disk.img lost.img
    mount_disk lost.img Z:
    rm lost.img
    expect_alive
    unmount_disk Z:

    cp disk.img cut.img
    mount_disk cut.img Z:
    truncate -s 4096 cut.img
    expect_alive
    expect_success winio read '\\.\Z:' 524288 4096 back
    cmp back <(head -c 4096 /dev/zero) || fail 'what was cut off does not read as zeros'
    expect_success winio write '\\.\Z:' 0 disk.img
    unmount_disk Z:
    cmp cut.img disk.img || fail 'the image that was cut is not what was written then'
}

for topic in command_line images rights letters drivers disk_full image_lost; do
    say "$topic"
    "$topic"
done
