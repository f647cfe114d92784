# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# random.sh - the same random program run by qemu-io and by us, each on its own file and on one that the other made: all
# four are the same disk. The second half is run by the other one.
# shellcheck source=tests/interop/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
need qemu-img qemu-io jq

seed=$(a_seed)
size=$((60 * MIB))
for round in 1 2 3; do
    block=$((1 << (round - 1)))
    random_program $((seed + round)) $size 120 300000 >first.program
    random_program $((seed + round + 1000)) $size 60 300000 >second.program
    cat first.program second.program >both.program
    expected $size both.program

    rm -f theirs.vhdx ours.vhdx
    logged qemu-img create -f vhdx -o block_size=${block}M theirs.vhdx $size
    logged "$coremnt" create ours.vhdx --size $size --block-size ${block}M
    theirs vhdx theirs.vhdx first.program
    ours ours.vhdx first.program
    logged qemu-img compare -f vhdx -F vhdx theirs.vhdx ours.vhdx
    ours theirs.vhdx second.program
    theirs vhdx ours.vhdx second.program
    for file in theirs.vhdx ours.vhdx; do
        logged qemu-img check -f vhdx $file
        sound $file
        same_there vhdx $file
        same_here $file
    done
done

echo 'the same disk, whoever wrote it'
