# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# The verbs that work on images, as a Windows program: containers made, mounted, looked at and copied; who has an image
# keeps the others out; a copy that finds no space, or is killed, leaves nothing under its name.
set -euo pipefail
# shellcheck source=tests/wine/check.sh
. "$(dirname "${BASH_SOURCE[0]}")/check.sh"

failed=1 usage=2 not_found=3 in_use=4

# field EXPRESSION EXPECTED ARGUMENT...: of the JSON that coremnt prints.
field() {
    local expression=$1 expected=$2
    shift 2
    expect_success coremnt "$@" --json
    expect_equal "$* $expression" "$(jq -rc "$expression" <out)" "$expected"
}

expect_gone() {
    local file
    for file in "$@"; do
        [ ! -e "$file" ] || fail "$file was left"
    done
}

mounted_containers_are_kept() {
    random_file data 1048576
    expect_success coremnt create disk.vhdx --size 64M --block-size 1M
    mount_disk disk.vhdx Z:
    expect_success winio write '\\.\Z:' 33554432 data
    expect_failure $in_use 'disk\.vhdx: it is open for writing elsewhere' coremnt info disk.vhdx
    expect_failure $in_use 'disk\.vhdx: it is open for writing elsewhere' coremnt convert disk.vhdx copy.img
    expect_failure $in_use 'disk\.vhdx: it is in use elsewhere' coremnt resize disk.vhdx 128M
    expect_success coremnt resize Z: 96M
    unmount_disk Z:
    field '[.format,.layout,.size,.block_size,.dirty]' '["vhdx","dynamic",100663296,1048576,false]' info disk.vhdx
    field '[.errors,.wastes]' '[0,0]' check disk.vhdx
    field 'map(select(.zero|not))|[.[0].start,(map(.length)|add)]' '[33554432,1048576]' map disk.vhdx
}

copies_are_the_same() {
    expect_success coremnt convert disk.vhdx copy.img
    [ ! -s err ] || fail "a progress bar in a file: $(cat err)"
    expect_equal 'the size of the copy' "$(stat -c %s copy.img)" 100663296
    cmp <(tail -c +33554433 copy.img | head -c 1048576) data || fail 'the copy has other data'
    expect_success coremnt convert 'C:\work\cli-images\copy.img' again.vhdx --quiet
    expect_success coremnt convert again.vhdx again.img
    cmp copy.img again.img || fail 'there and back is not the same'
    expect_success coremnt resize again.vhdx 64M
    expect_failure $usage 'holds data beyond 32 MiB' coremnt resize again.vhdx 32M
    expect_success coremnt resize again.vhdx 32M --shrink
    field .size 33554432 info again.vhdx
    expect_success coremnt create child.vhdx --parent disk.vhdx
    field '[.layout,.size,(.parents|length)]' '["differencing",100663296,1]' info child.vhdx
    expect_success coremnt convert child.vhdx whole.img
    cmp copy.img whole.img || fail 'the copy of a child has not all of the disk'
}

what_cannot_be_is_said() {
    expect_failure $failed 'copy\.img exists' coremnt convert disk.vhdx copy.img
    expect_failure $failed 'disk\.vhdx.*exists' coremnt create disk.vhdx --size 1M
    expect_failure $not_found 'missing\.vhdx' coremnt convert missing.vhdx x.img
    expect_failure $not_found 'no-folder' coremnt convert copy.img 'no-folder\x.vhdx'
    expect_failure $usage 'is no VHDX.*raw:' coremnt info "$(cp copy.img fake.vhdx && echo fake.vhdx)"
    expect_failure $usage 'no format "qcow"' coremnt convert copy.img x --format qcow
    expect_failure $failed 'nothing to check' coremnt check copy.img
    expect_failure $not_found 'missing\.img' coremnt check missing.img
    expect_failure $not_found 'missing\.vhdx' coremnt check --json missing.vhdx
    expect_equal 'the JSON of what is missing' "$(jq -c '[has("error"),has("errors")]' <out)" '[true,false]'
    expect_gone x x.partial x.img x.img.partial
}

# Past the system's cache, where requests are whole blocks.
files_that_end_within_a_sector() {
    head -c 100000 data >odd.img
    expect_success coremnt convert odd.img even.img
    cmp <(cat odd.img; head -c 352 /dev/zero) even.img || fail 'the copy is not the file and zeros'
    expect_failure $usage 'odd\.img.*not whole sectors' coremnt mount odd.img Z:
    expect_success coremnt resize odd.img 1M
    cmp <(head -c 100000 data; head -c 948576 /dev/zero) odd.img || fail 'a file that grew is not the file and zeros'
}

sizes_that_a_mounted_image_cannot_have() {
    expect_success coremnt create old.vhd --size 16M
    expect_failure $failed 'a VHD that grows' coremnt mount old.vhd Z: --hold 60
    mount_disk old.vhd Z:
    expect_failure $failed 'the image of Z: cannot have 5368709120000 bytes' coremnt resize Z: 5000G
    unmount_disk Z:
    field .size 16777216 info old.vhd
}

children_say_what_they_are() {
    expect_success coremnt create parent.vhdx --size 16M
    expect_success coremnt create alone.vhdx --parent parent.vhdx
    rm parent.vhdx
    expect_failure $not_found 'parent\.vhdx' coremnt info alone.vhdx
    expect_match 'info of a child alone' 'parent: +cannot be used: it is missing' "$(cat out)"
    expect_failure $not_found 'parent\.vhdx' coremnt info --json alone.vhdx
    expect_equal 'the JSON of a child alone' "$(jq -c '[.layout,has("parent_error")]' <out)" '["differencing",true]'
}

no_space_leaves_nothing() {
    # From its seventh MiB on a new file has no room; which one it is, its name tells before it is there.
    random_file large.img 33554432
    export NOSPACE_FILE=$PWD/small.vhdx.partial NOSPACE_FROM=7340032 LD_PRELOAD=$COREMNT_NOSPACE
    expect_failure $failed 'small\.vhdx.*no space left' coremnt convert large.img small.vhdx
    unset NOSPACE_FILE NOSPACE_FROM LD_PRELOAD
    expect_gone small.vhdx small.vhdx.partial
    expect_success coremnt convert large.img small.vhdx
    expect_success coremnt convert small.vhdx small.img
    cmp large.img small.img || fail 'the copy after a full disk is not the same'
}

a_killed_copy_has_no_name() {
    local try tenths
    head -c 536870912 /dev/zero >huge.img
    for try in 1 2 3 4 5; do
        rm -f target.img target.img.partial
        win_background killed cli/coremnt.exe convert huge.img target.img
        tenths=400
        while [ ! -e target.img.partial ] && [ "$tenths" -gt 0 ] && kill -0 "$win_pid" 2>/dev/null; do
            sleep 0.01
            tenths=$((tenths - 1))
        done
        kill -KILL "$win_pid" 2>/dev/null || true
        wait "$win_pid" 2>/dev/null || true
        [ -e target.img ] || break
    done
    [ ! -e target.img ] || fail "of $try copies all were finished before they were killed"
    [ -e target.img.partial ] || fail 'the kill left nothing: was it in time?'
    expect_failure $failed 'target\.img\.partial is there.*Remove it' coremnt convert data target.img
    rm huge.img
}

for topic in mounted_containers_are_kept copies_are_the_same what_cannot_be_is_said \
    files_that_end_within_a_sector sizes_that_a_mounted_image_cannot_have children_say_what_they_are \
    no_space_leaves_nothing a_killed_copy_has_no_name; do
    say "$topic"
    "$topic"
done
