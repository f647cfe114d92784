#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# vm.sh - scripts/run-in-vm without a Windows: what it refuses, the disk that it makes of a kit, and what it
# makes of a machine's end. The machine is boot.S, which writes a run.log that we have prepared, or does not;
# that Windows finds the kit and runs it is not shown here. CTest calls it.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
PATH=$PATH:/usr/sbin:/sbin # where Debian keeps fsck.fat
export MTOOLS_SKIP_CHECK=1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

fail() {
    printf 'FAILED: %s\n' "$*" >&2
    exit 1
}

# expect CODE PATTERN ARGUMENT...: of run-in-vm.
expect() {
    local code=$1 pattern=$2 result=0
    shift 2
    "$root/scripts/run-in-vm" "$@" >out 2>&1 </dev/null || result=$?
    [ "$result" -eq "$code" ] || fail "run-in-vm $*: exit code $result and not $code: $(cat out)"
    grep -Eq -- "$pattern" out || fail "run-in-vm $* does not say $pattern but: $(cat out)"
}

# assemble NAME BATCHES HANG: a disk with that boot sector.
assemble() {
    as --32 --defsym "BATCHES=$2" --defsym "HANG=$3" -o boot.o "$root/tests/guest/boot.S"
    ld -m elf_i386 -Ttext 0x7c00 -e _start --oformat binary -o "$1" boot.o
    [ "$(stat -c %s "$1")" -eq 512 ] || fail 'the boot sector has not 512 bytes'
    truncate -s 4M "$1"
}

# machine NAME LAST_LINE: a machine that leaves a run.log with this last line.
machine() {
    rm -f disk.img
    "$root/scripts/run-in-vm" --kit kit --kit-disk-only disk.img >out 2>&1 || fail "no disk: $(cat out)"
    printf 'CoreMnt guest kit\r\nok life\r\n%s\r\n' "$2" >run.log
    mcopy -i disk.img@@1M run.log ::/run.log
    assemble "$1" 64 0
    dd if=disk.img of="$1" bs=512 seek=1 count=4096 conv=notrunc status=none
}

mkdir -p kit/x86
printf '@echo off\r\n' >kit/run.cmd
head -c 3000 /dev/urandom >kit/x86/guest.exe
printf 'old\n' >kit/run.log

# -- what it refuses -----------------------------------------------------------------------------------

: >empty.img
assemble ends.img 0 0
expect 2 'which image' --arch x86
expect 2 'no file no-such.img' no-such.img
expect 2 'is empty' empty.img
expect 2 'x86 or x64, not "arm"' ends.img --arch arm
expect 2 'wants a number, not "soon"' ends.img --timeout soon
expect 2 'wants a number, not "0"' ends.img --memory 0
expect 2 'needs a value' ends.img --timeout
expect 2 'no option --what' ends.img --what 1
expect 2 'one image' ends.img other.img
expect 2 'is no kit' ends.img --kit "$work"

# -- the kit's disk ------------------------------------------------------------------------------------

expect 0 'the disk of the kit' --kit kit --kit-disk-only disk.img --options '--only life'
mkdir there
mcopy -Q -s -i disk.img@@1M '::/*' there/
cmp kit/run.cmd there/run.cmd || fail 'run.cmd is not on the disk'
cmp kit/x86/guest.exe there/x86/guest.exe || fail 'guest.exe is not on the disk'
[ "$(tr -d '\r\n' <there/options.txt)" = '--shutdown --only life' ] ||
    fail "options.txt has $(cat there/options.txt)"
[ ! -e there/run.log ] || fail 'an old log is on the disk'
[ -e kit/run.log ] || fail 'the kit itself was changed'
dd if=disk.img of=partition.img bs=1M skip=1 status=none
fsck.fat -n partition.img >out 2>&1 || fail "fsck.fat: $(cat out)"

# -- how a machine ends ----------------------------------------------------------------------------------

machine good.img '7 passed, 0 failed, 1 skipped'
sha256sum good.img >before
expect 0 '^7 passed, 0 failed' good.img --kit kit --timeout 60 --keep kept.img
sha256sum --quiet -c before || fail 'the image was changed'
mcopy -Q -n -i kept.img@@1M ::/run.log kept.log
cmp kept.log run.log || fail '--keep has another log'

machine bad.img '7 passed, 2 failed, 1 skipped'
expect 1 '2 steps failed' bad.img --kit kit --timeout 60
machine none.img '0 passed, 0 failed, 9 skipped'
expect 1 'no step has run' none.img --kit kit --timeout 60
machine cut.img '== cycles'
expect 1 'ends in the middle' cut.img --kit kit --timeout 60
expect 1 'without starting run.cmd' ends.img --kit kit --timeout 60
assemble hangs.img 0 1
expect 1 'nothing has started run.cmd within 4 s' hangs.img --kit kit --timeout 4
printf 'run-in-vm: refusals, disk and ends are as documented\n'
