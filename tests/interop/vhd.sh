# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# vhd.sh - VHD both ways: images of qemu-img read, checked and written here; ours read and written by QEMU, which has no
# check of VHD. What nobody can agree on without being told is the size: QEMU makes disks of whole cylinders, unless
# force_size is given.
# shellcheck source=tests/interop/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
need qemu-img qemu-io jq

# both BLOCK LAYOUT: disk.vhd, just made, is written to by QEMU, then by us, and each time read by both.
both() {
    local size
    size=$("$coremnt" info --json disk.vhd | jq .size)
    info_says disk.vhd layout "$2"
    edges "$size" "$1" >all.program
    theirs vpc disk.vhd all.program
    expected "$size" all.program
    sound disk.vhd
    map_covers disk.vhd "$size"
    same_here disk.vhd
    random_program "$seed" "$size" 30 200000 >random.program
    ours disk.vhd random.program
    cat random.program >>all.program
    expected "$size" all.program
    sound disk.vhd
    same_there vpc disk.vhd
    random_program $((seed + 1)) "$size" 30 200000 >random.program
    theirs vpc disk.vhd random.program
    theirs raw expected.raw random.program
    sound disk.vhd
    same_here disk.vhd
    rm disk.vhd
}

seed=$(a_seed)
for options in subformat=dynamic subformat=dynamic,force_size; do
    logged qemu-img create -f vpc -o $options disk.vhd $((80 * MIB + 4096))
    both $((2 * MIB)) dynamic
done
for options in subformat=fixed subformat=fixed,force_size; do
    logged qemu-img create -f vpc -o $options disk.vhd $((40 * MIB + 4096))
    both $((2 * MIB)) flat
done
logged qemu-img create -f vpc disk.vhd $((150 * GIB)) # beyond what cylinders can say of 127 GiB
size=$(qemu-img info -f vpc --output=json disk.vhd | jq '."virtual-size"')
info_says disk.vhd size "$size"
rm disk.vhd

logged "$coremnt" create disk.vhd --size $((80 * MIB))
info_says disk.vhd size $((80 * MIB))
both $((2 * MIB)) dynamic
logged "$coremnt" create disk.vhd --size $((80 * MIB)) --block-size 512K
both $((512 * 1024)) dynamic
logged "$coremnt" create disk.vhd --size $((40 * MIB)) --fixed
both $((2 * MIB)) flat

# Trimmed, and made larger.
logged "$coremnt" create disk.vhd --size $((40 * MIB))
printf 'write -P 1 0 20M\nflush\ndiscard 4M 9M\nflush\nwrite -P 2 30M 3M\nflush\n' >trim.program
ours disk.vhd trim.program
expected $((40 * MIB)) trim.program
sound disk.vhd
same_there vpc disk.vhd
printf 'resize 80M\nwrite -P 3 79M 1M\nflush\n' >grow.program
ours disk.vhd grow.program
cat grow.program >>trim.program
expected $((80 * MIB)) trim.program
sound disk.vhd
same_there vpc disk.vhd

echo 'the same disk for both'
