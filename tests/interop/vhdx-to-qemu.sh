# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# vhdx-to-qemu.sh - VHDX images that we made: QEMU's check finds nothing, and it reads the same bytes; after trims, and
# after resizes that move the BAT. Sectors of 4096 bytes, which QEMU does not take, are in libvhdi.sh.
# shellcheck source=tests/interop/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
need qemu-img qemu-io jq

# agreed SIZE PROGRAM: with QEMU and with our own check.
agreed() {
    expected "$1" "$2"
    logged qemu-img check -f vhdx disk.vhdx
    same_there vhdx disk.vhdx
    sound disk.vhdx
}

# try SIZE BLOCK OPTION...: an image of ours, and a random program by QEMU on it.
try() {
    local size=$1 block=$2
    shift 2
    rm -f disk.vhdx
    logged "$coremnt" create disk.vhdx --size "$size" "$@"
    edges "$size" "$block" >all.program
    ours disk.vhdx all.program
    agreed "$size" all.program
    random_program "$seed" "$size" 25 200000 >random.program
    theirs vhdx disk.vhdx random.program
    cat random.program >>all.program
    expected "$size" all.program
    sound disk.vhdx
    same_here disk.vhdx
}

seed=$(a_seed)
for block in 1 2 16; do
    try $((80 * MIB)) $((block * MIB)) --block-size ${block}M
done
try $((80 * MIB + 512)) $((32 * MIB))
try $((4 * GIB + 64 * MIB)) $((256 * MIB)) --block-size 256M
try $((40 * MIB)) $((32 * MIB)) --fixed

# What was trimmed is zeros for QEMU too, and blocks whose room was used again are not mixed up.
size=$((80 * MIB))
rm -f disk.vhdx
logged "$coremnt" create disk.vhdx --size $size --block-size 1M
cat >trim.program <<TRIM
write -P 1 0 20M
flush
discard 2M 9M
discard 12589056 3000320
flush
write -P 2 40M 12M
flush
write -f -P 3 5M 1536
TRIM
ours disk.vhdx trim.program
agreed $size trim.program

# The BAT of a disk that grows from 80 MiB to 3 TiB does not fit where it was; then it shrinks again.
cat >grow.program <<GROW
resize 3T
write -P 4 2T 65536
write -f -P 5 3298534882816 512
flush
GROW
ours disk.vhdx grow.program
logged qemu-img check -f vhdx disk.vhdx
cat >read.program <<READ
read -P 3 5M 1536
read -P 2 40M 12M
read -P 0 52M 28M
read -P 4 2T 65536
read -P 0 2199023321088 1048576
read -P 5 3298534882816 512
READ
theirs vhdx disk.vhdx read.program
sound disk.vhdx
{ printf 'write -z 2T 65536\nwrite -z 3298534882816 512\nflush\nresize %d\n' $size; } >shrink.program
ours disk.vhdx shrink.program
agreed $size trim.program

echo 'as we wrote it'
