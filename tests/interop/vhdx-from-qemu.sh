# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# vhdx-from-qemu.sh - VHDX images that qemu-img made and qemu-io wrote to: we read the same bytes, find nothing wrong, and
# write to them what QEMU then reads.
# shellcheck source=tests/interop/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
need qemu-img qemu-io jq

# try SIZE BLOCK OPTIONS LAYOUT: made and written by QEMU, read here; then written here, read by QEMU.
try() {
    local size=$1 block=$2 options=$3 layout=$4
    rm -f disk.vhdx
    logged qemu-img create -f vhdx -o "$options" disk.vhdx "$size"
    edges "$size" "$block" >edges.program
    theirs vhdx disk.vhdx edges.program
    expected "$size" edges.program
    info_says disk.vhdx size "$size"
    info_says disk.vhdx layout "$layout"
    info_says disk.vhdx block_size "$block"
    sound disk.vhdx
    map_covers disk.vhdx "$size"
    same_here disk.vhdx

    random_program "$seed" "$size" 40 200000 >random.program
    ours disk.vhdx random.program
    theirs raw expected.raw random.program
    logged qemu-img check -f vhdx disk.vhdx
    same_there vhdx disk.vhdx
}

seed=$(a_seed)
for block in 1 2 16; do
    try $((80 * MIB)) $((block * MIB)) block_size=${block}M dynamic
done
try $((80 * MIB + 512)) $((8 * MIB)) log_size=4M dynamic # QEMU's default; no whole block at the end
try $((4 * GIB + 64 * MIB)) $((256 * MIB)) block_size=256M dynamic
try $((100 * MIB)) $((8 * MIB)) subformat=fixed flat
try $((80 * MIB)) $((4 * MIB)) block_size=4M,block_state_zero=off dynamic

# 4 TiB: too long to be compared byte by byte, so by what was written and what lies around it.
size=$((4096 * GIB))
rm -f disk.vhdx
logged qemu-img create -f vhdx disk.vhdx "$size"
edges "$size" $((32 * MIB)) >edges.program
theirs vhdx disk.vhdx edges.program
expected "$size" edges.program
info_says disk.vhdx size "$size"
info_says disk.vhdx block_size $((32 * MIB)) # what QEMU chooses for so large a disk
sound disk.vhdx
map_covers disk.vhdx "$size"
same_here disk.vhdx # only data is copied, and only data compared

echo 'as QEMU wrote it'
